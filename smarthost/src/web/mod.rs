//! The status page: what an administrator wants to see and do, metrics for Prometheus, health for
//! whoever watches.
//!
//! | part | what |
//! |---|---|
//! | [`listen`] | the listener: one request a connection, everything bounded |
//! | [`io`] | a stream as hyper wants it |
//! | [`request`] | what is asked, and whether it may be: Host, Origin, body |
//! | [`access`] | the token, and browsers that have shown it |
//! | [`respond`] | which path is answered by what, with the fields that every answer has |
//! | [`metrics`] | `/metrics` |
//! | [`health`] | `/health` |
//! | [`page`] | the pages as HTML |
//! | [`search`] | finds messages |
//! | [`order`] | what forms order |
//! | [`site`] | what all of it is answered from |
//!
//! Contract: everything shown comes from one snapshot of the daemon ([`Daemon::status`]), which
//! `smarthost status` prints too; every order goes the way that the commands go ([`Daemon::ask`]).
//! A request is worked on beside the runtime, two at a time, so that mail never waits for it.
//! Metrics, health and the style are open; all else wants the token.

pub mod access;
mod health;
mod io;
mod listen;
pub mod metrics;
mod order;
mod page;
mod request;
mod respond;
mod search;
mod site;

pub(crate) use listen::{Listener, serve};
pub use request::Asked;
pub use respond::to as answer;
pub use site::{Daemon, Site};

/// Of a unix socket: whoever is in the daemon's group may ask.
pub(crate) const MODE: u32 = 0o660;
