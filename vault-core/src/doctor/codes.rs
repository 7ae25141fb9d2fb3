//! Rights that need somebody verified, where no code can be sent.

use super::{Findings, Severity};
use crate::request::{Level, RequestKind};

/// Which addresses a server sends verification codes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodeFacts {
    /// E-mail addresses.
    pub email: bool,
    /// Telephones.
    pub phone: bool,
}

pub(super) fn check(facts: &CodeFacts, findings: &mut Findings) {
    let kinds = RequestKind::ALL.iter();
    let needing = kinds.filter(|kind| kind.needs() == Level::L2);
    let needing: Vec<&str> = needing.map(|kind| kind.name()).collect();
    if facts.email || facts.phone || needing.is_empty() {
        return;
    }
    findings.law(
        Severity::Note,
        "no_codes",
        "Art. 12(2)",
        "verification",
        format!(
            "no verification code can be sent: whoever asks for one of {} waits until somebody has looked who they are",
            needing.join(", ")
        ),
        "set verification.smtp.host and .from, or verification.webhook and .secret_file, in vault.toml, and start the server anew; or verify people by hand (`request`, step `identity`)",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(email: bool, phone: bool) -> Vec<(Severity, &'static str)> {
        let mut findings = Findings::default();
        check(&CodeFacts { email, phone }, &mut findings);
        let all = findings.0.iter();
        all.map(|found| (found.severity, found.code)).collect()
    }

    #[test]
    fn nobody_who_can_be_sent_a_code_is_a_finding_and_one_way_is_enough() {
        assert_eq!(found(false, false), [(Severity::Note, "no_codes")]);
        assert_eq!(found(true, false), []);
        assert_eq!(found(false, true), []);
    }

    #[test]
    fn the_rights_that_wait_are_named() {
        let mut findings = Findings::default();
        check(&CodeFacts::default(), &mut findings);
        let what = &findings.0[0].what;
        assert!(
            what.contains("erase") && !what.contains("withdraw"),
            "{what}"
        );
    }
}
