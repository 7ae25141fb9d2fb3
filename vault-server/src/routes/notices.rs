//! Notices: the one to show, and that it was shown.

use axum::extract::State;
use data_encoding::HEXLOWER;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::vault::{Desk, Notice, NoticeAbout, NoticeInput, NoticeShown};

use crate::asked::Asked;
use crate::call::Outcome;
use crate::code::Code;
use crate::incoming::Incoming;
use crate::operation::{Operation, parsed};
use crate::places::Class;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::statement;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

const CAPABILITY: &str = "notices.record";

/// A notice to show.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Notice)]
pub(crate) struct NoticeBody {
    /// The version, that of the policy in force.
    version: u32,
    /// The language of the text, BCP 47.
    lang: String,
    /// The languages that it can be had in.
    languages: Vec<String>,
    /// What Art. 13 asks for, as plain text.
    text: String,
    /// SHA-256 of the text in UTF-8, hexadecimal.
    sha256: String,
}

impl From<Notice> for NoticeBody {
    fn from(notice: Notice) -> Self {
        let Notice {
            version,
            language,
            languages,
            text,
            sha256,
        } = notice;
        Self {
            version,
            lang: language,
            languages,
            text,
            sha256: HEXLOWER.encode(&sha256),
        }
    }
}

/// A notice that a person was shown.
#[derive(ToSchema)]
#[schema(as = NoticeShownRequest)]
#[expect(
    dead_code,
    reason = "describes the wire; what is read is the core's `NoticeInput`"
)]
pub(crate) struct ShownRequest {
    /// `processing`, which is the default, or `restriction_lift`.
    about: Option<String>,
    /// The version that was shown; needed about processing.
    version: Option<u32>,
    /// The language that it was shown in.
    lang: String,
    /// Where it was shown.
    channel: Option<String>,
    /// SHA-256 of the text that was shown, hexadecimal.
    sha256: String,
    /// Whether the person said that they have read it.
    acknowledged: Option<bool>,
}

pub(crate) fn read_request(body: Value) -> Result<NoticeInput, Problem> {
    let known = [
        "about",
        "version",
        "lang",
        "channel",
        "sha256",
        "acknowledged",
    ];
    let mut shape = Shape::of(body, &known)?;
    let about = shape.optional_text("about");
    let about = about.map_or(Some(NoticeAbout::Processing), |text| {
        NoticeAbout::parse(&text)
    });
    if about.is_none() {
        let detail = "`processing` or `restriction_lift`";
        shape.refuse("about", "unknown_word", detail);
    }
    let text = shape.text("sha256");
    let sha256 = HEXLOWER.decode(text.as_bytes()).ok();
    let sha256: Option<[u8; 32]> = sha256.and_then(|bytes| bytes.try_into().ok());
    if sha256.is_none() && shape.finds_no_fault() {
        let detail = "64 hexadecimal digits in small letters";
        shape.refuse("sha256", "not_a_hash", detail);
    }
    let acknowledged = shape.has("acknowledged") && shape.flag("acknowledged");
    let input = NoticeInput {
        about: about.unwrap_or(NoticeAbout::Processing),
        version: shape.optional_number("version"),
        language: shape.text("lang"),
        channel: shape.optional_text("channel"),
        sha256: sha256.unwrap_or_default(),
        acknowledged,
    };
    shape.finish(input)
}

/// A notice that a person was shown.
#[derive(Serialize, ToSchema)]
#[schema(as = NoticeShown)]
pub(crate) struct ShownBody {
    /// `processing` or `restriction_lift`.
    about: &'static str,
    /// The version that was shown; null about anything but processing.
    version: Option<u32>,
    /// The language that it was shown in.
    lang: String,
    /// Where it was shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    /// SHA-256 of the text that was shown.
    sha256: String,
    /// Whether the person said that they have read it.
    acknowledged: bool,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// The choice below it that the person took, where the vault itself showed it in a conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<EvidenceBody>,
}

/// The choice below a notice that a person took.
#[derive(Serialize, ToSchema)]
#[schema(as = NoticeEvidence)]
pub(crate) struct EvidenceBody {
    /// The channel's name of the message with which they took it.
    message_id: String,
    /// The id of the choice.
    choice: String,
}

impl From<NoticeShown> for ShownBody {
    fn from(shown: NoticeShown) -> Self {
        Self {
            about: shown.about.name(),
            version: (shown.about == NoticeAbout::Processing).then_some(shown.version),
            lang: shown.language,
            channel: shown.channel,
            sha256: HEXLOWER.encode(&shown.sha256),
            acknowledged: shown.acknowledged,
            at: shown.at.to_string(),
            evidence: shown.evidence.map(|evidence| EvidenceBody {
                message_id: evidence.message,
                choice: evidence.choice,
            }),
        }
    }
}

