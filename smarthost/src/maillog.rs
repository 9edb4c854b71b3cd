//! The mail log: every line that tells of a session or a message, in Postfix's words, so that
//! fail2ban and pflogsumm read it.
//!
//! Contract: text that came from a peer is escaped and bounded here, if it was not before.
//! See also: `system::log`, which writes the lines.

use std::{
    fmt::{Display, Write as _},
    path::Path,
};

use mail::{
    address::{Address, Sender},
    clock::Timestamp,
    envelope::{Envelope, Recipient},
    message::writer::Writer,
    outcome::escape,
};
use relay::{tls::Standing, trust::Pin};
use spool::QueueId;
use system::log::{Field, Level, Role, life, line_about, line_about_with, line_of, line_with};

use crate::{
    destination::{Destination, Kind, LmtpTarget},
    milter::{Milter, OnFailure},
};

/// Longest word of a peer in a line, bytes.
pub(crate) const MAX_WORD: usize = 320;

fn smtpd(level: Level, text: &dyn Display) {
    line_of(Role::Smtpd, level, text);
}

pub(crate) fn connect(client: &str) {
    smtpd(Level::Info, &format_args!("connect from {client}"));
}

pub(crate) fn disconnect(client: &str, messages: u32, refused: u32) {
    smtpd(
        Level::Info,
        &format_args!("disconnect from {client} messages={messages} refused={refused}"),
    );
}

/// `lost connection after RCPT from …`, `timeout after DATA from …`
pub(crate) fn broken(what: &str, verb: &str, client: &str) {
    smtpd(
        Level::Info,
        &format_args!("{what} after {verb} from {client}"),
    );
}

/// `pinned`: as whom the client's key is known.
pub(crate) fn tls_from(client: &str, pinned: Option<&str>, summary: &str) {
    let text = match pinned {
        None => format!("Anonymous TLS connection established from {client}: {summary}"),
        Some(name) => {
            format!("Verified TLS connection established from {client}: {summary}, key of {name}")
        }
    };
    smtpd(Level::Info, &text);
}

/// A connection over a proxy that does not say who the client is.
pub(crate) fn proxy(proxy: &str, why: &str) {
    smtpd(Level::Warning, &format_args!("{proxy}: {why}"));
}

pub(crate) fn tls_failed(client: &str, why: &str) {
    smtpd(
        Level::Info,
        &format_args!("TLS handshake with {client} failed: {why}"),
    );
}

/// As `OpenDKIM` words it.
pub(crate) fn signed(id: QueueId, selector: &str, domain: &str) {
    let text = format_args!("{id}: DKIM-Signature field added (s={selector}, d={domain})");
    life::about(&id, Role::Smtp, Level::Info, &text);
}

pub(crate) fn unsigned(id: QueueId, why: &str) {
    life::about(
        &id,
        Role::Smtp,
        Level::Warning,
        &format_args!("{id}: not signed with DKIM: {why}"),
    );
}

/// `note`: what more there is to know, such as why DANE did not apply.
pub(crate) fn tls_to(relay: &str, summary: &str, standing: &Standing, note: Option<&str>) {
    let mut text = format!("{standing} TLS connection established to {relay}: {summary}");
    if let Some(by) = standing.by() {
        text = format!("{text}; by {by}");
    }
    if let Some(note) = note {
        text = format!("{text}; {note}");
    }
    line_of(Role::Smtp, Level::Info, &text);
}

/// A handshake failed where anybody would be believed.
pub(crate) fn clear_text_goes_on(why: &str) {
    let text = format_args!("TLS does not work, going on in clear text: {why}");
    line_of(Role::Smtp, Level::Info, &text);
}

/// A front end says whose session it is.
pub(crate) fn handed_on(before: &str, client: &str) {
    smtpd(
        Level::Info,
        &format_args!("{before}: the session becomes that of {client} (XCLIENT)"),
    );
}

