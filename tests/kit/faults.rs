//! Every fault over every kind of a user's real code. The times are worked out by hand.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use deadstop::context::{BodyOpts, CallOpts, MainError, WorkerCtx};
use deadstop_harness::journal::{Call, How, Outcome, SignalName, What};
use deadstop_harness::kit::{Own, Trial};
use deadstop_harness::scenario::{Calling, Fault, Lasting, Trigger, Verb};
use deadstop_harness::sim::Journal;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Registers one component of each kind, which takes 200 ms to end. The thread and the task end together at 10.2 s.
/// Then, one after another, come the two stop callbacks (until 10.6 s), the two cleanup callbacks (until 11.0 s) and
/// the two closeables (until 11.4 s).
async fn one_of_each(ctx: WorkerCtx) -> Result<(), MainError> {
    ctx.add_thread("thread", BodyOpts::new(), |scope| {
        while scope.wait(ms(1_000)).elapsed() {}
        scope.sleep(ms(200));
    })?;
    ctx.add_task("task", BodyOpts::new(), |token| async move {
        token.cancelled().await;
        tokio::time::sleep(ms(200)).await;
    })?;
    let opts = CallOpts::new;
    ctx.defer_stop("stop", opts(), |scope| scope.sleep(ms(200)))?;
    ctx.defer_stop_async("async stop", opts(), || tokio::time::sleep(ms(200)))?;
    ctx.defer_cleanup("cleanup", opts(), |scope| scope.sleep(ms(200)))?;
    ctx.defer_cleanup_async("async cleanup", opts(), || tokio::time::sleep(ms(200)))?;
    ctx.add_closeable_with("close", opts(), (), |(), scope| scope.sleep(ms(200)))?;
    ctx.add_closeable_async("async close", opts(), || tokio::time::sleep(ms(200)))?;
    Ok(())
}

/// Runs the worker with a fault at 5 s and a SIGTERM at 10 s.
fn run_with(fault: impl Into<Verb>) -> Journal {
    Trial::of(one_of_each)
        .at("5s", fault)
        .at("10s", SignalName::Sigterm)
        .run()
}

/// Asserts the outcome of a component's step, and the instant in which the process ends, in milliseconds.
#[track_caller]
fn assert_outcome_and_end(journal: &Journal, name: &str, outcome: Outcome, end: u64) {
    assert_eq!(journal.outcome(name), Some(outcome), "{name}\n{journal}");
    assert_eq!(journal.ended_at(), Some(ms(end)), "{name}\n{journal}");
    let well = outcome == Outcome::Ok;
    assert_eq!(journal.exit_code(), Some(i32::from(!well)), "{name}");
}

/// Returns how the code of a component ended, and when, in milliseconds.
fn ended(journal: &Journal, component: &str) -> Option<(How, u64)> {
    journal.events.iter().find_map(|event| match &event.what {
        What::Ended { name, how, .. } if **name == *component => Some((*how, event.t)),
        _ => None,
    })
}

#[test]
fn without_faults_each_takes_its_time() {
    let journal = Trial::of(one_of_each).at("10s", SignalName::Sigterm).run();
    assert_outcome_and_end(&journal, "async close", Outcome::Ok, 11_400);
    let closed = ["cleanup", "async cleanup", "close", "async close"];
    assert_eq!(journal.closed(), closed);
}

#[test]
fn component_that_hangs_for_ever_is_given_up_at_its_bound() {
    // A join or cancel has 2 s from 10 s on. Then the six others take 1.2 s.
    let hung = |name| run_with(Fault::hang(name));
    assert_outcome_and_end(&hung("thread"), "thread", Outcome::Leaked, 13_200);
    assert_outcome_and_end(&hung("task"), "task", Outcome::Aborted, 13_200);
    // A callback takes its bound of 10 s instead of 200 ms.
    assert_outcome_and_end(&hung("stop"), "stop", Outcome::Leaked, 21_200);
    assert_outcome_and_end(&hung("async stop"), "async stop", Outcome::TimedOut, 21_200);
    assert_outcome_and_end(&hung("cleanup"), "cleanup", Outcome::Leaked, 21_200);
    let end = hung("async cleanup");
    assert_outcome_and_end(&end, "async cleanup", Outcome::TimedOut, 21_200);
    assert_outcome_and_end(&hung("close"), "close", Outcome::Leaked, 21_200);
    assert_outcome_and_end(
        &hung("async close"),
        "async close",
        Outcome::TimedOut,
        21_200,
    );
}

