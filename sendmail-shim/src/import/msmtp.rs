//! `/etc/msmtprc`: accounts of commands, one a line.
//!
//! Quirks that count: `#` is a comment only at the beginning; an argument may stand in quotes; an account begins with what its parents and
//! `defaults` say; with `tls_starttls off` the default port is 465; `on` needs no word.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use relay::trust::Pin;

use super::plan::{Credentials, Lookup, Place, Plan, Source, Tls, Verdict, lines};

/// Its main file.
pub const CONFIG: &str = "/etc/msmtprc";

/// Commands of an account: line and argument of each.
type Account<'a> = BTreeMap<&'a str, (usize, &'a str)>;

/// Reads the account that is used where none is named.
pub fn read(lookup: &Lookup<'_>) -> Plan {
    let mut plan = Plan::default();
    let Some(source) = lookup(CONFIG) else {
        return plan;
    };
    let accounts = accounts(&source);
    let (name, account) = match accounts.get("default") {
        Some(account) => ("default", account),
        None => match accounts.iter().find(|(name, _)| !name.is_empty()) {
            Some((name, account)) => (*name, account),
            None => return plan,
        },
    };
    for other in accounts
        .keys()
        .filter(|other| !other.is_empty() && **other != name)
    {
        let parent = accounts.get(other) == Some(account);
        let at = Place {
            path: &source.path,
            line: 1,
        };
        if !parent {
            plan.note(
                Verdict::Unmapped,
                at,
                other,
                "another account: here all mail goes to one relayhost",
            );
        }
    }
    taken(&mut plan, &source, account);
    plan
}

/// All accounts; the empty name is `defaults`.
fn accounts(source: &Source) -> BTreeMap<&str, Account<'_>> {
    let mut accounts: BTreeMap<&str, Account<'_>> = BTreeMap::new();
    let mut current = "default";
    for (at, line) in lines(source) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (command, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let argument = unquoted(argument.trim());
        match command {
            "defaults" => {
                current = "";
                accounts.entry(current).or_default();
            }
            "account" => {
                let (name, parents) = argument.split_once(':').unwrap_or((argument, ""));
                current = name.trim();
                let mut account = accounts.get("").cloned().unwrap_or_default();
                for parent in parents.split(',').map(str::trim) {
                    account.extend(accounts.get(parent).cloned().unwrap_or_default());
                }
                accounts.insert(current, account);
            }
            _ => {
                accounts
                    .entry(current)
                    .or_default()
                    .insert(command, (at.line, argument));
            }
        }
    }
    accounts
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text)
}

fn taken(plan: &mut Plan, source: &Source, account: &Account<'_>) {
    let value = |key: &str| account.get(key).map(|(_, value)| *value);
    let is_on = |key: &str| value(key).is_some_and(|v| v.is_empty() || v == "on");
    let is_off = |key: &str| value(key) == Some("off");
    let wrapped = is_on("tls") && is_off("tls_starttls");
    let place = |line| Place {
        path: &source.path,
        line,
    };
    if let Some((line, host)) = account.get("host") {
        let port = value("port").and_then(|port| port.parse().ok());
        plan.relay(place(*line), "host", host, port);
    }
    if is_on("tls") {
        plan.tls = Some(if wrapped { Tls::Wrapped } else { Tls::StartTls });
    }
    for (key, (line, value)) in account {
        setting(plan, place(*line), key, value);
    }
    if let (Some((line, user)), Some(password)) = (account.get("user"), value("password")) {
        let (user, password) = ((*user).to_owned(), password.to_owned());
        plan.login(source, place(*line), Credentials { user, password });
    }
    if let Some((line, certificate)) = account.get("tls_cert_file") {
        plan.mapped(place(*line), "tls_cert_file", "certificate and key");
        let key = value("tls_key_file").unwrap_or(certificate);
        plan.client_certificate = Some(((*certificate).to_owned(), key.to_owned()));
    }
    let line = account.get("host").map_or(1, |(line, _)| *line);
    if !is_on("tls") {
        plan.unchecked(
            place(line),
            "host",
            "msmtp sent in clear text to whoever answered",
        );
    } else if is_off("tls_certcheck") {
        plan.unchecked(
            place(line),
            "tls_certcheck",
            "msmtp did not check the relay's certificate",
        );
    }
}

