//! Session tickets of listeners (RFC 5077, RFC 8446 §4.6.1): the keys that seal them, and to what
//! each is bound.
//!
//! | age of a key | what it does |
//! |---|---|
//! | up to a day | seals new tickets and opens them |
//! | up to twice that | opens those it has sealed |
//! | beyond | forgotten |
//!
//! Contract: [`KeyRing`] is pure, and whoever has a clock and a disk turns it. A clock that is set
//! back makes a key of the future one of now; one that is ahead costs full handshakes. A ticket is
//! opened only where it is bound to the same things as where it was made; whoever brings another
//! one makes a full handshake. At most two keys, and no ticket beyond [`MOST`].
//! Failures: without a key, or without random numbers, there are no tickets; nobody is refused.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use mail::clock::{self, Timestamp};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};
use rustls::server::ProducesTickets;
use sha2::{Digest as _, Sha256};

use crate::trust::{Hex, unhex};

/// How long a key seals tickets, and how long a ticket may be used.
const LIFE: Duration = Duration::from_hours(24);
/// Largest ticket, bytes; a client whose certificates need more has none.
const MOST: usize = 16 * 1024;
/// Keys at once: one that seals, and the one before.
const KEYS: usize = 2;
const NAME: usize = 16;
const SECRET: usize = 32;

/// What the file begins with.
const HEADER: &str = "# Keys of TLS session tickets, the newest first: when it was made, name and \
                      secret. Whoever knows them\n# can read sessions of TLS 1.2 and go on with \
                      others. Without this file, or with a damaged one, new keys are made.\n";

/// What seals tickets.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    made: Timestamp,
    name: [u8; NAME],
    secret: [u8; SECRET],
}

/// The keys of now, newest first.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct KeyRing {
    keys: Vec<Key>,
}

/// Says nothing of secrets.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = self.keys.iter().map(|key| key.made);
        f.debug_list().entries(made).finish()
    }
}

impl Key {
    fn new(now: Timestamp) -> Option<Self> {
        let (mut name, mut secret) = ([0; NAME], [0; SECRET]);
        let random = SystemRandom::new();
        random.fill(&mut name).ok()?;
        random.fill(&mut secret).ok()?;
        Some(Self {
            made: now,
            name,
            secret,
        })
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let key = Self {
            made: Timestamp::from_millis(words.next()?.parse().ok()?),
            name: unhex(words.next()?)?,
            secret: unhex(words.next()?)?,
        };
        words.next().is_none().then_some(key)
    }

    /// One of the future counts as made now.
    fn age(&self, now: Timestamp) -> Duration {
        now.since(self.made)
    }

    /// Whether it opens what it has sealed.
    fn opens(&self, now: Timestamp) -> bool {
        self.age(now) < LIFE.saturating_mul(2)
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &self.secret).ok()?;
        Some(LessSafeKey::new(key))
    }

    /// What is proved together with a ticket.
    fn proved(&self, bound: &Bound) -> Aad<Vec<u8>> {
        Aad::from([self.name.as_slice(), bound.0.as_slice()].concat())
    }
}

