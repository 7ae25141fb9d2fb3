//! What recipients were given, and what they are told: each event tells exactly those whom it concerns, and by
//! names alone; nothing of it outlives its days, and nobody takes the keys that it lies under for a person.

use super::*;
use crate::breach::BreachReport;
use crate::commit::View as _;
use crate::holder::{self, Kind};
use crate::id::RecipientNoticeId;
use crate::limits::{NOTICE_DAYS_MAX, NOTICE_GATHER_SECONDS};
use crate::outbox::{self, NoticeKind, NoticeState, Place};
use crate::policy::{HoldGround, RestrictionGround};
use crate::store::{Direction, KeyRange, Table};
use crate::vault::{
    AffectedPerson, AuditQuery, BreachInput, BreachVector, ConsentInput, DisclosureInput,
    DisclosureView, DueNotice, HoldInput, NoticeAct, NoticeInput, NoticeOutcome, NoticePage,
    NoticeQuery, RecipientNotice, RestrictionInput,
};

const DAY: i64 = 24 * HOUR;
/// Until a correction is sent, in milliseconds.
const GATHERING: i64 = NOTICE_GATHER_SECONDS * 1_000;

const ROLES: &str = r#"
[purposes.analytics]
title.en = "Counting"
title.de = "Zählen"
basis = "legitimate_interests"
retention = { after = "last_activity", period = "P2Y" }
recipients = ["counter"]

[recipients.mailer]
name = "Mailer S.A."
country = "FR"
webhook = "https://mailer.example.test/privacy"

[recipients.counter]
name = "Counter Oy"
country = "FI"

[roles.giver]
purposes = ["support", "newsletter", "analytics"]
read = { "*" = "full" }
write = ["*"]
may = ["subjects.create", "subjects.lookup", "subjects.view", "disclosures.record", "consents.record", "objections.record", "restrictions.set", "notices.record", "records.purge", "holds.manage"]

[roles.officer]
may = ["requests.decide", "subjects.erase", "subjects.view", "keys.manage"]

[roles.narrow]
purposes = ["support"]
may = ["disclosures.record"]
"#;

pub(super) fn policy() -> String {
    let sample = SAMPLE
        .replacen(
            "direct_marketing = true",
            "direct_marketing = true\nrecipients = [\"mailer\"]",
            1,
        )
        .replacen(
            "email = { type = \"email\", category = \"user.contact.email\", purposes = [\"support\", \"newsletter\"]",
            "email = { type = \"email\", category = \"user.contact.email\", purposes = [\"support\", \"newsletter\", \"analytics\"]",
            1,
        );
    format!("{sample}{ROLES}")
}

pub(super) struct Case {
    pub(super) bench: Bench,
    pub(super) giver: Principal,
    pub(super) officer: Principal,
    pub(super) ann: SubjectId,
}

fn code<T>(result: Result<T, Refusal>) -> &'static str {
    result.map_or_else(|refusal| refusal.code(), |_| "ok")
}

fn gives(recipient: &str, purpose: &str, fields: &[&str]) -> DisclosureInput {
    DisclosureInput {
        recipient: recipient.into(),
        purpose: purpose.into(),
        fields: fields.iter().map(ToString::to_string).collect(),
        at: None,
    }
}

impl Case {
    fn new() -> Self {
        Self::under(&policy())
    }

    pub(super) fn under(policy: &str) -> Self {
        let bench = Bench::of(policy);
        let (giver, officer) = (bench.role("giver"), bench.role("officer"));
        let (ann, _) = bench
            .vault
            .create_subject(&call(&giver, None), "web", "ann")
            .unwrap();
        let case = Self {
            bench,
            giver,
            officer,
            ann,
        };
        case.set(json!({"email": "canary-ann@example.test", "name": "Canary Ann", "phone": "+31612345678"}));
        case
    }

    pub(super) fn vault(&self) -> &Vault {
        &self.bench.vault
    }

    pub(super) fn set(&self, body: Value) {
        let giver = call(&self.giver, Some("support"));
        self.vault()
            .patch_single(&giver, self.ann, "profile", object(body), None)
            .unwrap();
    }

    pub(super) fn consent(&self, given: bool) {
        let input = ConsentInput {
            given,
            notice: json!("n1"),
            choice: None,
            message_id: None,
            ..ConsentInput::default()
        };
        self.vault()
            .put_consent(&call(&self.giver, None), self.ann, "newsletter", input)
            .unwrap();
    }

    pub(super) fn give(
        &self,
        recipient: &str,
        purpose: &str,
        fields: &[&str],
    ) -> Result<DisclosureView, Refusal> {
        let giver = call(&self.giver, None);
        self.vault()
            .record_disclosure(&giver, self.ann, gives(recipient, purpose, fields))
    }

    /// The carrier, the mailer and the counter are each given something.
    pub(super) fn given() -> Self {
        let case = Self::new();
        case.consent(true);
        case.give("carrier", "support", &["profile.email", "profile.name"])
            .unwrap();
        case.give("mailer", "newsletter", &["profile.email"])
            .unwrap();
        case.give("counter", "analytics", &["profile.email"])
            .unwrap();
        case
    }

    fn notices(&self, state: Option<&str>) -> Vec<RecipientNotice> {
        let query = NoticeQuery {
            state: state.map(str::to_owned),
            limit: 1_000,
            cursor: None,
        };
        let officer = call(&self.officer, None);
        let page: NoticePage = self
            .vault()
            .list_recipient_notices(&officer, &query)
            .unwrap();
        assert!(page.next.is_none());
        page.notices
    }

