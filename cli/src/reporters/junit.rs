//! A report in JUnit's XML, as Jenkins' schema `junit-10.xsd` describes it, without the time that anything took: one
//! suite a folder of scenarios, and one test case a scenario.

use std::collections::BTreeMap;
use std::io;

use deadstop_harness::report::{Finding, Style};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::event::{CheckEvent, Reporter, Summary};
use super::target::ReportFile;
use super::text;
use crate::Exit;
use crate::case::Case;

/// Name of the suite of scenarios that lie in no folder.
const NO_FOLDER: &str = "scenarios";
/// Name of the suite of snapshots that belong to no scenario.
const LEFT_OVER: &str = "snapshots";

/// Writes a JUnit report.
pub struct Junit {
    file: ReportFile,
    suites: BTreeMap<String, Suite>,
}

#[derive(Default)]
struct Suite {
    tests: Vec<TestCase>,
}

struct TestCase {
    name: String,
    result: TestResult,
    /// Log of its run.
    log: Option<String>,
}

enum TestResult {
    Passed,
    Skipped(&'static str),
    /// Something is wrong with the run or its snapshot.
    Failure(Wrong),
    /// There was no run to judge: the file is wrong, or deadstop is.
    Error(Wrong),
}

/// The reason why a scenario did not pass.
struct Wrong {
    /// The check that failed.
    check: &'static str,
    /// Place and sentence of the first finding.
    message: String,
    /// All that is told about it to people.
    text: String,
}

/// Numbers of test cases, by their results.
#[derive(Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

impl Junit {
    pub fn new(file: ReportFile) -> Self {
        Junit {
            file,
            suites: BTreeMap::new(),
        }
    }

    fn add(&mut self, suite: &str, test: TestCase) {
        let suite = self.suites.entry(suite.to_owned()).or_default();
        suite.tests.push(test);
    }

    fn add_case(&mut self, case: &Case) {
        let name = &case.found.name;
        let folder = name
            .rsplit_once('/')
            .map_or(NO_FOLDER, |(folder, _)| folder);
        let test = TestCase {
            name: name.clone(),
            result: result(case),
            log: case.log(),
        };
        self.add(folder, test);
    }

    fn add_leftovers(&mut self, summary: &Summary) {
        for finding in &summary.leftovers {
            let place = finding.place.as_ref();
            let test = TestCase {
                name: place.map_or_else(|| LEFT_OVER.to_owned(), ToString::to_string),
                result: TestResult::Failure(Wrong {
                    check: finding.check.as_str(),
                    message: finding.message.clone(),
                    text: format!("{finding}\n"),
                }),
                log: None,
            };
            self.add(LEFT_OVER, test);
        }
    }

