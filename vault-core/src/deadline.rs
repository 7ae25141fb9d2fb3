//! Until when a person's request is to be answered: by the controller's calendar, and not by counting days.
//!
//! Pure: knows rules and instants, and no request. Every day here is one of the controller's time zone.
//!
//! Source: GDPR Art. 12(3); Regulation (EEC, Euratom) 1182/71 Art. 2(2), 3(1), 3(2)(c), 3(4).

use jiff::civil::{Date, Weekday};
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::policy::{Holiday, Period, RequestRules};

/// Days before the end on which somebody is reminded, the first first.
pub const REMIND_DAYS: [i32; 3] = [10, 5, 1];
/// From how many days before the end on something is due soon: from the first reminder on.
pub const SOON_DAYS: i32 = REMIND_DAYS[0];

/// A day by whose end something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Due {
    /// The last day.
    pub on: Date,
    /// Its end: from this instant on it is late.
    pub end: Timestamp,
}

impl Due {
    /// Whether it is too late.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.end
    }
}

/// A time in which the vault waited for the person, in days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The day on which they were asked.
    pub from: Date,
    /// The day on which they answered; `None` while they have not.
    pub to: Option<Date>,
}

/// What a deadline depends on, beside the rules.
#[derive(Clone, Copy, Debug)]
pub struct Running<'a> {
    /// When the request came in, whoever read it when.
    pub received: Timestamp,
    /// The strict end, where it is known and not to be counted: nothing that follows moves it.
    pub known: Option<Due>,
    /// By how much it was extended.
    pub extension: Option<&'a Period>,
    /// When the vault waited for the person.
    pub pauses: &'a [Pause],
}

/// When Easter Sunday is, in the Gregorian calendar. Source: the "anonymous" algorithm, as given by J. Meeus,
/// Astronomical Algorithms, ch. 8.
#[must_use]
pub fn easter(year: i16) -> Option<Date> {
    let year32 = i32::from(year);
    let (a, b, c) = (year32 % 19, year32 / 100, year32 % 100);
    let (d, e, f) = (b / 4, b % 4, (b + 8) / 25);
    let g = (b - f + 1) / 3;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let of = h + l - 7 * m + 114;
    let (month, day) = (i8::try_from(of / 31).ok()?, i8::try_from(of % 31 + 1).ok()?);
    Date::new(year, month, day).ok()
}

/// Whether nobody works on a day: Saturday, Sunday, or a holiday of the rules.
#[must_use]
pub fn is_free(rules: &RequestRules, day: Date) -> bool {
    let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
    weekend
        || rules.holidays.iter().any(|holiday| match holiday {
            Holiday::On(date) => *date == day,
            Holiday::Yearly { month, day: of } => (*month, *of) == (day.month(), day.day()),
            Holiday::Easter(offset) => {
                let easter = easter(day.year());
                let days = Span::new().try_days(*offset).ok();
                let there = easter.and_then(|at| at.checked_add(days?).ok());
                there == Some(day)
            }
        })
}

/// The day, or the next on which somebody works. A calendar without any working day ends the search.
fn rolled(rules: &RequestRules, mut day: Date) -> Date {
    for _ in 0..366 {
        if !is_free(rules, day) {
            break;
        }
        day = day.saturating_add(Span::new().days(1));
    }
    day
}

/// The same date so many months later, or the last of that month.
fn after(day: Date, period: &Period) -> Date {
    let [years, months, weeks, days, ..] = period.units();
    // The policy bounds every unit far below what a span takes, and has no hours here.
    let span = Span::new()
        .years(years)
        .months(months)
        .weeks(weeks)
        .days(days);
    day.saturating_add(span)
}

/// The day of an instant where the controller is.
#[must_use]
pub fn day_of(rules: &RequestRules, at: Timestamp) -> Date {
    at.to_zoned(rules.timezone.clone()).date()
}

/// When the year of an instant began where the controller is.
#[must_use]
pub fn year_of(rules: &RequestRules, at: Timestamp) -> Timestamp {
    let first = day_of(rules, at).first_of_year();
    let begun = first.to_zoned(rules.timezone.clone());
    begun.map_or(at, |begun| begun.timestamp())
}

/// The last day before it is moved to a working one. The day of the receipt does not count, so it is the same
/// date of a later month; the extension runs from there, which is never later than counted from the receipt.
fn last_day(rules: &RequestRules, running: Running<'_>) -> Date {
    let day = after(day_of(rules, running.received), &rules.period);
    running.extension.map_or(day, |more| after(day, more))
}

