//! Who reaches what (P3): every route of the contract with everybody else's ids, keys bound to channels,
//! sessions, reserved roles; and that a call which was refused did nothing.
//!
//! The matrix follows from the OpenAPI document: a route that is new and stands in no table of `calls`
//! fails. Counts as failure: a success, an answer by which somebody else's differs from nobody's (status,
//! headers, body, the entry in the log), a row of any table that a refused or a reading call changed.

mod bench;
mod calls;
mod foreign;
mod matrix;
mod reused;
