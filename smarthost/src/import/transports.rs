//! Where mail goes: the relayhost, transports with a pace of their own, programs, and the routes to
//! them. Rows B12 to B14, C1, D1.

use postfix::{Service, members, tables};
use settings::rows::quote;

use super::{
    classes,
    files::Use,
    reader::Reader,
    recipients::tables_of,
    report::{Value, Verdict},
    services::{at, is_other_transport},
};
use crate::lookup::LookupTable;

pub(super) fn read(reader: &mut Reader<'_>) {
    relayhost(reader);
    let used = used(reader);
    for service in reader.services.clone() {
        if is_other_transport(&service) {
            transport(reader, &service, used.contains(&service.name));
        }
    }
    pace(reader, &used);
    usual_pace(reader);
    if reader.is_set("transport_maps") {
        let tables = tables_of(reader, "transport_maps", "transport", Use::Transport);
        faults(reader, &tables);
    }
    classes::read(reader);
}

fn relayhost(reader: &mut Reader<'_>) {
    for host in reader.list("relayhost") {
        if reader.has("relayhost") {
            let text = format!(
                "`{host}`: the first one alone is taken over. Several are tried in turn here too, and share relay_auth and relay_tls: relayhost = [\"…\", \"{host}\"]"
            );
            reader.note(Verdict::Decide, "relayhost", text);
        } else {
            reader.map_text("relayhost", "relayhost", &host);
        }
    }
    if reader.value("relayhost").is_empty() {
        reader.note_if_set(Verdict::Default, "relayhost", "empty: by MX");
    }
    if !reader.value("smtp_fallback_relay").is_empty() {
        let text = "mail that no host of its own takes waits for these here; of relayhosts there can be several, each for all mail: relayhost = [\"first\", \"second\"]";
        reader.note_if_set(Verdict::NotSupported, "smtp_fallback_relay", text);
    }
}

/// Names of transports that something leads to.
fn used(reader: &mut Reader<'_>) -> Vec<String> {
    let mut used: Vec<String> = Vec::new();
    let mut name_of = |value: &str| {
        let name = value.split(':').next().unwrap_or_default().trim();
        if !name.is_empty() && !used.iter().any(|known| known == name) {
            used.push(name.to_owned());
        }
    };
    for parameter in [
        "default_transport",
        "relay_transport",
        "local_transport",
        "virtual_transport",
        "mailbox_transport",
        "fallback_transport",
    ] {
        name_of(&reader.value(parameter));
    }
    for map in members(&reader.value("transport_maps")) {
        for (_, value) in reader.entries(map).unwrap_or_default() {
            name_of(&value);
        }
    }
    used
}

/// A service that is a transport of its own.
fn transport(reader: &mut Reader<'_>, service: &Service, used: bool) {
    let place = at(reader, service);
    let title = service.title();
    if !used {
        let text = "nothing leads mail to it: transport_maps and the other parameters name other transports";
        return reader.say(Verdict::Ignored, place, &title, text);
    }
    if service.command == "pipe" {
        return program(reader, service, &place);
    }
    let mut settings = vec![("type", quote(&service.command))];
    if let Some(processes) = service.processes {
        settings.push(("processes", processes.to_string()));
    }
    put_all(reader, service, &place, settings);
}

fn put_all(
    reader: &mut Reader<'_>,
    service: &Service,
    place: &str,
    settings: Vec<(&str, String)>,
) -> bool {
    for (key, value) in settings {
        let key = format!("transports.{}.{key}", service.name);
        if let Err(why) = reader.put(&key, Value::Plain(value)) {
            let prefix = format!("transports.{}.", service.name);
            reader
                .import
                .settings
                .retain(|(key, _)| !key.starts_with(&prefix));
            let text = format!("{why}; write [transports.{}] by hand", service.name);
            reader.say(Verdict::NotSupported, place, &service.title(), text);
            return false;
        }
    }
    let text = format!("[transports.{}]", service.name);
    reader.say(Verdict::Mapped, place, &service.title(), text);
    true
}

/// Rows B12, D9: pipe(8).
fn program(reader: &mut Reader<'_>, service: &Service, place: &str) {
    let words: Vec<_> = service.argv().iter().map(quote).collect();
    let recipients = format!("{}_destination_recipient_limit", service.name);
    let recipients: Option<u32> = reader.value(&recipients).parse().ok();
    let mut settings = vec![("command", format!("[{}]", words.join(", ")))];
    // Without flags pipe(8) changes nothing.
    settings.push((
        "flags",
        quote(service.attribute("flags").unwrap_or_default()),
    ));
    if let Some(directory) = service.attribute("directory") {
        settings.push(("directory", quote(directory)));
    }
    if let Some(size) = service.attribute("size").filter(|size| *size != "0") {
        settings.push(("size", size.to_owned()));
    }
    let limit = format!("{}_time_limit", service.name);
    if let Some(seconds) = tables::seconds(&reader.value(&limit), 1) {
        settings.push(("timeout", quote(format!("{seconds}s"))));
    }
    if let Some(processes) = service.processes {
        settings.push(("processes", processes.to_string()));
    }
    if recipients.is_none_or(|limit| limit == 1) {
        settings.push(("recipients", "1".to_owned()));
    }
    let timeout = settings.iter().any(|(key, _)| *key == "timeout");
    let runs = !service.argv().is_empty();
    if !runs {
        let text = "it names no program: argv is missing";
        reader.say(Verdict::NotSupported, place, &service.title(), text);
    }
    if !runs || !put_all(reader, service, place, settings) {
        let text = "this transport could not be taken over";
        return reader.note_if_set(Verdict::Ignored, &limit, text);
    }
    if timeout {
        let text = format!("transports.{}.timeout", service.name);
        reader.note_if_set(Verdict::Mapped, &limit, text);
    }
    let tell = |reader: &mut Reader<'_>, verdict, text: String| {
        reader.say(verdict, place, &service.title(), text);
    };
    if let Some(user) = service.attribute("user") {
        let name = &service.name;
        let text = format!(
            "it ran as {user}; here it runs as the user of smarthost. For {user}: transports.{name}.socket = \"/run/smarthost-{name}.sock\" \
             and a unit with User={} (PROGRAMS in smarthost.toml(5); both units are among the examples)",
            user.split(':').next().unwrap_or_default()
        );
        tell(reader, Verdict::Decide, text);
    }
    for other in ["null_sender", "eol", "chroot", "vrfy"] {
        if let Some(value) = service.attribute(other) {
            let text =
                format!("{other}={value} is not known here: see that the program does without");
            tell(reader, Verdict::NotSupported, text);
        }
    }
}

