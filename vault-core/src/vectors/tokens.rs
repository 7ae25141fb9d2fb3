//! What a caller shows: API keys, tokens of sessions, cursors, recovery keys.

use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

use super::{Set, VAULT, faulty, valid, with};
use crate::crypto::{Secret, sha256};
use crate::id::RecordId;
use crate::parsers;
use crate::vault::RecoveryKey;

pub(super) const TOKENS: Set = Set {
    name: "tokens",
    // Cursors have a nonce; they outlive no process, so that none is kept.
    exact: true,
    make,
    open: |vector, text| {
        let text = std::str::from_utf8(text).ok()?;
        match vector["form"].as_str()? {
            "API key" => parsers::api_key(text).map(|hash| hash.to_vec()),
            "session" => {
                let (subject, session) = parsers::session_token(text)?;
                Some([&subject.as_bytes()[..], session.as_bytes()].concat())
            }
            "recovery key" => {
                let key: RecoveryKey = text.parse().ok()?;
                Some(key.to_text().into_bytes())
            }
            _ => None,
        }
    },
};

fn make() -> Vec<Value> {
    let secret: Vec<u8> = (0x80..0xa0).collect();
    let api_key = format!("vk_{}", BASE64URL_NOPAD.encode(&secret));
    let token = [vec![2; 16], vec![3; 16], secret.clone()].concat();
    let session = format!("vs_{}", BASE64URL_NOPAD.encode(&token));
    let recovery = recovery();
    let of = |form: &str, vector| with(vector, "form", form);
    let bad = |form: &str, fault: &str, text: &str| of(form, faulty(fault, text.as_bytes()));
    let mut typo = recovery.clone();
    typo.replace_range(..1, if recovery.starts_with('A') { "B" } else { "A" });
    vec![
        of(
            "API key",
            valid("an API key", api_key.as_bytes(), &sha256(&[&secret])),
        ),
        bad("API key", "without its prefix", &api_key[3..]),
        bad("API key", "with padding", &format!("{api_key}=")),
        bad("API key", "a character less", &api_key[..api_key.len() - 1]),
        bad("API key", "a character more", &format!("{api_key}A")),
        bad(
            "API key",
            "bits behind the last byte",
            &format!("{}9", &api_key[..45]),
        ),
        bad(
            "API key",
            "a plus for a hyphen",
            &format!("vk_{}", "+".repeat(43)),
        ),
        bad(
            "API key",
            "the prefix in capitals",
            &api_key.replacen("vk", "VK", 1),
        ),
        bad("API key", "a session's token", &session),
        of(
            "session",
            valid("a session's token", session.as_bytes(), &token[..32]),
        ),
        bad("session", "a character less", &session[..session.len() - 1]),
        bad("session", "an API key", &api_key),
        bad("session", "empty", "vs_"),
        of(
            "recovery key",
            valid("as it is shown", recovery.as_bytes(), recovery.as_bytes()),
        ),
        bad("recovery key", "a typing error", &typo),
        bad("recovery key", "a group less", &recovery[..39]),
        bad(
            "recovery key",
            "a letter that is none of them",
            &recovery.replacen(&recovery[..1], "U", 1),
        ),
        bad("recovery key", "empty", ""),
    ]
}

/// 160 bits, with their checksum.
fn recovery() -> String {
    let bits: [u8; 20] = std::array::from_fn(|at| at as u8 * 11);
    let digits = crate::id::BASE32.encode(&bits);
    let hash = sha256(&[b"vault/1 recovery checksum", &bits]);
    let all = format!("{digits}{}", &crate::id::BASE32.encode(&hash[..5])[..4]);
    let groups: Vec<&str> = (0..9).map(|group| &all[4 * group..4 * group + 4]).collect();
    groups.join("-").to_uppercase()
}

/// Cursors live as long as a process: there is nothing to keep of them but how they refuse.
#[test]
fn a_cursor_opens_where_it_was_made_and_nowhere_else() {
    let (key, query) = (Secret::take(&mut [1; 32]), [2; 32]);
    let last = RecordId::from_slice(&[3; 24]).expect("the length");
    let made = parsers::seal_cursor(&key, VAULT, &query, 100, last);
    let open = |key: &Secret<32>, query, hour, text: &str| {
        parsers::open_cursor(key, VAULT, query, hour, text)
    };
    assert_eq!(open(&key, &query, 100, &made), Some(last));
    assert_eq!(open(&key, &query, 101, &made), Some(last));
    assert_eq!(open(&key, &query, 102, &made), None, "an hour and more");
    assert_eq!(open(&key, &[3; 32], 100, &made), None, "another list");
    assert_eq!(open(&Secret::take(&mut [2; 32]), &query, 100, &made), None);
    assert_eq!(open(&key, &query, 100, &made[1..]), None);
    assert_eq!(
        open(&key, &query, 100, &format!("{made}{}", "A".repeat(300))),
        None
    );
}
