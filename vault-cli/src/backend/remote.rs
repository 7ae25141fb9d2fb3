//! A vault behind a server, with a token.
//!
//! Knows the admin part of the HTTP API. A refusal there becomes the failure that the directory
//! would have given.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};
use vault_core::id::{SubjectId, TokenId};
use vault_server::urls;

use super::Backend;
use crate::failure::{Exit, Failure};
use crate::http::{Client, HttpError, Reply};
use crate::input::LookUp;
use crate::secret::{SecretKind, SecretText, read_file};

/// A server and a token.
pub(crate) struct Remote(Client);

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        match &error {
            HttpError::Address => Self::usage(
                error.to_string(),
                "for a server elsewhere, forward its port: ssh -L 8200:127.0.0.1:8200 HOST",
            ),
            HttpError::Answer(_) => Self::new(
                Exit::Failed,
                "not_a_vault",
                error.to_string(),
                "check that the address is that of a vault's server",
            ),
            HttpError::Transport { .. } => Self::caused(
                Exit::Failed,
                "unreachable",
                &error,
                "check the address, and that `vault-cli serve` runs there",
            ),
        }
    }
}

impl Remote {
    /// Reads the token; connects at the first call.
    pub(crate) fn new(url: &str, token_file: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = token_file else {
            return Err(Failure::usage(
                "no token is given for the server",
                "name a file that holds it with --token-file FILE",
            ));
        };
        let token = read_file(path)?;
        if !token.starts_with("vk_") || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::new(
                Exit::Locked,
                "unauthenticated",
                format!("{} holds no token", path.display()),
                "a token file has one line that begins with vk_, as `vault-cli token create` prints it",
            ));
        }
        Ok(Self(Client::new(url, &token)?))
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let reply = self.0.call(method, path, None, body)?;
        if (200..300).contains(&reply.status) {
            return Ok(reply.body);
        }
        Err(refused(&reply))
    }
}

/// The failure that a problem document stands for. Its `detail` names fields and limits, never
/// a value: the server promises that.
fn refused(reply: &Reply) -> Failure {
    let text = |name: &str| reply.body[name].as_str();
    let code = text("code").unwrap_or("internal");
    let what = text("detail").or(text("title")).map_or_else(
        || format!("the server answered with status {}", reply.status),
        ToOwned::to_owned,
    );
    let mut failure = Failure::of_code(code, what);
    let errors = reply.body["errors"].as_array();
    failure.findings = errors
        .into_iter()
        .flatten()
        .filter_map(|error| {
            let detail = error["detail"].as_str()?;
            Some(match error["pointer"].as_str() {
                Some(pointer) if !pointer.is_empty() => format!("{pointer}: {detail}"),
                _ => detail.to_owned(),
            })
        })
        .chain(text("receipt").map(|receipt| format!("receipt {receipt}")))
        .collect();
    failure
}

impl Backend for Remote {
    fn status(&self) -> Result<Value, Failure> {
        self.send("GET", urls::STATUS, None)
    }

    fn policy(&self) -> Result<Value, Failure> {
        self.send("GET", urls::POLICY, None)
    }

    fn policy_versions(&self) -> Result<Value, Failure> {
        self.send("GET", urls::POLICY_VERSIONS, None)
    }

    fn apply_policy(&self, source: &str, dry_run: bool) -> Result<Value, Failure> {
        let query = if dry_run { "?dry_run=true" } else { "" };
        let path = format!("{}{query}", urls::POLICY);
        self.send("PUT", &path, Some(&json!({"source": source})))
    }

    fn tokens(&self) -> Result<Value, Failure> {
        self.send("GET", urls::API_KEYS, None)
    }

    fn create_token(&self, role: &str, expires_at: Option<Timestamp>) -> Result<Value, Failure> {
        let mut body = json!({"role": role});
        if let Some(instant) = expires_at {
            body["expires_at"] = json!(instant.to_string());
        }
        self.send("POST", urls::API_KEYS, Some(&body))
    }

    fn revoke_token(&self, token: TokenId) -> Result<(), Failure> {
        self.send("DELETE", &urls::at(urls::API_KEY, &[&token]), None)
            .map(drop)
    }

    fn slots(&self) -> Result<Value, Failure> {
        self.send("GET", urls::KEY_SLOTS, None)
    }

    fn add_slot(&self, passphrase: Option<&SecretText>, label: &str) -> Result<Value, Failure> {
        let body = match passphrase {
            Some(secret) => {
                json!({"kind": "passphrase", "passphrase": *secret.text, "label": label})
            }
            None => json!({"kind": "recovery_key", "label": label}),
        };
        self.send("POST", urls::KEY_SLOTS, Some(&body))
    }

    fn remove_slot(&self, number: u8) -> Result<(), Failure> {
        self.send("DELETE", &urls::at(urls::KEY_SLOT, &[&number]), None)
            .map(drop)
    }

    fn test_slot(&self, secret: &SecretText) -> Result<Value, Failure> {
        let body = match secret.kind {
            SecretKind::Passphrase => json!({"passphrase": *secret.text}),
            SecretKind::RecoveryKey => json!({"recovery_key": secret.text.trim()}),
        };
        self.send("POST", urls::KEY_SLOT_TEST, Some(&body))
    }

    fn lookup(&self, lookup: &LookUp) -> Result<Value, Failure> {
        let body = match lookup {
            LookUp::Channel { channel, user } => json!({"channel": channel, "user": user}),
            LookUp::Field { field, value } => json!({"field": field, "value": value}),
        };
        self.send("POST", urls::LOOKUP, Some(&body))
    }

    fn view(&self, subject: SubjectId) -> Result<Value, Failure> {
        self.send("GET", &urls::at(urls::SUBJECT, &[&subject]), None)
    }

    fn erase(&self, subject: SubjectId) -> Result<Value, Failure> {
        self.send("DELETE", &urls::at(urls::SUBJECT, &[&subject]), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_keeps_its_code_and_gets_its_exit_and_way_out() {
        for (status, code, exit) in [
            (401, "unauthenticated", Exit::Locked),
            (403, "role_denied", Exit::Refused),
            (503, "locked", Exit::Locked),
            (404, "not_found", Exit::Failed),
            (500, "something_new", Exit::Failed),
        ] {
            let body = json!({"code": code, "title": "t", "detail": "d",
                "errors": [{"pointer": "/a", "code": "c", "detail": "expected a date"}]});
            let failure = refused(&Reply { status, body });
            assert_eq!((failure.code.as_str(), failure.exit), (code, exit));
            assert_eq!(failure.findings, ["/a: expected a date"]);
            assert!(!failure.help.is_empty());
        }
        let odd = refused(&Reply {
            status: 502,
            body: Value::Null,
        });
        assert!(odd.what.contains("502"));
    }
}
