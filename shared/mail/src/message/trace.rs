//! Trace fields: `Received` (RFC 5321 §4.4), and the loop guard that counts them.
//!
//! Contract: one clause a line, no control byte whatever the clauses hold, no line over 998 bytes
//! for clauses within their limits.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::message::{Field, Header};

/// What a `Received` field tells.
#[derive(Clone, Debug)]
pub struct Received<'a> {
    /// `from helo (name [address])`, or `(from root, uid 0)` for local submission; complete words.
    pub from: &'a str,
    /// This machine.
    pub by: &'a str,
    /// `ESMTPS`, `ESMTP`, `SMTP`, `UTF8SMTPS`, `local` … (RFC 3848, RFC 6531 §4.3).
    pub with: &'a str,
    /// Queue id.
    pub id: &'a str,
    /// The recipient, where there is just one.
    pub for_: Option<&'a str>,
    /// RFC 5322 date.
    pub date: &'a str,
    /// TLS version and cipher, if any, as a comment.
    pub tls: Option<&'a str>,
}

/// The folded field.
pub fn received(trace: &Received<'_>) -> Field {
    let mut lines = vec![trace.from.to_owned()];
    if let Some(tls) = trace.tls {
        lines.push(format!("({})", in_comment(tls)));
    }
    let by = format!("by {} with {} id {}", trace.by, trace.with, trace.id);
    match trace.for_ {
        Some(recipient) => {
            lines.push(by);
            lines.push(format!("for <{recipient}>; {}", trace.date));
        }
        None => lines.push(format!("{by}; {}", trace.date)),
    }
    Field::of_lines("Received", &lines)
}

/// Outer parentheses removed, inner ones left only where they pair.
fn in_comment(text: &str) -> String {
    let inner = text
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
        .unwrap_or(text);
    if inner.matches('(').count() == inner.matches(')').count() {
        return inner.to_owned();
    }
    inner.chars().filter(|c| !matches!(c, '(' | ')')).collect()
}

/// How the agent of a machine names itself in its `Received` field, `(sendmail-shim 0.1.0)`.
pub const AGENT: &str = "sendmail-shim";

/// The version that the agent names which wrote the `Received` field behind our own, the first.
pub fn agent(header: &Header) -> Option<String> {
    let mut received = header.fields().iter().filter(|field| field.is("Received"));
    let value = String::from_utf8(received.nth(1)?.value()).ok()?;
    let (before, rest) = value.rsplit_once(&format!("({AGENT} "))?;
    let mut words = before.split_ascii_whitespace().rev().skip(1);
    words.next().filter(|word| *word == "by")?;
    let (version, rest) = rest.split_once(')')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+~-".contains(c);
    let is = rest.starts_with(" with local ") && version.len() <= 32;
    (is && !version.is_empty() && version.chars().all(plain)).then(|| version.to_owned())
}

/// Number of `Received` fields.
pub fn hops(header: &Header) -> usize {
    header.fields().iter().filter(|f| f.is("Received")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_received_field_tells_who_gave_what_to_whom_over_which_tls() {
        let trace = Received {
            from: "from vm1 (vm1.example.org [192.0.2.1])",
            by: "mail.example.org",
            with: "ESMTPS",
            id: "4bX",
            for_: Some("root@example.org"),
            date: "Sun, 22 Nov 2026 07:51:52 +0100",
            tls: Some("using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"),
        };
        assert_eq!(
            received(&trace).raw(),
            b"Received: from vm1 (vm1.example.org [192.0.2.1])\r\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\r\n\tby mail.example.org with ESMTPS id 4bX\r\n\tfor <root@example.org>; Sun, 22 Nov 2026 07:51:52 +0100\r\n"
        );
        let local = Received {
            from: "(from root, uid 0)\r\nBcc: x",
            with: "local",
            for_: None,
            tls: None,
            ..trace
        };
        let mut header = Header::default();
        header.append(received(&local));
        header.append(received(&local));
        let header = Header::parse(&header.to_bytes());
        assert_eq!((hops(&header), header.fields().len()), (2, 2));
    }

    #[test]
    fn the_version_of_an_agent_is_read_where_it_writes_it_and_nowhere_else() {
        let version = |field: &str| {
            agent(&Header::parse(
                format!("Received: from x by y with ESMTP id 1; d\r\nReceived: {field}\r\n")
                    .as_bytes(),
            ))
        };
        let by = |text: &str| {
            version(&format!(
                "(from root, uid 0)\r\n\tby vm1 ({text}) with local id 4; d"
            ))
        };
        assert_eq!(by("sendmail-shim 0.1.0").as_deref(), Some("0.1.0"));
        for none in [
            "sendmail-shim",
            "sendmail-shim ",
            "sendmail-shim 0 1",
            "Exim 4.96",
            "sendmail-shim 1(2",
        ] {
            assert_eq!(by(none), None, "{none}");
        }
        assert_eq!(
            version("(from (sendmail-shim 9), uid 0) by vm1 with local id 4; d"),
            None
        );
        let own = Header::parse(b"Received: by y (sendmail-shim 0.1.0) with local id 1; d\r\n");
        assert_eq!(agent(&own), None, "the first is our own");
    }
}
