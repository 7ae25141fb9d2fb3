//! Many byte strings, looked for at once.

use std::collections::HashMap;

/// Shortest string that is looked for: shorter ones stand in random bytes by chance.
pub const NEEDLE_MIN: usize = 6;

/// Byte strings to look for, by number.
#[derive(Clone, Default)]
pub struct Needles {
    strings: Vec<Vec<u8>>,
    /// A bit for each beginning of two bytes that one of them has: few enough to stay in the nearest
    /// cache, where random bytes are looked through.
    pairs: Vec<u64>,
    /// The same for three bytes.
    begins: Vec<u64>,
    /// The numbers of those that begin with these bytes.
    by_start: HashMap<[u8; NEEDLE_MIN], Vec<usize>>,
}

impl Needles {
    /// The strings, whose numbers are their places.
    ///
    /// # Panics
    ///
    /// If one is shorter than [`NEEDLE_MIN`]: it would be found by chance.
    #[must_use]
    pub fn new(strings: Vec<Vec<u8>>) -> Self {
        let (mut pairs, mut begins) = (vec![0; (1 << 16) / 64], vec![0; (1 << 24) / 64]);
        let mut by_start: HashMap<_, Vec<usize>> = HashMap::new();
        for (number, string) in strings.iter().enumerate() {
            let start = string.first_chunk().expect("a string of some bytes");
            for (bits, at) in [
                (&mut pairs, begin::<2>(start)),
                (&mut begins, begin::<3>(start)),
            ] {
                bits[at / 64] |= 1 << (at % 64);
            }
            by_start.entry(*start).or_default().push(number);
        }
        Self {
            strings,
            pairs,
            begins,
            by_start,
        }
    }

    /// Tells `found` the number of each string that stands in `text`, and where.
    pub fn find(&self, text: &[u8], mut found: impl FnMut(usize, usize)) {
        if self.strings.is_empty() {
            return;
        }
        for (at, start) in text.windows(NEEDLE_MIN).enumerate() {
            let start: &[u8; NEEDLE_MIN] = start.try_into().expect("a window");
            if !is_set(&self.pairs, begin::<2>(start)) || !is_set(&self.begins, begin::<3>(start)) {
                continue;
            }
            for &number in self.by_start.get(start).into_iter().flatten() {
                if text[at..].starts_with(&self.strings[number]) {
                    found(number, at);
                }
            }
        }
    }
}

/// The first bytes as a number.
fn begin<const BYTES: usize>(start: &[u8; NEEDLE_MIN]) -> usize {
    let bytes = start[..BYTES].iter();
    bytes.fold(0, |number, byte| number << 8 | usize::from(*byte))
}

fn is_set(bits: &[u64], at: usize) -> bool {
    bits[at / 64] & 1 << (at % 64) != 0
}

#[test]
fn each_string_is_found_wherever_it_stands_and_no_other_is() {
    let strings = ["alida@mail", "alida@post", "suitcase"];
    let needles = Needles::new(strings.map(|text| text.as_bytes().to_vec()).into());
    let found = |text: &str| {
        let mut found = Vec::new();
        needles.find(text.as_bytes(), |number, at| found.push((number, at)));
        found
    };
    assert_eq!(found("alida@mail lost a suitcase"), [(0, 0), (2, 18)]);
    assert_eq!(found("suitcasalida@pos"), []);
    assert_eq!(found("suitcasuitcase"), [(2, 6)]);
}
