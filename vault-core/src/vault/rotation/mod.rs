//! New keys: the root key's, one person's, everybody's.
//!
//! A new root key is one commit at any size. Everybody's keys are gone through in tag order, a leaf of
//! the people map a commit; what is left to do lies in a row of its own, so that after a crash or a
//! restart whoever calls [`Vault::rotate_on`] goes on. Nothing waits for it but the next commit.
//!
//! A deep one goes on to the system keyset. Its new keys for rows, log and signature are made in the
//! commit that begins it, so that nothing comes under an old one from then on; what lies under the old
//! ones is sealed again behind everybody's keys and the index, and then they go.
//!
//! What it does not replace: the ledger key, which every key part needs to read what came after it; a
//! person's audit key; and the key inside a blob's value, which seals that blob alone and nothing after
//! it (decision 0016).

mod index;
mod rows;
mod state;

use std::collections::BTreeMap;

use super::Vault;
use super::call::Noted;
use super::token::Call;
use crate::audit::signer::Signers;
use crate::commit::{Txn, View};
use crate::crypto::Secret;
use crate::id::SubjectId;
use crate::jobs::{Job, JobKind, JobState};
use crate::keys::keyset::Compartment;
use crate::limits::{ROTATION_LEAVES, ROTATION_SURVEY_ROWS};
use crate::person::{DAMAGED, Person, instant};
use crate::policy::{Capability, Policy};
use crate::refusal::Refusal;
use crate::rotation::{self, Budget, Cursor, Step};

pub(crate) use state::RotationRow;
pub use state::{
    DamagedRow, KeyView, KeysView, Onwards, RootRotated, RotationState, RotationView, Stage,
    SystemKeyView, SystemKeysView,
};

pub(super) use index::renews_marks;
use rows::Pace;

/// How a leaf ended.
struct Leaf {
    done: usize,
    step: Step,
}

