//! What was typed, and which lines are about it.

use control::order::Selection;
use mail::{address::Address, outcome::escape};
use system::log::life::MESSAGE_ID as LONGEST;

use super::{
    entry::{Entry, is_id},
    said::{Said, angle},
};

/// An id, an address, a Message-ID, or the name or address of a client or next hop; what a word may
/// be, it is all of.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    typed: String,
    /// Without brackets, in small letters.
    word: String,
    /// With its domain in ASCII, as logs have it.
    address: Option<String>,
    bracketed: bool,
}

impl Wanted {
    pub(super) fn new(typed: &str) -> Self {
        let typed = typed.trim();
        let inner = typed.strip_prefix('<').and_then(|it| it.strip_suffix('>'));
        let word = inner.unwrap_or(typed);
        let address = Address::parse(word).ok();
        let address = address.map(|it| it.with_ascii_domain().to_string().to_lowercase());
        Self {
            typed: typed.to_owned(),
            word: word.to_lowercase(),
            address,
            bracketed: inner.is_some(),
        }
    }

    /// For messages to people.
    pub(super) fn shown(&self) -> String {
        escape(self.typed.as_bytes(), LONGEST)
    }

    /// As a queue id: as typed, and as our programs write it.
    pub(super) fn ids(&self) -> impl Iterator<Item = String> {
        let typed = [self.typed.clone(), self.typed.to_uppercase()];
        typed.into_iter().filter(|id| is_id(id))
    }

    fn is_id(&self, id: &str) -> bool {
        id.eq_ignore_ascii_case(&self.typed)
    }

    /// What of a queue is meant beside ids.
    pub(super) fn selections(&self) -> Vec<Selection> {
        let with = |set: &dyn Fn(&mut Selection, String)| {
            let mut selection = Selection::default();
            set(
                &mut selection,
                self.address.clone().unwrap_or_else(|| self.word.clone()),
            );
            selection
        };
        if self.address.is_some() {
            let sender = with(&|it, word| it.sender = Some(word));
            return vec![sender, with(&|it, word| it.recipient = Some(word))];
        }
        if self.bracketed || self.word.is_empty() {
            return Vec::new();
        }
        let client = with(&|it, word| it.client = Some(word));
        vec![client, with(&|it, word| it.destination = Some(word))]
    }

    /// Whether a line about a message is meant.
    pub(super) fn means(&self, id: &str, said: &Said<'_>) -> bool {
        if self.is_id(id) || said.other().is_some_and(|other| self.is_id(other)) {
            return true;
        }
        match said {
            Said::Taken { client, login } => {
                self.is_place(client) || login.is_some_and(|login| self.is(login))
            }
            Said::MessageId(value) => self.is_message_id(value),
            Said::Queued { sender, note, .. } => self.is_address(sender) || self.is_origin(note),
            Said::Attempt(attempt) => {
                self.is_address(attempt.recipient)
                    || attempt.original.is_some_and(|it| self.is_address(it))
                    || self.is_place(attempt.relay)
            }
            _ => false,
        }
    }

    /// Whether a line about no message is meant: a refusal, or, while lines are followed, a
    /// session.
    pub(super) fn means_line(&self, entry: &Entry) -> bool {
        let mut words = entry
            .text
            .split(' ')
            .map(|word| word.trim_end_matches([';', ':', ',']));
        words.any(|word| {
            let address = ["from=", "to="]
                .iter()
                .find_map(|key| word.strip_prefix(key));
            match address.and_then(angle) {
                Some((address, _)) => self.is_address(address),
                None => {
                    word.ends_with(']') && self.is_place(word)
                        || word.contains("]:") && self.is_place(word)
                }
            }
        })
    }

    fn is(&self, text: &str) -> bool {
        !self.word.is_empty() && text.to_lowercase() == self.word
    }

    /// An address, or one in the domain that is meant.
    fn is_address(&self, address: &str) -> bool {
        if let Some(wanted) = &self.address {
            return address.to_lowercase() == *wanted || self.is(address);
        }
        let (_, domain) = address.rsplit_once('@').unwrap_or_default();
        let wanted = self.word.strip_prefix('@').unwrap_or(&self.word);
        !self.bracketed && !wanted.is_empty() && domain.eq_ignore_ascii_case(wanted)
            || self.typed == "<>" && address.is_empty()
    }

    fn is_message_id(&self, value: &str) -> bool {
        let plain = |text: &str| text.trim_matches(['<', '>']).to_lowercase();
        let escaped = escape(self.word.as_bytes(), usize::MAX);
        let logged = plain(value);
        match logged.strip_suffix("...") {
            Some(start) if value.len() >= LONGEST - 3 => escaped.starts_with(start),
            _ => self.word.len() > 1 && logged == escaped,
        }
    }

