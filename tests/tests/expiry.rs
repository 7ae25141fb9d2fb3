//! What no purpose needs any more goes under kill -9, and the forensic reader finds none of it. The long form:
//! `cargo run --release -p vault-tests --bin retention -- --people 100000`.

use std::path::Path;

use vault_tests::expiry::play;

#[test]
fn art_5_1_e_what_has_ended_is_gone_after_kills_and_everything_else_is_there() {
    let home = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_retention"));
    let report = play(200, 6, program, home.path(), &|_| {});
    assert_eq!((report.due, report.values), (20, 60));
    assert!(report.kills >= 1, "no kill met it at work");
    assert!(report.passes > 0 && report.forensic.is_some());
}