impl KeyRing {
    /// Reads what [`KeyRing::to_text`] wrote; the error says what is wrong, and no secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().enumerate();
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let keys = lines.map(|(index, line)| {
            let number = index.saturating_add(1);
            Key::parse(line).ok_or_else(|| format!("line {number} is no key"))
        });
        let keys: Vec<Key> = keys.collect::<Result<_, _>>()?;
        match keys.len() {
            0 => Err("there is no key in it".to_owned()),
            1..=KEYS => Ok(Self { keys }),
            _ => Err(format!("there are more than {KEYS} keys in it")),
        }
    }

    /// For a file that nobody else may read.
    pub fn to_text(&self) -> String {
        let mut text = HEADER.to_owned();
        for key in &self.keys {
            let made = key.made.as_millis();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{made} {} {}", Hex(&key.name), Hex(&key.secret));
        }
        text
    }

    /// What it becomes now; `None`: it stays as it is.
    pub fn turned(&self, now: Timestamp) -> Option<Self> {
        let mut turned = self.clone();
        for key in &mut turned.keys {
            key.made.noted(now);
        }
        turned.keys.retain(|key| key.opens(now));
        let seals = turned.keys.first().is_some_and(|key| key.age(now) < LIFE);
        if !seals && let Some(key) = Key::new(now) {
            turned.keys.insert(0, key);
            turned.keys.truncate(KEYS);
        }
        (turned != *self).then_some(turned)
    }

    /// Those that open tickets; the first one seals them.
    fn usable(&self, now: Timestamp) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| key.opens(now))
    }

    /// A ticket: name of the key, nonce, session sealed, tag.
    fn seal(&self, session: &[u8], bound: &Bound, now: Timestamp) -> Option<Vec<u8>> {
        let key = self.usable(now).next()?;
        let cipher = key.cipher()?;
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut sealed = session.to_vec();
        let proved = key.proved(bound);
        let at = Nonce::assume_unique_for_key(nonce);
        cipher
            .seal_in_place_append_tag(at, proved, &mut sealed)
            .ok()?;
        let ticket = [key.name.as_slice(), nonce.as_slice(), &sealed].concat();
        (ticket.len() <= MOST).then_some(ticket)
    }

    fn open(&self, ticket: &[u8], bound: &Bound, now: Timestamp) -> Option<Vec<u8>> {
        if ticket.len() > MOST {
            return None;
        }
        let (name, rest) = ticket.split_at_checked(NAME)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let key = self.usable(now).find(|key| key.name == name)?;
        let at = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut session = sealed.to_vec();
        let cipher = key.cipher()?;
        let opened = cipher.open_in_place(at, key.proved(bound), &mut session);
        let length = opened.ok()?.len();
        session.truncate(length);
        Some(session)
    }
}

/// The ring in force, for all listeners.
#[derive(Debug, Default)]
pub struct TicketKeys(RwLock<Arc<KeyRing>>);

impl TicketKeys {
    pub fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn set(&self, ring: KeyRing) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
    }

    /// Tickets for who is all of this: those of others are not opened, nor the other way round.
    pub fn bound_to(self: &Arc<Self>, parts: &[&[u8]]) -> Arc<dyn ProducesTickets> {
        Arc::new(Tickets {
            keys: Arc::clone(self),
            bound: Bound::to(parts),
        })
    }
}

/// A digest of all that a session depends on.
#[derive(Debug)]
struct Bound([u8; 32]);

impl Bound {
    fn to(parts: &[&[u8]]) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        Self(digest.finalize().into())
    }
}

#[derive(Debug)]
struct Tickets {
    keys: Arc<TicketKeys>,
    bound: Bound,
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFE.as_secs().try_into().unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.keys.ring().seal(plain, &self.bound, clock::now())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.keys.ring().open(cipher, &self.bound, clock::now())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn start() -> Timestamp {
        Timestamp::from_secs(1_795_000_000)
    }

    fn here() -> Bound {
        Bound::to(&[b"here"])
    }

    fn fresh(now: Timestamp) -> KeyRing {
        KeyRing::default().turned(now).unwrap()
    }

    /// Row B7: whatever the hour at which a ticket was made, it is taken for a day, and not for
    /// three.
    #[test]
    fn a_ticket_is_taken_for_a_day_over_the_daily_change_of_keys_and_for_two_at_most() {
        let mut ring = fresh(start());
        let mut tickets = Vec::new();
        for hour in 0..24 * 8 {
            let now = start().after(HOUR * hour);
            if let Some(turned) = ring.turned(now) {
                assert_eq!(hour % 24, 0, "the key changes once a day");
                ring = turned;
            }
            tickets.push((hour, ring.seal(b"session", &here(), now).unwrap()));
            for (made, ticket) in &tickets {
                let age = hour - made;
                match ring.open(ticket, &here(), now) {
                    Some(session) => assert!(session == b"session" && age < 48, "{age}"),
                    None => assert!(age >= 24, "{age}"),
                }
            }
            // A restart changes nothing.
            assert_eq!(KeyRing::parse(&ring.to_text()).as_ref(), Ok(&ring));
            assert_eq!(ring.turned(now), None);
        }
    }

