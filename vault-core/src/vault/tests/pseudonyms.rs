//! Pseudonyms: the same for one purpose and recipient, unlinkable otherwise, found by whoever may, and by
//! nobody once the person is gone.

use std::collections::BTreeSet;

use super::copies::Scene as Copies;
use super::*;
use crate::backup::write::Parts;
use crate::commit::View as _;
use crate::keys::system::PSEUDONYM_FIELD;
use crate::limits::PSEUDONYMS_PER_PERSON_MAX;
use crate::person::Person;
use crate::policy::{HoldGround, RestrictedUse, RestrictionGround};
use crate::pseudonym;
use crate::vault::{
    HoldInput, PseudonymIssued, QueryInput, QueryNames, QueryPart, RestrictionInput, Step,
};

const ROLES: &str = r#"
[recipients.lab]
name = "Laboratory B.V."
country = "NL"

[purposes.study]
title.en = "Studying how we answer"
title.de = "Untersuchen, wie wir antworten"
basis = "consent"
retention = { after = "withdrawal", period = "P0D" }
recipients = ["carrier", "lab"]

[roles.sender]
purposes = ["support", "newsletter", "study"]
read = { "profile.*" = "full" }
write = ["profile.*", "messages.*"]
may = ["subjects.create", "subjects.lookup", "subjects.erase", "disclosures.record", "tokens.detokenize", "consents.record", "holds.manage", "restrictions.set", "requests.decide", "keys.manage"]

[roles.analyst]
purposes = ["support"]
read = { "messages.text" = "full" }
may = ["records.bulk", "disclosures.record"]

[roles.counsel]
purposes = ["support"]
read = { "messages.text" = "full" }
may = ["records.bulk", "disclosures.record"]
restricted_use = ["legal_claims"]

[roles.lister]
purposes = ["support"]
read = { "messages.text" = "full" }
may = ["records.bulk"]

[roles.helper]
purposes = ["support"]
may = ["disclosures.record", "tokens.detokenize"]

[roles.blind]
purposes = ["support", "study"]
may = ["subjects.lookup", "subjects.view"]
"#;

struct Scene {
    bench: Bench,
    sender: Principal,
    helper: Principal,
    blind: Principal,
}

type Told<T> = Result<T, &'static str>;

fn told<T>(result: Result<T, Refusal>) -> Told<T> {
    result.map_err(|refusal| refusal.code())
}

impl Scene {
    fn new() -> Self {
        let bench = Bench::of(&format!("{SAMPLE}{ROLES}"));
        let (sender, helper, blind) = (
            bench.role("sender"),
            bench.role("helper"),
            bench.role("blind"),
        );
        Self {
            bench,
            sender,
            helper,
            blind,
        }
    }

    fn add(&self, user: &str) -> SubjectId {
        let call = call(&self.sender, Some("support"));
        let (subject, _) = self.bench.vault.create_subject(&call, "web", user).unwrap();
        subject
    }

    fn says(&self, subject: SubjectId, purpose: &str, given: bool) {
        let input = ConsentInput {
            given,
            notice: json!("n1"),
            choice: None,
            message_id: None,
            ..ConsentInput::default()
        };
        let call = call(&self.sender, None);
        let vault = &self.bench.vault;
        vault.put_consent(&call, subject, purpose, input).unwrap();
    }

    fn issue(&self, subject: SubjectId, purpose: &str, to: Option<&str>) -> Told<PseudonymIssued> {
        let call = call(&self.sender, Some(purpose));
        told(self.bench.vault.issue_pseudonym(&call, subject, to))
    }

    fn finds(&self, pseudonym: PairwiseId, purpose: &str) -> Told<SubjectId> {
        let call = call(&self.sender, Some(purpose));
        told(self.bench.vault.resolve_pseudonym(&call, pseudonym))
    }
}

fn by(vault: &Vault, who: &Principal, purpose: Option<&str>, one: PairwiseId) -> Told<SubjectId> {
    told(vault.resolve_pseudonym(&call(who, purpose), one))
}

