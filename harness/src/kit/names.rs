//! Checks the names in a file for an own worker. Only the worker's code knows its components, so the names are
//! compared with what a run has registered.

use std::collections::BTreeMap;

use crate::journal::{How, Kind, Name, RefusedReason, Registered, What};
use crate::report::{Check, Detail, Finding};
use crate::scenario::keys::{self, Place};
use crate::scenario::{
    Diagnostic, Scenario, Span, Spanned, Timed, Verb, all_of, any_of, did_you_mean,
};
use crate::sim::Journal;

use super::nothing::main_ended_unasked;

/// Returns a diagnostic for everything in the file that cannot be laid over real code.
pub(super) fn not_overlayable(scenario: &Scenario, text: &str) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if scenario.worker.components.is_some() {
        found.push(
            Diagnostic::error(
                "has-components",
                span_of_key(text, "components"),
                "this worker's own code registers its components",
                "expected no `components`",
            )
            .help("remove `components`: names in the file refer to the components that the code registers"),
        );
    }
    found.extend(
        scenario
            .timeline
            .iter()
            .filter_map(|timed| cannot_strike(timed, text)),
    );
    found
}

fn cannot_strike(timed: &Timed, text: &str) -> Option<Diagnostic> {
    let key = timed.verb.key();
    let not_own = keys::find(Place::Event, key).and_then(|key| key.not_own);
    let (what, help) = match &timed.verb {
        Verb::KillFails => (
            "`fail = \"kill\"`".to_owned(),
            "only the plan has a kill tool; a worker of your own has none",
        ),
        Verb::Fault { fault, .. } if fault.before().is_some() => (
            "`before`".to_owned(),
            "main is real code here, and faults strike it where it awaits: use `at` instead",
        ),
        _ => (format!("`{key}`"), not_own?),
    };
    Some(
        Diagnostic::error(
            "not-simulated",
            span_of_word(text, &timed.span, key),
            format!("{what} cannot be applied to real code"),
            "not for a worker of your own",
        )
        .help(help),
    )
}

/// Names that an expectation lists.
type Names = Spanned<Vec<Name>>;

/// A name in the file, and the key of the event in which it stands.
struct Mention<'a> {
    name: &'a Name,
    span: &'a Span,
    verb: Option<&'static str>,
    /// Reserved words, such as `main`, that are allowed in its place.
    reserved: Vec<&'static str>,
}

fn mentions(scenario: &Scenario) -> Vec<Mention<'_>> {
    let reserved_words =
        |place, key: &str| keys::find(place, key).map_or(Vec::new(), |key| key.ty.also());
    let mut all = Vec::new();
    for Timed {
        trigger,
        verb,
        span,
    } in &scenario.timeline
    {
        if let Some(name) = verb.about() {
            all.push(Mention {
                name,
                span,
                verb: Some(verb.key()),
                reserved: match verb {
                    Verb::Call { .. } => reserved_words(Place::Event, "from"),
                    verb => reserved_words(Place::Event, verb.key()),
                },
            });
        }
        if let Some(name) = trigger.component() {
            // `on` and `on-end` allow the same words.
            all.push(Mention {
                name,
                span,
                verb: None,
                reserved: reserved_words(Place::Event, "on"),
            });
        }
    }
    let expect = &scenario.expect;
    let sets: [(&str, &Option<Names>); 11] = [
        ("closed", &expect.closed),
        ("leaked", &expect.leaked),
        ("timed-out", &expect.timed_out),
        ("aborted", &expect.aborted),
        ("failed", &expect.failed),
        ("panicked", &expect.panicked),
        ("not-awaited", &expect.not_awaited),
        ("lost", &expect.lost),
        ("died", &expect.died),
        ("ended", &expect.ended),
        ("refused", &expect.refused),
    ];
    for (key, set) in sets {
        if let Some(Spanned { value, span }) = set {
            all.extend(value.iter().map(|name| Mention {
                name,
                span,
                verb: None,
                reserved: reserved_words(Place::Expect, key),
            }));
        }
    }
    all
}

/// Returns a diagnostic for each name that the worker did not register, and for each event that does not apply to the
/// kind of component that it registered by that name.
pub(super) fn not_registered(
    scenario: &Scenario,
    text: &str,
    journal: &Journal,
) -> Vec<Diagnostic> {
    let mut known: BTreeMap<&str, Option<(Kind, bool)>> = BTreeMap::new();
    for event in &journal.events {
        match &event.what {
            What::Registered(it) => {
                known.insert(&it.name, Some((it.kind, it.adopted)));
            }
            What::Refused { name, .. } => {
                known.entry(name).or_default();
            }
            _ => {}
        }
    }
    // The journal of a run that kept its thread for good may not show what was registered.
    if known.is_empty() && journal.stuck().is_some() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for Mention {
        name,
        span,
        verb,
        reserved,
    } in mentions(scenario)
    {
        if reserved.contains(&&**name) {
            continue;
        }
        let span = span_of_word(text, span, name);
        match (known.get(&**name), verb) {
            (None, _) => found.push(unknown_name(name, span, &known, &reserved)),
            (Some(Some((kind, adopted))), Some(verb)) => {
                found.extend(wrong_kind(name, span, verb, *kind, *adopted));
            }
            (Some(_), _) => {}
        }
    }
    found
}

