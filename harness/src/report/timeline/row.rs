//! The rows of a picture: selects and sorts them, and gives the words beside each.

use crate::journal::{At, Ms, Phase};

use super::super::paint::{clean, cut, width};
use super::lane::Lane;
use super::story::{PhasePeriod, Story};

/// Number of lanes above which those that merely ended well are folded into one line. If still more are left, all
/// that did not go wrong are folded.
const MAX_LANES: usize = 24;

/// A row below the axis.
pub(super) enum Row<'a> {
    Phase(&'a PhasePeriod),
    Lane(Lane),
    /// The number of lanes that are folded into this row.
    Folded(usize),
}

impl Row<'_> {
    /// Returns the name before the row.
    pub(super) fn name(&self) -> String {
        match self {
            Row::Phase(period) => format!("{} phase", period.phase),
            Row::Lane(lane) => lane.name.clone(),
            Row::Folded(count) => format!("and {count} more"),
        }
    }

    /// Returns the words at the end of the row, in pieces.
    pub(super) fn words(&self) -> Vec<String> {
        match self {
            Row::Phase(period) => {
                let took = period
                    .to
                    .map(|to| Ms(to.saturating_sub(period.from)).to_string());
                let mut words = took.unwrap_or_else(|| "open".to_owned());
                if let Some(share) = period.share {
                    words += &format!(", share ends {}", At(share));
                }
                vec![words]
            }
            Row::Lane(lane) => lane.words.clone(),
            Row::Folded(_) => vec!["ok".to_owned()],
        }
    }

    /// Returns when the component went wrong, if it did, and all the words about it.
    pub(super) fn problem(&self) -> Option<(u64, String)> {
        let Row::Lane(lane) = self else { return None };
        let (at, whole) = lane.problem.as_ref()?;
        Some((*at, format!("{} {whole}", lane.name)))
    }
}

/// Joins as many of the pieces as fit whole into `most` columns. If not even the first does, cuts that.
pub(super) fn join_fitting(pieces: &[String], most: usize) -> String {
    let whole = (1..=pieces.len()).rev().map(|n| pieces[..n].join("; "));
    let mut whole = whole.filter(|text| width(&clean(text)) <= most);
    let first = pieces
        .first()
        .map_or(String::new(), |first| cut(first, most));
    whole.next().unwrap_or(first)
}

/// Returns the rows in their order: main, each phase above the components that have their first step in it, then the
/// components without a step.
pub(super) fn ordered_rows(story: &Story) -> Vec<Row<'_>> {
    let mut lanes: Vec<(Option<Phase>, Lane)> = story
        .components
        .iter()
        .map(|component| {
            (
                component.steps.first().map(|step| step.phase),
                Lane::of(component, story),
            )
        })
        .collect();
    let all = lanes.len();
    if lanes.len() > MAX_LANES {
        lanes.retain(|(_, lane)| !lane.is_plain_ok);
    }
    if lanes.len() > MAX_LANES {
        lanes.retain(|(_, lane)| lane.problem.is_some());
    }
    let more = all - lanes.len();
    let mut phases = story
        .phases
        .iter()
        .filter(|period| period.phase != Phase::Start || period.to != Some(period.from))
        .peekable();
    let mut rows = vec![];
    for (phase, lane) in lanes {
        // Main comes first, and has a step only if it was awaited.
        let until = match phase {
            None if rows.is_empty() => Some(Phase::Start),
            phase => phase,
        };
        while let Some(period) =
            phases.next_if(|period| until.is_none_or(|until| period.phase <= until))
        {
            rows.push(Row::Phase(period));
        }
        rows.push(Row::Lane(lane));
    }
    rows.extend(phases.map(Row::Phase));
    if more > 0 {
        rows.push(Row::Folded(more));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_that_do_not_fit_are_left_out() {
        let pieces = ["leaked after 2 s".to_owned(), "ended at 14.000".to_owned()];
        assert_eq!(
            join_fitting(&pieces, 33),
            "leaked after 2 s; ended at 14.000"
        );
        assert_eq!(join_fitting(&pieces, 32), "leaked after 2 s");
        assert_eq!(join_fitting(&pieces, 10), "leaked af…");
        assert_eq!(join_fitting(&[], 10), "");
    }
}
