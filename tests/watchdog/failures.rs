//! Rule 18: the watchdog arms itself, counts failures in a row, and ends the process. A request to stop disarms it.
//! Here its body runs on the test's own thread, and its waits set the clock forward.

use std::time::Duration;

use deadstop::context::{BodyOpts, WeakCtx, WorkerCtx, exit_code};
use deadstop::host::Host;
use deadstop::journal::{Cause, RefusedReason};
use deadstop::watchdog::{Probe, ProbeError, Probing, Watchdog};

use crate::manual_host::{ManualHost, ms};

/// The answer of an endpoint to one probe.
#[derive(Clone, Copy)]
enum Answer {
    Status(u16),
    Refuses,
    Never,
    /// Answers with a failure, and a stop is requested at the same time.
    FailsAsStopIsRequested,
}
use Answer::{FailsAsStopIsRequested, Never, Refuses, Status};

/// A probe that gives the scripted answers and then requests a stop, so that the watchdog comes to rest.
struct Script {
    answers: std::vec::IntoIter<Answer>,
    asked_at: std::sync::mpsc::Sender<Duration>,
    host: std::sync::Arc<ManualHost>,
    ctx: WeakCtx,
}

impl Probe for Script {
    fn probe<'a>(&'a mut self, _host: &'a dyn Host) -> Probing<'a> {
        let _ = self.asked_at.send(self.host.now());
        let request = || {
            let ctx = self.ctx.upgrade().expect("the test holds the worker");
            ctx.request_stop("the script is over");
        };
        match self.answers.next() {
            Some(Status(status)) => Box::pin(std::future::ready(Ok(status))),
            Some(Refuses) => Box::pin(std::future::ready(Err(ProbeError::new("refused")))),
            Some(Never) => Box::pin(std::future::pending()),
            Some(FailsAsStopIsRequested) => {
                request();
                Box::pin(std::future::ready(Ok(500)))
            }
            None => {
                request();
                Box::pin(std::future::pending())
            }
        }
    }
}

/// Runs a watchdog with an interval of 10 ms over the script. Returns when it asked, in milliseconds, and how the
/// process ended.
fn run_watchdog(
    answers: &[Answer],
    with: impl FnOnce(Watchdog) -> Watchdog,
) -> (Vec<u128>, Vec<(i32, Cause)>) {
    let host = ManualHost::new();
    let ctx = host.ctx(WorkerCtx::<()>::builder());
    let (asked_at, asked) = std::sync::mpsc::channel();
    let script = Script {
        answers: Vec::from(answers).into_iter(),
        asked_at,
        host: host.clone(),
        ctx: ctx.downgrade(),
    };
    let watchdog = with(Watchdog::new(script).interval(ms(10)));
    ctx.add_watchdog("watchdog", BodyOpts::new(), watchdog)
        .expect("accepted");
    host.run_until_told("watchdog");
    let asked = asked.into_iter().map(|at| at.as_millis()).collect();
    (asked, host.exits())
}

const FIRED: [(i32, Cause); 1] = [(exit_code::WATCHDOG, Cause::Watchdog)];

#[test]
fn nothing_is_a_failure_before_the_first_success() {
    let (asked, exits) = run_watchdog(&[Refuses, Refuses, Refuses, Refuses], |dog| dog.attempts(1));
    assert_eq!(
        asked,
        [0, 10, 20, 30, 40],
        "at its interval, without back-off"
    );
    assert_eq!(exits, []);
}

#[test]
fn armed_watchdog_backs_off_and_fires_at_the_last_failure() {
    let (asked, exits) = run_watchdog(&[Status(200), Refuses, Refuses, Refuses], |dog| dog);
    // 4·1² s after the first failure and 4·2² s after the second.
    assert_eq!(asked, [0, 10, 4_010, 20_010]);
    assert_eq!(exits, FIRED);
}

#[test]
fn failures_count_in_a_row() {
    let script = [Status(200), Refuses, Status(204), Refuses, Status(299)];
    let (asked, exits) = run_watchdog(&script, |dog| dog.attempts(2));
    assert_eq!(asked, [0, 10, 4_010, 4_020, 8_020, 8_030]);
    assert_eq!(exits, []);
}

#[test]
fn only_2xx_is_success() {
    for status in [199, 300, 404, 500] {
        let (_, exits) = run_watchdog(&[Status(status), Refuses], |dog| dog.attempts(1));
        assert_eq!(exits, [], "{status} does not arm it");
        let (_, exits) = run_watchdog(&[Status(200), Status(status)], |dog| dog.attempts(1));
        assert_eq!(exits, FIRED, "{status} is a failure");
    }
}

#[test]
fn interval_counts_from_a_probes_end_and_silence_is_a_failure() {
    let (asked, exits) = run_watchdog(&[Never, Status(200), Never], |dog| {
        dog.request_timeout(ms(7)).attempts(1)
    });
    assert_eq!(asked, [0, 17, 27]);
    assert_eq!(exits, FIRED);
}

#[test]
fn failures_count_after_the_start_grace_without_a_success() {
    let (asked, exits) = run_watchdog(&[Refuses, Refuses, Refuses], |dog| {
        dog.attempts(1).start_grace(ms(15))
    });
    // The failure at 20 ms is the first that is not before the end of the grace.
    assert_eq!(asked, [0, 10, 20]);
    assert_eq!(exits, FIRED);
}

#[test]
fn watchdog_checks_for_a_stop_request_before_it_fires() {
    let (asked, exits) = run_watchdog(&[Status(200), FailsAsStopIsRequested], |dog| {
        dog.attempts(1)
    });
    assert_eq!(asked, [0, 10], "disarmed, it asks no more");
    assert_eq!(exits, []);
}

/// Returns a watchdog for a registration. Its body is never run, so it asks nothing.
fn idle_watchdog() -> Watchdog {
    let host = ManualHost::new();
    let ctx = host.ctx(WorkerCtx::<()>::builder());
    Watchdog::new(Script {
        answers: Vec::new().into_iter(),
        asked_at: std::sync::mpsc::channel().0,
        host,
        ctx: ctx.downgrade(),
    })
}

#[test]
fn watchdog_with_impossible_limits_is_handed_back() {
    let ctx = ManualHost::new().ctx(WorkerCtx::<()>::builder());
    for (dog, what) in [
        (idle_watchdog().interval(Duration::ZERO), "interval"),
        (
            idle_watchdog().request_timeout(Duration::ZERO),
            "request timeout",
        ),
        (
            idle_watchdog().request_timeout(Duration::MAX),
            "request timeout",
        ),
        (idle_watchdog().start_grace(Duration::MAX), "start grace"),
    ] {
        let refused = ctx
            .add_watchdog("watchdog", BodyOpts::new(), dog)
            .expect_err("it would ask without a pause, or overflow the clock");
        assert_eq!(refused.reason, RefusedReason::Limit);
        assert!(refused.to_string().contains(what), "{refused}");
        let _handed_back: Watchdog = refused.into_value();
    }
}

#[test]
fn a_second_watchdog_is_refused() {
    let host = ManualHost::new();
    let ctx = host.ctx(WorkerCtx::<()>::builder());
    ctx.add_watchdog("inference", BodyOpts::new(), idle_watchdog())
        .expect("it is the first");
    let refused = ctx
        .add_watchdog("metrics", BodyOpts::new(), idle_watchdog())
        .expect_err("what they ask and say could not be told apart");
    assert_eq!(refused.reason, RefusedReason::Limit);
    let words = refused.to_string();
    assert!(
        words.contains(
            r#"a worker can have only one watchdog, and "inference" is registered already"#
        ),
        "{words}"
    );
}
