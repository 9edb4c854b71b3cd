//! Dates of the `Date` field: which ones a strict reader takes, and what those mean that it does
//! not.
//!
//! Contract: a date by RFC 5322 §3.3, obsolete zones included (§4.3), stays as it is. Other common
//! forms (`date(1)`, ISO 8601, a wrong day of the week, no zone) are written anew; a zone that is
//! not known is this machine's.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use jiff::{Zoned, civil, fmt::rfc2822::DateTimeParser, fmt::strtime, tz::TimeZone};

/// What is to be done with the value of a `Date` field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Date {
    /// Nothing.
    Fine,
    /// The same point in time in the right form.
    Written(String),
    /// It tells no time.
    Unreadable,
}

/// Forms that programs write, without the zone.
const FORMS: &[&str] = &[
    "%a, %d %b %Y %H:%M:%S",
    "%d %b %Y %H:%M:%S",
    "%a, %d %b %Y %H:%M",
    "%d %b %Y %H:%M",
    "%a %b %d %H:%M:%S %Y",
    "%a %d %b %Y %H:%M:%S",
    "%a %d %b %Y %I:%M:%S %p",
    "%Y/%m/%d %H:%M:%S",
    "%a, %d %b %Y",
    "%d %b %Y",
];

/// Reads the unfolded value of the field.
pub(super) fn read(value: &str) -> Date {
    let value = value.trim();
    // RFC 5322 knows no year before 1900; a month before 1971 is a clock that was never set.
    let sensible = |zoned: &Zoned| (1900..=9999).contains(&zoned.year());
    if !value.is_ascii() || value.chars().any(|c| c.is_control() && c != '\t') {
        return Date::Unreadable;
    }
    match DateTimeParser::new().parse_zoned(value) {
        Ok(zoned) if sensible(&zoned) => return Date::Fine,
        _ => {}
    }
    let relaxed = DateTimeParser::new().relaxed_weekday(true);
    let zoned = relaxed.parse_zoned(value).ok();
    let zoned = zoned.or_else(|| iso(value)).or_else(|| common(value));
    zoned
        .filter(sensible)
        .and_then(|zoned| written(&zoned))
        .map_or(Date::Unreadable, Date::Written)
}

/// A date that [`read`] leaves, without obsolete forms: two digits of a year, a zone's name, a
/// comment. `None`: it has none.
pub(super) fn strict(value: &str) -> Option<String> {
    let value = value.trim();
    let written = written(&DateTimeParser::new().parse_zoned(value).ok()?)?;
    // What may be left out, or written with one digit.
    let is_strict = [
        "%a, %d %b %Y %H:%M:%S %z",
        "%a, %d %b %Y %H:%M %z",
        "%d %b %Y %H:%M:%S %z",
        "%d %b %Y %H:%M %z",
    ]
    .iter()
    .any(|form| strtime::parse(form, value).is_ok());
    (!is_strict).then_some(written)
}

fn written(zoned: &Zoned) -> Option<String> {
    strtime::format("%a, %d %b %Y %H:%M:%S %z", zoned).ok()
}

fn iso(value: &str) -> Option<Zoned> {
    let zone = value.get(10..).and_then(|rest| rest.rfind(['Z', '+', '-']));
    if zone.is_some() {
        let compact = value.replacen(' ', "T", 1).replace(' ', "");
        let pieces = jiff::fmt::temporal::Pieces::parse(&compact).ok()?;
        let offset = pieces.to_numeric_offset()?;
        let time = civil::DateTime::from_parts(pieces.date(), pieces.time()?);
        return time.to_zoned(TimeZone::fixed(offset)).ok();
    }
    value.parse::<civil::DateTime>().ok().and_then(local)
}

/// The forms above, with a zone anywhere among the words.
fn common(value: &str) -> Option<Zoned> {
    let (mut words, mut zone) = (Vec::new(), None);
    for word in value.split_whitespace() {
        match self::zone(word) {
            Some(found) if zone.is_none() => zone = Some(found),
            _ => words.push(word),
        }
    }
    let text = words.join(" ");
    let time = FORMS.iter().find_map(|form| {
        let mut read = strtime::parse(form, &text).ok()?;
        read.set_weekday(None);
        let date = read.to_date().ok()?;
        let time = read.to_time().unwrap_or(civil::Time::midnight());
        Some(civil::DateTime::from_parts(date, time))
    })?;
    match zone {
        Some(Zone::Offset(offset)) => time.to_zoned(TimeZone::fixed(offset)).ok(),
        Some(Zone::Name) | None => local(time),
    }
}