fn never() -> PairwiseId {
    PairwiseId::generate(&mut OsEntropy)
}

#[test]
fn a_pseudonym_is_the_same_each_time_and_no_two_purposes_recipients_or_people_share_one() {
    let scene = Scene::new();
    let people = [scene.add("one"), scene.add("two")];
    let mut seen = BTreeSet::new();
    for subject in people {
        scene.says(subject, "study", true);
        for (purpose, to) in [
            ("support", None),
            ("support", Some("carrier")),
            ("study", None),
            ("study", Some("carrier")),
            ("study", Some("lab")),
        ] {
            let first = scene.issue(subject, purpose, to).unwrap();
            assert!(
                first.created && seen.insert(first.pseudonym),
                "{purpose} {to:?}"
            );
            let again = scene.issue(subject, purpose, to).unwrap();
            assert_eq!((again.pseudonym, again.created), (first.pseudonym, false));
            assert_eq!(scene.finds(first.pseudonym, purpose), Ok(subject));
        }
    }
    assert_eq!(seen.len(), 10);
}

#[test]
fn every_way_of_not_being_let_in_is_refused_and_says_nothing_of_what_there_is() {
    let scene = Scene::new();
    let (vault, subject) = (&scene.bench.vault, scene.add("one"));
    scene.says(subject, "study", true);
    let carrier = scene
        .issue(subject, "support", Some("carrier"))
        .unwrap()
        .pseudonym;
    let lab = scene
        .issue(subject, "study", Some("lab"))
        .unwrap()
        .pseudonym;
    let issues = |who: &Principal, purpose, to| {
        told(vault.issue_pseudonym(&call(who, purpose), subject, to)).map(|one| one.created)
    };
    // Who may name people: the capability, the purpose, the recipient.
    assert_eq!(
        issues(&scene.blind, Some("support"), None),
        Err("role_denied")
    );
    assert_eq!(issues(&scene.helper, None, None), Err("purpose_missing"));
    assert_eq!(
        issues(&scene.helper, Some("study"), None),
        Err("purpose_denied")
    );
    assert_eq!(
        issues(&scene.helper, Some("rights"), None),
        Err("purpose_denied")
    );
    assert_eq!(
        issues(&scene.helper, Some("support"), Some("lab")),
        Err("purpose_denied")
    );
    assert_eq!(
        issues(&scene.helper, Some("support"), Some("")),
        Err("purpose_denied")
    );
    assert_eq!(
        issues(&scene.helper, Some("support"), Some("carrier")),
        Ok(false)
    );
    // Who may find them: an existing one, one of another purpose, and one that never was.
    for one in [carrier, lab, never()] {
        assert_eq!(
            by(vault, &scene.blind, Some("support"), one),
            Err("role_denied")
        );
        assert_eq!(by(vault, &scene.helper, None, one), Err("purpose_missing"));
        assert_eq!(
            by(vault, &scene.helper, Some("study"), one),
            Err("purpose_denied")
        );
        assert_eq!(
            by(vault, &scene.helper, Some("rights"), one),
            Err("role_denied")
        );
    }
    for one in [lab, never()] {
        assert_eq!(
            by(vault, &scene.helper, Some("support"), one),
            Err("not_found")
        );
    }
    assert_eq!(
        by(vault, &scene.helper, Some("support"), carrier),
        Ok(subject)
    );
    // Whoever decides requests finds every one of them for the person's rights.
    for one in [carrier, lab] {
        assert_eq!(scene.finds(one, "rights"), Ok(subject));
    }
    assert_eq!(scene.finds(never(), "rights"), Err("not_found"));
}

