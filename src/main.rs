//! The `deadstop` binary: runs the command line and ends with its exit code.

fn main() -> std::process::ExitCode {
    deadstop::cli::main(std::env::args_os())
}
