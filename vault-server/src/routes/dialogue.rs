//! A conversation in which a person uses their rights, as a bot relays it.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::dialogue::Intent;
use vault_core::pickup::PATH;
use vault_core::refusal::Refusal;
use vault_core::vault::{AddressKind, CodeToSend, Message, TurnInput, TurnReply};

use crate::call::Outcome;
use crate::code::Code;
use crate::idempotency::Remember;
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

const CAPABILITY: &str = "dialogue.relay";
const MEMBERS: [&str; 9] = [
    "channel",
    "user",
    "conversation",
    "message_id",
    "text",
    "choice",
    "locale",
    "intent",
    "private",
];

/// A message of somebody: what they wrote, or the choice that they took.
#[derive(ToSchema)]
#[schema(as = TurnRequest)]
#[expect(
    dead_code,
    reason = "describes the wire; what is read is the core's `TurnInput`"
)]
pub(crate) struct TurnRequest {
    /// The channel.
    channel: String,
    /// Who wrote it there.
    user: String,
    /// Where on the channel, if they have several conversations there.
    conversation: Option<String>,
    /// The channel's name of the message: the same again is answered the same.
    message_id: String,
    /// What was written.
    text: Option<String>,
    /// The id of the choice that was taken, in the place of a text.
    choice: Option<String>,
    /// The language of the channel, BCP 47.
    locale: Option<String>,
    /// What the bot takes the text for. It is offered first and decides nothing.
    intent: Option<String>,
    /// Whether nobody else reads along.
    private: bool,
}

pub(crate) fn read_request(body: Value) -> Result<TurnInput, Problem> {
    let mut shape = Shape::of(body, &MEMBERS)?;
    let intent = shape.optional_text("intent");
    let known = intent.as_deref().and_then(Intent::parse);
    if intent.is_some() && known.is_none() && shape.finds_no_fault() {
        let names: Vec<_> = Intent::ALL.iter().map(|intent| intent.name()).collect();
        let detail = format!("one of {}", names.join(", "));
        shape.refuse("intent", "unknown_word", detail);
    }
    let input = TurnInput {
        channel: shape.text("channel"),
        user: shape.text("user"),
        conversation: shape.optional_text("conversation"),
        message: shape.text("message_id"),
        text: shape.optional_text("text"),
        choice: shape.optional_text("choice"),
        locale: shape.optional_text("locale"),
        intent: known,
        private: shape.flag("private"),
        sends: Vec::new(),
        links: false,
    };
    shape.finish(input)
}

/// A choice of a message.
#[derive(Serialize, ToSchema)]
#[schema(as = TurnChoice)]
struct ChoiceBody {
    /// What the bot sends as `choice` if the person takes it: random, and good until the next turn.
    id: String,
    /// What the person sees.
    label: String,
}

