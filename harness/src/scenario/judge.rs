//! Judges the expectations of a scenario by the journal of a run.

use super::diagnostic::Diagnostic;
use super::model::{Expect, Scenario, WatchdogVerdict};
use super::span::{Span, Spanned};
use crate::journal::{
    Cause, Event, How, Id, Kind, LostWhat, Ms, Name, Outcome, Phase, State, What, ms_rounded_down,
    text,
};

/// An expectation that was not met.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unmet {
    /// Its key in the file.
    pub key: &'static str,
    /// The expected and the actual value, in a sentence.
    pub message: String,
    /// Its place in the file.
    pub span: Span,
    /// The actual value, in short.
    pub got: String,
}

impl Unmet {
    /// Returns a diagnostic that points at the expectation.
    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic::error(
            "unmet-expectation",
            self.span.clone(),
            self.message.clone(),
            self.got.clone(),
        )
    }
}

/// Values from a journal, one for each expectation.
///
/// Of a worker context, the outcomes of steps, the leaks, the refusals, the requests and the states are the context's
/// claims, and the rest are facts. The plan's context claims no outcomes and no leaks, so those are taken from facts.
#[derive(Default)]
struct Actual {
    exit: Option<(i32, Cause, u64)>,
    /// Instant of the first request to stop or signal.
    asked_at: Option<u64>,
    /// Instant at which stop began.
    stop_began: Option<u64>,
    watchdog_fired: bool,
    closed: Vec<Name>,
    leaked: Vec<Name>,
    timed_out: Vec<Name>,
    aborted: Vec<Name>,
    failed: Vec<Name>,
    panicked: Vec<Name>,
    not_awaited: Vec<Name>,
    lost: Vec<Name>,
    died: Vec<Name>,
    ended: Vec<Name>,
    refused: Vec<Name>,
    registered: Vec<Name>,
    ready: bool,
    /// Whether the subject is the plan's context, which has no states.
    is_plan: bool,
}

fn kind_of(events: &[Event], id: Id) -> Option<Kind> {
    events.iter().find_map(|event| match &event.what {
        What::Registered(registered) if registered.id == id => Some(registered.kind),
        _ => None,
    })
}

/// Returns whether a component is a future that is run to its end.
fn is_once(events: &[Event], id: Id) -> bool {
    events.iter().any(
        |event| matches!(&event.what, What::Registered(registered) if registered.id == id && registered.once),
    )
}

impl Actual {
    fn new(events: &[Event]) -> Self {
        let mut actual = Actual::default();
        let plan = matches!(events.first(), Some(Event { what: What::Journal { subject, .. }, .. }) if &**subject == "plan");
        actual.is_plan = plan;
        for Event { t, what, .. } in events {
            match what {
                What::Exit { code, cause } => {
                    actual.exit = Some((*code, *cause, *t));
                    actual.watchdog_fired |= *cause == Cause::Watchdog;
                }
                What::Requested { .. } | What::Signal { .. } => {
                    actual.asked_at = actual.asked_at.or(Some(*t))
                }
                What::State {
                    state: State::Running,
                } => actual.ready = actual.asked_at.is_none(),
                What::Registered(registered) => actual.registered.push(registered.name.clone()),
                What::Running { value: false } => {
                    actual.stop_began = actual.stop_began.or(Some(*t))
                }
                // The plan claims no outcomes: they are taken from the facts below.
                What::StepEnded {
                    phase,
                    name,
                    outcome,
                    ..
                } if !plan => match outcome {
                    Outcome::Ok if *phase == Phase::Cleanup => actual.closed.push(name.clone()),
                    Outcome::Failed if *phase != Phase::Start => actual.failed.push(name.clone()),
                    Outcome::Panicked if *phase != Phase::Start => {
                        actual.panicked.push(name.clone())
                    }
                    Outcome::TimedOut => actual.timed_out.push(name.clone()),
                    Outcome::Aborted => actual.aborted.push(name.clone()),
                    Outcome::NotAwaited => actual.not_awaited.push(name.clone()),
                    _ => {}
                },
                What::Leak { name, .. } => actual.leaked.push(name.clone()),
                What::Ended { id, name, how, .. } => {
                    let kind = if *id == 0 {
                        Some(Kind::Main)
                    } else {
                        kind_of(events, *id)
                    };
                    let is_body = matches!(kind, Some(Kind::Thread | Kind::Task | Kind::Watchdog));
                    // Stop begins when the running flag becomes false. The plan's flag is false from the start, so
                    // there stop begins with the first request.
                    let before_stop = if plan {
                        actual.asked_at
                    } else {
                        actual.stop_began
                    };
                    let early = is_body && before_stop.is_none();
                    match how {
                        How::Failed | How::Panicked | How::Dropped if early => {
                            actual.died.push(name.clone());
                        }
                        How::Ok if early => {
                            if !is_once(events, *id) {
                                actual.ended.push(name.clone());
                            }
                        }
                        _ if !plan && kind != Some(Kind::Main) => {}
                        How::Ok if matches!(kind, Some(Kind::Cleanup | Kind::Closeable)) => {
                            actual.closed.push(name.clone());
                        }
                        How::Failed => actual.failed.push(name.clone()),
                        How::Panicked => actual.panicked.push(name.clone()),
                        How::Ok | How::Dropped => {}
                    }
                }
                What::Lost { name, what, .. } => {
                    // The plan claims no leaks: a component that still runs at the end was left behind all the same.
                    if plan && *what == LostWhat::Running {
                        actual.leaked.push(name.clone());
                    }
                    actual.lost.push(name.clone());
                }
                What::Refused { name, .. } => actual.refused.push(name.clone()),
                _ => {}
            }
        }
        actual
    }
}

