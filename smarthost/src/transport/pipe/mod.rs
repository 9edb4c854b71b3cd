//! A program: `[transports.NAME]` with a command, or what an alias names. Blocks.
//!
//! | part | what |
//! |---|---|
//! | [`ending`] | what its end means |
//! | [`message`] | what it reads |
//! | [`serve`] | the same in a unit of its own, over LMTP |
//! | [`words`] | an alias's program as words |
//!
//! Contract: no shell, no privileges that the daemon does not have. Who sends mail decides nothing
//! of what is run, but for the arguments that the administrator gave him; none of these can be an
//! option, unless it stands behind a text of the administrator's.
//! Failures: [`ending`]. pipe(8). Rows B11, B12, B13, D9.

mod ending;
mod message;
pub(crate) mod serve;
pub(crate) mod words;

use std::{ffi::OsString, io::Read};

use mail::{
    address::{Address, quote_local},
    clock,
    envelope::{Envelope, Recipient},
    masked,
    outcome::{Blame, Delivery, Failure, Handover, Outcome, Stage},
    status::EnhancedStatus,
};

use system::program::{self, Ended, Program};

use self::message::Front;
use super::{
    blocking::Known,
    job::{Job, Marked, all, was_here_before},
};
use crate::{
    config::{Flags, Macro, Macros, Pipe},
    destination::Kind,
    loops,
    provenance::client_of,
};

/// What a program may find its helpers by.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// Output of a program that is kept, bytes.
const KEPT: usize = 4096;

/// What is run, for one message.
pub(crate) struct Call<'a> {
    pub(crate) pipe: &'a Pipe,
    /// Its name in the log.
    pub(crate) name: &'a str,
    /// The program of an alias; otherwise that of the transport.
    pub(crate) program: Option<&'a str>,
    pub(crate) nexthop: &'a str,
    pub(crate) delimiter: Option<char>,
    pub(crate) id: &'a str,
    pub(crate) size: u64,
    pub(crate) header: &'a [u8],
    pub(crate) envelope: &'a Envelope,
    /// Gives the message from its beginning.
    pub(crate) read: &'a dyn Fn() -> std::io::Result<Box<dyn Read + Send>>,
}

/// Makes one delivery.
pub(super) fn deliver(job: &Job, known: &Known) {
    let pipe = job.pipe();
    let stored = &job.stored;
    let (program, nexthop) = match &job.destination.kind {
        Kind::Program(command) => (Some(command.as_str()), ""),
        Kind::Pipe(nexthop) => (None, nexthop.as_str()),
        Kind::Smtp { .. } | Kind::Lmtp(_) | Kind::Maildir(_) | Kind::Aliases => {
            return known.add(
                job,
                all(job.envelope.recipients.len(), Failure::ours("no program")),
            );
        }
    };
    for (list, envelope) in by_list(&stored.envelope, &job.envelope) {
        let marked = Marked::new(stored, list);
        let call = Call {
            pipe: &pipe,
            name: job.destination.transport.as_deref().unwrap_or("local"),
            program,
            nexthop,
            delimiter: job.setup.config.recipient_delimiter,
            id: &stored.id.to_string(),
            size: marked.size(),
            header: &stored.header,
            envelope: &envelope,
            read: &|| marked.reader(),
        };
        call.make(&mut |outcomes| {
            known.add(job, outcomes);
            !job.halt.is_reached()
        });
        if job.halt.is_reached() {
            return;
        }
    }
}

/// The recipients in their order; those of one list that stand together get it together.
fn by_list<'a>(message: &Envelope, envelope: &'a Envelope) -> Vec<(Option<&'a Address>, Envelope)> {
    let lists = loops::lists(message, envelope);
    let indexes: Vec<usize> = (0..lists.len()).collect();
    let same = |one: &usize, other: &usize| lists.get(*one) == lists.get(*other);
    let parts = indexes.chunk_by(same).map(|part| {
        let list = part
            .first()
            .and_then(|&at| lists.get(at).copied().flatten());
        (list, envelope.with_only(part))
    });
    parts.collect()
}

