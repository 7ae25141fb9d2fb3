//! People who do not exist: planted as the policy says, and whoever meets one is noticed.
//!
//! Nothing on the disk says who they are but the sealed policy: they are made, sealed and indexed as
//! everybody is. Which ids they have is found again at each opening by the names that they are known by,
//! and kept in memory. To a caller they answer as anybody does; the alarm goes another way.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use parking_lot::RwLock;

use super::call::{Context, Noted};
use super::{EmergencyAlarm, PickupAlarm, RequestAlarm, Vault, input};
use crate::commit::{Txn, View};
use crate::decision;
use crate::id::{CallId, RecordId, RequestId, SubjectId, TokenId};
use crate::limits::HONEY_KNOWN_MAX;
use crate::person::{self, DAMAGED, Person};
use crate::policy::{CollectionKind, HoneyPerson, Policy};
use crate::record;
use crate::refusal::Refusal;
use crate::remains;

/// The action of an alarm's entry in the log.
pub(super) const ACTION: &str = "honey.accessed";

/// Somebody met a person who does not exist. Holds no value, and no id of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoneyAlarm {
    /// When.
    pub time: Timestamp,
    /// The person's name inside the policy.
    pub person: String,
    /// The API key; `None` for an unlock secret.
    pub token: Option<TokenId>,
    /// Its role.
    pub role: String,
    /// What for, where that was stated and the policy knows it.
    pub purpose: Option<String>,
    /// What was tried: `records.read` and so on.
    pub action: &'static str,
    /// `ok`, or the code of the refusal.
    pub outcome: &'static str,
    /// The call's id, by which the log has it.
    pub request: CallId,
}

/// Who is told of alarms. Called on the thread of the call: it must not wait.
pub trait Alarms: Send + Sync {
    /// Somebody met a person who does not exist.
    fn honey(&self, alarm: &HoneyAlarm);

    /// Somebody took a step of emergency access, or tried to.
    fn emergency(&self, alarm: &EmergencyAlarm);

    /// A request is to be answered soon.
    fn request(&self, alarm: &RequestAlarm);

    /// A link to pick a copy up was tried again after it had been opened. Told once a link.
    fn pickup(&self, alarm: &PickupAlarm);

    /// A request cannot be watched: its row does not open, or that somebody was reminded of it cannot be written down.
    /// Told once as long as that lasts; the first leaves nobody reminded, the second may remind twice after a restart.
    fn unwatched_request(&self, request: RequestId, refusal: &Refusal);
}

/// Who they are, in memory.
#[derive(Default)]
pub(super) struct Known {
    people: RwLock<HashMap<SubjectId, Arc<str>>>,
    accesses: AtomicU64,
    alarms: OnceLock<Arc<dyn Alarms>>,
}

impl Known {
    /// The name of a person who does not exist.
    pub(super) fn name(&self, subject: SubjectId) -> Option<Arc<str>> {
        self.people.read().get(&subject).cloned()
    }

    /// Everybody who does not exist.
    pub(super) fn all(&self) -> HashSet<SubjectId> {
        self.people.read().keys().copied().collect()
    }

    pub(super) fn has(&self, subject: SubjectId) -> bool {
        self.people.read().contains_key(&subject)
    }

    /// Those who are planted now. Who was erased stays known: whoever still tries their id is noticed.
    fn learn(&self, planted: Vec<(SubjectId, Arc<str>)>) {
        let mut people = self.people.write();
        if people.len() + planted.len() > HONEY_KNOWN_MAX {
            people.clear();
        }
        people.extend(planted);
    }

    /// Tells whoever listens.
    pub(super) fn tell(&self, what: impl FnOnce(&dyn Alarms)) {
        if let Some(alarms) = self.alarms.get() {
            what(&**alarms);
        }
    }

    fn forget(&self, subjects: &[SubjectId]) {
        let mut people = self.people.write();
        subjects.iter().for_each(|subject| {
            people.remove(subject);
        });
    }

    pub(super) fn accesses(&self) -> u64 {
        self.accesses.load(Ordering::Relaxed)
    }
}

/// A meeting that is to be told of.
pub(super) struct Met {
    pub(super) person: Arc<str>,
    pub(super) action: &'static str,
    pub(super) outcome: &'static str,
}

/// Whom a policy planted, took away, and what there is to tell of it.
#[derive(Default)]
pub(super) struct Planted {
    people: Vec<(SubjectId, Arc<str>)>,
    removed: Vec<SubjectId>,
}

fn subject_of(view: &dyn View, person: &HoneyPerson) -> Result<Option<SubjectId>, Refusal> {
    let mark = person::channel_mark(view, &person.channel, &person.user)?;
    Ok(view.index_hits(&mark)?.first().map(|hit| hit.subject))
}

/// Makes whoever is missing.
fn plant(txn: &mut Txn<'_>, policy: &Policy) -> Result<Vec<(SubjectId, Arc<str>)>, Refusal> {
    let mut planted = Vec::new();
    for invented in &policy.honey().people {
        let subject = match subject_of(txn, invented)? {
            Some(subject) => subject,
            None => make(txn, policy, invented)?,
        };
        planted.push((subject, invented.name.as_str().into()));
    }
    Ok(planted)
}

