//! Purposes, recipients and fields: kept too long, never used, not named.

use crate::doctor::{Findings, Severity};
use crate::policy::{
    Capability, EEA, LawfulBasis, LogMode, LogStream, Policy, SafeguardKind, View,
};

/// From how many hours on a retention is worth a look: ten years, the longest that tax law commonly asks.
const LONG_HOURS: u32 = 10 * 366 * 24;

pub(super) fn purposes(policy: &Policy, findings: &mut Findings) {
    for purpose in policy.purposes() {
        let place = format!("purposes.{}", purpose.name);
        if purpose.retention.period.hours() > LONG_HOURS && purpose.retention.law.is_none() {
            findings.law(
                Severity::Warning,
                "long_retention",
                "Art. 5(1)(e)",
                &place,
                format!(
                    "data are kept for {}, longer than ten years",
                    purpose.retention.period
                ),
                "shorten the period, or name the law that asks for it: `retention.law`",
            );
        }
        if purpose.basis == LawfulBasis::LegitimateInterests && purpose.interests.is_empty() {
            findings.law(
                Severity::Warning,
                "no_interests",
                "Art. 13(1)(d)",
                &place,
                "it rests on legitimate interests, and people are not told which",
                "say which, in each language of the controller: `interests.en = \"…\"`",
            );
        }
        let mut fields = policy.collections().iter().flat_map(|c| &c.fields);
        if !fields.any(|field| field.purposes.contains(&purpose.id)) {
            findings.law(
                Severity::Warning,
                "purpose_unused",
                "Art. 5(1)(b)",
                &place,
                "no field is collected for it: people are told of a processing that there is not",
                "remove it, or name it in the `purposes` of the fields that it needs",
            );
        }
        if !policy.roles().any(|role| role.serves(purpose.id)) {
            findings.law(
                Severity::Warning,
                "purpose_unserved",
                "Art. 5(1)(c)",
                &place,
                "no role works for it: what is collected for it alone is never used",
                "remove it, or name it in the `purposes` of a role",
            );
        }
    }
}

/// From how many hours on a log is worth a look: a year. Source: CNIL, délibération n° 2021-122 of 14 October 2021,
/// which recommends six months to one year.
const LONG_LOG_HOURS: u32 = 366 * 24;

pub(super) fn logs(policy: &Policy, findings: &mut Findings) {
    for stream in policy.log_streams() {
        if stream.retention.hours() > LONG_LOG_HOURS {
            findings.law(
                Severity::Warning,
                "long_log",
                "Art. 5(1)(e)",
                format!("logs.{}", stream.name),
                format!(
                    "lines are kept for {}, longer than a year",
                    stream.retention
                ),
                "shorten the period, or write down which law or which risk asks for it",
            );
        }
        idle_readers(policy, stream, findings);
    }
}

/// Readers of whole lines who are refused all the same: whoever reads serves the stream's purpose, but for packages
/// of people's own data.
fn idle_readers(policy: &Policy, stream: &LogStream, findings: &mut Findings) {
    let whole = stream.mode == LogMode::Encrypt;
    let purpose = stream.purpose.filter(|_| whole);
    let Some(purpose) = purpose.and_then(|purpose| policy.purpose_by_id(purpose)) else {
        return;
    };
    let roles = stream.readers.iter().filter_map(|name| policy.role(name));
    let (reading, idle): (Vec<_>, Vec<_>) =
        roles.partition(|role| role.purposes.contains(&purpose.id));
    if reading.is_empty() {
        findings.law(
            Severity::Warning,
            "log_unread",
            "Art. 5(1)(b)",
            format!("logs.{}.readers", stream.name),
            format!(
                "none of them serves the stream's purpose `{}`, so nobody can read what is kept for it",
                purpose.name
            ),
            "give one of them that purpose, name another role, or keep no whole lines",
        );
    }
    for role in idle {
        if !role.may(Capability::SubjectsExport) {
            findings.law(
                Severity::Warning,
                "reader_without_purpose",
                "Art. 5(1)(b)",
                format!("logs.{}.readers", stream.name),
                format!(
                    "the role `{}` does not serve the stream's purpose `{}`, and sees none of its lines",
                    role.name, purpose.name
                ),
                "give the role that purpose, or take it out of `readers`",
            );
        }
    }
}

pub(super) fn recipients(policy: &Policy, findings: &mut Findings) {
    for recipient in policy.recipients() {
        let place = format!("recipients.{}", recipient.name);
        let used = |purpose: &crate::policy::Purpose| purpose.recipients.contains(&recipient.name);
        if !policy.purposes().iter().any(used) {
            findings.law(
                Severity::Warning,
                "recipient_unused",
                "Art. 13(1)(e)",
                &place,
                "no purpose names it, so people are not told of it",
                "remove it, or name it in the `recipients` of a purpose",
            );
        }
        if recipient.webhook.is_none() {
            findings.law(
                Severity::Note,
                "recipient_not_told",
                "Art. 19",
                &place,
                "it has no `webhook`: somebody has to tell it of each erasure, correction and restriction by hand",
                "write down who does, from GET /v1/admin/recipient-notices?state=manual; or give it a `webhook`",
            );
        }
        let Some(safeguard) = &recipient.safeguard else {
            continue;
        };
        if !EEA.contains(&recipient.country.as_str()) && safeguard.kind == SafeguardKind::Derogation
        {
            findings.law(
                Severity::Warning,
                "derogation",
                "Art. 49(1)",
                &place,
                "transfers rest on a derogation, which is for specific situations and not for all",
                "agree on standard contractual clauses (safeguard = \"scc\"), or check that each transfer fits",
            );
        }
    }
}

pub(super) fn fields(policy: &Policy, findings: &mut Findings) {
    for collection in policy.collections() {
        for field in &collection.fields {
            let place = format!("collections.{}.fields.{}", collection.name, field.name);
            let used = policy.roles().any(|role| {
                role.view(collection.id, field.id) > View::None
                    || role.asks(collection.id, field.id).next().is_some()
            });
            if !used && !field.lookup {
                findings.law(
                    Severity::Warning,
                    "field_unread",
                    "Art. 5(1)(c)",
                    &place,
                    "no role reads it or asks it anything: it is collected and not needed",
                    "remove the field, or let a role read or ask it",
                );
            }
            if field.category.is_none() {
                findings.law(
                    Severity::Warning,
                    "no_category",
                    "Art. 30(1)(c)",
                    &place,
                    "it has no category, so the records of processing and the statement cannot say what it is",
                    "add `category`, such as \"user.contact.email\"",
                );
            }
            if let Some(special) = field.special {
                findings.law(
                    Severity::Note,
                    "special_data",
                    "Art. 35(3)(b)",
                    &place,
                    format!("special data ({}) are kept: at large scale an impact assessment is due first", special.name()),
                    "write the assessment down, or why none is due",
                );
            }
        }
    }
}
