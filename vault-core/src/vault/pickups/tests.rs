//! Links over a vault: given, opened once, ended by everything that ends their request, and told of where somebody
//! tries one again.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;

use super::*;
use crate::commit::View as _;
use crate::export::{Form, Right};
use crate::id::{CallId, SubjectId};
use crate::limits::{CODE_TRIES_MAX, PICKUP_HOURS, PICKUP_TRIES_MAX, PICKUPS_PER_PERSON_MAX};
use crate::policy::SAMPLE;
use crate::request::{Level, RequestKind, RequestState};
use crate::store::{Direction, KeyRange};
use crate::vault::tests::{Bench, call, object};
use crate::vault::{
    Alarms, CodeToSend, EmergencyAlarm, Export, ExportStep, HoneyAlarm, IncidentVector, Nature,
    Principal, RequestAlarm, RequestInput, RequestStep, TurnInput, TurnReply,
};
use crate::verification::AddressKind;

const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 60_000;
const CALL: CallId = CallId::from_bytes([9; 16]);

/// A desk that decides, and may neither export nor write; a clerk that may write addresses; a program that relays.
const ROLES: &str = r#"
[roles.desk]
may = ["requests.decide"]

[roles.clerk]
purposes = ["support"]
read = { "profile.*" = "full" }
write = ["profile.*"]
may = ["requests.decide"]

[roles.phones]
purposes = ["support"]
write = ["profile.email"]
may = ["requests.decide"]

[roles.relay]
may = ["dialogue.relay"]
"#;

#[derive(Default)]
struct Ears(Mutex<Vec<PickupAlarm>>);

impl Alarms for Ears {
    fn honey(&self, _: &HoneyAlarm) {}
    fn emergency(&self, _: &EmergencyAlarm) {}
    fn request(&self, _: &RequestAlarm) {}
    fn unwatched_request(&self, _: RequestId, _: &Refusal) {}

    fn pickup(&self, alarm: &PickupAlarm) {
        self.0.lock().push(alarm.clone());
    }
}

struct World {
    bench: Bench,
    bot: Principal,
    desk: Principal,
    dpo: Principal,
    ears: Arc<Ears>,
}

impl World {
    fn new() -> Self {
        let bench = Bench::of(&format!("{SAMPLE}{ROLES}"));
        let ears = Arc::new(Ears::default());
        bench.vault.on_alarm(ears.clone());
        Self {
            bot: bench.role("bot"),
            desk: bench.role("desk"),
            dpo: bench.role("dpo"),
            bench,
            ears,
        }
    }

    fn vault(&self) -> &Arc<Vault> {
        &self.bench.vault
    }

    fn person(&self, user: &str, profile: serde_json::Value) -> SubjectId {
        let support = call(&self.bot, Some("support"));
        let vault = self.vault();
        let (subject, _) = vault.create_subject(&support, "web", user).unwrap();
        vault
            .patch_single(&support, subject, "profile", object(profile), None)
            .unwrap();
        subject
    }

    fn jane(&self) -> SubjectId {
        let profile =
            json!({"name": "Jane Roe", "email": "jane@example.test", "phone": "+31201234567"});
        self.person("jane", profile)
    }

    /// A request that is known to be its person's.
    fn request(&self, subject: SubjectId, kind: RequestKind) -> RequestId {
        let dpo = call(&self.dpo, None);
        let input = RequestInput {
            kind,
            details: None,
            language: Some("de".into()),
            received_at: None,
            purpose: None,
            ground: None,
            collections: Vec::new(),
            decision: None,
        };
        let view = self.vault().create_request(&dpo, subject, input).unwrap();
        let evidence = "passport".to_owned();
        self.step(view.request, RequestStep::Verify { evidence });
        view.request
    }

    fn step(&self, request: RequestId, step: RequestStep) {
        let dpo = call(&self.dpo, None);
        self.vault().step_request(&dpo, request, step).unwrap();
    }

    fn state(&self, request: RequestId) -> RequestState {
        let dpo = call(&self.dpo, None);
        self.vault().read_request(&dpo, request).unwrap().state
    }

    fn give(&self, who: &Principal, request: RequestId) -> Result<LinkGiven, Refusal> {
        let wanted = PickupInput {
            form: Form::Json,
            sends: AddressKind::ALL.to_vec(),
        };
        self.vault().give_link(&call(who, None), request, wanted)
    }

