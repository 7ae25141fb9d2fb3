//! Streams of log lines: what is taken out of a line, how long it stays, and who reads what is kept whole.
//!
//! Knows kinds of personal data by name (`detect`); knows nothing of lines or of where they lie.
//!
//! Source: GDPR Art. 5(1)(b), (c), (e) and (f), 25(2).

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::draft::{Content, DraftLogStream};
use super::finding::{Findings, printable};
use super::reader::{At, Section, hint};
use super::{Period, keys, parse, role};
use crate::detect::Kind;
use crate::limits::{LOG_RETENTION_HOURS_MAX, LOG_RETENTION_HOURS_MIN};
use crate::schema::words::words;

words! {
    /// What becomes of personal data that is found in a line.
    pub enum LogMode {
        /// The line is not stored.
        Drop = "drop",
        /// The line is stored whole, for those who are named as its readers.
        Encrypt = "encrypt",
        /// The name of its kind stands in its place.
        Redact = "redact",
        /// A token stands in its place: of one value the same for the whole day, and of none afterwards.
        Token = "token",
    }
}

/// One stream of log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogStream {
    /// The name inside the policy.
    pub name: String,
    /// What people are told, by language; may be empty.
    pub titles: BTreeMap<String, String>,
    /// What becomes of what is found.
    pub mode: LogMode,
    /// How long a line is kept.
    pub retention: Period,
    /// What is looked for by its shape.
    pub kinds: Vec<Kind>,
    /// Whether values of people in the vault are looked for.
    pub known_values: bool,
    /// Id of the purpose; there is one where lines are kept whole.
    pub purpose: Option<u16>,
    /// Roles that read a stream whose lines are kept whole.
    pub readers: Vec<String>,
}

impl LogStream {
    /// The number by which stored keys and compartments know it, below 32,768: a stream is its name, and two
    /// of one policy whose numbers are the same are refused.
    #[must_use]
    pub fn number(&self) -> u16 {
        number(&self.name)
    }

    /// How it reads in a sentence.
    pub(super) fn text(&self) -> String {
        let Self {
            name: _,
            titles: _,
            mode,
            retention,
            kinds,
            known_values,
            purpose: _,
            readers,
        } = self;
        let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        let known = if *known_values {
            ", known values too"
        } else {
            ""
        };
        let readers = match readers.is_empty() {
            true => String::new(),
            false => format!(", read by {}", readers.join(" ")),
        };
        let looked_for = match kinds.len() == Kind::ALL.len() {
            true => "every kind".to_owned(),
            false => kinds.join(" "),
        };
        format!(
            "{}, kept {retention}, looks for {looked_for}{known}{readers}",
            mode.name()
        )
    }
}

/// Fifteen bits of the name's hash.
fn number(name: &str) -> u16 {
    let hash = Sha256::new()
        .chain_update(b"vault/1 log stream")
        .chain_update(name)
        .finalize();
    u16::from_be_bytes([hash[0], hash[1]]) & 0x7fff
}

/// Reads one stream.
pub(super) fn read(
    at: At<String>,
    section: &Section<'_>,
    findings: &mut Findings,
) -> DraftLogStream {
    section.know(findings, keys::LOG);
    if !section.has("mode") {
        findings.report(
            section.line,
            &section.path,
            "missing",
            Some("Art. 5(1)(c)"),
            || {
                "needs a `mode`: what becomes of personal data in a line? drop, encrypt, redact or token"
                    .to_owned()
            },
        );
    }
    if !section.has("retention") {
        findings.report(
            section.line,
            &section.path,
            "no_retention",
            Some("Art. 5(1)(e)"),
            || "needs a `retention`, such as \"P30D\": how long is a line kept?".to_owned(),
        );
    }
    let retention = parse::period(section, findings, "retention");
    if let Some(period) = &retention
        && !(LOG_RETENTION_HOURS_MIN..=LOG_RETENTION_HOURS_MAX).contains(&period.hours())
    {
        let line = section.line_of(findings, "retention");
        let path = section.at("retention");
        findings.report(line, &path, "out_of_range", Some("Art. 5(1)(e)"), || {
            "lines go with the keys of their day: at least P1D, and at most P5Y".to_owned()
        });
    }
    let named = section
        .has("detect")
        .then(|| section.texts(findings, "detect"));
    let known_values = !section.has("known_values") || section.flag(findings, "known_values");
    DraftLogStream {
        purpose: section.text(findings, "purpose"),
        readers: section.texts(findings, "readers"),
        path: section.path.clone(),
        looks_for_nothing: named.as_ref().is_some_and(Vec::is_empty),
        stream: LogStream {
            name: at.value.clone(),
            titles: parse::by_language(section, "title", findings),
            mode: section
                .word(findings, "mode", "unknown_word")
                .unwrap_or(LogMode::Drop),
            retention: retention.unwrap_or_else(|| Period::parse("P1D").expect("a period")),
            kinds: kinds(&section.at("detect"), named, findings),
            known_values,
            purpose: None,
            readers: Vec::new(),
        },
        at,
    }
}