    /// Kind, recipient and fields of every notice, in order.
    pub(super) fn told(&self) -> Vec<(NoticeKind, String, Vec<String>)> {
        let notices = self.notices(None);
        notices
            .into_iter()
            .map(|notice| (notice.kind, notice.recipient, notice.fields))
            .collect()
    }

    /// The place of the only notice of this kind to this recipient.
    fn place(&self, kind: NoticeKind, recipient: &str) -> Place {
        let notices = self.notices(None);
        let mut of = notices
            .iter()
            .filter(|one| one.kind == kind && one.recipient == recipient);
        let id = of.next().expect("it was made").id;
        assert!(of.next().is_none(), "one of them");
        self.place_of(id)
    }

    fn place_of(&self, id: RecipientNoticeId) -> Place {
        let snapshot = self.vault().snapshot().unwrap();
        outbox::find(&snapshot, id).unwrap().expect("it is there")
    }

    /// What the server would send now, who can be told being told.
    fn due(&self) -> Vec<DueNotice> {
        let standing = self.vault().recipient_notices_due(100, &|_, _| true);
        standing.unwrap().due
    }

    /// Kind and fields of what the server would send to a recipient now, in order.
    fn due_to(&self, recipient: &str) -> Vec<(NoticeKind, Vec<String>)> {
        let due = self.due().into_iter().map(|due| due.notice);
        due.filter(|notice| notice.recipient == recipient)
            .map(|notice| (notice.kind, notice.fields))
            .collect()
    }

    /// That it was not taken, and is tried again in so many milliseconds.
    fn fails(&self, due: &DueNotice, wait: i64) -> NoticeState {
        let next = self.vault().engine.now() + jiff::SignedDuration::from_millis(wait);
        let outcome = NoticeOutcome::Failed(next, "it was refused (4xx)");
        let stands = self.vault().note_recipient_notice(due, outcome).unwrap();
        stands.expect("it is there")
    }

    fn restrict(&self, collections: &[&str]) {
        let restriction = RestrictionInput {
            ground: RestrictionGround::Accuracy,
            collections: collections.iter().map(ToString::to_string).collect(),
            reason: None,
        };
        let giver = call(&self.giver, None);
        self.vault()
            .put_restriction(&giver, self.ann, restriction)
            .unwrap();
    }

    fn lift(&self) {
        let giver = call(&self.giver, None);
        self.vault()
            .record_notice(&giver, self.ann, lift_notice())
            .unwrap();
        self.vault().lift_restriction(&giver, self.ann).unwrap();
    }

    /// Actor, notice and outcome of the entries of this action, the oldest first.
    fn entries(&self, action: &str) -> Vec<(String, RecipientNoticeId, String)> {
        let keyholder = self.vault().keyholder();
        let query = AuditQuery {
            action: Some(action.into()),
            last: 100,
            ..AuditQuery::default()
        };
        let page = self.vault().audit(&call(&keyholder, None), &query).unwrap();
        let entries = page.entries.into_iter().rev().map(|entry| entry.entry);
        entries
            .map(|entry| {
                let text = |name: &str| entry[name].as_str().unwrap().to_owned();
                let notice = text("request").replacen("call_", "rcn_", 1);
                (text("actor"), notice.parse().unwrap(), text("outcome"))
            })
            .collect()
    }

    /// Whom a breach concerns, and in what numbers.
    fn breach(
        &self,
        vector: BreachVector,
        (from, to): (Option<Timestamp>, Option<Timestamp>),
    ) -> (BreachReport, Vec<AffectedPerson>) {
        let keyholder = self.vault().keyholder();
        let input = BreachInput { vector, from, to };
        let mut scope = self
            .vault()
            .begin_breach_scope(&call(&keyholder, None), &input)
            .unwrap();
        let mut people = Vec::new();
        while self.vault().breach_step(&mut scope, &mut people).unwrap() {}
        (scope.report(), people)
    }

    fn exposed(&self, name: &str, from: Option<Timestamp>, to: Option<Timestamp>) -> Exposed {
        let (report, people) = self.breach(BreachVector::Recipient(name.into()), (from, to));
        assert_eq!(people.len() as u64, report.people);
        let fields = report.fields.into_iter().map(|one| one.field).collect();
        (
            people.iter().map(|one| one.subject).collect(),
            fields,
            report.at_most,
        )
    }

    fn sweep(&self) {
        while self.vault().sweep(Sweep::Due).unwrap() {}
    }

    /// Lets days pass, as a vault lives through them: no clock leads.
    fn days(&self, days: i64) {
        for _ in 0..days {
            self.bench.clock.advance(DAY);
            self.vault().engine.submit(|_| Ok(())).unwrap();
        }
    }

    fn rows(&self) -> usize {
        let snapshot = self.vault().snapshot().unwrap();
        let (all, order) = (KeyRange::all(), Direction::Ascending);
        snapshot
            .tx()
            .keys(Table::Outbox, &all, order, usize::MAX)
            .unwrap()
            .len()
    }

    fn holders(&self) -> usize {
        holder::all(&self.vault().snapshot().unwrap(), Kind::Notices)
            .unwrap()
            .len()
    }
}

/// Whom, which fields, and whether these are only what may be.
type Exposed = (Vec<SubjectId>, Vec<String>, bool);

fn lift_notice() -> NoticeInput {
    NoticeInput {
        about: NoticeAbout::RestrictionLift,
        version: None,
        language: "en".into(),
        channel: None,
        sha256: [7; 32],
        acknowledged: false,
    }
}

pub(super) fn one(
    kind: NoticeKind,
    recipient: &str,
    fields: &[&str],
) -> (NoticeKind, String, Vec<String>) {
    (
        kind,
        recipient.into(),
        fields.iter().map(ToString::to_string).collect(),
    )
}

