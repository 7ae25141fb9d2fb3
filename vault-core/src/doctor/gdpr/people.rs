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

/// Whether no role has this capability.
fn nobody(policy: &Policy, capability: Capability) -> bool {
    !policy.roles().any(|role| role.may(capability))
}

pub(super) fn notice(policy: &Policy, findings: &mut Findings) {
    match policy.notice_gate() {
        NoticeGate::Off => findings.law(
            Severity::Warning,
            "notice_gate_off",
            "Art. 13(1)",
            "notice.gate",
            "writes do not wait for a notice: whether people are informed at collection rests with each bot",
            "[notice] gate = \"before_write\"",
        ),
        NoticeGate::BeforeWrite if nobody(policy, Capability::NoticesRecord) => findings.law(
            Severity::Error,
            "nobody_records_notices",
            "Art. 13(1), 14(1)",
            "roles",
            "writes wait for a notice, and no role can record that one was shown: everything new is refused",
            "give the role of whoever shows it, a bot or an import, the capability notices.record",
        ),
        NoticeGate::BeforeWrite => {}
    }
    for purpose in policy.purposes() {
        if purpose.basis == LawfulBasis::Consent {
            findings.law(
                Severity::Note,
                "consent_waits_for_no_notice",
                "Art. 7(1)",
                format!("purposes.{}", purpose.name),
                "consent has to be informed, and a consent is recorded with the gate or without: only the bot's word says that a notice was shown before",
                "have the bot show the notice before it asks, record that, and name it as the `notice` of the consent",
            );
        }
    }
}

pub(super) fn rights(policy: &Policy, findings: &mut Findings) {
    let on = |basis: &[LawfulBasis]| {
        let mut purposes = policy.purposes().iter();
        purposes.any(|purpose| basis.contains(&purpose.basis))
    };
    let mut check = |due: bool, severity, capability: Capability, code, article, what: &str| {
        if due && nobody(policy, capability) {
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
    let marketing = || policy.purposes().iter().filter(|one| one.direct_marketing);
    check(
        marketing().next().is_some(),
        // A consent that is withdrawn ends the marketing as well.
        match marketing().all(|purpose| purpose.basis == LawfulBasis::Consent) {
            true => Severity::Warning,
            false => Severity::Error,
        },
        Capability::ObjectionsRecord,
        "nobody_ends_marketing",
        "Art. 21(2)",
        "no role can record that a person objects to direct marketing",
    );
    check(
        true,
        Severity::Warning,
        Capability::RestrictionsSet,
        "nobody_restricts",
        "Art. 18(1)",
        "no role can restrict the use of a person's data",
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
                "ask the age before the consent and tell it (PUT …/age), or do not offer this to children",
            );
        }
    }
}
