//! What a person may take along: what came from them, for a contract or by consent.
//!
//! Where a value came from: the record's `_meta.source` where it is one of the policy's words for it,
//! else the field's `source`, else from the person: a vault holds what people tell a bot. Inferred values
//! and those of third parties stay out, and so does what rests on another basis alone.
//!
//! Source: GDPR Art. 20(1); Article 29 Working Party, WP 242 rev.01, part III. docs/decisions/0015.

use crate::policy::{Field, LawfulBasis, Origin, Policy};

fn origin_allows(origin: Origin) -> bool {
    matches!(origin, Origin::Provided | Origin::Observed)
}

fn basis_allows(policy: &Policy, field: &Field, narrowed: &[u16]) -> bool {
    field.purposes.iter().any(|id| {
        let kept = narrowed.is_empty() || narrowed.contains(id);
        let purpose = policy.purpose_by_id(*id).filter(|_| kept);
        purpose.is_some_and(|purpose| {
            matches!(purpose.basis, LawfulBasis::Consent | LawfulBasis::Contract)
        })
    })
}

/// Whether a value of a record belongs into the package: the record's source, and the purposes that it
/// is narrowed to.
pub(crate) fn portable(
    policy: &Policy,
    field: &Field,
    source: Option<&str>,
    narrowed: &[u16],
) -> bool {
    let said = source.and_then(Origin::parse);
    let origin = said.or(field.source).unwrap_or(Origin::Provided);
    origin_allows(origin) && basis_allows(policy, field, narrowed)
}

/// Why no value of a field is portable unless its record says otherwise; `None` where they are.
pub(crate) fn left_out(policy: &Policy, field: &Field) -> Option<&'static str> {
    if !basis_allows(policy, field, &[]) {
        return Some("other_basis");
    }
    let origin = field.source.unwrap_or(Origin::Provided);
    (!origin_allows(origin)).then(|| origin.name())
}
