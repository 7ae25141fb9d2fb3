//! What `object_store` does not ask of a bucket: whether it is there, whether it keeps versions and which, and which
//! uploads nobody finished.
//!
//! Source: Amazon S3 API Reference, 2006-03-01.

use http_body_util::{BodyExt, Limited};
use hyper::{Method, StatusCode};
use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpRequest, HttpRequestBody, HttpResponse, HttpService as _};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use vault_core::backup::target::{LEDGER, MARK};
use vault_core::limits::OBJECT_ANSWER_BYTES_MAX;

use super::PROBE;
use super::access::Credentials;
use super::client::Client;
use super::fault::Fault;

/// The version of what was written while none were kept.
pub(super) const NO_VERSION: &str = "null";
/// Pages of one list, of a thousand entries each.
const PAGES_MAX: usize = 1_000;

/// A bucket, asked by signed requests.
pub(super) struct Bucket {
    client: Client,
    credentials: Credentials,
    /// Without a slash at its end.
    url: String,
    region: String,
}

/// What a bucket says of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It never kept any.
    Nothing,
    /// It says nothing, or not to these credentials.
    Unknown,
    /// It keeps them, or kept them once.
    Versions,
}

/// A version that is no longer what its key leads to, or that says that its key leads to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Version {
    #[serde(rename = "Key")]
    pub(super) key: String,
    #[serde(rename = "VersionId")]
    id: String,
    #[serde(rename = "IsLatest", default)]
    latest: bool,
}

/// An upload that nobody finished, or somebody is about to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Upload {
    #[serde(rename = "Key")]
    pub(super) key: String,
    #[serde(rename = "UploadId")]
    id: String,
}

#[derive(Deserialize)]
struct Versioning {
    #[serde(rename = "Status")]
    status: Option<String>,
}

#[derive(Deserialize)]
struct Versions {
    #[serde(rename = "IsTruncated", default)]
    more: bool,
    #[serde(rename = "NextKeyMarker")]
    next_key: Option<String>,
    #[serde(rename = "NextVersionIdMarker")]
    next_id: Option<String>,
    #[serde(rename = "Version", default)]
    versions: Vec<Version>,
    #[serde(rename = "DeleteMarker", default)]
    markers: Vec<Version>,
}

#[derive(Deserialize)]
struct Uploads {
    #[serde(rename = "IsTruncated", default)]
    more: bool,
    #[serde(rename = "NextKeyMarker")]
    next_key: Option<String>,
    #[serde(rename = "NextUploadIdMarker")]
    next_id: Option<String>,
    #[serde(rename = "Upload", default)]
    uploads: Vec<Upload>,
}

impl Bucket {
    pub(super) fn new(
        client: Client,
        credentials: Credentials,
        url: String,
        region: String,
    ) -> Self {
        Self {
            client,
            credentials,
            url,
            region,
        }
    }

    /// Demands that the bucket is there and lists to us. Unlike the question for one object, an answer has a text.
    pub(super) async fn demand(&self) -> Result<(), Fault> {
        let query = [("list-type", "2"), ("max-keys", "1"), ("prefix", PROBE)];
        let answer = self.call(Method::GET, "", &query).await?;
        match answer.status() {
            StatusCode::NOT_FOUND => Err(Fault::Bucket),
            _ => Ok(()),
        }
    }

    /// Deletes an object; succeeds if there is none.
    pub(super) async fn delete(&self, key: &str) -> Result<(), Fault> {
        // A bucket that is not there says so in a text, which the client knows.
        self.call(Method::DELETE, key, &[]).await.map(drop)
    }

