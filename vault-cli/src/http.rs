//! A small client of the vault's HTTP API, for the command line, the demonstration and the tests.
//!
//! Knows paths and status codes, not what they mean. Follows no redirect and uses no proxy: a token
//! goes to the server that was named, or nowhere.

use std::time::Duration;

use serde_json::Value;
use ureq::http::Request;
use zeroize::Zeroizing;

/// Longest answer read, in bytes: more than a page of 1,000 records has.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Longest wait for one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The answer is no JSON.
    #[error("the answer of {0} is not JSON")]
    Answer(String),
    /// Not `http://host:port`.
    #[error("a server address has the form http://host:port")]
    Address,
    /// No connection, or it broke.
    #[error("could not reach {url}")]
    Transport {
        /// Whom.
        url: String,
        /// Why.
        source: Box<ureq::Error>,
    },
}

/// An answer. No `Debug`: it may hold values.
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body; `null` where there is none.
    pub body: Value,
}

impl Reply {
    /// The problem's stable code, or the empty text.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// One server and one token; connections are kept.
pub struct Client {
    agent: ureq::Agent,
    url: String,
    bearer: Zeroizing<String>,
}

impl Client {
    /// A client of the server at `url`, such as `http://127.0.0.1:8200`.
    ///
    /// # Errors
    ///
    /// [`HttpError::Address`] where `url` is anything else.
    pub fn new(url: &str, token: &str) -> Result<Self, HttpError> {
        let url = url.trim_end_matches('/');
        let host = url.strip_prefix("http://").ok_or(HttpError::Address)?;
        let unusual = |c: char| !(c.is_ascii_alphanumeric() || ".:-[]_".contains(c));
        if host.is_empty() || host.contains(unusual) {
            return Err(HttpError::Address);
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(CALL_TIMEOUT))
            .build();
        Ok(Self {
            agent: ureq::Agent::new_with_config(config),
            url: url.to_owned(),
            bearer: Zeroizing::new(format!("Bearer {token}")),
        })
    }

    /// The server's address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes one call. Every HTTP status is an answer.
    ///
    /// # Errors
    ///
    /// Those of [`HttpError`], none of which repeats what was sent or answered.
    pub fn call(
        &self,
        method: &str,
        path: &str,
        purpose: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Reply, HttpError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("Accept", "application/json")
            .header("Authorization", self.bearer.as_str());
        if let Some(purpose) = purpose {
            request = request.header("Vault-Purpose", purpose);
        }
        let answer = match body {
            Some(body) => {
                let request = request
                    .header("Content-Type", "application/json")
                    .body(body.to_string())
                    .map_err(|_| HttpError::Address)?;
                self.agent.run(request)
            }
            None => {
                let request = request.body(()).map_err(|_| HttpError::Address)?;
                self.agent.run(request)
            }
        };
        let transport = |source| HttpError::Transport {
            url: self.url.clone(),
            source: Box::new(source),
        };
        let mut answer = answer.map_err(transport)?;
        let status = answer.status().as_u16();
        let bytes = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_vec()
            .map_err(transport)?;
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            // serde's text would quote the answer.
            serde_json::from_slice(&bytes).map_err(|_| HttpError::Answer(self.url.clone()))?
        };
        Ok(Reply { status, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_address_is_taken() {
        assert!(Client::new("http://127.0.0.1:8200/", "vk_x").is_ok());
        assert!(Client::new("http://[::1]:8200", "vk_x").is_ok());
        for wrong in [
            "",
            "127.0.0.1:8200",
            "https://vault.example.test",
            "http://",
            "http://user:word@host",
            "http://host/path",
            "http://ho st",
        ] {
            assert!(Client::new(wrong, "vk_x").is_err(), "{wrong}");
        }
    }
}
