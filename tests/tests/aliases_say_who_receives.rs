//! The alias tables of both programs: who receives, by which chain, and from when on a change
//! counts.

use rustix::process::Signal;
use tests::{
    agent::Agent,
    session::Session,
    sink::{Script, Sink, nexthop},
    smarthost::Smarthost,
    wait::{free_address, until_true},
};

const MESSAGE: &[u8] = b"Subject: test\r\n\r\ntext\r\n";

/// A server on which only aliases receive.
fn server(sink: &Sink, aliases: &str) -> Smarthost {
    let mut smarthost = prepared(sink);
    smarthost.file("aliases", aliases);
    smarthost.run();
    smarthost
}

fn prepared(sink: &Sink) -> Smarthost {
    Smarthost::prepare(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\ndomains = {{ local = [\"relays.example\"] }}\naliases = [\"$DIR/aliases\"]\n\
         recipient_delimiter = \"+\"\nmaildir = \"none\"\n",
        sink.nexthop()
    ))
}

/// Rows B2, B3, B9.
#[test]
fn system_users_reach_root_and_root_an_encrypted_list_and_nobody_else_receives() {
    let sink = Sink::start();
    let smarthost = server(
        &sink,
        "daemon: postmaster\npostmaster: root\nroot: list@encrypted.example\ndonations: treasurer@elsewhere.example\n",
    );
    let mut session = Session::greeted(smarthost.address());
    session.delivers("cron@relays.example", &["daemon@relays.example"], MESSAGE);
    session.delivers(
        "a@elsewhere.example",
        &["donations+2026@relays.example"],
        MESSAGE,
    );
    let mut received: Vec<_> = sink
        .journal()
        .wait_for(2)
        .into_iter()
        .flat_map(|message| message.recipients)
        .collect();
    received.sort();
    assert_eq!(
        received,
        ["list@encrypted.example", "treasurer@elsewhere.example"]
    );
    // A user of the system, as every machine has one; it is no alias.
    assert_eq!(session.say("MAIL FROM:<a@elsewhere.example>").code, 250);
    for stranger in ["nobody", "root.x", "list"] {
        let reply = session.say(&format!("RCPT TO:<{stranger}@relays.example>"));
        assert_eq!(reply.code, 550, "{stranger}: {}", reply.text());
    }
}

/// Row B3.
#[test]
fn a_domain_with_an_umlaut_is_one_domain_in_configuration_table_and_session() {
    let sink = Sink::start();
    let mut smarthost = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.2\"]\nrelayhost = \"{}\"\ndomains = {{ local = [\"b\u{fc}cher.example\"] }}\naliases = [\"$DIR/aliases\"]\nmaildir = \"none\"\n",
        sink.nexthop()
    ));
    smarthost.file(
        "aliases",
        "info: board@bu\u{308}cher.example\nboard: jane@ex\u{e4}mple.example\n",
    );
    smarthost.run();
    let mut session = Session::greeted(smarthost.address());
    for (mail, to) in [
        (
            "MAIL FROM:<a@elsewhere.example>",
            "info@xn--bcher-kva.example",
        ),
        (
            "MAIL FROM:<a@elsewhere.example> SMTPUTF8",
            "info@B\u{dc}CHER.example",
        ),
        (
            "MAIL FROM:<a@elsewhere.example> SMTPUTF8",
            "info@bu\u{308}cher.example",
        ),
    ] {
        assert_eq!(session.say(mail).code, 250);
        let reply = session.say(&format!("RCPT TO:<{to}>"));
        assert_eq!(reply.code, 250, "{to}: {}", reply.text());
        assert_eq!(session.say("RSET").code, 250);
    }
    session.delivers(
        "a@elsewhere.example",
        &["info@xn--bcher-kva.example"],
        MESSAGE,
    );
    let received = sink.journal().wait_for(1);
    assert_eq!(received[0].recipients, ["jane@xn--exmple-cua.example"]);
}

