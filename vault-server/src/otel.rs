//! Traces of calls for OpenTelemetry, with the feature `otel`; nothing without it.
//!
//! A span says what the log line says and less: method, route template, status, problem code. No
//! path, no id, no API key, no header, no address. Only spans made in this file are exported: not
//! the events of the log, and nothing of a third party.

use axum::http::HeaderMap;
use tracing::Span;

/// The target of every span that may be exported.
#[cfg(feature = "otel")]
const TARGET: &str = "vault_server::span";

/// The span of one call.
#[cfg(feature = "otel")]
pub(crate) fn call(method: &'static str, route: &str) -> Span {
    tracing::info_span!(
        target: TARGET,
        "call",
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        http.response.status_code = tracing::field::Empty,
        vault.code = tracing::field::Empty,
    )
}

/// No span.
#[cfg(not(feature = "otel"))]
pub(crate) fn call(_: &'static str, _: &str) -> Span {
    Span::none()
}

/// The call has its answer.
pub(crate) fn answered(span: &Span, status: u16, code: Option<&'static str>) {
    span.record("http.response.status_code", status);
    if let Some(code) = code {
        span.record("vault.code", code);
    }
}

/// The span of a call's work in the vault, once it has its place.
#[cfg(feature = "otel")]
pub(crate) fn work() -> Span {
    tracing::info_span!(target: TARGET, "work")
}

/// No span.
#[cfg(not(feature = "otel"))]
pub(crate) fn work() -> Span {
    Span::none()
}

/// The trace that a caller says the call belongs to, if it is well-formed (W3C Trace Context §3.2).
/// For the log alone: our own ids are never a caller's.
#[cfg(feature = "otel")]
pub(crate) fn trace_id(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all("traceparent").iter();
    let text = values.next()?.to_str().ok()?;
    let hex = |text: &str, length: usize| {
        text.len() == length
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            && text.bytes().any(|byte| byte != b'0')
    };
    let mut parts = text.split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let fits = version == "00"
        && hex(trace, 32)
        && hex(span, 16)
        && flags.len() == 2
        && flags.bytes().all(|byte| byte.is_ascii_hexdigit())
        && parts.next().is_none()
        && values.next().is_none();
    fits.then(|| trace.to_owned())
}

/// Callers name no traces.
#[cfg(not(feature = "otel"))]
pub(crate) fn trace_id(_: &HeaderMap) -> Option<String> {
    None
}

#[cfg(feature = "otel")]
mod export {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing::Subscriber;
    use tracing_subscriber::Layer;
    use tracing_subscriber::filter::{LevelFilter, filter_fn};
    use tracing_subscriber::registry::LookupSpan;

    /// Sends spans as they end; what is not sent yet is sent when this is dropped.
    pub(crate) struct Export(SdkTracerProvider);

    impl Export {
        /// To a collector at `endpoint`, over HTTP. To be called outside any async runtime.
        ///
        /// # Errors
        ///
        /// What the exporter says of the endpoint.
        pub(crate) fn to(endpoint: &str) -> std::io::Result<Self> {
            let exporter = SpanExporter::builder()
                .with_http()
                .with_protocol(Protocol::HttpBinary)
                .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
                .build()
                .map_err(std::io::Error::other)?;
            let provider = SdkTracerProvider::builder().with_batch_exporter(exporter);
            Ok(Self(provider.with_resource(resource()).build()))
        }

        #[cfg(test)]
        pub(super) fn with(
            exporter: impl opentelemetry_sdk::trace::SpanExporter + 'static,
        ) -> Self {
            let provider = SdkTracerProvider::builder().with_simple_exporter(exporter);
            Self(provider.with_resource(resource()).build())
        }

        /// The part of a subscriber that takes this file's spans.
        pub(crate) fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
        where
            S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
        {
            tracing_opentelemetry::layer()
                .with_tracer(self.0.tracer("vault-server"))
                .with_location(false)
                .with_threads(false)
                .with_target(false)
                .with_filter(
                    filter_fn(|metadata| metadata.is_span() && metadata.target() == super::TARGET)
                        // So that lines of others below it are not even looked at.
                        .with_max_level_hint(LevelFilter::INFO),
                )
        }
    }

    impl Drop for Export {
        fn drop(&mut self) {
            // A collector that is gone keeps nobody from stopping.
            let _ = self.0.shutdown();
        }
    }

    /// Who sends: the program and its version, and nothing of the machine.
    fn resource() -> Resource {
        Resource::builder_empty()
            .with_service_name("vault-server")
            .with_attribute(opentelemetry::KeyValue::new(
                "service.version",
                env!("CARGO_PKG_VERSION"),
            ))
            .build()
    }
}

#[cfg(feature = "otel")]
pub(crate) use export::Export;

#[cfg(all(test, feature = "otel"))]
mod tests;
