//! Objections that somebody makes by an address: recipients are told of them as of any other, and "all purposes,
//! later ones too" is about later ones too, also of people who are known already.
//!
//! What would have been lost: a recipient went on with what it was given for a newsletter that nobody was to get; and
//! who wanted no marketing at all got that of the next purpose.

use super::copies::Scene;
use super::recipients::{Case, one};
use super::*;
use crate::backup::write::Parts;
use crate::outbox::NoticeKind;
use crate::vault::{ObjectionView, SuppressionInput, SuppressionKind};

const DESK: &str = r#"
[roles.desk]
may = ["objections.record"]
"#;

/// A policy in which somebody has thought of more marketing, and of a purpose that is none.
fn later() -> String {
    let more = r#"
[purposes.offers]
title.en = "Offers"
title.de = "Angebote"
basis = "legitimate_interests"
direct_marketing = true
retention = { after = "collected", period = "P1Y" }

[purposes.counting]
title.en = "Counting"
title.de = "Zählen"
basis = "legitimate_interests"
retention = { after = "collected", period = "P1Y" }

[recipients.carrier]"#;
    let purposes = r#"["support", "newsletter", "offers", "counting"]"#;
    let sample = SAMPLE
        .replacen("\n[recipients.carrier]", more, 1)
        .replacen(
            r#"["support", "newsletter"], lookup"#,
            &format!("{purposes}, lookup"),
            1,
        )
        .replacen(
            r#"purposes = ["support", "newsletter"]"#,
            &format!("purposes = {purposes}"),
            1,
        );
    format!("{sample}{DESK}")
}

fn address(email: &str, purpose: Option<&str>) -> SuppressionInput {
    SuppressionInput {
        what: SuppressionKind::Type("email".into()),
        value: json!(email),
        purpose: purpose.map(str::to_owned),
    }
}

fn reads(vault: &Vault, bot: &Principal, subject: SubjectId, purpose: &str) -> &'static str {
    let options = ReadOptions {
        fields: Some(vec!["email".into()]),
        ..ReadOptions::default()
    };
    let call = call(bot, Some(purpose));
    let read = vault.read_single(&call, subject, "profile", &options, |_, _| ());
    read.map_or_else(|refusal| refusal.code(), |()| "ok")
}

const NO_BASIS: &str = "no_lawful_basis";

/// The steps of a person's objection to a purpose.
fn steps(
    vault: &Vault,
    desk: &Principal,
    subject: SubjectId,
    purpose: &str,
) -> Vec<(ObjectionState, ObjectionOrigin)> {
    let all = vault.list_objections(&call(desk, None), subject).unwrap();
    let all = all.into_iter().filter(|one| one.purpose == purpose);
    let steps = |one: ObjectionView| {
        assert_eq!(one.state, one.history.last().unwrap().state);
        one.history.into_iter()
    };
    all.flat_map(steps)
        .map(|step| (step.state, step.origin))
        .collect()
}

use ObjectionOrigin::{Address, Consent, Person, Suppressed};
use ObjectionState::{Ended, Upheld};

#[test]
fn art_19_recipients_are_told_of_an_objection_by_address_as_of_one_by_the_person() {
    let case = Case::given();
    let giver = || call(&case.giver, None);
    let suppress = |email: &str| {
        case.vault()
            .suppress(&giver(), address(email, Some("newsletter")))
            .unwrap();
    };
    // The nearest that tells nobody: an address that is nobody's.
    suppress("nobody@example.test");
    assert_eq!(case.told(), []);
    suppress("Canary-Ann@example.test");
    // Not the carrier, nor the counter: what they were given is for another purpose.
    let email = ["profile.email"];
    let mut expected = vec![one(NoticeKind::Objection, "mailer", &email)];
    assert_eq!(case.told(), expected);
    suppress("canary-ann@example.test");
    assert_eq!(case.told(), expected, "once");
    // By the list, as the address is written.
    case.consent(true);
    case.bench.clock.advance(HOUR);
    case.set(json!({"email": "nobody@example.test"}));
    expected.push(one(NoticeKind::Objection, "mailer", &email));
    let objections = |told: Vec<(NoticeKind, String, Vec<String>)>| {
        let mut told = told;
        told.retain(|one| one.0 == NoticeKind::Objection);
        told
    };
    assert_eq!(objections(case.told()), expected);
}

