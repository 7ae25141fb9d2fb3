//! Long random histories of everything that a vault does, held against plain maps.
//!
//! Counts as failure: an answer other than the model's, a state other than the model's, an
//! acknowledged change that is gone, an erased person who is not, a call without its entry, a log that
//! does not verify, a panic. Does not count: whether a record that has ended and that no sweeper has
//! taken yet is found or counted.
//!
//! Without a word four short histories, of seeds that are fixed. The long form:
//!
//! ```text
//! VAULT_MODEL_HISTORIES=40 VAULT_MODEL_STEPS=1000 VAULT_MODEL_SEED=7 cargo test -p vault-core --test model -- --nocapture
//! ```
//!
//! It prints each history's seed, what happened in it, and of one that fails the shortest part that
//! still does.

#![expect(clippy::print_stdout, reason = "the figures are for whoever runs this")]

mod access;
mod evidence;
mod many;
mod ops;
mod people;
mod plain;
mod play;
mod policy;
mod reads;
mod records;
mod shrink;
mod state;
mod together;
mod world;

use std::env;
use std::time::Instant;

use ops::{Op, Random};
use play::{Fault, play};
use shrink::shrink;

fn number(name: &str, default: u64) -> u64 {
    env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn history(seed: u64, steps: usize) -> Vec<Op> {
    let mut random = Random::new(seed);
    let people = (0..8.min(steps as u8 / 8)).map(|user| Op::Create { user });
    let mut ops: Vec<Op> = people.collect();
    ops.extend((ops.len()..steps).map(|_| random.op()));
    ops
}

#[test]
fn whatever_happens_to_a_vault_it_answers_as_plain_maps_would() {
    let histories = number("VAULT_MODEL_HISTORIES", 4);
    let steps = number("VAULT_MODEL_STEPS", 150) as usize;
    let first = number("VAULT_MODEL_SEED", 1);
    let started = Instant::now();
    for seed in first..first + histories {
        let ops = history(seed, steps);
        match play(&ops, None) {
            Ok(played) => println!(
                "seed {seed}: {steps} steps, {played}, {} s in all",
                started.elapsed().as_secs()
            ),
            Err(failure) => {
                println!("seed {seed}: step {}: {}", failure.step, failure.what);
                let ops = shrink(&ops[..=failure.step.min(steps - 1)], None, 400);
                let failure = play(&ops, None).err().expect("it failed before");
                let ops: Vec<String> = ops.iter().map(|op| format!("{op:?}")).collect();
                let ops = ops.join("\n");
                panic!("seed {seed}, as short as it gets: {}\n{ops}", failure.what);
            }
        }
    }
}

/// The control: a vault that forgets, remembers or lies is found out, and the history made shorter.
#[test]
fn a_vault_that_does_otherwise_is_found_out() {
    let faults = [
        Fault::LosesAWrite,
        Fault::KeepsTheErased,
        Fault::LeavesNoEntry,
    ];
    for fault in faults {
        let ops = history(3, 60);
        let failure = play(&ops, Some(fault)).err();
        let failure = failure.unwrap_or_else(|| panic!("{fault:?} was not noticed"));
        if fault == Fault::LosesAWrite {
            let end = failure.step.min(ops.len() - 1);
            let shorter = shrink(&ops[..=end], Some(fault), 10);
            assert!(shorter.len() <= 20, "it takes {} steps", shorter.len());
        }
    }
}
