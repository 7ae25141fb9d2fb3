//! Links to pick a copy up: given in a conversation, or by whoever deals with the request; opened by whoever has one
//! and the code that goes to an address on file.
//!
//! A link belongs to its request: what ends that ends the link, and opening it fulfils the request. Decision 0028.

mod give;
mod open;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

pub(super) use give::{Given, give, has_open, room};
pub use give::{LinkGiven, PickupInput};
pub use open::PickedUp;

use super::Vault;
use crate::id::{IncidentId, RequestId};
use crate::pickup::{PATH, stored};
use crate::refusal::Refusal;
use crate::store::Table;
use crate::talk::TurnReply;

/// A link that had been opened was tried once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PickupAlarm {
    /// When.
    pub time: Timestamp,
    /// The request that the link was for.
    pub request: RequestId,
    /// What stands of it in the register; `None` where that is full.
    pub incident: Option<IncidentId>,
}

/// Links in numbers, since the vault was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PickupFigures {
    /// Links that were given.
    pub given: u64,
    /// Codes that were made for one.
    pub codes: u64,
    /// Wrong codes at one.
    pub wrong: u64,
    /// Links that were opened.
    pub opened: u64,
    /// Tries at a link that had been opened before.
    pub again: u64,
}

/// What is counted of them.
#[derive(Default)]
pub(super) struct Counts {
    given: AtomicU64,
    codes: AtomicU64,
    wrong: AtomicU64,
    opened: AtomicU64,
    again: AtomicU64,
}

fn one_more(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

impl Vault {
    /// Links in numbers.
    #[must_use]
    pub fn pickup_figures(&self) -> PickupFigures {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.memory.pickups;
        PickupFigures {
            given: of(&counts.given),
            codes: of(&counts.codes),
            wrong: of(&counts.wrong),
            opened: of(&counts.opened),
            again: of(&counts.again),
        }
    }

    /// Counts the link that a turn of a conversation gave, if it gave one.
    pub(super) fn count_links(&self, reply: &TurnReply) {
        let links = reply.messages.iter().filter_map(|one| one.link.as_ref());
        links
            .filter(|link| link.starts_with(PATH))
            .for_each(|_| one_more(&self.memory.pickups.given));
    }

    /// Takes away links that are over.
    pub(super) fn sweep_pickups(&self) -> Result<(), Refusal> {
        self.sweep_rows(Table::Pickups, stored::over)
    }
}
