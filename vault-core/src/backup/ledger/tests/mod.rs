//! The ledger's file and its copies, against whatever can happen to them.
//!
//! Counts as failure: an erasure that was acknowledged and is in no ledger, a ledger that says something
//! else than was written, a change or a loss that nobody is told of. Does not count: entries of what was
//! not acknowledged.

mod copies;
mod files;

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Tape;

/// A tape in memory that outlives its handles, loses what was not flushed, and fails when told to.
#[derive(Clone, Default)]
pub(crate) struct MemoryTape(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    flushed: Vec<u8>,
    operations: u64,
    fail_from: Option<u64>,
    /// A flush failed: the system forgets what it should have written.
    forgets: bool,
}

impl State {
    fn count(&mut self) -> io::Result<()> {
        self.operations += 1;
        match self.fail_from {
            Some(from) if self.operations >= from => Err(io::Error::other("told to fail")),
            _ => Ok(()),
        }
    }
}

impl MemoryTape {
    /// What the tape holds.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().bytes.clone()
    }

    /// Puts other bytes there.
    pub(crate) fn set(&self, bytes: Vec<u8>) {
        let mut state = self.0.lock();
        state.flushed.clone_from(&bytes);
        state.bytes = bytes;
    }

    /// What was flushed last.
    pub(crate) fn flushed(&self) -> Vec<u8> {
        self.0.lock().flushed.clone()
    }

    /// Makes write, cut or flush number `operation` (from 1, counted from now on) fail, and everything
    /// after it; a failing write leaves half. `None` repairs the tape.
    pub(crate) fn fail_from(&self, operation: Option<u64>) {
        let mut state = self.0.lock();
        (state.operations, state.fail_from) = (0, operation);
    }

    /// Operations since then.
    pub(crate) fn operations(&self) -> u64 {
        self.0.lock().operations
    }
}

impl Tape for MemoryTape {
    fn open(&mut self) -> io::Result<u64> {
        let mut state = self.0.lock();
        state.count()?;
        match std::mem::take(&mut state.forgets) {
            true => state.bytes = state.flushed.clone(),
            false => state.flushed = state.bytes.clone(),
        }
        Ok(state.bytes.len() as u64)
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let state = self.0.lock();
        let found = state.bytes.get(start..start + bytes.len());
        bytes.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let mut state = self.0.lock();
        let verdict = state.count();
        let reached = match (&verdict, state.fail_from == Some(state.operations)) {
            (Ok(()), _) => bytes.len(),
            (Err(_), true) => bytes.len() / 2,
            (Err(_), false) => return verdict,
        };
        let end = state.bytes.len().max(start + reached);
        state.bytes.resize(end, 0);
        state.bytes[start..start + reached].copy_from_slice(&bytes[..reached]);
        verdict
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.0.lock();
        state.count()?;
        state
            .bytes
            .truncate(usize::try_from(length).map_err(io::Error::other)?);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.0.lock();
        if let Err(error) = state.count() {
            state.forgets = true;
            return Err(error);
        }
        let bytes = state.bytes.clone();
        state.flushed = bytes;
        Ok(())
    }
}
