//! The check of determinism: a second run has to come to the same points as the first.

use std::sync::Arc;

use super::halt::{Halt, Instant};
use super::point::{Point, PointKind};
use super::seam::Schedule;

/// Maximum number of points of a run that are noted and compared. A run of a scenario has a few hundred.
pub const MAX_POINTS: usize = 100_000;
/// Maximum number of candidates of a point that are noted, besides their number.
const MAX_NOTED: usize = 32;

/// A point, as it was noted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NotedPoint {
    kind: PointKind,
    at: std::time::Duration,
    among: usize,
    candidates: Vec<(u32, Box<str>)>,
}

impl NotedPoint {
    fn of(point: &Point<'_>) -> Self {
        let candidates = point.candidates();
        let noted = candidates.iter().take(MAX_NOTED);
        NotedPoint {
            kind: point.kind(),
            at: point.at(),
            among: candidates.len(),
            candidates: noted.map(|one| (one.id, one.name.into())).collect(),
        }
    }

    fn is(&self, point: &Point<'_>) -> bool {
        let candidates = point.candidates();
        let noted = self.candidates.iter().map(|(id, name)| (*id, &**name));
        self.kind == point.kind()
            && self.at == point.at()
            && self.among == candidates.len()
            && candidates
                .iter()
                .take(MAX_NOTED)
                .map(|one| (one.id, one.name))
                .eq(noted)
    }

    /// Returns the point in words: `turn of main #0 or db #3 at 10.000 s`.
    fn words(&self) -> String {
        let candidates = self
            .candidates
            .iter()
            .map(|(id, name)| format!("{name} #{id}"));
        let mut candidates = candidates.collect::<Vec<_>>().join(" or ");
        if self.among > self.candidates.len() {
            candidates += " or others";
        }
        let kind = match self.kind {
            PointKind::Turn => "turn",
            PointKind::Return => "return",
        };
        format!("{kind} of {candidates} at {}", Instant(self.at))
    }
}

/// The points of a run, for the comparison with a second run.
#[derive(Clone, Debug, Default)]
pub struct Points {
    points: Arc<Vec<NotedPoint>>,
    is_cut: bool,
}

/// A schedule that answers as another one, and notes each point: the first half of the check of determinism.
///
/// ```
/// use deadstop_harness::{scenario, sim::{self, Noted, Options, Repeated, Seeded}};
///
/// let text = "title = 'Two pools are closed'\n[worker]\ncomponents = [{ closeable = 'a' }, { closeable = 'b' }]\n\
///             [timeline]\nevents = [{ at = '10s', signal = 'SIGTERM' }]\n";
/// let scenario = scenario::parse("two-pools", text)?;
/// let options = Options { seed: 3, ..Options::default() };
///
/// let (first, noted) = sim::run_with(&scenario, &options, Noted::new(Seeded::new(3)));
/// let repeated = Repeated::new(noted.into_points(), Seeded::new(3));
/// let (second, _) = sim::run_with(&scenario, &options, repeated);
/// assert_eq!(first?, second?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Noted<S> {
    inner: S,
    points: Vec<NotedPoint>,
    is_cut: bool,
}

impl<S: Schedule> Noted<S> {
    /// Creates a schedule that answers as `inner` does.
    pub fn new(inner: S) -> Self {
        Noted {
            inner,
            points: Vec::new(),
            is_cut: false,
        }
    }

    /// Returns the noted points, and drops the rest.
    pub fn into_points(self) -> Points {
        Points {
            points: Arc::new(self.points),
            is_cut: self.is_cut,
        }
    }
}

impl<S: Schedule> Schedule for Noted<S> {
    fn choose(&mut self, point: &Point<'_>) -> Result<usize, Halt> {
        if self.points.len() < MAX_POINTS {
            self.points.push(NotedPoint::of(point));
        } else {
            self.is_cut = true;
        }
        self.inner.choose(point)
    }

    fn end(&mut self) -> Result<(), Halt> {
        self.inner.end()
    }
}

