//! Mail that goes in circles, known before it has met fifty hosts: what a list sent on says so, and
//! is not sent on by it again. Pure.
//!
//! Contract: a list is an address that stands for several. Each copy of its mail for another
//! address names it in `X-Loop`; mail that names a list there and comes to it is a loop. An address
//! that stands for one makes no copies: its mail goes on as it came.
//! `X-Loop`, as mailing lists write it, and not `Delivered-To`, as Postfix's aliases do: that
//! belongs to whoever delivers last. A next hop to which `user@public` goes as `user@legacy`, and
//! that makes `user@public` of it again for its mailbox, would take it for a loop and return it.

use std::collections::{HashMap, HashSet};

use mail::{
    address::Address,
    envelope::{Envelope, Recipient},
    message::{Field, Header},
    outcome::{Blame, Failure, Stage},
    status::EnhancedStatus,
};

const MARK: &str = "X-Loop";

/// The lists that have sent a message on.
#[derive(Clone, Debug, Default)]
pub struct SentOn(HashSet<String>);

impl SentOn {
    pub fn by(header: &Header) -> Self {
        let fields = header.fields().iter().filter(|field| field.is(MARK));
        let value = |field: &Field| String::from_utf8(field.value()).ok();
        Self(
            fields
                .filter_map(value)
                .map(|it| it.to_lowercase())
                .collect(),
        )
    }

    /// The same of a header section that need not be read, as most need not.
    pub fn by_section(header: &[u8]) -> Self {
        let name = MARK.as_bytes();
        let named = |line: &[u8]| {
            let start = line.get(..name.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(name))
        };
        if header.split(|byte| *byte == b'\n').any(named) {
            Self::by(&Header::parse(header))
        } else {
            Self::default()
        }
    }

    pub fn is_by(&self, list: &Address) -> bool {
        !self.0.is_empty() && self.0.contains(&name(list))
    }
}

/// The list by which a recipient gets a copy; `envelope`: all recipients of the message.
pub fn list_of<'a>(envelope: &Envelope, recipient: &'a Recipient) -> Option<&'a Address> {
    let list = recipient.replaced()?;
    let gets = |it: &&Recipient| it.original.as_ref().unwrap_or(&it.address) == list;
    envelope.recipients.iter().filter(gets).nth(1)?;
    Some(list)
}

/// The same for each recipient of a part of the message.
pub fn lists<'a>(message: &Envelope, part: &'a Envelope) -> Vec<Option<&'a Address>> {
    let mut known: HashMap<&Address, Option<&Address>> = HashMap::new();
    let list = |recipient: &'a Recipient| {
        let replaced = recipient.replaced()?;
        let find = || list_of(message, recipient);
        *known.entry(replaced).or_insert_with(find)
    };
    part.recipients.iter().map(list).collect()
}

/// These recipients of a part, by their indexes, apart by their list: what others get names no list
/// of theirs.
pub fn apart(message: &Envelope, part: &Envelope, indexes: Vec<usize>) -> Vec<Vec<usize>> {
    let lists = lists(message, part);
    let mut places = HashMap::new();
    let mut all: Vec<Vec<usize>> = Vec::new();
    for index in indexes {
        let list = lists.get(index).copied().flatten();
        let place = *places.entry(list).or_insert(all.len());
        match all.get_mut(place) {
            Some(same) => same.push(index),
            None => all.push(vec![index]),
        }
    }
    all
}

/// What stands above a copy for those who get it by a list.
pub fn mark(list: Option<&Address>) -> Vec<u8> {
    let field = list.map(|list| Field::new(MARK, &name(list)));
    field.map_or_else(Vec::new, |field| field.raw().to_vec())
}

/// What the sender of a loop is told.
pub fn failure(address: &str) -> Failure {
    let text = format!("mail forwarding loop for {address}");
    Failure::new(
        Blame::Policy,
        Stage::Local,
        EnhancedStatus::new(5, 4, 6),
        &text,
    )
}

/// In ASCII and in one word, as every next hop leaves it.
fn name(list: &Address) -> String {
    let bytes = list.key().into_bytes().into_iter();
    let written = bytes.map(|byte| match byte {
        byte if byte.is_ascii_graphic() => char::from(byte).to_string(),
        byte => format!("%{byte:02x}"),
    });
    written.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn by(list: &str, member: &str) -> Recipient {
        Recipient {
            original: Some(address(list)),
            ..address(member).into()
        }
    }

    #[test]
    fn only_the_copies_of_who_stands_for_several_are_marked_and_each_lists_members_are_apart() {
        let recipients = vec![
            by("one@a.example", "x@far.example"),
            by("list@a.example", "p@far.example"),
            address("direct@far.example").into(),
            by("list@a.example", "q@far.example"),
            address("kept@a.example").into(),
            by("kept@a.example", "copy@far.example"),
        ];
        let message = Envelope {
            recipients,
            ..Envelope::default()
        };
        let lists = |part: &Envelope| {
            let lists = lists(&message, part).into_iter();
            lists
                .map(|it| it.map(Address::as_str).unwrap_or_default().to_owned())
                .collect::<Vec<_>>()
        };
        let (list, kept) = ("list@a.example", "kept@a.example");
        assert_eq!(lists(&message), ["", list, "", list, "", kept]);
        let part = message.with_only(&[3, 5]);
        assert_eq!(
            lists(&part),
            [list, kept],
            "another delivery has the others"
        );
        assert_eq!(
            apart(&message, &message, (0..6).collect()),
            [vec![0, 2, 4], vec![1, 3], vec![5]]
        );
    }

    #[test]
    fn a_list_knows_its_mark_however_it_is_written_and_no_other() {
        for list in [
            "list@a.example",
            "LIST@A.example",
            "\"two  words\"@a.example",
            "é@a.example",
        ] {
            let mark = mark(Some(&address(list)));
            assert!(mark.is_ascii() && mark.ends_with(b"\r\n"));
            let header = [b"Received: x\r\n", &mark[..], b"Subject: y\r\n"].concat();
            let sent = SentOn::by_section(&header);
            assert!(sent.is_by(&address(list)), "{list}");
            assert!(!sent.is_by(&address("other@a.example")));
        }
        let sent =
            SentOn::by_section(b"Subject: X-Loop: list@a.example\r\nX-Loops: list@a.example\r\n");
        assert!(!sent.is_by(&address("list@a.example")));
        assert_eq!(mark(None), b"");
    }
}
