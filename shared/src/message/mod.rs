//! A message's header section, untouched where we do not touch it, and what is done to it.
//!
//! | part | what |
//! |---|---|
//! | [`Header`] | fields in order, each byte for byte as it came (RFC 5322 §2.2) |
//! | [`Splitter`] | cuts a stream into header section and body |
//! | [`intake`] | what programs pipe in (LF or CRLF, `From ` lines, no header at all) made into canonical CRLF lines |
//! | [`complete`](mod@complete) | adds Received, Date, Message-ID, From, To where missing |
//! | [`rewrite`](mod@rewrite) | one policy for envelope and header: revaliases, aliases, domain |
//! | [`trace`] | Received fields, hop count |

pub mod complete;
pub mod intake;
pub mod rewrite;
pub mod trace;

/// A header section: fields in order. Each keeps its bytes, folding and final CRLF included.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Header {
    fields: Vec<Field>,
}

/// One header field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    raw: Vec<u8>,
    colon: usize,
}

impl Field {
    /// A new field from a name and an unfolded value; control bytes in the value become spaces, and it is folded at 78 where it can be.
    pub fn new(_name: &str, _value: &str) -> Self {
        todo!()
    }
    /// Name as written.
    pub fn name(&self) -> &str {
        todo!()
    }
    /// Whether it is this field, without regard to case.
    pub fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name)
    }
    /// Value with folding undone and outer blanks removed.
    pub fn value(&self) -> Vec<u8> {
        todo!()
    }
    /// All of it, with CRLF.
    pub fn raw(&self) -> &[u8] {
        let _ = self.colon;
        &self.raw
    }
}

impl Header {
    /// Reads canonical CRLF lines (no empty line at the end). Total: a line that is neither field nor continuation is kept as it is.
    pub fn parse(_bytes: &[u8]) -> Self {
        todo!()
    }
    /// All fields.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }
    /// First field of that name.
    pub fn first(&self, _name: &str) -> Option<&Field> {
        todo!()
    }
    /// Puts a field before all others.
    pub fn prepend(&mut self, _field: Field) {
        todo!()
    }
    /// Puts a field after all others.
    pub fn append(&mut self, _field: Field) {
        todo!()
    }
    /// Replaces each field for which `edit` gives another.
    pub fn edit(&mut self, _edit: impl FnMut(&Field) -> Option<Field>) {
        todo!()
    }
    /// Removes all fields of that name.
    pub fn remove(&mut self, _name: &str) -> usize {
        todo!()
    }
    /// The bytes: fields only, without the empty line.
    pub fn to_bytes(&self) -> Vec<u8> {
        todo!()
    }
}

/// Cuts a message that arrives in pieces (canonical CRLF) into header section and body; remembers what the content needs.
/// Bounded: a header section over [`crate::limits::HEADER`] is an error.
#[derive(Default, Debug)]
pub struct Splitter {}

/// The header section is larger than [`crate::limits::HEADER`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeaderTooLong;

impl Splitter {
    /// Takes the next piece; gives back the part of it that belongs to the body (may be empty).
    pub fn split<'a>(&mut self, _piece: &'a [u8]) -> Result<&'a [u8], HeaderTooLong> {
        todo!()
    }
    /// The header section and what was seen, after the last piece.
    pub fn finish(self) -> (Header, crate::envelope::Content) {
        todo!()
    }
}
