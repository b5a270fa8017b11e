//! `deadstop replay`: runs again what a failure names, or what a journal has recorded.

use std::path::Path;

use clap::Args;

use deadstop_harness::journal::{Event, VERSION, What, parse_json, text};
use deadstop_harness::report::diff;
use deadstop_harness::scenario::read_whole;
use deadstop_harness::sim::{Options, Own, Subject};
use deadstop_harness::words::shown_path;

use super::options::RunArgs;
use super::output::{err, out, style};
use super::run;
use super::view::run_and_show;
use super::{Context, Done, Exit};

/// Maximum size of a journal that is read, in bytes.
const MAX_JOURNAL_BYTES: u64 = 256 << 20;

/// Run a failed scenario or a recorded journal again.
///
/// The last line of a failure gives the arguments. A recorded journal is the output of `run --format json`: its first
/// line names the scenario, the seed and the context. The new run is compared with it, event by event.
#[derive(Debug, Args)]
pub struct Replay {
    /// A scenario, as for `run`, or a recorded journal (a file whose name ends in .jsonl)
    what: String,
    #[command(flatten)]
    how: RunArgs,
}

impl Replay {
    pub fn run(self) -> Done {
        let path = Path::new(&self.what);
        if path
            .extension()
            .is_some_and(|extension| extension == "jsonl")
        {
            return self.replay_recorded(path);
        }
        let Some(loaded) = run::find(&self.what)? else {
            return Ok(Exit::Invalid);
        };
        run_and_show(&loaded, &self.how, &self.how.options()).map(|(exit, _)| exit)
    }

    fn replay_recorded(&self, path: &Path) -> Done {
        let invalid = |message: String| (Exit::Invalid, format!("{}: {message}", shown_path(path)));
        let recorded = read_whole(path, MAX_JOURNAL_BYTES)
            .map_err(|error| invalid(format!("cannot read it: {error}")))?;
        let recorded = String::from_utf8(recorded)
            .map_err(|_| invalid("cannot read it: it is not UTF-8".to_owned()))?;
        let recorded = parse_json(&recorded).map_err(|error| invalid(error.to_string()))?;
        let Some(Event {
            what:
                What::Journal {
                    version,
                    scenario,
                    seed,
                    subject,
                    host,
                },
            ..
        }) = recorded.first()
        else {
            return Err(invalid(
                "its first line is not a `journal` event, which names the scenario".to_owned(),
            ));
        };
        if &**subject == Own::SUBJECT {
            return Err(invalid(
                "it is the journal of a service's own worker: run it again with the tests of that worker"
                    .to_owned(),
            ));
        }
        if *version != VERSION {
            return Err(invalid(format!(
                "it has version {version} of the journal; expected version {VERSION}"
            )));
        }
        if &**host != "sim" {
            return Err(invalid(format!(
                "it was recorded on the host {host:?}: only a run of the simulator can be replayed"
            )));
        }
        let plan = match &**subject {
            worker if worker == Subject::Worker.as_str() => false,
            plan if plan == Subject::Plan.as_str() => true,
            other => {
                return Err(invalid(format!(
                    "its subject is {other:?}; expected {:?} or {:?}",
                    Subject::Worker.as_str(),
                    Subject::Plan.as_str()
                )));
            }
        };
        let found = run::find(scenario).map_err(|(exit, message)| {
            let hint =
                "the journal names its scenario by the path in its project: replay it from the folder of that project";
            (exit, format!("{message}\n{hint}"))
        })?;
        let Some(loaded) = found else {
            return Ok(Exit::Invalid);
        };
        let subject = if plan { Context::Plan } else { Context::Worker };
        let options = Options {
            seed: *seed,
            subject: subject.into(),
            ..Options::default()
        };
        let (exit, events) = run_and_show(&loaded, &self.how, &options)?;
        if exit == Exit::Nothing {
            return Ok(exit);
        }
        if events == recorded {
            err(&format!("as recorded: {} events", recorded.len()));
            return Ok(exit);
        }
        out(&diff(&text(&recorded), &text(&events), style()))?;
        err("not as recorded (- recorded, + now): the scenario or the context has changed since");
        Ok(exit.and(Exit::Failed))
    }
}
