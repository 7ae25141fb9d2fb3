//! Backups that the server makes: by its schedule, when somebody asks, and the ledger beside them. Time is moved by hand.
//!
//! Counts as failure: a backup that is due and not made, one that is made and not due, two at once; anything deleted
//! that a rule keeps, or kept that none does; an answer that the contract does not describe.

mod contract;
mod support;

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::http::Request;
use contract::{Answered, Contract};
use jiff::Timestamp;
use serde_json::{Value, json};
use support::{PASSPHRASE, eventually};
use tempfile::TempDir;
use tower::ServiceExt as _;
use vault_core::backup::new_identity;
use vault_core::clock::ManualClock;
use vault_core::id::SubjectId;
use vault_core::policy::{Period, SAMPLE};
use vault_core::vault::{
    Call, Keep, LockedVault, Passphrase, Settings, UnlockSecret, Vault, VaultPaths,
};
use vault_server::config::{BackupConfig, ServerConfig};
use vault_server::{App, AppSettings, router};

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::new(vault_server::openapi()));
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

struct Scene {
    home: TempDir,
    clock: Arc<ManualClock>,
    config: BackupConfig,
    app: App,
    vault: Arc<Vault>,
    operator: String,
    bot: String,
    dpo: String,
}

fn passphrase() -> Passphrase {
    Passphrase::new(PASSPHRASE.into()).expect("long enough")
}

fn settings(clock: &Arc<ManualClock>) -> Settings {
    Settings {
        accept_any_file_system: true,
        ..Settings::new(clock.clone())
    }
}

fn app(locked: LockedVault, vault: &Arc<Vault>, scene: (&Arc<ManualClock>, &BackupConfig)) -> App {
    let (clock, backup) = scene;
    let settings = AppSettings {
        sweep_every: None,
        clock: clock.clone(),
        backup: backup.clone(),
        ..AppSettings::from(&ServerConfig::default())
    };
    App::new(locked, Some(vault.clone()), settings)
}

