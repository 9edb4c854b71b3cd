//! Connections of the daemon, over tokio.
//!
//! | part | what |
//! |---|---|
//! | [`Trusts`] | TLS set-ups towards next hops, one for each trust |
//! | [`Stream`] | TCP, TLS or unix socket, one type for both directions |
//! | [`Connection`] | a next hop's connection that takes one message after the other |

mod connection;
mod stream;
mod trusts;

pub(crate) use connection::Connection;
pub(crate) use stream::Stream;
pub(crate) use trusts::Trusts;