#[test]
fn after_a_bounded_hang_the_real_code_goes_on() {
    // Each hangs until 11 s, and then takes its 200 ms.
    let hung = |name| run_with(Fault::hang(name).lasting("6s"));
    // The six others begin at 11.2 s.
    assert_outcome_and_end(&hung("thread"), "thread", Outcome::Ok, 12_400);
    assert_outcome_and_end(&hung("task"), "task", Outcome::Ok, 12_400);
    // The stop callback is called at 10.2 s and ends at 11.2 s; five others follow. The cleanup callback is called at
    // 10.6 s and ends at 11.2 s; three others follow.
    assert_outcome_and_end(&hung("stop"), "stop", Outcome::Ok, 12_200);
    assert_outcome_and_end(&hung("cleanup"), "cleanup", Outcome::Ok, 11_800);
    // The close is called at 11.0 s, when the hang is over.
    assert_outcome_and_end(&hung("close"), "close", Outcome::Ok, 11_400);
    // The async cleanup callback is called at 10.8 s.
    let journal = hung("async cleanup");
    assert_outcome_and_end(&journal, "async cleanup", Outcome::Ok, 11_600);
    assert_eq!(journal.took("async cleanup"), Some(ms(400)));
}

#[test]
fn a_failure_or_panic_strikes_instead_of_the_callback() {
    for name in [
        "stop",
        "async stop",
        "cleanup",
        "async cleanup",
        "close",
        "async close",
    ] {
        let failed = run_with(Fault::fail(name).message("broken pipe"));
        // The run is 200 ms shorter, because the callback never ran.
        assert_outcome_and_end(&failed, name, Outcome::Failed, 11_200);
        assert!(failed.log().contains("broken pipe"), "{failed}");
        let panicked = run_with(Fault::panic(name));
        assert_outcome_and_end(&panicked, name, Outcome::Panicked, 11_200);
    }
}

/// Names of callbacks that wait for nothing: each has done its work as soon as it is called.
const CALLED: [&str; 6] = [
    "stop",
    "async stop",
    "cleanup",
    "async cleanup",
    "close",
    "async close",
];

/// Returns the callbacks that were called, with the time of the call in milliseconds.
fn called(fault: impl Into<Verb>) -> Vec<(&'static str, u64)> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    let own = Own::new(move |ctx: WorkerCtx| {
        let began = tokio::time::Instant::now();
        let see = |name| {
            let seen = Arc::clone(&sees);
            move || {
                // A thread has no runtime, and so no paused clock: it asks in `block_on`.
                let at = u64::try_from(began.elapsed().as_millis()).expect("some seconds");
                seen.lock().expect("not poisoned").push((name, at));
            }
        };
        let [stop, async_stop, cleanup, async_cleanup, close, async_close] = CALLED.map(see);
        async move {
            let opts = CallOpts::new;
            ctx.defer_stop("stop", opts(), move |scope| {
                scope.block_on(async { stop() })
            })?;
            ctx.defer_stop_async("async stop", opts(), || async move { async_stop() })?;
            ctx.defer_cleanup("cleanup", opts(), move |scope| {
                scope.block_on(async { cleanup() })
            })?;
            ctx.defer_cleanup_async("async cleanup", opts(), || async move { async_cleanup() })?;
            ctx.add_closeable_with("close", opts(), (), move |(), scope| {
                scope.block_on(async { close() })
            })?;
            ctx.add_closeable_async("async close", opts(), || async move { async_close() })?;
            Ok(())
        }
    });
    let trial = Trial::of_own(own).at("5s", fault);
    trial.at("10s", SignalName::Sigterm).run();
    let mut seen = seen.lock().expect("not poisoned").clone();
    // The trial ran the worker twice.
    let second = seen.split_off(seen.len() / 2);
    assert_eq!(seen, second);
    seen
}

