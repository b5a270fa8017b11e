//! The `deadstop` command, with one file for each subcommand.

mod accept;
mod case;
mod check;
mod exit;
mod lint;
mod live;
mod new;
mod options;
mod output;
mod place;
mod replay;
mod reporters;
mod run;
mod schema;
mod seeds;
mod view;

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use deadstop_harness::words::{contained, escaped};
use exit::{Done, Exit};
use options::{Context, Format};

/// Tests how a worker process shuts down: scenario files script failures, a simulator drives a worker
/// context through them in virtual time, and laws judge the journal of what happened.
#[derive(Debug, Parser)]
#[command(
    name = "deadstop",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 success · 1 a law, an expectation or a snapshot failed · 2 wrong usage · 3 a scenario \
                  file is invalid · 4 nothing was selected or run · 5 only snapshots are missing, pending or unreferenced \
                  · 6 not deterministic · 70 an internal error of deadstop · 130 interrupted"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one scenario and look at it: its budget, its log, its timeline, and what is wrong
    Run(run::Run),
    /// Check scenarios: run each several times, and judge it by laws, expectations and its snapshot
    Check(check::Check),
    /// Accept pending snapshots: the logs of the last check become the accepted ones
    Accept(accept::Accept),
    /// Reject pending snapshots: delete the logs of the last check
    Reject(accept::Reject),
    /// Run a failed scenario or a recorded journal again
    Replay(replay::Replay),
    /// Run scenarios on real threads, the real clock and real sockets, and compare with the simulation
    Live(live::Live),
    #[command(name = live::PERFORM, hide = true)]
    Perform(live::Perform),
    /// Look for mistakes in scenario files, without running them
    Lint(lint::Lint),
    /// Write a new scenario file with comments, as a starting point
    New(new::New),
    /// Print the JSON schema of scenario files, for editors
    Schema(schema::Schema),
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(not_parsed(&error, &arguments).code()),
    };
    let command = match cli.command {
        // It ends as the worker does, with the worker's exit code, and not as a command.
        Command::Perform(perform) => return perform.run(),
        command => command,
    };
    let exit = contained(|| dispatch(command)).unwrap_or_else(|| {
        output::err("deadstop: internal error of deadstop, described above; there is no verdict");
        Exit::Internal
    });
    ExitCode::from(exit.code())
}

/// Prints what the parser of the command line reports: the help, the version or an error.
fn not_parsed(error: &clap::Error, arguments: &[OsString]) -> Exit {
    // Help and version are no errors, and go to standard output.
    if !error.use_stderr() {
        let written = error.print().and_then(|()| std::io::stdout().flush());
        return match written {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                output::err(&format!(
                    "deadstop: cannot write to standard output: {error}"
                ));
                Exit::Internal
            }
            _ => Exit::Well,
        };
    }
    // The parser quotes arguments as they are. So escaped ones are parsed again, and that error is printed.
    let escaped = arguments
        .iter()
        .map(|argument| escaped(&argument.to_string_lossy()));
    match Cli::try_parse_from(escaped) {
        Err(again) if again.use_stderr() => drop(again.print()),
        _ => output::err("deadstop: the command line is wrong; see `deadstop --help`"),
    }
    Exit::Usage
}

/// Runs a command. An error that keeps it from a verdict is written to standard error.
fn dispatch(command: Command) -> Exit {
    let done = match command {
        Command::Run(run) => run.run(),
        Command::Check(check) => check.run(),
        Command::Accept(accept) => accept.run(),
        Command::Reject(reject) => reject.run(),
        Command::Replay(replay) => replay.run(),
        Command::Live(live) => live.run(),
        Command::Perform(_) => Ok(Exit::Internal),
        Command::Lint(lint) => lint.run(),
        Command::New(new) => new.run(),
        Command::Schema(schema) => schema.run(),
    };
    done.unwrap_or_else(|(exit, message)| {
        output::err(&format!("deadstop: {message}"));
        exit
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
