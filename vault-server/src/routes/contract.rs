//! The API described by itself: the OpenAPI document, a readable page of it, the problem codes.

use std::fmt::Write as _;

use crate::call::Outcome;
use crate::code::Code;
use crate::incoming::Incoming;
use crate::openapi;
use crate::problem::Problem;
use crate::reply::Reply;

/// This API as an OpenAPI 3.1 document
#[utoipa::path(get, path = "/v1/openapi.json", tag = "contract", operation_id = "openapi", security(()),
    responses((status = 200, description = "The document", body = Object)))]
pub(crate) async fn document() -> Reply {
    Reply::bytes(200, "application/json", openapi::text().into_bytes())
}

/// This API, readable
#[utoipa::path(get, path = "/docs", tag = "contract", operation_id = "docs", security(()),
    responses((status = 200, description = "A page without scripts", body = String, content_type = "text/html")))]
pub(crate) async fn docs() -> Reply {
    html(openapi::page())
}

/// What a problem code means and what to do
#[utoipa::path(get, path = "/problems/{code}", tag = "contract", operation_id = "problem", security(()),
    responses((status = 200, description = "A page without scripts", body = String, content_type = "text/html")))]
pub(crate) async fn problem(incoming: Incoming) -> Outcome {
    let code = Code::from_name(incoming.parameter("code")).ok_or(Problem::new(Code::NotFound))?;
    let mut page = openapi::page_head(code.title());
    let _ = write!(
        page,
        "<h1>{}</h1><p><code>{}</code>, status {}, {}.</p><p>{}</p><p><a href=\"/docs\">The API</a></p>",
        openapi::escaped(code.title()),
        code.name(),
        code.status(),
        if code.retryable() {
            "may be repeated unchanged"
        } else {
            "will not succeed unchanged"
        },
        openapi::escaped(code.advice())
    );
    Ok(html(page))
}

fn html(page: String) -> Reply {
    Reply::bytes(200, "text/html; charset=utf-8", page.into_bytes())
}
