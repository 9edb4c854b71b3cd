//! What became of one recipient in one delivery attempt, and whose fault it was.
//!
//! One value, four readers: the scheduler (try again?), the log, the bounce, the administrator.
//! Each has a text of its own; there is deliberately no `Display`. Text from a peer is escaped and
//! bounded when a [`Failure`] is made.
//! Contract: what is not known is [`Outcome::Deferred`], never `Failed`.

mod connections;
mod crowded;

use std::borrow::Cow;

use crate::status::{EnhancedStatus, ReplyCode, Severity};

/// The result of one delivery attempt for one recipient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The next hop took responsibility.
    Delivered(Delivery),
    /// Not now: try again later.
    Deferred(Failure),
    /// Never: tell the sender.
    Failed(Failure),
}

impl Outcome {
    /// As logs and listings name it, who said so, and in which words.
    pub fn told(&self) -> (&'static str, Option<&str>, String) {
        let (status, failure) = match self {
            Self::Delivered(delivery) => {
                let status = match delivery.handover {
                    Handover::Replaced => "replaced",
                    Handover::Promised | Handover::Relayed | Handover::Final => "sent",
                };
                return (status, Some(&delivery.relay), delivery.reply.clone());
            }
            Self::Deferred(failure) => ("deferred", failure),
            Self::Failed(failure) => ("bounced", failure),
        };
        (status, failure.relay.as_deref(), failure.log_text())
    }
}

/// Who took the message, and in which words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// `host[address]:port`, a path, or the name of a transport.
    pub relay: String,
    /// The peer's reply, escaped and bounded, such as `250 2.0.0 Ok: queued as X`.
    pub reply: String,
    /// Who tells the sender of it, where the sender wants to know.
    pub handover: Handover,
}

/// What becomes of NOTIFY=SUCCESS with a delivery (RFC 3461 §5.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Handover {
    /// The next hop speaks DSN and tells the sender itself.
    Promised,
    /// It does not: the sender hears that the message was relayed, and nothing more.
    #[default]
    Relayed,
    /// The message is in its mailbox.
    Final,
    /// Nobody got it: another message goes on in its place, and what becomes of that is told.
    Replaced,
}

/// Whose fault a failure is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blame {
    /// This machine: disk, configuration, program.
    Local,
    /// Between the machines: no route, timeout, connection lost.
    Network,
    /// The peer said so, or broke the protocol.
    Peer,
    /// A rule of ours, such as a pin that does not match.
    Policy,
    /// The next hop refuses this machine, whatever the mail: login, TLS, permission to relay.
    Us,
}

/// Where in the delivery it happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stage {
    /// Finding the next hop's addresses.
    Lookup,
    /// Opening the connection.
    Connect,
    /// Waiting for the greeting.
    Greeting,
    /// EHLO, HELO or LHLO.
    Helo,
    /// STARTTLS or the handshake.
    Tls,
    /// AUTH.
    Auth,
    /// XENROLL.
    Enroll,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Recipient,
    /// DATA or BDAT, before the message.
    Data,
    /// The message on its way, its end not sent.
    Body,
    /// The reply to the message or its end.
    Message,
    /// On this machine: reading the spool, writing a file, running a program.
    Local,
}

impl Stage {
    /// The words that follow "in reply to" or "while" in a log line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lookup => "name lookup",
            Self::Connect => "connect",
            Self::Greeting => "receiving the initial server greeting",
            Self::Helo => "performing the EHLO handshake",
            Self::Tls => "performing the TLS handshake",
            Self::Auth => "AUTH command",
            Self::Enroll => "XENROLL command",
            Self::Mail => "MAIL FROM command",
            Self::Recipient => "RCPT TO command",
            Self::Data => "DATA command",
            Self::Body => "sending message body",
            Self::Message => "end of DATA command",
            Self::Local => "local delivery",
        }
    }
}