/// The kinds that are looked for: all, where the file does not say which.
fn kinds(path: &str, named: Option<Vec<At<String>>>, findings: &mut Findings) -> Vec<Kind> {
    let Some(named) = named else {
        return Kind::ALL.to_vec();
    };
    let mut kinds = Vec::new();
    for text in named {
        match Kind::named(&text.value) {
            Some(kind) => kinds.push(kind),
            None => findings.report(text.line, path, "unknown_kind", None, || {
                let names = Kind::ALL.map(Kind::name);
                let shown = printable(&text.value, 64);
                let near = hint(&text.value, names);
                format!(
                    "`{shown}` is nothing that is found by its shape{near}; known are {}",
                    names.join(", ")
                )
            }),
        }
    }
    kinds
}

/// Reports what the rest of the policy contradicts. That purposes exist is `check`'s.
pub(super) fn check(content: &Content, findings: &mut Findings) {
    let mut numbers: BTreeMap<u16, &str> = BTreeMap::new();
    for draft in &content.logs {
        let (line, path, stream) = (draft.at.line, &draft.path, &draft.stream);
        if let Some(other) = numbers.insert(stream.number(), &draft.at.value) {
            findings.report(line, path, "same_number", None, || {
                format!("its name makes the same number as `{other}`: choose another name")
            });
        }
        let whole = stream.mode == LogMode::Encrypt;
        if whole && draft.purpose.is_none() {
            findings.report(line, path, "no_purpose", Some("Art. 5(1)(b)"), || {
                "whole lines are personal data: needs a `purpose`".to_owned()
            });
        }
        if whole && draft.readers.is_empty() {
            findings.report(line, path, "no_readers", Some("Art. 5(1)(f)"), || {
                "nobody could read it: needs `readers`, the roles that may see whole lines"
                    .to_owned()
            });
        }
        if !whole && !draft.readers.is_empty() {
            let path = format!("{path}.readers");
            findings.report(line, &path, "not_here", None, || {
                "this stream is read with the capability audit.read: remove `readers`".to_owned()
            });
        }
        if !whole && draft.looks_for_nothing && !stream.known_values {
            findings.report(line, path, "finds_nothing", Some("Art. 5(1)(c)"), || {
                "looks for nothing, and so takes nothing out: name kinds in `detect`, or leave it out"
                    .to_owned()
            });
        }
        for reader in &draft.readers {
            readers(content, path, reader, findings);
        }
        for language in &content.controller.languages {
            if !stream.titles.is_empty() && !stream.titles.contains_key(language) {
                findings.report(line, path, "no_title", Some("Art. 12(1)"), || {
                    format!("needs `title.{language}`: the controller informs in this language")
                });
            }
        }
    }
}

/// Reports a reader that is no role.
fn readers(content: &Content, path: &str, reader: &At<String>, findings: &mut Findings) {
    let own = content.roles.iter().map(|role| role.at.value.as_str());
    let built_in = role::DEFAULTS.iter().chain(role::RESERVED);
    let known: Vec<&str> = own.chain(built_in.map(|(name, _)| *name)).collect();
    if known.contains(&reader.value.as_str()) {
        return;
    }
    findings.report(
        reader.line,
        &format!("{path}.readers"),
        "unknown_role",
        None,
        || {
            let shown = printable(&reader.value, 64);
            format!("there is no role `{shown}`{}", hint(&reader.value, known))
        },
    );
}

#[cfg(test)]
mod tests {
    use super::super::{Draft, Policy, SAMPLE};
    use super::*;

    const GOOD: &str = "[logs.bot]\nmode = \"redact\"\nretention = \"P30D\"\n";

