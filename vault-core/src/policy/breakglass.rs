//! Emergency access: which fields at most, for which purpose, how long.
//!
//! Without the section nobody has any. Knows nothing of who asks and who approves.
//!
//! Source: GDPR Art. 5(1)(b) and (f), 6(1)(d), 18(2), 32.

use std::collections::BTreeSet;

use super::draft::{Content, Pattern};
use super::finding::Findings;
use super::reader::{At, Section};
use super::role::{Role, RoleOrigin, Target};
use super::{Period, RestrictedUse, View, keys, parse};
use crate::limits::{EMERGENCY_SECONDS_DEFAULT, EMERGENCY_SECONDS_MAX, SESSION_CALLS_MAX};

/// Reads of one emergency, unless the policy says otherwise.
const READS_DEFAULT: u32 = 20;

/// What emergency access comes to at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breakglass {
    /// The id of the purpose for which its reads count.
    pub purpose: u16,
    /// How long one lasts at most, in seconds.
    pub seconds_max: i64,
    /// Reads of one emergency.
    pub reads: u32,
    /// Fields and claims, as of a role that nobody has.
    rule: Role,
}

impl Breakglass {
    /// How much of a field it shows at most.
    #[must_use]
    pub fn view(&self, collection_id: u16, field_id: u16) -> View {
        self.rule.view(collection_id, field_id)
    }

    /// Whether restricted data may be used for this (Art. 18(2) GDPR).
    #[must_use]
    pub fn may_claim(&self, claim: RestrictedUse) -> bool {
        self.rule.may_claim(claim)
    }

    /// What somebody in the role `name` may do in an emergency that is about these fields: see them for
    /// the one purpose, and nothing else.
    pub(crate) fn role(&self, name: &str, fields: &[(u16, u16)]) -> Role {
        let mut role = self.rule.narrowed(self.purpose, fields);
        role.name = name.to_owned();
        for claim in RestrictedUse::ALL {
            if self.may_claim(*claim) {
                role.allow_claim(*claim);
            }
        }
        role
    }
}

/// What the file says of it, by name.
#[derive(Clone, Debug)]
pub(super) struct DraftBreakglass {
    line: usize,
    path: String,
    purpose: At<String>,
    read: Vec<(At<Pattern>, View)>,
    seconds_max: i64,
    reads: u32,
    restricted_use: BTreeSet<RestrictedUse>,
}

/// Reads the section.
pub(super) fn read(root: &Section<'_>, findings: &mut Findings) -> Option<DraftBreakglass> {
    let section = root.section(findings, "breakglass")?;
    section.know(findings, keys::BREAKGLASS);
    let purpose = At {
        line: section.line_of(findings, "purpose"),
        value: section.needed_text(
            findings,
            "purpose",
            Some("Art. 5(1)(b)"),
            "an emergency is no purpose: say for which its reads count",
        ),
    };
    let read = parse::read_rules(&section, findings);
    if read.is_empty() {
        findings.report(section.line, &section.path, "missing", None, || {
            "needs `read`: which fields an emergency may show at most".to_owned()
        });
    }
    let period = parse::period(&section, findings, "expires");
    let seconds_max = period.map_or(EMERGENCY_SECONDS_DEFAULT, |period| seconds(&period));
    if !(1..=EMERGENCY_SECONDS_MAX).contains(&seconds_max) {
        let line = section.line_of(findings, "expires");
        findings.report(line, &section.at("expires"), "out_of_range", None, || {
            format!("emergency access lasts at most {EMERGENCY_SECONDS_MAX} seconds (PT4H)")
        });
    }
    let reads = section.number(findings, "reads", u64::from(SESSION_CALLS_MAX));
    let reads = reads.and_then(|reads| u32::try_from(reads).ok());
    if reads == Some(0) {
        let line = section.line_of(findings, "reads");
        findings.report(line, &section.at("reads"), "out_of_range", None, || {
            "at least one; without the section nobody has emergency access".to_owned()
        });
    }
    Some(DraftBreakglass {
        line: section.line,
        path: section.path.clone(),
        purpose,
        read,
        seconds_max,
        reads: reads.unwrap_or(READS_DEFAULT),
        restricted_use: parse::restricted_use(&section, findings),
    })
}

