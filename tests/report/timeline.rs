//! The picture under the log, for runs as they occur in an incident. Each snapshot was reviewed.
use deadstop_harness::journal::{
    BoundBy, By, Cause, Event, FaultVerb, How, Kind, LostWhat, Outcome, Phase, RefusedReason,
    StuckWhy, What,
};
use deadstop_harness::report::{Style, timeline};
use deadstop_harness::{scenario, sim};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn events(text: &str, subject: sim::Subject) -> Vec<Event> {
    let scenario = scenario::parse_bytes("shutdown", text.as_bytes())
        .unwrap_or_else(|error| panic!("{:?}", error.diagnostics));
    sim::run(
        &scenario,
        &sim::Options {
            subject,
            ..Default::default()
        },
    )
    .events
}

fn picture(text: &str, subject: sim::Subject) -> String {
    timeline(&events(text, subject), Style::default())
}

/// Returns a journal of events at the given times.
fn journal(whats: impl IntoIterator<Item = (u64, What)>) -> Vec<Event> {
    let numbered = (0..).zip(whats);
    numbered
        .map(|(seq, (t, what))| Event { t, seq, what })
        .collect()
}

const HUNG: &str = r#"
title = "Three threads hang, and the db does not close"
[worker]
components = [
  { thread = "stdout flusher", order = 50, join-timeout = "2s", period = "1s" },
  { thread = "metrics", order = 50, join-timeout = "3s", period = "1s" },
  { thread = "kafka consumer", join-timeout = "5s", period = "1s" },
  { task = "heartbeat", period = "1s" },
  { stop = "drain", order = 100, takes = "300ms" },
  { cleanup = "flush", order = 50, takes = "2s" },
  { closeable = "predictor", order = 200, takes = "1s" },
  { closeable = "db" },
]
[timeline]
events = [
  { at = "60s", hang = "stdout flusher" },
  { at = "61s", hang = "metrics" },
  { at = "90s", hang = "kafka consumer" },
  { at = "95s", fail = "db", message = "connection reset by peer while the last 512 rows were sent" },
  { at = "120s", signal = "SIGTERM" },
]
"#;

const KILLED: &str = r#"
title = "SIGKILL in the middle of a join"
[worker]
components = [
  { thread = "worker", join-timeout = "20s", period = "1s" },
  { task = "server", cancel-timeout = "8s" },
  { stop = "drain", order = 10 },
  { closeable = "db" },
]
[timeline]
events = [
  { at = "5s", panic = "server" , message = "index out of bounds" },
  { at = "8s", hang = "worker" },
  { at = "10s", signal = "SIGTERM" },
  { at = "14s", signal = "SIGKILL" },
]
"#;

const SECOND_SIGNAL: &str = r#"
title = "A second signal in the middle of a flush"
[worker]
components = [
  { closeable = "predictor", order = 200 },
  { cleanup = "flush", order = 50, takes = "2s", floor = "1s" },
  { closeable = "db" },
]
[timeline]
events = [
  { at = "10s", signal = "SIGTERM" },
  { at = "10100ms", signal = "SIGTERM" },
  { on = "flush", after = "500ms", signal = "SIGINT" },
]
"#;

const WATCHDOG: &str = r#"
title = "The model server stops to answer"
[worker]
components = [
  { watchdog = "NIM Sidecar Watchdog", request-timeout = "120s" },
  { closeable = "db" },
]
[timeline]
events = [{ at = "30s", health = "200", takes = "121s" }]
"#;

const HELD: &str = r#"
title = "A task holds the executor, a reader does not heed, a callback comes late"
[worker]
components = [
  { task = "greedy", cancel-timeout = "1s" },
  { task = "polite", cancel-timeout = "1s", takes = "200ms" },
  { stop = "drain", takes = "1s" },
  { closeable = "db", order = 10 },
  { thread = "reader", uses = ["db"], period = "100ms", join-timeout = "500ms" },
  { stop = "afterthought", late = true },
  { cleanup = "flush", takes = "1s" },
]
[timeline]
events = [
  { at = "4s", ignore = "reader" },
  { at = "5s", signal = "SIGTERM" },
  { at = "4800ms", hold = "greedy", for = "3s" },
  { on = "drain", after = "500ms", register = "afterthought" },
]
"#;

#[test]
fn three_hung_threads() {
    insta::assert_snapshot!(picture(HUNG, sim::Subject::Worker));
}

