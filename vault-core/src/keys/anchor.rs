//! The anchor: the one secret that is overwritten in place.
//!
//! Every root key of the shred maps derives from the root key *and* the anchor secret, so replacing
//! the secret makes every earlier state of the maps unreadable. Knows nothing of maps or of
//! transactions; who calls in which order is `commit`'s business:
//!
//! 1. [`Anchor::prepare`] writes the next secret into the spare slot and flushes;
//! 2. one store transaction seals the roots under it;
//! 3. [`Anchor::retire`] overwrites the other slot and flushes.
//!
//! Beside the secrets it keeps the newest checkpoint of the log, in clear, in a pair of pages that are
//! written alternately: a database that does not extend it was rolled back.
//!
//! After an error nothing here cleans up: only recovery, which knows the epoch whose root opens,
//! may write a slot. Trying again by hand could destroy the vault's only key.

use std::io;

use crate::crypto::{Secret, sha256};
use crate::entropy::Entropy;
use crate::id::VaultId;
use crate::medium::Medium;

/// Length of the anchor file.
pub const ANCHOR_BYTES: usize = 1 << 20;
const SLOT_OFFSETS: [u64; 2] = [64 << 10, 576 << 10];
const PUBLIC_OFFSETS: [u64; 2] = [256 << 10, 768 << 10];
/// A slot takes a page of its own, so that overwriting it touches nothing else.
const SLOT_BYTES: usize = 4096;
const MAGIC: &[u8; 8] = b"vlt-anch";
const VERSION: u8 = 1;
const PUBLIC_MAGIC: &[u8; 8] = b"vlt-publ";
/// Magic, version, vault id, serial, length.
const PUBLIC_HEADER: usize = 8 + 1 + 16 + 8 + 2;
const PUBLIC_BYTES_MAX: usize = SLOT_BYTES - PUBLIC_HEADER - 32;
const RECORD_BYTES: usize = 8 + 1 + 16 + 8 + 32;

/// A slot that is not empty.
pub struct AnchorSlot {
    /// The epoch that the secret belongs to.
    pub epoch: u64,
    /// The secret.
    pub secret: Secret<32>,
}

/// The anchor could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorError {
    /// The operating system refused; what is on the medium is unknown.
    #[error("could not read or write the anchor")]
    Io(#[from] io::Error),
}

/// Keeps the secret of the current epoch, and destroys that of the one before. A file now; a TPM, a
/// KMS or a quorum of servers can keep it later, the database that it protects never.
pub trait Anchor: Send {
    /// The slots that are not empty: one, or two while an epoch is being replaced.
    ///
    /// # Errors
    ///
    /// [`AnchorError::Io`].
    fn current(&mut self) -> Result<Vec<AnchorSlot>, AnchorError>;

    /// Makes `secret` durable as that of `epoch`, beside the present one.
    ///
    /// # Errors
    ///
    /// [`AnchorError::Io`], and then only recovery may go on.
    fn prepare(&mut self, epoch: u64, secret: &Secret<32>) -> Result<(), AnchorError>;

    /// Destroys every secret but that of `epoch`.
    ///
    /// # Errors
    ///
    /// [`AnchorError::Io`], and then only recovery may go on.
    fn retire(&mut self, epoch: u64) -> Result<(), AnchorError>;

    /// Puts a text that is no secret beside the secrets, in place of the one before the last.
    /// `flush` makes it durable now; without it, it is with the next [`Anchor::retire`].
    ///
    /// # Errors
    ///
    /// [`AnchorError::Io`]; the text published before is still there.
    fn publish(&mut self, text: &str, flush: Flush) -> Result<(), AnchorError>;

    /// The text that was published last; `None` if none was, or none can be read.
    ///
    /// # Errors
    ///
    /// [`AnchorError::Io`].
    fn published(&mut self) -> Result<Option<String>, AnchorError>;

    /// Makes the next [`Anchor::current`] tell what the medium holds.
    ///
    /// # Errors
    ///
    /// [`AnchorError::Io`].
    fn forget_cache(&mut self) -> Result<(), AnchorError>;
}

