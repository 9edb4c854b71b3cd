//! The message as a peer gets it: fitted to what the peer offers, then signed.
//!
//! Contract: signed is only mail of our own and of clients with permission to relay, whatever its
//! From says; never a stranger's that is passed on. What cannot be signed goes without, which is
//! logged.

use std::io::{self, Cursor, Read};

use mail::{clock, envelope::Envelope, limits, message::Header};
use relay::delivery::{Fitted, Reading, fit};
use smtp::capability::Capabilities;
use spool::Stored;

use super::job::Marked;
use crate::{
    dkim::{Hashing, SigningKey},
    maillog,
    provenance::is_trusted,
    setup::Setup,
};

/// Fits and signs it; reads it several times, and holds none of it.
pub(super) fn outgoing<'a>(
    setup: &Setup,
    marked: &Marked<'_>,
    peer: &Capabilities,
    envelope: Envelope,
    read: &Reading<'a>,
) -> io::Result<Fitted<'a>> {
    let (stored, size) = (marked.stored, marked.size());
    let keys = keys(setup, stored);
    if keys.is_empty() {
        return fit(peer, envelope, size, read);
    }
    let mut fitted = fit(peer, envelope.clone(), size, read)?;
    let signatures = signatures(&mut *fitted.content, &keys, stored)?;
    let mut fitted = fit(peer, envelope, size, read)?;
    let more = u64::try_from(signatures.len()).unwrap_or(u64::MAX);
    let announced = &mut fitted.transaction.mail.size;
    *announced = announced.map(|size| size.saturating_add(more));
    Ok(Fitted {
        content: Box::new(Cursor::new(signatures).chain(fitted.content)),
        ..fitted
    })
}

/// What signs it, if anything does.
fn keys<'a>(setup: &'a Setup, stored: &Stored) -> Vec<&'a SigningKey> {
    if !is_trusted(&stored.envelope, &setup.config.networks) {
        return Vec::new();
    }
    let header = Header::parse(&stored.header);
    setup.signer.keys(&header).unwrap_or_else(|why| {
        maillog::unsigned(stored.id, why);
        Vec::new()
    })
}

fn signatures(
    content: &mut dyn Read,
    keys: &[&SigningKey],
    stored: &Stored,
) -> io::Result<Vec<u8>> {
    let mut hashing = Hashing::default();
    let mut piece = vec![0; limits::PIECE];
    loop {
        let piece = match content.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => piece.get(..count).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if let Err(why) = hashing.feed(piece) {
            maillog::unsigned(stored.id, &why.to_string());
            return Ok(Vec::new());
        }
    }
    let hashed = hashing.finish();
    let mut signatures = Vec::new();
    for key in keys {
        match hashed.signature(key, clock::now()) {
            Ok(field) => {
                maillog::signed(stored.id, &key.selector, &key.domain);
                signatures.extend(field);
            }
            Err(why) => maillog::unsigned(stored.id, &why),
        }
    }
    Ok(signatures)
}
