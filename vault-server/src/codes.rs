//! Where codes go that the vault hands out: to whoever sends them.
//!
//! Knows nothing of how a code is sent. Without a sink no code can be sent, and whoever has to prove who they
//! are is looked at by a human.

use vault_core::vault::CodeToSend;

/// Takes codes that are to be sent.
pub trait CodeSink: Send + Sync {
    /// Takes a code, to be sent now. Returns at once: whoever waits for the code waits for its message.
    fn send(&self, code: CodeToSend);
}
