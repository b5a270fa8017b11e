//! A journal, read once and sorted by component, so that no law has to search it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::journal::{
    BoundBy, Call, Cause, Event, How, Id, Kind, LostWhat, Name, Outcome, Phase, Registered, Row,
    SignalName, State, Ties, What, is_cut_off,
};

/// The place of an event in the journal.
pub(super) type EventIndex = usize;

/// The worker's limits, as its journal states them.
#[derive(Clone, Copy)]
pub(super) struct WorkerLimits {
    pub grace: u64,
    pub reserve: u64,
    pub margin: u64,
    pub ties: Ties,
    pub start_timeout: u64,
    pub pre_stop: u64,
}

/// The instants of the grace, computed anew from its begin and the limits.
#[derive(Clone, Copy)]
pub(super) struct Grace {
    pub at: EventIndex,
    pub stop_ends: u64,
    pub cleanup_ends: u64,
    pub last_resort: u64,
    pub kill: u64,
}

/// A step, as the context claims it.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub at: EventIndex,
    pub t: u64,
    pub id: Id,
    pub phase: Phase,
    pub order: i32,
    pub bound: u64,
    pub bound_by: BoundBy,
    pub kind: Kind,
    pub group: u32,
    pub end: Option<StepEnd>,
}

/// A step's end, as the context claims it.
#[derive(Clone, Copy)]
pub(super) struct StepEnd {
    pub at: EventIndex,
    pub t: u64,
    pub outcome: Outcome,
    pub took: u64,
}

/// The end of a body or callback, as a fact.
#[derive(Clone, Copy)]
pub(super) struct CodeEnd {
    pub at: EventIndex,
    pub t: u64,
    pub how: How,
}

/// Everything that a journal records about one component. Number 0 is main.
#[derive(Default)]
pub(super) struct Component<'a> {
    pub registered: Option<(EventIndex, &'a Registered)>,
    pub name: Option<&'a Name>,
    pub step: Option<Step>,
    /// Steps after the first; a right journal has none.
    pub more_steps: Vec<EventIndex>,
    pub told: Option<EventIndex>,
    /// Events `told` after the first; a right journal has none.
    pub told_again: Vec<EventIndex>,
    pub aborts: Vec<EventIndex>,
    pub began: Option<EventIndex>,
    pub heard: Option<EventIndex>,
    pub end: Option<CodeEnd>,
    pub leak: Option<EventIndex>,
    /// The first step that was claimed with another name, kind or order than the component's registration has.
    pub misnamed: Option<EventIndex>,
    /// The first fault that was laid over the component.
    pub fault: Option<EventIndex>,
    /// The first loss of the component itself; a lost job does not count.
    pub lost: Option<EventIndex>,
    pub waiting: Option<EventIndex>,
}

/// The answer to a call: its place, its result, the report's rows and its deaths.
pub(super) type Answer<'a> = (EventIndex, &'a Name, &'a [Row], &'a [(Id, How)]);

/// A call of the context.
pub(super) struct ContextCall<'a> {
    pub at: EventIndex,
    pub method: Call,
    pub caller: u32,
    /// Whether the call asks for a stop; `cleanup` from inside a body does not, since it only returns an error.
    pub asks_to_stop: bool,
    /// Whether the call was made inside a body, step or task of the context.
    pub inside: bool,
    pub returned: Option<Answer<'a>>,
}

/// The claimed begin and end of a phase.
#[derive(Clone, Copy, Default)]
pub(super) struct PhaseSpan {
    pub started: Option<EventIndex>,
    pub ended: Option<EventIndex>,
}

