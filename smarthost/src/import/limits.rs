//! Limits of clients, times, sizes, filters, verification, and what postscreen did. Rows A4, A5,
//! A7, B5, B10.

use postfix::{list::bare, members, tables};
use settings::rows::quote;

use super::{
    names::networks_of,
    reader::Reader,
    report::{Value, Verdict},
};

pub(super) fn read(reader: &mut Reader<'_>) {
    clients(reader);
    times(reader);
    size(reader);
    milters(reader);
    verify(reader);
    postscreen(reader);
    front_ends(reader);
}

/// Row A4.
fn clients(reader: &mut Reader<'_>) {
    let unit = tables::seconds(&reader.value("anvil_rate_time_unit"), 1).unwrap_or(60);
    let exceptions = exceptions(reader);
    let own_too = !exceptions.mynetworks;
    let mut limited = false;
    for (name, what) in [
        ("smtpd_client_message_rate_limit", ""),
        ("smtpd_client_recipient_rate_limit", " recipients"),
    ] {
        let value = reader.value(name);
        match value.parse::<u64>() {
            Ok(0) => reader.note_if_set(Verdict::Default, name, "no limit"),
            Ok(number) => {
                let limit = format!("{number}{what}/{unit}s");
                let mut keys = vec!["limits.per_stranger"];
                if own_too {
                    keys.insert(0, "limits.per_client");
                }
                let mut refused = None;
                for key in &keys {
                    refused = refused.or(reader.extend(key, vec![limit.clone()]).pop());
                }
                if let Some((_, why)) = refused {
                    reader.note(Verdict::NotSupported, name, why);
                    continue;
                }
                limited = true;
                let keys = keys.join(", ");
                let text = format!("{keys}: \"{limit}\", of what was accepted, over all ports");
                reader.note(Verdict::Mapped, name, text);
            }
            Err(_) if value.is_empty() => {}
            Err(_) => reader.note(Verdict::NotSupported, name, "is no number"),
        }
    }
    let text = if limited {
        "the time in limits"
    } else {
        "no limit counts by it"
    };
    let verdict = if limited {
        Verdict::Mapped
    } else {
        Verdict::Ignored
    };
    reader.note_if_set(verdict, "anvil_rate_time_unit", text);
    exceptions.told(reader, limited);
    let name = "smtpd_client_connection_count_limit";
    if reader.is_set(name) {
        match reader.value(name).parse::<u32>() {
            Ok(50) => reader.note(Verdict::Default, name, "concurrency.client = 50 is ours"),
            Ok(number @ 1..) => {
                reader.map(name, "concurrency.client", number.to_string());
            }
            _ => reader.note(
                Verdict::NotSupported,
                name,
                "0 is no limit; there always is one here: concurrency.client",
            ),
        }
    }
}

/// Who is not counted.
struct Exceptions {
    name: &'static str,
    mynetworks: bool,
    networks: Vec<String>,
    lost: Vec<String>,
}

fn exceptions(reader: &mut Reader<'_>) -> Exceptions {
    let (name, old) = (
        "smtpd_client_event_limit_exceptions",
        "smtpd_client_connection_limit_exceptions",
    );
    let name = if reader.is_set(name) || !reader.is_set(old) {
        name
    } else {
        old
    };
    let raw = reader.main.raw(name).unwrap_or("$mynetworks").to_owned();
    let mynetworks = raw.contains("$mynetworks") || raw.contains("{mynetworks}");
    let (networks, lost) = if reader.is_set(name) {
        networks_of(reader, name)
    } else {
        (Vec::new(), Vec::new())
    };
    let networks = networks.iter().map(ToString::to_string).collect();
    let lost = lost
        .iter()
        .map(|(member, why)| format!("`{member}`: {why}"));
    let lost = lost.collect();
    Exceptions {
        name,
        mynetworks,
        networks,
        lost,
    }
}

