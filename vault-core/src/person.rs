//! A data subject as rows and keys: found, made, counted, erased.
//!
//! Knows nothing of policies or roles: whoever calls has decided already.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::audit::canonical::canonical;
use crate::audit::hex;
use crate::backup::ledger::LedgerEvent;
use crate::backup::registry;
use crate::clock::{day_of, hour_of, instant_of_hour};
use crate::commit::{IndexHit, Txn, View};
use crate::crypto::{Location, Secret, key_number, seal, sha256, unseal};
use crate::entropy::Entropy;
use crate::id::{ReceiptId, RecordId, RowHandle, SubjectId, VaultId};
use crate::keys::keyset::{Compartment, Dek, Keyset, Lookup, PersonEntry};
use crate::keys::system::CHANNEL_FIELD;
use crate::limits::{
    BLOB_CHUNKS_REMOVED_MAX, ERASE_ROWS_MAX, LEDGER_RECORDS_MAX, LOOKUPS_PER_PERSON_MAX,
    SHARED_LOOKUP_MAX,
};
use crate::refusal::Refusal;
use crate::row;
use crate::schema::NORMALISER_VERSION;
use crate::store::{Direction, KeyRange, ReadTx, Table, WriteTx};

/// Tables whose keys begin with a row handle, but for that of the sweeper's work.
pub(crate) const OWN_TABLES: [Table; 14] = [
    Table::Keysets,
    Table::Records,
    Table::RecordMeta,
    Table::Subjects,
    Table::Consents,
    Table::Sessions,
    Table::Answers,
    Table::Requests,
    Table::LogLines,
    Table::Decisions,
    Table::Dialogues,
    Table::Pickups,
    Table::Uploads,
    Table::Blobs,
];

/// A person with their keys.
pub(crate) struct Person {
    pub(crate) subject: SubjectId,
    pub(crate) entry: PersonEntry,
    pub(crate) keyset: Keyset,
}

/// The person's own row.
#[derive(Serialize, Deserialize)]
pub(crate) struct SubjectRow {
    pub(crate) created_at: i64,
    pub(crate) channel: String,
    pub(crate) user: String,
    /// The UTC day of the person's own last act, since 1970.
    pub(crate) active_on: u32,
}

impl SubjectRow {
    /// The channel that the person is known on.
    pub(crate) fn channel(&self) -> &str {
        &self.channel
    }

    /// The same, and what they are called there.
    pub(crate) fn identity(&self) -> (&str, &str) {
        (&self.channel, &self.user)
    }

