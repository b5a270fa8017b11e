//! The events with which every journal begins.

use super::options::Options;
use crate::journal::{What, ms_rounded_up};
use crate::scenario::Scenario;
use crate::sim::subject::own::Own;

/// Returns the events with which every journal begins.
pub(crate) fn header(scenario: &Scenario, options: &Options, own: bool, host: &str) -> [What; 2] {
    let limits = &scenario.worker;
    let subject = if own {
        Own::SUBJECT
    } else {
        options.subject.as_str()
    };
    [
        What::Journal {
            version: crate::journal::VERSION,
            scenario: scenario.name.clone(),
            seed: options.seed,
            subject: subject.into(),
            host: host.into(),
        },
        What::Worker {
            grace: ms_rounded_up(limits.grace),
            reserve: ms_rounded_up(limits.reserve),
            margin: ms_rounded_up(limits.margin),
            ties: limits.ties,
            start_timeout: ms_rounded_up(limits.start_timeout),
            pre_stop: (!limits.pre_stop.is_zero()).then(|| ms_rounded_up(limits.pre_stop)),
        },
    ]
}
