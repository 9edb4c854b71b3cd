//! What became of a message and of each of its recipients, as people and programs read it. Pure.
//!
//! Contract: where the log and the queue differ, the queue is right: it is asked later. Text of
//! others prints without what would command a terminal.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

use control::listing::Row;
use mail::{clock::Timestamp, text::printable};
use serde::Serialize;

use super::{
    said::{Attempt, Said},
    search::{Found, Line},
};

/// One message in one queue.
#[derive(Debug, Default, Serialize)]
pub(super) struct Story {
    pub(super) id: String,
    program: String,
    host: String,
    sender: Option<String>,
    client: Option<String>,
    message_id: Option<String>,
    size: Option<u64>,
    events: Vec<Event>,
    recipients: Vec<Ending>,
    /// Other messages, and what they are to this one.
    related: Vec<Related>,
    /// `active`, `deferred`, `hold`, where it is in the queue now.
    queue: Option<String>,
    /// Lines of the log that are not told, for their number.
    #[serde(skip_serializing_if = "is_zero")]
    left_out: usize,
    #[serde(skip)]
    first: Option<Timestamp>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[derive(Debug, Serialize)]
struct Event {
    time: Option<String>,
    text: String,
    /// What was known of the TLS connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<String>,
}

/// What became of one recipient, so far.
#[derive(Clone, Debug, Default, Serialize)]
struct Ending {
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    original: Option<String>,
    /// `delivered`, `replaced`, `bounced`, `expired`, `deleted`, `moved`, `waits`, `deferred` (as
    /// the log says, and the queue was not asked), `gone`.
    state: &'static str,
    time: Option<String>,
    relay: Option<String>,
    code: Option<String>,
    /// The peer's words, or why it waits.
    reply: String,
    attempts: usize,
    next_attempt: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Related {
    what: String,
    id: String,
}

pub(super) fn when(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "(no time)".to_owned(), Timestamp::rfc3339)
}

/// What a line says, for people.
pub(super) fn told(text: &str) -> String {
    match Said::parse(text) {
        Said::Taken { client, login } => {
            let login = login.map(|login| format!(", logged in as {login}"));
            format!("accepted from {client}{}", login.unwrap_or_default())
        }
        Said::MessageId(id) => format!("Message-ID {id}"),
        Said::Queued {
            sender,
            size,
            recipients,
            note,
        } => {
            let plural = if recipients == "1" { "" } else { "s" };
            let note = if note.is_empty() {
                String::new()
            } else {
                format!("; {note}")
            };
            format!("queued: from <{sender}>, {recipients} recipient{plural}, {size} bytes{note}")
        }
        Said::Attempt(Attempt {
            recipient,
            original,
            relay,
            status,
            reply,
            ..
        }) => {
            let original = original.map(|address| format!(" (for <{address}>)"));
            let what = match status {
                "sent" => "taken",
                "bounced" => "refused for good",
                other => other,
            };
            let by = match relay {
                "none" => String::new(),
                relay => format!(" by {relay}"),
            };
            let said = format!("host {relay} said: ");
            let reply = reply.strip_prefix(&said).unwrap_or(reply);
            format!(
                "<{recipient}>{}: {what}{by}: {reply}",
                original.unwrap_or_default()
            )
        }
        Said::Made { what, id } => format!("{what}: {id}"),
        Said::Expired => "given up for its age, returned to the sender".to_owned(),
        Said::Removed => "left the queue".to_owned(),
        Said::Deleted | Said::Moved | Said::Other => text.to_owned(),
    }
}

impl Story {
    /// All that were found, the oldest first, with what the queues say of them.
    pub(super) fn all(found: &Found, mut queued: HashMap<String, Row>) -> Vec<Self> {
        let mut stories: Vec<_> = found
            .lines
            .iter()
            .map(|(id, lines)| {
                let mut story = Self::of(id, lines, queued.remove(id));
                story.left_out = found.left_out.get(id).copied().unwrap_or_default();
                story
            })
            .collect();
        let unlogged = queued.into_iter();
        stories.extend(unlogged.map(|(id, row)| Self::of(&id, &[], Some(row))));
        join(&mut stories, found);
        stories.sort_by(|one, other| (one.first, &one.id).cmp(&(other.first, &other.id)));
        stories
    }

