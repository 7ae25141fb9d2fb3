//! A failing history made short: parts are left out as long as the rest still fails.

use super::ops::Op;
use super::play::{Fault, play};

/// The shortest part found of `ops`, which fails, in so many tries, each of which plays a history.
pub(crate) fn shrink(ops: &[Op], fault: Option<Fault>, most: usize) -> Vec<Op> {
    let mut ops = ops.to_vec();
    let mut tries = 0;
    let mut size = ops.len().div_ceil(2);
    while size > 0 && tries < most {
        let mut at = 0;
        let mut shorter = false;
        while at < ops.len() && tries < most {
            let mut rest = ops.clone();
            rest.drain(at..(at + size).min(rest.len()));
            tries += 1;
            match play(&rest, fault) {
                Err(failure) => {
                    rest.truncate(failure.step + 1);
                    ops = rest;
                    shorter = true;
                }
                Ok(_) => at += size,
            }
        }
        if !shorter || size > ops.len() {
            size = (size / 2).min(ops.len() / 2);
        }
    }
    ops
}
