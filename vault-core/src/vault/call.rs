//! How every call runs: checked, decided, recorded, and handed over while it still holds.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::token::{self, Call, Principal};
use super::{AuditDurability, Vault, admin, retention};
use crate::audit::{Entry, subject_tag};
use crate::clock::hour_of;
use crate::commit::{IndexHit, Snapshot, Txn, View};
use crate::consent;
use crate::decision;
use crate::emergency;
use crate::id::{CallId, EmergencyId, ReceiptId, SubjectId};
use crate::notice;
use crate::person::Person;
use crate::policy::{
    self, Capability, Collection, LawfulBasis, Policy, Purpose, RIGHTS, RestrictedUse, Role,
};
use crate::record::Ended;
use crate::refusal::Refusal;
use crate::request::Level;
use crate::retention::Term;
use crate::session;
use crate::standing::{self, PendingErasure, Standing};

/// How often a read begins again because something was revoked meanwhile.
pub(super) const READ_TRIES: usize = 16;

/// A call that outlives its caller's borrow.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) principal: Principal,
    pub(super) purpose: Option<String>,
    pub(super) restricted_use: Option<RestrictedUse>,
    /// Whether this is about what came from a file, and so nothing that a person does now.
    pub(super) from_file: bool,
    pub(super) id: CallId,
}

/// On what ground a call works on a person.
pub(super) struct Ground<'p> {
    pub(super) purpose: &'p Purpose,
    pub(super) standing: Standing,
    /// Whether records that have ended are there all the same: where nothing ends, they are.
    pub(super) ended: Ended,
    /// Whether this is the person's own correction of what a legal hold keeps.
    pub(super) held: bool,
    /// Until when the purpose needs a value.
    pub(super) term: Option<Term>,
}

impl Ground<'_> {
    /// The same, for what is not recorded beside what is held.
    ///
    /// Source: GDPR Art. 17(3)(b) and (e).
    pub(super) fn unheld(self, collection: &Collection) -> Result<Self, Refusal> {
        match self.held {
            false => Ok(self),
            true => Err(Refusal::Held(format!(
                "`{}` is held, and takes corrections of fields alone: record this when the hold is released, \
                 and tell the person so",
                collection.name
            ))),
        }
    }
}

/// See [`Ground::ended`].
pub(super) fn ended(standing: &Standing, collection: &Collection) -> Ended {
    match standing.keeps(collection.id) {
        true => Ended::In,
        false => Ended::Out,
    }
}

/// What a call adds to its entry in the log.
#[derive(Default)]
pub(super) struct Noted {
    pub(super) subject: Option<[u8; 16]>,
    pub(super) fields: Vec<(u16, u16)>,
    pub(super) receipt: Option<(ReceiptId, [u8; 32])>,
    pub(super) records: Option<(u64, [u8; 32])>,
    /// The emergency that a step was about, which the entry has as its session.
    pub(super) emergency: Option<EmergencyId>,
    /// Whom the call met; no part of the entry.
    pub(super) met: Option<SubjectId>,
}

impl Noted {
    pub(super) fn person(&mut self, person: &Person, now: Timestamp) {
        self.subject = Some(subject_tag(&person.keyset.audit, now));
        self.met = Some(person.subject);
    }

    /// What a refusal says: whom it was about, if it came as far as looking at them, and nothing of
    /// what they have.
    pub(super) fn refused(&self) -> Self {
        Self {
            subject: self.subject,
            emergency: self.emergency,
            met: self.met,
            ..Self::default()
        }
    }
}

impl Context {
    pub(super) fn new(call: &Call<'_>) -> Self {
        let context = Self {
            principal: call.principal.clone(),
            purpose: None,
            restricted_use: call.restricted_use,
            from_file: false,
            id: call.id,
        };
        context.stating(call.purpose)
    }

