//! What a filter wants to be changed, and how a header is changed.

use mail::{
    address::Mailbox,
    envelope::{Mail, Rcpt},
    message::{Field, Header},
};

/// A wish of a filter, at the end of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Edit {
    /// Behind all other fields.
    Add {
        name: String,
        value: Vec<u8>,
    },
    /// Before the field with this index, from 0, ours among them.
    Insert {
        index: usize,
        name: String,
        value: Vec<u8>,
    },
    /// In the place of the nth field of that name, from 1, ours not among them. An empty value
    /// takes it away.
    Change {
        nth: usize,
        name: String,
        value: Vec<u8>,
    },
    Sender(Box<Mail>),
    AddRecipient(Box<Rcpt>),
    DeleteRecipient(Mailbox),
    /// A piece of the body that replaces the old one.
    Body(Vec<u8>),
}

/// Whether a field can have this name (RFC 5322 §3.6.8), and its first line room for it.
pub fn is_name(name: &str) -> bool {
    (1..=200).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && b != b':')
}

impl Edit {
    /// What it makes a message larger by, bytes.
    pub fn size(&self) -> usize {
        match self {
            Self::Add { name, value }
            | Self::Insert { name, value, .. }
            | Self::Change { name, value, .. } => name.len().saturating_add(value.len()),
            Self::Sender(_) | Self::AddRecipient(_) | Self::DeleteRecipient(_) => 0,
            Self::Body(piece) => piece.len(),
        }
    }
}

/// A header with our own `Received` in it, which filters do not see: they number the fields that
/// came, but insert among all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EditedHeader {
    header: Header,
    /// Where ours stands.
    own: usize,
}

impl EditedHeader {
    pub fn new(header: Header, own: usize) -> Self {
        Self { header, own }
    }

    /// The fields that filters see.
    pub fn visible(&self) -> impl Iterator<Item = &Field> {
        let fields = self.header.fields().iter().enumerate();
        fields
            .filter(|(index, field)| *index != self.own && !field.name().is_empty())
            .map(|(_, field)| field)
    }

    /// Carries out a wish about the header; the value of a new field has its blank already.
    pub fn edit(&mut self, edit: &Edit, leading_blank: bool) {
        let field = |name: &str, value: &[u8]| {
            let blank: &[u8] = if leading_blank { b"" } else { b" " };
            Field::of_value(name, &[blank, value].concat())
        };
        match edit {
            Edit::Add { name, value } => self.header.append(field(name, value)),
            Edit::Insert { index, name, value } => {
                self.header.insert(*index, field(name, value));
                if *index <= self.own {
                    self.own = self.own.saturating_add(1);
                }
            }
            Edit::Change { nth, name, value } => match (self.place(name, *nth), value.is_empty()) {
                (Some(place), false) => self.header.replace(place, Some(field(name, value))),
                (Some(place), true) => {
                    self.header.replace(place, None);
                    if place < self.own {
                        self.own = self.own.saturating_sub(1);
                    }
                }
                (None, false) => self.header.append(field(name, value)),
                (None, true) => {}
            },
            Edit::Sender(_) | Edit::AddRecipient(_) | Edit::DeleteRecipient(_) | Edit::Body(_) => {}
        }
    }

    fn place(&self, name: &str, nth: usize) -> Option<usize> {
        let fields = self.header.fields().iter().enumerate();
        let mut named = fields.filter(|(index, field)| *index != self.own && field.is(name));
        named.nth(nth.saturating_sub(1)).map(|(index, _)| index)
    }

    pub fn into_header(self) -> Header {
        self.header
    }
}
