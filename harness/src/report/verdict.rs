//! The verdict on a run: by the laws, and by the file's expectations. The command adds the findings on snapshots and
//! live runs, the test kit those of its own.

use std::sync::Arc;

use crate::journal::{Event, FaultVerb, Name, SignalName, StuckWhy, What};
use crate::laws;
use crate::scenario::{self, Scenario, Span, Timed, Trigger, Verb};
use crate::sim::MAX_ROWS_PER_RUN;

use super::figures::grouped;
use super::finding::{Check, Finding, SourceFile};

/// Returns every error in a file that is no scenario.
pub fn invalid(file: &Arc<SourceFile>, invalid: &scenario::Invalid) -> Vec<Finding> {
    let diagnostics = invalid.diagnostics.iter().cloned();
    diagnostics
        .map(|diagnostic| Finding::of_diagnostic(Check::File, file, diagnostic))
        .collect()
}

/// Judges a run. Returns a finding if the run is stuck, then one for each break of a law, then one for each
/// expectation that is not met.
///
/// # Example
///
/// ```
/// # use deadstop_harness::report::{SourceFile, judge};
/// # use deadstop_harness::{scenario, sim};
/// let file = SourceFile {
///     path: "scenarios/a.toml".to_owned(),
///     text: "title = \"A\"\n[worker]\ncomponents = [{ closeable = \"db\" }]\n[timeline]\n\
///         events = [{ at = \"10s\", signal = \"SIGTERM\" }]\n[expect]\nexit = 1\n"
///         .to_owned(),
/// };
/// let scenario = scenario::parse("a", &file.text).expect("a valid file");
/// let journal = sim::run(&scenario, &sim::Options::default());
/// let findings = judge(&scenario, &file.into(), &journal.events);
/// let place = findings[0].place.as_ref().expect("an expectation has a place");
/// assert_eq!(place.to_string(), "scenarios/a.toml:7:8");
/// assert_eq!(findings[0].message, "expected the exit code 1: it was 0");
/// ```
pub fn judge(scenario: &Scenario, file: &Arc<SourceFile>, events: &[Event]) -> Vec<Finding> {
    let broken = laws::judge(events);
    let mut names: Vec<&str> = broken.iter().map(|broken| broken.law.name).collect();
    names.dedup();
    let mut findings = Vec::from_iter(stuck(scenario, file, events));
    let allowed = |law: &str| {
        let breaks = &scenario.expect.breaks.value;
        breaks.iter().any(|name| &**name == law)
    };
    for broken in broken.iter().filter(|broken| !allowed(broken.law.name)) {
        let finding = Finding::new(Check::Law(broken.law), broken.message.clone());
        let event = events.iter().find(|event| event.seq == broken.seq);
        findings.push(match event {
            Some(event) => at_event(finding, scenario, file, (events, event)),
            None => finding.in_file(file, None),
        });
    }
    let exit = events
        .iter()
        .find(|event| matches!(event.what, What::Exit { .. }));
    for unmet in scenario::judge(scenario, events, &names) {
        let finding =
            Finding::of_diagnostic(Check::Expectation(unmet.key), file, unmet.diagnostic());
        // Other expectations are about a list of components, which no single event decides.
        let is_of_exit = matches!(unmet.key, "exit" | "cause" | "ends-at" | "within");
        findings.push(match exit.filter(|_| is_of_exit) {
            Some(exit) => finding.at_event(exit),
            None => finding,
        });
    }
    findings
}

/// Returns the finding that a run never came to an end, if its last event says so.
fn stuck(scenario: &Scenario, file: &Arc<SourceFile>, events: &[Event]) -> Option<Finding> {
    let last = events.last()?;
    let What::Stuck { why, name } = &last.what else {
        return None;
    };
    let asks = |event: &Event| matches!(event.what, What::Signal { .. } | What::Requested { .. });
    let message = match why {
        StuckWhy::Horizon if !events.iter().any(asks) => {
            "the run never ended: no event of the file asks the worker to stop".to_owned()
        }
        StuckWhy::TooLarge => format!(
            "the run was given up ({why}): its reports have more than {} rows in all, and the last row is for \
             \"{name}\"; use fewer callers, or split the file",
            grouped(MAX_ROWS_PER_RUN as u64)
        ),
        _ => format!("the run never ended ({why}): the cause is \"{name}\""),
    };
    Some(at_event(
        Finding::new(Check::End, message),
        scenario,
        file,
        (events, last),
    ))
}

