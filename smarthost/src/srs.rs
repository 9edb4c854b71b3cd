//! The sender rewriting scheme: forwarded mail leaves with a sender of our own domain, so that SPF
//! holds, and what comes back to it is led to the sender as he was. Pure.
//!
//! Contract: `SRS0=hash=day=host=user@ours` of a sender, `SRS1=hash=first=…@ours` of a sender that
//! another forwarder has rewritten, as libsrs2 and postsrsd write and read them with the same
//! secret. Hash and tag are read in any case, since some hops fold it. An address leads back only
//! with a hash of one of our secrets, and for [`LIFETIME`] days: nothing else is ever relayed by
//! it. A new secret signs as soon as it is the first; the others are still believed.
//! A sender whose rewritten form would be longer than a local part may be leaves as
//! `SRS0=hash=day==token@ours`, and is remembered by the token ([`Tokens`]).
//! Failures: what leads nowhere says why ([`Wrong`]).
//! <https://www.libsrs2.net/srs/srs.pdf>

#[cfg(test)]
mod tests;
mod tokens;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use mail::{
    address::{Address, Domain},
    clock::Timestamp,
};
use ring::hmac;

pub use self::tokens::Tokens;
use self::tokens::{DAY, LIFETIME};

/// Characters of a hash.
const HASH: usize = 4;
/// Characters of a token.
const TOKEN: usize = 16;
/// Longest local part that every server takes (RFC 5321 §4.5.3.1.1).
const LONGEST: usize = 64;
/// Days are counted in two digits of this.
const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const DAYS: u64 = 32 * 32;
/// Behind the tag any of these may stand; between the parts the first.
const SEPARATORS: [char; 3] = ['=', '-', '+'];

/// The domain, and the secrets that are believed, of which the first signs.
#[derive(Clone, Debug)]
pub struct Srs {
    domain: Domain,
    secrets: Vec<hmac::Key>,
    tokens: Arc<Mutex<Tokens>>,
}

/// The sender with which forwarded mail leaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forwarded {
    pub address: Address,
    /// For whom it stands has to be written down before anybody sees it.
    pub by_token: bool,
}

/// Why an address leads nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// Its hash is not ours, or it has no parts that we write.
    Forged,
    Expired,
    /// It was made on a day that is still to come: a clock is wrong, here or where it was made.
    Early,
    /// It is ours, and nothing here says for whom it stands: another server may know.
    Unknown,
}

/// Which of the two forms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tag {
    Srs0,
    Srs1,
}

impl Wrong {
    pub const fn words(self) -> &'static str {
        match self {
            Self::Forged => "its hash is not that of a sender whom we have forwarded",
            Self::Expired => "the mail that it answers was forwarded too long ago",
            Self::Early => {
                "it was made on a day that is still to come: the clock of this server is wrong, or was"
            }
            Self::Unknown => "it is not known here for whom it stands",
        }
    }

    /// Whether it may lead somewhere later, or at another server.
    pub const fn is_temporary(self) -> bool {
        matches!(self, Self::Unknown | Self::Early)
    }
}

