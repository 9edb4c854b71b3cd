//! Settings of the relayhost: from what is written to what is used.

use std::ops::Range;

use serde_spanned::Spanned;
use settings::ConfigError;
use smtp::client::Security;

use crate::config::{RelayAuth, RelayTls, file};

pub(super) fn tls(
    tls: file::RelayTls,
    at: &impl Fn(Range<usize>, &str) -> ConfigError,
) -> Result<RelayTls, ConfigError> {
    let pins = tls.pins.0;
    let security = match tls.level {
        None if pins.is_empty() => Security::Opportunistic,
        None => Security::StartTls,
        Some(level) => match level.get_ref() {
            file::Level::StartTls => Security::StartTls,
            file::Level::Wrapped => Security::Wrapped,
            file::Level::Opportunistic | file::Level::None if !pins.is_empty() => {
                let what = "a pin is of no use where clear text is good enough; write \"starttls\" or \"wrapped\"";
                return Err(at(level.span(), what));
            }
            file::Level::Opportunistic => Security::Opportunistic,
            file::Level::None => Security::None,
        },
    };
    let identity = tls.certificate.map(|certificate| {
        let key = tls.key.unwrap_or_else(|| certificate.clone());
        (certificate, key)
    });
    Ok(RelayTls {
        security,
        pins,
        identity,
    })
}

pub(super) fn auth(
    auth: file::RelayAuth,
    at: &impl Fn(Range<usize>, &str) -> ConfigError,
) -> Result<RelayAuth, ConfigError> {
    match auth.token {
        Some(token) if auth.password_file.is_some() => Err(at(
            token.span(),
            "`token` and `password_file` both say how to log in; keep one of them",
        )),
        token => Ok(RelayAuth {
            user: auth.user,
            password_file: auth.password_file,
            token: token.map(Spanned::into_inner),
        }),
    }
}
