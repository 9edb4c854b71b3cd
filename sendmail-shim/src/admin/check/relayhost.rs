//! The way to each relayhost and each of its addresses, up to the answer to RCPT. No message is
//! sent.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use ::relay::{
    delivery::{Host, with_remedy},
    net::{Connection, Target, addresses, names::Names},
    relayhost::By,
    tls::ClientTls,
    token,
    trust::{PeerKey, Validity},
};
use control::findings::{Findings, Level};
use mail::{
    address::{LocalPart, Mailbox},
    clock::{self, Timestamp},
    envelope::{Envelope, Mail, Rcpt},
    message::{
        Header,
        rewrite::{self, Caller, RewriteError},
    },
    nexthop::Nexthop,
    outcome::{Failure, Outcome, Stage},
};
use smtp::{
    capability::Capabilities,
    client::{Security, Timeouts, Transaction},
};

use crate::{
    config::{settings::Settings, tables::Tables},
    relay,
};

const CONNECT: Duration = Duration::from_secs(10);
const REPLY: Duration = Duration::from_secs(20);
/// Of those who get root's mail, so many are tried.
const MOST: usize = 20;

/// Tries all relayhosts; what is wrong with one of several that work is a warning.
pub(super) fn check(settings: &Settings, findings: &mut Findings) {
    let tls = match settings.client_tls() {
        Ok(tls) => tls,
        Err(error) => return findings.fail("tls", error.0, "correct the configuration"),
    };
    let names = Names::new(settings.resolver);
    let mut ways = Vec::new();
    let mut places = Vec::new();
    for (nexthop, host) in behind_all(settings, &names, &mut ways) {
        let (nexthop, mut here) = (&nexthop, Findings::default());
        match addresses(&host.name, host.port) {
            Ok(addresses) => {
                here.ok("relayhost", format!("{nexthop} is {}", list(&addresses)));
                ways.push(here);
                for address in addresses {
                    let mut way = Findings::default();
                    let tls = tls
                        .as_ref()
                        .map(|tls| tls.showing(host.certified.as_deref()));
                    places.push(one(settings, nexthop, address, tls.as_ref(), &mut way));
                    ways.push(way);
                }
            }
            Err(failure) => {
                here.fail(
                    "relayhost",
                    failure.log_text(),
                    &remedy(settings, nexthop, &failure),
                );
                ways.push(here);
                places.push(None);
            }
        }
    }
    if places
        .iter()
        .all(|place| place.is_some_and(|index| index > 0))
    {
        stale(&mut ways);
    }
    let works = |way: &Findings| way.0.len() > 1 && way.level() < Level::Critical;
    if ways.iter().any(works) {
        ways.iter_mut().for_each(Findings::soften);
    }
    findings.0.extend(ways.into_iter().flat_map(|way| way.0));
    if settings.relayhost.is_empty() {
        findings.fail(
            "relayhost",
            "none is set: mail is queued and not sent",
            "set relayhost = \"mail.example.org\"",
        );
    }
}

/// The hosts behind all relayhosts, in order, as they are written or found.
fn behind_all(
    settings: &Settings,
    names: &Names,
    ways: &mut Vec<Findings>,
) -> Vec<(Nexthop, Host)> {
    let mut all = Vec::new();
    for relayhost in relay::ordered(settings) {
        let mut here = Findings::default();
        match relay::hosts(settings, names, relayhost) {
            Ok(hosts) if relayhost.by == By::Text => {
                let nexthop = || relayhost.nexthop.clone();
                all.extend(hosts.into_iter().map(|host| (nexthop(), host)));
                continue;
            }
            Ok(hosts) => {
                let found = hosts.iter().map(|host| format!("{}:{}", host.name, host.port));
                let found: Vec<_> = found.collect();
                here.ok("relayhost", format!("{relayhost} is {}", found.join(", ")));
                all.extend(hosts.into_iter().map(|host| {
                    let nexthop = Nexthop {
                        host: host.name.clone(),
                        port: Some(host.port),
                        mx: false,
                    };
                    (nexthop, host)
                }));
            }
            Err(failure) => here.fail(
                "relayhost",
                format!("{relayhost}: {}", failure.log_text()),
                "does the domain have these records, and does the name server answer? dig SRV, dig MX",
            ),
        }
        ways.push(here);
    }
    all
}