/// What the endings of a parameter's name mean for a transport.
const PACE: [(&str, &str); 4] = [
    ("_destination_concurrency_limit", "connections"),
    ("_initial_destination_concurrency", "initial_connections"),
    ("_destination_recipient_limit", "recipients"),
    ("_destination_rate_delay", "delay"),
];

/// Whose pace is that of no transport of its own.
const USUAL: [&str; 6] = ["default", "smtp", "relay", "lmtp", "local", "virtual"];

/// Row B14.
fn pace(reader: &mut Reader<'_>, used: &[String]) {
    let written: Vec<String> = reader.main.names().map(str::to_owned).collect();
    for name in written {
        let Some((transport, key)) = PACE
            .iter()
            .find_map(|(ending, key)| Some((name.strip_suffix(ending)?, *key)))
        else {
            continue;
        };
        let prefix = format!("transports.{transport}.");
        let is_ours = reader
            .import
            .settings
            .iter()
            .any(|(known, _)| known.starts_with(&prefix));
        if USUAL.contains(&transport) || transport.is_empty() {
            continue;
        }
        if !is_ours {
            let text = if used.iter().any(|known| known == transport) {
                "this transport could not be taken over"
            } else {
                "no mail goes by a transport of this name"
            };
            reader.note(Verdict::Ignored, &name, text);
            continue;
        }
        let value = reader.value(&name);
        let setting = format!("{prefix}{key}");
        if key == "delay" {
            match tables::seconds(&value, 1) {
                Some(0) => reader.note(Verdict::Default, &name, "no pause"),
                Some(seconds) => {
                    reader.map_text(&name, &setting, &format!("{seconds}s"));
                }
                None => reader.note(Verdict::NotSupported, &name, "is no time"),
            }
        } else if value == "0" {
            reader.note(
                Verdict::NotSupported,
                &name,
                "0 is no limit; there always is one here",
            );
        } else {
            match value.parse::<u32>() {
                Ok(number) => {
                    reader.map(&name, &setting, number.to_string());
                }
                Err(_) => reader.note(Verdict::NotSupported, &name, "is no number"),
            }
        }
    }
}

/// Of mail that has no transport of its own.
fn usual_pace(reader: &mut Reader<'_>) {
    let own = "smtp_destination_concurrency_limit";
    let name = if reader.is_set(own) {
        own
    } else {
        "default_destination_concurrency_limit"
    };
    if reader.is_set(name) {
        match reader.value(name).parse::<u32>() {
            Ok(number @ 1..) => {
                reader.map(name, "concurrency.destination", number.to_string());
            }
            _ => reader.note(
                Verdict::NotSupported,
                name,
                "0 is no limit; there always is one here: concurrency.destination",
            ),
        }
        reader.note_if_set(
            Verdict::Ignored,
            if name == own {
                "default_destination_concurrency_limit"
            } else {
                own
            },
            "smtp_destination_concurrency_limit counts",
        );
    }
    let name = "default_process_limit";
    if reader.is_set(name) {
        let text = "processes of Postfix; here concurrency.deliveries and concurrency.sessions bound the work";
        reader.note(Verdict::Ignored, name, text);
    }
    for transport in USUAL {
        for (ending, key) in PACE {
            let name = format!("{transport}{ending}");
            let value = reader.value(&name);
            if !reader.is_set(&name) || reader.is_told(&name) {
                continue;
            }
            let harmless = matches!(
                (key, value.as_str()),
                ("recipients", "50" | "100") | ("delay", "0" | "0s") | ("initial_connections", "5")
            );
            if harmless {
                reader.note(
                    Verdict::Default,
                    &name,
                    "as here, where at most 100 recipients go at once",
                );
            } else if matches!(transport, "local" | "virtual" | "lmtp") {
                reader.note(
                    Verdict::Ignored,
                    &name,
                    "mail that ends here is delivered as its server takes it",
                );
            } else {
                let text = format!(
                    "this pace is that of a transport of its own here: [transports.slow] {key} = …, and routes = {{ \"*\" = \"slow\" }}"
                );
                reader.note(Verdict::NotSupported, &name, text);
            }
        }
    }
}

/// Lines of the tables of routes that lead nowhere here.
fn faults(reader: &mut Reader<'_>, tables: &[LookupTable]) {
    let Ok(config) = reader.parsed() else { return };
    for table in tables {
        let problems = config.route_faults(table);
        reader.problems("transport_maps", problems);
    }
}
