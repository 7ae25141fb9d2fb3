//! Some of it is erased, and the rest stays.

use super::world::{Chat, EMAIL, MINUTE, World, hold, requests, text};
use crate::audit::checkpoint::VerifierKey;
use crate::dialogue::Intent;
use crate::id::RequestId;
use crate::refusal::Refusal;
use crate::request::{Level, RequestKind, RequestState};
use crate::vault::tests::call;
use crate::vault::{
    HoldInput, ReadOptions, RequestInput, RequestStep, SubjectId, TalkState, TurnInput, TurnReply,
};

const DEMAND: &str = "please delete everything you have about me";
const SOME: &str = "Only some of it";

/// What is on a choice that stands for the profile, or for the messages.
fn label(chat: &Chat<'_>, profile: bool) -> String {
    let known = ["That is all", "Keep"];
    let labels = chat.labels().into_iter();
    let mut parts = labels.filter(|one| !known.contains(one));
    let found = parts.find(|one| one.contains("mail") == profile);
    found.expect("it is offered").to_owned()
}

/// Somebody who is known by a code and has chosen one of two collections.
fn chosen<'w>(world: &'w World, user: &str, profile: bool) -> Chat<'w> {
    let mut chat = world.chat(user);
    chat.say(DEMAND);
    chat.prove();
    assert_eq!(chat.labels(), ["Delete", "Keep", "Download first", SOME]);
    assert_eq!(chat.pick(SOME).state, TalkState::Scope);
    assert_eq!(chat.labels().len(), 3, "{:?}", chat.labels());
    let part = label(&chat, profile);
    let asked = chat.pick(&part);
    assert_eq!(asked.state, TalkState::Scope);
    assert!(!chat.labels().contains(&part.as_str()));
    chat
}

fn confirmed<'w>(world: &'w World, user: &str, profile: bool) -> (Chat<'w>, TurnReply) {
    let mut chat = chosen(world, user, profile);
    let confirm = chat.pick("That is all");
    assert_eq!(confirm.state, TalkState::Confirm, "{}", text(&confirm));
    assert_eq!(chat.labels(), ["Delete", "Keep", "Download first"]);
    (chat, confirm)
}

/// How many records there are of the profile and of messages.
fn records(world: &World, subject: SubjectId) -> [u64; 2] {
    let dpo = call(&world.dpo, None);
    let view = world.vault().view_subject(&dpo, subject).unwrap();
    ["profile", "messages"].map(|name| {
        let mut all = view.collections.iter();
        all.find(|one| one.collection == name).unwrap().records
    })
}

fn request(world: &World, subject: SubjectId) -> (RequestId, Vec<String>) {
    let dpo = call(&world.dpo, None);
    let all = world.vault().list_requests(&dpo, subject).unwrap();
    (all[0].request, all[0].collections.clone())
}

#[test]
fn what_was_chosen_goes_with_a_receipt_and_the_rest_and_the_person_stay() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let (mut chat, confirm) = confirmed(&world, "jane", false);
    assert!(text(&confirm).contains("Entries: 2"), "{}", text(&confirm));
    assert!(text(&confirm).contains("cannot be undone"));
    for word in ["yes", "delete", "delete my messages now"] {
        assert_eq!(chat.say(word).state, TalkState::Confirm, "{word}");
    }
    assert_eq!(records(&world, jane), [1, 2]);
    let done = chat.pick("Delete");
    assert_eq!(done.state, TalkState::Done, "{}", text(&done));
    assert_eq!(records(&world, jane), [1, 0]);
    for said in [
        "This is deleted here",
        "rcp_",
        "This stays",
        "E-mail",
        "Answering your questions",
        "Autoriteit Persoonsgegevens",
    ] {
        let here = text(&done).to_lowercase().contains(&said.to_lowercase());
        assert!(here, "{said}: {}", text(&done));
    }
    assert_eq!(
        requests(&world, jane),
        [(RequestKind::Erase, RequestState::Fulfilled, Level::L2)]
    );
    assert_eq!(request(&world, jane).1, ["messages"]);
    // They are known here as before, and by their address.
    let support = call(&world.bot, Some("support"));
    let found = world.vault().lookup_channel(&support, "web", "jane");
    assert_eq!(found.unwrap(), jane);
    let email = serde_json::json!(EMAIL);
    let found = world
        .vault()
        .lookup_field(&support, "profile.email", &email);
    assert_eq!(found.unwrap(), jane);
    // What is written from now on is kept anew.
    let message = crate::vault::tests::object(serde_json::json!({"text": "hello again"}));
    world
        .vault()
        .append(&support, jane, "messages", vec![message])
        .unwrap();
    assert_eq!(records(&world, jane), [1, 1]);
}

