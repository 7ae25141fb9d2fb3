//! Every key that a policy file may have.
//!
//! The parser knows no other, and docs/policy.md has a row for each: a test compares them.

pub(super) const TOP: &[&str] = &[
    "controller",
    "purposes",
    "recipients",
    "collections",
    "roles",
    "notice",
    "proof",
    "children",
    "counts",
    "requests",
    "honey",
    "breakglass",
    "incidents",
    "logs",
];
pub(super) const CONTROLLER: &[&str] = &[
    "name",
    "address",
    "contact",
    "dpo",
    "authority",
    "country",
    "languages",
    "timezone",
    "holidays",
];
pub(super) const PURPOSE: &[&str] = &[
    "title",
    "basis",
    "interests",
    "direct_marketing",
    "retention",
    "recipients",
    "renamed_from",
];
pub(super) const RETENTION: &[&str] = &["after", "period", "date", "law"];
pub(super) const RECIPIENT: &[&str] = &["name", "country", "safeguard", "webhook"];
pub(super) const COLLECTION: &[&str] = &["kind", "retention", "fields", "renamed_from"];
pub(super) const FIELD: &[&str] = &[
    "type",
    "category",
    "purposes",
    "lookup",
    "media_types",
    "bytes_max",
    "special",
    "art9",
    "necessity",
    "source",
    "renamed_from",
];
pub(super) const ROLE: &[&str] = &["purposes", "read", "write", "ask", "may", "restricted_use"];
pub(super) const NOTICE: &[&str] = &["gate"];
pub(super) const PROOF: &[&str] = &["period"];
pub(super) const CHILDREN: &[&str] = &["consent_from", "countries"];
pub(super) const COUNTS: &[&str] = &["k", "exact", "per_day"];
pub(super) const REQUESTS: &[&str] = &["period", "extension", "asked_within"];
pub(super) const HONEY: &[&str] = &["people", "left_out_for"];
pub(super) const HONEY_PERSON: &[&str] = &["channel", "user", "values"];
pub(super) const BREAKGLASS: &[&str] = &["purpose", "read", "expires", "reads", "restricted_use"];
pub(super) const INCIDENTS: &[&str] = &["notify_within"];
pub(super) const LOG: &[&str] = &[
    "title",
    "mode",
    "retention",
    "detect",
    "known_values",
    "purpose",
    "readers",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{
        Anchor, Capability, LawfulBasis, LogMode, Necessity, NoticeGate, Origin, RestrictedUse,
        SafeguardKind, SpecialCategory,
    };
    use crate::schema::FieldType;

    const EVERY: &[(&str, &[&str])] = &[
        ("", TOP),
        ("controller.", CONTROLLER),
        ("purposes.NAME.", PURPOSE),
        ("purposes.NAME.retention.", RETENTION),
        ("recipients.NAME.", RECIPIENT),
        ("collections.NAME.", COLLECTION),
        ("collections.NAME.fields.NAME.", FIELD),
        ("roles.NAME.", ROLE),
        ("notice.", NOTICE),
        ("proof.", PROOF),
        ("children.", CHILDREN),
        ("counts.", COUNTS),
        ("requests.", REQUESTS),
        ("honey.", HONEY),
        ("honey.people.NAME.", HONEY_PERSON),
        ("breakglass.", BREAKGLASS),
        ("incidents.", INCIDENTS),
        ("logs.NAME.", LOG),
    ];

    fn guide() -> String {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/policy.md");
        std::fs::read_to_string(path).expect("the guide is part of the repository")
    }

    #[test]
    fn the_guide_has_a_row_for_every_key_and_no_other() {
        let guide = guide();
        let mut known: Vec<String> = EVERY
            .iter()
            .flat_map(|(prefix, keys)| keys.iter().map(move |key| format!("{prefix}{key}")))
            .collect();
        let (_, table) = guide
            .split_once("## Every key")
            .expect("the guide has the table");
        let (table, _) = table
            .split_once("\n## ")
            .expect("a section follows the table");
        let mut documented: Vec<String> = table
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
            .map(|(key, _)| key.to_owned())
            .collect();
        known.sort();
        documented.sort();
        assert_eq!(documented, known);
    }

    #[test]
    fn the_guide_names_every_word_that_a_policy_may_use() {
        let guide = guide();
        let words = FieldType::ALL
            .iter()
            .map(|word| word.name())
            .chain(Capability::ALL.iter().map(|word| word.name()))
            .chain(LawfulBasis::ALL.iter().map(|word| word.name()))
            .chain(Anchor::ALL.iter().map(|word| word.name()))
            .chain(SpecialCategory::ALL.iter().map(|word| word.name()))
            .chain(Necessity::ALL.iter().map(|word| word.name()))
            .chain(Origin::ALL.iter().map(|word| word.name()))
            .chain(SafeguardKind::ALL.iter().map(|word| word.name()))
            .chain(NoticeGate::ALL.iter().map(|word| word.name()))
            .chain(RestrictedUse::ALL.iter().map(|word| word.name()))
            .chain(LogMode::ALL.iter().map(|word| word.name()))
            .chain(crate::detect::Kind::ALL.iter().map(|word| word.name()))
            .chain(
                FieldType::ALL
                    .iter()
                    .flat_map(|kind| kind.tests().iter().copied()),
            );
        for word in words {
            assert!(
                guide.contains(&format!("`{word}`")),
                "{word} is missing in docs/policy.md"
            );
        }
    }
}
