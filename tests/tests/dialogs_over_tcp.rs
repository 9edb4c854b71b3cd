//! The same dialogs as in `dialogs.rs`, held with the real smarthost over TCP, as far as they need
//! nothing but a server.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use tests::{
    dialog::{Act, Dialog, Step, matches},
    login::anybody,
    session::Session,
    smarthost::Smarthost,
    wait::free_address,
};

/// As the dialogs want it: named `mail.example.org`, a relay for loopback. What is accepted stays
/// in the queue.
const CONFIG: &str = r#"
hostname = "mail.example.org"
networks = ["127.0.0.0/8"]
relayhost = "[127.0.0.1]:1"
message_size = 10000000
forbid_unauth_pipelining = false
"#;

/// Holds the dialog; the first difference is the error.
fn hold(steps: &[Step], session: &mut Session) -> Result<(), String> {
    let mut pending: Vec<u8> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let fail = |why: String| Err(format!("line {}: {why}", step.line));
        match &step.act {
            Act::Client(bytes) => {
                pending.extend(bytes);
                let next = steps.get(index + 1);
                if !next.is_some_and(|next| matches!(next.act, Act::Client(_))) {
                    if let Err(error) = session.send(&pending) {
                        return fail(error.to_string());
                    }
                    pending.clear();
                }
            }
            Act::Server(expected) => match session.line() {
                Ok(line) if matches(expected, &line) => {}
                Ok(line) => {
                    return fail(format!("expected `{expected}`, the server says `{line}`"));
                }
                Err(error) => return fail(format!("expected `{expected}`: {error}")),
            },
            Act::Fact(fact) if fact == "closed" => {
                if let Ok(line) = session.line() {
                    return fail(format!("not closed, the server says `{line}`"));
                }
            }
            Act::Fact(_) | Act::Set { .. } | Act::Answer { .. } | Act::Event(_) => {}
        }
    }
    Ok(())
}

/// Those that need nothing but a server.
fn dialogs() -> Vec<Dialog> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/dialogs");
    let mut dialogs = Dialog::read_all(&directory).unwrap();
    dialogs.retain(|dialog| !dialog.needs_the_machine());
    dialogs
}

/// Row C8, and the smuggling family, against the program itself.
#[test]
fn the_smarthost_answers_on_the_wire_as_the_dialogs_say() {
    let smarthost = Smarthost::start(CONFIG);
    let dialogs = dialogs();
    assert!(dialogs.len() >= 20, "the dialogs are missing");
    let mut faults = Vec::new();
    for dialog in &dialogs {
        if let Err(why) = hold(&dialog.steps, &mut Session::connect(smarthost.address())) {
            faults.push(format!("{}: {why}", dialog.path.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whatever brings a session here, no message is smuggled in behind another one, and no command in
/// front of a handshake.
#[test]
fn nothing_is_smuggled_in_by_any_kind_of_port() {
    let [mx, wrapped] = [free_address(), free_address()];
    let mut smarthost = Smarthost::prepare("");
    let submission = smarthost.address();
    smarthost.configure(&format!(
        "{CONFIG}proxy = [\"127.0.0.5\"]\nauth = {{ users = \"users\" }}\n\
         listen = [\"{submission}\", {{ address = \"{mx}\", submission = false }}, {{ address = \"{wrapped}\", tls = \"wrapped\" }}]\n"
    ));
    smarthost.file("users", "# empty\n");
    smarthost.run();
    let carried = || {
        let mut session = Session::connect_from([127, 0, 0, 5].into(), submission);
        let header = b"PROXY TCP4 127.0.0.9 127.0.0.1 51000 587\r\n";
        session.send(header).unwrap();
        session
    };
    let mut dialogs = dialogs();
    dialogs.retain(|dialog| {
        let name = dialog.path.file_name().unwrap().to_string_lossy();
        name.starts_with("smuggling") || name.starts_with("bare_line_end")
    });
    assert!(dialogs.len() >= 10, "the dialogs are missing");
    for dialog in &dialogs {
        // The greeting was heard before the handshake.
        let encrypted = dialog.steps.get(1..).unwrap();
        for (how, steps, mut session) in [
            ("mx", &*dialog.steps, Session::connect(mx)),
            ("submission", &*dialog.steps, Session::connect(submission)),
            (
                "wrapped",
                &*dialog.steps,
                Session::connect(wrapped).wrapped(anybody()),
            ),
            ("a proxy", &*dialog.steps, carried()),
            (
                "STARTTLS",
                encrypted,
                Session::greeted(mx).starttls(anybody()),
            ),
            (
                "STARTTLS over a proxy",
                encrypted,
                carried().ehlo().starttls(anybody()),
            ),
        ] {
            let held = hold(steps, &mut session);
            assert_eq!(held, Ok(()), "{how}: {}", dialog.path.display());
        }
    }
    for (how, mut session) in [
        ("mx", Session::greeted(mx)),
        ("submission", Session::greeted(submission)),
        ("a proxy", carried().ehlo()),
    ] {
        let injected = b"STARTTLS\r\nEHLO forged.example\r\nMAIL FROM:<forged@example.org>\r\n";
        session.send(injected).unwrap();
        assert_eq!(session.reply().code, 220, "{how}");
        let mut session = session.wrapped(anybody());
        let answers = ["NOOP", "RCPT TO:<a@mail.example.org>"].map(|it| session.say(it).code);
        assert_eq!(answers, [250, 503], "{how}");
    }
    // Where all of it is encrypted there is nothing to begin.
    let mut session = Session::connect(wrapped).wrapped(anybody()).ehlo();
    assert!(session.say("STARTTLS").code >= 500);
    assert_eq!(session.say("NOOP").code, 250);
}
