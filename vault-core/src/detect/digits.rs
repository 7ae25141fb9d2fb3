//! Runs of digits, with the separators that people put between them: which numbers they may be.
//!
//! Knows nothing of letters.

use super::checksum::{bsn, card, nir, personnummer, pesel, steuer_id};
use super::{Certainty, Find, Kind, words};

/// Most digits in a run that is looked at.
const DIGITS_MAX: usize = 19;

/// What a run of digits and separators is, with its place in `text`; nothing where it goes on before
/// or behind.
pub(super) fn run(text: &[u8], start: usize, end: usize, found: &mut Vec<Find>) {
    let mut digits = [0; DIGITS_MAX];
    let mut count = 0;
    let run = &text[start..end];
    for digit in run.iter().filter(|byte| byte.is_ascii_digit()) {
        if count == DIGITS_MAX {
            return;
        }
        digits[count] = *digit;
        count += 1;
    }
    let digits = &digits[..count];
    if count < 7 {
        return;
    }
    let separated = run.iter().any(|byte| !byte.is_ascii_digit());
    let mut add = |kind, certainty| {
        found.push(Find {
            kind,
            certainty,
            start,
            end,
        });
    };
    let said = |kind| words::before(kind, text, start);
    let by_word = |kind| match said(kind) {
        true => Certainty::Likely,
        false => Certainty::Possible,
    };
    if run[0] == b'+' {
        // ITU-T E.164: at most fifteen digits; no country code begins with 0.
        if (8..=15).contains(&count) && digits[0] != b'0' {
            add(Kind::Phone, Certainty::Likely);
        }
        return;
    }
    if card(digits) && in_groups_of_a_card(run) {
        add(Kind::Card, Certainty::Likely);
        return;
    }
    match count {
        9 if plain_or(run, b" .") && bsn(digits) => add(Kind::NlBsn, by_word(Kind::NlBsn)),
        10 if personnummer(digits) && in_groups(run, &[6, 4], b"-+") => {
            add(Kind::SePersonnummer, Certainty::Likely);
        }
        12 if matches!(&digits[..2], b"19" | b"20")
            && personnummer(&digits[2..])
            && (in_groups(run, &[8, 4], b"-+") || !separated) =>
        {
            let certainty = match separated {
                true => Certainty::Likely,
                false => by_word(Kind::SePersonnummer),
            };
            add(Kind::SePersonnummer, certainty);
        }
        11 if plain_or(run, b" ") && !separated && pesel(digits) => {
            add(Kind::PlPesel, by_word(Kind::PlPesel));
        }
        15 if plain_or(run, b" ") && nir(digits) => {
            let certainty = match in_groups(run, &[1, 2, 2, 2, 3, 3, 2], b" ") {
                true => Certainty::Likely,
                false => by_word(Kind::FrNir),
            };
            add(Kind::FrNir, certainty);
        }
        _ => {}
    }
    if count == 11
        && plain_or(run, b" ")
        && (!separated || in_groups(run, &[2, 3, 3, 3], b" "))
        && steuer_id(digits)
    {
        add(Kind::DeSteuerId, by_word(Kind::DeSteuerId));
    }
    phone(run, digits, &mut add, || said(Kind::Phone));
}

/// Numbers as they are dialled within a country.
fn phone(
    run: &[u8],
    digits: &[u8],
    add: &mut dyn FnMut(Kind, Certainty),
    said: impl FnOnce() -> bool,
) {
    let north_american = |digits: &[u8]| {
        // NANP: area code and exchange begin with 2 to 9.
        digits.len() == 10
            && (b'2'..=b'9').contains(&digits[0])
            && (b'2'..=b'9').contains(&digits[3])
    };
    let national = digits.strip_prefix(b"1").unwrap_or(digits);
    let written_so = north_american(national) && in_groups_of_north_america(run);
    let date = looks_like_a_date(run);
    if written_so || ((7..=14).contains(&digits.len()) && !date && said()) {
        add(Kind::Phone, Certainty::Likely);
    } else if digits[0] == b'0' && (9..=13).contains(&digits.len()) && !date {
        add(Kind::Phone, Certainty::Possible);
    }
}

/// `(408) 247-8880`, `408-247-8880`, `408.247.8880`, with a 1 before it or not.
fn in_groups_of_north_america(run: &[u8]) -> bool {
    let groups: Vec<usize> = run
        .split(|byte| !byte.is_ascii_digit())
        .map(<[u8]>::len)
        .filter(|length| *length > 0)
        .collect();
    matches!(groups[..], [3, 3, 4] | [1, 3, 3, 4])
}

/// Cards are written without separators, in fours, or as American Express prints them.
fn in_groups_of_a_card(run: &[u8]) -> bool {
    let groups: Vec<usize> = run
        .split(|byte| !byte.is_ascii_digit())
        .map(<[u8]>::len)
        .collect();
    match groups[..] {
        [_] | [4, 6, 5 | 4] => true,
        [ref full @ .., last] => full.iter().all(|length| *length == 4) && (1..=4).contains(&last),
        [] => false,
    }
}

/// Whether the run is groups of these lengths, each two joined by one of `separators`.
fn in_groups(run: &[u8], lengths: &[usize], separators: &[u8]) -> bool {
    let mut groups = run.split(|byte| separators.contains(byte));
    let fits = lengths.iter().all(|length| {
        groups
            .next()
            .is_some_and(|group| group.len() == *length && group.iter().all(u8::is_ascii_digit))
    });
    fits && groups.next().is_none()
}

/// Whether there is nothing but digits and `separators`.
fn plain_or(run: &[u8], separators: &[u8]) -> bool {
    run.iter()
        .all(|byte| byte.is_ascii_digit() || separators.contains(byte))
}

/// `2026-11-25`, `25.11.2026`, `11/25/2026`, and a clock behind it.
fn looks_like_a_date(run: &[u8]) -> bool {
    let groups: Vec<&[u8]> = run.split(|byte| !byte.is_ascii_digit()).collect();
    let number = |group: &[u8]| group.iter().fold(0u32, |n, d| n * 10 + u32::from(d - b'0'));
    let day = |group: &[u8]| group.len() <= 2 && (1..=31).contains(&number(group));
    let year = |group: &[u8]| group.len() == 4 && (1900..=2100).contains(&number(group));
    match groups[..] {
        [a, b, c, ..] => (year(a) && day(b) && day(c)) || (day(a) && day(b) && year(c)),
        _ => false,
    }
}
