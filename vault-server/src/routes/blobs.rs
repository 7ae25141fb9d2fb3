//! Blobs: bytes of a media type, in a field of a record.
//!
//! Uploads and downloads stream; what stands in their headers is read here.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use vault_core::limits::BLOB_BYTES_MAX;
use vault_core::schema::MediaType;
use vault_core::vault::{BlobPlace, Download, Look};

use crate::asked;
use crate::call::Outcome;
use crate::code::Code;
use crate::incoming::{Incoming, Streamed};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::records::WrittenBody;
use crate::state::App;
use crate::urls;

/// The bytes themselves.
#[derive(ToSchema)]
#[schema(as = BlobBytes, value_type = String, format = Binary)]
#[expect(
    dead_code,
    reason = "describes the wire; the bytes are never held whole"
)]
pub(crate) struct BytesBody(Vec<u8>);

/// What an upload left.
#[derive(Serialize, ToSchema)]
#[schema(as = BlobWritten)]
pub(crate) struct BlobBody {
    /// The record's new revision, as in the `ETag` header but unquoted.
    etag: String,
    /// Bytes of content.
    size: u64,
    /// Its media type, without parameters.
    media_type: String,
    /// Until when a blob that was replaced is gone for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    final_by: Option<String>,
}

fn single(incoming: &Incoming) -> BlobPlace {
    BlobPlace {
        subject: incoming.subject(),
        collection: incoming.parameter("c").to_owned(),
        record: None,
        field: incoming.parameter("f").to_owned(),
    }
}

fn one_of_many(incoming: &Incoming) -> BlobPlace {
    BlobPlace {
        record: Some(asked::record(incoming.parameter("r"))),
        ..single(incoming)
    }
}

/// The announced length. One that no field could take is refused before anybody asks who calls.
pub(crate) fn length(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(length) = headers.get(header::CONTENT_LENGTH) else {
        return Ok(None);
    };
    let length = length.to_str().ok().and_then(|text| text.parse().ok());
    let length: u64 = length.ok_or_else(|| {
        Problem::with_detail(Code::Malformed, "`Content-Length` is a number of bytes")
    })?;
    if length > BLOB_BYTES_MAX {
        let detail = format!("a blob has at most {BLOB_BYTES_MAX} bytes");
        return Err(Problem::with_detail(Code::TooLarge, detail));
    }
    Ok(Some(length))
}

pub(crate) fn media_type(headers: &HeaderMap) -> Result<MediaType, Problem> {
    let text = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    text.and_then(MediaType::parse).ok_or_else(|| {
        Problem::with_detail(
            Code::UnsupportedMediaType,
            "`Content-Type` says what the bytes are, such as image/jpeg",
        )
    })
}

async fn receive(app: App, streamed: Streamed, place: BlobPlace) -> Outcome {
    let Streamed {
        head,
        headers,
        body,
    } = streamed;
    head.demand_purpose()?;
    let (media_type, length) = (media_type(&headers)?, length(&headers)?);
    let (if_match, query) = (head.if_match.clone(), head.query(&[]));
    let named = media_type.as_str().to_owned();
    let written = app
        .receive(head, &headers, body, move |session| {
            query?;
            let vault = session.vault.clone();
            let if_match = if_match.as_deref();
            Ok(vault.begin_upload(&session.call(), place, media_type, length, if_match)?)
        })
        .await?;
    let body = BlobBody {
        etag: written.etag.clone(),
        size: written.size,
        media_type: named,
        final_by: written.final_by.map(|at| at.to_string()),
    };
    Ok(Reply::json(200, &body).etag(&written.etag))
}

/// Which bytes a `Range` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// All: there is no range, or none that is understood (RFC 9110 §14.2 lets it be ignored).
    Whole,
    /// From the first up to the second, which is not one of them.
    Part(u64, u64),
    /// It begins behind the end.
    Outside,
}

pub(crate) fn range(text: &str, size: u64) -> Range {
    let Some(one) = text.trim().strip_prefix("bytes=") else {
        return Range::Whole;
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than a number has lie behind every end.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let Some((first, last)) = one.trim().split_once('-') else {
        return Range::Whole;
    };
    match (first, last) {
        ("", last) => match number(last) {
            None => Range::Whole,
            Some(0) => Range::Outside,
            Some(_) if size == 0 => Range::Outside,
            Some(last) => Range::Part(size.saturating_sub(last), size),
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), _) if first >= size && (last.is_empty() || number(last).is_some()) => {
                Range::Outside
            }
            (Some(first), None) if last.is_empty() => Range::Part(first, size),
            (Some(first), Some(last)) if first <= last => {
                Range::Part(first, last.saturating_add(1).min(size))
            }
            _ => Range::Whole,
        },
    }
}

