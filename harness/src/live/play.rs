//! The shared state of a live run: the scene behind its lock, and the rest that the run's threads share.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::blocker::TurnBlocker;
use super::clock::Clock;
use super::scene::Scene;
use super::server::Server;
use super::turns::Gate;
use crate::journal::{Cause, How, Id, MAIN, Name, What};
use crate::lock::lock;
use crate::stage::{MAIN_PART, Part, Stage};
use deadstop::context::{Life, WorkerCtx};
use deadstop::host::{ContextId, Live, Who};

pub(super) struct Play {
    scene: Mutex<Scene>,
    /// Notified when the scene may have changed.
    changed: Condvar,
    pub clock: Arc<Clock>,
    /// The service's executor: one thread, which a component can hold.
    pub executor: Handle,
    pub server: Server,
    /// The context and its life, once they are built.
    worker: OnceLock<(WorkerCtx, Life)>,
    /// The live host, once it is made.
    pub live: OnceLock<Arc<Live>>,
    context: Mutex<Option<ContextId>>,
    /// Held during a registration, so that ids are recorded in their order.
    pub registering: Mutex<()>,
    /// By component, the sender that lets a task begin which was started before its registration.
    pub gates: Mutex<BTreeMap<usize, oneshot::Sender<()>>>,
    /// By component, the blocker with which its thread waits.
    blockers: Mutex<BTreeMap<usize, Arc<TurnBlocker>>>,
    /// Exit code of a program that only calls, once it has nothing more to do.
    exit_code: OnceLock<i32>,
}

/// Returns whether only the driver of start, stop and cleanup makes this claim, and no thread beside it.
fn by_the_driver(claim: &What) -> bool {
    !matches!(
        claim,
        What::Requested { .. }
            | What::Watchdog { .. }
            | What::GraceBegan { .. }
            | What::Refused { .. }
            | What::Registered(_)
    )
}

impl Play {
    pub fn new(
        scene: impl FnOnce(std::sync::Weak<Play>) -> Scene,
        clock: Arc<Clock>,
        executor: Handle,
        server: Server,
    ) -> Arc<Self> {
        Arc::new_cyclic(|play| Play {
            scene: Mutex::new(scene(play.clone())),
            changed: Condvar::new(),
            clock,
            executor,
            server,
            worker: OnceLock::new(),
            live: OnceLock::new(),
            context: Mutex::new(None),
            registering: Mutex::new(()),
            gates: Mutex::default(),
            blockers: Mutex::default(),
            exit_code: OnceLock::new(),
        })
    }

    pub fn set_worker(&self, ctx: WorkerCtx, life: Life) {
        let _ = self.worker.set((ctx, life));
    }

    pub fn ctx(&self) -> &WorkerCtx {
        &self.worker().0
    }

    pub fn life(&self) -> &Life {
        &self.worker().1
    }

    fn worker(&self) -> &(WorkerCtx, Life) {
        let worker = self.worker.get();
        worker.expect("the context is built before anything of it runs")
    }

    /// Runs `look` on the scene under its lock. `look` must not wait, and may call the context for its running flag
    /// only.
    pub fn with_scene<R>(&self, look: impl FnOnce(&Scene) -> R) -> R {
        let looked = look(&lock(&self.scene));
        self.changed.notify_all();
        looked
    }

