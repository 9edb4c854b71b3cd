//! Aliases and revaliases of a machine that break: who receives and who sends stays as it was, over
//! a restart too, and it is told once.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::Output,
    thread,
};

use tests::{
    agent::{Agent, as_user, pipe},
    sink::Sink,
    wait::{until, until_true},
};

const ALIASES: &str = "root: ops@far.example\nwww: web@far.example\n";
const REVALIASES: &str = "root: node@sender.example\n";

fn text(output: &Output) -> String {
    let said = [&*output.stdout, &output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

/// Mail for www, from root: from whom and to whom it goes.
fn goes(machine: &Agent, sink: &Sink, subject: &str) -> (String, Vec<String>) {
    machine.send(&["www"], format!("Subject: {subject}\n\nx\n"));
    let arrived = until("it arrives", || {
        let all = sink.journal().messages().into_iter();
        let mut of_it = all.filter(|it| it.field("Subject") == subject);
        of_it.next()
    });
    (arrived.sender.clone(), arrived.recipients.clone())
}

#[test]
fn aliases_that_break_change_nobodys_mail_after_a_restart_either_and_root_is_told_once() {
    for (name, content, line) in [
        ("aliases", "", "aliases: is suddenly empty"),
        ("aliases", "# all gone\n", "aliases: is suddenly empty"),
        (
            "aliases",
            "root ops\nwww: other@far.example\n",
            "aliases:1: ",
        ),
        ("revaliases", "", "revaliases: is suddenly empty"),
        ("revaliases", "root\n", "revaliases:1: "),
    ] {
        let sink = Sink::start();
        let mut machine = Agent::prepare(&format!(
            "relayhost = \"{}\"\ntls = \"none\"\ndomain = \"example.org\"\n\
             aliases = \"$DIR/aliases\"\nrevaliases = \"$DIR/revaliases\"\n",
            sink.nexthop()
        ));
        machine.file("aliases", ALIASES);
        machine.file("revaliases", REVALIASES);
        machine.run();
        let before = goes(&machine, &sink, "before");
        assert_eq!(before.0, "node@sender.example");
        assert_eq!(before.1, ["web@far.example"]);
        machine.file(name, content);
        for round in 0..2 {
            until_true("status tells", || {
                text(&machine.admin(&["status"])).contains(line)
            });
            let subject = format!("broken {round}");
            assert_eq!(
                goes(&machine, &sink, &subject),
                before,
                "{name} {content:?}"
            );
            let check = text(&machine.admin(&["check"]));
            assert!(check.contains(line), "{check}");
            machine.daemon().kill();
            machine.run();
        }
        let told = || {
            let all = sink.journal().messages().into_iter();
            let told = all.filter(|it| it.field("Subject").contains("an alias file"));
            // Whoever is killed may deliver twice.
            let told = told.map(|it| (it.field("Message-ID"), it));
            let told: BTreeMap<_, _> = told.collect();
            let told = told.into_values();
            told.map(|it| (it.recipients.clone(), it.text()))
                .collect::<Vec<_>>()
        };
        until_true("root is told", || !told().is_empty());
        assert_eq!(goes(&machine, &sink, "last"), before);
        let told = told();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].0, ["ops@far.example"]);
        assert!(told[0].1.contains(line), "{told:?}");

        // Copies are the agent's alone.
        let copies = machine.directory().join("spool/tables.last-good");
        let mut modes = fs::read_dir(&copies).unwrap();
        assert!(modes.all(|it| it.unwrap().metadata().unwrap().mode() & 0o777 == 0o600));

        // What is meant counts, and so does the mended file.
        machine.file(name, "# empty\n");
        until_true("it is meant", || {
            !text(&machine.admin(&["status"])).contains(line)
        });
        machine.daemon().kill();
        machine.run();
        let meant = goes(&machine, &sink, "meant");
        assert_ne!(meant, before, "{name}");
        machine.file("aliases", ALIASES);
        machine.file("revaliases", REVALIASES);
        let mut round = 0;
        until_true("it is mended", || {
            round += 1;
            goes(&machine, &sink, &format!("mended {round}")) == before
        });
    }
}

