//! Emergency access: asked for, decided by another key, taken once, ended; and who is told of it.
//!
//! What an emergency shows is found at each read (`token`), from the stored steps and the policy in force.
//! Here are only the steps, each with an entry of its own in the log.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use parking_lot::Mutex;

use super::call::{Context, Noted};
use super::token::Call;
use super::{Vault, input, plain, token_row};
use crate::commit::{Txn, View};
use crate::emergency::{self, Emergency, EmergencyState, Party, Step};
use crate::events;
use crate::id::{CallId, EmergencyId, SubjectId, TokenId};
use crate::limits::{
    EMERGENCIES_OPEN_MAX, EMERGENCY_STEPS_MAX, EMERGENCY_WAIT_SECONDS, PLAIN_TEXT_BYTES_MAX,
    SESSION_FIELDS_MAX,
};
use crate::person::Person;
use crate::policy::{Breakglass, Capability, Policy, View as Sight};
use crate::refusal::{InputError, Refusal};
use crate::session::{self, SessionRow};

/// A request for emergency access.
#[derive(Clone)]
pub struct EmergencyInput {
    /// Why, without personal data.
    pub reason: String,
    /// `collection.field` or `collection.*`.
    pub fields: Vec<String>,
    /// How long, in seconds from the approval on; as long as the policy allows unless told.
    pub expires_in: Option<i64>,
}

/// Silent about what was said.
impl std::fmt::Debug for EmergencyInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmergencyInput")
            .field("fields", &self.fields.len())
            .finish_non_exhaustive()
    }
}

/// An emergency, for those who decide about it and for the person.
#[derive(Clone)]
pub struct EmergencyView {
    /// Its name.
    pub emergency: EmergencyId,
    /// Where it stands.
    pub state: EmergencyState,
    /// Why.
    pub reason: String,
    /// `collection.field`, of the policy in force; by number where that has it no more.
    pub fields: Vec<String>,
    /// What its reads count for; by number where the policy has it no more.
    pub purpose: String,
    /// How long it lasts from the approval on, in seconds.
    pub expires_in: i64,
    /// The API key that asked, and its role.
    pub requested_by: (TokenId, String),
    /// When.
    pub requested_at: Timestamp,
    /// The API key that decided, and its role.
    pub decided_by: Option<(TokenId, String)>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// When the session was taken.
    pub used_at: Option<Timestamp>,
    /// When it was ended before its time.
    pub ended_at: Option<Timestamp>,
    /// Its end: of the wait for a decision, or of the access.
    pub expires_at: Timestamp,
}

/// Silent about what was said.
impl std::fmt::Debug for EmergencyView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmergencyView")
            .field("emergency", &self.emergency)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// An emergency's session, with its token.
#[derive(Clone)]
pub struct EmergencySession {
    /// What its reads carry; shown once.
    pub token: String,
    /// Its end.
    pub expires_at: Timestamp,
    /// Reads that it is good for.
    pub reads: u32,
}

/// A step of an emergency, for whoever is told. Holds no value, no reason and no id of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmergencyAlarm {
    /// When.
    pub time: Timestamp,
    /// Which; none where a request was refused, or what was named is none of this person.
    pub emergency: Option<EmergencyId>,
    /// The API key; `None` for an unlock secret.
    pub token: Option<TokenId>,
    /// Its role.
    pub role: String,
    /// `breakglass.requested`, `.approved`, `.refused`, `.used` or `.ended`.
    pub action: &'static str,
    /// `ok`, or the code of the refusal.
    pub outcome: &'static str,
    /// The call's id, by which the log has it.
    pub request: CallId,
}

const REQUESTED: &str = "breakglass.requested";
const APPROVED: &str = "breakglass.approved";
const REFUSED: &str = "breakglass.refused";
const USED: &str = "breakglass.used";
const ENDED: &str = "breakglass.ended";
/// The steps, in the order of [`Counts`].
pub(super) const STEPS: [&str; 5] = [REQUESTED, APPROVED, REFUSED, USED, ENDED];

/// How often each step was taken, since the vault was opened.
#[derive(Default)]
pub(super) struct Counts([AtomicU64; STEPS.len()]);

