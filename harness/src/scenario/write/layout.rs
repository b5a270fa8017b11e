//! Writes a whole scenario file: its tables, and the comments between them.

use super::lines::Lines;
use super::tables;
use crate::scenario::keys::Place;
use crate::scenario::model::Scenario;
use crate::scenario::table::{Field, Table, Value};
use deadstop::context::ResolvedLimits;

/// Maximum number of characters of a line with a list; a longer list has one line for each item.
const LINE_CHARS: usize = 100;

/// Writes a scenario as the text of a file, as a person would write it: without defaults, one component and one event
/// in each line.
///
/// [`parse`](super::super::parse) reads the text as the same scenario, if it has the same name, and the scenario was
/// parsed from a file or is one that a file can state. A file has at most
/// [`FILE_BYTES`](super::super::limits::FILE_BYTES); a scenario whose file nearly fills them may need more when it is
/// written with these spaces and lines.
///
/// [`Layout`] adds comments, and knows the limits of a user's own worker.
///
/// ```
/// use deadstop_harness::scenario;
///
/// let text = r#"title = "The db is closed"
///
/// [worker]
/// components = [{ closeable = "db", takes = "500ms" }]
///
/// [timeline]
/// events = [
///   { at = "5s", slow = "db", by = "1s" },
///   { at = "10s", signal = "SIGTERM" },
/// ]
///
/// [expect]
/// exit    = 0
/// closed  = ["db"]
/// ends-at = "11500ms"
/// "#;
/// let scenario = scenario::parse("db", text)?;
/// assert_eq!(scenario::write(&scenario), text);
/// # Ok::<(), scenario::Invalid>(())
/// ```
#[must_use]
pub fn write(scenario: &Scenario) -> String {
    Layout::new().write(scenario)
}

