//! What a reviewer gets when they are shown a decision, and sends along to decide it: that nobody upholds unread.
//!
//! A MAC under the person's own audit key, stored nowhere. What the person adds, another reviewer who begins, new
//! keys of the person, or a day ends it.

use data_encoding::BASE32_NOPAD;
use jiff::Timestamp;
use subtle::ConstantTimeEq as _;

use crate::automated::stored::DecisionEvent;
use crate::crypto::hmac;
use crate::id::TokenId;
use crate::limits::REVIEW_SECONDS;
use crate::person::{DAMAGED, Person};
use crate::refusal::Refusal;

const PREFIX: &str = "rvw_";

fn text(
    person: &Person,
    steps: &[DecisionEvent],
    reviewer: Option<TokenId>,
    until: i64,
) -> Option<String> {
    let last = steps.last()?;
    let until = until.to_be_bytes();
    let count = u32::try_from(steps.len()).ok()?.to_be_bytes();
    let mac = hmac(
        &person.keyset.audit,
        &[
            b"review",
            last.decision.as_bytes(),
            &count,
            reviewer?.as_bytes(),
            &until,
        ],
    );
    let bytes = [&until[..], &mac].concat();
    Some(format!(
        "{PREFIX}{}",
        BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()
    ))
}

/// For this reviewer, of the decision after these steps.
pub(super) fn give(
    person: &Person,
    steps: &[DecisionEvent],
    reviewer: Option<TokenId>,
    now: Timestamp,
) -> Result<(String, Timestamp), Refusal> {
    let until = now.as_second() + REVIEW_SECONDS;
    let text = text(person, steps, reviewer, until).ok_or(DAMAGED)?;
    let until = Timestamp::from_second(until).map_err(|_| DAMAGED)?;
    Ok((text, until))
}

/// Whether what came back was given to this reviewer of the decision as it stands, and is still good.
pub(super) fn holds(
    person: &Person,
    steps: &[DecisionEvent],
    reviewer: Option<TokenId>,
    given: &str,
    now: Timestamp,
) -> bool {
    let digits = given
        .strip_prefix(PREFIX)
        .unwrap_or_default()
        .to_ascii_uppercase();
    let bytes = BASE32_NOPAD.decode(digits.as_bytes()).unwrap_or_default();
    let Some(until) = bytes.first_chunk().map(|first| i64::from_be_bytes(*first)) else {
        return false;
    };
    let Some(expected) = text(person, steps, reviewer, until) else {
        return false;
    };
    let same: bool = expected.as_bytes().ct_eq(given.as_bytes()).into();
    let now = now.as_second();
    same && now <= until && until - now <= REVIEW_SECONDS
}
