//! Daemons that other people wrote, in namespaces of their own.
//!
//! Contract: with the guard, or with the test (also one that is killed), each of their processes
//! ends, and nobody else's; what is mounted for them is seen by nobody else. Root only.

use std::{ffi::OsStr, process::Command};

/// A command whose processes have a namespace of their own, and whose files are what this shell
/// script has mounted before; to be given its arguments.
///
/// The first process there is a shell that waits, and not the daemon itself, because a process that
/// changes its user, as Postfix' master does for a moment, is no longer killed with its parent.
pub fn enclosed(mounts: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare", "--pid", "--fork"]);
    command.args(["--kill-child", "--mount-proc", "sh", "-c"]);
    command.arg(format!("set -e\n{mounts}\nset +e\n\"$@\"; exit $?"));
    command.arg("sh").arg(program);
    command
}
