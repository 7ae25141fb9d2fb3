//! P6: the entry of a read is on the disk before the value leaves, or the value does not leave.
//!
//! Failure is a value in somebody's hands whose entry is not in the journal, whichever way it was read.

use super::*;

/// Every way to read, each with what looks at the value on its way out; how it ended.
fn every_read(
    scene: &Scene,
    out: &mut dyn FnMut(&'static str),
) -> Vec<(&'static str, Result<(), Refusal>)> {
    let (vault, who) = (&scene.bench.vault, scene.ann);
    let support = call(&scene.bot, Some("support"));
    let mut ended = Vec::new();
    let options = ReadOptions::default();
    let single = vault.read_single(&support, who, "profile", &options, |_, _| out("one"));
    ended.push(("one", single));
    let list = ListOptions {
        read: ReadOptions::default(),
        limit: 10,
        order: Order::Oldest,
        cursor: None,
    };
    let many = vault.list(&support, who, "messages", &list, |_| out("many"));
    ended.push(("many", many));
    let group = Group {
        changes: false,
        subject: Some(who),
        once: None,
    };
    let together = vault.together::<()>(&support, group, move |desk, _| {
        let options = ReadOptions::default();
        desk.read_single(who, "profile", &options)
            .map(drop)
            .map_err(drop)
    });
    if together.is_ok() {
        out("together");
    }
    ended.push(("together", together.map(drop)));
    let old_enough = vault.ask(&support, who, "profile.birth", &json!({"age_at_least": 18}));
    if old_enough.is_ok() {
        out("question");
    }
    ended.push(("question", old_enough.map(drop)));
    let found = vault.lookup_channel(&support, "web", "ann");
    if found.is_ok() {
        out("look-up");
    }
    ended.push(("look-up", found.map(drop)));
    let nightly = call(&scene.nightly, Some("support"));
    let input = QueryInput {
        collection: "profile".into(),
        fields: None,
        conditions: json!({}),
        part: QueryPart::Fields,
        names: None,
        limit: None,
        cursor: None,
    };
    let queried = vault.query(&nightly, input).and_then(|mut query| {
        while vault.query_step(&mut query, &mut |_| out("query"))? == Step::More {}
        Ok(())
    });
    ended.push(("query", queried));
    ended
}

/// A person, and those who read of them: their keys are made before anything breaks.
struct Scene {
    bench: Bench,
    ann: SubjectId,
    bot: Principal,
    nightly: Principal,
}

fn scene() -> Scene {
    let bench = Bench::new();
    let nightly = "\n[roles.nightly]\npurposes = [\"support\"]\n\
        read = { \"profile.*\" = \"full\" }\nmay = [\"records.bulk\"]\n";
    let keeper = bench.vault.keyholder();
    let source = format!("{SAMPLE}{nightly}");
    bench
        .vault
        .apply_policy(&call(&keeper, None), &source, false)
        .unwrap();
    let bot = bench.role("bot");
    let support = call(&bot, Some("support"));
    let (ann, _) = bench.vault.create_subject(&support, "web", "ann").unwrap();
    let body = object(json!({"name": "Ann Invented", "birth": "1990-02-03"}));
    bench
        .vault
        .patch_single(&support, ann, "profile", body, None)
        .unwrap();
    let said = object(json!({"from": "person", "text": "hello"}));
    bench
        .vault
        .append(&support, ann, "messages", vec![said])
        .unwrap();
    let nightly = bench.role("nightly");
    Scene {
        bench,
        ann,
        bot,
        nightly,
    }
}

#[test]
fn p6_the_entry_is_in_the_journal_when_the_value_is_handed_over() {
    let scene = scene();
    let bench = &scene.bench;
    let entries = || {
        let (_, pending) = bench.vault.engine.journal_figures();
        pending + bench.vault.engine.snapshot().unwrap().state().audit_next
    };
    let (mut before, mut left) = (entries(), Vec::new());
    let ended = every_read(&scene, &mut |what| {
        let now = entries();
        assert!(now > before, "{what}");
        before = now;
        left.push(what);
    });
    assert!(ended.iter().all(|(_, result)| result.is_ok()), "{ended:?}");
    assert_eq!(left.len(), ended.len());
}

#[test]
fn p6_without_an_entry_no_value_leaves() {
    let scene = scene();
    let bench = &scene.bench;
    bench.vault.engine.break_journal();
    let mut left = Vec::new();
    let ended = every_read(&scene, &mut |what| left.push(what));
    assert!(left.is_empty(), "{left:?}");
    for (what, result) in ended {
        assert!(
            matches!(result, Err(Refusal::Internal(_))),
            "{what}: {result:?}"
        );
    }
}
