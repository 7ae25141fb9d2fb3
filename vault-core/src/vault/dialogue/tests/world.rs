//! A vault with a bot, somebody who deals with requests, and people who chat.

use std::sync::Arc;

use serde_json::json;

use crate::dialogue::{Intent, Language, recognise};
use crate::policy::{HoldGround, SAMPLE};
use crate::refusal::Refusal;
use crate::request::{Level, RequestKind, RequestState};
use crate::vault::tests::{Bench, call, object};
use crate::vault::{
    CodeToSend, ConsentInput, HoldInput, Principal, SubjectId, TalkState, TurnInput, TurnReply,
    Vault,
};
use crate::verification::AddressKind;

pub(super) const MINUTE: i64 = 60_000;
pub(super) const EMAIL: &str = "jane@example.test";

/// A role that relays and may nothing else, and one that gives data to recipients.
pub(super) const RELAY: &str = r#"
[roles.relay]
may = ["dialogue.relay"]

[roles.giver]
purposes = ["support"]
read = { "*" = "full" }
may = ["disclosures.record"]
"#;

pub(super) struct World {
    pub(super) bench: Bench,
    pub(super) bot: Principal,
    pub(super) relay: Principal,
    pub(super) dpo: Principal,
}

impl World {
    pub(super) fn new() -> Self {
        Self::of("")
    }

    /// With more in its policy.
    pub(super) fn of(more: &str) -> Self {
        let bench = Bench::of(&format!("{SAMPLE}{RELAY}{more}"));
        Self {
            bot: bench.role("bot"),
            relay: bench.role("relay"),
            dpo: bench.role("dpo"),
            bench,
        }
    }

    pub(super) fn vault(&self) -> &Arc<Vault> {
        &self.bench.vault
    }

    /// Somebody with a name, an address and two messages.
    pub(super) fn person(&self, user: &str, email: &str) -> SubjectId {
        let vault = self.vault();
        let support = call(&self.bot, Some("support"));
        let (subject, _) = vault.create_subject(&support, "web", user).unwrap();
        let fields = object(json!({"name": "Jane Roe", "email": email}));
        vault
            .patch_single(&support, subject, "profile", fields, None)
            .unwrap();
        let message = object(json!({"text": "hello"}));
        vault
            .append(
                &support,
                subject,
                "messages",
                vec![message.clone(), message],
            )
            .unwrap();
        subject
    }

    pub(super) fn chat(&self, user: &str) -> Chat<'_> {
        Chat {
            world: self,
            user: user.into(),
            said: 0,
            private: true,
            can_send: true,
            locale: Some("en".into()),
            codes: Vec::new(),
            reply: None,
        }
    }

    pub(super) fn consents(&self, subject: SubjectId) {
        let input = ConsentInput {
            given: true,
            notice: json!("n1"),
            ..ConsentInput::default()
        };
        let support = call(&self.bot, Some("support"));
        self.vault()
            .put_consent(&support, subject, "newsletter", input)
            .unwrap();
    }
}

pub(super) struct Chat<'w> {
    pub(super) world: &'w World,
    pub(super) user: String,
    pub(super) said: u32,
    pub(super) private: bool,
    pub(super) can_send: bool,
    pub(super) locale: Option<String>,
    pub(super) codes: Vec<CodeToSend>,
    pub(super) reply: Option<TurnReply>,
}

impl Chat<'_> {
    pub(super) fn input(&mut self) -> TurnInput {
        self.said += 1;
        TurnInput {
            channel: "web".into(),
            user: self.user.clone(),
            conversation: None,
            message: format!("m{}", self.said),
            text: None,
            choice: None,
            locale: self.locale.clone(),
            intent: None,
            private: self.private,
            sends: match self.can_send {
                true => AddressKind::ALL.to_vec(),
                false => Vec::new(),
            },
            links: false,
        }
    }

    pub(super) fn send(&mut self, input: &TurnInput) -> Result<TurnReply, Refusal> {
        let relay = self.world.relay.clone();
        let turned = self
            .world
            .vault()
            .dialogue_turn(&call(&relay, None), input)?;
        self.codes.extend(turned.codes);
        self.reply = Some(turned.reply.clone());
        Ok(turned.reply)
    }

    pub(super) fn say(&mut self, text: &str) -> TurnReply {
        let input = TurnInput {
            text: Some(text.into()),
            ..self.input()
        };
        self.send(&input).expect("answered")
    }

    /// Takes the choice with this label.
    pub(super) fn pick(&mut self, label: &str) -> TurnReply {
        let id = self.id(label);
        let input = TurnInput {
            choice: Some(id),
            ..self.input()
        };
        self.send(&input).expect("answered")
    }

    pub(super) fn labels(&self) -> Vec<&str> {
        let reply = self.reply.as_ref().expect("something was said");
        let choices = reply.messages.iter().flat_map(|message| &message.choices);
        choices.map(|choice| choice.label.as_str()).collect()
    }

    pub(super) fn id(&self, label: &str) -> String {
        let reply = self.reply.as_ref().expect("something was said");
        let mut choices = reply.messages.iter().flat_map(|message| &message.choices);
        let found = choices.find(|choice| choice.label == label);
        found
            .unwrap_or_else(|| panic!("{label} is not among {:?}", self.labels()))
            .id
            .clone()
    }

    pub(super) fn code(&mut self) -> TurnReply {
        let code = self.codes.last().expect("one was sent").code.to_string();
        self.say(&code)
    }

    /// Proves who they are, over the first address that is offered.
    pub(super) fn prove(&mut self) -> TurnReply {
        let first = self.labels()[0].to_owned();
        assert_eq!(self.pick(&first).state, TalkState::CodeSent);
        self.code()
    }
}

/// A phrase that asks for this and for nothing else.
pub(super) fn phrase(intent: Intent) -> &'static str {
    let lists = include_str!("../../../dialogue/phrases/en.txt");
    let section = format!("[{}]", intent.name());
    let lines = lists.lines().skip_while(|line| line.trim() != section);
    let mut lines = lines.skip(1).take_while(|line| !line.starts_with('['));
    let alone = |line: &&str| !line.is_empty() && recognise(Language::En, line) == [intent];
    lines.find(alone).expect("there is one")
}

pub(super) fn text(reply: &TurnReply) -> String {
    let texts = reply.messages.iter().map(|message| message.text.as_str());
    texts.collect::<Vec<_>>().join("\n")
}

pub(super) fn requests(
    world: &World,
    subject: SubjectId,
) -> Vec<(RequestKind, RequestState, Level)> {
    let all = world
        .vault()
        .list_requests(&call(&world.dpo, None), subject)
        .unwrap();
    let all = all.into_iter();
    all.map(|one| (one.kind, one.state, one.level)).collect()
}

/// A hold for messages.
pub(super) fn hold() -> HoldInput {
    HoldInput {
        ground: HoldGround::LegalObligation,
        collections: vec!["messages".into()],
        reason: None,
        approver: None,
        review_at: jiff::civil::date(2035, 12, 31),
    }
}