impl Vault {
    /// Replaces the root key, and the anchor's secret with it, at once and at any size: a root key or
    /// an anchor that leaked alone opens nothing any more. Slots stay; a leaked slot secret needs
    /// [`Vault::remove_slot`].
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`]; those of every write.
    pub fn rotate_root(&self, call: &Call<'_>) -> Result<RootRotated, Refusal> {
        self.write(call, "keys.rotate_root", |txn, policy, context, _| {
            context.principal.require(policy, Capability::KeysManage)?;
            let mut row = RotationRow::load(txn)?;
            row.root_at = Some(txn.now().as_millisecond());
            row.store(txn)?;
            txn.ask_for_new_root_key();
            let (epoch_before, epoch_after) = txn.epochs();
            Ok(RootRotated {
                epoch_before,
                epoch_after,
            })
        })
    }

    /// Gives every key of a person a successor and destroys the old ones. Cut off, a server's sweeper
    /// ends it.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::Erased`], [`Refusal::RoleDenied`]; those of every write.
    pub fn rotate_subject(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
    ) -> Result<Vec<KeyView>, Refusal> {
        let first = self.write(
            call,
            "keys.rotate_subject",
            move |txn, policy, context, noted| {
                noted.met = Some(subject);
                context.principal.require(policy, Capability::KeysManage)?;
                let person = context.remains(txn, subject)?;
                noted.person(&person, txn.now());
                rotation::step(txn, subject, 0, None, &mut Budget::whole())
            },
        )?;
        self.rotate_person_on(subject, first)?;
        let view = self.snapshot()?;
        let person = Person::find(&view, subject)?;
        drop(view);
        self.count_keys(person)
    }

    /// Ends what was begun for one person, and not as part of everybody's.
    pub(super) fn rotate_person_on(
        &self,
        subject: SubjectId,
        mut step: Step,
    ) -> Result<(), Refusal> {
        while step != Step::Done {
            let surveyed = self.surveyed(subject, step)?;
            step = self.engine.submit(move |txn| {
                rotation::step(txn, subject, 0, surveyed, &mut Budget::whole())
            })?;
        }
        Ok(())
    }

    /// Looks outside the writer whether anything is left under the old keys. Nothing can come under
    /// them any more, so what is not there now is not there when they go.
    fn surveyed(&self, subject: SubjectId, step: Step) -> Result<Option<u32>, Refusal> {
        let Step::Survey(up_to) = step else {
            return Ok(None);
        };
        let values = self.survey(subject)?;
        match values.range(..=up_to).next() {
            None => Ok(Some(up_to)),
            Some(_) => Err(Refusal::Internal(
                "a value is left under a key that was to be destroyed, which therefore stays",
            )),
        }
    }

    /// Envelopes of a person by the number of their key.
    fn survey(&self, subject: SubjectId) -> Result<BTreeMap<u32, u64>, Refusal> {
        let (mut values, mut cursor) = (BTreeMap::new(), Some(Cursor::default()));
        while let Some(from) = cursor {
            let view = self.snapshot()?;
            let person = Person::find(&view, subject)?;
            cursor = rotation::survey(&view, &person, from, ROTATION_SURVEY_ROWS, &mut values)?;
        }
        Ok(values)
    }

    /// Begins to give everybody new keys, or goes on with what was begun. `deep` also makes a new root
    /// key and new keys for rows of nobody, log and signature at once; at the end it builds the index
    /// under new keys, and seals again what is left under old ones. The work itself is
    /// [`Vault::rotate_on`]'s. The second part tells whether it had been begun before.
    ///
    /// # Errors
    ///
    /// [`Refusal::Conflict`] where one of the other kind is under way; [`Refusal::RoleDenied`].
    pub fn begin_rotation(
        &self,
        call: &Call<'_>,
        deep: bool,
    ) -> Result<(RotationView, bool), Refusal> {
        let (row, resumed) =
            self.write(call, "keys.rotate_all", move |txn, policy, context, _| {
                context.principal.require(policy, Capability::KeysManage)?;
                let mut row = RotationRow::load(txn)?;
                let resumed = row.stage != Stage::Ended;
                if resumed && row.deep != deep {
                    let kind = if row.deep { "with" } else { "without" };
                    return Err(Refusal::Conflict(format!(
                        "a rotation {kind} --deep is under way: let it end first"
                    )));
                }
                let now = txn.now().as_millisecond();
                row.paused = false;
                if !resumed {
                    row = RotationRow {
                        root_at: row.root_at,
                        number: row.number + 1,
                        deep,
                        stage: Stage::People,
                        begun_at: now,
                        total: txn.state().people,
                        set: txn.system().index_set(),
                        ..RotationRow::default()
                    };
                    if deep {
                        row.root_at = Some(now);
                        txn.ask_for_new_root_key();
                        let mut keys = txn.system().duplicate();
                        keys.system.succeed(txn.entropy());
                        keys.audit.succeed(txn.entropy());
                        keys.signing = Secret::generate(txn.entropy());
                        txn.replace_system(keys);
                        // Whoever reads the log finds where its key changed.
                        let time = txn.now();
                        let noted = Noted::default();
                        txn.record(context.entry(policy, time, "log.key", noted, "ok"));
                    }
                }
                row.store(txn)?;
                Ok((row, resumed))
            })?;
        let view = row.view(self.rotates()).ok_or(DAMAGED)?;
        Ok((view, resumed))
    }

    fn rotates(&self) -> bool {
        let jobs = self.jobs.list();
        jobs.iter()
            .any(|job| job.kind == JobKind::Rotation && job.state == JobState::Running)
    }

    /// Goes on with a rotation of everybody's keys that was begun, to its end, or to where it has to wait
    /// for something else, a backup under way; `None` where there is nothing to do, or somebody has
    /// paused it. `tell` hears after each leaf of the people map how far it is, and later after each
    /// commit.
    ///
    /// # Errors
    ///
    /// [`Refusal::Conflict`] where another thread does it already; those of every write. What was done
    /// stays done.
    pub fn rotate_on(
        &self,
        tell: &mut dyn FnMut(&RotationView) -> Onwards,
    ) -> Result<Option<RotationView>, Refusal> {
        let row = RotationRow::load(&self.snapshot()?)?;
        if row.stage == Stage::Ended || row.paused {
            return Ok(None);
        }
        let job = self.jobs.begin(JobKind::Rotation, "people")?;
        match self.rotate_leaves(&job, tell) {
            Ok(row) if row.stage == Stage::Ended => {
                job.done();
                Ok(row.view(false))
            }
            Ok(row) => {
                job.ended_early();
                Ok(row.view(false))
            }
            Err(refusal) => {
                job.failed(refusal.to_string());
                Err(refusal)
            }
        }
    }

    fn rotate_leaves(
        &self,
        job: &Job,
        tell: &mut dyn FnMut(&RotationView) -> Onwards,
    ) -> Result<RotationRow, Refusal> {
        loop {
            let row = RotationRow::load(&self.snapshot()?)?;
            if let Some(view) = row.view(true) {
                match view.stage {
                    Stage::Index | Stage::Marks | Stage::Rows => {
                        job.progress(view.step_done, Some(view.step_total));
                    }
                    _ => job.progress(view.done, Some(view.people)),
                }
                if tell(&view) == Onwards::No {
                    return Ok(row);
                }
            }
            if job.cancelled() {
                // Whoever closes the vault does not mean to stop it for good.
                self.check_open()?;
                return self.engine.submit(|txn| {
                    let mut row = RotationRow::load(txn)?;
                    row.paused = row.stage != Stage::Ended;
                    row.store(txn)?;
                    Ok(row)
                });
            }
            match row.stage {
                Stage::Ended => return Ok(row),
                Stage::People => {
                    // What is nobody's comes first, and again where somebody was killed in between.
                    if row.place == [0; 16] {
                        self.rekey_holders()?;
                    }
                    self.rotate_leaf(&row)?;
                }
                Stage::Index => self.rotate_index()?,
                Stage::Marks => self.drop_old_marks()?,
                Stage::Count => self.count_old_rows()?,
                Stage::Rows => match self.rotate_rows(&row)? {
                    Pace::On => {}
                    Pace::Wait => return Ok(row),
                },
            }
        }
    }

    /// New keys for everybody in the next leaf; the place moves on with the last of them.
    fn rotate_leaf(&self, row: &RotationRow) -> Result<(), Refusal> {
        let snapshot = self.snapshot()?;
        let (people, next) = snapshot.walk_people(row.place, ROTATION_LEAVES)?;
        drop(snapshot);
        let people: Vec<SubjectId> = people.into_iter().map(|(subject, _)| subject).collect();
        let number = row.number;
        let (mut at, mut skipped, mut alone) = (0, 0, false);
        let mut surveyed = None;
        loop {
            let end = if alone { at + 1 } else { people.len() };
            let rest = people[at..end.min(people.len())].to_vec();
            let last = at + rest.len() == people.len();
            let left_out = skipped;
            let all = people.len() as u64;
            let run = self.engine.submit(move |txn| {
                let leaf = rotate_some(txn, &rest, number, surveyed)?;
                if last && leaf.done == rest.len() {
                    let mut row = RotationRow::load(txn)?;
                    row.done += all - left_out;
                    row.skipped += left_out;
                    match next {
                        Some(next) => row.place = next,
                        None => end_of_people(txn, &mut row),
                    }
                    row.store(txn)?;
                }
                Ok(leaf)
            });
            match run {
                Ok(leaf) => {
                    at += leaf.done;
                    if last && leaf.step == Step::Done && at == people.len() {
                        return Ok(());
                    }
                    let Some(subject) = people.get(at) else {
                        continue;
                    };
                    surveyed = match self.surveyed(*subject, leaf.step) {
                        // Erased since.
                        Err(Refusal::Erased { .. } | Refusal::NotFound(_)) => None,
                        Err(refusal) if refusal.is_damage() => {
                            (at, skipped) = (at + 1, skipped + 1);
                            None
                        }
                        surveyed => surveyed?,
                    };
                }
                // One of them it is; the others are not to wait for whoever mends that.
                Err(refusal) if refusal.is_damage() && !alone && !people.is_empty() => alone = true,
                Err(refusal) if refusal.is_damage() && alone => {
                    (at, skipped) = (at + 1, skipped + 1);
                    alone = at < people.len();
                }
                Err(refusal) => return Err(refusal),
            }
        }
    }

    /// The state of the vault's keys.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`].
    pub fn keys(&self, call: &Call<'_>) -> Result<KeysView, Refusal> {
        let running = self.rotates();
        let epoch = self.engine.figures().epoch;
        self.read(
            call,
            "keys.list",
            None,
            |snapshot, policy, context, _| {
                context.principal.require(policy, Capability::KeysManage)?;
                let row = RotationRow::load(snapshot)?;
                let system = snapshot.system();
                Ok(KeysView {
                    epoch,
                    slots: system.slots.len(),
                    root_at: row.root_at.map(instant),
                    index_generation: system.placements.first().map_or(0, |p| p.generation),
                    index_in_work: system.placements.len() > 1,
                    index_keys: system.index_set(),
                    signer: Signers::of(snapshot.vault(), system).present().to_string(),
                    signers_past: system.signers.len(),
                    rotation: row.view(running),
                })
            },
            |view| view,
        )
    }

    /// The keys of a person, and how many values lie under each.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::Erased`], [`Refusal::RoleDenied`].
    pub fn subject_keys(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
    ) -> Result<Vec<KeyView>, Refusal> {
        let person = self.read(
            call,
            "keys.list",
            Some(subject),
            |snapshot, policy, context, noted| {
                noted.met = Some(subject);
                context.principal.require(policy, Capability::KeysManage)?;
                let person = context.remains(snapshot, subject)?;
                noted.person(&person, snapshot.now());
                Ok(person)
            },
            |person| person,
        )?;
        self.count_keys(person)
    }

    fn count_keys(&self, person: Person) -> Result<Vec<KeyView>, Refusal> {
        let subject = person.subject;
        drop(person);
        let values = self.survey(subject)?;
        let snapshot = self.snapshot()?;
        let policy = self.policy_of(&snapshot)?;
        let person = Person::find(&snapshot, subject)?;
        let views = person.keyset.keys.iter().map(|dek| {
            let newest = person.keyset.newest(dek.compartment);
            KeyView {
                key: dek.number,
                compartment: compartment_name(&policy, dek.compartment),
                period: match dek.compartment.period {
                    0 => None,
                    hour => Some(instant(i64::from(hour) * 3_600_000)),
                },
                current: newest.is_some_and(|newest| newest.number == dek.number),
                values: values.get(&dek.number).copied().unwrap_or(0),
            }
        });
        Ok(views.collect())
    }
}

