//! The known name that a mistyped one was probably meant to be.
//!
//! Knows nothing of what is named.

/// Longest word that is compared, in characters: longer ones have no near neighbour here.
const WORD_CHARS_MAX: usize = 64;

/// The candidate with the smallest edit distance to `word`, if it is near: at most a third of the
/// word's characters (and never fewer than one) would have to change. The first of equals.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(WORD_CHARS_MAX + 1).collect();
    if word.len() > WORD_CHARS_MAX {
        return None;
    }
    let far = (word.len() / 3).max(1) + 1;
    let mut best = None;
    let mut best_distance = far;
    for candidate in candidates {
        let chars: Vec<char> = candidate.chars().take(WORD_CHARS_MAX + 1).collect();
        if chars.len().abs_diff(word.len()) >= best_distance {
            continue;
        }
        let distance = distance(&word, &chars);
        if distance < best_distance {
            (best, best_distance) = (Some(candidate), distance);
        }
    }
    best
}

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &to) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(from != to))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && from == b[j - 1] && a[i - 1] == to {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_another_word_finds_none() {
        let known = ["retention", "recipients", "purposes", "basis", "dpo"];
        assert_eq!(nearest("retension", known), Some("retention"));
        assert_eq!(nearest("purpose", known), Some("purposes"));
        assert_eq!(nearest("bassi", known), Some("basis"));
        assert_eq!(nearest("dop", known), Some("dpo"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
