//! Exim and `OpenSMTPD` as next hops, each with what it announces, refuses and limits by itself.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use relay::tls::pins_of_file;
use tests::{
    agent::Agent,
    server::Server,
    session::Session,
    smarthost::Smarthost,
    wait::{until, until_true},
};

const REPORT: &str = "Content-Type: multipart/report";
const MESSAGE: &[u8] =
    b"From: <a@example.org>\r\nSubject: hello\r\n\r\n.leading dot\r\n.\r\nend\r\n";

/// A smarthost that gives all its mail to this server.
fn before(server: &Server) -> Smarthost {
    Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\n",
        server.nexthop()
    ))
}

fn pin(server: &Server) -> String {
    let own = server.directory().join("own.pem");
    pins_of_file(&own).unwrap().pin().to_string()
}

/// For whom the server has taken mail with this in it that is no report, in the order of the
/// alphabet.
fn taken(server: &Server, text: &str) -> Vec<String> {
    let recipient = |mail: &String| {
        let field = ["Envelope-to: ", "Delivered-To: "];
        let mut names = mail
            .lines()
            .filter_map(|line| field.iter().find_map(|name| line.strip_prefix(name)));
        names.next().unwrap_or_default().to_owned()
    };
    let mail = server.mailbox();
    let with = mail
        .iter()
        .filter(|mail| mail.contains(text) && !mail.contains(REPORT));
    let mut names: Vec<_> = with.map(recipient).collect();
    names.sort();
    names
}

/// What the sender of mail hears of it.
fn report(server: &Server, text: &str) -> String {
    until(&format!("the sender hears: {text}"), || {
        let mut mail = server.mailbox().into_iter();
        mail.find(|mail| mail.contains(REPORT) && mail.contains(text))
    })
}

