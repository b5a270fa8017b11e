//! The steps of cleanup run in descending order, by the claims and by the begin of the called code.

use super::record::Record;
use super::sequence;
use super::{Breaks, Law};
use crate::journal::Phase;

pub(super) const LAW: Law = Law {
    name: "cleanup/descending",
    rules: "2",
    statement: "Cleanup runs its steps in descending order, both by the facts and by the claims.",
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
    use crate::laws::by_hand::{ByHand, day};

    #[test]
    fn lower_order_first_breaks() {
        day()
            .with_keys("registered cache", r#""order":300"#)
            .with_keys("step-started cache", r#""order":300"#)
            .with_keys("step-ended cache", r#""order":300"#)
            .breaks_only(LAW.name);
    }

    /// Returns a day on which `cache` has the lower order and its step begins later, but it is called before `db`.
    fn called_in_another_order() -> ByHand {
        day()
            .with_keys("registered cache", r#""order":-1"#)
            .with_keys("step-started cache", r#""order":-1"#)
            .with_keys("step-ended cache", r#""order":-1"#)
            .moved_after("ended cache", "step-started db")
            .moved_after("began cache", "step-started db")
    }

    const HELD: &str = r#"{"t":21500,"event":"held","id":3,"name":"drain"}"#;

    #[test]
    fn call_in_another_order_than_claimed_breaks() {
        called_in_another_order().breaks_only(LAW.name); // `db` is async, and nothing held it back.
    }

    #[test]
    fn async_call_that_a_held_executor_keeps_back_passes() {
        called_in_another_order()
            .after("ended drain", HELD)
            .breaks_nothing();
    }

    #[test]
    fn blocking_call_out_of_order_breaks_with_a_held_executor() {
        called_in_another_order()
            .with_keys("registered db", r#""async":false"#)
            .after("ended drain", HELD)
            .breaks_only(LAW.name);
    }
}
