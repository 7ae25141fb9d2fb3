//! What people are told, and what they can have done.

use crate::doctor::{Findings, Severity};
use crate::policy::{Capability, EEA, LawfulBasis, NoticeGate, Policy};

/// Whether the policy has a field that needs a condition of its own.
fn special(policy: &Policy) -> bool {
    let mut fields = policy.collections().iter().flat_map(|c| &c.fields);
    fields.any(|field| field.special.is_some())
}

pub(super) fn controller(policy: &Policy, findings: &mut Findings) {
    let controller = policy.controller();
    if controller.authority.is_none() {
        findings.law(
            Severity::Error,
            "no_authority",
            "Art. 13(2)(d)",
            "controller.authority",
            "people are not told where they may complain",
            "name the supervisory authority of your country",
        );
    }
    if controller.dpo.is_none() {
        let (severity, what) = match special(policy) {
            true => (
                Severity::Error,
                "special data are kept and no data protection officer can be reached",
            ),
            false => (
                Severity::Warning,
                "no data protection officer can be reached; many controllers need one",
            ),
        };
        findings.law(
            severity,
            "no_dpo",
            match special(policy) {
                true => "Art. 37(1)(c)",
                false => "Art. 13(1)(b)",
            },
            "controller.dpo",
            what,
            "name how to reach the officer, or write down why there is none (Art. 37)",
        );
    }
    if controller.address.is_none() {
        findings.law(
            Severity::Warning,
            "no_address",
            "Art. 13(1)(a)",
            "controller.address",
            "people are told a name and a contact, and not where the controller is",
            "add the postal address",
        );
    }
    match controller.country.as_deref() {
        None => findings.law(
            Severity::Warning,
            "no_country",
            "Art. 13(1)(a)",
            "controller.country",
            "nothing says in which country the controller is established",
            "add the country, such as country = \"NL\"",
        ),
        Some(country) if !EEA.contains(&country) => findings.law(
            Severity::Warning,
            "no_representative",
            "Art. 27(1)",
            "controller.country",
            format!("{country} is outside the EEA: a representative inside may be due"),
            "designate one and name them in `address` and `contact`, or write down why not (Art. 27(2))",
        ),
        Some(_) => {}
    }
}

pub(super) fn notice(policy: &Policy, findings: &mut Findings) {
    if policy.notice_gate() == NoticeGate::BeforeWrite {
        return;
    }
    findings.law(
        Severity::Warning,
        "notice_gate_off",
        "Art. 13(1)",
        "notice.gate",
        "writes do not wait for a notice: whether people are informed at collection rests with each bot",
        "[notice] gate = \"before_write\"",
    );
    for purpose in policy.purposes() {
        if purpose.basis == LawfulBasis::Consent {
            findings.law(
                Severity::Note,
                "consent_without_gate",
                "Art. 7(1)",
                format!("purposes.{}", purpose.name),
                "consent has to be informed, and without the gate only the bot's word says that a notice was shown before",
                "[notice] gate = \"before_write\", or have the bot record the notice with each consent",
            );
        }
    }
}

pub(super) fn rights(policy: &Policy, findings: &mut Findings) {
    let nobody = |capability| !policy.roles().any(|role| role.may(capability));
    let on = |basis: &[LawfulBasis]| {
        let mut purposes = policy.purposes().iter();
        purposes.any(|purpose| basis.contains(&purpose.basis))
    };
    let mut check = |due: bool, severity, capability: Capability, code, article, what: &str| {
        if due && nobody(capability) {
            let todo = format!("give a role the capability {}", capability.name());
            findings.law(severity, code, article, "roles", what, todo);
        }
    };
    check(
        on(&[LawfulBasis::Consent]),
        Severity::Error,
        Capability::ConsentsRecord,
        "nobody_records_consent",
        "Art. 7(3)",
        "no role can record a consent, nor its withdrawal",
    );
    check(
        on(&[LawfulBasis::LegitimateInterests, LawfulBasis::PublicTask]),
        Severity::Error,
        Capability::ObjectionsRecord,
        "nobody_records_objections",
        "Art. 21(1)",
        "no role can record that a person objects",
    );
    check(
        true,
        Severity::Error,
        Capability::SubjectsErase,
        "nobody_erases",
        "Art. 17(1)",
        "no role can erase a person",
    );
    check(
        true,
        Severity::Error,
        Capability::SubjectsExport,
        "nobody_exports",
        "Art. 15(3)",
        "no role can make a person's copy",
    );
    check(
        true,
        Severity::Warning,
        Capability::RequestsCreate,
        "nobody_takes_requests",
        "Art. 12(2)",
        "no role can take a request: in the conversation people have no way to their rights",
    );
    check(
        true,
        Severity::Warning,
        Capability::RequestsDecide,
        "nobody_decides_requests",
        "Art. 12(3)",
        "no role can decide a request",
    );
}

pub(super) fn children(policy: &Policy, findings: &mut Findings) {
    let mut fields = policy.collections().iter().flat_map(|c| &c.fields);
    let tells = fields.any(|field| {
        let category = field.category.as_deref().unwrap_or("");
        category.contains("date_of_birth") || category.contains("age_range")
    });
    if tells {
        return;
    }
    for purpose in policy.purposes() {
        if purpose.basis == LawfulBasis::Consent {
            findings.law(
                Severity::Note,
                "no_age",
                "Art. 8(1)",
                format!("purposes.{}", purpose.name),
                "it rests on consent, and no field tells whether a child's parent has to be asked (below 16, or 13 to 15 by the law of the country)",
                "ask the age before the consent (`age_at_least` of a date of birth tells no more than that), or do not offer this to children",
            );
        }
    }
}
