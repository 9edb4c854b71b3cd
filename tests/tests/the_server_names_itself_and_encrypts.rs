//! The smarthost's face: names it takes mail for, its banner, TLS on both kinds of port.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, sync::Arc};

use relay::{
    tls::{ClientTls, Trust},
    trust::Pin,
};
use rustls::{ClientConfig, HandshakeKind};
use tests::{
    identity::{Identity, write},
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
    wait::{free_address, until, until_true},
};

const MESSAGE: &[u8] = b"Subject: hello\r\n\r\nhello\r\n";

fn trusting() -> Arc<ClientConfig> {
    ClientTls::new(&Trust::Opportunistic).unwrap().config
}

/// Row B1.
#[test]
fn mail_for_all_names_of_the_server_is_taken_from_anyone_and_for_no_other() {
    let smarthost = Smarthost::start(
        "hostname = \"mail.example.test\"\nnetworks = [\"127.0.0.77/32\"]\nmaildir = \"$DIR/Maildir\"\n\
         [domains]\nlocal = [\"example.net\", \"example.org\", \"example.fr\", \"mail.example.org\", \"vps1.hoster.example\"]\n",
    );
    let mut session = Session::greeted(smarthost.address());
    let own = [
        "mail.example.test",
        "localhost",
        "example.net",
        "example.org",
        "example.fr",
        "mail.example.org",
        "vps1.hoster.example",
    ];
    for domain in own {
        let reply = session
            .mail(
                "stranger@example.com",
                &[&format!("postmaster@{domain}")],
                MESSAGE,
            )
            .unwrap();
        assert_eq!(reply.code, 250, "{domain}: {reply:?}");
    }
    let reply = session
        .mail(
            "stranger@example.com",
            &["someone@elsewhere.example"],
            MESSAGE,
        )
        .unwrap();
    assert_eq!(reply.code, 554, "{reply:?}");
    assert!(reply.text().contains("Relay access denied"), "{reply:?}");
    until_true("the mail is in the Maildir", || {
        smarthost.maildir("Maildir").len() == own.len()
    });
}

/// Row B6.
#[test]
fn the_banner_is_the_administrators_own_text() {
    let smarthost =
        Smarthost::start("banner = \"mail.example.test ESMTP be kind, and no spam please\"\n");
    let greeting = Session::connect(smarthost.address()).reply();
    assert_eq!(
        (greeting.code, greeting.text().as_str()),
        (220, "mail.example.test ESMTP be kind, and no spam please")
    );
}

/// Row B4.
#[test]
fn where_no_logins_are_set_none_is_offered_or_taken_under_tls_either() {
    let smarthost = Smarthost::start("");
    let clear = Session::connect(smarthost.address());
    let mut session = clear.ehlo().starttls(trusting());
    let offered = session.say("EHLO client.example");
    assert_eq!(offered.code, 250, "{offered:?}");
    assert!(!offered.text().contains("AUTH"), "{offered:?}");
    for mechanism in ["PLAIN AGEAYg==", "LOGIN", "SCRAM-SHA-256"] {
        let refused = session.say(&format!("AUTH {mechanism}")).code;
        assert!((500..=504).contains(&refused), "{mechanism}: {refused}");
    }
}

/// Row B7.
#[test]
fn starttls_and_wrapped_tls_are_offered_and_sessions_resumed() {
    let sink = Sink::start();
    let wrapped = free_address();
    let mut smarthost = Smarthost::prepare("");
    let (first, nexthop) = (smarthost.address(), sink.nexthop());
    smarthost.configure(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{nexthop}\"\nlisten = [\"{first}\", {{ address = \"{wrapped}\", tls = \"wrapped\" }}]\n"
    ));
    smarthost.run();
    for address in [first, wrapped] {
        let config = trusting();
        let open = || {
            if address == first {
                Session::greeted(address).starttls(Arc::clone(&config))
            } else {
                Session::connect(address)
                    .wrapped(Arc::clone(&config))
                    .ehlo()
            }
        };
        let mut session = open();
        assert_eq!(session.handshake(), Some(HandshakeKind::Full), "{address}");
        session.delivers("a@example.org", &["b@example.net"], MESSAGE);
        assert_eq!(
            open().handshake(),
            Some(HandshakeKind::Resumed),
            "{address}"
        );
    }
    for received in sink.journal().wait_for(2) {
        assert!(
            received.fields("received")[0].contains("ESMTPS"),
            "{}",
            received.header_section()
        );
    }
}

