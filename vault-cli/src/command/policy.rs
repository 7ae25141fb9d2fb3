//! `policy check|apply|show|diff`.
//!
//! A file is checked before the vault is opened: a typing error needs no passphrase.

use std::path::Path;

use serde_json::{Value, json};
use vault_core::policy::{Draft, Policy, diff, show};

use super::{Context, cell};
use crate::args::PolicyCommand;
use crate::failure::{Exit, Failure};
use crate::input;
use crate::terminal::{Column, Table, Tone};

pub(super) fn run(context: &Context<'_>, command: &PolicyCommand) -> Result<(), Failure> {
    let terminal = context.terminal;
    match command {
        PolicyCommand::Check { file } => {
            let policy = read(file)?;
            let answer = json!({
                "ok": true,
                "collections": policy.collections().len(),
                "purposes": policy.purposes().len(),
            });
            terminal.answer(&answer, |_| {
                format!("{} passes every check", file.display())
            });
        }
        PolicyCommand::Apply { file } => {
            let policy = read(file)?;
            let dry_run = context.globals.dry_run;
            let answer = context.backend()?.apply_policy(policy.source(), dry_run)?;
            terminal.answer(&answer, |_| {
                let verb = if dry_run { "would be" } else { "is" };
                let heading = format!("version {} {verb} in force", answer["version"]);
                format!("{heading}\n{}", changes(&answer["changes"]))
            });
        }
        PolicyCommand::Show { versions: true, .. } => {
            let answer = context.backend()?.policy_versions()?;
            terminal.answer(&answer, |terminal| {
                let mut table = Table::new(vec![Column::name("version"), Column::name("applied")]);
                for version in answer["versions"].as_array().into_iter().flatten() {
                    let cells = [cell(&version["version"]), cell(&version["applied_at"])];
                    table.push(cells.map(|text| (text, Tone::Plain)).into());
                }
                terminal.table(&table)
            });
        }
        PolicyCommand::Show {
            file: Some(file), ..
        } => {
            let policy = read(file)?;
            let answer = json!({"source": policy.source(), "effective": show(&policy)});
            terminal.answer(&answer, |_| show(&policy));
        }
        PolicyCommand::Show { file: None, .. } => {
            let mut answer = context.backend()?.policy()?;
            let policy = in_force(&answer)?;
            answer["effective"] = json!(show(&policy));
            terminal.answer(&answer, |_| show(&policy));
        }
        PolicyCommand::Diff { file } => {
            let source = input::read_policy(file)?;
            let draft = Draft::parse(&source).map_err(refused)?;
            let old = in_force(&context.backend()?.policy()?)?;
            let new = draft
                .assign(Some(&old), old.version().saturating_add(1))
                .map_err(refused)?;
            let answer = json!({"version": old.version(), "changes": diff(&old, &new)});
            terminal.answer(&answer, |_| changes(&answer["changes"]));
        }
    }
    Ok(())
}

/// The policy in a file, as if it were the first.
pub(super) fn read(file: &Path) -> Result<Policy, Failure> {
    check(&input::read_policy(file)?)
}

/// The policy in `source`, as if it were the first.
pub(super) fn check(source: &str) -> Result<Policy, Failure> {
    Draft::parse(source)
        .and_then(|draft| draft.assign(None, 1))
        .map_err(refused)
}

fn refused(findings: Vec<vault_core::policy::Finding>) -> Failure {
    Failure::policy(findings.iter().map(ToString::to_string).collect())
}

/// The vault's policy, from its source; numbers are not shown, so they need not be the vault's.
pub(super) fn in_force(answer: &Value) -> Result<Policy, Failure> {
    let source = answer["source"].as_str().unwrap_or_default();
    let version = answer["version"].as_u64();
    let version = version.and_then(|number| u32::try_from(number).ok());
    Draft::parse(source)
        .and_then(|draft| draft.assign(None, version.unwrap_or(1)))
        .map_err(|_| {
            Failure::new(
                Exit::Failed,
                "internal",
                "the policy in force does not pass the check of this program",
                "use the vault-cli of the server's version",
            )
        })
}

fn changes(list: &Value) -> String {
    let lines: Vec<_> = list.as_array().into_iter().flatten().map(cell).collect();
    if lines.is_empty() {
        "nothing changes".to_owned()
    } else {
        lines.join("\n")
    }
}
