//! The vectors of the standards themselves.

use argon2::{Algorithm, Argon2, AssociatedData, ParamsBuilder, Version};
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use vault_core::audit::canonical::canonical;
use x25519_dalek::{PublicKey, StaticSecret};

use super::{run, unhex};

/// RFC 9106 §5.3: memory 32 KiB, three passes, four lanes; with a secret and associated data, which
/// the vault has none of, so that this runs the crate.
#[test]
fn argon2id_is_that_of_rfc_9106() {
    let tag = "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659";
    run("RFC 9106 Argon2id", &[&[tag]], |parts| {
        let params = ParamsBuilder::new()
            .m_cost(32)
            .t_cost(3)
            .p_cost(4)
            .data(AssociatedData::new(&[4; 12]).unwrap())
            .output_len(32)
            .build()
            .unwrap();
        let argon2 =
            Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params).unwrap();
        let mut out = [0; 32];
        argon2
            .hash_password_into(&[1; 32], &[2; 16], &mut out)
            .unwrap();
        out[..] == parts[0]
    });
}

/// RFC 5869, appendix A.1 to A.3: key material, salt, info, output.
#[test]
fn hkdf_is_that_of_rfc_5869() {
    let range = |from: u8, to: u8| -> String {
        let bytes: Vec<u8> = (from..=to).collect();
        data_encoding::HEXLOWER.encode(&bytes)
    };
    let ikm = "0b".repeat(22);
    let (long_ikm, long_salt, long_info) = (range(0, 0x4f), range(0x60, 0xaf), range(0xb0, 0xff));
    let vectors: [&[&str]; 3] = [
        &[
            &ikm,
            "000102030405060708090a0b0c",
            "f0f1f2f3f4f5f6f7f8f9",
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ],
        &[
            &long_ikm,
            &long_salt,
            &long_info,
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ],
        &[
            &ikm,
            "",
            "",
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ],
    ];
    run("RFC 5869 HKDF-SHA-256", &vectors, |parts| {
        let [ikm, salt, info, expected] = parts else {
            panic!("four parts")
        };
        let mut out = vec![0; expected.len()];
        let (_, expand) = hkdf::Hkdf::<Sha256>::extract(Some(salt), ikm);
        expand.expand(info, &mut out).unwrap();
        out == *expected
    });
}

/// RFC 4231 §4: key, text, tag; the fifth is cut to 128 bits.
#[test]
fn hmac_is_that_of_rfc_4231() {
    let hex = |text: &str| data_encoding::HEXLOWER.encode(text.as_bytes());
    let texts = [
        hex("Hi There"),
        hex("what do ya want for nothing?"),
        hex("Test With Truncation"),
        hex("Test Using Larger Than Block-Size Key - Hash Key First"),
        hex(
            "This is a test using a larger than block-size key and a larger than block-size data. \
             The key needs to be hashed before being used by the HMAC algorithm.",
        ),
    ];
    let (long, key25) = (
        "aa".repeat(131),
        "0102030405060708090a0b0c0d0e0f10111213141516171819",
    );
    let vectors: [&[&str]; 7] = [
        &[
            &"0b".repeat(20),
            &texts[0],
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ],
        &[
            &hex("Jefe"),
            &texts[1],
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ],
        &[
            &"aa".repeat(20),
            &"dd".repeat(50),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ],
        &[
            key25,
            &"cd".repeat(50),
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        ],
        &[
            &"0c".repeat(20),
            &texts[2],
            "a3b6167473100ee06e0c796c2955552b",
        ],
        &[
            &long,
            &texts[3],
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ],
        &[
            &long,
            &texts[4],
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        ],
    ];
    run("RFC 4231 HMAC-SHA-256", &vectors, |parts| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&parts[0]).unwrap();
        mac.update(&parts[1]);
        mac.finalize().into_bytes().starts_with(&parts[2])
    });
}

/// RFC 8032 §7.1: secret key, public key, text, signature.
#[test]
fn ed25519_is_that_of_rfc_8032() {
    let vectors: [&[&str]; 4] = [
        &[
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ],
        &[
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ],
        &[
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ],
        &[
            "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
            "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
        ],
    ];
    run("RFC 8032 Ed25519", &vectors, |parts| {
        let [secret, public, text, signature] = parts else {
            panic!("four parts")
        };
        let key = SigningKey::from_bytes(secret[..].try_into().unwrap());
        let read = ed25519_dalek::Signature::from_slice(signature);
        key.verifying_key().as_bytes()[..] == *public
            && key.sign(text).to_bytes()[..] == *signature
            && read.is_ok_and(|read| key.verifying_key().verify_strict(text, &read).is_ok())
    });
}

