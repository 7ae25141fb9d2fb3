//! Conditions, held against a plain model of the same records.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use super::*;

/// What the model knows of a record.
#[derive(Clone, Debug)]
struct Modelled {
    subject: SubjectId,
    id: RecordId,
    created: i64,
    purposes: Vec<&'static str>,
    expires: Option<i64>,
    source: Option<&'static str>,
    shared: Vec<&'static str>,
    category: Option<&'static str>,
}

#[derive(Clone, Debug)]
struct Wanted {
    purpose: Option<&'static str>,
    source: Option<&'static str>,
    shared: Option<&'static str>,
    category: Option<&'static str>,
    expired: Option<bool>,
    after: Option<i64>,
    before: Option<i64>,
    expires_before: Option<i64>,
    subject: Option<usize>,
}

impl Wanted {
    fn conditions(&self, people: &[SubjectId]) -> Value {
        let members = [
            ("purpose", self.purpose.map(|p| json!(p))),
            ("source", self.source.map(|s| json!(s))),
            ("shared_with", self.shared.map(|s| json!(s))),
            ("category", self.category.map(|c| json!(c))),
            ("expired", self.expired.map(|e| json!(e))),
            ("created_after", self.after.map(at)),
            ("created_before", self.before.map(at)),
            ("expires_before", self.expires_before.map(at)),
            (
                "subject",
                self.subject.map(|one| json!(people[one].to_string())),
            ),
        ];
        let there = members.into_iter();
        let there = there.filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(there.collect())
    }

    /// What the vault ought to find; of the expired, `None` says what `default` does.
    fn fits(
        &self,
        record: &Modelled,
        people: &[SubjectId],
        now: i64,
        retention: Option<i64>,
        default: Option<bool>,
    ) -> bool {
        let age = retention.map(|period| record.created + period);
        let end = match (age, record.expires) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let ended = end.is_some_and(|end| end <= now);
        let serves = |purpose| match record.purposes.is_empty() {
            true => purpose != "other",
            false => record.purposes.contains(&purpose),
        };
        self.purpose.is_none_or(serves)
            && (self.source.is_none() || self.source == record.source)
            && self.shared.is_none_or(|s| record.shared.contains(&s))
            && (self.category.is_none() || self.category == record.category)
            && self
                .expired
                .or(default)
                .is_none_or(|wanted| wanted == ended)
            && self.after.is_none_or(|start| record.created >= start)
            && self.before.is_none_or(|limit| record.created < limit)
            && self
                .expires_before
                .is_none_or(|limit| end.is_some_and(|end| end < limit))
            && self.subject.is_none_or(|one| people[one] == record.subject)
    }
}

const SOURCES: [&str; 2] = ["form", "phone call"];

fn wanted(people: usize) -> impl Strategy<Value = Wanted> {
    let some = |names: &'static [&'static str]| {
        prop::option::weighted(0.3, prop::sample::select(names.to_vec()))
    };
    let hours = (0..40i64).prop_map(|hour| BEGIN + hour * HOUR);
    let when = |p| prop::option::weighted(p, hours.clone());
    (
        some(&["support", "news", "other"]),
        some(&SOURCES),
        some(&["carrier", "printer"]),
        some(&["islands", "mainland"]),
        prop::option::weighted(0.4, any::<bool>()),
        (when(0.3), when(0.3), when(0.3)),
        prop::option::weighted(0.2, 0..people),
    )
        .prop_map(
            |(purpose, source, shared, category, expired, times, subject)| Wanted {
                purpose,
                source,
                shared,
                category,
                expired,
                after: times.0,
                before: times.1,
                expires_before: times.2,
                subject,
            },
        )
}

type Drawn = (usize, u8, Vec<bool>, Option<i64>, Option<usize>, u8);

