//! Greylisting, block lists that cannot be believed, and recipients that the next hop is asked for.
//! Rows A6, A7, B10, D5.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, RwLock},
    thread,
};

use tests::{
    resolver::{Record, Resolver},
    session::Session,
    sink::{Received, Script, Sink, nexthop},
    smarthost::Smarthost,
    wait::{free_address, until, until_true},
};

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nx\r\n";
const STRANGER: &str = "127.0.0.66";

fn server(relayhost: &str, resolver: &Resolver, more: &str) -> Smarthost {
    Smarthost::prepare(&format!(
        "networks = [\"127.0.0.1/32\"]\nrelayhost = \"{relayhost}\"\ndomains = {{ relay = [\"example.net\"] }}\nmaildir = \"none\"\n\
         admins = [\"admin@mail.example.test\"]\naliases = [\"$DIR/aliases\"]\nresolver = \"{}\"\n{more}\n",
        resolver.address()
    ))
}

fn run(mut smarthost: Smarthost) -> Smarthost {
    smarthost.file("aliases", "admin: \\admin@admins.example\n");
    smarthost.run();
    smarthost
}

fn rcpt_from(client: &str, server: &Smarthost, recipient: &str) -> String {
    let client: IpAddr = client.parse().unwrap();
    let mut session = Session::connect_from(client, server.address()).ehlo();
    session.say("MAIL FROM:<a@ham.example>");
    let reply = session.say(&format!("RCPT TO:<{recipient}>"));
    format!("{} {}", reply.code, reply.text())
}

fn rcpt(server: &Smarthost, recipient: &str) -> String {
    rcpt_from(STRANGER, server, recipient)
}

/// Waits until the state database has this text, and kills the daemon and starts it again.
fn killed_with(server: &mut Smarthost, text: &str) {
    let state = server.directory().join("state");
    until_true("it is written", || {
        ["state.sqlite", "state.sqlite-wal"].iter().any(|name| {
            let bytes = std::fs::read(state.join(name)).unwrap_or_default();
            bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        })
    });
    server.daemon().kill();
    server.run();
}

