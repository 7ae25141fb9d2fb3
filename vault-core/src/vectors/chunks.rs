//! Chunks of blobs: STREAM, which has no published vectors.

use serde_json::{Value, json};

use super::place::{KEY, Place, row, secret};
use super::{Set, bent, faulty, hex, unhex, valid, with};
use crate::crypto::{End, STREAM_NONCE_BYTES, Stream};

pub(super) const CHUNKS: Set = Set {
    name: "chunks",
    exact: true,
    make: make_chunks,
    open: |vector, chunk| {
        let position = u32::try_from(vector["position"].as_u64()?).ok()?;
        let end = match vector["last"].as_bool()? {
            true => End::Last,
            false => End::More,
        };
        let opened = stream(vector).open(position, end, chunk.to_vec());
        opened.ok().map(|text| text.to_vec())
    },
};

fn stream(vector: &Value) -> Stream {
    let nonce: [u8; STREAM_NONCE_BYTES] = unhex(vector, "nonce").try_into().expect("nineteen");
    let place = Place::read(vector);
    Stream::new(&secret(&unhex(vector, "key")), &nonce, &place.location())
}

fn make_chunks() -> Vec<Value> {
    // Handle and blob id.
    let place = Place {
        collection: 2,
        record: vec![3; 24],
        field: 4,
        ..row(14, &[5; 32])
    };
    let at = |place: &Place, position: u32, last: bool, vector: Value| {
        let vector = with(vector, "key", hex(&KEY));
        let vector = with(vector, "nonce", hex(&[6; STREAM_NONCE_BYTES]));
        let vector = with(with(vector, "position", position), "last", last);
        place.write(vector)
    };
    let seal = |position: u32, last: bool, text: &[u8]| {
        let end = if last { End::Last } else { End::More };
        stream(&at(&place, position, last, json!({}))).seal(position, end, text)
    };
    let good = |name: &str, position, last, text: &[u8]| {
        at(
            &place,
            position,
            last,
            valid(name, &seal(position, last, text), text),
        )
    };
    let sealed = seal(1, false, b"the second chunk");
    let bad = |fault: &str, place: &Place, position, last, bytes: &[u8]| {
        at(place, position, last, faulty(fault, bytes))
    };
    let record = Place {
        record: vec![4; 24],
        ..place.clone()
    };
    let field = Place {
        field: 5,
        ..place.clone()
    };
    let blob = Place {
        row: vec![7; 32],
        ..place.clone()
    };
    vec![
        good("the first of several", 0, false, b"the first chunk"),
        good("the second", 1, false, b"the second chunk"),
        good("the last", 2, true, b"\x80"),
        good("at the highest position", u32::MAX, true, b"end"),
        bad("at another position", &place, 2, false, &sealed),
        bad("as the last", &place, 1, true, &sealed),
        bad("in another record", &record, 1, false, &sealed),
        bad("in another field", &field, 1, false, &sealed),
        bad("of another blob", &blob, 1, false, &sealed),
        bad(
            "another tag",
            &place,
            1,
            false,
            &bent(&sealed, sealed.len() - 1),
        ),
        bad("cut off", &place, 1, false, &sealed[..sealed.len() - 1]),
        bad("shorter than a tag", &place, 1, false, &sealed[..15]),
        bad("empty", &place, 1, false, &[]),
    ]
}
