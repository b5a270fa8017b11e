//! The tempo of a live run: how fast its clock goes, and which readings count as one instant. The clock of the run
//! uses it, and `Players` derive the run's bound from it.
//!
//! The worker under test lives in the scenario's own milliseconds. Real time is mapped to them so that two instants
//! of the simulated journals lie at least a *stretch* of real time apart. Around each instant the clock goes slowly:
//! at the speed at which the closest two instants are a stretch apart. Idle time between instants passes quickly. An
//! hour in which nothing happens takes as long as a second of it.
//!
//! A live thread always comes a little late. What the clock reads within three quarters of a stretch after an instant
//! (half of one at an even pace) counts as that instant. A later reading is later, and shows in the journal. In the
//! scenario's time, an instant thus covers at most half of the smallest gap between two, whatever the speed
//! elsewhere.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The timing of a live run: the instants of the simulated journals, and a speed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tempo {
    /// The instants, in milliseconds of the scenario, ascending from 0.
    instants: Vec<u64>,
    /// The end of the run, in milliseconds of the scenario.
    ends: u64,
    pace: Pace,
}

/// The speed of a live run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Pace {
    /// The clock takes this much real time from each instant to the next.
    Stretch(Duration),
    /// The clock goes this many times as fast as real time, all along.
    Even(f64),
}

/// Minimum real time between two instants that can be told apart.
pub const CLOSEST: Duration = Duration::from_millis(50);

/// Minimum speed of the clock after the last instant, as a multiple of real time. Nothing should happen any more
/// then; an event that does happen comes this much faster.
const MIN_TAIL_SPEED: u64 = 20;

/// Returns the time of a stretch that its instant takes, both in nanoseconds: a late thread has that time. In the
/// rest of the stretch the clock passes on to the next instant.
const fn instant_ns_of(stretch: u64) -> u64 {
    stretch / 4 * 3
}

/// Error of an even pace at which two instants are too close.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "two of its instants are {gap_ms} ms apart; at a speed of {speed} that is less than the {} ms of real time that are \
     needed to tell them apart, and the highest possible speed is {}", CLOSEST.as_millis(), fastest(*gap_ms)
)]
pub struct TooFast {
    gap_ms: u64,
    speed: f64,
}

/// Returns the highest speed at which two instants that are `gap_ms` milliseconds apart can be told apart.
fn fastest(gap_ms: u64) -> f64 {
    let closest = CLOSEST.as_millis() as f64;
    gap_ms as f64 / closest
}

impl Tempo {
    /// Creates a tempo for a scenario. Its simulated journals have these instants, in any order, and end at `ends`.
    /// An instant after `ends` has no event.
    ///
    /// # Errors
    ///
    /// If two instants are closer than [`CLOSEST`] at an even pace.
    pub fn new(
        instants: impl IntoIterator<Item = u64>,
        ends: u64,
        pace: Pace,
    ) -> Result<Self, TooFast> {
        let mut instants: Vec<u64> = instants.into_iter().chain([0]).collect();
        instants.sort_unstable();
        instants.dedup();
        let tempo = Tempo {
            instants,
            ends,
            pace,
        };
        if let (Some(gap_ms), Pace::Even(speed)) = (tempo.smallest_gap_ms(), pace)
            && tempo.time_map().stretch < nanos(CLOSEST)
        {
            return Err(TooFast { gap_ms, speed });
        }
        Ok(tempo)
    }

    /// Returns the smallest gap between two instants, in milliseconds of the scenario.
    fn smallest_gap_ms(&self) -> Option<u64> {
        let gaps = self.instants.windows(2).map(|pair| pair[1] - pair[0]);
        gaps.min()
    }

    /// Returns the same tempo, twice as slow.
    #[must_use]
    pub fn slower(&self) -> Self {
        let pace = match self.pace {
            Pace::Stretch(stretch) => Pace::Stretch(stretch * 2),
            Pace::Even(speed) => Pace::Even(speed / 2.0),
        };
        Tempo {
            instants: self.instants.clone(),
            ends: self.ends,
            pace,
        }
    }

