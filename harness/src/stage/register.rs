//! Registers scripted components with a worker context, by the calls that a service uses for its own.

use tokio_util::sync::CancellationToken;

use super::body::{Pace, blocking, called, live};
use crate::journal::{Id, Kind, Name, Told};
use crate::scenario::Component;
use deadstop::context::{BodyOpts, CallOpts, ComponentHandle, WorkerCtx};
use deadstop::host::Scope;
use deadstop::watchdog::{Probe, Watchdog};

/// Means that the simulator or the live run gives to scripted components: their paces, adopted tasks and probes.
pub(crate) trait Cast: Clone + Send + Sync + 'static {
    /// Pace that waits by blocking.
    type Blocks<'a>: Pace;
    /// Pace that waits by awaiting.
    type Awaits: Pace + Send;
    /// Probe of the scripted health endpoint.
    type Probe: Probe;

    fn blocks<'a>(&self, index: usize, scope: &'a Scope) -> Self::Blocks<'a>;

    /// Returns a pace for a task or async callback. It is told by the token, or not at all if there is none.
    fn awaits(&self, index: usize, token: Option<CancellationToken>) -> Self::Awaits;

    /// Starts a task outside the context, and has the context adopt it. Returns `None` if that is refused.
    fn adopt(
        &self,
        ctx: &WorkerCtx,
        opts: BodyOpts,
        index: usize,
        name: Name,
    ) -> Option<ComponentHandle>;

    fn probe(&self, index: usize) -> Self::Probe;
}

fn body_opts(spec: &Component) -> BodyOpts {
    let opts = BodyOpts::new()
        .order(spec.order)
        .timeout(spec.timeout)
        .uses(&spec.uses[..]);
    if spec.told == Told::InTurn {
        opts.in_turn()
    } else {
        opts
    }
}

fn call_opts(spec: &Component) -> CallOpts {
    let opts = CallOpts::new()
        .order(spec.order)
        .timeout(spec.timeout)
        .uses(&spec.uses[..]);
    match spec.floor {
        Some(floor) => opts.floor(floor),
        None => opts,
    }
}

/// Registers one scripted component with a context. Returns `None` if that is refused.
pub(crate) fn register<C: Cast>(
    ctx: &WorkerCtx,
    cast: &C,
    index: usize,
    spec: &Component,
) -> Option<Id> {
    let registered = register_component(ctx, cast, index, spec);
    registered.map(|component| component.id())
}

fn register_component<C: Cast>(
    ctx: &WorkerCtx,
    cast: &C,
    index: usize,
    spec: &Component,
) -> Option<ComponentHandle> {
    let name = spec.name.clone();
    let cast = cast.clone();
    let calls = {
        let cast = cast.clone();
        move |scope: &Scope| blocking(called(index, &cast.blocks(index, scope)))
    };
    // An async callback makes its pace when it is called.
    let awaits = {
        let cast = cast.clone();
        move || {
            let pace = cast.awaits(index, None);
            async move { called(index, &pace).await }
        }
    };
    match (spec.kind, spec.is_async) {
        (Kind::Thread, _) => ctx
            .add_thread(name, body_opts(spec), move |scope| {
                blocking(live(index, &cast.blocks(index, scope), true))
            })
            .ok(),
        (Kind::Task, _) if spec.adopted => cast.adopt(ctx, body_opts(spec), index, name),
        (Kind::Task, _) => ctx
            .add_task(name, body_opts(spec), move |token| async move {
                live(index, &cast.awaits(index, Some(token)), true).await
            })
            .ok(),
        (Kind::Stop, false) => ctx.defer_stop(name, call_opts(spec), calls).ok(),
        (Kind::Stop, true) => ctx.defer_stop_async(name, call_opts(spec), awaits).ok(),
        (Kind::Cleanup, false) => ctx.defer_cleanup(name, call_opts(spec), calls).ok(),
        (Kind::Cleanup, true) => ctx.defer_cleanup_async(name, call_opts(spec), awaits).ok(),
        (Kind::Closeable, false) => ctx
            .add_closeable_with(name, call_opts(spec), (), move |(), scope| calls(scope))
            .ok(),
        (Kind::Closeable, true) => ctx.add_closeable_async(name, call_opts(spec), awaits).ok(),
        (Kind::Watchdog, _) => {
            let limits = spec.watchdog.expect("a watchdog has its limits");
            let mut watchdog = Watchdog::new(cast.probe(index))
                .interval(limits.interval)
                .attempts(limits.attempts)
                .request_timeout(limits.request_timeout);
            if let Some(grace) = limits.start_grace {
                watchdog = watchdog.start_grace(grace);
            }
            ctx.add_watchdog(name, body_opts(spec), watchdog).ok()
        }
        (Kind::Main, _) => None,
    }
}
