//! What was said of a person's contracts and age, is held and issued of them: in their package, in the vault
//! that takes it back, and in one that is made of an older backup.

use super::copies::Scene as Copies;
use super::*;
use crate::backup::write::Parts;
use crate::export::{ExportInput, Form, Right, Seal};
use crate::import::{Piece, read_document};
use crate::policy::HoldGround;
use crate::vault::{ExportStep, HoldInput};

const POLICY: &str = r#"
[controller]
name = "Example Rental Ltd"
contact = "privacy@example.test"

[recipients.garage]
name = "Garage Ltd"
country = "NL"

[purposes.rental]
title.en = "Renting you a car"
basis = "contract"
retention = { after = "contract_end", period = "P2Y" }
recipients = ["garage"]

[purposes.club]
title.en = "Our club"
basis = "consent"
retention = { after = "withdrawal", period = "P0D" }

[collections.driver]
kind = "single"
[collections.driver.fields]
name = { type = "name", purposes = ["rental"] }
motto = { type = "text", purposes = ["club"] }

[collections.notes]
kind = "many"
[collections.notes.fields]
text = { type = "text", purposes = ["rental"] }

[roles.desk]
purposes = ["rental", "club"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "subjects.lookup", "subjects.view", "subjects.export", "consents.record", "holds.manage", "disclosures.record", "tokens.detokenize", "objections.record", "restrictions.set", "requests.decide"]

[roles.porter]
purposes = ["rental", "club"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "subjects.lookup"]
"#;

fn ended() -> Timestamp {
    "2026-06-30T22:00:00Z".parse().unwrap()
}

fn consent(given: bool) -> ConsentInput {
    ConsentInput {
        given,
        notice: json!("n1"),
        choice: None,
        message_id: None,
        ..ConsentInput::default()
    }
}

/// Somebody young whose contract has ended and whose notes are held, and who is known to the garage.
fn told(bench: &Bench) -> (SubjectId, PairwiseId) {
    let (vault, desk) = (&bench.vault, bench.role("desk"));
    let rental = call(&desk, Some("rental"));
    let (subject, _) = vault.create_subject(&rental, "web", "kim").unwrap();
    let name = object(json!({"name": "Kim Example"}));
    vault
        .patch_single(&rental, subject, "driver", name, None)
        .unwrap();
    vault
        .put_consent(&rental, subject, "club", consent(true))
        .unwrap();
    let club = call(&desk, Some("club"));
    let motto = object(json!({"motto": "faster"}));
    vault
        .patch_single(&club, subject, "driver", motto, None)
        .unwrap();
    let age = AgeInput {
        years: 14,
        country: None,
        guardian: None,
    };
    vault.put_age(&rental, subject, age).unwrap();
    vault
        .put_contract_end(&rental, subject, "rental", Some(ended()))
        .unwrap();
    let hold = HoldInput {
        ground: HoldGround::LegalClaims,
        collections: vec!["notes".into()],
        reason: Some("canary-matter".into()),
        approver: Some("canary-approver".into()),
        review_at: jiff::civil::date(2099, 12, 31),
    };
    vault.put_hold(&rental, subject, hold).unwrap();
    let issued = vault
        .issue_pseudonym(&rental, subject, Some("garage"))
        .unwrap();
    (subject, issued.pseudonym)
}

fn package(bench: &Bench, subject: SubjectId, right: Right, form: Form) -> Vec<u8> {
    let desk = bench.role("desk");
    let input = ExportInput {
        right,
        form,
        language: None,
        seal: Seal::None,
    };
    let mut export = bench
        .vault
        .export(&call(&desk, None), subject, input)
        .unwrap();
    let mut all = Vec::new();
    loop {
        let mut part = Vec::new();
        let step = export.step(&mut |bytes| part = bytes).unwrap();
        all.append(&mut part);
        if step == ExportStep::Done {
            return all;
        }
    }
}

fn document(bench: &Bench, subject: SubjectId) -> Value {
    serde_json::from_slice(&package(bench, subject, Right::Access, Form::Json)).unwrap()
}

