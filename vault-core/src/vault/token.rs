//! API keys: 256 random bits, found by their hash; roles, and who calls.

use std::borrow::Cow;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::audit::Actor;
use crate::commit::{Txn, View};
use crate::crypto::{Location, Secret, seal, sha256, unseal};
use crate::id::{CallId, SessionId, SubjectId, TokenId};
use crate::limits::API_KEYS_MAX;
use crate::person::{DAMAGED, Person};
use crate::policy::{Capability, Policy, Role};
use crate::refusal::Refusal;
use crate::row;
use crate::session;
use crate::store::{Direction, KeyRange, ReadTx, Table, WriteTx};

/// The role of whoever has an unlock secret.
pub(super) const KEYHOLDER: &str = "keyholder";
const KEYHOLDER_MAY: [Capability; 10] = [
    Capability::ApiKeysManage,
    Capability::AuditRead,
    Capability::KeysManage,
    Capability::PolicyApply,
    Capability::PolicyRead,
    Capability::RetentionRun,
    Capability::SubjectsErase,
    Capability::SubjectsLookup,
    Capability::SubjectsView,
    Capability::VaultLock,
];

/// Who calls: an API key with its role, or whoever has an unlock secret. Made by the vault alone.
#[derive(Clone, Debug)]
pub struct Principal {
    token: Option<(TokenId, [u8; 32])>,
    role: String,
    session: Option<Arc<Scope>>,
}

/// What a session's token is good for.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) subject: SubjectId,
    pub(super) session: SessionId,
    pub(super) purpose: String,
    fields: Vec<(u16, u16)>,
}

impl Principal {
    pub(super) fn keyholder() -> Self {
        Self {
            token: None,
            role: KEYHOLDER.into(),
            session: None,
        }
    }

    /// The role's name (`keyholder` for an unlock secret).
    #[must_use]
    pub fn role(&self) -> &str {
        &self.role
    }

    /// The session, if a session's token was shown.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        self.session.as_ref().map(|scope| scope.session)
    }

    /// The hash of the API key; that of its maker for a session.
    pub(super) fn key_sha256(&self) -> Option<[u8; 32]> {
        self.token.map(|(_, hash)| hash)
    }

    pub(super) fn scope(&self) -> Option<&Scope> {
        self.session.as_deref()
    }

    /// Name and hash of the API key, for what it makes; `None` for a session, which makes nothing.
    pub(super) fn key(&self) -> Option<(TokenId, [u8; 32])> {
        self.token.filter(|_| self.session.is_none())
    }

    /// The role, for what moves values: whoever has an unlock secret alone has none, and a session
    /// has of its maker's role what it was given.
    pub(super) fn role_in<'p>(&self, policy: &'p Policy) -> Option<Cow<'p, Role>> {
        self.token?;
        let role = policy.role(&self.role)?;
        let Some(scope) = &self.session else {
            return Some(Cow::Borrowed(role));
        };
        let purpose = policy.purpose(&scope.purpose)?;
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
        self.token
            .map_or(Actor::Keyholder, |(id, _)| Actor::Token(id))
    }

    /// Whether the key still stands, in the state that the call works on.
    pub(super) fn check(&self, view: &dyn View) -> Result<(), Refusal> {
        let Some((_, hash)) = self.token else {
            return Ok(());
        };
        let row = load(view, &hash)?.ok_or(Refusal::Unauthenticated)?;
        if !row.valid(view.now()) || row.role != self.role {
            return Err(Refusal::Unauthenticated);
        }
        let Some(scope) = &self.session else {
            return Ok(());
        };
        let gone = |refusal| match refusal {
            Refusal::Erased { .. } | Refusal::NotFound(_) => Refusal::Unauthenticated,
            other => other,
        };
        let person = Person::load(view, scope.subject).map_err(gone)?;
        let row = session::load(view, &person, scope.session)?;
        let live = row.is_some_and(|row| row.live(view.now()));
        live.then_some(()).ok_or(Refusal::Unauthenticated)
    }

    /// Whether the role may do this.
    pub(super) fn require(&self, policy: &Policy, capability: Capability) -> Result<(), Refusal> {
        let may = match self.token {
            _ if self.session.is_some() => false,
            None => KEYHOLDER_MAY.contains(&capability),
            Some(_) => policy
                .role(&self.role)
                .is_some_and(|role| role.may(capability)),
        };
        may.then_some(()).ok_or_else(|| {
            Refusal::RoleDenied(format!(
                "the role `{}` lacks `{}`",
                self.role,
                capability.name()
            ))
        })
    }
}

/// One call: who, what for, and its id in log and evidence.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Who calls.
    pub principal: &'a Principal,
    /// The stated purpose's name.
    pub purpose: Option<&'a str>,
    /// The call's id.
    pub id: CallId,
}

/// An API key, without its secret.
#[derive(Clone, Debug)]
pub struct TokenView {
    /// Its public name.
    pub token: TokenId,
    /// Its role.
    pub role: String,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when, if it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// Whether it was revoked.
    pub revoked: bool,
}

