use mail::envelope::{Origin, Ret};

use super::*;
use crate::flags::parse;

fn plan(line: &[&str]) -> Result<Submission, Refusal> {
    let typed = parse::parse(Mode::Deliver, line.iter().map(ToString::to_string)).unwrap();
    match Plan::of(typed)? {
        Plan::Submit(submission) => Ok(submission),
        other => panic!("{other:?}"),
    }
}

fn shown(recipients: &[Rcpt]) -> Vec<String> {
    recipients.iter().map(|rcpt| rcpt.to.to_string()).collect()
}

#[test]
fn one_word_may_hold_several_recipients_with_names_and_comments() {
    let submission = plan(&["a@x.example,b@y.example", "Carl <c@z.example>", "root"]).unwrap();
    assert_eq!(
        shown(&submission.recipients),
        ["a@x.example", "b@y.example", "c@z.example", "root"]
    );
}

#[test]
fn the_null_sender_has_two_spellings_and_brackets_around_a_sender_are_not_part_of_it() {
    for text in ["", "<>", " <> "] {
        let mail = plan(&["-f", text, "root"]).unwrap().mail;
        assert_eq!(mail.origin(), Origin::Null, "{text}");
    }
    for text in [
        "a@b.example",
        "<a@b.example>",
        "a@b.example.",
        " <a@b.example.> ",
    ] {
        let mail = plan(&["-f", text, "root"]).unwrap().mail;
        let Origin::Given(sender) = mail.origin() else {
            panic!("{text}")
        };
        assert_eq!(sender.to_string(), "a@b.example");
    }
    let mail = plan(&["root"]).unwrap().mail;
    assert_eq!(mail.origin(), Origin::Caller);
}

#[test]
fn a_word_behind_an_unknown_option_is_a_recipient_or_told_without_repeating_it() {
    let submission = plan(&["-w", "root", "a@x.example"]).unwrap();
    assert_eq!(shown(&submission.recipients), ["a@x.example", "root"]);
    let submission = plan(&["-w", "S3cr3t@@Huff", "a@x.example"]).unwrap();
    assert_eq!(shown(&submission.recipients), ["a@x.example"]);
    let told: Vec<_> = submission.problems.iter().map(malformed).collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("the word behind -w"), "{told:?}");
    assert!(!told[0].contains("S3cr3t"), "{told:?}");
    assert_eq!(plan(&["--password", "root"]).unwrap_err().exit, Exit::Usage);
}

#[test]
fn control_bytes_reach_neither_the_envelope_nor_the_from_field() {
    let sender = plan(&["-f", "a\nevil@x.example", "root"]).unwrap().mail;
    assert_eq!(sender.origin(), Origin::Caller);
    let submission = plan(&["a@x.example\r\nRCPT TO:<b@y.example>"]).unwrap();
    assert_eq!(
        (submission.recipients.len(), submission.problems.len()),
        (0, 1)
    );
    assert_eq!(
        plan(&["-F", "Cron\r\nBcc: x@y.example", "root"])
            .unwrap()
            .mail
            .xcaller,
        Some(Some("Cron  Bcc: x@y.example".to_owned()))
    );
}

#[test]
fn in_place_of_a_sender_that_is_none_the_caller_sends_and_is_told() {
    for text in [
        "a@@b",
        "www-data@",
        "@example.org",
        "joe doe@example.org",
        "a@b.c, d@e.f",
        "Joe <>",
        "a@b\0c",
        "(x)",
    ] {
        let submission = plan(&["-F", "Joe", "-f", text, "root"]).unwrap();
        let caller = Mail::of_caller(Some("Joe".to_owned()));
        assert_eq!(
            (submission.mail, submission.notes.len()),
            (caller, 1),
            "{text}"
        );
    }
    for text in ["<a@b.c", "Joe <mailto:a@b.c>", "a..b@c.d"] {
        let submission = plan(&["-f", text, "root"]).unwrap();
        assert!(submission.notes.is_empty(), "{text}");
        assert!(
            matches!(submission.mail.origin(), Origin::Given(_)),
            "{text}"
        );
    }
}

