//! Stop runs its steps in ascending order, whatever began and whatever was claimed.

use super::record::Record;
use super::sequence;
use super::{Breaks, Law};
use crate::journal::Phase;

pub(super) const LAW: Law = Law {
    name: "stop/ascending",
    rules: "2",
    statement: "Stop runs its steps in ascending order, whatever began and whatever was claimed.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    sequence::judge(
        record,
        breaks,
        Phase::Stop,
        |before, after| before.order <= after.order,
        "ascending",
    );
}