    /// The token of a link that was given for a request.
    fn link(&self, request: RequestId) -> String {
        token(&self.give(&self.desk, request).unwrap().path)
    }

    fn code(&self, token: &str) -> Option<CodeToSend> {
        let sends = AddressKind::ALL;
        self.vault().send_pickup_code(token, sends, CALL).unwrap()
    }

    fn open(&self, token: &str, code: &str) -> PickedUp {
        self.vault().pick_up(token, code, CALL).unwrap()
    }

    fn opened(&self, token: &str) -> Box<Export> {
        let code = self.code(token).expect("it is sent");
        match self.open(token, &code.code) {
            PickedUp::Opened(export) => export,
            other => panic!("{other:?}"),
        }
    }

    fn rows(&self) -> usize {
        let snapshot = self.vault().snapshot().unwrap();
        let all = KeyRange::all();
        let keys = snapshot
            .tx()
            .keys(Table::Pickups, &all, Direction::Ascending, 1_000);
        keys.unwrap().len()
    }

    /// What the log has of links, oldest first.
    fn noted(&self) -> Vec<(String, String)> {
        let dpo = call(&self.dpo, None);
        let query = crate::vault::AuditQuery {
            last: 1_000,
            ..crate::vault::AuditQuery::default()
        };
        self.vault().sweep(crate::vault::Sweep::Due).unwrap();
        let page = self.vault().audit(&dpo, &query).unwrap();
        let word = |one: &serde_json::Value, name: &str| one[name].as_str().unwrap().to_owned();
        let entries = page.entries.iter().map(|one| &one.entry);
        let mut noted: Vec<_> = entries
            .map(|one| (word(one, "action"), word(one, "outcome")))
            .filter(|(action, _)| action.starts_with("pickup."))
            .collect();
        noted.reverse();
        noted
    }
}

fn token(path: &str) -> String {
    path.strip_prefix(PATH).expect("a link").to_owned()
}

fn another(code: &CodeToSend) -> String {
    let wrong = if code.code.as_str() == "111111" {
        "222222"
    } else {
        "111111"
    };
    wrong.to_owned()
}

fn run(mut export: Box<Export>) -> Result<Vec<u8>, Refusal> {
    let mut all = Vec::new();
    loop {
        let mut part = Vec::new();
        let step = export.step(&mut |bytes| part = bytes)?;
        all.append(&mut part);
        if step == ExportStep::Done {
            return Ok(all);
        }
    }
}

#[test]
fn a_link_opens_once_with_the_code_and_fulfils_its_request_with_all_of_the_package() {
    let world = World::new();
    let jane = world.jane();
    let request = world.request(jane, RequestKind::Access);
    let given = world.give(&world.desk, request).unwrap();
    assert_eq!(given.stepped.view.state, RequestState::InProgress);
    let day = given.expires_at.duration_since(world.vault().engine.now());
    assert_eq!(day.as_hours(), PICKUP_HOURS);
    let link = token(&given.path);
    let code = world.code(&link).expect("it is sent");
    assert_eq!(
        &*code.address, "jane@example.test",
        "mail before telephones"
    );
    assert_eq!(code.language.name(), "de", "as the request says");
    let PickedUp::Opened(export) = world.open(&link, &format!("it is {}", &*code.code)) else {
        panic!("it is the code");
    };
    assert_eq!(world.state(request), RequestState::InProgress);
    assert!(matches!(world.open(&link, &code.code), PickedUp::Again));
    let package: serde_json::Value = serde_json::from_slice(&run(export).unwrap()).unwrap();
    assert_eq!(
        package["complete"], true,
        "of their own they see everything"
    );
    assert!(package.to_string().contains("Jane Roe"));
    assert_eq!(world.state(request), RequestState::Fulfilled);
    let dpo = call(&world.dpo, None);
    let view = world.vault().read_request(&dpo, request).unwrap();
    let last = view.history.last().unwrap();
    assert_eq!((last.by.as_str(), last.level), ("person", Level::L3));
    let noted = world.noted();
    let noted: Vec<_> = noted
        .iter()
        .map(|(a, o)| (a.as_str(), o.as_str()))
        .collect();
    assert_eq!(
        noted,
        [
            ("pickup.give", "ok"),
            ("pickup.code", "ok"),
            ("pickup.open", "ok"),
            ("pickup.again", "conflict"),
        ]
    );
    let figures = world.vault().pickup_figures();
    let expected = PickupFigures {
        given: 1,
        codes: 1,
        wrong: 0,
        opened: 1,
        again: 1,
    };
    assert_eq!(figures, expected);
}

