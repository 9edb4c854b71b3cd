//! Postfix's `main.cf`, where Postfix only passes mail on (null client, satellite).
//!
//! Quirks that count: a next hop in `default_transport` is before `relayhost`; there is no comment
//! behind a value, though many write one; a fingerprint may be of the certificate or of the key.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use mail::nexthop::Nexthop;
use postfix::{
    Settings, members, services,
    tables::{self, Table},
};
use relay::trust::Pin;

use super::{
    maincf::{self, place},
    ours::Ours,
    passwords,
    plan::{Plan, Tls, Verdict, Words},
    source::{Lookup, Place, named},
};

/// Its main file.
pub const CONFIG: &str = maincf::CONFIG;

/// Its services.
const MASTER: &str = "/etc/postfix/master.cf";

/// Where its queue is.
pub fn spool(lookup: &Lookup<'_>) -> String {
    let text = lookup(CONFIG).map(|source| source.text);
    Settings::read(&text.unwrap_or_default(), "").value("queue_directory")
}

/// Reads it, and the table of passwords.
pub fn read(lookup: &Lookup<'_>) -> Plan {
    let mut plan = Plan::keeping_senders();
    let Some(source) = lookup(CONFIG) else {
        return plan;
    };
    let settings = maincf::settings(&source, lookup);
    let place = |key: &str| place(&settings, key);
    for key in ["default_transport", "relayhost", "smtp_fallback_relay"] {
        let value = settings.value(key);
        match key {
            "default_transport" => default_transport(&mut plan, place(key), &value),
            _ => relays(&mut plan, place(key), key, &value),
        }
    }
    for fault in &settings.faults {
        let line = usize::try_from(fault.line).unwrap_or(1);
        let at = Place { path: CONFIG, line };
        plan.note(Verdict::Unmapped, at, &fault.key, fault.text);
    }
    for key in settings.names() {
        setting(&mut plan, lookup, place(key), key, &settings.value(key));
    }
    listeners(&mut plan, lookup, &settings);
    if settings.is_yes("smtp_tls_wrappermode") {
        plan.tls = Some(Tls::Wrapped);
        // Without a port Postfix used 25 even then.
        plan.usual_port(25);
    }
    passwords::read(&mut plan, lookup, &settings);
    plan.leave_out_strangers();
    security(&mut plan, &settings);
    let files = ["smtp_tls_cert_file", "smtp_tls_key_file"].map(|key| settings.value(key));
    let files = [Some(files[0].as_str()), Some(files[1].as_str())];
    plan.certificate(place("smtp_tls_cert_file"), "smtp_tls_cert_file", files);
    plan
}

/// `smtp:[host]:port` is a relayhost by another name.
fn default_transport(plan: &mut Plan, at: Place<'_>, value: &str) {
    let key = "default_transport";
    match value.split_once(':').unwrap_or((value, "")) {
        ("", _) => {}
        ("smtp" | "relay", "") => plan.note(Verdict::Unneeded, at, key, "always so"),
        ("smtp" | "relay", nexthop) => {
            relays(plan, at, key, nexthop);
        }
        _ => plan.note(
            Verdict::Insecure,
            at,
            key,
            format!("`{value}` is no SMTP to a relay: here all mail goes to relayhost"),
        ),
    }
}

fn relays(plan: &mut Plan, at: Place<'_>, key: &str, value: &str) {
    // A next hop of default_transport is before relayhost.
    if key == "relayhost" && !plan.relayhost.is_empty() && !value.is_empty() {
        let text = "was not used: default_transport names a next hop";
        return plan.note(Verdict::Unneeded, at, key, text);
    }
    for host in members(value) {
        if host.starts_with('#') {
            let text = "Postfix knows no comment behind a value: what follows # is not read here";
            return plan.note(Verdict::Unmapped, at, key, text);
        }
        match Nexthop::parse(host) {
            Ok(nexthop) => {
                if nexthop.mx {
                    let text = "without brackets Postfix asked for MX records: here the host itself is meant; is it a mail server?";
                    plan.note(Verdict::Insecure, at, key, text);
                }
                plan.nexthop(at, key, nexthop);
            }
            Err(error) => plan.note(Verdict::Unmapped, at, key, error.to_string()),
        }
    }
}

const REWRITES: &str = "write it into revaliases, aliases or the relay's configuration";
const SERVER: &str = "is for a server, or has no use here";

