//! What a package begins with: who may have it, and everything that it says beside the records.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{ACTION, At, Export, Part};
use crate::commit::{Snapshot, View};
use crate::consent;
use crate::crypto::Sha256Stream;
use crate::decision;
use crate::emergency;
use crate::export::{
    self, ExportInput, Form, Head, HeadCollection, HeadConsents, HeadField, HeadPseudonym,
    HeadSession, Pipe, Right,
};
use crate::id::SubjectId;
use crate::notice;
use crate::person::{Person, instant};
use crate::policy::{Capability, Collection, EEA, Origin, Policy, RIGHTS, Role, View as Sight};
use crate::pseudonym;
use crate::refusal::Refusal;
use crate::schema::FieldType;
use crate::session;
use crate::statement::Published;
use crate::vault::call::{Context, Noted};
use crate::vault::{
    AgeView, Call, HoldView, RestrictionView, Vault, admin, ages, consent_receipt, contracts,
    corrections, decisions, disclosures, emergencies, holds, logs, objections, requests,
    restrictions,
};

/// Everything that is known of a package when it begins.
struct Begun {
    head: Head,
    policy_version: u32,
    log_size: u64,
    blobs: bool,
}

fn look(
    snapshot: &Snapshot,
    policy: &Arc<Policy>,
    context: &Context,
    noted: &mut Noted,
    subject: SubjectId,
    input: &ExportInput,
) -> Result<Begun, Refusal> {
    let any = [Capability::SubjectsExport];
    context.principal.require_own(policy, &any)?;
    let person = context.remains(snapshot, subject)?;
    noted.person(&person, snapshot.now());
    let role = &*context.role(policy)?;
    let applied_at = admin::policy_applied_at(snapshot, policy.version())?;
    let published = Published::new(Arc::clone(policy), instant(applied_at));
    let statement = published.statement(input.language.as_deref().unwrap_or_default());
    let mut head = Head {
        right: input.right,
        made_at: snapshot.now(),
        policy_sha256: policy.sha256(),
        vault: snapshot.vault().to_string(),
        subject: subject.to_string(),
        created_at: snapshot.now(),
        identity: None,
        collections: Vec::new(),
        withheld: Vec::new(),
        left_out: Vec::new(),
        consents: Vec::new(),
        disclosures: Vec::new(),
        objections: Vec::new(),
        restriction: RestrictionView {
            restricted: false,
            history: Vec::new(),
        },
        hold: HoldView {
            held: false,
            overdue: false,
            history: Vec::new(),
        },
        corrections: Vec::new(),
        contracts: Vec::new(),
        age: AgeView {
            child: false,
            guardian: false,
            history: Vec::new(),
        },
        pseudonyms: Vec::new(),
        requests: Vec::new(),
        decisions: Vec::new(),
        notices: Vec::new(),
        sessions: Vec::new(),
        emergencies: Vec::new(),
        recipients: recipients(policy),
        statement,
    };
    let mut blobs = false;
    for collection in policy.collections() {
        let shown = self::collection(policy, role, collection, &mut head);
        blobs |= shown
            .fields
            .iter()
            .any(|field| field.kind == FieldType::Blob);
        let shown_ids = shown.fields.iter().map(|field| (collection.id, field.id));
        noted.fields.extend(shown_ids);
        head.collections.push(shown);
    }
    let row = person.row(snapshot)?;
    head.created_at = instant(row.created_at);
    // Who they are on a channel is a value as well, of no field: whoever sees no field whole does not
    // see it either.
    let sees = policy.collections().iter().any(|collection| {
        let mut fields = collection.fields.iter();
        fields.any(|field| role.view(collection.id, field.id) == Sight::Full)
    });
    // Of somebody who is erased but for what is held nobody knows it any more.
    head.identity = (sees && !row.channel.is_empty()).then_some((row.channel, row.user));
    if input.right == Right::Access {
        consents(snapshot, policy, &person, &mut head)?;
        head.disclosures = disclosures::all(snapshot, policy, &person)?;
        head.objections = objections::all(snapshot, policy, &person)?;
        head.restriction = restrictions::view(snapshot, policy, &person)?;
        head.hold = holds::view(snapshot, policy, &person)?;
        head.corrections = corrections::waiting(snapshot, &person)?
            .iter()
            .filter_map(|one| {
                let collection = policy.collection_by_id(one.collection())?;
                let sees = |field| role.view(collection.id, field) == Sight::Full;
                one.view(collection, sees)
            })
            .collect();
        head.contracts = contracts::all(snapshot, policy, &person)?;
        head.age = ages::view(snapshot, &person)?;
        pseudonyms(snapshot, policy, &person, &mut head)?;
        head.requests = requests::told(snapshot, policy, &person)?;
        head.decisions = decisions::told(snapshot, policy, &person)?;
        head.notices = notice::history(snapshot, &person)?;
        head.emergencies = emergencies::views(snapshot, policy, &person)?;
        sessions(snapshot, policy, &person, &mut head)?;
        let themselves = context.principal.is_themselves();
        let reader = (!themselves).then_some(role.name.as_str());
        for stream in logs::hidden(snapshot, policy, reader, &person)? {
            head.withheld
                .push(("logs".to_owned(), stream, "role_denied"));
        }
    }
    Ok(Begun {
        head,
        policy_version: policy.version(),
        log_size: 0,
        blobs,
    })
}

