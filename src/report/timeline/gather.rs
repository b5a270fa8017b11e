//! Gathers the events of a journal by component, for the [`Story`] of a picture. Accepts any list of events: a
//! journal may be cut, or be that of a context that claims little.

use std::collections::BTreeMap;

use crate::journal::{Event, FaultVerb, Id, Kind, Name, WatchdogIs, What};

use super::story::{Body, End, Fault, Part, Step, StepEnd, Story, Stretch};

/// Gathers the events of a journal into a story.
pub(super) fn gather(events: &[Event]) -> Story {
    let mut reader = Reader::default();
    for (n, event) in events.iter().enumerate() {
        reader.event(n, event.t, &event.what);
    }
    reader.story
}

#[derive(Default)]
struct Reader {
    story: Story,
    by_id: BTreeMap<Id, usize>,
}

impl Reader {
    fn part(&mut self, id: Id, name: Option<&Name>) -> &mut Part {
        let at = *self.by_id.entry(id).or_insert_with(|| {
            self.story.parts.push(Part {
                id: Some(id),
                ..Part::default()
            });
            self.story.parts.len() - 1
        });
        let part = &mut self.story.parts[at];
        if part.name.is_none() {
            part.name = name.cloned();
        }
        part
    }

    fn watchdogs(&mut self) -> impl Iterator<Item = &mut Part> {
        let parts = self.story.parts.iter_mut();
        parts.filter(|part| part.kind == Some(Kind::Watchdog))
    }