/// A struck callback does not even begin. Otherwise a callback that works before its first wait would have done its
/// work.
#[test]
fn a_callback_that_hangs_fails_or_panics_is_never_called() {
    for struck in CALLED {
        let faults = [
            Verb::from(Fault::hang(struck)),
            Fault::fail(struck).into(),
            Fault::panic(struck).into(),
        ];
        for fault in faults {
            let called = called(fault);
            let names: Vec<_> = called.into_iter().map(|(name, _)| name).collect();
            let others = CALLED.into_iter().filter(|name| *name != struck);
            assert_eq!(names, others.collect::<Vec<_>>(), "{struck}");
        }
    }
}

#[test]
fn slow_callback_is_called_that_much_later() {
    for slow in CALLED {
        let called = called(Fault::slow(slow, "1s"));
        // The slow callback and those after it are called at 11 s, because they are called one after another.
        let nth = CALLED.iter().position(|name| *name == slow);
        let at = |n| if Some(n) < nth { 10_000 } else { 11_000 };
        let expected = CALLED.into_iter().enumerate();
        let expected = expected.map(|(n, name)| (name, at(n)));
        assert_eq!(called, expected.collect::<Vec<_>>());
    }
}

#[test]
fn threads_and_tasks_are_struck_where_they_wait() {
    for name in ["thread", "task"] {
        let failed = run_with(Fault::fail(name));
        assert_eq!(ended(&failed, name), Some((How::Failed, 5_000)), "{failed}");
        let panicked = run_with(Fault::panic(name).message("poisoned"));
        assert_eq!(ended(&panicked, name), Some((How::Panicked, 5_000)));
        let over = run_with(Fault::end(name));
        assert_eq!(ended(&over, name), Some((How::Ok, 5_000)));
        for journal in [failed, panicked, over] {
            // The component has no step any more, and its end before the stop changes nothing.
            assert_eq!(
                (journal.outcome(name), journal.exit_code()),
                (None, Some(0))
            );
            assert_eq!(journal.ended_at(), Some(ms(11_400)));
        }
    }
}

#[test]
fn slow_component_takes_that_much_longer() {
    for name in [
        "thread",
        "task",
        "stop",
        "async stop",
        "cleanup",
        "async cleanup",
        "close",
        "async close",
    ] {
        let journal = run_with(Fault::slow(name, "1s"));
        assert_outcome_and_end(&journal, name, Outcome::Ok, 12_400);
        assert_eq!(journal.took(name), Some(ms(1_200)), "{name}");
    }
    // 3 s exceed the 2 s of a join. The thread is left behind and ends later.
    let journal = run_with(Fault::slow("thread", ms(3_000)));
    assert_outcome_and_end(&journal, "thread", Outcome::Leaked, 13_200);
}

#[test]
fn ignoring_body_does_not_see_its_token() {
    let run = |fault: Lasting| {
        let trial = Trial::of(one_of_each).at("9500ms", fault);
        trial.at("10s", SignalName::Sigterm).run()
    };
    // Each ignores its token until 11 s and then takes 200 ms. The six others follow.
    for name in ["thread", "task"] {
        let journal = run(Fault::ignore(name).lasting("1500ms"));
        assert_outcome_and_end(&journal, name, Outcome::Ok, 12_400);
    }
    assert_outcome_and_end(
        &run(Fault::ignore("thread")),
        "thread",
        Outcome::Leaked,
        13_200,
    );
    assert_outcome_and_end(
        &run(Fault::ignore("task")),
        "task",
        Outcome::Aborted,
        13_200,
    );
}

