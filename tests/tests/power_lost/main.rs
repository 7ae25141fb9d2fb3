//! P4 on a machine whose disks fail, tear, reorder what was not flushed, or lose power, at each
//! operation of a story of all kinds of writes.
//!
//! The vault is the whole one, over redb; database, anchor and key slots lie on disks of ours, and
//! power goes for all three at once. Counts as failure: an acknowledged change that is not there
//! afterwards; an erased person, or what was removed or purged, that is back; a change without an
//! acknowledgement that happened in part; a bystander who lost anything; a log that does not verify; a
//! vault that does not open, or does not store and erase any more. Does not count: a change that
//! happened without its acknowledgement, a refusal while something is broken. The read journal, the
//! ledger of erasures and the reserve are ordinary files.
//!
//! A sample by default, every operation with `EVERY_OPERATION=1` (some minutes).

#![expect(
    clippy::print_stdout,
    reason = "how much was tried is for whoever runs this"
)]

mod machine;
mod story;

use machine::{Device, Machine};
use story::{Acknowledged, Base, Story};
use vault_core::store::fault::Fault;

/// From one operation that is tried to the next: primes, so that all kinds come up. In the story the
/// database's disk does hundreds of operations, the anchor's dozens, the slots' ten.
const STRIDE: [(Device, u64); 3] = [(Device::Store, 23), (Device::Anchor, 5), (Device::Slots, 1)];
/// Which versions of what was not flushed stay: all of it, and choices that follow from a seed.
const SEEDS: [u64; 3] = [0, 1, 2];

fn every_operation() -> bool {
    std::env::var_os("EVERY_OPERATION").is_some()
}

/// Tells the story once on a machine that this happens to. Whether it came to that.
fn tell(base: &Base, device: Device, fault: Fault) -> bool {
    let machine = Machine::new(&base.images);
    base.lay_first();
    let vault = base.open(&machine).expect("nothing is broken yet");
    machine.arm(device, fault);
    let mut story = Story::new(base, vault);
    let acknowledged = story.tell();
    let fired = machine.fired(device);
    let what = format!("{device:?} {fault:?}");
    let lost = matches!(fault, Fault::LosePower(_));
    if !lost {
        // Where one operation failed the vault has to have gone on by itself.
        story.wait_until_it_writes(&what);
        story.check(&acknowledged, &what);
    }
    story.end();
    let beside = base.beside();
    let seeds = if lost && fired {
        &SEEDS[..]
    } else {
        &SEEDS[..1]
    };
    for seed in seeds {
        let what = format!("{what}, seed {seed}");
        base.lay(&beside);
        let rebooted = Machine::new(&machine.images(lost && fired, *seed));
        afterwards(base, &rebooted, &acknowledged, &what);
    }
    assert!(
        fired || acknowledged.all(),
        "{what}: refused though nothing had failed: {acknowledged:?}"
    );
    fired
}

/// The vault opens, holds what it promised, and goes on, also after another opening.
fn afterwards(base: &Base, machine: &Machine, acknowledged: &Acknowledged, what: &str) {
    let opened = base.open(machine);
    let vault = opened.unwrap_or_else(|error| panic!("{what}: does not open: {error:?}"));
    let story = Story::new(base, vault);
    story.check(acknowledged, what);
    story.go_on(what);
    story.end();
    let vault = base.open(machine).expect("it opened before");
    let story = Story::new(base, vault);
    story.check_going_on(what);
    story.end();
}

fn tell_all(device: Device, fault: fn(u64) -> Fault) {
    let base = Base::new();
    let stride = STRIDE
        .iter()
        .find(|(of, _)| *of == device)
        .map_or(1, |(_, stride)| *stride);
    let stride = if every_operation() { 1 } else { stride };
    let mut tried = 0;
    let mut operation = 1;
    while tell(&base, device, fault(operation)) {
        tried += 1;
        operation += stride;
        assert!(operation < 50_000, "the story never ends");
    }
    println!(
        "{device:?}, {:?}: {tried} operations, {stride} apart",
        fault(0)
    );
    // Where the story had no such operation, nothing was tried.
    assert!(tried >= 5, "{device:?}: {tried} operations were tried");
}

#[test]
fn p4_power_lost_at_an_operation_of_the_database() {
    tell_all(Device::Store, Fault::LosePower);
}

#[test]
fn p4_power_lost_at_an_operation_of_the_anchor() {
    tell_all(Device::Anchor, Fault::LosePower);
}

#[test]
fn p4_power_lost_at_an_operation_of_the_key_slots() {
    tell_all(Device::Slots, Fault::LosePower);
}

#[test]
fn p4_one_operation_of_the_database_fails() {
    tell_all(Device::Store, Fault::FailOnce);
}

#[test]
fn p4_one_operation_of_the_anchor_fails() {
    tell_all(Device::Anchor, Fault::FailOnce);
}

#[test]
fn p4_one_operation_of_the_key_slots_fails() {
    tell_all(Device::Slots, Fault::FailOnce);
}

#[test]
fn p4_a_write_of_the_database_is_torn() {
    tell_all(Device::Store, Fault::TearWrite);
}

#[test]
fn p4_a_write_of_the_anchor_is_torn() {
    tell_all(Device::Anchor, Fault::TearWrite);
}

/// The control: disks that never wrote what they said they had flushed lose what was acknowledged, and
/// this finds it, whether the database alone lies or all three do, which opens as if nothing were.
#[test]
fn disks_that_lie_about_their_flushes_are_found_out() {
    let base = Base::new();
    let machine = Machine::new(&base.images);
    base.lay_first();
    let vault = base.open(&machine).expect("opens");
    let mut story = Story::new(&base, vault);
    let acknowledged = story.tell();
    assert!(acknowledged.all(), "{acknowledged:?}");
    story.check(&acknowledged, "the truth");
    story.end();
    let mut database_alone = machine.images(false, 0);
    database_alone.0[0].clone_from(&base.images.0[0]);
    for (images, reason) in [
        (&database_alone, "does not open"),
        (&base.images, "was acknowledged and is lost"),
    ] {
        base.lay_first();
        let looked = std::panic::AssertUnwindSafe(|| {
            afterwards(&base, &Machine::new(images), &acknowledged, "a lie");
        });
        let panic = std::panic::catch_unwind(looked).expect_err("it lied");
        let said = panic.downcast_ref::<String>().expect("a message");
        assert!(said.contains(reason), "{said}");
    }
}
