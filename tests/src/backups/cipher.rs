//! The cipher alone over the bytes of a backup: what backup and restore are held to.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use vault_core::backup::Manifest;
use vault_core::crypto::{Location, Secret as Key, seal, unseal};
use vault_core::entropy::OsEntropy;
use vault_core::id::VaultId;

use super::report::Cipher;

const BLOCK_BYTES: usize = 64 << 10;

/// Seals blocks, each under a nonce of its own.
struct Blocks {
    cipher: XChaCha20Poly1305,
    number: u64,
    block: Vec<u8>,
}

impl Blocks {
    fn new() -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(&[7; 32].into()),
            number: 0,
            block: Vec::with_capacity(BLOCK_BYTES + 16),
        }
    }

    fn seal(&mut self, part: &[u8]) -> &[u8] {
        self.number += 1;
        let mut nonce = [0; 24];
        nonce[..8].copy_from_slice(&self.number.to_be_bytes());
        self.block.clear();
        self.block.extend_from_slice(part);
        let sealed = self
            .cipher
            .encrypt_in_place(&nonce.into(), b"", &mut self.block);
        sealed.expect("a short block");
        &self.block
    }
}

fn names(manifest: &Manifest) -> Vec<&str> {
    let keys = manifest.keys.iter().flat_map(|keys| &keys.objects);
    let all = manifest.objects.iter().chain(keys);
    all.map(|object| object.name.as_str()).collect()
}

/// Reads each object of a backup, seals it, writes it into another file and flushes that.
pub(super) fn copy(dir: &Path, manifest: &Manifest) -> Duration {
    let mut blocks = Blocks::new();
    let mut part = vec![0; BLOCK_BYTES];
    let begun = Instant::now();
    for name in names(manifest) {
        let mut from = fs::File::open(dir.join(name)).expect("an object of the backup");
        let copy = dir.join("cipher-alone.tmp");
        let mut to = fs::File::create(&copy).expect("room for one object");
        loop {
            let count = from.read(&mut part).expect("it is read");
            if count == 0 {
                break;
            }
            to.write_all(blocks.seal(&part[..count]))
                .expect("it is written");
        }
        to.sync_all().expect("it is flushed");
        fs::remove_file(&copy).expect("it was made here");
    }
    begun.elapsed()
}

/// Seals the bytes of a backup alone, three ways.
pub(super) fn measure(dir: &Path, manifest: &Manifest, envelopes: u64) -> Cipher {
    let mut measured = Cipher::default();
    let mut blocks = Blocks::new();
    for name in names(manifest) {
        let bytes = fs::read(dir.join(name)).expect("an object of the backup");
        let begun = Instant::now();
        for part in bytes.chunks(BLOCK_BYTES) {
            blocks.seal(part);
        }
        measured.memory += begun.elapsed();
    }
    measured.copy = copy(dir, manifest);
    // What a restore cannot do without: each envelope opened once, and a keyset sealed for each person.
    let key = Key::<32>::generate(&mut OsEntropy);
    let place = Location::row(VaultId::from_bytes([1; 16]), 4, &[2; 16]);
    let length = (manifest.bytes() / envelopes.max(1)) as usize;
    let value = vec![b'x'; length.saturating_sub(46).clamp(1, 1 << 20)];
    let begun = Instant::now();
    for _ in 0..envelopes {
        let sealed = seal(&key, 1, &place, &value).expect("short");
        assert!(unseal(&key, &place, &sealed).is_ok());
    }
    measured.envelopes = begun.elapsed();
    measured
}
