//! Passwords are tried only so often, from one address and at one time, and are the same however
//! they are typed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, fs, io::Write as _, process::Stdio, sync::Barrier, thread};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use smtp::sasl::{Credentials, Exchange, Secret};
use tests::{
    login::{from, password, plain, server, to_elsewhere},
    session::{Reply, Session},
    sink::Sink,
    smarthost::Smarthost,
    wait::until_true,
};

#[test]
fn whoever_guesses_passwords_is_not_listened_to_and_keeps_nobody_else_out() {
    let sink = Sink::start();
    let mut smarthost = server(&sink, "auth = { users = \"users\" }\n");
    let secret = password(&smarthost, "vm7");
    smarthost.run();
    let mut guesser = from(&smarthost, "127.0.0.2");
    for _ in 0..10 {
        assert_eq!(plain(&mut guesser, "vm7", "guess").code, 535);
    }
    let refused = plain(&mut guesser, "vm7", &secret);
    assert_eq!(refused.code, 454, "right or wrong: {refused:?}");
    assert_eq!(
        plain(&mut from(&smarthost, "127.0.0.2"), "vm7", &secret).code,
        454
    );
    assert_eq!(
        plain(&mut from(&smarthost, "127.0.0.3"), "vm7", &secret).code,
        235
    );
}

/// Each session stands in front of its attempt, then all make it at once; how many of each reply
/// there were.
fn at_once(smarthost: &Smarthost, client: &str, lines: &[String]) -> BTreeMap<u16, usize> {
    let ready: Vec<_> = lines
        .iter()
        .map(|line| (from(smarthost, client), line.as_str()))
        .collect();
    let barrier = Barrier::new(ready.len());
    thread::scope(|scope| {
        let attempts = ready.into_iter().map(|(mut session, line)| {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                session.say(line).code
            })
        });
        let attempts: Vec<_> = attempts.collect();
        let mut replies = BTreeMap::new();
        for attempt in attempts {
            *replies.entry(attempt.join().unwrap()).or_default() += 1;
        }
        replies
    })
}

fn scram(login: &str, password: &str) -> Exchange {
    let credentials = Credentials {
        user: login.to_owned(),
        secret: Secret::Password(password.to_owned()),
    };
    Exchange::choose(&["SCRAM-SHA-256".to_owned()], credentials, "nonce").unwrap()
}

/// Answers the server's challenge; what to say.
fn answered(exchange: &mut Exchange, challenge: &Reply) -> String {
    assert_eq!(challenge.code, 334, "{challenge:?}");
    let challenge = BASE64_STANDARD.decode(challenge.text()).unwrap();
    BASE64_STANDARD.encode(exchange.answer(&challenge).unwrap())
}

fn begin(session: &mut Session, exchange: &mut Exchange) -> Reply {
    let first = BASE64_STANDARD.encode(exchange.initial().unwrap());
    session.say(&format!("AUTH SCRAM-SHA-256 {first}"))
}

/// The whole exchange, with a right password.
fn prove(session: &mut Session, login: &str, password: &str) -> Reply {
    let mut exchange = scram(login, password);
    let challenge = begin(session, &mut exchange);
    let proof = answered(&mut exchange, &challenge);
    let ours = session.say(&proof);
    let last = answered(&mut exchange, &ours);
    session.say(&last)
}

#[test]
fn however_many_guess_at_once_ten_attempts_are_looked_at_and_right_ones_wait_for_each_other() {
    let sink = Sink::start();
    let mut smarthost = server(
        &sink,
        "auth = { users = \"users\" }\nconcurrency = { sessions_per_client = 200 }\n",
    );
    let secret = password(&smarthost, "vm7");
    smarthost.run();
    let line = |password: &str| {
        let response = BASE64_STANDARD.encode(format!("\0vm7\0{password}"));
        format!("AUTH PLAIN {response}")
    };
    let guesses: Vec<_> = (0..45)
        .map(|number| line(&format!("guess{number}")))
        .collect();
    let replies = at_once(&smarthost, "127.0.0.2", &guesses);
    assert_eq!(replies, [(454, 35), (535, 10)].into());
    let right = vec![line(&secret); 15];
    let replies = at_once(&smarthost, "127.0.0.3", &right);
    assert_eq!(replies, [(235, 15)].into());
    assert_eq!(
        plain(&mut from(&smarthost, "127.0.0.3"), "vm7", "x").code,
        535
    );
}

