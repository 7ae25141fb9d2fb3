//! Texts that must turn up nowhere, and a search for them in every form that a program writes texts in.
//!
//! Letters' case never counts. The forms: itself, UTF-16, escaped as JSON, as Rust's `Debug` and as
//! percent-encoding, base64 at each of its three alignments, hexadecimal, bytes as a list of numbers,
//! and SHA-256 in hexadecimal and base64, because a hash of an address is an address to whoever guesses.

use std::collections::{BTreeSet, HashMap};

use data_encoding::{BASE64, BASE64URL, HEXLOWER};
use vault_core::crypto::sha256;

/// Bytes by which patterns are first compared; no form is shorter.
const HEAD: usize = 6;

/// Canaries in all their forms.
#[derive(Default)]
pub struct Net {
    names: Vec<String>,
    by_head: HashMap<[u8; HEAD], Vec<(usize, Vec<u8>)>>,
}

impl Net {
    /// Adds a canary under a name that may be printed.
    ///
    /// # Panics
    ///
    /// If it has fewer than six bytes, which chance alone would find.
    pub fn add(&mut self, name: &str, canary: &[u8]) {
        assert!(canary.len() >= HEAD, "{name} is too short to be a canary");
        self.names.push(name.to_owned());
        let index = self.names.len() - 1;
        for form in forms(canary) {
            let head = form[..HEAD].try_into().expect("long enough");
            self.by_head.entry(head).or_default().push((index, form));
        }
    }

    /// The names of the canaries that are in `bytes`.
    #[must_use]
    pub fn caught(&self, bytes: &[u8]) -> BTreeSet<&str> {
        let bytes = bytes.to_ascii_lowercase();
        let mut caught = BTreeSet::new();
        for (at, head) in bytes.windows(HEAD).enumerate() {
            let Some(patterns) = self.by_head.get(head) else {
                continue;
            };
            for (index, form) in patterns {
                if bytes[at..].starts_with(form) {
                    caught.insert(&*self.names[*index]);
                }
            }
        }
        caught
    }
}

/// Every form of these bytes, in lower case.
fn forms(canary: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::from([canary.to_vec()]);
    let list = |separator: &str| {
        let numbers: Vec<_> = canary.iter().map(ToString::to_string).collect();
        numbers.join(separator).into_bytes()
    };
    forms.extend([list(", "), list(",")]);
    forms.insert(HEXLOWER.encode(canary).into_bytes());
    let mut percent = String::new();
    let mut form = String::new();
    for &byte in canary {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            percent.push(char::from(byte));
            form.push(char::from(byte));
        } else {
            percent.push_str(&format!("%{byte:02x}"));
            match byte {
                b' ' => form.push('+'),
                _ => form.push_str(&format!("%{byte:02x}")),
            }
        }
    }
    forms.extend([percent.into_bytes(), form.into_bytes()]);
    if let Ok(text) = std::str::from_utf8(canary) {
        forms.insert(text.to_lowercase().into_bytes());
        let wide = text.encode_utf16().collect::<Vec<_>>();
        forms.insert(wide.iter().copied().flat_map(u16::to_le_bytes).collect());
        let quoted = serde_json::to_string(text).expect("a text is JSON");
        forms.insert(quoted.trim_matches('"').into());
        let ascii = |unit: &u16| match u8::try_from(*unit) {
            Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
            _ => format!("\\u{unit:04x}"),
        };
        forms.insert(wide.iter().map(ascii).collect::<String>().into());
        forms.insert(text.escape_debug().to_string().into());
        forms.insert(text.escape_default().to_string().into());
    }
    for before in 0..3 {
        // What stands before and behind decides the first and the last characters.
        let shifted = [&vec![0; before][..], canary].concat();
        let whole = shifted.len() / 3 * 4;
        for encoding in [&BASE64, &BASE64URL] {
            let text = encoding.encode(&shifted);
            let first = if before == 0 { 0 } else { 4 };
            if whole > first + HEAD {
                forms.insert(text.as_bytes()[first..whole].to_vec());
            }
        }
    }
    let hash = sha256(&[canary]);
    forms.insert(HEXLOWER.encode(&hash).into_bytes());
    forms.insert(BASE64.encode(&hash)[..40].into());
    forms.insert(BASE64URL.encode(&hash)[..40].into());
    forms
        .into_iter()
        .map(|form| form.to_ascii_lowercase())
        .filter(|form| form.len() >= HEAD)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_caught_in_every_form_and_nothing_else_is() {
        let mut net = Net::default();
        net.add("name", "Zyxwina Canäry".as_bytes());
        net.add("mail", b"z.canary+7@example.test");
        for text in [
            "…ZYXWINA CANäRY…",
            r#"{"a":"Zyxwina Can\u00e4ry"}"#,
            r#"Name("Zyxwina Can\u{e4}ry")"#,
            "/v1/x?n=Zyxwina%20Can%C3%A4ry",
            "n=Zyxwina+Can%c3%a4ry",
        ] {
            assert_eq!(
                net.caught(text.as_bytes()),
                BTreeSet::from(["name"]),
                "{text}"
            );
        }
        let mail = b"z.canary+7@example.test";
        let wide: Vec<u8> = mail.iter().flat_map(|byte| [*byte, 0]).collect();
        let hash = HEXLOWER.encode(&sha256(&[mail]));
        for bytes in [wide, hash.into_bytes(), format!("{mail:?}").into_bytes()] {
            assert_eq!(net.caught(&bytes), BTreeSet::from(["mail"]));
        }
        for before in ["", "a", "ab", "abc"] {
            let inside = format!("{before}z.canary+7@example.test and more");
            for text in [
                BASE64.encode(inside.as_bytes()),
                HEXLOWER.encode(inside.as_bytes()),
            ] {
                assert_eq!(
                    net.caught(text.as_bytes()),
                    BTreeSet::from(["mail"]),
                    "{text}"
                );
            }
        }
        assert_eq!(
            net.caught(b"Zyxwin@ Canary, z.canary@example.test"),
            BTreeSet::new()
        );
    }
}