    /// The same caller and call, stating this purpose.
    pub(super) fn stating(&self, purpose: Option<&str>) -> Self {
        Self {
            principal: self.principal.clone(),
            // A session implies its purpose; stating another is refused as that of another role is.
            purpose: purpose.map(Into::into).or_else(|| {
                let scope = self.principal.scope()?;
                Some(scope.purpose.clone())
            }),
            restricted_use: self.restricted_use,
            from_file: self.from_file,
            id: self.id,
        }
    }

    /// The person themselves, who talks through this caller, as well as it is known that it is they.
    pub(super) fn of_person(&self, subject: SubjectId, level: Level) -> Self {
        Self {
            principal: self.principal.of_person(subject, level),
            purpose: Some(RIGHTS.to_owned()),
            restricted_use: None,
            from_file: false,
            id: self.id,
        }
    }

    /// Whoever opened a link of this person.
    pub(super) fn of_link(subject: SubjectId, id: CallId) -> Self {
        Self {
            principal: Principal::of_link(subject),
            purpose: Some(RIGHTS.to_owned()),
            restricted_use: None,
            from_file: false,
            id,
        }
    }

    /// Whether a change that this call makes is the person's own act, from which `last_activity` runs: it
    /// is made in a session of theirs, or by a role that talks with people.
    pub(super) fn speaks(&self, policy: &Policy) -> bool {
        let talks = || {
            let capability = Capability::SessionsCreate;
            self.principal.require(policy, capability).is_ok()
        };
        let own = self.principal.scope().is_some() && self.principal.emergency().is_none();
        !self.from_file && (own || talks())
    }

    /// Notes an act of the person, where this call is one.
    pub(super) fn note_act(
        &self,
        txn: &mut Txn<'_>,
        policy: &Policy,
        person: &mut Person,
    ) -> Result<(), Refusal> {
        match self.speaks(policy) {
            true => person.acted(txn),
            false => Ok(()),
        }
    }

    /// Notes what a person said or demanded, whoever took it down.
    pub(super) fn note_word(&self, txn: &mut Txn<'_>, person: &mut Person) -> Result<(), Refusal> {
        match self.from_file {
            true => Ok(()),
            false => person.acted(txn),
        }
    }

