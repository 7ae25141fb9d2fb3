//! Legal holds: what is held is there for legal claims alone, stays whatever else ends, and outlives an
//! erasure until it is released; and no older backup brings back what went, or sets free what is held.

use super::copies::Scene;
use super::*;
use crate::backup::write::Parts;
use crate::person::Person;
use crate::policy::{HoldGround, RestrictedUse};
use crate::vault::{ChangeInput, HoldInput};

const ROLES: &str = r#"
[roles.lawyer]
purposes = ["support"]
read = { "*" = "full" }
write = ["*"]
restricted_use = ["legal_claims"]
may = ["holds.manage", "records.purge"]

[roles.correcting]
read = { "*" = "full" }
write = ["*"]
may = ["requests.decide", "subjects.export"]

[roles.clerk]
purposes = ["support"]
read = { "*" = "full" }
write = ["*"]
restricted_use = ["consent", "others_rights", "public_interest"]
may = ["records.bulk", "records.purge"]
"#;

fn hold(collections: &[&str]) -> HoldInput {
    HoldInput {
        ground: HoldGround::LegalClaims,
        collections: collections.iter().map(ToString::to_string).collect(),
        reason: Some("a suit".into()),
        approver: None,
        review_at: jiff::civil::date(2027, 12, 31),
    }
}

fn claiming(principal: &Principal, claim: RestrictedUse) -> Call<'_> {
    Call {
        restricted_use: Some(claim),
        ..call(principal, Some("support"))
    }
}

fn code<T>(result: Result<T, Refusal>) -> &'static str {
    result.map_or_else(|refusal| refusal.code(), |_| "ok")
}

/// Somebody with a new key for a role of a vault that came back.
fn newcomer(vault: &Vault, role: &str) -> Principal {
    let keyholder = vault.keyholder();
    let made = vault.create_token(&call(&keyholder, None), role, None);
    vault.authenticate(&made.unwrap().1).unwrap()
}

fn messages(vault: &Vault, call: &Call<'_>, subject: SubjectId) -> Result<usize, Refusal> {
    let options = ListOptions {
        read: ReadOptions::default(),
        limit: 100,
        order: Order::Oldest,
        cursor: None,
    };
    vault.list(call, subject, "messages", &options, |page| {
        page.records.len()
    })
}

/// A person with an address, three messages, a look-up value and a consent; `messages` end after 90 days.
struct Case {
    scene: Scene,
    lawyer: Principal,
    bot: Principal,
    ann: SubjectId,
}

impl Case {
    fn new() -> Self {
        let scene = Scene::new(2);
        let keyholder = scene.bench.vault.keyholder();
        let policy = format!("{}{ROLES}", crate::policy::SAMPLE);
        scene
            .bench
            .vault
            .apply_policy(&call(&keyholder, None), &policy, false)
            .unwrap();
        Self {
            lawyer: scene.bench.role("lawyer"),
            bot: scene.bench.role("bot"),
            ann: scene.people[0],
            scene,
        }
    }

    fn vault(&self) -> &Vault {
        &self.scene.bench.vault
    }

    fn holds(&self, collections: &[&str]) {
        let call = call(&self.lawyer, None);
        let step = self.vault().put_hold(&call, self.ann, hold(collections));
        assert_eq!(step.unwrap().by, "lawyer");
    }

    /// How a read of the address and of the messages goes.
    fn reads(&self, call: &Call<'_>) -> [&'static str; 2] {
        let profile = profile(self.vault(), call, self.ann, None);
        [code(profile), code(messages(self.vault(), call, self.ann))]
    }

    fn legal(&self) -> Call<'_> {
        claiming(&self.lawyer, RestrictedUse::LegalClaims)
    }

    fn sweep(&self) {
        while self.vault().sweep(Sweep::All).unwrap() {}
    }
}

#[test]
fn the_log_says_what_a_read_of_held_data_claimed_to_be_for() {
    let case = Case::new();
    case.holds(&["messages"]);
    let plain = call(&case.bot, Some("support"));
    assert_eq!(case.reads(&plain), ["ok", "held"]);
    assert_eq!(case.reads(&case.legal()), ["ok", "ok"]);
    let query = AuditQuery {
        before: None,
        last: 4,
        since: None,
        until: None,
        actor: None,
        action: Some("records.list".into()),
        outcome: None,
        subject: None,
    };
    let keyholder = case.vault().keyholder();
    // A commit takes what the journal holds into the log.
    case.holds(&["messages"]);
    let page = case.vault().audit(&call(&keyholder, None), &query).unwrap();
    let told: Vec<(&str, &str)> = page
        .entries
        .iter()
        .map(|one| {
            let text = |name: &str| one.entry[name].as_str().unwrap_or("none");
            (text("outcome"), text("restricted_use"))
        })
        .collect();
    assert_eq!(told, [("ok", "legal_claims"), ("held", "none")]);
}

