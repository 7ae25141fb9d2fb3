//! The vault's own derivations are the published ones over input that docs/format.md describes.

use argon2::{Algorithm, Argon2, Params, Version};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use vault_core::crypto::{Argon2Params, Secret, argon2id, hkdf, hmac, sha256};

fn prefixed(parts: &[&[u8]]) -> Vec<u8> {
    let part =
        |part: &&[u8]| [&u32::try_from(part.len()).unwrap().to_be_bytes()[..], part].concat();
    parts.iter().map(part).collect::<Vec<_>>().concat()
}

#[test]
fn hmac_and_hkdf_are_those_of_the_standards_over_lengths_and_parts() {
    let key = Secret::take(&mut [7; 32]);
    let lists: [&[&[u8]]; 5] = [
        &[],
        &[b""],
        &[b"day", &[0, 0, 80, 1]],
        &[b"one", b"", b"three"],
        &[&[0xaa; 300], b"x"],
    ];
    for parts in lists {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).unwrap();
        mac.update(&prefixed(parts));
        let expected: [u8; 32] = mac.finalize().into_bytes().into();
        assert_eq!(hmac(&key, parts), expected);
        assert_eq!(sha256(parts)[..], Sha256::digest(parts.concat())[..]);

        let (salt, label) = (b"salt", "vault/1 label");
        let (_, expand) = hkdf::Hkdf::<Sha256>::extract(Some(salt), &parts.concat());
        let info = prefixed(&[&[label.as_bytes()], parts].concat());
        let mut out = [0; 32];
        expand.expand(&info, &mut out).unwrap();
        assert_eq!(hkdf(parts, salt, label, parts).expose(), &out);
        // Without the lengths it is another key.
        expand
            .expand(&[label.as_bytes(), &parts.concat()].concat(), &mut out)
            .unwrap();
        assert_ne!(hkdf(parts, salt, label, parts).expose(), &out);
    }
}

#[test]
fn a_passphrase_is_stretched_by_argon2id_1_3_and_by_no_other() {
    let salt = [9; 16];
    let stretched = |algorithm, version| {
        let params = Params::new(19 << 10, 2, 1, Some(32)).unwrap();
        let mut out = [0; 32];
        Argon2::new(algorithm, version, params)
            .hash_password_into(b"correct horse battery", &salt, &mut out)
            .unwrap();
        out
    };
    let params = Argon2Params::new(19 << 10, 2, 1).unwrap();
    let ours = argon2id(b"correct horse battery", &salt, params).unwrap();
    assert_eq!(
        ours.expose(),
        &stretched(Algorithm::Argon2id, Version::V0x13)
    );
    assert_ne!(
        ours.expose(),
        &stretched(Algorithm::Argon2id, Version::V0x10)
    );
    assert_ne!(
        ours.expose(),
        &stretched(Algorithm::Argon2i, Version::V0x13)
    );
}