/// Row D4: what is done after a change today, `newaliases` and a reload, is right here too, and
/// counts at once.
#[test]
fn a_changed_alias_counts_after_newaliases_and_a_reload() {
    let sink = Sink::start();
    let mut smarthost = server(&sink, "root: first@encrypted.example\n");
    let mut machine = Agent::prepare(&format!(
        "relayhost = \"{}\"\ntls = \"none\"\ndomain = \"relays.example\"\naliases = \"$DIR/aliases\"\n",
        smarthost.nexthop()
    ));
    machine.file("aliases", "cron: root@relays.example\n");
    machine.run();
    machine.send(&["cron"], MESSAGE);
    let received = sink.journal().wait_for(1);
    assert_eq!(received[0].recipients, ["first@encrypted.example"]);

    machine.file("aliases", "cron: admin@relays.example\n");
    // It comes back when the agent takes the file.
    let newaliases = machine.program("newaliases").output();
    assert!(newaliases.is_ok_and(|output| output.status.success()));
    smarthost.file(
        "aliases",
        "root: first@encrypted.example\nadmin: second@encrypted.example\n",
    );
    smarthost.daemon().signal(Signal::HUP);
    smarthost.daemon().wait_for_log("reloaded");
    machine.send(&["cron"], MESSAGE);
    let received = sink.journal().wait_for(2);
    assert_eq!(received[1].recipients, ["second@encrypted.example"]);
}

#[test]
fn a_changed_alias_and_a_changed_list_count_without_a_reload_and_a_broken_file_changes_nothing() {
    let sink = Sink::start();
    let mut smarthost = server(&sink, "info: someone@elsewhere.example\n");
    let list = smarthost.directory().join("list");
    let include = format!("staff: :include:{}\n", list.display());
    smarthost.file("aliases", &include);
    smarthost.daemon().signal(Signal::HUP);
    smarthost.daemon().wait_for_log("reloaded");
    let address = smarthost.address();
    let taken = |name: &str| {
        let mut session = Session::greeted(address);
        session.say("MAIL FROM:<a@elsewhere.example>");
        session
            .say(&format!("RCPT TO:<{name}@relays.example>"))
            .code
    };
    // The list is not there: the mail stays with its sender.
    assert_eq!((taken("staff"), taken("new")), (451, 550));
    smarthost.file("list", "one@elsewhere.example\ntwo@elsewhere.example\n");
    until_true("the list is followed", || taken("staff") == 250);
    smarthost.file("aliases", &format!("{include}new: staff\n"));
    until_true("the new alias counts", || taken("new") == 250);
    smarthost.file("aliases", "");
    until_true("the empty file is told of", || {
        assert_eq!(taken("new"), 250);
        smarthost
            .daemon()
            .log()
            .contains("is suddenly empty; what was read before stays in force")
    });
    assert_eq!(taken("new"), 250);
    assert_eq!(
        smarthost.daemon().log().matches("suddenly empty").count(),
        1,
        "told once"
    );
    let mut session = Session::greeted(smarthost.address());
    session.delivers("a@elsewhere.example", &["new@relays.example"], MESSAGE);
    let mut received = sink.journal().wait_for(1).remove(0).recipients;
    received.sort();
    assert_eq!(received, ["one@elsewhere.example", "two@elsewhere.example"]);
}

