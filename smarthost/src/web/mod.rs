//! How the daemon does, over HTTP: metrics for Prometheus, health for whoever watches.
//!
//! | part | what |
//! |---|---|
//! | [`listen`] | the listener: one request a connection, everything bounded |
//! | [`io`] | a stream as hyper wants it |
//! | [`request`] | what is asked, and whether it may be |
//! | [`respond`] | which path is answered by what, with the fields that every answer has |
//! | [`metrics`] | `/metrics` |
//! | [`health`] | `/health` |
//! | [`site`] | what all of it is answered from |
//!
//! Contract: everything shown comes from one snapshot of the daemon ([`Daemon::status`]), which `smarthost status` prints too. A request
//! is worked on beside the runtime, two at a time, so that mail never waits for it.

mod health;
mod io;
mod listen;
pub mod metrics;
mod request;
mod respond;
mod site;

pub(crate) use listen::{Listener, serve};
pub(crate) use site::Daemon;

/// Of a unix socket: whoever is in the daemon's group may ask.
pub(crate) const MODE: u32 = 0o660;
