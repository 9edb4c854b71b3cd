//! `sendmail -bs`: SMTP on standard input and output, spoken by the agent.
//!
//! Contract: the agent decides all; on the way line ends become CRLF
//! ([`dialogue`](super::dialogue)). Exit status 0 means that everything typed was answered. An
//! agent that goes away between transactions (it is started again, say), or before it has answered
//! anything of one, is followed by the next one, as soon as more is typed. Where no agent answers,
//! or greets, the greeting is a 421; where it goes away otherwise, or is silent while it owes a
//! reply or the end of the session, or where the input ends within a message, a 421 ends the
//! session. The exit status is 75 then: nothing that was not answered is taken.

use std::{
    io::{self, Read as _, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, read},
};
use system::{patient, sysexits::Exit};

use super::{agent::COMMIT, dialogue::Dialogue, report::Report, starting};
use crate::config::{places, settings::SOCKET};

/// An agent that stands still is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes that are moved at once.
const PIECE: usize = 16 * 1024;

/// Joins standard input and output to the agent's socket, until it closes.
pub fn relay() -> Report {
    let stream = match connect() {
        Ok(stream) => stream,
        Err(report) => return unavailable(report),
    };
    let mut relay = Relay {
        stream,
        dialogue: Dialogue::default(),
        input: Vec::new(),
        outgoing: Vec::new(),
        at_end: false,
    };
    match relay.run() {
        Ok(()) if relay.is_complete() => Report {
            exit: Exit::Ok,
            lines: Vec::new(),
        },
        Ok(()) if relay.is_cut_off() => relay.cut_off(),
        Ok(()) => {
            let last = relay.dialogue.last_code();
            let last = last.map_or_else(
                || "no reply came".into(),
                |code| format!("last reply: {code}"),
            );
            let text = format!("the session ended before everything was answered ({last})");
            relay.over(Report::fault(Exit::TempFail, text))
        }
        Err(error) => {
            let text = format!("connection to the agent: {error}");
            if relay.dialogue.has_begun() {
                return relay.over(Report::fault(Exit::TempFail, text));
            }
            unavailable(Report::fault(Exit::TempFail, text))
        }
    }
}

/// Standard input ended within a message.
const CUT_OFF: &str = "the input ended within a message, which is not accepted";

/// What was probably meant as its end.
const LINES_OF_UNIX: &str =
    "lines of the message end in LF alone, and the session's in CRLF, so that its end must, too";

/// The caller hears it in place of a greeting, or of what is not answered any more.
fn unavailable(report: Report) -> Report {
    // One that is gone does not read it.
    let _ = io::stdout().write_all(b"421 4.3.2 the mail queue is not available\r\n");
    report
}

/// The same, where the agent has ended a session.
fn ended(report: Report) -> Report {
    let text = b"421 4.4.2 the session has ended; what was not answered is not taken\r\n";
    let _ = io::stdout().write_all(text);
    report
}

struct Relay {
    stream: UnixStream,
    dialogue: Dialogue,
    /// Read, but not yet taken.
    input: Vec<u8>,
    /// Taken, but not yet written to the agent.
    outgoing: Vec<u8>,
    /// Standard input has ended.
    at_end: bool,
}

impl Relay {
    fn run(&mut self) -> io::Result<()> {
        self.stream.set_nonblocking(true)?;
        let mut told = false;
        loop {
            if self.at_end && self.input.is_empty() {
                self.dialogue.end(&mut self.outgoing);
            }
            if self.at_end && self.input.is_empty() && self.outgoing.is_empty() && !told {
                told = true;
                // The agent may have closed already; what it said is still read.
                let _ = self.stream.shutdown(Shutdown::Write);
            }
            let (typed, heard, room) = self.wait(told)?;
            if heard && !self.hear()? {
                let ahead = self.dialogue.is_ahead();
                let may_go_on = ahead || !self.at_end && self.dialogue.is_between();
                if may_go_on && (ahead || self.more_is_typed()?) {
                    self.connect_again()?;
                    told = false;
                    continue;
                }
                self.look_for_more();
                return Ok(());
            }
            if room {
                self.send()?;
            }
            if typed {
                self.type_in()?;
            }
            self.take();
        }
    }

    /// Whether everything was answered, and no message is under way for which more would have come.
    fn is_complete(&self) -> bool {
        let over = self.dialogue.is_between() || self.dialogue.is_told_of_its_end();
        self.dialogue.is_complete(&self.input) && (self.at_end || over)
    }

    /// Whether the input ended within a message, and no fault of the agent's ended the session.
    fn is_cut_off(&self) -> bool {
        self.at_end && self.input.is_empty() && self.dialogue.is_within_message()
    }

    /// Whoever typed hears why, in place of what the agent makes of it.
    fn cut_off(&self) -> Report {
        let why = if self.dialogue.has_lines_of_unix() {
            format!("{CUT_OFF}: {LINES_OF_UNIX}")
        } else {
            CUT_OFF.to_owned()
        };
        if !self.dialogue.is_told_of_its_end() {
            let _ = io::stdout().write_all(format!("421 4.4.2 {why}\r\n").as_bytes());
        }
        Report::fault(Exit::TempFail, why)
    }

