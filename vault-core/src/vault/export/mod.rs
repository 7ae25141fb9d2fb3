//! Packages of a person's own data, made and handed over in slices.
//!
//! Decided once with an entry in the log, before the first byte leaves, and again with every slice over a
//! snapshot of its own: an erasure, or a policy that shows less, ends the package. Between two slices
//! there is no view of the vault, and of what was read only what compression and encryption hold back.

mod begin;
mod gather;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;

use serde_json::json;

use self::gather::Gathered;
use super::call::{Context, READ_TRIES};
use super::{Call, Vault};
use crate::audit::hex;
use crate::commit::Snapshot;
use crate::crypto::Sha256Stream;
use crate::export::{self, ExportInput, Form, Head, Page, Pipe, Right, file_name};
use crate::id::{RecordId, RequestId, SubjectId};
use crate::log_lines::Place;
use crate::person::Person;
use crate::policy::{Capability, Policy};
use crate::refusal::Refusal;

const ACTION: &str = "subjects.export";

/// A package under way. No `Debug`: it holds values.
pub struct Export {
    vault: Arc<Vault>,
    context: Context,
    subject: SubjectId,
    right: Right,
    form: Form,
    sealed: bool,
    head: Head,
    policy_version: u32,
    /// Entries of the log that the ledger is of.
    log_size: u64,
    pipe: Pipe,
    members: Vec<Part>,
    at: At,
    /// Where each file is: found before the first member is written.
    files: Vec<FileOf>,
    /// Of each collection, what the first member that showed it showed.
    states: Vec<Option<[u8; 32]>>,
    state: Sha256Stream,
    same_state: bool,
    records: u64,
    undeclared: u64,
    /// Whether the list at hand has begun.
    begun: bool,
    /// The request that it answers.
    request: Option<RequestId>,
}

/// A blob that goes into the package.
#[derive(Clone)]
struct FileOf {
    collection: usize,
    record: RecordId,
    field: usize,
    blob: crate::blob::BlobId,
    size: u64,
    media_type: String,
    file: export::File,
}

/// A member of a package.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Json,
    Html,
    Csv(usize),
    File(usize),
    Manifest,
}

/// Where a package goes on.
#[derive(Clone)]
enum At {
    /// Looking for files, to name and hash them.
    Scan(Spot, Option<Box<Hashing>>),
    /// At the beginning of a member.
    Begin(usize),
    /// Among the records.
    Records(usize, Spot),
    /// Among lines of logs, behind this row.
    Logs(usize, Option<Place>),
    /// In the ledger, before this entry.
    Ledger(usize, u64),
    /// In the content of a blob.
    Content(usize, u64),
    /// Behind everything.
    Done,
}

/// Behind which record of which collection.
#[derive(Clone, Copy)]
struct Spot {
    collection: usize,
    after: Option<RecordId>,
}

/// A blob whose content is being hashed.
#[derive(Clone)]
struct Hashing {
    of: FileOf,
    from: u64,
    digest: Sha256Stream,
    /// Those of the same record that come after it.
    rest: Vec<FileOf>,
}

/// Whether a package goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportStep {
    /// There is more.
    More,
    /// That was all.
    Done,
}

/// What a slice comes to: bytes to be written, and what is true once they are.
struct Made {
    bytes: Vec<u8>,
    /// A member that begins before the bytes: name, media type, whether it is packed.
    begins: Option<(String, String, bool)>,
    ends: bool,
    at: At,
    gathered: Gathered,
}

impl Made {
    fn new(at: At, bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            begins: None,
            ends: false,
            at,
            gathered: Gathered::default(),
        }
    }
}

fn broken(_: io::Error) -> Refusal {
    Refusal::Internal("a package could not be put together")
}

