//! Ctrl-C: ends a command cleanly, with a message and exit code 130.
//!
//! Most commands can end at any moment: what the vault acknowledged is there, the rest is not. Long
//! work asks [`Patience::asked`] between its parts instead, and ends after the one that runs; a second
//! Ctrl-C does not wait. `serve` and `dev` stop in order and have handlers of their own.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::failure::{Exit, Failure};
use crate::terminal::Terminal;

static PATIENT: AtomicU32 = AtomicU32::new(0);
static ASKED: AtomicBool = AtomicBool::new(false);

/// The failure of a command that was told to stop.
pub(crate) fn failure(done: &str) -> Failure {
    Failure::new(Exit::Interrupted, "interrupted", "interrupted", done)
}

/// Waits for Ctrl-C on a thread of its own. Without threads or handlers the system's default ends
/// the process, as it would without this module.
pub(crate) fn watch(terminal: &Terminal) {
    let terminal = terminal.clone();
    let before = tcgetattr(io::stdin()).ok();
    let _ = std::thread::Builder::new()
        .name("vault-interrupt".into())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                loop {
                    if tokio::signal::ctrl_c().await.is_err() {
                        return;
                    }
                    interrupted(&terminal, before.as_ref());
                }
            });
        });
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
