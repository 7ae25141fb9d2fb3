//! What the clients did and saw, beside what the server counted.
//!
//! Whoever does something enters by how much it must move a counter of the server's, at least and at
//! most: the same where the client saw how it ended, else from nothing up. Failure is a counter
//! outside of what all entries together allow, one that nobody moved among them. Knows the names of
//! metrics and nothing else of the server.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Connections that the system opened for the clients.
pub(super) const CONNECTIONS: &str = "connections";
/// Calls with a whole head, answered or left.
pub(super) const CALLS: &str = "calls";
/// Calls whose body did not come whole, answered or left.
pub(super) const BODIES_BROKEN: &str = "bodies that broke off";
/// TLS handshakes that came to nothing.
pub(super) const HANDSHAKES: &str = "handshakes in vain";
/// Connections refused for their number, or whose handshake came to nothing: which of the two a
/// client that went away cannot tell.
const TURNED_AWAY: &str = "refused or in vain";
pub(super) const HANDSHAKE_TIMEOUTS: &str = "vault_handshake_timeouts_total";
pub(super) const REFUSED_PEER: &str = "vault_connections_refused_peer_total";
pub(super) const HEADER_TIMEOUTS: &str = "vault_header_timeouts_total";
pub(super) const HEADS_TOO_LARGE: &str = "vault_heads_too_large_total";
pub(super) const BODY_TIMEOUTS: &str = "vault_body_timeouts_total";
pub(super) const WRITE_TIMEOUTS: &str = "vault_write_timeouts_total";
pub(super) const PROTOCOL_ERRORS: &str = "vault_protocol_errors_total";
pub(super) const ABANDONED: &str = "vault_http_requests_abandoned_total";

/// Each quantity, and the metrics that make it up: all samples of a name, or one with its labels.
const SUMS: [(&str, &[&str]); 17] = [
    (
        CONNECTIONS,
        &[
            "vault_connections_accepted_total",
            "vault_connections_refused_full_total",
            REFUSED_PEER,
        ],
    ),
    (BODIES_BROKEN, &[MALFORMED, ABANDONED]),
    (CALLS, &["vault_http_requests_total", ABANDONED]),
    (
        HANDSHAKES,
        &["vault_handshake_failures_total", HANDSHAKE_TIMEOUTS],
    ),
    (
        TURNED_AWAY,
        &[
            "vault_handshake_failures_total",
            HANDSHAKE_TIMEOUTS,
            REFUSED_PEER,
        ],
    ),
    (HANDSHAKE_TIMEOUTS, &[HANDSHAKE_TIMEOUTS]),
    (REFUSED_PEER, &[REFUSED_PEER]),
    (HEADER_TIMEOUTS, &[HEADER_TIMEOUTS]),
    (HEADS_TOO_LARGE, &[HEADS_TOO_LARGE]),
    (BODY_TIMEOUTS, &[BODY_TIMEOUTS]),
    (WRITE_TIMEOUTS, &[WRITE_TIMEOUTS]),
    (PROTOCOL_ERRORS, &[PROTOCOL_ERRORS]),
    (ABANDONED, &[ABANDONED]),
    (
        "vault_connections_refused_full_total",
        &["vault_connections_refused_full_total"],
    ),
    ("vault_accept_errors_total", &["vault_accept_errors_total"]),
    ("vault_recoveries_total", &["vault_recoveries_total"]),
    (RATE_LIMITED, &["vault_rate_limited_total"]),
];
/// Nothing in a soak is malformed but bodies that end too soon.
const MALFORMED: &str = "vault_refusals_total{code=\"malformed\"}";
const RATE_LIMITED: &str = "vault_rate_limited_total";

/// The counter of refusals with a problem code.
pub(super) fn refusals(code: &str) -> String {
    format!("vault_refusals_total{{code=\"{code}\"}}")
}

/// What all clients together allow.
#[derive(Default)]
pub(super) struct Balance(BTreeMap<String, (u64, u64)>);

impl Balance {
    /// This must have been counted so often.
    pub(super) fn must(&mut self, counter: &str, times: u64) {
        self.add(counter, times, times);
    }

    /// This may have been counted up to so often.
    pub(super) fn may(&mut self, counter: &str, times: u64) {
        self.add(counter, 0, times);
    }

    /// A refusal that a client saw.
    pub(super) fn refused(&mut self, code: &str) {
        self.must(&refusals(code), 1);
        if code == "rate_limited" {
            self.must(RATE_LIMITED, 1);
        }
    }

    /// So many calls may have been refused with one of these, and nobody listened.
    pub(super) fn may_be_refused(&mut self, codes: &[&str], times: u64) {
        for code in codes {
            self.may(&refusals(code), times);
            if *code == "rate_limited" {
                self.may(RATE_LIMITED, times);
            }
        }
    }

    /// So many connections were refused for their number, or their handshakes were in vain.
    pub(super) fn turned_away(&mut self, times: u64) {
        self.add_one(HANDSHAKES, 0, times);
        self.add_one(REFUSED_PEER, 0, times);
        self.add_one(TURNED_AWAY, times, times);
    }

    fn add(&mut self, counter: &str, least: u64, most: u64) {
        self.add_one(counter, least, most);
        if [HANDSHAKES, REFUSED_PEER].contains(&counter) {
            self.add_one(TURNED_AWAY, least, most);
        }
    }

