//! `request`: what people ask for under Chapter III, listed, shown, carried out, refused, put off.

use serde_json::{Value, json};
use vault_core::id::RequestId;
use vault_core::policy::Period;
use vault_core::request::DelayReason;
use vault_core::vault::{CorrectionInput, QueueFilter, RequestStep};

use super::{Context, cell};
use crate::args::{
    RequestApproveArguments, RequestCommand, RequestListArguments, RequestRejectArguments,
};
use crate::backend::Backend;
use crate::failure::{Exit, Failure};
use crate::input;
use crate::terminal::{Column, Table, Terminal, Tone};

pub(super) fn run(context: &Context<'_>, command: &RequestCommand) -> Result<(), Failure> {
    match command {
        RequestCommand::List(arguments) => list(context, arguments),
        RequestCommand::Show { request } => show(context, *request),
        RequestCommand::Approve(arguments) => approve(context, arguments),
        RequestCommand::Reject(arguments) => reject(context, arguments),
        RequestCommand::Extend {
            request,
            reason,
            period,
        } => extend(context, *request, *reason, period.as_ref()),
    }
}

/// Every request of the queue that a filter takes.
pub(super) fn all(backend: &dyn Backend, filter: &QueueFilter) -> Result<Vec<Value>, Failure> {
    let (mut requests, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut page = backend.requests(filter, cursor.as_deref())?;
        if let Value::Array(more) = page["requests"].take() {
            requests.extend(more);
        }
        cursor = page["next"].as_str().map(ToOwned::to_owned);
        if cursor.is_none() {
            return Ok(requests);
        }
    }
}

fn list(context: &Context<'_>, arguments: &RequestListArguments) -> Result<(), Failure> {
    let filter = QueueFilter {
        kind: arguments.kind,
        state: arguments.state,
        due_before: arguments.due_before,
        overdue: arguments.overdue,
    };
    let backend = context.backend()?;
    let requests = all(&*backend, &filter)?;
    let answer = json!({"requests": requests});
    context.terminal.answer(&answer, |terminal| {
        match answer["requests"].as_array().is_none_or(Vec::is_empty) {
            true => "nothing is to be answered".to_owned(),
            false => listed(terminal, &answer),
        }
    });
    Ok(())
}

fn listed(terminal: &Terminal, answer: &Value) -> String {
    let mut table = Table::new(vec![
        Column::new("request", 0),
        Column::new("type", 0),
        Column::new("state", 0),
        Column::new("due", 0),
        Column::new("days_left", 0),
        Column::new("subject", 2),
    ]);
    for one in answer["requests"].as_array().into_iter().flatten() {
        let plain = |name: &str| (cell(&one[name]), Tone::Plain);
        let late = match one["overdue"] == true {
            true => Tone::Warn,
            false => Tone::Plain,
        };
        table.push(vec![
            plain("request"),
            plain("type"),
            plain("state"),
            (cell(&one["due"]), late),
            (cell(&one["days_left"]), late),
            plain("subject"),
        ]);
    }
    terminal.table(&table)
}

fn shown(terminal: &Terminal, view: &Value) -> String {
    let mut table = Table::new(vec![
        Column::new("at", 0),
        Column::new("step", 0),
        Column::new("state", 0),
        Column::new("level", 1),
        Column::new("by", 2),
    ]);
    for step in view["history"].as_array().into_iter().flatten() {
        let plain = |name: &str| (cell(&step[name]), Tone::Plain);
        table.push(vec![
            plain("at"),
            plain("step"),
            plain("state"),
            plain("level"),
            plain("by"),
        ]);
    }
    let late = match view["overdue"] == true {
        true => ", which is over",
        false => "",
    };
    format!(
        "{} of {}, {}, due {}{late}\n{}",
        cell(&view["type"]),
        cell(&view["subject"]),
        cell(&view["state"]),
        cell(&view["due"]),
        terminal.table(&table)
    )
}

fn show(context: &Context<'_>, request: RequestId) -> Result<(), Failure> {
    let answer = context.backend()?.request(request)?;
    context
        .terminal
        .answer(&answer, |terminal| shown(terminal, &answer));
    Ok(())
}

fn correction(arguments: &RequestApproveArguments) -> Result<Option<CorrectionInput>, Failure> {
    let Some(path) = &arguments.correction_file else {
        return Ok(None);
    };
    let unfit = || {
        Failure::usage(
            "the correction is not of its form",
            "put {\"collection\": \"profile\", \"fields\": {…}} into the file, and \"record\" for one of many",
        )
    };
    let text = input::read_words(path)?;
    let value: Value = serde_json::from_str(&text).map_err(|_| unfit())?;
    let Value::Object(mut members) = value else {
        return Err(unfit());
    };
    let collection = members.remove("collection");
    let fields = members.remove("fields");
    let record = match members.remove("record") {
        None => None,
        Some(record) => Some(
            record
                .as_str()
                .and_then(|id| id.parse().ok())
                .ok_or_else(unfit)?,
        ),
    };
    match (collection, fields, members.is_empty()) {
        (Some(Value::String(collection)), Some(Value::Object(fields)), true) => {
            Ok(Some(CorrectionInput {
                collection,
                record,
                fields,
            }))
        }
        _ => Err(unfit()),
    }
}