/// Whole seconds; beyond every bound where it has days.
fn seconds(period: &Period) -> i64 {
    match period.units() {
        [0, 0, 0, 0, hours, minutes, seconds] => {
            i64::from(hours) * 3_600 + i64::from(minutes) * 60 + i64::from(seconds)
        }
        _ => i64::MAX,
    }
}

/// Whether a pattern reaches a field.
fn reaches(pattern: &Pattern, collection: &str, field: &str) -> bool {
    match pattern {
        Pattern::All => true,
        Pattern::Collection(name) => name == collection,
        Pattern::Field(of, name) => of == collection && name == field,
    }
}

/// Reports what the rest of the policy contradicts. That names exist is `check`'s.
pub(super) fn check(content: &Content, findings: &mut Findings) {
    let Some(draft) = &content.breakglass else {
        return;
    };
    let purpose = draft.purpose.value.as_str();
    let known = content.purposes.iter().find(|one| one.at.value == purpose);
    let Some(known) = known else { return };
    let path = format!("{}.purpose", draft.path);
    if known.purpose.direct_marketing {
        findings.report(
            draft.purpose.line,
            &path,
            "marketing",
            Some("Art. 21(3)"),
            || "direct marketing knows no emergency: name another purpose".to_owned(),
        );
    }
    let path = format!("{}.read", draft.path);
    for (pattern, view) in &draft.read {
        let mut fields = content.collections.iter().flat_map(|collection| {
            let fields = collection.fields.iter();
            fields.map(move |field| (collection.at.value.as_str(), field))
        });
        let serves = fields.any(|(collection, field)| {
            reaches(&pattern.value, collection, &field.at.value)
                && field.purposes.iter().any(|one| one.value == purpose)
        });
        if *view != View::None && !serves {
            let article = Some("Art. 5(1)(b)");
            findings.report(pattern.line, &path, "other_purpose", article, || {
                format!(
                    "no field here is collected for `{purpose}`, and so none would be shown: add the \
                     purpose to the field, or remove this"
                )
            });
        }
    }
    let path = format!("{}.restricted_use", draft.path);
    let others = [RestrictedUse::Consent, RestrictedUse::LegalClaims];
    for claim in draft
        .restricted_use
        .iter()
        .filter(|one| others.contains(one))
    {
        findings.report(
            draft.line,
            &path,
            "no_emergency",
            Some("Art. 18(2)"),
            || {
                format!(
                    "`{}` is no emergency: `others_rights` or `public_interest`",
                    claim.name()
                )
            },
        );
    }
}

impl DraftBreakglass {
    pub(super) fn purpose(&self) -> &At<String> {
        &self.purpose
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn read(&self) -> &[(At<Pattern>, View)] {
        &self.read
    }

    /// With numbers in the place of names.
    pub(super) fn build(self, purpose: u16, target: impl Fn(&Pattern) -> Target) -> Breakglass {
        let mut rule = Role::new("breakglass".into(), RoleOrigin::Policy, vec![purpose], []);
        for (pattern, view) in &self.read {
            rule.allow_read(target(&pattern.value), *view);
        }
        for claim in self.restricted_use {
            rule.allow_claim(claim);
        }
        Breakglass {
            purpose,
            seconds_max: self.seconds_max,
            reads: self.reads,
            rule,
        }
    }
}

/// How it reads in a sentence.
pub(super) fn text(policy: &super::Policy) -> String {
    let Some(breakglass) = policy.breakglass() else {
        return "off".to_owned();
    };
    let purpose = policy.purpose_by_id(breakglass.purpose);
    let fields = policy.collections().iter().flat_map(|collection| {
        let fields = collection.fields.iter();
        fields.filter_map(
            move |field| match breakglass.view(collection.id, field.id) {
                View::None => None,
                view => Some(format!(
                    "{}.{} {}",
                    collection.name,
                    field.name,
                    view.name()
                )),
            },
        )
    });
    let claims = RestrictedUse::ALL.iter();
    let claims = claims.filter(|claim| breakglass.may_claim(**claim));
    let claims: Vec<&str> = claims.map(|claim| claim.name()).collect();
    let restricted = match claims.is_empty() {
        true => String::new(),
        false => format!(", restricted data for {}", claims.join(" ")),
    };
    format!(
        "for {}, at most {} s and {} reads, of {}{restricted}",
        purpose.map_or("no purpose", |purpose| &purpose.name),
        breakglass.seconds_max,
        breakglass.reads,
        fields.collect::<Vec<_>>().join(", "),
    )
}

#[cfg(test)]
mod tests {
    use crate::policy::{Draft, Policy, RestrictedUse, SAMPLE, View};

