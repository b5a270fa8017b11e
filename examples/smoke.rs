use deadstop::journal::*;
use deadstop::scenario::*;
use deadstop::sim::*;
use std::time::*;
fn comp(name: &str, kind: Kind) -> Component {
    Component { name: name.into(), kind, order: 0, after: Duration::ZERO, late: false, uses: vec![], takes: Duration::ZERO, needs: None,
        timeout: Duration::from_secs(if matches!(kind, Kind::Thread|Kind::Task|Kind::Watchdog) {2} else {10}), floor: None, is_async: false, period: None, told: Told::AtOnce, told_by: None, adopted: false,
        watchdog: (kind==Kind::Watchdog).then_some(WatchdogLimits{interval: Duration::from_secs(10), attempts:3, request_timeout: Duration::from_secs(120), start_grace: None}), span: 0..0 }
}
fn main() {
    let s = |n| Duration::from_secs(n);
    let ms = Duration::from_millis;
    let comps = vec![
        Component { timeout: s(5), ..comp("NIM Sidecar Watchdog", Kind::Watchdog) },
        Component { period: Some(s(1)), takes: ms(20), ..comp("flusher", Kind::Thread) },
        Component { takes: ms(500), ..comp("writer", Kind::Task) },
        Component { takes: ms(300), ..comp("drain", Kind::Stop) },
        Component { order: 200, ..comp("predictor", Kind::Closeable) },
        Component { order: 100, takes: s(3), ..comp("thread pool", Kind::Closeable) },
        Component { order: 50, ..comp("stdout flusher", Kind::Cleanup) },
        comp("db", Kind::Closeable),
    ];
    let scenario = Scenario { name: "smoke".into(), title: "".into(), tags: vec![], not_live: None, allow: vec![],
        worker: Worker { grace: s(30), reserve: s(10), margin: ms(500), ties: Ties::First, start_timeout: s(5), run: true, components: Some(comps) },
        timeline: vec![Timed { when: When::At(s(60)), verb: Verb::Signal(SignalName::Sigterm), span: 0..0 },
         Timed { when: When::At(s(50)), verb: Verb::Hang{ name: "thread pool".into(), lasts: None}, span: 0..0 }],
        expect: Expect::default() };
    let journal = run(&scenario, &Options::default());
    for e in &journal.events { println!("{}", serde_json::to_string(e).unwrap()); }
    let t = Instant::now();
    let n = 20000;
    for _ in 0..n { std::hint::black_box(run(&scenario, &Options::default())); }
    println!("{:?} each, {} events", t.elapsed() / n, journal.events.len());
    for seed in 1..50 { let j = run(&scenario, &Options{seed, ..Default::default()}); assert_eq!(j, run(&scenario, &Options{seed, ..Default::default()})); }
}
