//! People who do not exist: they answer as anybody does, and whoever meets one is noticed.
//!
//! Failure is a meeting without an alarm, an alarm without a meeting, or anything by which a caller, or
//! somebody with the files, can tell them from others.

use parking_lot::Mutex;

use super::*;
use crate::vault::{BreachInput, BreachVector, CountInput};

const HONEY: &str = r#"
[honey]
left_out_for = ["nightly"]

[honey.people.lena]
channel = "web"
user = "u-77123"
[honey.people.lena.values]
profile = { name = "Lena Invented", email = "lena@example.test", birth = "1991-05-06" }
messages = [{ from = "person", text = "Hello?" }, { from = "bot", text = "How can I help?" }]

[roles.nightly]
purposes = ["support"]
read = { "profile.name" = "full" }
write = ["profile.*"]
may = ["records.bulk", "records.purge"]

[roles.analyst]
purposes = ["support"]
read = { "profile.name" = "full" }
may = ["records.bulk"]
"#;

fn policy() -> String {
    format!("{SAMPLE}{HONEY}")
}

#[derive(Default)]
struct Ears(Mutex<Vec<HoneyAlarm>>);

impl Alarms for Ears {
    fn honey(&self, alarm: &HoneyAlarm) {
        self.0.lock().push(alarm.clone());
    }

    fn emergency(&self, _: &crate::vault::EmergencyAlarm) {}

    fn request(&self, _: &crate::vault::RequestAlarm) {}

    fn pickup(&self, _: &crate::vault::PickupAlarm) {}

    fn unwatched_request(&self, _: crate::id::RequestId, _: &Refusal) {}
}

impl Ears {
    fn on(bench: &Bench) -> Arc<Self> {
        let ears = Arc::new(Self::default());
        bench.vault.on_alarm(ears.clone());
        ears
    }

    /// What was heard since the last time: role, action, outcome.
    fn heard(&self) -> Vec<String> {
        let alarms = std::mem::take(&mut *self.0.lock());
        let told = |a: &HoneyAlarm| {
            assert_eq!(a.person, "lena");
            format!("{} {} {}", a.role, a.action, a.outcome)
        };
        alarms.iter().map(told).collect()
    }
}

fn support(by: &Principal) -> Call<'_> {
    call(by, Some("support"))
}

/// Somebody real with the same values, by the side of the one who is not.
fn ann(bench: &Bench) -> SubjectId {
    let bot = bench.role("bot");
    let vault = &bench.vault;
    let (ann, _) = vault
        .create_subject(&support(&bot), "web", "u-77124")
        .unwrap();
    let body = object(
        json!({"name": "Annb Invented", "email": "annb@example.test",
        "birth": "1991-05-06"}),
    );
    vault
        .patch_single(&support(&bot), ann, "profile", body, None)
        .unwrap();
    let said = |from, text| object(json!({"from": from, "text": text}));
    for body in [said("person", "Hello!"), said("bot", "How can I help?")] {
        vault
            .append(&support(&bot), ann, "messages", vec![body])
            .unwrap();
    }
    ann
}

/// The planted person, found by somebody who may.
fn lena(bench: &Bench) -> SubjectId {
    let bot = bench.role("bot");
    bench
        .vault
        .lookup_channel(&support(&bot), "web", "u-77123")
        .unwrap()
}

