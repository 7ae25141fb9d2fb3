//! What is left of a record that has ended. Each of these was found by a random history
//! (`tests/model`): an address that still found its person after the record that held it had ended, been
//! swept or been written over, and a list that ended in the middle.

use serde_json::{Value, json};

use super::*;

const NOTES: &str = r#"
[collections.notes]
kind = "many"
[collections.notes.fields]
text = { type = "text", purposes = ["support"] }
mail = { type = "email", purposes = ["support"], lookup = true }

[roles.keeper]
purposes = ["support"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "subjects.lookup"]
"#;

fn bench() -> (Bench, Principal) {
    let bench = Bench::of(&format!("{SAMPLE}{NOTES}"));
    let keeper = bench.role("keeper");
    (bench, keeper)
}

/// Two hours from now, as `_meta` says it.
fn soon(bench: &Bench) -> Value {
    let end = Clock::now(&*bench.clock) + jiff::SignedDuration::from_hours(2);
    json!({"expires_at": end.to_string()})
}

fn sweep(bench: &Bench) {
    while bench.vault.sweep(Sweep::All).unwrap() {}
}

/// Who has this address, and whether the vault keeps a look-up value of it.
fn finds(bench: &Bench, keeper: &Principal, field: &str, address: &str) -> bool {
    let support = call(keeper, Some("support"));
    let found = bench.vault.lookup_field(&support, field, &json!(address));
    assert!(found.is_ok() || matches!(found, Err(Refusal::NotFound(_))));
    found.is_ok()
}

#[test]
fn the_address_of_a_record_that_has_ended_finds_nobody_once_it_was_swept() {
    let (bench, keeper) = bench();
    let support = call(&keeper, Some("support"));
    let (ann, _) = bench.vault.create_subject(&support, "web", "ann").unwrap();
    let note = |mail: &str, meta: Value| object(json!({"mail": mail, "_meta": meta}));
    let bodies = vec![
        note("ended@example.test", soon(&bench)),
        note("kept@example.test", soon(&bench)),
        note("kept@example.test", json!({})),
    ];
    bench.vault.append(&support, ann, "notes", bodies).unwrap();
    let profile = object(json!({"email": "profile@example.test", "_meta": soon(&bench)}));
    bench
        .vault
        .patch_single(&support, ann, "profile", profile, None)
        .unwrap();
    assert!(finds(&bench, &keeper, "notes.mail", "ended@example.test"));
    bench.clock.advance(4 * HOUR);
    sweep(&bench);
    assert!(!finds(&bench, &keeper, "notes.mail", "ended@example.test"));
    assert!(!finds(
        &bench,
        &keeper,
        "profile.email",
        "profile@example.test"
    ));
    assert!(finds(&bench, &keeper, "notes.mail", "kept@example.test"));
    let snapshot = bench.vault.snapshot().unwrap();
    let person = crate::person::Person::find(&snapshot, ann).unwrap();
    assert_eq!(person.keyset.lookups.len(), 2, "channel and one address");
}

#[test]
fn the_address_of_a_collection_that_the_policy_lost_goes_with_its_last_record() {
    let (bench, keeper) = bench();
    let support = call(&keeper, Some("support"));
    let (ann, _) = bench.vault.create_subject(&support, "web", "ann").unwrap();
    let note = object(json!({"mail": "ended@example.test", "_meta": soon(&bench)}));
    bench
        .vault
        .append(&support, ann, "notes", vec![note])
        .unwrap();
    let keyholder = bench.vault.keyholder();
    bench
        .vault
        .apply_policy(&call(&keyholder, None), SAMPLE, false)
        .unwrap();
    bench.clock.advance(4 * HOUR);
    sweep(&bench);
    let snapshot = bench.vault.snapshot().unwrap();
    let person = crate::person::Person::find(&snapshot, ann).unwrap();
    assert_eq!(person.keyset.lookups.len(), 1, "the channel's alone");
}

#[test]
fn a_record_written_where_one_has_ended_takes_the_old_address_away() {
    let (bench, keeper) = bench();
    let support = call(&keeper, Some("support"));
    let (ann, _) = bench.vault.create_subject(&support, "web", "ann").unwrap();
    let write = |body: Value| {
        let body = object(body);
        bench
            .vault
            .patch_single(&support, ann, "profile", body, None)
            .unwrap()
    };
    write(json!({"email": "old@example.test", "name": "Ann", "_meta": soon(&bench)}));
    bench.clock.advance(3 * HOUR);
    write(json!({"email": "new@example.test"}));
    assert!(!finds(&bench, &keeper, "profile.email", "old@example.test"));
    assert!(finds(&bench, &keeper, "profile.email", "new@example.test"));
    let (fields, _) = profile(&bench.vault, &support, ann, None).unwrap();
    assert_eq!(fields, json!({"email": "new@example.test"}));
    sweep(&bench);
    assert!(finds(&bench, &keeper, "profile.email", "new@example.test"));
}

#[test]
fn a_list_goes_on_behind_records_that_have_ended() {
    let (bench, keeper) = bench();
    let support = call(&keeper, Some("support"));
    let (ann, _) = bench.vault.create_subject(&support, "web", "ann").unwrap();
    let ended = object(json!({"text": "ended", "_meta": soon(&bench)}));
    let live = |number: usize| object(json!({"text": number.to_string()}));
    let mut bodies = vec![ended.clone(); 7];
    bodies.extend([live(0), live(1)]);
    bodies.extend(vec![ended; 5]);
    bodies.push(live(2));
    bench.vault.append(&support, ann, "notes", bodies).unwrap();
    bench.clock.advance(3 * HOUR);
    for (limit, order) in [(1, Order::Oldest), (2, Order::Newest), (3, Order::Oldest)] {
        let mut options = ListOptions {
            read: ReadOptions::default(),
            limit,
            order,
            cursor: None,
        };
        let mut found = Vec::new();
        loop {
            let page = bench.vault.list(&support, ann, "notes", &options, |page| {
                let texts = page.records.iter().map(|view| view.fields["text"].clone());
                found.extend(texts);
                (page.records.len(), page.next.clone())
            });
            let (records, next) = page.unwrap();
            assert!(records > 0, "no page is empty");
            match next {
                Some(next) => options.cursor = Some(next),
                None => break,
            }
        }
        if order == Order::Newest {
            found.reverse();
        }
        assert_eq!(found, ["0", "1", "2"]);
    }
}
