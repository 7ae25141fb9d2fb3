//! A conversation about rights as a bot relays it: what goes out, what comes back, what is picked.
//!
//! Knows the bodies of `POST /v1/dialogue/turn`, and neither terminals nor pages. What a bot has to do is
//! here, so that whoever writes one can read it: a new name for each message, the same name where the same
//! message is sent again, numbers for choices.

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use vault_core::entropy::Entropy;

use crate::failure::Failure;

/// Bytes of a name; nobody else's message may have the same.
const NAME_BYTES: usize = 16;

/// Who talks, and where.
#[derive(Clone)]
pub(crate) struct Who {
    pub(crate) channel: String,
    /// As the channel calls them.
    pub(crate) user: String,
    /// Where on the channel.
    pub(crate) conversation: Option<String>,
    pub(crate) locale: Option<String>,
    /// Whether nobody else reads along.
    pub(crate) private: bool,
}

/// What somebody does.
#[derive(Clone, Copy)]
pub(crate) enum Said<'a> {
    /// They write this.
    Text(&'a str),
    /// They take the choice with this id.
    Choice(&'a str),
}

/// A name for a message.
pub(crate) fn message_name(entropy: &mut dyn Entropy) -> String {
    format!("m-{}", random_name(entropy))
}

/// A name for a conversation.
pub(crate) fn conversation_name(entropy: &mut dyn Entropy) -> String {
    format!("c-{}", random_name(entropy))
}

/// A name that nobody can guess.
pub(crate) fn random_name(entropy: &mut dyn Entropy) -> String {
    let mut bytes = [0; NAME_BYTES];
    entropy.fill(&mut bytes);
    HEXLOWER.encode(&bytes)
}

/// The body of a turn.
pub(crate) fn body(who: &Who, message: &str, said: Said<'_>) -> Value {
    let mut body = json!({
        "channel": who.channel,
        "user": who.user,
        "message_id": message,
        "private": who.private,
    });
    match said {
        Said::Text(text) => body["text"] = text.into(),
        Said::Choice(id) => body["choice"] = id.into(),
    }
    let optional = [("conversation", &who.conversation), ("locale", &who.locale)];
    for (name, value) in optional {
        if let Some(value) = value {
            body[name] = value.as_str().into();
        }
    }
    body
}

/// Sends a turn, and the same again where the connection was lost: its name makes it one turn, so that
/// nothing is done twice.
///
/// # Errors
///
/// Those of `send`.
pub(crate) fn relay(
    body: &Value,
    send: impl Fn(&Value) -> Result<Value, Failure>,
) -> Result<Answer, Failure> {
    let sent = match send(body) {
        Err(failure) if failure.code == "unreachable" => send(body),
        sent => sent,
    };
    sent.map(Answer)
}

/// Whether the same message may be answered if it is sent again.
pub(crate) fn worth_another_try(failure: &Failure) -> bool {
    matches!(
        &*failure.code,
        "unreachable"
            | "overloaded"
            | "rate_limited"
            | "outcome_unknown"
            | "locked"
            | "anchor_unavailable"
            | "disk_full"
    )
}

/// A choice of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) id: String,
    pub(crate) label: String,
}

/// A message of an answer.
pub(crate) struct Message {
    pub(crate) text: String,
    pub(crate) choices: Vec<Choice>,
    /// A path of the server, or an address.
    pub(crate) link: Option<String>,
}

/// What is answered to a turn. No `Debug`: it may hold values.
#[derive(Clone)]
pub(crate) struct Answer(Value);

impl Answer {
    /// As it came.
    pub(crate) fn value(&self) -> &Value {
        &self.0
    }

    /// Whether it was a matter of rights.
    pub(crate) fn handled(&self) -> bool {
        self.0["handled"] == true
    }

    /// Whether the next message is a code, an address or a value.
    pub(crate) fn sensitive(&self) -> bool {
        self.0["expect"]["sensitive"] == true
    }

    /// Whether a code is waited for.
    pub(crate) fn wants_code(&self) -> bool {
        self.0["expect"]["kind"] == "code"
    }

    /// The request that this is about, and its last day where it is open.
    pub(crate) fn request(&self) -> Option<(&str, Option<&str>)> {
        let request = self.0["request_id"].as_str()?;
        Some((request, self.0["due"].as_str()))
    }

    /// What is shown, in this order.
    pub(crate) fn messages(&self) -> impl Iterator<Item = Message> {
        let messages = self.0["messages"].as_array().into_iter().flatten();
        messages.map(|message| Message {
            text: text(&message["text"]),
            choices: choices(message),
            link: message["link"].as_str().map(plain),
        })
    }