fn status(server: &Smarthost) -> String {
    let output = server.admin(&["status"]);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Row B10.
#[test]
fn only_clients_that_something_speaks_against_have_to_come_again_and_then_are_known() {
    let sink = Sink::start();
    let resolver = Resolver::anywhere(|name| {
        Some(match name {
            "66.0.0.127.in-addr.arpa" | "68.0.0.127.in-addr.arpa" => {
                vec![Record::Ptr("clean.example".to_owned())]
            }
            "clean.example" => vec![
                Record::A([127, 0, 0, 66].into()),
                Record::A([127, 0, 0, 68].into()),
            ],
            "68.0.0.127.bl.example" => vec![Record::A([127, 0, 0, 2].into())],
            _ => return None,
        })
    });
    let mut smarthost = run(server(
        &sink.nexthop(),
        &resolver,
        "restrictions = [\"permit_mynetworks\", \"reject_unauth_destination\", \"greylist\"]\n\
         dnsbl = { lists = [\"bl.example\"] }\ngreylist = { delay = \"1s\", only = \"listed\" }",
    ));
    assert!(
        rcpt_from("127.0.0.66", &smarthost, "r@example.net").starts_with("250"),
        "clean"
    );
    let grey =
        "450 4.2.0 <r@example.net>: Recipient address rejected: Greylisted, try again in 1 seconds";
    assert_eq!(
        rcpt_from("127.0.0.68", &smarthost, "r@example.net"),
        grey,
        "listed"
    );
    assert_eq!(
        rcpt_from("127.0.9.67", &smarthost, "r@example.net"),
        grey,
        "without a name"
    );
    assert!(
        rcpt_from("127.0.0.1", &smarthost, "r@example.net").starts_with("250"),
        "ours"
    );
    until_true("who comes again passes", || {
        rcpt_from("127.0.0.68", &smarthost, "r@example.net").starts_with("250")
    });
    // Its whole network is known now, and so after a restart and a kill.
    assert!(rcpt_from("127.0.0.99", &smarthost, "other@example.net").starts_with("250"));
    // The network's row, with the beginning of its time: rows of first tries go on with a blank.
    killed_with(&mut smarthost, "127.0.0.0/2417");
    assert!(rcpt_from("127.0.0.100", &smarthost, "third@example.net").starts_with("250"));
}

#[test]
fn a_list_that_refuses_us_is_switched_off_with_an_alarm_and_its_key_is_nowhere() {
    let sink = Sink::start();
    let resolver = Resolver::anywhere(|name| {
        Some(match name {
            "66.0.0.127.s3cret.zen.example" => vec![
                Record::A([127, 255, 255, 254].into()),
                Record::Txt("Error: open resolver s3cret".to_owned()),
            ],
            "67.0.0.127.s3cret.zen.example" => vec![Record::A([127, 0, 0, 4].into())],
            "69.0.0.127.k2.other.example" => vec![
                Record::A([127, 0, 0, 4].into()),
                Record::Txt("ask https://other.example/k2/127.0.0.69".to_owned()),
            ],
            "1.0.0.127.all.example" | "70.0.0.127.all.example" => {
                vec![Record::A([127, 0, 0, 2].into())]
            }
            _ => return None,
        })
    });
    let mut smarthost = server(
        &sink.nexthop(),
        &resolver,
        "restrictions = [\"reject_rbl_client ${DQS}.zen.example=127.0.0.[2..11]\", \"reject_rbl_client ${K2}.other.example\", \
         \"reject_rbl_client all.example\"]\ndnsbl = { keys = \"dnsbl.keys\" }",
    );
    smarthost.file("dnsbl.keys", "# keys\nDQS = s3cret\nK2 k2\n");
    let keys = smarthost.directory().join("dnsbl.keys");
    std::fs::set_permissions(&keys, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    smarthost = run(smarthost);
    smarthost
        .daemon()
        .wait_for_log("block list all.example is switched off");
    assert!(rcpt_from("127.0.0.70", &smarthost, "r@example.net").starts_with("250"));
    let listed = rcpt_from("127.0.0.67", &smarthost, "r@example.net");
    assert_eq!(
        listed,
        "554 5.7.1 Service unavailable; Client host [127.0.0.67] blocked using zen.example"
    );
    let other = rcpt_from("127.0.0.69", &smarthost, "r@example.net");
    assert_eq!(
        other,
        "554 5.7.1 Service unavailable; Client host [127.0.0.69] blocked using other.example"
    );
    assert!(rcpt_from("127.0.0.66", &smarthost, "r@example.net").starts_with("250"));
    let log = smarthost
        .daemon()
        .wait_for_log("block list zen.example is switched off: it answers 127.255.255.254");
    assert!(
        rcpt_from("127.0.0.67", &smarthost, "r@example.net").starts_with("250"),
        "off"
    );
    let status = status(&smarthost);
    assert!(
        status.contains("block list zen.example: off since"),
        "{status}"
    );
    let mails = sink.journal().wait_for(2);
    let told: Vec<_> = mails.iter().map(Received::text).collect();
    assert!(
        told.iter()
            .any(|text| text.contains("the block list zen.example is switched off")),
        "{told:?}"
    );
    for text in told.iter().chain([&log, &status]) {
        assert!(
            !text.contains("s3cret") && !text.contains("Error: open resolver"),
            "{text}"
        );
    }
}

/// A list that does not answer.
#[test]
fn a_silent_list_refuses_nobody_and_all_lists_are_asked_at_once() {
    let sink = Sink::start();
    let resolver =
        Resolver::anywhere(|name| (name.contains("silent")).then(|| vec![Record::Silence]));
    let smarthost = run(server(
        &sink.nexthop(),
        &resolver,
        "restrictions = [\"reject_rbl_client silent1.example\", \"reject_rbl_client silent2.example\", \"reject_rbl_client silent3.example\", \
         \"reject_rbl_client silent4.example\"]",
    ));
    let began = std::time::Instant::now();
    assert!(rcpt(&smarthost, "r@example.net").starts_with("250"));
    let took = began.elapsed().as_secs();
    assert!(took < 15, "{took} s: one after another would be twenty");
}

/// A primary that knows some people.
fn knows(gone: &[&str], grey: &[&str]) -> Script {
    let reply = |text: &'static str| move |to: &&str| ((*to).to_owned(), text.to_owned());
    let gone = gone.iter().map(reply("550 5.1.1 no such user"));
    Script {
        recipients: gone
            .chain(grey.iter().map(reply("450 4.2.0 come again")))
            .collect(),
        ..Script::default()
    }
}

/// Rows A6, A7.
#[test]
fn a_backup_asks_the_primary_for_recipients_and_remembers_what_it_said() {
    let primary = Sink::with(knows(&["gone@example.net"], &["grey@example.net"]));
    let resolver = Resolver::anywhere(|_| None);
    let mut smarthost = run(server(
        &primary.nexthop(),
        &resolver,
        "restrictions = [\"permit_mynetworks\", \"reject_unauth_destination\", \"reject_unverified_recipient\"]",
    ));
    assert!(rcpt(&smarthost, "known@example.net").starts_with("250"));
    let gone = rcpt(&smarthost, "gone@example.net");
    assert!(
        gone.starts_with(
            "550 5.1.1 <gone@example.net>: Recipient address rejected: undeliverable address: "
        ) && gone.contains("no such user"),
        "{gone}"
    );
    let grey = rcpt(&smarthost, "grey@example.net");
    assert!(
        grey.starts_with(
            "450 4.1.1 <grey@example.net>: Recipient address rejected: unverified address: "
        ),
        "{grey}"
    );
    assert!(rcpt(&smarthost, "victim@elsewhere.example").contains("Relay access denied"));
    // It takes any other name, which is told.
    smarthost.daemon().wait_for_log("accepts every recipient");
    assert!(status(&smarthost).contains("verification has no effect for example.net"));
    assert!(primary.journal().is_empty(), "nothing was ever sent");
    // What it said is known after a kill, whatever it would say now.
    primary.play(knows(&["known@example.net"], &[]));
    primary.hang_up();
    killed_with(&mut smarthost, "gone@example.net");
    assert!(rcpt(&smarthost, "gone@example.net").starts_with("550"));
    assert!(rcpt(&smarthost, "known@example.net").starts_with("250"));
}

/// Row A7: nobody has to switch anything.
#[test]
fn while_the_primary_is_down_who_is_known_gets_mail_and_when_it_is_back_everybody_is_asked_for_again()
 {
    let resolver = Resolver::anywhere(|_| None);
    let address = free_address();
    let primary = Sink::on(address, Script::default());
    let mut smarthost = run(server(
        &nexthop(address),
        &resolver,
        "restrictions = [\"reject_unauth_destination\", \"reject_unverified_recipient\"]\n\
         verify = { trouble = \"1s\" }\nretry = { minimal = \"1s\" }",
    ));
    assert!(rcpt(&smarthost, "known@example.net").starts_with("250"));
    drop(primary);
    until("the outage is noticed", || {
        let new = rcpt(&smarthost, "new@example.net");
        new.starts_with(
            "450 4.1.1 <new@example.net>: Recipient address rejected: unverified address: ",
        )
        .then_some(())
    });
    let mut session = Session::connect_from(STRANGER.parse().unwrap(), smarthost.address()).ehlo();
    session.delivers("a@ham.example", &["known@example.net"], MESSAGE);
    let alarm = status(&smarthost);
    assert!(
        alarm.contains("verification: ") && alarm.contains("does not answer since"),
        "{alarm}"
    );
    let back = Sink::on(address, Script::default());
    until_true("the next question is asked", || {
        rcpt(&smarthost, "new@example.net").starts_with("250")
    });
    assert!(!status(&smarthost).contains("does not answer since"));
    let log = smarthost.daemon().wait_for_log("answers again");
    assert_eq!(
        log.matches("does not answer:").count(),
        1,
        "told once\n{log}"
    );
    // What waited, and one mail for the administrators.
    let mails = back.journal().wait_for(2);
    let told = mails
        .iter()
        .filter(|mail| mail.text().contains("recipients cannot be verified"));
    assert_eq!(told.count(), 1);
}

/// A primary that refuses the backup itself says nothing of recipients.
#[test]
fn a_primary_that_refuses_us_is_an_outage_and_no_answer() {
    let primary = Sink::with(Script {
        answers: vec![("MAIL".to_owned(), "550 5.7.1 you are on a list".to_owned())],
        ..Script::default()
    });
    let resolver = Resolver::anywhere(|_| None);
    let settings = "restrictions = [\"reject_unauth_destination\", \"reject_unverified_recipient\"]\n\
                    verify = { outage = \"accept-all\" }";
    let smarthost = run(server(&primary.nexthop(), &resolver, settings));
    // What would be taken would be refused there.
    let waits = rcpt(&smarthost, "a@example.net");
    assert!(waits.starts_with("450"), "{waits}");
    let alarm = status(&smarthost);
    assert!(alarm.contains("refuses us since"), "{alarm}");

    // Silence is another thing.
    let nobody = format!("[127.0.0.1]:{}", free_address().port());
    let smarthost = run(server(&nobody, &resolver, settings));
    assert!(
        rcpt(&smarthost, "a@example.net").starts_with("250"),
        "accept-all"
    );
    let client: IpAddr = STRANGER.parse().unwrap();
    let mut session = Session::connect_from(client, smarthost.address()).ehlo();
    assert_eq!(
        session.say("MAIL FROM:<a@ham.example> SIZE=5000000").code,
        250
    );
    let large = session.say("RCPT TO:<b@example.net>");
    assert!(
        large.code == 450 && large.text().contains("only small mail"),
        "{large:?}"
    );
}

/// Row D5: Dovecot knows the mailboxes. Aliases are followed to the one that they stand for; what
/// stands for several, or for somebody elsewhere, is nobody's question.
#[test]
fn mailboxes_behind_lmtp_are_asked_for_and_no_stranger_gets_a_bounce_for_one_that_nobody_has() {
    let mut script = knows(&["gone@example.org"], &[]);
    script.lmtp = true;
    // It takes mail of nobody from nobody: who asks has a name.
    let unnamed = ("MAIL FROM:<>".to_owned(), "550 5.7.1 who asks?".to_owned());
    script.answers.push(unnamed);
    let dovecot = Sink::with(script);
    let mut smarthost = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.1/32\"]\ngreet_wait = \"0s\"\ndomains = {{ local = [\"example.org\"] }}\nlmtp = \"{}\"\n\
         aliases = [\"$DIR/aliases\"]\nverify = {{ from = \"asks@example.org\" }}\n\
         restrictions = [\"permit_mynetworks\", \"reject_unauth_destination\", \"reject_unverified_recipient\"]\n",
        dovecot.nexthop()
    ));
    smarthost.file(
        "aliases",
        "boss: ann@example.org\nformer: gone@example.org\nboth: ann@example.org, gone@example.org\nfar: x@far.example\n",
    );
    smarthost.run();
    for (to, expected) in [
        ("ann", "250"),
        (
            "gone",
            "550 5.1.1 <gone@example.org>: Recipient address rejected: undeliverable address: ",
        ),
        ("boss", "250"),
        (
            "former",
            "550 5.1.1 <former@example.org>: Recipient address rejected: undeliverable address: ",
        ),
        ("both", "250"),
        ("far", "250"),
    ] {
        let told = rcpt(&smarthost, &format!("{to}@example.org"));
        assert!(told.starts_with(expected), "{to}: {told}");
    }
    let own = rcpt_from("127.0.0.1", &smarthost, "gone@example.org");
    assert!(
        own.starts_with("250"),
        "its bounce goes to one of us: {own}"
    );
    assert!(dovecot.journal().is_empty());
    assert_eq!(dovecot.journal().times_asked_for("x@far.example"), 0);
}

