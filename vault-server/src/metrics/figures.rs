//! Plain numbers of others, turned into metrics at each scrape.
//!
//! A source is a function here that takes the numbers of one part of the server and gives
//! [`Figure`]s; [`of`] lists the sources. What is not known now, because the vault is locked or the
//! system does not say, is left out rather than shown as nought.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use vault_core::request::RequestKind;
use vault_core::vault::{Figures as VaultFigures, Histogram, RequestFigures};

use super::{operating, process};
use crate::connection::ConnectionFigures;
use crate::places::Taken;
use crate::state::App;
use crate::webhook::{Webhook, WebhookFigures};

const MICROSECONDS_PER_SECOND: f64 = 1e6;

/// One metric without labels, or one of several that share a name.
#[derive(Debug)]
pub(super) struct Figure {
    name: &'static str,
    help: &'static str,
    value: Value,
}

/// Labels, and the number for them.
pub(super) type Labelled = Vec<(Vec<(&'static str, &'static str)>, u64)>;

#[derive(Debug)]
enum Value {
    Counter(u64),
    /// Of seconds.
    CounterOf(f64),
    Gauge(f64),
    Histogram {
        sum: f64,
        count: u64,
        buckets: Vec<(f64, u64)>,
    },
    /// One for each set of labels, whose values are closed sets.
    Gauges(Labelled),
    /// The same of numbers that only grow.
    Counters(Labelled),
    /// Always 1; the label says what.
    Info(&'static str, &'static str),
}

impl Figure {
    /// A number that only grows; `name` without its `_total`.
    pub(super) fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        let value = Value::Counter(value);
        Self { name, help, value }
    }

    /// A time that only grows; `name` without its `_total`.
    pub(super) fn counter_of(name: &'static str, help: &'static str, value: f64) -> Self {
        let value = Value::CounterOf(value);
        Self { name, help, value }
    }

    /// A number that goes up and down.
    pub(super) fn gauge(name: &'static str, help: &'static str, value: u64) -> Self {
        // Exact up to 2^53, which no count of bytes or people here comes near.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        let value = Value::Gauge(value as f64);
        Self { name, help, value }
    }

    /// 1 where it is so, else 0.
    pub(super) fn flag(name: &'static str, help: &'static str, so: bool) -> Self {
        Self::gauge(name, help, so.into())
    }

    /// A number that goes up and down, for each of these labels.
    pub(super) fn gauges(name: &'static str, help: &'static str, rows: Labelled) -> Self {
        let value = Value::Gauges(rows);
        Self { name, help, value }
    }

    /// A number that only grows, for each of these labels; `name` without its `_total`.
    pub(super) fn counters(name: &'static str, help: &'static str, rows: Labelled) -> Self {
        let value = Value::Counters(rows);
        Self { name, help, value }
    }

    /// How a quantity is spread, so many of whose units make one of the metric's.
    pub(super) fn histogram(
        name: &'static str,
        help: &'static str,
        histogram: &Histogram,
        units: f64,
    ) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "as for a gauge")]
        let scaled = |number: u64| number as f64 / units;
        let bounds = histogram.bounds.iter().map(|bound| scaled(*bound));
        let buckets = bounds.chain([f64::INFINITY]);
        let value = Value::Histogram {
            sum: scaled(histogram.sum),
            count: histogram.counts.iter().sum(),
            buckets: buckets.zip(histogram.counts.iter().copied()).collect(),
        };
        Self { name, help, value }
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Self { name, help, value } = self;
        let metric_type = match value {
            Value::Counter(_) | Value::CounterOf(_) | Value::Counters(_) => MetricType::Counter,
            Value::Gauge(_) | Value::Gauges(_) => MetricType::Gauge,
            Value::Histogram { .. } => MetricType::Histogram,
            Value::Info(..) => MetricType::Info,
        };
        let mut metric = encoder.encode_descriptor(name, help, None, metric_type)?;
        match value {
            Value::Counter(value) => metric.encode_counter::<NoLabelSet, _, u64>(value, None),
            Value::CounterOf(value) => metric.encode_counter::<NoLabelSet, _, u64>(value, None),
            Value::Gauge(value) => metric.encode_gauge(value),
            Value::Histogram {
                sum,
                count,
                buckets,
            } => metric.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None),
            Value::Gauges(rows) => rows.iter().try_for_each(|(labels, value)| {
                #[expect(clippy::cast_precision_loss, reason = "as for a gauge")]
                let value = *value as f64;
                metric.encode_family(labels)?.encode_gauge(&value)
            }),
            Value::Counters(rows) => rows.iter().try_for_each(|(labels, value)| {
                let mut one = metric.encode_family(labels)?;
                one.encode_counter::<NoLabelSet, _, u64>(value, None)
            }),
            Value::Info(label, said) => metric.encode_info(&[(*label, *said)]),
        }
    }
}

