//! The access ledger: each person's own, all of it, and of the erased nothing.

use super::*;
use crate::policy::{Capability, Policy, Role};

fn query(limit: usize) -> AccessQuery {
    AccessQuery {
        limit,
        ..AccessQuery::default()
    }
}

/// Every page, by the cursor.
fn ledger(
    bench: &Bench,
    by: &Principal,
    subject: SubjectId,
    limit: usize,
) -> Result<Vec<Access>, Refusal> {
    let mut query = query(limit);
    let mut all = Vec::new();
    loop {
        let page = bench.vault.access(&call(by, None), subject, &query)?;
        assert!(page.accesses.len() <= limit);
        all.extend(page.accesses);
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return Ok(all),
        }
    }
}

/// The ledger without the readings of ledgers, oldest first: role, purpose, action, fields, outcome.
fn told(all: &[Access]) -> Vec<String> {
    let others = all.iter().rev().filter(|a| a.action != "subjects.access");
    others
        .map(|a| {
            let purpose = a.purpose.as_deref().unwrap_or("-");
            let fields = a.fields.join(" ");
            format!("{} {purpose} {} [{fields}] {}", a.role, a.action, a.outcome)
        })
        .collect()
}

/// Two people, a bot that writes of both, an agent who looks at the first and is refused a card.
fn scene(bench: &Bench) -> (SubjectId, SubjectId) {
    let (bot, agent) = (bench.role("bot"), bench.role("agent"));
    let vault = &bench.vault;
    let support = |by| call(by, Some("support"));
    let (ann, _) = vault.create_subject(&support(&bot), "web", "ann").unwrap();
    let (ben, _) = vault.create_subject(&support(&bot), "web", "ben").unwrap();
    for person in [ann, ben] {
        let body = object(json!({"name": "Somebody", "card": "4111 1111 1111 1111"}));
        vault
            .patch_single(&support(&bot), person, "profile", body, None)
            .unwrap();
        bench.clock.advance(HOUR);
    }
    profile(vault, &support(&agent), ann, Some(&["name"])).unwrap();
    profile(vault, &support(&agent), ann, Some(&["card"])).unwrap_err();
    profile(vault, &support(&bot), ben, Some(&["name"])).unwrap();
    (ann, ben)
}

#[test]
fn a_person_is_told_who_looked_in_which_role_for_what_and_at_which_fields_also_in_vain() {
    let bench = Bench::new();
    let (ann, ben) = scene(&bench);
    let dpo = bench.role("dpo");
    let all = ledger(&bench, &dpo, ann, 100).unwrap();
    assert_eq!(
        told(&all),
        [
            "bot support subjects.create [] ok",
            "bot support records.patch [profile.name profile.card] ok",
            "agent support records.read [profile.name] ok",
            "agent support records.read [] role_denied",
        ]
    );
    assert!(all.iter().all(|a| a.about == AccessAbout::Person));
    // Newest first, and each a call that the log has under that number.
    assert!(all.windows(2).all(|two| two[0].entry > two[1].entry));
    let auditor = bench.role("auditor");
    for access in &all {
        let (entry, _) = bench
            .vault
            .log_proof(&call(&auditor, None), access.entry)
            .unwrap();
        assert_eq!(entry.entry["request"], json!(access.request.to_string()));
    }
    // The nearest violation: another person's calls are not among them, though on the same day.
    let bens = ledger(&bench, &dpo, ben, 100).unwrap();
    assert_eq!(told(&bens).len(), 3);
    assert!(bens.iter().all(|b| all.iter().all(|a| a.entry != b.entry)));
}

#[test]
fn a_write_that_was_refused_at_the_person_is_told_and_one_refused_before_is_nobodys() {
    let bench = Bench::new();
    let (ann, _) = scene(&bench);
    let before = told(&ledger(&bench, &bench.role("dpo"), ann, 100).unwrap());
    let write = |role: &str| {
        let body = object(json!({"card": "no card"}));
        let by = bench.role(role);
        let call = call(&by, Some("support"));
        bench.vault.patch_single(&call, ann, "profile", body, None)
    };
    assert!(matches!(write("bot"), Err(Refusal::Invalid(_))));
    assert!(matches!(write("agent"), Err(Refusal::RoleDenied(_))));
    let after = told(&ledger(&bench, &bench.role("dpo"), ann, 100).unwrap());
    let (old, new) = after.split_at(before.len());
    assert_eq!(
        (old, new),
        (
            &before[..],
            &["bot support records.patch [] invalid".to_owned()][..]
        )
    );
}

