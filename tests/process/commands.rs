//! Commands that run another command under a condition: in a container, with signals blocked, with few resources.

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::process::{ROLE, this_executable};

/// Command that makes its argument the first process of a namespace of its own, as in a container.
pub const CONTAINS: [&str; 4] = ["unshare", "--user", "--pid", "--fork"];

/// Command that runs another with the signals blocked that a worker hears.
pub const BLOCKS: [&str; 2] = ["env", "--block-signal=TERM,INT"];

/// Command that runs another with these signals ignored, as a shell does that has a trap for them.
pub const IGNORES: [&str; 4] = ["sh", "-c", r#"trap '' TERM INT; exec "$0" "$@""#, "env"];

/// Returns a command that runs another as a user with a limit on its threads. Root has no such limit, and two
/// processes of one user share theirs, so each gets a user of its own.
pub fn few_threads() -> Vec<String> {
    static USERS: AtomicU32 = AtomicU32::new(0);
    let nth = USERS.fetch_add(1, Ordering::Relaxed);
    let user = 20_000 + (std::process::id() * 16 + nth) % 40_000;
    let command = format!("setpriv --reuid={user} --clear-groups prlimit --nproc=64");
    command.split(' ').map(str::to_owned).collect()
}

/// Command that runs another with a limit on its memory, so that no stack can be had once the limit is reached.
pub const FEW_STACKS: [&str; 4] = [
    "sh",
    "-c",
    r#"ulimit -v 524288; MALLOC_ARENA_MAX=1 exec "$0" "$@""#,
    "env",
];

/// Command that runs another with a limit on its descriptors.
pub const FEW_FILES: [&str; 4] = ["sh", "-c", r#"ulimit -n 64; exec "$0" "$@""#, "env"];

/// Returns whether this command can run this executable.
pub fn can_run(by: &[impl AsRef<OsStr>]) -> bool {
    let mut command = Command::new(&by[0]);
    command
        .args(&by[1..])
        .arg(this_executable())
        .env(ROLE, "nothing");
    let ran = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    ran.is_ok_and(|status| status.success())
}
