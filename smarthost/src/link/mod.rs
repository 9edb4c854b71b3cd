//! Connections of the daemon, over tokio.
//!
//! | part | what |
//! |---|---|
//! | [`Stream`] | TCP, TLS or unix socket, one type for both directions |
//! | [`Connection`] | a next hop's connection that takes one message after the other |

mod connection;
mod stream;

pub(crate) use connection::Connection;
pub(crate) use stream::Stream;
