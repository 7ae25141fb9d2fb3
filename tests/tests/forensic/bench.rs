//! A search for what somebody had, and how much of it there must be.

use std::collections::BTreeSet;

use super::files::Image;
use super::hunt::QUIETLY;
use super::list::Item;
use super::person::Person;
use super::search::{Evidence, How, Report, search};
use super::unlock::Secret;

/// Searches, and prints what `--nocapture` shows.
#[expect(clippy::print_stdout, reason = "shown by --nocapture")]
pub(crate) fn look(
    what: &str,
    evidence: &Evidence<'_>,
    secrets: &[Secret],
    people: &[&Person],
) -> Report {
    let list: Vec<Item> = people.iter().flat_map(|person| person.list()).collect();
    let report = search(evidence, secrets, &list, QUIETLY).expect("a slot opens");
    println!("{what}: {report}");
    report
}

/// The same with the passphrase of a scene.
pub(crate) fn with(passphrase: &str) -> Vec<Secret> {
    vec![Secret::Passphrase(passphrase.to_owned())]
}

/// All of `copies` with the keys of `keys` alone.
pub(crate) fn keys_of<'a>(copies: &[&'a Image], keys: &'a Image) -> Evidence<'a> {
    let mut evidence = Evidence::of(copies);
    evidence.anchors = vec![&keys.anchor];
    evidence.slots = vec![&keys.slots];
    evidence
}

/// What of each person's list was found: things recovered, and of how many it can be told that they
/// had been there.
pub(crate) fn found(report: &Report, people: &[&Person]) -> Vec<(usize, usize)> {
    let mut at = 0;
    let of = |person: &&Person| {
        let length = person.list().len();
        let found: Vec<&BTreeSet<How>> = report.found.range(at..at + length).map(|f| f.1).collect();
        at += length;
        let count = |of: &[How]| {
            found
                .iter()
                .filter(|how| of.iter().any(|h| how.contains(h)))
                .count()
        };
        (
            count(&[How::Plain, How::Value, How::Unauthenticated]),
            count(&[How::Position, How::Trace, How::Person]),
        )
    };
    people.iter().map(of).collect()
}

/// Everything of a person: all their list as values, and their e-mail address, telephone number,
/// booking, identity on the channel and id as somebody who had been there.
pub(crate) const EVERYTHING: (usize, usize) = (11, 5);
pub(crate) const NOTHING: (usize, usize) = (0, 0);

/// Asserts that nothing of them was found.
pub(crate) fn nothing(report: &Report, people: &[&Person]) {
    let expected = vec![NOTHING; people.len()];
    assert_eq!(found(report, people), expected, "{:?}", report.found);
}

/// Asserts that everything of them was found.
pub(crate) fn everything(report: &Report, people: &[&Person]) {
    let expected = vec![EVERYTHING; people.len()];
    assert_eq!(found(report, people), expected, "{:?}", report.found);
}
