//! The lists of restrictions: read, made into one, and what they say of who may relay. Rows A6, C4,
//! C5.

use postfix::{list::bare, members};

use super::{
    files::Use,
    limits, lists,
    lists::{Ends, Item},
    reader::Reader,
    report::{Value, Verdict},
    tls,
};
use crate::policy::rule::Rule;

/// In the order in which they are asked, `relay` and `recipient` apart.
const LISTS: [(&str, &str); 3] = [
    ("smtpd_client_restrictions", "check_client_access"),
    ("smtpd_helo_restrictions", "check_helo_access"),
    ("smtpd_sender_restrictions", "check_sender_access"),
];
const RELAY: &str = "smtpd_relay_restrictions";
const RECIPIENT: &str = "smtpd_recipient_restrictions";
const DATA: &str = "smtpd_data_restrictions";

/// Who may relay, as far as names say it.
const KNOWN: [&str; 3] = [
    "permit_mynetworks",
    "permit_sasl_authenticated",
    "permit_tls_clientcerts",
];

pub(super) fn read(reader: &mut Reader<'_>) {
    let mut all = Vec::new();
    for (name, table) in LISTS {
        all.push(one(reader, name, table));
    }
    let relay = one(reader, RELAY, "check_recipient_access");
    let recipient = one(reader, RECIPIENT, "check_recipient_access");
    let mut lists: Vec<_> = LISTS.iter().map(|(name, _)| *name).zip(&all).collect();
    lists.extend([(RECIPIENT, &recipient), (RELAY, &relay)]);
    let refusing = refuses_before(reader, &lists);
    permission(reader, &relay, &recipient, refusing);
    let plain = |item: &Item| {
        let text = item.text.as_str();
        KNOWN.contains(&text)
            || matches!(
                text,
                "reject_unauth_destination" | "permit_auth_destination"
            )
    };
    // Its plain words are what is decided before all else.
    let relay: Vec<_> = if relay.iter().all(plain) {
        Vec::new()
    } else {
        relay
    };
    let first = reader.is_yes("smtpd_relay_before_recipient_restrictions");
    if first {
        all.extend([relay, recipient]);
    } else {
        all.extend([recipient, relay]);
    }
    all.push(data(reader));
    let merged = lists::merged(all);
    let place = format!("{}/main.cf", reader.directory);
    for text in &merged.stricter {
        let told = "stood behind a permit that other lists do not have; here there is one list, and it is asked about those clients, too";
        reader.say(Verdict::Decide, place.clone(), text, told);
    }
    for (text, skipped) in &merged.laxer {
        let told = format!(
            "whom it let pass was still asked about the other lists; here there is one list, and these are not asked about him: {}",
            skipped.join(", ")
        );
        reader.say(Verdict::Decide, place.clone(), text, told);
        reader.import.looser.push(text.clone());
    }
    let mut rules: Vec<String> = Vec::new();
    if tls::is_enforced(reader) {
        rules.push("reject_plaintext_session".to_owned());
    }
    rules.extend(merged.items.into_iter().map(|item| item.text));
    if limits::has_score(reader) {
        let place = rules
            .iter()
            .rposition(|rule| KNOWN.contains(&rule.as_str()));
        let place = place.map_or(0, |place| place.saturating_add(1));
        rules.insert(place.min(rules.len()), "reject_dnsbl_score".to_owned());
    }
    let known = "permit_sasl_authenticated";
    if logins_pass(reader) && !rules.is_empty() {
        // Logins are taken on these ports alone.
        rules.retain(|rule| rule != known);
        rules.insert(0, known.to_owned());
    }
    let usual = |rule: &String| {
        KNOWN.contains(&rule.as_str())
            || matches!(
                rule.as_str(),
                "reject_unauth_destination" | "reject_unlisted_recipient"
            )
    };
    if !rules.iter().all(usual)
        && let Err(why) = reader.put("restrictions", Value::Texts(rules))
    {
        reader.note(
            Verdict::NotSupported,
            RECIPIENT,
            format!("the lists together: {why}"),
        );
    }
    others(reader);
}

