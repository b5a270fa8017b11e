//! Journals written by hand, for the tests of the laws: healthy days, and methods that change them.
//!
//! The days are files of JSON lines beside this one, worked out from the contract. The healthy day has a task that
//! ended and a thread that died before stop, three joins in one group, two callbacks of equal order, a cleanup that
//! hangs and is left behind, an async closeable, a watchdog, and an exit with code 1.

use crate::journal::{Event, Id, What};

use super::judge;

/// A journal that is being changed, and then judged.
#[derive(Clone)]
pub(super) struct ByHand {
    events: Vec<Event>,
}

fn event(line: &str) -> Event {
    let with_seq = line.replacen('{', "{\"seq\":0,", 1);
    parse_event(&with_seq)
}

fn parse_event(line: &str) -> Event {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn value(event: &Event) -> serde_json::Value {
    serde_json::to_value(event).expect("an event is JSON")
}

fn read(lines: &str) -> ByHand {
    let events = lines.lines().map(event).collect();
    ByHand { events }
}

/// Returns the healthy day.
pub(super) fn day() -> ByHand {
    read(include_str!("by_hand.jsonl"))
}

/// Returns a healthy day of the plan's context, which claims steps only and returns no report.
pub(super) fn plan_day() -> ByHand {
    read(include_str!("by_hand/planned.jsonl"))
}

/// Returns the day of a program that handles no signals: it calls start, stop and cleanup, and returns.
pub(super) fn program() -> ByHand {
    read(include_str!("by_hand/program.jsonl"))
}

/// Returns a day with a signal during the start: main is told, aborted at its bound, and the start is rolled back.
pub(super) fn rolled_back() -> ByHand {
    read(include_str!("by_hand/rolled_back.jsonl"))
}

/// Returns a day on which main fails and asks for code 3: the start is rolled back.
pub(super) fn failed_start() -> ByHand {
    read(include_str!("by_hand/failed_start.jsonl"))
}

/// Returns a journal of the given lines.
pub(super) fn lines(text: &str) -> ByHand {
    let events = text.trim().lines().map(event).collect();
    ByHand { events }
}

/// Returns the healthy day with a second signal at 23 s, when `flush` has run for half of its floor.
pub(super) fn second_signal_in_cleanup() -> ByHand {
    day()
        .after(
            "began flush",
            r#"{"t":23000,"event":"signal","name":"SIGTERM","nth":2}"#,
        )
        .without("still-waiting flush")
        .shifted("leak flush", -7_000)
        .with_keys("step-ended flush", r#""took":3000"#)
        .with_keys(
            "step-started db",
            r#""bound":1000,"bound_by":"second-signal""#,
        )
        .with_keys(
            "step-started cache",
            r#""bound":1000,"bound_by":"second-signal""#,
        )
        .with_row(5, r#"[5,"leaked",10000,"timeout",21500,3000]"#)
        .with_row(6, r#"[6,"ok",1000,"second-signal",24500,200]"#)
        .with_row(11, r#"[11,"ok",1000,"second-signal",24700,0]"#)
        .with_keys("exit", r#""code":143,"cause":"second-signal""#)
}

/// Returns the healthy day with a second signal at 22 s, when the callback `drain` has run for half a second. `drain`
/// is not awaited and never ends, and `flush` is left behind at its floor.
pub(super) fn second_signal_in_stop() -> ByHand {
    day()
        .without("ended drain")
        .before(
            "step-ended drain",
            r#"{"t":22000,"event":"signal","name":"SIGTERM","nth":2}"#,
        )
        .shifted("step-ended drain", 500)
        .with_keys("step-ended drain", r#""outcome":"not-awaited","took":500"#)
        .with_row(3, r#"[3,"not-awaited",10000,"timeout",21500,500]"#)
        .with_keys(
            "step-started bye",
            r#""bound":0,"bound_by":"second-signal""#,
        )
        .with_row(10, r#"[10,"ok",0,"second-signal",22000,0]"#)
        .with_keys(
            "step-started predictor",
            r#""bound":1000,"bound_by":"second-signal""#,
        )
        .with_row(4, r#"[4,"ok",1000,"second-signal",22000,0]"#)
        .with_keys(
            "step-started flush",
            r#""bound":3000,"bound_by":"second-signal""#,
        )
        .with_keys(
            "still-waiting flush",
            r#""t":23500,"waited":1500,"bound":3000"#,
        )
        .shifted("leak flush", -7_000)
        .with_keys("step-ended flush", r#""took":3000"#)
        .with_row(5, r#"[5,"leaked",3000,"second-signal",22000,3000]"#)
        .with_keys(
            "step-started db",
            r#""bound":1000,"bound_by":"second-signal""#,
        )
        .with_row(6, r#"[6,"ok",1000,"second-signal",25000,200]"#)
        .with_keys(
            "step-started cache",
            r#""bound":1000,"bound_by":"second-signal""#,
        )
        .with_row(11, r#"[11,"ok",1000,"second-signal",25200,0]"#)
        .before(
            "exit",
            r#"{"t":25200,"event":"lost","id":3,"name":"drain","what":"running"}"#,
        )
        .with_keys("exit", r#""code":143,"cause":"second-signal""#)
}

/// Returns the healthy day with a grace of 12 s. Stop's share is over at 21.5 s, when `drain` and `bye` have not
/// begun: `drain` ends at once, and `bye` is not awaited and never ends. `flush` is left behind at 29.5 s, since the
/// later floors are kept for the other steps.
pub(super) fn short_grace() -> ByHand {
    day()
        .with_keys("worker", r#""grace":12000"#)
        // The watchdog's bound of 5 s was chosen.
        .before("state running", r#"{"t":0,"event":"bound-over-share","id":7,"name":"dog","bound":5000,"phase":"stop","share":1500}"#)
        .with_keys(
            "grace-began",
            r#""stop_ends":21500,"cleanup_ends":31500,"last_resort":31750,"kill":32000"#,
        )
        .with_keys("phase-started stop", r#""ends":21500"#)
        .with_keys("phase-ended stop", r#""ends":21500"#)
        .with_keys("phase-started cleanup", r#""ends":31500"#)
        .with_keys("phase-ended cleanup", r#""ends":31500"#)
        .with_keys("step-started flusher", r#""bound":1500,"bound_by":"phase""#)
        .with_row(1, r#"[1,"ok",1500,"phase",20000,0]"#)
        .with_keys("step-started writer", r#""bound":1500,"bound_by":"phase""#)
        .with_keys(
            "still-waiting writer",
            r#""t":20750,"waited":750,"bound":1500"#,
        )
        .with_row(2, r#"[2,"ok",1500,"phase",20000,1500]"#)
        .with_keys("step-started dog", r#""bound":1500,"bound_by":"phase""#)
        .with_row(7, r#"[7,"ok",1500,"phase",20000,0]"#)
        .with_keys("step-started drain", r#""bound":0,"bound_by":"share-gone""#)
        .with_row(3, r#"[3,"ok",0,"share-gone",21500,0]"#)
        .with_keys("step-started bye", r#""bound":0,"bound_by":"share-gone""#)
        .without("ended bye")
        .with_keys("step-ended bye", r#""outcome":"not-awaited""#)
        .with_row(10, r#"[10,"not-awaited",0,"share-gone",21500,0]"#)
        .with_keys(
            "step-started predictor",
            r#""bound":5000,"bound_by":"floors""#,
        )
        .with_row(4, r#"[4,"ok",5000,"floors",21500,0]"#)
        .with_keys("step-started flush", r#""bound":8000,"bound_by":"floors""#)
        .with_keys(
            "still-waiting flush",
            r#""t":25500,"waited":4000,"bound":8000"#,
        )
        .shifted("leak flush", -2_000)
        .with_keys("step-ended flush", r#""took":8000"#)
        .with_row(5, r#"[5,"leaked",8000,"floors",21500,8000]"#)
        .with_keys("step-started db", r#""bound":1000,"bound_by":"floor""#)
        .with_row(6, r#"[6,"ok",1000,"floor",29500,200]"#)
        .with_keys("step-started cache", r#""bound":1800,"bound_by":"phase""#)
        .with_row(11, r#"[11,"ok",1800,"phase",29700,0]"#)
        .before(
            "exit",
            r#"{"t":29700,"event":"lost","id":10,"name":"bye","what":"running"}"#,
        )
}

/// Returns the healthy day until 25 s, when SIGKILL ends the process: `flush` still runs, and two resources are not
/// closed.
pub(super) fn killed() -> ByHand {
    day()
        .cut_after("began flush")
        .append(r#"{"t":25000,"event":"signal","name":"SIGKILL","nth":1}"#)
        .killed_at(25_000)
}

/// Returns the healthy day with an adopted task, number 12: it is aborted when its step begins, and is dropped.
pub(super) fn adopted_task() -> ByHand {
    day()
        .after("registered cache", r#"{"t":0,"event":"registered","id":12,"kind":"task","name":"old hand","order":0,"timeout":2000,"floor":null,"uses":[],"told":"at-once","async":true,"adopted":true}"#)
        .after("began crash", r#"{"t":0,"event":"began","id":12,"name":"old hand","nth":1}"#)
        .after("step-started dog", r#"{"t":20000,"event":"step-started","phase":"stop","name":"old hand","order":0,"bound":2000,"bound_by":"cancel-timeout","id":12,"kind":"task","group":1}"#)
        .after("step-started old hand", r#"{"t":20000,"event":"abort","name":"old hand","id":12}"#)
        .after("abort old hand", r#"{"t":20000,"event":"ended","id":12,"name":"old hand","nth":1,"how":"dropped","error":null}"#)
        .after("ended old hand", r#"{"t":20000,"event":"step-ended","phase":"stop","name":"old hand","order":0,"outcome":"ok","took":0,"id":12,"error":null}"#)
        .row_after(7, r#"[12,"ok",2000,"cancel-timeout",20000,0]"#)
}

/// Returns the healthy day with a pre-stop delay of 5 s: stop begins at 25 s, and all of it is 5 s later.
pub(super) fn delayed() -> ByHand {
    day()
        .with_keys("worker", r#""pre_stop":5000"#)
        .shifted("state stopping", 5_000)
        .with_row(1, r#"[1,"ok",2000,"join-timeout",25000,0]"#)
        .with_row(2, r#"[2,"ok",2000,"cancel-timeout",25000,1500]"#)
        .with_row(7, r#"[7,"ok",5000,"join-timeout",25000,0]"#)
        .with_row(3, r#"[3,"ok",10000,"timeout",26500,0]"#)
        .with_row(10, r#"[10,"ok",10000,"timeout",26500,0]"#)
        .with_row(4, r#"[4,"ok",10000,"timeout",26500,0]"#)
        .with_row(5, r#"[5,"leaked",10000,"timeout",26500,10000]"#)
        .with_row(6, r#"[6,"ok",10000,"timeout",36500,200]"#)
        .with_row(11, r#"[11,"ok",10000,"timeout",36700,0]"#)
}

/// Returns the healthy day on which the task `writer` does not end when it is told. It is aborted at its bound, 22 s,
/// and everything that follows is half a second later.
pub(super) fn stubborn_writer() -> ByHand {
    day()
        .shifted("ended writer", 500)
        .with_keys("ended writer", r#""how":"dropped""#)
        .before(
            "ended writer",
            r#"{"t":22000,"event":"abort","name":"writer","id":2}"#,
        )
        .with_keys("step-ended writer", r#""outcome":"aborted","took":2000"#)
        .with_row(2, r#"[2,"aborted",2000,"cancel-timeout",20000,2000]"#)
        .with_row(3, r#"[3,"ok",10000,"timeout",22000,0]"#)
        .with_row(10, r#"[10,"ok",10000,"timeout",22000,0]"#)
        .with_row(4, r#"[4,"ok",10000,"timeout",22000,0]"#)
        .with_row(5, r#"[5,"leaked",10000,"timeout",22000,10000]"#)
        .with_row(6, r#"[6,"ok",10000,"timeout",32000,200]"#)
        .with_row(11, r#"[11,"ok",10000,"timeout",32200,0]"#)
}

/// Returns the key by which an event is found: its name, and the name of its component or its first word.
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
    /// Returns the place of the one event with that key.
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

    /// Moves an event to just behind another, and to the instant of that one.
    pub fn moved_after(mut self, wanted: &str, other: &str) -> Self {
        let from = self.find(wanted);
        let mut event = self.events.remove(from);
        let to = self.find(other);
        event.t = self.events[to].t;
        self.events.insert(to + 1, event);
        self
    }

    /// Replaces keys of an event.
    pub fn with_keys(mut self, wanted: &str, keys: &str) -> Self {
        let at = self.find(wanted);
        let mut value = value(&self.events[at]);
        let over: serde_json::Value =
            serde_json::from_str(&format!("{{{keys}}}")).expect("keys are JSON");
        for (key, over) in over.as_object().expect("keys make an object") {
            value[key] = over.clone();
        }
        self.events[at] = parse_event(&value.to_string());
        self
    }

    /// Replaces a component's row in the report; removes it if `row` is empty.
    pub fn with_row(mut self, id: Id, row: &str) -> Self {
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

    /// Adds a row to the report, behind that of a component.
    pub fn row_after(mut self, id: Id, row: &str) -> Self {
        let at = self.find("returned run");
        let What::Returned { steps, .. } = &mut self.events[at].what else {
            unreachable!("it returned")
        };
        let place = steps.iter().position(|step| step.id == id);
        let place = place.expect("the report has the row");
        steps.insert(place + 1, serde_json::from_str(row).expect("a row is JSON"));
        self
    }

    /// Swaps two rows of the report.
    pub fn rows_swapped(mut self, one: usize, other: usize) -> Self {
        let at = self.find("returned run");
        let What::Returned { steps, .. } = &mut self.events[at].what else {
            unreachable!("it returned")
        };
        steps.swap(one, other);
        self
    }

    /// Shifts an event and all later ones in time, by milliseconds.
    pub fn shifted(mut self, wanted: &str, by: i64) -> Self {
        let at = self.find(wanted);
        for event in &mut self.events[at..] {
            event.t = event.t.saturating_add_signed(by);
        }
        self
    }

    /// Removes all events after that one.
    pub fn cut_after(mut self, wanted: &str) -> Self {
        let at = self.find(wanted);
        self.events.truncate(at + 1);
        self
    }

    /// Adds an event at the end.
    pub fn append(mut self, line: &str) -> Self {
        self.events.push(event(line));
        self
    }

    /// Ends the process by SIGKILL at `t`: every component that has not ended and was not left behind is lost.
    pub fn killed_at(mut self, t: u64) -> Self {
        let mut lost = Vec::new();
        for event in &self.events {
            match &event.what {
                What::Registered(registered) => lost.push((registered.id, registered.name.clone())),
                What::Ended { id, .. } | What::Leak { id, .. } => lost.retain(|(one, _)| one != id),
                _ => {}
            }
        }
        self = self.append(&format!(
            r#"{{"t":{t},"event":"killed","signal":"SIGKILL"}}"#
        ));
        for (id, name) in lost {
            self = self.append(&format!(
                r#"{{"t":{t},"event":"lost","id":{id},"name":"{name}","what":"running"}}"#
            ));
        }
        self.append(&format!(
            r#"{{"t":{t},"event":"exit","code":137,"cause":"killed"}}"#
        ))
    }

    /// Returns the events, numbered anew.
    pub fn events(mut self) -> Vec<Event> {
        for (seq, event) in (0..).zip(&mut self.events) {
            event.seq = seq;
        }
        self.events
    }

    /// Asserts that the journal breaks that law and no other.
    #[track_caller]
    pub fn breaks_only(self, law: &str) {
        let broken = judge(&self.events());
        assert!(
            !broken.is_empty(),
            "it should break {law}, and breaks nothing"
        );
        let others: Vec<_> = broken
            .iter()
            .filter(|broken| broken.law.name != law)
            .collect();
        assert!(
            others.is_empty(),
            "it should break {law} alone: {others:#?}"
        );
    }

    /// Asserts that the journal breaks exactly these laws: each of them forbids what is wrong in it.
    #[track_caller]
    pub fn breaks_exactly(self, laws: &[&str]) {
        let broken = judge(&self.events());
        let mut names: Vec<_> = broken.iter().map(|broken| broken.law.name).collect();
        names.sort_unstable();
        names.dedup();
        let mut laws = laws.to_vec();
        laws.sort_unstable();
        assert_eq!(names, laws, "{broken:#?}");
    }

    /// Returns the messages of a law about the journal.
    pub fn messages(self, law: &str) -> Vec<String> {
        let broken = judge(&self.events()).into_iter();
        let broken = broken.filter(|broken| broken.law.name == law);
        broken.map(|broken| broken.message).collect()
    }

    #[track_caller]
    pub fn breaks_nothing(self) {
        let broken = judge(&self.events());
        assert!(broken.is_empty(), "{broken:#?}");
    }
}
