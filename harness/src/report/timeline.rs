//! Draws the picture of a run: a lane for each component over virtual time. It reads the journal alone.

mod axis;
mod gather;
mod lane;
mod legend;
mod row;
mod story;

use std::collections::BTreeMap;

use crate::journal::{At, Event, Ms};

use self::axis::Axis;
use self::lane::{Lane, Mark, Stroke};
use self::legend::Legend;
use self::row::{Row, join_fitting, ordered_rows};
use self::story::{End, PhasePeriod, Story};
use super::Style;
use super::paint::{Ink, Line, cut, width, wrap};

/// Minimum width of a picture, in columns.
const MIN_WIDTH: usize = 40;
/// Minimum number of columns in which the words at the end of a lane make sense.
const MIN_WORDS_WIDTH: usize = 11;
/// Maximum number of problems that are listed below the chart.
const MAX_PROBLEMS: usize = 6;

/// Draws a run from its journal: a ruler with the signals and the grace, a line for each phase, a lane for each
/// component, and the things that went wrong, in words.
///
/// Draws any list of events: one that was cut, one of a context that claims little, an empty one. No control
/// character of a name reaches the terminal.
///
/// # Example
///
/// ```
/// use deadstop_harness::journal::{Cause, Event, How, What};
///
/// let name = || "main".into();
/// let events = [
///     What::Began { id: 0, name: name(), nth: 1 },
///     What::Ended { id: 0, name: name(), nth: 1, how: How::Ok, error: None, code: None },
///     What::Exit { code: 0, cause: Cause::Returned },
/// ];
/// let events: Vec<Event> = (0..).zip(events).map(|(seq, what)| Event { t: 0, seq, what }).collect();
/// let picture = deadstop_harness::report::timeline(&events, Default::default());
/// assert!(picture.ends_with("exit 0 (returned) at 0.000\n"));
/// ```
pub fn timeline(events: &[Event], style: Style) -> String {
    let story = Story::of(events);
    let picture = Picture::new(&story, style.width.max(MIN_WIDTH));
    let mut out = String::new();
    for line in picture.lines() {
        line.write(&mut out, style.color);
    }
    out
}

struct Picture<'a> {
    story: &'a Story,
    rows: Vec<Row<'a>>,
    axis: Axis,
    width: usize,
    /// Number of columns of the names, of the chart after them, and of the words after the chart.
    name_columns: usize,
    chart_columns: usize,
    word_columns: usize,
}

impl<'a> Picture<'a> {
    fn new(story: &'a Story, width: usize) -> Self {
        let rows = ordered_rows(story);
        let longest = |of: &dyn Fn(&Row<'_>) -> String| {
            rows.iter()
                .map(|row| self::width(&of(row)))
                .max()
                .unwrap_or(0)
        };
        let name_columns = longest(&|row| row.name()).clamp(4, (width / 5).max(13));
        let min_chart_columns = (width * 9 / 20).min(width - name_columns - MIN_WORDS_WIDTH - 3);
        let word_columns =
            longest(&|row| row.words().join("; ")).max(self::width(&grace_words(story)));
        let word_columns = word_columns.min(width - name_columns - min_chart_columns - 3);
        let room = width - name_columns - word_columns - 3;
        let busy = story.busy_periods();
        let within = |from: u64, to: u64| {
            let next = busy.partition_point(|(start, _)| *start <= from);
            next > 0 && busy[next - 1].1 >= to
        };
        let axis = Axis::new(story.instants.clone(), within, room);
        Picture {
            story,
            rows,
            chart_columns: axis.width().max(12).min(room),
            axis,
            width,
            name_columns,
            word_columns,
        }
    }

    fn lines(&self) -> Vec<Line> {
        let mut legend = Legend::default();
        let mut lines = self.head();
        if !self.story.instants.is_empty() {
            let (times, ticks) = self.times();
            lines.push(times);
            lines.push(self.ruler(&ticks, &mut legend));
        }
        for row in &self.rows {
            lines.push(self.row(row, &mut legend));
        }
        lines.extend(legend.lines(self.width));
        lines.extend(self.end());
        lines
    }

    /// Returns the line that names the run, if the journal does.
    fn head(&self) -> Vec<Line> {
        let Some((scenario, seed, subject, host)) = &self.story.scenario else {
            return vec![];
        };
        let run = format!("seed {seed}, {subject} on {host}");
        let name = cut(scenario, self.width.saturating_sub(width(&run) + 2));
        let mut line = Line::of(&name, Ink::Plain);
        line.push("  ", Ink::Plain);
        line.push(&run, Ink::Dim);
        vec![line]
    }

