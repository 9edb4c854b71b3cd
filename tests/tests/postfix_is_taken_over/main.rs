//! `smarthost import`: Postfix configurations of sites, as they stand (tests/data/postfix), taken
//! over; and what they said is done.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod hubs;

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt as _, process::Output};

use tests::{
    binaries::repository,
    identity::write,
    policy::{converse, policy_server},
    resolver::{Record, Resolver},
    session::{Session, heard},
    sink::{Script, Sink},
    smarthost::Smarthost,
};

const MESSAGE: &[u8] = b"Subject: test\r\n\r\ntext\r\n";

/// A Postfix directory beside the configuration of a smarthost, with these words in it replaced.
fn postfix(files: &[(String, String)], words: &[(&str, String)]) -> Smarthost {
    let smarthost = Smarthost::prepare("");
    let directory = smarthost.directory().join("postfix");
    fs::create_dir(&directory).unwrap();
    let own = [
        ("@DIR@", smarthost.directory().display().to_string()),
        ("@ADDRESS@", smarthost.address().to_string()),
    ];
    for (name, text) in files {
        let replace = |text: String, (word, value): &(&str, String)| text.replace(word, value);
        let text = own.iter().chain(words).fold(text.clone(), replace);
        write(&directory.join(name), text);
    }
    smarthost
}

/// That of a site.
fn site(name: &str, words: &[(&str, String)]) -> Smarthost {
    let folder = repository().join("tests/data/postfix").join(name);
    let files = fs::read_dir(folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(&path).unwrap())
    });
    postfix(&files.collect::<Vec<_>>(), words)
}

fn import(smarthost: &Smarthost, more: &[&str]) -> Output {
    let directory = smarthost.directory().join("postfix");
    let directory = directory.to_str().unwrap();
    smarthost.admin(&[&["import", directory], more].concat())
}

/// Taken over, with what the test's surroundings need; what was said of each parameter.
fn taken_over(smarthost: &Smarthost, surroundings: &str) -> String {
    let output = import(smarthost, &["--apply", "--force"]);
    let said = String::from_utf8(output.stderr).unwrap();
    let config = smarthost.directory().join("config.toml");
    let config = fs::read_to_string(config).unwrap();
    assert!(config.starts_with("# Taken over from Postfix"), "{said}");
    smarthost.configure(&format!("{config}{surroundings}"));
    said
}

fn asking(resolver: SocketAddr) -> String {
    format!("resolver = \"{resolver}\"\n")
}

/// That `smarthost check` calls it right; then it runs.
fn runs(smarthost: &mut Smarthost) -> SocketAddr {
    let output = smarthost.admin(&["check"]);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    smarthost.run();
    smarthost.address()
}

/// The lines about a parameter.
fn lines<'a>(said: &'a str, key: &str) -> Vec<&'a str> {
    let about = format!(" {key}: ");
    said.lines().filter(|line| line.contains(&about)).collect()
}

/// That each of them was told so, and no other way.
fn told(said: &str, verdict: &str, keys: &str) {
    for key in keys.split_whitespace() {
        let key = key.replace('~', " -o ");
        let lines = lines(said, &key);
        assert!(
            !lines.is_empty() && lines.iter().all(|line| line.starts_with(verdict)),
            "{key} is not {verdict}: {lines:?}"
        );
    }
}

fn hears(server: SocketAddr, cases: &[(&str, &str, &str, &str)]) {
    for (client, from, to, reply) in cases {
        let heard = heard(server, client, "mx.ham.example", from, to);
        assert!(heard.starts_with(reply), "{client} {from} {to}: {heard}");
    }
}

