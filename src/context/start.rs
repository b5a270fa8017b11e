//! Start: runs main. If that does not lead to a running worker, nothing is left open (rule 9).

use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::core::Core;
use super::error::{MainError, StartError};
use super::group::{self, Group};
use super::handle::ComponentHandle;
use super::limits::stop_bound;
use super::opts::Opts;
use super::registry::{Code, RegisteredComponent, Running};
use super::report::Reason;
use crate::host::{Abort, Body, BoxError, BoxFuture, Scope};
use crate::journal::{By, Claim, How, Kind, MAIN, Name, Phase, RefusedReason, State};

/// The main function of a worker.
#[non_exhaustive]
pub enum Main {
    /// A future, which a runtime drives.
    Async(BoxFuture<Result<(), MainError>>),
    /// Code that blocks its thread.
    Blocking(BlockingMain),
}

type BlockingMain = Box<dyn FnOnce(&Scope) -> Result<(), MainError> + Send>;

impl Core {
    /// Starts the worker, once. The start goes on if its caller is dropped.
    ///
    /// If `heeds` is set and the start goes well, the driver heeds the requests that come later, even if the
    /// caller is dropped.
    pub(crate) async fn start(
        self: &Arc<Self>,
        main: impl FnOnce() -> Main,
        place: &'static Location<'static>,
        heeds: bool,
    ) -> Result<(), StartError> {
        if self.is_inside() {
            self.refuse_call("start", RefusedReason::Inside);
            return Err(super::error::CalledFromInside.into());
        }
        {
            let mut registry = self.registry();
            if registry.state != State::Created || registry.stop_wanted && registry.has_driver {
                drop(registry);
                self.refuse_call("start", RefusedReason::Again);
                return Err(StartError::Again);
            }
            registry.state = State::Starting;
            registry.start_begun = true;
        }
        self.remember_lasting_executor();
        self.emit(Claim::State {
            state: State::Starting,
        });
        self.emit(Claim::PhaseStarted {
            phase: Phase::Start,
            ends: None,
        });
        // A stop was requested before the start: main never runs.
        let abort = if self.request_announced.is_cancelled() {
            None
        } else {
            self.spawn_main(main())
        };
        let core = Arc::clone(self);
        let undriven = self.drive(Box::pin(async move {
            let result = core.drive_start(abort, place).await;
            let heeds = heeds && result.is_ok();
            let _ = core.start_result.set(result);
            let undriven = heeds.then(|| core.shut_down_when_requested()).flatten();
            drop(core);
            if let Some(undriven) = undriven {
                undriven.await;
            }
        }));
        if let Some(start) = undriven {
            start.await;
        }
        self.start_result.wait().await.clone()
    }

    /// Returns whether a start was accepted, from any caller.
    pub(crate) fn has_begun_start(&self) -> bool {
        self.registry().start_begun
    }

    pub(crate) fn refuse_call(&self, call: &str, reason: RefusedReason) {
        self.emit(Claim::Refused {
            what: "call".into(),
            name: call.into(),
            reason,
        });
    }

    /// Runs main as a task or as a thread. Returns `None` if main cannot be aborted, or could not be started.
    fn spawn_main(self: &Arc<Self>, main: Main) -> Option<Box<dyn Abort>> {
        let main_handle = ComponentHandle::new(MAIN, Name::from("main"), Kind::Main);
        let token = CancellationToken::new();
        {
            let mut registry = self.registry();
            registry.main = Some((main_handle.clone(), token.clone()));
            registry.taken_over.insert(MAIN, main_handle.clone());
        }
        let who = self.who(&main_handle);
        let on_end = self.on_end(&main_handle);
        let core = Arc::downgrade(self);
        let keep_exit_code = move |result: Result<(), MainError>| {
            result.map_err(|error| {
                if let Some(core) = core.upgrade() {
                    core.registry().main_code = error.asks_for();
                }
                error.error
            })
        };
        let spawned = match main {
            Main::Async(future) => self
                .spawn_task(
                    who,
                    Box::pin(async move { keep_exit_code(future.await) }),
                    on_end,
                )
                .map(Some),
            Main::Blocking(body) => {
                let body: Body = Box::new(move |scope| keep_exit_code(body(scope)));
                self.host
                    .spawn_body(who, token, body, on_end)
                    .map(|()| None)
            }
        };
        spawned.unwrap_or_else(|error| {
            let error: BoxError = error.into();
            let at = self.host.now();
            let words = crate::words::one_line(&error);
            let mut registry = self.registry();
            registry.taken_over.remove(&MAIN);
            registry.main_ended = Some(crate::host::Ended {
                how: How::Failed,
                error: Some(words),
                at,
            });
            None
        })
    }

