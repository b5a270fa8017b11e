//! The ready set: the entities that can run in this instant. The gate takes the entity of the next turn from it.

use std::cell::Cell;

/// A set of entities' numbers that can be read by rank: the lowest, or the `nth` lowest.
#[derive(Debug, Default)]
pub(crate) struct ReadySet {
    words: Vec<u64>,
    len: usize,
    /// Index of a word below which no word has a bit set.
    lowest: Cell<usize>,
}

impl ReadySet {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn insert(&mut self, id: u32) {
        let (word, bit) = place(id);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        if self.words[word] & bit == 0 {
            self.words[word] |= bit;
            self.len += 1;
            self.lowest.set(self.lowest.get().min(word));
        }
    }

    /// Removes `id`, and returns whether it was in the set.
    pub fn remove(&mut self, id: u32) -> bool {
        let (word, bit) = place(id);
        let was = self.words.get(word).is_some_and(|bits| bits & bit != 0);
        if was {
            self.words[word] &= !bit;
            self.len -= 1;
        }
        was
    }

    /// Returns the `nth` lowest number, from 0.
    pub fn nth(&self, mut nth: usize) -> Option<u32> {
        if nth >= self.len {
            return None;
        }
        let mut lowest = self.lowest.get();
        while self.words[lowest] == 0 {
            lowest += 1;
        }
        self.lowest.set(lowest);
        for (index, bits) in self.words.iter().enumerate().skip(lowest) {
            let ones = bits.count_ones() as usize;
            if nth < ones {
                let mut bits = *bits;
                for _ in 0..nth {
                    bits &= bits - 1;
                }
                return u32::try_from(index * 64)
                    .ok()
                    .map(|base| base + bits.trailing_zeros());
            }
            nth -= ones;
        }
        None
    }
}

fn place(id: u32) -> (usize, u64) {
    ((id / 64) as usize, 1 << (id % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_is_counted_from_the_lowest_across_words() {
        let mut ready = ReadySet::default();
        for id in [200, 3, 64, 63, 3] {
            ready.insert(id);
        }
        assert_eq!(ready.len(), 4);
        assert_eq!(
            (0..5).map(|n| ready.nth(n)).collect::<Vec<_>>(),
            [Some(3), Some(63), Some(64), Some(200), None]
        );
        assert!(ready.remove(3));
        assert!(!ready.remove(3));
        assert_eq!(ready.nth(0), Some(63));
        ready.insert(0);
        assert_eq!((ready.nth(0), ready.len()), (Some(0), 4));
    }
}