/// A file that is gone is told as one that was emptied, until one says that nobody is meant.
#[test]
fn a_machines_alias_file_that_is_removed_stays_in_force_until_it_says_that_it_is_empty_and_a_damaged_copy_is_none()
 {
    let sink = Sink::start();
    let mut machine = Agent::prepare(&format!(
        "relayhost = \"{}\"\ntls = \"none\"\ndomain = \"example.org\"\naliases = \"$DIR/aliases\"\n",
        sink.nexthop()
    ));
    machine.file("aliases", ALIASES);
    machine.run();
    assert_eq!(goes(&machine, &sink, "before").1, ["web@far.example"]);
    machine.daemon().stop();
    let copies = machine.directory().join("spool/tables.last-good");
    for copy in fs::read_dir(&copies).unwrap() {
        tests::identity::write(&copy.unwrap().path(), "www: thief@far.example\n");
    }
    machine.run();
    assert_eq!(goes(&machine, &sink, "damaged").1, ["web@far.example"]);
    fs::remove_file(machine.directory().join("aliases")).unwrap();
    until_true("it is told", || {
        text(&machine.admin(&["status"])).contains("is not there; what was read before stays")
    });
    assert_eq!(goes(&machine, &sink, "gone").1, ["web@far.example"]);
    machine.daemon().kill();
    machine.run();
    assert_eq!(goes(&machine, &sink, "again").1, ["web@far.example"]);
    machine.file("aliases", "# empty\n");
    let mut round = 0;
    until_true("it is empty", || {
        round += 1;
        goes(&machine, &sink, &format!("empty {round}")).1 == ["www@example.org"]
    });
    machine.daemon().kill();
    machine.file("aliases", "");
    machine.run();
    assert_eq!(goes(&machine, &sink, "blank").1, ["www@example.org"]);
    assert!(!text(&machine.admin(&["status"])).contains("suddenly"));
}

/// As root, as a user and of a configuration that is wrong besides.
#[test]
fn what_bv_and_explain_tell_is_what_the_mail_gets_while_files_are_wrong_or_gone() {
    let sink = Sink::start();
    let good = format!(
        "relayhost = \"{}\"\ntls = \"none\"\ndomain = \"example.org\"\naliases = \"$DIR/aliases\"\n",
        sink.nexthop()
    );
    let mut machine = Agent::prepare(&good);
    machine.file("aliases", ALIASES);
    machine.open_to_all();
    machine.run();
    let verified = |machine: &Agent| {
        let mut command = machine.public("sendmail");
        command.args(["-bv", "www"]);
        let by_user = as_user("64003", &command).output().unwrap();
        let typed = pipe(machine.program("sendmail").arg("-bt"), b"www\n");
        let own = command.output().unwrap();
        [own, by_user, typed]
    };
    let tells = |machine: &Agent, what: &str| {
        for output in verified(machine) {
            let told = text(&output);
            assert_eq!(output.status.code(), Some(0), "{what}: {told}");
            let address = "www: <web@far.example>";
            assert!(told.contains(address), "{what}: {told}");
            assert!(told.contains(&sink.nexthop()), "{what}: {told}");
        }
        let explained = machine.admin(&["explain", "www"]);
        let told = text(&explained);
        assert_eq!(explained.status.code(), Some(0), "{what}: {told}");
        assert!(told.contains("<web@far.example>"), "{what}: {told}");
        assert_eq!(goes(machine, &sink, what).1, ["web@far.example"]);
    };
    tells(&machine, "good");
    machine.file("aliases", "root ops\nwww: other@far.example\n");
    tells(&machine, "faulty");
    fs::remove_file(machine.directory().join("aliases")).unwrap();
    tells(&machine, "gone");
    machine.daemon().kill();
    machine.run();
    tells(&machine, "gone over a restart");
    machine.configure("relayhost = ");
    tells(&machine, "with a wrong configuration");
    // Nobody can tell it then, and so it is said.
    machine.daemon().kill();
    for output in verified(&machine) {
        let told = text(&output);
        assert_eq!(output.status.code(), Some(78), "{told}");
    }
}