/// The figures of one scrape.
#[derive(Debug)]
pub(super) struct Figures(pub(super) Vec<Figure>);

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|figure| figure.encode(&mut encoder))
    }
}

/// Every source. A further one is a further line here. Reads files' sizes and `/proc`.
pub(super) fn of(app: &App) -> Vec<Figure> {
    let vault = app.vault();
    let mut figures = vec![
        Figure {
            name: "vault_build",
            help: "Always 1; says which version runs",
            value: Value::Info("version", env!("CARGO_PKG_VERSION")),
        },
        Figure::flag(
            "vault_locked",
            "Whether the vault holds no keys",
            vault.is_none(),
        ),
    ];
    figures.extend(places(&app.places().taken()));
    figures.extend(of_connections(app.connections()));
    let alarm = app.settings().alarm.as_ref();
    figures.extend(webhook(alarm.map(Webhook::figures).unwrap_or_default()));
    let codes = app.settings().codes.as_ref();
    let codes = codes.map(|codes| codes.figures());
    figures.extend(operating::codes(&codes.unwrap_or_default()));
    figures.extend(operating::policy_file(app.policy_reloads()));
    if let Some(vault) = vault {
        figures.extend(of_vault(&vault.figures()));
        figures.extend(operating::jobs(&vault.jobs().counts()));
        figures.extend(operating::pickups(&vault.pickup_figures()));
        let telling = app.telling().figures();
        figures.extend(operating::recipients(&telling, app.settings().clock.now()));
        if let Some(backups) = app.backup_figures(&vault) {
            figures.extend(operating::backups(&backups));
        }
    }
    figures.extend(process::figures());
    let started = app.metrics().started.as_second();
    figures.push(Figure::gauge(
        "process_start_time_seconds",
        "When the server started, in seconds since 1970",
        u64::try_from(started).unwrap_or(0),
    ));
    figures
}

fn of_connections(connections: &ConnectionFigures) -> Vec<Figure> {
    let ConnectionFigures {
        accepted,
        open,
        refused_full,
        refused_peer,
        accept_errors,
        handshake_failures,
        handshake_timeouts,
        header_timeouts,
        heads_too_large,
        body_timeouts,
        write_timeouts,
        idle_closed,
        protocol_errors,
        certificate_reloads,
        certificate_reload_failures,
        certificate_expires_at,
    } = connections;
    let counter = |name, help, figure: &AtomicU64| {
        Figure::counter(name, help, figure.load(Ordering::Relaxed))
    };
    let mut figures = vec![
        counter(
            "vault_connections_accepted",
            "Connections let in, before any handshake",
            accepted,
        ),
        Figure::gauge(
            "vault_connections_open",
            "Connections that are open, those in a handshake included",
            open.load(Ordering::Relaxed),
        ),
        counter(
            "vault_connections_refused_full",
            "Connections refused for limits.connections",
            refused_full,
        ),
        counter(
            "vault_connections_refused_peer",
            "Connections refused for limits.connections_per_peer",
            refused_peer,
        ),
        counter(
            "vault_accept_errors",
            "Times that the system could not hand over a connection",
            accept_errors,
        ),
        counter(
            "vault_handshake_failures",
            "TLS handshakes that failed",
            handshake_failures,
        ),
        counter(
            "vault_handshake_timeouts",
            "TLS handshakes not done in time",
            handshake_timeouts,
        ),
        counter(
            "vault_header_timeouts",
            "Connections whose request had no whole head in time",
            header_timeouts,
        ),
        counter(
            "vault_heads_too_large",
            "Heads of requests refused for their size",
            heads_too_large,
        ),
        counter(
            "vault_body_timeouts",
            "Bodies of requests that stood still or took too long",
            body_timeouts,
        ),
        counter(
            "vault_write_timeouts",
            "Connections whose client did not take its answer",
            write_timeouts,
        ),
        counter(
            "vault_idle_closed",
            "Connections closed for want of a call",
            idle_closed,
        ),
        counter(
            "vault_protocol_errors",
            "Connections ended for what is no HTTP, floods of resets among it",
            protocol_errors,
        ),
        counter(
            "vault_tls_certificate_reloads",
            "Certificates that a reload put in force",
            certificate_reloads,
        ),
        counter(
            "vault_tls_certificate_reload_failures",
            "Reloads that left the certificate before in force",
            certificate_reload_failures,
        ),
    ];
    let end = certificate_expires_at.load(Ordering::Relaxed);
    // Nought is no certificate: without TLS there is none that could end.
    if let Some(end) = u64::try_from(end).ok().filter(|end| *end != 0) {
        figures.push(Figure::gauge(
            "vault_tls_certificate_expiry_timestamp_seconds",
            "When the certificate in force ends, in seconds since 1970",
            end,
        ));
    }
    figures
}

