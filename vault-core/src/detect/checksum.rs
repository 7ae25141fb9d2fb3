//! Check digits: what tells a number that was issued from one that merely has its length.
//!
//! Every function takes digits without separators. Knows nothing of text.

/// The digits' values; the caller has made sure that there are only digits.
pub(super) fn values(digits: &[u8]) -> impl DoubleEndedIterator<Item = u32> + '_ {
    digits.iter().map(|digit| u32::from(digit - b'0'))
}

fn number(digits: &[u8]) -> u64 {
    values(digits).fold(0, |sum, digit| sum * 10 + u64::from(digit))
}

fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    values(digits).zip(weights).map(|(d, w)| d * w).sum()
}

/// Source: ISO/IEC 7812-1, annex B (Luhn).
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = values(digits)
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => digit,
            (_, doubled) if doubled > 9 => doubled - 9,
            (_, doubled) => doubled,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Length and first digits of payment cards that are issued. Source: ISO/IEC 7812; the ranges that
/// the schemes publish.
pub(super) fn card(digits: &[u8]) -> bool {
    let first = |count: usize| number(&digits[..count]);
    if !(13..=19).contains(&digits.len()) {
        return false;
    }
    let known = match digits.len() {
        13 => digits[0] == b'4',
        14 => matches!(first(2), 36 | 38 | 39) || matches!(first(3), 300..=305),
        15 => matches!(first(2), 34 | 37),
        _ => {
            digits[0] == b'4'
                || matches!(first(2), 35 | 36 | 38 | 39 | 50..=55 | 62 | 65)
                || matches!(first(3), 300..=305 | 644..=649)
                || first(4) == 6011
                || matches!(first(4), 2221..=2720)
        }
    };
    // Visa's 17 and 18 digits were never issued; a number that long is another one.
    let length = digits[0] != b'4' || matches!(digits.len(), 13 | 16 | 19);
    known && length && luhn(digits)
}

