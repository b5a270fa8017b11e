//! The schedule of a seed.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::halt::Halt;
use super::point::Point;
use super::seam::Schedule;

/// The schedule that a seed determines. Seed 0 takes the first candidate; other seeds take any.
///
/// A number is drawn only where there is a choice. ChaCha8 gives the same numbers on every machine.
#[derive(Clone, Debug)]
pub struct Seeded {
    rng: Option<ChaCha8Rng>,
}

impl Seeded {
    /// Creates the schedule of a seed.
    pub fn new(seed: u64) -> Self {
        Seeded {
            rng: (seed != 0).then(|| ChaCha8Rng::seed_from_u64(seed)),
        }
    }

    /// Returns a number below `among`, which is at least 1. If there is only one possibility, no number is drawn, so
    /// that the seed's next number is kept for the next real choice.
    fn below(&mut self, among: usize) -> usize {
        match &mut self.rng {
            Some(rng) if among > 1 => {
                let among = u64::try_from(among)
                    .unwrap_or(u64::MAX)
                    .min(u64::from(u32::MAX));
                usize::try_from((u64::from(rng.next_u32()) * among) >> 32).unwrap_or(0)
            }
            _ => 0,
        }
    }
}

impl Schedule for Seeded {
    fn choose(&mut self, point: &Point<'_>) -> Result<usize, Halt> {
        Ok(self.below(point.candidates().len()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::told::taken;
    use super::*;

    #[test]
    fn seed_zero_always_takes_the_first() {
        let among: Vec<usize> = (1..100).collect();
        let taken = taken(Seeded::new(0), &among).unwrap();
        assert!(taken.iter().all(|index| *index == 0));
    }

    #[test]
    fn other_seeds_reach_every_choice_and_repeat_themselves() {
        let draw = |seed| taken(Seeded::new(seed), &[6; 200]).unwrap();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!((0..6).all(|n| draw(7).contains(&n)));
    }

    #[test]
    fn points_with_one_candidate_draw_no_number() {
        let sparse = taken(Seeded::new(7), &[1, 6, 1, 1, 6, 6]).unwrap();
        let dense = taken(Seeded::new(7), &[6, 6, 6]).unwrap();
        assert_eq!([sparse[1], sparse[4], sparse[5]], dense[..]);
        assert_eq!([sparse[0], sparse[2], sparse[3]], [0; 3]);
    }

    /// The numbers are part of what a seed means: snapshots and replay lines depend on them.
    #[test]
    fn numbers_of_a_seed_never_change() {
        let drawn = taken(Seeded::new(1), &[10; 12]).unwrap();
        assert_eq!(drawn, [5, 4, 9, 0, 2, 5, 3, 2, 8, 2, 9, 7]);
    }
}
