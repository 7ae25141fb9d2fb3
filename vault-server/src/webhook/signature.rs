//! The signature of Standard Webhooks: `v1,` and HMAC-SHA-256 over `id.timestamp.body`.
//!
//! Source: Standard Webhooks 1.0.0, "Signature scheme" (standardwebhooks.com).

use std::sync::Arc;

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The prefix of a secret in text.
const PREFIX: &str = "whsec_";
/// Bytes of a secret. Source: as above, 24 to 64.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Why a secret cannot be used. It is never repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Not of the known form.
    #[error(
        "a webhook's secret is `whsec_` and 24 to 64 bytes in base64, as `echo whsec_$(head -c 32 /dev/urandom | base64)` makes one"
    )]
    Form,
}

/// What sender and receiver share. Silent in `Debug`; overwritten when the last clone goes.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// Reads `whsec_…`.
    ///
    /// # Errors
    ///
    /// [`SecretError::Form`].
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(SecretError::Form)?;
        let bytes = BASE64
            .decode(encoded.as_bytes())
            .map_err(|_| SecretError::Form)?;
        let bytes = Zeroizing::new(bytes);
        match BYTES.contains(&bytes.len()) {
            true => Ok(Self(Arc::new(bytes))),
            false => Err(SecretError::Form),
        }
    }

    /// The value of `webhook-signature`; `seconds` is that of `webhook-timestamp`.
    #[must_use]
    pub fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes any length");
        mac.update(format!("{id}.{seconds}.").as_bytes());
        mac.update(body);
        format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn a_signature_is_that_of_the_reference_libraries() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let signed = secret.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        // The nearest violations: one second, one byte, another id.
        for (id, at, body) in [
            (
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_331,
                br#"{"test": 2432232314}"#,
            ),
            (
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                br#"{"test": 2432232315}"#,
            ),
            (
                "msg_p5jXN8AQM9LWM0D4loKWxJel",
                1_614_265_330,
                br#"{"test": 2432232314}"#,
            ),
        ] {
            assert_ne!(secret.sign(id, at, body), signed);
        }
    }

    #[test]
    fn what_is_no_secret_is_refused_and_none_is_shown() {
        let short = format!("whsec_{}", BASE64.encode(&[7; 23]));
        let long = format!("whsec_{}", BASE64.encode(&[7; 65]));
        let bare = BASE64.encode(&[7; 32]);
        for wrong in ["", "whsec_", "whsec_*", &short, &long, &bare] {
            assert_eq!(Secret::parse(wrong).err(), Some(SecretError::Form));
        }
        let good = format!(
            "whsec_{}",
            BASE64.encode(b"a canary of thirty-two bytes !!!")
        );
        let shown = format!("{:?}", Secret::parse(&good).unwrap());
        assert!(!shown.contains("canary") && !shown.contains(&good[8..]));
    }
}