impl Call<'_> {
    /// Runs the program for all recipients, or once for each where it is told of each. `done` takes
    /// the outcomes of the next ones, as soon as they are known, and says whether to go on.
    pub(crate) fn make(&self, done: &mut dyn FnMut(Vec<Outcome>) -> bool) {
        let recipients = &self.envelope.recipients;
        if self.pipe.size.is_some_and(|most| self.size > most) {
            let text = format!(
                "message size {} exceeds the limit of {}",
                self.size, self.name
            );
            let status = EnhancedStatus::new(5, 2, 3);
            let failure = Failure::new(Blame::Policy, Stage::Local, status, &text);
            done(all(recipients.len(), failure));
            return;
        }
        let flags = &self.pipe.flags;
        if flags.has('D') || flags.has('O') {
            for recipient in recipients {
                if !done(vec![self.for_one(recipient)]) {
                    return;
                }
            }
            return;
        }
        done(self.at_once(recipients));
    }

    /// One run for all of them, but for those of whom it cannot be told.
    fn at_once(&self, recipients: &[Recipient]) -> Vec<Outcome> {
        let alone = |one: &Recipient| self.arguments(std::slice::from_ref(one)).err();
        let unfit: Vec<Option<Failure>> = recipients.iter().map(alone).collect();
        let both = recipients.iter().zip(&unfit);
        let fit = both.filter(|(_, why)| why.is_none());
        let fit: Vec<Recipient> = fit.map(|(one, _)| one.clone()).collect();
        let ran = (!fit.is_empty()).then(|| self.run(&fit));
        let outcome = |why: Option<Failure>| match (why, &ran) {
            (Some(why), _) => why.outcome(),
            (None, Some(ran)) => ran.clone(),
            (None, None) => Failure::ours("the program was not run").outcome(),
        };
        unfit.into_iter().map(outcome).collect()
    }

    fn for_one(&self, recipient: &Recipient) -> Outcome {
        let looping = was_here_before(self.header, recipient.address.as_str());
        match looping.filter(|_| self.pipe.flags.has('D')) {
            Some(failure) => failure.outcome(),
            None => self.run(std::slice::from_ref(recipient)),
        }
    }

    fn run(&self, recipients: &[Recipient]) -> Outcome {
        let arguments = match self.arguments(recipients) {
            Ok(arguments) => arguments,
            Err(failure) => return failure.outcome(),
        };
        let first = arguments.first().cloned().unwrap_or_default();
        let program = Program {
            arguments: arguments.into_iter().map(OsString::from).collect(),
            environment: self.environment(recipients),
            directory: &self.pipe.directory,
            timeout: self.pipe.timeout,
            kept: KEPT,
            errors_apart: false,
        };
        let message = match (self.read)() {
            Ok(message) => message,
            Err(error) => {
                return Failure::ours(&format!("cannot read the queued message: {error}"))
                    .outcome();
            }
        };
        let sender = self.envelope.sender.to_string();
        let recipient = recipients.first().map_or("", |it| it.address.as_str());
        let front = Front {
            sender: &sender,
            recipient,
            original: recipients.first().map_or("", |it| original(it).as_str()),
            now: clock::now(),
        };
        let mut content = message::content(&self.pipe.flags, &front, message);
        let mut ended = program::run(&program, &mut content);
        ended.output = self.without_secrets(&ended.output);
        self.outcome(&first, &ended)
    }

    /// What it said, for log and bounces: without what the administrator calls it with, which may
    /// be a password. What it was told of the message is none.
    fn without_secrets(&self, output: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(output);
        let words = self.program.map(words::split).and_then(Result::ok);
        let given: Vec<&str> = match &words {
            Some(words) => words.iter().map(String::as_str).collect(),
            None => self.pipe.command.iter().flat_map(Macros::texts).collect(),
        };
        let given = given.get(1..).unwrap_or_default();
        masked::said(&text, given).into_bytes()
    }

    fn outcome(&self, program: &str, ended: &Ended) -> Outcome {
        let of_alias = self.program.is_some();
        match ending::failure(program, ended) {
            Some(failure) => failure.at(self.name).outcome(),
            None => Outcome::Delivered(Delivery {
                relay: self.name.to_owned(),
                reply: match self.program {
                    Some(command) => {
                        format!("delivered to command: {}", masked::free_text(command))
                    }
                    None => format!("delivered via {} service", self.name),
                },
                handover: if of_alias || self.pipe.flags.has('X') {
                    Handover::Final
                } else {
                    Handover::Relayed
                },
            }),
        }
    }

    fn arguments(&self, recipients: &[Recipient]) -> Result<Vec<String>, Failure> {
        if let Some(program) = self.program {
            let wrong = |why: String| Failure::local(EnhancedStatus::new(4, 3, 5), &why);
            return words::split(program).map_err(wrong);
        }
        let value = |one, index: usize| {
            let recipient = recipients.get(index);
            recipient.map_or_else(String::new, |recipient| self.value(one, recipient))
        };
        let mut arguments = Vec::new();
        for argument in &self.pipe.command {
            let expanded = argument.expand(recipients.len(), value);
            arguments.extend(expanded.map_err(|text| {
                let text = format!("{text:?} would be an option of the program");
                let status = EnhancedStatus::new(5, 1, 3);
                Failure::new(Blame::Policy, Stage::Local, status, &text)
            })?);
        }
        if arguments.is_empty() {
            let text = format!("the transport {} has no command", self.name);
            return Err(Failure::local(EnhancedStatus::new(4, 3, 5), &text));
        }
        Ok(arguments)
    }

    /// What a macro stands for.
    fn value(&self, one: Macro, recipient: &Recipient) -> String {
        let flags = &self.pipe.flags;
        let (host, address) = client_of(&self.envelope.origin);
        let to = Parts::of(&recipient.address, self.delimiter, flags);
        match one {
            Macro::ClientAddress => address.to_owned(),
            Macro::ClientHostname => host.to_owned(),
            Macro::Domain => to.domain,
            Macro::Envid => self.envelope.envid.clone().unwrap_or_default(),
            Macro::Extension => to.extension,
            Macro::Mailbox => to.mailbox,
            Macro::Nexthop if flags.has('h') => self.nexthop.to_lowercase(),
            Macro::Nexthop => self.nexthop.to_owned(),
            Macro::OriginalRecipient => Parts::of(original(recipient), None, flags).address,
            Macro::QueueId => self.id.to_owned(),
            Macro::Recipient => to.address,
            Macro::Sender => match &self.envelope.sender {
                mail::address::Sender::Null => "MAILER-DAEMON".to_owned(),
                mail::address::Sender::Address(sender) => {
                    written(&sender.local_name(), sender.written_domain(), flags)
                }
            },
            Macro::Size => self.size.to_string(),
            Macro::User => to.user,
        }
    }

    /// What a program finds in its environment, as those of local(8) do; what a shell could take
    /// for more is made harmless.
    fn environment(&self, recipients: &[Recipient]) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("PATH", PATH.to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("QUEUE_ID", self.id.to_owned()),
            ("MESSAGE_SIZE", self.size.to_string()),
        ];
        let Some(first) = recipients.first() else {
            return variables;
        };
        let mut add = |name, one| variables.push((name, harmless(&self.value(one, first))));
        add("SENDER", Macro::Sender);
        add("CLIENT_ADDRESS", Macro::ClientAddress);
        add("CLIENT_HOSTNAME", Macro::ClientHostname);
        add("NEXTHOP", Macro::Nexthop);
        if recipients.len() == 1 {
            add("RECIPIENT", Macro::Recipient);
            add("ORIGINAL_RECIPIENT", Macro::OriginalRecipient);
            add("LOCAL", Macro::Mailbox);
            add("DOMAIN", Macro::Domain);
            add("EXTENSION", Macro::Extension);
        }
        variables
    }
}

