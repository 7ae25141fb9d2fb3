//! When a certificate ends: the one field that we read of it ourselves.
//!
//! rustls checks certificates and does not tell their dates, and a whole X.509 library for one of
//! them would be ten crates. This walks DER (X.690) down one known path: `Certificate`,
//! `tbsCertificate`, past version, serial number, signature and issuer, into `validity` (RFC 5280
//! §4.1). Anything unexpected is `None`.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0] EXPLICIT`, of the version.
const VERSION: u8 = 0xa0;

/// The instant after which the certificate is no longer valid.
pub(super) fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let (certificate, _) = expect(certificate, SEQUENCE)?;
    let (mut rest, _) = expect(certificate, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        rest = element(rest)?.2;
    }
    rest = expect(rest, INTEGER)?.1;
    rest = expect(rest, SEQUENCE)?.1;
    rest = expect(rest, SEQUENCE)?.1;
    let (validity, _) = expect(rest, SEQUENCE)?;
    let (_, _, rest) = element(validity)?;
    let (tag, text, _) = element(rest)?;
    time(tag, std::str::from_utf8(text).ok()?)
}

/// Tag, content, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], mut rest) = bytes.split_first_chunk::<2>()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let digits = usize::from(first & 0x7f);
        // Four digits of base 256 are more than any certificate has.
        if digits == 0 || digits > 4 || rest.len() < digits {
            return None;
        }
        let (written, after) = rest.split_at(digits);
        length = written
            .iter()
            .fold(0, |length, digit| length << 8 | usize::from(*digit));
        rest = after;
    }
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// Content, and what follows, of an element with this tag.
fn expect(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`; the first means 1950 to 2049 (RFC 5280 §4.1.2.5).
fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let digits = text.strip_suffix('Z')?;
    let digits = match tag {
        UTC_TIME if digits.len() == 12 => {
            let century = if digits < "50" { "20" } else { "19" };
            format!("{century}{digits}")
        }
        GENERALIZED_TIME if digits.len() == 14 => digits.to_owned(),
        _ => return None,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| digits[from..to].parse::<i8>().ok();
    let year = digits[..4].parse().ok()?;
    let date = DateTime::new(
        year,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?,
        0,
    );
    let zoned = date.ok()?.to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read_in_both_forms_of_a_date() {
        for (year, expected) in [
            (2031, "2031-03-04T00:00:00Z"),
            (2061, "2061-03-04T00:00:00Z"),
        ] {
            let mut parameters =
                rcgen::CertificateParams::new(vec!["v.example.test".into()]).expect("a name");
            parameters.not_after = rcgen::date_time_ymd(year, 3, 4);
            let key = rcgen::KeyPair::generate().expect("a key");
            let certificate = parameters.self_signed(&key).expect("a certificate");
            let end = not_after(certificate.der()).expect("read");
            assert_eq!(end.to_string(), expected);
        }
    }

    #[test]
    fn a_certificate_that_is_cut_off_anywhere_has_no_date_and_does_no_harm() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let parameters =
            rcgen::CertificateParams::new(vec!["v.example.test".into()]).expect("a name");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        let bytes = certificate.der();
        for length in 0..bytes.len() {
            assert_eq!(not_after(&bytes[..length]), None, "{length}");
        }
        for index in 0..bytes.len().min(300) {
            let mut changed = bytes.to_vec();
            changed[index] ^= 0xff;
            let _ = not_after(&changed);
        }
    }

    #[test]
    fn a_date_that_does_not_exist_is_none() {
        assert_eq!(time(UTC_TIME, "310229000000Z"), None);
        assert_eq!(time(UTC_TIME, "3103040000é0Z"), None);
        assert_eq!(time(GENERALIZED_TIME, "20310304000000+0100"), None);
        let old = time(UTC_TIME, "500101000000Z").expect("a date");
        assert_eq!(old.to_string(), "1950-01-01T00:00:00Z");
    }
}
