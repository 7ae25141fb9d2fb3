//! Scopes of breaches by backup, with people who were erased since, in more slices than one; and the register
//! through a backup and its restore.

use super::copies::Scene;
use super::*;
use crate::backup::registry::Part;
use crate::backup::write::Parts;
use crate::breach::BreachReport;
use crate::commit::View as _;
use crate::id::IncidentId;
use crate::incident::{IncidentStep, Nature, Risk, Vector};
use crate::store::{Direction, KeyRange, ReadTx as _, Table, WriteTx as _};
use crate::vault::{BreachInput, BreachVector, IncidentInput, IncidentStepInput};

fn find(scene: &Scene, vector: BreachVector) -> (BreachReport, Vec<SubjectId>) {
    let keyholder = scene.keyholder();
    let input = BreachInput {
        vector,
        from: None,
        to: None,
    };
    let vault = &scene.bench.vault;
    let mut scope = vault
        .begin_breach_scope(&call(&keyholder, None), &input)
        .unwrap();
    let mut people = Vec::new();
    while vault.breach_step(&mut scope, &mut people).unwrap() {}
    let mut people: Vec<_> = people.iter().map(|one| one.subject).collect();
    people.sort_unstable();
    (scope.report(), people)
}

/// An incident of the register.
pub(super) fn noted(vault: &Vault) -> IncidentId {
    let keyholder = vault.keyholder();
    let noted = vault.note_incident(
        &call(&keyholder, None),
        IncidentInput {
            aware_at: vault.engine.now(),
            nature: vec![Nature::Availability],
            vector: Vector::Backup,
            from: None,
            to: None,
            summary: "a tape is missing".into(),
            scope: None,
        },
    );
    noted.unwrap().listed.incident
}

/// Art. 34(3)(a): the data part alone is ciphertext, to nobody's harm; with the key part it is everybody in it.
#[test]
fn a_lost_backup_affects_whom_it_holds_and_its_data_part_alone_is_ciphertext() {
    let mut scene = Scene::new(3);
    let made = scene.back_up(Parts::Both).unwrap();
    let mut inside = scene.people.clone();
    inside.sort_unstable();
    scene.bench.clock.advance(1_000);
    scene.add(3);
    let data = find(
        &scene,
        BreachVector::Backup(made.manifest.backup, Part::Data),
    );
    assert!(data.0.ciphertext_only && data.0.at_most);
    assert_eq!((data.0.people, data.0.not_resolvable), (3, 0));
    assert_eq!(data.1, inside, "who came later is not in it");
    let keys = find(
        &scene,
        BreachVector::Backup(made.manifest.backup, Part::Keys),
    );
    assert!(!keys.0.ciphertext_only);
    assert_eq!(keys.1, inside);
    // Who was erased since is in it, and nobody can name them any more.
    let gone = scene.people[0];
    scene.erase(gone);
    let (report, people) = find(
        &scene,
        BreachVector::Backup(made.manifest.backup, Part::Keys),
    );
    assert_eq!((report.people, report.not_resolvable), (2, 1));
    assert!(!people.contains(&gone));
    // A part that there is not.
    let only = scene.back_up(Parts::Data).unwrap();
    let keyholder = scene.keyholder();
    let input = BreachInput {
        vector: BreachVector::Backup(only.manifest.backup, Part::Keys),
        from: None,
        to: None,
    };
    let refused = scene
        .bench
        .vault
        .begin_breach_scope(&call(&keyholder, None), &input);
    assert!(matches!(refused, Err(Refusal::NotFound(_))));
}

const HONEY: &str = r#"
[honey.people.lena]
channel = "web"
user = "u-77123"
[honey.people.lena.values]
profile = { name = "Lena Invented", email = "lena@example.test" }
"#;

/// Failure: somebody who is there and cannot be opened, or never was, counted among the erased.
#[test]
fn of_a_backup_nobody_counts_as_erased_who_is_damaged_or_does_not_exist() {
    let mut scene = Scene::of(Bench::of(&format!("{SAMPLE}{HONEY}")));
    for number in 0..3 {
        scene.add(number);
    }
    let made = scene.back_up(Parts::Both).unwrap();
    let vector = || BreachVector::Backup(made.manifest.backup, Part::Keys);
    let (report, _) = find(&scene, vector());
    assert_eq!(
        (report.people, report.not_resolvable, report.damaged),
        (3, 0, 0)
    );
    let broken = scene.people[0];
    let key = scene.bench.vault.snapshot().unwrap();
    let handle = key.person_entry(broken).unwrap().unwrap().handle;
    drop(key);
    scene
        .bench
        .vault
        .engine
        .submit(move |txn| {
            Ok(txn.put(Table::Subjects, handle.as_bytes(), b"not what was written")?)
        })
        .unwrap();
    scene.erase(scene.people[1]);
    let (report, people) = find(&scene, vector());
    assert_eq!(people, [scene.people[2]]);
    assert_eq!(
        (report.people, report.not_resolvable, report.damaged),
        (1, 1, 1)
    );
}

