//! Named transports: how many connections, recipients and pauses a next hop sees, and which mail
//! goes by them.

use std::{net::Ipv4Addr, time::Duration};

use tests::{
    peers,
    resolver::{Record, Resolver},
    session::Session,
    sink::{Script, Sink},
    smarthost::Smarthost,
};

const MESSAGE: &[u8] = b"Subject: test\r\n\r\ntext\r\n";

/// As the deployment has them; the next hops are the test's.
fn deployment(slow: &Sink, yahoo: &Sink, other: &Sink) -> Smarthost {
    Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\n\
         routes = {{ \"orange.example\" = \"slow:{}\", \"/@yahoo\\\\./\" = \"yahoo:{}\" }}\n\
         [transports.slow]\ntype = \"smtp\"\nconnections = 2\nrecipients = 20\ndelay = \"2s\"\nprocesses = 5\n\
         [transports.yahoo]\ntype = \"smtp\"\ninitial_connections = 1\nconnections = 4\nrecipients = 2\ndelay = \"1s\"\nprocesses = 5\n",
        other.nexthop(),
        slow.nexthop(),
        yahoo.nexthop()
    ))
}

/// Row B14.
#[test]
fn slow_providers_get_few_recipients_a_message_and_a_pause_after_each() {
    let (slow, yahoo, other) = (Sink::start(), Sink::start(), Sink::start());
    let smarthost = deployment(&slow, &yahoo, &other);
    let to = |domain: &str, count: usize| -> Vec<String> {
        (0..count)
            .map(|number| format!("u{number}@{domain}"))
            .collect()
    };
    let mut recipients = to("orange.example", 45);
    recipients.extend(to("Yahoo.co.uk", 5));
    recipients.extend(to("elsewhere.example", 30));
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let mut session = Session::greeted(smarthost.address());
    session.delivers("a@example.org", &recipients, MESSAGE);

    assert_eq!(other.journal().first().recipients.len(), 30, "together");
    for (sink, pause, expected) in [(&yahoo, 1, &[2, 2, 1][..]), (&slow, 2, &[20, 20, 5])] {
        let received = sink.journal().wait_for(expected.len());
        let sizes: Vec<_> = received.iter().map(|it| it.recipients.len()).collect();
        assert_eq!(sizes, expected);
        for pair in received.windows(2) {
            let pause = Duration::from_secs(pause);
            assert!(pair[1].at.duration_since(pair[0].at) >= pause);
        }
        assert_eq!(sink.most_at_once(), 1);
    }
    smarthost.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
}

/// Rows B14, C7. Ten domains of one provider, whose host takes two connections.
#[test]
fn a_provider_sees_two_connections_however_many_of_its_domains_have_mail() {
    if !peers::mounts() {
        return;
    }
    let server = Ipv4Addr::new(127, 0, 14, 213);
    let _resolver = Resolver::with(server, |name| match name {
        "mx.prov.example" => Some(vec![Record::A(Ipv4Addr::LOCALHOST)]),
        _ => Some(vec![Record::Mx("mx.prov.example")]),
    });
    let sink = Sink::with(Script {
        most_recipients: 1,
        ..Script::default()
    });
    let port = sink.address().port();
    let routes: Vec<String> = (0..10)
        .map(|n| format!("\"d{n}.example\" = \"slow:d{n}.example:{port}\""))
        .collect();
    let mut smarthost = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.0/8\"]\nresolver = \"{server}\"\nroutes = {{ {} }}\n[transports.slow]\nconnections = 2\nrecipients = 1\n",
        routes.join(", ")
    ));
    smarthost.file("resolv.conf", &format!("nameserver {server}\n"));
    smarthost.file("hosts", "127.0.0.1 localhost\n");
    smarthost.in_mount_namespace(
        "mount --bind $DIR/hosts /etc/hosts && mount --bind $DIR/resolv.conf /etc/resolv.conf",
    );
    smarthost.run();
    let mut session = Session::greeted(smarthost.address());
    for number in 0..60 {
        let to = format!("u@d{}.example", number % 10);
        session.delivers("a@example.org", &[&to], MESSAGE);
    }
    sink.journal().wait_for(60);
    smarthost.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
    // A connection that is kept for the next message to one domain may be open while another one
    // begins.
    assert!(sink.most_at_once() <= 12, "{} at once", sink.most_at_once());
    let log = smarthost.daemon().log();
    assert!(!log.contains("status=bounced") && !log.contains("status=deferred"));
}

/// Postfix's transport(5): an empty value changes nothing, and `*` leaves our own domains alone.
#[test]
fn a_transport_file_sends_all_but_our_own_mail_to_a_smarthost() {
    let hub = Sink::start();
    let mut smarthost = Smarthost::prepare(
        "networks = [\"127.0.0.0/8\"]\ndomains = { local = [\"example.org\"] }\nmaildir = \"$DIR/Maildir\"\n\
         transport = [\"hash:transport\"]\naliases = [\"$DIR/aliases\"]\n",
    );
    smarthost.file("aliases", "staff: box\n");
    smarthost.file(
        "transport",
        &format!("# comment\n* relay:{}\nexample.net :\n", hub.nexthop()),
    );
    smarthost.run();
    let mut session = Session::greeted(smarthost.address());
    session.delivers(
        "a@example.org",
        &["staff@example.org", "r@other.example", "r@example.net"],
        MESSAGE,
    );
    assert_eq!(hub.journal().first().recipients, ["r@other.example"]);
    tests::wait::until_true("the alias's mail is in the mailbox", || {
        !smarthost.maildir("Maildir").is_empty()
    });
    let log = smarthost.daemon().wait_for_log("to=<r@example.net>");
    assert!(
        !log.contains("to=<r@example.net>, relay=127.0.0.1"),
        "{log}"
    );
}
