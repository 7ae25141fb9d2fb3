//! The records of processing (Art. 30) as Markdown and as a table.

use std::fmt::Write as _;

use vault_core::statement::{ProcessingRecord, StatedPurpose};

use super::statement::{datum, identity, logs, plain, purposes, recipient};

/// The columns of the table; a row is an activity, or something that is missing.
const COLUMNS: [&str; 13] = [
    "row",
    "purpose",
    "title",
    "lawful_basis",
    "article",
    "data",
    "recipients",
    "transfers",
    "retention_after",
    "retention_period",
    "retention",
    "controller",
    "interests",
];

/// As Markdown (CommonMark), in the language of its statement.
pub(crate) fn markdown(record: &ProcessingRecord) -> String {
    let statement = &record.statement;
    let phrases = statement.phrases;
    let mut out = String::new();
    let _ = writeln!(out, "# {} (Art. 30(1))\n", plain(phrases.record_title));
    let _ = writeln!(out, "## {}\n", plain(phrases.responsible));
    let _ = writeln!(out, "{}\n", plain(&statement.controller.name));
    for (label, text) in identity(statement) {
        let _ = writeln!(out, "- {}: {}", plain(label), plain(text));
    }
    let more = [
        (phrases.officer, &statement.controller.dpo),
        (phrases.authority, &statement.controller.authority),
    ];
    for (label, text) in more {
        if let Some(text) = text {
            let _ = writeln!(out, "- {}: {}", plain(label), plain(text));
        }
    }
    let _ = writeln!(
        out,
        "\n## {}\n\n{}",
        plain(phrases.purposes),
        purposes(statement)
    );
    let _ = writeln!(out, "{}", logs(statement));
    let _ = writeln!(out, "## {}\n", plain(phrases.missing));
    for one in &record.missing {
        let _ = writeln!(out, "- {}: {}", one.article, plain(&one.what));
    }
    let _ = writeln!(out, "\n{}", plain(&statement.version()));
    out
}

/// As comma-separated values (RFC 4180).
pub(crate) fn csv(record: &ProcessingRecord) -> String {
    let mut out = row(&COLUMNS);
    let statement = &record.statement;
    for purpose in &statement.purposes {
        let data: Vec<_> = purpose.data.iter().map(datum).collect();
        let named = |keep: fn(&bool) -> bool, purpose: &StatedPurpose| -> Vec<String> {
            let all = purpose.recipients.iter();
            all.filter(|one| keep(&one.outside_eea))
                .map(|one| recipient(statement.phrases, one))
                .collect()
        };
        out.push_str(&row(&[
            "activity",
            &purpose.name,
            &purpose.title,
            purpose.basis.name(),
            purpose.article,
            &data.join("; "),
            &named(|_| true, purpose).join("; "),
            &named(|outside| *outside, purpose).join("; "),
            purpose.retention_after,
            &purpose.retention_period,
            &purpose.retention_words,
            &statement.controller.name,
            purpose.interests.as_deref().unwrap_or_default(),
        ]));
    }
    for one in &record.missing {
        let mut cells = [""; COLUMNS.len()];
        (cells[0], cells[2], cells[4]) = ("missing", &one.what, one.article);
        out.push_str(&row(&cells));
    }
    out
}

fn row(cells: &[&str; COLUMNS.len()]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| quoted(cell)).collect();
    cells.join(",") + "\r\n"
}

/// One cell. What a spreadsheet would take for a formula begins with an apostrophe.
fn quoted(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = text.replace('"', "\"\"");
    format!("\"{}{text}\"", if formula { "'" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_and_is_no_formula() {
        assert_eq!(quoted("a \"b\", c"), "\"a \"\"b\"\", c\"");
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
        assert_eq!(quoted("@x"), "\"'@x\"");
    }
}
