//! Programs that take mail: pipe transports, and programs that aliases name. Mailman, Schleuder and
//! auto-responders are scripts here that do with arguments, input and exit status what those do.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::{
        fd::OwnedFd,
        unix::{
            fs::PermissionsExt as _,
            net::{UnixListener, UnixStream},
        },
    },
    path::Path,
    process::Command,
};

use tests::{
    agent::Agent,
    binaries::{binaries, write_program},
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
    wait::until,
};

const MESSAGE: &[u8] = b"Subject: test\r\n\r\n.dot\r\ntext\r\n";

fn script(smarthost: &Smarthost, name: &str, text: &str) {
    let path = smarthost.directory().join(name);
    write_program(&path, &format!("#!/bin/sh\n{text}\n"));
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

/// Whatever ends it: refused for good, or waiting, with the program's own words; and a crash is no
/// refusal.
#[test]
fn the_end_of_a_program_bounces_or_keeps_its_mail_and_its_words_are_told() {
    let mut smarthost = Smarthost::prepare(
        "networks = [\"127.0.0.0/8\"]\ndomains = { local = [\"example.org\"] }\nmaildir = \"$DIR/Maildir\"\n\
         routes = { \"lists.example\" = \"lists\" }\n\
         [transports.lists]\ntype = \"pipe\"\ncommand = [\"$DIR/deliver\", \"${user}\", \"Sekret-0815\", \"--password=hunter\"]\ntimeout = \"2s\"\n",
    );
    script(
        &smarthost,
        "deliver",
        "cat >/dev/null\ncase $1 in\nx*) exit ${1#x};;\nkilled) kill -9 $$;;\nhangs) sleep 600;;\n\
         busy) echo '4.2.0 mailbox busy' >&2; exit 69;;\nnone) echo '5.1.1 no such list'; exit 75;;\n\
         group) echo 'WANTED gid 38, GOT gid 65534'; exit 2;;\n\
         login) echo \"5.3.0 cannot log in: $* as $2\" >&2; exit 69;;\n\
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
            "login",
            "dsn=5.3.0, status=bounced (cannot log in: login *** *** as ***)",
        ),
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
    let bounce = until(
        "the sender hears of the failed login, and not as whom",
        || {
            let bounces = smarthost.maildir("Maildir");
            bounces.into_iter().find(|it| it.contains("cannot log in"))
        },
    );
    assert!(
        !bounce.contains("Sekret") && !bounce.contains("hunter"),
        "{bounce}"
    );
}

/// Row B12: an encrypted list's program, chosen by addresses, which are also those that receive;
/// one recipient a run, and no loops.
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

/// Rows B11, B13: Mailman's generated aliases run by a transport of their own, an auto-responder by
/// a table that nobody else can write.
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
        refused.code == 451 && !refused.text().contains("can write"),
        "{refused:?}"
    );
    smarthost
        .daemon()
        .wait_for_log("others than root and the daemon can write");

    // Mended, it goes.
    chmod(&smarthost.directory().join("theirs"), 0o644);
    until("the table is read anew", || {
        let mut session = Session::greeted(smarthost.address());
        let reply = session.mail("a@ham.example", &["bad@example.org"], MESSAGE);
        reply.ok().filter(|reply| reply.code == 250)
    });
    assert!(read(&smarthost, "stolen").contains("Subject: test"));
}

/// Rows A8, D9: a list's program takes a letter by its alias and sends it to the members through
/// the relay, as Sympa does; an office is an alias; nobody has a mailbox.
#[test]
fn a_discussion_list_takes_mail_by_its_program_and_sends_it_through_the_relay() {
    let sink = Sink::start();
    let mut smarthost = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.0/8\"]\ndomains = {{ local = [\"example.org\"] }}\nmaildir = \"none\"\nrelayhost = \"{}\"\n\
         aliases = [\"$DIR/aliases\", {{ file = \"$DIR/sympa\", programs = \"sympa\" }}]\n\
         [transports.sympa]\ntype = \"pipe\"\n",
        sink.nexthop()
    ));
    let host = Agent::prepare("");
    let sendmail = host.program("sendmail").get_program().display().to_string();
    script(
        &smarthost,
        "queue",
        &format!(
            "{{ echo 'List-Id: <'$1'>'; sed '1,/^Delivered-To:/d'; }} |\n\
             SENDMAIL_SHIM_CONFIG={} {sendmail} -i -f discuss-owner@example.org b@example.net c@example.net",
            host.config().display()
        ),
    );
    let directory = smarthost.directory().display().to_string();
    smarthost.file("aliases", "treasurer: anna@example.net\n");
    smarthost.file(
        "sympa",
        &format!("discuss: \"|{directory}/queue discuss@example.org\"\ndiscuss-owner: treasurer\n"),
    );
    smarthost.run();
    host.configure(&format!(
        "relayhost = \"{}\"\ntls = \"none\"\ndomain = \"example.org\"\nfrom_override = true\n",
        smarthost.nexthop()
    ));
    let letter =
        b"From: member@example.com\r\nTo: discuss@example.org\r\nSubject: agenda\r\n\r\nfriday\r\n";
    let mut session = Session::greeted(smarthost.address());
    let unknown = session.mail("member@example.com", &["anna@example.org"], letter);
    assert_eq!(unknown.unwrap().code, 550, "no mailboxes");
    let mut session = Session::greeted(smarthost.address());
    let to = ["discuss@example.org", "treasurer@example.org"];
    session.delivers("member@example.com", &to, letter);
    let mut sent = sink.journal().wait_for(2);
    sent.sort_by_key(|message| message.recipients.len());
    assert_eq!(sent[0].recipients, ["anna@example.net"]);
    assert_eq!(sent[1].recipients, ["b@example.net", "c@example.net"]);
    assert_eq!(sent[1].sender, "discuss-owner@example.org");
    assert_eq!(sent[1].field("List-Id"), "<discuss@example.org>");
    assert_eq!(sent[1].field("From"), "member@example.com");
    assert!(sent[1].text().contains("friday"), "{}", sent[1].text());
}

