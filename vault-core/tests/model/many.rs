//! Operations on records of many people.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vault_core::vault::{Call, ChangeInput, QueryInput, QueryPart, Step};

use super::plain::{Person, Record, refused};
use super::play::{Player, same};
use super::policy::fields;

impl Player {
    pub(crate) fn query(&mut self, from: &str, purpose: &str) -> Result<(), String> {
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot).with_purpose(purpose);
        let input = QueryInput {
            collection: "notes".into(),
            fields: None,
            conditions: json!({ "source": from }),
            part: QueryPart::Both,
            names: None,
            limit: None,
            cursor: None,
        };
        let mut lines = Vec::new();
        let vault = self.world.vault.clone();
        let got = vault.query(&call, input).and_then(|mut query| {
            while vault.query_step(&mut query, &mut |part| lines.extend(part))? == Step::More {}
            vault.finish_query(&query)
        });
        let got = self.note(call.id, "records.query", got);
        let shown: Vec<&str> = fields("notes")
            .filter(|field| self.version.shows(field) && field.2.contains(&purpose))
            .map(|field| field.1)
            .collect();
        if !self.version.knows(purpose) || shown.is_empty() {
            return same("query", got.map(drop), refused("purpose_denied"));
        }
        same("query", got.map(drop), Ok(()))?;
        let found = lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let found = found.map(|line| {
            let line: Value = serde_json::from_slice(line).map_err(|_| "a line is no JSON")?;
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            Ok(((text("subject"), text("record")), line["fields"].clone()))
        });
        let found: BTreeMap<(String, String), Value> = found.collect::<Result<_, String>>()?;
        let mut wanted = BTreeMap::new();
        for person in self.people.iter().filter(|person| person.erased.is_none()) {
            for note in person
                .notes
                .iter()
                .filter(|n| n.source == Some(from) && n.serves(purpose))
            {
                let key = (person.subject.to_string(), note.id.to_string());
                wanted.insert(key, Person::shown(note, purpose, &shown));
            }
        }
        same("lines of a query", found, wanted)
    }

    pub(crate) fn change(from: &str) -> ChangeInput {
        ChangeInput {
            collection: "notes".into(),
            conditions: json!({ "source": from }),
            dry_run: false,
        }
    }

    pub(crate) fn update(&mut self, from: &str, category: u8) -> Result<(), String> {
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot).with_purpose("support");
        let category = format!("category {}", category % 3);
        let got = self.world.vault.update_records(
            &call,
            &Self::change(from),
            &json!({ "category": category }),
        );
        let got = self.note(call.id, "records.update", got);
        let mut count = 0;
        for note in self.people.iter_mut().flat_map(|person| &mut person.notes) {
            if note.source == Some(from) {
                count += 1;
                note.category = Some(category.clone());
                note.etag = None;
            }
        }
        same("update of many", got.map(|done| done.count), Ok(count))
    }

    pub(crate) fn purge(&mut self, from: &str) -> Result<(), String> {
        let (_, bot) = self.bot()?;
        let call = Call::new(&bot).with_purpose("support");
        let got = self.world.vault.purge_records(&call, &Self::change(from));
        let purged = self
            .note(call.id, "records.purge", got)
            .map_err(|code| format!("purge: {code}"))?;
        let (mut least, mut ended) = (0, 0);
        for person in &mut self.people {
            let meant = |record: &Record| record.source == Some(from);
            least += person.notes.extract_if(.., |note| meant(note)).count() as u64;
            ended += person
                .ended
                .extract_if(.., |(name, record)| *name == "notes" && meant(record))
                .count() as u64;
        }
        if !(least..=least + ended).contains(&purged.count) {
            return Err(format!(
                "purge: {} records, the model has {least}, and {ended} that ended",
                purged.count
            ));
        }
        same(
            "whether a purge has a receipt",
            purged.receipt.is_some(),
            purged.count > 0,
        )
    }
}