    /// What it says of versions.
    pub(super) async fn kept(&self) -> Result<Kept, Fault> {
        match self.list::<Versioning>(&[("versioning", "")]).await {
            Ok(Versioning { status: None }) => Ok(Kept::Nothing),
            // Suspended: the older ones are there still.
            Ok(Versioning { status: Some(_) }) => Ok(Kept::Versions),
            Err(Fault::Denied | Fault::Protocol | Fault::Answer(400 | 405 | 501)) => {
                Ok(Kept::Unknown)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Versions below `root` that are hidden: replaced or deleted. Only of objects that are ours.
    pub(super) async fn hidden(&self, root: &str) -> Result<Vec<Version>, Fault> {
        let mut found = Vec::new();
        let mut from: (Option<String>, Option<String>) = (None, None);
        for _ in 0..PAGES_MAX {
            let mut query = vec![("versions", ""), ("prefix", root)];
            query.extend(from.0.as_deref().map(|key| ("key-marker", key)));
            query.extend(from.1.as_deref().map(|id| ("version-id-marker", id)));
            let page = self.list::<Versions>(&query).await?;
            let hidden = page.versions.into_iter().filter(|version| !version.latest);
            found.extend(hidden.chain(page.markers));
            match (page.more, page.next_key) {
                (true, Some(key)) => from = (Some(key), page.next_id),
                _ => {
                    found.retain(|version| version.key.strip_prefix(root).is_some_and(is_ours));
                    return Ok(found);
                }
            }
        }
        Err(Fault::Protocol)
    }

    /// Deletes one version for good.
    pub(super) async fn delete_version(&self, version: &Version) -> Result<(), Fault> {
        let query = [("versionId", version.id.as_str())];
        self.call(Method::DELETE, &version.key, &query)
            .await
            .map(drop)
    }

    /// Uploads below `prefix` that are not finished.
    pub(super) async fn uploads(&self, prefix: &str) -> Result<Vec<Upload>, Fault> {
        let mut found = Vec::new();
        let mut from: (Option<String>, Option<String>) = (None, None);
        for _ in 0..PAGES_MAX {
            let mut query = vec![("uploads", ""), ("prefix", prefix)];
            query.extend(from.0.as_deref().map(|key| ("key-marker", key)));
            query.extend(from.1.as_deref().map(|id| ("upload-id-marker", id)));
            let page = self.list::<Uploads>(&query).await?;
            found.extend(page.uploads);
            match (page.more, page.next_key) {
                (true, Some(key)) => from = (Some(key), page.next_id),
                _ => {
                    // Not every service looks at the prefix.
                    found.retain(|upload| upload.key.starts_with(prefix));
                    return Ok(found);
                }
            }
        }
        Err(Fault::Protocol)
    }

    /// Gives up every upload of a key.
    pub(super) async fn abort_all(&self, key: &str) -> Result<(), Fault> {
        for upload in self.uploads(key).await? {
            if upload.key == key {
                let query = [("uploadId", upload.id.as_str())];
                self.call(Method::DELETE, key, &query).await?;
            }
        }
        Ok(())
    }

    async fn list<T: DeserializeOwned>(&self, query: &[(&str, &str)]) -> Result<T, Fault> {
        let answer = self.call(Method::GET, "", query).await?;
        if !answer.status().is_success() {
            return Err(Fault::Bucket);
        }
        let body = Limited::new(answer.into_body(), OBJECT_ANSWER_BYTES_MAX);
        let body = body.collect().await.map_err(|_| Fault::Protocol)?;
        let text = String::from_utf8(body.to_bytes().to_vec()).map_err(|_| Fault::Protocol)?;
        quick_xml::de::from_str(&text).map_err(|_| Fault::Protocol)
    }

    async fn call(
        &self,
        method: Method,
        key: &str,
        query: &[(&str, &str)],
    ) -> Result<HttpResponse, Fault> {
        let credential = self.credentials.get_credential().await?;
        let mut url = format!("{}/{key}", self.url);
        for (place, (name, value)) in query.iter().enumerate() {
            let before = if place == 0 { '?' } else { '&' };
            url.push(before);
            url.push_str(name);
            url.push('=');
            escape(&mut url, value);
        }
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = method;
        *request.uri_mut() = url.parse().map_err(|_| Fault::Protocol)?;
        let authorizer = AwsAuthorizer::new(&credential, "s3", &self.region);
        authorizer.try_authorize(&mut request, None)?;
        Ok(self.client.call(request).await?)
    }
}

/// Whether an object is one of backups: other objects of a shared bucket are nobody's business here.
fn is_ours(name: &str) -> bool {
    name.starts_with("bak_") || name.starts_with(LEDGER) || name == MARK || name == PROBE
}

/// Everything but letters, digits, `-`, `.`, `_` and `~` as `%XX`. Source: RFC 3986 §2.3.
fn escape(into: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            true => into.push(char::from(byte)),
            false => into.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_of_backups_is_nobodys_business() {
        for name in ["bak_1/manifest", "ledger-vlt_1", MARK, PROBE] {
            assert!(is_ours(name), "{name}");
        }
        for name in ["photos/bak_1", "vault-backups.txt", "my-ledger", ""] {
            assert!(!is_ours(name), "{name}");
        }
    }

    #[test]
    fn a_list_of_versions_is_read_in_whatever_order_its_parts_come() {
        let text = "<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker>\
             <DeleteMarker><Key>a</Key><VersionId>3</VersionId><IsLatest>true</IsLatest></DeleteMarker>\
             <Version><Key>a</Key><VersionId>2</VersionId><IsLatest>false</IsLatest><Size>7</Size></Version>\
             <DeleteMarker><Key>b</Key><VersionId>9</VersionId><IsLatest>true</IsLatest></DeleteMarker>\
             <Version><Key>c</Key><VersionId>null</VersionId><IsLatest>true</IsLatest></Version></ListVersionsResult>";
        let page: Versions = quick_xml::de::from_str(text).expect("a list");
        let ids = |all: &[Version]| all.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&page.versions), ["2", "null"]);
        assert_eq!(ids(&page.markers), ["3", "9"]);
        assert_eq!((page.more, page.next_key.as_deref()), (true, Some("k")));
        let said: Versioning = quick_xml::de::from_str(
            "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Suspended</Status></VersioningConfiguration>",
        )
        .expect("an answer");
        assert_eq!(said.status.as_deref(), Some("Suspended"));
        let none: Versioning =
            quick_xml::de::from_str("<VersioningConfiguration/>").expect("an answer");
        assert_eq!(none.status, None);
    }

    #[test]
    fn a_text_in_a_query_is_nothing_but_itself() {
        let mut url = String::new();
        escape(&mut url, "a/b&c=d e~ä%");
        assert_eq!(url, "a%2Fb%26c%3Dd%20e~%C3%A4%25");
    }
}
