//! A message fitted to what its next peer offers.
//!
//! Contract: header fields in raw UTF-8 do not make a message undeliverable: SMTPUTF8 is asked for where it is offered, and needed
//! only for addresses that are not ASCII. A peer without 8BITMIME gets text in quoted-printable; what cannot be encoded as a whole
//! is sent as it is, and told. The size that is announced is that of what is sent.
//! RFC 6531 §3.4, RFC 6152 §3, RFC 1870 §6.

use std::io::{self, Read};

use mail::{envelope::Envelope, message::seven_bit::SevenBit};
use smtp::{capability::Capabilities, client::Transaction};

/// Gives the message from its beginning, more than once if need be.
pub type Reading<'a> = dyn Fn() -> io::Result<Box<dyn Read + Send + 'a>> + Sync + 'a;

/// A message as one peer can take it.
pub struct Fitted<'a> {
    pub transaction: Transaction,
    pub content: Box<dyn Read + Send + 'a>,
    /// It is sent in 8 bits to a peer that did not offer to take them.
    pub eight_bit_all_the_same: bool,
}

/// Fits a message of `size` bytes to what the peer offers.
pub fn fit<'a>(
    peer: &Capabilities,
    mut envelope: Envelope,
    size: u64,
    read: &Reading<'a>,
) -> io::Result<Fitted<'a>> {
    envelope.content.utf8 &= peer.smtputf8;
    let needs_eight_bit = envelope.content.eight_bit && !peer.eight_bit_mime;
    let mut fitted = Fitted {
        transaction: Transaction::of(&envelope, size),
        content: read()?,
        eight_bit_all_the_same: false,
    };
    if needs_eight_bit {
        let mut counted = SevenBit::new(fitted.content)?;
        fitted.eight_bit_all_the_same = !counted.is_encoded();
        if counted.is_encoded() {
            fitted.transaction.mail.size = Some(io::copy(&mut counted, &mut io::sink())?);
        }
        fitted.content = Box::new(SevenBit::new(read()?)?);
    }
    Ok(fitted)
}
