//! Whoever is not in `networks` can send to our own domains, and to nobody else, however he writes
//! the address.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;

use tests::{session::Session, sink::Sink, smarthost::Smarthost};

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
         maildir = \"none\"\naliases = [\"$DIR/aliases\"]\nlimits = {{ exempt = [\"127.0.0.0/8\"] }}\n",
        sink.nexthop()
    ));
    smarthost.file("aliases", "root: admin@example.net\n");
    smarthost
}

fn from(client: &str, smarthost: &Smarthost) -> Session {
    let client: IpAddr = client.parse().unwrap();
    Session::connect_from(client, smarthost.address()).ehlo()
}

/// Whatever else decides later: relaying is for our networks.
#[test]
fn no_way_to_write_an_address_makes_a_stranger_relay() {
    let sink = Sink::start();
    let mut smarthost = smarthost(&sink);
    smarthost.run();
    let ours = |text: &str| {
        text.replace("OUR", "example.org")
            .replace("HOST", "mail.example.test")
            .replace("ADDRESS", "127.0.0.1")
    };
    let mut got_through = Vec::new();
    for (sender, recipient) in FORMS {
        let mut session = from(STRANGER, &smarthost);
        let (sender, recipient) = (ours(sender), ours(recipient));
        let mail = session.say(&format!("MAIL FROM:{sender}"));
        let rcpt = session.say(&format!("RCPT TO:{recipient}"));
        let data = session.say("DATA");
        if mail.code < 400 && rcpt.code < 500 || data.code < 500 {
            got_through.push((sender, recipient, mail, rcpt, data));
        }
    }
    assert!(got_through.is_empty(), "{got_through:#?}");
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
