//! A call that is sent again, with an idempotency key, over restarts and kills.
//!
//! Counts as failure: a change that happens twice, an answer that differs from the first, one that is
//! given for another call, to another caller or about an erased person, and a text of the test in the
//! files.

#![allow(dead_code, reason = "the bench serves more than one file of tests")]

mod people;

use people::{Answer, Bench, HOUR, operation};
use serde_json::{Value, json};

fn append(bench: &Bench, key: &str, subject: &str, name: &str, text: &str) -> Answer {
    let path = format!("/v1/subjects/{subject}/records/messages");
    bench.once(key, &path, name, &json!({"from": "user", "text": text}))
}

#[test]
fn the_same_call_gets_the_same_answer_after_a_restart_and_happens_once() {
    let bench = Bench::new();
    let (bot, other) = (bench.key("bot"), bench.key("bot"));
    let made = json!({"channel": "web", "user": "ann"});
    let created = bench.once(&bot, "/v1/subjects", "make", &made);
    assert_eq!((created.status, created.replayed), (201, false));
    let ann = created.body["subject"].as_str().expect("an id").to_owned();
    let first = append(&bench, &bot, &ann, "k1", "one");
    assert_eq!((first.status, first.replayed), (201, false));
    let at_once = append(&bench, &bot, &ann, "k1", "one");
    assert!(at_once.replayed && at_once.body == first.body);
    let bench = bench.restarted();
    let again = append(&bench, &bot, &ann, "k1", "one");
    assert_eq!((again.status, again.replayed), (201, true));
    assert_eq!(again.body, first.body);
    let again = bench.once(&bot, "/v1/subjects", "make", &made);
    assert_eq!((again.status, again.replayed), (201, true));
    assert_eq!(again.body, created.body);
    // Another body, another purpose, and another caller.
    let mismatch = append(&bench, &bot, &ann, "k1", "two");
    assert_eq!(mismatch.code(), (409, "idempotency_mismatch"));
    let path = format!("/v1/subjects/{ann}/records/messages");
    let revision = [("idempotency-key", "k1"), ("if-match", "*")];
    let mismatch = bench.send(
        &bot,
        "POST",
        &path,
        &revision,
        &json!({"from": "user", "text": "one"}),
    );
    assert_eq!(mismatch.code(), (409, "idempotency_mismatch"));
    let others = append(&bench, &other, &ann, "k1", "one");
    assert_eq!((others.status, others.replayed), (201, false));
    assert_ne!(others.body, first.body);
    assert_eq!(bench.messages(&bot, &ann), ["one", "one"]);
}

#[test]
fn a_kill_after_the_commit_leaves_the_answer_and_one_before_it_leaves_nothing() {
    let bench = Bench::new();
    let bot = bench.key("bot");
    let ann = bench.person(&bot, "ann");
    let before = bench.killed();
    // The answer is lost with the process.
    let lost = append(&bench, &bot, &ann, "k1", "one");
    let after = bench.killed();
    let again = append(&after, &bot, &ann, "k1", "one");
    assert_eq!((again.status, again.replayed), (201, true));
    assert_eq!(again.body, lost.body);
    assert_eq!(after.messages(&bot, &ann), ["one"]);
    let made = append(&before, &bot, &ann, "k1", "one");
    assert_eq!((made.status, made.replayed), (201, false));
    assert_eq!(before.messages(&bot, &ann), ["one"]);
}

#[test]
fn a_day_later_it_is_a_new_call_before_the_sweeper_and_after_it() {
    use vault_core::vault::Sweep;
    let bench = Bench::new();
    let bot = bench.key("bot");
    let ann = bench.person(&bot, "ann");
    append(&bench, &bot, &ann, "k1", "one");
    bench.clock.advance(24 * HOUR - 1);
    assert!(append(&bench, &bot, &ann, "k1", "one").replayed);
    bench.clock.advance(1);
    let new = append(&bench, &bot, &ann, "k1", "one");
    assert_eq!((new.status, new.replayed), (201, false));
    assert_eq!(bench.messages(&bot, &ann), ["one", "one"]);
    bench.clock.advance(48 * HOUR);
    while bench.vault.sweep(Sweep::Due).expect("sweeps") {}
    let bench = bench.restarted();
    assert_eq!(bench.messages(&bot, &ann), ["one", "one"]);
    assert!(!append(&bench, &bot, &ann, "k1", "one").replayed);
}

#[test]
fn an_erased_persons_answer_is_gone_with_them_even_for_the_same_call() {
    let bench = Bench::new();
    let (bot, dpo) = (bench.key("bot"), bench.key("dpo"));
    let (ann, ben) = (bench.person(&bot, "ann"), bench.person(&bot, "ben"));
    append(&bench, &bot, &ann, "k1", "one");
    let kept = append(&bench, &bot, &ben, "k2", "one");
    let erased = bench.call(&dpo, "DELETE", &format!("/v1/subjects/{ann}"), Value::Null);
    assert_eq!(erased.status, 200);
    assert_eq!(
        append(&bench, &bot, &ann, "k1", "one").code(),
        (410, "erased")
    );
    let bench = bench.restarted();
    assert_eq!(
        append(&bench, &bot, &ann, "k1", "one").code(),
        (410, "erased")
    );
    let again = append(&bench, &bot, &ben, "k2", "one");
    assert!(again.replayed && again.body == kept.body);
}

