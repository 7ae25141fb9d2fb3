//! Backups through the server that holds the vault: it makes them, where its configuration says, and this command
//! waits.
//!
//! No place, no recipient and no secret is sent. What opens backups stays here: `backup verify --identity` and `backup
//! restore` read the target themselves.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use vault_core::backup::write::Parts;
use vault_core::id::BackupId;
use vault_core::vault::{Keep, LockedVault};
use vault_server::objects::ObjectsPlace;

use super::super::{Context, cell};
use super::VERSIONS;
use crate::args::{BackupCreateArguments, KeyArguments, VerifyArguments};
use crate::backend::{Remote, SOCKET};
use crate::failure::{Exit, Failure};
use crate::interrupt::{self, Patience};
use crate::place::{self, Place};
use crate::terminal::BOLD;

/// How often it is looked how far a job is.
const LOOK: Duration = Duration::from_millis(300);

/// Whether a server is asked: one that the command line names, or one that holds the directory that it names.
pub(super) fn is_meant(context: &Context<'_>) -> bool {
    match place::place(&context.globals, &context.environment) {
        Ok(Place::Server(_)) => true,
        Ok(Place::Directory(dir)) => {
            let held = |paths| LockedVault::peek(&paths).is_ok_and(|peek| peek.held);
            let paths = place::paths(&dir, &context.globals);
            dir.join(SOCKET).exists() && paths.is_ok_and(held)
        }
        Err(_) => false,
    }
}

fn through<T>(
    context: &Context<'_>,
    work: impl FnOnce(&Remote) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let backend = context.backend()?;
    let remote = backend.remote().ok_or_else(|| {
        Failure::usage(
            "no target is named",
            "name its directory or bucket with --from PLACE, or set `backup.to` in vault.toml",
        )
    })?;
    work(remote)
}

/// The server's list, with what its configuration says; a place that is named has to be that one.
fn list(remote: &Remote, to: Option<&Path>) -> Result<Value, Failure> {
    let list = remote.backups()?;
    let configured = list["schedule"]["target"].as_str();
    let Some(configured) = configured else {
        return Err(Failure::new(
            Exit::Failed,
            "no_target",
            "the server that holds this vault makes no backups",
            "set `backup.to` and `backup.recipients` in its vault.toml and restart it; or stop it, and make the backup on the directory",
        ));
    };
    match to {
        Some(named) if !is_named(configured, named) => Err(Failure::usage(
            format!("the server that holds this vault makes its backups at {configured}"),
            "leave --to out: a place is its configuration's alone (`backup.to`)",
        )),
        _ => Ok(list),
    }
}

/// Whether a place as a server tells of it is the one that is named here.
fn is_named(configured: &str, named: &Path) -> bool {
    match named.to_str().filter(|text| ObjectsPlace::is_meant(text)) {
        Some(text) => ObjectsPlace::parse(text).is_some_and(|place| place.is_named(configured)),
        None => {
            let named = std::path::absolute(named).unwrap_or_else(|_| named.to_owned());
            named == Path::new(configured)
        }
    }
}

fn nothing_of_keys(keys: &KeyArguments) -> Result<(), Failure> {
    match keys.any() {
        true => Err(Failure::usage(
            "the server that holds this vault seals keys as its configuration says",
            "leave --recipient, --passphrase-recipient and --keys-for out; `backup.recipients` and `backup.key_expiry` in its vault.toml say it",
        )),
        false => Ok(()),
    }
}

/// Waits for the end of a job; Ctrl-C asks it to end.
fn wait(
    context: &Context<'_>,
    remote: &Remote,
    begun: &Value,
    what: &str,
) -> Result<Value, Failure> {
    let number = begun["number"].as_u64().unwrap_or_default();
    let patience = Patience::begin();
    let step = context.terminal.step(what);
    let mut asked = false;
    loop {
        let job = remote.job(number).map_err(|failure| Failure {
            help: format!(
                "job {number} goes on in the server; look later with `vault-cli backup list`"
            ),
            ..failure
        })?;
        match job["state"].as_str().unwrap_or_default() {
            "running" => {}
            "done" => return Ok(job),
            "cancelled" => {
                return Err(interrupt::failure(
                    "nothing of it is a backup; run the same command again to begin anew",
                ));
            }
            _ => return Err(failed(&job)),
        }
        if patience.asked() && !asked {
            asked = true;
            remote.cancel_job(number)?;
        }
        if let Some(total) = job["total"].as_u64() {
            step.say(format!(
                "{what}: {} of {total} {}",
                job["done"],
                cell(&job["unit"])
            ));
        }
        std::thread::park_timeout(LOOK);
    }
}

fn failed(job: &Value) -> Failure {
    let why = cell(&job["error"]);
    match job["result"]["damaged"].as_u64().unwrap_or(0) {
        0 => Failure::new(
            Exit::Failed,
            "job_failed",
            why,
            "the server's log says more; look at the target, then run the same command again",
        ),
        _ => Failure::new(
            Exit::Damaged,
            "damaged",
            why,
            "take another backup (`backup list`), or another copy of this one; change nothing in it",
        ),
    }
}

