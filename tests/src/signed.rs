//! Signed zones, and the real unbound that validates them: with a root and a trust anchor of their
//! own, so that nobody else is asked.
//!
//! Contract: zones are the test's, each with its keys; what is not in one of them does not exist.
//! Ends with its guard.

use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    daemon::Daemon,
    identity::write,
    peers,
    wait::{free_address, until},
};

/// Where a name server would stand: unbound has the zones themselves.
const SERVER: &str = "ns.test.";

/// How the parent speaks of a zone, and what the zone is signed with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signing {
    Signed,
    /// What does not exist is denied by hashes of names.
    Nsec3,
    /// The parent proves that it is not signed.
    Unsigned,
    /// The parent names another key.
    Bogus,
    /// Its signatures were good until some day in the past.
    Expired,
    /// These two texts were exchanged after it was signed.
    Tampered(&'static str, &'static str),
}

/// A zone: its name without the final dot, its signing, and its records besides SOA and NS.
pub type Zone = (&'static str, Signing, String);

/// A running resolver.
#[derive(Debug)]
pub struct Signed {
    address: SocketAddr,
    _daemon: Daemon,
    _directory: TempDir,
}

impl Signed {
    /// `None` (after saying so) where it is not installed. It answers at `also`, port 53, too, for
    /// those that ask no other port (root only).
    pub fn start(zones: &[Zone], also: Option<Ipv4Addr>) -> Option<Self> {
        let unbound = peers::find("unbound")?;
        for tool in ["ldns-keygen", "ldns-signzone", "ldns-key2ds"] {
            peers::find(tool)?;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let mut root = String::new();
        let mut config = String::new();
        for (name, signing, records) in zones {
            let _ = writeln!(root, "{name}. 60 IN NS {SERVER}");
            let zone = format!("$ORIGIN {name}.\n$TTL 60\n{}{records}\n", head(name));
            root += &publish(path, name, *signing, &zone);
            config += &authority(path, name);
        }
        let zone = format!(
            "$ORIGIN .\n$TTL 60\n{}{SERVER} A 127.0.0.1\n{root}",
            head("")
        );
        write(
            &path.join("anchor"),
            publish(path, "root", Signing::Signed, &zone),
        );
        config += &authority(path, "root");
        let address = free_address();
        let mut interfaces = format!("  interface: 127.0.0.1@{}\n", address.port());
        if let Some(also) = also {
            let _ = writeln!(interfaces, "  interface: {also}@53");
        }
        write(
            &path.join("unbound.conf"),
            format!(
                "server:\n  username: \"\"\n  chroot: \"\"\n  directory: \"{0}\"\n  pidfile: \"{0}/pid\"\n  use-syslog: no\n  logfile: \"\"\n{interfaces}\
                 \u{20} trust-anchor-file: \"{0}/anchor\"\n  val-log-level: 2\n  num-threads: 1\n  do-not-query-localhost: no\n\
                 \u{20} local-zone: \"test.\" nodefault\nremote-control:\n  control-enable: no\n{config}",
                peers::text(path)
            ),
        );
        let mut command = Command::new(unbound);
        command.arg("-d").arg("-c").arg(path.join("unbound.conf"));
        let mut daemon = Daemon::start("unbound", &mut command);
        until("unbound answers", || {
            assert!(daemon.ended().is_none(), "unbound ended at once");
            daemon.log().contains("start of service").then_some(())
        });
        Some(Self {
            address,
            _daemon: daemon,
            _directory: directory,
        })
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn head(name: &str) -> String {
    format!(
        "{name}. 60 IN SOA {SERVER} root.{SERVER} 1 60 60 600000 5\n{name}. 60 IN NS {SERVER}\n"
    )
}

fn authority(directory: &Path, name: &str) -> String {
    let zone = if name == "root" { "" } else { name };
    let file = directory.join(format!("{name}.signed"));
    format!(
        "auth-zone:\n  name: \"{zone}.\"\n  zonefile: \"{}\"\n  for-downstream: no\n  for-upstream: yes\n",
        peers::text(&file)
    )
}

/// Writes a zone as it is published, and gives what its parent says of its key.
fn publish(directory: &Path, name: &str, signing: Signing, zone: &str) -> String {
    let published = format!("{name}.signed");
    if signing == Signing::Unsigned {
        write(&directory.join(published), zone);
        return String::new();
    }
    let origin = if name == "root" { "." } else { name };
    let keygen = ["ldns-keygen", "-a", "ECDSAP256SHA256"];
    let signer = output(directory, &[&keygen[..], &["-k", origin]].concat());
    let zone_key = output(directory, &[&keygen[..], &[origin]].concat());
    write(&directory.join(name), zone);
    let mut sign = vec!["ldns-signzone", "-o", origin, "-f", &published];
    match signing {
        Signing::Nsec3 => sign.extend(["-n", "-s", "c0ffee", "-t", "1"]),
        Signing::Expired => sign.extend(["-i", "20200101000000", "-e", "20200201000000"]),
        _ => {}
    }
    sign.extend([name, &signer, &zone_key]);
    output(directory, &sign);
    if let Signing::Tampered(was, is) = signing {
        let file = directory.join(published);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(was), "{was} in {text}");
        write(&file, text.replace(was, is));
    }
    let key = format!("{signer}.key");
    let named = output(directory, &["ldns-key2ds", "-n", "-2", &key]);
    if signing == Signing::Bogus {
        let (front, _) = named.split_at(named.len() - 8);
        return format!("{front}00000000\n");
    }
    named + "\n"
}

/// What a tool prints, which must not fail.
fn output(directory: &Path, words: &[&str]) -> String {
    let output = Command::new(words[0])
        .args(&words[1..])
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
