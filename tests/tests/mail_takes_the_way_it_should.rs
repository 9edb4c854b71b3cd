//! Which way mail takes: brackets, the hosts file, and the whole way from a machine to a mailbox.

use std::net::ToSocketAddrs as _;

use tests::{
    agent::{Agent, CRON, CRON_ARGUMENTS},
    peers,
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
    wait::until,
};

const MESSAGE: &[u8] = b"Subject: hello\r\n\r\nhello\r\n";

/// Row D1.
#[test]
fn brackets_mean_the_host_itself_and_nobody_asks_for_its_mx() {
    if ("localhost", 25).to_socket_addrs().is_err() {
        return peers::skip("no hosts file names localhost");
    }
    let sink = Sink::start();
    // No name server knows an MX of localhost; the hosts file knows its address.
    let relayhost = format!("[localhost]:{}", sink.address().port());
    let smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{relayhost}\"\n"
    ));
    Session::greeted(smarthost.address()).delivers("a@example.org", &["b@example.net"], MESSAGE);
    assert_eq!(sink.journal().first().recipients, ["b@example.net"]);

    let machine = Agent::start(&format!("relayhost = \"{relayhost}\"\ntls = \"none\"\n"));
    machine.send(&CRON_ARGUMENTS, CRON);
    assert_eq!(sink.journal().wait_for(2)[1].helo, "vm1.example.test");
}

/// Row D10.
#[test]
fn from_a_machine_over_relay_and_main_server_to_a_mailbox_and_to_the_world() {
    let world = Sink::start();
    let main = Smarthost::start(&format!(
        "hostname = \"main.campus.example\"\nnetworks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\nmaildir = \"$DIR/Maildir\"\ndomains = {{ local = [\"campus.example\"] }}\n",
        world.nexthop()
    ));
    let relay = Smarthost::start(&format!(
        "hostname = \"relay.campus.example\"\nnetworks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\nrelay_tls = {{ pins = [\"{}\"] }}\n",
        main.nexthop(),
        main.pin()
    ));
    let mut machine = Agent::prepare(&format!(
        "relayhost = \"{}\"\npins = [\"{}\"]\nhostname = \"db3.campus.example\"\ndomain = \"campus.example\"\naliases = \"$DIR/aliases\"\n",
        relay.nexthop(),
        relay.pin()
    ));
    machine.file(
        "aliases",
        "root: admins@campus.example, oncall@example.net\n",
    );
    machine.run();
    machine.send(&CRON_ARGUMENTS, CRON);

    let outside = world.journal().first();
    assert_eq!(outside.recipients, ["oncall@example.net"]);
    let mailbox = until("the message is in the mailbox", || {
        main.maildir("Maildir").pop()
    });
    for text in [
        outside.text(),
        mailbox.replace("\r\n", "\n").replace('\n', "\r\n"),
    ] {
        for hop in ["by main.campus.example", "by relay.campus.example"] {
            assert!(text.contains(hop), "no hop {hop} in:\n{text}");
        }
    }
    machine.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
    relay.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
    main.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
    assert_eq!(main.maildir("Maildir").len(), 1);
}