#[test]
fn a_session_repeats_its_own_call_without_being_charged_and_a_session_itself_is_shown_once() {
    let bench = Bench::new();
    let bot = bench.key("bot");
    let ann = bench.person(&bot, "ann");
    let path = format!("/v1/subjects/{ann}/sessions");
    let given = json!({"purpose": "support", "fields": ["messages.*"], "reads": 0, "writes": 1});
    let begun = bench.once(&bot, &path, "s1", &given);
    assert_eq!(begun.status, 201);
    let token = begun.body["token"].as_str().expect("a token").to_owned();
    let second = bench.once(&bot, &path, "s2", &given);
    let second = second.body["token"].as_str().expect("a token").to_owned();
    let bench = bench.restarted();
    let shown = bench.once(&bot, &path, "s1", &given);
    assert_eq!(shown.code(), (409, "conflict"));
    let first = append(&bench, &token, "self", "k1", "one");
    assert_eq!((first.status, first.replayed), (201, false));
    let bench = bench.restarted();
    // Its one write is spent, and the answer to it is still there.
    let again = append(&bench, &token, "self", "k1", "one");
    assert!(again.replayed && again.body == first.body);
    assert_eq!(append(&bench, &token, "self", "k2", "two").status, 403);
    // Another session of the same maker has names of its own.
    assert!(!append(&bench, &second, "self", "k1", "one").replayed);
}

#[test]
fn a_batch_that_is_sent_again_is_answered_as_before_and_its_reads_are_read_anew() {
    let bench = Bench::new();
    let (bot, dpo) = (bench.key("bot"), bench.key("dpo"));
    let dee = bench.person(&bot, "dee");
    let profile = |subject: &str| format!("/v1/subjects/{subject}/records/profile");
    let consent = format!("/v1/subjects/{dee}/consents/newsletter");
    let operations = json!({"operations": [
        operation("POST", "/v1/subjects", json!({"channel": "web", "user": "cor"})),
        operation("PATCH", &profile("$0.subject"), json!({"name": "Cor"})),
        operation("PATCH", &profile(&dee), json!({"name": "Dee", "email": "dee@example.test"})),
        operation("PUT", &consent, json!({"given": true, "notice": "n1"})),
        {"method": "GET", "path": format!("{}?fields=email", profile(&dee)), "purpose": "newsletter"},
    ]});
    let first = bench.once(&bot, "/v1/batch", "b1", &operations);
    assert_eq!(
        (first.statuses(), first.replayed),
        (vec![201, 200, 200, 200, 200], false)
    );
    let bench = bench.restarted();
    let again = bench.once(&bot, "/v1/batch", "b1", &operations);
    assert!(again.replayed);
    assert_eq!(again.body, first.body);
    // What is read is decided anew: consent has gone since. What was changed stays answered.
    bench.call(&bot, "DELETE", &consent, Value::Null);
    let again = bench.once(&bot, "/v1/batch", "b1", &operations);
    assert_eq!(again.statuses(), [201, 200, 200, 200, 403]);
    let mut others = operations.clone();
    others["operations"][1]["body"]["name"] = "Corrie".into();
    let mismatch = bench.once(&bot, "/v1/batch", "b1", &others);
    assert_eq!(mismatch.code(), (409, "idempotency_mismatch"));
    // In another process each person's part says so.
    let bench = bench.restarted();
    let mismatch = bench.once(&bot, "/v1/batch", "b1", &others);
    assert_eq!(mismatch.statuses()[..2], [409, 424]);
    // One person is erased: the other's part is still answered.
    let cor = first.result(0)["subject"]
        .as_str()
        .expect("an id")
        .to_owned();
    bench.call(&dpo, "DELETE", &format!("/v1/subjects/{cor}"), Value::Null);
    let again = bench.once(&bot, "/v1/batch", "b1", &operations);
    assert_eq!(again.statuses(), [410, 424, 200, 200, 403]);
}

#[test]
fn nothing_of_a_call_or_its_name_stands_in_the_files() {
    const CANARY: &str = "canaryanna";
    let bench = Bench::new();
    let bot = bench.key("bot");
    let ann = bench.person(&bot, "ann");
    let answer = append(&bench, &bot, &ann, CANARY, CANARY);
    let record = answer.body["record"].as_str().expect("an id").to_owned();
    let consent = json!({"given": true, "notice": CANARY, "choice": CANARY});
    let put = operation(
        "PUT",
        &format!("/v1/subjects/{ann}/consents/newsletter"),
        consent,
    );
    let name = format!("{CANARY} again");
    let batch = bench.once(&bot, "/v1/batch", &name, &json!({"operations": [put]}));
    assert_eq!(batch.statuses(), [200]);
    let home = bench.home.path().to_owned();
    bench.vault.close();
    let mut read = 0;
    for part in ["v", "v-anchor"] {
        for entry in std::fs::read_dir(home.join(part)).expect("a directory") {
            let bytes = std::fs::read(entry.expect("an entry").path()).expect("reads");
            read += bytes.len();
            for text in [CANARY, &record] {
                let found = bytes.windows(text.len()).any(|w| w == text.as_bytes());
                assert!(!found, "{text} stands in {part}");
            }
        }
    }
    assert!(read > 1 << 20);
}

#[test]
fn a_person_has_at_most_256_answers_and_the_oldest_go_first() {
    let bench = Bench::new();
    let bot = bench.key("bot");
    let ann = bench.person(&bot, "ann");
    for number in 0..257 {
        bench.clock.advance(1);
        append(&bench, &bot, &ann, &format!("k{number}"), "one");
    }
    assert!(append(&bench, &bot, &ann, "k256", "one").replayed);
    assert!(append(&bench, &bot, &ann, "k64", "one").replayed);
    assert!(!append(&bench, &bot, &ann, "k63", "one").replayed);
}
