//! `deadstop accept` and `deadstop reject`: accept pending snapshots, or throw them away.

use std::path::Path;

use clap::Args;

use deadstop_harness::journal::text;
use deadstop_harness::report::{Finding, Policy, SnapshotError, Store, judge};
use deadstop_harness::sim::{FURTHER_SEEDS, Journal, Options};

use super::output::{err, out};
use super::place::{self, FoundFile};
use super::view::{load, run_guarded};
use super::{Done, Exit};
use deadstop_harness::words::{escaped, shown_path};

/// Accept pending snapshots: the logs of the last check become the accepted ones.
#[derive(Debug, Args)]
pub struct Accept {
    /// Parts of names of snapshots [default: all pending snapshots]
    #[arg(value_name = "FILTER")]
    what: Vec<String>,
    /// Only delete the snapshots that belong to no scenario; accept none
    #[arg(long, conflicts_with = "what")]
    unreferenced: bool,
}

/// Reject pending snapshots: delete the logs of the last check.
#[derive(Debug, Args)]
pub struct Reject {
    /// Parts of names of snapshots [default: all pending snapshots]
    #[arg(value_name = "FILTER")]
    what: Vec<String>,
}

/// Fails in CI, where no command writes to the snapshots.
fn refuse_in_ci() -> Result<(), (Exit, String)> {
    let variable = |name| std::env::var(name).ok();
    let policy = Policy::from_env(variable("CI").as_deref(), None).map_err(failed)?;
    if policy == Policy::Nothing {
        let why = "the environment variable CI is set, and in CI no command changes `snapshots`; accept and reject on your own machine";
        return Err((Exit::Usage, why.to_owned()));
    }
    Ok(())
}

fn failed(error: impl ToString) -> (Exit, String) {
    (Exit::Failed, error.to_string())
}

/// Returns the store of the snapshots beside the folder of scenarios.
fn store() -> Result<Store, (Exit, String)> {
    let scenarios = place::scenarios().ok_or((
        Exit::Nothing,
        "there are no snapshots, because there is no folder `scenarios` here or above".to_owned(),
    ))?;
    Ok(Store::new(place::snapshots(&scenarios)))
}

/// Returns the names of the pending snapshots that the arguments select.
fn pending(store: &Store, what: &[String]) -> Result<Vec<String>, (Exit, String)> {
    if what.iter().any(|what| what == place::STDIN) {
        let why = "`-` is not the name of a snapshot: a scenario from standard input has none";
        return Err((Exit::Usage, why.to_owned()));
    }
    let pending = store.pending().map_err(failed)?;
    let selected_by = |filter: &str, file: Option<&String>| {
        let name = filter.trim_start_matches("./");
        let name = name.trim_start_matches("scenarios/");
        let name = name.trim_end_matches(".toml").to_owned();
        // A file selects its own snapshot, and so does a full name: neither is taken as a part of other names.
        let whole = file.unwrap_or(&name);
        if file.is_some() || pending.contains(whole) {
            return pending
                .iter()
                .filter(|one| *one == whole)
                .cloned()
                .collect();
        }
        pending
            .iter()
            .filter(move |pending| pending.contains(&name))
            .cloned()
            .collect::<Vec<_>>()
    };
    if what.is_empty() {
        return Ok(pending.clone());
    }
    let mut chosen = Vec::new();
    for filter in what {
        let path = Path::new(filter);
        let file = place::name_of_file(path);
        let names = selected_by(filter, file.as_ref());
        if names.is_empty() {
            let why = if file.is_some() {
                format!(
                    "nothing is pending for {filter:?}; `deadstop check` makes a log pending if it is not accepted and nothing else fails"
                )
            } else if path.is_file() {
                format!(
                    "{filter:?} has no snapshot: only files below the folder `scenarios` have one"
                )
            } else {
                let waits = if pending.is_empty() {
                    "nothing else is pending either; `deadstop check` makes a log pending if it is not accepted and nothing else fails".to_owned()
                } else {
                    format!("pending are: {}", escaped(&pending.join(", ")))
                };
                format!("nothing is pending for {filter:?}; {waits}")
            };
            return Err((Exit::Nothing, why));
        }
        chosen.extend(names);
    }
    chosen.sort();
    chosen.dedup();
    Ok(chosen)
}