#[test]
fn what_is_held_is_there_for_legal_claims_alone_and_stays_as_it_is() {
    let case = Case::new();
    let (vault, ann) = (case.vault(), case.ann);
    let bot = call(&case.bot, Some("support"));
    let record = vault
        .list(
            &bot,
            ann,
            "messages",
            &ListOptions {
                read: ReadOptions::default(),
                limit: 1,
                order: Order::Oldest,
                cursor: None,
            },
            |page| page.records[0].record,
        )
        .unwrap();
    case.holds(&["messages"]);
    assert_eq!(case.reads(&bot), ["ok", "held"]);
    let word = || vec![object(json!({"text": "later"}))];
    assert_eq!(code(vault.append(&bot, ann, "messages", word())), "held");
    let name = object(json!({"name": "Another"}));
    assert_eq!(
        code(vault.patch_single(&bot, ann, "profile", name, None)),
        "ok"
    );
    // Whoever only may claim it, says nothing; who says so, may not; and no other use opens it.
    let clerk = case.scene.bench.role("clerk");
    let plain = call(&case.lawyer, Some("support"));
    assert_eq!(case.reads(&plain), ["ok", "held"]);
    let unfit = claiming(&clerk, RestrictedUse::LegalClaims);
    assert_eq!(case.reads(&unfit), ["ok", "held"]);
    let other = claiming(&clerk, RestrictedUse::OthersRights);
    assert_eq!(case.reads(&other), ["ok", "held"]);
    assert_eq!(case.reads(&case.legal()), ["ok", "ok"]);
    // A legal claim adds, and takes nothing away.
    assert_eq!(
        code(vault.append(&case.legal(), ann, "messages", word())),
        "ok"
    );
    let legal = case.legal();
    let removed = vault.delete_record(&legal, ann, "messages", record, None);
    assert_eq!(code(removed), "held");
    let no_text = object(json!({"text": null}));
    let emptied = vault.patch_record(&legal, ann, "messages", record, no_text, None);
    assert_eq!(code(emptied), "held");
    // The person's own correction stands beside it, and a purge passes by.
    let correcting = case.scene.bench.role("correcting");
    let rights = call(&correcting, Some("rights"));
    let corrected = object(json!({"text": "it was otherwise"}));
    let corrected = vault.patch_record(&rights, ann, "messages", record, corrected, None);
    assert!(corrected.unwrap().beside);
    let later = vault.append(&rights, ann, "messages", word());
    assert_eq!(
        code(later),
        "held",
        "there is nothing that it stands beside"
    );
    let everything = ChangeInput {
        collection: "messages".into(),
        conditions: json!({"subject": ann.to_string()}),
        dry_run: false,
    };
    for call in [&legal, &call(&clerk, Some("support"))] {
        let purged = vault.purge_records(call, &everything).unwrap();
        assert_eq!((purged.count, purged.people_skipped), (0, 1));
    }
    assert_eq!(messages(vault, &legal, ann).unwrap(), 4);
    // The control: without the hold the same calls do what they say.
    vault.release_hold(&call(&case.lawyer, None), ann).unwrap();
    assert_eq!(case.reads(&bot), ["ok", "ok"]);
    let removed = vault.delete_record(&legal, ann, "messages", record, None);
    assert_eq!(code(removed), "ok");
    let purged = vault.purge_records(&legal, &everything).unwrap();
    assert_eq!((purged.count, purged.people_skipped), (3, 0));
}