/// What was read of a list, and what not.
fn one(reader: &mut Reader<'_>, name: &str, table: &str) -> Vec<Item> {
    let words = reader.list(name);
    let (mut items, mut lost) = (Vec::new(), Vec::new());
    let mut seen = 0usize;
    walk(reader, table, &words, 0, &mut |reader, words| {
        seen = seen.saturating_add(1);
        match rule(reader, name, words) {
            Ok(item) => items.push(item),
            Err(why) => lost.push(format!("`{}`: {why}", words.join(" "))),
        }
    });
    // Behind a permit for everybody nothing is asked.
    if let Some(end) = items.iter().position(|item| item.text == "permit") {
        items.truncate(end);
    }
    if reader.is_set(name) {
        let kept = items.len();
        if !lost.is_empty() {
            let text = format!("{kept} of {seen} are in restrictions. {}", lost.join("; "));
            reader.note(Verdict::NotSupported, name, text);
        } else if seen == 0 {
            reader.note(Verdict::Default, name, "empty");
        } else if !reader.is_told(name) {
            let text = if name == RELAY {
                "decided before all else here, as restrictions say"
            } else {
                "restrictions"
            };
            reader.note(Verdict::Mapped, name, text);
        }
    }
    items
}

type Each<'e> = dyn FnMut(&mut Reader<'_>, &[String]) + 'e;

/// Goes through a list: a name with what stands behind it, classes replaced by what they are.
fn walk(reader: &mut Reader<'_>, table: &str, words: &[String], depth: usize, each: &mut Each<'_>) {
    let classes = reader.value("smtpd_restriction_classes");
    let mut words = words.iter();
    let mut warn = false;
    while let Some(word) = words.next() {
        let lower = word.to_ascii_lowercase();
        if lower == "warn_if_reject" {
            warn = true;
            continue;
        }
        if members(&classes).contains(&word.as_str()) && depth < 5 {
            let inner = reader.value(word);
            let inner: Vec<_> = members(&inner).into_iter().map(str::to_owned).collect();
            walk(reader, table, &inner, depth.saturating_add(1), each);
            continue;
        }
        let mut rule = Vec::new();
        if std::mem::take(&mut warn) {
            rule.push("warn_if_reject".to_owned());
        }
        let kind = lower.split(':').next().filter(|kind| *kind != lower);
        if kind.is_some_and(|kind| !kind.contains("_access")) {
            // A table alone is that of the list.
            rule.push(table.to_owned());
            rule.push(word.clone());
        } else {
            rule.push(lower.clone());
            let argument = lower.starts_with("check_")
                || lower.contains("_rbl")
                || lower.contains("rhsbl")
                || lower.contains("_dnswl")
                || lower.contains("rhswl")
                || lower == "sleep";
            let alone = matches!(
                lower.as_str(),
                "check_relay_domains" | "check_recipient_maps" | "reject_maps_rbl"
            );
            if argument && !alone {
                rule.extend(words.next().cloned());
            }
        }
        each(reader, &rule);
    }
}

fn rule(reader: &mut Reader<'_>, name: &str, words: &[String]) -> Result<Item, String> {
    let (warn, words) = match words {
        [warn, rest @ ..] if warn == "warn_if_reject" => ("warn_if_reject ", rest),
        words => ("", words),
    };
    let mut ends = Ends::Nothing;
    let text = match words {
        [check, map] if check.starts_with("check_") && check.ends_with("_access") => {
            Rule::parse(&format!("{check} table"))?;
            let map = first(reader, name, check, map);
            let (table, entries) = reader.table(name, &map, Use::Access)?;
            let mut values = entries.entries().map(|(_, value, _)| value);
            if values.any(permits) {
                ends = Ends::Both;
            }
            format!("{check} {table}")
        }
        [check, service] if check == "check_policy_service" => {
            ends = Ends::Both;
            let service = first(reader, name, check, service);
            format!("{check} {}", endpoint(reader, &service)?)
        }
        [list, zone] if list == "reject_rbl" => format!("reject_rbl_client {zone}"),
        words => words.join(" "),
    };
    let text = match text.as_str() {
        "defer_unauth_destination" => "reject_unauth_destination".to_owned(),
        text => text.to_owned(),
    };
    if text.starts_with("permit") {
        ends = Ends::Permits;
    }
    let text = format!("{warn}{text}");
    let rule = Rule::parse(&text)?;
    Ok(Item {
        text: rule.as_str().to_owned(),
        ends: if warn.is_empty() { ends } else { Ends::Nothing },
    })
}

