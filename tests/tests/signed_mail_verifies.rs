//! DKIM: what leaves verifies elsewhere, whatever the message and the next hop; a stranger's mail
//! is never signed.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and keeps nothing"
)]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::{Command, Stdio},
};

use tests::{
    agent::{self, Agent},
    peers,
    resolver::{Record, Resolver},
    session::Session,
    sink::{Received, Script, Sink},
    smarthost::Smarthost,
    wait::until_true,
};

/// Verifies each message of a folder by each of its signatures, and once more with another subject
/// on top, which must fail.
const VERIFY: &str = r#"
import dkim, json, os, sys
folder = sys.argv[1]
records = json.load(open(os.path.join(folder, "records")))
def dns(name, timeout=5):
    return records.get(name.decode().rstrip(".")).encode()
for name in sorted(os.listdir(folder)):
    if not name.endswith(".eml"): continue
    message = open(os.path.join(folder, name), "rb").read()
    count = message.lower().count(b"dkim-signature:")
    if not count: print(name, "is not signed")
    for index in range(count):
        try: good = dkim.DKIM(message).verify(idx=index, dnsfunc=dns)
        except Exception as error: good = repr(error)
        if good is not True: print(name, index, good)
        try: bad = dkim.DKIM(b"Subject: you won\r\n" + message).verify(idx=index, dnsfunc=dns)
        except dkim.DKIMException: bad = False
        if bad: print(name, index, "verifies with another subject")
print("done")
"#;

/// Python with dkimpy.
fn python() -> Option<&'static str> {
    let found = ["/usr/bin/python3", "python3"].into_iter().find(|python| {
        let mut tried = Command::new(python);
        tried
            .args(["-c", "import dkim, nacl"])
            .stderr(Stdio::null());
        tried.status().is_ok_and(|status| status.success())
    });
    if found.is_none() {
        peers::skip("dkimpy is not installed");
    }
    found
}

/// The record of a zone file as name and text.
fn record(printed: &str) -> (String, String) {
    let line = printed.split("\n#").next().unwrap();
    let (_, record) = line.split_once('\n').unwrap();
    let (name, text) = record.split_once(". IN TXT ( ").unwrap();
    let strings = text.trim_end().trim_end_matches(')').trim();
    assert!(
        strings.lines().all(|it| it.trim().len() <= 257),
        "{strings}"
    );
    let text: String = strings
        .lines()
        .map(|it| it.trim().trim_matches('"'))
        .collect();
    (name.to_owned(), text)
}

/// Makes a key for each entry of the settings that has none, and returns what DNS is to say.
fn made(smarthost: &Smarthost, keys: &[(&str, &str, &str)]) -> BTreeMap<String, String> {
    keys.iter()
        .map(|(domain, selector, algorithm)| {
            let made = smarthost.admin(&[
                "dkim",
                "new",
                domain,
                "--selector",
                selector,
                "--algorithm",
                algorithm,
            ]);
            let said = String::from_utf8(made.stdout).unwrap();
            assert!(made.status.success(), "{said}{:?}", made.stderr);
            record(&said)
        })
        .collect()
}

const KEYS: [(&str, &str, &str); 3] = [
    ("example.org", "s1", "rsa"),
    ("example.org", "e1", "ed25519"),
    ("mail.example.test", "e1", "ed25519"),
];

fn config(relay: &Sink) -> String {
    format!(
        "networks = [\"127.0.0.1\"]\nrelayhost = \"{}\"\ndomains = {{ local = [\"example.com\"] }}\nmaildir = \"none\"\n\
         aliases = [\"$DIR/aliases\"]\n\
         dkim = [{{ domain = \"example.org\", selector = \"s1\", key = \"s1.pem\" }},\n\
         {{ domain = \"example.org\", selector = \"E1\", key = \"e1.pem\" }},\n\
         {{ domain = \"mail.example.test\", selector = \"e1\", key = \"own.pem\" }}]\n",
        relay.nexthop()
    )
}

