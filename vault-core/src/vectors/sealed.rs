//! Envelopes and chunks of blobs at their places, and keys that derive from others.

use serde_json::{Value, json};

use super::{Set, VAULT, bent, faulty, hex, unhex, valid, with};
use crate::audit::subject_tag;
use crate::clock::hour_of;
use crate::crypto::{
    End, Location, STREAM_NONCE_BYTES, Secret, Stream, argon2id, hkdf, hmac, seal, seal_padded,
    unseal,
};
use crate::entropy::SeededEntropy;
use crate::id::{RowHandle, VaultId};
use crate::keys::system::{Placement, Roots};

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

pub(super) const DERIVATIONS: Set = Set {
    name: "derivations",
    exact: true,
    make: make_derivations,
    open: |vector, material| derive(vector["form"].as_str()?, material),
};

fn secret(bytes: &[u8]) -> Secret<32> {
    Secret::from_slice(bytes).expect("thirty-two bytes")
}

/// A location that owns its parts.
#[derive(Clone)]
struct Place {
    vault: VaultId,
    table: u8,
    row: Vec<u8>,
    compartment: u16,
    collection: u16,
    record: Vec<u8>,
    field: u16,
    revision: Vec<u8>,
    schema: u32,
}

impl Place {
    fn read(vector: &Value) -> Self {
        let number = |name: &str| u16::try_from(vector[name].as_u64().expect("a number"));
        Self {
            vault: VaultId::from_bytes(unhex(vector, "vault").try_into().expect("sixteen")),
            table: u8::try_from(vector["table"].as_u64().expect("a number")).expect("a byte"),
            row: unhex(vector, "row"),
            compartment: number("compartment").expect("two bytes"),
            collection: number("collection").expect("two bytes"),
            record: unhex(vector, "record"),
            field: number("field").expect("two bytes"),
            revision: unhex(vector, "revision"),
            schema: u32::try_from(vector["policy"].as_u64().expect("a number")).expect("four"),
        }
    }

    fn location(&self) -> Location<'_> {
        Location {
            vault: self.vault,
            table: self.table,
            row: &self.row,
            compartment: self.compartment,
            collection: self.collection,
            record: &self.record,
            field: self.field,
            revision: &self.revision,
            schema: self.schema,
        }
    }

    fn write(&self, vector: Value) -> Value {
        let parts = [
            ("vault", json!(hex(self.vault.as_bytes()))),
            ("table", json!(self.table)),
            ("row", json!(hex(&self.row))),
            ("compartment", json!(self.compartment)),
            ("collection", json!(self.collection)),
            ("record", json!(hex(&self.record))),
            ("field", json!(self.field)),
            ("revision", json!(hex(&self.revision))),
            ("policy", json!(self.schema)),
        ];
        parts
            .into_iter()
            .fold(vector, |vector, (name, value)| with(vector, name, value))
    }
}

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

/// Where a row lies that belongs to no record.
fn row(table: u8, row: &[u8]) -> Place {
    let of = Location::row(VAULT, table, row);
    Place {
        vault: of.vault,
        table,
        row: row.to_vec(),
        compartment: 0,
        collection: 0,
        record: Vec::new(),
        field: 0,
        revision: Vec::new(),
        schema: 0,
    }
}

const KEY: [u8; 32] = [0x22; 32];

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

/// Keys and marks from 64 bytes of material, in the ways that docs/format.md lists.
fn derive(form: &str, material: &[u8]) -> Option<Vec<u8>> {
    let (one, two) = (secret(&material[..32]), secret(&material[32..]));
    let roots = Roots::derive(VAULT, 9, &one, &two);
    let place = || {
        Placement::generate(
            3,
            &mut SeededEntropy::new(u64::from(material[0]) << 8 | u64::from(material[63])),
        )
    };
    let handle = RowHandle::from_bytes(material[48..].try_into().expect("sixteen"));
    let hours = |hour: u32| jiff::Timestamp::from_second(i64::from(hour) * 3600).expect("in range");
    debug_assert_eq!(hour_of(hours(498_780)), 498_780);
    let salt: [u8; 16] = material[..16].try_into().expect("sixteen");
    Some(match form {
        "people root" => roots.people.key.expose().to_vec(),
        "index root, generation 3" => roots.index(3).key.expose().to_vec(),
        "subject tag" => subject_tag(
            &secret(&bent(&material[..32], 0)),
            hours(498_780 + u32::from(material[63]) * 24),
        )
        .to_vec(),
        "tag in the index map" => place().tag(one.expose(), &handle).to_vec(),
        "hkdf" => hkdf(
            &[one.expose(), two.expose()],
            &salt,
            "label",
            &[&material[62..]],
        )
        .expose()
        .to_vec(),
        "hmac" => hmac(&one, &[b"part", &material[32..]]).to_vec(),
        "passphrase, stretched" => {
            let params = crate::crypto::Argon2Params::new(19 << 10, 2, 1)?;
            argon2id(&material[16..], &salt, params)?.expose().to_vec()
        }
        _ => return None,
    })
}

fn make_derivations() -> Vec<Value> {
    let material: Vec<u8> = (0..64).collect();
    let forms = [
        "people root",
        "index root, generation 3",
        "subject tag",
        "tag in the index map",
        "hkdf",
        "hmac",
        "passphrase, stretched",
    ];
    let made = forms.map(|form| {
        let gives = derive(form, &material).expect("a known form");
        with(
            valid("64 bytes of material", &material, &gives),
            "form",
            form,
        )
    });
    made.to_vec()
}