/// No relayhost has the first pin any more. Only known where all were seen: each of several may
/// have pins of its own.
fn stale(ways: &mut [Findings]) {
    let all = ways.iter_mut().flat_map(|way| &mut way.0);
    for key in all.filter(|finding| finding.subject == "key") {
        key.level = Level::Warning;
        let remedy = "once no relayhost has the keys before it, remove those from pins, and add the next one";
        key.remedy = Some(remedy.to_owned());
    }
}

fn list(addresses: &[SocketAddr]) -> String {
    let shown = addresses.iter().map(|address| address.ip().to_string());
    shown.collect::<Vec<_>>().join(", ")
}

/// The place of its key among the pins, if it has shown one of them.
fn one(
    settings: &Settings,
    nexthop: &Nexthop,
    address: SocketAddr,
    tls: Option<&ClientTls>,
    findings: &mut Findings,
) -> Option<usize> {
    let target = Target::tcp(&nexthop.host, address, tls);
    let timeouts = Timeouts {
        opening: REPLY,
        reply: REPLY,
        ..Timeouts::default()
    };
    let opened = relay::smtp(settings, timeouts)
        .and_then(|smtp| Connection::open_or_clear(&target, &smtp, CONNECT));
    match opened {
        Ok((mut connection, without)) => {
            findings.ok("tcp", format!("connected to {}", connection.relay()));
            let refused = connection.has_refused_tls(settings.security);
            let why = match without {
                Some(failure) => Some(failure.log_text()),
                None => refused.then(|| "it is refused".to_owned()),
            };
            if let Some(why) = why {
                let what = format!("STARTTLS is offered and does not work: {why}");
                findings.warn("tls", what, "ask the relayhost's administrator");
            }
            let place = session(settings, &connection, findings);
            findings.ok("ehlo", extensions(connection.capabilities()));
            if let Some(auth) = &settings.auth {
                findings.ok("auth", format!("accepted as {}", auth.user));
            }
            recipient(settings, &mut connection, address.ip(), findings);
            connection.quit();
            place
        }
        Err(failure) => {
            let subject = match failure.stage {
                Stage::Lookup | Stage::Connect => "tcp",
                Stage::Greeting => "greeting",
                Stage::Tls => "tls",
                Stage::Auth | Stage::Local => "auth",
                _ => "ehlo",
            };
            if subject != "tcp" && failure.stage != Stage::Local {
                findings.ok("tcp", format!("connected to {address}"));
            }
            let remedy = match with_remedy(failure.clone(), true).remedy {
                Some(remedy) => remedy.to_owned(),
                None => remedy(settings, nexthop, &failure),
            };
            let said = token::complaint().filter(|_| failure.stage == Stage::Local);
            findings.fail(subject, said.unwrap_or_else(|| failure.log_text()), &remedy);
            None
        }
    }
}

/// The place of its key among the pins.
fn session(settings: &Settings, connection: &Connection, findings: &mut Findings) -> Option<usize> {
    let (Some(summary), Some(key)) = (connection.tls_summary(), connection.peer_key()) else {
        findings.warn(
            "tls",
            "none: mail travels in clear text",
            "set tls = \"starttls\" and pins",
        );
        return None;
    };
    findings.ok("tls", summary);
    let position = settings.pins.iter().position(|pin| pin.matches(key));
    let pin = key.pin();
    let text = match position {
        Some(0) => format!("pinned: {pin}"),
        Some(index) => {
            let (number, count) = (index.saturating_add(1), settings.pins.len());
            format!("pinned, as number {number} of {count}: {pin}")
        }
        None => format!("certified by a public certificate authority: {pin}"),
    };
    findings.ok("key", text);
    certificate(key, position.is_some(), clock::now(), findings);
    position
}

fn certificate(key: &PeerKey, pinned: bool, now: Timestamp, findings: &mut Findings) {
    let Some(validity) = key.validity else {
        return;
    };
    let Validity { from, until } = validity;
    let text = format!("from {} until {}", day(from), day(until));
    if now < from {
        findings.warn(
            "clock",
            format!("the certificate is {text}, but here it is {}", day(now)),
            "this machine's clock is slow, or the relayhost's was fast: timedatectl",
        );
    } else if pinned {
        findings.ok(
            "certificate",
            format!("{text} (with pins, only the key matters)"),
        );
    } else if validity.ends_soon(now) {
        findings.warn("certificate", text, "the relayhost must renew it");
    } else {
        findings.ok("certificate", text);
    }
}