fn setting(plan: &mut Plan, at: Place<'_>, key: &str, value: &str) {
    match key {
        "host" | "user" | "password" | "tls_cert_file" | "tls_key_file" | "tls_certcheck" => {}
        "port" => plan.mapped(at, key, "the port of relayhost"),
        "tls" | "tls_starttls" => plan.mapped(at, key, "tls"),
        "domain" if !value.contains('%') => plan.hostname = plan.name(at, key, value, "hostname"),
        "maildomain" => plan.domain = plan.name(at, key, value, "domain"),
        "from" => from(plan, at, value),
        "tls_fingerprint" => match Pin::parse(&format!("cert-sha256:{value}")) {
            Ok(pin) => {
                plan.pins.push(pin);
                plan.mapped(at, key, "pins (of the certificate: rather pin the key)");
            }
            Err(_) => plan.unchecked(
                at,
                key,
                "a SHA-1 or MD5 fingerprint of a certificate is not taken over",
            ),
        },
        "tls_trust_file" if value == "system" || value == "/etc/ssl/certs/ca-certificates.crt" => {
            plan.mapped(at, key, "without pins, the web's authorities are believed");
        }
        "tls_trust_file" | "tls_crl_file" | "tls_host_override" => {
            plan.unchecked(at, key, "the old check of the relay is not taken over");
        }
        "allow_from_override" => {
            plan.from_override = Some(value != "off");
            plan.mapped(at, key, "from_override");
        }
        "aliases" => {
            plan.aliases = Some(value.to_owned());
            plan.mapped(at, key, "aliases");
        }
        "passwordeval" | "eval" => plan.note(
            Verdict::Insecure,
            at,
            key,
            "a command is not run by a daemon: write the password into auth.password_file",
        ),
        "protocol" if value == "smtp" => plan.mapped(at, key, "always so"),
        "auto_from" => plan.mapped(at, key, "always so: USER@domain"),
        "auth"
            if matches!(
                value,
                "" | "on"
                    | "off"
                    | "plain"
                    | "login"
                    | "scram-sha-256"
                    | "scram-sha-1"
                    | "cram-md5"
            ) =>
        {
            plan.note(
                Verdict::Unneeded,
                at,
                key,
                "what the relayhost offers is used",
            );
        }
        "set_from_header"
        | "set_date_header"
        | "set_msgid_header"
        | "set_to_header"
        | "undisclosed_recipients"
        | "remove_bcc_headers"
        | "add_missing_from_header"
        | "add_missing_date_header"
        | "timeout" => plan.note(Verdict::Unneeded, at, key, "done as sendmail does"),
        "logfile" | "syslog" | "logfile_time_format" => {
            plan.note(Verdict::Unneeded, at, key, "the log is the journal");
        }
        _ => plan.note(Verdict::Unmapped, at, key, "has no counterpart here"),
    }
}

/// `%U@example.org` is what we do; a fixed address is a table of senders.
fn from(plan: &mut Plan, at: Place<'_>, value: &str) {
    match value.split_once('@') {
        Some(("%U", domain)) if !domain.contains('%') => {
            plan.domain = plan.name(at, "from", domain, "domain");
        }
        Some((_, domain)) if !value.contains(['%', '*']) => {
            plan.domain = plan.name(at, "from", domain, "domain");
            plan.note(
                Verdict::Unmapped,
                at,
                "from",
                format!("to have all mail come from {value}, name each user in revaliases"),
            );
        }
        _ => plan.note(Verdict::Unmapped, at, "from", "patterns are not taken over"),
    }
}
