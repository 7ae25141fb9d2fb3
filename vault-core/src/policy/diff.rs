//! What changes from one policy to the next, in sentences that can be reviewed.
//!
//! Knows nothing of what was stored under the old one. Compares effects, not lines: a wildcard that
//! reaches a new field shows up as what each role sees of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use super::{Collection, Field, Policy, Purpose, Recipient, Retention, Role, Safeguard, View};

/// One sentence for each difference; empty if the two say the same.
#[must_use]
pub fn diff(old: &Policy, new: &Policy) -> Vec<String> {
    let mut out = Vec::new();
    controller(old, new, &mut out);
    purposes(old, new, &mut out);
    recipients(old, new, &mut out);
    collections(old, new, &mut out);
    roles(old, new, &mut out);
    let gates = (old.gate.name(), new.gate.name());
    changed(&mut out, "notice", "gate", gates.0, gates.1);
    let proofs = (&old.proof, &new.proof);
    changed(&mut out, "proof", "period", proofs.0, proofs.1);
    let ages = (ages_text(old), ages_text(new));
    changed(&mut out, "children", "consent from", ages.0, ages.1);
    let counts = (old.counts.text(), new.counts.text());
    changed(&mut out, "counts", "told from", counts.0, counts.1);
    let emergencies = (super::breakglass::text(old), super::breakglass::text(new));
    changed(
        &mut out,
        "breakglass",
        "access",
        emergencies.0,
        emergencies.1,
    );
    let within = |policy: &Policy| policy.incidents.notify_within.to_string();
    changed(
        &mut out,
        "incidents",
        "authority told within",
        within(old),
        within(new),
    );
    let requests = (old.requests.text(), new.requests.text());
    changed(
        &mut out,
        "requests",
        "answered within",
        requests.0,
        requests.1,
    );
    logs(old, new, &mut out);
    honey(old, new, &mut out);
    out
}

/// `subject: what old → new`, if they differ.
fn changed<T: PartialEq + Display>(
    out: &mut Vec<String>,
    subject: &str,
    what: &str,
    old: T,
    new: T,
) {
    if old != new {
        out.push(format!("{subject}: {what} {old} → {new}"));
    }
}

/// A stream that is removed takes its lines with it, which whoever reviews has to see.
fn logs(old: &Policy, new: &Policy, out: &mut Vec<String>) {
    for a in &old.logs {
        if new.log_stream(&a.name).is_none() {
            out.push(format!("log {}: removed, and its lines destroyed", a.name));
        }
    }
    for b in &new.logs {
        let subject = format!("log {}", b.name);
        let Some(a) = old.log_stream(&b.name) else {
            out.push(format!("{subject}: added, {}", b.text()));
            continue;
        };
        changed(out, &subject, "lines", a.text(), b.text());
        let purpose =
            |policy: &Policy, id: Option<u16>| list(&purpose_names(policy, id.as_slice()));
        if a.purpose != b.purpose {
            let names = (purpose(old, a.purpose), purpose(new, b.purpose));
            changed(out, &subject, "purpose", names.0, names.1);
        }
        by_language(out, &subject, "title", (&a.titles, &b.titles));
    }
}

/// By name alone: what is invented of them is to look real, and is nobody's to read here.
fn honey(old: &Policy, new: &Policy, out: &mut Vec<String>) {
    let names = |policy: &Policy| -> BTreeSet<String> {
        let people = policy.honey.people.iter();
        people.map(|person| person.name.clone()).collect()
    };
    let (a, b) = (names(old), names(new));
    out.extend(
        a.difference(&b)
            .map(|name| format!("honey {name}: removed, and erased")),
    );
    out.extend(
        b.difference(&a)
            .map(|name| format!("honey {name}: planted")),
    );
    for name in a.intersection(&b) {
        let of = |policy: &'_ Policy| {
            let mut people = policy.honey.people.iter();
            people.find(|person| person.name == *name).cloned()
        };
        if of(old) != of(new) {
            out.push(format!(
                "honey {name}: changed; holds for the next planting"
            ));
        }
    }
    let hidden = |policy: &Policy| list(&policy.honey.left_out_for);
    changed(out, "honey", "left_out_for", hidden(old), hidden(new));
}