impl Scene {
    fn new(change: impl FnOnce(&mut BackupConfig)) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let start = Timestamp::from_second(1_800_000_000).expect("in range");
        let clock = Arc::new(ManualClock::at(start));
        let mut config = BackupConfig {
            to: Some(home.path().join("b").into()),
            recipients: vec![new_identity().1],
            every: Period::parse("PT1H").ok(),
            ..BackupConfig::default()
        };
        change(&mut config);
        let paths = VaultPaths::beside(&home.path().join("vault"));
        let created = LockedVault::create(&paths, settings(&clock), &passphrase(), SAMPLE);
        let created = created.expect("a vault");
        let vault = created.vault;
        let keyholder = vault.keyholder();
        let key = |role| vault.create_token(&Call::new(&keyholder), role, None);
        let [operator, bot, dpo] =
            ["operator", "bot", "dpo"].map(|role| key(role).expect("a role").1);
        Self {
            app: app(created.locked, &vault, (&clock, &config)),
            home,
            clock,
            config,
            vault,
            operator,
            bot,
            dpo,
        }
    }

    /// The process ends and another begins, so much later.
    fn restart_after(mut self, milliseconds: i64) -> Self {
        self.app.lock();
        let paths = VaultPaths::beside(&self.home.path().join("vault"));
        drop((self.app, self.vault));
        self.clock.advance(milliseconds);
        let locked = LockedVault::open(&paths, settings(&self.clock)).expect("there");
        self.vault = locked
            .unlock(&UnlockSecret::Passphrase(passphrase()))
            .expect("opens");
        self.app = app(locked, &self.vault, (&self.clock, &self.config));
        self
    }

    fn target(&self) -> PathBuf {
        self.home.path().join("b")
    }

    /// What lies at the target.
    fn there(&self) -> usize {
        let Ok(entries) = fs::read_dir(self.target()) else {
            return 0;
        };
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let manifests = names.map(|name| self.target().join(name).join("manifest.json"));
        manifests.filter(|manifest| manifest.exists()).count()
    }

    /// So much later it is looked after: how many backups lie there then.
    fn later(&self, milliseconds: i64) -> usize {
        self.clock.advance(milliseconds);
        self.app.look_after_backups();
        self.there()
    }

    fn send(&self, bearer: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {bearer}"))
            .header("vault-purpose", "support")
            .header("content-type", "application/json")
            .body(Body::from(text))
            .expect("a request");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let response = router(self.app.clone()).oneshot(request).await;
            let (head, body) = response.expect("infallible").into_parts();
            let bytes = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
            let headers: Vec<_> = head
                .headers
                .iter()
                .map(|(name, text)| (name.to_string(), text.to_str().expect("ASCII").to_owned()))
                .collect();
            let checked = CONTRACT.check(&Answered {
                method,
                path,
                status: head.status.as_u16(),
                headers: &headers,
                body: &bytes,
            });
            checked.expect("the contract describes this answer");
            let body = serde_json::from_slice(&bytes).expect("JSON");
            (head.status.as_u16(), body)
        })
    }

    fn operate(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.send(&self.operator, method, path, &body)
    }

    fn list(&self) -> Value {
        let (status, list) = self.operate("GET", "/v1/admin/backups", Value::Null);
        assert_eq!(status, 200);
        list
    }

    /// The job that such a call begins, once it has ended.
    fn ended(&self, path: &str, body: Value) -> Value {
        let (status, job) = self.operate("POST", path, body);
        assert_eq!(status, 202, "{job}");
        let path = format!("/v1/admin/jobs/{}", job["number"]);
        let now = || self.operate("GET", &path, Value::Null).1;
        eventually("the job ends", || now()["state"] != "running");
        now()
    }

    fn somebody(&self, user: &str) -> SubjectId {
        let bot = self.vault.authenticate(&self.bot).expect("a good key");
        let made = self.vault.create_subject(&Call::new(&bot), "web", user);
        made.expect("a person").0
    }

    fn erase(&self, person: SubjectId) -> Value {
        let path = format!("/v1/subjects/{person}");
        let (status, body) = self.send(&self.dpo, "DELETE", &path, &Value::Null);
        assert_eq!(status, 200);
        body["receipt"].clone()
    }

    fn figure(&self, name: &str) -> f64 {
        let text = self.app.metrics_text();
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{name} ")));
        let line = line.unwrap_or_else(|| panic!("no {name} in {text}"));
        line.rsplit(' ')
            .next()
            .expect("a number")
            .parse()
            .expect("a number")
    }
}

