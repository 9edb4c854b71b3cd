use proptest::prelude::*;

use super::*;

/// Feeds all input, in pieces of `size` bytes, answering as a server does that takes
/// everything.
fn pass(input: &[u8], size: usize) -> (Dialogue, String, Vec<u8>) {
    let (mut dialogue, mut out, mut waiting) = (Dialogue::default(), Vec::new(), Vec::<u8>::new());
    dialogue.hear(b"220-vm1\r\n220 ESMTP\r\n");
    for piece in input.chunks(size) {
        waiting.extend_from_slice(piece);
        loop {
            let left = dialogue.take(&waiting, &mut out).to_vec();
            waiting = left;
            let (data, quit) = (dialogue.place == Place::Data, dialogue.place == Place::Quit);
            for owed in (0..dialogue.owed).rev() {
                dialogue.hear(match owed {
                    0 if data => b"354 go\r\n",
                    0 if quit => b"221 bye\r\n",
                    _ => b"250 ok\r\n",
                });
            }
            if !data {
                break;
            }
        }
    }
    (dialogue, String::from_utf8(out).unwrap(), waiting)
}

const BATCH: &str = "EHLO x\nMAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\nSubject: x\n\n..dot\n.\nMAIL FROM:<a@b>\n\
    RCPT TO:<c@d>\nBDAT 7 LAST\na\r\nbc\r\nQUIT\n";

#[test]
fn a_chunk_with_line_ends_of_unix_is_counted_anew_and_one_of_smtp_stays_as_it_is() {
    for (typed, sent) in [
        ("BDAT 7\na\nb\r\ncd", "BDAT 8\r\na\r\nb\r\ncd"),
        ("bdat 4 last\n\n\n\n\n", "BDAT 8 LAST\r\n\r\n\r\n\r\n\r\n"),
        // A line end that two chunks share.
        (
            "BDAT 2\na\rBDAT 2 LAST\n\n\n",
            "BDAT 2\r\na\rBDAT 3 LAST\r\n\n\r\n",
        ),
        ("BDAT 0 LAST\n", "BDAT 0 LAST\r\n"),
        // It ends in nobody's message.
        (
            "BDAT 2\na\rMAIL FROM:<>\nBDAT 1\n\n",
            "BDAT 2\r\na\rMAIL FROM:<>\r\nBDAT 2\r\n\r\n",
        ),
        ("BDAT 99999999999\na\nb", "BDAT 99999999999\r\na\nb"),
        ("BDAT 3 X\nNOOP\n", "BDAT 3 X\r\nNOOP\r\n"),
    ] {
        for size in [1, 3, 4096] {
            let (_, out, _) = pass(format!("EHLO x\n{typed}").as_bytes(), size);
            assert_eq!(out, format!("EHLO x\r\n{sent}"), "{size}");
        }
    }
    let strict = "EHLO x\r\nBDAT 3 LAST\r\na\nbNOOP\r\n";
    assert_eq!(pass(strict.as_bytes(), 2).1, strict);
}

#[test]
fn a_command_without_a_line_end_is_one_where_the_input_ends_and_a_message_is_not() {
    for (typed, sent, complete) in [
        ("EHLO x\nNOOP", "NOOP\r\n", true),
        ("EHLO x\r\nNOOP\r", "NOOP\r\n", true),
        ("EHLO x\nDATA\nx", "DATA\r\nx", false),
        ("EHLO x\nDATA\nx\n.", "DATA\r\nx\r\n", false),
        ("EHLO x\nBDAT 5\nhalf", "", false),
    ] {
        let (mut dialogue, mut out, _) = pass(typed.as_bytes(), 3);
        let mut end = Vec::new();
        dialogue.end(&mut end);
        dialogue.end(&mut end);
        out.push_str(str::from_utf8(&end).unwrap());
        assert_eq!(out, format!("EHLO x\r\n{sent}"));
        if dialogue.is_owed() {
            dialogue.hear(b"250 ok\r\n");
        }
        assert_eq!(dialogue.is_complete(b""), complete, "{typed:?}");
        assert_eq!(dialogue.is_within_message(), !complete, "{typed:?}");
    }
}

#[test]
fn a_line_that_is_too_long_to_be_a_command_passes_as_it_is() {
    let long = "X".repeat(3 * COMMAND_LINE);
    for length in [COMMAND_LINE - 1, COMMAND_LINE, COMMAND_LINE + 1, long.len()] {
        let line = &long[..length];
        let (dialogue, out, _) = pass(format!("{line}\nNOOP\n").as_bytes(), 100);
        assert_eq!(out, format!("{line}\r\nNOOP\r\n"), "{length}");
        assert!(dialogue.is_complete(b""));
    }
}

#[test]
fn a_batch_with_line_ends_of_unix_or_of_smtp_leaves_in_those_of_smtp_however_it_is_cut() {
    let wire = BATCH.replace("\r\n", "\n").replace('\n', "\r\n");
    for size in [1, 2, 7, 4096] {
        for batch in [BATCH.to_owned(), wire.clone()] {
            let (dialogue, out, rest) = pass(batch.as_bytes(), size);
            assert_eq!(out, wire, "{size}");
            assert!(dialogue.is_complete(&rest));
        }
    }
}

