//! The header model: fields in order, byte for byte.
//!
//! Contract: `Header::parse(x).to_bytes() == x` for lines that end in CRLF; every field ends in
//! CRLF, so fields can be put in any order; what is made here has no control byte and no line over
//! [`limits::TEXT_LINE`].
//! RFC 5322 §2.2 (fields, folding), §2.1.1 (line length), §4.5 (a blank before the colon).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::limits;

/// Where lines of our own are folded (RFC 5322 §2.1.1), without CRLF.
const FOLD: usize = 78;
/// Where a word without blanks is cut in the end, without CRLF.
const HARD_FOLD: usize = limits::TEXT_LINE - 2;

/// A header section: fields in order. Each keeps its bytes, folding and final CRLF included.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Header {
    fields: Vec<Field>,
}

/// One header field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    raw: Vec<u8>,
    /// Place of the colon; 0 for a line that is no field.
    colon: usize,
}

impl Field {
    /// A new field from a name and an unfolded value; control bytes in the value become spaces, and
    /// it is folded at 78 where it can be.
    pub fn new(name: &str, value: &str) -> Self {
        let mut field = Self::named(name);
        let clean: String = value
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let mut column = field.raw.len();
        for word in clean.split(' ').filter(|word| !word.is_empty()) {
            let length = word.len().saturating_add(1);
            let first = column == field.colon.saturating_add(1);
            if !first && column.saturating_add(length) > FOLD {
                field.raw.extend_from_slice(b"\r\n");
                column = 0;
            }
            field.raw.push(b' ');
            column = column.saturating_add(1);
            for c in word.chars() {
                if column.saturating_add(c.len_utf8()) > HARD_FOLD {
                    field.raw.extend_from_slice(b"\r\n ");
                    column = 1;
                }
                field
                    .raw
                    .extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                column = column.saturating_add(c.len_utf8());
            }
        }
        field.raw.extend_from_slice(b"\r\n");
        field
    }

    /// A new field whose value is folded by the caller: one item a line, continued with a tab.
    pub(super) fn of_lines(name: &str, lines: &[String]) -> Self {
        let mut field = Self::named(name);
        for (index, line) in lines.iter().enumerate() {
            field
                .raw
                .extend_from_slice(if index == 0 { b" " } else { b"\r\n\t" });
            let clean = line.chars().map(|c| if c.is_control() { ' ' } else { c });
            field
                .raw
                .extend_from_slice(clean.collect::<String>().trim().as_bytes());
        }
        field.raw.extend_from_slice(b"\r\n");
        field
    }

    /// A new field from a value that may be folded: each of its lines but the first continues the
    /// field, however it ends and begins; lines of blanks alone go, other control bytes become
    /// blanks, lines over [`limits::TEXT_LINE`] are folded.
    pub fn of_value(name: &str, value: &[u8]) -> Self {
        let mut field = Self::named(name);
        let mut lines = value.split(|byte| matches!(byte, b'\r' | b'\n'));
        let first = lines.next().unwrap_or_default();
        let mut column = field.raw.len();
        field.add_line(first, &mut column);
        for line in lines.filter(|line| !line.trim_ascii().is_empty()) {
            field.raw.extend_from_slice(b"\r\n");
            column = 0;
            if !matches!(line, [b' ' | b'\t', ..]) {
                field.raw.push(b'\t');
                column = 1;
            }
            field.add_line(line, &mut column);
        }
        field.raw.extend_from_slice(b"\r\n");
        field
    }

    /// Text without line ends, folded only where the line would become too long: before a blank,
    /// else anywhere but in a character.
    fn add_line(&mut self, line: &[u8], column: &mut usize) {
        let mut rest = line;
        while column.saturating_add(rest.len()) > HARD_FOLD {
            let room = HARD_FOLD.saturating_sub(*column);
            let head = rest.get(..room).unwrap_or_default();
            let blank = head.iter().rposition(|byte| matches!(byte, b' ' | b'\t'));
            let between = |&at: &usize| rest.get(at).is_none_or(|byte| byte & 0xc0 != 0x80);
            let inside = (room.saturating_sub(3)..=room).rev().find(between);
            let cut = blank.filter(|&at| at > 0).or(inside).unwrap_or(room);
            let (now, later) = rest.split_at_checked(cut).unwrap_or((rest, &[]));
            self.add_clean(now);
            self.raw.extend_from_slice(b"\r\n");
            *column = 0;
            if !matches!(later, [b' ' | b'\t', ..]) {
                self.raw.push(b'\t');
                *column = 1;
            }
            rest = later;
        }
        self.add_clean(rest);
        *column = column.saturating_add(rest.len());
    }