#[test]
fn a_second_use_is_told_and_in_the_register_once_a_link() {
    let world = World::new();
    let jane = world.jane();
    let request = world.request(jane, RequestKind::Portability);
    let link = world.link(request);
    run(world.opened(&link)).unwrap();
    // What has no code in it is no use, and neither is asking for a code.
    assert!(matches!(world.open(&link, ""), PickedUp::No));
    assert!(matches!(world.open(&link, "12345"), PickedUp::No));
    assert!(world.code(&link).is_none());
    assert!(world.ears.0.lock().is_empty());
    for _ in 0..3 {
        assert!(matches!(world.open(&link, "000000"), PickedUp::Again));
    }
    let told = world.ears.0.lock().clone();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].request, request);
    let dpo = call(&world.dpo, None);
    let all = world.vault().list_incidents(&dpo).unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(Some(all[0].incident), told[0].incident);
    assert_eq!(all[0].nature, [Nature::Confidentiality]);
    assert_eq!(all[0].vector, IncidentVector::Link);
    assert!(all[0].summary.contains(&CALL.to_string()));
    assert_eq!(crate::vault::plain::found(&all[0].summary), None);
    assert_eq!(
        world.vault().incidents_waiting().0,
        1,
        "somebody has to look"
    );
    // Another link of the same person is another matter.
    let other = world.request(jane, RequestKind::Access);
    let other = world.link(other);
    run(world.opened(&other)).unwrap();
    assert!(matches!(world.open(&other, "000000"), PickedUp::Again));
    assert_eq!(world.ears.0.lock().len(), 2);
}

#[test]
fn a_link_is_over_after_a_day_and_then_swept() {
    let world = World::new();
    let jane = world.jane();
    let request = world.request(jane, RequestKind::Access);
    let link = world.link(request);
    world.bench.clock.advance(PICKUP_HOURS * HOUR - MINUTE);
    let code = world.code(&link).expect("a minute before");
    world.bench.clock.advance(MINUTE);
    assert!(world.code(&link).is_none());
    assert!(matches!(world.open(&link, &code.code), PickedUp::No));
    world.vault().sweep_pickups().unwrap();
    assert_eq!(world.rows(), 1, "until the hour is over");
    world.bench.clock.advance(2 * HOUR);
    world.vault().sweep_pickups().unwrap();
    assert_eq!(world.rows(), 0);
    assert_eq!(
        world.state(request),
        RequestState::InProgress,
        "somebody looks on"
    );
}

#[test]
fn what_ends_a_request_ends_its_link() {
    let world = World::new();
    let jane = world.jane();
    let end = |link: &str, ends: &dyn Fn()| {
        let code = world.code(link).expect("it is sent");
        ends();
        assert!(world.code(link).is_none());
        assert!(matches!(world.open(link, &code.code), PickedUp::No));
        // Codes of one person are counted together.
        world.bench.clock.advance(2 * HOUR);
    };
    let request = world.request(jane, RequestKind::Access);
    let link = world.link(request);
    end(&link, &|| {
        world.step(request, RequestStep::Cancel { reason: None })
    });
    let request = world.request(jane, RequestKind::Access);
    let link = world.link(request);
    end(&link, &|| {
        world.step(
            request,
            RequestStep::Refuse {
                code: crate::request::Exemption::ALL[0],
                law: "a law".into(),
                approver: "the officer".into(),
                reason: "a reason".into(),
            },
        );
    });
    // Another link for the same request takes the place of the first.
    let request = world.request(jane, RequestKind::Access);
    let link = world.link(request);
    end(&link, &|| drop(world.link(request)));
    // An erasure takes the link with the keys.
    let link = world.link(request);
    let rows = world.rows();
    assert!(rows > 0);
    end(&link, &|| {
        let dpo = call(&world.dpo, None);
        world.vault().erase_subject(&dpo, jane).unwrap();
    });
    world.vault().sweep(crate::vault::Sweep::All).unwrap();
    assert_eq!(world.rows(), 0);
}

