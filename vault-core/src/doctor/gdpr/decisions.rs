//! Decisions about people that no human takes, and whether somebody looks at them again.

use crate::doctor::{Findings, Severity};
use crate::policy::{Capability, Policy};

pub(super) fn decisions(policy: &Policy, findings: &mut Findings) {
    let nobody = |capability| !policy.roles().any(|role| role.may(capability));
    for kind in policy.decisions() {
        let place = || format!("decisions.{}", kind.name);
        if kind.significant && nobody(Capability::DecisionsReview) {
            findings.law(
                Severity::Error,
                "nobody_reviews_decisions",
                "Art. 22(3)",
                place(),
                "it affects people significantly, and no role can review it: who contests it meets nobody",
                "give a role of people who may change it the capability decisions.review",
            );
        }
        if !kind.is_solely_automated() {
            continue;
        }
        if kind.basis.is_none() {
            findings.law(
                Severity::Error,
                "no_art22_basis",
                "Art. 22(2)",
                place(),
                "it is taken by automated means alone and affects people significantly, and nothing says by what right: \
                 it cannot be recorded, and ought not to be taken",
                "name art22_basis (contract, law or explicit_consent), or have a human decide",
            );
        }
        for (missing, code, what) in [
            (
                kind.logic.is_empty(),
                "no_logic",
                "people are not told the logic involved",
            ),
            (
                kind.consequences.is_empty(),
                "no_consequences",
                "people are not told what it means for them",
            ),
        ] {
            if missing {
                findings.law(
                    Severity::Error,
                    code,
                    "Art. 13(2)(f)",
                    place(),
                    what,
                    "say it in each language of the controller, so that somebody without your knowledge understands it",
                );
            }
        }
        let special = kind.inputs.iter().any(|(collection, field)| {
            let collection = policy.collection_by_id(*collection);
            let field = collection.and_then(|collection| collection.field_by_id(*field));
            field.is_some_and(|field| {
                field.is_of_art9()
                    && !field.wants_explicit_consent()
                    && !field.serves_substantial_public_interest()
            })
        });
        if special {
            findings.law(
                Severity::Error,
                "special_data_decided",
                "Art. 22(4)",
                place(),
                "special data go into it, under a condition that allows no such decision",
                "leave the field out, ask for explicit consent (art9 = \"explicit consent\"), or name the law of \
                 substantial public interest (9(2)(g))",
            );
        }
        findings.law(
            Severity::Warning,
            "impact_assessment_due",
            "Art. 35(3)(a)",
            place(),
            "a systematic evaluation of people on which significant decisions are based needs an impact assessment \
             before it begins, and this file has no place for one",
            "make the assessment, keep it where the authority can see it, and look at it again when the kind changes",
        );
    }
}
