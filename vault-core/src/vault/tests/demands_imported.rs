//! What a person demanded, brought with lines of a file: made again by the calls that it is made by.

use super::imports::{batch, bench, line};
use super::*;
use crate::policy::RestrictionGround;
use crate::suppression;
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

fn sent(bench: &Bench, import: &str, lines: &[ImportLine]) {
    let front = bench.role("front");
    let one = ImportBatch {
        last: true,
        ..batch(import, lines)
    };
    let told = bench.vault.import(&call(&front, None), &one).unwrap();
    assert_eq!(told.errors, [], "{import}");
}

/// The last step of ann's objection to a purpose.
fn last(bench: &Bench, purpose: &str) -> (ObjectionState, ObjectionOrigin) {
    let front = bench.role("front");
    let front = call(&front, None);
    let ann = bench.vault.lookup_channel(&front, "web", "ann").unwrap();
    let all = bench.vault.list_objections(&front, ann).unwrap();
    let one = all.into_iter().find(|one| one.purpose == purpose).unwrap();
    let last = one.history.last().unwrap();
    assert_eq!(last.state, one.state);
    (last.state, last.origin)
}

fn listed(bench: &Bench) -> u64 {
    suppression::count(&bench.vault.snapshot().unwrap()).unwrap()
}

/// What would have been lost: a file from before the objection ended it, and decided it.
#[test]
fn art_21_a_file_neither_ends_nor_decides_what_the_person_said_here() {
    use ObjectionState::{Ended, Overridden, Pending, Upheld};
    let bench = bench();
    let front = bench.role("front");
    let front = || call(&front, None);
    let (ann, _) = bench.vault.create_subject(&front(), "web", "ann").unwrap();
    let object = |purpose: &str| {
        bench
            .vault
            .put_objection(&front(), ann, purpose, Some("mine"))
    };
    object("newsletter").unwrap();
    object("improve").unwrap();
    let older = [
        objection(1, "newsletter", Upheld, "then"),
        objection(2, "newsletter", Ended, ""),
        objection(3, "improve", Pending, "then"),
        objection(4, "improve", Upheld, "decided then"),
        objection(5, "improve", Ended, ""),
        objection(6, "improve", Overridden, "compelling then"),
    ];
    sent(&bench, "a", &older);
    let person = ObjectionOrigin::Person;
    assert_eq!(last(&bench, "newsletter"), (Upheld, person));
    assert_eq!(last(&bench, "improve"), (Pending, person));
    // What a file brought, a file ends.
    for purpose in ["newsletter", "improve"] {
        bench.vault.end_objection(&front(), ann, purpose).unwrap();
    }
    sent(&bench, "b", &older[..1]);
    assert_eq!(last(&bench, "newsletter"), (Upheld, ObjectionOrigin::File));
    sent(&bench, "c", &older[1..2]);
    assert_eq!(last(&bench, "newsletter"), (Ended, ObjectionOrigin::File));
    // Unless the person says so here as well meanwhile: nobody tells them that they did already.
    sent(&bench, "d", &older[..1]);
    object("newsletter").unwrap();
    sent(&bench, "e", &older[1..2]);
    assert_eq!(last(&bench, "newsletter"), (Upheld, person));
    assert!(matches!(object("newsletter"), Err(Refusal::Conflict(_))));
}

/// What would have been lost: whoever took an objection back elsewhere, and was brought here, was written to no more
/// after they were erased.
#[test]
fn art_21_an_objection_that_a_file_says_was_taken_back_leaves_nothing_on_the_suppression_list() {
    use ObjectionState::{Ended, Upheld};
    let taken_back = bench();
    let upheld = || objection(1, "newsletter", Upheld, "no");
    let ended = || objection(3, "newsletter", Ended, "");
    let email = || line(2, "profile", json!({"email": "ann@example.test"}));
    sent(&taken_back, "a", &[upheld(), email(), ended()]);
    assert_eq!(last(&taken_back, "newsletter").0, Ended);
    assert_eq!(listed(&taken_back), 0);
    // The nearest: one that stands puts every address there, those written after it too.
    let stands = bench();
    sent(&stands, "a", &[upheld(), email()]);
    assert_eq!(listed(&stands), 2);
    // And what the list knows of an address is newer than whatever the file says of its end.
    let front = stands.role("front");
    let typed = crate::vault::SuppressionInput {
        what: crate::vault::SuppressionKind::Type("email".into()),
        value: json!("other@example.test"),
        purpose: None,
    };
    stands.vault.suppress(&call(&front, None), typed).unwrap();
    let of = |number: u64, what: ImportLine| ImportLine {
        line: number,
        user: "bob".into(),
        ..what
    };
    let other = line(2, "profile", json!({"email": "other@example.test"}));
    sent(
        &stands,
        "b",
        &[of(1, upheld()), of(2, other), of(3, ended())],
    );
    let front = call(&front, None);
    let bob = stands.vault.lookup_channel(&front, "web", "bob").unwrap();
    let all = stands.vault.list_objections(&front, bob).unwrap();
    let last = all[0].history.last().unwrap();
    assert_eq!(
        (last.state, last.origin),
        (Upheld, ObjectionOrigin::Suppressed)
    );
}
