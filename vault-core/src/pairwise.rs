//! What a recipient calls a person by: the same name for a person every time, and no two recipients or
//! purposes have names that can be joined.
//!
//! A name is HMAC(the person's own secret, purpose ‖ recipient). The secret is made when the first name
//! is, lies among what was said about the person, and so goes with their keys: whoever then has a name,
//! the vault's files and its root key cannot find out whose it was. Knows nothing of who is told a name,
//! and cannot find a person by one.
//!
//! Source: pairwise pseudonymous identifiers, OpenID Connect Core 1.0 §8.1; GDPR Art. 4(5), 25(1).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::commit::{Txn, View};
use crate::crypto::{Secret, hmac};
use crate::events::{self, Topic};
use crate::id::PairwiseId;
use crate::person::Person;
use crate::refusal::Refusal;

/// How the secret is stored.
#[derive(Serialize, Deserialize)]
struct Made {
    #[serde(with = "numbers")]
    secret: Secret<32>,
    at: Timestamp,
}

/// An event is JSON, in which a secret has no form of its own: as a list of its bytes.
mod numbers {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::crypto::Secret;

    pub(super) fn serialize<S: Serializer>(secret: &Secret<32>, to: S) -> Result<S::Ok, S::Error> {
        secret.expose().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Secret<32>, D::Error> {
        let mut bytes = <[u8; 32]>::deserialize(from)?;
        Ok(Secret::take(&mut bytes))
    }
}

/// What a person's names are made with.
#[derive(Debug)]
pub(crate) struct Pairwise(Secret<32>);

impl Pairwise {
    /// The person's, if any name was ever made.
    pub(crate) fn of(view: &dyn View, person: &Person) -> Result<Option<Self>, Refusal> {
        let made: Option<Made> = events::last(view, person, Topic::Pairwise)?;
        Ok(made.map(|made| Self(made.secret)))
    }

    /// The person's, made if there is none yet.
    pub(crate) fn ensure(txn: &mut Txn<'_>, person: &mut Person) -> Result<Self, Refusal> {
        if let Some(had) = Self::of(txn, person)? {
            return Ok(had);
        }
        let (secret, at) = (Secret::generate(txn.entropy()), txn.now());
        let made = Made { secret, at };
        events::append(txn, person, Topic::Pairwise, &made)?;
        Ok(Self(made.secret))
    }

    /// The name that `recipient` has for the person, for the purpose of this number. The recipient's name
    /// in the policy counts: under another it is another recipient.
    pub(crate) fn name(&self, purpose: u16, recipient: &str) -> PairwiseId {
        let parts: [&[u8]; 3] = [
            b"vault/1 pairwise",
            &purpose.to_be_bytes(),
            recipient.as_bytes(),
        ];
        let mac = hmac(&self.0, &parts);
        PairwiseId::from_bytes(mac[..16].try_into().expect("sixteen of thirty-two"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn a_secret_comes_back_from_the_form_that_it_is_stored_in() {
        let secret = Secret::generate(&mut SeededEntropy::new(1));
        let made = Made {
            secret: secret.duplicate(),
            at: Timestamp::UNIX_EPOCH,
        };
        let stored = serde_json::to_vec(&made).expect("an event has a JSON form");
        let read: Made = serde_json::from_slice(&stored).expect("its own form");
        assert_eq!(read.secret, secret);
        assert!(
            serde_json::from_slice::<Made>(br#"{"secret": [1], "at": "1970-01-01T00:00:00Z"}"#)
                .is_err()
        );
    }

    #[test]
    fn a_name_is_the_same_each_time_and_another_for_each_purpose_recipient_and_person() {
        let mut entropy = SeededEntropy::new(1);
        let (one, other) = (
            Pairwise(Secret::generate(&mut entropy)),
            Pairwise(Secret::generate(&mut entropy)),
        );
        let name = one.name(1, "carrier");
        assert_eq!(name, one.name(1, "carrier"));
        assert_ne!(name, one.name(2, "carrier"));
        assert_ne!(name, one.name(1, "mailer"));
        assert_ne!(name, other.name(1, "carrier"));
    }
}
