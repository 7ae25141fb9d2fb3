//! Which decisions may be recorded: what Art. 22 asks of one that nobody looks at, checked before it is written.
//!
//! Each refusal names its article. Knows what the caller and the policy say, not whether it is true.

use std::collections::BTreeMap;

use super::super::call::Context;
use super::super::input::{self, check_text};
use super::DecisionInput;
use crate::automated::stored::Decided;
use crate::commit::View;
use crate::consent;
use crate::decision;
use crate::limits::{
    DECISION_INPUTS_MAX, DECISION_LANGUAGES_MAX, LABEL_BYTES_MAX, REASON_BYTES_MAX,
};
use crate::person::Person;
use crate::policy::{
    Automation, Collection, DecisionBasis, DecisionKind, Field, LawfulBasis, Policy,
};
use crate::refusal::{InputError, Refusal};
use crate::standing::Standing;

/// What is found wrong.
struct Faults(Vec<InputError>);

impl Faults {
    fn add(&mut self, pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) {
        self.0.push(input::error(pointer, code, detail));
    }

    /// Said by whoever records it, or by the policy; where both say something, it is the same.
    fn said<T: PartialEq + Clone>(
        &mut self,
        pointer: &str,
        given: Option<&T>,
        declared: Option<&T>,
    ) -> Option<T> {
        match (given, declared) {
            (Some(given), Some(declared)) if given != declared => {
                let detail = "the policy says otherwise of this kind: leave it out, or give it a kind of its own";
                self.add(pointer, "contradicts_policy", detail);
                None
            }
            (given, declared) => given.or(declared).cloned(),
        }
    }
}

/// `[a-z][a-z0-9_]{0,62}`, as every name of a policy.
fn is_name(text: &str) -> bool {
    text.len() <= 63
        && text
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Texts by language: of the caller, who may say of this decision more than the policy does of its kind, or else
/// of the policy.
fn told(
    faults: &mut Faults,
    pointer: &str,
    given: &BTreeMap<String, String>,
    declared: Option<&BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    if given.is_empty() {
        return declared.cloned().unwrap_or_default();
    }
    if given.len() > DECISION_LANGUAGES_MAX {
        let detail = format!("at most {DECISION_LANGUAGES_MAX} languages");
        faults.add(pointer, "too_many", detail);
    }
    for (language, text) in given {
        let fits = (2..=35).contains(&language.len())
            && language
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !fits {
            let detail = "each member is a language tag such as en or de-AT";
            faults.add(pointer, "bad_language", detail);
        }
        check_text(&mut faults.0, pointer, text, REASON_BYTES_MAX);
    }
    given.clone()
}

/// A field that went into it, and where the call says so.
struct Input<'p> {
    pointer: String,
    collection: &'p Collection,
    field: &'p Field,
}

/// The fields that went into it: those of the call, or else all that the policy has for this kind. So that nothing is
/// got past by naming none.
fn inputs<'p>(
    faults: &mut Faults,
    policy: &'p Policy,
    input: &DecisionInput,
    declared: Option<&DecisionKind>,
) -> Vec<Input<'p>> {
    if input.inputs.len() > DECISION_INPUTS_MAX {
        let detail = format!("at most {DECISION_INPUTS_MAX} fields");
        faults.add("/inputs", "too_many", detail);
        return Vec::new();
    }
    let allowed = declared.map(|kind| &kind.inputs[..]).unwrap_or_default();
    let mut found = Vec::new();
    if input.inputs.is_empty() {
        found.extend(allowed.iter().filter_map(|(collection, field)| {
            let collection = policy.collection_by_id(*collection)?;
            Some(Input {
                pointer: "/inputs".into(),
                collection,
                field: collection.field_by_id(*field)?,
            })
        }));
    }
    for (at, path) in input.inputs.iter().enumerate() {
        let pointer = format!("/inputs/{at}");
        let Ok((collection, field)) = input::field(policy, path) else {
            faults.add(pointer, "unknown_field", "`collection.field` of the policy");
            continue;
        };
        if !allowed.is_empty() && !allowed.contains(&(collection.id, field.id)) {
            let detail = "the policy does not have it among what this kind is decided from (Art. 5(1)(b) GDPR)";
            faults.add(pointer.clone(), "not_declared", detail);
        }
        found.push(Input {
            pointer,
            collection,
            field,
        });
    }
    found
}

