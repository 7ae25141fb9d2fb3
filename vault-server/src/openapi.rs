//! The OpenAPI document, made from the handlers, and a page for people made from the document.
//!
//! Knows nothing of how calls are answered. What many operations share (path parameters, headers,
//! problems) is added here once, so that no handler can forget it.

use std::fmt::Write as _;
use std::sync::OnceLock;

use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, ObjectBuilder, OpenApi,
    OpenApiBuilder, Ref, RefOr, Required, ResponseBuilder, Type,
};
use utoipa::{PartialSchema, ToSchema};

use crate::problem::{PROBLEM_JSON, ProblemBody, ProblemPlace};
use crate::routes::documented;

const PATH_PARAMETERS: &[(&str, &str)] = &[
    (
        "s",
        "The person's id, `sub_…`; `self` for the person of a session",
    ),
    ("ses", "The session's name, `ses_…`"),
    ("c", "Name of a collection of the policy"),
    ("r", "The record's id, `rec_…`"),
    ("f", "Name of a field of type `blob`"),
    ("purpose", "Name of a purpose of the policy"),
    ("tok", "Public name of an API key, `tok_…`"),
    ("n", "Number of a key slot"),
    ("entry", "Number of an entry of the log, from 0"),
    ("rcp", "The receipt's id, `rcp_…`"),
    ("code", "A problem code"),
];

/// The document without its paths.
pub(crate) fn frame() -> OpenApi {
    let components = ComponentsBuilder::new()
        .schema("Problem", ProblemBody::schema())
        .schema(ProblemPlace::name(), ProblemPlace::schema())
        .security_scheme(
            "api_key",
            SecurityScheme::Http(
                HttpBuilder::new()
                    .scheme(HttpAuthScheme::Bearer)
                    .bearer_format("vk_…")
                    .build(),
            ),
        )
        .build();
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Vault")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(
                    "An encrypted store for the personal data that chatbots collect. No path and no query carries a personal value.",
                ))
                .license(Some(LicenseBuilder::new().name("Apache-2.0").build()))
                .build(),
        )
        .components(Some(components))
        .security(Some([SecurityRequirement::new(
            "api_key",
            Vec::<String>::new(),
        )]))
        .build()
}

/// The OpenAPI 3.1 document of this API.
#[must_use]
pub fn openapi() -> OpenApi {
    let mut document = documented().into_openapi();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            complete(path, method, operation);
        }
    }
    document
}

/// The document as indented JSON with a last line end, as it is committed and served.
#[must_use]
pub fn text() -> String {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let mut text = serde_json::to_string_pretty(&openapi()).expect("the document serialises");
        text.push('\n');
        text
    })
    .clone()
}

fn operations(item: &mut PathItem) -> Vec<(&'static str, &mut Operation)> {
    [
        ("GET", &mut item.get),
        ("HEAD", &mut item.head),
        ("PUT", &mut item.put),
        ("POST", &mut item.post),
        ("PATCH", &mut item.patch),
        ("DELETE", &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
    .collect()
}

fn complete(path: &str, method: &str, operation: &mut Operation) {
    let mut parameters: Vec<Parameter> = PATH_PARAMETERS
        .iter()
        .filter(|(name, _)| path.contains(&format!("{{{name}}}")))
        .map(|(name, what)| parameter(name, ParameterIn::Path, Required::True, what))
        .collect();
    let header = |name, required, what| parameter(name, ParameterIn::Header, required, what);
    let blobs = path.contains("/blobs/");
    let values = path.contains("/records/") || path.ends_with("/ask") || blobs;
    if values {
        let required = if method == "DELETE" {
            Required::False
        } else {
            Required::True
        };
        parameters.push(header(
            "Vault-Purpose",
            required,
            "What the call is for: a purpose of the policy",
        ));
    }
    let guarded = path.contains("/records/") && matches!(method, "PATCH" | "DELETE");
    if guarded || blobs && matches!(method, "PUT" | "DELETE") {
        parameters.push(header(
            "If-Match",
            Required::False,
            "The revision that `ETag` gave; `*`: the record must exist",
        ));
    }
    if method == "POST" && !matches!(path, "/v1/keyholder" | "/v1/unlock") {
        parameters.push(header(
            "Idempotency-Key",
            Required::False,
            "At most 255 visible ASCII characters; a success is remembered for 24 h",
        ));
    }
    let all = operation.parameters.get_or_insert_with(Vec::new);
    all.splice(0..0, parameters.into_iter().map(RefOr::T));
    if all.is_empty() {
        operation.parameters = None;
    }
    let problem = ResponseBuilder::new()
        .description("A problem (RFC 9457); `code` says which")
        .content(
            PROBLEM_JSON,
            ContentBuilder::new()
                .schema(Some(Ref::from_schema_name("Problem")))
                .build(),
        )
        .build();
    operation
        .responses
        .responses
        .insert("default".to_owned(), RefOr::T(problem));
}

fn parameter(name: &str, within: ParameterIn, required: Required, what: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(within)
        .required(required)
        .description(Some(what))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).build()))
        .build()
}

