//! What a soak counted, and what it says at the end.
//!
//! Knows names of kinds and numbers, no value of anybody.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::balance::{Balance, CALLS};

/// Wrong answers that are kept; after the first the run has failed.
const WRONGS_MAX: usize = 20;

/// How long calls took, in buckets of at most a sixteenth of their length, so that an hour of calls
/// takes no memory to speak of.
#[derive(Clone, Default)]
pub(super) struct Histogram {
    buckets: BTreeMap<u32, u64>,
    count: u64,
}

impl Histogram {
    fn add(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        *self.buckets.entry(bucket(micros)).or_default() += 1;
        self.count += 1;
    }

    fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.buckets {
            *self.buckets.entry(*bucket).or_default() += count;
        }
        self.count += other.count;
    }

    /// The upper end of the bucket that holds the nearest rank, in milliseconds.
    fn percentile(&self, percent: u64) -> f64 {
        let rank = (self.count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (bucket, count) in &self.buckets {
            seen += count;
            if seen >= rank {
                return upper(*bucket) as f64 / 1000.0;
            }
        }
        0.0
    }
}

/// The exponent of a number and its next four bits.
fn bucket(micros: u64) -> u32 {
    let exponent = micros.ilog2();
    let next = match exponent {
        0..4 => micros << (4 - exponent),
        _ => micros >> (exponent - 4),
    };
    exponent * 16 + u32::try_from(next & 15).expect("four bits")
}

/// The largest number of a bucket.
fn upper(bucket: u32) -> u64 {
    let (exponent, next) = (bucket / 16, u64::from(bucket % 16) + 17);
    match exponent {
        0..4 => ((next << exponent) >> 4).saturating_sub(u64::from(next << exponent & 15 == 0)),
        _ => (next << (exponent - 4)) - 1,
    }
}

/// What one actor counted; those of all are merged.
#[derive(Default)]
pub(super) struct Tally {
    calls: BTreeMap<&'static str, Histogram>,
    shed: BTreeMap<String, u64>,
    balance: Balance,
    attempts: BTreeMap<&'static str, BTreeMap<String, u64>>,
    connections: u64,
    wrongs: Vec<String>,
}

impl Tally {
    pub(super) fn call(&mut self, kind: &'static str, took: Duration) {
        self.calls.entry(kind).or_default().add(took);
        self.balance.must(CALLS, 1);
    }

    /// A good call that was told to come back later.
    pub(super) fn shed(&mut self, code: &str) {
        *self.shed.entry(code.to_owned()).or_default() += 1;
        self.balance.must(CALLS, 1);
        self.refused(code);
    }

    /// A good call was refused.
    pub(super) fn refused(&mut self, code: &str) {
        self.balance.refused(code);
    }

    /// What the server must have counted.
    pub(super) fn balance(&mut self) -> &mut Balance {
        &mut self.balance
    }

    pub(super) fn attempt(&mut self, kind: &'static str, ended: String) {
        let ends = self.attempts.entry(kind).or_default();
        *ends.entry(ended).or_default() += 1;
    }

    pub(super) fn connections(&mut self, opened: u64) {
        self.connections += opened;
    }

    pub(super) fn wrong(&mut self, what: String) {
        if self.wrongs.len() < WRONGS_MAX {
            self.wrongs.push(what);
        }
    }

    pub(super) fn wrongs(&self) -> &[String] {
        &self.wrongs
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (kind, times) in other.calls {
            self.calls.entry(kind).or_default().merge(&times);
        }
        for (code, count) in other.shed {
            *self.shed.entry(code).or_default() += count;
        }
        self.balance.merge(other.balance);
        for (kind, ends) in other.attempts {
            for (ended, count) in ends {
                let all = self.attempts.entry(kind).or_default();
                *all.entry(ended).or_default() += count;
            }
        }
        self.connections += other.connections;
        other.wrongs.into_iter().for_each(|wrong| self.wrong(wrong));
    }

    /// All of it as text for people.
    pub(super) fn table(&self, elapsed: Duration) -> String {
        let seconds = elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
        let mut text = format!(
            "{:<16}{:>10}{:>11}{:>10}{:>10}\n",
            "call", "count", "a second", "p50 ms", "p99 ms"
        );
        let mut all = Histogram::default();
        let mut line = |kind: &str, times: &Histogram| {
            let _ = writeln!(
                text,
                "{kind:<16}{:>10}{:>11.1}{:>10.2}{:>10.2}",
                times.count,
                times.count as f64 / seconds,
                times.percentile(50),
                times.percentile(99)
            );
        };
        for (kind, times) in &self.calls {
            line(kind, times);
            all.merge(times);
        }
        line("all", &all);
        let _ = writeln!(
            text,
            "\nconnections opened by good clients: {}",
            self.connections
        );
        let _ = writeln!(text, "told to come back later: {}", counts(&self.shed));
        let _ = writeln!(
            text,
            "\n{:<21}{:>9}  how it ended",
            "hostile client", "attempts"
        );
        for (kind, ends) in &self.attempts {
            let attempts: u64 = ends.values().sum();
            let _ = writeln!(text, "{kind:<21}{attempts:>9}  {}", counts(ends));
        }
        text
    }
}