#[test]
fn art_15_repeats_lengthen_no_list_and_each_recipient_and_purpose_has_a_name_of_its_own() {
    let case = Case::given();
    let first = case.give("carrier", "support", &["profile.email"]).unwrap();
    case.bench.clock.advance(HOUR);
    let again = case
        .give("carrier", "support", &["profile.email", "profile.phone"])
        .unwrap();
    assert_eq!(
        (first.disclosure, first.reference),
        (again.disclosure, again.reference)
    );
    assert_eq!((again.count, again.fields.len()), (3, 3));
    let email = again
        .fields
        .iter()
        .find(|one| one.field == "profile.email")
        .unwrap();
    assert_eq!(email.count, 3);
    assert_eq!(email.last_at.duration_since(email.first_at).as_hours(), 1);
    let giver = call(&case.giver, None);
    let all = case.vault().list_disclosures(&giver, case.ann).unwrap();
    assert_eq!(all.len(), 3);
    let mut references: Vec<_> = all.iter().map(|one| one.reference).collect();
    references.sort_unstable();
    references.dedup();
    assert_eq!(references.len(), 3);
    assert_eq!(all[0].legal_name.as_deref(), Some("Carrier GmbH"));
}

#[test]
fn art_19_what_may_not_be_used_may_not_be_given() {
    let case = Case::new();
    let vault = case.vault();
    // No consent; the purpose names another recipient; the field is of another purpose.
    assert_eq!(
        code(case.give("mailer", "newsletter", &["profile.email"])),
        "consent_required"
    );
    case.consent(true);
    assert_eq!(
        code(case.give("mailer", "newsletter", &["profile.email"])),
        "ok"
    );
    assert_eq!(
        code(case.give("carrier", "newsletter", &["profile.email"])),
        "purpose_denied"
    );
    assert_eq!(
        code(case.give("mailer", "newsletter", &["profile.phone"])),
        "purpose_denied"
    );
    assert_eq!(
        code(case.give("nobody", "support", &["profile.email"])),
        "invalid"
    );
    assert_eq!(
        code(case.give("carrier", "support", &["profile.nothing"])),
        "invalid"
    );
    assert_eq!(code(case.give("carrier", "support", &[])), "invalid");
    let giver = call(&case.giver, None);
    let later = DisclosureInput {
        at: Some(vault.engine.now() + jiff::SignedDuration::from_hours(1)),
        ..gives("carrier", "support", &["profile.email"])
    };
    assert_eq!(
        code(vault.record_disclosure(&giver, case.ann, later)),
        "invalid"
    );
    // A role that serves not the purpose, and one without the capability.
    let narrow = case.bench.role("narrow");
    let narrow = call(&narrow, None);
    let of = |purpose| gives("mailer", purpose, &["profile.email"]);
    assert_eq!(
        code(vault.record_disclosure(&narrow, case.ann, of("newsletter"))),
        "purpose_denied"
    );
    let officer = call(&case.officer, None);
    assert_eq!(
        code(vault.record_disclosure(&officer, case.ann, of("newsletter"))),
        "role_denied"
    );
    // Restricted, objected to, erased.
    let restriction = RestrictionInput {
        ground: RestrictionGround::Accuracy,
        collections: vec!["profile".into()],
        reason: None,
    };
    vault
        .put_restriction(&giver, case.ann, restriction)
        .unwrap();
    assert_eq!(
        code(case.give("carrier", "support", &["profile.email"])),
        "restricted"
    );
    let lift = lift_notice();
    vault.record_notice(&giver, case.ann, lift).unwrap();
    vault.lift_restriction(&giver, case.ann).unwrap();
    vault
        .put_objection(&giver, case.ann, "analytics", None)
        .unwrap();
    assert_eq!(
        code(case.give("counter", "analytics", &["profile.email"])),
        "restricted"
    );
    vault.erase_subject(&officer, case.ann).unwrap();
    assert_eq!(
        code(case.give("carrier", "support", &["profile.email"])),
        "erased"
    );
}

#[test]
fn art_19_each_event_tells_those_whom_it_concerns_and_nobody_else() {
    let case = Case::given();
    let (vault, ann) = (case.vault(), case.ann);
    let giver = call(&case.giver, None);
    use NoticeKind::*;
    assert_eq!(case.told(), []);
    // A field that nobody was given, and one that was not there before.
    case.set(json!({"phone": "+31612345679"}));
    case.set(json!({"birth": "1990-05-05"}));
    assert_eq!(case.told(), []);
    let mut expected = Vec::new();
    case.set(json!({"name": "Canary Anne"}));
    expected.push(one(Rectification, "carrier", &["profile.name"]));
    assert_eq!(case.told(), expected);
    let restriction = |collections: &[&str]| RestrictionInput {
        ground: RestrictionGround::Accuracy,
        collections: collections.iter().map(ToString::to_string).collect(),
        reason: None,
    };
    vault
        .put_restriction(&giver, ann, restriction(&["messages"]))
        .unwrap();
    assert_eq!(case.told(), expected, "of messages nothing was given");
    vault
        .put_restriction(&giver, ann, restriction(&["profile"]))
        .unwrap();
    let both = ["profile.name", "profile.email"];
    expected.push(one(Restriction, "carrier", &both));
    expected.push(one(Restriction, "counter", &both[1..]));
    expected.push(one(Restriction, "mailer", &both[1..]));
    assert_eq!(case.told(), expected);
    let lift = lift_notice();
    vault.record_notice(&giver, ann, lift).unwrap();
    vault.lift_restriction(&giver, ann).unwrap();
    expected.push(one(RestrictionLifted, "carrier", &both));
    expected.push(one(RestrictionLifted, "counter", &both[1..]));
    expected.push(one(RestrictionLifted, "mailer", &both[1..]));
    assert_eq!(case.told(), expected);
    vault.put_objection(&giver, ann, "analytics", None).unwrap();
    expected.push(one(Objection, "counter", &both[1..]));
    case.consent(false);
    expected.push(one(Withdrawal, "mailer", &both[1..]));
    assert_eq!(case.told(), expected);
    // Withdrawn twice is told once.
    case.consent(false);
    assert_eq!(case.told(), expected);
    let receipt = vault
        .erase_subject(&call(&case.officer, None), ann)
        .unwrap();
    assert_eq!(receipt["body"]["recipients"], 3);
    expected.push(one(Erasure, "carrier", &both));
    expected.push(one(Erasure, "counter", &both[1..]));
    expected.push(one(Erasure, "mailer", &both[1..]));
    assert_eq!(case.told(), expected);
    // The counter has no webhook: a person tells them.
    let states: Vec<_> = case
        .notices(None)
        .iter()
        .map(|one| (one.recipient.clone(), one.state))
        .collect();
    for (recipient, state) in states {
        assert_eq!(
            state,
            if recipient == "counter" {
                "manual"
            } else {
                "queued"
            }
        );
    }
    let shown = format!("{:?}", case.notices(None));
    assert!(
        !shown.to_lowercase().contains("canary"),
        "no value: {shown}"
    );
}

