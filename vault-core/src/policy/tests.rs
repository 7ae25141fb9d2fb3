//! Every refusal with its line and article, and what a whole policy answers.

use proptest::prelude::*;

use super::*;

/// Line, code and article of a finding.
type Place = (usize, &'static str, Option<&'static str>);

fn sample() -> Policy {
    Draft::parse(SAMPLE).unwrap().assign(None, 1).unwrap()
}

/// Replaces `from`, which stands in the sample once at least, and returns the findings as
/// (line, code, article), and the line on which `mark` stands afterwards.
fn refused(from: &str, to: &str, mark: &str) -> (Vec<Place>, usize) {
    assert!(SAMPLE.contains(from), "{from}");
    let source = SAMPLE.replacen(from, to, 1);
    let line = 1 + source.lines().position(|line| line.contains(mark)).unwrap();
    let findings = Draft::parse(&source).map(drop).unwrap_err();
    (
        findings
            .into_iter()
            .map(|f| (f.line, f.code, f.article))
            .collect(),
        line,
    )
}

#[test]
fn a_holiday_far_from_easter_is_refused_with_its_line_and_a_near_one_is_not() {
    let with = |day: &str| format!("country = \"NL\"\nholidays = [\"{day}\"]");
    for day in [
        "easter-2147483648",
        "easter+2147483647",
        "easter-101",
        "easter+101",
    ] {
        let (findings, line) = refused("country = \"NL\"", &with(day), "holidays");
        assert_eq!(findings, [(line, "bad_holiday", None)], "{day}");
    }
    let source = SAMPLE.replacen("country = \"NL\"", &with("easter-2147483648"), 1);
    let why = Draft::parse(&source).map(drop).unwrap_err().remove(0);
    assert!(
        format!("{why:?}").contains("at most 100 days from Easter"),
        "{why:?}"
    );
    for day in ["easter-100", "easter+100", "easter"] {
        assert!(Draft::parse(&SAMPLE.replacen("country = \"NL\"", &with(day), 1)).is_ok());
    }
}

#[test]
fn the_sample_passes_and_answers_as_it_says() {
    let policy = sample();
    let profile = policy.collection("profile").unwrap();
    let messages = policy.collection("messages").unwrap();
    assert_eq!((profile.id, messages.id), (1, 2));
    assert_eq!(profile.kind, CollectionKind::Single);
    assert_eq!(messages.retention.as_ref().unwrap().to_string(), "P90D");
    assert_eq!(policy.collection_by_id(2).unwrap().name, "messages");
    let email = profile.field("email").unwrap();
    assert!(email.lookup);
    assert_eq!(profile.field_by_id(email.id).unwrap().name, "email");
    let newsletter = policy.purpose("newsletter").unwrap();
    assert_eq!(
        email.purposes,
        [policy.purpose("support").unwrap().id, newsletter.id]
    );
    assert!(newsletter.direct_marketing);
    assert_eq!(newsletter.basis, LawfulBasis::Consent);
    assert_eq!(
        policy.purpose_by_id(newsletter.id).unwrap().name,
        "newsletter"
    );
    assert_eq!(policy.notice_gate(), NoticeGate::Off);
    assert_eq!(policy.recipients()[0].legal_name, "Carrier GmbH");

    let agent = policy.role("agent").unwrap();
    assert_eq!(agent.view(1, email.id), View::Mask);
    assert_eq!(agent.view(1, profile.field("name").unwrap().id), View::Full);
    assert_eq!(agent.view(1, profile.field("card").unwrap().id), View::None);
    assert_eq!(agent.view(2, 1), View::Full);
    assert!(!agent.may_write(1, email.id));
    assert!(agent.serves(1) && !agent.serves(newsletter.id));
    let bot = policy.role("bot").unwrap();
    assert!(bot.may_write(1, email.id) && bot.may_write(2, 2));
    assert!(bot.may_ask(1, profile.field("birth").unwrap().id, "age_at_least"));
    assert!(!bot.may_ask(1, profile.field("birth").unwrap().id, "equals"));
    assert!(bot.may(Capability::SessionsCreate) && !bot.may(Capability::SubjectsErase));
}

