//! Turns over a vault: from the first message to what it does, and what it leaves.

use super::world::{EMAIL, MINUTE, World, hold, requests, text};
use crate::dialogue::Intent;
use crate::refusal::Refusal;
use crate::request::{Level, RequestKind, RequestState};
use crate::vault::tests::call;
use crate::vault::{Call, ReadOptions, TalkState, TurnInput};

#[test]
fn an_erasure_needs_the_code_and_the_choice_and_leaves_what_is_held() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let dpo = call(&world.dpo, None);
    world.vault().put_hold(&dpo, jane, hold()).unwrap();
    let mut chat = world.chat("jane");
    let first = chat.say("please delete everything you have about me");
    assert_eq!(first.state, TalkState::ChooseAlias, "{}", text(&first));
    assert!(
        first.request.is_some() && first.due.is_some(),
        "its clock runs"
    );
    assert_eq!(
        requests(&world, jane),
        [(RequestKind::Erase, RequestState::Received, Level::L1)]
    );
    assert_eq!(chat.labels(), ["j•••@e•••.test", "Another way"]);
    let sent = chat.pick("j•••@e•••.test");
    assert!(sent.expect.sensitive && chat.codes.len() == 1);
    assert_eq!(chat.codes[0].address.as_str(), EMAIL);
    let confirm = chat.code();
    assert_eq!(confirm.state, TalkState::Confirm);
    assert!(text(&confirm).contains("2035-12-31"), "{}", text(&confirm));
    for word in ["yes", "delete", "delete me now"] {
        let again = chat.say(word);
        assert_eq!(again.state, TalkState::Confirm, "{word}");
        assert!(
            world.vault().list_requests(&dpo, jane).is_ok(),
            "still there"
        );
    }
    let done = chat.pick("Delete");
    assert_eq!(done.state, TalkState::Done);
    assert!(text(&done).contains("rcp_"), "{}", text(&done));
    assert!(text(&done).contains("Autoriteit Persoonsgegevens"));
    let support = call(&world.bot, Some("support"));
    let read = world.vault().read_single(
        &support,
        jane,
        "profile",
        &ReadOptions::default(),
        |_, _| (),
    );
    assert!(matches!(read, Err(Refusal::Held(_))), "{read:?}");
}

#[test]
fn the_answer_to_an_erasure_is_given_again_and_the_person_is_unknown() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut chat = world.chat("jane");
    chat.say("please delete everything you have about me");
    chat.prove();
    let input = TurnInput {
        choice: Some(chat.id("Delete")),
        ..chat.input()
    };
    let done = chat.send(&input).unwrap();
    assert!(matches!(
        world.vault().view_subject(&call(&world.dpo, None), jane),
        Err(Refusal::Erased { .. })
    ));
    assert_eq!(chat.send(&input).unwrap(), done, "the same message again");
    let other = TurnInput {
        choice: Some("c_another".into()),
        ..input
    };
    assert!(matches!(
        chat.send(&other),
        Err(Refusal::IdempotencyMismatch)
    ));
    let next = chat.say("what do you know about me?");
    assert_eq!(next.state, TalkState::TypeAddress);
}

#[test]
fn no_more_advertising_takes_one_message_and_no_code() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    world.consents(jane);
    let newsletter = call(&world.bot, Some("newsletter"));
    let read = |world: &World| {
        let options = ReadOptions {
            fields: Some(vec!["email".into()]),
            ..ReadOptions::default()
        };
        world
            .vault()
            .read_single(&newsletter, jane, "profile", &options, |_, _| ())
    };
    assert!(read(&world).is_ok());
    let mut chat = world.chat("jane");
    chat.locale = Some("de".into());
    let done = chat.say("Bitte keine Werbung mehr");
    assert_eq!((done.state, &*done.language), (TalkState::Done, "de"));
    assert!(read(&world).is_err(), "from the very next call on");
    assert_eq!(
        requests(&world, jane),
        [(RequestKind::Object, RequestState::Fulfilled, Level::L1)]
    );
}