pub(super) fn would_create(
    context: &Context<'_>,
    arguments: &BackupCreateArguments,
) -> Result<(), Failure> {
    through(context, |remote| {
        let list = list(remote, arguments.to.as_deref())?;
        let place = cell(&list["schedule"]["target"]);
        let answer = json!({"would_write_to": place});
        context
            .terminal
            .answer(&answer, |_| format!("would make a backup at {place}"));
        Ok(())
    })
}

pub(super) fn create(
    context: &Context<'_>,
    remote: &Remote,
    arguments: &BackupCreateArguments,
    parts: Parts,
) -> Result<(), Failure> {
    nothing_of_keys(&arguments.keys)?;
    list(remote, arguments.to.as_deref())?;
    let parts = match parts {
        Parts::Both => "both",
        Parts::Data => "data",
        Parts::Keys => "keys",
    };
    let begun = remote.create_backup(parts)?;
    let job = wait(context, remote, &begun, "copying the vault")?;
    let list = remote.backups()?;
    let backups = list["backups"].as_array();
    let mut made = backups.into_iter().flatten();
    let made = made.find(|one| one["backup"] == job["backup"]);
    let made = made.cloned().unwrap_or_default();
    let copies = list["schedule"]["ledger"].as_array();
    let mut copies = copies.into_iter().flatten();
    let beside = copies.find(|copy| copy["target"] == made["target"]);
    let answer = json!({
        "backup": made["backup"],
        "target": made["target"],
        "started_at": made["started_at"],
        "finished_at": made["data"]["completed_at"].as_str().or(made["keys"]["completed_at"].as_str()),
        "people": made["facts"]["people"],
        "records": made["facts"]["records"],
        "bytes": made["facts"]["bytes"],
        "epoch": made["facts"]["epoch"],
        "policy_version": made["facts"]["policy_version"],
        "data": !made["data"].is_null(),
        "keys": made["keys"],
        "ledger_complete_until": beside.map_or(Value::Null, |copy| copy["complete_until"].clone()),
    });
    context.terminal.answer(&answer, |terminal| {
        let keys = made["keys"]["expires_at"]
            .as_str()
            .map_or(String::new(), |end| {
                format!(
                    "\n  keys until  {end}; erasures can be undone with them until they are deleted"
                )
            });
        format!(
            "backup {} at {}\n  people      {}\n  bytes       {}{keys}",
            terminal.style(BOLD, &cell(&made["backup"])),
            cell(&made["target"]),
            cell(&made["facts"]["people"]),
            cell(&made["facts"]["bytes"]),
        )
    });
    match beside.is_some_and(|copy| copy["failures"] != 0) {
        true => Err(not_copied(&made["target"])),
        false => Ok(()),
    }
}

/// The backup is whole nevertheless; but a restore from there would not know of the last erasures.
fn not_copied(target: &Value) -> Failure {
    Failure::new(
        Exit::Failed,
        "ledger_copy",
        format!("the erasure ledger was not copied to {}", cell(target)),
        "the server's log says why, and it is tried again; check that the target can be reached and has room",
    )
}

pub(super) fn show(context: &Context<'_>) -> Result<(), Failure> {
    through(context, |remote| {
        let list = remote.backups()?;
        context.terminal.answer(&list, |_| text(&list));
        Ok(())
    })
}

fn text(list: &Value) -> String {
    let part = |part: &Value| match (part["deleted_at"].as_str(), part["completed_at"].as_str()) {
        _ if part.is_null() => "none".to_owned(),
        (Some(at), _) => format!("deleted {at}"),
        (None, Some(_)) => part["expires_at"]
            .as_str()
            .map_or("there".into(), |end| format!("until {end}")),
        (None, None) => "not whole".to_owned(),
    };
    let backups = list["backups"].as_array();
    let mut lines: Vec<String> = backups
        .into_iter()
        .flatten()
        .map(|one| {
            format!(
                "{}  {}  {} people  data {}  keys {}",
                cell(&one["backup"]),
                cell(&one["started_at"]),
                cell(&one["facts"]["people"]),
                part(&one["data"]),
                part(&one["keys"]),
            )
        })
        .collect();
    if lines.is_empty() {
        lines.push("no backups".to_owned());
    }
    let schedule = &list["schedule"];
    if !schedule.is_null() {
        let every = schedule["every"].as_str().unwrap_or("only when asked");
        lines.push(format!(
            "\n  target      {}\n  every       {every}\n  next        {}\n  failures    {}",
            cell(&schedule["target"]),
            cell(&schedule["next_due_at"]),
            schedule["failures"],
        ));
        for copy in schedule["ledger"].as_array().into_iter().flatten() {
            lines.push(format!(
                "  ledger      {}: complete until {}, {} entries behind",
                cell(&copy["target"]),
                cell(&copy["complete_until"]),
                cell(&copy["entries_behind"]),
            ));
        }
    }
    lines.join("\n")
}

