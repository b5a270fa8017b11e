//! The time axis: places the instants in columns, and folds long stretches.
//!
//! Time runs evenly, with two exceptions. Each instant keeps a column of its own where there is room, so that the
//! order of instants shows. And a long stretch in which nothing changes takes a few columns however long it is:
//! otherwise the picture of a worker that ran for an hour before it was stopped in two seconds would be a picture of
//! the hour.

use std::ops::Range;

use crate::journal::Ms;

/// Factor by which a stretch has to be longer than all others together to be folded, if it is not folded as idle
/// time: the others would share less than a twelfth of the picture.
const FOLD_FACTOR: u128 = 12;

/// The axis of one picture.
#[derive(Debug)]
pub(super) struct Axis {
    instants: Vec<u64>,
    columns: Vec<usize>,
    folds: Vec<Fold>,
}

/// A stretch that was folded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fold {
    /// The columns between its two instants.
    pub columns: Range<usize>,
    /// The time that was skipped between tildes, or one tilde if there is no room; as wide as the columns.
    pub label: String,
}

impl Axis {
    /// Creates an axis over sorted instants in `width` columns. `busy` returns whether something was awaited all
    /// through the stretch between two neighbouring instants.
    pub(super) fn new(instants: Vec<u64>, busy: impl Fn(u64, u64) -> bool, width: usize) -> Self {
        let gaps: Vec<Gap> = instants
            .windows(2)
            .map(|pair| Gap {
                length: pair[1] - pair[0],
                busy: busy(pair[0], pair[1]),
            })
            .collect();
        let room = width.saturating_sub(1);
        let mut folded = to_fold(&gaps);
        // Each fold takes its columns and one more, for the instant at its end. The longest folds are labelled with
        // their time, the others are a tilde. All of them together may take half of the picture.
        let mut taken = 2 * folded.iter().filter(|folded| **folded).count();
        if taken > room / 2 {
            folded.fill(false);
            taken = 0;
        }
        let mut longest: Vec<usize> = (0..gaps.len()).filter(|&n| folded[n]).collect();
        longest.sort_by_key(|&n| std::cmp::Reverse(gaps[n].length));
        let mut labels = vec!["~".to_owned(); gaps.len()];
        for n in longest {
            let label = label(gaps[n].length);
            if taken + label.len() - 1 <= room / 2 {
                taken += label.len() - 1;
                labels[n] = label;
            }
        }
        let rest = room - taken;
        let free = || gaps.iter().zip(&folded).filter(|(_, folded)| !**folded);
        let each = usize::from(free().count() * 2 <= rest);
        let shared = (rest - each * free().count().min(rest)) as u128;
        let total: u128 = free().map(|(gap, _)| u128::from(gap.length)).sum();
        let mut axis = Axis {
            columns: vec![0; instants.len().min(1)],
            instants,
            folds: vec![],
        };
        // The sum is rounded, not each share, so that errors do not add up.
        let (mut fixed, mut past) = (0, 0_u128);
        for ((gap, folded), label) in gaps.iter().zip(folded).zip(labels) {
            let from = axis.columns.last().map_or(0, |column| column + 1);
            if folded {
                fixed += label.len() + 1;
                axis.folds.push(Fold {
                    columns: from..from + label.len(),
                    label,
                });
            } else {
                fixed += each;
                past += u128::from(gap.length);
            }
            let share = (past * shared).checked_div(total).unwrap_or(0) as usize;
            axis.columns.push(fixed + share);
        }
        axis
    }

    /// Returns the number of columns that the axis takes.
    pub(super) fn width(&self) -> usize {
        self.columns.last().map_or(0, |column| column + 1)
    }

    /// Returns the column of an instant. A time between two instants has the place between their columns where it
    /// would be.
    pub(super) fn column(&self, t: u64) -> usize {
        let Err(next) = self.instants.binary_search(&t) else {
            // Of equal instants the first counts, and the search above may find any of them.
            let at = self.instants.partition_point(|instant| *instant < t);
            return self.columns[at];
        };
        let (Some(before), Some(after)) = (next.checked_sub(1), self.columns.get(next)) else {
            // The time is before the first instant, or after the last.
            return if next == 0 {
                0
            } else {
                self.width().saturating_sub(1)
            };
        };
        let (from, to) = (self.instants[before], self.instants[next]);
        let columns = (after - self.columns[before]) as u128;
        let share = u128::from(t - from) * columns / u128::from(to - from);
        self.columns[before] + share as usize
    }

    /// Returns the stretches that were folded, in order.
    pub(super) fn folds(&self) -> &[Fold] {
        &self.folds
    }