/// Rows C1, C2, C4, C5.
#[test]
fn the_inbound_relay_of_a_company_does_what_its_postfix_did() {
    let sink = Sink::start();
    let listed = |last| Some(vec![Record::A([127, 0, 0, last].into())]);
    let resolver = Resolver::anywhere(move |name| match name {
        "ham.example" | "spam.example" | "public.example" | "legacy.example" => {
            Some(vec![Record::Mx("mx.ham.example")])
        }
        "3.0.0.127.zen.example"
        | "spam.example.dbl.example"
        | "2.0.0.127.zen.example"
        | "test.dbl.example" => listed(2),
        _ => None,
    });
    let mut smarthost = site("company", &[("@SINK@", sink.nexthop())]);
    let said = taken_over(&smarthost, &asking(resolver.address()));
    told(
        &said,
        "mapped",
        "relayhost relay_domains virtual_alias_maps smtpd_recipient_restrictions mynetworks smtpd_banner local_recipient_maps",
    );
    let server = runs(&mut smarthost);
    let (ham, to) = ("a@ham.example", "x@public.example");
    hears(
        server,
        &[
            ("127.0.0.4", ham, to, "250"),
            (
                "127.0.0.4",
                ham,
                "x@elsewhere.example",
                "554 5.7.1 <x@elsewhere.example>: Relay access denied",
            ),
            (
                "127.0.0.3",
                ham,
                to,
                "554 5.7.1 Service unavailable; Client host [127.0.0.3] blocked using zen.example",
            ),
            ("127.0.0.3", "boss@spam.example", to, "250"),
            (
                "127.0.0.4",
                "a@spam.example",
                to,
                "554 5.7.1 Service unavailable; Sender address [a@spam.example] blocked using dbl.example",
            ),
            (
                "127.0.0.4",
                "spammer@ham.example",
                to,
                "554 5.7.1 <spammer@ham.example>: Sender address rejected: Access denied",
            ),
            ("127.0.0.4", "a@nowhere.example", to, "550 5.1.8"),
            ("127.0.0.4", ham, "nobody@relay.public.example", "550 5.1.1"),
        ],
    );
    let mut session = Session::greeted(server);
    let to = [
        "Zoe@public.example",
        "team@public.example",
        "gone@public.example",
        "root@relay.public.example",
    ];
    session.delivers(ham, &to, MESSAGE);
    assert_eq!(
        sink.recipients(5).join(" "),
        "Zoe@legacy.example admin@legacy.example aide@legacy.example boss@legacy.example jane@partner.example"
    );
}