#[test]
fn built_in_roles_exist_without_being_written_and_read_nothing() {
    let source = "[controller]\nname = \"A\"\ncontact = \"b\"\n";
    let policy = Draft::parse(source).unwrap().assign(None, 1).unwrap();
    let names: Vec<&str> = policy.roles().map(|role| role.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "agent", "auditor", "bot", "dpo", "legal", "operator", "reviewer"
        ]
    );
    assert!(
        policy
            .roles()
            .all(|role| role.view(1, 1) == View::None && !role.may_write(1, 1))
    );
    assert!(policy.role("operator").unwrap().may(Capability::KeysManage));
    // What the sample writes for the officer is the default.
    let written = sample();
    let may = |policy: &Policy| {
        policy
            .role("dpo")
            .unwrap()
            .capabilities()
            .collect::<Vec<_>>()
    };
    assert_eq!(may(&policy), may(&written));
    assert_eq!(written.role("dpo").unwrap().origin, RoleOrigin::Policy);
}

#[test]
fn each_refusal_names_its_line_and_article() {
    // What is replaced, by what, the code, the article, and a mark on the line of the finding.
    let cases: &[(&str, &str, &str, Option<&str>, &str)] = &[
        (
            "purposes = [\"support\"], lookup = true",
            "lookup = true",
            "no_purpose",
            Some("Art. 5(1)(b)"),
            "phone =",
        ),
        (
            "birth = { type = \"date\",  category = \"user.demographic.date_of_birth\", purposes = [\"support\"] }",
            "birth = { type = \"date\", purposes = [] }",
            "no_purpose",
            Some("Art. 5(1)(b)"),
            "birth =",
        ),
        (
            "basis = \"consent\"",
            "",
            "no_basis",
            Some("Art. 6(1)"),
            "[purposes.newsletter]",
        ),
        (
            "basis = \"consent\"",
            "basis = \"concent\"",
            "unknown_basis",
            None,
            "concent",
        ),
        (
            "retention = { after = \"withdrawal\", period = \"P0D\" }",
            "",
            "no_retention",
            Some("Art. 5(1)(e)"),
            "[purposes.newsletter]",
        ),
        (
            "{ after = \"withdrawal\", period = \"P0D\" }",
            "{ after = \"withdrawal\" }",
            "no_retention",
            Some("Art. 5(1)(e)"),
            "\"withdrawal\" }",
        ),
        (
            "\"P0D\"",
            "\"90 days\"",
            "bad_period",
            Some("Art. 5(1)(e)"),
            "90 days",
        ),
        (
            "\"P90D\"",
            "\"P-1D\"",
            "bad_period",
            Some("Art. 5(1)(e)"),
            "P-1D",
        ),
        (
            "after = \"withdrawal\"",
            "after = \"fixed_date\"",
            "bad_date",
            Some("Art. 5(1)(e)"),
            "fixed_date",
        ),
        (
            "title.de = \"Ihnen",
            "#",
            "no_title",
            Some("Art. 12(1)"),
            "[purposes.newsletter]",
        ),
        (
            "card  = { type = \"card\",",
            "card  = { type = \"card\", special = \"health\",",
            "no_condition",
            Some("Art. 9(2)"),
            "health",
        ),
        (
            "card  = { type = \"card\",",
            "card  = { type = \"card\", special = \"criminal_offences\",",
            "no_condition",
            Some("Art. 10"),
            "criminal",
        ),
        (
            "card  = { type = \"card\",",
            "card  = { type = \"card\", art9 = \"9(2)(a)\",",
            "no_special",
            Some("Art. 9(1)"),
            "9(2)(a)",
        ),
        (
            "card  = { type = \"card\",",
            "card  = { type = \"card\", special = \"wealth\",",
            "unknown_special",
            None,
            "wealth",
        ),
        (
            "country = \"DE\"",
            "country = \"US\"",
            "no_safeguard",
            Some("Art. 46"),
            "[recipients.carrier]",
        ),
        (
            "country = \"DE\"",
            "",
            "missing",
            Some("Art. 13(1)(f)"),
            "[recipients.carrier]",
        ),
        (
            "country = \"DE\"",
            "country = \"Germany\"",
            "bad_country",
            None,
            "Germany",
        ),
        (
            "country = \"DE\"",
            "country = \"US\"\nsafeguard = \"derogation\"",
            "no_derogation",
            Some("Art. 49(1)"),
            "derogation",
        ),
        (
            "country = \"DE\"",
            "country = \"US\"\nsafeguard = \"ssc\"",
            "unknown_safeguard",
            None,
            "ssc",
        ),
        (
            "https://carrier",
            "http://carrier",
            "bad_url",
            Some("Art. 32(1)"),
            "http://carrier",
        ),
        (
            "name = \"Carrier GmbH\"",
            "",
            "missing",
            Some("Art. 13(1)(e)"),
            "[recipients.carrier]",
        ),
        (
            "name = \"Example Travel B.V.\"",
            "",
            "missing",
            Some("Art. 13(1)(a)"),
            "[controller]",
        ),
        (
            "contact = \"privacy@example.test\"",
            "",
            "missing",
            Some("Art. 13(1)(a)"),
            "[controller]",
        ),
        (
            "languages = [\"en\", \"de\"]",
            "languages = []",
            "missing",
            Some("Art. 12(1)"),
            "[controller]",
        ),
        (
            "languages = [\"en\", \"de\"]",
            "languages = [\"English\"]",
            "bad_language",
            None,
            "English",
        ),
        (
            "type = \"card\"",
            "type = \"credit\"",
            "unknown_type",
            None,
            "credit\"",
        ),
        ("type = \"card\", ", "", "missing", None, "card  ="),
        (
            "slots = { type = \"json\",",
            "slots = { type = \"json\", lookup = true,",
            "no_lookup",
            None,
            "slots =",
        ),
        ("dpo = \"dpo@", "pdo = \"dpo@", "unknown_key", None, "pdo ="),
        ("[roles.dpo]", "[rolls.dpo]", "unknown_key", None, "[rolls"),
        (
            "recipients = [\"carrier\"]",
            "recipients = [\"courier\"]",
            "unknown_recipient",
            Some("Art. 13(1)(e)"),
            "courier",
        ),
        (
            "purposes = [\"support\"] }\ntext",
            "purposes = [\"suport\"] }\ntext",
            "unknown_purpose",
            Some("Art. 5(1)(b)"),
            "\"suport\"",
        ),
        (
            "purposes = [\"support\", \"newsletter\"]\nread",
            "purposes = [\"support\", \"rights\"]\nread",
            "unknown_purpose",
            Some("Art. 5(1)(b)"),
            "rights",
        ),
        (
            "read = { \"profile.name\"",
            "read = { \"profile.nam\"",
            "unknown_field",
            None,
            "profile.nam\"",
        ),
        (
            "write = [\"profile.*\"",
            "write = [\"profil.*\"",
            "unknown_collection",
            None,
            "profil.*",
        ),
        (
            "write = [\"profile.*\"",
            "write = [\"*.name\"",
            "bad_pattern",
            None,
            "*.name",
        ),
        (
            "read = { \"profile.name\" = \"full\"",
            "read = { profile.name = \"full\"",
            "bad_pattern",
            None,
            "profile.name =",
        ),
        (
            "\"profile.email\" = \"mask\"",
            "\"profile.email\" = \"masked\"",
            "unknown_view",
            None,
            "masked",
        ),
        (
            "profile.card.last4",
            "profile.card.last5",
            "unknown_test",
            None,
            "last5",
        ),
        (
            "profile.card.last4",
            "profile.card",
            "bad_pattern",
            None,
            "ask   =",
        ),
        (
            "profile.birth.age_at_least",
            "profile.card.age_at_least",
            "unknown_test",
            None,
            "ask   =",
        ),
        (
            "\"subjects.erase\"",
            "\"subjects.delete\"",
            "unknown_capability",
            None,
            "subjects.delete",
        ),
        (
            "\"subjects.erase\"",
            "\"subjects.view\"",
            "duplicate",
            None,
            "requests.decide",
        ),
        (
            "[roles.dpo]",
            "[roles.operator]",
            "reserved",
            None,
            "[roles.operator]",
        ),
        (
            "[roles.dpo]",
            "[roles.auditor]",
            "reserved",
            None,
            "[roles.auditor]",
        ),
        (
            "[roles.dpo]",
            "[roles.keyholder]",
            "reserved",
            None,
            "[roles.keyholder]",
        ),
        (
            "[recipients.carrier]",
            "[recipients.Carrier]",
            "bad_name",
            None,
            "[recipients.Carrier]",
        ),
        (
            "kind = \"many\"",
            "",
            "missing",
            None,
            "[collections.messages]",
        ),
        (
            "kind = \"many\"",
            "kind = \"list\"",
            "unknown_word",
            None,
            "\"list\"",
        ),
        (
            "direct_marketing = true",
            "direct_marketing = \"yes\"",
            "wrong_type",
            None,
            "direct_marketing",
        ),
        (
            "[roles.dpo]",
            "[notice]\ngate = \"before\"\n[roles.dpo]",
            "unknown_word",
            None,
            "gate = \"before\"",
        ),
        ("phone = {", "email = {", "duplicate", None, "phone_number"),
        (
            "name = \"Example Travel B.V.\"",
            "name = \"Exam\\nple\"",
            "bad_text",
            None,
            "Exam",
        ),
        (
            "card  = { type",
            "card = { renamed_from = \"name\", type",
            "bad_rename",
            None,
            "renamed_from",
        ),
    ];
    for (from, to, code, article, mark) in cases {
        let (findings, line) = refused(from, to, mark);
        let found: Vec<_> = findings
            .iter()
            .filter(|finding| finding.1 == *code)
            .collect();
        assert_eq!(found.len(), 1, "{code} {to}: {findings:?}");
        assert_eq!(*found[0], (line, *code, *article), "{to}: {findings:?}");
    }
}

