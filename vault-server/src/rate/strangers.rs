//! Callers without a valid API key, by the network that they come from.
//!
//! A network has a number of tries a minute; beyond it each further one makes it wait, one second,
//! then two, up to a minute. Knows nothing of keys: whoever has shown a valid one is let through
//! before this is asked, so that an attacker behind the same proxy shuts nobody out. Guessing a key
//! of 256 bits is hopeless without this; it keeps the work and the log of guessing small.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::backoff::Backoff;

/// Networks that are kept; beyond it whoever has been quiet longest goes.
const NETWORKS_MAX: usize = 10_000;
const MINUTE_SECONDS: i64 = 60;

/// A peer's network: /24 of IPv4, /64 of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                Ipv4Addr::new(a, b, c, 0).into()
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
        })
    }
}

struct Entry {
    /// The minute that is counted, and its tries.
    begun: Timestamp,
    tries: u32,
    last: Timestamp,
    backoff: Backoff,
}

/// What is known of strangers.
pub(super) struct Strangers {
    tries_max: u32,
    networks: Mutex<HashMap<Network, Entry>>,
}

impl Strangers {
    pub(super) fn new(tries_max: u32) -> Self {
        Self {
            tries_max,
            networks: Mutex::default(),
        }
    }

    /// How many seconds a stranger from there has still to wait at `now`.
    pub(super) fn wait_seconds(&self, network: Network, now: Timestamp) -> Option<u64> {
        let networks = self.networks.lock();
        networks.get(&network)?.backoff.wait_seconds(now)
    }

    /// A call from there had no valid key.
    pub(super) fn failed(&self, network: Network, now: Timestamp) {
        let mut networks = self.networks.lock();
        if networks.len() >= NETWORKS_MAX && !networks.contains_key(&network) {
            let quiet = networks.iter().min_by_key(|(_, entry)| entry.last);
            let quiet = quiet.map(|(network, _)| *network);
            quiet.map(|network| networks.remove(&network));
        }
        let entry = networks.entry(network).or_insert_with(|| Entry {
            begun: now,
            tries: 0,
            last: now,
            backoff: Backoff::default(),
        });
        let passed = |since| now.duration_since(since).as_secs();
        // Two quiet minutes, more than the longest wait, and it is a network like any other. A clock
        // set back begins anew as well: it must not keep anybody out.
        if passed(entry.last) >= 2 * MINUTE_SECONDS || passed(entry.last) < 0 {
            entry.backoff.succeeded();
            entry.tries = 0;
        }
        // While it waits and tries again, the minute stays: waiting must not earn new tries.
        let tried_out = entry.tries > self.tries_max;
        if entry.tries == 0 || (passed(entry.begun) >= MINUTE_SECONDS && !tried_out) {
            (entry.begun, entry.tries) = (now, 0);
        }
        entry.last = now;
        entry.tries = entry.tries.saturating_add(1);
        if entry.tries > self.tries_max {
            entry.backoff.failed(now);
        }
    }

    pub(super) fn forget_all(&self) {
        self.networks.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn network(address: &str) -> Network {
        address.parse::<IpAddr>().expect("an address").into()
    }

    #[test]
    fn a_network_is_a_24_or_a_64() {
        assert_eq!(network("203.0.113.1"), network("203.0.113.250"));
        assert_eq!(network("::ffff:203.0.113.1"), network("203.0.113.9"));
        assert_ne!(network("203.0.113.1"), network("203.0.114.1"));
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
    }

    #[test]
    fn after_its_tries_a_network_waits_longer_and_longer_and_others_do_not() {
        let strangers = Strangers::new(3);
        let (bad, other) = (network("203.0.113.1"), network("198.51.100.1"));
        for _ in 0..3 {
            strangers.failed(bad, at(0));
            assert_eq!(strangers.wait_seconds(bad, at(0)), None);
        }
        let (mut now, mut waits) = (0, Vec::new());
        for _ in 0..8 {
            strangers.failed(bad, at(now));
            let wait = strangers.wait_seconds(bad, at(now)).expect("a wait");
            waits.push(wait);
            assert_eq!(strangers.wait_seconds(other, at(now)), None);
            now += wait.cast_signed();
            assert_eq!(strangers.wait_seconds(bad, at(now)), None, "it is over");
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn tries_spread_over_minutes_are_no_attack_and_quiet_forgets_one() {
        let strangers = Strangers::new(3);
        let network = network("203.0.113.1");
        for minute in 0..100 {
            for _ in 0..3 {
                strangers.failed(network, at(minute * 60));
            }
            assert_eq!(strangers.wait_seconds(network, at(minute * 60)), None);
        }
        for _ in 0..9 {
            strangers.failed(network, at(6_000));
        }
        assert!(strangers.wait_seconds(network, at(6_000)).is_some());
        strangers.failed(network, at(6_120));
        assert_eq!(strangers.wait_seconds(network, at(6_120)), None);
    }

    #[test]
    fn no_more_networks_are_kept_than_there_is_room_for() {
        let strangers = Strangers::new(3);
        for number in 0..12_000_u32 {
            let address = IpAddr::from(Ipv4Addr::from(number << 8));
            strangers.failed(address.into(), at(i64::from(number)));
        }
        assert_eq!(strangers.networks.lock().len(), NETWORKS_MAX);
    }
}
