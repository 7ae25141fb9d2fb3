//! What an operation is asked: the parts that a request of its own and an entry of a batch both have.
//!
//! Knows nothing of headers or sockets. There is no `Debug`: it holds a body.

use serde_json::Value;
use vault_core::id::{RecordId, SubjectId};

use crate::code::Code;
use crate::incoming::QueryMap;
use crate::problem::Problem;

/// The parts of one operation's request.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) purpose: Option<String>,
    /// A revision without quotes, or `*`.
    pub(crate) if_match: Option<String>,
    /// Null where the operation takes none.
    pub(crate) body: Value,
    pub(crate) parameters: Vec<(String, String)>,
    /// `None` for one that is not percent-encoded UTF-8.
    pub(crate) query: Option<Vec<(String, String)>>,
    /// Whose session the bearer says it is.
    pub(crate) session_subject: Option<SubjectId>,
}

/// The person that a text in a path names. One that is no id stands for a person who does not exist,
/// so that it takes the same way through the checks and comes out as the same 404. `self` is the
/// person of a session.
pub(crate) fn subject(text: &str, session_subject: Option<SubjectId>) -> SubjectId {
    match (text, session_subject) {
        ("self", Some(subject)) => subject,
        _ => text.parse().unwrap_or(SubjectId::from_bytes([0xff; 16])),
    }
}

/// The record that a text in a path names; as for [`subject`].
pub(crate) fn record(text: &str) -> RecordId {
    let nobodys = || RecordId::from_slice(&[0xff; RecordId::BYTES]).expect("the right length");
    text.parse().unwrap_or_else(|_| nobodys())
}

/// Demands a stated purpose; a session implies its own.
///
/// # Errors
///
/// 400 `purpose_missing`.
pub(crate) fn demand_purpose(
    purpose: Option<&str>,
    session_subject: Option<SubjectId>,
) -> Result<(), Problem> {
    match purpose {
        None if session_subject.is_some() => Ok(()),
        None | Some("") => Err(Problem::new(Code::PurposeMissing)),
        Some(_) => Ok(()),
    }
}

impl Asked {
    /// A parameter of the path.
    pub(crate) fn parameter(&self, name: &str) -> &str {
        let found = self.parameters.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, text)| text)
    }

    /// The person in the path.
    pub(crate) fn subject(&self) -> SubjectId {
        subject(self.parameter("s"), self.session_subject)
    }

    /// The person in the path, if the path has one.
    pub(crate) fn person(&self) -> Option<SubjectId> {
        let named = self.parameters.iter().any(|(name, _)| name == "s");
        named.then(|| self.subject())
    }

    /// The record in the path.
    pub(crate) fn record(&self) -> RecordId {
        record(self.parameter("r"))
    }

    /// The query; as for [`Incoming::query`](crate::incoming::Incoming::query).
    ///
    /// # Errors
    ///
    /// 422 `invalid`.
    pub(crate) fn query(&self, known: &[&str]) -> Result<QueryMap, Problem> {
        QueryMap::of(self.query.as_deref(), known)
    }
}
