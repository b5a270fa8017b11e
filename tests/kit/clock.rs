//! tokio's own waits run on the paused clock, to the millisecond, mixed with those of the scope.

use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use deadstop::context::{BodyOpts, CallOpts, MainError, WorkerCtx};
use deadstop_harness::journal::{How, Outcome, SignalName, What};
use deadstop_harness::kit::{Own, Trial};
use deadstop_harness::scenario::Health;
use deadstop_harness::sim::Journal;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, sleep, timeout};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Returns when the code of a component ended well, in milliseconds.
fn ended(journal: &Journal, component: &str) -> Option<u64> {
    journal.events.iter().find_map(|event| match &event.what {
        What::Ended {
            name, how: How::Ok, ..
        } if **name == *component => Some(event.t),
        _ => None,
    })
}

async fn every_wait(ctx: WorkerCtx) -> Result<(), MainError> {
    let opts = BodyOpts::new;
    ctx.add_task("sleep", opts(), |_| sleep(ms(1_500)))?;
    ctx.add_task("half a millisecond", opts(), |_| {
        sleep(Duration::from_micros(1_500))
    })?;
    ctx.add_task("timeout", opts(), |_| async {
        let over = timeout(ms(2_000), std::future::pending::<()>()).await;
        over.map_or(Ok(()), |()| Err("pending is for ever"))
    })?;
    ctx.add_task("in time", opts(), |_| timeout(ms(2_000), sleep(ms(1_999))))?;
    ctx.add_task("interval", opts(), |_| async {
        let mut each = interval(ms(700));
        for _ in 0..3 {
            each.tick().await;
        }
    })?;
    ctx.add_task("select", opts(), |_| async {
        tokio::select! {
            biased;
            () = sleep(ms(900)) => Err("the longer one"),
            () = sleep(ms(800)) => Ok(()),
        }
    })?;
    let (send, mut receive) = mpsc::channel(1);
    tokio::spawn(async move {
        sleep(ms(1_250)).await;
        let _ = send.send("a word").await;
    });
    ctx.add_task("receives", opts(), |_| async move {
        receive.recv().await.map(drop).ok_or("nobody sent")
    })?;
    let (send, mut receive) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut each = interval(ms(333));
        while send.send(each.tick().await).await.is_ok() {}
    });
    ctx.add_thread("receives in a thread", opts(), move |scope| {
        // It receives at 0, 333 and 666 ms.
        for _ in 0..3 {
            scope.block_on(receive.recv());
        }
    })?;
    ctx.add_thread("blocks on a sleep", opts(), |scope| {
        scope.block_on(async { sleep(ms(1_100)).await });
    })?;
    ctx.add_thread("sleeps in its scope", opts(), |scope| {
        scope.sleep(ms(1_001))
    })?;
    ctx.add_thread("spawns", opts(), |scope| {
        scope.sleep(ms(10));
        scope.block_on(async {
            let spawned = tokio::spawn(async {
                sleep(ms(20)).await;
                tokio::task::yield_now().await;
                sleep(ms(30)).await;
            });
            spawned.await
        })
    })?;
    Ok(())
}

#[test]
fn tokio_waits_take_exactly_their_time() {
    let journal = Trial::of(every_wait).at("10s", SignalName::Sigterm).run();
    let expected = [
        ("sleep", 1_500),
        // tokio rounds up to a millisecond.
        ("half a millisecond", 2),
        ("timeout", 2_000),
        ("in time", 1_999),
        ("interval", 1_400),
        ("select", 800),
        ("receives", 1_250),
        ("receives in a thread", 666),
        ("blocks on a sleep", 1_100),
        ("sleeps in its scope", 1_001),
        ("spawns", 60),
    ];
    for (name, at) in expected {
        assert_eq!(ended(&journal, name), Some(at), "{name}\n{journal}");
    }
    assert_eq!(journal.ended_at(), Some(ms(10_000)));
}