#[test]
fn a_consent_is_withdrawn_for_the_very_next_read_with_a_receipt() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    world.consents(jane);
    let mut chat = world.chat("jane");
    let done = chat.say("I withdraw my consent");
    assert_eq!(done.state, TalkState::Done, "{}", text(&done));
    assert!(text(&done).contains("cns_"), "{}", text(&done));
    let newsletter = call(&world.bot, Some("newsletter"));
    let options = ReadOptions {
        fields: Some(vec!["email".into()]),
        ..ReadOptions::default()
    };
    let read = world
        .vault()
        .read_single(&newsletter, jane, "profile", &options, |_, _| ());
    assert!(matches!(read, Err(Refusal::ConsentRequired { .. })));
    let none = chat.say("I withdraw my consent");
    assert!(!text(&none).contains("cns_"), "there is none any more");
}

#[test]
fn values_are_shown_behind_the_code_and_never_before() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut chat = world.chat("jane");
    let summary = chat.say("what do you know about me?");
    assert_eq!(summary.state, TalkState::Done);
    assert!(text(&summary).contains("Answering your questions"));
    assert!(!text(&summary).contains("Jane"), "{}", text(&summary));
    chat.pick("Verify");
    let shown = chat.prove();
    assert!(text(&shown).contains("Jane Roe") && text(&shown).contains(EMAIL));
    assert!(text(&shown).contains(": 2"), "{}", text(&shown));
    let queued = chat.pick("Download everything");
    assert_eq!(queued.state, TalkState::QueuedHuman);
    assert_eq!(
        requests(&world, jane),
        [(RequestKind::Access, RequestState::AwaitingHuman, Level::L2)]
    );
}

#[test]
fn who_looked_is_counted_by_purpose_and_the_persons_own_questions_are_not() {
    use crate::refusal::Refusal;
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    world.person("john", "john@example.test");
    let (support, newsletter) = (
        call(&world.bot, Some("support")),
        call(&world.bot, Some("newsletter")),
    );
    let look = |call: &Call<'_>, subject| {
        let options = ReadOptions {
            fields: Some(vec!["email".into()]),
            ..ReadOptions::default()
        };
        let vault = world.vault();
        vault.read_single(call, subject, "profile", &options, |_, _| ())
    };
    let mut chat = world.chat("jane");
    chat.say("what do you know about me?");
    chat.pick("Verify");
    let shown = chat.prove();
    assert!(
        text(&shown).contains("Since 2027-01-15 nobody"),
        "{}",
        text(&shown)
    );
    for _ in 0..3 {
        look(&support, jane).unwrap();
    }
    let john = world
        .vault()
        .lookup_channel(&support, "web", "john")
        .unwrap();
    look(&support, john).unwrap();
    // What was refused showed nothing.
    let refused = look(&newsletter, jane);
    assert!(matches!(refused, Err(Refusal::ConsentRequired { .. })));
    let mut again = || text(&chat.say("what do you know about me?"));
    let said = again();
    let all = "looked up 3 times, always for: Answering your questions";
    assert!(said.contains(all), "{said}");
    world.consents(jane);
    look(&newsletter, jane).unwrap();
    let said = again();
    for line in [
        "looked up 4 times:",
        "bookings: 3 times.",
        "newsletter: once.",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    // Of the year before nothing is counted.
    world.bench.clock.advance(366 * 24 * 60 * MINUTE);
    chat.say("what do you know about me?");
    chat.pick("Verify");
    let said = text(&chat.prove());
    assert!(said.contains("Since 2028-01-01 nobody"), "{said}");
}

