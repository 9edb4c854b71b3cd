//! Named transports: how many connections, recipients and pauses a next hop sees, and which mail
//! goes by them.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tests::{
    http, peers,
    resolver::{Record, Resolver},
    session::Session,
    sink::{Script, Sink},
    smarthost::Smarthost,
    wait::free_address,
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

/// A relay for which ten domains have one provider, whose host is the sink.
fn of_one_provider(server: Ipv4Addr, sink: &Sink, settings: &str, page: SocketAddr) -> Smarthost {
    let port = sink.address().port();
    let routes: Vec<String> = (0..10)
        .map(|n| format!("\"d{n}.example\" = \"slow:d{n}.example:{port}\""))
        .collect();
    let mut smarthost = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.0/8\"]\nresolver = \"{server}\"\nweb = \"{page}\"\n\
         retry = {{ minimal = \"1s\", maximal = \"1s\" }}\nroutes = {{ {} }}\n[transports.slow]\n{settings}\n",
        routes.join(", ")
    ));
    smarthost.file("resolv.conf", &format!("nameserver {server}\n"));
    smarthost.file("hosts", "127.0.0.1 localhost\n");
    smarthost.in_mount_namespace(
        "mount --bind $DIR/hosts /etc/hosts && mount --bind $DIR/resolv.conf /etc/resolv.conf",
    );
    smarthost.run();
    smarthost
}

fn provider(server: Ipv4Addr) -> Resolver {
    Resolver::with(server, |name| match name {
        "mx.prov.example" => Some(vec![Record::A(Ipv4Addr::LOCALHOST)]),
        _ => Some(vec![Record::Mx("mx.prov.example")]),
    })
}

fn sixty_messages_to_ten_domains(smarthost: &Smarthost) {
    let mut session = Session::greeted(smarthost.address());
    for number in 0..60 {
        let to = format!("u@d{}.example", number % 10);
        session.delivers("a@example.org", &[&to], MESSAGE);
    }
}

/// Rows B14, C7. Ten domains of one provider, whose host takes two connections.
#[test]
fn a_provider_sees_two_connections_however_many_of_its_domains_have_mail() {
    if !peers::mounts() {
        return;
    }
    let server = Ipv4Addr::new(127, 0, 14, 213);
    let _resolver = provider(server);
    let sink = Sink::with(Script {
        most_recipients: 1,
        most_connections: 2,
        ..Script::default()
    });
    let mut smarthost = of_one_provider(
        server,
        &sink,
        "connections = 2\nrecipients = 1",
        free_address(),
    );
    sixty_messages_to_ten_domains(&smarthost);
    sink.journal().wait_for(60);
    smarthost.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
    assert_eq!(sink.most_at_once(), 2);
    // What one domain's mail has opened carries that of others.
    assert!(sink.connections() < 20, "{} opened", sink.connections());
    let log = smarthost.daemon().log();
    assert!(!log.contains("status=bounced") && !log.contains("status=deferred"));
}

/// Row C7. What a provider has said itself holds for all its domains, is shown, and is known after
/// a restart.
#[test]
fn a_provider_that_says_how_many_connections_it_takes_says_it_once() {
    if !peers::mounts() {
        return;
    }
    let server = Ipv4Addr::new(127, 0, 14, 214);
    let _resolver = provider(server);
    let takes = |most_connections| Script {
        most_recipients: 1,
        most_connections,
        ..Script::default()
    };
    let sink = Sink::with(takes(0));
    let page = free_address();
    let mut smarthost = of_one_provider(server, &sink, "connections = 20\nrecipients = 1", page);
    sixty_messages_to_ten_domains(&smarthost);
    smarthost.daemon().wait_for_log("Too many connections");
    sink.play(takes(2));
    sink.journal().wait_for(60);
    smarthost.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
    let log = smarthost.daemon().log();
    assert!(!log.contains("status=bounced"), "{log}");
    let shown = |smarthost: &Smarthost| {
        let text = String::from_utf8(smarthost.admin(&["status"]).stdout).unwrap();
        let section = text.split("Connections that hosts take at once").nth(1);
        assert!(
            section.is_some_and(|it| it.contains("mx.prov.example") && it.contains("by slow")),
            "{text}"
        );
        let json = smarthost.admin(&["status", "--json"]).stdout;
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let learned = &json["learned"][0];
        assert_eq!(learned["transport"], "slow", "{json}");
        let connections = learned["connections"].as_u64().unwrap();
        assert!((1..=2).contains(&connections), "{json}");
        let metrics = http::get(page, "/metrics").body;
        let metric = format!(
            "smarthost_learned_connections{{transport=\"slow\",hosts=\"mx.prov.example:{}\"}} {connections}",
            sink.address().port()
        );
        assert!(metrics.contains(&metric), "{metrics}");
    };
    shown(&smarthost);

    smarthost.kill();
    smarthost.run();
    shown(&smarthost);
    sixty_messages_to_ten_domains(&smarthost);
    sink.journal().wait_for(120);
    smarthost.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
    let log = smarthost.daemon().log();
    assert!(!log.contains("Too many connections"), "{log}");
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