#[test]
fn endless_timers_are_cut_off_at_the_horizon() {
    let forever = |ctx: WorkerCtx| async move {
        tokio::spawn(async {
            let mut each = interval(Duration::from_secs(600));
            loop {
                each.tick().await;
            }
        });
        ctx.defer_cleanup("db", CallOpts::new(), |_| {})?;
        Ok(())
    };
    let journal = Trial::of(forever).observe();
    assert_eq!(journal.stuck(), Some("worker"));
    assert_eq!(journal.events.last().map(|last| last.t), Some(86_400_000));
}

#[test]
fn main_that_waits_for_ever_reaches_the_horizon() {
    let waits = |_: WorkerCtx| async { std::future::pending().await };
    let journal = Trial::of(waits).at("1s", Health::status(503)).observe();
    assert_eq!(journal.stuck(), Some("main"));
}

/// The context's own bounds and a user's timers share one clock, and main's waits take time on it too.
#[test]
fn main_and_cleanup_wait_on_the_same_clock() {
    let register = |ctx: WorkerCtx| async move {
        let began = Instant::now();
        sleep(ms(700)).await;
        if began.elapsed() != ms(700) {
            return Err("it is another clock".into());
        }
        ctx.defer_cleanup_async("flush", CallOpts::new().timeout(ms(300)), || sleep(ms(299)))?;
        ctx.defer_cleanup_async("too slow", CallOpts::new().timeout(ms(300)), || {
            sleep(ms(301))
        })?;
        Ok(())
    };
    let trial = Trial::of(register).at("400ms", SignalName::Sigterm);
    let journal = trial.before_ready().breaks("ends/explained").run();
    // Main is asked to stop at 400 ms and ends at 700 ms. The two callbacks take 299 and 300 ms.
    assert_eq!(journal.closed(), ["flush"]);
    assert_eq!(journal.ended_at(), Some(ms(1_299)), "{journal}");
}

/// The place in which one part of a program waits: a task, a raw task, a thread, or a thread's `block_on`.
#[derive(Clone, Copy, Debug)]
enum Where {
    Task,
    Raw,
    Thread,
    ThreadBlocksOn,
}

