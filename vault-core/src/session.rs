//! Sessions: a token for one conversation, good for one person, some fields, one purpose, some calls.
//!
//! The row lies under the person's keys and dies with them. The token carries the person's id, so
//! that no table of the vault's own leads from a token to a person. Knows nothing of what the calls
//! do.

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::commit::{Txn, View};
use crate::crypto::{Location, Secret, sha256};
use crate::id::{SessionId, SubjectId, TokenId};
use crate::keys::keyset::Compartment;
use crate::limits::SESSIONS_PER_PERSON_MAX;
use crate::person::{DAMAGED, Person};
use crate::refusal::Refusal;
use crate::row;
use crate::store::{Direction, KeyRange, Table, WriteTx};

/// The prefix of a session's token.
const PREFIX: &str = "vs_";

/// What a session may do, and how much of it is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionRow {
    pub(crate) secret_sha256: [u8; 32],
    /// The API key that made it, by name and by hash: the session ends with it.
    pub(crate) token: TokenId,
    pub(crate) key_sha256: [u8; 32],
    pub(crate) role: String,
    pub(crate) purpose: String,
    /// Collections and fields.
    pub(crate) fields: Vec<(u16, u16)>,
    pub(crate) reads: u32,
    pub(crate) writes: u32,
    pub(crate) created_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) revoked: bool,
}

impl SessionRow {
    pub(crate) fn live(&self, now: Timestamp) -> bool {
        !self.revoked && self.expires_at > now.as_millisecond()
    }

    /// The row after one more call.
    fn less_one(mut self, now: Timestamp, write: bool) -> Result<Self, Refusal> {
        if !self.live(now) {
            return Err(Refusal::Unauthenticated);
        }
        let (left, what) = match write {
            true => (&mut self.writes, "writes"),
            false => (&mut self.reads, "reads"),
        };
        *left = left
            .checked_sub(1)
            .ok_or_else(|| Refusal::RoleDenied(format!("this session has no {what} left")))?;
        Ok(self)
    }
}

/// A session's token, taken apart.
pub(crate) struct Bearer {
    pub(crate) subject: SubjectId,
    pub(crate) session: SessionId,
    secret_sha256: [u8; 32],
}

impl Bearer {
    /// Reads `vs_…`; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD
            .decode(text.strip_prefix(PREFIX)?.as_bytes())
            .ok()?;
        let bytes: [u8; 64] = bytes.try_into().ok()?;
        let part = |at: usize| bytes[at..at + 16].try_into().ok();
        Some(Self {
            subject: SubjectId::from_bytes(part(0)?),
            session: SessionId::from_bytes(part(16)?),
            secret_sha256: sha256(&[&bytes[32..]]),
        })
    }
}

/// Whether a bearer has the form of a session's token, and whose it says it is. Proves nothing.
#[must_use]
pub fn subject_of(bearer: &str) -> Option<SubjectId> {
    Bearer::parse(bearer).map(|bearer| bearer.subject)
}

fn row_key(person: &Person, session: SessionId) -> Vec<u8> {
    [&person.entry.handle.as_bytes()[..], &session.as_bytes()[..]].concat()
}

fn place<'a>(view: &dyn View, person: &'a Person, session: &'a SessionId) -> Location<'a> {
    Location {
        record: session.as_bytes(),
        ..Location::row(
            view.vault(),
            Table::Sessions.number(),
            person.entry.handle.as_bytes(),
        )
    }
}

fn open(
    view: &dyn View,
    person: &Person,
    session: SessionId,
    sealed: &[u8],
) -> Result<SessionRow, Refusal> {
    let bytes = person.unseal(&place(view, person, &session), sealed)?;
    row::decode(&bytes).map_err(|_| DAMAGED)
}

/// The same session under another key.
pub(crate) fn seal_again(
    view: &dyn View,
    person: &Person,
    key: &[u8],
    sealed: &[u8],
    number: u32,
) -> Result<Vec<u8>, Refusal> {
    let session = key.get(16..).and_then(|id| id.try_into().ok());
    let session = SessionId::from_bytes(session.ok_or(DAMAGED)?);
    let location = place(view, person, &session);
    person.seal(number, &location, &person.unseal(&location, sealed)?)
}

/// The row of a session, live or not.
pub(crate) fn load(
    view: &dyn View,
    person: &Person,
    session: SessionId,
) -> Result<Option<SessionRow>, Refusal> {
    let sealed = view.tx().get(Table::Sessions, &row_key(person, session))?;
    sealed
        .map(|sealed| open(view, person, session, &sealed))
        .transpose()
}

