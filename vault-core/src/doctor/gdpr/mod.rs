//! What a policy that passes its check still leaves open, with the article that asks for it.
//!
//! `policy check` refuses what is wrong whoever the controller is: a field without a purpose, special
//! data without a condition, a recipient outside the EEA without a safeguard, a purpose without a title in
//! each language of the controller. What is said here depends on circumstances that no file shows, so most of
//! it is a warning: somebody should look. No finding says that a vault complies, and neither does none.

mod decisions;
#[cfg(test)]
mod examples;
mod people;
mod purposes;
mod roles;

use super::{Diagnosis, Findings, Severity, sorted};
use crate::policy::{Draft, Policy};

/// What the policy in `source` leaves open; where it does not pass its check, what that says.
#[must_use]
pub fn of_source(source: &str) -> Vec<Diagnosis> {
    match Draft::parse(source).and_then(|draft| draft.assign(None, 1)) {
        Ok(policy) => of_policy(&policy),
        Err(refused) => {
            let refused = refused.into_iter().map(|finding| Diagnosis {
                severity: Severity::Error,
                code: finding.code,
                what: finding.detail,
                place: match finding.path.is_empty() {
                    true => format!("line {}", finding.line),
                    false => format!("line {}: {}", finding.line, finding.path),
                },
                todo: "correct the line, then vault-cli policy check FILE".into(),
                article: finding.article,
            });
            refused.collect()
        }
    }
}

