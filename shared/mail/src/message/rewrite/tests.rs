use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::{
    address::{Address, Domain, Sender, list},
    envelope::{Envelope, Mail, Notify, Rcpt},
    maps::Table,
    message::Header,
};

const ROLES: &str = "\
mailer-daemon: admins\npostmaster: admins\nnobody: admins\nhostmaster: admins\ndnsmaster: admins\nusenet: admins\n\
news: admins\nwebmaster: admins\nwww: admins\nftp: admins\nabuse: admins\nnoc: admins\nsecurity: admins\nroot: admins\n\
listmaster: admins\nadmins: admins@example.org\n";

fn rules(revaliases: &str, aliases: &str) -> Rules {
    Rules {
        hostname: Domain::name("vm1.example.org").unwrap(),
        nodename: None,
        domain: Domain::name("example.org").unwrap(),
        admin: None,
        revaliases: Table::revaliases(PathBuf::from("revaliases"), revaliases)
            .0
            .into(),
        aliases: Table::client_aliases(PathBuf::from("aliases"), aliases)
            .0
            .into(),
        from_override: false,
    }
}

fn caller(user: &str) -> Caller {
    Caller {
        user: user.into(),
        full_name: String::new(),
    }
}

fn run(
    rules: &Rules,
    user: &str,
    sender: Option<&str>,
    to: &[&str],
    header: &str,
) -> (Envelope, String, Vec<Change>) {
    let mail = mail(sender);
    let to: Vec<_> = to
        .iter()
        .map(|to| Rcpt::from(list::one(to).unwrap()))
        .collect();
    let mut header = Header::parse(header.as_bytes());
    let (envelope, changes) = rewrite(&mail, &to, &mut header, &caller(user), rules).unwrap();
    (
        envelope,
        String::from_utf8(header.to_bytes()).unwrap(),
        changes,
    )
}

/// `None`: the caller; `Some("")`: the null sender.
fn mail(sender: Option<&str>) -> Mail {
    match sender {
        None => Mail::of_caller(None),
        Some("" | "<>") => Mail::default(),
        Some(text) => Mail {
            sender: Some(list::one(text).unwrap()),
            ..Mail::default()
        },
    }
}

fn recipients(rules: &Rules, to: &[&str]) -> Vec<String> {
    let (envelope, _, _) = run(rules, "root", None, to, "");
    envelope
        .recipients
        .iter()
        .map(|recipient| recipient.address.to_string())
        .collect()
}

fn header(rules: &Rules, user: &str, fields: &str) -> String {
    run(rules, user, None, &["a@x"], fields).1
}

/// Row A2.
#[test]
fn from_always_becomes_the_administrators_one_address_through_the_chain() {
    let rules = rules(ROLES, "");
    let (envelope, text, changes) = run(
        &rules,
        "root",
        None,
        &["a@x"],
        "From: root (Cron Daemon)\r\nSubject: s\r\n",
    );
    assert_eq!(envelope.sender.to_string(), "admins@example.org");
    assert_eq!(
        text,
        "From: \"Cron Daemon\" <admins@example.org>\r\nSubject: s\r\n"
    );
    assert_eq!(changes[0].because, "revaliases:14");
    for (user, from, expected) in [
        (
            "root",
            "From: \"(Cron Daemon)\" <root>\r\n",
            "From: \"(Cron Daemon)\" <admins@example.org>\r\n",
        ),
        (
            "root",
            "From: Zabbix\r\n <zabbix@elsewhere.example>\r\n",
            "From: Zabbix\r\n <admins@example.org>\r\n",
        ),
        ("root", "From: backup\r\n", "From: admins@example.org\r\n"),
        (
            "www",
            "From: WWW@Example.ORG\r\n",
            "From: admins@example.org\r\n",
        ),
        (
            "uid-61234",
            "From: root@vm1.example.org\r\n",
            "From: admins@example.org\r\n",
        ),
        (
            "uid-61234",
            "From: app\r\n",
            "From: uid-61234@example.org\r\n",
        ),
        (
            "root",
            "From: no address at all\r\n",
            "From: admins@example.org\r\n",
        ),
        (
            "root",
            "from: Admins <ADMINS@example.org>\r\n",
            "from: Admins <ADMINS@example.org>\r\n",
        ),
    ] {
        assert_eq!(header(&rules, user, from), expected, "{user} {from}");
    }
}

