//! Standard input made into a canonical message.
//!
//! | part | what |
//! |---|---|
//! | [`read`] | reads to the end, through [`mail::message::Incoming`] |
//! | [`body`] | holds the body: in memory, and from 256 KiB on in a file without a name |

pub mod body;
pub mod read;
