//! The read journal, as docs/format.md "Read journal" describes it.

use super::cipher::{Id, Place, number_of, open, sha256};
use super::form::Ring;

/// Every frame of the file: its sequence number and its entry, the last without a byte left over.
/// `None` if a frame does not open.
pub fn frames(file: &[u8], vault: &Id, audit: &Ring) -> Option<Vec<(u64, Vec<u8>)>> {
    assert_eq!(&file[..9], b"vlt-jrnl\x01");
    let (mut previous, mut rest) = (sha256(&file[..25]), &file[25..]);
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let (frame, after) = rest.split_at(12 + length);
        let place = Place {
            record: &previous,
            ..Place::row(0x82, &frame[4..12])
        };
        let number = number_of(&frame[12..]);
        let (_, key) = audit.iter().find(|(of, _)| *of == number)?;
        let entry = open(key, vault, &place, &frame[12..])?;
        let sequence = u64::from_be_bytes(frame[4..12].try_into().unwrap());
        frames.push((sequence, entry));
        (previous, rest) = (sha256(frame), after);
    }
    Some(frames)
}