/// A request for the erasure of these collections, as staff take it down.
fn some(collections: &[&str]) -> RequestInput {
    RequestInput {
        kind: RequestKind::Erase,
        details: None,
        language: None,
        received_at: None,
        purpose: None,
        ground: None,
        collections: collections.iter().map(ToString::to_string).collect(),
        decision: None,
    }
}

#[test]
fn what_a_law_keeps_of_it_stays_and_a_request_for_nothing_else_is_not_carried_out() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let dpo = call(&world.dpo, None);
    world.vault().put_hold(&dpo, jane, hold()).unwrap();
    let decided = |collections: &[&str]| {
        let vault = world.vault();
        let input = some(collections);
        let request = vault.create_request(&dpo, jane, input).unwrap().request;
        let evidence = "known by voice".into();
        vault
            .step_request(&dpo, request, RequestStep::Verify { evidence })
            .unwrap();
        let confirmation = vault.confirm_request(&dpo, request, None).unwrap();
        let approve = RequestStep::Approve {
            confirmation: Some(confirmation.confirmation),
            correction: None,
            answer: None,
        };
        vault.step_request(&dpo, request, approve)
    };
    let refused = decided(&["messages"]);
    assert!(
        matches!(&refused, Err(Refusal::Conflict(why)) if why.contains("hold")),
        "{refused:?}"
    );
    assert_eq!(records(&world, jane), [1, 2]);
    let done = decided(&["messages", "profile"]).unwrap();
    assert_eq!(done.view.state, RequestState::PartlyFulfilled);
    assert_eq!(done.view.kept[0].collections, ["messages"]);
    let body = &done.receipt.unwrap()["body"];
    assert_eq!(body["kept"][0]["collection"], "messages");
    assert_eq!(
        body["collections"],
        serde_json::json!([{"collection": "profile", "records": 1}])
    );
    assert_eq!(records(&world, jane), [0, 2]);
}

#[test]
fn the_receipt_says_which_collections_and_verifies_with_the_logs_key_alone() {
    use crate::audit::receipt::{self, Opened};
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let dpo = call(&world.dpo, None);
    let input = some(&["messages"]);
    let made = world.vault().create_request(&dpo, jane, input).unwrap();
    let step = |step| world.vault().step_request(&dpo, made.request, step);
    step(RequestStep::Verify {
        evidence: "known by voice".into(),
    })
    .unwrap();
    let confirmation = world
        .vault()
        .confirm_request(&dpo, made.request, None)
        .unwrap();
    let told = confirmation.consequences.join("; ");
    assert!(told.contains("in messages is erased"), "{told}");
    let done = step(RequestStep::Approve {
        confirmation: Some(confirmation.confirmation),
        correction: None,
        answer: None,
    })
    .unwrap();
    assert_eq!(done.view.state, RequestState::Fulfilled);
    assert_eq!(records(&world, jane), [1, 0]);
    let document = done.receipt.expect("a receipt");
    let body = &document["body"];
    assert_eq!(body["scope"], "collections");
    assert_eq!(
        body["collections"],
        serde_json::json!([{"collection": "messages", "records": 2}])
    );
    assert_eq!(body["kept"], serde_json::json!([]));
    let key = VerifierKey::parse(&world.vault().log_key().unwrap()).unwrap();
    let verified = receipt::verify(&document, &key).expect("it stands");
    assert_eq!(verified.opened, Some(Opened::Subject(jane)));
    let mut other = document.clone();
    other["body"]["collections"][0]["collection"] = serde_json::json!("profile");
    assert!(receipt::verify(&other, &key).is_err(), "of another body");
    let mut without = document;
    without["body"]
        .as_object_mut()
        .unwrap()
        .remove("collections");
    assert!(receipt::verify(&without, &key).is_err(), "of no form");
}

