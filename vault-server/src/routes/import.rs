//! Lines of a file, written as a bot would write them.

use std::collections::{BTreeMap, HashSet};

use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use vault_core::consent::ConsentState;
use vault_core::limits::{IMPORT_FILES_PER_LINE_MAX, IMPORT_LINES_MAX, INPUT_ERRORS_MAX};
use vault_core::policy::RestrictionGround;
use vault_core::refusal::{InputError, Refusal};
use vault_core::standing::ObjectionState;
use vault_core::vault::{ImportBatch, ImportLine, ImportWhat, Imported, RestrictionInput};

use crate::call::Outcome;
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

/// Lines that come together.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only its schema is used; the members are read one by one"
)]
pub(crate) struct ImportRequest {
    /// Names the import, of your own choice; one that nobody else takes or guesses. The same lines under the
    /// same name are written once within a day, whoever sends them.
    import: String,
    /// At most 200, in the order of the file.
    #[schema(max_items = 200)]
    lines: Vec<ImportLineRequest>,
    /// Check everything and write nothing.
    dry_run: Option<bool>,
    /// Lines that were sent before these, for whoever watches.
    done: Option<u32>,
    /// All lines, if that is known.
    total: Option<u32>,
    /// Whether these are the last.
    last: Option<bool>,
}

/// One line: a record, a consent, an objection, a restriction, a contract's end, an age, or a person alone.
#[derive(ToSchema)]
#[schema(as = ImportLine)]
#[expect(
    dead_code,
    reason = "only its schema is used; the members are read one by one"
)]
pub(crate) struct ImportLineRequest {
    /// Its number in the file.
    line: u64,
    /// The person's channel.
    channel: String,
    /// Their identity there; whoever is not known yet is made.
    user: String,
    /// Name of a collection of the policy.
    collection: Option<String>,
    /// Fields, `_meta`, `occurred_at`.
    #[schema(value_type = Option<Object>)]
    record: Option<Value>,
    /// What the write is for; where absent, a purpose that the role serves and each field is collected
    /// for, one without consent first.
    purpose: Option<String>,
    /// Names of fields of type `blob` whose content will be put into the record: the answer says what for.
    #[schema(max_items = 500)]
    files: Option<Vec<String>>,
    /// What the person said about a purpose.
    consent: Option<ImportConsent>,
    /// A step of the person's objection to a purpose.
    objection: Option<ImportObjection>,
    /// A restriction that stands.
    restriction: Option<ImportRestriction>,
    /// The end of the contract behind a purpose.
    contract_end: Option<ImportContractEnd>,
    /// What is known of the person's age.
    age: Option<ImportAge>,
}

/// A step of an objection, which is done again where it does not stand already. One that was upheld where it comes
/// from is upheld after one that is pending, or for direct marketing; else it waits for a decision.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only its schema is used; the members are read one by one"
)]
pub(crate) struct ImportObjection {
    /// Name of a purpose of the policy.
    purpose: String,
    /// `pending`, `upheld`, `overridden` or `ended`.
    state: String,
    /// The person's grounds, or the controller's; a decision needs some.
    reason: Option<String>,
}

/// The end of a contract, which is noted where it does not stand already. The purpose is one that is kept after a
/// contract's end.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only its schema is used; the members are read one by one"
)]
pub(crate) struct ImportContractEnd {
    /// Name of a purpose of the policy.
    purpose: String,
    /// When it ended, or will.
    #[schema(format = DateTime)]
    ended_at: String,
}

/// What is known of an age, which is noted where it does not stand already.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only its schema is used; the members are read one by one"
)]
pub(crate) struct ImportAge {
    /// From which day on they consent for themselves.
    #[schema(format = Date)]
    of_age_on: String,
    /// How a guardian's authorisation was verified.
    guardian: Option<String>,
}

/// A restriction, which is set where it does not stand already.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only its schema is used; the members are read one by one"
)]
pub(crate) struct ImportRestriction {
    /// `18.1.a`, `18.1.b`, `18.1.c` or `18.1.d`.
    ground: String,
    /// Names of collections, all for none; one that the policy does not know is passed over beside one that it does.
    collections: Option<Vec<String>>,
    /// The person's words.
    reason: Option<String>,
}

