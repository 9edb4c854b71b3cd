//! Who we are, who may relay, whom mail is taken for; and what an old `compatibility_level`
//! implies.

use mail::address::{Domain, DomainPattern};
use postfix::{
    expand::level,
    tables::{self, Table as Named},
};

use super::{reader::Reader, report::Verdict};
use crate::network::Network;

pub(super) fn read(reader: &mut Reader<'_>) {
    compatibility(reader);
    if reader.is_set("myhostname") {
        let name = reader.value("myhostname");
        reader.map_text("myhostname", "hostname", &name);
    }
    reader.note_if_set(
        Verdict::Ignored,
        "mydomain",
        "stands in the values that name it",
    );
    domains(reader);
    networks(reader);
    origin(reader);
    banner(reader);
}

/// What follows from it, told before all else.
fn compatibility(reader: &mut Reader<'_>) {
    let old = |than: &str| reader.level < level(than);
    let (before1, before2, before36) = (old("1"), old("2"), old("3.6"));
    let name = "compatibility_level";
    let written = reader.is_set(name);
    let text = "read first: the defaults of other parameters follow from it";
    reader.note_if_set(Verdict::Ignored, name, text);
    if !written {
        let text = "0, as Postfix takes it: the old defaults below count unless they are set";
        reader.note(Verdict::Ignored, name, text);
    }
    let first = if before36 { "no" } else { "yes" };
    reader
        .main
        .assume("smtpd_relay_before_recipient_restrictions", first);
    let mut implied = |old: bool, name: &str, verdict, text: &str| {
        if old && !reader.is_set(name) {
            reader.note(verdict, name, text);
        }
    };
    implied(
        before1,
        "append_dot_mydomain",
        Verdict::Ignored,
        "yes at this level: names without a dot got the domain; here addresses stay as clients write them",
    );
    implied(
        before1,
        "smtpd_relay_restrictions",
        Verdict::Ignored,
        "empty at this level: who may relay stood in smtpd_recipient_restrictions alone; here it is decided before all else",
    );
    implied(
        before36,
        "smtpd_relay_before_recipient_restrictions",
        Verdict::Ignored,
        "no at this level: relaying was decided last; here it is decided first, before anything that asks the world",
    );
    implied(
        before36,
        "smtp_tls_fingerprint_digest",
        Verdict::Ignored,
        "md5 at this level: fingerprints of MD5 are not known here",
    );
    if before2 {
        if !reader.is_set("relay_domains") {
            reader.main.assume("relay_domains", "$mydestination");
            let text = "$mydestination at this level: mail for subdomains of your own domains was passed on; those that you want stand in domains.relay";
            reader.note(Verdict::Decide, "relay_domains", text);
        }
        if !reader.is_set("mynetworks_style") {
            reader.main.assume("mynetworks_style", "subnet");
        }
    }
}

/// Members that our lists of domains know, with what else Postfix means by one.
fn list(reader: &mut Reader<'_>, name: &str, key: &str, taken: &mut Vec<String>, below: bool) {
    let mut members = Vec::new();
    let mut excepted: Vec<String> = Vec::new();
    let mut addresses = 0usize;
    for domain in reader.keys(name) {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        if let Some(domain) = domain.strip_prefix('!') {
            excepted.push(domain.to_owned());
            continue;
        }
        if domain.contains('@') {
            addresses = addresses.saturating_add(1);
            continue;
        }
        // match_list of Postfix: where subdomains are not covered by themselves, and in
        // relay_domains alone, a dot in front means them.
        let pattern = name == "relay_domains" && !below;
        if domain.starts_with('.') && !pattern {
            let text =
                format!("`{domain}`, with its dot, is the name of no domain in Postfix either");
            reader.note(Verdict::Ignored, name, text);
            continue;
        }
        let plain = domain.trim_start_matches('.');
        if let Err(why) = Domain::setting(plain) {
            reader.note(Verdict::NotSupported, name, format!("`{domain}`: {why}"));
            continue;
        }
        if taken.contains(&domain) {
            let text = format!("{domain} stands in a list before, which counts");
            reader.note_if_set(Verdict::Ignored, name, text);
        }
        let above = (below && !domain.starts_with('.')).then(|| format!(".{domain}"));
        for pattern in above.into_iter().chain([domain.clone()]) {
            match except(&pattern, &excepted, below) {
                Excepted::No => members.push(pattern),
                Excepted::Whole => {}
                Excepted::Partly(what) => {
                    let text = format!(
                        "`!{what}` was excepted from `{pattern}`, and there are no exceptions here: `{pattern}` is left out; name the domains that are meant in {key}"
                    );
                    reader.note(Verdict::Decide, name, text);
                }
            }
        }
    }
    if addresses > 0 {
        let text =
            format!("{addresses} entries are addresses, which name no domain in Postfix either");
        reader.note(Verdict::Ignored, name, text);
    }
    members.retain(|domain| !taken.contains(domain));
    members.sort();
    members.dedup();
    taken.extend(members.iter().cloned());
    if reader.is_set(name) && !reader.is_told(name) || !members.is_empty() {
        if reader.is_set(name) {
            reader.map_list(name, key, members);
        } else {
            reader.extend(key, members);
        }
    }
}