#[test]
fn without_a_basis_nobody_is_named_or_found_but_for_their_rights() {
    let scene = Scene::new();
    let (vault, subject) = (&scene.bench.vault, scene.add("one"));
    assert_eq!(scene.issue(subject, "study", None), Err("consent_required"));
    scene.says(subject, "study", true);
    let study = scene.issue(subject, "study", None).unwrap().pseudonym;
    let support = scene.issue(subject, "support", None).unwrap().pseudonym;
    scene.says(subject, "study", false);
    assert_eq!(scene.finds(study, "study"), Err("consent_required"));
    assert_eq!(scene.issue(subject, "study", None), Err("consent_required"));
    assert_eq!(scene.finds(support, "support"), Ok(subject));
    let restriction = RestrictionInput {
        ground: RestrictionGround::Accuracy,
        collections: vec!["messages".into()],
        reason: None,
    };
    let sender = call(&scene.sender, None);
    // Of a part of what there is nothing follows; of everything, that nobody is to be found.
    vault
        .put_restriction(&sender, subject, restriction.clone())
        .unwrap();
    assert_eq!(scene.finds(support, "support"), Ok(subject));
    let all = RestrictionInput {
        collections: Vec::new(),
        ..restriction
    };
    vault.put_restriction(&sender, subject, all).unwrap();
    assert_eq!(scene.finds(support, "support"), Err("restricted"));
    assert_eq!(scene.issue(subject, "support", None), Err("restricted"));
    assert_eq!(scene.finds(support, "rights"), Ok(subject));
}

#[test]
fn after_an_erasure_a_pseudonym_is_as_one_that_never_was() {
    let scene = Scene::new();
    let (vault, gone, stays) = (&scene.bench.vault, scene.add("gone"), scene.add("stays"));
    let pseudonym = scene
        .issue(gone, "support", Some("carrier"))
        .unwrap()
        .pseudonym;
    let other = scene
        .issue(stays, "support", Some("carrier"))
        .unwrap()
        .pseudonym;
    vault
        .erase_subject(&call(&scene.sender, None), gone)
        .unwrap();
    let refused = |one| {
        let call = call(&scene.sender, Some("support"));
        let refusal = vault.resolve_pseudonym(&call, one).unwrap_err();
        format!("{refusal:?}")
    };
    assert_eq!(refused(pseudonym), refused(never()));
    assert_eq!(scene.finds(pseudonym, "rights"), Err("not_found"));
    assert_eq!(scene.finds(other, "support"), Ok(stays));
    assert_eq!(scene.issue(gone, "support", None), Err("erased"));
    // The index leads nowhere, whoever asks.
    let view = vault.snapshot().unwrap();
    assert!(pseudonym::hits(&view, pseudonym).unwrap().is_empty());
    assert_eq!(
        pseudonym::hits(&view, other).unwrap().len(),
        1,
        "the control"
    );
}

#[test]
fn what_a_hold_keeps_of_an_erased_person_is_no_pseudonym() {
    let scene = Scene::new();
    let (vault, subject) = (&scene.bench.vault, scene.add("one"));
    let support = call(&scene.sender, Some("support"));
    let told = object(json!({"name": "Some Body"}));
    vault
        .patch_single(&support, subject, "profile", told, None)
        .unwrap();
    let pseudonym = scene.issue(subject, "support", None).unwrap().pseudonym;
    let hold = HoldInput {
        ground: HoldGround::LegalClaims,
        collections: vec!["profile".into()],
        reason: None,
        approver: None,
        review_at: jiff::civil::date(2099, 12, 31),
    };
    let sender = call(&scene.sender, None);
    vault.put_hold(&sender, subject, hold).unwrap();
    assert_eq!(
        scene.finds(pseudonym, "support"),
        Ok(subject),
        "another collection is held"
    );
    vault.erase_subject(&sender, subject).unwrap();
    assert_eq!(scene.finds(pseudonym, "support"), Err("not_found"));
    assert_eq!(scene.finds(pseudonym, "rights"), Err("not_found"));
    let view = vault.snapshot().unwrap();
    let person = Person::find(&view, subject).unwrap();
    assert!(pseudonym::issued(&view, &person).unwrap().is_empty());
    assert!(person.keyset.lookups.is_empty());
}