/// Month from 1, day from 1: whether there is such a day in any year.
pub(super) fn day(month: u64, day: u64) -> bool {
    let days = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// Poland: eleven digits, the century in the month.
pub(super) fn pesel(digits: &[u8]) -> bool {
    let (month, date) = (number(&digits[2..4]), number(&digits[4..6]));
    let sum = weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
    day(month % 20, date) && sum.is_multiple_of(10)
}

/// Germany: eleven digits, ISO/IEC 7064 MOD 11,10; of the first ten exactly one value occurs twice or
/// three times. Source: Bundeszentralamt für Steuern, Steuer-IdNr., § 139b AO.
pub(super) fn steuer_id(digits: &[u8]) -> bool {
    let mut counts = [0u8; 10];
    for digit in values(&digits[..10]) {
        counts[digit as usize] += 1;
    }
    let repeated = counts.iter().filter(|count| **count > 1).count();
    let most = counts.iter().max().copied().unwrap_or(0);
    let mut product = 10;
    for digit in values(&digits[..10]) {
        let sum = match (digit + product) % 10 {
            0 => 10,
            sum => sum,
        };
        product = sum * 2 % 11;
    }
    let check = (11 - product) % 10;
    digits[0] != b'0' && repeated == 1 && most <= 3 && values(digits).next_back() == Some(check)
}

/// The Netherlands: nine digits, the "elfproef" with a negative last weight.
pub(super) fn bsn(digits: &[u8]) -> bool {
    let sum = weighted(&digits[..8], &[9, 8, 7, 6, 5, 4, 3, 2]);
    let last = values(digits).next_back().unwrap_or(0);
    digits.iter().any(|digit| *digit != b'0') && (sum + 11 - last).is_multiple_of(11)
}

/// France: thirteen digits and a key of two; a department of Corsica comes as the digits that stand
/// for it. Source: INSEE, numéro d'inscription au répertoire.
pub(super) fn nir(digits: &[u8]) -> bool {
    let month = number(&digits[3..5]);
    let person = number(&digits[..13]);
    matches!(digits[0], b'1'..=b'4' | b'7' | b'8')
        && matches!(month, 1..=12 | 20 | 30..=42 | 50..=99)
        && number(&digits[13..]) == 97 - person % 97
}

/// Sweden: ten digits (a day of birth and four), Luhn; a coordination number has sixty added to the
/// day. Source: Skatteverket, personnummer.
pub(super) fn personnummer(digits: &[u8]) -> bool {
    let (month, date) = (number(&digits[2..4]), number(&digits[4..6]));
    day(month, date % 60) && luhn(digits)
}

const NIF: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

/// Spain: eight digits and the letter that their remainder by 23 gives. Source: Orden INT/1202/2011
/// and the Ministerio del Interior's description of the letter.
pub(super) fn nif(digits: &[u8], letter: u8) -> bool {
    NIF[(number(digits) % 23) as usize] == letter
}

/// Spain, foreigners: X, Y or Z stands for a first digit 0, 1 or 2.
pub(super) fn nie(first: u8, digits: &[u8], letter: u8) -> bool {
    let full = u64::from(first - b'X') * 10_000_000 + number(digits);
    NIF[(full % 23) as usize] == letter
}

const HETU: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";

/// Finland: six digits of a birthday, three more, and the character that their remainder by 31
/// gives. Source: Digi- ja väestötietovirasto, henkilötunnus.
pub(super) fn hetu(birthday: &[u8], individual: &[u8], check: u8) -> bool {
    let (date, month) = (number(&birthday[..2]), number(&birthday[2..4]));
    let all = number(birthday) * 1000 + number(individual);
    day(month, date) && number(individual) >= 2 && HETU[(all % 31) as usize] == check
}

/// Italy: fifteen capitals and digits and a check letter. Source: D.M. 12 marzo 1974.
pub(super) fn codice_fiscale(code: &[u8]) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let value = |byte: u8| match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        _ => u32::from(byte - b'A'),
    };
    let sum: u32 = code[..15]
        .iter()
        .enumerate()
        .map(|(place, byte)| match place % 2 {
            // Counted from one, the first is odd.
            0 => ODD[value(*byte) as usize],
            _ => value(*byte),
        })
        .sum();
    u32::from(code[15] - b'A') == sum % 26
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every other last digit of a valid number is refused: the check digit is checked.
    fn alone(valid: &str, check: impl Fn(&[u8]) -> bool) {
        let digits = valid.as_bytes();
        assert!(check(digits), "{valid}");
        for last in b'0'..=b'9' {
            let mut other = digits.to_vec();
            *other.last_mut().expect("digits") = last;
            assert_eq!(
                check(&other),
                other == digits,
                "{valid} with {}",
                last as char
            );
        }
    }

    #[test]
    fn of_each_number_one_check_digit_is_right() {
        // Numbers that the schemes and authorities publish as examples or reserve for tests.
        for number in [
            "4111111111111111",
            "5555555555554444",
            "378282246310005",
            "30569309025904",
            "6011111111111117",
            "2223003122003222",
        ] {
            alone(number, card);
        }
        alone("44051401359", pesel);
        alone("02070803628", pesel);
        alone("86095742719", steuer_id);
        alone("47036892816", steuer_id);
        alone("111222333", bsn);
        alone("123456782", bsn);
        alone("8112189876", personnummer);
        alone("7010632391", personnummer);
        alone("255081416802538", nir);
    }

    #[test]
    fn of_each_code_one_letter_is_right() {
        let letters = || b'A'..=b'Z';
        let right: Vec<u8> = letters().filter(|l| nif(b"12345678", *l)).collect();
        assert_eq!(right, b"Z");
        let right: Vec<u8> = letters().filter(|l| nie(b'X', b"1234567", *l)).collect();
        assert_eq!(right, b"L");
        let right: Vec<u8> = letters().filter(|l| hetu(b"131052", b"308", *l)).collect();
        assert_eq!(right, b"T");
        let code = |last: u8| [b"RSSMRA85T10A562".as_slice(), &[last]].concat();
        let right: Vec<u8> = letters().filter(|l| codice_fiscale(&code(*l))).collect();
        assert_eq!(right, b"S");
    }

    #[test]
    fn a_right_check_digit_does_not_save_an_impossible_number() {
        assert!(luhn(b"0000000000000000") && !card(b"0000000000000000"));
        assert!(!pesel(b"44991401359"), "no such month");
        assert!(!bsn(b"000000000"));
        assert!(!hetu(b"310252", b"308", b'T'), "no 31 February");
        assert!(!day(2, 30) && day(2, 29) && !day(13, 1) && !day(1, 0));
    }
}