/// What exceptions leave of a domain, or of those below it (with a dot in front).
enum Excepted {
    No,
    Whole,
    Partly(String),
}

fn except(pattern: &str, excepted: &[String], below: bool) -> Excepted {
    let mut partly = None;
    for exception in excepted {
        let lower = format!(".{}", exception.trim_start_matches('.'));
        let covers_below = below || exception.starts_with('.');
        if exception == pattern || covers_below && pattern.ends_with(&lower) {
            return Excepted::Whole;
        }
        let beneath = pattern.starts_with('.') && exception.ends_with(pattern);
        // What cannot be a domain may be a pattern of many.
        if beneath || Domain::setting(exception.trim_start_matches('.')).is_err() {
            partly = Some(exception.clone());
        }
    }
    partly.map_or(Excepted::No, Excepted::Partly)
}

fn domains(reader: &mut Reader<'_>) {
    let mut taken = Vec::new();
    if reader.value("mydestination").is_empty() {
        let text = "empty: yet mail for the host's own name and localhost is taken here always, for aliases";
        reader.note(Verdict::Ignored, "mydestination", text);
    } else {
        list(reader, "mydestination", "domains.local", &mut taken, false);
    }
    let own: Vec<_> = [reader.value("myhostname"), "localhost".to_owned()].into();
    taken.extend(own);
    if reader.is_set("virtual_alias_domains") {
        list(
            reader,
            "virtual_alias_domains",
            "domains.virtual",
            &mut taken,
            false,
        );
    } else {
        of_virtual_tables(reader, &mut taken);
    }
    if !reader.is_set("relay_domains") {
        // What an old level implies was told.
        return;
    }
    let parents = "parent_domain_matches_subdomains";
    let below = !reader.is_set(parents) || reader.value(parents).contains("relay_domains");
    list(reader, "relay_domains", "domains.relay", &mut taken, below);
    reader.note_if_set(
        Verdict::Ignored,
        parents,
        "read: where it names relay_domains, their subdomains stand in domains.relay too; access tables cover them always",
    );
}

/// A key that is a domain makes it a virtual one.
fn of_virtual_tables(reader: &mut Reader<'_>, taken: &mut Vec<String>) {
    let is_domain = |key: &String| !key.contains('@') && key.contains('.');
    let name = if reader.is_set("virtual_alias_maps") {
        "virtual_alias_maps"
    } else {
        "virtual_maps"
    };
    let mut domains = Vec::new();
    let usual = reader.value("default_database_type");
    for map in postfix::members(&reader.value(name)) {
        if let Named::Text(_) | Named::Inline(_) = tables::named(map, &usual)
            && let Ok(entries) = reader.entries(map)
        {
            let keys = entries.into_iter().map(|(key, _)| key.to_ascii_lowercase());
            domains.extend(keys.filter(is_domain));
        }
    }
    let domains: Vec<_> = domains
        .into_iter()
        .filter(|domain| DomainPattern::try_from(domain.clone()).is_ok() && !taken.contains(domain))
        .collect();
    if !domains.is_empty() {
        let text = format!(
            "domains.virtual, from lines of a domain alone: {}",
            domains.join(", ")
        );
        taken.extend(domains.iter().cloned());
        let refused = reader.extend("domains.virtual", domains);
        if refused.is_empty() {
            reader.note(Verdict::Mapped, name, text);
        }
        for (domain, why) in refused {
            reader.note(Verdict::NotSupported, name, format!("`{domain}`: {why}"));
        }
    }
}

fn networks(reader: &mut Reader<'_>) {
    let style = reader.value("mynetworks_style");
    if reader.is_set("mynetworks") {
        reader.note_if_set(Verdict::Ignored, "mynetworks_style", "mynetworks counts");
        let (networks, lost) = networks_of(reader, "mynetworks");
        let nothing_lost = lost.is_empty() && !reader.is_told("mynetworks");
        for (member, why) in lost {
            let text = format!("`{member}` is not taken over: {why}");
            reader.note(Verdict::NotSupported, "mynetworks", text);
        }
        let members: Vec<_> = networks.iter().map(ToString::to_string).collect();
        let refused = reader.extend("networks", members.clone());
        for (_, why) in &refused {
            reader.note(Verdict::Decide, "mynetworks", why);
        }
        if members.is_empty() {
            let verdict = if nothing_lost {
                Verdict::Mapped
            } else {
                Verdict::Decide
            };
            let text = "no network is left; the machine itself may relay, as always";
            reader.note(verdict, "mynetworks", text);
        } else if refused.len() < members.len() {
            reader.note(Verdict::Mapped, "mynetworks", "networks");
        }
        return;
    }
    match style.as_str() {
        "" | "host" => {
            let text = "the machine itself may relay, as without networks; other addresses of it stand there by hand";
            reader.note_if_set(Verdict::Default, "mynetworks_style", text);
        }
        _ => {
            let routes = (reader.files)("/proc/net/route").unwrap_or_default();
            let found = attached(&routes);
            let networks: Vec<_> = found.iter().map(ToString::to_string).collect();
            let which = if networks.is_empty() {
                "its networks".to_owned()
            } else {
                networks.join(", ")
            };
            let text = format!(
                "{style}: every machine in {which} could relay; here none may until you name the networks of your own machines: networks = [\"192.0.2.0/24\"]"
            );
            reader.note(Verdict::Decide, "mynetworks_style", text);
        }
    }
}

