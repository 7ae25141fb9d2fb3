//! One limit, kept for every caller by itself: governor's GCRA over memory that is bounded.
//!
//! Knows nothing of calls. Time is an argument: the clock that nobody sets, in whole milliseconds.
//! A caller who has not been seen for as long as the limit takes to refill is like a new one, and is
//! forgotten; where too many are live, whoever is nearest to that goes first.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::{Quota as Rate, RateLimiter};
use parking_lot::Mutex;
use vault_core::clock::Clock;

use super::{Limit, Standing};

const SHARDS: usize = 32;
/// How often whoever is like new is forgotten.
const FORGET_EVERY_MILLISECONDS: i64 = 60_000;

/// The vault's clock, as governor reads it.
struct Running(Arc<dyn Clock>);

impl governor::clock::Clock for Running {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.running().max(0).unsigned_abs() * 1_000_000)
    }
}

type Shard<K> = Mutex<HashMap<K, Nanos>>;

/// Who has been seen, and until when their calls are paid for.
struct Seen<K> {
    shards: Arc<Vec<Shard<K>>>,
    shard_entries_max: usize,
    hasher: RandomState,
}

impl<K> Clone for Seen<K> {
    fn clone(&self) -> Self {
        Self {
            shards: self.shards.clone(),
            shard_entries_max: self.shard_entries_max,
            hasher: self.hasher.clone(),
        }
    }
}

impl<K: Hash + Eq + Copy> Seen<K> {
    fn new(entries_max: usize) -> Self {
        Self {
            shards: Arc::new((0..SHARDS).map(|_| Mutex::default()).collect()),
            shard_entries_max: entries_max.div_ceil(SHARDS),
            hasher: RandomState::new(),
        }
    }

    fn shard(&self, key: &K) -> &Shard<K> {
        let hash = self.hasher.hash_one(key);
        &self.shards[usize::try_from(hash % SHARDS as u64).expect("below the count")]
    }

    fn forget(&self, key: &K) {
        self.shard(key).lock().remove(key);
    }
}

impl<K: Hash + Eq + Copy> StateStore for Seen<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut entries = self.shard(key).lock();
        if let Some(paid) = entries.get_mut(key) {
            let (outcome, next) = f(Some(*paid))?;
            *paid = next;
            return Ok(outcome);
        }
        let (outcome, next) = f(None)?;
        if entries.len() >= self.shard_entries_max {
            let nearest = entries.iter().min_by_key(|(_, paid)| **paid);
            let nearest = nearest.map(|(key, _)| *key);
            nearest.map(|key| entries.remove(&key));
        }
        entries.insert(*key, next);
        Ok(outcome)
    }
}

impl<K: Hash + Eq + Copy> ShrinkableKeyedStateStore<K> for Seen<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        for shard in self.shards.iter() {
            shard.lock().retain(|_, paid| *paid > drop_below);
        }
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One limit for each of many callers.
pub(super) struct Quota<K: Hash + Eq + Copy> {
    limit: Limit,
    size: u32,
    refill: Duration,
    seen: Seen<K>,
    rates: RateLimiter<K, Seen<K>, Running, StateInformationMiddleware>,
    forgotten: AtomicI64,
    clock: Arc<dyn Clock>,
}

impl<K: Hash + Eq + Copy> Quota<K> {
    /// `size` calls at once, of which `each` in `every` come back; kept for `entries_max` callers.
    pub(super) fn new(
        limit: Limit,
        size: u32,
        (each, every): (u32, Duration),
        entries_max: usize,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let (size, each) = (size.max(1), each.max(1));
        let seen = Seen::new(entries_max);
        let one = every / each;
        let rate = Rate::with_period(one.max(Duration::from_nanos(1)))
            .expect("a period that is not nought")
            .allow_burst(NonZeroU32::new(size).expect("at least one"));
        Self {
            limit,
            size,
            refill: rate.burst_size_replenished_in(),
            rates: RateLimiter::new(rate, seen.clone(), Running(clock.clone())),
            seen,
            forgotten: AtomicI64::new(clock.running()),
            clock: clock.clone(),
        }
    }