#[test]
fn nothing_of_what_is_gone_is_said_again_and_nothing_lies_under_the_keys_of_before() {
    use crate::commit::View as _;
    use crate::person::Person;
    use crate::store::{Direction, KeyRange, Table};
    use crate::talk::stored;
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut elsewhere = world.chat("jane");
    let asked = TurnInput {
        conversation: Some("another".into()),
        text: Some("what do you know about me?".into()),
        ..elsewhere.input()
    };
    elsewhere.send(&asked).unwrap();
    let mut chat = world.chat("jane");
    chat.said = 100;
    chat.say("what do you know about me?");
    chat.pick("Verify");
    let shown = chat.prove();
    assert!(text(&shown).contains("Jane Roe"));
    let keys = |world: &World| {
        let snapshot = world.vault().snapshot().unwrap();
        let person = Person::find(&snapshot, jane).unwrap();
        let handle = person.entry.handle;
        let talks = snapshot
            .tx()
            .range(
                Table::Dialogues,
                &KeyRange::prefix(handle.as_bytes()),
                Direction::Ascending,
                10,
            )
            .unwrap();
        let name = stored::name(&person, "web", None);
        let own = stored::load(&snapshot, &person, &name).unwrap().unwrap();
        let answered = own.answered.iter();
        let answered = answered.filter(|one| !one.reply.messages.is_empty());
        let numbers = person.keyset.keys.iter().map(|dek| dek.number);
        (
            numbers.min().unwrap(),
            person.keyset.highest(),
            talks.len(),
            answered.count(),
        )
    };
    let (_, highest, talks, answered) = keys(&world);
    assert!(talks == 2 && answered > 3);
    chat.say(DEMAND);
    chat.pick(SOME);
    let part = label(&chat, true);
    chat.pick(&part);
    chat.pick("That is all");
    let done = TurnInput {
        choice: Some(chat.id("Delete")),
        ..chat.input()
    };
    let answer = chat.send(&done).unwrap();
    assert_eq!(answer.state, TalkState::Done, "{}", text(&answer));
    let (lowest, _, talks, answered) = keys(&world);
    assert!(lowest > highest, "every key is new");
    assert_eq!((talks, answered), (2, 1), "the last answer alone");
    assert_eq!(chat.send(&done).unwrap(), answer, "the same message again");
    // Whoever sends an older one is not told what it was answered.
    let older = TurnInput {
        message: "m101".into(),
        choice: None,
        text: Some("what do you know about me?".into()),
        ..chat.input()
    };
    let again = chat.send(&older).unwrap();
    assert!(again.handled && again.messages.is_empty());
    assert_eq!(records(&world, jane), [0, 2]);
}

#[test]
fn a_message_of_before_that_comes_again_asks_for_nothing_anew() {
    // On the channel that they are known on, and on another where a code proved them.
    for user in ["jane", "elsewhere"] {
        let world = World::new();
        let jane = world.person("jane", EMAIL);
        let mut chat = world.chat(user);
        let first = TurnInput {
            text: Some(DEMAND.into()),
            ..chat.input()
        };
        chat.send(&first).unwrap();
        match user {
            "jane" => drop(chat.prove()),
            _ => {
                chat.say(EMAIL);
                chat.code();
            }
        }
        chat.pick(SOME);
        let part = label(&chat, false);
        chat.pick(&part);
        chat.pick("That is all");
        assert_eq!(chat.pick("Delete").state, TalkState::Done);
        let again = chat.send(&first).unwrap();
        assert!(again.handled && again.messages.is_empty(), "{user}");
        assert_eq!(requests(&world, jane).len(), 1, "{user}");
        let other = TurnInput {
            text: Some("something else".into()),
            ..first
        };
        let refused = chat.send(&other);
        assert!(matches!(refused, Err(Refusal::IdempotencyMismatch)));
        // The same words in a message of now are asked.
        chat.say(DEMAND);
        assert_eq!(requests(&world, jane).len(), 2, "{user}");
    }
}

/// Has a request approved as it stands, by whoever deals with requests.
fn approved(world: &World, request: RequestId) -> Result<(), Refusal> {
    let dpo = call(&world.dpo, None);
    let confirmation = world.vault().confirm_request(&dpo, request, None)?;
    approve(world, request, &confirmation.confirmation)
}

fn approve(world: &World, request: RequestId, confirmation: &str) -> Result<(), Refusal> {
    let dpo = call(&world.dpo, None);
    let approve = RequestStep::Approve {
        confirmation: Some(confirmation.to_owned()),
        correction: None,
        answer: None,
    };
    let done = world.vault().step_request(&dpo, request, approve);
    done.map(drop)
}

