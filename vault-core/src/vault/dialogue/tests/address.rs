//! An address that is corrected: a code to one on file, and one to the new.

use super::world::{Chat, EMAIL, MINUTE, World, hold, requests, text};
use crate::request::{RequestKind, RequestState};
use crate::vault::tests::call;
use crate::vault::{HoldInput, ReadOptions, SubjectId, TalkState};

const NEW: &str = "jane.roe@example.test";

/// Asked for the right address, by somebody who is known by a code.
fn asked<'w>(world: &'w World, user: &str) -> Chat<'w> {
    let mut chat = world.chat(user);
    chat.say("my name is wrong");
    chat.prove();
    let label = chat.labels().into_iter().find(|one| one.contains("mail"));
    let label = label.expect("it can be corrected").to_owned();
    let typed = chat.pick(&label);
    assert!(typed.expect.sensitive && typed.state == TalkState::Scope);
    chat
}

fn email(world: &World, subject: SubjectId) -> String {
    let support = call(&world.bot, Some("support"));
    let options = ReadOptions::default();
    let read = world
        .vault()
        .read_single(&support, subject, "profile", &options, |view, _| {
            view.unwrap().fields["email"].as_str().unwrap().to_owned()
        });
    read.unwrap()
}

/// How many codes somebody unknown gets by typing this.
fn known_by(world: &World, user: &str, address: &str) -> usize {
    let mut chat = world.chat(user);
    chat.say("what do you know about me?");
    chat.say(address);
    chat.codes.len()
}

#[test]
fn an_address_is_changed_by_whoever_reads_at_the_old_and_at_the_new() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut chat = asked(&world, "jane");
    let sent = chat.say(NEW);
    assert_eq!(sent.state, TalkState::CodeSent, "{}", text(&sent));
    assert!(sent.expect.sensitive && !text(&sent).contains(NEW));
    assert_eq!(chat.codes.len(), 2);
    assert_eq!(chat.codes[1].address.as_str(), NEW);
    let old = chat.codes[0].code.to_string();
    assert_eq!(chat.say(&old).state, TalkState::CodeSent, "the old one's");
    let confirm = chat.code();
    assert_eq!(confirm.state, TalkState::Confirm, "{}", text(&confirm));
    assert!(text(&confirm).contains(EMAIL) && text(&confirm).contains(NEW));
    assert_eq!(chat.say("yes").state, TalkState::Confirm, "no choice");
    assert_eq!(email(&world, jane), EMAIL);
    assert_eq!(chat.pick("Yes").state, TalkState::Done);
    assert_eq!(email(&world, jane), NEW);
    assert_eq!(
        requests(&world, jane)[0].1,
        RequestState::Fulfilled,
        "and nobody has to look"
    );
    assert_eq!(known_by(&world, "s1", EMAIL), 0);
    assert_eq!(known_by(&world, "s2", NEW), 1);
}

#[test]
fn a_code_to_a_new_address_is_good_for_that_address_alone() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut chat = asked(&world, "jane");
    chat.say(NEW);
    let first = chat.codes[1].code.to_string();
    let wrong = if first == "111111" {
        "222222"
    } else {
        "111111"
    };
    for _ in 0..4 {
        assert_eq!(chat.say(wrong).state, TalkState::CodeSent);
    }
    assert_eq!(chat.say(wrong).state, TalkState::Scope, "no more tries");
    let other = chat.say("somebody@example.test");
    assert_eq!(other.state, TalkState::CodeSent);
    assert_eq!(chat.codes[2].address.as_str(), "somebody@example.test");
    assert_eq!(chat.say(&first).state, TalkState::CodeSent, "another's");
    assert_eq!(chat.code().state, TalkState::Confirm);
    assert_eq!(chat.pick("No").state, TalkState::Scope);
    assert_eq!(email(&world, jane), EMAIL);
    // Three codes an hour, wherever they go.
    let label = chat.labels().into_iter().find(|one| one.contains("mail"));
    let label = label.expect("asked again").to_owned();
    chat.pick(&label);
    assert_eq!(chat.say(NEW).state, TalkState::QueuedHuman);
    assert_eq!(chat.codes.len(), 3);
    let dpo = call(&world.dpo, None);
    let request = &world.vault().list_requests(&dpo, jane).unwrap()[0];
    assert_eq!(request.kind, RequestKind::Rectify);
    let words = request.history.last().unwrap().words.clone().unwrap();
    assert_eq!(words, format!("profile.email: {NEW}"), "a human has it");
}

