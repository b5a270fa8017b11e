//! Probes of a live run: sends production probes to the real endpoint, and records their results.

use std::sync::Arc;
use std::time::Duration;

use super::play::Play;
use super::server::ScriptedAnswer;
use crate::journal::{Name, What};
use crate::scenario::Answer;
use crate::sim::start_thread;
use crate::stage::{Met, NEVER, Part, Stage, Struck, blocking, meet};
use crate::words::one_line;
use deadstop::host::Host;
use deadstop::watchdog::{HttpProbe, Probe, Probing};

/// A watchdog's probe, which asks the live endpoint as a service's would.
pub(super) struct LiveProbe {
    play: Arc<Play>,
    part: usize,
    inner: HttpProbe,
}

impl LiveProbe {
    pub fn new(play: Arc<Play>, part: usize) -> Self {
        let url = format!("http://{}/health", play.server.address());
        let inner = HttpProbe::new(&url).expect("that is a URL");
        LiveProbe { play, part, inner }
    }
}

impl Probe for LiveProbe {
    fn probe<'a>(&'a mut self, host: &'a dyn Host) -> Probing<'a> {
        Box::pin(async move {
            meet_faults(&self.play, self.part);
            let (n, next) = self.play.with_scene(|scene| {
                let began = scene.now();
                let (n, answer, takes) = scene.endpoint().borrow_mut().asked(began);
                scene.record(What::ProbeBegan { n });
                let next = ScriptedAnswer {
                    answer,
                    takes,
                    began,
                };
                (n, next)
            });
            let in_flight = ProbeInFlight {
                play: &self.play,
                n,
                next,
            };
            // A probe that takes no time in the scenario is one turn, however much real time the system takes for it.
            let blocker = self.play.blocker_of(self.part);
            let _extension = blocker
                .filter(|_| next.is_at_once())
                .map(|blocker| blocker.extend_turn());
            if next.answer == Answer::Refused {
                // TCP can only refuse at once. If a refusal is scripted to take time, the connection is attempted
                // when that time is over.
                let at = Duration::from_millis(next.began.saturating_add(next.takes));
                host.sleep_until(at).await;
            }
            self.play.server.set_answer(next).await;
            let answered = self.inner.probe(host).await;
            in_flight.record_answer(match (&answered, next.answer) {
                (Ok(status), _) => status.to_string().into(),
                (Err(error), Answer::Status(_)) => one_line(error),
                // A scripted answer that ends the probe is recorded in the script's words.
                (Err(_), Answer::Refused | Answer::Cut | Answer::Garbage | Answer::Reset) => {
                    next.answer.to_string().into()
                }
                (Err(_), _) => "given-up".into(),
            });
            answered
        })
    }
}

/// A probe in flight. If it is dropped without an answer, it was given up.
struct ProbeInFlight<'a> {
    play: &'a Arc<Play>,
    n: u32,
    next: ScriptedAnswer,
}

impl ProbeInFlight<'_> {
    fn record(&self, result: Name) {
        self.play.with_scene(|scene| {
            scene.record(What::Probe {
                n: self.n,
                result,
                took: scene.now() - self.next.began,
                ignored: false,
            });
        });
    }

    fn record_answer(self, result: Name) {
        self.record(result);
        std::mem::forget(self);
    }
}

impl Drop for ProbeInFlight<'_> {
    fn drop(&mut self) {
        self.record("given-up".into());
        let ScriptedAnswer {
            answer,
            takes,
            began,
        } = self.next;
        // The answer may still come when no probe waits for it; it is then recorded as ignored.
        if let (Answer::Status(_), true) = (answer, takes != NEVER) {
            let (play, n) = (Arc::clone(self.play), self.n);
            let comes = move || {
                let at = std::time::Duration::from_millis(began.saturating_add(takes));
                let wakes = play.clock.time_map.wakes_at(at);
                play.wait_for_scene(Some(wakes), |scene| scene.is_over());
                play.with_scene(|scene| {
                    scene.record(What::Probe {
                        n,
                        result: answer.to_string().into(),
                        took: takes,
                        ignored: true,
                    });
                });
            };
            let _ = start_thread("late answer", comes);
        }
    }
}

/// The body of a live watchdog.
struct WatchdogBody<'a> {
    play: &'a Play,
    part: usize,
}

impl Struck for WatchdogBody<'_> {
    fn look<R>(&self, look: impl FnOnce(&dyn Stage, &Part) -> R) -> Option<R> {
        Some(self.play.with_part(self.part, look))
    }

    /// Blocks the thread until `until`, or until another fault strikes.
    async fn stay(&self, until: u64) {
        let WatchdogBody { play, part } = *self;
        let wakes = play
            .clock
            .time_map
            .wakes_at(std::time::Duration::from_millis(until));
        let until = (until != NEVER).then_some(wakes);
        let stay = || {
            play.wait_for_scene(until, |scene| {
                !scene.parts.all[part].faults.keep_stuck(scene.now())
            });
        };
        match play.blocker_of(part) {
            Some(blocker) => blocker.outside(stay),
            None => stay(),
        }
    }
}

/// Lets the faults of a watchdog strike: unwinds its body if it is to panic or fail, and blocks its thread while it
/// is hung. A watchdog runs its production body, so this is called where the body waits and where it asks.
pub(super) fn meet_faults(play: &Play, part: usize) {
    if let Met::End(end) = blocking(meet(&WatchdogBody { play, part })) {
        end.unwind();
    }
}