/// Where somebody turns in the middle of it.
type Exit = fn(&World, &mut Chat<'_>);

const EXITS: [Exit; 3] = [
    |_, _| {},
    |world, _| world.bench.clock.advance(16 * MINUTE),
    |_, chat| drop(chat.say(super::world::phrase(Intent::Recipients))),
];

#[test]
fn wherever_they_turn_next_nobody_erases_more_than_they_chose() {
    let copy: Exit = |_, chat| drop(chat.pick("Download first"));
    let exits = EXITS.iter().chain([&copy]).enumerate();
    for (number, exit) in exits {
        for confirms in [false, true] {
            if !confirms && number == EXITS.len() {
                // Not offered yet.
                continue;
            }
            let world = World::new();
            let jane = world.person("jane", EMAIL);
            let mut chat = match confirms {
                true => confirmed(&world, "jane", false).0,
                false => chosen(&world, "jane", false),
            };
            exit(&world, &mut chat);
            let (request, collections) = request(&world, jane);
            assert_eq!(collections, ["messages"], "{number}");
            approved(&world, request).unwrap();
            assert_eq!(records(&world, jane), [1, 0], "{number}");
        }
    }
}

#[test]
fn some_of_it_that_nobody_named_is_approved_for_nothing() {
    let human: Exit = |_, chat| drop(chat.say("a human"));
    for (number, exit) in EXITS.iter().chain([&human]).enumerate() {
        let world = World::new();
        let jane = world.person("jane", EMAIL);
        let mut chat = world.chat("jane");
        chat.say(DEMAND);
        chat.prove();
        chat.pick(SOME);
        exit(&world, &mut chat);
        let (request, collections) = request(&world, jane);
        assert_eq!(collections, ["#0"], "{number}");
        let refused = approved(&world, request);
        assert!(
            matches!(&refused, Err(Refusal::Conflict(why)) if why.contains("which collections")),
            "{number}: {refused:?}"
        );
        assert_eq!(records(&world, jane), [1, 2]);
        // Nor by whoever heard an answer and sends it in no form that says which.
        let dpo = call(&world.dpo, None);
        let step = |step| world.vault().step_request(&dpo, request, step);
        let question = "which of it?".into();
        step(RequestStep::AskClarification { question }).unwrap();
        let answer = "the messages".into();
        step(RequestStep::Clarify { answer }).unwrap();
        assert!(approved(&world, request).is_err(), "{number}");
        assert_eq!(records(&world, jane), [1, 2]);
    }
}

#[test]
fn a_confirmation_of_what_they_said_before_is_none_of_what_they_say_now() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut chat = world.chat("jane");
    chat.say(DEMAND);
    chat.prove();
    let request = request(&world, jane).0;
    let given = || {
        let dpo = call(&world.dpo, None);
        let given = world.vault().confirm_request(&dpo, request, None);
        given.unwrap().confirmation
    };
    let everything = given();
    chat.pick(SOME);
    assert!(approve(&world, request, &everything).is_err());
    let part = label(&chat, false);
    chat.pick(&part);
    let messages = given();
    let part = label(&chat, true);
    chat.pick(&part);
    for before in [&everything, &messages] {
        assert!(approve(&world, request, before).is_err());
    }
    assert_eq!(records(&world, jane), [1, 2]);
    approve(&world, request, &given()).unwrap();
    assert_eq!(records(&world, jane), [0, 0]);
}

fn open(world: &World, subject: SubjectId) -> Vec<(RequestId, Vec<String>)> {
    let dpo = call(&world.dpo, None);
    let all = world.vault().list_requests(&dpo, subject).unwrap();
    let open = all.into_iter().filter(|one| !one.state.is_closed());
    open.map(|one| (one.request, one.collections)).collect()
}

#[test]
fn a_demand_for_everything_is_not_taken_for_one_for_less() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let dpo = call(&world.dpo, None);
    let asked = some(&["messages"]);
    let letter = world.vault().create_request(&dpo, jane, asked).unwrap();
    let (letter, messages) = (letter.request, vec!["messages".to_owned()]);
    let (mut chat, _) = confirmed(&world, "jane", false);
    let first = open(&world, jane)[1].0;
    chat.pick("Download first");
    let again = chat.say(DEMAND);
    assert_eq!(again.state, TalkState::Confirm, "{}", text(&again));
    let second = again.request.expect("taken down");
    let all = open(&world, jane);
    for one in [
        (letter, messages.clone()),
        (first, messages.clone()),
        (second, Vec::new()),
    ] {
        assert!(all.contains(&one), "{all:?}");
    }
    // And the same demand once more is the same request.
    chat.say(super::world::phrase(Intent::Status));
    assert_eq!(chat.say(DEMAND).request, Some(second));
    // Once it is done what asked for no more than that ends, but for what staff took down.
    chat.pick(SOME);
    let part = label(&chat, false);
    chat.pick(&part);
    chat.pick("That is all");
    assert_eq!(chat.pick("Delete").state, TalkState::Done);
    assert_eq!(records(&world, jane), [1, 0]);
    let left: Vec<RequestId> = open(&world, jane).into_iter().map(|one| one.0).collect();
    assert!(left.contains(&letter), "{left:?}");
    assert!(!left.contains(&first) && !left.contains(&second));
}

