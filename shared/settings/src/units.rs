//! Settings with units, and settings of which there may be one or many.
//!
//! Contract: total; overflow is an error, not a wrap. The message says which form is expected.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{
    fmt,
    marker::PhantomData,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use mail::address::Domain;
use serde::{
    Deserialize, Deserializer,
    de::{self, value},
};

/// A time span with its unit: `"30s"`, `"5m"`, `"12h"`, `"30d"`, `"1d12h"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Span(pub Duration);

/// Longest span: 100 years.
pub const LONGEST: Duration = Duration::from_hours(36_525 * 24);

const SPAN: &str =
    "a time span is written with its unit, such as \"30s\", \"5m\", \"12h\", \"30d\" or \"1d12h\"";

impl TryFrom<String> for Span {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let seconds = seconds(&text).ok_or_else(|| wrong(&text, SPAN))?;
        match u64::try_from(seconds)
            .ok()
            .filter(|it| *it <= LONGEST.as_secs())
        {
            Some(seconds) => Ok(Self(Duration::from_secs(seconds))),
            None => Err(format!(
                "`{}` is longer than 100 years; write \"{}\" at most",
                text.escape_debug(),
                Self(LONGEST)
            )),
        }
    }
}

/// As many as there are in what is written, and at most as many as can be counted.
fn seconds(text: &str) -> Option<u128> {
    let mut total = 0u128;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, unit, after) = quantity(rest)?;
        let factor = match unit {
            "s" => 1,
            "m" | "min" => 60,
            "h" => 3600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return None,
        };
        total = total.saturating_add(number.saturating_mul(factor));
        rest = after;
    }
    Some(total)
}

/// `12h30m` is 12, `h`, and `30m` after it.
fn quantity(text: &str) -> Option<(u128, &str, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(digits)?;
    let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (unit, after) = rest.split_at_checked(letters)?;
    Some((counted(number)?, unit, after.trim_start()))
}

/// A number; one with too many digits is the largest.
fn counted(digits: &str) -> Option<u128> {
    (!digits.is_empty()).then(|| digits.parse().unwrap_or(u128::MAX))
}

fn wrong(text: &str, form: &str) -> String {
    format!("`{}` is not understood; {form}", text.escape_debug())
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Span;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time span")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                Span::try_from(text.to_owned()).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Span, E> {
                Err(E::custom(wrong(&number.to_string(), SPAN)))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// As it would be written: `30d`, `1d12h`.
impl Span {
    /// The two largest parts of a time, for people: `3d4h`.
    pub fn coarse(time: Duration) -> Self {
        let seconds = time.as_secs();
        let unit = match seconds {
            0..3600 => 1,
            3600..86_400 => 60,
            _ => 3600,
        };
        let rest = seconds.checked_rem(unit).unwrap_or_default();
        Self(Duration::from_secs(seconds.saturating_sub(rest)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_secs();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, factor) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
            let (number, remainder) = (rest.checked_div(factor), rest.checked_rem(factor));
            if let Some(number) = number.filter(|&number| number > 0) {
                write!(f, "{number}{unit}")?;
            }
            rest = remainder.unwrap_or_default();
        }
        Ok(())
    }
}

/// A size with its unit: `"500KiB"`, `"25MiB"`, `"1GiB"`, or bytes as a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Size(pub u64);

const SIZE: &str =
    "a size is written as \"500KiB\", \"25MiB\" or \"1GiB\", or as a number of bytes";

impl TryFrom<String> for Size {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let bytes = bytes(&text).ok_or_else(|| wrong(&text, SIZE))?;
        // What TOML has numbers for.
        let fits = i64::try_from(bytes).ok().and_then(|it| it.try_into().ok());
        fits.map(Self).ok_or_else(|| {
            format!(
                "`{}` is more than any disk holds; {SIZE}",
                text.escape_debug()
            )
        })
    }
}

fn bytes(text: &str) -> Option<u128> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let factor = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return None,
    };
    Some(counted(number)?.saturating_mul(factor))
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Size;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                Size::try_from(text.to_owned()).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Size, E> {
                u64::try_from(number)
                    .map(Size)
                    .map_err(|_| E::custom(wrong(&number.to_string(), SIZE)))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A host's or domain's name; an address is none.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct HostName(pub Domain);

impl TryFrom<String> for HostName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let plain = text.trim_start_matches('[').trim_end_matches([']', '.']);
        let plain = plain.strip_prefix("IPv6:").unwrap_or(plain);
        let last = plain.rsplit('.').next().unwrap_or_default();
        let numeric = !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
        if numeric || plain.parse::<IpAddr>().is_ok() {
            let text = text.escape_debug();
            return Err(format!(
                "`{text}` is an address; write a name such as \"mail.example.org\""
            ));
        }
        Domain::try_from(text).map(Self)
    }
}

/// The address of a name server: `"127.0.0.1"`, `"127.0.0.1:5353"`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct NameServer(pub SocketAddr);

impl TryFrom<String> for NameServer {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let alone = |address: IpAddr| SocketAddr::new(address, 53);
        let server = text.parse().or_else(|_| text.parse().map(alone));
        server.map(Self).map_err(|_| {
            format!(
                "`{}` is not the address of a name server; write \"127.0.0.1\" or \
                 \"127.0.0.1:5353\"",
                text.escape_debug()
            )
        })
    }
}

/// `"x"` or `["x", "y"]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

/// A table of settings, for `deserialize_with`: never an array, which would say nothing of which
/// value is which.
pub fn table<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    from.deserialize_any(TableVisitor(PhantomData))
}

/// The same for a table that may be absent.
pub fn optional_table<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    table(from).map(Some)
}

struct TableVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> de::Visitor<'de> for TableVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table in braces, which names each of its values: { name = value }")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(value::MapAccessDeserializer::new(map))
    }
}

struct OneOrManyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> de::Visitor<'de> for OneOrManyVisitor<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one value, or a list of them in brackets")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        one(value::StrDeserializer::new(text))
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
        one(value::BoolDeserializer::new(value))
    }
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        one(value::I64Deserializer::new(number))
    }
    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        one(value::MapAccessDeserializer::new(map))
    }
    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(OneOrMany(all))
    }
}

fn one<'de, T: Deserialize<'de>, D: Deserializer<'de>>(item: D) -> Result<OneOrMany<T>, D::Error> {
    T::deserialize(item).map(|item| OneOrMany(vec![item]))
}
