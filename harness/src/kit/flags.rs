//! Command-line flags of a test binary, as cargo, people and other test runners pass them.
//!
//! `libtest-mimic` does not serve here. It takes one filter where `cargo test -- a b` passes several, refuses flags
//! that rustc's own harness accepts, shows nothing of a test that passes, and prints under standard output's lock,
//! which code that was left behind may hold. It would also make the tests of each service compile clap.

/// The flags that were passed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    /// Parts of names: a test is run if its name contains one of them. If there are none, all tests are run.
    filters: Vec<String>,
    skip: Vec<String>,
    /// Whether `filters` and `skip` have to match whole names.
    exact: bool,
    /// Whether only ignored tests are to be run, of which there are none.
    only_ignored: bool,
    pub help: bool,
    pub list: bool,
    /// Whether each test is reported by one letter.
    pub terse: bool,
    /// Whether the log of every run is written, also if the test passes.
    pub shows_logs: bool,
    /// Number of tests that run at once.
    pub threads: Option<usize>,
}

impl Flags {
    /// Parses the arguments of the process, without the program's name.
    ///
    /// # Errors
    ///
    /// If a flag is unknown, or its value is missing or wrong; the message is for people.
    pub fn read(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut flags = Flags::default();
        let mut arguments = arguments.into_iter();
        let mut only_filters = false;
        while let Some(argument) = arguments.next() {
            if only_filters || !argument.starts_with('-') {
                flags.filters.push(argument);
                continue;
            }
            let (flag, mut value) = match argument.split_once('=') {
                Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
                None => (argument, None),
            };
            let mut value = |arguments: &mut dyn Iterator<Item = String>| {
                value
                    .take()
                    .or_else(|| arguments.next())
                    .ok_or_else(|| format!("{flag} needs a value"))
            };
            match &*flag {
                "--" => only_filters = true,
                "--list" => flags.list = true,
                "--exact" => flags.exact = true,
                "--ignored" => flags.only_ignored = true,
                "-q" | "--quiet" => flags.terse = true,
                "--nocapture" | "--no-capture" | "--show-output" => flags.shows_logs = true,
                "--skip" => flags.skip.push(value(&mut arguments)?),
                "--test-threads" => {
                    let threads = value(&mut arguments)?;
                    let threads = threads.parse().ok().filter(|threads| *threads > 0);
                    let threads = threads.ok_or("--test-threads must be a whole number from 1")?;
                    flags.threads = Some(threads);
                }
                "--format" => match &*value(&mut arguments)? {
                    "terse" => flags.terse = true,
                    "pretty" => flags.terse = false,
                    other => {
                        return Err(format!(
                            "unknown format {other:?}: expected pretty or terse"
                        ));
                    }
                },
                "--color" | "--logfile" | "--shuffle-seed" | "-Z" => {
                    value(&mut arguments)?;
                }
                "--include-ignored" | "--test" | "--shuffle" | "--report-time"
                | "--ensure-time" => {}
                "-h" | "--help" => flags.help = true,
                other => return Err(format!("unknown flag {other}\n\n{HELP}")),
            }
        }
        Ok(flags)
    }

    /// Returns whether the test of that name is to be run.
    pub fn selects(&self, name: &str) -> bool {
        let is = |word: &String| {
            if self.exact {
                name == word
            } else {
                name.contains(&**word)
            }
        };
        !self.only_ignored
            && (self.filters.is_empty() || self.filters.iter().any(is))
            && !self.skip.iter().any(is)
    }
}

/// Help text of the test binary.
pub(super) const HELP: &str = "\
[NAME…] [--exact] [--skip NAME] [--list] [--show-output] [--quiet] [--test-threads N]

Each scenario file is a test. NAME is a part of the test's name, or the whole name with --exact. --show-output
prints the log and the picture of each run.";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &str) -> Result<Flags, String> {
        Flags::read(arguments.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn filter_matches_part_of_a_name_or_whole_with_exact() {
        let selects = |arguments, name| read(arguments).map(|flags| flags.selects(name));
        assert_eq!(selects("", "hung/flush"), Ok(true));
        assert_eq!(selects("flush", "hung/flush"), Ok(true));
        assert_eq!(selects("db flush", "hung/flush"), Ok(true));
        assert_eq!(selects("db", "hung/flush"), Ok(false));
        assert_eq!(selects("flush --exact", "hung/flush"), Ok(false));
        assert_eq!(selects("hung/flush --exact", "hung/flush"), Ok(true));
        assert_eq!(selects("--skip flush", "hung/flush"), Ok(false));
        assert_eq!(selects("-- --odd", "an --odd one"), Ok(true));
        assert_eq!(selects("--ignored", "hung/flush"), Ok(false), "none is");
    }

    #[test]
    fn the_flags_of_other_runners_are_understood() {
        let listed = read("--list --format terse").unwrap();
        assert!(listed.list && listed.terse);
        let one = read("hung/flush --exact --nocapture").unwrap();
        assert!(one.exact && one.shows_logs);
        let many = read("--test-threads=4 --color always -Z unstable-options").unwrap();
        assert_eq!((many.threads, many.filters.len()), (Some(4), 0));
    }

    #[test]
    fn unknown_flag_or_bad_value_is_an_error() {
        for wrong in [
            "--frobnicate",
            "--skip",
            "--test-threads 0",
            "--format json",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
