//! Each callback is called once, however often and from wherever stop is; each component has one step.

use super::record::Record;
use super::{Breaks, Law};
use crate::journal::At;
use crate::journal::What;

pub(super) const LAW: Law = Law {
    name: "steps/exactly-once",
    rules: "2, 8",
    statement: "Each callback is called once, however often and from wherever stop is; each component has one step.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    for (at, event) in record.events.iter().enumerate() {
        if let What::Began { name, nth, .. } = &event.what {
            if *nth > 1 {
                breaks.at(
                    at,
                    format!("\"{name}\" ran for the {nth}. time at {}", At(event.t)),
                );
            }
        }
    }
    for part in &record.parts {
        for at in &part.more_steps {
            breaks.at(
                *at,
                format!(
                    "\"{}\" had another step at {}",
                    part.named(),
                    At(record.t(*at))
                ),
            );
        }
    }
}