/// Fills both collections with the same random records, and says what is in them.
fn fill(
    bench: &Bench,
    people: &[SubjectId],
    drawn: &[Drawn],
) -> BTreeMap<&'static str, Vec<Modelled>> {
    let mut model = BTreeMap::from([("notes", Vec::new()), ("events", Vec::new())]);
    for (index, (who, purposes, shared, expires, source, category)) in drawn.iter().enumerate() {
        if index % 4 == 0 {
            bench.clock.clock.advance(HOUR);
        }
        let created = bench.clock.now().as_millisecond();
        let purposes = [
            vec![],
            vec!["support"],
            vec!["news"],
            vec!["support", "news"],
        ][usize::from(purposes % 4)]
        .clone();
        let names = ["carrier", "printer"].into_iter().zip(shared);
        let shared = names.filter_map(|(name, with)| with.then_some(name));
        let mut record = Modelled {
            subject: people[*who],
            id: RecordId::SINGLE,
            created,
            purposes,
            expires: expires.map(|hours| created + hours * HOUR),
            source: source.map(|one| SOURCES[one]),
            shared: shared.collect(),
            category: [None, Some("islands"), Some("mainland")][usize::from(category % 3)],
        };
        let body = json!({"text": format!("text {index}"), "_meta": {
            "purposes": record.purposes,
            "expires_at": record.expires.map(at),
            "source": record.source,
            "shared_with": record.shared,
            "category": record.category,
        }});
        for (collection, records) in &mut model {
            record.id = bench.append(record.subject, collection, vec![body.clone()])[0];
            records.push(record.clone());
        }
    }
    model
}

#[test]
fn every_combination_of_conditions_finds_what_a_plain_model_finds() {
    let bench = Bench::new();
    let people: Vec<SubjectId> = (0..7).map(|n| bench.person(&format!("p{n}"))).collect();
    let mut runner = TestRunner::deterministic();
    let one = (
        0..people.len(),
        any::<u8>(),
        prop::collection::vec(any::<bool>(), 2),
        prop::option::of(1..60i64),
        prop::option::of(0..2usize),
        any::<u8>(),
    );
    let drawn = prop::collection::vec(one, 100)
        .new_tree(&mut runner)
        .unwrap()
        .current();
    let model = fill(&bench, &people, &drawn);
    // By then some of the events have ended by their age as well.
    bench.clock.clock.advance(29 * 24 * HOUR + 12 * HOUR);
    let now = bench.clock.now().as_millisecond();
    let mut runner = TestRunner::new(Config {
        cases: 300,
        ..Config::default()
    });
    let matched = std::cell::Cell::new(0);
    runner
        .run(
            &(wanted(people.len()), any::<bool>()),
            |(wanted, events)| {
                let (name, retention) = match events {
                    true => ("events", Some(30 * 24 * HOUR)),
                    false => ("notes", None),
                };
                let expected = |default| {
                    let fits = |r: &&Modelled| wanted.fits(r, &people, now, retention, default);
                    model[name].iter().filter(fits).collect::<Vec<_>>()
                };
                let conditions = wanted.conditions(&people);
                let mut meta = query(name, conditions.clone());
                meta.part = QueryPart::MetaOnly;
                let found = bench.found(meta);
                let live = expected(Some(false));
                let live_ids: Vec<RecordId> = live.iter().map(|r| r.id).collect();
                prop_assert_eq!(ids(&found), texts(&live_ids));
                for line in &found {
                    prop_assert!(line.get("fields").is_none() && line.get("_meta").is_some());
                }
                // With values: those that may be used for the stated purpose.
                let may = live
                    .iter()
                    .filter(|r| r.purposes.is_empty() || r.purposes.contains(&"support"));
                let may: Vec<RecordId> = may.map(|r| r.id).collect();
                let found = bench.found(query(name, conditions.clone()));
                prop_assert_eq!(ids(&found), texts(&may));
                for line in &found {
                    let shown = line["fields"].as_object().unwrap().len();
                    prop_assert_eq!(shown, usize::from(wanted.expired != Some(true)));
                }
                // What is counted for a purge is what would go, the ended among them.
                let counted = bench
                    .vault
                    .purge_records(&bench.support(), &count(name, conditions.clone()))
                    .unwrap();
                prop_assert_eq!(counted.count as usize, expected(None).len());
                prop_assert!(counted.receipt.is_none());
                let set = json!({"category": "islands"});
                let updated =
                    bench
                        .vault
                        .update_records(&bench.support(), &count(name, conditions), &set);
                match wanted.expired {
                    Some(true) => prop_assert!(matches!(updated, Err(Refusal::Invalid(_)))),
                    _ => prop_assert_eq!(updated.unwrap().count as usize, live.len()),
                }
                matched.set(matched.get() + live.len());
                Ok(())
            },
        )
        .unwrap();
    assert!(matched.get() > 1000, "the conditions find something");
}