/// Row A1.
#[test]
fn names_without_a_domain_get_the_domain_in_envelope_and_header() {
    let rules = rules("", "");
    let (envelope, text, _) = run(
        &rules,
        "backup",
        None,
        &["root", "Bob <bob@elsewhere.example>"],
        "From: backup\r\nReply-To: x, y@z\r\nTo: root (the boss), \"A, B\" <bob@elsewhere.example>\r\nCC: g: c,\r\n d@y;\r\nX-To: root\r\n",
    );
    assert_eq!(envelope.sender.to_string(), "backup@example.org");
    let to: Vec<&str> = envelope
        .recipients
        .iter()
        .map(|r| r.address.as_str())
        .collect();
    assert_eq!(to, ["root@example.org", "bob@elsewhere.example"]);
    assert_eq!(
        envelope.recipients[0].original,
        Some(Address::parse("root@vm1.example.org").unwrap())
    );
    assert_eq!(
        text,
        "From: backup@example.org\r\nReply-To: x@example.org, y@z\r\nTo: \"the boss\" <root@example.org>, \"A, B\" <bob@elsewhere.example>\r\nCC: g: c@example.org,\r\n d@y;\r\nX-To: root\r\n"
    );
}

#[test]
fn from_override_keeps_a_programs_from_and_still_qualifies_it() {
    let rules = Rules {
        from_override: true,
        ..rules(ROLES, "")
    };
    let kept = "From: Shop <shop@elsewhere.example>\r\n";
    assert_eq!(header(&rules, "www", kept), kept);
    assert_eq!(
        header(&rules, "www", "From: backup\r\n"),
        "From: backup@example.org\r\n"
    );
    assert_eq!(
        header(&rules, "www", "From: root@localhost\r\n"),
        "From: admins@example.org\r\n"
    );
    assert_eq!(
        header(&rules, "www", "Sender: www\r\n"),
        "Sender: admins@example.org\r\n"
    );
}

#[test]
fn every_form_of_the_envelope_sender_is_understood() {
    let rules = rules("www-data:web@example.org\n", "");
    let sender = |typed| run(&rules, "root", typed, &["a@x"], "").0.sender;
    assert_eq!(sender(Some("<>")), Sender::Null);
    assert_eq!(sender(Some("")), Sender::Null);
    for (typed, expected) in [
        (None, "root@example.org"),
        (Some("www-data"), "web@example.org"),
        (Some("<a@b>"), "a@b"),
        (Some("Name <a@b>"), "a@b"),
        (Some("www-data@vm1.example.org"), "web@example.org"),
        (Some("bob@example.org"), "bob@example.org"),
        (Some("x@localhost"), "x@example.org"),
    ] {
        assert_eq!(sender(typed).to_string(), expected, "{typed:?}");
    }
    for bad in ["a@b, c@d", "a b", "@", "a@b\r\nRCPT TO:<c@d>", "a@"] {
        assert!(list::one(bad).is_err(), "{bad}");
    }
}

/// Rows B9, B18, D2.
#[test]
fn recipients_go_through_aliases_then_to_the_administrator_then_to_the_domain() {
    let aliases = "mailer-daemon: postmaster\npostmaster: root\nroot: list@example.net, second\nsecurity: sec@example.net\n";
    let mut rules = rules("", aliases);
    assert_eq!(
        recipients(&rules, &["mailer-daemon"]),
        ["list@example.net", "second@example.org"]
    );
    assert_eq!(
        recipients(&rules, &["ROOT@localhost", "security@vm1.example.org"]).len(),
        3
    );
    assert_eq!(
        recipients(&rules, &["pi", "pi@example.org", "PI@EXAMPLE.ORG"]),
        ["pi@example.org"]
    );
    assert_eq!(
        recipients(&rules, &["bob@vm1.example.org"]),
        ["bob@vm1.example.org"]
    );
    rules.admin = Some(Address::parse("admins@example.org").unwrap());
    assert_eq!(
        recipients(&rules, &["pi", "root"]),
        ["admins@example.org", "list@example.net"]
    );
    assert_eq!(
        recipients(&rules, &["bob@vm1.example.org", "root@example.org"]),
        ["admins@example.org", "root@example.org"]
    );
    let (_, _, changes) = run(&rules, "root", None, &["postmaster"], "");
    assert!(changes.iter().any(|c| c.before == "postmaster"
        && c.after == "list@example.net"
        && c.because == "aliases:2"));
}