    /// The call again.
    pub(super) fn call(&self) -> Call<'_> {
        Call {
            principal: &self.principal,
            purpose: self.purpose.as_deref(),
            restricted_use: self.restricted_use,
            id: self.id,
        }
    }

    /// The role, for what moves values.
    pub(super) fn role<'p>(&self, policy: &'p Policy) -> Result<Cow<'p, Role>, Refusal> {
        let role = self.principal.role_in(policy);
        role.ok_or_else(|| Refusal::RoleDenied("this caller has no role of the policy".into()))
    }

    /// The person, if the caller may work on them at all; else there is no such person. Every call
    /// finds its person here or by [`Context::remains`], or asks [`Context::reaches`] of one it came upon.
    pub(super) fn person(&self, view: &dyn View, subject: SubjectId) -> Result<Person, Refusal> {
        let person = self.remains(view, subject)?;
        let erasure = standing::hold(view, &person)?.and_then(|hold| hold.erasure);
        match erasure {
            None => Ok(person),
            Some(PendingErasure { receipt, .. }) => Err(Refusal::Held(format!(
                "the person was erased (receipt {receipt}) but for what a legal hold keeps, which is \
                 there for legal claims alone"
            ))),
        }
    }

    /// The same, where the call has to do with what is left of somebody who is erased but for what a
    /// legal hold keeps.
    pub(super) fn remains(&self, view: &dyn View, subject: SubjectId) -> Result<Person, Refusal> {
        let another = |scope: &token::Scope| scope.subject != subject;
        if self.principal.scope().is_some_and(another) {
            return Err(Refusal::NotFound("person"));
        }
        let person = Person::find(view, subject)?;
        match self.reaches(view, &person)? {
            true => Ok(person),
            false => Err(Refusal::NotFound("person")),
        }
    }

    /// Who may do what a capability names, and the person that it is about.
    pub(super) fn admit(
        &self,
        view: &dyn View,
        policy: &Policy,
        noted: &mut Noted,
        subject: SubjectId,
        capability: Capability,
    ) -> Result<Person, Refusal> {
        noted.met = Some(subject);
        self.principal.require(policy, capability)?;
        let person = self.person(view, subject)?;
        noted.person(&person, view.now());
        Ok(person)
    }

    /// The ground on which a collection of a person is used: hold and restriction, then the purpose, then what
    /// the person said about it, in the order that the API fixes.
    pub(super) fn ground<'p>(
        &self,
        view: &dyn View,
        policy: &'p Policy,
        role: &Role,
        person: &Person,
        collection: &Collection,
    ) -> Result<Ground<'p>, Refusal> {
        let mut standing = Standing::of(view, person)?;
        decision::unrestricted(collection, role, &standing, self.restricted_use)?;
        let purpose = decision::purpose(policy, role, self.purpose.as_deref())?;
        if purpose.basis == LawfulBasis::Consent {
            standing.consent = consent::state(view, person, purpose.id)?;
        }
        Ok(Ground {
            purpose,
            ended: ended(&standing, collection),
            held: false,
            term: retention::term(view, person, purpose, standing.keeps(collection.id))?,
            standing,
        })
    }

    /// Whether this is a person's own correction, for the purpose `rights`: whoever decides requests
    /// makes it, or a session that was begun for the person's rights.
    pub(super) fn corrects(&self, policy: &Policy) -> Result<bool, Refusal> {
        if self.purpose.as_deref() != Some(RIGHTS) {
            return Ok(false);
        }
        let any = [Capability::RequestsDecide];
        self.principal.require_own(policy, &any).map(|()| true)
    }

    /// The ground of a change. A person's own correction needs none: no restriction and no objection
    /// of theirs stands in its way. What a legal hold keeps stays as it is ([`Ground::held`]).
    pub(super) fn ground_to_change<'p>(
        &self,
        view: &dyn View,
        policy: &'p Policy,
        role: &Role,
        person: &Person,
        collection: &Collection,
    ) -> Result<Ground<'p>, Refusal> {
        match self.corrects(policy)? {
            true => {
                let standing = Standing::of(view, person)?;
                Ok(Ground {
                    purpose: policy::rights(),
                    standing: Standing::default(),
                    ended: ended(&standing, collection),
                    held: standing.holds(collection.id),
                    term: None,
                })
            }
            false => self.ground(view, policy, role, person, collection),
        }
    }

    /// Whether new data of a person may be taken down: after the notice, where the policy asks for it. A
    /// person's own correction waits for none.
    pub(super) fn gate(
        &self,
        view: &dyn View,
        policy: &Policy,
        person: &Person,
    ) -> Result<(), Refusal> {
        match self.purpose.as_deref() == Some(RIGHTS) {
            true => Ok(()),
            false => notice::gate(view, policy, person),
        }
    }

    /// Whether a session is this person's, and a key that is bound to channels knows them from one
    /// of these. Costs a bound key one row, and others nothing.
    pub(super) fn reaches(&self, view: &dyn View, person: &Person) -> Result<bool, Refusal> {
        let another = |scope: &token::Scope| scope.subject != person.subject;
        if self.principal.scope().is_some_and(another) {
            return Ok(false);
        }
        if self.principal.channels().is_empty() {
            return Ok(true);
        }
        Ok(self.knows_channel(person.row(view)?.channel()))
    }

    /// Whom of these the caller may reach: the others are not even one of several.
    pub(super) fn reachable(
        &self,
        view: &dyn View,
        hits: Vec<IndexHit>,
    ) -> Result<Vec<SubjectId>, Refusal> {
        let mut found = Vec::with_capacity(hits.len());
        for hit in hits {
            if self.principal.channels().is_empty()
                || self.reaches(view, &Person::find(view, hit.subject)?)?
            {
                found.push(hit.subject);
            }
        }
        Ok(found)
    }

    /// Whether the caller may know of people on this channel.
    pub(super) fn knows_channel(&self, channel: &str) -> bool {
        let bound = self.principal.channels();
        bound.is_empty() || bound.iter().any(|known| known == channel)
    }

    pub(super) fn entry(
        &self,
        policy: &Policy,
        time: Timestamp,
        action: &'static str,
        noted: Noted,
        outcome: &'static str,
    ) -> Entry {
        let Noted {
            subject,
            fields,
            receipt,
            records,
            emergency,
            met: _,
        } = noted;
        // A purpose that the policy does not know is the caller's text, and stays out of the log.
        let purpose = self
            .purpose
            .clone()
            .filter(|name| name == RIGHTS || policy.purpose(name).is_some());
        Entry {
            time,
            actor: self.principal.actor(),
            role: self.principal.role().into(),
            purpose,
            action: action.into(),
            subject,
            fields,
            outcome: outcome.into(),
            session: emergency
                .map(emergency::session_of)
                .or(self.principal.session()),
            request: self.id,
            receipt,
            records,
            restricted_use: self.restricted_use.map(|one| one.name().into()),
        }
    }
}

