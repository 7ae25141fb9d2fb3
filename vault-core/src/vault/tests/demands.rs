//! Objections and restrictions against backups: how they stand outlives a restore, both ways.

use super::copies::Scene;
use super::*;
use crate::backup::write::Parts;
use crate::commit::View as _;
use crate::notice::NoticeAbout;
use crate::policy::RestrictionGround;
use crate::store::{Direction, KeyRange, Table};
use crate::vault::{NoticeInput, RestrictionInput, SuppressionInput, SuppressionKind};

/// What lets somebody record demands; the sample's newsletter is direct marketing.
const DESK: &str = r#"
[roles.desk]
may = ["objections.record", "restrictions.set", "notices.record"]
"#;

fn restriction() -> RestrictionInput {
    RestrictionInput {
        ground: RestrictionGround::Accuracy,
        collections: Vec::new(),
        reason: Some("it is wrong".into()),
    }
}

/// How a read of a person's address goes, for support and for the newsletter.
fn reads(vault: &Vault, bot: &Principal, subject: SubjectId) -> [Result<(), &'static str>; 2] {
    ["support", "newsletter"].map(|purpose| {
        let options = ReadOptions {
            fields: Some(vec!["email".into()]),
            ..ReadOptions::default()
        };
        let call = call(bot, Some(purpose));
        let read = vault.read_single(&call, subject, "profile", &options, |_, _| ());
        read.map_err(|refusal| refusal.code())
    })
}

#[test]
fn what_was_demanded_since_a_backup_stands_in_the_vault_that_is_made_of_it() {
    let scene = Scene::new(5);
    let vault = &scene.bench.vault;
    let keyholder = vault.keyholder();
    let policy = format!("{}{DESK}", crate::policy::SAMPLE);
    vault
        .apply_policy(&call(&keyholder, None), &policy, false)
        .unwrap();
    let desk = scene.bench.role("desk");
    let desk = || call(&desk, None);
    let [objects, restricted, takes_back, lifted, control] = scene.people[..] else {
        panic!("five people")
    };
    // Before the backup: what is ended after it.
    vault
        .put_objection(&desk(), takes_back, "newsletter", Some("no"))
        .unwrap();
    vault
        .put_restriction(&desk(), lifted, restriction())
        .unwrap();
    scene.back_up(Parts::Both).unwrap();
    // After it.
    vault
        .put_objection(&desk(), objects, "newsletter", Some("no"))
        .unwrap();
    vault
        .put_restriction(&desk(), restricted, restriction())
        .unwrap();
    vault
        .end_objection(&desk(), takes_back, "newsletter")
        .unwrap();
    let told = NoticeInput {
        about: NoticeAbout::RestrictionLift,
        version: None,
        language: "en".into(),
        channel: None,
        sha256: [0; 32],
        acknowledged: false,
    };
    vault.record_notice(&desk(), lifted, told).unwrap();
    vault.lift_restriction(&desk(), lifted).unwrap();
    scene
        .bench
        .vault
        .push_ledger(&call(&keyholder, None), &*scene.target)
        .unwrap();

    let (restored, vault, _locked) = scene.restore("restored");
    assert_eq!(restored.restored.unwrap().demands, 4);
    let keyholder = vault.keyholder();
    let (_, secret) = vault
        .create_token(&call(&keyholder, None), "bot", None)
        .unwrap();
    let bot = vault.authenticate(&secret).unwrap();
    let no_basis = [Ok(()), Err("no_lawful_basis")];
    let none = [Err("restricted"), Err("restricted")];
    assert_eq!(reads(&vault, &bot, objects), no_basis);
    assert_eq!(reads(&vault, &bot, restricted), none);
    for subject in [takes_back, lifted, control] {
        assert_eq!(reads(&vault, &bot, subject), [Ok(()), Ok(())]);
    }
    let (_, secret) = vault
        .create_token(&call(&keyholder, None), "desk", None)
        .unwrap();
    let desk = vault.authenticate(&secret).unwrap();
    // What was said before goes on being there, and the steps since are in order.
    let listed = vault
        .list_objections(&call(&desk, None), takes_back)
        .unwrap();
    let steps: Vec<_> = listed[0].history.iter().map(|step| step.state).collect();
    assert_eq!(steps, [ObjectionState::Upheld, ObjectionState::Ended]);
    assert_eq!(listed[0].history[0].reason.as_deref(), Some("no"));
    // No words of anybody are in the ledger.
    let view = vault
        .read_restriction(&call(&desk, None), restricted)
        .unwrap();
    assert_eq!(view.history[0].ground, Some(RestrictionGround::Accuracy));
    assert_eq!(view.history[0].reason, None);
}

