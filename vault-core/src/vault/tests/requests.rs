//! Requests of people: refused without harm, closable at their last step, gone with the person but for what a hold
//! keeps, listed page by page, and remembered by a restored vault.

use std::sync::Arc;

use super::copies::Scene;
use super::*;
use crate::backup::write::Parts;
use crate::commit::View as _;
use crate::events::{self, Topic};
use crate::export::{ExportInput, Form, Right, Seal};
use crate::keys::system::REQUEST_FIELD;
use crate::limits::REQUEST_STEPS_MAX;
use crate::person::Person;
use crate::policy::HoldGround;
use crate::request::{DelayReason, Exemption, Level, RequestKind, RequestState, stored};
use crate::standing::ObjectionState;
use crate::store::{Direction, KeyRange, Table};
use crate::vault::{HoldInput, Onwards, RequestInput, RequestStep, RequestView, StepWord};

const ROLES: &str = r#"
[purposes.quality]
title.en = "Looking at how well the bot answers"
title.de = "Ansehen, wie gut der Bot antwortet"
basis = "legitimate_interests"
retention = { after = "collected", period = "P1Y" }

[roles.deciding]
read = { "*" = "full" }
write = ["*"]
may = ["requests.decide", "subjects.erase", "subjects.export", "holds.manage"]

[roles.taking]
may = ["subjects.create", "requests.create"]
"#;
pub(super) const DAY: i64 = 24 * 3_600_000;

pub(super) fn input(kind: RequestKind) -> RequestInput {
    RequestInput {
        kind,
        details: Some("canary words".into()),
        language: None,
        received_at: None,
        purpose: None,
        ground: None,
        collections: Vec::new(),
        decision: None,
    }
}

pub(super) struct Case {
    pub(super) scene: Scene,
    bot: Principal,
    pub(super) dpo: Principal,
}

impl Case {
    pub(super) fn new(people: usize) -> Self {
        let scene = Scene::new(people);
        let keyholder = scene.bench.vault.keyholder();
        let policy = format!("{}{ROLES}", crate::policy::SAMPLE);
        scene
            .bench
            .vault
            .apply_policy(&call(&keyholder, None), &policy, false)
            .unwrap();
        Self {
            bot: scene.bench.role("taking"),
            dpo: scene.bench.role("deciding"),
            scene,
        }
    }

    pub(super) fn vault(&self) -> &Arc<Vault> {
        &self.scene.bench.vault
    }

    pub(super) fn asks(&self, subject: SubjectId, kind: RequestKind) -> RequestView {
        let call = call(&self.bot, None);
        self.vault()
            .create_request(&call, subject, input(kind))
            .unwrap()
    }

    pub(super) fn step(&self, request: RequestId, step: RequestStep) -> RequestView {
        let call = call(&self.dpo, None);
        self.vault()
            .step_request(&call, request, step)
            .unwrap()
            .view
    }
}

impl Case {
    /// A vault that is made of the backup, and who decides requests in it.
    fn restored(&self) -> (Arc<Vault>, Principal, LockedVault) {
        let (_, vault, locked) = self.scene.restore("restored");
        let keyholder = vault.keyholder();
        let made = vault.create_token(&call(&keyholder, None), "deciding", None);
        let dpo = vault.authenticate(&made.unwrap().1).unwrap();
        (vault, dpo, locked)
    }

    fn read(&self, request: RequestId) -> RequestView {
        let call = call(&self.dpo, None);
        self.vault().read_request(&call, request).unwrap()
    }

    /// Objects to the purpose `quality`.
    fn objects(&self, who: &Principal, subject: SubjectId) -> RequestView {
        let input = RequestInput {
            purpose: Some("quality".into()),
            ..input(RequestKind::Object)
        };
        self.vault()
            .create_request(&call(who, None), subject, input)
            .unwrap()
    }

    fn objection(&self, subject: SubjectId) -> ObjectionState {
        let all = self
            .vault()
            .list_objections(&call(&self.dpo, None), subject);
        all.unwrap()[0].state
    }
}

fn refuse(code: Exemption) -> RequestStep {
    RequestStep::Refuse {
        code,
        law: "canary law".into(),
        approver: "canary approver".into(),
        reason: "canary reason".into(),
    }
}

