//! argv, read with the option table into what was typed.
//!
//! Contract: total. Options may be bundled (`-ti`) and mixed with recipients; `--` ends them; the
//! longest row that fits wins (`-oi` before `-o`). An unknown option is a [`Warning`]; what becomes
//! of it, [`Plan`](crate::plan::Plan) says. The word behind one that names a secret is none of the
//! recipients.
//! Failures: an option without its value, or one that is refused, is a [`UsageError`] (exit status
//! 64).

use std::{fmt, iter::Peekable};

use mail::masked::{names_secret, names_user};

use super::table::{Argument, Effect, FLAGS, Flag};
use crate::mode::Mode;

/// What was typed, unchecked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Typed {
    pub mode: Mode,
    /// `-t`
    pub from_header: bool,
    /// `-f`; the last one counts.
    pub sender: Option<String>,
    /// `-F`
    pub full_name: Option<String>,
    /// `-N`
    pub notify: Option<String>,
    /// `-R`
    pub ret: Option<String>,
    /// `-V`
    pub envid: Option<String>,
    /// `-V` stood at the end, without a value.
    pub lacks_envid: bool,
    /// `-qI…`: the selector after `-q`.
    pub selector: Option<String>,
    /// `-v`
    pub verbose: bool,
    pub recipients: Vec<String>,
    /// Words behind an option of one letter that nobody knows, and that option: recipients, or its
    /// values, which may be secrets.
    pub doubtful: Vec<(String, String)>,
    /// Options that were ignored and on which somebody may rely.
    pub warnings: Vec<Warning>,
}

/// An option that changes nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Warning {
    pub text: String,
    /// Nobody knows what was meant: it is told without `-v`, too.
    pub unknown: bool,
}

/// The command line cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsageError(pub String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads the words after argv\[0]; `mode` is what the program's name says.
pub fn parse(mode: Mode, words: impl IntoIterator<Item = String>) -> Result<Typed, UsageError> {
    let mut typed = Typed {
        mode,
        ..Typed::default()
    };
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        match word.strip_prefix('-') {
            Some("-") => typed.recipients.extend(words.by_ref()),
            Some(letters) if !letters.is_empty() => options(&mut typed, letters, &mut words)?,
            _ => typed.recipients.push(word),
        }
    }
    // A message that is brought all the same is not dropped for the version.
    let alone = typed.mode == Mode::Deliver
        && !typed.from_header
        && typed.recipients.is_empty()
        && typed.doubtful.is_empty();
    if alone && typed.lacks_envid {
        typed.mode = Mode::Version;
        typed.envid = None;
    }
    Ok(typed)
}

/// One word of options, without its dash.
fn options(
    typed: &mut Typed,
    mut letters: &str,
    words: &mut Peekable<impl Iterator<Item = String>>,
) -> Result<(), UsageError> {
    // What -p takes is the name of a protocol.
    let is_secret = letters.starts_with("pass");
    while !letters.is_empty() {
        let Some(flag) = longest(letters).filter(|_| !is_secret) else {
            unknown(typed, letters, words);
            return Ok(());
        };
        let rest = letters.strip_prefix(flag.name).unwrap_or_default();
        let value = match flag.argument {
            Argument::None => None,
            Argument::Required(_) if rest.is_empty() => words.next(),
            Argument::Required(_) | Argument::Attached(_) => Some(rest.to_owned()),
        };
        letters = if flag.argument == Argument::None {
            rest
        } else {
            ""
        };
        apply(typed, flag, value)?;
    }
    Ok(())
}

/// An option that nobody knows, and the word behind it, as far as that is its value.
fn unknown(typed: &mut Typed, letters: &str, words: &mut Peekable<impl Iterator<Item = String>>) {
    let name = name(letters);
    let mut text = format!("unknown option -{name}");
    let is_value = |word: &String| {
        !word.starts_with('-')
            && (names_secret(name) || names_user(plain(name)) && word.contains(':'))
    };
    let is_whole = name == letters;
    if is_whole && words.next_if(is_value).is_some() {
        text.push_str(" and the word behind it");
    } else if is_whole && letters.len() == 1 {
        let word = words.next_if(|word| !word.starts_with('-'));
        typed
            .doubtful
            .extend(word.map(|word| (format!("-{name}"), word)));
    }
    typed.warnings.push(Warning {
        text,
        unknown: true,
    });
}

