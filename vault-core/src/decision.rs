//! Need to know: role × purpose × field × where the person stands, to a grant or a refusal.
//!
//! The only module that makes a [`ReadGrant`] or a [`WriteGrant`], without which `record` neither
//! opens nor takes a value.
//!
//! Source: GDPR Art. 5(1)(b), 6(1), 7, 17(3), 18(2), 21.

use std::collections::BTreeMap;

use crate::policy::{
    Collection, Field, LawfulBasis, Policy, Purpose, RIGHTS_ID, RestrictedUse, Role, View as Sight,
};
use crate::refusal::Refusal;
use crate::retention::{Term, Times};
use crate::schema::FieldType;
use crate::standing::{ObjectionState, Standing};

/// Leave to read some fields of one collection, for one purpose.
pub(crate) struct ReadGrant {
    /// Purpose's numeric id, which a record's own purposes may exclude.
    pub(crate) purpose: u16,
    sights: BTreeMap<u16, Sight>,
    withheld: Vec<(u16, &'static str)>,
    term: Option<Term>,
}

impl ReadGrant {
    /// How this field may be seen.
    pub(crate) fn sight(&self, field: u16) -> Sight {
        self.sights.get(&field).copied().unwrap_or(Sight::None)
    }

    /// The same leave, for as long as the purpose needs a value.
    pub(crate) fn within(self, term: Option<Term>) -> Self {
        Self { term, ..self }
    }

    /// Whether the purpose needs what came at these times no more.
    pub(crate) fn is_over(&self, times: Times) -> bool {
        self.term.as_ref().is_some_and(|term| term.over(times))
    }

    /// Whether a record with these purposes of its own, none for all of the policy's, may be seen.
    /// Purposes narrow what others may do with a record, never what its person is told.
    pub(crate) fn reaches(&self, own: &[u16]) -> bool {
        own.is_empty() || self.purpose == RIGHTS_ID || own.contains(&self.purpose)
    }

    /// The fields that are not shown, and why.
    pub(crate) fn withheld(&self) -> &[(u16, &'static str)] {
        &self.withheld
    }

    /// The fields that are shown in whatever way.
    pub(crate) fn fields(&self) -> impl Iterator<Item = u16> + '_ {
        self.sights.keys().copied()
    }
}

/// Leave to read the content of one blob, which is always all of it.
pub(crate) struct ContentGrant(ReadGrant);

impl ContentGrant {
    /// The same leave, for as long as the purpose needs the content.
    pub(crate) fn within(self, term: Option<Term>) -> Self {
        Self(self.0.within(term))
    }

    /// As leave to read the field.
    pub(crate) fn read(&self) -> &ReadGrant {
        &self.0
    }
}

/// Leave to write some fields of one collection, for one purpose.
pub(crate) struct WriteGrant(());

/// The stated purpose, if the role serves it.
pub(crate) fn purpose<'p>(
    policy: &'p Policy,
    role: &Role,
    stated: Option<&str>,
) -> Result<&'p Purpose, Refusal> {
    let name = stated.ok_or(Refusal::PurposeMissing)?;
    let purpose = policy
        .purpose(name)
        .filter(|purpose| role.serves(purpose.id));
    purpose.ok_or_else(|| {
        Refusal::PurposeDenied(format!(
            "the role `{}` does not serve this purpose",
            role.name
        ))
    })
}

/// Whether a collection of the person may be used at all: restricted data are stored and nothing else,
/// but for a use that Art. 18(2) allows and the role may claim.
///
/// What is held is there for legal claims alone.
///
/// Source: GDPR Art. 17(3), 18.
pub(crate) fn unrestricted(
    collection: &Collection,
    role: &Role,
    standing: &Standing,
    claimed: Option<RestrictedUse>,
) -> Result<(), Refusal> {
    let what = format!("`{}`", collection.name);
    let (held, restricted) = (
        standing.holds(collection.id),
        standing.restricts(collection.id),
    );
    usable(&what, (held, restricted), role, claimed)
}

/// Whether a person may be named to somebody, or found by a name: not while everything of them is held or
/// restricted.
pub(crate) fn nameable(
    role: &Role,
    standing: &Standing,
    claimed: Option<RestrictedUse>,
) -> Result<(), Refusal> {
    usable(
        "everything of this person",
        standing.wholly(),
        role,
        claimed,
    )
}