/// The networks of a list without what is excepted in front of them, and what is none, with why.
pub(super) fn networks_of(
    reader: &mut Reader<'_>,
    name: &str,
) -> (Vec<Network>, Vec<(String, String)>) {
    let (mut found, mut excepted, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    for key in reader.keys(name) {
        let (is_exception, member) = match key.strip_prefix('!') {
            Some(member) => (true, member),
            None => (false, key.as_str()),
        };
        let read = if is_exception {
            Network::around(member)
        } else {
            Network::parse(member)
        };
        match (read, is_exception) {
            (Ok(network), true) => excepted.push(network),
            (Ok(network), false) => {
                if let Some(rest) = network.without(&excepted) {
                    found.extend(rest);
                } else {
                    let text = format!("`{member}` is left out: too much is excepted from it");
                    reader.note(Verdict::Decide, name, text);
                }
            }
            (Err(why), true) => {
                let text = format!(
                    "`!{member}`: {why}; what follows it is left out, because it may be excepted"
                );
                reader.note(Verdict::Decide, name, text);
                break;
            }
            (Err(why), false) => lost.push((member.to_owned(), why.to_string())),
        }
    }
    (found, lost)
}

/// Networks that this machine has an address in: lines of /proc/net/route without a gateway.
fn attached(routes: &str) -> Vec<Network> {
    let number = |text: &str| u32::from_str_radix(text, 16).ok().map(u32::swap_bytes);
    let network = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [_, destination, gateway, _, _, _, _, mask, ..] = fields.as_slice() else {
            return None;
        };
        let prefix = number(mask)?.count_ones();
        let address = std::net::Ipv4Addr::from(number(destination)?);
        let direct = number(gateway)? == 0 && prefix > 0;
        let network = Network::parse(&format!("{address}/{prefix}")).ok()?;
        direct.then_some(network)
    };
    routes.lines().skip(1).filter_map(network).collect()
}

/// What else the origin was for.
const ORIGIN: &str = "in tables they stand for local ones here, and programs of this machine, which sent by Postfix's sendmail, send by sendmail-shim: it is the setting domain there";

fn origin(reader: &mut Reader<'_>) {
    for name in ["append_at_myorigin", "append_dot_mydomain"] {
        let text = "addresses stay as clients write them; nothing is put behind a name";
        reader.note_if_set(Verdict::Ignored, name, text);
    }
    if !reader.is_set("myorigin") {
        return;
    }
    let mut origin = reader.value("myorigin");
    if origin.starts_with('/') {
        match (reader.files)(&origin) {
            Ok(text) => {
                let first = text.lines().next().unwrap_or_default();
                first.trim().clone_into(&mut origin);
            }
            Err(why) => {
                let text = format!("{why}; {ORIGIN}");
                return reader.note(Verdict::Decide, "myorigin", text);
            }
        }
    }
    let local = reader.texts("domains.local");
    let ours = local.contains(&origin.to_ascii_lowercase());
    let own = [reader.value("myhostname"), "localhost".to_owned()];
    if ours || own.contains(&origin) {
        let text = "a name without a domain in tables is a local one, which is the same";
        reader.note(Verdict::Default, "myorigin", text);
    } else {
        let text = format!(
            "names without a domain stood for …@{origin}: write it behind them in tables; {ORIGIN}"
        );
        reader.note(Verdict::Decide, "myorigin", text);
    }
}

fn banner(reader: &mut Reader<'_>) {
    let name = "smtpd_banner";
    if !reader.is_set(name) {
        return;
    }
    if reader
        .main
        .raw(name)
        .is_some_and(|raw| raw.contains("mail_name"))
    {
        let text = "it names Postfix, which does not answer here; the greeting is the host name and ESMTP, or what banner says";
        return reader.note(Verdict::Ignored, name, text);
    }
    let banner = reader.value(name);
    reader.map_text(name, "banner", &banner);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_the_machine_are_those_without_a_gateway() {
        let routes = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t0171CB00\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            eth0\t007100CB\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\nshort\n";
        let found: Vec<_> = attached(routes).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["203.0.113.0/24"]);
    }
}
