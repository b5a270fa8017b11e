//! The contract of a worker context, rule by rule, on a host that the test drives by hand: there is no clock and no
//! thread, and a test can look at every moment in between.

use std::sync::{Arc, Mutex};

use deadstop::context::{
    BlockingError, BodyOpts, CallOpts, CalledFromInside, Close, Life, Limits, MainError, Report,
    StartError, WorkerCtx,
};
use deadstop::host::{BoxError, Host, Scope};
use deadstop::journal::{
    BoundBy, By, Cause, Claim, How, Outcome, Phase, Record, RefusedReason, SignalName, Sink,
};
use tokio_test::task::spawn;
use tokio_test::{assert_pending, assert_ready};

use crate::manual_host::{ManualHost, ms};

fn worker() -> (Arc<ManualHost>, WorkerCtx) {
    let host = ManualHost::new();
    let ctx = host.ctx(WorkerCtx::<()>::builder());
    (host, ctx)
}

fn thread(ctx: &WorkerCtx, name: &str, opts: BodyOpts) {
    ctx.add_thread(name, opts, |_| {}).expect("accepted");
}

fn cleanup(ctx: &WorkerCtx, name: &str, opts: CallOpts) {
    ctx.defer_cleanup(name, opts, |_| {}).expect("accepted");
}

fn outcomes(report: &Report) -> Vec<(&str, Outcome)> {
    let steps = report.steps.iter();
    steps.map(|step| (&*step.name, step.outcome)).collect()
}

/// Notes in the order in which they were put down.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn put(&self, note: impl Into<String>) {
        self.0.lock().expect("not poisoned").push(note.into());
    }
    fn all(&self) -> Vec<String> {
        self.0.lock().expect("not poisoned").clone()
    }
}

mod stop {
    use super::*;

    #[test]
    fn running_is_true_from_new_until_stop_begins() {
        let (host, ctx) = worker();
        assert!(ctx.running());
        thread(&ctx, "flusher", BodyOpts::new());
        ctx.request_stop("enough");
        host.poll_all();
        assert!(
            ctx.running() && !host.is_told("flusher"),
            "a request alone tells no component"
        );
        let mut stop = spawn(ctx.stop());
        assert_pending!(stop.poll());
        host.poll_all();
        assert!(!ctx.running() && host.is_told("flusher"));
        host.end("flusher", How::Ok);
        assert!(stop.is_woken());
        let report = assert_ready!(stop.poll()).expect("from outside");
        assert_eq!(outcomes(&report), [("flusher", Outcome::Ok)]);
    }

    #[test]
    fn group_is_told_and_awaited_together_until_a_callback() {
        let (host, ctx) = worker();
        thread(&ctx, "a", BodyOpts::new().in_turn());
        thread(&ctx, "b", BodyOpts::new().in_turn());
        ctx.defer_stop("flush", CallOpts::new(), |_| {})
            .expect("accepted");
        thread(&ctx, "c", BodyOpts::new().in_turn());
        let mut stop = spawn(ctx.stop());
        assert_pending!(stop.poll());
        host.poll_all();
        assert!(host.is_told("a") && host.is_told("b") && !host.is_told("c"));
        host.end("b", How::Ok);
        assert_eq!(
            host.bodies(),
            ["a", "c"],
            "the callback waits for the group"
        );
        host.end("a", How::Ok);
        assert_eq!(host.bodies(), ["flush", "c"]);
        assert!(!host.is_told("c"));
        host.run("flush");
        assert!(host.is_told("c"));
        host.end("c", How::Ok);
        assert_ready!(stop.poll()).expect("from outside");
    }

    #[test]
    fn twenty_hung_threads_cost_one_join_timeout() {
        let (host, ctx) = worker();
        for n in 0..20 {
            thread(&ctx, &format!("hangs {n}"), BodyOpts::new());
        }
        let mut stop = spawn(ctx.stop());
        assert_pending!(stop.poll());
        host.poll_all();
        host.advance(ms(1_999));
        assert_pending!(stop.poll());
        host.advance(ms(1));
        let report = assert_ready!(stop.poll()).expect("from outside");
        assert!(
            report
                .steps
                .iter()
                .all(|step| step.outcome == Outcome::Leaked)
        );
        assert_eq!(host.now(), ms(2_000));
    }

