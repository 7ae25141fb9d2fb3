//! Calls about people as such.

use jiff::Timestamp;
use serde_json::Value;

use super::call::{Context, Noted};
use super::guard::Memory;
use super::input::{check_text, look_up_field};
use super::{Call, Vault, suppressions};
use crate::commit::{Txn, View};
use crate::id::SubjectId;
use crate::keys::system::CHANNEL_FIELD;
use crate::limits::{CHANNEL_USER_BYTES_MAX, LABEL_BYTES_MAX};
use crate::person::{self, Person, instant};
use crate::policy::{Capability, Policy};
use crate::record;
use crate::refusal::{InputError, Refusal};
use crate::remains;
use crate::standing::{self, HoldEvent, Standing};

/// A person without a value.
#[derive(Clone, Debug)]
pub struct SubjectView {
    /// Who.
    pub subject: SubjectId,
    /// Since when.
    pub created_at: Timestamp,
    /// `active`, or `erasing` where a legal hold keeps the rest; an erased person is a refusal.
    pub state: &'static str,
    /// Whether processing is restricted.
    pub restricted: bool,
    /// Whether a legal hold stands.
    pub held: bool,
    /// How many records they have in each collection of the policy.
    pub collections: Vec<CollectionCount>,
}

/// Records of one collection.
#[derive(Clone, Debug)]
pub struct CollectionCount {
    /// The collection's name.
    pub collection: String,
    /// How many.
    pub records: u64,
}

pub(super) fn check_identity(channel: &str, user: &str) -> Result<(), Refusal> {
    let mut errors = Vec::new();
    check_text(&mut errors, "/channel", channel, LABEL_BYTES_MAX);
    check_text(&mut errors, "/user", user, CHANNEL_USER_BYTES_MAX);
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Refusal::Invalid(errors))
    }
}

/// A key that is bound to channels makes people on these alone. Decided by the name of the channel,
/// so that it tells nothing of who is there.
pub(super) fn on_channel(context: &Context, channel: &str) -> Result<(), Refusal> {
    match context.knows_channel(channel) {
        true => Ok(()),
        false => Err(Refusal::RoleDenied(
            "this key is bound to other channels".into(),
        )),
    }
}

/// The person known as `user` on `channel`, for whoever would make them.
pub(super) fn known(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    memory: &Memory,
    channel: &str,
    user: &str,
) -> Result<Option<SubjectId>, Refusal> {
    context
        .principal
        .require(policy, Capability::SubjectsCreate)?;
    on_channel(context, channel)?;
    check_identity(channel, user)?;
    let mark = person::channel_mark(view, channel, user)?;
    let hits = view.index_hits(&mark)?;
    if hits.is_empty() && memory.guard.refuses(&mark, view.now()) {
        return Err(Refusal::Erased { receipt: None });
    }
    noted.met = hits.first().map(|hit| hit.subject);
    Ok(noted.met)
}

/// Notes that a person is there again.
pub(super) fn came_back(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    subject: SubjectId,
) -> Result<(), Refusal> {
    match context.speaks(policy) {
        true => Person::find(txn, subject)?.acted(txn),
        false => Ok(()),
    }
}

/// The person known as `user` on `channel`, made if there is none; and whether they were.
pub(super) fn create(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    channel: &str,
    user: &str,
) -> Result<(SubjectId, bool), Refusal> {
    context
        .principal
        .require(policy, Capability::SubjectsCreate)?;
    on_channel(context, channel)?;
    let mark = person::channel_mark(txn, channel, user)?;
    if let Some(subject) = txn.index_hits(&mark)?.first().map(|hit| hit.subject) {
        noted.met = Some(subject);
        came_back(txn, policy, context, subject)?;
        return Ok((subject, false));
    }
    let mut person = Person::create(txn, channel, user)?;
    suppressions::made(txn, policy, context, &mut person, (channel, user))?;
    noted.person(&person, txn.now());
    Ok((person.subject, true))
}