fn or_none(text: Option<&str>) -> &str {
    text.unwrap_or("none")
}

fn on_off(flag: bool) -> &'static str {
    if flag { "on" } else { "off" }
}

fn list(names: &[impl AsRef<str>]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names
        .iter()
        .map(AsRef::as_ref)
        .collect::<Vec<_>>()
        .join(", ")
}

fn controller(old: &Policy, new: &Policy, out: &mut Vec<String>) {
    let (a, b) = (&old.controller, &new.controller);
    changed(out, "controller", "name", &a.name, &b.name);
    changed(out, "controller", "contact", &a.contact, &b.contact);
    for (what, a, b) in [
        ("address", &a.address, &b.address),
        ("dpo", &a.dpo, &b.dpo),
        ("authority", &a.authority, &b.authority),
        ("country", &a.country, &b.country),
    ] {
        changed(
            out,
            "controller",
            what,
            or_none(a.as_deref()),
            or_none(b.as_deref()),
        );
    }
    changed(
        out,
        "controller",
        "languages",
        list(&a.languages),
        list(&b.languages),
    );
}

/// How the ages of consent read in a sentence.
pub(super) fn ages_text(policy: &Policy) -> String {
    let own = policy.children.countries();
    let own = own.map(|(country, age)| format!(", {country} {age}"));
    let own: String = own.collect();
    format!("{}{own}", policy.children.consent_from(None))
}

/// How a retention reads in a sentence.
pub(super) fn retention_text(retention: &Retention) -> String {
    match retention.date {
        Some(date) => format!("{} after {date}", retention.period),
        None => format!("{} after {}", retention.period, retention.anchor.name()),
    }
}

fn purposes(old: &Policy, new: &Policy, out: &mut Vec<String>) {
    for a in &old.purposes {
        if new.purpose_by_id(a.id).is_none() {
            out.push(format!("purpose {}: removed", a.name));
        }
    }
    for b in &new.purposes {
        match old.purpose_by_id(b.id) {
            None => out.push(format!(
                "purpose {}: added, basis {}, retention {}",
                b.name,
                b.basis.name(),
                retention_text(&b.retention)
            )),
            Some(a) => purpose(a, b, out),
        }
    }
}

fn purpose(a: &Purpose, b: &Purpose, out: &mut Vec<String>) {
    if a.name != b.name {
        out.push(format!("purpose {}: renamed from {}", b.name, a.name));
    }
    let subject = format!("purpose {}", b.name);
    changed(out, &subject, "basis", a.basis.name(), b.basis.name());
    if a.retention.anchor == b.retention.anchor && a.retention.date == b.retention.date {
        changed(
            out,
            &subject,
            "retention",
            a.retention.period.to_string(),
            b.retention.period.to_string(),
        );
    } else {
        changed(
            out,
            &subject,
            "retention",
            retention_text(&a.retention),
            retention_text(&b.retention),
        );
    }
    let law = |of: &Purpose| of.retention.law.clone().unwrap_or_else(|| "none".into());
    changed(out, &subject, "law behind the retention", law(a), law(b));
    changed(
        out,
        &subject,
        "direct marketing",
        on_off(a.direct_marketing),
        on_off(b.direct_marketing),
    );
    changed(
        out,
        &subject,
        "recipients",
        list(&a.recipients),
        list(&b.recipients),
    );
    by_language(out, &subject, "title", (&a.titles, &b.titles));
    by_language(out, &subject, "interests", (&a.interests, &b.interests));
}

fn by_language(
    out: &mut Vec<String>,
    subject: &str,
    what: &str,
    (a, b): (&BTreeMap<String, String>, &BTreeMap<String, String>),
) {
    let languages: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    for language in languages {
        let quoted = |text: Option<&String>| text.map_or("none".to_owned(), |t| format!("\"{t}\""));
        changed(
            out,
            subject,
            &format!("{what}.{language}"),
            quoted(a.get(language)),
            quoted(b.get(language)),
        );
    }
}

