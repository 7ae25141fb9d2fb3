//! Rows, as docs/format.md "Rows" describes them.
//!
//! Every row is read to its last byte. What does not fit is a panic: it opened, so either the
//! document or the vault is wrong.

#![expect(
    missing_docs,
    reason = "names and meanings are those of the document's tables"
)]

use super::cipher::{Id, Key};

pub type Field = (u16, u16);
pub type Revision = [u8; 8];

/// What is left of a row.
pub struct Row<'a>(&'a [u8]);

impl<'a> Row<'a> {
    /// Reads a row of version 1 with `read`, to its end.
    pub fn read<T>(bytes: &'a [u8], read: impl FnOnce(&mut Self) -> T) -> T {
        assert_eq!(bytes[0], 1, "the row's version");
        let mut row = Self(&bytes[1..]);
        let value = read(&mut row);
        assert!(row.0.is_empty(), "{} bytes are left over", row.0.len());
        value
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn uint(&mut self) -> u64 {
        let length = match self.byte() {
            small @ 0..=250 => return small.into(),
            251 => 2,
            252 => 4,
            253 => 8,
            other => panic!("no integer begins with {other}"),
        };
        let bytes = self.take(length);
        bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    fn u16(&mut self) -> u16 {
        self.uint().try_into().unwrap()
    }

    fn u32(&mut self) -> u32 {
        self.uint().try_into().unwrap()
    }

    fn int(&mut self) -> i64 {
        let zigzag = self.uint();
        (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)
    }

    fn truth(&mut self) -> bool {
        match self.byte() {
            0 => false,
            1 => true,
            other => panic!("{other} is no truth value"),
        }
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.truth().then(|| read(self))
    }

    fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.uint()).map(|_| read(self)).collect()
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.uint().try_into().unwrap();
        self.take(length).to_vec()
    }

    fn text(&mut self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    fn field(&mut self) -> Field {
        (self.u16(), self.u16())
    }
}

pub struct SlotTarget {
    pub number: u8,
    pub kind: u64,
    pub label: String,
    pub created: i64,
    pub salt: Id,
    pub cost: [u32; 3],
    pub public: Key,
}

/// A key under its number, oldest first.
pub type Ring = Vec<(u32, Key)>;

pub struct PastSigner {
    pub key: Key,
    pub until: u64,
    pub ledger: u64,
    pub note: String,
}

pub struct SystemKeys {
    pub system: Ring,
    pub audit: Ring,
    pub signing: Key,
    pub signers: Vec<PastSigner>,
    pub ledger: Key,
    /// By their sets.
    pub index: Vec<(u32, Vec<(Field, Key)>)>,
    /// Generation, set, key.
    pub placements: Vec<(u32, u32, Key)>,
    pub slots: Vec<SlotTarget>,
    pub next_slot: u8,
    pub retired_epoch: u64,
}

impl SystemKeys {
    /// Every index key, whatever its set.
    pub fn index_keys(&self) -> impl Iterator<Item = &(Field, Key)> {
        self.index.iter().flat_map(|(_, keys)| keys)
    }

