//! What to do about a file that is named and may not be read: keys that a group may read, as those
//! of ssl-cert, the folders of ACME tools, which nobody but root may enter, and tables and keys
//! that root keeps for itself.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustix::{fs::Access, io::Errno};
use system::{
    read,
    within::{self, NoAnswer},
};

use super::eyes::AS_ROOT;
use crate::config::Config;

/// Links that are followed.
const LINKS: usize = 8;
/// Largest `passwd` or `group` that is read, bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// The file or folder that is in the way.
#[derive(Debug)]
struct Obstacle {
    path: PathBuf,
    is_folder: bool,
    mode: u32,
    group: u32,
}

/// What to do, if a fault is about a file that this user may not read; `stranger`: nobody knows
/// whether the daemon's user may.
pub(super) fn remedy(fault: &str, config: &Config, stranger: bool) -> Option<String> {
    let mut parts = fault.split(": ").map(Path::new);
    let file = parts.find(|part| part.is_absolute() && is_denied(part))?;
    if stranger {
        return Some(format!(
            "{} is not for you to read: {AS_ROOT}",
            file.display()
        ));
    }
    let renewed = config.relay_tls.identity.iter();
    let renewed = renewed.flat_map(|(certificate, key)| [certificate, key]);
    let renewed = renewed.chain([&config.tls.certificate, &config.tls.key]);
    let is_renewed = renewed.map(PathBuf::as_path).any(|it| it == file);
    let obstacle = obstacle(file)?;
    let user = name("/etc/passwd", rustix::process::geteuid().as_raw());
    let user = user.unwrap_or_else(|| "smarthost".to_owned());
    let group = name("/etc/group", obstacle.group);
    let own = name("/etc/group", rustix::process::getegid().as_raw());
    let own = own.unwrap_or_else(|| rustix::process::getegid().as_raw().to_string());
    let who = (user.as_str(), own.as_str());
    Some(in_words(&obstacle, who, group.as_deref(), is_renewed))
}

/// Whether a fault is about a file that does not answer, whatever stands in it.
pub(super) fn is_silent(fault: &str) -> bool {
    fault.contains(NoAnswer::WORDS)
}

/// `renewed`: a program that renews it decides who may read it.
fn in_words(
    obstacle: &Obstacle,
    (user, own): (&str, &str),
    group: Option<&str>,
    renewed: bool,
) -> String {
    let wanted = if obstacle.is_folder { 0o010 } else { 0o040 };
    let by_group = obstacle.mode & wanted != 0 && obstacle.group != 0;
    if let Some(group) = group.filter(|_| by_group) {
        return format!(
            "group {group} may: usermod -aG {group} {user}, then systemctl restart smarthost"
        );
    }
    let path = obstacle.path.display();
    let (what, mode) = if obstacle.is_folder {
        ("enter", "g+x")
    } else {
        ("read", "g+r")
    };
    if !renewed {
        return format!(
            "{user} may not {what} {path}: chgrp {own} {path} && chmod {mode} {path}, or keep it where {user} may read it"
        );
    }
    format!(
        "{user} may not {what} {path}: let a deploy hook of the program that renews them copy \
         certificate and key (install -o {user} -m 600 …), or pass them to the unit with \
         LoadCredential="
    )
}

/// Without opening it: a FIFO would wait for who writes.
fn is_denied(file: &Path) -> bool {
    let looked = read::access(file, Access::READ_OK);
    looked.is_err_and(|error| Errno::from_io_error(&error) == Some(Errno::ACCESS))
}

/// The last on the way to a file that can be seen: a folder that cannot be passed, or the file.
fn obstacle(file: &Path) -> Option<Obstacle> {
    let mut file = file.to_owned();
    for _ in 0..LINKS {
        let way: Vec<PathBuf> = file.ancestors().map(Path::to_owned).collect();
        let mut last = None;
        let mut link = None;
        for place in way.into_iter().rev() {
            let Ok(seen) = read::metadata(&place) else {
                link = within::found(&place, |it| fs::read_link(it).ok())
                    .map(|target| (place, target));
                break;
            };
            last = Some((place, seen));
        }
        // Behind a link it is another folder that is in the way.
        let Some((place, target)) = link else {
            let (path, seen) = last?;
            return Some(Obstacle {
                is_folder: seen.is_dir(),
                mode: seen.mode(),
                group: seen.gid(),
                path,
            });
        };
        let rest = file.strip_prefix(&place).ok()?.to_owned();
        let target = place.parent()?.join(target);
        file = if rest.as_os_str().is_empty() {
            target
        } else {
            target.join(rest)
        };
    }
    None
}

/// The name of a user or group with this number.
fn name(file: &str, number: u32) -> Option<String> {
    let text = read::text(file.as_ref(), MAX_FILE).ok()?;
    let number = number.to_string();
    let fields = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        (fields.nth(1)? == number).then_some(name)
    };
    text.lines().find_map(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_follows_from_who_may_read_the_key() {
        let by_group =
            "group ssl-cert may: usermod -aG ssl-cert smarthost, then systemctl restart smarthost";
        let copied = "let a deploy hook of the program that renews them";
        for (path, is_folder, mode, group, name, expected) in [
            (
                "/etc/ssl/private",
                true,
                0o40710,
                110,
                Some("ssl-cert"),
                by_group,
            ),
            (
                "/etc/ssl/private/mx.key",
                false,
                0o100_640,
                110,
                Some("ssl-cert"),
                by_group,
            ),
            // Nobody is put into root's group, or into one that may not either.
            (
                "/etc/ssl/private/mx.key",
                false,
                0o100_640,
                0,
                Some("root"),
                copied,
            ),
            (
                "/etc/ssl/private/mx.key",
                false,
                0o100_600,
                110,
                Some("ssl-cert"),
                copied,
            ),
            (
                "/etc/letsencrypt/live",
                true,
                0o40700,
                0,
                Some("root"),
                "may not enter /etc/letsencrypt/live: let a deploy hook",
            ),
            (
                "/etc/acme",
                true,
                0o40750,
                999,
                None,
                "may not enter /etc/acme: let a deploy hook",
            ),
        ] {
            let obstacle = Obstacle {
                path: path.into(),
                is_folder,
                mode,
                group,
            };
            let who = ("smarthost", "smarthost");
            let told = in_words(&obstacle, who, name, true);
            assert!(told.contains(expected), "{path} {mode:o}: {told}");
            // A table, or a key that nobody renews.
            let told = in_words(&obstacle, who, name, false);
            let given = format!("chgrp smarthost {path} && chmod g+");
            let expected = if expected == by_group {
                by_group
            } else {
                &given
            };
            assert!(told.contains(expected), "{path} {mode:o}: {told}");
        }
    }
}
