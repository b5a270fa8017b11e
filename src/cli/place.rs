//! Where scenarios and their snapshots are, and which of them a command is about.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::report::Store;
use crate::scenario::limits;

/// The folder that holds scenarios, by its name.
const SCENARIOS: &str = "scenarios";
/// The folder beside it that holds their snapshots.
const SNAPSHOTS: &str = "snapshots";
/// More files than this are not looked for.
const FILES: usize = 100_000;
/// Folders nested deeper than this are not looked into.
const DEPTH: usize = 32;

/// A scenario file that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The scenario's name: its path below the scenarios' folder, without `.toml`.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// The folder of its snapshots, if it lies below a folder of scenarios.
    pub snapshots: Option<PathBuf>,
}

impl Found {
    /// A file, as it lies.
    pub fn at(path: &Path) -> Self {
        let without = path.with_extension("");
        let parts: Vec<_> = without.iter().collect();
        let root = parts
            .iter()
            .rposition(|part| *part == SCENARIOS)
            .filter(|at| at + 1 < parts.len());
        let name = |parts: &[&std::ffi::OsStr]| {
            parts
                .iter()
                .map(|part| part.to_string_lossy())
                .collect::<Vec<_>>()
                .join("/")
        };
        match root {
            Some(root) => Found {
                name: name(&parts[root + 1..]),
                path: path.to_owned(),
                snapshots: Some(parts[..root].iter().collect::<PathBuf>().join(SNAPSHOTS)),
            },
            None => Found {
                name: name(&parts[parts.len().saturating_sub(1)..]),
                path: path.to_owned(),
                snapshots: None,
            },
        }
    }

    /// Where its snapshot is.
    pub fn store(&self) -> Option<Store> {
        self.snapshots.clone().map(Store::new)
    }

    /// Its bytes: one more than a file may have, at most.
    ///
    /// # Errors
    ///
    /// What the system says, with the path.
    pub fn read(&self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        fs::File::open(&self.path)
            .and_then(|file| {
                file.take(limits::FILE_BYTES as u64 + 1)
                    .read_to_end(&mut bytes)
            })
            .map_err(|error| format!("cannot read {}: {error}", self.path.display()))?;
        Ok(bytes)
    }
}

/// Which scenarios a command is about.
#[derive(Debug, Default)]
pub struct Selection {
    /// What was found, in the order of the names.
    pub found: Vec<Found>,
    /// The arguments that matched nothing.
    pub unmatched: Vec<String>,
    /// Whether it is everything in these folders of scenarios: then what is left over there counts too.
    pub whole: Vec<PathBuf>,
}

/// The folder of scenarios: in the current folder, or in the nearest one above it that has one.
pub fn scenarios() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let root = here
        .ancestors()
        .find(|folder| folder.join(SCENARIOS).is_dir())?;
    // As short as it can be said.
    let folder = root.join(SCENARIOS);
    Some(if root == here {
        PathBuf::from(SCENARIOS)
    } else {
        folder
    })
}