#[test]
fn a_human_is_told_what_was_said_where_the_human_was_asked_for() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut everything = world.chat("jane");
    everything.say(DEMAND);
    everything.prove();
    // The same request in another conversation.
    let mut less = world.chat("elsewhere");
    less.say(DEMAND);
    less.say(EMAIL);
    less.code();
    less.pick(SOME);
    let part = label(&less, false);
    less.pick(&part);
    let one = request(&world, jane).0;
    assert_eq!(open(&world, jane), [(one, vec!["messages".to_owned()])]);
    everything.say("a human");
    assert_eq!(open(&world, jane), [(one, Vec::new())]);
    less.say("a human");
    assert_eq!(open(&world, jane), [(one, vec!["messages".to_owned()])]);
}

#[test]
fn whoever_leaves_in_the_middle_erases_nothing() {
    for (last, state) in [("cancel", TalkState::Idle), ("no", TalkState::Done)] {
        let world = World::new();
        let jane = world.person("jane", EMAIL);
        let (mut chat, _) = confirmed(&world, "jane", true);
        let delete = chat.id("Delete");
        assert_eq!(chat.say(last).state, state);
        let input = TurnInput {
            choice: Some(delete),
            ..chat.input()
        };
        chat.send(&input).unwrap();
        assert_eq!(records(&world, jane), [1, 2]);
        assert_eq!(requests(&world, jane)[0].1, RequestState::Cancelled);
    }
    // Nor whoever is silent for a quarter of an hour.
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let (mut chat, _) = confirmed(&world, "jane", true);
    world.bench.clock.advance(15 * MINUTE);
    chat.pick("Delete");
    assert_eq!(records(&world, jane), [1, 2]);
}

#[test]
fn a_choice_of_an_older_message_or_of_somebody_else_chooses_nothing() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let john = world.person("john", "john@example.test");
    let mut chat = chosen(&world, "jane", false);
    let (all, profile) = (chat.id("That is all"), chat.id(&label(&chat, true)));
    let mut his = chosen(&world, "john", true);
    for choice in [&all, &profile] {
        let input = TurnInput {
            choice: Some(choice.clone()),
            ..his.input()
        };
        let reply = his.send(&input).unwrap();
        assert_eq!(reply.state, TalkState::Scope, "{}", text(&reply));
    }
    // Of an older message: what is shown last is what is chosen.
    chat.say("help");
    for choice in [all, profile] {
        let input = TurnInput {
            choice: Some(choice),
            ..chat.input()
        };
        assert_eq!(chat.send(&input).unwrap().state, TalkState::Scope);
    }
    let confirm = chat.pick("That is all");
    assert!(!text(&confirm).contains("Entries: 1"), "{}", text(&confirm));
    assert_eq!(records(&world, jane), [1, 2]);
    assert_eq!(records(&world, john), [1, 2]);
}

#[test]
fn where_others_read_along_nothing_is_chosen_and_nothing_said() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let (mut chat, _) = confirmed(&world, "jane", true);
    chat.private = false;
    let delete = chat.id("Delete");
    let input = TurnInput {
        choice: Some(delete.clone()),
        ..chat.input()
    };
    let reply = chat.send(&input).unwrap();
    assert!(!text(&reply).contains("mail"), "{}", text(&reply));
    assert_eq!(records(&world, jane), [1, 2]);
    chat.private = true;
    let input = TurnInput {
        choice: Some(delete),
        ..chat.input()
    };
    assert_eq!(chat.send(&input).unwrap().state, TalkState::Done);
    assert_eq!(records(&world, jane), [0, 2]);
}

