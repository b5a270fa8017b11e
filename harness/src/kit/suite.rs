//! Runs the scenarios of a folder as tests, under the usual harness or as their own harness.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::report::SourceFile;
use crate::report::figures::plural;
use crate::scenario::{Scenario, ScenarioFile, scenario_files};
use crate::sim::{FURTHER_SEEDS, Own, Run, Runners, Twice, cores, twice};
use crate::words::shell_quoted;

use super::case::{OwnCase, Verdict};
use super::flags::{Flags, HELP};
use super::nothing::left_alone;
use super::output::{self, EXIT_FAILED};
use super::runners::runners;

/// Environment variable that picks scenarios by a part of their name, since the usual harness has only one test for
/// all.
const PICK_VAR: &str = "DEADSTOP_SCENARIO";
/// The scenario files of a folder, for one worker. [`scenarios!`](crate::scenarios) makes it.
#[derive(Debug)]
pub struct Suite {
    root: PathBuf,
    folder: String,
    /// Arguments by which cargo selects the test.
    target: String,
    own: Own,
}

impl Suite {
    /// Describes the scenario files below `folder`, which is relative to the crate at `root`. `package` is the
    /// crate's name, `file` is the source of the test, and `target` is the compiler's name for it.
    pub fn new(
        root: &str,
        folder: &str,
        package: &str,
        file: &str,
        target: &str,
        own: Own,
    ) -> Self {
        Suite {
            root: root.into(),
            folder: folder.trim_end_matches('/').to_owned(),
            target: format!(
                " -p {package}{}",
                target_argument(Path::new(root), file, target)
            ),
            own,
        }
    }

    /// Runs all files as one test, or those that `DEADSTOP_SCENARIO` picks.
    ///
    /// # Panics
    ///
    /// If a scenario fails, or if there is none. The problems of each are written to standard output.
    #[track_caller]
    pub fn test(&self) {
        let cases = match self.cases() {
            Ok(cases) => cases,
            Err(message) => panic!("{message}"),
        };
        let all = cases.len();
        let cases: Vec<OwnCase> = cases.into_iter().filter(pick_filter()).collect();
        assert!(!cases.is_empty(), "{}", picks_none_message(all));
        // The harness has checked the arguments already: a flag that is unknown here is one of its own.
        let shows_logs = Flags::read(std::env::args().skip(1)).is_ok_and(|flags| flags.shows_logs);
        let mut failed = Vec::new();
        // Nothing is printed before it is known that standard output is not locked for good.
        let mut text = String::new();
        let left_behind = self.run(&cases, None, |case, mut verdict| {
            if shows_logs && let Some(run) = verdict.run_text() {
                let _ = writeln!(text, "\n{}\n{run}", case.name);
            }
            if verdict.is_well() {
                write_notes(&case.name, &verdict.notes);
            } else {
                failed.push(&*case.name);
                verdict.set_replay(&format!(
                    "{PICK_VAR}={} cargo test{} -- --nocapture",
                    shell_quoted(&case.name),
                    self.target
                ));
                let _ = write!(text, "\n{}", verdict.text_of(&case.name));
            }
        });
        if left_behind > 0 {
            output::exit_if_stdout_locked(&text);
        }
        print!("{text}");
        assert!(
            failed.is_empty(),
            "{} of {} failed: {}",
            failed.len(),
            plural(cases.len() as u64, "scenario"),
            failed.join(", ")
        );
    }

    /// Runs each file as a test, as the arguments of the process ask.
    pub fn main(&self) -> ExitCode {
        match Flags::read(std::env::args().skip(1)) {
            Ok(flags) if flags.help => {
                output::out(&format!("{HELP}\n"));
                ExitCode::SUCCESS
            }
            Ok(flags) => self.harness(&flags),
            Err(message) => {
                output::out(&format!("{message}\n"));
                ExitCode::from(EXIT_FAILED)
            }
        }
    }

