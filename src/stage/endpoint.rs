//! The health endpoint as the script left it.

use super::NEVER;
use crate::scenario::Answer;

/// How the endpoint behaves from some moment on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behaviour {
    pub answer: Answer,
    /// Milliseconds; `NEVER` where no answer comes.
    pub takes: u64,
    /// Only each so-many-th answer is like this.
    pub every: u32,
    /// When it ends; then what was before holds again.
    pub until: u64,
}

/// The endpoint as the script left it: healthy, until something is said.
#[derive(Default)]
pub(crate) struct Endpoint {
    behaviours: Vec<(Behaviour, u32)>,
    probes: u32,
}

impl Endpoint {
    pub fn behave(&mut self, behaviour: Behaviour) {
        if behaviour.until == NEVER {
            self.behaviours.clear();
        }
        self.behaviours.push((behaviour, 0));
    }

    /// A request: the how-many-th it is, what it meets, and after how long.
    pub fn asked(&mut self, now: u64) -> (u32, Answer, u64) {
        self.probes += 1;
        let (answer, takes) = self.answer(now);
        (self.probes, answer, takes)
    }

    fn answer(&mut self, now: u64) -> (Answer, u64) {
        while self
            .behaviours
            .last()
            .is_some_and(|(behaviour, _)| behaviour.until <= now)
        {
            self.behaviours.pop();
        }
        match self.behaviours.last_mut() {
            None => (Answer::Status(200), 0),
            Some((behaviour, asked)) => {
                *asked += 1;
                if asked.is_multiple_of(behaviour.every) {
                    (behaviour.answer, behaviour.takes)
                } else {
                    (Answer::Status(200), 0)
                }
            }
        }
    }
}
