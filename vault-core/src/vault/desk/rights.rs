//! Calls at a desk about what a person demands and is told. Each is the function that its namesake of the
//! vault runs alone.

use jiff::Timestamp;
use jiff::civil::Date;

use super::super::{
    AgeInput, AgeView, ContractView, DecisionInput, DecisionView, DisclosureInput, DisclosureView,
    NoticeDelivery, NoticeInput, ObjectionView, PseudonymIssued, RequestInput, RequestView,
    RestrictionInput, RestrictionStep, RestrictionView, SuppressionInput, ages, contracts,
    decisions, delivery, disclosures, notices, objections, pseudonyms, requests, restrictions,
    suppressions,
};
use super::{Desk, Ground};
use crate::contract::ContractEvent;
use crate::id::{PairwiseId, SubjectId};
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

    /// See [`Vault::issue_pseudonym`](crate::vault::Vault::issue_pseudonym).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn issue_pseudonym(
        &mut self,
        subject: SubjectId,
        recipient: Option<&str>,
    ) -> Result<PseudonymIssued, Refusal> {
        let action = "pseudonyms.issue";
        self.change(action, Some(subject), |txn, policy, context, _, noted| {
            pseudonyms::issue(txn, policy, context, noted, subject, recipient)
        })
    }

    /// See [`Vault::resolve_pseudonym`](crate::vault::Vault::resolve_pseudonym).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn resolve_pseudonym(&mut self, pseudonym: PairwiseId) -> Result<SubjectId, Refusal> {
        let action = "tokens.detokenize";
        let subject = self.look(action, None, |view, policy, context, _, noted| {
            pseudonyms::resolve(view, policy, context, noted, pseudonym)
        })?;
        // Whoever is erased meanwhile is nobody's pseudonym when the answer leaves.
        self.about(subject)?;
        Ok(subject)
    }

    /// See [`Vault::suppress`](crate::vault::Vault::suppress). About an address, and so about nobody whom the
    /// other calls at the desk could be about.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn suppress(&mut self, input: &SuppressionInput) -> Result<(), Refusal> {
        let action = "suppressions.put";
        self.change(action, None, |txn, policy, context, _, noted| {
            suppressions::put(txn, policy, context, noted, input)
        })
    }

    /// Puts on the suppression list what belongs there after the lines of a file about a person: whatever they
    /// objected to and took back on the way is not there. Part of what these lines did, and no call of its own.
    ///
    /// # Errors
    ///
    /// Those of every write.
    pub(in crate::vault) fn suppress_objected(
        &mut self,
        subject: SubjectId,
    ) -> Result<(), Refusal> {
        self.about(subject)?;
        let Ground::Transaction(txn) = &mut self.ground else {
            return Err(self.wants_commit());
        };
        let done = suppressions::settled(txn, &self.policy, subject);
        self.left.spoiled |= done.is_err();
        done
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
                memory.decisions.changed();
                Ok(view)
            },
        )
    }

    /// See [`Vault::record_decision`](crate::vault::Vault::record_decision).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn record_decision(
        &mut self,
        subject: SubjectId,
        input: &DecisionInput,
    ) -> Result<DecisionView, Refusal> {
        let action = "decisions.record";
        self.change(action, Some(subject), |txn, policy, context, _, noted| {
            decisions::record(txn, policy, context, noted, subject, input)
        })
    }

    /// See [`Vault::list_decisions`](crate::vault::Vault::list_decisions).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn list_decisions(&mut self, subject: SubjectId) -> Result<Vec<DecisionView>, Refusal> {
        let action = "decisions.read";
        self.look(action, Some(subject), |view, policy, context, _, noted| {
            decisions::list(view, policy, context, noted, subject)
        })
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

    /// Takes over what another vault was told of a person's age; nothing where that stands already.
    ///
    /// # Errors
    ///
    /// Those of [`Vault::put_age`](crate::vault::Vault::put_age).
    pub(in crate::vault) fn take_age(
        &mut self,
        subject: SubjectId,
        of_age_on: Date,
        guardian: Option<&str>,
    ) -> Result<(), Refusal> {
        let (action, told) = ("age.put", (of_age_on, guardian));
        self.change(action, Some(subject), |txn, policy, context, _, noted| {
            ages::take(txn, policy, context, noted, subject, told)
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

    /// See [`Vault::record_disclosure`](crate::vault::Vault::record_disclosure).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn record_disclosure(
        &mut self,
        subject: SubjectId,
        input: &DisclosureInput,
    ) -> Result<DisclosureView, Refusal> {
        let action = "disclosures.record";
        self.change(action, Some(subject), |txn, policy, context, _, noted| {
            disclosures::record(txn, policy, context, noted, subject, input)
        })
    }

    /// See [`Vault::list_disclosures`](crate::vault::Vault::list_disclosures).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn list_disclosures(&mut self, subject: SubjectId) -> Result<Vec<DisclosureView>, Refusal> {
        let action = "disclosures.list";
        self.look(action, Some(subject), |view, policy, context, _, noted| {
            disclosures::list(view, policy, context, noted, subject)
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

    /// See [`Vault::deliver_notice`](crate::vault::Vault::deliver_notice).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn deliver_notice(&mut self, input: &NoticeInput) -> Result<NoticeDelivery, Refusal> {
        self.look("notices.deliver", None, |view, policy, context, _, _| {
            delivery::make(view, policy, context, input)
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