fn counts(map: &BTreeMap<String, u64>) -> String {
    let all: Vec<_> = map
        .iter()
        .map(|(name, count)| format!("{name}: {count}"))
        .collect();
    match all.is_empty() {
        true => "never".into(),
        false => all.join(", "),
    }
}

/// The server's memory, a sample a second.
#[derive(Default)]
pub(super) struct Memory(Vec<(f64, f64)>);

/// What the server may come to before growth counts, in MiB: the store's cache (16 MiB, and what
/// the allocator keeps around it), 512 threads with their stacks, the bodies under way. Five
/// minutes took it to 110. A run that is too short to get there tells only that it stays below.
const WARM_MIB: f64 = 144.0;
/// The most that it may ever take.
const PEAK_MIB_MAX: f64 = 256.0;
/// How far it may grow, once warm, over the second half: what is kept by design for a day or a
/// quarter of an hour (questions asked, identities just erased) comes to less.
const GROWTH_MIB_MAX: f64 = 16.0;

impl Memory {
    pub(super) fn add(&mut self, at: Duration, kilobytes: u64) {
        self.0.push((at.as_secs_f64(), kilobytes as f64 / 1024.0));
    }

    fn peak(&self) -> f64 {
        self.0.iter().map(|sample| sample.1).fold(0.0, f64::max)
    }

    /// MiB a second over the second half, by least squares, and how many seconds that half has;
    /// what lies below `floor` counts as if it lay there.
    fn slope(&self, floor: f64) -> (f64, f64) {
        let half = self.0[self.0.len() / 2..].iter();
        let half: Vec<_> = half.map(|(at, mib)| (*at, mib.max(floor))).collect();
        let (Some(first), Some(last)) = (half.first(), half.last()) else {
            return (0.0, 0.0);
        };
        let count = half.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| half.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(|s| s.0), mean(|s| s.1));
        let above: f64 = half.iter().map(|s| (s.0 - x) * (s.1 - y)).sum();
        let below: f64 = half.iter().map(|s| (s.0 - x).powi(2)).sum();
        let slope = if below > 0.0 { above / below } else { 0.0 };
        (slope, last.0 - first.0)
    }

    /// What was measured beside its bounds, and whether it is flat.
    pub(super) fn verdict(&self) -> (String, bool) {
        let (slope, _) = self.slope(0.0);
        let (warm, seconds) = self.slope(WARM_MIB);
        let (peak, growth) = (self.peak(), warm * seconds);
        let tenths =
            (1..=10).filter_map(|tenth| self.0.get((self.0.len() * tenth / 10).max(1) - 1));
        let tenths: Vec<_> = tenths.map(|(_, mib)| format!("{mib:.0}")).collect();
        let text = format!(
            "\nserver's memory, MiB, at each tenth of {} samples: {}\n\
             peak {peak:.1} (bound {PEAK_MIB_MAX:.0}); second half {:+.2} a minute; growth there \
             above {WARM_MIB:.0}: {growth:+.1} (bound {GROWTH_MIB_MAX:.0})\n",
            self.0.len(),
            tenths.join(" "),
            slope * 60.0
        );
        let flat = self.0.len() > 1 && peak <= PEAK_MIB_MAX && growth <= GROWTH_MIB_MAX;
        (text, flat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_at_most_a_sixteenth_too_high_and_never_too_low() {
        for micros in [1_u64, 2, 3, 9, 15, 16, 17, 31, 100, 999, 12_345, 9_999_999] {
            let mut times = Histogram::default();
            times.add(Duration::from_micros(micros));
            let found = times.percentile(99) * 1000.0;
            let exact = micros as f64;
            assert!(
                found >= exact - 1e-6 && found <= exact * 17.0 / 16.0,
                "{micros}: {found}"
            );
        }
        let mut times = Histogram::default();
        (1..=100).for_each(|ms| times.add(Duration::from_millis(ms)));
        assert!((50.0..54.0).contains(&times.percentile(50)));
        assert!((99.0..106.0).contains(&times.percentile(99)));
    }

    #[test]
    fn memory_that_grows_is_not_flat_and_a_start_that_grows_is() {
        let samples = |of: fn(u64) -> u64| {
            let mut memory = Memory::default();
            (0..120).for_each(|s| memory.add(Duration::from_secs(s), of(s)));
            memory.verdict().1
        };
        assert!(samples(|s| 90_000 + 60_000 * s.min(50) / 50));
        assert!(samples(|s| 80_000 + 500 * s), "below what it may come to");
        assert!(!samples(|s| 200_000 + 500 * s), "half a MiB a second");
        let peak = |s| if s == 3 { 300 << 10 } else { 100_000 };
        assert!(!samples(peak), "the peak");
        assert!(!Memory::default().verdict().1, "nothing was measured");
    }
}
