//! Taking backups away: what the rules do not keep, and every key part whose time has come.
//!
//! The registry hears that a part is gone only of what was seen to be gone, at the place where it was registered: by
//! that receipts become final, and nothing undoes it. Where there is a doubt, of the clock or of the place, a part
//! stays, and counts.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::copies::for_good;
use super::token::Call;
use super::{BackupView, Vault};
use crate::audit::signer::Signers;
use crate::backup::registry::Part;
use crate::backup::target::{self, Target};
use crate::backup::{BackupError, KeyPart, MANIFEST, Manifest, gone};
use crate::commit::View as _;
use crate::crypto::Secret;
use crate::id::BackupId;
use crate::policy::Capability;
use crate::refusal::Refusal;

/// Why nothing is taken away at this moment.
const BUSY: &str = "a backup is being made, or given new keys, or others are being taken away: ask again when that has ended";

/// What pruning takes away, or would.
#[derive(Debug, Default)]
pub struct Pruned {
    /// Backups that go whole.
    pub backups: Vec<BackupId>,
    /// Backups whose key part goes: it has expired.
    pub key_parts: Vec<BackupId>,
    /// Backups that stay.
    pub kept: Vec<BackupId>,
    /// What was never finished, and goes.
    pub unfinished: Vec<String>,
    /// What somebody deleted who was cut off before the registry heard of it: it hears now.
    pub gone: Vec<BackupId>,
    /// Whether what went counts as deleted: a target that keeps versions has it still.
    pub verified: bool,
}

/// How many backups stay: the newest, and the newest of each day, week and month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// The newest.
    pub last: u32,
    /// Days.
    pub daily: u32,
    /// Weeks, which begin on Monday.
    pub weekly: u32,
    /// Months.
    pub monthly: u32,
}

/// What is taken away in one go.
struct Going<'g> {
    vault: &'g Vault,
    call: &'g Call<'g>,
    target: &'g dyn Target,
    views: &'g [BackupView],
    /// By which something has come to its end.
    now: Timestamp,
    signing: &'g Secret<32>,
    /// Whether what is deleted is gone, and not merely hidden behind a newer version.
    verified: bool,
    /// Whether nobody writes there at this moment.
    alone: bool,
    dry_run: bool,
    pruned: Pruned,
}

impl Vault {
    /// Deletes what the rules do not keep, and every key part that has expired, or says what it would.
    /// Each file is asked for afterwards, and only then does the registry hear of it. By a clock that is too far ahead
    /// to be believed nothing expires.
    ///
    /// # Errors
    ///
    /// [`Refusal::Conflict`] while a backup is being made, or given new keys: what is being written would be taken
    /// for what was left over. Else see [`BackupError`]; what was deleted before stays deleted, and is in the registry.
    pub fn prune_backups(
        &self,
        call: &Call<'_>,
        target: &dyn Target,
        keep: Keep,
        dry_run: bool,
    ) -> Result<Pruned, BackupError> {
        self.read(
            call,
            "backups.list",
            None,
            |_, policy, context, _| {
                let principal = &context.principal;
                principal.require(policy, Capability::BackupsManage)
            },
            |()| (),
        )?;
        let alone = self.working.try_lock();
        if alone.is_none() && !dry_run {
            return Err(Refusal::Conflict(BUSY.into()).into());
        }
        let (now, _) = self.engine.believed_now();
        let (whole, unfinished) = crate::backup::list(target)?;
        let verified = for_good(target)?;
        let snapshot = self.snapshot()?;
        let signing = snapshot.system().signing.duplicate();
        let signers = Signers::of(snapshot.vault(), snapshot.system());
        let vault = snapshot.vault();
        drop(snapshot);
        // What others have written into a manifest must not speak for other backups.
        let ours = whole
            .iter()
            .filter(|m| m.vault == vault && m.signed_by(&signers));
        let ours: Vec<&Manifest> = ours.collect();
        let (views, _) = self.backups(call)?;
        let kept = kept(&ours, keep, now);
        let mut going = Going {
            vault: self,
            call,
            target,
            views: &views,
            now,
            signing: &signing,
            verified,
            alone: alone.is_some(),
            dry_run,
            pruned: Pruned {
                verified,
                ..Pruned::default()
            },
        };
        for manifest in ours {
            match kept.contains(&manifest.backup) {
                true => going.keys_of(manifest)?,
                false => going.whole(manifest)?,
            }
        }
        // What is being written at this moment has no manifest either.
        if going.alone {
            for name in unfinished {
                going.unfinished(name)?;
            }
            going.untold()?;
        }
        Ok(going.pruned)
    }
}

