//! A machine, or a server, under several relayhosts: one that fails is left within seconds and
//! comes back by itself; many machines divide themselves; DNS names them where that is wanted.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{HashMap, HashSet},
    thread,
    time::{Duration, Instant},
};

use relay::trust::{PeerKey, Pin};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use tests::{
    agent::Agent,
    identity::Identity,
    resolver::{Record, Resolver},
    session::Session,
    sink::{Fault, Script, Sink, nexthop},
    smarthost::Smarthost,
    wait::{free_address, until, until_true},
};

/// What a relayhost that fails does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Failing {
    Refuses,
    IsMute,
    HasNoRoom,
    TakesNoMail,
    ClosesAtOnce,
}

use Failing::{ClosesAtOnce, HasNoRoom, IsMute, Refuses, TakesNoMail};

impl Failing {
    fn script(self) -> Script {
        let usual = Script::default();
        let fault = |fault| Script {
            fault,
            ..Script::default()
        };
        match self {
            Refuses => usual,
            IsMute => fault(Fault::Mute),
            ClosesAtOnce => fault(Fault::CloseAfterWriting(1)),
            HasNoRoom => Script {
                greeting: "421 4.7.0 too many connections".to_owned(),
                ..usual
            },
            TakesNoMail => Script {
                answers: vec![("MAIL".to_owned(), "451 4.3.0 not now".to_owned())],
                ..usual
            },
        }
    }
}

fn pin(identity: &Identity) -> Pin {
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
    PeerKey::of_certificate(&certificate).unwrap().pin()
}

fn subjects(sink: &Sink) -> Vec<String> {
    let messages = sink.journal().messages().into_iter();
    messages.map(|message| message.field("Subject")).collect()
}

fn message(number: usize) -> String {
    format!("Subject: {number}\n\ntext\n")
}

fn status(machine: &Agent) -> String {
    String::from_utf8(machine.admin(&["status"]).stdout).unwrap()
}

/// The first relayhost fails in this way: its mail goes to the second one, and it comes back.
fn fails_and_comes_back(how: Failing) {
    let first = free_address();
    let second = Sink::start();
    let mut sink = (how != Refuses).then(|| Sink::on(first, how.script()));
    let machine = Agent::start(&format!(
        "relayhost = [\"{}\", \"{}\"]\ntls = \"none\"\n",
        nexthop(first),
        second.nexthop()
    ));
    let sent = Instant::now();
    machine.send(&["b@example.net"], message(0));
    let came = second.journal().first().at;
    assert!(
        came - sent < Duration::from_secs(20),
        "{how:?}: {:?}",
        came - sent
    );
    let tried = sink.as_ref().map_or(0, Sink::connections);
    for number in 1..10 {
        let sent = Instant::now();
        machine.send(&["b@example.net"], message(number));
        let came = second.journal().wait_for(number + 1)[number].at;
        let took = came - sent;
        let again = sink.as_ref().map_or(0, Sink::connections) > tried;
        assert!(took < Duration::from_secs(5) || again, "{how:?}: {took:?}");
    }
    let told = status(&machine);
    let failing = format!("FAIL  relayhost {}:{}: ", first.ip(), first.port());
    assert!(told.contains(&failing), "{how:?}: {told}");

    match &sink {
        Some(sink) => sink.play(Script::default()),
        None => sink = Some(Sink::on(first, Script::default())),
    }
    let sink = sink.unwrap();
    let mut number = 10;
    until("the first one is used again", || {
        machine.send(&["b@example.net"], message(number));
        number += 1;
        until_true("the message is delivered", || {
            sink.journal().len() + second.journal().len() == number
        });
        (!sink.journal().is_empty()).then_some(())
    });
    let working = format!("ok    relayhost {}:{}: works", first.ip(), first.port());
    assert!(status(&machine).contains(&working), "{}", status(&machine));
    let all = [subjects(&sink), subjects(&second)].concat();
    let once: HashSet<_> = all.iter().collect();
    assert_eq!(
        (all.len(), once.len()),
        (number, number),
        "nothing lost, nothing twice"
    );
}

#[test]
fn a_first_relayhost_that_fails_is_left_within_seconds_and_comes_back_by_itself() {
    thread::scope(|scope| {
        for how in [Refuses, IsMute, HasNoRoom, TakesNoMail, ClosesAtOnce] {
            scope.spawn(move || fails_and_comes_back(how));
        }
    });
}

/// A forged host, or one whose key was changed: it gets no mail, and the other one all of it.
#[test]
fn a_first_relayhost_that_shows_another_key_gets_no_mail_and_the_second_all() {
    let [pinned, other] = ["relay.example.test"; 2].map(Identity::new);
    let forged = Sink::with(Script::with_tls(other.server()));
    let right = Sink::with(Script::with_tls(pinned.server()));
    let machine = Agent::start(&format!(
        "relayhost = [\"{}\", \"{}\"]\npins = [\"{}\"]\n",
        forged.nexthop(),
        right.nexthop(),
        pin(&pinned)
    ));
    for number in 0..5 {
        machine.send(&["b@example.net"], message(number));
    }
    assert_eq!(right.journal().wait_for(5).len(), 5);
    assert!(forged.journal().is_empty());
    assert!(status(&machine).contains("FAIL  relayhost 127.0.0.1:"));
}

