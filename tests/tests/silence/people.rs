//! The person and everything that is said of them: each text is a canary. And the policy that has a
//! field of every type for them. Everybody is invented.

use serde_json::{Value, json};
use vault_core::schema::FieldType;
use vault_tests::canary::Net;

pub(crate) const PASSPHRASE: &str = "the passphrase of zyxwina 7731";
pub(crate) const SECOND_PASSPHRASE: &str = "a second passphrase of zyxwina";
pub(crate) const CHANNEL: &str = "channel-of-zyxwina";
pub(crate) const USER: &str = "user+zyxwina-7731";
pub(crate) const NAME: &str = "Zyxwina Canäry";
pub(crate) const EMAIL: &str = "Zyxwina.Canary+77@Example.test";
pub(crate) const PHONE: &str = "+31 20 555 0177";
pub(crate) const BLOB: &str = "the voice of Zyxwina as bytes";
pub(crate) const MESSAGE: &str = "the parrot of Zyxwina is called Qwrtz";
pub(crate) const IDEMPOTENCY: &str = "again-zyxwina-7731";
/// In every canary text that is not digits; also what attacks are made of.
pub(crate) const WORD: &str = "zyxwina";

pub(crate) const POLICY: &str = r#"
[controller]
name = "Example Travel B.V."
contact = "privacy@example.test"
languages = ["en", "de"]

[purposes.support]
title.en = "Answering your questions"
title.de = "Ihre Fragen beantworten"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }
recipients = ["carrier"]

[purposes.newsletter]
title.en = "Sending you our newsletter"
title.de = "Ihnen unseren Newsletter senden"
basis = "consent"
retention = { after = "withdrawal", period = "P0D" }

[purposes.rental]
title.en = "Renting you things"
title.de = "Ihnen Dinge vermieten"
basis = "contract"
retention = { after = "contract_end", period = "P1Y" }

[purposes.improve]
title.en = "Making the bot better"
title.de = "Den Bot verbessern"
basis = "legitimate_interests"
retention = { after = "collected", period = "P1Y" }

[purposes.offers]
title.en = "Offers"
title.de = "Angebote"
basis = "legitimate_interests"
direct_marketing = true
retention = { after = "collected", period = "P1Y" }

[collections.spare]
kind = "single"
[collections.spare.fields]
note = { type = "text", purposes = ["improve"] }

[recipients.carrier]
name = "Carrier GmbH"
country = "DE"
webhook = "https://carrier.example.test/privacy"

[collections.profile]
kind = "single"
[collections.profile.fields]
name = { type = "name", purposes = ["support"], lookup = true }
email = { type = "email", purposes = ["support", "newsletter"], lookup = true }
phone = { type = "phone", purposes = ["support"], lookup = true }
card = { type = "card", purposes = ["support"], lookup = true }
iban = { type = "iban", purposes = ["support"], lookup = true }
ip = { type = "ip", purposes = ["support"], lookup = true }
birth = { type = "date", purposes = ["support"], lookup = true }
points = { type = "number", purposes = ["support"], lookup = true }
adult = { type = "bool", purposes = ["support"] }
slots = { type = "json", purposes = ["support"] }
plate = { type = "plate", purposes = ["support"], lookup = true }
home = { type = "address", purposes = ["support"], lookup = true }
passport = { type = "identifier", purposes = ["support"], lookup = true }
remark = { type = "text", purposes = ["support"] }
photo = { type = "blob", purposes = ["support"], media_types = ["image/*"] }

[collections.messages]
kind = "many"
retention = "P90D"
[collections.messages.fields]
text = { type = "text", purposes = ["support"] }
voice = { type = "blob", purposes = ["support"], media_types = ["audio/*"] }

[roles.all]
purposes = ["support", "newsletter", "rental"]
read = { "*" = "full" }
write = ["*"]
ask = ["profile.birth.age_at_least", "profile.email.equals", "profile.card.last4"]
may = [
    "subjects.create", "subjects.lookup", "subjects.view", "subjects.erase", "sessions.create",
    "consents.record", "notices.record", "objections.record", "restrictions.set", "requests.create", "requests.decide", "holds.manage", "audit.read", "policy.read", "policy.apply", "api_keys.manage", "keys.manage",
    "retention.run", "vault.lock", "records.bulk", "records.purge",
    "subjects.export", "backups.manage", "disclosures.record", "tokens.detokenize", "breakglass.request", "breakglass.approve", "incidents.manage", "logs.write",
]

