//! The one source of choice: nothing else in the simulator is random.
//!
//! The [world](super::world) asks it which ready entity gets the next turn, and which call of `settle` returns next.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Source of choice: picks among the possibilities of one instant. Seed 0 takes the first; other seeds take any.
///
/// ChaCha8 gives the same numbers on every machine.
#[derive(Debug)]
pub(crate) struct Choice {
    rng: Option<ChaCha8Rng>,
}

impl Choice {
    pub fn new(seed: u64) -> Self {
        Choice {
            rng: (seed != 0).then(|| ChaCha8Rng::seed_from_u64(seed)),
        }
    }

    /// Returns a number below `among`, which is at least 1. If there is only one possibility, no number is drawn, so
    /// that the seed's next number is kept for the next real choice.
    pub fn below(&mut self, among: usize) -> usize {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_zero_always_takes_the_first() {
        let mut choice = Choice::new(0);
        assert!((1..100).all(|n| choice.below(n) == 0));
    }

    #[test]
    fn other_seeds_reach_every_choice_and_repeat_themselves() {
        let draw = |seed| {
            let mut choice = Choice::new(seed);
            (0..200).map(|_| choice.below(6)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!((0..6).all(|n| draw(7).contains(&n)));
    }
}