/// The start of a page of ours: no script, nothing from elsewhere.
pub(crate) fn page_head(title: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{}</title><style>body{{font:16px/1.5 system-ui,sans-serif;max-width:50em;margin:2em auto;padding:0 1em;color:#222;background:#fff}}code,pre{{font:14px ui-monospace,monospace;background:#f2f2f2;padding:.1em .3em}}pre{{padding:1em;overflow:auto}}h2{{border-top:1px solid #ccc;padding-top:1em}}@media(prefers-color-scheme:dark){{body{{color:#ddd;background:#181818}}code,pre{{background:#282828}}a{{color:#8bf}}}}</style>",
        escaped(title)
    )
}

/// Text for HTML, outside and inside of attributes.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// The document as a page for people.
pub(crate) fn page() -> String {
    static PAGE: OnceLock<String> = OnceLock::new();
    PAGE.get_or_init(render).clone()
}

fn render() -> String {
    let mut document = openapi();
    let mut page = page_head("Vault API");
    let _ = write!(
        page,
        "<h1>Vault API</h1><p>{}</p><p><a href=\"/v1/openapi.json\">OpenAPI document</a></p>",
        escaped(document.info.description.as_deref().unwrap_or_default())
    );
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            let _ = write!(page, "<h2><code>{method} {}</code></h2>", escaped(path));
            let texts = [&operation.summary, &operation.description];
            for text in texts.into_iter().flatten() {
                let _ = write!(page, "<p>{}</p>", escaped(text));
            }
            let parameters = operation.parameters.iter().flatten();
            for parameter in parameters {
                let RefOr::T(parameter) = parameter else {
                    continue;
                };
                let _ = write!(
                    page,
                    "<div><code>{}</code> {}</div>",
                    escaped(&parameter.name),
                    escaped(parameter.description.as_deref().unwrap_or_default())
                );
            }
            for (status, response) in &operation.responses.responses {
                if let RefOr::T(response) = response {
                    let _ = write!(
                        page,
                        "<div>{}: {}</div>",
                        escaped(status),
                        escaped(&response.description)
                    );
                }
            }
        }
    }
    page.push_str("<h2>Bodies</h2>");
    for (name, schema) in document.components.iter().flat_map(|all| &all.schemas) {
        let schema = serde_json::to_string_pretty(schema).expect("schemas serialise");
        let _ = write!(
            page,
            "<h3 id=\"{0}\">{0}</h3><pre>{1}</pre>",
            escaped(name),
            escaped(&schema)
        );
    }
    page.push_str("<h2>Problems</h2><ul>");
    for code in crate::code::Code::ALL {
        let _ = write!(
            page,
            "<li><a href=\"/problems/{0}\"><code>{0}</code></a> {1}: {2}</li>",
            code.name(),
            code.status(),
            escaped(code.title())
        );
    }
    page.push_str("</ul></html>");
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_committed_document_is_the_one_that_the_code_makes() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(&path, text()).expect("docs can be written");
        }
        let committed = std::fs::read_to_string(&path).expect("docs/openapi.json is there");
        assert!(
            committed == text(),
            "docs/openapi.json is old: run the test with UPDATE_OPENAPI=1"
        );
    }

    #[test]
    fn every_reference_in_the_document_leads_somewhere() {
        let document = serde_json::to_value(openapi()).expect("serialises");
        let mut missing = Vec::new();
        visit(&document, &mut |reference| {
            let pointer = reference.trim_start_matches('#');
            if document.pointer(pointer).is_none() {
                missing.push(reference.to_owned());
            }
        });
        assert_eq!(missing, Vec::<String>::new());
    }

    fn visit(node: &serde_json::Value, found: &mut impl FnMut(&str)) {
        match node {
            serde_json::Value::Object(members) => {
                for (name, member) in members {
                    match (name.as_str(), member.as_str()) {
                        ("$ref", Some(reference)) => found(reference),
                        _ => visit(member, found),
                    }
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| visit(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_operation_names_its_path_parameters_its_problem_and_itself() {
        let mut names = std::collections::BTreeSet::new();
        for (path, item) in &mut openapi().paths.paths {
            for (method, operation) in operations(item) {
                let parameters = operation.parameters.iter().flatten();
                let within_path = parameters
                    .filter(|parameter| match parameter {
                        RefOr::T(parameter) => parameter.parameter_in == ParameterIn::Path,
                        RefOr::Ref(_) => false,
                    })
                    .count();
                assert_eq!(within_path, path.matches('{').count(), "{method} {path}");
                assert!(operation.responses.responses.contains_key("default"));
                assert!(operation.summary.is_some(), "{method} {path}");
                assert!(names.insert(operation.operation_id.clone()), "{path}");
            }
        }
    }

    #[test]
    fn the_page_runs_no_script_and_loads_nothing_from_elsewhere() {
        let page = page();
        for forbidden in ["<script", "src=", "http://", "https://", "@import", "url("] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        assert!(page.contains("/v1/subjects/{s}/records/{c}"));
    }
}
