//! `receipt verify|show`: the evidence of an erasure, read by whoever holds it.
//!
//! Verifying needs no vault and no secret: the document, and the log's public key from elsewhere.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::{Value, json};
use vault_core::audit::checkpoint::VerifierKey;
use vault_core::audit::hex;
use vault_core::audit::receipt::{self, Opened, ReceiptError, Verified};
use vault_server::receipt_page;

use super::{Context, status};
use crate::args::{ReceiptCommand, ReceiptSource};
use crate::failure::{Exit, Failure};
use crate::input;

pub(super) fn run(context: &Context<'_>, command: &ReceiptCommand) -> Result<(), Failure> {
    match command {
        ReceiptCommand::Verify { file, key } => verify(context, file, key),
        ReceiptCommand::Show { receipt, html, key } => {
            show(context, receipt, html.as_deref(), key.as_deref())
        }
    }
}

fn show(
    context: &Context<'_>,
    source: &ReceiptSource,
    html: Option<&Path>,
    key: Option<&str>,
) -> Result<(), Failure> {
    let mut key = key.map(read_key).transpose()?;
    let mut status = None;
    let document = match source {
        ReceiptSource::File(file) => {
            let document = read(file)?;
            if let Some(key) = &key {
                check(&document, key)?;
            }
            document
        }
        ReceiptSource::Vault(receipt) => {
            let backend = context.backend()?;
            let mut document = backend.receipt(*receipt)?;
            if html.is_some() {
                status = document
                    .as_object_mut()
                    .and_then(|all| all.remove("status"));
            }
            if key.is_none() && html.is_some() {
                key = VerifierKey::parse(&backend.log_key()?).ok();
            }
            document
        }
    };
    let Some(out) = html else {
        context.terminal.answer(&document, |_| {
            serde_json::to_string_pretty(&document).unwrap_or_default()
        });
        return Ok(());
    };
    let file = out.display().to_string();
    if context.globals.dry_run {
        let answer = json!({"would_write": {"file": file}});
        context
            .terminal
            .answer(&answer, |_| format!("would write {file}"));
        return Ok(());
    }
    let key = key.map(|key| key.to_string());
    let page = receipt_page(&document, key.as_deref(), status.as_ref());
    // It may name the person: for its owner, and never over another file.
    let written = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(out)
        .and_then(|mut file| file.write_all(page.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::new(
            Exit::Failed,
            "exists",
            format!("{file} exists already"),
            "name a file that does not exist yet; nothing was changed",
        ),
        _ => Failure::io(format!("could not write {file}"), &error),
    })?;
    context
        .terminal
        .answer(&json!({"file": file}), |_| format!("a page in {file}"));
    Ok(())
}

/// The receipt in a file.
fn read(file: &Path) -> Result<Value, Failure> {
    let text = input::read_receipt(file).map_err(unreadable)?;
    // serde's text would quote the document.
    let mut document: Value = serde_json::from_str(&text).map_err(|_| {
        Failure::usage(
            format!("{} is not JSON", file.display()),
            "give the document that the erasure answered with, whole and as it was",
        )
    })?;
    // What `receipt show` and the API put beside a receipt is not proved by it, and changes.
    if let Some(members) = document.as_object_mut()
        && members.contains_key("body")
    {
        members.remove("status");
    }
    // An erasure answers with `{"receipt": {…}}`; whoever keeps the whole answer has a receipt too.
    Ok(match document.get("receipt") {
        Some(inner) if inner.is_object() => inner.clone(),
        _ => document,
    })
}

/// Whether it stands.
fn check(document: &Value, key: &VerifierKey) -> Result<Verified, Failure> {
    receipt::verify(document, key).map_err(|error| {
        if let ReceiptError::OtherKey { needs } = &error {
            return Failure::new(
                Exit::Usage,
                "receipt_needs_another_key",
                format!("the receipt does not verify by this key: it needs the key {needs}"),
                "the log has had several keys: take the one that begins so from where you kept it, or from \
                 `GET /v1/log/key` as JSON, which lists them with notes that lead from each to the next",
            );
        }
        Failure::caused(
            Exit::Damaged,
            "receipt_does_not_verify",
            &error,
            "compare it with the copy that was given out, and the key with `vault-cli audit key`",
        )
    })
}

fn verify(context: &Context<'_>, file: &Path, key: &str) -> Result<(), Failure> {
    let key = read_key(key)?;
    let document = read(file)?;
    let verified = check(&document, &key)?;
    let answer = proved(&verified, &document["body"]);
    context.terminal.answer(&answer, |terminal| {
        format!(
            "the receipt stands\n{}",
            terminal.table(&status::members(&answer))
        )
    });
    Ok(())
}

/// What is shown by the receipt, and nothing of it that is not.
fn proved(verified: &Verified, body: &Value) -> Value {
    let mut answer = json!({
        "receipt": verified.receipt.to_string(),
        "vault": body["vault"],
        "scope": body["scope"],
        "time": verified.time,
        "erasure_horizon": verified.erasure_horizon,
        "index": verified.index,
    });
    match verified.opened {
        Some(Opened::Subject(subject)) => answer["subject"] = json!(subject.to_string()),
        Some(Opened::Records(digest)) => {
            answer["records"] = body["records"].clone();
            answer["records_sha256"] = json!(hex(&digest));
        }
        // A body alone says what was destroyed, and not whose it was.
        _ => answer["opened"] = json!(false),
    }
    answer
}

/// The key itself, or what is in the file of that name.
pub(super) fn read_key(text: &str) -> Result<VerifierKey, Failure> {
    if let Ok(key) = VerifierKey::parse(text) {
        return Ok(key);
    }
    let found = input::read_note(Path::new(text)).map_err(unreadable)?;
    VerifierKey::parse(&found).map_err(|error| {
        Failure::usage(
            format!("--key: {error}"),
            "give what `vault-cli audit key` prints, or the name of a file that holds it",
        )
    })
}

/// Exit 2 for what could not be read, so that 5 says of a receipt that it is wrong and nothing else.
fn unreadable(failure: Failure) -> Failure {
    Failure {
        exit: Exit::Usage,
        ..failure
    }
}