    /// Returns how late a thread may be woken without harm to the order of what the scenario keeps apart.
    pub fn patience(&self) -> Duration {
        Duration::from_nanos(self.time_map().stretch / 30)
    }

    /// Returns the real time that a run takes.
    pub fn takes(&self) -> Duration {
        let time_map = self.time_map();
        Duration::from_nanos(time_map.strikes_at(Duration::from_millis(self.ends)))
    }

    /// Works out how real time and the scenario's time map to each other.
    pub(crate) fn time_map(&self) -> TimeMap {
        let closest = self
            .smallest_gap_ms()
            .map_or(1_000_000_000, |gap| gap * 1_000_000);
        let mut knots = Vec::with_capacity(self.instants.len() * 2);
        let (stretch, slow) = match self.pace {
            Pace::Stretch(stretch) => {
                let stretch = nanos(stretch).max(1_000);
                (stretch, Ratio(closest, stretch))
            }
            Pace::Even(speed) => {
                let ratio = Ratio((speed * 1_000_000.0) as u64, 1_000_000);
                (ratio.to_real(closest), ratio)
            }
        };
        let instant_ns = instant_ns_of(stretch);
        let mut real = 0;
        let mut ticks = Vec::with_capacity(self.instants.len());
        for (at, instant) in self.instants.iter().enumerate() {
            let t = instant * 1_000_000;
            ticks.push((*instant, real));
            knots.push((t, real));
            let Some(next) = self.instants.get(at + 1) else {
                break;
            };
            let gap = (next - instant) * 1_000_000;
            if matches!(self.pace, Pace::Even(_)) {
                real += slow.to_real(gap);
            } else {
                // The clock goes slowly within the instant, and then as fast as it has to.
                knots.push((t + (closest / 2).min(gap / 2), real + instant_ns));
                real += stretch;
            }
        }
        let tail = match self.pace {
            Pace::Even(_) => slow,
            Pace::Stretch(_) => {
                let (t, real) = (ticks.last().map_or(0, |(t, _)| t * 1_000_000), real);
                knots.push((t + closest / 2, real + instant_ns));
                if slow.0 / slow.1 >= MIN_TAIL_SPEED {
                    slow
                } else {
                    Ratio(MIN_TAIL_SPEED, 1)
                }
            }
        };
        TimeMap {
            ticks,
            knots,
            tail,
            stretch,
            instant_ns: match self.pace {
                Pace::Stretch(_) => instant_ns,
                Pace::Even(_) => stretch / 2,
            },
        }
    }
}

/// A speed: this many nanoseconds of the scenario in this many nanoseconds of real time.
#[derive(Clone, Copy, Debug)]
struct Ratio(u64, u64);

impl Ratio {
    /// Converts real time to the scenario's time, rounded down.
    fn to_scenario(self, real: u64) -> u64 {
        let Ratio(scaled, by) = self;
        u64::try_from(u128::from(real) * u128::from(scaled) / u128::from(by.max(1)))
            .unwrap_or(u64::MAX)
    }

    /// Converts the scenario's time to real time, rounded up.
    fn to_real(self, scaled: u64) -> u64 {
        let Ratio(by, real) = self;
        u64::try_from((u128::from(scaled) * u128::from(real)).div_ceil(u128::from(by.max(1))))
            .unwrap_or(u64::MAX)
    }
}

/// A tempo, worked out: maps real time to the scenario's time and back. Real time is in nanoseconds since the run
/// began.
#[derive(Debug)]
pub(crate) struct TimeMap {
    /// The instants in milliseconds, each with the real time at which it comes.
    ticks: Vec<(u64, u64)>,
    /// Pairs of the scenario's time and the real one, in nanoseconds. The clock goes evenly between two of them.
    knots: Vec<(u64, u64)>,
    tail: Ratio,
    /// The real time between the closest two instants.
    stretch: u64,
    /// The real time that an instant takes.
    instant_ns: u64,
}