impl Srs {
    /// Without secrets it rewrites nothing and believes nothing.
    pub fn new(domain: Domain, secrets: &[String]) -> Self {
        let key = |secret: &String| {
            // What libsrs2 and postsrsd use, so that their secrets and addresses go on; 24 bits of
            // it are kept in any case.
            hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes())
        };
        Self {
            domain,
            secrets: secrets.iter().map(key).collect(),
            tokens: Arc::default(),
        }
    }

    /// The same with these tokens, which outlive it.
    #[must_use]
    pub fn remembering(self, tokens: Arc<Mutex<Tokens>>) -> Self {
        Self { tokens, ..self }
    }

    /// A sender as forwarded mail leaves with it; `None`: it stays, since it is ours already, or
    /// nothing can be signed.
    pub fn forward(&self, sender: &Address, now: Timestamp) -> Option<Forwarded> {
        let domain = sender.domain();
        if *domain == self.domain || domain.is_below(&self.domain) {
            return None;
        }
        let signing = self.secrets.first()?;
        let sender = sender.clone().with_ascii_domain();
        let short = self.written_out(signing, &sender, now);
        match short.filter(|address| address.local_part().len() <= LONGEST) {
            Some(address) => Some(Forwarded {
                address,
                by_token: false,
            }),
            None => self.by_token(signing, &sender, now),
        }
    }

    /// The form that names the sender, which may be too long; `None`: there is none.
    fn written_out(
        &self,
        signing: &hmac::Key,
        sender: &Address,
        now: Timestamp,
    ) -> Option<Address> {
        let (user, host) = (sender.local_name(), sender.written_domain().to_owned());
        let local = match tagged(&user) {
            // The first forwarder is kept, and hears of it: those in between are left out.
            Some((Tag::Srs1, rest)) => {
                let (_, rest) = rest.split_once('=')?;
                let (first, rest) = rest.split_once('=')?;
                // Who is no forwarder could not be told of it.
                let first_address = Address::new(&behind(rest), first).ok()?;
                if self.is_domain(first_address.domain()) {
                    // It has come back to us, and leaves as it left at first.
                    return self.target(&first_address).ok().map(|_| first_address);
                }
                format!("SRS1={}={first}={rest}", hash(signing, &[first, rest]))
            }
            // With its separator, which the first forwarder has chosen.
            Some((Tag::Srs0, _)) => {
                let rest = user.get(4..)?;
                format!("SRS1={}={host}={rest}", hash(signing, &[&host, rest]))
            }
            None => {
                let day = day(now);
                let hash = hash(signing, &[&day, &host, &user]);
                format!("SRS0={hash}={day}={host}={user}")
            }
        };
        Address::new(&local, &self.domain).ok()
    }

    /// The form that names a token, the same for the same sender.
    fn by_token(&self, signing: &hmac::Key, sender: &Address, now: Timestamp) -> Option<Forwarded> {
        let token = token(signing, sender);
        let day = day(now);
        let hash = hash(signing, &[&day, "", &token]);
        let local = format!("SRS0={hash}={day}=={token}");
        let address = Address::new(&local, &self.domain).ok()?;
        let noted = self.tokens().note(&token, sender, now);
        noted.then_some(Forwarded {
            address,
            by_token: true,
        })
    }

    fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is the domain of rewritten senders.
    pub fn is_domain(&self, domain: &Domain) -> bool {
        *domain == self.domain
    }

    /// Whether an address looks as those that [`Self::forward`] makes: it stands for somebody else,
    /// or for nobody.
    pub fn is_ours(&self, address: &Address) -> bool {
        self.is_domain(address.domain()) && tagged(&address.local_name()).is_some()
    }

    /// Whom an address stands for, whenever it was made.
    pub fn target(&self, address: &Address) -> Result<Address, Wrong> {
        self.read(address)?.0
    }

    /// Whether mail to an address is taken now.
    pub fn check(&self, address: &Address, now: Timestamp) -> Result<(), Wrong> {
        let (target, made) = self.read(address)?;
        // How old it is otherwise, the forwarder knows to whom it goes.
        let Some(made) = made else {
            return target.map(drop);
        };
        // Days are told modulo `DAYS`: of those that are neither, the half that is nearer to now is
        // to come.
        match (now.as_secs() / DAY + DAYS - made) % DAYS {
            // Or whose clock is a little ahead.
            age if age <= LIFETIME || age == DAYS - 1 => target.map(drop),
            age if age > DAYS / 2 => Err(Wrong::Early),
            _ => Err(Wrong::Expired),
        }
    }

    /// The original address, if it is known, and the day within [`DAYS`] when it was rewritten, if
    /// that is told.
    fn read(&self, address: &Address) -> Result<(Result<Address, Wrong>, Option<u64>), Wrong> {
        let user = address.local_name();
        let (tag, rest) = tagged(&user).ok_or(Wrong::Forged)?;
        let (hash, rest) = rest.split_once('=').ok_or(Wrong::Forged)?;
        match tag {
            Tag::Srs0 => {
                let (day, rest) = rest.split_once('=').ok_or(Wrong::Forged)?;
                let (host, user) = rest.split_once('=').ok_or(Wrong::Forged)?;
                let made = of_day(day).ok_or(Wrong::Forged)?;
                // Folded on the way; it was upper case when it was signed, and is hashed in lower
                // case.
                self.verify(hash, &[day, host, user])?;
                let target = if host.is_empty() {
                    let token = user.to_ascii_uppercase();
                    self.tokens().sender(&token).cloned().ok_or(Wrong::Unknown)
                } else {
                    Address::new(user, host).map_err(|_| Wrong::Forged)
                };
                Ok((target, Some(made)))
            }
            Tag::Srs1 => {
                let (first, rest) = rest.split_once('=').ok_or(Wrong::Forged)?;
                self.verify(hash, &[first, rest])?;
                let first = Address::new(&behind(rest), first).map_err(|_| Wrong::Forged)?;
                // That is an `SRS0` of our own, or nothing: it would come here again.
                if self.is_domain(first.domain()) {
                    return self.read(&first);
                }
                Ok((Ok(first), None))
            }
        }
    }

    fn verify(&self, given: &str, parts: &[&str]) -> Result<(), Wrong> {
        let given = plain(given);
        let known = self.secrets.iter();
        let same = |secret: &hmac::Key| plain(&hash(secret, parts)) == given;
        if known.filter(|secret| same(secret)).count() > 0 {
            Ok(())
        } else {
            Err(Wrong::Forged)
        }
    }
}