    fn harness(&self, flags: &Flags) -> ExitCode {
        let cases = match self.cases() {
            Ok(cases) => cases,
            Err(message) => {
                output::out(&format!("{message}\n"));
                return ExitCode::from(EXIT_FAILED);
            }
        };
        let all = cases.len();
        let picked = pick_filter();
        if !cases.iter().any(&picked) {
            output::out(&format!("{}\n", picks_none_message(all)));
            return ExitCode::from(EXIT_FAILED);
        }
        let cases: Vec<OwnCase> = cases
            .into_iter()
            .filter(|case| flags.selects(&case.name) && picked(case))
            .collect();
        if flags.list {
            let mut listed = String::new();
            for case in &cases {
                let _ = writeln!(listed, "{}: test", case.name);
            }
            if !flags.terse {
                let _ = writeln!(listed, "\n{} tests, 0 benchmarks", cases.len());
            }
            output::out(&listed);
            return ExitCode::SUCCESS;
        }
        output::out(&format!(
            "\nrunning {}\n",
            plural(cases.len() as u64, "test")
        ));
        let mut failures = String::new();
        let mut failed = Vec::new();
        let mut notes: Vec<String> = Vec::new();
        let left_behind = self.run(&cases, flags.threads, |case, mut verdict| {
            let well = verdict.is_well();
            output::out(&match (flags.terse, well) {
                (true, true) => ".".to_owned(),
                (true, false) => "F".to_owned(),
                (false, true) => format!("test {} ... ok\n", case.name),
                (false, false) => format!("test {} ... FAILED\n", case.name),
            });
            if flags.shows_logs
                && let Some(run) = verdict.run_text()
            {
                output::out(&format!("\n{run}\n"));
            }
            if well && !flags.terse {
                for note in &verdict.notes {
                    output::out(&format!("  note: {note}\n"));
                }
            }
            if well && flags.terse {
                notes.extend(
                    verdict
                        .notes
                        .iter()
                        .map(|note| format!("note: {}: {note}\n", case.name)),
                );
            }
            if !well {
                let name = shell_quoted(&case.name);
                verdict.set_replay(&format!("cargo test{} -- --exact {name}", self.target));
                let text = verdict.text_of(&case.name);
                let _ = write!(failures, "---- {} ----\n{text}\n", case.name);
                failed.push(&case.name);
            }
        });
        let mut summary = String::new();
        if !notes.is_empty() {
            let _ = write!(summary, "\n{}", notes.concat());
        }
        if !failed.is_empty() {
            let _ = writeln!(summary, "\nfailures:\n\n{failures}failures:");
            for name in &failed {
                let _ = writeln!(summary, "    {name}");
            }
        }
        let _ = writeln!(
            summary,
            "\ntest result: {}. {} passed; {} failed; 0 ignored; 0 measured; {} filtered out\n",
            if failed.is_empty() { "ok" } else { "FAILED" },
            cases.len() - failed.len(),
            failed.len(),
            all - cases.len()
        );
        output::out(&summary);
        let code = if failed.is_empty() { 0 } else { EXIT_FAILED };
        if left_behind > 0 {
            output::exit(code);
        }
        ExitCode::from(code)
    }

    /// Runs the cases, each twice and then with further seeds, and passes each verdict to `done`, in order. Returns
    /// the number of threads that were left behind.
    fn run<'c>(
        &self,
        cases: &'c [OwnCase],
        threads: Option<usize>,
        mut done: impl FnMut(&'c OwnCase, Verdict),
    ) -> usize {
        let threads = threads.unwrap_or_else(cores);
        let runners = runners(threads);
        let parsed: Vec<_> = cases.iter().map(|case| case.parse(&self.own)).collect();
        let mut ran = judge_all(&runners, &self.own, cases, &parsed).into_iter();
        for (case, parsed) in cases.iter().zip(parsed) {
            let verdict = match parsed {
                Err(invalid) => *invalid,
                Ok(_) => ran.next().expect("a verdict for each run"),
            };
            done(case, verdict);
        }
        runners.left_behind()
    }

    /// Reads the scenario files, sorted by name.
    fn cases(&self) -> Result<Vec<OwnCase>, String> {
        let folder = self.root.join(&self.folder);
        let found = scenario_files(&folder)?;
        for link in &found.not_followed {
            eprintln!("note: not followed: {link}");
        }
        if found.files.is_empty() {
            return Err(format!(
                "there is no scenario in {}: without a scenario the tests would always pass",
                folder.display()
            ));
        }
        let read = |file: &ScenarioFile| {
            let path = format!("{}/{}.toml", self.folder, file.name);
            let text = String::from_utf8(file.read()?)
                .map_err(|_| format!("cannot read {path}: it is not UTF-8"))?;
            Ok(OwnCase {
                name: file.name.clone(),
                file: Arc::new(SourceFile { path, text }),
            })
        };
        found.files.iter().map(read).collect()
    }
}

