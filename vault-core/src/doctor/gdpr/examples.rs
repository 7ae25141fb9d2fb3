//! The example policies of the documentation leave nothing open but what no file can settle.

use super::of_source;
use crate::doctor::Severity;
use crate::policy::{Draft, NoticeGate};

const EXAMPLES: [(&str, &str); 3] = [
    ("shop", include_str!("../../../../docs/policies/shop.toml")),
    (
        "clinic",
        include_str!("../../../../docs/policies/clinic.toml"),
    ),
    ("bank", include_str!("../../../../docs/policies/bank.toml")),
];

#[test]
fn art_5_2_the_example_policies_leave_no_finding_but_notes() {
    for (name, source) in EXAMPLES {
        let draft = Draft::parse(source).unwrap_or_else(|found| panic!("{name}: {found:?}"));
        let policy = draft.assign(None, 1).unwrap();
        assert_eq!(policy.notice_gate(), NoticeGate::BeforeWrite, "{name}");
        let found = of_source(source);
        let open: Vec<_> = found
            .iter()
            .filter(|finding| finding.severity > Severity::Note)
            .collect();
        assert!(open.is_empty(), "{name}: {open:#?}");
    }
}

/// The nearest violation: each of these lines taken out is a finding or a refusal.
#[test]
fn what_an_example_says_is_missed_where_it_is_taken_out() {
    for (name, source) in EXAMPLES {
        for line in ["dpo = ", "authority = ", "gate = ", "address = \""] {
            let without: Vec<&str> = source
                .lines()
                .filter(|text| !text.starts_with(line))
                .collect();
            let found = of_source(&without.join("\n"));
            assert!(
                found
                    .iter()
                    .any(|finding| finding.severity > Severity::Note),
                "{name} without `{line}`"
            );
        }
    }
}