#[test]
fn where_lines_end_in_crlf_a_dot_beside_a_bare_lf_ends_no_message() {
    for (typed, sent) in [
        ("a\n.\r\nb", "a\r\n..\r\nb"),
        ("a\r\n.\nb", "a\r\n..\r\nb"),
        ("a\n.\nb", "a\r\n..\r\nb"),
        ("a\n..\n.x\r\n", "a\r\n..\r\n.x\r\n"),
        ("a\r.\r\r\n", "a\r.\r\r\n"),
    ] {
        let (dialogue, out, _) = pass(format!("DATA\r\n{typed}\r\n.\r\n").as_bytes(), 1);
        assert_eq!(out, format!("DATA\r\n{sent}\r\n.\r\n"));
        assert!(dialogue.is_complete(b""), "{typed:?}");
    }
}

#[test]
fn between_transactions_another_agent_can_go_on_and_nobody_hears_its_greeting() {
    let message = "MAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\nx\n.\n";
    for (typed, between, hello) in [
        ("", true, ""),
        ("EHLO x\n", true, "EHLO x\r\n"),
        ("helo y\nEHLO x\nNOOP\n", true, "EHLO x\r\n"),
        (&format!("EHLO x\n{message}"), true, "EHLO x\r\n"),
        ("EHLO x\nMAIL FROM:<a@b>\nRSET\n", true, "EHLO x\r\n"),
        ("EHLO x\nmail FROM:<a@b>\n", false, ""),
        ("EHLO x\nMAIL FROM:<a@b>\nBDAT 2\nhi", false, ""),
        (
            "EHLO x\nMAIL FROM:<a@b>\nBDAT 2 LAST\nhi",
            true,
            "EHLO x\r\n",
        ),
        (
            "EHLO x\nMAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\nx\n",
            false,
            "",
        ),
        ("EHLO x\nMAI", false, ""),
        ("EHLO x\nQUIT\n", false, ""),
    ] {
        let (mut dialogue, ..) = pass(typed.as_bytes(), 5);
        assert_eq!(dialogue.is_between(), between, "{typed:?}");
        if !between {
            continue;
        }
        let mut out = Vec::new();
        dialogue.begin_again(&mut out);
        assert_eq!(str::from_utf8(&out).unwrap(), hello);
        let mut heard = Vec::new();
        let greeting = if hello.is_empty() {
            "220 b\r\n"
        } else {
            "220 b\r\n250-b\r\n250 SIZE\r\n"
        };
        assert!(!dialogue.is_greeted() && dialogue.has_begun());
        assert!(dialogue.take(b"NOOP\n", &mut out).is_empty());
        for piece in format!("{greeting}250 2.0.0 Ok\r\n").as_bytes().chunks(3) {
            heard.extend_from_slice(dialogue.hear(piece));
        }
        assert_eq!(
            str::from_utf8(&heard).unwrap(),
            "250 2.0.0 Ok\r\n",
            "{typed:?}"
        );
        assert!(dialogue.is_complete(b""), "{typed:?}");
    }
    for greeting in ["421 4.3.2 full\r\n", "220 b\r\n550 no\r\n"] {
        let (mut dialogue, ..) = pass(b"EHLO x\n", 5);
        dialogue.begin_again(&mut Vec::new());
        assert_eq!(dialogue.hear(greeting.as_bytes()), b"");
        assert!(!dialogue.is_complete(b"") && !dialogue.is_between());
        assert!(!dialogue.is_told_of_its_end(), "{greeting}");
        assert!(dialogue.is_unwelcome(), "{greeting}");
        // What whoever typed heard last.
        assert_eq!(dialogue.last_code().as_deref(), Some("250"), "{greeting}");
    }
}

#[test]
fn a_421_or_521_ends_the_session_whatever_it_answers_and_nothing_more_is_told() {
    for ends in ["421 4.4.2 timeout\r\n", "521 5.5.2 Error: bare <CR>\r\n"] {
        for typed in ["MAIL FROM:<a@b>\n", "MAIL FROM:<a@b>\nNOOP\nNOOP\n", ""] {
            let (mut dialogue, mut out) = (Dialogue::default(), Vec::new());
            dialogue.hear(b"220 x\r\n");
            dialogue.take(typed.as_bytes(), &mut out);
            dialogue.hear(ends.as_bytes());
            assert!(!dialogue.is_complete(b"") && !dialogue.is_between());
            assert!(dialogue.is_told_of_its_end(), "{typed:?}: {ends}");
        }
    }
}