fn unknown_name(
    name: &str,
    span: Span,
    known: &BTreeMap<&str, Option<(Kind, bool)>>,
    reserved: &[&str],
) -> Diagnostic {
    let all = || known.keys().copied().chain(reserved.iter().copied());
    let mut help = match did_you_mean(name, all()) {
        Some(meant) => format!("did you mean \"{meant}\"? "),
        None => String::new(),
    };
    help += &if known.is_empty() {
        "no component was registered".to_owned()
    } else {
        format!("registered are {}", all_of('"', known.keys().copied()))
    };
    Diagnostic::error(
        "unknown-name",
        span,
        format!("no component is registered with the name \"{name}\""),
        "unknown name",
    )
    .help(help)
}

fn wrong_kind(name: &str, span: Span, verb: &str, kind: Kind, adopted: bool) -> Option<Diagnostic> {
    let on = keys::find(Place::Event, verb)?.on;
    if !on.is_empty() && !on.contains(&kind.as_str()) {
        return Some(Diagnostic::error(
            "wrong-kind",
            span,
            format!(
                "`{verb}` is for {}, but \"{name}\" is a {kind}",
                any_of('`', on.iter().copied())
            ),
            "wrong kind",
        ));
    }
    (adopted && verb != "call").then(|| {
        Diagnostic::error(
            "not-simulated",
            span,
            format!("\"{name}\" ran before it was registered: no fault can be applied to it"),
            "an adopted task",
        )
        .help("register it with `add_task`, which starts it")
    })
}

/// Returns the threads that were to be adopted, which the host refused.
pub(super) fn not_adopted(journal: &Journal) -> Vec<&Name> {
    let refused = journal.events.iter().filter_map(|event| match &event.what {
        What::Refused {
            name,
            reason: RefusedReason::Host,
            ..
        } => Some(name),
        _ => None,
    });
    refused.collect()
}

/// Returns a finding for each name in a component's `uses` by which nothing was registered in the whole run.
pub(super) fn unknown_uses(journal: &Journal) -> Vec<Finding> {
    let registered = || {
        journal.events.iter().filter_map(|event| match &event.what {
            What::Registered(it) => Some(&**it),
            _ => None,
        })
    };
    // If the start was cut off, it may still have had the name to register. A refused component counts as registered.
    if journal.aside.stall.is_some() || main_ended_unasked(journal) != Some(How::Ok) {
        return Vec::new();
    }
    let refused = journal.events.iter().filter_map(|event| match &event.what {
        What::Refused { name, .. } => Some(&**name),
        _ => None,
    });
    let mut known: Vec<&str> = registered().map(|it| &*it.name).chain(refused).collect();
    known.sort_unstable();
    known.dedup();
    let unknown = registered().flat_map(|user| {
        let used = user.uses.iter().filter(|used| !known.contains(&&***used));
        used.map(move |used| (user, used))
    });
    let finding = |(user, used): (&Registered, &Name)| {
        let meant = did_you_mean(used, known.iter().copied());
        let meant = meant.map_or_else(String::new, |meant| format!("did you mean \"{meant}\"? "));
        let others = known.iter().copied().filter(|name| *name != &*user.name);
        let registered = format!("{meant}registered are {}\n", all_of('"', others));
        let message = format!(
            "\"{}\" uses \"{used}\", but no component is registered with that name",
            user.name
        );
        Finding {
            component: Some(user.name.clone()),
            details: vec![Detail::Text(registered)],
            ..Finding::new(Check::File, message)
        }
    };
    unknown.map(finding).collect()
}

/// Returns where a key stands in the file: the first place where a line or a table begins with it, and so not in a
/// title before it. Without such a place it is the first place of all.
fn span_of_key(text: &str, key: &str) -> Span {
    let leads = |at: &usize| {
        let before = text[..*at].trim_end_matches([' ', '\t']);
        before.is_empty() || before.ends_with(['\n', '{', ',']) || before.ends_with("worker.")
    };
    let mut all = text.match_indices(key).map(|(at, _)| at);
    match all.clone().find(leads).or_else(|| all.next()) {
        Some(at) => at..at + key.len(),
        None => 0..0,
    }
}

/// Returns where a word stands in a part of the file, or all of the part if the word is written in some other way
/// there.
fn span_of_word(text: &str, span: &Span, word: &str) -> Span {
    let part = text.get(span.clone()).unwrap_or("");
    let quoted = [format!("\"{word}\""), format!("'{word}'"), word.to_owned()];
    let found = quoted
        .iter()
        .find_map(|word| part.find(&**word).map(|at| (at, word.len())));
    match found {
        Some((at, length)) => span.start + at..span.start + at + length,
        None => span.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_found_where_a_line_or_table_begins_with_it() {
        let title = "title = \"Without components\" # components\n";
        for (before, after) in [
            ("[worker]\n", " = []\n"),
            ("[worker]\n  ", " = []\n"),
            ("worker = { ", " = [] }\n"),
            ("worker = { run = false, ", " = [] }\n"),
            ("worker.", " = []\n"),
            ("[[worker.", "]]\nthread = \"a\"\n"),
        ] {
            let text = format!("{title}{before}components{after}");
            let at = title.len() + before.len();
            assert_eq!(span_of_key(&text, "components"), at..at + 10, "{text}");
        }
    }
}
