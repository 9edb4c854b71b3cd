//! A next hop whose address the administrator wrote into the hosts file.

use std::net::Ipv4Addr;

use tests::{
    identity::write, peers, resolver::Resolver, session::Session, sink::Sink, smarthost::Smarthost,
};

const MESSAGE: &[u8] = b"Subject: hello\r\n\r\nhello\r\n";

/// Row C3.
#[test]
fn the_hosts_file_is_believed_before_any_name_server() {
    if !peers::root() {
        return;
    }
    // The name server points everything to this sink; the hosts file points one name to an address where nothing else listens.
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
