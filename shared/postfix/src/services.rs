//! `master.cf`: services, and what each sets for itself.
//!
//! Quirks that count: `-` means the default; `-o name=value` and `-o { name = value }`, whose
//! blanks do not count; a line with `/` in its second field belongs to no service.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mail::{maps::logical_lines, nexthop::port_number};

use crate::{
    list,
    settings::{Fault, Settings},
};

/// A service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// From 1.
    pub line: u32,
    /// `smtp`, `127.0.0.1:10025`, `slow`.
    pub name: String,
    /// `inet`, `unix`, `pass`, …
    pub kind: String,
    /// `None`: the default, which `compatibility_level` decides.
    pub chroot: Option<bool>,
    /// Processes; `None`: as many as for all.
    pub processes: Option<usize>,
    /// `smtpd`, `pipe`, …
    pub command: String,
    pub overrides: Vec<Override>,
    /// What else stands behind the command, as it is written.
    pub arguments: Vec<String>,
}

/// `-o name=value`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Override {
    pub name: String,
    pub value: String,
}

impl Service {
    /// As `postconf -M` names it.
    pub fn title(&self) -> String {
        format!("{}/{}", self.name, self.kind)
    }

    /// Whether clients of SMTP connect to it.
    pub fn is_listener(&self) -> bool {
        self.kind == "inet" && matches!(self.command.as_str(), "smtpd" | "postscreen")
    }

    /// Where it listens, with what `main.cf` says; `[::]` and `0.0.0.0` mean all addresses. The
    /// error says what is to be written in the place of a name.
    pub fn addresses(&self, main: &Settings) -> Result<Vec<SocketAddr>, String> {
        let (host, port) = match self.name.rsplit_once(':') {
            Some((host, port)) => (Some(host.trim_matches(['[', ']'])), port),
            None => (None, self.name.as_str()),
        };
        let port = port_number(port).ok_or_else(|| {
            format!("`{port}` is no port that is known here; add its number to listen")
        })?;
        let main = main.with(self.options());
        let protocols = main.value("inet_protocols");
        let (v4, v6) = match protocols.as_str() {
            "ipv4" => (true, false),
            "ipv6" => (false, true),
            _ => (true, true),
        };
        let interfaces = match host {
            Some(host) => host.to_owned(),
            None => main.value("inet_interfaces"),
        };
        let mut found: Vec<IpAddr> = Vec::new();
        for interface in list::members(&interfaces) {
            let plain = interface.trim_matches(['[', ']']);
            match (plain, plain.parse::<IpAddr>()) {
                ("all" | "0.0.0.0" | "::" | "*", _) if v6 => {
                    found.push(Ipv6Addr::UNSPECIFIED.into());
                }
                ("all" | "0.0.0.0" | "::" | "*", _) => found.push(Ipv4Addr::UNSPECIFIED.into()),
                ("loopback-only" | "localhost", _) => {
                    found.extend(v4.then_some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
                    found.extend(v6.then_some(IpAddr::V6(Ipv6Addr::LOCALHOST)));
                }
                (_, Ok(address)) => found.push(address),
                _ => {
                    return Err(format!(
                        "`{interface}` is a name, and names may mean several addresses: write \"ADDRESS:{port}\" into listen"
                    ));
                }
            }
        }
        found.dedup();
        let at = |address| SocketAddr::new(address, port);
        Ok(found.into_iter().map(at).collect())
    }

    /// All that it sets.
    pub fn options(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.overrides.iter();
        all.map(|it| (it.name.as_str(), it.value.as_str()))
    }

    /// `name=value` among the arguments of a pipe, of one word.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let attributes = self
            .arguments
            .iter()
            .take_while(|it| !it.starts_with("argv="));
        let mut values = attributes.filter_map(|it| list::bare(it).trim().split_once('='));
        let found = values.find(|(key, _)| key.trim() == name);
        found.map(|(_, value)| value.trim())
    }

