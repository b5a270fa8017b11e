//! Runtimes of a caller's futures that end with the future they were made for.

use std::cell::Cell;

use tokio::runtime::{Builder, Handle, Id, Runtime};
use tokio::task::JoinHandle;

use super::small_runtime;

thread_local! {
    /// The passing runtime that this thread drives.
    static DRIVEN: Cell<Option<Id>> = const { Cell::new(None) };
}

/// A runtime on one thread, gone when the future that it drives is ready: with all that the service has
/// of tokio. Where its I/O cannot be had, since no file can be opened any more, it still has time.
pub(crate) struct Passing(Runtime);

impl Passing {
    pub fn new() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.or_else(|_| small_runtime()).map(Passing)
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "it is where the live host starts what has no other runtime"
    )]
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.0.spawn(future)
    }

    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        struct Outer(Option<Id>);
        impl Drop for Outer {
            fn drop(&mut self) {
                DRIVEN.set(self.0);
            }
        }
        let _outer = Outer(DRIVEN.replace(Some(self.0.handle().id())));
        self.0.block_on(future)
    }
}

/// The runtime around the caller, for what is to run there later: none that passes.
pub(crate) fn lasting() -> Option<Handle> {
    let here = Handle::try_current().ok()?;
    (DRIVEN.get() != Some(here.id())).then_some(here)
}
