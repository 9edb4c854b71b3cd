//! Whether the daemon's user can make the sockets that the configuration names: they lie in
//! directories, which somebody has to give to it.

use std::{io, path::Path};

use control::findings::Findings;
use rustix::fs::Access;
use system::{read, within};

use crate::config::{Config, Web};

/// Looks with the eyes of whoever asks.
pub(super) fn check(path: &Path, config: &Config, findings: &mut Findings) {
    let page = match &config.web {
        Some(Web::Unix(path)) => Some(("web", path)),
        _ => None,
    };
    for (key, socket) in [("control", &config.control)].into_iter().chain(page) {
        let Some(directory) = socket.parent().filter(|it| !it.as_os_str().is_empty()) else {
            continue;
        };
        let is_there = |it: &&Path| match within::ask(it, Path::symlink_metadata) {
            Err(error) => error.kind() == io::ErrorKind::TimedOut,
            Ok(_) => true,
        };
        let there = directory.ancestors().find(is_there);
        let there = there.unwrap_or(Path::new("/"));
        // What systemd makes for the daemon (RuntimeDirectory=) is there while it runs.
        let made = there != directory && directory.starts_with("/run");
        if made && path == Path::new(Config::PATH) {
            continue;
        }
        if let Err(error) = read::access(there, Access::WRITE_OK | Access::EXEC_OK) {
            let what = format!(
                "{}: {key} cannot be made in {}: {error}",
                socket.display(),
                there.display()
            );
            let remedy = format!(
                "give {} to the daemon's user (chown {} {}), or name a path in the state directory, which is its own",
                directory.display(),
                rustix::process::geteuid().as_raw(),
                directory.display()
            );
            findings.fail(key, config.wrong(key, &what).text, &remedy);
        }
    }
}
