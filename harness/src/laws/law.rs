//! What a law is, and what breaks it.

use std::fmt;

use super::record::Record;
use crate::journal::Event;

/// A property that every journal must have.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Law {
    /// The law's name, as `breaks` in a scenario file and every verdict give it.
    pub name: &'static str,
    /// The rules of the contract that it checks.
    pub rules: &'static str,
    /// The law's statement, in plain words.
    pub statement: &'static str,
    pub(super) judge: fn(&Record<'_>, &mut Breaks<'_>),
}

/// Two laws are the same if they have the same name.
impl PartialEq for Law {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Law {}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

/// A law that a journal breaks, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broken {
    /// The law.
    pub law: &'static Law,
    /// The instant of the break, in milliseconds since the worker began.
    pub t: u64,
    /// The number of the event at which the break shows.
    pub seq: u64,
    /// A description of the break in one sentence, with names and times.
    pub message: String,
}

/// Maximum number of breaks of one law that are reported for a journal: the first ones are enough.
pub const BREAKS_A_LAW: usize = 20;

/// Collects the breaks of one law.
pub(super) struct Breaks<'a> {
    pub(super) law: &'static Law,
    pub(super) events: &'a [Event],
    pub(super) found: &'a mut Vec<Broken>,
    pub(super) count: usize,
}

impl Breaks<'_> {
    /// Records that the event at `index` breaks the law.
    pub(super) fn at(&mut self, index: usize, message: String) {
        self.count += 1;
        if self.count > BREAKS_A_LAW {
            return;
        }
        let (t, seq) = self
            .events
            .get(index)
            .map_or((0, 0), |event| (event.t, event.seq));
        self.found.push(Broken {
            law: self.law,
            t,
            seq,
            message,
        });
    }
}
