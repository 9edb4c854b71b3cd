//! A Postfix of its own: configuration, queue and port are the test's.
//!
//! Contract: with the guard, or with the test, each of its daemons ends (see [`crate::enclosed`]).

use std::{
    collections::BTreeMap, fs, net::Ipv4Addr, os::unix::fs::PermissionsExt as _, path::Path,
    process::Command,
};

use tempfile::TempDir;

use crate::{
    daemon::Daemon,
    enclosed::enclosed,
    identity::{Identity, write},
    maildir, peers,
    wait::{free_port, until},
};

/// A running Postfix.
#[derive(Debug)]
pub struct Postfix {
    port: u16,
    // Before the directory: what is dropped first ends first.
    daemon: Daemon,
    directory: TempDir,
}

impl Postfix {
    /// Starts one with these settings in `main.cf` (`$DIR` is its directory) and waits until it
    /// takes connections; `None` where there is none, or no root to start it.
    pub fn start(main: &str) -> Option<Self> {
        Self::start_with(main, &BTreeMap::new(), None)
    }

    /// The same with these files beside it, and with a name server of its own.
    pub fn start_with(
        main: &str,
        files: &BTreeMap<String, String>,
        resolver: Option<Ipv4Addr>,
    ) -> Option<Self> {
        let postfix = peers::find("postfix")?;
        if !peers::root() {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let (path, port) = (peers::text(directory.path()).to_owned(), free_port());
        // Its daemons give up root.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        for (name, owner) in [("queue", "root"), ("data", "postfix"), ("mail", "nobody")] {
            fs::create_dir(directory.path().join(name)).unwrap();
            let status = Command::new("chown")
                .args([owner, &format!("{path}/{name}")])
                .status()
                .unwrap();
            assert!(status.success());
        }
        Identity::new("postfix.example.test").write(directory.path(), "postfix");
        let common = format!(
            "compatibility_level = 3.6\nmyhostname = postfix.example.test\nmydestination =\nmynetworks = 127.0.0.0/8\ninet_protocols = ipv4\n\
             inet_interfaces = 127.0.0.1\nalias_maps =\nqueue_directory = {path}/queue\ndata_directory = {path}/data\nmaillog_file = /dev/stdout\n\
             smtp_host_lookup = native\nsmtpd_tls_chain_files = {path}/postfix.key, {path}/postfix.pem\nsmtpd_tls_security_level = may\n"
        );
        write(
            &directory.path().join("main.cf"),
            format!("{common}{}", main.replace("$DIR", &path)),
        );
        for (name, text) in files {
            write(&directory.path().join(name), text);
        }
        let mut mounts = String::new();
        if let Some(resolver) = resolver {
            let conf = directory.path().join("resolv.conf");
            write(
                &conf,
                format!("nameserver {resolver}\noptions timeout:1 attempts:1\n"),
            );
            mounts = format!("mount --bind {} /etc/resolv.conf", conf.display());
        }
        let master = fs::read_to_string("/usr/share/postfix/master.cf.dist").unwrap();
        let ours = |line: &str| match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["smtp", "inet", _, _, _, rest @ ..] => {
                format!("127.0.0.1:{port} inet n - n {}\n", rest.join(" "))
            }
            [name, "unix", private, unprivileged, _, rest @ ..] if !name.starts_with('#') => {
                format!(
                    "{name} unix {private} {unprivileged} n {}\n",
                    rest.join(" ")
                )
            }
            _ => String::new(),
        };
        let services: String = master.lines().map(ours).collect();
        write(
            &directory.path().join("master.cf"),
            services + "postlog unix-dgram n - n - 1 postlogd\n",
        );
        let daemon = Daemon::start(
            "postfix",
            enclosed(&mounts, postfix).args(["-c", &path, "start-fg"]),
        );
        let started = Self {
            port,
            daemon,
            directory,
        };
        until("postfix takes connections", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Some(started)
    }

    /// Where it takes connections, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Configuration, keys and queue.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// All it has said so far.
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// Ends it, and leaves its queue.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Messages in the one Maildir.
    pub fn mailbox(&self) -> Vec<String> {
        maildir::messages(&self.directory.path().join("mail/box"))
    }
}
