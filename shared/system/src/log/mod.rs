//! The mail log: one line an event, in Postfix's words (pflogsumm and fail2ban read on).
//!
//! Contract: one line is one write, so that lines of several processes and threads do not mix. In
//! the daemons a thread of its own writes them ([`write_apart`]), so that a log that hangs stops no
//! mail. When systemd's journal reads standard error, lines go to the journal's own socket
//! with fields; without that socket to standard error with `<N>` priorities; otherwise there with
//! a time stamp, the program's name and its process id.
//! In the form of Postfix each line has the name of the daemon that would write it there, as
//! `postfix/smtpd[7]`: pflogsumm, logwatch and fail2ban as they are shipped read it.
//! Failures: none that the caller sees; a log that cannot be written must not stop mail. Lines that
//! it does not take are counted, and the count stands in their place when it takes lines again.

use std::{
    fmt::Display,
    io,
    path::Path,
    process,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use mail::{
    clock,
    text::{is_unseen, printable},
};

mod apart;
pub mod events;
mod journal;
mod level;
pub mod life;
mod out;
mod repeats;

pub use journal::{Field, Fields};
pub use level::Level;

use apart::{Apart, Sent};
use journal::Journal;
use out::Out;
use repeats::Repeats;

/// What stands before a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Journal { program: &'static str },
    Plain { program: &'static str, pid: u32 },
}

/// Which of Postfix's daemons would write a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// None in particular.
    Master,
    Smtpd,
    Cleanup,
    Qmgr,
    Smtp,
    Bounce,
}

static FORM: OnceLock<Form> = OnceLock::new();
/// Lines have Postfix's names in front: the host's name that stands before them.
static TAGS: OnceLock<String> = OnceLock::new();
static JOURNAL: OnceLock<Journal> = OnceLock::new();
static APART: OnceLock<Apart<Line>> = OnceLock::new();
static OUT: Mutex<Out> = Mutex::new(Out::new());
/// What [`left_out`] says.
static LEFT: AtomicU64 = AtomicU64::new(0);
static HEARER: OnceLock<Hearer> = OnceLock::new();
static REPEATS: Mutex<Option<Repeats>> = Mutex::new(None);

/// Who else hears each line, without what stands before it.
type Hearer = Box<dyn Fn(&str) + Send + Sync>;

/// A line on its way out.
#[derive(Debug)]
struct Line {
    level: Level,
    /// As whom the journal knows it.
    name: String,
    /// What stands before it on standard error.
    start: String,
    text: String,
    /// For the journal.
    fields: String,
}

impl Line {
    fn new(role: Role, level: Level, fields: &Fields<'_>, text: &dyn Display) -> Self {
        let form = FORM.get().copied().unwrap_or_else(|| Form::Plain {
            program: "mail",
            pid: process::id(),
        });
        let (Form::Journal { program } | Form::Plain { program, .. }) = form;
        let host = TAGS.get();
        let name = match host {
            None => program.to_owned(),
            Some(_) => format!("postfix/{}", role.word()),
        };
        let start = match (form, host) {
            (Form::Journal { .. }, None) => format!("<{}>", level as u8),
            (Form::Journal { .. }, Some(_)) => {
                format!("<{}>{name}[{}]: ", level as u8, process::id())
            }
            (Form::Plain { pid, .. }, None) => {
                format!("{} {name}[{pid}]: ", clock::now().rfc3339())
            }
            (Form::Plain { pid, .. }, Some(host)) => {
                format!("{} {host} {name}[{pid}]: ", clock::now().rfc3339())
            }
        };
        let fields = match form {
            Form::Journal { .. } => journal::written(fields),
            Form::Plain { .. } => String::new(),
        };
        Self {
            level,
            name,
            start,
            text: rendered(level, text),
            fields,
        }
    }

    /// So many lines are missing where this one stands.
    fn of_missing(count: u64) -> Self {
        let text = format_args!("{count} lines are missing here: the log did not take them");
        Self::new(Role::Master, Level::Warning, &[], &text)
    }

    fn write(self) {
        let mut out = OUT.lock().unwrap_or_else(PoisonError::into_inner);
        if !tell_of_missing(&mut out) || !self.is_taken(&mut out) {
            out.misses(1);
        }
    }

    fn is_taken(&self, out: &mut Out) -> bool {
        self.is_journals() || out.takes(io::stderr(), &self.whole())
    }

    /// Whether the journal has taken it.
    fn is_journals(&self) -> bool {
        let journal = JOURNAL.get();
        journal.is_some_and(|it| it.takes(&self.name, self.level, &self.text, &self.fields))
    }

    /// As it stands on standard error.
    fn whole(&self) -> String {
        format!("{}{}", self.start, self.text)
    }
}

/// Whether nothing is missing that has not been told of.
fn tell_of_missing(out: &mut Out) -> bool {
    out.tells(|out, missing| Line::of_missing(missing).is_taken(out))
}

/// Chooses the form once, at start; `program` stands before each line where there is no journal.
pub fn init(program: &'static str) {
    let form = if journal_reads() {
        if let Ok(journal) = Journal::at(Path::new(journal::SOCKET)) {
            // A second call changes nothing.
            let _ = JOURNAL.set(journal);
        }
        Form::Journal { program }
    } else {
        Form::Plain {
            program,
            pid: process::id(),
        }
    };
    // A second call changes nothing.
    let _ = FORM.set(form);
}

