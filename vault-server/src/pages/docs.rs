//! The API as a page, made from the OpenAPI document alone.

use std::sync::OnceLock;

use maud::{Markup, html};
use serde_json::{Value, json};

use super::{Frame, inline, prose};
use crate::openapi::{openapi, operations};
use crate::urls;

/// The page.
pub(crate) fn page() -> &'static str {
    static PAGE: OnceLock<String> = OnceLock::new();
    PAGE.get_or_init(|| render(&openapi()))
}

fn text<'a>(node: &'a Value, name: &str) -> &'a str {
    node[name].as_str().unwrap_or_default()
}

fn list(node: &Value) -> impl Iterator<Item = &Value> {
    node.as_array().into_iter().flatten()
}

fn members(node: &Value) -> impl Iterator<Item = (&String, &Value)> {
    node.as_object().into_iter().flatten()
}

/// What a reference leads to.
fn followed<'a>(document: &'a Value, node: &'a Value) -> &'a Value {
    match node["$ref"].as_str() {
        Some(reference) => document
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or(node),
        None => node,
    }
}

fn calls_of<'a>(
    document: &'a Value,
    tag: &'a str,
) -> impl Iterator<Item = (&'a str, &'static str, &'a Value)> {
    operations(document).filter(move |(_, _, operation)| operation["tags"][0] == tag)
}

fn render(document: &Value) -> String {
    let aside = html! {
        a .skip href="#main" { "To the text" }
        nav .aside aria-label="Calls" {
            ul .tags {
                @for tag in list(&document["tags"]) {
                    @let name = text(tag, "name");
                    li {
                        a href={ "#tag-" (name) } { strong { (name) } }
                        ul .calls {
                            @for (_, method, operation) in calls_of(document, name) {
                                li { a href={ "#" (text(operation, "operationId")) } {
                                    (method.to_uppercase()) " " (text(operation, "summary"))
                                } }
                            }
                        }
                    }
                }
                li { a href="#bodies" { strong { "bodies" } } }
            }
        }
    };
    let content = html! {
        h1 { "Vault API" }
        p { (inline(text(&document["info"], "description"))) }
        p {
            "Version " (text(&document["info"], "version")) ". The contract itself is the "
            a href=(urls::OPENAPI) { "OpenAPI document" }
            "; what a refusal means is told under " a href=(urls::PROBLEMS) { "problems" } "."
        }
        p { "In the lines for the shell, " code { "$V" } " is this server, such as "
            code { "127.0.0.1:8200" } ", " code { "$KEY" } " an API key of a role that may make the call, "
            code { "$S" } " a person, " code { "$R" } " a record." }
        @for tag in list(&document["tags"]) {
            @let name = text(tag, "name");
            h2 id={ "tag-" (name) } { (name) }
            p .dim { (text(tag, "description")) }
            @for (path, method, operation) in calls_of(document, name) {
                (call(document, path, method, operation))
            }
        }
        h2 #bodies { "bodies" }
        p .dim { "What is sent and answered. A request with a member that is not listed is refused; an answer may have more members one day." }
        @for (name, schema) in members(&document["components"]["schemas"]) {
            (body(name, schema))
        }
    };
    let frame = Frame {
        language: "en",
        title: "Vault API",
        aside: Some(aside),
    };
    super::page(&frame, &content)
}

fn call(document: &Value, path: &str, method: &str, operation: &Value) -> Markup {
    let request = &operation["requestBody"]["content"];
    html! {
        section .call {
            h3 id=(text(operation, "operationId")) { (text(operation, "summary")) }
            p { code .method { (method.to_uppercase()) } " " code .path { (path) } }
            @if let Some(description) = operation["description"].as_str() { (prose(description)) }
            @if list(&operation["parameters"]).next().is_some() {
                h4 { "Parameters" }
                dl .pairs {
                    @for parameter in list(&operation["parameters"]) {
                        dt { code { (text(parameter, "name")) } " "
                            span .dim.small { (text(parameter, "in")) ", " (form(&parameter["schema"]))
                                @if parameter["required"] == true { ", required" } } }
                        dd { (inline(text(parameter, "description"))) }
                    }
                }
            }
            @if request.is_object() {
                h4 { "Body" }
                ul {
                    @for (media_type, content) in members(request) {
                        li { code { (media_type) } " " (schema_link(&content["schema"])) }
                    }
                }
                @if let Some(example) = example(document, request) {
                    pre tabindex="0" { code { (pretty(&example)) } }
                }
            }
            h4 { "In the shell" }
            pre tabindex="0" { code { (curl(document, path, method, operation)) } }
            h4 { "Answers" }
            dl .pairs {
                @for (status, response) in members(&operation["responses"]) {
                    (answer(status, followed(document, response)))
                }
            }
        }
    }
}

