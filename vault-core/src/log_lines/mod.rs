//! Lines of other programs' logs: what is taken out of one, and where it lies until its day's keys go.
//!
//! A line is taken apart (`line`) and looked through however it reads (`marks`, `reading`), for values of people too
//! (`known`), and what is left is sealed under the keys of its stream and day (`stored`): those of the person whom it
//! names, so that it dies with them, or a holder's. Destroying these keys is how lines end. Where looking fails, the
//! line is stored as one that could not be looked at, and never as it came.
//!
//! Knows nothing of who sends lines or who may read them.
//!
//! Source: GDPR Art. 5(1)(c) and (e), 25(1), 32(1)(a); docs/decisions/0027.

mod known;
mod line;
mod marks;
mod reading;
mod stored;

pub(crate) use known::{Finder, Own};
pub(crate) use line::{Line, Scanned, token};
pub(crate) use marks::{Mark, Trouble};
pub(crate) use stored::{
    Held, LogRow, Place, Written, any_of, append, ended, expires_at, over, purge_people, rekey,
    rekey_holder, remove_of, rows, rows_of, seal_again, shred,
};

/// What stands in the place of a line that could not be looked at.
pub(crate) const FAILED: &str = "[REDACTION_FAILED]";