/// RFC 5321 §4.5.1.
#[test]
fn mail_for_postmaster_is_kept_until_somebody_is_named_and_then_released_to_them() {
    let sink = Sink::start();
    let mut smarthost = server(&sink, "info: someone@elsewhere.example\n");
    let check = smarthost.admin(&["check"]);
    let text = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(text.contains("nobody is named for postmaster"), "{text}");
    let mut session = Session::greeted(smarthost.address());
    let to = ["postmaster@relays.example", "info@relays.example"];
    session.delivers("a@elsewhere.example", &to, MESSAGE);
    // The others have it at once.
    assert_eq!(
        sink.journal().first().recipients,
        ["someone@elsewhere.example"]
    );
    let listing = smarthost.wait_for_mailq("the held message", |listing| listing.contains('!'));
    let id = listing
        .lines()
        .find_map(|line| line.split_once('!').map(|(id, _)| id.trim().to_owned()))
        .unwrap();
    smarthost.file(
        "aliases",
        "info: x@elsewhere.example\npostmaster: person@elsewhere.example\n",
    );
    until_true("somebody is named", || {
        let text = smarthost.admin(&["check"]).stdout;
        !String::from_utf8_lossy(&text).contains("for postmaster")
    });
    smarthost.daemon().signal(Signal::HUP);
    smarthost.daemon().wait_for_log("reloaded");
    assert!(smarthost.admin(&["queue", "release", &id]).status.success());
    assert_eq!(
        sink.journal().wait_for(2)[1].recipients,
        ["person@elsewhere.example"]
    );
    smarthost.wait_for_mailq("an empty queue", |listing| listing.contains("is empty"));
}

#[test]
fn mail_that_was_queued_before_anybody_was_named_goes_to_whom_aliases_name_when_it_is_sent() {
    let relay = free_address();
    let machine = Agent::start(&format!(
        "relayhost = \"{}\"\ntls = \"none\"\nhostname = \"vm1.relays.example\"\ndomain = \"vm1.relays.example\"\naliases = \"$DIR/aliases\"\n",
        nexthop(relay)
    ));
    let large = [MESSAGE, &b"0123456789\r\n".repeat(50_000)].concat();
    machine.send(&["root"], &large);
    machine.send(&["root@vm1.relays.example"], MESSAGE);
    machine.send(&["bob@elsewhere.example", "news"], MESSAGE);
    machine.wait_for_mailq("that all wait", |listing| listing.contains("3 Requests"));
    machine.file(
        "aliases",
        "*: person@elsewhere.example\nnews: one@elsewhere.example, two@elsewhere.example\n",
    );
    let newaliases = machine.program("newaliases").output();
    assert!(newaliases.is_ok_and(|output| output.status.success()));
    let sink = Sink::on(relay, Script::default());
    assert!(machine.admin(&["queue", "flush"]).status.success());
    let mut received = sink.journal().wait_for(3);
    received.sort_by_key(|message| message.recipients.clone());
    let [list, person, address] = received.as_slice() else {
        panic!("{received:?}");
    };
    assert_eq!(
        list.recipients,
        [
            "bob@elsewhere.example",
            "one@elsewhere.example",
            "two@elsewhere.example"
        ]
    );
    assert_eq!(person.recipients, ["person@elsewhere.example"]);
    assert!(
        person.content.ends_with(&large[MESSAGE.len()..]),
        "the same content"
    );
    // This one had an address when it was queued.
    assert_eq!(address.recipients, ["root@vm1.relays.example"]);
    machine.wait_for_mailq("an empty queue", |listing| listing.contains("is empty"));
}

#[test]
fn a_bounce_to_a_local_user_goes_to_whom_aliases_name() {
    let refused = "550 5.1.1 no such user".to_owned();
    let sink = Sink::with(Script {
        recipients: vec![("gone@elsewhere.example".to_owned(), refused)],
        ..Script::default()
    });
    let mut machine = Agent::prepare(&format!(
        "relayhost = \"{}\"\ntls = \"none\"\nhostname = \"vm1.relays.example\"\ndomain = \"vm1.relays.example\"\naliases = \"$DIR/aliases\"\n",
        sink.nexthop()
    ));
    machine.file("aliases", "backup: ops@elsewhere.example\n");
    machine.run();
    for (sender, told) in [
        ("backup", "ops@elsewhere.example"),
        ("nobody-knows", "nobody-knows@vm1.relays.example"),
        ("shop@elsewhere.example", "shop@elsewhere.example"),
    ] {
        let before = sink.journal().len();
        machine.send(&["-f", sender, "gone@elsewhere.example"], MESSAGE);
        let bounce = sink.journal().wait_for(before + 1).remove(before);
        assert_eq!(
            (bounce.sender.as_str(), bounce.recipients.as_slice()),
            ("", [told.to_owned()].as_slice())
        );
    }
}

