//! What a command line means: valid by construction.
//!
//! Contract: every address in a [`Submission`] is well formed, every DSN wish one that RFC 3461
//! knows; a submission without recipients asks for them from the header.
//! Failures: a [`Refusal`] with its exit status. A malformed recipient does not stop the good ones:
//! it is kept in [`Submission::problems`], and the exit status tells at the end. In place of a
//! malformed sender the caller sends, and a malformed wish (`-N`, `-R`, `-V`) is none.

mod selector;
mod wishes;

use std::collections::HashSet;

use mail::{
    address::list::{self, Doubt, Problem},
    envelope::{Mail, Notify, Rcpt},
    message::Misplaced,
};
use system::sysexits::Exit;

use crate::{
    flags::parse::Typed,
    mode::{Mode, NO_DAEMON},
};

pub use selector::{Part, Selector};
use wishes::{Wishes, unused};

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Plan {
    Submit(Submission),
    ListQueue,
    CountQueue,
    /// Try what is selected, or all.
    Flush(Option<Selector>),
    /// Say what would become of these recipients.
    Verify(Vec<String>),
    /// The same of those on standard input.
    AddressTest,
    CheckAliases,
    CheckConfig,
    Smtp {
        /// What was typed and is not used, for standard error.
        notes: Vec<String>,
    },
    Version,
    Help,
    Nothing,
}

/// A message to be submitted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Submission {
    pub mail: Mail,
    /// From the command line.
    pub recipients: Vec<Rcpt>,
    /// Malformed recipients of the command line.
    pub problems: Vec<Problem>,
    /// What was typed and is not used, for standard error.
    pub notes: Vec<String>,
    /// The header adds recipients (`-t`).
    pub from_header: bool,
    /// What is wished for them.
    pub notify: Notify,
    pub verbose: bool,
}

/// Why nothing is done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    pub exit: Exit,
    pub text: String,
}

/// Longest full name kept, in characters.
const FULL_NAME: usize = 128;

impl Plan {
    /// From what was typed. Mail beats pedantry: where there is a message, an unknown option is
    /// ignored; where there is none, whoever typed it wants to know, and about words that mean
    /// nothing as well (as in Postfix).
    pub fn of(typed: Typed) -> Result<Self, Refusal> {
        let brings_mail = matches!(typed.mode, Mode::Deliver | Mode::Smtp);
        let unknown = typed.warnings.iter().filter(|warning| warning.unknown);
        let unknown: Vec<_> = unknown.map(|warning| warning.text.as_str()).collect();
        if !unknown.is_empty() && !brings_mail {
            let unknown = unknown.join(", ");
            return Err(usage(format!("{unknown} (see sendmail --help)")));
        }
        let mut wishes = Wishes::of(&typed);
        // Whoever typed it meant something; but the mail is worth more.
        if !brings_mail && let Some(why) = wishes.wrong.pop() {
            return Err(usage(why));
        }
        let takes_none = takes_no_message(typed.mode).filter(|_| typed.from_header);
        if let Some(why) = takes_none {
            return Err(usage(format!(
                "-t brings a message, and it would be lost: {why} (see sendmail --help)"
            )));
        }
        if let Some(why) = takes_no_message(typed.mode)
            && let Some(word) = typed.recipients.first()
        {
            let word = word.escape_debug();
            return Err(usage(format!("\"{word}\": {why} (see sendmail --help)")));
        }
        Ok(match typed.mode {
            Mode::Deliver => Self::Submit(submission(typed, wishes)?),
            Mode::ListQueue => Self::ListQueue,
            Mode::CountQueue => Self::CountQueue,
            Mode::Flush => Self::Flush(match &typed.selector {
                Some(selector) => Selector::parse(selector).map_err(usage)?,
                None => None,
            }),
            Mode::Verify if typed.recipients.is_empty() => {
                return Err(usage("-bv needs recipients on the command line".into()));
            }
            Mode::Verify => Self::Verify(typed.recipients),
            Mode::AddressTest => Self::AddressTest,
            Mode::Daemon => return Err(usage(NO_DAEMON.into())),
            Mode::CheckAliases => Self::CheckAliases,
            Mode::CheckConfig => Self::CheckConfig,
            Mode::Smtp => Self::Smtp {
                notes: wishes.not_of_a_session(&typed),
            },
            Mode::Version => Self::Version,
            Mode::Help => Self::Help,
            Mode::Nothing => Self::Nothing,
        })
    }
}

/// Why no message and no words are wanted, in modes that do not take any.
fn takes_no_message(mode: Mode) -> Option<&'static str> {
    match mode {
        Mode::ListQueue | Mode::CountQueue => Some("the queue is listed as a whole"),
        Mode::Flush => Some("the queue is tried as a whole; parts of it: -qI, -qR and -qS"),
        Mode::CheckAliases => Some("the alias files are those of the settings"),
        Mode::CheckConfig => Some("the configuration is that of this machine"),
        Mode::Smtp => Some("recipients are named in the session"),
        Mode::AddressTest => Some("addresses are read from standard input"),
        Mode::Version | Mode::Help => Some("nothing is asked of it"),
        Mode::Nothing => Some("there is no host status"),
        Mode::Deliver | Mode::Verify | Mode::Daemon => None,
    }
}

