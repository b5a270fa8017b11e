//! Where a worker context says what it does.

use crate::journal::What;

/// Takes the events of a worker context. Called without any lock held; it must not block and must not
/// panic.
pub trait Sink: Send + Sync + 'static {
    /// The context says that it does something.
    fn claim(&self, claim: &What);

    /// The host said that something happened. A sink whose host writes its facts itself leaves this
    /// out.
    fn fact(&self, fact: &What) {
        let _ = fact;
    }
}