/// The person known as `user` on `channel`.
pub(super) fn by_channel(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    memory: &Memory,
    channel: &str,
    user: &str,
) -> Result<SubjectId, Refusal> {
    context
        .principal
        .require(policy, Capability::SubjectsLookup)?;
    if !context.knows_channel(channel) {
        return Err(Refusal::NotFound("person"));
    }
    check_identity(channel, user)?;
    let mark = person::channel_mark(view, channel, user)?;
    match view.index_hits(&mark)?.first() {
        Some(hit) => {
            noted.met = Some(hit.subject);
            Ok(hit.subject)
        }
        None if memory.guard.refuses(&mark, view.now()) => Err(Refusal::Erased { receipt: None }),
        None => Err(Refusal::NotFound("person")),
    }
}

/// The person whose `collection.field` has this value.
pub(super) fn by_field(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    field: &str,
    value: &Value,
) -> Result<SubjectId, Refusal> {
    context
        .principal
        .require(policy, Capability::SubjectsLookup)?;
    let (collection, field) = look_up_field(policy, field)?;
    noted.fields.push((collection.id, field.id));
    field.kind.check(value).map_err(|complaint| {
        Refusal::Invalid(vec![InputError {
            pointer: format!("/value{}", complaint.pointer),
            code: complaint.code,
            detail: complaint.detail,
        }])
    })?;
    let mark = record::mark(view, collection, field, value).ok_or(Refusal::NotFound("person"))?;
    match context.reachable(view, view.index_hits(&mark)?)?[..] {
        [] => Err(Refusal::NotFound("person")),
        [subject] => {
            noted.met = Some(subject);
            Ok(subject)
        }
        _ => Err(Refusal::Ambiguous),
    }
}

/// What there is of a person, without a value.
pub(super) fn view(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
) -> Result<SubjectView, Refusal> {
    context
        .principal
        .require(policy, Capability::SubjectsView)?;
    let person = context.remains(view, subject)?;
    noted.person(&person, view.now());
    let mut collections = Vec::new();
    for collection in policy.collections() {
        collections.push(CollectionCount {
            collection: collection.name.clone(),
            records: record::count(view, &person, collection.id)?,
        });
    }
    let standing = Standing::of(view, &person)?;
    let pending = standing.hold().is_some_and(|hold| hold.erasure.is_some());
    Ok(SubjectView {
        subject,
        created_at: instant(person.row(view)?.created_at),
        state: if pending { "erasing" } else { "active" },
        restricted: standing.restricted(),
        held: standing.hold().is_some(),
        collections,
    })
}

/// Erases a person but for what a legal hold keeps; which hold that is.
pub(super) fn erase(
    txn: &mut Txn<'_>,
    policy: &Policy,
    noted: &mut Noted,
    person: Person,
) -> Result<(person::Receipt, Option<HoldEvent>), Refusal> {
    let hold = match standing::hold(txn, &person)? {
        Some(hold) if remains::any(txn, &person, &hold)? => Some(hold),
        _ => None,
    };
    let receipt = match hold.clone() {
        Some(hold) => remains::erase(txn, policy, person, hold)?,
        None => remains::whole(txn, &person)?,
    };
    noted.receipt = Some((receipt.id, receipt.body_sha256));
    Ok((receipt, hold))
}

