//! TLS in both directions. Rows B7, B8, B15.

use std::sync::Arc;

use mail::nexthop::Nexthop;
use postfix::members;
use relay::trust::Pin;
use settings::rows::quote;

use super::{
    files::Use,
    reader::Reader,
    recipients::tables_of,
    report::{Value, Verdict},
};
use crate::{
    lookup::LookupTable,
    tls_policy::{Policies, PolicyTable},
};

pub(super) fn read(reader: &mut Reader<'_>) {
    server(reader);
    let (policies, whole) = policies(reader);
    client(reader, &policies, whole);
}

/// The files of key and certificate: one may hold both.
fn chain(reader: &mut Reader<'_>) -> Option<(String, String)> {
    let name = "smtpd_tls_chain_files";
    let files = reader.value(name);
    let files: Vec<_> = members(&files).into_iter().map(str::to_owned).collect();
    let key = files.first()?.clone();
    let whole = (reader.files)(&key).is_ok_and(|text| text.contains("BEGIN CERTIFICATE"));
    let certificate = match files.get(1) {
        Some(certificate) if !whole => certificate.clone(),
        _ => key.clone(),
    };
    let more = files
        .iter()
        .filter(|file| **file != key && **file != certificate)
        .count();
    if more > 0 {
        let text = format!("{more} files more: one key and its certificates are shown to all");
        reader.note(Verdict::NotSupported, name, text);
    }
    Some((certificate, key))
}

/// What clients find.
fn server(reader: &mut Reader<'_>) {
    let chain = chain(reader);
    let (chain, its_key) = chain.map_or((None, None), |(chain, key)| (Some(chain), Some(key)));
    let counts = chain.is_some();
    let certificate = match reader.value("smtpd_tls_cert_file") {
        none if counts || none.is_empty() || none == "none" => chain,
        file => Some(file),
    };
    let key = match reader.value("smtpd_tls_key_file") {
        none if counts || none.is_empty() || none.starts_with('$') => {
            its_key.or_else(|| certificate.clone())
        }
        file => Some(file),
    };
    let files = [
        "smtpd_tls_chain_files",
        "smtpd_tls_cert_file",
        "smtpd_tls_key_file",
    ];
    if let (Some(certificate), Some(key)) = (certificate, key) {
        let value = format!(
            "{{ certificate = {}, key = {} }}",
            quote(&certificate),
            quote(&key)
        );
        let read = reader.put("tls", Value::Plain(value));
        for name in files {
            match &read {
                Ok(()) => reader.note_if_set(
                    Verdict::Mapped,
                    name,
                    "tls.certificate, tls.key; the user of smarthost must be able to read them",
                ),
                Err(why) => reader.note_if_set(Verdict::NotSupported, name, why),
            }
        }
    } else {
        for name in files {
            reader.note_if_set(
                Verdict::Default,
                name,
                "none: one is made at the first start",
            );
        }
    }
    let level = level(reader, "smtpd");
    for name in [
        "smtpd_tls_security_level",
        "smtpd_use_tls",
        "smtpd_enforce_tls",
    ] {
        match level.as_str() {
            "none" => reader.note_if_set(Verdict::Mapped, name, "listen, with tls = \"none\""),
            "encrypt" => reader.note_if_set(Verdict::Mapped, name, "restrictions: reject_plaintext_session"),
            "may" => reader.note_if_set(Verdict::Default, name, "STARTTLS is offered"),
            "" => reader.note_if_set(Verdict::Ignored, name, "no TLS was offered; here STARTTLS is, with a certificate that is made at the first start"),
            _ => reader.note_if_set(Verdict::NotSupported, name, "is no level that Postfix knows"),
        }
    }
}

/// The level of `smtpd` or `smtp`, which older parameters say where it is not set; empty, if none
/// does.
fn level(reader: &Reader<'_>, side: &str) -> String {
    match reader.value(&format!("{side}_tls_security_level")) {
        level if !level.is_empty() => level,
        _ if reader.is_yes(&format!("{side}_enforce_tls")) => "encrypt".to_owned(),
        _ if reader.is_yes(&format!("{side}_use_tls")) => "may".to_owned(),
        _ => String::new(),
    }
}

/// Whether all clients must use TLS.
pub(super) fn is_enforced(reader: &Reader<'_>) -> bool {
    level(reader, "smtpd") == "encrypt"
}

const POLICIES: &str = "smtp_tls_policy_maps";

/// Its tables, and whether all of them could be read.
fn policies(reader: &mut Reader<'_>) -> (Vec<LookupTable>, bool) {
    if !reader.is_set(POLICIES) {
        return (Vec::new(), true);
    }
    let tables = tables_of(reader, POLICIES, "tls_policy", Use::Policy);
    let whole = tables.len() >= members(&reader.value(POLICIES)).len();
    if !whole {
        let text = "a table that is not read may demand TLS, and here its hosts get what tls_out.level says: write its lines into a text file first";
        reader.note(Verdict::Decide, POLICIES, text);
    }
    (tables, whole)
}