#[test]
fn a_section_that_stands_there_twice_is_found_at_the_second() {
    let source = SAMPLE.replace("[roles.dpo]", "[roles.bot]");
    let second = source.lines().collect::<Vec<_>>();
    let second = 1 + second
        .iter()
        .rposition(|line| *line == "[roles.bot]")
        .unwrap();
    let findings = Draft::parse(&source).map(drop).unwrap_err();
    assert_eq!((findings[0].line, findings[0].code), (second, "duplicate"));
}

#[test]
fn the_purpose_rights_is_reserved() {
    let source = SAMPLE.replace("[purposes.newsletter]", "[purposes.rights]");
    let findings = Draft::parse(&source).map(drop).unwrap_err();
    assert!(findings.iter().any(|finding| finding.code == "reserved"));
}

#[test]
fn all_findings_come_at_once_and_by_line() {
    let source = SAMPLE
        .replace("contact = ", "kontact = ")
        .replace("basis = \"consent\"", "")
        .replace("type = \"card\"", "type = \"credit\"");
    let findings = Draft::parse(&source).map(drop).unwrap_err();
    let codes: Vec<&str> = findings.iter().map(|finding| finding.code).collect();
    // The bot asks for the last digits of what is no card any more.
    for code in ["missing", "unknown_key", "no_basis", "unknown_type"] {
        assert!(codes.contains(&code), "{codes:?}");
    }
    assert!(findings.is_sorted_by_key(|finding| finding.line));
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    let source = SAMPLE.replace("direct_marketing", "direct_marketting");
    let findings = Draft::parse(&source).map(drop).unwrap_err();
    assert_eq!(
        findings[0].to_string(),
        "line 21: purposes.newsletter.direct_marketting: unknown key: \
         did you mean `direct_marketing`?"
    );
}

