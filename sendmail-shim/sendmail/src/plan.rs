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
    address::list::{self, Doubt, Entry, Problem},
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
    let to = |entry: Entry| Rcpt {
        notify,
        ..Rcpt::from(entry.target)
    };
    for text in &typed.recipients {
        let list = list::argument(text);
        notes.extend(list.doubts().map(|it| doubt(&it)));
        recipients.extend(list.entries.into_iter().map(to));
        problems.extend(list.problems);
    }
    for (option, word) in &typed.doubtful {
        let list = list::argument(word);
        match list.problems.first() {
            None => recipients.extend(list.entries.into_iter().map(to)),
            // It is not repeated: it may be the option's value.
            Some(problem) => problems.push(Problem {
                text: format!("the word behind {option}"),
                ..problem.clone()
            }),
        }
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
mod tests;
