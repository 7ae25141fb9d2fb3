//! Holds an answer to the OpenAPI document: path, method, status, media type, headers, body.
//!
//! Included by every suite that makes calls, in its one function that makes them. Knows nothing of
//! what an answer ought to be; only that the contract has to say it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

/// Headers that the contract has to mention where they are sent.
const PROMISED: [&str; 8] = [
    "content-language",
    "etag",
    "idempotent-replayed",
    "location",
    "request-id",
    "retry-after",
    "vary",
    "www-authenticate",
];

/// One answer as it came.
pub(crate) struct Answered<'a> {
    /// The method of the call.
    pub(crate) method: &'a str,
    /// Its path, with or without a query.
    pub(crate) path: &'a str,
    /// The status.
    pub(crate) status: u16,
    /// Headers, names in lower case.
    pub(crate) headers: &'a [(String, String)],
    /// The body.
    pub(crate) body: &'a [u8],
}

/// The contract.
pub(crate) struct Contract {
    document: Value,
    validators: Mutex<HashMap<String, Arc<jsonschema::Validator>>>,
}

impl Contract {
    /// The contract that a document is. Its answers are closed here: a member that it does not
    /// mention may be ignored by a client, but not be sent by us.
    pub(crate) fn new(mut document: Value) -> Self {
        let mut composed = BTreeSet::new();
        composed_of(&document, &mut composed);
        let schemas = document["components"]["schemas"].as_object_mut();
        for (name, schema) in schemas.into_iter().flatten() {
            let closed = schema.get("additionalProperties").is_some();
            if schema.get("properties").is_some() && !closed && !composed.contains(name) {
                schema["unevaluatedProperties"] = Value::Bool(false);
            }
        }
        Self {
            document,
            validators: Mutex::default(),
        }
    }

    /// Checks one answer.
    ///
    /// # Errors
    ///
    /// What the contract does not say, in words.
    pub(crate) fn check(&self, answered: &Answered<'_>) -> Result<(), String> {
        let path = answered.path.split('?').next().unwrap_or_default();
        let what = format!("{} {path} {}", answered.method, answered.status);
        let Some((template, item)) = self.item(path) else {
            // A path of nobody's, and a method of nobody's, are answered by a problem alone.
            return self.problem(answered, &what, &[404]);
        };
        let head = answered.method == "HEAD" && item.get("head").is_none();
        let method = if head {
            "get"
        } else {
            &answered.method.to_lowercase()
        };
        let Some(operation) = item.get(method) else {
            return self.problem(answered, &what, &[405]);
        };
        let status = answered.status.to_string();
        let response = operation["responses"]
            .get(&status)
            .map(|response| self.followed(response))
            .ok_or(format!("{what}: {method} {template} documents no {status}"))?;
        self.headers(answered, response, &what)?;
        if head {
            return Ok(());
        }
        let Some(content) = response.get("content") else {
            return match answered.body {
                [] => Ok(()),
                _ => Err(format!("{what}: a body is not documented")),
            };
        };
        let media_type = media_type(answered);
        let schema = content
            .get(&media_type)
            .and_then(|content| content.get("schema"))
            .ok_or(format!("{what}: `{media_type}` is not documented"))?;
        let key = format!("{method} {template} {status} {media_type}");
        self.body(&key, schema, answered.body, media_type.ends_with("json"))
            .map_err(|error| format!("{what}: {error}"))
    }

    fn problem(&self, answered: &Answered<'_>, what: &str, allowed: &[u16]) -> Result<(), String> {
        if !allowed.contains(&answered.status) || media_type(answered) != "application/problem+json"
        {
            return Err(format!("{what}: neither path nor method is documented"));
        }
        let schema = json!({"$ref": "#/components/schemas/Problem"});
        let body = if answered.method == "HEAD" {
            return Ok(());
        } else {
            answered.body
        };
        self.body("problem", &schema, body, true)
            .map_err(|error| format!("{what}: {error}"))
    }

    /// The path item that a path falls under: literal segments win over parameters.
    fn item(&self, path: &str) -> Option<(&str, &Map<String, Value>)> {
        let segments: Vec<_> = path.split('/').collect();
        let paths = self.document["paths"].as_object()?;
        let fitting = paths.iter().filter(|(template, _)| {
            let parts: Vec<_> = template.split('/').collect();
            parts.len() == segments.len()
                && parts.iter().zip(&segments).all(|(part, segment)| {
                    part == segment || (part.starts_with('{') && !segment.is_empty())
                })
        });
        let (template, item) = fitting.min_by_key(|(template, _)| template.matches('{').count())?;
        Some((template, item.as_object()?))
    }

    fn followed<'a>(&'a self, node: &'a Value) -> &'a Value {
        match node["$ref"].as_str() {
            Some(reference) => self
                .document
                .pointer(reference.trim_start_matches('#'))
                .expect("a reference leads somewhere"),
            None => node,
        }
    }

    fn headers(&self, answered: &Answered<'_>, response: &Value, what: &str) -> Result<(), String> {
        let none = Map::new();
        let documented = response["headers"].as_object().unwrap_or(&none);
        let sent = |wanted: &str| {
            let mut all = answered.headers.iter();
            all.find(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        for name in PROMISED {
            let told = documented
                .keys()
                .any(|known| known.eq_ignore_ascii_case(name));
            if sent(name).is_some() && !told {
                return Err(format!("{what}: the header `{name}` is not documented"));
            }
        }
        for (name, header) in documented {
            let header = self.followed(header);
            let Some((_, text)) = sent(name) else {
                if header["required"] == true {
                    return Err(format!("{what}: the header `{name}` is missing"));
                }
                continue;
            };
            let value = match header["schema"]["type"].as_str() {
                Some("integer") => text
                    .parse::<i64>()
                    .map_or(json!(text), |number| json!(number)),
                _ => json!(text),
            };
            jsonschema::validate(&header["schema"], &value)
                .map_err(|error| format!("{what}: the header `{name}`: {error}"))?;
        }
        Ok(())
    }

    fn body(&self, key: &str, schema: &Value, body: &[u8], json: bool) -> Result<(), String> {
        if !json {
            return std::str::from_utf8(body)
                .map(drop)
                .map_err(|error| error.to_string());
        }
        let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let mut validators = self.validators.lock().expect("no check panics");
        let validator = validators.entry(key.to_owned()).or_insert_with(|| {
            // References lead to the root, so the components stand there.
            let root = json!({"allOf": [schema], "components": self.document["components"]});
            let options = jsonschema::options().should_validate_formats(true);
            Arc::new(options.build(&root).expect("the contract holds schemas"))
        });
        let validator = Arc::clone(validator);
        drop(validators);
        validator
            .validate(&value)
            .map_err(|error| format!("the body at `{}`: {error}", error.instance_path()))
    }
}

fn media_type(answered: &Answered<'_>) -> String {
    let mut headers = answered.headers.iter();
    let found = headers.find(|(name, _)| name == "content-type");
    let text = found.map_or("", |(_, text)| text);
    text.split(';').next().unwrap_or_default().trim().to_owned()
}

/// Names of the schemas that others are composed of: these cannot be closed alone.
fn composed_of(node: &Value, names: &mut BTreeSet<String>) {
    match node {
        Value::Object(members) => {
            for (name, member) in members {
                let parts = member.as_array().filter(|_| name == "allOf");
                names.extend(parts.into_iter().flatten().filter_map(|part| {
                    Some(part["$ref"].as_str()?.rsplit('/').next()?.to_owned())
                }));
                composed_of(member, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| composed_of(item, names)),
        _ => {}
    }
}
