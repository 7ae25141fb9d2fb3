//! Numbers for names: fixed when a name is first applied, kept through a rename, never used again.
//!
//! They stand in stored rows and in the associated data of every envelope, so a number that came
//! to mean something else would make old values readable under a rule they were not collected for.
//! Knows nothing of how a policy is stored.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use super::Policy;
use super::draft::Content;
use super::finding::{Findings, printable};
use super::reader::At;

/// The highest number. Above it, stored keys and compartments have room for what is no purpose and no
/// collection.
pub const NUMBER_MAX: u16 = 0x3fff;

/// Names, their numbers, and the highest number ever given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdTable {
    /// The highest number given so far, to names that are gone too; 0 if none was.
    pub highest: u16,
    /// The number of each name.
    pub ids: BTreeMap<String, u16>,
}

/// Every number of a policy, as it is stored beside the source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyIds {
    /// Collections.
    pub collections: IdTable,
    /// Fields, by the number of their collection.
    pub fields: BTreeMap<u16, IdTable>,
    /// Purposes. 0 is the built-in purpose `rights`.
    pub purposes: IdTable,
}

/// A policy as it is stored: what was written, and the numbers that the writing does not tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPolicy {
    /// The version, from 1.
    pub version: u32,
    /// The file, byte for byte.
    pub source: String,
    /// The numbers.
    pub ids: PolicyIds,
}

/// A name that needs a number: where it stands, where it comes from, its path.
type Item<'a> = (&'a At<String>, Option<&'a At<String>>, &'a str);

/// Numbers for every name in `content`, those of `previous` where it has them.
pub(super) fn assign(
    content: &Content,
    previous: Option<&Policy>,
    findings: &mut Findings,
) -> PolicyIds {
    let old = previous.map(|policy| &policy.ids);
    let items = content.collections.iter();
    let items = items.map(|item| (&item.at, item.renamed_from.as_ref(), item.path.as_str()));
    let collections = table(items, old.map(|ids| &ids.collections), findings);
    let items = content.purposes.iter();
    let items = items.map(|item| (&item.at, item.renamed_from.as_ref(), item.path.as_str()));
    let purposes = table(items, old.map(|ids| &ids.purposes), findings);
    let mut fields = BTreeMap::new();
    for collection in &content.collections {
        let Some(&id) = collections.ids.get(&collection.at.value) else {
            continue;
        };
        let items = collection.fields.iter();
        let items = items.map(|item| (&item.at, item.renamed_from.as_ref(), item.path.as_str()));
        let assigned = table(items, old.and_then(|ids| ids.fields.get(&id)), findings);
        if let Some(before) = previous.and_then(|policy| policy.collection_by_id(id)) {
            if before.kind != collection.kind {
                findings.report(
                    collection.at.line,
                    &collection.path,
                    "kind_changed",
                    None,
                    || {
                        format!(
                            "is {} in the policy in force, and its records were written as that; \
                         make a collection with another name",
                            before.kind.name()
                        )
                    },
                );
            }
            for field in &collection.fields {
                let id = assigned.ids.get(&field.at.value);
                let Some(before) = id.and_then(|&id| before.field_by_id(id)) else {
                    continue;
                };
                if before.kind != field.field.kind {
                    findings.report(field.at.line, &field.path, "type_changed", None, || {
                        format!(
                            "is {} in the policy in force, and its values were checked as that; \
                             make a field with another name",
                            before.kind.name()
                        )
                    });
                }
            }
        }
        fields.insert(id, assigned);
    }
    PolicyIds {
        collections,
        fields,
        purposes,
    }
}

fn table<'a>(
    items: impl Iterator<Item = Item<'a>> + Clone,
    previous: Option<&IdTable>,
    findings: &mut Findings,
) -> IdTable {
    let mut highest = previous.map_or(0, |table| table.highest);
    let mut ids = BTreeMap::new();
    for (at, renamed_from, path) in items {
        let before = |name: &str| previous.and_then(|table| table.ids.get(name).copied());
        // A rename that was applied already changes nothing: the line may stay in the file.
        let mut id = before(&at.value);
        if id.is_none()
            && let Some(old) = renamed_from
        {
            id = before(&old.value);
            if id.is_none() && previous.is_some() {
                findings.report(
                    old.line,
                    &format!("{path}.renamed_from"),
                    "bad_rename",
                    None,
                    || {
                        let old = printable(&old.value, 64);
                        format!("there is no `{old}` in the policy in force")
                    },
                );
            }
        }
        if id.is_none() && highest < NUMBER_MAX {
            highest += 1;
            id = Some(highest);
        }
        match id {
            Some(id) => {
                ids.insert(at.value.clone(), id);
            }
            None => findings.report(at.line, path, "ids_exhausted", None, || {
                format!("all {NUMBER_MAX} numbers were used; a number is never used again")
            }),
        }
    }
    IdTable { highest, ids }
}

/// Whether `ids` numbers exactly the names in `content`, each once. Asked of what comes from disk.
pub(super) fn fit(ids: &PolicyIds, content: &Content) -> bool {
    let collections = content.collections.iter();
    let purposes = content.purposes.iter();
    fits(
        &ids.collections,
        collections.clone().map(|item| item.at.value.as_str()),
    ) && fits(&ids.purposes, purposes.map(|item| item.at.value.as_str()))
        && ids.fields.len() == ids.collections.ids.len()
        && collections.clone().all(|collection| {
            let fields = collection.fields.iter().map(|item| item.at.value.as_str());
            ids.collections
                .ids
                .get(&collection.at.value)
                .and_then(|id| ids.fields.get(id))
                .is_some_and(|table| fits(table, fields))
        })
}