/// Whether the person consents explicitly to a purpose, now.
fn explicit(view: &dyn View, person: &Person, purpose: u16) -> Result<bool, Refusal> {
    let mut standing = Standing::of(view, person)?;
    standing.consent = consent::state(view, person, purpose)?;
    Ok(standing.consents_explicitly())
}

/// What a significant decision needs that no human takes.
fn solely_automated(
    view: &dyn View,
    policy: &Policy,
    person: &Person,
    decided: &Decided,
    fields: &[Input<'_>],
    faults: &mut Faults,
) -> Result<(), Refusal> {
    let purpose = decided.purpose.and_then(|id| policy.purpose_by_id(id));
    match decided.basis {
        None => faults.add(
            "/art22_basis",
            "no_art22_basis",
            "nobody is subject to a significant decision by automated means alone, but where a contract needs it, a \
             law authorises it, or they consent explicitly (Art. 22(1), (2) GDPR): name the basis, or have a human \
             decide",
        ),
        Some(DecisionBasis::Law) if decided.law.is_none() => faults.add(
            "/law",
            "required",
            "which law authorises it, and lays down safeguards (Art. 22(2)(b) GDPR)",
        ),
        Some(DecisionBasis::Law) => {}
        Some(DecisionBasis::Contract) => {
            if purpose.is_some_and(|purpose| purpose.basis != LawfulBasis::Contract) {
                let detail = "this purpose rests on no contract, which the decision would have to be needed for (Art. \
                              22(2)(a) GDPR)";
                faults.add("/purpose", "no_contract", detail);
            }
        }
        Some(DecisionBasis::ExplicitConsent) => match purpose {
            None => faults.add(
                "/purpose",
                "required",
                "the purpose that they have consented to explicitly (Art. 22(2)(c) GDPR)",
            ),
            Some(purpose) if !explicit(view, person, purpose.id)? => faults.add(
                "/purpose",
                "no_explicit_consent",
                "the person has not consented to this purpose explicitly, or does so no more (Art. 22(2)(c) GDPR)",
            ),
            Some(_) => {}
        },
    }
    if fields.is_empty() {
        let detail = "which fields of the policy it is decided from: whether special data are among them cannot be \
                      told otherwise (Art. 22(4) GDPR)";
        faults.add("/inputs", "required", detail);
    }
    for Input { pointer, field, .. } in fields {
        if !field.is_of_art9() || field.serves_substantial_public_interest() {
            continue;
        }
        let consents = match purpose.filter(|purpose| field.purposes.contains(&purpose.id)) {
            Some(purpose) if field.wants_explicit_consent() => explicit(view, person, purpose.id)?,
            _ => false,
        };
        if !consents {
            let detail = "special data go into no such decision, but with explicit consent to its `purpose` that the \
                          field is for, or for substantial public interest (Art. 22(4), 9(2)(a), (g) GDPR)";
            faults.add(pointer.clone(), "special_data", detail);
        }
    }
    for (pointer, code, texts, what) in [
        ("/logic", "no_logic", &decided.logic, "the logic involved"),
        (
            "/consequences",
            "no_consequences",
            &decided.consequences,
            "what it means for the person",
        ),
    ] {
        let languages = policy.controller().languages.iter();
        let missing: Vec<&str> = languages
            .filter(|language| !texts.contains_key(*language))
            .map(String::as_str)
            .collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            let detail = format!(
                "people are told {what} in each language of the controller (Art. 13(2)(f), 15(1)(h) GDPR): {missing} \
                 is missing; say it here, or in the policy's section of this kind"
            );
            faults.add(pointer, code, detail);
        }
    }
    Ok(())
}