fn extend() -> RequestStep {
    RequestStep::Extend {
        reason: DelayReason::Complexity,
        period: None,
    }
}

fn verify() -> RequestStep {
    RequestStep::Verify {
        evidence: "canary evidence".into(),
    }
}

fn approve(confirmation: Option<String>) -> RequestStep {
    RequestStep::Approve {
        confirmation,
        correction: None,
        answer: Some("canary answer".into()),
    }
}

/// What would be lost: a person's own objection. A letter that anybody could have written, refused for want of proof,
/// put its purpose back in use.
#[test]
fn art_21_1_only_compelling_grounds_override_an_objection_and_only_of_whom_it_is_known_who_asks() {
    let case = Case::new(1);
    let ann = case.scene.people[0];
    let said = case.objects(&case.bot, ann);
    assert_eq!(
        (said.level, said.state),
        (Level::L1, RequestState::Verified)
    );
    assert_eq!(case.objection(ann), ObjectionState::Pending);
    for code in [
        Exemption::IdentityFailure,
        Exemption::ManifestlyUnfounded,
        Exemption::NotCovered,
        Exemption::CompellingGrounds,
    ] {
        let letter = case.objects(&case.dpo, ann);
        assert_eq!(letter.level, Level::L0);
        let refused = case.step(letter.request, refuse(code));
        assert_eq!(refused.state, RequestState::Refused);
        assert_eq!(case.objection(ann), ObjectionState::Pending, "{code:?}");
    }
    // Their own, for something that is no ground.
    for code in [Exemption::ManifestlyExcessive, Exemption::NotCovered] {
        let again = case.objects(&case.bot, ann);
        case.step(again.request, refuse(code));
        assert_eq!(case.objection(ann), ObjectionState::Pending, "{code:?}");
    }
    case.step(said.request, refuse(Exemption::CompellingGrounds));
    assert_eq!(case.objection(ann), ObjectionState::Overridden);
}

#[test]
fn requests_that_have_all_the_steps_there_are_can_still_be_ended_each() {
    let case = Case::new(1);
    let ann = case.scene.people[0];
    let [refused, taken_back, copied] = [
        RequestKind::Access,
        RequestKind::Access,
        RequestKind::Access,
    ]
    .map(|kind| case.asks(ann, kind).request);
    case.step(copied, verify());
    let filled = case.vault().engine.submit(move |txn| {
        let mut person = Person::find(txn, ann)?;
        let steps = stored::history(txn, &person)?;
        let last = stored::steps(txn, &person, refused)?.pop().unwrap();
        for _ in steps.len()..REQUEST_STEPS_MAX - 1 {
            events::append(txn, &mut person, Topic::Request, &last)?;
        }
        Ok(())
    });
    filled.unwrap();
    let dpo = call(&case.dpo, None);
    let review = || RequestStep::Review { note: None };
    let look = |request| case.vault().step_request(&dpo, request, review());
    // The last that is no end.
    let asked = RequestStep::AskIdentity { question: None };
    case.step(taken_back, asked);
    let full = look(copied);
    assert!(matches!(full, Err(Refusal::TooLarge(why)) if why.contains("cancel")));
    let more = case
        .vault()
        .create_request(&dpo, ann, input(RequestKind::Access));
    assert!(matches!(more, Err(Refusal::TooLarge(_))));
    // A package is begun, breaks off, and is begun again.
    let steps = |request| case.read(request).history.len();
    let before = steps(copied);
    for _ in 0..3 {
        let package = ExportInput {
            right: Right::Access,
            form: Form::Json,
            language: None,
            seal: Seal::None,
        };
        drop(case.vault().export_request(&dpo, copied, package).unwrap());
        assert_eq!(case.read(copied).state, RequestState::InProgress);
        assert_eq!(steps(copied), before + 1);
    }
    let cancel = || RequestStep::Cancel { reason: None };
    for (request, step, state) in [
        (
            refused,
            refuse(Exemption::NotCovered),
            RequestState::Refused,
        ),
        (taken_back, cancel(), RequestState::Cancelled),
        (copied, cancel(), RequestState::Cancelled),
    ] {
        assert_eq!(case.step(request, step).state, state);
    }
}

