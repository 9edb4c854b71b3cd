//! Blind recipients: served where they stand in a field, and shown to nobody wherever they stand.

use std::process::Output;

use tests::{
    agent::{Agent, config},
    sink::Sink,
};

fn status(output: &Output) -> (Option<i32>, String) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn a_blind_recipient_behind_a_line_of_blanks_is_served_and_not_shown() {
    let sink = Sink::start();
    let machine = Agent::prepare(&config(&sink.nexthop(), ""));
    let message = "To: a@d.example\nSubject: s\n \nBcc: secret@d.example\n\ntext\n";
    machine.send(&["-t"], message);
    let received = sink.journal().first();
    assert_eq!(received.recipients, ["a@d.example", "secret@d.example"]);
    assert!(!received.text().contains("secret"), "{}", received.text());
    assert_eq!(received.body(), "text\r\n");
}

/// No line may be the empty one, and no field can hold another.
#[test]
fn a_blind_recipient_where_no_field_is_is_never_shown_and_whoever_is_left_out_is_told() {
    let sink = Sink::start();
    let machine = Agent::prepare(&config(&sink.nexthop(), ""));
    for (message, told) in [
        (
            "To: a@d.example\nsome text\nBcc: secret@d.example\n\nx\n",
            65,
        ),
        (
            "To: a@d.example\nSubject: s\n Bcc: secret@d.example\n\nx\n",
            65,
        ),
        ("To: a@d.example\n Bcc: secret@d.example\n\nx\n", 0),
    ] {
        let before = sink.journal().messages().len();
        let (code, said) = status(&machine.sendmail(&["-t", "-f", "<>"], message));
        assert_eq!(code, Some(told), "{said}");
        assert_eq!(said.contains("Bcc: secret@d.example"), told == 65, "{said}");
        let received = sink.journal().wait_for(before + 1).remove(before);
        let served = if told == 65 { 1 } else { 2 };
        assert_eq!(received.recipients.len(), served, "{message}");
        assert!(!received.text().contains("secret"), "{}", received.text());
    }
}