    /// Whoever typed hears that nothing more comes, if he has not.
    fn over(&self, report: Report) -> Report {
        if self.dialogue.is_told_of_its_end() {
            return report;
        }
        ended(report)
    }

    /// Waits for what is typed next; `false`: nothing.
    fn more_is_typed(&mut self) -> io::Result<bool> {
        while !self.at_end && self.input.iter().all(u8::is_ascii_whitespace) {
            self.input.clear();
            let stdin = io::stdin();
            match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], None) {
                Ok(_) => self.type_in()?,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(!self.input.iter().all(u8::is_ascii_whitespace))
    }

    /// The next agent goes on.
    fn connect_again(&mut self) -> io::Result<()> {
        self.stream = connect().map_err(|report| io::Error::other(report.lines.join("; ")))?;
        self.stream.set_nonblocking(true)?;
        self.outgoing.clear();
        self.dialogue.begin_again(&mut self.outgoing);
        self.take();
        Ok(())
    }

    /// Waits until something can be moved: input, a reply, room for what is to be sent. `over`: the
    /// agent knows that nothing more comes.
    fn wait(&self, over: bool) -> io::Result<(bool, bool, bool)> {
        let stdin = io::stdin();
        let wants = !self.at_end
            && self.input.is_empty()
            && self.outgoing.is_empty()
            && self.dialogue.wants_input();
        let mut socket = PollFlags::IN;
        if !self.outgoing.is_empty() {
            socket |= PollFlags::OUT;
        }
        let mut sockets = vec![PollFd::new(&self.stream, socket)];
        if wants {
            sockets.push(PollFd::new(&stdin, PollFlags::IN));
        }
        let patience = if self.dialogue.is_greeted() {
            COMMIT
        } else {
            PATIENCE
        };
        let patience = Timespec {
            tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: 0,
        };
        // Who owes nothing may be silent: the agent ends a session that does nothing.
        let owes = self.dialogue.is_owed() || !self.outgoing.is_empty() || over;
        let patience = owes.then_some(&patience);
        match poll(&mut sockets, patience) {
            Ok(0) => return Err(io::Error::other("it does not answer")),
            Err(Errno::INTR) => return Ok((false, false, false)),
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let ready = |index: usize| {
            sockets
                .get(index)
                .map_or(PollFlags::empty(), PollFd::revents)
        };
        let ended = PollFlags::HUP | PollFlags::ERR;
        Ok((
            ready(1).intersects(PollFlags::IN | ended | PollFlags::NVAL),
            ready(0).intersects(PollFlags::IN | ended),
            ready(0).contains(PollFlags::OUT),
        ))
    }

    /// From the agent to standard output; false when it has closed.
    fn hear(&mut self) -> io::Result<bool> {
        let mut buffer = vec![0; PIECE];
        match self.stream.read(&mut buffer) {
            // Closed with something of ours unread; what it said was read before.
            Ok(0) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(false),
            Err(error) if is_momentary(&error) => Ok(true),
            Err(error) => Err(error),
            Ok(count) => {
                let said = buffer.get(..count).unwrap_or_default();
                let heard = self.dialogue.hear(said);
                patient::write_all(io::stdout(), heard)?;
                // One that did not welcome us, or goes down, says nothing more that is for others.
                Ok(!self.dialogue.is_unwelcome() && !self.dialogue.is_away())
            }
        }
    }

    /// From what was taken to the agent.
    fn send(&mut self) -> io::Result<()> {
        match self.stream.write(&self.outgoing) {
            Ok(count) => {
                self.outgoing.drain(..count);
                Ok(())
            }
            Err(error) if is_momentary(&error) => Ok(()),
            // It has closed: what it said last is read next.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.outgoing.clear();
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// From standard input.
    fn type_in(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; PIECE];
        match read(io::stdin(), &mut buffer) {
            Ok(0) => self.at_end = true,
            Ok(count) => self
                .input
                .extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn take(&mut self) {
        let rest = self.dialogue.take(&self.input, &mut self.outgoing).len();
        self.input.drain(..self.input.len().saturating_sub(rest));
    }

    /// The agent is done; what stands in standard input behind that was not answered. Waits for
    /// nothing.
    fn look_for_more(&mut self) {
        let stdin = io::stdin();
        let mut ready = [PollFd::new(&stdin, PollFlags::IN)];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        while !self.at_end
            && self.input.iter().all(u8::is_ascii_whitespace)
            && matches!(poll(&mut ready, Some(&at_once)), Ok(1..))
        {
            self.input.clear();
            if self.type_in().is_err() {
                return;
            }
        }
    }
}

fn is_momentary(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// There is no other way than the agent's: one that is just starting is waited for.
fn connect() -> Result<UnixStream, Report> {
    let default = Path::new(SOCKET);
    let socket = if places::named().is_none() && default.exists() {
        default.to_owned()
    } else {
        // A fault elsewhere in the file does not keep the agent from queueing.
        let loaded = places::load_anyway(None);
        let (settings, _) =
            loaded.map_err(|error| Report::fault(Exit::TempFail, error.to_string()))?;
        settings.socket
    };
    let attempt = || system::socket::connect(&socket, PATIENCE);
    starting::wait_for(attempt, system::socket::is_of_nobody).map_err(|error| {
        Report::fault(
            Exit::TempFail,
            format!("no agent at {}: {error}", socket.display()),
        )
    })
}
