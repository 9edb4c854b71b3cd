//! Programs that take mail: pipe transports, and programs that aliases name. Mailman, Schleuder and auto-responders are scripts here
//! that do with arguments, input and exit status what those do.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use tests::{session::Session, smarthost::Smarthost, wait::until};

const MESSAGE: &[u8] = b"Subject: test\r\n\r\n.dot\r\ntext\r\n";

fn script(smarthost: &Smarthost, name: &str, text: &str) {
    smarthost.file(name, &format!("#!/bin/sh\n{text}\n"));
    chmod(&smarthost.directory().join(name), 0o755);
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn read(smarthost: &Smarthost, name: &str) -> String {
    let path = smarthost.directory().join(name);
    until(&format!("{name} is written"), || {
        fs::read_to_string(&path)
            .ok()
            .filter(|text| text.ends_with("end\n"))
    })
}

/// Whatever ends it: refused for good, or waiting, with the program's own words; and a crash is no refusal.
#[test]
fn the_end_of_a_program_bounces_or_keeps_its_mail_and_its_words_are_told() {
    let mut smarthost = Smarthost::prepare(
        "networks = [\"127.0.0.0/8\"]\ndomains = { local = [\"example.org\"] }\nmaildir = \"$DIR/Maildir\"\n\
         routes = { \"lists.example\" = \"lists\" }\n\
         [transports.lists]\ntype = \"pipe\"\ncommand = [\"$DIR/deliver\", \"${user}\"]\ntimeout = \"2s\"\n",
    );
    script(
        &smarthost,
        "deliver",
        "cat >/dev/null\ncase $1 in\nx*) exit ${1#x};;\nkilled) kill -9 $$;;\nhangs) sleep 600;;\n\
         busy) echo '4.2.0 mailbox busy' >&2; exit 69;;\nnone) echo '5.1.1 no such list'; exit 75;;\n\
         group) echo 'WANTED gid 38, GOT gid 65534'; exit 2;;\n\
         flood) head -c 50000000 /dev/zero | tr '\\0' '\\033'; exit 75;;\nesac",
    );
    smarthost.run();
    let mut session = Session::greeted(smarthost.address());
    for (user, expected) in [
        ("x0", "dsn=2.0.0, status=sent (delivered via lists service)"),
        ("x67", "dsn=5.1.1, status=bounced (user unknown)"),
        ("x69", "dsn=5.3.0, status=bounced (service unavailable)"),
        ("x73", "dsn=5.2.0, status=bounced"),
        ("x75", "dsn=4.3.0, status=deferred (temporary failure)"),
        ("x78", "dsn=5.3.5, status=bounced"),
        (
            "x1",
            "dsn=4.3.0, status=deferred (Command died with status 1",
        ),
        (
            "killed",
            "dsn=4.3.0, status=deferred (Command died with signal 9",
        ),
        (
            "hangs",
            "dsn=4.3.0, status=deferred (Command time limit exceeded",
        ),
        ("busy", "dsn=4.2.0, status=deferred (mailbox busy)"),
        ("none", "dsn=5.1.1, status=bounced (no such list)"),
        ("group", "GOT gid 65534"),
        (
            "flood",
            "dsn=4.3.0, status=deferred (temporary failure. Command output: \\x1b",
        ),
    ] {
        let to = format!("{user}@lists.example");
        session.delivers("sender@example.org", &[&to], MESSAGE);
        let log = smarthost.daemon().wait_for_log(&format!("to=<{to}>"));
        let line = log
            .lines()
            .find(|line| line.contains(&format!("to=<{to}>")));
        let line = line.unwrap_or_default();
        assert!(line.contains(expected), "{user}: {line}");
        assert!(line.len() < 2000, "{user}: {}", line.len());
    }
    let bounce = until("the sender hears of it", || {
        let bounces = smarthost.maildir("Maildir");
        bounces.into_iter().find(|it| it.contains("no such list"))
    });
    for part in [
        "Final-Recipient: rfc822; none@lists.example",
        "Status: 5.1.1",
    ] {
        assert!(bounce.contains(part), "{part} in {bounce}");
    }
    assert!(smarthost.mailq().contains("GOT gid 65534"));
}

/// Row B12: an encrypted list's program, chosen by addresses, which are also those that receive; one recipient a run, and no loops.
#[test]
fn an_encrypted_lists_program_is_run_once_for_each_of_its_addresses() {
    let mut smarthost = Smarthost::prepare(
        "networks = [\"127.0.0.0/8\"]\ndomains = { local = [\"example.org\"] }\nmaildir = \"none\"\n\
         routes = { \"keys@example.org\" = \"schleuder\", \"dev@example.org\" = \"schleuder\" }\n\
         [transports.schleuder]\ncommand = [\"$DIR/schleuder\", \"work\", \"${recipient}\", \"${sender}\", \"${size}\", \"${extension}\"]\nrecipients = 1\n",
    );
    script(
        &smarthost,
        "schleuder",
        "{ printf '<%s>' \"$@\"; echo; cat; echo $RECIPIENT $CLIENT_ADDRESS $HOME; echo end; } > ${0%schleuder}got.$2",
    );
    smarthost.run();
    let mut session = Session::greeted(smarthost.address());
    let unknown = session.mail("a@ham.example", &["other@example.org"], MESSAGE);
    assert_eq!(unknown.unwrap().code, 550);
    let looping = b"Delivered-To: KEYS@Example.ORG\r\nSubject: x\r\n\r\nbody\r\n";
    let mut session = Session::greeted(smarthost.address());
    session.delivers(
        "a@ham.example",
        &["keys@example.org", "dev+x@example.org"],
        looping,
    );
    let got = read(&smarthost, "got.dev+x@example.org");
    let first = got.lines().next().unwrap();
    assert!(
        first.starts_with("<work><dev+x@example.org><a@ham.example><") && first.ends_with("><x>"),
        "{first}"
    );
    for part in [
        "\nReturn-Path: <a@ham.example>\nDelivered-To: dev+x@example.org\n",
        "\nDelivered-To: KEYS@Example.ORG\nSubject: x\n",
        "\n\nbody\ndev+x@example.org 127.0.0.1\nend\n",
    ] {
        assert!(got.contains(part), "{part:?} in {got}");
    }
    let log = smarthost
        .daemon()
        .wait_for_log("mail forwarding loop for keys@example.org");
    assert!(log.contains("dsn=5.4.6"), "{log}");
    session.delivers(
        "a@ham.example",
        &["keys@example.org"],
        b"Delivered-To: keys@other.example\r\n\r\nbody\r\n",
    );
    read(&smarthost, "got.keys@example.org");
}

/// Rows B11, B13: Mailman's generated aliases run by a transport of their own, an auto-responder by a table that nobody else can write.
#[test]
fn mailmans_aliases_and_an_auto_responder_are_run_and_no_shell_reads_them() {
    let mut smarthost = Smarthost::prepare(
        "networks = [\"127.0.0.0/8\"]\ndomains = { local = [\"example.org\"] }\nmaildir = \"none\"\n\
         aliases = [\"$DIR/aliases\", { file = \"$DIR/mailman\", programs = \"mailman\" }, \"$DIR/theirs\"]\n\
         [transports.mailman]\ntype = \"pipe\"\nflags = \"\"\nprocesses = 1\n",
    );
    let directory = smarthost.directory().display().to_string();
    script(
        &smarthost,
        "program",
        "name=$1; shift; { printf '<%s>' \"$@\"; echo; cat; echo $SENDER; echo end; } > ${0%program}$name",
    );
    smarthost.file(
        "aliases",
        &format!("donate: answer\ngifts: donate\nanswer: \"|{directory}/program answered '$(id)' 'a b'\"\n"),
    );
    smarthost.file(
        "mailman",
        &format!(
            "# STANZA START: test\ntest:              \"|{directory}/program post list test\"\n\
             test-owner:        \"|{directory}/program owner test\"\n# STANZA END: test\n"
        ),
    );
    chmod(&smarthost.directory().join("mailman"), 0o666);
    smarthost.file("theirs", &format!("bad: \"|{directory}/program stolen\"\n"));
    chmod(&smarthost.directory().join("theirs"), 0o666);
    smarthost.run();
    let mut session = Session::greeted(smarthost.address());
    session.delivers(
        "a@ham.example",
        &["gifts+2026@example.org", "test@example.org"],
        MESSAGE,
    );
    let answered = read(&smarthost, "answered");
    assert!(
        answered.starts_with("<$(id)><a b>\nReturn-Path: <a@ham.example>\n"),
        "{answered}"
    );
    assert!(
        answered.ends_with("\n\n.dot\ntext\na@ham.example\nend\n"),
        "{answered}"
    );
    let post = read(&smarthost, "post");
    assert!(post.starts_with("<list><test>\nReceived: "), "{post}");
    let refused = session.mail("a@ham.example", &["bad@example.org"], MESSAGE);
    let refused = refused.unwrap();
    assert!(
        refused.code == 451 && refused.text().contains("can write"),
        "{refused:?}"
    );

    // Mended, it goes.
    chmod(&smarthost.directory().join("theirs"), 0o644);
    until("the table is read anew", || {
        let mut session = Session::greeted(smarthost.address());
        let reply = session.mail("a@ham.example", &["bad@example.org"], MESSAGE);
        reply.ok().filter(|reply| reply.code == 250)
    });
    assert!(read(&smarthost, "stolen").contains("Subject: test"));
}