impl Going<'_> {
    /// A backup that stays, of which keys go: those that have expired, and files that its manifest does not name.
    fn keys_of(&mut self, manifest: &Manifest) -> Result<(), BackupError> {
        let backup = manifest.backup;
        self.pruned.kept.push(backup);
        let keys = manifest.keys.as_ref();
        let expired = keys.filter(|keys| self.end(keys).is_some_and(|end| end <= self.now));
        let stays = keys.filter(|_| expired.is_none());
        // While somebody writes, they may be those of the next part.
        let others = match self.alone {
            true => gone::other_keys(self.target, manifest, stays)?,
            false => Vec::new(),
        };
        if expired.is_some() || !others.is_empty() {
            self.pruned.key_parts.push(backup);
        }
        if self.dry_run {
            return Ok(());
        }
        if let Some(keys) = expired {
            gone::without_keys(self.target, manifest, self.signing)?;
            gone::delete_keys(self.target, manifest, keys)?;
        }
        gone::delete_files(self.target, manifest, &others)?;
        let known = target::known(self.target);
        for view in self.parts(backup, Part::Keys) {
            let it = |keys: &KeyPart| keys.registered == view.backup;
            // Of others than the one whose files were seen here nobody knows, where the place may be another.
            if !stays.is_some_and(it) && (known || expired.is_some_and(it)) {
                self.told(view, Part::Keys)?;
            }
        }
        Ok(())
    }

    /// When a key part ends: what its manifest says, or the registry since.
    fn end(&self, keys: &KeyPart) -> Option<Timestamp> {
        let view = self.views.iter().find(|v| v.backup == keys.registered);
        let sooner = view.and_then(|view| Some(view.keys.as_ref()?.expires_at));
        sooner.into_iter().chain(keys.expires_at).min()
    }

    /// A backup that no rule keeps.
    fn whole(&mut self, manifest: &Manifest) -> Result<(), BackupError> {
        self.pruned.backups.push(manifest.backup);
        if self.dry_run {
            return Ok(());
        }
        gone::delete(self.target, manifest)?;
        self.all_told(manifest.backup)
    }

    /// What lies under the name of a backup and has no manifest.
    fn unfinished(&mut self, name: String) -> Result<(), BackupError> {
        let Ok(backup) = name.parse::<BackupId>() else {
            return Ok(());
        };
        // One whose manifest is damaged is for somebody to look at; and so is one that was registered at another
        // place, of which this may become a copy.
        let damaged = self.target.exists(&format!("{name}/{MANIFEST}"));
        let damaged = damaged.map_err(BackupError::io(format!("look at {name}")))?;
        if damaged || self.here(backup).next().is_none() {
            return Ok(());
        }
        if !self.dry_run {
            gone::clear_all(self.target, &name)?;
            self.all_told(backup)?;
        }
        self.pruned.unfinished.push(name);
        Ok(())
    }

    /// Backups of which the registry knows a part here and the target nothing: whoever deleted them was cut off
    /// before they could say so. Where nobody knows the place, what is missing may lie elsewhere.
    fn untold(&mut self) -> Result<(), BackupError> {
        if !self.verified || !target::known(self.target) {
            return Ok(());
        }
        let place = self.target.place();
        let here = |view: &&BackupView| target::same(&view.target, &place);
        let mut homes = BTreeSet::new();
        for view in self.views.iter().filter(here) {
            let data = view.data.as_ref().map(|part| part.deleted_at);
            let keys = view.keys.as_ref().map(|part| part.deleted_at);
            if [data, keys].contains(&Some(None)) {
                homes.insert(view.of.unwrap_or(view.backup));
            }
        }
        for home in homes {
            let name = home.to_string();
            let known =
                self.pruned.backups.contains(&home) || self.pruned.unfinished.contains(&name);
            let left = self.target.objects(&name);
            let left = left.map_err(BackupError::io(format!("look at {name}")))?;
            if known || !left.is_empty() {
                continue;
            }
            self.pruned.gone.push(home);
            if !self.dry_run {
                self.all_told(home)?;
            }
        }
        Ok(())
    }

    /// What the registry has of a backup at this place: itself, and new key parts that were made for it. A part of
    /// another place lies there still.
    fn here(&self, backup: BackupId) -> impl Iterator<Item = &BackupView> {
        let place = self.target.place();
        self.views.iter().filter(move |view| {
            target::same(&view.target, &place) && (view.backup == backup || view.of == Some(backup))
        })
    }

    /// Those of them that have such a part which counts still.
    fn parts(&self, backup: BackupId, part: Part) -> impl Iterator<Item = &BackupView> {
        self.here(backup).filter(move |view| {
            let deleted = match part {
                Part::Data => view.data.as_ref().map(|part| part.deleted_at),
                Part::Keys => view.keys.as_ref().map(|part| part.deleted_at),
            };
            deleted == Some(None)
        })
    }

    /// Says that nothing is left of a backup at this place.
    fn all_told(&self, backup: BackupId) -> Result<(), BackupError> {
        for part in [Part::Keys, Part::Data] {
            let mut views = self.parts(backup, part);
            views.try_for_each(|view| self.told(view, part))?;
        }
        Ok(())
    }

    /// Says that a part is gone, whose files are verified gone. One that never was said to be whole has failed first.
    /// Where older versions stay the registry goes on counting it, until somebody says that none is left.
    fn told(&self, view: &BackupView, part: Part) -> Result<(), BackupError> {
        if !self.verified {
            return Ok(());
        }
        let (vault, call) = (self.vault, self.call);
        vault.told(vault.backup_failed(call, view.backup))?;
        vault.told(vault.backup_deleted(call, view.backup, part))
    }
}

