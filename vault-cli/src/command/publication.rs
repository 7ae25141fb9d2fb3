//! `notice` and `ropa`: what the policy says to the public, and to an authority; and whether what was
//! published is still what it says.
//!
//! Source: GDPR Art. 13, 14, 30(1).

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use vault_core::clock::{Clock, SystemClock};
use vault_core::statement::Published;
use vault_server::publication::{self, TextForm};

use super::{Context, policy};
use crate::args::{NoticeArguments, PolicySource, RopaArguments};
use crate::failure::{Exit, Failure};
use crate::input;

pub(super) fn notice(context: &Context<'_>, arguments: &NoticeArguments) -> Result<(), Failure> {
    let (published, language) = published(context, &arguments.source)?;
    match &arguments.check {
        Some(path) => check(context, &published, &language, path),
        None => {
            let form = arguments.format.form();
            let text = publication::privacy_statement(&published, &language, form);
            print(context, form, &language, &text);
            Ok(())
        }
    }
}

pub(super) fn ropa(context: &Context<'_>, arguments: &RopaArguments) -> Result<(), Failure> {
    let (published, language) = published(context, &arguments.source)?;
    let form = arguments.format.form();
    let text = publication::processing_records(&published, &language, form);
    print(context, form, &language, &text);
    Ok(())
}

/// The policy that is meant, and the language: that of a file, or the one in force.
fn published(context: &Context<'_>, source: &PolicySource) -> Result<(Published, String), Failure> {
    let (policy, since) = match &source.policy {
        Some(path) => (policy::read(path)?, SystemClock.now()),
        None => {
            let answer = context.backend()?.policy()?;
            let since = answer["applied_at"].as_str().unwrap_or_default();
            (
                policy::in_force(&answer)?,
                since.parse().unwrap_or(Timestamp::UNIX_EPOCH),
            )
        }
    };
    let published = Published::new(Arc::new(policy), since);
    let offered = published.languages();
    let language = match &source.lang {
        None => offered[0].to_owned(),
        Some(asked) => {
            let known = offered.iter().find(|tag| tag.eq_ignore_ascii_case(asked));
            let known = known.map(|tag| (*tag).to_owned());
            known.ok_or_else(|| {
                Failure::usage(
                    "the policy has no statement in this language",
                    format!("--lang is one of: {}", offered.join(", ")),
                )
            })?
        }
    };
    Ok((published, language))
}

fn print(context: &Context<'_>, form: TextForm, language: &str, text: &str) {
    let answer = match form {
        TextForm::Json => serde_json::from_str(text).unwrap_or(Value::Null),
        _ => json!({"language": language, "text": text}),
    };
    context.terminal.answer(&answer, |_| text.to_owned());
}

/// Whether the Markdown in a file is what the policy says now, but for the line that names its version: a
/// policy may change without changing what people are told.
fn check(
    context: &Context<'_>,
    published: &Published,
    language: &str,
    path: &Path,
) -> Result<(), Failure> {
    let there = input::read_statement(path)?;
    let now = publication::privacy_statement(published, language, TextForm::Markdown);
    let version = published.statement(language).version();
    // Up to the number: the same in every version.
    let named: String = version
        .chars()
        .take_while(|c| !c.is_ascii_digit())
        .collect();
    let lines = |text: &str| -> Vec<String> {
        let lines = text
            .trim_end()
            .lines()
            .map(|line| line.trim_end().to_owned());
        lines.filter(|line| !line.starts_with(&named)).collect()
    };
    let (there, now) = (lines(&there), lines(&now));
    let file = path.display();
    let Some(at) = (0..there.len().max(now.len())).find(|at| there.get(*at) != now.get(*at)) else {
        let answer = json!({"published": true, "language": language});
        context
            .terminal
            .answer(&answer, |_| format!("{file} is what the policy says"));
        return Ok(());
    };
    let shown = |lines: &[String]| lines.get(at).cloned().unwrap_or_else(|| "(nothing)".into());
    let mut failure = Failure::new(
        Exit::Failed,
        "not_published",
        format!("{file} is not what the policy says in `{language}`"),
        format!("publish it anew: vault-cli notice --lang {language} > FILE"),
    );
    failure.findings = vec![
        format!("line {}: the policy says: {}", at + 1, shown(&now)),
        format!("line {}: the file says:   {}", at + 1, shown(&there)),
    ];
    Err(failure)
}