/// Sets the event at which a finding shows, and the place in the file from which that event comes.
fn at_event(
    finding: Finding,
    scenario: &Scenario,
    file: &Arc<SourceFile>,
    (events, event): (&[Event], &Event),
) -> Finding {
    let mut finding = finding.at_event(event);
    if finding.component.is_none() {
        finding.component = numbered(events, &event.what);
    }
    let span = span_of(scenario, event, finding.component.as_ref());
    finding.in_file(file, span)
}

/// Returns the name of the component that an event gives by its number alone.
fn numbered(events: &[Event], what: &What) -> Option<Name> {
    let (What::Used { id, .. } | What::JobBegan { id, .. } | What::JobEnded { id, .. }) = what
    else {
        return None;
    };
    events.iter().find_map(|event| match &event.what {
        What::Registered(it) if it.id == *id => Some(it.name.clone()),
        _ => None,
    })
}

/// Returns the place in the file from which an event of a journal comes: the event of the timeline, if it is a fault or
/// a signal; or else the table of its component. The components of an own worker stand in no file: of these it is the
/// first event of the timeline that is about the component.
fn span_of(scenario: &Scenario, event: &Event, name: Option<&Name>) -> Option<Span> {
    let timeline = || scenario.timeline.iter();
    let struck = match &event.what {
        What::Fault { fault, name, .. } => timeline()
            .find(|timed| is_fault(&timed.verb, *fault) && timed.verb.about() == Some(name)),
        What::Signal { name, .. } => signal_at(scenario, *name, event.t),
        _ => None,
    };
    let table = || Some(scenario.component(name?)?.span.clone());
    let about = || {
        let about = timeline().find(|timed| name.is_some() && timed.verb.about() == name);
        about.map(|timed| timed.span.clone())
    };
    struck
        .map(|timed| timed.span.clone())
        .or_else(table)
        .or_else(about)
}

fn is_fault(verb: &Verb, fault: FaultVerb) -> bool {
    verb.key() == fault.as_str()
}

/// Returns the event of the timeline by which a signal came at an instant. One whose trigger is no instant is taken if
/// none fits.
fn signal_at(scenario: &Scenario, name: SignalName, t: u64) -> Option<&Timed> {
    let signals = || {
        let timeline = scenario.timeline.iter();
        timeline.filter(move |timed| matches!(&timed.verb, Verb::Signal(signal) if *signal == name))
    };
    let at_t = |timed: &&Timed| matches!(&timed.trigger, Trigger::At(at) if at.as_millis() == u128::from(t));
    let without_instant = |timed: &&Timed| !matches!(timed.trigger, Trigger::At(_));
    signals()
        .find(at_t)
        .or_else(|| signals().find(without_instant))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::parse_json;

    const TEXT: &str = "title = \"A pool and its db\"\n\
        [worker]\n\
        components = [\n  { closeable = \"db\" },\n  { closeable = \"pool\" },\n]\n\
        [timeline]\n\
        events = [\n  { at = \"10s\", signal = \"SIGTERM\" },\n  { at = \"11s\", signal = \"SIGTERM\" },\n  \
        { at = \"9s\", hang = \"db\" },\n]\n";

    /// Returns the line of the file from which an event comes.
    fn line_of_event(text: &str, own: bool, event: &str) -> Option<usize> {
        let mut scenario = scenario::parse("pool", text).expect("a valid file");
        if own {
            scenario.worker.components = None;
        }
        let event = parse_json(event).expect("an event").remove(0);
        let span = span_of(&scenario, &event, event.what.component())?;
        Some(scenario::line_of(text, span.start))
    }

    #[test]
    fn an_event_comes_from_its_table_or_from_the_timeline() {
        let line = |event| line_of_event(TEXT, false, event);
        let outcome = r#"{"t":10000,"seq":9,"event":"lost","id":1,"name":"pool","what":"running"}"#;
        assert_eq!(line(outcome), Some(5));
        let signal = r#"{"t":11000,"seq":9,"event":"signal","name":"SIGTERM","nth":2}"#;
        assert_eq!(line(signal), Some(10));
        let fault = r#"{"t":9000,"seq":9,"event":"fault","fault":"hang","name":"db","id":1}"#;
        assert_eq!(line(fault), Some(11));
        let exit = r#"{"t":9000,"seq":9,"event":"exit","code":0,"cause":"stopped"}"#;
        assert_eq!(line(exit), None);
    }

    #[test]
    fn what_an_own_worker_registers_has_the_place_of_its_fault() {
        let line = |name: &str| {
            let event = format!(
                r#"{{"t":10000,"seq":9,"event":"lost","id":1,"name":"{name}","what":"running"}}"#
            );
            line_of_event(TEXT, true, &event)
        };
        assert_eq!(line("db"), Some(11));
        assert_eq!(line("pool"), None);
    }
}