    /// Returns whether a column lies in a fold.
    pub(super) fn is_folded(&self, column: usize) -> bool {
        self.folds.iter().any(|fold| fold.columns.contains(&column))
    }
}

struct Gap {
    length: u64,
    busy: bool,
}

fn label(length: u64) -> String {
    format!("~{}~", Ms(length)).replace(' ', "")
}

/// Returns which stretches to fold. An idle stretch is folded if it is longer than half of the time in which
/// something was awaited: that time is what the picture is about.
fn to_fold(gaps: &[Gap]) -> Vec<bool> {
    let mut folded = vec![false; gaps.len()];
    let work: u128 = gaps
        .iter()
        .filter(|gap| gap.busy)
        .map(|gap| u128::from(gap.length))
        .sum();
    if work > 0 {
        for (gap, folded) in gaps.iter().zip(&mut folded) {
            *folded = !gap.busy && u128::from(gap.length) * 2 > work;
        }
    }
    let mut left: Vec<usize> = (0..gaps.len()).filter(|&n| !folded[n]).collect();
    left.sort_by_key(|&n| gaps[n].length);
    let mut sum: u128 = left.iter().map(|&n| u128::from(gaps[n].length)).sum();
    while let Some(longest) = left.pop() {
        let length = u128::from(gaps[longest].length);
        sum -= length;
        if sum == 0 || length <= sum * FOLD_FACTOR {
            break;
        }
        folded[longest] = true;
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an axis whose stretches are busy from the instant `busy` on.
    fn axis(instants: &[u64], busy: u64, width: usize) -> Axis {
        Axis::new(instants.to_vec(), |from, _| from >= busy, width)
    }

    #[test]
    fn time_runs_evenly() {
        let axis = axis(&[0, 1_000, 3_000, 4_000], 0, 43);
        // 42 columns are shared: each of three stretches has one for certain, and 39 are left for four seconds.
        assert_eq!(axis.columns, [0, 1 + 9, 2 + 29, 3 + 39]);
        assert_eq!(axis.column(2_000), 10 + 10);
        assert_eq!(axis.column(9_000), 42);
        assert!(axis.folds().is_empty());
    }

    #[test]
    fn idle_time_is_folded_and_labelled_with_its_length() {
        let axis = axis(&[0, 3_600_000, 3_602_000], 3_600_000, 40);
        let label = "~3600s~".to_owned();
        assert_eq!(
            axis.folds(),
            [Fold {
                columns: 1..8,
                label
            }]
        );
        assert_eq!(axis.columns, [0, 8, 39]);
        assert!(axis.is_folded(7) && !axis.is_folded(8) && !axis.is_folded(0));
    }

    #[test]
    fn short_idle_time_is_not_folded() {
        assert!(axis(&[0, 1_000, 3_000], 1_000, 40).folds().is_empty());
    }

    #[test]
    fn a_long_wait_is_folded_only_if_it_would_hide_the_rest() {
        assert!(axis(&[0, 1_000, 13_000], 0, 40).folds().is_empty());
        assert_eq!(axis(&[0, 1_000, 13_001], 0, 40).folds().len(), 1);
    }

    #[test]
    fn run_without_waits_is_not_folded_entirely() {
        assert!(axis(&[0, 30_000, 60_000], u64::MAX, 40).folds().is_empty());
    }

    #[test]
    fn many_folds_lose_labels_and_too_many_are_not_folded() {
        let mut instants: Vec<u64> = (0..=6).map(|n| n * 10_000).collect();
        instants.push(61_000);
        let some = axis(&instants, 60_000, 40);
        let labels: Vec<&str> = some.folds().iter().map(|fold| &*fold.label).collect();
        // 19 columns for six folds: 12 for their tildes, 4 for a label; the 3 that are left are too few for another
        // label.
        assert_eq!(labels, ["~10s~", "~", "~", "~", "~", "~"]);
        let many = axis(&instants, 60_000, 20);
        assert!(many.folds().is_empty());
    }

    #[test]
    fn extremes_fit() {
        assert_eq!(axis(&[], 0, 40).width(), 0);
        assert_eq!(axis(&[], 0, 40).column(7), 0);
        assert_eq!(axis(&[5], 0, 40).width(), 1);
        assert_eq!(axis(&[0, u64::MAX], 0, 40).width(), 40);
        assert_eq!(axis(&(0..500).collect::<Vec<_>>(), 0, 40).width(), 40);
        assert_eq!(axis(&[0, 1], 0, 0).width(), 1);
    }
}