    /// Returns the line with the times of the most important instants, each beginning over its column, and the
    /// columns at which they begin.
    fn times(&self) -> (Line, Vec<usize>) {
        let story = self.story;
        let ends = self.rows.iter().filter_map(|row| match row {
            Row::Lane(lane) => lane.problem.as_ref().map(|(at, _)| *at),
            _ => None,
        });
        let mut wanted: Vec<u64> = story.signals.iter().map(|(at, ..)| *at).collect();
        wanted.extend(story.requested.as_ref().map(|(at, _)| *at));
        wanted.push(story.last);
        wanted.extend(ends);
        wanted.push(story.first);
        wanted.extend(&story.instants);
        let mut taken: BTreeMap<usize, String> = BTreeMap::new();
        for at in wanted {
            let label = At(at).to_string();
            // The last time may begin before its column, so that it does not run into the words.
            let most = (self.chart_columns + 2 + self.word_columns).saturating_sub(label.len());
            let from = self.axis.column(at).min(most);
            let free = taken
                .iter()
                .all(|(start, text)| from + label.len() < *start || *start + text.len() < from);
            if free {
                taken.insert(from, label);
            }
        }
        let mut line = Line::default();
        let ticks = taken.keys().copied().collect();
        for (from, label) in taken {
            line.pad(self.name_columns + 1 + from);
            line.push(&label, Ink::Plain);
        }
        (line, ticks)
    }

    fn ruler(&self, ticks: &[usize], legend: &mut Legend) -> Line {
        let story = self.story;
        let grace = story.grace.map(|(at, _)| self.axis.column(at));
        let mut cells: Vec<(char, Ink)> = (0..self.axis.width())
            .map(|column| {
                if grace.is_some_and(|grace| column >= grace) {
                    ('━', Ink::Plain)
                } else {
                    ('─', Ink::Plain)
                }
            })
            .collect();
        if grace.is_some_and(|grace| grace + 1 < cells.len()) {
            legend.add('━', "grace");
        }
        if let Some(last) = cells.last_mut() {
            last.0 = '┤';
        }
        cells[0].0 = '├';
        for tick in ticks {
            if let Some(cell @ ('─' | '━', _)) = cells.get_mut(*tick) {
                cell.0 = '┼';
            }
        }
        for fold in self.axis.folds() {
            for (column, c) in fold.columns.clone().zip(fold.label.chars()) {
                cells[column] = (c, Ink::Dim);
            }
        }
        if let Some((at, reason)) = &story.requested {
            cells[self.axis.column(*at)] = ('S', Ink::Signal);
            if !story.signals.iter().any(|(signal, ..)| signal == at) {
                legend.add('S', reason);
            }
        }
        if let Some(at) = story.abandoned {
            cells[self.axis.column(at)] = ('D', Ink::Bad);
            legend.add('D', "dropped without a stop");
        }
        for (at, name, nth) in &story.signals {
            let c = match (name.number(), *nth) {
                (9, _) => 'K',
                (_, 0) => 'd',
                (_, nth) => char::from_digit(nth.min(9), 10).unwrap_or('9'),
            };
            cells[self.axis.column(*at)] = (c, Ink::Signal);
            let doubled = if *nth == 0 { ", doubled" } else { "" };
            legend.add(c, &format!("{name}{doubled}"));
        }
        let mut line = Line::default();
        line.pad(self.name_columns + 1);
        for (c, ink) in cells {
            line.put(c, ink);
        }
        line.pad(self.name_columns + 1 + self.chart_columns + 2);
        line.push(&cut(&grace_words(story), self.word_columns), Ink::Dim);
        line
    }

    fn row(&self, row: &Row<'_>, legend: &mut Legend) -> Line {
        let ink = match row {
            Row::Lane(lane) if lane.problem.is_some() => Ink::Bad,
            Row::Lane(_) => Ink::Plain,
            _ => Ink::Dim,
        };
        let mut line = Line::of(&cut(&row.name(), self.name_columns), ink);
        line.pad(self.name_columns + 1);
        match row {
            Row::Phase(phase) => self.phase(phase, &mut line, legend),
            Row::Lane(lane) => self.lane(lane, &mut line, legend),
            Row::Folded(_) => {}
        }
        line.pad(self.name_columns + 1 + self.chart_columns + 2);
        line.push(&join_fitting(&row.words(), self.word_columns), ink);
        line
    }