#[test]
fn one_is_made_at_once_and_then_a_period_after_the_last_and_downtime_is_made_up_for_once() {
    let scene = Scene::new(|_| {});
    assert_eq!(scene.there(), 0);
    assert_eq!(scene.later(0), 1);
    assert_eq!(scene.later(59 * MINUTE), 1);
    assert_eq!(scene.later(MINUTE), 2);
    // A restart forgets neither what was made nor when.
    let scene = scene.restart_after(30 * MINUTE);
    assert_eq!(scene.later(0), 2);
    assert_eq!(scene.later(30 * MINUTE), 3);
    let scene = scene.restart_after(3 * DAY);
    assert_eq!(scene.later(0), 4);
    assert_eq!(scene.later(59 * MINUTE), 4);
    let list = scene.list();
    assert_eq!(list["backups"].as_array().map(Vec::len), Some(4));
    assert_eq!(list["schedule"]["failures"], 0);
    let due: Timestamp = list["schedule"]["next_due_at"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .expect("an instant");
    let figure = scene.figure("vault_backup_schedule_next_due_timestamp_seconds");
    assert_eq!(figure as i64, due.as_second());
    assert!(scene.figure("vault_backup_schedule_last_success_timestamp_seconds") > 1.8e9);
    // In the log it is the server's doing, and nobody's who has a secret.
    let keyholder = scene.vault.keyholder();
    let query = vault_core::vault::AuditQuery {
        action: Some("backups.complete".into()),
        last: 100,
        ..Default::default()
    };
    let page = scene
        .vault
        .audit(&Call::new(&keyholder), &query)
        .expect("the log");
    assert_eq!(page.entries.len(), 4);
    for entry in page.entries {
        assert_eq!(
            (&entry.entry["actor"], &entry.entry["role"]),
            (&json!("server"), &json!("operator"))
        );
    }
}

#[test]
fn without_a_period_none_is_made_by_itself_and_without_a_target_none_at_all() {
    let scene = Scene::new(|config| config.every = None);
    assert_eq!(scene.later(30 * DAY), 0);
    assert_eq!(scene.ended("/v1/admin/backups", json!({}))["state"], "done");
    assert_eq!(scene.there(), 1);
    // What was promised to be gone goes nevertheless.
    assert_eq!(scene.list()["key_parts"], 1);
    assert_eq!(scene.later(31 * DAY), 1);
    assert_eq!(scene.list()["key_parts"], 0);
    let scene = Scene::new(|config| *config = BackupConfig::default());
    assert_eq!(scene.later(30 * DAY), 0);
    for path in [
        "backups",
        "backups/verify",
        "backups/prune",
        "backups/ledger",
    ] {
        let (status, body) = scene.operate("POST", &format!("/v1/admin/{path}"), json!({}));
        assert_eq!((status, &body["code"]), (409, &json!("conflict")), "{path}");
    }
    assert_eq!(scene.list()["schedule"], Value::Null);
}

#[test]
fn a_disk_that_is_away_is_a_failure_that_shows_and_is_tried_again_later_and_later() {
    let scene = Scene::new(|_| {});
    assert_eq!(scene.later(0), 1);
    // As a disk that is not mounted: the directory is there, and nothing in it.
    let away = scene.home.path().join("away");
    fs::rename(scene.target(), &away).expect("renamed");
    fs::create_dir(scene.target()).expect("made");
    assert_eq!(scene.later(HOUR), 0);
    let schedule = |scene: &Scene| scene.list()["schedule"].clone();
    assert_eq!(schedule(&scene)["failures"], 1);
    assert_eq!(scene.figure("vault_backup_schedule_failures"), 1.0);
    scene.later(30_000);
    assert_eq!(schedule(&scene)["failures"], 1, "not before a minute");
    scene.later(30_000);
    assert_eq!(schedule(&scene)["failures"], 2);
    scene.later(MINUTE);
    assert_eq!(schedule(&scene)["failures"], 2, "not before two");
    scene.later(MINUTE);
    assert_eq!(schedule(&scene)["failures"], 3);
    let left: Vec<_> = fs::read_dir(scene.target()).expect("there").collect();
    assert!(
        left.is_empty(),
        "nothing is written to the wrong disk: {left:?}"
    );
    let (_, jobs) = scene.operate("GET", "/v1/admin/jobs", Value::Null);
    assert_eq!(jobs["jobs"][0]["state"], "failed");
    assert!(
        jobs["jobs"][0]["error"]
            .as_str()
            .is_some_and(|why| why.contains("not mounted"))
    );
    let (_, status) = scene.operate("GET", "/v1/status", Value::Null);
    assert_eq!(status["backups"]["failures"], 3);
    // It is back.
    fs::remove_dir(scene.target()).expect("removed");
    fs::rename(&away, scene.target()).expect("renamed");
    assert_eq!(scene.later(4 * MINUTE), 2);
    assert_eq!(schedule(&scene)["failures"], 0);
    assert_eq!(scene.figure("vault_backup_schedule_failures"), 0.0);
}

#[test]
fn the_rules_are_kept_to_after_each_and_expired_keys_go_even_where_backups_fail() {
    let scene = Scene::new(|config| {
        config.key_expiry = Period::parse("PT150M").expect("a period");
        config.keep = Keep {
            last: 2,
            ..Keep::default()
        };
    });
    scene.later(0);
    assert_eq!(scene.later(HOUR), 2);
    assert_eq!(scene.later(HOUR), 2, "the oldest went");
    let oldest = scene.list()["backups"][2].clone();
    assert!(oldest["data"]["deleted_at"].is_string() && oldest["keys"]["deleted_at"].is_string());
    assert_eq!(scene.list()["key_parts"], 2);
    // No room for another: what was promised to be gone goes all the same.
    fs::remove_file(scene.target().join("vault-backups")).expect("the mark");
    scene.later(HOUR);
    assert_eq!(scene.list()["schedule"]["failures"], 1);
    scene.later(35 * MINUTE);
    scene.later(1);
    let list = scene.list();
    assert_eq!(
        (&list["key_parts"], &list["key_parts_overdue"]),
        (&json!(1), &json!(0))
    );
}

#[test]
fn who_may_asks_for_one_now_and_nobody_names_a_place_or_a_recipient() {
    let scene = Scene::new(|config| config.every = None);
    let (status, body) = scene.send(&scene.bot, "POST", "/v1/admin/backups", &json!({}));
    assert_eq!((status, &body["code"]), (403, &json!("role_denied")));
    for body in [
        json!({"to": "/etc"}),
        json!({"target": "s3://bucket"}),
        json!({"recipients": ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]}),
        json!({"parts": "everything"}),
    ] {
        let (status, answer) = scene.operate("POST", "/v1/admin/backups", body);
        assert_eq!((status, &answer["code"]), (422, &json!("invalid")));
    }
    assert_eq!(scene.there(), 0);
    // While one runs there is no second, nor new keys for one.
    let job = scene.vault.backup_job().expect("the only one");
    let (status, body) = scene.operate("POST", "/v1/admin/backups", json!({}));
    assert_eq!((status, &body["code"]), (409, &json!("conflict")));
    job.ended_early();
    let job = scene.ended("/v1/admin/backups", json!({}));
    assert_eq!(
        (&job["kind"], &job["state"]),
        (&json!("backup"), &json!("done"))
    );
    let list = scene.list();
    assert_eq!(list["backups"][0]["backup"], job["backup"]);
    assert_eq!(job["result"]["bytes"], list["backups"][0]["facts"]["bytes"]);
    let data = scene.ended("/v1/admin/backups", json!({"parts": "data"}));
    let list = scene.list();
    let only = list["backups"].as_array().expect("a list").iter();
    let only = only
        .clone()
        .find(|one| one["backup"] == data["backup"])
        .expect("it");
    assert_eq!(only["keys"], Value::Null);
    // Who could not open it anyway gets none.
    let scene = Scene::new(|config| {
        config.every = None;
        config.recipients.clear();
    });
    let (status, _) = scene.operate("POST", "/v1/admin/backups", json!({}));
    assert_eq!(status, 409);
    let job = scene.ended("/v1/admin/backups", json!({"parts": "data"}));
    assert_eq!(job["state"], "done");
}

