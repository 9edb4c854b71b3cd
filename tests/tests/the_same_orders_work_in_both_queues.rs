//! What administrators, and users for their own mail, may order about queued mail: one language for
//! the machine and the relay.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead as _, BufReader},
    os::unix::net::UnixListener,
    path::Path,
    process::Output,
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use tests::{
    agent::{Agent, as_user, pipe},
    peers,
    session::Session,
    sink::{Script, Sink, nexthop},
    smarthost::Smarthost,
    wait::{free_address, until_true},
};

const USER: &str = "64003";
const OTHER: &str = "64004";

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The queue ids in a listing as JSON.
fn ids(listed: &Output) -> Vec<String> {
    assert!(listed.status.success(), "{listed:?}");
    let rows = stdout(listed);
    let rows = rows.lines().map(|line| serde_json::from_str(line).unwrap());
    rows.map(|row: serde_json::Value| row["queue_id"].as_str().unwrap().to_owned())
        .collect()
}

/// Three messages wait: from ann and from www to the same domain, and from www to another.
fn orders_in(program: &str, admin: &dyn Fn(&[&str]) -> Output) {
    let selected = |words: &[&str]| {
        let line = [&["queue", "list", "--json"], words].concat();
        ids(&admin(&line)).len()
    };
    for (words, count) in [
        (&[][..], 3),
        (&["--all"], 3),
        (&["ALL"], 3),
        (&["--sender", "ann@"], 1),
        (&["--sender", "WWW@"], 2),
        (&["--sender", "<>"], 0),
        (&["--recipient", "bob@"], 2),
        (&["--destination", "example.net"], 2),
        (&["--destination", "@EXAMPLE.NET"], 2),
        (&["--destination", "ample.net"], 0),
        (&["--destination", "example.net", "--sender", "ann"], 1),
        (&["--older", "1h"], 0),
        (&["--newer", "1h"], 3),
        (&["--reason", "refused"], 3),
        (&["--reason", "greylisted"], 0),
        (&["--client", "no such machine"], 0),
    ] {
        assert_eq!(selected(words), count, "{program} queue list {words:?}");
    }

    let all = ids(&admin(&["queue", "list", "--json"]));
    let [first, second, third] = [0, 1, 2].map(|index: usize| all[index].as_str());
    let held = admin(&["queue", "hold", first, "xx", third, first]);
    assert_eq!(held.status.code(), Some(1), "{held:?}");
    assert_eq!(
        stdout(&held),
        format!("{first}: held\n{third}: held\n2 messages held\n")
    );
    let unknown = format!("{program}: xx: no such message in the queue\n");
    assert_eq!(stderr(&held), unknown);
    let listing = stdout(&admin(&["queue", "list", "--held"]));
    assert_eq!(listing.matches('!').count(), 2, "{listing}");

    let released = admin(&["queue", "release", "--json", first, third]);
    assert_eq!(
        stdout(&released),
        format!("{{\"done\":\"{first}\"}}\n{{\"done\":\"{third}\"}}\n{{\"changed\":2}}\n")
    );
    let flushed = admin(&["queue", "flush", "--destination", "example.net"]);
    assert_eq!(stdout(&flushed), "2 messages to be tried now\n");
    assert_eq!(
        stdout(&admin(&["queue", "flush"])),
        "3 messages to be tried now\n"
    );
    let deleted = admin(&["queue", "delete", second]);
    assert_eq!(
        stdout(&deleted),
        format!("{second}: deleted\n1 message deleted\n")
    );
    assert_eq!(
        stdout(&admin(&["queue", "delete", "--sender", "nobody"])),
        "0 messages deleted\n"
    );
    let shown = admin(&["queue", "show", second]);
    assert_eq!(shown.status.code(), Some(1), "{shown:?}");
    assert!(stdout(&admin(&["queue", "show", first])).contains("Subject: "));
    let bounced = admin(&["queue", "bounce", "--all"]);
    assert_eq!(stdout(&bounced), "2 messages to be returned\n");
    until_true("the bounces wait", || selected(&["--sender", "<>"]) == 2);

    for words in [
        &["queue"][..],
        &["queue", "destroy", "ALL"],
        &["queue", "delete"],
        &["queue", "hold", "--older", "yesterday"],
        &["queue", "hold", "--all", first],
        &["queue", "show"],
        &["no-such-command"],
        &["--no-such-option"],
    ] {
        let wrong = admin(words);
        assert_eq!(
            wrong.status.code(),
            Some(2),
            "{program} {words:?}: {wrong:?}"
        );
        assert!(!wrong.stderr.is_empty(), "{program} {words:?}");
    }
}