/// Waits at its end for the lines that are on their way.
#[derive(Debug)]
#[must_use = "lines that are on their way are lost where nobody waits for them"]
pub struct Lines(());

impl Drop for Lines {
    fn drop(&mut self) {
        if let Some(apart) = APART.get() {
            let left = apart.finish();
            // Somebody writes who waits for the reader, and will tell nobody any more.
            let missing = OUT.try_lock().map_or(0, |out| out.missing());
            LEFT.store(left.saturating_add(missing), Ordering::Relaxed);
        }
    }
}

/// The variable by which a program that starts anew in its own place says what it has left out.
pub(crate) const LEFT_OUT: &str = "LOG_LINES_LEFT_OUT";

/// Lines of this program that are missing in the log, which could not be told of.
pub(crate) fn left_out() -> u64 {
    LEFT.load(Ordering::Relaxed)
}

/// From now on a thread writes the lines; whoever holds the result ends the program.
pub fn write_apart() -> Lines {
    #[expect(
        clippy::disallowed_methods,
        reason = "what this very program says to itself; it decides about a number in a line"
    )]
    let left = std::env::var(LEFT_OUT).ok().and_then(|it| it.parse().ok());
    if APART.get().is_none()
        && let Ok(apart) = Apart::start(left.unwrap_or_default(), write_sent)
    {
        // A second call changes nothing.
        let _ = APART.set(apart);
    }
    Lines(())
}

fn write_sent(sent: Sent<Line>) {
    match sent {
        Sent::Line(line) => line.write(),
        Sent::Missing(count) => {
            let mut out = OUT.lock().unwrap_or_else(PoisonError::into_inner);
            out.misses(count);
            tell_of_missing(&mut out);
        }
    }
}

/// From now on lines have the names of Postfix's daemons; chosen once, at start.
pub fn tag_as_postfix(hostname: &str) {
    // A second call changes nothing.
    let _ = TAGS.set(hostname.to_owned());
}

/// From now on each line is told here, too; chosen once.
pub fn hear(hearer: impl Fn(&str) + Send + Sync + 'static) {
    // A second call changes nothing.
    let _ = HEARER.set(Box::new(hearer));
}

/// Writes one line. `text` must already be escaped where it holds bytes of a peer.
pub fn line(level: Level, text: &dyn Display) {
    line_of(Role::Master, level, text);
}

/// Writes one line of a role.
pub fn line_of(role: Role, level: Level, text: &dyn Display) {
    line_with(role, level, &[], text);
}

/// Writes one line of a role; the journal gets the fields beside it.
pub fn line_with(role: Role, level: Level, fields: &Fields<'_>, text: &dyn Display) {
    let heard = HEARER.get().map(|hearer| {
        let text = text.to_string();
        hearer(&text);
        text
    });
    let text: &dyn Display = match &heard {
        Some(heard) => heard,
        None => text,
    };
    let line = Line::new(role, level, fields, text);
    match APART.get() {
        None => line.write(),
        Some(apart) => apart.hand(line),
    }
}

/// Writes one line about a peer, who may cause very many: beyond some a minute they are counted.
pub fn line_about(peer: &str, role: Role, level: Level, text: &dyn Display) {
    line_about_with(peer, role, level, &[], text);
}

/// The same; the journal gets the fields beside it.
pub fn line_about_with(
    peer: &str,
    role: Role,
    level: Level,
    fields: &Fields<'_>,
    text: &dyn Display,
) {
    let text = text.to_string();
    let admitted = {
        let mut repeats = REPEATS.lock().unwrap_or_else(PoisonError::into_inner);
        let repeats = repeats.get_or_insert_default();
        repeats.admits(peer, &text, clock::now())
    };
    tell_repeats();
    if admitted {
        line_with(role, level, fields, &text);
    }
}

/// Tells what was counted instead of written; to be called from time to time.
pub fn tell_repeats() {
    tell_of(|repeats| repeats.due(clock::now()));
}

/// The same of all, at the end of the program.
pub fn tell_last_repeats() {
    tell_of(Repeats::rest);
}

fn tell_of(due: impl FnOnce(&mut Repeats) -> Vec<String>) {
    let due = {
        let mut repeats = REPEATS.lock().unwrap_or_else(PoisonError::into_inner);
        due(repeats.get_or_insert_default())
    };
    for text in due {
        line_of(Role::Smtpd, Level::Warning, &text);
    }
}

/// The text of a line, which is one whatever it holds.
fn rendered(level: Level, text: &dyn Display) -> String {
    let text = format!("{}{text}", level.word());
    if text.contains(is_unseen) {
        printable(&text)
    } else {
        text
    }
}

impl Role {
    const fn word(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Smtpd => "smtpd",
            Self::Cleanup => "cleanup",
            Self::Qmgr => "qmgr",
            Self::Smtp => "smtp",
            Self::Bounce => "bounce",
        }
    }
}

/// Whether standard error is the journal's: `JOURNAL_STREAM` names device and inode of the stream
/// that systemd made, and the variable is inherited by programs whose standard error is another
/// (`systemd.exec(5)`).
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
    fn one_event_is_one_line_whatever_its_text_holds() {
        let text = rendered(Level::Warning, &"a\nstatus=sent\r\x1b[2J");
        assert_eq!(text, "warning: a?status=sent??[2J");
    }
}
