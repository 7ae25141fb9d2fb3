//! What whoever runs the vault asked of it: policies from a file, and long work.

use std::sync::atomic::Ordering;

use vault_core::jobs::JobCounts;

use super::figures::Figure;
use crate::policy_file::PolicyReloads;

/// What came of the policy file.
pub(super) fn policy_file(reloads: &PolicyReloads) -> Vec<Figure> {
    let PolicyReloads { applied, failed } = reloads;
    vec![
        Figure::counter(
            "vault_policy_reloads",
            "Policies that were put in force from vault.policy",
            applied.load(Ordering::Relaxed),
        ),
        Figure::counter(
            "vault_policy_reload_failures",
            "Reloads of vault.policy that left the policy before in force",
            failed.load(Ordering::Relaxed),
        ),
    ]
}

/// Long work.
pub(super) fn jobs(counts: &[JobCounts]) -> Vec<Figure> {
    let kind = |count: &JobCounts| ("kind", count.kind.name());
    let running = counts
        .iter()
        .map(|count| (vec![kind(count)], count.running));
    let ended = counts.iter().flat_map(|count| {
        let JobCounts {
            kind: _,
            running: _,
            done,
            cancelled,
            failed,
        } = *count;
        let ways = [("done", done), ("cancelled", cancelled), ("failed", failed)];
        ways.map(|(way, number)| (vec![kind(count), ("result", way)], number))
    });
    vec![
        Figure::gauges(
            "vault_jobs_running",
            "Long work under way, by kind",
            running.collect(),
        ),
        Figure::counters(
            "vault_jobs_ended",
            "Long work that ended since the vault was opened, by kind and result",
            ended.collect(),
        ),
    ]
}