#[derive(Serialize, Deserialize)]
struct TokenRow {
    token: TokenId,
    role: String,
    created_at: i64,
    expires_at: Option<i64>,
    revoked: bool,
}

impl TokenRow {
    fn valid(&self, now: Timestamp) -> bool {
        !self.revoked && self.expires_at.is_none_or(|end| end > now.as_millisecond())
    }

    fn view(self) -> TokenView {
        TokenView {
            token: self.token,
            role: self.role,
            created_at: crate::person::instant(self.created_at),
            expires_at: self.expires_at.map(crate::person::instant),
            revoked: self.revoked,
        }
    }

    fn store(&self, txn: &mut Txn<'_>, hash: &[u8; 32]) -> Result<(), Refusal> {
        let location = Location::row(txn.vault(), Table::ApiKeys.number(), hash);
        let sealed =
            seal(&txn.system().system, 0, &location, &row::encode(self)).map_err(|_| DAMAGED)?;
        Ok(txn.put(Table::ApiKeys, hash, &sealed)?)
    }
}

fn decode(view: &dyn View, hash: &[u8], sealed: &[u8]) -> Result<TokenRow, Refusal> {
    let location = Location::row(view.vault(), Table::ApiKeys.number(), hash);
    let bytes = unseal(&view.system().system, &location, sealed).map_err(|_| DAMAGED)?;
    row::decode(&bytes).map_err(|_| DAMAGED)
}

fn load(view: &dyn View, hash: &[u8; 32]) -> Result<Option<TokenRow>, Refusal> {
    let sealed = view.tx().get(Table::ApiKeys, hash)?;
    sealed.map(|sealed| decode(view, hash, &sealed)).transpose()
}

/// The principal that a bearer token stands for.
pub(super) fn authenticate(view: &dyn View, bearer: &str) -> Result<Principal, Refusal> {
    if let Some(bearer) = session::Bearer::parse(bearer) {
        let (_, row) = session::find(view, &bearer)?;
        let principal = Principal {
            token: Some((row.token, row.key_sha256)),
            role: row.role,
            session: Some(Arc::new(Scope {
                subject: bearer.subject,
                session: bearer.session,
                purpose: row.purpose,
                fields: row.fields,
            })),
        };
        principal.check(view)?;
        return Ok(principal);
    }
    let secret = bearer.strip_prefix("vk_").ok_or(Refusal::Unauthenticated)?;
    let bytes = BASE64URL_NOPAD
        .decode(secret.as_bytes())
        .map_err(|_| Refusal::Unauthenticated)?;
    if bytes.len() != 32 {
        return Err(Refusal::Unauthenticated);
    }
    let hash = sha256(&[&bytes]);
    let row = load(view, &hash)?.filter(|row| row.valid(view.now()));
    let row = row.ok_or(Refusal::Unauthenticated)?;
    Ok(Principal {
        token: Some((row.token, hash)),
        role: row.role,
        session: None,
    })
}

/// Makes an API key; its secret is in the answer and nowhere else.
pub(super) fn create(
    txn: &mut Txn<'_>,
    role: &str,
    expires_at: Option<Timestamp>,
) -> Result<(TokenView, String), Refusal> {
    if txn
        .range(
            Table::ApiKeys,
            &KeyRange::all(),
            Direction::Ascending,
            API_KEYS_MAX,
        )?
        .len()
        >= API_KEYS_MAX
    {
        return Err(Refusal::TooLarge(format!(
            "a vault has at most {API_KEYS_MAX} API keys"
        )));
    }
    let secret = Secret::<32>::generate(txn.entropy());
    let row = TokenRow {
        token: TokenId::generate(txn.entropy()),
        role: role.into(),
        created_at: txn.now().as_millisecond(),
        expires_at: expires_at.map(Timestamp::as_millisecond),
        revoked: false,
    };
    row.store(txn, &sha256(&[secret.expose()]))?;
    let text = format!("vk_{}", BASE64URL_NOPAD.encode(secret.expose()));
    Ok((row.view(), text))
}

/// Every API key, oldest first.
pub(super) fn list(view: &dyn View) -> Result<Vec<TokenView>, Refusal> {
    let rows = view.tx().range(
        Table::ApiKeys,
        &KeyRange::all(),
        Direction::Ascending,
        API_KEYS_MAX,
    )?;
    let mut tokens = Vec::new();
    for (hash, sealed) in rows {
        tokens.push(decode(view, &hash, &sealed)?.view());
    }
    tokens.sort_by_key(|token| token.created_at);
    Ok(tokens)
}

/// Ends an API key.
pub(super) fn revoke(txn: &mut Txn<'_>, token: TokenId) -> Result<(), Refusal> {
    let rows = txn.range(
        Table::ApiKeys,
        &KeyRange::all(),
        Direction::Ascending,
        API_KEYS_MAX,
    )?;
    for (hash, sealed) in rows {
        let mut row = decode(txn, &hash, &sealed)?;
        if row.token == token {
            row.revoked = true;
            let hash = hash.try_into().map_err(|_| DAMAGED)?;
            row.store(txn, &hash)?;
            txn.revoke_all();
            return Ok(());
        }
    }
    Err(Refusal::NotFound("API key"))
}