/// When what was written has to be on the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// Before the call returns.
    Now,
    /// With the flush that follows anyway.
    WithNext,
}

/// The anchor in a file, and in mirrors of it: each step completes on every one before the next.
pub struct FileAnchor {
    vault: VaultId,
    media: Vec<Box<dyn Medium>>,
    entropy: Box<dyn Entropy>,
    /// Counts what was published; `None` until it was looked up.
    serial: Option<u64>,
}

impl FileAnchor {
    /// The anchor on these media, which hold an [`image`].
    #[must_use]
    pub fn new(vault: VaultId, media: Vec<Box<dyn Medium>>, entropy: Box<dyn Entropy>) -> Self {
        Self {
            vault,
            media,
            entropy,
            serial: None,
        }
    }

    fn newest(&self) -> io::Result<Option<(u64, String)>> {
        let mut newest = None;
        let mut page = vec![0; SLOT_BYTES];
        for medium in &self.media {
            for offset in PUBLIC_OFFSETS {
                medium.read_at(offset, &mut page)?;
                newest = newest.max(published_in(self.vault, &page));
            }
        }
        Ok(newest)
    }

    fn write(&mut self, slot: usize, record: Option<&[u8; RECORD_BYTES]>) -> io::Result<()> {
        let mut page = vec![0; SLOT_BYTES];
        self.entropy.fill(&mut page);
        if let Some(record) = record {
            page[..RECORD_BYTES].copy_from_slice(record);
            page[RECORD_BYTES..RECORD_BYTES + 32].copy_from_slice(&sha256(&[record]));
        }
        let result = self.media.iter().try_for_each(|medium| {
            medium.write_at(SLOT_OFFSETS[slot], &page)?;
            medium.sync()
        });
        zeroize::Zeroize::zeroize(&mut page);
        result
    }
}

/// A text in its page: serial and text, if the page holds one of this vault.
fn published_in(vault: VaultId, page: &[u8]) -> Option<(u64, String)> {
    let length = usize::from(u16::from_be_bytes(
        page[33..35].try_into().expect("two bytes"),
    ));
    let end = PUBLIC_HEADER + length.min(PUBLIC_BYTES_MAX);
    let whole = &page[..8] == PUBLIC_MAGIC
        && page[8] == VERSION
        && &page[9..25] == vault.as_bytes()
        && sha256(&[&page[..end]]) == page[end..end + 32];
    let text = whole.then(|| String::from_utf8(page[PUBLIC_HEADER..end].to_vec()).ok())??;
    let serial = u64::from_be_bytes(page[25..33].try_into().expect("eight bytes"));
    Some((serial, text))
}

/// What a new anchor file holds: random bytes, and the first secret in the slot of its epoch.
#[must_use]
pub fn image(
    vault: VaultId,
    epoch: u64,
    secret: &Secret<32>,
    entropy: &mut dyn Entropy,
) -> Vec<u8> {
    let mut image = vec![0; ANCHOR_BYTES];
    entropy.fill(&mut image);
    let record = encode(vault, epoch, secret);
    let start = usize::try_from(SLOT_OFFSETS[slot_of(epoch)]).expect("within a mebibyte");
    image[start..start + RECORD_BYTES].copy_from_slice(&record);
    image[start + RECORD_BYTES..start + RECORD_BYTES + 32].copy_from_slice(&sha256(&[&record]));
    image
}

/// Epochs follow one another by one, so the spare slot is always that of the next.
fn slot_of(epoch: u64) -> usize {
    usize::from(epoch % 2 == 1)
}

fn encode(vault: VaultId, epoch: u64, secret: &Secret<32>) -> [u8; RECORD_BYTES] {
    let mut record = [0; RECORD_BYTES];
    record[..8].copy_from_slice(MAGIC);
    record[8] = VERSION;
    record[9..25].copy_from_slice(vault.as_bytes());
    record[25..33].copy_from_slice(&epoch.to_be_bytes());
    record[33..].copy_from_slice(secret.expose());
    record
}

