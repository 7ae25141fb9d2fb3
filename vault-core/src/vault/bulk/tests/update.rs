//! Metadata of many, changed.

use super::*;

#[test]
fn an_update_changes_metadata_and_revision_and_leaves_every_envelope_where_it_is() {
    let bench = Bench::new();
    let (ann, ben) = (bench.person("ann"), bench.person("ben"));
    let meta = json!({"source": "form"});
    let body = |n| json!({"text": format!("t{n}"), "mail": "a@example.test", "_meta": meta});
    let anns = bench.append(ann, "notes", (0..3).map(body).collect());
    bench.notes(ben, 2);
    // One whose fields were written at several revisions.
    let patch = object(json!({"text": "patched"}));
    bench
        .vault
        .patch_record(&bench.support(), ann, "notes", anns[1], patch, None)
        .unwrap();
    let (before, envelopes) = (bench.listed(ann, "notes"), bench.rows(Table::Records));
    let asked = bench.support();
    let set = json!({"source": "letter", "category": "islands", "shared_with": ["printer"],
        "purposes": ["support"], "expires_at": at(BEGIN + 9 * HOUR)});
    let input = change("notes", json!({"source": "form"}));
    let updated = bench.vault.update_records(&asked, &input, &set).unwrap();
    assert_eq!(
        (updated.count, updated.unchanged, updated.people_skipped),
        (3, 0, 0)
    );
    assert!(
        bench.rows(Table::Records) == envelopes,
        "no envelope was touched"
    );
    let after = bench.listed(ann, "notes");
    for ((etag, fields), (etag_now, fields_now)) in before.iter().zip(&after) {
        assert_ne!(etag, etag_now);
        assert_eq!(fields, fields_now);
    }
    let found = bench.found(query("notes", json!({"source": "letter"})));
    assert_eq!(ids(&found), texts(&anns));
    assert_eq!(found[0]["_meta"], set);
    assert_eq!(
        bench.found(query("notes", json!({"source": "form"}))).len(),
        0
    );
    let entries = bench.entries(asked.id);
    let bytes: Vec<&[u8]> = anns.iter().map(|id| &id.as_bytes()[..]).collect();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].records, Some((3, sha256(&bytes))));
    // A second one, a value on top, and a removal: every envelope still opens at its own revision.
    let input = change("notes", json!({"category": "islands"}));
    let set = json!({"source": null, "shared_with": null});
    bench
        .vault
        .update_records(&bench.support(), &input, &set)
        .unwrap();
    let patch = object(json!({"mail": "b@example.test"}));
    bench
        .vault
        .patch_record(&bench.support(), ann, "notes", anns[0], patch, None)
        .unwrap();
    bench
        .vault
        .update_records(&bench.support(), &input, &json!({"category": null}))
        .unwrap();
    bench.vault.sweep(crate::vault::Sweep::All).unwrap();
    let fields: Vec<Value> = bench
        .listed(ann, "notes")
        .into_iter()
        .map(|(_, f)| f)
        .collect();
    assert_eq!(fields[0], json!({"text": "t0", "mail": "b@example.test"}));
    assert_eq!(
        fields[1],
        json!({"text": "patched", "mail": "a@example.test"})
    );
    let found = bench.found(query("notes", json!({"subject": ann.to_string()})));
    let cleared = json!({"purposes": ["support"], "expires_at": at(BEGIN + 9 * HOUR),
        "source": null, "shared_with": [], "category": null});
    assert_eq!(found[2]["_meta"], cleared);
    // What it set holds: the record ends.
    bench.clock.clock.advance(9 * HOUR);
    assert_eq!(bench.listed(ann, "notes").len(), 0);
    assert_eq!(bench.listed(ben, "notes").len(), 2);
}

#[test]
fn purposes_of_many_only_become_fewer() {
    let bench = Bench::new();
    let ann = bench.person("ann");
    let body = |purposes: &[&str]| json!({"text": "t", "_meta": {"purposes": purposes}});
    let bodies = vec![body(&[]), body(&["news"]), body(&["support", "news"])];
    let ids = bench.append(ann, "notes", bodies);
    let input = change("notes", json!({}));
    let set = json!({"purposes": ["support"], "source": "form"});
    let counted = bench
        .vault
        .update_records(&bench.support(), &count("notes", json!({})), &set)
        .unwrap();
    assert_eq!((counted.count, counted.unchanged), (2, 1));
    let updated = bench
        .vault
        .update_records(&bench.support(), &input, &set)
        .unwrap();
    assert_eq!((updated.count, updated.unchanged), (2, 1));
    let mut meta = query("notes", json!({}));
    meta.part = QueryPart::MetaOnly;
    let found = bench.found(meta);
    let of = |id: &RecordId| {
        let line = found.iter().find(|line| line["record"] == id.to_string());
        (
            line.unwrap()["_meta"]["purposes"].clone(),
            line.unwrap()["_meta"]["source"].clone(),
        )
    };
    assert_eq!(of(&ids[0]), (json!(["support"]), json!("form")));
    assert_eq!(of(&ids[1]), (json!(["news"]), Value::Null));
    assert_eq!(of(&ids[2]), (json!(["support"]), json!("form")));
}

#[test]
fn an_update_runs_in_bounded_commits_and_one_that_stops_leaves_each_record_old_or_new() {
    let mut bench = Bench::new();
    let people: Vec<SubjectId> = (0..5).map(|n| bench.person(&format!("p{n}"))).collect();
    for person in &people {
        bench.notes(*person, 700);
    }
    let asked = bench.support();
    let set = json!({"source": "form"});
    let input = change("notes", json!({}));
    // Closed in the middle: between two commits, where the next part is looked for.
    let vault = bench.vault.clone();
    bench.clock.set(5, move || vault.close());
    let stopped = bench.vault.update_records(&asked, &input, &set);
    assert!(matches!(stopped, Err(Refusal::Locked)), "{stopped:?}");
    let id = asked.id;
    bench.reopen();
    let changed = |bench: &Bench| bench.found(query("notes", json!({"source": "form"}))).len();
    let new = changed(&bench);
    assert!((1..3500).contains(&new), "{new}");
    let entries = bench.entries(id);
    let committed: u64 = entries
        .iter()
        .filter_map(|e| e.records)
        .map(|(n, _)| n)
        .sum();
    assert_eq!(committed, new as u64);
    let largest = entries.iter().filter_map(|e| e.records).max();
    assert!(largest.unwrap().0 <= 1000);
    assert_eq!(bench.found(query("notes", json!({}))).len(), 3500);
    let again = bench.vault.update_records(&bench.support(), &input, &set);
    assert_eq!((again.unwrap().count, changed(&bench)), (3500, 3500));
}

#[test]
fn the_policy_in_force_at_each_commit_decides() {
    let bench = Bench::new();
    for n in 0..4 {
        bench.notes(bench.person(&format!("p{n}")), 700);
    }
    let (vault, policy) = (bench.vault.clone(), POLICY.to_owned());
    bench.clock.set(5, move || {
        let narrower = policy.replacen("write = [\"*\"]", "write = [\"profile.*\"]", 1);
        let keyholder = vault.keyholder();
        vault
            .apply_policy(&call(&keyholder, None), &narrower, false)
            .unwrap();
    });
    let set = json!({"source": "form"});
    let refused = bench
        .vault
        .update_records(&bench.support(), &change("notes", json!({})), &set);
    assert!(matches!(refused, Err(Refusal::RoleDenied(_))));
    let changed = bench.found(query("notes", json!({"source": "form"}))).len();
    assert!((1..2800).contains(&changed), "{changed}");
}
