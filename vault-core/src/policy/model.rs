//! What a policy declares: the controller, purposes, recipients, collections and fields.
//!
//! Knows nothing of the file that it was read from, and not who may do what (`role`).

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;

use super::{
    Anchor, CollectionKind, LawfulBasis, Necessity, Origin, Period, SafeguardKind, SpecialCategory,
};
use crate::schema::{FieldType, MediaRange, MediaType};

/// Who decides why and how data are processed. Source: Art. 4(7) and 13(1)(a) GDPR.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controller {
    /// Legal name.
    pub name: String,
    /// Postal address.
    pub address: Option<String>,
    /// Where people reach the controller.
    pub contact: String,
    /// Where people reach the data protection officer.
    pub dpo: Option<String>,
    /// The supervisory authority to complain to.
    pub authority: Option<String>,
    /// Country of establishment, ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// Languages in which people are informed, BCP 47, the first as fallback. Never empty.
    pub languages: Vec<String>,
}

/// Somebody who receives data from the controller. Source: Art. 13(1)(e) GDPR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The name inside the policy.
    pub name: String,
    /// The name that people are told.
    pub legal_name: String,
    /// Country, ISO 3166-1 alpha-2.
    pub country: String,
    /// Why data may leave the EEA; there is one if the country is outside.
    pub safeguard: Option<Safeguard>,
    /// Where to tell of erasure, correction and restriction (Art. 19), an `https` URL.
    pub webhook: Option<String>,
}

/// Why a recipient outside the EEA may receive data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Safeguard {
    /// The instrument.
    pub kind: SafeguardKind,
    /// Its details; a derogation always has them.
    pub note: Option<String>,
}

/// What data are processed for. Source: Art. 5(1)(b) GDPR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// Numeric id, from 1, fixed when first applied and never used again.
    pub id: u16,
    /// The name inside the policy.
    pub name: String,
    /// What people are told, by language; at least each language of the controller.
    pub titles: BTreeMap<String, String>,
    /// Why processing is lawful.
    pub basis: LawfulBasis,
    /// Which legitimate interests it pursues, by language (Art. 13(1)(d)); where there are any, in each language of the
    /// controller.
    pub interests: BTreeMap<String, String>,
    /// Whether an objection always ends it (Art. 21(3)).
    pub direct_marketing: bool,
    /// When data kept for it alone have to go.
    pub retention: Retention,
    /// Names of recipients.
    pub recipients: Vec<String>,
}

/// How long a purpose keeps data. Source: Art. 5(1)(e) and 13(2)(a) GDPR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// From when the period runs.
    pub anchor: Anchor,
    /// How long.
    pub period: Period,
    /// The day from which it runs; there is one for [`Anchor::FixedDate`] only.
    pub date: Option<Date>,
    /// The law that asks for it.
    pub law: Option<String>,
}

/// Records of one form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Numeric id, from 1, fixed when first applied and never used again.
    pub id: u16,
    /// The name inside the policy.
    pub name: String,
    /// One record a person, or many. Never changes under one id.
    pub kind: CollectionKind,
    /// Longest age of a record, whatever its purposes allow.
    pub retention: Option<Period>,
    /// The fields, in the order of the file.
    pub fields: Vec<Field>,
    by_name: HashMap<String, usize>,
    by_id: HashMap<u16, usize>,
}

impl Collection {
    pub(super) fn new(
        id: u16,
        name: String,
        kind: CollectionKind,
        retention: Option<Period>,
        fields: Vec<Field>,
    ) -> Self {
        let places = fields.iter().enumerate();
        Self {
            id,
            name,
            kind,
            retention,
            by_name: places
                .clone()
                .map(|(at, field)| (field.name.clone(), at))
                .collect(),
            by_id: places.map(|(at, field)| (field.id, at)).collect(),
            fields,
        }
    }

    /// The field of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.by_name.get(name).map(|&at| &self.fields[at])
    }

    /// The field of this id.
    #[must_use]
    pub fn field_by_id(&self, id: u16) -> Option<&Field> {
        self.by_id.get(&id).map(|&at| &self.fields[at])
    }
}

/// One field of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Numeric id, from 1, unique in the collection, fixed when first applied and never used again.
    pub id: u16,
    /// The name inside the collection.
    pub name: String,
    /// What is accepted. Never changes under one id.
    pub kind: FieldType,
    /// Data category, a fideslang path such as `user.contact.email`.
    pub category: Option<String>,
    /// Ids of the purposes that the field is collected for; never empty.
    pub purposes: Vec<u16>,
    /// Whether people can be found by it.
    pub lookup: bool,
    /// What is accepted of a blob; there is one exactly if `kind` is [`FieldType::Blob`].
    pub blob: Option<BlobRule>,
    /// Whether it needs a condition of its own.
    pub special: Option<SpecialCategory>,
    /// That condition, in words; there is one exactly if `special` is set.
    pub art9: Option<String>,
    /// Whether the person has to give it.
    pub necessity: Option<Necessity>,
    /// Where it comes from.
    pub source: Option<Origin>,
}

impl Field {
    /// Whether its condition is the person's explicit consent (Art. 9(2)(a)), so that a purpose which rests on
    /// consent needs one of that kind for it: `art9` says `explicit consent`, or names the letter.
    #[must_use]
    pub fn wants_explicit_consent(&self) -> bool {
        let condition = self.art9.as_deref().unwrap_or_default().to_lowercase();
        self.special.is_some()
            && (condition.starts_with("explicit consent") || condition.contains("9(2)(a)"))
    }

    /// Whether it is special data of Art. 9: those of Art. 10 are not what Art. 22(4) is about.
    #[must_use]
    pub fn is_of_art9(&self) -> bool {
        self.special
            .is_some_and(|special| special != SpecialCategory::CriminalOffences)
    }

    /// Whether its condition is substantial public interest (Art. 9(2)(g)): `art9` says so, or names the letter.
    #[must_use]
    pub fn serves_substantial_public_interest(&self) -> bool {
        let condition = self.art9.as_deref().unwrap_or_default().to_lowercase();
        self.special.is_some()
            && (condition.starts_with("substantial public interest")
                || condition.contains("9(2)(g)"))
    }
}

/// What is accepted of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobRule {
    /// The media types; never empty.
    pub media_types: Vec<MediaRange>,
    /// Longest content.
    pub bytes_max: u64,
}

impl BlobRule {
    /// Whether it accepts this media type.
    #[must_use]
    pub fn accepts(&self, media_type: &MediaType) -> bool {
        self.media_types
            .iter()
            .any(|range| range.accepts(media_type))
    }
}

impl std::fmt::Display for BlobRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.media_types.iter().map(MediaRange::as_str).collect();
        write!(f, "{}, at most {} bytes", names.join(" "), self.bytes_max)
    }
}