fn decode(vault: VaultId, page: &[u8]) -> Option<AnchorSlot> {
    let (record, rest) = page.split_at(RECORD_BYTES);
    if sha256(&[record]) != rest[..32] || &record[..8] != MAGIC || record[8] != VERSION {
        return None;
    }
    if &record[9..25] != vault.as_bytes() {
        return None;
    }
    Some(AnchorSlot {
        epoch: u64::from_be_bytes(record[25..33].try_into().expect("eight bytes")),
        secret: Secret::from_slice(&record[33..])?,
    })
}

impl Anchor for FileAnchor {
    fn current(&mut self) -> Result<Vec<AnchorSlot>, AnchorError> {
        let mut found: Vec<AnchorSlot> = Vec::new();
        let mut page = zeroize::Zeroizing::new(vec![0; SLOT_BYTES]);
        for medium in &self.media {
            for offset in SLOT_OFFSETS {
                medium.read_at(offset, &mut page)?;
                if let Some(slot) = decode(self.vault, &page)
                    && !found
                        .iter()
                        .any(|other| other.epoch == slot.epoch && other.secret == slot.secret)
                {
                    found.push(slot);
                }
            }
        }
        Ok(found)
    }

    fn prepare(&mut self, epoch: u64, secret: &Secret<32>) -> Result<(), AnchorError> {
        let mut record = encode(self.vault, epoch, secret);
        let result = self.write(slot_of(epoch), Some(&record));
        zeroize::Zeroize::zeroize(&mut record);
        Ok(result?)
    }

    fn retire(&mut self, epoch: u64) -> Result<(), AnchorError> {
        Ok(self.write(1 - slot_of(epoch), None)?)
    }

    fn publish(&mut self, text: &str, flush: Flush) -> Result<(), AnchorError> {
        if text.len() > PUBLIC_BYTES_MAX {
            return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
        }
        let serial = match self.serial {
            Some(serial) => serial,
            None => self.newest()?.map_or(0, |(serial, _)| serial),
        } + 1;
        let mut page = vec![0; SLOT_BYTES];
        page[..8].copy_from_slice(PUBLIC_MAGIC);
        page[8] = VERSION;
        page[9..25].copy_from_slice(self.vault.as_bytes());
        page[25..33].copy_from_slice(&serial.to_be_bytes());
        let length = u16::try_from(text.len()).expect("less than a page");
        page[33..PUBLIC_HEADER].copy_from_slice(&length.to_be_bytes());
        let end = PUBLIC_HEADER + text.len();
        page[PUBLIC_HEADER..end].copy_from_slice(text.as_bytes());
        let hash = sha256(&[&page[..end]]);
        page[end..end + 32].copy_from_slice(&hash);
        let offset = PUBLIC_OFFSETS[slot_of(serial)];
        for medium in &self.media {
            medium.write_at(offset, &page)?;
            if flush == Flush::Now {
                medium.sync()?;
            }
        }
        self.serial = Some(serial);
        Ok(())
    }

    fn published(&mut self) -> Result<Option<String>, AnchorError> {
        let newest = self.newest()?;
        self.serial = Some(newest.as_ref().map_or(0, |(serial, _)| *serial));
        Ok(newest.map(|(_, text)| text))
    }

