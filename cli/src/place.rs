//! Finds scenarios and their snapshots, and selects those that a command is about.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use super::Exit;
use super::output::err;
use deadstop_harness::report::Store;
use deadstop_harness::scenario::{ScenarioFile, limits, scenario_files};
use deadstop_harness::words::escaped;

/// Name of a folder of scenarios.
const SCENARIOS: &str = "scenarios";
/// Name of the folder beside it that holds their snapshots.
const SNAPSHOTS: &str = "snapshots";

/// Argument in place of a file: the scenario is piped to the command.
pub const STDIN: &str = "-";

/// A scenario file that was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundFile {
    /// Name of the scenario: its path below the folder of scenarios, without `.toml`. Links in this path are not
    /// resolved.
    pub name: String,
    /// Folder of its snapshots, if the file lies below a folder of scenarios.
    pub snapshots: Option<PathBuf>,
    file: ScenarioFile,
}

/// The folder of scenarios that belongs to the current folder, if there is one.
#[derive(Debug, Default)]
struct Home {
    /// Its path, as short as possible.
    root: Option<PathBuf>,
    /// Its path without links, `.` and `..`.
    real: Option<PathBuf>,
    /// Links that were not followed so far, each with the reason.
    not_followed: RefCell<BTreeSet<String>>,
}

/// Returns the folder of the snapshots that belong to a folder of scenarios.
pub fn snapshots(scenarios: &Path) -> PathBuf {
    scenarios.with_file_name(SNAPSHOTS)
}

/// Returns the absolute form of a path, without `.` and `..`. Links stay, except where `..` follows one: only the
/// system can resolve that.
pub fn absolute(path: &Path) -> PathBuf {
    let mut whole = std::env::current_dir().unwrap_or_default();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                whole = whole.canonicalize().unwrap_or(whole);
                whole.pop();
            }
            part => whole.push(part),
        }
    }
    whole
}

impl Home {
    fn new() -> Self {
        let root = scenarios();
        let real = root.as_ref().and_then(|root| root.canonicalize().ok());
        Home {
            root,
            real,
            not_followed: RefCell::default(),
        }
    }

    /// Returns whether a folder is this folder of scenarios.
    fn is_root(&self, folder: &Path) -> bool {
        self.real.is_some() && folder.canonicalize().ok() == self.real
    }

    /// Returns every scenario in it.
    fn all(&self) -> Result<Vec<FoundFile>, String> {
        self.root
            .as_deref()
            .map_or(Ok(Vec::new()), |root| self.below(root))
    }

    /// Writes a note to standard error for each link that was not followed.
    fn report_not_followed(&self) {
        for link in self.not_followed.borrow().iter() {
            err(&format!("note: not followed: {link}"));
        }
    }

    /// Returns the folder of scenarios around a path: this one, or else the nearest of that name.
    fn around(&self, path: &Path) -> Option<PathBuf> {
        let above = || path.ancestors().skip(1);
        let home = above().find(|folder| self.is_root(folder));
        let named = || above().find(|folder| is_scenarios(folder));
        home.or_else(named).map(Path::to_owned)
    }

    /// Returns every scenario file below a folder, sorted by name.
    fn below(&self, folder: &Path) -> Result<Vec<FoundFile>, String> {
        let files = scenario_files(folder)?;
        self.not_followed.borrow_mut().extend(files.not_followed);
        let whole = absolute(folder);
        let root = if self.is_root(&whole) || is_scenarios(&whole) {
            Some(whole.clone())
        } else {
            self.around(&whole)
        };
        let within = root.as_ref().and_then(|root| whole.strip_prefix(root).ok());
        let within = within.map_or_else(String::new, |within| {
            let parts = within
                .iter()
                .map(|part| escaped(&part.to_string_lossy()) + "/");
            parts.collect()
        });
        let snapshots = root.as_deref().map(|root| self.snapshots_of(root));
        let found = files.files.into_iter().map(|file| FoundFile {
            name: format!("{within}{}", file.name),
            snapshots: snapshots.clone(),
            file,
        });
        let mut found: Vec<FoundFile> = found.collect();
        found.sort();
        Ok(found)
    }

    /// Returns the folder of the snapshots of a folder of scenarios, by a path as short as possible.
    fn snapshots_of(&self, root: &Path) -> PathBuf {
        match &self.root {
            Some(home) if self.is_root(root) => snapshots(home),
            _ => snapshots(root),
        }
    }

