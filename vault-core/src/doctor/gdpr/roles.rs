//! Roles that see or can do more than one job needs.

use crate::doctor::{Findings, Severity};
use crate::policy::{Capability, Policy, Role, View};

/// Of how few fields it is no wonder that a role reads all.
const FEW: usize = 3;

pub(super) fn roles(policy: &Policy, findings: &mut Findings) {
    for role in policy.roles() {
        let place = format!("roles.{}", role.name);
        if role.may(Capability::SubjectsExport) && role.may(Capability::RecordsBulk) {
            findings.law(
                Severity::Warning,
                "export_and_bulk",
                "Art. 32(1)(b)",
                &place,
                "it works across people and exports them: one stolen key takes the whole vault away",
                "give subjects.export and records.bulk to two roles",
            );
        }
        let (read, all) = full(policy, role);
        let widens = role.may(Capability::PolicyApply) || role.may(Capability::ApiKeysManage);
        // The bot that writes every field reads them back; whoever looks at people needs less.
        if all > FEW && read == all && role.may(Capability::SubjectsView) {
            findings.law(
                Severity::Warning,
                "reads_everything",
                "Art. 25(2)",
                &place,
                format!(
                    "it reads all {all} fields in full, and people at it see whom they look at"
                ),
                "name the fields that the job needs, mask the others (\"mask\"), or let it `ask`",
            );
        }
        if read > 0 && widens {
            findings.law(
                Severity::Warning,
                "widens_itself",
                "Art. 32(4)",
                &place,
                "it reads values and can change who reads what (policy.apply, api_keys.manage): no second person stands between",
                "give policy.apply and api_keys.manage to a role that reads nothing",
            );
        }
    }
}

/// Fields that a role reads in full, and fields.
fn full(policy: &Policy, role: &Role) -> (usize, usize) {
    let mut counts = (0, 0);
    for collection in policy.collections() {
        for field in &collection.fields {
            counts.1 += 1;
            counts.0 += usize::from(role.view(collection.id, field.id) == View::Full);
        }
    }
    counts
}
