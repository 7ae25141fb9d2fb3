//! A deep rotation beside the sweeper: an erasure while the index is built counts for the next building, and
//! a pause is one.

use super::rotation_deep::{bench, by_channel, person, system, to_the_end};
use super::*;
use crate::jobs::{JobKind, JobState};

fn stale_since(vault: &Vault) -> Option<i64> {
    vault.snapshot().unwrap().state().index_stale_since
}

fn stands(vault: &Vault) -> Option<[u8; 16]> {
    vault.snapshot().unwrap().state().rebuild_from
}

/// Begins a deep rotation and goes on until the second index is being built.
fn to_the_building(vault: &Vault, keeper: &Principal) {
    vault.begin_rotation(&call(keeper, None), true).unwrap();
    let view = vault.rotate_on(&mut |_| match stands(vault) {
        Some(_) => Onwards::No,
        None => Onwards::Yes,
    });
    assert_eq!(view.unwrap().unwrap().stage, Stage::Index);
    assert_eq!(system(vault).placements.len(), 2);
}

/// What would be lost: the day after which a receipt says that the index names nothing. The leaf that the
/// erasure touched belongs to the building that stays.
#[test]
fn an_erasure_while_the_index_is_built_waits_for_the_next_building() {
    let (bench, keeper) = bench();
    let vault = &bench.vault;
    let erase = |user: &str| {
        let subject = by_channel(vault, &keeper, user).unwrap();
        vault.erase_subject(&call(&keeper, None), subject).unwrap();
    };
    for number in 0..6 {
        person(vault, &keeper, &format!("user{number}"));
    }
    erase("user0");
    assert!(stale_since(vault).is_some());
    vault.rebuild_index().unwrap();
    assert_eq!(stale_since(vault), None, "the control: nothing since");
    assert!(vault.rebuild_index_step().unwrap());
    erase("user1");
    vault.rebuild_index().unwrap();
    assert_eq!(stands(vault), None);
    assert!(stale_since(vault).is_some(), "an ordinary building");
    vault.rebuild_index().unwrap();
    assert_eq!(stale_since(vault), None);

    to_the_building(vault, &keeper);
    erase("user2");
    assert_eq!(to_the_end(vault).stage, Stage::Ended);
    assert!(stale_since(vault).is_some(), "a building of new keys");
    let before = system(vault).placements[0].generation;
    bench.clock.advance(21 * HOUR);
    while vault.sweep(Sweep::Due).unwrap() {}
    assert_eq!(stale_since(vault), None);
    assert!(system(vault).placements[0].generation > before);
    for number in 3..6 {
        assert!(by_channel(vault, &keeper, &format!("user{number}")).is_some());
    }
}

#[test]
fn a_pause_in_the_index_is_one_until_an_erasure_would_wait_too_long() {
    let (bench, keeper) = bench();
    let vault = &bench.vault;
    for number in 0..70 {
        person(vault, &keeper, &format!("user{number}"));
    }
    to_the_building(vault, &keeper);
    let paused = vault.rotate_on(&mut |_| {
        let jobs = vault.jobs().list();
        let running = |job: &&crate::jobs::JobView| {
            job.kind == JobKind::Rotation && job.state == JobState::Running
        };
        assert!(
            vault
                .jobs()
                .cancel(jobs.iter().find(running).unwrap().number)
        );
        Onwards::Yes
    });
    assert_eq!(paused.unwrap().unwrap().state, RotationState::Paused);
    let at = stands(vault);
    assert!(at.is_some());
    let rest = |which: Sweep| {
        for _ in 0..4 {
            vault.sweep(which).unwrap();
        }
        assert!(!vault.sweep(which).unwrap(), "there is nothing to do");
        assert_eq!((stands(vault), system(vault).placements.len()), (at, 2));
        assert!(!vault.sweep_due().unwrap().index);
    };
    rest(Sweep::Due);
    rest(Sweep::All);
    let gone = by_channel(vault, &keeper, "user3").unwrap();
    vault.erase_subject(&call(&keeper, None), gone).unwrap();
    rest(Sweep::Due);
    rest(Sweep::All);
    // What a receipt says goes before a pause.
    bench.clock.advance(21 * HOUR);
    assert!(vault.sweep_due().unwrap().index);
    while vault.sweep(Sweep::Due).unwrap() {}
    assert_eq!((stale_since(vault), stands(vault)), (None, None));
    assert_eq!(system(vault).placements.len(), 1);
    let (view, resumed) = vault.begin_rotation(&call(&keeper, None), true).unwrap();
    assert!(resumed && view.stage == Stage::Index);
    assert_eq!(to_the_end(vault).stage, Stage::Ended);
    for number in (0..70).filter(|number| *number != 3) {
        assert!(by_channel(vault, &keeper, &format!("user{number}")).is_some());
    }
}