    fn policy(section: &str) -> Policy {
        let source = format!("{SAMPLE}\n{section}");
        let draft = Draft::parse(&source).unwrap();
        draft.assign(None, 1).unwrap()
    }

    /// Line within the section, code and article of the one finding.
    #[track_caller]
    fn refused(section: &str) -> (usize, &'static str, Option<&'static str>) {
        let before = SAMPLE.lines().count() + 1;
        let source = format!("{SAMPLE}\n{section}");
        let findings = Draft::parse(&source).unwrap_err();
        assert_eq!(findings.len(), 1, "{findings:?}");
        let one = &findings[0];
        (one.line - before, one.code, one.article)
    }

    #[test]
    fn a_stream_looks_for_everything_unless_it_says_less() {
        let all = policy(GOOD);
        let stream = all.log_stream("bot").unwrap();
        assert_eq!(stream.kinds, Kind::ALL);
        assert!(stream.known_values && stream.readers.is_empty());
        assert_eq!(stream.mode, LogMode::Redact);
        let less = policy(&format!(
            "{GOOD}detect = [\"card\"]\nknown_values = false\n"
        ));
        let stream = less.log_stream("bot").unwrap();
        assert_eq!(
            (&*stream.kinds, stream.known_values),
            (&[Kind::Card][..], false)
        );
        assert!(all.log_stream("another").is_none());
        assert_eq!(
            all.log_stream_numbered(stream.number()).unwrap().name,
            "bot"
        );
    }

    #[test]
    fn a_stream_without_an_end_is_refused_and_so_is_one_that_keys_of_days_cannot_keep() {
        let end = Some("Art. 5(1)(e)");
        let without = "[logs.bot]\nmode = \"drop\"\n";
        assert_eq!(refused(without), (1, "no_retention", end));
        for period in ["PT23H", "P6Y", "P0D"] {
            let section = GOOD.replace("P30D", period);
            assert_eq!(refused(&section), (3, "out_of_range", end), "{period}");
        }
        assert!(
            policy(&GOOD.replace("P30D", "P1D"))
                .log_stream("bot")
                .is_some()
        );
    }

    #[test]
    fn whole_lines_need_a_purpose_and_readers_and_others_have_none() {
        let whole = GOOD.replace("redact", "encrypt");
        let purpose = "purpose = \"support\"\n";
        let readers = "readers = [\"dpo\"]\n";
        let kept = policy(&format!("{whole}{purpose}{readers}"));
        let stream = kept.log_stream("bot").unwrap();
        assert_eq!(stream.readers, ["dpo"]);
        assert_eq!(stream.purpose, Some(kept.purpose("support").unwrap().id));
        let code = |section: &str| refused(section).1;
        assert_eq!(code(&format!("{whole}{purpose}")), "no_readers");
        assert_eq!(code(&format!("{whole}{readers}")), "no_purpose");
        assert_eq!(code(&format!("{GOOD}{readers}")), "not_here");
        let stranger = readers.replace("dpo", "nobody");
        assert_eq!(code(&format!("{whole}{purpose}{stranger}")), "unknown_role");
        let unknown = purpose.replace("support", "fun");
        assert_eq!(
            code(&format!("{whole}{unknown}{readers}")),
            "unknown_purpose"
        );
    }

    #[test]
    fn what_finds_nothing_or_nothing_known_is_refused_where_it_stands() {
        assert_eq!(
            refused(&format!("{GOOD}detect = [\"crad\"]\n")),
            (4, "unknown_kind", None)
        );
        let nothing = format!("{GOOD}detect = []\n");
        assert!(policy(&nothing).log_stream("bot").unwrap().kinds.is_empty());
        let nothing = format!("{nothing}known_values = false\n");
        assert_eq!(refused(&nothing).1, "finds_nothing");
        assert_eq!(refused(&GOOD.replace("redact", "hide")).1, "unknown_word");
        assert_eq!(
            refused(&format!("{GOOD}title.en = \"Bot\"\n")).1,
            "no_title"
        );
    }

    #[test]
    fn a_number_follows_from_the_name_and_stays_below_compartments_of_collections() {
        assert_eq!(number("bot"), number("bot"));
        assert_ne!(number("bot"), number("web"));
        assert!(
            ["a", "bot", "web", "x9"]
                .iter()
                .all(|name| number(name) < 0x8000)
        );
    }
}
