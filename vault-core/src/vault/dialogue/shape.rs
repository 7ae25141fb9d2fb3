//! How texts look in a chat.

use serde_json::Value;

use crate::limits::{DIALOGUE_MESSAGE_CHARACTERS_MAX, DIALOGUE_VALUE_CHARACTERS_MAX};
use crate::schema::FieldType;
use crate::talk::Message;

/// What stands for a word, in the order of all words of its kind.
pub(super) fn of<T: PartialEq>(texts: &[&'static str], all: &[T], one: &T) -> &'static str {
    let at = all.iter().position(|known| known == one);
    at.and_then(|at| texts.get(at)).copied().unwrap_or_default()
}

/// With a capital at its beginning.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// A value on one line, as far as it is shown.
pub(super) fn cut(text: &str) -> String {
    let plain = text.chars().map(|letter| match letter.is_control() {
        true => ' ',
        false => letter,
    });
    let mut shown: String = plain.clone().take(DIALOGUE_VALUE_CHARACTERS_MAX).collect();
    if plain.count() > DIALOGUE_VALUE_CHARACTERS_MAX {
        shown.push('…');
    }
    shown
}

/// A value as a person reads it; `None` for what has no place in a chat.
pub(super) fn shown(kind: FieldType, value: &Value) -> Option<String> {
    let text = match (kind, value) {
        (FieldType::Blob, _) | (_, Value::Null) => return None,
        (_, Value::String(text)) => text.clone(),
        (FieldType::Address, Value::Object(parts)) => {
            let parts: Vec<&str> = parts.values().filter_map(Value::as_str).collect();
            parts.join(", ")
        }
        (_, value) => value.to_string(),
    };
    match text.chars().count() > DIALOGUE_VALUE_CHARACTERS_MAX {
        true => None,
        false => Some(cut(&text)),
    }
}

/// A text as messages that a chat shows whole, broken between lines.
pub(super) fn split(text: &str) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    let mut length = 0;
    for line in text.lines() {
        let more = line.chars().count() + 1;
        match messages.last_mut() {
            Some(last) if length + more <= DIALOGUE_MESSAGE_CHARACTERS_MAX => {
                last.text.push('\n');
                last.text.push_str(line);
                length += more;
            }
            _ => {
                messages.push(Message {
                    text: line.to_owned(),
                    choices: Vec::new(),
                    link: None,
                });
                length = more;
            }
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_long_answer_is_broken_between_lines_and_loses_none() {
        let lines: Vec<String> = (0..400)
            .map(|number| format!("line {number} of many"))
            .collect();
        let messages = split(&lines.join("\n"));
        assert!(messages.len() > 1);
        let texts: Vec<&str> = messages.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(texts.join("\n"), lines.join("\n"));
        let most = DIALOGUE_MESSAGE_CHARACTERS_MAX;
        assert!(texts.iter().all(|text| text.chars().count() <= most));
    }

    #[test]
    fn a_value_is_one_line_and_what_is_too_long_is_not_shown() {
        let shown = |kind, value| super::shown(kind, &value);
        assert_eq!(shown(FieldType::Text, json!("a\nb")), Some("a b".into()));
        assert_eq!(shown(FieldType::Number, json!(4.5)), Some("4.5".into()));
        let address = json!({"street": "Elm Rd 5", "city": "Utrecht"});
        let address = shown(FieldType::Address, address).expect("shown");
        assert!(address.contains("Elm Rd 5") && address.contains(", "));
        let most = "x".repeat(DIALOGUE_VALUE_CHARACTERS_MAX);
        assert_eq!(shown(FieldType::Text, json!(most)), Some(most.clone()));
        assert_eq!(shown(FieldType::Text, json!(format!("{most}x"))), None);
        let blob = json!({"media_type": "image/png", "size": 4});
        assert_eq!(shown(FieldType::Blob, blob), None);
    }
}
