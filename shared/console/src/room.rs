//! What `check` says of a directory that a daemon keeps its data in, the same of both programs.

use std::{
    ffi::OsStr,
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use control::findings::Findings;
use mail::limits::MINIMUM_INODES;
use system::{
    flush::flush_takes,
    fs::{Room, no_directory, room},
    usable::{Unusable, is_everybodys, unusable},
    within,
};

const MIB: u64 = 1024 * 1024;
/// Below this many free bytes or inodes somebody should look.
const LITTLE: u64 = 512 * MIB;
const FEW: u64 = 10_000;
/// What to do about one that is not the daemon's alone.
const OWN: &str = "name a directory of the daemon's own";
/// A flush that takes so long lets senders wait.
const SLOW: Duration = Duration::from_millis(50);
/// How many senders at a time it is told for, beside one.
const SENDERS: u128 = 50;

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
    let looked = within::ask(directory, move |directory| {
        let needed = |name: &OsStr| whole || name.as_encoded_bytes().starts_with(b"state.sqlite");
        if let Some(why) = no_directory(directory) {
            return Ok(Err(Unusable {
                path: directory.to_owned(),
                why,
                remedy: OWN.to_owned(),
            }));
        }
        if judged && let Some(found) = unusable(directory, needed) {
            return Ok(Err(found));
        }
        let odd = (judged && !whole).then(|| unusable(directory, |_| true));
        let there = directory.ancestors().find(|it| it.is_dir());
        let open = fs::metadata(directory).ok();
        let open = open.and_then(|found| open_to_others(directory, &found));
        let room = room(there.unwrap_or(Path::new(".")))?;
        Ok(Ok((odd.flatten(), open, room)))
    });
    match looked {
        Ok(Err(found)) => findings.fail(subject, found.why, &found.remedy),
        Ok(Ok((odd, open, room))) => {
            if let Some(found) = odd {
                findings.warn(subject, found.why, &found.remedy);
            }
            if let Some((what, remedy)) = open {
                findings.warn(subject, what, &remedy);
            }
            free(subject, &shown.to_string(), (&room, least), findings);
        }
        Err(error) => {
            let remedy = "the daemon must be able to see it";
            findings.fail(subject, format!("{shown}: {error}"), remedy);
        }
    }
}

/// What others may do there, and what to do about it.
fn open_to_others(directory: &Path, found: &Metadata) -> Option<(String, String)> {
    let what = match found.mode() & 0o077 {
        open if open & 0o022 != 0 => "write: they can remove or replace what is there",
        open if open & 0o055 != 0 => "look into: they see whose mail there is, by names and times",
        _ => return None,
    };
    let shown = directory.display();
    let text = format!("{shown} is a directory that other users may {what}");
    let remedy = if is_everybodys(directory, found) {
        OWN.to_owned()
    } else {
        format!("chmod 0700 {shown}")
    };
    Some((text, remedy))
}

/// Mail that lies where an earlier configuration kept the queue, by place; `alarms`: what the
/// daemon tells of itself.
pub fn left(places: Vec<(PathBuf, u64)>, spool: &Path, alarms: &[String], findings: &mut Findings) {
    for (place, count) in places {
        let (place, spool) = (place.display().to_string(), spool.display());
        if alarms.iter().any(|alarm| alarm.contains(&place)) {
            continue;
        }
        let text = format!(
            "{count} messages wait in {place}, where the queue was before, and not in {spool}"
        );
        let remedy = format!(
            "the next start moves them to {spool}; to serve them where they are: spool = \"{place}\""
        );
        findings.warn("spool", text, &remedy);
    }
}

/// How long a flush of the disk takes that the queue lies on, and how fast mail is accepted then.
/// Who cannot try says nothing: [`look`] does.
pub fn flush(directory: &Path, findings: &mut Findings) {
    match within::ask_disk(directory, flush_takes) {
        Ok(takes) => flushed(takes, findings),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            let text = format!("{}: {error}", directory.display());
            findings.fail("flush", text, "until it does, no mail is taken");
        }
        Err(_) => {}
    }
}

fn flushed(takes: Duration, findings: &mut Findings) {
    let micros = takes.as_micros().max(1);
    // Each flush serves half of those who send one message after the other.
    let (one, many) = (1_000_000 / micros, SENDERS / 2 * 1_000_000 / micros);
    let text = format!(
        "a flush of the disk takes {}.{} ms: at most {one} messages a second are accepted of one sender, {many} of {SENDERS}",
        micros / 1000,
        micros % 1000 / 100
    );
    if takes < SLOW {
        findings.ok("flush", text);
    } else {
        let remedy = "the queue on a disk of its own, or on one whose cache outlives a power cut";
        findings.warn("flush", text, remedy);
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
    use std::os::unix::fs::PermissionsExt as _;

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

    #[test]
    fn what_is_no_directory_or_everybodys_is_left_as_it_is_and_another_one_is_to_be_named() {
        let directory = tempfile::tempdir().unwrap();
        let (file, world) = (
            directory.path().join("file"),
            directory.path().join("world"),
        );
        let own = directory.path().join("own");
        system::fs::replace(&file, b"", 0o600).unwrap();
        for (path, mode) in [(&world, 0o1777), (&own, 0o755)] {
            fs::create_dir(path).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        for judged in [true, false] {
            for (path, level, remedy) in [
                (Path::new("/dev/null"), Level::Critical, OWN),
                (&*file, Level::Critical, OWN),
                (&*world, Level::Warning, OWN),
                (&*own, Level::Warning, "chmod 0700 "),
            ] {
                let mut findings = Findings::default();
                look("spool", path, (0, judged), &mut findings);
                let text = findings.table();
                assert_eq!(findings.level(), level, "{text}");
                assert!(text.contains(remedy), "{text}");
                assert_eq!(text.contains("chmod"), remedy.contains("chmod"), "{text}");
            }
        }
    }

    #[test]
    fn a_slow_disk_is_told_with_what_to_expect_of_it() {
        let told = |micros| {
            let mut findings = Findings::default();
            flushed(Duration::from_micros(micros), &mut findings);
            (findings.level(), findings.table())
        };
        let (level, text) = told(5200);
        assert_eq!(level, Level::Ok);
        assert!(
            text.contains(
                "takes 5.2 ms: at most 192 messages a second are accepted of one sender, 4807 of 50"
            ),
            "{text}"
        );
        assert_eq!(told(80_000).0, Level::Warning);
        assert_eq!(told(0).0, Level::Ok);
    }
}
