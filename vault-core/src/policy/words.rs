//! The closed vocabularies of a policy.
//!
//! Knows the words, not what follows from them.

use crate::schema::words::words;

words! {
    /// What a record of a collection is to its person.
    pub enum CollectionKind {
        /// One record a person.
        Single = "single",
        /// Records in time order.
        Many = "many",
    }
}

words! {
    /// A lawful basis of processing. Source: Art. 6(1) GDPR; official authority and public
    /// interest are one basis, (e).
    pub enum LawfulBasis {
        /// Art. 6(1)(a): the person has consented.
        Consent = "consent",
        /// Art. 6(1)(b): needed for a contract with the person, or to prepare one.
        Contract = "contract",
        /// Art. 6(1)(c): a law demands it of the controller.
        LegalObligation = "legal_obligation",
        /// Art. 6(1)(d): somebody's life depends on it.
        VitalInterests = "vital_interests",
        /// Art. 6(1)(e): a task in the public interest or of official authority.
        PublicTask = "public_task",
        /// Art. 6(1)(f): legitimate interests that the person's do not override.
        LegitimateInterests = "legitimate_interests",
    }
}

words! {
    /// From when a purpose's retention runs.
    pub enum Anchor {
        /// From when the value was collected.
        Collected = "collected",
        /// From the person's own last act; what the controller does never prolongs it.
        LastActivity = "last_activity",
        /// From the end of the contract.
        ContractEnd = "contract_end",
        /// From the withdrawal of consent.
        Withdrawal = "withdrawal",
        /// From one day for everybody, [`Retention::date`](super::Retention::date).
        FixedDate = "fixed_date",
    }
}

words! {
    /// Data that only a condition of its own makes lawful. Source: Art. 9(1) and Art. 10 GDPR.
    pub enum SpecialCategory {
        /// Racial or ethnic origin.
        RacialOrEthnicOrigin = "racial_or_ethnic_origin",
        /// Political opinions.
        PoliticalOpinions = "political_opinions",
        /// Religious or philosophical beliefs.
        ReligiousOrPhilosophicalBeliefs = "religious_or_philosophical_beliefs",
        /// Trade union membership.
        TradeUnionMembership = "trade_union_membership",
        /// Genetic data.
        Genetic = "genetic",
        /// Biometric data that identify a person uniquely.
        Biometric = "biometric",
        /// Health.
        Health = "health",
        /// Sex life.
        SexLife = "sex_life",
        /// Sexual orientation.
        SexualOrientation = "sexual_orientation",
        /// Criminal convictions and offences (Art. 10).
        CriminalOffences = "criminal_offences",
    }
}

impl SpecialCategory {
    /// The article that demands a condition for this category.
    #[must_use]
    pub const fn article(self) -> &'static str {
        match self {
            Self::CriminalOffences => "Art. 10",
            _ => "Art. 9(2)",
        }
    }
}

words! {
    /// Whether a person has to give a value. Source: Art. 13(2)(e) GDPR.
    pub enum Necessity {
        /// A law demands it.
        Statutory = "statutory",
        /// The contract needs it.
        Contractual = "contractual",
        /// The person may leave it out.
        Optional = "optional",
    }
}

words! {
    /// Where a value comes from. Decides what Art. 14 and Art. 20 GDPR ask for.
    pub enum Origin {
        /// The person gave it.
        Provided = "provided",
        /// It was seen while the person used the service.
        Observed = "observed",
        /// It was concluded from other values.
        Inferred = "inferred",
        /// Somebody else gave it.
        ThirdParty = "third_party",
    }
}

words! {
    /// Why a recipient outside the EEA may receive data. Source: Chapter V GDPR.
    pub enum SafeguardKind {
        /// Art. 45: a decision of the Commission on the country.
        Adequacy = "adequacy",
        /// Art. 47: binding corporate rules.
        Bcr = "bcr",
        /// Art. 49: an exception for a specific situation, which has to be stated.
        Derogation = "derogation",
        /// Art. 46(2)(c): standard contractual clauses.
        Scc = "scc",
    }
}

words! {
    /// How much of a field a role sees. Ordered: each shows more than the one before.
    pub enum View {
        /// Nothing, not even that there is a value.
        None = "none",
        /// The mask of the field's type.
        Mask = "mask",
        /// The value.
        Full = "full",
    }
}

words! {
    /// Why processing is restricted, by the points of Art. 18(1) GDPR.
    pub enum RestrictionGround {
        /// The person contests that the data are accurate.
        Accuracy = "18.1.a",
        /// The processing is unlawful, and the person wants no erasure.
        Unlawful = "18.1.b",
        /// The person needs the data for legal claims, the controller no longer does.
        Claims = "18.1.c",
        /// The person has objected, and whose grounds weigh more is open.
        Objection = "18.1.d",
    }
}

words! {
    /// Why data are held although they would be erased. Source: Art. 17(3) GDPR.
    pub enum HoldGround {
        /// Art. 17(3)(e): to establish, exercise or defend legal claims.
        LegalClaims = "legal_claims",
        /// Art. 17(3)(b): a law demands that they be kept.
        LegalObligation = "legal_obligation",
    }
}

impl HoldGround {
    /// The provision, as a receipt names it.
    #[must_use]
    pub const fn law(self) -> &'static str {
        match self {
            Self::LegalClaims => "Art. 17(3)(e) GDPR",
            Self::LegalObligation => "Art. 17(3)(b) GDPR",
        }
    }
}

words! {
    /// What restricted data may be used for all the same, by Art. 18(2) GDPR.
    pub enum RestrictedUse {
        /// With the person's consent to this use.
        Consent = "consent",
        /// For legal claims.
        LegalClaims = "legal_claims",
        /// To protect the rights of somebody else.
        OthersRights = "others_rights",
        /// For important public interest.
        PublicInterest = "public_interest",
    }
}

words! {
    /// Whether writing waits for a notice.
    pub enum NoticeGate {
        /// No: `doctor --gdpr` says so.
        Off = "off",
        /// A write needs a notice that was shown before (Art. 13(1) GDPR: at collection).
        BeforeWrite = "before_write",
    }
}

words! {
    /// How much of a decision a machine does.
    pub enum Automation {
        /// All of it: nobody looks before it takes effect (Art. 22(1) GDPR). A score that somebody else relies on
        /// heavily is such a decision, too (CJEU C-634/21).
        Full = "full",
        /// A human decides, and a machine proposes.
        Assisted = "assisted",
        /// None.
        Human = "human",
    }
}

words! {
    /// By what right a significant decision is taken by automated means alone. Source: Art. 22(2) GDPR.
    pub enum DecisionBasis {
        /// A contract with the person needs it.
        Contract = "contract",
        /// A law authorises it, and has safeguards.
        Law = "law",
        /// The person has consented explicitly.
        ExplicitConsent = "explicit_consent",
    }
}

impl DecisionBasis {
    /// The provision.
    #[must_use]
    pub const fn article(self) -> &'static str {
        match self {
            Self::Contract => "Art. 22(2)(a)",
            Self::Law => "Art. 22(2)(b)",
            Self::ExplicitConsent => "Art. 22(2)(c)",
        }
    }
}

/// Stored by its word.
macro_rules! stored_as_word {
    ($words:ty) => {
        impl serde::Serialize for $words {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $words {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::parse(&name).ok_or_else(|| serde::de::Error::custom("an unknown ground"))
            }
        }
    };
}

stored_as_word!(Automation);
stored_as_word!(DecisionBasis);
stored_as_word!(HoldGround);
stored_as_word!(RestrictionGround);
