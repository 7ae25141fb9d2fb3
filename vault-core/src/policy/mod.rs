//! The policy: one reviewed TOML file that says what is stored, what for, and who may see it.
//!
//! Knows the types of fields (`schema`); knows nothing of keys, people, the store or HTTP. It says
//! what the file says: whether a purpose holds for one person now is decided above.
//!
//! A file becomes a [`Draft`] when nothing is wrong with it, and a [`Policy`] when its names have
//! their numbers ([`Draft::assign`]). docs/policy.md is the guide for those who write one.

mod breakglass;
mod capability;
mod check;
mod children;
mod counts;
mod diff;
mod draft;
mod finding;
mod honey;
mod ids;
mod incidents;
mod keys;
mod logs;
mod model;
mod nearest;
mod notice;
mod parse;
mod period;
mod reader;
mod requests;
mod role;
mod show;
mod words;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::{LazyLock, OnceLock};

use sha2::{Digest, Sha256};

use draft::{DraftRole, Pattern};
use role::Target;

pub use breakglass::Breakglass;
pub use capability::Capability;
pub use check::EEA;
pub use children::Children;
pub use counts::Counts;
pub use diff::diff;
pub use draft::Draft;
pub use finding::Finding;
pub use honey::{Honey, HoneyPerson};
pub use ids::{IdTable, NUMBER_MAX, PolicyIds, StoredPolicy};
pub use incidents::Incidents;
pub use logs::{LogMode, LogStream};
pub use model::{
    BlobRule, Collection, Controller, Field, Purpose, Recipient, Retention, Safeguard,
};
pub use nearest::nearest;
pub use period::{BadPeriod, PERIOD_HOURS_MAX, Period};
#[cfg(test)]
pub(crate) use requests::zone;
pub use requests::{Holiday, RequestRules};
pub(crate) use role::KEYHOLDER;
pub use role::{Role, RoleOrigin};
pub use show::show;
pub use words::{
    Anchor, CollectionKind, HoldGround, LawfulBasis, Necessity, NoticeGate, Origin, RestrictedUse,
    RestrictionGround, SafeguardKind, SpecialCategory, View,
};

/// Longest policy file, in bytes.
pub const POLICY_BYTES_MAX: usize = 1024 * 1024;
/// Most purposes of a policy.
pub const PURPOSES_MAX: usize = 200;
/// Most recipients of a policy.
pub const RECIPIENTS_MAX: usize = 1000;
/// Most collections of a policy.
pub const COLLECTIONS_MAX: usize = 1000;
/// Most fields of a collection.
pub const FIELDS_MAX: usize = 500;
/// Most streams of log lines of a policy.
pub const LOG_STREAMS_MAX: usize = 100;
/// Most roles that a policy defines.
pub const ROLES_MAX: usize = 200;

/// The built-in purpose: a person's own export and correction. Not among [`Policy::purposes`].
pub const RIGHTS: &str = "rights";
/// The id of [`RIGHTS`]; those of a policy begin at 1.
pub const RIGHTS_ID: u16 = 0;

/// The purpose [`RIGHTS`]: what a person is owed is the controller's legal obligation (Art. 6(1)(c), 12).
pub(crate) fn rights() -> &'static Purpose {
    static PURPOSE: LazyLock<Purpose> = LazyLock::new(|| Purpose {
        id: RIGHTS_ID,
        name: RIGHTS.to_owned(),
        titles: BTreeMap::new(),
        basis: LawfulBasis::LegalObligation,
        interests: BTreeMap::new(),
        direct_marketing: false,
        retention: Retention {
            anchor: Anchor::Collected,
            period: Period::parse("P0D").expect("a period"),
            date: None,
            law: None,
        },
        recipients: Vec::new(),
    });
    &PURPOSE
}

/// A policy that passes every check, to begin with: a travel bot, its agents and a data protection
/// officer.
pub const SAMPLE: &str = include_str!("sample.toml");

/// A policy in force, or ready to be.
#[derive(Clone, Debug)]
pub struct Policy {
    version: u32,
    source: String,
    sha256: [u8; 32],
    controller: Controller,
    purposes: Vec<Purpose>,
    recipients: Vec<Recipient>,
    collections: Vec<Collection>,
    roles: BTreeMap<String, Role>,
    gate: NoticeGate,
    proof: Period,
    children: Children,
    counts: Counts,
    requests: RequestRules,
    material: OnceLock<[u8; 32]>,
    honey: Honey,
    breakglass: Option<Breakglass>,
    incidents: Incidents,
    logs: Vec<LogStream>,
    ids: PolicyIds,
    purpose_by_id: HashMap<u16, usize>,
    collection_by_name: HashMap<String, usize>,
    collection_by_id: HashMap<u16, usize>,
}