    /// A program and its arguments, behind `argv=`.
    pub fn argv(&self) -> Vec<String> {
        let mut words = self
            .arguments
            .iter()
            .skip_while(|it| !it.starts_with("argv="));
        let first = words.next().and_then(|it| it.strip_prefix("argv="));
        let first = first.filter(|word| !word.is_empty()).map(str::to_owned);
        let rest = words.map(|word| list::bare(word).trim().to_owned());
        first.into_iter().chain(rest).collect()
    }
}

/// All of them; of two with one name and type the later one counts.
pub fn read(text: &str) -> (Vec<Service>, Vec<Fault>) {
    let (mut services, mut faults) = (Vec::<Service>::new(), Vec::new());
    for line in logical_lines(text) {
        let words = list::words(&line.text);
        let mut fault = |text| {
            let key = words.iter().take(2).copied().collect::<Vec<_>>().join("/");
            let key = key.chars().take(40).collect();
            let line = line.number;
            faults.push(Fault { line, key, text });
        };
        if line.orphan {
            fault("this line continues none");
            continue;
        }
        let Some(service) = service(line.number, &words) else {
            fault("a service has eight fields: Postfix does not start");
            continue;
        };
        let same = |other: &Service| other.name == service.name && other.kind == service.kind;
        if let Some(at) = services.iter().position(same) {
            let before = services.remove(at);
            let (line, key) = (before.line, before.title());
            let text = "a later line defines it again, and that one counts";
            faults.push(Fault { line, key, text });
        }
        services.push(service);
    }
    (services, faults)
}

fn service(line: u32, words: &[&str]) -> Option<Service> {
    let [
        name,
        kind,
        _private,
        _unprivileged,
        chroot,
        _wakeup,
        processes,
        command,
        rest @ ..,
    ] = words
    else {
        return None;
    };
    let yes = |word: &str| match word {
        "y" => Some(true),
        "n" => Some(false),
        _ => None,
    };
    let mut service = Service {
        line,
        name: (*name).to_owned(),
        kind: (*kind).to_owned(),
        chroot: yes(chroot),
        processes: processes.parse().ok().filter(|count| *count > 0),
        command: (*command).to_owned(),
        overrides: Vec::new(),
        arguments: Vec::new(),
    };
    let mut rest = rest.iter().copied();
    while let Some(word) = rest.next() {
        let is_program = service.arguments.iter().any(|it| it.starts_with("argv="));
        let option = match word.strip_prefix("-o") {
            Some("") if !is_program => rest.next(),
            Some(glued) if !is_program => Some(glued),
            _ => None,
        };
        match option.map(|option| list::bare(option).trim().split_once('=')) {
            Some(Some((name, value))) => service.overrides.push(Override {
                name: name.trim().to_owned(),
                value: value.trim().to_owned(),
            }),
            _ => service.arguments.push(option.unwrap_or(word).to_owned()),
        }
    }
    Some(service)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_read_with_what_they_set_and_what_they_run() {
        let text = "# service type\nsubmission inet n - y - - smtpd\n  -o syslog_name=postfix/submission\n# comment\n\
                    \x20 -o { smtpd_client_restrictions = permit_mynetworks, reject }\n  -osmtpd_tls_wrappermode=no -v\n\
                    list unix - n n - 2 pipe flags=DR user=list:list directory=/srv\n  argv=/usr/bin/list -o {a b} ${recipient}\n\
                    short inet n\n";
        let (services, faults) = read(text);
        let [submission, list] = services.as_slice() else {
            panic!("{services:?}");
        };
        assert_eq!(submission.line, 2);
        assert_eq!(submission.chroot, Some(true));
        let options: Vec<_> = submission.options().collect();
        assert_eq!(
            options,
            [
                ("syslog_name", "postfix/submission"),
                ("smtpd_client_restrictions", "permit_mynetworks, reject"),
                ("smtpd_tls_wrappermode", "no"),
            ]
        );
        assert_eq!(submission.arguments, ["-v"]);
        assert_eq!(list.attribute("user"), Some("list:list"));
        assert_eq!(list.attribute("flags"), Some("DR"));
        assert_eq!(list.argv(), ["/usr/bin/list", "-o", "a b", "${recipient}"]);
        assert_eq!(list.processes, Some(2));
        assert_eq!((faults.len(), faults[0].line), (1, 9));
    }
}
