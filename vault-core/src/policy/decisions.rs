//! Kinds of decisions that are taken about people: how, by what right, from which fields, and what people are told
//! of it.
//!
//! A kind need not stand here to be recorded. What stands here is told in the public statement, and holds for every
//! record of the kind.
//!
//! Source: GDPR Art. 13(2)(f), 22.

use std::collections::BTreeMap;

use super::draft::Content;
use super::finding::Findings;
use super::reader::{At, Section};
use super::{Automation, DecisionBasis, Period, Policy, keys, parse};
use crate::limits::DECISION_INPUTS_MAX;

/// Most kinds of a policy.
pub const DECISION_KINDS_MAX: usize = 200;

/// A kind of decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionKind {
    /// The name inside the policy, and in records.
    pub name: String,
    /// What people are told it is, by language; each language of the controller.
    pub titles: BTreeMap<String, String>,
    /// Whether it has legal effects for the person, or affects them as much.
    pub significant: bool,
    /// How much of it a machine does.
    pub automation: Automation,
    /// By what right it is taken by automated means alone.
    pub basis: Option<DecisionBasis>,
    /// The law that authorises it.
    pub law: Option<String>,
    /// The id of the purpose that it serves.
    pub purpose: Option<u16>,
    /// Collection and field of what may go into it; anything, where there is none.
    pub inputs: Vec<(u16, u16)>,
    /// The logic involved, by language.
    pub logic: BTreeMap<String, String>,
    /// What it means for the person, by language.
    pub consequences: BTreeMap<String, String>,
    /// Until when after a contest somebody has looked at it, where that is sooner than a request is answered.
    pub review_within: Option<Period>,
}

impl DecisionKind {
    /// Whether it is one of those that nobody is to be subject to but for Art. 22(2).
    #[must_use]
    pub fn is_solely_automated(&self) -> bool {
        self.significant && self.automation == Automation::Full
    }
}

/// What the file says of a kind, by name.
#[derive(Clone, Debug)]
pub(super) struct DraftDecision {
    pub(super) at: At<String>,
    pub(super) path: String,
    pub(super) purpose: Option<At<String>>,
    pub(super) inputs: Vec<At<String>>,
    /// Without purpose and inputs.
    pub(super) kind: DecisionKind,
}

/// Reads the section.
pub(super) fn read(root: &Section<'_>, findings: &mut Findings) -> Vec<DraftDecision> {
    let kinds = root.sections(findings, "decisions", DECISION_KINDS_MAX);
    let kinds = kinds.into_iter();
    kinds.map(|(at, one)| kind(at, &one, findings)).collect()
}

fn kind(at: At<String>, section: &Section<'_>, findings: &mut Findings) -> DraftDecision {
    section.know(findings, keys::DECISION);
    if !section.has("automation") {
        findings.report(
            section.line,
            &section.path,
            "missing",
            Some("Art. 22(1)"),
            || {
                "needs `automation`: full, assisted or human, how much of it does a machine do?"
                    .to_owned()
            },
        );
    }
    let inputs = section.texts(findings, "inputs");
    if inputs.len() > DECISION_INPUTS_MAX {
        let (line, path) = (section.line_of(findings, "inputs"), section.at("inputs"));
        findings.report(line, &path, "too_many", None, || {
            format!("at most {DECISION_INPUTS_MAX} fields")
        });
    }
    let review_within = parse::period(section, findings, "review_within");
    if review_within
        .as_ref()
        .is_some_and(|period| period.is_zero() || period.units()[4..] != [0; 3])
    {
        let (line, path) = (
            section.line_of(findings, "review_within"),
            section.at("review_within"),
        );
        findings.report(line, &path, "bad_period", Some("Art. 22(3)"), || {
            "expected months, weeks or days, such as P14D".to_owned()
        });
    }
    let kind = DecisionKind {
        name: at.value.clone(),
        titles: parse::by_language(section, "title", findings),
        significant: section.flag(findings, "significant"),
        automation: section
            .word(findings, "automation", "unknown_word")
            .unwrap_or(Automation::Human),
        basis: section.word(findings, "art22_basis", "unknown_word"),
        law: section.text(findings, "law").map(|text| text.value),
        purpose: None,
        inputs: Vec::new(),
        logic: parse::by_language(section, "logic", findings),
        consequences: parse::by_language(section, "consequences", findings),
        review_within,
    };
    DraftDecision {
        purpose: section.text(findings, "purpose"),
        path: section.path.clone(),
        inputs,
        kind,
        at,
    }
}

