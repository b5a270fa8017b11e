//! Gathers the events of a journal by component, for the [`Story`] of a picture. Accepts any list of events: a
//! journal may be cut, or be that of a context that claims little.

use std::collections::BTreeMap;

use crate::journal::{Event, FaultVerb, Id, Kind, MAIN, Name, WatchdogIs, What};

use super::story::{Body, ComponentStory, End, FaultPeriod, PhasePeriod, Step, StepEnd, Story};

impl Story {
    /// Returns the story of a journal.
    pub(super) fn of(events: &[Event]) -> Self {
        let mut story = gather(events);
        story.first = events.iter().map(|event| event.t).min().unwrap_or(0);
        story.last = events.iter().map(|event| event.t).max().unwrap_or(0);
        if story.is_plan() {
            story.infer_plan_ends();
        }
        if !events.is_empty() {
            story.instants.extend([story.first, story.last]);
        }
        let shares = story
            .phases
            .iter()
            .filter_map(|phase| phase.share_used_up(story.last));
        story.instants.extend(shares);
        story.instants.sort_unstable();
        story.instants.dedup();
        // Main, then the components with a step in the order of their first steps, then the others in the order of
        // their first events.
        let mut numbered: Vec<(usize, ComponentStory)> =
            story.components.into_iter().enumerate().collect();
        numbered.sort_by_key(|(n, component)| match component.place {
            _ if component.id == Some(MAIN) => (0, 0),
            Some(place) => (1, place),
            None => (2, *n),
        });
        story.components = numbered
            .into_iter()
            .map(|(_, component)| component)
            .collect();
        story
    }
}

