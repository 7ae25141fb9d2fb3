//! Who calls: an API key, a session made by one, or whoever has an unlock secret.

use std::borrow::Cow;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use super::token_row::{self, TokenRow};
use crate::audit::Actor;
use crate::commit::View;
use crate::crypto::sha256;
use crate::emergency;
use crate::entropy::OsEntropy;
use crate::id::{CallId, EmergencyId, SessionId, SubjectId, TokenId};
use crate::person::Person;
use crate::policy::{Capability, KEYHOLDER, Policy, RIGHTS, RestrictedUse, Role};
use crate::refusal::Refusal;
use crate::request::Level;
use crate::session;

const KEYHOLDER_MAY: [Capability; 14] = [
    Capability::ApiKeysManage,
    Capability::AuditRead,
    Capability::BackupsManage,
    Capability::IncidentsManage,
    Capability::KeysManage,
    Capability::PolicyApply,
    Capability::PolicyRead,
    Capability::RequestsDecide,
    Capability::RetentionRun,
    Capability::SubjectsErase,
    Capability::HoldsManage,
    Capability::SubjectsLookup,
    Capability::SubjectsView,
    Capability::VaultLock,
];
/// The reserved role that runs a vault and reads no values.
const OPERATOR: &str = "operator";
/// What whoever opens a link is called in the log: no role of a policy.
const PERSON: &str = "person";
/// What the server does by itself: it makes backups and takes them away.
const SERVER_MAY: [Capability; 1] = [Capability::BackupsManage];
/// What a key that is bound to channels may not do, whatever its role: each would make the bound
/// go away, by a key or a secret without one, or by the ids of everybody whom a breach concerns.
const UNBOUND_ONLY: [Capability; 4] = [
    Capability::ApiKeysManage,
    Capability::BackupsManage,
    Capability::IncidentsManage,
    Capability::KeysManage,
];

/// Who calls: an API key with its role, or whoever has an unlock secret. Made by the vault alone.
#[derive(Clone, Debug)]
pub struct Principal {
    token: Option<(TokenId, [u8; 32])>,
    /// The server by itself, without anybody's secret.
    server: bool,
    role: String,
    /// People on these channels alone; all, where empty.
    channels: Arc<[String]>,
    session: Option<Arc<Scope>>,
}

/// What a session's token is good for.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) subject: SubjectId,
    pub(super) session: SessionId,
    pub(super) purpose: String,
    fields: Vec<(u16, u16)>,
    /// Whether it shows what an emergency does, and not what its maker's role does.
    emergency: bool,
    /// How well it is known that the person themselves talks, in a conversation that the vault leads. Such a
    /// principal is made for one turn, and nobody can show anything to be it.
    talking: Option<Level>,
}

impl Principal {
    pub(super) fn keyholder() -> Self {
        Self {
            token: None,
            server: false,
            role: KEYHOLDER.into(),
            channels: Arc::default(),
            session: None,
        }
    }

    /// What runs by a configuration: in the reserved role `operator`, and of that only what [`SERVER_MAY`] names.
    pub(super) fn server() -> Self {
        Self {
            server: true,
            role: OPERATOR.into(),
            ..Self::keyholder()
        }
    }

    /// The person themselves, in a conversation that this caller relays: nobody else's data, for the purpose of
    /// their rights, and from a code on all of their own, whatever the caller's role may.
    pub(super) fn of_person(&self, subject: SubjectId, level: Level) -> Self {
        Self {
            session: Some(Arc::new(Scope {
                subject,
                session: SessionId::from_bytes([0; 16]),
                purpose: RIGHTS.to_owned(),
                fields: Vec::new(),
                emergency: false,
                talking: Some(level),
            })),
            ..self.clone()
        }
    }

    /// Whoever has a link of a person, and a code that was sent to an address of theirs: taken for the person, as in a
    /// conversation, with nobody's key.
    pub(super) fn of_link(subject: SubjectId) -> Self {
        Self {
            role: PERSON.into(),
            ..Self::keyholder()
        }
        .of_person(subject, Level::L2)
    }

    /// Whether the person themselves acts, and has had a code.
    pub(super) fn is_themselves(&self) -> bool {
        self.talks_identified() == Some(true)
    }

    /// Person and session, for what counts calls of sessions: a person who acts for themselves has none.
    pub(super) fn counted(&self) -> Option<(SubjectId, SessionId)> {
        let scope = self.session.as_ref()?;
        scope
            .talking
            .is_none()
            .then_some((scope.subject, scope.session))
    }

    /// Whether the person themselves talks, and who has had a code.
    fn talks_identified(&self) -> Option<bool> {
        let level = self.session.as_ref()?.talking?;
        Some(level >= Level::L2)
    }

    /// The role's name (`keyholder` for an unlock secret).
    #[must_use]
    pub fn role(&self) -> &str {
        &self.role
    }