/// A primary that tells of nobody as long as this lock is taken, and those it was asked for.
fn slow_primary(patience: Arc<RwLock<()>>) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (patience, asked) = (Arc::clone(&patience), Arc::clone(&all));
            thread::spawn(move || talk(stream, &patience, &asked));
        }
    });
    (address, asked)
}

fn talk(mut stream: TcpStream, patience: &RwLock<()>, asked: &Mutex<Vec<String>>) -> Option<()> {
    let lines = BufReader::new(stream.try_clone().ok()?).lines();
    stream.write_all(b"220 slow.example ESMTP\r\n").ok()?;
    for line in lines {
        let line = line.ok()?;
        if line.starts_with("RCPT") {
            asked.lock().unwrap().push(line.clone());
            if line.contains("<slow@") {
                drop(patience.read().unwrap());
            }
        }
        stream.write_all(b"250 2.0.0 Ok\r\n").ok()?;
    }
    Some(())
}

/// Row A6: strangers cannot hammer the primary, and one name that it thinks about holds up nobody
/// else.
#[test]
fn a_slow_primary_is_asked_for_a_name_once_whoever_waits_for_it_and_others_go_on() {
    let patience = Arc::new(RwLock::new(()));
    let thinks = patience.write().unwrap();
    let (primary, asked) = slow_primary(Arc::clone(&patience));
    let resolver = Resolver::anywhere(|_| None);
    let smarthost = run(server(
        &nexthop(primary),
        &resolver,
        "greet_wait = \"0s\"\nrestrictions = [\"reject_unauth_destination\", \"reject_unverified_recipient\"]",
    ));
    let times = |name: &str| {
        let asked = asked.lock().unwrap();
        asked.iter().filter(|line| line.contains(name)).count()
    };
    let mut sessions: Vec<_> = (0..20)
        .map(|number| {
            let client = IpAddr::from([127, 0, 2, number + 1]);
            let mut session = Session::connect_from(client, smarthost.address()).ehlo();
            session.say("MAIL FROM:<a@ham.example>");
            session.send(b"RCPT TO:<slow@example.net>\r\n").unwrap();
            session
        })
        .collect();
    until_true("it is asked", || times("<slow@") > 0);
    assert!(rcpt(&smarthost, "quick@example.net").starts_with("250"));
    drop(thinks);
    for session in &mut sessions {
        assert_eq!(session.reply().code, 250);
    }
    assert_eq!((times("<slow@"), times("<quick@")), (1, 1));
}