/// A log from which an entry is missing: without an end to it, finding the scope would go on for ever; with an
/// end and no error, whoever that call met would count as unharmed.
#[test]
fn a_hole_in_the_log_ends_a_scope_as_damage_wherever_it_is() {
    for last in [false, true] {
        let bench = Bench::new();
        let bot = bench.role("bot");
        for number in 0..40 {
            let user = format!("visitor-{number}");
            let support = call(&bot, Some("support"));
            bench.vault.create_subject(&support, "web", &user).unwrap();
        }
        let keyholder = bench.vault.keyholder();
        let input = BreachInput {
            vector: BreachVector::ApiKey(bot.token().unwrap()),
            from: None,
            to: None,
        };
        let begin = || {
            let vault = &bench.vault;
            vault
                .begin_breach_scope(&call(&keyholder, None), &input)
                .unwrap()
        };
        let end = |mut scope| {
            let mut people = Vec::new();
            // It has far fewer steps.
            for _ in 0..1_000 {
                match bench.vault.breach_step(&mut scope, &mut people) {
                    Ok(true) => {}
                    Ok(false) => return None,
                    Err(refusal) => return Some(refusal),
                }
            }
            panic!("it goes on and on");
        };
        assert!(end(begin()).is_none(), "the control");
        // What waits in the journal joins the log first.
        bench.vault.engine.submit(|_| Ok(())).unwrap();
        let removed = bench.vault.engine.submit(move |txn| {
            let (all, order) = (KeyRange::all(), Direction::Ascending);
            let rows = txn.keys(Table::Audit, &all, order, usize::MAX)?;
            let row = if last { rows.len() - 1 } else { rows.len() / 2 };
            Ok(txn.delete(Table::Audit, &rows[row])?)
        });
        removed.unwrap();
        let refusal = end(begin()).expect("it is damaged");
        assert!(refusal.is_damage(), "{refusal}");
        let jobs = bench.vault.jobs().list();
        let failed =
            |job: &crate::jobs::JobView| matches!(job.state, crate::jobs::JobState::Failed(_));
        assert_eq!(jobs.iter().filter(|job| failed(job)).count(), 1);
    }
}

/// More people than leaves of one step hold: each is counted once, whichever slice they fall into.
#[test]
fn everybody_is_met_once_however_many_steps_it_takes() {
    let bench = Bench::new();
    let bot = bench.role("bot");
    let support = || call(&bot, Some("support"));
    for number in 0..1_500 {
        let user = format!("visitor-{number}");
        bench
            .vault
            .create_subject(&support(), "web", &user)
            .unwrap();
    }
    let token = bot.token().unwrap();
    let input = |vector| BreachInput {
        vector,
        from: None,
        to: None,
    };
    let keyholder = bench.vault.keyholder();
    let scope = |vector| {
        let vault = &bench.vault;
        let mut scope = vault
            .begin_breach_scope(&call(&keyholder, None), &input(vector))
            .unwrap();
        let (mut people, mut steps) = (Vec::new(), 0);
        while vault.breach_step(&mut scope, &mut people).unwrap() {
            steps += 1;
        }
        assert_eq!(scope.progress(), (1_500, 1_500));
        (scope.report(), people.len(), steps)
    };
    let (report, people, steps) = scope(BreachVector::ApiKey(token));
    assert_eq!(
        (report.people, report.people_without_values, people),
        (0, 1_500, 0)
    );
    assert!(steps > 1, "{steps}");
    let (report, people, _) = scope(BreachVector::Files);
    assert_eq!((report.people, people), (1_500, 1_500));
    assert!(
        bench
            .vault
            .jobs()
            .list()
            .iter()
            .all(|job| job.state == crate::jobs::JobState::Done)
    );
    // One at a time; and whoever ends the job ends it.
    let mut first = bench
        .vault
        .begin_breach_scope(&call(&keyholder, None), &input(BreachVector::Files))
        .unwrap();
    let second = bench
        .vault
        .begin_breach_scope(&call(&keyholder, None), &input(BreachVector::Files));
    assert!(matches!(second, Err(Refusal::Conflict(_))));
    bench.vault.jobs().cancel(first.job().unwrap());
    let ended = bench.vault.breach_step(&mut first, &mut Vec::new());
    assert!(matches!(ended, Err(Refusal::Conflict(_))));
}

