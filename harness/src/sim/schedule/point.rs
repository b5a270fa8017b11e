//! A point of a run: the moment before a turn, with the candidates for that turn.

use std::fmt;
use std::time::Duration;

use crate::journal::ms_rounded_down;

/// Kind of a [`Point`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PointKind {
    /// The next turn of an entity: a body, a task, main, a caller, or the context itself.
    Turn,
    /// The return of a call that waits until nothing else can run in this instant.
    Return,
}

/// An entity that can go on at a [`Point`].
///
/// It is exhaustive: it is a number and a name, and nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Number of the entity, in the order in which the run has started its entities. The same choices give an entity
    /// the same number in every run of a scenario.
    pub id: u32,
    /// Name of the entity. Several entities may have one name.
    pub name: &'a str,
}

/// What lends its candidates to a point. They are only looked up if a schedule asks for them.
pub(crate) trait Lend {
    fn len(&self) -> usize;
    fn nth(&self, index: usize) -> Option<Candidate<'_>>;
}

/// The candidates of a [`Point`], in ascending order of their numbers at a turn, and in the order of their calls at a
/// return. There is at least one.
#[derive(Clone, Copy)]
pub struct Candidates<'a>(Lender<'a>);

#[derive(Clone, Copy)]
enum Lender<'a> {
    Slice(&'a [Candidate<'a>]),
    World(&'a dyn Lend),
}

impl<'a> Candidates<'a> {
    /// Returns the number of candidates.
    #[allow(clippy::len_without_is_empty, reason = "a point has a candidate")]
    pub fn len(&self) -> usize {
        match self.0 {
            Lender::Slice(candidates) => candidates.len(),
            Lender::World(lender) => lender.len(),
        }
    }

    /// Returns the candidate with that index, from 0.
    pub fn get(&self, index: usize) -> Option<Candidate<'a>> {
        match self.0 {
            Lender::Slice(candidates) => candidates.get(index).copied(),
            Lender::World(lender) => lender.nth(index),
        }
    }

    /// Returns an iterator over the candidates. It looks each up when it is asked for it, and allocates nothing.
    pub fn iter(&self) -> impl Iterator<Item = Candidate<'a>> + use<'a> {
        let candidates = *self;
        (0..self.len()).filter_map(move |index| candidates.get(index))
    }
}

impl fmt::Debug for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The moment before a turn: what can go on, and when.
#[derive(Clone, Copy, Debug)]
pub struct Point<'a> {
    kind: PointKind,
    at_ms: u64,
    candidates: Candidates<'a>,
}

impl<'a> Point<'a> {
    /// Creates a point, as a test of a schedule needs it. The instant has whole milliseconds.
    pub fn new(kind: PointKind, at: Duration, candidates: &'a [Candidate<'a>]) -> Self {
        let at_ms = ms_rounded_down(at);
        Point {
            kind,
            at_ms,
            candidates: Candidates(Lender::Slice(candidates)),
        }
    }

    /// Creates a point with the candidates that `lender` looks up.
    pub(crate) fn lent(kind: PointKind, at_ms: u64, lender: &'a dyn Lend) -> Self {
        Point {
            kind,
            at_ms,
            candidates: Candidates(Lender::World(lender)),
        }
    }

    /// Creates a point with one candidate.
    pub(crate) fn alone(kind: PointKind, at_ms: u64, candidate: &'a Candidate<'a>) -> Self {
        let candidates = Candidates(Lender::Slice(std::slice::from_ref(candidate)));
        Point {
            kind,
            at_ms,
            candidates,
        }
    }

    /// Returns whether an entity takes a turn, or a call returns.
    pub fn kind(&self) -> PointKind {
        self.kind
    }

    /// Returns the virtual time since the run began.
    pub fn at(&self) -> Duration {
        Duration::from_millis(self.at_ms)
    }

    /// Returns what can go on.
    pub fn candidates(&self) -> Candidates<'a> {
        self.candidates
    }

    /// Returns whether there is more than one candidate.
    pub fn is_choice(&self) -> bool {
        self.candidates.len() > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Numbers(Vec<u32>);

    impl Lend for Numbers {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn nth(&self, index: usize) -> Option<Candidate<'_>> {
            let id = *self.0.get(index)?;
            Some(Candidate { id, name: "lent" })
        }
    }

    #[test]
    fn lent_and_given_candidates_read_alike() {
        let given = [3, 5].map(|id| Candidate { id, name: "lent" });
        let lender = Numbers(vec![3, 5]);
        let given = Point::new(PointKind::Return, Duration::from_secs(2), &given);
        let lent = Point::lent(PointKind::Return, 2_000, &lender);
        for point in [given, lent] {
            assert_eq!(point.at(), Duration::from_secs(2));
            assert!(point.is_choice());
            let ids: Vec<u32> = point.candidates().iter().map(|one| one.id).collect();
            assert_eq!(ids, [3, 5]);
            assert_eq!(point.candidates().get(2), None);
        }
        assert_eq!(format!("{given:?}"), format!("{lent:?}"));
    }
}
