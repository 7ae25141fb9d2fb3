//! What the server is told, and the files that it is told of.

use jiff::Timestamp;

use super::{Findings, Severity};

/// From how many days before its end a certificate is a finding.
const CERTIFICATE_DAYS: i64 = 14;
const DAY: i64 = 86_400;

/// A policy file beside the policy in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// The file.
    pub path: String,
    /// Whether it is the policy in force, byte for byte.
    pub in_force: bool,
    /// Whether it passes the check.
    pub passes: bool,
}

/// The effective configuration, and what it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// The file, or that there is none.
    pub place: String,
    /// Why it is not accepted.
    pub error: Option<String>,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Where metrics are shown beyond this machine.
    pub metrics_beyond: Option<String>,
    /// When the certificate ends, or why it cannot be used.
    pub certificate: Option<Result<Timestamp, String>>,
    /// The policy file, where one is named.
    pub policy: Option<PolicyFile>,
}

pub(super) fn check(configuration: &Configuration, now: Timestamp, findings: &mut Findings) {
    let place = &configuration.place;
    if let Some(error) = &configuration.error {
        findings.add(
            Severity::Error,
            "configuration",
            place,
            format!("the server would not start: {error}"),
            "correct it, then vault-cli serve --print-config",
        );
        return;
    }
    if !configuration.tls {
        findings.add(
            Severity::Note,
            "no_tls",
            place,
            "the server speaks no TLS, and so listens on this machine alone; what stands before it must",
            "set tls.cert and tls.key, unless a proxy on this machine ends TLS",
        );
    }
    if let Some(address) = &configuration.metrics_beyond {
        findings.add(
            Severity::Warning,
            "metrics_beyond",
            "metrics.listen",
            format!("whoever reaches {address} sees how many people there are and how many were erased, without a key"),
            "let the firewall pass the scraper alone, or listen on 127.0.0.1",
        );
    }
    match &configuration.certificate {
        Some(Err(error)) => findings.add(
            Severity::Error,
            "certificate",
            "tls.cert",
            error.clone(),
            "mend the files, then systemctl reload vault",
        ),
        Some(Ok(end)) => certificate(*end, now, findings),
        None => {}
    }
    if let Some(policy) = &configuration.policy {
        policy_file(policy, findings);
    }
}

fn certificate(end: Timestamp, now: Timestamp, findings: &mut Findings) {
    let days = (end.as_second() - now.as_second()).div_euclid(DAY);
    let todo = "put the new certificate in its place, then systemctl reload vault";
    if days < 0 {
        let what = "the certificate has ended: clients refuse it";
        findings.add(Severity::Error, "certificate", "tls.cert", what, todo);
    } else if days < CERTIFICATE_DAYS {
        let what = format!("the certificate ends in {days} days");
        findings.add(Severity::Warning, "certificate", "tls.cert", what, todo);
    }
}

fn policy_file(policy: &PolicyFile, findings: &mut Findings) {
    if !policy.passes {
        findings.add(
            Severity::Error,
            "policy_file",
            &policy.path,
            "the file does not pass the check, so it is not what is in force",
            format!("vault-cli policy check {}", policy.path),
        );
    } else if !policy.in_force {
        findings.add(
            Severity::Warning,
            "policy_file",
            &policy.path,
            "the policy in force is another than the file",
            format!(
                "vault-cli policy diff {0}, then vault-cli policy apply {0}",
                policy.path
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_found_alone() {
        let now = Timestamp::from_second(1_800_000_000).expect("in range");
        let found = |change: &dyn Fn(&mut Configuration)| {
            let mut configuration = Configuration {
                tls: true,
                certificate: Some(Ok(now + jiff::SignedDuration::from_hours(24 * 14))),
                ..Configuration::default()
            };
            change(&mut configuration);
            let mut findings = Findings::default();
            check(&configuration, now, &mut findings);
            let all = findings.0.iter();
            all.map(|finding| (finding.severity, finding.code))
                .collect::<Vec<_>>()
        };
        assert_eq!(found(&|_| {}), []);
        let ends = |hours| {
            found(&move |c| {
                c.certificate = Some(Ok(now + jiff::SignedDuration::from_hours(hours)));
            })
        };
        assert_eq!(ends(24 * 14 - 1), [(Severity::Warning, "certificate")]);
        assert_eq!(ends(-1), [(Severity::Error, "certificate")]);
        assert_eq!(
            found(&|c| c.certificate = Some(Err("no key".into()))),
            [(Severity::Error, "certificate")]
        );
        assert_eq!(
            found(&|c| c.error = Some("unknown key `lissten`".into())),
            [(Severity::Error, "configuration")]
        );
        assert_eq!(found(&|c| c.tls = false), [(Severity::Note, "no_tls")]);
        assert_eq!(
            found(&|c| c.metrics_beyond = Some("10.0.0.1:9464".into())),
            [(Severity::Warning, "metrics_beyond")]
        );
        let file = |in_force, passes| {
            found(&move |c| {
                c.policy = Some(PolicyFile {
                    path: "p".into(),
                    in_force,
                    passes,
                });
            })
        };
        assert_eq!(file(true, true), []);
        assert_eq!(file(false, true), [(Severity::Warning, "policy_file")]);
        assert_eq!(file(false, false), [(Severity::Error, "policy_file")]);
    }
}
