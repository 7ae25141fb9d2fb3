//! Notices that were shown to a person: an append-only list, and whether the last still tells the truth.
//!
//! Knows the policy and who was told what; nothing of how a notice is shown.
//!
//! Source: GDPR Art. 5(2), 13, 18(3).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::commit::{Txn, View};
use crate::events::{self, Topic};
use crate::person::Person;
use crate::policy::{NoticeGate, Policy};
use crate::refusal::Refusal;
use crate::statement::Notice;

/// What a notice told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeAbout {
    /// How data are used (Art. 13).
    Processing,
    /// That a restriction is going to be lifted (Art. 18(3)).
    RestrictionLift,
}

impl NoticeAbout {
    /// The word of the HTTP API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::RestrictionLift => "restriction_lift",
        }
    }

    /// What `text` names.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Processing, Self::RestrictionLift];
        all.into_iter().find(|about| about.name() == text)
    }
}

/// A notice that was shown.
#[derive(Clone, Serialize, Deserialize)]
pub struct NoticeShown {
    /// What it told.
    pub about: NoticeAbout,
    /// The policy's version that it was made from; 0 where it is not about processing.
    pub version: u32,
    /// The language that it was shown in.
    pub language: String,
    /// Where it was shown.
    pub channel: Option<String>,
    /// SHA-256 of the text that was shown.
    pub sha256: [u8; 32],
    /// [`Policy::notice_material`] of that version; zeros where it is not about processing.
    pub material: [u8; 32],
    /// Whether the person said that they have read it.
    pub acknowledged: bool,
    /// When.
    pub at: Timestamp,
    /// By what it is known that the person saw it, where the vault itself showed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<ShownEvidence>,
}

/// The choice below a notice that a person took.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownEvidence {
    /// The channel's name of the message with which they took it.
    pub message: String,
    /// The id of the choice.
    pub choice: String,
}

/// Silent about what a channel calls a message.
impl std::fmt::Debug for ShownEvidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShownEvidence").finish_non_exhaustive()
    }
}

/// Silent about what somebody wrote.
impl std::fmt::Debug for NoticeShown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NoticeShown")
            .field("about", &self.about)
            .field("version", &self.version)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// Adds a notice that was shown.
pub(crate) fn append(
    txn: &mut Txn<'_>,
    person: &mut Person,
    shown: &NoticeShown,
) -> Result<(), Refusal> {
    events::append(txn, person, Topic::Notice, shown)
}

/// Every notice that was shown, oldest first.
pub(crate) fn history(view: &dyn View, person: &Person) -> Result<Vec<NoticeShown>, Refusal> {
    events::history(view, person, Topic::Notice)
}

/// The last that was shown about one thing.
pub(crate) fn last_about(
    view: &dyn View,
    person: &Person,
    about: NoticeAbout,
) -> Result<Option<NoticeShown>, Refusal> {
    let last: Option<NoticeShown> = events::last(view, person, Topic::Notice)?;
    match last {
        None => Ok(None),
        Some(last) if last.about == about => Ok(Some(last)),
        Some(_) => {
            let all = history(view, person)?;
            Ok(all.into_iter().rev().find(|shown| shown.about == about))
        }
    }
}

/// Whether a person has yet to be shown the notice that tells what the policy in force says.
pub(crate) fn waits(view: &dyn View, policy: &Policy, person: &Person) -> Result<bool, Refusal> {
    match gate(view, policy, person) {
        Err(Refusal::NoticeRequired(_) | Refusal::NoticeStale(_)) => Ok(true),
        gate => gate.map(|()| false),
    }
}

/// Whether data of the person may be collected: the policy asks for no notice, or one was shown that
/// tells what the policy in force says.
pub(crate) fn gate(view: &dyn View, policy: &Policy, person: &Person) -> Result<(), Refusal> {
    match policy.notice_gate() {
        NoticeGate::Off => return Ok(()),
        NoticeGate::BeforeWrite => {}
    }
    let last = last_about(view, person, NoticeAbout::Processing)?;
    match last {
        None => Err(Refusal::NoticeRequired(Box::new(Notice::of(policy, None)))),
        Some(shown) if shown.material != policy.notice_material() => {
            let notice = Notice::of(policy, Some(&shown.language));
            Err(Refusal::NoticeStale(Box::new(notice)))
        }
        Some(_) => Ok(()),
    }
}
