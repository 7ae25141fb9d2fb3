//! A small client of the vault's HTTP API, for the command line, the demonstration and the tests.
//!
//! Knows paths and status codes, not what they mean. Follows no redirect and uses no proxy: a token
//! goes to the server that was named, or nowhere.

mod address;
mod socket;

use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use ureq::http::Request;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};
use zeroize::Zeroizing;

use address::Address;

/// Longest answer read, in bytes: more than a page of 1,000 records has.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of an answer that are taken at a time.
const PART_BYTES: usize = 64 << 10;
/// Longest wait for one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Not `https://host:port`.
    #[error("a server address has the form https://host:port")]
    Address,
    /// The answer is no JSON.
    #[error("the answer of {0} is not JSON")]
    Answer(String),
    /// A file that should hold a certificate or a key does not.
    #[error("no {0} in PEM is in that file")]
    Pem(&'static str),
    /// A token would go over the network in clear.
    #[error("plain http is for this machine alone")]
    Plain,
    /// No connection, or it broke.
    #[error("could not reach {url}")]
    Transport {
        /// Whom.
        url: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// The server is not who it should be, or does not believe us.
    #[error("no trusted connection to {url}")]
    Untrusted {
        /// Whom.
        url: String,
        /// Why.
        source: Box<ureq::Error>,
    },
}

/// Whom to trust, and who we are, in PEM.
#[derive(Default)]
pub(crate) struct Tls {
    /// Who vouches for the server; the public ones that this program brings, where `None`.
    pub(crate) authorities: Option<Vec<u8>>,
    /// Our certificates and their key, for a server that asks for them.
    pub(crate) client: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
}

impl Tls {
    fn config(&self) -> Result<TlsConfig, HttpError> {
        let mut config = TlsConfig::builder();
        if let Some(pem) = &self.authorities {
            config = config.root_certs(RootCerts::new_with_certs(&certificates(pem)?));
        }
        if let Some((chain, key)) = &self.client {
            let key = PrivateKey::from_pem(key).map_err(|_| HttpError::Pem("private key"))?;
            let client = ClientCert::new_with_certs(&certificates(chain)?, key);
            config = config.client_cert(Some(client));
        }
        Ok(config.build())
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>, HttpError> {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem)
        .map(|found| found.map(|der| Certificate::from_der(&der).to_owned()))
        .collect();
    found
        .ok()
        .filter(|found| !found.is_empty())
        .ok_or(HttpError::Pem("certificate"))
}

/// An answer. No `Debug`: it may hold values.
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body; `null` where there is none, a text where it is plain text.
    pub body: Value,
}

impl Reply {
    /// The problem's stable code, or the empty text.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// Content to be sent as it is read.
pub(crate) struct Content<'a> {
    pub(crate) media_type: &'a str,
    pub(crate) size: u64,
    pub(crate) from: &'a mut dyn Read,
}

/// One server, by TCP, TLS or a Unix socket, and one token; connections are kept.
pub struct Client {
    agent: ureq::Agent,
    url: String,
    /// What requests are addressed to: the same, but for a socket, which has no address in HTTP.
    base: String,
    bearer: Zeroizing<String>,
}

impl Client {
    /// A client of the server at `url`, such as `http://127.0.0.1:8200`, with the public authorities
    /// where it is `https`.
    ///
    /// # Errors
    ///
    /// [`HttpError::Address`] where `url` is anything else, [`HttpError::Plain`] for `http` to
    /// another machine.
    pub fn new(url: &str, token: &str) -> Result<Self, HttpError> {
        Self::secured(url, token, &Tls::default())
    }

    /// [`Client::new`], where it is said whom to trust.
    ///
    /// # Errors
    ///
    /// Those, and [`HttpError::Pem`].
    pub(crate) fn secured(url: &str, token: &str, tls: &Tls) -> Result<Self, HttpError> {
        let Address(url) = url.parse()?;
        let config = config().tls_config(tls.config()?).build();
        Ok(Self {
            agent: ureq::Agent::new_with_config(config),
            base: url.clone(),
            url,
            bearer: bearer(token),
        })
    }

    /// A client of the server that listens on the socket at `path`. No file permission is enough for
    /// it: calls carry a token there too.
    pub(crate) fn over_socket(path: &Path, token: &str) -> Self {
        let (connector, resolver) = socket::parts(path);
        Self {
            agent: ureq::Agent::with_parts(config().build(), connector, resolver),
            url: path.display().to_string(),
            base: "http://localhost".into(),
            bearer: bearer(token),
        }
    }

    /// Carries another token from now on.
    pub(crate) fn bear(&mut self, token: &str) {
        self.bearer = bearer(token);
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
        self.call_within(CALL_TIMEOUT, method, path, purpose, body)
    }

    /// [`Client::call`] for what takes longer than a minute.
    ///
    /// # Errors
    ///
    /// Those.
    pub(crate) fn call_within(
        &self,
        wait: Duration,
        method: &str,
        path: &str,
        purpose: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Reply, HttpError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("Accept", "application/json")
            .header("Authorization", self.bearer.as_str());
        if let Some(purpose) = purpose {
            request = request.header("Vault-Purpose", purpose);
        }
        if body.is_some() {
            request = request.header("Content-Type", "application/json");
        }
        // What is sent may be a passphrase; the copy that JSON is made into goes when it has been sent.
        let text = body.map(|body| Zeroizing::new(body.to_string()));
        let answer = match &text {
            Some(text) => {
                let request = request
                    .body(text.as_str())
                    .map_err(|_| HttpError::Address)?;
                let request = self.agent.configure_request(request);
                self.agent.run(request.timeout_global(Some(wait)).build())
            }
            None => {
                let request = request.body(()).map_err(|_| HttpError::Address)?;
                let request = self.agent.configure_request(request);
                self.agent.run(request.timeout_global(Some(wait)).build())
            }
        };
        self.reply(answer.map_err(|error| self.transport(error))?)
    }

    fn transport(&self, source: ureq::Error) -> HttpError {
        let url = self.url.clone();
        let untrusted = matches!(source, ureq::Error::Rustls(_) | ureq::Error::Tls(_))
            || source.to_string().contains("certificate");
        let source = Box::new(source);
        match untrusted {
            true => HttpError::Untrusted { url, source },
            false => HttpError::Transport { url, source },
        }
    }

    /// Makes a call whose answer is taken part by part; an answer that is no success comes back whole.
    ///
    /// # Errors
    ///
    /// Those of [`Client::call`], and what `take` says, as [`HttpError::Transport`].
    pub(crate) fn fetch(
        &self,
        wait: Duration,
        path: &str,
        body: &Value,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Result<(), Reply>, HttpError> {
        let text = Zeroizing::new(body.to_string());
        let request = Request::builder()
            .method("POST")
            .uri(format!("{}{path}", self.base))
            .header("Authorization", self.bearer.as_str())
            .header("Content-Type", "application/json")
            .body(text.as_str())
            .map_err(|_| HttpError::Address)?;
        let request = self.agent.configure_request(request);
        let answer = self.agent.run(request.timeout_global(Some(wait)).build());
        let mut answer = answer.map_err(|error| self.transport(error))?;
        if answer.status().as_u16() != 200 {
            return Ok(Err(self.reply(answer)?));
        }
        let mut from = answer.body_mut().with_config().limit(u64::MAX).reader();
        let mut part = vec![0; PART_BYTES];
        loop {
            let read = from.read(&mut part).and_then(|read| {
                take(&part[..read])?;
                Ok(read)
            });
            match read {
                Ok(0) => return Ok(Ok(())),
                Ok(_) => {}
                Err(error) => return Err(self.transport(ureq::Error::Io(error))),
            }
        }
    }

    /// Sends content as it is read.
    ///
    /// # Errors
    ///
    /// Those of [`Client::call`].
    pub(crate) fn put(
        &self,
        wait: Duration,
        path: &str,
        purpose: Option<&str>,
        content: Content<'_>,
    ) -> Result<Reply, HttpError> {
        let mut from = content.from;
        let mut request = Request::builder()
            .method("PUT")
            .uri(format!("{}{path}", self.base))
            .header("Accept", "application/json")
            .header("Authorization", self.bearer.as_str())
            .header("Content-Type", content.media_type)
            .header("Content-Length", content.size.to_string());
        if let Some(purpose) = purpose {
            request = request.header("Vault-Purpose", purpose);
        }
        let body = ureq::SendBody::from_reader(&mut from);
        let request = request.body(body).map_err(|_| HttpError::Address)?;
        let request = self.agent.configure_request(request);
        let answer = self.agent.run(request.timeout_global(Some(wait)).build());
        self.reply(answer.map_err(|error| self.transport(error))?)
    }

    fn reply(&self, mut answer: ureq::http::Response<ureq::Body>) -> Result<Reply, HttpError> {
        let status = answer.status().as_u16();
        let plain = answer.body().mime_type() == Some("text/plain");
        let bytes = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_vec()
            .map_err(|error| self.transport(error))?;
        let body = if bytes.is_empty() {
            Value::Null
        } else if plain {
            let text = String::from_utf8(bytes);
            Value::String(text.map_err(|_| HttpError::Answer(self.url.clone()))?)
        } else {
            // serde's text would quote the answer.
            serde_json::from_slice(&bytes).map_err(|_| HttpError::Answer(self.url.clone()))?
        };
        Ok(Reply { status, body })
    }
}

fn bearer(token: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("Bearer {token}"))
}

fn config() -> ureq::config::ConfigBuilder<ureq::typestate::AgentScope> {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_connect(Some(CONNECT_TIMEOUT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_said_to_be_none() {
        for pem in [&b""[..], b"-----BEGIN NOTHING-----", b"\xff"] {
            let tls = Tls {
                authorities: Some(pem.to_vec()),
                client: None,
            };
            let refused = Client::secured("https://vault.example.test", "vk_x", &tls);
            assert!(matches!(refused, Err(HttpError::Pem("certificate"))));
        }
    }
}