/// Takes a package into a vault; lines that were refused.
fn import(bench: &Bench, role: &str, package: &[u8]) -> Vec<(u64, String)> {
    let mut lines = Vec::new();
    read_document(package, &mut |piece| {
        if let Piece::Line(line, _) = piece {
            lines.push(*line);
        }
        true
    })
    .unwrap();
    let batch = ImportBatch {
        import: "i".into(),
        lines,
        dry_run: false,
        done: 0,
        total: None,
        last: true,
    };
    let who = bench.role(role);
    let sent = bench.vault.import(&call(&who, None), &batch).unwrap();
    sent.errors
        .into_iter()
        .map(|one| (one.line, one.code))
        .collect()
}

#[test]
fn a_persons_copy_has_what_is_held_said_and_issued_of_them_and_no_words_of_the_house() {
    let bench = Bench::of(POLICY);
    let (subject, pseudonym) = told(&bench);
    let data = document(&bench, subject);
    let now = bench.vault.snapshot().unwrap();
    let now = crate::commit::View::now(&now).to_string();
    assert_eq!(
        data["hold"],
        json!({"held": true, "history": [{"state": "placed", "ground": "legal_claims", "collections": ["notes"],
            "review_at": "2099-12-31", "at": now, "erased_at": null}], "corrections": []})
    );
    assert_eq!(
        data["contracts"],
        json!([{"purpose": "rental", "ended_at": ended().to_string(),
            "history": [{"ended_at": ended().to_string(), "at": now}]}])
    );
    assert_eq!(
        data["age"],
        json!({"child": true, "guardian": false,
            "history": [{"of_age_on": "2029-01-15", "guardian": null, "at": now}]})
    );
    assert_eq!(
        data["pseudonyms"],
        json!([{"pseudonym": pseudonym.to_string(), "purpose": "rental", "recipient": "garage", "at": now}])
    );
    let page = package(&bench, subject, Right::Access, Form::Html);
    let page = String::from_utf8(page).unwrap();
    for said in [
        "What a legal hold keeps",
        "2099-12-31",
        "ended on 2026-06-30",
        "you consent for yourself from 2029-01-15",
        "Garage Ltd",
        &pseudonym.to_string(),
    ] {
        assert!(page.contains(said), "{said}");
    }
    let portable = package(&bench, subject, Right::Portability, Form::Json);
    let portable = String::from_utf8(portable).unwrap();
    for text in [data.to_string(), page, portable.clone()] {
        assert!(!text.contains("canary-matter") && !text.contains("canary-approver"));
    }
    let portable: Value = serde_json::from_str(&portable).unwrap();
    for name in ["hold", "contracts", "age", "pseudonyms"] {
        assert!(portable.get(name).is_none(), "{name}");
    }
}

#[test]
fn another_vault_takes_ends_of_contracts_and_the_age_and_makes_its_own_names() {
    let (from, to) = (Bench::of(POLICY), Bench::of(POLICY));
    let (subject, pseudonym) = told(&from);
    let package = package(&from, subject, Right::Access, Form::Json);
    assert_eq!(import(&to, "desk", &package), []);
    let desk = to.role("desk");
    let rental = call(&desk, Some("rental"));
    let there = to.vault.lookup_channel(&rental, "web", "kim").unwrap();
    let contracts = to.vault.list_contracts(&rental, there).unwrap();
    assert_eq!(contracts[0].ended_at, Some(ended()));
    let age = to.vault.read_age(&rental, there).unwrap();
    assert!(age.child && !age.guardian);
    assert_eq!(age.history[0].of_age_on.to_string(), "2029-01-15");
    // Data that rest on the child's consent came along, and are not used.
    let options = ReadOptions::default();
    let read = |purpose| {
        let call = call(&desk, Some(purpose));
        let read = to
            .vault
            .read_single(&call, there, "driver", &options, |view, _| view.is_some());
        read.map_err(|refusal| refusal.code())
    };
    assert_eq!(read("rental"), Ok(true));
    assert_eq!(read("club"), Err("consent_required"));
    // The names that the garage knows are the first vault's; a hold is for whoever answers for it there.
    assert_eq!(document(&to, there)["pseudonyms"], json!([]));
    let unknown = to.vault.resolve_pseudonym(&rental, pseudonym);
    assert_eq!(unknown.unwrap_err().code(), "not_found");
    assert!(!to.vault.read_hold(&rental, there).unwrap().held);
    // The same again writes nothing, and whoever may not tell an age is told so.
    let before = to.vault.ledger_entries();
    let again = Bench::of(POLICY);
    let refused = import(&again, "porter", &package);
    assert!(
        refused.iter().any(|(_, code)| code == "role_denied"),
        "{refused:?}"
    );
    let mut renamed = package.clone();
    renamed.push(b'\n');
    assert_eq!(import(&to, "desk", &renamed), []);
    assert_eq!(to.vault.ledger_entries(), before);
    assert_eq!(to.vault.read_age(&rental, there).unwrap().history.len(), 1);
}

