//! The notice before anything else, and rights that do not wait for it.

use serde_json::json;

use super::world::{EMAIL, MINUTE, RELAY, World, phrase, requests, text};
use crate::dialogue::Intent;
use crate::policy::SAMPLE;
use crate::refusal::Refusal;
use crate::request::{RequestKind, RequestState};
use crate::vault::tests::{call, object};
use crate::vault::{Group, NoticeShown, SubjectId, TalkState, TurnInput};

const GATE: &str = r#"
[notice]
gate = "before_write"
"#;

fn known(world: &World) -> SubjectId {
    let support = call(&world.bot, Some("support"));
    let (subject, _) = world
        .vault()
        .create_subject(&support, "web", "jane")
        .unwrap();
    subject
}

fn shown(world: &World, subject: SubjectId) -> Vec<NoticeShown> {
    let support = call(&world.bot, Some("support"));
    world.vault().list_notices(&support, subject).unwrap()
}

fn writes(world: &World, subject: SubjectId) -> Result<(), Refusal> {
    let support = call(&world.bot, Some("support"));
    let fields = object(json!({"email": EMAIL}));
    let written = world
        .vault()
        .patch_single(&support, subject, "profile", fields, None);
    written.map(drop)
}

#[test]
fn what_is_written_before_the_notice_waits_and_is_given_back_in_order_when_they_go_on() {
    let world = World::of(GATE);
    let jane = known(&world);
    let mut chat = world.chat("jane");
    let first = TurnInput {
        text: Some("a table for two at eight please".into()),
        ..chat.input()
    };
    let held = chat.send(&first).unwrap();
    assert!(held.handled && held.replay.is_empty());
    assert_eq!(held.state, TalkState::Notice);
    let notice = world.vault().notice(Some("en")).unwrap();
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&text(&held)), lines(&notice.text));
    assert_eq!(chat.labels(), ["Continue", "More", "No thanks"]);
    let waits = chat.say("near the window");
    assert!(!text(&waits).contains(&notice.text) && waits.state == TalkState::Notice);
    assert_eq!(chat.say("yes").state, TalkState::Notice, "no choice");
    let more = chat.pick("More");
    assert_eq!(
        more.messages.last().unwrap().link.as_deref(),
        Some("/privacy")
    );
    assert!(shown(&world, jane).is_empty() && writes(&world, jane).is_err());
    let input = TurnInput {
        choice: Some(chat.id("Continue")),
        ..chat.input()
    };
    let on = chat.send(&input).unwrap();
    assert!(!on.handled && on.messages.is_empty() && on.delivery.is_none());
    assert_eq!(on.replay, ["m1", "m2"]);
    assert_eq!(on.state, TalkState::Idle);
    assert_eq!(chat.send(&input).unwrap(), on, "the same message again");
    let all = shown(&world, jane);
    let [shown] = &all[..] else {
        panic!("one, and not {}", all.len());
    };
    assert_eq!((shown.sha256, shown.acknowledged), (notice.sha256, false));
    let evidence = shown.evidence.as_ref().unwrap();
    assert_eq!(Some(&evidence.choice), input.choice.as_ref());
    assert_eq!(evidence.message, input.message);
    writes(&world, jane).unwrap();
    let again = chat.send(&first).unwrap();
    assert!(
        !again.handled && again.state == TalkState::Idle,
        "it is the bot's"
    );
    assert!(!chat.say("and a cake").handled, "asked once");
}

#[test]
fn a_right_waits_for_no_notice_and_what_waits_goes_on_waiting() {
    let world = World::of(GATE);
    let jane = known(&world);
    let mut chat = world.chat("jane");
    assert_eq!(
        chat.say("a table for two at eight please").state,
        TalkState::Notice
    );
    let done = chat.say("no more advertising");
    assert_eq!(done.state, TalkState::Done, "{}", text(&done));
    assert_eq!(requests(&world, jane)[0].1, RequestState::Fulfilled);
    let status = chat.say(phrase(Intent::Status));
    assert!(status.handled && status.state == TalkState::Done);
    assert!(shown(&world, jane).is_empty(), "nobody was shown anything");
    assert_eq!(chat.say("near the window").state, TalkState::Notice);
    assert_eq!(chat.pick("Continue").replay, ["m1", "m4"]);
    // Nor does one for whoever is not known.
    let mut chat = world.chat("stranger");
    let why = chat.say("why do you have my data?");
    assert!(why.handled && why.state != TalkState::Notice);
    assert_eq!(
        chat.say("please delete everything you have about me").state,
        TalkState::TypeAddress
    );
}

#[test]
fn whoever_does_not_go_on_has_nothing_replayed_or_recorded_and_is_asked_again() {
    let world = World::of(GATE);
    let jane = known(&world);
    let mut chat = world.chat("jane");
    for leave in ["No thanks", "cancel", "no"] {
        chat.say("a table for two at eight please");
        let left = match leave {
            "No thanks" => chat.pick(leave),
            word => chat.say(word),
        };
        assert!(left.handled && left.replay.is_empty(), "{leave}");
        assert_eq!(left.state, TalkState::Idle, "{leave}");
        assert!(shown(&world, jane).is_empty());
    }
    let said = chat.said;
    assert_eq!(
        chat.say("a table for two at eight please").state,
        TalkState::Notice
    );
    assert_eq!(chat.pick("Continue").replay, [format!("m{}", said + 1)]);
}

