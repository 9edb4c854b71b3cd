//! systemd's journal over its own socket, so that a line carries fields by which it is found:
//! `journalctl MAIL_QUEUE_ID=9KGC4T42NNWHQ`, `journalctl MAIL_STATUS=bounced --output=json`.
//!
//! Contract: one line is one datagram. A field's value comes from what the line is about, never
//! from its text, so no peer can forge one.
//! Source: systemd's "Native Journal Protocol", `systemd.journal-fields(7)`.

use std::{
    fmt::{Display, Write as _},
    io,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
};

use mail::text::{is_unseen, printable};

use super::level::Level;

/// Where the journal listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";
/// Facility `mail` of syslog.
const FACILITY: u8 = 2;

/// What a line is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    QueueId,
    MessageId,
    From,
    To,
    OrigTo,
    Client,
    Login,
    /// Of a refusal: `reject`, `hold`, …
    Action,
    Relay,
    Status,
    Dsn,
    Size,
    Recipients,
}

impl Field {
    /// All, as the manual lists them.
    pub const ALL: [Self; 13] = [
        Self::QueueId,
        Self::MessageId,
        Self::From,
        Self::To,
        Self::OrigTo,
        Self::Client,
        Self::Login,
        Self::Action,
        Self::Relay,
        Self::Status,
        Self::Dsn,
        Self::Size,
        Self::Recipients,
    ];

    /// Its name in the journal, and what it holds, a sentence for administrators.
    pub const fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::QueueId => ("MAIL_QUEUE_ID", "The id of the message in the queue."),
            Self::MessageId => ("MAIL_MESSAGE_ID", "Its Message-ID, with the brackets."),
            Self::From => ("MAIL_FROM", "The sender's address; empty for a bounce."),
            Self::To => ("MAIL_TO", "The recipient's address."),
            Self::OrigTo => ("MAIL_ORIG_TO", "The address that an alias replaced by it."),
            Self::Client => (
                "MAIL_CLIENT",
                "The client's name and address: NAME[ADDRESS].",
            ),
            Self::Login => (
                "MAIL_SASL_USERNAME",
                "The name that the client logged in with.",
            ),
            Self::Action => (
                "MAIL_ACTION",
                "What was done about a command: reject, warn, hold, milter-reject …",
            ),
            Self::Relay => ("MAIL_RELAY", "The next hop: NAME[ADDRESS]:PORT, or none."),
            Self::Status => (
                "MAIL_STATUS",
                "The end of an attempt: sent, deferred, bounced or expired.",
            ),
            Self::Dsn => ("MAIL_DSN", "Its enhanced status code (RFC 3463)."),
            Self::Size => ("MAIL_SIZE", "The size of the message, bytes."),
            Self::Recipients => ("MAIL_NRCPT", "The number of its recipients."),
        }
    }
}

/// The fields of one line.
pub type Fields<'a> = [(Field, &'a dyn Display)];

/// The way to the journal.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Journal {
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self {
            socket: UnixDatagram::unbound()?,
            path: path.to_owned(),
        })
    }

    /// Hands a line over; `fields` as [`written`] writes them. False where there is no journal, or
    /// it takes no such line: then the line belongs to standard error.
    pub(super) fn takes(&self, name: &str, level: Level, text: &str, fields: &str) -> bool {
        // `text` is one line; so is each value, for a line end would begin another field.
        let datagram = format!(
            "MESSAGE={text}\nPRIORITY={}\nSYSLOG_FACILITY={FACILITY}\nSYSLOG_IDENTIFIER={name}\n{fields}",
            level as u8
        );
        // By its path each time: a journal that starts anew has another socket there.
        self.socket.send_to(datagram.as_bytes(), &self.path).is_ok()
    }
}

/// The fields as the journal takes them, one a line.
pub(super) fn written(fields: &Fields<'_>) -> String {
    let mut out = String::new();
    for (field, value) in fields {
        let value = value.to_string();
        let value = if value.contains(is_unseen) {
            printable(&value)
        } else {
            value
        };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}={value}", field.told().0);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn received(socket: &UnixDatagram) -> Vec<String> {
        let mut bytes = [0; 4096];
        let length = socket.recv(&mut bytes).unwrap();
        let text = std::str::from_utf8(&bytes[..length]).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_journal_finds_a_line_by_what_it_is_about_and_no_peer_forges_a_field() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let journal = Journal::at(&path).unwrap();
        let forged = "x\nMAIL_STATUS=sent";
        let fields = written(&[(Field::QueueId, &"A1"), (Field::To, &forged)]);
        let take = || journal.takes("smarthost", Level::Warning, "warning: A1: odd", &fields);
        assert!(!take(), "there is no journal yet");

        let socket = UnixDatagram::bind(&path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        assert!(take());
        assert_eq!(
            received(&socket),
            [
                "MESSAGE=warning: A1: odd",
                "PRIORITY=4",
                "SYSLOG_FACILITY=2",
                "SYSLOG_IDENTIFIER=smarthost",
                "MAIL_QUEUE_ID=A1",
                "MAIL_TO=x?MAIL_STATUS=sent",
            ]
        );
    }
}
