//! Transports that have settings: `[transports.NAME]`, and those that are there for well-known
//! providers.
//!
//! Contract: a transport that is here is whole; what does not belong to its type is refused where
//! it is read. The administrator's transport takes the place of ours with its name.
//! Failures: a text with the setting's name and what to write. Rows B12, B13, B14.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use mail::{address::Domain, limits::SURE_RECIPIENTS};
use serde::Deserialize;
use settings::{
    OneOrMany, Size, Span,
    form::{Form, Number, Value, Word as _},
};

use super::macros::Macros;
use crate::destination::{Kind, LmtpTarget};

/// By name.
pub type Transports = BTreeMap<Arc<str>, Transport>;

/// As Postfix `command_time_limit`.
const RUN: Duration = Duration::from_secs(1000);
/// Programs at once, of one transport.
const PROGRAMS: usize = 4;

/// One transport.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transport {
    pub kind: Type,
    /// Deliveries at once to one destination; `None`: as `concurrency.destination` says.
    pub connections: Option<usize>,
    /// How many of them at first.
    pub initial_connections: usize,
    /// Recipients of one delivery.
    pub recipients: usize,
    /// Pause of a destination after each delivery.
    pub delay: Duration,
    /// Deliveries at once to all destinations.
    pub processes: usize,
    /// It is ours, for a well-known provider.
    pub shipped: bool,
}

impl Transport {
    /// The files and folders that it names.
    pub(super) fn paths(&mut self) -> Vec<&mut PathBuf> {
        match &mut self.kind {
            Type::Maildir(directory) => directory.iter_mut().collect(),
            Type::Pipe(pipe) => pipe
                .socket
                .iter_mut()
                .chain([&mut pipe.directory])
                .collect(),
            Type::Smtp(_) | Type::Lmtp(_) => Vec::new(),
        }
    }

    /// How it runs programs, if it does.
    pub fn pipe(&self) -> Option<&Pipe> {
        match &self.kind {
            Type::Pipe(pipe) => Some(pipe),
            Type::Smtp(_) | Type::Lmtp(_) | Type::Maildir(_) => None,
        }
    }
}

/// What a transport does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Type {
    /// Where it goes whose route names no next hop; `None`: to the recipient's domain.
    Smtp(Option<Kind>),
    Lmtp(Option<LmtpTarget>),
    Maildir(Option<PathBuf>),
    Pipe(Pipe),
}

/// How a program is run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pipe {
    /// The program and its arguments, with macros. Empty: only programs that an alias names.
    pub command: Vec<Macros>,
    pub flags: Flags,
    /// Largest message, bytes.
    pub size: Option<u64>,
    pub timeout: Duration,
    /// Where it starts.
    pub directory: PathBuf,
    /// It is run by another program, which is spoken to here by LMTP.
    pub socket: Option<PathBuf>,
}

impl Default for Pipe {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            flags: Flags("DR".to_owned()),
            size: None,
            timeout: RUN,
            directory: PathBuf::from("/"),
            socket: None,
        }
    }
}

/// What is changed of a message and of arguments for a program, by the letters of pipe(8).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flags(String);

/// Each letter that is known.
const FLAGS: &str = "BDFORXhuq.>";

impl Flags {
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.chars().find(|flag| !FLAGS.contains(*flag)) {
            Some(flag) => Err(format!(
                "the flag `{}` is not known; those of pipe(8) are {FLAGS}",
                flag.escape_debug()
            )),
            None => Ok(Self(text.to_owned())),
        }
    }

    pub fn has(&self, flag: char) -> bool {
        self.0.contains(flag)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

pub(super) const TYPE: Form<WrittenType> = Form::open("transports.NAME.type");
pub(super) const CONNECTIONS: Form<Number> = Form::open("transports.NAME.connections").some();
pub(super) const INITIAL_CONNECTIONS: Form<Number> = Form::new(
    "transports.NAME.initial_connections",
    Number(queue::Transport::INITIAL),
)
.some();
pub(super) const RECIPIENTS: Form<Number> = Form::open("transports.NAME.recipients").some();
pub(super) const DELAY: Form<Span> = Form::new("transports.NAME.delay", Span(Duration::ZERO));
pub(super) const PROCESSES: Form<Number> = Form::open("transports.NAME.processes").some();
pub(super) const SIZE: Form<Size> = Form::open("transports.NAME.size");
pub(super) const TIMEOUT: Form<Span> = Form::new("transports.NAME.timeout", Span(RUN)).at_least(
    Span(Duration::from_secs(1)),
    "no program could finish in less",
);

/// A transport as it is written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Written {
    #[serde(rename = "type")]
    kind: Option<WrittenType>,
    connections: Option<Number>,
    initial_connections: Option<Number>,
    recipients: Option<Number>,
    delay: Option<Span>,
    processes: Option<Number>,
    /// smtp, lmtp
    nexthop: Option<String>,
    /// maildir, pipe
    directory: Option<PathBuf>,
    /// pipe
    command: Option<OneOrMany<String>>,
    flags: Option<String>,
    size: Option<Size>,
    timeout: Option<Span>,
    socket: Option<PathBuf>,
}

