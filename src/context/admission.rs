//! Admission: the two ways by which a component comes into the registry, that of a body and that of a callback.

use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::core::Core;
use super::ctx::WorkerCtx;
use super::error::{Refusal, Refused};
use super::handle::ComponentHandle;
use super::opts::{BodyOpts, CallOpts, Opts};
use super::registry::{Callback, Code, Running};
use crate::host::{BoxError, BoxFuture, Scope, SpawnError, harness_part};
use crate::journal::{Kind, Name};

impl<A> WorkerCtx<A> {
    /// Registers a body, which `start` runs from now on.
    #[track_caller]
    pub(super) fn register_body<T: Send + 'static>(
        &self,
        name: impl Into<Name>,
        kind: Kind,
        opts: impl Into<BodyOpts>,
        value: T,
        start: impl FnOnce(&Starting<'_>, Slot<T>) -> Result<Running, Refusal>,
    ) -> Result<ComponentHandle, Refused<T>> {
        let opts = opts.into().into();
        self.register(name, kind, opts, value, |starting, value| {
            start(starting, value).map(Code::Running)
        })
    }

    /// Registers a callback, which `make` makes of the value.
    #[track_caller]
    pub(super) fn register_call<T: Send + 'static>(
        &self,
        name: impl Into<Name>,
        kind: Kind,
        opts: impl Into<CallOpts>,
        value: T,
        make: impl FnOnce(Slot<T>) -> Callback,
    ) -> Result<ComponentHandle, Refused<T>> {
        let opts = opts.into().into();
        self.register(name, kind, opts, value, |_, value| {
            Ok(Code::Call(make(value)))
        })
    }

    /// Registers the code that `make` makes of a value. A refusal hands the value back; the rest of what the caller
    /// gave is dropped here, where no lock is held.
    #[track_caller]
    fn register<T: Send + 'static>(
        &self,
        name: impl Into<Name>,
        kind: Kind,
        opts: Opts,
        value: T,
        make: impl FnOnce(&Starting<'_>, Slot<T>) -> Result<Code, Refusal>,
    ) -> Result<ComponentHandle, Refused<T>> {
        let slot = Slot(Arc::new(Mutex::new(Some(value))));
        let start = |core: &Arc<Core>, handle: &ComponentHandle| {
            make(&Starting { core, handle }, Slot(Arc::clone(&slot.0)))
        };
        self.core
            .register(name.into(), kind, opts, Location::caller(), start)
            .map_err(|(refusal, name)| Refused::new(slot.take(), refusal, kind, name))
    }
}

/// A body that has been admitted, and whose code is to be started.
pub(super) struct Starting<'a> {
    pub core: &'a Arc<Core>,
    pub handle: &'a ComponentHandle,
}

impl Starting<'_> {
    /// Runs a body on a thread.
    pub fn body(
        &self,
        body: impl FnOnce(&Scope) -> Result<(), BoxError> + Send + 'static,
    ) -> Result<Running, Refusal> {
        let token = CancellationToken::new();
        let on_end = self.core.on_end(self.handle);
        let who = self.core.who(self.handle);
        let host = &self.core.host;
        host.spawn_body(who, token.clone(), Box::new(body), on_end)
            .map_err(refusal)?;
        Ok(Running {
            token: Some(token),
            ..Running::default()
        })
    }

    /// Runs a task on the service's executor. `task` gets the token that tells it.
    pub fn task(
        &self,
        task: impl FnOnce(CancellationToken) -> BoxFuture<Result<(), BoxError>>,
    ) -> Result<Running, Refusal> {
        let token = CancellationToken::new();
        let who = self.core.who(self.handle);
        let future = task(harness_part(&*self.core.host).given(&who, token.clone()));
        let on_end = self.core.on_end(self.handle);
        let abort = self.core.spawn_task(who, future, on_end).map_err(refusal)?;
        Ok(Running {
            token: Some(token),
            abort: Some(abort),
            ..Running::default()
        })
    }
}

/// A value that is either run or handed back: if its code cannot be started, the value stays here.
pub(super) struct Slot<T>(Arc<Mutex<Option<T>>>);

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn take(&self) -> T {
        self.lock()
            .take()
            .expect("a registered value is taken once: run, or handed back")
    }
}

/// Converts the error of a host that could not start the code.
pub(super) fn refusal(error: SpawnError) -> Refusal {
    Refusal::limit(error.to_string())
}
