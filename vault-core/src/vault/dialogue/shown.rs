//! Whether somebody was shown the notice, and that they were.

use super::super::{NoticeInput, delivery, notices};
use super::act::Actor;
use super::strangers::Stranger;
use super::tell::notice_in;
use crate::commit::View;
use crate::notice::{self, NoticeAbout};
use crate::person::Person;
use crate::policy::{NoticeGate, Policy};
use crate::refusal::Refusal;
use crate::statement::Notice;

/// Whether somebody has yet to be shown the notice.
pub(super) fn waits(
    view: &dyn View,
    policy: &Policy,
    person: Option<&Person>,
    stranger: Option<&Stranger>,
) -> Result<bool, Refusal> {
    match person {
        Some(person) => notice::waits(view, policy, person),
        None => Ok(policy.notice_gate() == NoticeGate::BeforeWrite
            && stranger.and_then(|one| one.noticed) != Some(policy.notice_material())),
    }
}

impl Actor<'_, '_> {
    /// The notice was shown: to the person, as a bot says it of one that it showed itself; or to somebody of whom
    /// nothing is kept, so that the bot keeps what stands for it.
    pub(super) fn noticed(&mut self) -> Result<(), Refusal> {
        let Notice {
            version,
            language,
            sha256,
            ..
        } = notice_in(self.policy, self.talk.language());
        let input = NoticeInput {
            about: NoticeAbout::Processing,
            version: Some(version),
            language,
            channel: Some(self.said.channel.clone()),
            sha256,
            acknowledged: false,
        };
        let mut shown = notices::shown(self.txn, self.policy, &input)?;
        shown.evidence.clone_from(&self.said.evidence);
        if self.person.is_some() {
            return self.with(|txn, _, _, person| notice::append(txn, person, &shown));
        }
        if let Some((token, _)) = self.relay.principal.key() {
            let delivery = delivery::of(self.txn, token, &shown)?;
            self.outcome.delivery = Some(delivery.delivery);
        }
        Ok(())
    }
}