impl Counts {
    fn add(&self, action: &str) {
        let at = STEPS.iter().position(|step| *step == action);
        if let Some(count) = at.map(|at| &self.0[at]) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn all(&self) -> [u64; STEPS.len()] {
        std::array::from_fn(|at| self.0[at].load(Ordering::Relaxed))
    }
}

fn party(context: &Context) -> Result<Party, Refusal> {
    let (token, key_sha256) = context.principal.key().ok_or(Refusal::Unauthenticated)?;
    Ok(Party {
        token,
        key_sha256,
        role: context.principal.role().to_owned(),
    })
}

fn breakglass(policy: &Policy) -> Result<&Breakglass, Refusal> {
    policy.breakglass().ok_or_else(|| {
        Refusal::RoleDenied(
            "the policy has no section [breakglass]: nobody has emergency access".into(),
        )
    })
}

/// The numbers of the named fields, each of which the section shows for its purpose.
fn fields(
    policy: &Policy,
    breakglass: &Breakglass,
    names: &[String],
    errors: &mut Vec<InputError>,
) -> Result<Vec<(u16, u16)>, Refusal> {
    if names.is_empty() || names.len() > SESSION_FIELDS_MAX {
        let detail = format!("name 1 to {SESSION_FIELDS_MAX} fields");
        errors.push(input::error("/fields", "length", detail));
    }
    let mut fields = Vec::new();
    for (index, name) in names.iter().take(SESSION_FIELDS_MAX).enumerate() {
        let (collection, field) = name.split_once('.').unwrap_or((name, ""));
        let every = field == "*";
        let collection = policy.collection(collection);
        let known = collection.into_iter().flat_map(|collection| {
            let fields = collection.fields.iter();
            let fields = fields.filter(move |known| every || known.name == field);
            fields.map(move |field| (collection, field))
        });
        let mut any = false;
        for (collection, field) in known {
            any = true;
            let number = (collection.id, field.id);
            let shown = breakglass.view(collection.id, field.id) != Sight::None;
            let may = shown && field.purposes.contains(&breakglass.purpose);
            if may && !fields.contains(&number) {
                fields.push(number);
            } else if !may && !every {
                return Err(Refusal::RoleDenied(format!(
                    "the policy's [breakglass] does not show {}.{}",
                    collection.name, field.name
                )));
            }
        }
        if !any {
            errors.push(input::error(
                format!("/fields/{index}"),
                "unknown_field",
                "expected `collection.field` or `collection.*` of the policy",
            ));
        }
    }
    if fields.is_empty() && errors.is_empty() {
        return Err(Refusal::RoleDenied(
            "the policy's [breakglass] shows none of these fields".into(),
        ));
    }
    Ok(fields)
}

fn request(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    input: &EmergencyInput,
) -> Result<EmergencyView, Refusal> {
    let capability = Capability::BreakglassRequest;
    let mut person = context.admit(txn, policy, noted, subject, capability)?;
    let breakglass = breakglass(policy)?;
    let by = party(context)?;
    let mut errors = Vec::new();
    plain::check(&mut errors, "/reason", &input.reason, PLAIN_TEXT_BYTES_MAX);
    let fields = fields(policy, breakglass, &input.fields, &mut errors)?;
    let seconds = input.expires_in.unwrap_or(breakglass.seconds_max);
    if !(1..=breakglass.seconds_max).contains(&seconds) {
        let detail = format!(
            "between 1 and {} seconds, as the policy says",
            breakglass.seconds_max
        );
        errors.push(input::error("/expires_in", "out_of_range", detail));
    }
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors));
    }
    let now = txn.now();
    if emergency::steps(txn, &person)? >= EMERGENCY_STEPS_MAX {
        return Err(Refusal::TooLarge(format!(
            "this person has had as many emergencies as are kept, of {EMERGENCY_STEPS_MAX} steps: nobody \
             asks for another here"
        )));
    }
    let all = emergency::all(txn, &person)?;
    if all.iter().filter(|one| one.state(now).is_open()).count() >= EMERGENCIES_OPEN_MAX {
        return Err(Refusal::Conflict(format!(
            "this person has {EMERGENCIES_OPEN_MAX} emergencies that wait or stand; end one first"
        )));
    }
    let id = EmergencyId::generate(txn.entropy());
    noted.fields = fields.clone();
    let step = Step::Requested {
        by,
        reason: input.reason.clone(),
        fields,
        purpose: breakglass.purpose,
        seconds,
    };
    emergency::append(txn, &mut person, id, step)?;
    let (found, _) = find(txn, &person, id)?;
    noted.emergency = Some(id);
    Ok(view(policy, found, now))
}

