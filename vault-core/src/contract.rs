//! The end of the contract behind a purpose, as whoever runs the business says it: from there runs what
//! the policy keeps `after = "contract_end"`.
//!
//! Knows nothing of how long that is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::commit::{Txn, View};
use crate::events::{self, Topic};
use crate::person::Person;
use crate::refusal::Refusal;

/// What was said of a contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractEvent {
    /// When it ended; `None` where it runs, again.
    pub ended_at: Option<Timestamp>,
    /// When that was said.
    pub at: Timestamp,
}

/// When the contract behind `purpose` ended; `None` while it runs, or nobody has said anything.
pub(crate) fn ended(
    view: &dyn View,
    person: &Person,
    purpose: u16,
) -> Result<Option<Timestamp>, Refusal> {
    let last: Option<ContractEvent> = events::last(view, person, Topic::Contract(purpose))?;
    Ok(last.and_then(|event| event.ended_at))
}

/// What was said of the contract behind `purpose`, oldest first.
pub(crate) fn history(
    view: &dyn View,
    person: &Person,
    purpose: u16,
) -> Result<Vec<ContractEvent>, Refusal> {
    events::history(view, person, Topic::Contract(purpose))
}

/// Adds what was said.
pub(crate) fn append(
    txn: &mut Txn<'_>,
    person: &mut Person,
    purpose: u16,
    event: &ContractEvent,
) -> Result<(), Refusal> {
    events::append(txn, person, Topic::Contract(purpose), event)
}
