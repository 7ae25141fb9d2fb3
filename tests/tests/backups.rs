//! A vault comes back out of its older backup without those who were erased since, under a write load and
//! before the forensic reader. The long form: `cargo run --release -p vault-tests --bin backup -- --people 100000`.

use vault_tests::backups::{Scale, play};

#[test]
fn the_erased_do_not_return_and_everybody_else_does_to_the_byte() {
    let home = tempfile::tempdir().unwrap();
    let report = play(Scale::of(120), home.path(), &|_| {});
    assert_eq!((report.people, report.erased), (120, 2));
    assert!(report.forensic.is_some());
}

#[test]
fn two_thousand_people_come_back_to_the_byte() {
    let home = tempfile::tempdir().unwrap();
    let report = play(Scale::of(2_000), home.path(), &|_| {});
    assert_eq!((report.people, report.erased), (2_000, 20));
    assert!(report.writes > 0, "there was a load");
}
