//! The streams over a store in memory, and the whole target against a service that answers as a test says.
//!
//! Failure is an object that is there before it is finished, bytes of two objects in one, something that counts as gone
//! and is not, and an error that names a secret or says nothing of the way out. That a real service does as this one is
//! not tried here: `tests/objects/run` does.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use vault_core::backup::target::{MARK, known, mark, put, same};
use vault_core::limits::OBJECT_TRIES_MAX;

use super::client::Client;
use super::source::Download;
use super::*;

const KEY_ID: &str = "AKIACANARY";
const SECRET: &str = "canary-secret-of-the-store";

fn memory() -> (Arc<Bridge>, Arc<dyn ObjectStore>, Path) {
    let bridge = Arc::new(Bridge::new().expect("a thread"));
    (bridge, Arc::new(InMemory::new()), Path::from("bak_1/data"))
}

fn sink(scene: &(Arc<Bridge>, Arc<dyn ObjectStore>, Path)) -> Box<dyn Sink> {
    let (bridge, store, key) = scene.clone();
    Box::new(sink::Upload::new(bridge, store, None, key).in_parts_of(1000))
}

fn read(scene: &(Arc<Bridge>, Arc<dyn ObjectStore>, Path)) -> io::Result<Vec<u8>> {
    let (bridge, store, key) = scene.clone();
    let mut bytes = Vec::new();
    Download::begin(bridge, store, key)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at % 251) as u8).collect()
}

#[test]
fn an_object_is_there_when_it_is_finished_and_not_before_however_long_it_is() {
    for length in [0, 1, 999, 1000, 1001, 2000, 5432] {
        let scene = memory();
        let mut writer = sink(&scene);
        writer.write_all(&bytes(length)).expect("written");
        let absent = read(&scene).expect_err("not there yet");
        assert_eq!(absent.kind(), io::ErrorKind::NotFound, "{length}");
        writer.finish().expect("finished");
        assert_eq!(read(&scene).expect("there"), bytes(length), "{length}");
    }
}

#[test]
fn an_object_that_is_given_up_leaves_the_one_before_it_whole() {
    let scene = memory();
    let mut writer = sink(&scene);
    writer.write_all(b"before").expect("written");
    writer.finish().expect("finished");
    for length in [10, 4321] {
        let mut writer = sink(&scene);
        writer.write_all(&bytes(length)).expect("written");
        drop(writer);
        assert_eq!(read(&scene).expect("there"), b"before");
    }
    let mut writer = sink(&scene);
    writer.write_all(&bytes(4321)).expect("written");
    writer.finish().expect("finished");
    assert_eq!(read(&scene).expect("there"), bytes(4321));
}

/// A store whose answers break off after so many bytes.
#[derive(Debug)]
struct Breaking {
    below: InMemory,
    /// Bytes of each answer that arrive.
    after: u64,
    /// Answers so far.
    asked: AtomicUsize,
    /// With which the object is replaced before the second answer.
    replaced: Option<Vec<u8>>,
}

impl std::fmt::Display for Breaking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Breaking")
    }
}

#[async_trait]
impl ObjectStore for Breaking {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.below.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.below.put_multipart_opts(location, options).await
    }

    async fn get_opts(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        if self.asked.fetch_add(1, Ordering::Relaxed) == 1
            && let Some(bytes) = &self.replaced
        {
            self.below.put(location, bytes.clone().into()).await?;
        }
        let mut found = self.below.get_opts(location, options).await?;
        let (meta, range) = (found.meta.clone(), found.range.clone());
        let whole = std::mem::replace(
            &mut found.payload,
            GetResultPayload::Stream(stream::empty().boxed()),
        );
        let whole = GetResult {
            payload: whole,
            meta,
            range,
            attributes: found.attributes.clone(),
            extensions: Default::default(),
        };
        let bytes = whole.bytes().await?;
        let arrives = bytes.slice(..bytes.len().min(self.after as usize));
        let broken = object_store::Error::Generic {
            store: "test",
            source: Box::new(Fault::Protocol),
        };
        let parts = vec![Ok(arrives), Err(broken)];
        found.payload = GetResultPayload::Stream(stream::iter(parts).boxed());
        Ok(found)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.below.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.below.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.below.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.below.copy_opts(from, to, options).await
    }
}

