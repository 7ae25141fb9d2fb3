//! Shares as they are shown, a line each, and the secret that they give.

use serde_json::Value;

use super::{Set, faulty, valid};
use crate::entropy::SeededEntropy;
use crate::vault::{Share, SharedSecret};

pub(super) const SHARES: Set = Set {
    name: "shares",
    exact: true,
    make,
    open: |_, bytes| {
        let text = std::str::from_utf8(bytes).ok()?;
        let shares: Option<Vec<Share>> = text.lines().map(|line| line.parse().ok()).collect();
        let secret = SharedSecret::join(&shares?).ok()?;
        Some(secret.bytes().to_vec())
    },
};

fn make() -> Vec<Value> {
    let set = |threshold, count, seed| {
        let made = SharedSecret::split(threshold, count, &mut SeededEntropy::new(seed));
        let made = made.expect("numbers that may be").into_iter();
        made.map(|share| share.to_text().to_string())
            .collect::<Vec<_>>()
    };
    let of = |shares: &[&String]| {
        let lines: Vec<&str> = shares.iter().map(|share| share.as_str()).collect();
        lines.join("\n").into_bytes()
    };
    let gives = |shares: &[&String]| {
        let shares: Vec<Share> = shares.iter().map(|s| s.parse().expect("a share")).collect();
        let secret = SharedSecret::join(&shares).expect("enough");
        secret.bytes().to_vec()
    };
    let (two, four) = (set(2, 3, 21), set(4, 5, 22));
    let pair = [&two[0], &two[1]];
    let others = [&two[2], &two[0]];
    let most = [&four[4], &four[2], &four[0], &four[1]];
    let typo = pair.map(|share| share.replacen(|c: char| c != '0', "0", 1));
    vec![
        valid("the first two of three", &of(&pair), &gives(&pair)),
        valid("two others of the three", &of(&others), &gives(&pair)),
        valid("four of five", &of(&most), &gives(&most)),
        faulty("one of two", &of(&pair[..1])),
        faulty("three of four", &of(&most[..3])),
        faulty("of two sets", &of(&[&two[0], &four[1]])),
        faulty("the same twice", &of(&[&two[0], &two[0]])),
        faulty("a typing error", &of(&[&typo[0], &two[1]])),
        faulty("a group left out", &of(&[&two[0][5..].to_owned(), &two[1]])),
    ]
}
