//! Behind the runners: the queue, the threads that take runs from it, and who watches them.
//!
//! The workers take runs themselves, so that a run costs its caller next to nothing. There is no thread
//! that guards: who waits for a result looks at all workers from time to time.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::bodies::{Bodies, Lacking};
use super::guard::{PERIOD, Patience, Seen, Watched};
use super::runners::{Ran, Run, RunError, WorkerId};
use super::{Journal, header, run_watched};
use crate::journal::{Event, Name, StuckWhy, What};
use crate::words::{one_line, panic_message};

/// How long a user's code may keep its turn, where nothing else is said.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How many threads that were left behind are replaced.
const REPLACEMENTS: usize = 3;

#[derive(Debug)]
pub(super) struct Job {
    pub run: Run,
    pub batch: Arc<Batch>,
    pub index: usize,
}

impl Job {
    fn answer(self, result: Result<Ran, RunError>) {
        let mut results = lock(&self.batch.results);
        results.there.insert(self.index, result);
        if results.wanted == Some(self.index) {
            self.batch.ready.notify_one();
        }
    }

    /// The journal of a run that keeps its thread for good.
    fn stuck(&self, why: StuckWhy, watched: &Watched) -> (Journal, Name) {
        let (t, name) = watched.culprit();
        let stuck = What::Stuck {
            why,
            name: name.clone(),
        };
        let events = header(
            &self.run.scenario,
            &self.run.options,
            self.run.own.is_some(),
            "sim",
        )
        .map(|what| (0, what))
        .into_iter()
        .chain([(t, stuck)])
        .zip(0..)
        .map(|((t, what), seq)| Event { t, seq, what })
        .collect();
        let journal = Journal {
            events,
            ..Journal::default()
        };
        (journal, name)
    }
}

#[derive(Debug, Default)]
pub(super) struct Batch {
    results: Mutex<Results>,
    ready: Condvar,
}

#[derive(Debug, Default)]
struct Results {
    there: BTreeMap<usize, Result<Ran, RunError>>,
    /// Which result its caller waits for.
    wanted: Option<usize>,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub queue: Mutex<Queue>,
    pub work: Condvar,
    pub guard: Mutex<Guard>,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    /// What is to be run, by the thread that must not; each with its place among all.
    pub waiting: BTreeMap<Option<WorkerId>, VecDeque<(u64, Job)>>,
    places: u64,
    pub closed: bool,
    given_up: Option<RunError>,
}

impl Queue {
    /// Takes the first job that this worker may run.
    fn take(&mut self, me: WorkerId) -> Option<Job> {
        let (_, jobs) = self
            .waiting
            .iter_mut()
            .filter(|(not_on, jobs)| **not_on != Some(me) && !jobs.is_empty())
            .min_by_key(|(_, jobs)| jobs.front().map(|(place, _)| *place))?;
        jobs.pop_front().map(|(_, job)| job)
    }
}

/// What whoever waits knows of the workers.
#[derive(Debug, Default)]
pub(super) struct Guard {
    workers: Vec<Worker>,
    /// How many there ever were.
    ever: usize,
    pub left_behind: usize,
    began: Option<Instant>,
    looked: Option<Duration>,
    /// How long a user's code may keep its turn; else as is said of [`Runners`](super::Runners).
    pub patience: Option<Duration>,
}

#[derive(Debug)]
struct Worker {
    id: WorkerId,
    place: Arc<Place>,
    seen: Seen,
}