    #[test]
    fn thread_that_ends_at_its_bound_is_in_time() {
        let (host, ctx) = worker();
        thread(&ctx, "slow", BodyOpts::new().timeout(ms(50)));
        let mut stop = spawn(ctx.stop());
        assert_pending!(stop.poll());
        host.poll_all();
        // Both happen in one instant: the clock reaches the bound, and the thread ends.
        host.set_forward(ms(50));
        host.end("slow", How::Ok);
        let report = assert_ready!(stop.poll()).expect("from outside");
        assert_eq!(outcomes(&report), [("slow", Outcome::Ok)]);
        assert_eq!(report.steps[0].took, ms(50));
    }

    #[test]
    fn a_task_is_told_awaited_aborted_once_and_confirmed() {
        let (host, ctx) = worker();
        ctx.add_task("deaf", BodyOpts::new().timeout(ms(50)), |_| {
            std::future::pending::<()>()
        })
        .expect("accepted");
        let mut stop = spawn(ctx.stop());
        assert_pending!(stop.poll());
        host.poll_all();
        host.advance(ms(50));
        let report = assert_ready!(stop.poll()).expect("from outside");
        assert_eq!(outcomes(&report), [("deaf", Outcome::Aborted)]);
        assert_eq!(report.steps[0].bound_by, BoundBy::CancelTimeout);
    }

    #[test]
    fn task_that_ends_well_after_its_abort_is_aborted() {
        let (host, ctx) = worker();
        let task = ctx
            .add_task("busy", BodyOpts::new().timeout(ms(50)), |_| {
                std::future::pending::<()>()
            })
            .expect("accepted");
        let mut stop = spawn(ctx.stop());
        assert_pending!(stop.poll());
        host.poll_all();
        let ends = host.take_out_task(task.id());
        host.advance(ms(50));
        host.advance(ms(30));
        assert_pending!(stop.poll());
        ends(How::Ok);
        let report = assert_ready!(stop.poll()).expect("from outside");
        assert_eq!(outcomes(&report), [("busy", Outcome::Aborted)]);
        assert_eq!(report.steps[0].took, ms(80));
    }

    #[test]
    fn steps_after_stops_share_begin_but_are_not_awaited() {
        let host = ManualHost::new();
        // The grace of 100 ms less 5 ms of margin and 45 ms of reserve leaves stop 50 ms.
        let limits = Limits::new().grace(ms(100)).reserve(ms(45));
        let ctx = host.ctx(WorkerCtx::<()>::builder().limits(limits));
        thread(&ctx, "hangs", BodyOpts::new());
        let flag = CallOpts::new().order(1);
        ctx.defer_stop("flag", flag, |_| {}).expect("accepted");
        let mut stop = spawn(ctx.stop());
        assert_pending!(stop.poll());
        host.poll_all();
        host.advance(ms(50));
        let report = assert_ready!(stop.poll()).expect("from outside");
        assert_eq!(
            outcomes(&report),
            [("hangs", Outcome::Leaked), ("flag", Outcome::NotAwaited)]
        );
        let bounds: Vec<_> = report.steps.iter().map(|s| (s.bound, s.bound_by)).collect();
        assert_eq!(
            bounds,
            [(ms(50), BoundBy::Phase), (ms(0), BoundBy::ShareGone)]
        );
        assert!(
            host.is_told("flag"),
            "the callback goes on, and knows that its bound is over"
        );
    }
}

mod cleaning_up {
    use super::*;

    #[test]
    fn cleanup_descends_orders_and_takes_ties_first_or_last() {
        for (last_first, expected) in [
            (false, ["pool", "a", "b", "db"]),
            (true, ["pool", "b", "a", "db"]),
        ] {
            let host = ManualHost::new();
            let mut limits = Limits::new();
            if last_first {
                limits = limits.last_registered_first();
            }
            let ctx = host.ctx(WorkerCtx::<()>::builder().limits(limits));
            let notes = Notes::default();
            for (name, order) in [("db", 0), ("a", 50), ("pool", 100), ("b", 50)] {
                let notes = notes.clone();
                let note = move |_: &Scope| notes.put(name);
                ctx.defer_cleanup(name, CallOpts::new().order(order), note)
                    .expect("accepted");
            }
            let mut done = spawn(ctx.cleanup());
            assert_pending!(done.poll());
            host.poll_all();
            while let Some(name) = host.bodies().first() {
                host.run(name);
            }
            assert_ready!(done.poll()).expect("from outside");
            assert_eq!(notes.all(), expected);
        }
    }

