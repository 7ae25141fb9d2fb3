//! The vault's own keys: their state, and new ones in their place.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vault_core::id::SubjectId;

use crate::call::Outcome;
use crate::idempotency::Remember;
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::rotation;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

const CAPABILITY: &str = "keys.manage";

/// Which keys are to be replaced.
#[derive(ToSchema)]
#[schema(as = RotateKeysRequest)]
#[expect(dead_code, reason = "describes the wire; what is read is `Scope`")]
pub(crate) struct RotateRequest {
    /// `root`: the root key, at once. `subject`: every key of one person. `all`: everybody's, which goes
    /// on after the answer.
    scope: String,
    /// Whose, `sub_…`; with `subject` alone.
    subject: Option<String>,
    /// With `all` alone: the root key first, and the system keyset last.
    #[schema(default = false)]
    deep: Option<bool>,
}

#[derive(Clone, Copy)]
enum Scope {
    All { deep: bool },
    Root,
    Subject(SubjectId),
}

impl Scope {
    fn read(body: Value) -> Result<Self, Problem> {
        let mut shape = Shape::of(body, &["scope", "subject", "deep"])?;
        let scope = shape.text("scope");
        if scope != "subject" && shape.has("subject") {
            let detail = "a person is named with the scope `subject` alone";
            shape.refuse("subject", "unexpected", detail);
        }
        if scope != "all" && shape.has("deep") {
            let detail = "goes with the scope `all` alone";
            shape.refuse("deep", "unexpected", detail);
        }
        let found = match scope.as_str() {
            "all" => Self::All {
                deep: shape.has("deep") && shape.flag("deep"),
            },
            "root" => Self::Root,
            "subject" => {
                let text = shape.text("subject");
                match text.parse() {
                    Ok(subject) => Self::Subject(subject),
                    Err(_) => {
                        shape.refuse("subject", "not_an_id", "`sub_…` is expected");
                        Self::Root
                    }
                }
            }
            _ => {
                let detail = "`root`, `subject` or `all` is expected";
                shape.refuse("scope", "unknown_word", detail);
                Self::Root
            }
        };
        shape.finish(found)
    }
}

/// A key of a person.
#[derive(Serialize, ToSchema)]
#[schema(as = SubjectKey)]
pub(crate) struct KeyBody {
    /// Its number in the person's keyset.
    key: u32,
    /// What it is for: `control`, `general`, `consents`, `answers`, or a collection's name.
    compartment: String,
    /// When the period began that it is for; null where there are no periods.
    #[schema(format = DateTime)]
    period: Option<String>,
    /// `current`, or `ending`: another has taken its place, and it goes with the last value under it.
    state: &'static str,
    /// Envelopes under it: values, metadata of records, rows of the person's own.
    values: u64,
}

impl From<vault_core::vault::KeyView> for KeyBody {
    fn from(view: vault_core::vault::KeyView) -> Self {
        Self {
            key: view.key,
            compartment: view.compartment,
            period: view.period.map(|at| at.to_string()),
            state: if view.current { "current" } else { "ending" },
            values: view.values,
        }
    }
}

/// A rotation of everybody's keys.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyRotation)]
pub(crate) struct RotationBody {
    /// Counts from 1.
    number: u64,
    /// Whether root key, index and system keyset are renewed as well.
    deep: bool,
    /// `running`, `waiting` (goes on within a minute), `paused` (goes on when it is asked for again) or
    /// `done`.
    state: &'static str,
    /// `people`; with `deep` then `index` (built anew), `marks` (the old ones leave the keysets) and
    /// `rows` (what belongs to nobody, and the log, is sealed again); `ended`.
    stage: &'static str,
    /// Since when.
    #[schema(format = DateTime)]
    begun_at: String,
    /// Until when.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// People there were when it began, or more where more came.
    people: u64,
    /// Those who have new keys.
    people_done: u64,
    /// Those whose turn is yet to come: 0 behind the stage `people`.
    people_left: u64,
    /// Those who could not be given any, because a row of theirs is damaged. Their old keys stay.
    people_skipped: u64,
    /// With `deep`: those whom look-ups do not find by every value that is theirs, because one is damaged.
    people_unindexed: u64,
    /// With `deep`: those whom look-ups would not find any more by values of a field that the policy does
    /// not look up by now, should it do so again.
    people_unsought: u64,
    /// With `deep`: rows that belong to nobody, and of the log, that do not open, once it is `done`. The old
    /// keys stay that they may lie under; `GET /v1/admin/keys?values=true` names them.
    rows_damaged: u64,
    /// At the stages `index` and `marks`: people who are done with; at `rows`: rows.
    step_done: u64,
    /// Of so many.
    step_total: u64,
}

