//! The guard: tells from outside, in real time, that a run will never end.
//!
//! Virtual time bounds whatever waits in virtual time. A body that blocks its thread for real, or that
//! computes for ever, never gives its turn back, and nothing inside the world can see that. So the
//! thread's number of turns is looked at from another thread. Where it stands still, a wall clock would
//! not do: a starved thread makes no progress either. The kernel is asked how long the thread ran, how
//! long it waited for a CPU, and whether it sleeps now.

use std::time::Duration;

use super::watched::ThreadId;
use crate::journal::StuckWhy;

/// How often the guard looks.
pub(crate) const PERIOD: Duration = Duration::from_millis(50);
/// Where the kernel tells nothing, or that the thread waits for a disk: one turn by the wall clock.
const WALL: Duration = Duration::from_secs(10);
/// A guard that comes later than this was stopped itself, and its measure is worth nothing.
const LATE: Duration = Duration::from_secs(1);

/// How much one turn may take of real time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Looks in a row that find the thread asleep, without having run in between, before it is *blocked*.
    looks: u32,
    /// Sleep in one turn, in naps between which the thread does run, before it is *blocked*.
    naps: Duration,
    /// CPU in one turn before it is *spinning*.
    spin: Duration,
}

impl Patience {
    /// With scripted components, which have no business to sleep or to compute.
    pub const SCRIPTED: Patience = Patience {
        looks: 3,
        naps: Duration::from_secs(2),
        spin: Duration::from_millis(500),
    };

    /// With a user's code, which may well write to a disk, or compute for a while.
    pub const fn of(limit: Duration) -> Self {
        Patience {
            looks: u32::MAX,
            naps: limit,
            spin: limit,
        }
    }

    /// The longest, where the kernel does not tell who is at fault.
    fn wall(&self) -> Duration {
        self.naps.max(WALL)
    }
}

/// What a thread does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It runs, or would if it had a CPU.
    Runs,
    /// It sleeps until somebody wakes it.
    Sleeps,
    /// It waits for a disk or for memory, or is stopped: that may be the machine's doing.
    Waits,
}

/// What a thread does, and has done since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub state: State,
    /// How long it ran.
    pub ran: Duration,
    /// How long it would have run but had no CPU.
    pub starved: Duration,
}

impl Usage {
    pub fn of(thread: ThreadId) -> Option<Self> {
        let thread = thread.known()?;
        let read = |file| std::fs::read_to_string(format!("/proc/self/task/{thread}/{file}")).ok();
        Usage::parse(&read("stat")?, &read("schedstat")?)
    }

    /// How long a thread has waited for a CPU so far; nothing where the system does not say.
    pub fn starved_so_far(thread: ThreadId) -> Duration {
        Usage::of(thread).map_or(Duration::ZERO, |usage| usage.starved)
    }

    fn parse(stat: &str, schedstat: &str) -> Option<Self> {
        // The thread's own name stands in brackets before the state, and may hold anything.
        let state = match stat.rsplit_once(')')?.1.trim_start().chars().next()? {
            'R' => State::Runs,
            'S' => State::Sleeps,
            _ => State::Waits,
        };
        let mut times = schedstat.split_ascii_whitespace();
        let mut time = || Some(Duration::from_nanos(times.next()?.parse().ok()?));
        Some(Usage {
            state,
            ran: time()?,
            starved: time()?,
        })
    }
}

/// What the guard has seen of one thread while it had one and the same turn.
#[derive(Debug, Default)]
pub(crate) struct Seen {
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

impl Seen {
    /// The thread has nothing to do.
    pub fn idle(&mut self) {
        *self = Seen::default();
    }

    /// Looks at the thread at an instant of real time; says so when it will not give its turn back.
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
        if first.turn != turn || at.saturating_sub(last.at) > LATE {
            return self.begin(look);
        }
        self.last = Some(look);
        let wall = at.saturating_sub(first.at);
        let (Some(usage), Some(from), Some(before)) = (usage, first.usage, last.usage) else {
            return (wall >= patience.wall()).then_some(StuckWhy::Blocked);
        };
        let ran = usage.ran.saturating_sub(from.ran);
        if ran >= patience.spin {
            return Some(StuckWhy::Spinning);
        }
        // What it waits for a CPU is added up only when it gets one: while it runs, or would, it is not
        // known how long it slept.
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
        let naps = match usage.state {
            State::Sleeps => patience.naps,
            State::Runs | State::Waits => patience.wall(),
        };
        (self.asleep >= patience.looks || slept >= naps).then_some(StuckWhy::Blocked)
    }

