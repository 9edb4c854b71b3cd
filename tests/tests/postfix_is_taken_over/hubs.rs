//! Servers to which all machines of a site give their mail.

use std::{fs, net::SocketAddr, path::PathBuf};

use tests::{
    binaries::write_program,
    identity::Identity,
    login::anybody,
    milter::{Milter, go_on},
    resolver::{Record, Resolver},
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
    wait::{free_address, until},
};

use super::{MESSAGE, asking, hears, runs, site, taken_over, told};

/// Rows A1, A4, A8: the hub of all machines.
#[test]
fn the_first_server_of_an_association_does_what_its_postfix_did() {
    let world = Sink::start();
    let resolver = Resolver::anywhere(|name| match name {
        "ham.example" => Some(vec![Record::Mx("mx.ham.example")]),
        _ => None,
    });
    let mut smarthost = site("hub", &[]);
    let route = format!("relayhost = \"{}\"\n", world.nexthop());
    let said = taken_over(
        &smarthost,
        &format!("{}{route}", asking(resolver.address())),
    );
    told(
        &said,
        "mapped",
        "alias_maps local_recipient_maps smtpd_client_message_rate_limit smtpd_client_event_limit_exceptions \
         anvil_rate_time_unit smtpd_recipient_restrictions smtpd_relay_restrictions mydestination mynetworks",
    );
    told(
        &said,
        "default",
        "recipient_delimiter smtpd_tls_security_level",
    );
    told(
        &said,
        "ignored on purpose",
        "biff mailbox_size_limit readme_directory smtpd_helo_required disable_vrfy_command alias_database",
    );
    let server = runs(&mut smarthost);
    let ham = "a@ham.example";
    hears(
        server,
        &[
            ("127.0.0.4", ham, "treasurer@asso.example", "250"),
            ("127.0.0.4", ham, "treasurer+bills@asso.example", "250"),
            ("127.0.0.4", ham, "nobody@asso.example", "550 5.1.1"),
            (
                "127.0.0.4",
                ham,
                "victim@elsewhere.example",
                "554 5.7.1 <victim@elsewhere.example>: Relay access denied",
            ),
        ],
    );
    // A container that floods, and the monitoring.
    for (client, replies) in [
        ("127.0.0.8", [250, 250, 450]),
        ("127.0.0.9", [250, 250, 250]),
    ] {
        let mut session = Session::connect_from(client.parse().unwrap(), server);
        session.reply();
        session.say("EHLO vm.asso.example");
        for reply in replies {
            let to = ["mailer-daemon@asso.example", "members@asso.example"];
            let taken = session.mail("root@vm.asso.example", &to, MESSAGE);
            assert_eq!(taken.unwrap().code, reply, "{client}");
        }
    }
    let arrived = world.recipients(15);
    assert_eq!(
        arrived.join(" "),
        ["ann@home.example", "bob@home.example", "team@home.example"]
            .map(|to| [to; 5].join(" "))
            .join(" ")
    );
}

/// The central server of the relays: its next hop, what it asks, and its programs.
struct Central {
    world: Sink,
    milter: Milter,
    wrapped: SocketAddr,
    smarthost: Smarthost,
    directory: PathBuf,
    /// Keeps answering.
    _resolver: Resolver,
}

