//! One address and the envelope sender.
//!
//! Contract: an [`Address`] is written as RFC 5321 §4.1.2 asks, so it can be put on the wire as it
//! stands; a quoted local part stays quoted; what is read back from its own text is equal.
//! Failures: an [`AddressError`] says which part is wrong, for a message to whoever wrote the
//! address.
//! RFC 5321 §4.1.2 (Mailbox), §4.5.3.1 (lengths); RFC 6531 §3.3 (UTF-8).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
};

use crate::{
    address::{AddressError, Domain},
    limits,
};

/// `local@domain`, as RFC 5321 writes a Mailbox.
///
/// Prints as it was written; two are equal if local part and [`Domain`] are.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    text: Box<str>,
    /// Length of the local part, in bytes.
    at: u16,
    domain: Domain,
}

impl Address {
    /// Reads `local@domain` (dot-string or quoted-string; domain, IDN in UTF-8, or address
    /// literal), without brackets.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(AddressError::Control);
        }
        let end = match text.strip_prefix('"') {
            Some(rest) => quoted_length(rest)
                .ok_or(AddressError::LocalPart)?
                .saturating_add(1),
            None => text.find('@').ok_or(AddressError::NoDomain)?,
        };
        let (local, rest) = text.split_at_checked(end).ok_or(AddressError::LocalPart)?;
        if rest.is_empty() {
            return Err(AddressError::NoDomain);
        }
        let domain = rest.strip_prefix('@').ok_or(AddressError::LocalPart)?;
        if local.len() > limits::LOCAL_PART || domain.len() > limits::DOMAIN {
            return Err(AddressError::TooLong);
        }
        if !local.starts_with('"') && !is_dot_string(local) {
            return Err(AddressError::LocalPart);
        }
        let at = u16::try_from(end).map_err(|_| AddressError::TooLong)?;
        Ok(Self {
            text: text.into(),
            at,
            domain: Domain::parse(domain)?,
        })
    }

    /// From the parts; `local` is the meaning, not the written form, and is quoted here where that
    /// is needed.
    pub fn new(local: &str, domain: &str) -> Result<Self, AddressError> {
        if local.is_empty() {
            return Err(AddressError::Empty);
        }
        Self::parse(&format!("{}@{domain}", quote_local(local)))
    }

    /// Local part as written (quotes included).
    pub fn local_part(&self) -> &str {
        self.text.get(..usize::from(self.at)).unwrap_or_default()
    }

    /// Local part as meant: without quotes and backslashes. What a table is asked for.
    pub fn local_name(&self) -> String {
        unquote_local(self.local_part())
    }

    /// The domain, in the form that is compared.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The domain as written.
    pub fn written_domain(&self) -> &str {
        self.text
            .get(usize::from(self.at).saturating_add(1)..)
            .unwrap_or_default()
    }

    /// `local@domain`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it can travel without SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }

    /// The same mailbox with a domain that every server understands: A-labels (RFC 5890 §2.3.2.1)
    /// instead of UTF-8. A domain that has no such form stays.
    #[must_use]
    pub fn with_ascii_domain(self) -> Self {
        if self.written_domain().is_ascii() {
            return self;
        }
        let whole = format!("{}@{}", self.local_part(), self.domain);
        Self::parse(&whole).unwrap_or(self)
    }

    /// For table lookups and for finding duplicates: all in lower case, needless quotes removed,
    /// the domain in A-labels.
    pub fn key(&self) -> String {
        let local = self.local_part();
        let plain = local
            .starts_with('"')
            .then(|| quote_local(&self.local_name()));
        let local = plain.as_deref().unwrap_or(local).to_lowercase();
        format!("{local}@{}", self.domain)
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Address {}
impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Address {
    fn cmp(&self, other: &Self) -> Ordering {
        let local = self.local_part().cmp(other.local_part());
        local.then_with(|| self.domain.cmp(&other.domain))
    }
}
impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.local_part().hash(state);
        self.domain.hash(state);
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl TryFrom<String> for Address {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::parse(&text)
    }
}
impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.text.into()
    }
}

/// The envelope sender: an address, or nobody (bounces).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, serde::Serialize, serde::Deserialize)]
pub enum Sender {
    /// `<>`: never bounced to.
    #[default]
    Null,
    /// `<local@domain>`
    Address(Address),
}

impl Sender {
    /// The address, unless it is nobody.
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Null => None,
            Self::Address(address) => Some(address),
        }
    }
}

/// Without brackets; the null sender prints as nothing. (`from=<{sender}>`, `MAIL FROM:<{sender}>`)
impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Address(address) => fmt::Display::fmt(address, f),
        }
    }
}

/// Whether a local part needs no quotes: atoms with single dots between them (RFC 5321 §4.1.2
/// Dot-string).
pub fn is_dot_string(local: &str) -> bool {
    local
        .split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// RFC 5322 §3.2.3, with UTF-8 (RFC 6532 §3.2).
pub(crate) fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(c)
        || (!c.is_ascii() && !c.is_control() && !c.is_whitespace())
}