    fn xml(&self) -> io::Result<String> {
        let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
        writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        let mut all = Counts::default();
        for suite in self.suites.values() {
            suite.count(&mut all);
        }
        writer
            .create_element("testsuites")
            .with_attributes([
                ("name", "deadstop"),
                ("tests", &all.tests.to_string()),
                ("failures", &all.failures.to_string()),
                ("errors", &all.errors.to_string()),
            ])
            .write_inner_content(|writer| {
                self.suites
                    .iter()
                    .try_for_each(|(name, suite)| suite.write(name, writer))
            })?;
        let xml = String::from_utf8(writer.into_inner()).map_err(io::Error::other)?;
        Ok(xml + "\n")
    }
}

impl Reporter for Junit {
    fn report(&mut self, event: CheckEvent<'_>) -> Result<(), (Exit, String)> {
        match event {
            CheckEvent::ScenarioFinished(case) => self.add_case(case),
            CheckEvent::Finished(summary) => {
                self.add_leftovers(summary);
                let failed = |error: io::Error| (Exit::Internal, error.to_string());
                return self.file.write(&self.xml().map_err(failed)?);
            }
            CheckEvent::Started { .. }
            | CheckEvent::ScenarioStarted(_)
            | CheckEvent::Progress { .. } => {}
        }
        Ok(())
    }
}

/// Returns the result of a scenario.
fn result(case: &Case) -> TestResult {
    // The failure that is told first; a log that is not accepted counts where nothing else is wrong.
    let first = case.failures().chain(&case.failed).next();
    let first = first.and_then(|run| run.findings.first());
    let Some(first) = first else {
        return match case.is_for_own_worker() {
            true => TestResult::Skipped("it is for a worker of your own, whose tests run it"),
            false => TestResult::Passed,
        };
    };
    let wrong = Wrong {
        check: first.check.as_str(),
        message: message(first),
        text: text::scenario(case, true, Style::default())
            .trim_end()
            .to_owned()
            + "\n",
    };
    match case.exit() {
        Exit::Invalid | Exit::Internal => TestResult::Error(wrong),
        _ => TestResult::Failure(wrong),
    }
}

/// Returns the place of a finding and its sentence, in one line.
fn message(finding: &Finding) -> String {
    let sentence = finding.sentence();
    let message = match &finding.place {
        Some(place) => format!("{place}: {sentence}"),
        None => sentence,
    };
    message.lines().collect::<Vec<_>>().join(" ")
}

impl Suite {
    fn count(&self, counts: &mut Counts) {
        for test in &self.tests {
            counts.tests += 1;
            match &test.result {
                TestResult::Passed => {}
                TestResult::Skipped(_) => counts.skipped += 1,
                TestResult::Failure(_) => counts.failures += 1,
                TestResult::Error(_) => counts.errors += 1,
            }
        }
    }

    fn write(&self, name: &str, writer: &mut Writer<Vec<u8>>) -> io::Result<()> {
        let mut counts = Counts::default();
        self.count(&mut counts);
        writer
            .create_element("testsuite")
            .with_attributes([
                ("name", &*allowed(name)),
                ("tests", &counts.tests.to_string()),
                ("failures", &counts.failures.to_string()),
                ("errors", &counts.errors.to_string()),
                ("skipped", &counts.skipped.to_string()),
            ])
            .write_inner_content(|writer| {
                self.tests
                    .iter()
                    .try_for_each(|test| test.write(name, writer))
            })?;
        Ok(())
    }
}

impl TestCase {
    fn write(&self, suite: &str, writer: &mut Writer<Vec<u8>>) -> io::Result<()> {
        let element = writer.create_element("testcase").with_attributes([
            ("name", &*allowed(&self.name)),
            ("classname", &allowed(suite)),
        ]);
        if matches!(self.result, TestResult::Passed) && self.log.is_none() {
            element.write_empty()?;
            return Ok(());
        }
        element.write_inner_content(|writer| {
            match &self.result {
                TestResult::Passed => {}
                TestResult::Skipped(why) => {
                    let skipped = writer.create_element("skipped");
                    skipped.with_attribute(("message", *why)).write_empty()?;
                }
                TestResult::Failure(wrong) => wrong.write("failure", writer)?,
                TestResult::Error(wrong) => wrong.write("error", writer)?,
            }
            if let Some(log) = &self.log {
                let out = writer.create_element("system-out");
                out.write_text_content(BytesText::new(&allowed(log)))?;
            }
            Ok(())
        })?;
        Ok(())
    }
}

impl Wrong {
    fn write(&self, element: &str, writer: &mut Writer<Vec<u8>>) -> io::Result<()> {
        writer
            .create_element(element)
            .with_attributes([("message", &*allowed(&self.message)), ("type", self.check)])
            .write_text_content(BytesText::new(&allowed(&self.text)))?;
        Ok(())
    }
}

/// Returns a text without characters that XML cannot have in any form: they are written as Rust writes them.
fn allowed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..=char::MAX => out.push(c),
            c => out.extend(c.escape_unicode()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::allowed;

    #[test]
    fn characters_that_xml_cannot_have_are_escaped() {
        assert_eq!(
            allowed("a\u{1b}[31m\0\u{ffff}"),
            "a\\u{1b}[31m\\u{0}\\u{ffff}"
        );
        assert_eq!(allowed("<a>\n\tä 数 \u{1f600}"), "<a>\n\tä 数 \u{1f600}");
    }
}