/// Every scenario file below a folder, sorted by name.
fn below(folder: &Path) -> Result<Vec<Found>, String> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let entries = fs::read_dir(&folder)
            .map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
        for entry in entries {
            let path = entry
                .map_err(|error| format!("cannot read {}: {error}", folder.display()))?
                .path();
            if path.is_dir() && depth < DEPTH {
                folders.push((path, depth + 1));
            } else if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                found.push(Found::at(&path));
            }
            if found.len() > FILES {
                return Err(format!(
                    "more than {FILES} scenario files below {}",
                    folder.display()
                ));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What the arguments of a command select: each is a path of a file or folder, or a part of a name, or
/// a tag. None is everything.
///
/// # Errors
///
/// A folder that cannot be read.
pub fn select(arguments: &[String]) -> Result<Selection, String> {
    let mut selection = Selection::default();
    let root = scenarios();
    let all = root.as_deref().map(below).transpose()?.unwrap_or_default();
    if arguments.is_empty() {
        selection.found = all;
        selection.whole.extend(root);
        return Ok(selection);
    }
    let mut chosen = BTreeMap::new();
    for argument in arguments {
        let path = Path::new(argument);
        let matching = if path.is_dir() {
            if path.file_name().is_some_and(|name| name == SCENARIOS) {
                selection.whole.push(path.to_owned());
            }
            below(path)?
        } else if path.is_file() {
            vec![Found::at(path)]
        } else {
            by_filter(&all, argument)
        };
        if matching.is_empty() {
            selection.unmatched.push(argument.clone());
        }
        chosen.extend(
            matching
                .into_iter()
                .map(|found| (found.name.clone(), found)),
        );
    }
    selection.found = chosen.into_values().collect();
    Ok(selection)
}

fn by_filter(all: &[Found], filter: &str) -> Vec<Found> {
    let named = filter.strip_suffix(".toml").unwrap_or(filter);
    if let Some(exact) = all.iter().find(|found| found.name == named) {
        return vec![exact.clone()];
    }
    let by_name: Vec<_> = all
        .iter()
        .filter(|found| found.name.contains(named))
        .cloned()
        .collect();
    if !by_name.is_empty() {
        return by_name;
    }
    all.iter()
        .filter(|found| has_tag(found, filter))
        .cloned()
        .collect()
}

/// Whether a file has that tag; one that cannot be read has none.
fn has_tag(found: &Found, tag: &str) -> bool {
    let Ok(bytes) = found.read() else {
        return false;
    };
    crate::scenario::parse_bytes(&found.name, &bytes)
        .is_ok_and(|scenario| scenario.tags.iter().any(|one| one == tag))
}

/// The one scenario that a name, a part of it, or a path means.
///
/// # Errors
///
/// None, or several: what to say of it.
pub fn one(argument: &str) -> Result<Found, String> {
    let mut selection = select(std::slice::from_ref(&argument.to_owned()))?;
    match selection.found.len() {
        1 => Ok(selection.found.remove(0)),
        0 => {
            let all = scenarios()
                .as_deref()
                .map(below)
                .transpose()?
                .unwrap_or_default();
            Err(nothing(argument, &all))
        }
        n => {
            let names: Vec<_> = selection
                .found
                .iter()
                .take(10)
                .map(|found| format!("  {}", found.name))
                .collect();
            Err(format!(
                "{argument:?} means {n} scenarios; name one of them:\n{}",
                names.join("\n")
            ))
        }
    }
}

/// What to say when nothing is selected by an argument.
pub fn nothing(argument: &str, all: &[Found]) -> String {
    if all.is_empty() {
        return format!(
            "no scenario {argument:?}: there is no folder `{SCENARIOS}` here or above; make one with `deadstop new NAME`"
        );
    }
    let near = all
        .iter()
        .map(|found| {
            let last = found.name.rsplit('/').next().unwrap_or(&found.name);
            let near = strsim::jaro_winkler(argument, last)
                .max(strsim::jaro_winkler(argument, &found.name));
            (near, &found.name)
        })
        .filter(|(near, _)| *near > 0.8)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    match near {
        Some((_, name)) => format!("no scenario {argument:?}; did you mean {name:?}?"),
        None => format!(
            "no scenario {argument:?} among the {} in `{SCENARIOS}`; a path, a part of a name or a tag selects some",
            all.len()
        ),
    }
}

/// Why nothing is selected by these arguments.
///
/// # Errors
///
/// A folder that cannot be read.
pub fn why_nothing(selection: &Selection) -> Result<Vec<String>, String> {
    let all = scenarios()
        .as_deref()
        .map(below)
        .transpose()?
        .unwrap_or_default();
    if selection.unmatched.is_empty() {
        return Ok(vec![format!(
            "there is no scenario here: `{SCENARIOS}` is empty or missing; make one with `deadstop new NAME`"
        )]);
    }
    Ok(selection
        .unmatched
        .iter()
        .map(|argument| nothing(argument, &all))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_path_below_the_scenarios() {
        let found = Found::at(Path::new("a/scenarios/context/ties.toml"));
        assert_eq!(found.name, "context/ties");
        assert_eq!(found.snapshots.as_deref(), Some(Path::new("a/snapshots")));
        let found = Found::at(Path::new("scenarios/model-server.toml"));
        assert_eq!(
            (found.name.as_str(), found.snapshots.as_deref()),
            ("model-server", Some(Path::new("snapshots")))
        );
    }

    #[test]
    fn a_file_elsewhere_has_its_own_name_and_no_snapshot() {
        let found = Found::at(Path::new("/tmp/bug.toml"));
        assert_eq!((found.name.as_str(), found.snapshots), ("bug", None));
    }
}
