//! Marks: check characters of a recorded schedule.

use super::point::{Point, PointKind};
use crate::journal::ms_rounded_down;

/// Maximum number of candidates of one choice that a mark covers, besides their number.
const MAX_COVERED: usize = 32;

/// Number of different marks. A mark is one character of the text form, `0` to `9` or `a` to `v`.
pub(super) const MARKS: u32 = 32;

/// Hash over the choices of a run so far: their kinds, instants and candidates, but not what was taken. A departure
/// changes all marks after it, so it escapes `n` of them with a probability of 1 to 32 to the power of `n`.
///
/// It is FNV-1a, since marks must be the same on every machine and in every version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marker(u64);

impl Marker {
    pub fn new() -> Self {
        Marker(0xcbf2_9ce4_8422_2325)
    }

    /// Adds a choice, and returns its mark.
    pub fn add(&mut self, point: &Point<'_>) -> u8 {
        let candidates = point.candidates();
        self.bytes(&[match point.kind() {
            PointKind::Turn => 0,
            PointKind::Return => 1,
        }]);
        let at_ms = ms_rounded_down(point.at());
        self.bytes(&at_ms.to_le_bytes());
        self.bytes(&(candidates.len() as u64).to_le_bytes());
        for candidate in candidates.iter().take(MAX_COVERED) {
            self.bytes(&candidate.id.to_le_bytes());
            self.bytes(candidate.name.as_bytes());
            self.bytes(&[0xff]);
        }
        // The low bits of a product depend on few bits of its factor, so the highest five are taken.
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        u8::try_from(mixed >> 59).unwrap_or(0)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::point::Candidate;
    use super::*;

    /// Returns the marks of 20 choices that are alike, of which `change` may change the first.
    fn marks(change: impl FnOnce(&mut PointKind, &mut u64, &mut [Candidate<'static>])) -> Vec<u8> {
        let mut candidates = [
            Candidate { id: 1, name: "a" },
            Candidate { id: 2, name: "b" },
        ];
        let (mut kind, mut second, mut marker) = (PointKind::Turn, 1, Marker::new());
        change(&mut kind, &mut second, &mut candidates);
        let first = marker.add(&Point::new(kind, Duration::from_secs(second), &candidates));
        let like = [
            Candidate { id: 1, name: "a" },
            Candidate { id: 2, name: "b" },
        ];
        let rest = (0..19).map(|_| marker.add(&Point::new(PointKind::Turn, Duration::ZERO, &like)));
        std::iter::once(first).chain(rest).collect()
    }

    #[test]
    fn each_part_of_a_choice_changes_the_marks_after_it() {
        let same = marks(|_, _, _| ());
        assert!(same.iter().all(|mark| u32::from(*mark) < MARKS));
        let changed = [
            marks(|kind, _, _| *kind = PointKind::Return),
            marks(|_, second, _| *second = 2),
            marks(|_, _, candidates| candidates[1].id = 3),
            marks(|_, _, candidates| candidates[0].name = "c"),
        ];
        for changed in changed {
            let differ = same.iter().zip(&changed).filter(|(a, b)| a != b).count();
            assert!(differ >= 15, "{differ} of 20 marks");
        }
    }

    #[test]
    fn marks_never_change_between_versions() {
        assert_eq!(marks(|_, _, _| ())[..6], [17, 2, 10, 8, 9, 16]);
    }
}