fn recipients(old: &Policy, new: &Policy, out: &mut Vec<String>) {
    let find = |policy: &'_ Policy, name: &str| {
        policy
            .recipients
            .iter()
            .find(|item| item.name == name)
            .cloned()
    };
    for a in &old.recipients {
        if find(new, &a.name).is_none() {
            out.push(format!("recipient {}: removed", a.name));
        }
    }
    for b in &new.recipients {
        let subject = format!("recipient {}", b.name);
        let Some(a) = find(old, &b.name) else {
            out.push(format!(
                "{subject}: added, {} in {}",
                b.legal_name, b.country
            ));
            continue;
        };
        recipient(&subject, &a, b, out);
    }
}

fn recipient(subject: &str, a: &Recipient, b: &Recipient, out: &mut Vec<String>) {
    let safeguard = |safeguard: &Option<Safeguard>| match safeguard {
        None => "none".to_owned(),
        Some(Safeguard { kind, note: None }) => kind.name().to_owned(),
        Some(Safeguard {
            kind,
            note: Some(note),
        }) => format!("{}: {note}", kind.name()),
    };
    changed(out, subject, "name", &a.legal_name, &b.legal_name);
    changed(out, subject, "country", &a.country, &b.country);
    changed(
        out,
        subject,
        "safeguard",
        safeguard(&a.safeguard),
        safeguard(&b.safeguard),
    );
    changed(
        out,
        subject,
        "webhook",
        or_none(a.webhook.as_deref()),
        or_none(b.webhook.as_deref()),
    );
}

fn collections(old: &Policy, new: &Policy, out: &mut Vec<String>) {
    for a in &old.collections {
        if new.collection_by_id(a.id).is_none() {
            out.push(format!("collection {}: removed", a.name));
        }
    }
    for b in &new.collections {
        match old.collection_by_id(b.id) {
            None => {
                out.push(format!("collection {}: added, {}", b.name, b.kind.name()));
                fields(old, new, None, b, out);
            }
            Some(a) => {
                if a.name != b.name {
                    out.push(format!("collection {}: renamed from {}", b.name, a.name));
                }
                let subject = format!("collection {}", b.name);
                changed(out, &subject, "kind", a.kind.name(), b.kind.name());
                let text = |collection: &Collection| {
                    let period = collection.retention.as_ref();
                    period.map_or("none".to_owned(), ToString::to_string)
                };
                changed(out, &subject, "retention", text(a), text(b));
                fields(old, new, Some(a), b, out);
            }
        }
    }
}

fn fields(
    old: &Policy,
    new: &Policy,
    a: Option<&Collection>,
    b: &Collection,
    out: &mut Vec<String>,
) {
    for field in a.map_or(&[][..], |a| &a.fields) {
        if b.field_by_id(field.id).is_none() {
            out.push(format!("field {}.{}: removed", b.name, field.name));
        }
    }
    for field in &b.fields {
        let subject = format!("field {}.{}", b.name, field.name);
        let Some(before) = a.and_then(|a| a.field_by_id(field.id)) else {
            out.push(format!("{subject}: added"));
            continue;
        };
        if before.name != field.name {
            out.push(format!(
                "{subject}: renamed from {}.{}",
                b.name, before.name
            ));
        }
        changed(out, &subject, "type", before.kind.name(), field.kind.name());
        changed(
            out,
            &subject,
            "category",
            or_none(before.category.as_deref()),
            or_none(field.category.as_deref()),
        );
        // By id: a purpose that has only another name is none that changed.
        let ids = |field: &Field| field.purposes.iter().copied().collect::<BTreeSet<u16>>();
        if ids(before) != ids(field) {
            let names = (
                purpose_names(old, &before.purposes),
                purpose_names(new, &field.purposes),
            );
            out.push(format!(
                "{subject}: purposes {} → {}",
                list(&names.0),
                list(&names.1)
            ));
        }
        changed(
            out,
            &subject,
            "lookup",
            on_off(before.lookup),
            on_off(field.lookup),
        );
        let blob = |field: &Field| {
            field
                .blob
                .as_ref()
                .map_or("none".into(), ToString::to_string)
        };
        changed(out, &subject, "accepts", blob(before), blob(field));
        let special = |field: &Field| field.special.map_or("none", |special| special.name());
        changed(out, &subject, "special", special(before), special(field));
        changed(
            out,
            &subject,
            "art9",
            or_none(before.art9.as_deref()),
            or_none(field.art9.as_deref()),
        );
        let necessity = |field: &Field| field.necessity.map_or("none", |word| word.name());
        changed(
            out,
            &subject,
            "necessity",
            necessity(before),
            necessity(field),
        );
        let source = |field: &Field| field.source.map_or("none", |word| word.name());
        changed(out, &subject, "source", source(before), source(field));
    }
}