/// The backups that the rules keep. Each rule takes the newest of as many different periods; those with
/// data alone count, for keys without data bring nobody back. One that was made by a clock that ran ahead stays
/// beside them: it would be the newest for ever, and those of every day since would go in its favour.
fn kept(manifests: &[&Manifest], keep: Keep, now: Timestamp) -> BTreeSet<BackupId> {
    let ahead = |m: &Manifest| m.finished_at > now;
    let data = |m: &&&Manifest| !m.objects.is_empty();
    let newest_first = || manifests.iter().rev().filter(data).filter(|m| !ahead(m));
    let mut kept: BTreeSet<_> = manifests
        .iter()
        .filter(|m| ahead(m))
        .map(|m| m.backup)
        .collect();
    kept.extend(newest_first().take(keep.last as usize).map(|m| m.backup));
    type Period = fn(jiff::civil::Date) -> (i16, i16);
    let rules: [(u32, Period); 3] = [
        (keep.daily, |date| (date.year(), date.day_of_year())),
        (keep.weekly, |date| {
            let week = date.iso_week_date();
            (week.year(), week.week().into())
        }),
        (keep.monthly, |date| (date.year(), date.month().into())),
    ];
    for (count, period) in rules {
        let mut seen = Vec::new();
        for manifest in newest_first() {
            let date = manifest
                .finished_at
                .to_zoned(jiff::tz::TimeZone::UTC)
                .date();
            let period = period(date);
            if !seen.contains(&period) && seen.len() < count as usize {
                seen.push(period);
                kept.insert(manifest.backup);
            }
        }
    }
    kept
}