/// A journal, sorted by component.
pub(super) struct Record<'a> {
    pub events: &'a [Event],
    /// Whether the subject is the plan's context, which makes claims only where the plan logs.
    pub is_plan: bool,
    /// Whether the bodies are a user's own code.
    pub is_own_worker: bool,
    pub limits: Option<WorkerLimits>,
    pub grace: Option<Grace>,
    /// The components by id; ids that do not occur are empty.
    pub components: Vec<Component<'a>>,
    /// The ids that have a `registered` event, ascending.
    pub ids: Vec<Id>,
    pub phases: [PhaseSpan; 3],
    pub requested: Option<EventIndex>,
    /// The counted signals, in order, with their names.
    pub signals: Vec<(EventIndex, SignalName)>,
    pub calls: Vec<ContextCall<'a>>,
    pub states: Vec<(EventIndex, State)>,
    pub running_false: Option<EventIndex>,
    /// The places where the executor was held (true) and released (false).
    pub holds: Vec<(EventIndex, bool)>,
    /// Faults that were laid over components that were not registered yet.
    early_faults: Vec<(EventIndex, &'a Name)>,
    /// For each caller's number, the calls that have no answer yet, the first one first.
    unanswered: BTreeMap<u32, VecDeque<usize>>,
    /// The uncaught signal that ended the process: SIGKILL, or one that the program does not handle.
    pub killed: Option<(EventIndex, SignalName)>,
    pub stuck: Option<EventIndex>,
    pub exit: Option<(EventIndex, i32, Cause)>,
}

/// Number of components that a record keeps. Higher ids are ignored, so that a journal of any ids is judged in
/// bounded memory.
const MAX_COMPONENTS: usize = 1 << 20;

impl<'a> Record<'a> {
    pub fn new(events: &'a [Event]) -> Self {
        let mut record = Record {
            events,
            is_plan: false,
            is_own_worker: false,
            limits: None,
            grace: None,
            components: Vec::with_capacity(16),
            ids: Vec::with_capacity(16),
            phases: [PhaseSpan::default(); 3],
            requested: None,
            signals: Vec::new(),
            calls: Vec::new(),
            states: Vec::new(),
            running_false: None,
            holds: Vec::new(),
            early_faults: Vec::new(),
            unanswered: BTreeMap::new(),
            killed: None,
            stuck: None,
            exit: None,
        };
        for (at, event) in events.iter().enumerate() {
            record.read(at, event);
        }
        record.ids.sort_unstable();
        record.ids.dedup();
        record
    }

    /// Reads an event of the run as a whole, or passes it on.
    fn read(&mut self, at: EventIndex, event: &'a Event) {
        match &event.what {
            What::Journal { subject, .. } => {
                self.is_plan = &**subject == "plan";
                self.is_own_worker = &**subject == "own-worker";
            }
            What::Worker {
                grace,
                reserve,
                margin,
                ties,
                start_timeout,
                pre_stop,
            } => {
                self.limits = Some(WorkerLimits {
                    grace: *grace,
                    reserve: *reserve,
                    margin: *margin,
                    ties: *ties,
                    start_timeout: *start_timeout,
                    pre_stop: pre_stop.unwrap_or_default(),
                });
            }
            What::State { state } => self.states.push((at, *state)),
            What::Running { value: false } if self.running_false.is_none() => {
                self.running_false = Some(at)
            }
            What::Signal { name, nth } if *nth > 0 && *name != SignalName::Sigkill => {
                self.signals.push((at, *name))
            }
            What::Requested { .. } if self.requested.is_none() => self.requested = Some(at),
            What::GraceBegan { .. } => self.begin_grace(at, event.t),
            What::PhaseStarted { phase, .. } => {
                self.phases[*phase as usize].started.get_or_insert(at);
            }
            What::PhaseEnded { phase, .. } => {
                self.phases[*phase as usize].ended.get_or_insert(at);
            }
            What::Held { .. } => self.holds.push((at, true)),
            What::Released { .. } => self.holds.push((at, false)),
            What::Stuck { .. } => self.stuck = Some(at),
            What::Killed { signal } => self.killed = Some((at, *signal)),
            What::Exit { code, cause } => self.exit = Some((at, *code, *cause)),
            What::CallBegan { .. } | What::Returned { .. } => self.read_call(at, &event.what),
            What::StepStarted { .. } | What::StepEnded { .. } => self.read_step(at, event),
            _ => self.read_component(at, event),
        }
    }