    /// The session, if a session's token was shown.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        self.counted().map(|(_, session)| session)
    }

    /// The hash of the API key; that of its maker for a session.
    pub(super) fn key_sha256(&self) -> Option<[u8; 32]> {
        self.token.map(|(_, hash)| hash)
    }

    pub(super) fn scope(&self) -> Option<&Scope> {
        self.session.as_deref()
    }

    /// The channels that the key is bound to; none for one that is not bound.
    pub(super) fn channels(&self) -> &[String] {
        &self.channels
    }

    /// Name and hash of the API key, for what it makes; `None` for a session, which makes nothing.
    pub(super) fn key(&self) -> Option<(TokenId, [u8; 32])> {
        self.token.filter(|_| self.session.is_none())
    }

    /// The role, for what moves values: whoever has an unlock secret alone has none, and a session
    /// has of its maker's role what it was given.
    pub(super) fn role_in<'p>(&self, policy: &'p Policy) -> Option<Cow<'p, Role>> {
        if let Some(identified) = self.talks_identified() {
            return identified.then(|| Cow::Owned(Role::of_themselves(&self.role)));
        }
        self.token?;
        let role = policy.role(&self.role)?;
        let Some(scope) = &self.session else {
            return Some(Cow::Borrowed(role));
        };
        let purpose = policy.purpose(&scope.purpose)?;
        if scope.emergency {
            let breakglass = policy.breakglass();
            let breakglass = breakglass.filter(|one| one.purpose == purpose.id)?;
            if !role.may(Capability::BreakglassRequest) {
                return None;
            }
            return Some(Cow::Owned(breakglass.role(&self.role, &scope.fields)));
        }
        Some(Cow::Owned(role.narrowed(purpose.id, &scope.fields)))
    }

    /// The API key's public name; `None` for an unlock secret. A session has that of its maker.
    #[must_use]
    pub fn token(&self) -> Option<TokenId> {
        self.token.map(|(id, _)| id)
    }

    /// Who it is, in the log.
    #[must_use]
    pub fn actor(&self) -> Actor {
        match self.token {
            Some((id, _)) => Actor::Token(id),
            None if self.is_themselves() => Actor::Person,
            None => without_key(self.server),
        }
    }

    /// Whether the key still stands, in the state that the call works on.
    pub(super) fn check(&self, view: &dyn View) -> Result<(), Refusal> {
        let Some((_, hash)) = self.token else {
            return Ok(());
        };
        let row = standing(view, &hash)?;
        if row.role != self.role {
            return Err(Refusal::Unauthenticated);
        }
        let Some(scope) = &self.session else {
            return Ok(());
        };
        let gone = |refusal| match refusal {
            Refusal::Erased { .. } | Refusal::NotFound(_) => Refusal::Unauthenticated,
            other => other,
        };
        let person = Person::find(view, scope.subject).map_err(gone)?;
        let row = session::load(view, &person, scope.session)?;
        let live = row.is_some_and(|row| row.live(view.now()));
        let stands = match scope.emergency {
            true => emergency_stands(view, &person, scope.session)?,
            false => true,
        };
        (live && stands)
            .then_some(())
            .ok_or(Refusal::Unauthenticated)
    }

    /// The emergency that the session is of.
    pub(super) fn emergency(&self) -> Option<EmergencyId> {
        let scope = self.session.as_ref().filter(|scope| scope.emergency)?;
        Some(emergency::of_session(scope.session))
    }

    /// Whether the role may do one of these; what it lacks is named by the first.
    pub(super) fn require_any(&self, policy: &Policy, any: &[Capability]) -> Result<(), Refusal> {
        let (first, others) = any.split_first().expect("capabilities are named");
        let denied = match self.require(policy, *first) {
            Ok(()) => return Ok(()),
            Err(denied) => denied,
        };
        let may = |one: &Capability| self.require(policy, *one).is_ok();
        others.iter().any(may).then_some(()).ok_or(denied)
    }

    /// Whether the caller may do what the capability names.
    pub(super) fn require(&self, policy: &Policy, capability: Capability) -> Result<(), Refusal> {
        let may = match self.token {
            // To be forgotten is the one thing beyond their data that a person may have done by themselves.
            _ if self.talks_identified() == Some(true) => capability == Capability::SubjectsErase,
            _ if self.session.is_some() => false,
            None if self.server => SERVER_MAY.contains(&capability),
            None => KEYHOLDER_MAY.contains(&capability),
            Some(_) => policy
                .role(&self.role)
                .is_some_and(|role| role.may(capability)),
        };
        if may && !self.channels.is_empty() && UNBOUND_ONLY.contains(&capability) {
            return Err(Refusal::RoleDenied(format!(
                "a key that is bound to channels may not do `{}`",
                capability.name()
            )));
        }
        may.then_some(()).ok_or_else(|| {
            Refusal::RoleDenied(format!(
                "the role `{}` lacks `{}`",
                self.role,
                capability.name()
            ))
        })
    }
}