/// What is written of the kind of a transport.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum WrittenType {
    Smtp,
    Lmtp,
    Maildir,
    Pipe,
}

impl WrittenType {
    pub(super) fn of(kind: &Type) -> Self {
        match kind {
            Type::Smtp(_) => Self::Smtp,
            Type::Lmtp(_) => Self::Lmtp,
            Type::Maildir(_) => Self::Maildir,
            Type::Pipe(_) => Self::Pipe,
        }
    }
}

settings::words!(WrittenType:
    "smtp" = Self::Smtp,
    "lmtp" = Self::Lmtp,
    "maildir" = Self::Maildir,
    "pipe" = Self::Pipe,
);

impl Written {
    /// The transport; else the setting that is wrong, and how.
    pub(super) fn read(self, name: &str) -> Result<Transport, (&'static str, String)> {
        if Kind::is_reserved(name) {
            let text = format!("`{name}` is built in and has no settings; use another name");
            return Err(("", text));
        }
        if name.is_empty() || !name.bytes().all(is_word) {
            let text = "a transport's name is made of letters, digits, `-` and `_`".to_owned();
            return Err(("", text));
        }
        let kind = self.type_of();
        self.belong(kind)?;
        let is_pipe = kind == WrittenType::Pipe;
        let recipients = one(&RECIPIENTS, self.recipients)?;
        let usual = if is_pipe { 1 } else { SURE_RECIPIENTS };
        let recipients = recipients.map_or(usual, |it| it.0.min(SURE_RECIPIENTS));
        let usual = if is_pipe { PROGRAMS } else { usize::MAX };
        let transport = Transport {
            shipped: false,
            connections: one(&CONNECTIONS, self.connections)?.map(|it| it.0),
            initial_connections: or_usual(&INITIAL_CONNECTIONS, self.initial_connections)?.0,
            recipients,
            delay: or_usual(&DELAY, self.delay)?.0,
            processes: one(&PROCESSES, self.processes)?.map_or(usual, |it| it.0),
            kind: match kind {
                WrittenType::Smtp => Type::Smtp(
                    self.nexthop
                        .map(|nexthop| Kind::named(&nexthop))
                        .transpose()
                        .map_err(|why| ("nexthop", why))?,
                ),
                WrittenType::Lmtp => Type::Lmtp(
                    self.nexthop
                        .map(|nexthop| LmtpTarget::parse(&nexthop))
                        .transpose()
                        .map_err(|why| ("nexthop", why))?,
                ),
                WrittenType::Maildir => Type::Maildir(self.directory),
                WrittenType::Pipe => Type::Pipe(self.pipe(recipients)?),
            },
        };
        Ok(transport)
    }

    /// As it is said, or else as the settings tell that only one of the types has.
    fn type_of(&self) -> WrittenType {
        let program = self.command.is_some() || self.socket.is_some();
        match self.kind {
            Some(kind) => kind,
            None if program => WrittenType::Pipe,
            None if self.directory.is_some() => WrittenType::Maildir,
            None => WrittenType::Smtp,
        }
    }