fn due(rules: &RequestRules, day: Date) -> Due {
    let on = rolled(rules, day);
    let next = on.saturating_add(Span::new().days(1));
    let end = next.to_zoned(rules.timezone.clone());
    // The first instant of the next day, also where clocks change at midnight.
    let end = end.and_then(|end| end.start_of_day());
    Due {
        on,
        end: end.map_or(Timestamp::MAX, |end| end.timestamp()),
    }
}

/// Until when the answer is due if nothing ever pauses it: what alarms go by.
#[must_use]
pub fn strict(rules: &RequestRules, running: Running<'_>) -> Due {
    let counted = || due(rules, last_day(rules, running));
    running.known.unwrap_or_else(counted)
}

/// Days that the vault waited for the person, where it asked promptly: what was asked late pauses nothing.
fn paused_days(rules: &RequestRules, running: Running<'_>) -> i32 {
    let promptly = after(day_of(rules, running.received), &rules.asked_within);
    let of = |pause: &Pause| match pause.to {
        Some(to) if pause.from <= promptly => (to - pause.from).get_days().max(0),
        _ => 0,
    };
    running.pauses.iter().map(of).sum()
}

/// Whether the vault waits for the person now, and asked promptly.
#[must_use]
pub fn is_paused(rules: &RequestRules, running: Running<'_>) -> bool {
    let promptly = after(day_of(rules, running.received), &rules.asked_within);
    let open = |pause: &Pause| pause.to.is_none() && pause.from <= promptly;
    running.pauses.iter().any(open)
}

/// The same as [`strict`], later by the days in which the vault waited for an answer that it had promptly asked
/// for. `None` while it waits. Authorities differ on whether it may, so that nothing is put off by it.
#[must_use]
pub fn effective(rules: &RequestRules, running: Running<'_>) -> Option<Due> {
    if is_paused(rules, running) {
        return None;
    }
    let days = paused_days(rules, running);
    let day = match running.known {
        Some(known) if days == 0 => return Some(known),
        Some(known) => known.on,
        None => last_day(rules, running),
    };
    Some(due(rules, day.saturating_add(Span::new().days(days))))
}

/// How many days there are until the last day; negative when it is over.
#[must_use]
pub fn days_left(rules: &RequestRules, due: Due, now: Timestamp) -> i32 {
    (due.on - day_of(rules, now)).get_days()
}