fn plain(name: &str) -> &str {
    name.trim_start_matches('-')
}

/// What may be shown of an option that nobody knows: what stands behind its name may be a secret
/// (`-PPASSWORD`, `--password=…`).
fn name(letters: &str) -> &str {
    let is_word = letters.starts_with('-') || letters.starts_with("pass");
    let end = if is_word {
        letters.find('=')
    } else {
        letters.char_indices().nth(1).map(|(at, _)| at)
    };
    letters
        .get(..end.unwrap_or(letters.len()))
        .unwrap_or_default()
}

/// The row with the longest name that `letters` begin with; a word (`--help`) is meant as a whole.
fn longest(letters: &str) -> Option<&'static Flag> {
    let fits = |flag: &&Flag| match flag.name.strip_prefix('-') {
        Some(_) => letters == flag.name,
        None => letters.starts_with(flag.name),
    };
    FLAGS.iter().filter(fits).max_by_key(|flag| flag.name.len())
}

fn apply(typed: &mut Typed, flag: &Flag, value: Option<String>) -> Result<(), UsageError> {
    let missing = matches!(flag.argument, Argument::Required(_)) && value.is_none();
    match flag.effect {
        Effect::EnvelopeId if missing => {
            typed.envid = Some(String::new());
            typed.lacks_envid = true;
        }
        Effect::Refuse(why) => return Err(UsageError(format!("-{}: {why}", flag.name))),
        Effect::Ignore => {}
        Effect::Warn(why) => typed.warnings.push(Warning {
            text: format!("-{} ignored: {why}", flag.name),
            unknown: false,
        }),
        _ if missing => return Err(UsageError(format!("-{} needs a value", flag.name))),
        Effect::RecipientsFromHeader => typed.from_header = true,
        Effect::Sender => typed.sender = value,
        Effect::FullName => typed.full_name = value,
        Effect::Notify => typed.notify = value,
        Effect::Return => typed.ret = value,
        Effect::EnvelopeId => typed.envid = value,
        Effect::Verbose => typed.verbose = true,
        Effect::Mode(mode) => typed.mode = mode,
        Effect::Flush => {
            typed.mode = Mode::Flush;
            typed.selector = value;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &[&str]) -> Typed {
        parse(Mode::Deliver, line.iter().map(ToString::to_string)).unwrap()
    }

    #[test]
    fn the_command_lines_of_real_callers_are_read_as_they_mean_them() {
        for (line, meaning) in [
            // Debian cron, cronie, systemd-cron, anacron
            (
                "-FCronDaemon|-i|-B8BITMIME|-oem|root",
                "[root] F=CronDaemon",
            ),
            (
                "-FCronDaemon|-i|-odi|-oem|-oi|-t|-f|root",
                "[] t f=root F=CronDaemon",
            ),
            ("-i|-B|8BITMIME|root", "[root]"),
            ("-FAnacron|-odi|root", "[root] F=Anacron"),
            // PHP, mdadm, MIME::Lite
            ("-t|-i|-fwww@example.org", "[] t f=www@example.org"),
            ("-ti", "[] t"),
            ("-it", "[] t"),
            ("-t|-oi|-oem|-fa@example.org", "[] t f=a@example.org"),
            // mutt, Email::Sender, sympa, calendar
            (
                "-oem|-oi|-B8BITMIME|-f|a@b.example|--|-x@c.example",
                "[-x@c.example] f=a@b.example",
            ),
            ("-i|-f||--|a@b.example", "[a@b.example] f="),
            (
                "-i|-t|-F|\"Reminder Service\"|-f|root",
                "[] t f=root F=\"Reminder Service\"",
            ),
            // Exim's two words, an old cron's options, options after recipients
            ("-oMr|smtp|-or0s|root|-i", "[root]"),
        ] {
            let typed = typed(&line.split('|').collect::<Vec<_>>());
            let mut read = format!("[{}]", typed.recipients.join(" "));
            read += if typed.from_header { " t" } else { "" };
            read += &typed
                .sender
                .map_or_else(String::new, |sender| format!(" f={sender}"));
            read += &typed
                .full_name
                .map_or_else(String::new, |name| format!(" F={name}"));
            assert_eq!(read, meaning, "{line}");
            assert_eq!(
                (typed.mode, typed.warnings),
                (Mode::Deliver, vec![]),
                "{line}"
            );
        }
    }

    /// CVE-2016-10033 and its kind: words that make other programs write files or run commands.
    #[test]
    fn options_that_name_files_change_nothing_but_a_warning() {
        let exploit = [
            "-OQueueDirectory=/tmp",
            "-X/var/www/x.php",
            "-C",
            "/tmp/evil.cf",
            "-oQ/tmp",
            "-oX/tmp/x",
            "root",
        ];
        let typed = typed(&exploit);
        assert_eq!(typed.warnings.len(), 5, "{:?}", typed.warnings);
        assert_eq!(
            Typed {
                warnings: vec![],
                ..typed
            },
            Typed {
                recipients: vec!["root".into()],
                ..Typed::default()
            }
        );
    }

    #[test]
    fn modes_come_from_b_q_and_long_options() {
        for (word, mode) in [
            ("-bp", Mode::ListQueue),
            ("-bs", Mode::Smtp),
            ("-bi", Mode::CheckAliases),
            ("-I", Mode::CheckAliases),
            ("-q", Mode::Flush),
            ("-q10m", Mode::Flush),
            ("-V", Mode::Version),
            ("--version", Mode::Version),
            ("--help", Mode::Help),
            ("-bv", Mode::Verify),
            ("-bt", Mode::AddressTest),
            ("-bm", Mode::Deliver),
        ] {
            assert_eq!(typed(&[word]).mode, mode, "{word}");
        }
        for line in ["-t -V", "-tV", "-V -- root", "root -V", "-bp -V"] {
            let words: Vec<_> = line.split(' ').collect();
            assert_ne!(typed(&words).mode, Mode::Version, "{line}");
        }
        assert_eq!(typed(&["-qIABC"]).selector.as_deref(), Some("IABC"));
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_its_reason_and_the_unknown_is_ignored_with_a_warning() {
        for word in [
            "-bd",
            "-bS",
            "-bx",
            "-bz",
            "-XV",
            "-D/tmp/x",
            "-Msomething",
            "-Q",
            "-f",
        ] {
            let error = parse(Mode::Deliver, [word.to_owned()]).unwrap_err();
            assert!(error.0.len() > 10, "{error}");
        }
        let warnings = typed(&["-W", "--read-envelope-from", "--helpx", "root"]).warnings;
        assert_eq!(warnings.len(), 3);
        assert!(warnings.iter().all(|warning| warning.unknown));
    }

    #[test]
    fn the_value_of_an_unknown_option_that_names_a_secret_is_no_recipient() {
        for line in [
            "--password S3cr3t@x root",
            "--pass S3cr3t root",
            "-password S3cr3t root",
            "--passwordeval cat root",
            "--auth u:S3cr3t@x root",
            "--user u:S3cr3t root",
            "--smtp-token S3cr3t root",
            "root --password",
            "--password=S3cr3t root",
            "--verbosely root",
            "--password -- root",
            "--password -oi root",
        ] {
            let words: Vec<_> = line.split(' ').collect();
            let typed = typed(&words);
            assert_eq!(typed.recipients, ["root"], "{line}");
            assert_eq!(typed.warnings.len(), 1, "{line}");
            let told = &typed.warnings[0].text;
            assert!(!told.contains("S3cr3t"), "{line}: {told}");
        }
        let typed = typed(&["-w", "S3cr3t", "root"]);
        assert_eq!(typed.recipients, ["root"]);
        assert_eq!(typed.doubtful, [("-w".to_owned(), "S3cr3t".to_owned())]);
    }

    proptest::proptest! {
        #[test]
        fn recipients_are_words_of_the_command_line_and_nothing_after_two_dashes_is_an_option(
            words in proptest::collection::vec("-{0,2}[a-zA-Z@=/é .]{0,6}", 0..6), operands in proptest::collection::vec("-?.*", 0..4)
        ) {
            if let Ok(typed) = parse(Mode::Deliver, words.clone()) {
                proptest::prop_assert!(typed.recipients.iter().all(|r| words.contains(r)));
            }
            let line = std::iter::once("--".to_owned()).chain(operands.clone());
            proptest::prop_assert_eq!(parse(Mode::Deliver, line).unwrap().recipients, operands);
        }
    }
}
