//! Who agrees to less than they did: a vault out of an older backup does not hold what was agreed to before, and
//! recipients are told of what they may no longer use, and of nothing that goes on.
//!
//! What would have been lost: a consent in so many words that was taken back to an ordinary one came back whole
//! with an older backup; and a consent renewed for less time was told to recipients as withdrawn.

use super::copies::Scene;
use super::recipients::{Case, one, policy};
use super::*;
use crate::backup::write::Parts;
use crate::outbox::NoticeKind;

const DIET: &str = r#"
[collections.health]
kind = "single"
[collections.health.fields]
diet = { type = "text", purposes = ["newsletter"], special = "health", art9 = "explicit consent" }
"#;

fn said(kind: ConsentKind, valid: Option<&str>) -> ConsentInput {
    ConsentInput {
        given: true,
        notice: json!("n1"),
        details: ConsentDetails {
            kind,
            valid: valid.map(str::to_owned),
            ..ConsentDetails::default()
        },
        ..ConsentInput::default()
    }
}

const EXPLICIT: ConsentKind = ConsentKind::Explicit;
const REGULAR: ConsentKind = ConsentKind::Regular;

#[test]
fn art_9_a_consent_that_is_explicit_no_more_does_not_come_back_so_with_an_older_backup() {
    let scene = Scene::new(4);
    let vault = &scene.bench.vault;
    let says = |subject: SubjectId, input: ConsentInput| {
        vault
            .put_consent(&scene.support(), subject, "newsletter", input)
            .unwrap();
    };
    let [plainer, shorter, the_same, more] = scene.people[..] else {
        panic!("four people")
    };
    for subject in [plainer, shorter, the_same] {
        says(subject, said(EXPLICIT, Some("P2Y")));
    }
    scene.back_up(Parts::Both).unwrap();
    says(plainer, said(REGULAR, Some("P2Y")));
    says(shorter, said(EXPLICIT, Some("P1M")));
    // The nearest that takes nothing back: the same again, and more than before.
    says(the_same, said(EXPLICIT, Some("P2Y")));
    says(more, said(EXPLICIT, None));
    let (restored, vault, _locked) = scene.restore("restored");
    assert_eq!(restored.restored.unwrap().withdrawn, 2);
    let keyholder = vault.keyholder();
    let (_, secret) = vault
        .create_token(&call(&keyholder, None), "bot", None)
        .unwrap();
    let bot = vault.authenticate(&secret).unwrap();
    let states = scene.people.iter().map(|subject| {
        let bot = call(&bot, Some("support"));
        let view = vault.read_consent(&bot, *subject, "newsletter").unwrap();
        view.state
    });
    use ConsentState::{Given, Withdrawn};
    let states: Vec<_> = states.collect();
    assert_eq!(states, [Withdrawn, Withdrawn, Given, Given]);
}

#[test]
fn art_7_recipients_are_told_of_what_they_may_no_longer_use_and_not_of_what_goes_on() {
    let case = Case::under(&format!("{}{DIET}", policy()));
    let giver = call(&case.giver, Some("newsletter"));
    let says = |input: ConsentInput| {
        let vault = case.vault();
        vault
            .put_consent(&giver, case.ann, "newsletter", input)
            .unwrap();
    };
    says(said(EXPLICIT, None));
    let diet = object(json!({"diet": "canary-diet"}));
    case.vault()
        .patch_single(&giver, case.ann, "health", diet, None)
        .unwrap();
    case.give("mailer", "newsletter", &["profile.email", "health.diet"])
        .unwrap();
    // For less time, and for less again: it goes on.
    says(said(EXPLICIT, Some("P2Y")));
    says(said(EXPLICIT, Some("P1Y")));
    assert_eq!(case.told(), []);
    // In so many words no more: what wants that is not to be used, the address is.
    says(said(REGULAR, Some("P1Y")));
    let mut expected = vec![one(NoticeKind::Withdrawal, "mailer", &["health.diet"])];
    assert_eq!(case.told(), expected);
    says(said(REGULAR, Some("P1Y")));
    assert_eq!(case.told(), expected, "once");
    case.consent(false);
    let both = ["profile.email", "health.diet"];
    expected.push(one(NoticeKind::Withdrawal, "mailer", &both));
    assert_eq!(case.told(), expected);
}
