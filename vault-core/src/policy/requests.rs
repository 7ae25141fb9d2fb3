//! Until when people are answered: the controller's time zone and holidays, and the periods of the law.
//!
//! Periods are configuration because the law may change; the defaults are what it says now. Knows nothing
//! of how they are counted (`deadline`).
//!
//! Source: GDPR Art. 12(3).

use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::finding::Findings;
use super::reader::Section;
use super::{Period, keys};
use crate::limits::{EASTER_DAYS_MAX, HOLIDAYS_MAX};

/// A day on which nobody works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holiday {
    /// This day.
    On(Date),
    /// The same date each year.
    Yearly {
        /// From 1.
        month: i8,
        /// From 1.
        day: i8,
    },
    /// So many days after Easter Sunday of the Gregorian calendar, at most [`EASTER_DAYS_MAX`] either way.
    Easter(i32),
}

impl Holiday {
    /// `2026-05-14`, `12-25`, `easter-2` or `easter+1`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(offset) = text.strip_prefix("easter") {
            let signed = offset.starts_with(['+', '-']) || offset.is_empty();
            let days = match offset {
                "" => 0,
                days => days.parse().ok()?,
            };
            // Not `abs`: the smallest number has none.
            let near = (-EASTER_DAYS_MAX..=EASTER_DAYS_MAX).contains(&days);
            return (signed && near).then_some(Self::Easter(days));
        }
        // As it is written, so that nothing else is taken for a day; 2000 was a leap year.
        let date = |text: &str| {
            text.parse::<Date>()
                .ok()
                .filter(|date| date.to_string() == text)
        };
        match text.len() {
            5 => {
                let date = date(&format!("2000-{text}"))?;
                let (month, day) = (date.month(), date.day());
                Some(Self::Yearly { month, day })
            }
            _ => date(text).map(Self::On),
        }
    }
}

impl std::fmt::Display for Holiday {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::On(date) => write!(f, "{date}"),
            Self::Yearly { month, day } => write!(f, "{month:02}-{day:02}"),
            Self::Easter(days) => write!(f, "easter{days:+}"),
        }
    }
}

/// The time zone of this IANA name. From the data that the program carries, so that a deadline is the same on
/// every machine, and on one that has none.
#[must_use]
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    match name {
        "UTC" => Some(TimeZone::UTC),
        name => TimeZoneDatabase::bundled().get(name).ok(),
    }
}

/// By which rules a deadline is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRules {
    /// Where the controller is.
    pub timezone: TimeZone,
    /// When nobody works there, beside weekends.
    pub holidays: Vec<Holiday>,
    /// How long the answer to a request may take.
    pub period: Period,
    /// By how much it may be extended.
    pub extension: Period,
    /// Until when after the receipt a question to the person is prompt: only then does waiting for the answer
    /// pause the effective end.
    pub asked_within: Period,
}

impl Default for RequestRules {
    fn default() -> Self {
        let period = |text| Period::parse(text).expect("a period");
        Self {
            timezone: TimeZone::UTC,
            holidays: Vec::new(),
            period: period("P1M"),
            extension: period("P2M"),
            asked_within: period("P3D"),
        }
    }
}

impl RequestRules {
    /// In one line: the periods, the time zone, the holidays.
    pub(super) fn text(&self) -> String {
        let name = self.timezone.iana_name().unwrap_or("UTC");
        let holidays: Vec<String> = self.holidays.iter().map(ToString::to_string).collect();
        let holidays = match holidays.is_empty() {
            true => "at weekends alone".to_owned(),
            false => format!("at weekends and on {}", holidays.join(", ")),
        };
        format!(
            "answered within {}, extended by at most {}, paused by a question within {}, in days of {name}, free \
             {holidays}",
            self.period, self.extension, self.asked_within
        )
    }
}

/// Reads the keys of the controller, and the section of their own.
pub(super) fn read(root: &Section<'_>, findings: &mut Findings) -> RequestRules {
    let mut rules = RequestRules::default();
    if root.has("controller")
        && let Some(section) = root.section(&mut Findings::new(""), "controller")
    {
        controller(&section, findings, &mut rules);
    }
    let Some(section) = root.section(findings, "requests") else {
        return rules;
    };
    section.know(findings, keys::REQUESTS);
    for (key, place) in [
        ("period", &mut rules.period),
        ("extension", &mut rules.extension),
        ("asked_within", &mut rules.asked_within),
    ] {
        let Some(text) = section.text(findings, key) else {
            continue;
        };
        match Period::parse(&text.value) {
            // Days of a calendar: hours would end in the middle of one.
            Ok(period)
                if period.units()[4..] == [0; 3] && (key != "period" || !period.is_zero()) =>
            {
                *place = period;
            }
            _ => {
                let path = section.at(key);
                findings.report(text.line, &path, "bad_period", Some("Art. 12(3)"), || {
                    "expected months, weeks or days, such as P1M".to_owned()
                });
            }
        }
    }
    rules
}

fn controller(section: &Section<'_>, findings: &mut Findings, rules: &mut RequestRules) {
    if let Some(text) = section.text(findings, "timezone") {
        match zone(&text.value) {
            Some(zone) => rules.timezone = zone,
            None => {
                let path = section.at("timezone");
                findings.report(text.line, &path, "bad_timezone", Some("Art. 12(3)"), || {
                    "expected a name of the IANA database, such as Europe/Berlin".to_owned()
                });
            }
        }
    }
    let holidays = section.texts(findings, "holidays");
    if holidays.len() > HOLIDAYS_MAX {
        let (line, path) = (
            section.line_of(findings, "holidays"),
            section.at("holidays"),
        );
        findings.report(line, &path, "too_many", None, || {
            format!("at most {HOLIDAYS_MAX} holidays; those that are over can go")
        });
    }
    for text in holidays {
        match Holiday::parse(&text.value) {
            Some(holiday) => rules.holidays.push(holiday),
            None => {
                let path = section.at("holidays");
                findings.report(text.line, &path, "bad_holiday", None, || {
                    format!(
                        "expected a day such as 2026-05-14, each year 12-25, or easter-2, at most \
                         {EASTER_DAYS_MAX} days from Easter"
                    )
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holiday_is_a_day_a_date_of_each_year_or_so_many_days_from_easter() {
        for text in [
            "2026-05-14",
            "12-25",
            "02-29",
            "easter-2",
            "easter+1",
            "easter+0",
            "easter-100",
            "easter+100",
        ] {
            let holiday = Holiday::parse(text);
            assert_eq!(holiday.map(|one| one.to_string()).as_deref(), Some(text));
        }
        for text in [
            "",
            "easter2",
            "easter+400",
            "easter-101",
            "easter+101",
            "easter-2147483648",
            "easter+2147483647",
            "easter+2147483648",
            "02-30",
            "13-01",
            "2026-02-29",
            "1-1",
            "20260514",
            "Easter-2",
        ] {
            assert_eq!(Holiday::parse(text), None, "{text}");
        }
    }

    #[test]
    fn time_zones_are_there_on_a_machine_that_has_none() {
        let bundled = TimeZoneDatabase::bundled();
        assert!(
            bundled.available().count() > 300,
            "the program carries them"
        );
        assert!(zone("Europe/Berlin").is_some());
        assert!(zone("Middle/Earth").is_none());
    }
}
