//! Deliveries: that a notice was shown to somebody who is no person of the vault yet.
//!
//! Nothing is stored of it, and nothing of anybody is in it: the bot keeps it while a conversation begins, and
//! gives it back with the person whom it makes. Sealed under a system key to the API key that recorded it, so
//! that nobody else's, and nothing made up, is taken for one. One may stand for several people, if the bot
//! shows them the same: it is the bot's word, as a notice that is recorded later is.
//!
//! Source: GDPR Art. 13(1).

use data_encoding::BASE64URL_NOPAD;
use jiff::{SignedDuration, Timestamp};

use super::call::{Context, Noted};
use super::notices::{self, NoticeInput};
use super::subjects;
use super::{Call, Vault, input};
use crate::commit::{Txn, View};
use crate::crypto::Location;
use crate::id::{SubjectId, TokenId};
use crate::limits::{DELIVERY_CHARACTERS_MAX, DELIVERY_DAYS};
use crate::notice::{self, NoticeAbout, NoticeShown};
use crate::person::DAMAGED;
use crate::policy::{Capability, Policy};
use crate::refusal::Refusal;

/// The number that stands for a table in the associated data of a delivery.
const DELIVERY: u8 = 0x88;

/// A notice that was shown before there is a person.
#[derive(Clone)]
pub struct NoticeDelivery {
    /// What is given back with the person.
    pub delivery: String,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Silent: whoever has it opens the gate with it.
impl std::fmt::Debug for NoticeDelivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NoticeDelivery")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

fn ends(shown: &NoticeShown) -> Timestamp {
    shown.at + SignedDuration::from_hours(24 * DELIVERY_DAYS)
}

fn refused(detail: &str) -> Refusal {
    let detail = format!(
        "{detail}: show the notice of `GET /v1/notices/current`, and take the delivery that `POST /v1/notices` \
         answers with this API key"
    );
    Refusal::Invalid(vec![input::error("/notice", "delivery", detail)])
}

/// Makes a delivery of what was shown.
pub(super) fn make(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    input: &NoticeInput,
) -> Result<NoticeDelivery, Refusal> {
    let principal = &context.principal;
    principal.require(policy, Capability::NoticesRecord)?;
    let denied = || Refusal::RoleDenied("an API key records what it has shown".into());
    let (token, _) = principal.key().ok_or_else(denied)?;
    if input.about != NoticeAbout::Processing {
        return Err(Refusal::Invalid(vec![input::error(
            "/about",
            "unknown_word",
            "before there is a person, `processing` alone",
        )]));
    }
    let shown = notices::shown(view, policy, input)?;
    of(view, token, &shown)
}

/// A delivery of what was shown, for this API key.
pub(super) fn of(
    view: &dyn View,
    token: TokenId,
    shown: &NoticeShown,
) -> Result<NoticeDelivery, Refusal> {
    let location = Location::row(view.vault(), DELIVERY, token.as_bytes());
    let bytes = serde_json::to_vec(shown).map_err(|_| DAMAGED)?;
    let sealed = view.system().system.seal(&location, &bytes);
    Ok(NoticeDelivery {
        delivery: BASE64URL_NOPAD.encode(&sealed.map_err(|_| DAMAGED)?),
        expires_at: ends(shown),
    })
}

/// What a delivery says was shown, if it still tells the truth.
fn open(
    view: &dyn View,
    policy: &Policy,
    context: &Context,
    delivery: &str,
) -> Result<NoticeShown, Refusal> {
    let opened = || {
        let (token, _) = context.principal.key()?;
        let short = delivery.len() <= DELIVERY_CHARACTERS_MAX;
        let sealed = short.then(|| BASE64URL_NOPAD.decode(delivery.as_bytes()))?;
        let location = Location::row(view.vault(), DELIVERY, token.as_bytes());
        let bytes = view.system().system.unseal(&location, &sealed.ok()?).ok()?;
        serde_json::from_slice::<NoticeShown>(&bytes).ok()
    };
    let shown =
        opened().ok_or_else(|| refused("this is no delivery of this vault to this API key"))?;
    if view.now() >= ends(&shown) {
        return Err(refused("this delivery is over"));
    }
    if shown.material != policy.notice_material() {
        return Err(refused(
            "this delivery is of a notice that tells the truth no more",
        ));
    }
    Ok(shown)
}

/// The person known as `user` on `channel`, made if there is none, who was shown this notice before.
pub(super) fn create(
    txn: &mut Txn<'_>,
    policy: &Policy,
    context: &Context,
    noted: &mut Noted,
    memory: &super::guard::Memory,
    (channel, user): (&str, &str),
    delivery: &str,
) -> Result<(SubjectId, bool), Refusal> {
    context
        .principal
        .require(policy, Capability::NoticesRecord)?;
    let found = subjects::known(txn, policy, context, noted, memory, channel, user)?;
    let shown = open(txn, policy, context, delivery)?;
    let (subject, created) = match found {
        Some(subject) => {
            subjects::came_back(txn, policy, context, subject)?;
            (subject, false)
        }
        None => subjects::create(txn, policy, context, noted, channel, user)?,
    };
    let mut person = context.person(txn, subject)?;
    noted.person(&person, txn.now());
    // The same again says nothing new.
    let known = notice::last_about(txn, &person, NoticeAbout::Processing)?;
    if known.is_none_or(|known| known.at < shown.at) {
        notice::append(txn, &mut person, &shown)?;
    }
    Ok((subject, created))
}

impl Vault {
    /// Says that a notice was shown to somebody of whom nothing is known yet.
    ///
    /// # Errors
    ///
    /// [`Refusal::Invalid`] for a version, language or text that there never was; [`Refusal::RoleDenied`].
    pub fn deliver_notice(
        &self,
        call: &Call<'_>,
        input: &NoticeInput,
    ) -> Result<NoticeDelivery, Refusal> {
        self.read(
            call,
            "notices.deliver",
            None,
            |snapshot, policy, context, _| make(snapshot, policy, context, input),
            |delivery| delivery,
        )
    }
}
