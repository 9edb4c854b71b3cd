//! Connections of the daemon, over tokio: streams, dialling, and the driver of the client's machine.
//!
//! | part | what |
//! |---|---|
//! | [`Stream`] | TCP, TLS or unix socket, one type for both directions |
//! | [`dial`] | names to addresses to a connection, the addresses raced |
//! | [`Connection`] | a relay's connection that takes one message after the other |

mod connection;
pub(crate) mod dial;
mod stream;

pub(crate) use connection::{Connection, Peer};
pub(crate) use stream::Stream;