/// Nobody stands for the alias, and that is meant: the client keeps its mail, alone or beside
/// others, and after a reload too.
#[test]
fn mail_for_an_alias_whose_list_is_empty_is_never_taken_and_lost() {
    let sink = Sink::start();
    let mut smarthost = server(&sink, "bob: bob@elsewhere.example\n");
    let list = smarthost.directory().join("list");
    smarthost.file("list", "one@elsewhere.example\n");
    let aliases = format!(
        "bob: bob@elsewhere.example\nstaff: :include:{}\nall: staff\n",
        list.display()
    );
    smarthost.file("aliases", &aliases);
    smarthost.daemon().signal(Signal::HUP);
    smarthost.daemon().wait_for_log("reloaded");
    let mut session = Session::greeted(smarthost.address());
    session.delivers("a@elsewhere.example", &["all@relays.example"], MESSAGE);
    assert_eq!(
        sink.journal().wait_for(1)[0].recipients,
        ["one@elsewhere.example"]
    );
    // That may be a mistake: what was read before stays, over a reload too.
    smarthost.file("list", "");
    smarthost.daemon().signal(Signal::HUP);
    smarthost.daemon().wait_for_log("is suddenly empty");
    session.delivers("a@elsewhere.example", &["all@relays.example"], MESSAGE);
    for empty in [
        "# empty\n",
        "# nobody is left\n# empty\n",
        "\n# empty\n\n",
        "undisclosed-recipients:;\n# empty\n",
    ] {
        smarthost.file("list", empty);
        let before = smarthost
            .daemon()
            .log()
            .matches("it stands for nobody")
            .count();
        smarthost.daemon().signal(Signal::HUP);
        until_true("the reload tells of it", || {
            smarthost
                .daemon()
                .log()
                .matches("it stands for nobody")
                .count()
                > before
        });
        until_true("it is in force", || {
            let mut session = Session::greeted(smarthost.address());
            session.say("MAIL FROM:<a@elsewhere.example>");
            let reply = session.say("RCPT TO:<staff@relays.example>");
            reply.code == 451 && reply.text().contains("4.3.0")
        });
        let mut session = Session::greeted(smarthost.address());
        session.say("MAIL FROM:<a@elsewhere.example>");
        assert_eq!(session.say("RCPT TO:<bob@relays.example>").code, 250);
        assert_eq!(
            session.say("RCPT TO:<all@relays.example>").code,
            451,
            "{empty:?}"
        );
    }
    assert!(
        smarthost
            .daemon()
            .log()
            .contains("aliases:2: it stands for nobody")
    );
}