impl Policy {
    /// The version it was applied as, from 1.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The file, byte for byte.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// SHA-256 of [`Policy::source`].
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// What has to be kept of it to have it back.
    #[must_use]
    pub fn to_stored(&self) -> StoredPolicy {
        StoredPolicy {
            version: self.version,
            source: self.source.clone(),
            ids: self.ids.clone(),
        }
    }

    /// The policy that was stored.
    ///
    /// # Errors
    ///
    /// Those of [`Draft::parse`], and `stored_ids` if the numbers do not fit the names: then this
    /// is not what [`Policy::to_stored`] gave.
    pub fn from_stored(stored: StoredPolicy) -> Result<Self, Vec<Finding>> {
        let draft = Draft::parse(&stored.source)?;
        if !ids::fit(&stored.ids, &draft.content) {
            return Err(vec![Finding {
                line: 1,
                path: String::new(),
                code: "stored_ids",
                article: None,
                detail: "the stored numbers do not fit the names of this policy".to_owned(),
            }]);
        }
        Ok(Self::build(draft, stored.ids, stored.version))
    }

    /// Who is responsible.
    #[must_use]
    pub fn controller(&self) -> &Controller {
        &self.controller
    }

    /// People who do not exist.
    #[must_use]
    pub fn honey(&self) -> &Honey {
        &self.honey
    }

    /// What emergency access comes to at most; `None` where nobody has any.
    #[must_use]
    pub fn breakglass(&self) -> Option<&Breakglass> {
        self.breakglass.as_ref()
    }

    /// How soon the authority is told of a breach.
    #[must_use]
    pub fn incidents(&self) -> &Incidents {
        &self.incidents
    }

    /// Every stream of log lines, in the order of the file.
    #[must_use]
    pub fn log_streams(&self) -> &[LogStream] {
        &self.logs
    }

    /// The stream of this name.
    #[must_use]
    pub fn log_stream(&self, name: &str) -> Option<&LogStream> {
        self.logs.iter().find(|stream| stream.name == name)
    }

    /// The stream of this number.
    #[must_use]
    pub fn log_stream_numbered(&self, number: u16) -> Option<&LogStream> {
        self.logs.iter().find(|stream| stream.number() == number)
    }

    /// Whether writing waits for a notice.
    #[must_use]
    pub fn notice_gate(&self) -> NoticeGate {
        self.gate
    }

    /// From which age people consent for themselves.
    #[must_use]
    pub fn children(&self) -> &Children {
        &self.children
    }

    /// From how many people on a count is told, and how often.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Until when requests are answered.
    #[must_use]
    pub fn requests(&self) -> &RequestRules {
        &self.requests
    }

    /// How long what people said and were told is kept as proof after the last of it, at least.
    #[must_use]
    pub fn proof(&self) -> &Period {
        &self.proof
    }

    /// All collections, in the order of the file.
    #[must_use]
    pub fn collections(&self) -> &[Collection] {
        &self.collections
    }

    /// The collection of this name.
    #[must_use]
    pub fn collection(&self, name: &str) -> Option<&Collection> {
        self.collection_by_name
            .get(name)
            .map(|&at| &self.collections[at])
    }

    /// The collection of this id.
    #[must_use]
    pub fn collection_by_id(&self, id: u16) -> Option<&Collection> {
        self.collection_by_id
            .get(&id)
            .map(|&at| &self.collections[at])
    }

    /// All purposes, in the order of the file, without the built-in [`RIGHTS`].
    #[must_use]
    pub fn purposes(&self) -> &[Purpose] {
        &self.purposes
    }

    /// The purpose of this name.
    #[must_use]
    pub fn purpose(&self, name: &str) -> Option<&Purpose> {
        self.purpose_by_id(*self.ids.purposes.ids.get(name)?)
    }

    /// The purpose of this id.
    #[must_use]
    pub fn purpose_by_id(&self, id: u16) -> Option<&Purpose> {
        self.purpose_by_id.get(&id).map(|&at| &self.purposes[at])
    }

    /// All recipients, in the order of the file.
    #[must_use]
    pub fn recipients(&self) -> &[Recipient] {
        &self.recipients
    }