#[test]
fn a_backup_is_read_back_without_a_secret_and_damage_fails_the_job() {
    let scene = Scene::new(|_| {});
    scene.somebody("anna");
    scene.later(0);
    let good = scene.ended("/v1/admin/backups/verify", json!({}));
    assert_eq!(
        (&good["state"], &good["result"]["backups"]),
        (&json!("done"), &json!(1))
    );
    let id = scene.list()["backups"][0]["backup"]
        .as_str()
        .expect("an id")
        .to_owned();
    let object = scene.target().join(&id).join("data-00000");
    let mut bytes = fs::read(&object).expect("an object");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&object, bytes).expect("written");
    let bad = scene.ended("/v1/admin/backups/verify", json!({"backup": id}));
    assert_eq!(
        (&bad["state"], &bad["result"]["damaged"]),
        (&json!("failed"), &json!(1))
    );
    assert!(
        bad["error"]
            .as_str()
            .is_some_and(|why| why.contains("data-00000"))
    );
    let (status, _) = scene.operate(
        "POST",
        "/v1/admin/backups/verify",
        json!({"backup": "../x"}),
    );
    assert_eq!(status, 422);
}

#[test]
fn new_keys_make_an_erasure_final_and_pruning_says_first_what_would_go() {
    let scene = Scene::new(|config| {
        config.keep = Keep {
            last: 1,
            ..Keep::default()
        };
    });
    let anna = scene.somebody("anna");
    scene.somebody("ben");
    scene.later(0);
    let receipt = scene.erase(anna);
    let receipt = receipt["body"]["receipt"]
        .as_str()
        .expect("an id")
        .to_owned();
    let state = |scene: &Scene| {
        let keyholder = scene.vault.keyholder();
        let read = scene
            .vault
            .receipt(&Call::new(&keyholder), receipt.parse().expect("an id"));
        format!("{:?}", read.expect("a receipt").1)
    };
    assert!(state(&scene).starts_with("Open"), "{}", state(&scene));
    let id = scene.list()["backups"][0]["backup"]
        .as_str()
        .expect("an id")
        .to_owned();
    scene.clock.advance(MINUTE);
    let job = scene.ended(&format!("/v1/admin/backups/{id}/rekey"), json!({}));
    assert_eq!(job["state"], "done", "{job}");
    assert_eq!(
        (
            &job["result"]["people_whole"],
            &job["result"]["people_gone"]
        ),
        (&json!(1), &json!(1))
    );
    assert!(state(&scene).starts_with("Final"), "{}", state(&scene));
    let (status, _) = scene.operate("POST", "/v1/admin/backups/bak_nonsense/rekey", json!({}));
    assert_eq!(status, 404);
    // A backup that no rule keeps, made behind the schedule's back.
    scene.clock.advance(MINUTE);
    let ended = scene.ended("/v1/admin/backups", json!({}));
    assert_eq!(ended["state"], "done");
    eventually("the rules are kept to", || scene.there() == 1);
    let (status, would) = scene.operate("POST", "/v1/admin/backups/prune?dry_run=true", json!({}));
    assert_eq!(
        (status, &would["backups"], &would["dry_run"]),
        (200, &json!([]), &json!(true))
    );
    assert_eq!(would["kept"].as_array().map(Vec::len), Some(1));
}