/// Headers and bodies that signers have stumbled over.
fn odd() -> Vec<String> {
    let long = "word ".repeat(180);
    let html = format!("<p>{}é</p>\r\n", "x".repeat(1200));
    let headers = [
        "From: <a@example.org>\r\nSubject: plain\r\nTo: b@c.example\r\n".to_owned(),
        "From: \"A, B\"\r\n\t<a@example.org>\r\nSubject: folded\r\n\twith a tab\r\n  and blanks  \r\n".to_owned(),
        "Subject: one\r\nSubject: two\r\nTo: x@c.example\r\nTo: y@c.example\r\nComments: first\r\nComments: second\r\nFrom: a@example.org\r\n".to_owned(),
        "SUBJECT :\t many   blanks \t \r\nfrom:a@example.org\r\nX-Empty:\r\n".to_owned(),
        "From: a@EXAMPLE.ORG\r\nSubject:\r\nDate: Sat, 28 Nov 2026 10:00:00 +0000\r\nMessage-ID: <x@y>\r\n".to_owned(),
        format!("From: a@example.org\r\nSubject: {long}\r\nReferences: {long}\r\n"),
        "From: Jürgen <a@example.org>\r\nSubject: Grüße aus München\r\n".to_owned(),
        "From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n".to_owned(),
        "From: a@example.org\r\nReply-To: r@example.org\r\nSubject: a\r\n \tb\r\nList-Unsubscribe: <https://example.org/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n".to_owned(),
        "Received: from x\r\n\tby y; Sat, 28 Nov 2026 10:00:00 +0000\r\nDKIM-Signature: v=1; a=rsa-sha256\r\nReturn-Path: <z@example.org>\r\nFrom: a@example.org\r\nSender: s@example.org\r\nCc: c@c.example\r\nResent-From: a@example.org\r\n".replace("DKIM-Signature: v=1; a=rsa-sha256\r\n", "X-Old-Signature: v=1\r\n"),
    ];
    let bodies = [
        String::new(),
        "\r\n".to_owned(),
        "\r\n\r\n \r\n\t\r\n".to_owned(),
        "text\r\n".to_owned(),
        "text\r\n\r\n\r\n  \r\n".to_owned(),
        "trailing  \t\r\n\tleading\r\nmany   blanks\tand \t tabs\r\n".to_owned(),
        ".\r\n..dots\r\n.x\r\nFrom here\r\n".to_owned(),
        "acht Bits: äöü €\r\n=20 und =\r\n".to_owned(),
        html,
        format!("{}\r\n{}\r\n", "y".repeat(990), "z ".repeat(499)),
        format!(
            "{}\r\nend\r\n",
            "line of a large body  with blanks \t\r\n\r\n".repeat(3000)
        ),
    ];
    let all = headers
        .iter()
        .flat_map(|header| bodies.iter().map(move |body| format!("{header}\r\n{body}")));
    all.collect()
}

fn verified(python: &str, folder: &Path, records: &BTreeMap<String, String>, mail: &[Received]) {
    fs::write(
        folder.join("records"),
        serde_json::to_string(records).unwrap(),
    )
    .unwrap();
    for (index, received) in mail.iter().enumerate() {
        fs::write(folder.join(format!("{index:03}.eml")), &received.content).unwrap();
    }
    let mut command = Command::new(python);
    let said = command.args(["-c", VERIFY]).arg(folder).output().unwrap();
    let text = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    assert_eq!(text, "done\n");
}

/// Row A9.
#[test]
fn over_two_hundred_odd_messages_verify_with_and_without_8bitmime_and_an_added_subject_breaks_them()
{
    let Some(python) = python() else { return };
    let script = Script::default();
    let narrow = Script {
        extensions: ["PIPELINING", "ENHANCEDSTATUSCODES"]
            .map(str::to_owned)
            .to_vec(),
        ..Script::default()
    };
    for script in [script, narrow] {
        let sink = Sink::with(script);
        let mut smarthost = Smarthost::prepare(&config(&sink));
        smarthost.file("aliases", "");
        let records = made(&smarthost, &KEYS);
        smarthost.run();
        let mut session = Session::greeted(smarthost.address());
        let messages = odd();
        for message in &messages {
            session.delivers("a@example.org", &["b@c.example"], message.as_bytes());
        }
        let count = messages.len();
        until_true("all have arrived", || sink.journal().len() == count);
        let mail = sink.journal().messages();
        assert!(mail.iter().all(|it| it.fields("DKIM-Signature").len() == 2));
        let folder = smarthost.directory().join("mail");
        fs::create_dir(&folder).unwrap();
        verified(python, &folder, &records, &mail);
    }
}

/// Signed is what comes from our own clients and from us, with one address in From.
#[test]
fn a_strangers_mail_and_mail_with_two_authors_is_not_signed_and_our_own_notices_are() {
    // It makes RSA keys.
    if peers::find("openssl").is_none() {
        return;
    }
    let sink = Sink::with(Script {
        recipients: vec![("gone@c.example".to_owned(), "550 5.1.1 no".to_owned())],
        ..Script::default()
    });
    let mut smarthost = Smarthost::prepare(&config(&sink));
    smarthost.file("aliases", "fwd: b@c.example\n");
    made(&smarthost, &KEYS);
    smarthost.run();
    let forged = b"From: a@example.org\r\nSubject: forged\r\n\r\nx\r\n";
    let stranger = "127.0.0.2".parse().unwrap();
    let mut session = Session::connect_from(stranger, smarthost.address()).ehlo();
    session.delivers("a@example.org", &["fwd@example.com"], forged);
    let mut session = Session::greeted(smarthost.address());
    let two = b"From: a@example.org, b@example.org\r\nSubject: two\r\n\r\nx\r\n";
    session.delivers("a@example.org", &["b@c.example"], two);
    let below = b"From: a@sub.example.org\r\nSubject: below\r\n\r\nx\r\n";
    session.delivers("a@example.org", &["b@c.example"], below);
    let own = b"From: a@example.org\r\nSubject: own\r\n\r\nx\r\n";
    session.delivers("x@elsewhere.example", &["fwd@example.com"], own);
    session.delivers("bounced@example.org", &["gone@c.example"], own);
    until_true("all have arrived", || sink.journal().len() == 5);
    let mut signed: Vec<_> = sink
        .journal()
        .messages()
        .iter()
        .map(|mail| (mail.field("Subject"), mail.fields("DKIM-Signature").len()))
        .collect();
    signed.sort();
    let bounce = "Undelivered mail: returned to sender";
    let expected = [
        (bounce, 1),
        ("below", 0),
        ("forged", 0),
        ("own", 2),
        ("two", 0),
    ];
    assert_eq!(
        signed,
        expected.map(|(subject, count)| (subject.to_owned(), count))
    );
    let log = smarthost.daemon().log();
    assert!(
        log.contains("not signed with DKIM: it has not exactly one From address"),
        "{log}"
    );
    assert!(
        log.contains("DKIM-Signature field added (s=s1, d=example.org)"),
        "{log}"
    );
}

