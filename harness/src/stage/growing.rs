//! A list that grows while its elements are borrowed.

use std::cell::{Cell, OnceCell};
use std::ops::Index;

/// Number of places in the first chunk; each further chunk has twice as many as the one before.
const FIRST_CHUNK_LEN: usize = 16;
/// Maximum number of chunks: together they have more places than any worker needs.
const MAX_CHUNKS: usize = 28;

/// List of elements that stay where they are: a user's own worker registers components while others are borrowed.
pub(crate) struct Growing<T> {
    initial: Vec<T>,
    chunks: [OnceCell<Box<[OnceCell<T>]>>; MAX_CHUNKS],
    len: Cell<usize>,
}

impl<T> Growing<T> {
    pub fn new(initial: Vec<T>) -> Self {
        Growing {
            len: Cell::new(initial.len()),
            initial,
            chunks: [const { OnceCell::new() }; MAX_CHUNKS],
        }
    }

    pub fn len(&self) -> usize {
        self.len.get()
    }

    pub fn get(&self, index: usize) -> Option<&T> {
        let Some(grown_index) = index.checked_sub(self.initial.len()) else {
            return self.initial.get(index);
        };
        let (chunk, place) = place_of(grown_index);
        self.chunks.get(chunk)?.get()?.get(place)?.get()
    }

    pub fn push(&self, value: T) {
        let (chunk, place) = place_of(self.len.get() - self.initial.len());
        let chunk = self.chunks[chunk].get_or_init(|| {
            (0..FIRST_CHUNK_LEN << chunk)
                .map(|_| OnceCell::new())
                .collect()
        });
        let set = chunk[place].set(value);
        assert!(set.is_ok(), "a place of a growing list is taken once");
        self.len.set(self.len.get() + 1);
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

/// Returns the chunk of a grown element, and its place in the chunk.
fn place_of(grown_index: usize) -> (usize, usize) {
    let chunk = (grown_index / FIRST_CHUNK_LEN + 1).ilog2() as usize;
    (chunk, grown_index - FIRST_CHUNK_LEN * ((1 << chunk) - 1))
}

impl<T> Index<usize> for Growing<T> {
    type Output = T;

    fn index(&self, index: usize) -> &T {
        self.get(index)
            .expect("an index of a part is that of a part")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_stay_in_place_while_the_list_grows() {
        let list = Growing::new(vec![0, 1, 2]);
        let (first, third) = (&list[0], &list[2]);
        for n in 3..10_000 {
            assert_eq!(list.get(n), None);
            list.push(n);
            assert_eq!(list.get(n), Some(&n));
        }
        assert_eq!((first, third, list.len()), (&0, &2, 10_000));
        assert!(list.iter().copied().eq(0..10_000));
    }

    #[test]
    fn chunks_follow_one_another_without_a_gap() {
        assert_eq!(place_of(0), (0, 0));
        assert_eq!(place_of(15), (0, 15));
        assert_eq!(place_of(16), (1, 0));
        assert_eq!(place_of(47), (1, 31));
        assert_eq!(place_of(48), (2, 0));
    }
}