#[test]
fn an_erasure_is_in_every_copy_of_the_ledger_seconds_later_and_a_copy_that_fails_shows() {
    let second = tempfile::tempdir().expect("a directory");
    let scene = Scene::new(|config| {
        config.every = None;
        config.ledger_to = vec![second.path().join("l").into()];
    });
    scene.later(0);
    let name = format!("ledger-{}", scene.vault.status().expect("open").vault);
    let copies = [
        scene.target().join(&name),
        second.path().join("l").join(&name),
    ];
    let lengths = || {
        copies
            .clone()
            .map(|copy| fs::metadata(copy).expect("a copy").len())
    };
    let before = lengths();
    let people = ["anna", "ben", "cleo"].map(|user| scene.somebody(user));
    scene.erase(people[0]);
    scene.erase(people[1]);
    scene.later(0);
    assert_eq!(lengths(), before, "several go together");
    let behind = |scene: &Scene, which: usize| scene.list()["schedule"]["ledger"][which].clone();
    assert_eq!(behind(&scene, 0)["entries_behind"], 2);
    scene.later(2_000);
    let after = lengths();
    assert!(
        after[0] > before[0] && after[0] == after[1],
        "{before:?} {after:?}"
    );
    assert_eq!(behind(&scene, 1)["entries_behind"], 0);
    // One that cannot be written lags, which everybody sees who looks.
    fs::remove_dir_all(second.path().join("l")).expect("removed");
    fs::write(second.path().join("l"), "in the way").expect("written");
    scene.erase(people[2]);
    scene.later(0);
    scene.later(2_000);
    scene.later(60_000);
    let (good, bad) = (behind(&scene, 0), behind(&scene, 1));
    assert_eq!(
        (&good["entries_behind"], &good["failures"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(
        (&bad["entries_behind"], &bad["failures"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(bad["behind_seconds"], 62);
    assert_eq!(scene.figure("vault_ledger_copy_behind_entries"), 1.0);
    assert_eq!(scene.figure("vault_ledger_copy_behind_seconds"), 62.0);
    let (_, status) = scene.operate("GET", "/v1/status", Value::Null);
    assert_eq!(status["backups"]["ledger_behind_seconds"], 62);
    let (_, now) = scene.operate("POST", "/v1/admin/backups/ledger", json!({}));
    assert_eq!(now["ledger"][1]["failures"], 3);
    // The disk is back, and it heals by itself; before that, nothing is written to the one beneath.
    fs::remove_file(second.path().join("l")).expect("removed");
    scene.later(600_000);
    assert!(!second.path().join("l").exists());
    fs::create_dir(second.path().join("l")).expect("made");
    fs::write(second.path().join("l/vault-backups"), "").expect("written");
    scene.later(600_000);
    assert_eq!(behind(&scene, 1)["entries_behind"], 0);
    assert_eq!(scene.figure("vault_ledger_copy_behind_seconds"), 0.0);
}

#[test]
fn a_lock_leaves_no_copy_of_the_ledger_behind() {
    let scene = Scene::new(|config| config.every = None);
    scene.later(0);
    let name = format!("ledger-{}", scene.vault.status().expect("open").vault);
    let length = || {
        let copy = fs::metadata(scene.target().join(&name));
        copy.expect("a copy").len()
    };
    let before = length();
    let anna = scene.somebody("anna");
    scene.erase(anna);
    scene.later(0);
    assert_eq!(length(), before, "the control: it waits for others");
    scene.app.lock();
    assert!(length() > before);
    assert!(!scene.vault.is_open());
}

#[test]
fn what_becomes_of_a_part_that_somebody_wanted_moves_nothing_of_the_schedule() {
    let scene = Scene::new(|_| {});
    assert_eq!(scene.later(0), 1);
    let schedule = || {
        let schedule = scene.list()["schedule"].clone();
        [
            "next_due_at",
            "last_completed_at",
            "last_failed_at",
            "failures",
        ]
        .map(|name| schedule[name].clone())
    };
    let before = schedule();
    scene.clock.advance(MINUTE);
    for parts in ["data", "keys"] {
        let job = scene.ended("/v1/admin/backups", json!({"parts": parts}));
        assert_eq!(job["state"], "done");
    }
    // And where it fails.
    let away = scene.home.path().join("away");
    fs::rename(scene.target(), &away).expect("renamed");
    fs::create_dir(scene.target()).expect("made");
    let job = scene.ended("/v1/admin/backups", json!({"parts": "data"}));
    assert_eq!(job["state"], "failed");
    assert_eq!(schedule(), before);
    // The control: one with both parts does.
    scene.ended("/v1/admin/backups", json!({}));
    eventually("it is noted", || schedule()[3] == 1);
}

#[test]
fn a_backup_without_the_ledger_beside_it_is_whole_and_the_copy_has_failed() {
    let scene = Scene::new(|config| config.every = None);
    scene.later(0);
    let name = format!("ledger-{}", scene.vault.status().expect("open").vault);
    fs::remove_file(scene.target().join(&name)).expect("removed");
    fs::create_dir(scene.target().join(&name)).expect("in the way");
    let job = scene.ended("/v1/admin/backups", json!({}));
    assert_eq!(job["state"], "done", "{job}");
    eventually("it is noted", || {
        let schedule = scene.list()["schedule"].clone();
        schedule["last_completed_at"].is_string() && schedule["ledger"][0]["failures"] == 1
    });
    assert_eq!(scene.list()["schedule"]["failures"], 0);
}

#[test]
fn one_that_fails_again_and_again_is_late_and_time_of_a_leaping_clock_destroys_nothing() {
    let scene = Scene::new(|_| {});
    assert_eq!(scene.later(0), 1);
    let late = || scene.figure("vault_backup_schedule_late_seconds");
    assert_eq!(late(), 0.0);
    let away = scene.home.path().join("away");
    fs::rename(scene.target(), &away).expect("renamed");
    fs::create_dir(scene.target()).expect("made");
    for hour in 1..=4 {
        scene.later(HOUR);
        assert_eq!(late(), f64::from(hour - 1) * 3_600.0, "whatever is tried");
    }
    fs::remove_dir(scene.target()).expect("removed");
    fs::rename(&away, scene.target()).expect("renamed");
    assert_eq!(scene.later(HOUR), 2);
    assert_eq!(late(), 0.0);
    // Years pass on the clock alone: every key part seems overdue, and stays.
    assert_eq!(scene.list()["key_parts"], 2);
    scene.clock.set(3_650 * DAY);
    scene.app.look_after_backups();
    scene.clock.set(2 * HOUR);
    scene.app.look_after_backups();
    assert!(scene.list()["key_parts"].as_u64() >= Some(3));
    for backup in fs::read_dir(scene.target()).expect("there") {
        let dir = backup.expect("an entry").path();
        if dir.join("manifest.json").exists() {
            assert!(dir.join("keys-head-000.age").exists(), "{}", dir.display());
        }
    }
}
