//! How scripted components wait in a live run: a thread in its scope, a task on the service's executor. Implements
//! the stage's [`Cast`] and [`Pace`].

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::executor::{EndRecorder, RecordedTask};
use super::play::Play;
use super::probe::LiveProbe;
use super::turns::Turns;
use crate::journal::Name;
use crate::lock::lock;
use crate::stage::{self, Cast, MAIN_PART, NEVER, Pace, Stage, Wait};
use deadstop::context::{BodyOpts, ComponentHandle, MainError, WorkerCtx};
use deadstop::host::{BoxFuture, Scope};

/// The cast of a live run: scripted components on threads and tasks.
#[derive(Clone)]
pub(super) struct LiveCast(pub Arc<Play>);

impl Cast for LiveCast {
    type Blocks<'a> = Blocks<'a>;
    type Awaits = Awaits;
    type Probe = LiveProbe;

    fn blocks<'a>(&self, part: usize, scope: &'a Scope) -> Blocks<'a> {
        let play = Arc::clone(&self.0);
        Blocks { play, part, scope }
    }

    fn awaits(&self, part: usize, token: Option<CancellationToken>) -> Awaits {
        Awaits::new(Arc::clone(&self.0), part, token)
    }

    /// Spawns a task of tokio's own, and has the context adopt it by its handle.
    fn adopt(
        &self,
        ctx: &WorkerCtx,
        opts: BodyOpts,
        part: usize,
        name: Name,
    ) -> Option<ComponentHandle> {
        let (gate, opens) = oneshot::channel();
        lock(&self.0.gates).insert(part, gate);
        let pace = self.awaits(part, None);
        let nth = Arc::new(AtomicU32::new(0));
        let turns = Arc::new(Turns::new(&self.0, true));
        let recorder = EndRecorder::new(Arc::clone(&self.0), part, Arc::clone(&nth), turns.clone());
        let lives = Box::pin(async move { stage::live(part, &pace, true).await });
        let lives = RecordedTask::new(Arc::clone(&self.0), Some(part), nth, turns, lives);
        let task = self.0.executor.spawn(async move {
            let recorder = recorder;
            // An adopted task runs already, but none of its events is recorded before its registration.
            match opens.await {
                Ok(()) => recorder.await_task(lives).await,
                Err(_) => Ok(()),
            }
        });
        match ctx.adopt_task(name, opts, task) {
            Ok(id) => Some(id),
            Err(refused) => {
                refused.into_value().abort();
                None
            }
        }
    }

    fn probe(&self, part: usize) -> LiveProbe {
        LiveProbe::new(Arc::clone(&self.0), part)
    }
}

/// The pace of blocking code, in a scope. Its futures are ready when first polled: they wait inside the poll.
pub(super) struct Blocks<'a> {
    play: Arc<Play>,
    part: usize,
    scope: &'a Scope,
}

impl Pace for Blocks<'_> {
    fn look<R>(&self, look: impl FnOnce(&dyn Stage) -> R) -> R {
        self.play.with_scene(|scene| look(scene))
    }

    fn register(&self, index: usize) {
        register(&self.play, index);
    }

    async fn pause(&self, wait: Wait) {
        // The scope itself waits with this token, which is cancelled to wake the component.
        let token = if wait.heeds {
            self.scope.token().child_token()
        } else {
            CancellationToken::new()
        };
        let Some(blocker) = self.play.blocker_of(self.part) else {
            return;
        };
        let until = (wait.until != NEVER).then(|| Duration::from_millis(wait.until));
        self.play
            .wait_interruptibly(self.part, token, wait.until, |token| {
                if !token.is_cancelled() {
                    blocker.wait_until(&token, until);
                }
            });
    }

    fn told(&self) -> bool {
        !self.scope.running()
    }
}

/// The pace of async code, with the token by which it is told, or without one.
pub(super) struct Awaits {
    play: Arc<Play>,
    part: usize,
    token: Option<CancellationToken>,
}

impl Awaits {
    pub fn new(play: Arc<Play>, part: usize, token: Option<CancellationToken>) -> Self {
        Awaits { play, part, token }
    }
}

impl Pace for Awaits {
    fn look<R>(&self, look: impl FnOnce(&dyn Stage) -> R) -> R {
        self.play.with_scene(|scene| look(scene))
    }

    fn register(&self, index: usize) {
        register(&self.play, index);
    }

    async fn pause(&self, wait: Wait) {
        let bell = match self.token.as_ref().filter(|_| wait.heeds) {
            Some(token) => token.child_token(),
            None => CancellationToken::new(),
        };
        if self
            .play
            .with_scene(|scene| scene.arm(self.part, bell.clone(), wait.until))
        {
            let wakes = match wait.until {
                NEVER => None,
                until => {
                    let clock = &self.play.clock;
                    clock.at(clock.time_map.wakes_at(Duration::from_millis(until)))
                }
            };
            let sleep = async {
                match wakes {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = bell.cancelled() => {}
                () = sleep => {}
            }
        }
        self.play.with_scene(|scene| scene.disarm(self.part));
    }

    fn told(&self) -> bool {
        self.token
            .as_ref()
            .is_some_and(CancellationToken::is_cancelled)
    }
}

/// Registers a component, unless the context refuses it.
pub(super) fn register(play: &Arc<Play>, index: usize) {
    let _registering = lock(&play.registering);
    let spec = play.with_scene(|scene| scene.parts.all[index].spec().clone());
    let cast = LiveCast(Arc::clone(play));
    // A task belongs to the executor around the thread that registers it.
    let _on = play.executor.enter();
    if let Some(id) = stage::register(play.ctx(), &cast, index, &spec) {
        play.with_scene(|scene| {
            if scene.parts.all[index].id.get().is_none() {
                scene.stage().registered(index, id);
            }
        });
    }
    // Lets an adopted task begin. If it was refused, it was aborted before.
    if let Some(gate) = lock(&play.gates).remove(&index) {
        let _ = gate.send(());
    }
}

/// Returns the scripted main.
pub(super) fn main(
    play: &Arc<Play>,
) -> impl FnOnce() -> BoxFuture<Result<(), MainError>> + Send + 'static {
    let play = Arc::clone(play);
    move || Box::pin(async move { stage::main(&Awaits::new(play, MAIN_PART, None)).await })
}
