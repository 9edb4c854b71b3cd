//! The agent: takes mail over a unix socket, keeps it, and brings it to the relayhost.
//!
//! | part | what |
//! |---|---|
//! | [`quota`] | who may have how many connections; pure |
//! | [`schedule`] | which message is tried when; pure |

pub mod quota;
pub mod schedule;