    /// Counts a call; the standing after it, or that it was one too many.
    pub(super) fn count(&self, key: K) -> Result<Standing, Standing> {
        self.forget_the_new();
        let seconds = |wait: Duration| wait.as_nanos().div_ceil(1_000_000_000);
        let seconds = |wait| u64::try_from(seconds(wait)).unwrap_or(u64::MAX).max(1);
        let standing = |left: u32, wait: Duration| Standing {
            limit: self.limit,
            size: self.size,
            window_seconds: seconds(self.refill),
            left,
            wait_seconds: seconds(wait),
        };
        match self.rates.check_key(&key) {
            Ok(state) => {
                let left = state.remaining_burst_capacity();
                let one = self.refill / self.size;
                Ok(standing(left, one * self.size.saturating_sub(left)))
            }
            Err(until) => Err(standing(0, until.wait_time_from(self.rates.clock().now()))),
        }
    }

    /// Forgets one caller.
    pub(super) fn forget(&self, key: K) {
        self.seen.forget(&key);
    }

    fn forget_the_new(&self) {
        let now = self.clock.running();
        let last = self.forgotten.load(Ordering::Relaxed);
        let due = now - last >= FORGET_EVERY_MILLISECONDS;
        let swap = || {
            let order = Ordering::Relaxed;
            self.forgotten.compare_exchange(last, now, order, order)
        };
        if due && swap().is_ok() {
            self.rates.retain_recent();
        }
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        ShrinkableKeyedStateStore::len(&self.seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use vault_core::clock::ManualClock;

    fn clock() -> Arc<ManualClock> {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        clock.advance(5_000);
        Arc::new(clock)
    }

    fn quota(clock: &Arc<ManualClock>, size: u32, each: u32, entries_max: usize) -> Quota<u32> {
        let clock: Arc<dyn Clock> = clock.clone();
        let rate = (each, Duration::from_secs(60));
        Quota::new(Limit::Person, size, rate, entries_max, &clock)
    }

    #[test]
    fn the_limit_holds_one_more_is_refused_and_time_brings_one_back() {
        let clock = clock();
        let quota = quota(&clock, 6, 6, 100);
        for left in (0..6).rev() {
            assert_eq!(quota.count(1).expect("within the limit").left, left);
        }
        let refused = quota.count(1).expect_err("one too many");
        assert_eq!((refused.left, refused.wait_seconds), (0, 10));
        assert_eq!((refused.size, refused.window_seconds), (6, 60));
        clock.advance(9_999);
        assert_eq!(quota.count(1).expect_err("too early").wait_seconds, 1);
        clock.advance(1);
        quota.count(1).expect("one has come back");
        quota.count(1).expect_err("and no more than one");
        clock.advance(60_000);
        for _ in 0..6 {
            quota.count(1).expect("all have come back");
        }
        quota.count(1).expect_err("and no more than all");
    }

    #[test]
    fn one_caller_at_the_limit_leaves_another_alone() {
        let quota = quota(&clock(), 1, 1, 100);
        quota.count(1).expect("the first");
        quota.count(1).expect_err("the second");
        quota.count(2).expect("somebody else");
    }

    #[test]
    fn a_wall_clock_that_is_set_gives_nothing_back() {
        let clock = clock();
        let quota = quota(&clock, 1, 1, 100);
        quota.count(1).expect("the first");
        clock.set(3_600_000);
        quota.count(1).expect_err("no time has passed");
    }

    #[test]
    fn whoever_is_forgotten_or_like_new_leaves_no_entry() {
        let clock = clock();
        let quota = quota(&clock, 2, 2, 10_000);
        for caller in 0..50 {
            quota.count(caller).expect("within the limit");
        }
        assert_eq!(quota.entries(), 50);
        quota.forget(7);
        assert_eq!(quota.entries(), 49);
        clock.advance(61_000);
        quota.count(99).expect("within the limit");
        assert_eq!(quota.entries(), 1);
    }

    #[test]
    fn more_callers_than_there_is_room_for_push_out_who_has_used_least() {
        let clock = clock();
        let quota = quota(&clock, 10, 10, 2 * SHARDS);
        for _ in 0..10 {
            quota.count(0).expect("within the limit");
        }
        for caller in 1..10_000 {
            quota.count(caller).expect("within the limit");
        }
        assert!(quota.entries() <= 2 * SHARDS);
        quota
            .count(0)
            .expect_err("who has used most is still known");
    }
}