#[test]
fn what_was_said_since_a_backup_stands_in_the_vault_that_is_made_of_it() {
    let scene = Copies::new(4);
    let vault = &scene.bench.vault;
    let keyholder = vault.keyholder();
    let policy = format!(
        "{}{}",
        crate::policy::SAMPLE,
        r#"
[purposes.rental]
title.en = "Renting"
title.de = "Vermieten"
basis = "contract"
retention = { after = "contract_end", period = "P2Y" }
[roles.teller]
purposes = ["support", "rental", "newsletter"]
may = ["subjects.create", "consents.record"]
"#
    );
    vault
        .apply_policy(&call(&keyholder, None), &policy, false)
        .unwrap();
    let teller = scene.bench.role("teller");
    let told = call(&teller, None);
    let [ends, runs, child, ward] = scene.people[..] else {
        panic!("four people")
    };
    let age = |years, guardian: Option<&str>| AgeInput {
        years,
        country: None,
        guardian: guardian.map(Into::into),
    };
    vault
        .put_contract_end(&told, runs, "rental", Some(ended()))
        .unwrap();
    scene.back_up(Parts::Both).unwrap();
    vault
        .put_contract_end(&told, ends, "rental", Some(ended()))
        .unwrap();
    vault.put_contract_end(&told, runs, "rental", None).unwrap();
    vault.put_age(&told, child, age(14, None)).unwrap();
    vault
        .put_age(&told, ward, age(14, Some("canary-guardian")))
        .unwrap();
    vault
        .push_ledger(&call(&keyholder, None), &*scene.target)
        .unwrap();

    let (_, restored, _locked) = scene.restore("restored");
    let keyholder = restored.keyholder();
    let role = |role: &str| {
        let (_, secret) = restored
            .create_token(&call(&keyholder, None), role, None)
            .unwrap();
        restored.authenticate(&secret).unwrap()
    };
    let (teller, bot) = (role("teller"), role("bot"));
    let told = call(&teller, None);
    let contract = |subject| {
        let views = restored.list_contracts(&told, subject).unwrap();
        views
            .into_iter()
            .map(|view| view.ended_at)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (contract(ends), contract(runs)),
        (vec![Some(ended())], vec![None])
    );
    assert_eq!((contract(child), contract(ward)), (vec![], vec![]));
    let reads = |subject| {
        let options = ReadOptions {
            fields: Some(vec!["email".into()]),
            ..ReadOptions::default()
        };
        let call = call(&bot, Some("newsletter"));
        let read = restored.read_single(&call, subject, "profile", &options, |_, _| ());
        read.map_err(|refusal| refusal.code())
    };
    assert_eq!(
        (reads(ends), reads(child), reads(ward)),
        (Ok(()), Err("consent_required"), Ok(()))
    );
    let ward = restored.read_age(&told, ward).unwrap();
    assert!(ward.child && ward.guardian);
    // That there is a guardian, and nobody's words.
    assert_eq!(ward.history[0].guardian.as_deref(), Some("restored"));
}
