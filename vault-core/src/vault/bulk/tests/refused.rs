//! Who and what is turned away.

use super::*;

#[test]
fn whoever_may_not_is_refused_before_anything_is_found() {
    let bench = Bench::new();
    let ann = bench.person("ann");
    bench.notes(ann, 1);
    let all = || query("notes", json!({}));
    let vault = &bench.vault;
    let (bot, clerk) = (bench.role("bot"), bench.role("clerk"));
    let denied = |result: Result<(Vec<Value>, Value), Refusal>| {
        assert!(matches!(result, Err(Refusal::RoleDenied(_))));
    };
    denied(bench.lines(&call(&bot, Some("support")), all()));
    denied(bench.lines(&call(&vault.keyholder(), Some("support")), all()));
    denied(bench.lines(&call(&clerk, Some("support")), query("events", json!({}))));
    let session = crate::vault::SessionInput {
        purpose: "support".into(),
        fields: vec!["notes.*".into()],
        reads: 5,
        writes: 5,
        expires_in: None,
    };
    let begun = vault.begin_session(&bench.support(), ann, session).unwrap();
    let session = vault.authenticate(&begun.token).unwrap();
    denied(bench.lines(&call(&session, None), all()));
    let set = json!({"source": "form"});
    for who in [&session, &bot] {
        let who = call(who, Some("support"));
        let refused = vault.update_records(&who, &change("notes", json!({})), &set);
        assert!(matches!(refused, Err(Refusal::RoleDenied(_))));
        let refused = vault.purge_records(&who, &change("notes", json!({})));
        assert!(matches!(refused, Err(Refusal::RoleDenied(_))));
    }
    // The clerk writes the text alone, and has no leave to purge.
    let who = call(&clerk, Some("support"));
    let refused = vault.update_records(&who, &change("notes", json!({})), &set);
    let Err(Refusal::RoleDenied(why)) = refused else {
        panic!("not refused")
    };
    assert!(why.contains("every field"));
    let refused = vault.purge_records(&who, &change("notes", json!({})));
    assert!(matches!(refused, Err(Refusal::RoleDenied(_))));
    let missing = bench.lines(&call(&bench.keeper, None), all());
    assert!(matches!(missing, Err(Refusal::PurposeMissing)));
    let unknown = bench.lines(&bench.support(), query("nothing", json!({})));
    assert!(matches!(unknown, Err(Refusal::NotFound("collection"))));
    let other = bench.lines(&call(&bench.keeper, Some("other")), all());
    assert!(matches!(other, Err(Refusal::PurposeDenied(_))));
    assert_eq!(bench.found(all()).len(), 1);
}

#[test]
fn input_that_does_not_fit_is_told_where_and_no_value_is_repeated() {
    let bench = Bench::new();
    let refused = |conditions: Value| {
        let refused = bench.lines(&bench.support(), query("notes", conditions));
        let Err(Refusal::Invalid(errors)) = refused else {
            panic!("not refused")
        };
        assert!(!format!("{errors:?}").contains("canary"));
        (
            errors[0].pointer.clone(),
            errors[0].code,
            errors[0].detail.clone(),
        )
    };
    let (pointer, code, detail) = refused(json!({"text": "canary"}));
    assert_eq!((&*pointer, code), ("/where/text", "unknown_member"));
    assert!(detail.contains("purpose, source, shared_with, category, expired"));
    assert_eq!(refused(json!({"canary": 1})).0, "/where");
    assert!(refused(json!({"sorce": "canary"})).2.contains("`source`"));
    assert_eq!(refused(json!({"purpose": "canary"})).1, "unknown_purpose");
    assert_eq!(refused(json!({"expired": "canary"})).1, "not_a_bool");
    assert_eq!(refused(json!({"created_after": "canary"})).1, "timestamp");
    assert_eq!(refused(json!({"subject": "canary"})).1, "not_an_id");
    assert_eq!(refused(json!({"source": ["canary"]})).1, "type");
    assert_eq!(refused(json!("canary")).1, "not_an_object");
    for limit in [0, 1_000_001] {
        let mut input = query("notes", json!({}));
        input.limit = Some(limit);
        let refused = bench.lines(&bench.support(), input);
        assert!(matches!(refused, Err(Refusal::Invalid(e)) if e[0].pointer == "/limit"));
    }
    let set = |set: Value| {
        let input = change("notes", json!({}));
        let refused = bench.vault.update_records(&bench.support(), &input, &set);
        let Err(Refusal::Invalid(errors)) = refused else {
            panic!("not refused")
        };
        assert!(!format!("{errors:?}").contains("canary"));
        (errors[0].pointer.clone(), errors[0].code)
    };
    assert_eq!(set(json!({})), ("/set".into(), "empty"));
    assert_eq!(set(json!("canary")), ("/set".into(), "not_an_object"));
    assert_eq!(
        set(json!({"text": "canary"})),
        ("/set".into(), "unknown_member")
    );
    assert_eq!(
        set(json!({"purposes": []})),
        ("/set/purposes".into(), "widens")
    );
    assert_eq!(
        set(json!({"purposes": null})),
        ("/set/purposes".into(), "widens")
    );
    assert_eq!(
        set(json!({"purposes": ["other"]})),
        ("/set/purposes".into(), "unknown_purpose")
    );
    assert_eq!(
        set(json!({"shared_with": ["canary"]})),
        ("/set/shared_with".into(), "unknown_recipient")
    );
    let purge = bench
        .vault
        .purge_records(&bench.support(), &change("notes", Value::Null));
    assert!(matches!(purge, Err(Refusal::Invalid(_))));
}
