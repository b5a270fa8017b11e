//! Snapshots and pending logs that belong to no scenario of a check.

use std::path::Path;
use std::sync::Arc;

use deadstop_harness::report::{Check, Finding, SnapshotError, SnapshotFault, SourceFile, Store};
use deadstop_harness::words::{escaped, shown_path};

use crate::case::Case;
use crate::place;

/// Returns a finding for each snapshot that no scenario has, and for each pending log that no scenario of this check
/// gave; or the finding that the snapshots cannot be read.
pub(super) fn leftover_findings(scenarios: &Path, cases: &[Case]) -> Vec<Finding> {
    leftovers(scenarios, cases).unwrap_or_else(|error| {
        let finding = Finding::new(Check::Snapshot(SnapshotFault::Error), error.to_string());
        vec![finding]
    })
}

fn leftovers(scenarios: &Path, cases: &[Case]) -> Result<Vec<Finding>, SnapshotError> {
    let store = Store::new(place::snapshots(scenarios));
    let mut leftovers = Vec::new();
    for path in store.unreferenced(cases.iter().map(|case| case.found.name.as_str()))? {
        let path = shown_path(&path);
        let message = format!(
            "{path}: no scenario has this snapshot; delete it with `deadstop accept --unreferenced`"
        );
        let finding = Finding::new(Check::Snapshot(SnapshotFault::Unreferenced), message);
        let text = String::new();
        leftovers.push(finding.in_file(&Arc::new(SourceFile { path, text }), None));
    }
    for name in store.pending()? {
        let reported = cases
            .iter()
            .any(|case| case.found.name == name && !case.is_well());
        if !reported {
            let name = escaped(&name);
            let message = format!(
                "{name}: a log is pending that the scenario no longer gives; delete it with `deadstop reject {name}`"
            );
            leftovers.push(Finding::new(
                Check::Snapshot(SnapshotFault::Pending),
                message,
            ));
        }
    }
    Ok(leftovers)
}