#[test]
fn an_alias_that_cannot_be_mailed_to_loses_no_mail() {
    let mut rules = rules(
        "",
        "prog: \"|/bin/cat\"\nboth: /var/mail/x, a@x\nloop: pool\npool: loop\n",
    );
    assert_eq!(recipients(&rules, &["both"]), ["a@x"]);
    for (name, place) in [
        ("prog", "aliases:1: `prog`: `|/bin/cat` cannot"),
        ("loop", "aliases:3: `loop`: the alias comes back"),
    ] {
        let to = [Rcpt::from(list::one(name).unwrap())];
        let mail = Mail::of_caller(None);
        let error = rewrite(&mail, &to, &mut Header::default(), &caller("root"), &rules);
        let error = error.unwrap_err();
        assert!(error.to_string().contains(place), "{error}");
    }
    rules.admin = Some(Address::parse("admins@example.org").unwrap());
    assert_eq!(
        recipients(&rules, &["prog", "loop"]),
        ["admins@example.org"]
    );
}

#[test]
fn a_malformed_recipient_is_quoted_in_the_error() {
    for bad in ["a b@x", "", "x@", ",", "a@x\nb"] {
        let problem = list::one(bad).unwrap_err();
        assert_eq!(problem.text, bad.escape_debug().to_string(), "{problem:?}");
    }
}

/// RFC 3461 §4.1.
#[test]
fn the_wishes_of_a_recipient_stay_with_it_however_its_neighbour_is_written() {
    let wish = |text: &str| Notify::parse(text).unwrap();
    let asked = |list: &[(&str, &str)]| -> Vec<(String, Notify)> {
        let rcpt = |(to, notify): &(&str, &str)| Rcpt {
            notify: wish(notify),
            ..Rcpt::from(list::one(to).unwrap())
        };
        let to: Vec<_> = list.iter().map(rcpt).collect();
        let rules = rules("", "staff: bob@elsewhere.example, eve@elsewhere.example\n");
        let caller = caller("root");
        let mail = Mail::of_caller(None);
        let rewritten = rewrite(&mail, &to, &mut Header::default(), &caller, &rules);
        let recipients = rewritten.unwrap().0.recipients.into_iter();
        recipients
            .map(|r| (r.address.to_string(), r.notify))
            .collect()
    };
    let pair = |one: &str, of, two: &str, wishes| {
        vec![(one.to_owned(), wish(of)), (two.to_owned(), wish(wishes))]
    };
    for (first, second) in [
        ("bob", "bob"),
        ("BOB", "Bob"),
        ("\"bob\"", "bob"),
        ("bob@localhost", "bob"),
    ] {
        assert_eq!(
            asked(&[
                (first, "NEVER"),
                (&format!("{second}@elsewhere.example"), "SUCCESS,FAILURE")
            ]),
            pair(
                &format!(
                    "{}@example.org",
                    first.trim_matches('"').trim_end_matches("@localhost")
                ),
                "NEVER",
                &format!("{second}@elsewhere.example"),
                "SUCCESS,FAILURE"
            ),
            "{first}"
        );
    }
    // Two ways to one mailbox: whoever wants to be told is told.
    assert_eq!(
        asked(&[
            ("bob@Elsewhere.example", "NEVER"),
            ("staff", "SUCCESS,FAILURE")
        ]),
        pair(
            "bob@Elsewhere.example",
            "SUCCESS,FAILURE",
            "eve@elsewhere.example",
            "SUCCESS,FAILURE"
        )
    );
}

#[test]
fn a_revalias_that_comes_back_to_itself_does_not_stop_mail() {
    let rules = rules("a: b\nb: c\nc: a\n", "");
    let (envelope, _, changes) = run(&rules, "a", None, &["x@y"], "");
    assert_eq!(envelope.sender.to_string(), "a@example.org");
    assert!(
        changes[0]
            .because
            .contains("revaliases:1: the alias comes back to itself"),
        "{changes:?}"
    );
}

#[test]
fn an_unclosed_comment_or_quote_does_not_swallow_the_next_field() {
    let rules = rules("", "");
    for (to, expected) in [
        ("root (never closed", "\"never closed\" <root@example.org>"),
        ("root, \"never closed", "root@example.org, \"never closed"),
        ("root, a@[192.0.2.1", "root@example.org, a@[192.0.2.1"),
    ] {
        let text = header(&rules, "root", &format!("To: {to}\r\nSubject: s\r\n"));
        assert!(
            text.starts_with(&format!("To: {expected}")) && text.ends_with("\r\nSubject: s\r\n"),
            "{text}"
        );
    }
}