    /// Returns why the turn does not end, of a run that takes too long in all: where it has lasted for that long at least.
    pub fn lasts(&self, at: Duration, turn: u64, least: Duration) -> Option<StuckWhy> {
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
        *self = Seen {
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
    use crate::sim::watched::Watched;

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

    /// Asleep at each look; in between it ran for 2 µs of each ms, and starved for so many.
    fn ran_a_little(at: u64, starved_us: u64) -> (u64, Option<Usage>) {
        let usage = Usage {
            state: State::Sleeps,
            ran: Duration::from_micros(2 * at),
            starved: Duration::from_micros(starved_us * at),
        };
        (7, Some(usage))
    }

    /// Looks every 50 ms; when the verdict came, and which.
    fn verdict(looks: u64, at: impl FnMut(u64) -> (u64, Option<Usage>)) -> Option<(u64, StuckWhy)> {
        verdict_of(Patience::SCRIPTED, looks, at)
    }

    fn verdict_of(
        patience: Patience,
        looks: u64,
        mut at: impl FnMut(u64) -> (u64, Option<Usage>),
    ) -> Option<(u64, StuckWhy)> {
        let mut seen = Seen::default();
        (0..looks).find_map(|n| {
            let (turn, usage) = at(50 * n);
            let why = seen.look(ms(50 * n), turn, usage, patience);
            why.map(|why| (50 * n, why))
        })
    }

    #[test]
    fn a_users_code_may_sleep_and_compute_for_as_long_as_was_said() {
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
        // With a tenth of a CPU it takes ten times as long.
        let crowded = |at| (7, usage(State::Runs, at / 10, at * 9 / 10));
        assert_eq!(verdict(200, crowded), Some((5_000, StuckWhy::Spinning)));
    }

    #[test]
    fn a_starved_thread_is_neither() {
        assert_eq!(verdict(10_000, |_| (7, usage(State::Runs, 3, 0))), None);
        // Nor is one that mostly waited for a CPU, and only happens to sleep at each look.
        assert_eq!(verdict(1_000, |at| ran_a_little(at, 998)), None);
    }

    #[test]
    fn naps_in_one_turn_are_blocked_when_they_come_to_two_seconds() {
        // At 2,000 ms it had slept 1,996.
        let naps = verdict(1_000, |at| ran_a_little(at, 0));
        assert_eq!(naps, Some((2_050, StuckWhy::Blocked)));
        // Half of the rest was no sleep: 2 s are reached at 4,016 ms.
        let crowded = verdict(1_000, |at| ran_a_little(at, 500));
        assert_eq!(crowded, Some((4_050, StuckWhy::Blocked)));
    }

    #[test]
    fn turn_that_lasted_for_the_patience_is_why_a_run_takes_too_long() {
        let mut seen = Seen::default();
        for n in 0..=20 {
            let starves = usage(State::Runs, 2 * n, 48 * n);
            assert_eq!(seen.look(ms(50 * n), 7, starves, Patience::SCRIPTED), None);
        }
        let lasts = |turn, least| seen.lasts(ms(1_000), turn, ms(least));
        assert_eq!(lasts(7, 1_000), Some(StuckWhy::Spinning));
        assert_eq!(lasts(7, 1_001), None);
        assert_eq!(lasts(8, 1_000), None);
        assert_eq!(Seen::default().lasts(ms(1_000), 7, ms(0)), None);
        seen.look(
            ms(1_050),
            7,
            usage(State::Sleeps, 42, 1_000),
            Patience::SCRIPTED,
        );
        let sleeps = seen.lasts(ms(1_050), 7, ms(1_000));
        assert_eq!(sleeps, Some(StuckWhy::Blocked));
    }

    #[test]
    fn another_turn_begins_anew() {
        let turns = |at| (at / 150, usage(State::Sleeps, 3, 0));
        assert_eq!(verdict(1_000, turns), None);
    }

    #[test]
    fn without_the_kernels_word_only_long_patience_is_blocked() {
        assert_eq!(
            verdict(1_000, |_| (7, None)),
            Some((10_000, StuckWhy::Blocked))
        );
        // A disk may be slow, and a debugger may have stopped it.
        assert_eq!(
            verdict(1_000, |_| (7, usage(State::Waits, 0, 0))),
            Some((10_000, StuckWhy::Blocked))
        );
    }

    #[test]
    fn a_guard_that_was_stopped_itself_begins_anew() {
        let mut seen = Seen::default();
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
    fn the_kernels_lines_are_read_whatever_the_thread_is_called() {
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
    fn a_thread_that_looks_at_itself_runs() {
        let watched = Watched::default();
        assert_eq!(watched.usage(), None);
        watched.is_this_thread();
        let usage = watched.usage().expect("Linux tells");
        assert_eq!(usage.state, State::Runs);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn while_a_turn_is_lent_the_other_thread_is_looked_at() {
        let watched = Watched::default();
        watched.is_this_thread();
        let (turn, own) = (watched.turn(), ThreadId::mine(true));
        watched.lent_to(ThreadId::UNKNOWN);
        assert!(watched.is_passing_on());
        #[allow(clippy::disallowed_methods, reason = "it looks at its creator")]
        let looked = std::thread::spawn(move || {
            watched.lent_to(ThreadId::mine(true));
            assert!(!watched.is_passing_on());
            let runs = watched.usage().map(|usage| usage.state);
            // Its creator waits for it.
            watched.lent_to(own);
            while watched
                .usage()
                .is_none_or(|usage| usage.state != State::Sleeps)
            {}
            watched.lent_to(ThreadId::UNTOLD);
            (runs, watched.usage(), watched.turn())
        });
        let looked = looked.join().expect("it looks");
        assert_eq!(looked, (Some(State::Runs), None, turn + 4));
    }
}
