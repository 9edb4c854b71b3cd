//! A password or token that a server repeats: found in what it says, to be told to nobody.
//!
//! Contract: found is each line with sixteen bytes of it in a row, or with the whole of a shorter
//! one of six bytes or more, as it is or in base64, also where it goes on in the next lines of the
//! reply. Blanks count nowhere. What is compared is made once a connection; each line is then read
//! once.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use std::{collections::HashSet, fmt};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use mail::status::EnhancedStatus;

use super::Credentials;

/// Shorter secrets are words that stand anywhere.
const SHORTEST: usize = 6;
/// So much of a long one tells something of it.
const PART: usize = 16;
/// What stands in place of a line.
const INSTEAD: &str = "(text that repeats our password or token)";

/// What nobody may read.
pub(crate) struct Repeated {
    /// Of each way in which the secret can look, all parts, of one length.
    looks: Vec<(usize, HashSet<Vec<u8>>)>,
}

impl Repeated {
    /// For the secret of these.
    pub(crate) fn new(credentials: &Credentials) -> Self {
        let secret = credentials.secret();
        // In base64 it looks in one of three ways, whatever stands before it; its ends depend on
        // what is beside it.
        let encoded = (0..3).map(|before| {
            let text = BASE64_STANDARD.encode(["x".repeat(before).as_str(), secret].concat());
            let inner = text.get(4..text.len().saturating_sub(4));
            inner.unwrap_or_default().to_owned()
        });
        let looks = encoded
            .chain([secret.split_ascii_whitespace().collect()])
            .filter(|look| look.len() >= SHORTEST)
            .map(|look| {
                let length = look.len().min(PART);
                let parts = look.as_bytes().windows(length).map(<[u8]>::to_vec);
                (length, parts.collect())
            });
        Self {
            looks: looks.collect(),
        }
    }

    /// Takes the lines away in which it stands.
    pub(crate) fn hide_in(&self, lines: &mut [String]) {
        let (mut said, mut places) = (Vec::new(), Vec::new());
        for (number, line) in lines.iter().enumerate() {
            let bytes = text(line).bytes().filter(|it| !it.is_ascii_whitespace());
            for byte in bytes {
                said.push(byte);
                places.push(number);
            }
        }
        for (length, parts) in &self.looks {
            let windows = said.windows(*length).zip(places.windows(*length));
            for (_, places) in windows.filter(|(bytes, _)| parts.contains(*bytes)) {
                if let (Some(first), Some(last)) = (places.first(), places.last()) {
                    for line in lines.get_mut(*first..=*last).unwrap_or_default() {
                        INSTEAD.clone_into(line);
                    }
                }
            }
        }
    }
}

/// A line without a status of its own, behind which the text of the line before may go on.
fn text(line: &str) -> &str {
    match line.trim_start().split_once(' ') {
        Some((word, rest)) if EnhancedStatus::parse(word).is_some() => rest,
        _ => line,
    }
}

impl fmt::Debug for Repeated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Repeated")
    }
}
