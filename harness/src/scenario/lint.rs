//! Lints: warnings about a file that can be run, but does not do what its author seems to want.

use std::time::Duration;

use super::diagnostic::{Diagnostic, time};
use super::limits;
use super::model::{Component, Scenario, Verb, WatchdogVerdict};
use super::span::Span;
use super::trigger::Trigger;
use crate::journal::{Call, Kind, SignalName, Told};

/// Returns the warnings about a scenario, without those that the file allows, in the order of the file.
pub fn lint(scenario: &Scenario) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    bounds_over_grace(scenario, &mut found);
    floors_cannot_fit(scenario, &mut found);
    never_registered(scenario, &mut found);
    no_effect(scenario, &mut found);
    never_strikes(scenario, &mut found);
    cannot_hold(scenario, &mut found);
    found.retain(|diagnostic| {
        !scenario
            .allow
            .iter()
            .any(|allowed| allowed == diagnostic.code)
    });
    found.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
    found
}

fn components(scenario: &Scenario) -> impl Iterator<Item = &Component> + Clone {
    scenario.worker.components.iter().flatten()
}

fn is_joined(component: &Component) -> bool {
    matches!(component.kind, Kind::Thread | Kind::Task | Kind::Watchdog)
}

fn is_cleanup(component: &Component) -> bool {
    matches!(component.kind, Kind::Cleanup | Kind::Closeable)
}

/// Returns the steps that are awaited one after another. Of a group, which is awaited together, it returns the step
/// with the longest bound.
fn awaited_steps(scenario: &Scenario) -> Vec<&Component> {
    let mut steps: Vec<&Component> = components(scenario).collect();
    // The sort is stable: equal orders keep the order of the file. Only stop's steps form groups.
    steps.sort_by_key(|component| {
        let order = i64::from(component.order);
        if is_cleanup(component) {
            (true, -order)
        } else {
            (false, order)
        }
    });
    let mut awaited: Vec<&Component> = Vec::new();
    let mut previous: Option<&Component> = None;
    for step in steps {
        let same_group = previous
            .is_some_and(|other| is_joined(other) && is_joined(step) && other.order == step.order);
        match awaited.last_mut() {
            Some(longest) if same_group => {
                if step.timeout > longest.timeout {
                    *longest = step;
                }
            }
            _ => awaited.push(step),
        }
        previous = Some(step);
    }
    awaited
}

/// Warns if the bounds add up to more than the grace without its margin.
///
/// A callback's bound does not count if it equals the default: three callbacks with the default bound already exceed
/// the default grace, and the contract exists to cut them.
fn bounds_over_grace(scenario: &Scenario, found: &mut Vec<Diagnostic>) {
    let worker = &scenario.worker;
    let limit = worker.grace.saturating_sub(worker.margin);
    let mut sum = Duration::ZERO;
    for step in awaited_steps(scenario) {
        if is_joined(step) || step.timeout != limits::CALL_TIMEOUT {
            sum += step.timeout;
        }
        if sum > limit {
            found.push(
                Diagnostic::warning(
                    "bounds-over-grace",
                    step.span.clone(),
                    format!(
                        "the bounds of the steps up to \"{}\" add up to {}, but the grace of {} without its margin is only {}",
                        step.name,
                        time(sum),
                        time(worker.grace),
                        time(limit)
                    ),
                    format!("this bound of {} may be cut short", time(step.timeout)),
                )
                .help("make the bounds shorter, or the grace longer"),
            );
            return;
        }
    }
}

fn floors_cannot_fit(scenario: &Scenario, found: &mut Vec<Diagnostic>) {
    let explicit: Duration = components(scenario)
        .filter_map(|component| component.floor)
        .sum();
    let shared = scenario.worker.reserve.saturating_sub(explicit);
    let without =
        components(scenario).filter(|component| is_cleanup(component) && component.floor.is_none());
    let count = without.clone().count();
    if let Some(last) = without.last()
        && shared.as_millis() < count as u128
    {
        found.push(
            Diagnostic::warning(
                "floors-cannot-fit",
                last.span.clone(),
                format!(
                    "only {} of the reserve is left for {count} cleanup step{} without a floor",
                    time(shared),
                    if count == 1 { "" } else { "s" }
                ),
                "its floor is 0",
            )
            .help("make the reserve longer, or the floors shorter"),
        );
    }
}

