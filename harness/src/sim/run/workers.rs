//! The machinery behind [`Runners`](crate::sim::Runners): the queue of jobs, the threads that take jobs from it, and
//! the guard.
//!
//! A worker here is one of these threads. The workers take jobs themselves, so that a run costs its caller next to
//! nothing. The guard has no thread of its own: every thread that waits for a result looks at all workers periodically.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::header::header;
use super::job::{MakeSchedule, Ran, Run, RunError, WorkerId};
use super::journal::{Aside, Journal};
use super::single::run_watched;
use crate::journal::{Event, StuckWhy, What};
use crate::lock::lock;
use crate::sim::body::bodies::{Bodies, MissingResource};
use crate::sim::guard::stall::Stall;
use crate::sim::guard::turn_watch::{LOOK_INTERVAL, Patience, TurnWatch};
use crate::sim::guard::watched::Watched;
use crate::sim::schedule::{Halt, Recorded, Recording, Schedule, Seeded};
use crate::sim::thread::start_thread;
use crate::words::{one_line, panic_message};

/// Default of the longest real time for which a user's code may keep its turn.
pub(in crate::sim) const PATIENCE: Duration = Duration::from_secs(5);
/// Default of the longest real time that a run of a user's own worker may take.
pub(in crate::sim) const TIME_LIMIT: Duration = Duration::from_secs(60);
/// Maximum number of threads left behind that are replaced.
const REPLACEMENTS: usize = 3;

#[derive(Debug)]
pub(in crate::sim) struct QueuedRun {
    pub run: Run,
    pub batch: Arc<Batch>,
    pub index: usize,
    /// Ordinal among all jobs that workers have taken, from 1; 0 until it is taken.
    pub number: u64,
}

impl QueuedRun {
    fn answer(self, result: Result<Ran, RunError>) {
        let mut results = lock(&self.batch.results);
        results.arrived.insert(self.index, result);
        if results.wanted == Some(self.index) {
            self.batch.ready.notify_one();
        }
    }

    /// Returns the journal of a run that keeps its thread for good: its events so far, and the verdict with the name
    /// of the component to blame.
    fn stuck(&self, why: StuckWhy, after: Duration, watched: &Watched) -> Journal {
        let stall = Stall::of(watched, why, after);
        let mut events = watched.observed().events();
        // If destructors block after the exit was recorded, the process has not ended.
        events.pop_if(|last| matches!(last.what, What::Exit { .. }));
        if events.is_empty() {
            let options = &self.run.options;
            let header = header(&self.run.scenario, options, self.run.own.is_some(), "sim");
            let header = header.into_iter().zip(0..);
            events.extend(header.map(|(what, seq)| Event { t: 0, seq, what }));
        }
        let t = events.last().map_or(0, |last| last.t).max(stall.at);
        events.push(Event {
            t,
            seq: events.len() as u64,
            what: What::Stuck {
                why,
                name: stall.name.clone(),
            },
        });
        Journal {
            events,
            aside: Box::new(Aside {
                stall: Some(stall),
                kept: watched.observed().long_turns(),
                panics: watched.observed().panics(),
                ..Aside::default()
            }),
            ..Journal::default()
        }
    }
}

#[derive(Debug, Default)]
pub(in crate::sim) struct Batch {
    results: Mutex<Results>,
    ready: Condvar,
}

#[derive(Debug, Default)]
struct Results {
    arrived: BTreeMap<usize, Result<Ran, RunError>>,
    /// Index of the result that the caller waits for.
    wanted: Option<usize>,
}

#[derive(Debug, Default)]
pub(in crate::sim) struct Shared {
    pub queue: Mutex<Queue>,
    pub work: Condvar,
    pub guard: Mutex<GuardState>,
}

#[derive(Debug, Default)]
pub(in crate::sim) struct Queue {
    /// Jobs by the worker that must not run them, each with its position among all jobs.
    pub waiting: BTreeMap<Option<WorkerId>, VecDeque<(u64, QueuedRun)>>,
    next_position: u64,
    taken_count: u64,
    pub closed: bool,
    given_up: Option<RunError>,
}