    #[test]
    fn a_hung_close_leaves_the_later_ones_their_floors() {
        let host = ManualHost::new();
        // 1000 ms of grace, 50 ms of margin, 300 ms of reserve: cleanup ends at 950 ms.
        let limits = Limits::new().grace(ms(1_000)).reserve(ms(300));
        let ctx = host.ctx(WorkerCtx::<()>::builder().limits(limits));
        cleanup(&ctx, "hangs", CallOpts::new().order(2));
        cleanup(&ctx, "db", CallOpts::new().order(1).floor(ms(200)));
        cleanup(&ctx, "log", CallOpts::new());
        let mut done = spawn(ctx.cleanup());
        assert_pending!(done.poll());
        host.poll_all();
        // The explicit floor leaves 100 ms of the reserve. The two steps without a floor share them: 50 ms each. So
        // the first step has 950 - 200 - 50 = 700 ms.
        host.advance(ms(350));
        host.advance(ms(350));
        assert!(
            host.bodies().contains(&"db".to_owned()),
            "the hung one was left behind"
        );
        host.run("db");
        host.run("log");
        let report = assert_ready!(done.poll()).expect("from outside");
        let steps: Vec<_> = report
            .steps
            .iter()
            .map(|s| (&*s.name, s.outcome, s.bound, s.bound_by))
            .collect();
        assert_eq!(
            steps,
            [
                ("hangs", Outcome::Leaked, ms(700), BoundBy::Floors),
                ("db", Outcome::Ok, ms(200), BoundBy::Floors),
                ("log", Outcome::Ok, ms(250), BoundBy::Phase),
            ]
        );
    }

    #[test]
    fn failed_cleanup_step_does_not_skip_the_next() {
        let (host, ctx) = worker();
        ctx.defer_cleanup("first", CallOpts::new(), |_| Err("no"))
            .expect("accepted");
        cleanup(&ctx, "second", CallOpts::new());
        let mut done = spawn(ctx.cleanup());
        assert_pending!(done.poll());
        host.poll_all();
        host.run("first");
        host.run("second");
        let report = assert_ready!(done.poll()).expect("from outside");
        assert_eq!(
            outcomes(&report),
            [("first", Outcome::Failed), ("second", Outcome::Ok)]
        );
        assert_eq!(report.steps[0].error.as_deref(), Some("no"));
        assert_eq!(report.bad().count(), 1);
    }
}

mod refusals {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Db(&'static str);

    impl Close for Db {
        fn close(&mut self, _: &Scope) -> Result<(), BoxError> {
            Ok(())
        }
    }

    #[test]
    fn registration_is_refused_once_its_phase_has_begun() {
        let (host, ctx) = worker();
        ctx.request_stop("a request alone refuses nothing");
        thread(&ctx, "flusher", BodyOpts::new());
        let mut stop = spawn(ctx.stop());
        assert_pending!(stop.poll());
        host.poll_all();
        let late = ctx.defer_stop("late", CallOpts::new(), |_| {});
        assert_eq!(late.map_err(|r| r.reason), Err(RefusedReason::PhaseBegan));
        cleanup(&ctx, "db", CallOpts::new());
        host.end("flusher", How::Ok);
        assert_ready!(stop.poll()).expect("from outside");
        cleanup(&ctx, "between stop and cleanup", CallOpts::new());
        let mut done = spawn(ctx.cleanup());
        assert_pending!(done.poll());
        host.poll_all();
        let late = ctx.add_closeable("late", CallOpts::new(), Db("late"));
        assert_eq!(late.map_err(|r| r.into_value()), Err(Db("late")));
        host.run("db");
        host.run("between stop and cleanup");
        let report = assert_ready!(done.poll()).expect("from outside");
        assert_eq!(report.steps.len(), 3);
        assert!(report.is_ok(), "refusals change nothing: {report}");
    }

    #[test]
    fn refusal_passes_through_anyhow_and_keeps_its_value() {
        fn register(ctx: &WorkerCtx) -> anyhow::Result<()> {
            ctx.add_closeable("", CallOpts::new(), Db("secret of the db"))?;
            Ok(())
        }
        let (_host, ctx) = worker();
        let error = register(&ctx).expect_err("a name has at least a byte");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("secret"), "values are never shown: {shown}");
        let refused: deadstop::context::Refused<Db> = error.downcast().expect("it is one");
        assert_eq!(refused.into_value(), Db("secret of the db"));
    }