/// The policy in force in this state: the one at hand, or read from its row.
pub(super) fn current(view: &dyn View, at_hand: &Arc<Policy>) -> Result<Arc<Policy>, Refusal> {
    if at_hand.version() == view.state().policy_version {
        return Ok(at_hand.clone());
    }
    Ok(Arc::new(
        admin::load_policy(view, view.state().policy_version)?.0,
    ))
}

impl Vault {
    pub(super) fn check_open(&self) -> Result<(), Refusal> {
        match self.closed.load(Ordering::Acquire) {
            true => Err(Refusal::Locked),
            false => Ok(()),
        }
    }

    pub(super) fn snapshot(&self) -> Result<Snapshot, Refusal> {
        self.check_open()?;
        self.engine.snapshot()
    }

    /// The policy of a committed state; what is read is kept.
    pub(super) fn policy_of(&self, snapshot: &Snapshot) -> Result<Arc<Policy>, Refusal> {
        let at_hand = self.policy.lock().clone();
        let policy = current(snapshot, &at_hand)?;
        let mut kept = self.policy.lock();
        if policy.version() > kept.version() {
            *kept = policy.clone();
        }
        Ok(policy)
    }

    /// Finds the API key `vk_…`.
    ///
    /// # Errors
    ///
    /// [`Refusal::Unauthenticated`] for one that is unknown, revoked or over;
    /// [`Refusal::Locked`].
    pub fn authenticate(&self, bearer: &str) -> Result<Principal, Refusal> {
        let snapshot = self.snapshot()?;
        let principal = token::authenticate(&snapshot, bearer)?;
        if let Some(hash) = &principal.key_sha256() {
            self.uses.note(hash, hour_of(snapshot.now()));
        }
        Ok(principal)
    }

    /// The caller who has an unlock secret: slots, API keys, policy, finding and erasing people,
    /// holds and breaches; no values. Whoever calls this has checked the secret.
    #[must_use]
    pub fn keyholder(&self) -> Principal {
        Principal::keyholder()
    }

    /// The server by itself, for what its configuration tells it to do: backups, and no more. In the log it is
    /// `server`, so that it is told apart from whoever has a secret.
    #[must_use]
    pub fn server(&self) -> Principal {
        Principal::server()
    }

    /// Whether the caller may do what this capability names.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleDenied`]; [`Refusal::Unauthenticated`] if the key was revoked meanwhile.
    pub fn require(&self, call: &Call<'_>, capability: &str) -> Result<(), Refusal> {
        let snapshot = self.snapshot()?;
        call.principal.check(&snapshot)?;
        let capability = Capability::parse(capability)
            .ok_or_else(|| Refusal::RoleDenied("there is no such capability".into()))?;
        call.principal
            .require(&*self.policy_of(&snapshot)?, capability)
    }

