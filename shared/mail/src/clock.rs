//! Time as a value. Machines take a [`Timestamp`] or an `Instant`; only edges ask [`now`].
//!
//! RFC 5322 §3.3 (date-time).

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::{Zoned, tz::TimeZone};

/// Wall clock time in milliseconds since 1970-01-01 UTC.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From milliseconds since 1970.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// From seconds since 1970.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// Reads `2026-11-22`, `2026-11-22 07:51`, in local time, or RFC 3339.
    pub fn parse(text: &str) -> Option<Self> {
        let civil = || {
            let time: jiff::civil::DateTime = text.parse().ok()?;
            Some(time.to_zoned(TimeZone::system()).ok()?.timestamp())
        };
        let instant = text.parse().ok().or_else(civil)?;
        u64::try_from(jiff::Timestamp::as_millisecond(instant))
            .ok()
            .map(Self)
    }

    /// Reads `Nov 22 07:51:52`, in local time, as syslog writes it without a year: never in the
    /// future.
    pub fn of_syslog(month: &str, day: &str, time: &str, now: Self) -> Option<Self> {
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let month = MONTHS
            .iter()
            .position(|name| *name == month)?
            .checked_add(1)?;
        let (day, year): (u8, _) = (day.parse().ok()?, now.local().year());
        let latest = now.after(Duration::from_hours(24));
        let read = |year| Self::parse(&format!("{year:04}-{month:02}-{day:02} {time}"));
        let mut years = [year, year.saturating_sub(1)].into_iter();
        years.find_map(|year| read(year).filter(|time| *time <= latest))
    }

    /// Later by `duration`.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
        )
    }

    /// Earlier by `duration`.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        let by = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(by))
    }

    /// The time since `earlier`; zero if that lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// When something was noted, as it counts now: what a clock that was ahead has noted counts as
    /// noted now, from now on.
    /// Whoever keeps such times reads them by this, or they would stay in force until the time gets
    /// there.
    #[expect(
        clippy::return_self_not_must_use,
        reason = "what it is called on changes"
    )]
    pub fn noted(&mut self, now: Self) -> Self {
        *self = (*self).min(now);
        *self
    }

    /// How long ago that was.
    pub fn age(&mut self, now: Self) -> Duration {
        now.since(self.noted(now))
    }

    /// `Sun, 22 Nov 2026 07:51:52 +0100`, in local time (RFC 5322 §3.3).
    pub fn rfc5322(self) -> String {
        self.format("%a, %d %b %Y %H:%M:%S %z")
    }

    /// `Sun Nov 22 07:51:52`, in local time, as `mailq` prints it.
    pub fn mailq(self) -> String {
        self.format("%a %b %e %H:%M:%S")
    }

    /// `2026-11-22T07:51:52+01:00`, in local time (RFC 3339).
    pub fn rfc3339(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%S%:z")
    }

    /// `07:51`, in local time.
    pub fn time_of_day(self) -> String {
        self.format("%H:%M")
    }

    /// `07:51` on the same day as `now`, `07:51 tomorrow` on the day after, else the full date; in
    /// local time.
    pub fn seen_from(self, now: Self) -> String {
        let (day, today) = (self.local().date(), now.local().date());
        if day == today {
            self.time_of_day()
        } else if today.tomorrow().is_ok_and(|tomorrow| day == tomorrow) {
            format!("{} tomorrow", self.time_of_day())
        } else {
            self.rfc3339()
        }
    }

    /// The next time after this one at which it is so many o'clock.
    #[must_use]
    pub fn next_at(self, hour: i8, zone: &Zone) -> Self {
        let here = self.zoned(zone);
        let on = |date: jiff::civil::Date| {
            let time = date.at(hour, 0, 0, 0).to_zoned(zone.0.clone()).ok()?;
            Some(Self::from(&time)).filter(|time| *time > self)
        };
        let today = on(here.date());
        let next = today.or_else(|| here.date().tomorrow().ok().and_then(on));
        next.unwrap_or_else(|| self.after(Duration::from_hours(24)))
    }

    /// Later by whole days of the calendar, at the same time of day: 23 hours later where the clock
    /// is put forward meanwhile.
    #[must_use]
    pub fn after_days(self, days: u32, zone: &Zone) -> Self {
        let later = self
            .zoned(zone)
            .checked_add(jiff::Span::new().days(days.min(100_000)));
        let length = Duration::from_hours(24).saturating_mul(days);
        later.map_or_else(|_| self.after(length), |later| Self::from(&later))
    }

    /// Days since 1970-01-01, and minutes since midnight.
    pub fn day_and_minute(self, zone: &Zone) -> (i64, u32) {
        let here = self.zoned(zone);
        let epoch = jiff::civil::date(1970, 1, 1);
        let days = epoch
            .until(here.date())
            .map_or(0, |span| i64::from(span.get_days()));
        let minute = i32::from(here.hour()) * 60 + i32::from(here.minute());
        (days, u32::try_from(minute).unwrap_or_default())
    }

    fn local(self) -> Zoned {
        self.zoned(&Zone::system())
    }

    fn zoned(self, zone: &Zone) -> Zoned {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        let instant = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
        instant.to_zoned(zone.0.clone())
    }

    fn format(self, pattern: &str) -> String {
        self.local().strftime(pattern).to_string()
    }
}

