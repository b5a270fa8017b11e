//! The laws: properties that every journal must have.
//!
//! A law reads a journal and nothing else. It is written against the contract and never calls the
//! context: a law that reused the code it judges would agree with its bugs.
//!
//! Each law is a file with its statement in plain words, and with journals written by hand, one of
//! which breaks it and only it. [`judge`] reads a journal once, into a record, and asks every law.

mod record;

use crate::journal::Event;
use record::Record;

/// A property that every journal must have.
#[derive(Clone, Copy, Debug)]
pub struct Law {
    /// Its name, as `breaks` in a scenario file and every verdict carry it.
    pub name: &'static str,
    /// The rules of the contract that it watches over.
    pub rules: &'static str,
    /// What it says, in plain words.
    pub statement: &'static str,
    judge: fn(&Record<'_>, &mut Breaks<'_>),
}

/// A law that a journal breaks, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The law's name.
    pub law: &'static str,
    /// When, in milliseconds since the worker began.
    pub t: u64,
    /// The number of the event at which it shows.
    pub seq: u64,
    /// What is wrong, in one sentence, with names and times.
    pub message: String,
}

/// At most so many breaks of one law are told of a journal: the first ones say it all.
pub const BREAKS_A_LAW: usize = 20;

/// Collects what breaks one law.
struct Breaks<'a> {
    law: &'static str,
    events: &'a [Event],
    found: &'a mut Vec<Broken>,
    told: usize,
}

impl Breaks<'_> {
    /// The law is broken at that event.
    fn at(&mut self, index: usize, message: String) {
        self.told += 1;
        if self.told > BREAKS_A_LAW {
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

static LAWS: &[Law] = &[];

/// Every law, in the order in which they are judged.
pub fn all() -> &'static [Law] {
    LAWS
}

/// What a journal breaks: by law in the order of [`all`], each law's breaks in the order of time.
///
/// Any list of events is judged; none makes a law panic.
pub fn judge(events: &[Event]) -> Vec<Broken> {
    let record = Record::new(events);
    let mut found = Vec::new();
    for law in all() {
        let mut breaks = Breaks {
            law: law.name,
            events,
            found: &mut found,
            told: 0,
        };
        (law.judge)(&record, &mut breaks);
    }
    found
}