enum Zone {
    Offset(jiff::tz::Offset),
    /// A name that means different zones in different places.
    Name,
}

/// `+0100`, `+01:00`, `UTC`, `CEST`, `(CET)`; no month, no day, no AM.
fn zone(word: &str) -> Option<Zone> {
    let word = word.trim_matches(['(', ')']);
    if matches!(word, "UTC" | "GMT" | "UT" | "Z") {
        return Some(Zone::Offset(jiff::tz::Offset::UTC));
    }
    let digits: String = word.chars().filter(char::is_ascii_digit).collect();
    if word.starts_with(['+', '-']) && digits.len() == 4 {
        let (hours, minutes) = digits.split_at(2);
        let seconds = hours
            .parse::<i32>()
            .ok()?
            .saturating_mul(60)
            .saturating_add(minutes.parse().ok()?)
            .saturating_mul(60);
        let seconds = if word.starts_with('-') {
            0i32.saturating_sub(seconds)
        } else {
            seconds
        };
        return jiff::tz::Offset::from_seconds(seconds)
            .ok()
            .map(Zone::Offset);
    }
    let name = word.len() > 2 && word.chars().all(|c| c.is_ascii_uppercase());
    name.then_some(Zone::Name)
}

fn local(time: civil::DateTime) -> Option<Zoned> {
    time.to_zoned(TimeZone::system()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_the_standard_stays_and_one_that_only_people_read_is_written_anew() {
        for fine in [
            "Tue, 4 Oct 2022 10:00:00 +0000",
            "4 Oct 2022 10:00 GMT",
            "Tue, 04 Oct 2022 10:00:00 -0700 (PDT)",
            "Sun,  6 Nov 1994 08:49:37 EST",
        ] {
            assert_eq!(read(fine), Date::Fine, "{fine}");
        }
        for (bad, written) in [
            (
                "Mon, 4 Oct 2022 10:00:00 +0200",
                "Tue, 04 Oct 2022 10:00:00 +0200",
            ),
            ("2022-10-04T10:00:00Z", "Tue, 04 Oct 2022 10:00:00 +0000"),
            (
                "2022-10-04 10:00:00 +0200",
                "Tue, 04 Oct 2022 10:00:00 +0200",
            ),
            (
                "2022-10-04T10:00:00-03:30",
                "Tue, 04 Oct 2022 10:00:00 -0330",
            ),
            (
                "Tue Oct  4 10:00:00 UTC 2022",
                "Tue, 04 Oct 2022 10:00:00 +0000",
            ),
            (
                "Tue Oct 4 10:00:00 2022 +0100",
                "Tue, 04 Oct 2022 10:00:00 +0100",
            ),
            (
                "Tue, 4 Oct 2022 10:00:00 +02:00",
                "Tue, 04 Oct 2022 10:00:00 +0200",
            ),
            (
                "Tue 04 Oct 2022 10:00:00 PM UTC",
                "Tue, 04 Oct 2022 22:00:00 +0000",
            ),
        ] {
            assert_eq!(read(bad), Date::Written(written.into()), "{bad}");
        }
        for bad in [
            "",
            "yesterday",
            "4.10.22",
            "0000-00-00 00:00:00",
            "Thu, 1 Jan 0001 00:00:00 +0000",
        ] {
            assert_eq!(read(bad), Date::Unreadable, "{bad}");
        }
    }

    #[test]
    fn a_date_in_a_zone_that_only_this_machine_knows_is_read_as_its_time() {
        for bad in ["Tue Oct  4 10:00:00 CEST 2022", "2022-10-04 10:00:00"] {
            let Date::Written(written) = read(bad) else {
                panic!("{bad}")
            };
            assert!(
                written.starts_with("Tue, 04 Oct 2022 10:00:00 "),
                "{written}"
            );
            assert_eq!(read(&written), Date::Fine);
        }
    }
}