fn approve(context: &Context<'_>, arguments: &RequestApproveArguments) -> Result<(), Failure> {
    let (terminal, request) = (context.terminal, arguments.request);
    let correction = correction(arguments)?;
    let text = |path: &Option<_>| path.as_deref().map(input::read_words).transpose();
    let (evidence, answer) = (
        text(&arguments.evidence_file)?,
        text(&arguments.answer_file)?,
    );
    let backend = context.backend()?;
    let view = backend.request(request)?;
    let kind = cell(&view["type"]);
    let copy = ["access", "portability"].contains(&kind.as_str());
    match (copy, arguments.deliver.is_some()) {
        (true, false) => {
            return Err(Failure::new(
                Exit::Failed,
                "conflict",
                format!(
                    "the answer to `{kind}` is a package, which a role fetches that sees the data"
                ),
                "--deliver link has the person pick it up themselves; or POST /v1/requests/{request}/approve \
                 with {\"format\": \"zip\"} and a token of that role",
            ));
        }
        (false, true) => {
            return Err(Failure::usage(
                format!(
                    "the answer to `{kind}` is no copy of data, and so there is no link to one"
                ),
                "leave --deliver out",
            ));
        }
        _ => {}
    }
    let ends = ["erase", "rectify"].contains(&kind.as_str());
    if context.globals.dry_run {
        let would = json!({"would_approve": {"request": view["request"], "type": kind, "cannot_be_undone": ends}});
        terminal.answer(&would, |_| format!("would carry out `{kind}`"));
        return Ok(());
    }
    if copy {
        // Before a step that a repeated call could not take again.
        backend.could_link()?;
    }
    if let Some(evidence) = evidence {
        backend.step_request(request, &RequestStep::Verify { evidence })?;
    }
    if copy {
        return link(context, &*backend, arguments);
    }
    let mut confirmation = None;
    if ends {
        let given = backend.confirm_request(request, correction.as_ref())?;
        let what: Vec<String> = given["consequences"]
            .as_array()
            .into_iter()
            .flatten()
            .map(cell)
            .collect();
        let question = format!("Carry out {request}? {}.", what.join("; "));
        terminal.confirm(&question, context.globals.yes)?;
        confirmation = given["confirmation"].as_str().map(ToOwned::to_owned);
    }
    let step = RequestStep::Approve {
        confirmation,
        correction,
        answer,
    };
    let answer = backend.step_request(request, &step)?;
    if !answer["receipt"].is_null() {
        terminal.note("keep the receipt: it proves the erasure, and the vault keeps no copy of it");
    }
    terminal.answer(&answer, |terminal| match answer["receipt"].is_null() {
        true => shown(terminal, &answer["request"]),
        false => serde_json::to_string_pretty(&answer["receipt"]).unwrap_or_default(),
    });
    Ok(())
}

/// Prints a link with which the person picks their copy up.
fn link(
    context: &Context<'_>,
    backend: &dyn Backend,
    arguments: &RequestApproveArguments,
) -> Result<(), Failure> {
    let terminal = context.terminal;
    let answer = backend.give_link(arguments.request, arguments.format.as_deref())?;
    terminal.note("give it to the person and keep it nowhere: it opens once, with a code to an address on file");
    terminal.answer(&answer, |_| {
        let link = &answer["link"];
        format!(
            "{}\nuntil {}",
            cell(&link["url"]),
            cell(&link["expires_at"])
        )
    });
    Ok(())
}

fn reject(context: &Context<'_>, arguments: &RequestRejectArguments) -> Result<(), Failure> {
    let step = RequestStep::Refuse {
        code: arguments.code,
        law: arguments.law.clone(),
        approver: input::read_words(&arguments.approver_file)?,
        reason: input::read_words(&arguments.reason_file)?,
    };
    if context.globals.dry_run {
        let would = json!({"would_refuse": arguments.request.to_string()});
        context
            .terminal
            .answer(&would, |_| "would refuse it".to_owned());
        return Ok(());
    }
    let answer = context.backend()?.step_request(arguments.request, &step)?;
    context
        .terminal
        .answer(&answer, |_| cell(&answer["request"]["refusal"]["text"]));
    Ok(())
}

fn extend(
    context: &Context<'_>,
    request: RequestId,
    reason: DelayReason,
    period: Option<&Period>,
) -> Result<(), Failure> {
    if context.globals.dry_run {
        let would = json!({"would_extend": request.to_string()});
        context
            .terminal
            .answer(&would, |_| "would extend it".to_owned());
        return Ok(());
    }
    let step = RequestStep::Extend {
        reason,
        period: period.cloned(),
    };
    let answer = context.backend()?.step_request(request, &step)?;
    context
        .terminal
        .answer(&answer, |_| cell(&answer["request"]["extension"]["notice"]));
    Ok(())
}
