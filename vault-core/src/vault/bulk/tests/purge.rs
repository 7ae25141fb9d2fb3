//! Records of many, destroyed.

use super::*;
use crate::audit::checkpoint::VerifierKey;
use crate::audit::receipt::Opened;

#[test]
fn a_purge_destroys_records_with_their_keys_and_yields_a_receipt() {
    let bench = Bench::new();
    let (ann, ben) = (bench.person("ann"), bench.person("ben"));
    let body = |text: &str, mail: &str, source: &str| json!({"text": text, "mail": mail, "_meta": {"source": source}});
    let anns = vec![
        body("t0", "ann@example.test", "form"),
        body("t1", "gone@example.test", "form"),
        body("t2", "ann@example.test", "letter"),
    ];
    let anns = bench.append(ann, "notes", anns);
    let bens = bench.append(ben, "notes", vec![body("t3", "ben@example.test", "letter")]);
    let numbers = |subject| {
        let snapshot = bench.vault.snapshot().unwrap();
        let person = Person::find(&snapshot, subject).unwrap();
        let keys = person.keyset.keys.iter();
        let general = keys.filter(|dek| dek.compartment.number == 1);
        general.map(|dek| dek.number).collect::<Vec<u32>>()
    };
    let (anns_keys, bens_keys) = (numbers(ann), numbers(ben));
    let asked = bench.support();
    let input = change("notes", json!({"source": "form"}));
    let counted = bench
        .vault
        .purge_records(&asked, &count("notes", json!({"source": "form"})))
        .unwrap();
    assert_eq!((counted.count, counted.receipt), (2, None));
    let asked_again = bench.support();
    let purged = bench.vault.purge_records(&asked_again, &input).unwrap();
    assert_eq!(purged.count, 2);
    let receipt = purged.receipt.unwrap();
    let body = &receipt["body"];
    assert_eq!(
        (&body["scope"], &body["records"]),
        (&json!("purge"), &json!(2))
    );
    assert_eq!(body["destroyed"], json!([{"compartment": 1, "keys": 1}]));
    assert!(body["epoch_after"].as_u64() > body["epoch_before"].as_u64());
    // The old key is gone and a new one there; whoever was not meant keeps theirs.
    assert!(
        numbers(ann)
            .iter()
            .all(|number| !anns_keys.contains(number))
    );
    assert_eq!((numbers(ann).len(), numbers(ben)), (1, bens_keys));
    let left = bench.found(query("notes", json!({})));
    assert_eq!(ids(&left), texts(&[anns[2], bens[0]]));
    assert_eq!(bench.listed(ann, "notes")[0].1["text"], "t2");
    // A look-up value goes with its last record.
    let find = |mail: &str| {
        bench
            .vault
            .lookup_field(&bench.support(), "notes.mail", &json!(mail))
    };
    assert_eq!(find("ann@example.test").unwrap(), ann);
    assert!(matches!(
        find("gone@example.test"),
        Err(Refusal::NotFound(_))
    ));
    // The receipt is what the log says, and its opening what was deleted.
    let entries = bench.entries(asked_again.id);
    assert_eq!(entries.len(), 2, "one of the commit, one of the receipt");
    let digest = sha256(&[anns[0].as_bytes(), anns[1].as_bytes()]);
    assert!(
        entries
            .iter()
            .all(|entry| entry.records == Some((2, digest)))
    );
    let bytes = audit::canonical::canonical(body).unwrap();
    let (id, hash) = entries[1].receipt.unwrap();
    assert_eq!(
        (json!(id.to_string()), hash),
        (body["receipt"].clone(), sha256(&[&bytes]))
    );
    let hex = |name: &str| {
        let text = receipt["opening"][name].as_str().unwrap().as_bytes();
        data_encoding::HEXLOWER.decode(text).unwrap()
    };
    assert_eq!(hex("records_sha256"), digest);
    let commitment = sha256(&[&hex("salt"), &digest]);
    assert_eq!(body["commitment"], audit::hex(&commitment));
    let key = VerifierKey::parse(&bench.vault.log_key().unwrap()).unwrap();
    let verified = audit::receipt::verify(&receipt, &key).unwrap();
    assert_eq!(verified.opened, Some(Opened::Records(digest)));
    let mut fewer = receipt.clone();
    fewer["body"]["records"] = json!(1);
    assert!(audit::receipt::verify(&fewer, &key).is_err());
    // Sent again there is nothing left, and nothing to have a receipt for.
    let again = bench.vault.purge_records(&bench.support(), &input).unwrap();
    assert_eq!((again.count, again.receipt), (0, None));
}

#[test]
fn a_purge_of_what_has_ended_takes_nothing_that_lives() {
    let bench = Bench::new();
    let ann = bench.person("ann");
    let body = |hours: i64| json!({"text": "t", "_meta": {"expires_at": at(BEGIN + hours * HOUR)}});
    let events = bench.append(ann, "events", vec![body(1), body(5)]);
    bench.clock.clock.advance(2 * HOUR);
    let mut input = query("events", json!({"expired": true}));
    input.part = QueryPart::MetaOnly;
    assert_eq!(ids(&bench.found(input.clone())), texts(&events[..1]));
    let purged = bench
        .vault
        .purge_records(
            &bench.support(),
            &change("events", json!({"expired": true})),
        )
        .unwrap();
    assert_eq!(purged.count, 1);
    assert_eq!(bench.found(input).len(), 0);
    assert_eq!(
        ids(&bench.found(query("events", json!({})))),
        texts(&events[1..])
    );
    let set = json!({"expires_at": null});
    let late = bench.vault.update_records(
        &bench.support(),
        &change("events", json!({"expired": true})),
        &set,
    );
    assert!(matches!(late, Err(Refusal::Invalid(e)) if e[0].pointer == "/where/expired"));
}

#[test]
fn a_purge_of_many_commits_has_one_receipt_and_a_second_one_finishes_it() {
    let mut bench = Bench::new();
    let people: Vec<SubjectId> = (0..6).map(|n| bench.person(&format!("p{n}"))).collect();
    for person in &people {
        bench.notes(*person, 600);
        bench.append(*person, "events", vec![json!({"text": "stays"})]);
    }
    let vault = bench.vault.clone();
    bench.clock.set(5, move || vault.close());
    let input = change("notes", json!({}));
    let stopped = bench.vault.purge_records(&bench.support(), &input);
    assert!(matches!(stopped, Err(Refusal::Locked)), "{stopped:?}");
    bench.reopen();
    // Each person wholly or not at all.
    let left: Vec<usize> = people
        .iter()
        .map(|p| bench.listed(*p, "notes").len())
        .collect();
    let gone = left.iter().filter(|left| **left == 0).count();
    assert!(left.iter().all(|left| [0, 600].contains(left)), "{left:?}");
    assert!((1..6).contains(&gone), "{left:?}");
    let purged = bench.vault.purge_records(&bench.support(), &input).unwrap();
    assert_eq!(purged.count as usize, (6 - gone) * 600);
    assert_eq!(purged.receipt.unwrap()["body"]["records"], purged.count);
    for person in &people {
        assert_eq!(bench.listed(*person, "notes").len(), 0);
        assert_eq!(bench.listed(*person, "events").len(), 1);
    }
}