/// Runs and judges all cases that could be parsed, and returns the verdicts in order.
fn judge_all(
    runners: &Runners,
    own: &Own,
    cases: &[OwnCase],
    parsed: &[Result<Arc<Scenario>, Box<Verdict>>],
) -> Vec<Verdict> {
    let runnable = || {
        cases.iter().zip(parsed).filter_map(|(case, parsed)| {
            let scenario = parsed.as_ref().ok()?;
            Some((case, scenario))
        })
    };
    let first = runnable().zip(0..);
    let first =
        first.map(|((case, scenario), at)| ((at, case), OwnCase::planned_run(scenario, own, 0)));
    let mut verdicts = BTreeMap::new();
    let judged = |(at, case): &(usize, &OwnCase), run: &Run, both: Twice| {
        verdicts.insert(*at, (run.clone(), case.judge(run, both, true)));
    };
    twice(runners, first, judged, |_| {});
    let mut verdicts: Vec<_> = verdicts.into_values().collect();
    // Seed 0 always takes the first choice. Further seeds find what holds for that order alone.
    let well = || {
        let both = runnable().zip(0..);
        let well = both.filter(|(_, at)| verdicts[*at].1.is_well());
        well.flat_map(|((case, scenario), at)| {
            FURTHER_SEEDS.map(move |seed| (case, at, OwnCase::planned_run(scenario, own, seed)))
        })
    };
    let further: Vec<_> = runners.run_all(well().map(|(.., run)| run)).collect();
    let mut found = BTreeMap::new();
    for ((case, at, run), ran) in well().zip(further) {
        let verdict = case.judge_seed(&run, ran);
        if !verdict.is_well() {
            found.entry(at).or_insert(verdict);
        }
    }
    for (at, mut verdict) in found {
        verdict.notes = std::mem::take(&mut verdicts[at].1.notes);
        verdicts[at].1 = verdict;
    }
    let followed = verdicts.into_iter().map(|(run, mut verdict)| {
        follow_main(runners, &run, &mut verdict);
        verdict
    });
    followed.collect()
}

/// Runs the worker without a request to stop if its main was given up, and adds to the verdict what main does then.
pub(super) fn follow_main(runners: &Runners, run: &Run, verdict: &mut Verdict) {
    if verdict.needs_main_alone() {
        let alone = runners.run_all([left_alone(run)]).next();
        let alone = alone.and_then(Result::ok).map(|ran| ran.journal);
        verdict.add_main_alone(alone.as_ref());
    }
}

/// Returns a function that tests whether the environment picks a scenario.
fn pick_filter() -> impl Fn(&OwnCase) -> bool {
    let pick = std::env::var(PICK_VAR).ok();
    move |case| pick.as_ref().is_none_or(|pick| case.name.contains(&**pick))
}

/// Returns the message for an environment that picks none of that number of scenarios.
fn picks_none_message(all: usize) -> String {
    format!(
        "{PICK_VAR} matches none of the {}",
        plural(all as u64, "scenario")
    )
}

/// Returns the argument by which cargo selects the test; empty if it is none. The compiler's name has `_` for each
/// dash. The file's name still has the dashes, or the manifest does if it sets another name.
fn target_argument(root: &Path, file: &str, target: &str) -> String {
    let path = Path::new(file);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let folder = path.parent().and_then(Path::file_name);
    let folder = folder.unwrap_or_default().to_string_lossy();
    let by_file = if stem == "main" { folder } else { stem };
    let by_manifest = std::fs::read_to_string(root.join("Cargo.toml"));
    let by_manifest = by_manifest.map_or_else(|_| vec![], |manifest| tests_of(&manifest));
    let mut names = by_manifest.into_iter().chain([by_file.into_owned()]);
    match names.find(|name| name.replace('-', "_") == target) {
        Some(name) => format!(" --test {name}"),
        // For example a module of the library.
        None => String::new(),
    }
}

/// Returns the names that a manifest gives to tests.
fn tests_of(manifest: &str) -> Vec<String> {
    let Ok(manifest) = DeTable::parse(manifest) else {
        return Vec::new();
    };
    let tests = manifest.get_ref().get("test");
    let tests = tests.and_then(|tests| tests.get_ref().as_array());
    let name = |test: &Spanned<DeValue<'_>>| {
        let name = test.get_ref().get("name")?.get_ref().as_str()?;
        Some(name.to_owned())
    };
    tests
        .into_iter()
        .flat_map(|tests| tests.iter())
        .filter_map(name)
        .collect()
}

/// Writes the notes on a test that passes to standard error, past the harness, which swallows what tests print.
pub(super) fn write_notes(name: &str, notes: &[String]) {
    let notes: String = notes
        .iter()
        .map(|note| format!("note: {name}: {note}\n"))
        .collect();
    if !notes.is_empty() {
        output::err(&notes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_selects_the_test_by_its_name_in_cargo() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let known = |file, target| target_argument(root, file, target);
        assert_eq!(known("tests/shutdown.rs", "shutdown"), " --test shutdown");
        assert_eq!(
            known("a/tests/shut-down.rs", "shut_down"),
            " --test shut-down"
        );
        assert_eq!(
            known("tests/shutdown/main.rs", "shutdown"),
            " --test shutdown"
        );
        assert_eq!(known("src/lib.rs", "service"), "");
    }

    #[test]
    fn a_manifest_names_tests() {
        let manifest =
            "[package]\nname = 'a'\n[[test]]\nname = 'shut-down'\npath = 'tests/a.rs'\n[[test]]\n";
        assert_eq!(tests_of(manifest), ["shut-down"]);
        assert_eq!(tests_of("= no TOML"), [""; 0]);
    }
}
