//! What `check` says of a directory that a daemon keeps its data in, the same of both programs.

use std::{ffi::OsStr, path::Path};

use control::findings::Findings;
use mail::limits::MINIMUM_INODES;
use system::{
    fs::{Room, room},
    usable::unusable,
};

const MIB: u64 = 1024 * 1024;
/// Below this many free bytes or inodes somebody should look.
const LITTLE: u64 = 512 * MIB;
const FEW: u64 = 10_000;

/// Whether it can be written, and how much is free there. `least`: the free bytes below which no
/// mail is taken. `judged`: who looks sees it as the daemon does.
pub fn look(
    subject: &'static str,
    directory: &Path,
    (least, judged): (u64, bool),
    findings: &mut Findings,
) {
    let shown = directory.display();
    // What an administrator has put beside the daemon's own is in nobody's way.
    let whole = subject == "spool";
    let needed = |name: &OsStr| whole || name.as_encoded_bytes().starts_with(b"state.sqlite");
    if judged && let Some(found) = unusable(directory, needed) {
        return findings.fail(subject, found.why, &found.remedy);
    }
    if judged
        && !whole
        && let Some(found) = unusable(directory, |_| true)
    {
        findings.warn(subject, found.why, &found.remedy);
    }
    let there = directory.ancestors().find(|it| it.is_dir());
    match room(there.unwrap_or(Path::new("."))) {
        Ok(room) => free(subject, &shown.to_string(), (&room, least), findings),
        Err(error) => {
            let remedy = "the daemon must be able to see it";
            findings.fail(subject, format!("{shown}: {error}"), remedy);
        }
    }
}

fn free(subject: &'static str, path: &str, (room, least): (&Room, u64), findings: &mut Findings) {
    let inodes = if room.inodes < FEW {
        format!(" and {} inodes", room.inodes)
    } else {
        String::new()
    };
    let text = format!("{path}, {} MiB{inodes} free", room.bytes / MIB);
    let remedy = format!(
        "free space (or inodes): with less than {} MiB, or {MINIMUM_INODES} inodes, mail is refused for the time being",
        least / MIB
    );
    if room.bytes < least || room.inodes < MINIMUM_INODES {
        findings.fail(subject, text, &remedy);
    } else if room.bytes < LITTLE.max(least.saturating_mul(2)) || room.inodes < FEW {
        findings.warn(subject, text, &remedy);
    } else {
        findings.ok(subject, text);
    }
}

#[cfg(test)]
mod tests {
    use control::findings::Level;

    use super::*;

    #[test]
    fn a_disk_that_fills_up_is_told_before_it_is_full() {
        let level_of = |mib: u64, inodes| {
            let bytes = mib * MIB;
            let mut findings = Findings::default();
            let room = Room { bytes, inodes };
            free("spool", "/spool", (&room, 64 * MIB), &mut findings);
            findings.level()
        };
        assert_eq!(level_of(10_000, u64::MAX), Level::Ok);
        assert_eq!(level_of(200, u64::MAX), Level::Warning);
        assert_eq!(level_of(10_000, 500), Level::Warning);
        assert_eq!(level_of(10, u64::MAX), Level::Critical);
        assert_eq!(level_of(10_000, 0), Level::Critical);
    }
}
