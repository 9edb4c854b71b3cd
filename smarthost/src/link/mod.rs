//! Connections of the daemon, over tokio.
//!
//! | part | what |
//! |---|---|
//! | [`Trusts`] | TLS set-ups towards next hops, one for each trust |
//! | [`MtaSts`] | policies of MTA-STS, fetched and remembered |
//! | [`https`] | one small text over HTTPS |
//! | [`Stream`] | TCP, TLS or unix socket, one type for both directions |
//! | [`Connection`] | a next hop's connection that takes one message after the other |

mod connection;
mod https;
mod mta_sts;
mod stream;
mod trusts;

pub(crate) use connection::Connection;
pub(crate) use mta_sts::MtaSts;
pub(crate) use stream::Stream;
pub(crate) use trusts::Trusts;
