//! The command line: parse, dispatch, exit code.

fn main() -> std::process::ExitCode {
    deadstop::cli::main(std::env::args_os())
}