/// The names of purposes, for people.
pub(super) fn purpose_names(policy: &Policy, ids: &[u16]) -> Vec<String> {
    let purposes = ids.iter().filter_map(|&id| policy.purpose_by_id(id));
    purposes.map(|purpose| purpose.name.clone()).collect()
}

fn roles(old: &Policy, new: &Policy, out: &mut Vec<String>) {
    let nobody = Role::new(String::new(), super::RoleOrigin::Policy, Vec::new(), []);
    for role in old.roles() {
        if new.role(&role.name).is_none() {
            out.push(format!("role {}: removed", role.name));
        }
    }
    for role in new.roles() {
        let before = old.role(&role.name).unwrap_or_else(|| {
            out.push(format!("role {}: added", role.name));
            &nobody
        });
        self::role(old, new, before, role, out);
    }
}

fn role(old: &Policy, new: &Policy, a: &Role, b: &Role, out: &mut Vec<String>) {
    let subject = format!("role {}", b.name);
    let mut gained_lost = |what: &str, had: bool, has: bool| {
        if had != has {
            out.push(format!(
                "{subject}: {}{what}",
                if has { "" } else { "no longer " }
            ));
        }
    };
    for &capability in super::Capability::ALL {
        let what = format!("may {}", capability.name());
        gained_lost(&what, a.may(capability), b.may(capability));
    }
    for &claim in super::RestrictedUse::ALL {
        let what = format!("may use restricted data for {}", claim.name());
        gained_lost(&what, a.may_claim(claim), b.may_claim(claim));
    }
    for purpose in &new.purposes {
        let what = format!("serves purpose {}", purpose.name);
        gained_lost(&what, a.serves(purpose.id), b.serves(purpose.id));
    }
    for collection in &new.collections {
        for field in &collection.fields {
            let (c, f) = (collection.id, field.id);
            // A rule such as `*` in the old policy did not reach what was not there.
            let known = old
                .collection_by_id(c)
                .is_some_and(|item| item.field_by_id(f).is_some());
            let place = format!("{}.{}", collection.name, field.name);
            let view = if known { a.view(c, f) } else { View::None };
            if view != b.view(c, f) {
                let (from, to) = (view.name(), b.view(c, f).name());
                out.push(format!("{subject}: {place} {from} → {to}"));
            }
            let mut gained_lost = |what: String, had: bool, has: bool| {
                if had != has {
                    out.push(format!(
                        "{subject}: {}{what}",
                        if has { "" } else { "no longer " }
                    ));
                }
            };
            gained_lost(
                format!("writes {place}"),
                known && a.may_write(c, f),
                b.may_write(c, f),
            );
            let tests: BTreeSet<&str> = a.asks(c, f).chain(b.asks(c, f)).collect();
            for test in tests {
                let what = format!("asks {place}.{test}");
                gained_lost(what, a.may_ask(c, f, test), b.may_ask(c, f, test));
            }
        }
    }
}