    fn event(&mut self, n: usize, t: u64, what: &What) {
        let mut change = true;
        match what {
            What::Journal {
                scenario,
                seed,
                subject,
                host,
                ..
            } => {
                self.story.scenario =
                    Some((scenario.clone(), *seed, subject.clone(), host.clone()));
            }
            What::Registered(registered) => {
                let part = self.part(registered.id, Some(&registered.name));
                part.kind = Some(registered.kind);
            }
            What::Refused { what, name, reason } => {
                if &**what == "call" {
                    self.story.refused_calls.push((t, name.clone(), *reason));
                } else {
                    self.story.parts.push(Part {
                        name: Some(name.clone()),
                        kind: Kind::ALL
                            .iter()
                            .copied()
                            .find(|kind| kind.as_str() == &**what),
                        refused: Some((t, *reason)),
                        ..Part::default()
                    });
                }
            }
            What::Signal { name, nth } => self.story.signals.push((t, *name, *nth)),
            What::Requested { reason, .. } => {
                self.story
                    .requested
                    .get_or_insert_with(|| (t, reason.clone()));
            }
            What::GraceBegan { kill, .. } => {
                self.story.grace.get_or_insert((t, *kill));
            }
            What::PhaseStarted { phase, ends } => self.story.phases.push(Stretch {
                phase: *phase,
                from: t,
                to: None,
                share: *ends,
            }),
            What::PhaseEnded { phase, .. } => {
                let open = |stretch: &&mut Stretch| stretch.phase == *phase && stretch.to.is_none();
                if let Some(stretch) = self.story.phases.iter_mut().find(open) {
                    stretch.to = Some(t);
                }
            }
            What::StepStarted {
                phase,
                name,
                id,
                kind,
                ..
            } => {
                let part = self.part(*id, Some(name));
                part.kind.get_or_insert(*kind);
                part.place.get_or_insert(n);
                part.steps.push(Step {
                    phase: *phase,
                    place: n,
                    from: t,
                    to: None,
                    end: None,
                });
            }
            What::StepEnded {
                phase,
                name,
                id,
                outcome,
                took,
                error,
                ..
            } => {
                let part = self.part(*id, Some(name));
                let end = StepEnd {
                    at: t,
                    outcome: *outcome,
                    took: *took,
                    error: error.clone(),
                };
                match part.steps.last_mut() {
                    Some(step) if step.end.is_none() => {
                        step.to = Some(t);
                        step.end = Some(end);
                    }
                    _ => {
                        part.place.get_or_insert(n);
                        part.steps.push(Step {
                            phase: *phase,
                            place: n,
                            from: t.saturating_sub(*took),
                            to: Some(t),
                            end: Some(end),
                        });
                    }
                }
            }
            What::Told { name, id } => self.part(*id, Some(name)).told.push(t),
            What::Abort { name, id } => self.part(*id, Some(name)).aborts.push(t),
            What::Began { id, name, .. } => self.part(*id, Some(name)).bodies.push(Body {
                from: Some(t),
                to: None,
                how: None,
                error: None,
            }),
            What::Ended {
                id,
                name,
                how,
                error,
                ..
            } => {
                let part = self.part(*id, Some(name));
                let body = match part.bodies.iter_mut().find(|body| body.to.is_none()) {
                    Some(body) => body,
                    None => {
                        part.bodies.push(Body {
                            from: None,
                            to: None,
                            how: None,
                            error: None,
                        });
                        part.bodies.last_mut().expect("one was pushed")
                    }
                };
                body.to = Some(t);
                body.how = Some(*how);
                body.error.clone_from(error);
            }
            What::JobBegan { id, .. } => {
                let part = self.part(*id, None);
                part.jobs.push(t);
                part.jobs_open += 1;
            }
            What::JobEnded { id, .. } => {
                let part = self.part(*id, None);
                part.jobs_open = part.jobs_open.saturating_sub(1);
            }
            What::Used { id, of, alive } => {
                change = !alive;
                if !alive {
                    self.part(*id, None).used_closed.push((t, *of));
                }
            }
            What::Held { id, name } => self.part(*id, Some(name)).held.push((t, None)),
            What::Released { id, name } => {
                let part = self.part(*id, Some(name));
                if let Some((_, end)) = part.held.iter_mut().find(|(_, end)| end.is_none()) {
                    *end = Some(t);
                }
            }
            What::Fault {
                fault,
                id: Some(id),
                name,
                lasts,
                ..
            } => {
                let fault = Fault::new(t, *fault, *lasts);
                self.part(*id, Some(name)).faults.push(fault);
            }
            What::Fault {
                fault,
                id: None,
                lasts,
                ..
            } => {
                if *fault == FaultVerb::Health {
                    let fault = Fault::new(t, *fault, *lasts);
                    self.watchdogs().for_each(|part| part.faults.push(fault));
                }
            }
            What::Probe {
                result, ignored, ..
            } => {
                // A stop gives up the probe in flight: that is no failure. A late answer does not count.
                let moot = &**result == "given-up" && self.story.requested.is_some();
                let good = result.starts_with('2');
                change = !good && !moot && !ignored;
                if !moot && !ignored {
                    self.watchdogs()
                        .for_each(|part| part.probes.push((t, good)));
                }
            }
            What::Watchdog { is, attempt } => {
                if *is == WatchdogIs::Fired {
                    self.watchdogs()
                        .for_each(|part| part.fired = Some((t, *attempt)));
                }
            }
            What::Leak { id, name, kind } => {
                let part = self.part(*id, Some(name));
                part.kind.get_or_insert(*kind);
                part.leaked.get_or_insert(t);
            }
            What::Lost { id, name, what } => self.part(*id, Some(name)).lost.push((t, *what)),
            What::Stuck { why, name } => self.story.end = End::Stuck(t, *why, name.clone()),
            What::Exit { code, cause } => self.story.end = End::Exit(t, *code, *cause),
            What::Abandoned { .. } => self.story.abandoned = Some(t),
            What::StillWaiting { .. } | What::ProbeBegan { .. } => change = false,
            What::Heard { .. }
            | What::Killed { .. }
            | What::Worker { .. }
            | What::State { .. }
            | What::Running { .. }
            | What::CallBegan { .. }
            | What::Returned { .. }
            | What::ClosesBeforeUser { .. }
            | What::UsesUnknown { .. }
            | What::EndsBeforeUser { .. }
            | What::BoundOverShare { .. }
            | What::WakePanicked { .. } => {}
        }
        if change {
            self.story.instants.push(t);
        }
    }
}
