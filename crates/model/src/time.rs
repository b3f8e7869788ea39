//! Times and dates, for people and metrics. They never decide a merge.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is no time or date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a {1}")]
pub struct TimeError(String, &'static str);

/// A moment, in Unix milliseconds, UTC. Written as RFC 3339.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From Unix milliseconds. A time outside the years 0 to 9999 becomes the nearest inside: RFC 3339 has no other, and
    /// what a peer says must always be readable again.
    pub const fn from_millis(ms: i64) -> Self {
        if ms < Self::MIN_MS {
            Self(Self::MIN_MS)
        } else if ms > Self::MAX_MS {
            Self(Self::MAX_MS)
        } else {
            Self(ms)
        }
    }

    /// The first moment of the year 0.
    const MIN_MS: i64 = -62_167_219_200_000;
    /// The last moment of the year 9999 whose day is the same in every zone.
    const MAX_MS: i64 = 253_402_207_199_999;

    /// Unix milliseconds.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Unix seconds, as Automerge keeps them.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment and `ms` milliseconds more.
    pub const fn plus_millis(self, ms: i64) -> Self {
        Self::from_millis(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this moment; negative if it is later.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The day in UTC.
    pub fn date(self) -> Date {
        Date(self.zoned().date())
    }

    fn zoned(self) -> jiff::Zoned {
        jiff::Timestamp::from_millisecond(self.0)
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
            .to_zoned(jiff::tz::TimeZone::UTC)
    }

    /// As people read it in UTC: `3 May 2026 18:40`.
    pub fn for_people(self) -> String {
        self.zoned().strftime("%-d %b %Y %H:%M").to_string()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.zoned().strftime("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    /// RFC 3339 with any offset; also a date and a time without one, read as UTC, and a date alone, read as its noon.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        if let Ok(moment) = text.parse::<jiff::Timestamp>() {
            return Ok(Self::from_millis(moment.as_millisecond()));
        }
        let wrong = || TimeError(text.to_owned(), "time: write it as 2026-11-22T18:40Z, or a date as 2026-11-22");
        let civil = match text.parse::<jiff::civil::Date>() {
            Ok(date) if text.len() == 10 => date.at(12, 0, 0, 0),
            _ => text.parse::<jiff::civil::DateTime>().map_err(|_| wrong())?,
        };
        let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| wrong())?;
        Ok(Self::from_millis(zoned.timestamp().as_millisecond()))
    }
}

/// A calendar day without a time zone (ISO 8601).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(jiff::civil::Date);

/// A day in ms.
const DAY_MS: i64 = 24 * 3600 * 1000;

impl Date {
    /// Its first moment in UTC.
    pub fn begins(self) -> Timestamp {
        let zoned = self.0.to_zoned(jiff::tz::TimeZone::UTC);
        Timestamp::from_millis(zoned.map_or(0, |zoned| zoned.timestamp().as_millisecond()))
    }

    /// So many days later, or earlier.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        self.begins().plus_millis(days.saturating_mul(DAY_MS)).date()
    }

    /// How many days it is after `earlier`; negative if it is before.
    pub fn days_since(self, earlier: Self) -> i64 {
        self.begins().since(earlier.begins()) / DAY_MS
    }

    /// The Monday of its week (ISO 8601).
    #[must_use]
    pub fn monday(self) -> Self {
        self.plus_days(-i64::from(self.0.weekday().to_monday_zero_offset()))
    }

    /// The first day of its month.
    #[must_use]
    pub fn first_of_month(self) -> Self {
        Self(self.0.first_of_month())
    }

    /// As people read it: `Tue 24 Nov 2026`.
    pub fn for_people(self) -> String {
        self.0.strftime("%a %-d %b %Y").to_string()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Date {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        text.parse().map(Self).map_err(|_| TimeError(text.to_owned(), "date: write it as 2026-11-22"))
    }
}

macro_rules! serde_as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

serde_as_text!(Timestamp);
serde_as_text!(Date);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_knows_its_week_and_its_month() {
        let day: Date = "2026-11-25".parse().unwrap();
        assert_eq!(day.begins().to_string(), "2026-11-25T00:00:00.000Z");
        assert_eq!((day.monday().to_string(), day.monday().monday()), ("2026-11-23".to_owned(), day.monday()));
        assert_eq!(day.plus_days(-6).monday().to_string(), "2026-11-16", "a Thursday belongs to the Monday before");
        assert_eq!(day.plus_days(6).first_of_month().to_string(), "2026-12-01");
    }

    #[test]
    fn a_time_reads_what_it_prints_and_what_people_type() {
        let at = Timestamp::from_millis(1_795_359_311_123);
        assert_eq!(at.to_string(), "2026-11-22T14:55:11.123Z");
        assert_eq!(at.to_string().parse(), Ok(at));
        assert_eq!("2026-11-22T14:55".parse::<Timestamp>().unwrap().to_string(), "2026-11-22T14:55:00.000Z");
        assert_eq!("2026-11-22".parse::<Timestamp>().unwrap().to_string(), "2026-11-22T12:00:00.000Z");
        assert!("yesterday".parse::<Timestamp>().is_err());
        let (sunday, monday): (Date, Date) = ("2026-11-29".parse().unwrap(), "2026-11-23".parse().unwrap());
        assert_eq!((sunday.monday(), monday.monday(), monday.plus_days(6)), (monday, monday, sunday));
        assert_eq!((sunday.days_since(monday), monday.begins().to_string().as_str()), (6, "2026-11-23T00:00:00.000Z"));
        for far in [i64::MIN, -62_200_000_000_000, 253_402_300_799_999, i64::MAX] {
            let at = Timestamp::from_millis(far);
            assert_eq!(at.to_string().parse(), Ok(at), "{far}");
        }
    }
}