impl Queue {
    /// Takes the earliest job that this worker may run.
    fn take(&mut self, me: WorkerId) -> Option<QueuedRun> {
        let (_, jobs) = self
            .waiting
            .iter_mut()
            .filter(|(not_on, jobs)| **not_on != Some(me) && !jobs.is_empty())
            .min_by_key(|(_, jobs)| jobs.front().map(|(place, _)| *place))?;
        jobs.pop_front().map(|(_, job)| job)
    }
}

/// What the guard knows about the workers. The threads that wait for results share it.
#[derive(Debug, Default)]
pub(in crate::sim) struct GuardState {
    workers: Vec<Worker>,
    /// Number of workers started so far.
    ever: usize,
    pub left_behind: usize,
    began: Option<Instant>,
    looked: Option<Duration>,
    /// Longest real time for which a user's code may keep its turn; `None` for that of its file, or else [`PATIENCE`].
    pub patience: Option<Duration>,
    /// Longest real time that a run of a user's own worker may take; `None` for [`TIME_LIMIT`].
    pub time_limit: Option<Duration>,
}

#[derive(Debug)]
struct Worker {
    id: WorkerId,
    place: Arc<Place>,
    seen: TurnWatch,
    /// Number of the job that the guard saw it run last, and when the guard first saw that job.
    runs: Option<(u64, Duration)>,
}

/// The place where a worker puts the job that it runs. Whichever takes the job out, the worker or the guard, answers
/// it.
#[derive(Debug, Default)]
struct Place {
    job: Mutex<Option<QueuedRun>>,
    watched: Arc<Watched>,
}

impl Shared {
    pub fn add_worker(self: &Arc<Self>, guard: &mut GuardState) -> std::io::Result<()> {
        let id = WorkerId(guard.ever);
        let place = Arc::new(Place::default());
        let (shared, at) = (Arc::clone(self), Arc::clone(&place));
        start_thread(&format!("runner {}", id.0), move || shared.work(id, &at))?;
        guard.ever += 1;
        guard.workers.push(Worker {
            id,
            place,
            seen: TurnWatch::default(),
            runs: None,
        });
        Ok(())
    }

    /// Runs jobs on the calling thread until there are no more, or until the guard gives this worker up.
    fn work(&self, me: WorkerId, place: &Place) {
        place.watched.set_thread();
        while let Some(run) = self.take(me, place) {
            let ran = catch_unwind(AssertUnwindSafe(|| run_scheduled(&run, &place.watched)));
            let Some(job) = lock(&place.job).take() else {
                // The guard has given this worker up, and another thread has its place.
                return;
            };
            job.answer(match ran {
                Ok((Ok(journal), recording)) => Ok(Ran {
                    journal,
                    on: me,
                    kept_its_thread: false,
                    recording,
                }),
                Ok((Err(halt), _)) => Err(RunError::Halted {
                    scenario: run.scenario.name.clone(),
                    seed: run.options.seed,
                    halt,
                }),
                Err(payload) => Err(failed(&run, &*payload, &place.watched)),
            });
        }
    }

    /// Waits for a job, puts it into the worker's place and returns its run; `None` once the queue is closed.
    fn take(&self, me: WorkerId, place: &Place) -> Option<Run> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.closed {
                return None;
            }
            if let Some(mut job) = queue.take(me) {
                queue.taken_count += 1;
                job.number = queue.taken_count;
                drop(queue);
                let run = job.run.clone();
                place.watched.reset();
                *lock(&place.job) = Some(job);
                return Some(run);
            }
            queue = self
                .work
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub fn submit(&self, jobs: Vec<QueuedRun>) {
        if jobs.is_empty() {
            return;
        }
        let mut queue = lock(&self.queue);
        if let Some(error) = queue.given_up.clone() {
            drop(queue);
            jobs.into_iter()
                .for_each(|job| job.answer(Err(error.clone())));
            return;
        }
        for job in jobs {
            let place = queue.next_position;
            queue.next_position += 1;
            let not_on = job.run.not_on;
            queue
                .waiting
                .entry(not_on)
                .or_default()
                .push_back((place, job));
        }
        drop(queue);
        // Wakes all workers: a single one might be the worker that must not run the job.
        self.work.notify_all();
    }

