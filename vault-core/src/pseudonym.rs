//! Pseudonyms that were issued: a person's name for one purpose and recipient, by which the vault finds
//! them again.
//!
//! The name itself is made in [`pairwise`](crate::pairwise). Here it gets an entry in the index, as a
//! look-up value has, and a line in the person's own list of what was issued. Both go with the person: then
//! a pseudonym is as one that never was, and nothing is kept by which the two could be told apart. Knows
//! nothing of who may ask for one.
//!
//! Source: GDPR Art. 4(5), 17, 25(1).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::commit::{IndexHit, Txn, View};
use crate::events::{self, Topic};
use crate::id::PairwiseId;
use crate::keys::keyset::Lookup;
use crate::keys::system::PSEUDONYM_FIELD;
use crate::limits::{LOOKUPS_PER_PERSON_MAX, PSEUDONYMS_PER_PERSON_MAX};
use crate::pairwise::Pairwise;
use crate::person::{DAMAGED, Person};
use crate::refusal::Refusal;
use crate::schema::NORMALISER_VERSION;

/// How it is stored that one was issued. The pseudonym is not in it: it follows from the person's secret.
#[derive(Serialize, Deserialize)]
pub(crate) struct IssuedEvent {
    pub(crate) purpose: u16,
    /// The recipient's name in the policy; `None` for the controller's own use.
    pub(crate) recipient: Option<String>,
    pub(crate) at: Timestamp,
}

/// One that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Issued {
    pub(crate) pseudonym: PairwiseId,
    pub(crate) purpose: u16,
    pub(crate) recipient: Option<String>,
    pub(crate) at: Timestamp,
}

/// No recipient of a policy has an empty name, so that what the controller uses itself is shared with none.
fn name(pairwise: &Pairwise, purpose: u16, recipient: Option<&str>) -> PairwiseId {
    pairwise.name(purpose, recipient.unwrap_or_default())
}

/// The entries that a pseudonym has to have in the index: one, or two while marks are made anew.
pub(crate) fn lookups(view: &dyn View, pseudonym: PairwiseId) -> Vec<Lookup> {
    let (field, bits) = (PSEUDONYM_FIELD, pseudonym.as_bytes());
    let marks = view.system().marks(field, NORMALISER_VERSION, bits);
    let lookup = |(set, mark)| Lookup { field, set, mark };
    marks.into_iter().map(lookup).collect()
}

/// Whom a pseudonym stands for: nobody, or one person.
pub(crate) fn hits(view: &dyn View, pseudonym: PairwiseId) -> Result<Vec<IndexHit>, Refusal> {
    let (field, bits) = (PSEUDONYM_FIELD, pseudonym.as_bytes());
    match view.system().mark(field, NORMALISER_VERSION, bits) {
        Some(mark) => view.index_hits(&mark),
        // None was ever issued.
        None => Ok(Vec::new()),
    }
}

/// What was issued of a person, oldest first.
pub(crate) fn issued(view: &dyn View, person: &Person) -> Result<Vec<Issued>, Refusal> {
    let events: Vec<IssuedEvent> = events::history(view, person, Topic::Pseudonym)?;
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let pairwise = Pairwise::of(view, person)?.ok_or(DAMAGED)?;
    let issued = |event: IssuedEvent| Issued {
        pseudonym: name(&pairwise, event.purpose, event.recipient.as_deref()),
        purpose: event.purpose,
        recipient: event.recipient,
        at: event.at,
    };
    Ok(events.into_iter().map(issued).collect())
}

/// The person's pseudonym for a purpose and recipient, if it was issued.
pub(crate) fn known(
    view: &dyn View,
    person: &Person,
    purpose: u16,
    recipient: Option<&str>,
) -> Result<Option<PairwiseId>, Refusal> {
    let mut issued = issued(view, person)?.into_iter();
    let fits = |one: &Issued| one.purpose == purpose && one.recipient.as_deref() == recipient;
    Ok(issued.find(fits).map(|one| one.pseudonym))
}

/// Whether the person can get another.
pub(crate) fn room(view: &dyn View, person: &Person) -> Result<bool, Refusal> {
    // Look-up values of each set of keys are counted by themselves.
    let set = view.system().index_set();
    let lookups = person.keyset.lookups.iter();
    let lookups = lookups.filter(|lookup| lookup.set == set).count();
    Ok(lookups < LOOKUPS_PER_PERSON_MAX && issued(view, person)?.len() < PSEUDONYMS_PER_PERSON_MAX)
}

/// The person's pseudonym for a purpose and recipient, issued if it was not before; and whether it is new.
pub(crate) fn issue(
    txn: &mut Txn<'_>,
    person: &mut Person,
    purpose: u16,
    recipient: Option<&str>,
) -> Result<(PairwiseId, bool), Refusal> {
    let before = issued(txn, person)?;
    let fits = |one: &&Issued| one.purpose == purpose && one.recipient.as_deref() == recipient;
    if let Some(known) = before.iter().find(fits) {
        return Ok((known.pseudonym, false));
    }
    if before.len() >= PSEUDONYMS_PER_PERSON_MAX {
        return Err(Refusal::TooLarge(format!(
            "a person has at most {PSEUDONYMS_PER_PERSON_MAX} pseudonyms"
        )));
    }
    if !txn.system().has_index(PSEUDONYM_FIELD) {
        // The first of this vault.
        let mut keys = txn.system().duplicate();
        keys.add_index(PSEUDONYM_FIELD, txn.entropy());
        txn.replace_system(keys);
    }
    let pseudonym = name(&Pairwise::ensure(txn, person)?, purpose, recipient);
    for lookup in lookups(txn, pseudonym) {
        person.add_lookup(txn, lookup)?;
    }
    let event = IssuedEvent {
        purpose,
        recipient: recipient.map(Into::into),
        at: txn.now(),
    };
    events::append(txn, person, Topic::Pseudonym, &event)?;
    person.store(txn)?;
    Ok((pseudonym, true))
}

/// Takes out what was issued of somebody who is erased but for what a legal hold keeps: it is no proof of
/// anything that is held. The index entries go with the other look-up values.
pub(crate) fn forget(txn: &mut Txn<'_>, person: &Person) -> Result<(), Refusal> {
    events::forget(txn, person, Topic::Pseudonym)
}