fn never_registered(scenario: &Scenario, found: &mut Vec<Diagnostic>) {
    for component in components(scenario).filter(|component| component.late) {
        let registered = scenario
            .timeline
            .iter()
            .any(|event| matches!(&event.verb, Verb::Register { name } if *name == component.name));
        if !registered {
            found.push(
                Diagnostic::warning(
                    "never-registered",
                    component.span.clone(),
                    format!(
                        "\"{}\" is `late`, but no event registers it",
                        component.name
                    ),
                    "never registered",
                )
                .help(format!(
                    "add an event {{ at = \"…\", register = \"{}\" }}, or remove `late`",
                    component.name
                )),
            );
        }
    }
}

fn no_effect(scenario: &Scenario, found: &mut Vec<Diagnostic>) {
    events_without_effect(scenario, found);
    for component in components(scenario) {
        let (message, help) = if component.late && !component.after.is_zero() {
            (
                "`after` has no effect together with `late`: main does not register this component",
                "remove `after`: the `register` event determines when it is registered",
            )
        } else if component.adopted && component.told == Told::InTurn {
            (
                "`told` has no effect together with `adopted`: an adopted task has no token, and is not told",
                "remove one of them",
            )
        } else {
            continue;
        };
        found.push(
            Diagnostic::warning("no-effect", component.span.clone(), message, "here").help(help),
        );
    }
}

/// Warns about events that strike and change nothing.
fn events_without_effect(scenario: &Scenario, found: &mut Vec<Diagnostic>) {
    let watchdog = components(scenario).any(|component| component.kind == Kind::Watchdog);
    for event in &scenario.timeline {
        let (label, help) = match &event.verb {
            // A component ends once. What calls inside of it never strikes, which is another lint.
            verb if !matches!(verb, Verb::Call { .. } | Verb::Register { .. })
                && matches!(&event.trigger, Trigger::OnEnd { name, .. } if verb.about() == Some(name)) =>
            {
                let name = verb.about().map_or("", |name| name);
                (
                    format!("\"{name}\" has ended by then"),
                    "let the event strike earlier, or strike another component",
                )
            }
            // The components of a user's own worker are not known.
            Verb::Health { .. } if !watchdog && scenario.worker.components.is_some() => (
                "no watchdog probes the health endpoint".to_owned(),
                "add a component { watchdog = NAME }",
            ),
            Verb::Fault { fault, .. }
                if fault
                    .before()
                    .and_then(|before| scenario.component(before))
                    .is_some_and(|component| component.late) =>
            {
                let before = fault.before().map_or("", |before| before);
                (
                    format!("main does not register \"{before}\", because it is `late`"),
                    "name a component without `late`",
                )
            }
            _ => continue,
        };
        found.push(
            Diagnostic::warning(
                "no-effect",
                event.span.clone(),
                "this event has no effect",
                label,
            )
            .help(help),
        );
    }
}

/// Returns the instant at which the process has ended at the latest, or `None` if the file does not determine it.
fn latest_end(scenario: &Scenario) -> Option<Duration> {
    let at = |event: &super::model::Timed| match event.trigger {
        Trigger::At(at) => Some(at),
        Trigger::On { .. } | Trigger::OnEnd { .. } | Trigger::AfterEvent(_) => None,
    };
    let first = |ends_at_once: bool| {
        let signals = scenario.timeline.iter().filter(move |event| {
            matches!(event.verb, Verb::Signal(signal)
                if ends_at_once == (signal == SignalName::Sigkill || !scenario.worker.run))
        });
        signals.filter_map(at).min()
    };
    let by_grace = first(false).map(|at| at + scenario.worker.grace);
    [by_grace, first(true)].into_iter().flatten().min()
}