    fn forget_cache(&mut self) -> Result<(), AnchorError> {
        for medium in &self.media {
            medium.forget_cache()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use crate::medium::MemoryMedium;

    const VAULT: VaultId = VaultId::from_bytes([3; 16]);

    fn anchor(media: &[MemoryMedium]) -> FileAnchor {
        let media = media
            .iter()
            .cloned()
            .map(|m| Box::new(m) as Box<dyn Medium>);
        FileAnchor::new(VAULT, media.collect(), Box::new(SeededEntropy::new(9)))
    }

    fn secret(seed: u64) -> Secret<32> {
        Secret::generate(&mut SeededEntropy::new(seed))
    }

    fn new_medium() -> MemoryMedium {
        MemoryMedium::new(image(VAULT, 1, &secret(1), &mut SeededEntropy::new(0)))
    }

    fn holds(medium: &MemoryMedium, secret: &Secret<32>) -> bool {
        medium.bytes().windows(32).any(|w| w == secret.expose())
    }

    #[test]
    fn a_retired_secret_is_nowhere_on_the_medium() {
        let medium = new_medium();
        let mut anchor = anchor(std::slice::from_ref(&medium));
        for epoch in 2..6 {
            anchor.prepare(epoch, &secret(epoch)).unwrap();
            assert_eq!(anchor.current().unwrap().len(), 2);
            assert!(
                holds(&medium, &secret(epoch - 1)),
                "the control: still there"
            );
            anchor.retire(epoch).unwrap();
            assert!(!holds(&medium, &secret(epoch - 1)));
            let left = anchor.current().unwrap();
            assert_eq!(left.len(), 1);
            assert!(left[0].epoch == epoch && left[0].secret == secret(epoch));
        }
        assert_eq!(medium.bytes().len(), ANCHOR_BYTES);
    }

    #[test]
    fn a_torn_slot_is_empty_and_the_other_stays() {
        let medium = new_medium();
        let mut anchor = anchor(std::slice::from_ref(&medium));
        medium.fail_from(Some(1));
        assert!(anchor.prepare(2, &secret(2)).is_err());
        medium.fail_from(None);
        // Half a page holds the whole record, so the secret may have arrived; the first is there.
        assert!(anchor.current().unwrap().iter().any(|slot| slot.epoch == 1));
        let mut bytes = medium.bytes();
        bytes[usize::try_from(SLOT_OFFSETS[1]).unwrap() + 40] ^= 1;
        let mut damaged = self::anchor(&[MemoryMedium::new(bytes)]);
        assert!(
            damaged
                .current()
                .unwrap()
                .iter()
                .all(|slot| slot.epoch != 1)
        );
    }

    #[test]
    fn the_newest_text_is_read_and_a_torn_one_leaves_that_before_it() {
        let medium = new_medium();
        let mut anchor = anchor(std::slice::from_ref(&medium));
        assert_eq!(anchor.published().unwrap(), None);
        for number in 0..4 {
            anchor
                .publish(&format!("text {number}"), Flush::Now)
                .unwrap();
            assert_eq!(anchor.published().unwrap(), Some(format!("text {number}")));
        }
        let mut again = self::anchor(std::slice::from_ref(&medium));
        again.publish("text 4", Flush::WithNext).unwrap();
        assert_eq!(again.published().unwrap().as_deref(), Some("text 4"));
        let mut bytes = medium.bytes();
        for offset in PUBLIC_OFFSETS {
            let at = usize::try_from(offset).unwrap() + PUBLIC_HEADER;
            if bytes[at..].starts_with(b"text 4") {
                bytes[at] ^= 1;
            }
        }
        let mut torn = self::anchor(&[MemoryMedium::new(bytes)]);
        assert_eq!(torn.published().unwrap().as_deref(), Some("text 3"));
        assert_eq!(
            torn.current().unwrap().len(),
            1,
            "the secret is where it was"
        );
        assert!(anchor.publish(&"x".repeat(SLOT_BYTES), Flush::Now).is_err());
    }

    #[test]
    fn a_missing_mirror_fails_the_first_step() {
        let media = [new_medium(), new_medium()];
        let mut anchor = anchor(&media);
        media[1].fail_from(Some(1));
        assert!(anchor.prepare(2, &secret(2)).is_err());
    }

    #[test]
    fn the_anchor_of_another_vault_is_empty() {
        let medium = new_medium();
        let mut other = FileAnchor::new(
            VaultId::from_bytes([4; 16]),
            vec![Box::new(medium)],
            Box::new(SeededEntropy::new(9)),
        );
        assert!(other.current().unwrap().is_empty());
    }
}