/// A daemon that stands still while it is asked, and goes on later.
fn stopped_while_asked(pid: u32, admin: &dyn Fn(&[&str]) -> Output) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let all = ids(&admin(&["queue", "list", "--json"]));
    let first = all.first().unwrap().as_str();
    for words in [
        &["queue", "delete", first][..],
        &["queue", "bounce", "--all"],
        &["queue", "hold", "--sender", "@"],
    ] {
        kill_process(pid, Signal::STOP).unwrap();
        let late = admin(words);
        kill_process(pid, Signal::CONT).unwrap();
        let told = stderr(&late);
        assert_eq!(late.status.code(), Some(69), "{words:?}: {told}");
        assert!(told.contains("is not done, and will not be"), "{told}");
        // What is asked behind it is answered behind it.
        assert!(admin(&["queue", "flush"]).status.success());
        let listed = ids(&admin(&["queue", "list", "--json"]));
        assert_eq!(listed, all, "{words:?}");
        let held = ids(&admin(&["queue", "list", "--json", "--held"]));
        assert!(held.is_empty(), "{words:?}");
    }
}

#[test]
fn an_order_that_was_answered_as_not_done_is_not_done_later() {
    let away = nexthop(free_address());
    let config = format!("relayhost = \"{away}\"\n");
    let mut machine = Agent::start(&format!(
        "{config}domain = \"example.org\"\ntls = \"none\"\n"
    ));
    let mut relay = Smarthost::start(&format!("{config}networks = [\"127.0.0.0/8\"]\n"));
    for (sender, recipient) in MAIL {
        machine.send(&["-f", sender, recipient], "Subject: x\n\nx\n");
        let mut session = Session::greeted(relay.address());
        session.delivers(sender, &[recipient], b"Subject: x\r\n\r\nx\r\n");
    }
    let pids = [machine.daemon().pid(), relay.daemon().pid()];
    stopped_while_asked(pids[0], &|words| machine.admin(words));
    stopped_while_asked(pids[1], &|words| relay.admin(words));
}

const MAIL: [(&str, &str); 3] = [
    ("ann@example.org", "bob@example.net"),
    ("www@example.org", "bob@example.net"),
    ("www@example.org", "carol@example.com"),
];

#[test]
fn the_same_words_select_and_change_the_same_mail_on_the_machine_and_on_the_relay() {
    let away = nexthop(free_address());
    let machine = Agent::start(&format!(
        "relayhost = \"{away}\"\ndomain = \"example.org\"\ntls = \"none\"\n"
    ));
    let relay = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{away}\"\n"
    ));
    for (sender, recipient) in MAIL {
        machine.send(&["-f", sender, recipient], "Subject: x\n\nx\n");
        Session::greeted(relay.address()).delivers(
            sender,
            &[recipient],
            b"Subject: x\r\n\r\nx\r\n",
        );
    }
    let waits = |listing: &str| listing.matches("Connection refused").count() == 3;
    machine.wait_for_mailq("the reasons", waits);
    relay.wait_for_mailq("the reasons", waits);
    orders_in("sendmail-shim", &|words| machine.admin(words));
    orders_in("smarthost", &|words| relay.admin(words));

    let nowhere = Agent::prepare("");
    assert_eq!(nowhere.admin(&["queue", "list"]).status.code(), Some(69));
    let nowhere = Smarthost::prepare("");
    assert_eq!(nowhere.admin(&["queue", "list"]).status.code(), Some(69));
    let raised = nowhere.admin(&["limits", "raise", "10.0.0.7", "5", "--until", "whenever"]);
    assert_eq!(raised.status.code(), Some(2), "{raised:?}");
}