/// A schedule that answers as another one, and compares each point with that of a [first run](Noted): the second half
/// of the check of determinism.
///
/// The first point that differs [ends](Halt::NotRepeated) the run. So does a run that has fewer points than the first,
/// once it is over. Both runs have to be given the same choices: the same seed, for example.
///
/// Journals may differ although all points are the same, and [`twice`](super::super::twice) compares those. This check
/// finds the point at which two runs part, which can be long before their journals do.
#[derive(Clone, Debug)]
pub struct Repeated<S> {
    inner: S,
    first: Points,
    /// Number of points so far.
    next: usize,
}

impl<S: Schedule> Repeated<S> {
    /// Creates a schedule that answers as `inner` does, and compares the points with `first`.
    pub fn new(first: Points, inner: S) -> Self {
        let next = 0;
        Repeated { inner, first, next }
    }

    /// Returns the halt for the point that comes next.
    fn departs(&self, second: Option<&Point<'_>>) -> Halt {
        let words = |point: Option<&NotedPoint>| {
            point.map_or_else(|| "the run is over".to_owned(), NotedPoint::words)
        };
        Halt::NotRepeated {
            point: self.next + 1,
            first: words(self.first.points.get(self.next)),
            second: words(second.map(NotedPoint::of).as_ref()),
        }
    }
}

impl<S: Schedule> Schedule for Repeated<S> {
    fn choose(&mut self, point: &Point<'_>) -> Result<usize, Halt> {
        match self.first.points.get(self.next) {
            Some(first) if first.is(point) => self.next += 1,
            None if self.first.is_cut => {}
            _ => return Err(self.departs(Some(point))),
        }
        self.inner.choose(point)
    }

    fn end(&mut self) -> Result<(), Halt> {
        if self.next < self.first.points.len() {
            return Err(self.departs(None));
        }
        self.inner.end()
    }
}

#[cfg(test)]
mod tests {
    use super::super::seeded::Seeded;
    use super::super::told::{taken, tell};
    use super::*;

    fn points(among: &[usize]) -> Points {
        let mut noted = Noted::new(Seeded::new(4));
        taken(&mut noted, among).unwrap();
        noted.into_points()
    }

    fn repeated(first: &[usize]) -> Repeated<Seeded> {
        Repeated::new(points(first), Seeded::new(4))
    }

    fn message(halt: Result<impl std::fmt::Debug, Halt>) -> String {
        halt.expect_err("it departs").to_string()
    }

    #[test]
    fn same_points_give_the_same_answers() {
        let run = [1, 3, 40, 1, 2];
        assert_eq!(taken(repeated(&run), &run), taken(Seeded::new(4), &run));
    }

    #[test]
    fn first_point_that_differs_is_named() {
        assert_eq!(
            message(taken(repeated(&[1, 2, 2]), &[1, 3, 1])),
            "not deterministic: at point 2 turn of a #0 or b #1 or c #2 at 1.000 s, but in the first run turn of a #0 \
             or b #1 at 1.000 s"
        );
        let mut schedule = repeated(&[1, 1]);
        tell(&mut schedule, 0, [0]).unwrap();
        assert_eq!(
            message(tell(&mut schedule, 1, [10])),
            "not deterministic: at point 2 turn of a #10 at 1.000 s, but in the first run turn of a #0 at 1.000 s"
        );
        let mut schedule = repeated(&[1, 1]);
        assert!(tell(&mut schedule, 5, [0]).is_err());
    }

    #[test]
    fn run_with_more_or_fewer_points_departs_where_one_is_over() {
        assert_eq!(
            message(taken(repeated(&[1]), &[1, 1])),
            "not deterministic: at point 2 turn of a #0 at 1.000 s, but in the first run the run is over"
        );
        assert_eq!(
            message(taken(repeated(&[1, 1]), &[1])),
            "not deterministic: at point 2 the run is over, but in the first run turn of a #0 at 1.000 s"
        );
    }

    #[test]
    fn points_beyond_the_bound_are_not_compared() {
        let long = vec![1; MAX_POINTS + 2];
        assert!(taken(repeated(&long), &vec![1; MAX_POINTS + 1]).is_ok());
        assert!(taken(repeated(&long[2..]), &long).is_err());
    }
}
