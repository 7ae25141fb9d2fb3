//! What one call was given, shown with another: revisions, cursors, idempotency keys, references of a
//! batch, sessions that are over.

use serde_json::{Value, json};

use super::bench::{Bench, Sent, done};
use super::calls::operation;

fn etag(bench: &Bench, key: &str, path: &str) -> String {
    let record = bench.done(key, "PATCH", path, json!({}));
    format!("\"{}\"", record["etag"].as_str().unwrap())
}

#[test]
fn a_revision_of_another_record_opens_no_door() {
    let bench = Bench::new();
    let all = bench.key("all", &[]);
    let (ann, eve) = (
        bench.person(&all, "web", "ann"),
        bench.person(&all, "sms", "eve"),
    );
    let profile = |id: &str| format!("/v1/subjects/{id}/records/profile");
    let message = |id: &str, record: &str| format!("/v1/subjects/{id}/records/messages/{record}");
    let of_eve = etag(&bench, &all, &profile(&eve.id));
    let of_her_message = etag(&bench, &all, &message(&eve.id, &eve.record));
    let before = bench.database();
    let name = Sent::Json(json!({"name": "X"}));
    let text = Sent::Json(json!({"text": "X"}));
    let blob = format!("/v1/subjects/{}/blobs/profile/photo", ann.id);
    for revision in [&of_eve, &of_her_message] {
        for (method, path, body) in [
            ("PATCH", profile(&ann.id), &name),
            ("PATCH", message(&ann.id, &ann.record), &text),
            ("DELETE", message(&ann.id, &ann.record), &Sent::Nothing),
            ("PUT", blob.clone(), &Sent::Bytes("image/png", "x".into())),
            ("DELETE", blob.clone(), &Sent::Nothing),
        ] {
            let answer = bench.send(&all, method, &path, &[("if-match", revision)], body);
            assert_eq!(answer.status, 412, "{method} {path} {answer:?}");
            assert_eq!(done(&before, &bench.database()), Vec::<String>::new());
        }
    }
    let own = etag(&bench, &all, &profile(&ann.id));
    let answer = bench.send(
        &all,
        "PATCH",
        &profile(&ann.id),
        &[("if-match", &own)],
        &name,
    );
    assert_eq!(answer.status, 200, "the control");
}

