//! Cleanup runs its steps in descending order, whatever began and whatever was claimed.

use super::record::Record;
use super::sequence;
use super::{Breaks, Law};
use crate::journal::Phase;

pub(super) const LAW: Law = Law {
    name: "cleanup/descending",
    rules: "2",
    statement: "Cleanup runs its steps in descending order, whatever began and whatever was claimed.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    sequence::judge(
        record,
        breaks,
        Phase::Cleanup,
        |before, after| before.order >= after.order,
        "descending",
    );
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::day;

    #[test]
    fn a_lower_order_first() {
        day()
            .with("registered cache", r#""order":300"#)
            .with("step-started cache", r#""order":300"#)
            .with("step-ended cache", r#""order":300"#)
            .breaks_only(LAW.name);
    }
}