/// What a policy leaves open, the worst first.
#[must_use]
pub fn of_policy(policy: &Policy) -> Vec<Diagnosis> {
    let mut findings = Findings::default();
    people::controller(policy, &mut findings);
    people::notice(policy, &mut findings);
    people::rights(policy, &mut findings);
    people::children(policy, &mut findings);
    purposes::purposes(policy, &mut findings);
    purposes::recipients(policy, &mut findings);
    purposes::fields(policy, &mut findings);
    purposes::logs(policy, &mut findings);
    roles::roles(policy, &mut findings);
    decisions::decisions(policy, &mut findings);
    sorted(findings.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::SAMPLE;

    fn found(source: &str) -> Vec<(Severity, &'static str, String)> {
        let all = of_source(source).into_iter();
        all.map(|finding| (finding.severity, finding.code, finding.place))
            .collect()
    }

    /// The sample, with what it leaves open mended.
    fn mended() -> String {
        SAMPLE
            .replace("# [notice]", "[notice]")
            .replace("# gate =", "gate =")
            .replace(
                r#"from = { type = "text", "#,
                r#"from = { type = "text", category = "user.content", "#,
            )
            .replace(
                "\"dialogue.relay\"]",
                "\"dialogue.relay\", \"objections.record\"]",
            )
            .replace(
                "\"requests.decide\", ",
                "\"requests.decide\", \"restrictions.set\", ",
            )
    }

    /// What `from` → `to` adds to the findings of the mended sample.
    #[track_caller]
    fn adds(from: &str, to: &str) -> Vec<(Severity, &'static str, String)> {
        let source = mended();
        let changed = source.replace(from, to);
        assert_ne!(source, changed, "{from} is not in the sample");
        let before = found(&source);
        let mut after = found(&changed);
        after.retain(|finding| !before.contains(finding));
        after
    }

    #[track_caller]
    fn adds_one(from: &str, to: &str, severity: Severity, code: &'static str, place: &str) {
        assert_eq!(adds(from, to), [(severity, code, place.to_owned())]);
    }

    #[test]
    fn every_finding_names_an_article_and_a_next_step() {
        let all = of_source(SAMPLE);
        assert!(all.iter().any(|finding| finding.code == "notice_gate_off"));
        for finding in all {
            assert!(
                finding
                    .article
                    .is_some_and(|article| article.starts_with("Art. "))
            );
            assert!(finding.todo.len() > 10, "{finding}");
        }
    }

    #[test]
    fn the_mended_sample_has_no_error_and_no_warning() {
        let worse = found(&mended())
            .into_iter()
            .filter(|(severity, ..)| *severity >= Severity::Warning);
        assert_eq!(worse.collect::<Vec<_>>(), []);
    }

    #[test]
    fn what_the_controller_leaves_out_is_found() {
        use Severity::{Error, Warning};
        adds_one(
            "dpo = \"dpo@example.test\"\n",
            "",
            Warning,
            "no_dpo",
            "controller.dpo",
        );
        adds_one(
            "authority = \"Autoriteit Persoonsgegevens\"\n",
            "",
            Error,
            "no_authority",
            "controller.authority",
        );
        adds_one(
            "address = \"Kade 1, Utrecht\"\n",
            "",
            Warning,
            "no_address",
            "controller.address",
        );
        adds_one(
            "country = \"NL\"",
            "country = \"US\"",
            Warning,
            "no_representative",
            "controller.country",
        );
        let off = adds("[notice]\ngate", "[notice]\n# gate");
        let codes: Vec<_> = off
            .iter()
            .map(|(severity, code, _)| (*severity, *code))
            .collect();
        assert_eq!(codes, [(Warning, "notice_gate_off")]);
        // A consent waits for no notice, whether the gate is on or off.
        for source in [
            mended(),
            mended().replace("[notice]\ngate", "[notice]\n# gate"),
        ] {
            let place = "purposes.newsletter".to_owned();
            let note = (Severity::Note, "consent_waits_for_no_notice", place);
            assert!(found(&source).contains(&note));
        }
        // The same without an officer where there are special data is worse.
        let special = mended().replace(
            r#"slots = { type = "json","#,
            r#"slots = { type = "json", special = "health", art9 = "explicit consent","#,
        );
        let without = special.replace("dpo = \"dpo@example.test\"\n", "");
        assert!(found(&without).contains(&(Error, "no_dpo", "controller.dpo".into())));
        assert!(!found(&special).iter().any(|(_, code, _)| *code == "no_dpo"));
    }

    #[test]
    fn a_right_that_nobody_can_carry_out_is_an_error() {
        use Severity::{Error, Warning};
        adds_one(
            "\"consents.record\", ",
            "",
            Error,
            "nobody_records_consent",
            "roles",
        );
        adds_one(
            "\"subjects.view\", \"subjects.erase\"",
            "\"subjects.view\"",
            Error,
            "nobody_erases",
            "roles",
        );
        adds_one(
            "\"subjects.export\", ",
            "",
            Error,
            "nobody_exports",
            "roles",
        );
        adds_one(
            "\"requests.create\", ",
            "",
            Warning,
            "nobody_takes_requests",
            "roles",
        );
        adds_one(
            "\"restrictions.set\", ",
            "",
            Warning,
            "nobody_restricts",
            "roles",
        );
        // Nobody could write anything; without the gate a notice is nobody's duty here.
        let recording = "\"notices.record\", ";
        adds_one(recording, "", Error, "nobody_records_notices", "roles");
        let open = mended().replace("[notice]\ngate", "[notice]\n# gate");
        assert!(
            !found(&open.replace(recording, ""))
                .iter()
                .any(|(_, code, _)| *code == "nobody_records_notices")
        );
        // Marketing on a consent ends with the consent; on anything else nothing ends it.
        let objecting = ", \"objections.record\"";
        let code = "nobody_ends_marketing";
        adds_one(objecting, "", Warning, code, "roles");
        let contract = mended().replace("basis = \"consent\"", "basis = \"contract\"");
        assert!(!found(&contract).iter().any(|found| found.1 == code));
        let contract = contract.replace(objecting, "");
        assert!(found(&contract).contains(&(Error, code, "roles".into())));
        let other = contract.replace("direct_marketing = true", "direct_marketing = false");
        assert!(!found(&other).iter().any(|found| found.1 == code));
        // Whoever pursues interests says which.
        let pursued = mended().replace("basis = \"contract\"", "basis = \"legitimate_interests\"");
        let place = "purposes.support".to_owned();
        assert!(found(&pursued).contains(&(Warning, "no_interests", place)));
        let told = pursued.replace(
            "basis = \"legitimate_interests\"",
            "basis = \"legitimate_interests\"\ninterests.en = \"a\"\ninterests.de = \"b\"",
        );
        assert!(!found(&told).iter().any(|found| found.1 == "no_interests"));
        // An objection is due where the basis is an interest.
        let interest = "basis = \"legitimate_interests\"";
        let source = mended().replace("basis = \"contract\"", interest);
        assert!(
            !found(&source)
                .iter()
                .any(|(_, code, _)| *code == "nobody_records_objections")
        );
        let source = source.replace(", \"objections.record\"", "");
        assert!(found(&source).contains(&(Error, "nobody_records_objections", "roles".into())));
    }

    #[test]
    fn purposes_and_recipients_are_looked_at_one_by_one() {
        use Severity::Warning;
        adds_one(
            "\"P2Y\"",
            "\"P11Y\"",
            Warning,
            "long_retention",
            "purposes.support",
        );
        let lawful = "\"P11Y\", law = \"art. 1 of an act\"";
        assert_eq!(adds("\"P2Y\"", lawful), []);
        adds_one(
            "recipients = [\"carrier\"]\n",
            "",
            Warning,
            "recipient_unused",
            "recipients.carrier",
        );
        adds_one(
            "country = \"DE\"",
            "country = \"US\"\nsafeguard = \"derogation: you asked us to\"",
            Warning,
            "derogation",
            "recipients.carrier",
        );
        let idle = adds(
            "[purposes.newsletter]",
            "[purposes.idle]\ntitle.en = \"x\"\ntitle.de = \"x\"\nbasis = \"contract\"\nretention = { after = \"collected\", period = \"P1D\" }\n[purposes.newsletter]",
        );
        let codes: Vec<&str> = idle.iter().map(|found| found.1).collect();
        assert_eq!(codes, ["purpose_unused", "purpose_unserved"]);
        // Without its webhook nothing is sent there.
        let told = (
            Severity::Note,
            "recipient_not_told",
            "recipients.carrier".to_owned(),
        );
        assert!(!found(&mended()).contains(&told));
        let silent = mended().replace("webhook = ", "# webhook = ");
        assert!(found(&silent).contains(&told));
        // A recipient outside the EEA without a safeguard does not even pass the check.
        let refused = found(&mended().replace("country = \"DE\"", "country = \"US\""));
        assert!(
            matches!(&refused[..], [(Severity::Error, "no_safeguard", _)]),
            "{refused:?}"
        );
    }

    #[test]
    fn a_log_that_is_kept_for_more_than_a_year_is_found() {
        let log = |period: &str| {
            format!("[logs.bot]\nmode = \"redact\"\nretention = \"{period}\"\n[roles.dpo]")
        };
        let place = "logs.bot";
        adds_one(
            "[roles.dpo]",
            &log("P13M"),
            Severity::Warning,
            "long_log",
            place,
        );
        assert_eq!(adds("[roles.dpo]", &log("P1Y")), []);
    }

    #[test]
    fn a_reader_of_whole_lines_who_does_not_serve_their_purpose_is_found() {
        let log = |readers: &str| {
            format!(
                "[logs.bot]\nmode = \"encrypt\"\nretention = \"P30D\"\npurpose = \"support\"\nreaders = [{readers}]\n\
                 [roles.helper]\npurposes = [\"support\"]\nmay = [\"subjects.lookup\"]\n\
                 [roles.clerk]\npurposes = [\"newsletter\"]\nmay = [\"subjects.lookup\"]\n[roles.dpo]"
            )
        };
        let told = |readers: &str| {
            let mut found = adds("[roles.dpo]", &log(readers));
            found.retain(|(.., place)| place == "logs.bot.readers");
            found
                .into_iter()
                .map(|(_, code, _)| code)
                .collect::<Vec<_>>()
        };
        let (unread, idle) = ("log_unread", "reader_without_purpose");
        assert!(told("\"helper\"").is_empty());
        assert_eq!(told("\"helper\", \"clerk\""), [idle]);
        // Whoever makes people's packages sees the lines in there.
        assert!(told("\"helper\", \"dpo\"").is_empty());
        assert_eq!(told("\"dpo\""), [unread]);
        // One for another purpose, and one that every policy has and that works for none.
        let mut all = told("\"clerk\", \"legal\"");
        all.sort_unstable();
        assert_eq!(all, [unread, idle, idle]);
        // What is read with a capability has no readers to look for.
        let redacted = "[logs.bot]\nmode = \"redact\"\nretention = \"P30D\"\npurpose = \"support\"\n[roles.dpo]";
        assert_eq!(adds("[roles.dpo]", redacted), []);
    }

    #[test]
    fn fields_that_nobody_uses_or_names_are_found() {
        use Severity::Warning;
        adds_one(
            "category = \"user.financial.credit_card\", ",
            "",
            Warning,
            "no_category",
            "collections.profile.fields.card",
        );
        let unread = adds(
            "read  = { \"profile.*\" = \"full\", \"messages.*\" = \"full\" }",
            "read  = { \"profile.*\" = \"full\", \"profile.slots\" = \"none\", \"messages.*\" = \"full\" }",
        );
        let place = "collections.profile.fields.slots".to_owned();
        assert_eq!(unread, [(Warning, "field_unread", place)]);
    }

    #[test]
    fn roles_that_see_too_much_are_found() {
        use Severity::Warning;
        let all = "read = { \"*\" = \"full\" }\nwrite = [\"*\"]\nmay = [\"subjects.view\", ";
        let role = |may: &str| {
            format!(
                "[roles.super]\npurposes = [\"support\", \"newsletter\"]\n{all}{may}]\n[roles.dpo]"
            )
        };
        adds_one(
            "[roles.dpo]",
            &role("\"audit.read\""),
            Warning,
            "reads_everything",
            "roles.super",
        );
        let both = adds(
            "[roles.dpo]",
            &role("\"subjects.export\", \"records.bulk\""),
        );
        let codes: Vec<&str> = both.iter().map(|found| found.1).collect();
        assert_eq!(codes, ["export_and_bulk", "reads_everything"]);
        let own = adds("[roles.dpo]", &role("\"policy.apply\""));
        assert!(
            own.iter().any(|found| found.1 == "widens_itself"),
            "{own:?}"
        );
        // The same capability without a field to read widens nothing that is read.
        let none = adds(
            "[roles.dpo]",
            "[roles.admin]\nmay = [\"policy.apply\"]\n[roles.dpo]",
        );
        assert_eq!(none, []);
    }

    #[test]
    fn article_22_a_decision_without_its_safeguards_is_found() {
        let kind = |more: &str| {
            let titles = "title.en = \"Refunds\"\ntitle.de = \"Erstattungen\"";
            format!("[decisions.refund]\n{titles}\nautomation = \"full\"\n{more}\n[roles.dpo]")
        };
        let codes = |more: &str| -> Vec<&str> {
            let found = adds("[roles.dpo]", &kind(more));
            found.into_iter().map(|(_, code, _)| code).collect()
        };
        let told =
            "logic.en = \"a\"\nlogic.de = \"b\"\nconsequences.en = \"c\"\nconsequences.de = \"d\"";
        assert_eq!(
            codes("significant = true"),
            [
                "no_art22_basis",
                "no_logic",
                "no_consequences",
                "impact_assessment_due"
            ]
        );
        let whole = format!("significant = true\nart22_basis = \"contract\"\n{told}");
        assert_eq!(codes(&whole), ["impact_assessment_due"]);
        // What affects nobody significantly needs none of this.
        assert_eq!(codes("significant = false"), Vec::<&str>::new());
        // The default role reviews; a policy that takes it away has nobody who does.
        let nobody = format!("{whole}\n[roles.reviewer]\nmay = []");
        assert!(codes(&nobody).contains(&"nobody_reviews_decisions"));
        // Special data are allowed by two conditions alone.
        let special = |art9: &str| {
            let slots = r#"slots = { type = "json","#;
            let marked =
                format!(r#"slots = {{ type = "json", special = "health", art9 = "{art9}","#);
            let source = mended().replace(slots, &marked);
            let more = format!("{whole}\ninputs = [\"profile.slots\"]");
            let source = source.replace("[roles.dpo]", &kind(&more));
            found(&source)
                .iter()
                .any(|(_, code, _)| *code == "special_data_decided")
        };
        assert!(special("9(2)(h): treatment"));
        assert!(!special("explicit consent"));
        assert!(!special("substantial public interest: an act"));
    }

    #[test]
    fn consent_without_a_way_to_tell_a_child_is_found() {
        let without = adds(
            "birth = { type = \"date\",  category = \"user.demographic.date_of_birth\", purposes = [\"support\"] }\n",
            "",
        );
        // The role may then not ask for it either: the check refuses that first.
        assert!(
            without.iter().any(|found| found.1 == "unknown_field"),
            "{without:?}"
        );
        adds_one(
            "user.demographic.date_of_birth",
            "user.demographic",
            Severity::Note,
            "no_age",
            "purposes.newsletter",
        );
    }
}
