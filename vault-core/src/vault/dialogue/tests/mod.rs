//! Conversations: every way through the machine, and turns over a vault.

mod turns;
mod walks;