#[test]
fn what_is_held_or_restricted_does_not_end_by_age_until_it_is_released() {
    let case = Case::new();
    let (vault, ann) = (case.vault(), case.ann);
    case.holds(&["messages"]);
    case.scene.bench.clock.advance(200 * 24 * HOUR);
    let count = |vault: &Vault, subject| {
        let snapshot = vault.snapshot().unwrap();
        let person = Person::find(&snapshot, subject).unwrap();
        let messages = vault.policy_of(&snapshot).unwrap();
        let messages = messages.collection("messages").unwrap().id;
        crate::record::count(&snapshot, &person, messages).unwrap()
    };
    case.sweep();
    assert_eq!(count(vault, ann), 3);
    assert_eq!(count(vault, case.scene.people[1]), 0, "the control");
    assert_eq!(messages(vault, &case.legal(), ann).unwrap(), 3);
    assert_eq!(vault.sweep_due().unwrap().records, 0);
    vault.release_hold(&call(&case.lawyer, None), ann).unwrap();
    let bot = call(&case.bot, Some("support"));
    assert_eq!(messages(vault, &bot, ann).unwrap(), 0);
    case.sweep();
    assert_eq!(count(vault, ann), 0);
}

#[test]
fn an_erasure_under_a_hold_takes_the_rest_at_once_and_what_is_held_with_the_release() {
    let mut case = Case::new();
    let ann = case.ann;
    let dpo = case.scene.bench.role("dpo");
    case.holds(&["messages"]);
    let keys = |vault: &Vault| -> Vec<u32> {
        let person = Person::find(&vault.snapshot().unwrap(), ann).unwrap();
        person.keyset.keys.iter().map(|dek| dek.number).collect()
    };
    let before = keys(case.vault());
    let receipt = case.vault().erase_subject(&call(&dpo, None), ann).unwrap();
    let body = &receipt["body"];
    assert_eq!(body["scope"], "person");
    assert_eq!(body["kept"][0]["collection"], "messages");
    assert_eq!(body["kept"][0]["records"], 3);
    assert_eq!(body["kept"][0]["ground"], "legal_claims");
    assert_eq!(body["kept"][1]["compartment"], 2);
    assert_eq!(body["destroyed"].as_array().unwrap().len(), before.len());
    let after = keys(case.vault());
    assert!(after.iter().all(|key| !before.contains(key)), "{after:?}");
    for _ in 0..2 {
        let vault = case.vault();
        let bot = call(&case.bot, Some("support"));
        assert_eq!(case.reads(&bot), ["held", "held"]);
        assert_eq!(
            code(vault.append(&bot, ann, "messages", vec![object(json!({"text": "late"}))])),
            "held"
        );
        assert_eq!(code(vault.read_consent(&bot, ann, "newsletter")), "held");
        // Nothing is added for legal claims either: the person is erased.
        let late = vec![object(json!({"text": "late"}))];
        assert_eq!(
            code(vault.append(&case.legal(), ann, "messages", late)),
            "held"
        );
        assert_eq!(messages(vault, &case.legal(), ann).unwrap(), 3);
        let (none, _) = profile(vault, &case.legal(), ann, None).unwrap();
        assert_eq!(none, json!({}));
        // Nobody finds them by what they are known by.
        let email = json!("p0@example.test");
        let found = vault.lookup_field(&call(&dpo, None), "profile.email", &email);
        assert_eq!(code(found), "not_found");
        let found = vault.lookup_channel(&call(&dpo, None), "web", "visitor-0");
        assert!(matches!(code(found), "not_found" | "erased"));
        let view = vault.view_subject(&call(&dpo, None), ann).unwrap();
        assert_eq!((view.state, view.held), ("erasing", true));
        let snapshot = vault.snapshot().unwrap();
        let person = Person::find(&snapshot, ann).unwrap();
        assert_eq!(person.row(&snapshot).unwrap().channel(), "");
        assert!(person.keyset.lookups.is_empty());
        drop((snapshot, person));
        // The same again is the same.
        let again = vault.erase_subject(&call(&dpo, None), ann).unwrap();
        assert_eq!(again["body"]["kept"], body["kept"]);
        case.sweep();
        case.scene.bench.reopen();
        case.lawyer = case.scene.bench.role("lawyer");
        case.bot = case.scene.bench.role("bot");
    }
    let vault = case.vault();
    let lawyer = call(&case.lawyer, None);
    // Other collections would be gone or were never held.
    let wider = vault.put_hold(&lawyer, ann, hold(&[]));
    assert_eq!(code(wider), "conflict");
    let later = HoldInput {
        review_at: jiff::civil::date(2030, 1, 1),
        ..hold(&["messages"])
    };
    vault.put_hold(&lawyer, ann, later).unwrap();
    let view = vault.read_hold(&lawyer, ann).unwrap();
    assert!(view.held && view.history.last().unwrap().erasure.is_some());
    let released = vault.release_hold(&lawyer, ann).unwrap();
    let last = released.receipt.unwrap();
    assert_eq!(last["body"]["kept"], json!([]));
    let end = messages(vault, &case.legal(), ann);
    assert!(matches!(end, Err(Refusal::Erased { receipt: Some(_) })));
}

