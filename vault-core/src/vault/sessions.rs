//! Sessions: begun by a role that may, used as `self`, listed, ended.

use jiff::{SignedDuration, Timestamp};

use super::call::{Context, Noted};
use super::token::Call;
use super::{Vault, input};
use crate::commit::{Txn, View};
use crate::decision;
use crate::id::{SessionId, SubjectId};
use crate::limits::{
    SESSION_CALLS_MAX, SESSION_FIELDS_MAX, SESSION_SECONDS_DEFAULT, SESSION_SECONDS_MAX,
};
use crate::person::instant;
use crate::policy::{Capability, Policy, View as Sight};
use crate::refusal::{InputError, Refusal};
use crate::session::{self, SessionRow};

/// What a session is to be good for.
#[derive(Clone, Debug)]
pub struct SessionInput {
    /// The one purpose of its calls.
    pub purpose: String,
    /// `collection.field` or `collection.*`.
    pub fields: Vec<String>,
    /// Reads and questions it may make.
    pub reads: u32,
    /// Writes it may make.
    pub writes: u32,
    /// How long; a quarter of an hour unless told.
    pub expires_in: Option<i64>,
}

/// A session as it began, with its token.
#[derive(Clone)]
pub struct SessionBegun {
    /// Its name.
    pub session: SessionId,
    /// What its calls carry; shown once.
    pub token: String,
    /// Its end.
    pub expires_at: Timestamp,
}

/// A session, without its token.
#[derive(Clone, Debug)]
pub struct SessionView {
    /// Its name.
    pub session: SessionId,
    /// The one purpose of its calls.
    pub purpose: String,
    /// Reads that are left.
    pub reads: u32,
    /// Writes that are left.
    pub writes: u32,
    /// Its beginning.
    pub created_at: Timestamp,
    /// Its end.
    pub expires_at: Timestamp,
    /// Whether it can still be used.
    pub live: bool,
}

/// The numbers of the named fields, of which the role must see, ask or write each.
fn fields(
    policy: &Policy,
    context: &Context,
    names: &[String],
    errors: &mut Vec<InputError>,
) -> Result<Vec<(u16, u16)>, Refusal> {
    let role = context.role(policy)?;
    let mut fields = Vec::new();
    if names.is_empty() || names.len() > SESSION_FIELDS_MAX {
        let detail = format!("name 1 to {SESSION_FIELDS_MAX} fields");
        errors.push(input::error("/fields", "length", detail));
    }
    for (index, name) in names.iter().take(SESSION_FIELDS_MAX).enumerate() {
        let mut found = Vec::new();
        let (collection, field) = name.split_once('.').unwrap_or((name, ""));
        if let Some(collection) = policy.collection(collection) {
            let named = collection
                .fields
                .iter()
                .filter(|known| field == "*" || known.name == field);
            found.extend(named.map(|field| (collection, field)));
        }
        if found.is_empty() {
            errors.push(input::error(
                format!("/fields/{index}"),
                "unknown_field",
                "expected `collection.field` or `collection.*` of the policy",
            ));
        }
        let every = field == "*";
        for (collection, field) in found {
            let number = (collection.id, field.id);
            let may = role.view(collection.id, field.id) != Sight::None
                || role.may_write(collection.id, field.id)
                || role.asks(collection.id, field.id).next().is_some();
            if may && !fields.contains(&number) {
                fields.push(number);
            } else if !may && !every {
                // A session gives away what its maker has, and nothing else.
                return Err(Refusal::RoleDenied(format!(
                    "the role `{}` has no access to {}.{} to give away",
                    role.name, collection.name, field.name
                )));
            }
        }
    }
    Ok(fields)
}