    /// Runs a change in a commit, with its entry.
    pub(super) fn write<T: Send + 'static>(
        &self,
        call: &Call<'_>,
        action: &'static str,
        mut f: impl FnMut(&mut Txn<'_>, &Policy, &Context, &mut Noted) -> Result<T, Refusal>
        + Send
        + 'static,
    ) -> Result<T, Refusal> {
        self.check_open()?;
        let at_hand = self.policy.lock().clone();
        let context = Context::new(call);
        let noted = Arc::new(Mutex::new(Noted::default()));
        let told = noted.clone();
        let result = self.engine.submit(move |txn| {
            context.principal.check(txn)?;
            let policy = current(txn, &at_hand)?;
            let mut noted = Noted::default();
            let value = f(txn, &policy, &context, &mut noted);
            *told.lock() = noted.refused();
            let value = value?;
            if let Some((subject, session)) = context.principal.counted() {
                session::spend(txn, subject, session, true)?;
            }
            let entry = context.entry(&policy, txn.now(), action, noted, "ok");
            txn.record(entry);
            Ok(value)
        });
        let outcome = result.as_ref().err().map_or("ok", Refusal::code);
        let noted = std::mem::take(&mut *noted.lock());
        if let Some(met) = self.met(noted.met, action, outcome) {
            self.alarm(&Context::new(call), met);
        }
        result.inspect_err(|refusal| self.note_refused(call, action, refusal, &noted))
    }

    /// Runs a read over a snapshot, writes its entry, and hands the value over if nothing that
    /// concerns it was revoked meanwhile.
    pub(super) fn read<T, R>(
        &self,
        call: &Call<'_>,
        action: &'static str,
        subject: Option<SubjectId>,
        look: impl Fn(&Snapshot, &Policy, &Context, &mut Noted) -> Result<T, Refusal>,
        hand_over: impl FnOnce(T) -> R,
    ) -> Result<R, Refusal> {
        let context = Context::new(call);
        let (mut spent, mut alarmed) = (false, false);
        for _ in 0..READ_TRIES {
            let ticket = self.engine.revocation().ticket(subject);
            let snapshot = self.snapshot()?;
            let policy = self.policy_of(&snapshot)?;
            let mut noted = Noted::default();
            let value = context
                .principal
                .check(&snapshot)
                .and_then(|()| look(&snapshot, &policy, &context, &mut noted));
            let value = match value {
                Ok(value) => value,
                Err(refusal) => {
                    if let Some(met) = self.met(noted.met.or(subject), action, refusal.code()) {
                        self.alarm(&context, met);
                    }
                    self.note_refused(call, action, &refusal, &noted);
                    return Err(refusal);
                }
            };
            let met = noted.met.or(subject);
            let entry = context.entry(&policy, snapshot.now(), action, noted, "ok");
            if let (Some((subject, session)), false) = (context.principal.counted(), spent) {
                self.engine
                    .submit(move |txn| session::spend(txn, subject, session, false))
                    .inspect_err(|refusal| self.note_refusal(call, action, refusal))?;
                spent = true;
            }
            self.engine.record_read(&entry)?;
            if let (Some(met), false) = (self.met(met, action, "ok"), alarmed) {
                self.alarm(&context, met);
                alarmed = true;
            }
            if self.audit_durability == AuditDurability::PowerSafe {
                // The next commit takes what the journal holds into the log.
                self.engine.submit(|_| Ok(()))?;
            }
            if let Some(_hold) = self.engine.revocation().hold(ticket) {
                return Ok(hand_over(value));
            }
        }
        Err(Refusal::Overloaded)
    }

    /// A refusal leaves an entry too: without a subject, whose key it does not have here.
    pub(super) fn note_refusal(&self, call: &Call<'_>, action: &'static str, refusal: &Refusal) {
        self.note_refused(call, action, refusal, &Noted::default());
    }

    fn note_refused(
        &self,
        call: &Call<'_>,
        action: &'static str,
        refusal: &Refusal,
        noted: &Noted,
    ) {
        let policy = self.policy.lock().clone();
        let now = self.engine.now();
        let entry = Context::new(call).entry(&policy, now, action, noted.refused(), refusal.code());
        // The call is refused in any case; a journal that cannot be written refuses reads itself.
        let _ = self.engine.record_read(&entry);
    }
}
