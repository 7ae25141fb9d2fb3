//! What is wrong with a policy, where, and which article says so.
//!
//! Knows nothing of the rules themselves.

use std::fmt;

/// Most findings that one check reports; the rest is counted as one.
pub(super) const FINDINGS_MAX: usize = 200;
/// Longest path that a finding repeats, in characters.
const PATH_CHARS_MAX: usize = 200;

/// One reason to refuse a policy. Displays as
/// `line 12: collections.profile.fields.card: … (Art. 5(1)(b) GDPR)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The line of the file, from 1.
    pub line: usize,
    /// The place in the policy, such as `collections.profile.fields.card`; empty for the file.
    pub path: String,
    /// A stable word for programs, such as `no_purpose`.
    pub code: &'static str,
    /// The article of the GDPR that demands it, such as `Art. 6(1)`, if one does.
    pub article: Option<&'static str>,
    /// What is wrong and how to mend it.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.detail)?;
        match self.article {
            Some(article) => write!(f, " ({article} GDPR)"),
            None => Ok(()),
        }
    }
}

/// Collects findings and knows the lines of the file.
#[derive(Debug)]
pub(super) struct Findings {
    /// Byte offsets of the line ends.
    line_ends: Vec<usize>,
    list: Vec<Finding>,
    more: usize,
}

impl Findings {
    pub(super) fn new(source: &str) -> Self {
        Self {
            line_ends: source.match_indices('\n').map(|(at, _)| at).collect(),
            list: Vec::new(),
            more: 0,
        }
    }

    /// The line, from 1, of the byte at `offset`.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.line_ends.partition_point(|&end| end < offset) + 1
    }

    /// Reports one finding. `detail` is made only if it will be kept: some are costly.
    pub(super) fn report(
        &mut self,
        line: usize,
        path: &str,
        code: &'static str,
        article: Option<&'static str>,
        detail: impl FnOnce() -> String,
    ) {
        if self.list.len() >= FINDINGS_MAX {
            self.more += 1;
            return;
        }
        self.list.push(Finding {
            line,
            path: printable(path, PATH_CHARS_MAX),
            code,
            article,
            detail: detail(),
        });
    }

    /// `value` if nothing was found, else all findings by line.
    pub(super) fn or<T>(mut self, value: T) -> Result<T, Vec<Finding>> {
        if self.list.is_empty() {
            return Ok(value);
        }
        self.list
            .sort_by(|a, b| a.line.cmp(&b.line).then_with(|| a.path.cmp(&b.path)));
        if self.more > 0 {
            let last = self.list.last().map_or(1, |finding| finding.line);
            self.list.push(Finding {
                line: last,
                path: String::new(),
                code: "more",
                article: None,
                detail: format!("and {} more; mend these first", self.more),
            });
        }
        Err(self.list)
    }
}

/// At most `chars_max` characters of `text`, without those that could steer a terminal.
pub(super) fn printable(text: &str, chars_max: usize) -> String {
    let mut short: String = text
        .chars()
        .take(chars_max)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    if text.chars().nth(chars_max).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_as_one_sentence_with_its_place_and_article() {
        let mut findings = Findings::new("a\nb\nc");
        let line = findings.line(4);
        findings.report(line, "x.y", "no_basis", Some("Art. 6(1)"), || {
            "needs a basis".into()
        });
        findings.report(1, "", "syntax", None, || "is broken".into());
        let texts: Vec<String> = findings
            .or(())
            .unwrap_err()
            .iter()
            .map(Finding::to_string)
            .collect();
        assert_eq!(
            texts,
            [
                "line 1: is broken",
                "line 3: x.y: needs a basis (Art. 6(1) GDPR)"
            ]
        );
    }

    #[test]
    fn a_line_begins_after_the_line_end() {
        let findings = Findings::new("a\nb\n");
        assert_eq!(findings.line(0), 1);
        assert_eq!(findings.line(1), 1);
        assert_eq!(findings.line(2), 2);
    }

    #[test]
    fn findings_beyond_the_limit_are_counted_not_kept() {
        let mut findings = Findings::new("");
        for _ in 0..FINDINGS_MAX + 7 {
            findings.report(1, "\u{1b}[31m", "x", None, String::new);
        }
        let list = findings.or(()).unwrap_err();
        assert_eq!(list.len(), FINDINGS_MAX + 1);
        assert_eq!(list[0].path, "?[31m");
        assert!(list[FINDINGS_MAX].detail.contains("7 more"));
    }
}