    #[test]
    fn a_ticket_is_opened_only_by_who_is_what_it_was_made_for() {
        let ring = fresh(start());
        let bound = Bound::to(&[b"submission", b"key"]);
        let ticket = ring.seal(b"session", &bound, start()).unwrap();
        assert!(ring.open(&ticket, &bound, start()).is_some());
        for other in [
            Bound::to(&[b"submission", b"another"]),
            Bound::to(&[b"submissionkey"]),
            Bound::to(&[b"submissio", b"nkey"]),
            Bound::to(&[b"submission", b"key", b""]),
            here(),
        ] {
            assert_eq!(ring.open(&ticket, &other, start()), None);
        }
        assert_eq!(fresh(start()).open(&ticket, &bound, start()), None);
        let long = vec![0; MOST];
        assert_eq!(ring.seal(&long, &bound, start()), None);
    }

    #[test]
    fn a_clock_that_jumps_costs_full_handshakes_at_most_and_keeps_no_key_for_longer() {
        let later = start().after(HOUR * 24 * 4000);
        let ring = fresh(start());
        let ticket = ring.seal(b"session", &here(), start()).unwrap();
        // Ahead for a moment in which the ring was not turned: nothing is lost.
        assert_eq!(ring.open(&ticket, &here(), later), None);
        assert_eq!(ring.seal(b"session", &here(), later), None);
        assert!(ring.open(&ticket, &here(), start()).is_some());
        // Turned meanwhile, and set back: the key of the future seals from now on, for a day.
        let ahead = ring.turned(later).unwrap();
        assert_eq!(ahead.open(&ticket, &here(), start()), None);
        let made = ahead.seal(b"session", &here(), start()).unwrap();
        let back = ahead.turned(start()).unwrap();
        assert!(back.open(&made, &here(), start()).is_some());
        assert_eq!(back.turned(start().after(HOUR * 23)), None);
        let day = back.turned(start().after(HOUR * 24)).unwrap();
        assert!(day.open(&made, &here(), start().after(HOUR * 24)).is_some());
        let gone = day.turned(start().after(HOUR * 48)).unwrap();
        assert_eq!(gone.open(&made, &here(), start().after(HOUR * 48)), None);
        // Back by years, to and fro: there are never more keys than two.
        let mut ring = day;
        for hour in [900_000, 3, 900_100, 2, 40, 900_200, 1] {
            let now = start().after(HOUR * hour);
            ring = ring.turned(now).unwrap_or(ring);
            let ticket = ring.seal(b"session", &here(), now).unwrap();
            assert!(ring.open(&ticket, &here(), now).is_some() && ring.keys.len() <= KEYS);
        }
    }

    #[test]
    fn a_damaged_file_is_refused_without_telling_what_is_in_it() {
        let ring = fresh(start()).turned(start().after(HOUR * 25)).unwrap();
        let text = ring.to_text();
        let keys: Vec<&str> = text.lines().filter(|it| !it.starts_with('#')).collect();
        assert_eq!(keys.len(), 2);
        for damaged in [
            String::new(),
            "# nothing\n".to_owned(),
            text.replace(' ', "\t"),
            text.clone() + keys[0] + "\n",
            keys[0][..keys[0].len() - 1].to_owned(),
            format!("{} more", keys[0]),
            format!("-1{}", keys[0]),
            format!("99999999999999999999{}", keys[0]),
            keys[0].replace(|c: char| c.is_ascii_digit(), "g"),
        ] {
            let why = KeyRing::parse(&damaged).unwrap_err();
            assert!(why.len() < 40, "{why}");
        }
        let secrets = format!("{ring:?} {:?}", TicketKeys::default());
        let secret = keys[0].rsplit(' ').next().unwrap();
        assert!(!secrets.contains(&secret[..8]), "{secrets}");
    }

    proptest! {
        #[test]
        fn whatever_is_brought_as_a_ticket_or_stands_in_the_file_does_no_harm(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            at in 0usize..200,
            to: u8,
            text in "[0-9a-f #\n]{0,300}",
        ) {
            let ring = fresh(start());
            prop_assert_eq!(ring.open(&bytes, &here(), start()), None);
            let mut ticket = ring.seal(b"session", &here(), start()).unwrap();
            let at = at % ticket.len();
            let is_same = ticket[at] == to;
            ticket[at] = to;
            prop_assert_eq!(ring.open(&ticket, &here(), start()).is_some(), is_same);
            let _ = KeyRing::parse(&text).map(|ring| ring.turned(start()));
        }
    }
}