/// So many sessions of one client at once.
pub(crate) fn too_many(client: &str, count: usize) {
    let text = format_args!(
        "Connection concurrency limit exceeded: {count} from {client} for service smtp"
    );
    line_about(client, Role::Smtpd, Level::Warning, &text);
}

/// No session at all.
pub(crate) fn rejected_at_connect(client: &str, reply: &str) {
    reject(&Rejected {
        id: None,
        action: "reject",
        stage: "CONNECT",
        client,
        reply,
        subject: Subject::default(),
        protocol: "SMTP",
        helo: None,
    });
}

pub(crate) fn over_limit(client: &str, text: &str) {
    line_about(client, Role::Smtpd, Level::Warning, &text);
}

/// As fail2ban's filter `postfix` in its mode `auth` knows it.
pub(crate) fn login_failed(client: &str, method: &str, user: &str) {
    let user = escape(user.as_bytes(), MAX_WORD);
    let text = format_args!(
        "{client}: SASL {method} authentication failed: wrong login or password, sasl_username={user}"
    );
    smtpd(Level::Warning, &text);
}

/// A machine is known by a key.
pub(crate) fn enrolled(client: &str, name: &str, key: &Pin) {
    let text = format_args!("{client}: {name} is enrolled with the key {key}");
    smtpd(Level::Notice, &text);
}

pub(crate) fn not_enrolled(client: &str, why: &str) {
    let text = format_args!("{client}: not enrolled: {why}");
    smtpd(Level::Warning, &text);
}

/// `by`: the key that it has let in.
pub(crate) fn used_twice(client: &str, name: &str, key: &Pin, by: &Pin) {
    let text = format_args!(
        "{client}: not enrolled: the line of {name} was used twice: it has let in {by}, and now comes with {key}"
    );
    smtpd(Level::Error, &text);
}

pub(crate) fn next_key(client: &str, name: &str, next: &Pin) {
    let text = format_args!("{client}: the next key of {name} is {next}");
    smtpd(Level::Notice, &text);
}

/// What a session had its rights from is gone.
pub(crate) fn lost_rights(client: &str, why: &str) {
    let text = format_args!("session of {client} ended: {why}");
    line_about(client, Role::Smtpd, Level::Notice, &text);
}

/// So many failed that no attempt is looked at for a while.
pub(crate) fn logins_refused(client: &str) {
    let text = format_args!("too many failed logins from {client}: none is tried for a while");
    line_about(client, Role::Smtpd, Level::Warning, &text);
}

pub(crate) fn logins_unknown(client: &str, file: &Path) {
    let text = format_args!(
        "nobody knows who may log in, {client} is told to come again: {} is empty or not there: smarthost passwd NAME, or the line `# empty` in it",
        file.display()
    );
    line_about(client, Role::Smtpd, Level::Warning, &text);
}

/// What is wrong with a filter, and what is done without it.
pub(crate) fn milter_failed(milter: &Milter, why: &str) {
    let meanwhile = match milter.on_failure {
        OnFailure::Tempfail => "mail is deferred (451)",
        OnFailure::Accept => "mail is taken as it is",
        OnFailure::Reject => "mail is refused (550)",
        OnFailure::Quarantine => "mail is kept on hold",
    };
    let endpoint = milter.endpoint.to_string();
    let text = format_args!("milter {endpoint}: {why}; {meanwhile} meanwhile");
    line_about(&endpoint, Role::Smtpd, Level::Warning, &text);
}

/// How a message is in the queue.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kept<'a> {
    /// Why it is on hold.
    pub(crate) held: Option<&'a str>,
    /// As whom its client was counted: `, counted as 10.0.0.7: 17 of 100 in a day`.
    pub(crate) counted: &'a str,
}

