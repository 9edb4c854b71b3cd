//! Dovecot's submission service as relayhost: it asks an authority whether a token is good, and
//! passes mail on to the server behind it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    thread,
};

use relay::tls::pins_of_file;
use tests::{
    agent::Agent,
    binaries::write_program,
    dovecot::Dovecot,
    identity::write,
    session::Session,
    sink::{Script, Sink},
    smarthost::Smarthost,
    wait::{free_port, until_true},
};

const MESSAGE: &[u8] = b"Subject: x\r\n\r\n.leading dot\r\n.\r\nend\r\n";
const SETTINGS: &str = "protocols = submission\nhostname = submission.example.test\nssl = yes\nauth_mechanisms = $MECHANISM\n\
    mail_location = maildir:$DIR/mail\nservice submission-login {\n inet_listener submission {\n port = $PORT\n }\n}\n\
    submission_relay_host = 127.0.0.1\nsubmission_relay_port = $SINK\n\
    passdb {\n driver = oauth2\n mechanisms = xoauth2 oauthbearer\n args = $DIR/oauth2\n}\n\
    userdb {\n driver = static\n args = uid=65534 gid=65534 home=$DIR/mail\n}\n\
    auth_failure_delay = 0\nservice anvil {\n unix_listener anvil-auth-penalty {\n mode = 0\n }\n}\n";

/// Says of `tok2` alone that it is good, and whose it is (RFC 7662). Ends with the test's process.
fn authority() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let lines = BufReader::new(client.try_clone().unwrap()).lines();
            let head: Vec<_> = lines
                .map_while(Result::ok)
                .take_while(|it| !it.is_empty())
                .collect();
            let is_good = head
                .first()
                .is_some_and(|first| first.contains("token=tok2&"));
            let body = format!("{{\"active\":{is_good},\"username\":\"vm1\"}}");
            let _ = write!(
                client,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    address
}

/// A Dovecot for one mechanism, before this server; its address and its pin.
fn submission(mechanism: &str, sink: &Sink) -> Option<(Dovecot, SocketAddr, String)> {
    let port = free_port();
    let settings = SETTINGS
        .replace("$MECHANISM", mechanism)
        .replace("$PORT", &port.to_string())
        .replace("$SINK", &sink.address().port().to_string());
    let oauth2 = format!(
        "introspection_url = http://{}/?token=\nintrospection_mode = get\nusername_attribute = username\nactive_attribute = active\nactive_value = true\n",
        authority()
    );
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let dovecot = Dovecot::start(&settings, &[("oauth2", &oauth2)], |_| {
        TcpStream::connect(address).ok()
    })?;
    let pin = pins_of_file(&dovecot.directory().join("own.pem")).unwrap();
    Some((dovecot, address, pin.pin().to_string()))
}

/// Prints one token after the other, and counts its runs.
fn tokens(directory: &Path, tokens: &str) -> String {
    let path = directory.join("token");
    write_program(
        &path,
        &format!(
            "#!/bin/sh\ncd {}\necho run >> runs\nset -- {tokens}\nshift $(($(wc -l < runs) - 1))\necho \"$1\"\n",
            directory.display()
        ),
    );
    path.display().to_string()
}

fn runs(directory: &Path) -> usize {
    let text = fs::read_to_string(directory.join("runs"));
    text.unwrap_or_default().lines().count()
}

/// A server behind it that knows no ghost, and has no time for one.
fn behind() -> Sink {
    Sink::with(Script {
        recipients: vec![
            (
                "ghost@example.net".to_owned(),
                "550 5.1.1 no such user".to_owned(),
            ),
            (
                "later@example.net".to_owned(),
                "450 4.2.0 come again".to_owned(),
            ),
        ],
        ..Script::default()
    })
}

#[test]
fn the_smarthost_shows_dovecot_a_new_token_when_the_old_one_is_refused() {
    for mechanism in ["xoauth2", "oauthbearer"] {
        let sink = behind();
        let Some((_dovecot, address, pin)) = submission(mechanism, &sink) else {
            return;
        };
        let mut smarthost = Smarthost::prepare("");
        let token = tokens(smarthost.directory(), "tok1 tok2 never");
        smarthost.configure(&format!(
            "networks = [\"127.0.0.0/8\"]\nrelayhost = \"[127.0.0.1]:{}\"\nrelay_tls = {{ pins = [\"{pin}\"] }}\n\
             relay_auth = {{ user = \"vm1\", token = {{ command = [\"{token}\"] }} }}\n",
            address.port()
        ));
        smarthost.run();
        let mut session = Session::greeted(smarthost.address());
        let to = [
            "b@example.net",
            "ghost@example.net",
            "later@example.net",
            "c@example.net",
        ];
        session.delivers("a@example.net", &to, MESSAGE);
        smarthost.wait_for_mailq("who waits", |text| text.contains("come again"));
        let large = [
            MESSAGE,
            &b"0123456789 a line of a large message\r\n".repeat(50_000),
        ]
        .concat();
        session.delivers("a@example.net", &["d@example.net"], &large);
        let received = sink.journal().wait_for(3);
        assert!(
            received
                .iter()
                .any(|it| it.recipients == ["b@example.net", "c@example.net"])
        );
        let whole = received
            .iter()
            .any(|it| it.recipients == ["d@example.net"] && it.body().len() >= large.len() - 20);
        assert!(whole);
        let bounce = received.iter().find(|it| it.sender.is_empty()).unwrap();
        assert!(bounce.text().contains("no such user"), "{}", bounce.text());
        assert_eq!(runs(smarthost.directory()), 2, "{mechanism}");
        let log = smarthost.daemon().log();
        assert!(!log.contains("tok1") && !log.contains("tok2"), "{log}");
    }
}

#[test]
fn a_machines_agent_shows_dovecot_its_token_and_its_mail_waits_without_a_good_one() {
    for mechanism in ["xoauth2", "oauthbearer"] {
        let sink = behind();
        let Some((_dovecot, address, pin)) = submission(mechanism, &sink) else {
            return;
        };
        let mut machine = Agent::prepare("");
        let token = machine.directory().join("token");
        let renew = |text: &str| {
            write(&token, text);
            fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        };
        renew("tok1\n");
        machine.configure(&format!(
            "relayhost = \"[127.0.0.1]:{}\"\npins = \"{pin}\"\nadmin = \"box@example.net\"\n\
             auth = {{ user = \"vm1\", token = {{ file = \"token\" }} }}\n",
            address.port()
        ));
        machine.run();
        machine.send(&["b@example.net"], "Subject: x\n\nx\n");
        let refused = machine.wait_for_mailq("the refusal", |text| text.contains("535 5.7.8"));
        assert!(!refused.contains("tok1"), "{refused}");
        assert!(sink.journal().is_empty());
        renew("tok2\n");
        until_true("it is delivered with the new token", || {
            machine.admin(&["queue", "flush"]);
            let messages = sink.journal().messages();
            messages.iter().any(|it| it.recipients == ["b@example.net"])
        });
        let checked = machine.admin(&["check"]);
        let table = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert!(table.contains("accepted as vm1"), "{table}");
        assert!(!machine.daemon().log().contains("tok2"));
    }
}
