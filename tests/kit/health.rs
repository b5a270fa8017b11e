//! A user's own watchdog over HTTP: the code that runs in production, against the scripted endpoint.

use std::time::Duration;

use deadstop::context::{BodyOpts, MainError, WorkerCtx};
use deadstop::watchdog::Watchdog;
use deadstop_harness::journal::{Cause, SignalName, What};
use deadstop_harness::kit::Trial;
use deadstop_harness::scenario::{Answer, Fault, Health};
use deadstop_harness::sim::Journal;

/// Registers a watchdog that probes at once, and then 10 s after each good probe. It probes again 4·n² s after the
/// nth failure in a row.
async fn watched(ctx: WorkerCtx) -> Result<(), MainError> {
    let watchdog = Watchdog::http("http://127.0.0.1:8000/v1/health/ready")?
        .interval(Duration::from_secs(10))
        .attempts(3)
        .request_timeout(Duration::from_secs(120));
    ctx.add_watchdog("watchdog", BodyOpts::new(), watchdog)?;
    Ok(())
}

fn probes(journal: &Journal) -> Vec<u64> {
    let probes = journal.events.iter();
    let probes = probes.filter(|event| matches!(event.what, What::ProbeBegan { .. }));
    probes.map(|event| event.t).collect()
}

#[test]
fn watchdog_fires_after_three_failures_in_a_row() {
    // The answers at 0 and 10 s are good; those at 20, 24 and 40 s are 503.
    let journal = Trial::of(watched).at("15s", Health::status(503)).run();
    assert_eq!(probes(&journal), [0, 10_000, 20_000, 24_000, 40_000]);
    assert_eq!(journal.cause(), Some(Cause::Watchdog), "{journal}");
    assert_eq!(journal.exit_code(), Some(75));
    assert_eq!(journal.ended_at(), Some(Duration::from_secs(40)));
}

#[test]
fn late_answer_is_a_failure_at_the_request_timeout() {
    // From 20 s on each probe takes 120 s. They begin at 20, 144 and 280 s; the third ends at 400 s.
    let silent = Health::answers(Answer::Silent);
    for health in [silent, Health::status(200).never()] {
        let journal = Trial::of(watched).at("15s", health).run();
        assert_eq!(probes(&journal), [0, 10_000, 20_000, 144_000, 280_000]);
        let end = journal.ended_at();
        assert_eq!(end, Some(Duration::from_secs(400)), "{journal}");
    }
}

#[test]
fn slow_answer_within_the_request_timeout_is_good() {
    // The answer to the probe of 20 s comes at 80 s. The one to the probe of 90 s is still to come at the stop.
    let journal = Trial::of(watched)
        .at("15s", Health::status(200).taking("60s"))
        .at("100s", SignalName::Sigterm)
        .run();
    assert_eq!(probes(&journal), [0, 10_000, 20_000, 90_000]);
    assert_eq!(journal.exit_code(), Some(0), "{journal}");
}

#[test]
fn bad_answer_to_every_second_probe_does_not_fire() {
    // From 15 s on the second probe gets the first bad answer. Each bad one is followed by a good one, 4 s later.
    let journal = Trial::of(watched)
        .at("15s", Health::status(503).every(2))
        .at("50s", SignalName::Sigterm)
        .run();
    let at = [0, 10_000, 20_000, 30_000, 34_000, 44_000, 48_000];
    assert_eq!(probes(&journal), at, "{journal}");
    assert_eq!(journal.exit_code(), Some(0));
}

#[test]
fn first_request_to_stop_disarms_the_watchdog() {
    let trial = Trial::of(watched).at("15s", Health::answers(Answer::Refused));
    let journal = trial.at("21s", SignalName::Sigterm).run();
    assert_eq!(journal.exit_code(), Some(0), "{journal}");
    assert_eq!(journal.ended_at(), Some(Duration::from_secs(21)));
}

#[test]
fn faults_strike_the_watchdog_where_it_waits() {
    let failed = Trial::of(watched)
        .at("15s", Fault::fail("watchdog"))
        .at("15s", Health::status(503));
    let journal = failed.at("1m", SignalName::Sigterm).run();
    assert_eq!(probes(&journal), [0, 10_000], "{journal}");
    assert_eq!(journal.exit_code(), Some(0));
    // The watchdog hangs from 15 s to 45 s. It probes then, and once more after its interval.
    let hung = Trial::of(watched).at("15s", Fault::hang("watchdog").lasting("30s"));
    let journal = hung.at("1m", SignalName::Sigterm).run();
    assert_eq!(probes(&journal), [0, 10_000, 45_000, 55_000], "{journal}");
}
