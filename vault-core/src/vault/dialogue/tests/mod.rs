//! Conversations: every way through the machine, and turns over a vault.

mod address;
mod meanwhile;
mod notice;
mod parts;
mod random;
mod strangers;
mod turns;
mod walks;
mod world;