/// The range of a request; `If-Range` with another revision, or with a date, asks for everything.
fn asked(headers: &HeaderMap, download: &Download) -> Range {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(wanted) = text(header::RANGE) else {
        return Range::Whole;
    };
    let etag = format!("\"{}\"", download.etag());
    match text(header::IF_RANGE) {
        Some(revision) if revision.trim() != etag => Range::Whole,
        _ => range(wanted, download.size()),
    }
}

/// Headers of the content. A browser must neither guess at it nor run it: it came from anybody.
fn content_headers(response: &mut Response, download: &Download, length: u64) {
    let visible = |text: &str| HeaderValue::try_from(text).expect("checked names and numbers");
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        visible(download.media_type().as_str()),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::ETAG, visible(&format!("\"{}\"", download.etag())));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment"),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("sandbox"),
    );
}

async fn open(
    app: &App,
    head: Incoming,
    place: BlobPlace,
    look: Look,
) -> Result<Download, Problem> {
    head.demand_purpose()?;
    let query = head.query(&[]);
    app.work(head, move |session| {
        query?;
        let vault = session.vault.clone();
        Ok(vault.open_blob(&session.call(), place, look)?)
    })
    .await
}

async fn answer(app: App, streamed: Streamed, place: BlobPlace) -> Result<Response, Problem> {
    let download = open(&app, streamed.head, place, Look::Content).await?;
    let size = download.size();
    let (status, from, to) = match asked(&streamed.headers, &download) {
        Range::Whole => (StatusCode::OK, 0, size),
        Range::Part(from, to) => (StatusCode::PARTIAL_CONTENT, from, to),
        Range::Outside => {
            let mut refused = Problem::new(Code::RangeNotSatisfiable).into_response();
            let length = HeaderValue::try_from(format!("bytes */{size}"));
            let length = length.expect("a number");
            refused.headers_mut().insert(header::CONTENT_RANGE, length);
            return Ok(refused);
        }
    };
    let mut response = Response::new(Body::empty());
    content_headers(&mut response, &download, to - from);
    if status == StatusCode::PARTIAL_CONTENT {
        let part = HeaderValue::try_from(format!("bytes {from}-{}/{size}", to - 1));
        let part = part.expect("numbers");
        response.headers_mut().insert(header::CONTENT_RANGE, part);
    }
    *response.status_mut() = status;
    *response.body_mut() = app.send(download, from, to)?;
    Ok(response)
}

async fn describe(app: App, streamed: Streamed, place: BlobPlace) -> Result<Response, Problem> {
    let download = open(&app, streamed.head, place, Look::Head).await?;
    let mut response = Response::new(Body::empty());
    content_headers(&mut response, &download, download.size());
    Ok(response)
}

async fn remove(app: App, incoming: Incoming, place: BlobPlace) -> Outcome {
    incoming.demand_purpose()?;
    let (if_match, query) = (incoming.if_match.clone(), incoming.query(&[]));
    app.call(incoming, move |session| {
        query?;
        let if_match = if_match.as_deref();
        let written = session
            .vault
            .delete_blob(&session.call(), place, if_match)?;
        let etag = written.etag.clone();
        Ok(Reply::json(200, &WrittenBody::from(written)).etag(&etag))
    })
    .await
}

/// Read a blob of the one record of a person
///
/// Streams the bytes. One `Range` of bytes is answered with 206; `If-Range` takes the revision. If
/// the person is erased or consent ends meanwhile, so does the answer, and the connection is closed.
#[utoipa::path(get, path = urls::BLOB, tag = "blobs", operation_id = "read_blob",
    params(("Range" = Option<String>, Header, description = "One range, such as `bytes=0-1023`"),
           ("If-Range" = Option<String>, Header, description = "The revision of the part that is already there")),
    responses((status = 200, description = "All bytes", body = BytesBody, content_type = "*/*"),
              (status = 206, description = "The bytes of `Content-Range`", body = BytesBody, content_type = "*/*"),
              (status = 416, description = "The range begins behind the end; `Content-Range` has the size")))]
pub(crate) async fn read(State(app): State<App>, streamed: Streamed) -> Result<Response, Problem> {
    let place = single(&streamed.head);
    answer(app, streamed, place).await
}

/// Size and media type of a blob of the one record of a person
///
/// In the headers of an answer without a body. Whoever may see only the mask asks for the record.
#[utoipa::path(head, path = urls::BLOB, tag = "blobs", operation_id = "head_blob",
    responses((status = 200, description = "`Content-Length`, `Content-Type`, `ETag`")))]
pub(crate) async fn head(State(app): State<App>, streamed: Streamed) -> Result<Response, Problem> {
    let place = single(&streamed.head);
    describe(app, streamed, place).await
}