#[test]
fn a_human_who_goes_on_where_no_code_is_typed_is_told_which_field_it_is() {
    for sends in [false, true] {
        let world = World::new();
        let jane = world.person("jane", EMAIL);
        let mut chat = asked(&world, "jane");
        chat.say("cancel");
        chat.say("my name is wrong");
        let label = chat.labels().into_iter().find(|one| one.contains("mail"));
        let label = label.expect("it can be corrected").to_owned();
        assert_eq!(chat.pick(&label).state, TalkState::ChooseAlias);
        if sends {
            let first = chat.labels()[0].to_owned();
            assert_eq!(chat.pick(&first).state, TalkState::CodeSent);
        }
        assert_eq!(chat.pick("Another way").state, TalkState::QueuedHuman);
        let dpo = call(&world.dpo, None);
        let all = world.vault().list_requests(&dpo, jane).unwrap();
        let words = all.last().unwrap().history.last().unwrap().words.clone();
        assert_eq!(words.as_deref(), Some("profile.email"));
    }
    // Of a matter that is about no field nothing is noted.
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut chat = world.chat("jane");
    chat.say("please delete everything you have about me");
    chat.pick("Another way");
    let dpo = call(&world.dpo, None);
    let all = world.vault().list_requests(&dpo, jane).unwrap();
    let words = all[0].history.last().unwrap().words.clone();
    assert!(!words.unwrap_or_default().contains("profile"));
}

#[test]
fn where_a_law_keeps_it_or_no_code_gets_there_a_human_looks_at_the_address() {
    for held in [true, false] {
        let world = World::new();
        let jane = world.person("jane", EMAIL);
        let mut chat = asked(&world, "jane");
        if held {
            let hold = HoldInput {
                collections: vec!["profile".into()],
                ..hold()
            };
            let dpo = call(&world.dpo, None);
            world.vault().put_hold(&dpo, jane, hold).unwrap();
        } else {
            chat.can_send = false;
        }
        assert_eq!(chat.say(NEW).state, TalkState::QueuedHuman);
        assert_eq!(chat.codes.len(), 1, "none to what was typed");
        assert_eq!(requests(&world, jane)[0].1, RequestState::AwaitingHuman);
    }
    // And whoever takes another way at the last moment has it looked at.
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut chat = asked(&world, "jane");
    chat.say(NEW);
    assert_eq!(chat.pick("Another way").state, TalkState::QueuedHuman);
    assert_eq!(email(&world, jane), EMAIL);
    assert_eq!(requests(&world, jane)[0].1, RequestState::AwaitingHuman);
}

#[test]
fn whoever_has_nothing_but_the_chat_moves_no_address() {
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut chat = world.chat("jane");
    let first = chat.say("my name is wrong");
    assert_eq!(first.state, TalkState::ChooseAlias);
    assert_eq!(
        chat.say(NEW).state,
        TalkState::ChooseAlias,
        "typed to no end"
    );
    let address = chat.labels()[0].to_owned();
    chat.pick(&address);
    for guess in ["000000", NEW, "yes"] {
        chat.say(guess);
    }
    assert_eq!(chat.pick("Another way").state, TalkState::QueuedHuman);
    assert!(chat.codes.iter().all(|code| code.address.as_str() == EMAIL));
    assert_eq!(email(&world, jane), EMAIL);

    // Nor whoever gets hold of a chat in which a code was typed before, for another matter.
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut chat = world.chat("jane");
    chat.say("download my data please");
    assert_eq!(chat.prove().state, TalkState::Scope);
    assert_eq!(chat.say("my name is wrong").state, TalkState::Scope);
    let label = chat.labels().into_iter().find(|one| one.contains("mail"));
    let label = label.expect("it can be asked for").to_owned();
    assert_eq!(chat.pick(&label).state, TalkState::ChooseAlias);
    assert_eq!(chat.say(NEW).state, TalkState::ChooseAlias);
    assert_eq!(chat.codes.len(), 1, "none to what was typed");
    // Jane herself types one more, and goes on where she was.
    let first = chat.labels()[0].to_owned();
    chat.pick(&first);
    assert_eq!(chat.code().state, TalkState::Scope);
    assert_eq!(chat.say(NEW).state, TalkState::CodeSent);
    assert_eq!(chat.code().state, TalkState::Confirm);
    assert_eq!(chat.pick("Yes").state, TalkState::Done);
    assert_eq!(email(&world, jane), NEW);
}