/// As on a machine where root writes all mail: it goes by the second one, and nothing waits that
/// would tell of the first one.
#[test]
fn a_first_relayhost_that_refuses_all_mail_of_this_machine_is_told_once_though_the_second_takes_it()
{
    let answers = vec![(
        "MAIL".to_owned(),
        "530 5.7.0 Authentication required".to_owned(),
    )];
    let refuses = || Script {
        answers: answers.clone(),
        ..Script::default()
    };
    let firsts = [Sink::with(refuses()), Sink::with(refuses())];
    let second = Sink::start();
    let relayhosts = firsts.each_ref().map(|first| {
        format!(
            "relayhost = [\"{}\", \"{}\"]\n",
            first.nexthop(),
            second.nexthop()
        )
    });
    let mut machine = Agent::start(&format!(
        "{}tls = \"none\"\nadmin = \"admin@example.org\"\n",
        relayhosts[0]
    ));
    let mut smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nadmins = [\"admin@example.org\"]\nrelay_tls = {{ level = \"none\" }}\n{}",
        relayhosts[1]
    ));
    for number in 0..5 {
        machine.send(&["b@example.net"], message(number));
        let mut session = Session::greeted(smarthost.address());
        session.delivers(
            "root@example.org",
            &["c@example.net"],
            b"Subject: x\r\n\r\nx\r\n",
        );
        until("both", || {
            let count = |to: &str| {
                second
                    .journal()
                    .messages()
                    .iter()
                    .filter(|it| it.recipients == [to])
                    .count()
            };
            (count("b@example.net") > number && count("c@example.net") > number).then_some(())
        });
    }
    let notices = [
        "the relayhost refuses mail of this machine",
        "refuses mail of this server",
    ];
    for notice in notices {
        let told = || {
            subjects(&second)
                .iter()
                .filter(|it| it.contains(notice))
                .count()
        };
        until_true(notice, || told() == 1);
    }
    let of_server = String::from_utf8(smarthost.admin(&["status"]).stdout).unwrap();
    for (told, first) in [(status(&machine), &firsts[0]), (of_server, &firsts[1])] {
        let fails = format!("FAIL  relayhost {}", first.address());
        assert!(
            told.contains(&fails) && told.contains("530 5.7.0"),
            "{told}"
        );
    }
    for daemon in [machine.daemon(), smarthost.daemon()] {
        daemon.wait_for_log("it wants a login");
    }
}

