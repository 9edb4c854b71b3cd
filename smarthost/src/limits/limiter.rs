//! The counting machine.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use shared::clock::Timestamp;

use crate::{
    limits::{Rules, Window},
    network::Network,
};

/// The answer for one message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// On the exempt list, or there is no limit.
    Unlimited,
    /// Counted: this many of the tightest window.
    Within { count: u32, window: Window },
    /// Refused and not counted.
    Over(Excess),
}

/// Over the limit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Excess {
    /// Address or network that is counted as one client.
    pub client: Network,
    /// With this message.
    pub count: u32,
    pub limit: u32,
    pub window: Window,
    /// When the next message will be taken.
    pub next_slot: Timestamp,
}
impl Excess {
    /// Reply text: `450 4.7.1 Error: too much mail from 10.0.0.7 (101 of 100 in a day; next slot at 07:51)`.
    pub fn reply(&self) -> shared::smtp::reply::Reply {
        todo!()
    }
    /// Log line as fail2ban knows it: `Message delivery request rate limit exceeded: 101 from host[ip] for service smtp`.
    pub fn log_text(&self, _client: &str) -> String {
        todo!()
    }
}

/// What the driver has to do after [`Limits::count`], [`Limits::reset`] and [`Limits::raise`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Keep this for the next start ([`crate::state`]).
    Store { client: Network, record: Vec<u8> },
    /// Nothing of this client has to be kept.
    Forget { client: Network },
    /// Mail this to the administrators.
    Notify { subject: String, text: String },
}

/// A client's state, for `smarthost limits`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    pub client: String,
    /// One for each window: messages counted, limit in force, span.
    pub windows: Vec<(u32, Window)>,
    /// A raised limit and its end.
    pub raised: Option<(u32, Timestamp)>,
    /// When the next message will be taken, if not now.
    pub next_slot: Option<Timestamp>,
    pub exempt: bool,
}

/// All clients' counters.
#[derive(Debug)]
pub struct Limits {}

impl Limits {
    pub fn new(_rules: Rules) -> Self {
        todo!()
    }
    /// Takes back what was stored, at start.
    pub fn restore(&mut self, _client: Network, _record: &[u8], _now: Timestamp) {
        todo!()
    }
    /// Counts one message, or refuses it.
    pub fn count(&mut self, _client: IpAddr, _now: Timestamp) -> Decision {
        todo!()
    }
    /// Drain until `None`.
    pub fn next_action(&mut self) -> Option<Action> {
        todo!()
    }
    /// All clients, most used first.
    pub fn list(&self, _now: Timestamp) -> Vec<Report> {
        todo!()
    }
    /// One client, known or not.
    pub fn show(&self, _client: IpAddr, _now: Timestamp) -> Report {
        todo!()
    }
    /// Forgets what a client has sent; `false` if nothing was known.
    pub fn reset(&mut self, _client: IpAddr, _now: Timestamp) -> bool {
        todo!()
    }
    /// Another limit for one client for a while (longest window).
    pub fn raise(&mut self, _client: IpAddr, _limit: u32, _until: Timestamp, _now: Timestamp) {
        todo!()
    }
}