/// Towards the relayhost its own entry among the policies counts, else the level of all.
fn client(reader: &mut Reader<'_>, policies: &[LookupTable], whole: bool) {
    let name = "smtp_tls_security_level";
    let level = level(reader, "smtp");
    // That of the result, whichever parameter named it.
    let relayhost = match reader.setting("relayhost") {
        Some(Value::Plain(text)) => Nexthop::parse(text.trim_matches('"')).ok(),
        _ => None,
    };
    let has_relayhost = relayhost.is_some();
    let own = relayhost.and_then(|relayhost| policy_of(policies, &relayhost));
    if level.is_empty() {
        let text = "Postfix sent in clear text; here TLS is used where it is offered (tls_out.level = \"none\" for none)";
        reader.note(Verdict::Ignored, name, text);
    }
    for (written, says) in [("smtp_use_tls", "may"), ("smtp_enforce_tls", "encrypt")] {
        let text = if level == says {
            "as the level says"
        } else {
            "another level counts"
        };
        reader.note_if_set(Verdict::Default, written, text);
    }
    everybody(reader, name, &level);
    if has_relayhost {
        match own {
            Some((policy, fingerprints)) => relay(reader, POLICIES, &policy, Some(&fingerprints)),
            None => relay(reader, name, &level, None),
        }
        if !whole && !reader.has("relay_tls.level") {
            reader.map_text(POLICIES, "relay_tls.level", "starttls");
            let text = "a table that is not read may demand TLS of the relayhost: relay_tls.level is \"starttls\" until you say otherwise";
            reader.note(Verdict::Decide, POLICIES, text);
        }
    }
    authorities(reader, &level);
    identity(reader, has_relayhost);
    for name in [
        "smtp_tls_fingerprint_cert_match",
        "smtp_tls_fingerprint_digest",
    ] {
        if !reader.is_told(name) {
            reader.note_if_set(
                Verdict::Ignored,
                name,
                "read only where the level is fingerprint, towards the relayhost",
            );
        }
    }
    let wrapped = "smtp_tls_wrappermode";
    if !reader.is_told(wrapped) {
        let verdict = if reader.is_yes(wrapped) {
            Verdict::NotSupported
        } else {
            Verdict::Default
        };
        reader.note_if_set(
            verdict,
            wrapped,
            "TLS from the first byte is spoken to the relayhost alone: relay_tls.level",
        );
    }
}

/// The level of the relayhost's own line, and the words of its `match=`: found as the daemon finds
/// those of other next hops.
fn policy_of(policies: &[LookupTable], relayhost: &Nexthop) -> Option<(String, String)> {
    let tables = policies.iter().cloned();
    let tables = tables.map(|table| Arc::new(PolicyTable::new(table).0));
    let (_, place) = Policies::new(tables.collect()).entry(relayhost)?;
    let mut tables = policies.iter();
    let value = tables.find_map(|table| {
        let mut lines = table.entries();
        let found = lines.find(|(_, _, line)| table.place(*line) == place);
        found.map(|(_, value, _)| value)
    })?;
    let mut words = value.split([' ', ',', '\t']).filter(|it| !it.is_empty());
    let level = words.next().unwrap_or_default().to_owned();
    let matches: Vec<_> = words
        .filter_map(|word| word.strip_prefix("match="))
        .collect();
    Some((level, matches.join("|")))
}

/// `tls_out`: all but the relayhost.
fn everybody(reader: &mut Reader<'_>, name: &str, level: &str) {
    let ours = match level {
        "" => return,
        "may" => {
            return reader.note_if_set(
                Verdict::Default,
                name,
                "tls_out.level = \"opportunistic\" is ours",
            );
        }
        "none" => "none",
        "encrypt" => "starttls",
        "verify" | "secure" => "verify",
        "dane" => "dane",
        "dane-only" => "dane-only",
        "fingerprint" => {
            let others = ["transport", "tls_policy"]
                .iter()
                .any(|key| reader.has(key))
                || reader.has_any("default_routes.");
            if others || !reader.has("relayhost") {
                let text = "fingerprints of all hosts: name each in tls_policy, \"[host]:25 fingerprint match=…\"; until then tls_out.level is \"starttls\"";
                reader.note(Verdict::Decide, name, text);
                if let Err(why) = reader.put("tls_out.level", Value::Plain(quote("starttls"))) {
                    reader.note(Verdict::NotSupported, name, why);
                }
            }
            return;
        }
        _ => {
            return reader.note(
                Verdict::NotSupported,
                name,
                "is no level that Postfix knows",
            );
        }
    };
    reader.map_text(name, "tls_out.level", ours);
    if level == "secure" {
        let text = "secure asked for a certificate of the next hop's own name, verify for that of its MX host, which plain DNS names: write a line \"example.org secure\" into tls_policy for each domain that matters";
        reader.note(Verdict::Decide, name, text);
    }
}