/// As hashes are compared: without case, and with both of the characters that forwarders write for
/// `+`.
fn plain(hash: &str) -> String {
    hash.to_ascii_lowercase().replace('-', "+")
}

/// The tag at the beginning, and what stands behind it and its separator.
fn tagged(user: &str) -> Option<(Tag, &str)> {
    let (tag, rest) = user.split_at_checked(4)?;
    let tag = match tag {
        tag if tag.eq_ignore_ascii_case("SRS0") => Tag::Srs0,
        tag if tag.eq_ignore_ascii_case("SRS1") => Tag::Srs1,
        _ => return None,
    };
    rest.strip_prefix(SEPARATORS).map(|rest| (tag, rest))
}

/// What an `SRS1` address says of the first forwarder's: his separator stands before it.
fn behind(rest: &str) -> String {
    let separator = if rest.starts_with(SEPARATORS) {
        ""
    } else {
        "="
    };
    format!("SRS0{separator}{rest}")
}

/// The parts are hashed in lower case, one behind the other. `+` would look like the mark of an
/// extension.
fn hash(secret: &hmac::Key, parts: &[&str]) -> String {
    let mut context = hmac::Context::with_key(secret);
    for part in parts {
        context.update(part.to_ascii_lowercase().as_bytes());
    }
    let text = BASE64.encode(context.sign());
    text.chars()
        .take(HASH)
        .map(|c| if c == '+' { '-' } else { c })
        .collect()
}

/// What stands for a sender: 80 bits, so that nobody finds two senders with the same one.
fn token(secret: &hmac::Key, sender: &Address) -> String {
    let signed = hmac::sign(secret, format!("token {sender}").as_bytes());
    let digit = |bits: u8| char::from(DIGITS.get(usize::from(bits)).copied().unwrap_or(b'A'));
    let bytes = signed.as_ref().iter().take(TOKEN);
    bytes.map(|byte| digit(byte % 32)).collect()
}

/// `2W`: the day, in two digits.
fn day(now: Timestamp) -> String {
    let day = now.as_secs() / DAY % DAYS;
    let digits = [day / 32, day % 32].map(|digit| {
        let digit = usize::try_from(digit).unwrap_or_default();
        char::from(DIGITS.get(digit).copied().unwrap_or(b'A'))
    });
    digits.iter().collect()
}

fn of_day(text: &str) -> Option<u64> {
    let digit = |byte: u8| {
        DIGITS
            .iter()
            .position(|digit| *digit == byte.to_ascii_uppercase())
    };
    match text.as_bytes() {
        [high, low] => u64::try_from(digit(*high)? * 32 + digit(*low)?).ok(),
        _ => None,
    }
}
