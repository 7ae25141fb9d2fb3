//! Steps of requests as they come: one object each.

use serde_json::{Map, Value};
use vault_core::export::{ExportInput, Form, Right};
use vault_core::id::RecordId;
use vault_core::policy::Period;
use vault_core::request::{DelayReason, Exemption};
use vault_core::vault::{CorrectionInput, RequestStep};

use super::words;
use crate::code::Code;
use crate::problem::Problem;
use crate::routes::export::read_export;
use crate::shape::Shape;

/// What is corrected, where anything is.
fn correction(shape: &mut Shape) -> Option<CorrectionInput> {
    let named = shape.optional_text("collection");
    let record = shape.optional_text("record");
    let given = shape.has("fields");
    if named.is_none() && record.is_none() && !given {
        return None;
    }
    let known: Option<RecordId> = record.as_ref().and_then(|text| text.parse().ok());
    if record.is_some() && known.is_none() {
        shape.refuse("record", "not_an_id", "the id of a record, `rec_…`");
    }
    let fields = match given.then(|| shape.value("fields")) {
        Some(Value::Object(fields)) => fields,
        Some(_) => {
            shape.refuse("fields", "not_an_object", "an object is expected");
            Map::new()
        }
        None => {
            shape.refuse("fields", "required", "which fields are corrected, and how");
            Map::new()
        }
    };
    if named.is_none() {
        shape.refuse("collection", "required", "whose fields these are");
    }
    Some(CorrectionInput {
        collection: named.unwrap_or_default(),
        record: known,
        fields,
    })
}

/// What a confirmation is asked for.
pub(super) fn scope(body: Value) -> Result<Option<CorrectionInput>, Problem> {
    let mut shape = Shape::of(body, &["collection", "record", "fields"])?;
    let correction = correction(&mut shape);
    shape.finish(correction)
}

/// An approval without a package.
pub(super) fn approve(body: Value) -> Result<RequestStep, Problem> {
    const KNOWN: [&str; 9] = [
        "confirmation",
        "collection",
        "record",
        "fields",
        "answer",
        "format",
        "language",
        "recipient",
        "passphrase",
    ];
    let mut shape = Shape::of(body, &KNOWN)?;
    for name in ["language", "recipient", "passphrase"] {
        if shape.has(name) {
            shape.refuse(
                name,
                "not_here",
                "a package has it: name its `format` as well",
            );
        }
    }
    let step = RequestStep::Approve {
        confirmation: shape.optional_text("confirmation"),
        correction: correction(&mut shape),
        answer: shape.optional_text("answer"),
    };
    shape.finish(step)
}

/// The form of the package that a link is asked for.
pub(super) fn deliver(body: Value) -> Result<Form, Problem> {
    const KNOWN: [&str; 5] = ["deliver", "format", "language", "recipient", "passphrase"];
    let mut shape = Shape::of(body, &KNOWN)?;
    if shape.text("deliver") != "link" && shape.finds_no_fault() {
        shape.refuse("deliver", "unknown_word", "`deliver` is `link`");
    }
    for name in ["language", "recipient", "passphrase"] {
        if shape.has(name) {
            let detail = "a package that is picked up with a link is in the language of the request, and a code keeps it";
            shape.refuse(name, "not_here", detail);
        }
    }
    let named = shape.optional_text("format");
    let form = named.as_deref().map_or(Some(Form::Zip), Form::parse);
    if form.is_none() && shape.finds_no_fault() {
        let detail = "`format` is one of: json, csv, html, zip";
        shape.refuse("format", "unknown_word", detail);
    }
    shape.finish(form.unwrap_or(Form::Zip))
}

/// The package that an approval asks for; which right it is of, the request says.
pub(super) struct Package(ExportInput);

impl Package {
    pub(super) fn read(mut body: Value) -> Result<Self, Problem> {
        if let Value::Object(members) = &mut body {
            // Its right is not the caller's to say; one that is said is refused as any unknown member is.
            if members.contains_key("right") {
                let detail = "the request says which right it is";
                return Err(Problem::invalid_at("/right", "unknown_member", detail));
            }
            members.insert("right".into(), Right::Access.name().into());
        }
        read_export(body).map(Self)
    }

    /// The same of the right that the request is about.
    pub(super) fn of(self, right: Option<Right>) -> Result<ExportInput, Problem> {
        let detail = "this request is not answered with a package";
        let right = right.ok_or_else(|| Problem::invalid_at("/format", "not_here", detail))?;
        Ok(ExportInput { right, ..self.0 })
    }
}

/// A step by its name.
pub(super) fn read(name: &str, body: Value) -> Result<RequestStep, Problem> {
    match name {
        "cancel" => {
            let mut shape = Shape::of(body, &["reason"])?;
            let reason = shape.optional_text("reason");
            shape.finish(RequestStep::Cancel { reason })
        }
        "clarify" => clarify(body),
        "extend" => extend(body),
        "identity" => identity(body),
        "refuse" => refuse(body),
        "review" => {
            let mut shape = Shape::of(body, &["note"])?;
            let note = shape.optional_text("note");
            shape.finish(RequestStep::Review { note })
        }
        _ => Err(Problem::new(Code::NotFound)),
    }
}