    /// `name[address]`, `name[address]:port`: its name, a domain above it, or its address.
    fn is_place(&self, place: &str) -> bool {
        let (name, rest) = place.split_once('[').unwrap_or((place, ""));
        let (address, _) = rest.rsplit_once(']').unwrap_or_default();
        let name = name.to_lowercase();
        let above = || {
            let (start, end) = name.split_at_checked(name.len().saturating_sub(self.word.len()))?;
            (end == self.word && start.ends_with('.')).then_some(())
        };
        !self.word.is_empty()
            && (name == self.word
                || address.eq_ignore_ascii_case(&self.word)
                || self.word.contains('.') && above().is_some())
    }

    /// Where mail of a machine's users is from, or as whom a client was counted.
    fn is_origin(&self, note: &str) -> bool {
        let is_end = |c: char| c.is_whitespace() || "()[],:;".contains(c);
        note.split(is_end).any(|word| self.is(word)) && self.word.len() > 1 || note == self.typed
    }
}

#[cfg(test)]
mod tests {
    use mail::clock::Timestamp;

    use super::*;

    fn means(wanted: &str, line: &str) -> bool {
        let entry = Entry::parse(&format!("x[1]: {line}"), Timestamp::from_secs(1));
        let wanted = Wanted::new(wanted);
        match entry.of_message() {
            Some((id, said)) => wanted.means(id, &Said::parse(said)),
            None => wanted.means_line(&entry),
        }
    }

    #[test]
    fn a_message_is_found_by_id_address_message_id_client_and_destination() {
        let id = "0BCDFGHJKLMNP";
        let sent = format!(
            "{id}: to=<Bob@X.example>, orig_to=<root@vm7.example>, relay=mx1.x.example[192.0.2.1]:25, delay=1, dsn=2.0.0, status=sent (250 ok)"
        );
        let taken = format!(
            "{id}: client=vm7.example.org[10.0.0.7], sasl_method=PLAIN, sasl_username=printer"
        );
        let known = format!("{id}: message-id=<A.b@vm7>");
        let queued = format!(
            "{id}: from=<cron@vm7.example>, size=1, nrcpt=1 (queue active), uid 1000 (ann), unit x.service"
        );
        let refused = "NOQUEUE: reject: RCPT from evil.example[192.0.2.9]: 554 5.7.1 no; from=<a@b.example> to=<c@d.example> proto=ESMTP helo=<h>";
        for (wanted, line) in [
            (id, sent.as_str()),
            ("0bcdfghjklmnp", &sent),
            ("bob@x.example", &sent),
            ("<bob@x.example>", &sent),
            ("root@vm7.example", &sent),
            ("x.example", &sent),
            ("@x.example", &sent),
            ("192.0.2.1", &sent),
            ("mx1.x.example", &sent),
            ("vm7.example.org", &taken),
            ("example.org", &taken),
            ("10.0.0.7", &taken),
            ("printer", &taken),
            ("a.b@vm7", &known),
            ("<A.b@vm7>", &known),
            ("cron@vm7.example", &queued),
            ("ann", &queued),
            ("x.service", &queued),
            ("c@d.example", refused),
            ("192.0.2.9", refused),
            ("d.example", refused),
        ] {
            assert!(means(wanted, line), "{wanted}: {line}");
        }
        for (wanted, line) in [
            ("ob@x.example", sent.as_str()),
            ("b.example", &sent),
            ("1", &sent),
            ("250", &sent),
            ("", &sent),
            ("<>", &sent),
            ("@", &sent),
            ("10.0.0.70", &taken),
            ("0.0.7", &taken),
            ("org", &taken),
            ("b@vm7", &known),
            ("", &known),
            ("554", refused),
            ("h", refused),
            ("no", refused),
        ] {
            assert!(!means(wanted, line), "{wanted}: {line}");
        }
    }

    #[test]
    fn a_message_id_of_any_length_and_look_is_found_as_it_was_logged() {
        let odd = format!("<{}é\\x@vm7>", "a".repeat(50));
        let long = format!("<{}@vm7>", "a".repeat(900));
        for value in [odd, long] {
            let logged = escape(value.as_bytes(), LONGEST);
            assert!(
                means(&value, &format!("0BCDFGHJKLMNP: message-id={logged}")),
                "{logged}"
            );
        }
    }

    #[test]
    fn domains_are_found_in_both_spellings() {
        let line = "0BCDFGHJKLMNP: to=<bob@xn--bcher-kva.example>, relay=none, delay=1, dsn=4.0.0, status=deferred (x)";
        assert!(means("bob@bücher.example", line));
    }
}