fn usable(
    what: &str,
    (held, restricted): (bool, bool),
    role: &Role,
    claimed: Option<RestrictedUse>,
) -> Result<(), Refusal> {
    let legal = claimed.filter(|one| *one == RestrictedUse::LegalClaims);
    if held && !legal.is_some_and(|one| role.may_claim(one)) {
        return Err(Refusal::Held(match legal {
            None => format!("{what} is held for legal claims and obligations"),
            Some(one) => format!(
                "{what} is held, and the role `{}` may not claim `{}`",
                role.name,
                one.name()
            ),
        }));
    }
    if !restricted || claimed.is_some_and(|one| role.may_claim(one)) {
        return Ok(());
    }
    Err(Refusal::Restricted(match claimed {
        None => format!("the use of {what} is restricted"),
        Some(one) => format!(
            "the use of {what} is restricted, and the role `{}` may not claim `{}`",
            role.name,
            one.name()
        ),
    }))
}

/// Whether what lies in a collection of the person may be removed: what is held stays as it is, whoever asks.
///
/// Source: GDPR Art. 17(3)(b) and (e).
pub(crate) fn unheld(collection: &Collection, held: bool, what: &str) -> Result<(), Refusal> {
    match held {
        false => Ok(()),
        true => Err(Refusal::Held(format!(
            "`{}` is held: {what}",
            collection.name
        ))),
    }
}

/// Whether the purpose has a lawful basis for this person now.
pub(crate) fn basis<'f>(
    purpose: &Purpose,
    standing: &Standing,
    mut fields: impl Iterator<Item = &'f Field>,
) -> Result<(), Refusal> {
    match standing.objection(purpose) {
        Some(ObjectionState::Upheld) => {
            return Err(Refusal::NoLawfulBasis {
                purpose: purpose.name.clone(),
            });
        }
        Some(ObjectionState::Pending) => {
            return Err(Refusal::Restricted(format!(
                "the person has objected to `{}`, and that is not decided yet",
                purpose.name
            )));
        }
        Some(ObjectionState::Overridden | ObjectionState::Ended) | None => {}
    }
    match purpose.basis {
        LawfulBasis::Consent if !standing.consents() => Err(Refusal::ConsentRequired {
            purpose: purpose.name.clone(),
        }),
        // Special data that only an explicit consent allows (Art. 9(2)(a)).
        LawfulBasis::Consent
            if !standing.consents_explicitly() && fields.any(Field::wants_explicit_consent) =>
        {
            Err(Refusal::ConsentRequired {
                purpose: purpose.name.clone(),
            })
        }
        _ => Ok(()),
    }
}

/// Decides a read of `named` fields, or of whatever may be seen.
///
/// A field that was named and may not be seen refuses the read; one that was not is withheld.
pub(crate) fn read(
    collection: &Collection,
    role: &Role,
    purpose: &Purpose,
    named: Option<&[&Field]>,
    standing: &Standing,
) -> Result<ReadGrant, Refusal> {
    let all: Vec<&Field> = collection.fields.iter().collect();
    let mut grant = ReadGrant {
        purpose: purpose.id,
        sights: BTreeMap::new(),
        withheld: Vec::new(),
        term: None,
    };
    let mut first = None;
    for field in named.unwrap_or(&all) {
        match read_field(collection, role, purpose, field, standing) {
            Ok(sight) => {
                grant.sights.insert(field.id, sight);
            }
            Err(refusal) if named.is_some() => return Err(refusal),
            Err(refusal) => {
                grant.withheld.push((field.id, refusal.code()));
                // The refusal that came furthest says most about the way out.
                if first
                    .as_ref()
                    .is_none_or(|first| rank(&refusal) > rank(first))
                {
                    first = Some(refusal);
                }
            }
        }
    }
    match first {
        Some(refusal) if grant.sights.is_empty() => Err(refusal),
        _ => Ok(grant),
    }
}

fn rank(refusal: &Refusal) -> u8 {
    match refusal {
        Refusal::ConsentRequired { .. }
        | Refusal::NoLawfulBasis { .. }
        | Refusal::Restricted(_) => 2,
        Refusal::PurposeDenied(_) => 1,
        _ => 0,
    }
}

