//! Giving a link.
//!
//! The person gets it in their own conversation, where a code has proved them; or from whoever deals with the request,
//! who then has the link, and never the code. Whoever could change where the code goes gives none.

use std::ops::ControlFlow;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::super::call::{Context, Noted};
use super::super::input;
use super::super::requests::{RequestStepped, link};
use super::{Vault, one_more};
use crate::commit::{Txn, View};
use crate::export::Form;
use crate::id::{RecordId, RequestId};
use crate::limits::{PICKUP_HOURS, PICKUPS_PER_PERSON_MAX};
use crate::person::{Person, instant};
use crate::pickup::stored::{self, Link};
use crate::pickup::{PATH, PickupRow, Token};
use crate::policy::{CollectionKind, Policy};
use crate::record::{self, Ended, Stored};
use crate::refusal::Refusal;
use crate::schema::FieldType;
use crate::store::{Table, WriteTx as _};
use crate::suppression::is_address;
use crate::talk::FieldId;
use crate::vault::Call;
use crate::verification::AddressKind;

/// Which link somebody who deals with a request gives.
#[derive(Clone, Debug)]
pub struct PickupInput {
    /// The form of the package.
    pub form: Form,
    /// The kinds of addresses that codes reach.
    pub sends: Vec<AddressKind>,
}

/// A link that was given.
#[derive(Clone)]
pub struct LinkGiven {
    /// Where it leads on the server. Nobody is told of it again.
    pub path: Zeroizing<String>,
    /// Until when it opens.
    pub expires_at: Timestamp,
    /// The request from then on.
    pub stepped: RequestStepped,
}

/// Silent about where it leads.
impl std::fmt::Debug for LinkGiven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkGiven")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// The same for whoever gives it.
pub(in crate::vault) struct Given {
    pub(in crate::vault) path: Zeroizing<String>,
    pub(in crate::vault) expires_at: Timestamp,
    /// The mask of the address that codes go to.
    pub(in crate::vault) address: String,
}

/// How a code gets to an address of this type.
pub(super) const fn way(kind: FieldType) -> AddressKind {
    match kind {
        FieldType::Phone => AddressKind::Phone,
        _ => AddressKind::Email,
    }
}

