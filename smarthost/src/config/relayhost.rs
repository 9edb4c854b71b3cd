//! Settings of the relayhost: from what is written to what is used.

use serde_spanned::Spanned;
use settings::faults::Wrong;
use smtp::client::Security;

use crate::config::{RelayAuth, RelayTls, file, forms::RELAY_LEVEL};

pub(super) fn tls(tls: file::RelayTls) -> Result<RelayTls, Wrong> {
    let pins = tls.pins.0;
    let usual = if pins.is_empty() {
        Security::Opportunistic
    } else {
        Security::StartTls
    };
    let file::Level(security) = RELAY_LEVEL.read_or(tls.level, file::Level(usual))?;
    if matches!(security, Security::Opportunistic | Security::None) && !pins.is_empty() {
        let what = "a pin has no effect at a level that allows clear text; write \"starttls\" or \
             \"wrapped\"";
        return Err(Wrong::of(&["relay_tls", "level"], what)
            .value()
            .with(&["relay_tls.pins"]));
    }
    if tls.certificate.is_none() && tls.key.is_some() {
        let what = "this key has no certificate; set relay_tls.certificate, or remove the key";
        return Err(Wrong::of(&["relay_tls", "key"], what));
    }
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
