//! Who may do what: a role's capabilities, and its view of each field.
//!
//! Knows nothing of principals and API keys, and not of the person whose data it is: a purpose, a
//! basis and the person's state are asked elsewhere and can only take away.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Capability, RestrictedUse, View};

/// Roles that are what they are: a policy that defines one is refused. They read no values.
pub(super) const RESERVED: &[(&str, &[Capability])] = &[
    ("auditor", &[Capability::AuditRead, Capability::PolicyRead]),
    (
        "operator",
        &[
            Capability::KeysManage,
            Capability::BackupsManage,
            Capability::RetentionRun,
            Capability::VaultLock,
            Capability::PolicyRead,
        ],
    ),
];

/// The role of whoever has an unlock secret, in the log: no role of a policy.
pub(crate) const KEYHOLDER: &str = "keyholder";

/// Roles that exist unless the policy defines them differently. They read no values either: which
/// fields a bot may read, only a policy can know.
pub(super) const DEFAULTS: &[(&str, &[Capability])] = &[
    (
        "agent",
        &[Capability::SubjectsLookup, Capability::SubjectsView],
    ),
    (
        "bot",
        &[Capability::SubjectsCreate, Capability::SubjectsLookup],
    ),
    (
        "dpo",
        &[
            Capability::SubjectsLookup,
            Capability::SubjectsView,
            Capability::SubjectsErase,
            Capability::SubjectsExport,
            Capability::RequestsDecide,
            Capability::HoldsManage,
            Capability::IncidentsManage,
            Capability::AuditRead,
        ],
    ),
    (
        "legal",
        &[
            Capability::HoldsManage,
            Capability::SubjectsLookup,
            Capability::SubjectsView,
        ],
    ),
    (
        "reviewer",
        &[Capability::DecisionsReview, Capability::RequestsDecide],
    ),
];

/// Where a role comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleOrigin {
    /// Built in; the policy may define it differently, and did not.
    Default,
    /// Defined by the policy.
    Policy,
    /// Built in and fixed.
    Reserved,
}

/// Fields that a rule is about, by numeric id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Target {
    /// `*`
    All,
    /// `collection.*`
    Collection(u16),
    /// `collection.field`
    Field(u16, u16),
}

impl Target {
    /// The rules about one field, the most specific first.
    const fn of(collection_id: u16, field_id: u16) -> [Self; 3] {
        [
            Self::Field(collection_id, field_id),
            Self::Collection(collection_id),
            Self::All,
        ]
    }
}

/// What a role asks of a policy.
///
/// All ids are those of the policy that the role came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// The name inside the policy.
    pub name: String,
    /// Where it comes from.
    pub origin: RoleOrigin,
    /// Ids of the purposes that it may work for.
    pub purposes: Vec<u16>,
    capabilities: BTreeSet<Capability>,
    read: HashMap<Target, View>,
    write: HashSet<Target>,
    ask: BTreeSet<(u16, u16, String)>,
    claims: BTreeSet<RestrictedUse>,
}

impl Role {
    pub(super) fn new(
        name: String,
        origin: RoleOrigin,
        purposes: Vec<u16>,
        capabilities: impl IntoIterator<Item = Capability>,
    ) -> Self {
        Self {
            name,
            origin,
            purposes,
            capabilities: capabilities.into_iter().collect(),
            read: HashMap::new(),
            write: HashSet::new(),
            ask: BTreeSet::new(),
            claims: BTreeSet::new(),
        }
    }

    pub(super) fn allow_read(&mut self, target: Target, view: View) {
        self.read.insert(target, view);
    }

    pub(super) fn allow_write(&mut self, target: Target) {
        self.write.insert(target);
    }

    pub(super) fn allow_ask(&mut self, collection_id: u16, field_id: u16, test: &str) {
        self.ask.insert((collection_id, field_id, test.to_owned()));
    }

    pub(super) fn allow_claim(&mut self, claim: RestrictedUse) {
        self.claims.insert(claim);
    }

    /// Whether it may use restricted data for this (Art. 18(2) GDPR).
    #[must_use]
    pub fn may_claim(&self, claim: RestrictedUse) -> bool {
        self.claims.contains(&claim)
    }

    /// What people may with their own data: see and correct all of it, for no purpose of the policy.
    pub(crate) fn of_themselves(name: &str) -> Self {
        let mut role = Self::new(name.to_owned(), RoleOrigin::Reserved, Vec::new(), []);
        role.allow_read(Target::All, View::Full);
        role.allow_write(Target::All);
        role
    }