/// Who objected to the newsletter, as far as an address of theirs tells.
fn suppressed(vault: &Vault, keyholder: &Principal, email: &str) -> bool {
    let (_, secret) = vault
        .create_token(&call(keyholder, None), "bot", None)
        .unwrap();
    let bot = vault.authenticate(&secret).unwrap();
    let support = call(&bot, Some("support"));
    let (subject, _) = vault
        .create_subject(&support, "web", &format!("again {email}"))
        .unwrap();
    let told = object(json!({"email": email}));
    vault
        .patch_single(&support, subject, "profile", told, None)
        .unwrap();
    reads(vault, &bot, subject)[1] == Err("no_lawful_basis")
}

#[test]
fn art_21_3_the_suppression_list_is_in_a_backup_and_what_changed_of_it_since_is_in_the_ledger() {
    let scene = Scene::new(4);
    let vault = &scene.bench.vault;
    let keyholder = vault.keyholder();
    let policy = format!("{}{DESK}", crate::policy::SAMPLE);
    vault
        .apply_policy(&call(&keyholder, None), &policy, false)
        .unwrap();
    let desk = scene.bench.role("desk");
    let desk = || call(&desk, None);
    let dpo = || call(&scene.dpo, None);
    let [before, since, wanted, never] = scene.people[..] else {
        panic!("four people")
    };
    // Listed before the backup: one is erased before it, one takes it back after it.
    for subject in [before, wanted] {
        vault
            .put_objection(&desk(), subject, "newsletter", None)
            .unwrap();
    }
    vault.erase_subject(&dpo(), before).unwrap();
    scene.back_up(Parts::Both).unwrap();
    // After it: whoever objects and is erased now is in no backup.
    vault
        .put_objection(&desk(), since, "newsletter", None)
        .unwrap();
    vault.end_objection(&desk(), wanted, "newsletter").unwrap();
    for subject in [since, wanted, never] {
        vault.erase_subject(&dpo(), subject).unwrap();
    }
    let typed = SuppressionInput {
        what: SuppressionKind::Type("email".into()),
        value: json!("typed@example.test"),
        purpose: None,
    };
    vault.suppress(&desk(), typed).unwrap();
    vault
        .push_ledger(&call(&keyholder, None), &*scene.target)
        .unwrap();
    let (_, vault, _locked) = scene.restore("restored");
    let keyholder = vault.keyholder();
    let listed = |email: &str| suppressed(&vault, &keyholder, email);
    assert!(listed("p0@example.test"), "from the backup");
    assert!(listed("p1@example.test"), "from the ledger");
    assert!(listed("typed@example.test"), "from the ledger, of nobody");
    assert!(!listed("p2@example.test"), "taken back since");
    assert!(!listed("p3@example.test"), "who never objected");
    let view = vault.snapshot().unwrap();
    // Two of the first two, with their names on the channel, and the one that was typed.
    let counted = crate::suppression::count(&view).unwrap();
    let rows = view
        .tx()
        .keys(
            Table::Suppressions,
            &KeyRange::all(),
            Direction::Ascending,
            usize::MAX,
        )
        .unwrap();
    assert_eq!(rows.len() as u64, counted + 1, "and the row that counts");
    assert!(counted >= 5, "{counted}");
}

/// A hash cannot be made anew without the address: a deep rotation seals what stands on the list again, and
/// finds it by the same key.
#[test]
fn art_21_3_the_suppression_list_goes_through_a_deep_rotation() {
    let scene = Scene::new(1);
    let vault = &scene.bench.vault;
    let keyholder = vault.keyholder();
    let policy = format!("{}{DESK}", crate::policy::SAMPLE);
    vault
        .apply_policy(&call(&keyholder, None), &policy, false)
        .unwrap();
    let desk = scene.bench.role("desk");
    let subject = scene.people[0];
    vault
        .put_objection(&call(&desk, None), subject, "newsletter", None)
        .unwrap();
    vault
        .erase_subject(&call(&scene.dpo, None), subject)
        .unwrap();
    let before = vault.snapshot().unwrap().system().system.newest();
    vault.begin_rotation(&call(&keyholder, None), true).unwrap();
    super::rotation_deep::to_the_end(vault);
    let view = vault.snapshot().unwrap();
    assert!(view.system().system.newest() > before);
    assert!(view.system().system.numbers().all(|number| number > before));
    drop(view);
    assert!(suppressed(vault, &keyholder, "p0@example.test"));
}
