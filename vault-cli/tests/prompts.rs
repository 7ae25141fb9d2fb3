//! A person at a terminal: what is asked, what is shown of the answer, what a narrow one shows.
//!
//! Counts as failure: a character of a secret on the terminal, an echo that stays off.

mod support;

use support::Bench;
use support::seat::{Seat, WORDS};

const INIT: [&str; 4] = ["init", "--vault", "w", "--accept-file-system"];

#[test]
fn a_new_passphrase_is_asked_for_twice_with_its_rule_and_not_shown() {
    let bench = Bench::new();
    let mut seat = Seat::take(&bench, 100, &INIT);
    seat.see("at least 12 characters")
        .send(&format!("{WORDS}\n"));
    seat.see("The same again")
        .send(&format!("{WORDS}\n"))
        .see("recovery key");
    assert_eq!(seat.end().0, 0);
    bench.file("p", WORDS, 0o600);
    assert_eq!(
        bench
            .run(&["--vault", "w", "--passphrase-file", "p", "slot", "list"])
            .code,
        0
    );
}

#[test]
fn two_that_differ_one_that_is_short_and_ctrl_c_create_nothing() {
    let bench = Bench::new();
    let mut seat = Seat::take(&bench, 100, &INIT);
    seat.see("New passphrase").send(&format!("{WORDS}\n"));
    seat.see("The same again")
        .send("five other words in a row\n")
        .see("differ");
    assert_eq!(seat.end().0, 2);
    let mut seat = Seat::take(&bench, 100, &INIT);
    seat.see("New passphrase")
        .send("short\n")
        .see("12 characters");
    let (code, shown) = seat.end();
    assert!(code == 1 && !shown.contains("The same again"), "{shown}");
    let mut seat = Seat::take(&bench, 100, &INIT);
    seat.see("New passphrase").send("\u{3}").see("interrupted");
    assert_eq!(seat.end().0, 130);
    assert!(!bench.path("w").exists());
}

#[test]
fn a_question_is_answered_with_yes_or_changes_nothing_and_ctrl_c_is_an_answer() {
    let bench = Bench::new();
    bench.init();
    let made = bench
        .on(&["token", "create", "--role", "bot", "--label", "front"])
        .json();
    let token = made["token"].as_str().unwrap();
    let args = [
        "--vault",
        "v",
        "--passphrase-file",
        "pass",
        "token",
        "revoke",
        token,
    ];
    for (answer, code) in [("n\n", 1), ("\n", 1), ("\u{3}", 130)] {
        let mut seat = Seat::take(&bench, 200, &args);
        seat.see("“front”").see("[y/N]").send(answer);
        assert_eq!(seat.end().0, code, "{answer:?}");
        let keys = bench.on(&["token", "list"]).json();
        assert_eq!(keys["api_keys"][0]["state"], "active");
    }
    let mut seat = Seat::take(&bench, 200, &args);
    seat.see("[y/N]").send("y\n").see("revoked");
    assert_eq!(seat.end().0, 0);
}

#[test]
fn a_table_fits_the_terminal_and_says_what_it_leaves_out() {
    let bench = Bench::new();
    bench.init();
    bench
        .on(&["token", "create", "--role", "bot", "--label", "front desk"])
        .json();
    let list = |columns| {
        let args = [
            "--vault",
            "v",
            "--passphrase-file",
            "pass",
            "--color",
            "never",
            "token",
            "list",
        ];
        let (code, shown) = Seat::take(&bench, columns, &args).end();
        assert_eq!(code, 0);
        shown
    };
    let narrow = list(60);
    assert!(
        narrow.contains("not shown at this width: ") && narrow.contains("active"),
        "{narrow}"
    );
    assert!(
        narrow
            .lines()
            .all(|line| line.trim_end().chars().count() <= 60),
        "{narrow}"
    );
    let wide = list(140);
    assert!(
        wide.contains("front desk") && wide.contains("last used"),
        "{wide}"
    );
    assert!(!wide.contains("not shown"));
}

/// What stands between two words on the terminal.
fn between(seat: &mut Seat, before: &str, after: &str) -> String {
    seat.see(before);
    let from = seat.seen;
    seat.see(after);
    seat.shown[from..seat.seen - after.len()].trim().to_owned()
}

#[test]
fn shares_are_shown_once_and_count_only_when_each_was_typed_back() {
    let bench = Bench::new();
    bench.init();
    let args = [
        "--vault",
        "v",
        "--passphrase-file",
        "pass",
        "--color",
        "never",
        "slot",
        "add",
        "--kind",
        "shares",
        "--threshold",
        "2",
        "--shares",
        "2",
        "--replaces",
        "1",
    ];
    let slots = || bench.on(&["slot", "list"]);
    for wrong in [true, false] {
        let before = slots().json();
        let mut seat = Seat::take(&bench, 200, &args);
        let shares = [(); 2].map(|()| {
            let share = between(&mut seat, "shown this once: ", "Write it down");
            seat.see("press Enter").send("\n");
            share
        });
        assert!(shares.iter().all(|share| share.len() == 79), "{shares:?}");
        // The other one is a share too, and not this one.
        seat.see("Share 1 again").send(&format!("{}\n", shares[1]));
        seat.see("once more").see("Share 1 again");
        if wrong {
            seat.send("nothing\n").see("once more").see("Share 1 again");
            seat.send("\n").see("did not come back");
            assert_eq!(seat.end().0, 1);
            assert_eq!(slots().json(), before);
            continue;
        }
        seat.send(&format!("{}\n", shares[0].to_lowercase()));
        seat.see("Share 2 again").send(&format!("{}\n", shares[1]));
        seat.see("slot 3 added, slot 1 removed");
        let (code, shown) = seat.end();
        assert_eq!(code, 0);
        for share in &shares {
            assert_eq!(shown.matches(share.as_str()).count(), 1, "shown once");
        }
        assert_eq!(slots().code, 3, "the passphrase was replaced");
        let list = ["--vault", "v", "--ask-shares", "slot", "list"];
        let mut seat = Seat::take(&bench, 100, &list);
        seat.see("First share").send(&format!("{}\n", shares[1]));
        seat.see("Share 2 of 2").send(&format!("{}\n", shares[1]));
        seat.see("given twice").see("Share 2 of 2");
        seat.send(&format!("{}\n", shares[0])).see("recovery_key");
        assert_eq!(seat.end().0, 0);
    }
}