fn webhook(figures: WebhookFigures) -> Vec<Figure> {
    let WebhookFigures {
        delivered,
        failed,
        dead,
        waiting,
    } = figures;
    vec![
        Figure::counter(
            "vault_webhook_delivered",
            "Messages that the receiver of alarms took",
            delivered,
        ),
        Figure::counter(
            "vault_webhook_failures",
            "Tries that the receiver of alarms did not take",
            failed,
        ),
        Figure::counter(
            "vault_webhook_dead_letters",
            "Messages given up: nobody was told",
            dead,
        ),
        Figure::gauge(
            "vault_webhook_waiting",
            "Messages that wait for a try",
            waiting,
        ),
    ]
}

fn places(taken: &Taken) -> Vec<Figure> {
    let Taken {
        ordinary,
        reserve,
        waiting,
    } = *taken;
    vec![
        Figure::gauge(
            "vault_places_taken",
            "Calls that run in the vault, of at most limits.in_flight",
            ordinary as u64,
        ),
        Figure::gauge(
            "vault_reserve_taken",
            "Erasures and withdrawals that run in places kept for them",
            reserve as u64,
        ),
        Figure::gauge(
            "vault_places_waiting",
            "Calls that wait for a place",
            waiting as u64,
        ),
    ]
}

fn of_vault(vault: &VaultFigures) -> Vec<Figure> {
    let VaultFigures {
        commits,
        commit_microseconds,
        commit_changes,
        waiting,
        recoveries,
        people,
        erased,
        epoch,
        audit_entries,
        ledger_entries,
        policy_version,
        journal_bytes,
        journal_entries,
        index_stale_seconds,
        sweep_overdue_people,
        sweep_age_seconds,
        disk_full,
        honey_accesses,
        breakglass_steps,
        incidents_waiting,
        incidents_overdue,
        clock_leads,
        bytes_on_disk,
        suppressions,
        requests,
        decisions,
        backups,
        now,
    } = vault;
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let seconds = |number: i64| u64::try_from(number).unwrap_or(0);
    let horizon = backups.erasure_horizon.duration_since(*now).as_secs();
    let completed = backups.last_completed_at.map_or(0, Timestamp::as_second);
    let mut figures = of_requests(requests);
    figures.extend([
        Figure::gauge(
            "vault_decision_reviews_open",
            "Decisions that a human is to look at",
            decisions.open,
        ),
        Figure::gauge(
            "vault_decision_reviews_overdue",
            "Decisions that a human was to look at by now",
            decisions.overdue,
        ),
    ]);
    figures.extend([
        Figure::counter(
            "vault_honey_accesses",
            "Times that somebody met a person who does not exist",
            *honey_accesses,
        ),
        Figure::gauge(
            "vault_incidents_waiting",
            "Breaches of which the authority is still to be told",
            *incidents_waiting,
        ),
        Figure::gauge(
            "vault_incidents_overdue",
            "Breaches of which the authority ought to have been told by now",
            *incidents_overdue,
        ),
        Figure::gauge(
            "vault_suppressions",
            "Addresses on the suppression list, as the sweeper last saw it",
            *suppressions,
        ),
        Figure::counters(
            "vault_breakglass_steps",
            "Steps of emergency access that were taken",
            breakglass_steps
                .iter()
                .map(|(action, count)| {
                    let step = action.trim_start_matches("breakglass.");
                    (vec![("step", step)], *count)
                })
                .collect(),
        ),
        Figure::counter(
            "vault_commits",
            "Durable commits since the vault was opened",
            *commits,
        ),
        Figure::histogram(
            "vault_commit_duration_seconds",
            "Time of a commit, from the first change run to the disk's answer",
            commit_microseconds,
            MICROSECONDS_PER_SECOND,
        ),
        Figure::histogram(
            "vault_commit_changes",
            "Changes in a commit",
            commit_changes,
            1.0,
        ),
        Figure::gauge(
            "vault_writer_queue",
            "Changes that wait for the writer",
            *waiting,
        ),
        Figure::counter(
            "vault_recoveries",
            "Recoveries after an error of disk or anchor, since the vault was opened",
            *recoveries,
        ),
        Figure::gauge("vault_people", "People who are not erased", *people),
        Figure::counter(
            "vault_erasures",
            "People who were erased since the vault was made",
            *erased,
        ),
        Figure::gauge(
            "vault_anchor_epoch",
            "The anchor's epoch; each commit that erases adds one",
            *epoch,
        ),
        Figure::counter(
            "vault_audit_entries",
            "Entries of the evidence log since the vault was made",
            *audit_entries,
        ),
        Figure::counter(
            "vault_ledger_entries",
            "Entries of the erasure ledger since the vault was made",
            *ledger_entries,
        ),
        Figure::gauge(
            "vault_policy_version",
            "Number of the policy in force",
            u64::from(*policy_version),
        ),
        Figure::gauge(
            "vault_journal_bytes",
            "Length of the read journal",
            *journal_bytes,
        ),
        Figure::gauge(
            "vault_journal_entries",
            "Reads that the evidence log does not have yet",
            *journal_entries,
        ),
        Figure::gauge(
            "vault_index_stale_seconds",
            "How long the look-up index has waited to be built anew; 0 where nothing waits",
            *index_stale_seconds,
        ),
        Figure::gauge(
            "vault_sweep_overdue_people",
            "People with work later than promised, when the sweeper last came round",
            *sweep_overdue_people,
        ),
        Figure::gauge(
            "vault_sweep_age_seconds",
            "Time since the sweeper last came round to everybody",
            *sweep_age_seconds,
        ),
        Figure::flag(
            "vault_disk_full",
            "Whether nothing but erasures is committed for want of room",
            *disk_full,
        ),
        Figure::flag(
            "vault_clock_leads",
            "Whether the clock is too far ahead to be believed, so that nothing expires",
            *clock_leads,
        ),
        Figure::gauge(
            "vault_store_bytes",
            "Size of all files of the vault",
            *bytes_on_disk,
        ),
        Figure::gauge(
            "vault_backup_last_completed_timestamp_seconds",
            "When a backup with a data part was last whole; 0 where none ever was",
            seconds(completed),
        ),
        Figure::gauge(
            "vault_backup_key_parts",
            "Key parts of backups that are not verified deleted",
            count(backups.key_parts),
        ),
        Figure::gauge(
            "vault_backup_key_parts_overdue",
            "Key parts of backups that should be gone by now and are not verified deleted",
            count(backups.overdue),
        ),
        Figure::gauge(
            "vault_erasure_horizon_seconds",
            "For how long somebody erased now could still be brought back from a backup; 0 where not",
            seconds(horizon),
        ),
    ]);
    figures
}

fn of_requests(requests: &RequestFigures) -> Vec<Figure> {
    let open = RequestKind::ALL.iter().map(|kind| {
        let count = requests.open.get(kind).copied().unwrap_or(0);
        (vec![("type", kind.name())], count)
    });
    let mut figures = vec![
        Figure::gauges(
            "vault_requests_open",
            "Requests of people that are not answered, by right",
            open.collect(),
        ),
        Figure::gauge(
            "vault_requests_overdue",
            "Requests of people whose strict end is over",
            requests.overdue,
        ),
    ];
    figures.extend(requests.next_due_days.map(|days| Figure {
        name: "vault_request_next_due_days",
        help: "Days until the next strict end of an open request; below 0 when it is over",
        value: Value::Gauge(f64::from(days)),
    }));
    figures
}
