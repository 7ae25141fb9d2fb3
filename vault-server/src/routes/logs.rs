//! Lines of other programs' logs: taken, read, purged.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::header;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::id::SubjectId;
use vault_core::limits::{LOG_LINES_MAX, PAGE_RECORDS_MAX};
use vault_core::vault::{LogPage, LogPurged, LogQuery, LogTaken};

use crate::call::Outcome;
use crate::code::Code;
use crate::idempotency::Remember;
use crate::incoming::{Incoming, QueryMap};
use crate::negotiate;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::state::App;
use crate::urls;

const NDJSON: &str = "application/x-ndjson";
const JSON: &str = "application/json";
/// What a body of lines may be called.
const LINES: [&str; 2] = [NDJSON, "text/plain"];
const PAGE_DEFAULT: usize = 100;

/// What became of lines.
#[derive(Serialize, ToSchema)]
#[schema(as = LogTaken)]
pub(crate) struct TakenBody {
    /// Lines that were taken.
    accepted: u64,
    /// Lines that are not stored: something was found in them and the stream's mode is `drop`, or nobody is there
    /// whom they name.
    dropped: u64,
    /// Of those that were taken: lines that could not be looked at. Of these, `[REDACTION_FAILED]` is stored.
    failed: u64,
    /// What was found by its shape, by kind. Values of people in the vault are taken out as well, and not told here.
    #[schema(value_type = Object)]
    found: BTreeMap<&'static str, u64>,
}

impl From<LogTaken> for TakenBody {
    fn from(taken: LogTaken) -> Self {
        let LogTaken {
            accepted,
            dropped,
            failed,
            found,
        } = taken;
        Self {
            accepted,
            dropped,
            failed,
            found,
        }
    }
}

/// A line as it is stored.
#[derive(Serialize, ToSchema)]
#[schema(as = LogLine)]
pub(crate) struct LineBody {
    /// When it came.
    #[schema(format = DateTime)]
    at: String,
    /// The line: an object, or a text.
    line: Value,
}

/// Lines of a stream, the oldest first.
#[derive(Serialize, ToSchema)]
#[schema(as = LogPage)]
pub(crate) struct PageBody {
    /// The lines.
    lines: Vec<LineBody>,
    /// `cursor` of the next page; null where there is none.
    next: Option<String>,
    /// Stored rows on the way that did not open, and are left out.
    damaged: u64,
}

/// What stands behind the lines of a page that is lines.
#[derive(Serialize)]
struct LastLine<'a> {
    next: Option<&'a str>,
    damaged: u64,
}

impl PageBody {
    /// Each line on one of its own, and the rest behind them: without that the page is incomplete.
    fn ndjson(&self) -> Vec<u8> {
        let last = LastLine {
            next: self.next.as_deref(),
            damaged: self.damaged,
        };
        let mut bytes = Vec::new();
        for line in &self.lines {
            serde_json::to_writer(&mut bytes, line).expect("memory takes all that is written");
            bytes.push(b'\n');
        }
        let last = serde_json::json!({ "page": last });
        serde_json::to_writer(&mut bytes, &last).expect("memory takes all that is written");
        bytes.push(b'\n');
        bytes
    }
}

impl From<LogPage> for PageBody {
    fn from(page: LogPage) -> Self {
        let lines = page.lines.into_iter().map(|line| LineBody {
            at: line.at.to_string(),
            line: line.line,
        });
        Self {
            lines: lines.collect(),
            next: page.next,
            damaged: page.damaged,
        }
    }
}

/// What a purge destroyed.
#[derive(Serialize, ToSchema)]
#[schema(as = LogPurged)]
pub(crate) struct PurgedBody {
    /// Sets of keys that were destroyed: of lines that name nobody, one a day and more for a busy one.
    keys: u64,
    /// Of how many people and days lines were deleted.
    people: u64,
    /// Until when the keys of those are destroyed as well.
    #[schema(format = DateTime)]
    final_by: String,
}

impl From<LogPurged> for PurgedBody {
    fn from(purged: LogPurged) -> Self {
        Self {
            keys: purged.keys,
            people: purged.people,
            final_by: purged.final_by.to_string(),
        }
    }
}

/// The lines of a body; empty ones are none.
pub(crate) fn read_lines(body: &[u8]) -> Result<Vec<Vec<u8>>, Problem> {
    let lines = body.split(|byte| *byte == b'\n');
    let lines = lines
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty());
    let lines: Vec<Vec<u8>> = lines.take(LOG_LINES_MAX + 1).map(<[u8]>::to_vec).collect();
    match lines.len() {
        0 => Err(Problem::invalid_at("", "length", "at least one line")),
        many if many > LOG_LINES_MAX => Err(Problem::with_detail(
            Code::TooLarge,
            format!("a call has at most {LOG_LINES_MAX} lines"),
        )),
        _ => Ok(lines),
    }
}

fn parsed<T: std::str::FromStr>(
    query: &QueryMap,
    name: &str,
    what: &str,
) -> Result<Option<T>, Problem> {
    let Some(text) = query.text(name) else {
        return Ok(None);
    };
    let read = text.parse().ok();
    read.map(Some)
        .ok_or_else(|| Problem::invalid_at("", "unreadable", format!("`{name}` is {what}")))
}

/// Send lines of a log
///
/// One JSON object or text a line, at most 1000 lines of at most 16 KiB. What is found in a line is dropped, replaced
/// or kept whole as the policy says of the stream; a line that cannot be looked at is never stored as it came. A line
/// about somebody names them in the member `subject`, as `sub_…`, and dies with them. Capability `logs.write`.
#[utoipa::path(post, path = urls::LOG, tag = "logs", operation_id = "write_log",
    request_body(content((String = "application/x-ndjson"), (String = "text/plain"))),
    responses((status = 200, description = "What became of them", body = TakenBody)))]
