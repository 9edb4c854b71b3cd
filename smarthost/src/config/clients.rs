//! As whom clients are known, and how much they may send: from what is written to what is used.

use std::{collections::BTreeMap, mem::take};

use relay::trust::Pin;
use serde_spanned::Spanned;
use settings::{OneOrMany, faults::Wrong};

use crate::{
    config::file::{self, Proxy},
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
) -> Result<Vec<(Pin, String)>, Wrong> {
    let mut pins = Vec::new();
    for (pin, client) in written {
        let span = client.span();
        let pin = Pin::parse(&pin).map_err(|error| Wrong::at(span.clone(), error.to_string()))?;
        if pin.is_weak() {
            return Err(Wrong::at(
                span,
                "write a client's key as its SHA-256: \"sha256:…\"",
            ));
        }
        let client = limits::name(client.get_ref()).map_err(|why| Wrong::at(span, why))?;
        pins.push((pin, client.to_string()));
    }
    Ok(pins)
}

/// Whose word about who connects is believed.
pub(super) fn proxies(written: OneOrMany<Proxy>) -> Networks {
    Networks(written.0.into_iter().map(|proxy| proxy.0).collect())
}
