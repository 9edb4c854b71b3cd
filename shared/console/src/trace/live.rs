//! Lines as they come: of a message from its first line on, once one of them is meant. Pure.
//!
//! Contract: bounded, whatever comes. A message is followed to its next hop and into its bounces,
//! as far as their lines come.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{entry::Entry, said::Said, story, wanted::Wanted};

/// Messages that are remembered.
const MESSAGES: usize = 2000;
/// Lines of one that may turn out to be meant.
const LINES: usize = 20;

/// What is followed.
pub(super) struct Live<'a> {
    wanted: Option<&'a Wanted>,
    /// Messages that are meant, and lines of others.
    meant: HashSet<String>,
    held: HashMap<String, Vec<Entry>>,
    /// Who came first.
    order: VecDeque<String>,
}

impl<'a> Live<'a> {
    /// `None`: everything.
    pub(super) fn new(wanted: Option<&'a Wanted>) -> Self {
        Self {
            wanted,
            meant: HashSet::new(),
            held: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// The lines that are to be shown now.
    pub(super) fn feed(&mut self, entry: Entry) -> Vec<String> {
        let Some(wanted) = self.wanted else {
            return vec![shown(&entry)];
        };
        let Some((id, text)) = entry.of_message() else {
            let meant = wanted.means_line(&entry);
            return meant.then(|| shown(&entry)).into_iter().collect();
        };
        let (id, said) = (id.to_owned(), Said::parse(text));
        let other = said.other().map(str::to_owned);
        let joined = other
            .as_ref()
            .is_some_and(|other| self.meant.contains(other));
        let mut lines = Vec::new();
        if self.meant.contains(&id) || joined || wanted.means(&id, &said) {
            lines.extend(self.follow(&id));
            lines.push(shown(&entry));
            if let Some(other) = other {
                lines.extend(self.follow(&other));
            }
            return lines;
        }
        self.remember(&id);
        let held = self.held.entry(id).or_default();
        if held.len() < LINES {
            held.push(entry);
        }
        lines
    }

    /// It is meant from now on; its lines up to here.
    fn follow(&mut self, id: &str) -> Vec<String> {
        if !self.meant.contains(id) {
            self.remember(id);
            self.meant.insert(id.to_owned());
        }
        let held = self.held.remove(id).unwrap_or_default();
        held.iter().map(shown).collect()
    }

    fn remember(&mut self, id: &str) {
        if self.held.contains_key(id) || self.meant.contains(id) {
            return;
        }
        self.order.push_back(id.to_owned());
        if self.order.len() > MESSAGES
            && let Some(oldest) = self.order.pop_front()
        {
            self.held.remove(&oldest);
            self.meant.remove(&oldest);
        }
    }
}

/// `2026-11-22T07:51:52+01:00 smarthost@mx1 ID: accepted from …`
fn shown(entry: &Entry) -> String {
    let at = match (entry.program.as_str(), entry.host.as_str()) {
        ("", "") => String::new(),
        (program, "") => format!("{program} "),
        (program, host) => format!("{program}@{host} "),
    };
    let text = match entry.of_message() {
        Some((id, text)) => format!("{id}: {}", story::told(text)),
        None => entry.text.clone(),
    };
    mail::text::printable(&format!("{} {at}{text}", story::when(entry.time)))
}

#[cfg(test)]
mod tests {
    use mail::clock::Timestamp;

    use super::*;

    fn fed(wanted: &str, log: &[&str]) -> Vec<String> {
        let wanted = Wanted::new(wanted);
        let mut followed = Live::new(Some(&wanted));
        let lines = log.iter().flat_map(|line| {
            let entry = format!("2026-11-22T07:51:52Z x[1]: {line}");
            followed.feed(Entry::parse(&entry, Timestamp::from_secs(1)))
        });
        lines
            .map(|line| line.split(' ').skip(2).collect::<Vec<_>>().join(" "))
            .collect()
    }

    #[test]
    fn a_destination_is_followed_from_the_first_line_of_each_message_on() {
        let lines = fed(
            "b.example",
            &[
                "AA0001: client=vm7[10.0.0.7]",
                "AA0002: client=vm8[10.0.0.8]",
                "AA0001: from=<x@y>, size=1, nrcpt=1 (queue active)",
                "AA0002: to=<a@other.example>, relay=n, delay=1, dsn=2.0.0, status=sent (250 ok)",
                "AA0001: to=<a@b.example>, relay=n, delay=1, dsn=2.0.0, status=sent (250 queued as CC0001)",
                "CC0001: removed",
                "NOQUEUE: reject: RCPT from x[1.2.3.4]: 554 no; from=<> to=<z@b.example> proto=SMTP helo=<h>",
                "connect from x[1.2.3.4]",
            ],
        );
        assert_eq!(lines.len(), 5, "{lines:#?}");
        assert!(
            lines[0].starts_with("AA0001: accepted from vm7[10.0.0.7]"),
            "{lines:#?}"
        );
        assert_eq!(lines[3], "CC0001: left the queue");
        assert!(lines[4].starts_with("NOQUEUE: reject"));
    }

    #[test]
    fn a_client_is_followed_with_its_sessions() {
        let lines = fed(
            "10.0.0.7",
            &[
                "connect from vm7[10.0.0.7]",
                "connect from vm8[10.0.0.77]",
                "AA0001: client=vm7[10.0.0.7]",
            ],
        );
        assert_eq!(lines.len(), 2, "{lines:?}");
    }

    #[test]
    fn very_many_messages_are_not_all_remembered() {
        let wanted = Wanted::new("nobody@x.example");
        let mut followed = Live::new(Some(&wanted));
        for n in 0..3 * MESSAGES {
            let entry = format!("x[1]: AA{n:06}: client=vm7[10.0.0.7]");
            followed.feed(Entry::parse(&entry, Timestamp::from_secs(1)));
        }
        assert!(followed.held.len() <= MESSAGES && followed.order.len() <= MESSAGES);
    }
}