#[test]
fn a_hold_over_what_a_person_has_not_keeps_nobody_from_being_erased() {
    let case = Case::new();
    let dpo = case.scene.bench.role("dpo");
    let (bob, _) = case
        .vault()
        .create_subject(&call(&case.bot, None), "web", "bob")
        .unwrap();
    let lawyer = call(&case.lawyer, None);
    case.vault().put_hold(&lawyer, bob, hold(&[])).unwrap();
    let receipt = case.vault().erase_subject(&call(&dpo, None), bob).unwrap();
    assert_eq!(receipt["body"]["kept"], json!([]));
    let view = case.vault().view_subject(&call(&dpo, None), bob);
    assert!(matches!(view, Err(Refusal::Erased { .. })));
}

#[test]
fn who_is_under_a_hold_is_listed_with_what_is_due_and_without_a_value() {
    let case = Case::new();
    let vault = case.vault();
    let lawyer = call(&case.lawyer, None);
    let mut wanted = case.scene.people.clone();
    for number in 0..20 {
        let user = format!("held-{number}");
        let (subject, _) = vault
            .create_subject(&call(&case.bot, None), "web", &user)
            .unwrap();
        wanted.push(subject);
    }
    let released = wanted[5];
    for subject in &wanted {
        vault
            .put_hold(&lawyer, *subject, hold(&["messages"]))
            .unwrap();
    }
    vault.release_hold(&lawyer, released).unwrap();
    let dpo = case.scene.bench.role("dpo");
    vault.erase_subject(&call(&dpo, None), case.ann).unwrap();
    case.scene.bench.clock.advance(400 * 24 * HOUR);
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = vault.list_holds(&lawyer, 7, cursor.as_deref()).unwrap();
        assert!(page.holds.len() <= 7);
        found.extend(page.holds);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    wanted.retain(|subject| *subject != released);
    wanted.sort_unstable();
    let ids: Vec<SubjectId> = found.iter().map(|one| one.subject).collect();
    assert_eq!(ids, wanted);
    let pending = |one: &&crate::vault::HeldPerson| one.erasure_pending;
    let pending: Vec<_> = found
        .iter()
        .filter(pending)
        .map(|one| one.subject)
        .collect();
    assert_eq!(pending, [case.ann]);
    assert!(found.iter().all(|one| one.overdue));
    let refused = vault.list_holds(&call(&case.bot, None), 7, None);
    assert_eq!(code(refused), "role_denied");
    let past = vault.put_hold(&lawyer, wanted[1], hold(&[]));
    assert_eq!(code(past), "invalid");
}