/// As systemd does with `Accept=yes`: each connection is the standard input of a program of its
/// own.
fn pipe_unit(smarthost: &Smarthost, name: &'static str) {
    let listener = UnixListener::bind(smarthost.directory().join("pipe.sock")).unwrap();
    let config = smarthost.config();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let mut unit = Command::new(&binaries().smarthost);
            unit.arg("--config").arg(&config).args(["pipe", name]);
            let mut unit = unit.stdin(OwnedFd::from(connection)).spawn().unwrap();
            std::thread::spawn(move || unit.wait());
        }
    });
}

/// A transport with a socket, and the alias file of its programs.
fn with_socket() -> Smarthost {
    let smarthost = Smarthost::prepare(
        "networks = [\"127.0.0.0/8\"]\ndomains = { local = [\"example.org\"] }\nmaildir = \"none\"\n\
         aliases = [{ file = \"$DIR/mailman\", programs = \"mailman\" }]\nroutes = { \"keys@example.org\" = \"mailman:there\" }\n\
         [transports.mailman]\nsocket = \"$DIR/pipe.sock\"\nflags = \"DRO\"\n\
         command = [\"$DIR/program\", \"keys\", \"${recipient}\", \"${nexthop}\"]\n",
    );
    let directory = smarthost.directory().display().to_string();
    script(
        &smarthost,
        "program",
        "name=$1; shift; { printf '<%s>' \"$@\"; echo; cat; echo end; } > ${0%program}$name\n\
         case $name in gone) echo '5.1.1 no list für uns'; exit 1;; busy) exit 75;; esac",
    );
    smarthost.file(
        "mailman",
        &format!(
            "test: \"|{directory}/program post list test\"\ngone: |{directory}/program gone\nbusy: |{directory}/program busy\n\
             both: |{directory}/program one, |{directory}/program two\nother: keys@example.org\n"
        ),
    );
    smarthost
}

/// Rows B11, B12: the program's own unit takes the mail by LMTP, and chooses the program itself.
#[test]
fn a_program_in_a_unit_of_its_own_is_spoken_to_over_its_socket() {
    let mut smarthost = with_socket();
    pipe_unit(&smarthost, "mailman");
    smarthost.run();
    let mut session = Session::greeted(smarthost.address());
    session.delivers(
        "a@ham.example",
        &[
            "test@example.org",
            "other@example.org",
            "gone@example.org",
            "busy@example.org",
            "both@example.org",
        ],
        MESSAGE,
    );
    let post = read(&smarthost, "post");
    let front = "<list><test>\nReturn-Path: <a@ham.example>\nX-Original-To: test@example.org\nDelivered-To: test@example.org\n";
    assert!(post.starts_with(front), "{post}");
    assert!(post.ends_with("\n\n.dot\ntext\nend\n"), "{post}");
    let keys = read(&smarthost, "keys");
    let front = "<keys@example.org><there>\nReturn-Path: <a@ham.example>\nX-Original-To: other@example.org\n";
    assert!(keys.starts_with(front), "{keys}");
    for (to, expected) in [
        (
            "gone",
            "dsn=5.1.1, status=bounced (host $DIR/pipe.sock said: 550 5.1.1 no list f\\xc3\\xbcr uns",
        ),
        (
            "busy",
            "dsn=4.3.0, status=deferred (host $DIR/pipe.sock said: 451 4.3.0 temporary failure",
        ),
        ("test", "status=sent (250 2.0.0 delivered to command: "),
        (
            "both",
            "dsn=4.3.5, status=deferred (host $DIR/pipe.sock said: 451 4.3.5 the alias both@example.org names several",
        ),
    ] {
        let told = format!("to=<{to}@example.org>");
        let log = smarthost.daemon().wait_for_log(&told);
        let line = log.lines().find(|line| line.contains(&told)).unwrap();
        let expected = expected.replace("$DIR", &smarthost.directory().display().to_string());
        assert!(line.contains(&expected), "{to}: {line}");
    }
    assert!(
        !smarthost.directory().join("one").exists(),
        "it would be run twice"
    );
    // A large one, with a loop in its body alone; then one with a loop.
    let line = "Delivered-To: keys@example.org\r\n".repeat(100_000);
    let large = format!("Subject: large\r\n\r\n{line}");
    session.delivers("a@ham.example", &["keys@example.org"], large.as_bytes());
    let taken = until("the large one is there", || {
        let keys = fs::read_to_string(smarthost.directory().join("keys")).unwrap();
        (keys.contains("Subject: large") && keys.ends_with("end\n")).then_some(keys)
    });
    assert_eq!(taken.matches("\nDelivered-To: keys@").count(), 100_001);
    let looping = b"Delivered-To: KEYS@example.org\r\n\r\n.\r\n";
    session.delivers("a@ham.example", &["keys@example.org"], looping);
    let log = smarthost.daemon().wait_for_log("mail forwarding loop for");
    let line = log.lines().find(|line| line.contains("forwarding loop"));
    assert!(line.unwrap().contains("dsn=5.4.6, status=bounced"), "{log}");
}

