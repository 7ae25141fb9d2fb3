//! Shapes: where in a text something of each kind may lie, before its check digits are looked at.
//!
//! The expressions only find candidates; what they find is decided in Rust. None backtracks: the
//! `regex` crate takes time linear in the text.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr as _;
use std::sync::LazyLock;

use regex::bytes::{Regex, RegexSet};

use super::checksum::{codice_fiscale, hetu, nie, nif};
use super::{Certainty, Find, Kind, digits};
use crate::schema::is_iban;

/// An expression, and what its finds may be.
struct Shape {
    expression: &'static str,
    decide: fn(&[u8], usize, usize, &mut Vec<Find>),
}

/// Longest local part and label: RFC 5321 §4.5.3.1, RFC 1035 §2.3.4.
const SHAPES: [Shape; 7] = [
    Shape {
        expression: r"(?-u)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])",
        decide: email,
    },
    Shape {
        expression: r"(?-u)\+?(?:\([0-9]{1,4}\)[ -]?|[0-9])(?:[ .()/-]{0,2}[0-9]){6,}",
        decide: number,
    },
    Shape {
        expression: r"(?-u)\b[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]{1,4}){3,8}",
        decide: iban,
    },
    Shape {
        expression: r"(?-u)\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b",
        decide: ipv4,
    },
    Shape {
        expression: r"(?-u)[0-9A-Fa-f:]*(?:[0-9A-Fa-f]*:){2}[0-9A-Fa-f:]*(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3})?",
        decide: ipv6,
    },
    Shape {
        expression: r"(?-u)\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b",
        decide: mac,
    },
    Shape {
        expression: r"(?-u)\b(?:[XYZxyz][0-9]{7}|[0-9]{8})-?[A-Za-z]\b|\b[A-Za-z]{6}[0-9A-Za-z]{2}[A-Za-z][0-9A-Za-z]{2}[A-Za-z][0-9A-Za-z]{3}[A-Za-z]\b|\b[0-3][0-9][01][0-9]{3}[-+A-Fa-fU-Yu-y][0-9]{3}[0-9A-Za-z]\b|\b[1-478] ?[0-9]{2} ?[0-9]{2} ?2[ABab] ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}\b",
        decide: coded,
    },
];

/// Which shapes a text has at all.
pub(super) fn set() -> RegexSet {
    RegexSet::new(SHAPES.iter().map(|shape| shape.expression)).expect("expressions of ours")
}

/// What of the shape with this number is in `text`.
pub(super) fn find(which: usize, text: &[u8], found: &mut Vec<Find>) {
    static EACH: LazyLock<Vec<Regex>> = LazyLock::new(|| {
        let each = SHAPES.iter().map(|shape| Regex::new(shape.expression));
        each.map(|regex| regex.expect("expressions of ours"))
            .collect()
    });
    for hit in EACH[which].find_iter(text) {
        (SHAPES[which].decide)(text, hit.start(), hit.end(), found);
    }
}

fn likely(kind: Kind, start: usize, end: usize, found: &mut Vec<Find>) {
    found.push(Find {
        kind,
        certainty: Certainty::Likely,
        start,
        end,
    });
}

/// Whether a word or number goes on over this edge.
fn joined(text: &[u8], start: usize, end: usize) -> bool {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    start
        .checked_sub(1)
        .and_then(|at| text.get(at))
        .is_some_and(word)
        || text.get(end).is_some_and(word)
}

fn email(text: &[u8], start: usize, end: usize, found: &mut Vec<Find>) {
    // A full stop or a quotation before the address belongs to the sentence.
    let lead = text[start..end]
        .iter()
        .take_while(|byte| !byte.is_ascii_alphanumeric() && **byte != b'_')
        .count();
    if text[start + lead] != b'@' {
        likely(Kind::Email, start + lead, end, found);
    }
}

/// Most groups of digits that belong to one number: a French one has seven.
const GROUPS_MAX: usize = 7;

fn number(text: &[u8], start: usize, end: usize, found: &mut Vec<Find>) {
    if joined(text, start, end) {
        return;
    }
    // Two numbers with a blank between them look like one: every row of groups is tried.
    let mut groups: Vec<(usize, usize)> = Vec::new();
    let mut at = start;
    for group in text[start..end].split(|byte| !byte.is_ascii_digit()) {
        if !group.is_empty() {
            groups.push((at, at + group.len()));
        }
        at += group.len() + 1;
    }
    for first in 0..groups.len() {
        let mut from = groups[first].0;
        // What opens a number belongs to it.
        while from > start && matches!(text[from - 1], b'+' | b'(') {
            from -= 1;
        }
        for (_, to) in groups[first..].iter().take(GROUPS_MAX) {
            digits::run(text, from, *to, found);
        }
    }
}

