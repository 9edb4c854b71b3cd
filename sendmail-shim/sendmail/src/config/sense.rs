//! Settings that are right by themselves and make no sense together. Pure.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mail::address::Domain;
use relay::{
    delivery::is_listener as is_own,
    relayhost::{By, Relayhost},
};
use settings::faults::Wrong;
use smtp::client::Security;
use system::socket::overlap;

use super::settings::Settings;

impl Settings {
    /// What of them contradicts another, if anything does.
    pub(super) fn contradiction(&self) -> Option<Wrong> {
        pins_without_tls(self)
            .or_else(|| listens_twice(self))
            .or_else(|| one_socket(self))
            .or_else(|| sends_to_itself(self))
    }
}

fn pins_without_tls(settings: &Settings) -> Option<Wrong> {
    let in_vain = settings.security == Security::None && !settings.pins.is_empty();
    in_vain.then(|| {
        let what = "a pin has no effect without TLS; write \"starttls\" or \"wrapped\"";
        Wrong::of(&["tls"], what).value().with(&["pins"])
    })
}

fn listens_twice(settings: &Settings) -> Option<Wrong> {
    let all = &settings.listen;
    let twice = |(index, address): (usize, &_)| {
        let mut before = all.iter().take(index);
        before
            .any(|other| overlap(*other, *address))
            .then_some(index)
    };
    let index = all.iter().enumerate().find_map(twice)?;
    let address = all.get(index)?;
    let what = format!("{address} is listed twice; keep one of them");
    Some(Wrong::of(&["listen"], what).item(index))
}

/// What a name leads to is found at each delivery.
fn sends_to_itself(settings: &Settings) -> Option<Wrong> {
    let leads_here = |relayhost: &Relayhost| {
        let nexthop = &relayhost.nexthop;
        let port = nexthop.port.unwrap_or(settings.default_port());
        if let Ok(address) = nexthop.host.parse::<IpAddr>() {
            return is_own(&settings.listen, SocketAddr::new(address, port));
        }
        // What another name leads to is not known here.
        let here = Domain::name(&nexthop.host).is_ok_and(|it| it.is_loopback());
        here && is_own(&settings.listen, (Ipv4Addr::LOCALHOST, port).into())
    };
    let mut by_text = settings.relayhost.iter().enumerate();
    let (index, relayhost) = by_text.find(|(_, it)| it.by == By::Text && leads_here(it))?;
    let what = format!(
        "{relayhost} is this agent itself, which listens there: mail would go in circles; name another host"
    );
    let wrong = Wrong::of(&["relayhost"], what).item(index);
    Some(wrong.with(&["listen", "tls"]))
}

fn one_socket(settings: &Settings) -> Option<Wrong> {
    (settings.control == settings.socket).then(|| {
        let what = "mail and administrators' commands need different sockets; name another path";
        Wrong::of(&["control"], what).value().with(&["socket"])
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_contradicts_another_setting_is_refused_with_its_line() {
        let pin = format!("sha256:{}", "ab".repeat(32));
        for (text, told) in [
            (
                "listen = \"127.0.0.1:2525\"\nrelayhost = [\"a.example\", \"[127.0.0.1]:2525\"]"
                    .to_owned(),
                "is this agent itself",
            ),
            (
                "listen = \"127.0.0.1:25\"\nrelayhost = \"localhost\"".to_owned(),
                "mail would go in circles",
            ),
            (format!("tls = \"none\"\npins = \"{pin}\""), "/c:1:7: "),
            (
                "\nlisten = [\"127.0.0.1:25\", \"[::1]:25\", \"[::ffff:127.0.0.1]:25\"]".to_owned(),
                "is listed twice",
            ),
            (
                "relayhost = \"a.example\"\nkey = \"k\"".to_owned(),
                "/c:2:7: ",
            ),
            (
                "socket = \"/run/x\"\ncontrol = \"/run/x\"".to_owned(),
                "/c:2:11: ",
            ),
        ] {
            let error = Settings::parse(Some(Path::new("/c")), &text).unwrap_err();
            assert!(error.text.contains(told), "{text}: {}", error.text);
        }
        for text in [
            "listen = [\"127.0.0.1:25\", \"[::1]:25\", \"127.0.0.1:587\"]".to_owned(),
            format!("pins = \"{pin}\""),
            "tls = \"none\"".to_owned(),
        ] {
            assert!(
                Settings::parse(Some(Path::new("/c")), &text).is_ok(),
                "{text}"
            );
        }
    }
}