[roles.none]
purposes = ["support"]

[logs.bot]
mode = "redact"
retention = "P30D"

[breakglass]
purpose = "support"
read = { "profile.*" = "full" }
"#;

/// The profile: a value of every type that JSON can hold.
pub(crate) fn profile() -> Value {
    json!({
        "name": NAME,
        "email": EMAIL,
        "phone": PHONE,
        "card": "4929 1800 0000 0778",
        "iban": "NL91 ABNA 0417 1643 00",
        "ip": "2001:db8:c0fe::77a1",
        "birth": "1931-07-19",
        "points": 73_904_182_650_177_i64,
        "adult": true,
        "slots": {"slot of zyxwina": ["slot value of zyxwina"]},
        "plate": "ZXQ-7731-WQ",
        "home": {"street": "Zyxwina-Kanariestraat 7731", "city": "Zyxwinadorp"},
        "passport": "ZYX/ID-77310-QW",
        "remark": "Zyxwina likes windows",
        "_meta": meta(),
    })
}

pub(crate) fn meta() -> Value {
    json!({"source": "form of zyxwina", "category": "category.zyxwina", "shared_with": ["carrier"]})
}

pub(crate) fn message() -> Value {
    json!({"text": MESSAGE, "_meta": meta()})
}

/// Lines of a log: of nobody with what is somebody's, one about the person, and one that cannot be looked at.
pub(crate) fn lines(subject: Option<&String>) -> String {
    let said = json!({"from": EMAIL, "phone": PHONE, "text": MESSAGE, "to": NAME});
    let mut about = said.clone();
    about["subject"] = json!(subject);
    format!("{said}\n{about}\n{{\"{EMAIL}\": 1\n{MESSAGE} {EMAIL}\n")
}

pub(crate) fn consent() -> Value {
    json!({
        "given": true,
        "notice": {"version": "notice-for-zyxwina", "lang": "en", "sha256": "zyxwina".repeat(8)},
        "choice": "Yes, said Zyxwina",
        "message_id": "wamid.zyxwina7731",
    })
}

pub(crate) fn grounds() -> &'static str {
    "Zyxwina does not want it"
}

/// Everything above, and how look-ups spell it.
pub(crate) fn net() -> Net {
    let mut net = Net::default();
    net.add("the word in everything", WORD.as_bytes());
    for text in [
        PASSPHRASE,
        SECOND_PASSPHRASE,
        CHANNEL,
        USER,
        BLOB,
        MESSAGE,
        IDEMPOTENCY,
    ] {
        net.add(text, text.as_bytes());
    }
    add_all(&mut net, "consent", &consent());
    add_all(&mut net, "meta", &meta());
    let profile = profile();
    for (field, value) in profile.as_object().unwrap() {
        add_all(&mut net, field, value);
        let kind = match &**field {
            "birth" => "date",
            "points" => "number",
            "adult" => "bool",
            "slots" => "json",
            "home" => "address",
            "passport" => "identifier",
            "remark" | "_meta" => "text",
            named => named,
        };
        let kind = FieldType::parse(kind).expect("a type");
        assert!(field == "_meta" || kind.check(value).is_ok(), "{field}");
        if let Some(bytes) = kind.normalise(value) {
            net.add(&format!("{field}, as it is looked up"), &bytes);
        }
        if let Some(text) = value.as_str() {
            let compact: String = text.chars().filter(|c| c.is_alphanumeric()).collect();
            net.add(&format!("{field}, without separators"), compact.as_bytes());
        }
    }
    net
}

fn add_all(net: &mut Net, name: &str, value: &Value) {
    match value {
        Value::String(text) if text != "carrier" && text.len() > 2 => {
            net.add(name, text.as_bytes())
        }
        Value::Number(number) => net.add(name, number.to_string().as_bytes()),
        Value::Array(items) => items.iter().for_each(|item| add_all(net, name, item)),
        Value::Object(members) => members.iter().for_each(|(member, item)| {
            if member.contains(WORD) {
                net.add(name, member.as_bytes());
            }
            add_all(net, &format!("{name}.{member}"), item);
        }),
        _ => {}
    }
}
