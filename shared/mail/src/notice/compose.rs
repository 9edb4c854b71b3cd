//! A message of our own: the header fields that all of them have, and one MIME body.
//!
//! RFC 5322 §3.6; RFC 3834 §5 (Auto-Submitted).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use lettre::message::{
    SinglePart,
    header::{Headers, Subject},
};

use crate::{
    address::Address,
    clock::Timestamp,
    message::{Field, Header},
};

/// A group of nobody, as RFC 5322 §A.1.3 has it.
const UNDISCLOSED: &str = "undisclosed-recipients:;";

/// What goes over a body.
pub(super) struct Heading<'a> {
    pub(super) hostname: &'a str,
    pub(super) now: Timestamp,
    /// Full `From`.
    pub(super) from: String,
    /// Nobody: recipients who are not shown to each other.
    pub(super) to: &'a [Address],
    pub(super) subject: &'a str,
    /// Left part of the Message-ID.
    pub(super) id: String,
    /// `auto-replied`, `auto-generated`.
    pub(super) auto_submitted: &'a str,
    /// Message-ID of the message that this one is about.
    pub(super) about: Option<&'a str>,
}

impl Heading<'_> {
    /// The complete message; `mime` begins with its own header fields.
    pub(super) fn over(&self, mime: &[u8]) -> Vec<u8> {
        let mut header = Header::default();
        let to = self
            .to
            .iter()
            .map(Address::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        header.append(Field::new("Date", &self.now.rfc5322()));
        header.append(Field::new("From", &self.from));
        let to = if to.is_empty() { UNDISCLOSED } else { &to };
        header.append(Field::new("To", to));
        header.append(Field::new("Subject", &encoded_subject(self.subject)));
        header.append(Field::new(
            "Message-ID",
            &format!("<{}@{}>", self.id, self.hostname),
        ));
        if let Some(about) = self.about {
            header.append(Field::new("In-Reply-To", about));
            header.append(Field::new("References", about));
        }
        header.append(Field::new("Auto-Submitted", self.auto_submitted));
        header.append(Field::new("MIME-Version", "1.0"));
        [header.to_bytes().as_slice(), mime].concat()
    }
}

/// RFC 2047 where it is needed.
fn encoded_subject(subject: &str) -> String {
    let clean: String = subject
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if clean.is_ascii() {
        return clean;
    }
    let mut headers = Headers::new();
    headers.set(Subject::from(clean));
    let text = headers.to_string();
    let value = text.split_once(':').map_or("", |(_, value)| value);
    value.replace("\r\n", "").trim().to_owned()
}

/// Text for people: 7-bit as it is, quoted-printable or base64 otherwise; controls other than line
/// ends and tabs become blanks.
pub(super) fn plain(text: &str) -> SinglePart {
    let clean = |c: char| {
        if c.is_control() && !matches!(c, '\n' | '\t') {
            ' '
        } else {
            c
        }
    };
    let text: String = text.replace("\r\n", "\n").chars().map(clean).collect();
    SinglePart::plain(text)
}

/// What `test` of a program sends.
pub fn test(program: &str, hostname: &str, now: Timestamp, to: &Address) -> Vec<u8> {
    let text =
        format!("{program} on {hostname} can send mail.\n\nThis is what `{program} test` sends.\n");
    let subject = format!("Test message from {hostname}");
    notice(hostname, now, std::slice::from_ref(to), &subject, &text)
}

/// A plain notice to administrators: `Auto-Submitted: auto-generated`.
pub fn notice(
    hostname: &str,
    now: Timestamp,
    to: &[Address],
    subject: &str,
    text: &str,
) -> Vec<u8> {
    let sum = crc32c::crc32c_append(crc32c::crc32c(subject.as_bytes()), text.as_bytes());
    let heading = Heading {
        hostname,
        now,
        from: format!("\"Mail system of {hostname}\" <postmaster@{hostname}>"),
        to,
        subject,
        id: format!("notice.{}.{sum:08x}", now.as_millis()),
        auto_submitted: "auto-generated",
        about: None,
    };
    heading.over(&plain(text).formatted())
}