impl From<vault_core::vault::RotationView> for RotationBody {
    fn from(view: vault_core::vault::RotationView) -> Self {
        Self {
            number: view.number,
            deep: view.deep,
            state: view.state.name(),
            stage: view.stage.name(),
            begun_at: view.begun_at.to_string(),
            ended_at: view.ended_at.map(|at| at.to_string()),
            people: view.people,
            people_done: view.done,
            people_left: view.people_left(),
            people_skipped: view.skipped,
            people_unindexed: view.unindexed,
            people_unsought: view.unsought,
            rows_damaged: view.rows_damaged,
            step_done: view.step_done,
            step_total: view.step_total,
        }
    }
}

/// The root key.
#[derive(Serialize, ToSchema)]
#[schema(as = RootKey)]
pub(crate) struct RootBody {
    /// The anchor's epoch, whose secret it works with.
    epoch: u64,
    /// Slots that it is sealed to.
    slots: usize,
    /// When it was last rotated; slots that came or went since have replaced it as well.
    #[schema(format = DateTime)]
    rotated_at: Option<String>,
}

/// The keys of the index: the one that places it, and those of its marks.
#[derive(Serialize, ToSchema)]
#[schema(as = IndexKey)]
pub(crate) struct IndexBody {
    /// Which building of the index look-ups go to.
    generation: u32,
    /// Whether the next is being built.
    in_work: bool,
    /// Which index keys its marks are made with, from 0.
    keys: u32,
}

/// The key that signs checkpoints.
#[derive(Serialize, ToSchema)]
#[schema(as = SigningKey)]
pub(crate) struct SignerBody {
    /// Its public half, `name+hash+key`.
    key: String,
    /// How many there were before it; `GET /v1/log/key` lists them.
    past: usize,
}

/// A key of the system keyset that rows lie under.
#[derive(Serialize, ToSchema)]
#[schema(as = SystemKey)]
pub(crate) struct SystemKeyBody {
    /// What it seals: `rows` that belong to nobody, or the entries of the `log`.
    of: &'static str,
    /// Its number, from 0.
    key: u32,
    /// `current`, or `ending`: another has taken its place, and it goes with the last value under it.
    state: &'static str,
    /// Envelopes under it.
    values: u64,
}

impl From<vault_core::vault::SystemKeyView> for SystemKeyBody {
    fn from(view: vault_core::vault::SystemKeyView) -> Self {
        Self {
            of: view.of,
            key: view.key,
            state: if view.current { "current" } else { "ending" },
            values: view.values,
        }
    }
}

/// Rows that belong to nobody, and of the log, that do not open.
#[derive(Serialize, ToSchema)]
#[schema(as = DamagedRows)]
pub(crate) struct DamagedRowsBody {
    /// How many there are.
    count: u64,
    /// The first twenty of them.
    rows: Vec<DamagedRowBody>,
}

/// A row that does not open.
#[derive(Serialize, ToSchema)]
#[schema(as = DamagedRow)]
pub(crate) struct DamagedRowBody {
    /// `api_keys`, `audit`, `backups`, `policies`, `receipts` or `tombstones`.
    table: &'static str,
    /// Its key: of the log, the number of its first entry; else in hexadecimal digits.
    row: String,
}

impl From<vault_core::vault::DamagedRow> for DamagedRowBody {
    fn from(view: vault_core::vault::DamagedRow) -> Self {
        Self {
            table: view.table,
            row: view.row,
        }
    }
}

/// The state of the vault's keys.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyStates)]
pub(crate) struct KeysBody {
    /// The root key.
    root: RootBody,
    /// The keys of the index.
    index: IndexBody,
    /// The key that signs checkpoints.
    signer: SignerBody,
    /// With `values=true`: the keys of rows that belong to nobody, and of the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    system_keys: Option<Vec<SystemKeyBody>>,
    /// With `values=true`: which of those rows do not open.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    damaged_rows: Option<DamagedRowsBody>,
    /// The last rotation of everybody's keys, or the one under way; null before the first.
    rotation: Option<RotationBody>,
    /// The keys of the person that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    subject_keys: Option<Vec<KeyBody>>,
}

/// What was replaced, or is being.
#[derive(Serialize, ToSchema)]
#[schema(as = RotatedKeys)]
pub(crate) struct RotatedBody {
    /// As asked for.
    scope: &'static str,
    /// With `root`: the anchor's epoch before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    epoch_before: Option<u64>,
    /// With `root`: and after.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    epoch_after: Option<u64>,
    /// With `subject`: the person's keys now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    subject_keys: Option<Vec<KeyBody>>,
    /// With `all`: how it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    rotation: Option<RotationBody>,
    /// With `all`: whether it had been begun before and goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    resumed: Option<bool>,
}

impl RotatedBody {
    fn of(scope: &'static str) -> Self {
        Self {
            scope,
            epoch_before: None,
            epoch_after: None,
            subject_keys: None,
            rotation: None,
            resumed: None,
        }
    }
}

