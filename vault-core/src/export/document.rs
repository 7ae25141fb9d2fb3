//! A package as one JSON document (docs/export.schema.json), in pieces: head, records, ledger, end.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Cell, Item, Right};
use crate::audit::hex;
use crate::consent::ConsentEvent;
use crate::notice::NoticeShown;
use crate::policy::CollectionKind;
use crate::schema::FieldType;
use crate::statement::Statement;
use crate::vault::{
    AgeView, ContractView, CorrectionView, DecisionView, DisclosureView, EmergencyView, HoldView,
    LogLine, ObjectionView, RequestView, RestrictionView,
};

/// The name of the form, in every package and manifest.
pub(super) const FORMAT: &str = "personal-data-package";
/// Its version.
pub(super) const VERSION: u32 = 1;

/// Everything that a package says before the records. No `Debug`: it holds values.
pub(crate) struct Head {
    pub(crate) right: Right,
    pub(crate) made_at: Timestamp,
    pub(crate) statement: Statement,
    pub(crate) policy_sha256: [u8; 32],
    pub(crate) vault: String,
    pub(crate) subject: String,
    pub(crate) created_at: Timestamp,
    /// Channel and user; `None` where the role sees no values.
    pub(crate) identity: Option<(String, String)>,
    pub(crate) collections: Vec<HeadCollection>,
    /// Collection, field, code.
    pub(crate) withheld: Vec<(String, String, &'static str)>,
    /// Collection, field, reason.
    pub(crate) left_out: Vec<(String, String, &'static str)>,
    pub(crate) consents: Vec<HeadConsents>,
    /// What recipients were given.
    pub(crate) disclosures: Vec<DisclosureView>,
    pub(crate) objections: Vec<ObjectionView>,
    pub(crate) restriction: RestrictionView,
    pub(crate) hold: HoldView,
    /// What the person corrected of what is held, and the package may show.
    pub(crate) corrections: Vec<CorrectionView>,
    pub(crate) contracts: Vec<ContractView>,
    pub(crate) age: AgeView,
    pub(crate) pseudonyms: Vec<HeadPseudonym>,
    /// What they asked for, as they were told of it.
    pub(crate) requests: Vec<RequestView>,
    /// What was decided about them, with the logic of it (Art. 15(1)(h)).
    pub(crate) decisions: Vec<DecisionView>,
    pub(crate) notices: Vec<NoticeShown>,
    pub(crate) sessions: Vec<HeadSession>,
    pub(crate) emergencies: Vec<EmergencyView>,
    /// Recipients by name: the policy's.
    pub(crate) recipients: Vec<Value>,
}

/// A collection, with the fields that the package may show.
pub(crate) struct HeadCollection {
    pub(crate) id: u16,
    pub(crate) name: String,
    pub(crate) kind: CollectionKind,
    pub(crate) retention: Option<String>,
    pub(crate) fields: Vec<HeadField>,
}

/// A field.
pub(crate) struct HeadField {
    pub(crate) id: u16,
    pub(crate) name: String,
    pub(crate) kind: FieldType,
    pub(crate) category: Option<String>,
    pub(crate) purposes: Vec<String>,
    pub(crate) source: &'static str,
    pub(crate) special: Option<&'static str>,
    pub(crate) condition: Option<String>,
    pub(crate) necessity: Option<&'static str>,
    /// What it is, in the package's language.
    pub(crate) words: &'static str,
}

/// A call that met the person, or may have.
pub(crate) struct Looked {
    pub(crate) entry: u64,
    pub(crate) time: Timestamp,
    pub(crate) role: String,
    pub(crate) purpose: Option<String>,
    pub(crate) action: String,
    pub(crate) fields: Vec<String>,
    pub(crate) outcome: String,
    /// Whether it was about many people, of whom this may have been one.
    pub(crate) many: bool,
    /// The emergency that it belongs to.
    pub(crate) emergency: Option<String>,
}

/// What the person said about a purpose.
pub(crate) struct HeadConsents {
    pub(crate) purpose: String,
    pub(crate) events: Vec<ConsentEvent>,
    /// What the person was given of it, or could have been.
    pub(crate) receipt: Value,
}

/// A pseudonym that was issued.
pub(crate) struct HeadPseudonym {
    pub(crate) pseudonym: String,
    pub(crate) purpose: String,
    pub(crate) recipient: Option<String>,
    pub(crate) at: Timestamp,
}

/// A conversation that was given access.
pub(crate) struct HeadSession {
    pub(crate) session: String,
    pub(crate) role: String,
    pub(crate) purpose: String,
    pub(crate) fields: Vec<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) revoked: bool,
}

impl Head {
    /// Whether everything is shown that belongs into the package.
    pub(crate) fn complete(&self) -> bool {
        self.withheld.is_empty() && self.identity.is_some()
    }
}

fn places(list: &[(String, String, &'static str)]) -> Vec<Value> {
    list.iter()
        .map(|(collection, field, code)| json!({"collection": collection, "field": field, "code": code}))
        .collect()
}

fn collection(one: &HeadCollection) -> Value {
    let fields = one.fields.iter().map(|field| {
        json!({
            "name": field.name,
            "type": field.kind.name(),
            "category": field.category,
            "purposes": field.purposes,
            "source": field.source,
            "special": field.special,
            "condition": field.condition,
            "necessity": field.necessity,
        })
    });
    json!({
        "name": one.name,
        "kind": one.kind.name(),
        "retention": one.retention,
        "fields": fields.collect::<Vec<_>>(),
    })
}

fn purposes(statement: &Statement) -> Vec<Value> {
    let purposes = statement.purposes.iter().map(|purpose| {
        json!({
            "name": purpose.name,
            "title": purpose.title,
            "basis": purpose.basis.name(),
            "article": purpose.article,
            "interests": purpose.interests,
            "direct_marketing": purpose.direct_marketing,
            "retention": {
                "after": purpose.retention_after,
                "period": purpose.retention_period,
                "date": purpose.retention_date,
                "words": purpose.retention_words,
            },
            "recipients": purpose.recipients.iter().map(|one| &one.name).collect::<Vec<_>>(),
        })
    });
    purposes.collect()
}

/// A consent event as the API shows it.
fn consent(event: &ConsentEvent) -> Value {
    let mut shown = json!({
        "consent": event.consent.to_string(),
        "state": event.state,
        "at": event.at.to_string(),
        "notice": event.notice,
        "choice": event.choice,
        "message_id": event.message_id,
    });
    if let (Some(members), Ok(Value::Object(more))) =
        (shown.as_object_mut(), serde_json::to_value(&event.details))
    {
        members.extend(more);
    }
    shown
}

/// What one recipient was given for one purpose: not what they call the person by, which is theirs and the
/// controller's.
fn disclosure(one: &DisclosureView) -> Value {
    let fields = one.fields.iter().map(|given| {
        json!({
            "field": given.field,
            "first_at": given.first_at.to_string(),
            "last_at": given.last_at.to_string(),
            "count": given.count,
        })
    });
    json!({
        "recipient": one.recipient,
        "name": one.legal_name,
        "purpose": one.purpose,
        "first_at": one.first_at.to_string(),
        "last_at": one.last_at.to_string(),
        "count": one.count,
        "fields": fields.collect::<Vec<_>>(),
    })
}

/// An objection as the API shows it.
fn objection(one: &ObjectionView) -> Value {
    let history = one.history.iter().map(|event| {
        json!({
            "state": event.state,
            "at": event.at.to_string(),
            "reason": event.reason,
            "origin": event.origin,
        })
    });
    json!({
        "purpose": one.purpose,
        "state": one.state,
        "history": history.collect::<Vec<_>>(),
    })
}

/// Restriction as the API shows it.
fn restriction(one: &RestrictionView) -> Value {
    let history = one.history.iter().map(|step| {
        json!({
            "ground": step.ground.map(|ground| ground.name()),
            "collections": step.collections,
            "at": step.at.to_string(),
            "reason": step.reason,
        })
    });
    json!({
        "restricted": one.restricted,
        "history": history.collect::<Vec<_>>(),
    })
}

/// What is held. In what matter, and who in the controller's house approved it, is no part of what the person
/// has a right to: the ground and how long are.
fn hold(one: &HoldView, corrections: &[CorrectionView]) -> Value {
    let history = one.history.iter().map(|step| {
        json!({
            "state": step.state.name(),
            "ground": step.ground.name(),
            "collections": step.collections,
            "review_at": step.review_at.to_string(),
            "at": step.at.to_string(),
            "erased_at": step.erasure.map(|erasure| erasure.at.to_string()),
        })
    });
    let corrections = corrections.iter().map(|one| {
        json!({
            "collection": one.collection,
            "record": one.record.map(|record| record.to_string()),
            "fields": one.fields,
            "at": one.at.to_string(),
        })
    });
    json!({
        "held": one.held,
        "history": history.collect::<Vec<_>>(),
        "corrections": corrections.collect::<Vec<_>>(),
    })
}

/// The end of a contract as the API shows it.
fn contract(one: &ContractView) -> Value {
    let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let history = one
        .history
        .iter()
        .map(|event| json!({"ended_at": text(event.ended_at), "at": event.at.to_string()}));
    json!({
        "purpose": one.purpose,
        "ended_at": text(one.ended_at),
        "history": history.collect::<Vec<_>>(),
    })
}

/// What was told of an age as the API shows it.
fn age(one: &AgeView) -> Value {
    let history = one.history.iter().map(|event| {
        json!({
            "of_age_on": event.of_age_on.to_string(),
            "guardian": event.guardian,
            "at": event.at.to_string(),
        })
    });
    json!({
        "child": one.child,
        "guardian": one.guardian,
        "history": history.collect::<Vec<_>>(),
    })
}

/// A pseudonym, and who calls the person by it.
fn pseudonym(one: &HeadPseudonym) -> Value {
    json!({
        "pseudonym": one.pseudonym,
        "purpose": one.purpose,
        "recipient": one.recipient,
        "at": one.at.to_string(),
    })
}

/// A request, with each step and what was said with it.
fn request(one: &RequestView) -> Value {
    let steps = one.history.iter().map(|step| {
        json!({
            "step": step.step.name(),
            "state": step.state.name(),
            "at": step.at.to_string(),
            "words": step.words,
        })
    });
    let steps: Vec<Value> = steps.collect();
    json!({
        "request": one.request.to_string(),
        "type": one.kind.name(),
        "article": one.kind.article(),
        "decision": one.decision.map(|decision| decision.to_string()),
        "state": one.state.name(),
        "received_at": one.received_at.to_string(),
        "due": one.due.on.to_string(),
        "refusal": one.refusal.as_ref().map(|given| &given.text),
        "extension": one.extension.as_ref().map(|one| &one.notice),
        "history": steps,
    })
}

/// A decision, with the logic of it and what became of it. Roles, and not keys: who of the staff it was is not the
/// person's to know as such (CJEU C-579/21).
fn decision(one: &DecisionView) -> Value {
    let steps = one.history.iter().map(|step| {
        json!({
            "step": step.step.name(),
            "state": step.state.name(),
            "by": step.by,
            "at": step.at.to_string(),
            "words": step.words,
        })
    });
    let steps: Vec<Value> = steps.collect();
    json!({
        "decision": one.decision.to_string(),
        "kind": one.kind,
        "model_version": one.model_version,
        "recorded_at": one.recorded_at.to_string(),
        "inputs": one.inputs,
        "outcome": one.outcome,
        "new_outcome": one.new_outcome,
        "significant": one.significant,
        "automation": one.automation.name(),
        "article": one.basis.map(|basis| basis.article()),
        "law": one.law,
        "purpose": one.purpose,
        "logic": one.logic,
        "consequences": one.consequences,
        "state": one.state.name(),
        "request": one.request.map(|request| request.to_string()),
        "history": steps,
    })
}

/// A notice as the API shows it.
fn notice(shown: &NoticeShown) -> Value {
    let evidence = shown.evidence.as_ref();
    let mut body = json!({
        "about": shown.about,
        "version": shown.version,
        "lang": shown.language,
        "channel": shown.channel,
        "sha256": hex(&shown.sha256),
        "acknowledged": shown.acknowledged,
        "at": shown.at.to_string(),
    });
    if let Some(taken) = evidence {
        body["evidence"] = json!({"message_id": taken.message, "choice": taken.choice});
    }
    body
}

/// An emergency in which somebody saw more than their role shows. Roles, and not keys: who of the staff it
/// was is not the person's to know as such (CJEU C-579/21).
fn emergency(one: &EmergencyView) -> Value {
    json!({
        "emergency": one.emergency.to_string(),
        "state": one.state.name(),
        "reason": one.reason,
        "purpose": one.purpose,
        "fields": one.fields,
        "requested_by": one.requested_by.1,
        "requested_at": one.requested_at.to_string(),
        "decided_by": one.decided_by.as_ref().map(|(_, role)| role),
        "decided_at": one.decided_at.map(|at| at.to_string()),
        "used_at": one.used_at.map(|at| at.to_string()),
        "ended_at": one.ended_at.map(|at| at.to_string()),
        "expires_at": one.expires_at.to_string(),
    })
}

/// The document up to its records.
pub(crate) fn head(head: &Head) -> Vec<u8> {
    let statement = &head.statement;
    let controller = &statement.controller;
    let mut members = Map::new();
    let mut add = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    add("format", json!(FORMAT));
    add("version", json!(VERSION));
    add("right", json!(head.right.name()));
    add("made_at", json!(head.made_at.to_string()));
    add("language", json!(statement.language));
    add("complete", json!(head.complete()));
    add("vault", json!(head.vault));
    add(
        "policy",
        json!({"version": statement.policy_version, "sha256": hex(&head.policy_sha256)}),
    );
    add(
        "controller",
        json!({
            "name": controller.name,
            "address": controller.address,
            "contact": controller.contact,
            "dpo": controller.dpo,
            "country": controller.country,
            "authority": controller.authority,
        }),
    );
    let (channel, user) = head.identity.clone().unzip();
    add(
        "person",
        json!({
            "subject": head.subject,
            "created_at": head.created_at.to_string(),
            "identities": channel.zip(user).map(|(channel, user)| json!([{"channel": channel, "user": user}])).unwrap_or(json!([])),
        }),
    );
    add("purposes", Value::Array(purposes(statement)));
    add("recipients", Value::Array(head.recipients.clone()));
    add(
        "collections",
        Value::Array(head.collections.iter().map(collection).collect()),
    );
    add("withheld", Value::Array(places(&head.withheld)));
    if head.right == Right::Portability {
        add("left_out", Value::Array(places(&head.left_out)));
    } else {
        let consents = head.consents.iter().map(|one| {
            let events: Vec<Value> = one.events.iter().map(consent).collect();
            json!({"purpose": one.purpose, "events": events, "receipt": one.receipt})
        });
        add("consents", consents.collect());
        add(
            "disclosures",
            head.disclosures.iter().map(disclosure).collect(),
        );
        add(
            "objections",
            head.objections.iter().map(objection).collect(),
        );
        add("restriction", restriction(&head.restriction));
        add("hold", hold(&head.hold, &head.corrections));
        add("contracts", head.contracts.iter().map(contract).collect());
        add("age", age(&head.age));
        let pseudonyms = head.pseudonyms.iter().map(pseudonym);
        add("pseudonyms", pseudonyms.collect());
        add("requests", head.requests.iter().map(request).collect());
        add("notices", head.notices.iter().map(notice).collect());
        let sessions = head.sessions.iter().map(|one| {
            json!({
                "session": one.session,
                "role": one.role,
                "purpose": one.purpose,
                "fields": one.fields,
                "created_at": one.created_at.to_string(),
                "expires_at": one.expires_at.to_string(),
                "revoked": one.revoked,
            })
        });
        add("sessions", sessions.collect());
        add(
            "emergencies",
            head.emergencies.iter().map(emergency).collect(),
        );
        let rights = statement.rights.iter().map(
            |right| json!({"article": right.article, "title": right.title, "words": right.words}),
        );
        add("rights", rights.collect());
        let to = statement.complain_to();
        let words = [to.as_deref(), Some(statement.phrases.complain)];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        add("complaint", json!(words.join(" ")));
        let decisions = head.decisions.iter().map(decision);
        add("automated_decisions", decisions.collect());
    }
    let mut text = serde_json::to_vec_pretty(&members).expect("texts have a JSON form");
    text.truncate(text.len() - b"\n}".len());
    text.extend_from_slice(b",\n  \"records\": [");
    text
}

fn file(cell: &Cell) -> Value {
    let mut value = cell.value.clone();
    if let (Some(file), Value::Object(members)) = (&cell.file, &mut value) {
        members.insert("sha256".into(), json!(hex(&file.sha256)));
        members.insert("file".into(), json!(file.name));
    }
    value
}

/// One record, with what separates it from the one before.
pub(crate) fn record(item: &Item<'_>, first: bool) -> Vec<u8> {
    let name = |cell: &Cell| item.collection.fields[cell.field].name.clone();
    let fields: Map<String, Value> = item
        .cells
        .iter()
        .map(|cell| (name(cell), file(cell)))
        .collect();
    let masked = item.cells.iter().filter(|cell| cell.masked).map(name);
    let mut value = json!({
        "collection": item.collection.name,
        "record": item.record,
        "created_at": item.created_at.to_string(),
        "occurred_at": item.occurred_at.map(|at| at.to_string()),
        "ends_at": item.ends_at.map(|at| at.to_string()),
        "fields": fields,
        "masked": masked.collect::<Vec<_>>(),
    });
    if let Some(meta) = &item.meta {
        value["_meta"] = json!({
            "purposes": meta.purposes,
            "expires_at": meta.expires_at.map(|at| at.to_string()),
            "source": meta.source,
            "shared_with": meta.shared_with,
            "category": meta.category,
        });
    }
    let mut text = separator(first);
    serde_json::to_writer(&mut text, &value).expect("texts have a JSON form");
    text
}

fn separator(first: bool) -> Vec<u8> {
    match first {
        true => b"\n    ".to_vec(),
        false => b",\n    ".to_vec(),
    }
}

/// Lines of logs about the person. `first` is whether they are the first: then what separates records and
/// lines comes before them.
pub(crate) fn logs(list: &[(String, LogLine)], first: bool, any_before: bool) -> Vec<u8> {
    let mut text = match first {
        true => b"\n  ],\n  \"logs\": [".to_vec(),
        false => Vec::new(),
    };
    for (index, (stream, one)) in list.iter().enumerate() {
        let value = json!({"stream": stream, "at": one.at.to_string(), "line": one.line});
        text.extend(separator(index == 0 && !any_before));
        serde_json::to_writer(&mut text, &value).expect("texts have a JSON form");
    }
    text
}

/// Calls of the ledger. `first` is whether they are the first: then what separates lines and ledger
/// comes before them.
pub(crate) fn accesses(list: &[Looked], first: bool, any_before: bool) -> Vec<u8> {
    let mut text = match first {
        true => b"\n  ],\n  \"accesses\": [".to_vec(),
        false => Vec::new(),
    };
    for (index, one) in list.iter().enumerate() {
        let value = json!({
            "entry": one.entry,
            "time": one.time.to_string(),
            "role": one.role,
            "purpose": one.purpose,
            "action": one.action,
            "fields": one.fields,
            "outcome": one.outcome,
            "about": if one.many { "many" } else { "person" },
            "emergency": one.emergency,
        });
        text.extend(separator(index == 0 && !any_before));
        serde_json::to_writer(&mut text, &value).expect("texts have a JSON form");
    }
    text
}

/// The end of the document: how much there was, so that a copy that was cut short is known.
pub(crate) fn tail(records: u64, undeclared: u64) -> Vec<u8> {
    let end = json!({"records": records, "undeclared_values": undeclared});
    format!("\n  ],\n  \"end\": {end}\n}}\n").into_bytes()
}
