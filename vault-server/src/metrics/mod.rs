//! What the server counts: calls, refusals, limits; and everything that it shows.
//!
//! One of these a server, never one a process: tests run several. Every label has a closed set of
//! values: methods of HTTP, templates of routes, statuses, problem codes, limits, streams of the policy. No
//! path, no id, no API key and nothing that a caller sent is among them. [`figures`] turns the plain numbers of the
//! vault and of the process into metrics; [`listener`] shows all of it on a socket of its own.

mod figures;
mod listener;
mod operating;
mod process;

use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::{EncodeLabelSet, prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use vault_core::vault::LogTaken;

use crate::code::Code;
use crate::problem::Problem;
use crate::rate::Limit;
use crate::state::App;

use figures::{Figure, Figures};

pub use listener::MetricsListener;
pub(crate) use listener::private;

/// Upper bounds of a call's time, in seconds: a read takes a fifth of a millisecond, a write one to
/// ten, an unlock about a second.
const SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CodeLabel {
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LimitLabel {
    limit: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LineLabels {
    stream: String,
    result: &'static str,
}

/// What a scraper is shown, in the Prometheus text form.
pub(crate) fn text(app: &App) -> String {
    app.metrics().show(Form::Text, figures::of(app))
}

/// The counters of one server.
pub(crate) struct Metrics {
    calls: Family<CallLabels, Counter>,
    durations: Family<RouteLabel, Histogram, fn() -> Histogram>,
    refusals: Family<CodeLabel, Counter>,
    limited: Family<LimitLabel, Counter>,
    running: Gauge,
    abandoned: Counter,
    bytes_in: Counter,
    bytes_out: Counter,
    log_lines: Family<LineLabels, Counter>,
    started: Timestamp,
}

/// How a call ended.
pub(crate) struct Ended<'a> {
    pub(crate) method: &'static str,
    pub(crate) route: &'a str,
    pub(crate) status: u16,
    pub(crate) problem: Option<&'a Problem>,
    pub(crate) elapsed: Duration,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: Option<u64>,
}

/// A call under way. Where it is dropped before its end, the client has gone.
pub(crate) struct Running {
    metrics: Metrics,
    ended: bool,
}

/// The form of a scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    OpenMetrics,
    Text,
}

impl Metrics {
    /// Counters of a server that starts now.
    pub(crate) fn new(now: Timestamp) -> Self {
        let metrics = Self {
            calls: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            refusals: Family::default(),
            limited: Family::default(),
            running: Gauge::default(),
            abandoned: Counter::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            log_lines: Family::default(),
            started: now,
        };
        // A counter that begins with its first event hides that event from `rate`.
        for code in Code::ALL {
            let _ = metrics
                .refusals
                .get_or_create(&CodeLabel { code: code.name() });
        }
        for limit in Limit::ALL {
            let _ = metrics.limited.get_or_create(&LimitLabel {
                limit: limit.name(),
            });
        }
        metrics
    }

    /// The same counters, for somebody else to count with.
    fn share(&self) -> Self {
        Self {
            calls: self.calls.clone(),
            durations: self.durations.clone(),
            refusals: self.refusals.clone(),
            limited: self.limited.clone(),
            running: self.running.clone(),
            abandoned: self.abandoned.clone(),
            bytes_in: self.bytes_in.clone(),
            bytes_out: self.bytes_out.clone(),
            log_lines: self.log_lines.clone(),
            started: self.started,
        }
    }

    /// A call begins.
    pub(crate) fn begin(&self) -> Running {
        self.running.inc();
        Running {
            metrics: self.share(),
            ended: false,
        }
    }

    /// Lines of a log came, for a stream of the policy. Counts what whoever sent them is told, and so nothing of
    /// who is known.
    pub(crate) fn log_lines(&self, stream: &str, taken: &LogTaken) {
        for (result, lines) in [
            ("taken", taken.accepted - taken.failed),
            ("failed", taken.failed),
            ("dropped", taken.dropped),
        ] {
            let stream = stream.to_owned();
            let labels = LineLabels { stream, result };
            self.log_lines.get_or_create(&labels).inc_by(lines);
        }
    }

    fn end(&self, call: &Ended<'_>) {
        self.calls
            .get_or_create(&CallLabels {
                method: call.method,
                route: call.route.to_owned(),
                status: call.status,
            })
            .inc();
        self.durations
            .get_or_create(&RouteLabel {
                route: call.route.to_owned(),
            })
            .observe(call.elapsed.as_secs_f64());
        if let Some(problem) = call.problem {
            let code = problem.code().name();
            self.refusals.get_or_create(&CodeLabel { code }).inc();
            if let Some(limit) = problem.limit() {
                let limit = limit.name();
                self.limited.get_or_create(&LimitLabel { limit }).inc();
            }
        }
        self.bytes_in.inc_by(call.bytes_in);
        self.bytes_out.inc_by(call.bytes_out.unwrap_or(0));
    }

    /// Counts a refusal for a limit that no problem tells of.
    pub(crate) fn was_limited(&self, limit: Limit) {
        let limit = limit.name();
        self.limited.get_or_create(&LimitLabel { limit }).inc();
    }

    /// All metrics as text: the counters, and these figures.
    fn show(&self, form: Form, figures: Vec<Figure>) -> String {
        let mut registry = Registry::default();
        registry.register(
            "vault_http_requests",
            "Calls that were answered, by method, route template and status",
            self.calls.clone(),
        );
        registry.register(
            "vault_http_request_duration_seconds",
            "Time from a call's head to its answer's head, by route template",
            self.durations.clone(),
        );
        registry.register(
            "vault_http_requests_in_flight",
            "Calls under way",
            self.running.clone(),
        );
        registry.register(
            "vault_http_requests_abandoned",
            "Calls whose client went away before the answer",
            self.abandoned.clone(),
        );
        registry.register(
            "vault_http_request_bytes",
            "Bytes of bodies that were read",
            self.bytes_in.clone(),
        );
        registry.register(
            "vault_http_response_bytes",
            "Bytes of answers whose length was known at their head",
            self.bytes_out.clone(),
        );
        registry.register(
            "vault_refusals",
            "Calls that were refused, by problem code",
            self.refusals.clone(),
        );
        registry.register(
            "vault_rate_limited",
            "Calls that were refused as too often, by limit",
            self.limited.clone(),
        );
        registry.register(
            "vault_log_lines",
            "Lines of other programs' logs that came, by stream and what became of them",
            self.log_lines.clone(),
        );
        registry.register_collector(Box::new(Figures(figures)));
        let mut shown = String::new();
        match form {
            Form::OpenMetrics => text::encode(&mut shown, &registry),
            Form::Text => prometheus_text::encode(&mut shown, &registry),
        }
        .expect("writing to a string does not fail");
        shown
    }
}

impl Running {
    /// The call has its answer.
    pub(crate) fn end(mut self, call: &Ended<'_>) {
        self.ended = true;
        self.metrics.end(call);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.metrics.running.dec();
        if !self.ended {
            self.metrics.abandoned.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended<'a>(problem: Option<&'a Problem>, status: u16) -> Ended<'a> {
        Ended {
            method: "POST",
            route: "/v1/subjects",
            status,
            problem,
            elapsed: Duration::from_millis(3),
            bytes_in: 10,
            bytes_out: Some(20),
        }
    }

    #[track_caller]
    fn shows(metrics: &Metrics, line: &str) {
        let text = metrics.show(Form::Text, Vec::new());
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }

    #[test]
    fn a_call_and_its_refusal_are_counted_once_and_one_that_was_left_is_told_apart() {
        let metrics = Metrics::new(Timestamp::UNIX_EPOCH);
        shows(&metrics, "vault_refusals_total{code=\"locked\"} 0");
        metrics.begin().end(&ended(None, 200));
        let problem = Problem::new(Code::Locked);
        metrics.begin().end(&ended(Some(&problem), 503));
        let problem = Problem::rate_limited(Limit::Person, 1);
        metrics.begin().end(&ended(Some(&problem), 429));
        let left = metrics.begin();
        shows(&metrics, "vault_http_requests_in_flight 1");
        drop(left);
        for line in [
            "vault_http_requests_in_flight 0",
            "vault_http_requests_abandoned_total 1",
            "vault_http_requests_total{method=\"POST\",route=\"/v1/subjects\",status=\"503\"} 1",
            "vault_http_requests_total{method=\"POST\",route=\"/v1/subjects\",status=\"200\"} 1",
            "vault_http_request_duration_seconds_count{route=\"/v1/subjects\"} 3",
            "vault_refusals_total{code=\"locked\"} 1",
            "vault_refusals_total{code=\"rate_limited\"} 1",
            "vault_rate_limited_total{limit=\"person_calls_per_minute\"} 1",
            "vault_rate_limited_total{limit=\"calls_per_second\"} 0",
            "vault_http_request_bytes_total 30",
            "vault_http_response_bytes_total 60",
        ] {
            shows(&metrics, line);
        }
    }

    #[test]
    fn lines_of_logs_are_counted_by_what_became_of_them_each_once() {
        let metrics = Metrics::new(Timestamp::UNIX_EPOCH);
        let taken = LogTaken {
            accepted: 5,
            dropped: 0,
            failed: 2,
            ..LogTaken::default()
        };
        metrics.log_lines("bot", &taken);
        metrics.log_lines("bot", &taken);
        for (result, count) in [("taken", 6), ("failed", 4), ("dropped", 0)] {
            shows(
                &metrics,
                &format!("vault_log_lines_total{{stream=\"bot\",result=\"{result}\"}} {count}"),
            );
        }
    }

    #[test]
    fn a_histogram_of_figures_is_summed_up_from_bucket_to_bucket() {
        let figures = vec![Figure::histogram(
            "vault_commit_changes",
            "Changes in a commit",
            &vault_core::vault::Histogram {
                bounds: &[1, 2],
                counts: vec![3, 2, 1],
                sum: 12,
            },
            1.0,
        )];
        let text = Metrics::new(Timestamp::UNIX_EPOCH).show(Form::OpenMetrics, figures);
        for line in [
            "vault_commit_changes_bucket{le=\"1.0\"} 3",
            "vault_commit_changes_bucket{le=\"2.0\"} 5",
            "vault_commit_changes_bucket{le=\"+Inf\"} 6",
            "vault_commit_changes_sum 12.0",
            "vault_commit_changes_count 6",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