    /// What is left of the role in a session: these fields, one purpose, no capability.
    #[must_use]
    pub fn narrowed(&self, purpose_id: u16, fields: &[(u16, u16)]) -> Self {
        let purposes = self.purposes.iter().copied().filter(|id| *id == purpose_id);
        let mut narrow = Self::new(self.name.clone(), self.origin, purposes.collect(), []);
        for (collection, field) in fields.iter().copied() {
            let target = Target::Field(collection, field);
            narrow.allow_read(target, self.view(collection, field));
            if self.may_write(collection, field) {
                narrow.allow_write(target);
            }
            for test in self.asks(collection, field) {
                narrow.allow_ask(collection, field, test);
            }
        }
        narrow
    }

    /// Whether it has this capability.
    #[must_use]
    pub fn may(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }

    /// Its capabilities, in the order of the list.
    pub fn capabilities(&self) -> impl Iterator<Item = Capability> + '_ {
        self.capabilities.iter().copied()
    }

    /// Whether it may work for this purpose.
    #[must_use]
    pub fn serves(&self, purpose_id: u16) -> bool {
        self.purposes.contains(&purpose_id)
    }

    /// How much it sees of a field: the most specific rule decides (`c.f` over `c.*` over `*`),
    /// and no rule is [`View::None`].
    #[must_use]
    pub fn view(&self, collection_id: u16, field_id: u16) -> View {
        Target::of(collection_id, field_id)
            .iter()
            .find_map(|target| self.read.get(target).copied())
            .unwrap_or(View::None)
    }

    /// Whether it may write a field.
    #[must_use]
    pub fn may_write(&self, collection_id: u16, field_id: u16) -> bool {
        Target::of(collection_id, field_id)
            .iter()
            .any(|target| self.write.contains(target))
    }

    /// Whether it may ask this test of a field; no wildcard reaches a test.
    #[must_use]
    pub fn may_ask(&self, collection_id: u16, field_id: u16, test: &str) -> bool {
        self.asks(collection_id, field_id).any(|name| name == test)
    }

    /// The tests that it may ask of a field, by name.
    pub fn asks(&self, collection_id: u16, field_id: u16) -> impl Iterator<Item = &str> + '_ {
        let first = (collection_id, field_id, String::new());
        self.ask
            .range(first..)
            .take_while(move |(collection, field, _)| {
                (*collection, *field) == (collection_id, field_id)
            })
            .map(|(_, _, test)| test.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_rule_decides_even_when_it_shows_less() {
        let mut role = Role::new("r".into(), RoleOrigin::Policy, vec![], []);
        assert_eq!(role.view(1, 1), View::None);
        role.allow_read(Target::All, View::Full);
        role.allow_read(Target::Collection(1), View::Mask);
        role.allow_read(Target::Field(1, 2), View::None);
        assert_eq!(role.view(2, 1), View::Full);
        assert_eq!(role.view(1, 1), View::Mask);
        assert_eq!(role.view(1, 2), View::None);
    }

    #[test]
    fn a_test_may_be_asked_of_its_own_field_only() {
        let mut role = Role::new("r".into(), RoleOrigin::Policy, vec![], []);
        role.allow_ask(1, 2, "last4");
        assert!(role.may_ask(1, 2, "last4"));
        assert!(!role.may_ask(1, 2, "equals"));
        assert!(!role.may_ask(1, 1, "last4"));
        assert!(!role.may_ask(1, 3, "last4"));
    }

    #[test]
    fn a_session_has_of_a_role_what_it_names_and_no_capability() {
        let may = [Capability::SubjectsErase];
        let mut role = Role::new("r".into(), RoleOrigin::Policy, vec![1, 2], may);
        role.allow_read(Target::All, View::Full);
        role.allow_read(Target::Field(1, 2), View::Mask);
        role.allow_write(Target::Collection(1));
        role.allow_ask(1, 2, "last4");
        let narrow = role.narrowed(2, &[(1, 2)]);
        assert_eq!(
            (narrow.view(1, 2), narrow.view(1, 1)),
            (View::Mask, View::None)
        );
        assert!(narrow.may_write(1, 2) && !narrow.may_write(1, 1));
        assert!(narrow.may_ask(1, 2, "last4"));
        assert!(narrow.serves(2) && !narrow.serves(1));
        assert!(!narrow.may(Capability::SubjectsErase));
        // A field that the role does not have itself is not given away.
        assert_eq!(narrow.narrowed(2, &[(1, 1)]).view(1, 1), View::None);
    }

    #[test]
    fn the_operator_reads_nothing_and_mints_nothing() {
        let (_, may) = RESERVED
            .iter()
            .find(|(name, _)| *name == "operator")
            .unwrap();
        assert!(!may.contains(&Capability::ApiKeysManage));
        assert!(!may.contains(&Capability::PolicyApply));
    }
}
