//! `deadstop accept` and `deadstop reject`: what becomes of pending snapshots.

use std::path::PathBuf;

use clap::Args;

use crate::report::{Policy, Store};

use super::output::out;
use super::{Done, Exit, place};

/// Accept pending snapshots.
#[derive(Debug, Args)]
pub struct Accept {
    /// Parts of the names of snapshots; all that is pending without any
    #[arg(value_name = "FILTER")]
    what: Vec<String>,
    /// Delete the snapshots that belong to no scenario, too
    #[arg(long, conflicts_with = "what")]
    unreferenced: bool,
}

/// Throw pending snapshots away.
#[derive(Debug, Args)]
pub struct Reject {
    /// Parts of the names of snapshots; all that is pending without any
    #[arg(value_name = "FILTER")]
    what: Vec<String>,
}

/// In CI nothing is written to snapshots, whoever asks.
fn outside_of_ci() -> Result<(), (Exit, String)> {
    let variable = |name| std::env::var(name).ok();
    let policy = Policy::from_env(variable("CI").as_deref(), None).map_err(failed)?;
    if policy == Policy::Nothing {
        let why = "CI is set, and in CI nothing is written to `snapshots`; accept and reject where you work";
        return Err((Exit::Usage, why.to_owned()));
    }
    Ok(())
}

fn failed(error: impl ToString) -> (Exit, String) {
    (Exit::Failed, error.to_string())
}

/// The snapshots beside the scenarios here.
fn store() -> Result<Store, (Exit, String)> {
    let scenarios = place::scenarios().ok_or((
        Exit::Nothing,
        "there is no folder `scenarios` here or above, and so no snapshots".to_owned(),
    ))?;
    let snapshots = scenarios
        .parent()
        .map_or_else(PathBuf::new, PathBuf::from)
        .join("snapshots");
    Ok(Store::new(snapshots))
}

/// What is pending and meant by the arguments.
fn pending(store: &Store, what: &[String]) -> Result<Vec<String>, (Exit, String)> {
    let pending = store.pending().map_err(failed)?;
    let meant = |filter: &String| {
        let name = filter
            .trim_start_matches("scenarios/")
            .trim_end_matches(".toml")
            .to_owned();
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
        let names = meant(filter);
        if names.is_empty() {
            let waits = if pending.is_empty() {
                "nothing".to_owned()
            } else {
                pending.join(", ")
            };
            return Err((
                Exit::Nothing,
                format!("nothing is pending for {filter:?}; what is: {waits}"),
            ));
        }
        chosen.extend(names);
    }
    chosen.sort();
    chosen.dedup();
    Ok(chosen)
}

impl Accept {
    pub fn run(self) -> Done {
        outside_of_ci()?;
        let store = store()?;
        let names = pending(&store, &self.what)?;
        for name in &names {
            store.accept(name).map_err(failed)?;
            out(&format!("accepted {name}\n"))?;
        }
        let mut removed = 0;
        if self.unreferenced {
            let found = place::select(&[]).map_err(failed)?.found;
            for path in store
                .unreferenced(found.iter().map(|found| found.name.as_str()))
                .map_err(failed)?
            {
                std::fs::remove_file(&path).map_err(|error| {
                    failed(format!("cannot delete {}: {error}", path.display()))
                })?;
                out(&format!("deleted {}\n", path.display()))?;
                removed += 1;
            }
        }
        if names.is_empty() && removed == 0 {
            out("nothing is pending\n")?;
        }
        Ok(Exit::Well)
    }
}

impl Reject {
    pub fn run(self) -> Done {
        outside_of_ci()?;
        let store = store()?;
        let names = pending(&store, &self.what)?;
        for name in &names {
            store.reject(name).map_err(failed)?;
            out(&format!("rejected {name}\n"))?;
        }
        if names.is_empty() {
            out("nothing is pending\n")?;
        }
        Ok(Exit::Well)
    }
}