fn breaking(after: u64, replaced: Option<Vec<u8>>) -> (Arc<Bridge>, Arc<Breaking>, Path) {
    let (bridge, _, key) = memory();
    let store = Arc::new(Breaking {
        below: InMemory::new(),
        after,
        asked: AtomicUsize::new(0),
        replaced,
    });
    let put = store.clone();
    let location = key.clone();
    bridge
        .run(async move {
            let whole = PutPayload::from(bytes(4000));
            Ok(put.below.put(&location, whole).await.map(drop)?)
        })
        .expect("put");
    (bridge, store, key)
}

#[test]
fn what_breaks_off_goes_on_where_it_did() {
    let (bridge, store, key) = breaking(700, None);
    assert_eq!(
        read(&(bridge, store.clone(), key)).expect("read"),
        bytes(4000)
    );
    assert_eq!(store.asked.load(Ordering::Relaxed), 6);
}

#[test]
fn a_store_that_sends_nothing_any_more_is_given_up() {
    let (bridge, store, key) = breaking(0, None);
    let error = read(&(bridge, store.clone(), key)).expect_err("given up");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    let asked = store.asked.load(Ordering::Relaxed);
    assert_eq!(asked, OBJECT_TRIES_MAX as usize);
}

/// As a copy of the ledger is, while somebody reads it.
#[test]
fn bytes_of_two_objects_never_come_as_one() {
    let (bridge, store, key) = breaking(700, Some(vec![9; 4000]));
    let error = read(&(bridge, store, key)).expect_err("another object");
    assert_eq!(error.to_string(), Fault::Changed.to_string());
}

/// What a service was asked, and what it answers.
type Answers = dyn Fn(&str, &str) -> (u16, String) + Send + Sync;