impl Accept {
    pub fn run(self) -> Done {
        refuse_in_ci()?;
        let store = store()?;
        store.sweep().map_err(failed)?;
        // `--unreferenced` only deletes snapshots, and accepts none.
        let names = match self.unreferenced {
            true => Vec::new(),
            false => pending(&store, &self.what)?,
        };
        let mut exit = Exit::Well;
        let scenarios = place::by_name().map_err(failed)?;
        for name in &names {
            match accept(&store, name, scenarios.get(name))? {
                Accepted::Yes => out(&format!("accepted {}\n", escaped(name)))?,
                Accepted::Gone => out(&format!(
                    "accepted or rejected by another command: {}\n",
                    escaped(name)
                ))?,
                Accepted::No(why) => {
                    exit = exit.and(Exit::Failed);
                    err(&format!("not accepted: {}: {why}", escaped(name)));
                }
            }
        }
        let mut removed = 0;
        if self.unreferenced {
            for path in store
                .unreferenced(scenarios.keys().map(String::as_str))
                .map_err(failed)?
            {
                std::fs::remove_file(&path).map_err(|error| {
                    failed(format!("cannot delete {}: {error}", shown_path(&path)))
                })?;
                out(&format!("deleted {}\n", shown_path(&path)))?;
                removed += 1;
            }
        }
        if names.is_empty() && removed == 0 {
            let nothing = if self.unreferenced {
                "every snapshot has its scenario\n"
            } else {
                "nothing is pending\n"
            };
            out(nothing)?;
        }
        Ok(exit)
    }
}

/// Result of accepting a snapshot.
enum Accepted {
    Yes,
    /// It was pending when the command began, and no longer is: several commands may accept or reject at once.
    Gone,
    /// It was not accepted, for this reason.
    No(String),
}

fn accept(
    store: &Store,
    name: &str,
    found: Option<&FoundFile>,
) -> Result<Accepted, (Exit, String)> {
    let Some(pending) = store.pending_text(name).map_err(failed)? else {
        return Ok(Accepted::Gone);
    };
    if let Err(why) = check_acceptable(&pending, found)? {
        return Ok(Accepted::No(why));
    }
    match store.accept(name) {
        Ok(()) => Ok(Accepted::Yes),
        Err(SnapshotError::NotPending { .. }) => Ok(Accepted::Gone),
        Err(error) => Err(failed(error)),
    }
}

/// Checks whether a pending log may be accepted: it is what the scenario gives now, and breaks nothing. The inner
/// error is the reason against it.
fn check_acceptable(
    pending: &str,
    found: Option<&FoundFile>,
) -> Result<Result<(), String>, (Exit, String)> {
    let Some(found) = found else {
        return Ok(Err(
            "no scenario has this name any longer; reject the snapshot".to_owned(),
        ));
    };
    let bytes = found.read().map_err(failed)?;
    let Some(loaded) = load(&found.name, &found.shown(), &bytes) else {
        return Ok(Err("the scenario file has mistakes".to_owned()));
    };
    let journal = run_guarded(&loaded.scenario, &Options::default())
        .map_err(|message| (Exit::Internal, message))?;
    let log = text(&journal.events);
    if pending != log.trim_end() {
        return Ok(Err(
            "the scenario no longer gives the pending log; run `deadstop check` again".to_owned(),
        ));
    }
    let judged = |journal: &Journal| {
        let findings = judge(&loaded.scenario, &loaded.file, &journal.events);
        findings.first().map(Finding::sentence)
    };
    if let Some(wrong) = judged(&journal) {
        return Ok(Err(format!(
            "{wrong}; correct it, and run `deadstop check` again"
        )));
    }
    // As in `check`, laws and expectations that hold for some orders only are not enough.
    for seed in FURTHER_SEEDS {
        let options = Options {
            seed,
            ..Options::default()
        };
        let journal =
            run_guarded(&loaded.scenario, &options).map_err(|message| (Exit::Internal, message))?;
        if let Some(wrong) = judged(&journal) {
            return Ok(Err(format!(
                "with seed {seed}: {wrong}; correct it, and run `deadstop check` again"
            )));
        }
    }
    Ok(Ok(()))
}

impl Reject {
    pub fn run(self) -> Done {
        refuse_in_ci()?;
        let store = store()?;
        let names = pending(&store, &self.what)?;
        for name in &names {
            store.reject(name).map_err(failed)?;
            out(&format!("rejected {}\n", escaped(name)))?;
        }
        if names.is_empty() {
            out("nothing is pending\n")?;
        }
        Ok(Exit::Well)
    }
}
