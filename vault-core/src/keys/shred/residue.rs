//! Finds payloads of a map in the memory of the process, wherever it is: what was given back is read as well.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use zeroize::Zeroizing;

/// Payloads that begin with these bytes, which stand nowhere else.
pub(crate) struct Residue(pub(crate) [u8; 8]);

impl Residue {
    pub(crate) fn payload(&self, number: u32) -> Zeroizing<[u8; 48]> {
        let mut payload = Zeroizing::new([0; 48]);
        payload[..8].copy_from_slice(&self.0);
        payload[8..12].copy_from_slice(&number.to_be_bytes());
        payload
    }

    /// How many payloads with numbers below `count` there are.
    pub(crate) fn count(&self, count: u32) -> usize {
        const STEP: usize = 1 << 20;
        let mut buffer = vec![0; STEP + 12];
        // What is read is not found once more where it was read into.
        let own = buffer.as_ptr() as usize;
        let own = own..own + buffer.len();
        let memory = File::open("/proc/self/mem").unwrap();
        let mut found = HashSet::new();
        for line in std::fs::read_to_string("/proc/self/maps").unwrap().lines() {
            let mut words = line.split(' ');
            let (from, to) = words.next().unwrap().split_once('-').unwrap();
            let at = |text| usize::from_str_radix(text, 16).unwrap();
            let (from, to) = (at(from), at(to));
            if !words.next().unwrap().starts_with("rw") {
                continue;
            }
            for start in (from..to).step_by(STEP) {
                let length = buffer.len().min(to - start);
                let read = memory.read_exact_at(&mut buffer[..length], start as u64);
                if read.is_err() {
                    // Another thread has given it back meanwhile.
                    continue;
                }
                for (offset, window) in buffer[..length].windows(12).enumerate() {
                    if window[..8] == self.0 && !own.contains(&(start + offset)) {
                        found.insert(u32::from_be_bytes(window[8..].try_into().unwrap()));
                    }
                }
            }
        }
        found.into_iter().filter(|number| *number < count).count()
    }
}
