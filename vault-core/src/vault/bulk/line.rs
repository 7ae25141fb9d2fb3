//! A record of one of many people as a line of JSON.
//!
//! Values stand in their envelopes as JSON and are copied from there: of a record that is shown in
//! full nothing is parsed.

use std::io::Write;

use serde::Serialize;

use super::QueryPart;
use crate::commit::View;
use crate::decision::ReadGrant;
use crate::id::{PairwiseId, RecordId, SubjectId};
use crate::person::{Person, instant};
use crate::policy::{Collection, Policy};
use crate::record::Known;
use crate::refusal::Refusal;

/// What somebody is called.
pub(super) enum Name {
    Subject(SubjectId),
    /// With no id of a record: the same one beside two names would join them.
    Pseudonym(PairwiseId),
}

/// Writes lines about one person.
pub(super) struct Lines<'a> {
    pub(super) policy: &'a Policy,
    pub(super) collection: &'a Collection,
    pub(super) part: QueryPart,
    /// What the person is called, in JSON.
    who: String,
    /// Whether records are named.
    ids: bool,
}

impl<'a> Lines<'a> {
    pub(super) fn new(
        policy: &'a Policy,
        collection: &'a Collection,
        part: QueryPart,
        name: &Name,
    ) -> Self {
        Self {
            policy,
            collection,
            part,
            who: match name {
                Name::Subject(subject) => format!("{{\"subject\":\"{subject}\""),
                Name::Pseudonym(pseudonym) => format!("{{\"pseudonym\":\"{pseudonym}\""),
            },
            ids: matches!(name, Name::Subject(_)),
        }
    }

    /// Appends the line of a record; `values` is its row, if values are to be shown.
    pub(super) fn write(
        &self,
        view: &dyn View,
        person: &Person,
        grant: &ReadGrant,
        known: &Known,
        values: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        out.extend_from_slice(self.who.as_bytes());
        if self.ids && known.id != RecordId::SINGLE {
            out.extend_from_slice(b",\"record\":\"");
            known.id.append_to(out);
            out.push(b'"');
        }
        let created_at = instant(known.row.created_at);
        append(out, format_args!(",\"created_at\":\"{created_at}\""));
        if let Some(occurred_at) = known.row.occurred_at {
            let occurred_at = instant(occurred_at);
            append(out, format_args!(",\"occurred_at\":\"{occurred_at}\""));
        }
        if self.part != QueryPart::MetaOnly {
            self.write_values(view, person, grant, known, values, out)?;
        }
        if self.part != QueryPart::Fields {
            self.write_meta(known, out);
        }
        out.extend_from_slice(b"}\n");
        Ok(())
    }

    fn write_values(
        &self,
        view: &dyn View,
        person: &Person,
        grant: &ReadGrant,
        known: &Known,
        values: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        out.extend_from_slice(b",\"fields\":{");
        let (mut masked, mut first) = (Vec::new(), true);
        let comma = |list: &mut Vec<u8>| {
            if !list.is_empty() {
                list.push(b',');
            }
        };
        if let Some(values) = values {
            let collection = self.collection;
            known.show(
                view,
                person,
                collection,
                grant,
                values,
                &mut |field, json, mask| {
                    if !std::mem::take(&mut first) {
                        out.push(b',');
                    }
                    // A field's name is letters, digits and `_`: the policy's check sees to that.
                    append(out, format_args!("\"{}\":", field.name));
                    out.extend_from_slice(json);
                    if mask {
                        comma(&mut masked);
                        append(&mut masked, format_args!("\"{}\"", field.name));
                    }
                },
            )?;
        }
        out.extend_from_slice(b"},\"masked\":[");
        out.extend_from_slice(&masked);
        out.push(b']');
        Ok(())
    }

    /// Member by member: a map made for each record costs as much as opening it.
    fn write_meta(&self, known: &Known, out: &mut Vec<u8>) {
        let meta = &known.row.meta;
        let purposes = meta.purposes.iter();
        let purposes = purposes.filter_map(|id| Some(&*self.policy.purpose_by_id(*id)?.name));
        out.extend_from_slice(b",\"_meta\":{\"purposes\":");
        json(out, &purposes.collect::<Vec<&str>>());
        out.extend_from_slice(b",\"expires_at\":");
        json(out, &meta.expires_at.map(instant));
        out.extend_from_slice(b",\"source\":");
        json(out, &meta.source);
        out.extend_from_slice(b",\"shared_with\":");
        json(out, &meta.shared_with);
        out.extend_from_slice(b",\"category\":");
        json(out, &meta.category);
        out.push(b'}');
    }
}

fn json(out: &mut Vec<u8>, part: &impl Serialize) {
    serde_json::to_writer(out, part).expect("texts and times have a JSON form");
}

pub(super) fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("memory takes what it is given");
}