/// A service in clear on this machine that answers so.
fn service(answers: impl Fn(&str, &str) -> (u16, String) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let answers: Arc<Answers> = Arc::new(answers);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answers = answers.clone();
            std::thread::spawn(move || {
                let mut writer = stream.try_clone().expect("a handle");
                let mut reader = BufReader::new(stream);
                while let Some((method, path)) = request(&mut reader) {
                    let (status, body) = answers(&method, &path);
                    let length = body.len();
                    let body = if method == "HEAD" {
                        String::new()
                    } else {
                        body
                    };
                    let answer = format!(
                        "HTTP/1.1 {status} .\r\ncontent-length: {length}\r\netag: \"1\"\r\nlast-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n{body}"
                    );
                    if writer.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

/// Reads a request; its method, and its path with the query.
fn request(reader: &mut impl BufRead) -> Option<(String, String)> {
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).ok()?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    io::copy(&mut reader.take(length), &mut io::sink()).ok()?;
    let mut words = first.split(' ').map(str::to_owned);
    Some((words.next()?, words.next()?))
}

fn environment(port: u16) -> impl Fn(&str) -> Option<String> {
    move |name| match name {
        "AWS_ACCESS_KEY_ID" => Some(KEY_ID.into()),
        "AWS_SECRET_ACCESS_KEY" => Some(SECRET.into()),
        "AWS_ENDPOINT_URL" => Some(format!("http://127.0.0.1:{port}")),
        _ => None,
    }
}

/// A target at such a service, which tries again at once.
fn target(port: u16) -> Objects {
    let place = ObjectsPlace::parse("s3://vault/b").expect("a place");
    let made = Objects::new(place, &ObjectsConfig::default(), &environment(port));
    let client = Client::hasty("127.0.0.1".into(), port);
    let base = format!("http://127.0.0.1:{port}");
    let region = "us-east-1".to_owned();
    let opened = made
        .access
        .with(client, &made.place, (&base, false), region);
    let (store, bucket) = opened.expect("opened");
    *made.open.lock() = Some(Open {
        bridge: Arc::new(Bridge::new().expect("a thread")),
        store,
        bucket: Arc::new(bucket),
    });
    made
}

fn code(code: &str) -> String {
    // As services do: with what they were sent, which is not to be seen anywhere.
    format!(
        "<Error><Code>{code}</Code><AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId><StringToSign>{SECRET}</StringToSign></Error>"
    )
}

/// Every call of a target, and what it came to.
fn every_call(target: &Objects) -> BTreeMap<&'static str, Result<String, io::Error>> {
    fn shown<T: std::fmt::Debug>(made: io::Result<T>) -> Result<String, io::Error> {
        made.map(|made| format!("{made:?}"))
    }
    let mut all = BTreeMap::new();
    all.insert("put", shown(put(target, "bak_1/x", b"x")));
    all.insert("open", target.open("bak_1/x").map(|_| "opened".into()));
    all.insert("objects", shown(target.objects("bak_1")));
    all.insert("backups", shown(target.backups()));
    all.insert("delete", shown(target.delete("bak_1/x")));
    all.insert("exists", shown(target.exists("bak_1/x")));
    all.insert("for good", shown(target.deletes_for_good()));
    all
}

#[test]
fn each_refusal_of_a_service_is_told_with_its_way_out_and_without_a_secret() {
    for (status, named, says) in [
        (403, "AccessDenied", "access denied"),
        (403, "InvalidAccessKeyId", "does not know these credentials"),
        (
            403,
            "SignatureDoesNotMatch",
            "does not know these credentials",
        ),
        (400, "ExpiredToken", "get new ones"),
        (301, "PermanentRedirect", "set AWS_REGION"),
        (400, "AuthorizationHeaderMalformed", "set AWS_REGION"),
        (404, "NoSuchBucket", "no such bucket"),
        (403, "RequestTimeTooSkewed", "clock of this machine"),
        (418, "Teapot", "status 418"),
    ] {
        let target = target(service(move |_, _| (status, code(named))));
        for (call, made) in every_call(&target) {
            // Who may not ask for versions may still ask for objects, so the others are asked.
            let error = made.expect_err(call);
            let text = format!("{error} {error:?}");
            assert!(error.to_string().contains(says), "{named}: {call}: {text}");
            assert_ne!(error.kind(), io::ErrorKind::NotFound, "{named}: {call}");
            assert!(!text.contains(SECRET) && !text.contains(KEY_ID), "{text}");
        }
    }
}

#[test]
fn a_service_that_is_away_is_told_and_one_that_is_busy_is_asked_again() {
    let gone = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("bound").port()
    };
    for (call, made) in every_call(&target(gone)) {
        let error = made.expect_err(call);
        assert!(error.to_string().contains("cannot be reached"), "{error}");
    }
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let busy = target(service(move |_, _| {
        match count.fetch_add(1, Ordering::Relaxed) {
            0..3 => (503, code("SlowDown")),
            _ => (200, "x".into()),
        }
    }));
    assert!(busy.exists(MARK).expect("after some tries"));
    assert_eq!(asked.load(Ordering::Relaxed), 4);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let down = target(service(move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
        (500, String::new())
    }));
    let error = put(&down, "bak_1/x", b"x").expect_err("it stays so");
    assert!(error.to_string().contains("status 500"), "{error}");
    assert_eq!(asked.load(Ordering::Relaxed), OBJECT_TRIES_MAX as usize);
}

/// The answer for one object has no text: a bucket that was deleted must not look like one in which all is gone.
#[test]
fn an_object_of_a_bucket_that_is_not_there_does_not_count_as_gone() {
    let there = target(service(|method, _| match method {
        "HEAD" => (404, String::new()),
        _ => (200, "<ListBucketResult/>".into()),
    }));
    assert!(!there.exists("bak_1/x").expect("an answer"));
    let gone = target(service(|_, _| (404, code("NoSuchBucket"))));
    let error = gone.exists("bak_1/x").expect_err("no bucket");
    assert_eq!(error.to_string(), Fault::Bucket.to_string());
    assert!(!known(&gone));
    mark(&gone).expect_err("a bucket is never made");
}

