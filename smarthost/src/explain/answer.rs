//! What is asked about a client, and what is told.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::told::{Entry, Exchange, Place};
use crate::{
    budget::{Budget, Everywhere},
    limits::{Failed, Report},
    state::Memory,
};

/// A client that does not exist.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Client {
    pub address: IpAddr,
    /// As it calls itself; by default by its address.
    pub helo: Option<String>,
    /// `None`: the null sender.
    pub sender: Option<String>,
    pub recipient: String,
    /// It speaks SMTPUTF8.
    pub utf8: bool,
    pub login: Option<String>,
    /// As whom its key is known.
    pub pin: Option<String>,
    pub encrypted: bool,
    /// The next hop may be asked for the recipient.
    pub probe: bool,
}

/// All of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Decision {
    pub client: String,
    /// It is in `networks`.
    pub own: bool,
    pub helo: String,
    pub sender: String,
    pub recipient: Recipient,
    /// Commands, each with what was thought of it and its reply.
    pub stages: Vec<Stage>,
    /// Who would be asked besides, in this order; nobody is asked here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub milters: Vec<Filter>,
    /// The last reply, as the client would hear it.
    pub reply: String,
    pub accepted: bool,
    /// Who is counted, and how far each is.
    pub limits: Vec<Report>,
    pub exempt: bool,
    /// What is not known, or is wrong in a table.
    pub warnings: Vec<String>,
}

/// The recipient.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Recipient {
    pub address: String,
    /// `local`, `relay` or `virtual`, if its domain is ours.
    pub class: Option<&'static str>,
    pub place: Option<Place>,
}

/// A milter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Filter {
    pub address: String,
    pub on_failure: &'static str,
    pub place: Option<Place>,
}

/// A command.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Stage {
    pub command: String,
    pub rules: Vec<Rule>,
    pub not_reached: Vec<Rule>,
    pub reply: String,
}

/// A rule, and what it came to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Rule {
    pub rule: String,
    /// `default`, `always`, `table` (an entry named it), or the file.
    pub origin: &'static str,
    pub place: Option<Place>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Entry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<Exchange>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
}

/// What is wrong or missing, from wherever it is noticed.
pub(super) type Warnings = Arc<Mutex<Vec<String>>>;

pub(super) fn warn(warnings: &Warnings, text: String) {
    let mut warnings = warnings.lock().unwrap_or_else(PoisonError::into_inner);
    if !warnings.contains(&text) {
        warnings.push(text);
    }
}

impl Rule {
    /// `FILE:LINE`, or where else it comes from.
    pub fn source(&self) -> String {
        let mut text = String::new();
        match &self.place {
            // Writing to a String cannot fail.
            Some(place) => drop(write!(text, "{}:{}", place.file, place.line)),
            None => text.push_str(self.origin),
        }
        text
    }
}

/// What the daemon knows of a client, and no file.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Logins from its address.
    pub(crate) failed: Option<Failed>,
    /// What all smarthosts that share a budget have counted.
    pub(crate) everywhere: Everywhere,
    /// What it does where they cannot be asked.
    pub(crate) budget: Option<Arc<Budget>>,
    /// What decides about clients, where the database does not have it.
    pub(crate) memory: Option<Memory>,
    /// Where mail moves to, if the server is being emptied: it takes none.
    pub(crate) emptied: Option<String>,
    /// Block lists that are switched off, and since when and why.
    pub(crate) off: BTreeMap<String, String>,
}