/// As many of these people as one commit takes.
fn rotate_some(
    txn: &mut Txn<'_>,
    people: &[SubjectId],
    number: u64,
    mut surveyed: Option<u32>,
) -> Result<Leaf, Refusal> {
    let mut budget = Budget::whole();
    for (done, subject) in people.iter().enumerate() {
        if budget.spent() {
            let step = Step::More;
            return Ok(Leaf { done, step });
        }
        match rotation::step(txn, *subject, number, surveyed.take(), &mut budget) {
            // Erased since the snapshot: no key of theirs is left.
            Ok(Step::Done) | Err(Refusal::Erased { .. } | Refusal::NotFound(_)) => {}
            Ok(step) => return Ok(Leaf { done, step }),
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(Leaf {
        done: people.len(),
        step: Step::Done,
    })
}

fn end_of_people(txn: &Txn<'_>, row: &mut RotationRow) {
    match row.deep {
        true => row.enter(Stage::Index, txn.state().people),
        false => row.end(txn.now()),
    }
}

fn compartment_name(policy: &Policy, compartment: Compartment) -> String {
    let own = ["control", "general", "consents", "answers"];
    let number = usize::from(compartment.number);
    if let Some(name) = own.get(number) {
        return (*name).to_owned();
    }
    let collection = compartment.number.checked_sub(16);
    let collection = collection.and_then(|id| policy.collection_by_id(id));
    collection.map_or_else(
        || format!("compartment {number}"),
        |collection| collection.name.clone(),
    )
}
