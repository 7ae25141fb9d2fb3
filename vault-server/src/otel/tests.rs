//! What leaves in a span, seen by an exporter that keeps it.
//!
//! Failure is a span with anything that the client sent, or a span that is missing.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Request};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use parking_lot::Mutex;
use tower::ServiceExt as _;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::router;
use crate::routes::tests::closed_app;

#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().extend(batch);
        Ok(())
    }
}

#[test]
fn a_span_names_route_status_and_code_and_nothing_that_the_client_sent() {
    const ALONE: &str = "OTEL_TEST_RUNS_ALONE";
    // As for the log: whether a span is wanted is decided once for a process.
    if std::env::var_os(ALONE).is_none() {
        let name =
            "otel::tests::a_span_names_route_status_and_code_and_nothing_that_the_client_sent";
        let output = std::process::Command::new(std::env::current_exe().expect("a test binary"))
            .args([name, "--exact"])
            .env(ALONE, "1")
            .output()
            .expect("starts");
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && told.contains("1 passed"),
            "{told}"
        );
        return;
    }
    let kept = Kept::default();
    let export = Export::with(kept.clone());
    let log = tracing_subscriber::registry().with(export.layer());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    tracing::subscriber::with_default(log, || {
        runtime.block_on(async {
            for (method, path, body) in [
                ("GET", "/v1/subjects/annacanary?annacanary=annacanary", ""),
                ("POST", "/v1/subjects", r#"{"annacanary":"annacanary"}"#),
                ("ANNACANARY", "/annacanary", ""),
                ("GET", "/readyz", ""),
            ] {
                let request = Request::builder()
                    .method(method)
                    .uri(path)
                    .header("authorization", "Bearer annacanary")
                    .header("content-type", "application/json")
                    .header("user-agent", "annacanary")
                    .header("tracestate", "annacanary=1")
                    .header("baggage", "name=annacanary")
                    .body(Body::from(body))
                    .expect("a request");
                router(closed_app())
                    .oneshot(request)
                    .await
                    .expect("infallible");
            }
            tracing::info!(target: "vault_server::call", token = "annacanary", "an event");
            tracing::info_span!(target: "hyper", "annacanary").in_scope(|| {});
        });
    });
    drop(export);
    let spans = kept.0.lock();
    let text = format!("{spans:?}");
    assert!(!text.to_lowercase().contains("annacanary"), "{text}");
    let calls: Vec<_> = spans.iter().filter(|span| span.name == "call").collect();
    assert_eq!(calls.len(), 4, "{text}");
    assert!(spans.iter().all(|span| span.events.is_empty()), "{text}");
    let told = |key: &str| {
        let told = calls.iter().map(|span| {
            let mut all = span.attributes.iter();
            let found = all.find(|attribute| attribute.key.as_str() == key);
            found.map_or("none".to_owned(), |found| found.value.to_string())
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(
        told("http.route"),
        ["/v1/subjects/{s}", "/v1/subjects", "none", "/readyz"]
    );
    assert_eq!(told("http.request.method"), ["GET", "POST", "other", "GET"]);
    assert_eq!(
        told("http.response.status_code"),
        ["503", "503", "404", "503"]
    );
    assert_eq!(
        told("vault.code"),
        ["locked", "locked", "not_found", "locked"]
    );
}

#[test]
fn a_trace_is_named_in_the_log_only_where_it_is_well_formed() {
    let read = |text: &'static str| {
        let headers = [(
            axum::http::HeaderName::from_static("traceparent"),
            HeaderValue::from_static(text),
        )];
        trace_id(&HeaderMap::from_iter(headers))
    };
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    assert_eq!(
        read("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").as_deref(),
        Some(trace)
    );
    for text in [
        "",
        "anna",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}
