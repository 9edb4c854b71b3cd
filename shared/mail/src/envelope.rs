//! What a message carries outside itself: sender, recipients, DSN wishes, where it came from.
//!
//! [`Mail`] and [`Rcpt`] are what is said of it: on a command line, in a session, in a plan.
//! [`Envelope`] and [`Recipient`] are what is kept of it: rewritten, and with an address for
//! everybody.
//! RFC 5321 §2.3.1; RFC 3461 (NOTIFY, ORCPT, RET, ENVID).

use serde::{Deserialize, Serialize};

use crate::address::{Address, Mailbox, Sender};

/// MAIL: who sends, and what is said of the message. The same on both sides of a session.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Mail {
    /// `None`: the null sender. A name alone only on our agent's socket.
    pub sender: Option<Mailbox>,
    /// SIZE=, bytes of header, empty line and body.
    pub size: Option<u64>,
    /// BODY=8BITMIME.
    pub eight_bit: bool,
    /// SMTPUTF8.
    pub utf8: bool,
    /// RET=
    pub ret: Option<Ret>,
    /// ENVID=, decoded.
    pub envid: Option<String>,
    /// Our agent's socket, `XCALLER`: who calls is the sender where none is given; with the full
    /// name if it has one.
    pub xcaller: Option<Option<String>>,
    /// Our agent's socket, `XQUEUED`: another program had taken this message; it is not the
    /// caller's own.
    pub queued: bool,
    /// `XMOVE`, between servers of ours: what follows is what another one has queued, with all that
    /// it knows of it.
    pub moved: bool,
}

/// Who a [`Mail`] says that sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin<'a> {
    /// Whoever calls.
    Caller,
    /// `<>`
    Null,
    Given(&'a Mailbox),
}

impl Mail {
    /// Whoever calls sends, under this full name if there is one.
    pub fn of_caller(full_name: Option<String>) -> Self {
        Self {
            xcaller: Some(full_name),
            ..Self::default()
        }
    }

    /// Who sends.
    pub fn origin(&self) -> Origin<'_> {
        match (&self.sender, &self.xcaller) {
            (Some(sender), _) => Origin::Given(sender),
            (None, Some(_)) => Origin::Caller,
            (None, None) => Origin::Null,
        }
    }

    /// The sender as it stays in an envelope; a name alone stands for nobody there.
    pub fn sender(&self) -> Sender {
        let address = self.sender.as_ref().and_then(Mailbox::address);
        address.map_or(Sender::Null, |address| Sender::Address(address.clone()))
    }
}

/// RCPT: for whom, and when the sender wants to be told. From the command line to the envelope.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rcpt {
    /// A name alone only on our agent's socket.
    pub to: Mailbox,
    /// NOTIFY=
    pub notify: Notify,
    /// ORCPT=, decoded: `rfc822;user@example.org`.
    pub orcpt: Option<String>,
}

impl From<Mailbox> for Rcpt {
    fn from(to: Mailbox) -> Self {
        Self {
            to,
            notify: Notify::default(),
            orcpt: None,
        }
    }
}

/// As a recipient of an envelope is told to the next hop: with the address before aliases as ORCPT,
/// if the sender gave none.
impl From<&Recipient> for Rcpt {
    fn from(recipient: &Recipient) -> Self {
        let orcpt = recipient.orcpt.clone().or_else(|| {
            recipient.replaced().map(|address| {
                let kind = if address.is_ascii() {
                    "rfc822"
                } else {
                    "utf-8"
                };
                format!("{kind};{address}")
            })
        });
        Self {
            to: recipient.address.clone().into(),
            notify: recipient.notify,
            orcpt,
        }
    }
}

