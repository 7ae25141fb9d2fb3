//! What texts are likened by.
//!
//! A feature is the hash of a piece of the text: a word, two beside one another or around a third, or
//! three to four letters on end, so that a mistyped word is still like itself. Two pieces with one hash
//! would count as one; of thirty thousand in a list that is one chance in ten.

/// A piece of a text, as a hash of it.
pub(super) type Feature = u32;

/// FNV-1a over the pieces, folded. Source: draft-eastlake-fnv.
fn hash(kind: u8, pieces: &[&str]) -> Feature {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    let mut take = |byte: u8| state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    take(kind);
    for piece in pieces {
        piece.bytes().for_each(&mut take);
        // No byte of UTF-8.
        take(0xff);
    }
    (state >> 32) as u32 ^ state as u32
}

/// The feature that a word is.
pub(super) fn word(text: &str) -> Feature {
    hash(b'w', &[text])
}

/// The features of a text, as often as they occur in it.
pub(super) fn features(words: &[String]) -> Vec<Feature> {
    let mut features = Vec::new();
    for text in words {
        features.push(word(text));
        let marked = format!("^{text}$");
        let ends: Vec<usize> = marked
            .char_indices()
            .map(|(at, _)| at)
            .chain([marked.len()])
            .collect();
        for letters in 3..=4 {
            let groups = ends.iter().zip(ends.iter().skip(letters));
            features.extend(groups.map(|(from, to)| hash(b'l', &[&marked[*from..*to]])));
        }
    }
    features.extend(
        words
            .windows(2)
            .map(|pair| hash(b'p', &[&pair[0], &pair[1]])),
    );
    features.extend(
        words
            .windows(3)
            .map(|group| hash(b'a', &[&group[0], &group[2]])),
    );
    if let (Some(first), Some(last)) = (words.first(), words.last()) {
        features.push(hash(b'b', &[first]));
        features.push(hash(b'e', &[last]));
    }
    features
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<Feature> {
        features(&text.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_mistyped_word_shares_most_letters_with_the_right_one() {
        let (right, mistyped) = (of("information"), of("infomation"));
        let shared = right
            .iter()
            .filter(|feature| mistyped.contains(feature))
            .count();
        assert!(shared * 2 > right.len(), "{shared} of {}", right.len());
        assert!(!of("holiday").iter().any(|feature| right.contains(feature)));
    }

    #[test]
    fn the_order_of_words_is_a_feature() {
        assert_ne!(of("a b"), of("b a"));
        assert!(features(&[]).is_empty());
    }
}
