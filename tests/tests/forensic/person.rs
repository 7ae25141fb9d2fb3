//! Invented people, of whom every value is known.

use serde_json::Value;

use super::cipher::Id;
use super::list::{self, Item};

/// A person and what was stored of them.
pub(crate) struct Person {
    pub(crate) name: String,
    pub(super) user: String,
    pub(crate) subject: String,
    pub(crate) profile: Value,
    /// Their first message.
    pub(crate) message: String,
}

impl Person {
    /// Somebody of whom nothing is stored but who they are on the channel.
    pub(crate) fn bare(user: String, subject: String) -> Self {
        Self {
            name: user.clone(),
            user,
            subject,
            profile: Value::Null,
            message: String::new(),
        }
    }

    pub(crate) fn id(&self) -> Id {
        bits(&self.subject)
    }

    /// Every value as it is stored now.
    pub(crate) fn values(&self) -> Vec<String> {
        let profile = self.profile.as_object().unwrap().values();
        let mut values: Vec<String> = profile.map(Value::to_string).collect();
        values.push(format!("\"{} lost a suitcase\"", self.name));
        values.push(format!("\"{} found it again\"", self.name));
        values.push(format!("\"bk-{}\"", self.name.to_lowercase()));
        values
    }

    /// Their photograph, where it was not replaced.
    pub(crate) fn photograph(&self) -> Vec<u8> {
        photograph(&self.name, 3_100)
    }

    /// The normal forms of what they can be looked up by.
    pub(crate) fn normal_forms(&self) -> Vec<Vec<u8>> {
        let digits = self.profile["phone"].as_str().unwrap().replace(' ', "");
        vec![
            channel_form("web", &self.user),
            self.profile["email"].as_str().unwrap().into(),
            digits.into_bytes(),
            format!("bk-{}", self.name.to_lowercase()).into_bytes(),
        ]
    }

    /// Everything that somebody could look for: their id, who they are on the channel, what can be looked
    /// up, and every other value but those that others have too.
    pub(crate) fn list(&self) -> Vec<Item> {
        let channel = Item::Channel {
            channel: "web".into(),
            user: self.user.clone(),
        };
        let identity = [channel, Item::Subject(self.id())];
        if self.profile.is_null() {
            return identity.into();
        }
        let name = &self.name;
        let profile = |field: &str| self.profile[field].as_str().unwrap().to_owned();
        let values = [
            profile("name"),
            profile("email"),
            profile("phone"),
            format!("bk-{}", name.to_lowercase()),
            format!("{name}'s parrot"),
            format!("{name} lost a suitcase"),
            format!("{name} found it again"),
            format!(" {name} in a photograph,"),
            format!("m-{}-said", name.to_lowercase()),
        ];
        values
            .into_iter()
            .map(Item::Value)
            .chain(identity)
            .collect()
    }

    /// Texts that stand in their values and in no other's.
    pub(crate) fn canaries(&self) -> Vec<String> {
        let low = self.name.to_lowercase();
        vec![self.name.clone(), low, self.subject.clone()]
    }
}

/// A photograph that shows nothing but a name, over and over.
pub(crate) fn photograph(name: &str, length: usize) -> Vec<u8> {
    let of = format!(" {name} in a photograph,");
    let text = of.bytes().cycle();
    [0xff, 0xd8, 0xff]
        .into_iter()
        .chain(text)
        .take(length)
        .collect()
}

/// The normal form of `{channel, user}`.
pub(crate) fn channel_form(channel: &str, user: &str) -> Vec<u8> {
    let length = u32::to_be_bytes(channel.len() as u32);
    [&length, channel.as_bytes(), user.as_bytes()].concat()
}

pub(crate) fn base32(text: &str) -> Vec<u8> {
    list::base32(text).unwrap()
}

/// An identifier as the interface writes it.
pub(crate) fn id_text(prefix: &str, id: &Id) -> String {
    format!("{prefix}_{}", list::base32_text(id))
}

/// The bits of an identifier behind its prefix.
pub(crate) fn bits(id: &str) -> Id {
    base32(id.split_once('_').unwrap().1).try_into().unwrap()
}
