//! What a message carries outside itself: sender, recipients, DSN wishes, where it came from.
//!
//! RFC 5321 §2.3.1; RFC 3461 (NOTIFY, ORCPT, RET, ENVID).

use serde::{Deserialize, Serialize};

use crate::address::{Address, Sender};

/// An envelope as the spool keeps it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Envelope {
    /// Whom a bounce goes to.
    pub sender: Sender,
    /// In the order given, without duplicates.
    pub recipients: Vec<Recipient>,
    /// Where it came from, for the log and for listings: `uid 0 (root)`, `client.example[192.0.2.1]`.
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

/// One recipient.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Recipient {
    /// Where it goes.
    pub address: Address,
    /// The address before aliases, if it was another (`orig_to=`).
    pub original: Option<Address>,
    /// ORCPT= as given (`rfc822;user@example.org`, xtext decoded).
    pub orcpt: Option<String>,
    /// When to tell the sender.
    pub notify: Notify,
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
    /// Bytes above 127 in the body.
    pub eight_bit: bool,
    /// UTF-8 in addresses or header fields.
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
