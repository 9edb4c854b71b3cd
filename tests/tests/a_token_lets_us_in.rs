//! Relayhosts that take access tokens instead of passwords: XOAUTH2 and OAUTHBEARER, from both
//! programs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use relay::tls::pins_of_file;
use tests::{
    agent::{Agent, as_user, pipe},
    binaries::write_program,
    identity::{Identity, write},
    session::Session,
    sink::{Script, Sink},
    smarthost::Smarthost,
    wait::{until, until_true},
};

const MESSAGE: &[u8] = b"Subject: x\r\n\r\nx\r\n";
/// `user=vm1^Aauth=Bearer tok2^A^A`, and `n,a=vm1,^Aauth=Bearer tok2^A^A`.
const GOOD: [(&str, &str); 2] = [
    ("XOAUTH2", "dXNlcj12bTEBYXV0aD1CZWFyZXIgdG9rMgEB"),
    ("OAUTHBEARER", "bixhPXZtMSwBYXV0aD1CZWFyZXIgdG9rMgEB"),
];
/// `{"status":"401","schemes":"bearer","scope":"https://mail.example/"}`
const OBJECTION: &str = "334 eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIiwic2NvcGUiOiJodHRwczovL21haWwuZXhhbXBsZS8ifQ==";

/// A relayhost that takes the token `tok2` alone, and its pin.
fn relayhost(directory: &Path, mechanism: &str, good: &str, otherwise: &str) -> (Sink, String) {
    let identity = Identity::new("relay.example.test");
    identity.write(directory, "relay");
    let pin = pins_of_file(&directory.join("relay.pem")).unwrap().pin();
    let mut script = Script {
        starttls: Some(identity.server()),
        answers: vec![
            (
                format!("AUTH {mechanism} {good}"),
                "235 2.7.0 in".to_owned(),
            ),
            ("AUTH ".to_owned(), otherwise.to_owned()),
        ],
        ..Script::default()
    };
    script.extensions.push(format!("AUTH PLAIN {mechanism}"));
    (Sink::with(script), pin.to_string())
}

/// Prints one token after the other, with how long it is good, and counts its runs.
fn program(directory: &Path, tokens: &str) -> String {
    let path = directory.join("token");
    write_program(
        &path,
        &format!(
            "#!/bin/sh\ncd {}\necho run >> runs\nset -- {tokens}\nshift $(($(wc -l < runs) - 1))\n\
             echo \"{{\\\"access_token\\\":\\\"$1\\\",\\\"expires_in\\\":3599}}\"\n",
            directory.display()
        ),
    );
    path.display().to_string()
}