#[test]
fn art_19_a_receipt_that_tells_of_recipients_verifies_and_one_more_told_does_not() {
    let case = Case::given();
    let officer = call(&case.officer, None);
    let mut document = case.vault().erase_subject(&officer, case.ann).unwrap();
    let until = document["body"]["recipients_until"].as_str().unwrap();
    let until: Timestamp = until.parse().unwrap();
    let left = until.duration_since(case.vault().engine.now());
    assert!(left <= jiff::SignedDuration::from_hours(24 * NOTICE_DAYS_MAX));
    assert!(left > jiff::SignedDuration::from_hours(24 * (NOTICE_DAYS_MAX - 1)));
    let key = VerifierKey::parse(&case.vault().log_key().unwrap()).unwrap();
    receipt::verify(&document, &key).unwrap();
    document["body"]["recipients"] = json!(2);
    assert_eq!(receipt::verify(&document, &key), Err(ReceiptError::Entry));
    document["body"]
        .as_object_mut()
        .unwrap()
        .remove("recipients_until");
    let refused = receipt::verify(&document, &key);
    assert_eq!(refused, Err(ReceiptError::Form("recipients_until")));
}

#[test]
fn art_16_small_corrections_wait_together_and_go_on_alone_once_told() {
    let case = Case::given();
    case.set(json!({"name": "Canary One"}));
    case.set(json!({"name": "Canary Two", "email": "canary-two@example.test"}));
    case.set(json!({"email": "canary-three@example.test"}));
    use NoticeKind::*;
    let both = ["profile.name", "profile.email"];
    let expected = [
        one(Rectification, "carrier", &both),
        one(Rectification, "counter", &both[1..]),
        one(Rectification, "mailer", &both[1..]),
    ];
    assert_eq!(case.told(), expected);
    // Once it was tried, they may have it: the next is another.
    case.bench.clock.advance(GATHERING);
    let carriers = case.due().remove(0);
    assert_eq!(carriers.notice.recipient, "carrier");
    case.fails(&carriers, HOUR);
    case.set(json!({"name": "Canary Four"}));
    assert_eq!(case.told().len(), 4);
    assert_eq!(
        case.told()[3],
        one(Rectification, "carrier", &["profile.name"])
    );
    // What came in between is not told before it.
    let giver = call(&case.giver, None);
    case.vault()
        .put_objection(&giver, case.ann, "analytics", None)
        .unwrap();
    case.set(json!({"email": "canary-five@example.test"}));
    let counters = case
        .told()
        .into_iter()
        .filter(|(_, name, _)| name == "counter");
    let kinds: Vec<_> = counters.map(|(kind, ..)| kind).collect();
    assert_eq!(kinds, [Rectification, Objection, Rectification]);
    // The account names them, for whoever decides requests.
    let officer = call(&case.officer, None);
    let all = case.vault().list_disclosures(&officer, case.ann).unwrap();
    let carrier: Vec<_> = all[0]
        .notices
        .iter()
        .map(|told| (told.kind, told.state))
        .collect();
    assert_eq!(carrier[0], (Rectification, "failed"));
    let all = case.vault().list_disclosures(&giver, case.ann).unwrap();
    assert!(
        all.iter().all(|line| line.notices.is_empty()),
        "not for who only gives"
    );
}

/// A look makes a message, and what comes meanwhile is not in it: were it added to the row, the answer would settle
/// it, and the recipient would keep a value that is wrong.
#[test]
fn art_16_a_correction_is_sent_once_nothing_is_added_to_it_and_none_is_lost_on_the_way() {
    let case = Case::given();
    use NoticeKind::*;
    case.set(json!({"name": "Canary One"}));
    assert_eq!(case.due(), [], "others may follow");
    case.bench.clock.advance(GATHERING - 1);
    case.set(json!({"email": "canary-two@example.test"}));
    assert_eq!(case.due(), []);
    case.bench.clock.advance(1);
    let both = ["profile.name".to_owned(), "profile.email".to_owned()];
    assert_eq!(
        case.due_to("carrier"),
        [(Rectification, both.to_vec())],
        "the second has not lengthened the wait"
    );
    let under_way = case.due().remove(0);
    // Both fields were in the message; a third value was not.
    case.set(json!({"name": "Canary Three"}));
    case.vault()
        .note_recipient_notice(&under_way, NoticeOutcome::Delivered)
        .unwrap();
    case.bench.clock.advance(GATHERING);
    assert_eq!(
        case.due_to("carrier"),
        [(Rectification, both[..1].to_vec())]
    );
}