#[test]
fn a_request_that_is_taken_back_meanwhile_gets_no_last_part() {
    let world = World::new();
    let jane = world.jane();
    let request = world.request(jane, RequestKind::Access);
    let export = world.opened(&world.link(request));
    world.step(request, RequestStep::Cancel { reason: None });
    assert!(run(export).is_err());
    assert_eq!(world.state(request), RequestState::Cancelled);
}

#[test]
fn wrong_codes_end_the_code_and_many_of_them_the_link() {
    let world = World::new();
    let jane = world.jane();
    let request = world.request(jane, RequestKind::Access);
    let link = world.link(request);
    for codes in 1..=PICKUP_TRIES_MAX / CODE_TRIES_MAX {
        let code = world.code(&link).expect("it is sent");
        for _ in 0..CODE_TRIES_MAX {
            assert!(matches!(world.open(&link, &another(&code)), PickedUp::No));
        }
        assert!(
            matches!(world.open(&link, &code.code), PickedUp::No),
            "{codes}"
        );
    }
    // After an hour codes could be sent again; for this link none is.
    world.bench.clock.advance(HOUR + MINUTE);
    assert!(world.code(&link).is_none());
    assert!(
        world.code(&world.link(request)).is_some(),
        "another link is another"
    );
    let wrong = world.vault().pickup_figures().wrong;
    assert_eq!(wrong, u64::from(PICKUP_TRIES_MAX));
}

#[test]
fn codes_of_others_and_of_another_link_open_nothing() {
    let world = World::new();
    let jane = world.jane();
    let profile = json!({"name": "Eve", "email": "eve@example.test"});
    let eve = world.person("eve", profile);
    let first = world.link(world.request(jane, RequestKind::Access));
    let second = world.link(world.request(jane, RequestKind::Portability));
    let eves = world.link(world.request(eve, RequestKind::Access));
    let own = world.code(&first).expect("it is sent");
    let other = world.code(&second).expect("it is sent");
    let hers = world.code(&eves).expect("it is sent");
    assert_eq!(&*hers.address, "eve@example.test");
    for wrong in [&other, &hers] {
        // One in a million they are the same digits.
        if wrong.code != own.code {
            assert!(matches!(world.open(&first, &wrong.code), PickedUp::No));
        }
    }
    assert!(matches!(world.open(&first, &own.code), PickedUp::Opened(_)));
}

#[test]
fn nobodys_token_gets_no_code_opens_nothing_and_is_not_noted() {
    let world = World::new();
    world.jane();
    let nobody = "A".repeat(43);
    for token in [nobody.as_str(), "", "ä", &"A".repeat(44)] {
        assert!(world.code(token).is_none());
        assert!(matches!(world.open(token, "123456"), PickedUp::No));
    }
    assert!(world.noted().is_empty());
    assert_eq!(world.vault().pickup_figures(), PickupFigures::default());
}

#[test]
fn no_more_codes_go_out_than_a_person_gets_in_an_hour_whoever_asks() {
    let world = World::new();
    let jane = world.jane();
    let link = world.link(world.request(jane, RequestKind::Access));
    for _ in 0..crate::limits::CODES_PER_HOUR_MAX {
        assert!(world.code(&link).is_some());
    }
    assert!(world.code(&link).is_none());
    let other = world.link(world.request(jane, RequestKind::Portability));
    assert!(
        world.code(&other).is_none(),
        "another link is the same person's"
    );
    world.bench.clock.advance(HOUR + MINUTE);
    assert!(world.code(&link).is_some());
}

#[test]
fn whoever_could_change_where_the_code_goes_gives_no_link() {
    let world = World::new();
    let jane = world.jane();
    let request = world.request(jane, RequestKind::Access);
    let clerk = world.bench.role("clerk");
    let refused = world.give(&clerk, request).unwrap_err();
    assert!(matches!(refused, Refusal::Conflict(_)), "{refused:?}");
    // An address that they may not change is as good.
    let phones = world.bench.role("phones");
    let link = token(&world.give(&phones, request).unwrap().path);
    let code = world.code(&link).expect("it is sent");
    assert_eq!(code.kind, AddressKind::Phone);
    // Nobody else's role gives one at all.
    let refused = world.give(&world.bot, request).unwrap_err();
    assert!(matches!(refused, Refusal::RoleDenied(_)), "{refused:?}");
}

