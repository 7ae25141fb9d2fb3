//! Calls at a desk about what a person demands and is told. Each is the function that its namesake of the
//! vault runs alone.

use jiff::Timestamp;

use super::super::{
    AgeInput, AgeView, ContractView, NoticeInput, ObjectionView, RequestInput, RequestView,
    RestrictionInput, RestrictionStep, RestrictionView, ages, contracts, notices, objections,
    requests, restrictions,
};
use super::Desk;
use crate::contract::ContractEvent;
use crate::id::SubjectId;
use crate::notice::NoticeShown;
use crate::refusal::Refusal;
use crate::standing::{AgeEvent, ObjectionEvent};

impl Desk<'_, '_> {
    /// See [`Vault::put_objection`](crate::vault::Vault::put_objection).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn put_objection(
        &mut self,
        subject: SubjectId,
        purpose: &str,
        grounds: Option<&str>,
    ) -> Result<ObjectionEvent, Refusal> {
        let action = "objections.put";
        self.change(action, Some(subject), |txn, policy, context, _, noted| {
            objections::put(txn, policy, context, noted, subject, purpose, grounds)
        })
    }

    /// See [`Vault::end_objection`](crate::vault::Vault::end_objection).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn end_objection(
        &mut self,
        subject: SubjectId,
        purpose: &str,
    ) -> Result<ObjectionEvent, Refusal> {
        let action = "objections.end";
        self.change(action, Some(subject), |txn, policy, context, _, noted| {
            objections::end(txn, policy, context, noted, subject, purpose)
        })
    }

    /// See [`Vault::decide_objection`](crate::vault::Vault::decide_objection).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn decide_objection(
        &mut self,
        subject: SubjectId,
        purpose: &str,
        upheld: bool,
        rationale: &str,
    ) -> Result<ObjectionEvent, Refusal> {
        let action = "objections.decide";
        self.change(action, Some(subject), |txn, policy, context, _, noted| {
            objections::decide(
                txn,
                policy,
                context,
                noted,
                subject,
                purpose,
                (upheld, rationale),
            )
        })
    }

    /// See [`Vault::list_objections`](crate::vault::Vault::list_objections).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn list_objections(&mut self, subject: SubjectId) -> Result<Vec<ObjectionView>, Refusal> {
        let action = "objections.read";
        self.look(action, Some(subject), |view, policy, context, _, noted| {
            objections::list(view, policy, context, noted, subject)
        })
    }

    /// See [`Vault::create_request`](crate::vault::Vault::create_request).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn create_request(
        &mut self,
        subject: SubjectId,
        input: &RequestInput,
    ) -> Result<RequestView, Refusal> {
        let action = "requests.create";
        self.change(
            action,
            Some(subject),
            |txn, policy, context, memory, noted| {
                let view = requests::create(txn, policy, context, noted, subject, input)?;
                // Where the commit fails the queue is counted once for nothing.
                memory.requests.changed();
                Ok(view)
            },
        )
    }

    /// See [`Vault::list_requests`](crate::vault::Vault::list_requests).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn list_requests(&mut self, subject: SubjectId) -> Result<Vec<RequestView>, Refusal> {
        let action = "requests.read";
        self.look(action, Some(subject), |view, policy, context, _, noted| {
            requests::list(view, policy, context, noted, subject)
        })
    }

    /// See [`Vault::put_age`](crate::vault::Vault::put_age).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn put_age(&mut self, subject: SubjectId, input: &AgeInput) -> Result<AgeEvent, Refusal> {
        let action = "age.put";
        self.change(action, Some(subject), |txn, policy, context, _, noted| {
            ages::put(txn, policy, context, noted, subject, input)
        })
    }

    /// See [`Vault::read_age`](crate::vault::Vault::read_age).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn read_age(&mut self, subject: SubjectId) -> Result<AgeView, Refusal> {
        let action = "age.read";
        self.look(action, Some(subject), |view, policy, context, _, noted| {
            ages::read(view, policy, context, noted, subject)
        })
    }

    /// See [`Vault::put_contract_end`](crate::vault::Vault::put_contract_end).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn put_contract_end(
        &mut self,
        subject: SubjectId,
        purpose: &str,
        ended_at: Option<Timestamp>,
    ) -> Result<ContractEvent, Refusal> {
        let (action, said) = ("contracts.put", (purpose, ended_at));
        self.change(action, Some(subject), |txn, policy, context, _, noted| {
            contracts::put(txn, policy, context, noted, subject, said)
        })
    }

    /// See [`Vault::list_contracts`](crate::vault::Vault::list_contracts).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn list_contracts(&mut self, subject: SubjectId) -> Result<Vec<ContractView>, Refusal> {
        let action = "contracts.read";
        self.look(action, Some(subject), |view, policy, context, _, noted| {
            contracts::list(view, policy, context, noted, subject)
        })
    }

    /// See [`Vault::put_restriction`](crate::vault::Vault::put_restriction).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn put_restriction(
        &mut self,
        subject: SubjectId,
        input: &RestrictionInput,
    ) -> Result<RestrictionStep, Refusal> {
        let action = "restrictions.put";
        self.change(action, Some(subject), |txn, policy, context, _, noted| {
            restrictions::put(txn, policy, context, noted, subject, input)
        })
    }

    /// See [`Vault::lift_restriction`](crate::vault::Vault::lift_restriction).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn lift_restriction(&mut self, subject: SubjectId) -> Result<RestrictionStep, Refusal> {
        let action = "restrictions.lift";
        self.change(action, Some(subject), |txn, policy, context, _, noted| {
            restrictions::lift(txn, policy, context, noted, subject)
        })
    }

    /// See [`Vault::read_restriction`](crate::vault::Vault::read_restriction).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn read_restriction(&mut self, subject: SubjectId) -> Result<RestrictionView, Refusal> {
        let action = "restrictions.read";
        self.look(action, Some(subject), |view, policy, context, _, noted| {
            restrictions::read(view, policy, context, noted, subject)
        })
    }

    /// See [`Vault::record_notice`](crate::vault::Vault::record_notice).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn record_notice(
        &mut self,
        subject: SubjectId,
        input: &NoticeInput,
    ) -> Result<NoticeShown, Refusal> {
        let action = "notices.record";
        self.change(action, Some(subject), |txn, policy, context, _, noted| {
            notices::record(txn, policy, context, noted, subject, input)
        })
    }

    /// See [`Vault::list_notices`](crate::vault::Vault::list_notices).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn list_notices(&mut self, subject: SubjectId) -> Result<Vec<NoticeShown>, Refusal> {
        let action = "notices.read";
        self.look(action, Some(subject), |view, policy, context, _, noted| {
            notices::list(view, policy, context, noted, subject)
        })
    }
}
