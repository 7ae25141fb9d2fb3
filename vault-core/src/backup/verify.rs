//! Says whether a backup could be brought back: without a secret by its checksums, with one by opening
//! every envelope.

use std::io::Read;
use std::sync::Arc;

use super::bundle::Rows;
use super::error::BackupError;
use super::keys::Identity;
use super::ledger::Replay;
use super::manifest::{Manifest, Object, Signature, hash_text, head_bytes, missing};
use super::open::{self, Counts, Depth, Missing};
use super::people::share_of;
use super::read::{OpenSource, People, Source};
use super::target::Target;
use crate::audit::checkpoint::VerifierKey;
use crate::crypto::Sha256Stream;
use crate::keys::keyset::Keyset;

const BLOCK_BYTES: usize = 1 << 20;

/// One of several equal parts of all people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// From 1 to `of`.
    pub number: u32,
    /// How many parts.
    pub of: u32,
}

impl Share {
    /// Reads `n/m`.
    ///
    /// # Errors
    ///
    /// [`BackupError::Input`].
    pub fn parse(text: &str) -> Result<Self, BackupError> {
        let parts = text.split_once('/');
        let parts = parts.and_then(|(n, m)| Some((n.parse().ok()?, m.parse().ok()?)));
        match parts {
            Some((number, of)) if number >= 1 && number <= of => Ok(Self { number, of }),
            _ => Err(BackupError::Input(
                "a share is `n/m`, such as 1/7: n from 1 to m".into(),
            )),
        }
    }
}

/// What verifying found to be as it was written.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The manifest.
    pub manifest: Manifest,
    /// Whether its signature was looked at.
    pub signature: Signature,
    /// Objects whose SHA-256 fits.
    pub objects: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// What was opened, if there was an identity.
    pub opened: Option<Counts>,
}

/// Progress of reading: bytes or people so far, of how many.
pub type Tell<'t> = &'t (dyn Fn(u64, u64) -> Result<(), BackupError> + Sync);

/// Reads every object against the manifest: what is missing, longer, shorter or changed.
pub(crate) fn objects(source: &Source, tell: Tell<'_>) -> Result<(u64, u64), BackupError> {
    let manifest = &source.manifest;
    let keys = manifest.keys.iter().flat_map(|keys| &keys.objects);
    let all: Vec<&Object> = manifest.objects.iter().chain(keys).collect();
    let total = manifest.bytes();
    let mut block = vec![0; BLOCK_BYTES];
    let mut bytes = 0;
    for object in &all {
        let name = manifest.object(&object.name);
        let mut reader = source
            .target
            .open(&name)
            .map_err(|error| missing(&name, &error))?;
        let (mut hash, mut length) = (Sha256Stream::default(), 0);
        loop {
            let count = match reader.read(&mut block) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(missing(&name, &error)),
            };
            hash.update(&block[..count]);
            length += count as u64;
            if length > object.bytes {
                let what = format!(
                    "it is longer than the {} bytes of the manifest",
                    object.bytes
                );
                return Err(BackupError::damaged(name, what));
            }
            tell(bytes + length, total)?;
        }
        if length < object.bytes {
            let what = format!("it ends at byte {length} of {}", object.bytes);
            return Err(BackupError::damaged(name, what));
        }
        if hash_text(&hash.finish()) != object.sha256 {
            let what = "its SHA-256 is not that of the manifest";
            return Err(BackupError::damaged(name, what));
        }
        bytes += length;
    }
    for head in manifest.keys.iter().flat_map(|keys| &keys.heads) {
        head_bytes(&*source.target, manifest, head)?;
    }
    Ok((all.len() as u64, bytes))
}

/// Opens every envelope of everybody, or of a share, and gives what was in clear to nobody.
pub(crate) fn envelopes(
    open: &OpenSource,
    share: Option<Share>,
    tell: Tell<'_>,
) -> Result<Counts, BackupError> {
    let mut people = People::new(open)?;
    let manifest = &open.source.manifest;
    let (vault, missing) = (manifest.vault, missing_keys(open)?);
    let (mut counts, mut seen) = (Counts::default(), 0);
    let nothing = Replay::default();
    while let Some(found) = people.next()? {
        seen += 1;
        if seen % 256 == 0 {
            tell(seen, manifest.people)?;
        }
        let ours = |share: Share| share_of(&found.handle, share.of) + 1 == share.number;
        if !share.is_none_or(ours) {
            continue;
        }
        let keyset = keyset_of(manifest, &found.keyset)?;
        let kept = &mut |_, _: &[u8], _: &[u8]| Ok(());
        open::person(
            &mut Rows::live(&mut people, &found),
            found.handle,
            (vault, &keyset),
            &nothing,
            (missing, Depth::Whole),
            &mut counts,
            kept,
        )?;
    }
    if missing == Missing::Damage && seen != manifest.people {
        let what = format!(
            "it holds {seen} people, and the manifest says {}",
            manifest.people
        );
        return Err(BackupError::damaged(manifest.object("keys"), what));
    }
    Ok(counts)
}

pub(super) fn missing_keys(open: &OpenSource) -> Result<Missing, BackupError> {
    Ok(match open.source.key_part()?.keys_of {
        super::manifest::KeysOf::Backup => Missing::Damage,
        super::manifest::KeysOf::Later => Missing::Lost,
    })
}

pub(super) fn keyset_of(manifest: &Manifest, text: &[u8]) -> Result<Keyset, BackupError> {
    Keyset::decode(text)
        .map_err(|_| BackupError::damaged(manifest.object("keys"), "a keyset is not of its form"))
}

/// Verifies a backup.
///
/// # Errors
///
/// [`BackupError::Damaged`] names the first object that is not as it was written, and where;
/// [`BackupError::WrongIdentity`]; [`BackupError::NotFound`].
pub fn verify(
    target: &Arc<dyn Target>,
    backup: &str,
    key: Option<&VerifierKey>,
    identity: Option<&Identity>,
    share: Option<Share>,
    tell: Tell<'_>,
) -> Result<Verified, BackupError> {
    let manifest = Manifest::read(&**target, backup)?;
    let signature = match key {
        Some(key) if manifest.signed_by(&key.clone().into()) => Signature::Checked,
        Some(_) => {
            let name = manifest.object(super::manifest::MANIFEST);
            let what = "this key has not signed it: it was changed, or is another vault's";
            return Err(BackupError::damaged(name, what));
        }
        None => Signature::NotChecked,
    };
    let source = Source {
        target: target.clone(),
        manifest,
    };
    let (objects, bytes) = self::objects(&source, tell)?;
    let manifest = source.manifest.clone();
    let mut opened = None;
    let mut signature = signature;
    if let Some(identity) = identity {
        let open = source.open(identity)?;
        // The key part names the key that must have signed.
        signature = Signature::Checked;
        if !manifest.objects.is_empty() {
            opened = Some(envelopes(&open, share, tell)?);
        }
    }
    Ok(Verified {
        manifest,
        signature,
        objects,
        bytes,
        opened,
    })
}
