//! The end of a guided set-up: the daemon takes what was written, and a mail to the administrators
//! is sent and followed to its end.
//!
//! Contract: in a terminal it is asked first; where nobody can be asked it is done only if the
//! command line says so.
//! Failures: a text with what to do; what was written stays.

use std::{path::Path, process::Command};

use crate::dialog::Dialog;

/// Where it is seen that systemd runs this machine: `sd_booted(3)`.
const BOOTED: &str = "/run/systemd/system";

/// `--test`, as both programs have it.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Trial {
    /// At the end, let the daemon load the file, send a mail to the administrators and follow it
    /// (in a terminal you are asked)
    #[arg(long)]
    pub test: bool,
}

impl Trial {
    /// Refused on the command line where the files that are written are another system's.
    pub fn may_be(self, elsewhere: bool) -> Result<(), String> {
        if self.test && elsewhere {
            return Err(
                "--test needs the system itself, and --root names another's files: run \
                 init there, or test there when it runs"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Whether it is wanted. `root`: the files of another system have no daemon here.
    pub fn is_wanted(
        self,
        dialog: &mut Dialog<'_>,
        (program, to): (&str, &str),
        root: &Path,
    ) -> Result<bool, String> {
        if self.test || !dialog.is_asking() || root != Path::new("/") {
            return Ok(self.test);
        }
        let ask =
            format!("Let {program} run with it, send a mail to {to} and follow it to its end?");
        dialog.agree(&ask, true)
    }
}

/// Starts a unit anew; `false`: there is no systemd that could.
pub fn restart(unit: &str) -> Result<bool, String> {
    if !Path::new(BOOTED).is_dir() {
        return Ok(false);
    }
    let status = Command::new("systemctl").args(["restart", unit]).status();
    match status {
        Ok(status) if status.success() => Ok(true),
        Ok(_) => Err(format!(
            "systemctl restart {unit} failed: journalctl -u {unit} says why"
        )),
        Err(error) => Err(format!("systemctl: {error}")),
    }
}
