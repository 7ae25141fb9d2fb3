//! Envelopes at their places, and what must not open there.

use serde_json::Value;

use super::place::{KEY, Place, row, secret};
use super::{Set, VAULT, bent, faulty, hex, unhex, valid, with};
use crate::crypto::{seal, seal_padded, unseal};
use crate::id::VaultId;

pub(super) const ENVELOPES: Set = Set {
    name: "envelopes",
    exact: false,
    make: make_envelopes,
    open: |vector, envelope| {
        let place = Place::read(vector);
        let key = secret(&unhex(vector, "key"));
        unseal(&key, &place.location(), envelope)
            .ok()
            .map(|text| text.to_vec())
    },
};

/// Where the value of a field lies: every part is there.
fn field() -> Place {
    Place {
        vault: VAULT,
        table: 4,
        row: vec![2; 16],
        compartment: 17,
        collection: 1,
        record: vec![3; 24],
        field: 2,
        revision: b"revision".to_vec(),
        schema: 5,
    }
}

fn make_envelopes() -> Vec<Value> {
    let key = secret(&KEY);
    let mut vectors = Vec::new();
    let mut good = |name: &str, place: &Place, number: u32, text: &[u8]| {
        let sealed = seal(&key, number, &place.location(), text).expect("short");
        let vector = with(valid(name, &sealed, text), "key", hex(&KEY));
        vectors.push(place.write(vector));
    };
    let node = Place {
        revision: 9u64.to_be_bytes().to_vec(),
        ..row(2, &[1, 0, 0, 0, 0])
    };
    let meta = Place {
        revision: 498_780u32.to_be_bytes().to_vec(),
        ..field()
    };
    good("a field's value", &field(), 7, br#""anna@example.test""#);
    good("nothing", &field(), 7, b"");
    good("a value of 32 bytes", &field(), 7, &[7; 32]);
    good("a value of 33 bytes", &field(), 7, &[7; 33]);
    good("a value of 256 bytes", &field(), 7, &[7; 256]);
    good(
        "a value of 257 bytes, in the first bucket of Padme",
        &field(),
        7,
        &[7; 257],
    );
    good(
        "a value that ends in the padding's mark",
        &field(),
        7,
        &[0x61, 0x80, 0, 0],
    );
    good(
        "a record's metadata",
        &Place { table: 5, ..meta },
        7,
        b"metadata",
    );
    good("a root node", &node, 0, b"node");
    good("a keyset", &row(3, &[2; 16]), 0, b"keyset");
    good("a key slot", &row(0x81, &[1; 30]), 0, &[9; 32]);
    good(
        "a frame of the read journal",
        &row(0x82, &[1; 8]),
        0,
        b"entry",
    );
    good("a cursor", &row(0x83, &[1; 32]), 0, &[1; 28]);
    good("a backup in the registry", &row(20, &[0x66; 16]), 0, b"row");
    good("the summary of the registry", &row(20, &[0]), 0, b"row");
    let chained = |table: u8| Place {
        record: vec![4; 32],
        ..row(table, &3_u64.to_be_bytes())
    };
    good("an entry of the erasure ledger", &chained(21), 0, b"entry");
    good("a head of the erasure ledger", &chained(0x84), 0, b"note");

    let text = b"a value";
    let sealed = seal(&key, 7, &field().location(), text).expect("short");
    let mut bad = |fault: &str, place: Place, bytes: &[u8]| {
        let vector = with(faulty(fault, bytes), "key", hex(&KEY));
        vectors.push(place.write(vector));
    };
    bad("version 2", field(), &[&[2][..], &sealed[1..]].concat());
    bad("another key number", field(), &bent(&sealed, 4));
    bad("another nonce", field(), &bent(&sealed, 28));
    bad("another ciphertext", field(), &bent(&sealed, 29));
    bad("another tag", field(), &bent(&sealed, sealed.len() - 1));
    bad("cut off", field(), &sealed[..sealed.len() - 1]);
    bad("a header alone", field(), &sealed[..29]);
    bad("empty", field(), &[]);
    bad("a byte more", field(), &[&sealed[..], &[0]].concat());
    let vault = VaultId::from_bytes([0x12; 16]);
    bad("in another vault", Place { vault, ..field() }, &sealed);
    bad(
        "in another table",
        Place {
            table: 5,
            ..field()
        },
        &sealed,
    );
    bad(
        "at another person",
        Place {
            row: vec![4; 16],
            ..field()
        },
        &sealed,
    );
    bad(
        "in another compartment",
        Place {
            compartment: 18,
            ..field()
        },
        &sealed,
    );
    bad(
        "in another collection",
        Place {
            collection: 2,
            ..field()
        },
        &sealed,
    );
    bad(
        "in another record",
        Place {
            record: vec![4; 24],
            ..field()
        },
        &sealed,
    );
    bad(
        "in another field",
        Place {
            field: 3,
            ..field()
        },
        &sealed,
    );
    let revision = b"revision"[..7].to_vec();
    bad(
        "at a shorter revision",
        Place {
            revision,
            ..field()
        },
        &sealed,
    );
    bad(
        "of another policy version",
        Place {
            schema: 6,
            ..field()
        },
        &sealed,
    );
    let entry = seal(&key, 0, &chained(21).location(), text).expect("short");
    bad(
        "an entry of the ledger behind another",
        Place {
            record: vec![5; 32],
            ..chained(21)
        },
        &entry,
    );
    bad("an entry of the ledger as a head", chained(0x84), &entry);
    let backup = seal(&key, 0, &row(20, &[0x66; 16]).location(), text).expect("short");
    bad("a backup as another", row(20, &[0x67; 16]), &backup);
    bad("a backup as the summary", row(20, &[0]), &backup);
    let padded = |text: &[u8]| seal_padded(&key, 7, &field().location(), text);
    let of = |text: &[u8], length: usize| {
        let mut padded = text.to_vec();
        padded.resize(length, 0);
        padded
    };
    bad(
        "padding without a mark",
        field(),
        &padded(&of(b"a value", 33)),
    );
    bad(
        "padding with another mark",
        field(),
        &padded(&of(b"a value\x81", 33)),
    );
    bad(
        "padding of another bucket",
        field(),
        &padded(&of(b"a value\x80", 65)),
    );
    bad(
        "padding that is too short",
        field(),
        &padded(&of(b"a value\x80", 32)),
    );
    bad(
        "padding with a byte behind the mark",
        field(),
        &padded(&{
            let mut text = of(b"a value\x80", 33);
            text[32] = 1;
            text
        }),
    );
    bad("no padding at all", field(), &padded(b""));
    vectors
}
