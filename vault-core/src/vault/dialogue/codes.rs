//! Codes: to an address on file, or to what somebody unknown typed, if anybody is known by it.

use serde_json::Value;
use zeroize::Zeroizing;

use super::super::suppressions;
use super::act::Actor;
use super::facts;
use crate::commit::View;
use crate::limits::CODES_PER_HOUR_MAX;
use crate::person::{Person, instant};
use crate::refusal::Refusal;
use crate::schema::FieldType;
use crate::talk::{FieldId, Talk, stored};
use crate::verification::CodeToSend;

/// What a challenge of a conversation is bound to: its request.
fn matter(talk: &Talk, else_to: [u8; 16]) -> [u8; 16] {
    talk.request.map_or(else_to, |request| *request.as_bytes())
}

impl Actor<'_, '_> {
    pub(super) fn send(&mut self, field: FieldId) -> Result<(), Refusal> {
        let (collection, kind) = match facts::field(self.policy, field) {
            Some((collection, field)) => (collection, field.kind),
            None => return Err(Refusal::NotFound("field")),
        };
        let found =
            self.with(|txn, _, _, person| facts::addresses(txn, person, collection, field.1))?;
        let (address, mask) = found
            .into_iter()
            .next()
            .ok_or(Refusal::NotFound("address"))?;
        self.outcome.address = Some(mask);
        self.hand_out(kind, Some(address))
    }

    /// Makes the challenge, and hands the code out where there is an address for it.
    fn hand_out(
        &mut self,
        kind: FieldType,
        address: Option<Zeroizing<String>>,
    ) -> Result<(), Refusal> {
        let prepared = self.prepared.take().ok_or(Refusal::Overloaded)?;
        let now = self.txn.now();
        let challenge = prepared.challenge(matter(self.talk, self.matter), now);
        let expires_at = instant(challenge.expires_at());
        self.talk.challenge = Some(challenge);
        self.talk.sent.push(now.as_millisecond());
        if let Some(address) = address {
            let mut sending = [0; 16];
            self.txn.entropy().fill(&mut sending);
            self.codes.push(CodeToSend {
                sending,
                kind: facts::way(kind),
                address,
                code: prepared.code().clone(),
                language: self.talk.language(),
                expires_at,
            });
        }
        Ok(())
    }

    /// A code to what was typed, where exactly one person is known by it; else nobody gets one, and all else
    /// is the same.
    pub(super) fn send_typed(&mut self) -> Result<(), Refusal> {
        self.sent_to = None;
        let text = self.said.typed.clone();
        let kind = facts::address_kind(&text).ok_or(Refusal::NotFound("address"))?;
        let value = facts::typed(kind, &text).ok_or(Refusal::NotFound("address"))?;
        let mut known = suppressions::known_by(self.txn, self.policy, kind, &value)?.into_iter();
        let mut address = None;
        if let (Some(subject), None) = (known.next(), known.next()) {
            let mut person = Person::find(self.txn, subject)?;
            let reached = self.relay.reaches(self.txn, &person)?;
            if reached && stored::sendings(self.txn, &person)? < CODES_PER_HOUR_MAX {
                address = self.on_file(&person, kind, &value)?;
                if address.is_some() {
                    self.noted.person(&person, self.txn.now());
                    let language = self.talk.language();
                    stored::count_sending(self.txn, &mut person, language)?;
                    self.sent_to = Some(subject);
                }
            }
        }
        self.hand_out(kind, address)
    }

    /// The address as the person has it, not as somebody typed it.
    fn on_file(
        &self,
        person: &Person,
        kind: FieldType,
        value: &Value,
    ) -> Result<Option<Zeroizing<String>>, Refusal> {
        let wanted = kind.normalise(value);
        for collection in self.policy.collections() {
            for field in collection.fields.iter().filter(|one| one.kind == kind) {
                for (address, _) in facts::addresses(self.txn, person, collection, field.id)? {
                    let own = kind.normalise(&Value::String(address.to_string()));
                    if own == wanted {
                        return Ok(Some(address));
                    }
                }
            }
        }
        Ok(None)
    }
}