#[test]
fn a_backup_from_before_brings_back_neither_what_was_erased_under_a_hold_nor_what_it_kept_from_use()
{
    let case = Case::new();
    let (ann, ben) = (case.scene.people[0], case.scene.people[1]);
    let vault = case.vault();
    let lawyer = call(&case.lawyer, None);
    // Placed before the backup and released after it.
    let (eve, _) = vault
        .create_subject(&call(&case.bot, None), "web", "eve")
        .unwrap();
    let word = || vec![object(json!({"text": "later"}))];
    let bot = call(&case.bot, Some("support"));
    vault.append(&bot, eve, "messages", word()).unwrap();
    vault.put_hold(&lawyer, eve, hold(&[])).unwrap();
    case.scene.back_up(Parts::Both).unwrap();
    vault.release_hold(&lawyer, eve).unwrap();
    vault.put_hold(&lawyer, ben, hold(&["profile"])).unwrap();
    case.holds(&["messages"]);
    let dpo = case.scene.bench.role("dpo");
    let receipt = vault.erase_subject(&call(&dpo, None), ann).unwrap();
    let keyholder = vault.keyholder();
    vault
        .push_ledger(&call(&keyholder, None), &*case.scene.target)
        .unwrap();

    let (restored, vault, _locked) = case.scene.restore("restored");
    assert_eq!(restored.restored.unwrap().demands, 3);
    // The policy came back too, with its roles.
    let [bot, lawyer, dpo] = ["bot", "lawyer", "dpo"].map(|role| newcomer(&vault, role));
    let keys = |vault: &Vault| -> Vec<u32> {
        let person = Person::find(&vault.snapshot().unwrap(), ann).unwrap();
        person.keyset.keys.iter().map(|dek| dek.number).collect()
    };
    let before = keys(&vault);
    for _ in 0..2 {
        let support = call(&bot, Some("support"));
        let legal = claiming(&lawyer, RestrictedUse::LegalClaims);
        assert_eq!(code(profile(&vault, &support, ben, None)), "held");
        assert_eq!(code(messages(&vault, &support, ben)), "ok");
        assert_eq!(messages(&vault, &support, eve).unwrap(), 1);
        assert_eq!(code(messages(&vault, &support, ann)), "held");
        assert_eq!(messages(&vault, &legal, ann).unwrap(), 3);
        let (none, _) = profile(&vault, &legal, ann, None).unwrap();
        assert_eq!(none, json!({}));
        let email = json!("p0@example.test");
        let found = vault.lookup_field(&support, "profile.email", &email);
        assert_eq!(code(found), "not_found");
        let found = vault.lookup_channel(&support, "web", "visitor-0");
        assert_eq!(code(found), "not_found");
        let other = vault.lookup_channel(&support, "web", "visitor-1");
        assert_eq!(other.unwrap(), ben, "the control");
        let view = vault.view_subject(&call(&dpo, None), ann).unwrap();
        assert_eq!((view.state, view.held), ("erasing", true));
        let view = vault.read_hold(&call(&lawyer, None), ann).unwrap();
        let last = view.history.last().unwrap();
        let erasure = last.erasure.unwrap();
        assert_eq!(receipt["body"]["receipt"], erasure.receipt.to_string());
        // No words of anybody are in the ledger.
        assert_eq!((last.by.as_str(), &last.reason), ("", &None));
        while vault.sweep(Sweep::All).unwrap() {}
    }
    // Under new keys by now: older copies are under those that came with the backup.
    let after = keys(&vault);
    assert!(
        after.iter().all(|key| !before.contains(key)),
        "{before:?} {after:?}"
    );
    let released = vault.release_hold(&call(&lawyer, None), ann).unwrap();
    assert!(released.receipt.is_some());
    assert_eq!(
        code(messages(&vault, &call(&bot, Some("support")), ann)),
        "erased"
    );
}

/// Art. 16: a correction that a backup has is made, though the release came back with the ledger alone.
#[test]
fn a_correction_that_waits_in_a_backup_is_made_by_the_sweep_where_the_ledger_knows_of_the_release()
{
    let case = Case::new();
    let (ann, ben) = (case.ann, case.scene.people[1]);
    let vault = case.vault();
    let lawyer = call(&case.lawyer, None);
    let correcting = case.scene.bench.role("correcting");
    let rights = call(&correcting, Some("rights"));
    for person in [ann, ben] {
        vault.put_hold(&lawyer, person, hold(&["profile"])).unwrap();
        let name = object(json!({"name": "It was otherwise"}));
        let written = vault.patch_single(&rights, person, "profile", name, None);
        assert!(written.unwrap().beside);
    }
    case.scene.back_up(Parts::Both).unwrap();
    vault.release_hold(&lawyer, ann).unwrap();
    let keyholder = vault.keyholder();
    vault
        .push_ledger(&call(&keyholder, None), &*case.scene.target)
        .unwrap();

    let (_, vault, _locked) = case.scene.restore("restored");
    let (bot, lawyer) = (newcomer(&vault, "bot"), newcomer(&vault, "lawyer"));
    while vault.sweep(Sweep::All).unwrap() {}
    let (shown, _) = profile(&vault, &call(&bot, Some("support")), ann, None).unwrap();
    assert_eq!(shown["name"], "It was otherwise");
    // The control: of whom the hold stands the original stays.
    let legal = claiming(&lawyer, RestrictedUse::LegalClaims);
    let (shown, _) = profile(&vault, &legal, ben, None).unwrap();
    assert_ne!(shown["name"], "It was otherwise");
}

