//! The registry of backups, and what erasures and receipts say by it.

use super::*;
use crate::audit::signer::Signers;

const DAY: i64 = 24 * HOUR;

fn begin(bench: &Bench, keys: Option<i64>, data: bool) -> BackupId {
    let now = Clock::now(&*bench.clock);
    let begin = BackupBegin {
        target: "/srv/backup".into(),
        data,
        keys: keys.map(|after| now + jiff::SignedDuration::from_millis(after)),
        of: None,
    };
    let keyholder = bench.vault.keyholder();
    bench
        .vault
        .backup_begin(&call(&keyholder, None), begin)
        .unwrap()
}

fn facts() -> BackupFacts {
    BackupFacts {
        bytes: 1_000,
        people: 1,
        records: 1,
        epoch: 1,
        policy_version: 1,
        ledger_position: 0,
        manifest_sha256: [1; 32],
    }
}

fn person(bench: &Bench, user: &str) -> SubjectId {
    let bot = bench.role("bot");
    let made = bench
        .vault
        .create_subject(&call(&bot, Some("support")), "web", user);
    made.unwrap().0
}

/// Erases somebody new: the time of the receipt, its horizon, its id.
fn erase(bench: &Bench, user: &str) -> (Timestamp, Timestamp, ReceiptId) {
    let subject = person(bench, user);
    let dpo = bench.role("dpo");
    let receipt = bench
        .vault
        .erase_subject(&call(&dpo, None), subject)
        .unwrap();
    let at = |name: &str| receipt["body"][name].as_str().unwrap().parse().unwrap();
    let id = receipt["body"]["receipt"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    (at("time"), at("erasure_horizon"), id)
}

fn status(bench: &Bench, receipt: ReceiptId) -> ReceiptStatus {
    let keyholder = bench.vault.keyholder();
    let dpo = bench.role("dpo");
    let _ = keyholder;
    bench.vault.receipt(&call(&dpo, None), receipt).unwrap().1
}

#[test]
fn an_erasure_names_the_expiry_of_a_key_part_that_was_registered_before_it() {
    let bench = Bench::new();
    let keyholder = bench.vault.keyholder();
    let call = || call(&keyholder, None);
    let (time, horizon, first) = erase(&bench, "before");
    assert_eq!(horizon, time, "there is no backup");
    assert_eq!(status(&bench, first), ReceiptStatus::Final(time));

    // Registered and running: it counts at once.
    let expires = Clock::now(&*bench.clock) + jiff::SignedDuration::from_hours(24 * 30);
    let backup = begin(&bench, Some(30 * DAY), true);
    bench.clock.advance(HOUR);
    let (_, horizon, second) = erase(&bench, "during");
    assert_eq!(horizon, expires);
    let open = ReceiptStatus::Open {
        horizon: expires,
        backups: vec![backup],
    };
    assert_eq!(status(&bench, second), open);
    // Whoever was erased before it is in none of it.
    assert_eq!(status(&bench, first), ReceiptStatus::Final(time));

    bench
        .vault
        .backup_complete(&call(), backup, facts())
        .unwrap();
    let summary = bench.vault.backup_summary().unwrap();
    assert_eq!((summary.erasure_horizon, summary.key_parts), (expires, 1));
    assert_eq!(summary.last_completed_at, Some(Clock::now(&*bench.clock)));

    // Overdue, and not deleted: as open as before, and it says so.
    bench.clock.advance(31 * DAY);
    bench.vault.probe().unwrap();
    let (time, horizon, third) = erase(&bench, "overdue");
    assert_eq!(horizon, time, "a horizon is never in the past");
    assert_eq!(status(&bench, second), open);
    let (views, summary) = bench.vault.backups(&call()).unwrap();
    assert_eq!((summary.overdue, summary.key_parts), (1, 1));
    assert!(views[0].keys.as_ref().unwrap().overdue);
    assert!(matches!(status(&bench, third), ReceiptStatus::Open { .. }));

    bench.clock.advance(HOUR);
    bench
        .vault
        .backup_deleted(&call(), backup, BackupPart::Keys)
        .unwrap();
    let gone = Clock::now(&*bench.clock);
    for receipt in [second, third] {
        assert_eq!(status(&bench, receipt), ReceiptStatus::Final(gone));
    }
    assert_eq!(
        status(&bench, first),
        ReceiptStatus::Final(erased_at(&bench, first))
    );
    let (time, horizon, _) = erase(&bench, "after");
    assert_eq!(horizon, time);
    // Said again it stays gone since then.
    bench.clock.advance(HOUR);
    bench
        .vault
        .backup_deleted(&call(), backup, BackupPart::Keys)
        .unwrap();
    assert_eq!(status(&bench, second), ReceiptStatus::Final(gone));
    let summary = bench.vault.backup_summary().unwrap();
    assert_eq!((summary.overdue, summary.key_parts), (0, 0));
}

fn erased_at(bench: &Bench, receipt: ReceiptId) -> Timestamp {
    let dpo = bench.role("dpo");
    let (document, _) = bench.vault.receipt(&call(&dpo, None), receipt).unwrap();
    document["body"]["time"].as_str().unwrap().parse().unwrap()
}

#[test]
fn the_last_of_several_key_parts_is_what_an_erasure_waits_for() {
    let bench = Bench::new();
    let keyholder = bench.vault.keyholder();
    let call = || call(&keyholder, None);
    let now = Clock::now(&*bench.clock);
    let after = |days: i64| now + jiff::SignedDuration::from_hours(24 * days);
    let short = begin(&bench, Some(7 * DAY), true);
    let long = begin(&bench, Some(30 * DAY), false);
    let data = begin(&bench, None, true);
    bench.vault.backup_complete(&call(), data, facts()).unwrap();
    let (_, horizon, receipt) = erase(&bench, "ann");
    assert_eq!(horizon, after(30));
    bench.vault.backup_complete(&call(), long, facts()).unwrap();
    // One that failed may have left keys at its target.
    bench.vault.backup_failed(&call(), short).unwrap();
    bench
        .vault
        .backup_deleted(&call(), long, BackupPart::Keys)
        .unwrap();
    let left = ReceiptStatus::Open {
        horizon: after(7),
        backups: vec![short],
    };
    assert_eq!(status(&bench, receipt), left);
    // A data part has no key: that it is still there holds nobody.
    bench
        .vault
        .backup_deleted(&call(), short, BackupPart::Keys)
        .unwrap();
    assert!(matches!(status(&bench, receipt), ReceiptStatus::Final(_)));
    let (views, _) = bench.vault.backups(&call()).unwrap();
    assert_eq!(views.len(), 3);
    let of = |id| views.iter().find(|view| view.backup == id).unwrap();
    assert!(of(short).failed_at.is_some() && of(short).facts.is_none());
    assert_eq!(of(data).facts, Some(facts()));
    assert!(of(data).keys.is_none() && of(long).data.is_none());
}

#[test]
fn an_expiry_comes_sooner_and_never_later() {
    let mut bench = Bench::new();
    let keyholder = bench.vault.keyholder();
    let call = || call(&keyholder, None);
    let now = Clock::now(&*bench.clock);
    let after = |days: i64| now + jiff::SignedDuration::from_hours(24 * days);
    let backup = begin(&bench, Some(30 * DAY), true);
    let later = bench.vault.backup_expires(&call(), backup, after(31));
    assert!(matches!(later, Err(Refusal::Conflict(_))), "{later:?}");
    let horizon = |bench: &Bench| bench.vault.backup_summary().unwrap().erasure_horizon;
    assert_eq!(horizon(&bench), after(30));
    bench
        .vault
        .backup_expires(&call(), backup, after(10))
        .unwrap();
    assert_eq!(horizon(&bench), after(10));
    let back = bench.vault.backup_expires(&call(), backup, after(30));
    assert!(matches!(back, Err(Refusal::Conflict(_))));
    bench.reopen();
    assert_eq!(horizon(&bench), after(10));
    let view = bench.vault.backup(&call(), backup).unwrap();
    assert_eq!(view.keys.unwrap().expires_at, after(10));
}

#[test]
fn what_does_not_fit_the_registry_is_refused_and_who_may_not_manage_backups_too() {
    let bench = Bench::new();
    let keyholder = bench.vault.keyholder();
    let vault = bench.vault.clone();
    let own = || call(&keyholder, None);
    let now = Clock::now(&*bench.clock);
    let input = BackupBegin {
        target: "/srv/backup".into(),
        data: true,
        keys: Some(now + jiff::SignedDuration::from_hours(1)),
        of: None,
    };
    let begin = |input: &BackupBegin| vault.backup_begin(&own(), input.clone());
    let wrong = [
        BackupBegin {
            target: String::new(),
            ..input.clone()
        },
        BackupBegin {
            target: "x".repeat(2_000),
            ..input.clone()
        },
        BackupBegin {
            data: false,
            keys: None,
            ..input.clone()
        },
        BackupBegin {
            keys: Some(now),
            ..input.clone()
        },
    ];
    for input in wrong {
        assert!(
            matches!(begin(&input), Err(Refusal::Invalid(_))),
            "{input:?}"
        );
    }
    let unknown = BackupId::from_bytes([1; 16]);
    let of = |of| BackupBegin {
        data: false,
        of: Some(of),
        ..input.clone()
    };
    assert!(matches!(begin(&of(unknown)), Err(Refusal::NotFound(_))));
    let first = begin(&input).unwrap();
    // No key part for what is not whole, nor deleted what is being made.
    assert!(matches!(begin(&of(first)), Err(Refusal::Conflict(_))));
    let deleted = vault.backup_deleted(&own(), first, BackupPart::Keys);
    assert!(matches!(deleted, Err(Refusal::Conflict(_))));
    vault.backup_complete(&own(), first, facts()).unwrap();
    let again = vault.backup_complete(&own(), first, facts());
    assert!(matches!(again, Err(Refusal::Conflict(_))));
    assert!(matches!(
        vault.backup_failed(&own(), first),
        Err(Refusal::Conflict(_))
    ));
    let rekey = begin(&of(first)).unwrap();
    assert_eq!(vault.backup(&own(), rekey).unwrap().of, Some(first));
    let none = vault.backup_deleted(&own(), rekey, BackupPart::Data);
    assert!(none.is_err(), "it is under way, and has no data part");
    vault.backup_failed(&own(), rekey).unwrap();
    let none = vault.backup_deleted(&own(), rekey, BackupPart::Data);
    assert!(matches!(none, Err(Refusal::NotFound(_))));
    vault
        .backup_deleted(&own(), first, BackupPart::Data)
        .unwrap();
    assert!(matches!(begin(&of(first)), Err(Refusal::Conflict(_))));

    let bot = bench.role("bot");
    let other = || call(&bot, Some("support"));
    let denied = [
        vault.backup_begin(&other(), input).map(drop),
        vault.backup_complete(&other(), first, facts()),
        vault.backup_failed(&other(), first),
        vault.backup_deleted(&other(), first, BackupPart::Keys),
        vault.backup_expires(&other(), first, now),
        vault.backups(&other()).map(drop),
        vault.backup(&other(), first).map(drop),
    ];
    for denied in denied {
        assert!(matches!(denied, Err(Refusal::RoleDenied(_))), "{denied:?}");
    }
    let copied = vault.ledger_copy(&other(), &mut Vec::new());
    assert!(matches!(
        copied,
        Err(LedgerCopyError::Refused(Refusal::RoleDenied(_)))
    ));

    // Each call left its entry.
    let dpo = bench.role("dpo");
    let query = AuditQuery {
        last: 200,
        ..AuditQuery::default()
    };
    let page = vault.audit(&call(&dpo, None), &query).unwrap();
    for action in [
        "begin", "complete", "fail", "deleted", "expire", "list", "ledger",
    ] {
        let action = format!("backups.{action}");
        let there = |entry: &AuditEntry| entry.entry["action"] == action;
        assert!(page.entries.iter().any(there), "{action}");
    }
}

/// Each thing that a restored backup must not undo is in the copy, and nothing else is.
#[test]
fn the_copy_of_the_ledger_has_what_was_erased_destroyed_withdrawn_and_revoked() {
    use crate::backup::ledger::{Ledger, LedgerCopy, Replay};
    let bench = Bench::new();
    let vault = bench.vault.clone();
    let keyholder = vault.keyholder();
    let (bot, dpo) = (bench.role("bot"), bench.role("dpo"));
    let support = || call(&bot, Some("support"));
    let copy = || -> (Replay, LedgerCopied) {
        let mut bytes = Vec::new();
        let copied = vault
            .ledger_copy(&call(&keyholder, None), &mut bytes)
            .unwrap();
        let snapshot = vault.engine.snapshot().unwrap();
        use crate::commit::View as _;
        let system = snapshot.system();
        let signer = Signers::of(snapshot.vault(), system);
        let copies = vec![LedgerCopy::new("copy", &bytes[..])];
        let replay = Ledger::read(copies, &system.ledger, &signer, snapshot.vault(), 0);
        (replay.unwrap(), copied)
    };
    let (empty, copied) = copy();
    assert_eq!((empty.position, copied.position), (0, 0));
    assert_eq!(empty.complete_until, Clock::now(&*bench.clock));

    let ann = person(&bench, "ann");
    let bodies = vec![
        object(json!({"text": "one"})),
        object(json!({"text": "two"})),
    ];
    let records = vault.append(&support(), ann, "messages", bodies).unwrap();
    let consent = |given| ConsentInput {
        given,
        notice: json!("1"),
        choice: None,
        message_id: None,
        ..ConsentInput::default()
    };
    // Refused, with nothing said before: no withdrawal.
    vault
        .put_consent(&support(), ann, "newsletter", consent(false))
        .unwrap();
    vault
        .put_consent(&support(), ann, "newsletter", consent(true))
        .unwrap();
    assert_eq!(copy().0.position, 0);
    bench.clock.advance(HOUR);
    vault
        .withdraw_consent(&support(), ann, "newsletter")
        .unwrap();
    let withdrawn = Clock::now(&*bench.clock);
    vault
        .put_consent(&support(), ann, "newsletter", consent(true))
        .unwrap();
    bench.clock.advance(HOUR);
    vault
        .put_consent(&support(), ann, "newsletter", consent(false))
        .unwrap();
    let refused = Clock::now(&*bench.clock);
    vault
        .delete_record(&support(), ann, "messages", records[0], None)
        .unwrap();
    let (token, _) = vault
        .create_token(&call(&keyholder, None), "bot", None)
        .unwrap();
    vault
        .revoke_token(&call(&keyholder, None), token.token)
        .unwrap();
    vault
        .revoke_token(&call(&keyholder, None), token.token)
        .unwrap();
    let (replay, copied) = copy();
    assert_eq!((replay.position, copied.position), (4, 4));
    assert_eq!(replay.complete_until, copied.complete_until);
    let (handle, said) = replay.withdrawn.first_key_value().unwrap();
    assert_eq!(
        said.iter().map(|(_, at)| *at).collect::<Vec<_>>(),
        [withdrawn, refused]
    );
    let removed: Vec<_> = replay.removed[handle].iter().map(|(_, id)| *id).collect();
    assert_eq!(removed, [*records[0].as_bytes()]);
    assert!(replay.revoked_tokens.contains(&token.token));
    assert!(replay.erased.is_empty() && replay.keys.is_empty());

    let receipt = vault.erase_subject(&call(&dpo, None), ann).unwrap();
    let (replay, _) = copy();
    let erased = &replay.erased[handle];
    assert_eq!(
        erased.subject_sha256,
        crate::crypto::sha256(&[ann.as_bytes()])
    );
    assert_eq!(
        json!(erased.receipt.to_string()),
        receipt["body"]["receipt"]
    );
    assert_eq!(json!(erased.epoch), receipt["body"]["epoch_after"]);
    // The file beside the database says the same.
    let file = std::fs::read(bench.dir.path().join("v/ledger")).unwrap();
    let mut bytes = Vec::new();
    vault
        .ledger_copy(&call(&keyholder, None), &mut bytes)
        .unwrap();
    assert!(file.len() > 25 && bytes.starts_with(&file[..25]));
}