    fn of(id: &str, lines: &[Line], row: Option<Row>) -> Self {
        let mut story = Self {
            id: id.to_owned(),
            ..Self::default()
        };
        let mut endings = Endings::default();
        for line in lines {
            story.add(line, &mut endings);
        }
        if let Some(row) = row {
            story.first = story.first.or(Some(row.arrival));
            story.sender.get_or_insert_with(|| row.sender.clone());
            story.size = story.size.or(Some(row.size));
            if story.client.is_none() && !row.origin.is_empty() {
                story.client = Some(row.origin.clone());
            }
            endings.wait(&row);
            story.queue = Some(row.queue_name);
        }
        story.recipients = endings.finish();
        story
    }

    fn add(&mut self, line: &Line, endings: &mut Endings) {
        let entry = &line.entry;
        let Some((_, text)) = entry.of_message() else {
            return;
        };
        self.first = self.first.or(entry.time);
        if self.program.is_empty() {
            self.program.clone_from(&entry.program);
            self.host.clone_from(&entry.host);
        }
        let said = Said::parse(text);
        match &said {
            Said::Taken { client, .. } => self.client = Some((*client).to_owned()),
            Said::MessageId(id) => self.message_id = Some((*id).to_owned()),
            Said::Queued { sender, size, .. } => {
                self.sender = Some((*sender).to_owned());
                self.size = size.parse().ok();
            }
            Said::Attempt(attempt) => endings.attempt(attempt, entry.time),
            Said::Made { what, id } => self.relate(what, id),
            Said::Expired => {
                endings.why = endings.why.or(Some(("expired", entry.time)));
            }
            Said::Deleted => endings.why = Some(("deleted", entry.time)),
            Said::Moved => endings.why = Some(("moved", entry.time)),
            Said::Removed => endings.removed = true,
            Said::Other => {}
        }
        if !matches!(said, Said::MessageId(_)) {
            self.events.push(Event {
                time: entry.time.map(Timestamp::rfc3339),
                text: told(text),
                tls: line.tls.clone(),
            });
        }
    }

    fn relate(&mut self, what: &str, id: &str) {
        let related = Related {
            what: what.to_owned(),
            id: id.to_owned(),
        };
        if !self.related.contains(&related) {
            self.related.push(related);
        }
    }

    /// For people: what it is, what happened, what became of each recipient.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = write!(out, "{}", self.id);
        if !self.program.is_empty() {
            let _ = write!(out, "  {}", self.program);
        }
        if !self.host.is_empty() {
            let _ = write!(out, " on {}", self.host);
        }
        let sender = self
            .sender
            .as_deref()
            .map(|sender| format!("from <{sender}>"));
        let size = self.size.map(|size| format!("{size} bytes"));
        let id = self
            .message_id
            .as_ref()
            .map(|id| format!("Message-ID {id}"));
        let first = self.events.is_empty();
        let came = self
            .first
            .filter(|_| first)
            .map(|at| format!("came {}", at.rfc3339()));
        let client = self.client.as_ref().filter(|_| first);
        let client = client.map(|client| format!("from {client}"));
        let facts: Vec<_> = [sender, size, id, came, client]
            .into_iter()
            .flatten()
            .collect();
        let _ = writeln!(out, "\n  {}", facts.join(", "));
        let mut connection = None;
        for event in &self.events {
            let time = event.time.as_deref().unwrap_or("(no time)");
            let _ = writeln!(out, "  {time}  {}", event.text);
            if let Some(tls) = event.tls.as_ref().filter(|tls| connection != Some(*tls)) {
                connection = Some(tls);
                let _ = writeln!(out, "  {:width$}  {tls}", "", width = time.len());
            }
        }
        if self.left_out > 0 {
            let _ = writeln!(out, "  … and {} lines more", self.left_out);
        }
        if let Some(queue) = &self.queue {
            let _ = writeln!(out, "  in the queue now: {queue}");
        }
        for ending in &self.recipients {
            let _ = writeln!(out, "  = {}", ending.text());
        }
        for Related { what, id } in &self.related {
            let _ = writeln!(out, "  → {what}: {id}");
        }
        out.lines().map(|line| printable(line) + "\n").collect()
    }
}

