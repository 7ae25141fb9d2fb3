//! A fresh key part for data that lies at a target already.

use std::sync::Arc;

use super::error::BackupError;
use super::keys::PartKey;
use super::manifest::{KeyPart, KeysOf, Manifest};
use super::people::copy_keys;
use super::read::{OpenSource, Source};
use super::sections::{Destination, Sections, write_heads};
use super::target::Target;
use super::write::{Options, SYSTEM_KEY};
use super::{Counts, verify};
use crate::audit::signer::Signers;
use crate::commit::{Engine, View};
use crate::id::BackupId;
use crate::jobs::Job;
use crate::keys::system::SystemKeys;
use crate::refusal::Refusal;
use crate::row;
use crate::store::Table;

/// Makes a key part of today's keys for a backup that has data, and puts it into the manifest in the
/// place of the one before, whose files stay. Before it does, the new part is read and tried on the data:
/// the one before is not given up for one that brings nobody back. Manifest, SHA-256 of its file, and what
/// comes back.
pub(crate) fn rekey(
    engine: &Engine,
    target: &Arc<dyn Target>,
    before: &Manifest,
    registered: BackupId,
    options: &Options,
    tell: verify::Tell<'_>,
    job: &Job,
) -> Result<(Manifest, [u8; 32], Counts), BackupError> {
    if before.objects.is_empty() {
        let what = format!(
            "backup {} has no data for which keys could be made",
            before.backup
        );
        return Err(BackupError::NotFound(what));
    }
    let place = Destination {
        target,
        backup: before.backup,
        job: Some(job),
    };
    let first = engine.snapshot()?;
    let signers = Signers::of(first.vault(), first.system());
    if !before.signed_by(&signers) {
        let what = "this vault has not signed it: it was changed, or is another vault's";
        return Err(BackupError::damaged(before.object("manifest.json"), what));
    }
    // Its rows are under keys that `--deep` has destroyed since: nothing could be brought back.
    if before.epoch < first.system().retired_epoch {
        let what = format!(
            "the data of backup {} lie under keys that `key rotate all --deep` has destroyed since: make a \
             new backup with `backup create`",
            before.backup
        );
        return Err(BackupError::Refused(Refusal::Conflict(what)));
    }
    let people = first.state().people;
    let set = first.system().index_set();
    drop(first);
    let number = next_number(before);
    let part = PartKey::generate();
    let mut keys = Sections::keys(&place, before.vault, &part, number);
    keys.begin(0, Table::Keysets.number())?;
    let copied = copy_keys(engine, &mut keys, people)?;
    let last = engine.snapshot()?;
    // The keysets are of one set of index keys and the system keyset of another: a restore would find nobody.
    // Or the keys of old rows went behind the look at them above. The key part of before is not given up for that.
    if last.system().index_set() != set || before.epoch < last.system().retired_epoch {
        let what = "keys were replaced meanwhile: give `backup rekey` again";
        return Err(BackupError::Refused(Refusal::Conflict(what.into())));
    }
    let system = last.system().for_backup();
    keys.begin(0, Table::System.number())?;
    keys.row(SYSTEM_KEY, &row::encode(&system))?;
    let objects = keys.finish()?;
    let mut manifest = before.clone();
    manifest.keys = Some(KeyPart {
        registered,
        made_at: last.now(),
        expires_at: Some(options.keys_expire),
        keys_of: KeysOf::Later,
        people: copied,
        heads: write_heads(&place, &options.recipients, &part, number)?,
        objects,
    });
    manifest.sign(&last.system().signing);
    drop(last);
    let counts = count(target, manifest.clone(), part, system, tell)?;
    // Rows of people whom today's keys are of, and not one of them opens.
    if counts.people == 0 && counts.lost > 0 {
        let what = "every key that its rows are under has been replaced since, so that nobody would come back: \
                    make a new backup with `backup create`";
        return Err(BackupError::Refused(Refusal::Conflict(what.into())));
    }
    let sha256 = manifest.write(&**target).map_err(BackupError::io(format!(
        "write the manifest at {}",
        target.place()
    )))?;
    Ok((manifest, sha256, counts))
}

/// What a key part that was just made brings back.
fn count(
    target: &Arc<dyn Target>,
    manifest: Manifest,
    part: PartKey,
    system: SystemKeys,
    tell: verify::Tell<'_>,
) -> Result<Counts, BackupError> {
    let source = Source {
        target: target.clone(),
        manifest,
    };
    verify::envelopes(&OpenSource::new(source, part, system), None, tell)
}

/// The first number that no file of the key part has.
fn next_number(manifest: &Manifest) -> u32 {
    let number = |name: &str| {
        let digits = name.trim_end_matches(".age").rsplit('-').next()?;
        digits.parse::<u32>().ok()
    };
    let keys = manifest.keys.iter();
    let names = keys.flat_map(|keys| {
        let heads = keys.heads.iter().map(|head| head.name.as_str());
        heads.chain(keys.objects.iter().map(|object| object.name.as_str()))
    });
    names.filter_map(number).max().map_or(0, |last| last + 1)
}