/// Row B7: the key is made at the first start, and stays.
#[test]
fn the_key_made_at_the_first_start_is_still_the_servers_after_a_restart() {
    let mut smarthost = Smarthost::start("");
    let pin = smarthost.pin();
    smarthost.kill();
    smarthost.run();
    assert_eq!(smarthost.pin(), pin);
    let pins = Trust::Pins(vec![Pin::parse(&pin).unwrap()]);
    let session =
        Session::greeted(smarthost.address()).starttls(ClientTls::new(&pins).unwrap().config);
    assert_eq!(
        session.handshake(),
        Some(HandshakeKind::Full),
        "the printed pin is the key's"
    );
}

/// Row B7: machines pin the key, so nothing but an administrator replaces it.
#[test]
fn the_key_that_machines_pin_outlives_its_certificate_and_comes_back_from_a_backup() {
    let mut smarthost = Smarthost::start("");
    let state = smarthost.directory().join("state");
    let [key, certificate] = ["key.pem", "cert.pem"].map(|name| state.join(name));
    let (pin, backup) = (smarthost.pin(), fs::read(&key).unwrap());
    // What reads makes no other, nor does a reload or a restart.
    fs::remove_file(&certificate).unwrap();
    assert_eq!(smarthost.pin(), pin);
    assert!(!certificate.exists(), "the daemon's files are its own");
    assert!(smarthost.admin(&["reload"]).status.success());
    assert_eq!(smarthost.pin(), pin);
    smarthost.kill();
    fs::remove_file(&certificate).unwrap();
    smarthost.run();
    assert_eq!(smarthost.pin(), pin);

    // A key that is gone is missed, not replaced.
    fs::remove_file(&key).unwrap();
    let refused = smarthost.admin(&["reload"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success(), "{told}");
    assert!(told.contains("restore the key from a backup"), "{told}");
    let trust = Trust::Pins(vec![Pin::parse(&pin).unwrap()]);
    let tls = ClientTls::new(&trust).unwrap().config;
    let shown = |address| {
        Session::greeted(address)
            .starttls(Arc::clone(&tls))
            .certificate()
    };
    assert!(shown(smarthost.address()).is_some());

    // Not even at a restart: the pair that was last good stands in, and is told.
    smarthost.kill();
    smarthost.run();
    assert!(shown(smarthost.address()).is_some());
    let status = smarthost.admin(&["status"]).stdout;
    let status = String::from_utf8_lossy(&status);
    assert!(
        status.contains("the key that clients pin is gone"),
        "{status}"
    );

    // On another machine, which has made a pair already.
    let mut other = Smarthost::start("");
    assert_ne!(other.pin(), pin);
    other.kill();
    write(&other.directory().join("state/key.pem"), backup);
    let checked = other.admin(&["check"]).stdout;
    let checked = String::from_utf8_lossy(&checked);
    assert!(!checked.contains("does not belong"), "{checked}");
    other.run();
    assert_eq!(other.pin(), pin);
    assert!(shown(other.address()).is_some());
}

/// Row B7, stricter: at a reload, on both kinds of port.
#[test]
fn the_oldest_version_of_tls_is_the_administrators_choice() {
    let identity = Identity::new("mail.example.test");
    let wrapped = free_address();
    let mut smarthost = Smarthost::prepare("");
    identity.write(smarthost.directory(), "own");
    let configure = |smarthost: &Smarthost, minimum: &str| {
        smarthost.configure(&format!(
            "listen = [\"{}\", {{ address = \"{wrapped}\", tls = \"wrapped\" }}]\n\
             tls = {{ certificate = \"own.pem\", key = \"own.key\"{minimum} }}\n",
            smarthost.address()
        ));
    };
    configure(&smarthost, "");
    smarthost.run();
    let versions = [&rustls::version::TLS12, &rustls::version::TLS13];
    let spoken = || {
        versions.map(|version| {
            let config = identity.client_of(&[version]);
            let starttls = Session::greeted(smarthost.address());
            let mut starttls = {
                let mut clear = starttls;
                assert_eq!(clear.say("STARTTLS").code, 220);
                clear.wrapped(Arc::clone(&config))
            };
            let starttls = starttls
                .send(b"NOOP\r\n")
                .and_then(|()| starttls.try_reply());
            let first = Session::connect(wrapped).wrapped(config).try_reply();
            assert_eq!(starttls.is_ok(), first.is_ok(), "{starttls:?} {first:?}");
            first.is_ok()
        })
    };
    assert_eq!(spoken(), [true, true]);
    configure(&smarthost, ", minimum = \"1.3\"");
    assert!(smarthost.admin(&["reload"]).status.success());
    assert_eq!(spoken(), [false, true]);
    let told = smarthost.admin(&["config"]).stdout;
    assert!(
        String::from_utf8(told)
            .unwrap()
            .contains("tls.minimum = \"1.3\"")
    );
    configure(&smarthost, ", minimum = \"1.1\"");
    let refused = smarthost.admin(&["reload"]);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success() && told.contains("config.toml:") && told.contains("`1.2`"),
        "{told}"
    );
    assert_eq!(spoken(), [false, true]);
}