/// Begins a session for one person.
pub(super) fn begin(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    input: &SessionInput,
) -> Result<SessionBegun, Refusal> {
    noted.met = Some(subject);
    context
        .principal
        .require(policy, Capability::SessionsCreate)?;
    let mut person = context.person(txn, subject)?;
    noted.person(&person, txn.now());
    let role = context.role(policy)?;
    let purpose = decision::purpose(policy, &role, Some(&input.purpose))?;
    let mut errors = Vec::new();
    let fields = fields(policy, context, &input.fields, &mut errors)?;
    if input.reads.max(input.writes) > SESSION_CALLS_MAX {
        let detail = format!("`reads` and `writes` are at most {SESSION_CALLS_MAX} each");
        errors.push(input::error("/reads", "out_of_range", detail));
    }
    if input.reads == 0 && input.writes == 0 {
        let detail = "a session without a read or a write is good for nothing";
        errors.push(input::error("/reads", "out_of_range", detail));
    }
    let seconds = input.expires_in.unwrap_or(SESSION_SECONDS_DEFAULT);
    if !(1..=SESSION_SECONDS_MAX).contains(&seconds) {
        let detail = format!("between 1 and {SESSION_SECONDS_MAX} seconds");
        errors.push(input::error("/expires_in", "out_of_range", detail));
    }
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors));
    }
    let maker = context.principal.key().ok_or(Refusal::Unauthenticated)?;
    let expires_at = txn.now() + SignedDuration::from_secs(seconds);
    let row = SessionRow::new(
        maker,
        context.principal.role(),
        &purpose.name,
        fields,
        input.reads,
        input.writes,
        txn.now(),
        expires_at,
    );
    let (session, token) = session::begin(txn, &mut person, row)?;
    context.note_act(txn, policy, &mut person)?;
    Ok(SessionBegun {
        session,
        token,
        expires_at,
    })
}

impl Vault {
    /// Begins a session for one person.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`] without `sessions.create` or for a field that the role does not have
    /// itself; [`Refusal::NotFound`], [`Refusal::Erased`], [`Refusal::PurposeDenied`],
    /// [`Refusal::Conflict`] beyond 64 sessions a person, [`Refusal::Invalid`].
    pub fn begin_session(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        input: SessionInput,
    ) -> Result<SessionBegun, Refusal> {
        self.write(
            call,
            "sessions.create",
            move |txn, policy, context, noted| begin(txn, policy, context, noted, subject, &input),
        )
    }

    /// The sessions of a person; those that are over may be missing.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`] without `sessions.create`; [`Refusal::NotFound`],
    /// [`Refusal::Erased`].
    pub fn list_sessions(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
    ) -> Result<Vec<SessionView>, Refusal> {
        self.read(
            call,
            "sessions.list",
            Some(subject),
            |snapshot, policy, context, noted| {
                context
                    .principal
                    .require(policy, Capability::SessionsCreate)?;
                let person = context.person(snapshot, subject)?;
                noted.person(&person, snapshot.now());
                let rows = session::all(snapshot, &person)?;
                let views = rows.into_iter().map(|(session, row)| SessionView {
                    session,
                    live: row.live(snapshot.now()),
                    purpose: row.purpose,
                    reads: row.reads,
                    writes: row.writes,
                    created_at: instant(row.created_at),
                    expires_at: instant(row.expires_at),
                });
                Ok(views.collect())
            },
            |views| views,
        )
    }

    /// Ends a session: from the answer on its token opens nothing.
    ///
    /// # Errors
    ///
    /// As for [`Vault::list_sessions`]; [`Refusal::NotFound`] also for the session.
    pub fn end_session(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        session: SessionId,
    ) -> Result<(), Refusal> {
        self.write(call, "sessions.end", move |txn, policy, context, noted| {
            noted.met = Some(subject);
            context
                .principal
                .require(policy, Capability::SessionsCreate)?;
            let mut person = context.person(txn, subject)?;
            noted.person(&person, txn.now());
            let row = session::load(txn, &person, session)?;
            let mut row = row.ok_or(Refusal::NotFound("session"))?;
            row.revoked = true;
            session::store(txn, &mut person, session, &row)?;
            // Reads that are under way with it end before this is acknowledged.
            txn.revoke(subject);
            Ok(())
        })
    }
}