#[test]
fn art_19_what_comes_behind_a_correction_does_not_wait_for_others() {
    let case = Case::given();
    use NoticeKind::*;
    case.set(json!({"email": "canary-one@example.test"}));
    assert_eq!(case.due(), []);
    case.consent(false);
    let kinds = |case: &Case, recipient| {
        let due = case.due_to(recipient).into_iter();
        due.map(|(kind, _)| kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&case, "mailer"), [Rectification, Withdrawal]);
    assert_eq!(kinds(&case, "carrier"), [], "the carrier's still gathers");
    let officer = call(&case.officer, None);
    case.vault().erase_subject(&officer, case.ann).unwrap();
    assert_eq!(kinds(&case, "carrier"), [Rectification, Erasure]);
}

/// Told in another order, a restriction that was lifted would be one that stands.
#[test]
fn art_18_what_came_later_about_somebody_is_not_told_before_what_was_not_taken() {
    let case = Case::given();
    use NoticeKind::*;
    case.restrict(&["profile"]);
    let restriction = case.due().remove(0);
    assert_eq!(restriction.notice.recipient, "carrier");
    case.fails(&restriction, 10_000);
    case.lift();
    let kinds = |recipient| {
        let due = case.due_to(recipient).into_iter();
        due.map(|(kind, _)| kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds("carrier"), []);
    let both = [Restriction, RestrictionLifted];
    assert_eq!(kinds("mailer"), both, "another's are their own");
    // Of somebody else it is told, and of the same person once the first one's wait is over.
    let giver = call(&case.giver, None);
    let (bea, _) = case.vault().create_subject(&giver, "web", "bea").unwrap();
    let profile = object(json!({"name": "Canary Bea"}));
    let support = call(&case.giver, Some("support"));
    case.vault()
        .patch_single(&support, bea, "profile", profile, None)
        .unwrap();
    let given = gives("carrier", "support", &["profile.name"]);
    case.vault().record_disclosure(&giver, bea, given).unwrap();
    let officer = call(&case.officer, None);
    case.vault().erase_subject(&officer, bea).unwrap();
    assert_eq!(kinds("carrier"), [Erasure]);
    case.bench.clock.advance(10_000);
    assert_eq!(kinds("carrier"), [Restriction, RestrictionLifted, Erasure]);
    // What is given up stands in nobody's way.
    case.fails(&restriction, 40 * DAY);
    assert_eq!(case.notices(Some("dead")).len(), 1);
    assert_eq!(kinds("carrier"), [RestrictionLifted, Erasure]);
}

/// A recipient who never takes the first would else not hear of the erasure for 28 days.
#[test]
fn art_17_an_erasure_overtakes_what_it_leaves_nothing_of_and_nothing_else() {
    let case = Case::given();
    use NoticeKind::*;
    let kinds = || {
        let due = case.due_to("carrier").into_iter();
        due.map(|(kind, _)| kind).collect::<Vec<_>>()
    };
    let giver = call(&case.giver, Some("support"));
    let message = object(json!({"text": "canary-message", "from": "ann"}));
    case.vault()
        .append(&giver, case.ann, "messages", vec![message])
        .unwrap();
    case.give("carrier", "support", &["messages.text"]).unwrap();
    // About fields of both, and not taken.
    case.restrict(&["profile", "messages"]);
    let restriction = case.due().remove(0);
    case.fails(&restriction, DAY);
    case.lift();
    assert_eq!(kinds(), []);
    // An erasure that keeps one of them waits, since the restriction of that is still to be told.
    let hold = HoldInput {
        ground: HoldGround::LegalClaims,
        collections: vec!["messages".into()],
        reason: None,
        approver: None,
        review_at: jiff::civil::date(2027, 12, 31),
    };
    case.vault().put_hold(&giver, case.ann, hold).unwrap();
    let officer = call(&case.officer, None);
    case.vault().erase_subject(&officer, case.ann).unwrap();
    assert_eq!(kinds(), []);
    // Of somebody of whom nothing is kept, it does not wait.
    let case = Case::given();
    case.restrict(&["profile"]);
    let restriction = case.due().remove(0);
    case.fails(&restriction, DAY);
    case.lift();
    let kinds = || {
        let due = case.due_to("carrier").into_iter();
        due.map(|(kind, _)| kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(), []);
    let officer = call(&case.officer, None);
    case.vault().erase_subject(&officer, case.ann).unwrap();
    assert_eq!(kinds(), [Erasure]);
    // And what it overtook is told after it, in its order.
    case.bench.clock.advance(DAY);
    assert_eq!(kinds(), [Restriction, RestrictionLifted, Erasure]);
}

#[test]
fn art_19_a_recipient_who_cannot_be_told_stands_in_nobodys_way() {
    let case = Case::given();
    case.restrict(&["profile"]);
    case.lift();
    let due = |most, ready: &dyn Fn(&str, &str) -> bool| {
        let due = case.vault().recipient_notices_due(most, ready).unwrap().due;
        let names = due.into_iter().map(|due| due.notice.recipient);
        names.collect::<Vec<_>>()
    };
    // The carrier's two are the older ones, and take nobody's place.
    assert_eq!(due(1, &|_, _| true), ["carrier", "mailer"]);
    let asked = std::cell::Cell::new(0);
    let mailer_alone = |recipient: &str, _: &str| {
        asked.set(asked.get() + 1);
        recipient == "mailer"
    };
    assert_eq!(due(1, &mailer_alone), ["mailer"]);
    assert_eq!(asked.get(), 4, "asked of each, so that all are counted");
    assert_eq!(due(2, &mailer_alone), ["mailer"; 2]);
}

#[test]
fn art_18_a_restriction_that_covers_less_is_lifted_for_the_rest() {
    let case = Case::given();
    let message = object(json!({"text": "canary-message", "from": "ann"}));
    let giver = call(&case.giver, Some("support"));
    case.vault()
        .append(&giver, case.ann, "messages", vec![message])
        .unwrap();
    case.give("carrier", "support", &["messages.text"]).unwrap();
    use NoticeKind::*;
    let both = ["profile.name", "profile.email"];
    let of_all = ["profile.name", "profile.email", "messages.text"];
    case.restrict(&[]);
    let mut expected = vec![
        one(Restriction, "carrier", &of_all),
        one(Restriction, "counter", &both[1..]),
        one(Restriction, "mailer", &both[1..]),
    ];
    assert_eq!(case.told(), expected);
    case.restrict(&["profile"]);
    expected.push(one(RestrictionLifted, "carrier", &of_all[2..]));
    expected.push(one(Restriction, "carrier", &both));
    expected.push(one(Restriction, "counter", &both[1..]));
    expected.push(one(Restriction, "mailer", &both[1..]));
    assert_eq!(case.told(), expected);
    // One that covers more lifts nothing.
    case.restrict(&["profile", "messages"]);
    let lifted = case.told().into_iter();
    let lifted = lifted.filter(|(kind, ..)| *kind == RestrictionLifted);
    assert_eq!(lifted.count(), 1);
}

#[test]
fn art_5_the_log_names_each_notice_that_was_given_up_and_each_that_was_forgotten_open() {
    let case = Case::given();
    let officer = call(&case.officer, None);
    case.vault().erase_subject(&officer, case.ann).unwrap();
    let carrier = case.place(NoticeKind::Erasure, "carrier");
    case.vault()
        .note_try(carrier, NoticeOutcome::Delivered)
        .unwrap();
    let left: Vec<_> = case
        .notices(None)
        .into_iter()
        .filter(|one| one.id != carrier.id)
        .map(|one| one.id)
        .collect();
    assert_eq!(left.len(), 2);
    let named = |action: &str, outcome: &str| {
        let entries = case.entries(action).into_iter();
        let ids = entries.map(|(actor, id, found)| {
            assert_eq!((actor.as_str(), found.as_str()), ("server", outcome));
            id
        });
        ids.collect::<Vec<_>>()
    };
    assert_eq!(named("recipient_notices.send", "delivered"), [carrier.id]);
    case.days(28);
    case.sweep();
    assert_eq!(named("recipient_notices.give_up", "dead"), left);
    assert_eq!(named("recipient_notices.forget", "ok"), []);
    case.days(2);
    case.sweep();
    assert_eq!(named("recipient_notices.forget", "ok"), left);
}

#[test]
fn art_17_what_a_hold_keeps_is_told_of_when_it_is_erased_and_not_before() {
    let case = Case::given();
    let giver = call(&case.giver, Some("support"));
    let message = object(json!({"text": "canary-message", "from": "ann"}));
    case.vault()
        .append(&giver, case.ann, "messages", vec![message])
        .unwrap();
    case.give("carrier", "support", &["messages.text"]).unwrap();
    let hold = HoldInput {
        ground: HoldGround::LegalClaims,
        collections: vec!["messages".into()],
        reason: None,
        approver: None,
        review_at: jiff::civil::date(2027, 12, 31),
    };
    case.vault().put_hold(&giver, case.ann, hold).unwrap();
    let officer = call(&case.officer, None);
    use NoticeKind::Erasure;
    let receipt = case.vault().erase_subject(&officer, case.ann).unwrap();
    assert_eq!(receipt["body"]["recipients"], 3);
    let both = ["profile.name", "profile.email"];
    let mut expected = vec![
        one(Erasure, "carrier", &both),
        one(Erasure, "counter", &both[1..]),
        one(Erasure, "mailer", &both[1..]),
    ];
    assert_eq!(case.told(), expected);
    // Erased so again, nobody is told again.
    case.vault().erase_subject(&officer, case.ann).unwrap();
    assert_eq!(case.told(), expected);
    let released = case.vault().release_hold(&giver, case.ann).unwrap();
    assert_eq!(released.receipt.unwrap()["body"]["recipients"], 1);
    expected.push(one(Erasure, "carrier", &["messages.text"]));
    assert_eq!(case.told(), expected);
    // They know the person by the same name.
    let notices = case.notices(None);
    assert_eq!(notices[0].references, notices[3].references);
}

#[test]
fn art_5_the_keys_of_a_day_go_when_all_of_it_is_settled_and_no_later_than_after_thirty_days() {
    let case = Case::given();
    case.set(json!({"name": "Canary One"}));
    let officer = call(&case.officer, None);
    case.vault().erase_subject(&officer, case.ann).unwrap();
    assert_eq!((case.rows(), case.holders()), (4, 1));
    let (counter, others): (Vec<_>, Vec<_>) = case
        .notices(None)
        .into_iter()
        .partition(|one| one.recipient == "counter");
    for notice in &others {
        let place = case.place_of(notice.id);
        case.vault()
            .note_try(place, NoticeOutcome::Delivered)
            .unwrap();
    }
    case.days(1);
    case.sweep();
    assert_eq!(
        (case.rows(), case.holders()),
        (4, 1),
        "one waits for somebody"
    );
    case.vault()
        .act_on_recipient_notice(&officer, counter[0].id, NoticeAct::Complete)
        .unwrap();
    case.sweep();
    assert_eq!((case.rows(), case.holders()), (0, 0));
    // Nobody does anything: given up in sight, and gone after thirty days.
    let case = Case::given();
    let officer = call(&case.officer, None);
    case.vault().erase_subject(&officer, case.ann).unwrap();
    case.days(27);
    case.sweep();
    assert_eq!(case.notices(Some("dead")).len(), 0);
    case.days(1);
    case.sweep();
    let dead = case.notices(Some("dead"));
    assert_eq!(dead.len(), 3);
    let retried = case
        .vault()
        .act_on_recipient_notice(&officer, dead[0].id, NoticeAct::Retry);
    assert_eq!(retried.unwrap().state, "queued");
    // No sweep takes the try away that somebody asked for, and none but it is made.
    case.sweep();
    let due = case.due();
    assert_eq!((due.len(), due[0].notice.id), (1, dead[0].id));
    assert_eq!(case.fails(&due[0], 5_000), NoticeState::Dead);
    case.bench.clock.advance(5_000);
    assert_eq!(case.due(), []);
    let again = case
        .vault()
        .act_on_recipient_notice(&officer, dead[0].id, NoticeAct::Retry);
    assert_eq!(again.unwrap().state, "failed");
    let due = case.due();
    case.vault()
        .note_recipient_notice(&due[0], NoticeOutcome::Delivered)
        .unwrap();
    assert_eq!(case.notices(Some("delivered"))[0].id, dead[0].id);
    case.days(2);
    case.sweep();
    assert_eq!((case.rows(), case.holders()), (0, 0));
}

#[test]
fn art_19_what_somebody_does_by_hand_is_held_to_where_the_notice_stands() {
    let case = Case::given();
    let officer = call(&case.officer, None);
    case.vault().erase_subject(&officer, case.ann).unwrap();
    let notices = case.notices(None);
    let of = |name: &str| notices.iter().find(|one| one.recipient == name).unwrap().id;
    let act = |id, what| case.vault().act_on_recipient_notice(&officer, id, what);
    assert_eq!(code(act(of("counter"), NoticeAct::Retry)), "conflict");
    assert_eq!(
        code(act(of("counter"), NoticeAct::Impossible(String::new()))),
        "invalid"
    );
    let why = "wound up in 2025".to_owned();
    let done = act(of("counter"), NoticeAct::Impossible(why.clone())).unwrap();
    assert_eq!((done.state, done.reason), ("impossible", Some(why)));
    assert_eq!(code(act(of("counter"), NoticeAct::Complete)), "conflict");
    case.vault()
        .note_try(case.place_of(of("carrier")), NoticeOutcome::Acknowledged)
        .unwrap();
    assert_eq!(code(act(of("carrier"), NoticeAct::Retry)), "conflict");
    assert_eq!(
        code(act(of("carrier"), NoticeAct::Impossible("x".into()))),
        "conflict"
    );
    assert_eq!(
        act(of("carrier"), NoticeAct::Complete).unwrap().state,
        "completed"
    );
    // What was settled by hand no late answer undoes.
    let late = case
        .vault()
        .note_try(case.place_of(of("counter")), NoticeOutcome::Delivered);
    assert_eq!(late.unwrap(), Some(NoticeState::Impossible));
    assert_eq!(case.notices(Some("impossible")).len(), 1);
    // The log says of which notice each was, and whose the call.
    let officers = case.officer.token().unwrap().to_string();
    assert_eq!(
        case.entries("recipient_notices.by_hand"),
        [
            (officers.clone(), of("counter"), "impossible".to_owned()),
            (officers, of("carrier"), "completed".to_owned()),
        ]
    );
    assert_eq!(case.entries("recipient_notices.impossible").len(), 3);
    let unknown = crate::id::RecipientNoticeId::from_bytes([1; 16]);
    assert_eq!(code(act(unknown, NoticeAct::Complete)), "not_found");
    let giver = call(&case.giver, None);
    let refused = case
        .vault()
        .act_on_recipient_notice(&giver, of("mailer"), NoticeAct::Retry);
    assert_eq!(code(refused), "role_denied");
    assert_eq!(
        code(
            case.vault()
                .list_recipient_notices(&giver, &NoticeQuery::default())
        ),
        "role_denied"
    );
}

/// Whoever knows the vault's id can work out where a holder lies in the map of people. It is nobody there.
#[test]
fn a_holder_is_no_person_for_anybody() {
    let mut case = Case::given();
    let officer = call(&case.officer, None);
    let people = case.vault().snapshot().unwrap().state().people;
    case.vault()
        .put_objection(&call(&case.giver, None), case.ann, "analytics", None)
        .unwrap();
    let snapshot = case.vault().snapshot().unwrap();
    assert_eq!(snapshot.state().people, people);
    let (walked, _) = snapshot.walk_people([0; 16], usize::MAX).unwrap();
    assert_eq!(walked.len() as u64, people);
    let handle = holder::all(&snapshot, Kind::Notices).unwrap()[0];
    let hash = crate::crypto::sha256(&[
        b"vault/1 holder",
        snapshot.vault().as_bytes(),
        handle.as_bytes(),
    ]);
    let place = SubjectId::from_bytes(hash[..16].try_into().unwrap());
    assert!(
        snapshot.entry(place).unwrap().is_some(),
        "this is where it lies"
    );
    assert!(snapshot.person_entry(place).unwrap().is_none());
    drop(snapshot);
    assert_eq!(
        code(case.vault().view_subject(&officer, place)),
        "not_found"
    );
    assert_eq!(
        code(case.vault().erase_subject(&officer, place)),
        "not_found"
    );
    // New keys for everybody are new keys for it as well, and what waits still opens.
    let old = holder_keys(case.vault());
    case.vault().begin_rotation(&officer, true).unwrap();
    case.vault().rotate_on(&mut |_| Onwards::Yes).unwrap();
    assert_ne!(holder_keys(case.vault()), old);
    case.bench.reopen();
    assert_eq!(case.notices(None).len(), 1);
    assert_eq!(case.notices(None)[0].kind, NoticeKind::Objection);
}

/// The sealed keyset of each holder.
fn holder_keys(vault: &Vault) -> Vec<Vec<u8>> {
    let snapshot = vault.snapshot().unwrap();
    let handles = holder::all(&snapshot, Kind::Notices).unwrap();
    let keys = handles.iter().map(|handle| {
        let key = snapshot.tx().get(Table::Keysets, handle.as_bytes());
        key.unwrap().unwrap()
    });
    keys.collect()
}

/// Counts as failure: somebody who was disclosed to the recipient in the window and is not counted; somebody who
/// was not, and is. Does not: somebody who may have been, and is said to be no more than that.
#[test]
fn art_33_3_a_a_recipient_exposed_whom_it_was_given_in_the_window_and_nobody_else() {
    let case = Case::new();
    case.consent(true);
    let ann = vec![case.ann];
    let (bob, _) = case
        .vault()
        .create_subject(&call(&case.giver, None), "web", "bob")
        .unwrap();
    let now = || case.vault().engine.now();
    let next = || case.bench.clock.advance(HOUR);
    next();
    let first = now();
    case.give("carrier", "support", &["profile.email", "profile.name"])
        .unwrap();
    next();
    let second = now();
    case.give("carrier", "support", &["profile.email"]).unwrap();
    next();
    let third = now();
    let both = vec!["profile.email".to_owned(), "profile.name".to_owned()];
    let sorted = |(who, mut fields, at_most): Exposed| {
        fields.sort();
        (who, fields, at_most)
    };
    let exposed = |from, to| sorted(case.exposed("carrier", from, to));
    let nobody: Exposed = (Vec::new(), Vec::new(), false);
    assert_eq!(exposed(None, None), (ann.clone(), both.clone(), false));
    assert_eq!(
        exposed(Some(first), Some(second)),
        (ann.clone(), both.clone(), false)
    );
    let email = vec!["profile.email".to_owned()];
    assert_eq!(
        exposed(Some(second), None),
        (ann.clone(), email.clone(), false)
    );
    // Between the two, after both, before both; and who was given nothing of her.
    let moment = jiff::SignedDuration::from_millis(1);
    assert_eq!(exposed(Some(first + moment), Some(second)), nobody);
    assert_eq!(exposed(Some(third), None), nobody);
    assert_eq!(exposed(None, Some(first)), nobody);
    assert_eq!(case.exposed("counter", None, None), nobody);
    // Three times: when the one between was, the account does not say.
    next();
    let fourth = now();
    case.give("carrier", "support", &["profile.email"]).unwrap();
    assert_eq!(
        exposed(Some(first + moment), Some(fourth)),
        (ann.clone(), email, true)
    );
    let (report, people) = case.breach(BreachVector::Recipient("carrier".into()), (None, None));
    assert_eq!(
        (report.of.kind.as_str(), report.of.name.as_str()),
        ("recipient", "carrier")
    );
    assert_eq!((report.first, report.last), (Some(first), Some(fourth)));
    assert_eq!(
        (report.reads, report.writes, report.ciphertext_only),
        (0, 0, false)
    );
    assert_eq!(
        (people[0].first, people[0].last),
        (Some(first), Some(fourth))
    );
    // Noted late, and older than the vault's log: in it, as nobody said from when.
    let early = first - jiff::SignedDuration::from_hours(24 * 400);
    let told_late = DisclosureInput {
        at: Some(early),
        ..gives("mailer", "newsletter", &["profile.email"])
    };
    case.vault()
        .record_disclosure(&call(&case.giver, None), case.ann, told_late)
        .unwrap();
    assert_eq!(case.exposed("mailer", None, None).0, ann);
    let (report, _) = case.breach(BreachVector::Recipient("mailer".into()), (None, None));
    assert_eq!(report.from, early);
    // A recipient that nobody ever had; and one that the policy has no more.
    let keyholder = case.vault().keyholder();
    let unknown = BreachInput {
        vector: BreachVector::Recipient("nobody".into()),
        from: None,
        to: None,
    };
    let begun = case
        .vault()
        .begin_breach_scope(&call(&keyholder, None), &unknown);
    assert_eq!(code(begun), "not_found");
    let without = policy()
        .replace("recipients = [\"mailer\"]", "recipients = []")
        .replace("[recipients.mailer]", "[recipients.other]");
    case.vault()
        .apply_policy(&call(&keyholder, None), &without, false)
        .unwrap();
    assert_eq!(case.exposed("mailer", None, None).0, ann);
    // With her the account of her goes.
    case.vault()
        .erase_subject(&call(&case.officer, None), case.ann)
        .unwrap();
    assert_eq!(exposed(None, None), nobody);
    assert_ne!(bob, case.ann);
}

/// Whoever notes what a recipient is given moves no value through the vault.
#[test]
fn a_key_that_noted_a_disclosure_met_somebody_and_changed_nothing() {
    let case = Case::new();
    let narrow = case.bench.role("narrow");
    let given = gives("carrier", "support", &["profile.email"]);
    case.vault()
        .record_disclosure(&call(&narrow, None), case.ann, given)
        .unwrap();
    let of = |key: &Principal| {
        let (report, _) = case.breach(BreachVector::ApiKey(key.token().unwrap()), (None, None));
        (report.people, report.people_without_values, report.writes)
    };
    assert_eq!(of(&narrow), (0, 1, 0));
    // The control: the key that wrote her profile.
    assert_eq!(of(&case.giver), (1, 0, 1));
}