fn without_key(server: bool) -> Actor {
    match server {
        true => Actor::Server,
        false => Actor::Keyholder,
    }
}

impl Principal {
    /// Whether the role may do any of these; of a session, about its own person: where its purpose is
    /// the person's rights, or its maker's role may.
    pub(super) fn require_own(&self, policy: &Policy, any: &[Capability]) -> Result<(), Refusal> {
        // What a person may have of their own is not what somebody else sees of them in an emergency.
        if let Some(scope) = self.session.as_ref().filter(|scope| !scope.emergency) {
            let role = policy.role(&self.role);
            let may = role.is_some_and(|role| any.iter().any(|one| role.may(*one)));
            if may || scope.purpose == RIGHTS {
                return Ok(());
            }
        }
        self.require_any(policy, any)
    }
}

/// One call: who, what for, and its id in log and evidence.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Who calls.
    pub principal: &'a Principal,
    /// The stated purpose's name.
    pub purpose: Option<&'a str>,
    /// What restricted data are to be used for, where that is claimed.
    pub restricted_use: Option<RestrictedUse>,
    /// The call's id.
    pub id: CallId,
}

impl<'a> Call<'a> {
    /// A call of `principal` under a fresh id. One that moves values names its purpose as well:
    /// [`Call::with_purpose`].
    #[must_use]
    pub fn new(principal: &'a Principal) -> Self {
        Self {
            principal,
            purpose: None,
            restricted_use: None,
            id: CallId::generate(&mut OsEntropy),
        }
    }

    /// The same call, for a purpose of the policy.
    #[must_use]
    pub fn with_purpose(self, purpose: &'a str) -> Self {
        Self {
            purpose: Some(purpose),
            ..self
        }
    }
}

/// Whether a session of an emergency may still read: the emergency stands, and so does the key that
/// approved it.
fn emergency_stands(view: &dyn View, person: &Person, session: SessionId) -> Result<bool, Refusal> {
    let found = emergency::find(view, person, emergency::of_session(session))?;
    let Some(found) = found.filter(|found| found.stands(view.now())) else {
        return Ok(false);
    };
    let Some(approver) = found.approver() else {
        return Ok(false);
    };
    let row = token_row::load(view, &approver.key_sha256)?;
    Ok(row.is_some_and(|row| row.valid(view.now())))
}

/// The row of a key that is neither revoked nor over in this state.
fn standing(view: &dyn View, hash: &[u8; 32]) -> Result<TokenRow, Refusal> {
    let row = token_row::load(view, hash)?;
    row.filter(|row| row.valid(view.now()))
        .ok_or(Refusal::Unauthenticated)
}

/// The hash of an API key, by which its row is found; `None` for any other text.
pub(crate) fn api_key_sha256(bearer: &str) -> Option<[u8; 32]> {
    let secret = bearer.strip_prefix("vk_")?;
    let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(secret.as_bytes()).ok()?);
    (bytes.len() == 32).then(|| sha256(&[&bytes]))
}

/// The principal that a bearer token stands for.
pub(super) fn authenticate(view: &dyn View, bearer: &str) -> Result<Principal, Refusal> {
    if let Some(bearer) = session::Bearer::parse(bearer) {
        let (person, row) = session::find(view, &bearer)?;
        let emergency = emergency::of_session(bearer.session);
        let emergency = emergency::find(view, &person, emergency)?;
        let maker = standing(view, &row.key_sha256)?;
        let principal = Principal {
            token: Some((row.token, row.key_sha256)),
            server: false,
            role: row.role,
            channels: maker.channels.into(),
            session: Some(Arc::new(Scope {
                subject: bearer.subject,
                session: bearer.session,
                purpose: row.purpose,
                fields: match &emergency {
                    Some(emergency) => emergency.fields.clone(),
                    None => row.fields,
                },
                emergency: emergency.is_some(),
                talking: None,
            })),
        };
        principal.check(view)?;
        return Ok(principal);
    }
    let hash = api_key_sha256(bearer).ok_or(Refusal::Unauthenticated)?;
    let row = standing(view, &hash)?;
    Ok(Principal {
        token: Some((row.token, hash)),
        server: false,
        role: row.role,
        channels: row.channels.into(),
        session: None,
    })
}

/// A session of a role for a purpose, of nobody, for tests of rules.
#[cfg(test)]
pub(super) fn tests_session(role: &str, purpose: &str) -> Principal {
    Principal {
        token: Some((TokenId::from_bytes([1; 16]), [2; 32])),
        server: false,
        role: role.into(),
        channels: Arc::default(),
        session: Some(Arc::new(Scope {
            subject: SubjectId::from_bytes([3; 16]),
            session: SessionId::from_bytes([4; 16]),
            purpose: purpose.into(),
            fields: Vec::new(),
            emergency: false,
            talking: None,
        })),
    }
}