/// Everything that may be done about one person, each as alone at a desk or at the vault; how it ended.
fn all_of(bench: &Bench, who: SubjectId, user: &str, email: &str) -> Vec<(&'static str, String)> {
    let vault = &bench.vault;
    let (bot, agent, legal) = (bench.role("bot"), bench.role("agent"), bench.role("legal"));
    let mut ended = Vec::new();
    let mut note = |what, result: Result<String, Refusal>| {
        ended.push((what, result.unwrap_or_else(|refusal| refusal.code().into())));
    };
    let alone = |by: &Principal,
                 f: &mut dyn FnMut(&mut Desk<'_, '_>) -> Result<String, Refusal>| {
        // A desk's closure outlives its caller; what it does is told by a channel.
        let snapshot = vault.snapshot()?;
        let policy = vault.policy_of(&snapshot)?;
        let context = super::super::call::Context::new(&support(by));
        let ground = super::super::desk::Ground::Snapshot(&snapshot);
        let mut desk = Desk::new(ground, policy, context.clone(), &vault.memory, None);
        let result = f(&mut desk);
        let left = desk.leave();
        left.met
            .into_iter()
            .for_each(|met| vault.alarm(&context, met));
        result
    };
    let email = json!(email);
    note(
        "look-up by channel",
        vault
            .lookup_channel(&support(&bot), "web", user)
            .map(|_| "found".into()),
    );
    note(
        "look-up by field",
        vault
            .lookup_field(&support(&bot), "profile.email", &email)
            .map(|_| "found".into()),
    );
    note(
        "create",
        vault
            .create_subject(&support(&bot), "web", user)
            .map(|(_, new)| new.to_string()),
    );
    note(
        "desk: look-up",
        alone(&bot, &mut |desk| {
            desk.lookup_channel("web", user).map(|_| "found".into())
        }),
    );
    note(
        "view",
        vault
            .view_subject(&support(&agent), who)
            .map(|view| format!("{:?}", view.collections)),
    );
    note(
        "desk: view refused",
        alone(&bot, &mut |desk| {
            desk.view_subject(who).map(|_| String::new())
        }),
    );
    note(
        "read",
        profile(vault, &support(&bot), who, Some(&["birth"])).map(|(fields, _)| fields.to_string()),
    );
    note(
        "read refused",
        profile(vault, &support(&agent), who, Some(&["birth"])).map(|_| String::new()),
    );
    note(
        "read for another purpose",
        profile(
            vault,
            &call(&bot, Some("newsletter")),
            who,
            Some(&["email"]),
        )
        .map(|_| String::new()),
    );
    let list = ListOptions {
        read: ReadOptions::default(),
        limit: 10,
        order: Order::Oldest,
        cursor: None,
    };
    note(
        "list",
        vault.list(&support(&bot), who, "messages", &list, |page| {
            page.records.len().to_string()
        }),
    );
    note(
        "ask",
        vault
            .ask(
                &support(&bot),
                who,
                "profile.birth",
                &json!({"age_at_least": 18}),
            )
            .map(|yes| yes.to_string()),
    );
    let body = || object(json!({"name": "Somebody Else"}));
    note(
        "write",
        vault
            .patch_single(&support(&bot), who, "profile", body(), None)
            .map(|_| "written".into()),
    );
    note(
        "write refused",
        vault
            .patch_single(&support(&agent), who, "profile", body(), None)
            .map(|_| String::new()),
    );
    let session = SessionInput {
        purpose: "support".into(),
        fields: vec!["profile.name".into()],
        reads: 2,
        writes: 0,
        expires_in: None,
    };
    let begun = vault.begin_session(&support(&bot), who, session);
    if let Ok(begun) = &begun {
        let own = vault.authenticate(&begun.token).unwrap();
        note(
            "session reads",
            profile(vault, &call(&own, None), who, Some(&["name"]))
                .map(|(fields, _)| fields.to_string()),
        );
    }
    note("session begun", begun.map(|_| "begun".into()));
    note(
        "erase refused",
        vault
            .erase_subject(&support(&legal), who)
            .map(|_| String::new()),
    );
    ended
}

