//! The key tree, from the secret that opens a slot down to the key of one person's compartment.
//!
//! Knows how keys are kept and how they are destroyed; not whose data they protect or why. A key
//! that must be destroyed lies in a [`shred`] map, whose deletions hold even against someone with
//! every page ever written; the anchor is what makes that true.

pub mod anchor;
pub mod keyset;
pub mod ring;
pub mod shred;
pub mod slots;
pub mod system;