/// What a person said about a purpose.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only its schema is used; the members are read one by one"
)]
pub(crate) struct ImportConsent {
    /// Name of a purpose of the policy.
    purpose: String,
    /// Any state of a consent but `expired`.
    state: String,
    /// The notice that was shown.
    notice: Option<Value>,
    /// Which button or word.
    choice: Option<String>,
    /// The channel's message.
    message_id: Option<String>,
    /// `self` or `guardian`.
    actor: Option<String>,
    /// `regular` or `explicit`.
    r#type: Option<String>,
    /// For how long, as it was told.
    valid: Option<String>,
    /// When that ends; from it alone, where it is there, an imported consent expires.
    #[schema(format = DateTime)]
    valid_until: Option<String>,
    /// The language of the text that was shown; `lang`, as where a consent is recorded, is the same.
    language: Option<String>,
    /// SHA-256 of that text.
    sha256: Option<String>,
    /// Where it was said.
    channel: Option<String>,
    /// How it was collected.
    method: Option<String>,
    /// What a consent platform wrote: `{kind, string}`.
    #[schema(value_type = Option<Object>)]
    evidence: Option<Value>,
}

/// What became of the lines.
#[derive(Serialize, ToSchema)]
#[schema(as = Imported)]
pub(crate) struct ImportedBody {
    /// Lines that were written, or would be.
    written: u64,
    /// How many of these the same call had written before.
    repeated: u64,
    /// Of records of a collection with many: which line became which.
    records: Vec<ImportedRecord>,
    /// Lines that were not written.
    errors: Vec<ImportErrorBody>,
}

/// A line that became a record.
#[derive(Serialize, ToSchema)]
pub(crate) struct ImportedRecord {
    /// Its number in the file.
    line: u64,
    /// Whose.
    subject: String,
    /// The record; null for the one of a collection with one a person.
    record: Option<String>,
    /// For each of the line's `files`, by field: the purpose to state when it is put.
    files: BTreeMap<String, String>,
}

/// Why a line was not written.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportError)]
pub(crate) struct ImportErrorBody {
    /// Its number in the file.
    line: u64,
    /// Of which collection, where the line is a record.
    collection: Option<String>,
    /// Where, as a JSON pointer into `record`; empty for the whole line.
    pointer: String,
    /// The code of the refusal, or of what is wrong there.
    code: String,
    /// What is expected; never the value.
    detail: String,
}

impl From<Imported> for ImportedBody {
    fn from(imported: Imported) -> Self {
        Self {
            written: imported.written.len() as u64,
            repeated: imported.repeated,
            records: imported
                .written
                .into_iter()
                .map(|one| ImportedRecord {
                    line: one.line,
                    subject: one.subject.to_string(),
                    record: one.record.map(|record| record.to_string()),
                    files: one.files.into_iter().collect(),
                })
                .collect(),
            errors: imported
                .errors
                .into_iter()
                .map(|one| ImportErrorBody {
                    line: one.line,
                    collection: one.collection,
                    pointer: one.pointer,
                    code: one.code,
                    detail: one.detail,
                })
                .collect(),
        }
    }
}

fn text(members: &mut Map<String, Value>, name: &str) -> Result<Option<String>, &'static str> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err("texts are expected here"),
    }
}

fn consent(value: Value) -> Result<ImportWhat, &'static str> {
    let Value::Object(mut members) = value else {
        return Err("`consent` is an object of: purpose, state, notice, choice, message_id");
    };
    // As `PUT …/consents/{purpose}` has it; `language` is the word of a package.
    if let Some(lang) = members.remove("lang")
        && members.insert("language".into(), lang).is_some()
    {
        return Err("`lang` and `language` are one member: give either");
    }
    let state = text(&mut members, "state")?
        .as_deref()
        .and_then(ConsentState::parse);
    let state = state
        .filter(|state| *state != ConsentState::Expired)
        .ok_or("`state` is one of: requested, deferred, given, renewed, refused, withdrawn, invalidated")?;
    let what = ImportWhat::Consent {
        purpose: text(&mut members, "purpose")?.ok_or("a consent is about a `purpose`")?,
        state,
        notice: members.remove("notice").unwrap_or(Value::Null),
        choice: text(&mut members, "choice")?,
        message_id: text(&mut members, "message_id")?,
        details: {
            let names = [
                "actor",
                "type",
                "valid",
                "valid_until",
                "language",
                "sha256",
                "channel",
                "method",
                "evidence",
            ];
            let mine = names
                .into_iter()
                .filter_map(|name| members.remove_entry(name));
            let mine = Value::Object(mine.filter(|(_, value)| !value.is_null()).collect());
            serde_json::from_value(mine)
                .map_err(|_| "what is said of a consent besides is not of its form")?
        },
    };
    match members.is_empty() {
        true => Ok(what),
        false => Err(
            "known in a consent: purpose, state, notice, choice, message_id, actor, type, valid, valid_until, lang (or language), sha256, channel, method, evidence",
        ),
    }
}

