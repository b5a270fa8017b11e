//! Where a worker context says what it does.

use std::panic::Location;
use std::sync::Arc;

use crate::journal::{Registered, What};
use crate::words::contained;

/// Takes the events of a worker context. Called without any lock held. It must not block; where it
/// panics, the event is lost to it and nothing else. It may request a stop, which is said once it has
/// returned, but not wait for one, which would wait for it.
///
/// ```
/// # use std::sync::{Arc, atomic::{AtomicUsize, Ordering}};
/// # use deadstop::context::{Sink, WorkerCtx};
/// # use deadstop::journal::What;
/// #[derive(Default)]
/// struct Steps(AtomicUsize);
///
/// impl Sink for Steps {
///     fn claim(&self, claim: &What) {
///         if let What::StepEnded { .. } = claim {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
///
/// let steps = Arc::new(Steps::default());
/// let ctx = WorkerCtx::<()>::builder().sink(steps.clone()).build(())?;
/// ctx.defer_cleanup("db", Default::default(), |_scope| {})?;
/// ctx.cleanup_blocking()?;
/// assert_eq!(steps.0.load(Ordering::Relaxed), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Sink: Send + Sync + 'static {
    /// The context says that it does something.
    fn claim(&self, claim: &What);

    /// The context says something of a component that was registered at `place`. Journals know no places,
    /// which differ from build to build; logs do.
    fn claim_of(&self, claim: &What, place: &'static Location<'static>) {
        let _ = place;
        self.claim(claim);
    }

    /// A component was registered at `place`: what it is, and with which limits. Said once the component is
    /// taken; its code may run already.
    fn registered(&self, registered: &Registered, place: &'static Location<'static>) {
        let _ = (registered, place);
    }

    /// The context says why, too. Journals do not know it, since the words of an error differ from one
    /// operating system to the next; logs do.
    fn claim_why(&self, claim: &What, why: &str) {
        let _ = why;
        self.claim(claim);
    }

    /// The host said that something happened. A sink whose host writes its facts itself leaves this
    /// out.
    fn fact(&self, fact: &What) {
        let _ = fact;
    }
}

/// A caller's sink, whose panics end here.
pub(super) struct Contained(pub Arc<dyn Sink>);

impl Sink for Contained {
    fn claim(&self, claim: &What) {
        contained(|| self.0.claim(claim));
    }

    fn claim_of(&self, claim: &What, place: &'static Location<'static>) {
        contained(|| self.0.claim_of(claim, place));
    }

    fn registered(&self, registered: &Registered, place: &'static Location<'static>) {
        contained(|| self.0.registered(registered, place));
    }

    fn claim_why(&self, claim: &What, why: &str) {
        contained(|| self.0.claim_why(claim, why));
    }

    fn fact(&self, fact: &What) {
        contained(|| self.0.fact(fact));
    }
}
