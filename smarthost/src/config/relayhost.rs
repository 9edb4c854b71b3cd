//! Settings of the relayhost: from what is written to what is used.

use serde_spanned::Spanned;
use settings::faults::Wrong;
use smtp::client::Security;

use crate::config::{RelayAuth, RelayTls, file};

pub(super) fn tls(tls: file::RelayTls) -> Result<RelayTls, Wrong> {
    let pins = tls.pins.0;
    let security = match tls.level {
        None if pins.is_empty() => Security::Opportunistic,
        None => Security::StartTls,
        Some(level) => match level.get_ref() {
            file::Level::StartTls => Security::StartTls,
            file::Level::Wrapped => Security::Wrapped,
            file::Level::Opportunistic | file::Level::None if !pins.is_empty() => {
                let what = "a pin is of no use where clear text is good enough; write \"starttls\" or \"wrapped\"";
                return Err(Wrong::at(level.span(), what).with(&["relay_tls.pins"]));
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

pub(super) fn auth(auth: file::RelayAuth) -> Result<RelayAuth, Wrong> {
    match auth.token {
        Some(token) if auth.password_file.is_some() => Err(Wrong::at(
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
