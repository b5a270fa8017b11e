//! The rows of a picture: selects and sorts them, and gives the words beside each.

use crate::journal::{At, Ms, Phase};

use super::super::paint::{clean, cut, width};
use super::lane::Lane;
use super::story::{Story, Stretch};

/// Number of lanes above which those that merely ended well are folded into one line. If still more are left, all
/// that did not go wrong are folded.
const LANES: usize = 24;

/// A row below the axis.
pub(super) enum Row<'a> {
    Phase(&'a Stretch),
    Lane(Lane),
    /// The number of lanes that are folded into this row.
    More(usize),
}

impl Row<'_> {
    /// Returns the name before the row.
    pub(super) fn name(&self) -> String {
        match self {
            Row::Phase(stretch) => format!("{} phase", stretch.phase),
            Row::Lane(lane) => lane.name.clone(),
            Row::More(count) => format!("and {count} more"),
        }
    }

    /// Returns the words at the end of the row, in pieces.
    pub(super) fn words(&self) -> Vec<String> {
        match self {
            Row::Phase(stretch) => {
                let took = stretch
                    .to
                    .map(|to| Ms(to.saturating_sub(stretch.from)).to_string());
                let mut words = took.unwrap_or_else(|| "open".to_owned());
                if let Some(share) = stretch.share {
                    words += &format!(", share ends {}", At(share));
                }
                vec![words]
            }
            Row::Lane(lane) => lane.words.clone(),
            Row::More(_) => vec!["ok".to_owned()],
        }
    }

    /// Returns when the component went wrong, if it did, and all the words about it.
    pub(super) fn wrong(&self) -> Option<(u64, String)> {
        let Row::Lane(lane) = self else { return None };
        let (at, whole) = lane.bad.as_ref()?;
        Some((*at, format!("{} {whole}", lane.name)))
    }
}

/// Joins as many of the pieces as fit whole into `most` columns. If not even the first does, cuts that.
pub(super) fn fit(pieces: &[String], most: usize) -> String {
    let whole = (1..=pieces.len()).rev().map(|n| pieces[..n].join("; "));
    let mut whole = whole.filter(|text| width(&clean(text)) <= most);
    let first = pieces
        .first()
        .map_or(String::new(), |first| cut(first, most));
    whole.next().unwrap_or(first)
}

/// Returns the rows in their order: main, each phase above the components that have their first step in it, then the
/// components without a step.
pub(super) fn rows(story: &Story) -> Vec<Row<'_>> {
    let mut lanes: Vec<(Option<Phase>, Lane)> = story
        .parts
        .iter()
        .map(|part| {
            (
                part.steps.first().map(|step| step.phase),
                Lane::of(part, story),
            )
        })
        .collect();
    let all = lanes.len();
    if lanes.len() > LANES {
        lanes.retain(|(_, lane)| !lane.dull);
    }
    if lanes.len() > LANES {
        lanes.retain(|(_, lane)| lane.bad.is_some());
    }
    let more = all - lanes.len();
    let mut phases = story
        .phases
        .iter()
        .filter(|stretch| stretch.phase != Phase::Start || stretch.to != Some(stretch.from))
        .peekable();
    let mut rows = vec![];
    for (phase, lane) in lanes {
        // Main comes first, and has a step only if it was awaited.
        let until = match phase {
            None if rows.is_empty() => Some(Phase::Start),
            phase => phase,
        };
        while let Some(stretch) =
            phases.next_if(|stretch| until.is_none_or(|until| stretch.phase <= until))
        {
            rows.push(Row::Phase(stretch));
        }
        rows.push(Row::Lane(lane));
    }
    rows.extend(phases.map(Row::Phase));
    if more > 0 {
        rows.push(Row::More(more));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_that_do_not_fit_are_left_out() {
        let pieces = ["leaked after 2 s".to_owned(), "ended at 14.000".to_owned()];
        assert_eq!(fit(&pieces, 33), "leaked after 2 s; ended at 14.000");
        assert_eq!(fit(&pieces, 32), "leaked after 2 s");
        assert_eq!(fit(&pieces, 10), "leaked af…");
        assert_eq!(fit(&[], 10), "");
    }
}