impl TimeMap {
    /// Returns what the clock reads.
    pub fn scenario_time(&self, real: u64) -> Duration {
        match self.tick(real) {
            Some((t, since)) if since < self.instant_ns => Duration::from_millis(t),
            _ => Duration::from_nanos(self.to_scenario(real)),
        }
    }

    /// Returns the last instant, in milliseconds, and the real time since then.
    pub fn tick(&self, real: u64) -> Option<(u64, u64)> {
        let after = self.ticks.partition_point(|(_, at)| *at <= real);
        let (t, at) = self.ticks.get(after.checked_sub(1)?)?;
        Some((*t, real - at))
    }

    /// Returns the real time at which a time of the scenario comes. The script strikes then.
    pub fn strikes_at(&self, at: Duration) -> u64 {
        self.visible_from(at, self.to_real(nanos(at)))
    }

    /// Returns a later real time for a time that falls into an instant but is later than it: the end of the instant,
    /// since the clock does not read that time before.
    fn visible_from(&self, at: Duration, real: u64) -> u64 {
        match self.tick(real) {
            Some((t, since)) if since < self.instant_ns && Duration::from_millis(t) < at => {
                real - since + self.instant_ns
            }
            _ => real,
        }
    }

    fn to_real(&self, t: u64) -> u64 {
        let after = self.knots.partition_point(|(from, _)| *from <= t);
        let Some(&(from, real)) = self.knots.get(after.wrapping_sub(1)) else {
            return 0;
        };
        real.saturating_add(self.ratio(after).to_real(t - from))
    }

    /// Returns the real time at which a thread or task that waits for a time of the scenario is woken: later than
    /// [`strikes_at`](Self::strikes_at), since the script strikes before all else.
    pub fn wakes_at(&self, at: Duration) -> u64 {
        let real = self.to_real(nanos(at)).saturating_add(self.strike_lead());
        self.visible_from(at, real)
    }

    /// Returns the real time that is allowed for a call to reach the context, and for code that was started or woken
    /// to run. Most of an instant is left after that.
    pub fn start_allowance(&self) -> u64 {
        self.stretch / 4
    }

    /// Returns the real time by which the script strikes earlier than all else.
    fn strike_lead(&self) -> u64 {
        self.stretch / 10
    }

    /// Returns the real time at which everything that can run in this instant has run, unless the machine is slow.
    pub fn settled_at(&self, real: u64) -> u64 {
        let least = real + self.stretch / 30;
        match self.tick(real) {
            Some((_, since)) if since < self.instant_ns => {
                least.max(real - since + self.stretch / 4)
            }
            _ => least,
        }
    }

    fn to_scenario(&self, real: u64) -> u64 {
        let after = self.knots.partition_point(|(_, from)| *from <= real);
        let Some(&(t, from)) = self.knots.get(after.wrapping_sub(1)) else {
            return 0;
        };
        t.saturating_add(self.ratio(after).to_scenario(real - from))
    }

