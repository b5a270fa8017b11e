//! Runners: threads that run scenarios. Every thread that waits for a result watches all of them.
//!
//! A body that keeps its thread for good cannot be rescued. Its run gets its verdict, the thread is left behind, and
//! another thread takes its place.

use std::sync::Arc;
use std::time::Duration;

use super::job::{Ran, Run, RunError};
use super::journal::Journal;
use super::options::Options;
use super::workers::{Batch, QueuedRun, Shared};
use crate::lock::lock;
use crate::scenario::Scenario;

/// Maximum number of runs that are taken from the caller ahead of the run that it waits for.
const MAX_AHEAD: usize = 64;
/// Number of runs that are taken ahead before the size of any journal is known.
const AHEAD_AT_FIRST: usize = 4;
/// Maximum number of events and report rows in the journals of all runs taken ahead together, estimated from the
/// longest journal so far. A file of 4 KiB with a hundred thousand callers makes a journal of 20 MiB.
const MAX_SIZE_AHEAD: usize = 500_000;

/// Returns the number of runs to execute at once: one for each core.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Threads that run scenarios.
///
/// A body that blocks its thread in real time, or spins, does not hang the caller: its run gets the verdict
/// [`stuck`](crate::journal::What::Stuck) with the body's name. [How long it may](Runners::patience) do so depends on
/// what bodies run on. Its thread is [left behind](Runners::left_behind). The first three such threads are replaced;
/// from the fourth on every further run is [given up](RunError::GivenUp).
///
/// Several threads can use it at once; each thread that waits watches the runs of all. Dropping it ends its threads,
/// and waits for none of them.
///
/// ```
/// use std::sync::Arc;
/// use deadstop_harness::{scenario, sim::{Options, Run, Runners}};
///
/// let text = "title = 'A pool is closed'\n[worker]\ncomponents = [{ closeable = 'pool' }]\n\
///             [timeline]\nevents = [{ at = '10s', signal = 'SIGTERM' }]\n";
/// let scenario = Arc::new(scenario::parse("a-pool", text).map_err(|_| "invalid")?);
///
/// let runners = Runners::new(2)?;
/// let seed = |seed| Run::new(Arc::clone(&scenario), Options { seed, ..Options::default() });
/// for ran in runners.run_all((0..10).map(seed)) {
///     assert!(!ran?.journal.events.is_empty());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Runners {
    shared: Arc<Shared>,
}

impl Runners {
    /// Starts `workers` threads, but at least two, so that a scenario's second run can be on
    /// [another thread](Run::not_on).
    ///
    /// # Errors
    ///
    /// If the system cannot start a thread.
    pub fn new(workers: usize) -> std::io::Result<Self> {
        let runners = Runners {
            shared: Arc::default(),
        };
        for _ in 0..workers.max(2) {
            runners
                .shared
                .add_worker(&mut lock(&runners.shared.guard))?;
        }
        Ok(runners)
    }

    /// Sets how long a body's code may keep its turn before its run is [`stuck`](crate::journal::What::Stuck), if
    /// bodies run on [batons](crate::sim::Bodies::Batons). A turn that sleeps for `limit` of real time is *blocked*,
    /// and one that uses `limit` of CPU time is *spinning*. Time spent waiting for a CPU does not count. While the
    /// thread waits for a disk, or if the system reports nothing about threads, the limit is at least 10 s.
    ///
    /// This overrides the scenario's own patience. Without either it is 5 s, so that a slow disk or a debug build gets
    /// no verdict.
    ///
    /// On coroutines, which are for scripted components, the limits are fixed: 150 ms of uninterrupted sleep, 2 s of
    /// sleep in short naps, and 500 ms of CPU time.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use deadstop_harness::sim::Runners;
    /// let runners = Runners::new(2)?.patience(Duration::from_secs(60));
    /// # assert_eq!(runners.left_behind(), 0);
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn patience(self, limit: Duration) -> Self {
        lock(&self.shared.guard).patience = Some(limit);
        self
    }