/// Returns the expectations that were not met, in the order of the file. `broken` are the names of the laws that the
/// journal breaks.
pub fn judge(scenario: &Scenario, events: &[Event], broken: &[&str]) -> Vec<Unmet> {
    let actual = Actual::new(events);
    let expect = &scenario.expect;
    let mut judge = Judge { unmet: Vec::new() };
    judge.check_end(expect, &actual);
    judge.check_watchdog(expect, &actual);
    judge.check_ready(expect, &actual);
    judge.check_names(expect, &actual);
    judge.check_log(expect, events);
    judge.check_broken_laws(expect, broken);
    judge.unmet.sort_by_key(|unmet| unmet.span.start);
    judge.unmet
}

struct Judge {
    unmet: Vec<Unmet>,
}

impl Judge {
    fn push(&mut self, key: &'static str, span: &Span, message: String, got: String) {
        self.unmet.push(Unmet {
            key,
            message,
            span: span.clone(),
            got,
        });
    }

    /// Checks how and when the process ended.
    fn check_end(&mut self, expect: &Expect, actual: &Actual) {
        self.check_exit(
            actual,
            "exit",
            &expect.exit,
            |exit| format!("the exit code {exit}"),
            |(code, _, _), exit| (code == exit, format!("it was {code}")),
        );
        self.check_exit(
            actual,
            "cause",
            &expect.cause,
            |cause| format!("the cause {cause}"),
            |(_, was, _), cause| (was == cause, format!("it was {was}")),
        );
        self.check_exit(
            actual,
            "ends-at",
            &expect.ends_at,
            |at| format!("the end at {}", Ms(ms_rounded_down(*at))),
            |(_, _, t), at| {
                (
                    u128::from(*t) == at.as_millis(),
                    format!("it was at {}", Ms(*t)),
                )
            },
        );
        let asked = actual.asked_at;
        self.check_exit(
            actual,
            "within",
            &expect.within,
            |within| {
                format!(
                    "the end within {} of the first request",
                    Ms(ms_rounded_down(*within))
                )
            },
            |(_, _, t), within| match asked {
                Some(asked) => (
                    u128::from(t - asked) <= within.as_millis(),
                    format!("it took {}", Ms(t - asked)),
                ),
                None => (false, "nothing asked the worker to stop".to_owned()),
            },
        );
    }

    fn check_watchdog(&mut self, expect: &Expect, actual: &Actual) {
        if let Some(watchdog) = &expect.watchdog
            && actual.watchdog_fired != (watchdog.value == WatchdogVerdict::Fires)
        {
            let (expected, got) = if actual.watchdog_fired {
                ("stay quiet", "it fired")
            } else {
                ("fire", "it stayed quiet")
            };
            self.push(
                "watchdog",
                &watchdog.span,
                format!("the watchdog was expected to {expected}: {got}"),
                got.to_owned(),
            );
        }
    }

    fn check_ready(&mut self, expect: &Expect, actual: &Actual) {
        if let Some(ready) = &expect.ready
            && ready.value != actual.ready
            && !actual.is_plan
        {
            let (expected, got) = if actual.ready {
                ("not to become ready", "it became ready")
            } else {
                ("to become ready", "it never became ready")
            };
            self.push(
                "ready",
                &ready.span,
                format!("the worker was expected {expected}: {got}"),
                got.to_owned(),
            );
        }
    }

    /// Checks what became of the components: the closed ones in their order, the others as sets.
    fn check_names(&mut self, expect: &Expect, actual: &Actual) {
        self.check_list("closed", &expect.closed, &actual.closed);
        for (key, expected, got) in [
            ("leaked", &expect.leaked, &actual.leaked),
            ("timed-out", &expect.timed_out, &actual.timed_out),
            ("aborted", &expect.aborted, &actual.aborted),
            ("failed", &expect.failed, &actual.failed),
            ("panicked", &expect.panicked, &actual.panicked),
            ("not-awaited", &expect.not_awaited, &actual.not_awaited),
            ("lost", &expect.lost, &actual.lost),
            ("died", &expect.died, &actual.died),
            ("ended", &expect.ended, &actual.ended),
            ("registered", &expect.registered, &actual.registered),
            ("refused", &expect.refused, &actual.refused),
        ] {
            self.check_set(key, expected, got);
        }
    }

