//! A server whose disk is full when each kind of call comes.
//!
//! For each kind the disk is filled to its last block, and the call is made again and again until it
//! meets that. Counts as failure: an answer that is neither a success nor 507 `disk_full` nor 503; a
//! kind that never meets the full disk although it writes; an erasure that does not succeed at the second
//! call at the latest; a call
//! that does not succeed once room has returned; anything acknowledged that is not there at the end,
//! after a stop and another start; somebody erased who is back.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::server::{House, Plan, Server, ServerError};

/// How the process inside says that something was not as it must be.
pub const FAILED: u8 = 4;
const POLICY: &str = r#"
[controller]
name = "Invented Ferries"
contact = "privacy@ferries.example.test"
[purposes.support]
title.en = "Answering your questions"
basis = "contract"
retention = { after = "last_activity", period = "P2Y" }
[purposes.news]
title.en = "Sending you our newsletter"
basis = "consent"
retention = { after = "withdrawal", period = "P0D" }
[collections.profile]
kind = "single"
[collections.profile.fields]
name  = { type = "name", purposes = ["support"] }
photo = { type = "blob", purposes = ["support"], media_types = ["image/*"] }
[collections.notes]
kind = "many"
[collections.notes.fields]
text = { type = "text", purposes = ["support"] }
[roles.bot]
purposes = ["support"]
read  = { "*" = "full" }
write = ["*"]
may   = ["subjects.create", "subjects.erase", "sessions.create", "consents.record", "records.bulk", "records.purge", "audit.read", "policy.apply", "api_keys.manage", "keys.manage", "retention.run"]
"#;
/// Calls of one kind before it must have met the full disk.
const TRIES: usize = 3_000;
/// How long the server may take to see that there is room again.
const RETURN: Duration = Duration::from_secs(60);

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FullDiskError {
    /// The disk, or the connection.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The connection.
    #[error("no answer: {0}")]
    NoAnswer(#[from] ureq::Error),
    /// Something that must not be.
    #[error("{0}")]
    Wrong(String),
}

type Tried<T> = Result<T, FullDiskError>;

/// Kinds of calls, and what is done about a full disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It stores, and meets the full disk.
    Stores,
    /// It succeeds nevertheless.
    Works,
    /// It removes, and finds room in what is free within the database, or does not.
    Removes,
}

struct Call {
    status: u16,
    code: String,
    body: Value,
}

/// Who calls, and what was acknowledged.
struct Client {
    agent: ureq::Agent,
    url: String,
    key: String,
    number: usize,
}

impl Client {
    fn new(server: &Server, key: &str) -> Self {
        Self {
            agent: ureq::Agent::config_builder()
                .http_status_as_error(false)
                .build()
                .into(),
            url: format!("http://{}", server.dialer.address()),
            key: key.to_owned(),
            number: 0,
        }
    }

    fn send(&self, method: &str, path: &str, kind: &str, body: Vec<u8>) -> Tried<Call> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/v1/{path}", self.url))
            .header("Authorization", format!("Bearer {}", self.key))
            .header("Vault-Purpose", "support")
            .header("Content-Type", kind);
        let bare = ["GET", "DELETE"].contains(&method);
        let mut answer = match bare {
            true => self.agent.run(request.body(()).expect("headers of ours"))?,
            false => self
                .agent
                .run(request.body(body).expect("headers of ours"))?,
        };
        let status = answer.status().as_u16();
        let body = answer
            .body_mut()
            .with_config()
            .limit(64 << 20)
            .read_to_vec()?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let code = body["code"].as_str().unwrap_or_default().to_owned();
        Ok(Call { status, code, body })
    }

    fn json(&self, method: &str, path: &str, body: &Value) -> Tried<Call> {
        self.send(method, path, "application/json", body.to_string().into())
    }

    fn get(&self, path: &str) -> Tried<Call> {
        self.send("GET", path, "application/json", Vec::new())
    }

    fn person(&mut self) -> Tried<String> {
        self.number += 1;
        let who = json!({"channel": "web", "user": format!("user {}", self.number)});
        let made = demand(self.json("POST", "subjects", &who)?, "a person")?;
        Ok(made.body["subject"].as_str().unwrap_or_default().to_owned())
    }
}