#[test]
fn a_callback_can_be_struck_in_its_middle() {
    let struck = |name, fault: Verb| {
        let trial = Trial::of(one_of_each).at("10s", SignalName::Sigterm);
        trial.when(Trigger::on(name).after("100ms"), fault).run()
    };
    for name in ["cleanup", "async cleanup"] {
        // The run is 100 ms shorter.
        let failed = struck(name, Fault::fail(name).into());
        assert_outcome_and_end(&failed, name, Outcome::Failed, 11_300);
    }
    // The callback's own sleep was over at 10.8 s. It is let go at 11.7 s, 900 ms later.
    let hung = struck("cleanup", Fault::hang("cleanup").lasting("1s").into());
    assert_outcome_and_end(&hung, "cleanup", Outcome::Ok, 12_300);
    let slow = struck("cleanup", Fault::slow("cleanup", "1s"));
    assert_outcome_and_end(&slow, "cleanup", Outcome::Ok, 12_400);
}

/// Returns the same main twice, awaiting and blocking. It waits for `takes`.
fn both_mains(takes: Duration) -> [Own; 2] {
    let awaits = Own::new(move |ctx: WorkerCtx| async move {
        ctx.defer_cleanup("db", CallOpts::new(), |_| {})?;
        tokio::time::sleep(takes).await;
        ctx.defer_cleanup("pool", CallOpts::new(), |_| {})?;
        Ok(())
    });
    let blocks = Own::blocking(move |ctx: WorkerCtx, scope| {
        ctx.defer_cleanup("db", CallOpts::new(), |_| {})?;
        scope.sleep(takes);
        ctx.defer_cleanup("pool", CallOpts::new(), |_| {})?;
        Ok(())
    });
    [awaits, blocks]
}

#[test]
fn main_is_struck_where_it_waits() {
    for main in both_mains(ms(700)) {
        let run = |fault: Verb| Trial::of_own(main.clone()).at("300ms", fault).run();
        let failed = run(Fault::fail("main").message("no model").code(7).into());
        assert_eq!(failed.exit_code(), Some(7), "{failed}");
        assert_eq!(failed.closed(), ["db"]);
        assert_eq!(failed.ended_at(), Some(ms(300)));
        assert_eq!(ended(&failed, "main"), Some((How::Failed, 300)));
        let panicked = run(Fault::panic("main").into());
        assert_eq!(panicked.exit_code(), Some(1), "{panicked}");
        assert_eq!(ended(&panicked, "main"), Some((How::Panicked, 300)));
    }
}

/// Without a fault, main waits until 700 ms.
#[test]
fn main_hangs_and_is_slow_like_any_component() {
    for (main, outcome) in both_mains(ms(700))
        .into_iter()
        .zip([Outcome::Aborted, Outcome::Leaked])
    {
        let run = |fault: Verb| {
            let trial = Trial::of_own(main.clone()).at("300ms", fault);
            trial.at("2s", SignalName::Sigterm).run()
        };
        // Main is stuck until 1.3 s, when its own wait is long over.
        let hung = run(Fault::hang("main").lasting("1s").into());
        assert_eq!(ended(&hung, "main"), Some((How::Ok, 1_300)), "{hung}");
        assert_eq!(hung.closed(), ["db", "pool"]);
        assert_eq!(hung.exit_code(), Some(0), "{hung}");
        let slow = run(Fault::slow("main", "1s"));
        assert_eq!(ended(&slow, "main"), Some((How::Ok, 1_700)), "{slow}");
        // A hang without an end is given up 5 s after the SIGTERM, before the pool is registered.
        let given_up = run(Fault::hang("main").into());
        assert_eq!(given_up.outcome("main"), Some(outcome), "{given_up}");
        assert_eq!(given_up.ended_at(), Some(ms(7_000)), "{given_up}");
        assert_eq!(given_up.closed(), ["db"]);
        assert_eq!(given_up.exit_code(), Some(1), "{given_up}");
    }
}