/// Whether contents are to be opened.
pub(super) fn opens(arguments: &VerifyArguments) -> bool {
    let open = &arguments.open;
    open.identity.is_some() || open.identity_passphrase_file.is_some() || arguments.share.is_some()
}

pub(super) fn check(context: &Context<'_>, arguments: &VerifyArguments) -> Result<(), Failure> {
    if opens(arguments) {
        return Err(Failure::usage(
            "what opens backups is not sent to a server",
            "read the target itself: add --from PLACE",
        ));
    }
    through(context, |remote| {
        let begun = remote.verify_backups(arguments.backup)?;
        let job = wait(context, remote, &begun, "verifying")?;
        let answer = json!({
            "backups": job["result"]["backups"],
            "objects": job["result"]["objects"],
            "bytes": job["result"]["bytes"],
            "signature": "checked",
            "opened": null,
        });
        context.terminal.answer(&answer, |_| {
            format!(
                "{} backups are whole: {} objects, {} bytes; signed by this vault; contents not opened (give --from PLACE \
                 --identity FILE)",
                answer["backups"], answer["objects"], answer["bytes"]
            )
        });
        Ok(())
    })
}

pub(super) fn rekey(
    context: &Context<'_>,
    remote: &Remote,
    backup: BackupId,
    to: Option<&Path>,
    keys: &KeyArguments,
) -> Result<(), Failure> {
    nothing_of_keys(keys)?;
    list(remote, to)?;
    let begun = remote.rekey_backup(backup)?;
    let job = wait(context, remote, &begun, "making new keys")?;
    let list = remote.backups()?;
    let backups = list["backups"].as_array();
    let mut made = backups.into_iter().flatten();
    let made =
        made.find(|one| one["of"] == backup.to_string() && one["keys"]["deleted_at"].is_null());
    let result = &job["result"];
    let answer = json!({
        "backup": backup.to_string(),
        "people_whole": result["people_whole"],
        "people_in_part": result["people_in_part"],
        "people_gone": result["people_gone"],
        "files_deleted": result["files_deleted"],
        "keys_expire_at": made.map_or(Value::Null, |made| made["keys"]["expires_at"].clone()),
    });
    context.terminal.answer(&answer, |_| {
        format!(
            "new keys for {backup}: {} people come back whole, {} in part, {} not at all; {} older files are deleted, \
             and verified gone",
            result["people_whole"], result["people_in_part"], result["people_gone"], result["files_deleted"]
        )
    });
    Ok(())
}

pub(super) fn prune(
    context: &Context<'_>,
    remote: &Remote,
    to: Option<&Path>,
    given: Keep,
) -> Result<(), Failure> {
    let list = list(remote, to)?;
    let rules = &list["schedule"]["keep"];
    let same = *rules
        == json!({"last": given.last, "daily": given.daily, "weekly": given.weekly, "monthly": given.monthly});
    if given != Keep::default() && !same {
        return Err(Failure::usage(
            "the server that holds this vault keeps backups as its configuration says",
            "leave the rules out; `backup.keep` in its vault.toml says them",
        ));
    }
    let would = remote.prune_backups(true)?;
    let count = |answer: &Value, name: &str| answer[name].as_array().map_or(0, Vec::len);
    let said = |answer: &Value, verb: &str| {
        format!(
            "{verb} {} backups, {} expired key parts and {} unfinished ones; {} backups stay",
            count(answer, "backups"),
            count(answer, "key_parts"),
            count(answer, "unfinished"),
            count(answer, "kept"),
        )
    };
    let nothing = ["backups", "key_parts", "unfinished", "gone"]
        .iter()
        .all(|name| count(&would, name) == 0);
    if context.globals.dry_run || nothing {
        context
            .terminal
            .answer(&would, |_| said(&would, "would delete"));
        return Ok(());
    }
    let question = format!(
        "{}. Nothing brings them back. Go on?",
        said(&would, "Would delete")
    );
    context.terminal.confirm(&question, context.globals.yes)?;
    let done = remote.prune_backups(false)?;
    if done["verified"] == false {
        context.terminal.note(VERSIONS);
    }
    context.terminal.answer(&done, |_| said(&done, "deleted"));
    Ok(())
}

pub(super) fn ledger(
    context: &Context<'_>,
    remote: &Remote,
    to: Option<&Path>,
) -> Result<(), Failure> {
    list(remote, to)?;
    let schedule = remote.copy_ledger()?;
    let copies = schedule["ledger"].as_array().cloned().unwrap_or_default();
    let failed = copies.iter().find(|copy| copy["failures"] != 0);
    if let Some(copy) = failed {
        return Err(not_copied(&copy["target"]));
    }
    let answer = json!({"ledger": copies});
    context.terminal.answer(&answer, |_| {
        let lines = copies.iter().map(|copy| {
            format!(
                "the ledger is at {}, complete until {}",
                cell(&copy["target"]),
                cell(&copy["complete_until"])
            )
        });
        lines.collect::<Vec<_>>().join("\n")
    });
    Ok(())
}