/// Row A2.
#[test]
fn one_line_of_revaliases_can_stand_for_many_accounts() {
    let rules = rules(
        "www-*: web@example.org\nwww-shop-*: shop@example.org\nwww-data:data@example.org\nwww-*: webmaster@example.org\n*: rest@example.org\n",
        "www-*: nobody@example.org\n",
    );
    for (user, sender) in [
        ("www-blog", "webmaster@example.org"),
        ("WWW-Shop-1", "shop@example.org"),
        ("www-data", "data@example.org"),
        ("root", "rest@example.org"),
    ] {
        let (envelope, _, _) = run(&rules, user, None, &["a@x"], "");
        assert_eq!(envelope.sender.to_string(), sender, "{user}");
    }
    assert_eq!(recipients(&rules, &["www-blog"]), ["www-blog@example.org"]);
}

#[test]
fn a_domain_in_utf8_becomes_one_that_every_relay_understands() {
    let rules = rules("", "");
    let (envelope, text, _) = run(
        &rules,
        "root",
        Some("x@bücher.example"),
        &["a@bücher.example"],
        "To: A <a@bücher.example>, b@example.org\r\nReply-To: <x@bücher.example>\r\n",
    );
    assert_eq!(envelope.sender.to_string(), "x@xn--bcher-kva.example");
    assert_eq!(
        envelope.recipients[0].address.as_str(),
        "a@xn--bcher-kva.example"
    );
    assert!(!envelope.content.utf8);
    assert_eq!(
        text,
        "To: A <a@xn--bcher-kva.example>, b@example.org\r\nReply-To: <x@xn--bcher-kva.example>\r\n"
    );
}

#[test]
fn this_machines_domain_is_known_in_every_spelling() {
    let rules = Rules {
        domain: Domain::name("b\u{fc}cher.example").unwrap(),
        hostname: Domain::name("vm1.B\u{dc}CHER.example").unwrap(),
        ..rules(
            "www: web@elsewhere.example\n",
            "root: ops@elsewhere.example\n",
        )
    };
    for host in ["vm1.xn--bcher-kva.example", "vm1.bu\u{308}cher.example"] {
        let to = format!("root@{host}");
        assert_eq!(
            recipients(&rules, &[&to]),
            ["ops@elsewhere.example"],
            "{to}"
        );
    }
    for domain in [
        "xn--bcher-kva.example",
        "bu\u{308}cher.example",
        "B\u{dc}CHER.example",
    ] {
        let from = format!("www@{domain}");
        let sender = run(&rules, "root", Some(&from), &["a@x"], "").0.sender;
        assert_eq!(sender.to_string(), "web@elsewhere.example", "{from}");
    }
    assert_eq!(recipients(&rules, &["pi"]), ["pi@xn--bcher-kva.example"]);
}

#[test]
fn utf8_in_an_address_is_told() {
    let rules = rules("", "");
    assert!(run(&rules, "root", None, &["jürgen@x"], "").0.content.utf8);
    assert!(!run(&rules, "root", None, &["a@x"], "").0.content.utf8);
    assert_eq!(
        default_from(
            &Caller {
                full_name: "Root, \"the\" boss".into(),
                ..caller("root")
            },
            &rules
        )
        .unwrap(),
        "\"Root, \\\"the\\\" boss\" <root@example.org>"
    );
}

proptest! {
    #[test]
    fn whatever_is_typed_fields_without_addresses_stay_and_recipients_are_the_declared_ones(
        from in "[a-c@<>(),;:.\"\\\\ ]{0,20}", to in prop::collection::vec("[a-c]{1,2}(@[xy])?", 1..6), sender in "[a-c@<>]{0,6}",
    ) {
        let rules = rules("a: b\nb:q@example.org\n", "a: b, c@x\n");
        let mail = Mail { sender: list::one(&sender).ok(), ..Mail::default() };
        let typed: Vec<_> = to.iter().map(|to| Rcpt::from(list::one(to).unwrap())).collect();
        let text = format!("X-A: {from}\r\nFrom: {from}\r\nSubject: {from}\r\n");
        let mut header = Header::parse(text.as_bytes());
        if let Ok((envelope, _)) = rewrite(&mail, &typed, &mut header, &caller("root"), &rules) {
            prop_assert_eq!(header.fields().len(), 3);
            let subject = format!("Subject: {from}\r\n");
            prop_assert_eq!(header.fields()[2].raw(), subject.as_bytes());
            for recipient in envelope.recipients {
                let address = recipient.address.as_str();
                let declared = to.iter().any(|to| to == address || (!to.contains('@') && format!("{to}@example.org") == address));
                prop_assert!(declared || (to.contains(&"a".into()) && ["b@example.org", "c@x"].contains(&address)), "{}", address);
            }
        }
    }
}