#[test]
fn a_link_needs_the_right_request_an_address_and_room() {
    let world = World::new();
    let jane = world.jane();
    let other = world.request(jane, RequestKind::Rectify);
    let refused = world.give(&world.desk, other).unwrap_err();
    assert!(matches!(refused, Refusal::Invalid(_)), "{refused:?}");
    let nameless = world.person("nameless", json!({"name": "Nobody"}));
    let request = world.request(nameless, RequestKind::Access);
    let refused = world.give(&world.desk, request).unwrap_err();
    assert!(matches!(refused, Refusal::Conflict(_)), "{refused:?}");
    assert_eq!(
        world.state(request),
        RequestState::Verified,
        "nothing was done"
    );
    for _ in 0..PICKUPS_PER_PERSON_MAX {
        let request = world.request(jane, RequestKind::Access);
        world.link(request);
    }
    let request = world.request(jane, RequestKind::Access);
    let refused = world.give(&world.desk, request).unwrap_err();
    assert!(matches!(refused, Refusal::TooLarge(_)), "{refused:?}");
    world.bench.clock.advance((PICKUP_HOURS + 2) * HOUR);
    world.vault().sweep_pickups().unwrap();
    world.link(request);
    // One that nobody has proved to be their person's.
    let dpo = call(&world.dpo, None);
    let input = RequestInput {
        kind: RequestKind::Access,
        details: None,
        language: None,
        received_at: None,
        purpose: None,
        ground: None,
        collections: Vec::new(),
        decision: None,
    };
    let unproved = world.vault().create_request(&dpo, jane, input).unwrap();
    let refused = world.give(&world.desk, unproved.request).unwrap_err();
    assert!(matches!(refused, Refusal::Conflict(_)), "{refused:?}");
}

#[test]
fn a_link_outlives_the_key_that_gave_it_and_new_keys_of_its_person() {
    let world = World::new();
    let jane = world.jane();
    let request = world.request(jane, RequestKind::Access);
    let link = world.link(request);
    world
        .vault()
        .engine
        .submit(move |txn| {
            let mut person = crate::person::Person::find(txn, jane)?;
            crate::rotation::whole(txn, &mut person)
        })
        .unwrap();
    run(world.opened(&link)).unwrap();
    assert_eq!(world.state(request), RequestState::Fulfilled);
}

/// A chat of Jane's.
struct Chat<'w> {
    world: &'w World,
    relay: Principal,
    said: u32,
    links: bool,
    private: bool,
    codes: Vec<CodeToSend>,
}

impl<'w> Chat<'w> {
    fn new(world: &'w World) -> Self {
        Self {
            world,
            relay: world.bench.role("relay"),
            said: 0,
            links: true,
            private: true,
            codes: Vec::new(),
        }
    }

    fn send(&mut self, text: Option<String>, choice: Option<String>) -> TurnReply {
        self.said += 1;
        let input = TurnInput {
            channel: "web".into(),
            user: "jane".into(),
            conversation: None,
            message: format!("m{}", self.said),
            text,
            choice,
            locale: Some("en".into()),
            intent: None,
            private: self.private,
            sends: AddressKind::ALL.to_vec(),
            links: self.links,
        };
        let relay = call(&self.relay, None);
        let turned = self.world.vault().dialogue_turn(&relay, &input).unwrap();
        self.codes.extend(turned.codes);
        turned.reply
    }

    fn say(&mut self, text: &str) -> TurnReply {
        self.send(Some(text.into()), None)
    }

    fn pick(&mut self, reply: &TurnReply, label: &str) -> TurnReply {
        let mut choices = reply.messages.iter().flat_map(|one| &one.choices);
        let choice = choices.find(|choice| choice.label == label);
        let id = choice.unwrap_or_else(|| panic!("no {label}")).id.clone();
        self.send(None, Some(id))
    }

    /// Asks for something, and proves who asks.
    fn proved(&mut self, text: &str) -> TurnReply {
        let reply = self.say(text);
        let first = reply.messages.last().unwrap().choices[0].label.clone();
        self.pick(&reply, &first);
        let code = self.codes.pop().expect("it is sent").code.to_string();
        self.say(&code)
    }
}