fn day(time: Timestamp) -> String {
    time.rfc3339().chars().take(10).collect()
}

fn extensions(offered: &Capabilities) -> String {
    let mut names: Vec<String> = [
        ("PIPELINING", offered.pipelining),
        ("8BITMIME", offered.eight_bit_mime),
        ("SMTPUTF8", offered.smtputf8),
        ("DSN", offered.dsn),
        ("CHUNKING", offered.chunking),
        ("ENHANCEDSTATUSCODES", offered.enhanced_status_codes),
    ]
    .iter()
    .filter(|(_, offered)| *offered)
    .map(|(name, _)| (*name).to_owned())
    .collect();
    match offered.size {
        Some(0) => names.push("SIZE".to_owned()),
        Some(size) => names.push(format!("SIZE {size}")),
        None => {}
    }
    if !offered.auth.is_empty() {
        names.push(format!("AUTH {}", offered.auth.join(" ")));
    }
    if names.is_empty() {
        "no extensions".to_owned()
    } else {
        names.join(", ")
    }
}

/// MAIL and RCPT, then RSET or QUIT.
fn recipient(
    settings: &Settings,
    connection: &mut Connection,
    relay: IpAddr,
    findings: &mut Findings,
) {
    let envelope = match of_root(settings) {
        Ok(envelope) => envelope,
        Err(error) => {
            let remedy = "correct what aliases and revaliases say of root";
            return findings.fail("recipient", error.to_string(), remedy);
        }
    };
    let outcomes = connection.probe(&Transaction::of(&envelope, 1024));
    for (to, outcome) in envelope.recipients.iter().zip(&outcomes) {
        let way = format!("from <{}> to <{}>", envelope.sender, to.address);
        judged(&way, &envelope.sender.to_string(), outcome, relay, findings);
    }
}

/// As root's mail leaves: aliases and `admin` say to whom, revaliases as whose.
fn of_root(settings: &Settings) -> Result<Envelope, RewriteError> {
    let mut tables = Tables::new(settings);
    let (rules, _) = tables.refresh(clock::now());
    let root = LocalPart::new("root").map_err(|error| RewriteError::Sender(error.to_string()))?;
    let caller = Caller {
        user: root.as_str().to_owned(),
        full_name: String::new(),
    };
    let (mail, to) = (Mail::of_caller(None), Rcpt::from(Mailbox::Local(root)));
    let (mut envelope, _) = rewrite::rewrite(&mail, &[to], &mut Header::default(), &caller, rules)?;
    envelope.recipients.truncate(MOST);
    Ok(envelope)
}

/// What the relayhost answered to one recipient.
fn judged(way: &str, sender: &str, outcome: &Outcome, relay: IpAddr, findings: &mut Findings) {
    let text = |words: &str| format!("{way}: {words}");
    let said = |failure: &Failure| {
        let told = text(&failure.log_text());
        (told, with_remedy(failure.clone(), true).remedy)
    };
    match outcome {
        Outcome::Delivered(delivery) => {
            findings.ok("recipient", text(&delivery.reply));
        }
        Outcome::Deferred(failure) => {
            let (told, remedy) = said(failure);
            let waits = "the relayhost says not now: mail waits in the queue until it accepts it";
            findings.warn("recipient", told, remedy.unwrap_or(waits));
        }
        Outcome::Failed(failure) => {
            let (told, remedy) = said(failure);
            let own = own_address(relay);
            let remedy = match remedy {
                Some(remedy) => format!("{remedy} (it sees {own})"),
                None if speaks_of_sender(failure) => format!(
                    "it accepts no mail from <{sender}>, for any recipient: may {own} send as this address? revaliases sets the sender of root's mail"
                ),
                None => format!(
                    "does this address exist? aliases and admin lead root's mail there; may {own} send to it over this relayhost?"
                ),
            };
            findings.fail("recipient", told, &remedy);
        }
    }
}

/// Whether a refusal is of the sender: said before anybody else was named, or naming him.
fn speaks_of_sender(failure: &Failure) -> bool {
    let status = (failure.status.subject(), failure.status.detail());
    let named = || failure.text.to_ascii_lowercase().contains("sender");
    failure.stage == Stage::Mail || matches!(status, (1, 7 | 8)) || named()
}

