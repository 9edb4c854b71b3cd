//! `smarthost pipe NAME`: a pipe transport in a unit of its own, spoken to by LMTP. Blocks.
//!
//! Contract: one connection, on the socket that systemd gives as standard input (`Accept=yes`). The
//! program is that of the transport in the settings, or the one that an alias file of this
//! transport names for the recipient: whoever speaks here chooses neither. One recipient a message,
//! the others are asked to come again (452), so that each has a reply of his own (RFC 2033 §4.2).
//! The reply says what the program's end means. The message is a file without a name while it
//! comes.
//! Failures: temporary, but for what the program refuses. An alias with several programs is not run
//! here: the address alone does not tell which of them is meant.

use std::{
    fs::File,
    io::{self, Read, Seek as _, Write},
    os::{fd::AsFd as _, unix::net::UnixStream},
    time::{Duration, Instant},
};

use mail::{
    address::Address,
    envelope::{Envelope, Mail, Rcpt, Recipient},
    limits,
    outcome::{Failure, Outcome},
    status::EnhancedStatus,
    text::unescaped,
};
use rustix::fs::{Mode, OFlags};
use smtp::{
    reply::Reply,
    session::{Action, Event, Question, Session, Settings, Verdict},
};

use super::Call;
use crate::{
    config::{Config, Pipe},
    destination::{Destination, Kind},
    route::Router,
};

/// Where messages are while they come; of the unit alone (`PrivateTmp`).
const TMP: &str = "/tmp";
/// Mistakes and idle commands that are put up with: the other end is ours.
const PATIENCE: u32 = 1000;

/// What is run for a recipient.
struct Chosen {
    /// That of an alias; otherwise the transport's own.
    program: Option<String>,
    nexthop: String,
}

/// The message that is coming.
struct Content {
    file: File,
    /// Its beginning, which holds the header.
    beginning: Vec<u8>,
    /// It could not be kept.
    failed: Option<io::Error>,
}

/// What is served.
struct Service<'a> {
    config: &'a Config,
    router: Router,
    name: &'a str,
    pipe: &'a Pipe,
    envelope: Envelope,
    content: Option<Content>,
}

/// Serves the connection on standard input to its end. `router`: with the alias files of this
/// transport alone.
pub(crate) fn serve(config: &Config, router: Router, name: &str) -> Result<(), String> {
    let Some(pipe) = config.pipe(name) else {
        return Err(format!("there is no [transports.{name}] of the type pipe"));
    };
    let mut service = Service {
        config,
        router,
        name,
        pipe,
        envelope: Envelope::default(),
        content: None,
    };
    let socket = io::stdin().as_fd().try_clone_to_owned();
    socket
        .and_then(|socket| service.converse(&mut UnixStream::from(socket)))
        .map_err(|error| {
            format!("standard input is no connection of a socket unit (Accept=yes): {error}")
        })
}

