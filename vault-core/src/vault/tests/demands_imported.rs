//! What a person demanded, brought with lines of a file: made again by the calls that it is made by.

use super::imports::{batch, bench, line};
use super::*;
use crate::policy::RestrictionGround;
use crate::vault::{ObjectionView, RestrictionInput};

fn demand(number: u64, what: ImportWhat) -> ImportLine {
    ImportLine {
        what,
        ..line(number, "profile", json!({}))
    }
}

fn objection(number: u64, purpose: &str, state: ObjectionState, reason: &str) -> ImportLine {
    let what = ImportWhat::Objection {
        purpose: purpose.into(),
        state,
        reason: Some(reason.into()),
    };
    demand(number, what)
}

fn restriction(number: u64, collections: &[&str]) -> ImportLine {
    let what = ImportWhat::Restriction(RestrictionInput {
        ground: RestrictionGround::Claims,
        collections: collections.iter().map(|&name| name.to_owned()).collect(),
        reason: Some("a claim".into()),
    });
    demand(number, what)
}

/// What stands of ann's: steps of each objection, and collections of each step of the restriction.
type Demands = (
    Vec<(String, Vec<(ObjectionState, String)>)>,
    Vec<Vec<String>>,
);

fn demands(bench: &Bench) -> Demands {
    let front = bench.role("front");
    let front = call(&front, None);
    let ann = bench.vault.lookup_channel(&front, "web", "ann").unwrap();
    let objections = bench.vault.list_objections(&front, ann).unwrap();
    let steps = |one: ObjectionView| {
        let steps = one.history.into_iter();
        let steps = steps.map(|step| (step.state, step.reason.unwrap_or_default()));
        (one.purpose, steps.collect())
    };
    let restriction = bench.vault.read_restriction(&front, ann).unwrap();
    let restriction = restriction.history.into_iter();
    (
        objections.into_iter().map(steps).collect(),
        restriction.map(|step| step.collections).collect(),
    )
}

#[test]
fn what_a_person_demanded_is_demanded_again_and_once() {
    use ObjectionState::{Ended, Overridden, Pending, Upheld};
    let bench = bench();
    let front = bench.role("front");
    let lines = [
        line(1, "messages", json!({"text": "one"})),
        objection(2, "improve", Pending, "grounds"),
        objection(3, "improve", Upheld, "decision"),
        objection(4, "newsletter", Upheld, "no"),
        restriction(5, &["unheard_of", "messages"]),
    ];
    let send = |who: &Principal, name: &str, lines: &[ImportLine]| {
        let one = ImportBatch {
            last: true,
            ..batch(name, lines)
        };
        let sent = bench.vault.import(&call(who, None), &one).unwrap();
        let wrong = sent.errors.into_iter().map(|one| (one.line, one.code));
        (sent.written.len(), wrong.collect::<Vec<_>>())
    };
    // Whoever may not record it does not bring it either, and the rest is written.
    let bot = bench.role("clerk");
    let denied = |lines: std::ops::RangeInclusive<u64>| {
        lines.map(|line| (line, "role_denied".to_owned())).collect()
    };
    assert_eq!(send(&bot, "a", &lines), (1, denied(2..=5)));
    assert_eq!(demands(&bench), (Vec::new(), Vec::new()));
    let before = bench.vault.ledger_entries();
    assert_eq!(send(&front, "b", &lines[1..]), (4, Vec::new()));
    let step = |state, reason: &str| (state, reason.to_owned());
    let newsletter = ("newsletter".to_owned(), vec![step(Upheld, "no")]);
    let improve = |steps: &[(ObjectionState, String)]| ("improve".to_owned(), steps.to_vec());
    let upheld = [step(Pending, "grounds"), step(Upheld, "decision")];
    let sorted = |mut demands: Demands| {
        demands.0.sort_by(|a, b| a.0.cmp(&b.0));
        demands
    };
    let stands = (
        vec![improve(&upheld), newsletter.clone()],
        vec![vec!["messages".to_owned()]],
    );
    assert_eq!(sorted(demands(&bench)), stands);
    // By the calls that such things are made by: a backup that is older does not undo them.
    // The fifth is the address that the objection to the newsletter put on the suppression list.
    assert_eq!(bench.vault.ledger_entries(), before + 5);
    // What stands is not made a second time.
    assert_eq!(send(&front, "c", &lines[1..]), (4, Vec::new()));
    assert_eq!(sorted(demands(&bench)), stands);
    // And it stands in the way, from the answer on.
    let more = [line(9, "messages", json!({"text": "two"}))];
    let refused = (0, vec![(9, "restricted".to_owned())]);
    assert_eq!(send(&front, "d", &more), refused);

    // What was ended or overridden is so again; of what is not here, nothing is restricted.
    let lines = [
        objection(1, "newsletter", Ended, ""),
        objection(2, "improve", Ended, ""),
        objection(3, "improve", Overridden, "compelling"),
        restriction(4, &["unheard_of"]),
    ];
    assert_eq!(
        send(&front, "e", &lines),
        (3, vec![(4, "unknown_collection".to_owned())])
    );
    let (objections, restriction) = sorted(demands(&bench));
    let last = |at: usize| objections[at].1.last().unwrap().clone();
    assert_eq!(last(0), step(Overridden, "compelling"));
    assert_eq!(last(1), step(Ended, ""));
    assert_eq!(restriction.len(), 1);
}

#[test]
fn an_objection_that_nobody_here_has_decided_waits_and_stands_in_the_way() {
    use ObjectionState::{Pending, Upheld};
    let bench = bench();
    let front = bench.role("front");
    let lines = [
        objection(1, "improve", Upheld, "no"),
        objection(2, "support", Upheld, "no"),
        objection(3, "unheard_of", Pending, "no"),
    ];
    let told = bench.vault.import(&call(&front, None), &batch("a", &lines));
    let told = told.unwrap();
    let wrong: Vec<_> = told
        .errors
        .iter()
        .map(|one| (one.line, &*one.code))
        .collect();
    assert_eq!(wrong, [(2, "conflict"), (3, "not_found")]);
    let pending = vec![(Pending, "no".to_owned())];
    assert_eq!(demands(&bench).0, [("improve".to_owned(), pending)]);
}