#[test]
fn pages_of_one_give_the_same_ledger_and_a_cursor_serves_its_own_list_alone() {
    let bench = Bench::new();
    let (ann, ben) = scene(&bench);
    let dpo = bench.role("dpo");
    let whole = told(&ledger(&bench, &dpo, ann, 1_000).unwrap());
    assert_eq!(told(&ledger(&bench, &dpo, ann, 1).unwrap()), whole);
    let first = bench.vault.access(&call(&dpo, None), ann, &query(1));
    let cursor = first.unwrap().next;
    let foreign = |by: &Principal, subject, change: &dyn Fn(&mut AccessQuery)| {
        let mut query = AccessQuery {
            cursor: cursor.clone(),
            ..query(1)
        };
        change(&mut query);
        bench.vault.access(&call(by, None), subject, &query)
    };
    assert!(foreign(&dpo, ann, &|_| ()).is_ok());
    let refused = |result: Result<AccessPage, Refusal>| match result {
        Err(Refusal::Invalid(errors)) => errors[0].pointer == "/cursor",
        _ => false,
    };
    assert!(refused(foreign(&dpo, ben, &|_| ())));
    assert!(refused(foreign(&bench.role("dpo"), ann, &|_| ())));
    let now = bench.clock.now();
    assert!(refused(foreign(&dpo, ann, &|query| query.to = Some(now))));
    bench.clock.advance(2 * HOUR);
    assert!(refused(foreign(&dpo, ann, &|_| ())));
}

#[test]
fn from_and_to_cut_the_ledger_at_their_instants() {
    let bench = Bench::new();
    let (ann, _) = scene(&bench);
    let dpo = bench.role("dpo");
    let all = ledger(&bench, &dpo, ann, 100).unwrap();
    let looked = all.iter().find(|a| a.action == "records.read").unwrap();
    let between = |from, to| {
        let query = AccessQuery {
            from,
            to,
            ..query(100)
        };
        let page = bench.vault.access(&call(&dpo, None), ann, &query).unwrap();
        told(&page.accesses).len()
    };
    assert_eq!(between(Some(looked.time), None), 2);
    assert_eq!(between(None, Some(looked.time)), 2);
    assert_eq!(between(Some(looked.time), Some(looked.time)), 0);
}

