//! Runs scenarios live: one, again if the machine holds it up; and many at once.

use std::fmt::Write;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::play::Play;
use super::verdict::{LiveVerdict, judge_live};
use deadstop_harness::live::{Failed, Players};
use deadstop_harness::report::Place;
use deadstop_harness::sim::Runners;

/// Maximum number of repetitions of a run that the machine held up; each is slower than the one before.
const MAX_REPEATS: u32 = 3;

/// Result of one live run.
pub struct LiveResult {
    /// Number of times that the machine held it up and it was run again.
    pub repeats: u32,
    /// Finding of the first time, if it was run again.
    pub first_finding: Option<String>,
    pub lag: Duration,
    pub late: Duration,
    pub verdict: LiveVerdict,
}

/// Runs one scenario live. A run that fails while the machine holds it up is repeated, more slowly.
pub fn play(players: &Players, runners: &Runners, it: &Play) -> LiveResult {
    let mut request = it.request.clone();
    let (mut repeats, mut first_finding) = (0, None);
    loop {
        let played = players.play(&request);
        let (lag, late) = match &played {
            Ok(played) | Err(Failed::Overstayed { played, .. } | Failed::Silent { played, .. }) => {
                (played.lag, played.late)
            }
            Err(_) => (Duration::ZERO, Duration::ZERO),
        };
        let held_up = lag > request.tempo.patience();
        let mut verdict = judge_live(it, runners, played);
        for finding in &mut verdict.findings {
            let file = || Place {
                file: Arc::clone(&it.file),
                span: None,
            };
            finding.place.get_or_insert_with(file);
            finding.replay = Some(it.replay.clone());
        }
        let findings = &mut verdict.findings;
        if !findings.is_empty() && held_up {
            if repeats < MAX_REPEATS {
                repeats += 1;
                let late = lag.as_millis();
                let describe = || {
                    format!(
                        "{}; in this run, a thread that only waits was woken {late} ms late",
                        findings[0]
                    )
                };
                first_finding = first_finding.or_else(|| Some(describe()));
                request.tempo = request.tempo.slower();
                continue;
            }
            if let Some(finding) = findings.first_mut() {
                let _ = write!(
                    finding.message,
                    " (the machine may be to blame: a thread that only waits was woken {} ms late)",
                    lag.as_millis()
                );
            }
        }
        return LiveResult {
            repeats,
            first_finding,
            lag,
            late,
            verdict,
        };
    }
}

/// Calls `run` with each item of `next`, on `jobs` threads at once, and passes each result to `done` as it comes.
pub fn run_in_parallel<T: Send, R: Send>(
    jobs: usize,
    next: impl FnMut() -> Option<T> + Send,
    run: impl Fn(T) -> R + Sync,
    mut done: impl FnMut(R),
) {
    let next = Mutex::new(next);
    std::thread::scope(|scope| {
        let (send, results) = mpsc::channel();
        for _ in 0..jobs {
            let (send, next, run) = (send.clone(), &next, &run);
            #[allow(
                clippy::disallowed_methods,
                reason = "it waits for a process, and many are waited for at once"
            )]
            scope.spawn(move || {
                loop {
                    let one = next.lock().unwrap_or_else(PoisonError::into_inner)();
                    let Some(one) = one else { return };
                    let _ = send.send(run(one));
                }
            });
        }
        drop(send);
        for result in results {
            done(result);
        }
    });
}