#[test]
fn a_correction_is_made_when_the_old_and_the_new_were_shown_and_chosen() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut chat = world.chat("jane");
    chat.say("my name is wrong");
    chat.prove();
    let asked = chat.pick("Name");
    assert!(asked.expect.sensitive && asked.state == TalkState::Scope);
    let confirm = chat.say("Jane Doe");
    assert!(text(&confirm).contains("Jane Roe") && text(&confirm).contains("Jane Doe"));
    assert_eq!(
        chat.say("yes").state,
        TalkState::Confirm,
        "a word is not enough"
    );
    assert_eq!(chat.pick("Yes").state, TalkState::Done);
    let support = call(&world.bot, Some("support"));
    let name = world.vault().read_single(
        &support,
        jane,
        "profile",
        &ReadOptions::default(),
        |view, _| view.unwrap().fields["name"].clone(),
    );
    assert_eq!(name.unwrap(), "Jane Doe");
    assert_eq!(
        requests(&world, jane),
        [(RequestKind::Rectify, RequestState::Fulfilled, Level::L2)]
    );
}

#[test]
fn wrong_codes_end_the_challenge_and_so_do_ten_minutes() {
    let world = World::new();
    world.person("jane", EMAIL);
    let mut chat = world.chat("jane");
    chat.say("download my data please");
    let address = chat.labels()[0].to_owned();
    chat.pick(&address);
    let code = chat.codes[0].code.to_string();
    let wrong = if code == "111111" { "222222" } else { "111111" };
    for left in (1..5).rev() {
        let reply = chat.say(wrong);
        assert_eq!(reply.state, TalkState::CodeSent);
        assert!(text(&reply).contains(&left.to_string()), "{}", text(&reply));
    }
    assert_eq!(chat.say(wrong).state, TalkState::ChooseAlias);
    assert_ne!(chat.say(&code).state, TalkState::Scope, "used up");
    chat.pick(&address);
    world.bench.clock.advance(10 * MINUTE);
    assert_eq!(chat.code().state, TalkState::ChooseAlias, "over");
}

#[test]
fn where_others_read_along_nothing_is_shown_or_asked_for() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut chat = world.chat("jane");
    chat.private = false;
    let reply = chat.say("please delete everything you have about me");
    assert_eq!(reply.state, TalkState::Done);
    assert!(chat.labels().is_empty(), "no masked address either");
    assert_eq!(requests(&world, jane).len(), 1, "but its clock runs");
    chat.private = true;
    chat.say("please delete everything you have about me");
    assert_eq!(requests(&world, jane).len(), 1, "the same demand");
    chat.private = false;
    let address = chat.id("j•••@e•••.test");
    let input = TurnInput {
        choice: Some(address),
        ..chat.input()
    };
    let reply = chat.send(&input).unwrap();
    assert!(
        chat.codes.is_empty() && !text(&reply).contains("j•"),
        "{}",
        text(&reply)
    );
}

#[test]
fn a_message_that_comes_again_is_answered_again_and_does_nothing_twice() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut chat = world.chat("jane");
    let input = TurnInput {
        text: Some("no more advertising".into()),
        ..chat.input()
    };
    let first = chat.send(&input).unwrap();
    let second = chat.send(&input).unwrap();
    assert!(first == second && first.handled);
    assert_eq!(requests(&world, jane).len(), 1);
    let other = TurnInput {
        text: Some("something else".into()),
        ..input
    };
    assert!(matches!(
        chat.send(&other),
        Err(Refusal::IdempotencyMismatch)
    ));
}

#[test]
fn a_choice_is_good_once_and_for_whom_it_was_sent() {
    let world = World::new();
    let (jane, john) = (
        world.person("jane", EMAIL),
        world.person("john", "john@example.test"),
    );
    let mut hers = world.chat("jane");
    hers.say("please delete everything you have about me");
    hers.prove();
    let delete = hers.id("Delete");
    let mut his = world.chat("john");
    his.say("please delete everything you have about me");
    his.prove();
    let input = TurnInput {
        choice: Some(delete.clone()),
        ..his.input()
    };
    assert_eq!(his.send(&input).unwrap().state, TalkState::Confirm);
    let dpo = call(&world.dpo, None);
    for subject in [jane, john] {
        assert!(world.vault().view_subject(&dpo, subject).is_ok());
    }
    hers.say("help");
    let input = TurnInput {
        choice: Some(delete),
        ..hers.input()
    };
    hers.send(&input).unwrap();
    assert!(
        world.vault().view_subject(&dpo, jane).is_ok(),
        "of an older message"
    );
}

