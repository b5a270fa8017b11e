//! The flags of a test's binary: those that cargo, people and other runners of tests pass.

/// What is asked of the tests.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    /// A test is run if its name contains one of these; all are without any.
    filters: Vec<String>,
    skip: Vec<String>,
    /// Names are meant whole.
    exact: bool,
    /// Only the ignored ones, of which there are none.
    ignored: bool,
    pub help: bool,
    pub list: bool,
    /// One letter a test.
    pub terse: bool,
    /// The log of each run is written, well or not.
    pub shows_logs: bool,
    /// The number of tests that run at once.
    pub threads: Option<usize>,
}

impl Flags {
    /// Reads the arguments of the process, without its name.
    ///
    /// # Errors
    ///
    /// In words.
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
                "--ignored" => flags.ignored = true,
                "-q" | "--quiet" => flags.terse = true,
                "--nocapture" | "--no-capture" | "--show-output" => flags.shows_logs = true,
                "--skip" => flags.skip.push(value(&mut arguments)?),
                "--test-threads" => {
                    let threads = value(&mut arguments)?;
                    let threads = threads.parse().ok().filter(|threads| *threads > 0);
                    let threads = threads.ok_or("--test-threads is a number from 1 on")?;
                    flags.threads = Some(threads);
                }
                "--format" => match &*value(&mut arguments)? {
                    "terse" => flags.terse = true,
                    "pretty" => flags.terse = false,
                    other => return Err(format!("there is no format {other:?} here")),
                },
                "--color" | "--logfile" | "--shuffle-seed" | "-Z" => {
                    value(&mut arguments)?;
                }
                "--include-ignored" | "--test" | "--shuffle" | "--report-time"
                | "--ensure-time" => {}
                "-h" | "--help" => flags.help = true,
                other => return Err(format!("there is no flag {other}\n\n{HELP}")),
            }
        }
        Ok(flags)
    }

    /// Whether a test of that name is to be run.
    pub fn take(&self, name: &str) -> bool {
        let is = |word: &String| {
            if self.exact {
                name == word
            } else {
                name.contains(&**word)
            }
        };
        !self.ignored
            && (self.filters.is_empty() || self.filters.iter().any(is))
            && !self.skip.iter().any(is)
    }
}

/// What the binary understands.
pub(super) const HELP: &str = "\
[NAME…] [--exact] [--skip NAME] [--list] [--show-output] [--quiet] [--test-threads N]

Each scenario file is a test. NAME is a part of its name, or all of it with --exact; --show-output writes
the log and the picture of each run.";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &str) -> Result<Flags, String> {
        Flags::read(arguments.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn names_are_parts_of_names_or_whole_ones() {
        let takes = |arguments, name| read(arguments).map(|flags| flags.take(name));
        assert_eq!(takes("", "hung/flush"), Ok(true));
        assert_eq!(takes("flush", "hung/flush"), Ok(true));
        assert_eq!(takes("db flush", "hung/flush"), Ok(true));
        assert_eq!(takes("db", "hung/flush"), Ok(false));
        assert_eq!(takes("flush --exact", "hung/flush"), Ok(false));
        assert_eq!(takes("hung/flush --exact", "hung/flush"), Ok(true));
        assert_eq!(takes("--skip flush", "hung/flush"), Ok(false));
        assert_eq!(takes("-- --odd", "an --odd one"), Ok(true));
        assert_eq!(takes("--ignored", "hung/flush"), Ok(false), "none is");
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
    fn what_is_not_understood_is_said() {
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