    /// Waits until `over` is true of the scene, but not past `until`, in nanoseconds of real time since the run
    /// began.
    pub fn wait_for_scene(&self, until: Option<u64>, mut over: impl FnMut(&Scene) -> bool) {
        let mut scene = lock(&self.scene);
        while !over(&scene) {
            scene = match until {
                None => self
                    .changed
                    .wait(scene)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_sub(self.clock.real());
                    if left == 0 {
                        return;
                    }
                    let waited = self.changed.wait_timeout(scene, Duration::from_nanos(left));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Records a claim of the context, and the running flag if it has changed.
    ///
    /// The flag is read under the scene's lock, so that the reading is recorded before any other thread reads the
    /// flag.
    pub fn claim(&self, claim: What) {
        self.with_scene(|scene| {
            match &claim {
                What::StepStarted { name, id, .. } => {
                    scene.parts.step_began(*id);
                    scene.script().borrow_mut().began(name, scene.now());
                }
                What::Leak { id, .. } => scene.parts.leaked(*id),
                _ => {}
            }
            // Another thread may request a stop, or register, between the flag's change and the driver's claim about
            // it.
            let by_the_driver = by_the_driver(&claim);
            scene.record(claim);
            if by_the_driver {
                let running = self.worker.get().is_none_or(|(ctx, _)| ctx.running());
                if scene.running.replace(running) != running {
                    scene.record(What::Running { value: running });
                }
            }
        });
    }

    /// Records the registration of a component whose code is about to run for the first time, unless it is recorded
    /// already: it comes before all other events of the component. Also notes which context runs here.
    pub fn record_registration(&self, who: &Who) {
        *lock(&self.context) = Some(who.context);
        if who.id != MAIN {
            self.with_scene(|scene| {
                if let Some(part) = scene.parts.named(&who.name)
                    && part.id.get().is_none()
                {
                    scene.stage().registered(part.index, who.id);
                }
            });
        }
    }

    /// Returns the id of the context whose code runs here, once the first code of it was started.
    pub fn context(&self) -> Option<ContextId> {
        *lock(&self.context)
    }

    /// Returns the stage's index of the component with that id.
    pub fn index_of(&self, id: Id) -> Option<usize> {
        if id == MAIN {
            return Some(MAIN_PART);
        }
        self.with_scene(|scene| scene.parts.index_by_id(id))
    }

    /// Records that a component's code begins, and returns the ordinal of this run or call, from 1. If the component
    /// has no id yet, records nothing and returns 1.
    pub fn record_begin(&self, part: usize) -> u32 {
        self.with_scene(|scene| {
            let part = &scene.parts.all[part];
            if part.id.get().is_none() {
                return 1;
            }
            scene.stage().began(part, 0)
        })
    }

    /// Records that the `nth` run or call of a component's code is over.
    pub fn record_end(&self, part: usize, nth: u32, how: How, error: Option<Name>) {
        self.with_scene(|scene| {
            let part = &scene.parts.all[part];
            if part.id.get().is_some() {
                scene.stage().ended(part, nth, how, error);
            }
        });
    }

    /// Waits until the code that was woken on the executor has run, but not past `late`, in nanoseconds of real time.
    /// Does not wait if the executor is held.
    pub fn ping_executor(&self, late: u64) {
        if self.with_scene(Scene::is_held) {
            return;
        }
        let (ran, has_run) = std::sync::mpsc::sync_channel::<()>(1);
        drop(self.executor.spawn(async move { drop(ran) }));
        let left = late.saturating_sub(self.clock.real());
        let _ = has_run.recv_timeout(Duration::from_nanos(left));
    }

    /// Sets the blocker with which a component's thread waits.
    pub fn set_blocker(&self, part: usize, blocker: &Arc<TurnBlocker>) {
        lock(&self.blockers).insert(part, Arc::clone(blocker));
    }

    /// Returns the blocker with which a component's thread waits.
    pub fn blocker_of(&self, part: usize) -> Option<Arc<TurnBlocker>> {
        lock(&self.blockers).get(&part).cloned()
    }

    /// Runs `look` on one component under the scene's lock.
    pub fn with_part<R>(&self, index: usize, look: impl FnOnce(&dyn Stage, &Part) -> R) -> R {
        self.with_scene(|scene| look(scene, &scene.parts.all[index]))
    }

    /// Runs `wait` for a component, unless a change of the component came first. A change cancels `token`, which ends
    /// the wait early.
    pub fn wait_interruptibly(
        &self,
        part: usize,
        token: CancellationToken,
        until: u64,
        wait: impl FnOnce(CancellationToken),
    ) {
        if self.with_scene(|scene| scene.arm(part, token.clone(), until)) {
            wait(token);
        }
        self.with_scene(|scene| scene.disarm(part));
    }

    /// Records that the process ends. Returns true for the first caller only.
    pub fn record_exit(&self, code: i32, cause: Cause) -> bool {
        self.with_scene(|scene| {
            let first = !scene.is_over();
            if first {
                scene.close_journal(Some((code, cause)));
            }
            first
        })
    }

    /// Sets the exit code of a program that only calls.
    pub fn set_exit_code(&self, code: i32) {
        let _ = self.with_scene(|_| self.exit_code.set(code));
    }

    /// Returns the exit code of a program that only calls, once it has nothing more to do.
    pub fn exit_code(&self) -> Option<i32> {
        self.exit_code.get().copied()
    }
}

impl Gate for Play {
    fn begin_turn(&self, on_executor: bool) -> bool {
        let mut scene = lock(&self.scene);
        let mut waited = false;
        if on_executor {
            scene.add_waiting_turns(1);
            self.changed.notify_all();
        }
        loop {
            let is_held = on_executor && scene.is_held();
            if scene.is_over() || !is_held && scene.may_go_on() {
                break;
            }
            waited = true;
            scene = self
                .changed
                .wait(scene)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if on_executor {
            scene.add_waiting_turns(-1);
        }
        scene.begin_turn();
        waited
    }

    fn end_turn(&self) {
        self.with_scene(Scene::end_turn);
    }

    fn add_unbegun(&self, on_executor: bool, by: i32) {
        self.with_scene(|scene| scene.add_unbegun(on_executor, by));
    }
}
