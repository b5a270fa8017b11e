//! Places in a file.

/// A range of bytes in the file.
pub type Span = std::ops::Range<usize>;

/// A value with its place in the file.
///
/// It is exhaustive: it is a value and its place, and nothing more.
#[derive(Clone, Debug, PartialEq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its bytes in the file.
    pub span: Span,
}

impl<T: Default> Default for Spanned<T> {
    fn default() -> Self {
        Spanned {
            value: T::default(),
            span: 0..0,
        }
    }
}