#[test]
fn call_from_main_is_made_from_inside() {
    for main in both_mains(ms(700)) {
        let trial = Trial::of_own(main).at("300ms", Calling::new(Call::Stop).from("main"));
        let journal = trial.run();
        let inside = journal.events.iter().any(|event| {
            matches!(&event.what, What::Returned { result, .. } if &**result == "called-from-inside")
        });
        assert!(inside, "{journal}");
        assert_eq!(journal.ended_at(), Some(ms(700)), "{journal}");
    }
}

#[test]
fn failing_main_does_not_exit_with_success() {
    for (asks, code) in [(0, 1), (3, 3)] {
        let main = move |_: WorkerCtx| async move { Err(MainError::with_code(asks, "no model")) };
        let failed = Trial::of(main).breaks("ends/explained").run();
        assert_eq!(failed.exit_code(), Some(code), "{failed}");
    }
}

#[test]
fn main_that_is_asked_to_stop_ends_in_its_bound_or_is_given_up() {
    // Main is asked to stop at 100 ms and has 5 s from then on. The components that it has registered by then are
    // closed.
    let in_time = [Some(Outcome::Ok), Some(Outcome::Ok)];
    let given_up = [Some(Outcome::Aborted), Some(Outcome::Leaked)];
    for (takes, ends, closed, outcomes) in [(5_100, 5_100, 2, in_time), (5_101, 5_100, 1, given_up)]
    {
        for (main, outcome) in both_mains(ms(takes)).into_iter().zip(outcomes) {
            let trial = Trial::of_own(main).at("100ms", SignalName::Sigterm);
            let trial = trial.before_ready();
            let journal = match outcome {
                Some(Outcome::Ok) => trial.run(),
                _ => trial.breaks("ends/explained").run(),
            };
            assert_eq!(journal.outcome("main"), outcome, "{journal}");
            assert_eq!(journal.ended_at(), Some(ms(ends)), "{journal}");
            assert_eq!(journal.closed().len(), closed, "{journal}");
        }
    }
}

/// A fault ends a body like any other end: the values that it holds are dropped.
#[test]
fn struck_thread_drops_what_it_holds() {
    struct WaitsInDrop<'a>(&'a deadstop::host::Scope);
    impl Drop for WaitsInDrop<'_> {
        fn drop(&mut self) {
            // A destructor may wait too, while its thread unwinds.
            self.0.sleep(ms(50));
        }
    }
    let register = |ctx: WorkerCtx| async move {
        ctx.add_thread("holds", BodyOpts::new(), |scope| {
            let _held = WaitsInDrop(scope);
            while scope.wait(Duration::MAX).elapsed() {}
        })?;
        Ok(())
    };
    let trial = Trial::of(register).at("5s", Fault::fail("holds"));
    let journal = trial.at("10s", SignalName::Sigterm).run();
    assert_eq!(
        ended(&journal, "holds"),
        Some((How::Failed, 5_050)),
        "{journal}"
    );
}

/// The process is gone: the code after a wait does not run any more, while destructors are called.
#[test]
fn code_that_waits_when_the_process_ends_never_goes_on() {
    struct RecordsDrop(Arc<Mutex<Vec<&'static str>>>);
    impl Drop for RecordsDrop {
        fn drop(&mut self) {
            self.0.lock().expect("not poisoned").push("dropped");
        }
    }
    let done = Arc::new(Mutex::new(Vec::new()));
    let does = Arc::clone(&done);
    let own = Own::new(move |ctx: WorkerCtx| {
        let does = Arc::clone(&does);
        async move {
            ctx.add_thread("writer", BodyOpts::new(), move |scope| {
                let drops = RecordsDrop(Arc::clone(&does));
                scope.sleep(ms(60_000));
                drops.0.lock().expect("not poisoned").push("written");
            })?;
            Ok(())
        }
    });
    Trial::of_own(own).at("10s", SignalName::Sigkill).observe();
    let done = done.lock().expect("not poisoned");
    assert!(
        !done.is_empty() && done.iter().all(|what| *what == "dropped"),
        "{done:?}"
    );
}
