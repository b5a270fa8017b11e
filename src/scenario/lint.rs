//! Lints: a file that can be run, but does not do what its author seems to want.

use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::model::{Component, Scenario, Verb, WatchdogVerdict, When};
use crate::journal::{Cause, Kind, SignalName};

/// Every lint, and what it says.
pub const LINTS: &[(&str, &str)] = &[
    (
        "floors-cannot-fit",
        "the floors of cleanup's steps are more than the time that cleanup is sure of",
    ),
    (
        "bounds-over-grace",
        "the bounds of all steps together are more than the grace: some will be cut",
    ),
    ("cannot-hold", "an expectation that cannot hold"),
    ("never-strikes", "an event that can never strike"),
    (
        "never-registered",
        "a component that is late and never registered",
    ),
];

/// What is odd about a scenario, less what it allows, in the order of the file.
pub fn lint(scenario: &Scenario) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    bounds_over_grace(scenario, &mut found);
    floors_cannot_fit(scenario, &mut found);
    never_registered(scenario, &mut found);
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

fn is_join(component: &Component) -> bool {
    matches!(component.kind, Kind::Thread | Kind::Task | Kind::Watchdog)
}

fn is_cleanup(component: &Component) -> bool {
    matches!(component.kind, Kind::Cleanup | Kind::Closeable)
}

/// The longest that stop can take by the bounds of its groups, and cleanup by those of its steps.
///
/// Only bounds that the file itself gives count: a worker whose defaults add up to more than the grace
/// is every worker, and cutting them is what the contract is for.
fn bounds_over_grace(scenario: &Scenario, found: &mut Vec<Diagnostic>) {
    let worker = &scenario.worker;
    let mut stop: Vec<&Component> = components(scenario)
        .filter(|component| !is_cleanup(component))
        .collect();
    stop.sort_by_key(|component| component.order);
    let mut sum = Duration::ZERO;
    let mut group: Option<(i32, Duration)> = None;
    for component in stop {
        match &mut group {
            Some((order, longest)) if is_join(component) && *order == component.order => {
                *longest = (*longest).max(component.timeout)
            }
            _ => {
                sum += group.take().map_or(Duration::ZERO, |(_, longest)| longest);
                if is_join(component) {
                    group = Some((component.order, component.timeout));
                } else if component.timeout != Duration::from_secs(10) {
                    sum += component.timeout;
                }
            }
        }
    }
    sum += group.map_or(Duration::ZERO, |(_, longest)| longest);
    sum += components(scenario)
        .filter(|component| is_cleanup(component) && component.timeout != Duration::from_secs(10))
        .map(|component| component.timeout)
        .sum::<Duration>();
    let limit = worker.grace.saturating_sub(worker.margin);
    if sum > limit {
        let span = components(scenario)
            .next()
            .map_or(0..0, |component| component.span.clone());
        found.push(
            Diagnostic::warning(
                "bounds-over-grace",
                span,
                format!("the bounds of the steps add up to {sum:?}, and the grace less its margin is {limit:?}"),
                "from this component on",
            )
            .help("some bounds will be cut: a longer grace, or shorter bounds"),
        );
    }
}

fn floors_cannot_fit(scenario: &Scenario, found: &mut Vec<Diagnostic>) {
    let steps = components(scenario)
        .filter(|component| is_cleanup(component))
        .count();
    let reserve_ms = scenario.worker.reserve.as_millis();
    let explicit: Duration = components(scenario)
        .filter_map(|component| component.floor)
        .sum();
    let without =
        components(scenario).filter(|component| is_cleanup(component) && component.floor.is_none());
    let shared = reserve_ms.saturating_sub(explicit.as_millis());
    let count = without.clone().count();
    if steps > 0 && count > 0 && shared < count as u128 {
        let span = without
            .last()
            .map_or(0..0, |component| component.span.clone());
        found.push(
            Diagnostic::warning(
                "floors-cannot-fit",
                span,
                format!("{count} steps without a floor share {shared} ms of the reserve: nothing is left for each"),
                "sure of nothing",
            )
            .help("a longer reserve, or shorter floors"),
        );
    }
}

