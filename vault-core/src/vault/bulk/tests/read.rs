//! What a stream shows, of whom, and when no more.

use super::*;

#[test]
fn people_without_a_basis_are_skipped_and_counted_if_they_have_records() {
    let bench = Bench::new();
    let [ann, ben, cas, dan] = ["ann", "ben", "cas", "dan"].map(|name| bench.person(name));
    let anns = bench.notes(ann, 2);
    bench.notes(ben, 2);
    bench.notes(cas, 1);
    bench.consent(ann, true);
    bench.consent(ben, false);
    bench.consent(dan, false);
    let news = call(&bench.keeper, Some("news"));
    let (lines, last) = bench.lines(&news, query("notes", json!({}))).unwrap();
    assert_eq!(ids(&lines), texts(&anns));
    let skipped = json!({"end": true, "records": 2, "people_skipped": 2, "next": null});
    assert_eq!(last, skipped);
    // The contract's purpose needs nobody's consent.
    let (lines, last) = bench
        .lines(&bench.support(), query("notes", json!({})))
        .unwrap();
    assert_eq!((lines.len(), &last["people_skipped"]), (5, &json!(0)));
}

#[test]
fn a_line_shows_what_the_reader_may_see_and_nothing_else() {
    let bench = Bench::new();
    let ann = bench.person("ann");
    let body = json!({"text": "a \"quoted\"\nline", "mail": "ann@example.test",
        "_meta": {"source": "form", "shared_with": ["carrier"], "purposes": ["support"]}});
    let id = bench.append(ann, "notes", vec![body])[0];
    let created_at = instant(BEGIN).to_string();
    let whole = json!({
        "subject": ann.to_string(), "record": id.to_string(), "created_at": created_at,
        "fields": {"text": "a \"quoted\"\nline", "mail": "ann@example.test"}, "masked": [],
        "_meta": {"purposes": ["support"], "expires_at": null, "source": "form",
            "shared_with": ["carrier"], "category": null},
    });
    assert_eq!(bench.found(query("notes", json!({})))[0], whole);
    let mut some = query("notes", json!({}));
    some.fields = Some(vec!["text".into()]);
    some.part = QueryPart::Fields;
    let line = &bench.found(some.clone())[0];
    assert_eq!(line["fields"], json!({"text": "a \"quoted\"\nline"}));
    assert!(line.get("_meta").is_none());
    // The clerk sees a masked address, and may not name the text.
    let clerk = bench.role("clerk");
    let clerk = call(&clerk, Some("support"));
    let (lines, _) = bench.lines(&clerk, query("notes", json!({}))).unwrap();
    assert_eq!(lines[0]["masked"], json!(["mail"]));
    assert_ne!(lines[0]["fields"]["mail"], whole["fields"]["mail"]);
    assert_eq!(lines[0]["fields"].as_object().unwrap().len(), 1);
    assert!(matches!(
        bench.lines(&clerk, some),
        Err(Refusal::RoleDenied(_))
    ));
    // One record a person has no record id.
    let name = object(json!({"name": "Ann"}));
    bench
        .vault
        .patch_single(&bench.support(), ann, "profile", name, None)
        .unwrap();
    let line = &bench.found(query("profile", json!({})))[0];
    assert_eq!(
        (line.get("record"), &line["fields"]["name"]),
        (None, &json!("Ann"))
    );
}