    /// Sets how long a whole run of [a user's own worker](crate::sim::Own) may take in real time. A run that takes
    /// longer is [`stuck`](crate::journal::What::Stuck). The limit is never less than twice the patience. By default it
    /// is 60 s; a run normally takes milliseconds.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use deadstop_harness::sim::Runners;
    /// let runners = Runners::new(2)?.time_limit(Duration::from_secs(300));
    /// # assert_eq!(runners.left_behind(), 0);
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn time_limit(self, limit: Duration) -> Self {
        lock(&self.shared.guard).time_limit = Some(limit);
        self
    }

    /// Runs one scenario, and returns its journal.
    ///
    /// # Errors
    ///
    /// If there is no journal: see [`RunError`].
    pub fn run(&self, scenario: Arc<Scenario>, options: Options) -> Result<Journal, RunError> {
        let mut all = self.run_all([Run::new(scenario, options)]);
        let ran = all.next().expect("a result for each run");
        ran.map(|ran| ran.journal)
    }

    /// Executes many runs, and returns an iterator over their results in the order of `runs`. Each result is available
    /// as soon as its run and all before it are over. At most 64 runs are taken from `runs` ahead of the result that
    /// is waited for, fewer if journals are long. Runs that have not begun when the iterator is dropped do not begin.
    pub fn run_all<I>(&self, runs: I) -> Running<'_, I::IntoIter>
    where
        I: IntoIterator<Item = Run>,
    {
        Running {
            shared: &self.shared,
            runs: runs.into_iter().fuse(),
            batch: Arc::default(),
            next: 0,
            taken: 0,
            ahead: AHEAD_AT_FIRST,
            longest: 0,
        }
    }

    /// Returns the number of threads that were left behind because a body keeps them for good. If there are any, the
    /// process must end by `_exit`: these threads may hold locks that exit handlers and destructors need.
    pub fn left_behind(&self) -> usize {
        lock(&self.shared.guard).left_behind
    }
}

impl Drop for Runners {
    fn drop(&mut self) {
        lock(&self.shared.queue).closed = true;
        self.shared.work.notify_all();
    }
}

/// The results of [`Runners::run_all`].
#[derive(Debug)]
pub struct Running<'a, I> {
    shared: &'a Arc<Shared>,
    runs: std::iter::Fuse<I>,
    batch: Arc<Batch>,
    /// The index of the next result.
    next: usize,
    /// Number of runs that were taken.
    taken: usize,
    /// Number of runs that may be taken ahead, given the journals so far.
    ahead: usize,
    /// Size of the largest journal so far, in events and report rows.
    longest: usize,
}

impl<I: Iterator<Item = Run>> Running<'_, I> {
    /// Takes runs ahead, many at a time, since each submission costs a lock and perhaps a wake.
    fn take_ahead(&mut self) {
        let first = self.taken;
        let waiting = first - self.next;
        if waiting > self.ahead / 2 {
            return;
        }
        let runs = self.runs.by_ref().take(self.ahead - waiting);
        let jobs: Vec<QueuedRun> = runs
            .zip(first..)
            .map(|(run, index)| QueuedRun {
                run,
                batch: Arc::clone(&self.batch),
                index,
                number: 0,
            })
            .collect();
        self.taken += jobs.len();
        self.shared.submit(jobs);
    }
}

impl<I: Iterator<Item = Run>> Iterator for Running<'_, I> {
    type Item = Result<Ran, RunError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.take_ahead();
        if self.next == self.taken {
            return None;
        }
        let result = self.shared.wait_for(&self.batch, self.next);
        self.next += 1;
        if let Ok(ran) = &result {
            self.longest = self.longest.max(ran.journal.size());
            self.ahead = (MAX_SIZE_AHEAD / self.longest.max(1)).clamp(2, MAX_AHEAD);
        }
        Some(result)
    }
}

