//! A policy's effect as text: what is stored, what for, and who sees what of it.
//!
//! Knows nothing of values: there are none in a policy.

use std::fmt::Write as _;

use super::diff::{ages_text, purpose_names, retention_text};
use super::{Collection, Policy, RestrictedUse, RoleOrigin, View};

/// The effect of a policy, for reading: wildcards are resolved, defaults are filled in.
#[must_use]
pub fn show(policy: &Policy) -> String {
    let mut out = String::new();
    let digest: String = policy.sha256[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    line(
        &mut out,
        format_args!("policy version {}, sha256 {digest}…", policy.version),
    );
    let controller = &policy.controller;
    line(
        &mut out,
        format_args!("controller {}, {}", controller.name, controller.contact),
    );
    line(&mut out, format_args!("notice gate {}", policy.gate.name()));
    line(&mut out, format_args!("proof kept {}", policy.proof));
    let counts = policy.counts.text();
    line(&mut out, format_args!("counts told from {counts}"));
    let ages = ages_text(policy);
    line(
        &mut out,
        format_args!("people consent for themselves from {ages}"),
    );
    let requests = policy.requests.text();
    line(
        &mut out,
        format_args!("requests are answered within {requests}"),
    );

    let emergencies = super::breakglass::text(policy);
    line(&mut out, format_args!("emergency access {emergencies}"));
    let within = &policy.incidents.notify_within;
    line(
        &mut out,
        format_args!("the authority is told of a breach within {within}"),
    );

    out.push_str("\npurposes\n");
    let mut rows = Vec::new();
    for purpose in &policy.purposes {
        rows.push(vec![
            purpose.name.clone(),
            purpose.basis.name().to_owned(),
            retention_text(&purpose.retention),
            if purpose.direct_marketing {
                "direct marketing"
            } else {
                ""
            }
            .to_owned(),
            purpose.recipients.join(", "),
            // In one language, for whoever reviews it.
            purpose
                .interests
                .values()
                .next()
                .cloned()
                .unwrap_or_default(),
        ]);
    }
    table(&mut out, &rows);

    if !policy.recipients.is_empty() {
        out.push_str("\nrecipients\n");
        let rows: Vec<_> = policy
            .recipients
            .iter()
            .map(|item| {
                let safeguard = item
                    .safeguard
                    .as_ref()
                    .map_or("", |safeguard| safeguard.kind.name());
                [&item.name, &item.legal_name, &item.country, safeguard]
                    .map(str::to_owned)
                    .to_vec()
            })
            .collect();
        table(&mut out, &rows);
    }
    for item in &policy.collections {
        collection(policy, item, &mut out);
    }

    if !policy.logs.is_empty() {
        out.push_str("\nlogs\n");
        let logs = policy.logs.iter();
        let rows: Vec<_> = logs.map(|one| vec![one.name.clone(), one.text()]).collect();
        table(&mut out, &rows);
    }

    out.push_str("\nroles\n");
    let mut rows = Vec::new();
    for role in policy.roles() {
        let origin = match role.origin {
            RoleOrigin::Default => "default",
            RoleOrigin::Policy => "",
            RoleOrigin::Reserved => "reserved",
        };
        let may: Vec<&str> = role
            .capabilities()
            .map(|capability| capability.name())
            .collect();
        let purposes = purpose_names(policy, &role.purposes).join(", ");
        let claims: Vec<&str> = RestrictedUse::ALL
            .iter()
            .filter(|claim| role.may_claim(**claim))
            .map(|claim| claim.name())
            .collect();
        let may = if may.is_empty() {
            "nothing".to_owned()
        } else {
            may.join(" ")
        };
        rows.push(vec![
            role.name.clone(),
            origin.to_owned(),
            purposes,
            format!("may {may}"),
            match claims.is_empty() {
                true => String::new(),
                false => format!("restricted data for {}", claims.join(" ")),
            },
        ]);
    }
    table(&mut out, &rows);
    out
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("a string takes all that is written to it");
}

/// One row a field; one column a role that reads, writes or asks anything here. `w` stands for
/// writing, a question mark before the tests.
fn collection(policy: &Policy, collection: &Collection, out: &mut String) {
    let retention = collection.retention.as_ref();
    let retention = retention.map_or(String::new(), |period| format!(", at most {period}"));
    let kind = collection.kind.name();
    line(
        out,
        format_args!("\ncollection {} ({kind}{retention})", collection.name),
    );
    let cell = |role: &super::Role, field: u16| {
        let mut parts = Vec::new();
        match role.view(collection.id, field) {
            View::None => {}
            view => parts.push(view.name().to_owned()),
        }
        if role.may_write(collection.id, field) {
            parts.push("w".to_owned());
        }
        parts.extend(
            role.asks(collection.id, field)
                .map(|test| format!("?{test}")),
        );
        parts.join(" ")
    };
    let roles: Vec<_> = policy
        .roles()
        .filter(|role| {
            collection
                .fields
                .iter()
                .any(|field| !cell(role, field.id).is_empty())
        })
        .collect();
    let mut head: Vec<String> = ["field", "type", "purposes", ""]
        .map(str::to_owned)
        .to_vec();
    head.extend(roles.iter().map(|role| role.name.clone()));
    let mut rows = vec![head];
    for field in &collection.fields {
        let mut marks = Vec::new();
        if field.lookup {
            marks.push("lookup".to_owned());
        }
        if let Some(special) = field.special {
            marks.push(special.name().to_owned());
        }
        marks.extend(field.blob.as_ref().map(ToString::to_string));
        let mut row = vec![
            field.name.clone(),
            field.kind.name().to_owned(),
            purpose_names(policy, &field.purposes).join(", "),
            marks.join(" "),
        ];
        row.extend(roles.iter().map(|role| match cell(role, field.id) {
            empty if empty.is_empty() => "-".to_owned(),
            cell => cell,
        }));
        rows.push(row);
    }
    table(out, &rows);
}

/// Columns as wide as their widest cell; a column without any content is left out.
fn table(out: &mut String, rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|at| {
            rows.iter()
                .map(|row| row[at].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    for row in rows {
        let mut text = String::new();
        for (cell, &width) in row.iter().zip(&widths).filter(|(_, width)| **width > 0) {
            write!(text, "  {cell:<width$}").expect("a string takes all that is written to it");
        }
        line(out, format_args!("{}", text.trim_end()));
    }
}
