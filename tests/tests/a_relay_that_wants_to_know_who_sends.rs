//! A relayhost that takes mail only from those it knows, by password (Postfix with Dovecot's SASL)
//! or by client certificate.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::Path,
};

use relay::tls::pins_of_file;
use tests::{
    agent::Agent,
    dovecot::Dovecot,
    identity::{Identity, write},
    postfix::Postfix,
    session::Session,
    smarthost::Smarthost,
    wait::until,
};

const MAILBOX: &str = "virtual_mailbox_domains = example.net\nvirtual_mailbox_base = $DIR/mail\nvirtual_mailbox_maps = static:box/\n\
virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\nvirtual_minimum_uid = 100\n\
smtpd_relay_restrictions =\n";

/// A Dovecot that is nothing but a keeper of passwords, for one mechanism.
fn dovecot(mechanism: &str) -> Option<Dovecot> {
    let settings = format!(
        "protocols =\nauth_mechanisms = {mechanism}\npassdb {{\n driver = passwd-file\n args = scheme=PLAIN username_format=%u $DIR/users\n}}\n\
         userdb {{\n driver = static\n args = uid=65534 gid=65534 home=/\n}}\nservice auth {{\n unix_listener $DIR/auth {{\n mode = 0666\n }}\n}}\n"
    );
    let users = "vm1:{PLAIN}s3cret pass\n";
    Dovecot::start(&settings, &[("users", users)], |directory| {
        UnixStream::connect(directory.join("auth")).ok()
    })
}

fn password_file(directory: &Path, password: &str) -> String {
    let path = directory.join("password");
    write(&path, format!("{password}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

/// A Postfix that takes mail from authenticated clients only, and its pin.
fn postfix(auth: &Path) -> Option<(Postfix, String)> {
    let main = format!(
        "{MAILBOX}smtpd_recipient_restrictions = permit_sasl_authenticated, reject\nsmtpd_sasl_auth_enable = yes\n\
         smtpd_sasl_type = dovecot\nsmtpd_sasl_path = {}/auth\nsmtpd_tls_auth_only = yes\n",
        auth.display()
    );
    let postfix = Postfix::start(&main)?;
    let pin = pins_of_file(&postfix.directory().join("postfix.pem")).unwrap();
    Some((postfix, pin.pin().to_string()))
}

#[test]
fn each_mechanism_lets_us_in_and_without_the_password_the_mail_waits() {
    for mechanism in ["scram-sha-256", "plain", "login"] {
        let Some(keeper) = dovecot(mechanism) else {
            return;
        };
        let Some((postfix, pin)) = postfix(keeper.directory()) else {
            return;
        };
        let port = postfix.port();
        let node = Agent::prepare("");
        let file = password_file(node.directory(), "s3cret pass");
        node.configure(&format!(
            "relayhost = \"[127.0.0.1]:{port}\"\npins = \"{pin}\"\nadmin = \"box@example.net\"\nauth = {{ user = \"vm1\", password_file = \"{file}\" }}\n"
        ));
        let mut node = node;
        node.run();
        let sent = node.admin(&["test"]);
        assert_eq!(sent.status.code(), Some(0), "{mechanism}: {sent:?}");
        let delivered = until("Postfix has delivered", || postfix.mailbox().pop());
        assert!(delivered.contains("with ESMTPSA"), "{delivered}");
        let checked = node.admin(&["check"]);
        let table = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert!(
            table.contains("auth          accepted as vm1"),
            "{mechanism}: {table}"
        );
        assert!(!node.daemon().log().contains("s3cret"));

        password_file(node.directory(), "wrong");
        node.kill();
        node.run();
        let sent = node.admin(&["test"]);
        assert_eq!(sent.status.code(), Some(75), "{mechanism}: {sent:?}");
        node.wait_for_mailq("the refusal", |text| text.contains("535 5.7.8"));
    }
}

#[test]
fn the_smarthost_authenticates_to_its_relayhost() {
    let Some(keeper) = dovecot("scram-sha-256") else {
        return;
    };
    let Some((postfix, pin)) = postfix(keeper.directory()) else {
        return;
    };
    let file = password_file(keeper.directory(), "s3cret pass");
    let smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"[127.0.0.1]:{}\"\nrelay_tls = {{ pins = [\"{pin}\"] }}\n\
         relay_auth = {{ user = \"vm1\", password_file = \"{file}\" }}\n",
        postfix.port()
    ));
    let mut session = Session::greeted(smarthost.address());
    let reply = session.mail(
        "a@example.org",
        &["box@example.net"],
        b"Subject: x\r\n\r\nx\r\n",
    );
    assert_eq!(reply.unwrap().code, 250);
    let delivered = until("Postfix has delivered", || postfix.mailbox().pop());
    assert!(delivered.contains("with ESMTPSA"), "{delivered}");
}

#[test]
fn a_client_certificate_lets_us_in() {
    let identity = Identity::new("vm1.example.test");
    let node = Agent::prepare("");
    identity.write(node.directory(), "own");
    let own = pins_of_file(&node.directory().join("own.pem")).unwrap();
    let hex: Vec<_> = own.key_sha256.iter().map(|b| format!("{b:02X}")).collect();
    let main = format!(
        "{MAILBOX}smtpd_recipient_restrictions = permit_tls_clientcerts, reject\nsmtpd_tls_ask_ccert = yes\nsmtpd_tls_fingerprint_digest = sha256\n\
         relay_clientcerts = inline:{{ {{ {} = vm1 }} }}\n",
        hex.join(":")
    );
    let Some(postfix) = Postfix::start(&main) else {
        return;
    };
    let pin = pins_of_file(&postfix.directory().join("postfix.pem")).unwrap();
    let config = format!(
        "relayhost = \"[127.0.0.1]:{}\"\npins = \"{}\"\nadmin = \"box@example.net\"\n",
        postfix.port(),
        pin.pin()
    );
    let mut node = node;
    node.configure(&config);
    let refused = node.admin(&["check"]);
    let table = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(table.contains("554 5.7.1"), "{table}");
    let shown = node.admin(&["pin"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains(&pin.pin().to_string()), "{shown}");
    assert!(shown.contains("number 1 of 1 in pins"), "{shown}");

    node.configure(&format!(
        "{config}certificate = \"own.pem\"\nkey = \"own.key\"\n"
    ));
    node.run();
    let sent = node.admin(&["test"]);
    assert_eq!(sent.status.code(), Some(0), "{sent:?}");
    until("Postfix has delivered", || postfix.mailbox().pop());
}
