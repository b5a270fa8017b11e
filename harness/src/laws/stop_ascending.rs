//! The steps of stop run in ascending order, by the claims and by the begin of the called code.

use super::record::Record;
use super::sequence;
use super::{Breaks, Law};
use crate::journal::Phase;

pub(super) const LAW: Law = Law {
    name: "stop/ascending",
    rules: "2",
    statement: "Stop runs its steps in ascending order, both by the facts and by the claims.",
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
    use crate::laws::by_hand::{ByHand, day};

    #[test]
    fn later_order_first_breaks() {
        day()
            .with_keys("registered drain", r#""order":-5"#)
            .with_keys("step-started drain", r#""order":-5"#)
            .with_keys("step-ended drain", r#""order":-5"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn later_order_first_among_large_orders_breaks() {
        day()
            .with_keys("registered bye", r#""order":5"#)
            .with_keys("step-started bye", r#""order":5"#)
            .with_keys("registered drain", r#""order":9"#)
            .with_keys("step-started drain", r#""order":9"#)
            .breaks_only(LAW.name);
    }

    /// Returns a day on which `bye` has the later order and its step begins later, but it is called first.
    fn called_in_another_order() -> ByHand {
        day()
            .with_keys("registered bye", r#""order":20"#)
            .with_keys("step-started bye", r#""order":20"#)
            .with_keys("step-ended bye", r#""order":20"#)
            .moved_after("ended bye", "step-started drain")
            .moved_after("began bye", "step-started drain")
    }

    #[test]
    fn call_in_another_order_than_claimed_breaks() {
        called_in_another_order().breaks_only(LAW.name);
    }

    #[test]
    fn message_has_the_time_of_the_call() {
        let late = called_in_another_order()
            .shifted("began drain", 300)
            .messages(LAW.name);
        assert_eq!(
            late,
            [
                r#""drain" (order 10) came after "bye" (order 20) at 21.800: orders must be ascending"#
            ]
        );
    }
}
