//! LMTP: a server that is named, on this machine or beside it (row D5); programs that run as
//! somebody else are reached so, too.
//!
//! RFC 2033.

use relay::delivery::{Host, Way};
use smtp::client::Security;

use crate::destination::LmtpTarget;

/// Where it is; never encrypted.
pub(super) fn way(target: &LmtpTarget) -> Way {
    let host = match target {
        LmtpTarget::Unix(path) => Host::named(path.display().to_string(), 0),
        LmtpTarget::Tcp(nexthop) => Host::named(nexthop.host.clone(), nexthop.port.unwrap_or(24)),
    };
    Way {
        hosts: vec![host],
        security: Security::None,
        clear_text_is_as_good: true,
    }
}
