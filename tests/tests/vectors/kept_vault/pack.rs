//! A vault's files as one text: what is noise as its seed, what is zero not at all.

use std::path::Path;

use data_encoding::BASE64;
use serde_json::{Map, Value, json};
use vault_core::entropy::{Entropy, SeededEntropy};

const FILES: [&str; 4] = [
    "vault/vault.redb",
    "vault/journal",
    "vault-anchor/anchor",
    "vault-anchor/slots",
];
/// Of which the meaning lies in some pages and the rest is noise.
const NOISE: [(&str, &[(usize, usize)]); 2] = [
    (
        "vault-anchor/anchor",
        &[
            (64 << 10, 97),
            (256 << 10, 4096),
            (576 << 10, 97),
            (768 << 10, 4096),
        ],
    ),
    ("vault-anchor/slots", &[(0, 1024), (64 << 10, 1024)]),
];

fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    SeededEntropy::new(1).fill(&mut bytes);
    bytes
}

/// What of a file differs from `ground`: offsets and bytes, in steps of 16.
fn runs(bytes: &[u8], ground: &[u8]) -> Vec<Value> {
    const STEP: usize = 16;
    let mut runs: Vec<(usize, Vec<u8>)> = Vec::new();
    for (number, (part, under)) in bytes.chunks(STEP).zip(ground.chunks(STEP)).enumerate() {
        if part == under {
            continue;
        }
        let offset = number * STEP;
        match runs.last_mut() {
            Some((start, run)) if *start + run.len() == offset => run.extend_from_slice(part),
            _ => runs.push((offset, part.to_vec())),
        }
    }
    let text = |(offset, bytes): (usize, Vec<u8>)| json!([offset, BASE64.encode(&bytes)]);
    runs.into_iter().map(text).collect()
}

pub(super) fn pack(dir: &Path, said: &Value) -> String {
    let mut files = Map::new();
    for name in FILES {
        let mut bytes = std::fs::read(dir.join(name)).unwrap();
        let pages = NOISE.iter().find(|(noisy, _)| *noisy == name);
        let ground = match pages {
            None => vec![0; bytes.len()],
            Some((_, pages)) => {
                let ground = noise(bytes.len());
                let mut kept = ground.clone();
                for (offset, length) in *pages {
                    kept[*offset..offset + length]
                        .copy_from_slice(&bytes[*offset..offset + length]);
                }
                bytes = kept;
                ground
            }
        };
        let seed = pages.map(|_| 1);
        files.insert(
            name.into(),
            json!({"length": bytes.len(), "noise": seed, "bytes": runs(&bytes, &ground)}),
        );
    }
    let document = json!({"what": "a vault of format 1, read by tests/tests/vectors/kept_vault", "said": said, "files": files});
    document.to_string() + "\n"
}

pub(super) fn unpack(kept: &Value, dir: &Path) {
    for (name, file) in kept["files"].as_object().unwrap() {
        let length = usize::try_from(file["length"].as_u64().unwrap()).unwrap();
        let mut bytes = match file["noise"].is_null() {
            true => vec![0; length],
            false => noise(length),
        };
        for run in file["bytes"].as_array().unwrap() {
            let offset = usize::try_from(run[0].as_u64().unwrap()).unwrap();
            let run = BASE64.decode(run[1].as_str().unwrap().as_bytes()).unwrap();
            bytes[offset..offset + run.len()].copy_from_slice(&run);
        }
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}
