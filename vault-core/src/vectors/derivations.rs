//! Keys and marks that derive from others.

use serde_json::Value;

use super::place::secret;
use super::{Set, VAULT, bent, valid, with};
use crate::audit::subject_tag;
use crate::clock::hour_of;
use crate::crypto::{argon2id, hkdf, hmac};
use crate::entropy::SeededEntropy;
use crate::id::RowHandle;
use crate::keys::system::{Placement, Roots, suppression_key};
use crate::suppression;

pub(super) const DERIVATIONS: Set = Set {
    name: "derivations",
    exact: true,
    make: make_derivations,
    open: |vector, material| derive(vector["form"].as_str()?, material),
};

/// Keys and marks from 64 bytes of material, in the ways that docs/format.md lists.
fn derive(form: &str, material: &[u8]) -> Option<Vec<u8>> {
    let (one, two) = (secret(&material[..32]), secret(&material[32..]));
    let roots = Roots::derive(VAULT, 9, &one, &two);
    let place = || {
        Placement::generate(
            3,
            0,
            &mut SeededEntropy::new(u64::from(material[0]) << 8 | u64::from(material[63])),
        )
    };
    let handle = RowHandle::from_bytes(material[48..].try_into().expect("sixteen"));
    let hours = |hour: u32| jiff::Timestamp::from_second(i64::from(hour) * 3600).expect("in range");
    debug_assert_eq!(hour_of(hours(498_780)), 498_780);
    let salt: [u8; 16] = material[..16].try_into().expect("sixteen");
    Some(match form {
        "people root" => roots.people.key.expose().to_vec(),
        "address on the suppression list" => {
            suppression::hash(&suppression_key(&one), b"email", &material[32..]).to_vec()
        }
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
        "address on the suppression list",
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
