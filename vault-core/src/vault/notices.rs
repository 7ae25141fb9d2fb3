//! Calls about notices: which to show, and that one was shown.

use super::call::{Context, Noted};
use super::input::{self, check_text};
use super::{Call, Vault, admin};
use crate::commit::{Txn, View};
use crate::id::SubjectId;
use crate::limits::LABEL_BYTES_MAX;
use crate::notice::{self, NoticeAbout, NoticeShown};
use crate::policy::{Capability, Policy};
use crate::refusal::Refusal;
use crate::statement::Notice;

/// A notice that was shown, as the bot tells it.
#[derive(Clone)]
pub struct NoticeInput {
    /// What it told.
    pub about: NoticeAbout,
    /// The version that [`Notice`] carries; of no use for another notice.
    pub version: Option<u32>,
    /// The language that it was shown in.
    pub language: String,
    /// Where it was shown.
    pub channel: Option<String>,
    /// SHA-256 of the text that was shown.
    pub sha256: [u8; 32],
    /// Whether the person said that they have read it.
    pub acknowledged: bool,
}

/// Silent about what somebody wrote.
impl std::fmt::Debug for NoticeInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NoticeInput")
            .field("about", &self.about)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// What the notice was made from: its material, if the text is the one that was to be shown.
fn material(
    view: &dyn View,
    policy: &Policy,
    version: u32,
    language: &str,
    sha256: &[u8; 32],
) -> Result<[u8; 32], Refusal> {
    let wrong = |pointer: &str, code, detail: &str| {
        Refusal::Invalid(vec![input::error(pointer, code, detail)])
    };
    let older;
    let policy = match version {
        _ if version == policy.version() => policy,
        1.. if version < policy.version() => {
            older = admin::load_policy(view, version)?.0;
            &older
        }
        _ => {
            let detail = "there is no such version; `GET /v1/notices/current` names it";
            return Err(wrong("/version", "unknown_version", detail));
        }
    };
    let notice = Notice::of(policy, Some(language));
    if notice.language != language {
        let detail = "the notice is not to be had in this language";
        return Err(wrong("/lang", "unknown_language", detail));
    }
    if notice.sha256 != *sha256 {
        let detail = "this is not the text of that version in that language; show the text as it \
                      comes from `GET /v1/notices/current`, and send its `sha256`";
        return Err(wrong("/sha256", "another_text", detail));
    }
    Ok(policy.notice_material())
}

/// What was shown, if it is a notice that there was.
pub(super) fn shown(
    view: &dyn View,
    policy: &Policy,
    input: &NoticeInput,
) -> Result<NoticeShown, Refusal> {
    let mut errors = Vec::new();
    check_text(&mut errors, "/lang", &input.language, LABEL_BYTES_MAX);
    if let Some(channel) = &input.channel {
        check_text(&mut errors, "/channel", channel, LABEL_BYTES_MAX);
    }
    if !errors.is_empty() {
        return Err(Refusal::Invalid(errors));
    }
    let (version, material) = match (input.about, input.version) {
        (NoticeAbout::Processing, Some(version)) => {
            let (language, sha256) = (&input.language, &input.sha256);
            (version, material(view, policy, version, language, sha256)?)
        }
        (NoticeAbout::Processing, None) => {
            let detail = "the version that `GET /v1/notices/current` names";
            let error = input::error("/version", "required", detail);
            return Err(Refusal::Invalid(vec![error]));
        }
        (NoticeAbout::RestrictionLift, _) => (0, [0; 32]),
    };
    Ok(NoticeShown {
        about: input.about,
        version,
        language: input.language.clone(),
        channel: input.channel.clone(),
        sha256: input.sha256,
        material,
        acknowledged: input.acknowledged,
        at: view.now(),
        evidence: None,
    })
}

/// Records that a notice was shown.
pub(super) fn record(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    input: &NoticeInput,
) -> Result<NoticeShown, Refusal> {
    let capability = Capability::NoticesRecord;
    let mut person = context.admit(txn, policy, noted, subject, capability)?;
    let shown = shown(txn, policy, input)?;
    notice::append(txn, &mut person, &shown)?;
    Ok(shown)
}

/// Every notice that was shown to a person, oldest first.
pub(super) fn list(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
) -> Result<Vec<NoticeShown>, Refusal> {
    let capability = Capability::NoticesRecord;
    let person = context.admit(view, policy, noted, subject, capability)?;
    notice::history(view, &person)
}

impl Vault {
    /// The notice that is to be shown, in this language if there is one in it. Public, as the policy's
    /// statement is.
    ///
    /// # Errors
    ///
    /// Those of every read.
    pub fn notice(&self, language: Option<&str>) -> Result<Notice, Refusal> {
        let snapshot = self.snapshot()?;
        Ok(Notice::of(&*self.policy_of(&snapshot)?, language))
    }

    /// Records that a notice was shown to a person.
    ///
    /// # Errors
    ///
    /// [`Refusal::Invalid`] for a version, language or text that there never was;
    /// [`Refusal::NotFound`], [`Refusal::Erased`], [`Refusal::RoleDenied`].
    pub fn record_notice(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
        input: NoticeInput,
    ) -> Result<NoticeShown, Refusal> {
        let action = "notices.record";
        self.write(call, action, move |txn, policy, context, noted| {
            record(txn, policy, context, noted, subject, &input)
        })
    }

    /// Every notice that was shown to a person, oldest first.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotFound`], [`Refusal::Erased`], [`Refusal::RoleDenied`].
    pub fn list_notices(
        &self,
        call: &Call<'_>,
        subject: SubjectId,
    ) -> Result<Vec<NoticeShown>, Refusal> {
        self.read(
            call,
            "notices.read",
            Some(subject),
            |snapshot, policy, context, noted| list(snapshot, policy, context, noted, subject),
            |shown| shown,
        )
    }
}
