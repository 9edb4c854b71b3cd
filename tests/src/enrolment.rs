//! Machines that use lines of `smarthost enroll`, and the relays that make them.

use std::{
    path::{Path, PathBuf},
    process::Output,
};

use relay::tls::pins_of_file;
use serde_json::Value;

use crate::{agent::Agent, sink::Sink, smarthost::Smarthost};

pub const NOTE: &str = "Subject: a note\n\nx\n";

/// A relay that lets nobody in by address.
pub fn relay(sink: &Sink, more: &str) -> Smarthost {
    Smarthost::start(&relay_config(sink, more))
}

pub fn relay_config(sink: &Sink, more: &str) -> String {
    format!(
        "networks = [\"127.0.0.99/32\"]\nrelayhost = \"{}\"\nlimits = {{ per_client = [\"100/day\"] }}\n{more}",
        sink.nexthop()
    )
}

pub fn words(output: &Output) -> String {
    let text = [output.stdout.clone(), output.stderr.clone()].concat();
    String::from_utf8(text).unwrap()
}

/// A line, as the relay's administrator pastes it.
pub fn line_with(relay: &Smarthost, name: &str, more: &[&str]) -> String {
    let at = relay.address().to_string();
    let output = relay.admin(&[&["enroll", name, "--relay", &at], more].concat());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub fn line(relay: &Smarthost, name: &str) -> String {
    line_with(relay, name, &[])
}

pub fn listed(relay: &Smarthost) -> Vec<Value> {
    let output = relay.admin(&["enroll", "list", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let rows = text.lines();
    rows.map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The one machine that is in.
pub fn enrolled(relay: &Smarthost) -> Value {
    let mut rows = listed(relay).into_iter();
    let row = rows.find(|row| row["state"] == "enrolled");
    row.unwrap_or_else(|| panic!("{:?}", listed(relay)))
}

pub fn key_file(machine: &Agent) -> PathBuf {
    machine.directory().join("spool/identity.pem")
}

pub fn pin(file: &Path) -> String {
    pins_of_file(file).unwrap().pin().to_string()
}

pub fn use_line(machine: &Agent, line: &str) -> Output {
    machine.admin(&["enroll", line])
}

/// What its unit does at boot, with credentials in that directory.
pub fn provided(machine: &Agent, credentials: &Path) -> Output {
    let mut command = machine.public("sendmail-shim");
    command.arg("--config").arg(machine.config());
    command.args(["enroll", "--provided"]);
    command.env("CREDENTIALS_DIRECTORY", credentials);
    command.output().unwrap()
}

/// A machine that nothing was said to.
pub fn bare() -> Agent {
    Agent::start("retry = { minimal = \"1s\", maximal = \"1s\" }\n")
}

/// A machine that is in.
pub fn machine(relay: &Smarthost, name: &str) -> Agent {
    let machine = bare();
    let output = use_line(&machine, &line(relay, name));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    machine
}
