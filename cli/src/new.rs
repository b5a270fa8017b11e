//! `deadstop new`: writes a scenario to start from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::output::out;
use super::{Done, Exit, place};
use deadstop_harness::journal::{Kind, SignalName};
use deadstop_harness::report::whole::write_new;
use deadstop_harness::scenario::keys::Place;
use deadstop_harness::scenario::{
    Component, Fault, Layout, Scenario, Spanned, Spot, Timed, Trigger, Verb,
};
use deadstop_harness::words::shown_path;

/// Write a new scenario file with comments, as a starting point.
#[derive(Debug, Args)]
pub struct New {
    /// The name of the scenario, with a slash for a folder: `context/lost-flush`
    name: String,
}

impl New {
    pub fn run(self) -> Done {
        let name = self
            .name
            .trim_start_matches("scenarios/")
            .trim_end_matches(".toml");
        let part = |part: &str| {
            !part.is_empty()
                && part.len() <= 100
                && !part.starts_with(['.', '-'])
                && part
                    .chars()
                    .all(|c| c.is_alphanumeric() || "-_.".contains(c))
        };
        if !name.split('/').all(part) {
            return Err((
                Exit::Usage,
                format!(
                    "{name:?} cannot be the name of a scenario: use letters, digits, `-`, `_` and `/`, as in `context/lost-flush`"
                ),
            ));
        }
        let root = place::scenarios().unwrap_or_else(|| PathBuf::from("scenarios"));
        let path = root.join(format!("{name}.toml"));
        let own = for_own_workers();
        write_scenario(&path, &if own { own_text(name) } else { text(name) })
            .map_err(|message| (Exit::Failed, message))?;
        if own {
            out(&format!(
                "wrote {}\n  `cargo test` runs it, with `deadstop_harness::scenarios!`\n",
                shown_path(&path)
            ))?;
            return Ok(Exit::Well);
        }
        out(&format!(
            "wrote {}\n  look at it:      deadstop run {name}\n  judge it:        deadstop check {name}\n  accept its log:  deadstop accept {name}\n",
            shown_path(&path)
        ))?;
        Ok(Exit::Well)
    }
}

/// Returns the text of a new scenario. It passes `check` once its log is accepted.
fn text(name: &str) -> String {
    let mut scenario = Scenario::new(
        name,
        "SIGTERM while a job is in flight: the pool finishes it, then the db is closed",
    );
    scenario.worker.components = Some(vec![
        Component {
            timeout: Duration::from_secs(5),
            takes: Duration::from_millis(200),
            ..Component::new(Kind::Task, "server")
        },
        Component {
            order: 100,
            uses: vec!["db".into()],
            ..Component::new(Kind::Closeable, "thread pool")
        },
        Component::new(Kind::Closeable, "db"),
    ]);
    let job = Verb::Fault {
        name: "thread pool".into(),
        fault: Fault::Job {
            count: 1,
            takes: Some(Duration::from_secs(3)),
        },
    };
    scenario.timeline = vec![
        Timed::new(Trigger::At(Duration::from_secs(9)), job),
        sigterm(),
    ];
    scenario.expect.exit = Some(Spanned::from(0));
    scenario.expect.closed = Some(Spanned::from(vec!["thread pool".into(), "db".into()]));
    scenario.expect.leaked = Some(Spanned::from(Vec::new()));
    scenario.expect.ends_at = Some(Spanned::from(Duration::from_secs(12)));
    Layout::new()
        .before(Spot::Key(Place::Top, "title"), ABOUT)
        .before(Spot::Key(Place::Top, "title"), format!("{GRAMMAR}."))
        .beside(
            Spot::Key(Place::Worker, "grace"),
            "from the signal to SIGKILL; a third of it is kept for cleanup, unless `reserve` is given",
        )
        .before(
            Spot::Key(Place::Worker, "components"),
            "The components of the worker, in the order in which main registers them.",
        )
        .beside(Spot::Component(0), "told to stop, needs 200 ms")
        .beside(Spot::Component(1), "cleanup runs in descending order: this one first")
        .beside(Spot::Component(2), "then this one (order 0)")
        .before(Spot::Key(Place::Timeline, "events"), "What happens to the worker, and when.")
        .beside(Spot::Event(0), "one job, done at 12 s")
        .before(Spot::Event(2), SUGGESTED_EVENTS)
        .before(Spot::Key(Place::Expect, "exit"), EXPECTED)
        .beside(Spot::Key(Place::Expect, "closed"), "exactly these, in this order")
        .beside(
            Spot::Key(Place::Expect, "ends-at"),
            "the server takes until 10.2 s, the pool until its job is done",
        )
        .write(&scenario)
}

