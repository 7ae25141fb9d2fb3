//! Project Wycheproof: vectors for the mistakes that implementations make.

use ed25519_dalek::{Signature, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};

use super::{data, unhex};

fn bytes(test: &Value, name: &str) -> Vec<u8> {
    unhex(test[name].as_str().unwrap())
}

/// The vectors that ran; the first that came out otherwise. `holds` gets group and vector and says
/// whether the vault would take what the vector shows.
fn come_out(set: &Value, holds: &impl Fn(&Value, &Value) -> bool) -> Result<usize, String> {
    let mut ran = 0;
    for group in set["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            let valid = match test["result"].as_str().unwrap() {
                "valid" => true,
                "invalid" => false,
                // Of X25519 alone: points of low order, which we refuse, and odd encodings, which
                // RFC 7748 says to take.
                "acceptable" => !test["flags"]
                    .as_array()
                    .unwrap()
                    .contains(&"ZeroSharedSecret".into()),
                other => return Err(format!("an unknown result: {other}")),
            };
            if holds(group, test) != valid {
                return Err(format!("{}: {}", test["tcId"], test["comment"]));
            }
            ran += 1;
        }
    }
    Ok(ran)
}

/// Runs a set of the repository, all of it; `member` is flipped in the first vector for the control.
fn run(file: &str, member: &str, holds: impl Fn(&Value, &Value) -> bool) {
    let text = std::fs::read(data("wycheproof").join(file)).unwrap();
    let mut set: Value = serde_json::from_slice(&text).unwrap();
    let ran = come_out(&set, &holds).unwrap();
    assert_eq!(Some(ran as u64), set["numberOfTests"].as_u64());
    println!(
        "Wycheproof {}: {ran} vectors",
        set["algorithm"].as_str().unwrap()
    );
    let valid = |test: &Value| test["result"] == "valid";
    let groups = set["testGroups"].as_array_mut().unwrap();
    let tests = groups
        .iter_mut()
        .flat_map(|group| group["tests"].as_array_mut().unwrap());
    let first = tests.into_iter().find(|test| valid(test)).unwrap();
    let mut flipped = bytes(first, member);
    flipped[0] ^= 1;
    first[member] = data_encoding::HEXLOWER.encode(&flipped).into();
    assert!(come_out(&set, &holds).is_err(), "{file} with a bit flipped");
}

#[test]
fn hkdf_comes_out_as_wycheproof_says() {
    run("hkdf_sha256_test.json", "okm", |_, test| {
        let (_, expand) =
            hkdf::Hkdf::<Sha256>::extract(Some(&bytes(test, "salt")), &bytes(test, "ikm"));
        let mut out = vec![0; usize::try_from(test["size"].as_u64().unwrap()).unwrap()];
        let made = expand.expand(&bytes(test, "info"), &mut out).is_ok();
        made && out == bytes(test, "okm")
    });
}

#[test]
fn hmac_comes_out_as_wycheproof_says() {
    run("hmac_sha256_test.json", "tag", |group, test| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&bytes(test, "key")).unwrap();
        mac.update(&bytes(test, "msg"));
        let length = usize::try_from(group["tagSize"].as_u64().unwrap()).unwrap() / 8;
        mac.finalize().into_bytes()[..length] == bytes(test, "tag")
    });
}

/// Strictly, as checkpoints are verified: no points of small order.
#[test]
fn ed25519_comes_out_as_wycheproof_says() {
    run("ed25519_test.json", "sig", |group, test| {
        let key: [u8; 32] = bytes(&group["publicKey"], "pk").try_into().unwrap();
        let key = VerifyingKey::from_bytes(&key);
        let signature = Signature::from_slice(&bytes(test, "sig"));
        let (Ok(key), Ok(signature)) = (key, signature) else {
            return false;
        };
        key.verify_strict(&bytes(test, "msg"), &signature).is_ok()
    });
}

/// As key slots do it: a product that says nothing of the secret is refused.
#[test]
fn x25519_comes_out_as_wycheproof_says() {
    run("x25519_test.json", "shared", |_, test| {
        let part = |name| <[u8; 32]>::try_from(bytes(test, name)).unwrap();
        let secret = StaticSecret::from(part("private"));
        let shared = secret.diffie_hellman(&PublicKey::from(part("public")));
        shared.was_contributory() && *shared.as_bytes() == part("shared")
    });
}
