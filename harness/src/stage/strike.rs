//! Strikes the events that are due: what each does to the process, the context or a component.

use std::sync::Arc;

use super::endpoint::EndpointBehaviour;
use super::part::NEVER;
use super::script::PLATFORM_KILL;
use super::seam::Stage;
use crate::journal::{FaultVerb, Ms, Name, SignalName, What, ms_rounded_up};
use crate::scenario::{Answer, Verb};

impl dyn Stage + '_ {
    /// Strikes all events that are due.
    pub fn strike_due(&self) {
        while self.strike_next() {}
    }

    /// Strikes the next event that is due. Returns whether there was one.
    pub fn strike_next(&self) -> bool {
        if self.is_over() {
            return false;
        }
        let Some(index) = self.script().borrow_mut().pop_due(self.now()) else {
            return false;
        };
        if index == PLATFORM_KILL {
            self.kill(SignalName::Sigkill);
        } else {
            let timeline = Arc::clone(&self.script().borrow().timeline);
            let verb = &timeline[index].verb;
            if self.can_happen(verb) {
                self.strike_event(verb);
            } else {
                self.script().borrow_mut().could_not_happen.push(index);
            }
        }
        true
    }

    /// Returns whether an event can happen now. Inside a component it can only while the component's code runs.
    fn can_happen(&self, verb: &Verb) -> bool {
        match verb {
            Verb::Call { from, .. } => from
                .as_ref()
                .is_none_or(|from| self.parts().named(from).is_some_and(super::Part::runs)),
            _ => true,
        }
    }

    fn strike_event(&self, verb: &Verb) {
        match verb {
            Verb::Signal(signal) => self.strike_signal(*signal),
            Verb::Call {
                call,
                from,
                callers,
                message,
            } => {
                for _ in 0..*callers {
                    self.call(*call, from.clone(), message.clone());
                }
            }
            Verb::Register { name } => {
                if let Some(index) = self.parts().index_by_name(name) {
                    self.register(index);
                }
            }
            Verb::Fault { name, fault } => {
                let part = self.parts().named(name);
                self.strike_fault(part.expect("a scenario's names are known"), fault);
            }
            Verb::KillFails => {
                self.record(What::Fault {
                    fault: FaultVerb::Fail,
                    name: "kill".into(),
                    id: None,
                    lasts: None,
                    answer: None,
                });
                self.parts().kill_fails.set(true);
            }
            Verb::Health {
                answer,
                takes,
                lasts,
                every,
            } => {
                self.record(What::Fault {
                    fault: FaultVerb::Health,
                    name: "health".into(),
                    id: None,
                    lasts: lasts.map(ms_rounded_up),
                    answer: Some(answer_words(*answer, takes.map(ms_rounded_up), *every)),
                });
                let until_ms = lasts.map_or(NEVER, |lasts| {
                    self.now().saturating_add(ms_rounded_up(lasts))
                });
                let takes_ms = takes.map_or(NEVER, ms_rounded_up);
                self.endpoint()
                    .borrow_mut()
                    .begin_behaviour(EndpointBehaviour {
                        answer: *answer,
                        takes_ms,
                        every: (*every).max(1),
                        until_ms,
                    });
            }
        }
    }

    fn strike_signal(&self, name: SignalName) {
        if name == SignalName::Sigkill || !self.script().borrow().handles_signals {
            // No handler takes it: the process ends where it stands.
            self.record(What::Signal { name, nth: 1 });
            self.kill(name);
            return;
        }
        let nth = self.script().borrow_mut().count_signal(self.now());
        self.record(What::Signal { name, nth });
        self.signal(name);
    }
}

/// Returns the endpoint's answer in words.
fn answer_words(answer: Answer, takes: Option<u64>, every: u32) -> Name {
    let mut words = answer.to_string();
    match takes {
        Some(0) => {}
        Some(takes) => words += &format!(" after {}", Ms(takes)),
        None => words += " that never comes",
    }
    if every > 1 {
        words += &format!(", one in {every}");
    }
    words.into()
}