    /// Every key there is but those of the index.
    pub fn others(&self) -> impl Iterator<Item = Key> {
        let rings = self.system.iter().chain(&self.audit).map(|(_, key)| *key);
        rings.chain([self.signing, self.ledger])
    }
}

pub fn system_keys(bytes: &[u8]) -> SystemKeys {
    Row::read(bytes, |row| SystemKeys {
        system: row.list(|row| (row.u32(), row.array())),
        audit: row.list(|row| (row.u32(), row.array())),
        signing: row.array(),
        signers: row.list(|row| PastSigner {
            key: row.array(),
            until: row.uint(),
            ledger: row.uint(),
            note: row.text(),
        }),
        ledger: row.array(),
        index: row.list(|row| {
            let set = row.u32();
            (set, row.list(|row| (row.field(), row.array())))
        }),
        placements: row.list(|row| (row.u32(), row.u32(), row.array())),
        slots: row.list(|row| SlotTarget {
            number: row.byte(),
            kind: row.uint(),
            label: row.text(),
            created: row.int(),
            salt: row.array(),
            cost: std::array::from_fn(|_| row.u32()),
            public: row.array(),
        }),
        next_slot: row.byte(),
        retired_epoch: row.uint(),
    })
}

#[derive(Clone)]
pub struct Dek {
    pub number: u32,
    pub compartment: u16,
    pub period: u32,
    pub key: Key,
}

#[derive(Clone)]
pub struct Keyset {
    pub subject: Id,
    pub audit: Key,
    pub keys: Vec<Dek>,
    /// Field, set of index keys, mark.
    pub lookups: Vec<(Field, u32, [u8; 32])>,
    pub next: u32,
}

pub fn keyset(bytes: &[u8]) -> Keyset {
    Row::read(bytes, |row| Keyset {
        subject: row.array(),
        audit: row.array(),
        keys: row.list(|row| Dek {
            number: row.u32(),
            compartment: row.u16(),
            period: row.u32(),
            key: row.array(),
        }),
        lookups: row.list(|row| (row.field(), row.u32(), row.array())),
        next: row.u32(),
    })
}

pub struct State {
    pub time: i64,
    pub next_entry: u64,
    pub folded: u64,
    pub people: u64,
    pub erased: u64,
    pub stale_since: Option<i64>,
    pub building_from: Option<Id>,
    pub sweeper_at: Id,
    pub purposes_at: i64,
    pub purposes_asked: bool,
    pub policy: u32,
    pub checkpoint_at: i64,
    pub ledger: u64,
}

pub fn state(bytes: &[u8]) -> State {
    Row::read(bytes, |row| State {
        time: row.int(),
        next_entry: row.uint(),
        folded: row.uint(),
        people: row.uint(),
        erased: row.uint(),
        stale_since: row.option(Row::int),
        building_from: row.option(Row::array),
        sweeper_at: row.array(),
        purposes_at: row.int(),
        purposes_asked: row.truth(),
        policy: row.u32(),
        checkpoint_at: row.int(),
        ledger: row.uint(),
    })
}

#[derive(Clone)]
pub struct MetaRow {
    pub revision: Revision,
    pub policy: u32,
    pub created: i64,
    pub occurred: Option<i64>,
    pub purposes: Vec<u16>,
    pub expires: Option<i64>,
    pub source: Option<String>,
    pub shared_with: Vec<String>,
    pub category: Option<String>,
    pub older: Vec<(u16, Revision, u32)>,
    pub values: Option<(Revision, u32)>,
    pub collected: Vec<(u16, u32)>,
}

pub fn meta_row(bytes: &[u8]) -> MetaRow {
    Row::read(bytes, |row| MetaRow {
        revision: row.array(),
        policy: row.u32(),
        created: row.int(),
        occurred: row.option(Row::int),
        purposes: row.list(Row::u16),
        expires: row.option(Row::int),
        source: row.option(Row::text),
        shared_with: row.list(Row::text),
        category: row.option(Row::text),
        older: row.list(|row| (row.u16(), row.array(), row.u32())),
        values: row.option(|row| (row.array(), row.u32())),
        collected: row.list(|row| (row.u16(), row.u32())),
    })
}

impl MetaRow {
    /// The revision and policy version that a field's envelope was written at.
    pub fn written_at(&self, field: u16) -> (Revision, u32) {
        let older = self.older.iter().find(|(number, _, _)| *number == field);
        let others = self.values.unwrap_or((self.revision, self.policy));
        older.map_or(others, |(_, revision, policy)| (*revision, *policy))
    }
}

/// The value of a field of type `blob`.
#[derive(Clone)]
pub struct Blob {
    pub id: Id,
    pub key: Key,
    pub prefix: [u8; 19],
    pub size: u64,
    pub media_type: String,
}

pub fn blob(bytes: &[u8]) -> Blob {
    Row::read(bytes, |row| Blob {
        id: row.array(),
        key: row.array(),
        prefix: row.array(),
        size: row.uint(),
        media_type: row.text(),
    })
}

pub struct SubjectRow {
    pub created: i64,
    pub channel: String,
    pub user: String,
    pub active_on: u32,
}

pub fn subject_row(bytes: &[u8]) -> SubjectRow {
    Row::read(bytes, |row| SubjectRow {
        created: row.int(),
        channel: row.text(),
        user: row.text(),
        active_on: row.u32(),
    })
}

pub struct TokenRow {
    pub token: Id,
    pub role: String,
    pub created: i64,
    pub maker: Option<Id>,
    pub label: String,
    pub channels: Vec<String>,
    pub expires: Option<i64>,
    pub revoked: Option<i64>,
    pub replaces: Option<Id>,
    pub used: Option<u32>,
}

pub fn token_row(bytes: &[u8]) -> TokenRow {
    Row::read(bytes, |row| TokenRow {
        token: row.array(),
        role: row.text(),
        created: row.int(),
        maker: row.option(Row::array),
        label: row.text(),
        channels: row.list(Row::text),
        expires: row.option(Row::int),
        revoked: row.option(Row::int),
        replaces: row.option(Row::array),
        used: row.option(Row::u32),
    })
}

/// Names and their numbers, and the highest number ever given.
pub struct Numbers {
    pub highest: u16,
    pub of: Vec<(String, u16)>,
}

impl Numbers {
    fn read(row: &mut Row<'_>) -> Self {
        Self {
            highest: row.u16(),
            of: row.list(|row| (row.text(), row.u16())),
        }
    }

