//! A policy that is valid in itself and has no numbers yet.
//!
//! Knows nothing of policies before it until [`Draft::assign`] is told.

use std::collections::BTreeSet;

use super::breakglass::DraftBreakglass;
use super::finding::{Finding, Findings};
use super::honey::DraftHoney;
use super::logs::LogStream;
use super::reader::At;
use super::{
    Capability, Children, CollectionKind, Controller, Counts, Field, Incidents, NoticeGate,
    POLICY_BYTES_MAX, Period, Policy, Purpose, Recipient, RequestRules, RestrictedUse, View, check,
    ids, parse,
};

/// A policy file that was read and found good.
#[derive(Clone, Debug)]
pub struct Draft {
    pub(super) source: String,
    pub(super) content: Content,
}

/// What a file says, by name.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) controller: Controller,
    pub(super) purposes: Vec<DraftPurpose>,
    /// Each with its line.
    pub(super) recipients: Vec<(usize, Recipient)>,
    pub(super) collections: Vec<DraftCollection>,
    pub(super) roles: Vec<DraftRole>,
    pub(super) gate: NoticeGate,
    pub(super) proof: Period,
    pub(super) children: Children,
    pub(super) counts: Counts,
    pub(super) requests: RequestRules,
    pub(super) honey: DraftHoney,
    pub(super) breakglass: Option<DraftBreakglass>,
    pub(super) incidents: Incidents,
    pub(super) logs: Vec<DraftLogStream>,
}

impl Default for Content {
    fn default() -> Self {
        Self {
            controller: Controller::default(),
            purposes: Vec::new(),
            recipients: Vec::new(),
            collections: Vec::new(),
            roles: Vec::new(),
            gate: NoticeGate::Off,
            proof: parse::proof_default(),
            children: Children::default(),
            counts: Counts::default(),
            requests: RequestRules::default(),
            honey: DraftHoney::default(),
            breakglass: None,
            incidents: Incidents::default(),
            logs: Vec::new(),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct DraftPurpose {
    pub(super) at: At<String>,
    pub(super) path: String,
    pub(super) renamed_from: Option<At<String>>,
    pub(super) recipients: Vec<At<String>>,
    /// With id 0 and no recipients.
    pub(super) purpose: Purpose,
}

#[derive(Clone, Debug)]
pub(super) struct DraftCollection {
    pub(super) at: At<String>,
    pub(super) path: String,
    pub(super) renamed_from: Option<At<String>>,
    pub(super) kind: CollectionKind,
    pub(super) retention: Option<Period>,
    pub(super) fields: Vec<DraftField>,
}

#[derive(Clone, Debug)]
pub(super) struct DraftField {
    pub(super) at: At<String>,
    pub(super) path: String,
    pub(super) renamed_from: Option<At<String>>,
    pub(super) purposes: Vec<At<String>>,
    /// Whether `special` was written, be it understood or not.
    pub(super) has_special: bool,
    /// With id 0 and no purposes.
    pub(super) field: Field,
}

#[derive(Clone, Debug)]
pub(super) struct DraftRole {
    pub(super) at: At<String>,
    pub(super) path: String,
    pub(super) purposes: Vec<At<String>>,
    pub(super) read: Vec<(At<Pattern>, View)>,
    pub(super) write: Vec<At<Pattern>>,
    pub(super) ask: Vec<At<String>>,
    pub(super) may: BTreeSet<Capability>,
    pub(super) restricted_use: BTreeSet<RestrictedUse>,
}

#[derive(Clone, Debug)]
pub(super) struct DraftLogStream {
    pub(super) at: At<String>,
    pub(super) path: String,
    pub(super) purpose: Option<At<String>>,
    pub(super) readers: Vec<At<String>>,
    /// Whether `detect` was written, and empty.
    pub(super) looks_for_nothing: bool,
    /// Without purpose and readers.
    pub(super) stream: LogStream,
}

/// Which fields a rule is about, by name.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    All,
    Collection(String),
    Field(String, String),
}

impl Draft {
    /// Reads a policy file and checks all that can be checked without an earlier one.
    ///
    /// # Errors
    ///
    /// Every finding, by line; about the TOML alone if that is broken.
    pub fn parse(source: &str) -> Result<Self, Vec<Finding>> {
        if source.len() > POLICY_BYTES_MAX {
            return Err(vec![Finding {
                line: 1,
                path: String::new(),
                code: "too_long",
                article: None,
                detail: format!("a policy has at most {POLICY_BYTES_MAX} bytes"),
            }]);
        }
        let mut findings = Findings::new(source);
        let content = parse::read(source, &mut findings);
        check::check(&content, &mut findings);
        findings.or(Self {
            source: source.to_owned(),
            content,
        })
    }

    /// Gives every name its number: the one that it has in `previous`, also under the name in
    /// `renamed_from`, or else one that was never used.
    ///
    /// # Errors
    ///
    /// Findings about what contradicts `previous`: a collection of another kind, a field of
    /// another type, a `renamed_from` that names nothing, or numbers that have run out.
    pub fn assign(self, previous: Option<&Policy>, version: u32) -> Result<Policy, Vec<Finding>> {
        let mut findings = Findings::new(&self.source);
        let ids = ids::assign(&self.content, previous, &mut findings);
        let (draft, ids) = findings.or((self, ids))?;
        Ok(Policy::build(draft, ids, version))
    }
}