#[test]
fn nobody_relays_without_the_capability_or_from_a_channel_the_key_is_not_bound_to() {
    let world = World::new();
    world.person("jane", EMAIL);
    let mut chat = world.chat("jane");
    let input = TurnInput {
        text: Some("no more advertising".into()),
        ..chat.input()
    };
    let dpo = call(&world.dpo, None);
    let refused = world.vault().dialogue_turn(&dpo, &input);
    assert!(
        matches!(refused, Err(Refusal::RoleDenied(_))),
        "{refused:?}"
    );
    let keyholder = world.vault().keyholder();
    let (_, secret) = world
        .vault()
        .make_token(
            &Call::new(&keyholder),
            crate::vault::TokenInput {
                role: "relay".into(),
                channels: vec!["sms".into()],
                ..Default::default()
            },
        )
        .unwrap();
    let bound = world.vault().authenticate(&secret).unwrap();
    let refused = world.vault().dialogue_turn(&Call::new(&bound), &input);
    assert!(
        matches!(refused, Err(Refusal::RoleDenied(_))),
        "{refused:?}"
    );
}

#[test]
fn a_guess_of_the_bot_is_asked_about_and_small_talk_is_the_bots() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut chat = world.chat("jane");
    let input = TurnInput {
        text: Some("a table for two at eight please".into()),
        intent: Some(Intent::StopMarketing),
        ..chat.input()
    };
    let asked = chat.send(&input).unwrap();
    assert_eq!(asked.state, TalkState::ChooseIntent);
    assert!(requests(&world, jane).is_empty());
    assert_eq!(chat.labels(), ["No advertising", "None of these"]);
    chat.pick("No advertising");
    assert_eq!(requests(&world, jane).len(), 1);
    let small = chat.say("a table for two at eight please");
    assert!(!small.handled && small.messages.is_empty());
    assert_eq!(small.state, TalkState::Idle);
}

#[test]
fn leaving_takes_the_request_back_and_a_human_can_be_had() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut chat = world.chat("jane");
    chat.say("please delete everything you have about me");
    assert_eq!(chat.say("cancel").state, TalkState::Idle);
    let of = |at: usize| requests(&world, jane)[at].1;
    assert_eq!(of(0), RequestState::Cancelled);
    chat.say("please delete everything you have about me");
    assert_eq!(chat.say("a human").state, TalkState::QueuedHuman);
    assert_eq!(of(1), RequestState::ManualIdentity);
    chat.can_send = false;
    let reply = chat.say("download my data please");
    assert_eq!(reply.state, TalkState::QueuedHuman);
    assert_eq!(of(2), RequestState::ManualIdentity, "no code can be sent");
}

#[test]
fn conversations_that_are_over_are_swept_and_lie_with_their_person() {
    use crate::commit::View as _;
    use crate::store::{KeyRange, Table};
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let rows = |world: &World| {
        let snapshot = world.vault().snapshot().unwrap();
        let all = KeyRange::all();
        let order = crate::store::Direction::Ascending;
        snapshot
            .tx()
            .keys(Table::Dialogues, &all, order, 100)
            .unwrap()
            .len()
    };
    let mut chat = world.chat("jane");
    chat.say("what do you know about me?");
    for number in 0..12 {
        let input = TurnInput {
            conversation: Some(format!("thread {number}")),
            text: Some("what do you know about me?".into()),
            ..chat.input()
        };
        chat.send(&input).unwrap();
    }
    assert_eq!(rows(&world), 8, "the newest");
    world.vault().sweep_dialogues().unwrap();
    assert_eq!(rows(&world), 8, "none is over");
    world.bench.clock.advance(2 * 60 * MINUTE);
    world.vault().sweep_dialogues().unwrap();
    assert_eq!(rows(&world), 0);
    chat.say("what do you know about me?");
    let dpo = call(&world.dpo, None);
    world.vault().erase_subject(&dpo, jane).unwrap();
    assert_eq!(rows(&world), 0, "gone with the person");
}