/// Whether nothing of a request is left that somebody wrote.
fn is_silent(view: &RequestView) -> bool {
    let given = view.refusal.as_ref();
    let written = given.is_some_and(|given| {
        given.law.is_some() || given.approver.is_some() || given.text.is_some()
    });
    let told = view
        .extension
        .as_ref()
        .is_some_and(|one| one.notice.is_some());
    let said = view.history.iter().any(|step| step.words.is_some());
    !(written || told || said)
}

#[test]
fn art_17_what_was_written_with_a_request_goes_with_the_person_although_a_hold_keeps_its_steps() {
    let case = Case::new(1);
    let ann = case.scene.people[0];
    let refused = case.asks(ann, RequestKind::Rectify).request;
    case.step(refused, extend());
    case.step(refused, refuse(Exemption::NationalLaw));
    let erase = case.asks(ann, RequestKind::Erase).request;
    case.step(erase, extend());
    case.step(erase, verify());
    let full = case.read(refused);
    assert!(
        full.refusal
            .as_ref()
            .unwrap()
            .text
            .as_ref()
            .unwrap()
            .contains("canary reason")
    );
    // A backup has all of it, and what comes back of somebody who was erased since has none.
    case.scene.back_up(Parts::Both).unwrap();
    let hold = HoldInput {
        ground: HoldGround::LegalClaims,
        collections: vec!["messages".into()],
        reason: None,
        approver: None,
        review_at: jiff::civil::date(2035, 12, 31),
    };
    let dpo = call(&case.dpo, None);
    case.vault().put_hold(&dpo, ann, hold).unwrap();
    let confirmation = case.vault().confirm_request(&dpo, erase, None).unwrap();
    let done = case.step(erase, approve(Some(confirmation.confirmation)));
    assert_eq!(done.state, RequestState::PartlyFulfilled);
    let silent = |view: &RequestView| {
        assert!(is_silent(view), "{view:?}");
        assert_eq!(
            view.extension.as_ref().unwrap().reason,
            DelayReason::Complexity
        );
    };
    let check = |refused: RequestView, erase: RequestView| {
        silent(&refused);
        silent(&erase);
        assert_eq!(refused.refusal.unwrap().code, Exemption::NationalLaw);
        assert_eq!(erase.state, RequestState::PartlyFulfilled);
    };
    silent(&done);
    check(case.read(refused), case.read(erase));
    case.vault()
        .push_ledger(&call(&case.vault().keyholder(), None), &*case.scene.target)
        .unwrap();
    let (vault, dpo, _locked) = case.restored();
    let read = |id| vault.read_request(&call(&dpo, None), id).unwrap();
    check(read(refused), read(erase));
}

#[test]
fn an_unlock_secret_is_shown_no_refusal_but_the_one_that_it_writes() {
    let case = Case::new(1);
    let ann = case.scene.people[0];
    let [theirs, own] = [RequestKind::Access; 2].map(|kind| case.asks(ann, kind).request);
    case.step(theirs, extend());
    case.step(theirs, refuse(Exemption::NationalLaw));
    let keyholder = case.vault().keyholder();
    let secret = call(&keyholder, None);
    let seen = case.vault().read_request(&secret, theirs).unwrap();
    assert!(is_silent(&seen), "{seen:?}");
    assert_eq!(seen.refusal.unwrap().code, Exemption::NationalLaw);
    let step = |step| case.vault().step_request(&secret, own, step).unwrap().view;
    assert!(step(extend()).extension.unwrap().notice.is_some());
    let written = step(refuse(Exemption::NotCovered));
    let letter = written.refusal.unwrap().text.unwrap();
    assert!(letter.contains("canary reason"));
    assert!(written.extension.unwrap().notice.is_none());
    assert!(is_silent(&case.vault().read_request(&secret, own).unwrap()));
    // The control: who deals with requests by a key sees both.
    assert!(!is_silent(&case.read(theirs)) && !is_silent(&case.read(own)));
}