/// The written form of a local part: quoted where it is no dot-string.
pub fn quote_local(local: &str) -> String {
    if is_dot_string(local) {
        return local.to_owned();
    }
    let mut out = String::with_capacity(local.len().saturating_add(2));
    out.push('"');
    for c in local.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// Undoes [`quote_local`].
pub(super) fn unquote_local(written: &str) -> String {
    let Some(inner) = written
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return written.to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

/// Bytes up to and with the closing quote, for a text that starts after the opening one.
fn quoted_length(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '"' => return index.checked_add(1),
            '\\' => {
                chars.next().filter(|(_, escaped)| escaped.is_ascii())?;
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_domain_in_utf8_has_an_ascii_form_and_the_local_part_stays() {
        for (address, ascii) in [
            ("a@bücher.example", "a@xn--bcher-kva.example"),
            ("jürgen@BÜCHER.example", "jürgen@xn--bcher-kva.example"),
            ("a@Example.ORG", "a@Example.ORG"),
            ("a@xn--a\u{301}.example", "a@xn--a\u{301}.example"),
        ] {
            let address = Address::parse(address).unwrap().with_ascii_domain();
            assert_eq!(address.as_str(), ascii);
        }
    }

    #[test]
    fn an_address_keeps_the_form_in_which_it_was_written() {
        for (text, local, domain) in [
            ("a@example.org", "a", "example.org"),
            ("\"a@evil\"@example.org", "\"a@evil\"", "example.org"),
            ("\"a\\\"b\"@example.org", "\"a\\\"b\"", "example.org"),
            ("\"\"@example.org", "\"\"", "example.org"),
            ("user+tag=x@[192.0.2.1]", "user+tag=x", "[192.0.2.1]"),
            ("u@[IPv6:2001:db8::1]", "u", "[IPv6:2001:db8::1]"),
            ("jürgen@münchen.example", "jürgen", "münchen.example"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(
                (address.local_part(), address.written_domain()),
                (local, domain)
            );
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_part_that_is_wrong() {
        use AddressError::{Control, Domain, Empty, LocalPart, NoDomain, TooLong};
        for (text, error) in [
            ("", Empty),
            ("root", NoDomain),
            ("\"root\"", NoDomain),
            ("@example.org", LocalPart),
            ("a b@example.org", LocalPart),
            ("a..b@example.org", LocalPart),
            (".a@example.org", LocalPart),
            ("<a@example.org>", LocalPart),
            ("\"a@example.org", LocalPart),
            ("\"a\"b@example.org", LocalPart),
            ("a@", Domain),
            ("a@b@c", Domain),
            ("a@ex ample.org", Domain),
            ("a@example.org>", Domain),
            ("a\r\nRCPT TO:<b@x>@example.org", Control),
            ("a@example.org\0", Control),
        ] {
            assert_eq!(Address::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(
            Address::parse(&format!("{}@x", "a".repeat(300))),
            Err(TooLong)
        );
    }

    #[test]
    fn one_mailbox_written_in_two_ways_has_one_key() {
        let keys = [
            "Joe@Example.org",
            "\"joe\"@example.ORG",
            "\"j\\oe\"@example.org",
        ]
        .map(|text| Address::parse(text).unwrap().key());
        assert_eq!(
            keys,
            ["joe@example.org", "joe@example.org", "joe@example.org"]
        );
        assert_eq!(
            Address::new("a@evil", "x").unwrap().as_str(),
            "\"a@evil\"@x"
        );
        assert_eq!(Address::new("a\nb", "x"), Err(AddressError::Control));
    }

    #[test]
    fn two_spellings_of_one_domain_make_one_address() {
        let one = Address::parse("jane@B\u{dc}CHER.example").unwrap();
        for text in ["jane@xn--bcher-kva.example", "jane@bu\u{308}cher.EXAMPLE"] {
            let other = Address::parse(text).unwrap();
            assert_eq!((&one, one.key()), (&other, other.key()), "{text}");
        }
        assert_ne!(one, Address::parse("jane@bucher.example").unwrap());
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_an_error_and_an_address_reads_back(text in "\\PC*|.*|[a-z\"\\\\@.]{0,12}@[a-z.\\[\\]:1-9]{0,8}") {
            if let Ok(address) = Address::parse(&text) {
                prop_assert_eq!(Address::parse(&address.to_string()), Ok(address.clone()));
                prop_assert!(!address.as_str().contains(char::is_control));
                prop_assert_eq!(format!("{}@{}", address.local_part(), address.written_domain()), text);
            }
        }

        #[test]
        fn any_local_name_without_controls_survives_quoting(local in "[^\\p{Cc}]{1,40}") {
            let address = Address::new(&local, "example.org").unwrap();
            prop_assert_eq!(address.local_name(), local);
            prop_assert_eq!(Address::parse(address.as_str()).unwrap(), address);
        }
    }
}