fn read_field(
    collection: &Collection,
    role: &Role,
    purpose: &Purpose,
    field: &Field,
    standing: &Standing,
) -> Result<Sight, Refusal> {
    let sight = role.view(collection.id, field.id);
    if sight == Sight::None {
        return Err(Refusal::RoleDenied(format!(
            "the role `{}` may not read {}.{}",
            role.name, collection.name, field.name
        )));
    }
    for_purpose(collection, purpose, field)?;
    basis(purpose, standing, std::iter::once(field))?;
    Ok(sight)
}

fn for_purpose(collection: &Collection, purpose: &Purpose, field: &Field) -> Result<(), Refusal> {
    // Every field is the person's own to correct.
    if purpose.id == RIGHTS_ID || field.purposes.contains(&purpose.id) {
        return Ok(());
    }
    Err(Refusal::PurposeDenied(format!(
        "{}.{} is not collected for `{}`",
        collection.name, field.name, purpose.name
    )))
}

/// Whether fields of a collection may be given to a recipient for a purpose: it is named there, the fields
/// were collected for it, and it has its basis for this person now. What is given was read before, by
/// whoever may.
pub(crate) fn disclose(
    collection: &Collection,
    purpose: &Purpose,
    recipient: &str,
    fields: &[&Field],
    standing: &Standing,
) -> Result<(), Refusal> {
    if !purpose.recipients.iter().any(|named| named == recipient) {
        return Err(Refusal::PurposeDenied(format!(
            "`{}` does not name this recipient",
            purpose.name
        )));
    }
    for field in fields {
        for_purpose(collection, purpose, field)?;
    }
    basis(purpose, standing, fields.iter().copied())
}

/// Whether the role may write any field of the collection: what is asked before anything is said
/// about the person.
pub(crate) fn may_write_any(collection: &Collection, role: &Role) -> Result<(), Refusal> {
    let any = collection
        .fields
        .iter()
        .any(|field| role.may_write(collection.id, field.id));
    any.then_some(()).ok_or_else(|| {
        Refusal::RoleDenied(format!(
            "the role `{}` may not write {}",
            role.name, collection.name
        ))
    })
}

/// Whether the role may see any field of the collection, or ask about one: what is asked before anything is
/// said of a count.
pub(crate) fn may_count_any(collection: &Collection, role: &Role) -> Result<(), Refusal> {
    let asks = |field: &Field| role.asks(collection.id, field.id).next().is_some();
    match collection.fields.iter().any(asks) {
        true => Ok(()),
        false => may_read_any(collection, role),
    }
}

/// Decides a count of people by these fields, whose values are looked at and not given out. The label of a
/// group of texts is such a value, and is for whoever sees the field; of the others it is enough to be
/// allowed to ask about them.
pub(crate) fn count(
    collection: &Collection,
    role: &Role,
    purpose: &Purpose,
    fields: &[&Field],
    standing: &Standing,
) -> Result<ReadGrant, Refusal> {
    for field in fields {
        let sees = role.view(collection.id, field.id) == Sight::Full;
        let asks = role.asks(collection.id, field.id).next().is_some();
        if !sees && (field.kind == FieldType::Text || !asks) {
            return Err(Refusal::RoleDenied(format!(
                "the role `{}` may not count people by {}.{}",
                role.name, collection.name, field.name
            )));
        }
        for_purpose(collection, purpose, field)?;
    }
    let mut all = collection.fields.iter();
    if !all.any(|field| field.purposes.contains(&purpose.id)) {
        return Err(Refusal::PurposeDenied(format!(
            "nothing in {} is collected for `{}`",
            collection.name, purpose.name
        )));
    }
    basis(purpose, standing, fields.iter().copied())?;
    let full = fields.iter().map(|field| (field.id, Sight::Full));
    Ok(ReadGrant {
        purpose: purpose.id,
        sights: full.collect(),
        withheld: Vec::new(),
        term: None,
    })
}

/// Whether the role may see any field of the collection.
pub(crate) fn may_read_any(collection: &Collection, role: &Role) -> Result<(), Refusal> {
    let sees = |field: &Field| role.view(collection.id, field.id) != Sight::None;
    collection
        .fields
        .iter()
        .any(sees)
        .then_some(())
        .ok_or_else(|| {
            Refusal::RoleDenied(format!(
                "the role `{}` may not read {}",
                role.name, collection.name
            ))
        })
}