#[test]
fn every_kind_of_access_raises_one_alarm_also_in_vain_and_is_answered_as_for_anybody() {
    let bench = Bench::of(&policy());
    let ann = ann(&bench);
    let lena = lena(&bench);
    let ears = Ears::on(&bench);
    // The control first: the same calls about somebody real raise none.
    let anns = all_of(&bench, ann, "u-77124", "annb@example.test");
    assert_eq!(ears.heard(), Vec::<String>::new());
    let before = bench.vault.honey_accesses();
    let lenas = all_of(&bench, lena, "u-77123", "lena@example.test");
    assert_eq!(lenas, anns, "an intruder sees no difference");
    let heard = ears.heard();
    assert_eq!(
        heard,
        [
            "bot subjects.lookup ok",
            "bot subjects.lookup ok",
            "bot subjects.create ok",
            "bot subjects.lookup ok",
            "agent subjects.view ok",
            "bot subjects.view role_denied",
            "bot records.read ok",
            "agent records.read role_denied",
            "bot records.read consent_required",
            "bot records.list ok",
            "bot subjects.ask ok",
            "bot records.patch ok",
            "agent records.patch role_denied",
            "bot sessions.create ok",
            "bot records.read ok",
            "legal subjects.erase role_denied",
        ]
    );
    assert_eq!(bench.vault.honey_accesses() - before, heard.len() as u64);
    // Each stands in the log, under the call's id and without a tag; her own ledger tells of none.
    let auditor = bench.role("auditor");
    let query = AuditQuery {
        last: 1_000,
        action: Some("honey.accessed".into()),
        ..AuditQuery::default()
    };
    bench.clock.advance(1);
    bench
        .vault
        .create_subject(&support(&bench.role("bot")), "web", "x")
        .unwrap();
    let page = bench.vault.audit(&call(&auditor, None), &query).unwrap();
    assert_eq!(
        page.entries.len(),
        heard.len() + 1,
        "and the look-up before we listened"
    );
    assert!(
        page.entries
            .iter()
            .all(|one| one.entry.get("subject").is_none())
    );
    let dpo = bench.role("dpo");
    let ledger = AccessQuery {
        limit: 1_000,
        ..AccessQuery::default()
    };
    let page = bench
        .vault
        .access(&call(&dpo, None), lena, &ledger)
        .unwrap();
    assert!(
        page.accesses
            .iter()
            .all(|one| !one.action.contains("honey"))
    );
    assert_eq!(ears.heard(), ["dpo subjects.access ok"]);
}

#[test]
fn one_who_is_erased_is_planted_anew_and_the_old_id_still_raises_an_alarm() {
    let mut bench = Bench::of(&policy());
    let first = lena(&bench);
    let ears = Ears::on(&bench);
    let dpo = bench.role("dpo");
    bench.vault.erase_subject(&call(&dpo, None), first).unwrap();
    assert_eq!(ears.heard(), ["dpo subjects.erase ok"]);
    let refused = bench.vault.view_subject(&call(&dpo, None), first);
    assert!(matches!(refused, Err(Refusal::Erased { .. })));
    assert_eq!(ears.heard(), ["dpo subjects.view erased"]);
    bench.vault.sweep(Sweep::Due).unwrap();
    let second = lena(&bench);
    assert_ne!(first, second);
    assert_eq!(ears.heard(), ["bot subjects.lookup ok"]);
    // Over a restart they are known by nothing but the policy.
    bench.reopen();
    let ears = Ears::on(&bench);
    assert_eq!(lena(&bench), second);
    assert_eq!(ears.heard(), ["bot subjects.lookup ok"]);
    // Without the section she goes, with a receipt, and nobody is watched any more.
    let keyholder = bench.vault.keyholder();
    let plain = call(&keyholder, None);
    let people = bench.vault.status().unwrap().people;
    bench.vault.apply_policy(&plain, SAMPLE, false).unwrap();
    assert_eq!(bench.vault.status().unwrap().people, people - 1);
    let refused = bench.vault.view_subject(&plain, second);
    assert!(matches!(refused, Err(Refusal::Erased { .. })));
    assert_eq!(ears.heard(), Vec::<String>::new());
    assert_eq!(
        bench
            .vault
            .verify_log(&plain, &[], &mut |_, _| ())
            .unwrap()
            .faults
            .len(),
        0
    );
}

#[test]
fn a_real_person_is_never_made_one_who_does_not_exist() {
    let bench = Bench::new();
    let bot = bench.role("bot");
    let (real, _) = bench
        .vault
        .create_subject(&support(&bot), "web", "u-77123")
        .unwrap();
    let keyholder = bench.vault.keyholder();
    let plain = call(&keyholder, None);
    let refused = bench.vault.apply_policy(&plain, &policy(), false);
    assert!(matches!(refused, Err(Refusal::Conflict(text)) if text.contains("honey.people.lena")));
    assert!(bench.vault.view_subject(&plain, real).is_ok());
    assert_eq!(bench.vault.honey_accesses(), 0);
    // The control: under another identity she is planted by the same call.
    let other = policy().replace("u-77123", "u-9");
    bench.vault.apply_policy(&plain, &other, false).unwrap();
    assert!(
        bench
            .vault
            .lookup_channel(&support(&bot), "web", "u-9")
            .is_ok()
    );
    assert_eq!(bench.vault.honey_accesses(), 1);
}