/// A recipient's address before aliases.
fn original(recipient: &Recipient) -> &Address {
    recipient.original.as_ref().unwrap_or(&recipient.address)
}

/// A recipient's address, in pieces.
struct Parts {
    address: String,
    mailbox: String,
    user: String,
    extension: String,
    domain: String,
}

impl Parts {
    fn of(address: &Address, delimiter: Option<char>, flags: &Flags) -> Self {
        let mut mailbox = address.local_name();
        if flags.has('u') {
            mailbox = mailbox.to_lowercase();
        }
        let mut domain = address.written_domain().to_owned();
        if flags.has('h') {
            domain = domain.to_lowercase();
        }
        let split = delimiter.and_then(|delimiter| mailbox.split_once(delimiter));
        let (user, extension) = split.unwrap_or((&mailbox, ""));
        Self {
            address: written(&mailbox, &domain, flags),
            user: user.to_owned(),
            extension: extension.to_owned(),
            mailbox,
            domain,
        }
    }
}

fn written(local: &str, domain: &str, flags: &Flags) -> String {
    if flags.has('q') {
        return format!("{}@{domain}", quote_local(local));
    }
    format!("{local}@{domain}")
}

/// Other characters than these become `_` (Postfix `command_expansion_filter`).
fn harmless(text: &str) -> String {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || "!@%-_=+:,./".contains(c);
    text.chars()
        .map(|c| if is_fine(c) { c } else { '_' })
        .collect()
}
