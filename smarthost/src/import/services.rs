//! `master.cf`: where clients connect, and what each service sets for itself.

use std::net::SocketAddr;

use postfix::Service;

use super::{
    reader::Reader,
    report::{Value, Verdict},
    words,
};

/// The addresses of all listeners.
pub(super) fn listen(reader: &mut Reader<'_>) {
    let services: Vec<_> = reader
        .services
        .iter()
        .filter(|it| it.is_listener())
        .cloned()
        .collect();
    if services.is_empty() {
        return nobody(reader);
    }
    let none = reader.value("smtpd_tls_security_level") == "none";
    let mut entries: Vec<String> = Vec::new();
    for service in &services {
        let place = at(reader, service);
        let wrapped = is_wrapped(reader, service);
        let entry = |address: &SocketAddr| match (wrapped, none) {
            (true, _) => format!("{{ address = \"{address}\", tls = \"wrapped\" }}"),
            (false, true) => format!("{{ address = \"{address}\", tls = \"none\" }}"),
            (false, false) => format!("\"{address}\""),
        };
        let read = service.addresses(&reader.main).and_then(|found| {
            let more = found.iter().map(entry);
            let all: Vec<_> = entries.iter().cloned().chain(more).collect();
            reader.put("listen", Value::Plain(format!("[{}]", all.join(", "))))?;
            entries = all;
            let shown: Vec<_> = found.iter().map(ToString::to_string).collect();
            Ok(shown.join(", "))
        });
        match read {
            Ok(shown) => {
                let tls = if wrapped {
                    ", TLS from the first byte"
                } else {
                    ""
                };
                let text = format!("listen: {shown}{tls}");
                reader.say(Verdict::Mapped, place, &service.title(), text);
            }
            Err(why) => reader.say(Verdict::NotSupported, place, &service.title(), why),
        }
    }
    interfaces(reader);
}

/// As Postfix took no mail of others, no port is opened to them.
fn nobody(reader: &mut Reader<'_>) {
    let text = "no client of SMTP could connect to Postfix: listen is this machine alone; name other addresses there if others are to send";
    let here = Value::Plain("[\"127.0.0.1:25\"]".to_owned());
    let (verdict, text) = match reader.put("listen", here) {
        Ok(()) => (Verdict::Decide, text.to_owned()),
        Err(why) => (Verdict::NotSupported, why),
    };
    let place = format!("{}/master.cf", reader.directory);
    reader.say(verdict, place, "smtp/inet", text);
    for name in ["inet_interfaces", "inet_protocols"] {
        let text = "no service of master.cf goes by it";
        reader.note_if_set(Verdict::Ignored, name, text);
    }
}

fn interfaces(reader: &mut Reader<'_>) {
    for name in ["inet_interfaces", "inet_protocols"] {
        reader.note_if_set(Verdict::Mapped, name, "the addresses in listen");
    }
    if reader.is_set("inet_protocols") && !reader.value("inet_protocols").contains("all") {
        let text = "mail goes out over both families that the machine has, whatever listen says";
        reader.note(Verdict::NotSupported, "inet_protocols", text);
    }
}

fn is_wrapped(reader: &Reader<'_>, service: &Service) -> bool {
    reader
        .main
        .with(service.options())
        .is_yes("smtpd_tls_wrappermode")
}

/// Where it is written.
pub(super) fn at(reader: &Reader<'_>, service: &Service) -> String {
    format!("{}/master.cf:{}", reader.directory, service.line)
}

/// What became of all others, and of what each sets for itself.
pub(super) fn told(reader: &mut Reader<'_>) {
    for service in reader.services.clone() {
        let place = at(reader, &service);
        if !service.is_listener() && !is_other_transport(&service) {
            let (verdict, text) = role(&service);
            reader.say(verdict, place.clone(), &service.title(), text);
        }
        for it in &service.overrides {
            let key = format!("{} -o {}", service.title(), it.name);
            let value = reader.main.with(service.options()).value(&it.name);
            let (verdict, text) = override_of(reader, &service, &it.name, &value);
            reader.say(verdict, place.clone(), &key, text);
        }
    }
}

/// Whether it is told with the transports.
pub(super) fn is_other_transport(service: &Service) -> bool {
    let usual = matches!(service.name.as_str(), "smtp" | "relay" | "lmtp");
    service.kind == "unix" && !usual && matches!(service.command.as_str(), "smtp" | "lmtp" | "pipe")
}

