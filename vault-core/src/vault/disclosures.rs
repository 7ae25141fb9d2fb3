//! Calls about what recipients were given of a person (Art. 15(1)(c) and 19 GDPR).

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::call::{Context, Ground, Noted};
use super::input;
use super::{Call, Vault};
use crate::commit::{Txn, View};
use crate::decision;
use crate::disclosure::{self, Line};
use crate::id::{DisclosureId, PairwiseId, RecipientNoticeId, SubjectId};
use crate::limits::DISCLOSED_FIELDS_MAX;
use crate::outbox::{self, NoticeKind};
use crate::pairwise::Pairwise;
use crate::person::{DAMAGED, Person};
use crate::policy::{Capability, Collection, Field, Policy};
use crate::refusal::Refusal;

const CAPABILITY: Capability = Capability::DisclosuresRecord;

/// What a recipient is or was given.
#[derive(Clone, Debug)]
pub struct DisclosureInput {
    /// The recipient's name in the policy.
    pub recipient: String,
    /// The purpose's name.
    pub purpose: String,
    /// `collection.field` of each field.
    pub fields: Vec<String>,
    /// When, if not now.
    pub at: Option<Timestamp>,
}

/// A field in the account of a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisclosedField {
    /// `collection.field`.
    pub field: String,
    /// When it was given first.
    pub first_at: Timestamp,
    /// And last.
    pub last_at: Timestamp,
    /// How often.
    pub count: u64,
}

/// A notice that a recipient is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldView {
    /// Which.
    pub notice: RecipientNoticeId,
    /// What it tells.
    pub kind: NoticeKind,
    /// When it was made.
    pub at: Timestamp,
    /// Where it stands, as in the list of notices; `gone` once its keys are.
    pub state: &'static str,
}

/// What one recipient was given of a person for one purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisclosureView {
    /// The line of the account.
    pub disclosure: DisclosureId,
    /// The recipient's name in the policy.
    pub recipient: String,
    /// The name that people are told; none where the policy has it no more.
    pub legal_name: Option<String>,
    /// The purpose's name.
    pub purpose: String,
    /// What the recipient calls the person by, for this purpose.
    pub reference: PairwiseId,
    /// The first time.
    pub first_at: Timestamp,
    /// The last.
    pub last_at: Timestamp,
    /// How often.
    pub count: u64,
    /// Each field.
    pub fields: Vec<DisclosedField>,
    /// The newest of what they were told; empty for callers who decide no requests.
    pub notices: Vec<ToldView>,
}

fn shown(policy: &Policy, names: &Pairwise, line: &Line) -> DisclosureView {
    let recipients = policy.recipients().iter();
    let mut known = recipients.filter(|recipient| recipient.name == line.recipient);
    let fields = line.fields.iter().map(|given| DisclosedField {
        field: input::field_name(policy, given.field),
        first_at: given.first_at,
        last_at: given.last_at,
        count: given.count,
    });
    DisclosureView {
        disclosure: line.id,
        recipient: line.recipient.clone(),
        legal_name: known.next().map(|recipient| recipient.legal_name.clone()),
        purpose: input::purpose_name(policy, line.purpose),
        reference: names.name(line.purpose, &line.recipient),
        first_at: line.first_at,
        last_at: line.at,
        count: line.count,
        fields: fields.collect(),
        notices: Vec::new(),
    }
}

/// The fields that are named, by collection; what is none is a complaint.
fn fields<'p>(
    policy: &'p Policy,
    names: &[String],
    errors: &mut Vec<crate::refusal::InputError>,
) -> BTreeMap<u16, (&'p Collection, Vec<&'p Field>)> {
    let mut found: BTreeMap<u16, (&Collection, Vec<&Field>)> = BTreeMap::new();
    if names.is_empty() || names.len() > DISCLOSED_FIELDS_MAX {
        let detail = format!("1 to {DISCLOSED_FIELDS_MAX} fields");
        errors.push(input::error("/fields", "length", detail));
        return found;
    }
    for (at, name) in names.iter().enumerate() {
        match input::field(policy, name) {
            Ok((collection, field)) => {
                let (_, fields) = found
                    .entry(collection.id)
                    .or_insert((collection, Vec::new()));
                if !fields.iter().any(|known| known.id == field.id) {
                    fields.push(field);
                }
            }
            Err(_) => errors.push(input::error(
                format!("/fields/{at}"),
                "unknown_field",
                "`collection.field` of the policy",
            )),
        }
    }
    found
}