/// A collection as the package shows it; fields that it does not show are noted in the head.
fn collection(
    policy: &Policy,
    role: &Role,
    collection: &Collection,
    head: &mut Head,
) -> HeadCollection {
    let grant = decision::export(collection, role);
    let phrases = head.statement.phrases;
    let mut fields = Vec::new();
    for field in &collection.fields {
        let place = |code| (collection.name.clone(), field.name.clone(), code);
        if head.right == Right::Portability
            && let Some(reason) = export::left_out(policy, field)
        {
            // A record may say otherwise of its source, and is then shown.
            head.left_out.push(place(reason));
            if grant.sight(field.id) == Sight::None {
                continue;
            }
        }
        if grant.sight(field.id) == Sight::None {
            head.withheld.push(place("role_denied"));
            continue;
        }
        if grant.sight(field.id) == Sight::Mask {
            head.withheld.push(place("masked"));
        }
        let purposes = field.purposes.iter();
        let purposes = purposes.filter_map(|id| Some(policy.purpose_by_id(*id)?.name.clone()));
        fields.push(HeadField {
            id: field.id,
            name: field.name.clone(),
            kind: field.kind,
            category: field.category.clone(),
            purposes: purposes.collect(),
            source: field.source.unwrap_or(Origin::Provided).name(),
            special: field.special.map(|special| special.name()),
            condition: field.art9.clone(),
            necessity: field.necessity.map(|necessity| necessity.name()),
            words: phrases.data(field.category.as_deref(), field.kind),
        });
    }
    HeadCollection {
        id: collection.id,
        name: collection.name.clone(),
        kind: collection.kind,
        retention: collection.retention.as_ref().map(ToString::to_string),
        fields,
    }
}

fn recipients(policy: &Policy) -> Vec<Value> {
    let all = policy.recipients().iter().map(|one| {
        json!({
            "name": one.name,
            "legal_name": one.legal_name,
            "country": one.country,
            "outside_eea": !EEA.contains(&one.country.as_str()),
            "safeguard": one.safeguard.as_ref().map(|safeguard| json!({
                "kind": safeguard.kind.name(),
                "note": safeguard.note,
            })),
        })
    });
    all.collect()
}

fn consents(
    snapshot: &Snapshot,
    policy: &Policy,
    person: &Person,
    head: &mut Head,
) -> Result<(), Refusal> {
    for purpose in policy.purposes() {
        let events = consent::history(snapshot, person, purpose.id)?;
        if !events.is_empty() {
            head.consents.push(HeadConsents {
                receipt: consent_receipt(policy, person.subject, purpose, &events),
                purpose: purpose.name.clone(),
                events,
            });
        }
    }
    Ok(())
}