impl Exceptions {
    fn told(self, reader: &mut Reader<'_>, limited: bool) {
        if !reader.is_set(self.name) {
            return;
        }
        if !limited {
            return reader.note(
                Verdict::Ignored,
                self.name,
                "no client is limited by messages or recipients",
            );
        }
        for why in self.lost {
            reader.note(Verdict::NotSupported, self.name, why);
        }
        reader.map_list(self.name, "limits.exempt", self.networks);
    }
}

/// Rows A5 and those of the queue.
fn times(reader: &mut Reader<'_>) {
    for (name, key, unit, ours) in [
        ("minimal_backoff_time", "retry.minimal", 1, Some(300)),
        ("maximal_backoff_time", "retry.maximal", 1, Some(4000)),
        (
            "maximal_queue_lifetime",
            "retry.lifetime",
            86_400,
            Some(432_000),
        ),
        (
            "bounce_queue_lifetime",
            "retry.bounce_lifetime",
            86_400,
            None,
        ),
        ("delay_warning_time", "retry.warning", 3600, Some(14_400)),
    ] {
        time(reader, name, key, unit, ours);
    }
    if !reader.is_set("delay_warning_time") {
        let none = Value::Plain("\"0s\"".to_owned());
        if reader.put("retry.warning", none).is_ok() {
            let text = "Postfix warned no sender of mail that waits: retry.warning = \"0s\"";
            reader.note(Verdict::Mapped, "delay_warning_time", text);
        }
    }
    let lifetime = reader.is_set("maximal_queue_lifetime");
    if lifetime && !reader.is_set("bounce_queue_lifetime") {
        let days = Value::Plain("\"5d\"".to_owned());
        if reader.put("retry.bounce_lifetime", days).is_ok() {
            let text = "5d with Postfix, whatever the other lifetime is: retry.bounce_lifetime";
            reader.note(Verdict::Mapped, "bounce_queue_lifetime", text);
        }
    }
}

/// A time that a setting of ours says; `unit` is that of a bare number, `ours` what holds here
/// without it, in seconds, if that does not follow from other settings.
fn time(reader: &mut Reader<'_>, name: &str, key: &str, unit: u64, ours: Option<u64>) {
    if !reader.is_set(name) {
        return;
    }
    match tables::seconds(&reader.value(name), unit) {
        Some(seconds) if Some(seconds) == ours => {
            reader.note(Verdict::Default, name, format!("{key} of ours is the same"));
        }
        Some(seconds) => {
            reader.map_text(name, key, &format!("{seconds}s"));
        }
        None => reader.note(
            Verdict::NotSupported,
            name,
            format!("is no time; set {key}"),
        ),
    }
}

fn size(reader: &mut Reader<'_>) {
    let name = "message_size_limit";
    let written = reader.value(name);
    match written.as_str() {
        "" => {
            let default = Value::Plain("10240000".to_owned());
            if reader.put("message_size", default).is_ok() {
                reader.note(
                    Verdict::Mapped,
                    name,
                    "message_size = 10240000, Postfix's default",
                );
            }
        }
        "0" => {
            let text =
                "0 is no limit; there always is one here: message_size is 50 MiB unless it is set";
            reader.note(Verdict::NotSupported, name, text);
        }
        _ => {
            reader.map(name, "message_size", written.clone());
        }
    }
}