    /// Reads a call of the context, or its answer.
    fn read_call(&mut self, at: EventIndex, what: &'a What) {
        match what {
            What::CallBegan { call, caller, from } => {
                let asks_to_stop = match call {
                    Call::Stop | Call::RequestStop => true,
                    Call::Cleanup => from.is_none(),
                    Call::Start | Call::Run => false,
                };
                let unanswered = self.unanswered.entry(*caller).or_default();
                unanswered.push_back(self.calls.len());
                self.calls.push(ContextCall {
                    at,
                    method: *call,
                    caller: *caller,
                    asks_to_stop,
                    inside: from.is_some(),
                    returned: None,
                });
            }
            What::Returned {
                caller,
                result,
                steps,
                deaths,
                ..
            } => {
                let unanswered = self.unanswered.get_mut(caller);
                let call = unanswered.and_then(VecDeque::pop_front);
                if let Some(call) = call.and_then(|call| self.calls.get_mut(call)) {
                    call.returned = Some((at, result, steps, deaths));
                }
            }
            _ => {}
        }
    }

    /// Reads the claimed begin or end of a step.
    fn read_step(&mut self, at: EventIndex, event: &'a Event) {
        let t = event.t;
        match &event.what {
            What::StepStarted {
                phase,
                name,
                order,
                bound,
                bound_by,
                id,
                kind,
                group,
            } => {
                if let Some(component) = self.component_mut(*id) {
                    component.name.get_or_insert(name);
                    // The registration is a fact, and a claim may give any order and kind.
                    let fact = component.registered.map(|(_, registered)| registered);
                    component.misnamed = component.misnamed.or(fact
                        .filter(|fact| (fact.order, fact.kind, &fact.name) != (*order, *kind, name))
                        .map(|_| at));
                    let (order, kind) =
                        fact.map_or((*order, *kind), |fact| (fact.order, fact.kind));
                    if component.step.is_some() {
                        component.more_steps.push(at);
                    } else {
                        component.step = Some(Step {
                            at,
                            t,
                            id: *id,
                            phase: *phase,
                            order,
                            bound: *bound,
                            bound_by: *bound_by,
                            kind,
                            group: *group,
                            end: None,
                        });
                    }
                }
            }
            What::StepEnded {
                outcome, took, id, ..
            } => {
                if let Some(step) = self
                    .component_mut(*id)
                    .and_then(|component| component.step.as_mut())
                {
                    step.end.get_or_insert(StepEnd {
                        at,
                        t,
                        outcome: *outcome,
                        took: *took,
                    });
                }
            }
            _ => {}
        }
    }

    /// Reads any other event of a component.
    fn read_component(&mut self, at: EventIndex, event: &'a Event) {
        match &event.what {
            What::Registered(registered) => {
                if let Some(component) = self.component_mut(registered.id) {
                    component.registered = Some((at, registered));
                    component.name = Some(&registered.name);
                    self.ids.push(registered.id);
                }
                let mut early = self.early_faults.iter();
                let early = early.find(|(_, name)| **name == registered.name);
                if let Some(fault) = early.map(|(at, _)| *at) {
                    self.set_first(registered.id, |component| &mut component.fault, fault);
                }
            }
            What::StillWaiting { id, .. } => {
                self.set_first(*id, |component| &mut component.waiting, at)
            }
            What::Told { id, .. } => {
                if let Some(component) = self.component_mut(*id) {
                    if component.told.is_some() {
                        component.told_again.push(at);
                    } else {
                        component.told = Some(at);
                    }
                }
            }
            What::Abort { id, .. } => {
                if let Some(component) = self.component_mut(*id) {
                    component.aborts.push(at);
                }
            }
            What::Began { id, name, .. } => {
                if let Some(component) = self.component_mut(*id) {
                    // Main is never registered.
                    component.name.get_or_insert(name);
                    component.began.get_or_insert(at);
                }
            }
            What::Heard { id, .. } => self.set_first(*id, |component| &mut component.heard, at),
            What::Ended { id, how, .. } => {
                if let Some(component) = self.component_mut(*id) {
                    let t = event.t;
                    component.end.get_or_insert(CodeEnd { at, t, how: *how });
                }
            }
            What::Leak { id, .. } => self.set_first(*id, |component| &mut component.leak, at),
            What::Fault { id: Some(id), .. } => {
                self.set_first(*id, |component| &mut component.fault, at)
            }
            What::Fault { name, id: None, .. } => self.early_faults.push((at, name)),
            What::Lost { id, what, .. } if *what != LostWhat::Job => {
                self.set_first(*id, |component| &mut component.lost, at);
            }
            _ => {}
        }
    }

