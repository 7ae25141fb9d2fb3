//! Cursors: where a page of a list ended, sealed to list, caller and an hour.
//!
//! Sealed under a key of this process, so that none outlives a restart or a lock.

use data_encoding::BASE64URL_NOPAD;

use super::guard::Memory;
use super::input;
use crate::clock::hour_of;
use crate::commit::View;
use crate::crypto::{Location, Secret, seal, unseal};
use crate::id::VaultId;
use crate::refusal::Refusal;

/// The number that stands for a table in the associated data of a cursor.
const CURSOR: u8 = 0x83;
/// More than a cursor has: what is longer is not even decoded.
const CHARACTERS_MAX: usize = 256;

/// What a cursor is tied to.
pub(crate) struct Tie<'a> {
    pub(crate) key: &'a Secret<32>,
    pub(crate) vault: VaultId,
    /// SHA-256 over list and caller.
    pub(crate) query: &'a [u8; 32],
    /// The present, in hours since 1970.
    pub(crate) hour: u32,
}

impl Tie<'_> {
    /// A cursor that goes on after `last`, which is of one length a list.
    pub(crate) fn seal(&self, last: &[u8]) -> String {
        let mut text = last.to_vec();
        text.extend_from_slice(&self.hour.to_be_bytes());
        let location = Location::row(self.vault, CURSOR, self.query);
        let sealed = seal(self.key, 0, &location, &text).expect("a cursor is short");
        BASE64URL_NOPAD.encode(&sealed)
    }

    /// Where a cursor goes on, unless it is another's or over.
    pub(crate) fn open<const N: usize>(&self, cursor: &str) -> Option<[u8; N]> {
        if cursor.len() > CHARACTERS_MAX {
            return None;
        }
        let sealed = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
        let location = Location::row(self.vault, CURSOR, self.query);
        let text = unseal(self.key, &location, &sealed).ok()?;
        let (last, hour) = text.split_at_checked(N)?;
        let hour = u32::from_be_bytes(hour.try_into().ok()?);
        let young = self.hour.saturating_sub(hour) <= 1;
        young.then(|| last.try_into().ok()).flatten()
    }
}

fn tie<'a>(memory: &'a Memory, view: &dyn View, query: &'a [u8; 32]) -> Tie<'a> {
    Tie {
        key: &memory.process_key,
        vault: view.vault(),
        query,
        hour: hour_of(view.now()),
    }
}

/// A cursor that goes on after `last`, which is of one length a list.
pub(super) fn sealed(memory: &Memory, view: &dyn View, query: &[u8; 32], last: &[u8]) -> String {
    tie(memory, view, query).seal(last)
}

/// Where the cursor goes on.
pub(super) fn open<const N: usize>(
    memory: &Memory,
    view: &dyn View,
    query: &[u8; 32],
    cursor: &str,
) -> Result<[u8; N], Refusal> {
    let valid = tie(memory, view, query).open(cursor);
    valid.ok_or_else(|| {
        Refusal::Invalid(vec![input::error(
            "/cursor",
            "cursor",
            "this cursor is over or belongs to another list; begin again without one",
        )])
    })
}
