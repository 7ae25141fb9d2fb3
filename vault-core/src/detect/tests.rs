use super::*;

/// The kinds that are likely in `text`, and their bytes.
fn likely(text: &str) -> Vec<(Kind, &str)> {
    let found = find(text.as_bytes()).into_iter();
    found
        .filter(|finding| finding.certainty == Certainty::Likely)
        .map(|finding| (finding.kind, &text[finding.start..finding.end]))
        .collect()
}

#[test]
fn a_find_is_told_by_its_bytes() {
    assert_eq!(
        likely("card 4111 1111 1111 1111 12/27, mail ann@example.test."),
        [
            (Kind::Card, "4111 1111 1111 1111"),
            (Kind::Email, "ann@example.test")
        ]
    );
}

#[test]
fn what_is_taken_out_leaves_its_name() {
    let text = b"from 192.0.2.7: <ann@example.test>";
    let clean = redact(text, &find(text));
    assert_eq!(String::from_utf8_lossy(&clean), "from [ipv4]: <[email]>");
}

#[test]
fn a_common_shape_counts_behind_its_word_alone() {
    assert_eq!(likely("order 111222333"), []);
    assert_eq!(likely("BSN: 111222333"), [(Kind::NlBsn, "111222333")]);
    let found = find(b"order 111222333");
    assert_eq!(found[0].certainty, Certainty::Possible);
    assert_eq!(found[0].kind, Kind::NlBsn);
}

#[test]
fn bytes_that_are_no_text_separate_and_harm_nothing() {
    let text = b"\xff\xfe4111111111111111\xffann@example.test\x00";
    let kinds: Vec<Kind> = find(text).iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [Kind::Card, Kind::Email]);
}

#[test]
fn every_name_is_its_kinds() {
    for kind in Kind::ALL {
        assert_eq!(Kind::named(kind.name()), Some(kind));
    }
    assert_eq!(Kind::named("name"), None);
}

/// One line a sample: kinds joined by commas (or `-`), a bar, the text. Numbers are those that schemes and
/// authorities publish as examples, or were made with their check digits; nobody's.
const LABELLED: &str = include_str!("labelled.txt");

#[test]
fn of_the_labelled_lines_nearly_all_are_told_right() {
    let (mut right, mut missed, mut wrong) = (0, 0, 0);
    let mut told = String::new();
    for line in LABELLED
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (kinds, text) = line.split_once('|').expect("kinds and a text");
        let mut expected: Vec<&str> = kinds.split(',').filter(|kind| *kind != "-").collect();
        for (kind, bytes) in likely(text) {
            match expected.iter().position(|name| *name == kind.name()) {
                Some(place) => {
                    expected.swap_remove(place);
                    right += 1;
                }
                None => {
                    wrong += 1;
                    let _ = writeln!(told, "wrong: {} for {bytes:?} in {text:?}", kind.name());
                }
            }
        }
        missed += expected.len();
        for kind in expected {
            let _ = writeln!(told, "missed: {kind} in {text:?}");
        }
    }
    let precision = f64::from(right) / f64::from(right + wrong);
    let recall = f64::from(right) / (f64::from(right) + missed as f64);
    assert!(precision >= 0.97, "precision {precision:.3}\n{told}");
    assert!(recall >= 0.95, "recall {recall:.3}\n{told}");
}