#[test]
fn what_a_law_keeps_is_not_offered_and_not_erased_where_it_comes_to_be_kept() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let dpo = call(&world.dpo, None);
    let (mut chat, _) = confirmed(&world, "jane", false);
    world.vault().put_hold(&dpo, jane, hold()).unwrap();
    let stale = chat.pick("Delete");
    assert_eq!(stale.state, TalkState::Scope, "{}", text(&stale));
    assert_eq!(chat.labels().len(), 2, "the profile, or Keep");
    assert_eq!(records(&world, jane), [1, 2]);
    let profile = label(&chat, true);
    let confirm = chat.pick(&profile);
    assert_eq!(confirm.state, TalkState::Confirm, "there is no other");
    assert!(text(&confirm).contains("2035-12-31"), "{}", text(&confirm));
    let done = chat.pick("Delete");
    assert!(
        text(&done).contains("2035-12-31"),
        "why it stays: {}",
        text(&done)
    );
    assert_eq!(records(&world, jane), [0, 2]);
    // Where all of it is kept there is nothing to choose from.
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let all = HoldInput {
        collections: Vec::new(),
        ..hold()
    };
    let dpo = call(&world.dpo, None);
    world.vault().put_hold(&dpo, jane, all).unwrap();
    let mut chat = world.chat("jane");
    chat.say(DEMAND);
    chat.prove();
    assert!(!chat.labels().contains(&SOME));
}

#[test]
fn a_human_who_goes_on_with_it_erases_no_more_than_was_chosen() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let (mut chat, _) = confirmed(&world, "jane", false);
    assert_eq!(chat.say("a human").state, TalkState::QueuedHuman);
    let (request, collections) = request(&world, jane);
    assert_eq!(collections, ["messages"]);
    let dpo = call(&world.dpo, None);
    let confirmation = world.vault().confirm_request(&dpo, request, None).unwrap();
    let approve = RequestStep::Approve {
        confirmation: Some(confirmation.confirmation),
        correction: None,
        answer: None,
    };
    let done = world.vault().step_request(&dpo, request, approve).unwrap();
    assert_eq!(done.view.state, RequestState::Fulfilled);
    assert_eq!(records(&world, jane), [1, 0]);
}

#[test]
fn everything_can_be_erased_after_some_of_it_was_and_by_whoever_was_proved_by_an_address() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut chat = world.chat("elsewhere");
    chat.say(DEMAND);
    chat.say(EMAIL);
    assert_eq!(chat.code().state, TalkState::Confirm);
    chat.pick(SOME);
    let part = label(&chat, false);
    chat.pick(&part);
    chat.pick("That is all");
    assert_eq!(chat.pick("Delete").state, TalkState::Done);
    assert_eq!(records(&world, jane), [1, 0]);
    chat.say(super::world::phrase(Intent::Erase));
    assert_eq!(
        chat.labels(),
        ["Delete", "Keep", "Download first"],
        "one is left"
    );
    assert_eq!(chat.pick("Delete").state, TalkState::Done);
    let dpo = call(&world.dpo, None);
    assert!(world.vault().view_subject(&dpo, jane).is_err());
}

#[test]
fn recipients_of_what_goes_are_told_and_others_are_not() {
    use crate::vault::DisclosureInput;
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let giver = world.bench.role("giver");
    let given = DisclosureInput {
        recipient: "carrier".into(),
        purpose: "support".into(),
        fields: vec!["profile.name".into()],
        at: None,
    };
    let support = call(&giver, Some("support"));
    world
        .vault()
        .record_disclosure(&support, jane, given)
        .unwrap();
    let (mut chat, _) = confirmed(&world, "jane", false);
    assert!(!text(&chat.pick("Delete")).contains("Carrier GmbH"));
    let mut chat = world.chat("jane");
    chat.said = 50;
    chat.say(DEMAND);
    // One collection is left: it is everything.
    assert_eq!(chat.labels(), ["Delete", "Keep", "Download first"]);
    let support = call(&world.bot, Some("support"));
    let message = crate::vault::tests::object(serde_json::json!({"text": "more"}));
    world
        .vault()
        .append(&support, jane, "messages", vec![message])
        .unwrap();
    chat.say("help");
    chat.pick(SOME);
    let part = label(&chat, true);
    chat.pick(&part);
    chat.pick("That is all");
    let done = chat.pick("Delete");
    assert!(text(&done).contains("Carrier GmbH"), "{}", text(&done));
    let options = ReadOptions::default();
    let read = world
        .vault()
        .read_single(&support, jane, "profile", &options, |view, _| {
            view.is_none()
        });
    assert!(read.unwrap());
}