fn demand(call: Call, what: &str) -> Tried<Call> {
    match call.status {
        200..300 => Ok(call),
        status => Err(FullDiskError::Wrong(format!(
            "{what} was answered {status} {}",
            call.code
        ))),
    }
}

/// A file that takes all the room there is.
struct Ballast(PathBuf);

impl Ballast {
    fn fill(&self) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.0)?;
        let mut piece = vec![0xa5; 1 << 20];
        while !piece.is_empty() {
            match file.write_all(&piece) {
                Ok(()) => {}
                // Smaller and smaller, to the last block.
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    piece.truncate(piece.len() / 2);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }
}

/// The names of the kinds, and whether they store.
const KINDS: [(&str, Kind); 17] = [
    ("create a person", Kind::Stores),
    ("patch a record", Kind::Stores),
    ("append records", Kind::Stores),
    ("record a consent", Kind::Stores),
    ("withdraw a consent", Kind::Stores),
    ("begin a session", Kind::Stores),
    ("upload a blob", Kind::Stores),
    ("remove a blob", Kind::Removes),
    ("batch", Kind::Stores),
    ("update many records", Kind::Stores),
    ("make an API key", Kind::Stores),
    ("apply a policy", Kind::Stores),
    // Its entry must be on the disk before the value leaves.
    ("read a record", Kind::Stores),
    ("add a key slot", Kind::Works),
    ("purge records", Kind::Works),
    ("run retention", Kind::Works),
    ("look at the state", Kind::Works),
];

/// Whom the calls are about.
struct Cast {
    ann: String,
    ben: String,
    /// With a blob each.
    with_blobs: Vec<String>,
    /// To be forgotten, one a kind.
    doomed: Vec<String>,
    /// Of Ann: how many notes were acknowledged, and which name.
    notes: usize,
    name: String,
}

impl Cast {
    fn new(client: &mut Client) -> Tried<Self> {
        let (ann, ben) = (client.person()?, client.person()?);
        let mut cast = Self {
            ann,
            ben,
            with_blobs: Vec::new(),
            doomed: Vec::new(),
            notes: 0,
            name: "Ann".into(),
        };
        let name = format!("subjects/{}/records/profile", cast.ann);
        demand(
            client.json("PATCH", &name, &json!({"name": "Ann"}))?,
            "a name",
        )?;
        for _ in 0..2 {
            let person = client.person()?;
            let path = format!("subjects/{person}/blobs/profile/photo");
            demand(
                client.send("PUT", &path, "image/png", vec![7; 100_000])?,
                "a blob",
            )?;
            cast.with_blobs.push(person);
        }
        for _ in 0..2 * KINDS.len() {
            let person = client.person()?;
            let path = format!("subjects/{person}/records/profile");
            demand(
                client.json("PATCH", &path, &json!({"name": "Doomed"}))?,
                "a name",
            )?;
            cast.doomed.push(person);
        }
        Ok(cast)
    }