/// What a kind lacks in itself. Whether its safeguards suffice is `doctor --gdpr`'s to ask.
pub(super) fn check(content: &Content, findings: &mut Findings) {
    for draft in &content.decisions {
        let (line, kind) = (draft.at.line, &draft.kind);
        for language in &content.controller.languages {
            if !kind.titles.contains_key(language) {
                let article = Some("Art. 12(1)");
                findings.report(line, &draft.path, "no_title", article, || {
                    format!("needs `title.{language}`: the controller informs in this language")
                });
            }
        }
        let told = [("logic", &kind.logic), ("consequences", &kind.consequences)];
        for (key, texts) in told {
            let missing = content.controller.languages.iter();
            // In each language or in none: a statement that lacks it in one would leave out what another says.
            for language in missing.filter(|tag| !texts.is_empty() && !texts.contains_key(*tag)) {
                let path = format!("{}.{key}", draft.path);
                findings.report(line, &path, "no_translation", Some("Art. 13(2)(f)"), || {
                    format!("needs `{key}.{language}`: the controller informs in this language")
                });
            }
        }
        if kind.basis == Some(DecisionBasis::Law) && kind.law.is_none() {
            findings.report(line, &draft.path, "no_law", Some("Art. 22(2)(b)"), || {
                "needs `law`: which law authorises it, and lays down safeguards?".to_owned()
            });
        }
        if kind.basis == Some(DecisionBasis::ExplicitConsent) && draft.purpose.is_none() {
            findings.report(
                line,
                &draft.path,
                "no_purpose",
                Some("Art. 22(2)(c)"),
                || "needs `purpose`: to which do people consent explicitly?".to_owned(),
            );
        }
    }
}