#[test]
fn a_certificate_of_ones_own_is_used() {
    let identity = Identity::new("mail.example.test");
    let mut smarthost =
        Smarthost::prepare("tls = { certificate = \"$DIR/own.pem\", key = \"$DIR/own.key\" }\n");
    identity.write(smarthost.directory(), "own");
    smarthost.run();
    let pins = Trust::Pins(vec![
        relay::tls::pins_of_file(&smarthost.directory().join("own.pem"))
            .unwrap()
            .pin(),
    ]);
    let session =
        Session::greeted(smarthost.address()).starttls(ClientTls::new(&pins).unwrap().config);
    assert!(session.handshake().is_some());
}

/// Row B7: an ACME tool renews the certificate; nobody has to tell the daemon. Another key is
/// another matter: clients have to pin it first.
#[test]
fn a_renewed_certificate_is_taken_by_itself_and_open_sessions_go_on_while_another_key_waits() {
    let identity = Identity::new("mail.example.test");
    let mut smarthost = Smarthost::prepare(
        "networks = [\"127.0.0.0/8\"]\ntls = { certificate = \"$DIR/own.pem\", key = \"$DIR/own.key\" }\n",
    );
    let directory = smarthost.directory().to_owned();
    identity.write(&directory, "own");
    smarthost.run();
    let pin = Pin::parse(&smarthost.pin()).unwrap();
    let (address, tls) = (smarthost.address(), || {
        ClientTls::new(&Trust::Pins(vec![pin.clone()])).unwrap()
    });
    let shown = || {
        Session::greeted(address)
            .starttls(tls().config)
            .certificate()
    };
    let first = shown().unwrap();
    let mut open = Session::greeted(address).starttls(tls().config);

    identity
        .renewed("mail.example.test")
        .write(&directory, "own");
    let second = until("the new certificate is shown", || {
        shown().filter(|certificate| *certificate != first)
    });
    assert_eq!(open.say("NOOP").code, 250);
    open.delivers("a@example.org", &["postmaster@mail.example.test"], MESSAGE);
    let log = smarthost.daemon().log();
    assert_eq!(
        log.matches("the certificate is renewed").count(),
        1,
        "{log}"
    );

    // In the midst of a renewal: a certificate without its key.
    let other = Identity::new("mail.example.test");
    write(&directory.join("own.pem"), &other.certificate);
    until_true("the half of a pair is told", || {
        assert_eq!(shown().as_ref(), Some(&second));
        let log = smarthost.daemon().log();
        log.contains("does not belong to the certificate")
            && log.contains("the certificate that was read before stays")
    });
    write(&directory.join("own.key"), &other.key);
    until_true("the other key is told", || {
        assert_eq!(shown().as_ref(), Some(&second));
        smarthost
            .daemon()
            .log()
            .contains("it takes effect at a reload")
    });
    let reload = smarthost.admin(&["reload"]);
    assert!(reload.status.success(), "{reload:?}");
    assert_ne!(Pin::parse(&smarthost.pin()).unwrap(), pin);
    let anybody = Session::greeted(address).starttls(trusting());
    assert_ne!(anybody.certificate(), Some(second));
    assert_eq!(open.say("NOOP").code, 250);
}

/// Bytes that were sent in clear text together with STARTTLS are not commands of the encrypted
/// session.
#[test]
fn commands_smuggled_before_the_handshake_are_forgotten() {
    let smarthost = Smarthost::start("");
    let mut session = Session::greeted(smarthost.address());
    session
        .send(b"STARTTLS\r\nMAIL FROM:<forged@example.org>\r\n")
        .unwrap();
    assert_eq!(session.reply().code, 220);
    let mut session = session.wrapped(trusting());
    assert_eq!(
        session.say("RCPT TO:<a@mail.example.test>").code,
        503,
        "there is no transaction"
    );
}