    /// One call of a kind; what is acknowledged is remembered.
    fn call(&mut self, client: &mut Client, what: &str, turn: usize) -> Tried<Call> {
        let (ann, ben) = (&self.ann, &self.ben);
        let note = json!({"text": "x".repeat(4000), "_meta": {"source": "a"}});
        let change = json!({"collection": "notes", "where": {"source": "a"}, "set": {"category": format!("c{turn}")}});
        let purge = json!({"collection": "notes", "where": {"source": "nobody"}});
        match what {
            "create a person" => {
                let who = json!({"channel": "web", "user": format!("new {turn}")});
                client.json("POST", "subjects", &who)
            }
            "patch a record" => {
                let name = format!("Ann {turn}");
                let path = format!("subjects/{ann}/records/profile");
                let call = client.json("PATCH", &path, &json!({"name": name}))?;
                if call.status == 200 {
                    self.name = name;
                }
                Ok(call)
            }
            "read a record" => client.get(&format!("subjects/{ann}/records/profile")),
            "append records" => {
                let call = client.json("POST", &format!("subjects/{ann}/records/notes"), &note)?;
                self.notes += usize::from(call.status == 201);
                Ok(call)
            }
            "record a consent" => {
                let said = json!({"given": true, "notice": "n1"});
                client.json("PUT", &format!("subjects/{ben}/consents/news"), &said)
            }
            "withdraw a consent" => {
                client.send("DELETE", &format!("subjects/{ben}/consents/news"), "", Vec::new())
            }
            "begin a session" => {
                let wish = json!({"purpose": "support", "fields": ["profile.name"], "reads": 1, "writes": 1});
                // A person has only so many at a time.
                let person = &self.doomed[turn % self.doomed.len()];
                client.json("POST", &format!("subjects/{person}/sessions"), &wish)
            }
            "upload a blob" => {
                let path = format!("subjects/{ben}/blobs/profile/photo");
                client.send("PUT", &path, "image/png", vec![9; 600_000])
            }
            "remove a blob" => {
                let person = &self.with_blobs[turn % 2];
                let path = format!("subjects/{person}/blobs/profile/photo");
                client.send("DELETE", &path, "", Vec::new())
            }
            "batch" => client.json(
                "POST",
                "batch",
                &json!({"operations": [
                    {"method": "POST", "path": format!("/v1/subjects/{ben}/records/notes"), "purpose": "support", "body": note},
                    {"method": "PATCH", "path": format!("/v1/subjects/{ben}/records/profile"), "purpose": "support", "body": {"name": "Ben"}},
                ]}),
            ),
            "update many records" => client.json("POST", "records/update", &change),
            "make an API key" => client.json("POST", "admin/api-keys", &json!({"role": "bot", "label": "more"})),
            "apply a policy" => {
                let field = format!("more{turn} = {{ type = \"text\", purposes = [\"support\"] }}\n");
                let source = POLICY.replace("[collections.notes]", &format!("{field}[collections.notes]"));
                client.json("PUT", "admin/policy", &json!({"source": source}))
            }
            "add a key slot" => client.json("POST", "admin/key-slots", &json!({"kind": "recovery_key", "label": "more"})),
            "purge records" => client.json("POST", "records/purge", &purge),
            "run retention" => client.json("POST", "admin/retention/run", &json!({})),
            _ => client.get("status"),
        }
    }

    /// Erases the last of the doomed. The erasure that is the first to meet the full disk does not know
    /// what became of it and says so (503 `outcome_unknown`, "repeat the call"); repeated, it succeeds.
    fn erase(&mut self, client: &Client, what: &str) -> Tried<&'static str> {
        let person = self.doomed.pop().expect("one for each kind");
        let path = format!("subjects/{person}");
        let first = client.send("DELETE", &path, "", Vec::new())?;
        if first.status == 200 {
            return Ok("succeeds");
        }
        let again = client.send("DELETE", &path, "", Vec::new())?;
        match (first.status, &*first.code, again.status) {
            (503, "outcome_unknown", 200 | 410) => Ok("repeated"),
            _ => Err(FullDiskError::Wrong(format!(
                "an erasure after `{what}` was answered {} {}, then {} {}",
                first.status, first.code, again.status, again.code
            ))),
        }
    }

    fn check(&self, client: &Client, erased: &[String]) -> Tried<()> {
        let wrong = |what: String| Err(FullDiskError::Wrong(what));
        let profile = client.get(&format!("subjects/{}/records/profile", self.ann))?;
        if profile.body["fields"]["name"] != self.name.as_str() {
            return wrong(format!("the name of Ann is lost: {}", profile.status));
        }
        let (mut notes, mut cursor) = (0, String::new());
        loop {
            let path = format!("subjects/{}/records/notes?limit=100{cursor}", self.ann);
            let page = demand(client.get(&path)?, "notes")?;
            notes += page.body["records"].as_array().map_or(0, Vec::len);
            match page.body["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        if notes < self.notes {
            return wrong(format!(
                "{notes} of {} acknowledged notes are there",
                self.notes
            ));
        }
        for person in erased {
            let gone = client.get(&format!("subjects/{person}/records/profile"))?;
            if gone.status != 410 {
                return wrong(format!("somebody erased is answered {}", gone.status));
            }
        }
        let log = demand(client.json("POST", "log/verify", &json!({}))?, "the log")?;
        match log.body["sound"] == true {
            true => Ok(()),
            false => wrong(format!("the log: {}", log.body)),
        }
    }
}

