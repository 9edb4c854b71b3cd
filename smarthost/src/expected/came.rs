//! A message that came.

use std::net::IpAddr;

/// Who brought it, and what it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Came {
    pub address: IpAddr,
    /// The client may relay: it is no stranger.
    pub ours: bool,
    /// As whom its key or login is known.
    pub name: Option<String>,
    /// As it greeted; any client may say anything.
    pub helo: Option<String>,
    /// Who wrote it on that machine, if its agent says so; else empty.
    pub user: String,
    /// Empty for the null sender.
    pub sender: String,
    /// As people read it.
    pub subject: String,
}

impl Came {
    /// What is one machine: the name that it proved, else its address.
    pub(super) fn machine(&self) -> String {
        let address = || self.address.to_canonical().to_string();
        self.name.clone().unwrap_or_else(address)
    }

    /// The same for people.
    pub(super) fn label(&self) -> String {
        match (&self.name, &self.helo) {
            (Some(name), _) => name.clone(),
            (None, Some(helo)) if is_name(helo) => format!("{helo} [{}]", self.machine()),
            _ => self.machine(),
        }
    }
}

fn is_name(helo: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    helo.len() <= 100 && helo.chars().all(plain) && helo.contains(|c: char| c.is_ascii_alphabetic())
}
