//! Each callback is called once, however often and from wherever stop is called. Each component has one step, under
//! its own name, kind and order.

use super::record::Record;
use super::{Breaks, Law};
use crate::journal::{At, What};

pub(super) const LAW: Law = Law {
    name: "steps/exactly-once",
    rules: "2, 8",
    statement: "Each callback is called once, however often stop is called and from wherever. Each component has one step, with its own name, kind and order.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    for (at, event) in record.events.iter().enumerate() {
        if let What::Began { name, nth, .. } = &event.what
            && *nth > 1
        {
            breaks.at(
                at,
                format!(
                    "\"{name}\" was run again at {} (run number {nth})",
                    At(event.t)
                ),
            );
        }
    }
    for component in &record.components {
        if let (false, Some(at)) = (record.is_plan, component.misnamed) {
            breaks.at(
                at,
                format!(
                    "the step of \"{}\" has another name, kind or order than its registration",
                    component.name_or_unknown()
                ),
            );
        }
        for at in &component.more_steps {
            breaks.at(
                *at,
                format!(
                    "\"{}\" had another step at {}",
                    component.name_or_unknown(),
                    At(record.time_of(*at))
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::day;

    #[test]
    fn step_under_another_order_breaks() {
        day()
            .with_keys("step-started cache", r#""order":-1"#)
            .breaks_only(LAW.name);
    }

    #[test]
    fn callback_called_again_breaks() {
        day()
            .after(
                "ended cache",
                r#"{"t":31700,"event":"began","id":11,"name":"cache","nth":2}"#,
            )
            .breaks_only(LAW.name);
    }
}