/// What is recorded, if it may be.
pub(super) fn pass(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    person: &Person,
    input: &DecisionInput,
) -> Result<Decided, Refusal> {
    let mut faults = Faults(Vec::new());
    if !is_name(&input.kind) {
        let detail = "a small letter and at most 62 small letters, digits or underscores";
        faults.add("/kind", "bad_name", detail);
    }
    let declared = policy.decision(&input.kind);
    check_text(&mut faults.0, "/outcome", &input.outcome, REASON_BYTES_MAX);
    for (pointer, text) in [
        ("/model_version", &input.model_version),
        ("/law", &input.law),
    ] {
        if let Some(text) = text {
            check_text(&mut faults.0, pointer, text, LABEL_BYTES_MAX);
        }
    }
    let significant = faults.said(
        "/significant",
        input.significant.as_ref(),
        declared.map(|kind| &kind.significant),
    );
    let automation = match (input.automation, declared.map(|kind| kind.automation)) {
        // A human may always take what a machine could have taken. That one only looked on is another thing: of a
        // kind that is `full`, it would be the way past Art. 22.
        (Some(Automation::Human), Some(_)) => Some(Automation::Human),
        (Some(given), declared) => faults.said("/automation", Some(&given), declared.as_ref()),
        (None, declared) => declared,
    };
    for (pointer, missing, what) in [
        (
            "/significant",
            significant.is_none(),
            "whether it has legal effects for the person, or affects them as much (Art. 22(1) GDPR)",
        ),
        (
            "/automation",
            automation.is_none(),
            "`full`, `assisted` or `human`: a score that somebody relies on heavily is `full` (CJEU C-634/21)",
        ),
    ] {
        if missing && faults.0.iter().all(|fault| fault.pointer != pointer) {
            faults.add(pointer, "required", what);
        }
    }
    let given = match &input.purpose {
        None => None,
        Some(name) => {
            let purpose = policy.purpose(name).ok_or(Refusal::NotFound("purpose"))?;
            Some(purpose.id)
        }
    };
    let fields = inputs(&mut faults, policy, input, declared);
    let decided = Decided {
        kind: input.kind.clone(),
        model_version: input.model_version.clone(),
        inputs: fields
            .iter()
            .map(|one| (one.collection.id, one.field.id))
            .collect(),
        outcome: Some(input.outcome.clone()),
        significant: significant.unwrap_or(true),
        automation: automation.unwrap_or(Automation::Full),
        basis: faults.said(
            "/art22_basis",
            input.basis.as_ref(),
            declared.and_then(|kind| kind.basis.as_ref()),
        ),
        law: faults.said(
            "/law",
            input.law.as_ref(),
            declared.and_then(|kind| kind.law.as_ref()),
        ),
        purpose: faults.said(
            "/purpose",
            given.as_ref(),
            declared.and_then(|kind| kind.purpose.as_ref()),
        ),
        logic: told(
            &mut faults,
            "/logic",
            &input.logic,
            declared.map(|kind| &kind.logic),
        ),
        consequences: told(
            &mut faults,
            "/consequences",
            &input.consequences,
            declared.map(|kind| &kind.consequences),
        ),
    };
    // What is wrong in form says nothing yet of what is wrong in law.
    if faults.0.is_empty() && decided.significant && decided.automation == Automation::Full {
        solely_automated(view, policy, person, &decided, &fields, &mut faults)?;
    }
    if !faults.0.is_empty() {
        return Err(Refusal::Invalid(faults.0));
    }
    // What is only to be stored goes into no decision (Art. 18(2)).
    let (role, standing) = (context.role(policy)?, Standing::of(view, person)?);
    for Input { collection, .. } in &fields {
        decision::unrestricted(collection, &role, &standing, context.restricted_use)?;
    }
    Ok(decided)
}