fn link_of(reply: &TurnReply) -> Option<String> {
    let link = reply.messages.last()?.link.as_ref()?;
    Some(token(link))
}

fn words(reply: &TurnReply) -> String {
    let texts = reply.messages.iter().map(|one| one.text.as_str());
    texts.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_conversation_gives_the_link_at_once_and_only_with_a_code_and_in_private() {
    let world = World::new();
    let jane = world.jane();
    let mut chat = Chat::new(&world);
    chat.private = false;
    let reply = chat.say("download my data");
    assert!(link_of(&reply).is_none(), "others read along");
    chat.private = true;
    let reply = chat.proved("download my data");
    assert!(link_of(&reply).is_none());
    let reply = chat.pick(&reply, "JSON");
    let text = words(&reply);
    assert!(text.contains("once") && text.contains("24 hours"), "{text}");
    assert!(
        text.contains("j•••@e•••") && !text.contains("jane@"),
        "{text}"
    );
    let link = link_of(&reply).expect("a link");
    assert_eq!(reply.state, crate::vault::TalkState::Done);
    let package = run(world.opened(&link)).unwrap();
    let package: serde_json::Value = serde_json::from_slice(&package).unwrap();
    assert_eq!(package["right"], Right::Portability.name());
    assert_eq!(world.state(reply.request.unwrap()), RequestState::Fulfilled);
    assert_eq!(world.vault().pickup_figures().given, 1);
    let ledger = world.noted();
    assert_eq!(
        ledger.first().map(|(action, _)| action.as_str()),
        Some("pickup.code")
    );
    let _ = jane;
}

#[test]
fn the_same_demand_again_gives_another_link_for_the_same_request_and_ends_the_first() {
    let world = World::new();
    world.jane();
    let mut chat = Chat::new(&world);
    let reply = chat.proved("download my data");
    let first = chat.pick(&reply, "CSV");
    let again = chat.say("download my data");
    let again = chat.pick(&again, "CSV");
    assert_eq!(again.request, first.request);
    let (old, new) = (link_of(&first).unwrap(), link_of(&again).unwrap());
    assert_ne!(old, new);
    let code = world.code(&new).expect("it is sent");
    assert!(world.code(&old).is_none());
    // What broke off is asked for again, and the link that was opened is noticed all the same.
    drop(world.open(&new, &code.code));
    let third = chat.say("download my data");
    let third = chat.pick(&third, "CSV");
    assert_eq!(third.request, first.request);
    assert!(matches!(world.open(&new, &code.code), PickedUp::Again));
    world.bench.clock.advance(2 * HOUR);
    run(world.opened(&link_of(&third).unwrap())).unwrap();
    assert_eq!(world.state(first.request.unwrap()), RequestState::Fulfilled);
}

#[test]
fn who_is_shown_their_values_downloads_everything_and_what_is_said_after_does_not_end_the_link() {
    let world = World::new();
    world.jane();
    let mut chat = Chat::new(&world);
    let reply = chat.say("what do you know about me?");
    let reply = chat.pick(&reply, "Verify");
    let first = reply.messages.last().unwrap().choices[0].label.clone();
    chat.pick(&reply, &first);
    let code = chat.codes.pop().expect("it is sent").code.to_string();
    let shown = chat.say(&code);
    let reply = chat.pick(&shown, "Download everything");
    let link = link_of(&reply).expect("a link");
    let again = chat.say("what do you know about me?");
    assert_eq!(again.request, reply.request);
    chat.pick(&again, "That is enough");
    assert_eq!(
        world.state(reply.request.unwrap()),
        RequestState::InProgress
    );
    let package = run(world.opened(&link)).unwrap();
    assert!(package.starts_with(b"PK"), "a ZIP");
    assert_eq!(world.state(reply.request.unwrap()), RequestState::Fulfilled);
}

#[test]
fn without_links_a_copy_waits_for_somebody() {
    let world = World::new();
    world.jane();
    let mut chat = Chat::new(&world);
    chat.links = false;
    let reply = chat.proved("download my data");
    let reply = chat.pick(&reply, "JSON");
    assert!(link_of(&reply).is_none());
    assert_eq!(
        world.state(reply.request.unwrap()),
        RequestState::AwaitingHuman
    );
    assert_eq!(reply.state, crate::vault::TalkState::QueuedHuman);
    assert_eq!(world.rows(), 0);
}