#[test]
fn the_register_comes_back_with_a_backup() {
    let scene = Scene::new(1);
    let keyholder = scene.keyholder();
    let vault = &scene.bench.vault;
    let noted = noted(vault);
    let assessed = IncidentStepInput {
        at: None,
        text: "the tape holds ciphertext".into(),
        late_reason: None,
        risk: Some(Risk::Unlikely),
        exemption: None,
        scope: None,
    };
    let step = IncidentStep::Assessed;
    vault
        .step_incident(&call(&keyholder, None), noted, step, assessed)
        .unwrap();
    scene.back_up(Parts::Both).unwrap();
    let (_, restored, _locked) = scene.restore("r");
    let owner = restored.keyholder();
    let back = restored.incident(&call(&owner, None), noted).unwrap();
    assert_eq!(
        (&*back.listed.summary, back.history.len()),
        ("a tape is missing", 1)
    );
    assert_eq!(back.listed.state, Some(IncidentStep::Assessed));
    // Its row alone opens nothing at another name.
    let other = IncidentId::from_bytes([9; 16]);
    assert!(matches!(
        restored.incident(&call(&owner, None), other),
        Err(Refusal::NotFound(_))
    ));
    restored.close();
}

/// What a person may be found by as long as they live does not go where it outlives them.
#[test]
fn an_id_of_a_person_in_a_text_of_the_register_is_refused_and_that_of_a_key_is_not() {
    let scene = Scene::new(1);
    let keyholder = scene.keyholder();
    let vault = &scene.bench.vault;
    let subject = scene.people[0].to_string();
    let input = |summary: String| IncidentInput {
        aware_at: vault.engine.now(),
        nature: vec![Nature::Confidentiality],
        vector: Vector::ApiKey,
        from: None,
        to: None,
        summary,
        scope: None,
    };
    let note = |summary| vault.note_incident(&call(&keyholder, None), input(summary));
    let pointer = |refused: Result<_, Refusal>| match refused {
        Err(Refusal::Invalid(errors)) => {
            assert_eq!((errors.len(), errors[0].code), (1, "personal_data"));
            assert!(!errors[0].detail.contains(&subject[4..]));
            errors[0].pointer.clone()
        }
        other => panic!("{other:?}"),
    };
    let token = scene.bot.token().unwrap();
    let incident = note(format!("the key {token} leaked"))
        .unwrap()
        .listed
        .incident;
    for text in [format!("{subject} called us"), subject[4..].to_uppercase()] {
        assert_eq!(pointer(note(text.clone())), "/summary");
        let step = |text: &str, late_reason: Option<String>| IncidentStepInput {
            at: None,
            text: text.into(),
            late_reason,
            risk: Some(Risk::High),
            exemption: None,
            scope: None,
        };
        let take = |input| {
            let step = IncidentStep::Assessed;
            vault.step_incident(&call(&keyholder, None), incident, step, input)
        };
        assert_eq!(pointer(take(step(&text, None))), "/text");
        assert_eq!(pointer(take(step("late", Some(text)))), "/late_reason");
    }
    let (report, _) = find(&scene, BreachVector::Files);
    let mut scope = serde_json::to_value(&report).unwrap();
    let with = |scope: Value| {
        let scope = Some(scope);
        let input = IncidentInput {
            scope,
            ..input("files were copied".into())
        };
        vault.note_incident(&call(&keyholder, None), input)
    };
    assert_eq!(with(scope.clone()).unwrap().scope, Some(scope.clone()));
    // What stands beside the report is not kept; what stands in it is looked at.
    scope["people_named"] = json!(["a name"]);
    let kept = with(scope.clone()).unwrap().scope.unwrap();
    assert!(!kept.to_string().contains("a name"));
    scope["of"]["name"] = json!(subject);
    assert_eq!(pointer(with(scope)), "/scope");
}