#[test]
fn an_agent_that_goes_down_is_not_heard_and_the_next_one_is_told_what_is_not_answered() {
    const DOWN: &[u8] = b"421 4.3.2 vm1 Error: server is going down, try again later\r\n";
    for (typed, heard, again) in [
        ("", "220 x\r\n", ""),
        ("EHLO x\n", "220 x\r\n", "EHLO x\r\nEHLO x\r\n"),
        ("MAIL FROM:<a@b>\nRC", "220 x\r\n", "MAIL FROM:<a@b>\r\n"),
        (
            "MAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\n",
            "220 x\r\n250 x\r\n",
            "",
        ),
        (
            "NOOP\nMAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\n",
            "220 x\r\n250 x\r\n",
            "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n",
        ),
        (
            "MAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\n",
            "220 x\r\n",
            "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n",
        ),
        ("QUIT\n", "220 x\r\n", "QUIT\r\n"),
    ] {
        let (mut dialogue, mut out) = (Dialogue::default(), Vec::new());
        assert_eq!(dialogue.hear(b"220 x\r\n"), b"220 x\r\n");
        let pipelined = dialogue.take(typed.as_bytes(), &mut out).is_empty();
        let before = heard.strip_prefix("220 x\r\n").unwrap();
        let all = [before.as_bytes(), DOWN].concat();
        let told = str::from_utf8(dialogue.hear(&all)).unwrap().to_owned();
        if again.is_empty() && !typed.is_empty() {
            assert_eq!(told.as_bytes(), all, "some of it is answered: {typed}");
            assert!(dialogue.is_told_of_its_end() && !dialogue.may_go_on());
            continue;
        }
        assert_eq!(told, before, "{typed}");
        assert!(pipelined && dialogue.is_away() && dialogue.may_go_on());
        assert_eq!(dialogue.is_ahead(), !typed.is_empty(), "{typed}");
        // The next one may go away before it says anything.
        dialogue.begin_again(&mut Vec::new());
        assert_eq!(dialogue.is_ahead(), !typed.is_empty(), "{typed}");
        let mut out = Vec::new();
        dialogue.begin_again(&mut out);
        assert_eq!(str::from_utf8(&out).unwrap(), again, "{typed}");
        assert_eq!(dialogue.hear(b"220 y\r\n"), b"");
        if typed == "QUIT\n" {
            dialogue.hear(b"221 Bye\r\n");
            assert!(dialogue.is_complete(b""));
        }
    }
    // The last message is answered, and what was said behind it is not.
    let (mut dialogue, ..) = pass(b"MAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\nx\n", 5);
    let next = b".\nMAIL FROM:<e@f>\nRCPT TO:<c@d>\n";
    assert!(dialogue.take(next, &mut Vec::new()).is_empty());
    assert!(!dialogue.may_go_on());
    assert_eq!(
        dialogue.hear(b"250 queued\r\n421 4.3.2 down\r\n"),
        b"250 queued\r\n"
    );
    let mut out = Vec::new();
    dialogue.begin_again(&mut out);
    assert_eq!(out, b"MAIL FROM:<e@f>\r\nRCPT TO:<c@d>\r\n");
    // One that is always going down is not tried without end.
    let mut dialogue = Dialogue::default();
    dialogue.hear(b"220 x\r\n");
    dialogue.take(b"MAIL FROM:<a@b>\n", &mut Vec::new());
    let mut tries = 0;
    while dialogue.is_ahead() {
        tries += 1;
        dialogue.begin_again(&mut Vec::new());
        dialogue.hear(b"220 x\r\n");
    }
    assert_eq!(tries, 5);
}

#[test]
fn what_was_not_answered_is_known() {
    for (input, complete) in [
        ("EHLO x\nNOOP\n", true),
        ("EHLO x\nNOO", false),
        ("EHLO x\nBDAT 4\na\nb", false),
        ("EHLO x\nDATA\nSubject: half", false),
        ("EHLO x\nDATA\nSubject: half\n", false),
        ("BDAT 10 LAST\nhalf", false),
        ("QUIT\n", true),
        ("QUIT\n \n", true),
        ("QUIT\nEHLO x\n", false),
    ] {
        let (dialogue, _, rest) = pass(input.as_bytes(), 3);
        assert_eq!(dialogue.is_complete(&rest), complete, "{input:?}");
    }
    let (mut dialogue, ..) = pass(b"EHLO x\n", 9);
    dialogue.hear(b"421 4.4.2 timeout\r\n");
    assert!(!dialogue.is_complete(b"") && dialogue.last_code().as_deref() == Some("421"));
    let mut lost = Dialogue::default();
    assert!(!lost.is_complete(b""), "no greeting came");
    assert_eq!(lost.last_code(), None);
    lost.hear(b"220 x\r\n");
    lost.take(b"EHLO x\r\nNOOP\r\n", &mut Vec::new());
    lost.hear(b"250-x\r\n250 HELP\r\n");
    assert!(lost.is_owed() && !lost.is_complete(b""));
}

proptest! {
    #[test]
    fn no_bare_lf_is_ever_sent_outside_a_chunk(input in "[A-Z .\r\n]{0,80}") {
        let (_, out, _) = pass(format!("EHLO x\n{input}").as_bytes(), 5);
        prop_assert!(!out.replace("\r\n", "").contains('\n'), "{out:?}");
    }
}
