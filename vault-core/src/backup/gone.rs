//! What goes from a target: a whole backup, a key part, what was left unfinished; each verified gone.
//!
//! Knows nothing of why: when a part goes is the vault's.

use super::error::BackupError;
use super::manifest::{KeyPart, MANIFEST, Manifest};
use super::target::Target;
use crate::crypto::Secret;

/// Deletes what there is of a backup without a manifest; what cannot be deleted stays, and is no backup.
pub(crate) fn clear(target: &dyn Target, backup: &str) {
    for (name, _) in target.objects(backup).unwrap_or_default() {
        let _ = target.delete(&format!("{backup}/{name}"));
    }
    let _ = target.forget(backup);
}

fn deleting(name: &str) -> impl FnOnce(std::io::Error) -> BackupError {
    BackupError::io(format!("delete {name}"))
}

/// Deletes one object and asks whether it is gone.
fn delete_verified(target: &dyn Target, name: &str) -> Result<(), BackupError> {
    target.delete(name).map_err(deleting(name))?;
    match target.exists(name) {
        Ok(false) => Ok(()),
        Ok(true) => Err(deleting(name)(std::io::Error::other(
            "it was deleted, and is still there",
        ))),
        Err(error) => Err(deleting(name)(error)),
    }
}

/// Deletes the files of a key part; how many, each verified gone.
pub(crate) fn delete_keys(
    target: &dyn Target,
    manifest: &Manifest,
    keys: &KeyPart,
) -> Result<u64, BackupError> {
    let heads = keys.heads.iter().map(|head| &head.name);
    let mut count = 0;
    for name in heads.chain(keys.objects.iter().map(|object| &object.name)) {
        delete_verified(target, &manifest.object(name))?;
        count += 1;
    }
    Ok(count)
}

/// Deletes what a key part left that was not finished: files of keys that the manifest does not name.
/// Whether none is left.
pub(crate) fn clear_new_keys(target: &dyn Target, manifest: &Manifest) -> bool {
    let backup = manifest.backup.to_string();
    // The manifest may have been replaced just before whatever failed.
    let Ok(now) = Manifest::read(target, &backup) else {
        return false;
    };
    let named = |name: &str| {
        let keys = now.keys.iter();
        keys.clone()
            .any(|k| k.heads.iter().any(|head| head.name == name))
            || keys
                .clone()
                .any(|k| k.objects.iter().any(|o| o.name == name))
    };
    let Ok(objects) = target.objects(&backup) else {
        return false;
    };
    let stray = objects
        .iter()
        .filter(|(name, _)| name.starts_with("keys-") && !named(name));
    let mut all = now == *manifest;
    for (name, _) in stray {
        all &= delete_verified(target, &manifest.object(name)).is_ok();
    }
    all
}

/// The files of keys that lie there and are none of `stays`: those of a part that goes, and what was left by whoever
/// was cut off while one went or another was made.
///
/// # Errors
///
/// [`BackupError::Io`].
pub(crate) fn other_keys(
    target: &dyn Target,
    manifest: &Manifest,
    stays: Option<&KeyPart>,
) -> Result<Vec<String>, BackupError> {
    let backup = manifest.backup.to_string();
    let objects = target.objects(&backup);
    let objects = objects.map_err(BackupError::io(format!("look at {backup}")))?;
    let stays = |name: &str| {
        stays.is_some_and(|keys| {
            let mut heads = keys.heads.iter().map(|head| head.name.as_str());
            let mut objects = keys.objects.iter().map(|object| object.name.as_str());
            heads.any(|known| known == name) || objects.any(|known| known == name)
        })
    };
    let names = objects.into_iter().map(|(name, _)| name);
    Ok(names
        .filter(|name| name.starts_with("keys-") && !stays(name))
        .collect())
}

/// Deletes these files of a backup, each verified gone.
///
/// # Errors
///
/// [`BackupError::Io`]; those before it are gone.
pub(crate) fn delete_files(
    target: &dyn Target,
    manifest: &Manifest,
    names: &[String],
) -> Result<(), BackupError> {
    let mut names = names.iter();
    names.try_for_each(|name| delete_verified(target, &manifest.object(name)))
}

/// Writes the manifest without its key part. Before that is deleted: a manifest that names files which are gone would be
/// that of a damaged backup, whose data bring nobody back any more; files that none names are found again.
pub(crate) fn without_keys(
    target: &dyn Target,
    manifest: &Manifest,
    seed: &Secret<32>,
) -> Result<(), BackupError> {
    let mut manifest = manifest.clone();
    manifest.keys = None;
    manifest.sign(seed);
    let written = manifest.write(target);
    written.map_err(BackupError::io("write a manifest"))?;
    Ok(())
}

/// Deletes a backup: the manifest first, so that what is left of it is no backup.
pub(crate) fn delete(target: &dyn Target, manifest: &Manifest) -> Result<(), BackupError> {
    delete_verified(target, &manifest.object(MANIFEST))?;
    clear_all(target, &manifest.backup.to_string())
}

/// Deletes everything under the name of a backup, and asks whether it is gone.
pub(crate) fn clear_all(target: &dyn Target, backup: &str) -> Result<(), BackupError> {
    let objects = target.objects(backup).map_err(deleting(backup))?;
    for (name, _) in objects {
        delete_verified(target, &format!("{backup}/{name}"))?;
    }
    target.forget(backup).map_err(deleting(backup))
}