fn programs() -> impl Strategy<Value = Vec<(Where, Vec<u64>)>> {
    let place = prop_oneof![
        Just(Where::Task),
        Just(Where::Raw),
        Just(Where::Thread),
        Just(Where::ThreadBlocksOn),
    ];
    let waits = prop::collection::vec(1_u64..4_000, 1..8);
    prop::collection::vec((place, waits), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    /// Each wait takes exactly its time, however many parts wait, and in whatever place.
    #[test]
    fn any_program_of_waits_ends_when_their_sum_is_over(program in programs()) {
        let worker = program.clone();
        let own = Own::new(move |ctx: WorkerCtx| {
            let program = worker.clone();
            async move {
                for (nth, (place, waits)) in program.into_iter().enumerate() {
                    let name = format!("part {nth}");
                    let awaits = {
                        let waits = waits.clone();
                        async move {
                            for wait in waits {
                                sleep(ms(wait)).await;
                            }
                        }
                    };
                    let opts = BodyOpts::new();
                    match place {
                        Where::Task => ctx.add_task(name, opts, |_| awaits).map_err(drop).ok(),
                        Where::Raw => ctx.adopt_task(name, opts, tokio::spawn(awaits)).map_err(drop).ok(),
                        Where::Thread => ctx.add_thread(name, opts, move |scope| {
                            waits.into_iter().for_each(|wait| scope.sleep(ms(wait)));
                        }).map_err(drop).ok(),
                        Where::ThreadBlocksOn => ctx
                            .add_thread(name, opts, move |scope| scope.block_on(awaits))
                            .map_err(drop).ok(),
                    };
                }
                Ok(())
            }
        });
        let journal = Trial::of_own(own).at("1m", SignalName::Sigterm).run();
        for (nth, (_, waits)) in program.iter().enumerate() {
            prop_assert_eq!(ended(&journal, &format!("part {nth}")), Some(waits.iter().sum()));
        }
    }
}

/// A task that always has something to do yields, as tokio makes it, and loses no time by that.
#[test]
fn busy_task_yields_within_its_instant() {
    let register = |ctx: WorkerCtx| async move {
        let (send, mut receive) = mpsc::channel(1);
        ctx.add_task("sends", BodyOpts::new(), move |_| async move {
            for _ in 0..10_000 {
                tokio::task::yield_now().await;
                send.send(()).await.map_err(|_| "nobody listens")?;
            }
            Ok::<(), &str>(())
        })?;
        ctx.add_task("listens", BodyOpts::new(), move |_| async move {
            while receive.recv().await.is_some() {}
        })?;
        Ok(())
    };
    let journal = Trial::of(register).at("10s", SignalName::Sigterm).run();
    assert_eq!(ended(&journal, "sends"), Some(0), "{journal}");
    assert_eq!(ended(&journal, "listens"), Some(0));
}

/// At its deadline a task still asks a task that was spawned past the context. All of that is in one instant, and a
/// task that ends at its deadline has ended in time.
#[test]
fn spawned_tasks_have_their_turns_before_a_deadline_is_over() {
    let register = |ctx: WorkerCtx| async move {
        let (ask, mut asked) = mpsc::channel::<tokio::sync::oneshot::Sender<()>>(1);
        tokio::spawn(async move {
            while let Some(answer) = asked.recv().await {
                let _ = answer.send(());
            }
        });
        ctx.add_task(
            "asks",
            BodyOpts::new().timeout(ms(2_000)),
            |token| async move {
                token.cancelled().await;
                sleep(ms(2_000)).await;
                for _ in 0..3 {
                    let (answer, answered) = tokio::sync::oneshot::channel();
                    ask.send(answer).await?;
                    answered.await?;
                }
                Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
            },
        )?;
        Ok(())
    };
    let journal = Trial::of(register).at("10s", SignalName::Sigterm).run();
    assert_eq!(journal.outcome("asks"), Some(Outcome::Ok), "{journal}");
    assert_eq!(journal.took("asks"), Some(ms(2_000)));
}

/// tokio holds the clock while its blocking pool works.
#[test]
fn job_on_the_blocking_pool_takes_no_virtual_time() {
    let register = |ctx: WorkerCtx| async move {
        ctx.add_task("asks the pool", BodyOpts::new(), |_| async {
            sleep(ms(5)).await;
            let computed = tokio::task::spawn_blocking(|| (1..=20_u64).product::<u64>());
            timeout(ms(1), computed).await.map(drop)
        })?;
        Ok(())
    };
    let journal = Trial::of(register).at("10s", SignalName::Sigterm).run();
    assert_eq!(ended(&journal, "asks the pool"), Some(5), "{journal}");
}

#[test]
fn waits_take_the_same_time_at_every_seed() {
    for seed in 0..20 {
        let trial = Trial::of(every_wait).seed(seed);
        let journal = trial.at("10s", SignalName::Sigterm).run();
        assert_eq!(ended(&journal, "receives in a thread"), Some(666), "{seed}");
        assert_eq!(ended(&journal, "spawns"), Some(60), "{seed}");
        assert_eq!(journal.ended_at(), Some(ms(10_000)), "{seed}");
    }
}

/// A task has kept the waker of another that has ended. It wakes the ended task in the instant of the signal, when no
/// later timer is set yet.
#[test]
fn waking_an_ended_task_delays_nothing() {
    let register = |ctx: WorkerCtx| async move {
        let kept = Arc::new(Mutex::new(None));
        let wakes = Arc::clone(&kept);
        tokio::spawn(async move {
            sleep(ms(10_000)).await;
            let kept: Option<Waker> = wakes.lock().ok()?.take();
            kept.map(Waker::wake)
        });
        ctx.add_task("over", BodyOpts::new(), |_| {
            std::future::poll_fn(move |cx| {
                if let Ok(mut kept) = kept.lock() {
                    *kept = Some(cx.waker().clone());
                }
                Poll::Ready(())
            })
        })?;
        ctx.defer_cleanup("db", CallOpts::new(), |scope| scope.sleep(ms(100)))?;
        Ok(())
    };
    let journal = Trial::of(register).at("10s", SignalName::Sigterm).run();
    assert_eq!(ended(&journal, "over"), Some(0), "{journal}");
    assert_eq!(journal.ended_at(), Some(ms(10_100)));
}
