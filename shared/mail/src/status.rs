//! SMTP reply codes and enhanced status codes as values.
//!
//! Contract: a [`ReplyCode`] is always 200..=599, an [`EnhancedStatus`] always has class 2, 4 or 5;
//! both print as they stand on the wire.
//! RFC 5321 §4.2 (reply codes), RFC 3463 (enhanced codes), RFC 2034 (both in one reply).

use std::fmt;

/// A three-digit SMTP reply code, 200..=599.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplyCode(u16);

impl ReplyCode {
    /// 451: error in processing (RFC 5321 §4.2.2); what a slip of ours in a code becomes.
    pub const LOCAL_ERROR: Self = Self(451);

    /// The code, if it is one that SMTP knows (RFC 5321 §4.2.1: first digit 2 to 5).
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 200 && code <= 599 {
            Some(Self(code))
        } else {
            None
        }
    }

    /// The code as a number.
    pub const fn value(self) -> u16 {
        self.0
    }

    /// What the first digit says.
    pub const fn severity(self) -> Severity {
        match self.0 / 100 {
            2 => Severity::Success,
            3 => Severity::Intermediate,
            4 => Severity::Transient,
            _ => Severity::Permanent,
        }
    }
}

impl fmt::Display for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The meaning of a reply's first digit (RFC 5321 §4.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// 2yz
    Success,
    /// 3yz
    Intermediate,
    /// 4yz: try again later
    Transient,
    /// 5yz: do not try again
    Permanent,
}

/// An enhanced mail system status code such as `4.7.1` (RFC 3463).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnhancedStatus {
    class: u8,
    subject: u16,
    detail: u16,
}

impl EnhancedStatus {
    /// A code written in the source; `class` is 2, 4 or 5, the others at most 999 (anything else
    /// becomes x.0.0 of class 4).
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        if (class == 2 || class == 4 || class == 5) && subject <= 999 && detail <= 999 {
            Self {
                class,
                subject,
                detail,
            }
        } else {
            Self {
                class: 4,
                subject: 0,
                detail: 0,
            }
        }
    }

    /// Reads `class.subject.detail`; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let class = match parts.next()? {
            "2" => 2,
            "4" => 4,
            "5" => 5,
            _ => return None,
        };
        let subject = parse_part(parts.next()?)?;
        let detail = parse_part(parts.next()?)?;
        parts.next().is_none().then_some(Self {
            class,
            subject,
            detail,
        })
    }

    /// 2, 4 or 5.
    pub const fn class(self) -> u8 {
        self.class
    }

    /// The second number: 1 address, 2 mailbox, 4 network, 6 content, 7 policy (RFC 3463 §2).
    pub const fn subject(self) -> u16 {
        self.subject
    }

    /// The third number.
    pub const fn detail(self) -> u16 {
        self.detail
    }

    /// Whether it says this, for now or for good.
    pub const fn says(self, subject: u16, detail: u16) -> bool {
        self.subject == subject && self.detail == detail
    }

    /// The same for now.
    #[must_use]
    pub const fn for_now(self) -> Self {
        Self { class: 4, ..self }
    }
}

fn parse_part(digits: &str) -> Option<u16> {
    let valid = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if valid { digits.parse().ok() } else { None }
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl fmt::Debug for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enhanced_code_is_read_back_as_it_is_printed_and_nothing_else_is_one() {
        for good in ["2.0.0", "4.7.1", "5.1.10"] {
            assert_eq!(EnhancedStatus::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "", "3.0.0", "4.7", "4.7.1.1", "5.1.1000", "5..1", "5.1.x", " 4.7.1",
        ] {
            assert_eq!(EnhancedStatus::parse(bad), None, "{bad}");
        }
    }
}