#[test]
fn who_takes_everybody_is_noticed_once_and_the_nightly_job_neither_noticed_nor_misled() {
    let bench = Bench::of(&policy());
    let ann = ann(&bench);
    let lena = lena(&bench);
    let ears = Ears::on(&bench);
    let everybody = |role: &str, conditions: Value| {
        let by = bench.role(role);
        let input = QueryInput {
            collection: "profile".into(),
            fields: Some(vec!["name".into()]),
            conditions,
            part: QueryPart::Fields,
            names: None,
            limit: None,
            cursor: None,
        };
        let mut query = bench.vault.query(&support(&by), input).unwrap();
        let mut lines = Vec::new();
        while let Step::More = bench
            .vault
            .query_step(&mut query, &mut |more| lines.extend(more))
            .unwrap()
        {}
        bench.vault.finish_query(&query).unwrap();
        let text = String::from_utf8(lines).unwrap();
        let mut found = [ann, lena]
            .map(|who| text.contains(&who.to_string()))
            .to_vec();
        found.push(text.lines().count() == found.iter().filter(|one| **one).count());
        found
    };
    assert_eq!(everybody("analyst", json!({})), [true, true, true]);
    assert_eq!(ears.heard(), ["analyst records.query ok"]);
    assert_eq!(everybody("nightly", json!({})), [true, false, true]);
    assert_eq!(ears.heard(), Vec::<String>::new());
    // Whoever names her was looking for her, whatever the role.
    assert_eq!(
        everybody("nightly", json!({"subject": lena.to_string()})),
        [false, true, true]
    );
    assert_eq!(ears.heard(), ["nightly records.query ok"]);
    // The nightly role is nobody special to one person.
    let nightly = bench.role("nightly");
    profile(&bench.vault, &support(&nightly), lena, Some(&["name"])).unwrap();
    assert_eq!(ears.heard(), ["nightly records.read ok"]);
}

/// A breach concerns people: who does not exist is told of nowhere, nor are calls about them.
#[test]
fn a_breach_concerns_nobody_who_does_not_exist() {
    let bench = Bench::of(&policy());
    let (ann, lena) = (ann(&bench), lena(&bench));
    let (thief, bot) = (bench.role("bot"), bench.role("bot"));
    for subject in [ann, lena, lena] {
        profile(&bench.vault, &support(&thief), subject, Some(&["name"])).unwrap();
    }
    profile(&bench.vault, &support(&bot), lena, Some(&["name"])).unwrap();
    let scope = |vector| found(&bench.vault, vector);
    let of = |key: &Principal| scope(BreachVector::ApiKey(key.token().unwrap()));
    let (report, people) = of(&thief);
    assert_eq!(people, [ann]);
    assert_eq!(
        (report.people, report.reads, report.not_resolvable),
        (1, 1, 0)
    );
    let (report, people) = of(&bot);
    assert_eq!(people, []);
    assert_eq!(
        (report.reads, report.first, report.not_resolvable),
        (0, None, 0)
    );
    let (report, people) = scope(BreachVector::Files);
    assert_eq!((report.people, people), (1, vec![ann]));
}

/// Whom a breach concerns.
fn found(vault: &Vault, vector: BreachVector) -> (crate::breach::BreachReport, Vec<SubjectId>) {
    let keyholder = vault.keyholder();
    let input = BreachInput {
        vector,
        from: None,
        to: None,
    };
    let mut scope = vault
        .begin_breach_scope(&call(&keyholder, None), &input)
        .unwrap();
    let mut people = Vec::new();
    while vault.breach_step(&mut scope, &mut people).unwrap() {}
    let people = people.iter().map(|one| one.subject).collect();
    (scope.report(), people)
}

