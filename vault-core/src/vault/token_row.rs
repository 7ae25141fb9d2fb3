//! API keys as rows: 256 random bits, found by their hash; what each is for, when it was last used.
//!
//! Knows nothing of who may make or end one. When a key was used is kept in memory and written once
//! an hour and key, so that a read stays a read.

use std::collections::HashMap;

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::commit::{Txn, View};
use crate::crypto::{Location, Secret, sha256};
use crate::id::TokenId;
use crate::limits::API_KEYS_MAX;
use crate::person::{DAMAGED, instant};
use crate::refusal::Refusal;
use crate::row;
use crate::store::{Direction, KeyRange, ReadTx, Table, WriteTx};

/// An API key, without its secret.
#[derive(Clone, Debug)]
pub struct TokenView {
    /// Its public name.
    pub token: TokenId,
    /// What the operator calls it.
    pub label: String,
    /// Its role.
    pub role: String,
    /// The channels whose people it reaches; everybody, where empty.
    pub channels: Vec<String>,
    /// Since when.
    pub created_at: Timestamp,
    /// The key that made it; `None` for an unlock secret.
    pub created_by: Option<TokenId>,
    /// Until when, if it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// The key that it took the place of.
    pub replaces: Option<TokenId>,
    /// The key that took its place.
    pub replaced_by: Option<TokenId>,
    /// The hour in which it was last used.
    pub last_used_at: Option<Timestamp>,
    /// Whole days since then; since it was made, if it never was.
    pub unused_days: u32,
    /// What it comes to now.
    pub state: TokenState,
}

/// What an API key comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It works.
    Active,
    /// It works until its end; another has taken its place.
    Ending,
    /// Its end has come.
    Expired,
    /// It was revoked.
    Revoked,
}

impl TokenState {
    /// Its name, as in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Ending => "ending",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenRow {
    pub(crate) token: TokenId,
    pub(crate) role: String,
    pub(crate) created_at: i64,
    pub(crate) created_by: Option<TokenId>,
    pub(crate) label: String,
    pub(crate) channels: Vec<String>,
    pub(crate) expires_at: Option<i64>,
    pub(crate) revoked_at: Option<i64>,
    pub(crate) replaces: Option<TokenId>,
    /// Hours since 1970.
    pub(crate) used: Option<u32>,
}

impl TokenRow {
    pub(super) fn valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| end > now.as_millisecond())
    }

    /// When it stopped working, if it has.
    fn ended(&self, now: Timestamp) -> Option<i64> {
        let over = self.expires_at.filter(|end| *end <= now.as_millisecond());
        self.revoked_at.into_iter().chain(over).min()
    }

    /// The row as callers see it. `replaced_by` stands in another row, `used` perhaps in memory.
    pub(super) fn view(
        self,
        now: Timestamp,
        replaced_by: Option<TokenId>,
        used: Option<u32>,
    ) -> TokenView {
        let state = match (self.revoked_at, self.valid(now), replaced_by) {
            (Some(_), _, _) => TokenState::Revoked,
            (None, false, _) => TokenState::Expired,
            (None, true, Some(_)) => TokenState::Ending,
            (None, true, None) => TokenState::Active,
        };
        let used = self.used.max(used).map(|hour| i64::from(hour) * HOUR);
        let unused = now.as_millisecond() - used.unwrap_or(self.created_at);
        TokenView {
            token: self.token,
            label: self.label,
            role: self.role,
            channels: self.channels,
            created_at: instant(self.created_at),
            created_by: self.created_by,
            expires_at: self.expires_at.map(instant),
            revoked_at: self.revoked_at.map(instant),
            replaces: self.replaces,
            replaced_by,
            last_used_at: used.map(instant),
            unused_days: u32::try_from(unused / (24 * HOUR)).unwrap_or(0),
            state,
        }
    }

    pub(super) fn store(&self, txn: &mut Txn<'_>, hash: &[u8; 32]) -> Result<(), Refusal> {
        let location = Location::row(txn.vault(), Table::ApiKeys.number(), hash);
        let sealed = txn
            .system()
            .system
            .seal(&location, &row::encode(self))
            .map_err(|_| DAMAGED)?;
        Ok(txn.put(Table::ApiKeys, hash, &sealed)?)
    }
}

const HOUR: i64 = 3_600_000;

fn decode(view: &dyn View, hash: &[u8], sealed: &[u8]) -> Result<TokenRow, Refusal> {
    let location = Location::row(view.vault(), Table::ApiKeys.number(), hash);
    let bytes = view
        .system()
        .system
        .unseal(&location, sealed)
        .map_err(|_| DAMAGED)?;
    row::decode(&bytes).map_err(|_| DAMAGED)
}

/// The row of the key with this hash, whether it works or not.
pub(super) fn load(view: &dyn View, hash: &[u8; 32]) -> Result<Option<TokenRow>, Refusal> {
    let sealed = view.tx().get(Table::ApiKeys, hash)?;
    sealed.map(|sealed| decode(view, hash, &sealed)).transpose()
}

/// Every key, by its hash.
pub(super) fn all(view: &dyn View) -> Result<Vec<([u8; 32], TokenRow)>, Refusal> {
    let range = KeyRange::all();
    let rows = view
        .tx()
        .range(Table::ApiKeys, &range, Direction::Ascending, API_KEYS_MAX)?;
    rows.into_iter()
        .map(|(hash, sealed)| {
            let row = decode(view, &hash, &sealed)?;
            Ok((hash.try_into().map_err(|_| DAMAGED)?, row))
        })
        .collect()
}