/// What stands behind a check, without options of its own, `{ inet:127.0.0.1:10040, timeout = 5s
/// }`: these are told.
fn first(reader: &mut Reader<'_>, name: &str, check: &str, argument: &str) -> String {
    let mut words = members(bare(argument)).into_iter();
    let first = words.next().unwrap_or_default().to_owned();
    let options: Vec<_> = words.collect();
    if !options.is_empty() {
        let text = format!(
            "`{check} {first}` is taken over without its options, which are not known here: {}; where it does not answer, mail waits",
            options.join(" ")
        );
        reader.note(Verdict::NotSupported, name, text);
    }
    first
}

/// Whether an action of a table lets pass.
fn permits(action: &str) -> bool {
    let word = action.split_whitespace().next().unwrap_or_default();
    let word = word.to_ascii_uppercase();
    let number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    matches!(word.as_str(), "OK" | "RELAY")
        || word.starts_with("PERMIT")
        || number && action.trim().len() == word.len()
}

fn endpoint(reader: &Reader<'_>, service: &str) -> Result<String, String> {
    let Some(("unix", path)) = service.split_once(':') else {
        return Ok(service.to_owned());
    };
    let own = path.strip_prefix("private/");
    let spawned = own.and_then(|name| {
        reader
            .services
            .iter()
            .find(|it| it.name == name && it.command == "spawn")
    });
    if let Some(service) = spawned {
        return Err(format!(
            "Postfix started {} for it (master.cf:{}): run it as a service on a socket of its own, and write \"check_policy_service unix:/run/…\"",
            service.name, service.line
        ));
    }
    let path = reader.socket(path, |it| it.command == "smtpd");
    Ok(format!("unix:{path}"))
}

/// What only matters at DATA.
fn data(reader: &mut Reader<'_>) -> Vec<Item> {
    let words = reader.list(DATA);
    let mut lost = Vec::new();
    let mut items = Vec::new();
    for word in &words {
        match word.as_str() {
            "reject_unauth_pipelining" | "permit" => {}
            "permit_mynetworks" | "permit_sasl_authenticated" if items.is_empty() => {}
            "reject_multi_recipient_bounce" => items.push(Item {
                text: word.clone(),
                ends: Ends::Nothing,
            }),
            _ => lost.push(format!("`{word}`")),
        }
    }
    if !lost.is_empty() {
        let text = format!(
            "nothing is decided at DATA but by milters: {} not taken over",
            lost.join(", ")
        );
        reader.note(Verdict::NotSupported, DATA, text);
    } else if items.is_empty() {
        reader.note_if_set(
            Verdict::Default,
            DATA,
            "commands sent ahead end the session: forbid_unauth_pipelining",
        );
    } else {
        reader.note_if_set(Verdict::Mapped, DATA, "restrictions, at RCPT");
    }
    items
}

/// A list that is read and asks for the destination before it knows networks, or logins where those
/// are taken: in Postfix each list refuses for itself.
fn refuses_before(
    reader: &mut Reader<'_>,
    lists: &[(&'static str, &Vec<Item>)],
) -> Option<&'static str> {
    let without = |known: &str| {
        lists.iter().find_map(|(name, items)| {
            let is = |text: &str| items.iter().position(|item| item.text == text);
            let refused = is("reject_unauth_destination")?;
            let late = is(known).is_none_or(|at| at > refused);
            (late && reader.is_set(name)).then_some(*name)
        })
    };
    let (networks, logins) = (without("permit_mynetworks"), without(KNOWN[1]));
    if let Some(name) = logins.filter(|_| reader.is_yes("smtpd_sasl_auth_enable")) {
        let text = "reject_unauth_destination stands in front of permit_sasl_authenticated, so that logins could not relay through Postfix; here whoever logs in may: without auth nobody does";
        reader.unmap(name);
        reader.note(Verdict::Decide, name, text);
    }
    networks
}

/// Row A6: who could relay with Postfix, as against here: networks, logins, keys, and nobody else.
/// `refusing`: a list in which networks could not.
fn permission(
    reader: &mut Reader<'_>,
    relay: &[Item],
    recipient: &[Item],
    refusing: Option<&'static str>,
) {
    let mut told = None;
    if let Some((name, list)) = permitting(reader, relay, recipient) {
        told = granted(reader, name, list);
    }
    if let Some(name) = told.or(refusing) {
        reader.import.settings.retain(|(key, _)| key != "networks");
        reader.unmap("mynetworks");
        reader.unmap(name);
        let text = "permit_mynetworks does not stand in front of what refuses to relay, so that mynetworks could not: networks is left out, and the machine itself alone may relay, as always";
        reader.note(Verdict::Decide, name, text);
        reader.note_if_set(Verdict::Decide, "mynetworks", format!("see {name}"));
    }
}

/// The list that says who may relay.
fn permitting<'a>(
    reader: &Reader<'_>,
    relay: &'a [Item],
    recipient: &'a [Item],
) -> Option<(&'static str, &'a [Item])> {
    let old = reader.level < postfix::expand::level("1");
    match (reader.is_set(RELAY), relay.is_empty()) {
        (true, false) => Some((RELAY, relay)),
        (true, true) => Some((RECIPIENT, recipient)),
        (false, _) if old => Some((RECIPIENT, recipient)),
        (false, _) => None,
    }
}

