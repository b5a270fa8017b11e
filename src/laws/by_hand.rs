//! Journals written by hand, for the laws' own tests: a healthy day, and a word for each change to it.
//!
//! The day is a file of JSON lines beside this one, worked out from the contract: a task that ended and
//! a thread that died before stop, three joins in one group, two callbacks of equal order, a cleanup
//! that hangs and is left behind, an async closeable, a watchdog, and an exit with code 1.

use crate::journal::{Event, What};

use super::judge;

/// A journal on its way to be judged.
#[derive(Clone)]
pub(super) struct ByHand {
    events: Vec<Event>,
}

fn event(line: &str) -> Event {
    let with_seq = line.replacen('{', "{\"seq\":0,", 1);
    one(&with_seq)
}

fn one(line: &str) -> Event {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn value(event: &Event) -> serde_json::Value {
    serde_json::to_value(event).expect("an event is JSON")
}

/// The healthy day.
pub(super) fn day() -> ByHand {
    let events = include_str!("by_hand.jsonl").lines().map(event).collect();
    ByHand { events }
}

/// A journal of other lines than the day's.
pub(super) fn lines(text: &str) -> ByHand {
    let events = text.trim().lines().map(event).collect();
    ByHand { events }
}

/// The healthy day, hurried: a second signal at 23 s, when `flush` has run for half of its floor.
pub(super) fn hurried() -> ByHand {
    day()
        .after(
            "began flush",
            r#"{"t":23000,"event":"signal","name":"SIGTERM","nth":2}"#,
        )
        .without("still-waiting flush")
        .shifted("leak flush", -7_000)
        .with("step-ended flush", r#""took":3000"#)
        .with(
            "step-started db",
            r#""bound":1000,"bound_by":"second-signal""#,
        )
        .with(
            "step-started cache",
            r#""bound":1000,"bound_by":"second-signal""#,
        )
        .row(5, r#"[5,"leaked",10000,"timeout",21500,3000]"#)
        .row(6, r#"[6,"ok",1000,"second-signal",24500,200]"#)
        .row(11, r#"[11,"ok",1000,"second-signal",24700,0]"#)
        .with("exit", r#""code":143,"cause":"second-signal""#)
}

/// What an event is found by: its name, and the name of its component or its first word.
fn key(event: &Event) -> String {
    let value = value(event);
    let word = |key: &str| value[key].as_str().map(str::to_owned);
    let detail = ["name", "phase", "state", "is", "call", "n", "value"]
        .into_iter()
        .find_map(|key| word(key).or_else(|| value[key].as_u64().map(|n| n.to_string())));
    format!("{} {}", event.what.name(), detail.unwrap_or_default())
        .trim_end()
        .to_owned()
}

impl ByHand {
    /// Where the one event of that key is.
    fn find(&self, wanted: &str) -> usize {
        let found: Vec<usize> = (0..self.events.len())
            .filter(|at| key(&self.events[*at]) == wanted)
            .collect();
        assert_eq!(found.len(), 1, "{wanted} is there {} times", found.len());
        found[0]
    }

    pub fn without(mut self, wanted: &str) -> Self {
        let at = self.find(wanted);
        self.events.remove(at);
        self
    }

    pub fn after(mut self, wanted: &str, line: &str) -> Self {
        let at = self.find(wanted);
        self.events.insert(at + 1, event(line));
        self
    }

    pub fn before(mut self, wanted: &str, line: &str) -> Self {
        let at = self.find(wanted);
        self.events.insert(at, event(line));
        self
    }

    /// Moves an event to just behind another, and to its moment.
    pub fn moved_behind(mut self, wanted: &str, other: &str) -> Self {
        let from = self.find(wanted);
        let mut event = self.events.remove(from);
        let to = self.find(other);
        event.t = self.events[to].t;
        self.events.insert(to + 1, event);
        self
    }

    /// Lays keys over those of an event.
    pub fn with(mut self, wanted: &str, keys: &str) -> Self {
        let at = self.find(wanted);
        let mut value = value(&self.events[at]);
        let over: serde_json::Value =
            serde_json::from_str(&format!("{{{keys}}}")).expect("keys are JSON");
        for (key, over) in over.as_object().expect("keys make an object") {
            value[key] = over.clone();
        }
        self.events[at] = one(&value.to_string());
        self
    }

    /// Another row for that component in the report, or none.
    pub fn row(mut self, id: u32, row: &str) -> Self {
        let at = self.find("returned run");
        let What::Returned { steps, .. } = &mut self.events[at].what else {
            unreachable!("it returned")
        };
        let place = steps
            .iter()
            .position(|step| step.id == id)
            .expect("the report has the row");
        if row.is_empty() {
            steps.remove(place);
        } else {
            steps[place] = serde_json::from_str(row).expect("a row is JSON");
        }
        self
    }

    /// One more row, behind that of a component.
    pub fn row_after(mut self, id: u32, row: &str) -> Self {
        let at = self.find("returned run");
        let What::Returned { steps, .. } = &mut self.events[at].what else {
            unreachable!("it returned")
        };
        let place = steps.iter().position(|step| step.id == id);
        let place = place.expect("the report has the row");
        steps.insert(place + 1, serde_json::from_str(row).expect("a row is JSON"));
        self
    }

    /// Two rows of the report in each other's place.
    pub fn rows_swapped(mut self, one: usize, other: usize) -> Self {
        let at = self.find("returned run");
        let What::Returned { steps, .. } = &mut self.events[at].what else {
            unreachable!("it returned")
        };
        steps.swap(one, other);
        self
    }

    /// Shifts an event and all after it in time.
    pub fn shifted(mut self, wanted: &str, by: i64) -> Self {
        let at = self.find(wanted);
        for event in &mut self.events[at..] {
            event.t = event.t.saturating_add_signed(by);
        }
        self
    }

    /// Nothing after that event.
    pub fn cut_behind(mut self, wanted: &str) -> Self {
        let at = self.find(wanted);
        self.events.truncate(at + 1);
        self
    }

    /// The journal, numbered anew.
    pub fn events(mut self) -> Vec<Event> {
        for (seq, event) in (0..).zip(&mut self.events) {
            event.seq = seq;
        }
        self.events
    }

    /// The journal breaks that law, and no other.
    #[track_caller]
    pub fn breaks_only(self, law: &str) {
        let broken = judge(&self.events());
        assert!(
            !broken.is_empty(),
            "it should break {law}, and breaks nothing"
        );
        let others: Vec<_> = broken.iter().filter(|broken| broken.law != law).collect();
        assert!(
            others.is_empty(),
            "it should break {law} alone: {others:#?}"
        );
    }

    #[track_caller]
    pub fn breaks_nothing(self) {
        let broken = judge(&self.events());
        assert!(broken.is_empty(), "{broken:#?}");
    }
}