fn clarify(body: Value) -> Result<RequestStep, Problem> {
    let mut shape = Shape::of(body, &["question", "answer"])?;
    let (question, answer) = (
        shape.optional_text("question"),
        shape.optional_text("answer"),
    );
    let step = match (question, answer) {
        (Some(question), None) => RequestStep::AskClarification { question },
        (None, Some(answer)) => RequestStep::Clarify { answer },
        _ => {
            shape.refuse(
                "question",
                "required",
                "`question` to ask, or `answer` for what was said",
            );
            RequestStep::Cancel { reason: None }
        }
    };
    shape.finish(step)
}

fn extend(body: Value) -> Result<RequestStep, Problem> {
    let mut shape = Shape::of(body, &["reason", "period"])?;
    let word = shape.text("reason");
    let reason = DelayReason::parse(&word);
    if reason.is_none() && shape.finds_no_fault() {
        shape.refuse(
            "reason",
            "unknown_word",
            "`complexity` or `number` (Art. 12(3) GDPR)",
        );
    }
    let period = shape.optional_text("period");
    let known = period.as_ref().and_then(|text| Period::parse(text).ok());
    if period.is_some() && known.is_none() {
        shape.refuse("period", "bad_period", "months, weeks or days, such as P1M");
    }
    shape.finish(RequestStep::Extend {
        reason: reason.unwrap_or(DelayReason::Complexity),
        period: known,
    })
}

fn identity(body: Value) -> Result<RequestStep, Problem> {
    let mut shape = Shape::of(body, &["outcome", "evidence", "note"])?;
    let word = shape.text("outcome");
    let (evidence, note) = (shape.optional_text("evidence"), shape.optional_text("note"));
    let step = match word.as_str() {
        "asked" => RequestStep::AskIdentity { question: note },
        "manual" => RequestStep::CheckByHand { note },
        "verified" => {
            if evidence.is_none() {
                shape.refuse("evidence", "required", "by what it is known who asks");
            }
            RequestStep::Verify {
                evidence: evidence.unwrap_or_default(),
            }
        }
        _ => {
            if shape.finds_no_fault() {
                shape.refuse("outcome", "unknown_word", "`asked`, `manual` or `verified`");
            }
            RequestStep::CheckByHand { note }
        }
    };
    shape.finish(step)
}

fn refuse(body: Value) -> Result<RequestStep, Problem> {
    let mut shape = Shape::of(body, &["code", "law", "approver", "reason"])?;
    let word = shape.text("code");
    let code = Exemption::parse(&word);
    if code.is_none() && shape.finds_no_fault() {
        let known = words(Exemption::ALL.iter().map(|code| code.name()));
        shape.refuse("code", "unknown_word", format!("one of {known}"));
    }
    let step = RequestStep::Refuse {
        code: code.unwrap_or(Exemption::NotCovered),
        law: shape.text("law"),
        approver: shape.text("approver"),
        reason: shape.text("reason"),
    };
    shape.finish(step)
}

/// Every step that a body could be of: none may be lost by another.
pub(crate) fn read_any_step(body: Value) -> Result<(), Problem> {
    let mut last = Ok(());
    for name in [
        "cancel", "clarify", "extend", "identity", "refuse", "review",
    ] {
        last = read(name, body.clone()).map(drop);
    }
    let _ = approve(body.clone());
    let _ = deliver(body.clone());
    let _ = scope(body.clone());
    let _ = Package::read(body);
    last
}

/// A package of JSON, which the tests of this module look at.
#[cfg(test)]
mod tests {
    use serde_json::json;
    use vault_core::export::Seal;

    use super::*;

    #[test]
    fn a_package_is_of_the_right_that_the_request_says() {
        let read = |body| Package::read(body).map(|package| package.0);
        let input = read(json!({"format": "zip"})).unwrap_or_else(|_| panic!("it fits"));
        assert_eq!(input.form, Form::Zip);
        assert!(matches!(input.seal, Seal::None));
        assert!(read(json!({"format": "zip", "right": "access"})).is_err());
        assert!(Package(input).of(None).is_err());
    }

    #[test]
    fn a_link_has_a_form_and_nothing_that_a_package_in_hand_has() {
        let read = |body| deliver(body).map_err(|problem| problem.code());
        assert_eq!(read(json!({"deliver": "link"})), Ok(Form::Zip));
        assert_eq!(
            read(json!({"deliver": "link", "format": "csv"})),
            Ok(Form::Csv)
        );
        for bad in [
            json!({"deliver": "mail"}),
            json!({"deliver": "link", "format": "pdf"}),
            json!({"deliver": "link", "passphrase": "twelve characters"}),
            json!({"deliver": "link", "answer": "here"}),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_step_that_there_is_not_is_not_found() {
        let refused = read("forget", json!({})).expect_err("no such step");
        assert_eq!(refused.code(), Code::NotFound);
    }
}