/// Gathers the events of a journal into a story.
fn gather(events: &[Event]) -> Story {
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
    fn component(&mut self, id: Id, name: Option<&Name>) -> &mut ComponentStory {
        let at = *self.by_id.entry(id).or_insert_with(|| {
            self.story.components.push(ComponentStory {
                id: Some(id),
                ..ComponentStory::default()
            });
            self.story.components.len() - 1
        });
        let component = &mut self.story.components[at];
        if component.name.is_none() {
            component.name = name.cloned();
        }
        component
    }

    fn watchdogs(&mut self) -> impl Iterator<Item = &mut ComponentStory> {
        let components = self.story.components.iter_mut();
        components.filter(|component| component.kind == Some(Kind::Watchdog))
    }

    /// Reads an event. Each is named here, so that a new one cannot be forgotten.
    fn event(&mut self, n: usize, t: u64, what: &What) {
        let mut change = true;
        match what {
            What::Journal { .. }
            | What::Signal { .. }
            | What::Requested { .. }
            | What::GraceBegan { .. }
            | What::PhaseStarted { .. }
            | What::PhaseEnded { .. }
            | What::Stuck { .. }
            | What::Exit { .. }
            | What::Abandoned { .. } => self.run_event(t, what),
            What::Registered(_) | What::Refused { .. } => self.registration(t, what),
            What::StepStarted { .. } | What::StepEnded { .. } => self.step(n, t, what),
            What::Told { .. } | What::Abort { .. } | What::Leak { .. } | What::Lost { .. } => {
                self.escalation(t, what)
            }
            What::Began { .. }
            | What::Ended { .. }
            | What::JobBegan { .. }
            | What::JobEnded { .. }
            | What::Held { .. }
            | What::Released { .. } => self.code(t, what),
            What::Used { id, of, alive } => {
                change = !alive;
                if !alive {
                    self.component(*id, None).used_closed.push((t, *of));
                }
            }
            What::Fault { .. } => self.fault(t, what),
            What::Probe {
                result, ignored, ..
            } => {
                // A stop gives up the probe in flight: that is no failure. A late answer does not count.
                let moot = &**result == "given-up" && self.story.requested.is_some();
                let good = result.starts_with('2');
                change = !good && !moot && !ignored;
                if !moot && !ignored {
                    self.watchdogs()
                        .for_each(|component| component.probes.push((t, good)));
                }
            }
            What::Watchdog { is, attempt } => {
                if *is == WatchdogIs::Fired {
                    self.watchdogs()
                        .for_each(|component| component.fired = Some((t, *attempt)));
                }
            }
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

    /// Reads an event of the run as a whole.
    fn run_event(&mut self, t: u64, what: &What) {
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
            What::Signal { name, nth } => self.story.signals.push((t, *name, *nth)),
            What::Requested { reason, .. } => {
                self.story
                    .requested
                    .get_or_insert_with(|| (t, reason.clone()));
            }
            What::GraceBegan { kill, .. } => {
                self.story.grace.get_or_insert((t, *kill));
            }
            What::PhaseStarted { phase, ends } => self.story.phases.push(PhasePeriod {
                phase: *phase,
                from: t,
                to: None,
                share: *ends,
            }),
            What::PhaseEnded { phase, .. } => {
                let open =
                    |period: &&mut PhasePeriod| period.phase == *phase && period.to.is_none();
                if let Some(period) = self.story.phases.iter_mut().find(open) {
                    period.to = Some(t);
                }
            }
            What::Stuck { why, name } => self.story.end = End::Stuck(t, *why, name.clone()),
            What::Exit { code, cause } => self.story.end = End::Exit(t, *code, *cause),
            What::Abandoned { .. } => self.story.abandoned = Some(t),
            _ => {}
        }
    }

    /// Reads that a component was registered, or refused.
    fn registration(&mut self, t: u64, what: &What) {
        match what {
            What::Registered(registered) => {
                let component = self.component(registered.id, Some(&registered.name));
                component.kind = Some(registered.kind);
            }
            What::Refused { what, name, reason } => {
                if &**what == "call" {
                    self.story.refused_calls.push((t, name.clone(), *reason));
                } else {
                    self.story.components.push(ComponentStory {
                        name: Some(name.clone()),
                        kind: Kind::ALL
                            .iter()
                            .copied()
                            .find(|kind| kind.as_str() == &**what),
                        refused: Some((t, *reason)),
                        ..ComponentStory::default()
                    });
                }
            }
            _ => {}
        }
    }

    /// Reads the begin or end of a step.
    fn step(&mut self, n: usize, t: u64, what: &What) {
        match what {
            What::StepStarted {
                phase,
                name,
                id,
                kind,
                ..
            } => {
                let component = self.component(*id, Some(name));
                component.kind.get_or_insert(*kind);
                component.place.get_or_insert(n);
                component.steps.push(Step {
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
                let component = self.component(*id, Some(name));
                let end = StepEnd {
                    at: t,
                    outcome: *outcome,
                    took: *took,
                    error: error.clone(),
                };
                match component.steps.last_mut() {
                    Some(step) if step.end.is_none() => {
                        step.to = Some(t);
                        step.end = Some(end);
                    }
                    _ => {
                        component.place.get_or_insert(n);
                        component.steps.push(Step {
                            phase: *phase,
                            place: n,
                            from: t.saturating_sub(*took),
                            to: Some(t),
                            end: Some(end),
                        });
                    }
                }
            }
            _ => {}
        }
    }

    /// Reads how a component was told to end, and what became of it.
    fn escalation(&mut self, t: u64, what: &What) {
        match what {
            What::Told { name, id } => self.component(*id, Some(name)).told.push(t),
            What::Abort { name, id } => self.component(*id, Some(name)).aborts.push(t),
            What::Leak { id, name, kind } => {
                let component = self.component(*id, Some(name));
                component.kind.get_or_insert(*kind);
                component.leaked.get_or_insert(t);
            }
            What::Lost { id, name, what } => self.component(*id, Some(name)).lost.push((t, *what)),
            _ => {}
        }
    }

    /// Reads what the code of a component does: it begins, ends, starts jobs, or holds the executor.
    fn code(&mut self, t: u64, what: &What) {
        match what {
            What::Began { id, name, .. } => self.component(*id, Some(name)).bodies.push(Body {
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
                let component = self.component(*id, Some(name));
                let body = match component.bodies.iter_mut().find(|body| body.to.is_none()) {
                    Some(body) => body,
                    None => {
                        component.bodies.push(Body {
                            from: None,
                            to: None,
                            how: None,
                            error: None,
                        });
                        component.bodies.last_mut().expect("one was pushed")
                    }
                };
                body.to = Some(t);
                body.how = Some(*how);
                body.error.clone_from(error);
            }
            What::JobBegan { id, .. } => {
                let component = self.component(*id, None);
                component.jobs.push(t);
                component.jobs_open += 1;
            }
            What::JobEnded { id, .. } => {
                let component = self.component(*id, None);
                component.jobs_open = component.jobs_open.saturating_sub(1);
            }
            What::Held { id, name } => self.component(*id, Some(name)).held.push((t, None)),
            What::Released { id, name } => {
                let component = self.component(*id, Some(name));
                if let Some((_, end)) = component.held.iter_mut().find(|(_, end)| end.is_none()) {
                    *end = Some(t);
                }
            }
            _ => {}
        }
    }

    /// Reads a fault. One of the health endpoint strikes all watchdogs.
    fn fault(&mut self, t: u64, what: &What) {
        match what {
            What::Fault {
                fault,
                id: Some(id),
                name,
                lasts,
                ..
            } => {
                let fault = FaultPeriod::new(t, *fault, *lasts);
                self.component(*id, Some(name)).faults.push(fault);
            }
            What::Fault {
                fault,
                id: None,
                lasts,
                ..
            } if *fault == FaultVerb::Health => {
                let fault = FaultPeriod::new(t, *fault, *lasts);
                self.watchdogs()
                    .for_each(|component| component.faults.push(fault));
            }
            _ => {}
        }
    }
}
