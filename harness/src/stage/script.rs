//! The script: the events of a scenario's timeline that are still to strike. Each strikes when its trigger comes,
//! before every turn that could come next.
//!
//! An event whose instant has come, or for which no time is left to wait, is *due*. Events that are due strike between
//! two turns, in the order of the file.

use std::sync::Arc;
use std::time::Duration;

use crate::journal::{Name, ms_rounded_up};
use crate::scenario::{Scenario, Timed, Trigger};

/// Interval within which a SIGTERM or SIGINT after the last counted one is the same signal, in milliseconds.
const DOUBLED_SIGNAL_MS: u64 = 200;

/// Index of the platform's own SIGKILL at the end of the grace. It is the largest, so that the signal strikes after all
/// events of its instant.
pub(super) const PLATFORM_KILL: usize = usize::MAX;

/// State of a timeline: the events that are still to strike.
pub(crate) struct Script {
    pub(super) timeline: Arc<[Timed]>,
    /// Events with a known instant, and the instant of each. The next one is last.
    due: Vec<(u64, usize)>,
    /// Events that wait for the begin of a step or for the end of a component.
    waiting: Vec<usize>,
    /// Events that wait for an event of the journal, and the number of each. The next one is last.
    awaiting_events: Vec<(u64, usize)>,
    /// Events that could not happen when they were due.
    pub(super) could_not_happen: Vec<usize>,
    grace_ms: u64,
    pub(super) handles_signals: bool,
    counted_signals: u32,
    last_counted_ms: Option<u64>,
}

impl Script {
    pub fn new(scenario: &Scenario) -> Self {
        let mut due = Vec::new();
        let mut waiting = Vec::new();
        let mut awaiting_events = Vec::new();
        for (index, event) in scenario.timeline.iter().enumerate() {
            match &event.trigger {
                Trigger::At(at) => insert_sorted(&mut due, (ms_rounded_up(*at), index)),
                Trigger::On { .. } | Trigger::OnEnd { .. } => waiting.push(index),
                Trigger::AfterEvent(number) => {
                    insert_sorted(&mut awaiting_events, (*number, index));
                }
            }
        }
        Script {
            timeline: scenario.timeline.as_slice().into(),
            due,
            waiting,
            awaiting_events,
            could_not_happen: Vec::new(),
            grace_ms: ms_rounded_up(scenario.worker.grace),
            handles_signals: scenario.worker.run,
            counted_signals: 0,
            last_counted_ms: None,
        }
    }

    /// Returns the events that have not struck or could not happen, by their positions in the file's list.
    pub fn unstruck(&self) -> Vec<usize> {
        let due = self.due.iter().map(|(_, index)| *index);
        let mut unstruck: Vec<_> = due
            .filter(|index| *index != PLATFORM_KILL)
            .chain(self.waiting.iter().copied())
            .chain(self.awaiting_events.iter().map(|(_, index)| *index))
            .chain(self.could_not_happen.iter().copied())
            .collect();
        unstruck.sort_unstable();
        unstruck
    }

    /// Returns the instant at which the next event strikes.
    pub fn first(&self) -> Option<u64> {
        self.due.last().map(|(at, _)| *at)
    }

    /// Sets the instants of the events that wait for this step, or main, to begin.
    pub fn began(&mut self, name: &Name, now: u64) {
        self.come(now, |trigger| match trigger {
            Trigger::On { name: on, after } if on == name => Some(*after),
            _ => None,
        });
    }

    /// Sets the instants of the events that wait for this component, or main, to end.
    pub fn ended(&mut self, name: &Name, now: u64) {
        self.come(now, |trigger| match trigger {
            Trigger::OnEnd { name: of, after } if of == name => Some(*after),
            _ => None,
        });
    }

    /// Sets the instants of the waiting events for whose triggers `delay` returns a delay from now on.
    fn come(&mut self, now: u64, delay: impl Fn(&Trigger) -> Option<Duration>) {
        let Script {
            timeline,
            due,
            waiting,
            ..
        } = self;
        waiting.retain(|index| match delay(&timeline[*index].trigger) {
            Some(delay) => {
                insert_sorted(due, (now.saturating_add(ms_rounded_up(delay)), *index));
                false
            }
            None => true,
        });
    }

    /// Makes the events due that wait for the journal's event of this number. The numbers of the calls ascend.
    pub fn wrote(&mut self, number: u64, now: u64) {
        while let Some(&(awaited, index)) = self.awaiting_events.last()
            && awaited <= number
        {
            self.awaiting_events.pop();
            insert_sorted(&mut self.due, (now, index));
        }
    }

    /// Returns whether an event waits for a begin or an end, in order to strike in that very instant.
    #[cfg(all(feature = "live", unix))]
    pub fn awaits_a_begin_or_end(&self) -> bool {
        let mut waiting = self.waiting.iter();
        waiting.any(|index| match &self.timeline[*index].trigger {
            Trigger::On { after, .. } | Trigger::OnEnd { after, .. } => after.is_zero(),
            Trigger::At(_) | Trigger::AfterEvent(_) => false,
        })
    }

    pub(super) fn pop_due(&mut self, now: u64) -> Option<usize> {
        let &(at, index) = self.due.last()?;
        (at <= now).then(|| {
            self.due.pop();
            index
        })
    }

    /// Counts a signal as the contract does. Returns its number, from 1, or 0 for a doubled one. The first one sets the
    /// platform's SIGKILL for the end of the grace.
    pub(super) fn count_signal(&mut self, now: u64) -> u32 {
        if self
            .last_counted_ms
            .is_some_and(|last| now - last <= DOUBLED_SIGNAL_MS)
        {
            return 0;
        }
        self.last_counted_ms = Some(now);
        self.counted_signals += 1;
        if self.counted_signals == 1 && self.handles_signals {
            let kill = (now.saturating_add(self.grace_ms), PLATFORM_KILL);
            insert_sorted(&mut self.due, kill);
        }
        self.counted_signals
    }
}

/// Inserts an event in its place: the next one is last, and among events of one instant the first of the file.
fn insert_sorted(due: &mut Vec<(u64, usize)>, event: (u64, usize)) {
    let place = due.partition_point(|other| *other > event);
    due.insert(place, event);
}
