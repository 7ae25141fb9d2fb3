//! A vault behind a server, called with an API key.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use vault_core::id::{DecisionId, EmergencyId, SubjectId};
use vault_core::limits::PAGE_RECORDS_MAX;
use vault_core::vault::{DecisionFilter, DecisionState};
use vault_server::urls;

use super::{BlobOf, Caller, Packed};
use crate::backend::{SOCKET, refused};
use crate::failure::{Exit, Failure};
use crate::http::{Client, Content, Reply, Tls};
use crate::secret::read_file;

/// Longest wait for a package, and for a batch of lines.
const LONG_WAIT: Duration = Duration::from_secs(24 * 3600);
/// Waits for a server that has too much to do, before this gives up.
const TRIES: u32 = 60;

/// A server, and the token of a role.
pub(crate) struct Remote(Client);

pub(crate) fn token(path: &Path) -> Result<zeroize::Zeroizing<String>, Failure> {
    let token = read_file(path)?;
    if (token.starts_with("vk_") || token.starts_with("vs_"))
        && token.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Ok(token);
    }
    Err(Failure::new(
        Exit::Locked,
        "unauthenticated",
        format!("{} holds no token", path.display()),
        "a token file has one line that begins with vk_, as `vault-cli token create` prints it",
    ))
}

impl Remote {
    /// The server at `url`.
    pub(crate) fn new(url: &str, token: &str, tls: &Tls) -> Result<Self, Failure> {
        Ok(Self(Client::secured(url, token, tls)?))
    }

    /// The server that holds `dir`, over its socket.
    pub(crate) fn through(dir: &Path, token: &str) -> Self {
        Self(Client::over_socket(&dir.join(SOCKET), token))
    }

    /// Makes a call without a body.
    fn asked(&self, method: &str, path: &str) -> Result<Value, Failure> {
        let reply = self.0.call(method, path, None, None)?;
        match reply.status {
            200 => Ok(reply.body),
            _ => Err(refused(&reply)),
        }
    }

    /// Makes a call, again after a while where the server has too much to do.
    fn patient(&self, path: &str, body: &Value) -> Result<Reply, Failure> {
        for _ in 1..TRIES {
            let reply = self
                .0
                .call_within(LONG_WAIT, "POST", path, None, Some(body))?;
            match (reply.status, reply.code()) {
                (429, _) | (503, "overloaded") => std::thread::sleep(Duration::from_secs(1)),
                _ => return Ok(reply),
            }
        }
        Ok(self
            .0
            .call_within(LONG_WAIT, "POST", path, None, Some(body))?)
    }
}

impl Caller for Remote {
    fn vault(&self) -> Result<String, Failure> {
        let reply = self.0.call("GET", urls::STATUS, None, None)?;
        match (reply.status, reply.body["vault"].as_str()) {
            (200, Some(vault)) => Ok(vault.to_owned()),
            _ => Err(refused(&reply)),
        }
    }

    fn export(
        &self,
        subject: SubjectId,
        wanted: &Value,
        to: &mut dyn Write,
    ) -> Result<Packed, Failure> {
        let path = urls::at(urls::SUBJECT_EXPORT, &[&subject]);
        let mut bytes = 0;
        let reply = self.0.fetch(LONG_WAIT, &path, wanted, &mut |part| {
            bytes += part.len() as u64;
            to.write_all(part)
        })?;
        match reply {
            Ok(()) => Ok(Packed {
                bytes,
                complete: None,
            }),
            Err(reply) => Err(refused(&reply)),
        }
    }

    fn import(&self, batch: &Value) -> Result<Value, Failure> {
        let reply = self.patient(urls::IMPORT, batch)?;
        match reply.status {
            200 => Ok(reply.body),
            _ => Err(refused(&reply)),
        }
    }

    fn put_blob(&self, of: &BlobOf<'_>, content: &mut dyn Read) -> Result<(), Failure> {
        let path = match of.record {
            Some(record) => urls::at(
                urls::BLOB_OF_RECORD,
                &[&of.subject, &of.collection, &record, &of.field],
            ),
            None => urls::at(urls::BLOB, &[&of.subject, &of.collection, &of.field]),
        };
        let content = Content {
            media_type: of.media_type,
            size: of.size,
            from: content,
        };
        let reply = self.0.put(LONG_WAIT, &path, of.purpose, content)?;
        match reply.status {
            200..300 => Ok(()),
            _ => Err(refused(&reply)),
        }
    }

    fn turn(&self, turn: &Value) -> Result<Value, Failure> {
        let reply = self.0.call("POST", urls::DIALOGUE_TURN, None, Some(turn))?;
        match reply.status {
            200 => Ok(reply.body),
            _ => Err(refused(&reply)),
        }
    }

    fn url(&self) -> Option<&str> {
        Some(self.0.url())
    }

    fn emergencies(&self, subject: SubjectId) -> Result<Value, Failure> {
        let path = urls::at(urls::EMERGENCIES, &[&subject]);
        self.asked("GET", &path)
    }

    fn decisions(&self, filter: &DecisionFilter, cursor: Option<&str>) -> Result<Value, Failure> {
        let mut path = format!("{}?limit={PAGE_RECORDS_MAX}", urls::DECISIONS);
        let state = filter.state.map(DecisionState::name);
        let parts = [
            ("kind", filter.kind.as_deref()),
            ("state", state),
            ("overdue", filter.overdue.then_some("true")),
            ("cursor", cursor),
        ];
        for (name, value) in parts {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={value}"));
            }
        }
        self.asked("GET", &path)
    }

    fn decision(&self, decision: DecisionId) -> Result<Value, Failure> {
        self.asked("GET", &urls::at(urls::DECISION, &[&decision]))
    }

    fn step_decision(
        &self,
        decision: DecisionId,
        step: &str,
        body: &Value,
    ) -> Result<Value, Failure> {
        let path = urls::at(urls::DECISION_STEP, &[&decision, &step]);
        let reply = self.0.call("POST", &path, None, Some(body))?;
        match reply.status {
            200 => Ok(reply.body),
            _ => Err(refused(&reply)),
        }
    }

    fn decide_emergency(
        &self,
        subject: SubjectId,
        emergency: EmergencyId,
        approve: bool,
    ) -> Result<Value, Failure> {
        let route = match approve {
            true => urls::EMERGENCY_APPROVE,
            false => urls::EMERGENCY_REFUSE,
        };
        self.asked("POST", &urls::at(route, &[&subject, &emergency]))
    }
}
