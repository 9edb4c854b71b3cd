//! What a line of the log says of a message: the words of both programs, which are Postfix's.
//!
//! Contract: text of a peer, which stands behind everything of ours in a line, is never taken for
//! ours.
//! See also: `system::log::life`, which writes most of them.

use super::entry::is_id;

/// What a line says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said<'a> {
    /// It was taken from this client, `name[address]`.
    Taken {
        client: &'a str,
        login: Option<&'a str>,
    },
    MessageId(&'a str),
    /// It is in the queue; `note`: from whom, or counted as whom.
    Queued {
        sender: &'a str,
        size: &'a str,
        recipients: &'a str,
        note: &'a str,
    },
    Attempt(Attempt<'a>),
    /// Another message that was made of it.
    Made {
        what: &'a str,
        id: &'a str,
    },
    Expired,
    Deleted,
    /// It is in another server's queue now.
    Moved,
    Removed,
    Other,
}

/// What came of it for one recipient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt<'a> {
    pub(super) recipient: &'a str,
    /// Before aliases.
    pub(super) original: Option<&'a str>,
    pub(super) relay: &'a str,
    pub(super) code: &'a str,
    /// `sent`, `replaced`, `deferred`, `bounced`.
    pub status: &'a str,
    /// The peer's words, or the reason.
    pub(super) reply: &'a str,
}

impl<'a> Said<'a> {
    /// `text`: behind the id.
    pub fn parse(text: &'a str) -> Self {
        let said = match text.split_once('=').map_or("", |(key, _)| key) {
            "client" => taken(text),
            "message-id" => text.strip_prefix("message-id=").map(Self::MessageId),
            "from" => queued(text),
            "to" => attempt(text).map(Self::Attempt),
            _ => None,
        };
        said.or_else(|| made(text)).unwrap_or(match text {
            "removed" => Self::Removed,
            text if text.starts_with("deleted by ") => Self::Deleted,
            text if text.starts_with("moved to ") => Self::Moved,
            _ => Self::Other,
        })
    }

    /// Another message that has to do with this one, as its id is named here.
    pub(super) fn other(&self) -> Option<&'a str> {
        match self {
            Self::Made { id, .. } => Some(id),
            Self::Attempt(attempt) => attempt.goes_on_as(),
            _ => None,
        }
    }
}

impl<'a> Attempt<'a> {
    /// The id that it has at the next hop, if the reply names one as Postfix and both our programs
    /// do.
    pub(super) fn goes_on_as(&self) -> Option<&'a str> {
        let words = ["queued as ", "forwarded as "];
        if !matches!(self.status, "sent" | "replaced") {
            return None;
        }
        words.into_iter().find_map(|words| {
            let (_, rest) = self.reply.rsplit_once(words)?;
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric());
            let id = rest.get(..end.unwrap_or(rest.len()))?;
            is_id(id).then_some(id)
        })
    }

    /// Whether it is a message of this very queue: aliases made it anew.
    pub(super) fn is_forwarded(&self) -> bool {
        let is_replaced = self.status == "replaced";
        self.relay == "local" && (is_replaced || self.reply.starts_with("forwarded as "))
    }
}

/// What stands between `<` and the `>` that belongs to it, and what follows.
pub(super) fn angle(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('<')?;
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in inner.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '>' if !quoted => return Some((inner.get(..at)?, inner.get(at + 1..)?)),
            _ => {}
        }
    }
    // An odd quote: what is in brackets all the same.
    inner.split_once('>')
}

/// `, key=value` up to the next comma.
fn next<'a>(text: &'a str, key: &str) -> Option<(&'a str, &'a str)> {
    let value = text
        .strip_prefix(", ")?
        .strip_prefix(key)?
        .strip_prefix('=')?;
    let end = value.find([',', ' ']).unwrap_or(value.len());
    Some((value.get(..end)?, value.get(end..)?))
}

fn taken(text: &str) -> Option<Said<'_>> {
    let text = text.strip_prefix("client=")?;
    let end = text.find(']').map_or(text.len(), |at| at.saturating_add(1));
    let (client, rest) = (text.get(..end)?, text.get(end..)?);
    let login = rest
        .split_once("sasl_username=")
        .map(|(_, login)| login.split_once(", ").map_or(login, |(login, _)| login));
    Some(Said::Taken { client, login })
}

fn queued(text: &str) -> Option<Said<'_>> {
    let (sender, rest) = angle(text.strip_prefix("from=")?)?;
    if rest.starts_with(", status=expired") {
        return Some(Said::Expired);
    }
    let (size, rest) = next(rest, "size")?;
    let (recipients, rest) = next(rest, "nrcpt")?;
    let note = match rest.strip_prefix(" (queue ") {
        Some(held) if held.starts_with("hold: ") => held,
        _ => rest.split_once(')').unwrap_or_default().1,
    };
    Some(Said::Queued {
        sender,
        size,
        recipients,
        note: note.trim_start_matches([',', ' ']),
    })
}