/// Notices that a person was shown.
#[derive(Serialize, ToSchema)]
#[schema(as = NoticeList)]
pub(crate) struct ListBody {
    /// Each, oldest first.
    notices: Vec<ShownBody>,
}

/// The notice to show before data are taken down
///
/// What Art. 13 asks for, made from the policy in force, in one of the controller's languages: `lang`, else
/// `Accept-Language`. Needs no API key.
#[utoipa::path(get, path = urls::NOTICE, tag = "notices", operation_id = "current_notice", security(()),
    params(("lang" = Option<String>, Query, description = "A language of the controller's")),
    responses((status = 200, description = "The notice", body = NoticeBody)))]
pub(crate) async fn current(State(app): State<App>, incoming: Incoming) -> Outcome {
    let query = incoming.query(&["lang"])?;
    let asked = query.text("lang").map(str::to_owned);
    let header = incoming.accept_language.clone();
    let vault = app.vault().ok_or(Problem::new(Code::Locked))?;
    app.blocking(Class::Ordinary, move || {
        let published = vault.published()?;
        let language = statement::language(&published, asked.as_deref(), header.as_deref())?;
        let notice = vault.notice(Some(&language))?;
        let reply = Reply::json(200, &NoticeBody::from(notice));
        Ok(statement::negotiated(reply, &language))
    })
    .await
}

/// That a notice was shown to somebody who is no person of the vault yet.
#[derive(Serialize, ToSchema)]
#[schema(as = NoticeDelivery)]
pub(crate) struct DeliveryBody {
    /// To be given back with `POST /v1/subjects`, by the same API key. Holds nothing of anybody.
    delivery: String,
    /// Until when.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// Record a notice that was shown before there is a person
///
/// Nothing is stored: the answer stands for it, for 30 days and this API key alone. Given to `POST /v1/subjects` as
/// `notice`, it is recorded for the person who is made or found, as of when it was shown, and the gate is open for them
/// at once.
/// Capability `notices.record`.
#[utoipa::path(post, path = urls::NOTICE_DELIVERIES, tag = "notices", operation_id = "deliver_notice",
    request_body = ShownRequest,
    responses((status = 201, description = "What stands for it", body = DeliveryBody)))]
pub(crate) async fn deliver(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &DELIVER).await
}

/// Record a notice that was shown before there is a person.
pub(crate) static DELIVER: Operation = Operation {
    body: true,
    ..Operation::reading(do_deliver)
};

fn do_deliver(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let input = parsed(desk, CAPABILITY, read_request(asked.body.clone()))?;
    let made = desk.deliver_notice(&input)?;
    let body = DeliveryBody {
        delivery: made.delivery,
        expires_at: made.expires_at.to_string(),
    };
    Ok(Reply::json(201, &body))
}

/// Notices that a person was shown
///
/// Capability `notices.record`.
#[utoipa::path(get, path = urls::NOTICES, tag = "notices", operation_id = "list_notices",
    responses((status = 200, description = "The notices", body = ListBody)))]
pub(crate) async fn list(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &LIST).await
}

/// Notices that a person was shown.
pub(crate) static LIST: Operation = Operation::reading(do_list);

fn do_list(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    parsed(desk, CAPABILITY, asked.query(&[]))?;
    let shown = desk.list_notices(asked.subject())?;
    let notices = shown.into_iter().map(ShownBody::from).collect();
    Ok(Reply::json(200, &ListBody { notices }))
}

/// Record that a person was shown a notice
///
/// About processing, `version`, `lang` and `sha256` are those of `GET /v1/notices/current`: what was shown
/// has to be the text that the vault made. Capability `notices.record`.
#[utoipa::path(post, path = urls::NOTICES, tag = "notices", operation_id = "record_notice",
    request_body = ShownRequest,
    responses((status = 201, description = "Recorded", body = ShownBody)))]
pub(crate) async fn record(State(app): State<App>, incoming: Incoming) -> Outcome {
    app.operate(incoming, &RECORD).await
}

/// Record that a person was shown a notice.
pub(crate) static RECORD: Operation = Operation::changing(do_record);

fn do_record(desk: &mut Desk<'_, '_>, asked: &Asked) -> Outcome {
    let input = parsed(desk, CAPABILITY, read_request(asked.body.clone()))?;
    let shown = desk.record_notice(asked.subject(), &input)?;
    Ok(Reply::json(201, &ShownBody::from(shown)))
}