/// A line of a written file, by what stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Spot {
    /// A key of the file, of `[worker]`, of `[timeline]` or of `[expect]`. The line of `worker`, `timeline` or `expect`
    /// in [`Place::Top`] is the head of that table.
    Key(Place, &'static str),
    /// The component at that position. The position after the last one is the line that ends the list.
    Component(usize),
    /// The line of the component at that position; a comment is about this key of it.
    ComponentKey(usize, &'static str),
    /// The event at that position. The position after the last one is the line that ends the list.
    Event(usize),
    /// The line of the event at that position; a comment is about this key of it.
    EventKey(usize, &'static str),
}

/// The comments of a file, and what is written beyond the necessary.
///
/// A comment on a key writes the key, also where its value is the default. A comment on a line that the file does not
/// have is left out. No comment changes what the file says.
///
/// ```
/// use deadstop_harness::scenario::{self, Layout, Spot};
///
/// let text = "title = \"A\"\n[worker]\ncomponents = [{ thread = \"flusher\" }]\n";
/// let scenario = scenario::parse("a", text)?;
/// let layout = Layout::new()
///     .before(Spot::Component(0), "The last writer.")
///     .beside(Spot::ComponentKey(0, "join-timeout"), "fails below 3s");
/// assert_eq!(
///     layout.write(&scenario),
///     r#"title = "A"
///
/// [worker]
/// components = [
///   ## The last writer.
///   { thread = "flusher", join-timeout = "2s" }, # fails below 3s
/// ]
/// "#
/// );
/// # Ok::<(), scenario::Invalid>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Layout {
    comments: Vec<Comment>,
    limits: Option<ResolvedLimits>,
}

#[derive(Clone, Debug)]
struct Comment {
    spot: Spot,
    is_beside: bool,
    text: String,
}

impl Layout {
    /// Returns a layout without comments.
    pub fn new() -> Self {
        Layout::default()
    }

    /// Adds a comment on lines of its own before a line. Each line of the text becomes a line of the comment.
    pub fn before(self, spot: Spot, text: impl Into<String>) -> Self {
        self.comment(spot, false, text.into())
    }

    /// Adds a comment at the end of a line. Several on one line are separated by semicolons.
    pub fn beside(self, spot: Spot, text: impl Into<String>) -> Self {
        self.comment(spot, true, text.into())
    }

    /// Sets the limits that a user's own worker has without the file; [`parse_with`](super::super::parse_with) takes
    /// the same. Limits of the scenario that equal them are left out.
    pub fn limits(mut self, limits: ResolvedLimits) -> Self {
        self.limits = Some(limits);
        self
    }

    fn comment(mut self, spot: Spot, is_beside: bool, text: String) -> Self {
        self.comments.push(Comment {
            spot,
            is_beside,
            text,
        });
        self
    }

    /// Writes a scenario with these comments, otherwise as [`write()`] does.
    #[must_use]
    pub fn write(&self, scenario: &Scenario) -> String {
        let mut lines = Lines::default();
        self.push_table(&mut lines, Place::Top, &tables::top(scenario));
        let worker = tables::worker(&scenario.worker, self.limits.as_ref());
        for (name, place, table) in [
            ("worker", Place::Worker, worker),
            (
                "timeline",
                Place::Timeline,
                tables::timeline(&scenario.timeline),
            ),
            ("expect", Place::Expect, tables::expect(&scenario.expect)),
        ] {
            let head = Spot::Key(Place::Top, name);
            if self.written(place, &table).next().is_some() || self.has_comment(head) {
                lines.push_empty();
                self.push_line(&mut lines, "", &[head], format!("[{name}]"));
                self.push_table(&mut lines, place, &table);
            }
        }
        lines.into_text()
    }

    /// Adds the keys of a table.
    fn push_table(&self, lines: &mut Lines, place: Place, table: &Table) {
        let is_aligned = matches!(place, Place::Worker | Place::Expect);
        let aligned = self
            .written(place, table)
            .filter(|field| is_aligned && !matches!(field.value, Value::Tables(_)));
        let width = aligned.map(|field| field.key.len()).max().unwrap_or(0);
        for field in self.written(place, table) {
            let spot = Spot::Key(place, field.key);
            match &field.value {
                Value::One(value) => {
                    let line = format!("{:width$} = {value}", field.key);
                    self.push_line(lines, "", &[spot], line);
                }
                Value::List(items) => {
                    let key = format!("{:width$}", field.key);
                    self.push_list(lines, spot, &key, items);
                }
                Value::Tables(tables) => self.push_tables(lines, spot, tables),
            }
        }
    }

    /// Adds a list of texts, in one line if it is short.
    fn push_list(&self, lines: &mut Lines, spot: Spot, key: &str, items: &[String]) {
        let line = format!("{key} = [{}]", items.join(", "));
        if line.chars().count() <= LINE_CHARS || items.len() < 2 {
            self.push_line(lines, "", &[spot], line);
            return;
        }
        self.push_line(lines, "", &[spot], format!("{key} = ["));
        for item in items {
            lines.push(format!("  {item},"), "");
        }
        lines.push("]", "");
    }

    /// Adds the components or the events: a single one in one line if it is short, else each in a line of its own.
    fn push_tables(&self, lines: &mut Lines, list: Spot, tables: &[Table]) {
        let Spot::Key(_, key) = list else { return };
        let is_components = key == "components";
        let spots = |n: usize| match is_components {
            true => Spot::Component(n),
            false => Spot::Event(n),
        };
        let ends = |n: usize| self.spots_of(spots(n));
        let inline: Vec<String> = tables
            .iter()
            .enumerate()
            .map(|(n, table)| self.inline(&ends(n), table))
            .collect();
        let line = format!("{key} = [{}]", inline.join(", "));
        let has_comment = (0..=tables.len()).any(|n| !ends(n).is_empty());
        let is_short = inline.len() < 2 && line.chars().count() <= LINE_CHARS;
        lines.begin_block();
        if is_short && !has_comment {
            self.push_line(lines, "", &[list], line);
            return;
        }
        self.push_line(lines, "", &[list], format!("{key} = ["));
        lines.begin_block();
        for (n, inline) in inline.iter().enumerate() {
            self.push_line(lines, "  ", &ends(n), format!("  {inline},"));
        }
        self.push_line(lines, "  ", &ends(tables.len()), "]".to_owned());
        lines.begin_block();
    }

    /// Returns a component or an event in one line. Keys that have their default are left out unless one of the
    /// comments in `spots` is about them.
    fn inline(&self, spots: &[Spot], table: &Table) -> String {
        let is_named = |field: &Field| {
            spots.iter().any(|spot| match spot {
                Spot::ComponentKey(_, key) | Spot::EventKey(_, key) => *key == field.key,
                _ => false,
            })
        };
        let fields: Vec<String> = table
            .fields
            .iter()
            .filter(|field| !field.is_default || is_named(field))
            .map(|Field { key, value, .. }| match value {
                Value::One(value) => format!("{key} = {value}"),
                Value::List(items) => format!("{key} = [{}]", items.join(", ")),
                // Tables stand in tables of the file only.
                Value::Tables(_) => String::new(),
            })
            .collect();
        format!("{{ {} }}", fields.join(", "))
    }

    /// Adds a line with the comments that stand before and beside it.
    fn push_line(&self, lines: &mut Lines, indent: &str, spots: &[Spot], line: String) {
        let (beside, before): (Vec<_>, Vec<_>) =
            self.at(spots).partition(|comment| comment.is_beside);
        for comment in before {
            lines.push_comment(indent, &comment.text);
        }
        let beside: Vec<&str> = beside.iter().map(|comment| &*comment.text).collect();
        lines.push(line, &beside.join("; "));
    }

    /// Returns the keys of a table that are written: those without a default, with another value, or with a comment.
    fn written<'t>(&self, place: Place, table: &'t Table) -> impl Iterator<Item = &'t Field> {
        table
            .fields
            .iter()
            .filter(move |field| !field.is_default || self.has_comment(Spot::Key(place, field.key)))
    }

    fn has_comment(&self, spot: Spot) -> bool {
        self.at(&[spot]).next().is_some()
    }

    /// Returns the comments at these spots, in the order in which they were added.
    fn at(&self, spots: &[Spot]) -> impl Iterator<Item = &Comment> {
        self.comments
            .iter()
            .filter(move |comment| spots.contains(&comment.spot))
    }

    /// Returns the spots with comments that share the line of a component or event.
    fn spots_of(&self, line: Spot) -> Vec<Spot> {
        let spots = self.comments.iter().map(|comment| comment.spot);
        spots
            .filter(|spot| match (line, spot) {
                (Spot::Component(n), Spot::Component(of) | Spot::ComponentKey(of, _))
                | (Spot::Event(n), Spot::Event(of) | Spot::EventKey(of, _)) => n == *of,
                _ => false,
            })
            .collect()
    }
}