    /// The role of this name, also a reserved or default one.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.get(name)
    }

    /// All roles by name, reserved and default ones too.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.values()
    }

    /// Puts numbers in the place of names. `ids` numbers every name of `draft`: `assign` made it so
    /// or `fit` saw it.
    fn build(draft: Draft, ids: PolicyIds, version: u32) -> Self {
        let content = draft.content;
        let purpose_id = |name: &str| ids.purposes.ids[name];
        let purposes: Vec<Purpose> = content
            .purposes
            .into_iter()
            .map(|item| Purpose {
                id: purpose_id(&item.at.value),
                recipients: item.recipients.into_iter().map(|name| name.value).collect(),
                ..item.purpose
            })
            .collect();
        let mut collections = Vec::with_capacity(content.collections.len());
        for item in content.collections {
            let id = ids.collections.ids[&item.at.value];
            let fields = item
                .fields
                .into_iter()
                .map(|field| Field {
                    id: ids.fields[&id].ids[&field.at.value],
                    purposes: field
                        .purposes
                        .iter()
                        .map(|name| purpose_id(&name.value))
                        .collect(),
                    ..field.field
                })
                .collect();
            collections.push(Collection::new(
                id,
                item.at.value,
                item.kind,
                item.retention,
                fields,
            ));
        }
        let mut roles = BTreeMap::new();
        for (list, origin) in [
            (role::DEFAULTS, RoleOrigin::Default),
            (role::RESERVED, RoleOrigin::Reserved),
        ] {
            for (name, may) in list {
                let role = Role::new((*name).to_owned(), origin, Vec::new(), may.iter().copied());
                roles.insert((*name).to_owned(), role);
            }
        }
        for item in content.roles {
            roles.insert(item.at.value.clone(), build_role(item, &ids));
        }
        let logs = content.logs.into_iter().map(|item| LogStream {
            purpose: item.purpose.map(|name| purpose_id(&name.value)),
            readers: item.readers.into_iter().map(|name| name.value).collect(),
            ..item.stream
        });
        let logs = logs.collect();
        let breakglass = content.breakglass.map(|draft| {
            let purpose = ids.purposes.ids[&draft.purpose().value];
            draft.build(purpose, |pattern| target(pattern, &ids))
        });
        Self {
            version,
            sha256: Sha256::digest(draft.source.as_bytes()).into(),
            source: draft.source,
            controller: content.controller,
            recipients: content
                .recipients
                .into_iter()
                .map(|(_, item)| item)
                .collect(),
            roles,
            gate: content.gate,
            proof: content.proof,
            children: content.children,
            counts: content.counts,
            requests: content.requests,
            material: OnceLock::new(),
            honey: content.honey.honey,
            breakglass,
            incidents: content.incidents,
            logs,
            purpose_by_id: places(purposes.iter().map(|item| item.id)),
            collection_by_id: places(collections.iter().map(|item| item.id)),
            collection_by_name: places(collections.iter().map(|item| item.name.clone())),
            purposes,
            collections,
            ids,
        }
    }
}

fn places<K: std::hash::Hash + Eq>(keys: impl Iterator<Item = K>) -> HashMap<K, usize> {
    keys.enumerate().map(|(at, key)| (key, at)).collect()
}

fn field_target(collection: &str, field: &str, ids: &PolicyIds) -> (u16, u16) {
    let collection = ids.collections.ids[collection];
    (collection, ids.fields[&collection].ids[field])
}

fn target(pattern: &Pattern, ids: &PolicyIds) -> Target {
    match pattern {
        Pattern::All => Target::All,
        Pattern::Collection(name) => Target::Collection(ids.collections.ids[name]),
        Pattern::Field(collection, name) => {
            let (collection, field) = field_target(collection, name, ids);
            Target::Field(collection, field)
        }
    }
}

fn build_role(item: DraftRole, ids: &PolicyIds) -> Role {
    let purposes = item
        .purposes
        .iter()
        .map(|name| ids.purposes.ids[&name.value]);
    let purposes = purposes.collect();
    let mut role = Role::new(item.at.value, RoleOrigin::Policy, purposes, item.may);
    for (pattern, view) in &item.read {
        role.allow_read(target(&pattern.value, ids), *view);
    }
    for pattern in &item.write {
        role.allow_write(target(&pattern.value, ids));
    }
    for ask in &item.ask {
        let parts = check::split_ask(&ask.value).expect("the draft was checked");
        let (collection, field) = field_target(parts.0, parts.1, ids);
        role.allow_ask(collection, field, parts.2);
    }
    for claim in item.restricted_use {
        role.allow_claim(claim);
    }
    role
}