/// What needs no more than a word, if it is set at all.
const WORDS: Words = &[
    (
        &[
            "smtp_generic_maps",
            "sender_canonical_maps",
            "recipient_canonical_maps",
            "canonical_maps",
            "masquerade_domains",
            "virtual_alias_maps",
            "virtual_alias_domains",
            "header_checks",
            "mime_header_checks",
            "body_checks",
            "smtp_header_checks",
            "always_bcc",
            "sender_bcc_maps",
            "recipient_bcc_maps",
            "authorized_submit_users",
            "smtp_bind_address",
            "smtp_bind_address6",
            "smtp_tls_policy_maps",
            "smtp_address_preference",
            "luser_relay",
            "non_smtpd_milters",
        ],
        Verdict::Unmapped,
        REWRITES,
    ),
    (
        &["delay_warning_time"],
        Verdict::Unmapped,
        "set retry.warning, if its default does not suit",
    ),
    (
        &[
            "sender_dependent_relayhost_maps",
            "sender_dependent_default_transport_maps",
            "smtp_sender_dependent_authentication",
            "transport_maps",
            "relay_transport",
            "content_filter",
        ],
        Verdict::Insecure,
        "some mail had another way or another login: here all mail goes to one relayhost",
    ),
    (
        &[
            "mydestination",
            "local_transport",
            "mailbox_command",
            "home_mailbox",
        ],
        Verdict::Unmapped,
        "nothing is delivered on this machine: admin and aliases say where local mail goes",
    ),
    (
        &[
            "relay_domains",
            "virtual_mailbox_domains",
            "virtual_mailbox_maps",
        ],
        Verdict::Unmapped,
        "nothing is taken for others here: that is the smarthost's work",
    ),
    (
        &["smtpd_milters", "smtpd_relay_restrictions", "mynetworks"],
        Verdict::Unneeded,
        SERVER,
    ),
];

fn setting(plan: &mut Plan, lookup: &Lookup<'_>, at: Place<'_>, key: &str, value: &str) {
    match key {
        "relayhost" | "smtp_fallback_relay" | "default_transport" => {}
        _ if value.is_empty() => plan.note(Verdict::Unneeded, at, key, "is not set"),
        "myhostname" | "smtp_helo_name" => plan.name(at, key, value, Ours::Hostname),
        "myorigin" => plan.name(at, key, &named(lookup, value), Ours::Domain),
        "mydomain" => plan.note(Verdict::Unneeded, at, key, "counts where others name it"),
        "message_size_limit" => {
            let sizes = 1024..=1 << 40;
            plan.message_size = value.parse().ok().filter(|size| sizes.contains(size));
            plan.mapped(at, key, Ours::MessageSize);
        }
        "maximal_queue_lifetime" => time(plan, at, key, value, Ours::Lifetime),
        "minimal_backoff_time" => time(plan, at, key, value, Ours::Minimal),
        "maximal_backoff_time" => time(plan, at, key, value, Ours::Maximal),
        "alias_maps" => aliases(plan, at, key, value),
        "smtp_tls_security_level"
        | "smtp_use_tls"
        | "smtp_enforce_tls"
        | "smtp_tls_wrappermode"
        | "smtp_tls_fingerprint_digest" => plan.tls(at, key),
        "smtp_tls_CAfile" | "smtp_tls_CApath" => {
            plan.note(Verdict::Unneeded, at, key, "see smtp_tls_security_level");
        }
        "smtp_tls_fingerprint_cert_match" => plan.mapped(at, key, Ours::Pins),
        // Told with the login, with the certificate, and with the services.
        "smtp_sasl_auth_enable"
        | "smtp_sasl_password_maps"
        | "smtp_tls_cert_file"
        | "smtp_tls_key_file"
        | "inet_interfaces"
        | "inet_protocols" => {}
        _ => {
            let known = WORDS.iter().any(|(keys, ..)| keys.contains(&key));
            match known {
                true if value.eq_ignore_ascii_case("no") => {
                    plan.note(Verdict::Unneeded, at, key, "is off");
                }
                true => plan.told(at, key, WORDS, SERVER),
                false => plan.note(Verdict::Unneeded, at, key, SERVER),
            }
        }
    }
}

