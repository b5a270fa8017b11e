//! The handle of a registered component.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::host::Ended;
use crate::journal::{Id, Kind, Name};

/// A handle of a registered component: its id, its name, and whether and how its code has ended.
///
/// Every registration returns one, which may be dropped: the component stays registered. A handle is cheap to clone,
/// and all clones are the same component. It keeps neither the worker nor the component's code alive. A component that
/// has ended leaves the context; what is left of it is the handle, for as long as the service keeps one.
///
/// Compared with a `JoinHandle`, it does not wait, abort or return a value: stop and cleanup wait for the component,
/// and their [`Report`](super::Report) has the outcome of its step.
///
/// ```
/// # use deadstop::context::WorkerCtx;
/// # use deadstop::journal::How;
/// let ctx = WorkerCtx::new(());
/// let flusher = ctx.add_thread("flusher", (), |_scope| Err("disk full"))?;
/// assert_eq!(&**flusher.name(), "flusher");
///
/// let report = ctx.stop_blocking()?;
/// let ended = flusher.ended().expect("stop has joined it");
/// assert_eq!(ended.how, How::Failed);
/// assert_eq!(ended.error.as_deref(), Some("disk full"));
/// # drop(report);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The [`uses`](super::CallOpts::uses) of another component take it:
///
/// ```
/// # use deadstop::context::{CallOpts, WorkerCtx};
/// let ctx = WorkerCtx::new(());
/// let db = ctx.defer_cleanup("db", (), |_scope| { /* close */ })?;
/// ctx.defer_cleanup("pool", CallOpts::new().order(100).uses(&db), |_scope| { /* join its jobs */ })?;
/// # assert!(ctx.cleanup_blocking()?.is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ComponentHandle(Arc<Identity>);

/// The state that all handles of one component share.
struct Identity {
    id: Id,
    name: Name,
    kind: Kind,
    /// Whether its step has begun.
    step_begun: AtomicBool,
    ended: OnceLock<Ended>,
}

impl ComponentHandle {
    pub(crate) fn new(id: Id, name: Name, kind: Kind) -> Self {
        ComponentHandle(Arc::new(Identity {
            id,
            name,
            kind,
            step_begun: AtomicBool::new(false),
            ended: OnceLock::new(),
        }))
    }

    /// Returns the component's id, by which journals and reports name it. No other component of its context has it.
    pub fn id(&self) -> Id {
        self.0.id
    }

    /// Returns the name with which the component was registered. Other components may have the same.
    pub fn name(&self) -> &Name {
        &self.0.name
    }

    /// Returns the component's kind.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Returns how the component's code has ended; `None` while it runs, and if it was never called.
    ///
    /// It is the end of the code, not the outcome of the step: a thread that was left behind as leaked, and ends
    /// later, has ended. The end is known here once the host has reported it, which may be a moment after the code
    /// has returned.
    ///
    /// ```
    /// # use deadstop::context::WorkerCtx;
    /// let ctx = WorkerCtx::new(());
    /// let db = ctx.defer_cleanup("db", (), |_scope| {})?;
    /// assert!(db.ended().is_none(), "cleanup has not called it");
    /// ctx.cleanup_blocking()?;
    /// assert!(db.ended().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ended(&self) -> Option<Ended> {
        self.0.ended.get().cloned()
    }

    /// Records the end of the component's code. Only the first end counts.
    pub(super) fn set_ended(&self, ended: &Ended) {
        let _ = self.0.ended.set(ended.clone());
    }

    /// Records that the component's step has begun.
    pub(super) fn set_step_begun(&self) {
        self.0.step_begun.store(true, Ordering::SeqCst);
    }

    /// Returns whether the component's step has begun.
    #[cfg(all(feature = "process", unix))]
    pub(super) fn step_begun(&self) -> bool {
        self.0.step_begun.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for ComponentHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComponentHandle")
            .field("id", &self.0.id)
            .field("name", &self.0.name)
            .field("kind", &self.0.kind)
            .field("ended", &self.0.ended.get())
            .finish_non_exhaustive()
    }
}

/// Writes the name and the id, as logs do.
impl fmt::Display for ComponentHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (#{})", self.0.name, self.0.id)
    }
}

/// Handles are equal if they are of the same component.
impl PartialEq for ComponentHandle {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ComponentHandle {}

impl Hash for ComponentHandle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;
    use std::time::Duration;

    use super::*;
    use crate::context::{BodyOpts, WorkerCtx};
    use crate::host::{Host, Live};
    use crate::journal::How;

    /// The longest that a test waits for what another thread does.
    const GUARD: Duration = Duration::from_secs(30);

    /// Returns a weak reference to what the handles of the component share.
    fn shared(handle: &ComponentHandle) -> Weak<Identity> {
        Arc::downgrade(&handle.0)
    }

    #[test]
    fn ended_component_is_gone_with_its_last_handle() {
        let runtime = crate::host::small_runtime().expect("a runtime");
        let ctx = WorkerCtx::new(());
        let (kept, dropped) = runtime.block_on(async {
            let kept = ctx
                .add_task("kept", (), |_token| async { Err("no peer") })
                .expect("accepted");
            let dropped = {
                let handle = ctx.add_task("dropped", (), |_token| async {});
                shared(&handle.expect("accepted"))
            };
            let host = Live::new();
            while kept.ended().is_none() || dropped.strong_count() > 0 {
                assert!(host.now() < GUARD, "both tasks end");
                tokio::task::yield_now().await;
            }
            (kept, dropped)
        });
        assert!(dropped.upgrade().is_none());
        let shared = shared(&kept);
        assert_eq!(shared.strong_count(), 1, "the context has none");
        let ended = kept.ended().expect("it has ended");
        assert_eq!(ended.how, How::Failed);
        assert_eq!(ended.error.as_deref(), Some("no peer"));
        drop(kept);
        assert!(shared.upgrade().is_none());
        assert!(ctx.stop_blocking().expect("from outside").steps.is_empty());
    }

    #[test]
    fn end_is_known_after_the_context_is_gone() {
        let ctx = WorkerCtx::new(());
        let handle = ctx
            .add_thread("thread", BodyOpts::new(), |scope| {
                while scope.wait(Duration::MAX).elapsed() {}
            })
            .expect("accepted");
        let same = handle.clone();
        assert!(handle.ended().is_none());
        drop(ctx);
        let host = Live::new();
        while handle.ended().is_none() {
            assert!(host.now() < GUARD, "the thread was told, and ends");
            std::thread::yield_now();
        }
        assert_eq!(handle.ended().map(|ended| ended.how), Some(How::Ok));
        assert_eq!(
            (handle == same, same.to_string()),
            (true, "thread (#1)".to_owned())
        );
    }
}
