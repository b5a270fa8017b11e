//! The scene: the state of a live run that one lock guards. The lock is held for moments only. Implements the stage's
//! [`Stage`].

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use crate::journal::{Call, Cause, Event, Kind, Name, SignalName, What, ms_rounded_down};
use crate::scenario::Scenario;
use crate::stage::{Endpoint, Later, Part, Parts, Script, Stage};

/// An action of the script that must not be taken under the scene's lock.
#[derive(Debug)]
pub(super) enum UnlockedAction {
    Signal(SignalName),
    Kill(SignalName),
    Register(usize),
}

/// A call of the context that is to be made.
#[derive(Debug)]
pub(super) struct PendingCall {
    pub call: Call,
    pub caller: u32,
    pub from: Option<Name>,
    pub message: Option<String>,
}

impl PendingCall {
    /// Returns whether the order of the two calls makes no difference. That of two starts does: one of them is
    /// refused.
    fn is_like(&self, other: &PendingCall) -> bool {
        self.call == other.call
            && self.call != Call::Start
            && self.from == other.from
            && self.message == other.message
    }
}

/// The bell of a component, which wakes the thread or task that runs its code.
#[derive(Default)]
struct Bell {
    /// Whether the bell has rung since the last wait ended.
    rung: bool,
    /// The token that ends the current wait when it is cancelled, and the instant at which the wait ends by itself.
    current_wait: Option<(CancellationToken, u64)>,
}

pub(super) struct Scene {
    pub parts: Parts,
    script: RefCell<Script>,
    endpoint: RefCell<Endpoint>,
    clock: Arc<Clock>,
    out: RefCell<Box<dyn Write + Send>>,
    seq: Cell<u64>,
    /// Time of the last event: times in the journal never decrease.
    last_ms: Cell<u64>,
    over: Cell<bool>,
    /// Number of open turns of the worker's code.
    open_turns: Cell<u32>,
    /// Number of pieces of code that were started and have not begun: on threads of their own, and on the executor.
    unbegun: [Cell<i32>; 2],
    /// Whether the events that are due in this instant strike just now. No turn begins meanwhile.
    pub is_striking: Cell<bool>,
    /// Number of turns on the executor that wait to begin: each of them blocks the executor.
    waiting_turns: Cell<i32>,
    /// The running flag as last read.
    pub running: Cell<bool>,
    pub unlocked_actions: RefCell<VecDeque<UnlockedAction>>,
    /// The calls of this instant. They are made when all else has struck, as in the simulator.
    calls: RefCell<VecDeque<PendingCall>>,
    /// Actions that happen later, by their instant and their order in it.
    later_actions: RefCell<BTreeMap<(u64, u64), Later>>,
    bells: RefCell<Vec<Bell>>,
    /// Number of holds of the executor by each component that holds it.
    holds: RefCell<BTreeMap<usize, u32>>,
    /// Asks the executor to run code of a component.
    ask_executor: Box<dyn Fn(usize) + Send>,
    callers: Cell<u32>,
    pub open_calls: Cell<u32>,
}

impl Scene {
    pub fn new(
        scenario: &Scenario,
        clock: Arc<Clock>,
        ask_executor: Box<dyn Fn(usize) + Send>,
        out: Box<dyn Write + Send>,
    ) -> Self {
        let parts = Parts::new(scenario);
        let bells = parts.all.iter().map(|_| Bell::default()).collect();
        Scene {
            parts,
            script: RefCell::new(Script::new(scenario)),
            endpoint: RefCell::default(),
            clock,
            out: RefCell::new(out),
            seq: Cell::new(0),
            last_ms: Cell::new(0),
            over: Cell::new(false),
            open_turns: Cell::new(0),
            unbegun: Default::default(),
            // No turn begins before the events at the start have struck.
            is_striking: Cell::new(true),
            waiting_turns: Cell::new(0),
            running: Cell::new(true),
            unlocked_actions: RefCell::default(),
            calls: RefCell::default(),
            later_actions: RefCell::default(),
            bells: RefCell::new(bells),
            holds: RefCell::default(),
            ask_executor,
            callers: Cell::new(0),
            open_calls: Cell::new(0),
        }
    }

    pub fn stage(&self) -> &dyn Stage {
        self
    }