    fn add_clean(&mut self, text: &[u8]) {
        let clean = |&byte: &u8| match byte {
            b'\t' => byte,
            byte if byte.is_ascii_control() => b' ',
            byte => byte,
        };
        self.raw.extend(text.iter().map(clean));
    }

    fn named(name: &str) -> Self {
        let mut raw: Vec<u8> = name.bytes().filter(|&byte| is_ftext(byte)).collect();
        let colon = raw.len();
        raw.push(b':');
        Self { raw, colon }
    }

    /// From raw lines with their final CRLF.
    fn of_raw(raw: Vec<u8>) -> Self {
        let colon = name_length(&raw).unwrap_or(0);
        Self { raw, colon }
    }

    /// The same field with other bytes after the colon; they do not hold the final CRLF.
    pub(super) fn with_body(&self, body: &[u8]) -> Self {
        let mut raw = self.raw.get(..=self.colon).unwrap_or_default().to_vec();
        raw.extend_from_slice(body);
        raw.extend_from_slice(b"\r\n");
        Self {
            raw,
            colon: self.colon,
        }
    }

    /// The same field with other bytes; the name and the final CRLF are in them.
    pub(super) fn with_raw(&self, raw: Vec<u8>) -> Self {
        Self {
            raw,
            colon: self.colon,
        }
    }

    /// All bytes after the colon, folding included, the final CRLF not.
    pub fn body(&self) -> &[u8] {
        let body = self.raw.get(self.colon.saturating_add(1)..);
        let body = body.filter(|_| self.colon > 0).unwrap_or_default();
        body.strip_suffix(b"\r\n").unwrap_or(body)
    }

    /// Without blanks before the colon and lines of blanks alone (RFC 5322 §4.2, §4.5); `None` if
    /// there are none.
    pub(super) fn tidied(&self) -> Option<Self> {
        let name = self.raw.get(..self.colon)?.trim_ascii_end();
        let rest = self.raw.get(self.colon..)?;
        let mut raw = name.to_vec();
        for (index, line) in rest.split_inclusive(|&byte| byte == b'\n').enumerate() {
            if index == 0 || !line.trim_ascii().is_empty() {
                raw.extend_from_slice(line);
            }
        }
        let colon = name.len();
        (raw != self.raw).then_some(Self { raw, colon })
    }

    /// Name as written; empty for a line that is no field.
    pub fn name(&self) -> &str {
        let name = self
            .raw
            .get(..self.colon)
            .unwrap_or_default()
            .trim_ascii_end();
        std::str::from_utf8(name).unwrap_or_default()
    }

    /// Whether it is this field, without regard to case.
    pub fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name)
    }

    /// Value with folding undone and outer blanks removed.
    pub fn value(&self) -> Vec<u8> {
        let body = self.body().trim_ascii();
        body.iter()
            .copied()
            .filter(|byte| !matches!(byte, b'\r' | b'\n'))
            .collect()
    }

    /// All of it, with CRLF.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }
}

/// Where the colon of a field stands: after a name of printable ASCII, blanks before the colon
/// allowed.
pub(super) fn name_length(line: &[u8]) -> Option<usize> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let name = line.get(..colon)?.trim_ascii_end();
    let blanks = line.get(name.len()..colon)?;
    let valid = !name.is_empty()
        && name.iter().all(|&byte| is_ftext(byte))
        && blanks.iter().all(|byte| matches!(byte, b' ' | b'\t'));
    valid.then_some(colon)
}

/// RFC 5322 §3.6.8.
fn is_ftext(byte: u8) -> bool {
    (33..=126).contains(&byte) && byte != b':'
}

