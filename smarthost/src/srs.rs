//! The sender rewriting scheme: forwarded mail leaves with a sender of our own domain, so that SPF
//! holds, and what comes back to it is led to the sender as he was. Pure.
//!
//! Contract: `SRS0=hash=day=host=user@ours` of a sender, `SRS1=hash=first=…@ours` of a sender that
//! another forwarder has rewritten, as libsrs2 and postsrsd write and read them with the same
//! secret. Hash and tag are read in any case, since some hops fold it. An address leads back only
//! with a hash of one of our secrets, and for [`LIFETIME`] days: nothing else is ever relayed by
//! it. A new secret signs as soon as it is the first; the others are still believed.
//! Failures: a sender whose rewritten form would be longer than an address may be stays as it is
//! (`None`).
//! <https://www.libsrs2.net/srs/srs.pdf>

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use mail::{
    address::{Address, Domain},
    clock::Timestamp,
};
use ring::hmac;

/// How long an address leads back, days.
const LIFETIME: u64 = 21;
/// Characters of a hash.
const HASH: usize = 4;
/// Longest local part that every server takes (RFC 5321 §4.5.3.1.1).
const LONGEST: usize = 64;
/// Days are counted in two digits of this.
const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const DAYS: u64 = 32 * 32;
const DAY: u64 = 24 * 60 * 60;
/// Behind the tag any of these may stand; between the parts the first.
const SEPARATORS: [char; 3] = ['=', '-', '+'];

/// The domain, and the secrets that are believed, of which the first signs.
#[derive(Clone, Debug)]
pub struct Srs {
    domain: Domain,
    secrets: Vec<hmac::Key>,
}

