#![allow(
    clippy::disallowed_methods,
    reason = "measures the simulator in real time, beside hand-written tokio"
)]
use deadstop::journal::*;
use deadstop::scenario::*;
use deadstop::sim::*;
use std::time::*;
fn comp(name: &str, kind: Kind) -> Component {
    Component {
        name: name.into(),
        kind,
        order: 0,
        after: Duration::ZERO,
        late: false,
        uses: vec![],
        takes: Duration::ZERO,
        needs: None,
        timeout: Duration::from_secs(
            if matches!(kind, Kind::Thread | Kind::Task | Kind::Watchdog) {
                2
            } else {
                10
            },
        ),
        floor: None,
        is_async: false,
        period: None,
        told: Told::AtOnce,
        told_by: None,
        adopted: false,
        watchdog: (kind == Kind::Watchdog).then_some(WatchdogLimits {
            interval: Duration::from_secs(10),
            attempts: 3,
            request_timeout: Duration::from_secs(120),
            start_grace: None,
        }),
        span: 0..0,
    }
}
fn main() {
    let s = |n| Duration::from_secs(n);
    let ms = Duration::from_millis;
    let comps = vec![
        Component {
            timeout: s(5),
            ..comp("NIM Sidecar Watchdog", Kind::Watchdog)
        },
        Component {
            period: Some(s(1)),
            takes: ms(20),
            ..comp("flusher", Kind::Thread)
        },
        Component {
            takes: ms(500),
            ..comp("writer", Kind::Task)
        },
        Component {
            takes: ms(300),
            ..comp("drain", Kind::Stop)
        },
        Component {
            order: 200,
            ..comp("predictor", Kind::Closeable)
        },
        Component {
            order: 100,
            takes: s(3),
            ..comp("thread pool", Kind::Closeable)
        },
        Component {
            order: 50,
            ..comp("stdout flusher", Kind::Cleanup)
        },
        comp("db", Kind::Closeable),
    ];
    let scenario = Scenario {
        name: "smoke".into(),
        title: "".into(),
        tags: vec![],
        not_live: None,
        allow: vec![],
        worker: Worker {
            grace: s(30),
            reserve: s(10),
            margin: ms(500),
            ties: Ties::First,
            start_timeout: s(5),
            run: true,
            components: Some(comps),
        },
        timeline: vec![
            Timed {
                when: When::At(s(60)),
                verb: Verb::Signal(SignalName::Sigterm),
                span: 0..0,
            },
            Timed {
                when: When::At(s(50)),
                verb: Verb::Hang {
                    name: "thread pool".into(),
                    lasts: None,
                },
                span: 0..0,
            },
        ],
        expect: Expect::default(),
    };
    let journal = run(&scenario, &Options::default());
    for e in &journal.events {
        println!("{}", serde_json::to_string(e).unwrap());
    }
    let t = Instant::now();
    let n: u32 = std::env::args()
        .nth(1)
        .map_or(20000, |a| a.parse().unwrap());
    if std::env::args().nth(2).is_none() {
        let t = Instant::now();
        for _ in 0..n {
            std::hint::black_box(by_hand());
        }
        println!("hand {:?} {} lines", t.elapsed() / n, by_hand().len());
    }
    let t = Instant::now();
    for _ in 0..n {
        std::hint::black_box(run(&scenario, &Options::default()));
    }
    println!(
        "{:?} each, {} events",
        t.elapsed() / n,
        journal.events.len()
    );
    for seed in 1..50 {
        let j = run(
            &scenario,
            &Options {
                seed,
                ..Default::default()
            },
        );
        assert_eq!(
            j,
            run(
                &scenario,
                &Options {
                    seed,
                    ..Default::default()
                }
            )
        );
    }
}
#[allow(dead_code)]
pub fn by_hand() -> Vec<(u64, String)> {
    use std::sync::{Arc, Mutex};
    use tokio::time::{Instant, sleep, timeout};
    use tokio_util::sync::CancellationToken;
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    rt.block_on(async {
        let t0 = Instant::now();
        let log: Arc<Mutex<Vec<(u64, String)>>> = Default::default();
        let say = {
            let log = log.clone();
            move |s: String| {
                log.lock()
                    .unwrap()
                    .push((t0.elapsed().as_millis() as u64, s))
            }
        };
        let stop = CancellationToken::new();
        let s = Duration::from_secs;
        let ms = Duration::from_millis;
        let (t, y) = (stop.clone(), say.clone());
        let watchdog = tokio::spawn(async move {
            y("began watchdog".into());
            loop {
                y("probe-began".into());
                y("probe 200".into());
                tokio::select! { biased; _ = t.cancelled() => break, _ = sleep(s(10)) => {} }
            }
            y("ended watchdog".into());
        });
        let (t, y) = (stop.clone(), say.clone());
        let flusher = tokio::spawn(async move {
            y("began flusher".into());
            loop {
                tokio::select! { biased; _ = t.cancelled() => break, _ = sleep(s(1)) => {} }
            }
            y("heard flusher".into());
            sleep(ms(20)).await;
            y("ended flusher".into());
        });
        let (t, y) = (stop.clone(), say.clone());
        let writer = tokio::spawn(async move {
            y("began writer".into());
            t.cancelled().await;
            y("heard writer".into());
            sleep(ms(500)).await;
            y("ended writer".into());
        });
        sleep(s(60)).await;
        say("signal SIGTERM".into());
        stop.cancel();
        for (n, h, b) in [
            ("watchdog", watchdog, 5),
            ("flusher", flusher, 2),
            ("writer", writer, 2),
        ] {
            say(format!("Stopping: {n}"));
            match timeout(s(b), h).await {
                Ok(_) => say(format!("ok {n}")),
                Err(_) => say(format!("leaked {n}")),
            }
        }
        for (n, takes) in [
            ("drain", Some(300)),
            ("predictor", Some(0)),
            ("thread pool", None),
            ("stdout flusher", Some(0)),
            ("db", Some(0)),
        ] {
            say(format!("cleanup: {n}"));
            let y = say.clone();
            let h = tokio::spawn(async move {
                y(format!("began {n}"));
                match takes {
                    Some(0) => {}
                    Some(d) => sleep(ms(d)).await,
                    None => std::future::pending().await,
                };
                y(format!("ended {n}"));
            });
            match timeout(s(10), h).await {
                Ok(_) => say(format!("ok {n}")),
                Err(_) => say(format!("leaked {n}")),
            }
        }
        say("exit".into());
        let out = log.lock().unwrap().clone();
        out
    })
}