/// Why a recipient was not delivered to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Whose fault.
    pub blame: Blame,
    /// Where it happened.
    pub stage: Stage,
    /// Enhanced status; its class agrees with the [`Outcome`] that carries it.
    pub status: EnhancedStatus,
    /// The peer's reply code, if it was a reply.
    pub reply: Option<ReplyCode>,
    /// `host[address]:port`, once known.
    pub relay: Option<String>,
    /// What happened, in one line, escaped and bounded.
    pub text: String,
    /// What the administrator can do about it, where that is known.
    pub remedy: Option<&'static str>,
    /// A next hop that the administrator named answered so.
    pub named: bool,
    /// It is about who sends, as far as is known: mail of others is welcome.
    pub of_sender: bool,
}

/// How the text of mail begins that an administrator gives up.
const BY_ORDER: &str = "returned by order";

/// Longest text kept from a peer, in bytes after escaping.
pub const MAX_TEXT: usize = 512;

impl Failure {
    /// A failure with a text of our own or of a peer; the text is escaped and cut here.
    pub fn new(blame: Blame, stage: Stage, status: EnhancedStatus, text: &str) -> Self {
        Self {
            blame,
            stage,
            status,
            reply: None,
            relay: None,
            text: escape(text.as_bytes(), MAX_TEXT),
            remedy: None,
            named: false,
            of_sender: false,
        }
    }

    /// A failure of this machine: its disk, its configuration.
    pub fn local(status: EnhancedStatus, text: &str) -> Self {
        Self::new(Blame::Local, Stage::Local, status, text)
    }

    /// An administrator gives the message up, and nobody has tried it; why it has waited, if known.
    pub fn by_order(reason: Option<&str>) -> Self {
        let waited = reason.map_or_else(String::new, |reason| format!("; it waited: {reason}"));
        let text = format!("{BY_ORDER}{waited}");
        Self::local(EnhancedStatus::new(5, 7, 0), &text)
    }

    /// Whether it is one of [`Failure::by_order`].
    pub fn is_by_order(&self) -> bool {
        self.stage == Stage::Local && self.text.starts_with(BY_ORDER)
    }

    /// The same where nothing more is known than that it is this machine's, and may pass.
    pub fn ours(text: &str) -> Self {
        Self::local(EnhancedStatus::new(4, 3, 0), text)
    }

    /// A failure that a peer's reply tells; `status` is the reply's own enhanced code, or class.0.0
    /// where it has none.
    pub fn replied(
        stage: Stage,
        code: ReplyCode,
        status: Option<EnhancedStatus>,
        text: &str,
    ) -> Self {
        let class = if code.severity() == Severity::Permanent {
            5
        } else {
            4
        };
        let status = status
            .filter(|s| s.class() == class)
            .unwrap_or(EnhancedStatus::new(class, 0, 0));
        Self {
            blame: Blame::Peer,
            stage,
            status,
            reply: Some(code),
            relay: None,
            text: escape(text.as_bytes(), MAX_TEXT),
            remedy: None,
            named: false,
            of_sender: false,
        }
    }

    /// The same failure at a known relay.
    #[must_use]
    pub fn at(mut self, relay: &str) -> Self {
        self.relay = Some(escape(relay.as_bytes(), 256));
        self
    }

    /// Given up because it lasted too long: 5.4.7 (RFC 3463 §3.5), with this as the last reason.
    #[must_use]
    pub fn expired(&self) -> Self {
        Self {
            blame: self.blame,
            stage: Stage::Local,
            status: EnhancedStatus::new(5, 4, 7),
            reply: None,
            relay: None,
            text: format!("delivery time expired; last: {}", self.log_text()),
            remedy: None,
            named: false,
            of_sender: false,
        }
    }

    /// The same, not for good: the class becomes 4.
    #[must_use]
    pub fn for_now(self) -> Self {
        Self {
            status: self.status.for_now(),
            ..self
        }
    }

    /// Whether a relayhost that has seen the message refuses it for reasons of policy (5.7.x). What
    /// it means is guessed from words, and the notification about it takes the same way.
    pub fn is_of_policy_late(&self) -> bool {
        let late = matches!(self.stage, Stage::Body | Stage::Message);
        self.named && late && self.status.subject() == 7
    }

