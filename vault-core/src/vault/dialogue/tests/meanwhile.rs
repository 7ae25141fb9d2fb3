//! What happens between two turns, and what a turn finds that others did before.

use jiff::Timestamp;
use serde_json::json;

use super::world::{Chat, EMAIL, MINUTE, World, hold, phrase, requests, text};
use crate::dialogue::Intent;
use crate::id::{RequestId, SubjectId};
use crate::policy::RestrictionGround;
use crate::request::{Level, RequestKind, RequestState};
use crate::vault::tests::{call, object};
use crate::vault::{DisclosureInput, RequestInput, RequestStep, RequestView, TalkState, TurnReply};

/// A request that staff wrote down: of nobody whom anybody knows, or stating what it is about.
fn taken_down(world: &World, subject: SubjectId, kind: RequestKind) -> RequestId {
    let input = RequestInput {
        kind,
        details: None,
        language: None,
        received_at: None,
        purpose: None,
        ground: (kind == RequestKind::Restrict).then_some(RestrictionGround::Accuracy),
        collections: Vec::new(),
        decision: None,
    };
    let made = world
        .vault()
        .create_request(&call(&world.dpo, None), subject, input)
        .unwrap();
    assert_eq!(made.level, Level::L0);
    made.request
}

fn step(world: &World, request: RequestId, step: RequestStep) {
    let dpo = call(&world.dpo, None);
    world.vault().step_request(&dpo, request, step).unwrap();
}

fn close(world: &World, reply: &TurnReply) {
    let request = reply.request.expect("there is one");
    step(world, request, RequestStep::Cancel { reason: None });
}

fn all(world: &World, subject: SubjectId) -> Vec<RequestView> {
    let dpo = call(&world.dpo, None);
    world.vault().list_requests(&dpo, subject).unwrap()
}

fn there(world: &World, subject: SubjectId) -> bool {
    let dpo = call(&world.dpo, None);
    world.vault().view_subject(&dpo, subject).is_ok()
}

fn is_stale(reply: &TurnReply) -> bool {
    reply.state == TalkState::Idle && text(reply).contains("no longer open")
}

#[test]
fn a_request_that_staff_took_down_is_proved_by_what_proves_it_and_by_nothing_less() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let kinds = [
        (
            RequestKind::Erase,
            "please delete everything you have about me",
        ),
        (RequestKind::Recipients, "who has my data?"),
    ];
    let mut chat = world.chat("jane");
    for (kind, words) in kinds {
        let request = taken_down(&world, jane, kind);
        let reply = chat.say(words);
        assert_eq!(
            reply.request,
            Some(request),
            "the same demand: {}",
            text(&reply)
        );
    }
    let [erasure, recipients] = &all(&world, jane)[..] else {
        panic!("two, and no more");
    };
    assert_eq!(
        (erasure.state, erasure.level),
        (RequestState::Received, Level::L0),
        "their channel is not enough for it"
    );
    assert_eq!(
        (recipients.state, recipients.level),
        (RequestState::Fulfilled, Level::L1)
    );
    let evidence: Vec<&str> = recipients
        .history
        .iter()
        .filter_map(|step| step.words.as_deref())
        .collect();
    assert!(
        evidence.iter().any(|words| words.contains("channel"))
            && evidence.iter().all(|words| !words.contains("code")),
        "none was sent: {evidence:?}"
    );
    chat.say("please delete everything you have about me");
    chat.prove();
    let erasure = &all(&world, jane)[0];
    assert_eq!(
        (erasure.state, erasure.level),
        (RequestState::Verified, Level::L2)
    );
    let last = erasure.history.last().unwrap().words.clone();
    assert!(last.unwrap().contains("a code"), "now there was one");
}

#[test]
fn what_is_said_to_a_request_that_was_closed_meanwhile_is_not_taken_for_passed_on() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut chat = world.chat("jane");
    let asked = chat.say(phrase(Intent::HumanDecision));
    assert_eq!(asked.state, TalkState::Scope, "{}", text(&asked));
    close(&world, &asked);
    let reply = chat.say("the parcel arrived broken");
    assert!(is_stale(&reply), "{}", text(&reply));
    // And where nobody closed it, it stands beside the request.
    chat.say(phrase(Intent::HumanDecision));
    let passed = chat.say("the parcel arrived broken");
    assert_eq!(passed.state, TalkState::QueuedHuman);
    let all = all(&world, jane);
    let words = |at: usize| all[at].history.iter().filter_map(|one| one.words.clone());
    assert!(words(0).all(|words| !words.contains("parcel")));
    assert!(words(1).any(|words| words.contains("parcel")));
}