/// Calls over many people: of a count the log has not even how many, and it was one all the same; what broke off
/// has handed over what it has.
#[test]
fn a_count_of_people_and_a_query_that_broke_off_are_calls_over_many() {
    let bench = Bench::of(&policy());
    ann(&bench);
    let analyst = bench.role("analyst");
    let bulk = || {
        let token = analyst.token().unwrap();
        let (report, _) = found(&bench.vault, BreachVector::ApiKey(token));
        (report.bulk.calls, report.bulk.records, report.refused)
    };
    assert_eq!(bulk(), (0, 0, 0));
    let counted = CountInput {
        collection: "profile".into(),
        conditions: json!({}),
        by: Vec::new(),
    };
    bench
        .vault
        .count_records(&support(&analyst), &counted)
        .unwrap();
    assert_eq!(bulk(), (1, 0, 0));
    let input = QueryInput {
        collection: "profile".into(),
        fields: Some(vec!["name".into()]),
        conditions: json!({}),
        part: QueryPart::Fields,
        names: None,
        limit: None,
        cursor: None,
    };
    let mut query = bench.vault.query(&support(&analyst), input).unwrap();
    bench.vault.query_step(&mut query, &mut |_| ()).unwrap();
    bench.vault.abandon_query(&query).unwrap();
    let (calls, records, refused) = bulk();
    assert_eq!((calls, refused), (2, 0));
    assert!(records >= 1, "{records}");
}

#[test]
fn in_the_files_one_who_does_not_exist_has_the_same_rows_as_anybody() {
    let bench = Bench::of(&policy());
    let (ann, lena) = (ann(&bench), lena(&bench));
    let snapshot = bench.vault.snapshot().unwrap();
    let rows = |who: SubjectId| {
        let person = crate::person::Person::find(&snapshot, who).unwrap();
        let handle = person.entry.handle.as_bytes();
        let mut rows = Vec::new();
        for table in crate::store::Table::ALL {
            let range = crate::store::KeyRange::prefix(handle);
            let found = crate::commit::View::tx(&snapshot).range(
                table,
                &range,
                crate::store::Direction::Ascending,
                100,
            );
            let found = found.unwrap();
            rows.extend(
                found
                    .iter()
                    .map(|(key, value)| (table.number(), key.len(), value.len())),
            );
        }
        rows
    };
    let (anns, lenas) = (rows(ann), rows(lena));
    assert!(anns.len() >= 7, "{anns:?}");
    assert_eq!(anns, lenas);
}

#[test]
fn a_policy_whose_invented_people_do_not_fit_is_refused_without_their_values() {
    let wrong = [
        ("birth = \"1991-05-06\"", "birth = \"canary\"", "bad_value"),
        ("name = \"Lena", "nmae = \"Lena", "unknown_field"),
        ("messages = [{", "massages = [{", "unknown_collection"),
        ("messages = [{", "messages = [\"canary\", {", "wrong_type"),
        ("profile = {", "profile = [{", "syntax"),
        (
            "left_out_for = [\"nightly\"]",
            "left_out_for = [\"canary\"]",
            "unknown_role",
        ),
        ("left_out_for", "left_out", "unknown_key"),
        ("user = \"u-77123\"", "", "missing"),
        ("[honey.people.lena]", "[honey.people.Lena]", "bad_name"),
    ];
    assert!(crate::policy::Draft::parse(&policy()).is_ok());
    for (from, to, code) in wrong {
        let source = policy().replacen(from, to, 1);
        assert_ne!(source, policy(), "{from}");
        let findings = crate::policy::Draft::parse(&source).unwrap_err();
        let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
        assert!(codes.contains(&code), "{to}: {codes:?}");
        let text: String = findings.iter().map(ToString::to_string).collect();
        assert!(!text.contains("canary") || code == "syntax", "{text}");
    }
    let twice = format!(
        "{}\n[honey.people.other]\nchannel = \"web\"\nuser = \"u-77123\"\nvalues = {{ profile = {{ name = \"X\" }} }}\n",
        policy()
    );
    let findings = crate::policy::Draft::parse(&twice).unwrap_err();
    assert!(findings.iter().any(|finding| finding.code == "duplicate"));
}
