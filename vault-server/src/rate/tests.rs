//! Limits of callers, at the limit and one beyond it. Time stands still unless it is moved.

use jiff::Timestamp;
use vault_core::clock::ManualClock;

use super::*;
use crate::code::Code;

fn rates(limits: &Limits) -> (Rates, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
    let shared: Arc<dyn Clock> = clock.clone();
    (Rates::new(limits, &shared), clock)
}

fn token(number: u8) -> TokenId {
    TokenId::from_bytes([number; 16])
}

fn peer(address: &str) -> Option<Network> {
    let address: std::net::IpAddr = address.parse().expect("an address");
    Some(address.into())
}

#[track_caller]
fn refused<T>(outcome: Result<T, Problem>, limit: Limit) {
    let problem = outcome.err().expect("over the limit");
    assert_eq!(problem.code(), Code::RateLimited);
    assert_eq!(problem.limit(), Some(limit));
}

#[test]
fn a_key_has_its_burst_and_then_its_rate_whichever_of_its_bearers_calls() {
    let limits = Limits {
        calls_burst: 3,
        calls_per_second: 2,
        ..Limits::default()
    };
    let (rates, clock) = rates(&limits);
    let call = |bearer, key| {
        let caller = rates.admit(rates.seen(bearer), None)?;
        rates.proved(caller, bearer, token(key))
    };
    call("vk_1", 1).expect("the first");
    call("vs_1", 1).expect("a session counts with its maker");
    assert_eq!(call("vk_1", 1).expect("the third").left, 0);
    refused(call("vs_1", 1), Limit::Calls);
    refused(call("vs_other", 1), Limit::Calls);
    call("vk_2", 2).expect("another key");
    clock.advance(500);
    call("vk_1", 1).expect("one has come back");
    refused(call("vk_1", 1), Limit::Calls);
}

#[test]
fn a_person_is_counted_across_keys_and_forgotten_when_erased() {
    let limits = Limits {
        person_calls_per_minute: 2,
        ..Limits::default()
    };
    let (rates, clock) = rates(&limits);
    let anna = SubjectId::from_bytes([1; 16]);
    rates.count_person(anna).expect("the first");
    rates.count_person(anna).expect("the second");
    refused(rates.count_person(anna), Limit::Person);
    rates
        .count_person(SubjectId::from_bytes([2; 16]))
        .expect("another person");
    clock.advance(30_000);
    rates.count_person(anna).expect("one has come back");
    rates.forget_person(anna);
    assert_eq!(rates.people.entries(), 1);
}

#[test]
fn look_ups_end_by_the_minute_and_by_the_day() {
    let limits = Limits {
        lookups_per_minute: 3,
        lookups_per_day: 5,
        ..Limits::default()
    };
    let (rates, clock) = rates(&limits);
    for left in [2, 1, 0] {
        assert_eq!(rates.count_lookup(token(1)).expect("counted").left, left);
    }
    refused(rates.count_lookup(token(1)), Limit::LookupsMinute);
    rates.count_lookup(token(2)).expect("another key");
    clock.advance(60_000);
    let standing = rates.count_lookup(token(1)).expect("a new minute");
    assert_eq!((standing.limit, standing.left), (Limit::LookupsDay, 1));
    rates.count_lookup(token(1)).expect("the fifth of the day");
    clock.advance(60_000);
    refused(rates.count_lookup(token(1)), Limit::LookupsDay);
    clock.advance(24 * 3600 * 1000 / 5);
    rates
        .count_lookup(token(1))
        .expect("a fifth of a day later");
}

#[test]
fn a_network_of_strangers_waits_while_a_known_key_from_there_does_not() {
    let limits = Limits {
        unauthenticated_per_minute: 2,
        ..Limits::default()
    };
    let (rates, clock) = rates(&limits);
    let there = peer("203.0.113.1");
    let caller = rates
        .admit(rates.seen("vk_1"), there)
        .expect("nobody waits yet");
    rates.proved(caller, "vk_1", token(1)).expect("counted");
    for _ in 0..3 {
        rates.admit(rates.seen("vk_bad"), there).expect("a try");
        rates.failed(Some("vk_bad"), there);
    }
    refused(
        rates.admit(rates.seen("vk_bad"), there),
        Limit::Unauthenticated,
    );
    refused(rates.strangers_wait(there), Limit::Unauthenticated);
    assert!(matches!(
        rates.admit(rates.seen("vk_1"), there),
        Ok(Caller::Counted(key, _)) if key == token(1)
    ));
    rates
        .admit(rates.seen("vk_bad"), peer("198.51.100.1"))
        .expect("elsewhere");
    clock.advance(1_000);
    rates
        .admit(rates.seen("vk_bad"), there)
        .expect("the wait is over");
}

#[test]
fn a_revoked_key_becomes_a_stranger_again() {
    let (rates, _) = rates(&Limits::default());
    let there = peer("203.0.113.1");
    let caller = rates
        .admit(rates.seen("vk_1"), there)
        .expect("nobody waits");
    rates.proved(caller, "vk_1", token(1)).expect("counted");
    rates.failed(Some("vk_1"), there);
    assert!(matches!(
        rates.admit(rates.seen("vk_1"), there),
        Ok(Caller::Stranger)
    ));
}