#[test]
fn everything_that_the_guide_offers_is_accepted() {
    let source = SAMPLE
        .replace("card  = { type", "card = { special = \"health\", art9 = \"9(2)(a)\", necessity = \"optional\", source = \"provided\", type")
        .replace("country = \"DE\"", "country = \"US\"\nsafeguard = \"derogation: Art. 49(1)(b), the person's own booking\"")
        .replace("after = \"withdrawal\"", "after = \"fixed_date\", date = \"2030-12-31\"")
        .replace("[roles.dpo]", "[notice]\ngate = \"before_write\"\n[roles.dpo]\nread = { \"*\" = \"mask\", \"messages.*\" = \"none\" }\nwrite = [\"*\"]");
    let policy = Draft::parse(&source).unwrap().assign(None, 1).unwrap();
    let card = policy.collection("profile").unwrap().field("card").unwrap();
    assert_eq!(card.special, Some(SpecialCategory::Health));
    assert_eq!(card.necessity, Some(Necessity::Optional));
    assert_eq!(card.source, Some(Origin::Provided));
    assert_eq!(policy.notice_gate(), NoticeGate::BeforeWrite);
    let safeguard = policy.recipients()[0].safeguard.clone().unwrap();
    assert_eq!(safeguard.kind, SafeguardKind::Derogation);
    assert_eq!(policy.role("dpo").unwrap().view(2, 1), View::None);
    assert_eq!(policy.role("dpo").unwrap().view(1, 1), View::Mask);
    for safeguard in ["scc", "adequacy", "bcr"] {
        let source = SAMPLE.replace(
            "country = \"DE\"",
            &format!("country = \"US\"\nsafeguard = \"{safeguard}\""),
        );
        assert!(Draft::parse(&source).is_ok());
    }
}