impl Service<'_> {
    fn settings(&self) -> Settings {
        Settings {
            hostname: self.config.hostname.to_string(),
            banner: Some(format!("{} LMTP", self.config.hostname)),
            max_size: self.config.message_size,
            max_recipients: 1,
            lmtp: true,
            utf8_replies: true,
            max_errors: PATIENCE,
            max_junk: PATIENCE,
            ..Settings::default()
        }
    }

    fn converse(&mut self, socket: &mut UnixStream) -> io::Result<()> {
        let mut session = Session::new(self.settings(), Instant::now());
        session.handle(Event::Connected, Instant::now());
        let mut piece = vec![0; limits::PIECE];
        while self.drain(&mut session, socket)? {
            let Some(deadline) = session.deadline() else {
                return Ok(());
            };
            let wait = deadline.saturating_duration_since(Instant::now());
            socket.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
            let event = match socket.read(&mut piece) {
                Ok(0) => Event::Closed,
                Ok(count) => Event::Received(piece.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Event::TimedOut,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Event::Closed,
                Err(error) => return Err(error),
            };
            session.handle(event, Instant::now());
        }
        Ok(())
    }

    /// Whether the session goes on.
    fn drain(&mut self, session: &mut Session, socket: &mut UnixStream) -> io::Result<bool> {
        while let Some(action) = session.next_action() {
            match action {
                Action::Send(bytes) => match socket.write_all(&bytes) {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
                    written => written?,
                },
                Action::Ask(question) => {
                    let verdict = self.decide(question);
                    session.handle(Event::Verdict(verdict), Instant::now());
                }
                Action::Body(piece) => {
                    if let Some(content) = &mut self.content {
                        content.add(&piece);
                    }
                }
                Action::Abort => self.content = None,
                Action::StartTls | Action::Close => return Ok(false),
                Action::Refused { .. } => {}
            }
        }
        Ok(true)
    }

    fn decide(&mut self, question: Question) -> Verdict {
        match question {
            Question::Connect | Question::Helo { .. } => Verdict::Accept,
            Question::Auth | Question::Login(_) | Question::Client(_) | Question::Enroll(_) => {
                Verdict::Refuse(Reply::literal("502 5.5.1 no login here"))
            }
            Question::Mail(mail) => self.begin(&mail),
            Question::Recipient(rcpt) => self.recipient(rcpt),
            Question::Data => match Content::new() {
                Ok(content) => {
                    self.content = Some(content);
                    Verdict::Accept
                }
                Err(error) => Verdict::Refuse(reply(&unkept(&error))),
            },
            Question::Message { size } => match self.deliver(size) {
                Outcome::Delivered(delivery) => {
                    let status = EnhancedStatus::new(2, 0, 0);
                    Verdict::AcceptWith(Reply::new(250, status, delivery.reply))
                }
                Outcome::Deferred(failure) | Outcome::Failed(failure) => {
                    Verdict::Refuse(reply(&failure))
                }
            },
        }
    }

    fn begin(&mut self, mail: &Mail) -> Verdict {
        self.envelope = Envelope {
            sender: mail.sender(),
            envid: mail.envid.clone(),
            ..Envelope::default()
        };
        Verdict::Accept
    }

    fn recipient(&mut self, rcpt: Rcpt) -> Verdict {
        let Some(address) = rcpt.to.address().cloned() else {
            return Verdict::Refuse(Reply::literal("550 5.1.3 an address has a domain"));
        };
        if let Err(failure) = self.chosen(&address) {
            return Verdict::Refuse(reply(&failure));
        }
        let original = rcpt.orcpt.as_deref();
        let original = original.and_then(|it| it.split_once(';'));
        self.envelope.recipients = vec![Recipient {
            original: original.and_then(|(_, it)| Address::parse(it).ok()),
            ..Recipient::from(address)
        }];
        Verdict::Accept
    }

    /// What is run for a recipient, if anything is.
    fn chosen(&self, address: &Address) -> Result<Chosen, Failure> {
        let ours = |to: &Destination| to.transport.as_deref() == Some(self.name);
        let of_transport = |nexthop: String| Chosen {
            program: None,
            nexthop,
        };
        let found = self.router.destination(address);
        match found.as_ref().ok().filter(|to| ours(to)).map(|to| &to.kind) {
            Some(Kind::Program(program)) => {
                let second = self.router.nth_destination(address, || 1);
                if second.is_ok_and(|to| matches!(to.kind, Kind::Program(_))) {
                    let text = format!(
                        "the alias {address} names several programs; with a socket, give each an alias of its own"
                    );
                    return Err(Failure::local(EnhancedStatus::new(4, 3, 5), &text));
                }
                Ok(Chosen {
                    program: Some(program.clone()),
                    nexthop: String::new(),
                })
            }
            Some(Kind::Pipe(nexthop)) if !self.pipe.command.is_empty() => {
                Ok(of_transport(nexthop.clone()))
            }
            // Sent here by a table that is not read in this unit.
            _ if !self.pipe.command.is_empty() => {
                Ok(of_transport(address.domain().as_str().to_owned()))
            }
            _ => Err(found.err().unwrap_or_else(|| {
                let text = format!(
                    "{address}: no program of the transport {} is named",
                    self.name
                );
                Failure::local(EnhancedStatus::new(4, 3, 5), &text)
            })),
        }
    }

    fn deliver(&mut self, size: u64) -> Outcome {
        let (Some(recipient), Some(content)) =
            (self.envelope.recipients.first(), self.content.take())
        else {
            return Failure::ours("no recipient, or no message").outcome();
        };
        if let Some(error) = content.failed {
            return unkept(&error).outcome();
        }
        let chosen = match self.chosen(&recipient.address) {
            Ok(chosen) => chosen,
            Err(failure) => return failure.outcome(),
        };
        let call = Call {
            pipe: self.pipe,
            name: self.name,
            program: chosen.program.as_deref(),
            nexthop: &chosen.nexthop,
            delimiter: self.config.recipient_delimiter,
            id: "",
            size,
            header: content.header(),
            envelope: &self.envelope,
            read: &|| {
                let mut file = content.file.try_clone()?;
                file.rewind()?;
                Ok(Box::new(file))
            },
        };
        let mut outcome = None;
        call.make(&mut |outcomes| {
            outcome = outcomes.into_iter().next();
            false
        });
        outcome.unwrap_or_else(|| Failure::ours("no outcome").outcome())
    }
}

impl Content {
    fn new() -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = rustix::fs::open(TMP, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(Self {
            file: file.into(),
            beginning: Vec::new(),
            failed: None,
        })
    }

    fn add(&mut self, piece: &[u8]) {
        let room = limits::HEADER.saturating_sub(self.beginning.len());
        let kept = piece.get(..room.min(piece.len())).unwrap_or_default();
        self.beginning.extend_from_slice(kept);
        if self.failed.is_none() {
            self.failed = self.file.write_all(piece).err();
        }
    }

    /// Without the body.
    fn header(&self) -> &[u8] {
        let mut ends = self.beginning.windows(4);
        let end = ends.position(|it| it == b"\r\n\r\n");
        let end = end.map_or(self.beginning.len(), |end| end.saturating_add(2));
        self.beginning.get(..end).unwrap_or_default()
    }
}

fn unkept(error: &io::Error) -> Failure {
    let text = format!("cannot keep the message in {TMP}: {error}");
    Failure::local(EnhancedStatus::new(4, 3, 1), &text)
}

fn reply(failure: &Failure) -> Reply {
    let code = if failure.status.class() == 5 {
        550
    } else {
        451
    };
    // Whoever reads it escapes it himself.
    Reply::new(code, failure.status, unescaped(&failure.text))
}
