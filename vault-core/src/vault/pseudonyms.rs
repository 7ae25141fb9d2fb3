//! Pseudonyms of people: issued for a purpose and a recipient, and resolved again.

use super::call::{Context, Noted};
use super::{Call, Vault};
use crate::commit::{Txn, View};
use crate::consent;
use crate::decision;
use crate::id::{PairwiseId, SubjectId};
use crate::person::Person;
use crate::policy::{Capability, LawfulBasis, Policy, Purpose};
use crate::pseudonym;
use crate::refusal::Refusal;
use crate::standing::Standing;

/// A pseudonym of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PseudonymIssued {
    /// What the recipient calls the person.
    pub pseudonym: PairwiseId,
    /// Whether it was issued just now.
    pub created: bool,
}

/// The recipient of that name, whom the purpose names in the policy. `None`, the controller itself, is
/// everybody's.
pub(super) fn recipient<'a>(
    purpose: &Purpose,
    recipient: Option<&'a str>,
) -> Result<Option<&'a str>, Refusal> {
    match recipient {
        Some(name) if !purpose.recipients.iter().any(|known| known == name) => {
            Err(Refusal::PurposeDenied(format!(
                "`{}` names no such recipient in the policy",
                purpose.name
            )))
        }
        known => Ok(known),
    }
}

/// The purpose that the caller states, if it is good for this person now: that they are named, or found by a
/// name, is a use of what is known of them.
fn grounded<'p>(
    view: &dyn View,
    policy: &'p Policy,
    context: &Context,
    person: &Person,
) -> Result<&'p Purpose, Refusal> {
    let role = context.role(policy)?;
    let mut standing = Standing::of(view, person)?;
    decision::nameable(&role, &standing, context.restricted_use)?;
    let purpose = decision::purpose(policy, &role, context.purpose.as_deref())?;
    if purpose.basis == LawfulBasis::Consent {
        standing.consent = consent::state(view, person, purpose.id)?;
    }
    // A name says nothing of special data.
    decision::basis(purpose, &standing, std::iter::empty())?;
    Ok(purpose)
}

/// A person's pseudonym for the stated purpose and a recipient.
pub(super) fn issue(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    to: Option<&str>,
) -> Result<PseudonymIssued, Refusal> {
    let capability = Capability::DisclosuresRecord;
    let mut person = context.admit(txn, policy, noted, subject, capability)?;
    let purpose = grounded(txn, policy, context, &person)?;
    let to = recipient(purpose, to)?;
    let (pseudonym, created) = pseudonym::issue(txn, &mut person, purpose.id, to)?;
    Ok(PseudonymIssued { pseudonym, created })
}

/// Whom a pseudonym stands for: of the stated purpose, or of any for whoever decides people's requests and
/// states `rights`.
pub(super) fn resolve(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    pseudonym: PairwiseId,
) -> Result<SubjectId, Refusal> {
    let capability = Capability::TokensDetokenize;
    context.principal.require(policy, capability)?;
    let rights = context.corrects(policy)?;
    if !rights {
        // Before anything is looked for: who is refused learns nothing of what there is.
        let role = context.role(policy)?;
        decision::purpose(policy, &role, context.purpose.as_deref())?;
    }
    // One of another purpose, one whose person is erased and one that never was are all the same.
    let nobody = || Refusal::NotFound("pseudonym");
    let hits = pseudonym::hits(view, pseudonym)?;
    let [subject] = context.reachable(view, hits)?[..] else {
        return Err(nobody());
    };
    noted.met = Some(subject);
    let person = context.person(view, subject)?;
    let issued = pseudonym::issued(view, &person)?.into_iter();
    let one = issued.into_iter().find(|one| one.pseudonym == pseudonym);
    let stated = context
        .purpose
        .as_deref()
        .and_then(|name| policy.purpose(name));
    let fits =
        |one: &pseudonym::Issued| rights || stated.is_some_and(|purpose| purpose.id == one.purpose);
    one.filter(fits).ok_or_else(nobody)?;
    noted.person(&person, view.now());
    if !rights {
        grounded(view, policy, context, &person)?;
    }
    Ok(subject)
}

impl Vault {
    /// A person's pseudonym for the stated purpose and a recipient that the purpose names; `None` stands for
    /// the controller itself. The same each time; nobody can join two of one person.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::Erased`], [`Refusal::RoleDenied`], [`Refusal::PurposeMissing`],
    /// [`Refusal::PurposeDenied`] also for a recipient that the purpose does not name; those of a use that has
    /// no basis; [`Refusal::TooLarge`].
    pub fn issue_pseudonym(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        recipient: Option<&str>,
    ) -> Result<PseudonymIssued, Refusal> {
        let recipient = recipient.map(str::to_owned);
        let action = "pseudonyms.issue";
        self.write(call, action, move |txn, policy, context, noted| {
            issue(txn, policy, context, noted, subject, recipient.as_deref())
        })
    }

    /// Whom a pseudonym stands for, for the purpose that it was issued for.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`] for one that never was, that is another purpose's or whose person is erased;
    /// [`Refusal::RoleDenied`], [`Refusal::PurposeMissing`], [`Refusal::PurposeDenied`]; those of a use that
    /// has no basis.
    pub fn resolve_pseudonym(
        &self,
        call: &Call<'_>,
        pseudonym: PairwiseId,
    ) -> Result<SubjectId, Refusal> {
        self.read(
            call,
            "tokens.detokenize",
            None,
            |snapshot, policy, context, noted| resolve(snapshot, policy, context, noted, pseudonym),
            |subject| subject,
        )
    }
}