    /// Waits for a result, and meanwhile looks at all workers periodically.
    pub fn wait_for(self: &Arc<Self>, batch: &Batch, index: usize) -> Result<Ran, RunError> {
        let mut results = lock(&batch.results);
        loop {
            if let Some(result) = results.arrived.remove(&index) {
                results.wanted = None;
                return result;
            }
            results.wanted = Some(index);
            let (woken, waited) = batch
                .ready
                .wait_timeout(results, LOOK_INTERVAL)
                .unwrap_or_else(PoisonError::into_inner);
            results = woken;
            if waited.timed_out() {
                drop(results);
                self.look();
                results = lock(&batch.results);
            }
        }
    }

    /// Looks at all workers, unless another thread is doing so or has just done so.
    #[allow(
        clippy::disallowed_methods,
        reason = "the guard of real time reads the real clock"
    )]
    fn look(self: &Arc<Self>) {
        let Ok(mut guard) = self.guard.try_lock() else {
            return;
        };
        let now = guard.began.get_or_insert_with(Instant::now).elapsed();
        if guard
            .looked
            .is_some_and(|looked| now - looked < LOOK_INTERVAL / 2)
        {
            return;
        }
        guard.looked = Some(now);
        let (patience, time_limit) = (guard.patience, guard.time_limit);
        for mut worker in std::mem::take(&mut guard.workers) {
            match worker.look(now, patience, time_limit) {
                None => guard.workers.push(worker),
                Some((job, why, after)) => {
                    self.leave_behind(&mut guard, &worker, job, (why, after));
                }
            }
        }
    }

    /// Leaves behind a worker that will not come back: answers its job with the verdict, and starts another worker in
    /// its place. If that is not possible, no further run begins.
    fn leave_behind(
        self: &Arc<Self>,
        guard: &mut GuardState,
        worker: &Worker,
        job: QueuedRun,
        (why, after): (StuckWhy, Duration),
    ) {
        let journal = job.stuck(why, after, &worker.place.watched);
        let last = journal.aside.stall.as_ref().map(|stall| stall.name.clone());
        let last = last.unwrap_or_else(|| "?".into());
        guard.left_behind += 1;
        if guard.left_behind > REPLACEMENTS || self.add_worker(guard).is_err() {
            self.give_up(RunError::GivenUp { last });
        }
        job.answer(Ok(Ran {
            journal,
            on: worker.id,
            kept_its_thread: true,
            recording: None,
        }));
    }

    /// Answers all queued and all further jobs with `error`: no run begins any more.
    fn give_up(&self, error: RunError) {
        let waiting = {
            let mut queue = lock(&self.queue);
            queue.given_up = Some(error.clone());
            std::mem::take(&mut queue.waiting)
        };
        for (_, job) in waiting.into_values().flatten() {
            job.answer(Err(error.clone()));
        }
    }
}

/// Executes a run by its schedule, or else by its seed, and returns what was recorded, if that was asked for.
fn run_scheduled(run: &Run, watched: &Arc<Watched>) -> (Result<Journal, Halt>, Option<Recording>) {
    let seed = run.options.seed;
    let schedule: Box<dyn Schedule> = match &run.schedule {
        Some(MakeSchedule(make)) => make(),
        None => Box::new(Seeded::new(seed)),
    };
    let execute = |schedule: Box<dyn Schedule>| {
        let own = run.own.as_ref();
        run_watched(&run.scenario, &run.options, own, Some(watched), schedule)
    };
    if !run.is_recorded {
        return (execute(schedule), None);
    }
    let recorded = Arc::new(Mutex::new(Recorded::new(schedule)));
    let journal = execute(Box::new(Arc::clone(&recorded)));
    let recording = lock(&recorded).recording().clone();
    (journal, Some(recording))
}

