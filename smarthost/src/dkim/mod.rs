//! DKIM signatures. Pure.
//!
//! | part | what |
//! |---|---|
//! | [`canonical`] | header fields and bodies as they are hashed |
//! | [`key`] | private keys: read, made, and their public half |
//! | [`record`] | what DNS publishes of a key |
//! | [`sign`] | which keys sign a message, over which fields, and the signature itself |
//!
//! Contract: the body is hashed as it passes, never held. What is signed is what the peer gets:
//! whoever calls has fitted the message.
//! Failures: a text; mail that cannot be signed waits or goes unsigned, which is the caller's
//! matter.
//! RFC 6376, RFC 8463 (Ed25519), RFC 8301 (no SHA-1, no short keys).

mod canonical;
mod key;
mod record;
mod sign;

pub use key::{Algorithm, Key};
pub use record::{is_published, written};
pub use sign::{Hashed, Hashing, Signer, SigningKey};