/// `relay_tls`
fn relay(reader: &mut Reader<'_>, name: &str, level: &str, fingerprints: Option<&str>) {
    let wrapped = "smtp_tls_wrappermode";
    let usual = "starttls";
    let ours = match level {
        _ if reader.is_yes(wrapped) => {
            reader.map_text(wrapped, "relay_tls.level", "wrapped");
            "wrapped"
        }
        "" | "may" => "opportunistic",
        "none" => "none",
        _ => usual,
    };
    if ours != "wrapped" && ours != "opportunistic" {
        reader.map_text(name, "relay_tls.level", ours);
    }
    match level {
        "fingerprint" => {
            let digest = reader.value("smtp_tls_fingerprint_digest");
            let old = reader.level < postfix::expand::level("3.6");
            let digest = match digest.as_str() {
                "" if old => "md5",
                "" => "sha256",
                digest => digest,
            };
            let global = reader.value("smtp_tls_fingerprint_cert_match");
            pins(reader, name, fingerprints.unwrap_or(&global), digest);
        }
        "verify" | "secure" | "dane" | "dane-only" => {
            let text = format!(
                "{level}: the relayhost's certificate was checked, which is done here by its key: relay_tls.pins, with what `smarthost pin` (or `sendmail-shim pin HOST`) prints"
            );
            reader.note(Verdict::Decide, name, text);
        }
        "" | "none" | "may" | "encrypt" => {}
        unknown => {
            let text = format!("`{unknown}` is no level; TLS is demanded of the relayhost");
            reader.note(Verdict::Decide, name, text);
        }
    }
}

fn pins(reader: &mut Reader<'_>, name: &str, list: &str, digest: &str) {
    let mut found = Vec::new();
    for text in list.split([' ', ',', '|']).filter(|text| !text.is_empty()) {
        let kinds: &[&str] = match digest {
            "sha1" => &["sha1"],
            "sha256" => &["sha256", "cert-sha256"],
            _ => &[],
        };
        let pins = kinds.iter().map(|kind| format!("{kind}:{text}"));
        let pins: Vec<_> = pins.filter(|pin| Pin::parse(pin).is_ok()).collect();
        if pins.is_empty() {
            let text = format!(
                "the {digest} fingerprint {text} is not known here: relay_tls.pins, with what `smarthost pin` prints on the relayhost"
            );
            reader.note(Verdict::Decide, name, text);
        }
        found.extend(pins);
    }
    let refused = reader.extend("relay_tls.pins", found.clone());
    for (pin, why) in &refused {
        reader.note(Verdict::Decide, name, format!("{pin}: {why}"));
    }
    if refused.len() < found.len() {
        let text = match digest {
            "sha1" => {
                "relay_tls.pins, as the SHA-1 of the key: if it was that of the certificate, mail waits until the pin is replaced"
            }
            _ => "relay_tls.pins, of key and certificate alike",
        };
        for name in [
            name,
            "smtp_tls_fingerprint_cert_match",
            "smtp_tls_fingerprint_digest",
        ] {
            reader.note_if_set(Verdict::Mapped, name, text);
        }
    } else {
        reader.note(
            Verdict::Decide,
            name,
            "no fingerprint could be used, and nothing says who the relayhost is: relay_tls.pins",
        );
    }
}

fn authorities(reader: &mut Reader<'_>, level: &str) {
    let verifies = matches!(level, "verify" | "secure") || reader.is_set(POLICIES);
    for name in ["smtp_tls_CAfile", "smtp_tls_CApath"] {
        let value = reader.value(name);
        if value.is_empty() {
            reader.note_if_set(Verdict::Default, name, "is not set");
        } else if !verifies {
            reader.note_if_set(
                Verdict::Ignored,
                name,
                "at this level no authority is asked",
            );
        } else if name == "smtp_tls_CAfile" {
            reader.map_text(name, "tls_out.ca_file", &value);
        } else {
            let text = "a directory of authorities is not read: without tls_out.ca_file the web's are believed";
            reader.note(Verdict::NotSupported, name, text);
        }
    }
}

fn identity(reader: &mut Reader<'_>, has_relayhost: bool) {
    let (cert, key) = ("smtp_tls_cert_file", "smtp_tls_key_file");
    let certificate = reader.value(cert);
    if certificate.is_empty() {
        reader.note_if_set(Verdict::Default, cert, "is not set");
        reader.note_if_set(Verdict::Default, key, "there is no certificate");
    } else if has_relayhost {
        if reader.map_text(cert, "relay_tls.certificate", &certificate) && reader.is_set(key) {
            let file = reader.value(key);
            reader.map_text(key, "relay_tls.key", &file);
        }
    } else {
        let text = "a certificate is shown to the relayhost alone, and there is none";
        reader.note_if_set(Verdict::Ignored, cert, text);
        reader.note_if_set(Verdict::Ignored, key, text);
    }
    let chain = "smtp_tls_chain_files";
    let text = "set relay_tls.certificate, if the relayhost asks for one";
    if reader.is_set(chain) {
        let verdict = if reader.value(chain).is_empty() {
            Verdict::Default
        } else {
            Verdict::NotSupported
        };
        reader.note(verdict, chain, text);
    }
}
