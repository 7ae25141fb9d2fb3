//! A request that is answered with a package: begun when it is approved, fulfilled when the last of it is made.

use std::sync::Arc;

use super::super::call::{Context, Noted};
use super::super::input;
use super::steps::{follow, keep};
use super::{Vault, met};
use crate::commit::{Txn, View};
use crate::export::{ExportInput, Right};
use crate::id::{RequestId, SubjectId};
use crate::limits::REQUEST_STEPS_MAX;
use crate::policy::{Capability, Policy};
use crate::refusal::Refusal;
use crate::request::stored::{self, StepWord};
use crate::request::{Done, Step};
use crate::vault::{Call, Export};

fn take(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    request: RequestId,
    (done, right): (Done, Option<Right>),
) -> Result<SubjectId, Refusal> {
    // Whoever opened a link has by the request what else takes two capabilities.
    if !context.principal.is_themselves() {
        for capability in [Capability::RequestsDecide, Capability::SubjectsExport] {
            context.principal.require(policy, capability)?;
        }
    }
    let any = [Capability::RequestsDecide];
    let mut person = met(txn, policy, context, noted, request, &any)?;
    let steps = stored::history(txn, &person)?;
    let last = steps.iter().rev().find(|event| event.request == request);
    let mut event = last.cloned().ok_or(Refusal::NotFound("request"))?;
    let own = Right::of(event.kind);
    if own.is_none() || right.is_some_and(|right| Some(right) != own) {
        let detail = "a package answers a request of the right `access` or `portability`";
        let error = input::error("/format", "not_here", detail);
        return Err(Refusal::Invalid(vec![error]));
    }
    event.at = txn.now();
    event.by = context.principal.role().to_owned();
    event.words = None;
    let before = event.state;
    follow(txn, &mut event, Step::Approve(done), false)?;
    if event.state == before && steps.len() >= REQUEST_STEPS_MAX {
        // A package that breaks off is begun again as often as it takes, and the step that ends it finds its place.
        return Ok(person.subject);
    }
    event.step = match done {
        Done::Begun => StepWord::Approved,
        Done::Whole | Done::Partly => StepWord::Fulfilled,
    };
    stored::append(txn, &mut person, &event)?;
    if event.state.is_closed() {
        keep(txn, &person, &event);
    }
    Ok(person.subject)
}

impl Vault {
    /// Which package answers a request; `None` where none does.
    ///
    /// # Errors
    ///
    /// As for [`Vault::read_request`].
    pub fn package_of_request(
        &self,
        call: &Call<'_>,
        request: RequestId,
    ) -> Result<Option<Right>, Refusal> {
        Ok(Right::of(self.read_request(call, request)?.kind))
    }

    /// Approves a request and begins the package that answers it. The request is fulfilled with the last part of
    /// that, and stays in progress where it breaks off. A package that lacks what the caller's role does not see
    /// answers nothing and is not begun.
    ///
    /// # Errors
    ///
    /// [`Refusal::Conflict`] where the role does not see everything; those of [`Vault::step_request`] and
    /// [`Vault::export`].
    pub fn export_request(
        self: &Arc<Self>,
        call: &Call<'_>,
        request: RequestId,
        input: ExportInput,
    ) -> Result<Export, Refusal> {
        // Whether the role sees all of it is known from the package alone, whose first part is made later.
        let right = input.right;
        let hit = stored::whose(&self.snapshot()?, request)?;
        let reach = self.package_of_request(call, request)?;
        if reach.is_none() {
            let detail = "this request is not answered with a package";
            let error = input::error("/format", "not_here", detail);
            return Err(Refusal::Invalid(vec![error]));
        }
        let mut export = self.export(call, hit.subject, input)?;
        if !export.complete() {
            return Err(Refusal::Conflict(format!(
                "your role does not see {} fields of this person whole, and a copy for them is whole (Art. 15(3) \
                 GDPR): approve it with a role that does",
                export.withheld()
            )));
        }
        let begun = (Done::Begun, Some(right));
        self.write(
            call,
            "requests.approve",
            move |txn, policy, context, noted| take(txn, policy, context, noted, request, begun),
        )?;
        self.memory.requests.changed();
        export.answers(request);
        Ok(export)
    }

    /// The package is whole: the request is fulfilled.
    pub(in crate::vault) fn answered(
        &self,
        call: &Call<'_>,
        request: RequestId,
    ) -> Result<(), Refusal> {
        self.write(
            call,
            "requests.fulfil",
            move |txn, policy, context, noted| {
                take(txn, policy, context, noted, request, (Done::Whole, None)).map(drop)
            },
        )?;
        self.memory.requests.changed();
        Ok(())
    }
}
