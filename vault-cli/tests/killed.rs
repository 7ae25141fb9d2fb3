//! kill -9 while people write and are erased.
//!
//! Counts as failure: an acknowledged message that is not there afterwards, an acknowledged erasure
//! whose person answers anything but 410, a vault that does not open again. Does not count: a change
//! that happened without its answer having arrived.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

/// A server in a process of its own.
struct Process {
    child: Child,
    url: String,
    bot: String,
    dpo: String,
}

impl Process {
    fn start(dir: &Path) -> Self {
        Self::start_with(dir, &[])
    }

    fn start_with(dir: &Path, more: &[&std::ffi::OsStr]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vault-cli"))
            .args(["dev", "--json", "--listen", "127.0.0.1:0", "--dir"])
            .arg(dir)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let told: Value = serde_json::from_str(&line).expect("dev tells where it listens");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            child,
            url: text(&told["url"]),
            bot: text(&told["tokens"]["bot"]),
            dpo: text(&told["tokens"]["dpo"]),
        }
    }

    /// Status and body, or `None` if the server is gone.
    fn call(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> Option<(u16, Value)> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/v1/{path}", self.url))
            .header("Authorization", format!("Bearer {token}"))
            .header("Vault-Purpose", "support")
            .header("Content-Type", "application/json");
        let mut answer = match body {
            Some(body) => agent.run(request.body(body.to_string()).unwrap()),
            None => agent.run(request.body(()).unwrap()),
        }
        .ok()?;
        let body = answer.body_mut().read_to_string().ok()?;
        let body = serde_json::from_str(&body).ok()?;
        Some((answer.status().as_u16(), body))
    }

    fn kill(mut self) {
        // On Unix this is SIGKILL: no handler runs, nothing is flushed.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What was acknowledged.
#[derive(Default)]
struct Acknowledged {
    messages: Vec<(String, String)>,
    erased: Vec<String>,
    /// Erasures that were asked for: their people may be there or not.
    doubtful: Vec<String>,
}

fn round(process: &Process, round: usize, kill_after: usize, known: &Mutex<Acknowledged>) {
    let answers = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let answers = &answers;
            scope.spawn(move || {
                for person in 0.. {
                    let user =
                        json!({"channel": "web", "user": format!("{round}-{thread}-{person}")});
                    let created = process.call("POST", "subjects", &process.bot, Some(&user));
                    let Some((201, body)) = created else { return };
                    let subject = body["subject"].as_str().unwrap().to_owned();
                    for message in 0..3 {
                        let text = format!("{round} {thread} {person} {message}");
                        let body = json!({"from": "user", "text": text});
                        let path = format!("subjects/{subject}/records/messages");
                        let stored = process.call("POST", &path, &process.bot, Some(&body));
                        let Some((201, _)) = stored else { return };
                        known.lock().unwrap().messages.push((subject.clone(), text));
                        answers.fetch_add(1, Ordering::SeqCst);
                    }
                    if person % 2 == 0 {
                        known.lock().unwrap().doubtful.push(subject.clone());
                        let path = format!("subjects/{subject}");
                        let erased = process.call("DELETE", &path, &process.dpo, None);
                        let Some((200, _)) = erased else { return };
                        known.lock().unwrap().erased.push(subject);
                        answers.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        while answers.load(Ordering::SeqCst) < kill_after {
            std::thread::yield_now();
        }
        let id = process.child.id().to_string();
        let killed = Command::new("kill").args(["-9", &id]).status().unwrap();
        assert!(killed.success());
    });
}

fn check(process: &Process, known: &Acknowledged) {
    for subject in &known.erased {
        let path = format!("subjects/{subject}/records/messages");
        let (status, body) = process.call("GET", &path, &process.bot, None).unwrap();
        assert_eq!((status, &body["code"]), (410, &json!("erased")));
    }
    for (subject, text) in &known.messages {
        if known.doubtful.contains(subject) {
            continue;
        }
        let path = format!("subjects/{subject}/records/messages");
        let (status, body) = process.call("GET", &path, &process.bot, None).unwrap();
        assert_eq!(status, 200);
        let records = body["records"].as_array().unwrap();
        let there = records
            .iter()
            .any(|record| record["fields"]["text"] == json!(text));
        assert!(there, "an acknowledged message is lost");
    }
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there_after_it_and_the_erased_are_not() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("vault");
    let known = Mutex::new(Acknowledged::default());
    for (number, kill_after) in [3, 17, 40, 71, 111].into_iter().enumerate() {
        let process = Process::start(&dir);
        round(&process, number, kill_after, &known);
        process.kill();
        let process = Process::start(&dir);
        check(&process, &known.lock().unwrap());
        process.kill();
    }
    let known = known.into_inner().unwrap();
    assert!(
        known.erased.len() > 10 && known.messages.len() > 100,
        "the rounds did something"
    );
}

/// Rows of chunks, and of the list of uploads; the vault is not open.
fn blob_rows(dir: &Path) -> (usize, usize) {
    use vault_core::store::{Direction, KeyRange, RedbStore, Store, Table};
    let store = RedbStore::open(&dir.join("vault.redb"), 4 << 20, false).unwrap();
    let snapshot = store.snapshot().unwrap();
    let count = |table| {
        let all = KeyRange::all();
        let keys = snapshot.keys(table, &all, Direction::Ascending, usize::MAX);
        keys.unwrap().len()
    };
    (count(Table::Blobs), count(Table::Uploads))
}

#[test]
fn an_upload_in_the_middle_of_which_the_server_is_killed_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let (dir, policy) = (parent.path().join("vault"), parent.path().join("policy"));
    let photo = "photo = { type = \"blob\", purposes = [\"support\"], media_types = [\"image/*\"], bytes_max = 1073741824 }";
    let sample = vault_core::policy::SAMPLE;
    let text = sample.replacen("\nslots =", &format!("\n{photo}\nslots ="), 1);
    assert!(text.contains(photo));
    std::fs::write(&policy, text).unwrap();
    let with_policy = ["--policy".as_ref(), policy.as_os_str()];
    let process = Process::start_with(&dir, &with_policy);
    let user = json!({"channel": "web", "user": "ann"});
    let created = process.call("POST", "subjects", &process.bot, Some(&user));
    let subject = created.unwrap().1["subject"].as_str().unwrap().to_owned();
    let address = process.url.strip_prefix("http://").unwrap();
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    let head = format!(
        "PUT /v1/subjects/{subject}/blobs/profile/photo HTTP/1.1\r\nHost: vault\r\n\
         Authorization: Bearer {}\r\nVault-Purpose: support\r\nContent-Type: image/png\r\n\
         Content-Length: 1073741824\r\n\r\n",
        process.bot
    );
    socket.write_all(head.as_bytes()).unwrap();
    // The vault takes no more than it commits, and the socket's buffers are smaller than this.
    for _ in 0..24 {
        socket.write_all(&[7; 1 << 20]).unwrap();
    }
    process.kill();
    let (chunks, listed) = blob_rows(&dir);
    assert!(chunks >= 4 && listed == 1, "the upload was under way");
    let process = Process::start_with(&dir, &with_policy);
    let path = format!("subjects/{subject}/records/profile");
    let (status, body) = process.call("GET", &path, &process.bot, None).unwrap();
    assert_eq!((status, &body["fields"]), (200, &json!({})));
    process.kill();
    assert_eq!(blob_rows(&dir), (0, 0));
}

/// Waits until `path` is there, or the process has ended.
fn wait_for(child: &mut Child, path: &Path) {
    while !path.exists() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
}

#[test]
fn an_init_that_is_killed_leaves_a_whole_vault_or_says_that_it_is_none() {
    for file in [
        "vault-anchor",
        "vault-anchor/slots",
        "vault-anchor/anchor",
        "vault/vault.redb.unfinished",
        "vault/vault.redb",
    ] {
        let parent = tempfile::tempdir().unwrap();
        let (dir, secret) = (
            parent.path().join("vault"),
            parent.path().join("passphrase"),
        );
        std::fs::write(&secret, "correct horse battery").unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&secret, private).unwrap();
        let command = |name: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_vault-cli"));
            command
                .args(["--json", "--vault"])
                .arg(&dir)
                .arg("--passphrase-file")
                .arg(&secret);
            command
                .args(name)
                .stdout(Stdio::null())
                .stderr(Stdio::piped());
            command
        };
        let mut child = command(&["init", "--accept-file-system"]).spawn().unwrap();
        wait_for(&mut child, &parent.path().join(file));
        // It may have ended already, which is one more place to be killed at.
        let _ = child.kill();
        child.wait().unwrap();
        let finished = dir.join("vault.redb").exists();
        let opened = command(&["slot", "list"]).output().unwrap();
        let told = String::from_utf8(opened.stderr).unwrap();
        if finished {
            assert!(opened.status.success(), "killed at {file}: {told}");
        } else {
            assert!(
                !opened.status.success() && !told.is_empty(),
                "killed at {file}"
            );
            let again = command(&["init", "--accept-file-system"]).output().unwrap();
            let told = String::from_utf8(again.stderr).unwrap();
            assert!(!again.status.success() || dir.join("vault.redb").exists());
            assert!(
                again.status.success() || told.contains("not empty") || told.contains("cut off"),
                "{told}"
            );
        }
    }
}