/// Where one of them listens, and our entry for it.
fn milter(reader: &mut Reader<'_>, written: &str, action: &str) -> (String, String) {
    let inner = bare(written).trim_start();
    let first = members(inner).first().copied().unwrap_or_default();
    let address = match first.split_once(':') {
        Some(("unix" | "local", path)) => {
            format!("unix:{}", reader.socket(path, |it| it.command == "smtpd"))
        }
        _ => first.to_owned(),
    };
    let (mut on_failure, mut timeout) = (action.to_owned(), None);
    let rest = inner.strip_prefix(first).unwrap_or_default();
    let rest = rest.replace(" =", "=").replace("= ", "=");
    for option in members(&rest) {
        match option.split_once('=') {
            Some(("default_action", value)) => value.clone_into(&mut on_failure),
            Some(("command_timeout" | "content_timeout", value)) => {
                timeout = timeout.max(tables::seconds(value, 1));
            }
            _ => {
                let text = format!("{address}: `{option}` is not known here");
                reader.note(Verdict::NotSupported, MILTERS, text);
            }
        }
    }
    let on_failure = match on_failure.as_str() {
        "" | "tempfail" | "shutdown" => String::new(),
        other => format!(", on_failure = {}", quote(other)),
    };
    let timeout = timeout.map_or_else(String::new, |it| format!(", timeout = \"{it}s\""));
    let entry = format!("{{ address = {}{on_failure}{timeout} }}", quote(&address));
    (address, entry)
}

const MILTERS: &str = "smtpd_milters";

/// Rows B5, B10.
fn milters(reader: &mut Reader<'_>) {
    let name = MILTERS;
    let action = reader.value("milter_default_action");
    let mut entries = Vec::new();
    for written in reader.list(name) {
        entries.push(milter(reader, &written, &action));
    }
    let mut taken = Vec::new();
    for (address, entry) in entries {
        let value = |taken: &[String]| Value::Plain(format!("[{}]", taken.join(", ")));
        taken.push(entry);
        if let Err(why) = reader.put("milters", value(&taken)) {
            taken.pop();
            reader.note(Verdict::NotSupported, name, format!("{address}: {why}"));
        }
    }
    if taken.is_empty() {
        if !reader.is_told(name) {
            reader.note_if_set(Verdict::Default, name, "there is none");
        }
        reader.note_if_set(
            Verdict::Ignored,
            "milter_default_action",
            "there is no filter",
        );
    } else {
        if !reader.is_told(name) {
            reader.note_if_set(Verdict::Mapped, name, "milters");
        }
        reader.note_if_set(
            Verdict::Mapped,
            "milter_default_action",
            "on_failure of milters",
        );
    }
    let local = "non_smtpd_milters";
    if reader.value(local).is_empty() || reader.value(local) == reader.value(name) {
        reader.note_if_set(
            Verdict::Default,
            local,
            "all mail comes by SMTP here, and milters see it",
        );
    } else {
        reader.note_if_set(
            Verdict::NotSupported,
            local,
            "milters see what comes by SMTP, and all mail does: put them into milters",
        );
    }
}

/// Row A7.
fn verify(reader: &mut Reader<'_>) {
    let (positive, negative) = (
        "address_verify_positive_expire_time",
        "address_verify_negative_refresh_time",
    );
    time(reader, positive, "verify.positive", 86_400, Some(2_678_400));
    time(reader, negative, "verify.negative", 3600, Some(10_800));
    let name = "address_verify_sender";
    if reader.is_set(name) {
        let sender = reader.value(name);
        let usual = reader.value("double_bounce_sender");
        if sender.is_empty() || sender == "<>" {
            reader.note(Verdict::Default, name, "verify.from = \"<>\" is ours");
        } else if sender == usual || !sender.contains('@') {
            reader.note(
                Verdict::NotSupported,
                name,
                "write the whole address: verify.from; \"<>\" asks until then",
            );
        } else {
            reader.map_text(name, "verify.from", &sender);
        }
    }
    let name = "unverified_recipient_reject_code";
    if reader.is_set(name) {
        let same = reader.value(name) == "550";
        let verdict = if same {
            Verdict::Default
        } else {
            Verdict::Ignored
        };
        reader.note(
            verdict,
            name,
            "550: who is known not to exist is refused for good",
        );
    }
}