#[test]
fn a_cursor_is_good_for_its_caller_its_list_and_its_hour_alone() {
    let bench = Bench::new();
    let (all, other) = (bench.key("all", &[]), bench.key("all", &[]));
    let (ann, eve) = (
        bench.person(&all, "web", "ann"),
        bench.person(&all, "sms", "eve"),
    );
    for person in [&ann, &eve] {
        let path = format!("/v1/subjects/{}/records/messages", person.id);
        bench.done(
            &all,
            "POST",
            &path,
            json!([{"text": "two"}, {"text": "three"}]),
        );
    }
    let list = |who: &str, more: &str| format!("/v1/subjects/{who}/records/messages?limit=1{more}");
    let page = bench.done(&all, "GET", &list(&ann.id, ""), Value::Null);
    let next = format!("&cursor={}", page["next"].as_str().unwrap());
    let before = bench.database();
    let wrong = |key: &str, path: String| {
        let answer = bench.call(key, "GET", &path, Value::Null);
        assert_eq!(answer.code(), (422, "invalid".into()), "{path}");
    };
    wrong(&other, list(&ann.id, &next));
    wrong(&ann.token, list("self", &next));
    wrong(&all, list(&eve.id, &next));
    wrong(&all, list(&ann.id, &format!("{next}&order=newest")));
    wrong(&all, list(&ann.id, &next[..next.len() - 2]));
    let ok = bench.done(&all, "GET", &list(&ann.id, &next), Value::Null);
    assert_eq!(ok["records"][0]["fields"]["text"], "two", "the control");
    // Over many people, too.
    let query = |key: &str, body: Value| bench.call(key, "POST", "/v1/records/query", body);
    let first = query(&all, json!({"collection": "messages", "limit": 1}));
    let end: Value = serde_json::from_str(first.text.trim().lines().last().unwrap()).unwrap();
    let next_of_all = end["next"].as_str().unwrap();
    let with = |more: Value| {
        let mut body = json!({"collection": "messages", "limit": 1, "cursor": next_of_all});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    assert_eq!(query(&other, with(json!({}))).status, 422);
    assert_eq!(
        query(&all, with(json!({"where": {"source": "eve"}}))).status,
        422
    );
    assert_eq!(query(&all, with(json!({"meta": "with"}))).status, 422);
    assert_eq!(query(&all, with(json!({}))).status, 200, "the control");
    assert_eq!(done(&before, &bench.database()), Vec::<String>::new());
    bench.clock.advance(2 * 3_600_000);
    wrong(&all, list(&ann.id, &next));
    assert_eq!(query(&all, with(json!({}))).status, 422, "over");
}

#[test]
fn an_idempotency_key_recalls_nothing_to_another_caller_or_about_another_person() {
    let bench = Bench::new();
    let (all, other) = (bench.key("all", &[]), bench.key("all", &[]));
    let bound = bench.key("all", &["web"]);
    let (ann, eve) = (
        bench.person(&all, "web", "ann"),
        bench.person(&all, "sms", "eve"),
    );
    let path = |who: &str| format!("/v1/subjects/{who}/records/messages");
    let sent = Sent::Json(json!({"text": "once"}));
    let again = [("idempotency-key", "the same name")];
    let post = |key: &str, path: &str| bench.send(key, "POST", path, &again, &sent);
    let first = post(&all, &path(&eve.id));
    assert_eq!(first.status, 201);
    assert_eq!(
        post(&all, &path(&eve.id)).json(),
        first.json(),
        "the control: it is recalled"
    );
    // Another caller's key of the same name is another call.
    let others = post(&other, &path(&eve.id));
    assert!(others.status == 201 && others.json() != first.json());
    let before = bench.database();
    let (denied, session) = (
        post(&bound, &path(&eve.id)),
        post(&ann.token, &path(&eve.id)),
    );
    assert_eq!((denied.status, session.status), (404, 404));
    // The same caller's, about somebody else, is a mistake and tells nothing of the first.
    let mismatch = post(&all, &path(&ann.id));
    assert_eq!(mismatch.code(), (409, "idempotency_mismatch".into()));
    assert!(!mismatch.text.contains("rec_") && !mismatch.text.contains("sub_"));
    let batch = Sent::Json(json!({"operations": [operation(&ann)]}));
    assert_eq!(
        bench.send(&all, "POST", "/v1/batch", &again, &batch).status,
        409
    );
    assert_eq!(done(&before, &bench.database()), Vec::<String>::new());
    // What was answered to a session is its own.
    let own = post(&eve.token, &path("self"));
    assert!(own.status == 201 && own.json() != first.json());
}

#[test]
fn a_reference_carries_nothing_from_one_person_to_another_that_the_caller_may_not_know() {
    let bench = Bench::new();
    let all = bench.key("all", &[]);
    let bound = bench.key("all", &["web"]);
    let (ann, eve) = (
        bench.person(&all, "web", "ann"),
        bench.person(&all, "sms", "eve"),
    );
    let write = |who: &str, text: &str| {
        json!({"method": "POST", "purpose": "support",
        "path": format!("/v1/subjects/{who}/records/messages"), "body": {"text": text}})
    };
    let batch = |key: &str, operations: &[Value]| {
        let answer = bench.call(key, "POST", "/v1/batch", json!({"operations": operations}));
        assert_eq!(answer.status, 200, "{answer:?}");
        let results = answer.json()["results"].as_array().unwrap().clone();
        let statuses: Vec<u64> = results
            .iter()
            .map(|one| one["status"].as_u64().unwrap())
            .collect();
        (statuses, answer.text)
    };
    let by_phone = json!({"method": "POST", "path": "/v1/subjects/lookup",
        "body": {"field": "profile.phone", "value": eve.phone}});
    let before = bench.database();
    // Found through another, read through a reference, written into one's own: none of it.
    for (key, operations) in [
        (&bound, vec![by_phone.clone(), write(&ann.id, "$0.subject")]),
        (&bound, vec![by_phone.clone(), write("$0.subject", "x")]),
        (&bound, vec![operation(&eve), write(&ann.id, "$0.fields")]),
        (&bound, vec![operation(&eve), write(&ann.id, "$0.etag")]),
        (
            &ann.token,
            vec![operation(&eve), write("self", "$0.fields")],
        ),
        (
            &ann.token,
            vec![write(&eve.id, "x"), write("self", "$0.record")],
        ),
        (&ann.token, vec![by_phone, write("$0.subject", "x")]),
    ] {
        let (statuses, text) = batch(key, &operations);
        assert!(
            statuses.iter().all(|status| (400..500).contains(status)),
            "{text}"
        );
        assert!(!text.contains("eve") && !text.contains(&eve.id), "{text}");
    }
    let changed = done(&before, &bench.database());
    assert_eq!(changed, Vec::<String>::new());
    // One's own group is not lost for another's.
    let (statuses, _) = batch(&bound, &[write(&eve.id, "x"), write(&ann.id, "mine")]);
    assert_eq!(statuses, [404, 201]);
    let (statuses, text) = batch(&all, &[operation(&eve), operation(&ann)]);
    assert!(
        statuses == [200, 200] && text.contains("eve Example"),
        "the control"
    );
}

#[test]
fn a_session_that_was_ended_or_made_for_another_opens_nothing_again() {
    let bench = Bench::new();
    let all = bench.key("all", &[]);
    let (ann, eve) = (
        bench.person(&all, "web", "ann"),
        bench.person(&all, "sms", "eve"),
    );
    // A token is person, session and secret: none goes with another's.
    let decode = |token: &str| {
        data_encoding::BASE64URL_NOPAD
            .decode(&token.as_bytes()[3..])
            .unwrap()
    };
    let (of_ann, of_eve) = (decode(&ann.token), decode(&eve.token));
    let forged = |parts: [&[u8]; 3]| {
        format!(
            "vs_{}",
            data_encoding::BASE64URL_NOPAD.encode(&parts.concat())
        )
    };
    let read = |token: &str| {
        bench
            .call(
                token,
                "GET",
                "/v1/subjects/self/records/profile",
                Value::Null,
            )
            .status
    };
    let whole = forged([&of_ann[..16], &of_ann[16..32], &of_ann[32..]]);
    assert_eq!(read(&whole), 200, "the control");
    for token in [
        forged([&of_eve[..16], &of_ann[16..32], &of_ann[32..]]),
        forged([&of_ann[..16], &of_eve[16..32], &of_ann[32..]]),
        forged([&of_ann[..16], &of_ann[16..32], &of_eve[32..]]),
        forged([&of_eve[..16], &of_eve[16..32], &of_ann[32..]]),
    ] {
        assert_eq!(read(&token), 401);
    }
    let end = format!("/v1/subjects/{}/sessions/{}", ann.id, ann.session);
    bench.done(&all, "DELETE", &end, Value::Null);
    assert_eq!((read(&ann.token), read(&eve.token)), (401, 200));
}