    /// Returns a file, named by its path below this folder of scenarios, or else below the nearest folder of that
    /// name. If there is none, the file has its own name and no snapshots.
    fn file_at(&self, path: &Path) -> FoundFile {
        let whole = absolute(path);
        // If the path as given leads through no folder of scenarios, the path without links may.
        let real = || whole.canonicalize().unwrap_or_else(|_| whole.clone());
        let lies = [whole.clone()]
            .into_iter()
            .chain(std::iter::once_with(real));
        let found = lies.into_iter().find_map(|whole| {
            let root = self.around(&whole)?;
            let below = whole.strip_prefix(&root).ok()?;
            Some((
                ScenarioFile::new(below, path.to_owned()),
                self.snapshots_of(&root),
            ))
        });
        let (file, snapshots) = match found {
            Some((file, snapshots)) => (file, Some(snapshots)),
            None => {
                let name = path.file_name().map_or(path, Path::new);
                (ScenarioFile::new(name, path.to_owned()), None)
            }
        };
        FoundFile {
            name: file.name.clone(),
            snapshots,
            file,
        }
    }
}

/// Returns whether a folder has the name of a folder of scenarios.
fn is_scenarios(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name == SCENARIOS)
}

impl FoundFile {
    /// Returns the path, for people.
    pub fn shown(&self) -> String {
        self.file.shown()
    }

    /// Returns the path of the file; `None` if it was piped.
    pub fn path(&self) -> Option<&Path> {
        Some(&*self.file.path).filter(|path| *path != Path::new(STDIN))
    }

    /// Returns the store of its snapshot; `None` if it can have none.
    pub fn store(&self) -> Option<Store> {
        self.snapshots.clone().map(Store::new)
    }

    /// Returns the bytes of the file: at most one more than a scenario may have.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, with the system's error and the path; or if its name is none that a scenario can
    /// have.
    pub fn read(&self) -> Result<Vec<u8>, String> {
        self.file.read()
    }

    /// Reads the scenario that was piped to the command.
    ///
    /// # Errors
    ///
    /// If standard input cannot be read.
    pub fn stdin() -> Result<Self, String> {
        Ok(FoundFile {
            name: "stdin".to_owned(),
            snapshots: None,
            file: ScenarioFile::piped("stdin", Path::new(STDIN), read_stdin()?),
        })
    }
}

/// Reads standard input: at most one byte more than a scenario may have.
fn read_stdin() -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let most = limits::FILE_BYTES as u64 + 1;
    match std::io::stdin().lock().take(most).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(format!("cannot read standard input: {error}")),
    }
}

/// The scenarios that a command is about.
#[derive(Debug, Default)]
pub struct Selection {
    /// The scenarios, sorted by name.
    pub found: Vec<FoundFile>,
    /// The arguments that matched nothing.
    pub unmatched: Vec<String>,
    /// Folders of scenarios that are selected whole, so that snapshots which are left over there count, too.
    pub whole_roots: Vec<PathBuf>,
    /// Number of links that were not followed.
    pub not_followed: usize,
}

/// Returns the folder of scenarios: that of the current folder, or of the nearest folder above that has one.
pub fn scenarios() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let root = here
        .ancestors()
        .find(|folder| folder.join(SCENARIOS).is_dir())?;
    // The path is to be as short as possible.
    let folder = root.join(SCENARIOS);
    Some(if root == here {
        PathBuf::from(SCENARIOS)
    } else {
        folder
    })
}

/// Returns the scenarios that the arguments of a command select. Each argument is the path of a file or folder,
/// [`STDIN`], a part of a name, or a tag. Without arguments, all scenarios are selected.
///
/// # Errors
///
/// If a folder or standard input cannot be read.
pub fn select(arguments: &[String]) -> Result<Selection, String> {
    let mut selection = Selection::default();
    let home = Home::new();
    if arguments.is_empty() {
        selection.found = home.all()?;
        selection.not_followed = home.not_followed.borrow().len();
        home.report_not_followed();
        selection.whole_roots.extend(home.root);
        return Ok(selection);
    }
    let mut chosen = BTreeMap::new();
    // The folder is walked only if a name has to be looked up.
    let mut all = None;
    for argument in arguments {
        let path = Path::new(argument);
        let matching = if argument == STDIN {
            vec![FoundFile::stdin()?]
        } else if path.is_dir() {
            let whole = absolute(path);
            if home.is_root(&whole) || is_scenarios(&whole) {
                let root = home.root.clone().filter(|_| home.is_root(&whole));
                let root = root.unwrap_or(whole);
                if !selection.whole_roots.contains(&root) {
                    selection.whole_roots.push(root);
                }
            }
            home.below(path)?
        } else if path.exists() {
            vec![home.file_at(path)]
        } else {
            let all = match &all {
                Some(all) => all,
                None => all.insert(home.all()?),
            };
            by_filter(all, argument)
        };
        if matching.is_empty() {
            selection.unmatched.push(argument.clone());
        }
        // A file that several paths lead to, with one name, is one scenario.
        let by_file = |found: FoundFile| {
            let real = found.file.path.canonicalize();
            ((found.name.clone(), real.ok()), found)
        };
        chosen.extend(matching.into_iter().map(by_file));
    }
    selection.found = chosen.into_values().collect();
    selection.not_followed = home.not_followed.borrow().len();
    home.report_not_followed();
    Ok(selection)
}

