//! The schedule that takes given choices, and then leaves the rest to another one.

use super::choices::Choices;
use super::halt::{Halt, listed};
use super::mark::Marker;
use super::point::Point;
use super::seam::Schedule;

/// A schedule that takes the choices that it was given, and answers as another one after the last of them.
///
/// The other schedule is told of every point from the first on; its answers are dropped while the given choices last.
/// So its later answers do not depend on where the given choices end: a run by any [prefix](Choices::prefix) of what
/// a seed [chose](super::Recorded), followed by the [same seed](super::Seeded), is the run of that seed. Another seed
/// follows with the numbers that it would have drawn for these later choices anyway.
///
/// A run that departs from the given choices [ends](Halt), and the error tells where: there are fewer candidates than
/// the choice needs, the candidates are not those of the recording, or the run is over before the last choice.
#[derive(Clone, Debug)]
pub struct Replayed<S> {
    choices: Choices,
    inner: S,
    marker: Marker,
    /// Number of choices so far, up to that of the given ones.
    made: usize,
}

impl<S: Schedule> Replayed<S> {
    /// Creates a schedule that takes `choices`, and then answers as `inner`.
    pub fn new(choices: Choices, inner: S) -> Self {
        Replayed {
            choices,
            inner,
            marker: Marker::new(),
            made: 0,
        }
    }
}

impl<S: Schedule> Schedule for Replayed<S> {
    fn choose(&mut self, point: &Point<'_>) -> Result<usize, Halt> {
        let answer = self.inner.choose(point)?;
        if !point.is_choice() {
            return Ok(answer);
        }
        let Some((index, mark)) = self.choices.get(self.made) else {
            return Ok(answer);
        };
        self.made += 1;
        let (choice, at) = (self.made, point.at());
        if index >= point.candidates().len() {
            return Err(Halt::TooFew {
                choice,
                at,
                picked: Halt::ordinal(index),
                candidates: listed(point.candidates()),
            });
        }
        if mark.is_some_and(|mark| mark != self.marker.add(point)) {
            return Err(Halt::OtherCandidates {
                choice,
                at,
                candidates: listed(point.candidates()),
            });
        }
        Ok(index)
    }

    fn end(&mut self) -> Result<(), Halt> {
        let (made, forced) = (self.made, self.choices.len());
        if made < forced {
            return Err(Halt::ChoicesLeft { made, forced });
        }
        self.inner.end()
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded::Recorded;
    use super::super::seeded::Seeded;
    use super::super::told::{taken, tell};
    use super::*;

    const RUN: [usize; 9] = [1, 6, 3, 1, 5, 5, 2, 1, 9];

    /// Returns the choices of a run with a seed.
    fn recorded(seed: u64) -> Choices {
        let mut recorded = Recorded::new(Seeded::new(seed));
        taken(&mut recorded, &RUN).unwrap();
        recorded.into_recording().choices()
    }

    fn message(halt: Result<impl std::fmt::Debug, Halt>) -> String {
        halt.expect_err("it departs").to_string()
    }

    #[test]
    fn any_prefix_then_the_same_seed_is_the_whole_run() {
        for seed in 0..20 {
            let (choices, whole) = (recorded(seed), taken(Seeded::new(seed), &RUN));
            for len in 0..=choices.len() {
                let replayed = Replayed::new(choices.prefix(len), Seeded::new(seed));
                assert_eq!(taken(replayed, &RUN), whole, "seed {seed}, {len} choices");
            }
        }
    }

    #[test]
    fn another_seed_follows_with_its_own_later_numbers() {
        let (three, eight) = (
            taken(Seeded::new(3), &RUN).unwrap(),
            taken(Seeded::new(8), &RUN).unwrap(),
        );
        assert_ne!(three[..5], eight[..5]);
        // The first three choices are at the second, third and fifth point.
        let replayed = Replayed::new(recorded(3).prefix(3), Seeded::new(8));
        let both = taken(replayed, &RUN).unwrap();
        assert_eq!(both[..5], three[..5]);
        assert_eq!(both[5..], eight[5..]);
    }

    #[test]
    fn forced_choices_without_marks_need_only_enough_candidates() {
        let forced = Replayed::new("1,2".parse().unwrap(), Seeded::new(0));
        assert_eq!(taken(forced, &[3, 1, 3, 3]), Ok(vec![1, 0, 2, 0]));
    }

    #[test]
    fn choice_of_a_candidate_that_is_not_there_names_its_place() {
        let forced = Replayed::new("1,2".parse().unwrap(), Seeded::new(0));
        assert_eq!(
            message(taken(forced, &[2, 1, 2])),
            "the run departs from the schedule at choice 2, at 2.000 s: candidate 3 is to be taken of 2 (a, b)"
        );
    }

    #[test]
    fn other_candidates_than_recorded_name_the_place() {
        let mut recorded = Recorded::new(Seeded::new(0));
        for second in 0..4 {
            tell(&mut recorded, second, [0, 1]).unwrap();
        }
        let choices = recorded.into_recording().choices();
        let mut replayed = Replayed::new(choices, Seeded::new(0));
        tell(&mut replayed, 0, [0, 1]).unwrap();
        assert_eq!(
            message(tell(&mut replayed, 1, [0, 2])),
            "the run departs from the schedule at choice 2, at 1.000 s: when it was recorded, the choice was not \
             among 2 (a, c)"
        );
    }

    #[test]
    fn run_that_ends_before_the_last_choice_departs() {
        let forced = Replayed::new("0x3".parse().unwrap(), Seeded::new(0));
        assert_eq!(
            message(taken(forced, &[2, 1, 2])),
            "the run departs from the schedule at its end: it has 2 choices, and the schedule 3"
        );
    }
}