/// Returns the text of a new scenario in a project whose scenarios are for its own worker.
fn own_text(name: &str) -> String {
    let mut scenario = Scenario::new(name, "SIGTERM: everything is stopped, and closed");
    scenario.timeline = vec![sigterm()];
    scenario.expect.exit = Some(Spanned::from(0));
    scenario.expect.leaked = Some(Spanned::from(Vec::new()));
    Layout::new()
        .before(Spot::Key(Place::Top, "title"), ABOUT)
        .before(
            Spot::Key(Place::Top, "title"),
            "It is for the worker that your tests register, so it lists no components.",
        )
        .before(
            Spot::Key(Place::Top, "title"),
            format!("{GRAMMAR} of deadstop."),
        )
        .before(
            Spot::Key(Place::Timeline, "events"),
            "What happens to the worker, and when. Faults name its components as your code does:\n  { at = \"5s\", hang = \"flusher\" }",
        )
        .before(Spot::Key(Place::Expect, "exit"), EXPECTED)
        .write(&scenario)
}

const ABOUT: &str = "What this scenario is about: the bug, and the right behaviour.";
const GRAMMAR: &str = "Every key is explained, with an example, in scenarios/README.md";
const EXPECTED: &str = "The right result, worked out by hand before the first run. An expectation that is left out is not checked.";
/// Events to try. Their lines become events where the comment's sign is removed.
const SUGGESTED_EVENTS: &str = r#"Try these: the pool's close never returns, or a second signal comes.
{ on = "thread pool", hang = "thread pool" },
{ on = "thread pool", after = "500ms", signal = "SIGTERM" },"#;

fn sigterm() -> Timed {
    Timed::new(
        Trigger::At(Duration::from_secs(10)),
        Verb::Signal(SignalName::Sigterm),
    )
}

/// Returns whether all scenarios of this project are for own workers, so that a new one is, too.
fn for_own_workers() -> bool {
    let found = place::select(&[]).map_or_else(|_| Vec::new(), |selection| selection.found);
    let mut own = found.iter().filter_map(|found| {
        let scenario =
            deadstop_harness::scenario::parse_bytes(&found.name, &found.read().ok()?).ok()?;
        Some(scenario.worker.components.is_none())
    });
    // At least one scenario is without components, and none has any.
    own.next().is_some_and(|first| first) && own.all(|own| own)
}

/// Writes a file that must not exist yet, and the folder in which it lies.
fn write_scenario(path: &Path, text: &str) -> Result<(), String> {
    if path.exists() {
        return Err(format!(
            "{} exists already; choose another name, or edit the file",
            path.display()
        ));
    }
    let failed = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(failed)?;
    write_new(path, text).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use deadstop_harness::scenario::{lint, parse};

    #[test]
    fn new_scenarios_have_no_mistake_and_no_lint() {
        for text in [text("new"), own_text("new")] {
            let scenario = parse("new", &text).expect(&text);
            assert!(lint(&scenario).is_empty(), "{text}");
        }
    }

    #[test]
    fn suggested_events_are_events_without_the_comment_sign() {
        let text = text("new").replace("# {", "{");
        let scenario = parse("new", &text).expect(&text);
        assert_eq!(scenario.timeline.len(), 4, "{text}");
    }
}
