//! How often something comes, if it comes regularly.

use std::time::Duration;

use mail::clock::{Timestamp, Zone};

use super::Every;

/// Arrivals that count, the newest.
pub(super) const SEEN: usize = 16;
/// How far apart in the day it may come, in minutes: jobs take their time, and clocks that know no
/// summer are an hour off.
const SPREAD: i64 = 120;
const DAY: i64 = 24 * 60;
const HOUR: Duration = Duration::from_hours(1);

/// How often, and how late it may be; the arrivals in order.
pub(super) fn rhythm(seen: &[Timestamp], zone: &Zone) -> Option<(Every, Every)> {
    by_days(seen, zone).or_else(|| within_a_day(seen))
}

/// At the same time of day, with so many days between.
fn by_days(seen: &[Timestamp], zone: &Zone) -> Option<(Every, Every)> {
    let minutes = seen.iter().map(|at| {
        let (day, minute) = at.day_and_minute(zone);
        day.saturating_mul(DAY).saturating_add(minute.into())
    });
    let minutes: Vec<i64> = minutes.collect();
    // As if the last one had come at noon, so that midnight is in nobody's way.
    let noon = minutes.last()?.rem_euclid(DAY) - DAY / 2;
    let times = minutes.iter().map(|at| at - noon);
    let within = times.clone().map(|at| at.rem_euclid(DAY));
    let spread = within.clone().max()? - within.min()?;
    if spread > SPREAD {
        return None;
    }
    let days: Vec<i64> = times.map(|at| at.div_euclid(DAY)).collect();
    let gaps: Vec<i64> = days
        .iter()
        .zip(days.iter().skip(1))
        .map(|(a, b)| b - a)
        .collect();
    let (least, most) = (gaps.iter().copied().min()?, gaps.iter().copied().max()?);
    let enough = |number: usize| gaps.len() >= number;
    let (every, grace) = match (least, most) {
        (1, 1) if enough(6) => (1, 3),
        // On working days, or on some days of the week.
        (1.., 2 | 3) if enough(8) => (3, 6),
        (1.., 4..=7) if enough(10) => (7, 12),
        (7, 7) if enough(4) => (7, 12),
        (14, 14) if enough(3) => (14, 24),
        (28.., ..=31) if enough(3) => (31, 24),
        (89.., ..=92) if enough(3) => (92, 24),
        _ => return None,
    };
    Some((Every::days(every), Every(HOUR.saturating_mul(grace))))
}

/// Several times a day, around the clock.
fn within_a_day(seen: &[Timestamp]) -> Option<(Every, Every)> {
    let later = seen.iter().skip(1);
    let gaps: Vec<Duration> = seen.iter().zip(later).map(|(a, b)| b.since(*a)).collect();
    let (least, most) = (*gaps.iter().min()?, *gaps.iter().max()?);
    let regular = least >= Duration::from_mins(10) && most <= HOUR * 13 && most <= least * 2;
    if gaps.len() < 12 || !regular {
        return None;
    }
    let hours = (most.as_secs() + 1800) / 3600;
    let every = HOUR.saturating_mul(u32::try_from(hours.max(1)).unwrap_or(u32::MAX));
    Some((Every(every), Every(every / 2)))
}