fn never_registered(scenario: &Scenario, found: &mut Vec<Diagnostic>) {
    for component in components(scenario).filter(|component| component.late) {
        let registered = scenario.timeline.iter().any(
            |event| matches!(&event.verb, Verb::Register { name, .. } if *name == component.name),
        );
        if !registered {
            found.push(
                Diagnostic::warning(
                    "never-registered",
                    component.span.clone(),
                    format!("\"{}\" is late, and no event registers it", component.name),
                    "never registered",
                )
                .help(format!(
                    "an event {{ at = …, register = \"{}\" }}, or without `late`",
                    component.name
                )),
            );
        }
    }
}

/// The instant at which the process is over at the latest, as far as the file tells.
fn latest_end(scenario: &Scenario) -> Option<Duration> {
    let at = |event: &super::model::Timed| match event.when {
        When::At(at) => Some(at),
        When::On(..) => None,
    };
    let signal = |kill: bool| {
        scenario
            .timeline
            .iter()
            .filter(move |event| matches!(event.verb, Verb::Signal(signal) if (signal == SignalName::Sigkill) == kill))
            .filter_map(at)
            .min()
    };
    let by_grace = signal(false).map(|at| at + scenario.worker.grace);
    [by_grace, signal(true)].into_iter().flatten().min()
}

fn never_strikes(scenario: &Scenario, found: &mut Vec<Diagnostic>) {
    let end = latest_end(scenario).filter(|_| scenario.worker.run);
    let watchdog = components(scenario).any(|component| component.kind == Kind::Watchdog);
    for event in &scenario.timeline {
        let why = match (&event.when, &event.verb) {
            (When::At(at), _) if end.is_some_and(|end| *at > end) => {
                Some("the process is over by then".to_owned())
            }
            (_, Verb::Signal(_)) if !scenario.worker.run => {
                Some("nobody handles signals where `run` is false".to_owned())
            }
            (_, Verb::Health { .. }) if !watchdog && scenario.worker.components.is_some() => {
                Some("no watchdog asks the health endpoint".to_owned())
            }
            (
                When::On(name, _),
                Verb::Register {
                    name: registered, ..
                },
            ) if name == registered => {
                Some("it waits for the step of what it registers".to_owned())
            }
            _ => None,
        };
        if let Some(why) = why {
            found.push(Diagnostic::warning(
                "never-strikes",
                event.span.clone(),
                "this event can never strike",
                why,
            ));
        }
    }
}

fn cannot_hold(scenario: &Scenario, found: &mut Vec<Diagnostic>) {
    let expect = &scenario.expect;
    let mut odd = |span: &super::model::Span, message: String| {
        found.push(Diagnostic::warning(
            "cannot-hold",
            span.clone(),
            message,
            "this cannot hold",
        ));
    };
    if scenario.worker.components.is_none() {
        return;
    }
    if let Some(watchdog) = &expect.watchdog
        && watchdog.value == WatchdogVerdict::Fires
        && !components(scenario).any(|component| component.kind == Kind::Watchdog)
    {
        odd(&watchdog.span, "no watchdog is there to fire".to_owned());
    }
    for (names, fits, what) in [
        (
            &expect.closed,
            is_cleanup as fn(&Component) -> bool,
            "is closed by no cleanup step",
        ),
        (
            &expect.aborted,
            |component: &Component| component.kind == Kind::Task,
            "is no task, and only tasks are aborted",
        ),
        (
            &expect.timed_out,
            |component: &Component| component.is_async,
            "is not async, and only async callbacks time out",
        ),
    ] {
        let Some(names) = names else { continue };
        for name in &names.value {
            if scenario
                .component(name)
                .is_some_and(|component| !fits(component))
            {
                odd(&names.span, format!("\"{name}\" {what}"));
            }
        }
    }
    let first_request = scenario
        .timeline
        .iter()
        .filter(|event| matches!(event.verb, Verb::Signal(_) | Verb::Call { .. }))
        .filter_map(|event| match event.when {
            When::At(at) => Some(at),
            When::On(..) => None,
        })
        .min();
    if let (Some(ends_at), Some(request)) = (&expect.ends_at, first_request)
        && ends_at.value < request
        && expect
            .cause
            .as_ref()
            .is_none_or(|cause| matches!(cause.value, Cause::Stopped | Cause::SecondSignal))
        && !matches!(&expect.watchdog, Some(watchdog) if watchdog.value == WatchdogVerdict::Fires)
        && !scenario
            .timeline
            .iter()
            .any(|event| matches!(event.verb, Verb::Fail { .. } | Verb::Panic { .. }))
    {
        odd(
            &ends_at.span,
            format!("nobody asks the worker to stop before {request:?}"),
        );
    }
}
