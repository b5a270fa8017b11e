//! What code may return.

use super::BoxError;

/// What a body or callback may return: nothing, or a result.
///
/// ```
/// # use deadstop::context::Ending;
/// assert!(().into_result().is_ok());
/// assert!(Err::<(), _>("no disk").into_result().is_err());
/// ```
pub trait Ending: Send + 'static {
    /// As a result.
    ///
    /// # Errors
    ///
    /// If the code says that it failed.
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
