//! Who wrote a message on a machine, as its agent knows from the kernel and tells its smarthost: a
//! trace field of our own.
//!
//! Contract: kept where the relayhost's key is pinned (that it is a test: always), sent to
//! relayhosts that offer XWRITER alone, believed of clients that may relay, and gone when the
//! smarthost has read it: it leaves the site with no mail. Bounded, printable ASCII, whatever a
//! program calls itself; what is written reads back the same.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt::{self, Write as _};

use crate::message::{Field, Header};

/// The field's name.
pub const WRITER: &str = "Sendmail-Shim-Writer";
/// Longest value, characters as they are told, and bytes as they are written.
const LONGEST: usize = 120;
const CODED: usize = 600;
/// What is said of a test.
const YES: &str = "yes";

/// What is not known is empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Writer {
    /// Login name.
    pub user: String,
    /// systemd unit.
    pub unit: String,
    /// The program that started `sendmail`, and its script if it has one.
    pub command: String,
    /// It is what `sendmail-shim test` sends.
    pub test: bool,
}

impl Writer {
    /// `user=www-data; unit=php8.4-fpm.service; command=/usr/bin/php /var/www/shop/order.php`, a
    /// line each.
    pub fn field(&self) -> Field {
        let test = if self.test { YES } else { "" };
        let parts = [
            ("user", self.user.as_str()),
            ("unit", &self.unit),
            ("command", &self.command),
            ("test", test),
        ];
        let known = parts.into_iter().filter(|(_, value)| !value.is_empty());
        let lines: Vec<String> = known
            .map(|(key, value)| format!("{key}={}", coded(value)))
            .collect();
        let last = lines.len().saturating_sub(1);
        let ended = lines.into_iter().enumerate();
        let ended = ended.map(|(at, line)| if at < last { line + ";" } else { line });
        Field::of_lines(WRITER, &ended.collect::<Vec<_>>())
    }

    /// What the first such field says; all of them are taken out.
    pub fn take(header: &mut Header) -> Option<Self> {
        let value = header.first(WRITER).map(Field::value);
        header.remove(WRITER);
        let value = value?;
        let text = String::from_utf8_lossy(&value);
        let mut found = Self::default();
        for part in text.split(';') {
            let (key, value) = part.trim().split_once('=').unwrap_or_default();
            let place = match key {
                "user" => &mut found.user,
                "unit" => &mut found.unit,
                "command" => &mut found.command,
                "test" => {
                    found.test = value.trim() == YES;
                    continue;
                }
                _ => continue,
            };
            *place = decoded(value);
        }
        (found != Self::default()).then_some(found)
    }
}

/// `user www-data, unit php8.4-fpm.service, /usr/bin/php /var/www/shop/order.php`
impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("user ", self.user.as_str()),
            ("unit ", &self.unit),
            ("", &self.command),
            ("", if self.test { "a test" } else { "" }),
        ];
        let known = parts.into_iter().filter(|(_, value)| !value.is_empty());
        for (at, (word, value)) in known.enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{word}{value}")?;
        }
        Ok(())
    }
}

fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~') && !matches!(c, ';' | '%')
}

fn coded(value: &str) -> String {
    let mut out = String::new();
    for c in value.trim().chars().take(LONGEST) {
        if out.len() >= CODED {
            break;
        }
        if is_plain(c) {
            out.push(c);
        } else {
            let mut buffer = [0; 4];
            let bytes = c.encode_utf8(&mut buffer).bytes();
            for byte in bytes {
                // Writing to a String cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

fn decoded(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.trim().as_bytes();
    while let [first, after @ ..] = rest {
        let code = || {
            let code = std::str::from_utf8(after.get(..2)?).ok()?;
            u8::from_str_radix(code, 16).ok()
        };
        match (first, code()) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            (byte, _) => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let shown = |c: char| if c.is_control() { '?' } else { c };
    text.chars().take(LONGEST).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn who_wrote_a_message_is_read_back_and_taken_out_whatever_else_is_there() {
        let writer = Writer {
            user: "www-data".to_owned(),
            unit: "php8.4-fpm.service".to_owned(),
            command: "/usr/bin/php /srv/q; 100% \u{e9}t\u{e9}.php".to_owned(),
            test: true,
        };
        let mut header = Header::parse(b"Subject: x\r\n");
        header.append(writer.field());
        header.append(Field::new(WRITER, "user=root"));
        let mut header = Header::parse(&header.to_bytes());
        assert!(header.to_bytes().is_ascii());
        assert_eq!(Writer::take(&mut header), Some(writer.clone()));
        assert_eq!(header.to_bytes(), b"Subject: x\r\n");
        assert_eq!(Writer::take(&mut header), None);
        assert_eq!(
            writer.to_string(),
            "user www-data, unit php8.4-fpm.service, /usr/bin/php /srv/q; 100% \u{e9}t\u{e9}.php, a test"
        );
    }

    proptest! {
        #[test]
        fn no_name_of_a_program_breaks_the_header(user in ".*", command in proptest::collection::vec(any::<char>(), 0..300)) {
            let writer = Writer { user, unit: String::new(), command: command.into_iter().collect(), test: false };
            let mut header = Header::default();
            header.append(writer.field());
            let bytes = header.to_bytes();
            prop_assert!(bytes.is_ascii() && bytes.split(|byte| *byte == b'\n').all(|line| line.len() < 998));
            let mut header = Header::parse(&bytes);
            prop_assert_eq!(header.fields().len(), 1);
            let read = Writer::take(&mut header).unwrap_or_default();
            prop_assert!(read.to_string().chars().all(|c| !c.is_control()));
            prop_assert!(header.fields().is_empty());
        }

        #[test]
        fn whatever_a_client_writes_there_is_bounded(value in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let mut header = Header::default();
            header.append(Field::of_value(WRITER, &value));
            let mut header = Header::parse(&header.to_bytes());
            let told = Writer::take(&mut header).map(|writer| writer.to_string());
            prop_assert!(told.unwrap_or_default().chars().count() < 400);
        }
    }
}
