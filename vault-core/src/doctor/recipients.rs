//! Recipients who are not told what they have to be told of.

use jiff::{SignedDuration, Timestamp};

use super::{Findings, Severity};

/// From how long on an open notice is overdue.
const OVERDUE: SignedDuration = SignedDuration::from_hours(72);

/// Notices to recipients, as a server that tells them sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipientFacts {
    /// Nobody took them, and they are tried no more.
    pub dead: u64,
    /// The policy has no webhook for them.
    pub manual: u64,
    /// The configuration does not name their host.
    pub not_allowed: u64,
    /// There is no secret for them.
    pub no_secret: u64,
    /// Their URL is none that anything is sent to.
    pub bad_url: u64,
    /// When the oldest was made that is not settled.
    pub oldest_open_at: Option<Timestamp>,
}

pub(super) fn check(facts: &RecipientFacts, now: Timestamp, findings: &mut Findings) {
    const LIST: &str = "GET /v1/admin/recipient-notices?state=";
    let mut found = |severity, code, count: u64, what: &str, todo: String| {
        if count > 0 {
            let what = format!("{count} {what}");
            findings.law(severity, code, "Art. 19", "recipients", what, todo);
        }
    };
    found(
        Severity::Error,
        "recipient_notices_dead",
        facts.dead,
        "notices were taken by nobody and are tried no more",
        format!(
            "{LIST}dead names them: tell the recipients and say so with `complete`, or `retry`; they are forgotten thirty days after they were made"
        ),
    );
    found(
        Severity::Warning,
        "recipient_notices_manual",
        facts.manual,
        "notices wait for somebody: the policy has no webhook for their recipients",
        format!("{LIST}manual names them: tell the recipients and say so with `complete`"),
    );
    found(
        Severity::Error,
        "recipient_not_allowed",
        facts.not_allowed,
        "notices go nowhere: `recipients.allow` does not name the host of the recipient's webhook",
        "add the host to `recipients.allow` in vault.toml, if the policy is right about it, and start the server anew".to_owned(),
    );
    found(
        Severity::Error,
        "recipient_no_secret",
        facts.no_secret,
        "notices go nowhere: `recipients.secret_dir` has no file for the recipient",
        "make one with mode 600, named as the recipient in the policy, give the recipient the same secret, and start the server anew".to_owned(),
    );
    found(
        Severity::Error,
        "recipient_bad_url",
        facts.bad_url,
        "notices go nowhere: the recipient's webhook in the policy is no URL that anything is sent to",
        "correct `webhook` in the policy: https://, without user, password and fragment".to_owned(),
    );
    let age = facts.oldest_open_at.map(|at| now.duration_since(at));
    if let Some(age) = age.filter(|age| *age >= OVERDUE) {
        findings.law(
            Severity::Warning,
            "recipient_notices_overdue",
            "Art. 19",
            "recipients",
            format!(
                "the oldest notice that is not settled is {} days old",
                age.as_hours() / 24
            ),
            "GET /v1/admin/recipient-notices says what it waits for",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(facts: &RecipientFacts) -> Vec<&'static str> {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let mut findings = Findings::default();
        check(facts, now, &mut findings);
        findings.0.iter().map(|found| found.code).collect()
    }

    #[test]
    fn each_reason_for_which_nobody_is_told_is_a_finding_and_one_that_waits_its_turn_is_none() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let young = RecipientFacts {
            oldest_open_at: Some(now - SignedDuration::from_hours(71)),
            ..RecipientFacts::default()
        };
        assert!(codes(&young).is_empty());
        let all = RecipientFacts {
            dead: 1,
            manual: 2,
            not_allowed: 3,
            no_secret: 4,
            bad_url: 5,
            oldest_open_at: Some(now - SignedDuration::from_hours(72)),
        };
        assert_eq!(
            codes(&all),
            [
                "recipient_notices_dead",
                "recipient_notices_manual",
                "recipient_not_allowed",
                "recipient_no_secret",
                "recipient_bad_url",
                "recipient_notices_overdue",
            ]
        );
    }
}
