//! A package as one page, for people: self-contained, without scripts, made to be printed.
//!
//! Every text goes through `maud`, which escapes by construction.

use data_encoding::BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use super::document::{Head, HeadCollection, Looked};
use super::words::Words;
use super::{Cell, Item, Right};
use crate::audit::hex;
use crate::consent::{ConsentEvent, ConsentState};
use crate::crypto::sha256;
use crate::notice::{NoticeAbout, NoticeShown};
use crate::policy::{HoldGround, RestrictionGround};
use crate::request::RequestState;
use crate::schema::FieldType;
use crate::standing::{HoldState, ObjectionEvent, ObjectionState};
use crate::vault::{HoldStep, LogLine, RequestView, RestrictionStep};

const STYLE: &str = include_str!("style.css");

/// What makes the pieces of the page.
pub(crate) struct Page<'a> {
    pub(crate) head: &'a Head,
    words: &'static Words,
}

fn fill(template: &str, name: &str, text: &str) -> String {
    template.replacen(&format!("{{{name}}}"), text, 1)
}

fn day(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

fn minute(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn bytes(markup: Markup) -> Vec<u8> {
    markup.into_string().into_bytes()
}

impl<'a> Page<'a> {
    pub(crate) fn new(head: &'a Head) -> Self {
        let words = Words::of(head.statement.phrases.tag);
        Self {
            head,
            words: words.expect("there are words in every language of the statement"),
        }
    }

    /// The page up to its records.
    pub(crate) fn begin(&self) -> Vec<u8> {
        let (head, words) = (self.head, self.words);
        let statement = &head.statement;
        let (phrases, controller) = (statement.phrases, &statement.controller);
        let (title, lead) = match head.right {
            Right::Access => (words.title_access, words.lead_access),
            Right::Portability => (words.title_portable, words.lead_portable),
        };
        let hash = BASE64.encode(&sha256(&[STYLE.as_bytes()]));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'"
        );
        let top = html! {
            (DOCTYPE)
            (PreEscaped(format!("<html lang=\"{}\">", phrases.tag)))
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                title { (title) " – " (controller.name) }
                style { (PreEscaped(STYLE)) }
            }
            (PreEscaped("<body><main>"))
            h1 { (title) }
            p .lead { (lead) }
            p { strong { (controller.name) } br; span .dim { (fill(words.made, "date", &minute(head.made_at))) } }
            (self.incomplete())
            h2 { (words.about) }
            dl .pairs {
                @if let Some((channel, user)) = &head.identity {
                    dt { (fill(words.known_as, "channel", channel)) }
                    dd .value { (user) }
                }
                dt { (words.since) }
                dd { (day(head.created_at)) " " span .dim.small { (head.subject) } }
            }
            h2 { (phrases.responsible) }
            dl .pairs {
                @for (label, text) in [
                    (phrases.address, &controller.address),
                    (phrases.country, &controller.country),
                    (phrases.contact, &Some(controller.contact.clone())),
                    (phrases.officer, &controller.dpo),
                    (phrases.authority, &controller.authority),
                ] {
                    @if let Some(text) = text { dt { (label) } dd { (text) } }
                }
            }
            h2 { (words.data) }
        };
        bytes(top)
    }

    fn incomplete(&self) -> Markup {
        let (head, words) = (self.head, self.words);
        let contact = &head.statement.controller.contact;
        html! {
            @if !head.complete() {
                section .note {
                    h2 { (words.incomplete) }
                    p { (fill(words.incomplete_text, "contact", contact)) }
                    ul .inline { @for (collection, field, _) in &head.withheld { li { code { (collection) "." (field) } } } }
                }
            }
            @if !head.left_out.is_empty() {
                section .note {
                    h2 { (words.left_out) }
                    p { (words.left_out_text) }
                    ul .inline { @for (collection, field, _) in &head.left_out { li { code { (collection) "." (field) } } } }
                }
            }
        }
    }

    /// The heading of a collection.
    pub(crate) fn collection(&self, collection: &HeadCollection) -> Vec<u8> {
        bytes(html! { h3 { (collection.name.replace('_', " ")) } })
    }

    /// That a collection, or a list, has nothing in it.
    pub(crate) fn nothing(&self) -> Vec<u8> {
        bytes(html! { p .dim { (self.words.nothing) } })
    }

    /// One record.
    pub(crate) fn record(&self, item: &Item<'_>) -> Vec<u8> {
        let words = self.words;
        bytes(html! {
            section .record {
                dl {
                    @for cell in &item.cells {
                        @let field = &item.collection.fields[cell.field];
                        dt { (field.words) " " span .dim.small { (field.name) }
                            @if cell.masked { " " span .tag { (words.masked) } } }
                        dd .value { (self.value(cell, field.kind)) }
                    }
                }
                p .dim.small {
                    (words.stored) " " (minute(item.created_at))
                    @if let Some(at) = item.occurred_at { " · " (words.happened) " " (minute(at)) }
                    @if let Some(at) = item.ends_at { " · " (words.until) " " (day(at)) }
                    @if let Some(meta) = &item.meta {
                        @if let Some(source) = &meta.source { " · " (words.source) ": " (source) }
                        @if !meta.shared_with.is_empty() { " · " (words.shared) ": " (self.recipients(&meta.shared_with)) }
                        @if !meta.purposes.is_empty() { " · " (words.only_for) ": " (self.titles(&meta.purposes)) }
                        @if let Some(category) = &meta.category { " · " (words.category) ": " (category) }
                    }
                }
            }
        })
    }

    fn value(&self, cell: &Cell, kind: FieldType) -> Markup {
        let words = self.words;
        if let Some(file) = &cell.file {
            let size = &cell.value["size"];
            let media_type = cell.value["media_type"].as_str().unwrap_or_default();
            return html! {
                @match &file.name {
                    Some(name) => a href=(name) { (fill(words.file, "name", name)) },
                    None => (words.file_elsewhere),
                }
                " " span .dim.small { (media_type) ", " (size) " B" }
            };
        }
        match (&cell.value, kind) {
            (Value::String(text), _) => html! { (text) },
            (Value::Bool(true), _) => html! { (words.yes) },
            (Value::Bool(false), _) => html! { (words.no) },
            (Value::Object(members), FieldType::Address) => html! {
                @for (name, value) in members {
                    span .dim.small { (name) } " " (value.as_str().unwrap_or_default()) br;
                }
            },
            (Value::Object(_) | Value::Array(_), _) => html! {
                pre { (serde_json::to_string_pretty(&cell.value).unwrap_or_default()) }
            },
            (other, _) => html! { (other) },
        }
    }

    fn titles(&self, names: &[String]) -> String {
        let known = &self.head.statement.purposes;
        let title = |name: &String| {
            let found = known.iter().find(|purpose| purpose.name == *name);
            found.map_or(name.clone(), |purpose| purpose.title.clone())
        };
        names.iter().map(title).collect::<Vec<_>>().join("; ")
    }

    fn recipients(&self, names: &[String]) -> String {
        let title = |name: &String| {
            let mut known = self.head.recipients.iter();
            let found = known.find(|one| one["name"] == **name);
            found
                .and_then(|one| one["legal_name"].as_str())
                .unwrap_or(name)
                .to_owned()
        };
        names.iter().map(title).collect::<Vec<_>>().join("; ")
    }

    /// What stands between the records and lines of logs.
    pub(crate) fn begin_logs(&self) -> Vec<u8> {
        let words = self.words;
        bytes(html! {
            h2 { (words.logs) }
            (PreEscaped("<ul>"))
        })
    }

    /// Lines of logs.
    pub(crate) fn logs(&self, list: &[(String, LogLine)]) -> Vec<u8> {
        let text = |line: &LogLine| match &line.line {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        bytes(html! {
            @for (stream, one) in list {
                li { (minute(one.at)) ": " strong { (stream) } ", " (text(one)) }
            }
        })
    }

    /// Their end; `any` is whether there was one.
    pub(crate) fn end_logs(&self, any: bool) -> Vec<u8> {
        let words = self.words;
        bytes(html! {
            (PreEscaped("</ul>"))
            @if !any { p .dim { (words.nothing) } }
        })
    }

    /// What stands between the records and the ledger.
    pub(crate) fn middle(&self) -> Vec<u8> {
        let (head, words) = (self.head, self.words);
        let statement = &head.statement;
        let phrases = statement.phrases;
        if head.right == Right::Portability {
            return Vec::new();
        }
        bytes(html! {
            h2 { (phrases.purposes) }
            @for purpose in &statement.purposes {
                section .record {
                    h3 lang=[purpose.title_language.as_deref()] { (purpose.title) }
                    dl {
                        dt { (phrases.basis) }
                        dd { (purpose.basis_words) " " span .dim.small { (purpose.article) } }
                        dt { (phrases.data) }
                        dd { (self.fields_of(&purpose.name)) }
                        dt { (phrases.recipients) }
                        dd {
                            @if purpose.recipients.is_empty() { (phrases.nobody) }
                            @for one in &purpose.recipients {
                                (one.name) " (" (one.country)
                                @if one.outside_eea { "; " (phrases.outside_eea) }
                                @if let Some(words) = &one.safeguard_words { "; " (words) }
                                ")" br;
                            }
                        }
                        dt { (phrases.retention) }
                        dd { (purpose.retention_words) }
                    }
                }
            }
            h2 { (words.consents) }
            @if head.consents.is_empty() { p .dim { (words.nothing) } }
            @for one in &head.consents {
                h3 { (self.titles(std::slice::from_ref(&one.purpose))) }
                ul { @for event in &one.events { li { (self.consent(event)) } } }
            }
            (self.demanded())
            @if !head.sessions.is_empty() {
                h2 { (words.sessions) }
                p { (words.sessions_text) }
                ul {
                    @for one in &head.sessions {
                        li { (minute(one.created_at)) " " (words.ends) " " (minute(one.expires_at)) ": " (one.role) ", "
                            (self.titles(std::slice::from_ref(&one.purpose)))
                            " " span .dim.small { (one.fields.join(", ")) } }
                    }
                }
            }
            @if !head.emergencies.is_empty() {
                h2 { (words.emergencies) }
                p { (words.emergencies_text) }
                ul {
                    @for one in &head.emergencies {
                        li { (minute(one.requested_at)) " " (words.ends) " " (minute(one.expires_at)) ": "
                            (one.requested_by.1) ", " (self.titles(std::slice::from_ref(&one.purpose)))
                            ", “" (one.reason) "” "
                            span .dim.small { (one.state.name()) ", " (one.fields.join(", ")) } }
                    }
                }
            }
            h2 { (phrases.rights) }
            dl .pairs {
                @for right in &statement.rights {
                    dt { (right.title) " " span .dim.small { (right.article) } }
                    dd { (right.words) }
                }
            }
            p { (statement.exercise()) }
            h2 { (phrases.complaint) }
            @if let Some(text) = statement.complain_to() { p { (text) } }
            p { (phrases.complain) }
            h2 { (phrases.automated) }
            p { (phrases.none_automated) }
            h2 { (words.accesses) }
            p { (words.accesses_text) }
            (PreEscaped("<ul class=\"ledger\">"))
        })
    }

    /// What is used for a purpose: names of fields.
    fn fields_of(&self, purpose: &str) -> String {
        let mut names = Vec::new();
        for collection in &self.head.collections {
            for field in &collection.fields {
                if field.purposes.iter().any(|name| name == purpose) {
                    names.push(format!(
                        "{} ({}.{})",
                        field.words, collection.name, field.name
                    ));
                }
            }
        }
        names.join(", ")
    }

    fn consent(&self, event: &ConsentEvent) -> Markup {
        let words = self.words;
        let state = match event.state {
            ConsentState::Given => words.given,
            ConsentState::Refused => words.refused,
            ConsentState::Withdrawn => words.withdrawn,
            ConsentState::Requested => words.requested,
            ConsentState::Deferred => words.deferred,
            ConsentState::Renewed => words.renewed,
            ConsentState::Expired => words.expired,
            ConsentState::Invalidated => words.invalidated,
        };
        let notice = match &event.notice {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        html! {
            (minute(event.at)) ": " strong { (state) }
            @if let Some(choice) = &event.choice { " “" (choice) "”" }
            @if let Some(notice) = notice { " " span .dim.small { (words.notice) ": " (notice) } }
        }
    }

    /// What the person objected to, what is restricted, and what they were told.
    fn demanded(&self) -> Markup {
        let (head, words) = (self.head, self.words);
        html! {
            h2 { (words.disclosures) }
            @if head.disclosures.is_empty() { p .dim { (words.nothing) } }
            @for one in &head.disclosures {
                h3 { (one.legal_name.as_deref().unwrap_or(&one.recipient)) }
                p .small { (self.titles(std::slice::from_ref(&one.purpose))) }
                ul {
                    @for given in &one.fields {
                        li {
                            (given.field) " " span .dim.small {
                                (given.first_at.strftime("%Y-%m-%d")) " – " (given.last_at.strftime("%Y-%m-%d"))
                                ", " (given.count) "×"
                            }
                        }
                    }
                }
            }
            h2 { (words.objections) }
            @if head.objections.is_empty() { p .dim { (words.nothing) } }
            @for one in &head.objections {
                h3 { (self.titles(std::slice::from_ref(&one.purpose))) }
                ul { @for event in &one.history { li { (self.objection(event)) } } }
            }
            h2 { (words.restriction) }
            @if head.restriction.history.is_empty() { p .dim { (words.nothing) } }
            @else { ul { @for step in &head.restriction.history { li { (self.restriction(step)) } } } }
            (self.kept())
            h2 { (words.requests) }
            @if head.requests.is_empty() { p .dim { (words.nothing) } }
            @else { ul { @for one in &head.requests { li { (self.request(one)) } } } }
            h2 { (words.notices) }
            @if head.notices.is_empty() { p .dim { (words.nothing) } }
            @else { ul { @for shown in &head.notices { li { (self.shown(shown)) } } } }
        }
    }

    /// What is held, which contracts ended, what was told of the age, and who calls the person what.
    fn kept(&self) -> Markup {
        let (head, words) = (self.head, self.words);
        html! {
            @if !head.hold.history.is_empty() {
                h2 { (words.holds) }
                ul { @for step in &head.hold.history { li { (self.hold(step)) } } }
            }
            @if !head.contracts.is_empty() {
                h2 { (words.contracts) }
                @for one in &head.contracts {
                    h3 { (self.titles(std::slice::from_ref(&one.purpose))) }
                    ul { @for event in &one.history {
                        li { (minute(event.at)) ": " strong { @match event.ended_at {
                            Some(at) => (fill(words.contract_ended, "date", &day(at))),
                            None => (words.contract_runs),
                        } } }
                    } }
                }
            }
            @if !head.age.history.is_empty() {
                h2 { (words.age) }
                ul { @for event in &head.age.history {
                    li { (minute(event.at)) ": " strong { (fill(words.age_from, "date", &event.of_age_on.to_string())) }
                        @if let Some(how) = &event.guardian {
                            " " span .tag { (words.age_guardian) } " " span .dim.small { (how) }
                        } }
                } }
            }
            @if !head.pseudonyms.is_empty() {
                h2 { (words.pseudonyms) }
                p { (words.pseudonyms_text) }
                ul { @for one in &head.pseudonyms {
                    li { (minute(one.at)) ": "
                        strong { @match &one.recipient {
                            Some(name) => (self.recipients(std::slice::from_ref(name))),
                            None => (words.own_use),
                        } }
                        ", " (self.titles(std::slice::from_ref(&one.purpose)))
                        " " span .dim.small { (one.pseudonym) } }
                } }
            }
        }
    }

    fn hold(&self, step: &HoldStep) -> Markup {
        let words = self.words;
        if step.state == HoldState::Released {
            return html! { (minute(step.at)) ": " strong { (words.hold_released) } };
        }
        let ground = match step.ground {
            HoldGround::LegalClaims => words.hold_claims,
            HoldGround::LegalObligation => words.hold_duty,
        };
        let about = match step.collections.is_empty() {
            true => words.all_data.to_owned(),
            false => step.collections.join(", ").replace('_', " "),
        };
        html! {
            (minute(step.at)) ": " strong { (ground) } "; " (about) "; "
            (fill(words.hold_review, "date", &step.review_at.to_string()))
        }
    }

    fn because(&self, reason: Option<&String>) -> Markup {
        html! { @if let Some(reason) = reason { " " span .dim.small { (self.words.reason) ": " (reason) } } }
    }

    fn objection(&self, event: &ObjectionEvent) -> Markup {
        let words = self.words;
        let state = match event.state {
            ObjectionState::Pending => words.pending,
            ObjectionState::Upheld => words.upheld,
            ObjectionState::Overridden => words.overridden,
            ObjectionState::Ended => words.ended,
        };
        html! { (minute(event.at)) ": " strong { (state) } (self.because(event.reason.as_ref())) }
    }

    fn restriction(&self, step: &RestrictionStep) -> Markup {
        let words = self.words;
        let Some(ground) = step.ground else {
            return html! { (minute(step.at)) ": " strong { (words.lifted) } (self.because(step.reason.as_ref())) };
        };
        let ground = match ground {
            RestrictionGround::Accuracy => words.ground_accuracy,
            RestrictionGround::Unlawful => words.ground_unlawful,
            RestrictionGround::Claims => words.ground_claims,
            RestrictionGround::Objection => words.ground_objection,
        };
        let about = match step.collections.is_empty() {
            true => words.all_data.to_owned(),
            false => step.collections.join(", ").replace('_', " "),
        };
        html! {
            (minute(step.at)) ": " strong { (words.restricted) } "; " (about) "; " (ground)
            (self.because(step.reason.as_ref()))
        }
    }

    fn request(&self, one: &RequestView) -> Markup {
        let [open, done, refused, cancelled] = self.words.request_states;
        let state = match one.state {
            RequestState::Fulfilled | RequestState::PartlyFulfilled => done,
            RequestState::Refused => refused,
            RequestState::Cancelled => cancelled,
            _ => open,
        };
        html! {
            (minute(one.received_at)) ": " strong { (one.kind.article()) } ", " (state)
            @if let Some(given) = &one.refusal { p .small { (given.text) } }
            @for step in &one.history {
                @if let Some(said) = &step.words { p .dim.small { (minute(step.at)) ": " (said) } }
            }
        }
    }

    fn shown(&self, shown: &NoticeShown) -> Markup {
        let words = self.words;
        let about = match shown.about {
            NoticeAbout::Processing => words.told_processing,
            NoticeAbout::RestrictionLift => words.told_lift,
        };
        html! {
            (minute(shown.at)) ": " strong { (about) }
            @if shown.version > 0 { ", " (words.version) " " (shown.version) }
            " " span .dim.small {
                (shown.language) @if let Some(channel) = &shown.channel { ", " (channel) }
                ", SHA-256 " (hex(&shown.sha256))
            }
            @if shown.acknowledged { " " span .tag { (words.acknowledged) } }
        }
    }

    /// Calls of the ledger.
    pub(crate) fn accesses(&self, list: &[Looked]) -> Vec<u8> {
        let words = self.words;
        let did = |action: &str| match action.split_once('.') {
            Some(("subjects", "export" | "access")) => words.did_export,
            Some((_, "read" | "list" | "query" | "count" | "head" | "view")) => words.did_read,
            Some((_, "lookup" | "detokenize")) => words.did_find,
            Some((_, "ask")) => words.did_ask,
            Some((
                _,
                "create" | "append" | "patch" | "put" | "delete" | "write" | "update" | "withdraw"
                | "purge",
            )) => words.did_write,
            _ => words.did_other,
        };
        bytes(html! {
            @for one in list {
                li {
                    (minute(one.time)) ": " strong { (one.role) } ", " (did(&one.action))
                    @if let Some(purpose) = &one.purpose { ", " (self.titles(std::slice::from_ref(purpose))) }
                    @if one.outcome != "ok" { " " span .tag { (words.refused_call) } }
                    @if one.many { " " span .tag { (words.of_many) } }
                    @if !one.fields.is_empty() { " " span .dim.small { (one.fields.join(", ")) } }
                }
            }
        })
    }

    /// The end of the page.
    pub(crate) fn end(&self) -> Vec<u8> {
        let list = match self.head.right {
            Right::Access => "</ul>",
            Right::Portability => "",
        };
        let version = self.head.statement.version();
        bytes(html! {
            (PreEscaped(list))
            p .dim.small { (version) }
            (PreEscaped("</main></body></html>\n"))
        })
    }
}
