//! Words of a command line that are what they should be, as they were typed: whatever else they
//! are is told before anything is asked or done.

use mail::{address::Mailbox, nexthop::Nexthop};
use relay::trust::Pin;

use crate::limits;

/// A host with its port, as it was typed.
pub(super) fn nexthop(typed: &str) -> Result<String, String> {
    let known = Nexthop::parse(typed).map(|_| typed.to_owned());
    known.map_err(|error| error.to_string())
}

/// A key's hash, as it was typed.
pub(super) fn pin(typed: &str) -> Result<String, String> {
    let known = Pin::parse(typed).map(|_| typed.to_owned());
    known.map_err(|error| error.to_string())
}

/// An address, between angle brackets or not.
pub(super) fn bare(text: &str) -> &str {
    let inner = text.strip_prefix('<').and_then(|it| it.strip_suffix('>'));
    inner.unwrap_or(text)
}

/// A name, or an address between angle brackets or not.
pub(super) fn address(typed: &str) -> Result<String, String> {
    let bare = bare(typed);
    let known = Mailbox::parse(bare).map(|_| bare.to_owned());
    known.map_err(|error| format!("{error}; write a name, or an address such as bob@example.org"))
}

pub(super) fn login(typed: &str) -> Result<String, String> {
    limits::name(typed).map(|_| typed.to_owned())
}

/// A key, or the name that it is known by.
pub(super) fn key(typed: &str) -> Result<String, String> {
    if Pin::parse(typed).is_ok() {
        return Ok(typed.to_owned());
    }
    login(typed)
}