/// The address in a field, and its mask; `None` where there is none any more.
pub(super) fn address(
    view: &dyn View,
    policy: &Policy,
    person: &Person,
    (collection, field): FieldId,
) -> Result<Option<(AddressKind, Zeroizing<String>, String)>, Refusal> {
    let Some(collection) = policy.collection_by_id(collection) else {
        return Ok(None);
    };
    let mut found = None;
    record::each_of_type(
        view,
        person,
        collection,
        is_address,
        &mut |one, value| match (one.id == field, value.as_str()) {
            (true, Some(text)) => {
                let mask = one.kind.mask(value).as_str().unwrap_or_default().to_owned();
                found = Some((way(one.kind), Zeroizing::new(text.to_owned()), mask));
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        },
    )?;
    Ok(found)
}

/// The field of the address that codes go to: mail before telephones, in the policy's order, of those that may be.
fn destination(
    view: &dyn View,
    policy: &Policy,
    person: &Person,
    sends: &[AddressKind],
    may_be: &dyn Fn(FieldId) -> bool,
) -> Result<Option<FieldId>, Refusal> {
    for kind in [FieldType::Email, FieldType::Phone] {
        if !sends.contains(&way(kind)) {
            continue;
        }
        let all = policy.collections().iter();
        for collection in all.filter(|one| one.kind == CollectionKind::Single) {
            let single = RecordId::SINGLE;
            let stored = Stored::load(view, person, collection, single, Ended::In)?;
            let Some(stored) = stored else { continue };
            let fields = collection.fields.iter().filter(|one| one.kind == kind);
            for field in fields.filter(|one| stored.holds(one.id)) {
                let id = (collection.id, field.id);
                if may_be(id) && address(view, policy, person, id)?.is_some() {
                    return Ok(Some(id));
                }
            }
        }
    }
    Ok(None)
}

/// Whether the person can be given another link, as far as there is room.
fn has_room(view: &dyn View, person: &Person) -> Result<bool, Refusal> {
    let own = stored::of_person(view, person)?.len() < PICKUPS_PER_PERSON_MAX;
    Ok(own && link::takes_a_step(view, person)? && stored::has_room(view)?)
}

/// Where codes of a link would go that the person is given in a conversation; `None` where they are given none.
pub(in crate::vault) fn room(
    view: &dyn View,
    policy: &Policy,
    person: &Person,
    sends: &[AddressKind],
) -> Result<Option<FieldId>, Refusal> {
    match has_room(view, person)? {
        true => destination(view, policy, person, sends, &|_| true),
        false => Ok(None),
    }
}

/// Whether a link of this request can still be opened.
pub(in crate::vault) fn has_open(
    view: &dyn View,
    person: &Person,
    request: RequestId,
) -> Result<bool, Refusal> {
    let now = view.now();
    let all = stored::of_person(view, person)?;
    let mut own = all.iter().filter(|(_, of, _)| *of == request);
    Ok(own.any(|(.., row)| row.is_open(now)))
}

/// Gives a link for a request, in the place of one that was not opened. Whoever calls this has asked [`room`].
pub(in crate::vault) fn give(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    person: &mut Person,
    request: RequestId,
    (form, field): (Form, FieldId),
) -> Result<Given, Refusal> {
    let words = format!("a link to pick the copy up was given, for {PICKUP_HOURS} hours");
    link::begun(txn, policy, context, person, request, words)?;
    for (key, of, row) in stored::of_person(txn, person)? {
        // One that was opened stays, so that a second use of it is noticed.
        if of == request && row.used_at.is_none() {
            txn.delete(Table::Pickups, &key)?;
        }
    }
    let found = address(txn, policy, person, field)?;
    let (.., address) = found.ok_or(Refusal::NotFound("address"))?;
    let token = Token::generate(txn.entropy());
    let row = PickupRow::new(form, field, txn.now());
    let expires_at = instant(row.expires_at);
    let mark = token.mark();
    stored::store(txn, person, &Link { request, mark, row })?;
    Ok(Given {
        path: Zeroizing::new(format!("{PATH}{}", &*token.text())),
        expires_at,
        address,
    })
}

fn by_whoever_decides(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    request: RequestId,
    wanted: &PickupInput,
) -> Result<LinkGiven, Refusal> {
    let (mut person, right) = link::decided(txn, policy, context, noted, request)?;
    if right.is_none() {
        let detail = "a link answers a request of the right `access` or `portability`";
        let error = input::error("/deliver", "not_here", detail);
        return Err(Refusal::Invalid(vec![error]));
    }
    if !has_room(txn, &person)? {
        return Err(Refusal::TooLarge(format!(
            "this person was given {PICKUPS_PER_PERSON_MAX} links within {PICKUP_HOURS} hours, or the vault has no \
             room for another: hand the package itself over (`format` without `deliver`)"
        )));
    }
    // Who could have the code sent elsewhere would read with it what their role does not show.
    let role = context.principal.role_in(policy);
    let writes = |(collection, field): FieldId| {
        let role = role.as_ref();
        role.is_some_and(|role| role.may_write(collection, field))
    };
    let field = destination(txn, policy, &person, &wanted.sends, &|id| !writes(id))?;
    let Some(field) = field else {
        return Err(Refusal::Conflict(
            "no code can be sent to this person: there is no address on file that codes reach and that your role may \
             not change itself; hand the package itself over (`format` without `deliver`)"
                .into(),
        ));
    };
    let what = (wanted.form, field);
    let given = give(txn, policy, context, &mut person, request, what)?;
    Ok(LinkGiven {
        path: given.path,
        expires_at: given.expires_at,
        stepped: link::stepped(txn, policy, context, &person, request)?,
    })
}

impl Vault {
    /// Approves a request that a package answers, and gives a link with which the person picks that up. Whoever has
    /// the link cannot open it: the code goes to an address on file.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`] without `requests.decide`; [`Refusal::NotFound`]; [`Refusal::Invalid`] for another
    /// right; [`Refusal::Conflict`] where no code can be sent, or the request cannot be carried out;
    /// [`Refusal::TooLarge`] for a link too many.
    pub fn give_link(
        &self,
        call: &Call<'_>,
        request: RequestId,
        wanted: PickupInput,
    ) -> Result<LinkGiven, Refusal> {
        let given = self.write(call, "pickup.give", move |txn, policy, context, noted| {
            by_whoever_decides(txn, policy, context, noted, request, &wanted)
        })?;
        self.memory.requests.changed();
        one_more(&self.memory.pickups.given);
        Ok(given)
    }
}
