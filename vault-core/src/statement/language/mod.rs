//! One file a language; each says the same things in the same order.
//!
//! Plain words for the person who reads them (Art. 12(1) GDPR); the articles stand beside them in
//! the statement, not in them.

pub(super) mod de;
pub(super) mod en;
pub(super) mod es;
pub(super) mod fr;
pub(super) mod it;
pub(super) mod nl;
pub(super) mod pl;
pub(super) mod pt;
