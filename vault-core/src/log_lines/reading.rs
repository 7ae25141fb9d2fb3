//! How else a text reads: with its escapes resolved, of URLs (`%40`, and `+` for a blank), of JSON inside a text
//! (`\u0040`, `\n`) and of programs that write logs (`\x40`).
//!
//! Escapes within escapes are resolved as often as the limits say. Each reading knows where in the text as it came
//! what it shows stood. Knows nothing of what is looked for.

use crate::limits::LOG_ESCAPES_DEEP_MAX;

/// A text as it reads in another way, and for each byte, and the end, where it stood.
#[derive(Clone)]
pub(super) struct Reading {
    text: String,
    places: Vec<usize>,
}

impl Reading {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where a byte of it, or its end, stood in the text as it came.
    pub(super) fn place(&self, at: usize) -> usize {
        self.places[at]
    }

    fn of(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            places: (0..=text.len()).collect(),
        }
    }

    /// The same with its escapes resolved; `None` where there are none.
    fn resolved(&self, blank: Plus) -> Option<Self> {
        let (bytes, mut plain, mut places) = (self.text.as_bytes(), Vec::new(), Vec::new());
        let (mut at, mut any) = (0, false);
        while at < bytes.len() {
            let escaped = escape(&bytes[at..], blank);
            any |= escaped.is_some();
            let (what, length) = escaped.unwrap_or((Escaped::Byte(bytes[at]), 1));
            match what {
                Escaped::Byte(byte) => plain.push(byte),
                Escaped::Character(c) => {
                    plain.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
            places.resize(plain.len(), self.places[at]);
            at += length;
        }
        places.push(self.places[at]);
        any.then(|| Self {
            text: text_of(plain),
            places,
        })
    }
}

/// What a `+` is: itself, or the blank of a form that was sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plus {
    Itself,
    Blank,
}

/// The other readings of a text; none where nothing in it is escaped.
pub(super) fn readings(text: &str) -> Vec<Reading> {
    let mut all = Vec::new();
    if !text.contains(['%', '\\', '+']) {
        return all;
    }
    let plain = Reading::of(text);
    for plus in [Plus::Itself, Plus::Blank] {
        if plus == Plus::Blank && !text.contains('+') {
            continue;
        }
        let mut next = plain.resolved(plus);
        for _ in 0..LOG_ESCAPES_DEEP_MAX {
            let Some(reading) = next else { break };
            next = reading.resolved(Plus::Itself);
            all.push(reading);
        }
    }
    all
}

enum Escaped {
    Byte(u8),
    Character(char),
}

/// What an escape at the beginning of these bytes stands for, and how long it is.
fn escape(bytes: &[u8], plus: Plus) -> Option<(Escaped, usize)> {
    let byte = |from: usize| Some(Escaped::Byte(u8::try_from(hex(bytes, from, 2)?).ok()?));
    match bytes {
        [b'%', ..] => Some((byte(1)?, 3)),
        [b'+', ..] if plus == Plus::Blank => Some((Escaped::Byte(b' '), 1)),
        [b'\\', b'x', ..] => Some((byte(2)?, 4)),
        [b'\\', b'u', ..] => {
            let unit = hex(bytes, 2, 4)?;
            if let Some(c) = char::from_u32(unit) {
                return Some((Escaped::Character(c), 6));
            }
            let low = bytes.get(6..8).filter(|two| *two == b"\\u");
            let low = u16::try_from(low.and_then(|_| hex(bytes, 8, 4))?).ok()?;
            let pair = char::decode_utf16([u16::try_from(unit).ok()?, low]).next();
            Some((Escaped::Character(pair?.ok()?), 12))
        }
        [b'\\', b'b' | b'f' | b'n' | b'r' | b't', ..] => Some((Escaped::Byte(b' '), 2)),
        [b'\\', own @ (b'"' | b'/' | b'\\'), ..] => Some((Escaped::Byte(*own), 2)),
        _ => None,
    }
}

fn hex(bytes: &[u8], from: usize, digits: usize) -> Option<u32> {
    let digits = bytes.get(from..from + digits)?;
    let each = |so_far: u32, digit: &u8| Some(so_far * 16 + char::from(*digit).to_digit(16)?);
    digits.iter().try_fold(0, each)
}

/// As text: a byte that is part of no character separates, and is as long as it was.
fn text_of(mut bytes: Vec<u8>) -> String {
    let mut from = 0;
    while let Err(error) = std::str::from_utf8(&bytes[from..]) {
        from += error.valid_up_to();
        bytes[from] = b' ';
    }
    String::from_utf8(bytes).expect("what was none is blank")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        let all = readings(text).into_iter();
        all.map(|reading| reading.text).collect()
    }

    #[test]
    fn a_text_reads_as_its_escapes_say_and_a_plain_one_in_no_other_way() {
        assert_eq!(texts("Anna%20Vries"), ["Anna Vries"]);
        assert_eq!(texts("Zo%C3%AB and Zo\\u00eb"), ["Zoë and Zoë"]);
        assert_eq!(texts(r"\x22\ud83d\ude00\nAnna\/\u0141"), ["\"😀 Anna/Ł"]);
        assert_eq!(texts("Anna+Vries"), ["Anna Vries"]);
        // Where a `+` is a blank, `%2B` is none.
        assert_eq!(texts("tel=%2B316+a"), ["tel=+316+a", "tel=+316 a"]);
        // What is escaped twice, and no more often than that is looked for.
        assert_eq!(texts("ann%2540x"), ["ann%40x", "ann@x"]);
        assert_eq!(
            texts("%25252540").last().map(String::as_str),
            Some("%40"),
            "one escape deeper than is resolved"
        );
        for plain in ["", "plain", "100%", "%zz", r"\u00g0", r"\ud83d", r"C:\q"] {
            assert_eq!(texts(plain), [""; 0], "{plain}");
        }
    }

    #[test]
    fn what_a_reading_shows_is_found_again_where_it_stood() {
        let text = "é%C3%A9 %E9x\\u00e9+y";
        for reading in readings(text) {
            assert_eq!(reading.places.len(), reading.text.len() + 1);
            assert_eq!(reading.place(reading.text.len()), text.len());
            for (at, _) in reading.text.char_indices() {
                assert!(text.is_char_boundary(reading.place(at)), "{at}");
            }
            let x = reading.text.find('x').expect("it is there");
            assert_eq!(&text[reading.place(x)..=reading.place(x)], "x");
        }
    }
}