fn answer(status: &str, response: &Value) -> Markup {
    let codes = response
        .pointer("/content/application~1problem+json/schema/properties/code/enum")
        .unwrap_or(&Value::Null);
    html! {
        dt { (status)
            @for code in list(codes).filter_map(Value::as_str) {
                " " a href=(urls::at(urls::PROBLEM, &[&code])) { code { (code) } }
            }
        }
        @if codes.is_null() {
            dd { (inline(text(response, "description")))
                @for (media_type, content) in members(&response["content"]) {
                    " " span .dim.small { (media_type) } " " (schema_link(&content["schema"]))
                }
            }
            @for (_, content) in members(&response["content"]) {
                @if let Some(example) = content.get("example") {
                    dd { pre tabindex="0" { code { (pretty(example)) } } }
                }
            }
        }
    }
}

fn schema_link(schema: &Value) -> Markup {
    html! {
        @if let Some(name) = schema["$ref"].as_str().and_then(|text| text.rsplit('/').next()) {
            a href={ "#body-" (name) } { (name) }
        }
    }
}

fn body(name: &str, schema: &Value) -> Markup {
    let required: Vec<_> = list(&schema["required"])
        .filter_map(Value::as_str)
        .collect();
    html! {
        section .call {
            h3 id={ "body-" (name) } { (name) }
            @if let Some(description) = schema["description"].as_str() { (prose(description)) }
            @if schema["properties"].is_object() {
                dl .pairs {
                    @for (member, schema) in members(&schema["properties"]) {
                        dt { code { (member) } " " span .dim.small { (form(schema))
                            @if required.contains(&member.as_str()) { ", required" } } }
                        dd { (inline(text(schema, "description"))) }
                    }
                }
            }
            details {
                summary { "JSON Schema of " (name) }
                pre tabindex="0" { code { (pretty(schema)) } }
            }
        }
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("JSON serialises")
}

/// A schema in a few words.
fn form(schema: &Value) -> String {
    if let Some(name) = schema["$ref"]
        .as_str()
        .and_then(|text| text.rsplit('/').next())
    {
        return name.to_owned();
    }
    if let Some(only) = schema.get("const") {
        return only.to_string();
    }
    if schema["enum"].is_array() {
        let words: Vec<_> = list(&schema["enum"]).map(ToString::to_string).collect();
        return if words.len() > 8 {
            "a word of a closed list".to_owned()
        } else {
            words.join(" or ")
        };
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        if schema[several].is_array() && schema.get("properties").is_none() {
            return list(&schema[several])
                .map(form)
                .collect::<Vec<_>>()
                .join(" or ");
        }
    }
    let kind = match &schema["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(" or "),
        _ => "any JSON".to_owned(),
    };
    let mut words = match (schema["format"].as_str(), schema.get("items")) {
        (Some("date-time"), _) => kind.replacen("string", "RFC 3339 instant", 1),
        (_, Some(items)) => format!("{kind} of {}", form(items)),
        _ => kind,
    };
    let bounds = [
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
        ("minimum", "maximum", ""),
    ];
    for (least, most, unit) in bounds {
        let (least, most) = (schema[least].as_u64(), schema[most].as_u64());
        match (least.unwrap_or(0), most) {
            (least, Some(most)) => words.push_str(&format!(", {least} to {most}{unit}")),
            (least, None) if least > 0 => words.push_str(&format!(", at least {least}{unit}")),
            _ => {}
        }
    }
    words
}

/// A body to start from: the operation's own, or one made from its schema.
fn example(document: &Value, request: &Value) -> Option<Value> {
    let (_, content) = members(request).find(|(media_type, _)| media_type.ends_with("json"))?;
    let own = content.get("example").cloned();
    own.or_else(|| Some(made(document, &content["schema"], 0)))
}

fn made(document: &Value, schema: &Value, depth: usize) -> Value {
    let schema = followed(document, schema);
    if depth > 6 {
        return Value::Null;
    }
    if let Some(only) = schema.get("const").or_else(|| schema.get("example")) {
        return only.clone();
    }
    if let Some(first) = list(&schema["enum"]).next() {
        return first.clone();
    }
    let kind = schema["type"].as_str().or(schema["type"][0].as_str());
    match kind {
        Some("object") => {
            let required: Vec<_> = list(&schema["required"])
                .filter_map(Value::as_str)
                .collect();
            members(&schema["properties"])
                .filter(|(name, _)| required.contains(&name.as_str()))
                .map(|(name, member)| (name.clone(), made(document, member, depth + 1)))
                .collect()
        }
        Some("array") => json!([made(document, &schema["items"], depth + 1)]),
        Some("boolean") => json!(true),
        Some("integer" | "number") => schema["minimum"].as_u64().unwrap_or(1).into(),
        Some("string") => json!("…"),
        _ => match list(&schema["oneOf"]).chain(list(&schema["anyOf"])).next() {
            Some(first) => made(document, first, depth + 1),
            None => json!("…"),
        },
    }
}

/// A line that makes the call, for a shell with the variables that the page names.
fn curl(document: &Value, path: &str, method: &str, operation: &Value) -> String {
    let many = path.contains("{r}") || method == "post";
    let mut path = path.to_owned();
    for (name, stand_in) in [
        ("s", "$S"),
        ("c", if many { "messages" } else { "profile" }),
        ("r", "$R"),
        ("purpose", "newsletter"),
        ("ses", "$SES"),
        ("tok", "$TOK"),
        ("n", "$N"),
        ("b", "$B"),
        ("code", "erased"),
    ] {
        path = path.replace(&format!("{{{name}}}"), stand_in);
    }
    // A line that is tried must not put a policy in force.
    let mut parameters = list(&operation["parameters"]);
    if parameters.any(|parameter| parameter["name"] == "dry_run") {
        path.push_str("?dry_run=true");
    }
    let mut line = format!("curl -s \"$V{path}\"");
    let mut option = |text: &str| {
        line.push_str(" \\\n  ");
        line.push_str(text);
    };
    let request = &operation["requestBody"]["content"];
    let implied = if request.is_object() { "post" } else { "get" };
    if method != implied {
        option(&format!("-X {}", method.to_uppercase()));
    }
    let parameters = || list(&operation["parameters"]);
    let open = list(&operation["security"])
        .any(|way| way.as_object().is_some_and(serde_json::Map::is_empty));
    if !open {
        option("-H \"Authorization: Bearer $KEY\"");
    }
    if parameters().any(|parameter| parameter["name"] == "Vault-Purpose") {
        option("-H 'Vault-Purpose: support'");
    }
    if let Some(example) = example(document, request) {
        option("-H 'Content-Type: application/json'");
        option(&format!(
            "-d '{}'",
            example.to_string().replace('\'', "'\\''")
        ));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_and_every_body_of_the_document_stands_on_the_page() {
        let document = openapi();
        let page = page();
        for (path, method, operation) in operations(&document) {
            let id = text(operation, "operationId");
            assert!(
                page.contains(&format!("<h3 id=\"{id}\">")),
                "{method} {path}"
            );
            assert!(
                page.contains(&format!("<code class=\"path\">{path}</code>")),
                "{path}"
            );
        }
        for (name, _) in members(&document["components"]["schemas"]) {
            assert!(page.contains(&format!("<h3 id=\"body-{name}\">")), "{name}");
        }
    }

    #[test]
    fn every_code_that_the_document_lists_is_linked_to_its_explanation() {
        let page = page();
        for code in crate::code::Code::ALL {
            // Codes of what no call answers yet are explained, and listed with the problems.
            let listed = crate::openapi::text().contains(&format!("`{}`: ", code.name()));
            let linked = page.contains(&format!("href=\"/problems/{}\"", code.name()));
            assert_eq!(linked, listed, "{}", code.name());
        }
    }

    #[test]
    fn a_line_for_the_shell_names_method_bearer_purpose_and_body() {
        let document = openapi();
        let line = |id: &str| {
            let found = operations(&document).find(|(_, _, one)| text(one, "operationId") == id);
            let (path, method, operation) = found.expect("an operation");
            curl(&document, path, method, operation)
        };
        assert_eq!(
            line("patch_single"),
            "curl -s \"$V/v1/subjects/$S/records/profile\" \\\n  -X PATCH \\\n  -H \"Authorization: Bearer $KEY\" \\\n  -H 'Vault-Purpose: support' \\\n  -H 'Content-Type: application/json' \\\n  -d '{\"name\":\"Ann Example\",\"phone\":null}'"
        );
        assert_eq!(line("healthz"), "curl -s \"$V/healthz\"");
        assert!(line("erase_subject").contains("-X DELETE"));
        assert!(!line("create_subject").contains("-X"));
    }
}
