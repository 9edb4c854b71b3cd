//! Real peers on both sides: Postfix as next hop and as client, Dovecot's LMTP as mailbox.

use std::os::unix::net::UnixStream;

use relay::tls::pins_of_file;
use tests::{
    dovecot::Dovecot,
    identity::Identity,
    maildir,
    postfix::Postfix,
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
    wait::{until, until_true},
};

const MESSAGE: &[u8] =
    b"From: <a@example.org>\r\nSubject: hello\r\n\r\n.leading dot\r\n.\r\nend\r\n";

const MAILBOX: &str = "virtual_mailbox_domains = example.net\nvirtual_mailbox_base = $DIR/mail\nvirtual_mailbox_maps = static:box/\n\
virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\nvirtual_minimum_uid = 100\n";

#[test]
fn postfix_as_next_hop_takes_mail_over_pinned_tls() {
    let Some(postfix) = Postfix::start(MAILBOX) else {
        return;
    };
    let pin = pins_of_file(&postfix.directory().join("postfix.pem"))
        .unwrap()
        .pin();
    let smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"[127.0.0.1]:{}\"\nrelay_tls = {{ pins = [\"{pin}\"] }}\n",
        postfix.port()
    ));
    let mut session = Session::greeted(smarthost.address());
    session.delivers("a@example.org", &["box@example.net"], MESSAGE);
    let delivered = until("Postfix has delivered", || postfix.mailbox().pop());
    assert!(
        delivered.contains("\n.leading dot\n.\nend\n"),
        "{delivered}"
    );
    assert!(
        delivered.contains("by postfix.example.test (Postfix) with ESMTPS"),
        "{delivered}"
    );
    // What Postfix refuses for good comes back to the sender, and leaves the queue.
    session.delivers(
        "box@example.net",
        &["nobody@elsewhere.invalid", "box@example.net"],
        MESSAGE,
    );
    until_true("the second message is delivered", || {
        postfix.mailbox().len() >= 2
    });
}

#[test]
fn postfix_as_client_relays_through_us_with_the_fingerprint_of_our_key() {
    let sink = Sink::start();
    let mut smarthost = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\ntls = {{ certificate = \"$DIR/our.pem\", key = \"$DIR/our.key\" }}\n",
        sink.nexthop()
    ));
    Identity::new("mail.example.test").write(smarthost.directory(), "our");
    smarthost.run();
    let pin = pins_of_file(&smarthost.directory().join("our.pem"))
        .unwrap()
        .pin()
        .to_string();
    let digits: Vec<_> = pin
        .trim_start_matches("sha256:")
        .replace(':', "")
        .to_uppercase()
        .chars()
        .collect();
    let fingerprint = digits
        .chunks(2)
        .map(|pair| pair.iter().collect())
        .collect::<Vec<String>>()
        .join(":");
    let main = format!(
        "relayhost = {}\nsmtp_tls_security_level = fingerprint\nsmtp_tls_fingerprint_digest = sha256\nsmtp_tls_fingerprint_cert_match = {fingerprint}\n",
        smarthost.nexthop()
    );
    let Some(postfix) = Postfix::start(&main) else {
        return;
    };
    let mut session = Session::greeted(([127, 0, 0, 1], postfix.port()).into());
    for _ in 0..3 {
        session.delivers(
            "a@example.org",
            &["b@example.com", "c@example.com"],
            MESSAGE,
        );
    }
    for received in sink.journal().wait_for(3) {
        assert_eq!(received.recipients, ["b@example.com", "c@example.com"]);
        assert!(
            received.body().starts_with(".leading dot\r\n.\r\nend"),
            "{}",
            received.body()
        );
    }
}

/// A Dovecot that is nothing but an LMTP server with one Maildir a user.
fn dovecot() -> Option<Dovecot> {
    let settings = "protocols = lmtp\nmail_location = maildir:$DIR/mail/%n\nuserdb {\n driver = passwd-file\n args = username_format=%n $DIR/users\n}\n\
         passdb {\n driver = passwd-file\n args = username_format=%n $DIR/users\n}\n\
         service lmtp {\n unix_listener $DIR/lmtp {\n mode = 0666\n }\n}\n";
    let users = "alice::65534:65534::$DIR/mail/alice::\nbob::65534:65534::$DIR/mail/bob::\n";
    Dovecot::start(settings, &[("users", users)], |directory| {
        UnixStream::connect(directory.join("lmtp")).ok()
    })
}

/// Row D5: each recipient has an outcome of its own.
#[test]
fn dovecot_gets_local_mail_over_lmtp_and_decides_for_each_recipient() {
    let Some(mailboxes) = dovecot() else {
        return;
    };
    let world = Sink::start();
    let smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\nlmtp = \"unix:{}/lmtp\"\ndomains = {{ local = [\"example.org\"] }}\n",
        world.nexthop(),
        mailboxes.directory().display()
    ));
    let recipients = ["alice@example.org", "ghost@example.org", "bob@example.org"];
    Session::greeted(smarthost.address()).delivers("sender@example.com", &recipients, MESSAGE);
    let count =
        |user: &str| maildir::messages(&mailboxes.directory().join("mail").join(user)).len();
    until_true("alice and bob have the message", || {
        count("alice") == 1 && count("bob") == 1
    });
    let bounce = world.journal().first();
    assert_eq!(
        (bounce.sender.as_str(), bounce.recipients.as_slice()),
        ("", ["sender@example.com".to_owned()].as_slice())
    );
    assert!(
        bounce.text().contains("ghost@example.org"),
        "{}",
        bounce.text()
    );
    assert!(
        !bounce.body().contains("alice@example.org"),
        "only the failed recipient is in the bounce:\n{}",
        bounce.text()
    );
}