fn find(
    view: &dyn View,
    person: &Person,
    id: EmergencyId,
) -> Result<(Emergency, EmergencyState), Refusal> {
    let found = emergency::find(view, person, id)?;
    let found = found.ok_or(Refusal::NotFound("emergency"))?;
    let state = found.state(view.now());
    Ok((found, state))
}

/// Whether one key made the other, or has taken its place, directly or by others between them.
fn descends(rows: &[([u8; 32], token_row::TokenRow)], from: TokenId, to: TokenId) -> bool {
    let mut seen = HashSet::from([from]);
    let mut next = vec![from];
    while let Some(one) = next.pop() {
        if one == to {
            return true;
        }
        let Some((_, row)) = rows.iter().find(|(_, row)| row.token == one) else {
            continue;
        };
        let before = [row.created_by, row.replaces].into_iter().flatten();
        next.extend(before.filter(|one| seen.insert(*one)));
    }
    false
}

/// Whether `other` may have a word about what `by` asked for: it is another key, and neither of the two
/// made the other or has taken its place.
fn another(view: &dyn View, by: &Party, other: &Party) -> Result<(), Refusal> {
    let rows = token_row::all(view)?;
    let same = by.token == other.token || by.key_sha256 == other.key_sha256;
    if same || descends(&rows, by.token, other.token) || descends(&rows, other.token, by.token) {
        return Err(Refusal::RoleDenied(
            "another API key decides: not the one that asked, nor one that made it, was made by it, or \
             has taken its place"
                .into(),
        ));
    }
    Ok(())
}

fn decide(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    (subject, id): (SubjectId, EmergencyId),
    approve: bool,
) -> Result<EmergencyView, Refusal> {
    let capability = Capability::BreakglassApprove;
    let mut person = context.admit(txn, policy, noted, subject, capability)?;
    let (found, state) = find(txn, &person, id)?;
    noted.emergency = Some(id);
    let by = party(context)?;
    another(txn, &found.by, &by)?;
    if state != EmergencyState::Requested {
        return Err(Refusal::Conflict(match state {
            EmergencyState::Lapsed => format!(
                "nobody decided within {} minutes: ask again",
                EMERGENCY_WAIT_SECONDS / 60
            ),
            state => format!("this is decided already: {}", state.name()),
        }));
    }
    if approve {
        // What it would show is looked at anew when it is used; what cannot be used is not approved.
        let breakglass = breakglass(policy)?;
        unchanged(breakglass, &found)?;
    }
    noted.fields = found.fields.clone();
    let step = match approve {
        true => Step::Approved { by },
        false => Step::Refused { by },
    };
    emergency::append(txn, &mut person, id, step)?;
    let (found, _) = find(txn, &person, id)?;
    Ok(view(policy, found, txn.now()))
}

fn unchanged(breakglass: &Breakglass, found: &Emergency) -> Result<(), Refusal> {
    if breakglass.purpose == found.purpose && breakglass.seconds_max >= found.seconds {
        return Ok(());
    }
    Err(Refusal::Conflict(
        "the policy's [breakglass] has changed since this was asked for: ask again".into(),
    ))
}