fn iban(text: &[u8], start: usize, mut end: usize, found: &mut Vec<Find>) {
    // The expression may have run on into the next words: shorter and shorter, at their ends.
    loop {
        let at_end = text
            .get(end)
            .is_none_or(|byte| !byte.is_ascii_alphanumeric());
        let run = &text[start..end];
        if at_end && std::str::from_utf8(run).is_ok_and(is_iban) {
            return likely(Kind::Iban, start, end, found);
        }
        match run.iter().rposition(|byte| *byte == b' ') {
            Some(at) if at > 0 => end = start + at,
            _ => return,
        }
    }
}

fn ipv4(text: &[u8], start: usize, end: usize, found: &mut Vec<Find>) {
    let text_of = std::str::from_utf8(&text[start..end]).unwrap_or_default();
    // A fifth group is a number of something else, as a version or a clause.
    let goes_on = text.get(end) == Some(&b'.') && text.get(end + 1).is_some_and(u8::is_ascii_digit)
        || start > 1 && text[start - 1] == b'.' && text[start - 2].is_ascii_digit();
    let Ok(address) = Ipv4Addr::from_str(text_of) else {
        return;
    };
    // Nobody is behind these.
    let nobody = address.is_loopback()
        || address.is_unspecified()
        || address.is_broadcast()
        || address.is_multicast();
    let version = start > 0 && matches!(text[start - 1], b'v' | b'V');
    if !goes_on && !nobody && !version {
        likely(Kind::Ipv4, start, end, found);
    }
}

fn ipv6(text: &[u8], start: usize, mut end: usize, found: &mut Vec<Find>) {
    if end - start > 1 && text[end - 1] == b':' && text[end - 2] != b':' {
        // The colon of a sentence.
        end -= 1;
    }
    let text_of = std::str::from_utf8(&text[start..end]).unwrap_or_default();
    let Ok(address) = Ipv6Addr::from_str(text_of) else {
        return;
    };
    // `::` and `a::b` are paths of a program as well: at least three groups of hexadecimal.
    let groups = text_of.split(':').filter(|group| !group.is_empty()).count();
    let nobody = address.is_loopback() || address.is_unspecified() || address.is_multicast();
    if groups >= 3 && !nobody && !joined(text, start, end) {
        likely(Kind::Ipv6, start, end, found);
    }
}

fn mac(text: &[u8], start: usize, end: usize, found: &mut Vec<Find>) {
    let beside = |at: Option<&u8>| at.is_some_and(|byte| matches!(byte, b':' | b'-'));
    let all_same = text[start..end]
        .iter()
        .filter(|byte| byte.is_ascii_hexdigit())
        .all(|byte| matches!(byte.to_ascii_lowercase(), b'0') || byte.eq_ignore_ascii_case(&b'f'));
    let before = start.checked_sub(1).and_then(|at| text.get(at));
    if !beside(before) && !beside(text.get(end)) && !all_same {
        likely(Kind::Mac, start, end, found);
    }
}

/// Numbers with letters in them.
fn coded(text: &[u8], start: usize, end: usize, found: &mut Vec<Find>) {
    let code: Vec<u8> = text[start..end]
        .iter()
        .filter(|byte| !matches!(byte, b' ' | b'-'))
        .map(u8::to_ascii_uppercase)
        .collect();
    let last = code.len() - 1;
    let digits = |from: &[u8]| from.iter().all(u8::is_ascii_digit);
    let corsican = code.len() == 15 && code.get(5) == Some(&b'2') && !code[6].is_ascii_digit();
    let kind = match code.len() {
        9 if digits(&code[..8]) && nif(&code[..8], code[8]) => Kind::EsNif,
        9 if digits(&code[1..8])
            && code[0].is_ascii_alphabetic()
            && nie(code[0], &code[1..8], code[8]) =>
        {
            Kind::EsNie
        }
        16 if in_form(&code) && codice_fiscale(&code) => Kind::ItCodiceFiscale,
        15 if corsican => {
            let mut plain = code.clone();
            // Source: INSEE: 2A counts as 19 and 2B as 18.
            plain[5..7].copy_from_slice(if code[6] == b'A' { b"19" } else { b"18" });
            if !super::checksum::nir(&plain) {
                return;
            }
            Kind::FrNir
        }
        // With a hyphen its sign of the century is gone from `code`.
        10 | 11 => {
            let individual = &code[last - 3..last];
            if !digits(&code[..6])
                || !digits(individual)
                || !hetu(&code[..6], individual, code[last])
            {
                return;
            }
            Kind::FiHetu
        }
        _ => return,
    };
    likely(kind, start, end, found);
}

/// The form of a codice fiscale. Of two people with the same code one gets letters for digits, and the
/// check letter is over them as they stand.
fn in_form(code: &[u8]) -> bool {
    const PLACES: [usize; 7] = [6, 7, 9, 10, 12, 13, 14];
    let fits = code
        .iter()
        .enumerate()
        .all(|(place, byte)| match PLACES.contains(&place) {
            true => byte.is_ascii_digit() || b"LMNPQRSTUV".contains(byte),
            false => byte.is_ascii_uppercase(),
        });
    fits && b"ABCDEHLMPRST".contains(&code[8])
}
