//! Requests of people: reminded of once each, gone with the person, and remembered by a restored vault.

use std::sync::Arc;

use parking_lot::Mutex;

use super::copies::Scene;
use super::*;
use crate::backup::write::Parts;
use crate::commit::View as _;
use crate::keys::system::REQUEST_FIELD;
use crate::person::Person;
use crate::request::{Level, RequestKind, RequestState};
use crate::store::{Direction, KeyRange, Table};
use crate::vault::{
    Alarms, HoneyAlarm, Onwards, RequestAlarm, RequestInput, RequestStep, RequestView,
};

const ROLES: &str = r#"
[roles.deciding]
read = { "*" = "full" }
write = ["*"]
may = ["requests.decide", "subjects.erase", "subjects.export"]

[roles.taking]
may = ["subjects.create", "requests.create"]
"#;
const DAY: i64 = 24 * 3_600_000;

fn input(kind: RequestKind) -> RequestInput {
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

struct Case {
    scene: Scene,
    bot: Principal,
    dpo: Principal,
}

impl Case {
    fn new(people: usize) -> Self {
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

    fn vault(&self) -> &Arc<Vault> {
        &self.scene.bench.vault
    }

    fn asks(&self, subject: SubjectId, kind: RequestKind) -> RequestView {
        let call = call(&self.bot, None);
        self.vault()
            .create_request(&call, subject, input(kind))
            .unwrap()
    }

    fn step(&self, request: RequestId, step: RequestStep) -> RequestView {
        let call = call(&self.dpo, None);
        self.vault()
            .step_request(&call, request, step)
            .unwrap()
            .view
    }
}

/// Whoever is told, and what.
#[derive(Default)]
struct Ears(Mutex<Vec<(RequestId, i32)>>);

impl Alarms for Ears {
    fn honey(&self, _: &HoneyAlarm) {}

    fn emergency(&self, _: &crate::vault::EmergencyAlarm) {}

    fn request(&self, alarm: &RequestAlarm) {
        self.0.lock().push((alarm.request, alarm.days_left));
    }
}

#[test]
fn a_reminder_comes_ten_five_and_one_day_before_the_end_each_once() {
    let case = Case::new(2);
    let ears = Arc::new(Ears::default());
    case.vault().on_alarm(ears.clone());
    let open = case.asks(case.scene.people[0], RequestKind::Access);
    let closed = case.asks(case.scene.people[1], RequestKind::Access);
    case.step(closed.request, RequestStep::Cancel { reason: None });
    let left = |view: &RequestView| {
        let now = case.vault().engine.now().to_zoned(jiff::tz::TimeZone::UTC);
        (view.due.on - now.date()).get_days()
    };
    let mut told = Vec::new();
    for _ in 0..45 {
        // Twice a day, and twice in the same hour.
        for _ in 0..2 {
            for _ in 0..2 {
                case.vault().watch_requests().unwrap();
            }
            case.scene.bench.clock.advance(DAY / 2);
        }
        told = ears.0.lock().clone();
    }
    assert_eq!(
        told,
        [(open.request, 10), (open.request, 5), (open.request, 1)]
    );
    assert!(left(&open) < 0, "the end was passed");
}

#[test]
fn who_was_away_until_four_days_before_the_end_is_reminded_once() {
    let case = Case::new(1);
    let ears = Arc::new(Ears::default());
    case.vault().on_alarm(ears.clone());
    let open = case.asks(case.scene.people[0], RequestKind::Access);
    let now = case.vault().engine.now().to_zoned(jiff::tz::TimeZone::UTC);
    let days = i64::from((open.due.on - now.date()).get_days());
    case.scene.bench.clock.advance((days - 4) * DAY);
    for _ in 0..3 {
        case.vault().watch_requests().unwrap();
        case.scene.bench.clock.advance(3_600_000);
    }
    assert_eq!(*ears.0.lock(), [(open.request, 4)]);
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

    let (_, vault, _locked) = case.scene.restore("restored");
    let keyholder = vault.keyholder();
    let made = vault.create_token(&call(&keyholder, None), "deciding", None);
    let dpo = vault.authenticate(&made.unwrap().1).unwrap();
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