fn shared(secret: &[u8], public: &[u8]) -> [u8; 32] {
    let secret = StaticSecret::from(<[u8; 32]>::try_from(secret).unwrap());
    let public = PublicKey::from(<[u8; 32]>::try_from(public).unwrap());
    secret.diffie_hellman(&public).to_bytes()
}

/// RFC 7748 §5.2 and §6.1: scalar, coordinate, product; then a thousand times over.
#[test]
fn x25519_is_that_of_rfc_7748() {
    let (alice, bob) = (
        "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ac177fba51db92c2a",
        "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
    );
    let base = format!("09{}", "00".repeat(31));
    let (alices, bobs) = (
        "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
        "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
    );
    let both = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
    let vectors: [&[&str]; 6] = [
        &[
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ],
        &[
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ],
        &[alice, &base, alices],
        &[bob, &base, bobs],
        &[alice, bobs, both],
        &[bob, alices, both],
    ];
    run("RFC 7748 X25519", &vectors, |parts| {
        shared(&parts[0], &parts[1])[..] == parts[2]
    });
    let (mut scalar, mut coordinate) = (unhex(&base), unhex(&base));
    for round in 1..=1000 {
        let product = shared(&scalar, &coordinate).to_vec();
        (coordinate, scalar) = (scalar, product);
        let expected = match round {
            1 => "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079",
            1000 => "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51",
            _ => continue,
        };
        assert_eq!(scalar, unhex(expected), "round {round}");
    }
}

/// draft-irtf-cfrg-xchacha-03 §2.2.1: the half of XChaCha20 that the vault computes itself. The whole
/// cipher's vector (A.3.1) is the first of Wycheproof's.
#[test]
fn hchacha20_is_that_of_the_draft() {
    let key: Vec<u8> = (0..32).collect();
    let key = data_encoding::HEXLOWER.encode(&key);
    let vector: &[&str] = &[
        &key,
        "000000090000004a0000000031415927",
        "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc",
    ];
    run("draft-irtf-cfrg-xchacha HChaCha20", &[vector], |parts| {
        let key = <[u8; 32]>::try_from(&*parts[0]).unwrap();
        let nonce = <[u8; 16]>::try_from(&*parts[1]).unwrap();
        chacha20::hchacha::<chacha20::R20>(&key.into(), &nonce.into())[..] == parts[2]
    });
}

/// RFC 8785 and the examples that come with it, as far as documents of the vault hold what they do:
/// no fractions, so that 56.0 stands here as 56 and is refused as it was.
#[test]
fn canonical_json_is_that_of_rfc_8785() {
    let vectors: [(&str, &str); 6] = [
        (
            r#"[56, {"d": true, "10": null, "1": []}]"#,
            r#"[56,{"1":[],"10":null,"d":true}]"#,
        ),
        (
            r#"{"peach": "This sorting order", "péché": "is wrong according to French", "pêche": "but canonicalization MUST", "sin": "ignore locale"}"#,
            r#"{"peach":"This sorting order","péché":"is wrong according to French","pêche":"but canonicalization MUST","sin":"ignore locale"}"#,
        ),
        (
            r#"{"1": {"f": {"f": "hi", "F": 5}, "\n": 56}, "10": {}, "": "empty", "a": {}, "111": [{"e": "yes", "E": "no"}], "A": {}}"#,
            r#"{"":"empty","1":{"\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{"E":"no","e":"yes"}],"A":{},"a":{}}"#,
        ),
        (
            "{\"Unnormalized Unicode\": \"A\\u030a\"}",
            "{\"Unnormalized Unicode\":\"A\u{30a}\"}",
        ),
        (
            r#"{"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One", "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"}"#,
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}",
        ),
        (
            r#"{"string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}"#,
            r#"{"literals":[null,true,false],"string":"€$\u000f\nA'B\"\\\\\"/"}"#,
        ),
    ];
    for (text, expected) in vectors {
        let value: Value = serde_json::from_str(text).unwrap();
        let form = canonical(&value).unwrap();
        assert_eq!(String::from_utf8(form.clone()).unwrap(), expected);
        let mut flipped = expected.as_bytes().to_vec();
        *flipped.last_mut().unwrap() ^= 1;
        assert_ne!(form, flipped);
    }
    println!("RFC 8785: {} vectors", vectors.len());
    for refused in [json!(56.0), json!(333_333_333.333_333_3), json!([1e30])] {
        assert!(canonical(&refused).is_err(), "{refused}");
    }
}