#[test]
fn a_notice_that_says_something_else_meanwhile_is_shown_before_anything_is_recorded() {
    let world = World::of(GATE);
    let jane = known(&world);
    let mut chat = world.chat("jane");
    chat.say("a table for two at eight please");
    let other = SAMPLE.replace("Carrier GmbH", "Another Carrier GmbH");
    assert_ne!(other, SAMPLE);
    let keyholder = world.vault().keyholder();
    let policy = format!("{other}{RELAY}{GATE}");
    world
        .vault()
        .apply_policy(&call(&keyholder, None), &policy, false)
        .unwrap();
    let asked = chat.pick("Continue");
    assert_eq!(asked.state, TalkState::Notice);
    assert!(shown(&world, jane).is_empty() && asked.replay.is_empty());
    assert_eq!(chat.pick("Continue").replay, ["m1"]);
    assert_eq!(shown(&world, jane)[0].version, 2);
    // And once they were shown it, a version that says the same asks nobody.
    assert!(!chat.say("near the window").handled);
}

#[test]
fn of_somebody_unknown_the_bot_keeps_what_stands_for_the_notice() {
    let world = World::of(GATE);
    let mut chat = world.chat("stranger");
    // A key of the bot, to which the delivery is sealed.
    let keyholder = world.vault().keyholder();
    let input = crate::vault::TokenInput {
        role: "bot".into(),
        ..Default::default()
    };
    let token = world.vault().make_token(&call(&keyholder, None), input);
    let bot = world.vault().authenticate(&token.unwrap().1).unwrap();
    let send = |chat: &mut super::world::Chat<'_>, input: &TurnInput| {
        let turned = world.vault().dialogue_turn(&call(&bot, None), input);
        chat.reply = Some(turned.unwrap().reply);
        chat.reply.clone().unwrap()
    };
    let held = TurnInput {
        text: Some("a table for two at eight please".into()),
        ..chat.input()
    };
    assert_eq!(send(&mut chat, &held).state, TalkState::Notice);
    let on = TurnInput {
        choice: Some(chat.id("Continue")),
        ..chat.input()
    };
    let on = send(&mut chat, &on);
    assert_eq!(on.replay, ["m1"]);
    assert!(!send(&mut chat, &held).handled, "not asked again");
    let delivery = on.delivery.expect("what stands for it");
    let group = Group {
        changes: true,
        ..Group::default()
    };
    let made = world
        .vault()
        .together(&call(&bot, Some("support")), group, move |desk, _| {
            desk.create_subject_told("web", "stranger", &delivery)
                .map_err(|_| SubjectId::from_bytes([0; 16]))
                .map(|(subject, _)| subject)
        });
    let subject = made.unwrap().unwrap();
    writes(&world, subject).unwrap();
    let evidence = shown(&world, subject)[0].evidence.clone();
    assert_eq!(evidence.unwrap().message, "m2");
    // Another conversation of nobody begins anew.
    world.bench.clock.advance(MINUTE);
    let other = world.chat("another").say("a table for two at eight please");
    assert_eq!(other.state, TalkState::Notice);
}

#[test]
fn nothing_waits_where_others_read_along_or_where_the_policy_asks_for_no_notice() {
    let world = World::of(GATE);
    let jane = known(&world);
    let mut chat = world.chat("jane");
    chat.private = false;
    let small = chat.say("a table for two at eight please");
    assert!(!small.handled && small.state == TalkState::Idle);
    chat.private = true;
    chat.say("near the window");
    chat.private = false;
    assert!(
        !chat.say("hello").handled,
        "what is said there is the bot's"
    );
    chat.private = true;
    chat.say("are you there?");
    assert_eq!(chat.pick("Continue").replay, ["m2", "m4"]);
    assert_eq!(shown(&world, jane).len(), 1);
    let world = World::new();
    known(&world);
    assert!(
        !world
            .chat("jane")
            .say("a table for two at eight please")
            .handled
    );
    assert!(
        !world
            .chat("nobody")
            .say("a table for two at eight please")
            .handled
    );
}

#[test]
fn a_notice_that_the_bot_showed_itself_meanwhile_sets_free_what_waits() {
    let world = World::of(GATE);
    let jane = known(&world);
    let mut chat = world.chat("jane");
    chat.say("a table for two at eight please");
    let notice = world.vault().notice(Some("en")).unwrap();
    let input = crate::vault::NoticeInput {
        about: crate::vault::NoticeAbout::Processing,
        version: Some(notice.version),
        language: notice.language,
        channel: None,
        sha256: notice.sha256,
        acknowledged: true,
    };
    let support = call(&world.bot, Some("support"));
    world.vault().record_notice(&support, jane, input).unwrap();
    let next = chat.say("near the window");
    assert_eq!((next.handled, next.replay), (false, vec!["m1".to_owned()]));
    assert_eq!(shown(&world, jane).len(), 1);
    assert_eq!(
        requests(&world, jane)
            .iter()
            .filter(|one| one.0 == RequestKind::Object)
            .count(),
        0
    );
}
