//! What people ask of their rights is recognised as well as docs/dialogue.md says, in each language.
//!
//! The phrases are by other writers than the lists that are learned from, and whoever changes the lists
//! does not look at them: `cargo test -p vault-tests --test asking -- --nocapture` prints the figures.

#![expect(clippy::print_stdout, reason = "the figures are for whoever runs this")]

use vault_core::dialogue::{Intent, Language, recognise, understand};
use vault_tests::asking::{Counts, HEAD, phrases};

/// The least of a language, in thousandths: noticed, first, offered, right of those offered alone; and the
/// most of look-alikes that are taken for requests.
const FLOORS: [(Language, [usize; 4], usize); 8] = [
    (Language::De, [910, 850, 885, 960], 90),
    (Language::En, [920, 855, 895, 960], 80),
    (Language::Es, [935, 875, 910, 965], 100),
    (Language::Fr, [950, 885, 925, 965], 100),
    (Language::It, [915, 840, 885, 950], 70),
    (Language::Nl, [915, 845, 880, 955], 70),
    (Language::Pl, [915, 835, 880, 945], 50),
    (Language::Pt, [940, 875, 910, 960], 70),
];

fn counts(language: Language, recognised: impl Fn(&str) -> Vec<Intent>) -> Counts {
    let mut counts = Counts::default();
    for phrase in phrases(language) {
        counts.add(phrase.wanted, &recognised(&phrase.text));
    }
    counts
}

/// Which floors of a language do not hold.
fn below(counts: &Counts, floors: &[usize; 4], taken_max: usize) -> Vec<&'static str> {
    let [noticed, first, offered, _, right, taken] = counts.thousandths();
    let names = ["noticed", "first", "offered", "right of those alone"];
    let least = [noticed, first, offered, right]
        .into_iter()
        .zip(floors)
        .zip(names);
    let mut below: Vec<_> = least
        .filter(|((is, least), _)| is < least)
        .map(|(_, name)| name)
        .collect();
    if taken > taken_max {
        below.push("taken");
    }
    below
}

#[test]
fn each_language_is_understood_as_well_as_its_figures_say() {
    println!("{HEAD}");
    for (language, floors, taken_max) in FLOORS {
        let counts = counts(language, |text| recognise(language, text));
        println!("{:7} {counts}", language.name());
        assert!(counts.asking > 800 && counts.others > 80, "{language:?}");
        let below = below(&counts, &floors, taken_max);
        assert!(below.is_empty(), "{language:?}: {below:?}");
    }
}

/// The control: a recogniser that is worse is found out.
#[test]
fn a_recogniser_that_notices_all_or_guesses_is_found_out() {
    let (language, floors, taken_max) = FLOORS[1];
    let all = counts(language, |_| vec![Intent::Erase]);
    assert_eq!(
        below(&all, &floors, taken_max),
        ["first", "offered", "right of those alone", "taken"]
    );
    let none = counts(language, |_| Vec::new());
    assert_eq!(below(&none, &floors, taken_max).len(), 4);
    let shifted = counts(language, |text| {
        let next = |intent: Intent| Intent::ALL[(intent as usize + 1) % Intent::ALL.len()];
        recognise(language, text).into_iter().map(next).collect()
    });
    assert_eq!(
        below(&shifted, &floors, taken_max),
        ["first", "offered", "right of those alone"]
    );
}

/// People who write in another language than that of the channel: every fifth phrase of all others.
#[test]
fn another_language_than_that_of_the_channel_is_understood_nearly_as_well() {
    println!("{HEAD}  right language");
    for expected in Language::ALL.iter().copied() {
        let (mut counts, mut right) = (Counts::default(), 0);
        for spoken in Language::ALL
            .iter()
            .copied()
            .filter(|spoken| *spoken != expected)
        {
            for phrase in phrases(spoken).into_iter().step_by(5) {
                let understood = understand(Some(expected), &phrase.text);
                let intents = understood
                    .as_ref()
                    .map_or(&[][..], |understood| &understood.intents);
                counts.add(phrase.wanted, intents);
                let same = understood
                    .as_ref()
                    .is_some_and(|understood| understood.language == spoken);
                right += usize::from(phrase.wanted.is_some() && same);
            }
        }
        let language = right * 1000 / counts.noticed;
        println!(
            "{:7} {counts} {:>9}.{} %",
            expected.name(),
            language / 10,
            language % 10
        );
        let [noticed, _, offered, .., taken] = counts.thousandths();
        assert!(
            noticed >= 900 && offered >= 860 && taken <= 100,
            "{expected:?}: {counts}"
        );
        assert!(language >= 840, "{expected:?}: {language}");
    }
}
