//! Turns of people who are not known on their channel.

use super::world::{EMAIL, MINUTE, World, hold, phrase, requests, text};
use crate::dialogue::Intent;
use crate::request::{Level, RequestKind, RequestState};
use crate::vault::tests::call;
use crate::vault::{TalkState, TurnInput};

#[test]
fn a_typed_address_is_answered_alike_whether_or_not_it_is_known() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let known = |address: &str, user: &str| {
        let mut chat = world.chat(user);
        let first = chat.say("what do you know about me?");
        let second = chat.say(address);
        let wrong = chat.say("000000");
        (text(&first), text(&second), wrong, chat.codes.len())
    };
    let (first, second, wrong, sent) = known(EMAIL, "stranger-1");
    assert_eq!(sent, 1);
    let (other_first, other_second, other_wrong, sent) = known("nobody@example.test", "stranger-2");
    assert_eq!(sent, 0, "nobody is known by it");
    assert_eq!((first, second), (other_first, other_second));
    assert_eq!(
        (text(&wrong), wrong.state),
        (text(&other_wrong), other_wrong.state)
    );
    assert!(requests(&world, jane).is_empty(), "nothing is proved yet");
}

#[test]
fn the_code_to_a_typed_address_makes_somebody_unknown_that_person_as_of_when_they_asked() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut chat = world.chat("stranger");
    let asked = world.vault().engine.now();
    chat.say("what do you know about me?");
    world.bench.clock.advance(MINUTE);
    chat.say(EMAIL);
    let shown = chat.code();
    assert!(text(&shown).contains("Jane Roe"), "{}", text(&shown));
    let dpo = call(&world.dpo, None);
    let all = world.vault().list_requests(&dpo, jane).unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(
        (all[0].kind, all[0].level),
        (RequestKind::Access, Level::L2)
    );
    assert_eq!(all[0].received_at.as_second(), asked.as_second());
    // After a quarter of an hour they are unknown again.
    world.bench.clock.advance(16 * MINUTE);
    assert_eq!(
        chat.say("what do you know about me?").state,
        TalkState::TypeAddress
    );
}

#[test]
fn once_somebody_is_erased_what_was_said_to_them_is_not_said_again() {
    for held in [false, true] {
        let world = World::new();
        let jane = world.person("jane", EMAIL);
        let dpo = call(&world.dpo, None);
        if held {
            world.vault().put_hold(&dpo, jane, hold()).unwrap();
        }
        let mut sent = world.chat("another");
        sent.say("what do you know about me?");
        sent.say(EMAIL);
        let mut chat = world.chat("stranger");
        chat.say("what do you know about me?");
        chat.say(EMAIL);
        let code = chat.codes[0].code.to_string();
        let input = TurnInput {
            text: Some(code),
            ..chat.input()
        };
        let shown = chat.send(&input).unwrap();
        assert!(text(&shown).contains("Jane Roe"), "{}", text(&shown));
        assert!(text(&chat.send(&input).unwrap()).contains("Jane Roe"));
        world.vault().erase_subject(&dpo, jane).unwrap();
        let again = chat.send(&input).unwrap();
        assert!(!text(&again).contains("Jane Roe"), "{}", text(&again));
        assert_eq!(
            chat.say("what do you know about me?").state,
            TalkState::TypeAddress
        );
        assert_eq!(sent.code().state, TalkState::TypeAddress, "it is nobody's");
    }
}

#[test]
fn a_person_gets_three_codes_an_hour_whoever_asks_for_them() {
    let world = World::new();
    world.person("jane", EMAIL);
    let mut sent = 0;
    for number in 0..2 {
        let mut chat = world.chat(&format!("stranger-{number}"));
        chat.say("what do you know about me?");
        chat.say(EMAIL);
        sent += chat.codes.len();
    }
    let mut chat = world.chat("jane");
    chat.say("download my data please");
    let address = chat.labels()[0].to_owned();
    chat.pick(&address);
    sent += chat.codes.len();
    assert_eq!(sent, 3);
    chat.pick("Send a new code");
    let spent = chat.pick(&address);
    assert_eq!(chat.codes.len(), 1, "no fourth");
    assert_eq!(spent.state, TalkState::ChooseAlias);
    world.bench.clock.advance(61 * MINUTE);
    chat.say("download my data please");
    chat.pick(&address);
    assert_eq!(chat.codes.len(), 2, "an hour later");
}

#[test]
fn whoever_proves_who_they_are_and_has_nothing_to_object_to_leaves_no_request() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    for (number, intent) in [Intent::Object, Intent::Withdraw].into_iter().enumerate() {
        let words = phrase(intent);
        if number == 0 {
            world.chat("jane").say("no more advertising");
        }
        let before = requests(&world, jane);
        let mut chat = world.chat(&format!("stranger-{number}"));
        chat.say(words);
        chat.say(EMAIL);
        let none = chat.code();
        assert_eq!(none.state, TalkState::Done, "{}", text(&none));
        assert_eq!(requests(&world, jane), before, "{words}");
    }
    // Where there is something, it is done, and has its request.
    world.consents(jane);
    let mut chat = world.chat("another");
    chat.say("I withdraw my consent");
    chat.say(EMAIL);
    chat.code();
    assert_eq!(
        requests(&world, jane).last(),
        Some(&(RequestKind::Withdraw, RequestState::Fulfilled, Level::L2))
    );
}