fn attempt(text: &str) -> Option<Attempt<'_>> {
    let (recipient, mut rest) = angle(text.strip_prefix("to=")?)?;
    let mut original = None;
    if let Some(behind) = rest.strip_prefix(", orig_to=") {
        let (address, after) = angle(behind)?;
        (original, rest) = (Some(address), after);
    }
    // A path can have blanks; commas are written otherwise.
    let value = rest.strip_prefix(", relay=")?;
    let (relay, mut rest) = value.split_at_checked(value.find(',').unwrap_or(value.len()))?;
    let (mut code, mut status) = ("", "");
    while status.is_empty() {
        let (key, _) = rest.strip_prefix(", ")?.split_once('=')?;
        let (value, after) = next(rest, key)?;
        match key {
            "dsn" => code = value,
            "status" => status = value,
            _ => {}
        }
        rest = after;
    }
    let reply = rest.trim_start().strip_prefix('(').unwrap_or_default();
    Some(Attempt {
        recipient,
        original,
        relay,
        code,
        status,
        reply: reply.strip_suffix(')').unwrap_or(reply),
    })
}

/// `sender non-delivery notification: ID`, `digest of 7 messages: ID`
fn made(text: &str) -> Option<Said<'_>> {
    let (what, id) = text.split_once(": ")?;
    let known = matches!(
        what,
        "sender non-delivery notification"
            | "sender delay notification"
            | "sender delivery status notification"
    ) || what.starts_with("digest of ") && what.ends_with(" messages");
    (known && is_id(id)).then_some(Said::Made { what, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_about_a_message_is_understood() {
        assert_eq!(
            Said::parse("client=vm7.example[10.0.0.7], sasl_method=PLAIN, sasl_username=bob"),
            Said::Taken {
                client: "vm7.example[10.0.0.7]",
                login: Some("bob")
            }
        );
        assert_eq!(
            Said::parse(
                "from=<\"a> b\"@x>, size=399, nrcpt=2 (queue active), counted as vm7: 1 of 9 in a day"
            ),
            Said::Queued {
                sender: "\"a> b\"@x",
                size: "399",
                recipients: "2",
                note: "counted as vm7: 1 of 9 in a day"
            }
        );
        assert_eq!(
            Said::parse("from=<a@b>, status=expired, returned to sender"),
            Said::Expired
        );
        assert_eq!(Said::parse("removed"), Said::Removed);
        let moved = "moved to mx2[192.0.2.2]:25, where it has the same id";
        assert_eq!(Said::parse(moved), Said::Moved);
        assert_eq!(Said::parse("message-id=<x@y>"), Said::MessageId("<x@y>"));
        let text = "to=<a@b>, orig_to=<\"x>, relay=evil\"@c>, relay=mx.b[192.0.2.1]:25, delay=0.31, \
                    delays=0.1/0/0.1/0.1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 4bXk2LzQ9aB)";
        let Said::Attempt(attempt) = Said::parse(text) else {
            panic!("no attempt");
        };
        assert_eq!(attempt.original, Some("\"x>, relay=evil\"@c"));
        assert_eq!(
            (attempt.relay, attempt.code),
            ("mx.b[192.0.2.1]:25", "2.0.0")
        );
        assert_eq!(attempt.goes_on_as(), Some("4bXk2LzQ9aB"));
        assert_eq!(Said::parse(text).other(), Some("4bXk2LzQ9aB"));
        let text = "to=<a@b>, relay=/srv/mail of us/a\\x2c delay=9 b/, delay=0.1, dsn=2.0.0, status=sent (delivered to maildir)";
        let Said::Attempt(attempt) = Said::parse(text) else {
            panic!("no attempt");
        };
        let maildir = "/srv/mail of us/a\\x2c delay=9 b/";
        assert_eq!((attempt.relay, attempt.status), (maildir, "sent"));
        assert_eq!(attempt.reply, "delivered to maildir");
        assert_eq!(
            Said::parse("digest of 7 messages: 0BCDFGHJKLMNP").other(),
            Some("0BCDFGHJKLMNP")
        );
    }

    #[test]
    fn what_a_peer_says_is_never_taken_for_ours() {
        let reply = "550 no), status=sent (250 ok: queued as 0BCDFGHJKLMNP";
        let text = format!(
            "to=<a@b>, relay=mx[192.0.2.1]:25, delay=1, dsn=5.0.0, status=bounced ({reply})"
        );
        let Said::Attempt(attempt) = Said::parse(&text) else {
            panic!("no attempt");
        };
        assert_eq!((attempt.status, attempt.reply), ("bounced", reply));
        assert_eq!(attempt.goes_on_as(), None);
        for odd in [
            "to=<",
            "to=<a>",
            "to=<a>, relay",
            "to=<a>, relay=x, status=sent",
            "to=<a>, relay=x, x",
            "from=<a>",
            "from=",
            "client=",
            "client=é[",
            "message-id=",
            "digest of x: 1",
            "a: b",
            "=",
            "to=<\"a>, relay=x, dsn=1, status=sent (x)",
        ] {
            let _ = Said::parse(odd).other();
        }
    }
}
