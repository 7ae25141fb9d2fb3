//! The log: lines on stderr, JSON or text.
//!
//! Knows nothing of calls; `front` writes their lines. Only this project's own targets are let
//! through, because nobody here can promise what a third party's line quotes.

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use vault_core::crypto::memory_lock;

use crate::config::{LogFormat, ServerConfig};
#[cfg(feature = "otel")]
use crate::otel;

/// A subscriber that writes this project's events, from `level` up, to `writer`.
pub fn subscriber<W>(
    format: LogFormat,
    level: tracing::Level,
    writer: W,
) -> impl Subscriber + Send + Sync + for<'a> LookupSpan<'a>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let ours = Targets::new()
        .with_default(LevelFilter::OFF)
        .with_target("vault_server", level)
        .with_target("vault_core", level)
        .with_target("vault_cli", level);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(false);
    let lines = match format {
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
        LogFormat::Text => lines.boxed(),
    };
    // Spans are for traces: a line of text would repeat their fields.
    let events = filter_fn(|metadata| metadata.is_event());
    tracing_subscriber::registry().with(lines.with_filter(ours).with_filter(events))
}

/// Lets what is still on its way leave, when it is dropped.
#[must_use = "traces end with it"]
pub struct Logging {
    #[cfg(feature = "otel")]
    _export: Option<otel::Export>,
}

/// Makes the process log to stderr as configured, and send traces where a collector is. To be called
/// outside any async runtime; the first caller wins, later calls change nothing.
///
/// # Errors
///
/// What the exporter of traces says of its endpoint.
pub fn start(config: &ServerConfig) -> std::io::Result<Logging> {
    let log = subscriber(config.log_format, config.log_level, std::io::stderr);
    #[cfg(feature = "otel")]
    let (log, logging) = {
        let endpoint = config.otel_endpoint.as_deref();
        let export = endpoint.map(otel::Export::to).transpose()?;
        let layer = export.as_ref().map(otel::Export::layer);
        (log.with(layer), Logging { _export: export })
    };
    #[cfg(not(feature = "otel"))]
    let logging = Logging {};
    let _ = log.try_init();
    hide_panics();
    Ok(logging)
}

/// Makes the process log to stderr. The first caller wins: later calls change nothing.
pub fn init(format: LogFormat, level: tracing::Level) {
    let _ = subscriber(format, level, std::io::stderr).try_init();
    hide_panics();
}

/// Replaces the panic message, which may quote a value, by its place in the source. Before the log is
/// started it says nothing at all.
pub fn hide_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let (file, line) = panic
            .location()
            .map_or(("unknown", 0), |place| (place.file(), place.line()));
        tracing::error!(target: "vault_server::panic", file, line, "a defect stopped a call");
    }));
}

/// One line at the start: whether the system locks the pages that keys lie in.
pub(crate) fn memory_of_keys() {
    let figures = memory_lock();
    let limit = figures
        .limit
        .map_or_else(|| "none".to_owned(), |bytes| bytes.to_string());
    if figures.unlocked_bytes == 0 {
        tracing::info!(
            target: "vault_server::memory",
            locked_bytes = figures.locked_bytes,
            limit,
            "keys are locked in memory"
        );
    } else {
        tracing::warn!(
            target: "vault_server::memory",
            locked_bytes = figures.locked_bytes,
            unlocked_bytes = figures.unlocked_bytes,
            limit,
            "not all keys are locked in memory: raise RLIMIT_MEMLOCK (LimitMEMLOCK= in a unit), or encrypt swap"
        );
    }
}