fn objection(value: Value) -> Result<ImportWhat, &'static str> {
    let Value::Object(mut members) = value else {
        return Err("`objection` is an object of: purpose, state, reason");
    };
    let state = text(&mut members, "state")?.and_then(|text| ObjectionState::parse(&text));
    let what = ImportWhat::Objection {
        purpose: text(&mut members, "purpose")?.ok_or("an objection is to a `purpose`")?,
        state: state.ok_or("`state` is one of: pending, upheld, overridden, ended")?,
        reason: text(&mut members, "reason")?,
    };
    match members.is_empty() {
        true => Ok(what),
        false => Err("known in an objection: purpose, state, reason"),
    }
}

fn restriction(value: Value) -> Result<ImportWhat, &'static str> {
    const NAMES: &str = "`collections` is a list of names";
    let Value::Object(mut members) = value else {
        return Err("`restriction` is an object of: ground, collections, reason");
    };
    let ground = text(&mut members, "ground")?.and_then(|text| RestrictionGround::parse(&text));
    let collections = match members.remove("collections").unwrap_or_default() {
        Value::Null => Vec::new(),
        Value::Array(names) => {
            let names = names.into_iter().map(|name| match name {
                Value::String(name) => Ok(name),
                _ => Err(NAMES),
            });
            names.collect::<Result<_, _>>()?
        }
        _ => return Err(NAMES),
    };
    let what = ImportWhat::Restriction(RestrictionInput {
        ground: ground.ok_or("`ground` is one of: 18.1.a, 18.1.b, 18.1.c, 18.1.d")?,
        collections,
        reason: text(&mut members, "reason")?,
    });
    match members.is_empty() {
        true => Ok(what),
        false => Err("known in a restriction: ground, collections, reason"),
    }
}

fn contract_end(value: Value) -> Result<ImportWhat, &'static str> {
    let Value::Object(mut members) = value else {
        return Err("`contract_end` is an object of: purpose, ended_at");
    };
    let ended_at = text(&mut members, "ended_at")?.and_then(|text| text.parse().ok());
    let what = ImportWhat::ContractEnd {
        purpose: text(&mut members, "purpose")?.ok_or("a contract is behind a `purpose`")?,
        ended_at: ended_at.ok_or("`ended_at` is an instant: 2027-12-31T23:00:00Z")?,
    };
    match members.is_empty() {
        true => Ok(what),
        false => Err("known in a contract's end: purpose, ended_at"),
    }
}

fn age(value: Value) -> Result<ImportWhat, &'static str> {
    let Value::Object(mut members) = value else {
        return Err("`age` is an object of: of_age_on, guardian");
    };
    let of_age_on = text(&mut members, "of_age_on")?.and_then(|text| text.parse().ok());
    let what = ImportWhat::Age {
        of_age_on: of_age_on.ok_or("`of_age_on` is a day: 2029-01-15")?,
        guardian: text(&mut members, "guardian")?,
    };
    match members.is_empty() {
        true => Ok(what),
        false => Err("known in an age: of_age_on, guardian"),
    }
}

fn files(value: Value) -> Result<Vec<String>, &'static str> {
    const NAMES: &str = "`files` is a list of at most 500 names of fields";
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(names) if names.len() <= IMPORT_FILES_PER_LINE_MAX => {
            let names = names.into_iter().map(|name| match name {
                Value::String(name) => Ok(name),
                _ => Err(NAMES),
            });
            names.collect()
        }
        _ => Err(NAMES),
    }
}

