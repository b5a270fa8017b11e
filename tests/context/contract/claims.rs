//! A claim comes before the act that it announces, which may be over at once: a thread that is told ends, an abort
//! frees another component.

use std::sync::{Arc, Mutex};

use deadstop::context::{BodyOpts, CallOpts, WorkerCtx};
use deadstop::journal::{Claim, Record, Sink};
use tokio_test::assert_pending;
use tokio_test::task::spawn;

use super::worker::{Notes, cleanup, thread};
use crate::manual_host::{ManualHost, ms};

/// A sink that notes, at each claim, what has already been done.
struct StateAtClaim(Arc<ManualHost>, Notes);

impl Sink for StateAtClaim {
    fn record(&self, record: &Record<'_>) {
        let claim = record.claim;
        let StateAtClaim(host, notes) = self;
        match claim {
            Claim::Told { name, .. } => notes.put(format!("told {name}: {}", host.is_told(name))),
            Claim::Leak { name, .. } => notes.put(format!(
                "leak {name}: {}, {} aborted",
                host.is_told(name),
                host.aborts()
            )),
            Claim::Abort { name, .. } => {
                notes.put(format!("abort {name}: {} aborted", host.aborts()));
            }
            _ => {}
        }
    }
}

fn worker_that_notes_claims() -> (Arc<ManualHost>, WorkerCtx, Notes) {
    let (host, notes) = (ManualHost::new(), Notes::default());
    let sink = Arc::new(StateAtClaim(Arc::clone(&host), notes.clone()));
    let ctx = host.ctx(WorkerCtx::<()>::builder().sink(sink));
    (host, ctx, notes)
}

#[test]
fn told_is_claimed_before_the_thread_is_told() {
    let (host, ctx, notes) = worker_that_notes_claims();
    thread(&ctx, "at once", BodyOpts::new());
    thread(&ctx, "in turn", BodyOpts::new().in_turn());
    let mut stop = spawn(ctx.stop());
    assert_pending!(stop.poll());
    host.poll_all();
    assert_eq!(notes.all(), ["told at once: false", "told in turn: false"]);
    assert!(host.is_told("at once") && host.is_told("in turn"));
}

#[test]
fn leak_is_claimed_before_a_neighbour_is_aborted() {
    let (host, ctx, notes) = worker_that_notes_claims();
    ctx.add_task("writer", BodyOpts::new(), |_token| {
        std::future::pending::<()>()
    })
    .expect("accepted");
    thread(&ctx, "flusher", BodyOpts::new());
    let mut stop = spawn(ctx.stop());
    assert_pending!(stop.poll());
    host.poll_all();
    host.advance(ms(1_000));
    host.set_forward(ms(1_000));
    assert_eq!(notes.all(), ["told writer: false", "told flusher: false"]);
    host.poll_all();
    assert_eq!(
        notes.all()[2..],
        ["leak flusher: true, 0 aborted", "abort writer: 0 aborted"]
    );
}

#[test]
fn leak_is_claimed_before_the_callback_is_told() {
    let (host, ctx, notes) = worker_that_notes_claims();
    cleanup(&ctx, "db", CallOpts::new());
    let mut cleans = spawn(ctx.cleanup());
    assert_pending!(cleans.poll());
    host.poll_all();
    assert!(!host.is_told("db"), "it is in time");
    host.advance(ms(5_000));
    host.advance(ms(5_000));
    assert_eq!(notes.all(), ["leak db: false, 0 aborted"]);
    assert!(host.is_told("db"), "it is awaited no longer");
}

/// A sink that calls stop as a second caller in the middle of one claim, and lets that stop go on.
struct InterruptedSink {
    host: Arc<ManualHost>,
    notes: Notes,
    interrupts: fn(&Claim) -> bool,
    caller: Mutex<Option<WorkerCtx>>,
}

impl Sink for InterruptedSink {
    fn record(&self, record: &Record<'_>) {
        let claim = record.claim;
        let caller = || self.caller.lock().expect("no panic").take();
        if (self.interrupts)(claim)
            && let Some(ctx) = caller()
        {
            let mut stop = spawn(ctx.stop());
            let _ = stop.poll();
            self.host.poll_all();
        }
        match claim {
            Claim::Requested { .. } => self.notes.put("requested"),
            Claim::GraceBegan { .. } => self.notes.put("grace"),
            Claim::State { state } => self.notes.put(state.as_str()),
            _ => {}
        }
    }
}

/// Returns what is claimed of a stop by two callers. The second calls while the first makes the given claim.
fn claims_interrupted_at(interrupts: fn(&Claim) -> bool) -> Vec<String> {
    let (host, notes) = (ManualHost::new(), Notes::default());
    let sink = Arc::new(InterruptedSink {
        host: Arc::clone(&host),
        notes: notes.clone(),
        interrupts,
        caller: Mutex::default(),
    });
    let ctx = host.ctx(WorkerCtx::<()>::builder().sink(Arc::clone(&sink) as Arc<dyn Sink>));
    *sink.caller.lock().expect("no panic") = Some(ctx.clone());
    let mut stop = spawn(ctx.stop());
    let _ = stop.poll();
    host.poll_all();
    notes.all()
}

#[test]
fn two_callers_announce_grace_before_stop_begins() {
    let moments: [fn(&Claim) -> bool; 2] = [
        |claim| matches!(claim, Claim::Requested { .. }),
        |claim| matches!(claim, Claim::GraceBegan { .. }),
    ];
    for interrupts in moments {
        let claims = claims_interrupted_at(interrupts);
        assert_eq!(
            claims,
            [
                "created",
                "requested",
                "grace",
                "requested",
                "stopping",
                "stopped"
            ]
        );
    }
}
