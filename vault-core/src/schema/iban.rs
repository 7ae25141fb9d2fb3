//! Bank account numbers: length by country and check digits.
//!
//! Knows nothing of JSON, and not whether an account exists.

/// Total lengths by country. Source: SWIFT, IBAN Registry (ISO 13616-1), entries as recalled;
/// a country that is missing here is held to 15 to 34 characters only.
const LENGTHS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NL", 18),
    ("NO", 15),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("SA", 24),
    ("SC", 31),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
];

/// What is wrong with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Checksum,
    Form,
    Length,
}

/// Checks `compact`: an IBAN without separators, in capitals.
pub(super) fn check(compact: &str) -> Result<(), Fault> {
    let bytes = compact.as_bytes();
    if bytes.len() < 15
        || bytes.len() > 34
        || !bytes[..2].iter().all(u8::is_ascii_uppercase)
        || !bytes[2..4].iter().all(u8::is_ascii_digit)
        || !bytes
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    {
        return Err(Fault::Form);
    }
    let expected = LENGTHS
        .iter()
        .find(|(country, _)| country.as_bytes() == &bytes[..2]);
    if expected.is_some_and(|(_, length)| *length != bytes.len()) {
        return Err(Fault::Length);
    }
    // ISO 7064 MOD 97-10: the first four characters move to the end, letters count from 10.
    let remainder = bytes[4..]
        .iter()
        .chain(&bytes[..4])
        .fold(0_u32, |sum, &byte| {
            if byte.is_ascii_digit() {
                (sum * 10 + u32::from(byte - b'0')) % 97
            } else {
                (sum * 100 + u32::from(byte - b'A') + 10) % 97
            }
        });
    if remainder == 1 {
        Ok(())
    } else {
        Err(Fault::Checksum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_examples_pass() {
        for good in [
            "DE89370400440532013000",
            "NL91ABNA0417164300",
            "GB29NWBK60161331926819",
            "NO9386011117947",
            "MT84MALT011000012345MTLCAST001S",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn a_wrong_digit_a_wrong_length_and_a_wrong_form_are_told_apart() {
        assert_eq!(check("DE89370400440532013001"), Err(Fault::Checksum));
        assert_eq!(check("DE8937040044053201300"), Err(Fault::Length));
        assert_eq!(check("DE"), Err(Fault::Form));
        assert_eq!(check("89DE370400440532013000"), Err(Fault::Form));
    }
}
