//! Writes a simulated run and a live run side by side.

use std::fmt::Write;

use super::Style;
use super::paint::{Ink, Line, cut};
use crate::journal::At;
use crate::live::{Difference, Side};

/// Number of lines that are shown before and after a line that differs.
const CONTEXT_LINES: usize = 3;
/// Maximum number of tracks that are shown.
const MAX_TRACKS: usize = 8;

/// Returns the difference of a live run from the simulation, track by track: the simulation on the left, the live run
/// on the right. Lines that differ have a mark between them. A style narrower than 60 columns is taken as 60.
pub fn side_by_side(difference: &Difference, style: Style) -> String {
    let mut out = String::new();
    let half = (style.width.max(60) - 3) / 2;
    let _ = writeln!(
        out,
        "{:half$}   live",
        format!(
            "simulated (seed {} of {})",
            difference.seed, difference.seeds
        )
    );
    for (name, sides) in difference.tracks.iter().take(MAX_TRACKS) {
        Line::of(name, Ink::Dim).write(&mut out, style.color);
        let mut skipped = false;
        for (at, side) in sides.iter().enumerate() {
            let near = sides
                .iter()
                .enumerate()
                .any(|(other, side)| !side.is_same() && other.abs_diff(at) <= CONTEXT_LINES);
            if !near {
                skipped = true;
                continue;
            }
            if std::mem::take(&mut skipped) {
                Line::of("  …", Ink::Dim).write(&mut out, style.color);
            }
            write_row(&mut out, side, half, style);
        }
    }
    if difference.tracks.len() > MAX_TRACKS {
        let _ = writeln!(out, "and {} more", difference.tracks.len() - MAX_TRACKS);
    }
    out
}

fn write_row(out: &mut String, side: &Side, half: usize, style: Style) {
    let column = |side: &Option<(u64, String)>| {
        side.as_ref().map_or_else(String::new, |(t, line)| {
            let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
            cut(&format!("  {:>9}  {words}", At(*t).to_string()), half)
        })
    };
    let same = side.is_same();
    let mut line = Line::of(
        &column(&side.simulated),
        if same { Ink::Plain } else { Ink::Good },
    );
    line.pad(half);
    line.push(
        if same { "   " } else { " ≠ " },
        if same { Ink::Plain } else { Ink::Bad },
    );
    line.push(
        &column(&side.live),
        if same { Ink::Plain } else { Ink::Bad },
    );
    line.write(out, style.color);
}
