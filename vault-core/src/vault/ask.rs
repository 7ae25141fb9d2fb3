//! Questions about a value that stays here.

use serde_json::Value;

use super::call::{Context, Ground, Noted};
use super::guard::Memory;
use super::reads::of_kind;
use super::{Call, Vault, input};
use crate::commit::View;
use crate::decision;
use crate::id::{RecordId, SubjectId};
use crate::policy::{CollectionKind, Policy};
use crate::record::Stored;
use crate::refusal::Refusal;
use crate::schema::Test;

/// Answers a question about a field of a `single` collection.
#[expect(clippy::too_many_arguments, reason = "each is a part of one request")]
pub(super) fn ask(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    memory: &Memory,
    subject: SubjectId,
    field: &str,
    test: &Value,
) -> Result<bool, Refusal> {
    context.purpose.as_deref().ok_or(Refusal::PurposeMissing)?;
    let role = &*context.role(policy)?;
    let (collection, field) = input::field(policy, field)?;
    let collection = of_kind(policy, &collection.name, CollectionKind::Single)?;
    let asked = test.as_object().and_then(|test| test.keys().next());
    let name = asked.map_or("", String::as_str);
    let known = field.kind.tests().iter().find(|known| **known == name);
    if !known.is_some_and(|name| role.may_ask(collection.id, field.id, name)) {
        return Err(Refusal::RoleDenied(format!(
            "the role `{}` may not ask this of {}.{}",
            role.name, collection.name, field.name
        )));
    }
    let person = context.remains(view, subject)?;
    noted.person(&person, view.now());
    noted.fields.push((collection.id, field.id));
    let Ground {
        purpose,
        standing,
        ended,
        term,
        held: _,
    } = context.ground(view, policy, role, &person, &collection)?;
    let grant = decision::ask(&collection, role, purpose, field, name, &standing)?.within(term);
    let test = Test::parse(test).map_err(|complaint| {
        let pointer = format!("/test{}", complaint.pointer);
        Refusal::Invalid(vec![input::error(
            pointer,
            complaint.code,
            complaint.detail,
        )])
    })?;
    memory.asks.count(subject, view.now())?;
    let Some(stored) = Stored::load(view, &person, &collection, RecordId::SINGLE, ended)? else {
        return Ok(false);
    };
    if !stored.serves(&grant) {
        return Err(Refusal::PurposeDenied(
            "the record's own purposes exclude this one".into(),
        ));
    }
    let seen = stored.see(view, &person, &collection, &grant)?;
    let today = view.now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let value = seen.get(&field.id);
    Ok(value.is_some_and(|seen| test.evaluate(field.kind, &seen.value, today)))
}

impl Vault {
    /// Answers a question about a field of a `single` collection, whose value stays here. Nothing
    /// stored answers `false`.
    ///
    /// # Errors
    ///
    /// As for [`Vault::read_single`]; [`Refusal::RateLimited`] after 50 questions about a person
    /// on one UTC day.
    pub fn ask(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        field: &str,
        test: &Value,
    ) -> Result<bool, Refusal> {
        self.read(
            call,
            "subjects.ask",
            Some(subject),
            |snapshot, policy, context, noted| {
                let memory = &self.memory;
                ask(
                    snapshot, policy, context, noted, memory, subject, field, test,
                )
            },
            |answer| answer,
        )
    }
}