fn ready_to_delete<'w>(world: &'w World, user: &str) -> (Chat<'w>, TurnReply) {
    let mut chat = world.chat(user);
    chat.say("please delete everything you have about me");
    let asked = chat.prove();
    assert_eq!(asked.state, TalkState::Confirm, "{}", text(&asked));
    (chat, asked)
}

#[test]
fn an_erasure_that_staff_closed_or_doubt_is_not_done_and_its_conversation_can_be_left() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let (mut chat, asked) = ready_to_delete(&world, "jane");
    close(&world, &asked);
    let reply = chat.pick("Delete");
    assert!(is_stale(&reply), "{}", text(&reply));
    assert!(there(&world, jane));
    world.bench.clock.advance(61 * MINUTE);
    let (mut chat, asked) = ready_to_delete(&world, "jane");
    let request = asked.request.unwrap();
    step(&world, request, RequestStep::AskIdentity { question: None });
    let reply = chat.pick("Delete");
    assert_eq!(reply.state, TalkState::QueuedHuman, "{}", text(&reply));
    assert!(there(&world, jane), "somebody doubts that it is she");
    let view = all(&world, jane).pop().unwrap();
    assert_eq!(view.state, RequestState::IdentityPending);
    // Left alone, it is done.
    world.person("john", "john@example.test");
    let (mut chat, _) = ready_to_delete(&world, "john");
    assert_eq!(chat.pick("Delete").state, TalkState::Done);
}

#[test]
fn a_word_that_leaves_a_closed_request_takes_nothing_back_that_was_decided() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let (mut chat, asked) = ready_to_delete(&world, "jane");
    step(
        &world,
        asked.request.unwrap(),
        RequestStep::Refuse {
            code: crate::request::Exemption::ManifestlyUnfounded,
            law: "Art. 12(5) GDPR".into(),
            approver: "dpo".into(),
            reason: "asked for the tenth time".into(),
        },
    );
    let left = chat.say("cancel");
    assert_eq!(left.state, TalkState::Idle);
    assert!(!text(&left).contains("Reference"), "{}", text(&left));
    assert_eq!(requests(&world, jane)[0].1, RequestState::Refused);
}

#[test]
fn no_code_goes_to_an_address_that_is_on_file_no_more() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let support = call(&world.bot, Some("support"));
    let put = |fields| {
        let fields = object(fields);
        let vault = world.vault();
        vault
            .patch_single(&support, jane, "profile", fields, None)
            .unwrap();
    };
    put(json!({"phone": "+31611223344"}));
    let mut chat = world.chat("jane");
    chat.say("please delete everything you have about me");
    let address = chat.labels()[0].to_owned();
    put(json!({"email": null}));
    let again = chat.pick(&address);
    assert_eq!(again.state, TalkState::ChooseAlias, "{}", text(&again));
    assert!(chat.codes.is_empty() && !chat.labels().contains(&&*address));
    let phone = chat.labels()[0].to_owned();
    put(json!({"phone": null}));
    assert_eq!(chat.pick(&phone).state, TalkState::QueuedHuman);
    assert!(chat.codes.is_empty());
    assert_eq!(requests(&world, jane)[0].1, RequestState::ManualIdentity);
}

#[test]
fn what_takes_effect_at_once_is_noted_where_others_read_along_and_done_in_private() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    world.consents(jane);
    let mut chat = world.chat("jane");
    for (words, kind) in [
        (phrase(Intent::Withdraw), RequestKind::Withdraw),
        (phrase(Intent::Object), RequestKind::Object),
    ] {
        chat.private = false;
        let noted = chat.say(words);
        assert!(noted.request.is_some() && noted.due.is_some(), "{words}");
        let last = requests(&world, jane).pop();
        assert_eq!(last, Some((kind, RequestState::Verified, Level::L1)));
        chat.private = true;
        assert_eq!(chat.say(words).state, TalkState::Done);
        let last = requests(&world, jane).pop();
        assert_eq!(last, Some((kind, RequestState::Fulfilled, Level::L1)));
        chat.private = false;
        let before = requests(&world, jane).len();
        assert!(
            chat.say(words).request.is_none(),
            "{words}: there is none left"
        );
        assert_eq!(requests(&world, jane).len(), before);
    }
    assert_eq!(
        requests(&world, jane).len(),
        2,
        "each the same demand twice"
    );
}

