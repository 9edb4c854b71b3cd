//! A message fitted to what its next peer offers.
//!
//! Contract: header fields in raw UTF-8 do not make a message undeliverable, at this peer or behind
//! it: SMTPUTF8 is asked for only where the client asked for it or an address needs it, and the
//! peer offers it; otherwise the fields are encoded. A peer without 8BITMIME gets 7 bits, and no
//! peer gets a line over 998 bytes: parts that need it are encoded ([`mime`]). What is signed, so
//! that any change would break it, is sent as it is, and told. The size that is announced is that
//! of what is sent.
//! RFC 6531 §3.4, RFC 6152 §3, RFC 1870 §6, RFC 5321 §4.5.3.1.6.

use std::io::{self, Read};

use mail::{
    envelope::Envelope,
    limits,
    message::{
        long_lines::Longest,
        mime::{self, Wanted},
    },
};
use smtp::{capability::Capabilities, client::Transaction};

/// Gives the message from its beginning, more than once if need be.
pub type Reading<'a> = dyn Fn() -> io::Result<Box<dyn Read + Send + 'a>> + Sync + 'a;

/// A message as one peer can take it.
pub struct Fitted<'a> {
    pub transaction: Transaction,
    pub content: Box<dyn Read + Send + 'a>,
    /// What of it the peer may not take and is sent all the same, in words that follow its name.
    pub all_the_same: Vec<&'static str>,
}

/// Nothing else can be done where some part is signed, or may not be encoded.
const EIGHT_BIT: &str = "does not offer 8BITMIME; the message is not text in one part and is sent in 8 bits all the same";
const LONG_LINES: &str = "gets lines of more than 998 bytes, which SMTP does not allow: they are signed, or words that nothing may cut, and the message is sent as it is";

/// Fits a message of `size` bytes to what the peer offers.
pub fn fit<'a>(
    peer: &Capabilities,
    mut envelope: Envelope,
    size: u64,
    read: &Reading<'a>,
) -> io::Result<Fitted<'a>> {
    let wanted = Wanted {
        seven_bit: envelope.content.eight_bit && !peer.eight_bit_mime,
        ascii_header: if envelope.content.utf8 {
            !peer.smtputf8
        } else {
            envelope.content.eight_bit
        },
    };
    envelope.content.utf8 &= peer.smtputf8;
    let mut transaction = Transaction::of(&envelope, size);
    if wanted == Wanted::default() && !has_long_lines(size, read)? {
        return Ok(Fitted {
            transaction,
            content: read()?,
            all_the_same: Vec::new(),
        });
    }
    let fit = mime::fit(read, wanted)?;
    transaction.mail.size = Some(fit.size);
    let eight_bit = (wanted.seven_bit && fit.eight_bit).then_some(EIGHT_BIT);
    let long_lines = fit.long_lines.then_some(LONG_LINES);
    Ok(Fitted {
        transaction,
        all_the_same: eight_bit.into_iter().chain(long_lines).collect(),
        content: Box::new(fit.content),
    })
}

/// Most messages have none, and are read for nothing else.
fn has_long_lines(size: u64, read: &Reading<'_>) -> io::Result<bool> {
    let mut longest = Longest::default();
    if size < limits::TEXT_LINE as u64 {
        return Ok(false);
    }
    let mut piece = vec![0; limits::PIECE];
    let mut from = read()?;
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(longest.too_long()),
            Ok(count) => longest.feed(piece.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
