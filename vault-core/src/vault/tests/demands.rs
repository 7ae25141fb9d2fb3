//! Objections and restrictions against backups: how they stand outlives a restore, both ways.

use super::copies::Scene;
use super::*;
use crate::backup::write::Parts;
use crate::notice::NoticeAbout;
use crate::policy::RestrictionGround;
use crate::vault::{NoticeInput, RestrictionInput};

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
