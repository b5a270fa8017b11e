//! The sink, which receives the events of a worker context.

use std::panic::Location;
use std::sync::Arc;

use crate::journal::{Registered, What};
use crate::words::contained;

/// A receiver of the events of a worker context.
///
/// It is called without any lock held, and must not block. If it panics, it loses that event, and nothing else is
/// affected. It may request a stop, which is announced once the sink has returned. It must not wait for a stop: the
/// stop would wait for the sink.
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
/// ctx.defer_cleanup("db", (), |_scope| {})?;
/// ctx.cleanup_blocking()?;
/// assert_eq!(steps.0.load(Ordering::Relaxed), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Sink: Send + Sync + 'static {
    /// Receives a claim: an event that the context reports about itself.
    fn claim(&self, claim: &What);

    /// Receives a claim about a component that was registered at `place`. Journals do not contain places, since they
    /// differ from build to build; logs do.
    fn claim_of(&self, claim: &What, place: &'static Location<'static>) {
        let _ = place;
        self.claim(claim);
    }

    /// Receives the registration of a component at `place`: what the component is, and its limits. It is called once
    /// the component is accepted; the component's code may already run.
    fn registered(&self, registered: &Registered, place: &'static Location<'static>) {
        let _ = (registered, place);
    }

    /// Receives a claim with an explanation. Journals do not contain explanations, since the words of an error differ
    /// from one operating system to the next; logs do.
    fn claim_why(&self, claim: &What, why: &str) {
        let _ = why;
        self.claim(claim);
    }

    /// Receives a fact: an event that the host observed. A sink whose host records its facts itself leaves this out.
    fn fact(&self, fact: &What) {
        let _ = fact;
    }
}

/// A caller's sink, with its panics caught.
pub(super) struct CatchingSink(pub Arc<dyn Sink>);

impl Sink for CatchingSink {
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