/// What is wrong with an alias is for the log and for `check`; the client, one of ours or not,
/// hears of no file.
#[test]
fn a_fault_of_an_alias_names_its_file_to_the_administrators_and_not_to_the_client() {
    let sink = Sink::start();
    let mut smarthost = prepared(&sink);
    let here = smarthost.directory().display().to_string();
    smarthost.file("programs", "|/bin/false\n");
    smarthost.file("files", "/var/mail/somebody\n");
    smarthost.file("broken", "a@@b\n");
    smarthost.file("deep", &format!(":include:{here}/missing\n"));
    smarthost.file("aliases", &format!(
        "missing: :include:{here}/missing\nprograms: :include:{here}/programs\nfiles: :include:{here}/files\n\
         broken: :include:{here}/broken\ndeep: :include:{here}/deep\nfolder: :include:{here}\nfile: {here}/mbox\n\
         odd: :included:{here}/odd\nloop: again\nagain: loop\nok: a@elsewhere.example\n"
    ));
    smarthost.run();
    for alias in [
        "missing", "programs", "files", "broken", "deep", "folder", "file", "odd", "loop",
    ] {
        let mut session = Session::greeted(smarthost.address());
        session.say("MAIL FROM:<a@elsewhere.example>");
        let reply = session.say(&format!("RCPT TO:<{alias}@relays.example>"));
        assert_eq!(
            (reply.code, reply.text()),
            (
                451,
                format!(
                    "4.3.5 <{alias}@relays.example>: Recipient address rejected: its alias cannot be expanded; the log of this server says why"
                )
            )
        );
        let log = smarthost
            .daemon()
            .wait_for_log(&format!("alias {alias}@relays.example cannot be expanded"));
        let line = log
            .lines()
            .find(|line| line.contains(&format!("alias {alias}@")))
            .unwrap();
        assert!(
            alias == "loop" || line.contains(&here) || line.contains("/var/mail/somebody"),
            "{line}"
        );
    }
    let log = smarthost.daemon().log();
    assert!(
        log.contains(&format!("the list {here}/missing cannot be followed")),
        "{log}"
    );
    assert!(!log.contains("included files is not supported"), "{log}");
    let checked = String::from_utf8(smarthost.admin(&["check"]).stdout).unwrap();
    assert!(
        checked.contains("/missing is not followed: No such file"),
        "{checked}"
    );
    assert!(!checked.contains("included files"), "{checked}");
}

#[test]
fn an_alias_that_leads_to_nobody_is_told_with_its_line_and_its_mail_is_never_taken_and_returned() {
    let sink = Sink::start();
    let table = "root: list@encrypted.example\none: nosuch\ntwo: root, nosuch\nthree: nosuch@relays.example\n\
                 four: \"open\nfive: one\nsix: \\nosuch, nobody@mail.example.test\nfine: root, a@elsewhere.example\n";
    let smarthost = server(&sink, table);
    let mut session = Session::greeted(smarthost.address());
    assert_eq!(session.say("MAIL FROM:<a@elsewhere.example>").code, 250);
    for (name, code) in [
        ("one", 451),
        ("three", 451),
        ("four", 451),
        ("five", 451),
        ("six", 451),
        ("ONE+x", 451),
        ("two", 250),
        ("fine", 250),
        ("nosuch", 550),
    ] {
        let reply = session.say(&format!("RCPT TO:<{name}@relays.example>"));
        assert_eq!(reply.code, code, "{name}: {}", reply.text());
    }
    let output = smarthost.admin(&["check"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    for line in [2, 3, 4, 5, 7] {
        assert!(
            said.contains(&format!("/aliases:{line}: ")),
            "{line}: {said}"
        );
    }
    for line in [1, 6, 8] {
        assert!(
            !said.contains(&format!("/aliases:{line}: ")),
            "{line}: {said}"
        );
    }
}

/// The mistake is the administrator's: Postfix returns such mail to its sender, who can
/// mend nothing.
#[test]
fn an_entry_that_nobody_has_beside_others_costs_its_sender_no_bounce_and_the_others_nothing() {
    let sink = Sink::start();
    let mut smarthost = server(&sink, "root: list@encrypted.example\nhh: root, nosuch\n");
    let mut session = Session::greeted(smarthost.address());
    session.delivers(
        "a@elsewhere.example",
        &["hh@relays.example"],
        b"Subject: both\r\n\r\nx\r\n",
    );
    let received = sink.journal().first();
    assert_eq!(received.recipients, ["list@encrypted.example"]);
    smarthost.wait_for_mailq("an empty queue", |queue| queue.contains("is empty"));
    assert_eq!(sink.journal().len(), 1, "nobody hears of it");
    let log = smarthost.daemon().log();
    assert!(log.contains("which nobody has: left out"), "{log}");
    let checked = String::from_utf8(smarthost.admin(&["check"]).stdout).unwrap();
    assert!(checked.contains("/aliases:2: "), "{checked}");
}