    fn component_mut(&mut self, id: Id) -> Option<&mut Component<'a>> {
        let index = id as usize;
        if index >= MAX_COMPONENTS {
            return None;
        }
        if self.components.len() <= index {
            self.components.resize_with(index + 1, Component::default);
        }
        self.components.get_mut(index)
    }

    fn set_first(
        &mut self,
        id: Id,
        place: for<'p> fn(&'p mut Component<'a>) -> &'p mut Option<EventIndex>,
        at: EventIndex,
    ) {
        if let Some(component) = self.component_mut(id) {
            place(component).get_or_insert(at);
        }
    }

    /// Computes the instants of the grace by rule 0, from its begin and the limits, whatever the claim says.
    fn begin_grace(&mut self, at: EventIndex, t: u64) {
        if let (None, Some(limits)) = (self.grace, self.limits) {
            let at_most = |less: u64| t.saturating_add(limits.grace.saturating_sub(less));
            self.grace = Some(Grace {
                at,
                stop_ends: at_most(limits.margin.saturating_add(limits.reserve)),
                cleanup_ends: at_most(limits.margin),
                last_resort: at_most(limits.margin.div_ceil(2)),
                kill: at_most(0),
            });
        }
    }
}

impl Record<'_> {
    /// Returns the instant of an event.
    pub fn time_of(&self, at: EventIndex) -> u64 {
        self.events.get(at).map_or(0, |event| event.t)
    }

    /// Returns a component's name, for a message.
    pub fn name(&self, id: Id) -> &str {
        self.component(id).map_or("?", Component::name_or_unknown)
    }

    /// Returns the component of that number.
    pub fn component(&self, id: Id) -> Option<&Component<'_>> {
        self.components.get(id as usize)
    }

    /// Returns the registered components, in the order of registration.
    pub fn registered(
        &self,
    ) -> impl Iterator<Item = (Id, &Component<'_>, EventIndex, &Registered)> {
        self.ids.iter().filter_map(|id| {
            let component = self.components.get(*id as usize)?;
            let (at, registered) = component.registered?;
            Some((*id, component, at, registered))
        })
    }

    /// Returns the components that ended before an event. At the end of start, no warning is due for a component that
    /// has ended, but one may have been logged: a thread can end between the two.
    pub fn ended_before(&self, at: EventIndex) -> BTreeSet<Id> {
        self.registered()
            .filter(|(_, component, _, _)| component.end.is_some_and(|end| end.at < at))
            .map(|(id, ..)| id)
            .collect()
    }

    /// Returns the steps, by component.
    pub fn steps(&self) -> impl Iterator<Item = (&Component<'_>, Step)> {
        self.components
            .iter()
            .filter_map(|component| Some((component, component.step?)))
    }

    /// Returns the begin and end of a phase.
    pub fn phase(&self, phase: Phase) -> PhaseSpan {
        self.phases[phase as usize]
    }

    /// Returns the begin of a phase: as claimed, or its first step if only steps are claimed.
    pub fn phase_began(&self, phase: Phase) -> Option<EventIndex> {
        let first_step = || {
            self.steps()
                .filter(|(_, step)| step.phase == phase)
                .map(|(_, step)| step.at)
                .min()
        };
        self.phase(phase).started.or_else(first_step)
    }

    /// Returns the event by which a stop was first asked for: a signal, a call, or else the claim of the request.
    /// (Main's failure and the watchdog's request are known from the claim only.)
    pub fn first_request(&self) -> Option<EventIndex> {
        let signal = self.signals.first().map(|(at, _)| *at);
        let call = self
            .calls
            .iter()
            .find(|call| call.asks_to_stop)
            .map(|call| call.at);
        [signal, call, self.requested].into_iter().flatten().min()
    }

    /// Returns whether the executor was held at any time in the instant `t`: no task need have run then.
    pub fn held_at(&self, t: u64) -> bool {
        let before = self.holds.iter().filter(|(at, _)| self.time_of(*at) < t);
        let holders = before.fold(0_i64, |n, (_, held)| n + if *held { 1 } else { -1 });
        holders > 0 || self.holds.iter().any(|(at, _)| self.time_of(*at) == t)
    }

    /// Returns the event by which the context moved to a state.
    pub fn entered(&self, state: State) -> Option<EventIndex> {
        let mut states = self.states.iter();
        states
            .find(|(_, entered)| *entered == state)
            .map(|(at, _)| *at)
    }

    /// Returns the last instant of the journal.
    pub fn last_instant(&self) -> u64 {
        self.events.last().map_or(0, |event| event.t)
    }

    /// Returns whether the program handles signals: it does if it runs the life of a process.
    pub fn handles_signals(&self) -> bool {
        self.calls.iter().any(|call| call.method == Call::Run)
    }

    /// Returns the second counted signal.
    pub fn second_signal(&self) -> Option<(EventIndex, SignalName)> {
        self.signals.get(1).copied()
    }

    /// Returns whether the run was cut short, or is stuck and so has no exit. Steps that are open then are not
    /// judged.
    pub fn is_cut(&self) -> bool {
        self.exit.is_none_or(|(_, _, cause)| is_cut_off(cause))
    }
}