/// In one line, for whoever reviews a policy.
pub(super) fn text(policy: &Policy, kind: &DecisionKind) -> String {
    let mut parts = vec![kind.automation.name().to_owned()];
    if kind.significant {
        parts.push("significant".to_owned());
    }
    parts.extend(kind.basis.map(|basis| format!("by {}", basis.name())));
    parts.extend(kind.law.as_ref().map(|law| format!("under {law}")));
    let purpose = kind.purpose.and_then(|id| policy.purpose_by_id(id));
    parts.extend(purpose.map(|purpose| format!("for {}", purpose.name)));
    let inputs = kind.inputs.iter().filter_map(|(collection, field)| {
        let collection = policy.collection_by_id(*collection)?;
        let field = collection.field_by_id(*field)?;
        Some(format!("{}.{}", collection.name, field.name))
    });
    let inputs: Vec<String> = inputs.collect();
    parts.push(match inputs.is_empty() {
        true => "from any field".to_owned(),
        false => format!("from {}", inputs.join(" ")),
    });
    let within = kind.review_within.as_ref();
    parts.extend(within.map(|period| format!("reviewed within {period}")));
    let told = [("logic", &kind.logic), ("consequences", &kind.consequences)];
    for (what, texts) in told {
        // In one language, as elsewhere.
        parts.extend(texts.values().next().map(|text| format!("{what}: {text}")));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use crate::policy::{Draft, SAMPLE, diff, show};

    const WHOLE: &str = r#"
[decisions.refund]
title.en = "Refunds"
title.de = "Erstattungen"
significant = true
automation = "full"
art22_basis = "contract"
purpose = "support"
inputs = ["profile.slots", "messages.text"]
logic.en = "the age of the order"
logic.de = "das Alter der Bestellung"
consequences.en = "your money, or not"
consequences.de = "Ihr Geld oder nicht"
review_within = "P14D"
"#;

    /// Codes and places of what is wrong with the sample and this section.
    fn found(section: &str) -> Vec<(&'static str, String)> {
        match Draft::parse(&format!("{SAMPLE}{section}")) {
            Ok(_) => Vec::new(),
            Err(findings) => findings
                .into_iter()
                .map(|finding| (finding.code, finding.path))
                .collect(),
        }
    }

    #[track_caller]
    fn one(from: &str, to: &str, code: &'static str, path: &str) {
        let changed = WHOLE.replace(from, to);
        assert_ne!(changed, WHOLE, "{from} is not in the section");
        assert_eq!(found(&changed), [(code, path.to_owned())]);
    }

    #[test]
    fn a_kind_is_whole_or_told_what_it_lacks() {
        assert_eq!(found(WHOLE), []);
        let kind = "decisions.refund";
        one("title.de = \"Erstattungen\"\n", "", "no_title", kind);
        one("automation = \"full\"\n", "", "missing", kind);
        let path = "decisions.refund.automation";
        one("\"full\"", "\"robot\"", "unknown_word", path);
        one("\"contract\"", "\"law\"", "no_law", kind);
        let path = "decisions.refund.purpose";
        one("\"support\"", "\"suport\"", "unknown_purpose", path);
        let path = "decisions.refund.inputs";
        one("profile.slots", "profile.slot", "unknown_field", path);
        one("profile.slots", "profile", "bad_pattern", path);
        let path = "decisions.refund.logic";
        one("logic.de = ", "logic.fr = ", "no_translation", path);
        let path = "decisions.refund.review_within";
        one("P14D", "PT1H", "bad_period", path);
        one("P14D", "P0D", "bad_period", path);
        let consent = WHOLE
            .replace("\"contract\"", "\"explicit_consent\"")
            .replace("purpose = \"support\"\n", "");
        assert_eq!(found(&consent), [("no_purpose", kind.to_owned())]);
        let unknown = format!("{WHOLE}score = 3\n");
        assert_eq!(found(&unknown), [("unknown_key", format!("{kind}.score"))]);
    }

    #[test]
    fn a_kind_is_shown_and_what_changes_in_it_is_told() {
        let policy = |source: &str| {
            let draft = Draft::parse(source).expect("a policy");
            draft.assign(None, 1).expect("numbers")
        };
        let (none, one) = (policy(SAMPLE), policy(&format!("{SAMPLE}{WHOLE}")));
        let kind = one.decision("refund").expect("it is there");
        assert!(kind.is_solely_automated());
        assert_eq!(kind.inputs.len(), 2);
        assert!(one.decision("credit").is_none());
        let shown = show(&one);
        assert!(shown.contains("\ndecisions\n"));
        assert!(shown.contains(
            "refund  full, significant, by contract, for support, from profile.slots messages.text"
        ));
        assert!(!show(&none).contains("\ndecisions\n"));
        let added = diff(&none, &one);
        assert!(
            added[0].starts_with("decision refund: added, full"),
            "{added:?}"
        );
        assert_eq!(diff(&one, &none), ["decision refund: removed"]);
        let assisted = WHOLE.replace("\"full\"", "\"assisted\"");
        let other = policy(&format!("{SAMPLE}{assisted}"));
        let changed = diff(&one, &other);
        assert!(
            changed[0].contains("full, significant") && changed[0].contains("→ assisted"),
            "{changed:?}"
        );
        assert!(
            !other
                .decision("refund")
                .expect("there")
                .is_solely_automated()
        );
    }
}
