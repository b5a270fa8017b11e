//! Starts the threads on which the kit runs scenarios, with the limits of real time that the environment sets.

use std::time::Duration;

use super::panics;
use crate::scenario::duration;
use crate::sim::Runners;

/// Environment variable: the longest time for which a user's code may keep its thread. It is longer for a debugger,
/// and shorter to find short waits.
const PATIENCE_VAR: &str = "DEADSTOP_PATIENCE";
/// Environment variable: the longest time that one run may take in all.
const TIME_LIMIT_VAR: &str = "DEADSTOP_TIME_LIMIT";

/// Starts that number of threads, with the limits that the environment sets.
///
/// # Panics
///
/// If they cannot be started, or if the environment sets a limit that is no duration.
#[track_caller]
pub(super) fn runners(threads: usize) -> Runners {
    panics::install_hook();
    let mut runners = Runners::new(threads).expect("threads to run scenarios on");
    let limit = |name| match read(name, std::env::var(name).ok().as_deref()) {
        Ok(limit) => limit,
        Err(message) => panic!("{message}"),
    };
    if let Some(patience) = limit(PATIENCE_VAR) {
        runners = runners.patience(patience);
    }
    if let Some(limit) = limit(TIME_LIMIT_VAR) {
        runners = runners.time_limit(limit);
    }
    runners
}

/// Parses a duration as it is written in a scenario file.
fn read(name: &str, value: Option<&str>) -> Result<Option<Duration>, String> {
    let Some(value) = value else { return Ok(None) };
    duration(value, 1, false)
        .map_err(|why| format!("{name} cannot be {value:?}: {why}; an example is {name}=10m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_is_read_as_in_a_file() {
        assert_eq!(read(PATIENCE_VAR, None), Ok(None));
        let ten = Some(Duration::from_secs(600));
        assert_eq!(read(PATIENCE_VAR, Some("10m")), Ok(ten));
        let no_unit = "DEADSTOP_TIME_LIMIT cannot be \"10\": it has no unit; an example is DEADSTOP_TIME_LIMIT=10m";
        assert_eq!(read(TIME_LIMIT_VAR, Some("10")), Err(no_unit.to_owned()));
        for wrong in ["", "forever", "0ms", "2h", "ten"] {
            assert!(read(PATIENCE_VAR, Some(wrong)).is_err(), "{wrong}");
        }
    }
}