#[test]
fn somebody_erased_or_withdrawn_between_two_slices_does_not_appear() {
    let bench = Bench::new();
    let mut people: Vec<SubjectId> = (0..6).map(|n| bench.person(&format!("p{n}"))).collect();
    people.sort();
    for person in &people {
        bench.notes(*person, 300);
        bench.consent(*person, true);
    }
    let news = call(&bench.keeper, Some("news"));
    let vault = &bench.vault;
    let mut query = vault.query(&news, query("notes", json!({}))).unwrap();
    let mut bytes = Vec::new();
    let step = vault.query_step(&mut query, &mut |lines| bytes.extend(lines));
    assert_eq!(step.unwrap(), Step::More);
    let before = read(&bytes).len();
    assert!(
        (300..600).contains(&before),
        "the second person is half through"
    );
    vault
        .withdraw_consent(&bench.support(), people[1], "news")
        .unwrap();
    vault.erase_subject(&bench.support(), people[2]).unwrap();
    bytes.clear();
    while vault
        .query_step(&mut query, &mut |lines| bytes.extend(lines))
        .unwrap()
        == Step::More
    {}
    let mut after: BTreeMap<String, usize> = BTreeMap::new();
    for line in read(&bytes) {
        *after
            .entry(line["subject"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    let rest = people[3..].iter().map(|one| (one.to_string(), 300));
    assert_eq!(after, rest.collect());
    let last = read(&vault.finish_query(&query).unwrap()).remove(0);
    assert_eq!(last["records"], before + 900);
    assert_eq!(last["people_skipped"], 1);
}

#[test]
fn somebody_erased_while_a_slice_is_gathered_does_not_appear_in_it() {
    for erased in 0..3 {
        let bench = Bench::new();
        let mut people: Vec<SubjectId> = (0..3).map(|n| bench.person(&format!("p{n}"))).collect();
        people.sort();
        people
            .iter()
            .for_each(|person| drop(bench.notes(*person, 3)));
        let vault = bench.vault.clone();
        let (keeper, gone) = (bench.keeper.clone(), people[erased]);
        let mut query = bench
            .vault
            .query(&bench.support(), query("notes", json!({})))
            .unwrap();
        let erasing = vault.clone();
        bench.clock.set(1, move || {
            let call = call(&keeper, Some("support"));
            erasing.erase_subject(&call, gone).unwrap();
        });
        let mut bytes = Vec::new();
        while vault
            .query_step(&mut query, &mut |lines| bytes.extend(lines))
            .unwrap()
            == Step::More
        {}
        assert!(bench.clock.set.lock().is_none(), "the trap was sprung");
        let shown: BTreeSet<String> = read(&bytes)
            .iter()
            .map(|line| line["subject"].as_str().unwrap().to_owned())
            .collect();
        people.remove(erased);
        assert_eq!(shown, people.iter().map(ToString::to_string).collect());
        let last = read(&vault.finish_query(&query).unwrap()).remove(0);
        assert_eq!(last["records"], 6);
    }
}

#[test]
fn an_api_key_revoked_between_two_slices_gets_no_more() {
    let bench = Bench::new();
    for n in 0..3 {
        bench.notes(bench.person(&format!("p{n}")), 300);
    }
    let clerk = bench.role("clerk");
    let clerk_call = call(&clerk, Some("support"));
    let mut query = bench
        .vault
        .query(&clerk_call, query("notes", json!({})))
        .unwrap();
    let step = bench.vault.query_step(&mut query, &mut |_| {});
    assert_eq!(step.unwrap(), Step::More);
    let keyholder = bench.vault.keyholder();
    bench
        .vault
        .revoke_token(&call(&keyholder, None), clerk.token().unwrap())
        .unwrap();
    let mut handed = false;
    let refused = bench.vault.query_step(&mut query, &mut |_| handed = true);
    assert!(matches!(refused, Err(Refusal::Unauthenticated)));
    assert!(!handed);
    bench.vault.abandon_query(&query).unwrap();
    let entries = bench.entries(clerk_call.id);
    let outcomes: Vec<&str> = entries.iter().map(|e| &*e.outcome).collect();
    assert_eq!(outcomes, ["ok", "incomplete"]);
    assert!(entries[1].records.unwrap().0 > 0);
}

#[test]
fn a_cursor_goes_on_where_its_answer_ended_and_serves_no_other_call() {
    let bench = Bench::new();
    let mut all = BTreeSet::new();
    for n in 0..5 {
        let person = bench.person(&format!("p{n}"));
        all.extend(texts(&bench.notes(person, 7)));
    }
    let mut input = query("notes", json!({"purpose": "support"}));
    input.limit = Some(4);
    let (mut seen, mut cursors) = (BTreeSet::new(), Vec::new());
    loop {
        let (lines, last) = bench.lines(&bench.support(), input.clone()).unwrap();
        assert!(lines.len() <= 4);
        for id in ids(&lines) {
            assert!(seen.insert(id), "a record came twice");
        }
        match last["next"].as_str() {
            Some(next) => cursors.push(next.to_owned()),
            None => break,
        }
        input.cursor = cursors.last().cloned();
    }
    assert_eq!(seen, all);
    let refused = |principal: &Principal, purpose, input: QueryInput| {
        let refused = bench.lines(&call(principal, Some(purpose)), input);
        assert!(matches!(refused, Err(Refusal::Invalid(e)) if e[0].pointer == "/cursor"));
    };
    input.cursor = Some(cursors[1].clone());
    refused(&bench.role("keeper"), "support", input.clone());
    let mut other = input.clone();
    other.conditions = json!({});
    refused(&bench.keeper, "support", other);
    let mut other = input.clone();
    other.part = QueryPart::MetaOnly;
    refused(&bench.keeper, "support", other);
    let mut other = input.clone();
    other.fields = Some(vec!["text".into()]);
    refused(&bench.keeper, "support", other);
    // Halves of two cursors are none.
    let (first, _) = cursors[1].split_once('.').unwrap();
    let (_, second) = cursors[4].split_once('.').unwrap();
    let mut other = input.clone();
    other.cursor = Some(format!("{first}.{second}"));
    refused(&bench.keeper, "support", other);
    assert!(bench.lines(&bench.support(), input.clone()).is_ok());
    bench.clock.clock.advance(2 * HOUR);
    refused(&bench.keeper, "support", input);
}

#[test]
fn the_evidence_has_a_beginning_and_an_end_with_count_and_digest() {
    let bench = Bench::new();
    for n in 0..4 {
        bench.notes(bench.person(&format!("p{n}")), 200);
    }
    let asked = bench.support();
    let (lines, _) = bench.lines(&asked, query("notes", json!({}))).unwrap();
    let entries = bench.entries(asked.id);
    let [start, end] = &entries[..] else {
        panic!("{} entries", entries.len())
    };
    assert_eq!(
        (&*start.action, &*end.action),
        ("records.query", "records.query")
    );
    assert_eq!(
        (start.records, start.fields.len(), start.subject),
        (None, 2, None)
    );
    let ids = lines.iter().map(|line| line["record"].as_str().unwrap());
    let ids: Vec<RecordId> = ids.map(|id| id.parse().unwrap()).collect();
    let bytes: Vec<&[u8]> = ids.iter().map(|id| &id.as_bytes()[..]).collect();
    assert_eq!(end.records, Some((800, sha256(&bytes))));
    let refused = call(&bench.keeper, Some("nonsense"));
    assert!(bench.lines(&refused, query("notes", json!({}))).is_err());
    let entries = bench.entries(refused.id);
    assert_eq!((entries.len(), &*entries[0].outcome), (1, "purpose_denied"));
}

#[test]
fn a_record_that_was_narrowed_to_another_purpose_is_left_out() {
    let bench = Bench::new();
    let ann = bench.person("ann");
    let narrowed = json!({"text": "t", "_meta": {"purposes": ["news"]}});
    bench.append(ann, "notes", vec![narrowed]);
    assert_eq!(bench.found(query("notes", json!({}))).len(), 0);
    bench.consent(ann, true);
    let news = call(&bench.keeper, Some("news"));
    assert_eq!(
        bench
            .lines(&news, query("notes", json!({})))
            .unwrap()
            .0
            .len(),
        1
    );
}