/// Leave to make a correction in a collection that is held no more: who made it was let in when it was
/// recorded.
pub(crate) fn correction(_collection: &Collection) -> WriteGrant {
    WriteGrant(())
}

/// Decides a write of these fields. Removing needs the role and the purpose, but no consent.
pub(crate) fn write(
    collection: &Collection,
    role: &Role,
    purpose: &Purpose,
    set: &[&Field],
    removed: &[&Field],
    standing: &Standing,
) -> Result<WriteGrant, Refusal> {
    for field in set.iter().chain(removed) {
        if !role.may_write(collection.id, field.id) {
            return Err(Refusal::RoleDenied(format!(
                "the role `{}` may not write {}.{}",
                role.name, collection.name, field.name
            )));
        }
        for_purpose(collection, purpose, field)?;
    }
    if !set.is_empty() {
        basis(purpose, standing, set.iter().copied())?;
    }
    Ok(WriteGrant(()))
}

/// Whether a purpose still takes new values: what it would need for no time is not to be collected.
///
/// Source: GDPR Art. 5(1)(c) and (e).
pub(crate) fn takes_more(purpose: &Purpose, term: Option<&Term>) -> Result<(), Refusal> {
    match term.is_some_and(Term::closed) {
        true => Err(Refusal::NoLawfulBasis {
            purpose: purpose.name.clone(),
        }),
        false => Ok(()),
    }
}

/// Leave to store what was invented of a person who does not exist: the vault's own, for nobody's purpose.
pub(crate) fn plant() -> WriteGrant {
    WriteGrant(())
}

/// Decides a read of a blob's content. A mask shows its media type in the record, and no content.
pub(crate) fn content(
    collection: &Collection,
    role: &Role,
    purpose: &Purpose,
    field: &Field,
    standing: &Standing,
) -> Result<ContentGrant, Refusal> {
    let grant = read(collection, role, purpose, Some(&[field]), standing)?;
    if grant.sight(field.id) != Sight::Full {
        return Err(Refusal::RoleDenied(format!(
            "the role `{}` sees of {}.{} only the media type, in the record",
            role.name, collection.name, field.name
        )));
    }
    Ok(ContentGrant(grant))
}

/// Decides what a package of the person's own data shows of a collection, for the built-in purpose
/// `rights`: what the role sees of it. Every field is collected for its own person, who needs no other
/// basis: not to be told what is held would need one.
///
/// Source: GDPR Art. 15(1) and (3), 20(1).
pub(crate) fn export(collection: &Collection, role: &Role) -> ReadGrant {
    let mut grant = ReadGrant {
        purpose: RIGHTS_ID,
        sights: BTreeMap::new(),
        withheld: Vec::new(),
        term: None,
    };
    for field in &collection.fields {
        match role.view(collection.id, field.id) {
            Sight::None => grant.withheld.push((field.id, "role_denied")),
            sight => {
                grant.sights.insert(field.id, sight);
            }
        }
    }
    grant
}

/// The same for the content of one blob; `None` where the role sees no more than its mask.
pub(crate) fn export_content(
    collection: &Collection,
    role: &Role,
    field: &Field,
) -> Option<ContentGrant> {
    let grant = export(collection, role);
    (grant.sight(field.id) == Sight::Full).then_some(ContentGrant(grant))
}

/// Decides a question about a field whose value the role need not see.
pub(crate) fn ask(
    collection: &Collection,
    role: &Role,
    purpose: &Purpose,
    field: &Field,
    test: &str,
    standing: &Standing,
) -> Result<ReadGrant, Refusal> {
    if !role.may_ask(collection.id, field.id, test) {
        return Err(Refusal::RoleDenied(format!(
            "the role `{}` may not ask {}.{}.{test}",
            role.name, collection.name, field.name
        )));
    }
    for_purpose(collection, purpose, field)?;
    basis(purpose, standing, std::iter::once(field))?;
    Ok(ReadGrant {
        purpose: purpose.id,
        sights: BTreeMap::from([(field.id, Sight::Full)]),
        withheld: Vec::new(),
        term: None,
    })
}