/// The person and the row that a token stands for, if it does and is live.
pub(crate) fn find(view: &dyn View, bearer: &Bearer) -> Result<(Person, SessionRow), Refusal> {
    // Whoever was erased, or never was, has no sessions: both are nobody's token.
    let person = Person::find(view, bearer.subject).map_err(|refusal| match refusal {
        Refusal::NotFound(_) | Refusal::Erased { .. } => Refusal::Unauthenticated,
        other => other,
    })?;
    let row = load(view, &person, bearer.session)?.ok_or(Refusal::Unauthenticated)?;
    let right = bool::from(row.secret_sha256.ct_eq(&bearer.secret_sha256));
    if right && row.live(view.now()) {
        return Ok((person, row));
    }
    Err(Refusal::Unauthenticated)
}

/// Writes a session's row.
pub(crate) fn store(
    txn: &mut Txn<'_>,
    person: &mut Person,
    session: SessionId,
    row: &SessionRow,
) -> Result<(), Refusal> {
    let number = person.key_for(Compartment::CONTROL, txn.entropy())?;
    let sealed = person.seal(number, &place(txn, person, &session), &row::encode(row))?;
    Ok(txn.put(Table::Sessions, &row_key(person, session), &sealed)?)
}

/// Begins a session; the token is in the answer and nowhere else. Rows of sessions that are over
/// are removed on the way.
pub(crate) fn begin(
    txn: &mut Txn<'_>,
    person: &mut Person,
    row: SessionRow,
) -> Result<(SessionId, String), Refusal> {
    let mut live = 0;
    for (session, other) in all(txn, person)? {
        if other.live(txn.now()) {
            live += 1;
        } else {
            txn.delete(Table::Sessions, &row_key(person, session))?;
        }
    }
    if live >= SESSIONS_PER_PERSON_MAX {
        return Err(Refusal::Conflict(format!(
            "this person has {SESSIONS_PER_PERSON_MAX} sessions; end one, or wait for one to end"
        )));
    }
    let session = SessionId::generate(txn.entropy());
    let token = begin_as(txn, person, session, row)?;
    Ok((session, token))
}

/// The same under a name that is there already: an emergency's.
pub(crate) fn begin_as(
    txn: &mut Txn<'_>,
    person: &mut Person,
    session: SessionId,
    mut row: SessionRow,
) -> Result<String, Refusal> {
    let secret = Secret::<32>::generate(txn.entropy());
    row.secret_sha256 = sha256(&[secret.expose()]);
    store(txn, person, session, &row)?;
    let bytes = zeroize::Zeroizing::new(
        [
            &person.subject.as_bytes()[..],
            &session.as_bytes()[..],
            &secret.expose()[..],
        ]
        .concat(),
    );
    Ok(format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes)))
}

impl SessionRow {
    /// A row without a secret, which [`begin`] gives it.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a fact about one session"
    )]
    pub(crate) fn new(
        (token, key_sha256): (TokenId, [u8; 32]),
        role: &str,
        purpose: &str,
        fields: Vec<(u16, u16)>,
        reads: u32,
        writes: u32,
        created_at: Timestamp,
        expires_at: Timestamp,
    ) -> Self {
        Self {
            secret_sha256: [0; 32],
            token,
            key_sha256,
            role: role.into(),
            purpose: purpose.into(),
            fields,
            reads,
            writes,
            created_at: created_at.as_millisecond(),
            expires_at: expires_at.as_millisecond(),
            revoked: false,
        }
    }
}

/// Every session of a person that still has a row.
pub(crate) fn all(
    view: &dyn View,
    person: &Person,
) -> Result<Vec<(SessionId, SessionRow)>, Refusal> {
    let range = KeyRange::prefix(person.entry.handle.as_bytes());
    let rows = view
        .tx()
        .range(Table::Sessions, &range, Direction::Ascending, usize::MAX)?;
    rows.iter()
        .map(|(key, sealed)| {
            let session = key.get(16..).and_then(|id| id.try_into().ok());
            let session = SessionId::from_bytes(session.ok_or(DAMAGED)?);
            Ok((session, open(view, person, session, sealed)?))
        })
        .collect()
}

/// Whether a call of a session could be counted now; one that takes long is counted at its end.
pub(crate) fn could_spend(
    view: &dyn View,
    subject: SubjectId,
    session: SessionId,
    write: bool,
) -> Result<(), Refusal> {
    let person = Person::find(view, subject)?;
    let row = load(view, &person, session)?.ok_or(Refusal::Unauthenticated)?;
    row.less_one(view.now(), write).map(drop)
}

/// Counts a call of a session.
pub(crate) fn spend(
    txn: &mut Txn<'_>,
    subject: SubjectId,
    session: SessionId,
    write: bool,
) -> Result<(), Refusal> {
    let mut person = Person::find(txn, subject)?;
    let row = load(txn, &person, session)?.ok_or(Refusal::Unauthenticated)?;
    let row = row.less_one(txn.now(), write)?;
    store(txn, &mut person, session, &row)
}