/// How many of [`REMIND_DAYS`] have come.
#[must_use]
pub fn reminders(rules: &RequestRules, due: Due, now: Timestamp) -> u8 {
    let left = days_left(rules, due, now);
    let come = REMIND_DAYS.iter().filter(|days| left <= **days).count();
    u8::try_from(come).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::zone;

    fn rules(timezone: &str, holidays: &[&str]) -> RequestRules {
        RequestRules {
            timezone: zone(timezone).expect("a zone that everybody has"),
            holidays: holidays
                .iter()
                .map(|text| Holiday::parse(text).expect("a holiday"))
                .collect(),
            ..RequestRules::default()
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn day(text: &str) -> Date {
        text.parse().expect("a day")
    }

    fn plain(received: &str) -> Running<'static> {
        Running {
            received: at(received),
            known: None,
            extension: None,
            pauses: &[],
        }
    }

    fn months(text: &str) -> Period {
        Period::parse(text).expect("a period")
    }

    #[test]
    fn a_month_is_the_same_date_or_the_last_of_the_next_and_not_thirty_days() {
        let rules = rules("UTC", &[]);
        for (received, due) in [
            // Thirty days would be the 6th; a Thursday.
            ("2026-05-07T09:00:00Z", "2026-06-08"), // 7 June is a Sunday
            ("2026-03-05T23:59:59Z", "2026-04-06"), // 5 April is a Sunday
            ("2026-01-15T00:00:00Z", "2026-02-16"), // 15 February is a Sunday
            ("2026-06-16T12:00:00Z", "2026-07-16"),
            // Month ends.
            ("2025-01-31T12:00:00Z", "2025-02-28"),
            ("2025-01-30T12:00:00Z", "2025-02-28"),
            ("2025-01-29T12:00:00Z", "2025-02-28"),
            ("2025-01-28T12:00:00Z", "2025-02-28"),
            ("2024-01-31T12:00:00Z", "2024-02-29"), // a leap year
            ("2024-01-30T12:00:00Z", "2024-02-29"),
            ("2024-02-29T12:00:00Z", "2024-03-29"),
            ("2023-08-31T12:00:00Z", "2023-10-02"), // 30 September is a Saturday
            ("2026-12-31T12:00:00Z", "2027-02-01"), // 31 January is a Sunday
        ] {
            assert_eq!(strict(&rules, plain(received)).on, day(due), "{received}");
        }
    }

    #[test]
    fn a_day_is_one_of_the_controllers_time_zone_and_ends_with_it() {
        let (utc, berlin) = (rules("UTC", &[]), rules("Europe/Berlin", &[]));
        // Half past midnight in Berlin: there it is the next day already.
        let late = plain("2026-06-15T22:30:00Z");
        assert_eq!(strict(&utc, late).on, day("2026-07-15"));
        assert_eq!(strict(&berlin, late).on, day("2026-07-16"));
        assert_eq!(strict(&berlin, late).end, at("2026-07-16T22:00:00Z"));
        // Summer time begins between: the last day ends at another hour of UTC.
        let over = strict(&berlin, plain("2026-03-10T10:00:00Z"));
        assert_eq!(
            (over.on, over.end),
            (day("2026-04-10"), at("2026-04-10T22:00:00Z"))
        );
        // The day on which it ends is 25 hours long.
        let long = rules("Europe/Berlin", &[]);
        let on = strict(&long, plain("2026-09-25T10:00:00Z")).on;
        assert_eq!(
            on,
            day("2026-10-26"),
            "the 25th, when clocks change, is a Sunday"
        );
        // Far from UTC on both sides of the line.
        assert_eq!(
            day_of(
                &rules("Pacific/Kiritimati", &[]),
                at("2026-01-30T11:00:00Z")
            ),
            day("2026-01-31")
        );
        assert_eq!(
            day_of(&rules("Pacific/Pago_Pago", &[]), at("2026-01-31T10:00:00Z")),
            day("2026-01-30")
        );
        // Where clocks went forward at midnight the day began at one.
        let cairo = rules("Africa/Cairo", &[]);
        let eve = strict(&cairo, plain("2026-03-23T10:00:00Z"));
        assert_eq!(
            (eve.on, eve.end),
            (day("2026-04-23"), at("2026-04-23T22:00:00Z"))
        );
    }

    #[test]
    fn whoever_is_late_by_a_second_is_late() {
        let due = strict(&rules("Europe/Berlin", &[]), plain("2026-06-16T12:00:00Z"));
        assert!(!due.is_over(at("2026-07-16T21:59:59Z")));
        assert!(due.is_over(at("2026-07-16T22:00:00Z")));
    }

    #[test]
    fn weekends_and_chains_of_holidays_move_it_to_the_next_working_day() {
        let easter = [
            "easter-2",
            "easter+1",
            "05-01",
            "12-25",
            "12-26",
            "2026-05-14",
        ];
        let rules = rules("Europe/Berlin", &easter);
        for (received, due) in [
            // Good Friday, 3 April 2026, to Easter Monday.
            ("2026-03-03T10:00:00Z", "2026-04-07"),
            ("2026-03-04T10:00:00Z", "2026-04-07"),
            ("2026-03-06T10:00:00Z", "2026-04-07"),
            ("2026-03-02T10:00:00Z", "2026-04-02"),
            // The 1st of May is a Friday.
            ("2026-04-01T10:00:00Z", "2026-05-04"),
            // Christmas 2026: Friday, Saturday, then Sunday.
            ("2026-11-25T10:00:00Z", "2026-12-28"),
            // A day that is free this year alone, a Thursday.
            ("2026-04-14T10:00:00Z", "2026-05-15"),
            ("2025-04-14T10:00:00Z", "2025-05-14"),
        ] {
            assert_eq!(strict(&rules, plain(received)).on, day(due), "{received}");
        }
        // Without holidays it is due on the day itself.
        let bare = super::tests::rules("Europe/Berlin", &[]);
        assert_eq!(
            strict(&bare, plain("2026-03-03T10:00:00Z")).on,
            day("2026-04-03")
        );
    }

    #[test]
    fn easter_is_where_it_was() {
        for text in [
            "1954-04-18",
            "2000-04-23",
            "2008-03-23",
            "2024-03-31",
            "2025-04-20",
            "2026-04-05",
            "2038-04-25",
            "2049-04-18",
        ] {
            let date = day(text);
            assert_eq!(easter(date.year()), Some(date));
        }
    }

    #[test]
    fn a_calendar_of_holidays_alone_ends_all_the_same() {
        let all: Vec<Holiday> = (1..=12)
            .flat_map(|month| (1..=31).map(move |day| Holiday::Yearly { month, day }))
            .collect();
        let rules = RequestRules {
            holidays: all,
            ..RequestRules::default()
        };
        assert!(strict(&rules, plain("2026-03-03T10:00:00Z")).on > day("2026-04-03"));
    }

    #[test]
    fn an_extension_is_two_months_more_and_never_later_than_three_from_the_receipt() {
        let rules = rules("UTC", &[]);
        let two = months("P2M");
        for (received, due) in [
            ("2026-06-16T12:00:00Z", "2026-09-16"),
            // 28 February, and from there 28 April: not the 30th.
            ("2025-01-31T12:00:00Z", "2025-04-28"),
            ("2025-11-30T12:00:00Z", "2026-03-02"), // 28 February is a Saturday
        ] {
            let extended = Running {
                extension: Some(&two),
                ..plain(received)
            };
            let on = strict(&rules, extended).on;
            assert_eq!(on, day(due), "{received}");
            let whole = due_of_whole(&rules, received);
            assert!(on <= whole, "{received}");
        }
    }

    fn due_of_whole(rules: &RequestRules, received: &str) -> Date {
        rolled(rules, after(day_of(rules, at(received)), &months("P3M")))
    }

    #[test]
    fn what_was_promptly_asked_for_pauses_the_effective_end_and_never_the_strict_one() {
        let rules = rules("UTC", &[]);
        let pause = |from: &str, to: Option<&str>| Pause {
            from: day(from),
            to: to.map(day),
        };
        let with = |pauses: &[Pause]| {
            let running = Running {
                pauses,
                ..plain("2026-06-01T12:00:00Z")
            };
            let effective = effective(&rules, running).map(|due| due.on.to_string());
            (strict(&rules, running).on.to_string(), effective)
        };
        let strict_end = "2026-07-01".to_owned();
        let is = |effective: Option<&str>| (strict_end.clone(), effective.map(str::to_owned));
        assert_eq!(with(&[]), is(Some("2026-07-01")));
        // Asked on the third day, answered a week later.
        let prompt = pause("2026-06-04", Some("2026-06-11"));
        assert_eq!(with(&[prompt]), is(Some("2026-07-08")));
        assert_eq!(with(&[pause("2026-06-04", None)]), is(None));
        // Asked on the fourth day: too late to pause anything.
        assert_eq!(
            with(&[pause("2026-06-05", Some("2026-06-12"))]),
            is(Some("2026-07-01"))
        );
        assert_eq!(with(&[pause("2026-06-05", None)]), is(Some("2026-07-01")));
        // Two, of which one was prompt; and one that was answered on its day.
        let second = pause("2026-06-15", Some("2026-06-20"));
        assert_eq!(with(&[prompt, second]), is(Some("2026-07-08")));
        assert_eq!(
            with(&[pause("2026-06-02", Some("2026-06-02"))]),
            is(Some("2026-07-01"))
        );
    }

    #[test]
    fn an_end_that_is_known_is_not_counted_and_what_was_promptly_asked_for_runs_from_it() {
        let rules = rules("UTC", &["2026-08-10"]);
        let known = Due {
            on: day("2026-08-10"), // free by these rules
            end: at("2026-08-11T00:00:00Z"),
        };
        let with = |known, pauses: &[Pause]| {
            let running = Running {
                known,
                pauses,
                ..plain("2026-06-01T12:00:00Z")
            };
            (strict(&rules, running), effective(&rules, running))
        };
        let counted = with(None, &[]).0;
        assert_eq!(counted.on, day("2026-07-01"));
        assert_eq!(with(Some(known), &[]), (known, Some(known)));
        let asked = |to| Pause {
            from: day("2026-06-02"),
            to,
        };
        assert_eq!(with(Some(known), &[asked(None)]), (known, None));
        let (strict, effective) = with(Some(known), &[asked(Some(day("2026-06-05")))]);
        assert_eq!(strict, known);
        assert_eq!(effective.map(|due| due.on), Some(day("2026-08-13")));
    }

    #[test]
    fn reminders_come_ten_five_and_one_day_before_the_strict_end() {
        let rules = rules("Europe/Berlin", &[]);
        let due = strict(&rules, plain("2026-06-16T12:00:00Z"));
        for (now, come) in [
            ("2026-07-05T21:59:59Z", 0), // still the 5th in Berlin
            ("2026-07-05T22:00:00Z", 1),
            ("2026-07-10T21:59:59Z", 1),
            ("2026-07-10T22:00:00Z", 2),
            ("2026-07-14T21:59:59Z", 2),
            ("2026-07-14T22:00:00Z", 3),
            ("2026-08-01T00:00:00Z", 3),
        ] {
            assert_eq!(reminders(&rules, due, at(now)), come, "{now}");
        }
        assert_eq!(days_left(&rules, due, at("2026-07-17T12:00:00Z")), -1);
    }

    #[test]
    fn the_law_may_change_and_the_policy_with_it() {
        let rules = RequestRules {
            period: months("P15D"),
            ..RequestRules::default()
        };
        assert_eq!(
            strict(&rules, plain("2026-06-01T12:00:00Z")).on,
            day("2026-06-16")
        );
    }
}
