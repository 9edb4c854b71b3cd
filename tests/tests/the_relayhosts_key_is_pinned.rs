//! The agent believes a key, not a name: what it takes, what it refuses, and that a refusal loses
//! nothing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, process::Command};

use tests::{
    agent::{Agent, CRON, CRON_ARGUMENTS, pipe},
    identity::Identity,
    peers,
    sink::{Script, Sink},
};

/// Rows B16: the pipeline of three openssl commands that they run on the server.
fn pin_by_openssl(certificate: &Path) -> Option<String> {
    let openssl = peers::find("openssl")?;
    let run = |arguments: &[&str], input: &[u8]| {
        let output = pipe(Command::new(&openssl).args(arguments), input);
        assert!(output.status.success(), "openssl {arguments:?}: {output:?}");
        output.stdout
    };
    let key = run(
        &["x509", "-noout", "-pubkey", "-in", peers::text(certificate)],
        b"",
    );
    let der = run(&["pkey", "-pubin", "-outform", "DER"], &key);
    let digest = String::from_utf8(run(&["dgst", "-sha1", "-c"], &der)).unwrap();
    Some(digest.split_whitespace().last().unwrap().to_owned())
}

/// Rows B15 B16.
#[test]
fn a_sha1_pin_made_with_openssl_holds_while_certificates_come_and_go() {
    let identity = Identity::new("relay.example.test");
    let sink = Sink::with(Script::with_tls(identity.server()));
    let mut node = Agent::prepare("");
    identity.write(node.directory(), "relay");
    let Some(pin) = pin_by_openssl(&node.directory().join("relay.pem")) else {
        return;
    };
    assert_eq!(pin.matches(':').count(), 19, "colon-separated hex: {pin}");
    node.configure(&format!(
        "relayhost = \"{}\"\npins = [\"sha1:{pin}\"]\n",
        sink.nexthop()
    ));
    node.run();
    node.send(&CRON_ARGUMENTS, CRON);
    assert!(sink.journal().first().encrypted);
    let log = node.daemon().wait_for_log("TLSv1.3");
    assert!(
        log.to_lowercase().contains("sha-1") || log.to_lowercase().contains("sha1"),
        "SHA-1 pins are taken with a warning:\n{log}"
    );

    sink.play(Script::with_tls(
        identity.renewed("relay.example.test").server(),
    ));
    node.kill();
    node.run();
    node.send(&CRON_ARGUMENTS, CRON);
    assert!(
        sink.journal().wait_for(2)[1].encrypted,
        "the key is the same, the certificate is new"
    );
}

/// Row B15: identity comes before delivery; the mail waits, and says which key it saw and which it
/// wanted.
#[test]
fn another_key_is_refused_and_the_mail_waits_with_the_reason() {
    let (right, wrong) = (
        Identity::new("relay.example.test"),
        Identity::new("relay.example.test"),
    );
    let mut node = Agent::prepare("");
    right.write(node.directory(), "right");
    wrong.write(node.directory(), "wrong");
    let [expected, seen] = ["right.pem", "wrong.pem"].map(|file| {
        relay::tls::pins_of_file(&node.directory().join(file))
            .unwrap()
            .pin()
            .to_string()
    });
    let sink = Sink::with(Script::with_tls(wrong.server()));
    node.configure(&format!(
        "relayhost = \"{}\"\npins = [\"{expected}\"]\n",
        sink.nexthop()
    ));
    node.run();
    node.send(&CRON_ARGUMENTS, CRON);
    let digits = |pin: &str| pin.trim_start_matches("sha256:").to_owned();
    let listing = node.wait_for_mailq("both keys", |text| {
        text.replace('\n', "").contains(&digits(&seen))
    });
    assert!(listing.contains(&digits(&expected)), "{listing}");
    assert!(
        sink.journal().is_empty(),
        "nothing may reach the wrong server"
    );

    sink.play(Script::with_tls(right.server()));
    assert!(node.sendmail(&["-q"], "").status.success());
    assert!(sink.journal().first().encrypted);
    node.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
}

/// Row B15: the server must be there encrypted, or not at all.
#[test]
fn a_relay_that_stops_offering_tls_gets_no_mail_in_clear() {
    let sink = Sink::start();
    let pin = format!("sha256:{}", "ab".repeat(32));
    let node = Agent::start(&format!(
        "relayhost = \"{}\"\npins = [\"{pin}\"]\n",
        sink.nexthop()
    ));
    node.send(&CRON_ARGUMENTS, CRON);
    node.wait_for_mailq("that TLS is missing", |text| text.contains("TLS"));
    assert!(sink.journal().is_empty());
}

/// Row B15: "at least TLS 1.1" there, which means 1.2 or 1.3 today.
#[test]
fn a_relay_that_speaks_only_one_version_of_tls_is_reached_by_its_pin() {
    use rustls::version::{TLS12, TLS13};
    let identity = Identity::new("relay.example.test");
    for (version, name) in [(&TLS12, "TLSv1.2"), (&TLS13, "TLSv1.3")] {
        let sink = Sink::with(Script {
            starttls: Some(identity.server_of(&[version])),
            ..Script::default()
        });
        let mut node = Agent::prepare("");
        identity.write(node.directory(), "relay");
        let Some(pin) = pin_by_openssl(&node.directory().join("relay.pem")) else {
            return;
        };
        node.configure(&format!(
            "relayhost = \"{}\"\npins = [\"sha1:{pin}\"]\n",
            sink.nexthop()
        ));
        node.run();
        node.send(&CRON_ARGUMENTS, CRON);
        assert!(sink.journal().first().encrypted);
        node.daemon().wait_for_log(name);
    }
}

/// Which user, unit and script wrote a mail is for a smarthost: a relayhost that is none would send
/// it on to the world.
#[test]
fn only_a_smarthost_is_told_who_wrote_a_mail() {
    let identity = Identity::new("relay.example.test");
    let sink = Sink::with(Script::with_tls(identity.server()));
    let mut node = Agent::prepare("");
    identity.write(node.directory(), "relay");
    let pin = relay::tls::pins_of_file(&node.directory().join("relay.pem")).unwrap();
    node.configure(&format!(
        "relayhost = \"{}\"\npins = [\"{}\"]\n",
        sink.nexthop(),
        pin.pin()
    ));
    for (extensions, told) in [(vec![], false), (vec!["XWRITER".to_owned()], true)] {
        sink.play(Script {
            extensions,
            ..Script::with_tls(identity.server())
        });
        node.run();
        node.send(&CRON_ARGUMENTS, CRON);
        let messages = sink.journal().wait_for(1 + usize::from(told));
        let text = messages.last().unwrap().text();
        assert_eq!(text.contains("Sendmail-Shim-Writer: user="), told, "{text}");
        // Nothing else is another.
        assert!(
            text.contains("Subject: ") && text.contains("\r\n\r\n"),
            "{text}"
        );
        node.kill();
    }
}
