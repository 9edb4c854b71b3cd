//! Whoever is not in `networks` can send to our own domains, and to nobody else, however he writes
//! the address and by whatever way he comes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{net::IpAddr, sync::Arc};

use relay::tls::{ClientTls, Trust};
use rustls::ClientConfig;
use tests::{
    identity::Identity,
    login::{anybody, password, plain},
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
};

/// A stranger, and one who may relay.
const STRANGER: &str = "127.0.0.66";
const FRIEND: &str = "127.0.0.1";

/// The ways to write a foreign recipient that nmap's `smtp-open-relay` and abuse.net try, and some
/// more: sender, recipient.
/// `OUR` stands for our domain, `HOST` for our host name, `ADDRESS` for our address.
const FORMS: [(&str, &str); 36] = [
    ("<>", "<victim@far.example>"),
    ("<spam@far.example>", "<victim@far.example>"),
    ("<spam@OUR>", "<victim@far.example>"),
    ("<spam@HOST>", "<victim@far.example>"),
    ("<spam@[ADDRESS]>", "<victim@far.example>"),
    ("<spam@localhost>", "<victim@far.example>"),
    ("<postmaster@OUR>", "<postmaster@far.example>"),
    ("<spam@OUR>", "<victim%far.example@OUR>"),
    ("<spam@OUR>", "<victim%far.example@HOST>"),
    ("<spam@[ADDRESS]>", "<victim%far.example@[ADDRESS]>"),
    ("<spam@OUR>", "<victim%far.example>"),
    ("<spam@OUR>", "<victim@far.example@OUR>"),
    ("<spam@OUR>", "<victim@far.example@HOST>"),
    ("<spam@[ADDRESS]>", "<victim@far.example@[ADDRESS]>"),
    ("<spam@OUR>", "<\"victim@far.example\">"),
    ("<spam@OUR>", "<\"victim@far.example\"@OUR>"),
    ("<spam@[ADDRESS]>", "<\"victim@far.example\"@[ADDRESS]>"),
    ("<spam@OUR>", "<\"victim%far.example\"@OUR>"),
    ("<spam@OUR>", "<\"victim%far.example\">"),
    ("<spam@OUR>", "<@OUR:victim@far.example>"),
    ("<spam@OUR>", "<@HOST:victim@far.example>"),
    ("<spam@[ADDRESS]>", "<@[ADDRESS]:victim@far.example>"),
    ("<spam@OUR>", "<@OUR,@HOST:victim@far.example>"),
    ("<spam@OUR>", "<far.example!victim>"),
    ("<spam@OUR>", "<far.example!victim@OUR>"),
    ("<spam@[ADDRESS]>", "<far.example!victim@[ADDRESS]>"),
    ("<spam@OUR>", "<\"far.example!victim\"@OUR>"),
    ("<spam@OUR>", "<victim@[198.51.100.7]>"),
    ("<spam@OUR>", "<victim@[IPv6:::ffff:198.51.100.7]>"),
    ("<spam@OUR>", "<victim@sub.OUR>"),
    ("<spam@OUR>", "<victim@far.example.>"),
    ("<spam@OUR>", "<victim@OUR.far.example>"),
    ("<spam@OUR>", "<victim@farOUR>"),
    ("<spam@OUR>", "victim@far.example"),
    (
        "<spam@OUR>",
        "<victim@far.example> NOTIFY=NEVER ORCPT=rfc822;root@OUR",
    ),
    ("<spam@OUR>", "<nobody-here+victim=far.example@OUR>"),
];

fn smarthost(sink: &Sink) -> Smarthost {
    let smarthost = Smarthost::prepare(&format!(
        "networks = [\"{FRIEND}/32\"]\nrelayhost = \"{}\"\ndomains = {{ local = [\"example.org\"] }}\n\
         maildir = \"none\"\naliases = [\"$DIR/aliases\"]\nlimits = {{ exempt = [\"127.0.0.0/8\"] }}\ngreet_wait = \"0s\"\n",
        sink.nexthop()
    ));
    smarthost.file("aliases", "root: admin@example.net\n");
    smarthost
}

fn from(client: &str, smarthost: &Smarthost) -> Session {
    let client: IpAddr = client.parse().unwrap();
    Session::connect_from(client, smarthost.address()).ehlo()
}