#[test]
fn a_key_is_made_once_for_the_daemon_alone_and_dns_is_asked_for_it() {
    let mut smarthost = Smarthost::prepare("maildir = \"none\"\n");
    let made = smarthost.admin(&["dkim", "new", "example.org", "--algorithm", "ed25519"]);
    let said = String::from_utf8(made.stdout).unwrap();
    assert!(made.status.success(), "{said}");
    let file = smarthost.directory().join("state/dkim/example.org.s1.pem");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    let setting = said
        .lines()
        .find(|line| line.starts_with("dkim = "))
        .unwrap()
        .to_owned();
    let (name, text) = record(&said);
    assert_eq!(name, "s1._domainkey.example.org");
    // The next one has the next name, and a name that is taken is refused.
    let again = smarthost.admin(&["dkim", "new", "example.org", "--algorithm", "ed25519"]);
    assert!(
        String::from_utf8(again.stdout)
            .unwrap()
            .contains("\ns2._domainkey.")
    );
    let key = fs::read(&file).unwrap();
    let taken = smarthost.admin(&["dkim", "new", "example.org", "--selector", "S1"]);
    assert_eq!(taken.status.code(), Some(1), "{taken:?}");
    assert_eq!(fs::read(&file).unwrap(), key);

    let none = smarthost.admin(&["dkim", "check"]);
    assert_eq!(none.status.code(), Some(1));
    let other = text.replace("p=", "p=AAAA");
    for (records, code, told) in [
        (vec![Record::Txt(text.clone())], 0, "our key is published"),
        (vec![], 1, "DNS has no such TXT record"),
        (vec![Record::Txt(other)], 1, "another key than ours"),
        (
            vec![Record::Txt(text.clone()), Record::Txt(text)],
            1,
            "several TXT records",
        ),
        (vec![Record::Servfail], 1, "name server answered SERVFAIL"),
    ] {
        let resolver = Resolver::anywhere(move |asked| {
            (asked == "s1._domainkey.example.org").then(|| records.clone())
        });
        let server = resolver.address();
        smarthost.configure(&format!(
            "maildir = \"none\"\nresolver = \"{server}\"\n{setting}\n"
        ));
        let check = smarthost.admin(&["dkim", "check"]);
        let said = String::from_utf8([check.stdout, check.stderr].concat()).unwrap();
        assert_eq!(check.status.code(), Some(code), "{said}");
        assert!(said.contains(told), "{told}: {said}");
    }
    // What cannot be used stops no mail from coming in, and is told with its place.
    fs::write(&file, "no key").unwrap();
    let check = smarthost.admin(&["check"]);
    let said = String::from_utf8([check.stdout, check.stderr].concat()).unwrap();
    assert_ne!(check.status.code(), Some(0), "{said}");
    assert!(
        said.contains("config.toml:") && said.contains("there is no private key in it"),
        "{said}"
    );
    smarthost.run();
    Session::greeted(smarthost.address()).delivers(
        "a@b.example",
        &["root@mail.example.test"],
        b"x: y\r\n\r\n",
    );
}

/// S/MIME and PGP sign bytes.
#[test]
fn what_a_program_has_signed_leaves_as_it_came_however_long_its_lines_are() {
    let sink = Sink::start();
    let mut machine = Agent::start(&agent::config(&sink.nexthop(), ""));
    let line = "word ".repeat(400);
    let body = format!(
        "--q\nContent-Type: text/plain\n\n{line}\n{line}end\n\n--q\n\
         Content-Type: application/pgp-signature\n\nsignature\n--q--\n"
    );
    machine.send(
        &["x@example.net"],
        format!(
            "Subject: s\nMIME-Version: 1.0\n\
             Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=q\n\n{body}"
        ),
    );
    let received = sink.journal().wait_for(1).pop().unwrap();
    assert_eq!(received.body(), body.replace('\n', "\r\n"));
    let log = machine
        .daemon()
        .wait_for_log("gets lines of more than 998 bytes");
    assert!(log.contains("the message is sent as it is"), "{log}");
}
