//! `doctor`: what is wrong, where, and what to do about it.
//!
//! Without a secret it says what can be seen from outside, on a locked vault as beside a running server;
//! with one it asks the vault for the rest.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};
use vault_core::doctor::{
    self, Backups, CodeFacts, Diagnosis, Facts, HoldFact, IncidentFact, Inside, PolicyFile,
    RecipientFacts, RequestFact, Severity, Tested, gdpr,
};
use vault_core::policy::Draft;
use vault_core::vault::{LockedVault, OpenError, QueueFilter, VaultPaths};

use super::subject::hold;
use super::{Context, request, token};
use crate::args::DoctorArguments;
use crate::backend::Backend;
use crate::failure::{Exit, Failure};
use crate::place::{self, Place};
use crate::terminal::{BOLD, DIM, RED, Terminal, YELLOW};
use crate::{gather, input};

/// A directory that is none of a vault, or half of one.
const UNREADABLE: &str = "unreadable";

pub(super) fn run(context: &Context<'_>, arguments: &DoctorArguments) -> Result<(), Failure> {
    let mut seen = Seen::default();
    let asked = match &arguments.policy {
        Some(path) => Some((path.clone(), input::read_policy(path)?)),
        None => None,
    };
    if arguments.gdpr
        && let Some((_, source)) = &asked
        && place::place(&context.globals, &context.environment).is_err()
    {
        // A file alone: no vault is needed to look at it.
        seen.findings = gdpr::of_source(source);
        return finish(context.terminal, seen);
    }
    let mut policy_file = asked;
    match place::place(&context.globals, &context.environment)? {
        Place::Server(_) => {
            let backend = context.backend()?;
            inside(&*backend, arguments, policy_file.as_ref(), &mut seen)?;
            finish(context.terminal, seen)
        }
        Place::Directory(dir) => {
            outside(context, arguments, &dir, &mut policy_file, &mut seen)?;
            let given = place::sources(&context.globals, &context.environment).given()?;
            let asks = given.is_some() || (arguments.gdpr && policy_file.is_none());
            // What cannot even be held has its findings already.
            if seen.state == UNREADABLE {
                return finish(context.terminal, seen);
            }
            if asks {
                match context.backend() {
                    Ok(backend) => {
                        inside(&*backend, arguments, policy_file.as_ref(), &mut seen)?;
                    }
                    Err(failure) => seen.broken(&dir, failure)?,
                }
            } else {
                context.terminal.note(
                    "seen without a key: --passphrase-file FILE looks inside, too (room, clock, memory, API keys, policy)",
                );
                if let (true, Some((_, source))) = (arguments.gdpr, &policy_file) {
                    seen.findings.extend(gdpr::of_source(source));
                }
            }
            finish(context.terminal, seen)
        }
    }
}

/// What was gathered, and what has been found already.
#[derive(Default)]
struct Seen {
    facts: Facts,
    findings: Vec<Diagnosis>,
    vault: Option<String>,
    state: &'static str,
}

impl Seen {
    /// A vault that does not open for damage is what `doctor` is for; any other failure is the answer.
    fn broken(&mut self, dir: &Path, failure: Failure) -> Result<(), Failure> {
        if failure.exit != Exit::Damaged {
            return Err(failure);
        }
        self.findings.push(Diagnosis {
            severity: Severity::Damage,
            code: "does_not_open",
            what: failure.what,
            place: dir.display().to_string(),
            todo: failure.help,
            article: None,
        });
        Ok(())
    }
}

/// What can be seen without a key.
fn outside(
    context: &Context<'_>,
    arguments: &DoctorArguments,
    dir: &Path,
    policy_file: &mut Option<(PathBuf, String)>,
    seen: &mut Seen,
) -> Result<(), Failure> {
    let configured = gather::configured(dir, arguments.config.as_deref());
    let mut paths = VaultPaths::beside(dir);
    if let Some(anchor) = context.globals.anchor.clone().or(configured.anchor()) {
        paths.anchor = anchor;
    }
    let held = match LockedVault::peek(&paths) {
        Ok(peek) => {
            seen.vault = Some(peek.vault.to_string());
            seen.state = if peek.held { "held" } else { "locked" };
            peek.held
        }
        Err(error @ OpenError::NotFound(_)) if !dir.exists() || !paths.anchor.exists() => {
            return Err(error.into());
        }
        // What is wrong shows in the files.
        Err(_) => {
            seen.state = UNREADABLE;
            false
        }
    };
    let files = gather::files(&paths)
        .map_err(|error| Failure::io(format!("could not read {}", dir.display()), &error))?;
    let now = Timestamp::now();
    seen.facts = Facts {
        files: Some(files),
        machine: gather::machine(dir, held, &configured, now),
        slots: gather::slots(&paths),
        configuration: Some(configured.facts()),
        codes: configured.codes(),
        ..Facts::default()
    };
    if let (None, Some(path)) = (&policy_file, configured.policy()) {
        match input::read_policy(&path) {
            Ok(source) => *policy_file = Some((path, source)),
            Err(failure) => seen.findings.push(Diagnosis {
                severity: Severity::Error,
                code: "policy_file",
                what: failure.what,
                place: path.display().to_string(),
                todo: failure.help,
                article: None,
            }),
        }
    }
    Ok(())
}