    #[test]
    fn bounds_and_names_outside_their_limits_are_refused() {
        let (_host, ctx) = worker();
        let stop = |name: &str, timeout| {
            let opts = CallOpts::new().timeout(timeout);
            ctx.defer_stop(name, opts, |_| {})
                .map(drop)
                .map_err(|r| r.reason)
        };
        let limit = Err(RefusedReason::Limit);
        assert_eq!(stop("ok", ms(1)), Ok(()));
        assert_eq!(stop("ok", ms(3_600_000)), Ok(()));
        assert_eq!(stop("zero", ms(0)), limit);
        assert_eq!(stop("over", ms(3_600_001)), limit);
        assert_eq!(stop(&"n".repeat(200), ms(1)), Ok(()));
        assert_eq!(stop(&"n".repeat(201), ms(1)), limit);
        assert_eq!(stop("a\tb", ms(1)), limit);
    }

    #[test]
    fn floors_over_bound_or_reserve_or_in_stop_are_refused() {
        let (_host, ctx) = worker();
        let opts = |timeout, floor| CallOpts::new().timeout(timeout).floor(floor);
        let add = |opts| {
            ctx.defer_cleanup("c", opts, |_| {})
                .map(drop)
                .map_err(|refused| refused.reason)
        };
        let floors = Err(RefusedReason::Floors);
        assert_eq!(add(opts(ms(10), ms(11))), floors);
        // The reserve is 10 s.
        assert_eq!(add(opts(ms(10_000), ms(9_000))), Ok(()));
        assert_eq!(add(opts(ms(10_000), ms(1_001))), floors);
        // A floor may be as long as its bound.
        assert_eq!(add(opts(ms(1_000), ms(1_000))), Ok(()));
        let stop = ctx.defer_stop("s", opts(ms(10), ms(1)), |_| {});
        assert_eq!(
            stop.map_err(|refused| refused.reason),
            Err(RefusedReason::Floors)
        );
    }
}

mod callers {
    use super::*;

    #[test]
    fn callers_share_a_report_and_cleanups_covers_both_phases() {
        let (host, ctx) = worker();
        thread(&ctx, "flusher", BodyOpts::new());
        cleanup(&ctx, "db", CallOpts::new());
        let mut first = spawn(ctx.cleanup());
        let mut second = spawn(ctx.cleanup());
        let mut stop = spawn(ctx.stop());
        assert_pending!(first.poll());
        assert_pending!(second.poll());
        assert_pending!(stop.poll());
        host.poll_all();
        host.end("flusher", How::Ok);
        let stopped = assert_ready!(stop.poll()).expect("from outside");
        assert_eq!(outcomes(&stopped), [("flusher", Outcome::Ok)]);
        assert_pending!(first.poll());
        host.run("db");
        let one = assert_ready!(first.poll()).expect("from outside");
        let two = assert_ready!(second.poll()).expect("from outside");
        assert!(Arc::ptr_eq(&one, &two));
        assert_eq!(one.steps.len(), 2);
        let mut late = spawn(ctx.stop());
        let late = assert_ready!(late.poll()).expect("from outside");
        assert!(
            Arc::ptr_eq(&stopped, &late),
            "once, however often it is called"
        );
    }

