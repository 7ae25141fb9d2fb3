//! The API described by itself: the OpenAPI document, a readable page of it, the problem codes.

use axum::http::header;

use crate::call::Outcome;
use crate::code::Code;
use crate::incoming::Incoming;
use crate::openapi;
use crate::pages;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::urls;

/// These change with the server's version alone.
fn kept(reply: Reply) -> Reply {
    reply.header(header::CACHE_CONTROL, "public, max-age=3600")
}

/// This API as an OpenAPI 3.1 document
#[utoipa::path(get, path = urls::OPENAPI, tag = "contract", operation_id = "openapi", security(()),
    responses((status = 200, description = "The document", body = Object)))]
pub(crate) async fn document() -> Reply {
    let text = openapi::text().as_bytes().to_vec();
    kept(Reply::bytes(200, "application/json", text))
}

/// This API, readable
#[utoipa::path(get, path = urls::DOCS, tag = "contract", operation_id = "docs", security(()),
    responses((status = 200, description = "A page without scripts", body = String, content_type = "text/html")))]
pub(crate) async fn docs() -> Reply {
    kept(pages::reply(200, pages::docs::page().to_owned()))
}

/// Every problem code
#[utoipa::path(get, path = urls::PROBLEMS, tag = "contract", operation_id = "problems", security(()),
    responses((status = 200, description = "A page without scripts", body = String, content_type = "text/html")))]
pub(crate) async fn problems() -> Reply {
    kept(pages::reply(200, pages::problems::list()))
}

/// What a problem code means, why it happens and what to do
#[utoipa::path(get, path = urls::PROBLEM, tag = "contract", operation_id = "problem", security(()),
    responses((status = 200, description = "A page without scripts", body = String, content_type = "text/html")))]
pub(crate) async fn problem(incoming: Incoming) -> Outcome {
    let code = Code::from_name(incoming.parameter("code")).ok_or(Problem::new(Code::NotFound))?;
    Ok(kept(pages::reply(200, pages::problems::one(code))))
}