/// A message is in the queue.
pub(crate) fn accepted(
    id: QueueId,
    client: &str,
    login: Option<(&str, &str)>,
    message_id: Option<&[u8]>,
    envelope: &Envelope,
    size: u64,
    kept: Kept<'_>,
) {
    let mut fields: Vec<(Field, &dyn Display)> =
        vec![(Field::QueueId, &id), (Field::Client, &client)];
    let mut who = String::new();
    if let Some((method, login)) = &login {
        who = format!(", sasl_method={method}, sasl_username={login}");
        fields.push((Field::Login, login));
    }
    let text = format_args!("{id}: client={client}{who}");
    line_with(Role::Smtpd, Level::Info, &fields, &text);
    if let Some(value) = message_id {
        life::identified(id, value);
    }
    taken(id, envelope, size, kept);
}

/// Who wrote it on the machine that brought it.
pub(crate) fn written(id: QueueId, writer: &Writer) {
    let text = escape(writer.to_string().as_bytes(), MAX_WORD);
    life::about(
        &id,
        Role::Cleanup,
        Level::Info,
        &format_args!("{id}: written by {text}"),
    );
}

/// `held`: why it is on hold.
pub(crate) fn queued(id: QueueId, envelope: &Envelope, size: u64, held: Option<&str>) {
    taken(id, envelope, size, Kept { held, counted: "" });
}

fn taken(id: QueueId, envelope: &Envelope, size: u64, Kept { held, counted }: Kept<'_>) {
    let recipients = envelope.recipients.len();
    let queue = match held {
        None => "queue active".to_owned(),
        Some(why) => format!("queue hold: {}", escape(why.as_bytes(), MAX_WORD)),
    };
    line_with(
        Role::Qmgr,
        Level::Info,
        &[
            (Field::QueueId, &id),
            (Field::From, &envelope.sender),
            (Field::Size, &size),
            (Field::Recipients, &recipients),
        ],
        &format_args!(
            "{id}: from=<{}>, size={size}, nrcpt={recipients} ({queue}){counted}",
            envelope.sender
        ),
    );
}

/// It was in another server's queue since then; `client`: who had brought it there.
pub(crate) fn arrived(id: QueueId, client: &str, server: &str, since: Timestamp) {
    if !client.is_empty() {
        let client = escape(client.as_bytes(), MAX_WORD);
        line_with(
            Role::Smtpd,
            Level::Info,
            &[(Field::QueueId, &id), (Field::Client, &client)],
            &format_args!("{id}: client={client}"),
        );
    }
    let since = since.rfc3339();
    life::about(
        &id,
        Role::Smtpd,
        Level::Info,
        &format_args!("{id}: moved from the queue of {server}, where it was since {since}"),
    );
}

/// It is in another server's queue now, under the same id.
pub(crate) fn moved(id: QueueId, relay: &str) {
    life::about(
        &id,
        Role::Smtp,
        Level::Info,
        &format_args!("{id}: moved to {relay}, where it has the same id"),
    );
    life::removed(id);
}

/// Mail that has nobody who would read it is kept.
pub(crate) fn nobodys(id: QueueId, recipients: &[Recipient]) {
    let addresses = recipients
        .iter()
        .map(|recipient| recipient.address.to_string());
    let addresses = addresses.collect::<Vec<_>>().join(", ");
    let text = format!(
        "{id}: on hold: nobody is named for {addresses}; set admins, or write an alias, then release it"
    );
    life::about(
        &id,
        Role::Cleanup,
        Level::Warning,
        &escape(text.as_bytes(), MAX_WORD),
    );
}

/// Addresses that an alias names and nobody has get no mail, others whom it names do.
pub(crate) fn left_out(alias: &Address, nobody: &[Address]) {
    for address in nobody {
        let text =
            format!("the alias {alias} names {address}, which nobody has: left out; see check");
        line_of(
            Role::Cleanup,
            Level::Warning,
            &escape(text.as_bytes(), MAX_WORD),
        );
    }
}

/// What a refusal is about.
#[derive(Debug, Default)]
pub(crate) struct Subject {
    pub(crate) sender: Option<Sender>,
    pub(crate) recipient: Option<Address>,
}