#[test]
fn check_and_newaliases_name_an_alias_file_that_includes_itself_or_may_have_been_cut_off() {
    let machine = Agent::prepare("aliases = \"$DIR/aliases\"\nadmin = \"a@far.example\"\n");
    let both = || {
        let newaliases = machine.program("newaliases").output().unwrap();
        [text(&machine.admin(&["check"])), text(&newaliases)]
    };
    let itself = format!(
        "www: :include:{}\n",
        machine.directory().join("aliases").display()
    );
    for (content, told) in [
        (itself.as_str(), "includes itself"),
        ("root: ops@far.exa", "its last line has no end"),
    ] {
        machine.file("aliases", content);
        for said in both() {
            assert!(said.contains(told), "{said}");
        }
    }
    machine.file("aliases", ALIASES);
    for said in both() {
        assert!(
            !said.contains("no end") && !said.contains("itself"),
            "{said}"
        );
    }
}

/// What is done to a file.
type Change<'a> = &'a (dyn Fn(&Path) + Sync);

/// Whom the agent would send to, who sends in its place may not know.
#[test]
fn without_the_agent_mail_that_a_table_decides_waits_with_its_caller_if_the_table_cannot_be_read() {
    let mend = |_: &Path| ();
    let hide = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o640)).unwrap();
    let empty = |path: &Path| tests::identity::write(path, "");
    let cut = |path: &Path| tests::identity::write(path, "root\nwww: web@far.example\n");
    // What is done to which file, and whether these go then: a list, another name, an address.
    let cases: [(&str, Change<'_>, [bool; 3]); 7] = [
        ("aliases", &mend, [true, true, true]),
        ("members", &hide, [false, true, true]),
        ("members", &empty, [false, true, true]),
        ("aliases", &hide, [false, false, true]),
        ("aliases", &empty, [false, false, true]),
        ("aliases", &cut, [false, false, true]),
        ("revaliases", &hide, [false, false, false]),
    ];
    // Those that do not go wait for an agent that starts.
    thread::scope(|scope| {
        for (name, change, go) in &cases {
            scope.spawn(move || without_the_agent(name, *change, *go));
        }
    });
}

fn without_the_agent(name: &str, change: Change<'_>, go: [bool; 3]) {
    let sink = Sink::start();
    let mut machine = Agent::prepare(&format!(
        "relayhost = \"{}\"\ntls = \"none\"\ndomain = \"example.org\"\n\
         admin = \"admins@example.org\"\n\
         aliases = \"$DIR/aliases\"\nrevaliases = \"$DIR/revaliases\"\n",
        sink.nexthop()
    ));
    let file = machine.directory().join(name);
    let members = machine.directory().join("members");
    machine.file("members", "ann@far.example\n");
    let list = format!(
        "{ALIASES}list: bob@far.example, :include:{}\n",
        members.display()
    );
    machine.file("aliases", &list);
    machine.file("revaliases", REVALIASES);
    machine.open_to_all();
    for file in ["members", "aliases", "revaliases"] {
        let file = machine.directory().join(file);
        fs::set_permissions(file, Permissions::from_mode(0o644)).unwrap();
    }
    machine.run();
    machine.send(&["carl@far.example"], "Subject: x\n\nx\n");
    until("it keeps what it goes by", || {
        sink.journal().messages().pop()
    });
    assert!(machine.daemon().stop().success());
    change(&file);
    let own: [(&str, &[&str]); 3] = [
        ("list", &["ann@far.example", "bob@far.example"]),
        ("www", &["web@far.example"]),
        ("carl@far.example", &["carl@far.example"]),
    ];
    let mut sent = 1;
    let mut arrives = |what: &str, to: &[&str]| {
        sent += 1;
        let all = sink.journal().messages();
        assert_eq!(all.len(), sent, "{what}");
        let mut recipients = all[sent - 1].recipients.clone();
        recipients.sort();
        assert_eq!(recipients, to, "{what}");
    };
    for ((to, recipients), goes) in own.into_iter().zip(go) {
        let mut sendmail = machine.public("sendmail");
        let mut sendmail = as_user("64003", sendmail.arg(to));
        let output = pipe(&mut sendmail, b"Subject: x\n\nx\n");
        let (what, told) = (format!("{name}: {to}"), text(&output));
        if goes {
            assert_eq!(output.status.code(), Some(0), "{what}: {told}");
            arrives(&what, recipients);
        } else {
            assert_eq!(output.status.code(), Some(75), "{what}: {told}");
            assert!(told.contains(&*file.to_string_lossy()), "{what}: {told}");
        }
    }
    // Root knows what the agent has kept.
    for (to, recipients) in own {
        machine.send(&[to], "Subject: x\n\nx\n");
        arrives(to, recipients);
    }
}