/// What others have in the queue does not exist for him.
#[test]
fn a_user_holds_deletes_and_returns_his_own_mail_and_has_it_tried_now_and_then() {
    if !peers::root() || peers::find("setpriv").is_none() {
        return;
    }
    let away = free_address();
    let mut machine = Agent::prepare(&format!(
        "relayhost = \"{}\"\ndomain = \"example.org\"\ntls = \"none\"\n",
        nexthop(away)
    ));
    machine.open_to_all();
    machine.run();
    let run = |user: &str, program: &str, words: &[&str], input: &str| {
        let mut command = machine.public(program);
        command.args(words);
        pipe(&mut as_user(user, &command), input.as_bytes())
    };
    for user in [USER, USER, USER, OTHER] {
        let sent = run(user, "sendmail", &["bob@example.net"], "Subject: x\n\nx\n");
        assert!(sent.status.success(), "{sent:?}");
    }
    machine.wait_for_mailq("the reasons", |listing| {
        listing.matches("Connection refused").count() == 4
    });
    let own = ids(&run(
        USER,
        "sendmail-shim",
        &["queue", "list", "--json"],
        "",
    ));
    let all = ids(&machine.admin(&["queue", "list", "--json"]));
    assert_eq!((own.len(), all.len()), (3, 4));
    let foreign = all.iter().find(|id| !own.contains(id)).unwrap();
    let order = |word: &str, id: &str| run(USER, "sendmail-shim", &["queue", word, id], "");
    for (word, id, done) in [
        ("hold", &own[0], "held"),
        ("delete", &own[1], "deleted"),
        ("bounce", &own[2], "to be returned"),
    ] {
        let refused = order(word, foreign);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(stderr(&refused).contains("no such message"), "{refused:?}");
        assert_eq!(
            stdout(&order(word, id)),
            format!("{id}: {done}\n1 message {done}\n")
        );
    }
    assert_eq!(order("release", foreign).status.code(), Some(1));
    assert_eq!(
        stdout(&order("release", &own[0])),
        format!("{id}: released\n1 message released\n", id = own[0])
    );
    assert!(order("hold", &own[0]).status.success());

    // Mail of others does not move, however often he asks, and his own does now and then.
    let sink = Sink::on(away, Script::default());
    let flushed = run(USER, "sendmail", &["-q"], "");
    assert!(flushed.status.success(), "{flushed:?}");
    for _ in 0..5 {
        let again = run(USER, "sendmail", &["-q"], "");
        assert_eq!(again.status.code(), Some(75), "{again:?}");
        assert!(stderr(&again).contains("a moment ago"), "{again:?}");
        let again = run(USER, "sendmail", &["-qRbob"], "");
        assert_eq!(again.status.code(), Some(75), "{again:?}");
    }
    let other = run(OTHER, "sendmail", &["-q"], "");
    assert!(other.status.success(), "{other:?}");
    sink.journal().wait_for(1);
    // The log says whose orders they were, and not that an administrator gave them.
    let told = format!("{}: its user (uid {USER}) orders: delete", own[1]);
    machine.daemon().wait_for_log(&told);
    assert!(!machine.daemon().log().contains("administrator"));
}

/// The queue has no room for him, and the relayhost is away: the first reason is the one that he
/// can mend.
#[test]
fn when_neither_agent_nor_relayhost_takes_a_message_both_reasons_are_printed() {
    if !peers::root() || peers::find("setpriv").is_none() {
        return;
    }
    let later = |stage: &str| Script {
        recipients: vec![("bob@example.net".to_owned(), format!("451 4.7.1 {stage}"))],
        ..Script::default()
    };
    let sink = Sink::with(later("come back later"));
    let mut machine = Agent::prepare(&format!(
        "relayhost = \"{}\"\ndomain = \"example.org\"\ntls = \"none\"\nshare = {{ recipients = 2 }}\n",
        sink.nexthop()
    ));
    machine.open_to_all();
    machine.run();
    let send = || {
        let mut sendmail = machine.public("sendmail");
        sendmail.arg("bob@example.net");
        pipe(&mut as_user(USER, &sendmail), b"Subject: x\n\nx\n")
    };
    assert!(send().status.success() && send().status.success());
    let refused = send();
    let told = stderr(&refused);
    assert_eq!(refused.status.code(), Some(75), "{told}");
    assert!(
        told.contains("your share of the queue is used up") && told.contains("come back later"),
        "{told}"
    );
    sink.play(Script {
        recipients: vec![("bob@example.net".to_owned(), "550 5.7.1 never".to_owned())],
        ..Script::default()
    });
    let refused = send();
    let told = stderr(&refused);
    assert_eq!(refused.status.code(), Some(69), "{told}");
    assert!(
        told.contains("your share of the queue is used up") && told.contains("5.7.1 never"),
        "{told}"
    );
}

#[test]
fn an_option_that_nobody_knows_is_told_and_stops_no_mail() {
    let sink = Sink::start();
    let machine = Agent::start(&format!(
        "relayhost = \"{}\"\ndomain = \"example.org\"\ntls = \"none\"\n",
        sink.nexthop()
    ));
    for option in ["--foo", "--queue=5", "-W", "-tiW"] {
        let sent = machine.sendmail(&[option, "bob@example.net"], "Subject: x\n\nx\n");
        assert_eq!(sent.status.code(), Some(0), "{option}: {sent:?}");
        let told = stderr(&sent);
        assert!(told.contains("unknown option"), "{option}: {told}");
    }
    let sent = machine.sendmail(&["-i", "-odi", "bob@example.net"], "Subject: x\n\nx\n");
    assert!(sent.stderr.is_empty(), "{sent:?}");
    let alone = machine.sendmail(&["--foo"], "Subject: x\n\nx\n");
    assert_eq!(alone.status.code(), Some(64), "{alone:?}");
    assert!(stderr(&alone).contains("unknown option --foo"), "{alone:?}");
    sink.journal().wait_for(5);
}

