//! `/etc/msmtprc`: accounts of commands, one a line.
//!
//! Quirks that count: `#` is a comment only at the beginning; an argument may stand in quotes; an
//! account begins with what its parents and `defaults` say; with `tls_starttls off` the default
//! port is 465; `on` needs no word.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use super::{
    ours::Ours,
    plan::{Plan, Tls, Verdict},
    source::{Lookup, Place, Source, lines},
};

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
            Some((name, account)) => {
                let text = "there is no account default: this one is taken; is it the right one?";
                plan.about(Verdict::Insecure, CONFIG, name, text);
                (*name, account)
            }
            None => return plan,
        },
    };
    for (other, _) in accounts
        .iter()
        .filter(|(other, its)| !other.is_empty() && **other != name && *its != account)
    {
        let text = "another account: here all mail goes to one relayhost";
        plan.about(Verdict::Unmapped, CONFIG, other, text);
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
                // What stood before any account is not forgotten.
                accounts.entry(current).or_default().extend(account);
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
    let place = |key: &str| Place {
        path: &source.path,
        line: account.get(key).map_or(1, |(line, _)| *line),
    };
    let port = value("port").and_then(|port| plan.port(place("port"), "port", port));
    if let Some(host) = value("host") {
        plan.relay(place("host"), "host", host, port);
    }
    if is_on("tls") {
        plan.tls = Some(if wrapped { Tls::Wrapped } else { Tls::StartTls });
    }
    // What a program writes into From stays, unless it was to be replaced.
    plan.from_override = Some(!is_on("set_from_header") && !is_off("allow_from_override"));
    let token = is_token(value("auth").unwrap_or_default());
    for (key, (_, value)) in account {
        match *key {
            // What it says is told with the login.
            "auth" if token => {}
            "passwordeval" if token => {
                let text = "if this command prints the token, it is the program of auth.token: without a shell, and as the agent's user";
                plan.note(Verdict::Insecure, place(key), key, text);
            }
            key => setting(plan, place(key), key, value),
        }
    }
    login(plan, source, account, is_off("auth"));
    let files = [value("tls_cert_file"), value("tls_key_file")];
    plan.certificate(place("tls_cert_file"), "tls_cert_file", files);
    if !is_on("tls") {
        let why = "msmtp sent in clear text to whoever answered";
        plan.unchecked(place("host"), "host", why);
    } else if is_off("tls_certcheck") {
        let why = "msmtp did not check the relay's certificate";
        plan.unchecked(place("tls_certcheck"), "tls_certcheck", why);
    }
}

/// Whether it logs in with a token of OAuth 2.0.
fn is_token(method: &str) -> bool {
    let methods = ["xoauth2", "oauthbearer"];
    methods.iter().any(|it| method.eq_ignore_ascii_case(it))
}

fn login(plan: &mut Plan, source: &Source, account: &Account<'_>, off: bool) {
    let value = |key: &str| account.get(key).map(|(_, value)| *value);
    if is_token(value("auth").unwrap_or_default()) {
        let (line, _) = account.get("auth").copied().unwrap_or_default();
        let at = Place {
            path: &source.path,
            line,
        };
        let user = value("user").unwrap_or_default();
        return plan.token(at, &format!("user {user}"));
    }
    let line = account.get("user").or(account.get("password"));
    let Some((line, _)) = line else { return };
    let at = Place {
        path: &source.path,
        line: *line,
    };
    let user = value("user").unwrap_or_default();
    match value("password") {
        _ if off => plan.note(Verdict::Unneeded, at, "user", "auth is off: none logged in"),
        Some(password) => {
            let of = plan.relayhost.clone();
            plan.login(source, at, (user, password), &of);
        }
        None => {
            let text = "its password is not in this file (a command, .netrc, a keyring, or none): set auth.user and auth.password_file";
            plan.note(Verdict::Insecure, at, &format!("user {user}"), text);
        }
    }
}

fn setting(plan: &mut Plan, at: Place<'_>, key: &str, value: &str) {
    match key {
        "host" | "port" | "user" | "password" | "tls_cert_file" | "tls_key_file"
        | "tls_certcheck" => {}
        "tls" | "tls_starttls" => plan.tls(at, key),
        "domain" if !value.contains('%') => plan.name(at, key, value, Ours::Hostname),
        "maildomain" => plan.name(at, key, value, Ours::Domain),
        "from" => from(plan, at, value),
        "tls_fingerprint" => plan.fingerprint(at, key, value),
        "tls_trust_file" if value == "system" || value == "/etc/ssl/certs/ca-certificates.crt" => {
            let text = "without pins, the web's authorities are believed";
            plan.note(Verdict::Unneeded, at, key, text);
        }
        "tls_trust_file" | "tls_crl_file" | "tls_host_override" => {
            plan.unchecked(at, key, "the old check of the relay is not taken over");
        }
        "allow_from_override" | "set_from_header" => plan.mapped(at, key, Ours::FromOverride),
        "aliases" => {
            plan.aliases = Some(value.to_owned()).filter(|path| !path.is_empty());
            plan.mapped(at, key, Ours::Aliases);
        }
        "passwordeval" | "eval" => plan.note(
            Verdict::Insecure,
            at,
            key,
            "a command is not run by a daemon: write the password into auth.password_file",
        ),
        "protocol" if value == "smtp" => plan.note(Verdict::Unneeded, at, key, "always so"),
        "auto_from" => plan.note(Verdict::Unneeded, at, key, "always so: USER@domain"),
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
        "set_date_header"
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
            plan.name(at, "from", domain, Ours::Domain);
        }
        _ if !value.contains(['%', '*']) => plan.sender_of_all(at, "from", value),
        _ => plan.note(Verdict::Unmapped, at, "from", "patterns are not taken over"),
    }
}