impl Header {
    /// Reads canonical CRLF lines (no empty line at the end). Total: a line that is neither field
    /// nor continuation is kept as it is.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut raws: Vec<Vec<u8>> = Vec::new();
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            match raws.last_mut() {
                Some(raw) if line.starts_with(b" ") || line.starts_with(b"\t") => {
                    raw.extend_from_slice(line);
                }
                _ => raws.push(line.to_vec()),
            }
        }
        if let Some(last) = raws.last_mut().filter(|last| !last.ends_with(b"\r\n")) {
            let end = last.trim_ascii_end().len();
            last.truncate(end);
            last.extend_from_slice(b"\r\n");
        }
        Self {
            fields: raws.into_iter().map(Field::of_raw).collect(),
        }
    }

    /// All fields.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// First field of that name.
    pub fn first(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.is(name))
    }

    /// Puts a field before all others.
    pub fn prepend(&mut self, field: Field) {
        self.fields.insert(0, field);
    }

    /// Puts a field before the one at this place, or after all others.
    pub fn insert(&mut self, index: usize, field: Field) {
        self.fields.insert(index.min(self.fields.len()), field);
    }

    /// Puts another field in the place of one, or takes it out.
    pub fn replace(&mut self, index: usize, field: Option<Field>) {
        match (self.fields.get_mut(index), field) {
            (Some(place), Some(field)) => *place = field,
            (Some(_), None) => drop(self.fields.remove(index)),
            (None, _) => {}
        }
    }

    /// Puts a field after all others.
    pub fn append(&mut self, field: Field) {
        self.fields.push(field);
    }

    /// Puts a field before the first one for which `before` holds, or after all others.
    pub(super) fn insert_before(&mut self, field: Field, before: impl Fn(&Field) -> bool) {
        let index = self
            .fields
            .iter()
            .position(before)
            .unwrap_or(self.fields.len());
        self.fields.insert(index, field);
    }

    /// Replaces each field for which `edit` gives another.
    pub fn edit(&mut self, mut edit: impl FnMut(&Field) -> Option<Field>) {
        for field in &mut self.fields {
            if let Some(other) = edit(field) {
                *field = other;
            }
        }
    }

    /// Of the fields of that name keeps the one at `index`, with `body` if it is to change; gives
    /// back the others.
    pub(super) fn keep_one(&mut self, name: &str, index: usize, body: Option<&[u8]>) -> Vec<Field> {
        let mut at = 0usize;
        let others = self.fields.extract_if(.., |field| {
            let here = at == index;
            at = at.saturating_add(1);
            if let Some(body) = body.filter(|_| here) {
                *field = field.with_body(body);
            }
            !here && field.is(name)
        });
        others.collect()
    }

    /// Removes the fields for which `unwanted` holds.
    pub(super) fn remove_where(&mut self, unwanted: impl Fn(&Field) -> bool) {
        self.fields.retain(|field| !unwanted(field));
    }

    /// Removes all fields of that name; how many there were.
    pub fn remove(&mut self, name: &str) -> usize {
        let before = self.fields.len();
        self.fields.retain(|field| !field.is(name));
        before.saturating_sub(self.fields.len())
    }

    /// The bytes: fields only, without the empty line.
    pub fn to_bytes(&self) -> Vec<u8> {
        let raws: Vec<&[u8]> = self.fields.iter().map(Field::raw).collect();
        raws.concat()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SAMPLE: &[u8] = b"Received: a\r\n\tb\r\nSUBJECT :  two \r\n  lines \r\nnonsense\r\nX-\xff: no\r\nto:\xe9\r\n";

    #[test]
    fn fields_are_found_without_regard_to_case_and_kept_byte_for_byte() {
        let header = Header::parse(SAMPLE);
        assert_eq!(header.to_bytes(), SAMPLE);
        assert_eq!(header.fields().len(), 5);
        assert_eq!(header.first("subject").unwrap().value(), b"two   lines");
        assert_eq!(header.first("SuBjEcT").unwrap().name(), "SUBJECT");
        assert_eq!(header.first("To").unwrap().value(), b"\xe9");
        let names: Vec<&str> = header.fields().iter().map(Field::name).collect();
        assert_eq!(names, ["Received", "SUBJECT", "", "", "to"]);
    }

    #[test]
    fn only_the_edited_field_changes() {
        let mut header = Header::parse(SAMPLE);
        header.edit(|field| field.is("to").then(|| Field::new("To", "a@x")));
        assert_eq!(header.remove("received"), 1);
        header.prepend(Field::new("A", "1"));
        header.append(Field::new("Z", ""));
        assert_eq!(
            header.to_bytes(),
            b"A: 1\r\nSUBJECT :  two \r\n  lines \r\nnonsense\r\nX-\xff: no\r\nTo: a@x\r\nZ:\r\n"
        );
    }

    #[test]
    fn a_new_field_cannot_inject_another_and_is_folded() {
        let field = Field::new("Sub ject\r\nX", "a\r\nBcc: evil@example.org\0");
        assert_eq!(field.raw(), b"SubjectX: a Bcc: evil@example.org\r\n");
        let words = "word ".repeat(60);
        let field = Field::new("Subject", &words);
        assert!(
            field
                .raw()
                .split(|&b| b == b'\n')
                .all(|line| line.len() <= 79)
        );
        assert_eq!(field.value(), words.trim().as_bytes());
        let long = Field::new("X", &"é".repeat(2000));
        assert!(
            long.raw()
                .split(|&b| b == b'\n')
                .all(|line| line.len() <= 999 && std::str::from_utf8(line).is_ok())
        );
    }

    #[test]
    fn a_value_keeps_its_folding_and_no_line_of_it_becomes_a_field() {
        for (value, raw) in [
            (" a;\r\n\tb;\r\n\tc", "X: a;\r\n\tb;\r\n\tc\r\n"),
            (" a;\n\tb", "X: a;\r\n\tb\r\n"),
            (
                " one\nBcc: victim@example.net",
                "X: one\r\n\tBcc: victim@example.net\r\n",
            ),
            (
                " one\rBcc: v\r\n\r\n \r\nbody",
                "X: one\r\n\tBcc: v\r\n\tbody\r\n",
            ),
            ("\0\x07\x7f\t", "X:   \t\r\n"),
        ] {
            assert_eq!(Field::of_value("X", value.as_bytes()).raw(), raw.as_bytes());
        }
        let long = [" ", &"é".repeat(900), " ", &"b".repeat(1200)].concat();
        let field = Field::of_value("X", long.as_bytes());
        let lines: Vec<_> = field.raw().split_inclusive(|&b| b == b'\n').collect();
        assert!(
            lines.iter().all(|line| line.len() <= limits::TEXT_LINE),
            "{lines:?}"
        );
        assert!(lines.iter().all(|line| std::str::from_utf8(line).is_ok()));
        let value = field.value();
        let kept: Vec<u8> = value
            .into_iter()
            .filter(|b| !b.is_ascii_whitespace())
            .collect();
        assert_eq!(kept, long.replace(' ', "").as_bytes());
    }

    proptest! {
        #[test]
        fn any_value_is_one_field(value in proptest::collection::vec(any::<u8>(), 0..300), times in 1usize..8) {
            let field = Field::of_value("X", &value.repeat(times));
            let mut header = Header::default();
            header.append(field.clone());
            prop_assert_eq!(Header::parse(&header.to_bytes()), header);
            let lines: Vec<_> = field.raw().split_inclusive(|&b| b == b'\n').collect();
            prop_assert!(lines.iter().all(|line| line.ends_with(b"\r\n") && line.len() <= limits::TEXT_LINE));
            let inner = lines.iter().flat_map(|line| line.strip_suffix(b"\r\n").unwrap());
            prop_assert!(!inner.copied().any(|b| matches!(b, b'\r' | b'\n' | 0)));
        }

        #[test]
        fn any_lines_are_kept_and_any_new_field_is_one_field(text in "([a-z :\t]{0,9}\r\n){0,8}", name in ".{0,9}", value in ".{0,200}") {
            prop_assert_eq!(Header::parse(text.as_bytes()).to_bytes(), text.as_bytes());
            let mut header = Header::default();
            header.append(Field::new(&format!("N{name}"), &value));
            prop_assert_eq!(Header::parse(&header.to_bytes()), header);
        }
    }
}