/// What the vault says with its keys.
fn inside(
    backend: &dyn Backend,
    arguments: &DoctorArguments,
    policy_file: Option<&(PathBuf, String)>,
    seen: &mut Seen,
) -> Result<(), Failure> {
    let status = backend.status()?;
    seen.vault = status["vault"].as_str().map(ToOwned::to_owned);
    seen.state = "open";
    // A role that may not know of API keys is no reason to say nothing of the rest.
    let keys = backend.tokens().ok().map(|keys| token::counts(&keys));
    seen.facts.inside = Some(Inside {
        writable: status["writable"] != false,
        clock_leads: status["clock_leads"] == true,
        unlocked_bytes: status["memory_lock"]["unlocked_bytes"]
            .as_u64()
            .unwrap_or(0),
        keys_without_end: keys
            .and_then(|keys| keys["without_end"].as_u64())
            .unwrap_or(0),
        index_stale_hours: None,
        suppressions: status["suppressions"].as_u64().unwrap_or(0),
    });
    seen.facts.backups = backups(&status);
    seen.facts.holds = holds(backend);
    seen.facts.incidents = incidents(backend);
    seen.facts.recipients = recipients(&status);
    // What a running server says of itself is truer than a file that it may not have read.
    seen.facts.codes = codes(&status).or(seen.facts.codes);
    seen.facts.requests = requests(backend);
    // Beside a server elsewhere the clock of this machine is held to what it says; that is what it is for.
    if seen.facts.machine.clock.now == Timestamp::UNIX_EPOCH {
        seen.facts.machine.clock.now = Timestamp::now();
    }
    if !arguments.gdpr && policy_file.is_none() {
        return Ok(());
    }
    let policy = backend.policy()?;
    let in_force = policy["source"].as_str().unwrap_or_default();
    if let Some((path, source)) = policy_file {
        let configuration = seen.facts.configuration.get_or_insert_default();
        configuration.policy = Some(PolicyFile {
            path: path.display().to_string(),
            in_force: source == in_force,
            passes: Draft::parse(source).is_ok(),
        });
    }
    if arguments.gdpr {
        seen.findings.extend(gdpr::of_source(in_force));
    }
    Ok(())
}

/// Who is under a legal hold, as far as the caller may know.
fn holds(backend: &dyn Backend) -> Option<Vec<HoldFact>> {
    let all = hold::all(backend).ok()?;
    let facts = all.iter().map(|one| HoldFact {
        subject: one["subject"].as_str().unwrap_or_default().to_owned(),
        review_at: one["review_at"].as_str().unwrap_or_default().to_owned(),
        overdue: one["overdue"] == true,
        erasure_pending: one["erasure_pending"] == true,
    });
    Some(facts.collect())
}

/// Every breach of the register, as far as the caller may know.
fn incidents(backend: &dyn Backend) -> Option<Vec<IncidentFact>> {
    let list = backend.incidents().ok()?;
    let all = list["incidents"].as_array()?;
    let facts = all.iter().map(|one| IncidentFact {
        incident: one["incident"].as_str().unwrap_or_default().to_owned(),
        due_at: one["due_at"].as_str().unwrap_or_default().to_owned(),
        overdue: one["overdue"] == true,
    });
    Some(facts.collect())
}

/// What a server that tells recipients says of them. Without one nobody is told meanwhile, and that is no
/// finding.
fn recipients(status: &Value) -> Option<RecipientFacts> {
    let told = status
        .get("recipient_notices")
        .filter(|told| told.is_object())?;
    let of = |part: &str, name: &str| told[part][name].as_u64().unwrap_or(0);
    Some(RecipientFacts {
        dead: of("states", "dead"),
        manual: of("states", "manual"),
        not_allowed: of("held_back", "not_allowed"),
        no_secret: of("held_back", "no_secret"),
        bad_url: of("held_back", "bad_url"),
        oldest_open_at: told["oldest_open_at"]
            .as_str()
            .and_then(|text| text.parse().ok()),
    })
}

/// Where a server sends verification codes. A directory tells nothing of it.
fn codes(status: &Value) -> Option<CodeFacts> {
    let told = status.get("codes").filter(|told| told.is_object())?;
    Some(CodeFacts {
        email: told["email"] == true,
        phone: told["phone"] == true,
    })
}

