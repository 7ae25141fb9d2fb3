//! That something goes on, for whoever waits longer than a second.
//!
//! A spinner on a terminal, a line every few seconds elsewhere, nothing with `--quiet` or `--json`.
//! Goes to standard error; standard output carries answers alone.

use std::io::{self, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What is over sooner needs no word.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often a line is written where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(100);

/// How a step is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// A spinner.
    Spinner,
    /// A line now and then.
    Lines,
    /// Not at all.
    Silent,
}

/// One step of long work; over when dropped.
pub(crate) struct Step {
    say: Option<Sender<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Step {
    pub(super) fn begin(manner: Manner, what: &str) -> Self {
        if manner == Manner::Silent {
            return Self {
                say: None,
                thread: None,
            };
        }
        let (say, told) = mpsc::channel::<String>();
        let mut what = what.to_owned();
        let begun = Instant::now();
        let thread = std::thread::spawn(move || {
            let mut shown: Option<ProgressBar> = None;
            let mut wait = PATIENCE;
            loop {
                match told.recv_timeout(wait) {
                    Ok(next) => what = next,
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) if manner == Manner::Lines => {
                        let seconds = begun.elapsed().as_secs();
                        let _ = writeln!(io::stderr().lock(), "{what}: {seconds} s");
                        wait = EVERY;
                        continue;
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        shown.get_or_insert_with(|| spinner(begun));
                        wait = EVERY;
                    }
                }
                if let Some(bar) = &shown {
                    bar.set_message(what.clone());
                }
            }
            if let Some(bar) = shown {
                bar.finish_and_clear();
            }
        });
        Self {
            say: Some(say),
            thread: Some(thread),
        }
    }

    /// What goes on now.
    pub(crate) fn say(&self, what: impl Into<String>) {
        if let Some(say) = &self.say {
            // The thread ends with this step, and not before.
            let _ = say.send(what.into());
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.say = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn spinner(begun: Instant) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}")
        .expect("the template is fixed");
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
        .with_style(style)
        .with_elapsed(begun.elapsed());
    bar.enable_steady_tick(TICK);
    bar
}