/// What belongs to what: the id that a reply names is believed where both have the same Message-ID,
/// or one of them has none in the log.
fn join(stories: &mut [Story], found: &Found) {
    let known: HashMap<_, _> = stories
        .iter()
        .map(|story| (story.id.clone(), story.message_id.clone()))
        .collect();
    for (id, lines) in &found.lines {
        let texts = lines.iter().filter_map(|line| line.entry.of_message());
        for (_, text) in texts {
            let Said::Attempt(attempt) = Said::parse(text) else {
                continue;
            };
            let Some(next) = attempt
                .goes_on_as()
                .filter(|next| known.contains_key(*next))
            else {
                continue;
            };
            let own = known.get(id).cloned().flatten();
            let its = known.get(next).cloned().flatten();
            let same = attempt.is_forwarded() || own.is_none() || its.is_none() || own == its;
            let (there, back) = if same {
                ("goes on as", "came as")
            } else {
                (
                    "named by the reply, but another message",
                    "named by the reply to another message",
                )
            };
            for story in &mut *stories {
                if story.id == *id {
                    story.relate(there, next);
                } else if story.id == next {
                    story.relate(back, id);
                }
            }
        }
    }
}

/// Recipients, as far as something is known of them.
#[derive(Default)]
struct Endings {
    all: BTreeMap<(String, Option<String>), Ending>,
    /// Why it left the queue undelivered, and when.
    why: Option<(&'static str, Option<Timestamp>)>,
    removed: bool,
}

impl Endings {
    fn attempt(&mut self, attempt: &Attempt<'_>, time: Option<Timestamp>) {
        let original = attempt.original.map(str::to_owned);
        let key = (attempt.recipient.to_owned(), original.clone());
        let ending = self.all.entry(key).or_default();
        *ending = Ending {
            address: attempt.recipient.to_owned(),
            original,
            state: match attempt.status {
                "sent" => "delivered",
                "replaced" => "replaced",
                "bounced" => "bounced",
                _ => "deferred",
            },
            time: time.map(Timestamp::rfc3339),
            relay: (attempt.relay != "none").then(|| attempt.relay.to_owned()),
            code: Some(attempt.code.to_owned()),
            reply: attempt.reply.to_owned(),
            attempts: ending.attempts.saturating_add(1),
            next_attempt: None,
        };
    }

    /// The queue still has it, for these.
    fn wait(&mut self, row: &Row) {
        for recipient in &row.recipients {
            let key = (recipient.address.clone(), recipient.orig_address.clone());
            let ending = self.all.entry(key).or_default();
            ending.address.clone_from(&recipient.address);
            ending.original.clone_from(&recipient.orig_address);
            ending.state = "waits";
            ending.next_attempt = row.next_attempt.map(Timestamp::rfc3339);
            if !recipient.delay_reason.is_empty() {
                ending.reply.clone_from(&recipient.delay_reason);
            }
        }
    }

    fn finish(self) -> Vec<Ending> {
        let (why, removed) = (self.why, self.removed);
        let last = move |mut ending: Ending| {
            if ending.state == "deferred" && removed {
                let (state, time) = why.unwrap_or(("gone", None));
                ending.state = state;
                ending.time = time.map(Timestamp::rfc3339).or(ending.time);
            }
            ending
        };
        self.all.into_values().map(last).collect()
    }
}

impl Ending {
    fn text(&self) -> String {
        let original = self
            .original
            .as_ref()
            .map(|address| format!(" (for {address})"));
        let mut out = format!("{}{}: ", self.address, original.unwrap_or_default());
        out += match self.state {
            "delivered" => "delivered",
            "replaced" => "replaced by whoever an alias names now",
            "bounced" => "refused for good",
            "expired" => "given up for its age",
            "deleted" => "deleted by order",
            "moved" => "moved to another server",
            "waits" => "waits",
            "gone" => "no longer in the queue",
            _ => "deferred, as the log says last",
        };
        // Writing to a String cannot fail.
        if let Some(next) = &self.next_attempt {
            let _ = write!(out, ", next attempt {next}");
        } else if let (Some(time), false) = (&self.time, self.state == "waits") {
            let _ = write!(out, " {time}");
        }
        if self.attempts > 1 {
            let _ = write!(out, ", after {} attempts", self.attempts);
        }
        if self.state != "delivered" && !self.reply.is_empty() {
            let _ = write!(out, ": {}", self.reply);
        }
        out
    }
}