fn role(service: &Service) -> (Verdict, &'static str) {
    match (service.kind.as_str(), service.command.as_str()) {
        (
            _,
            "pickup" | "cleanup" | "qmgr" | "oqmgr" | "tlsmgr" | "trivial-rewrite" | "bounce"
            | "verify" | "flush" | "proxymap" | "showq" | "error" | "discard" | "local" | "virtual"
            | "anvil" | "scache" | "postlogd" | "dnsblog" | "tlsproxy" | "smtp" | "lmtp",
        )
        | ("pass", "smtpd") => (
            Verdict::Ignored,
            "a part of Postfix; one daemon does all of it here, in the sandbox of its unit",
        ),
        (_, "qmqpd") => (
            Verdict::NotSupported,
            "QMQP is not spoken here: let its clients speak SMTP",
        ),
        (_, "spawn") => (
            Verdict::NotSupported,
            "Postfix started this program for whoever connects: run it as a service of its own, on a socket that the setting names which asks it",
        ),
        _ => (
            Verdict::NotSupported,
            "a program of Postfix's that nothing here starts: run it as a service of its own if it is needed",
        ),
    }
}

fn override_of(
    reader: &Reader<'_>,
    service: &Service,
    name: &str,
    value: &str,
) -> (Verdict, String) {
    let say = |verdict, text: &str| (verdict, text.to_owned());
    if reader.main.raw(name).is_some() && reader.value(name) == value {
        return say(Verdict::Default, "the same as in main.cf");
    }
    let listener = service.is_listener();
    match name {
        "syslog_name" => say(
            Verdict::Ignored,
            "log lines name the client and its login instead",
        ),
        "smtpd_tls_wrappermode" | "inet_interfaces" | "inet_protocols" if listener => {
            say(Verdict::Mapped, "listen")
        }
        "smtpd_sasl_auth_enable" if listener => {
            if value != "yes" {
                return say(
                    Verdict::NotSupported,
                    "with auth, logins are taken on all ports but 25: submission = false in listen",
                );
            }
            let all = service.addresses(&reader.main);
            if all.is_ok_and(|all| all.iter().all(|it| it.port() == 25)) {
                return say(
                    Verdict::NotSupported,
                    "logins are not taken on port 25: let clients use 587 or 465",
                );
            }
            say(
                Verdict::NotSupported,
                "logins are taken there once auth names a file: smarthost passwd NAME writes it",
            )
        }
        "smtpd_tls_security_level" | "smtpd_enforce_tls" if listener => say(
            Verdict::NotSupported,
            "nobody can log in without TLS, but others may send there in clear text: \"reject_plaintext_session\" in restrictions forbids it on all ports",
        ),
        "smtpd_tls_auth_only" => say(Verdict::Default, "logins are taken under TLS only"),
        _ if name.starts_with("smtpd_") && name.ends_with("_restrictions") => say(
            Verdict::NotSupported,
            "restrictions are the same on all ports. Who may relay is decided before them: logins, keys and networks; who has logged in is asked nothing else where it said so; others can bring mail for your own domains there as on 25, unless a firewall closes the port to them",
        ),
        "content_filter" | "smtpd_proxy_filter" if value.is_empty() => say(
            Verdict::Default,
            "is off, as everywhere here: filters are milters",
        ),
        "smtpd_milters" => say(
            Verdict::NotSupported,
            "milters see the mail of all ports: they know the login ({auth_authen}) and the port ({daemon_port})",
        ),
        "milter_macro_daemon_name" => say(
            Verdict::NotSupported,
            "milters hear the host name as {daemon_name}: let them go by {auth_authen}, the client's address or {daemon_port}",
        ),
        "mynetworks"
        | "local_recipient_maps"
        | "relay_recipient_maps"
        | "smtpd_restriction_classes"
        | "smtpd_client_connection_count_limit"
        | "smtpd_delay_reject"
        | "non_smtpd_milters" => say(
            Verdict::NotSupported,
            "all ports share it; a service that takes mail back from a filter is not needed, since filters are milters here",
        ),
        "smtp_tls_security_level" => say(
            Verdict::NotSupported,
            "write a line of tls_policy for each domain that goes by this transport",
        ),
        _ => {
            let (verdict, text) = words::of(name, value);
            (verdict, format!("{text} (for this service alone)"))
        }
    }
}