/// Stores a new key under a secret that is in the answer and nowhere else.
pub(super) fn add(txn: &mut Txn<'_>, row: &TokenRow) -> Result<String, Refusal> {
    let range = KeyRange::all();
    let taken = txn.range(Table::ApiKeys, &range, Direction::Ascending, API_KEYS_MAX)?;
    if taken.len() >= API_KEYS_MAX {
        drop(taken);
        let gone = longest_ended(&all(txn)?, txn.now());
        let gone = gone.ok_or_else(|| {
            Refusal::TooLarge(format!("a vault has at most {API_KEYS_MAX} API keys"))
        })?;
        txn.delete(Table::ApiKeys, &gone)?;
    }
    let secret = Secret::<32>::generate(txn.entropy());
    row.store(txn, &sha256(&[secret.expose()]))?;
    Ok(format!("vk_{}", BASE64URL_NOPAD.encode(secret.expose())))
}

/// The key that has been over for longest: where there is no room, it gives its place.
fn longest_ended(rows: &[([u8; 32], TokenRow)], now: Timestamp) -> Option<[u8; 32]> {
    let ended = rows
        .iter()
        .filter_map(|(hash, row)| Some((row.ended(now)?, *hash)));
    ended.min().map(|(_, hash)| hash)
}

/// In which hour each key was last used, as far as this process knows; keys by their hashes.
#[derive(Default)]
pub(super) struct Uses(Mutex<HashMap<[u8; 32], Use>>);

#[derive(Clone, Copy)]
struct Use {
    hour: u32,
    stored: bool,
}

impl Uses {
    /// Notes that a key that works was shown. Bounded by the number of keys.
    pub(super) fn note(&self, hash: &[u8; 32], hour: u32) {
        let mut uses = self.0.lock();
        match uses.get_mut(hash) {
            Some(known) if known.hour >= hour => {}
            Some(known) => {
                *known = Use {
                    hour,
                    stored: false,
                }
            }
            None => {
                let stored = false;
                uses.insert(*hash, Use { hour, stored });
            }
        }
    }

    pub(super) fn hour(&self, hash: &[u8; 32]) -> Option<u32> {
        self.0.lock().get(hash).map(|known| known.hour)
    }

    /// What is not in the store yet.
    pub(super) fn unstored(&self) -> Vec<([u8; 32], u32)> {
        let uses = self.0.lock();
        let waiting = uses.iter().filter(|(_, known)| !known.stored);
        waiting.map(|(hash, known)| (*hash, known.hour)).collect()
    }

    /// These hours are in the store; a later one that was noted meanwhile is not.
    pub(super) fn stored(&self, written: &[([u8; 32], u32)]) {
        let mut uses = self.0.lock();
        for (hash, hour) in written {
            if let Some(known) = uses.get_mut(hash) {
                known.stored = known.hour == *hour;
            }
        }
    }
}

/// Writes hours of use into the rows of keys that are still there.
pub(super) fn store_uses(txn: &mut Txn<'_>, uses: &[([u8; 32], u32)]) -> Result<(), Refusal> {
    for (hash, hour) in uses {
        let Some(mut row) = load(txn, hash)? else {
            continue;
        };
        if row.used < Some(*hour) {
            row.used = Some(*hour);
            row.store(txn, hash)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(expires_at: Option<i64>, revoked_at: Option<i64>) -> TokenRow {
        TokenRow {
            token: TokenId::from_bytes([1; 16]),
            role: "bot".into(),
            created_at: 0,
            created_by: None,
            label: String::new(),
            channels: Vec::new(),
            expires_at,
            revoked_at,
            replaces: None,
            used: None,
        }
    }

    #[test]
    fn the_key_that_ended_first_gives_its_place_and_one_that_works_never_does() {
        let now = instant(1_000);
        let rows = [
            ([1; 32], row(None, None)),
            ([2; 32], row(Some(900), None)),
            ([3; 32], row(Some(900), Some(800))),
            ([4; 32], row(Some(1_001), None)),
            ([5; 32], row(None, Some(850))),
        ];
        assert_eq!(longest_ended(&rows, now), Some([3; 32]));
        assert_eq!(longest_ended(&rows[..1], now), None);
        assert_eq!(longest_ended(&rows[3..4], now), None);
    }

    #[test]
    fn an_hour_waits_to_be_written_once_and_a_later_one_again() {
        let uses = Uses::default();
        let key = [7; 32];
        uses.note(&key, 10);
        uses.note(&key, 10);
        let waiting = uses.unstored();
        assert_eq!(waiting, [(key, 10)]);
        uses.stored(&waiting);
        uses.note(&key, 10);
        assert!(uses.unstored().is_empty());
        uses.note(&key, 11);
        // Written from an older look: the later hour still waits.
        uses.stored(&waiting);
        assert_eq!(uses.unstored(), [(key, 11)]);
        uses.note(&key, 9);
        assert_eq!(uses.hour(&key), Some(11));
    }

    #[test]
    fn a_state_is_what_the_key_comes_to_and_days_count_from_the_last_use() {
        let day = 24 * HOUR;
        let now = instant(100 * day);
        let other = Some(TokenId::from_bytes([2; 16]));
        let state = |row: TokenRow, by| row.view(now, by, None).state;
        assert_eq!(state(row(None, None), None), TokenState::Active);
        assert_eq!(state(row(Some(101 * day), None), other), TokenState::Ending);
        assert_eq!(
            state(row(Some(100 * day), None), other),
            TokenState::Expired
        );
        assert_eq!(state(row(Some(1), Some(1)), other), TokenState::Revoked);
        assert_eq!(row(None, None).view(now, None, None).unused_days, 100);
        let used = row(None, None).view(now, None, Some(90 * 24));
        assert_eq!(used.unused_days, 10);
        assert_eq!(used.last_used_at, Some(instant(90 * day)));
    }
}
