//! How like a text is to what is said for each intent.
//!
//! A feature of a text speaks for an intent as much as it occurs more often in the phrases for it than in
//! all others: the logarithm of the ratio, weighted by how rare the feature is. Sums of these tell the
//! likeliest intent, and in the same way whether the text is a matter of rights at all. Closed form, no
//! training: the lists are the whole of what it knows.
//!
//! Source: Rennie, Shih, Teevan, Karger, "Tackling the Poor Assumptions of Naive Bayes Text Classifiers"
//! (ICML 2003), complement naive Bayes with TF-IDF and length normalisation.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::lists::Lists;
use super::words::{Cue, features, words};
use super::{INTENTS_MAX, Intent};

/// What a feature that never occurred is taken to have: a share of one phrase.
const SMOOTHING: f64 = 0.1 / 28.0;
/// From which difference on a text is a matter of rights.
const MATTER_MIN: f64 = 0.5;
/// How much further behind the likeliest an intent is no longer offered.
const OFFERED: f64 = 1.0;
/// Of how many phrases a feature is known at least.
const PHRASES_MIN: usize = 1;

const INTENTS: usize = Intent::ALL.len();

/// What a feature says.
struct Feature {
    /// How rare it is.
    rarity: f32,
    /// For each intent.
    intents: [f32; INTENTS],
    /// For a matter of rights, against any other.
    matter: f32,
}

/// How texts of one language are told apart.
pub(super) struct Likeness {
    cues: Vec<Cue>,
    features: HashMap<String, Feature>,
    /// What a feature that no phrase has adds to a text's length.
    unknown: f64,
}

/// Features of a text with their weight, of length 1 together.
fn weigh(texts: &[String], rarity: impl Fn(&str) -> Option<f64>, unknown: f64) -> BTreeMap<String, f64> {
    let mut weights: BTreeMap<String, f64> = BTreeMap::new();
    let mut strange = 0.0;
    for feature in features(texts) {
        match rarity(&feature) {
            Some(rarity) => *weights.entry(feature).or_default() += rarity,
            None => strange += unknown,
        }
    }
    let squares: f64 = weights.values().map(|weight| weight * weight).sum();
    let length = (squares + strange).sqrt().max(f64::MIN_POSITIVE);
    weights.values_mut().for_each(|weight| *weight /= length);
    weights
}

/// The logarithm of how much more often than elsewhere.
fn ratio(own: f64, others: f64) -> f32 {
    ((own + SMOOTHING) / (others + SMOOTHING)).ln() as f32
}

impl Likeness {
    /// What the lists of a language tell.
    pub(super) fn of(lists: &Lists) -> Self {
        let mut occurs: BTreeMap<String, usize> = BTreeMap::new();
        for (_, phrase) in &lists.phrases {
            let once: BTreeSet<String> = features(phrase).into_iter().collect();
            for feature in once {
                *occurs.entry(feature).or_default() += 1;
            }
        }
        occurs.retain(|_, phrases| *phrases >= PHRASES_MIN);
        let all = lists.phrases.len() as f64 + 1.0;
        let rarity = |feature: &str| {
            let phrases = occurs.get(feature)?;
            Some((all / (*phrases as f64 + 0.5)).ln())
        };
        let unknown = 0.1 * all.ln() * all.ln();

        // Mean weight of each feature in the phrases of each intent; the last is for what asks nothing.
        let mut sizes = [0.0; INTENTS + 1];
        let mut sums: BTreeMap<String, [f64; INTENTS + 1]> = BTreeMap::new();
        let place = |intent: Option<Intent>| {
            let place = Intent::ALL.iter().position(|one| Some(*one) == intent);
            place.unwrap_or(INTENTS)
        };
        for (intent, phrase) in &lists.phrases {
            let place = place(*intent);
            sizes[place] += 1.0;
            for (feature, weight) in weigh(phrase, rarity, unknown) {
                sums.entry(feature).or_default()[place] += weight;
            }
        }
        let asking: f64 = sizes[..INTENTS].iter().sum();
        let features = sums.into_iter().map(|(feature, sums)| {
            let means: Vec<f64> = sums.iter().zip(sizes).map(|(sum, size)| sum / f64::max(size, 1.0)).collect();
            let total: f64 = means[..INTENTS].iter().sum();
            let matter = ratio(sums[..INTENTS].iter().sum::<f64>() / asking, means[INTENTS]);
            let others = (INTENTS - 1) as f64;
            let intents = std::array::from_fn(|at| ratio(means[at], (total - means[at]) / others));
            let rarity = rarity(&feature).expect("it occurs") as f32;
            (feature, Feature { rarity, intents, matter })
        });
        Self {
            features: features.collect(),
            cues: Vec::new(),
            unknown,
        }
        .with_cues(lists)
    }

    fn with_cues(mut self, lists: &Lists) -> Self {
        self.cues = lists.cues.clone();
        self
    }

    /// What a text asks for, the likeliest first.
    pub(super) fn judge(&self, text: &str) -> Vec<Intent> {
        let words = words(text);
        if !self.cues.iter().any(|cue| cue.found(&words)) {
            return Vec::new();
        }
        let rarity = |feature: &str| Some(f64::from(self.features.get(feature)?.rarity));
        let (mut matter, mut intents) = (0.0, [0.0; INTENTS]);
        for (feature, weight) in weigh(&words, rarity, self.unknown) {
            let known = &self.features[&feature];
            matter += weight * f64::from(known.matter);
            for (sum, says) in intents.iter_mut().zip(known.intents) {
                *sum += weight * f64::from(says);
            }
        }
        if matter < MATTER_MIN {
            return Vec::new();
        }
        let mut ranked: Vec<(f64, Intent)> = intents.into_iter().zip(Intent::ALL.iter().copied()).collect();
        ranked.sort_by(|one, other| other.0.total_cmp(&one.0));
        let best = ranked[0].0;
        let offered = ranked.into_iter().take(INTENTS_MAX);
        offered.filter(|(sum, _)| best - sum < OFFERED).map(|(_, intent)| intent).collect()
    }
}