#[test]
fn the_worked_example_of_the_guide_passes_and_fails_as_it_says() {
    let guide = include_str!("../../../docs/policy.md");
    let source: String = guide
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect::<Vec<_>>()
        .join("\n");
    let policy = Draft::parse(&source).unwrap().assign(None, 1).unwrap();
    let bot = policy.role("bot").unwrap();
    assert_eq!((bot.view(1, 1), bot.view(1, 2)), (View::Mask, View::Full));
    let broken = source.replace(
        "diet  = { type = \"text\", purposes = [\"orders\"],",
        "diet = { type = \"text\",",
    );
    let findings = Draft::parse(&broken).map(drop).unwrap_err();
    assert_eq!(findings.len(), 1);
    assert!(guide.contains(&findings[0].to_string()), "{}", findings[0]);
}

#[test]
fn limits_are_refused_beyond_and_accepted_at_them() {
    let roles = |count: usize| {
        let roles: String = (0..count).map(|n| format!("[roles.r{n}]\n")).collect();
        Draft::parse(&format!("{SAMPLE}\n{roles}")).map(drop)
    };
    assert!(roles(ROLES_MAX - 3).is_ok());
    assert_eq!(roles(ROLES_MAX - 2).unwrap_err()[0].code, "too_many");
    let long = format!("{SAMPLE}#{}", "x".repeat(POLICY_BYTES_MAX));
    assert_eq!(
        Draft::parse(&long).map(drop).unwrap_err()[0].code,
        "too_long"
    );
}

#[test]
fn a_file_of_nothing_but_nesting_is_refused() {
    for deep in ["a.", "[", "a=[", "a={a="] {
        assert!(
            Draft::parse(&deep.repeat(POLICY_BYTES_MAX / deep.len())).is_err(),
            "{deep}"
        );
    }
    let keys = format!("{}a = 1", "a.".repeat(400_000));
    assert!(Draft::parse(&keys).is_err());
    assert!(Draft::parse(&format!("[{}a]", "a.".repeat(400_000))).is_err());
}