/// Returns the reason why a run has no journal, from the panic that ended it.
fn failed(run: &Run, payload: &(dyn Any + Send), watched: &Watched) -> RunError {
    let (scenario, seed) = (run.scenario.name.clone(), run.options.seed);
    match payload.downcast_ref::<MissingResource>() {
        Some(MissingResource(why)) => RunError::NotRun {
            scenario,
            seed,
            why: one_line(why),
        },
        None => {
            // Where the kit records panics, none is printed, so the message names the place.
            let noted = watched.observed().panics();
            let at = noted
                .last()
                .map(|panicked| format!(" at {}", panicked.place));
            let words = panic_message(payload);
            RunError::Fault {
                scenario,
                seed,
                message: one_line(&format!("{words}{}", at.unwrap_or_default())),
            }
        }
    }
}

impl Worker {
    /// Looks at the worker once. If it will not come back, takes its job away and returns it, with the verdict and the
    /// limit that was exceeded.
    fn look(
        &mut self,
        now: Duration,
        patience: Option<Duration>,
        time_limit: Option<Duration>,
    ) -> Option<(QueuedRun, StuckWhy, Duration)> {
        let mut place = lock(&self.place.job);
        let Some(job) = place.as_ref() else {
            self.seen.reset();
            self.runs = None;
            return None;
        };
        let watched = &self.place.watched;
        let patience_limit = patience.or(job.run.scenario.patience).unwrap_or(PATIENCE);
        let patience = match job.run.options.bodies {
            Bodies::Coroutines => Patience::SCRIPTED,
            Bodies::Batons => Patience::of(patience_limit),
        };
        // The time at which the guard first saw the worker run this job.
        let began = match self.runs {
            Some((run, began)) if run == job.number => began,
            _ => self.runs.insert((job.number, now)).1,
        };
        // A long patience, as for a breakpoint, lengthens the limit of the whole run too.
        let limit = time_limit.unwrap_or(TIME_LIMIT).max(patience_limit * 2);
        let overtime = job.run.own.is_some() && now.saturating_sub(began) >= limit;
        let (why, after) = if overtime {
            // On a busy machine a turn may use up the run's time before it uses up the patience.
            let why = self.seen.why_overtime(now, watched.turn(), patience_limit);
            (why.unwrap_or(StuckWhy::Overtime), limit)
        } else if watched.is_passing_on() {
            self.seen.reset();
            return None;
        } else {
            let (turn, usage) = (watched.turn(), watched.usage());
            (self.seen.look(now, turn, usage, patience)?, patience_limit)
        };
        place.take().map(|job| (job, why, after))
    }
}

// Only on Linux does the guard know what a thread does.
#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::sim::{Options, Own};
    use deadstop::context::{MainError, WorkerCtx};

    const MS: Duration = Duration::from_millis(1);

    /// Returns why a run of a user's own worker is given up whose limit is two seconds, when it is looked at every 50
    /// ms. The thread hardly runs. `turn_ends` makes it end its turn before each look.
    fn given_up(turn_ends: bool) -> Option<(StuckWhy, Duration)> {
        let text =
            "title = \"One\"\n[timeline]\nevents = [{ at = \"1s\", signal = \"SIGTERM\" }]\n";
        let scenario = crate::scenario::parse("one", text).expect("a valid file");
        let options = Options {
            bodies: Bodies::Batons,
            ..Options::default()
        };
        let own = Own::new(|_: WorkerCtx| async { Ok::<_, MainError>(()) });
        let watched = Arc::new(Watched::default());
        watched.set_thread();
        watched.reset();
        let job = QueuedRun {
            run: Run::new(Arc::new(scenario), options).of(own),
            batch: Arc::default(),
            index: 0,
            number: 1,
        };
        let mut worker = Worker {
            id: WorkerId(0),
            place: Arc::new(Place {
                job: Mutex::new(Some(job)),
                watched: Arc::clone(&watched),
            }),
            seen: TurnWatch::default(),
            runs: None,
        };
        (0..100).find_map(|n| {
            if turn_ends {
                watched.end_turn();
            }
            let given_up = worker.look(n * 50 * MS, Some(1_000 * MS), Some(2_000 * MS));
            given_up.map(|(_, why, after)| (why, after))
        })
    }

    #[test]
    fn run_over_its_limit_in_one_turn_is_given_up_for_that_turn() {
        let limit = 2_000 * MS;
        assert_eq!(given_up(true), Some((StuckWhy::Overtime, limit)));
        assert_eq!(given_up(false), Some((StuckWhy::Spinning, limit)));
    }
}
