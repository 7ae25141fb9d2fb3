//! `log scan` through the real program: where and what kind, never what.

mod support;

use support::{Bench, CANARY};

const CARD: &str = "4111 1111 1111 1111";

fn log() -> String {
    format!("2030-01-31T10:00:00Z INFO started\nuser {CANARY} paid with {CARD}\norder 111222333\n")
}

#[test]
fn a_find_is_told_by_its_place_and_kind_and_never_shown() {
    let bench = Bench::new();
    let file = bench.file("app.log", &log(), 0o600);
    let told = bench.run(&["log", "scan", &file]);
    assert_eq!(told.code, 1, "{}", told.err);
    let lines: Vec<&str> = told.out.lines().collect();
    assert_eq!(
        lines,
        [
            format!("{file}:2:6: email"),
            format!("{file}:2:{}: card", 17 + CANARY.len())
        ]
    );
    let json = bench.run(&["--json", "log", "scan", &file]);
    let answer: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(answer["found"], 2);
    assert_eq!(answer["lines"], 3);
    assert_eq!(answer["findings"][1]["kind"], "card");
    for text in [&told.out, &told.err, &json.out, &json.err] {
        assert!(!text.contains(CANARY) && !text.contains("4111"), "{text}");
    }
}

#[test]
fn what_merely_has_the_form_is_told_when_asked_for() {
    let bench = Bench::new();
    let file = bench.file("app.log", "order 111222333\n", 0o600);
    assert_eq!(bench.run(&["log", "scan", &file]).code, 0);
    let told = bench.run(&["log", "scan", "--possible", &file]);
    assert_eq!(told.code, 1);
    assert!(
        told.out.ends_with(":1:7: nl_bsn (possible)\n"),
        "{}",
        told.out
    );
}

#[test]
fn redacted_text_is_the_text_without_what_was_found() {
    let bench = Bench::new();
    let clean = bench.feed(&["log", "scan", "-", "--redact"], &log());
    assert_eq!(clean.code, 0, "{}", clean.err);
    let expected =
        "2030-01-31T10:00:00Z INFO started\nuser [email] paid with [card]\norder 111222333\n";
    assert_eq!(clean.out, expected);
    // Nothing is left to find.
    assert_eq!(bench.feed(&["log", "scan", "-"], &clean.out).code, 0);
    // One kind alone.
    let some = bench.feed(&["log", "scan", "-", "--redact", "--kinds", "card"], &log());
    assert!(some.out.contains(CANARY) && some.out.contains("[card]"));
}

#[test]
fn the_last_line_of_a_file_needs_no_end() {
    let bench = Bench::new();
    for (line, clean) in [
        (format!("card {CARD}"), "card [card]"),
        ("BSN: 111222333".to_owned(), "BSN: [nl_bsn]"),
        ("to NL91 ABNA 0417 1643 00".to_owned(), "to [iban]"),
    ] {
        for before in ["", "first\n"] {
            let text = format!("{before}{line}");
            let redacted = bench.feed(&["log", "scan", "--redact", "-"], &text);
            assert_eq!(redacted.out, format!("{before}{clean}"));
            let told = bench.feed(&["--json", "log", "scan", "-"], &text);
            let answer: serde_json::Value = serde_json::from_str(&told.out).unwrap();
            let lines = text.lines().count();
            assert_eq!(
                (&answer["found"], &answer["lines"]),
                (&1.into(), &lines.into())
            );
        }
    }
}

#[test]
fn a_line_that_is_too_long_is_cut_where_a_word_ends() {
    let bench = Bench::new();
    let text = format!("{}{CARD}\n", "lorem ipsum ".repeat(100_000));
    let file = bench.file("long.log", &text, 0o600);
    let told = bench.run(&["--json", "log", "scan", &file]);
    let answer: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!((&answer["found"], &answer["lines"]), (&1.into(), &1.into()));
    let clean = bench.run(&["log", "scan", &file, "--redact"]);
    assert_eq!(clean.out, text.replace(CARD, "[card]"));
}

/// What lies over the place where a long line is cut is found like anything else, wherever that place is.
#[test]
fn nothing_is_missed_where_a_line_that_is_too_long_is_cut() {
    let bench = Bench::new();
    let finds = [
        (CARD, "[card]", 1),
        ("BSN 111222333", "BSN [nl_bsn]", 1),
        ("NL91 ABNA 0417 1643 00", "[iban]", 1),
        ("\"ann@example.test\"", "\"[email]\"", 1),
        (
            "BSN 111222333 4111 1111 1111 1111",
            "BSN [nl_bsn] [card]",
            2,
        ),
    ];
    for (find, clean, count) in finds {
        // A word after a word, and one word of a megabyte.
        for filler in [" a", "(:"] {
            for before in [4, 15, 1_024, 1_031] {
                let fill = filler.repeat(((1 << 20) - before) / 2);
                let odd = "-".repeat(before % 2);
                for after in [" end", ""] {
                    let text = format!("{odd}{fill} {find}{after}");
                    let redacted = bench.feed(&["log", "scan", "--redact", "-"], &text);
                    let expected = format!("{odd}{fill} {clean}{after}");
                    assert!(redacted.out == expected, "{find}, {filler}, {before}");
                    assert!(redacted.err.contains(" in 1 lines"), "{}", redacted.err);
                    assert_eq!(redacted.err.contains(", "), count == 2);
                }
            }
        }
    }
}

#[test]
fn mistakes_are_told_with_a_way_out() {
    let bench = Bench::new();
    bench.run(&["log", "scan"]).refused(2);
    bench.run(&["log", "scan", "missing.log"]).refused(1);
    let wrong = bench.run(&["log", "scan", "-", "--kinds", "name"]);
    wrong.refused(2);
    assert!(
        wrong.err.contains("the kinds are card, email"),
        "{}",
        wrong.err
    );
    bench
        .run(&["--json", "log", "scan", "-", "--redact"])
        .json_error(2, "usage");
}
