//! Who gets a connection: so many in all, so many of one peer.
//!
//! Knows nothing of what is done with it. A peer is an IPv4 address, or the /64 of an IPv6 address:
//! whoever has one address of it has them all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// Every place is taken.
    Full,
    /// The peer has its share.
    Peer,
}

/// The places of a listener; clones share them.
#[derive(Clone)]
pub(super) struct Places(Arc<Shared>);

struct Shared {
    all_max: usize,
    peer_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    // At most as many entries as there are places: each is removed with its last connection.
    peers: HashMap<IpAddr, usize>,
}

/// A place, given back when dropped.
pub(super) struct Place {
    places: Places,
    peer: IpAddr,
}

impl Places {
    pub(super) fn new(all_max: usize, peer_max: usize) -> Self {
        Self(Arc::new(Shared {
            all_max,
            peer_max,
            taken: Mutex::default(),
        }))
    }

    /// Takes a place.
    ///
    /// # Errors
    ///
    /// [`NoPlace`].
    pub(super) fn take(&self, address: IpAddr) -> Result<Place, NoPlace> {
        let peer = peer(address);
        let mut taken = self.0.taken.lock();
        if taken.all >= self.0.all_max {
            return Err(NoPlace::Full);
        }
        if taken.peers.get(&peer).copied().unwrap_or(0) >= self.0.peer_max {
            return Err(NoPlace::Peer);
        }
        taken.all += 1;
        *taken.peers.entry(peer).or_default() += 1;
        Ok(Place {
            places: self.clone(),
            peer,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.0.taken.lock();
        taken.all -= 1;
        if let Some(count) = taken.peers.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                taken.peers.remove(&self.peer);
            }
        }
    }
}

fn peer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(places: &Places, address: &str) -> Result<Place, NoPlace> {
        places.take(address.parse().expect("an address"))
    }

    #[test]
    fn a_peer_has_its_share_and_others_have_theirs() {
        let places = Places::new(3, 2);
        let first = take(&places, "192.0.2.1").expect("a place");
        let _mapped = take(&places, "::ffff:192.0.2.1").expect("a place");
        assert_eq!(take(&places, "192.0.2.1").err(), Some(NoPlace::Peer));
        let _other = take(&places, "192.0.2.2").expect("another's");
        assert_eq!(take(&places, "192.0.2.3").err(), Some(NoPlace::Full));
        drop(first);
        take(&places, "192.0.2.1").expect("given back");
    }

    #[test]
    fn addresses_of_one_64_are_one_peer_and_nothing_is_left_behind() {
        let places = Places::new(9, 1);
        let held = take(&places, "2001:db8::1").expect("a place");
        assert_eq!(take(&places, "2001:db8::2:1").err(), Some(NoPlace::Peer));
        take(&places, "2001:db8:0:1::1").expect("another /64");
        drop(held);
        assert!(places.0.taken.lock().peers.is_empty());
        assert_eq!(places.0.taken.lock().all, 0);
    }
}