#[test]
fn a_difference_is_a_sentence_and_no_difference_is_none() {
    let old = sample();
    let same = Draft::parse(SAMPLE).unwrap().assign(Some(&old), 2).unwrap();
    assert_eq!(diff(&old, &same), [""; 0]);
    let source = SAMPLE
        .replace("\"P0D\"", "\"P30D\"")
        .replace(
            "\"profile.email\" = \"mask\"",
            "\"profile.email\" = \"full\"",
        )
        .replace(
            "slots =",
            "plate = { type = \"plate\", purposes = [\"support\"] }\nslots =",
        )
        .replace("\"subjects.erase\", ", "")
        .replace("phone = {", "mobile = { renamed_from = \"phone\",");
    let new = Draft::parse(&source)
        .unwrap()
        .assign(Some(&old), 2)
        .unwrap();
    assert_eq!(
        diff(&old, &new),
        [
            "purpose newsletter: retention P0D → P30D",
            "field profile.mobile: renamed from profile.phone",
            "field profile.plate: added",
            "role agent: profile.email mask → full",
            "role bot: profile.plate none → full",
            "role bot: writes profile.plate",
            "role dpo: no longer may subjects.erase",
        ]
    );
}

#[test]
fn the_effect_shows_each_field_with_what_each_role_sees() {
    let text = show(&sample());
    let row = text
        .lines()
        .find(|line| line.trim_start().starts_with("email "))
        .unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(
        cells,
        [
            "email",
            "email",
            "support,",
            "newsletter",
            "lookup",
            "mask",
            "full",
            "w"
        ]
    );
    let card = text
        .lines()
        .find(|line| line.trim_start().starts_with("card "))
        .unwrap();
    assert!(
        card.ends_with("full w ?last4") && card.contains("  -  "),
        "{card}"
    );
    assert!(text.contains("operator  reserved"), "{text}");
}

proptest! {
    #[test]
    fn no_mutation_of_the_sample_panics(
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), 0_usize..40, "[\\[\\]{}=.\",a-zé*\n ]{0,6}"), 1..4),
    ) {
        let mut chars: Vec<char> = SAMPLE.chars().collect();
        for (at, cut, insert) in edits {
            let at = at.index(chars.len());
            let end = (at + cut).min(chars.len());
            chars.splice(at..end, insert.chars());
        }
        let source: String = chars.into_iter().collect();
        match Draft::parse(&source) {
            Ok(draft) => {
                let policy = draft.assign(None, 1).unwrap();
                let _ = show(&policy);
                let _ = diff(&sample(), &policy);
                prop_assert!(Policy::from_stored(policy.to_stored()).is_ok());
            }
            Err(findings) => prop_assert!(!findings.is_empty()),
        }
    }
}