#[test]
fn without_a_capability_nobody_reads_a_ledger_and_a_session_its_own_alone() {
    let bench = Bench::new();
    let (ann, ben) = scene(&bench);
    for role in ["bot", "agent", "operator"] {
        let by = bench.role(role);
        let refused = bench.vault.access(&call(&by, None), ann, &query(1));
        assert!(matches!(refused, Err(Refusal::RoleDenied(_))), "{role}");
        // Not even whether there is somebody.
        let nobody = SubjectId::from_bytes([9; 16]);
        let refused = bench.vault.access(&call(&by, None), nobody, &query(1));
        assert!(matches!(refused, Err(Refusal::RoleDenied(_))), "{role}");
    }
    assert!(ledger(&bench, &bench.role("auditor"), ann, 10).is_ok());
    let bot = bench.role("bot");
    let session = |by: &Principal| {
        let input = SessionInput {
            purpose: "support".into(),
            fields: vec!["profile.name".into()],
            reads: 5,
            writes: 0,
            expires_in: None,
        };
        let begun = bench.vault.begin_session(&call(by, None), ann, input);
        bench.vault.authenticate(&begun.unwrap().token).unwrap()
    };
    let own = session(&bot);
    let refused = bench.vault.access(&call(&own, None), ann, &query(1));
    assert!(matches!(refused, Err(Refusal::RoleDenied(_))));
    // The policy gives the session's maker the right to tell people: now its session tells its own.
    let may = r#"may   = ["subjects.create","#;
    let granted = SAMPLE.replacen(may, r#"may   = ["subjects.export", "subjects.create","#, 1);
    assert_ne!(granted, SAMPLE);
    let keyholder = bench.vault.keyholder();
    bench
        .vault
        .apply_policy(&call(&keyholder, None), &granted, false)
        .unwrap();
    let page = bench.vault.access(&call(&own, None), ann, &query(100));
    assert!(told(&page.unwrap().accesses).len() >= 4);
    let another = bench.vault.access(&call(&own, None), ben, &query(1));
    assert!(matches!(another, Err(Refusal::NotFound("person"))));
}

#[test]
fn a_call_over_many_people_is_listed_as_one_that_may_have_met_the_person() {
    let bulk = SAMPLE.replacen(
        r#"may  = ["subjects.lookup", "subjects.view"]"#,
        r#"may  = ["subjects.lookup", "subjects.view", "records.bulk"]"#,
        1,
    );
    assert_ne!(bulk, SAMPLE);
    let bench = Bench::of(&bulk);
    let (ann, _) = scene(&bench);
    let agent = bench.role("agent");
    let input = QueryInput {
        collection: "profile".into(),
        fields: Some(vec!["name".into()]),
        conditions: json!({}),
        part: QueryPart::Fields,
        names: None,
        limit: None,
        cursor: None,
    };
    let by = call(&agent, Some("support"));
    let mut query = bench.vault.query(&by, input).unwrap();
    while let Step::More = bench.vault.query_step(&mut query, &mut |_| ()).unwrap() {}
    bench.vault.finish_query(&query).unwrap();
    let all = ledger(&bench, &bench.role("dpo"), ann, 100).unwrap();
    let many: Vec<_> = all
        .iter()
        .filter(|a| a.about == AccessAbout::Many)
        .collect();
    assert_eq!(many.len(), 1);
    assert_eq!(
        (many[0].action.as_str(), many[0].role.as_str()),
        ("records.query", "agent")
    );
}

#[test]
fn an_erased_person_has_no_ledger_and_what_the_log_still_says_of_them_is_this() {
    let mut bench = Bench::new();
    let (ann, ben) = scene(&bench);
    // A second day, on which somebody looks again.
    bench.clock.advance(24 * HOUR);
    let (agent, dpo) = (bench.role("agent"), bench.role("dpo"));
    let support = call(&agent, Some("support"));
    profile(&bench.vault, &support, ann, Some(&["name"])).unwrap();
    profile(&bench.vault, &support, ann, Some(&["name"])).unwrap();
    let auditor = bench.role("auditor");
    let whole = |bench: &Bench, auditor: &Principal| {
        let query = AuditQuery {
            last: 1_000,
            ..AuditQuery::default()
        };
        bench.vault.audit(&call(auditor, None), &query).unwrap()
    };
    // What was Ann's while she lived: the control for what cannot be found afterwards.
    let hers: Vec<u64> = ledger(&bench, &dpo, ann, 100)
        .unwrap()
        .iter()
        .map(|a| a.entry)
        .collect();
    assert_eq!(hers.len(), 6);
    bench.vault.erase_subject(&call(&dpo, None), ann).unwrap();
    for _ in 0..2 {
        let dpo = bench.role("dpo");
        let refused = ledger(&bench, &dpo, ann, 100);
        assert!(matches!(refused, Err(Refusal::Erased { receipt: Some(_) })));
        let by_audit = AuditQuery {
            last: 10,
            subject: Some(ann),
            ..AuditQuery::default()
        };
        let refused = bench.vault.audit(&call(&dpo, None), &by_audit);
        assert!(matches!(refused, Err(Refusal::Erased { .. })));
        // Nor after a restart, from what is on the disk.
        bench.reopen();
    }
    let auditor = {
        let _ = auditor;
        bench.role("auditor")
    };
    let page = whole(&bench, &auditor);
    let ann_text = ann.to_string();
    let mut days: std::collections::BTreeMap<String, std::collections::BTreeSet<String>> =
        std::collections::BTreeMap::new();
    for entry in &page.entries {
        let text = entry.entry.to_string();
        // Nowhere her id, also not in the entry of the erasure, which has no tag either.
        assert!(!text.contains(&ann_text));
        if entry.entry["action"] == "subjects.erase" {
            assert_eq!(entry.entry.get("subject"), None);
        }
        if hers.contains(&entry.number) {
            // What is left of each: when, which role and key, what for, which fields, how it ended.
            let members: Vec<&str> = entry
                .entry
                .as_object()
                .unwrap()
                .keys()
                .map(|k| &**k)
                .collect();
            let known = [
                "action", "actor", "fields", "outcome", "purpose", "request", "role", "subject",
                "time",
            ];
            assert!(
                members.iter().all(|member| known.contains(member)),
                "{members:?}"
            );
            let day = entry.entry["time"].as_str().unwrap()[..10].to_owned();
            let tag = entry.entry["subject"].as_str().unwrap().to_owned();
            days.entry(day).or_default().insert(tag);
        }
    }
    // Those of one day carry one tag, so that they are still known to be about one person; those of
    // two days carry two, which nothing leads from one to the other.
    assert_eq!(days.len(), 2);
    assert!(days.values().all(|tags| tags.len() == 1));
    let tags: Vec<&String> = days.values().flatten().collect();
    assert_ne!(tags[0], tags[1]);
    // And nobody who is left makes these tags: not Ben's key, and not one made for her anew.
    let bens = ledger(&bench, &bench.role("dpo"), ben, 100).unwrap();
    assert!(bens.iter().all(|b| !hers.contains(&b.entry)));
    bench.clock.advance(HOUR);
    let bot = bench.role("bot");
    let (again, created) = bench
        .vault
        .create_subject(&call(&bot, Some("support")), "web", "ann")
        .unwrap();
    assert!(created);
    let anew = ledger(&bench, &bench.role("dpo"), again, 100).unwrap();
    assert_eq!(told(&anew), ["bot support subjects.create [] ok"]);
}

/// `rights` cannot be the purpose of a session yet: what such a session may is tried on the rule.
#[test]
fn the_rule_for_sessions_asks_for_the_purpose_or_the_makers_role() {
    let policy: &dyn Fn(&str) -> Policy = &|source| {
        let bench = Bench::of(source);
        let snapshot = bench.vault.snapshot().unwrap();
        (*bench.vault.policy_of(&snapshot).unwrap()).clone()
    };
    let policy = policy(SAMPLE);
    assert!(
        !policy
            .role("bot")
            .is_some_and(|role: &Role| role.may(Capability::SubjectsExport))
    );
    let any = [Capability::SubjectsExport, Capability::AuditRead];
    for (role, purpose, may) in [
        ("bot", "rights", true),
        ("bot", "support", false),
        ("dpo", "support", true),
        ("nobody", "support", false),
    ] {
        let session = token::tests_session(role, purpose);
        assert_eq!(
            session.require_own(&policy, &any).is_ok(),
            may,
            "{role} {purpose}"
        );
    }
}
