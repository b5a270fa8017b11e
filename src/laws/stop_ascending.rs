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

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::day;

    #[test]
    fn a_later_order_first() {
        day()
            .with("registered drain", r#""order":-5"#)
            .with("step-started drain", r#""order":-5"#)
            .with("step-ended drain", r#""order":-5"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn orders_far_from_the_others() {
        day()
            .with("registered bye", r#""order":5"#)
            .with("step-started bye", r#""order":5"#)
            .with("registered drain", r#""order":9"#)
            .with("step-started drain", r#""order":9"#)
            .breaks_only(LAW.name);
    }
}
