//! The schedule that writes down what another one chooses.

use super::choices::Choices;
use super::halt::Halt;
use super::mark::Marker;
use super::point::Point;
use super::seam::Schedule;

/// A choice that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Choice {
    /// Index of the candidate that was taken, from 0.
    pub index: u32,
    /// Number of candidates, at least 2.
    pub among: u32,
    mark: u8,
}

/// The choices of a run, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    choices: Vec<Choice>,
    is_cut: bool,
}

impl Recording {
    /// Returns the choices that were written down.
    pub fn made(&self) -> &[Choice] {
        &self.choices
    }

    /// Returns whether the run had more than [`Choices::MAX`] choices, so that the others were not written down.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Returns the choices as another run can be [forced](super::Replayed) to take them.
    pub fn choices(&self) -> Choices {
        Choices::marked(
            self.choices
                .iter()
                .map(|choice| (choice.index, choice.mark)),
        )
    }
}

/// A schedule that writes down each choice of another one. A point with one candidate is no choice.
///
/// ```
/// use deadstop_harness::{scenario, sim::{self, Choices, Options, Recorded, Replayed, Seeded}};
///
/// let text = "title = 'Two pools are closed'\n[worker]\ncomponents = [{ closeable = 'a' }, { closeable = 'b' }]\n\
///             [timeline]\nevents = [{ at = '10s', signal = 'SIGTERM' }]\n";
/// let scenario = scenario::parse("two-pools", text)?;
/// let options = Options { seed: 3, ..Options::default() };
///
/// let (journal, recorded) = sim::run_with(&scenario, &options, Recorded::new(Seeded::new(3)));
/// let line = recorded.recording().choices().to_string();
///
/// let replayed = Replayed::new(line.parse()?, Seeded::new(3));
/// let (again, _) = sim::run_with(&scenario, &options, replayed);
/// assert_eq!(journal?, again?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Recorded<S> {
    inner: S,
    marker: Marker,
    recording: Recording,
}

impl<S: Schedule> Recorded<S> {
    /// Creates a schedule that answers as `inner` does.
    pub fn new(inner: S) -> Self {
        Recorded {
            inner,
            marker: Marker::new(),
            recording: Recording::default(),
        }
    }

    /// Returns what was written down so far.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Returns what was written down, and drops the rest.
    pub fn into_recording(self) -> Recording {
        self.recording
    }
}

impl<S: Schedule> Schedule for Recorded<S> {
    fn choose(&mut self, point: &Point<'_>) -> Result<usize, Halt> {
        let index = self.inner.choose(point)?;
        if !point.is_choice() {
            return Ok(index);
        }
        if self.recording.choices.len() == Choices::MAX {
            self.recording.is_cut = true;
            return Ok(index);
        }
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.recording.choices.push(Choice {
            index: number(index),
            among: number(point.candidates().len()),
            mark: self.marker.add(point),
        });
        Ok(index)
    }

    fn end(&mut self) -> Result<(), Halt> {
        self.inner.end()
    }
}

#[cfg(test)]
mod tests {
    use super::super::seeded::Seeded;
    use super::super::told::taken;
    use super::*;

    #[test]
    fn only_choices_are_written_down() {
        let mut recorded = Recorded::new(Seeded::new(7));
        let answers = taken(&mut recorded, &[1, 6, 1, 4]).unwrap();
        assert_eq!(answers, taken(Seeded::new(7), &[1, 6, 1, 4]).unwrap());
        let recording = recorded.into_recording();
        let made = recording
            .made()
            .iter()
            .map(|one| (one.index as usize, one.among));
        assert_eq!(Vec::from_iter(made), [(answers[1], 6), (answers[3], 4)]);
        assert!(!recording.is_cut());
        assert_eq!(recording.choices().len(), 2);
    }

    #[test]
    fn choices_beyond_the_bound_are_left_out() {
        let mut recorded = Recorded::new(Seeded::new(7));
        taken(&mut recorded, &[2; Choices::MAX]).unwrap();
        assert!(!recorded.recording().is_cut());
        taken(&mut recorded, &[2]).unwrap();
        assert!(recorded.recording().is_cut());
        assert_eq!(recorded.recording().made().len(), Choices::MAX);
    }
}