    pub fn get(&self, name: &str) -> u16 {
        self.of.iter().find(|(known, _)| known == name).unwrap().1
    }
}

pub struct PolicyRow {
    pub applied: i64,
    pub version: u32,
    pub source: String,
    pub collections: Numbers,
    pub fields: Vec<(u16, Numbers)>,
    pub purposes: Numbers,
}

pub fn policy_row(bytes: &[u8]) -> PolicyRow {
    Row::read(bytes, |row| PolicyRow {
        applied: row.int(),
        version: row.u32(),
        source: row.text(),
        collections: Numbers::read(row),
        fields: row.list(|row| (row.u16(), Numbers::read(row))),
        purposes: Numbers::read(row),
    })
}

impl PolicyRow {
    /// The highest numbers of collections, of fields and of purposes.
    pub fn highest(&self) -> Vec<u16> {
        let fields = self.fields.iter().map(|(_, fields)| fields.highest);
        let others = [self.collections.highest, self.purposes.highest];
        fields.chain(others).collect()
    }

    /// The number of a collection and those of its fields.
    pub fn collection(&self, name: &str) -> (u16, &Numbers) {
        let number = self.collections.get(name);
        let fields = self.fields.iter().find(|(of, _)| *of == number);
        (number, &fields.unwrap().1)
    }
}

pub struct Tombstone {
    pub day: u32,
    pub epoch: u64,
    pub receipt: Id,
}

pub fn tombstone(bytes: &[u8]) -> Tombstone {
    Row::read(bytes, |row| Tombstone {
        day: row.u32(),
        epoch: row.uint(),
        receipt: row.array(),
    })
}

pub struct SessionRow {
    pub secret: [u8; 32],
    pub token: Id,
    pub key: [u8; 32],
    pub role: String,
    pub purpose: String,
    pub fields: Vec<Field>,
    pub left: [u64; 2],
    pub created: i64,
    pub expires: i64,
    pub revoked: bool,
}

pub fn session_row(bytes: &[u8]) -> SessionRow {
    Row::read(bytes, |row| SessionRow {
        secret: row.array(),
        token: row.array(),
        key: row.array(),
        role: row.text(),
        purpose: row.text(),
        fields: row.list(Row::field),
        left: [row.uint(), row.uint()],
        created: row.int(),
        expires: row.int(),
        revoked: row.truth(),
    })
}

pub struct AnswerRow {
    pub fingerprint: [u8; 32],
    pub at: i64,
    /// Operation, status, body, etag, location.
    pub answers: Option<Vec<Answer>>,
}

/// Operation, status, body, etag, location.
pub type Answer = (u64, u64, Vec<u8>, Option<String>, Option<String>);

pub fn answer_row(bytes: &[u8]) -> AnswerRow {
    fn answer(row: &mut Row<'_>) -> Answer {
        let (operation, status) = (row.uint(), row.uint());
        let (body, etag) = (row.bytes(), row.option(Row::text));
        (operation, status, body, etag, row.option(Row::text))
    }
    Row::read(bytes, |row| AnswerRow {
        fingerprint: row.array(),
        at: row.int(),
        answers: row.option(|row| row.list(answer)),
    })
}

pub struct Entry {
    pub time: i64,
    /// An API key's id, or nobody's for a keyholder.
    pub actor: Option<Id>,
    pub role: String,
    pub purpose: Option<String>,
    pub action: String,
    pub tag: Option<Id>,
    pub fields: Vec<Field>,
    pub outcome: String,
    pub session: Option<Id>,
    pub call: Id,
    pub receipt: Option<(Id, [u8; 32])>,
    pub records: Option<(u64, [u8; 32])>,
    /// What the call claimed to use restricted data for.
    pub claim: Option<String>,
}

pub fn entry(bytes: &[u8]) -> Entry {
    if bytes[0] != 2 {
        return entry_without_claim(bytes);
    }
    let (claim, rest) = bytes[2..].split_at(bytes[1].into());
    Entry {
        claim: Some(String::from_utf8(claim.to_vec()).unwrap()),
        ..entry_without_claim(&[&[1], rest].concat())
    }
}

fn entry_without_claim(bytes: &[u8]) -> Entry {
    Row::read(bytes, |row| Entry {
        claim: None,
        time: row.int(),
        actor: match row.uint() {
            0 => None,
            1 => Some(row.array()),
            2 => None,
            other => panic!("no actor of kind {other}"),
        },
        role: row.text(),
        purpose: row.option(Row::text),
        action: row.text(),
        tag: row.option(Row::array),
        fields: row.list(Row::field),
        outcome: row.text(),
        session: row.option(Row::array),
        call: row.array(),
        receipt: row.option(|row| (row.array(), row.array())),
        records: row.option(|row| (row.uint(), row.array())),
    })
}

/// A row of table 11: its entries.
pub fn entries(bytes: &[u8]) -> Vec<Entry> {
    let entries = Row::read(bytes, |row| row.list(Row::bytes));
    entries.iter().map(|bytes| entry(bytes)).collect()
}

/// A row of table 4: field numbers and envelopes.
pub fn envelopes(bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    Row::read(bytes, |row| row.list(|row| (row.u16(), row.bytes())))
}

/// Collection and record id.
pub type Destroyed = (u16, Vec<[u8; 24]>);

/// What an entry of the ledger says happened.
pub enum Event {
    /// Handle, SHA-256 of the subject id, receipt, epoch.
    Erased(Id, [u8; 32], Id, u64),
    RecordsDestroyed(Id, Destroyed),
    KeysDestroyed(Id, Vec<u32>),
    ConsentWithdrawn(Id, u16),
    ApiKeyRevoked(Id),
    /// Handle, purpose, how the objection stands.
    Objected(Id, u16, u64),
    /// Handle, ground, collections.
    Restricted(Id, Option<String>, Vec<u16>),
    Held(Id, Hold),
    /// Handle, purpose, when the contract ended.
    ContractEnded(Id, u16, Option<i64>),
    /// Handle, the day from which they consent for themselves, whether a guardian does.
    Aged(Id, String, bool),
    /// The blind hash of an address, and what goes for it.
    Suppressed([u8; 32], Suppression),
    /// Handle, request, right, state, level, when it came in, last day, its end, whether extended, collections.
    Requested(Id, Id, [u64; 3], i64, (i64, i64), (bool, Vec<u16>)),
}

pub struct Suppression {
    pub day: u32,
    pub all: bool,
    pub purposes: Vec<u16>,
}

/// A row of table 22.
pub fn suppression(bytes: &[u8]) -> Suppression {
    Row::read(bytes, |row| Suppression {
        day: row.u32(),
        all: row.truth(),
        purposes: row.list(Row::u16),
    })
}

/// How a legal hold stands.
pub struct Hold {
    pub released: bool,
    pub ground: String,
    pub collections: Vec<u16>,
    pub review_at: String,
    /// When everything else was erased, and the receipt.
    pub erasure: Option<(i64, Id)>,
}

/// A row of the queue of requests.
pub struct RequestRow {
    /// Which right, and how far it has come.
    pub kind: u64,
    pub state: u64,
    pub received: i64,
    /// The last day, its end, and the last day where somebody waited for the person.
    pub due: (i64, i64, Option<i64>),
    pub reminded: u8,
}

pub fn request_row(bytes: &[u8]) -> RequestRow {
    Row::read(bytes, |row| RequestRow {
        kind: row.uint(),
        state: row.uint(),
        received: row.int(),
        due: (row.int(), row.int(), row.option(Row::int)),
        reminded: row.byte(),
    })
}

/// A row of the queue of reviews.
pub struct DecisionRow {
    pub kind: String,
    pub state: u64,
    pub recorded: i64,
    /// When it was contested, first shown to a reviewer, and reviewed.
    pub times: (Option<i64>, Option<i64>, Option<i64>),
    /// The last day for a review, and its end.
    pub due: Option<(i64, i64)>,
}

pub fn decision_row(bytes: &[u8]) -> DecisionRow {
    Row::read(bytes, |row| DecisionRow {
        kind: row.text(),
        state: row.uint(),
        recorded: row.int(),
        times: (
            row.option(Row::int),
            row.option(Row::int),
            row.option(Row::int),
        ),
        due: row.option(|row| (row.int(), row.int())),
    })
}

pub struct LedgerEntry {
    pub at: i64,
    pub event: Event,
}

pub fn ledger_entry(bytes: &[u8]) -> LedgerEntry {
    Row::read(bytes, |row| LedgerEntry {
        at: row.int(),
        event: match row.uint() {
            0 => Event::Erased(row.array(), row.array(), row.array(), row.uint()),
            1 => Event::RecordsDestroyed(row.array(), (row.u16(), row.list(Row::array))),
            2 => Event::KeysDestroyed(row.array(), row.list(Row::u32)),
            3 => Event::ConsentWithdrawn(row.array(), row.u16()),
            4 => Event::ApiKeyRevoked(row.array()),
            5 => Event::Objected(row.array(), row.u16(), row.uint()),
            6 => Event::Restricted(row.array(), row.option(Row::text), row.list(Row::u16)),
            7 => Event::Held(
                row.array(),
                Hold {
                    released: row.uint() == 1,
                    ground: row.text(),
                    collections: row.list(Row::u16),
                    review_at: row.text(),
                    erasure: row.option(|row| (row.int(), row.array())),
                },
            ),
            8 => Event::ContractEnded(row.array(), row.u16(), row.option(Row::int)),
            9 => Event::Aged(row.array(), row.text(), row.truth()),
            10 => Event::Suppressed(
                row.array(),
                Suppression {
                    day: row.u32(),
                    all: row.truth(),
                    purposes: row.list(Row::u16),
                },
            ),
            11 => Event::Requested(
                row.array(),
                row.array(),
                [row.uint(), row.uint(), row.uint()],
                row.int(),
                (row.int(), row.int()),
                (row.truth(), row.list(Row::u16)),
            ),
            other => panic!("no event of kind {other}"),
        },
    })
}

/// When a part was whole, and when it was gone.
pub type BackupPart = (Option<i64>, Option<i64>);

pub struct BackupRow {
    pub target: String,
    pub started: i64,
    pub log_size: u64,
    pub of: Option<Id>,
    pub data: Option<BackupPart>,
    /// The part, and when it is to be destroyed.
    pub keys: Option<(BackupPart, i64)>,
    pub failed: Option<i64>,
    pub facts: Option<BackupFacts>,
}

pub struct BackupFacts {
    pub bytes: u64,
    pub people: u64,
    pub records: u64,
    pub epoch: u64,
    pub policy: u32,
    pub ledger: u64,
    pub manifest: [u8; 32],
}

pub fn backup_row(bytes: &[u8]) -> BackupRow {
    fn part(row: &mut Row<'_>) -> BackupPart {
        (row.option(Row::int), row.option(Row::int))
    }
    Row::read(bytes, |row| BackupRow {
        target: row.text(),
        started: row.int(),
        log_size: row.uint(),
        of: row.option(Row::array),
        data: row.option(part),
        keys: row.option(|row| (part(row), row.int())),
        failed: row.option(Row::int),
        facts: row.option(|row| BackupFacts {
            bytes: row.uint(),
            people: row.uint(),
            records: row.uint(),
            epoch: row.uint(),
            policy: row.u32(),
            ledger: row.uint(),
            manifest: row.array(),
        }),
    })
}

pub struct Backups {
    /// Backup, entries of the log when it was registered, when it is to be destroyed.
    pub keys: Vec<(Id, u64, i64)>,
    pub last_completed: Option<i64>,
}

pub fn backups(bytes: &[u8]) -> Backups {
    Row::read(bytes, |row| Backups {
        keys: row.list(|row| (row.array(), row.uint(), row.int())),
        last_completed: row.option(Row::int),
    })
}

/// A notice to a recipient: who, what they call the person by, and the words that the vault adds.
pub struct NoticeRow {
    pub kind: u64,
    pub recipient: String,
    /// Purpose and name.
    pub references: Vec<(u16, Id)>,
    pub fields: Vec<Field>,
    pub made: i64,
    pub state: u64,
    pub since: i64,
    pub tries: u32,
    pub due: i64,
    pub reason: Option<String>,
}

pub fn notice_row(bytes: &[u8]) -> NoticeRow {
    Row::read(bytes, |row| NoticeRow {
        kind: row.uint(),
        recipient: row.text(),
        references: row.list(|row| (row.u16(), row.array())),
        fields: row.list(Row::field),
        made: row.int(),
        state: row.uint(),
        since: row.int(),
        tries: row.u32(),
        due: row.int(),
        reason: row.option(Row::text),
    })
}

/// Lines of a log that came together.
pub struct LogRow {
    pub at: i64,
    pub stream: String,
    pub lines: Vec<String>,
}

pub fn log_row(bytes: &[u8]) -> LogRow {
    Row::read(bytes, |row| LogRow {
        at: row.int(),
        stream: row.text(),
        lines: row.list(Row::text),
    })
}
