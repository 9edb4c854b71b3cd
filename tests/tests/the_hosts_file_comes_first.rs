//! Names of next hops: the hosts file, and what name servers of strangers say.

use std::net::Ipv4Addr;

use tests::{
    identity::write,
    peers,
    resolver::{Record, Resolver},
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
};

const MESSAGE: &[u8] = b"Subject: hello\r\n\r\nhello\r\n";

/// Row C3.
#[test]
fn the_hosts_file_is_believed_before_any_name_server() {
    if !peers::mounts() {
        return;
    }
    // The name server points everything to this sink; the hosts file points one name to an address
    // where nothing else listens.
    let by_dns = Sink::start();
    let by_hosts = Sink::on(
        ([127, 0, 0, 3], by_dns.address().port()).into(),
        tests::sink::Script::default(),
    );
    let resolver = Resolver::start(Ipv4Addr::new(127, 0, 0, 153), Ipv4Addr::LOCALHOST);
    let port = by_dns.address().port();
    for (host, sink) in [
        ("internal.example.test", &by_hosts),
        ("elsewhere.example.test", &by_dns),
    ] {
        let relayhost = format!("[{host}]:{port}");
        let mut smarthost = Smarthost::prepare(&format!(
            "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{relayhost}\"\n"
        ));
        write(
            &smarthost.directory().join("hosts"),
            "127.0.0.1 localhost\n127.0.0.3 Internal.example.test internal\n",
        );
        write(
            &smarthost.directory().join("resolv.conf"),
            "nameserver 127.0.0.153\n",
        );
        smarthost.in_mount_namespace(
            "mount --bind $DIR/hosts /etc/hosts && mount --bind $DIR/resolv.conf /etc/resolv.conf",
        );
        smarthost.run();
        Session::greeted(smarthost.address()).delivers(
            "a@example.org",
            &["b@example.net"],
            MESSAGE,
        );
        sink.journal().wait_for(1);
    }
    let asked = resolver.asked();
    assert!(
        asked.iter().any(|name| name == "elsewhere.example.test"),
        "the name server was there to be asked: {asked:?}"
    );
    assert!(
        !asked.iter().any(|name| name == "internal.example.test"),
        "{asked:?}"
    );
}

/// A stranger's DNS leads no mail back to us, and what it says for sure is not waited for.
#[test]
fn what_a_strangers_name_server_says_is_believed_as_far_as_it_goes() {
    if !peers::mounts() {
        return;
    }
    let _resolver = Resolver::with(Ipv4Addr::new(127, 0, 0, 154), |name| {
        let loopback = Record::A(Ipv4Addr::LOCALHOST);
        Some(match name {
            "loops.example" => vec![Record::Mx("home.example")],
            "home.example" | "bare.example" => vec![loopback],
            "local.example" => vec![Record::Mx("localhost")],
            "zero.example" => vec![Record::Mx("nought.example")],
            "nought.example" => vec![Record::A(Ipv4Addr::UNSPECIFIED)],
            "nohost.example" => vec![Record::Mx("gone.example")],
            "empty.example" => vec![],
            "null.example" => vec![Record::Mx("")],
            "broken.example" => vec![Record::Servfail],
            "halfway.example" => vec![Record::Mx("broken.example")],
            _ => return None,
        })
    });
    let mut smarthost = Smarthost::prepare(
        "networks = [\"127.0.0.0/8\"]\nroutes = { \"routed.example\" = \"gone.example\" }\n",
    );
    write(
        &smarthost.directory().join("resolv.conf"),
        "nameserver 127.0.0.154\noptions timeout:1 attempts:1\n",
    );
    write(
        &smarthost.directory().join("hosts"),
        "127.0.0.1 localhost\n",
    );
    smarthost.in_mount_namespace(
        "mount --bind $DIR/hosts /etc/hosts && mount --bind $DIR/resolv.conf /etc/resolv.conf",
    );
    smarthost.run();
    let mut session = Session::greeted(smarthost.address());
    for (domain, status) in [
        ("loops.example", "dsn=5.4.6"),
        ("bare.example", "dsn=5.4.6"),
        ("local.example", "dsn=5.4.6"),
        ("zero.example", "dsn=5.4.6"),
        ("[127.0.0.1]", "dsn=5.4.6"),
        ("[IPv6:::1]", "dsn=5.4.6"),
        ("[IPv6:::ffff:127.0.0.1]", "dsn=5.4.6"),
        ("unknown.example", "dsn=5.4.4"),
        ("nohost.example", "dsn=5.4.4"),
        ("empty.example", "dsn=5.4.4"),
        ("null.example", "dsn=5.1.10"),
        ("broken.example", "dsn=4.4.3"),
        ("halfway.example", "dsn=4.4.3"),
        ("routed.example", "dsn=4.4."),
    ] {
        let to = format!("u@{domain}");
        session.delivers("", &[&to], MESSAGE);
        let log = smarthost.daemon().wait_for_log(&format!("to=<{to}>"));
        let line = log
            .lines()
            .find(|line| line.contains(&format!("to=<{to}>")))
            .unwrap_or_default();
        assert!(line.contains(status), "{domain}: {line}");
    }
}