fn settings(sink: &Sink, pin: &str, token: &str) -> String {
    format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\nrelay_tls = {{ pins = [\"{pin}\"] }}\n\
         relay_auth = {{ user = \"vm1\", token = {{ command = [\"{token}\"] }} }}\n",
        sink.nexthop()
    )
}

fn runs(directory: &Path) -> usize {
    fs::read_to_string(directory.join("runs"))
        .unwrap_or_default()
        .lines()
        .count()
}

#[test]
fn a_refused_token_is_fetched_once_more_and_a_good_one_is_kept_in_the_smarthost() {
    for ((mechanism, good), refusal) in GOOD
        .into_iter()
        .zip([OBJECTION, "535 5.7.3 Authentication unsuccessful"])
    {
        let mut smarthost = Smarthost::prepare("");
        let directory = smarthost.directory().to_owned();
        let (sink, pin) = relayhost(&directory, mechanism, good, refusal);
        let token = program(&directory, "tok1 tok2 never");
        smarthost.configure(&settings(&sink, &pin, &token));
        smarthost.run();
        let mut session = Session::greeted(smarthost.address());
        for count in 1..=2 {
            session.delivers("a@example.org", &["b@example.net"], MESSAGE);
            until_true("it is delivered", || sink.journal().len() == count);
            sink.hang_up();
        }
        assert_eq!(runs(&directory), 2, "{mechanism}");
        let log = smarthost.daemon().log();
        assert!(!log.contains("tok1") && !log.contains("tok2"), "{log}");
        let shown = smarthost.admin(&["config", "--all"]);
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(
            shown.contains("relay_auth.token = { command = ["),
            "{shown}"
        );
    }
}

/// Whatever goes wrong with it: the mail waits, with the reason, and the token is in no text.
#[test]
fn without_a_good_token_the_mail_waits_and_says_why() {
    for (tokens, refusal, told) in [
        (
            "wrong-1 wrong-2 wrong-3 wrong-4",
            OBJECTION,
            "\"status\":\"401\"",
        ),
        (
            "wrong-1 wrong-2 wrong-3 wrong-4",
            "535 5.7.3 Authentication unsuccessful [X.PROD.OUTLOOK.COM]",
            "535 5.7.3 Authentication unsuccessful",
        ),
        (
            "wrong-1 wrong-2 wrong-3 wrong-4",
            "550 5.7.30 Basic authentication is not supported for Client Submission.",
            "5.7.30",
        ),
        ("\"\"", OBJECTION, "no token in it"),
    ] {
        let mut smarthost = Smarthost::prepare("");
        let directory = smarthost.directory().to_owned();
        let (sink, pin) = relayhost(&directory, "XOAUTH2", "never", refusal);
        let token = program(&directory, tokens);
        smarthost.configure(&settings(&sink, &pin, &token));
        smarthost.run();
        let mut session = Session::greeted(smarthost.address());
        session.delivers("a@example.org", &["b@example.net"], MESSAGE);
        let log = smarthost.daemon().wait_for_log("status=");
        assert!(
            log.contains("status=deferred") && log.contains(told),
            "{log}"
        );
        assert!(
            !log.contains("wrong-1") && !log.contains("wrong-2"),
            "{log}"
        );
        // Once more, and no flood.
        assert_eq!(
            runs(&directory),
            if tokens.len() > 2 { 2 } else { 1 },
            "{log}"
        );
        assert!(sink.journal().is_empty());
    }
}

#[test]
fn the_agent_of_a_machine_tells_a_token_from_a_file_or_a_program() {
    let (mechanism, good) = GOOD[0];
    for from_file in [true, false] {
        let mut node = Agent::prepare("");
        let directory = node.directory().to_owned();
        let (sink, pin) = relayhost(&directory, mechanism, good, "535 5.7.3 no");
        let source = if from_file {
            let path = directory.join("token");
            write(&path, "tok2\n");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            "{ file = \"token\" }".to_owned()
        } else {
            format!(
                "{{ command = [\"{}\"] }}",
                program(&directory, "tok1 tok2 tok2 tok2")
            )
        };
        node.configure(&format!(
            "relayhost = \"{}\"\npins = \"{pin}\"\nadmin = \"box@example.net\"\nauth = {{ user = \"vm1\", token = {source} }}\n",
            sink.nexthop()
        ));
        node.run();
        node.send(&["b@example.net"], "Subject: x\n\nx\n");
        until("it is delivered", || sink.journal().messages().pop());
        let checked = node.admin(&["check"]);
        let table = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert!(table.contains("accepted as vm1"), "{table}");
        assert!(!node.daemon().log().contains("tok2"));
    }
}

/// A program that never ends, for as many as wait for its token; a good one afterwards.
fn hanging(directory: &Path) -> String {
    let path = program(directory, "tok2 tok2 tok2");
    let wait = format!(
        "#!/bin/sh\necho run >> {}/runs\nexec sleep 600\n",
        directory.display()
    );
    write_program(Path::new(&path), &wait);
    path
}

/// Its end is no attempt, for nobody was asked; all that waits goes after the next start.
#[test]
fn a_token_program_that_hangs_is_run_once_for_all_who_wait_and_holds_up_no_stop() {
    const SOON: Duration = Duration::from_secs(25);
    let (mechanism, good) = GOOD[0];
    let ended = |log: &str, directory: &Path, began: Instant| {
        let deferred = log.matches("status=deferred (").count();
        let stopped = log.matches("this program was stopped");
        assert_eq!(stopped.count(), deferred, "{log}");
        assert_eq!(runs(directory), 1, "{log}");
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
        fs::remove_file(directory.join("runs")).unwrap();
        program(directory, "tok2 tok2 tok2");
    };

    let mut smarthost = Smarthost::prepare("");
    let directory = smarthost.directory().to_owned();
    let (sink, pin) = relayhost(&directory, mechanism, good, "535 5.7.3 no");
    smarthost.configure(&settings(&sink, &pin, &hanging(&directory)));
    smarthost.run();
    for _ in 0..4 {
        let mut session = Session::greeted(smarthost.address());
        session.delivers("a@example.org", &["b@example.net"], MESSAGE);
    }
    until_true("a token is fetched", || runs(&directory) == 1);
    let began = Instant::now();
    assert!(smarthost.daemon().stop().success());
    ended(&smarthost.daemon().log(), &directory, began);
    smarthost.run();
    sink.journal().wait_for(4);

    let mut node = Agent::prepare("");
    let directory = node.directory().to_owned();
    let (sink, pin) = relayhost(&directory, mechanism, good, "535 5.7.3 no");
    let token = hanging(&directory);
    node.configure(&format!(
        "relayhost = \"{}\"\npins = \"{pin}\"\nadmin = \"box@example.net\"\n\
         auth = {{ user = \"vm1\", token = {{ command = [\"{token}\"] }} }}\n",
        sink.nexthop()
    ));
    node.run();
    for _ in 0..12 {
        node.send(&["b@example.net"], "Subject: x\n\nx\n");
    }
    until_true("a token is fetched", || runs(&directory) == 1);
    let began = Instant::now();
    assert!(node.daemon().stop().success());
    ended(&node.daemon().log(), &directory, began);
    node.run();
    sink.journal().wait_for(12);
}

/// It may quote its arguments, and a client's secret among them.
#[test]
fn what_a_token_program_says_is_shown_to_administrators_and_to_no_user() {
    const SECRET: &str = "Zq7mark9Xk";
    const OPEN: &str = "the token program failed (exit status 3)";
    let keeper = tempfile::tempdir().unwrap();
    let (sink, pin) = relayhost(keeper.path(), "XOAUTH2", GOOD[0].1, "535 5.7.8 no");
    let program = keeper.path().join("token");
    write_program(
        &program,
        &format!("#!/bin/sh\necho bad client {SECRET} >&2\nexit 3\n"),
    );
    let mut machine = Agent::prepare(&format!(
        "relayhost = \"{}\"\npins = \"{pin}\"\nadmin = \"admins@example.net\"\nshare = {{ size = \"100MiB\" }}\n\
         retry = {{ minimal = \"1s\", maximal = \"1s\" }}\n\
         auth = {{ user = \"vm1\", token = {{ command = [\"{}\"] }} }}\n",
        sink.nexthop(),
        program.display()
    ));
    machine.open_to_all();
    machine.run();
    let by_user = |name: &str, words: &[&str], input: &[u8]| {
        let mut command = machine.public(name);
        command.args(words);
        let output = pipe(&mut as_user("64003", &command), input);
        let all = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&all).into_owned()
    };
    by_user("sendmail", &["b@example.net"], b"Subject: x\n\nx\n");
    until_true("the reason is known", || {
        by_user("sendmail", &["-bp"], b"").contains(OPEN)
    });
    let own = machine.admin(&["status"]);
    let own = String::from_utf8_lossy(&own.stdout).into_owned();
    assert!(
        own.contains(&format!("{OPEN}; it said: bad client {SECRET}")),
        "{own}"
    );
    let check = machine.admin(&["check"]);
    assert!(String::from_utf8_lossy(&check.stdout).contains(SECRET));
    let config = machine.config().display().to_string();
    for (name, words) in [
        ("sendmail", &["-bp"][..]),
        ("sendmail", &["-bv", "root"]),
        ("sendmail-shim", &["--config", &config, "status"]),
        ("sendmail-shim", &["--config", &config, "status", "--json"]),
        ("sendmail-shim", &["--config", &config, "queue", "list"]),
    ] {
        let shown = by_user(name, words, b"");
        assert!(
            !shown.is_empty() && !shown.contains(SECRET),
            "{words:?}: {shown}"
        );
    }
    let log = machine.daemon().log();
    assert!(log.contains(SECRET) && log.contains(OPEN), "{log}");
}
