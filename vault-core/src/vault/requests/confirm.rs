//! The confirmation of what cannot be undone: given out for one request as it stands and one scope, and asked
//! back with the step that does it.
//!
//! It is a MAC under the person's own audit key and is stored nowhere. A step of the request, new keys of the
//! person, or a quarter of an hour ends it.

use data_encoding::BASE32_NOPAD;
use jiff::Timestamp;
use subtle::ConstantTimeEq as _;

use super::super::call::{Context, Noted};
use super::{CorrectionInput, Vault, met};
use crate::audit::canonical::canonical;
use crate::commit::View;
use crate::crypto::{hmac, sha256};
use crate::id::RequestId;
use crate::limits::CONFIRMATION_SECONDS;
use crate::person::{DAMAGED, Person};
use crate::policy::{Capability, Policy};
use crate::refusal::Refusal;
use crate::remains;
use crate::request::stored::{self, RequestEvent};
use crate::request::{Barred, RequestKind};
use crate::standing;
use crate::vault::Call;

const PREFIX: &str = "cnf_";

/// What has to be sent along with the step, and what it will do.
#[derive(Clone)]
pub struct Confirmation {
    /// Good for this request as it stands, and this scope.
    pub confirmation: String,
    /// Until then.
    pub expires_at: Timestamp,
    /// What cannot be undone.
    pub consequences: Vec<String>,
}

/// Silent: who has it can do the step.
impl std::fmt::Debug for Confirmation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Confirmation")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// What is to be done, in bytes.
fn scope(correction: Option<&CorrectionInput>) -> Result<[u8; 32], Refusal> {
    let Some(correction) = correction else {
        return Ok([0; 32]);
    };
    let value = serde_json::Value::Object(correction.fields.clone());
    let bytes = canonical(&value).map_err(|_| DAMAGED)?;
    let record = correction.record.map(|record| *record.as_bytes());
    let record = record.as_ref().map_or(&[][..], |record| &record[..]);
    let length = u32::try_from(correction.collection.len()).unwrap_or(u32::MAX);
    Ok(sha256(&[
        &length.to_be_bytes(),
        correction.collection.as_bytes(),
        &[u8::from(!record.is_empty())],
        record,
        &bytes,
    ]))
}

fn text(person: &Person, steps: &[RequestEvent], scope: &[u8; 32], until: i64) -> Option<String> {
    let last = steps.last()?;
    let until = until.to_be_bytes();
    let count = u32::try_from(steps.len()).ok()?.to_be_bytes();
    let mac = hmac(
        &person.keyset.audit,
        &[b"confirm", last.request.as_bytes(), &count, scope, &until],
    );
    let bytes = [&until[..], &mac].concat();
    Some(format!(
        "{PREFIX}{}",
        BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()
    ))
}

/// Whether what came back was given out for this, and is still good.
pub(super) fn holds(
    view: &dyn View,
    person: &Person,
    steps: &[RequestEvent],
    correction: Option<&CorrectionInput>,
    given: Option<&str>,
) -> Result<bool, Refusal> {
    let Some(given) = given else {
        return Ok(false);
    };
    let digits = given
        .strip_prefix(PREFIX)
        .unwrap_or_default()
        .to_ascii_uppercase();
    let bytes = BASE32_NOPAD.decode(digits.as_bytes()).unwrap_or_default();
    let Some(until) = bytes.first_chunk().map(|first| i64::from_be_bytes(*first)) else {
        return Ok(false);
    };
    let expected = text(person, steps, &scope(correction)?, until).ok_or(DAMAGED)?;
    let same: bool = expected.as_bytes().ct_eq(given.as_bytes()).into();
    let now = view.now().as_second();
    Ok(same && now <= until && until - now <= CONFIRMATION_SECONDS)
}

fn give(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    request: RequestId,
    correction: Option<&CorrectionInput>,
) -> Result<Confirmation, Refusal> {
    let person = met(
        view,
        policy,
        context,
        noted,
        request,
        &[Capability::RequestsDecide],
    )?;
    let steps = stored::steps(view, &person, request)?;
    let last = steps.last().ok_or(DAMAGED)?;
    let kind = last.kind;
    if last.state.is_closed() {
        return Err(Refusal::Conflict(Barred::Closed.to_string()));
    }
    if !kind.is_final() {
        return Err(Refusal::Conflict(
            "what this request asks for can be undone, and needs no confirmation".into(),
        ));
    }
    super::effects::fits(kind, correction)?;
    super::effects::named(last)?;
    let until = view.now().as_second() + CONFIRMATION_SECONDS;
    let confirmation = text(&person, &steps, &scope(correction)?, until).ok_or(DAMAGED)?;
    Ok(Confirmation {
        confirmation,
        expires_at: Timestamp::from_second(until).map_err(|_| DAMAGED)?,
        consequences: consequences(view, policy, &person, last)?,
    })
}

fn consequences(
    view: &dyn View,
    policy: &Policy,
    person: &Person,
    event: &RequestEvent,
) -> Result<Vec<String>, Refusal> {
    if event.kind == RequestKind::Rectify {
        return Ok(vec![
            "the values of these fields are replaced, and the old ones are gone".into(),
        ]);
    }
    let some = &event.scope.collections;
    let names = |ids: &[u16]| match super::input::collection_names(policy, ids) {
        names if names.is_empty() => "every collection".to_owned(),
        names => names.join(", "),
    };
    let mut all = vec![match some.is_empty() {
        true => {
            "everything that is held of this person is erased, and nothing brings it back".into()
        }
        false => format!(
            "everything that is held of this person in {} is erased, and nothing brings it back; the rest stays",
            names(some)
        ),
    }];
    let Some(hold) = standing::hold(view, person)? else {
        return Ok(all);
    };
    let held: Vec<u16> = match some.is_empty() {
        true => hold.collections.clone(),
        false => some
            .iter()
            .copied()
            .filter(|one| hold.covers(*one))
            .collect(),
    };
    if (some.is_empty() || !held.is_empty()) && remains::any(view, person, &hold)? {
        let kept = names(&held);
        all.push(format!(
            "a legal hold keeps {kept} under {}, to be looked at on {}",
            hold.ground.law(),
            hold.review_at
        ));
    }
    Ok(all)
}

impl Vault {
    /// What has to be sent along with an approval that cannot be undone.
    ///
    /// # Errors
    ///
    /// [`Refusal::Conflict`] for a request that is closed, or can be undone; [`Refusal::NotFound`],
    /// [`Refusal::RoleDenied`], [`Refusal::Invalid`].
    pub fn confirm_request(
        &self,
        call: &Call<'_>,
        request: RequestId,
        correction: Option<&CorrectionInput>,
    ) -> Result<Confirmation, Refusal> {
        let subject = stored::whose(&self.snapshot()?, request).ok();
        self.read(
            call,
            "requests.confirm",
            subject.map(|hit| hit.subject),
            |snapshot, policy, context, noted| {
                give(snapshot, policy, context, noted, request, correction)
            },
            |confirmation| confirmation,
        )
    }
}
