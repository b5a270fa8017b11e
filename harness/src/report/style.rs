//! The style of a report.

/// The style of a report: its width and its colours.
///
/// # Example
///
/// ```
/// let style = deadstop_harness::report::Style { width: 120, ..Default::default() };
/// assert!(!style.color);
/// ```
///
/// It is exhaustive: a caller sets what it knows of its terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Maximum number of columns of a line. [`timeline()`](super::timeline()) takes fewer than 40 as 40.
    pub width: usize,
    /// Whether to use the terminal's colours. Colour alone never carries a meaning.
    pub color: bool,
}

impl Default for Style {
    /// Returns a style of 80 columns, without colour.
    fn default() -> Self {
        Style {
            width: 80,
            color: false,
        }
    }
}