fn fits<'a>(table: &IdTable, names: impl Iterator<Item = &'a str>) -> bool {
    let mut numbers = HashSet::new();
    let mut count = 0;
    for name in names {
        count += 1;
        match table.ids.get(name) {
            Some(&id) if id >= 1 && id <= table.highest && numbers.insert(id) => {}
            _ => return false,
        }
    }
    count == table.ids.len()
}

#[cfg(test)]
mod tests {
    use super::super::{Draft, Policy, SAMPLE};

    fn apply(source: &str, previous: Option<&Policy>, version: u32) -> Policy {
        Draft::parse(source)
            .unwrap()
            .assign(previous, version)
            .unwrap()
    }

    fn refusal(source: &str, previous: &Policy) -> (usize, &'static str) {
        let findings = Draft::parse(source)
            .unwrap()
            .assign(Some(previous), 2)
            .unwrap_err();
        assert_eq!(findings.len(), 1, "{findings:?}");
        (findings[0].line, findings[0].code)
    }

    fn field_id(policy: &Policy, name: &str) -> u16 {
        policy
            .collection("profile")
            .unwrap()
            .field(name)
            .unwrap()
            .id
    }

    #[test]
    fn ids_survive_renames_of_collection_field_and_purpose() {
        let first = apply(SAMPLE, None, 1);
        let source = SAMPLE
            .replace("messages.*", "chat.*")
            .replace("[collections.messages.fields]", "[collections.chat.fields]")
            .replace(
                "[collections.messages]",
                "[collections.chat]\nrenamed_from = \"messages\"",
            )
            .replace("phone = {", "mobile = { renamed_from = \"phone\",")
            .replace("\"newsletter\"", "\"news\"")
            .replace(
                "[purposes.newsletter]",
                "[purposes.news]\nrenamed_from = \"newsletter\"",
            );
        let second = apply(&source, Some(&first), 2);
        let collection = first.collection("messages").unwrap().id;
        assert_eq!(second.collection("chat").unwrap().id, collection);
        assert_eq!(second.collection("messages"), None);
        assert_eq!(field_id(&second, "mobile"), field_id(&first, "phone"));
        assert_eq!(
            second.purpose("news").unwrap().id,
            first.purpose("newsletter").unwrap().id
        );
        // The lines may stay once they have done their work.
        let third = apply(&source, Some(&second), 3);
        assert_eq!(third.ids, second.ids);
        assert_eq!(apply(&source, None, 1).collections().len(), 2);
    }

    #[test]
    fn a_name_that_comes_back_is_somebody_else() {
        let first = apply(SAMPLE, None, 1);
        let without: String = SAMPLE
            .lines()
            .filter(|line| !line.starts_with("slots ="))
            .map(|line| format!("{line}\n"))
            .collect();
        let second = apply(&without, Some(&first), 2);
        let third = apply(SAMPLE, Some(&second), 3);
        assert!(field_id(&third, "slots") > field_id(&first, "slots"));
        assert_eq!(field_id(&third, "card"), field_id(&first, "card"));
    }

    #[test]
    fn a_rename_from_nothing_is_refused_where_it_stands() {
        let first = apply(SAMPLE, None, 1);
        let source = SAMPLE.replace("phone = {", "mobile = { renamed_from = \"fax\",");
        let line = 1 + source
            .lines()
            .position(|line| line.starts_with("mobile"))
            .unwrap();
        assert_eq!(refusal(&source, &first), (line, "bad_rename"));
    }

    #[test]
    fn another_kind_or_type_under_the_same_name_is_refused() {
        let first = apply(SAMPLE, None, 1);
        let kind = SAMPLE.replace("kind = \"many\"", "kind = \"single\"");
        assert_eq!(refusal(&kind, &first).1, "kind_changed");
        let kind = SAMPLE.replace("slots = { type = \"json\"", "slots = { type = \"text\"");
        let line = 1 + kind
            .lines()
            .position(|line| line.starts_with("slots"))
            .unwrap();
        assert_eq!(refusal(&kind, &first), (line, "type_changed"));
    }

    #[test]
    fn a_stored_policy_comes_back_and_one_with_other_numbers_does_not() {
        let policy = apply(SAMPLE, None, 7);
        let stored = policy.to_stored();
        let back = Policy::from_stored(stored.clone()).unwrap();
        assert_eq!(back.version(), 7);
        assert_eq!(back.sha256(), policy.sha256());
        assert_eq!(back.collections(), policy.collections());
        let mut twice = stored.clone();
        twice.ids.purposes.ids.insert("newsletter".into(), 1);
        twice.ids.purposes.ids.insert("support".into(), 1);
        assert_eq!(
            Policy::from_stored(twice).unwrap_err()[0].code,
            "stored_ids"
        );
        let mut high = stored.clone();
        high.ids.collections.highest = 1;
        assert!(Policy::from_stored(high).is_err());
        let mut more = stored;
        more.ids.collections.ids.insert("gone".into(), 2);
        assert!(Policy::from_stored(more).is_err());
    }
}