/// Whoever gets a foreign recipient taken, in sessions that begin so; how often each was tried.
fn got_through(begin: impl Fn(u8) -> Session) -> Vec<String> {
    let ours = |text: &str| {
        text.replace("OUR", "example.org")
            .replace("HOST", "mail.example.test")
            .replace("ADDRESS", "127.0.0.1")
    };
    let mut got_through = Vec::new();
    for (number, (sender, recipient)) in (1..).zip(FORMS) {
        let mut session = begin(number);
        let (sender, recipient) = (ours(sender), ours(recipient));
        let mail = session.say(&format!("MAIL FROM:{sender}"));
        let rcpt = session.say(&format!("RCPT TO:{recipient}"));
        let data = session.say("DATA");
        if mail.code < 400 && rcpt.code < 500 || data.code < 500 {
            let told = [mail, rcpt, data].map(|it| it.code);
            got_through.push(format!("{sender} {recipient} {told:?}"));
        }
    }
    got_through
}

/// Whatever else decides later: relaying is for our networks.
#[test]
fn no_way_to_write_an_address_makes_a_stranger_relay() {
    let sink = Sink::start();
    let mut smarthost = smarthost(&sink);
    smarthost.run();
    let through = got_through(|_| from(STRANGER, &smarthost));
    assert!(through.is_empty(), "{through:#?}");
    assert!(sink.journal().is_empty());

    // The same server takes mail for its own people from strangers, and relays for its own network.
    let message = b"Subject: x\r\n\r\nx\r\n";
    let mut stranger = from(STRANGER, &smarthost);
    let reply = stranger.mail("spam@far.example", &["root@example.org"], message);
    assert_eq!(reply.unwrap().code, 250);
    let mut friend = from(FRIEND, &smarthost);
    let reply = friend.mail("www@example.org", &["victim@far.example"], message);
    assert_eq!(reply.unwrap().code, 250);
    let recipients: Vec<_> = sink.journal().wait_for(2);
    let mut recipients: Vec<_> = recipients
        .iter()
        .flat_map(|m| m.recipients.clone())
        .collect();
    recipients.sort();
    assert_eq!(recipients, ["admin@example.net", "victim@far.example"]);
}

/// A dual-stack socket shows IPv4 clients as `::ffff:127.0.0.66`; networks are compared by what
/// they mean.
#[test]
fn a_stranger_on_a_dual_stack_socket_is_still_a_stranger() {
    let sink = Sink::start();
    let smarthost = smarthost(&sink);
    let address = smarthost.address();
    smarthost.configure(&format!(
        "listen = [\"[::]:{}\"]\nnetworks = [\"{FRIEND}/32\", \"::1/128\"]\nrelayhost = \"{}\"\n",
        address.port(),
        sink.nexthop()
    ));
    let mut smarthost = smarthost;
    smarthost.run();
    for (client, code) in [(STRANGER, 554), (FRIEND, 250)] {
        let mut session = from(client, &smarthost);
        assert_eq!(session.say("MAIL FROM:<spam@far.example>").code, 250);
        let reply = session.say("RCPT TO:<victim@far.example>");
        assert_eq!(reply.code, code, "{client}: {reply:?}");
    }
}

/// Our domain in the other two classes, each with a table of those who receive.
#[test]
fn no_address_of_a_virtual_or_a_relayed_domain_leads_elsewhere() {
    for class in ["virtual", "relay"] {
        let sink = Sink::start();
        let mut smarthost = Smarthost::prepare(&format!(
            "networks = [\"{FRIEND}/32\"]\nrelayhost = \"{}\"\ndomains = {{ {class} = [\"example.org\"] }}\nmaildir = \"none\"\n\
             recipient_delimiter = \"+\"\ngreet_wait = \"0s\"\nvirtual = [\"virtual\"]\nrelay_recipients = [\"recipients\"]\n",
            sink.nexthop()
        ));
        smarthost.file(
            "virtual",
            "anna@example.org anna@partner.example\n/^keep-(.*)@example\\.org$/ $1@partner.example\n",
        );
        smarthost.file("recipients", "otto@example.org OK\n");
        smarthost.run();
        let through = got_through(|_| from(STRANGER, &smarthost));
        assert!(through.is_empty(), "{class}: {through:#?}");
        // What a pattern puts together is an address of the table, never the client's.
        for to in [
            "keep-victim@far.example@example.org",
            "\"keep-victim@far.example,x\"@example.org",
        ] {
            let mut session = from(STRANGER, &smarthost);
            session.say("MAIL FROM:<spam@far.example>");
            let reply = session.say(&format!("RCPT TO:<{to}>"));
            assert!(reply.code >= 400, "{class} {to}: {reply:?}");
        }
        let mut stranger = from(STRANGER, &smarthost);
        stranger.delivers(
            "a@far.example",
            &["anna@example.org"],
            b"Subject: x\r\n\r\nx\r\n",
        );
        assert_eq!(sink.journal().first().recipients, ["anna@partner.example"]);
    }
}

