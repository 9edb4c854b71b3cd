//! Units of systemd, as `systemctl` tells of them.

use std::process::{Command, Stdio};

/// Whether a unit is active: a socket that is holds its addresses while nothing runs. Where there
/// is no systemd none is.
pub fn is_active(unit: &str) -> bool {
    is("is-active", unit)
}

/// Whether a unit is started at boot.
pub fn is_enabled(unit: &str) -> bool {
    is("is-enabled", unit)
}

fn is(what: &str, unit: &str) -> bool {
    let asked = Command::new("systemctl")
        .args([what, "--quiet", unit])
        .stderr(Stdio::null())
        .status();
    asked.is_ok_and(|status| status.success())
}