/// Notes what a recipient is given. Refused where it may not be given now.
pub(super) fn record(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    input: &DisclosureInput,
) -> Result<DisclosureView, Refusal> {
    let mut person = context.admit(txn, policy, noted, subject, CAPABILITY)?;
    let role = &*context.role(policy)?;
    let mut errors = Vec::new();
    let named = fields(policy, &input.fields, &mut errors);
    let mut recipients = policy.recipients().iter();
    if !recipients.any(|known| known.name == input.recipient) {
        let detail = "a recipient of the policy";
        errors.push(input::error("/recipient", "unknown_recipient", detail));
    }
    if input.at.is_some_and(|at| at > txn.now()) {
        errors.push(input::error(
            "/at",
            "future",
            "what happened, and when it did",
        ));
    }
    let stated = context.stating(Some(&input.purpose));
    let mut purpose = None;
    for (collection, fields) in named.values() {
        let ground = stated.ground(txn, policy, role, &person, collection)?;
        let Ground { standing, .. } = ground;
        // Whoever is unknown is complained of below, after what is refused.
        if errors.is_empty() {
            decision::disclose(
                collection,
                ground.purpose,
                &input.recipient,
                fields,
                &standing,
            )?;
        }
        purpose = Some(ground.purpose.id);
    }
    let purpose = match purpose {
        Some(purpose) if errors.is_empty() => purpose,
        _ => return Err(Refusal::Invalid(errors)),
    };
    let of = |(collection, fields): &(&Collection, Vec<&Field>)| {
        let ids = fields.iter().map(|field| (collection.id, field.id));
        ids.collect::<Vec<_>>()
    };
    let ids: Vec<(u16, u16)> = named.values().flat_map(of).collect();
    noted.fields.extend(&ids);
    let names = Pairwise::ensure(txn, &mut person)?;
    let at = input.at.unwrap_or_else(|| txn.now());
    let to = (input.recipient.as_str(), purpose);
    let line = disclosure::record(txn, &mut person, to, &ids, at)?;
    Ok(shown(policy, &names, &line))
}

/// What every recipient was given.
pub(super) fn list(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
) -> Result<Vec<DisclosureView>, Refusal> {
    let decides = Capability::RequestsDecide;
    noted.met = Some(subject);
    context
        .principal
        .require_any(policy, &[CAPABILITY, decides])?;
    let person = context.person(view, subject)?;
    noted.person(&person, view.now());
    let mut views = all(view, policy, &person)?;
    if context.principal.require(policy, decides).is_err() {
        views.iter_mut().for_each(|view| view.notices.clear());
    }
    Ok(views)
}

/// The same, whoever asks.
pub(super) fn all(
    view: &dyn View,
    policy: &Policy,
    person: &Person,
) -> Result<Vec<DisclosureView>, Refusal> {
    let lines = disclosure::lines(view, person)?;
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    let names = Pairwise::of(view, person)?.ok_or(DAMAGED)?;
    let mut views = Vec::new();
    for (_, line) in &lines {
        let mut shown = shown(policy, &names, line);
        for told in &line.told {
            let row = outbox::load(view, &told.place())?;
            shown.notices.push(ToldView {
                notice: told.notice,
                kind: told.kind,
                at: told.at,
                state: row.map_or("gone", |row| super::recipient_notices::state(policy, &row)),
            });
        }
        views.push(shown);
    }
    Ok(views)
}

impl Vault {
    /// Notes that a recipient is given fields of a person for a purpose, and returns their line of the
    /// account: the same again adds to it. Refused exactly where these fields may not be used for this purpose
    /// now, and where the purpose does not name the recipient.
    ///
    /// # Errors
    ///
    /// In this order: [`Refusal::RoleDenied`], [`Refusal::NotFound`], [`Refusal::Erased`],
    /// [`Refusal::Held`], [`Refusal::Restricted`], [`Refusal::PurposeDenied`],
    /// [`Refusal::NoLawfulBasis`], [`Refusal::ConsentRequired`], [`Refusal::Invalid`].
    pub fn record_disclosure(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        input: DisclosureInput,
    ) -> Result<DisclosureView, Refusal> {
        let action = "disclosures.record";
        self.write(call, action, move |txn, policy, context, noted| {
            record(txn, policy, context, noted, subject, &input)
        })
    }

    /// What every recipient was given of a person; and, for whoever decides requests, what they were told
    /// since and where that stands.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::Erased`], [`Refusal::RoleDenied`].
    pub fn list_disclosures(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
    ) -> Result<Vec<DisclosureView>, Refusal> {
        self.read(
            call,
            "disclosures.list",
            Some(subject),
            |snapshot, policy, context, noted| list(snapshot, policy, context, noted, subject),
            |views| views,
        )
    }
}