    /// Writes an event as one whole line at once, so that the journal has it whatever happens next.
    fn append(&self, what: What) {
        let t = self.now().max(self.last_ms.get());
        self.last_ms.set(t);
        let seq = self.seq.replace(self.seq.get() + 1);
        let event = Event { t, seq, what };
        let lag = self.clock.lag.load(Ordering::Relaxed);
        // How long after its instant the event is written: the summary of `deadstop live` shows how close things
        // were.
        let real = self.clock.real();
        let late = self.clock.time_map.tick(real).map_or(0, |(_, since)| since);
        let mut line = format!("{} {} ", lag / 1_000, late / 1_000).into_bytes();
        // An event has names, numbers and lists only, and all of those can be JSON.
        if serde_json::to_writer(&mut line, &event).is_ok() {
            line.push(b'\n');
            let mut out = self.out.borrow_mut();
            let _ = out.write_all(&line).and_then(|()| out.flush());
        }
    }

    /// Records the losses, and the exit if one is given, of a process that is about to end. No event is recorded
    /// after that.
    pub fn close_journal(&self, exit: Option<(i32, Cause)>) {
        for lost in self.parts.losses() {
            self.append(lost);
        }
        if let Some((code, cause)) = exit {
            self.append(What::Exit { code, cause });
        }
        self.over.set(true);
    }

    /// Begins a wait of a component: sets the token that ends it early, and the instant at which it ends by itself.
    /// Returns false if the component must not wait: it was woken before, or the run is over.
    pub fn arm(&self, part: usize, token: CancellationToken, until: u64) -> bool {
        let mut bells = self.bells.borrow_mut();
        let bell = &mut bells[part];
        if self.is_over() || std::mem::take(&mut bell.rung) {
            return false;
        }
        bell.current_wait = Some((token, until));
        true
    }

    /// Ends a wait of a component.
    pub fn disarm(&self, part: usize) {
        self.bells.borrow_mut()[part] = Bell::default();
    }

    fn ring(&self, part: usize) {
        let mut bells = self.bells.borrow_mut();
        let bell = &mut bells[part];
        bell.rung = true;
        if let Some((token, _)) = &bell.current_wait {
            token.cancel();
        }
    }

    /// Returns whether a component was woken, by its own timer or by another component, and has not gone on yet. Code
    /// that a held executor keeps from going on does not count.
    fn is_woken(&self, part: &Part) -> bool {
        let bells = self.bells.borrow();
        let woken = bells[part.index]
            .current_wait
            .as_ref()
            .is_some_and(|(token, until)| token.is_cancelled() || *until <= self.now());
        let spec = part.component.as_ref();
        let on_executor = spec.is_none_or(|spec| spec.is_async || spec.kind == Kind::Task);
        woken && part.runs() && !(on_executor && self.is_held())
    }

    /// Returns whether a component holds the executor.
    pub fn is_held(&self) -> bool {
        !self.is_over() && !self.holds.borrow().is_empty()
    }

    /// Returns whether code on the executor waits to go on, and so blocks the executor.
    pub fn blocks_executor(&self) -> bool {
        self.waiting_turns.get() > 0
    }

    /// Adds `by` to the number of turns on the executor that wait to begin.
    pub fn add_waiting_turns(&self, by: i32) {
        self.waiting_turns.set(self.waiting_turns.get() + by);
    }

    /// Returns whether code of the worker may go on.
    pub fn may_go_on(&self) -> bool {
        let waits_for_others =
            self.script.borrow().awaits_a_begin_or_end() && self.open_turns.get() > 0;
        !(self.is_striking.get() || self.is_due() || waits_for_others)
    }

    /// Returns whether code of the worker runs.
    pub fn in_a_turn(&self) -> bool {
        self.open_turns.get() > 0
    }

    pub fn begin_turn(&self) {
        self.open_turns.set(self.open_turns.get() + 1);
    }

    pub fn end_turn(&self) {
        self.open_turns.set(self.open_turns.get().saturating_sub(1));
    }

    /// Adds `by` to the number of pieces of code that were started and have not begun.
    pub fn add_unbegun(&self, on_executor: bool, by: i32) {
        let unbegun = &self.unbegun[usize::from(on_executor)];
        unbegun.set(unbegun.get() + by);
    }

    /// Returns whether all code that was started has begun, and all of it waits. Code that a held executor keeps from
    /// going on does not count.
    pub fn is_quiet(&self) -> bool {
        let [threads, executor] = self.unbegun.each_ref().map(Cell::get);
        let woken = self.parts.all.iter().any(|part| self.is_woken(part));
        !self.in_a_turn() && !woken && threads == 0 && (executor == 0 || self.is_held())
    }

