//! Where scenarios and their snapshots are, and which of them a command is about.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::Exit;
use crate::report::Store;
use crate::scenario::limits;
use crate::words::one_line;

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
    /// The file without links and detours: the same file is the same scenario.
    real: PathBuf,
}

/// The folder of scenarios that is meant from here.
#[derive(Debug, Default)]
struct Home {
    /// As short as it can be said.
    root: Option<PathBuf>,
    /// Without links and detours.
    real: Option<PathBuf>,
}

/// The folder of the snapshots that belong to a folder of scenarios.
pub fn snapshots(scenarios: &Path) -> PathBuf {
    scenarios.with_file_name(SNAPSHOTS)
}

impl Home {
    fn new() -> Self {
        let root = scenarios();
        let real = root.as_ref().and_then(|root| root.canonicalize().ok());
        Home { root, real }
    }

    /// Every scenario in it.
    fn all(&self) -> Result<Vec<Found>, String> {
        self.root
            .as_deref()
            .map_or(Ok(Vec::new()), |root| self.below(root))
    }
}

impl Found {
    /// A file, as it lies: below the folder of scenarios from here, or else below the nearest folder of
    /// that name, if there is one.
    fn at(path: &Path, home: &Home) -> Self {
        // What `a/../b` and a path from a subfolder mean is for the system to say.
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let root = home.real.clone().filter(|root| real.starts_with(root));
        let root = root.or_else(|| {
            let mut above = real.ancestors().skip(1);
            above
                .find(|folder| folder.file_name().is_some_and(|name| name == SCENARIOS))
                .map(Path::to_owned)
        });
        Found::below(path, real, root.as_deref())
    }

    /// A file below that folder of scenarios.
    fn below(path: &Path, real: PathBuf, root: Option<&Path>) -> Self {
        let within = root.and_then(|root| real.strip_prefix(root).ok());
        let name = within.unwrap_or(real.file_name().map_or(&*real, Path::new));
        let parts: Vec<_> = name
            .with_extension("")
            .iter()
            .map(|part| one_line(&part.to_string_lossy()).to_string())
            .collect();
        let snapshots = root.filter(|_| within.is_some()).map(snapshots);
        Found {
            name: parts.join("/"),
            path: path.to_owned(),
            snapshots,
            real,
        }
    }