impl ContextCall<'_> {
    /// Returns whether an answer with that result has a report. A refusal has none, nor has a start that went well.
    pub fn has_report(&self, result: &str) -> bool {
        match self.method {
            Call::Run => true,
            Call::Stop | Call::Cleanup => result == "ok",
            Call::Start => result == "stop-requested" || result.starts_with("start-failed"),
            Call::RequestStop => false,
        }
    }
}

impl Component<'_> {
    /// Returns the component's name, for a message.
    pub fn name_or_unknown(&self) -> &str {
        self.name.map_or("?", |name| name)
    }
}

/// Returns the phase of the steps of a kind.
pub(super) fn phase_of(kind: Kind) -> Phase {
    match kind {
        Kind::Main => Phase::Start,
        Kind::Thread | Kind::Task | Kind::Watchdog | Kind::Stop => Phase::Stop,
        Kind::Cleanup | Kind::Closeable => Phase::Cleanup,
    }
}

/// Returns whether the step of a kind calls code, rather than waits for code that runs already.
pub(super) fn is_call(kind: Kind) -> bool {
    matches!(kind, Kind::Stop | Kind::Cleanup | Kind::Closeable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::laws::by_hand::{ByHand, day, killed, plan_day, program, second_signal_in_cleanup};

    /// Reads a journal, and asks its record a question.
    fn ask<T>(journal: ByHand, question: impl FnOnce(&Record<'_>) -> T) -> T {
        question(&Record::new(&journal.events()))
    }

    /// Returns the place of the first event for which `like` holds.
    fn first(record: &Record<'_>, like: impl Fn(&What) -> bool) -> Option<EventIndex> {
        record.events.iter().position(|event| like(&event.what))
    }

    #[test]
    fn fault_is_found_by_id_or_by_a_later_name() {
        let struck = day()
            .before(
                "probe-began 2",
                r#"{"t":9000,"event":"fault","fault":"hang","name":"db","id":6}"#,
            )
            .before(
                "state created",
                r#"{"t":0,"event":"fault","fault":"fail","name":"drain","id":null}"#,
            );
        ask(struck, |record| {
            let fault = |id| record.component(id).and_then(|component| component.fault);
            let faults = [first(record, |what| {
                matches!(what, What::Fault { id: None, .. })
            })];
            assert_eq!(fault(3), faults[0]);
            assert_eq!(
                fault(6),
                first(record, |what| matches!(
                    what,
                    What::Fault { id: Some(6), .. }
                ))
            );
            assert!(fault(6).is_some());
            assert_eq!([fault(1), fault(2), fault(4)], [None; 3]);
        });
    }

    #[test]
    fn first_of_what_may_come_once_counts() {
        let twice = day()
            .after("running", r#"{"t":20000,"event":"running","value":true}"#)
            .after("told flusher", r#"{"t":20000,"event":"running","value":false}"#)
            .after("told flusher", r#"{"t":20000,"event":"requested","reason":"again","by":"call"}"#)
            .before("exit", r#"{"t":31700,"event":"returned","call":"run","caller":1,"result":"again","steps":[],"deaths":[]}"#);
        ask(twice, |record| {
            let cleared = first(record, |what| {
                matches!(what, What::Running { value: false })
            });
            assert_eq!(record.running_false, cleared);
            let requested = first(record, |what| matches!(what, What::Requested { .. }));
            assert_eq!(record.requested, requested);
            let returned = record.calls[0].returned.map(|(at, ..)| at);
            assert_eq!(
                returned,
                first(record, |what| matches!(what, What::Returned { .. }))
            );
        });
    }

    #[test]
    fn answer_belongs_to_its_caller() {
        ask(program(), |record| {
            let results: Vec<_> = record
                .calls
                .iter()
                .map(|call| call.returned.map(|(at, ..)| record.time_of(at)))
                .collect();
            assert_eq!(results, [Some(0), Some(11_000), Some(21_000)]);
        });
    }

    #[test]
    fn signals_that_count_have_a_number_and_can_be_caught() {
        let doubled = second_signal_in_cleanup().after(
            "requested",
            r#"{"t":20100,"event":"signal","name":"SIGINT","nth":0}"#,
        );
        ask(doubled, |record| {
            let at: Vec<_> = record
                .signals
                .iter()
                .map(|(at, _)| record.time_of(*at))
                .collect();
            assert_eq!(at, [20_000, 23_000]);
        });
        ask(killed(), |record| {
            assert_eq!(record.signals.len(), 1);
            assert!(record.second_signal().is_none());
        });
    }

    #[test]
    fn job_that_is_lost_is_not_its_component() {
        let lost = |what: &str| {
            let lost =
                format!(r#"{{"t":31700,"event":"lost","id":5,"name":"flush","what":"{what}"}}"#);
            ask(day().before("exit", &lost), |record| {
                record
                    .component(5)
                    .is_some_and(|component| component.lost.is_some())
            })
        };
        assert!(!lost("job"));
        assert!(lost("running") && lost("not-closed") && lost("not-stopped"));
    }

    #[test]
    fn phase_without_a_claim_begins_with_its_first_step() {
        ask(plan_day(), |record| {
            let step = |id| {
                record
                    .component(id)
                    .and_then(|component| component.step)
                    .map(|step| step.at)
            };
            assert_eq!(record.phase_began(Phase::Start), None);
            assert_eq!(record.phase_began(Phase::Stop), step(1));
            assert_eq!(record.phase_began(Phase::Cleanup), step(4));
        });
    }

    #[test]
    fn executor_is_held_while_anybody_holds_it() {
        let line = |t: u64, event: &str, id: u32| {
            format!(r#"{{"t":{t},"event":"{event}","id":{id},"name":"holder"}}"#)
        };
        let holds = [
            line(12_100, "held", 1),
            line(12_200, "held", 2),
            line(12_300, "released", 1),
            line(12_400, "released", 2),
            line(12_500, "held", 1),
            line(12_500, "released", 1),
        ];
        let held = holds
            .iter()
            .fold(day(), |day, line| day.before("signal SIGTERM", line));
        ask(held, |record| {
            // In the instants of a change itself, no task need have run.
            for t in [
                12_100, 12_150, 12_200, 12_250, 12_300, 12_350, 12_400, 12_500,
            ] {
                assert!(record.held_at(t), "{t}");
            }
            for t in [0, 12_099, 12_401, 12_450, 12_499, 12_501, 20_000] {
                assert!(!record.held_at(t), "{t}");
            }
        });
    }

    #[test]
    fn run_is_cut_by_what_ends_the_process_before_its_time() {
        let cut = |cause: &str| {
            let exit = day().with_keys("exit", &format!(r#""cause":"{cause}""#));
            ask(exit, |record| record.is_cut())
        };
        assert!(
            ["third-signal", "watchdog", "last-resort", "killed"]
                .into_iter()
                .all(cut)
        );
        assert!(
            !["stopped", "returned", "start-failed", "second-signal"]
                .into_iter()
                .any(cut)
        );
        assert!(ask(day().without("exit"), |record| record.is_cut()));
    }

    #[test]
    fn report_comes_with_what_waits_for_an_end() {
        let report = |call: &str, result: &str| {
            let called = day().with_keys("call-began run", &format!(r#""call":"{call}""#));
            ask(called, |record| record.calls[0].has_report(result))
        };
        assert!(report("run", "ok") && report("run", "again"));
        assert!(report("stop", "ok") && report("cleanup", "ok"));
        assert!(!report("stop", "called-from-inside") && !report("cleanup", "called-from-inside"));
        assert!(report("start", "stop-requested") && report("start", "start-failed: no licence"));
        assert!(!report("start", "ok") && !report("start", "again"));
        assert!(!report("request-stop", "ok"));
    }
}