#[test]
fn a_blob_says_what_it_accepts_and_is_neither_looked_up_nor_asked_about() {
    const FIELD: &str = "slots = { type = \"json\",";
    let read = |keys: &str| {
        let source = SAMPLE.replacen(FIELD, &format!("slots = {{ type = {keys},"), 1);
        Draft::parse(&source).and_then(|draft| draft.assign(None, 1))
    };
    let rule = |keys: &str| {
        let policy = read(keys).unwrap();
        let field = policy.collection("profile").unwrap().field("slots");
        field.unwrap().blob.clone().unwrap()
    };
    let some = rule("\"blob\", media_types = [\"image/jpeg\", \"audio/*\"]");
    assert_eq!(
        some.to_string(),
        "image/jpeg audio/*, at most 10485760 bytes"
    );
    let all = "\"blob\", media_types = [\"image/*\"], bytes_max = 4_294_967_296";
    assert_eq!(rule(all).bytes_max, 4 << 30);
    let accepts = |text| some.accepts(&crate::schema::MediaType::parse(text).unwrap());
    assert!(accepts("image/jpeg") && accepts("audio/ogg") && !accepts("image/png"));
    for (keys, code) in [
        ("\"blob\"", "no_media_types"),
        ("\"blob\", media_types = []", "no_media_types"),
        ("\"blob\", media_types = [\"*/*\"]", "bad_media_type"),
        ("\"blob\", media_types = [\"image/JPEG\"]", "bad_media_type"),
        (
            "\"blob\", media_types = [\"a/b\"], bytes_max = 0",
            "out_of_range",
        ),
        (
            "\"blob\", media_types = [\"a/b\"], bytes_max = 4294967297",
            "out_of_range",
        ),
        (
            "\"blob\", media_types = [\"a/b\"], bytes_max = \"1\"",
            "wrong_type",
        ),
        (
            "\"blob\", media_types = [\"a/b\"], lookup = true",
            "no_lookup",
        ),
        ("\"text\", media_types = [\"a/b\"]", "not_a_blob"),
        ("\"text\", bytes_max = 7", "not_a_blob"),
    ] {
        let findings = read(keys).unwrap_err();
        let codes: Vec<_> = findings.iter().map(|f| (f.line, f.code)).collect();
        let line = 1 + SAMPLE.lines().position(|l| l.contains(FIELD)).unwrap();
        assert_eq!(codes, [(line, code)], "{keys}");
    }
    let source = SAMPLE
        .replacen(
            FIELD,
            "slots = { type = \"blob\", media_types = [\"a/b\"],",
            1,
        )
        .replacen("profile.card.last4", "profile.slots.equals", 1);
    let findings = Draft::parse(&source).unwrap_err();
    assert_eq!((findings.len(), findings[0].code), (1, "unknown_test"));
    assert!(
        findings[0]
            .detail
            .contains("nothing can be asked of type blob")
    );
    // What it accepts is shown, and a change of it is told.
    let (old, new) = (
        read("\"blob\", media_types = [\"image/*\"]").unwrap(),
        read(all).unwrap(),
    );
    assert!(show(&new).contains("image/*, at most 4294967296 bytes"));
    let told = "field profile.slots: accepts image/*, at most 10485760 bytes → image/*, at most 4294967296 bytes";
    assert_eq!(diff(&old, &new), [told]);
}

#[test]
fn art_13_1_d_interests_are_told_in_every_language_or_refused_and_only_where_there_are_any() {
    let of = |more: &str| {
        let basis = format!("basis = \"legitimate_interests\"\n{more}");
        SAMPLE.replacen("basis = \"contract\"", &basis, 1)
    };
    let codes = |source: &str| -> Vec<&'static str> {
        match Draft::parse(source) {
            Ok(_) => Vec::new(),
            Err(found) => found.iter().map(|finding| finding.code).collect(),
        }
    };
    let both = "interests.en = \"Fewer calls\"\ninterests.de = \"Weniger Anrufe\"";
    assert_eq!(codes(&of(both)), [""; 0]);
    assert_eq!(codes(&of("")), [""; 0]);
    assert_eq!(
        codes(&of("interests.en = \"Fewer calls\"")),
        ["no_interests"]
    );
    let elsewhere = SAMPLE.replacen(
        "basis = \"contract\"",
        &format!("basis = \"contract\"\n{both}"),
        1,
    );
    assert_eq!(codes(&elsewhere), ["no_such_basis"]);
    let apply = |source: &str| Draft::parse(source).unwrap().assign(None, 1).unwrap();
    let (with, without) = (apply(&of(both)), apply(&of("")));
    // That they are told is new; other words for them are not.
    assert_ne!(with.notice_material(), without.notice_material());
    let other = apply(&of(&both.replace("Fewer", "Less")));
    assert_eq!(with.notice_material(), other.notice_material());
    assert!(
        diff(&with, &other)
            .iter()
            .any(|line| line.contains("interests.en"))
    );
}
