//! The target that `FUZZ_TARGET` names: one binary to link for all of them, which `fuzz/run` uses.
#![no_main]

use std::sync::LazyLock;

static PARSE: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
    let found = vault_fuzz::TARGETS
        .iter()
        .find(|(target, _)| *target == name);
    found.expect("FUZZ_TARGET names a target").1
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| PARSE(data));