#[test]
fn art_21_2_who_wants_no_marketing_at_all_gets_none_of_a_later_purpose_until_they_say_so() {
    let scene = Scene::new(3);
    let (vault, bot) = (&scene.bench.vault, &scene.bot);
    let keyholder = vault.keyholder();
    let apply = |policy: &str| {
        let keyholder = call(&keyholder, None);
        vault.apply_policy(&keyholder, policy, false).unwrap();
    };
    apply(&format!("{SAMPLE}{DESK}"));
    let desk = scene.bench.role("desk");
    let suppress = |email: &str, purpose| {
        let desk = call(&desk, None);
        vault.suppress(&desk, address(email, purpose)).unwrap();
    };
    let [all, single, never] = scene.people[..] else {
        panic!("three people")
    };
    suppress("p0@example.test", None);
    suppress("p1@example.test", Some("newsletter"));
    scene.bench.clock.advance(HOUR);
    apply(&later());
    assert_eq!(reads(vault, bot, all, "offers"), NO_BASIS);
    assert_eq!(steps(vault, &desk, all, "offers"), [(Upheld, Address)]);
    // What is no marketing goes on, and so does everybody else's.
    assert_eq!(reads(vault, bot, all, "counting"), "ok");
    assert_eq!(reads(vault, bot, all, "support"), "ok");
    for subject in [single, never] {
        assert_eq!(reads(vault, bot, subject, "offers"), "ok");
        assert_eq!(steps(vault, &desk, subject, "offers"), []);
    }
    // They want the newsletter again, and nothing else.
    let consent = ConsentInput {
        given: true,
        notice: json!("n2"),
        ..ConsentInput::default()
    };
    vault
        .put_consent(&scene.support(), all, "newsletter", consent)
        .unwrap();
    assert_eq!(reads(vault, bot, all, "newsletter"), "ok");
    assert_eq!(
        steps(vault, &desk, all, "newsletter"),
        [(Upheld, Address), (Ended, Consent)]
    );
    assert_eq!(reads(vault, bot, all, "offers"), NO_BASIS);
    // The address stays on the list for the others: whoever gets it does not get them either.
    let add = |user: &str, email: &str| {
        let (subject, _) = vault.create_subject(&scene.support(), "web", user).unwrap();
        let told = object(json!({"email": email}));
        vault
            .patch_single(&scene.support(), subject, "profile", told, None)
            .unwrap();
        subject
    };
    let again = add("again", "p0@example.test");
    assert_eq!(reads(vault, bot, again, "offers"), NO_BASIS);
    assert_eq!(steps(vault, &desk, again, "offers"), [(Upheld, Suppressed)]);
    assert_eq!(
        steps(vault, &desk, again, "newsletter"),
        [(Ended, Suppressed)]
    );
    // And at last the offers as well; what was said of all of it is not said of this any more.
    scene.bench.clock.advance(HOUR);
    vault
        .end_objection(&call(&desk, None), all, "offers")
        .unwrap();
    assert_eq!(reads(vault, bot, all, "offers"), "ok");
    assert_eq!(
        steps(vault, &desk, all, "offers"),
        [(Upheld, Address), (Ended, Person)]
    );
}

/// Where every purpose of the policy was wanted again the address stays for those that will be.
#[test]
fn art_21_2_an_address_that_is_suppressed_for_all_stays_when_everything_that_there_is_is_wanted_again()
 {
    let scene = Scene::new(1);
    let (vault, bot) = (&scene.bench.vault, &scene.bot);
    let keyholder = vault.keyholder();
    let apply = |policy: &str| {
        let keyholder = call(&keyholder, None);
        vault.apply_policy(&keyholder, policy, false).unwrap();
    };
    apply(&format!("{SAMPLE}{DESK}"));
    let desk = scene.bench.role("desk");
    let desk = || call(&desk, None);
    vault
        .suppress(&desk(), address("p0@example.test", None))
        .unwrap();
    vault
        .end_objection(&desk(), scene.people[0], "newsletter")
        .unwrap();
    vault
        .erase_subject(&call(&scene.dpo, None), scene.people[0])
        .unwrap();
    scene.bench.clock.advance(HOUR);
    apply(&later());
    let (again, _) = vault
        .create_subject(&scene.support(), "web", "again")
        .unwrap();
    let told = object(json!({"email": "p0@example.test"}));
    vault
        .patch_single(&scene.support(), again, "profile", told, None)
        .unwrap();
    assert_eq!(reads(vault, bot, again, "offers"), NO_BASIS);
    let consent = reads(vault, bot, again, "newsletter");
    assert_eq!(consent, "consent_required", "no objection is in the way");
}

#[test]
fn art_21_2_no_backup_undoes_that_somebody_wants_no_marketing_at_all() {
    let scene = Scene::new(2);
    let vault = &scene.bench.vault;
    let keyholder = vault.keyholder();
    let policy = format!("{SAMPLE}{DESK}");
    vault
        .apply_policy(&call(&keyholder, None), &policy, false)
        .unwrap();
    let desk = scene.bench.role("desk");
    scene.back_up(Parts::Both).unwrap();
    vault
        .suppress(&call(&desk, None), address("p0@example.test", None))
        .unwrap();
    vault
        .push_ledger(&call(&keyholder, None), &*scene.target)
        .unwrap();
    let (_, vault, _locked) = scene.restore("restored");
    let keyholder = vault.keyholder();
    vault
        .apply_policy(&call(&keyholder, None), &later(), false)
        .unwrap();
    let (_, secret) = vault
        .create_token(&call(&keyholder, None), "bot", None)
        .unwrap();
    let bot = vault.authenticate(&secret).unwrap();
    assert_eq!(reads(&vault, &bot, scene.people[0], "offers"), NO_BASIS);
    assert_eq!(reads(&vault, &bot, scene.people[1], "offers"), "ok");
}
