//! The live host, with the one or two methods that a test changes.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use deadstop::host::{
    Abort, Around, Body, BoxError, BoxFuture, ContextId, Executor, HarnessHost, Host, Live, OnEnd,
    SpawnError, Who,
};
use deadstop::journal::{Cause, Id, Name};
use tokio_util::sync::CancellationToken;

/// The methods that a test's host may change. Only those that some test changes are here.
pub trait HostChanges: Debug + Send + Sync + 'static {
    fn sleep_until(&self, live: &Live, at: Duration) -> BoxFuture<()> {
        live.sleep_until(at)
    }

    fn drive(&self, live: &Live, future: BoxFuture<()>) -> Result<(), SpawnError> {
        live.drive(future)
    }

    fn spawn_body(
        &self,
        live: &Live,
        who: Who,
        told: CancellationToken,
        body: Body,
        ended: OnEnd,
    ) -> Result<(), SpawnError> {
        live.spawn_body(who, told, body, ended)
    }

    fn exit(&self, live: &Live, code: i32, cause: Cause) {
        live.exit(code, cause);
    }
}

/// Returns a live host with a clock that begins now, and with these changes.
pub fn live_with(changes: impl HostChanges) -> Arc<dyn Host> {
    Arc::new(ChangedHost {
        live: Live::new(),
        changes,
    })
}

#[derive(Debug)]
struct ChangedHost<M> {
    live: Live,
    changes: M,
}

#[deny(
    clippy::missing_trait_methods,
    reason = "what is left at its default is not the live host's"
)]
impl<M: HostChanges> Host for ChangedHost<M> {
    fn now(&self) -> Duration {
        self.live.now()
    }

    fn sleep_until(&self, at: Duration) -> BoxFuture<()> {
        self.changes.sleep_until(&self.live, at)
    }

    fn ready(&self) -> Result<(), SpawnError> {
        self.live.ready()
    }

    fn drive(&self, future: BoxFuture<()>) -> Result<(), SpawnError> {
        self.changes.drive(&self.live, future)
    }

    fn watch(&self, future: BoxFuture<()>) -> Result<(), SpawnError> {
        self.live.watch(future)
    }

    fn call(&self, name: &Name, call: Box<dyn FnOnce() + Send + 'static>) {
        self.live.call(name, call);
    }

    fn spawn_task(
        &self,
        who: Who,
        future: BoxFuture<Result<(), BoxError>>,
        ended: OnEnd,
    ) -> Result<Box<dyn Abort>, SpawnError> {
        self.live.spawn_task(who, future, ended)
    }

    fn executor(&self) -> Option<Box<dyn Executor>> {
        self.live.executor()
    }

    fn around(&self) -> Around {
        self.live.around()
    }

    fn block_on(&self, future: Pin<&mut (dyn Future<Output = ()> + Send)>) {
        self.live.block_on(future);
    }

    fn spawn_body(
        &self,
        who: Who,
        told: CancellationToken,
        body: Body,
        ended: OnEnd,
    ) -> Result<(), SpawnError> {
        self.changes.spawn_body(&self.live, who, told, body, ended)
    }

    fn withdraw(&self, context: ContextId, id: Id) -> Option<SpawnError> {
        self.live.withdraw(context, id)
    }

    #[cfg(feature = "http")]
    fn connect(
        &self,
        authority: &str,
    ) -> BoxFuture<std::io::Result<Box<dyn deadstop::host::Stream>>> {
        self.live.connect(authority)
    }

    fn harness_part(&self) -> Option<&dyn HarnessHost> {
        self.live.harness_part()
    }

    fn is_inside(&self, context: ContextId) -> bool {
        self.live.is_inside(context)
    }

    fn exit(&self, code: i32, cause: Cause) {
        self.changes.exit(&self.live, code, cause);
    }
}
