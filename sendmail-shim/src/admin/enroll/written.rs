//! The settings that follow from lines, beside the key in the spool.

use std::path::Path;

use relay::{
    enroll::Line,
    relayhost::{By, Relayhost},
};
use sendmail::config::{
    enrolled::{Enrolled, FILE},
    file::Tls,
};
use settings::rows::list;
use smtp::client::Security;

use crate::config::settings::Settings;

/// What follows from lines of one kind of TLS.
pub(super) fn wanted(lines: &[Line]) -> Enrolled {
    let wrapped = lines.iter().any(|line| line.wrapped);
    let mut wanted = Enrolled {
        tls: Some(if wrapped { Tls::Wrapped } else { Tls::StartTls }),
        ..Enrolled::default()
    };
    for line in lines {
        let relayhost = Relayhost {
            by: By::Text,
            nexthop: line.nexthop(),
        };
        add(&mut wanted.relayhost.0, relayhost);
        add(&mut wanted.pins.0, line.pin.clone());
    }
    wanted
}

fn add<T: PartialEq>(all: &mut Vec<T>, one: T) {
    if !all.contains(&one) {
        all.push(one);
    }
}

/// What settings have otherwise.
pub(super) fn missing(wanted: &Enrolled, key: &Path, now: &Settings) -> Vec<&'static str> {
    let security = match wanted.tls {
        Some(Tls::Wrapped) => Security::Wrapped,
        _ => Security::StartTls,
    };
    let relayhost = &wanted.relayhost.0;
    let certificate = now.identity.as_ref().map(|(certificate, _)| certificate);
    let all = [
        (
            "relayhost",
            relayhost.iter().all(|it| now.relayhost.contains(it)),
        ),
        ("tls", now.security == security),
        ("pins", wanted.pins.0.iter().all(|it| now.pins.contains(it))),
        ("certificate", certificate.is_some_and(|it| it == key)),
    ];
    let missing = all.into_iter().filter(|(_, is_there)| !is_there);
    missing.map(|(key, _)| key).collect()
}

/// With the relays of earlier lines, and all their pins: of which relay a pin is, nothing says.
fn with(mut wanted: Enrolled, before: Enrolled) -> Result<Enrolled, String> {
    let others = before.relayhost.0.into_iter();
    let mut others: Vec<_> = others
        .filter(|it| !wanted.relayhost.0.contains(it))
        .collect();
    if others.is_empty() {
        return Ok(wanted);
    }
    if before.tls != wanted.tls {
        let others = list(&others);
        return Err(format!(
            "TLS begins otherwise at {others}, where this machine is enrolled: make a line for a port of the same kind"
        ));
    }
    others.append(&mut wanted.relayhost.0);
    wanted.relayhost.0 = others;
    for pin in before.pins.0 {
        add(&mut wanted.pins.0, pin);
    }
    Ok(wanted)
}

/// Adds them to what is there.
pub(super) fn write(spool: &Path, wanted: Enrolled) -> Result<(), String> {
    let before = Enrolled::read(spool).map_err(|error| error.text)?;
    let all = with(wanted, before.unwrap_or_default())?;
    let text = format!(
        "# Written by sendmail-shim enroll. What stands in the configuration counts more.\n{}",
        all.text()
    );
    super::key::write(spool, &spool.join(FILE), &text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn line(host: &str, tls: &str, pin: u8) -> Line {
        let (pin, secret) = (
            format!("{pin:02x}").repeat(32),
            "abcdefghijkmnpqrstuvwxyz23",
        );
        Line::parse(&format!(
            "enroll1,vm7,{host},465,{tls},sha256:{pin},{secret}"
        ))
        .unwrap()
    }

    /// What a configuration with this spool says.
    fn now(spool: &Path, more: &str) -> Settings {
        let text = format!("spool = \"{}\"\n{more}", spool.display());
        let layer = (spool.join("config.toml"), text);
        Settings::enrolled(vec![layer]).unwrap()
    }

    fn written(spool: &Path, lines: &[Line]) -> Settings {
        let wanted = wanted(lines);
        write(spool, wanted.clone()).unwrap();
        let now = now(spool, "");
        let key = spool.join("identity.pem");
        assert_eq!(missing(&wanted, &key, &now), Vec::<&str>::new());
        now
    }

    #[test]
    fn a_second_relay_comes_behind_the_first_and_the_same_one_once_more_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let spool = directory.path();
        let (first, second) = (line("mx1", "wrapped", 1), line("2001:db8::2", "wrapped", 2));
        let now = written(spool, std::slice::from_ref(&first));
        assert_eq!(now.security, Security::Wrapped);
        for _ in 0..2 {
            let now = written(spool, std::slice::from_ref(&second));
            let relays: Vec<_> = now.relayhost.iter().map(ToString::to_string).collect();
            assert_eq!(relays, ["mx1:465", "[2001:db8::2]:465"]);
            assert_eq!(now.pins.len(), 2);
        }
        let both = written(spool, &[line("mx1", "wrapped", 3), second]);
        assert_eq!(both.pins.len(), 2, "the old key of mx1 is believed no more");
        let third = wanted(&[line("mx3", "starttls", 4)]);
        let why = write(spool, third).unwrap_err();
        assert!(why.contains("TLS begins otherwise"), "{why}");
    }

    #[test]
    fn what_the_administrator_wrote_counts_more_and_nothing_else_is_taken_from_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let spool = directory.path();
        let lines = [line("mx1", "wrapped", 1)];
        written(spool, &lines);
        let own = now(spool, "relayhost = \"mx1\"\n");
        let key = spool.join("identity.pem");
        assert_eq!(missing(&wanted(&lines), &key, &own), ["relayhost"]);
        let file = spool.join(FILE);
        let text = fs::read_to_string(&file).unwrap();
        for more in [
            "admin = \"a@example.org\"\n",
            "certificate = \"/etc/shadow\"\n",
            "auth = { user = \"x\", token = { command = [\"/bin/sh\"] } }\n",
        ] {
            let text = format!("{text}{more}");
            system::fs::replace(&file, text.as_bytes(), 0o600).unwrap();
            let config = format!("spool = \"{}\"\n", spool.display());
            let layer = (spool.join("config.toml"), config);
            let error = Settings::enrolled(vec![layer]).unwrap_err().text;
            assert!(error.contains("enrolled.toml:5"), "{error}");
        }
    }
}
