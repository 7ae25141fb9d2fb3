//! Ctrl-C: ends a command cleanly, with a message and exit code 130.
//!
//! Most commands can end at any moment: what the vault acknowledged is there, the rest is not. Long
//! work asks [`Patience::asked`] between its parts instead, and ends after the one that runs; a second
//! Ctrl-C does not wait. `serve` and `dev` stop in order and have handlers of their own.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::{Exit, Failure};
use crate::terminal::Terminal;

static PATIENT: AtomicU32 = AtomicU32::new(0);
static ASKED: AtomicBool = AtomicBool::new(false);

/// The failure of a command that was told to stop.
pub(crate) fn failure(done: &str) -> Failure {
    Failure::new(Exit::Interrupted, "interrupted", "interrupted", done)
}

/// Waits for Ctrl-C on a thread of its own, from now on. Without threads or handlers the system's
/// default ends the process, as it would without this module.
pub(crate) fn watch(terminal: &Terminal) {
    let terminal = terminal.clone();
    let before = tcgetattr(io::stdin()).ok();
    let (ready, waits) = mpsc::channel::<()>();
    let watcher = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            let Ok(mut signals) = signal(SignalKind::interrupt()) else {
                return;
            };
            drop(ready);
            while signals.recv().await.is_some() {
                interrupted(&terminal, before.as_ref());
            }
        });
    };
    let name = "vault-interrupt".to_owned();
    if std::thread::Builder::new()
        .name(name)
        .spawn(watcher)
        .is_ok()
    {
        // Ends when the sender is dropped, whatever became of the handler.
        let _ = waits.recv();
    }
}

fn interrupted(terminal: &Terminal, before: Option<&Termios>) {
    if PATIENT.load(Ordering::Acquire) > 0 && !ASKED.swap(true, Ordering::AcqRel) {
        terminal.note("stopping after what is under way; Ctrl-C again does not wait");
        return;
    }
    // A prompt may have turned the echo off, and a spinner stands in its line.
    if let Some(before) = before {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
    }
    if io::stderr().is_terminal() {
        let _ = write!(io::stderr().lock(), "\r\n");
    }
    let failure = failure(
        "what was acknowledged is done and the rest is not; look with `status` or `list`, then repeat it",
    );
    terminal.failure(&failure);
    std::process::exit(i32::from(failure.exit as u8));
}

/// For whoever noticed the interruption first: the watcher ends the process.
pub(crate) fn wait() -> ! {
    loop {
        std::thread::park();
    }
}

/// While it lives, Ctrl-C asks and does not end.
pub(crate) struct Patience(());

impl Patience {
    /// Begins long work that ends between its parts.
    pub(crate) fn begin() -> Self {
        PATIENT.fetch_add(1, Ordering::AcqRel);
        Self(())
    }

    /// Whether somebody wants it to end.
    pub(crate) fn asked(&self) -> bool {
        ASKED.load(Ordering::Acquire)
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        PATIENT.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::When;

    #[test]
    fn long_work_is_asked_to_end_and_goes_on_to_the_end_of_its_part() {
        let terminal = Terminal::new(false, true, When::Never);
        let patience = Patience::begin();
        assert!(!patience.asked());
        // Without patience this would end the process, and this test with it.
        interrupted(&terminal, None);
        assert!(patience.asked());
    }
}