#[test]
fn three_hung_threads_under_the_plan() {
    insta::assert_snapshot!(picture(HUNG, sim::Subject::Plan));
}

#[test]
fn killed() {
    insta::assert_snapshot!(picture(KILLED, sim::Subject::Worker));
}

#[test]
fn second_signal() {
    insta::assert_snapshot!(picture(SECOND_SIGNAL, sim::Subject::Worker));
}

#[test]
fn watchdog_fires() {
    insta::assert_snapshot!(picture(WATCHDOG, sim::Subject::Worker));
}

#[test]
fn held_executor() {
    insta::assert_snapshot!(picture(HELD, sim::Subject::Worker));
}

#[test]
fn two_hundred_components() {
    let mut text = String::from("title = \"many\"\n[worker]\ncomponents = [\n");
    for n in 0..200 {
        let kind = ["thread", "task", "closeable", "cleanup"][n % 4];
        text += &format!("  {{ {kind} = \"{kind} {n}\" }},\n");
    }
    text += "]\n[timeline]\nevents = [{ at = \"5s\", hang = \"thread 40\" },
        { at = \"7s\", slow = \"cleanup 43\", by = \"3s\" },
        { at = \"10s\", signal = \"SIGTERM\" }]\n";
    insta::assert_snapshot!(picture(&text, sim::Subject::Worker));
}

#[test]
fn a_cut_journal_with_hostile_names() {
    let long = "a thread with a name of more words than anybody will read";
    let events = journal([
        (
            0,
            What::Began {
                id: 1,
                name: "\u{1b}[2Jgone\n".into(),
                nth: 1,
            },
        ),
        (
            0,
            What::Began {
                id: 2,
                name: long.into(),
                nth: 1,
            },
        ),
        (
            0,
            What::Began {
                id: 3,
                name: "数据库连接池数据库连接池".into(),
                nth: 1,
            },
        ),
        (
            3_000,
            What::Requested {
                reason: "\u{202e}enough".into(),
                by: By::Call,
            },
        ),
        (
            3_000,
            What::PhaseStarted {
                phase: Phase::Stop,
                ends: Some(9_000),
            },
        ),
        (3_000, step(2, long)),
        (
            3_500,
            What::Ended {
                id: 3,
                name: "x".into(),
                nth: 1,
                how: How::Ok,
                error: None,
                code: None,
            },
        ),
        (
            4_000,
            What::StillWaiting {
                name: long.into(),
                waited: 1_000,
                bound: 2_000,
                id: 2,
            },
        ),
    ]);
    insta::assert_snapshot!(timeline(&events, Style::default()));
}

fn step(id: u64, name: &str) -> What {
    What::StepStarted {
        phase: Phase::Stop,
        name: name.into(),
        order: 0,
        bound: 2_000,
        bound_by: BoundBy::JoinTimeout,
        id,
        kind: Kind::Thread,
        group: 1,
    }
}

#[test]
fn use_after_close_is_drawn_with_the_name() {
    let name = |name: &str| name.into();
    let events = journal([
        (
            0,
            What::Began {
                id: 1,
                name: name("pool"),
                nth: 1,
            },
        ),
        (
            500,
            What::Began {
                id: 2,
                name: name("db"),
                nth: 1,
            },
        ),
        (
            500,
            What::Ended {
                id: 2,
                name: name("db"),
                nth: 1,
                how: How::Ok,
                error: None,
                code: None,
            },
        ),
        (
            900,
            What::Used {
                id: 1,
                of: 2,
                alive: false,
            },
        ),
        (
            1_000,
            What::Exit {
                code: 0,
                cause: Cause::Stopped,
            },
        ),
    ]);
    let drawn = timeline(&events, Style::default());
    assert!(
        drawn.ends_with("0.900  pool still running; used db after its close\n"),
        "{drawn}"
    );
    assert!(drawn.contains("  U used what is closed"), "{drawn}");
}

#[test]
fn two_components_of_one_name_have_two_lanes() {
    let began = |id| What::Began {
        id,
        name: "twin".into(),
        nth: 1,
    };
    let drawn = timeline(&journal([(0, began(1)), (9, began(2))]), Style::default());
    assert_eq!(
        drawn
            .lines()
            .filter(|line| line.starts_with("twin "))
            .count(),
        2
    );
}

#[test]
fn empty_journal_is_drawn_as_such() {
    assert_eq!(timeline(&[], Style::default()), "an empty journal\n");
}

#[test]
fn colour_adds_nothing_but_colour() {
    for subject in [sim::Subject::Worker, sim::Subject::Plan] {
        let events = events(HUNG, subject);
        let color = timeline(
            &events,
            Style {
                color: true,
                ..Style::default()
            },
        );
        for (what, code) in [
            ("a bad end", "31mL"),
            ("folded time", "2m~"),
            ("a signal", "33m1"),
        ] {
            let code = format!("\u{1b}[{code}");
            // The plan does not know of leaks.
            let expected = subject == sim::Subject::Worker || !code.ends_with('L');
            assert_eq!(color.contains(&code), expected, "{what}: {color:?}");
        }
        let mut plain = String::new();
        for piece in color.split('\u{1b}') {
            let code = piece.starts_with('[').then(|| piece.find('m').unwrap() + 1);
            plain += &piece[code.unwrap_or(0)..];
        }
        assert_eq!(plain, timeline(&events, Style::default()));
    }
}

/// Returns events that the scenarios above do not cause.
fn uncommon_events() -> Vec<What> {
    let name = || "rare".into();
    vec![
        What::Abandoned {
            names: vec![name()],
        },
        What::Stuck {
            why: StuckWhy::Horizon,
            name: name(),
        },
        What::Used {
            id: 3,
            of: 7,
            alive: false,
        },
        What::Used {
            id: 3,
            of: 4,
            alive: false,
        },
        What::Refused {
            what: "call".into(),
            name: "stop".into(),
            reason: RefusedReason::Again,
        },
        What::Fault {
            fault: FaultVerb::Health,
            name: name(),
            id: None,
            lasts: None,
            answer: None,
        },
        What::Abort {
            name: name(),
            id: 3,
        },
        What::Lost {
            id: 9,
            name: name(),
            what: LostWhat::Job,
        },
        What::JobBegan { id: 2, job: 1 },
        What::JobEnded { id: 2, job: 1 },
        What::JobEnded { id: 5, job: 2 },
        What::PhaseStarted {
            phase: Phase::Cleanup,
            ends: Some(u64::MAX),
        },
        What::GraceBegan {
            stop_ends: 0,
            cleanup_ends: 1,
            last_resort: u64::MAX,
            kill: u64::MAX,
        },
        What::StepEnded {
            phase: Phase::Start,
            name: "b\u{7}l".into(),
            order: i32::MIN,
            outcome: Outcome::NotAwaited,
            took: u64::MAX,
            id: u64::MAX,
            error: Some("\u{1b}]0;title\u{7}".into()),
        },
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::with_cases(256) })]

    /// The events come in any order and at any times.
    #[test]
    fn any_list_of_events_is_drawn(
        picks in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..4, any::<u64>()), 0..120),
        width in 0_usize..140,
    ) {
        use std::sync::LazyLock;
        static POOL: LazyLock<Vec<Event>> = LazyLock::new(|| {
            let mut pool = journal(uncommon_events().into_iter().map(|what| (0, what)));
            for text in [HUNG, KILLED, SECOND_SIGNAL, WATCHDOG, HELD] {
                for subject in [sim::Subject::Worker, sim::Subject::Plan] {
                    pool.extend(events(text, subject));
                }
            }
            pool
        });
        let events: Vec<Event> = picks
            .into_iter()
            .map(|(index, kind, t)| {
                let event = index.get(&POOL).clone();
                // The time is the event's own, one of five, one of many, or any.
                let t = match kind {
                    0 => event.t,
                    1 => t % 5 * 1_000,
                    2 => t % 100_000,
                    _ => t,
                };
                Event { t, ..event }
            })
            .collect();
        let drawn = timeline(&events, Style { width, color: false });
        prop_assert!(!drawn.contains(|c: char| c.is_control() && c != '\n'), "{drawn:?}");
        for line in drawn.lines() {
            prop_assert!(line.chars().count() <= width.max(40), "{width}: {line}\n{drawn}");
        }
        prop_assert_eq!(&drawn, &timeline(&events, Style { width, color: false }));
    }

    /// The journal is cut anywhere, as by a full disk.
    #[test]
    fn a_cut_journal_is_drawn(keep in 0_usize..60, plan: bool) {
        let subject = if plan { sim::Subject::Plan } else { sim::Subject::Worker };
        let events = events(HUNG, subject);
        let cut = keep.min(events.len() - 1);
        let drawn = timeline(&events[..cut], Style::default());
        let last = drawn.lines().any(|line| line.ends_with("without an exit"));
        prop_assert_eq!(last, cut > 0, "{}", drawn);
    }
}
