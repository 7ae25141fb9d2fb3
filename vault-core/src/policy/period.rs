//! Lengths of time as people agree on them: calendar periods.
//!
//! Knows nothing of what begins or ends them.

use std::fmt;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// Longest period, in hours: 200 years.
pub const PERIOD_HOURS_MAX: u64 = 200 * HOURS_A_YEAR;

const HOURS_A_DAY: u64 = 24;
const HOURS_A_MONTH: u64 = 31 * HOURS_A_DAY;
const HOURS_A_YEAR: u64 = 366 * HOURS_A_DAY;

/// A period such as `P2Y`, `P90D` or `PT12H`: not negative, without fractions, at most
/// [`PERIOD_HOURS_MAX`]. Source: ISO 8601-1 §5.5.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    source: String,
    years: u32,
    months: u32,
    weeks: u32,
    days: u32,
    hours: u32,
    minutes: u32,
    seconds: u32,
}

/// A text that is no period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an ISO 8601 period of at most 200 years, such as P90D, P2Y or PT12H")]
pub struct BadPeriod;

impl Period {
    /// Reads a period. Units stand in falling order, each at most once.
    ///
    /// # Errors
    ///
    /// [`BadPeriod`] for anything else: signs, fractions, blanks, small letters, no unit.
    pub fn parse(text: &str) -> Result<Self, BadPeriod> {
        let body = text.strip_prefix('P').ok_or(BadPeriod)?;
        let (date, time) = match body.split_once('T') {
            Some((_, "")) => return Err(BadPeriod),
            Some((date, time)) => (date, time),
            None => (body, ""),
        };
        if date.is_empty() && time.is_empty() {
            return Err(BadPeriod);
        }
        let [years, months, weeks, days] = units(date, [b'Y', b'M', b'W', b'D'])?;
        let [hours, minutes, seconds] = units(time, [b'H', b'M', b'S'])?;
        let period = Self {
            source: text.to_owned(),
            years,
            months,
            weeks,
            days,
            hours,
            minutes,
            seconds,
        };
        if period.hours_wide() > PERIOD_HOURS_MAX {
            return Err(BadPeriod);
        }
        Ok(period)
    }

    /// An upper bound in whole hours: a month counts 31 days, a year 366.
    #[must_use]
    pub fn hours(&self) -> u32 {
        u32::try_from(self.hours_wide()).expect("200 years are 1.8 million hours")
    }

    fn hours_wide(&self) -> u64 {
        let seconds = u64::from(self.minutes) * 60 + u64::from(self.seconds);
        u64::from(self.years) * HOURS_A_YEAR
            + u64::from(self.months) * HOURS_A_MONTH
            + (u64::from(self.weeks) * 7 + u64::from(self.days)) * HOURS_A_DAY
            + u64::from(self.hours)
            + seconds.div_ceil(3600)
    }

    /// Years, months, weeks, days, hours, minutes, seconds, as they were written.
    pub(crate) fn units(&self) -> [u32; 7] {
        [
            self.years,
            self.months,
            self.weeks,
            self.days,
            self.hours,
            self.minutes,
            self.seconds,
        ]
    }

    /// Whether the period has no length, as `P0D`.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.hours_wide() == 0
    }

    /// The instant one period after `start`, by the calendar in UTC: a month after 31 January is
    /// the last day of February. The end of time if there is no such instant.
    #[must_use]
    pub fn add_to(&self, start: Timestamp) -> Timestamp {
        // `parse` bounds every unit far below what a span takes.
        let span = Span::new()
            .years(self.years)
            .months(self.months)
            .weeks(self.weeks)
            .days(self.days)
            .hours(self.hours)
            .minutes(self.minutes)
            .seconds(self.seconds);
        start
            .to_zoned(TimeZone::UTC)
            .checked_add(span)
            .map_or(Timestamp::MAX, |end| end.timestamp())
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

/// Reads `text` as numbers, each followed by one of `letters`, in their order.
fn units<const N: usize>(text: &str, letters: [u8; N]) -> Result<[u32; N], BadPeriod> {
    let mut amounts = [0; N];
    let mut next = 0;
    let mut digits = 0;
    let mut amount: u32 = 0;
    for byte in text.bytes() {
        if byte.is_ascii_digit() {
            digits += 1;
            // Eight digits do not overflow; the total is bounded afterwards.
            if digits > 8 {
                return Err(BadPeriod);
            }
            amount = amount * 10 + u32::from(byte - b'0');
        } else {
            let place = letters[next..].iter().position(|letter| *letter == byte);
            let place = next + place.filter(|_| digits > 0).ok_or(BadPeriod)?;
            amounts[place] = amount;
            (next, digits, amount) = (place + 1, 0, 0);
        }
    }
    if digits == 0 {
        Ok(amounts)
    } else {
        Err(BadPeriod)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(period: &str, start: &str) -> String {
        let start: Timestamp = start.parse().unwrap();
        Period::parse(period).unwrap().add_to(start).to_string()
    }

    #[test]
    fn periods_add_by_the_calendar() {
        assert_eq!(after("P1M", "2026-01-31T10:00:00Z"), "2026-02-28T10:00:00Z");
        assert_eq!(after("P1Y", "2024-02-29T10:00:00Z"), "2025-02-28T10:00:00Z");
        assert_eq!(
            after("P1DT12H", "2026-03-28T10:00:00Z"),
            "2026-03-29T22:00:00Z"
        );
        assert_eq!(after("P0D", "2026-01-31T10:00:00Z"), "2026-01-31T10:00:00Z");
        assert_eq!(
            Period::parse("P200Y").unwrap().add_to(Timestamp::MAX),
            Timestamp::MAX
        );
    }

    #[test]
    fn hours_are_an_upper_bound() {
        for (text, hours) in [
            ("P0D", 0),
            ("P90D", 2160),
            ("P1M", 744),
            ("P1Y", 8784),
            ("P2W", 336),
            ("PT12H", 12),
            ("PT1S", 1),
            ("PT61M", 2),
        ] {
            assert_eq!(Period::parse(text).unwrap().hours(), hours, "{text}");
        }
    }

    #[test]
    fn what_is_no_period_is_refused() {
        for text in [
            "",
            "P",
            "PT",
            "P1DT",
            "1D",
            "p1d",
            "P-1D",
            "-P1D",
            "P1.5D",
            "P1",
            "PD",
            "P1D1Y",
            "P1D1D",
            " P1D",
            "P1D ",
            "P1H",
            "PT1D",
            "P201Y",
            "P99999999999D",
            "P１D",
            "P1W2Y",
        ] {
            assert_eq!(Period::parse(text), Err(BadPeriod), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_period_that_parses_ends_within_its_hours(
            text in "P([0-9]{1,3}Y)?([0-9]{1,3}M)?([0-9]{1,3}D)?(T[0-9]{1,3}H([0-9]{1,3}M)?)?",
            start in 0_i64..4_000_000_000,
        ) {
            if let Ok(period) = Period::parse(&text) {
                prop_assert_eq!(period.to_string(), text);
                let start = Timestamp::from_second(start).unwrap();
                let end = period.add_to(start);
                prop_assert!(end >= start);
                prop_assert!(end.as_second() - start.as_second() <= i64::from(period.hours()) * 3600);
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,20}") {
            let _ = Period::parse(&text);
        }
    }
}
