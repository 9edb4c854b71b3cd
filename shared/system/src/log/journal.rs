//! systemd's journal over its own socket, so that a line carries fields by which it is found:
//! `journalctl MAIL_QUEUE_ID=9KGC4T42NNWHQ`, `journalctl MAIL_STATUS=bounced --output=json`.
//!
//! Contract: one line is one datagram. A field's value comes from what the line is about, never
//! from its text, so no peer can forge one. Nothing waits longer than [`PATIENCE`] for a journal
//! that stands still: what it did not take is counted, and told when it takes lines again.
//! Source: systemd's "Native Journal Protocol", `systemd.journal-fields(7)`.

use std::{
    fmt::{Display, Write as _},
    io,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use mail::text::{is_unseen, printable};

use super::level::Level;

/// Where the journal listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";
/// Longest wait for a journal with a full queue; once it was in vain, nobody waits until the
/// journal takes lines again.
const PATIENCE: Duration = Duration::from_millis(200);
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
    /// Lines that it did not take since it last took one.
    missed: AtomicU64,
}

impl Journal {
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            socket,
            path: path.to_owned(),
            missed: AtomicU64::new(0),
        })
    }

    /// Hands a line over. False where there is no journal, or it takes no such line: then the
    /// line belongs to standard error.
    pub(super) fn takes(&self, name: &str, level: Level, text: &str, fields: &Fields<'_>) -> bool {
        match self.send(&datagram(name, level, text, fields)) {
            Ok(()) => {
                self.tell_missed(name);
                true
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if self.missed.fetch_add(1, Ordering::Relaxed) == 0 {
                    // Waiting again would delay mail by as much for each line.
                    let _ = self.socket.set_nonblocking(true);
                }
                true
            }
            Err(_) => false,
        }
    }

    fn tell_missed(&self, name: &str) {
        let missed = self.missed.swap(0, Ordering::Relaxed);
        if missed == 0 {
            return;
        }
        let _ = self.socket.set_nonblocking(false);
        let text =
            format!("warning: {missed} lines are missing here: the journal did not take them");
        // It may be full again: then nobody hears of them.
        let _ = self.send(&datagram(name, Level::Warning, &text, &[]));
    }

    fn send(&self, datagram: &str) -> io::Result<()> {
        // By its path each time: a journal that starts anew has another socket there.
        self.socket.send_to(datagram.as_bytes(), &self.path)?;
        Ok(())
    }
}

/// `text` is one line; so is each value, for a line end would begin another field.
fn datagram(name: &str, level: Level, text: &str, fields: &Fields<'_>) -> String {
    let mut out = format!(
        "MESSAGE={text}\nPRIORITY={}\nSYSLOG_FACILITY={FACILITY}\nSYSLOG_IDENTIFIER={name}\n",
        level as u8
    );
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
    use super::*;

    fn received(socket: &UnixDatagram) -> Vec<String> {
        let mut bytes = [0; 4096];
        let length = socket.recv(&mut bytes).unwrap();
        let text = std::str::from_utf8(&bytes[..length]).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn pair(folder: &Path) -> (UnixDatagram, Journal) {
        let path = folder.join("socket");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        (socket, Journal::at(&path).unwrap())
    }

    #[test]
    fn the_journal_finds_a_line_by_what_it_is_about_and_no_peer_forges_a_field() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, journal) = pair(folder.path());
        let forged = "x\nMAIL_STATUS=sent";
        let fields: &Fields<'_> = &[(Field::QueueId, &"A1"), (Field::To, &forged)];
        assert!(journal.takes("smarthost", Level::Warning, "warning: A1: odd", fields));
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

    #[test]
    fn a_journal_that_stands_still_stops_nobody_and_tells_later_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, journal) = pair(folder.path());
        let mut taken = 0;
        while journal.missed.load(Ordering::Relaxed) < 3 {
            assert!(journal.takes("smarthost", Level::Info, "A1: removed", &[]));
            taken += 1;
            assert!(taken < 1_000_000, "its queue never fills");
        }
        for _ in 0..taken - 3 {
            assert!(received(&socket)[0].ends_with("A1: removed"));
        }
        assert!(journal.takes("smarthost", Level::Info, "A2: removed", &[]));
        assert_eq!(received(&socket)[0], "MESSAGE=A2: removed");
        let told = received(&socket).swap_remove(0);
        assert!(told.contains("3 lines are missing"), "{told}");
    }

    #[test]
    fn where_there_is_no_journal_the_line_is_for_standard_error_until_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let journal = Journal::at(&path).unwrap();
        assert!(!journal.takes("smarthost", Level::Info, "A1: removed", &[]));
        let socket = UnixDatagram::bind(&path).unwrap();
        assert!(journal.takes("smarthost", Level::Info, "A2: removed", &[]));
        assert_eq!(received(&socket)[0], "MESSAGE=A2: removed");
    }
}
