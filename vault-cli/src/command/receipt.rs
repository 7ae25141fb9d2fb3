//! `receipt verify|show`: the evidence of an erasure, read by whoever holds it.
//!
//! Verifying needs no vault and no secret: the document, and the log's public key from elsewhere.

use std::path::Path;

use serde_json::{Value, json};
use vault_core::audit::checkpoint::VerifierKey;
use vault_core::audit::hex;
use vault_core::audit::receipt::{self, Opened, Verified};

use super::{Context, status};
use crate::args::ReceiptCommand;
use crate::failure::{Exit, Failure};
use crate::input;

pub(super) fn run(context: &Context<'_>, command: &ReceiptCommand) -> Result<(), Failure> {
    match command {
        ReceiptCommand::Verify { file, key } => verify(context, file, key),
        ReceiptCommand::Show { receipt } => {
            let answer = context.backend()?.receipt(*receipt)?;
            context.terminal.answer(&answer, |_| {
                serde_json::to_string_pretty(&answer).unwrap_or_default()
            });
            Ok(())
        }
    }
}

fn verify(context: &Context<'_>, file: &Path, key: &str) -> Result<(), Failure> {
    let key = read_key(key)?;
    let text = input::read_receipt(file).map_err(unreadable)?;
    // serde's text would quote the document.
    let document: Value = serde_json::from_str(&text).map_err(|_| {
        Failure::usage(
            format!("{} is not JSON", file.display()),
            "give the document that the erasure answered with, whole and as it was",
        )
    })?;
    // An erasure answers with `{"receipt": {…}}`; whoever keeps the whole answer has a receipt too.
    let document = match document.get("receipt") {
        Some(inner) if inner.is_object() => inner,
        _ => &document,
    };
    let verified = receipt::verify(document, &key).map_err(|error| {
        Failure::caused(
            Exit::Damaged,
            "receipt_does_not_verify",
            &error,
            "compare it with the copy that was given out, and the key with `vault-cli audit key`",
        )
    })?;
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
fn read_key(text: &str) -> Result<VerifierKey, Failure> {
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
