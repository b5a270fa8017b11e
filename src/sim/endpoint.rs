//! The health endpoint: a script of answers. A probe takes virtual time.

use std::pin::Pin;

use super::bodies;
use super::clock::Sleep;
use super::world::{self, World};
use crate::journal::{Name, What};
use crate::scenario::Answer;
use crate::stage::Strike;
use crate::watchdog::{Probe, ProbeError};

/// Probes the world's endpoint, on behalf of one watchdog.
pub(crate) struct SimProbe {
    pub part: usize,
}

impl Probe for SimProbe {
    fn probe(&mut self) -> Pin<Box<dyn Future<Output = Result<u16, ProbeError>> + Send + '_>> {
        Box::pin(ask(self.part))
    }
}

/// One request.
async fn ask(part: usize) -> Result<u16, ProbeError> {
    meet_faults(part);
    let (n, answer, takes, began) = world::with(|world| {
        let now = world.now();
        let mut endpoint = world.endpoint.borrow_mut();
        let (n, answer, takes) = endpoint.asked(now);
        drop(endpoint);
        world.record(What::ProbeBegan { n });
        (n, answer, takes, now)
    });
    let open = OpenProbe {
        n,
        began,
        answers: answer_word(answer).map(|word| (word, began.saturating_add(takes))),
    };
    match answer {
        Answer::Silent | Answer::Stalls => std::future::pending().await,
        Answer::Status(_) | Answer::Refused | Answer::Cut | Answer::Garbage => {
            Sleep::until(began.saturating_add(takes)).await
        }
    }
    open.answered();
    match answer {
        Answer::Status(status) => Ok(status),
        other => Err(ProbeError(
            answer_word(other).map_or_else(String::new, |word| word.to_string()),
        )),
    }
}

/// The word for an answer that comes at all.
fn answer_word(answer: Answer) -> Option<Name> {
    match answer {
        Answer::Status(status) => Some(Name::from(status.to_string())),
        Answer::Refused => Some("refused".into()),
        Answer::Cut => Some("cut".into()),
        Answer::Garbage => Some("garbage".into()),
        Answer::Silent | Answer::Stalls => None,
    }
}

/// A probe in flight. Dropped without an answer it was given up; an answer that comes later is nobody's.
struct OpenProbe {
    n: u32,
    began: u64,
    answers: Option<(Name, u64)>,
}

impl OpenProbe {
    fn answered(mut self) {
        if let Some((result, at)) = self.answers.take() {
            world::with(|world| {
                let took = at - self.began;
                world.record(What::Probe {
                    n: self.n,
                    result,
                    took,
                    ignored: false,
                });
            });
        }
        std::mem::forget(self);
    }
}

impl Drop for OpenProbe {
    fn drop(&mut self) {
        let (n, began, answers) = (self.n, self.began, self.answers.take());
        world::try_with(|world| {
            let now = world.now();
            world.record(What::Probe {
                n,
                result: "given-up".into(),
                took: now - began,
                ignored: false,
            });
            if let Some((result, at)) = answers {
                world.after(at.saturating_sub(now), move |world: &World| {
                    world.record(What::Probe {
                        n,
                        result,
                        took: at - began,
                        ignored: true,
                    });
                });
            }
        });
    }
}

/// A watchdog's body is the production one; faults strike it where it waits, and where it asks.
pub(crate) fn meet_faults(part: usize) {
    loop {
        let (strike, hung) = world::with(|world| {
            let part = &world.parts.all[part];
            (part.strike(), part.hung(world.now()))
        });
        match strike {
            Some(Strike::Panic { message } | Strike::Fail { message, .. }) => {
                std::panic::resume_unwind(Box::new(
                    message.unwrap_or_else(|| "scripted panic".to_owned()),
                ))
            }
            Some(Strike::End) | None => {}
        }
        match hung {
            Some(until) if bodies::is_body() => {
                super::host::block(super::pace::Pause::new(until, None))
            }
            _ => return,
        }
    }
}