    fn check_log(&mut self, expect: &Expect, events: &[Event]) {
        if let Some(lines) = &expect.lines {
            let log = text(events);
            let live = matches!(events.first(), Some(Event { what: What::Journal { host, .. }, .. }) if &**host == "live");
            if live {
                self.check_lines(lines, &in_expected_order(lines, events, &log));
            } else {
                self.check_lines(lines, &log);
            }
        }
    }

    /// Checks that the laws which were expected to break are among the broken ones.
    fn check_broken_laws(&mut self, expect: &Expect, broken: &[&str]) {
        for law in &expect.breaks.value {
            if !broken.contains(&&**law) {
                let message = format!("the law {law} was expected to break, but it holds");
                self.push(
                    "breaks",
                    &expect.breaks.span,
                    message,
                    "it holds".to_owned(),
                );
            }
        }
    }

    /// Checks an expectation of the exit. Without an exit it is not met.
    fn check_exit<T>(
        &mut self,
        actual: &Actual,
        key: &'static str,
        expected: &Option<Spanned<T>>,
        words: impl Fn(&T) -> String,
        holds: impl Fn(&(i32, Cause, u64), &T) -> (bool, String),
    ) {
        let Some(expected) = expected else { return };
        let words = words(&expected.value);
        let got = match &actual.exit {
            None => "the run never ended".to_owned(),
            Some(exit) => match holds(exit, &expected.value) {
                (true, _) => return,
                (false, got) => got,
            },
        };
        self.push(key, &expected.span, format!("expected {words}: {got}"), got);
    }

    /// Checks that the names are exactly these, in this order.
    fn check_list(
        &mut self,
        key: &'static str,
        expected: &Option<Spanned<Vec<Name>>>,
        got: &[Name],
    ) {
        let Some(expected) = expected else { return };
        if expected.value != got {
            let got = quoted_list(got);
            self.push(
                key,
                &expected.span,
                format!(
                    "expected {key} to be {}: it was {got}",
                    quoted_list(&expected.value)
                ),
                format!("it was {got}"),
            );
        }
    }

    /// Checks that the names are exactly these, in any order and each any number of times.
    fn check_set(
        &mut self,
        key: &'static str,
        expected: &Option<Spanned<Vec<Name>>>,
        got: &[Name],
    ) {
        let Some(expected) = expected else { return };
        let sorted = |names: &[Name]| {
            let mut names = names.to_vec();
            names.sort();
            names.dedup();
            names
        };
        let (wanted, got) = (sorted(&expected.value), sorted(got));
        if wanted != got {
            let got = quoted_list(&got);
            self.push(
                key,
                &expected.span,
                format!(
                    "expected {key} to be {}: it was {got}",
                    quoted_list(&wanted)
                ),
                format!("it was {got}"),
            );
        }
    }

    fn check_lines(&mut self, expected: &Spanned<Vec<Spanned<String>>>, log: &str) {
        let mut lines = log.lines();
        for part in &expected.value {
            if !lines.any(|line| line.contains(&part.value)) {
                let got = if log.contains(&part.value) {
                    "the line comes too early"
                } else {
                    "no line contains it"
                };
                self.push(
                    "lines",
                    &part.span,
                    format!(
                        "expected a line that contains {:?} in the log: {got}",
                        part.value
                    ),
                    got.to_owned(),
                );
                return;
            }
        }
    }
}

/// Returns a live log in which, within each instant, the expected lines come first and in the expected order.
///
/// In a live run, components that have nothing to do with one another have no order within one instant.
fn in_expected_order(
    expected: &Spanned<Vec<Spanned<String>>>,
    events: &[Event],
    log: &str,
) -> String {
    let parts = expected.value.iter();
    let mut parts = parts.map(|part| &*part.value).peekable();
    let lines: Vec<(u64, &str)> = events
        .iter()
        .map(|event| event.t)
        .zip(log.lines())
        .collect();
    let mut out = String::with_capacity(log.len());
    for instant in lines.chunk_by(|(one, _), (other, _)| one == other) {
        let mut left: Vec<&str> = instant.iter().map(|(_, line)| *line).collect();
        while let Some(part) = parts.peek() {
            let Some(at) = left.iter().position(|line| line.contains(part)) else {
                break;
            };
            out += left.remove(at);
            out.push('\n');
            parts.next();
        }
        for line in left {
            out += line;
            out.push('\n');
        }
    }
    out
}

fn quoted_list(names: &[Name]) -> String {
    if names.is_empty() {
        "empty".to_owned()
    } else {
        names
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect::<Vec<_>>()
            .join(", ")
    }
}
