//! As whom clients are known, and how much they may send: from what is written to what is used.

use std::{collections::BTreeMap, mem::take, ops::Range};

use relay::trust::Pin;
use serde_spanned::Spanned;
use settings::{ConfigError, OneOrMany};

use crate::{
    config::file,
    limits::{self, Rules},
    network::Networks,
};

pub(super) fn rules(written: &mut file::Limits, networks: Networks) -> Rules {
    let limits = |given: OneOrMany<file::SomeMail>| given.0.iter().map(|it| it.0).collect();
    Rules {
        networks,
        per_client: limits(take(&mut written.per_client)),
        per_prefix6: written.per_prefix6.take().map(limits),
        per_stranger: limits(take(&mut written.per_stranger)),
        exempt: Networks(take(&mut written.exempt.0)),
    }
}

/// Keys and names of clients.
pub(super) fn client_pins(
    written: BTreeMap<String, Spanned<String>>,
    at: &impl Fn(Range<usize>, &str) -> ConfigError,
) -> Result<Vec<(Pin, String)>, ConfigError> {
    let mut pins = Vec::new();
    for (pin, client) in written {
        let span = client.span();
        let pin = Pin::parse(&pin).map_err(|error| at(span.clone(), &error.to_string()))?;
        if pin.is_weak() {
            return Err(at(
                span,
                "a key of a client is named by its SHA-256: \"sha256:…\"",
            ));
        }
        let client = limits::name(client.get_ref()).map_err(|why| at(span, &why))?;
        pins.push((pin, client.to_string()));
    }
    Ok(pins)
}