/// Where a worker puts what it runs. Who takes the job from here answers it: the worker, or the guard.
#[derive(Debug, Default)]
struct Place {
    job: Mutex<Option<Job>>,
    watched: Arc<Watched>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    #[allow(
        clippy::disallowed_methods,
        reason = "the runners are where the simulator's threads are started"
    )]
    pub fn add_worker(self: &Arc<Self>, guard: &mut Guard) -> std::io::Result<()> {
        let id = WorkerId(guard.ever);
        let place = Arc::new(Place::default());
        let (shared, at) = (Arc::clone(self), Arc::clone(&place));
        std::thread::Builder::new()
            .name(format!("runner {}", id.0))
            .spawn(move || shared.work(id, &at))?;
        guard.ever += 1;
        guard.workers.push(Worker {
            id,
            place,
            seen: Seen::default(),
        });
        Ok(())
    }

    /// What a worker does.
    fn work(&self, me: WorkerId, place: &Place) {
        place.watched.is_this_thread();
        while let Some(run) = self.take(me, place) {
            let ran = catch_unwind(AssertUnwindSafe(|| {
                run_watched(
                    &run.scenario,
                    &run.options,
                    run.own.as_ref(),
                    Some(&place.watched),
                )
            }));
            let Some(job) = lock(&place.job).take() else {
                // Given up meanwhile: another thread has this one's place.
                return;
            };
            job.answer(match ran {
                Ok(journal) => Ok(Ran {
                    journal,
                    on: me,
                    kept_its_thread: false,
                }),
                Err(payload) => Err(failed(&run, &*payload)),
            });
        }
    }

    /// Waits for something to run, and puts it in its place; `None` when there will be nothing more.
    fn take(&self, me: WorkerId, place: &Place) -> Option<Run> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.closed {
                return None;
            }
            if let Some(job) = queue.take(me) {
                drop(queue);
                let run = job.run.clone();
                place.watched.begins();
                *lock(&place.job) = Some(job);
                return Some(run);
            }
            queue = self
                .work
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub fn submit(&self, jobs: Vec<Job>) {
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
            let place = queue.places;
            queue.places += 1;
            let not_on = job.run.not_on;
            queue
                .waiting
                .entry(not_on)
                .or_default()
                .push_back((place, job));
        }
        drop(queue);
        // All of them: who wakes may not be who may run it.
        self.work.notify_all();
    }

    /// Waits for a result, and meanwhile looks at all workers.
    pub fn wait_for(self: &Arc<Self>, batch: &Batch, index: usize) -> Result<Ran, RunError> {
        let mut results = lock(&batch.results);
        loop {
            if let Some(result) = results.there.remove(&index) {
                results.wanted = None;
                return result;
            }
            results.wanted = Some(index);
            let (woken, waited) = batch
                .ready
                .wait_timeout(results, PERIOD)
                .unwrap_or_else(PoisonError::into_inner);
            results = woken;
            if waited.timed_out() {
                drop(results);
                self.look();
                results = lock(&batch.results);
            }
        }
    }

    /// Looks at all workers, unless somebody else has just done so.
    #[allow(
        clippy::disallowed_methods,
        reason = "the guard of real time reads the real clock"
    )]
    fn look(self: &Arc<Self>) {
        let Ok(mut guard) = self.guard.try_lock() else {
            return;
        };
        let now = guard.began.get_or_insert_with(Instant::now).elapsed();
        if guard.looked.is_some_and(|looked| now - looked < PERIOD / 2) {
            return;
        }
        guard.looked = Some(now);
        let limit = guard.patience.unwrap_or(PATIENCE);
        for mut worker in std::mem::take(&mut guard.workers) {
            match worker.look(now, limit) {
                None => guard.workers.push(worker),
                Some((job, why)) => self.leave_behind(&mut guard, &worker, job, why),
            }
        }
    }

    /// A worker will not come back: its run has its verdict, and another takes its place.
    fn leave_behind(self: &Arc<Self>, guard: &mut Guard, worker: &Worker, job: Job, why: StuckWhy) {
        let (journal, last) = job.stuck(why, &worker.place.watched);
        guard.left_behind += 1;
        if guard.left_behind > REPLACEMENTS || self.add_worker(guard).is_err() {
            self.give_up(RunError::GivenUp { last });
        }
        job.answer(Ok(Ran {
            journal,
            on: worker.id,
            kept_its_thread: true,
        }));
    }

    /// From here on nothing begins.
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

/// Returns why a run has no journal, from the panic that ended it.
fn failed(run: &Run, payload: &(dyn Any + Send)) -> RunError {
    let (scenario, seed) = (run.scenario.name.clone(), run.options.seed);
    match payload.downcast_ref::<Lacking>() {
        Some(Lacking(why)) => RunError::NotRun {
            scenario,
            seed,
            why: one_line(why),
        },
        None => RunError::Fault {
            scenario,
            seed,
            message: one_line(&panic_message(payload)),
        },
    }
}

impl Worker {
    /// Takes its run away from a worker that will not come back.
    fn look(&mut self, now: Duration, limit: Duration) -> Option<(Job, StuckWhy)> {
        let mut job = lock(&self.place.job);
        let Some(bodies) = job.as_ref().map(|job| job.run.options.bodies) else {
            self.seen.idle();
            return None;
        };
        let patience = match bodies {
            Bodies::Coroutines => Patience::SCRIPTED,
            Bodies::Batons => Patience::of(limit),
        };
        let watched = &self.place.watched;
        if watched.is_passing_on() {
            self.seen.idle();
            return None;
        }
        let (turn, usage) = (watched.turn(), watched.usage());
        let why = self.seen.look(now, turn, usage, patience)?;
        job.take().map(|job| (job, why))
    }
}