/// Where clients are known by logins, by keys and by what a front end says of them, whoever is not
/// known is a stranger, though the front end itself may relay.
#[test]
fn a_failed_login_another_key_or_a_front_end_lets_no_stranger_relay() {
    let sink = Sink::start();
    let mut smarthost = smarthost(&sink);
    let keys = ["known", "other"].map(|name| {
        Identity::new("vm7.example.test").write(smarthost.directory(), name);
        let file = |end: &str| smarthost.directory().join(format!("{name}.{end}"));
        (file("pem"), file("key"))
    });
    let pin = relay::tls::pins_of_file(&keys[0].0).unwrap().pin();
    smarthost.configure(&format!(
        "networks = [\"{FRIEND}/32\", \"127.0.0.5\", \"127.0.0.6\"]\nrelayhost = \"{}\"\ndomains = {{ local = [\"example.org\"] }}\n\
         maildir = \"none\"\naliases = [\"$DIR/aliases\"]\ngreet_wait = \"0s\"\nauth = {{ users = \"users\" }}\nclient_pins = {{ \"{pin}\" = \"vm7\" }}\n\
         proxy = [\"127.0.0.5\"]\nxclient = [\"127.0.0.6\"]\n",
        sink.nexthop()
    ));
    let password = password(&smarthost, "printer");
    smarthost.run();
    let [known, other] = keys.map(|(certificate, key)| {
        let shown = Some((certificate.as_path(), key.as_path()));
        let tls = ClientTls::with_identity(&Trust::Opportunistic, shown);
        tls.unwrap().config
    });
    let fails = |number: u8| {
        let mut session = from(&format!("127.0.3.{number}"), &smarthost).starttls(anybody());
        assert_eq!(plain(&mut session, "printer", "a guess").code, 535);
        session
    };
    let gives_up = |number: u8| {
        let mut session = from(&format!("127.0.4.{number}"), &smarthost).starttls(anybody());
        assert_eq!(session.say("AUTH PLAIN").code, 334);
        assert_eq!(session.say("*").code, 501);
        session
    };
    let shows = |key: &Arc<ClientConfig>| from(STRANGER, &smarthost).starttls(Arc::clone(key));
    let behind = |header: &str| {
        let mut session = Session::connect_from([127, 0, 0, 5].into(), smarthost.address());
        session.send(header.as_bytes()).unwrap();
        session.ehlo()
    };
    let carried = |_| behind("PROXY TCP4 203.0.113.9 192.0.2.1 51000 25\r\n");
    let named = |_| {
        let mut session = from("127.0.0.6", &smarthost);
        assert_eq!(session.say("XCLIENT ADDR=203.0.113.9").code, 220);
        assert_eq!(session.say("EHLO far.example").code, 250);
        session
    };
    let pretends = |_| {
        let mut session = from(STRANGER, &smarthost);
        assert!(session.say("XCLIENT ADDR=127.0.0.1 LOGIN=printer").code >= 500);
        session
    };
    for (how, through) in [
        ("a failed login", got_through(fails)),
        ("a login that was given up", got_through(gives_up)),
        ("another key", got_through(|_| shows(&other))),
        ("a proxy", got_through(carried)),
        ("XCLIENT", got_through(named)),
        ("XCLIENT of a stranger", got_through(pretends)),
    ] {
        assert!(through.is_empty(), "{how}: {through:#?}");
    }
    assert!(sink.journal().is_empty());

    // Each of them lets those through who are known.
    let mut printer = from(STRANGER, &smarthost).starttls(anybody());
    assert_eq!(plain(&mut printer, "printer", &password).code, 235);
    let own = behind(&format!("PROXY TCP4 {FRIEND} 192.0.2.1 51000 25\r\n"));
    for (number, mut session) in (1..).zip([printer, shows(&known), own]) {
        let message = b"Subject: x\r\n\r\nx\r\n";
        session.delivers("a@example.org", &["b@far.example"], message);
        sink.journal().wait_for(number);
    }
}
