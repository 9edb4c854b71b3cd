//! The same dialogs as in `dialogs.rs`, held with the real smarthost over TCP, as far as they need
//! nothing but a server.

use std::path::Path;

use tests::{
    dialog::{Act, Dialog, matches},
    session::Session,
    smarthost::Smarthost,
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
fn hold(dialog: &Dialog, session: &mut Session) -> Result<(), String> {
    let mut pending: Vec<u8> = Vec::new();
    for (index, step) in dialog.steps.iter().enumerate() {
        let fail = |why: String| Err(format!("line {}: {why}", step.line));
        match &step.act {
            Act::Client(bytes) => {
                pending.extend(bytes);
                let next = dialog.steps.get(index + 1);
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

/// Row C8, and the smuggling family, against the program itself.
#[test]
fn the_smarthost_answers_on_the_wire_as_the_dialogs_say() {
    let smarthost = Smarthost::start(CONFIG);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/dialogs");
    let mut dialogs = Dialog::read_all(&directory).unwrap();
    dialogs.retain(|dialog| !dialog.needs_the_machine());
    assert!(dialogs.len() >= 20, "the dialogs are missing");
    let mut faults = Vec::new();
    for dialog in &dialogs {
        if let Err(why) = hold(dialog, &mut Session::connect(smarthost.address())) {
            faults.push(format!("{}: {why}", dialog.path.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