/// Which requests are open, as far as the caller may know.
fn requests(backend: &dyn Backend) -> Option<Vec<RequestFact>> {
    let all = request::all(backend, &QueueFilter::default()).ok()?;
    let facts = all.iter().map(|one| RequestFact {
        request: one["request"].as_str().unwrap_or_default().to_owned(),
        kind: one["type"].as_str().unwrap_or_default().to_owned(),
        due: one["due"].as_str().unwrap_or_default().to_owned(),
        days_left: one["days_left"].as_i64().unwrap_or_default(),
        overdue: one["overdue"] == true,
    });
    Some(facts.collect())
}

/// What a vault with a registry of backups tells of it. One that tells nothing has none: then nothing is
/// known.
fn backups(status: &Value) -> Option<Backups> {
    let told = status.get("backups").filter(|told| told.is_object())?;
    let time = |name: &str| told[name].as_str().and_then(|text| text.parse().ok());
    Some(Backups {
        last: time("last_completed_at"),
        tested: told.get("last_tested_at").map(|_| Tested {
            last: time("last_tested_at"),
        }),
        horizon: time("erasure_horizon"),
        overdue: told["key_parts_overdue"].as_u64().unwrap_or(0),
        failures: told["failures"].as_u64().unwrap_or(0),
        ledger_behind_seconds: told["ledger_behind_seconds"].as_u64().unwrap_or(0),
    })
}

fn finish(terminal: &Terminal, seen: Seen) -> Result<(), Failure> {
    let mut findings = doctor::findings(&seen.facts);
    findings.extend(seen.findings);
    let findings = doctor::sorted(findings);
    let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
    let counts = [
        Severity::Damage,
        Severity::Error,
        Severity::Warning,
        Severity::Note,
    ]
    .map(|severity| (severity, count(severity)));
    let told: serde_json::Map<String, Value> = counts
        .iter()
        .map(|(severity, count)| (severity.name().to_owned(), json!(count)))
        .collect();
    let answer = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "format": 1,
        "vault": seen.vault,
        "state": match seen.state { "" => Value::Null, state => state.into() },
        "counts": told,
        "findings": findings.iter().map(document).collect::<Vec<_>>(),
    });
    terminal.answer(&answer, |terminal| text(terminal, &findings));
    let [damage, error, ..] = counts.map(|(_, count)| count);
    let summary = || {
        let some = counts.iter().filter(|(_, count)| *count > 0);
        let parts = some.map(|(severity, count)| match (*severity, *count) {
            (Severity::Damage, _) | (_, 1) => format!("{count} {}", severity.name()),
            _ => format!("{count} {}s", severity.name()),
        });
        parts.collect::<Vec<_>>().join(", ")
    };
    let help = "do what stands below each finding, then run `vault-cli doctor` again";
    match (damage, error) {
        (0, 0) => Ok(()),
        (0, _) => Err(Failure::new(Exit::Failed, "findings", summary(), help)),
        _ => Err(Failure::new(Exit::Damaged, "damaged", summary(), help)),
    }
}

fn document(finding: &Diagnosis) -> Value {
    json!({
        "severity": finding.severity.name(),
        "code": finding.code,
        "what": finding.what,
        "where": finding.place,
        "todo": finding.todo,
        "article": finding.article,
    })
}

fn text(terminal: &Terminal, findings: &[Diagnosis]) -> String {
    if findings.is_empty() {
        return "nothing wrong was found".to_owned();
    }
    let mut lines = Vec::new();
    for finding in findings {
        let style = match finding.severity {
            Severity::Damage | Severity::Error => RED,
            Severity::Warning => YELLOW,
            Severity::Note => DIM,
        };
        let article = finding.article.map(|article| format!(" ({article} GDPR)"));
        lines.push(format!(
            "{} {}: {}{}\n  {}",
            terminal.style(style, finding.severity.name()),
            terminal.style(BOLD, &finding.place),
            finding.what,
            article.unwrap_or_default(),
            finding.todo,
        ));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_tells_where_codes_go_is_looked_at_and_none_is_no_finding() {
        assert_eq!(codes(&json!({"state": "open"})), None);
        let status = json!({"codes": {"email": true, "phone": false, "waiting": 0}});
        let told = codes(&status).expect("it is told of");
        assert!(told.email && !told.phone);
    }

    #[test]
    fn a_registry_that_is_told_of_is_looked_at_and_none_is_no_finding() {
        assert_eq!(backups(&json!({"state": "open"})), None);
        assert_eq!(backups(&json!({"backups": null})), None);
        let status = json!({"backups": {"erasure_horizon": "2030-02-01T00:00:00Z", "key_parts": 1,
            "key_parts_overdue": 1, "last_completed_at": null}});
        let told = backups(&status).expect("it is told of");
        assert_eq!((told.last, told.tested, told.overdue), (None, None, 1));
        assert_eq!(told.horizon, "2030-02-01T00:00:00Z".parse().ok());
        let status = json!({"backups": {"last_completed_at": "2030-01-01T00:00:00Z", "last_tested_at": null}});
        let told = backups(&status).expect("it is told of");
        assert!(told.last.is_some() && told.tested == Some(Tested { last: None }));
    }
}