impl From<&Zoned> for Timestamp {
    fn from(time: &Zoned) -> Self {
        let millis = time.timestamp().as_millisecond();
        Self(u64::try_from(millis).unwrap_or_default())
    }
}

/// Where a time of day is one.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

impl Zone {
    /// That of this machine.
    pub fn system() -> Self {
        Self(TimeZone::system())
    }

    /// As POSIX writes it: `CET-1CEST,M3.5.0,M10.5.0/3`.
    pub fn posix(text: &str) -> Option<Self> {
        TimeZone::posix(text).ok().map(Self)
    }
}

#[cfg(feature = "simulation")]
thread_local! {
    static SIMULATED: std::cell::Cell<Option<(Timestamp, Instant)>> =
        const { std::cell::Cell::new(None) };
}

/// From now on both clocks of this thread say this; `None`: the time again.
#[cfg(feature = "simulation")]
pub fn simulate(clocks: Option<(Timestamp, Instant)>) {
    SIMULATED.set(clocks);
}

/// What a simulation says the clocks of this thread are.
pub fn simulated() -> Option<(Timestamp, Instant)> {
    #[cfg(feature = "simulation")]
    return SIMULATED.get();
    #[cfg(not(feature = "simulation"))]
    None
}

/// The clock that only ever goes forward; for edges only.
pub fn steady() -> Instant {
    simulated().map_or_else(Instant::now, |(_, steady)| steady)
}

/// The wall clock; for edges only.
pub fn now() -> Timestamp {
    if let Some((wall, _)) = simulated() {
        return wall;
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the edge that the rule points to"
    )]
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_the_form_that_rfc_5322_asks_for() {
        let date = Timestamp::from_secs(1_795_333_912).rfc5322();
        assert!(date.contains("Nov 2026"), "{date}");
        let zone = date.rsplit(' ').next().unwrap();
        assert!(zone.len() == 5 && zone.starts_with(['+', '-']), "{date}");
    }

    #[test]
    fn a_time_of_day_that_is_not_todays_says_so() {
        let now = Timestamp::from_secs(1_795_333_912);
        let hours = |hours| now.after(Duration::from_hours(hours)).seen_from(now);
        assert_eq!(now.seen_from(now), now.time_of_day());
        assert_eq!(hours(24), format!("{} tomorrow", now.time_of_day()));
        // Within a day there is exactly one midnight.
        let told: Vec<_> = (0..24).map(hours).collect();
        let today = told.iter().take_while(|text| text.len() == 5).count();
        assert!((1..=24).contains(&today), "{told:?}");
        let rest = told.get(today..).unwrap();
        assert!(
            rest.iter().all(|text| text.ends_with(" tomorrow")),
            "{told:?}"
        );
        assert!(hours(72).starts_with("2026-11-"), "{}", hours(72));
        assert!(
            now.seen_from(now.after(Duration::from_hours(72)))
                .contains('T')
        );
    }

    #[test]
    fn a_day_of_the_calendar_has_23_or_25_hours_where_the_clock_is_changed() {
        let zone = Zone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        // 2026-03-28 and 2026-10-24, 07:30 there.
        for (before, hours) in [(1_774_679_400, 23), (1_792_819_800, 25)] {
            let before = Timestamp::from_secs(before);
            let after = before.after_days(1, &zone);
            assert_eq!(after.since(before), Duration::from_hours(hours));
            let ((day, minute), next) = (before.day_and_minute(&zone), after.day_and_minute(&zone));
            assert_eq!((day + 1, minute), next);
            let morning = before.next_at(7, &zone);
            assert_eq!(morning.day_and_minute(&zone), (day + 1, 420));
            let same = morning.next_at(8, &zone);
            assert_eq!(same.since(morning), Duration::from_hours(1));
        }
        let far = Timestamp::from_millis(u64::MAX);
        assert!(far.after_days(u32::MAX, &zone) >= far.next_at(23, &zone));
    }

    #[test]
    fn what_a_clock_that_was_ahead_has_noted_grows_old_from_the_first_look_on() {
        let now = Timestamp::from_secs(1_795_333_912);
        let mut then = now.after(Duration::from_hours(400 * 24));
        assert_eq!(then.age(now), Duration::ZERO);
        let later = now.after(Duration::from_hours(3));
        assert_eq!(then.age(later), Duration::from_hours(3));
        assert_eq!(then.noted(later), now);
    }

    #[test]
    fn no_time_is_too_early_or_too_late_to_be_printed() {
        for millis in [0, 1, u64::MAX] {
            assert!(!Timestamp::from_millis(millis).rfc5322().is_empty());
        }
    }
}
