//! Jobs as callers see them, and a policy from the operator's own file.

use super::*;
use crate::jobs::{JobKind, JobState};

const MANAGERS: &str = "
[roles.clerk]
may = [\"retention.run\"]
[roles.keeper]
may = [\"keys.manage\"]
";

fn bench() -> Bench {
    Bench::of(&format!("{SAMPLE}{MANAGERS}"))
}

#[test]
fn jobs_are_for_whoever_may_begin_one_and_are_ended_by_whoever_may_begin_their_like() {
    let bench = bench();
    let job = bench
        .vault
        .jobs()
        .begin(JobKind::Rotation, "people")
        .unwrap();
    job.progress(3, Some(9));
    for role in ["clerk", "dpo", "keeper", "operator"] {
        let who = bench.role(role);
        let jobs = bench.vault.list_jobs(&call(&who, None)).unwrap();
        assert_eq!((jobs.len(), jobs[0].done), (1, 3), "{role}");
        let one = bench.vault.job(&call(&who, None), job.number()).unwrap();
        assert_eq!(one.kind, JobKind::Rotation);
        let none = bench.vault.job(&call(&who, None), 99).map(|_| ());
        assert!(matches!(none, Err(Refusal::NotFound(_))), "{role}");
    }
    for role in ["bot", "agent", "auditor"] {
        let who = bench.role(role);
        let denied = |answer: Result<(), Refusal>| {
            assert!(matches!(answer, Err(Refusal::RoleDenied(_))), "{role}");
        };
        denied(bench.vault.list_jobs(&call(&who, None)).map(|_| ()));
        denied(bench.vault.job(&call(&who, None), 1).map(|_| ()));
        denied(bench.vault.cancel_job(&call(&who, None), 1).map(|_| ()));
    }
    let clerk = bench.role("clerk");
    let another_kind = bench.vault.cancel_job(&call(&clerk, None), 1).map(|_| ());
    assert!(matches!(another_kind, Err(Refusal::RoleDenied(_))));
    assert!(!job.cancelled());
    let keeper = bench.role("keeper");
    bench.vault.cancel_job(&call(&keeper, None), 1).unwrap();
    assert!(job.cancelled());
    job.ended_early();
    let over = bench.vault.cancel_job(&call(&keeper, None), 1).unwrap();
    assert_eq!(over.state, JobState::Cancelled);
}

#[test]
fn a_run_of_the_sweeper_is_a_job_and_a_round_with_nothing_left_is_none() {
    let bench = bench();
    let round = bench.vault.sweep_run(Sweep::Due, 100).unwrap();
    assert_eq!((round.passes, round.more), (1, false));
    assert!(bench.vault.jobs().list().is_empty());
    let run = bench.vault.sweep_run(Sweep::All, 100).unwrap();
    assert!(run.passes >= 1 && !run.more);
    let jobs = bench.vault.jobs().list();
    let job = &jobs[0];
    assert_eq!((job.kind, &job.state), (JobKind::Sweep, &JobState::Done));
    assert_eq!(job.done, u64::from(run.passes));
    // One at a time, and the second changes nothing of the first.
    let other = bench.vault.jobs().begin(JobKind::Sweep, "passes").unwrap();
    let second = bench.vault.sweep_run(Sweep::All, 100);
    assert!(matches!(second, Err(Refusal::Conflict(_))));
    other.done();
}

fn actions(bench: &Bench, action: &str) -> usize {
    let keyholder = bench.vault.keyholder();
    let query = AuditQuery {
        action: Some(action.into()),
        last: 100,
        ..AuditQuery::default()
    };
    let page = bench.vault.audit(&call(&keyholder, None), &query).unwrap();
    page.entries.len()
}

#[test]
fn a_policy_file_is_put_in_force_once_and_the_log_says_that_nobody_called() {
    let bench = bench();
    let before = format!("{SAMPLE}{MANAGERS}");
    assert!(bench.vault.reload_policy(&before).unwrap().is_none());
    assert_eq!(actions(&bench, "policy.reload"), 0);
    let after = before.replace("P90D", "P30D");
    let applied = bench.vault.reload_policy(&after).unwrap().unwrap();
    assert_eq!(applied.version, 2);
    assert!(applied.changes.iter().any(|change| change.contains("P30D")));
    assert!(bench.vault.reload_policy(&after).unwrap().is_none());
    assert_eq!(actions(&bench, "policy.reload"), 1);
    assert_eq!(actions(&bench, "policy.apply"), 0);
    // In force at once: a role that is gone may no more.
    let clerk = bench.role("clerk");
    assert!(bench.vault.list_jobs(&call(&clerk, None)).is_ok());
    let without = after.replace("may = [\"retention.run\"]", "may = []");
    bench.vault.reload_policy(&without).unwrap().unwrap();
    let denied = bench.vault.list_jobs(&call(&clerk, None)).map(|_| ());
    assert!(matches!(denied, Err(Refusal::RoleDenied(_))));
}

#[test]
fn a_policy_file_that_does_not_pass_leaves_what_is_in_force() {
    let bench = bench();
    let broken = SAMPLE.replace("purposes = [\"support\"], lookup = true", "lookup = true");
    let refused = bench.vault.reload_policy(&broken);
    let Err(Refusal::Invalid(findings)) = refused else {
        panic!("a field without a purpose was taken");
    };
    let said = &findings[0].detail;
    assert!(
        said.starts_with("line ") && said.contains("Art. 5(1)(b)"),
        "{said}"
    );
    assert_eq!(bench.vault.status().unwrap().policy_version, 1);
    bench.vault.close();
    let locked = bench.vault.reload_policy(SAMPLE);
    assert!(matches!(locked, Err(Refusal::Locked)));
}

#[test]
fn the_slots_are_seen_without_a_secret_and_beside_whoever_holds_the_vault() {
    let bench = bench();
    let paths = VaultPaths::beside(&bench.dir.path().join("v"));
    let seen = LockedVault::slots_seen(&paths).unwrap();
    let kinds: Vec<_> = seen.iter().map(|slot| (slot.number, slot.kind)).collect();
    assert_eq!(
        kinds,
        [(1, SlotKind::Passphrase), (2, SlotKind::RecoveryKey)]
    );
    let now = crate::crypto::Argon2Params::DEFAULT.parts();
    assert_eq!(seen[0].cost, now);
    std::fs::write(paths.anchor.join("slots"), vec![0; 128 << 10]).unwrap();
    let damaged = LockedVault::slots_seen(&paths);
    assert!(matches!(damaged, Err(OpenError::Slots(_))));
}