/// What a list says of who may relay; its name where networks may not.
fn granted(reader: &mut Reader<'_>, name: &'static str, list: &[Item]) -> Option<&'static str> {
    let ends = |item: &Item| {
        matches!(
            item.text.as_str(),
            "reject_unauth_destination" | "reject" | "defer"
        )
    };
    let end = list.iter().position(ends);
    let before = list.get(..end.unwrap_or(list.len())).unwrap_or_default();
    // `permit` alone is left out of the list that it stands in.
    let written = [name, RELAY].into_iter();
    let mut written = written.filter(|name| reader.is_set(name) && !reader.value(name).is_empty());
    if let (None, Some(name)) = (end, written.next()) {
        let text =
            "nothing in it refuses strangers who relay; here it is refused, whatever stands there";
        reader.note(Verdict::Decide, name, text);
    }
    for item in before.iter().filter(|item| item.ends == Ends::Both) {
        let text = format!(
            "`{}`: whom it lets pass could relay through Postfix; here only networks, logins and keys can: name those machines in networks",
            item.text
        );
        reader.note(Verdict::Decide, name, text);
    }
    let permits = before.iter().any(|item| item.text == "permit_mynetworks");
    (!permits && !reader.value(name).is_empty()).then_some(name)
}

/// Whether a port of its own lets who has logged in pass.
fn logins_pass(reader: &Reader<'_>) -> bool {
    let services = reader.services.iter().filter(|it| it.command == "smtpd");
    let mut options = services.flat_map(postfix::Service::options);
    options.any(|(name, value)| {
        let first = members(value).first().copied();
        name.ends_with("_restrictions") && first == Some("permit_sasl_authenticated")
    })
}

fn others(reader: &mut Reader<'_>) {
    for name in ["smtpd_end_of_data_restrictions", "smtpd_etrn_restrictions"] {
        let (verdict, text) = match (name, reader.value(name).is_empty()) {
            (_, true) => (Verdict::Default, "empty"),
            ("smtpd_etrn_restrictions", _) => (Verdict::Ignored, "ETRN is not offered"),
            _ => (
                Verdict::NotSupported,
                "nothing is decided at the end of data but by milters",
            ),
        };
        reader.note_if_set(verdict, name, text);
    }
    let classes = "smtpd_restriction_classes";
    if reader.is_set(classes) {
        let value = reader.value(classes);
        let text = "classes are replaced by what they are where a list names one; in tables write the restrictions themselves";
        reader.note(
            if value.is_empty() {
                Verdict::Default
            } else {
                Verdict::NotSupported
            },
            classes,
            text,
        );
        for class in members(&value) {
            reader.note_if_set(
                Verdict::Ignored,
                class,
                "a class: read where a list names it",
            );
        }
    }
    let text = "everything is decided at RCPT, where sender and recipient are known";
    reader.note_if_set(Verdict::Ignored, "smtpd_delay_reject", text);
    let text = "relaying is decided first, before anything that asks the world";
    reader.note_if_set(
        Verdict::Ignored,
        "smtpd_relay_before_recipient_restrictions",
        text,
    );
}