    /// Returns whether an event or action is due. It comes before all other code of its instant.
    pub fn is_due(&self) -> bool {
        self.next_due_ns()
            .is_some_and(|next| next <= self.clock.real())
    }

    /// Returns when the next event or action is due, in nanoseconds of real time since the run began.
    pub fn next_due_ns(&self) -> Option<u64> {
        let ms = Duration::from_millis;
        let strikes = self.script.borrow().first();
        let strikes = strikes.map(|at| self.clock.time_map.strikes_at(ms(at)));
        let later_actions = self.later_actions.borrow();
        let later = later_actions.keys().next();
        let later = later.map(|(at, _)| self.clock.time_map.strikes_at(ms(*at)));
        strikes.into_iter().chain(later).min()
    }

    /// Takes the next action that is due. Returns whether there was one.
    pub fn perform_due_action(&self) -> bool {
        let real = self.clock.real();
        let due = {
            let mut later_actions = self.later_actions.borrow_mut();
            let first = later_actions.first_entry().filter(|entry| {
                self.clock
                    .time_map
                    .strikes_at(Duration::from_millis(entry.key().0))
                    <= real
            });
            first.map(std::collections::btree_map::OccupiedEntry::remove)
        };
        if let Some(later) = due.filter(|_| !self.is_over()) {
            self.stage().happen(later);
            return true;
        }
        false
    }

    /// Takes the calls that are to be made next: one, or several that may come in any order.
    pub fn take_calls(&self) -> Vec<PendingCall> {
        let mut calls = self.calls.borrow_mut();
        let alike = match calls.front() {
            None => 0,
            Some(first) => {
                1 + calls
                    .iter()
                    .skip(1)
                    .take_while(|c| c.is_like(first))
                    .count()
            }
        };
        calls.drain(..alike).collect()
    }

    /// Returns the number of the next caller, from 1.
    pub fn next_caller(&self) -> u32 {
        self.callers.set(self.callers.get() + 1);
        self.callers.get()
    }

    /// Returns whether a program that only calls has nothing more to do.
    pub fn is_done(&self) -> bool {
        !self.is_over() && self.open_calls.get() == 0 && self.script.borrow().first().is_none()
    }
}

impl Stage for Scene {
    fn parts(&self) -> &Parts {
        &self.parts
    }

    fn script(&self) -> &RefCell<Script> {
        &self.script
    }

    fn endpoint(&self) -> &RefCell<Endpoint> {
        &self.endpoint
    }

    fn now(&self) -> u64 {
        ms_rounded_down(self.clock.now())
    }

    fn is_over(&self) -> bool {
        self.over.get()
    }

    fn record(&self, what: What) {
        if !self.is_over() {
            self.append(what);
        }
    }

    fn wake(&self, part: &Part) {
        self.ring(part.index);
    }

    fn hold_executor(&self, part: &Part, hold: bool) {
        {
            let mut holds = self.holds.borrow_mut();
            if hold {
                *holds.entry(part.index).or_default() += 1;
            } else if let Some(count) = holds.get_mut(&part.index) {
                *count -= 1;
                if *count == 0 {
                    holds.remove(&part.index);
                }
            }
        }
    }

    fn ask_executor(&self, part: &Part) {
        (self.ask_executor)(part.index);
    }

    fn later(&self, delay: u64, later: Later) {
        let mut later_actions = self.later_actions.borrow_mut();
        let key = (self.now().saturating_add(delay), self.seq.get());
        // Several actions of one instant happen in the order in which they were set.
        let place = (key.1..).find(|place| !later_actions.contains_key(&(key.0, *place)));
        later_actions.insert((key.0, place.unwrap_or(key.1)), later);
    }

    fn signal(&self, signal: SignalName) {
        self.unlocked_actions
            .borrow_mut()
            .push_back(UnlockedAction::Signal(signal));
    }

    fn kill(&self, signal: SignalName) {
        // `Players` waits for this process, and records that it was killed, and its exit.
        self.close_journal(None);
        self.unlocked_actions
            .borrow_mut()
            .push_back(UnlockedAction::Kill(signal));
    }

    fn call(&self, call: Call, from: Option<Name>, message: Option<String>) {
        let caller = self.next_caller();
        self.open_calls.set(self.open_calls.get() + 1);
        self.calls.borrow_mut().push_back(PendingCall {
            call,
            caller,
            from,
            message,
        });
    }

    fn register(&self, index: usize) {
        self.unlocked_actions
            .borrow_mut()
            .push_back(UnlockedAction::Register(index));
    }
}
