//! Cursors: where a page of a list ended, sealed to list, caller and an hour.
//!
//! Sealed under a key of this process, so that none outlives a restart or a lock.

use data_encoding::BASE64URL_NOPAD;

use super::guard::Memory;
use super::input;
use crate::clock::hour_of;
use crate::commit::View;
use crate::crypto::{Location, seal, unseal};
use crate::refusal::Refusal;

/// The number that stands for a table in the associated data of a cursor.
const CURSOR: u8 = 0x83;

/// A cursor that goes on after `last`, which is of one length a list.
pub(super) fn sealed(memory: &Memory, view: &dyn View, query: &[u8; 32], last: &[u8]) -> String {
    let mut text = last.to_vec();
    text.extend_from_slice(&hour_of(view.now()).to_be_bytes());
    let location = Location::row(view.vault(), CURSOR, query);
    let sealed = seal(&memory.process_key, 0, &location, &text).expect("a cursor is short");
    BASE64URL_NOPAD.encode(&sealed)
}

/// Where the cursor goes on.
pub(super) fn open<const N: usize>(
    memory: &Memory,
    view: &dyn View,
    query: &[u8; 32],
    cursor: &str,
) -> Result<[u8; N], Refusal> {
    let location = Location::row(view.vault(), CURSOR, query);
    let opened = BASE64URL_NOPAD
        .decode(cursor.as_bytes())
        .ok()
        .and_then(|sealed| unseal(&memory.process_key, &location, &sealed).ok());
    let valid = opened.and_then(|text| {
        let (last, hour) = text.split_at_checked(N)?;
        let hour = u32::from_be_bytes(hour.try_into().ok()?);
        let young = hour_of(view.now()).saturating_sub(hour) <= 1;
        young.then(|| last.try_into().ok()).flatten()
    });
    valid.ok_or_else(|| {
        Refusal::Invalid(vec![input::error(
            "/cursor",
            "cursor",
            "this cursor is over or belongs to another list; begin again without one",
        )])
    })
}
