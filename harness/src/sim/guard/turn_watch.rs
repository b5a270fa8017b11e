//! The guard: detects from outside, in real time, that a run will never end.
//!
//! Virtual time bounds everything that waits in virtual time. A body that blocks its thread for real, or that
//! computes for ever, never gives its turn back, and nothing inside the world can see that. So another thread looks
//! at the number of the thread's turn, through [`Watched`](super::watched::Watched). If the number stands still, a
//! wall clock is not enough: a starved thread makes no progress either. The kernel is asked how long the thread ran,
//! how long it waited for a CPU, and whether it sleeps now.

use std::time::Duration;

use super::usage::{State, Usage};
use crate::journal::StuckWhy;

/// Interval at which the guard looks.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// Shortest wall-clock patience with one turn, if the kernel reports nothing of the thread, or a wait for a disk.
const MIN_WALL_PATIENCE: Duration = Duration::from_secs(10);
/// Longest time between two looks of one measurement. A guard that comes later was stopped itself, and its
/// measurement is worth nothing.
const MAX_LOOK_GAP: Duration = Duration::from_secs(1);

/// Limits on the real time of one turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Number of looks in a row that find the thread asleep, without having run in between, before it is *blocked*.
    sleeping_looks: u32,
    /// Total sleep in one turn before it is *blocked*, in naps between which the thread does run.
    sleep_limit: Duration,
    /// CPU time in one turn before it is *spinning*.
    cpu_limit: Duration,
}

impl Patience {
    /// Patience with scripted components, which have no reason to sleep or to compute.
    pub const SCRIPTED: Patience = Patience {
        sleeping_looks: 3,
        sleep_limit: Duration::from_secs(2),
        cpu_limit: Duration::from_millis(500),
    };

    /// Returns the patience with a user's code, which may well write to a disk, or compute for a while.
    pub const fn of(limit: Duration) -> Self {
        Patience {
            sleeping_looks: u32::MAX,
            sleep_limit: limit,
            cpu_limit: limit,
        }
    }

    /// Returns the longest patience, for a turn in which the kernel does not show what is at fault.
    fn wall(&self) -> Duration {
        self.sleep_limit.max(MIN_WALL_PATIENCE)
    }
}

/// What the guard has seen of one thread during one turn.
#[derive(Debug, Default)]
pub(crate) struct TurnWatch {
    first: Option<Look>,
    last: Option<Look>,
    asleep: u32,
}

#[derive(Clone, Copy, Debug)]
struct Look {
    turn: u64,
    at: Duration,
    usage: Option<Usage>,
}

impl TurnWatch {
    /// Forgets what was seen, since the thread has nothing to do.
    pub fn reset(&mut self) {
        *self = TurnWatch::default();
    }

    /// Records a look at the thread at an instant of real time, and returns why the thread will not give its turn
    /// back, if it will not.
    pub fn look(
        &mut self,
        at: Duration,
        turn: u64,
        usage: Option<Usage>,
        patience: Patience,
    ) -> Option<StuckWhy> {
        let look = Look { turn, at, usage };
        let (Some(first), Some(last)) = (self.first, self.last) else {
            return self.begin(look);
        };
        if first.turn != turn || at.saturating_sub(last.at) > MAX_LOOK_GAP {
            return self.begin(look);
        }
        self.last = Some(look);
        let wall = at.saturating_sub(first.at);
        let (Some(usage), Some(from), Some(before)) = (usage, first.usage, last.usage) else {
            return (wall >= patience.wall()).then_some(StuckWhy::Blocked);
        };
        let ran = usage.ran.saturating_sub(from.ran);
        if ran >= patience.cpu_limit {
            return Some(StuckWhy::Spinning);
        }
        // The kernel adds up the wait for a CPU only when the thread gets one. So while the thread is runnable, it is
        // not known how long it slept.
        if usage.state == State::Runs {
            self.asleep = 0;
            return None;
        }
        if usage.state == State::Sleeps && usage.ran == before.ran {
            self.asleep += 1;
        } else {
            self.asleep = 0;
        }
        let slept = wall.saturating_sub(ran + usage.starved.saturating_sub(from.starved));
        let sleep_limit = match usage.state {
            State::Sleeps => patience.sleep_limit,
            State::Runs | State::Waits => patience.wall(),
        };
        (self.asleep >= patience.sleeping_looks || slept >= sleep_limit)
            .then_some(StuckWhy::Blocked)
    }