fn collect(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    (subject, id): (SubjectId, EmergencyId),
) -> Result<EmergencySession, Refusal> {
    let capability = Capability::BreakglassRequest;
    let mut person = context.admit(txn, policy, noted, subject, capability)?;
    let (found, state) = find(txn, &person, id)?;
    noted.emergency = Some(id);
    let by = party(context)?;
    if by.token != found.by.token || by.key_sha256 != found.by.key_sha256 {
        return Err(Refusal::RoleDenied(
            "only the API key that asked takes the session".into(),
        ));
    }
    let breakglass = breakglass(policy)?;
    if state != EmergencyState::Approved {
        return Err(Refusal::Conflict(match state {
            EmergencyState::Requested => "another has to approve this first".into(),
            EmergencyState::Used => "its session was taken already, and is shown once".into(),
            state => format!("nothing comes of this any more: {}", state.name()),
        }));
    }
    unchanged(breakglass, &found)?;
    let purpose = policy.purpose_by_id(found.purpose);
    let purpose = purpose.ok_or(Refusal::Internal("a purpose of the policy is missing"))?;
    let expires_at = found.expires_at();
    let expires_at = expires_at.ok_or(Refusal::Internal("an approval has no end"))?;
    let row = SessionRow::new(
        (by.token, by.key_sha256),
        context.principal.role(),
        &purpose.name,
        found.fields.clone(),
        breakglass.reads,
        0,
        txn.now(),
        expires_at,
    );
    noted.fields = found.fields.clone();
    let token = session::begin_as(txn, &mut person, found.session(), row)?;
    emergency::append(txn, &mut person, id, Step::Used)?;
    Ok(EmergencySession {
        token,
        expires_at,
        reads: breakglass.reads,
    })
}

fn end(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    (subject, id): (SubjectId, EmergencyId),
) -> Result<EmergencyView, Refusal> {
    noted.met = Some(subject);
    context.principal.require_any(policy, &EITHER)?;
    let mut person = context.person(txn, subject)?;
    noted.person(&person, txn.now());
    let (found, state) = find(txn, &person, id)?;
    noted.emergency = Some(id);
    let by = party(context)?;
    let approves = Capability::BreakglassApprove;
    if by.token != found.by.token && context.principal.require(policy, approves).is_err() {
        return Err(Refusal::RoleDenied(
            "it is ended by the API key that asked, or by whoever may approve".into(),
        ));
    }
    if !state.is_open() {
        let over = format!("this is over already: {}", state.name());
        return Err(Refusal::Conflict(over));
    }
    emergency::append(txn, &mut person, id, Step::Ended { by })?;
    if let Some(mut row) = session::load(txn, &person, found.session())? {
        row.revoked = true;
        session::store(txn, &mut person, found.session(), &row)?;
    }
    let (found, _) = find(txn, &person, id)?;
    Ok(view(policy, found, txn.now()))
}

const EITHER: [Capability; 2] = [Capability::BreakglassRequest, Capability::BreakglassApprove];

fn view(policy: &Policy, found: Emergency, now: Timestamp) -> EmergencyView {
    let purpose = policy.purpose_by_id(found.purpose);
    let decided = found.decided.as_ref();
    let fields = found.fields.iter().copied();
    EmergencyView {
        emergency: found.id,
        state: found.state(now),
        reason: found.reason.clone(),
        fields: fields
            .map(|field| input::field_name(policy, field))
            .collect(),
        purpose: purpose.map_or_else(
            || format!("#{}", found.purpose),
            |purpose| purpose.name.clone(),
        ),
        expires_in: found.seconds,
        requested_by: (found.by.token, found.by.role.clone()),
        requested_at: found.requested_at,
        decided_by: decided.map(|(_, by, _)| (by.token, by.role.clone())),
        decided_at: decided.map(|(_, _, at)| *at),
        used_at: found.used_at,
        ended_at: found.ended_at,
        expires_at: found.expires_at().unwrap_or(found.lapses_at()),
    }
}

/// Every emergency of a person, the oldest first: for the list, and for the person's own copy.
pub(super) fn views(
    at: &dyn View,
    policy: &Policy,
    person: &Person,
) -> Result<Vec<EmergencyView>, Refusal> {
    if !events::any(at, person.entry.handle, events::Topic::Emergency)? {
        return Ok(Vec::new());
    }
    let all = emergency::all(at, person)?.into_iter();
    Ok(all.map(|one| view(policy, one, at.now())).collect())
}