#[test]
fn every_page_of_the_queue_goes_on_where_the_last_ended_whatever_else_changes_meanwhile() {
    let case = Case::new(8);
    let dpo = call(&case.dpo, None);
    let came = |person: usize, days: i64| {
        let at = case.vault().engine.now() - jiff::SignedDuration::from_hours(24 * days);
        let input = RequestInput {
            received_at: Some(at),
            ..input(RequestKind::Access)
        };
        let subject = case.scene.people[person];
        case.vault().create_request(&dpo, subject, input).unwrap()
    };
    // Some of one instant, in another order than that of the rows.
    let days = [3, 40, 9, 9, 9, 1, 21, 22];
    let all: Vec<_> = days
        .iter()
        .enumerate()
        .map(|(person, days)| came(person, *days))
        .collect();
    let mut expected: Vec<_> = all.iter().map(|one| (one.due.end, one.request)).collect();
    expected.sort();
    let page = |limit, cursor: Option<&str>| {
        case.vault()
            .queue_requests(&dpo, Default::default(), limit, cursor)
            .unwrap()
    };
    for limit in 1..=9 {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = page(limit, cursor.as_deref());
            assert!(page.requests.len() <= limit);
            seen.extend(page.requests.iter().map(|one| (one.due.end, one.request)));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
            assert_eq!(page.requests.len(), limit);
        }
        assert_eq!(seen, expected, "{limit}");
    }
    // The first and the last end, and others come, before and behind: the rest is met once.
    let first = page(3, None);
    let mut seen: Vec<_> = first.requests.iter().map(|one| one.request).collect();
    let cancel = || RequestStep::Cancel { reason: None };
    case.step(expected[0].1, cancel());
    case.step(expected[7].1, cancel());
    came(0, 100);
    let behind = came(1, 0);
    let rest = page(100, first.next.as_deref());
    seen.extend(rest.requests.iter().map(|one| one.request));
    let mut met: Vec<_> = expected[..7].iter().map(|one| one.1).collect();
    met.push(behind.request);
    assert_eq!(seen, met);
    // Closed ones are asked for by their state, and are no others.
    let closed = crate::vault::QueueFilter {
        state: Some(RequestState::Cancelled),
        ..Default::default()
    };
    let closed = case.vault().queue_requests(&dpo, closed, 10, None).unwrap();
    let closed: Vec<_> = closed.requests.iter().map(|one| one.request).collect();
    assert_eq!(closed, [expected[0].1, expected[7].1]);
}

/// Rows of the queue that are in the store, and whether one is of this handle.
fn rows(vault: &Vault) -> usize {
    let snapshot = vault.snapshot().unwrap();
    let keys = snapshot.tx().keys(
        Table::Requests,
        &KeyRange::all(),
        Direction::Ascending,
        usize::MAX,
    );
    keys.unwrap().len()
}

#[test]
fn an_erasure_takes_the_row_and_the_way_to_it() {
    let case = Case::new(2);
    let [ann, bob] = case.scene.people[..] else {
        panic!("two people")
    };
    let request = case.asks(ann, RequestKind::Erase).request;
    let other = case.asks(bob, RequestKind::Access).request;
    assert_eq!(rows(case.vault()), 2);
    let find = |id| crate::request::stored::whose(&case.vault().snapshot().unwrap(), id).is_ok();
    assert!(find(request) && find(other));
    let keyholder = case.vault().keyholder();
    case.vault()
        .erase_subject(&call(&keyholder, None), ann)
        .unwrap();
    assert_eq!(rows(case.vault()), 1);
    assert!(!find(request) && find(other));
    // Nor does a building of the index that is made anew have it.
    case.vault().rebuild_index().unwrap();
    assert!(!find(request) && find(other));
}

#[test]
fn new_keys_of_every_kind_leave_a_request_where_it_was() {
    let case = Case::new(1);
    let ann = case.scene.people[0];
    let request = case.asks(ann, RequestKind::Access).request;
    let keyholder = case.vault().keyholder();
    let by_keyholder = call(&keyholder, None);
    case.vault().begin_rotation(&by_keyholder, true).unwrap();
    case.vault().rotate_on(&mut |_| Onwards::Yes).unwrap();
    let person = Person::find(&case.vault().snapshot().unwrap(), ann).unwrap();
    let lookups = person.keyset.lookups.iter();
    assert_eq!(lookups.filter(|one| one.field == REQUEST_FIELD).count(), 1);
    let view = case.vault().read_request(&call(&case.dpo, None), request);
    assert_eq!(
        view.unwrap().history[0].words.as_deref(),
        Some("canary words")
    );
}