fn by_filter(all: &[FoundFile], filter: &str) -> Vec<FoundFile> {
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

/// Returns whether a scenario has that tag. A file that cannot be read or parsed has none.
fn has_tag(found: &FoundFile, tag: &str) -> bool {
    let Ok(bytes) = found.read() else {
        return false;
    };
    deadstop_harness::scenario::parse_bytes(&found.name, &bytes)
        .is_ok_and(|scenario| scenario.tags.iter().any(|one| one == tag))
}

/// Returns the one scenario that an argument selects, such as a name, a part of it, or a path.
///
/// # Errors
///
/// If it selects none, or several; the message is for people.
pub fn select_one(argument: &str) -> Result<FoundFile, String> {
    let mut found = select(std::slice::from_ref(&argument.to_owned()))?.found;
    if found.len() > 1 && !Path::new(argument).is_dir() {
        // A name without its folder selects that scenario, and not others whose names only contain it.
        let last = |found: &FoundFile| found.name.rsplit('/').next() == Some(argument);
        if found.iter().filter(|found| last(found)).count() == 1 {
            found.retain(last);
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(nothing_selected(argument, &Home::new().all()?)),
        n => {
            let names: Vec<_> = found
                .iter()
                .take(10)
                .map(|found| format!("  {}", found.name))
                .collect();
            let more = if n > names.len() { "\n  …" } else { "" };
            Err(format!(
                "{argument:?} matches {n} scenarios; give the name of one:\n{}{more}",
                names.join("\n")
            ))
        }
    }
}

/// Returns every scenario in the folder of scenarios, by its name.
///
/// # Errors
///
/// If a folder cannot be read.
pub fn by_name() -> Result<BTreeMap<String, FoundFile>, String> {
    let home = Home::new();
    let all = home.all()?;
    home.report_not_followed();
    Ok(all
        .into_iter()
        .map(|found| (found.name.clone(), found))
        .collect())
}

/// Returns the name of the scenario in a file, if the file exists and lies below the folder of scenarios.
pub fn name_of_file(path: &Path) -> Option<String> {
    if !path.is_file() {
        return None;
    }
    // The name follows the path as given, in which the file or a folder above it may be a link.
    let root = scenarios()?;
    let home = Home::new();
    let found = home.file_at(path);
    (found.snapshots == Some(snapshots(&root))).then_some(found.name)
}

/// Returns whether that name alone selects the file at that path.
pub fn selects_file(name: &str, path: &str) -> bool {
    let file = scenarios().map(|root| root.join(format!("{name}.toml")));
    // An argument that is an existing path selects that path, and not a name.
    file.is_some_and(|file| file.display().to_string() == path) && !Path::new(name).exists()
}

/// Returns the message for an argument that selects nothing.
pub fn nothing_selected(argument: &str, all: &[FoundFile]) -> String {
    let is_path =
        argument.starts_with(['/', '.']) || (argument.contains('/') && argument.ends_with(".toml"));
    if is_path {
        return format!("no such file: {}", escaped(argument));
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
            "none of the {} scenarios in `{SCENARIOS}` matches {argument:?}; give a path, a part of a name, or a tag",
            all.len()
        ),
    }
}

/// Returns what the arguments select. Each argument has to select something.
///
/// # Errors
///
/// If a folder cannot be read, if an argument selects nothing, or if there is no scenario at all.
pub fn select_or_fail(arguments: &[String]) -> Result<Selection, (Exit, String)> {
    let unreadable = |message| (Exit::Invalid, message);
    let selection = select(arguments).map_err(unreadable)?;
    if selection.found.is_empty() || !selection.unmatched.is_empty() {
        let why = why_nothing(&selection).map_err(unreadable)?;
        return Err((Exit::Nothing, why.join("\ndeadstop: ")));
    }
    Ok(selection)
}

/// Returns the reasons why arguments select nothing.
///
/// # Errors
///
/// If a folder cannot be read.
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
        .map(|argument| nothing_selected(argument, &all))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the name and the folder of snapshots of a file, which need not exist.
    fn at(path: &str) -> (String, Option<PathBuf>) {
        let found = Home::default().file_at(Path::new(path));
        (found.name, found.snapshots)
    }

    #[test]
    fn a_name_is_the_path_below_the_scenarios() {
        assert_eq!(
            at("/a/scenarios/context/ties.toml"),
            (
                "context/ties".to_owned(),
                Some(PathBuf::from("/a/snapshots"))
            )
        );
        // Of two folders of that name, the nearest counts.
        assert_eq!(
            at("/a/scenarios/scenarios/ties.toml"),
            (
                "ties".to_owned(),
                Some(PathBuf::from("/a/scenarios/snapshots"))
            )
        );
    }

    #[test]
    fn a_file_elsewhere_has_its_own_name_and_no_snapshot() {
        assert_eq!(at("/elsewhere/bug.toml"), ("bug".to_owned(), None));
    }

    #[test]
    fn a_name_is_one_line() {
        assert_eq!(at("/elsewhere/a\nb.toml").0, "a\\nb");
    }
}
