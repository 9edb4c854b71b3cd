//! The settings that follow from lines, beside the key in the spool.

use std::path::Path;

use relay::{
    enroll::{Digest, Line},
    relayhost::{By, Relayhost},
    trust::Pin,
};
use sendmail::config::{
    enrolled::{Enrolled, FILE},
    file::Tls,
};
use settings::rows::list;
use smtp::client::Security;

use crate::{config::settings::Settings, terminal::complain};

/// What follows from lines of one kind of TLS.
pub(super) fn wanted(lines: &[Line]) -> Enrolled {
    let wrapped = lines.iter().any(|line| line.wrapped);
    let mut wanted = Enrolled {
        tls: Some(if wrapped { Tls::Wrapped } else { Tls::StartTls }),
        name: lines.first().map(|line| line.name.clone()),
        ..Enrolled::default()
    };
    for line in lines {
        let relayhost = Relayhost {
            by: By::Text,
            nexthop: line.nexthop(),
        };
        let digest = line.secret.digest(&line.name);
        put(&mut wanted, relayhost, line.pin.clone(), digest);
    }
    wanted
}

/// A relayhost with its key: in its place, if it has one, for its earlier key is believed no more.
fn put(all: &mut Enrolled, relayhost: Relayhost, pin: Pin, line: Digest) {
    let (relayhosts, pins) = (&mut all.relayhost.0, &mut all.pins.0);
    let lines = &mut all.lines.0;
    lines.resize(relayhosts.len(), line);
    let place = relayhosts.iter().position(|it| *it == relayhost);
    let place = place.and_then(|place| Some((pins.get_mut(place)?, lines.get_mut(place)?)));
    if let Some(known) = place {
        (*known.0, *known.1) = (pin, line);
    } else {
        relayhosts.push(relayhost);
        pins.push(pin);
        lines.push(line);
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

/// Why what follows from lines cannot stand beside what earlier ones have set.
pub(super) fn misfit(wanted: &Enrolled, before: &Enrolled) -> Option<String> {
    let others = before.relayhost.0.iter();
    let others: Vec<_> = others
        .filter(|it| !wanted.relayhost.0.contains(it))
        .cloned()
        .collect();
    (!others.is_empty() && before.tls != wanted.tls).then(|| {
        let others = list(&others);
        format!(
            "TLS begins in another way at {others}, where this machine is enrolled: make a line \
             for a port of the same kind"
        )
    })
}

/// With the relays of earlier lines, in their order.
fn with(wanted: Enrolled, before: Enrolled) -> Result<Enrolled, String> {
    if let Some(why) = misfit(&wanted, &before) {
        return Err(why);
    }
    let mut all = Enrolled {
        tls: wanted.tls,
        name: wanted.name,
        ..before
    };
    let relayhosts = wanted.relayhost.0.into_iter();
    for ((relayhost, pin), line) in relayhosts.zip(wanted.pins.0).zip(wanted.lines.0) {
        put(&mut all, relayhost, pin, line);
    }
    Ok(all)
}

/// Adds them to what is there.
pub(super) fn write(spool: &Path, wanted: Enrolled) -> Result<(), String> {
    let before = Enrolled::read(spool).unwrap_or_else(|damaged| {
        complain("sendmail-shim", damaged);
        None
    });
    let all = with(wanted, before.unwrap_or_default())?;
    let text = format!(
        "# Written by sendmail-shim enroll. The configuration overrides this file.\n{}",
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
        let pins = |now: &Settings| {
            let pins = now.pins.iter().map(ToString::to_string);
            pins.map(|pin| pin[7..9].to_owned()).collect::<Vec<_>>()
        };
        let now = written(spool, &[line("mx1", "wrapped", 3)]);
        assert_eq!(
            (pins(&now), now.relayhost[0].to_string()),
            (vec!["03".to_owned(), "02".to_owned()], "mx1:465".to_owned()),
            "the old key of mx1 is believed no more, and it keeps its place"
        );
        let now = written(spool, &[line("2001:db8::2", "wrapped", 3)]);
        assert_eq!(pins(&now), ["03"], "both have one key");
        let now = written(spool, &[line("mx1", "wrapped", 4), second]);
        assert_eq!(pins(&now), ["04", "02"]);
        let third = wanted(&[line("mx3", "starttls", 4)]);
        let why = write(spool, third).unwrap_err();
        assert!(why.contains("TLS begins in another way"), "{why}");
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
            assert!(error.contains("enrolled.toml:7"), "{error}");
            assert!(error.contains("smarthost enroll NAME"), "{error}");
        }
    }

    #[test]
    fn a_damaged_file_is_written_anew_with_the_lines_that_there_are() {
        let directory = tempfile::tempdir().unwrap();
        let spool = directory.path();
        let both = [line("mx1", "wrapped", 1), line("mx2", "wrapped", 2)];
        written(spool, &both);
        let file = spool.join(FILE);
        let text = fs::read_to_string(&file).unwrap();
        let pin = text.split('"').find(|word| word.starts_with("sha256:"));
        let pin = format!("\"{}\"", pin.unwrap());
        let only_one = text.replacen(&pin, "", 1).replace("[, ", "[");
        for damaged in [text[..text.len() / 2].to_owned(), only_one] {
            system::fs::replace(&file, damaged.as_bytes(), 0o600).unwrap();
            let error = Enrolled::read(spool).unwrap_err().text;
            assert!(error.contains("sendmail-shim enroll"), "{error}: {damaged}");
            let now = written(spool, &both[..1]);
            assert_eq!((now.relayhost.len(), now.pins.len()), (1, 1));
        }
    }
}
