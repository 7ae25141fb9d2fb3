//! One entry of the log, its stored form and its canonical one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::hex;
use crate::id::{CallId, ReceiptId, SessionId, TokenId};
use crate::row::{self, RowError};

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Actor {
    /// Whoever has an unlock secret.
    Keyholder,
    /// An API key.
    Token(TokenId),
    /// The server by itself, as its configuration has it.
    Server,
    /// Whoever has a link of a person, and what is with it.
    Person,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, to the millisecond.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub time: Timestamp,
    /// Who.
    pub actor: Actor,
    /// In which role.
    pub role: String,
    /// What for, where values moved.
    pub purpose: Option<String>,
    /// What: `records.read`, `subjects.erase` and so on.
    pub action: Cow<'static, str>,
    /// Links a person's entries of one day; absent once the person is gone.
    pub subject: Option<[u8; 16]>,
    /// Numeric ids of collection and fields.
    pub fields: Vec<(u16, u16)>,
    /// `ok`, or the code of the refusal.
    pub outcome: Cow<'static, str>,
    /// The session that the API key had given the call to.
    pub session: Option<SessionId>,
    /// The call's id.
    pub request: CallId,
    /// An erasure's receipt and the hash of its body.
    pub receipt: Option<(ReceiptId, [u8; 32])>,
    /// Of a call over many people: how many records, and SHA-256 of their ids in order.
    pub records: Option<(u64, [u8; 32])>,
    /// The use of restricted or held data that the call claimed (Art. 18(2)), as the API names it. Stands
    /// before the others in the stored form, and is there only where there is one.
    #[serde(skip)]
    pub restricted_use: Option<Cow<'static, str>>,
}

/// Begins the stored form of an entry with a claim; others begin with the version of every row.
const CLAIMING: u8 = 2;
/// Longest name of a claim.
const CLAIM_BYTES_MAX: usize = 32;

impl Entry {
    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let row = row::encode(self);
        let Some(claim) = &self.restricted_use else {
            return row.to_vec();
        };
        let length = u8::try_from(claim.len()).expect("the name of a claim is short");
        [&[CLAIMING, length], claim.as_bytes(), &row[1..]].concat()
    }

    /// The entry with this stored form.
    ///
    /// # Errors
    ///
    /// [`RowError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let Some((&CLAIMING, rest)) = bytes.split_first() else {
            return row::decode(bytes);
        };
        let (&length, rest) = rest.split_first().ok_or(RowError)?;
        let (claim, rest) = rest.split_at_checked(length.into()).ok_or(RowError)?;
        let name = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'_';
        if !(1..=CLAIM_BYTES_MAX).contains(&claim.len()) || !claim.iter().all(name) {
            return Err(RowError);
        }
        let claim = String::from_utf8(claim.to_vec()).map_err(|_| RowError)?;
        let version = row::encode(&())[0];
        let entry: Self = row::decode(&[&[version], rest].concat())?;
        Ok(Self {
            restricted_use: Some(claim.into()),
            ..entry
        })
    }

    /// The entry in canonical form: RFC 8785, which for these members means sorted names.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let Self {
            time,
            actor,
            role,
            purpose,
            action,
            subject,
            fields,
            outcome,
            session,
            request,
            receipt,
            records,
            restricted_use,
        } = self;
        let mut members: BTreeMap<&str, Value> = BTreeMap::new();
        members.insert("action", json!(action));
        let actor = match actor {
            Actor::Keyholder => "keyholder".to_owned(),
            Actor::Person => "person".to_owned(),
            Actor::Server => "server".to_owned(),
            Actor::Token(token) => token.to_string(),
        };
        members.insert("actor", json!(actor));
        if !fields.is_empty() {
            members.insert("fields", json!(fields));
        }
        members.insert("outcome", json!(outcome));
        if let Some(purpose) = purpose {
            members.insert("purpose", json!(purpose));
        }
        if let Some((id, hash)) = receipt {
            members.insert("receipt", json!(id.to_string()));
            members.insert("receipt_sha256", json!(hex(hash)));
        }
        if let Some((count, digest)) = records {
            members.insert("records", json!(count));
            members.insert("records_sha256", json!(hex(digest)));
        }
        members.insert("request", json!(request.to_string()));
        if let Some(claim) = restricted_use {
            members.insert("restricted_use", json!(claim));
        }
        members.insert("role", json!(role));
        if let Some(session) = session {
            members.insert("session", json!(session.to_string()));
        }
        if let Some(subject) = subject {
            members.insert("subject", json!(hex(subject)));
        }
        members.insert("time", json!(format!("{time:.3}")));
        serde_json::to_vec(&members).expect("text and numbers have a JSON form")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canonical_form_follows_from_the_stored_one() {
        let entry = Entry {
            time: "2026-03-01T10:00:00.25Z".parse().unwrap(),
            actor: Actor::Token(TokenId::from_bytes([1; 16])),
            role: "bot".into(),
            purpose: Some("support".into()),
            action: "records.read".into(),
            subject: Some([2; 16]),
            fields: vec![(1, 3), (1, 4)],
            outcome: "ok".into(),
            session: None,
            request: CallId::from_bytes([3; 16]),
            receipt: Some((ReceiptId::from_bytes([4; 16]), [5; 32])),
            records: Some((70_000, [6; 32])),
            restricted_use: None,
        };
        let read = Entry::decode(&entry.encode()).unwrap();
        assert_eq!(read, entry);
        let canonical = String::from_utf8(read.canonical()).unwrap();
        assert_eq!(
            canonical,
            format!(
                "{{\"action\":\"records.read\",\"actor\":\"{}\",\"fields\":[[1,3],[1,4]],\
                 \"outcome\":\"ok\",\"purpose\":\"support\",\"receipt\":\"{}\",\
                 \"receipt_sha256\":\"{}\",\"records\":70000,\"records_sha256\":\"{}\",\
                 \"request\":\"{}\",\"role\":\"bot\",\
                 \"subject\":\"{}\",\"time\":\"2026-03-01T10:00:00.250Z\"}}",
                TokenId::from_bytes([1; 16]),
                ReceiptId::from_bytes([4; 16]),
                "05".repeat(32),
                "06".repeat(32),
                CallId::from_bytes([3; 16]),
                "02".repeat(16),
            )
        );
        let claiming = Entry {
            restricted_use: Some("legal_claims".into()),
            ..entry
        };
        let stored = claiming.encode();
        let read = Entry::decode(&stored).unwrap();
        assert_eq!(read, claiming);
        let canonical = String::from_utf8(read.canonical()).unwrap();
        assert!(canonical.contains(r#""restricted_use":"legal_claims","role""#));
        for (at, byte) in [(1, 0), (1, 200), (2, b'L'), (0, 3)] {
            let mut wrong = stored.clone();
            wrong[at] = byte;
            assert!(Entry::decode(&wrong).is_err(), "{at}");
        }
    }
}