impl Export {
    /// Its media type.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        match self.sealed {
            true => "application/octet-stream",
            false => self.form.media_type(),
        }
    }

    /// A name for its file: the right and the day, nothing of the person.
    #[must_use]
    pub fn file_name(&self) -> String {
        let day = self.head.made_at.strftime("%Y-%m-%d");
        let (right, ending) = (self.right.name(), self.form.extension());
        let sealed = if self.sealed { ".age" } else { "" };
        format!("personal-data-{right}-{day}.{ending}{sealed}")
    }

    /// Whether everything is in it that belongs there, as far as the caller's role sees it.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.head.complete()
    }

    /// How many fields are not shown to the caller.
    #[must_use]
    pub fn withheld(&self) -> usize {
        self.head.withheld.len()
    }

    /// Hands over the next part, if there is anything in it. `hand_over` runs while nothing that concerns
    /// the person can be acknowledged as revoked, and must do nothing slow.
    ///
    /// # Errors
    ///
    /// Everything that [`Vault::export`] refuses, since all is decided anew; [`Refusal::Conflict`] where
    /// another policy is in force by now. The package is then to be thrown away.
    pub fn step(&mut self, hand_over: &mut dyn FnMut(Vec<u8>)) -> Result<ExportStep, Refusal> {
        let vault = Arc::clone(&self.vault);
        let step = vault.export_step(self, hand_over).inspect_err(|refusal| {
            let call = self.context.call();
            vault.note_refusal(&call, ACTION, refusal);
        })?;
        if step == ExportStep::Done
            && let Some(request) = self.request.take()
        {
            vault.answered(&self.context.call(), request)?;
        }
        Ok(step)
    }

    /// Says which request it answers.
    pub(super) fn answers(&mut self, request: RequestId) {
        self.request = Some(request);
    }

    /// Where the first records are.
    const fn start() -> Spot {
        Spot {
            collection: 0,
            after: None,
        }
    }

    /// What a member shows the records of, and from which to which collection.
    fn collections_of(&self, part: Part) -> std::ops::Range<usize> {
        match part {
            Part::Csv(one) => one..one + 1,
            _ => 0..self.head.collections.len(),
        }
    }

    fn make(&self, snapshot: &Snapshot, policy: &Policy, person: &Person) -> Result<Made, Refusal> {
        match &self.at {
            At::Scan(spot, hashing) => self.scan(snapshot, policy, person, *spot, hashing.clone()),
            At::Begin(index) => match self.members.get(*index) {
                Some(part) => Ok(self.begin_part(*index, *part)),
                None => Ok(Made {
                    ends: true,
                    ..Made::new(At::Done, Vec::new())
                }),
            },
            At::Records(index, spot) => self.make_records(
                snapshot,
                policy,
                person,
                (*index, self.members[*index]),
                *spot,
            ),
            At::Logs(index, after) => self.make_logs(
                snapshot,
                policy,
                person,
                (*index, self.members[*index]),
                *after,
            ),
            At::Ledger(index, before) => self.make_ledger(
                snapshot,
                policy,
                person,
                (*index, self.members[*index]),
                *before,
            ),
            At::Content(index, from) => self.make_content(snapshot, policy, person, *index, *from),
            At::Done => Ok(Made::new(At::Done, Vec::new())),
        }
    }

    fn begin_part(&self, index: usize, part: Part) -> Made {
        let (name, media_type, bytes) = match part {
            Part::Json => (
                "data.json".to_owned(),
                "application/json",
                export::json_head(&self.head),
            ),
            Part::Html => (
                "data.html".to_owned(),
                "text/html",
                Page::new(&self.head).begin(),
            ),
            Part::Csv(at) => {
                let collection = &self.head.collections[at];
                let name = format!("csv/{}.csv", collection.name);
                (name, "text/csv", export::csv_header(collection))
            }
            Part::File(at) => {
                let file = &self.files[at];
                let name = file.file.name.clone().unwrap_or_default();
                let begins = Some((name, file.media_type.clone(), false));
                return Made {
                    begins,
                    ..Made::new(At::Content(index, 0), Vec::new())
                };
            }
            Part::Manifest => {
                let begins = Some(("manifest.json".into(), "application/json".into(), true));
                return Made {
                    begins,
                    ..Made::new(At::Begin(index + 1), Vec::new())
                };
            }
        };
        let spot = Spot {
            collection: self.collections_of(part).start,
            after: None,
        };
        Made {
            begins: Some((name, media_type.into(), true)),
            ..Made::new(At::Records(index, spot), bytes)
        }
    }

    /// Takes a slice into the package, which may leave from now on.
    fn take(&mut self, made: Made) -> io::Result<()> {
        let Made {
            mut bytes,
            begins,
            ends,
            at,
            gathered,
        } = made;
        if let Some((name, media_type, packed)) = begins {
            let manifest = name == "manifest.json";
            let members = if manifest {
                self.pipe.manifest()
            } else {
                Vec::new()
            };
            self.pipe.begin(&name, &media_type, packed)?;
            self.begun = false;
            self.records = 0;
            self.undeclared = 0;
            if manifest {
                let manifest = json!({
                    "format": "personal-data-package-manifest",
                    "version": 1,
                    "right": self.right.name(),
                    "made_at": self.head.made_at.to_string(),
                    "complete": self.head.complete(),
                    "same_state": self.same_state,
                    "members": members,
                });
                bytes = serde_json::to_vec_pretty(&manifest).expect("texts have a JSON form");
                bytes.push(b'\n');
            }
        }
        self.pipe.write(&bytes)?;
        self.records += gathered.records;
        self.undeclared += gathered.undeclared;
        self.begun |= gathered.begun;
        self.same_state &= !gathered.changed;
        for (collection, seen) in gathered.seen {
            self.state.update(&seen);
            if let Some(collection) = collection {
                let state = std::mem::take(&mut self.state).finish();
                let known = self.states[collection].get_or_insert(state);
                self.same_state &= *known == state;
            }
        }
        self.files.extend(gathered.files);
        if let (At::Scan(..), At::Begin(_)) = (&self.at, &at) {
            let files = (0..self.files.len()).map(Part::File);
            if self.form == Form::Zip {
                let before_manifest = self.members.len() - 1;
                self.members.splice(before_manifest..before_manifest, files);
            }
        }
        let another = match (&self.at, &at) {
            (At::Records(..), At::Logs(..)) | (At::Logs(..), At::Ledger(..)) => true,
            (_, next) => matches!(next, At::Begin(_)),
        };
        self.begun &= !another;
        self.at = at;
        if ends {
            self.pipe.finish()?;
        }
        Ok(())
    }

    /// The name that a file gets.
    fn named(
        &self,
        number: usize,
        collection: usize,
        field: usize,
        media_type: &str,
    ) -> Option<String> {
        let collection = &self.head.collections[collection];
        let field = &collection.fields[field].name;
        let name = || file_name(number + 1, &collection.name, field, media_type);
        (self.form == Form::Zip).then(name)
    }
}

