//! The values that bodies and callbacks may return.

use super::BoxError;

/// A return value of a body or callback: nothing, or a result.
///
/// ```
/// # use deadstop::context::Ending;
/// assert!(().into_result().is_ok());
/// assert!(Err::<(), _>("no disk").into_result().is_err());
/// ```
pub trait Ending: Send + 'static {
    /// Converts the value to a result.
    ///
    /// # Errors
    ///
    /// If the value reports that the code failed.
    fn into_result(self) -> Result<(), BoxError>;
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