/// What was refused, for [`reject`].
#[derive(Debug)]
pub(crate) struct Rejected<'a> {
    /// Once it has one.
    pub(crate) id: Option<QueueId>,
    /// `reject`, or what else was done: `reject_warning`, `warn`, `hold`, `milter-reject` …
    pub(crate) action: &'a str,
    /// `RCPT`, `MAIL`, `END-OF-MESSAGE` …
    pub(crate) stage: &'a str,
    pub(crate) client: &'a str,
    pub(crate) reply: &'a str,
    pub(crate) subject: Subject,
    pub(crate) protocol: &'a str,
    pub(crate) helo: Option<&'a str>,
}

pub(crate) fn reject(rejected: &Rejected<'_>) {
    let id = rejected.id.map(|id| id.to_string());
    let id = id.as_deref().unwrap_or("NOQUEUE");
    let reply = escape(rejected.reply.as_bytes(), MAX_WORD);
    let Rejected {
        action,
        stage,
        client,
        protocol,
        ..
    } = rejected;
    let mut text = format!("{id}: {action}: {stage} from {client}: {reply};");
    let mut fields: Vec<(Field, &dyn Display)> =
        vec![(Field::Action, action), (Field::Client, client)];
    if rejected.id.is_some() {
        fields.push((Field::QueueId, &id));
    }
    let Subject { sender, recipient } = &rejected.subject;
    // Writing to a String cannot fail.
    if let Some(sender) = sender {
        let _ = write!(text, " from=<{sender}>");
        fields.push((Field::From, sender));
    }
    if let Some(recipient) = recipient {
        let _ = write!(text, " to=<{recipient}>");
        fields.push((Field::To, recipient));
    }
    let helo = escape(rejected.helo.unwrap_or_default().as_bytes(), MAX_WORD);
    let text = format_args!("{text} proto={protocol} helo=<{helo}>");
    match rejected.id {
        // It is about mail that was taken: no number of refusals hides it.
        Some(_) => line_with(Role::Cleanup, Level::Info, &fields, &text),
        None => line_about_with(client, Role::Smtpd, Level::Info, &fields, &text),
    }
}

/// The message is sent as it is, though the next hop may not take it.
pub(crate) fn all_the_same(id: QueueId, relay: &str, what: &str) {
    life::about(
        &id,
        Role::Smtp,
        Level::Warning,
        &format_args!("{id}: {relay} {what}"),
    );
}

/// Hosts take no more connections than these.
pub(crate) fn learned(hosts: &str, connections: usize) {
    line_of(
        Role::Qmgr,
        Level::Info,
        &format_args!("{hosts}: too many connections, {connections} at once from now on"),
    );
}

/// One of several relayhosts does not take a sender's mail.
pub(crate) fn refuses_sender(reason: &str) {
    let text = format_args!("a relayhost refuses mail of a sender: {reason}");
    line_of(Role::Smtp, Level::Warning, &text);
}

/// One of several relayhosts refuses this server's mail.
pub(crate) fn refuses_us(reason: &str) {
    let text = format_args!("a relayhost refuses mail of this server: {reason}");
    line_of(Role::Smtp, Level::Warning, &text);
}

pub(crate) fn suspended(destination: &Destination, until: Timestamp, reason: &str) {
    let (name, until) = (place(destination), until.mailq());
    line_of(
        Role::Qmgr,
        Level::Warning,
        &format_args!("delivery to {name} temporarily suspended until {until}: {reason}"),
    );
}

pub(crate) fn turned_away(
    destination: &Destination,
    senders: usize,
    until: Timestamp,
    reason: &str,
) {
    let (name, until) = (place(destination), until.mailq());
    line_of(
        Role::Qmgr,
        Level::Notice,
        &format_args!(
            "{name} turns senders away ({senders}), whose mail waits until {until}: {reason}"
        ),
    );
}

fn place(destination: &Destination) -> String {
    match &destination.kind {
        Kind::Lmtp(LmtpTarget::Unix(path)) => path.display().to_string(),
        kind => kind.to_string(),
    }
}
