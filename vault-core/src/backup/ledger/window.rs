//! A tape read a part at a time, however long it is.

use super::Tape;

/// Bytes that are read at a time.
const WINDOW_BYTES: u64 = 64 << 10;

/// A part of the file in memory.
pub(super) struct Window<'t> {
    tape: &'t dyn Tape,
    length: u64,
    at: u64,
    bytes: Vec<u8>,
}

impl<'t> Window<'t> {
    pub(super) fn new(tape: &'t dyn Tape, length: u64) -> Self {
        Self {
            tape,
            length,
            at: 0,
            bytes: Vec::new(),
        }
    }

    /// The `length` bytes from `at`, fewer at the end of the file.
    pub(super) fn get(&mut self, at: u64, length: usize) -> std::io::Result<&[u8]> {
        let end = at.saturating_add(length as u64).min(self.length);
        if at >= end {
            return Ok(&[]);
        }
        let held = self.at + self.bytes.len() as u64;
        if at < self.at || end > held {
            let reach = end.max(at + WINDOW_BYTES).min(self.length);
            let size = usize::try_from(reach - at).expect("a window");
            self.bytes.resize(size, 0);
            self.tape.read_at(at, &mut self.bytes)?;
            self.at = at;
        }
        let start = usize::try_from(at - self.at).expect("inside the window");
        let size = usize::try_from(end - at).expect("inside the window");
        Ok(&self.bytes[start..start + size])
    }

    /// Whether nothing but zeros lies from `at` on.
    pub(super) fn zeros(&mut self, mut at: u64) -> std::io::Result<bool> {
        while at < self.length {
            let bytes = self.get(at, 4096)?;
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += bytes.len() as u64;
        }
        Ok(true)
    }
}