/// One message to the person.
#[derive(Serialize, ToSchema)]
#[schema(as = TurnMessage)]
struct MessageBody {
    /// Plain text.
    text: String,
    /// What there is to choose from.
    choices: Vec<ChoiceBody>,
    /// A path of this server, or an address, that belongs to it: the privacy statement, or the link to a copy, which
    /// whoever has it must not keep.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

/// What is expected next.
#[derive(Serialize, ToSchema)]
#[schema(as = TurnExpect)]
struct ExpectBody {
    /// `text`, `choice`, `code` or `none`.
    kind: &'static str,
    /// Whether a bot must neither log nor transcribe the person's next message.
    sensitive: bool,
}

/// What is answered to a turn.
#[derive(Serialize, ToSchema)]
#[schema(as = TurnReply)]
pub(crate) struct ReplyBody {
    /// Whether it is a matter of rights; if not, the bot goes on.
    handled: bool,
    /// Where the conversation stands. Until it is `idle`, `done` or `queued_human` every message is handled.
    state: &'static str,
    /// What the bot shows the person, in this order.
    messages: Vec<MessageBody>,
    /// What is expected next.
    expect: ExpectBody,
    /// The request that this is about, `req_…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// Until when it is answered, `YYYY-MM-DD`; absent once it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<String>,
    /// The language of the messages, BCP 47.
    language: String,
    /// Messages of this conversation that waited for the notice, by their `message_id`, the oldest first: the bot
    /// goes on with each as if it came now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    replay: Vec<String>,
    /// What stands for the notice that somebody was shown who is not known yet: `notice` of `POST /v1/subjects`.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<String>,
}

impl From<Message> for MessageBody {
    fn from(message: Message) -> Self {
        let Message {
            text,
            choices,
            link,
        } = message;
        let choices = choices.into_iter().map(|choice| ChoiceBody {
            id: choice.id,
            label: choice.label,
        });
        Self {
            text,
            choices: choices.collect(),
            link,
        }
    }
}

impl From<TurnReply> for ReplyBody {
    fn from(reply: TurnReply) -> Self {
        Self {
            handled: reply.handled,
            state: reply.state.name(),
            messages: reply.messages.into_iter().map(MessageBody::from).collect(),
            expect: ExpectBody {
                kind: reply.expect.kind.name(),
                sensitive: reply.expect.sensitive,
            },
            request_id: reply.request.map(|request| request.to_string()),
            due: reply.due,
            language: reply.language,
            replay: reply.replay,
            delivery: reply.delivery,
        }
    }
}

/// One turn of a conversation about rights
///
/// The bot relays what somebody wrote or chose, and shows what is answered. A message that is no matter of
/// rights is answered with `handled: false`. What the turn does to the person's data is done when it is
/// answered. The same `message_id` is answered the same until a quarter of an hour after the conversation's last
/// turn, if it is among its last 16 answers and these come to 64 KiB at most. Capability `dialogue.relay`, and no
/// other.
#[utoipa::path(post, path = urls::DIALOGUE_TURN, tag = "requests", operation_id = "dialogue_turn",
    request_body = TurnRequest,
    responses((status = 200, description = "What is answered", body = ReplyBody)))]
pub(crate) async fn turn(State(app): State<App>, incoming: Incoming) -> Outcome {
    let parsed = read_request(incoming.json()?);
    let serving = app.clone();
    app.right_post(incoming, Remember::Again, move |session| {
        let mut input = session.parsed(CAPABILITY, parsed)?;
        input.sends = sends(&serving);
        let base = serving.settings().public_url.as_deref();
        input.links = base.is_some();
        let turned = session.vault.dialogue_turn(&session.call(), &input);
        let mut turned = turned.map_err(named)?;
        send_codes(&serving, turned.codes);
        for message in &mut turned.reply.messages {
            // A person opens it elsewhere: a path of this server alone leads them nowhere.
            let link = message.link.as_deref();
            if let (Some(link), Some(base)) = (link.filter(|link| link.starts_with(PATH)), base) {
                message.link = Some(format!("{base}{link}"));
            }
        }
        Ok(Reply::json(200, &ReplyBody::from(turned.reply)))
    })
    .await
}

/// What is named twice here is a message, and no call.
fn named(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::IdempotencyMismatch => Problem::with_detail(
            Code::IdempotencyMismatch,
            "this `message_id` came before with another `text`, `choice`, `intent` or `private`: give each message of \
             the channel an id of its own",
        ),
        other => other.into(),
    }
}

/// The kinds of addresses that codes reach.
pub(crate) fn sends(app: &App) -> Vec<AddressKind> {
    let Some(codes) = &app.settings().codes else {
        return Vec::new();
    };
    let kinds = AddressKind::ALL.iter().copied();
    kinds.filter(|kind| codes.sends(*kind)).collect()
}

/// Hands codes to whoever sends them.
pub(crate) fn send_codes(app: &App, codes: Vec<CodeToSend>) {
    if let Some(sink) = &app.settings().codes {
        codes.into_iter().for_each(|code| sink.send(code));
    }
}
