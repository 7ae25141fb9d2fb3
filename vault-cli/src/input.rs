//! Files and standard input that are no secrets: policies and look-ups.
//!
//! Knows nothing of what they mean to the vault. Errors name the file, never what is in it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::Value;
use vault_core::limits::{NOTE_BYTES_MAX, REASON_BYTES_MAX};
use vault_core::policy::POLICY_BYTES_MAX;

use crate::failure::{Exit, Failure};

/// Longest look-up on standard input, in bytes.
const LOOKUP_BYTES_MAX: usize = 16 * 1024;

/// Longest receipt, in bytes: a body, an entry and at most 64 hashes take a tenth of it.
const RECEIPT_BYTES_MAX: usize = 1 << 20;
/// Longest published statement: that of a policy at all of its limits is shorter.
const STATEMENT_BYTES_MAX: usize = 16 << 20;

/// Longest file of certificates, in bytes: a bundle of all public authorities has a quarter of it.
const PEM_BYTES_MAX: usize = 1 << 20;

/// A person, by what a bot or an operator knows of them.
pub(crate) enum LookUp {
    /// By the identity that a channel gives.
    Channel {
        /// Such as `web`.
        channel: String,
        /// The channel's own id.
        user: String,
    },
    /// By a field with `lookup = true`.
    Field {
        /// `collection.field`.
        field: String,
        /// Its value.
        value: Value,
    },
}

impl LookUp {
    /// Reads `{"channel": …, "user": …}` or `{"field": …, "value": …}`.
    ///
    /// # Errors
    ///
    /// Usage, without a word of the text.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = || {
            Failure::usage(
                "this is no look-up",
                r#"give one JSON object on standard input: {"channel": "…", "user": "…"} or {"field": "collection.field", "value": …}"#,
            )
        };
        let Ok(Value::Object(mut members)) = serde_json::from_str(text) else {
            return Err(wrong());
        };
        let mut take = |name: &str| members.remove(name);
        let found = (take("channel"), take("user"), take("field"), take("value"));
        if !members.is_empty() {
            return Err(wrong());
        }
        match found {
            (Some(Value::String(channel)), Some(Value::String(user)), None, None) => {
                Ok(Self::Channel { channel, user })
            }
            (None, None, Some(Value::String(field)), Some(value)) => {
                Ok(Self::Field { field, value })
            }
            _ => Err(wrong()),
        }
    }
}

/// The policy in `path`; `-` is standard input.
pub(crate) fn read_policy(path: &Path) -> Result<String, Failure> {
    read_text(path, POLICY_BYTES_MAX)
}

/// A published statement, to be compared.
pub(crate) fn read_statement(path: &Path) -> Result<String, Failure> {
    read_text(path, STATEMENT_BYTES_MAX)
}

/// Somebody's words in a file, without the line end behind them; `-` is standard input.
pub(crate) fn read_words(path: &Path) -> Result<String, Failure> {
    Ok(read_text(path, REASON_BYTES_MAX + 2)?.trim_end().to_owned())
}

/// The look-up on standard input.
pub(crate) fn read_lookup() -> Result<LookUp, Failure> {
    LookUp::parse(&read_text(Path::new("-"), LOOKUP_BYTES_MAX)?)
}

/// The receipt in `path`, or the answer that holds it; `-` is standard input.
pub(crate) fn read_receipt(path: &Path) -> Result<String, Failure> {
    read_text(path, RECEIPT_BYTES_MAX)
}

/// The checkpoint or the log's key in `path`; `-` is standard input.
pub(crate) fn read_note(path: &Path) -> Result<String, Failure> {
    read_text(path, NOTE_BYTES_MAX)
}

/// Certificates in `path`.
pub(crate) fn read_pem(path: &Path) -> Result<Vec<u8>, Failure> {
    read_bytes(path, PEM_BYTES_MAX)
}

fn read_text(path: &Path, bytes_max: usize) -> Result<String, Failure> {
    String::from_utf8(read_bytes(path, bytes_max)?).map_err(|_| {
        Failure::new(
            Exit::Failed,
            "not_text",
            format!("{} is not UTF-8 text", path.display()),
            "check that this is the file you meant",
        )
    })
}

fn read_bytes(path: &Path, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let failed =
        |error: std::io::Error| Failure::io(format!("could not read {}", path.display()), &error);
    let mut bytes = Vec::new();
    let limit = bytes_max as u64 + 1;
    if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        File::open(path)
            .map_err(failed)?
            .take(limit)
            .read_to_end(&mut bytes)
    }
    .map_err(failed)?;
    if bytes.len() > bytes_max {
        return Err(Failure::new(
            Exit::Failed,
            "too_large",
            format!("{} has more than {bytes_max} bytes", path.display()),
            "check that this is the file you meant",
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_up_has_exactly_one_of_two_forms() {
        assert!(matches!(
            LookUp::parse(r#"{"channel":"web","user":"7"}"#),
            Ok(LookUp::Channel { .. })
        ));
        assert!(matches!(
            LookUp::parse(r#"{"field":"profile.email","value":"a@b.test"}"#),
            Ok(LookUp::Field { .. })
        ));
        for wrong in [
            "",
            "a@b.test",
            "[]",
            r#"{"channel":"web"}"#,
            r#"{"channel":"web","user":7}"#,
            r#"{"channel":"web","user":"a@b.test","field":"x","value":1}"#,
            r#"{"field":"x","value":"a@b.test","extra":1}"#,
        ] {
            let failure = LookUp::parse(wrong).err().unwrap();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(!failure.what.contains("a@b") && !failure.help.contains("a@b"));
        }
    }
}