/// An envelope as the spool keeps it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Envelope {
    /// Whom a bounce goes to.
    pub sender: Sender,
    /// In the order given, without duplicates.
    pub recipients: Vec<Recipient>,
    /// Where it came from, for the log and for listings: `uid 0 (root)`,
    /// `client.example[192.0.2.1]`.
    pub origin: String,
    /// The unix user who submitted it, where there is one; decides who may see it in `mailq`.
    pub uid: Option<u32>,
    /// What the content needs of the next hop.
    pub content: Content,
    /// RET= of MAIL.
    pub ret: Option<Ret>,
    /// ENVID= of MAIL, decoded.
    pub envid: Option<String>,
}

impl Envelope {
    /// The same with only these recipients, by index.
    #[must_use]
    pub fn with_only(&self, indexes: &[usize]) -> Self {
        let chosen = indexes
            .iter()
            .filter_map(|&index| self.recipients.get(index).cloned());
        Self {
            recipients: chosen.collect(),
            ..self.clone()
        }
    }

    /// The same with only these recipients, by their numbers in the queue.
    #[must_use]
    pub fn with_numbers(&self, numbers: &[u32]) -> Self {
        let indexes = numbers.iter().map(|&number| usize::try_from(number));
        self.with_only(&indexes.filter_map(Result::ok).collect::<Vec<_>>())
    }
}

/// One recipient.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Recipient {
    /// Where it goes.
    pub address: Address,
    /// The address before aliases (`orig_to=`). A client keeps it for each local name, even where
    /// nothing was replaced: who gets its mail is looked up again when it is sent.
    pub original: Option<Address>,
    /// ORCPT= as given (`rfc822;user@example.org`, xtext decoded).
    pub orcpt: Option<String>,
    /// When to tell the sender.
    pub notify: Notify,
}

impl Recipient {
    /// The address before aliases, if it was another.
    pub fn replaced(&self) -> Option<&Address> {
        let original = self.original.as_ref();
        original.filter(|original| **original != self.address)
    }
}

impl From<Address> for Recipient {
    fn from(address: Address) -> Self {
        Self {
            address,
            original: None,
            orcpt: None,
            notify: Notify::default(),
        }
    }
}

/// What the content needs (RFC 6152, RFC 6531).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Content {
    /// Bytes above 127, in the body or in header fields.
    pub eight_bit: bool,
    /// UTF-8 in addresses or header fields, of which whoever sends it says so (SMTPUTF8).
    pub utf8: bool,
}

/// NOTIFY= of RCPT (RFC 3461 §4.1). `Default` is what applies without it: failure and delay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Notify {
    /// NOTIFY was given (and is passed on).
    pub explicit: bool,
    /// On success.
    pub success: bool,
    /// On failure.
    pub failure: bool,
    /// On delay.
    pub delay: bool,
}

impl Notify {
    /// NOTIFY=NEVER, or the beginning of a list.
    pub const NEVER: Self = Self {
        explicit: true,
        success: false,
        failure: false,
        delay: false,
    };

    /// Reads `NEVER` alone, or a list of the others (RFC 3461 §4.1), in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let mut notify = Self::NEVER;
        if text.eq_ignore_ascii_case("NEVER") {
            return Some(notify);
        }
        for word in text.split(',') {
            let wish = match word.to_ascii_uppercase().as_str() {
                "SUCCESS" => &mut notify.success,
                "FAILURE" => &mut notify.failure,
                "DELAY" => &mut notify.delay,
                _ => return None,
            };
            *wish = true;
        }
        Some(notify)
    }

    /// What two wishes about one recipient ask for together: whoever wants to be told is told.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            explicit: self.explicit || other.explicit,
            success: self.success || other.success,
            failure: self.failure || other.failure,
            delay: self.delay || other.delay,
        }
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            explicit: false,
            success: false,
            failure: true,
            delay: true,
        }
    }
}

/// RET= of MAIL (RFC 3461 §4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Ret {
    /// Return the whole message.
    Full,
    /// Return the header only.
    Headers,
}

impl Ret {
    /// Reads `FULL` or `HDRS`, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_uppercase().as_str() {
            "FULL" => Some(Self::Full),
            "HDRS" => Some(Self::Headers),
            _ => None,
        }
    }
}