fn given(world: &World, subject: SubjectId, field: &str) {
    let giver = world.bench.role("giver");
    let input = DisclosureInput {
        recipient: "carrier".into(),
        purpose: "support".into(),
        fields: vec![field.into()],
        at: None,
    };
    world
        .vault()
        .record_disclosure(&call(&giver, Some("support")), subject, input)
        .unwrap();
}

#[test]
fn whoever_received_nothing_but_what_a_law_keeps_is_not_said_to_be_told() {
    for (field, told) in [("messages.text", false), ("profile.name", true)] {
        let world = World::new();
        let jane = world.person("jane", EMAIL);
        given(&world, jane, field);
        let dpo = call(&world.dpo, None);
        world.vault().put_hold(&dpo, jane, hold()).unwrap();
        let (mut chat, _) = ready_to_delete(&world, "jane");
        let done = chat.pick("Delete");
        assert_eq!(done.state, TalkState::Done);
        assert_eq!(
            text(&done).contains("Carrier GmbH"),
            told,
            "{}",
            text(&done)
        );
    }
}

#[test]
fn whoever_received_a_field_is_told_of_what_stands_there_now_and_not_of_what_never_stood_there() {
    for told in [false, true] {
        let world = World::new();
        let jane = world.person("jane", EMAIL);
        let support = call(&world.bot, Some("support"));
        let vault = world.vault();
        let put = |fields| vault.patch_single(&support, jane, "profile", object(fields), None);
        put(json!({"birth": "1970-01-01"})).unwrap();
        given(&world, jane, "profile.birth");
        put(json!({"birth": null})).unwrap();
        if told {
            put(json!({"birth": "1980-01-02"})).unwrap();
        }
        let mut chat = world.chat("jane");
        chat.say("my name is wrong");
        chat.prove();
        let birth = chat.labels().into_iter().find(|one| one.contains("irth"));
        let birth = birth.expect("it can be corrected").to_owned();
        chat.pick(&birth);
        chat.say("1980-02-03");
        let done = chat.pick("Yes");
        assert_eq!(done.state, TalkState::Done, "{}", text(&done));
        assert_eq!(
            text(&done).contains("Carrier GmbH"),
            told,
            "{}",
            text(&done)
        );
    }
}

#[test]
fn what_is_begun_by_a_choice_has_neither_the_words_nor_the_time_of_what_was_said_before() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    world.consents(jane);
    let john = world.person("john", "john@example.test");
    let mut hers = world.chat("jane");
    hers.say("what do you know about me?");
    hers.say("no more advertising");
    world.bench.clock.advance(MINUTE);
    hers.pick("See my choices");
    let purpose = hers.labels()[0].to_owned();
    hers.pick(&purpose);
    hers.say("what do you know about me?");
    world.bench.clock.advance(MINUTE);
    hers.pick("Correct something");
    let mut his = world.chat("john");
    his.say("please delete everything you have about me");
    his.prove();
    world.bench.clock.advance(MINUTE);
    his.pick("Download first");
    let told = |subject| {
        let all = all(&world, subject);
        let start = all[0].received_at;
        let minutes = move |at: Timestamp| at.duration_since(start).as_mins();
        let first = |one: &RequestView| {
            (
                one.kind,
                one.history[0].words.is_some(),
                minutes(one.received_at),
            )
        };
        all.iter().map(first).collect::<Vec<_>>()
    };
    assert_eq!(
        told(jane),
        [
            (RequestKind::Access, true, 0),
            (RequestKind::Object, true, 0),
            (RequestKind::Withdraw, false, 1),
            (RequestKind::Rectify, false, 2),
        ]
    );
    assert_eq!(
        told(john),
        [
            (RequestKind::Erase, true, 0),
            (RequestKind::Access, false, 1)
        ]
    );
}