/// Taken over, with what its transports say.
fn central() -> Central {
    let world = Sink::start();
    let resolver = Resolver::anywhere(|name| match name {
        "" => Some(vec![Record::Secure]),
        "ham.example" => Some(vec![Record::Mx("mx.ham.example"), Record::Secure]),
        _ => None,
    });
    let milter = Milter::start(|_, _| go_on());
    let wrapped = free_address();
    let words = [
        ("@MILTER@", milter.endpoint()),
        ("@WRAPPED@", wrapped.to_string()),
        ("@PORT@", world.address().port().to_string()),
    ];
    let smarthost = site("relays", &words);
    let directory = smarthost.directory().to_owned();
    Identity::new("main.relays.example").write(&directory.join("postfix"), "main");
    fs::create_dir(directory.join("bin")).unwrap();
    for (name, what) in [
        ("schleuder", "schleuder \"$@\""),
        ("mailman", "mailman \"$@\""),
        ("answer", "answer"),
    ] {
        let line = format!("#!/bin/sh\ncat >/dev/null\necho {what} >>$(dirname $0)/ran\n");
        write_program(&directory.join("bin").join(name), &line);
    }
    let route = format!(
        "routes = {{ \"lists.relays.example\" = \"{}\" }}\n",
        world.nexthop()
    );
    let said = taken_over(
        &smarthost,
        &format!("{route}{}", asking(resolver.address())),
    );
    told(
        &said,
        "mapped",
        "mydestination smtpd_banner transport_maps local_recipient_maps smtp_tls_security_level smtpd_milters milter_default_action \
         slow_destination_concurrency_limit slow_destination_recipient_limit slow_destination_rate_delay \
         yahoo_initial_destination_concurrency yahoo_destination_concurrency_limit yahoo_destination_recipient_limit \
         yahoo_destination_rate_delay default_destination_concurrency_limit schleuder_destination_recipient_limit",
    );
    told(
        &said,
        "default",
        "recipient_delimiter smtpd_tls_security_level",
    );
    let config = String::from_utf8(smarthost.admin(&["config"]).stdout).unwrap();
    for set in [
        "transports.slow.connections = 2",
        "transports.slow.recipients = 20",
        "transports.slow.delay = \"2s\"",
        "transports.slow.processes = 5",
        "transports.yahoo.initial_connections = 1",
        "transports.yahoo.connections = 4",
        "tls_out.level = \"dane\"",
    ] {
        assert!(config.contains(set), "{set}: {config}\n{said}");
    }
    Central {
        world,
        milter,
        wrapped,
        smarthost,
        directory,
        _resolver: resolver,
    }
}

/// Rows B1, B2, B3, B4, B6, B7, B8, B9, B11, B12, B13, B14: the central server, with lists, an
/// auto-responder and slow ways.
#[test]
fn the_central_server_of_relays_does_what_its_postfix_did() {
    let Central {
        world,
        milter,
        wrapped,
        mut smarthost,
        directory,
        _resolver,
    } = central();
    let server = runs(&mut smarthost);
    assert_eq!(
        Session::connect(server).reply().text(),
        "main.relays.example ESMTP; relays carry no mail"
    );
    let ham = "a@ham.example";
    hears(
        server,
        &[
            ("127.0.0.4", ham, "root@relays.fr.example", "250"),
            ("127.0.0.4", ham, "root+x@main.relays.org.example", "250"),
            ("127.0.0.4", ham, "talk@vm4711.hoster.example", "250"),
            ("127.0.0.4", ham, "secret@relays.org.example", "250"),
            ("127.0.0.4", ham, "daemon@relays.net.example", "550 5.1.1"),
            ("127.0.0.4", ham, "u@elsewhere.example", "554 5.7.1"),
            ("127.0.0.2", ham, "u@yahoo.co.uk", "250"),
        ],
    );
    let mut session = Session::connect_from("127.0.0.2".parse().unwrap(), wrapped)
        .wrapped(anybody())
        .ehlo();
    let to = [
        "nobody@main.relays.example",
        "talk-request@relays.net.example",
        "secret-owner@relays.org.example",
        "donation-bank@relays.fr.example",
        "u@big.example",
        "u@yahoo.com",
    ];
    session.delivers("node@relays.example", &to, MESSAGE);
    assert_eq!(
        world.recipients(3),
        [
            "admins@lists.relays.example",
            "u@big.example",
            "u@yahoo.com"
        ]
    );
    let ran = until("all programs have run", || {
        let ran = fs::read_to_string(directory.join("bin/ran")).unwrap_or_default();
        let mut lines: Vec<_> = ran.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        (lines.len() == 3).then_some(lines)
    });
    assert_eq!(
        ran,
        [
            "answer",
            "mailman request talk",
            "schleuder work secret-owner@relays.org.example"
        ]
    );
    assert!(milter.letters().contains('E'), "rspamd saw the mail");
}