/// P2, P4: what was destroyed after the backup does not come back as a correction of itself.
#[test]
fn a_correction_in_a_backup_brings_back_no_record_that_was_destroyed_since() {
    const WORD: &str = "It was otherwise";
    let case = Case::new();
    let (ann, ben) = (case.ann, case.scene.people[1]);
    let vault = case.vault();
    let lawyer = call(&case.lawyer, None);
    let correcting = case.scene.bench.role("correcting");
    let rights = call(&correcting, Some("rights"));
    for person in [ann, ben] {
        vault.put_hold(&lawyer, person, hold(&[])).unwrap();
        let name = object(json!({"name": WORD}));
        let written = vault.patch_single(&rights, person, "profile", name, None);
        assert!(written.unwrap().beside);
    }
    case.scene.back_up(Parts::Both).unwrap();
    // Of one the profile is deleted once nothing keeps it; of the other all goes but the messages.
    vault.release_hold(&lawyer, ann).unwrap();
    vault
        .delete_record(&rights, ann, "profile", RecordId::SINGLE, None)
        .unwrap();
    vault.put_hold(&lawyer, ben, hold(&["messages"])).unwrap();
    let dpo = case.scene.bench.role("dpo");
    vault.erase_subject(&call(&dpo, None), ben).unwrap();
    let keyholder = vault.keyholder();
    vault
        .push_ledger(&call(&keyholder, None), &*case.scene.target)
        .unwrap();

    let (_, vault, _locked) = case.scene.restore("restored");
    let waiting = |subject| {
        let snapshot = vault.snapshot().unwrap();
        let person = Person::find(&snapshot, subject).unwrap();
        crate::vault::corrections::waiting(&snapshot, &person)
            .unwrap()
            .len()
    };
    assert_eq!((waiting(ann), waiting(ben)), (0, 0));
    let (bot, lawyer) = (newcomer(&vault, "bot"), newcomer(&vault, "lawyer"));
    while vault.sweep(Sweep::All).unwrap() {}
    let (shown, _) = profile(&vault, &call(&bot, Some("support")), ann, None).unwrap();
    assert_eq!(shown, json!({}));
    let legal = claiming(&lawyer, RestrictedUse::LegalClaims);
    let (shown, _) = profile(&vault, &legal, ben, None).unwrap();
    assert_eq!(shown, json!({}));
}

/// A correction beside nothing, or without room, is refused while somebody is there to be told; later it fails
/// nobody's release.
#[test]
fn a_correction_without_a_record_or_room_is_refused_and_one_that_lost_its_room_waits() {
    use crate::limits::SHARED_LOOKUP_MAX;
    let case = Case::new();
    let vault = case.vault();
    let lawyer = call(&case.lawyer, None);
    let correcting = case.scene.bench.role("correcting");
    let rights = call(&correcting, Some("rights"));
    let bot = call(&case.bot, Some("support"));
    let (eve, _) = vault.create_subject(&bot, "web", "eve").unwrap();
    vault.put_hold(&lawyer, eve, hold(&["profile"])).unwrap();
    let corrects = |subject, email: &str| {
        let body = object(json!({"email": email}));
        vault.patch_single(&rights, subject, "profile", body, None)
    };
    assert_eq!(code(corrects(eve, "e@example.test")), "held");
    case.holds(&["profile"]);
    let shared = "shared@example.test";
    assert!(corrects(case.ann, shared).unwrap().beside);
    for index in 0..SHARED_LOOKUP_MAX {
        let name = format!("other-{index}");
        let (other, _) = vault.create_subject(&bot, "web", &name).unwrap();
        let body = object(json!({"email": shared}));
        vault
            .patch_single(&bot, other, "profile", body, None)
            .unwrap();
    }
    let ben = case.scene.people[1];
    vault.put_hold(&lawyer, ben, hold(&["profile"])).unwrap();
    assert_eq!(code(corrects(ben, shared)), "too_large");
    // Of the first nobody could know: the release goes through, and so does every sweep.
    vault.release_hold(&lawyer, case.ann).unwrap();
    case.sweep();
    let (shown, _) = profile(vault, &bot, case.ann, None).unwrap();
    assert_eq!(shown["email"], "p0@example.test");
    // With room it is made.
    let (one, _) = vault.create_subject(&bot, "web", "other-0").unwrap();
    let dpo = case.scene.bench.role("dpo");
    vault.erase_subject(&call(&dpo, None), one).unwrap();
    case.sweep();
    let (shown, _) = profile(vault, &bot, case.ann, None).unwrap();
    assert_eq!(shown["email"], shared);
}