/// Programs spoke SMTP to localhost, and will.
fn listeners(plan: &mut Plan, lookup: &Lookup<'_>, settings: &Settings) {
    let key = "inet_interfaces";
    let Some(master) = lookup(MASTER) else {
        if settings.is_set(key) {
            let text = "master.cf is not here, which says whether anything listens: if programs speak SMTP to localhost, set listen = \"127.0.0.1:25\"";
            plan.note(Verdict::Insecure, place(settings, key), key, text);
        }
        return;
    };
    let (services, _) = services::read(&master.text);
    for service in services.iter().filter(|service| service.is_listener()) {
        let line = usize::try_from(service.line).unwrap_or(1);
        let (at, title) = (Place { path: MASTER, line }, service.title());
        let own = settings.with(service.options());
        let encrypted = own.is_yes("smtpd_tls_wrappermode")
            || own.value("smtpd_tls_security_level") == "encrypt";
        if encrypted {
            let text = "no TLS is spoken to programs of this machine: let them use port 25 of localhost, or the relayhost itself";
            plan.note(Verdict::Unmapped, at, &title, text);
            continue;
        }
        match service.addresses(settings) {
            Ok(found) => plan.listens(lookup, at, &title, &found),
            Err(why) => plan.note(Verdict::Unmapped, at, &title, why),
        }
    }
    for key in [key, "inet_protocols"] {
        if settings.is_set(key) && !plan.listen.is_empty() {
            plan.mapped(place(settings, key), key, Ours::Listen);
        } else if settings.is_set(key) {
            let text = "no service of master.cf takes mail by SMTP from this machine";
            plan.note(Verdict::Unneeded, place(settings, key), key, text);
        }
    }
}

/// Ours is one file of text.
fn aliases(plan: &mut Plan, at: Place<'_>, key: &str, value: &str) {
    for map in members(value) {
        match tables::named(map, "hash") {
            Table::Text(file) if plan.aliases.is_none() => {
                plan.aliases = Some(file.to_owned());
                plan.mapped(at, key, Ours::Aliases);
            }
            _ => {
                let text =
                    format!("{map}: one alias file is read here, and text only: set aliases");
                plan.note(Verdict::Unmapped, at, key, text);
            }
        }
    }
}

fn time(plan: &mut Plan, at: Place<'_>, key: &str, value: &str, ours: Ours) {
    let usual = if ours == Ours::Lifetime { 86_400 } else { 1 };
    let seconds = tables::seconds(value, usual);
    plan.seconds(at, key, ours, seconds);
}

fn security(plan: &mut Plan, settings: &Settings) {
    let place = |key: &str| place(settings, key);
    let key = "smtp_tls_security_level";
    let at = place(key);
    match settings.value(key).as_str() {
        "fingerprint" => fingerprints(
            plan,
            place("smtp_tls_fingerprint_cert_match"),
            &settings.value("smtp_tls_fingerprint_cert_match"),
            &settings.value("smtp_tls_fingerprint_digest"),
        ),
        "verify" | "secure" => plan.unchecked(
            at,
            key,
            "the certificate was checked with smtp_tls_CAfile, which is not taken over",
        ),
        "dane" | "dane-only" => plan.unchecked(at, key, "DANE was used"),
        "encrypt" => plan.unchecked(at, key, "the relay's certificate was not checked"),
        _ if settings.is_yes("smtp_enforce_tls") => {
            plan.unchecked(at, key, "the relay's certificate was not checked");
        }
        _ => plan.unchecked(at, key, "mail went in clear text where TLS was not offered"),
    }
}

/// Postfix compares with the certificate and with the key.
fn fingerprints(plan: &mut Plan, at: Place<'_>, list: &str, digest: &str) {
    for text in list.split([' ', ',', '|']).filter(|text| !text.is_empty()) {
        let kinds: &[&str] = match digest {
            "sha1" => &["sha1"],
            "" | "sha256" => &["sha256", "cert-sha256"],
            _ => &[],
        };
        let pins: Vec<Pin> = kinds
            .iter()
            .filter_map(|kind| Pin::parse(&format!("{kind}:{text}")).ok())
            .collect();
        if pins.is_empty() {
            plan.unchecked(at, text, "a fingerprint of this kind is not taken over");
        } else if digest == "sha1" {
            plan.note(Verdict::Unmapped, at, text, "taken as the SHA-1 of the key; if it was the certificate's, replace it by a pin of the key");
        }
        plan.pins.extend(pins);
    }
    if plan.pins.is_empty() {
        plan.unchecked(
            at,
            "smtp_tls_fingerprint_cert_match",
            "no fingerprint could be used",
        );
    }
}
