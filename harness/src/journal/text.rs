//! Writes the journal as text, one event a line, in fixed columns; for people and for snapshots.

use std::fmt::{self, Write};

use deadstop::journal::{Claim, Level, LogFilter, Ms, Phase};

use super::event::{Event, What};
use super::names::Names;

/// Widths of the columns before the words, in characters.
const TIME_WIDTH: usize = 10;
const LEVEL_WIDTH: usize = 5;
const NAME_WIDTH: usize = 13;

/// Returns the journal as text. It does not depend on the terminal.
///
/// The columns are: the time in seconds, the level at which a service logs the event (`.` if only a journal holds
/// it), the event, and its words. The text leaves out the event's number, `once`, and the figures of a report's rows,
/// which are those of the steps above them.
pub fn text(events: &[Event]) -> String {
    let mut out = String::with_capacity(events.len() * 96);
    let mut words = Words::of(events);
    for Event { t, what, .. } in events {
        let claim = what.to_claim();
        let level = claim.as_ref().and_then(|claim| words.level(claim));
        time_column(&mut out, *t);
        out.push_str("  ");
        column(
            &mut out,
            level.map_or(".", |level| level.as_str()),
            LEVEL_WIDTH,
        );
        column(&mut out, what.name(), NAME_WIDTH);
        let start = out.len();
        // Writing to a string cannot fail.
        let _ = match &claim {
            Some(claim) => words.write_claim(&mut out, claim),
            None => what.write_fact(&mut out, &words.names),
        };
        escape(&mut out, start);
        out.push('\n');
    }
    out
}

/// What the words and levels of a journal's events depend on.
struct Words<'a> {
    names: Names<'a>,
    log: LogFilter,
    /// Whether the journal is of the plan's context, which logs some lines in its own way.
    plan: bool,
}

impl<'a> Words<'a> {
    fn of(events: &'a [Event]) -> Self {
        let plan = matches!(events.first(), Some(Event { what: What::Journal { subject, .. }, .. }) if &**subject == "plan");
        Words {
            names: Names::new(events),
            log: LogFilter::default(),
            plan,
        }
    }

    /// Returns the level at which a service logs the next claim.
    fn level(&mut self, claim: &Claim) -> Option<Level> {
        let level = self.log.next(claim);
        // The plan logs the end of code only together with its step.
        level.filter(|_| !(self.plan && matches!(claim, Claim::Ended { .. })))
    }

    fn write_claim(&self, out: &mut String, claim: &Claim) -> fmt::Result {
        match claim {
            // The plan's context has a name of its own.
            Claim::StepStarted {
                phase: Phase::Cleanup,
                ..
            } if self.plan => write!(out, "FastAPI{claim}"),
            // It logs no words for a step that it gave up.
            Claim::StepEnded {
                phase,
                name,
                order,
                outcome,
                took,
                id,
                error: None,
            } if self.plan => write!(
                out,
                "{name} (#{id}, {phase}, order {order}): {outcome} after {}",
                Ms(*took)
            ),
            _ => write!(out, "{claim}"),
        }
    }
}

fn column(out: &mut String, word: &str, width: usize) {
    const BLANKS: &str = "               ";
    out.push_str(word);
    // Two more part the columns.
    let missing = width.saturating_sub(word.len()) + 2;
    out.push_str(&BLANKS[..missing.min(BLANKS.len())]);
}

/// Writes an instant, right-aligned: seconds, a point, milliseconds.
///
/// It is written digit by digit: formatting would take a quarter of the time of the whole text.
fn time_column(out: &mut String, t: u64) {
    // As many as the largest number has, and the point.
    let mut digits = [b' '; 21];
    let mut at = digits.len();
    let mut left = t;
    for place in 0.. {
        if place > 3 && left == 0 {
            break;
        }
        if place == 3 {
            at -= 1;
            digits[at] = b'.';
        }
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
    }
    let start = at.min(digits.len() - TIME_WIDTH);
    out.extend(digits[start..].iter().map(|digit| char::from(*digit)));
}

/// Escapes control characters from `start` on. Names and errors come from users; an event is one line whatever they
/// contain.
fn escape(out: &mut String, start: usize) {
    if out[start..].contains(char::is_control) {
        let escaped: String = out[start..]
            .chars()
            .flat_map(|c| {
                if c.is_control() {
                    c.escape_default().collect::<Vec<_>>()
                } else {
                    vec![c]
                }
            })
            .collect();
        out.truncate(start);
        out.push_str(&escaped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{BoundBy, Kind, Outcome};

    #[test]
    fn instants_are_right_aligned_and_never_cut() {
        let column = |t| {
            let mut out = String::new();
            time_column(&mut out, t);
            out
        };
        assert_eq!(column(0), "     0.000");
        assert_eq!(column(1_007), "     1.007");
        assert_eq!(column(123_456_789), "123456.789");
        assert_eq!(column(u64::MAX), "18446744073709551.615");
    }

    fn event(t: u64, what: What) -> Event {
        Event { t, seq: 0, what }
    }

    #[test]
    fn columns_are_aligned_and_words_are_the_plans() {
        let events = [
            event(0, What::Running { value: true }),
            event(
                10_500,
                What::StepStarted {
                    phase: Phase::Stop,
                    name: "writer".into(),
                    order: 0,
                    bound: 2_000,
                    bound_by: BoundBy::CancelTimeout,
                    id: 1,
                    kind: Kind::Task,
                    group: 1,
                },
            ),
            event(
                86_400_000,
                What::StepEnded {
                    phase: Phase::Cleanup,
                    name: "db".into(),
                    order: -5,
                    outcome: Outcome::Failed,
                    took: 1_234,
                    id: 2,
                    error: Some("already closed".into()),
                },
            ),
        ];
        assert_eq!(
            text(&events),
            "     0.000  .      running        true
    10.500  debug  step-started   Stopping: writer (#1, task, order 0, group 1, bound 2 s by cancel-timeout)
 86400.000  error  step-ended     Cleanup failed for db: already closed (#2, cleanup, order -5): failed after 1.234 s
"
        );
    }

    #[test]
    fn plans_context_has_its_own_name_in_the_text() {
        let journal = What::Journal {
            version: 1,
            scenario: "s".into(),
            seed: 0,
            subject: "plan".into(),
            host: "sim".into(),
        };
        let cleanup = What::StepStarted {
            phase: Phase::Cleanup,
            name: "db".into(),
            order: 0,
            bound: 0,
            bound_by: BoundBy::Timeout,
            id: 1,
            kind: Kind::Closeable,
            group: 0,
        };
        assert!(
            text(&[event(0, journal), event(0, cleanup.clone())])
                .contains("FastAPIWorkerCtx cleanup: db")
        );
        assert!(text(&[event(0, cleanup)]).contains("  WorkerCtx cleanup: db"));
    }

    #[test]
    fn event_with_control_characters_is_one_line() {
        let events = [event(
            0,
            What::Told {
                name: "a\nb\u{1b}".into(),
                id: 1,
            },
        )];
        assert_eq!(text(&events).lines().count(), 1);
        assert!(text(&events).contains("a\\nb\\u{1b}"));
    }
}
