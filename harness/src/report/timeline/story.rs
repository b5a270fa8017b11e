//! The story of a run, from which its picture is drawn: the journal by component, and what follows from it.

use crate::journal::{
    Cause, FaultVerb, How, Id, Kind, LostWhat, MAIN, Name, Outcome, Phase, RefusedReason,
    SignalName, StuckWhy,
};

/// Everything that a picture is drawn from.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub scenario: Option<(Name, u64, Name, Name)>,
    /// The components, in the order of their lanes.
    pub components: Vec<ComponentStory>,
    pub signals: Vec<(u64, SignalName, u32)>,
    pub requested: Option<(u64, Name)>,
    /// When the grace began, and when SIGKILL would come.
    pub grace: Option<(u64, u64)>,
    pub phases: Vec<PhasePeriod>,
    pub end: End,
    /// The calls that were refused.
    pub refused_calls: Vec<(u64, Name, RefusedReason)>,
    pub abandoned: Option<u64>,
    pub first: u64,
    pub last: u64,
    /// The instants at which something changed, sorted.
    pub instants: Vec<u64>,
}

/// How the journal ends.
#[derive(Debug, Default)]
pub(super) enum End {
    #[default]
    Cut,
    Exit(u64, i32, Cause),
    Stuck(u64, StuckWhy, Name),
}

/// A phase, and the end of its share.
#[derive(Debug)]
pub(super) struct PhasePeriod {
    pub phase: Phase,
    pub from: u64,
    pub to: Option<u64>,
    pub share: Option<u64>,
}

impl PhasePeriod {
    /// Returns when the share ended, if that was not after the phase.
    pub(super) fn share_used_up(&self, last: u64) -> Option<u64> {
        let to = self.to.unwrap_or(last);
        self.share.filter(|share| (self.from..=to).contains(share))
    }
}

/// A fault that struck a component.
#[derive(Clone, Copy, Debug)]
pub(super) struct FaultPeriod {
    pub at: u64,
    pub verb: FaultVerb,
    /// When the fault is over, if it ever is.
    pub until: Option<u64>,
}

impl FaultPeriod {
    pub(super) fn new(at: u64, verb: FaultVerb, lasts: Option<u64>) -> Self {
        let until = lasts.map(|lasts| at.saturating_add(lasts));
        FaultPeriod { at, verb, until }
    }
}

/// A component, or one that was refused and so has no id.
#[derive(Debug, Default)]
pub(super) struct ComponentStory {
    pub id: Option<Id>,
    pub name: Option<Name>,
    pub kind: Option<Kind>,
    pub bodies: Vec<Body>,
    pub steps: Vec<Step>,
    pub held: Vec<(u64, Option<u64>)>,
    pub faults: Vec<FaultPeriod>,
    pub told: Vec<u64>,
    pub aborts: Vec<u64>,
    pub jobs: Vec<u64>,
    pub jobs_open: usize,
    /// The probes that ended: when, and whether with success.
    pub probes: Vec<(u64, bool)>,
    pub fired: Option<(u64, u32)>,
    pub lost: Vec<(u64, LostWhat)>,
    /// When the component used something closed, and the id of that.
    pub used_closed: Vec<(u64, Id)>,
    pub refused: Option<(u64, RefusedReason)>,
    pub leaked: Option<u64>,
    /// Place in the journal of the event that decides where the lane stands.
    pub place: Option<usize>,
}

/// One run of a body, or call of a callback.
#[derive(Debug)]
pub(super) struct Body {
    pub from: Option<u64>,
    pub to: Option<u64>,
    pub how: Option<How>,
    pub error: Option<Name>,
}

/// A step, and the time for which it was awaited.
#[derive(Debug)]
pub(super) struct Step {
    pub phase: Phase,
    pub from: u64,
    /// Place of its event in the journal.
    pub place: usize,
    /// When the wait was over, as far as the journal shows.
    pub to: Option<u64>,
    pub end: Option<StepEnd>,
}

#[derive(Debug)]
pub(super) struct StepEnd {
    pub at: u64,
    pub outcome: Outcome,
    pub took: u64,
    pub error: Option<Name>,
}

impl Story {
    /// Returns the stretches in which a step was awaited, main ran, or a component held the executor: sorted, and
    /// apart from each other.
    pub(super) fn busy_periods(&self) -> Vec<(u64, u64)> {
        let mut all = vec![];
        for component in &self.components {
            all.extend(component.steps.iter().map(|step| (step.from, step.to)));
            all.extend(&component.held);
            if component.id == Some(MAIN) {
                let from = |body: &Body| body.from.unwrap_or(self.first);
                all.extend(component.bodies.iter().map(|body| (from(body), body.to)));
            }
        }
        all.sort_unstable();
        let mut apart: Vec<(u64, u64)> = vec![];
        for (from, to) in all {
            let to = to.unwrap_or(self.last).max(from);
            match apart.last_mut() {
                Some((_, end)) if *end >= from => *end = to.max(*end),
                _ => apart.push((from, to)),
            }
        }
        apart
    }

    pub(super) fn is_plan(&self) -> bool {
        self.scenario
            .as_ref()
            .is_some_and(|(_, _, subject, _)| &**subject == "plan")
    }

    /// Works out when the plan's steps and phases ended. The plan's context announces that a step begins, and that it
    /// ended only if it failed. It takes one step after the other: a step has ended when its body has, or when the
    /// next step began.
    pub(super) fn infer_plan_ends(&mut self) {
        let steps = self
            .components
            .iter()
            .flat_map(|component| &component.steps);
        let mut begins: Vec<(usize, u64)> = steps.map(|step| (step.place, step.from)).collect();
        begins.sort_unstable();
        for component in &mut self.components {
            let ends: Vec<u64> = component.bodies.iter().filter_map(|body| body.to).collect();
            for step in component.steps.iter_mut().filter(|step| step.to.is_none()) {
                let next = begins.iter().find(|(place, _)| *place > step.place);
                let next = next.map(|(_, from)| *from);
                let ended = ends.iter().copied().find(|to| *to >= step.from);
                step.to = [next, ended].into_iter().flatten().min();
            }
        }
        if !self.phases.is_empty() {
            return;
        }
        for phase in [Phase::Stop, Phase::Cleanup] {
            let of_it = || {
                let steps = self
                    .components
                    .iter()
                    .flat_map(|component| &component.steps);
                steps.filter(|step| step.phase == phase)
            };
            let Some(from) = of_it().map(|step| step.from).min() else {
                continue;
            };
            let to = of_it()
                .map(|step| step.to)
                .max_by_key(|to| to.unwrap_or(u64::MAX));
            self.phases.push(PhasePeriod {
                phase,
                from,
                to: to.flatten(),
                share: None,
            });
        }
    }

    pub(super) fn component_name(&self, id: Id) -> String {
        let component = self
            .components
            .iter()
            .find(|component| component.id == Some(id));
        component.map_or_else(|| format!("#{id}"), ComponentStory::name)
    }
}

impl ComponentStory {
    pub(super) fn name(&self) -> String {
        match (&self.name, self.id) {
            (Some(name), _) => name.to_string(),
            (None, Some(MAIN)) => "main".to_owned(),
            (None, Some(id)) => format!("#{id}"),
            (None, None) => "?".to_owned(),
        }
    }
}