fn pseudonyms(
    snapshot: &Snapshot,
    policy: &Policy,
    person: &Person,
    head: &mut Head,
) -> Result<(), Refusal> {
    for one in pseudonym::issued(snapshot, person)? {
        let purpose = policy.purpose_by_id(one.purpose);
        head.pseudonyms.push(HeadPseudonym {
            pseudonym: one.pseudonym.to_string(),
            // One that the policy has lost is still what somebody calls them.
            purpose: purpose.map_or_else(|| format!("#{}", one.purpose), |one| one.name.clone()),
            recipient: one.recipient,
            at: one.at,
        });
    }
    Ok(())
}

fn sessions(
    snapshot: &Snapshot,
    policy: &Policy,
    person: &Person,
    head: &mut Head,
) -> Result<(), Refusal> {
    let name = |(collection, field): &(u16, u16)| {
        let collection = policy.collection_by_id(*collection)?;
        let field = collection.field_by_id(*field)?;
        Some(format!("{}.{}", collection.name, field.name))
    };
    for (id, row) in session::all(snapshot, person)? {
        let emergency = emergency::of_session(id);
        if head
            .emergencies
            .iter()
            .any(|one| one.emergency == emergency)
        {
            continue;
        }
        head.sessions.push(HeadSession {
            session: id.to_string(),
            role: row.role,
            purpose: row.purpose,
            fields: row.fields.iter().filter_map(name).collect(),
            created_at: instant(row.created_at),
            expires_at: instant(row.expires_at),
            revoked: row.revoked,
        });
    }
    head.sessions
        .sort_by(|a, b| (a.created_at, &a.session).cmp(&(b.created_at, &b.session)));
    Ok(())
}

/// The members of a package, but for files.
fn members(form: Form, collections: usize) -> Vec<Part> {
    let csv = (0..collections).map(Part::Csv);
    match form {
        Form::Json => vec![Part::Json],
        Form::Html => vec![Part::Html],
        Form::Csv => csv.chain([Part::Manifest]).collect(),
        Form::Zip => [Part::Json, Part::Html]
            .into_iter()
            .chain(csv)
            .chain([Part::Manifest])
            .collect(),
    }
}

impl Vault {
    pub(super) fn begin_export(
        self: &Arc<Self>,
        call: &Call<'_>,
        subject: SubjectId,
        input: ExportInput,
    ) -> Result<Export, Refusal> {
        // Whatever is stated: there is one purpose for this.
        let call = &call.with_purpose(RIGHTS);
        let begun = self.read(
            call,
            ACTION,
            Some(subject),
            |snapshot, _, context, noted| {
                let policy = self.policy_of(snapshot)?;
                look(snapshot, &policy, context, noted, subject, &input)
            },
            |begun| begun,
        );
        let mut begun = begun?;
        // Its own entry lies in the journal, and belongs into the ledger that it contains.
        self.engine.submit(|_| Ok(()))?;
        begun.log_size = self.snapshot()?.state().audit_next;
        let Begun {
            head,
            policy_version,
            log_size,
            blobs,
        } = begun;
        let pipe = Pipe::new(input.form.is_archive(), &input.seal, head.made_at);
        let pipe = pipe.map_err(super::broken)?;
        Ok(Export {
            vault: Arc::clone(self),
            context: Context::new(call),
            subject,
            right: input.right,
            form: input.form,
            sealed: input.seal.is_sealed(),
            policy_version,
            log_size,
            pipe,
            members: members(input.form, head.collections.len()),
            at: match blobs {
                true => At::Scan(Export::start(), None),
                false => At::Begin(0),
            },
            files: Vec::new(),
            states: vec![None; head.collections.len()],
            state: Sha256Stream::default(),
            same_state: true,
            records: 0,
            undeclared: 0,
            begun: false,
            request: None,
            head,
        })
    }
}
