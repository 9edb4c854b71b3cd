//! A Dovecot of its own: protocols, users and sockets are the test's.
//!
//! Contract: all its files lie in its directory; ends with its guard. Root only, as Dovecot is.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
    process::Command,
};

use tempfile::TempDir;

use crate::{
    daemon::Daemon,
    identity::{Identity, write},
    peers,
    wait::until,
};

/// What all have; mail belongs to nobody. The key is there for those that set `ssl = yes`.
const SETTINGS: &str = "base_dir = $DIR/run\nlog_path = /dev/stderr\nlisten = 127.0.0.1\nfirst_valid_uid = 1\nssl = no\n\
    ssl_cert = <$DIR/own.pem\nssl_key = <$DIR/own.key\nservice stats {\n unix_listener stats-writer {\n mode = 0666\n }\n}\n";

/// A running Dovecot.
#[derive(Debug)]
pub struct Dovecot {
    // Before the directory: what is dropped first ends first.
    _daemon: Daemon,
    directory: TempDir,
}

impl Dovecot {
    /// Starts one with these settings and files (`$DIR` is its directory), and waits until `ready`
    /// has an answer; `None` where there is none, or no root to start it.
    pub fn start<T>(
        settings: &str,
        files: &[(&str, &str)],
        ready: impl Fn(&Path) -> Option<T>,
    ) -> Option<Self> {
        let program = peers::find("dovecot").filter(|_| peers::root())?;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let placed = |text: &str| text.replace("$DIR", peers::text(path));
        // Its processes give up root.
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(path.join("mail")).unwrap();
        chown(path.join("mail"), Some(65534), Some(65534)).unwrap();
        Identity::new("dovecot.example.test").write(path, "own");
        for (name, text) in files {
            write(&path.join(name), placed(text));
        }
        let config = path.join("dovecot.conf");
        write(&config, placed(SETTINGS) + &placed(settings));
        let mut command = Command::new(program);
        command.arg("-F").arg("-c").arg(&config);
        let mut daemon = Daemon::start("dovecot", &mut command);
        until("dovecot takes connections", || {
            assert!(daemon.ended().is_none(), "dovecot ended at once");
            ready(path)
        });
        Some(Self {
            _daemon: daemon,
            directory,
        })
    }

    /// Its configuration, its key (`own.pem`), sockets and mail.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}