#[test]
fn a_bad_recipient_does_not_stop_the_good_ones_but_is_remembered() {
    let submission = plan(&["good@x.example", "bad@@y"]).unwrap();
    assert_eq!(
        (shown(&submission.recipients), submission.problems.len()),
        (vec!["good@x.example".to_owned()], 1)
    );
}

#[test]
fn delivery_status_wishes_are_read_and_a_mail_with_a_bad_one_goes_without_it() {
    let submission = plan(&["-N", "success,delay", "-R", "hdrs", "-V", "job 7", "root"]).unwrap();
    assert_eq!(
        submission.notify,
        Notify {
            explicit: true,
            success: true,
            failure: false,
            delay: true
        }
    );
    assert_eq!(
        (submission.mail.ret, submission.mail.envid.as_deref()),
        (Some(Ret::Headers), Some("job 7"))
    );
    for line in [
        ["-N", "sometimes", "root"],
        ["-R", "half", "root"],
        ["-V", "a\nb", "root"],
        ["-V", "", "root"],
        ["-t", "root", "-V"],
    ] {
        let submission = plan(&line).unwrap();
        let none = (Notify::default(), None, None);
        let mail = submission.mail;
        assert_eq!((submission.notify, mail.ret, mail.envid), none, "{line:?}");
        let told = submission.notes.join("|");
        let option = if line[0] == "-t" { "-V" } else { line[0] };
        assert!(told.starts_with(option), "{line:?}: {told}");
    }
    assert_eq!(plan(&[]).unwrap_err().exit, Exit::Usage);
    for line in [
        ["-bs", "-N", "sometimes"],
        ["-bs", "-R", "half"],
        ["-bs", "-V", "a\nb"],
        ["-bs", "-N", "never"],
    ] {
        let typed = parse::parse(Mode::Deliver, line.map(str::to_owned)).unwrap();
        let Ok(Plan::Smtp { notes }) = Plan::of(typed) else {
            panic!("{line:?}");
        };
        assert!(notes.concat().starts_with(line[1]), "{line:?}: {notes:?}");
        assert!(notes.concat().ends_with("is not used"), "{notes:?}");
    }
    for line in [["-bp", "-N", "sometimes"], ["-q", "-R", "half"]] {
        let typed = parse::parse(Mode::Deliver, line.map(str::to_owned)).unwrap();
        assert_eq!(Plan::of(typed).unwrap_err().exit, Exit::Usage, "{line:?}");
    }
}

#[test]
fn a_message_is_never_dropped_with_0_for_another_option_asks_for_something_else() {
    for option in [
        "-bp",
        "-bP",
        "-bi",
        "-I",
        "-bC",
        "-bh",
        "-q",
        "-qIABC",
        "-bV",
        "--version",
        "--help",
    ] {
        for with in ["-t", "root"] {
            let typed = parse::parse(Mode::Deliver, [with, option].map(str::to_owned));
            let refused = Plan::of(typed.unwrap()).unwrap_err();
            assert_eq!(refused.exit, Exit::Usage, "{with} {option}");
        }
    }
    for line in [["-t", "-V"], ["root", "-V"]] {
        let notes = plan(&line).unwrap().notes.concat();
        assert!(notes.starts_with("-V takes 1 to 100"), "{line:?}: {notes}");
    }
}

#[test]
fn where_no_mail_is_brought_every_unknown_option_is_told_and_none_as_ignored() {
    for mode in [Mode::ListQueue, Mode::CheckAliases, Mode::Flush, Mode::Help] {
        let typed =
            parse::parse(mode, ["-W", "--foo=s3cret", "-Zs3cret"].map(str::to_owned)).unwrap();
        let told = Plan::of(typed).unwrap_err().text;
        for option in ["-W", "--foo", "-Z"] {
            assert!(told.contains(option), "{mode:?}: {told}");
        }
        assert!(!told.contains("s3cret"), "{mode:?}: {told}");
    }
}