#[test]
fn nothing_is_written_unasked_or_overwritten_and_the_password_is_the_daemons_alone() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let smarthost = postfix(
        &[
            file(
                "main.cf",
                "compatibility_level = 3.6\nmyhostname = mx.example.org\nrelayhost = [mail.example.net]:587\nsmtp_tls_security_level = encrypt\n\
                 smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = hash:@DIR@/postfix/sasl_passwd\nalias_maps = hash:@DIR@/postfix/aliases\n",
            ),
            file("master.cf", "smtp inet n - n - - smtpd\n"),
            file("sasl_passwd", "[mail.example.net]:587 vm1:hunter2\n"),
            file("aliases", "root: a@example.org\n"),
        ],
        &[],
    );
    let config = smarthost.directory().join("config.toml");
    let before = fs::read_to_string(&config).unwrap();
    let shown = import(&smarthost, &[]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("relay_auth.user = \"vm1\""), "{text}");
    assert!(
        text.contains("--apply writes") && !text.contains("hunter2"),
        "{text}"
    );
    let apply = import(&smarthost, &["--apply"]);
    assert_eq!(apply.status.code(), Some(1));
    let refused = String::from_utf8(apply.stderr).unwrap();
    assert!(refused.contains("--force overwrites it"), "{refused}");
    assert_eq!(fs::read_to_string(&config).unwrap(), before);
    assert!(!smarthost.directory().join("password").exists());
    taken_over(&smarthost, "");
    let password = smarthost.directory().join("password");
    assert_eq!(fs::read_to_string(&password).unwrap(), "hunter2\n");
    let mode = fs::metadata(&password).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let json = import(&smarthost, &["--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let notes = json["report"].as_array().unwrap();
    let login = notes
        .iter()
        .find(|note| note["key"] == "smtp_sasl_password_maps");
    assert_eq!(login.unwrap()["verdict"], "mapped");
    fs::remove_file(smarthost.directory().join("postfix/main.cf")).unwrap();
    let gone = import(&smarthost, &[]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(
        String::from_utf8(gone.stderr)
            .unwrap()
            .contains("main.cf: No such file")
    );
}

#[test]
fn what_would_let_more_pass_than_postfix_did_is_written_only_when_an_administrator_accepts_it() {
    let main = "compatibility_level = 3.6\nmyhostname = mx.example.org\n\
                smtpd_client_restrictions = check_client_access inline:{192.0.2.9=OK}, reject_unknown_client_hostname\n\
                smtpd_sender_restrictions = permit_sasl_authenticated, reject_unknown_sender_domain\n";
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let files = [
        file("main.cf", main),
        file("master.cf", "smtp inet n - n - - smtpd\n"),
    ];
    let smarthost = postfix(&files, &[]);
    let config = smarthost.directory().join("config.toml");
    let before = fs::read_to_string(&config).unwrap();
    let refused = import(&smarthost, &["--apply", "--force"]);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(
        told.contains("nothing is written: whom `check_client_access"),
        "{told}"
    );
    assert!(told.contains("accept it with --looser"), "{told}");
    assert_eq!(fs::read_to_string(&config).unwrap(), before);
    import(&smarthost, &["--apply", "--force", "--looser"]);
    let written = fs::read_to_string(&config).unwrap();
    assert!(
        written.contains("reject_unknown_sender_domain"),
        "{written}"
    );
}

/// Rows A4, A5, A6.
#[test]
fn the_backup_mx_of_an_association_does_what_its_postfix_did() {
    let primary = Sink::with(Script {
        recipients: vec![("gone@asso.example".into(), "550 5.1.1 no such user".into())],
        ..Script::default()
    });
    let resolver = Resolver::anywhere(|name| match name {
        "asso.example" | "ham.example" => Some(vec![Record::Mx("mx.asso.example")]),
        _ => None,
    });
    let no_opinion = policy_server(|stream| converse(stream, |_| "action=DUNNO\n\n".to_owned()));
    let words = [
        ("@SINK@", primary.nexthop()),
        ("@POLICY@", no_opinion.port().to_string()),
    ];
    let mut smarthost = site("backup", &words);
    let said = taken_over(&smarthost, &asking(resolver.address()));
    told(
        &said,
        "mapped",
        "maximal_queue_lifetime bounce_queue_lifetime smtpd_client_message_rate_limit smtpd_client_event_limit_exceptions \
         anvil_rate_time_unit transport_maps smtpd_recipient_restrictions",
    );
    told(
        &said,
        "default",
        "delay_warning_time unverified_recipient_reject_code",
    );
    told(&said, "ignored on purpose", "address_verify_map");
    let config = smarthost.admin(&["config"]);
    let config = String::from_utf8(config.stdout).unwrap();
    assert!(config.contains("retry.lifetime = \"30d\""), "{config}");
    let server = runs(&mut smarthost);
    let ham = "a@ham.example";
    hears(
        server,
        &[
            ("127.0.0.4", ham, "known@asso.example", "250"),
            (
                "127.0.0.4",
                ham,
                "gone@asso.example",
                "550 5.1.1 <gone@asso.example>: Recipient address rejected: undeliverable address",
            ),
            (
                "127.0.0.4",
                ham,
                "victim@elsewhere.example",
                "554 5.7.1 <victim@elsewhere.example>: Relay access denied",
            ),
            ("127.0.0.4", ham, "nobody@mx2.asso.example", "550 5.1.1"),
        ],
    );
    for (client, replies) in [
        ("127.0.0.1", [250, 250, 450]),
        ("127.0.0.9", [250, 250, 250]),
    ] {
        let mut session = Session::connect_from(client.parse().unwrap(), server);
        session.reply();
        session.say("EHLO vm.asso.example");
        for reply in replies {
            let taken = session.mail("a@asso.example", &["treasurer@mx2.asso.example"], MESSAGE);
            assert_eq!(taken.unwrap().code, reply, "{client}");
        }
    }
    primary.journal().wait_for(5);
}

/// Rows D5, D10.
#[test]
fn the_main_server_of_a_campus_does_what_its_postfix_did() {
    let mailboxes = Sink::with(Script {
        lmtp: true,
        ..Script::default()
    });
    let world = Sink::start();
    let words = [
        ("@SINK@", world.nexthop()),
        ("@LMTP@", mailboxes.address().to_string()),
    ];
    let mut smarthost = site("campus", &words);
    let said = taken_over(&smarthost, &asking(Resolver::of_localhost()));
    told(
        &said,
        "mapped",
        "mailbox_transport mydestination transport_maps message_size_limit inet_interfaces alias_maps",
    );
    let mut session = Session::greeted(runs(&mut smarthost));
    let to = [
        "mailer-daemon@main.campus.example",
        "who@campus.example",
        "them@outside.example",
    ];
    session.delivers("vm@campus.example", &to, MESSAGE);
    assert_eq!(
        mailboxes.recipients(2),
        ["team@campus.example", "who@campus.example"]
    );
    assert_eq!(world.recipients(1), ["them@outside.example"]);
}
