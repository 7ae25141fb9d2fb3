//! Goes on with a rotation of everybody's keys that was begun, here or before a restart.
//!
//! Knows nothing of keys: the vault keeps the place, and lets one thread at a time do it.

use std::thread::Builder;

use vault_core::refusal::Refusal;
use vault_core::vault::Onwards;

use crate::state::App;

/// Goes on beside everything else, on a thread of its own, until it is done, cancelled, or the vault is
/// closed. Nothing happens where there is nothing to go on with, or another thread does already.
pub(crate) fn go_on(app: &App) {
    let Some(vault) = app.vault() else { return };
    let work = move || match vault.rotate_on(&mut |_| Onwards::Yes) {
        Ok(None) | Err(Refusal::Conflict(_) | Refusal::Locked) => {}
        Ok(Some(view)) if view.met_damage() => {
            tracing::error!(target: "vault_server::rotation", state = view.state.name(), done = view.done, skipped = view.skipped, unindexed = view.unindexed, rows_damaged = view.rows_damaged, "the rotation of all keys has stopped, and has met what is damaged: restore the vault from its last good backup, then rotate again");
        }
        Ok(Some(view)) => {
            tracing::info!(target: "vault_server::rotation", state = view.state.name(), done = view.done, skipped = view.skipped, "the rotation of all keys has stopped");
        }
        Err(error) => {
            tracing::error!(target: "vault_server::rotation", %error, "the rotation of all keys was refused; it goes on within a minute");
        }
    };
    if let Err(error) = Builder::new().name("vault-rotation".into()).spawn(work) {
        tracing::error!(target: "vault_server::rotation", %error, "no thread for the rotation of all keys; it is tried again within a minute");
    }
}