    /// Whether it speaks against trying the same next hop with any other mail now: no session came
    /// about, or the next hop refuses this machine. What it says once it has heard of mail, 421 and
    /// "too many connections" with it, may mean that mail alone.
    pub fn stops_destination(&self) -> bool {
        let no_session = self.stage <= Stage::Enroll && self.blame != Blame::Local;
        no_session || self.blame == Blame::Us
    }

    /// Whether the peer ends the connection. RFC 5321 §3.8: in answer to any command.
    pub fn closes(&self) -> bool {
        self.reply.map(ReplyCode::value) == Some(421)
    }

    /// Whether the next hop closes (421, RFC 5321 §3.8), or has too many connections, as soon as it
    /// has heard who sends: other mail of this sender may meet that, too, and all mail may.
    pub fn turns_sender_away(&self) -> bool {
        self.stage == Stage::Mail && (self.closes() || self.means_too_many_connections())
    }

    /// Whether a reply came to mail, and not to the session.
    pub fn is_of_mail(&self) -> bool {
        self.reply.is_some() && (Stage::Mail..=Stage::Message).contains(&self.stage)
    }

    /// Whether the next hop is there, and refuses mail of this machine: that of one sender at
    /// least, while it may take that of another.
    pub fn refuses_mail(&self) -> bool {
        self.blame == Blame::Us && self.is_of_mail()
    }

    /// Whether a next hop fell silent in the midst of a transaction: it may be this message alone
    /// at which it does so.
    pub fn falls_silent(&self) -> bool {
        self.blame == Blame::Network
            && self.reply.is_none()
            && (Stage::Mail..=Stage::Message).contains(&self.stage)
    }

    /// The outcome that this failure means: `Failed` for class 5, else `Deferred`.
    pub fn outcome(self) -> Outcome {
        if self.status.class() == 5 {
            Outcome::Failed(self)
        } else {
            Outcome::Deferred(self)
        }
    }

    /// For the log and for `mailq`, in Postfix's words:
    /// `host mx[192.0.2.1]:25 said: 450 4.2.0 try later (in reply to RCPT TO command)`.
    pub fn log_text(&self) -> String {
        match self.remedy {
            Some(remedy) => format!("{}; {remedy}", self.happened()),
            None => self.happened(),
        }
    }

    fn happened(&self) -> String {
        match (&self.relay, self.reply) {
            (Some(relay), Some(_)) => format!(
                "host {relay} said: {} (in reply to {})",
                self.text,
                self.stage.name()
            ),
            (None, Some(_)) => format!("{} (in reply to {})", self.text, self.stage.name()),
            (Some(_), None) if self.stage == Stage::Local => self.text.clone(),
            (Some(relay), None) if self.stage == Stage::Connect => {
                format!("connect to {relay}: {}", self.text)
            }
            (Some(relay), None) if self.blame == Blame::Network => {
                let doing = match self.stage {
                    Stage::Message => "sending end of data",
                    stage => stage.name(),
                };
                format!("{} with {relay} while {doing}", self.text)
            }
            (Some(relay), None) => format!("host {relay}: {}", self.text),
            (None, None) => self.text.clone(),
        }
    }

    /// For a bounce's `Diagnostic-Code` (RFC 3464 §2.3.6): `smtp; 550 5.1.1 unknown`, or `x-local;
    /// …` where no peer spoke.
    pub fn diagnostic(&self) -> String {
        match self.reply {
            Some(_) => format!("smtp; {}", self.text),
            None => format!("x-local; {}", self.log_text()),
        }
    }
}