    /// All that there is to choose from, as it is numbered.
    pub(crate) fn choices(&self) -> Vec<Choice> {
        self.messages()
            .flat_map(|message| message.choices)
            .collect()
    }
}

fn choices(message: &Value) -> Vec<Choice> {
    let choices = message["choices"].as_array().into_iter().flatten();
    let choices = choices.map(|choice| Choice {
        id: choice["id"].as_str().unwrap_or_default().to_owned(),
        label: text(&choice["label"]),
    });
    choices.collect()
}

fn text(value: &Value) -> String {
    value.as_str().map(plain).unwrap_or_default()
}

/// A text without what would move a cursor: values that people wrote are in it.
fn plain(text: &str) -> String {
    let shown = |c: char| match c.is_control() && c != '\n' {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    };
    text.chars().map(shown).collect()
}

/// The choice that somebody means by its number, from 1, or by its label.
pub(crate) fn picked<'a>(choices: &'a [Choice], line: &str) -> Option<&'a Choice> {
    let line = line.trim();
    let label = line.to_lowercase();
    let number = line.parse::<usize>().ok();
    let numbered = number.and_then(|number| choices.get(number.checked_sub(1)?));
    numbered.or_else(|| {
        let mut fits = choices
            .iter()
            .filter(|choice| choice.label.to_lowercase() == label);
        // Two of the same label are told apart by their numbers alone.
        fits.next().filter(|_| fits.next().is_none())
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::failure::Exit;
    use vault_core::entropy::SeededEntropy;

    fn who() -> Who {
        Who {
            channel: "web".into(),
            user: "u-1".into(),
            conversation: None,
            locale: Some("de".into()),
            private: true,
        }
    }

    fn failure(code: &str) -> Failure {
        Failure::new(Exit::Failed, code, "no", "nothing to be done")
    }

    #[test]
    fn a_lost_connection_sends_the_same_message_once_more_and_a_refusal_does_not() {
        let mut entropy = SeededEntropy::new(1);
        let body = body(&who(), &message_name(&mut entropy), Said::Text("hi"));
        for (code, tries) in [("unreachable", 2), ("role_denied", 1), ("internal", 1)] {
            let seen = RefCell::new(Vec::new());
            let sent = relay(&body, |body| {
                seen.borrow_mut().push(body.clone());
                Err(failure(code))
            });
            assert_eq!(
                sent.err().map(|failure| failure.code.to_string()),
                Some(code.into())
            );
            assert_eq!(*seen.borrow(), vec![body.clone(); tries], "{code}");
        }
    }

    #[test]
    fn two_messages_have_two_names_and_a_choice_is_no_text() {
        let mut entropy = SeededEntropy::new(1);
        let (one, two) = (message_name(&mut entropy), message_name(&mut entropy));
        assert_ne!(one, two);
        let body = body(&who(), &one, Said::Choice("c_1"));
        assert_eq!(
            body,
            json!({"channel": "web", "user": "u-1", "message_id": one, "private": true,
                "choice": "c_1", "locale": "de"})
        );
    }

    #[test]
    fn a_number_or_a_label_picks_and_nothing_else_does() {
        let choice = |id: &str, label: &str| Choice {
            id: id.into(),
            label: label.into(),
        };
        let choices = [
            choice("a", "Delete"),
            choice("b", "Keep"),
            choice("c", "Keep"),
        ];
        let id = |line: &str| picked(&choices, line).map(|choice| choice.id.as_str());
        assert_eq!(
            (id("1"), id(" 3 "), id("delete")),
            (Some("a"), Some("c"), Some("a"))
        );
        for none in [
            "0",
            "4",
            "-1",
            "1.",
            "delete it",
            "",
            "keep",
            "99999999999999999999",
        ] {
            assert_eq!(id(none), None, "{none}");
        }
    }

    #[test]
    fn an_answer_shows_no_character_that_moves_a_cursor() {
        let answer = Answer(json!({"handled": true, "messages": [
            {"text": "a\u{1b}[2Jb\nc\r", "choices": [{"id": "c_1", "label": "x\u{7}"}]}]}));
        let message = answer.messages().next().unwrap();
        assert_eq!(message.text, "a\u{fffd}[2Jb\nc\u{fffd}");
        assert_eq!(message.choices[0].label, "x\u{fffd}");
        assert_eq!(answer.request(), None);
    }
}