impl Vault {
    /// How often each step was taken since the vault was opened, by its action.
    #[must_use]
    pub fn breakglass_steps(&self) -> [(&'static str, u64); 5] {
        let counts = self.memory.emergencies.all();
        std::array::from_fn(|at| (STEPS[at], counts[at]))
    }

    /// Takes a step of an emergency that is named, and tells of it. One that was not found is no name to be
    /// told: it is what the caller wrote.
    fn emergency_step<T: Send + 'static>(
        &self,
        call: &Call<'_>,
        action: &'static str,
        mut take: impl FnMut(&mut Txn<'_>, &Policy, &Context, &mut Noted) -> Result<T, Refusal>
        + Send
        + 'static,
    ) -> Result<T, Refusal> {
        let found = Arc::new(Mutex::new(None));
        let tells = found.clone();
        let made = self.write(call, action, move |txn, policy, context, noted| {
            let made = take(txn, policy, context, noted);
            *tells.lock() = noted.emergency;
            made
        });
        let emergency = *found.lock();
        self.tell(call, action, emergency, &made);
        made
    }

    /// Tells of a step that was taken, or was refused to somebody who tried.
    fn tell<T>(
        &self,
        call: &Call<'_>,
        action: &'static str,
        emergency: Option<EmergencyId>,
        result: &Result<T, Refusal>,
    ) {
        if result.is_ok() {
            self.memory.emergencies.add(action);
        }
        let alarm = EmergencyAlarm {
            time: self.engine.now(),
            emergency,
            token: call.principal.token(),
            role: call.principal.role().to_owned(),
            action,
            outcome: result.as_ref().err().map_or("ok", Refusal::code),
            request: call.id,
        };
        self.memory.honey.tell(|alarms| alarms.emergency(&alarm));
    }

    /// Asks for emergency access to fields of one person. It shows nothing until another API key has
    /// approved it, within a quarter of an hour.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`] without `breakglass.request`, without a section `[breakglass]`, or for a
    /// field that the section does not show; [`Refusal::NotFound`], [`Refusal::Erased`],
    /// [`Refusal::Held`] if they are erased but for what is held; [`Refusal::Conflict`] beyond 8 that
    /// are open; [`Refusal::TooLarge`] where the list of them is full but for the ends of those that are open;
    /// [`Refusal::Invalid`], also for a reason with something in it that looks like personal
    /// data.
    pub fn request_emergency(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        input: EmergencyInput,
    ) -> Result<EmergencyView, Refusal> {
        self.emergency_step(call, REQUESTED, move |txn, policy, context, noted| {
            request(txn, policy, context, noted, subject, &input)
        })
    }

    /// Approves or refuses what another API key asked for.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`] without `breakglass.approve`, and to the key that asked, one that made it,
    /// was made by it or has taken its place; [`Refusal::NotFound`]; [`Refusal::Conflict`] if it is
    /// decided, lapsed or ended, or if the policy's section has changed.
    pub fn decide_emergency(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        emergency: EmergencyId,
        approve: bool,
    ) -> Result<EmergencyView, Refusal> {
        let action = if approve { APPROVED } else { REFUSED };
        self.emergency_step(call, action, move |txn, policy, context, noted| {
            let about = (subject, emergency);
            decide(txn, policy, context, noted, about, approve)
        })
    }

    /// Takes the session of an emergency that was approved: once, by the key that asked.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`] to any other key; [`Refusal::NotFound`]; [`Refusal::Conflict`] unless it is
    /// approved and not taken.
    pub fn take_emergency(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        emergency: EmergencyId,
    ) -> Result<EmergencySession, Refusal> {
        self.emergency_step(call, USED, move |txn, policy, context, noted| {
            collect(txn, policy, context, noted, (subject, emergency))
        })
    }

    /// Ends an emergency before its time, or takes back the request: from the answer on its session reads
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`] but to the key that asked and whoever may approve; [`Refusal::NotFound`];
    /// [`Refusal::Conflict`] if it is over.
    pub fn end_emergency(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        emergency: EmergencyId,
    ) -> Result<EmergencyView, Refusal> {
        self.emergency_step(call, ENDED, move |txn, policy, context, noted| {
            end(txn, policy, context, noted, (subject, emergency))
        })
    }

    /// Every emergency of a person, the oldest first.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`] without `breakglass.request` or `breakglass.approve`;
    /// [`Refusal::NotFound`], [`Refusal::Erased`].
    pub fn list_emergencies(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
    ) -> Result<Vec<EmergencyView>, Refusal> {
        self.read(
            call,
            "breakglass.list",
            Some(subject),
            |snapshot, policy, context, noted| {
                context.principal.require_any(policy, &EITHER)?;
                let person = context.person(snapshot, subject)?;
                noted.person(&person, snapshot.now());
                views(snapshot, policy, &person)
            },
            |views| views,
        )
    }
}