#[test]
fn a_restored_vault_knows_what_came_in_and_what_ended_after_its_backup() {
    let case = Case::new(3);
    let [ann, bob, cas] = case.scene.people[..] else {
        panic!("three people")
    };
    let ended = case.asks(ann, RequestKind::Access);
    let stayed = case.asks(cas, RequestKind::Erase);
    case.scene.back_up(Parts::Both).unwrap();
    case.scene.bench.clock.advance(DAY);
    let came = case.asks(bob, RequestKind::Erase);
    let verified = RequestStep::Verify {
        evidence: "canary evidence".into(),
    };
    case.step(stayed.request, verified);
    case.step(ended.request, RequestStep::Cancel { reason: None });
    let keyholder = case.vault().keyholder();
    case.vault()
        .push_ledger(&call(&keyholder, None), &*case.scene.target)
        .unwrap();

    let (vault, dpo, _locked) = case.restored();
    let read = |id| vault.read_request(&call(&dpo, None), id).unwrap();
    let back = read(came.request);
    assert_eq!(
        (back.state, back.level),
        (RequestState::Received, Level::L1)
    );
    assert_eq!((back.kind, back.due), (RequestKind::Erase, came.due));
    assert_eq!(back.received_at, came.received_at);
    assert!(back.history.iter().all(|step| step.words.is_none()));
    assert_eq!(read(ended.request).state, RequestState::Cancelled);
    // What was verified since has to be verified again.
    assert_eq!(read(stayed.request).state, RequestState::Received);
    let page = vault.queue_requests(&call(&dpo, None), Default::default(), 10, None);
    let open: Vec<RequestId> = page
        .unwrap()
        .requests
        .iter()
        .map(|one| one.request)
        .collect();
    assert_eq!(open.len(), 2);
    assert!(open.contains(&came.request) && open.contains(&stayed.request));
    // Its clock goes on, and it is dealt with as any other.
    let step = RequestStep::Cancel { reason: None };
    let stepped = vault.step_request(&call(&dpo, None), came.request, step);
    assert_eq!(stepped.unwrap().view.state, RequestState::Cancelled);
}

/// What would be lost: two months. The end that the person was told fell back to the first with the next step, and the
/// request could be extended a second time.
#[test]
fn a_restored_vault_keeps_the_end_of_what_was_extended_after_its_backup() {
    let case = Case::new(3);
    let [ann, bob, cas] = case.scene.people[..] else {
        panic!("three people")
    };
    let there = case.asks(ann, RequestKind::Access);
    let control = case.asks(cas, RequestKind::Access);
    case.scene.back_up(Parts::Both).unwrap();
    case.scene.bench.clock.advance(DAY);
    let came = case.asks(bob, RequestKind::Access);
    case.step(there.request, verify());
    let told = [there.request, came.request].map(|id| case.step(id, extend()));
    assert!(told[0].due > there.due && told[1].due > came.due);
    let keyholder = case.vault().keyholder();
    case.vault()
        .push_ledger(&call(&keyholder, None), &*case.scene.target)
        .unwrap();

    let (vault, dpo, _locked) = case.restored();
    let step = |id, step| vault.step_request(&call(&dpo, None), id, step);
    // That it was known who asks is part of how it stands.
    let back = vault
        .read_request(&call(&dpo, None), there.request)
        .unwrap();
    assert_eq!(
        (back.state, back.level),
        (RequestState::Verified, Level::L3)
    );
    for told in &told {
        let asked = step(told.request, RequestStep::AskIdentity { question: None });
        let asked = asked.unwrap().view;
        assert_eq!((asked.due, asked.effective), (told.due, None));
        assert!(
            asked
                .history
                .iter()
                .any(|one| one.step == StepWord::Restored)
        );
        let again = step(told.request, extend());
        assert!(matches!(again, Err(Refusal::Conflict(why)) if why.contains("extended before")));
        case.scene.bench.clock.advance(2 * DAY);
        let known = step(told.request, verify()).unwrap().view;
        assert_eq!(known.due, told.due);
        assert!(
            known.effective.unwrap() > told.due,
            "it was promptly asked for"
        );
    }
    // What was not extended can be, once.
    let due = step(control.request, verify()).unwrap().view.due;
    assert_eq!(due, control.due);
    assert!(step(control.request, extend()).unwrap().view.due > control.due);
    assert!(matches!(
        step(control.request, extend()),
        Err(Refusal::Conflict(_))
    ));
}
