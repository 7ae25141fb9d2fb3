//! The calls that can be made at a desk. Each is the function that its namesake of the vault runs alone.

use serde_json::{Map, Value};

use super::super::views::{ListOptions, ReadOptions, RecordPage, RecordView, Withheld, Written};
use super::super::{
    ConsentInput, ConsentView, SessionBegun, SessionInput, SubjectView, ask, consents, delivery,
    reads, sessions, subjects, writes,
};
use super::{Desk, Ground};
use crate::consent::ConsentEvent;
use crate::id::{RecordId, SubjectId};
use crate::refusal::Refusal;

impl Desk<'_, '_> {
    /// See [`Vault::create_subject`](crate::vault::Vault::create_subject).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn create_subject(
        &mut self,
        channel: &str,
        user: &str,
    ) -> Result<(SubjectId, bool), Refusal> {
        let action = "subjects.create";
        let made = match self.ground {
            Ground::Snapshot(_) => {
                let found = self.look(action, None, |view, policy, context, memory, noted| {
                    subjects::known(view, policy, context, noted, memory, channel, user)
                })?;
                let subject = found.ok_or_else(|| self.wants_commit())?;
                (subject, false)
            }
            Ground::Transaction(_) => {
                self.change(action, None, |txn, policy, context, memory, noted| {
                    let found =
                        subjects::known(txn, policy, context, noted, memory, channel, user)?;
                    match found {
                        Some(subject) => {
                            subjects::came_back(txn, policy, context, subject)?;
                            Ok((subject, false))
                        }
                        None => subjects::create(txn, policy, context, noted, channel, user),
                    }
                })?
            }
        };
        self.about(made.0)?;
        Ok(made)
    }

    /// The same of somebody who was shown a notice before, by what
    /// [`Vault::deliver_notice`](crate::vault::Vault::deliver_notice) gave.
    ///
    /// # Errors
    ///
    /// The same; [`Refusal::Invalid`] for a delivery that is none, another key's, over, or of an older notice.
    pub fn create_subject_told(
        &mut self,
        channel: &str,
        user: &str,
        delivery: &str,
    ) -> Result<(SubjectId, bool), Refusal> {
        if matches!(self.ground, Ground::Snapshot(_)) {
            return Err(self.wants_commit());
        }
        let action = "subjects.create";
        let made = self.change(action, None, |txn, policy, context, memory, noted| {
            let whom = (channel, user);
            delivery::create(txn, policy, context, noted, memory, whom, delivery)
        })?;
        self.about(made.0)?;
        Ok(made)
    }

    /// See [`Vault::lookup_channel`](crate::vault::Vault::lookup_channel).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn lookup_channel(&mut self, channel: &str, user: &str) -> Result<SubjectId, Refusal> {
        let action = "subjects.lookup";
        self.look(action, None, |view, policy, context, memory, noted| {
            subjects::by_channel(view, policy, context, noted, memory, channel, user)
        })
    }

    /// See [`Vault::lookup_field`](crate::vault::Vault::lookup_field).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn lookup_field(&mut self, field: &str, value: &Value) -> Result<SubjectId, Refusal> {
        let action = "subjects.lookup";
        self.look(action, None, |view, policy, context, _, noted| {
            subjects::by_field(view, policy, context, noted, field, value)
        })
    }

    /// See [`Vault::view_subject`](crate::vault::Vault::view_subject).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn view_subject(&mut self, subject: SubjectId) -> Result<SubjectView, Refusal> {
        let action = "subjects.view";
        self.look(action, Some(subject), |view, policy, context, _, noted| {
            subjects::view(view, policy, context, noted, subject)
        })
    }

    /// See [`Vault::read_single`](crate::vault::Vault::read_single).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn read_single(
        &mut self,
        subject: SubjectId,
        collection: &str,
        options: &ReadOptions,
    ) -> Result<(Option<RecordView>, Vec<Withheld>), Refusal> {
        let action = "records.read";
        self.look(action, Some(subject), |view, policy, context, _, noted| {
            reads::single(view, policy, context, noted, subject, collection, options)
        })
    }

    /// See [`Vault::read_record`](crate::vault::Vault::read_record).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn read_record(
        &mut self,
        subject: SubjectId,
        collection: &str,
        record: RecordId,
        options: &ReadOptions,
    ) -> Result<RecordView, Refusal> {
        let action = "records.read";
        self.look(action, Some(subject), |view, policy, context, _, noted| {
            reads::one(
                view, policy, context, noted, subject, collection, record, options,
            )
        })
    }

    /// See [`Vault::list`](crate::vault::Vault::list).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn list(
        &mut self,
        subject: SubjectId,
        collection: &str,
        options: &ListOptions,
    ) -> Result<RecordPage, Refusal> {
        let (action, about) = ("records.list", Some(subject));
        self.look(action, about, |view, policy, context, memory, noted| {
            reads::list(
                view, policy, context, noted, memory, subject, collection, options,
            )
        })
    }

    /// See [`Vault::ask`](crate::vault::Vault::ask).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn ask(&mut self, subject: SubjectId, field: &str, test: &Value) -> Result<bool, Refusal> {
        let (action, about) = ("subjects.ask", Some(subject));
        self.look(action, about, |view, policy, context, memory, noted| {
            ask::ask(view, policy, context, noted, memory, subject, field, test)
        })
    }

    /// See [`Vault::read_consent`](crate::vault::Vault::read_consent).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn read_consent(
        &mut self,
        subject: SubjectId,
        purpose: &str,
    ) -> Result<ConsentView, Refusal> {
        let action = "consents.read";
        self.look(action, Some(subject), |view, policy, context, _, noted| {
            consents::read(view, policy, context, noted, subject, purpose)
        })
    }

    /// See [`Vault::consent_receipt`](crate::vault::Vault::consent_receipt).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn consent_receipt(&mut self, subject: SubjectId, purpose: &str) -> Result<Value, Refusal> {
        let action = "consents.read";
        self.look(action, Some(subject), |view, policy, context, _, noted| {
            consents::receipt(view, policy, context, noted, subject, purpose)
        })
    }

    /// See [`Vault::list_consents`](crate::vault::Vault::list_consents).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn list_consents(&mut self, subject: SubjectId) -> Result<Vec<ConsentView>, Refusal> {
        let action = "consents.read";
        self.look(action, Some(subject), |view, policy, context, _, noted| {
            consents::list(view, policy, context, noted, subject)
        })
    }

    /// See [`Vault::patch_single`](crate::vault::Vault::patch_single).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn patch_single(
        &mut self,
        subject: SubjectId,
        collection: &str,
        body: Map<String, Value>,
        if_match: Option<&str>,
    ) -> Result<Written, Refusal> {
        self.patch(subject, collection, writes::Target::Single, body, if_match)
    }

    /// See [`Vault::patch_record`](crate::vault::Vault::patch_record).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn patch_record(
        &mut self,
        subject: SubjectId,
        collection: &str,
        record: RecordId,
        body: Map<String, Value>,
        if_match: Option<&str>,
    ) -> Result<Written, Refusal> {
        let target = writes::Target::One(record);
        self.patch(subject, collection, target, body, if_match)
    }

    fn patch(
        &mut self,
        subject: SubjectId,
        collection: &str,
        target: writes::Target,
        body: Map<String, Value>,
        if_match: Option<&str>,
    ) -> Result<Written, Refusal> {
        let action = "records.patch";
        self.change(action, Some(subject), |txn, policy, context, _, noted| {
            writes::patch(
                txn, policy, context, noted, subject, collection, target, body, if_match,
            )
        })
    }

    /// See [`Vault::append`](crate::vault::Vault::append).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn append(
        &mut self,
        subject: SubjectId,
        collection: &str,
        bodies: &[Map<String, Value>],
    ) -> Result<Vec<RecordId>, Refusal> {
        writes::check_length(bodies)?;
        let action = "records.append";
        self.change(action, Some(subject), |txn, policy, context, _, noted| {
            writes::append(txn, policy, context, noted, subject, collection, bodies)
        })
    }

    /// See [`Vault::delete_record`](crate::vault::Vault::delete_record).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn delete_record(
        &mut self,
        subject: SubjectId,
        collection: &str,
        record: RecordId,
        if_match: Option<&str>,
    ) -> Result<Written, Refusal> {
        let action = "records.delete";
        self.change(action, Some(subject), |txn, policy, context, _, noted| {
            writes::delete(
                txn, policy, context, noted, subject, collection, record, if_match,
            )
        })
    }

    /// See [`Vault::put_consent`](crate::vault::Vault::put_consent).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn put_consent(
        &mut self,
        subject: SubjectId,
        purpose: &str,
        input: &ConsentInput,
    ) -> Result<ConsentEvent, Refusal> {
        let action = "consents.put";
        self.change(action, Some(subject), |txn, policy, context, _, noted| {
            consents::put(txn, policy, context, noted, subject, purpose, input)
        })
    }

    /// See [`Vault::withdraw_consent`](crate::vault::Vault::withdraw_consent).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn withdraw_consent(
        &mut self,
        subject: SubjectId,
        purpose: &str,
    ) -> Result<ConsentEvent, Refusal> {
        let action = "consents.withdraw";
        self.change(action, Some(subject), |txn, policy, context, _, noted| {
            consents::withdraw(txn, policy, context, noted, subject, purpose)
        })
    }

    /// See [`Vault::begin_session`](crate::vault::Vault::begin_session).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn begin_session(
        &mut self,
        subject: SubjectId,
        input: &SessionInput,
    ) -> Result<SessionBegun, Refusal> {
        let action = "sessions.create";
        self.change(action, Some(subject), |txn, policy, context, _, noted| {
            sessions::begin(txn, policy, context, noted, subject, input)
        })
    }
}