/// The lines of a query in which people are called by pseudonyms.
fn rows(
    vault: &Vault,
    who: &Principal,
    to: Option<&str>,
    subject: Option<SubjectId>,
) -> Told<Vec<Value>> {
    let conditions = match subject {
        Some(subject) => json!({"subject": subject.to_string()}),
        None => json!({}),
    };
    let input = QueryInput {
        collection: "messages".into(),
        fields: Some(vec!["text".into()]),
        conditions,
        part: QueryPart::Fields,
        names: Some(QueryNames {
            recipient: to.map(Into::into),
        }),
        limit: None,
        cursor: None,
    };
    let mut query = told(vault.query(&call(who, Some("support")), input))?;
    let mut lines = Vec::new();
    while vault
        .query_step(&mut query, &mut |part| lines.extend(part))
        .unwrap()
        == Step::More
    {}
    vault.finish_query(&query).unwrap();
    let text = String::from_utf8(lines).unwrap();
    Ok(text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect())
}

#[test]
fn rows_of_many_people_come_with_pseudonyms_in_the_place_of_ids() {
    let scene = Scene::new();
    let vault = &scene.bench.vault;
    let analyst = scene.bench.role("analyst");
    let people = (0..300).map(|n| scene.add(&format!("user{n}")));
    let people: Vec<SubjectId> = people.collect();
    let support = call(&scene.sender, Some("support"));
    for (number, subject) in people.iter().enumerate() {
        let said = object(json!({"text": format!("word {number}")}));
        vault
            .append(&support, *subject, "messages", vec![said])
            .unwrap();
    }
    let known = scene.issue(people[7], "support", Some("carrier")).unwrap();
    let by_carrier = rows(vault, &analyst, Some("carrier"), None).unwrap();
    assert_eq!(
        by_carrier.len(),
        people.len(),
        "everybody, with or without a name before"
    );
    let mut names = BTreeSet::new();
    for row in &by_carrier {
        assert!(
            row.get("subject").is_none() && row.get("record").is_none(),
            "{row}"
        );
        let name: PairwiseId = row["pseudonym"].as_str().unwrap().parse().unwrap();
        let number = row["fields"]["text"].as_str().unwrap()[5..]
            .parse::<usize>()
            .unwrap();
        assert_eq!(scene.finds(name, "support"), Ok(people[number]));
        names.insert(name);
    }
    assert!(names.len() == people.len() && names.contains(&known.pseudonym));
    // The same each time, and with another recipient none of them.
    assert_eq!(
        rows(vault, &analyst, Some("carrier"), None).unwrap(),
        by_carrier
    );
    let own = rows(vault, &analyst, None, Some(people[7])).unwrap();
    let name: PairwiseId = own[0]["pseudonym"].as_str().unwrap().parse().unwrap();
    assert!(!names.contains(&name));
    // Whoever may not name people does not do so by listing them, nor to whom the purpose does not name.
    assert_eq!(
        rows(vault, &scene.bench.role("lister"), None, None),
        Err("role_denied")
    );
    assert_eq!(
        rows(vault, &analyst, Some("lab"), None),
        Err("purpose_denied")
    );
}

