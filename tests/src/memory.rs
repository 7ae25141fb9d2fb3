//! How much memory a process has, and how much time of processors it took, by the kernel's count.
//!
//! Source: `proc(5)`, `/proc/PID/status`, `/proc/PID/stat`.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a [`Watch`] looks.
const LOOK: Duration = Duration::from_millis(5);

/// KiB that a process has in memory now; `None` where the system does not say.
pub(crate) fn resident_kib(process: u32) -> Option<u64> {
    line(process, "VmRSS:")
}

/// Time of processors that this process took, all threads together, to a hundredth of a second. Where others
/// want the processors too it says more of the work than a clock does.
pub(crate) fn processor_time() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold anything; behind it come the state and eleven more before these two.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11);
    let mut next = || ticks.next()?.parse::<u64>().ok();
    Some(Duration::from_millis((next()? + next()?) * 10))
}

fn line(process: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Looks again and again, for the most that a process ever had since this began.
pub(crate) struct Watch {
    process: u32,
    most: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    /// Whether the kernel keeps the peak since this began, and not since the process did.
    exact: bool,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(crate) fn begin(process: u32) -> Self {
        // An earlier peak, such as the key derivation's 64 MiB, would hide what comes.
        let exact = fs::write(format!("/proc/{process}/clear_refs"), "5").is_ok();
        let (most, ended) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let thread = {
            let (most, ended) = (Arc::clone(&most), Arc::clone(&ended));
            std::thread::spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    most.fetch_max(resident_kib(process).unwrap_or(0), Ordering::Relaxed);
                    std::thread::sleep(LOOK);
                }
            })
        };
        Self {
            process,
            most,
            ended,
            exact,
            thread: Some(thread),
        }
    }

    /// The most KiB so far; `None` where the system does not say.
    pub(crate) fn peak_kib(&self) -> Option<u64> {
        let now = resident_kib(self.process)?;
        let peak = match self.exact {
            true => line(self.process, "VmHWM:")?.max(now),
            false => now,
        };
        // The kernel sums up what its threads have counted, and may say a little less the next time.
        Some(self.most.fetch_max(peak, Ordering::Relaxed).max(peak))
    }

    /// How the peak is known.
    pub(crate) fn how(&self) -> &'static str {
        match self.exact {
            true => "the kernel's peak",
            false => "the highest of a look every 5 ms",
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_one_that_is_not_there_has_none() {
        assert!(resident_kib(std::process::id()).is_some_and(|kib| kib > 100));
        assert_eq!(resident_kib(u32::MAX), None);
    }

    #[test]
    fn what_is_taken_and_given_back_stays_in_the_peak() {
        let watch = Watch::begin(std::process::id());
        let before = watch.peak_kib().unwrap();
        let taken = vec![1_u8; 96 << 20];
        let held = watch.peak_kib().unwrap();
        drop(taken);
        assert!(held >= before + (90 << 10), "{before} {held}");
        assert!(watch.peak_kib().unwrap() >= held);
    }
}