/// What a bucket says of versions, what it puts into an answer, and what the credentials may.
#[test]
fn only_where_nothing_is_kept_or_what_is_kept_goes_too_does_a_deletion_count() {
    const ENABLED: &str =
        "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    const SUSPENDED: &str =
        "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
    const NEVER: &str = "<VersioningConfiguration/>";
    const HIDDEN: &str = "<ListVersionsResult><Version><Key>b/bak_1/keys</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest></Version>\
         <DeleteMarker><Key>b/bak_1/keys</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest></DeleteMarker></ListVersionsResult>";
    const OTHERS: &str = "<ListVersionsResult><Version><Key>b/photo</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest></Version>\
         <Version><Key>b/bak_1/data</Key><VersionId>v1</VersionId><IsLatest>true</IsLatest></Version></ListVersionsResult>";
    for (says, lists, may, counts) in [
        (NEVER, HIDDEN, false, true),
        (ENABLED, HIDDEN, false, false),
        (SUSPENDED, HIDDEN, false, false),
        (ENABLED, HIDDEN, true, true),
        (SUSPENDED, HIDDEN, true, true),
        (ENABLED, OTHERS, false, true),
    ] {
        let deleted = Arc::new(Mutex::new(Vec::new()));
        let gone = deleted.clone();
        let target = target(service(move |method, path| {
            let mut gone = gone.lock();
            match (method, path) {
                ("DELETE", path) if path.contains("versionId=") && !may => {
                    (403, code("AccessDenied"))
                }
                ("DELETE", path) if path.contains("versionId=") => {
                    gone.push(path.to_owned());
                    (204, String::new())
                }
                (_, path) if path.contains("versioning=") => (200, says.into()),
                (_, path) if path.contains("versions=") && gone.len() < 2 => (200, lists.into()),
                (_, path) if path.contains("versions=") => {
                    (200, "<ListVersionsResult></ListVersionsResult>".into())
                }
                _ => (200, String::new()),
            }
        }));
        let made = target.deletes_for_good().expect("an answer");
        assert_eq!(made, counts, "{says} {lists} {may}");
        let paths = deleted.lock().clone();
        let expected: &[&str] = match (may, lists == HIDDEN && says != NEVER) {
            (true, true) => &[
                "/vault/b/bak_1/keys?versionId=v1",
                "/vault/b/bak_1/keys?versionId=v2",
            ],
            _ => &[],
        };
        assert_eq!(paths, expected, "{says} {lists} {may}");
    }
}

#[test]
fn uploads_that_nobody_finished_are_told_and_can_be_given_up() {
    let given_up = Arc::new(Mutex::new(Vec::new()));
    let list = given_up.clone();
    let target = target(service(move |method, path| {
        if method == "DELETE" {
            list.lock().push(path.to_owned());
        }
        let uploads = "<ListMultipartUploadsResult>\
             <Upload><Key>b/bak_1/data</Key><UploadId>u1</UploadId></Upload>\
             <Upload><Key>b/bak_1/data-2</Key><UploadId>u2</UploadId></Upload>\
             <Upload><Key>b/bak_2/data</Key><UploadId>u3</UploadId></Upload>\
             <Upload><Key>other</Key><UploadId>u4</UploadId></Upload></ListMultipartUploadsResult>";
        match path.contains("uploads=") {
            true => (200, uploads.into()),
            false => (
                200,
                "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>".into(),
            ),
        }
    }));
    assert_eq!(target.backups().expect("listed"), ["bak_1", "bak_2"]);
    let names = target.objects("bak_1").expect("listed");
    let names: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["data-2.unfinished", "data.unfinished"]);
    assert!(target.exists("bak_1/data.unfinished").expect("asked"));
    assert!(!target.exists("bak_1/dat.unfinished").expect("asked"));
    target.delete("bak_1/data.unfinished").expect("given up");
    assert_eq!(*given_up.lock(), ["/vault/b/bak_1/data?uploadId=u1"]);
}

#[test]
fn a_bucket_elsewhere_is_another_place_and_names_lead_nowhere_else() {
    let place = || ObjectsPlace::parse("s3://vault/b/").expect("a place");
    let config = ObjectsConfig::default();
    let at = |url: &'static str| {
        Objects::new(place(), &config, &|name| {
            (name == "AWS_ENDPOINT_URL").then(|| url.into())
        })
        .place()
    };
    let aws = Objects::new(place(), &config, &|_| None).place();
    assert_eq!(aws, "s3://vault/b");
    assert_eq!(
        at("https://Store.test:9000/"),
        "s3://vault/b at store.test:9000"
    );
    assert!(same(&at("https://store.test"), &at("https://store.test/")));
    assert!(!same(&aws, &at("https://store.test")));
    // What is no endpoint is refused when it is used, and nothing in it is shown.
    let odd = Objects::new(place(), &config, &|name| {
        (name == "AWS_ENDPOINT_URL").then(|| format!("https://user:{SECRET}@store.test/?{SECRET}"))
    });
    assert!(!odd.place().contains(SECRET));
    let target = target(1);
    for name in ["../x", "a/b/c", "", ".x", "bak_1/../x", "bak_1/a b"] {
        let error = target.exists(name).expect_err(name);
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}");
    }
}
