//! The mail log: one line an event, in Postfix's words (pflogsumm and fail2ban read on).
//!
//! Contract: one line is one write, so that lines of several processes and threads do not mix; no lock is held. To standard error: with `<N>`
//! priorities when systemd's journal reads it, otherwise with a time stamp, the program's name and its process id.
//! Failures: none that the caller sees; a log that cannot be written must not stop mail.

use std::{
    fmt::{Display, Write as _},
    io::{self, Write as _},
    process,
    sync::OnceLock,
};

use mail::clock;

pub mod life;

/// Priorities of syslog that we use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    Error = 3,
    Warning = 4,
    Notice = 5,
    Info = 6,
    Debug = 7,
}

/// What stands before a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Journal,
    Plain { program: &'static str, pid: u32 },
}

static FORM: OnceLock<Form> = OnceLock::new();

/// Chooses the form once, at start; `program` stands before each line where there is no journal.
pub fn init(program: &'static str) {
    let form = if journal_reads() {
        Form::Journal
    } else {
        Form::Plain {
            program,
            pid: process::id(),
        }
    };
    // A second call changes nothing.
    let _ = FORM.set(form);
}

/// Writes one line. `text` must already be escaped where it holds bytes of a peer.
pub fn line(level: Level, text: &dyn Display) {
    let form = FORM.get().copied().unwrap_or_else(|| Form::Plain {
        program: "mail",
        pid: process::id(),
    });
    // Nobody could be told.
    let _ = io::stderr().write_all(render(form, level, text).as_bytes());
}

fn render(form: Form, level: Level, text: &dyn Display) -> String {
    let mut out = String::with_capacity(160);
    // Writing to a String cannot fail.
    let _ = match form {
        Form::Journal => write!(out, "<{}>{}", level as u8, level.word()),
        Form::Plain { program, pid } => write!(
            out,
            "{} {program}[{pid}]: {}",
            clock::now().rfc3339(),
            level.word()
        ),
    };
    let start = out.len();
    let _ = write!(out, "{text}");
    if out
        .get(start..)
        .is_some_and(|text| text.contains(char::is_control))
    {
        let safe: String = out
            .chars()
            .map(|c| if c.is_control() { '?' } else { c })
            .collect();
        out = safe;
    }
    out.push('\n');
    out
}

impl Level {
    /// Postfix's `warning: ` and its kin.
    const fn word(self) -> &'static str {
        match self {
            Self::Error => "error: ",
            Self::Warning => "warning: ",
            Self::Notice | Self::Info => "",
            Self::Debug => "debug: ",
        }
    }
}

/// Whether standard error is the journal's: `JOURNAL_STREAM` names device and inode of the stream that systemd made, and the variable is inherited
/// by programs whose standard error is another (`systemd.exec(5)`).
fn journal_reads() -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "systemd's own way to say so; it decides about the look of a line and nothing else"
    )]
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    rustix::fs::fstat(io::stderr())
        .is_ok_and(|stat| stream.to_str() == Some(&format!("{}:{}", stat.st_dev, stat.st_ino)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_gets_a_priority_and_everybody_else_a_time_stamp() {
        let text = "4bXyZ1: to=<a@example.org>, status=sent";
        assert_eq!(
            render(Form::Journal, Level::Warning, &text),
            format!("<4>warning: {text}\n")
        );
        let plain = render(
            Form::Plain {
                program: "smarthost",
                pid: 7,
            },
            Level::Warning,
            &text,
        );
        let (stamp, rest) = plain.split_once(' ').unwrap();
        assert!(stamp.starts_with("20") && stamp.contains('T'), "{plain}");
        assert_eq!(rest, format!("smarthost[7]: warning: {text}\n"));
    }

    #[test]
    fn one_event_is_one_line_whatever_its_text_holds() {
        let line = render(Form::Journal, Level::Info, &"a\nstatus=sent\r\x1b[2J");
        assert_eq!(line, "<6>a?status=sent??[2J\n");
    }
}
