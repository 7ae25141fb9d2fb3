//! The policies between which a history moves.

/// Which policy is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// Everything.
    Full,
    /// The bot may no longer read `profile.birth` and `notes.mail`.
    Narrow,
    /// The purpose `extra` is gone.
    NoExtra,
}

const FULL: &str = r#"
[controller]
name = "Invented Ferries"
contact = "privacy@ferries.example.test"
[purposes.support]
title.en = "Answering your questions"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }
[purposes.news]
title.en = "Sending you our newsletter"
basis = "consent"
retention = { after = "withdrawal", period = "P0D" }
[purposes.extra]
title.en = "Remembering your wishes"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }
[collections.profile]
kind = "single"
[collections.profile.fields]
name  = { type = "name",  purposes = ["support", "news"] }
email = { type = "email", purposes = ["support", "news"], lookup = true }
phone = { type = "phone", purposes = ["support"], lookup = true }
birth = { type = "date",  purposes = ["support"] }
slots = { type = "json",  purposes = ["support", "extra"] }
[collections.files]
kind = "single"
[collections.files.fields]
paper = { type = "blob", purposes = ["support"], media_types = ["text/plain"], bytes_max = 4194304 }
[collections.notes]
kind = "many"
[collections.notes.fields]
text = { type = "text",  purposes = ["support", "extra"] }
mail = { type = "email", purposes = ["support"], lookup = true }
[collections.messages]
kind = "many"
retention = "P2D"
[collections.messages.fields]
from = { type = "text", purposes = ["support"] }
text = { type = "text", purposes = ["support"] }
[roles.bot]
purposes = ["support", "news", "extra"]
read  = { "*" = "full" }
write = ["*"]
ask   = ["profile.birth.age_at_least"]
may   = ["subjects.create", "subjects.lookup", "subjects.view", "sessions.create", "consents.record", "records.bulk", "records.purge"]
[roles.dpo]
may = ["subjects.erase", "subjects.view", "audit.read"]
"#;

/// What the bot may read under [`Version::Narrow`].
const NARROW: &str = r#"{ "profile.name" = "full", "profile.email" = "full", "profile.phone" = "full", "profile.slots" = "full", "files.*" = "full", "notes.text" = "full", "messages.*" = "full" }"#;

impl Version {
    pub(crate) const ALL: [Self; 3] = [Self::Full, Self::Narrow, Self::NoExtra];

    pub(crate) fn text(self) -> String {
        match self {
            Self::Full => FULL.to_owned(),
            Self::Narrow => FULL.replace(r#"{ "*" = "full" }"#, NARROW),
            Self::NoExtra => {
                let start = FULL.find("[purposes.extra]").expect("it is there");
                let end = FULL.find("[collections.profile]").expect("it is there");
                format!("{}{}", &FULL[..start], &FULL[end..]).replace(", \"extra\"", "")
            }
        }
    }
}

/// A field: collection, name, purposes, whether it can be looked up.
pub(crate) type FieldRule = (&'static str, &'static str, &'static [&'static str], bool);

/// Every field that is not a blob.
pub(crate) const FIELDS: [FieldRule; 9] = [
    ("profile", "name", &["support", "news"], false),
    ("profile", "email", &["support", "news"], true),
    ("profile", "phone", &["support"], true),
    ("profile", "birth", &["support"], false),
    ("profile", "slots", &["support", "extra"], false),
    ("notes", "text", &["support", "extra"], false),
    ("notes", "mail", &["support"], true),
    ("messages", "from", &["support"], false),
    ("messages", "text", &["support"], false),
];

/// The fields of a collection.
pub(crate) fn fields(collection: &str) -> impl Iterator<Item = &'static FieldRule> {
    FIELDS.iter().filter(move |field| field.0 == collection)
}

impl Version {
    pub(crate) fn knows(self, purpose: &str) -> bool {
        self != Self::NoExtra || purpose != "extra"
    }

    /// Whether the bot may read this field.
    pub(crate) fn shows(self, field: &FieldRule) -> bool {
        self != Self::Narrow
            || !matches!((field.0, field.1), ("profile", "birth") | ("notes", "mail"))
    }
}
