//! Codes: to an address on file, or to what somebody unknown typed, if anybody is known by it.

use serde_json::Value;
use zeroize::Zeroizing;

use super::super::suppressions;
use super::act::Actor;
use super::facts;
use crate::commit::View;
use crate::crypto::sha256;
use crate::limits::CODES_PER_HOUR_MAX;
use crate::person::{DAMAGED, Person, instant};
use crate::refusal::Refusal;
use crate::schema::FieldType;
use crate::talk::{FieldId, Talk, stored};
use crate::verification::CodeToSend;

/// What a challenge of a conversation is bound to: its request.
fn matter(talk: &Talk, else_to: [u8; 16]) -> [u8; 16] {
    talk.request.map_or(else_to, |request| *request.as_bytes())
}

/// The same of a code to a new address: the request, and the very address.
pub(super) fn new_matter(talk: &Talk) -> [u8; 16] {
    let request = matter(talk, [0; 16]);
    let hash = sha256(&[b"new address", &request, talk.value.as_bytes()]);
    let (first, _) = hash.split_at(16);
    first.try_into().expect("sixteen of thirty-two")
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
        let bound = matter(self.talk, self.matter);
        self.hand_out(kind, Some(address), bound)
    }

    /// A code to the address that was typed just now, by somebody who is known by a code to one on file: to no
    /// other, and good for this request and this address alone.
    pub(super) fn send_new(&mut self) -> Result<(), Refusal> {
        let field = self.said.field.and_then(|id| facts::field(self.policy, id));
        let kind = field.ok_or(DAMAGED)?.1.kind;
        let value = facts::typed(kind, &self.said.value).ok_or(DAMAGED)?;
        let address = value.as_str().ok_or(DAMAGED)?.to_owned();
        let mask = kind.mask(&value);
        self.outcome.address = mask.as_str().map(str::to_owned);
        let bound = new_matter(self.talk);
        self.hand_out(kind, Some(Zeroizing::new(address)), bound)
    }

    /// Makes the challenge, and hands the code out where there is an address for it.
    fn hand_out(
        &mut self,
        kind: FieldType,
        address: Option<Zeroizing<String>>,
        bound: [u8; 16],
    ) -> Result<(), Refusal> {
        let prepared = self.prepared.take().ok_or(Refusal::Overloaded)?;
        let now = self.txn.now();
        let challenge = prepared.challenge(bound, now);
        let expires_at = instant(challenge.expires_at());
        self.talk.challenge = Some(challenge);
        self.talk.sent.push(now.as_millisecond());
        if self.in_memory && self.person.is_some() {
            // What lies in memory is not among the person's own conversations, over which their codes are counted.
            let language = self.talk.language();
            self.with(|txn, _, _, person| stored::count_sending(txn, person, language))?;
        }
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
        let bound = matter(self.talk, self.matter);
        self.hand_out(kind, address, bound)
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