#[test]
fn what_takes_effect_by_a_word_waits_for_no_room_and_what_does_not_is_sent_elsewhere() {
    use crate::limits::REQUESTS_PER_PERSON_MAX;
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    world.consents(jane);
    let input = crate::vault::RequestInput {
        kind: RequestKind::Recipients,
        details: None,
        language: None,
        received_at: None,
        purpose: None,
        ground: None,
        collections: Vec::new(),
        decision: None,
    };
    let bot = call(&world.bot, None);
    for _ in 0..REQUESTS_PER_PERSON_MAX {
        world
            .vault()
            .create_request(&bot, jane, input.clone())
            .unwrap();
    }
    let mut chat = world.chat("jane");
    let full = chat.say("please delete everything you have about me");
    assert_eq!(full.state, TalkState::Done);
    assert!(text(&full).contains("dpo@example.test"), "{}", text(&full));
    let done = chat.say("I withdraw my consent");
    assert!(text(&done).contains("cns_"), "{}", text(&done));
    chat.say("no more advertising");
    assert_eq!(requests(&world, jane).len(), REQUESTS_PER_PERSON_MAX);
    let objections = world
        .vault()
        .list_objections(&call(&world.dpo, None), jane)
        .unwrap();
    assert_eq!(objections.len(), 1);
}

#[test]
fn what_is_left_of_a_conversation_in_the_store_ends_with_the_key_of_its_day() {
    use crate::clock::hour_of;
    use crate::commit::View as _;
    use crate::keys::keyset::Compartment;
    use crate::store::{Direction, KeyRange, Table};
    use crate::vault::Sweep;
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut chat = world.chat("jane");
    // The rows and the keys of conversations, and whether each row is under one of them.
    let stored = || {
        let snapshot = world.vault().snapshot().unwrap();
        let person = crate::person::Person::find(&snapshot, jane).unwrap();
        let all = KeyRange::prefix(person.entry.handle.as_bytes());
        let rows = snapshot
            .tx()
            .range(Table::Dialogues, &all, Direction::Ascending, 10);
        let rows = rows.unwrap();
        for (_, sealed) in &rows {
            let compartment = person.compartment_of(sealed).unwrap();
            assert_eq!(compartment.number, Compartment::TALKS);
        }
        let keys = person.keyset.keys.iter();
        let keys = keys.filter(|dek| dek.compartment.number == Compartment::TALKS);
        (rows.len(), keys.count())
    };
    let sweep = || {
        world.vault().sweep_dialogues().unwrap();
        while world.vault().sweep(Sweep::Due).unwrap() {}
    };
    // Half an hour before midnight: the conversation goes on in the next day.
    let begun = i64::from(hour_of(world.vault().engine.now()) % 24);
    world.bench.clock.advance((23 - begun) * 60 * MINUTE);
    let past = world.vault().engine.now().as_millisecond() % (60 * MINUTE);
    world.bench.clock.advance(55 * MINUTE - past);
    chat.say("download my data please");
    assert_eq!(stored(), (1, 1));
    world.bench.clock.advance(10 * MINUTE);
    assert_eq!(
        chat.prove().state,
        TalkState::Scope,
        "the same conversation"
    );
    assert_eq!(stored(), (1, 2));
    sweep();
    assert_eq!(stored(), (1, 2), "the first day's may still be needed");
    world.bench.clock.advance(2 * 60 * MINUTE);
    sweep();
    assert_eq!(stored(), (0, 1), "the first day's is gone");
    world.bench.clock.advance(24 * 60 * MINUTE);
    sweep();
    assert_eq!(stored(), (0, 0));
}
