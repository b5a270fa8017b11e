//! The state moves forward only, and nothing is started once stop has begun.

use super::record::Record;
use super::{Breaks, Law};
use crate::journal::{At, Phase, State, What};

pub(super) const LAW: Law = Law {
    name: "states/forward",
    rules: "1, 9",
    statement: "The state moves forward only, and nothing is started once stop has begun.",
    judge,
};

fn judge(record: &Record<'_>, breaks: &mut Breaks<'_>) {
    let mut before: Option<State> = None;
    for (at, state) in &record.states {
        if let Some(before) = before.filter(|before| before >= state) {
            breaks.at(
                *at,
                format!(
                    "the state went from {before} to {state} at {}",
                    At(record.t(*at))
                ),
            );
        }
        before = Some(*state);
    }
    let Some(stop) = record.phase_began(Phase::Stop) else {
        return;
    };
    for (at, event) in record.events.iter().enumerate().skip(stop + 1) {
        if let What::Began { id: 0, .. } = event.what {
            breaks.at(at, format!("main began at {}, after stop", At(event.t)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LAW;
    use crate::laws::by_hand::day;

    #[test]
    fn a_state_that_comes_back() {
        day()
            .after(
                "state cleaning-up",
                r#"{"t":21500,"event":"state","state":"running"}"#,
            )
            .breaks_only(LAW.name);
    }
}