/// Failure is a list that breaks off at one person, for ever, or a name that was given out with nothing shown.
#[test]
fn who_can_get_no_name_is_passed_by_and_who_is_not_shown_gets_none() {
    let scene = Scene::new();
    let vault = &scene.bench.vault;
    let support = call(&scene.sender, Some("support"));
    let says = |user: &str, category: Option<&str>| {
        let subject = scene.add(user);
        let mut said = object(json!({"text": user}));
        if let Some(category) = category {
            said.insert("_meta".into(), json!({"category": category}));
        }
        vault
            .append(&support, subject, "messages", vec![said])
            .unwrap();
        subject
    };
    let users = ["plain", "full", "held"];
    let [plain, full, held] = users.map(|user| says(user, Some("kind")));
    let other = says("other", None);
    vault
        .engine
        .submit(move |txn| {
            let mut person = Person::find(txn, full)?;
            for number in 0..PSEUDONYMS_PER_PERSON_MAX {
                pseudonym::issue(txn, &mut person, 7, Some(&format!("r{number}")))?;
            }
            Ok(())
        })
        .unwrap();
    let hold = HoldInput {
        ground: HoldGround::LegalClaims,
        collections: vec!["messages".into()],
        reason: None,
        approver: None,
        review_at: jiff::civil::date(2099, 12, 31),
    };
    let sender = call(&scene.sender, None);
    vault.put_hold(&sender, held, hold).unwrap();
    vault.erase_subject(&sender, held).unwrap();

    let shown = |claim: Option<RestrictedUse>, conditions: Value, limit| {
        let counsel = scene.bench.role("counsel");
        let input = QueryInput {
            collection: "messages".into(),
            fields: Some(vec!["text".into()]),
            conditions,
            part: QueryPart::Fields,
            names: Some(QueryNames {
                recipient: Some("carrier".into()),
            }),
            limit,
            cursor: None,
        };
        let asks = Call {
            restricted_use: claim,
            ..call(&counsel, Some("support"))
        };
        let mut query = vault.query(&asks, input).unwrap();
        let mut lines = Vec::new();
        while vault
            .query_step(&mut query, &mut |part| lines.extend(part))
            .unwrap()
            == Step::More
        {}
        vault.finish_query(&query).unwrap();
        let text = String::from_utf8(lines).unwrap();
        let line =
            |line: &str| serde_json::from_str::<Value>(line).unwrap()["fields"]["text"].clone();
        text.lines().map(line).collect::<Vec<_>>()
    };
    let named = |subject| {
        let view = vault.snapshot().unwrap();
        let person = Person::find(&view, subject).unwrap();
        let support = vault.policy_of(&view).unwrap();
        let support = support.purpose("support").unwrap().id;
        pseudonym::known(&view, &person, support, Some("carrier"))
            .unwrap()
            .is_some()
    };
    // Whom nothing fits, and whom there is no room for, gets no name.
    let nobody = json!({"category": "of nobody"});
    assert!(shown(None, nobody, None).is_empty());
    assert!(![plain, full, other].into_iter().any(named));
    assert_eq!(shown(None, json!({}), Some(1)).len(), 1);
    let have = [plain, full, other].into_iter().filter(|one| named(*one));
    assert_eq!(have.count(), 1);
    // The whole list goes to its end, whoever claims what is held.
    let kind = json!({"category": "kind"});
    for claim in [None, Some(RestrictedUse::LegalClaims)] {
        assert_eq!(shown(claim, kind.clone(), None), ["plain"]);
    }
    assert!(named(plain) && !named(full) && !named(held));
    assert_eq!(shown(None, json!({}), None).len(), 2, "the control");
    assert!(named(other));
}

#[test]
fn a_person_has_as_many_as_fit_and_one_that_is_known_needs_no_room() {
    let scene = Scene::new();
    let (vault, subject) = (&scene.bench.vault, scene.add("one"));
    let purpose = 7;
    let many = (0..PSEUDONYMS_PER_PERSON_MAX).map(|n| format!("r{n}"));
    let many: Vec<String> = many.collect();
    let issue = |names: Vec<String>| {
        vault.engine.submit(move |txn| {
            let mut person = Person::find(txn, subject)?;
            for name in &names {
                pseudonym::issue(txn, &mut person, purpose, Some(name))?;
            }
            Ok(())
        })
    };
    issue(many.clone()).unwrap();
    issue(many).unwrap();
    assert!(matches!(
        issue(vec!["another".into()]),
        Err(Refusal::TooLarge(_))
    ));
}