fn make(txn: &mut Txn<'_>, policy: &Policy, invented: &HoneyPerson) -> Result<SubjectId, Refusal> {
    let mut person = Person::create(txn, &invented.channel, &invented.user)?;
    let grant = decision::plant();
    let version = policy.version();
    for (name, records) in &invented.records {
        let collection = policy.collection(name).ok_or(DAMAGED)?;
        for fields in records {
            let body = input::body(policy, collection, fields.clone(), "");
            if !body.errors.is_empty() {
                return Err(Refusal::Internal(
                    "an invented person does not fit the policy",
                ));
            }
            let patch = &body.patch;
            match collection.kind {
                CollectionKind::Many => {
                    record::append(txn, &mut person, collection, version, &grant, patch)?
                }
                CollectionKind::Single => {
                    let id = RecordId::SINGLE;
                    record::change(
                        txn,
                        &mut person,
                        collection,
                        version,
                        &grant,
                        id,
                        None,
                        patch,
                    )?
                }
            };
        }
    }
    Ok(person.subject)
}

/// What applying a policy does: plants who is new in it, and erases who is no more. Refused where
/// somebody who is new in it is there already: that is a real person.
pub(super) fn apply(
    txn: &mut Txn<'_>,
    context: &Context,
    current: &Policy,
    next: &Policy,
) -> Result<Planted, Refusal> {
    let mut removed = Vec::new();
    for invented in &next.honey().people {
        let before = current.honey().has(&invented.channel, &invented.user);
        if !before && subject_of(txn, invented)?.is_some() {
            return Err(Refusal::Conflict(format!(
                "honey.people.{}: somebody is known by this channel and user already; invent another",
                invented.name
            )));
        }
    }
    for invented in &current.honey().people {
        if next.honey().has(&invented.channel, &invented.user) {
            continue;
        }
        let Some(subject) = subject_of(txn, invented)? else {
            continue;
        };
        let person = Person::find(txn, subject)?;
        let receipt = remains::whole(txn, &person)?;
        let noted = Noted {
            receipt: Some((receipt.id, receipt.body_sha256)),
            ..Noted::default()
        };
        let entry = context.entry(current, txn.now(), "subjects.erase", noted, "ok");
        txn.record(entry);
        removed.push(subject);
    }
    let people = plant(txn, next)?;
    Ok(Planted { people, removed })
}

impl Vault {
    /// Who is told of alarms from now on. Only the first is.
    pub fn on_alarm(&self, alarms: Arc<dyn Alarms>) {
        let _ = self.memory.honey.alarms.set(alarms);
    }

    /// How often somebody met a person who does not exist, since the vault was opened.
    #[must_use]
    pub fn honey_accesses(&self) -> u64 {
        self.memory.honey.accesses()
    }

    pub(super) fn learn(&self, planted: Planted) {
        self.memory.honey.forget(&planted.removed);
        self.memory.honey.learn(planted.people);
    }

    /// Finds the people of the policy who do not exist, and makes those who are missing: somebody may
    /// have erased one.
    pub(super) fn plant_honey(&self) -> Result<(), Refusal> {
        let snapshot = self.snapshot()?;
        let policy = self.policy_of(&snapshot)?;
        let mut known = Vec::new();
        for invented in &policy.honey().people {
            if let Some(subject) = subject_of(&snapshot, invented)? {
                known.push((subject, invented.name.as_str().into()));
            }
        }
        drop(snapshot);
        let missing = known.len() < policy.honey().people.len();
        self.memory.honey.learn(known);
        if missing {
            let planted = self.engine.submit(move |txn| {
                // The next pass does it under the policy that is in force then.
                match txn.state_mut().policy_version == policy.version() {
                    true => plant(txn, &policy),
                    false => Ok(Vec::new()),
                }
            })?;
            self.memory.honey.learn(planted);
        }
        Ok(())
    }

    /// Whether this role's work over many people passes by those who do not exist.
    pub(super) fn passes_by(&self, policy: &Policy, context: &Context) -> bool {
        let roles = &policy.honey().left_out_for;
        roles.iter().any(|role| role == context.principal.role())
    }

    /// What a call about this person is to be told of, if they do not exist.
    pub(super) fn met(
        &self,
        subject: Option<SubjectId>,
        action: &'static str,
        outcome: &'static str,
    ) -> Option<Met> {
        let person = self.memory.honey.name(subject?)?;
        Some(Met {
            person,
            action,
            outcome,
        })
    }

    /// Raises an alarm: an entry of the log, a count, and whoever listens. The caller is told nothing.
    pub(super) fn alarm(&self, context: &Context, met: Met) {
        let policy = self.policy.lock().clone();
        // No tag: a person's own ledger must not tell that there is something about them.
        let entry = context.entry(
            &policy,
            self.engine.now(),
            ACTION,
            Noted::default(),
            met.outcome,
        );
        // The call's own entry stands in any case; a journal that cannot be written refuses reads.
        let _ = self.engine.record_read(&entry);
        let honey = &self.memory.honey;
        honey.accesses.fetch_add(1, Ordering::Relaxed);
        honey.tell(|alarms| {
            alarms.honey(&HoneyAlarm {
                time: entry.time,
                person: met.person.to_string(),
                token: context.principal.token(),
                role: entry.role,
                purpose: entry.purpose,
                action: met.action,
                outcome: met.outcome,
                request: entry.request,
            });
        });
    }
}