#[test]
fn an_address_that_is_closed_hears_no_challenge_and_no_proof() {
    let sink = Sink::start();
    let mut smarthost = server(&sink, "auth = { users = \"users\" }\n");
    let secret = password(&smarthost, "vm7");
    smarthost.run();
    // Begun while the address was open, with the right password and with wrong ones.
    let mut early: Vec<_> = ["guess", &secret, "guess"]
        .map(|it| (from(&smarthost, "127.0.0.2"), scram("vm7", it)))
        .into();
    let proofs: Vec<_> = early
        .iter_mut()
        .map(|(session, exchange)| {
            let challenge = begin(session, exchange);
            answered(exchange, &challenge)
        })
        .collect();
    let mut guesser = from(&smarthost, "127.0.0.2");
    for _ in 0..9 {
        let mut exchange = scram("vm7", "guess");
        let challenge = begin(&mut guesser, &mut exchange);
        let proof = answered(&mut exchange, &challenge);
        assert_eq!(guesser.say(&proof).code, 535);
    }
    let replies: Vec<_> = early
        .iter_mut()
        .zip(&proofs)
        .map(|((session, _), proof)| session.say(proof))
        .collect();
    let codes: Vec<_> = replies.iter().map(|reply| reply.code).collect();
    assert_eq!(codes, [535, 454, 454], "right or wrong: {replies:?}");
    for line in [
        "AUTH SCRAM-SHA-256",
        "AUTH PLAIN",
        "AUTH SCRAM-SHA-256 biwsbj12bTcscj1h",
    ] {
        let refused = from(&smarthost, "127.0.0.2").say(line);
        assert_eq!(refused.code, 454, "{line}: {refused:?}");
    }

    let admin = |arguments: &[&str]| {
        let output = smarthost.admin(arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    for listed in [
        admin(&["limits", "list"]),
        admin(&["limits", "show", "127.0.0.2"]),
    ] {
        assert!(listed.contains("127.0.0.2"), "{listed}");
        assert!(listed.contains("logins refused until 2"), "{listed}");
        assert!(listed.contains("after 10 failed"), "{listed}");
    }
    let told = admin(&["limits", "list", "--json"]);
    assert!(
        told.contains("\"logins\":{\"failures\":10,\"refused_until\":"),
        "{told}"
    );
    let status = admin(&["status"]);
    assert!(
        status.contains("refused from 1 address, after too many that failed"),
        "{status}"
    );
    assert_eq!(
        plain(&mut from(&smarthost, "127.0.0.4"), "vm7", "guess").code,
        535
    );
    let shown = admin(&["limits", "show", "127.0.0.4"]);
    assert!(shown.contains("1 failed logins lately"), "{shown}");

    assert_eq!(
        admin(&["limits", "reset", "127.0.0.2"]),
        "127.0.0.2 may log in again\n"
    );
    assert!(!admin(&["limits", "list"]).contains("127.0.0.2"));
    assert!(!admin(&["status"]).contains("after too many that failed"));
    assert_eq!(
        admin(&["limits", "reset", "127.0.0.2"]),
        "127.0.0.2 had not sent anything\n"
    );
    let mut session = from(&smarthost, "127.0.0.2");
    assert_eq!(prove(&mut session, "vm7", &secret).code, 235);
    assert_eq!(to_elsewhere(&mut session).code, 250);
}

#[test]
fn a_login_that_cannot_be_typed_in_one_way_only_is_the_same_in_all() {
    let sink = Sink::start();
    let config = "auth = { users = \"users\" }\nlimits = { per_client = [\"4/day\"] }\n";
    let mut smarthost = server(&sink, config);
    let (composed, decomposed) = ("b\u{e9}la", "be\u{301}la");
    let (secret, typed) = ("gru\u{308}n\u{a0}\u{212b}", "gr\u{fc}n \u{c5}");
    let set = |login: &str, password: &str| {
        let mut child = smarthost
            .command()
            .args(["passwd", login])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(password.as_bytes())
            .unwrap();
        child.wait().unwrap().success()
    };
    assert!(set(decomposed, secret));
    assert!(
        !set("vm7", "a\u{7}b")
            && !set("vm7", "\u{5d0}a")
            && !set("\u{5d0}1", "x")
            && !set("vm\u{ff1a}", "x")
    );
    let users = smarthost.directory().join("users");
    assert!(fs::read_to_string(&users).unwrap().starts_with(composed));
    assert!(set(composed, secret), "replaced");
    assert_eq!(fs::read_to_string(&users).unwrap().lines().count(), 1);
    // As an older version, or somebody else, wrote the name.
    let text = fs::read_to_string(&users).unwrap();
    smarthost.file("users", &text.replacen(composed, decomposed, 1));
    smarthost.run();
    for (login, password) in [(composed, secret), (decomposed, typed)] {
        let mut session = from(&smarthost, "127.0.0.2");
        assert_eq!(plain(&mut session, login, password).code, 235, "{login:?}");
        assert_eq!(to_elsewhere(&mut session).code, 250);
        let mut session = from(&smarthost, "127.0.0.2");
        assert_eq!(prove(&mut session, login, password).code, 235);
        assert_eq!(to_elsewhere(&mut session).code, 250);
    }
    let mut session = from(&smarthost, "127.0.0.2");
    assert_eq!(plain(&mut session, composed, typed).code, 235);
    assert_eq!(to_elsewhere(&mut session).code, 450, "one budget");
    for name in [composed, decomposed] {
        let shown = String::from_utf8(smarthost.admin(&["limits", "show", name]).stdout).unwrap();
        assert!(shown.contains("4 of 4 in a day"), "{shown}");
    }
    until_true("the report names who was counted", || {
        let report = smarthost.admin(&["report", "rejected"]);
        let report = String::from_utf8(report.stdout).unwrap();
        report.contains(&format!("smarthost limits show {composed}"))
    });
    assert!(
        smarthost
            .admin(&["passwd", decomposed, "--delete"])
            .status
            .success()
    );
    assert_eq!(fs::read_to_string(&users).unwrap(), "# empty\n");
}
