//! Places for secrets in pages that are locked in memory.
//!
//! Blocks of pages are divided into slots of one size each, taken and put back like books; a block
//! is never returned to the system and never unlocked, so that the end of one secret cannot expose
//! a neighbour's page, and so that no reference can outlive its memory. The price: what the pool
//! has grown to under load it keeps, half as much again for its list. Knows nothing of what lies
//! in a slot; promises that it is zeros when it is taken and overwritten before it is put back.

use std::alloc::{Layout, handle_alloc_error};
use std::io;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use zeroize::Zeroize;

use super::pages::{self, BLOCK_BYTES, Block};

/// Sizes of slots: keys, and what is twice as long (a signing key with its public half).
const SLOT_BYTES: [usize; 2] = [32, 64];
/// Longest secret.
pub(super) const SECRET_BYTES_MAX: usize = SLOT_BYTES[1];

static POOLS: [Pool; 2] = [
    Pool::new(SLOT_BYTES[0], pages::map),
    Pool::new(SLOT_BYTES[1], pages::map),
];

/// How much memory for keys there is, and whether it stays out of swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLock {
    /// Bytes of pages that are locked in memory.
    pub locked_bytes: u64,
    /// Bytes of pages that are not, because the limit was reached: they may be swapped out.
    pub unlocked_bytes: u64,
    /// What the system lets this process lock, in bytes (`RLIMIT_MEMLOCK`); `None` without a limit.
    /// A process with `CAP_IPC_LOCK` is not held to it.
    pub limit: Option<u64>,
}

/// The figures of this process's pages for keys. Maps the first of them if there is none yet, so
/// that it says whether the system locks any.
#[must_use]
pub fn memory_lock() -> MemoryLock {
    drop(Slot::take(SLOT_BYTES[0]));
    let sum = |count: fn(&Pool) -> &AtomicU64| {
        POOLS
            .iter()
            .map(|pool| count(pool).load(Ordering::Relaxed))
            .sum()
    };
    MemoryLock {
        locked_bytes: sum(|pool| &pool.locked_bytes),
        unlocked_bytes: sum(|pool| &pool.unlocked_bytes),
        limit: rustix::process::getrlimit(rustix::process::Resource::Memlock).current,
    }
}

/// A slot of at least the bytes that were asked for; overwritten and put back when dropped.
pub(super) struct Slot(&'static mut [u8]);

impl Slot {
    /// A slot of zeros. At most [`SECRET_BYTES_MAX`] bytes can be had.
    pub(super) fn take(bytes: usize) -> Self {
        Self(pool_for(bytes).take())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.0
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let slot = mem::take(&mut self.0);
        pool_for(slot.len()).put(slot);
    }
}

fn pool_for(bytes: usize) -> &'static Pool {
    let fits = POOLS.iter().find(|pool| pool.slot_bytes >= bytes);
    fits.expect("Secret is checked against SECRET_BYTES_MAX when it is compiled")
}

/// Slots of one size.
struct Pool {
    slot_bytes: usize,
    map: fn() -> io::Result<Block>,
    free: Mutex<Free>,
    locked_bytes: AtomicU64,
    unlocked_bytes: AtomicU64,
}

struct Free {
    slots: Vec<&'static mut [u8]>,
    /// Free or lent.
    all: usize,
}

impl Pool {
    const fn new(slot_bytes: usize, map: fn() -> io::Result<Block>) -> Self {
        Self {
            slot_bytes,
            map,
            free: Mutex::new(Free {
                slots: Vec::new(),
                all: 0,
            }),
            locked_bytes: AtomicU64::new(0),
            unlocked_bytes: AtomicU64::new(0),
        }
    }

