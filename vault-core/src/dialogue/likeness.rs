//! How like a text is to what is said for each intent.
//!
//! From the phrases of a language we learn what speaks for each intent, and what for any matter of rights
//! at all (see `learning`). The lists are the whole of what it knows: no other data, no model that came
//! from elsewhere.

use super::features::{Feature, features};
use super::learning::{CLASSES, Example, Scores, Weighed, learn};
use super::lists::Lists;
use super::words::Cue;
use super::{INTENTS_MAX, Intent};

const INTENTS: usize = Intent::ALL.len();
/// The class behind those of the intents: a matter of rights, whichever.
const MATTER: usize = INTENTS;
const _: () = assert!(
    INTENTS + 1 == CLASSES,
    "a class for each intent and one for the matter"
);

/// How far a text with a cue must be on the side of matters of rights.
const MATTER_MIN: f32 = 0.2;
/// How far one without.
const MATTER_MIN_WITHOUT_CUE: f32 = 0.45;
/// From how far on an intent is offered alone.
const SURE_MIN: f32 = 0.75;
/// How much further behind the likeliest an intent is no longer offered.
const OFFERED: f32 = 0.3;
/// What a mistake costs.
const COST: f32 = 2.0;
/// How much more it costs with a phrase of an intent than with one of another: there are fewer.
const COST_OWN: f32 = 3.0;
/// What a feature that no phrase has adds to the square of a text's length.
const STRANGE: f32 = 12.0;
/// Parts of one in a stored weight.
const WEIGHT_PARTS: f32 = 4096.0;

/// What a feature says.
struct Known {
    feature: Feature,
    /// In how many phrases it is.
    phrases: u16,
    /// What it speaks for, in [`WEIGHT_PARTS`].
    weights: [i16; CLASSES],
}

/// How texts of one language are told apart.
pub(super) struct Likeness {
    cues: Vec<Cue>,
    /// In the order of the features.
    known: Vec<Known>,
    bias: Scores,
    phrases: f32,
}

/// How much a feature counts that so many phrases of all have: the rarer the more. Square roots alone,
/// since they are exact everywhere and logarithms are not.
fn rarity(all: f32, phrases: u16) -> f32 {
    (all / (f32::from(phrases) + 0.5)).sqrt().sqrt().sqrt()
}

/// Features by their index, with a length of 1 together; those that no phrase has only add to the length.
fn weigh(
    words: &[String],
    index: impl Fn(Feature) -> Option<usize>,
    rarity: impl Fn(usize) -> f32,
) -> Weighed {
    let (mut found, mut strange) = (Vec::new(), 0.0);
    for feature in features(words) {
        match index(feature) {
            Some(index) => found.push(index),
            None => strange += STRANGE,
        }
    }
    // A fixed order: sums of fractions depend on it.
    found.sort_unstable();
    let groups = found.chunk_by(|one, other| one == other);
    let amount = |group: &[usize]| (group[0] as u32, group.len() as f32 * rarity(group[0]));
    let mut weighed: Weighed = groups.map(amount).collect();
    let squares: f32 = weighed.iter().map(|(_, amount)| amount * amount).sum();
    let length = (squares + strange).sqrt().max(f32::MIN_POSITIVE);
    weighed.iter_mut().for_each(|(_, amount)| *amount /= length);
    weighed
}

/// On which side of each class a phrase is.
fn sides(intent: Option<Intent>) -> Scores {
    std::array::from_fn(|class| match (class, intent) {
        (MATTER, Some(_)) => COST,
        (_, Some(intent)) if class == intent as usize => COST * COST_OWN,
        _ => -COST,
    })
}

/// The features of phrases in order, each with how many phrases have it.
fn counted(lists: &Lists) -> Vec<(Feature, u16)> {
    let mut all = Vec::new();
    for (_, phrase) in &lists.phrases {
        let mut once = features(phrase);
        once.sort_unstable();
        once.dedup();
        all.append(&mut once);
    }
    all.sort_unstable();
    let groups = all.chunk_by(|one, other| one == other);
    let counted = groups.map(|group| (group[0], u16::try_from(group.len()).unwrap_or(u16::MAX)));
    counted.collect()
}

impl Likeness {
    /// Learns the lists of a language.
    pub(super) fn of(lists: &Lists) -> Self {
        let counted = counted(lists);
        let all = lists.phrases.len() as f32 + 1.0;
        let index = |feature| {
            counted
                .binary_search_by_key(&feature, |(known, _)| *known)
                .ok()
        };
        let examples = lists.phrases.iter().map(|(intent, phrase)| Example {
            features: weigh(phrase, index, |at| rarity(all, counted[at].1)),
            sides: sides(*intent),
        });
        let learned = learn(&examples.collect::<Vec<_>>(), counted.len());
        let known = counted.iter().zip(&learned.features);
        let known = known.map(|((feature, phrases), weights)| Known {
            feature: *feature,
            phrases: *phrases,
            // `as` stops at the ends of the type, and no weight comes near them.
            weights: weights.map(|weight| (weight * WEIGHT_PARTS).round() as i16),
        });
        Self {
            cues: lists.cues.clone(),
            known: known.collect(),
            bias: learned.bias,
            phrases: all,
        }
    }

    /// How far a text is on the side of each class.
    fn scores(&self, words: &[String]) -> Scores {
        let index = |feature| {
            self.known
                .binary_search_by_key(&feature, |known| known.feature)
                .ok()
        };
        let rarity = |at: usize| rarity(self.phrases, self.known[at].phrases);
        let mut scores = self.bias;
        for (at, amount) in weigh(words, index, rarity) {
            let amount = amount / WEIGHT_PARTS;
            for (score, weight) in scores.iter_mut().zip(&self.known[at as usize].weights) {
                *score += f32::from(*weight) * amount;
            }
        }
        scores
    }

    /// What words ask for, the likeliest first, and how much it is a matter of rights.
    fn judge_words(&self, words: &[String]) -> Option<(f32, Vec<Intent>)> {
        let scores = self.scores(words);
        let cue = self.cues.iter().any(|cue| cue.found(words));
        let least = if cue {
            MATTER_MIN
        } else {
            MATTER_MIN_WITHOUT_CUE
        };
        let sure = scores[MATTER] - least;
        if words.is_empty() || sure < 0.0 {
            return None;
        }
        let mut ranked: Vec<(f32, Intent)> = scores
            .into_iter()
            .zip(Intent::ALL.iter().copied())
            .collect();
        ranked.sort_by(|one, other| other.0.total_cmp(&one.0));
        let best = ranked[0].0;
        let alone = scores[MATTER] >= SURE_MIN;
        let offered = ranked.into_iter().take(INTENTS_MAX).enumerate();
        let offered =
            offered.filter(|(at, (score, _))| best - score < OFFERED || (*at == 1 && !alone));
        Some((sure, offered.map(|(_, (_, intent))| intent).collect()))
    }

    /// What a text asks for, the likeliest first: as a whole, or in the sentence of it that is most a
    /// matter of rights.
    pub(super) fn judge(&self, sentences: &[Vec<String>]) -> Vec<Intent> {
        let mut best = self.judge_words(&sentences.concat());
        if sentences.len() > 1 {
            for judged in sentences.iter().filter_map(|words| self.judge_words(words)) {
                if best.as_ref().is_none_or(|best| judged.0 > best.0) {
                    best = Some(judged);
                }
            }
        }
        best.map_or_else(Vec::new, |(_, intents)| intents)
    }
}
