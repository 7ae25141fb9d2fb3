//! The cipher against the vectors of Project Wycheproof for XChaCha20-Poly1305: 246 that open, and 69
//! that must not. Source and licence: tests/data/vectors/README.md.

use serde_json::Value;

use super::aead::{NONCE_BYTES, TAG_BYTES, open, seal};

const SET: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/data/vectors/wycheproof/xchacha20_poly1305_test.json"
);

fn bytes(test: &Value, name: &str) -> Vec<u8> {
    let text = test[name].as_str().expect("a text");
    data_encoding::HEXLOWER
        .decode(text.as_bytes())
        .expect("hexadecimal")
}

/// Vectors that were run; the first that came out otherwise than it says.
fn run(set: &Value) -> Result<usize, String> {
    let mut ran = 0;
    for test in set["testGroups"]
        .as_array()
        .expect("groups")
        .iter()
        .flat_map(|group| group["tests"].as_array().expect("tests"))
    {
        let [key, nonce, aad, text, cipher, tag] =
            ["key", "iv", "aad", "msg", "ct", "tag"].map(|name| bytes(test, name));
        let key: [u8; 32] = key.try_into().expect("keys are of one length");
        // A nonce of another length cannot be given to our functions at all: that is their refusal.
        let holds = match <[u8; NONCE_BYTES]>::try_from(nonce) {
            Err(_) => false,
            Ok(nonce) => {
                let mut sealed = text.clone();
                seal(&key, &nonce, &aad, &mut sealed, 0);
                let mut opened = [&cipher[..], &tag].concat();
                let length = open(&key, &nonce, &aad, &mut opened);
                length.is_some_and(|length| opened[..length] == text)
                    && tag.len() == TAG_BYTES
                    && sealed == [&cipher[..], &tag].concat()
            }
        };
        if holds != (test["result"] == "valid") {
            return Err(format!("{}: {}", test["tcId"], test["comment"]));
        }
        ran += 1;
    }
    Ok(ran)
}

#[test]
fn the_cipher_opens_what_wycheproof_says_and_nothing_else() {
    let set = std::fs::read(SET).expect("the set is in the repository");
    let mut set: Value = serde_json::from_slice(&set).expect("JSON");
    let ran = run(&set).expect("every vector comes out as it says");
    #[expect(clippy::print_stdout, reason = "how many ran is part of the result")]
    {
        println!("Wycheproof XChaCha20-Poly1305: {ran} vectors");
    }
    assert_eq!(Some(ran as u64), set["numberOfTests"].as_u64());
    // A set with one bit flipped is noticed.
    let tag = &mut set["testGroups"][0]["tests"][0]["tag"];
    *tag = Value::from(tag.as_str().expect("a text").replacen('c', "d", 1));
    assert!(run(&set).is_err());
}
