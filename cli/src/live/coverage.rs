//! Counts what random scenarios have struck, as a table of verbs and kinds.

use std::collections::BTreeMap;
use std::fmt::Write;

use deadstop_harness::journal::Kind;
use deadstop_harness::report::figures::grouped;
use deadstop_harness::scenario::keys::{self, Place};
use deadstop_harness::scenario::{Component, Scenario};

/// Numbers of events that struck, by verb and by kind of component.
#[derive(Default)]
pub struct Coverage {
    cells: BTreeMap<(&'static str, &'static str), u64>,
    /// Numbers of events that struck, by how the file gives their time.
    moments: BTreeMap<String, u64>,
}

/// Column of events about no component.
const WORKER: &str = "worker";

/// Columns of the table: what events strike.
const COLUMNS: &[&str] = &[
    WORKER, "main", "thread", "task", "adopted", "stop", "stop/a", "clean", "clean/a", "close",
    "close/a", "dog",
];

fn column(component: &Component) -> &'static str {
    match (component.kind, component.is_async) {
        (Kind::Main, _) => "main",
        (Kind::Thread, _) => "thread",
        (Kind::Task, _) if component.adopted => "adopted",
        (Kind::Task, _) => "task",
        (Kind::Watchdog, _) => "dog",
        (Kind::Stop, false) => "stop",
        (Kind::Stop, true) => "stop/a",
        (Kind::Cleanup, false) => "clean",
        (Kind::Cleanup, true) => "clean/a",
        (Kind::Closeable, false) => "close",
        (Kind::Closeable, true) => "close/a",
    }
}

impl Coverage {
    /// Counts the events of a scenario that struck in its simulation.
    pub fn count(&mut self, scenario: &Scenario, unstruck: &[usize]) {
        for (place, timed) in scenario.timeline.iter().enumerate() {
            if unstruck.contains(&place) {
                continue;
            }
            let about = match timed.verb.about() {
                None => WORKER,
                Some(name) => scenario.component(name).map_or("main", column),
            };
            *self.cells.entry((timed.verb.key(), about)).or_default() += 1;
            let after = if timed.trigger.delay().is_zero() {
                ""
            } else {
                ", after"
            };
            let moment = format!("{}{after}", timed.trigger.key());
            *self.moments.entry(moment).or_default() += 1;
        }
    }

    /// Returns the table, with one line for each verb.
    pub fn table(&self) -> String {
        let mut table = String::from("struck    ");
        for column in COLUMNS {
            let _ = write!(table, "{column:>8}");
        }
        table.push('\n');
        for verb in keys::of(Place::Event).filter(|key| key.selects) {
            let _ = write!(table, "{:<10}", verb.name);
            for column in COLUMNS {
                match self.cells.get(&(verb.name, *column)) {
                    Some(count) => {
                        let _ = write!(table, "{:>8}", grouped(*count));
                    }
                    None => table.push_str("       ."),
                }
            }
            table.push('\n');
        }
        let moments: Vec<String> = self
            .moments
            .iter()
            .map(|(moment, count)| format!("{} {moment}", grouped(*count)))
            .collect();
        let _ = writeln!(
            table,
            "struck when: {} (adopted: a task; /a: async; dog: the watchdog)",
            moments.join(" · ")
        );
        table
    }
}
