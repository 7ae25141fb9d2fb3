//! What the server would have sent by mail: `dev` is its own `verification.webhook`.
//!
//! Takes what is signed with the secret of this run, as whoever sends codes on has to.
//!
//! Source: Standard Webhooks 1.0.0; docs/http-api.md, "Verification codes".

use data_encoding::BASE64;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use vault_core::entropy::Entropy;
use vault_server::webhook::Secret;
use zeroize::Zeroizing;

/// Bytes of the secret.
const SECRET_BYTES: usize = 32;
/// How far the sender's clock may be off: it is this machine's.
const LATE: SignedDuration = SignedDuration::from_mins(5);

/// A code, as the person's mailbox would show it.
pub(super) struct Letter {
    /// The same at every try.
    pub(super) sending: String,
    pub(super) address: String,
    pub(super) text: String,
    pub(super) code: String,
}

/// `whsec_…`.
pub(super) fn generate_secret(entropy: &mut dyn Entropy) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
    entropy.fill(&mut *bytes);
    Zeroizing::new(format!("whsec_{}", BASE64.encode(&*bytes)))
}

/// What stands in the head of a message.
pub(super) struct Head<'a> {
    pub(super) id: &'a str,
    pub(super) timestamp: &'a str,
    pub(super) signature: &'a str,
}

/// The code of a message, where whoever holds the secret sent it just now.
pub(super) fn read(
    secret: &Secret,
    head: &Head<'_>,
    body: &[u8],
    now: Timestamp,
) -> Option<Letter> {
    let seconds: i64 = head.timestamp.parse().ok()?;
    let at = Timestamp::from_second(seconds).ok()?;
    let signed = secret.sign(head.id, seconds, body);
    if now.duration_since(at).abs() > LATE || head.signature != signed {
        return None;
    }
    let body: Value = serde_json::from_slice(body).ok()?;
    let text = |name: &str| body[name].as_str().map(ToOwned::to_owned);
    match body["schema"] == "vault-code/1" {
        true => Some(Letter {
            sending: text("sending")?,
            address: text("address")?,
            text: text("text")?,
            code: text("code")?,
        }),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use vault_core::entropy::SeededEntropy;

    #[test]
    fn a_code_is_taken_from_whoever_has_the_secret_and_from_nobody_else() {
        let secret = Secret::parse(&generate_secret(&mut SeededEntropy::new(1))).unwrap();
        let other = Secret::parse(&generate_secret(&mut SeededEntropy::new(2))).unwrap();
        let body = |schema: &str| {
            json!({"schema": schema, "sending": "ab", "kind": "email", "address": "mila@example.test",
                "code": "402913", "text": "Your code: 402913."})
            .to_string()
            .into_bytes()
        };
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let taken = |by: &Secret, signed_at: i64, sent_at: i64, body: &[u8], came: &[u8]| {
            let head = Head {
                id: "code_ab",
                timestamp: &sent_at.to_string(),
                signature: &by.sign("code_ab", signed_at, body),
            };
            read(&secret, &head, came, now)
        };
        let (at, whole) = (now.as_second(), body("vault-code/1"));
        let letter = taken(&secret, at, at, &whole, &whole).expect("it is signed");
        assert_eq!(
            (&*letter.code, &*letter.address),
            ("402913", "mila@example.test")
        );
        assert!(
            taken(&other, at, at, &whole, &whole).is_none(),
            "another secret"
        );
        assert!(
            taken(&secret, at, at, &whole, &body("vault-code/2")).is_none(),
            "another body"
        );
        assert!(
            taken(&secret, at, at + 1, &whole, &whole).is_none(),
            "another time"
        );
        let (old, form) = (at - 301, body("vault-code/2"));
        assert!(
            taken(&secret, old, old, &whole, &whole).is_none(),
            "an old one again"
        );
        assert!(
            taken(&secret, at, at, &form, &form).is_none(),
            "another form"
        );
    }
}