    const SECTION: &str = "\n[breakglass]\npurpose = \"support\"\nread = { \"profile.*\" = \"full\", \
        \"profile.card\" = \"mask\" }\nexpires = \"PT30M\"\nrestricted_use = [\"others_rights\"]\n";

    fn policy(section: &str) -> Result<Policy, Vec<String>> {
        let codes = |findings: Vec<crate::policy::Finding>| {
            findings
                .iter()
                .map(|one| format!("{} {}", one.path, one.code))
                .collect()
        };
        let draft = Draft::parse(&format!("{SAMPLE}{section}")).map_err(codes)?;
        draft.assign(None, 1).map_err(codes)
    }

    #[test]
    fn without_the_section_there_is_no_emergency_and_with_it_no_more_than_it_says() {
        assert_eq!(policy("").expect("a policy").breakglass(), None);
        let policy = policy(SECTION).expect("a policy");
        let breakglass = policy.breakglass().expect("there is one");
        assert_eq!((breakglass.seconds_max, breakglass.reads), (1_800, 20));
        let profile = policy.collection("profile").expect("it has one");
        let number = |name: &str| (profile.id, profile.field(name).expect("it has it").id);
        let role = breakglass.role("agent", &[number("name"), number("card")]);
        let view = |name| role.view(number(name).0, number(name).1);
        assert_eq!(
            (view("name"), view("card"), view("email")),
            (View::Full, View::Mask, View::None)
        );
        assert!(role.serves(breakglass.purpose) && role.purposes.len() == 1);
        assert!(role.may_claim(RestrictedUse::OthersRights));
        assert!(!role.may_claim(RestrictedUse::LegalClaims));
        assert_eq!(role.capabilities().count(), 0);
        assert!(!role.may_write(number("name").0, number("name").1));
    }

    #[test]
    fn what_is_no_emergency_is_a_finding() {
        for (from, to, finding) in [
            ("support", "suport", "breakglass.purpose unknown_purpose"),
            ("support", "newsletter", "breakglass.purpose marketing"),
            ("PT30M", "PT4H1S", "breakglass.expires out_of_range"),
            ("PT30M", "P1D", "breakglass.expires out_of_range"),
            ("PT30M", "PT0S", "breakglass.expires out_of_range"),
            (
                "others_rights",
                "legal_claims",
                "breakglass.restricted_use no_emergency",
            ),
            (
                "profile.card",
                "profile.cart",
                "breakglass.read unknown_field",
            ),
            (
                "profile.*",
                "profil.*",
                "breakglass.read unknown_collection",
            ),
            ("expires", "expire", "breakglass.expire unknown_key"),
            ("\npurpose = \"support\"", "", "breakglass.purpose missing"),
            (
                "expires",
                "reads = 0\nexpires",
                "breakglass.reads out_of_range",
            ),
        ] {
            assert!(SECTION.contains(from), "{from}");
            let found = policy(&SECTION.replace(from, to)).expect_err(finding);
            assert!(
                found.iter().any(|one| one == finding),
                "{found:?} {finding}"
            );
        }
        let other =
            "\n[breakglass]\npurpose = \"newsletter\"\nread = { \"messages.*\" = \"full\" }\n";
        let found = policy(other).expect_err("collected for something else");
        assert!(
            found
                .iter()
                .any(|one| one == "breakglass.read other_purpose"),
            "{found:?}"
        );
    }
}