    fn add_one(&mut self, counter: &str, least: u64, most: u64) {
        let entry = self.0.entry(counter.to_owned()).or_default();
        entry.0 += least;
        entry.1 += most;
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (counter, (least, most)) in other.0 {
            self.add_one(&counter, least, most);
        }
    }

    /// The table for people, and every counter that is not as it must be.
    pub(super) fn compare(&self, metrics: &str) -> (String, Vec<String>) {
        let mut text = format!(
            "\n{:<52}{:>10}{:>10}{:>10}\n",
            "counter", "at least", "at most", "counted"
        );
        let mut wrongs = Vec::new();
        for (counter, counted) in counted(metrics) {
            let (least, most) = self.0.get(&counter).copied().unwrap_or_default();
            if (least, most, counted) != (0, 0, 0) {
                let _ = writeln!(text, "{counter:<52}{least:>10}{most:>10}{counted:>10}");
            }
            if !(least..=most).contains(&counted) {
                wrongs.push(format!(
                    "{counter}: {counted} were counted, where from {least} to {most} must be"
                ));
            }
        }
        (text, wrongs)
    }

    /// Which of these counters nobody must have moved.
    pub(super) fn never<'a>(&self, counters: &'a [String]) -> Vec<&'a str> {
        let least = |counter: &str| self.0.get(counter).map_or(0, |bounds| bounds.0);
        let never = counters.iter().filter(|counter| least(counter) == 0);
        never.map(String::as_str).collect()
    }
}

/// The value of every quantity.
fn counted(metrics: &str) -> Vec<(String, u64)> {
    let samples: Vec<_> = metrics.lines().filter_map(sample).collect();
    let sum = |names: &[&str]| {
        let those = samples.iter().filter(|(name, labels, _)| {
            names.contains(name) || names.contains(&&*format!("{name}{labels}"))
        });
        those.map(|(.., value)| value).sum()
    };
    let sums = SUMS.map(|(quantity, names)| (quantity.to_owned(), sum(names)));
    let codes = samples
        .iter()
        .filter(|(name, ..)| *name == "vault_refusals_total");
    let codes = codes.map(|(name, labels, value)| (format!("{name}{labels}"), *value));
    sums.into_iter().chain(codes).collect()
}

/// Name, labels with their braces, value.
fn sample(line: &str) -> Option<(&str, &str, u64)> {
    let (metric, value) = line.rsplit_once(' ').filter(|_| !line.starts_with('#'))?;
    let labels = metric.find('{').unwrap_or(metric.len());
    // Counters are whole numbers; gauges are not asked for.
    let value = value.parse::<f64>().ok()? as u64;
    Some((&metric[..labels], &metric[labels..], value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrongs(balance: &Balance, metrics: &str) -> usize {
        balance.compare(metrics).1.len()
    }

    #[test]
    fn a_server_that_counts_too_few_or_too_many_is_found_out() {
        let mut balance = Balance::default();
        (0..3).for_each(|_| balance.refused("too_large"));
        balance.may_be_refused(&["too_large"], 1);
        let metrics = |count| {
            format!("# HELP x y\nvault_refusals_total{{code=\"too_large\"}} {count}\nother 9\n")
        };
        for (count, expected) in [(2, 1), (3, 0), (4, 0), (5, 1)] {
            assert_eq!(wrongs(&balance, &metrics(count)), expected, "{count}");
        }
    }

    #[test]
    fn a_counter_that_nobody_moved_must_stand_at_nought() {
        let balance = Balance::default();
        assert_eq!(wrongs(&balance, "vault_body_timeouts_total 0"), 0);
        assert_eq!(wrongs(&balance, "vault_body_timeouts_total 1"), 1);
        let refusal = "vault_refusals_total{code=\"internal\"} 1";
        assert_eq!(wrongs(&balance, refusal), 1);
    }

    #[test]
    fn who_was_turned_away_one_way_or_the_other_was_turned_away_once() {
        let mut balance = Balance::default();
        balance.must(REFUSED_PEER, 2);
        balance.turned_away(3);
        let metrics = |peer, failures| {
            format!("{REFUSED_PEER} {peer}\nvault_handshake_failures_total {failures}\n")
                + "vault_connections_accepted_total 0\n"
        };
        balance.may(CONNECTIONS, 9);
        for (peer, failures, expected) in [(2, 3, 0), (4, 1, 0), (2, 2, 1), (4, 2, 1), (1, 4, 2)] {
            let found = wrongs(&balance, &metrics(peer, failures));
            assert_eq!(found, expected, "{peer} {failures}");
        }
    }

    #[test]
    fn a_quantity_is_the_sum_of_its_metrics_and_labels() {
        let mut balance = Balance::default();
        balance.must(CALLS, 6);
        let metrics = "vault_http_requests_total{method=\"GET\",status=\"200\"} 2\n\
            vault_http_requests_total{method=\"PUT\",status=\"507\"} 3\n\
            vault_http_requests_abandoned_total 1\n";
        balance.must(ABANDONED, 1);
        balance.may(BODIES_BROKEN, 1);
        assert_eq!(wrongs(&balance, metrics), 0);
        balance.must(CALLS, 1);
        assert_eq!(wrongs(&balance, metrics), 1);
    }
}
