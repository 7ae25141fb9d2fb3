//! The routes: one file a resource.
//!
//! A handler reads its input, names the call that it makes in the vault, and writes the answer.
//! It decides nothing about people.

mod access;
pub(crate) mod admin;
pub(crate) mod ages;
pub(crate) mod ask;
pub(crate) mod backup_work;
pub(crate) mod backups;
pub(crate) mod batch;
pub(crate) mod blobs;
pub(crate) mod breach;
pub(crate) mod bulk;
pub(crate) mod consents;
mod contract;
pub(crate) mod contracts;
pub(crate) mod counts;
pub(crate) mod decisions;
pub(crate) mod dialogue;
pub(crate) mod disclosures;
pub(crate) mod emergencies;
pub(crate) mod evidence;
pub(crate) mod export;
pub(crate) mod holds;
pub(crate) mod import;
pub(crate) mod incidents;
mod jobs;
pub(crate) mod key_slots;
mod keyholder;
pub(crate) mod keys;
pub(crate) mod logs;
pub(crate) mod notices;
pub(crate) mod objections;
mod pickup;
pub(crate) mod policy;
pub(crate) mod pseudonyms;
pub(crate) mod recipient_notices;
mod records;
pub(crate) mod requests;
pub(crate) mod restrictions;
pub(crate) mod sessions;
pub(crate) mod state;
pub(crate) mod statement;
pub(crate) mod subjects;
pub(crate) mod suppressions;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower::util::option_layer;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::code::Code;
use crate::front::{front, on_panic};
use crate::openapi;
use crate::problem::Problem;
use crate::state::App;
use crate::urls;

/// Every route with its description, from which the OpenAPI document is made.
pub(crate) fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::frame())
        .routes(routes!(state::healthz))
        .routes(routes!(state::readyz))
        .routes(routes!(state::status))
        .routes(routes!(state::unlock))
        .routes(routes!(state::lock))
        .routes(routes!(keyholder::begin, keyholder::end))
        .routes(routes!(subjects::create))
        .routes(routes!(subjects::lookup))
        .routes(routes!(subjects::view, subjects::erase))
        .routes(routes!(access::access))
        .routes(routes!(export::export))
        .routes(routes!(import::import))
        .routes(routes!(records::read, records::patch, records::append))
        .routes(routes!(
            records::read_one,
            records::patch_one,
            records::delete_one
        ))
        .routes(routes!(blobs::read, blobs::head, blobs::put, blobs::delete))
        .routes(routes!(
            blobs::read_one,
            blobs::head_one,
            blobs::put_one,
            blobs::delete_one
        ))
        .routes(routes!(bulk::query))
        .routes(routes!(bulk::update))
        .routes(routes!(bulk::purge))
        .routes(routes!(ask::ask))
        .routes(routes!(batch::batch))
        .routes(routes!(sessions::begin, sessions::list))
        .routes(routes!(sessions::end))
        .routes(routes!(emergencies::request, emergencies::list))
        .routes(routes!(emergencies::end))
        .routes(routes!(emergencies::approve))
        .routes(routes!(emergencies::refuse))
        .routes(routes!(emergencies::take))
        .routes(routes!(consents::list))
        .routes(routes!(consents::read, consents::put, consents::withdraw))
        .routes(routes!(consents::receipt))
        .routes(routes!(objections::list))
        .routes(routes!(objections::put, objections::end))
        .routes(routes!(objections::decide))
        .routes(routes!(suppressions::put))
        .routes(routes!(
            restrictions::read,
            restrictions::put,
            restrictions::lift
        ))
        .routes(routes!(dialogue::turn))
        .routes(routes!(requests::list, requests::create))
        .routes(routes!(requests::queue))
        .routes(routes!(requests::read))
        .routes(routes!(requests::approve))
        .routes(routes!(requests::confirm))
        .routes(routes!(requests::step))
        .routes(routes!(decisions::list, decisions::record))
        .routes(routes!(decisions::queue))
        .routes(routes!(decisions::figures))
        .routes(routes!(decisions::read))
        .routes(routes!(decisions::step))
        .routes(routes!(holds::read, holds::put, holds::release))
        .routes(routes!(holds::list))
        .routes(routes!(ages::read, ages::put))
        .routes(routes!(counts::count))
        .routes(routes!(pseudonyms::issue))
        .routes(routes!(pseudonyms::resolve))
        .routes(routes!(contracts::list))
        .routes(routes!(contracts::put, contracts::resume))
        .routes(routes!(disclosures::list, disclosures::record))
        .routes(routes!(recipient_notices::list))
        .routes(routes!(recipient_notices::retry))
        .routes(routes!(recipient_notices::complete))
        .routes(routes!(recipient_notices::impossible))
        .routes(routes!(notices::current))
        .routes(routes!(notices::deliver))
        .routes(routes!(notices::list, notices::record))
        .routes(routes!(policy::read, policy::apply))
        .routes(routes!(policy::versions))
        .routes(routes!(admin::list_keys, admin::create_key))
        .routes(routes!(admin::revoke_key))
        .routes(routes!(admin::rotate_key))
        .routes(routes!(admin::run_retention))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::read, jobs::cancel))
        .routes(routes!(key_slots::list, key_slots::add))
        .routes(routes!(key_slots::remove))
        .routes(routes!(key_slots::test))
        .routes(routes!(key_slots::shares_of))
        .routes(routes!(keys::list))
        .routes(routes!(keys::rotate))
        .routes(routes!(backups::list, backup_work::create))
        .routes(routes!(backup_work::verify))
        .routes(routes!(backup_work::prune))
        .routes(routes!(backup_work::ledger))
        .routes(routes!(backup_work::rekey))
        .routes(routes!(backups::deleted))
        .routes(routes!(evidence::audit))
        .routes(routes!(evidence::key))
        .routes(routes!(evidence::checkpoint))
        .routes(routes!(evidence::proof))
        .routes(routes!(evidence::consistency))
        .routes(routes!(evidence::verify))
        .routes(routes!(evidence::receipt))
        .routes(routes!(incidents::note, incidents::list))
        .routes(routes!(incidents::read))
        .routes(routes!(incidents::step))
        .routes(routes!(breach::scope))
        .routes(routes!(breach::draft))
        .routes(routes!(logs::read, logs::write, logs::purge))
        .routes(routes!(contract::document))
        .routes(routes!(contract::docs))
        .routes(routes!(contract::problems))
        .routes(routes!(contract::problem))
        .routes(routes!(statement::privacy))
        .routes(routes!(statement::privacy_statement))
        .routes(routes!(statement::processing_records))
}

/// The HTTP API over this state, for any listener. It must be served with
/// `into_make_service_with_connect_info::<SocketAddr>()`: without a client address `/v1/unlock`
/// refuses everybody.
pub fn router(app: App) -> Router {
    let (router, _) = documented().split_for_parts();
    let cors = app.settings().cors.layer();
    router
        .route(urls::PICKUP, get(pickup::begin).post(pickup::open))
        .route(urls::PICKUP_CODE, get(pickup::begin).post(pickup::code))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(app.clone())
        .layer(CatchPanicLayer::custom(on_panic))
        .layer(option_layer(cors))
        .layer(from_fn_with_state(app, front))
}

async fn not_found() -> Response {
    Problem::new(Code::NotFound).into_response()
}

async fn method_not_allowed() -> Response {
    Problem::new(Code::MethodNotAllowed).into_response()
}

#[cfg(test)]
pub(crate) mod tests;
