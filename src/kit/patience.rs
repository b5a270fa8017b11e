//! How long a user's code may keep its thread in real time: as the simulator has it, or as the environment says, for
//! who looks at it with a debugger.

use std::time::Duration;

use crate::scenario::duration;
use crate::sim::Runners;

/// As a scenario file says a duration.
const PATIENCE: &str = "DEADSTOP_PATIENCE";

/// The threads to run on, so many.
///
/// # Panics
///
/// If they cannot be had, or if the environment says what is no duration.
#[track_caller]
pub(super) fn runners(threads: usize) -> Runners {
    let runners = Runners::new(threads).expect("threads to run scenarios on");
    match patience(std::env::var(PATIENCE).ok().as_deref()) {
        Ok(None) => runners,
        Ok(Some(limit)) => runners.patience(limit),
        Err(message) => panic!("{message}"),
    }
}

fn patience(said: Option<&str>) -> Result<Option<Duration>, String> {
    let Some(said) = said else { return Ok(None) };
    duration(said, 1, false)
        .map_err(|why| format!("{PATIENCE} cannot be {said:?}: {why}, as in {PATIENCE}=10m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_as_in_a_file() {
        assert_eq!(patience(None), Ok(None));
        assert_eq!(patience(Some("10m")), Ok(Some(Duration::from_secs(600))));
        let no_unit =
            "DEADSTOP_PATIENCE cannot be \"10\": it has no unit, as in DEADSTOP_PATIENCE=10m";
        assert_eq!(patience(Some("10")), Err(no_unit.to_owned()));
        for wrong in ["", "forever", "0ms", "2h", "ten"] {
            assert!(patience(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