/// Where there is no mail to lose, what was typed and means nothing is a mistake.
#[test]
fn mailq_and_newaliases_say_what_of_their_words_they_do_not_know() {
    let machine = Agent::start("");
    for (program, words, told) in [
        ("mailq", &["--foo"][..], "unknown option --foo"),
        ("mailq", &["-v", "--json"], "unknown option --json"),
        (
            "mailq",
            &["root"],
            "\"root\": the queue is listed as a whole",
        ),
        ("newaliases", &["x"], "\"x\": the alias files"),
        ("newaliases", &["-W"], "unknown option -W"),
        ("sendmail", &["-bp", "x"], "\"x\": the queue"),
        ("sendmail", &["-bi", "/etc/aliases"], "\"/etc/aliases\": "),
        ("sendmail", &["-q", "--now"], "unknown option --now"),
        (
            "sendmail",
            &["-q", "x"],
            "\"x\": the queue is tried as a whole",
        ),
        ("sendmail", &["-bP", "x"], "\"x\": "),
        (
            "sendmail",
            &["-bs", "x"],
            "\"x\": recipients are named in the session",
        ),
        (
            "sendmail",
            &["-bv", "--foo", "root"],
            "unknown option --foo",
        ),
        ("sendmail", &["-bt", "x"], "\"x\": "),
        (
            "mailq",
            &["-W", "--foo"],
            "unknown option -W, unknown option --foo",
        ),
        ("mailq", &["-N", "sometimes"], "-N takes"),
        ("sendmail", &["--helpx", "-bp"], "unknown option --helpx"),
        ("sendmail", &["-bV", "x"], "\"x\": "),
        ("sendmail", &["-q1x"], "-q1x: write an interval, as -q30m"),
        ("sendmail", &["-qI"], "-qI: write an interval"),
    ] {
        let output = pipe(machine.program(program).args(words), b"");
        let said = stderr(&output);
        assert_eq!(
            output.status.code(),
            Some(64),
            "{program} {words:?}: {output:?}"
        );
        assert!(said.contains(told), "{program} {words:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{program} {words:?}: {said}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
    for (program, words) in [
        ("mailq", &["-v"][..]),
        ("mailq", &["-Ac"]),
        ("newaliases", &["-v"]),
        ("sendmail", &["-q30m"]),
        ("sendmail", &["-bp", "--"]),
    ] {
        let output = pipe(machine.program(program).args(words), b"");
        assert_eq!(
            output.status.code(),
            Some(0),
            "{program} {words:?}: {output:?}"
        );
    }
}

/// A daemon that is killed each time after it has read what it is asked.
fn ends_before_it_answers(directory: &Path) {
    let listener = UnixListener::bind(directory.join("control.sock")).unwrap();
    thread::spawn(move || {
        for asker in listener.incoming().flatten() {
            let _ = BufReader::new(asker).read_line(&mut String::new());
        }
    });
}

#[test]
fn what_the_daemon_did_not_answer_is_neither_done_nor_empty() {
    let (smarthost, node) = (Smarthost::prepare(""), Agent::prepare(""));
    ends_before_it_answers(smarthost.directory());
    ends_before_it_answers(node.directory());
    let asked: [&[&str]; 16] = [
        &["enroll", "list"],
        &["enroll", "vm1"],
        &["enroll", "revoke", "vm1"],
        &["enroll", "forget", "vm1"],
        &["limits", "list"],
        &["limits", "show", "192.0.2.1"],
        &["limits", "raise", "192.0.2.1", "500"],
        &["limits", "reset", "192.0.2.1"],
        &["expected", "list"],
        &["expected", "forget", "1"],
        &["queue", "list"],
        &["queue", "delete", "--all"],
        &["status"],
        &["explain", "somebody@example.org"],
        &["drain", "--stop"],
        &["reload"],
    ];
    let told = asked.map(|arguments| (arguments, smarthost.admin(arguments)));
    let own: [&[&str]; 3] = [
        &["queue", "list"],
        &["queue", "flush", "--all"],
        &["status"],
    ];
    let own = own.map(|arguments| (arguments, node.admin(arguments)));
    for (arguments, output) in told.into_iter().chain(own) {
        let said = stderr(&output);
        assert!(!output.status.success(), "{arguments:?}: {said}");
        let ended = said.contains("ended before it had answered");
        assert!(ended, "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
    }
}