fn never_strikes(scenario: &Scenario, found: &mut Vec<Diagnostic>) {
    let end = latest_end(scenario);
    for event in &scenario.timeline {
        let (label, help) = match (&event.trigger, &event.verb) {
            (Trigger::At(at), _) if end.is_some_and(|end| *at > end) => (
                format!(
                    "the process ends at {} at the latest",
                    time(end.unwrap_or_default())
                ),
                "let the event strike earlier; after a signal, the process ends when the grace is over",
            ),
            (Trigger::On { name, .. }, Verb::Register { name: registered })
                if name == registered =>
            {
                (
                    "its trigger is a step of the component that it registers".to_owned(),
                    "use `at`, or `on` with another component",
                )
            }
            (Trigger::OnEnd { name, .. }, Verb::Register { name: registered })
                if name == registered =>
            {
                (
                    "its trigger is the end of the component that it registers".to_owned(),
                    "use `at`, or `on-end` with another component",
                )
            }
            (
                Trigger::OnEnd { name, .. },
                Verb::Call {
                    from: Some(from), ..
                },
            ) if name == from => (
                format!("the code of \"{from}\" is to make this call, but has ended by then"),
                "remove `from`, or let the event strike earlier",
            ),
            _ => continue,
        };
        found.push(
            Diagnostic::warning(
                "never-strikes",
                event.span.clone(),
                "this event can never strike",
                label,
            )
            .help(help),
        );
    }
}

fn cannot_hold(scenario: &Scenario, found: &mut Vec<Diagnostic>) {
    if scenario.worker.components.is_none() {
        return;
    }
    let expect = &scenario.expect;
    let has_watchdog = components(scenario).any(|component| component.kind == Kind::Watchdog);
    let mut warn = |span: &Span, message: String| {
        found.push(Diagnostic::warning(
            "cannot-hold",
            span.clone(),
            message,
            "this cannot hold",
        ));
    };
    if let Some(watchdog) = &expect.watchdog
        && watchdog.value == WatchdogVerdict::Fires
        && !has_watchdog
    {
        warn(
            &watchdog.span,
            "the worker has no watchdog that could fire".to_owned(),
        );
    }
    for (names, fits, what) in [
        (
            &expect.closed,
            is_cleanup as fn(&Component) -> bool,
            "is not a cleanup or closeable, and only these are closed",
        ),
        (
            &expect.aborted,
            |component: &Component| component.kind == Kind::Task,
            "is not a task, and only tasks are aborted",
        ),
        (
            &expect.timed_out,
            |component: &Component| component.is_async,
            "is not an async callback, and only these time out",
        ),
        (
            &expect.died,
            is_joined,
            "is not a thread, task or watchdog, and only these die before stop",
        ),
    ] {
        let Some(names) = names else { continue };
        for name in &names.value {
            if scenario
                .component(name)
                .is_some_and(|component| !fits(component))
            {
                warn(&names.span, format!("\"{name}\" {what}"));
            }
        }
    }
    if let Some(closed) = &expect.closed {
        for (n, name) in closed.value.iter().enumerate() {
            if closed.value[..n].contains(name) {
                warn(
                    &closed.span,
                    format!("\"{name}\" is closed only once, but is listed twice"),
                );
            }
        }
    }
    if let (Some(ends_at), Some(request)) = (&expect.ends_at, first_request(scenario))
        && ends_at.value < request
        && !(has_watchdog
            && expect
                .watchdog
                .as_ref()
                .is_none_or(|it| it.value == WatchdogVerdict::Fires))
    {
        warn(
            &ends_at.span,
            format!("nothing asks the worker to stop before {}", time(request)),
        );
    }
}

/// Returns the instant at which the worker is first asked to stop, or killed.
///
/// Returns `None` if the file does not determine the instant: main may fail before, and what a request waits for may
/// come earlier or later than expected.
fn first_request(scenario: &Scenario) -> Option<Duration> {
    let mut first = None;
    for event in &scenario.timeline {
        match (&event.verb, &event.trigger) {
            (Verb::KillFails, _) => return None,
            (Verb::Fault { fault, .. }, _) if fault.is_failure() => return None,
            (
                Verb::Call {
                    call: Call::Start, ..
                },
                _,
            ) => {}
            (Verb::Signal(_) | Verb::Call { .. }, Trigger::At(at)) => {
                first = Some(first.map_or(*at, |first: Duration| first.min(*at)));
            }
            (Verb::Signal(_) | Verb::Call { .. }, _) => return None,
            _ => {}
        }
    }
    first
}
