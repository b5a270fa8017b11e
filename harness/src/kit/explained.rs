//! Advice where a component did not end well by itself, and nothing in the file explains it: the broken law
//! `ends/explained`.

use crate::journal::{At, Kind, Ms, Outcome, What};
use crate::report::{Detail, Finding};
use crate::sim::Journal;

use super::notes;

/// Returns what the message of the law leaves out: where the component panicked, or when it was told to stop and how
/// its code can learn of it.
pub(super) fn details(journal: &Journal, finding: &Finding) -> Vec<Detail> {
    let text = text(journal, finding);
    if text.is_empty() {
        return Vec::new();
    }
    vec![Detail::Text(text)]
}

fn text(journal: &Journal, finding: &Finding) -> String {
    if finding.message.contains("panicked at") {
        return notes::panic_places(journal, &finding.message);
    }
    let Some(name) = &finding.component else {
        return String::new();
    };
    let events = || journal.events.iter().map(|event| (event.t, &event.what));
    let registered = events().find_map(|(_, what)| match what {
        What::Registered(it) if it.name == *name => Some(it),
        _ => None,
    });
    let Some(registered) = registered else {
        return String::new();
    };
    let overran = matches!(
        journal.outcome(name),
        Some(Outcome::TimedOut | Outcome::Aborted | Outcome::Leaked)
    );
    if !overran {
        return String::new();
    }
    let told = events().find_map(|(t, what)| match what {
        What::Told { name: of, .. } if of == name => Some(At(t)),
        _ => None,
    });
    let told = told.map_or_else(String::new, |at| format!("  it was told to stop at {at}\n"));
    let bound = Ms(registered.timeout);
    let way_out = match registered.kind {
        Kind::Thread | Kind::Watchdog => {
            "A thread learns this from its scope: `scope.running()` becomes false, and `scope.wait` and `scope.sleep` return"
                .to_owned()
        }
        Kind::Task | Kind::Main => {
            "A task learns this from its token: await `token.cancelled()`, or use a `biased` `select!` over it and the work".to_owned()
        }
        Kind::Stop | Kind::Cleanup | Kind::Closeable => format!(
            "Does it wait for something that cannot come, because stop or cleanup has already ended other components? If it only\ntakes longer than {bound}, give it a longer `timeout`"
        ),
    };
    format!("{told}{way_out}\n")
}