impl<I> Drop for Running<'_, I> {
    fn drop(&mut self) {
        if self.next < self.taken {
            for jobs in lock(&self.shared.queue).waiting.values_mut() {
                jobs.retain(|(_, job)| !Arc::ptr_eq(&job.batch, &self.batch));
            }
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "the tests of real time start threads and read the clock"
)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::{Mutex, mpsc};
    use std::time::Instant;

    use super::*;
    use crate::journal::Name;
    use crate::journal::{Cause, Event, StuckWhy, What};
    use crate::sim::body::wait;
    use crate::sim::guard::turn_watch::LOOK_INTERVAL;
    use crate::sim::guard::watched::Watched;
    use crate::sim::laid::lay;
    use crate::sim::pace::Pause;
    use crate::sim::{self, Bodies, Subject};

    fn scenario(name: &str, text: &str) -> Arc<Scenario> {
        let parsed = crate::scenario::parse(name, text);
        Arc::new(parsed.unwrap_or_else(|invalid| panic!("{name}: {:?}", invalid.diagnostics)))
    }

    /// Returns a scenario with one cleanup callback of that name, called at 10 s.
    fn cleanup(name: &str) -> Arc<Scenario> {
        let text = format!(
            "title = \"One cleanup\"\n[worker]\ncomponents = [{{ cleanup = \"{name}\" }}]\n\
             [timeline]\nevents = [{{ at = \"10s\", signal = \"SIGTERM\" }}]\n"
        );
        scenario(name, &text)
    }

    fn run(scenario: &Arc<Scenario>) -> Run {
        Run::new(Arc::clone(scenario), Options::default())
    }

    /// Lays code over a component that blocks its thread until the returned sender is dropped.
    fn blocks(name: &str) -> mpsc::Sender<()> {
        let (open, closed) = mpsc::channel();
        let closed = Mutex::new(closed);
        lay(name, move || lock(&closed).recv().is_ok());
        open
    }

    fn stuck(journal: &Journal) -> Option<(u64, StuckWhy, &str)> {
        match journal.events.last() {
            Some(Event {
                t,
                what: What::Stuck { why, name },
                ..
            }) => Some((*t, *why, name)),
            _ => None,
        }
    }

    fn exits(journal: &Journal) -> bool {
        let cause = Cause::Stopped;
        matches!(journal.events.last(), Some(Event { what: What::Exit { code: 0, cause: c }, .. }) if *c == cause)
    }

    #[test]
    fn blocked_body_is_named_and_the_next_run_proceeds() {
        let _open = blocks("blocker");
        let runners = Runners::new(2).unwrap();
        let (blocked, options) = (cleanup("blocker"), Options::default());
        let began = Instant::now();
        let journal = runners.run(Arc::clone(&blocked), options).unwrap();
        // The guard first looks after 50 ms, and then finds the thread asleep in three looks.
        let took = began.elapsed();
        assert!(
            took >= 3 * LOOK_INTERVAL && took < Duration::from_secs(5),
            "{took:?}"
        );
        // The journal has all events up to there: those of a healthy run up to its call.
        let healthy = sim::run(&cleanup("a healthy one"), &options).events;
        let called = |event: &Event| matches!(event.what, What::Began { id: 1, .. });
        let at = healthy.iter().position(called).expect("it is called");
        assert_eq!(journal.events.len(), at + 2);
        assert!(called(&journal.events[at]), "{:?}", journal.events[at]);
        let times = |events: &[Event]| events.iter().map(|event| event.t).collect::<Vec<_>>();
        assert_eq!(times(&journal.events[..at]), times(&healthy[..at]));
        let stall = journal.aside.stall.as_ref().expect("it is seen why");
        assert_eq!((&*stall.name, stall.at), ("blocker", 10_000));
        assert_eq!(
            stuck(&journal),
            Some((10_000, StuckWhy::Blocked, "blocker"))
        );
        assert_eq!(runners.left_behind(), 1);
        assert!(exits(&runners.run(cleanup("the next"), options).unwrap()));
    }

    #[test]
    fn a_body_that_spins_is_named() {
        struct Ends(Arc<AtomicBool>);
        impl Drop for Ends {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let over = Ends(Arc::default());
        let spins = Arc::clone(&over.0);
        lay("spinner", move || {
            while !spins.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let text = "title = \"A thread that computes\"\n[worker]\ncomponents = [{ thread = \"spinner\" }]\n\
                    [timeline]\nevents = [{ at = \"10s\", signal = \"SIGTERM\" }]\n";
        let runners = Runners::new(2).unwrap();
        let began = Instant::now();
        let journal = runners
            .run(scenario("spinner", text), Options::default())
            .unwrap();
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(500), "{took:?}");
        assert!(took < Duration::from_secs(30), "{took:?}");
        assert_eq!(stuck(&journal), Some((0, StuckWhy::Spinning, "spinner")));
    }

    #[test]
    fn a_task_that_sleeps_in_short_naps_for_ever_is_named() {
        let (open, closed) = mpsc::channel::<()>();
        let closed = Mutex::new(closed);
        lay("napper", move || {
            let nap = Duration::from_millis(5);
            while lock(&closed).recv_timeout(nap) == Err(mpsc::RecvTimeoutError::Timeout) {}
        });
        let text = "title = \"A task that naps\"\n[worker]\ncomponents = [{ task = \"napper\" }]\n\
                    [timeline]\nevents = [{ at = \"10s\", signal = \"SIGTERM\" }]\n";
        let runners = Runners::new(2).unwrap();
        let journal = runners
            .run(scenario("napper", text), Options::default())
            .unwrap();
        assert_eq!(stuck(&journal), Some((0, StuckWhy::Blocked, "napper")));
        drop(open);
    }

    #[test]
    fn a_destructor_that_blocks_at_the_worlds_end_is_named() {
        struct Blocks(Arc<Mutex<mpsc::Receiver<()>>>);
        impl Drop for Blocks {
            fn drop(&mut self) {
                let _ = lock(&self.0).recv();
            }
        }
        for (kind, name) in [("thread", "drops in a thread"), ("task", "drops in a task")] {
            let (open, closed) = mpsc::channel();
            let closed = Arc::new(Mutex::new(closed));
            lay(name, move || Blocks(Arc::clone(&closed)));
            // It is killed at 10 s, while it works.
            let text = format!(
                "title = \"Killed\"\n[worker]\ncomponents = [{{ {kind} = \"{name}\" }}, {{ thread = \"another\" }}]\n\
                 [timeline]\nevents = [{{ at = \"10s\", signal = \"SIGKILL\" }}]\n"
            );
            let runners = Runners::new(2).unwrap();
            let journal = runners.run(scenario(name, &text), Options::default());
            let journal = journal.unwrap();
            assert_eq!(stuck(&journal), Some((10_000, StuckWhy::Blocked, name)));
            let strikes = |event: &Event| matches!(event.what, What::Signal { .. });
            assert!(journal.events.iter().any(strikes), "all up to there");
            drop(open);
        }
    }

    const BATONS: Options = Options {
        seed: 0,
        subject: Subject::Worker,
        bodies: Bodies::Batons,
    };

    /// Returns a scenario with a thread of that name and a calm one, told at 10 s.
    fn thread(name: &str) -> Arc<Scenario> {
        let text = format!(
            "title = \"One thread\"\n[worker]\ncomponents = [{{ thread = \"{name}\" }}, {{ thread = \"calm\" }}]\n\
             [timeline]\nevents = [{{ at = \"10s\", signal = \"SIGTERM\" }}]\n"
        );
        scenario(name, &text)
    }

    #[test]
    fn a_body_that_keeps_its_baton_is_named_when_patience_is_over() {
        struct Blocks(Arc<Mutex<mpsc::Receiver<()>>>);
        impl Drop for Blocks {
            fn drop(&mut self) {
                let _ = lock(&self.0).recv();
            }
        }
        thread_local! {
            static LAST: RefCell<Option<Blocks>> = const { RefCell::new(None) };
        }
        let patience = Duration::from_millis(300);
        let (open, closed) = mpsc::channel();
        let closed = Arc::new(Mutex::new(closed));
        let over = Arc::new(AtomicBool::new(false));
        let at = Arc::clone(&closed);
        lay("blocks with a baton", move || lock(&at).recv().is_ok());
        let at = Arc::clone(&closed);
        lay("has a thread-local that blocks", move || {
            LAST.set(Some(Blocks(Arc::clone(&at))));
        });
        let spins = Arc::clone(&over);
        lay("spins with a baton", move || {
            while !spins.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        for (name, t, why) in [
            ("blocks with a baton", 0, StuckWhy::Blocked),
            ("spins with a baton", 0, StuckWhy::Spinning),
            ("has a thread-local that blocks", 10_000, StuckWhy::Blocked),
        ] {
            let runners = Runners::new(2).unwrap().patience(patience);
            let began = Instant::now();
            let journal = runners.run(thread(name), BATONS).unwrap();
            let took = began.elapsed();
            assert_eq!(stuck(&journal), Some((t, why, name)));
            assert!(took >= patience, "{name}: {took:?}");
            assert!(took < Duration::from_secs(30), "{name}: {took:?}");
            assert_eq!(runners.left_behind(), 1);
            assert!(exits(&runners.run(thread("the next"), BATONS).unwrap()));
        }
        over.store(true, Ordering::Relaxed);
        drop(open);
    }

    /// One body waits in virtual time while it holds a lock, and another waits for that lock in real time.
    #[test]
    fn a_body_that_waits_for_anothers_lock_is_named() {
        static LOCK: Mutex<()> = Mutex::new(());
        lay("has the lock", || {
            let _held = lock(&LOCK);
            wait::block(Pause::new(5_000, None));
        });
        lay("wants the lock", || drop(lock(&LOCK)));
        let text = "title = \"Two threads\"\n[worker]\ncomponents = [{ thread = \"has the lock\" }, { thread = \"wants the lock\" }]\n\
                    [timeline]\nevents = [{ at = \"10s\", signal = \"SIGTERM\" }]\n";
        let runners = Runners::new(2).unwrap().patience(3 * LOOK_INTERVAL);
        let journal = runners.run(scenario("lock", text), BATONS).unwrap();
        assert_eq!(
            stuck(&journal),
            Some((0, StuckWhy::Blocked, "wants the lock"))
        );
    }

    #[test]
    fn a_users_code_may_be_slow_for_real() {
        let (_open, closed) = mpsc::channel::<()>();
        let closed = Mutex::new(closed);
        // On a coroutine this would be *blocked* after 150 ms.
        lay("slow for real", move || {
            lock(&closed).recv_timeout(8 * LOOK_INTERVAL).is_err()
        });
        let runners = Runners::new(2).unwrap();
        let journal = runners.run(thread("slow for real"), BATONS).unwrap();
        assert!(exits(&journal), "{:?}", journal.events.last());
        assert_eq!(runners.left_behind(), 0);
    }

    #[test]
    fn fourth_thread_left_behind_ends_all_further_runs() {
        let _open = blocks("again and again");
        let runners = Runners::new(2).unwrap();
        let (blocked, healthy) = (cleanup("again and again"), cleanup("healthy among them"));
        for nth in 1..=4 {
            let journal = runners
                .run(Arc::clone(&blocked), Options::default())
                .unwrap();
            assert!(stuck(&journal).is_some(), "nth {nth}");
            assert_eq!(runners.left_behind(), nth);
            let next = runners.run(Arc::clone(&healthy), Options::default());
            if nth < 4 {
                assert!(exits(&next.unwrap()), "nth {nth}");
            } else {
                let last = Name::from("again and again");
                assert_eq!(next, Err(RunError::GivenUp { last }));
            }
        }
    }

    #[test]
    fn queued_runs_are_answered_when_runners_give_up() {
        let _open = blocks("many of them");
        let runners = Runners::new(2).unwrap();
        let blocked = cleanup("many of them");
        let ran: Vec<_> = runners.run_all(vec![run(&blocked); 20]).collect();
        let verdicts = ran.iter().filter(|ran| ran.is_ok()).count();
        // There are four verdicts, and perhaps one more, of a run beside the fourth.
        assert!((4..=5).contains(&verdicts), "{verdicts}");
        assert_eq!(ran.len(), 20);
        let named = ran
            .iter()
            .flatten()
            .all(|ran| stuck(&ran.journal) == Some((10_000, StuckWhy::Blocked, "many of them")));
        assert!(named);
    }

    #[test]
    fn results_keep_their_order_around_a_stuck_run() {
        let _open = blocks("the tenth");
        let names: Vec<String> = (0..200)
            .map(|n| match n {
                10 => "the tenth".to_owned(),
                n => format!("number {n}"),
            })
            .collect();
        let runners = Runners::new(2).unwrap();
        let all: Vec<_> = runners
            .run_all(names.iter().map(|name| run(&cleanup(name))))
            .map(Result::unwrap)
            .collect();
        assert_eq!(all.len(), names.len());
        for (n, (ran, name)) in all.iter().zip(&names).enumerate() {
            let is = |what: &What| matches!(what, What::Journal { scenario, .. } if **scenario == **name);
            assert!(is(&ran.journal.events[0].what), "{n}");
            assert_eq!(stuck(&ran.journal).is_some(), n == 10, "{n}");
            assert_eq!(exits(&ran.journal), n != 10, "{n}");
        }
    }

    #[test]
    fn simulator_panic_is_an_error_and_its_thread_goes_on() {
        let mut unknown = Scenario::clone(&cleanup("known"));
        unknown.name = "of an unknown".into();
        unknown.worker.components = Some(Vec::new());
        unknown.timeline.push(crate::scenario::Timed {
            trigger: crate::scenario::Trigger::At(Duration::from_secs(5)),
            verb: crate::scenario::Verb::Fault {
                name: "nobody".into(),
                fault: crate::scenario::Fault::End,
            },
            span: 0..0,
        });
        let mut limits = unknown.clone();
        limits.name = "of its limits".into();
        limits.worker.reserve = limits.worker.grace * 2;
        let runners = Runners::new(2).unwrap();
        let options = Options {
            seed: 17,
            ..Options::default()
        };
        for (wrong, words) in [
            (unknown, "a scenario's names are known"),
            (limits, "a parsed scenario has limits"),
        ] {
            let name = wrong.name.clone();
            let wrong = Arc::new(wrong);
            // More often than there are threads.
            for _ in 0..5 {
                let error = runners.run(Arc::clone(&wrong), options).unwrap_err();
                let text = error.to_string();
                let begin = format!("scenario \"{name}\", seed 17: the simulator panicked: ");
                assert!(text.starts_with(&begin) && text.contains(words), "{text}");
            }
        }
        for _ in 0..5 {
            assert!(exits(&runners.run(cleanup("after it"), options).unwrap()));
        }
        assert_eq!(runners.left_behind(), 0);
    }

    #[test]
    fn run_without_a_thread_for_a_body_is_an_error_with_its_name() {
        lay("catches every panic", || {
            loop {
                let _ =
                    std::panic::catch_unwind(|| wait::block(Pause::new(crate::stage::NEVER, None)));
            }
        });
        let killed = "title = \"Killed\"\n[worker]\ncomponents = [{ thread = \"catches every panic\" }]\n\
                      [timeline]\nevents = [{ at = \"10s\", signal = \"SIGKILL\" }]\n";
        let killed = scenario("killed", killed);
        let runners = Runners::new(2).unwrap();
        let seed = |seed| Run::new(Arc::clone(&killed), Options { seed, ..BATONS });
        for (nth, ran) in (0..).zip(runners.run_all((0..400).map(seed))) {
            let events = match ran {
                Ok(ran) => ran.journal.events,
                Err(error) => {
                    // There are two threads, each with at most a hundred bodies that it could not end.
                    assert!((100..=200).contains(&nth), "{nth}");
                    let said = format!(
                        "scenario \"killed\", seed {nth}, was not run: \"catches every panic\" could not be \
                         started: 100 bodies of this thread could not be ended, the last of them \"catches every \
                         panic\""
                    );
                    assert!(error.to_string().starts_with(&said), "{error}");
                    assert!(matches!(error, RunError::NotRun { .. }));
                    return;
                }
            };
            // Earlier runs show in no journal.
            assert_eq!(events.len(), 16, "{nth}");
            let last = events.last().map(|last| (last.t, last.what.clone()));
            let cause = Cause::Killed;
            assert_eq!(
                last,
                Some((10_000, What::Exit { code: 137, cause })),
                "{nth}"
            );
        }
        panic!("no run was refused");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn starved_body_gets_no_verdict() {
        let own = Duration::from_millis(30);
        lay("works hard", move || {
            let thread = Watched::default();
            thread.set_thread();
            let ran = || thread.usage().expect("Linux tells").ran;
            let began = ran();
            while ran() - began < own {}
        });
        let runners = Runners::new(2).unwrap();
        let over = AtomicBool::new(false);
        let took = std::thread::scope(|scope| {
            // Each CPU serves twelve other threads, so the body takes more than ten times as long.
            for _ in 0..12 * std::thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            let hard = cleanup("works hard");
            let began = Instant::now();
            let ran = runners.run(hard, Options::default());
            let took = began.elapsed();
            over.store(true, Ordering::Relaxed);
            assert!(ran.is_ok_and(|journal| exits(&journal)));
            took
        });
        assert_eq!(runners.left_behind(), 0);
        assert!(
            took > 3 * LOOK_INTERVAL + 2 * own,
            "it was not starved: {took:?}"
        );
    }

    #[test]
    fn stuck_run_is_reported_to_its_own_caller_only() {
        let _open = blocks("only one of many");
        let runners = Runners::new(2).unwrap();
        let stuck_runs = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for caller in 0..4 {
                let (runners, stuck_runs) = (&runners, &stuck_runs);
                scope.spawn(move || {
                    for n in 0..25 {
                        let name = match (caller, n) {
                            (2, 5) => "only one of many",
                            _ => "one of many",
                        };
                        let journal = runners.run(cleanup(name), Options::default()).unwrap();
                        assert_eq!(stuck(&journal).is_some(), name == "only one of many");
                        stuck_runs.fetch_add(stuck(&journal).iter().len(), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(stuck_runs.into_inner(), 1);
    }

    #[test]
    fn dropped_iterator_begins_no_more_runs() {
        static BEGAN: AtomicUsize = AtomicUsize::new(0);
        lay("counted", || BEGAN.fetch_add(1, Ordering::Relaxed));
        let counted = cleanup("counted");
        let taken = AtomicUsize::new(0);
        let runners = Runners::new(2).unwrap();
        let mut running = runners.run_all((0..10_000).map(|_| {
            taken.fetch_add(1, Ordering::Relaxed);
            run(&counted)
        }));
        assert!(running.next().is_some_and(|ran| ran.is_ok()));
        drop(running);
        assert_eq!(taken.load(Ordering::Relaxed), AHEAD_AT_FIRST);
        assert!(BEGAN.load(Ordering::Relaxed) <= MAX_AHEAD);
        // The queue is empty except for this run.
        assert!(runners.run(cleanup("wanted"), Options::default()).is_ok());
        assert!(
            lock(&runners.shared.queue)
                .waiting
                .values()
                .all(VecDeque::is_empty)
        );
    }
}
