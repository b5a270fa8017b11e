//! State of the scripted health endpoint: the answer that the next probe gets.

use super::part::NEVER;
use crate::scenario::Answer;

/// Behaviour of the endpoint from some instant on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndpointBehaviour {
    pub answer: Answer,
    /// Time until the answer, in milliseconds; `NEVER` if no answer comes.
    pub takes_ms: u64,
    /// Applies to every `every`-th answer; the others are an immediate 200.
    pub every: u32,
    /// Instant at which it ends; then the behaviour before it holds again. `NEVER` if it has no end.
    pub until_ms: u64,
}

/// The scripted endpoint. It is healthy until the script changes its behaviour.
#[derive(Default)]
pub(crate) struct Endpoint {
    behaviours: Vec<(EndpointBehaviour, u32)>,
    probes: u32,
}

impl Endpoint {
    pub fn begin_behaviour(&mut self, behaviour: EndpointBehaviour) {
        if behaviour.until_ms == NEVER {
            self.behaviours.clear();
        }
        self.behaviours.push((behaviour, 0));
    }

    /// Counts a request. Returns its number, from 1, its answer, and the time until the answer, in milliseconds.
    pub fn asked(&mut self, now: u64) -> (u32, Answer, u64) {
        self.probes += 1;
        let (answer, takes) = self.answer(now);
        (self.probes, answer, takes)
    }

    fn answer(&mut self, now: u64) -> (Answer, u64) {
        while self
            .behaviours
            .last()
            .is_some_and(|(behaviour, _)| behaviour.until_ms <= now)
        {
            self.behaviours.pop();
        }
        match self.behaviours.last_mut() {
            None => (Answer::Status(200), 0),
            Some((behaviour, answer_count)) => {
                *answer_count += 1;
                if answer_count.is_multiple_of(behaviour.every) {
                    (behaviour.answer, behaviour.takes_ms)
                } else {
                    (Answer::Status(200), 0)
                }
            }
        }
    }
}
