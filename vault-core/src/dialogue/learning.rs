//! Learns from examples what speaks for each of a few classes, and how much.
//!
//! A class is a weight for each feature: those with which the examples of the class lie as far as
//! possible on one side and all others on the other. There is one best set of weights; we come near it
//! going through the examples a fixed number of times in a fixed order, with additions, multiplications
//! and divisions alone: the same examples give the same weights on every machine.
//!
//! Source: Hsieh, Chang, Lin, Keerthi, Sundararajan, "A Dual Coordinate Descent Method for Large-scale
//! Linear SVM" (ICML 2008), algorithm 1 with squared loss, one class against the others.
//!
//! Knows nothing of texts or rights.

/// Classes that are learned at once.
pub(super) const CLASSES: usize = 16;

/// How often the examples are gone through.
const ROUNDS: usize = 10;

/// A number for each class.
pub(super) type Scores = [f32; CLASSES];

/// A feature by its index, and how much of it there is.
pub(super) type Weighed = Vec<(u32, f32)>;

/// One example.
pub(super) struct Example {
    pub(super) features: Weighed,
    /// Which side it is on and what a mistake with it costs, for each class: above zero for one of the
    /// class, below for one of the others.
    pub(super) sides: Scores,
}

/// What was learned.
pub(super) struct Weights {
    pub(super) features: Vec<Scores>,
    /// What speaks for each class beforehand.
    pub(super) bias: Scores,
}

impl Weights {
    /// How far on the side of each class a text is; 1 is as far as the examples were put.
    fn scores(&self, features: &Weighed) -> Scores {
        let mut scores = self.bias;
        for (feature, amount) in features {
            let weights = &self.features[*feature as usize];
            for (score, weight) in scores.iter_mut().zip(weights) {
                *score += weight * amount;
            }
        }
        scores
    }

    fn add(&mut self, features: &Weighed, step: &Scores) {
        for (bias, step) in self.bias.iter_mut().zip(step) {
            *bias += step;
        }
        for (feature, amount) in features {
            let weights = &mut self.features[*feature as usize];
            for (weight, step) in weights.iter_mut().zip(step) {
                *weight += step * amount;
            }
        }
    }
}

/// Puts indices into the next of a fixed sequence of orders (xorshift64).
fn shuffle(order: &mut [usize], state: &mut u64) {
    for last in (1..order.len()).rev() {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        order.swap(last, (*state % (last as u64 + 1)) as usize);
    }
}

/// Learns from examples whose features are below `features`.
pub(super) fn learn(examples: &[Example], features: usize) -> Weights {
    let mut weights = Weights {
        features: vec![[0.0; CLASSES]; features],
        bias: [0.0; CLASSES],
    };
    let squares = examples.iter().map(|example| {
        let squares = example.features.iter().map(|(_, amount)| amount * amount);
        squares.sum::<f32>() + 1.0
    });
    let squares: Vec<f32> = squares.collect();
    let mut shares = vec![[0.0_f32; CLASSES]; examples.len()];
    let mut order: Vec<usize> = (0..examples.len()).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..ROUNDS {
        shuffle(&mut order, &mut state);
        for at in &order {
            let (example, share) = (&examples[*at], &mut shares[*at]);
            let scores = weights.scores(&example.features);
            let mut step = [0.0; CLASSES];
            for class in 0..CLASSES {
                let side = example.sides[class].signum();
                let slack = 0.5 / example.sides[class].abs();
                let gradient = side * scores[class] - 1.0 + slack * share[class];
                let moved = (share[class] - gradient / (squares[*at] + slack)).max(0.0);
                step[class] = (moved - share[class]) * side;
                share[class] = moved;
            }
            // Most examples have nothing more to say after a few rounds.
            if step.iter().any(|step| *step != 0.0) {
                weights.add(&example.features, &step);
            }
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feature 0 is of class 0, feature 1 of class 1; feature 2 is of both.
    fn examples() -> Vec<Example> {
        let example = |feature: u32, class: usize| Example {
            features: vec![(feature, 0.8), (2, 0.6)],
            sides: std::array::from_fn(|at| if at == class { 2.0 } else { -2.0 }),
        };
        (0..40).map(|at| example(at % 2, at as usize % 2)).collect()
    }

    #[test]
    fn what_only_one_class_has_speaks_for_it() {
        let weights = learn(&examples(), 3);
        let scores = weights.scores(&vec![(0, 0.8), (2, 0.6)]);
        assert!(scores[0] > 0.9 && scores[1] < -0.9, "{scores:?}");
        let scores = weights.scores(&vec![(1, 0.8), (2, 0.6)]);
        assert!(scores[1] > 0.9 && scores[0] < -0.9, "{scores:?}");
        assert!(scores[5] < -0.9, "a class without examples is never likely");
    }

    #[test]
    fn the_same_examples_give_the_same_weights() {
        let (one, other) = (learn(&examples(), 3), learn(&examples(), 3));
        assert_eq!(one.features, other.features);
        assert_eq!(one.bias, other.bias);
    }
}