    #[test]
    fn a_stop_goes_on_when_its_caller_is_dropped() {
        let (host, ctx) = worker();
        thread(&ctx, "flusher", BodyOpts::new());
        let mut stop = spawn(ctx.stop());
        assert_pending!(stop.poll());
        drop(stop);
        host.poll_all();
        host.end("flusher", How::Ok);
        assert!(assert_ready!(spawn(ctx.stop()).poll()).is_ok());
    }

    #[test]
    fn stop_from_inside_requests_and_cleanup_does_nothing() {
        for cleanup in [false, true] {
            let (host, ctx) = worker();
            let weak = ctx.downgrade();
            ctx.add_task("inside", BodyOpts::new(), move |_| async move {
                let ctx = weak.upgrade().expect("the test holds it");
                let result = if cleanup {
                    ctx.cleanup().await
                } else {
                    ctx.stop().await
                };
                match result {
                    Err(CalledFromInside) => Ok(()),
                    Ok(_) => Err("it has waited for itself"),
                }
            })
            .expect("accepted");
            host.poll_all();
            let mut requested = spawn(ctx.stop_requested());
            assert_eq!(requested.poll().is_ready(), !cleanup);
            assert!(ctx.running(), "nothing has begun");
            let mut stop = spawn(ctx.stop());
            assert_pending!(stop.poll());
            host.poll_all();
            let report = assert_ready!(stop.poll()).expect("from outside");
            assert_eq!(report.deaths_in_all, 0, "it was refused");
            let by = report.reason.as_ref().map(|reason| reason.by);
            assert_eq!(by, Some(By::Call));
        }
    }