    fn belong(&self, kind: WrittenType) -> Result<(), (&'static str, String)> {
        use WrittenType::{Lmtp, Maildir, Pipe, Smtp};
        let written: [(&'static str, bool, &[WrittenType]); 7] = [
            ("nexthop", self.nexthop.is_some(), &[Smtp, Lmtp]),
            ("directory", self.directory.is_some(), &[Maildir, Pipe]),
            ("command", self.command.is_some(), &[Pipe]),
            ("flags", self.flags.is_some(), &[Pipe]),
            ("size", self.size.is_some(), &[Pipe]),
            ("timeout", self.timeout.is_some(), &[Pipe]),
            ("socket", self.socket.is_some(), &[Pipe]),
        ];
        let stranger = written
            .into_iter()
            .find(|(_, is_written, types)| *is_written && !types.contains(&kind));
        stranger.map_or(Ok(()), |(key, ..)| {
            let kind = kind.as_str();
            Err((
                key,
                format!("a transport of the type {kind} has no such setting"),
            ))
        })
    }

    fn pipe(self, recipients: usize) -> Result<Pipe, (&'static str, String)> {
        let default = Pipe::default();
        let command = self.command.unwrap_or_default().0;
        let command: Result<Vec<_>, _> = command.iter().map(|it| Macros::parse(it)).collect();
        let command = command.map_err(|why| ("command", why))?;
        let program = command.first().map(Macros::as_str).unwrap_or_default();
        let whole = program.starts_with('/') && !program.contains('$');
        if !command.is_empty() && !whole {
            let why = "write the program's full path first, then its arguments: \
                 [\"/usr/bin/program\", \"${recipient}\"]; \
                       no shell reads them";
            return Err(("command", why.to_owned()));
        }
        let flags = match &self.flags {
            Some(flags) => Flags::parse(flags).map_err(|why| ("flags", why))?,
            None if recipients > 1 => Flags(String::new()),
            None => default.flags,
        };
        if recipients > 1 && (flags.has('D') || flags.has('O')) {
            let why = "the flags D and O need one recipient per delivery; write recipients = \
                 1"
            .to_owned();
            return Err(("flags", why));
        }
        let timeout = or_usual(&TIMEOUT, self.timeout)?.0;
        Ok(Pipe {
            command,
            flags,
            size: self.size.map(|size| size.0),
            timeout,
            directory: self.directory.unwrap_or(default.directory),
            socket: self.socket,
        })
    }
}

/// What is written, if it may be that.
fn one<T: Value>(form: &Form<T>, written: Option<T>) -> Result<Option<T>, (&'static str, String)> {
    let fits = written.map(|value| form.fit(value)).transpose();
    fits.map_err(|why| (name(form), why))
}

/// The same, or else the form's default.
fn or_usual<T: Value>(form: &Form<T>, written: Option<T>) -> Result<T, (&'static str, String)> {
    let read = form.read(written);
    read.map_err(|wrong| (name(form), wrong.to_string()))
}

fn name<T>(form: &Form<T>) -> &'static str {
    form.key.rsplit('.').next().unwrap_or_default()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Providers that take little at once, as their customers' administrators have found: name,
/// connections, recipients, pause in seconds, domains. A domain with a dot at its end stands for
/// all that begin so.
#[rustfmt::skip]
const PROVIDERS: [(&str, usize, usize, u64, &[&str]); 6] = [
    ("orange", 2, 20, 0, &["orange.fr", "wanadoo.fr"]),
    ("sfr", 2, 20, 0, &["sfr.fr", "neuf.fr", "cegetel.net", "club-internet.fr", "numericable.fr"]),
    ("free", 2, 10, 0, &["free.fr", "aliceadsl.fr"]),
    ("laposte", 2, 10, 0, &["laposte.net"]),
    ("yahoo", 4, 2, 0, &["yahoo.", "ymail.com", "rocketmail.com", "aol.com"]),
    ("outlook", 3, 20, 0, &["outlook.", "hotmail.", "live.", "msn.com"]),
];

/// The provider of a domain.
pub fn provider(domain: &Domain) -> Option<&'static str> {
    let domain = domain.as_str();
    let has = |names: &[&str]| {
        names.iter().any(|name| match name.strip_suffix('.') {
            Some(first) => {
                let rest = domain
                    .strip_prefix(first)
                    .and_then(|it| it.strip_prefix('.'));
                rest.is_some_and(|rest| rest.len() <= 6 && rest.matches('.').count() <= 1)
            }
            None => domain == *name,
        })
    };
    let found = PROVIDERS.iter().find(|(.., domains)| has(domains));
    found.map(|(name, ..)| *name)
}

/// Those that are there without settings.
pub(super) fn providers() -> Transports {
    let transport = |&(name, connections, recipients, delay, _): &(&str, usize, usize, u64, _)| {
        let transport = Transport {
            shipped: true,
            kind: Type::Smtp(None),
            connections: Some(connections),
            initial_connections: 1,
            recipients,
            delay: Duration::from_secs(delay),
            processes: usize::MAX,
        };
        (Arc::from(name), transport)
    };
    PROVIDERS.iter().map(transport).collect()
}
