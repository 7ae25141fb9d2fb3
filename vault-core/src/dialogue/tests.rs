use proptest::prelude::*;

use super::*;

/// Texts with something in them that the lists know, and anything.
fn texts() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "delete",
        "my data",
        "DSGVO",
        "no",
        "¿qué",
        "dane",
        "l'adresse",
        "please",
        "\n",
        "...",
        "42",
        "wer hat",
        "unsubscribe",
        "é",
        "ﬁ",
        "ΑΣ",
    ]);
    let piece = prop_oneof![known.prop_map(str::to_owned), "\\PC{0,20}", any::<String>()];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.join(" "))
}

fn languages() -> impl Strategy<Value = Language> {
    prop::sample::select(vec![Language::En, Language::Pl])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn at_most_three_intents_are_offered_each_once_and_the_same_ones_again(
        text in texts(),
        language in languages(),
    ) {
        let intents = recognise(language, &text);
        prop_assert!(intents.len() <= INTENTS_MAX);
        for (at, intent) in intents.iter().enumerate() {
            prop_assert!(!intents[..at].contains(intent));
        }
        prop_assert_eq!(&intents, &recognise(language, &text));
        if !intents.is_empty() {
            let understood = understand(Some(language), &text);
            prop_assert_eq!(understood, Some(Understood { language, intents }));
        }
        let _ = control(&text);
    }

    #[test]
    fn case_and_punctuation_change_nothing(
        words in prop::collection::vec("[a-z]{1,9}", 0..8),
        language in languages(),
    ) {
        let plain = format!("delete my data {}", words.join(" "));
        let decorated = format!("  {}!?", plain.to_uppercase().replace(' ', ", "));
        prop_assert_eq!(recognise(language, &plain), recognise(language, &decorated));
    }
}

#[test]
fn accents_change_nothing() {
    let (with, without) = (
        "usuńcie wszystkie moje zdjęcia",
        "usuncie wszystkie moje zdjecia",
    );
    assert_eq!(recognise(Language::Pl, with)[0], Intent::Erase);
    assert_eq!(
        recognise(Language::Pl, with),
        recognise(Language::Pl, without)
    );
}

#[test]
fn what_is_asked_plainly_is_understood_and_its_neighbours_are_not() {
    let english = |text| recognise(Language::En, text);
    assert_eq!(
        english("please delete everything you have about me")[0],
        Intent::Erase
    );
    assert_eq!(english("what do you know about me?")[0], Intent::Access);
    assert_eq!(
        recognise(Language::De, "Bitte keine Werbung mehr")[0],
        Intent::StopMarketing
    );
    for other in [
        "",
        "?!",
        "please delete my alarm at seven",
        "what do you know about this hotel?",
    ] {
        assert_eq!(english(other), [], "{other:?}");
    }
}

#[test]
fn a_request_among_other_sentences_is_found() {
    let around = "Hi there. I ordered a lamp last week and it came on Tuesday, thanks for that.";
    let text =
        format!("{around} Now please delete all the data you have about me. Have a nice day!");
    assert_eq!(recognise(Language::En, &text)[0], Intent::Erase);
    assert_eq!(recognise(Language::En, around), []);
}

#[test]
fn another_language_than_the_expected_one_is_understood() {
    let understood = understand(
        Some(Language::En),
        "Welche Daten habt ihr über mich gespeichert?",
    );
    let understood = understood.expect("a request");
    assert_eq!(
        (understood.language, understood.intents[0]),
        (Language::De, Intent::Access)
    );
    assert_eq!(understand(None, "esborreu-ho tot, si us plau"), None);
    assert_eq!(
        understand(Some(Language::Fr), "Ich hätte gern einen Tisch für zwei"),
        None
    );
}

#[test]
fn a_tag_is_a_language_by_its_first_part() {
    assert_eq!(Language::of_tag("de-AT"), Some(Language::De));
    assert_eq!(Language::of_tag("PT_br"), Some(Language::Pt));
    assert_eq!(Language::of_tag("den"), None);
    assert_eq!(Language::of_tag(""), None);
}

#[test]
fn a_control_is_the_whole_of_what_is_said() {
    assert_eq!(control("Cancel."), Some(Control::Cancel));
    assert_eq!(control("Pomóż mi!"), Some(Control::Help));
    assert_eq!(control("einen Menschen, bitte"), Some(Control::Human));
    assert_eq!(control("NON"), Some(Control::No));
    assert_eq!(control("sí"), Some(Control::Yes));
    assert_eq!(
        control("Français, s'il vous plaît !"),
        Some(Control::Language(Language::Fr))
    );
    for other in [
        "",
        " . ",
        "no data please",
        "cancel my order",
        "yes and no",
        "delete",
    ] {
        assert_eq!(control(other), None, "{other:?}");
    }
}

#[test]
fn no_control_means_two_things_and_each_language_has_every_one() {
    let mut all: Vec<(String, Control)> = Vec::new();
    for language in Language::ALL {
        let own = lists::Lists::parse(language.phrases()).controls;
        let languages = Language::ALL
            .iter()
            .map(|language| Control::Language(*language));
        let plain = [
            Control::Cancel,
            Control::Help,
            Control::Human,
            Control::No,
            Control::Yes,
        ];
        for wanted in plain.into_iter().chain(languages) {
            assert!(
                own.iter().any(|(control, _)| *control == wanted),
                "{language:?} {wanted:?}"
            );
        }
        all.extend(own.into_iter().map(|(control, form)| (form, control)));
    }
    for (form, control) in &all {
        assert!(!form.is_empty());
        let twice = all
            .iter()
            .find(|(other, means)| other == form && means != control);
        assert_eq!(twice, None, "{form} is also {control:?}");
    }
}

#[test]
fn each_language_has_enough_phrases_and_none_for_two_intents() {
    for language in Language::ALL {
        let lists = lists::Lists::parse(language.phrases());
        assert!(lists.cues.len() > 100, "{language:?}");
        let with = |intent| {
            lists
                .phrases
                .iter()
                .filter(move |(of, _)| *of == intent)
                .count()
        };
        assert!(with(None) > 400, "{language:?}");
        for intent in Intent::ALL {
            assert!(with(Some(*intent)) > 60, "{language:?} {intent:?}");
        }
        for (at, (intent, phrase)) in lists.phrases.iter().enumerate() {
            let twice = lists.phrases[..at]
                .iter()
                .find(|(of, same)| same == phrase && of != intent);
            assert_eq!(twice, None, "{language:?} {intent:?}");
        }
    }
}

#[test]
fn the_same_lists_teach_the_same() {
    let lists = lists::Lists::parse(Language::It.phrases());
    let other = likeness::Likeness::of(&lists);
    for (_, phrase) in lists.phrases.iter().step_by(20) {
        let sentences = [phrase.clone()];
        assert_eq!(
            Language::It.likeness().judge(&sentences),
            other.judge(&sentences)
        );
    }
}
