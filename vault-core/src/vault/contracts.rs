//! The end of a person's contract: said, taken back, read. What the policy keeps `after = "contract_end"`
//! runs from there.

use jiff::Timestamp;

use super::call::{Context, Noted};
use super::{Call, Vault};
use crate::backup::ledger::LedgerEvent;
use crate::commit::{Txn, View};
use crate::contract::{self, ContractEvent};
use crate::id::SubjectId;
use crate::person::Person;
use crate::policy::{Anchor, Capability, Policy, Purpose};
use crate::refusal::Refusal;

/// What was said of the contract behind one purpose.
#[derive(Clone, Debug)]
pub struct ContractView {
    /// The purpose's name.
    pub purpose: String,
    /// When it ended; `None` while it runs.
    pub ended_at: Option<Timestamp>,
    /// Everything that was said, oldest first.
    pub history: Vec<ContractEvent>,
}

const CAPABILITY: Capability = Capability::SubjectsCreate;

/// A purpose that the role serves and that a contract's end bears on.
fn contractual<'p>(
    policy: &'p Policy,
    context: &Context,
    name: &str,
) -> Result<&'p Purpose, Refusal> {
    let purpose = policy.purpose(name).ok_or(Refusal::NotFound("purpose"))?;
    let role = context.role(policy)?;
    if !role.serves(purpose.id) {
        return Err(Refusal::PurposeDenied(format!(
            "the role `{}` does not serve this purpose",
            role.name
        )));
    }
    if purpose.retention.anchor != Anchor::ContractEnd {
        return Err(Refusal::Conflict(format!(
            "`{}` is kept after `{}`, and a contract's end changes nothing of that",
            purpose.name,
            purpose.retention.anchor.name()
        )));
    }
    Ok(purpose)
}

/// Notes when a contract ended; with `None`, that it runs after all.
pub(super) fn put(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    (purpose, ended_at): (&str, Option<Timestamp>),
) -> Result<ContractEvent, Refusal> {
    let mut person = context.admit(txn, policy, noted, subject, CAPABILITY)?;
    let purpose = contractual(policy, context, purpose)?;
    if ended_at.is_none() && contract::ended(txn, &person, purpose.id)?.is_none() {
        return Err(Refusal::NotFound("contract's end"));
    }
    let event = ContractEvent {
        ended_at,
        at: txn.now(),
    };
    contract::append(txn, &mut person, purpose.id, &event)?;
    txn.keep_in_ledger(LedgerEvent::ContractEnded {
        handle: person.entry.handle,
        purpose: purpose.id,
        ended_at: ended_at.map(|at| at.as_millisecond()),
    });
    Ok(event)
}

/// What was said of every contract of a person.
pub(super) fn list(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
) -> Result<Vec<ContractView>, Refusal> {
    let person = context.admit(view, policy, noted, subject, CAPABILITY)?;
    all(view, policy, &person)
}

/// What was said of every contract of a person.
pub(super) fn all(
    view: &dyn View,
    policy: &Policy,
    person: &Person,
) -> Result<Vec<ContractView>, Refusal> {
    let mut views = Vec::new();
    for purpose in policy.purposes() {
        let history = contract::history(view, person, purpose.id)?;
        let Some(last) = history.last() else { continue };
        views.push(ContractView {
            purpose: purpose.name.clone(),
            ended_at: last.ended_at,
            history,
        });
    }
    Ok(views)
}

impl Vault {
    /// Notes when the contract behind a purpose ended, or with `None` that it runs after all.
    ///
    /// # Errors
    ///
    /// [`Refusal::Conflict`] where the purpose is not kept after a contract's end; [`Refusal::NotFound`]
    /// also where there is no end to take back; [`Refusal::Erased`], [`Refusal::RoleDenied`],
    /// [`Refusal::PurposeDenied`].
    pub fn put_contract_end(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        purpose: &str,
        ended_at: Option<Timestamp>,
    ) -> Result<ContractEvent, Refusal> {
        let (action, purpose) = ("contracts.put", purpose.to_owned());
        self.write(call, action, move |txn, policy, context, noted| {
            put(txn, policy, context, noted, subject, (&purpose, ended_at))
        })
    }

    /// What was said of every contract of a person.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::Erased`], [`Refusal::RoleDenied`].
    pub fn list_contracts(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
    ) -> Result<Vec<ContractView>, Refusal> {
        self.read(
            call,
            "contracts.read",
            Some(subject),
            |snapshot, policy, context, noted| list(snapshot, policy, context, noted, subject),
            |views| views,
        )
    }
}