/// Tries every kind on the file system that is mounted at `disk`, which must be a small one.
///
/// # Errors
///
/// See [`FullDiskError`].
pub fn run(disk: &Path) -> Result<(), FullDiskError> {
    let plan = Plan {
        policy: POLICY,
        roles: vec!["bot"],
        tls: false,
        limits: "",
    };
    let house = House::make(Some(disk), &plan)?;
    let server = house.serve()?;
    let mut client = Client::new(&server, &house.keys[0]);
    let mut cast = Cast::new(&mut client)?;
    let ballast = Ballast(disk.join("ballast"));
    let mut erased = Vec::new();
    let mut out = io::stdout();
    writeln!(
        out,
        "{:<22}{:>8}{:>10}  {:<15}{:<10}normal after",
        "kind", "well", "refused", "with", "erasure"
    )?;
    for (what, kind) in KINDS {
        // The control: with room it succeeds.
        demand(cast.call(&mut client, what, 1_000)?, what)?;
        ballast.fill()?;
        let (mut well, mut refused, mut with) = (0, 0, String::new());
        let tries = if kind == Kind::Stores { TRIES } else { 3 };
        for turn in 0..tries {
            let call = cast.call(&mut client, what, turn)?;
            // What the operations of a batch got stands in its results.
            let failed = call.body["results"].as_array().into_iter().flatten();
            let failed = failed
                .map(|result| result["status"].as_u64().unwrap_or(0))
                .max();
            match (call.status, &*call.code, failed) {
                (200..300, _, None | Some(200..300)) => well += 1,
                (200..300, _, Some(503 | 507)) | (507, "disk_full", _) | (503, _, _) => {
                    refused += 1;
                    with = format!("{}", failed.unwrap_or(call.status.into()));
                    break;
                }
                // Removed in an earlier turn.
                (404, ..) if what.contains("blob") => {}
                (status, code, _) => {
                    return Err(FullDiskError::Wrong(format!(
                        "{what} was answered {status} {code}"
                    )));
                }
            }
        }
        if (kind == Kind::Works && refused > 0) || (kind == Kind::Stores && refused == 0) {
            return Err(FullDiskError::Wrong(format!(
                "{what}: {well} well, {refused} refused with {with}"
            )));
        }
        let mut then = String::new();
        if refused > 0 {
            // From then on the vault knows, and says so.
            let call = cast.call(&mut client, what, TRIES)?;
            let failed = call.body["results"][0]["status"].as_u64();
            let status = failed.unwrap_or(call.status.into());
            then = format!(", then {status}");
            // Whose outcome was unknown may have happened, and is not there to be removed again.
            let gone = kind == Kind::Removes && status == 404;
            if status != 507 && !gone {
                return Err(FullDiskError::Wrong(format!("{what}: {with}{then}")));
            }
        }
        let with = format!("{with}{then}");
        let person = cast.doomed.last().cloned().expect("two for each kind");
        let how = cast.erase(&client, what)?;
        erased.push(person);
        ballast.remove()?;
        let began = Instant::now();
        loop {
            let call = cast.call(&mut client, "append records", 0)?;
            if call.status == 201 {
                break;
            }
            if began.elapsed() > RETURN {
                return Err(FullDiskError::Wrong(format!(
                    "after `{what}` there is room, and still {} {}",
                    call.status, call.code
                )));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let after = began.elapsed().as_secs_f64();
        writeln!(
            out,
            "{what:<22}{well:>8}{refused:>10}  {with:<15}{how:<10}{after:.1} s",
        )?;
        cast.check(&client, &erased)?;
    }
    server.stop()?;
    let server = house.serve()?;
    let client = Client::new(&server, &house.keys[0]);
    cast.check(&client, &erased)?;
    server.stop()?;
    writeln!(
        out,
        "all that was acknowledged is there after a start, {} erased are not",
        erased.len()
    )?;
    Ok(())
}
