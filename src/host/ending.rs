//! The values that bodies and callbacks may return.

use super::BoxError;

/// A return value of a body or callback: nothing, or a result. It is sealed: no other type implements it.
///
/// ```
/// # use deadstop::context::Ending;
/// assert!(().into_result().is_ok());
/// assert!(Err::<(), _>("no disk").into_result().is_err());
/// ```
pub trait Ending: sealed::Sealed + Send + 'static {
    /// Converts the value to a result.
    ///
    /// # Errors
    ///
    /// If the value reports that the code failed.
    fn into_result(self) -> Result<(), BoxError>;
}

mod sealed {
    use super::BoxError;

    pub trait Sealed {}

    impl Sealed for () {}

    impl<E: Into<BoxError> + Send + 'static> Sealed for Result<(), E> {}
}

impl Ending for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError> + Send + 'static> Ending for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}
