//! The receipt of a consent: what the person agreed to, and every step of it, as a document they can keep.
//!
//! Made from the policy in force and the events alone; nothing is stored for it. The form is a profile of ours,
//! after the fields of the standard, which leaves the form open.
//!
//! Source: ISO/IEC TS 27560:2023; GDPR Art. 7(1), 13.

use serde_json::{Map, Value, json};

use crate::consent::ConsentEvent;
use crate::id::SubjectId;
use crate::policy::{Necessity, Policy, Purpose};

/// What the document says it is.
const RECEIPT_SCHEMA: &str = "iso-27560-profile/1";

/// What the notice was, with language and hash wherever these were told.
fn notice(event: &ConsentEvent) -> Value {
    let mut notice = match &event.notice {
        Value::Object(members) => members.clone(),
        Value::Null => Map::new(),
        text => Map::from_iter([("id".to_owned(), text.clone())]),
    };
    let details = &event.details;
    for (name, text) in [("lang", &details.language), ("sha256", &details.sha256)] {
        if let Some(text) = text {
            notice.insert(name.to_owned(), json!(text));
        }
    }
    match notice.is_empty() {
        true => Value::Null,
        false => Value::Object(notice),
    }
}

fn step(event: &ConsentEvent) -> Value {
    let details = &event.details;
    let mut step = Map::new();
    step.insert("event_id".into(), json!(event.consent.to_string()));
    step.insert("state".into(), json!(event.state.name()));
    step.insert("type".into(), json!(details.kind.name()));
    step.insert("actor".into(), json!(details.actor.name()));
    step.insert("at".into(), json!(event.at.to_string()));
    let until = details.valid_until.map(|until| until.to_string());
    let evidence = details.evidence.as_ref();
    let evidence = evidence.map(|one| json!({"kind": one.kind, "string": one.string}));
    let more = [
        ("channel", details.channel.clone().map(Value::from)),
        ("choice", event.choice.clone().map(Value::from)),
        ("message_id", event.message_id.clone().map(Value::from)),
        ("method", details.method.clone().map(Value::from)),
        ("valid", details.valid.clone().map(Value::from)),
        ("valid_until", until.map(Value::from)),
        (
            "notice",
            Some(notice(event)).filter(|notice| !notice.is_null()),
        ),
        ("evidence", evidence),
    ];
    for (name, value) in more {
        step.extend(value.map(|value| (name.to_owned(), value)));
    }
    Value::Object(step)
}

/// The receipt of these events, oldest first, of which there is one at least.
pub(crate) fn document(
    policy: &Policy,
    subject: SubjectId,
    purpose: &Purpose,
    events: &[ConsentEvent],
) -> Value {
    let controller = policy.controller();
    let fields = policy.collections().iter().flat_map(|one| &one.fields);
    let fields = fields.filter(|field| field.purposes.contains(&purpose.id));
    let pii = fields.map(|field| {
        let needed = [Some(Necessity::Statutory), Some(Necessity::Contractual)];
        json!({
            "type": field.category.as_deref().unwrap_or(field.kind.name()),
            "optional": !needed.contains(&field.necessity),
            "special": field.special.is_some(),
        })
    });
    let mut kinds: Vec<Value> = Vec::new();
    for one in pii {
        if !kinds.contains(&one) {
            kinds.push(one);
        }
    }
    let recipients = policy.recipients().iter();
    let recipients = recipients.filter(|one| purpose.recipients.contains(&one.name));
    let recipients: Vec<&str> = recipients.map(|one| one.legal_name.as_str()).collect();
    // What was shown with the last yes; where there was none, with the last word.
    let agreed = events.iter().rev().find(|event| event.state.permits());
    let shown = agreed.or(events.last());
    let language = shown.and_then(|event| event.details.language.as_ref());
    let fallback = controller.languages.first();
    let title = language
        .and_then(|language| purpose.titles.get(language))
        .or_else(|| fallback.and_then(|language| purpose.titles.get(language)));
    let contact = &controller.contact;
    json!({
        "schema": RECEIPT_SCHEMA,
        "record_id": events.first().map(|event| event.consent.to_string()),
        "principal": subject.to_string(),
        "purpose": purpose.name,
        "purpose_title": title,
        "lawful_basis": "6.1.a",
        "notice": shown.map_or(Value::Null, notice),
        "pii": kinds,
        "controller": {
            "name": controller.name,
            "address": controller.address,
            "contact": contact,
            "dpo": controller.dpo,
        },
        "recipients": recipients,
        "collection_method": shown.and_then(|event| event.details.method.clone()),
        "retention": purpose.retention.period.to_string(),
        "retention_after": purpose.retention.anchor.name(),
        "withdrawal": format!("say so in the conversation, or write to {contact}; it costs nothing"),
        "rights": ["7.3", "15", "16", "17", "18", "20", "77"],
        "authority": controller.authority,
        "jurisdiction": controller.country,
        "events": events.iter().map(step).collect::<Vec<_>>(),
    })
}
