//! What an entry of the ledger says.

use serde::{Deserialize, Serialize};

use crate::id::{ReceiptId, RecordId, RequestId, RowHandle, TokenId};
use crate::policy::{HoldGround, RestrictionGround};
use crate::request::{Level, RequestKind, RequestState};
use crate::standing::{HoldState, ObjectionState};
use crate::suppression::SuppressionRow;

/// One entry: what happened, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Milliseconds since 1970 of the commit.
    pub at: i64,
    /// What.
    pub event: LedgerEvent,
}

/// What a restored backup must not undo. The variants' numbers are on disk: append-only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LedgerEvent {
    /// A person is gone, with everything of them.
    Erased {
        /// Where their rows lay.
        handle: RowHandle,
        /// SHA-256 of their id, by which it goes on being refused.
        subject_sha256: [u8; 32],
        /// What stands for the erasure.
        receipt: ReceiptId,
        /// The epoch since.
        epoch: u64,
    },
    /// Records are gone.
    RecordsDestroyed {
        /// Whose.
        handle: RowHandle,
        /// Of which collection.
        collection: u16,
        /// Which.
        records: Vec<[u8; RecordId::BYTES]>,
    },
    /// Keys are gone, and whatever lies under them, while the person stays.
    KeysDestroyed {
        /// Whose.
        handle: RowHandle,
        /// Their numbers in the keyset.
        keys: Vec<u32>,
    },
    /// A person no longer agrees.
    ConsentWithdrawn {
        /// Who.
        handle: RowHandle,
        /// To which purpose.
        purpose: u16,
    },
    /// An API key opens nothing any more.
    ApiKeyRevoked {
        /// Which.
        token: TokenId,
    },
    /// An objection of a person stands so from now on.
    Objected {
        /// Whose.
        handle: RowHandle,
        /// To which purpose.
        purpose: u16,
        /// How it stands. No grounds: the ledger outlives the person.
        state: ObjectionState,
    },
    /// A person's data are restricted so from now on.
    Restricted {
        /// Whose.
        handle: RowHandle,
        /// Why; `None` where the restriction was lifted.
        ground: Option<RestrictionGround>,
        /// Of which collections; of all, where there is none.
        collections: Vec<u16>,
    },
    /// A person's data are held so from now on.
    Held {
        /// Whose.
        handle: RowHandle,
        /// Whether a hold stands.
        state: HoldState,
        /// Why.
        ground: HoldGround,
        /// Of which collections; of all, where there is none.
        collections: Vec<u16>,
        /// Until when somebody has to look whether it is still needed: `2027-01-31`.
        review_at: String,
        /// Milliseconds since 1970 at which everything else of the person was erased, and what stands for
        /// that; `None` where it was not.
        erasure: Option<(i64, ReceiptId)>,
    },
    /// The contract behind a purpose stands so from now on.
    ContractEnded {
        /// Whose.
        handle: RowHandle,
        /// Behind which purpose.
        purpose: u16,
        /// Milliseconds since 1970 at which it ended, or will; `None` where it runs after all.
        ended_at: Option<i64>,
    },
    /// So much is known of a person's age from now on.
    Aged {
        /// Whose.
        handle: RowHandle,
        /// From which day on they consent for themselves: `2029-01-15`.
        of_age_on: String,
        /// Whether a guardian has authorised what they consent to.
        guardian: bool,
    },
    /// An address stands so on the suppression list from now on.
    Suppressed {
        /// The blind hash of the address: under the list's own key, so that whoever has that can test it.
        address: [u8; 32],
        /// What goes for it; nothing of it where it left the list.
        row: SuppressionRow,
    },
    /// A request of a person stands so from now on. No words: the ledger outlives the person.
    Requested {
        /// Whose.
        handle: RowHandle,
        /// Which.
        request: RequestId,
        /// Which right.
        kind: RequestKind,
        /// How far it has come: what is open here ends in a later entry, or has not ended.
        state: RequestState,
        /// How well it was known who asked.
        level: Level,
        /// Milliseconds since 1970 at which it came in.
        received: i64,
        /// The last day for an answer as days since 1970, and milliseconds since then at its end.
        due: (i32, i64),
        /// Whether that is later because it was extended, which goes once.
        extended: bool,
        /// Of which collections; of all, where there is none, and 0 for some that are not named. Whoever asked for some is not
        /// to lose the others.
        collections: Vec<u16>,
    },
}
