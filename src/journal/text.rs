//! Writes the journal as text, one event a line, in fixed columns; for people and for snapshots.

use std::fmt::Write;

use super::event::{Event, What};
use super::level::LogFilter;
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
    let plan = matches!(events.first(), Some(Event { what: What::Journal { subject, .. }, .. }) if &**subject == "plan");
    let names = Names::new(events);
    let mut filter = LogFilter::default();
    for Event { t, what, .. } in events {
        // The plan logs the end of code only together with its step.
        let level = filter
            .next(what)
            .filter(|_| !(plan && matches!(what, What::Ended { .. })));
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
        let _ = what.write_words(&mut out, plan, &names);
        escape(&mut out, start);
        out.push('\n');
    }
    out
}

fn column(out: &mut String, word: &str, width: usize) {
    out.push_str(word);
    for _ in word.len()..width {
        out.push(' ');
    }
    out.push_str("  ");
}

/// Writes an instant, right-aligned: seconds, a point, milliseconds.
fn time_column(out: &mut String, t: u64) {
    let start = out.len();
    let _ = write!(out, "{}.{:03}", t / 1_000, t % 1_000);
    let missing = TIME_WIDTH.saturating_sub(out.len() - start);
    const BLANKS: &str = "          ";
    out.insert_str(start, &BLANKS[..missing]);
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
    use crate::journal::{BoundBy, Kind, Outcome, Phase};

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