/// What everybody may read of a text that quotes failures as [`Failure::log_text`] writes them: of
/// a peer's reply the code and the enhanced status, for its words may name whose mail it was about;
/// and no mail address.
pub fn openly(text: &str) -> String {
    const SAID: &str = " said: ";
    let end = text.rfind(" (in reply to ");
    let text = match (text.find(SAID), end) {
        (None, None) => Cow::Borrowed(text),
        (start, end) => {
            let start = start.filter(|_| codes(text).is_empty());
            let words = start.map_or(0, |start| start.saturating_add(SAID.len()));
            let (before, said) = text.split_at_checked(words).unwrap_or_default();
            let end = end.filter(|end| *end >= words);
            let behind = end.and_then(|end| text.get(end..)).unwrap_or_default();
            Cow::Owned(format!("{before}{}{behind}", codes(said)))
        }
    };
    let words = text.split(' ');
    let words = words.map(|word| if word.contains('@') { "..." } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// The code and the enhanced status at the beginning of a reply.
fn codes(reply: &str) -> &str {
    let has = |at: usize| {
        reply
            .get(..at)
            .filter(|_| reply.get(at..).is_some_and(ends))
    };
    let code = reply.get(..3).and_then(|code| code.parse().ok());
    let Some(code) = code.and_then(ReplyCode::new).and_then(|_| has(3)) else {
        return "";
    };
    let status = reply.get(4..).and_then(|rest| rest.split(' ').next());
    let status = status.filter(|it| EnhancedStatus::parse(it).is_some());
    status
        .and_then(|status| has(4usize.saturating_add(status.len())))
        .unwrap_or(code)
}

/// Whether a word has ended before this.
fn ends(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with([' ', '-'])
}

/// Bytes of a peer or a user made safe for a log line: printable ASCII stays, all else becomes
/// `\xNN`, at most `max` bytes.
pub fn escape(bytes: &[u8], max: usize) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(bytes.len().min(max));
    for &byte in bytes {
        let before = out.len();
        match byte {
            b'\\' => out.push_str("\\\\"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
        if out.len() > max.saturating_sub(3) {
            out.truncate(before);
            out.push_str("...");
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_peer_cannot_forge_a_log_line_or_grow_without_bound() {
        assert_eq!(
            escape(b"550 no\r\nstatus=sent \x1b[2J\xff", 100),
            "550 no\\x0d\\x0astatus=sent \\x1b[2J\\xff"
        );
        for max in [3, 10, 100] {
            assert!(escape(&[0xffu8; 5000], max).len() <= max);
        }
    }

    #[test]
    fn everybody_reads_who_refused_what_with_which_code_and_nothing_of_whose_mail_it_was() {
        let code = ReplyCode::new(451).unwrap();
        for words in [
            "451 4.3.2 secret",
            "451 4.3.2 <secret@example.org>: no",
            "451-4.3.2 secret said: 451 secret (in reply to secret)",
            "451 secret",
            "451 4.3.2secret 4.3.2",
            "451secret",
        ] {
            for stage in [
                Stage::Greeting,
                Stage::Mail,
                Stage::Recipient,
                Stage::Message,
            ] {
                let failure = Failure::replied(stage, code, None, words);
                for failure in [failure.clone().at("mx[192.0.2.1]:25"), failure] {
                    let text = failure.log_text();
                    let told = openly(&text);
                    assert!(!told.contains("secret"), "{text}: {told}");
                    assert!(told.ends_with(&format!("(in reply to {})", stage.name())));
                    let cut: String = text.chars().take(40).collect();
                    assert!(!openly(&cut).contains("@example"), "{cut}");
                }
            }
        }
        let said = |text: &str| {
            openly(&format!(
                "since 10:00: host mx[192.0.2.1]:25 said: {text} (in reply to MAIL FROM command); mail waits"
            ))
        };
        let told = "since 10:00: host mx[192.0.2.1]:25 said: 451 4.3.2 (in reply to MAIL FROM command); mail waits";
        assert_eq!(said("451 4.3.2 later"), told);
        let own = "connect to mx[192.0.2.1]:25: Connection refused";
        assert_eq!(openly(own), own);
        assert_eq!(openly("for a@example.org: none"), "for ... none");
    }

    #[test]
    fn a_reply_whose_enhanced_class_contradicts_its_code_keeps_the_code() {
        let code = ReplyCode::new(450).unwrap();
        let failure = Failure::replied(
            Stage::Recipient,
            code,
            EnhancedStatus::parse("5.1.1"),
            "450 5.1.1 hm",
        );
        assert!(matches!(failure.outcome(), Outcome::Deferred(_)));
    }
}