/// The same core in the daemon.
#[test]
fn a_server_leaves_a_relayhost_that_fails_and_comes_back_to_it() {
    let first = Sink::with(IsMute.script());
    let second = Sink::start();
    let smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nlimits = {{ exempt = [\"127.0.0.0/8\"] }}\nrelayhost = [\"{}\", \"{}\"]\n",
        first.nexthop(),
        second.nexthop()
    ));
    let send = || {
        let mut session = Session::greeted(smarthost.address());
        session.delivers(
            "a@example.org",
            &["b@example.net"],
            b"Subject: x\r\n\r\nx\r\n",
        );
    };
    let began = Instant::now();
    send();
    let came = second.journal().first().at;
    assert!(came - began < Duration::from_secs(20), "{:?}", came - began);
    send();
    second.journal().wait_for(2);
    let told = || String::from_utf8(smarthost.admin(&["status"]).stdout).unwrap();
    let failing = format!("FAIL  relayhost 127.0.0.1:{}: ", first.address().port());
    assert!(told().contains(&failing), "{}", told());
    first.play(Script::default());
    let mut count = 2;
    until("the first one is used again", || {
        send();
        count += 1;
        until_true("the message is delivered", || {
            first.journal().len() + second.journal().len() == count
        });
        (!first.journal().is_empty()).then_some(())
    });
    assert!(!told().contains("FAIL  relayhost"), "{}", told());
}

/// One that comes and goes, in ways that leave no message in doubt.
#[test]
fn a_flapping_relayhost_loses_nothing_and_doubles_nothing() {
    let (first, second) = (Sink::start(), Sink::start());
    let machine = Agent::start(&format!(
        "relayhost = [\"{}\", \"{}\"]\ntls = \"none\"\nconnections = 2\n",
        first.nexthop(),
        second.nexthop()
    ));
    let moods = [HasNoRoom, Refuses, TakesNoMail, ClosesAtOnce];
    for number in 0..60 {
        // `Refuses` plays the usual script: well for a moment.
        first.play(moods[number % moods.len()].script());
        machine.send(&["b@example.net"], message(number));
    }
    until_true("all is delivered", || {
        first.journal().len() + second.journal().len() >= 60
    });
    machine.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
    let all = [subjects(&first), subjects(&second)].concat();
    let once: HashSet<_> = all.iter().collect();
    assert_eq!((all.len(), once.len()), (60, 60));
}

/// Machines that spread.
const MACHINES: usize = 24;

#[test]
fn machines_that_spread_divide_themselves_and_each_keeps_to_its_relayhost() {
    let sinks = [Sink::start(), Sink::start(), Sink::start()];
    let list = sinks.iter().map(|sink| format!("\"{}\"", sink.nexthop()));
    let list = list.collect::<Vec<_>>().join(", ");
    for number in 0..MACHINES {
        // Without an agent `sendmail` brings each message there itself.
        let machine = Agent::prepare(&format!(
            "hostname = \"vm{number}.example.org\"\nrelayhost = [{list}]\nrelay_order = \"spread\"\ntls = \"none\"\n"
        ));
        for _ in 0..3 {
            machine.send(
                &["-f", &format!("vm{number}@example.org"), "b@example.net"],
                message(number),
            );
        }
    }
    let mut used: HashMap<String, HashSet<usize>> = HashMap::new();
    for (index, sink) in sinks.iter().enumerate() {
        for subject in subjects(sink) {
            used.entry(subject).or_default().insert(index);
        }
    }
    assert_eq!(used.len(), MACHINES);
    assert!(used.values().all(|sinks| sinks.len() == 1), "{used:?}");
    // That a third gets none of 24 has a chance of one in five thousand, that two get none one in
    // many milliards.
    let busy: HashSet<_> = used.values().flatten().collect();
    assert!(busy.len() >= 2, "{used:?}");
}

/// Two servers by priority in SRV records: the first is down, the second has another key, and only
/// the third is believed.
#[test]
fn relayhosts_that_srv_records_name_are_tried_by_priority_and_only_pinned_keys_are_believed() {
    let [pinned, other] = ["mx.example.test"; 2].map(Identity::new);
    let forged = Sink::with(Script::with_tls(other.server()));
    let right = Sink::with(Script::with_tls(pinned.server()));
    let records = [
        (10, free_address().port()),
        (20, forged.address().port()),
        (30, right.address().port()),
    ];
    let resolver = Resolver::anywhere(move |name| {
        let srv = |(priority, port)| Record::Srv(priority, 1, port, "127.0.0.1");
        match name {
            "_submission._tcp.example.org" => Some(records.map(srv).to_vec()),
            _ => None,
        }
    });
    let relayhost = format!(
        "relayhost = \"srv:example.org\"\nresolver = \"{}\"\n",
        resolver.address()
    );
    let machine = Agent::start(&format!("{relayhost}pins = [\"{}\"]\n", pin(&pinned)));
    machine.send(&["b@example.net"], message(1));
    assert_eq!(right.journal().first().field("Subject"), "1");
    let told = status(&machine);
    assert_eq!(
        told.matches("FAIL  relayhost 127.0.0.1:").count(),
        2,
        "{told}"
    );

    let smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\n{relayhost}relay_tls = {{ pins = [\"{}\"] }}\n",
        pin(&pinned)
    ));
    let mut session = Session::greeted(smarthost.address());
    session.delivers(
        "a@example.org",
        &["b@example.net"],
        b"Subject: 2\r\n\r\nx\r\n",
    );
    assert_eq!(right.journal().wait_for(2)[1].field("Subject"), "2");
    assert!(forged.journal().is_empty());

    let checked = String::from_utf8(machine.admin(&["check"]).stdout).unwrap();
    assert!(
        checked.contains("srv:example.org is 127.0.0.1:"),
        "{checked}"
    );
    let explained = machine.admin(&["explain", "b@example.net"]);
    let explained = String::from_utf8(explained.stdout).unwrap();
    assert!(
        explained.contains("_submission._tcp.example.org"),
        "{explained}"
    );
}

/// A name server that falls silent keeps no mail from relayhosts that are known; one that was never
/// heard makes it wait, and says so.
#[test]
fn without_dns_mail_goes_to_the_relayhosts_that_are_known_or_waits() {
    let sink = Sink::start();
    let port = sink.address().port();
    let resolver = Resolver::anywhere(move |name| match name {
        "example.org" => Some(vec![Record::Mx("127.0.0.1")]),
        "silent.example" => Some(vec![Record::Servfail]),
        _ => None,
    });
    let machine = |domain: &str| {
        Agent::start(&format!(
            "relayhost = \"mx:{domain}:{port}\"\nresolver = \"{}\"\ntls = \"none\"\n",
            resolver.address()
        ))
    };
    let knows = machine("example.org");
    knows.send(&["b@example.net"], message(1));
    sink.journal().first();
    for (domain, why) in [
        ("silent.example", "SERVFAIL"),
        ("other.example", "does not exist"),
    ] {
        let waits = machine(domain);
        waits.send(&["b@example.net"], message(2));
        waits.wait_for_mailq("why", |text| text.contains(why) && text.contains(domain));
    }
    assert_eq!(sink.journal().len(), 1);
}
