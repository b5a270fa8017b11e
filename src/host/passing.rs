//! Runtimes that drive one future of a caller's and end with it.

use std::cell::Cell;

use tokio::runtime::{Builder, Handle, Id, Runtime};
use tokio::task::JoinHandle;

use super::executor::Around;
use super::small_runtime::small_runtime;

thread_local! {
    /// The passing runtime that this thread drives, and whether it has I/O.
    static DRIVEN: Cell<Option<(Id, bool)>> = const { Cell::new(None) };
}

/// A runtime on one thread that ends when the future that it drives is ready. It has every part of tokio that the
/// service is built with. If its I/O cannot be had, since no file can be opened any more, it still has time.
pub(crate) struct PassingRuntime {
    runtime: Runtime,
    has_io: bool,
}

impl PassingRuntime {
    pub fn new() -> std::io::Result<Self> {
        let whole = Builder::new_current_thread().enable_all().build();
        let has_io = whole.is_ok();
        let runtime = whole.or_else(|_| small_runtime())?;
        Ok(PassingRuntime { runtime, has_io })
    }

    #[cfg(all(test, feature = "http"))]
    pub fn without_io() -> Self {
        let runtime = small_runtime().expect("it needs no file");
        let has_io = false;
        PassingRuntime { runtime, has_io }
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "it is where the live host starts what has no other runtime"
    )]
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.runtime.spawn(future)
    }

    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        struct Outer(Option<(Id, bool)>);
        impl Drop for Outer {
            fn drop(&mut self) {
                DRIVEN.set(self.0);
            }
        }
        let driven = (self.runtime.handle().id(), self.has_io);
        let _outer = Outer(DRIVEN.replace(Some(driven)));
        self.runtime.block_on(future)
    }
}

/// Returns the runtime around the caller, for code that is to run there later; `None` if it is a passing one.
pub(crate) fn lasting() -> Option<Handle> {
    let here = Handle::try_current().ok()?;
    driven(&here).is_none().then_some(here)
}

/// Returns the kind of executor around the caller.
pub(crate) fn around() -> Around {
    match Handle::try_current() {
        Err(_) => Around::Nothing,
        Ok(here) if driven(&here).is_some() => Around::Passing,
        Ok(_) => Around::Lasting,
    }
}

/// Returns whether tokio's I/O can be used here. A caller's own runtime cannot be asked, and is taken to have it.
#[cfg(feature = "http")]
pub(crate) fn has_io() -> bool {
    Handle::try_current().is_ok_and(|here| driven(&here).unwrap_or(true))
}

/// Returns whether `here` has I/O if it is this thread's passing runtime, else `None`.
fn driven(here: &Handle) -> Option<bool> {
    let (id, has_io) = DRIVEN.get()?;
    (id == here.id()).then_some(has_io)
}