    fn phase(&self, phase: &PhasePeriod, line: &mut Line, legend: &mut Legend) {
        let from = self.axis.column(phase.from);
        let to = self.axis.column(phase.to.unwrap_or(self.story.last));
        let share = phase.share_used_up(self.story.last);
        let share = share.map(|share| self.axis.column(share));
        for column in 0..self.axis.width() {
            let c = match column {
                column if share == Some(column) => '|',
                column if column < from || column > to => ' ',
                column if column == from && from < to => '[',
                column if column == to && phase.to.is_some() => ']',
                _ => '-',
            };
            line.put(c, Ink::Dim);
        }
        if share.is_some() {
            legend.add('|', "share ends");
        }
    }

    fn lane(&self, lane: &Lane, line: &mut Line, legend: &mut Legend) {
        let mut cells: Vec<(Option<Stroke>, Option<Mark>)> = vec![(None, None); self.axis.width()];
        for (from, to, stroke) in &lane.strokes {
            let (from, to) = (self.axis.column(*from), self.axis.column(*to));
            for cell in cells.iter_mut().take(to + 1).skip(from) {
                cell.0 = cell.0.max(Some(*stroke));
            }
        }
        for (at, mark) in &lane.marks {
            let cell = &mut cells[self.axis.column(*at)];
            cell.1 = cell.1.max(Some(*mark));
        }
        for (column, (stroke, mark)) in cells.into_iter().enumerate() {
            // A fold hides only strokes that go on all through it, and probes that succeed.
            let (sign, ink) = match (stroke, mark) {
                (Some(_), _) if self.axis.is_folded(column) => (('~', "skipped"), Ink::Dim),
                (_, Some(mark)) => (mark.sign(), mark.ink()),
                (Some(Stroke::LeftBehind), None) => (Stroke::LeftBehind.sign(), Ink::Bad),
                (Some(stroke), None) => (stroke.sign(), Ink::Plain),
                (None, None) => ((' ', ""), Ink::Plain),
            };
            legend.add(sign.0, sign.1);
            line.put(sign.0, ink);
        }
    }

    /// Returns the lines about how the run ended, and what went wrong, in order of time.
    fn end(&self) -> Vec<Line> {
        let story = self.story;
        let first = story
            .signals
            .first()
            .map(|(at, name, _)| (*at, name.to_string()));
        let asked = story
            .requested
            .as_ref()
            .map(|(at, _)| (*at, "the request".to_owned()));
        // Durations count from the first signal or from the request, whichever came first: a call may have requested
        // the stop before any signal came.
        let since = match (first, asked) {
            (Some(first), Some(asked)) if asked.0 < first.0 => Some(asked),
            (first, asked) => first.or(asked),
        };
        let after = |t: u64| match since.clone() {
            Some((at, what)) => format!(", {} after {what}", Ms(t.saturating_sub(at))),
            None => String::new(),
        };
        let mut problems: Vec<(u64, String)> = self.rows.iter().filter_map(Row::problem).collect();
        let calls = story.refused_calls.iter();
        problems.extend(
            calls.map(|(at, call, why)| (*at, format!("the call {call} was refused ({why})"))),
        );
        problems.sort_by_key(|(at, _)| *at);
        let (text, bad) = match &story.end {
            End::Exit(t, code, cause) => (
                format!("exit {code} ({cause}) at {}{}", At(*t), after(*t)),
                *code != 0,
            ),
            End::Stuck(t, why, name) => (
                format!("stuck ({why}) at {}, by {name}: no exit", At(*t)),
                true,
            ),
            End::Cut if story.instants.is_empty() => ("an empty journal".to_owned(), false),
            End::Cut => (
                format!("the journal ends at {} without an exit", At(story.last)),
                false,
            ),
        };
        let ink = if bad { Ink::Bad } else { Ink::Plain };
        let mut lines: Vec<Line> = wrap(&text, self.width)
            .iter()
            .map(|text| Line::of(text, ink))
            .collect();
        let column = problems
            .iter()
            .map(|(at, _)| width(&At(*at).to_string()))
            .max()
            .unwrap_or(0)
            + 2;
        for (at, what) in problems.iter().take(MAX_PROBLEMS) {
            for (n, text) in wrap(what, self.width - column - 2).iter().enumerate() {
                let time = if n == 0 {
                    At(*at).to_string()
                } else {
                    String::new()
                };
                let mut line = Line::of(&format!("{time:>column$}"), Ink::Plain);
                line.push("  ", Ink::Plain);
                line.push(text, Ink::Bad);
                lines.push(line);
            }
        }
        if let Some(more @ 1..) = problems.len().checked_sub(MAX_PROBLEMS) {
            lines.push(Line::of(
                &format!("{:column$}  and {more} more", ""),
                Ink::Bad,
            ));
        }
        lines
    }
}

fn grace_words(story: &Story) -> String {
    story.grace.map_or(String::new(), |(_, kill)| {
        format!("grace ends {}", At(kill))
    })
}