fn submission(typed: Typed, wishes: Wishes) -> Result<Submission, Refusal> {
    let Wishes {
        notify,
        ret,
        envid,
        wrong,
    } = wishes;
    let mut recipients = Vec::new();
    let mut problems = Vec::new();
    let mut notes: Vec<String> = wrong.iter().map(unused).collect();
    for text in &typed.recipients {
        let list = list::argument(text);
        notes.extend(list.doubts().map(|it| doubt(&it)));
        recipients.extend(list.entries.into_iter().map(|entry| Rcpt {
            notify,
            ..Rcpt::from(entry.target)
        }));
        problems.extend(list.problems);
    }
    if recipients.is_empty() && problems.is_empty() && !typed.from_header {
        let text =
            "no recipients: name them on the command line, or use -t to take them from the header";
        return Err(usage(text.into()));
    }
    let name = typed.full_name.as_deref().map(full_name);
    let name = name.filter(|name| !name.is_empty());
    // Programs with a sender that is none would lose their mail.
    let mail = sender(typed.sender.as_deref(), name.clone()).unwrap_or_else(|refusal| {
        notes.push(format!("{}; you are the sender", refusal.text));
        Mail::of_caller(name)
    });
    Ok(Submission {
        mail: Mail { ret, envid, ..mail },
        recipients,
        problems,
        notes,
        from_header: typed.from_header,
        notify,
        verbose: typed.verbose,
    })
}

/// What is wrong with a recipient, for standard error.
pub fn malformed(problem: &Problem) -> String {
    // What an argument holds is escaped already; a field may hold anything.
    let seen = |c: char| match c {
        c if c.is_control() => c.escape_debug().to_string(),
        c => c.to_string(),
    };
    let text: String = problem.text.chars().map(seen).collect();
    format!("bad address \"{text}\": {}", problem.error)
}

/// What is served, and may not be meant, for standard error.
pub fn doubt(doubt: &Doubt) -> String {
    match doubt {
        Doubt::Unclosed(served) => {
            format!("\"<{served}\": the bracket is never closed; the message goes to {served}")
        }
        Doubt::Named(name, served) => format!(
            "\"{name} <{served}>\": the first is taken for a name; the message goes to {served} alone"
        ),
    }
}

/// Recipients that were named where no field can be, as far as somebody is to be told: what was
/// left out, and, where the header names recipients (`-t`), who is not among those that are served.
pub fn misplaced<'a>(
    found: &'a [Misplaced],
    from_header: bool,
    served: &[Rcpt],
) -> impl Iterator<Item = &'a Misplaced> {
    let served: HashSet<String> = served.iter().map(|rcpt| rcpt.to.key()).collect();
    let is_served = move |it: &Misplaced| {
        let list = list::parse(it.field.as_bytes());
        let mut keys = list.entries.iter().map(|entry| entry.target.key());
        !list.entries.is_empty() && keys.all(|key| served.contains(&key))
    };
    let told = move |it: &&Misplaced| it.withheld || from_header && !is_served(it);
    found.iter().filter(told)
}

/// The same for standard error.
pub fn not_served(misplaced: &Misplaced) -> String {
    let field = misplaced.field.escape_debug();
    let what = if misplaced.withheld {
        "it was left out, and goes to nobody"
    } else {
        "it stays as it is, and goes to nobody"
    };
    format!("\"{field}\" is no field where it stands: {what}")
}

fn usage(text: String) -> Refusal {
    Refusal {
        exit: Exit::Usage,
        text,
    }
}

/// What `-f` and `-F` say; without `-f` the caller sends.
pub fn sender(typed: Option<&str>, full_name: Option<String>) -> Result<Mail, Refusal> {
    let Some(text) = typed.map(str::trim) else {
        return Ok(Mail::of_caller(full_name));
    };
    if matches!(text, "" | "<>") {
        return Ok(Mail::default());
    }
    match list::one(text) {
        Ok(sender) => Ok(Mail {
            sender: Some(sender),
            xcaller: full_name.map(Some),
            ..Mail::default()
        }),
        Err(_) => Err(Refusal {
            exit: Exit::DataErr,
            text: format!("bad sender address \"{}\"", text.escape_debug()),
        }),
    }
}

fn full_name(typed: &str) -> String {
    let clean: String = typed
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(FULL_NAME)
        .collect();
    let clean = clean.trim();
    // calendar(1) passes the quotes of a quoted-string along.
    clean
        .strip_prefix('"')
        .and_then(|c| c.strip_suffix('"'))
        .unwrap_or(clean)
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
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
        let submission =
            plan(&["-N", "success,delay", "-R", "hdrs", "-V", "job 7", "root"]).unwrap();
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
}
