//! Shows one run, for `run` and `replay`: its budget, its log, its timeline and its verdict.

use std::fmt::Write;
use std::sync::Arc;

use deadstop_harness::journal::{Event, json, text};
use deadstop_harness::laws;
use deadstop_harness::report::{
    Finding, SourceFile, Style, invalid, judge, listed, never_struck, timeline,
};
use deadstop_harness::scenario::{self, Scenario};
use deadstop_harness::sim::{self, Journal, Options, Runners, Subject};
use deadstop_harness::words::shell_quoted;

use super::options::RunArgs;
use super::output::{err, out, style};
use super::{Exit, Format, place};

/// A scenario that was read and parsed.
pub struct LoadedScenario {
    pub file: Arc<SourceFile>,
    pub scenario: Arc<Scenario>,
}

/// Returns the details of findings, whose rendered lines of the file say what is wrong.
pub fn details(findings: &[Finding], style: Style) -> String {
    let details = findings.iter().flat_map(|finding| &finding.details);
    details.map(|detail| detail.text(style)).collect()
}

/// Parses a scenario. If it is invalid, its mistakes are written to standard error.
pub fn load(name: &str, path: &str, bytes: &[u8]) -> Option<LoadedScenario> {
    let file = Arc::new(SourceFile {
        path: path.to_owned(),
        text: String::from_utf8_lossy(bytes).into_owned(),
    });
    match scenario::parse_bytes(name, bytes) {
        Ok(scenario) => Some(LoadedScenario {
            file,
            scenario: Arc::new(scenario),
        }),
        Err(errors) => {
            let style = Style {
                color: false,
                ..style()
            };
            err(details(&invalid(&file, &errors), style).trim_end());
            None
        }
    }
}

/// Runs a scenario on a watched thread, so that no body hangs the command, and returns its journal.
///
/// # Errors
///
/// If deadstop itself is at fault; the message is for people.
pub fn run_guarded(scenario: &Arc<Scenario>, options: &Options) -> Result<Journal, String> {
    let runners = Runners::new(1).map_err(|error| format!("cannot start a thread: {error}"))?;
    runners
        .run(Arc::clone(scenario), *options)
        .map_err(|error| error.to_string())
}

/// Runs a scenario, shows the run, and returns the exit code of its verdict and its events.
pub fn run_and_show(
    loaded: &LoadedScenario,
    how: &RunArgs,
    options: &Options,
) -> Result<(Exit, Vec<Event>), (Exit, String)> {
    if loaded.scenario.worker.components.is_none() {
        err(&format!(
            "{}: the file has no components in [worker], so it is for a worker of your own: run it in the tests of that worker, with `deadstop_harness::scenarios!`",
            loaded.file.path
        ));
        return Ok((Exit::Nothing, Vec::new()));
    }
    let Journal {
        events, unstruck, ..
    } = run_guarded(&loaded.scenario, options).map_err(|message| (Exit::Internal, message))?;
    let style = style();
    let mut findings = judge(&loaded.scenario, &loaded.file, &events);
    let replay = replay_line(&loaded.file.path, &loaded.scenario, options);
    for finding in &mut findings {
        finding.replay = Some(replay.clone());
    }
    match how.format {
        Format::Json => out(&json(&events))?,
        Format::Text if how.brief => out(&format!(
            "{}\n\n{}\n",
            loaded.scenario.title,
            timeline(&events, style)
        ))?,
        Format::Text => {
            let budget = sim::budget(&loaded.scenario);
            out(&format!(
                "{}\n{budget}\n\n{}\n{}\n",
                loaded.scenario.title,
                text(&events),
                timeline(&events, style)
            ))?;
        }
    }
    let verdict = verdict_text(loaded, &events, &findings, style)
        + &never_struck(&loaded.scenario, &loaded.file, &unstruck);
    match how.format {
        Format::Json => err(verdict.trim_end()),
        Format::Text => out(&verdict)?,
    }
    Ok((Exit::of(&findings), events))
}

fn verdict_text(
    loaded: &LoadedScenario,
    events: &[Event],
    findings: &[Finding],
    style: Style,
) -> String {
    let mut text = String::new();
    if findings.is_empty() {
        let breaks = loaded.scenario.expect.breaks.value.len();
        let _ = write!(
            text,
            "as expected: {} events, {} laws hold",
            events.len(),
            laws::all().len() - breaks
        );
        if breaks > 0 {
            let _ = write!(
                text,
                ", and {breaks} {}",
                if breaks == 1 { "breaks" } else { "break" }
            );
        }
        text.push('\n');
        return text;
    }
    text.push_str(&listed(findings, style));
    if let Some(replay) = findings.iter().find_map(|finding| finding.replay.as_ref()) {
        let _ = writeln!(text, "replay: {replay}");
    }
    text
}

/// Returns the command that shows a run again.
pub fn replay_line(path: &str, scenario: &Scenario, options: &Options) -> String {
    let plan = if options.subject == Subject::Plan {
        " --context plan"
    } else {
        ""
    };
    // The name is enough if it selects the file.
    let by_name = place::selects_file(&scenario.name, path);
    let what = if by_name {
        scenario.name.to_string()
    } else {
        path.to_owned()
    };
    format!(
        "deadstop replay {}{plan} --seed {}",
        shell_quoted(&what),
        options.seed
    )
}