fn postscreen(reader: &mut Reader<'_>) {
    let runs = reader
        .services
        .iter()
        .any(|it| it.command == "postscreen" && it.kind == "inet");
    let all: Vec<String> = reader.main.names().map(str::to_owned).collect();
    if !runs {
        for name in all.iter().filter(|name| name.starts_with("postscreen_")) {
            reader.note(Verdict::Ignored, name, "master.cf runs no postscreen");
        }
        return;
    }
    let (wait, action) = ("postscreen_greet_wait", "postscreen_greet_action");
    let seconds = tables::seconds(&reader.value(wait), 1).unwrap_or(6);
    match reader.value(action).as_str() {
        "" | "ignore" => {
            reader.note_if_set(
                Verdict::Ignored,
                wait,
                "postscreen_greet_action ignores who talks too early; here it always hears 521",
            );
            reader.note_if_set(Verdict::Ignored, action, "who talks before the greeting always hears 521 here (greet_wait = \"0s\": no wait)");
        }
        _ => {
            let value = Value::Plain(format!("\"{seconds}s\""));
            match reader.put("greet_wait", value) {
                Ok(()) => {
                    let text = format!("greet_wait = \"{seconds}s\"");
                    reader.note_if_set(Verdict::Mapped, wait, &text);
                    reader.note(Verdict::Mapped, action, &text);
                }
                Err(why) => {
                    for name in [wait, action] {
                        reader.note_if_set(Verdict::NotSupported, name, &why);
                    }
                }
            }
        }
    }
    let sites = "postscreen_dnsbl_sites";
    let lists = reader.list(sites);
    if !lists.is_empty() {
        reader.map_list(sites, "dnsbl.lists", lists);
        let threshold = "postscreen_dnsbl_threshold";
        let value = reader.value(threshold);
        if !value.is_empty() {
            reader.map(threshold, "dnsbl.threshold", value);
        }
        let action = "postscreen_dnsbl_action";
        match reader.value(action).as_str() {
            "enforce" | "drop" => reader.note(Verdict::Mapped, action, "restrictions: reject_dnsbl_score"),
            _ => reader.note(Verdict::Ignored, action, "ignore: lists were asked and nobody was refused; reject_dnsbl_score in restrictions would refuse"),
        }
    }
    let access = "postscreen_access_list";
    if matches!(reader.value(access).as_str(), "" | "permit_mynetworks") {
        reader.note_if_set(Verdict::Default, access, "clients in networks never wait");
    } else {
        let text = "write who is refused and let in into a table, \"check_client_access cidr:clients\" in restrictions; nobody but networks is spared the wait";
        reader.note_if_set(Verdict::NotSupported, access, text);
    }
    for name in all.iter().filter(|name| name.starts_with("postscreen_")) {
        if reader.is_told(name) {
            continue;
        }
        let off = matches!(reader.value(name).as_str(), "" | "no" | "ignore" | "0");
        let verdict = if off {
            Verdict::Default
        } else {
            Verdict::NotSupported
        };
        reader.note(verdict, name, "of postscreen only the wait before the greeting and the score of block lists exist here");
    }
}

/// Whether the score of block lists refuses.
pub(super) fn has_score(reader: &Reader<'_>) -> bool {
    reader.has("dnsbl.lists")
        && matches!(
            reader.value("postscreen_dnsbl_action").as_str(),
            "enforce" | "drop"
        )
}

fn front_ends(reader: &mut Reader<'_>) {
    let name = "smtpd_authorized_xclient_hosts";
    if reader.is_set(name) {
        let (hosts, lost) = networks_of(reader, name);
        for (host, why) in lost {
            reader.note(Verdict::NotSupported, name, format!("`{host}`: {why}"));
        }
        if !hosts.is_empty() || !reader.is_told(name) {
            let hosts = hosts.iter().map(ToString::to_string).collect();
            reader.map_list(name, "xclient", hosts);
        }
    }
    let name = "smtpd_upstream_proxy_protocol";
    if !reader.value(name).is_empty() {
        let text =
            "name the proxies, whose connections begin with the header: proxy = [\"192.0.2.5\"]";
        reader.note_if_set(Verdict::Decide, name, text);
    }
}
