//! The administrators' socket of both daemons: one JSON request a line, one JSON answer a line, over a unix socket; the kernel says who asks (SO_PEERCRED).

use std::{io, path::Path};

use serde::{Serialize, de::DeserializeOwned};

/// Longest request or answer line, bytes (a queue listing is many lines).
pub const MAX_LINE: usize = 1024 * 1024;

/// Asks a daemon: sends `request`, gives each answer line to `each` until the daemon closes.
pub fn ask<Q: Serialize, A: DeserializeOwned>(_socket: &Path, _request: &Q, _each: &mut dyn FnMut(A)) -> io::Result<()> {
    todo!()
}