/// State of the vault's keys
///
/// Capability `keys.manage`. With `subject`, a person's keys as well: what each is for, and how many
/// values lie under it. With `values=true`, the same of the keys that rows of nobody and the log lie
/// under, which opens each of them and names those that do not open. No key is shown.
#[utoipa::path(get, path = urls::KEYS, tag = "admin", operation_id = "list_keys",
    params(("subject" = Option<String>, Query, description = "This person's keys as well, `sub_…`"),
           ("values" = Option<bool>, Query, description = "The keys of rows that belong to nobody as well")),
    responses((status = 200, description = "The state", body = KeysBody)))]
pub(crate) async fn list(State(app): State<App>, incoming: Incoming) -> Outcome {
    let asked = incoming.query(&["subject", "values"]).and_then(|query| {
        let values = match query.text("values") {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                let detail = "`values`: `true` or `false` is expected";
                return Err(Problem::invalid_at("", "not_a_truth_value", detail));
            }
        };
        let wrong = |_| Problem::invalid_at("", "not_an_id", "`subject`: `sub_…` is expected");
        let subject = query.text("subject").map(|text| text.parse::<SubjectId>());
        Ok((subject.transpose().map_err(wrong)?, values))
    });
    app.call(incoming, move |session| {
        let (subject, values) = session.parsed(CAPABILITY, asked)?;
        let keys = session.vault.keys(&session.call())?;
        let subject_keys = match subject {
            None => None,
            Some(subject) => {
                let keys = session.vault.subject_keys(&session.call(), subject)?;
                Some(keys.into_iter().map(KeyBody::from).collect())
            }
        };
        let (mut system_keys, mut damaged_rows) = (None, None);
        if values {
            let seen = session.vault.system_keys(&session.call())?;
            system_keys = Some(seen.keys.into_iter().map(SystemKeyBody::from).collect());
            damaged_rows = Some(DamagedRowsBody {
                count: seen.damaged,
                rows: seen.named.into_iter().map(DamagedRowBody::from).collect(),
            });
        }
        let body = KeysBody {
            root: RootBody {
                epoch: keys.epoch,
                slots: keys.slots,
                rotated_at: keys.root_at.map(|at| at.to_string()),
            },
            index: IndexBody {
                generation: keys.index_generation,
                in_work: keys.index_in_work,
                keys: keys.index_keys,
            },
            signer: SignerBody {
                key: keys.signer,
                past: keys.signers_past,
            },
            system_keys,
            damaged_rows,
            rotation: keys.rotation.map(RotationBody::from),
            subject_keys,
        };
        Ok(Reply::json(200, &body))
    })
    .await
}

/// Replace keys
///
/// Capability `keys.manage`. `root` is done at any size in one commit: it is for a secret that leaked
/// alone. Where files or the anchor may have been copied with it, `all` with `deep` helps: at once the root
/// key, and new keys for rows of nobody, the log and its signature; then, after the answer (202), everybody's
/// keys, the index under new keys, and what was left under old ones is sealed again. Reads and writes go on
/// meanwhile, and a restart goes on with it. `GET /v1/admin/keys` says how far it is. It does not replace the
/// ledger key, a person's audit key, or the key inside a blob.
#[utoipa::path(post, path = urls::KEYS_ROTATE, tag = "admin", operation_id = "rotate_keys",
    request_body = RotateRequest,
    responses((status = 200, description = "Replaced", body = RotatedBody),
              (status = 202, description = "Begun, or goes on", body = RotatedBody)))]
pub(crate) async fn rotate(State(app): State<App>, incoming: Incoming) -> Outcome {
    let body = incoming.json()?;
    app.post(incoming, Remember::Reply, None, move |session| {
        let (vault, call) = (&session.vault, session.call());
        match session.parsed(CAPABILITY, Scope::read(body))? {
            Scope::Root => {
                let rotated = vault.rotate_root(&call)?;
                let body = RotatedBody {
                    epoch_before: Some(rotated.epoch_before),
                    epoch_after: Some(rotated.epoch_after),
                    ..RotatedBody::of("root")
                };
                Ok(Reply::json(200, &body))
            }
            Scope::Subject(subject) => {
                let keys = vault.rotate_subject(&call, subject)?;
                let body = RotatedBody {
                    subject_keys: Some(keys.into_iter().map(KeyBody::from).collect()),
                    ..RotatedBody::of("subject")
                };
                Ok(Reply::json(200, &body))
            }
            Scope::All { deep } => {
                let (rotation, resumed) = vault.begin_rotation(&call, deep)?;
                rotation::go_on(&session.app);
                let body = RotatedBody {
                    rotation: Some(rotation.into()),
                    resumed: Some(resumed),
                    ..RotatedBody::of("all")
                };
                Ok(Reply::json(202, &body))
            }
        }
    })
    .await
}