fn both(exim: &str, opensmtpd: &str) -> Option<[(Server, &'static str); 2]> {
    Some([
        (Server::exim(exim)?, "550 no such user"),
        (Server::opensmtpd(opensmtpd)?, "524 5.2.4"),
    ])
}

/// Over their limit of recipients a transaction, with one that is refused and one that shall come
/// again.
#[test]
fn each_recipient_has_an_outcome_of_its_own_whatever_the_server_says_in_between() {
    let Some(servers) = both("recipients_max = 3", "smtp limit max-rcpt 3") else {
        return;
    };
    for (server, refusal) in servers {
        let smarthost = before(&server);
        let names = ["ghost", "later", "b", "c", "d", "e"];
        let all = names.map(|name| format!("{name}@example.net"));
        let mut session = Session::greeted(smarthost.address());
        session.delivers(
            "box@example.net",
            &all.each_ref().map(String::as_str),
            MESSAGE,
        );
        let wanted = ["b", "c", "d", "e"].map(|name| format!("{name}@example.net"));
        until_true("all that exist have the message", || {
            taken(&server, "\n.leading dot\n.\nend\n").len() >= wanted.len()
        });
        let bounce = report(&server, "Final-Recipient: rfc822; ghost@example.net");
        assert!(bounce.contains(refusal), "{bounce}");
        let listing = smarthost.wait_for_mailq("who waits", |text| text.contains("come again"));
        assert!(listing.contains("later@example.net"), "{listing}");
        for name in &wanted {
            assert!(!listing.contains(name), "{name}: {listing}");
        }
        assert_eq!(taken(&server, "\n.leading dot\n.\nend\n"), wanted);
    }
}

/// Only whoever waits is tried again.
#[test]
fn a_recipient_that_waits_at_exim_gets_the_message_later_and_nobody_twice() {
    let Some(server) = Server::exim("") else {
        return;
    };
    let smarthost = before(&server);
    let mut session = Session::greeted(smarthost.address());
    session.delivers(
        "a@example.org",
        &["later@example.net", "b@example.net"],
        MESSAGE,
    );
    smarthost.wait_for_mailq("who waits", |text| text.contains("come again"));
    until_true("the other has it", || !taken(&server, "hello").is_empty());
    tests::identity::write(&server.directory().join("now"), "");
    assert!(smarthost.admin(&["queue", "flush"]).status.success());
    smarthost.wait_for_mailq("nothing", |text| text.contains("empty"));
    until_true("both have it", || taken(&server, "hello").len() >= 2);
    assert_eq!(
        taken(&server, "hello"),
        ["b@example.net", "later@example.net"]
    );
}

/// What a server does not announce is not sent to it: 8-bit text goes to both, an address that
/// needs SMTPUTF8 to Exim alone.
#[test]
fn a_message_is_fitted_to_what_the_server_announces() {
    let Some([(exim, _), (opensmtpd, _)]) = both("", "") else {
        return;
    };
    // Both go on until the end: a bounce is on its way.
    let mut smarthosts = [before(&exim), before(&opensmtpd)];
    for (server, smarthost) in [&exim, &opensmtpd].into_iter().zip(&mut smarthosts) {
        let mut session = Session::greeted(smarthost.address());
        for (parameter, to, subject) in [
            ("BODY=8BITMIME", "b@example.net", "plain"),
            ("BODY=8BITMIME SMTPUTF8", "ü@example.net", "Grüße"),
        ] {
            for (command, code) in [
                (format!("MAIL FROM:<box@example.net> {parameter}"), 250),
                (format!("RCPT TO:<{to}>"), 250),
                ("DATA".to_owned(), 354),
            ] {
                assert_eq!(session.say(&command).code, code, "{command}");
            }
            let text = format!(
                "Subject: {subject}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=UTF-8\r\n\
                 Content-Transfer-Encoding: 8bit\r\n\r\nAs it is: ü\r\n.\r\n"
            );
            session.send(text.as_bytes()).unwrap();
            assert_eq!(session.reply().code, 250);
        }
        until_true("it has the message", || {
            taken(server, "As it is: ü").contains(&"b@example.net".to_owned())
        });
        smarthost.daemon().wait_for_log("to=<ü@example.net>");
    }
    until_true("Exim has it", || {
        taken(&exim, "Subject: Grüße") == ["ü@example.net"]
    });
    let bounce = report(&opensmtpd, "SMTPUTF8");
    assert!(bounce.contains("Status: 5.6.7"), "{bounce}");
}

/// Byte for byte; one that is larger than the server takes is not even begun.
#[test]
fn a_large_message_arrives_whole_or_its_sender_hears_how_large_it_may_be() {
    let Some(servers) = both("message_size_limit = 4M", "smtp max-message-size \"4M\"") else {
        return;
    };
    for (server, _) in servers {
        let mut smarthost = before(&server);
        let mut session = Session::greeted(smarthost.address());
        let line = |number: usize| format!("{number:08} {}\r\n", ".".repeat(60));
        for (size, lines) in [("small enough", 50_000), ("too large", 70_000)] {
            let body: String = (0..lines).map(line).collect();
            let message = format!("Subject: {size}\r\n\r\n{body}");
            session.delivers("box@example.net", &["b@example.net"], message.as_bytes());
        }
        let body: String = (0..50_000).map(line).collect();
        let body = body.replace("\r\n", "\n");
        until_true("the message is whole", || {
            taken(&server, &body) == ["b@example.net"]
        });
        let bounce = report(&server, "Status: 5.3.4");
        assert!(bounce.contains("too large"), "{bounce}");
        let log = smarthost.daemon().log();
        assert!(log.contains("dsn=5.3.4, status=bounced"), "{log}");
    }
}

/// Sends thirty messages, to so many recipients: these.
fn send_thirty(smarthost: &Smarthost) -> Vec<String> {
    let names: Vec<_> = (10..40)
        .map(|number| format!("n{number}@example.net"))
        .collect();
    let mut session = Session::greeted(smarthost.address());
    for name in &names {
        session.delivers("a@example.org", &[name], MESSAGE);
    }
    names
}

/// Row C7. Nothing is lost or bounced, nothing comes twice, and the reason is shown.
#[test]
fn what_exim_has_no_connection_for_waits_with_its_words_and_comes_once() {
    let Some(server) = Server::exim("smtp_accept_max_per_host = 1") else {
        return;
    };
    let mut smarthost = before(&server);
    // Somebody of the same address is there all the time.
    let other = Session::greeted(server.address());
    let names = send_thirty(&smarthost);
    let reason = "421 Too many concurrent SMTP connections from this IP address";
    smarthost.wait_for_mailq("Exim's words", |text| text.contains(reason));
    assert_eq!(taken(&server, "hello"), [""; 0]);
    drop(other);
    until_true("all have it", || {
        assert!(smarthost.admin(&["queue", "flush"]).status.success());
        taken(&server, "hello").len() >= names.len()
    });
    smarthost.wait_for_mailq("nothing", |text| text.contains("empty"));
    assert_eq!(taken(&server, "hello"), names);
    let log = smarthost.daemon().log();
    assert!(!log.contains("status=bounced"), "{log}");
}

/// A connection that Exim has had enough of is followed by another one.
#[test]
fn messages_over_exims_limit_for_a_connection_go_over_the_next_one() {
    let Some(server) = Server::exim("smtp_accept_max_per_connection = 3") else {
        return;
    };
    let mut smarthost = before(&server);
    let names = send_thirty(&smarthost);
    smarthost.wait_for_mailq("nothing", |text| text.contains("empty"));
    until_true("all have it", || {
        taken(&server, "hello").len() >= names.len()
    });
    assert_eq!(taken(&server, "hello"), names);
    let log = smarthost.daemon().log();
    assert!(!log.contains("status=deferred"), "{log}");
}

/// Mail goes over the pinned key, or not at all: Debian 12's `OpenSMTPD` offers STARTTLS, and fails
/// at every handshake. Where nothing is demanded, such a server gets its mail in clear text.
#[test]
fn a_server_whose_tls_does_not_work_gets_no_mail_in_clear_text_unless_that_is_allowed() {
    let Some(servers) = both("", "") else {
        return;
    };
    for (server, _) in servers {
        let mut smarthost = Smarthost::start(&format!(
            "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\nrelay_tls = {{ pins = [\"{}\"] }}\n",
            server.nexthop(),
            pin(&server)
        ));
        let mut session = Session::greeted(smarthost.address());
        session.delivers("a@example.org", &["b@example.net"], MESSAGE);
        let log = smarthost.daemon().wait_for_log("status=");
        if log.contains("status=sent") {
            assert!(log.contains("by pinned key"), "{log}");
        } else {
            assert!(log.contains("refused the TLS handshake"), "{log}");
            smarthost.wait_for_mailq("why it waits", |text| text.contains("TLS handshake"));
            assert_eq!(taken(&server, "hello"), [""; 0]);
        }
        let smarthost = before(&server);
        let mut session = Session::greeted(smarthost.address());
        session.delivers("a@example.org", &["c@example.net"], MESSAGE);
        until_true("it has the message", || {
            taken(&server, "hello").contains(&"c@example.net".to_owned())
        });
    }
}

#[test]
fn a_machines_agent_gives_its_mail_to_either_of_them() {
    let Some(servers) = both("", "") else {
        return;
    };
    let [(exim, _), (opensmtpd, _)] = servers;
    let pinned = format!("pins = \"{}\"", pin(&exim));
    // Its TLS does not work in Debian 12.
    for (server, tls) in [(exim, pinned.as_str()), (opensmtpd, "tls = \"none\"")] {
        let machine = Agent::start(&format!(
            "relayhost = \"{}\"\n{tls}\nadmin = \"box@example.net\"\ndomain = \"example.net\"\n",
            server.nexthop()
        ));
        machine.send(
            &[
                "-f",
                "box@example.net",
                "b@example.net",
                "ghost@example.net",
                "later@example.net",
                "c@example.net",
            ],
            "Subject: from a machine\n\n..\n.text\n",
        );
        until_true("both have it", || {
            taken(&server, "\n..\n.text\n") == ["b@example.net", "c@example.net"]
        });
        machine.wait_for_mailq("who waits", |text| {
            text.contains("come again") && !text.contains("b@example.net")
        });
        report(&server, "rfc822; ghost@example.net");
        let checked = machine.admin(&["check"]);
        let table = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert!(table.contains("to <box@example.net>: 250"), "{table}");
    }
}