    /// Returns the speed of the clock before the knot with the index `after`, or after the last knot.
    fn ratio(&self, after: usize) -> Ratio {
        match (self.knots.get(after.wrapping_sub(1)), self.knots.get(after)) {
            (Some((t, real)), Some((next_t, next_real))) => Ratio(next_t - t, next_real - real),
            _ => self.tail,
        }
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const STRETCH: Pace = Pace::Stretch(Duration::from_millis(200));

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn two_instants_are_a_stretch_apart_whatever_lies_between() {
        let tempo = Tempo::new([3_600_000, 10_000, 10_001], 3600000, STRETCH)
            .expect("a stretch is never short");
        assert_eq!(tempo.takes(), ms(600));
        let time_map = tempo.time_map();
        for (n, t) in [0, 10_000, 10_001, 3_600_000].into_iter().enumerate() {
            assert_eq!(time_map.strikes_at(ms(t)), n as u64 * 200 * MS);
        }
    }

    #[test]
    fn clock_reads_an_instant_for_three_quarters_of_its_stretch() {
        let time_map = Tempo::new([10_000, 20_000], 20000, STRETCH)
            .expect("well")
            .time_map();
        let reads = |real_ms: u64| time_map.scenario_time(real_ms * MS);
        assert_eq!(reads(0), ms(0));
        assert_eq!(reads(200), ms(10_000));
        assert_eq!(reads(349), ms(10_000));
        // What comes later shows. Half of the gap has passed by then, and the rest passes until the next instant.
        assert_eq!(reads(350), ms(15_000));
        assert_eq!(reads(375), ms(17_500));
        assert!(reads(399) < ms(20_000));
        assert_eq!(reads(400), ms(20_000));
    }

    /// An event that comes late by half the smallest gap shows as late, however far apart its neighbours are.
    #[test]
    fn an_instant_takes_in_no_more_than_half_of_the_smallest_gap() {
        let time_map = Tempo::new([1_000, 1_100, 3_600_000], 3600000, STRETCH)
            .expect("well")
            .time_map();
        for (tick, _) in [(1_000, 1), (1_100, 2), (3_600_000, 3)] {
            let late = time_map.strikes_at(ms(tick + 51));
            assert!(time_map.scenario_time(late) > ms(tick), "{tick} ms");
        }
    }

    #[test]
    fn woken_thread_never_reads_an_earlier_time() {
        for pace in [STRETCH, Pace::Even(7.3)] {
            let time_map = Tempo::new([7, 1_313, 77_777], 77777, pace)
                .or_else(|_| Tempo::new([1_313, 77_777], 77777, pace))
                .expect("well")
                .time_map();
            for t in [1, 6, 7, 8, 500, 1_312, 1_313, 1_314, 50_000, 77_777, 99_999] {
                let at = ms(t);
                assert!(
                    time_map.scenario_time(time_map.strikes_at(at)) >= at,
                    "{t} ms, {pace:?}"
                );
                assert!(
                    time_map.scenario_time(time_map.wakes_at(at)) >= at,
                    "{t} ms, {pace:?}"
                );
                assert!(
                    time_map.wakes_at(at) >= time_map.strikes_at(at),
                    "the script is first"
                );
            }
        }
    }

    #[test]
    fn even_pace_is_even_and_refused_if_instants_are_too_close() {
        let tempo = Tempo::new([10_000, 11_000], 11000, Pace::Even(10.0)).expect("100 ms apart");
        assert_eq!(tempo.takes(), ms(1_100));
        let time_map = tempo.time_map();
        assert_eq!(time_map.scenario_time(550 * MS), ms(5_500));
        assert_eq!(time_map.scenario_time(1_049 * MS), ms(10_000));
        assert_eq!(time_map.scenario_time(1_050 * MS), ms(10_500));
        let refused = Tempo::new([10_000, 10_001], 10001, Pace::Even(1.0)).expect_err("1 ms apart");
        assert!(refused.to_string().contains("1 ms apart"), "{refused}");
    }

    #[test]
    fn an_instant_is_settled_after_its_timers_and_never_at_once() {
        let time_map = Tempo::new([1_000], 1000, STRETCH).expect("well").time_map();
        let tick = time_map.strikes_at(ms(1_000));
        assert_eq!(time_map.settled_at(tick), tick + 50 * MS);
        assert!(time_map.settled_at(tick) > time_map.wakes_at(ms(1_000)));
        assert_eq!(
            time_map.settled_at(tick + 60 * MS),
            tick + 60 * MS + 200 * MS / 30
        );
    }
}