    /// Returns why the turn does not end, for a run that takes too long as a whole. Returns `None` if the turn has
    /// lasted for less than `least`.
    pub fn why_overtime(&self, at: Duration, turn: u64, least: Duration) -> Option<StuckWhy> {
        let (first, last) = (self.first?, self.last?);
        if first.turn != turn || at.saturating_sub(first.at) < least {
            return None;
        }
        match last.usage {
            Some(usage) if usage.state == State::Runs => Some(StuckWhy::Spinning),
            _ => Some(StuckWhy::Blocked),
        }
    }

    fn begin(&mut self, look: Look) -> Option<StuckWhy> {
        *self = TurnWatch {
            first: Some(look),
            last: Some(look),
            asleep: 0,
        };
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::guard::thread_id::KernelThreadId;
    use crate::sim::guard::watched::Watched;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn usage(state: State, ran_ms: u64, starved_ms: u64) -> Option<Usage> {
        Some(Usage {
            state,
            ran: ms(ran_ms),
            starved: ms(starved_ms),
        })
    }

    /// Returns a turn and usage with the thread asleep. Since the begin it ran for 2 µs of each ms, and starved for
    /// `starved_us`.
    fn ran_a_little(at: u64, starved_us: u64) -> (u64, Option<Usage>) {
        let usage = Usage {
            state: State::Sleeps,
            ran: Duration::from_micros(2 * at),
            starved: Duration::from_micros(starved_us * at),
        };
        (7, Some(usage))
    }

    /// Looks every 50 ms, and returns when the verdict came, and which.
    fn verdict(looks: u64, at: impl FnMut(u64) -> (u64, Option<Usage>)) -> Option<(u64, StuckWhy)> {
        verdict_of(Patience::SCRIPTED, looks, at)
    }

    fn verdict_of(
        patience: Patience,
        looks: u64,
        mut at: impl FnMut(u64) -> (u64, Option<Usage>),
    ) -> Option<(u64, StuckWhy)> {
        let mut seen = TurnWatch::default();
        (0..looks).find_map(|n| {
            let (turn, usage) = at(50 * n);
            let why = seen.look(ms(50 * n), turn, usage, patience);
            why.map(|why| (50 * n, why))
        })
    }

    #[test]
    fn users_code_may_sleep_and_compute_up_to_its_patience() {
        let sleeps = |_| (7, usage(State::Sleeps, 3, 1));
        let spins = |at| (7, usage(State::Runs, at, 0));
        let disk = |_| (7, usage(State::Waits, 3, 1));
        for (limit, by_the_wall) in [(1_000, 10_000), (5_000, 10_000), (20_000, 20_000)] {
            let verdict = |at: fn(u64) -> _| verdict_of(Patience::of(ms(limit)), 1_000, at);
            assert_eq!(verdict(sleeps), Some((limit, StuckWhy::Blocked)));
            assert_eq!(verdict(spins), Some((limit, StuckWhy::Spinning)));
            for at in [disk, |_| (7, None)] {
                assert_eq!(verdict(at), Some((by_the_wall, StuckWhy::Blocked)));
            }
        }
    }

    #[test]
    fn asleep_in_three_looks_after_the_first_is_blocked() {
        let sleeps = |_| (7, usage(State::Sleeps, 3, 1));
        assert_eq!(verdict(100, sleeps), Some((150, StuckWhy::Blocked)));
        assert_eq!(verdict(3, sleeps), None);
    }

    #[test]
    fn half_a_second_of_cpu_in_one_turn_is_spinning() {
        let alone = |at| (7, usage(State::Runs, at, 0));
        assert_eq!(verdict(100, alone), Some((500, StuckWhy::Spinning)));
        // With a tenth of a CPU, the same CPU time takes ten times as long.
        let crowded = |at| (7, usage(State::Runs, at / 10, at * 9 / 10));
        assert_eq!(verdict(200, crowded), Some((5_000, StuckWhy::Spinning)));
    }

    #[test]
    fn starved_thread_is_neither_blocked_nor_spinning() {
        assert_eq!(verdict(10_000, |_| (7, usage(State::Runs, 3, 0))), None);
        // A thread that mostly waited for a CPU, and only happens to sleep at each look, is neither.
        assert_eq!(verdict(1_000, |at| ran_a_little(at, 998)), None);
    }

    #[test]
    fn naps_in_one_turn_are_blocked_when_they_come_to_two_seconds() {
        // At 2,000 ms it had slept for 1,996 ms.
        let naps = verdict(1_000, |at| ran_a_little(at, 0));
        assert_eq!(naps, Some((2_050, StuckWhy::Blocked)));
        // For half of the time it starved: 2 s of sleep are reached at 4,016 ms.
        let crowded = verdict(1_000, |at| ran_a_little(at, 500));
        assert_eq!(crowded, Some((4_050, StuckWhy::Blocked)));
    }

    #[test]
    fn overtime_is_blamed_on_a_turn_that_used_up_the_patience() {
        let mut seen = TurnWatch::default();
        for n in 0..=20 {
            let starves = usage(State::Runs, 2 * n, 48 * n);
            assert_eq!(seen.look(ms(50 * n), 7, starves, Patience::SCRIPTED), None);
        }
        let why_overtime = |turn, least| seen.why_overtime(ms(1_000), turn, ms(least));
        assert_eq!(why_overtime(7, 1_000), Some(StuckWhy::Spinning));
        assert_eq!(why_overtime(7, 1_001), None);
        assert_eq!(why_overtime(8, 1_000), None);
        assert_eq!(TurnWatch::default().why_overtime(ms(1_000), 7, ms(0)), None);
        seen.look(
            ms(1_050),
            7,
            usage(State::Sleeps, 42, 1_000),
            Patience::SCRIPTED,
        );
        let sleeps = seen.why_overtime(ms(1_050), 7, ms(1_000));
        assert_eq!(sleeps, Some(StuckWhy::Blocked));
    }

    #[test]
    fn new_turn_restarts_the_measurement() {
        let turns = |at| (at / 150, usage(State::Sleeps, 3, 0));
        assert_eq!(verdict(1_000, turns), None);
    }

    #[test]
    fn turn_without_kernel_data_is_blocked_after_ten_seconds() {
        assert_eq!(
            verdict(1_000, |_| (7, None)),
            Some((10_000, StuckWhy::Blocked))
        );
        // A disk may be slow, and a debugger may have stopped the thread.
        assert_eq!(
            verdict(1_000, |_| (7, usage(State::Waits, 0, 0))),
            Some((10_000, StuckWhy::Blocked))
        );
    }

    #[test]
    fn guard_that_was_stopped_restarts_its_measurement() {
        let mut seen = TurnWatch::default();
        let asleep = usage(State::Sleeps, 3, 0);
        for at in [0, 50, 100, 5_000, 5_050, 5_100] {
            assert_eq!(
                seen.look(ms(at), 7, asleep, Patience::SCRIPTED),
                None,
                "at {at}"
            );
        }
        assert_eq!(
            seen.look(ms(5_150), 7, asleep, Patience::SCRIPTED),
            Some(StuckWhy::Blocked)
        );
    }

    #[test]
    fn kernel_lines_parse_with_any_thread_name() {
        let read = Usage::parse("42 (a) R (b) S 1 42 0", "1500000 20000000 9\n");
        assert_eq!(
            read,
            Some(Usage {
                state: State::Sleeps,
                ran: Duration::from_micros(1_500),
                starved: ms(20),
            })
        );
        assert_eq!(Usage::parse("", ""), None);
        assert_eq!(Usage::parse("42 (a) R 1", "1500000"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn thread_that_looks_at_itself_is_running() {
        let watched = Watched::default();
        assert_eq!(watched.usage(), None);
        watched.set_thread();
        let usage = watched.usage().expect("Linux tells");
        assert_eq!(usage.state, State::Runs);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn lent_turn_is_measured_on_the_thread_that_has_it() {
        let watched = Watched::default();
        watched.set_thread();
        let (turn, own) = (watched.turn(), KernelThreadId::current_if(true));
        watched.continue_on(KernelThreadId::UNKNOWN);
        assert!(watched.is_passing_on());
        #[allow(clippy::disallowed_methods, reason = "it looks at its creator")]
        let looked = std::thread::spawn(move || {
            watched.continue_on(KernelThreadId::current_if(true));
            assert!(!watched.is_passing_on());
            let runs = watched.usage().map(|usage| usage.state);
            // Its creator sleeps until it ends.
            watched.continue_on(own);
            while watched
                .usage()
                .is_none_or(|usage| usage.state != State::Sleeps)
            {}
            watched.continue_on(KernelThreadId::UNAVAILABLE);
            (runs, watched.usage(), watched.turn())
        });
        let looked = looked.join().expect("it looks");
        assert_eq!(looked, (Some(State::Runs), None, turn + 4));
    }
}