pub(crate) async fn write(State(app): State<App>, incoming: Incoming) -> Outcome {
    let stream = incoming.parameter("stream").to_owned();
    let lines = match LINES.iter().any(|media_type| incoming.has_type(media_type)) {
        true => read_lines(&incoming.body),
        false => Err(Problem::new(Code::UnsupportedMediaType)),
    };
    let counting = app.clone();
    app.post(incoming, Remember::Reply, None, move |session| {
        let lines = match (lines, session.call().principal.session()) {
            (Ok(lines), _) => lines,
            // What a session may is decided with its lines; that it has none is nobody's secret.
            (Err(problem), Some(_)) => return Err(problem),
            (lines, None) => session.parsed("logs.write", lines)?,
        };
        let taken = session.vault.write_log(&session.call(), &stream, &lines)?;
        counting.metrics().log_lines(&stream, &taken);
        Ok(Reply::json(200, &TakenBody::from(taken)))
    })
    .await
}

/// Read lines of a log
///
/// Those that name nobody; with `subject`, those about one person. Capability `audit.read`; a stream whose lines are
/// kept whole (`mode = "encrypt"`) is read by the roles in its `readers`, and by no other, for the stream's purpose
/// (`Vault-Purpose`). JSON, or by `Accept: application/x-ndjson` a line each, and the page's end last, in
/// `{"page": {"next", "damaged"}}`.
#[utoipa::path(get, path = urls::LOG, tag = "logs", operation_id = "read_log",
    params(("from" = Option<String>, Query, description = "Lines that came from then on, RFC 3339"),
           ("to" = Option<String>, Query, description = "Lines that came before, RFC 3339"),
           ("subject" = Option<String>, Query, description = "Lines about this person, `sub_…`"),
           ("limit" = Option<u32>, Query, description = "Most lines on the page, 1 to 1000; 100 by default"),
           ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses((status = 200, description = "A page", content(
        (PageBody = "application/json"), (String = "application/x-ndjson")))))]
pub(crate) async fn read(State(app): State<App>, incoming: Incoming) -> Outcome {
    let form = negotiate::media_type(incoming.accept.as_deref(), &[JSON, NDJSON]);
    let stream = incoming.parameter("stream").to_owned();
    let query = incoming.query(&["from", "to", "subject", "limit", "cursor"]);
    let query = query.and_then(|query| {
        let instant = "an instant as RFC 3339 has it";
        Ok(LogQuery {
            from: parsed::<Timestamp>(&query, "from", instant)?,
            to: parsed::<Timestamp>(&query, "to", instant)?,
            // What is no id of anybody is nobody's.
            subject: query
                .text("subject")
                .map(|text| text.parse().unwrap_or(SubjectId::from_bytes([0; 16]))),
            limit: query.number("limit", 1, PAGE_RECORDS_MAX, PAGE_DEFAULT)?,
            cursor: query.text("cursor").map(str::to_owned),
        })
    });
    app.call(incoming, move |session| {
        let query = match query {
            Ok(query) => query,
            // Whoever may read the stream is told what is wrong with the query, and nobody else.
            Err(problem) => {
                let first = LogQuery {
                    limit: 1,
                    ..LogQuery::default()
                };
                session.vault.read_log(&session.call(), &stream, &first)?;
                return Err(problem);
            }
        };
        let page = session.vault.read_log(&session.call(), &stream, &query)?;
        let page = PageBody::from(page);
        let reply = match form {
            NDJSON => Reply::bytes(200, NDJSON, page.ndjson()),
            _ => Reply::json(200, &page),
        };
        Ok(reply.header(header::VARY, "Accept"))
    })
    .await
}

/// Destroy lines of a log
///
/// Those of the days from `from` to `to`, both included (UTC), by destroying their keys; without either, from the
/// first or to the last. Lines about people go as well. Capability `retention.run`.
#[utoipa::path(delete, path = urls::LOG, tag = "logs", operation_id = "purge_log",
    params(("from" = Option<String>, Query, description = "The first day, `YYYY-MM-DD`"),
           ("to" = Option<String>, Query, description = "The last day, `YYYY-MM-DD`")),
    responses((status = 200, description = "Destroyed", body = PurgedBody)))]
pub(crate) async fn purge(State(app): State<App>, incoming: Incoming) -> Outcome {
    let stream = incoming.parameter("stream").to_owned();
    let query = incoming.query(&["from", "to"]);
    let days = query.and_then(|query| {
        let day = "a day: 2027-01-31";
        let from = parsed::<Date>(&query, "from", day)?;
        Ok((from, parsed::<Date>(&query, "to", day)?))
    });
    app.call(incoming, move |session| {
        let (from, to) = session.parsed("retention.run", days)?;
        let call = session.call();
        let purged = session.vault.purge_log(&call, &stream, from, to)?;
        Ok(Reply::json(200, &PurgedBody::from(purged)))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_its_lines_without_empty_ones() {
        let lines = read_lines(b"{\"a\":1}\r\n\n  text \n").ok();
        let expected = [&b"{\"a\":1}"[..], b"text"].map(<[u8]>::to_vec);
        assert_eq!(lines.as_deref(), Some(&expected[..]));
        assert!(read_lines(b"\n \n").is_err());
        let many = |n: usize| "x\n".repeat(n);
        assert!(read_lines(many(LOG_LINES_MAX).as_bytes()).is_ok());
        let code = read_lines(many(LOG_LINES_MAX + 1).as_bytes()).err();
        assert_eq!(code.map(|problem| problem.code()), Some(Code::TooLarge));
    }
}