impl Vault {
    /// The person known as `user` on `channel`, made if there is none; and whether they were.
    ///
    /// # Errors
    ///
    /// [`Refusal::Erased`] for fifteen minutes after they were erased; [`Refusal::RoleDenied`],
    /// [`Refusal::Invalid`], and those of every write.
    pub fn create_subject(
        &self,
        call: &Call<'_>,
        channel: &str,
        user: &str,
    ) -> Result<(SubjectId, bool), Refusal> {
        // Most calls find somebody, and a read does not wait for a commit.
        let found = self.read(
            call,
            "subjects.create",
            None,
            |snapshot, policy, context, noted| {
                let memory = &self.memory;
                let found = known(snapshot, policy, context, noted, memory, channel, user)?;
                // Once a day their coming is noted, which takes a commit.
                let Some(subject) = found.filter(|_| context.speaks(policy)) else {
                    return Ok(found.map(|subject| (subject, false)));
                };
                let away = Person::find(snapshot, subject)?.was_away(snapshot)?;
                Ok(Some((subject, away)))
            },
            |found| found,
        )?;
        if let Some((subject, away)) = found {
            if away {
                let noted = self
                    .engine
                    .submit(move |txn| Person::find(txn, subject)?.acted(txn));
                // Whoever is gone since is the next call's to meet.
                if !matches!(noted, Err(Refusal::Erased { .. })) {
                    noted?;
                }
            }
            return Ok((subject, false));
        }
        let (channel, user) = (channel.to_owned(), user.to_owned());
        self.write(
            call,
            "subjects.create",
            move |txn, policy, context, noted| create(txn, policy, context, noted, &channel, &user),
        )
    }

    /// The person known as `user` on `channel`.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::Erased`], [`Refusal::RoleDenied`], [`Refusal::Invalid`].
    pub fn lookup_channel(
        &self,
        call: &Call<'_>,
        channel: &str,
        user: &str,
    ) -> Result<SubjectId, Refusal> {
        self.read(
            call,
            "subjects.lookup",
            None,
            |snapshot, policy, context, noted| {
                by_channel(
                    snapshot,
                    policy,
                    context,
                    noted,
                    &self.memory,
                    channel,
                    user,
                )
            },
            |subject| subject,
        )
    }

    /// The person whose `collection.field` has this value.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::Ambiguous`], [`Refusal::RoleDenied`],
    /// [`Refusal::Invalid`].
    pub fn lookup_field(
        &self,
        call: &Call<'_>,
        field: &str,
        value: &Value,
    ) -> Result<SubjectId, Refusal> {
        self.read(
            call,
            "subjects.lookup",
            None,
            |snapshot, policy, context, noted| {
                by_field(snapshot, policy, context, noted, field, value)
            },
            |subject| subject,
        )
    }

    /// What there is of a person, without a value.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::Erased`], [`Refusal::RoleDenied`].
    pub fn view_subject(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
    ) -> Result<SubjectView, Refusal> {
        self.read(
            call,
            "subjects.view",
            Some(subject),
            |snapshot, policy, context, noted| view(snapshot, policy, context, noted, subject),
            |view| view,
        )
    }

    /// Erases a person and returns the receipt: once this has returned, the keys are gone. What a legal
    /// hold keeps stays, under new keys, until it is released; the receipt names it.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::Erased`] if it was done before, [`Refusal::RoleDenied`],
    /// [`Refusal::AnchorUnavailable`], and those of every write.
    pub fn erase_subject(&self, call: &Call<'_>, subject: SubjectId) -> Result<Value, Refusal> {
        self.guard_from(subject)?;
        let (id, mut document) = self.write(
            call,
            "subjects.erase",
            move |txn, policy, context, noted| {
                noted.met = Some(subject);
                context
                    .principal
                    .require(policy, Capability::SubjectsErase)?;
                let person = context.remains(txn, subject)?;
                let (receipt, _) = erase(txn, policy, noted, person)?;
                Ok((receipt.id, receipt.document))
            },
        )?;
        self.memory.forget(subject);
        self.prove(id, &mut document);
        Ok(document)
    }

    /// The guard stands before the person is gone: a bot that is in between meets one or the other. If nothing
    /// is erased it is in nobody's way, since a person who is there is found.
    pub(super) fn guard_from(&self, subject: SubjectId) -> Result<(), Refusal> {
        if let Ok(person) = Person::find(&self.snapshot()?, subject) {
            let now = self.engine.now();
            let channels = person
                .keyset
                .lookups
                .iter()
                .filter(|l| l.field == CHANNEL_FIELD);
            channels.for_each(|lookup| self.memory.guard.add(&lookup.mark, now));
        }
        Ok(())
    }
}