/// Store a blob in the one record of a person
///
/// The body is the bytes, with a length or chunked; `Content-Type` one of the types that the field
/// lists (parameters are dropped), else 415. More than its `bytes_max` is 413: before the body is
/// read where a length was sent. Everything is checked again at the end; what breaks leaves nothing.
#[utoipa::path(put, path = urls::BLOB, tag = "blobs", operation_id = "put_blob",
    request_body(content = BytesBody, content_type = "application/octet-stream"),
    responses((status = 200, description = "Stored", body = BlobBody)))]
pub(crate) async fn put(State(app): State<App>, streamed: Streamed) -> Outcome {
    let place = single(&streamed.head);
    receive(app, streamed, place).await
}

/// Remove a blob of the one record of a person
///
/// `final_by` says until when its last trace is gone.
#[utoipa::path(delete, path = urls::BLOB, tag = "blobs", operation_id = "delete_blob",
    responses((status = 200, description = "Removed", body = WrittenBody)))]
pub(crate) async fn delete(State(app): State<App>, incoming: Incoming) -> Outcome {
    let place = single(&incoming);
    remove(app, incoming, place).await
}

/// Read a blob of one record of many
///
/// As for the one record of a person.
#[utoipa::path(get, path = urls::BLOB_OF_RECORD, tag = "blobs", operation_id = "read_record_blob",
    params(("Range" = Option<String>, Header, description = "One range, such as `bytes=0-1023`"),
           ("If-Range" = Option<String>, Header, description = "The revision of the part that is already there")),
    responses((status = 200, description = "All bytes", body = BytesBody, content_type = "*/*"),
              (status = 206, description = "The bytes of `Content-Range`", body = BytesBody, content_type = "*/*"),
              (status = 416, description = "The range begins behind the end; `Content-Range` has the size")))]
pub(crate) async fn read_one(
    State(app): State<App>,
    streamed: Streamed,
) -> Result<Response, Problem> {
    let place = one_of_many(&streamed.head);
    answer(app, streamed, place).await
}

/// Size and media type of a blob of one record of many
///
/// As for the one record of a person.
#[utoipa::path(head, path = urls::BLOB_OF_RECORD, tag = "blobs", operation_id = "head_record_blob",
    responses((status = 200, description = "`Content-Length`, `Content-Type`, `ETag`")))]
pub(crate) async fn head_one(
    State(app): State<App>,
    streamed: Streamed,
) -> Result<Response, Problem> {
    let place = one_of_many(&streamed.head);
    describe(app, streamed, place).await
}

/// Store a blob in one record of many
///
/// As for the one record of a person. The record must be there: append it first.
#[utoipa::path(put, path = urls::BLOB_OF_RECORD, tag = "blobs", operation_id = "put_record_blob",
    request_body(content = BytesBody, content_type = "application/octet-stream"),
    responses((status = 200, description = "Stored", body = BlobBody)))]
pub(crate) async fn put_one(State(app): State<App>, streamed: Streamed) -> Outcome {
    let place = one_of_many(&streamed.head);
    receive(app, streamed, place).await
}

/// Remove a blob of one record of many
///
/// `final_by` says until when its last trace is gone.
#[utoipa::path(delete, path = urls::BLOB_OF_RECORD, tag = "blobs", operation_id = "delete_record_blob",
    responses((status = 200, description = "Removed", body = WrittenBody)))]
pub(crate) async fn delete_one(State(app): State<App>, incoming: Incoming) -> Outcome {
    let place = one_of_many(&incoming);
    remove(app, incoming, place).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_one_part_of_what_is_there_or_is_ignored() {
        let cases = [
            ("bytes=0-0", Range::Part(0, 1)),
            ("bytes=5-7", Range::Part(5, 8)),
            ("bytes=5-", Range::Part(5, 10)),
            ("bytes=5-99999999999999999999999", Range::Part(5, 10)),
            ("bytes=-3", Range::Part(7, 10)),
            ("bytes=-30", Range::Part(0, 10)),
            ("bytes=10-", Range::Outside),
            ("bytes=10-12", Range::Outside),
            ("bytes=-0", Range::Outside),
            ("bytes=7-5", Range::Whole),
            ("bytes=0-1,3-4", Range::Whole),
            ("bytes=-", Range::Whole),
            ("bytes=a-b", Range::Whole),
            ("bytes=+1-2", Range::Whole),
            ("lines=0-1", Range::Whole),
        ];
        for (text, expected) in cases {
            assert_eq!(range(text, 10), expected, "{text}");
        }
        assert_eq!(range("bytes=0-", 0), Range::Outside);
        assert_eq!(range("bytes=-1", 0), Range::Outside);
    }
}