fn line(value: Value) -> Result<ImportLine, &'static str> {
    const NUMBER: &str = "`line` is a whole number";
    let Value::Object(mut members) = value else {
        return Err("each line is an object");
    };
    let number = members.remove("line").ok_or(NUMBER)?;
    let number = number.as_u64().ok_or(NUMBER)?;
    let channel = text(&mut members, "channel")?.ok_or("`channel` is missing")?;
    let user = text(&mut members, "user")?.ok_or("`user` is missing")?;
    let collection = text(&mut members, "collection")?;
    let purpose = text(&mut members, "purpose")?;
    let record = members.remove("record").filter(|value| !value.is_null());
    type Read = fn(Value) -> Result<ImportWhat, &'static str>;
    const SAID: [(&str, Read); 5] = [
        ("consent", consent),
        ("objection", objection),
        ("restriction", restriction),
        ("contract_end", contract_end),
        ("age", age),
    ];
    let part = |(name, read)| {
        let value: Option<Value> = members.remove(name);
        value
            .filter(|value| !value.is_null())
            .map(|value| (value, read))
    };
    let mut said: Vec<_> = SAID.into_iter().filter_map(part).collect();
    let files = files(members.remove("files").unwrap_or_default())?;
    if !members.is_empty() {
        return Err(
            "known in a line: line, channel, user, collection, record, purpose, files, consent, objection, restriction, contract_end, age",
        );
    }
    let what = match (collection, record, said.pop(), said.is_empty()) {
        (Some(collection), Some(Value::Object(body)), None, _) => ImportWhat::Record {
            collection,
            body,
            purpose,
            files,
        },
        (None, None, Some((value, read)), true) => read(value)?,
        (None, None, None, _) => ImportWhat::Person,
        _ => {
            return Err(
                "a line has `collection` and `record`, or one of `consent`, `objection`, `restriction`, `contract_end` and `age`, or neither",
            );
        }
    };
    Ok(ImportLine {
        line: number,
        channel,
        user,
        what,
    })
}

pub(crate) fn read_import(body: Value) -> Result<ImportBatch, Problem> {
    const KNOWN: [&str; 6] = ["import", "lines", "dry_run", "done", "total", "last"];
    let mut shape = Shape::of(body, &KNOWN)?;
    let import = shape.text("import");
    let flag = |shape: &mut Shape, name| shape.has(name) && shape.flag(name);
    let dry_run = flag(&mut shape, "dry_run");
    let last = flag(&mut shape, "last");
    let done = shape.optional_number("done").unwrap_or(0).into();
    let total = shape.optional_number("total").map(u64::from);
    let lines = match shape.value("lines") {
        Value::Array(lines) if lines.len() <= IMPORT_LINES_MAX => lines,
        _ => {
            shape.refuse(
                "lines",
                "length",
                format!("a list of at most {IMPORT_LINES_MAX}"),
            );
            Vec::new()
        }
    };
    let mut batch = shape.finish(ImportBatch {
        import,
        lines: Vec::with_capacity(lines.len()),
        dry_run,
        done,
        total,
        last,
    })?;
    let mut errors = Vec::new();
    for (place, value) in lines.into_iter().enumerate() {
        match line(value) {
            Ok(line) => batch.lines.push(line),
            Err(detail) if errors.len() < INPUT_ERRORS_MAX => errors.push(InputError {
                pointer: format!("/lines/{place}"),
                code: "line",
                detail: detail.to_owned(),
            }),
            Err(_) => {}
        }
    }
    match errors.is_empty() {
        true => Ok(batch),
        false => Err(Refusal::Invalid(errors).into()),
    }
}

/// Take lines of a file
///
/// Each line is the write of a bot, decided for the caller's role as that is; whoever is not known yet is
/// made (capability `subjects.create`; consents need `consents.record`, objections `objections.record`, and
/// `requests.decide` where they were decided, restrictions `restrictions.set`, ages `consents.record`). The lines of one person happen
/// in one commit, and are remembered there for a day by `import` and number: the same call again writes
/// nothing twice. A line that is refused is told, and spoils no other. One import runs at a time, as a
/// job that is seen and cancelled like others.
#[utoipa::path(post, path = urls::IMPORT, tag = "bulk", operation_id = "import_lines",
    request_body = ImportRequest,
    responses((status = 200, description = "What became of the lines", body = ImportedBody)))]
pub(crate) async fn import(State(app): State<App>, incoming: Incoming) -> Outcome {
    let body = incoming.json()?;
    app.call(incoming, move |session| {
        let batch = session.parsed("subjects.create", read_import(body))?;
        let people: HashSet<(&str, &str)> = batch
            .lines
            .iter()
            .map(|line| (&*line.channel, &*line.user))
            .collect();
        for _ in &people {
            session.count_lookup()?;
        }
        let imported = session.vault.import(&session.call(), &batch)?;
        Ok(Reply::json(200, &ImportedBody::from(imported)))
    })
    .await
}