#[test]
fn a_deep_rotation_and_a_new_index_keep_every_pseudonym_found() {
    let mut scene = Scene::new();
    let vault = &scene.bench.vault;
    let people: Vec<SubjectId> = (0..20).map(|n| scene.add(&format!("user{n}"))).collect();
    let before = people.iter().map(|subject| {
        let one = scene.issue(*subject, "support", Some("carrier")).unwrap();
        (one.pseudonym, *subject)
    });
    let before: Vec<(PairwiseId, SubjectId)> = before.collect();
    let mark = |vault: &Vault| {
        let view = vault.snapshot().unwrap();
        let bits = before[0].0;
        view.system()
            .mark(PSEUDONYM_FIELD, 1, bits.as_bytes())
            .unwrap()
    };
    let old = mark(vault);
    vault
        .begin_rotation(&call(&scene.sender, None), true)
        .unwrap();
    // One that is issued meanwhile has both marks, or only the one that there is yet.
    let meanwhile = scene.issue(people[3], "support", None).unwrap().pseudonym;
    let ended = vault.rotate_on(&mut |_| Onwards::Yes).unwrap().unwrap();
    assert_eq!(
        (ended.state, ended.unindexed, ended.unsought),
        (RotationState::Done, 0, 0)
    );
    assert_ne!(mark(vault), old, "the marks are others");
    for (pseudonym, subject) in &before {
        assert_eq!(scene.finds(*pseudonym, "support"), Ok(*subject));
    }
    assert_eq!(scene.finds(meanwhile, "support"), Ok(people[3]));
    // The same person, purpose and recipient: the same one, after all of that.
    let again = scene.issue(people[0], "support", Some("carrier")).unwrap();
    assert_eq!((again.pseudonym, again.created), (before[0].0, false));
    // Nothing of the old marks is left, and an erasure takes the new ones.
    let gone = before[5];
    vault
        .erase_subject(&call(&scene.sender, None), gone.1)
        .unwrap();
    assert_eq!(scene.finds(gone.0, "support"), Err("not_found"));
    scene.bench.reopen();
    assert_eq!(
        by(
            &scene.bench.vault,
            &scene.bench.role("sender"),
            Some("support"),
            before[6].0
        ),
        Ok(before[6].1)
    );
}

#[test]
fn a_restored_vault_finds_who_was_there_by_their_pseudonyms_and_nobody_who_was_erased_since() {
    let scene = Copies::new(3);
    let vault = &scene.bench.vault;
    let keyholder = vault.keyholder();
    let policy = format!("{SAMPLE}{ROLES}");
    vault
        .apply_policy(&call(&keyholder, None), &policy, false)
        .unwrap();
    let sender = scene.bench.role("sender");
    let support = call(&sender, Some("support"));
    let issue = |subject| {
        vault
            .issue_pseudonym(&support, subject, Some("carrier"))
            .unwrap()
            .pseudonym
    };
    let [stays, gone, without] = scene.people[..] else {
        panic!("three people")
    };
    let (of_stays, of_gone) = (issue(stays), issue(gone));
    scene.back_up(Parts::Both).unwrap();
    let later = issue(without);
    vault.erase_subject(&call(&sender, None), gone).unwrap();
    scene.bench.vault.close();
    let (_, restored, _locked) = scene.restore("restored");
    let keyholder = restored.keyholder();
    let (_, secret) = restored
        .create_token(&call(&keyholder, None), "sender", None)
        .unwrap();
    let sender = restored.authenticate(&secret).unwrap();
    let finds = |one| by(&restored, &sender, Some("support"), one);
    assert_eq!(finds(of_stays), Ok(stays));
    assert_eq!(
        finds(of_gone),
        Err("not_found"),
        "the erasure ledger took them"
    );
    assert_eq!(
        finds(later),
        Err("not_found"),
        "issued after the backup: lost with what came after it"
    );
    let support = call(&sender, Some("support"));
    let again = restored
        .issue_pseudonym(&support, stays, Some("carrier"))
        .unwrap();
    assert_eq!((again.pseudonym, again.created), (of_stays, false));
}
