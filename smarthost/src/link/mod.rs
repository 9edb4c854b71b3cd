//! Connections of the daemon, over tokio.
//!
//! | part | what |
//! |---|---|
//! | [`Trusts`] | TLS set-ups towards next hops, one for each trust |
//! | [`MtaSts`] | policies of MTA-STS, fetched and remembered |
//! | [`https`] | one small text over HTTPS |
//! | [`Stream`] | TCP, TLS or unix socket, one type for both directions |
//! | [`local`] | connecting to unix sockets |
//! | [`Halt`] | when a delivery ends with what it knows |
//! | [`Silence`] | a peer that says nothing, and others who wait for the connection |
//! | [`Waiting`] | connections on which no request has come yet |
//! | [`Connection`] | a next hop's connection that takes one message after the other |

mod connection;
mod halt;
mod https;
pub(crate) mod local;
mod mta_sts;
mod silence;
mod stream;
mod trusts;
mod waiting;

pub(crate) use connection::Connection;
pub(crate) use halt::Halt;
pub(crate) use mta_sts::MtaSts;
pub(crate) use silence::{Silence, Told};
pub(crate) use stream::Stream;
pub(crate) use trusts::Trusts;
pub(crate) use waiting::Waiting;