    async fn drive_start(
        self: &Arc<Self>,
        abort: Option<Box<dyn Abort>>,
        place: &'static Location<'static>,
    ) -> Result<(), StartError> {
        let main_began = self.registry().main.is_some();
        // Waits until main ends or a stop is requested, whichever comes first.
        while main_began
            && self.registry().main_ended.is_none()
            && !self.request_announced.is_cancelled()
        {
            self.driver_wake.notified().await;
        }
        let requested = self.request_announced.is_cancelled();
        let main_failed = || {
            let ended = self.registry().main_ended.clone()?;
            match ended.how {
                How::Ok => None,
                How::Failed | How::Panicked => {
                    Some(ended.error.unwrap_or_else(|| Name::from("main failed")))
                }
                // After a request, the context has aborted main: that is no error of main's.
                How::Dropped if requested => None,
                How::Dropped => Some(Name::from("main was dropped before it had returned")),
            }
        };
        if !requested && main_failed().is_none() {
            return self.complete_start().await;
        }
        if requested {
            self.begin_grace_and_await_announcement().await;
            let ended = self.registry().main_ended.is_some();
            if main_began && !ended {
                self.await_main(abort, place).await;
            }
        } else {
            let words = main_failed().unwrap_or_else(|| Name::from("main failed"));
            self.request_and_begin_grace(Reason::new(format!("main failed: {words}"), By::Main));
            // Another caller's request may be the first, and may not have been announced yet.
            self.request_announced.cancelled().await;
            self.begin_grace_and_await_announcement().await;
        }
        self.emit(Claim::PhaseEnded {
            phase: Phase::Start,
            ends: None,
        });
        {
            let mut registry = self.registry();
            registry.cleanup_wanted = true;
            registry.has_driver = true;
        }
        Arc::clone(self).drive_shutdown().await;
        let report = self.last_report();
        match main_failed() {
            Some(message) => {
                let code = self.registry().main_code;
                Err(StartError::Main {
                    message,
                    code,
                    requested,
                    report,
                })
            }
            None => Err(StartError::StopRequested { report }),
        }
    }

    /// Completes the start after main has returned, while no stop was requested.
    async fn complete_start(self: &Arc<Self>) -> Result<(), StartError> {
        self.warn_of_mistakes();
        self.emit(Claim::PhaseEnded {
            phase: Phase::Start,
            ends: None,
        });
        self.set_state(State::Running);
        // During the start, `begin_shutdown` leaves a stop to the start, as its driver. A stop that was asked for in
        // that time has to be driven now.
        let wanted = {
            let registry = self.registry();
            registry.stop_wanted.then_some(registry.cleanup_wanted)
        };
        if let Some(undriven) = wanted.and_then(|cleanup| self.shut_down(cleanup)) {
            undriven.await;
        }
        Ok(())
    }

    /// Tells main, and awaits it as a step of the phase start.
    async fn await_main(
        self: &Arc<Self>,
        abort: Option<Box<dyn Abort>>,
        place: &'static Location<'static>,
    ) {
        let Some((handle, token)) = self.registry().main.clone() else {
            return; // It never began.
        };
        let ends = self.begin_grace().stop_ends;
        let second_signal_came = self.second_signal_came();
        let bound = stop_bound(
            Kind::Main,
            self.limits.start_timeout,
            self.time_left(ends),
            second_signal_came,
        );
        let component = RegisteredComponent {
            handle,
            opts: Opts::with_timeout(self.limits.start_timeout),
            place,
            code: Code::Running(Running {
                token: Some(token),
                abort,
                ..Running::default()
            }),
        };
        let group = Group {
            phase: Phase::Start,
            number: 0,
            ends,
            floor: Duration::ZERO,
            later_floors: Duration::ZERO,
        };
        group::run(self, group, [(component, bound)]).await;
    }
}