#[test]
fn what_ends_between_the_two_codes_changes_nothing() {
    // Ten minutes are over.
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut chat = asked(&world, "jane");
    chat.say(NEW);
    world.bench.clock.advance(10 * MINUTE);
    let over = chat.code();
    assert_eq!((over.state, chat.labels().len()), (TalkState::Scope, 0));
    assert_eq!(email(&world, jane), EMAIL);

    // A quarter of an hour is: it is not known any more who talks.
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut chat = asked(&world, "jane");
    chat.say(NEW);
    world.bench.clock.advance(15 * MINUTE);
    let late = chat.code();
    assert!(!late.handled, "{}", text(&late));
    assert_eq!(chat.say("my name is wrong").state, TalkState::ChooseAlias);
    assert_eq!(email(&world, jane), EMAIL);

    // They leave, and the code that comes afterwards is nobody's.
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut chat = asked(&world, "jane");
    chat.say(NEW);
    assert_eq!(chat.say("cancel").state, TalkState::Idle);
    assert!(!chat.code().handled);
    assert_eq!(email(&world, jane), EMAIL);
    assert_eq!(requests(&world, jane)[0].1, RequestState::Cancelled);

    // Others read along, and then nobody does: the code is taken then alone.
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    let mut chat = asked(&world, "jane");
    chat.say(NEW);
    chat.private = false;
    let others = chat.code();
    assert!(!text(&others).contains("j•"), "{}", text(&others));
    assert_eq!(email(&world, jane), EMAIL);
    chat.private = true;
    assert_eq!(chat.code().state, TalkState::Confirm);
}

#[test]
fn a_lost_code_is_asked_for_again_by_typing_the_address_again() {
    let world = World::new();
    world.person("jane", EMAIL);
    let mut chat = asked(&world, "jane");
    chat.say("jane.ro@example.test");
    assert_eq!(chat.pick("Send a new code").state, TalkState::Scope);
    assert_eq!(chat.say(NEW).state, TalkState::CodeSent);
    assert_eq!(chat.codes.last().unwrap().address.as_str(), NEW);
    assert_eq!(chat.code().state, TalkState::Confirm);
}

#[test]
fn nothing_is_said_of_whether_the_new_address_is_somebody_elses() {
    let world = World::new();
    world.person("jane", EMAIL);
    world.person("john", "jack@example.test");
    world.person("mary", "mary@example.test");
    let mut said = Vec::new();
    for (user, address) in [("jane", "jack@example.test"), ("mary", "jock@example.test")] {
        let mut chat = asked(&world, user);
        let sent = text(&chat.say(address));
        let wrong = match chat.codes[1].code.as_str() {
            "111111" => "222222",
            _ => "111111",
        };
        said.push([sent, text(&chat.say(wrong))]);
        assert_eq!(chat.codes.len(), 2, "it is sent all the same");
    }
    assert_eq!(said[0], said[1]);
}

#[test]
fn codes_of_somebody_who_was_proved_by_an_address_are_counted_as_well() {
    let world = World::new();
    world.person("jane", EMAIL);
    let mut chat = world.chat("elsewhere");
    chat.say("my name is wrong");
    chat.say(EMAIL);
    let known = chat.code();
    assert_eq!(known.state, TalkState::Scope, "{}", text(&known));
    let label = chat.labels().into_iter().find(|one| one.contains("mail"));
    let label = label.expect("it can be corrected").to_owned();
    chat.pick(&label);
    for number in 0..2 {
        let sent = chat.say(&format!("somebody{number}@example.test"));
        assert_eq!(sent.state, TalkState::CodeSent, "{}", text(&sent));
        chat.pick("Send a new code");
    }
    assert_eq!(chat.say(NEW).state, TalkState::QueuedHuman);
    assert_eq!(
        chat.codes.len(),
        3,
        "three an hour, wherever they are asked for"
    );
    let mut own = world.chat("jane");
    own.say("download my data please");
    let first = own.labels()[0].to_owned();
    own.pick(&first);
    assert!(own.codes.is_empty(), "of the same person");
}

#[test]
fn an_address_that_very_many_share_is_looked_at_by_a_human() {
    use crate::limits::SHARED_LOOKUP_MAX;
    let world = World::new();
    let jane = world.person("jane", EMAIL);
    for number in 0..SHARED_LOOKUP_MAX {
        world.person(&format!("u{number}"), NEW);
    }
    let mut chat = asked(&world, "jane");
    assert_eq!(chat.say(NEW).state, TalkState::CodeSent);
    assert_eq!(chat.code().state, TalkState::Confirm);
    assert_eq!(chat.pick("Yes").state, TalkState::QueuedHuman);
    assert_eq!(email(&world, jane), EMAIL);
    assert_eq!(requests(&world, jane)[0].1, RequestState::AwaitingHuman);
}
