//! A process that ends itself with SIGKILL between two operations on anchor or key slots.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use vault_core::medium::{FileMedium, Medium};

/// Ends this process at its turn, once armed.
pub struct Deadline {
    armed: AtomicBool,
    turn: u32,
    count: AtomicU32,
}

impl Deadline {
    /// One whose process dies at the step with this number, counted from 1.
    #[must_use]
    pub fn new(turn: u32) -> Arc<Self> {
        Arc::new(Self {
            armed: AtomicBool::new(false),
            turn,
            count: AtomicU32::new(0),
        })
    }

    /// From now on steps count.
    pub fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// They count no more.
    pub fn disarm(&self) {
        self.armed.store(false, Ordering::SeqCst);
    }

    fn step(&self) {
        if self.armed.load(Ordering::SeqCst)
            && self.count.fetch_add(1, Ordering::SeqCst) + 1 == self.turn
        {
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::KILL)
                .expect("a process may end itself");
            unreachable!("nobody survives SIGKILL");
        }
    }
}

/// A file each of whose operations is a step, and each writing two.
pub struct Deadly(pub FileMedium, pub Arc<Deadline>);

impl Medium for Deadly {
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, bytes)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.1.step();
        // In two parts, so that dying between them leaves a torn slot.
        let half = bytes.len().min(48);
        self.0.write_at(offset, &bytes[..half])?;
        self.1.step();
        self.0.write_at(offset + half as u64, &bytes[half..])?;
        self.1.step();
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.1.step();
        self.0.sync()?;
        self.1.step();
        Ok(())
    }

    fn forget_cache(&self) -> io::Result<()> {
        self.0.forget_cache()
    }
}