/// The address with which this machine comes to that of a relayhost: where it has several, one may
/// be known there and another not.
fn own_address(relay: IpAddr) -> String {
    let any: IpAddr = match relay {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Nothing is sent: the kernel only chooses the way.
    let chosen = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((relay, 25))?;
        socket.local_addr()
    });
    match chosen {
        Ok(own) => format!("{}, from which this machine connects to {relay}", own.ip()),
        Err(_) => "this machine's address".to_owned(),
    }
}

fn remedy(settings: &Settings, nexthop: &Nexthop, failure: &Failure) -> String {
    let wrapped = settings.security == Security::Wrapped;
    match failure.stage {
        Stage::Lookup => format!(
            "is the name right, and does the name server know it? getent ahosts {}",
            nexthop.host
        ),
        Stage::Connect => "is the relayhost running, is the port right, does a firewall block it?".to_owned(),
        Stage::Greeting if wrapped => "does it need tls = \"starttls\" on this port?".to_owned(),
        Stage::Greeting => {
            "is it an SMTP server? if it needs TLS from the first byte (port 465): tls = \"wrapped\"".to_owned()
        }
        Stage::Tls => format!("see what it presents: sendmail-shim pin {nexthop}"),
        Stage::Local => "without the password this machine cannot log in".to_owned(),
        Stage::Auth => "are user and password right, and does the relayhost accept logins?".to_owned(),
        _ => "ask the relayhost's administrator what this means".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use mail::status::{EnhancedStatus, ReplyCode};

    use super::*;

    #[test]
    fn a_certificate_is_judged_by_its_dates_only_where_they_count() {
        let key = PeerKey {
            key_sha256: [1; 32],
            key_sha1: [1; 20],
            certificate_sha256: [1; 32],
            validity: Some(Validity {
                from: Timestamp::from_secs(1_000_000_000),
                until: Timestamp::from_secs(1_010_000_000),
            }),
        };
        let at = |pinned, now| {
            let mut findings = Findings::default();
            certificate(&key, pinned, Timestamp::from_secs(now), &mut findings);
            let finding = findings.0.first().unwrap().clone();
            (finding.level, finding.subject)
        };
        assert_eq!(at(false, 1_000_000_001), (Level::Ok, "certificate"));
        assert_eq!(at(false, 1_009_999_999), (Level::Warning, "certificate"));
        assert_eq!(at(true, 1_009_999_999), (Level::Ok, "certificate"));
        assert_eq!(at(true, 999_999_999), (Level::Warning, "clock"));
    }

    #[test]
    fn a_refusal_to_mail_has_a_remedy_about_the_sender_and_one_to_rcpt_about_the_recipient() {
        let said = |stage, text: &str| {
            let code = ReplyCode::new(text.get(..3).unwrap().parse().unwrap()).unwrap();
            let status = text.split(' ').nth(1).and_then(EnhancedStatus::parse);
            let outcome = Failure::replied(stage, code, status, text).outcome();
            let mut findings = Findings::default();
            let relay = IpAddr::V4(Ipv4Addr::LOCALHOST);
            judged("way", "root@a.example", &outcome, relay, &mut findings);
            let finding = findings.0.pop().unwrap();
            (finding.level, finding.remedy.unwrap())
        };
        for (stage, text, level, remedy) in [
            (
                Stage::Mail,
                "550 5.1.0 rejected",
                Level::Critical,
                "<root@a.example>",
            ),
            (
                Stage::Mail,
                "552 5.3.4 too big",
                Level::Critical,
                "<root@a.example>",
            ),
            (
                Stage::Recipient,
                "550 5.1.8 Sender address rejected: Domain not found",
                Level::Critical,
                "<root@a.example>",
            ),
            (
                Stage::Recipient,
                "550 5.1.1 unknown",
                Level::Critical,
                "does this address exist",
            ),
            (
                Stage::Mail,
                "503 5.5.1 need AUTH",
                Level::Critical,
                "wants a login",
            ),
            (
                Stage::Mail,
                "503 AUTH first (#5.5.1)",
                Level::Critical,
                "wants a login",
            ),
            (
                Stage::Mail,
                "550 5.7.708 traffic not accepted from this IP",
                Level::Critical,
                "this machine's address",
            ),
            (Stage::Mail, "451 4.3.0 later", Level::Warning, "mail waits"),
        ] {
            let (found, said) = said(stage, text);
            assert_eq!(found, level, "{text}");
            assert!(said.contains(remedy), "{text}: {said}");
        }
    }
}
