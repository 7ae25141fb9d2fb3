//! Which groups of a count are told, and as what.
//!
//! Knows nothing of people or of values: groups are lists of labels with a number.

use std::collections::{BTreeMap, BTreeSet};

use super::{CountGroup, Counted, Label};
use crate::policy::Counts;

/// A group: a label for each thing that people are counted by.
pub(super) type Key = Vec<Label>;

/// What can be told of these groups, and of everybody together.
///
/// A group of fewer than `k` is withheld. So that nobody finds its number as the rest of a sum, the smallest
/// of the others is too, until at least two are and they are `k` people together: over the whole, and along
/// each line of a table of several labels, since the sum of a line is what a count by fewer of them tells.
pub(super) fn told(
    collection: String,
    groups: &BTreeMap<Key, u64>,
    total: u64,
    rule: Counts,
) -> Counted {
    let withheld = withheld(groups, rule.k);
    let shown = |people: u64| match rule.exact {
        true => people,
        false => people - people % rule.k,
    };
    let told = groups.iter().filter(|(key, _)| !withheld.contains(*key));
    let told = told.map(|(key, people)| CountGroup {
        labels: key.clone(),
        people: shown(*people),
    });
    // Beside groups that are told, a sum would tell what those are together that are not.
    let whole = withheld.is_empty() && total >= rule.k;
    Counted {
        collection,
        k: rule.k,
        rounded: !rule.exact,
        total: whole.then(|| shown(total)),
        groups: told.collect(),
        withheld: !withheld.is_empty() || total < rule.k,
    }
}

fn withheld(groups: &BTreeMap<Key, u64>, k: u64) -> BTreeSet<Key> {
    let small = groups.iter().filter(|(_, people)| **people < k);
    let mut withheld: BTreeSet<Key> = small.map(|(key, _)| key.clone()).collect();
    let labels = groups.keys().next().map_or(0, Vec::len);
    // Each set of labels over which somebody may sum: one bit a label.
    let sums = 1_u32..(1 << labels);
    loop {
        let before = withheld.len();
        for summed in sums.clone() {
            for line in lines(groups, summed) {
                widen(groups, &line, k, &mut withheld);
            }
        }
        if withheld.len() == before {
            return withheld;
        }
    }
}

/// The groups that are one where these labels are left out.
fn lines(groups: &BTreeMap<Key, u64>, summed: u32) -> Vec<Vec<&Key>> {
    let mut lines: BTreeMap<Vec<&Label>, Vec<&Key>> = BTreeMap::new();
    for key in groups.keys() {
        let kept = key.iter().enumerate();
        let kept = kept.filter(|(place, _)| summed & (1 << place) == 0);
        let kept = kept.map(|(_, label)| label).collect();
        lines.entry(kept).or_default().push(key);
    }
    lines.into_values().collect()
}

/// Withholds more of a line, until what is withheld cannot be told apart.
fn widen(groups: &BTreeMap<Key, u64>, line: &[&Key], k: u64, withheld: &mut BTreeSet<Key>) {
    let mut left: Vec<&&Key> = line
        .iter()
        .filter(|key| !withheld.contains(**key))
        .collect();
    left.sort_by_key(|key| (std::cmp::Reverse(groups[**key]), **key));
    let out = line.iter().filter(|key| withheld.contains(**key));
    let (mut many, mut people) = (0, 0);
    for key in out {
        many += 1;
        people += groups[*key];
    }
    while many > 0 && (many < 2 || people < k) {
        let Some(key) = left.pop() else { return };
        withheld.insert((**key).clone());
        many += 1;
        people += groups[*key];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(of: &[(&str, u64)]) -> BTreeMap<Key, u64> {
        let group = |(label, people): &(&str, u64)| {
            let labels = label.split('/').map(|one| Label::Text(one.into()));
            (labels.collect(), *people)
        };
        of.iter().map(group).collect()
    }

    fn rule(exact: bool) -> Counts {
        Counts {
            k: 10,
            exact,
            per_day: 1,
        }
    }

    fn names(of: &[(&str, u64)], exact: bool) -> (Vec<(String, u64)>, Option<u64>, bool) {
        let all = groups(of);
        let total = all.values().sum();
        let counted = told("c".into(), &all, total, rule(exact));
        let text = |label: &Label| match label {
            Label::Text(text) => text.clone(),
            other => format!("{other:?}"),
        };
        let named = counted.groups.iter().map(|group| {
            let labels: Vec<String> = group.labels.iter().map(text).collect();
            (labels.join("/"), group.people)
        });
        (named.collect(), counted.total, counted.withheld)
    }

    fn pair(name: &str, people: u64) -> (String, u64) {
        (name.to_owned(), people)
    }

    #[test]
    fn groups_that_are_large_enough_are_told_rounded_down_or_as_they_are() {
        let all = [("a", 57), ("b", 10)];
        assert_eq!(
            names(&all, true),
            (vec![pair("a", 57), pair("b", 10)], Some(67), false)
        );
        assert_eq!(
            names(&all, false),
            (vec![pair("a", 50), pair("b", 10)], Some(60), false)
        );
    }

    #[test]
    fn one_small_group_takes_the_next_smallest_with_it_and_the_total() {
        // The control: with `c` alone left out, 100 − 57 − 36 is its number.
        let all = [("a", 57), ("b", 36), ("c", 7)];
        assert_eq!(names(&all, true), (vec![pair("a", 57)], None, true));
        // Of several small ones the sum has to be that of a group that may be told.
        let all = [("a", 57), ("b", 36), ("c", 1), ("d", 1)];
        assert_eq!(names(&all, true), (vec![pair("a", 57)], None, true));
        let all = [("a", 57), ("b", 36), ("c", 6), ("d", 5)];
        assert_eq!(
            names(&all, true),
            (vec![pair("a", 57), pair("b", 36)], None, true)
        );
        // Where nothing is left to hide among, nothing is told.
        assert_eq!(names(&[("a", 57), ("b", 3)], true), (vec![], None, true));
        assert_eq!(names(&[("a", 3)], true), (vec![], None, true));
    }

    #[test]
    fn in_a_table_no_line_has_one_gap_alone() {
        // By the first label alone `x` is 63: with 60 told, the gap would be 3.
        let all = [
            ("x/p", 60),
            ("x/q", 3),
            ("y/p", 40),
            ("y/q", 50),
            ("z/p", 70),
            ("z/q", 80),
        ];
        let (told, total, withheld) = names(&all, true);
        assert_eq!((total, withheld), (None, true));
        let told: BTreeSet<&str> = told.iter().map(|(name, _)| &**name).collect();
        for line in [["x/p", "x/q"], ["y/p", "y/q"], ["z/p", "z/q"]] {
            let gaps = line.iter().filter(|name| !told.contains(*name)).count();
            assert_ne!(gaps, 1, "{told:?}");
        }
        for column in [["x/p", "y/p", "z/p"], ["x/q", "y/q", "z/q"]] {
            let gaps = column.iter().filter(|name| !told.contains(*name)).count();
            assert_ne!(gaps, 1, "{told:?}");
        }
        assert!(told.contains("z/p") && told.contains("z/q"), "{told:?}");
    }
}
