//! `decision list|show|uphold|change|annul`: the reviews of decisions about people, by a human with an API key of theirs
//! (Art. 22(3) GDPR).
//!
//! An unlock secret reviews nothing. Who may is the policy's to say; that nobody reviews what they took, nor what they
//! were not shown, is the vault's. What a reviewer writes comes out of files, and stands in no error.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use vault_core::id::DecisionId;
use vault_core::vault::{DecisionFilter, Outcome};

use super::{Context, cell};
use crate::args::{DecisionCommand, DecisionListArguments, DecisionReviewArguments};
use crate::failure::Failure;
use crate::input;
use crate::terminal::{Column, Table, Terminal, Tone, printable};

pub(super) fn run(context: &Context<'_>, command: &DecisionCommand) -> Result<(), Failure> {
    match command {
        DecisionCommand::List(arguments) => list(context, arguments),
        DecisionCommand::Show { decision, begin } => show(context, *decision, *begin),
        DecisionCommand::Uphold(review) => decide(context, review, Outcome::Upheld, None),
        DecisionCommand::Change {
            review,
            outcome_file,
        } => decide(context, review, Outcome::Changed, Some(outcome_file)),
        DecisionCommand::Annul(review) => decide(context, review, Outcome::Annulled, None),
    }
}

fn list(context: &Context<'_>, arguments: &DecisionListArguments) -> Result<(), Failure> {
    let filter = DecisionFilter {
        kind: arguments.kind.clone(),
        state: arguments.state,
        overdue: arguments.overdue,
    };
    let caller = context.caller()?;
    let (mut decisions, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut page = caller.decisions(&filter, cursor.as_deref())?;
        if let Value::Array(more) = page["decisions"].take() {
            decisions.extend(more);
        }
        cursor = page["next"].as_str().map(ToOwned::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    let answer = json!({"decisions": decisions});
    context
        .terminal
        .answer(&answer, |terminal| match decisions.is_empty() {
            true => "nobody waits for a review".to_owned(),
            false => listed(terminal, &decisions),
        });
    Ok(())
}

fn listed(terminal: &Terminal, decisions: &[Value]) -> String {
    let mut table = Table::new(vec![
        Column::new("decision", 0),
        Column::new("kind", 0),
        Column::new("state", 0),
        Column::new("contested_at", 1),
        Column::new("due", 0),
        Column::new("subject", 2),
    ]);
    for one in decisions {
        let plain = |name: &str| (cell(&one[name]), Tone::Plain);
        let late = match one["overdue"] == true {
            true => Tone::Warn,
            false => Tone::Plain,
        };
        table.push(vec![
            plain("decision"),
            plain("kind"),
            plain("state"),
            plain("contested_at"),
            (cell(&one["due"]), late),
            plain("subject"),
        ]);
    }
    terminal.table(&table)
}

fn show(context: &Context<'_>, decision: DecisionId, begin: bool) -> Result<(), Failure> {
    let (terminal, caller) = (context.terminal, context.caller()?);
    if !begin {
        let view = caller.decision(decision)?;
        terminal.answer(&view, |terminal| shown(terminal, &view));
        return Ok(());
    }
    if context.globals.dry_run {
        let would = json!({"would_begin": decision.to_string()});
        terminal.answer(&would, |_| "would begin its review".to_owned());
        return Ok(());
    }
    let begun = caller.step_decision(decision, "begin", &json!({}))?;
    terminal.answer(&begun, |terminal| {
        let view = shown(terminal, &begun["decision"]);
        let (review, until) = (cell(&begun["review"]), cell(&begun["expires_at"]));
        format!("{view}\nreview, until {until}: {review}")
    });
    Ok(())
}

fn shown(terminal: &Terminal, view: &Value) -> String {
    let due = match view["due"].as_str() {
        Some(due) => format!(", its review due {due}"),
        None => String::new(),
    };
    let mut facts = Table::new(vec![Column::new("what", 0), Column::wrapped("text", 0)]);
    let mut fact = |name: &str, text: String| {
        facts.push(vec![(name.to_owned(), Tone::Plain), (text, Tone::Plain)]);
    };
    for name in ["outcome", "new_outcome", "model_version", "law", "purpose"] {
        if !view[name].is_null() {
            fact(name, cell(&view[name]));
        }
    }
    let inputs = view["inputs"].as_array().into_iter().flatten().map(cell);
    fact("inputs", inputs.collect::<Vec<_>>().join(" "));
    for name in ["logic", "consequences"] {
        for (language, text) in view[name].as_object().into_iter().flatten() {
            fact(&format!("{name}.{language}"), cell(text));
        }
    }
    let mut steps = Table::new(vec![
        Column::new("at", 0),
        Column::new("step", 0),
        Column::new("state", 0),
        Column::new("by", 1),
        Column::wrapped("words", 0),
    ]);
    for step in view["history"].as_array().into_iter().flatten() {
        let row = ["at", "step", "state", "by", "words"];
        steps.push(row.map(|name| (cell(&step[name]), Tone::Plain)).into());
    }
    format!(
        "{} about {}, automation {}, {}{due}\n{}\n{}",
        cell(&view["kind"]),
        cell(&view["subject"]),
        cell(&view["automation"]),
        cell(&view["state"]),
        terminal.table(&facts),
        terminal.table(&steps)
    )
}

/// What a reviewer is asked about.
fn about(view: &Value) -> String {
    let said = view["history"].as_array().into_iter().flatten();
    let said = said.filter(|step| step["step"] == "contested");
    let said: Vec<String> = said
        .filter_map(|step| step["words"].as_str().map(quoted))
        .collect();
    let person = match said.is_empty() {
        true => "says nothing of it".to_owned(),
        false => format!("says {}", said.join(", then ")),
    };
    format!(
        "it came to {}, and the person {person}",
        quoted(&cell(&view["outcome"]))
    )
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", printable(text))
}

/// Words that a review cannot be without.
fn words(path: &Path, what: &str) -> Result<String, Failure> {
    let text = input::read_words(path)?;
    match text.is_empty() {
        true => Err(Failure::usage(
            format!("{what} is empty"),
            "the person is told what a review came to and why: write that into the file",
        )),
        false => Ok(text),
    }
}

fn decide(
    context: &Context<'_>,
    arguments: &DecisionReviewArguments,
    outcome: Outcome,
    outcome_file: Option<&PathBuf>,
) -> Result<(), Failure> {
    let (terminal, decision) = (context.terminal, arguments.decision);
    let reasons = words(&arguments.reasons_file, "the file with the reasons")?;
    let new_outcome = outcome_file.map(|path| words(path, "the file with the outcome"));
    let new_outcome = new_outcome.transpose()?;
    let verb = match outcome {
        Outcome::Annulled => "annul",
        Outcome::Changed => "change",
        Outcome::Upheld => "uphold",
    };
    let caller = context.caller()?;
    if context.globals.dry_run {
        let view = caller.decision(decision)?;
        let would = json!({"would": verb, "decision": view});
        terminal.answer(&would, |_| format!("would {verb} it: {}", about(&view)));
        return Ok(());
    }
    // Nobody begins a review that they could not end.
    terminal.could_confirm(context.globals.yes)?;
    let (review, view) = match &arguments.review {
        Some(review) => (review.clone(), caller.decision(decision)?),
        None => {
            let mut begun = caller.step_decision(decision, "begin", &json!({}))?;
            (cell(&begun["review"]), begun["decision"].take())
        }
    };
    let question = format!(
        "{verb} {decision}? {}. Nothing follows a review.",
        about(&view)
    );
    let sure = terminal.confirm(&question, context.globals.yes);
    sure.map_err(|failure| Failure {
        help: format!(
            "nothing was decided; its review is begun, to be ended with --review {review}"
        ),
        ..failure
    })?;
    let mut body = json!({"review": review, "outcome": outcome.name(), "reasons": reasons});
    if let Some(new_outcome) = new_outcome {
        body["new_outcome"] = new_outcome.into();
    }
    let answer = caller.step_decision(decision, "decide", &body)?;
    terminal.answer(&answer, |_| cell(&answer["decision"]["state"]));
    Ok(())
}