impl Vault {
    /// Begins a package of everything that is held of a person (Art. 15), or of what they provided
    /// (Art. 20), for the built-in purpose `rights`. The log has its entry before this returns. Values
    /// are those that the caller's role sees; the others are named.
    ///
    /// # Errors
    ///
    /// In this order: [`Refusal::RoleDenied`] without `subjects.export`, [`Refusal::NotFound`],
    /// [`Refusal::Erased`].
    pub fn export(
        self: &Arc<Self>,
        call: &Call<'_>,
        subject: SubjectId,
        input: ExportInput,
    ) -> Result<Export, Refusal> {
        self.begin_export(call, subject, input)
    }

    fn export_step(
        &self,
        export: &mut Export,
        hand_over: &mut dyn FnMut(Vec<u8>),
    ) -> Result<ExportStep, Refusal> {
        let subject = export.subject;
        for _ in 0..READ_TRIES {
            let ticket = self.engine.revocation().ticket(Some(subject));
            let snapshot = self.snapshot()?;
            let policy = self.policy_of(&snapshot)?;
            let context = &export.context;
            context.principal.check(&snapshot)?;
            context
                .principal
                .require_own(&policy, &[Capability::SubjectsExport])?;
            let person = context.remains(&snapshot, subject)?;
            if policy.version() != export.policy_version {
                return Err(Refusal::Conflict(
                    "another policy is in force by now; export again".into(),
                ));
            }
            let made = export.make(&snapshot, &policy, &person)?;
            drop((snapshot, person));
            let Some(_hold) = self.engine.revocation().hold(ticket) else {
                continue;
            };
            export.take(made).map_err(broken)?;
            let ready = export.pipe.take();
            if !ready.is_empty() {
                hand_over(ready);
            }
            return Ok(match export.at {
                At::Done => ExportStep::Done,
                _ => ExportStep::More,
            });
        }
        Err(Refusal::Overloaded)
    }
}

/// What stands for a record's state, among those of its collection.
fn state_of(record: RecordId, revision: &[u8]) -> Vec<u8> {
    [record.as_bytes().as_slice(), revision].concat()
}

/// Silent about values.
impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Export")
            .field("right", &self.right)
            .field("form", &self.form)
            .field("policy", &hex(&self.head.policy_sha256))
            .finish_non_exhaustive()
    }
}