    /// The path, for people.
    pub fn shown(&self) -> String {
        one_line(&self.path.display()).to_string()
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
        let failed = |why: &dyn std::fmt::Display| format!("cannot read {}: {why}", self.shown());
        // Opening a pipe would wait for somebody to write to it.
        let is_file = fs::metadata(&self.path)
            .map_err(|error| failed(&error))?
            .is_file();
        if !is_file {
            return Err(failed(&"it is no regular file"));
        }
        let mut bytes = Vec::new();
        fs::File::open(&self.path)
            .and_then(|file| {
                file.take(limits::FILE_BYTES as u64 + 1)
                    .read_to_end(&mut bytes)
            })
            .map_err(|error| failed(&error))?;
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

impl Home {
    /// Every scenario file below a folder, sorted by name. Links to folders are not followed: they may
    /// lead back.
    fn below(&self, folder: &Path) -> Result<Vec<Found>, String> {
        let mut found = Vec::new();
        let mut folders = vec![(folder.to_owned(), 0)];
        while let Some((folder, depth)) = folders.pop() {
            let failed =
                |error: std::io::Error| format!("cannot read {}: {error}", folder.display());
            for entry in fs::read_dir(&folder).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let path = entry.path();
                let is_toml = path
                    .extension()
                    .is_some_and(|extension| extension == "toml");
                if entry.file_type().map_err(failed)?.is_dir() {
                    if depth < DEPTH {
                        folders.push((path, depth + 1));
                    }
                } else if is_toml && !path.is_dir() {
                    found.push(Found::at(&path, self));
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
}

/// What the arguments of a command select: each is a path of a file or folder, or a part of a name, or
/// a tag. None is everything.
///
/// # Errors
///
/// A folder that cannot be read.
pub fn select(arguments: &[String]) -> Result<Selection, String> {
    let mut selection = Selection::default();
    let home = Home::new();
    let all = home.all()?;
    if arguments.is_empty() {
        selection.found = all;
        selection.whole.extend(home.root);
        return Ok(selection);
    }
    let mut chosen = BTreeMap::new();
    for argument in arguments {
        let path = Path::new(argument);
        let matching = if path.is_dir() {
            let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            if real.file_name().is_some_and(|name| name == SCENARIOS) {
                let is_home = home.real.as_ref() == Some(&real);
                let root = home.root.clone().filter(|_| is_home).unwrap_or(real);
                if !selection.whole.contains(&root) {
                    selection.whole.push(root);
                }
            }
            home.below(path)?
        } else if path.exists() {
            vec![Found::at(path, &home)]
        } else {
            by_filter(&all, argument)
        };
        if matching.is_empty() {
            selection.unmatched.push(argument.clone());
        }
        let by_file = |found: Found| ((found.name.clone(), found.real.clone()), found);
        chosen.extend(matching.into_iter().map(by_file));
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
    let mut found = select(std::slice::from_ref(&argument.to_owned()))?.found;
    if found.len() > 1 && !Path::new(argument).is_dir() {
        // A name without its folder means that scenario, and not those whose names only contain it.
        let last = |found: &Found| found.name.rsplit('/').next() == Some(argument);
        if found.iter().filter(|found| last(found)).count() == 1 {
            found.retain(last);
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(nothing(argument, &Home::new().all()?)),
        n => {
            let names: Vec<_> = found
                .iter()
                .take(10)
                .map(|found| format!("  {}", found.name))
                .collect();
            let more = if n > names.len() { "\n  …" } else { "" };
            Err(format!(
                "{argument:?} means {n} scenarios; name one of them:\n{}{more}",
                names.join("\n")
            ))
        }
    }
}

/// The scenario of exactly that name.
///
/// # Errors
///
/// A folder that cannot be read.
pub fn named(name: &str) -> Result<Option<Found>, String> {
    let all = Home::new().all()?;
    Ok(all.into_iter().find(|found| found.name == name))
}

/// Whether that name alone leads to the file at that path.
pub fn is_named(name: &str, path: &str) -> bool {
    let file = scenarios().map(|root| root.join(format!("{name}.toml")));
    // A path that there is means itself.
    file.is_some_and(|file| file.display().to_string() == path) && !Path::new(name).exists()
}

/// What to say when nothing is selected by an argument.
pub fn nothing(argument: &str, all: &[Found]) -> String {
    let is_path =
        argument.starts_with(['/', '.']) || (argument.contains('/') && argument.ends_with(".toml"));
    if is_path {
        return format!("no such file: {argument}");
    }
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

/// What the arguments select, each of them something.
///
/// # Errors
///
/// A folder that cannot be read; an argument that selects nothing, or nothing at all to select from.
pub fn select_some(arguments: &[String]) -> Result<Selection, (Exit, String)> {
    let unreadable = |message| (Exit::Invalid, message);
    let selection = select(arguments).map_err(unreadable)?;
    if selection.found.is_empty() || !selection.unmatched.is_empty() {
        let why = why_nothing(&selection).map_err(unreadable)?;
        return Err((Exit::Nothing, why.join("\ndeadstop: ")));
    }
    Ok(selection)
}

/// Why nothing is selected by these arguments.
///
/// # Errors
///
/// A folder that cannot be read.
fn why_nothing(selection: &Selection) -> Result<Vec<String>, String> {
    let all = Home::new().all()?;
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

    fn below(path: &str, root: Option<&str>) -> (String, Option<PathBuf>) {
        let found = Found::below(Path::new("x"), PathBuf::from(path), root.map(Path::new));
        (found.name, found.snapshots)
    }

    #[test]
    fn a_name_is_the_path_below_the_scenarios() {
        assert_eq!(
            below("/a/scenarios/context/ties.toml", Some("/a/scenarios")),
            (
                "context/ties".to_owned(),
                Some(PathBuf::from("/a/snapshots"))
            )
        );
        // A folder of that name inside is a folder like any other.
        assert_eq!(
            below("/a/scenarios/scenarios/ties.toml", Some("/a/scenarios")),
            (
                "scenarios/ties".to_owned(),
                Some(PathBuf::from("/a/snapshots"))
            )
        );
    }

    #[test]
    fn a_file_elsewhere_has_its_own_name_and_no_snapshot() {
        assert_eq!(below("/elsewhere/bug.toml", None), ("bug".to_owned(), None));
    }

    #[test]
    fn a_name_is_one_line() {
        assert_eq!(below("/elsewhere/a\nb.toml", None).0, "a\\nb");
    }
}