    #[test]
    fn blocking_stop_from_inside_is_refused_and_requests() {
        let (host, ctx) = worker();
        let weak = ctx.downgrade();
        ctx.add_thread("inside", BodyOpts::new(), move |_| {
            let ctx = weak.upgrade().expect("the test holds it");
            match ctx.stop_blocking() {
                Err(BlockingError::CalledFromInside(_)) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .expect("accepted");
        host.run("inside");
        assert_ready!(spawn(ctx.stop_requested()).poll());
        assert!(ctx.running());
    }

    #[tokio::test]
    async fn the_blocking_forms_are_refused_on_a_runtime() {
        let (_host, ctx) = worker();
        assert_eq!(ctx.stop_blocking().err(), Some(BlockingError::OnRuntime));
        assert_eq!(ctx.cleanup_blocking().err(), Some(BlockingError::OnRuntime));
        assert!(ctx.running(), "refused, and nothing done");
    }

    #[test]
    fn the_first_reason_wins_and_later_ones_are_recorded() {
        let (host, ctx) = worker();
        ctx.request_stop("first");
        ctx.request_stop("second");
        let mut stop = spawn(ctx.stop());
        assert_pending!(stop.poll());
        host.poll_all();
        let report = assert_ready!(stop.poll()).expect("from outside");
        assert_eq!(
            &*report.reason.as_ref().expect("there is one").words,
            "first"
        );
        let later: Vec<_> = report.later_reasons.iter().map(|r| &*r.words).collect();
        assert_eq!(later, ["second", "stop was called"]);
    }
}

mod starting {
    use super::*;

    #[test]
    fn a_failing_main_is_rolled_back_before_start_returns() {
        let (host, ctx) = worker();
        let mut start = spawn(ctx.start(|ctx| async move {
            ctx.add_thread("flusher", BodyOpts::new(), |_| {})?;
            ctx.defer_cleanup("db", CallOpts::new(), |_| {})?;
            Err(MainError::with_code(42, "the model is missing"))
        }));
        assert_pending!(start.poll());
        host.poll_all();
        assert!(host.is_told("flusher"), "nothing stays open");
        host.end("flusher", How::Ok);
        host.run("db");
        let Err(StartError::Main {
            message,
            code,
            report,
            requested,
        }) = assert_ready!(start.poll())
        else {
            panic!("main has failed");
        };
        assert_eq!(
            (&*message, code, requested),
            ("the model is missing", Some(42), false)
        );
        assert_eq!(report.steps.len(), 2);
        let by = report.reason.as_ref().map(|reason| reason.by);
        assert_eq!(by, Some(By::Main));
        assert_eq!(Life::new(&ctx).exit_code(), 42);
    }

    #[test]
    fn a_second_start_and_one_after_stop_are_errors_without_effect() {
        let (host, ctx) = worker();
        let mut start = spawn(ctx.start(|_| async { Ok(()) }));
        assert_pending!(start.poll());
        host.poll_all();
        assert_ready!(start.poll()).expect("main is good");
        let again = assert_ready!(spawn(ctx.start(|_| async { Ok(()) })).poll());
        assert!(matches!(again, Err(StartError::Again)), "{again:?}");
        assert!(ctx.running());

        let (host, ctx) = worker();
        let mut stop = spawn(ctx.stop());
        assert_pending!(stop.poll());
        host.poll_all();
        assert_ready!(stop.poll()).expect("from outside");
        let late = assert_ready!(spawn(ctx.start(|_| async { Ok(()) })).poll());
        assert!(matches!(late, Err(StartError::Again)), "{late:?}");
    }

    #[test]
    fn request_before_start_skips_main_and_rolls_back() {
        let (host, ctx) = worker();
        cleanup(&ctx, "db", CallOpts::new());
        ctx.request_stop("too late");
        let notes = Notes::default();
        let ran = notes.clone();
        let mut start = spawn(ctx.start(move |_| async move {
            ran.put("main");
            Ok(())
        }));
        assert_pending!(start.poll());
        host.poll_all();
        host.run("db");
        let started = assert_ready!(start.poll());
        assert!(
            matches!(started, Err(StartError::StopRequested { .. })),
            "{started:?}"
        );
        assert_eq!(notes.all(), [""; 0]);
    }

    #[test]
    fn main_asked_to_stop_is_awaited_and_may_still_register() {
        let (host, ctx) = worker();
        let mut start = spawn(ctx.start(|ctx| async move {
            ctx.stop_requested().await;
            ctx.defer_cleanup("opened late", CallOpts::new(), |_| {})?;
            Ok(())
        }));
        assert_pending!(start.poll());
        host.poll_all();
        ctx.request_stop("changed our mind");
        host.poll_all();
        host.run("opened late");
        let Err(StartError::StopRequested { report }) = assert_ready!(start.poll()) else {
            panic!("a stop was requested");
        };
        assert_eq!(
            outcomes(&report),
            [("main", Outcome::Ok), ("opened late", Outcome::Ok)]
        );
        assert_eq!(report.steps[0].phase, Phase::Start);
    }

    #[test]
    fn a_blocking_main_runs_as_a_body_with_a_scope() {
        let (host, ctx) = worker();
        let mut start = spawn(ctx.start_blocking_main(|ctx, scope| {
            scope.sleep(ms(5));
            ctx.defer_cleanup("db", CallOpts::new(), |_| {})?;
            Ok(())
        }));
        assert_pending!(start.poll());
        host.poll_all();
        host.run("main");
        assert_ready!(start.poll()).expect("main is good");
        assert_eq!(host.now(), ms(5));
        assert_eq!(ctx.budget().cleanup.len(), 1);
    }

    #[test]
    fn a_blocking_main_is_told_by_its_scope() {
        let (host, ctx) = worker();
        let mut start = spawn(ctx.start_blocking_main(|_, _| Ok(())));
        assert_pending!(start.poll());
        host.poll_all();
        assert!(!host.is_told("main"));
        ctx.request_stop("changed our mind");
        host.poll_all();
        assert!(host.is_told("main"));
    }
}

mod signals {
    use super::*;

    #[test]
    fn first_signal_after_cleanup_ends_the_process() {
        let (host, ctx) = worker();
        let life = Life::new(&ctx);
        let mut cleanup = spawn(ctx.cleanup());
        assert_pending!(cleanup.poll());
        host.poll_all();
        assert_ready!(cleanup.poll()).expect("from outside");
        assert_eq!(host.exits(), []);
        life.signal(SignalName::Sigterm);
        assert_eq!(host.exits(), [(128 + 15, Cause::ThirdSignal)]);
    }

    #[test]
    fn second_signal_leaves_only_floors_and_third_ends_process() {
        let (host, ctx) = worker();
        thread(&ctx, "hangs", BodyOpts::new());
        cleanup(&ctx, "hangs too", CallOpts::new().floor(ms(100)));
        let life = Life::new(&ctx);
        let mut lives = spawn(life.run(|| async { Ok(()) }));
        assert_pending!(lives.poll());
        host.poll_all();
        assert_pending!(lives.poll());
        life.signal(SignalName::Sigterm);
        host.advance(ms(200));
        life.signal(SignalName::Sigterm);
        assert_pending!(lives.poll());
        host.poll_all();
        assert!(host.is_told("hangs") && !host.bodies().contains(&"hangs too".to_owned()));
        host.advance(ms(1));
        life.signal(SignalName::Sigterm);
        host.poll_all();
        assert!(
            host.bodies().contains(&"hangs too".to_owned()),
            "stop waits no more"
        );
        host.advance(ms(50));
        host.advance(ms(50));
        let end = assert_ready!(lives.poll());
        assert_eq!(
            outcomes(&end.report),
            [
                ("hangs", Outcome::NotAwaited),
                ("hangs too", Outcome::Leaked)
            ]
        );
        assert_eq!((end.code, end.cause), (128 + 15, Cause::SecondSignal));
        assert_eq!(host.exits(), []);
        host.advance(ms(200));
        life.signal(SignalName::Sigint);
        assert_eq!(host.exits(), [(128 + 2, Cause::ThirdSignal)]);
    }
}

mod several_lives {
    use super::*;

    #[test]
    fn two_lives_of_one_context_count_their_signals_together() {
        let (host, ctx) = worker();
        thread(&ctx, "hangs", BodyOpts::new());
        let (one, other) = (Life::new(&ctx), Life::new(&ctx));
        let mut lives = spawn(one.run(|| async { Ok(()) }));
        assert_pending!(lives.poll());
        host.poll_all();
        one.signal(SignalName::Sigterm);
        other.signal(SignalName::Sigterm); // the same signal, doubled
        host.advance(ms(250));
        other.signal(SignalName::Sigint);
        host.advance(ms(250));
        assert_eq!(host.exits(), []);
        one.signal(SignalName::Sigterm);
        assert_eq!(host.exits(), [(128 + 15, Cause::ThirdSignal)]);
    }
}

mod second_signal {
    use super::*;

    #[test]
    fn second_signal_tells_a_running_stop_callback() {
        let (host, ctx) = worker();
        ctx.defer_stop("drain", CallOpts::new(), |_| {})
            .expect("accepted");
        let life = Life::new(&ctx);
        let mut stop = spawn(ctx.stop());
        assert_pending!(stop.poll());
        host.poll_all();
        life.signal(SignalName::Sigterm);
        host.advance(ms(201));
        assert!(!host.is_told("drain"));
        life.signal(SignalName::Sigterm);
        host.poll_all();
        assert!(host.is_told("drain"));
        let report = assert_ready!(stop.poll()).expect("from outside");
        assert_eq!(outcomes(&report), [("drain", Outcome::NotAwaited)]);
    }
}

mod memory {
    use super::*;

    #[test]
    fn ten_thousand_short_tasks_and_threads_hold_nothing() {
        let (host, ctx) = worker();
        let held = Arc::new(());
        for _ in 0..100 {
            for _ in 0..100 {
                let mine = Arc::clone(&held);
                let opts = BodyOpts::new().wake(move || drop(Arc::clone(&mine)));
                ctx.add_task("short", opts, |_| async {}).expect("accepted");
            }
            host.poll_all();
            assert_eq!(Arc::strong_count(&held), 1);
            assert_eq!(ctx.budget().stop, []);
        }
        for _ in 0..1_000 {
            let mine = Arc::clone(&held);
            ctx.add_thread("short", BodyOpts::new(), move |_| drop(mine))
                .expect("accepted");
            host.run("short");
        }
        assert_eq!((Arc::strong_count(&held), ctx.budget().stop.len()), (1, 0));
    }

    #[test]
    fn last_hundred_deaths_are_kept_and_all_are_counted() {
        let (host, ctx) = worker();
        for n in 0..150 {
            thread(&ctx, &format!("job {n}"), BodyOpts::new());
            host.end(&format!("job {n}"), How::Failed);
        }
        let mut stop = spawn(ctx.stop());
        assert_pending!(stop.poll());
        host.poll_all();
        let report = assert_ready!(stop.poll()).expect("from outside");
        assert_eq!((report.deaths.len(), report.deaths_in_all), (100, 150));
        assert_eq!(&*report.deaths[0].name, "job 50");
        assert!(report.is_ok(), "an earlier death is no step");
    }

    #[test]
    fn a_body_that_was_left_behind_does_not_keep_the_worker() {
        let (host, ctx) = worker();
        thread(&ctx, "hangs", BodyOpts::new());
        let weak = ctx.downgrade();
        drop(ctx);
        assert!(weak.upgrade().is_none());
        host.end("hangs", How::Ok);
    }
}

mod budget {
    use super::*;

    #[test]
    fn budget_lists_each_steps_worst_case_bound() {
        let (_host, ctx) = worker();
        thread(&ctx, "a", BodyOpts::new().timeout(ms(15_000)));
        thread(&ctx, "b", BodyOpts::new().order(1).timeout(ms(10_000)));
        cleanup(&ctx, "db", CallOpts::new().floor(ms(4_000)));
        cleanup(&ctx, "pool", CallOpts::new().order(100));
        let budget = ctx.budget();
        // 30 s of grace less 500 ms of margin and 10 s of reserve.
        assert_eq!(budget.stop_share, ms(19_500));
        let stop: Vec<_> = budget.stop.iter().map(|l| (&*l.name, l.at_worst)).collect();
        assert_eq!(stop, [("a", ms(15_000)), ("b", ms(4_500))]);
        let cleanup: Vec<_> = budget
            .cleanup
            .iter()
            .map(|line| (&*line.name, line.floor, line.at_worst))
            .collect();
        // The explicit floor leaves 6 s to the pool. Its default floor is 1 s, the most that a default floor can be.
        assert_eq!(
            cleanup,
            [
                ("pool", Some(ms(1_000)), ms(6_000)),
                ("db", Some(ms(4_000)), ms(4_000)),
            ]
        );
        let printed = budget.to_string();
        assert!(
            printed.starts_with("grace 30 s = stop 19.5 s + cleanup 10 s + margin 500 ms\n"),
            "{printed}"
        );
    }

    /// Joins and cancels of one order share their time, and a callback between two of them separates them. The time
    /// of a task includes the confirmation of its abort, 100 ms, as far as the phase has it.
    #[test]
    fn budget_counts_groups_once_and_abort_confirmations() {
        let (_host, ctx) = worker();
        let task = |name: &str, order, timeout| {
            let opts = BodyOpts::new().order(order).timeout(ms(timeout));
            let added = ctx.add_task(name, opts, |_| async {});
            added.expect("accepted");
        };
        task("a", 0, 5_000);
        task("b", 0, 4_000);
        ctx.defer_stop("c", CallOpts::new().timeout(ms(2_000)), |_| {})
            .expect("accepted");
        thread(&ctx, "d", BodyOpts::new().timeout(ms(3_000)));
        task("e", 1, 20_000);
        let budget = ctx.budget();
        let stop: Vec<_> = budget.stop.iter().map(|l| (&*l.name, l.at_worst)).collect();
        // Of 19.5 s, a and b take 5.1 s, c takes 2 s, and d takes 3 s.
        assert_eq!(
            stop,
            [
                ("a", ms(5_000)),
                ("b", ms(4_000)),
                ("c", ms(2_000)),
                ("d", ms(3_000)),
                ("e", ms(9_400)),
            ]
        );
    }
}

/// A claim comes before the act that it announces, which may be over at once: a thread that is told ends, an abort
/// frees another component.
mod claims {
    use super::*;

    /// A sink that notes, at each claim, what has already been done.
    struct StateAtClaim(Arc<ManualHost>, Notes);

    impl Sink for StateAtClaim {
        fn record(&self, record: &Record<'_>) {
            let claim = record.claim;
            let StateAtClaim(host, notes) = self;
            match claim {
                Claim::Told { name, .. } => {
                    notes.put(format!("told {name}: {}", host.is_told(name)))
                }
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
}
