//! Scopes of breaches by backup, with people who were erased since, in more slices than one; and the register
//! through a backup and its restore.

use super::copies::Scene;
use super::*;
use crate::backup::registry::Part;
use crate::backup::write::Parts;
use crate::breach::BreachReport;
use crate::id::IncidentId;
use crate::incident::{IncidentStep, Nature, Risk, Vector};
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
    noted.unwrap().incident
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
fn the_register_comes_back_with_a_backup_and_lies_under_the_keys_of_a_deep_rotation() {
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
        (&*back.summary, back.history.len()),
        ("a tape is missing", 1)
    );
    assert_eq!(back.state, Some(IncidentStep::Assessed));
    // Its row alone opens nothing at another name.
    let other = IncidentId::from_bytes([9; 16]);
    assert!(matches!(
        restored.incident(&call(&owner, None), other),
        Err(Refusal::NotFound(_))
    ));
    restored.close();
}