    fn take(&self) -> &'static mut [u8] {
        let mut free = self.free.lock();
        if free.slots.is_empty() {
            self.grow(&mut free);
        }
        free.slots.pop().expect("a block has many slots")
    }

    fn put(&self, slot: &'static mut [u8]) {
        slot.zeroize();
        self.free.lock().slots.push(slot);
    }

    fn grow(&self, free: &mut Free) {
        let Ok(Block { bytes, locked }) = (self.map)() else {
            // What Box does when there is no memory.
            handle_alloc_error(Layout::new::<[u8; BLOCK_BYTES]>());
        };
        let count = match locked {
            true => &self.locked_bytes,
            false => &self.unlocked_bytes,
        };
        count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        free.all += bytes.len() / self.slot_bytes;
        // Room for every slot, so that putting one back, in a drop, never asks for memory.
        free.slots.reserve(free.all);
        free.slots.extend(bytes.chunks_exact_mut(self.slot_bytes));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ops::Range;

    use proptest::prelude::*;

    use super::*;

    /// A pool of its own, leaked as the real ones are.
    fn pool(slot_bytes: usize, map: fn() -> io::Result<Block>) -> &'static Pool {
        Box::leak(Box::new(Pool::new(slot_bytes, map)))
    }

    fn place(slot: &[u8]) -> Range<usize> {
        let start = slot.as_ptr().addr();
        start..start + slot.len()
    }

    #[derive(Clone, Debug)]
    enum Step {
        Take(u8),
        Write(usize, u8),
        Put(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (1_u8..).prop_map(Step::Take),
            1 => (any::<usize>(), 1_u8..).prop_map(|(which, byte)| Step::Write(which, byte)),
            2 => any::<usize>().prop_map(Step::Put),
        ];
        // Over a block of 64-byte slots, so that the pool grows.
        prop::collection::vec(step, 0..if cfg!(miri) { 40 } else { 900 })
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 4 } else { 64 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// The model is a list of what each lent slot must hold.
        #[test]
        fn slots_keep_what_was_written_to_them_alone_and_come_back_as_zeros(
            steps in steps(), slot_bytes in prop::sample::select(SLOT_BYTES.to_vec()),
        ) {
            let pool = pool(slot_bytes, pages::map);
            let mut lent: Vec<(&'static mut [u8], u8)> = Vec::new();
            for step in steps {
                match step {
                    Step::Take(byte) => {
                        let slot = pool.take();
                        prop_assert_eq!(&*slot, vec![0; slot_bytes]);
                        slot.fill(byte);
                        lent.push((slot, byte));
                    }
                    Step::Write(which, byte) if !lent.is_empty() => {
                        let which = which % lent.len();
                        lent[which].0.fill(byte);
                        lent[which].1 = byte;
                    }
                    Step::Put(which) if !lent.is_empty() => {
                        let (slot, _) = lent.swap_remove(which % lent.len());
                        pool.put(slot);
                    }
                    Step::Write(..) | Step::Put(_) => {}
                }
            }
            for (slot, byte) in &lent {
                prop_assert!(slot.iter().all(|held| held == byte));
            }
            let all = pool.free.lock().all;
            let lent_slots = lent.len();
            let rest: Vec<_> = (0..all - lent_slots).map(|_| pool.take()).collect();
            prop_assert_eq!(pool.free.lock().all, all, "what was put back is lent again");
            prop_assert!(rest.iter().all(|slot| slot.iter().all(|byte| *byte == 0)));
            let slots = lent.iter().map(|(slot, _)| &**slot).chain(rest.iter().map(|slot| &**slot));
            let mut places: Vec<_> = slots.map(place).collect();
            places.sort_by_key(|place| place.start);
            prop_assert!(places.is_sorted_by(|one, next| one.end <= next.start), "none overlap");
        }
    }

    #[test]
    fn past_the_limit_the_pool_goes_on_with_pages_that_it_counts_as_unlocked() {
        fn refused() -> io::Result<Block> {
            pages::map().map(|block| Block {
                locked: false,
                ..block
            })
        }
        let pool = pool(32, refused);
        let slots: Vec<_> = (0..=BLOCK_BYTES / 32).map(|_| pool.take()).collect();
        let places: BTreeSet<_> = slots.iter().map(|slot| place(slot).start).collect();
        assert_eq!(places.len(), slots.len());
        let two = 2 * BLOCK_BYTES as u64;
        assert_eq!(pool.unlocked_bytes.load(Ordering::Relaxed), two);
        assert_eq!(pool.locked_bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn threads_never_hold_one_slot_together() {
        let pool = pool(32, pages::map);
        std::thread::scope(|scope| {
            for mark in 1..=4_u8 {
                scope.spawn(move || {
                    for round in 0..if cfg!(miri) { 20 } else { 20_000 } {
                        let (one, two) = (pool.take(), pool.take());
                        assert!(one.iter().chain(&*two).all(|byte| *byte == 0));
                        one.fill(mark);
                        two.fill(mark);
                        if round % 7 == 0 {
                            std::thread::yield_now();
                        }
                        assert!(one.iter().chain(&*two).all(|byte| *byte == mark));
                        pool.put(one);
                        pool.put(two);
                    }
                });
            }
        });
        let free = pool.free.lock();
        assert_eq!(free.slots.len(), free.all, "all were put back");
    }

    #[test]
    fn a_secret_lies_in_the_smallest_slot_that_holds_it() {
        for (bytes, slot) in [(0, 32), (20, 32), (32, 32), (33, 64), (64, 64)] {
            assert_eq!(Slot::take(bytes).bytes().len(), slot);
        }
    }
}
