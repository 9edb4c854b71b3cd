//! What EHLO announces, both directions.
//!
//! Contract: keywords in any case; unknown ones are skipped; a keyword with a parameter that makes
//! no sense counts as the keyword without it.
//! RFC 5321 §4.1.1.1 (ehlo-line), 1870 (SIZE), 2034, 2920, 3030, 3207, 3461, 4954 (AUTH), 6152,
//! 6531.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

use crate::{command::xclient::ATTRIBUTES, reply::Reply};

/// Extensions that a peer offers (RFC 5321 §2.2; each field its own RFC).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Capabilities {
    pub pipelining: bool,
    /// SIZE; `Some(0)`: no limit named.
    pub size: Option<u64>,
    pub eight_bit_mime: bool,
    pub smtputf8: bool,
    pub enhanced_status_codes: bool,
    pub chunking: bool,
    pub dsn: bool,
    pub starttls: bool,
    /// Mechanisms of AUTH, upper case.
    pub auth: Vec<String>,
    /// Our agent's own: MAIL takes `XCALLER[=full-name]`, "the sender is the caller, as the socket
    /// tells", and `XQUEUED`, "another program had taken this message".
    pub xcaller: bool,
    /// Postfix's XCLIENT.
    pub xclient: bool,
    /// Our smarthost's own: who wrote a message on its machine may be told in a field.
    pub xwriter: bool,
    /// Our smarthost's own: MAIL takes `XMOVE`, "this was queued elsewhere, and moves here".
    pub xmove: bool,
    /// Our smarthost's own: a machine may be enrolled with the key that it has shown (XENROLL).
    pub xenroll: bool,
}

impl Capabilities {
    /// From the reply to EHLO or LHLO; its first line is the peer's name.
    pub fn parse(reply: &Reply) -> Self {
        let mut found = Self::default();
        for line in reply.lines.iter().skip(1) {
            let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
            match words.next().unwrap_or("").to_ascii_uppercase().as_str() {
                "PIPELINING" => found.pipelining = true,
                "SIZE" => found.size = Some(words.next().and_then(|n| n.parse().ok()).unwrap_or(0)),
                "8BITMIME" => found.eight_bit_mime = true,
                "SMTPUTF8" => found.smtputf8 = true,
                "ENHANCEDSTATUSCODES" => found.enhanced_status_codes = true,
                "CHUNKING" => found.chunking = true,
                "DSN" => found.dsn = true,
                "STARTTLS" => found.starttls = true,
                // `AUTH=` is an old form, sent beside the right one.
                "AUTH" => {
                    for mechanism in words.map(str::to_ascii_uppercase) {
                        if !found.auth.contains(&mechanism) {
                            found.auth.push(mechanism);
                        }
                    }
                }
                "XCALLER" => found.xcaller = true,
                "XCLIENT" => found.xclient = true,
                "XWRITER" => found.xwriter = true,
                "XMOVE" => found.xmove = true,
                "XENROLL" => found.xenroll = true,
                _ => {}
            }
        }
        found
    }

    /// The answer to EHLO: the host's name, then a line for each extension.
    pub fn reply(&self, hostname: &str) -> Reply {
        let flag = |offered: bool, keyword: &str| offered.then(|| keyword.to_owned());
        let size = self.size.map(|limit| {
            if limit == 0 {
                "SIZE".to_owned()
            } else {
                format!("SIZE {limit}")
            }
        });
        let auth = (!self.auth.is_empty()).then(|| format!("AUTH {}", self.auth.join(" ")));
        let lines = [
            Some(hostname.to_owned()),
            flag(self.pipelining, "PIPELINING"),
            size,
            flag(self.starttls, "STARTTLS"),
            auth,
            flag(self.enhanced_status_codes, "ENHANCEDSTATUSCODES"),
            flag(self.eight_bit_mime, "8BITMIME"),
            flag(self.dsn, "DSN"),
            flag(self.smtputf8, "SMTPUTF8"),
            flag(self.chunking, "CHUNKING"),
            flag(self.xcaller, "XCALLER"),
            self.xclient.then(|| format!("XCLIENT {ATTRIBUTES}")),
            flag(self.xwriter, "XWRITER"),
            flag(self.xmove, "XMOVE"),
            flag(self.xenroll, "XENROLL"),
        ];
        Reply::plain(250, lines.into_iter().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> Capabilities {
        Capabilities::parse(&Reply::plain(
            250,
            lines.iter().map(|&line| line.to_owned()).collect(),
        ))
    }

    #[test]
    fn what_servers_announce_is_understood_in_any_case_and_with_odd_parameters() {
        let found = of(&[
            "DSN",
            "pipelining",
            "Size 10240000",
            "AUTH PLAIN login",
            "AUTH=PLAIN",
            "STARTTLS",
            "VRFY",
            "8bitmime",
            "",
        ]);
        assert!(found.pipelining && found.starttls && found.eight_bit_mime);
        assert!(!found.dsn, "the first line is the peer's name");
        assert_eq!(found.size, Some(10_240_000));
        assert_eq!(found.auth, ["PLAIN", "LOGIN"]);
        for odd in ["SIZE", "SIZE x", "SIZE -1", "SIZE 99999999999999999999999"] {
            assert_eq!(of(&["mx", odd]).size, Some(0), "{odd}");
        }
    }

    #[test]
    fn what_we_announce_a_client_understands() {
        let ours = Capabilities {
            pipelining: true,
            size: Some(52_428_800),
            eight_bit_mime: true,
            smtputf8: true,
            enhanced_status_codes: true,
            chunking: true,
            dsn: true,
            starttls: true,
            auth: vec!["PLAIN".into()],
            xcaller: true,
            xclient: true,
            xwriter: true,
            xmove: true,
            xenroll: true,
        };
        assert_eq!(Capabilities::parse(&ours.reply("mx.example.org")), ours);
        assert_eq!(
            Capabilities::default().reply("mx.example.org").text(),
            "250 mx.example.org"
        );
    }
}