    /// The end of the day of the person's own last act: what runs from there ends no earlier than was
    /// promised, and at most a day later.
    pub(crate) fn last_activity(&self) -> Timestamp {
        instant_of_hour(self.active_on.saturating_add(1).saturating_mul(24))
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Tombstone {
    pub(crate) day: u32,
    pub(crate) epoch: u64,
    pub(crate) receipt: ReceiptId,
}

impl Person {
    /// The person with this id, whoever asks: for the vault's own work. A call finds its person
    /// through `Context::person`, which knows whom the caller may reach.
    pub(crate) fn find(view: &dyn View, subject: SubjectId) -> Result<Self, Refusal> {
        let Some(entry) = view.person_entry(subject)? else {
            return Err(match tombstone(view, subject)? {
                Some(receipt) => Refusal::Erased {
                    receipt: Some(receipt),
                },
                None => Refusal::NotFound("person"),
            });
        };
        let keyset = Keyset::load(view.vault(), view.tx(), &entry)?;
        if keyset.subject != subject {
            return Err(Refusal::Internal("a keyset is another person's"));
        }
        Ok(Self {
            subject,
            entry,
            keyset,
        })
    }

    /// Makes a person who is known as `{channel, user}`.
    pub(crate) fn create(txn: &mut Txn<'_>, channel: &str, user: &str) -> Result<Self, Refusal> {
        let subject = SubjectId::generate(txn.entropy());
        let entry = PersonEntry::generate(txn.entropy());
        let mut keyset = Keyset::generate(subject, txn.entropy());
        let normal = channel_form(channel, user);
        let marks = txn
            .system()
            .marks(CHANNEL_FIELD, NORMALISER_VERSION, &normal);
        let lookup = |(set, mark)| Lookup {
            field: CHANNEL_FIELD,
            set,
            mark,
        };
        keyset.lookups.extend(marks.into_iter().map(lookup));
        let mut person = Self {
            subject,
            entry,
            keyset,
        };
        txn.insert_person(subject, &person.entry);
        for Lookup { set, mark, .. } in &person.keyset.lookups {
            txn.insert_index(*set, mark, person.hit());
        }
        let row = SubjectRow {
            created_at: txn.now().as_millisecond(),
            channel: channel.into(),
            user: user.into(),
            active_on: day_of(txn.now()),
        };
        person.write_row(txn, &row)?;
        person.store(txn)?;
        txn.state_mut().people += 1;
        Ok(person)
    }

    /// The person's own row.
    pub(crate) fn row(&self, view: &dyn View) -> Result<SubjectRow, Refusal> {
        let handle = self.entry.handle.as_bytes();
        let sealed = view.tx().get(Table::Subjects, handle)?.ok_or(DAMAGED)?;
        let location = Location::row(view.vault(), Table::Subjects.number(), handle);
        row::decode(&self.unseal(&location, &sealed)?).map_err(|_| DAMAGED)
    }

    fn write_row(&mut self, txn: &mut Txn<'_>, row: &SubjectRow) -> Result<(), Refusal> {
        let number = self.key_for(Compartment::CONTROL, txn.entropy())?;
        let handle = *self.entry.handle.as_bytes();
        let location = Location::row(txn.vault(), Table::Subjects.number(), &handle);
        let sealed = self.seal(number, &location, &row::encode(row))?;
        Ok(txn.put(Table::Subjects, &handle, &sealed)?)
    }

    /// Whether the person's last act is of an earlier day than today.
    pub(crate) fn was_away(&self, view: &dyn View) -> Result<bool, Refusal> {
        Ok(self.row(view)?.active_on < day_of(view.now()))
    }

    /// Notes that the person did something today. Costs a row once a day.
    pub(crate) fn acted(&mut self, txn: &mut Txn<'_>) -> Result<(), Refusal> {
        let (mut row, today) = (self.row(txn)?, day_of(txn.now()));
        if row.active_on >= today {
            return Ok(());
        }
        row.active_on = today;
        self.write_row(txn, &row)
    }

    /// Writes the keyset, which has changed.
    pub(crate) fn store(&self, txn: &mut Txn<'_>) -> Result<(), Refusal> {
        let vault = txn.vault();
        txn.note_keyset(self.subject, self.entry.handle);
        Ok(self.keyset.store(vault, txn, &self.entry)?)
    }

    /// The entry of the index that leads to this person.
    pub(crate) fn hit(&self) -> IndexHit {
        IndexHit {
            subject: self.subject,
            handle: self.entry.handle,
        }
    }

    /// The number of the key that the compartment is written under, which is opened if there is
    /// none; the keyset is then to be stored.
    pub(crate) fn key_for(
        &mut self,
        compartment: Compartment,
        entropy: &mut dyn Entropy,
    ) -> Result<u32, Refusal> {
        if let Some(dek) = self.keyset.newest(compartment) {
            return Ok(dek.number);
        }
        let added = self.keyset.add(compartment, entropy);
        added.ok_or_else(|| Refusal::TooLarge("this person has too many periods of records".into()))
    }

    /// The number of the compartment's key above `up_to`, which is opened if there is none; the keyset
    /// is then to be stored.
    pub(crate) fn successor(
        &mut self,
        compartment: Compartment,
        up_to: u32,
        entropy: &mut dyn Entropy,
    ) -> u32 {
        match self.keyset.newest(compartment) {
            Some(dek) if dek.number > up_to => dek.number,
            _ => self.keyset.succeed(compartment, entropy),
        }
    }

    /// Opens a key above `up_to` for every compartment that has one up to there.
    pub(crate) fn open_successors(&mut self, up_to: u32, entropy: &mut dyn Entropy) {
        let keys = self.keyset.keys.iter();
        let old = keys.filter(|dek| dek.number <= up_to);
        let compartments: BTreeSet<Compartment> = old.map(|dek| dek.compartment).collect();
        for compartment in compartments {
            self.successor(compartment, up_to, entropy);
        }
    }

    fn dek(&self, number: u32) -> Result<&Dek, Refusal> {
        self.keyset.key(number).ok_or(DAMAGED)
    }

    /// Seals under the key with this number; the compartment is put into the location.
    pub(crate) fn seal(
        &self,
        number: u32,
        location: &Location<'_>,
        value: &[u8],
    ) -> Result<Vec<u8>, Refusal> {
        let dek = self.dek(number)?;
        let location = Location {
            compartment: dek.compartment.number,
            ..*location
        };
        seal(&dek.key, number, &location, value)
            .map_err(|_| Refusal::TooLarge("a value is over the limit".into()))
    }

    /// Opens an envelope of this person.
    pub(crate) fn unseal(
        &self,
        location: &Location<'_>,
        envelope: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let dek = self.dek(key_number(envelope).ok_or(DAMAGED)?)?;
        let location = Location {
            compartment: dek.compartment.number,
            ..*location
        };
        unseal(&dek.key, &location, envelope).map_err(|_| DAMAGED)
    }

    /// The compartment that an envelope lies in.
    pub(crate) fn compartment_of(&self, envelope: &[u8]) -> Result<Compartment, Refusal> {
        Ok(self.dek(key_number(envelope).ok_or(DAMAGED)?)?.compartment)
    }

    /// Whether [`Person::add_lookup`] would take as many as these besides those that the person has.
    pub(crate) fn takes_lookups(&self, view: &dyn View, more: &[Lookup]) -> Result<bool, Refusal> {
        let new: Vec<&Lookup> = more
            .iter()
            .filter(|one| !self.keyset.lookups.contains(one))
            .collect();
        for lookup in &new {
            let of_set = |other: &&Lookup| other.set == lookup.set;
            let had = self.keyset.lookups.iter().filter(of_set).count();
            let with = new.iter().filter(|other| other.set == lookup.set).count();
            let present = lookup.set == view.system().index_set();
            if had + with > LOOKUPS_PER_PERSON_MAX
                || present && view.index_hits(&lookup.mark)?.len() >= SHARED_LOOKUP_MAX
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes the person findable by a look-up value; the keyset is then to be stored.
    pub(crate) fn add_lookup(&mut self, txn: &mut Txn<'_>, lookup: Lookup) -> Result<(), Refusal> {
        if self.keyset.lookups.contains(&lookup) {
            return Ok(());
        }
        // Each set has its own, so that a person who has as many as may be gets none less while all are
        // made anew.
        let of_set = |other: &&Lookup| other.set == lookup.set;
        if self.keyset.lookups.iter().filter(of_set).count() >= LOOKUPS_PER_PERSON_MAX {
            return Err(Refusal::TooLarge(
                "this person has too many look-up values".into(),
            ));
        }
        // Marks of the set that is being made are not looked up yet; the present ones are counted.
        let present = lookup.set == txn.system().index_set();
        if present && txn.index_hits(&lookup.mark)?.len() >= SHARED_LOOKUP_MAX {
            return Err(Refusal::Conflict(format!(
                "more than {SHARED_LOOKUP_MAX} people share this look-up value"
            )));
        }
        txn.insert_index(lookup.set, &lookup.mark, self.hit());
        self.keyset.lookups.push(lookup);
        Ok(())
    }

    /// Ends a look-up value: its index entry, and the KEK under which older keysets name it. The
    /// keyset is then to be stored.
    pub(crate) fn remove_lookup(&mut self, txn: &mut Txn<'_>, lookup: &Lookup) {
        txn.shred_index(lookup.set, &lookup.mark, self.entry.handle);
        self.keyset.lookups.retain(|other| other != lookup);
        self.replace_kek(txn);
    }

    /// Seals the keyset under a new KEK, so that what left it is gone; it is then to be stored.
    pub(crate) fn replace_kek(&mut self, txn: &mut Txn<'_>) {
        self.entry = self.entry.with_new_kek(txn.entropy());
        txn.replace_kek(self.subject, &self.entry);
    }

    /// The row that marks a compartment.
    pub(crate) fn dirty_key(&self, compartment: Compartment) -> Vec<u8> {
        dirty_key(&self.entry.handle, compartment)
    }

    /// Marks a compartment whose freed pages still hold what was replaced or removed: the sweeper
    /// gives it a new key. The row holds the hour of the first marking since the last.
    pub(crate) fn mark_dirty(
        &self,
        txn: &mut Txn<'_>,
        compartment: Compartment,
    ) -> Result<(), Refusal> {
        let key = self.dirty_key(compartment);
        if txn.get(Table::Dirty, &key)?.is_some() {
            return Ok(());
        }
        let hour = hour_of(txn.now()).to_be_bytes();
        Ok(txn.put(Table::Dirty, &key, &hour)?)
    }
}

/// The person's own row under another key.
pub(crate) fn seal_again(
    view: &dyn View,
    person: &Person,
    sealed: &[u8],
    number: u32,
) -> Result<Vec<u8>, Refusal> {
    let handle = person.entry.handle.as_bytes();
    let location = Location::row(view.vault(), Table::Subjects.number(), handle);
    person.seal(number, &location, &person.unseal(&location, sealed)?)
}

/// The own row of somebody who is no longer to be found by it, for a vault that is being restored. `None`
/// if it does not open.
pub(crate) fn nameless_row(
    vault: VaultId,
    handle: RowHandle,
    keyset: &Keyset,
    sealed: &[u8],
) -> Option<Vec<u8>> {
    let dek = keyset.key(key_number(sealed)?)?;
    let location = Location {
        compartment: dek.compartment.number,
        ..Location::row(vault, Table::Subjects.number(), handle.as_bytes())
    };
    let row: SubjectRow = row::decode(&unseal(&dek.key, &location, sealed).ok()?).ok()?;
    let row = row::encode(&nameless(row.created_at));
    seal(&dek.key, dek.number, &location, &row).ok()
}

/// The row that marks a compartment of whoever has this handle.
pub(crate) fn dirty_key(handle: &RowHandle, compartment: Compartment) -> Vec<u8> {
    let mut key = handle.as_bytes().to_vec();
    key.extend_from_slice(&compartment.number.to_be_bytes());
    key.extend_from_slice(&compartment.period.to_be_bytes());
    key
}

pub(crate) const DAMAGED: Refusal = Refusal::Internal("a row is damaged");

/// The normal form of `{channel, user}`.
pub(crate) fn channel_form(channel: &str, user: &str) -> Vec<u8> {
    let length = u32::try_from(channel.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes();
    [&length, channel.as_bytes(), user.as_bytes()].concat()
}

/// The inner mark that `{channel, user}` is found by.
pub(crate) fn channel_mark(
    view: &dyn View,
    channel: &str,
    user: &str,
) -> Result<[u8; 32], Refusal> {
    let normal = channel_form(channel, user);
    let mark = view
        .system()
        .mark(CHANNEL_FIELD, NORMALISER_VERSION, &normal);
    mark.ok_or(Refusal::Internal("channel identities have no index key"))
}

fn tombstone(view: &dyn View, subject: SubjectId) -> Result<Option<ReceiptId>, Refusal> {
    let key = sha256(&[subject.as_bytes()]);
    let Some(sealed) = view.tx().get(Table::Tombstones, &key)? else {
        return Ok(None);
    };
    let location = Location::row(view.vault(), Table::Tombstones.number(), &key);
    let bytes = view
        .system()
        .system
        .unseal(&location, &sealed)
        .map_err(|_| DAMAGED)?;
    let Tombstone {
        day: _,
        epoch: _,
        receipt,
    } = row::decode(&bytes).map_err(|_| DAMAGED)?;
    Ok(Some(receipt))
}

/// The receipt of an erasure, and what the log keeps of it.
pub(crate) struct Receipt {
    pub(crate) id: ReceiptId,
    pub(crate) body_sha256: [u8; 32],
    pub(crate) document: Value,
}

/// Destroys everything of a person: KEK, index entries, rows; leaves a tombstone. `more` are members of the
/// receipt's body that this erasure has beside the common ones.
pub(crate) fn erase(
    txn: &mut Txn<'_>,
    person: &Person,
    more: Vec<(&'static str, Value)>,
) -> Result<Receipt, Refusal> {
    txn.shred_person(person.subject);
    for lookup in &person.keyset.lookups {
        txn.shred_index(lookup.set, &lookup.mark, person.entry.handle);
    }
    let handle = person.entry.handle.as_bytes();
    let range = KeyRange::prefix(handle);
    for key in txn.keys(Table::Dirty, &range, Direction::Ascending, ERASE_ROWS_MAX)? {
        txn.delete(Table::Dirty, &key)?;
    }
    if remove_rows(txn, handle, ERASE_ROWS_MAX)? {
        // What is left is ciphertext without a key; the sweeper takes the rows away.
        let mut key = handle.to_vec();
        key.extend_from_slice(&ORPHANS);
        txn.put(Table::Dirty, &key, &[])?;
    }
    let receipt = ReceiptId::generate(txn.entropy());
    let (before, after) = txn.epochs();
    let tombstone = Tombstone {
        day: day_of(txn.now()),
        epoch: after,
        receipt,
    };
    let key = sha256(&[person.subject.as_bytes()]);
    let location = Location::row(txn.vault(), Table::Tombstones.number(), &key);
    let sealed = txn
        .system()
        .system
        .seal(&location, &row::encode(&tombstone))
        .map_err(|_| DAMAGED)?;
    txn.put(Table::Tombstones, &key, &sealed)?;
    txn.keep_in_ledger(LedgerEvent::Erased {
        handle: person.entry.handle,
        subject_sha256: key,
        receipt,
        epoch: after,
    });
    txn.revoke(person.subject);
    let state = txn.state_mut();
    state.people = state.people.saturating_sub(1);
    state.erased += 1;
    let erasure = Erasure {
        scope: "person",
        about: person.subject.as_bytes(),
        opening: ("subject", person.subject.to_string()),
        destroyed: destroyed(person),
        kept: Vec::new(),
        epochs: (before, after),
        more,
    };
    erasure.receipt(txn, receipt)
}

/// The keys of a person, as a receipt names those that are gone.
pub(crate) fn destroyed(person: &Person) -> Vec<Value> {
    let keys = person.keyset.keys.iter().map(|dek| {
        let compartment = dek.compartment.number;
        json!({"compartment": compartment, "key": dek.number})
    });
    keys.collect()
}

/// The person's own row once nobody is to be found by it any more: when they were made, and no more.
fn nameless(created_at: i64) -> SubjectRow {
    SubjectRow {
        created_at,
        channel: String::new(),
        user: String::new(),
        active_on: 0,
    }
}

/// Takes out of the person's own row who they are on which channel.
pub(crate) fn forget_identity(txn: &mut Txn<'_>, person: &mut Person) -> Result<(), Refusal> {
    let created_at = person.row(txn)?.created_at;
    person.write_row(txn, &nameless(created_at))
}

/// Notes that records are gone, so that no backup brings them back.
pub(crate) fn keep_destroyed(
    txn: &mut Txn<'_>,
    handle: RowHandle,
    collection: u16,
    records: &[RecordId],
) {
    for records in records.chunks(LEDGER_RECORDS_MAX) {
        txn.keep_in_ledger(LedgerEvent::RecordsDestroyed {
            handle,
            collection,
            records: records.iter().map(|record| *record.as_bytes()).collect(),
        });
    }
}

/// Deletes the rows under a handle, at most `rows` of them and few enough chunks that the commit stays
/// small in bytes too; whether any may be left.
pub(crate) fn remove_rows(txn: &mut Txn<'_>, handle: &[u8], rows: usize) -> Result<bool, Refusal> {
    let mut budget = rows;
    let mut left = false;
    let range = KeyRange::prefix(handle);
    for table in OWN_TABLES {
        let most = match table {
            Table::Blobs => budget.min(BLOB_CHUNKS_REMOVED_MAX),
            _ => budget,
        };
        let keys = txn.keys(table, &range, Direction::Ascending, most)?;
        for key in &keys {
            txn.delete(table, key)?;
        }
        left |= keys.len() == most;
        budget -= keys.len();
    }
    Ok(left)
}

/// The Dirty row that stands for all rows of a handle whose person is gone.
pub(crate) const ORPHANS: [u8; 6] = [0xff; 6];

/// What a receipt is about: a person, or records of many.
pub(crate) struct Erasure<'a> {
    pub(crate) scope: &'static str,
    /// What the commitment is to.
    pub(crate) about: &'a [u8],
    /// The same in the opening.
    pub(crate) opening: (&'static str, String),
    /// Keys that are gone.
    pub(crate) destroyed: Vec<Value>,
    /// What is not, and under which law.
    pub(crate) kept: Vec<Value>,
    /// The epoch before the first of the erasing commits, and after the last.
    pub(crate) epochs: (u64, u64),
    /// Members of the body that this scope has beside the common ones.
    pub(crate) more: Vec<(&'static str, Value)>,
}

impl Erasure<'_> {
    /// The receipt but for its proof, which there is after the commit. The opening ties it to what was
    /// erased for whoever holds it; the vault keeps none.
    pub(crate) fn receipt(self, txn: &mut Txn<'_>, id: ReceiptId) -> Result<Receipt, Refusal> {
        let Self {
            scope,
            about,
            opening: (name, opened),
            destroyed,
            kept,
            epochs: (before, after),
            more,
        } = self;
        let salt = Secret::<16>::generate(txn.entropy());
        let commitment = sha256(&[salt.expose(), about]);
        let now = txn.now();
        let erasure_horizon = registry::erasure_horizon(txn, now)?;
        let lookup_horizon = now + jiff::SignedDuration::from_hours(24);
        let common = [
            ("commitment", json!(hex(&commitment))),
            ("destroyed", Value::Array(destroyed)),
            ("epoch_after", json!(after)),
            ("epoch_before", json!(before)),
            ("erasure_horizon", json!(erasure_horizon.to_string())),
            ("kept", Value::Array(kept)),
            ("lookup_horizon", json!(lookup_horizon.to_string())),
            ("receipt", json!(id.to_string())),
            ("scope", json!(scope)),
            ("time", json!(now.to_string())),
            ("unscrubbed_mirrors", json!([])),
            ("vault", json!(txn.vault().to_string())),
            ("version", json!(1)),
        ];
        let body: Map<String, Value> = common
            .into_iter()
            .chain(more)
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let body = Value::Object(body);
        let bytes = canonical(&body).map_err(|_| DAMAGED)?;
        let location = Location::row(txn.vault(), Table::Receipts.number(), id.as_bytes());
        let sealed = txn
            .system()
            .system
            .seal(&location, &bytes)
            .map_err(|_| DAMAGED)?;
        txn.put(Table::Receipts, id.as_bytes(), &sealed)?;
        let mut opening = Map::new();
        opening.insert("salt".to_owned(), json!(hex(salt.expose())));
        opening.insert(name.to_owned(), opened.into());
        Ok(Receipt {
            id,
            body_sha256: sha256(&[&bytes]),
            document: json!({"body": body, "opening": opening, "proof": null}),
        })
    }
}

/// Milliseconds as an instant.
pub(crate) fn instant(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}