/// Why an address leads nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// Its hash is not ours, or it has no parts that we write.
    Forged,
    Expired,
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
        }
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
        }
    }

    /// A sender as forwarded mail leaves with it; `None`: it stays, since it is ours already or
    /// there is no form for it.
    pub fn forward(&self, sender: &Address, now: Timestamp) -> Option<Address> {
        let domain = sender.domain();
        if *domain == self.domain || domain.is_below(&self.domain) {
            return None;
        }
        let signing = self.secrets.first()?;
        let sender = sender.clone().with_ascii_domain();
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
        let rewritten = Address::new(&local, &self.domain).ok()?;
        (rewritten.local_part().len() <= LONGEST).then_some(rewritten)
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
        self.reverse(address).map(|(target, _)| target)
    }

    /// Whether mail to an address is taken now.
    pub fn check(&self, address: &Address, now: Timestamp) -> Result<(), Wrong> {
        let (_, made) = self.reverse(address)?;
        let Some(made) = made else {
            // How old it is, the forwarder knows to whom it goes.
            return Ok(());
        };
        let age = (now.as_secs() / DAY + DAYS - made) % DAYS;
        // Whose clock is a little ahead.
        if age <= LIFETIME || age == DAYS - 1 {
            Ok(())
        } else {
            Err(Wrong::Expired)
        }
    }

    /// The original address, and the day within [`DAYS`] when it was rewritten, if that is told.
    fn reverse(&self, address: &Address) -> Result<(Address, Option<u64>), Wrong> {
        let user = address.local_name();
        let (tag, rest) = tagged(&user).ok_or(Wrong::Forged)?;
        let (hash, rest) = rest.split_once('=').ok_or(Wrong::Forged)?;
        let parsed = match tag {
            Tag::Srs0 => {
                let (day, rest) = rest.split_once('=').ok_or(Wrong::Forged)?;
                let (host, user) = rest.split_once('=').ok_or(Wrong::Forged)?;
                let made = of_day(day).ok_or(Wrong::Forged)?;
                // Folded on the way; it was upper case when it was signed, and is hashed in lower
                // case.
                self.verify(hash, &[day, host, user])?;
                (Address::new(user, host), Some(made))
            }
            Tag::Srs1 => {
                let (first, rest) = rest.split_once('=').ok_or(Wrong::Forged)?;
                self.verify(hash, &[first, rest])?;
                let first = Address::new(&behind(rest), first).map_err(|_| Wrong::Forged)?;
                // That is an `SRS0` of our own, or nothing: it would come here again.
                if self.is_domain(first.domain()) {
                    return self.reverse(&first);
                }
                (Ok(first), None)
            }
        };
        let (target, made) = parsed;
        Ok((target.map_err(|_| Wrong::Forged)?, made))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ours(secrets: &[&str]) -> Srs {
        let secrets: Vec<_> = secrets.iter().map(|&secret| secret.to_owned()).collect();
        Srs::new(Domain::name("example.com").unwrap(), &secrets)
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    /// 2020-01-01 00:01:00 UTC.
    const THEN: Timestamp = Timestamp::from_secs(1_577_836_860);

    fn days(days: u64) -> Timestamp {
        Timestamp::from_secs(THEN.as_secs() + days * DAY)
    }

    fn forward(sender: &str) -> Option<String> {
        let forwarded = ours(&["tops3cr3t"]).forward(&address(sender), THEN);
        forwarded.map(|address| address.to_string())
    }

    #[test]
    fn addresses_are_those_of_other_implementations_with_the_same_secret() {
        for (sender, forwarded) in [
            (
                "test@otherdomain.com",
                "SRS0=vmyz=2W=otherdomain.com=test@example.com",
            ),
            (
                "sender@otherdomain.com",
                "SRS0=9KJ-=2W=otherdomain.com=sender@example.com",
            ),
            (
                "SRS0=opaque+string@otherdomain.com",
                "SRS1=chaI=otherdomain.com==opaque+string@example.com",
            ),
        ] {
            assert_eq!(forward(sender).as_deref(), Some(forwarded));
            let back = ours(&["tops3cr3t"]).target(&address(forwarded));
            assert_eq!(back, Ok(address(sender)));
        }
        assert_eq!(forward("test@example.com"), None, "ours");
        let plus = address("SRS0=9KJ+=2W=otherdomain.com=sender@example.com");
        assert!(ours(&["tops3cr3t"]).target(&plus).is_ok());
    }

    #[test]
    fn a_second_forwarder_sends_what_comes_back_to_the_first() {
        let (first, second) = (
            ours(&["one"]),
            Srs::new(Domain::name("b.example").unwrap(), &["two".into()]),
        );
        let third = Srs::new(Domain::name("c.example").unwrap(), &["three".into()]);
        let at_first = first.forward(&address("Jane@ham.example"), THEN).unwrap();
        let at_second = second.forward(&at_first, THEN).unwrap();
        let at_third = third.forward(&at_second, THEN).unwrap();
        assert!(at_third.as_str().starts_with("SRS1="), "{at_third}");
        assert!(at_third.as_str().contains("=example.com=="), "{at_third}");
        assert_eq!(
            third.target(&at_third).as_ref(),
            Ok(&at_first),
            "the one between is left out"
        );
        assert_eq!(second.target(&at_second).as_ref(), Ok(&at_first));
        assert_eq!(first.target(&at_first), Ok(address("Jane@ham.example")));
        assert_eq!(
            third.check(&at_third, days(300)),
            Ok(()),
            "the first knows how old it is"
        );
        assert_eq!(first.check(&at_first, days(300)), Err(Wrong::Expired));
    }

    /// Otherwise its mail would go to ourselves, and wait there for its lifetime.
    #[test]
    fn an_address_that_names_ourselves_as_the_first_forwarder_is_unwrapped_or_leads_nowhere() {
        let srs = ours(&["one"]);
        let key = &srs.secrets[0];
        let around = |rest: &str| {
            let hash = hash(key, &["example.com", rest]);
            address(&format!("SRS1={hash}=example.com={rest}@example.com"))
        };
        let made = srs.forward(&address("jane@ham.example"), THEN).unwrap();
        let ours_again = around(&made.local_name()[4..]);
        assert_eq!(srs.target(&ours_again), Ok(address("jane@ham.example")));
        assert_eq!(srs.check(&ours_again, days(300)), Err(Wrong::Expired));
        let forged = around("=abcd=2W=ham.example=jane");
        assert_eq!(srs.target(&forged), Err(Wrong::Forged));
        assert_eq!(srs.check(&forged, THEN), Err(Wrong::Forged));
        // As it comes back to be forwarded once more.
        let back = |it: &Address| address(&format!("{}@far.example", it.local_part()));
        assert_eq!(srs.forward(&back(&ours_again), THEN), Some(made));
        assert_eq!(srs.forward(&back(&forged), THEN), None);
    }

    #[test]
    fn what_was_folded_on_the_way_comes_home_and_what_was_forged_or_is_old_does_not() {
        let srs = ours(&["new", "old"]);
        let made = ours(&["old"])
            .forward(&address("Jane@Ham.example"), THEN)
            .unwrap();
        let folded = address(&made.as_str().to_lowercase());
        assert_eq!(srs.target(&folded), Ok(address("jane@ham.example")));
        for (age, taken) in [
            (0, true),
            (1, true),
            (21, true),
            (22, false),
            (60, false),
            (1000, false),
        ] {
            assert_eq!(srs.check(&folded, days(age)).is_ok(), taken, "{age}");
        }
        let yesterday = Timestamp::from_secs(THEN.as_secs() - DAY);
        assert_eq!(
            srs.check(&made, yesterday),
            Ok(()),
            "a clock that is behind"
        );
        let text = made.to_string();
        let start = "SRS0=".len();
        for (at, c) in text
            .char_indices()
            .take_while(|(_, c)| *c != '@')
            .skip(start)
        {
            let mut other = text.clone();
            let new = if c.eq_ignore_ascii_case(&'x') {
                "y"
            } else {
                "x"
            };
            other.replace_range(at..=at, new);
            let Ok(other) = Address::parse(&other) else {
                continue;
            };
            let forged = srs.target(&other);
            assert!(forged.is_err(), "{other}: {forged:?}");
        }
        assert!(ours(&["third"]).target(&made).is_err());
        assert!(ours(&[]).target(&made).is_err());
        assert_eq!(ours(&[]).forward(&address("a@b.example"), THEN), None);
    }

    #[test]
    fn only_tags_with_a_separator_in_our_domain_are_ours() {
        let srs = ours(&["x"]);
        for (text, is) in [
            ("SRS0=a@example.com", true),
            ("srs1-a@EXAMPLE.com", true),
            ("SRS0+a@example.com", true),
            ("SRS0a@example.com", false),
            ("SRS2=a@example.com", false),
            ("srs@example.com", false),
            ("SRS0=a@sub.example.com", false),
        ] {
            assert_eq!(srs.is_ours(&address(text)), is, "{text}");
        }
    }

    #[test]
    fn odd_local_parts_come_back_as_they_were() {
        let srs = ours(&["x"]);
        for sender in [
            "\"a b\"@ham.example",
            "a=b=c@ham.example",
            "\"a@b\"@ham.example",
            "x+y@ham.example",
        ] {
            let forwarded = srs.forward(&address(sender), THEN).unwrap();
            assert_eq!(srs.target(&forwarded), Ok(address(sender)), "{forwarded}");
        }
        let long = format!("{}@ham.example", "a".repeat(60));
        assert_eq!(srs.forward(&address(&long), THEN), None, "no form for it");
    }

    proptest! {
        #[test]
        fn no_bytes_of_strangers_lead_anywhere(local in "SRS[01][=+-][ -~]{0,50}") {
            let srs = ours(&["secret"]);
            if let Ok(address) = Address::new(&local, "example.com") {
                prop_assert!(srs.target(&address).is_err());
                prop_assert!(srs.check(&address, THEN).is_err());
            }
            if let Ok(sender) = Address::new(&local, "ham.example") {
                let forwarded = srs.forward(&sender, THEN);
                if let Some(forwarded) = forwarded {
                    prop_assert!(srs.target(&forwarded).is_ok(), "{}", forwarded);
                }
            }
        }
    }
}