/// What stands on the socket speaks LMTP alone, to anybody, and gives nobody a choice of programs.
#[test]
fn a_unit_speaks_lmtp_and_check_says_what_it_lacks() {
    let smarthost = with_socket();
    let check = || {
        let checked = smarthost.admin(&["check"]);
        String::from_utf8([checked.stdout, checked.stderr].concat()).unwrap()
    };
    let told = check();
    assert!(
        told.contains("make smarthost-mailman.socket with ListenStream="),
        "{told}"
    );
    let socket = smarthost.directory().join("pipe.sock");
    // Behind it nobody greets.
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || listener.accept().map(drop));
    let told = check();
    assert!(told.contains("its unit ends before it greets"), "{told}");
    fs::remove_file(&socket).unwrap();
    pipe_unit(&smarthost, "mailman");
    let told = check();
    assert!(told.contains("pipe.sock answers"), "{told}");

    let mut unit = BufReader::new(UnixStream::connect(&socket).unwrap());
    let mut say = |said: &str| {
        unit.get_mut().write_all(said.as_bytes()).unwrap();
        loop {
            let mut line = String::new();
            unit.read_line(&mut line).unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    };
    assert_eq!(say(""), "220 mail.example.test LMTP\r\n");
    for (said, answer) in [
        ("EHLO x\r\n", "500 5.5.1 Error: this is LMTP; send LHLO"),
        ("MAIL FROM:<>\r\n", "503 5.5.1"),
        ("LHLO x\r\n", "250 "),
        ("MAIL FROM:<>\r\n", "250 2.1.0"),
        (
            "RCPT TO:<gone@example.org> ORCPT=rfc822;-x\r\n",
            "250 2.1.5",
        ),
        ("RCPT TO:<test@example.org>\r\n", "452 4.5.3"),
        ("DATA\r\n", "354 "),
        ("x: y\r\n\r\n.\r\n", "550 5.1.1 no list für uns"),
        ("MAIL FROM:<> SIZE=99999999999\r\n", "552 5.3.4"),
        ("AUTH PLAIN AGEAYg==\r\n", "50"),
        ("QUIT\r\n", "221 "),
    ] {
        let said = (said, say(said));
        assert!(said.1.starts_with(answer), "{said:?}");
    }
}

/// Whatever group or session it is in.
#[test]
fn what_a_program_has_started_ends_with_the_daemon() {
    let mut smarthost = Smarthost::prepare(
        "networks = [\"127.0.0.0/8\"]\nroutes = { \"lists.example\" = \"lists\" }\n\
         [transports.lists]\ntype = \"pipe\"\ncommand = [\"$DIR/deliver\"]\n",
    );
    script(
        &smarthost,
        "deliver",
        "cat >/dev/null\nsetsid sh -c 'echo $$ >>pids; exec sleep 600' >/dev/null 2>&1 </dev/null &\n\
         echo $$ >>pids\nwhile [ $(wc -l <pids) -lt 2 ]; do :; done\necho end >>pids\nsleep 600"
            .replace("pids", &smarthost.directory().join("pids").display().to_string())
            .as_str(),
    );
    smarthost.run();
    Session::greeted(smarthost.address()).delivers("a@example.org", &["b@lists.example"], MESSAGE);
    let pids = read(&smarthost, "pids");
    assert!(smarthost.daemon().stop().success());
    let dead = |pid: &str| {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        state.is_empty() || state.contains(") Z ") || state.contains(") X ")
    };
    let mut started = pids.lines().filter(|line| *line != "end");
    until("all that was started has ended", || {
        started.clone().all(dead).then_some(())
    });
    assert_eq!(started.by_ref().count(), 2);
}
