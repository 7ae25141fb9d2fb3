//! The public statement, and the records of processing for an authority.

use axum::extract::State;
use axum::http::header;
use serde::Serialize;
use utoipa::ToSchema;
use vault_core::policy::Controller;
use vault_core::statement::{
    LANGUAGES, Missing, ProcessingRecord, Published, StatedData, StatedLog, StatedPurpose,
    StatedRecipient, StatedRight, Statement,
};

use crate::call::Outcome;
use crate::incoming::Incoming;
use crate::negotiate;
use crate::pages;
use crate::places::Class;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::state::App;
use crate::urls;

const HTML: &str = "text/html";
const JSON: &str = "application/json";
const MARKDOWN: &str = "text/markdown";
const CSV: &str = "text/csv";

/// Something in the policy's word and in words for people.
#[derive(Serialize, ToSchema)]
pub(crate) struct Worded {
    /// The word of the policy.
    name: &'static str,
    /// In the language of the statement.
    text: String,
}

/// Who is responsible (Art. 13(1)(a) and (b)).
#[derive(Serialize, ToSchema)]
#[schema(as = ControllerView)]
pub(crate) struct ControllerBody {
    /// Legal name.
    name: String,
    /// Postal address.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// Country of establishment, ISO 3166-1.
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    /// Where people reach the controller.
    contact: String,
    /// Where people reach the data protection officer.
    #[serde(skip_serializing_if = "Option::is_none")]
    dpo: Option<String>,
    /// The supervisory authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    authority: Option<String>,
}

/// Why it is lawful.
#[derive(Serialize, ToSchema)]
#[schema(as = StatedBasis)]
pub(crate) struct BasisBody {
    /// The word of the policy.
    name: &'static str,
    /// The article of the GDPR.
    article: &'static str,
    /// In the language of the statement.
    text: &'static str,
}

/// One kind of data.
#[derive(Serialize, ToSchema)]
#[schema(as = StatedData)]
pub(crate) struct DataBody {
    /// A path of fideslang.
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<String>,
    /// In the language of the statement.
    text: &'static str,
    /// Which special category (Art. 9, 10).
    #[serde(skip_serializing_if = "Option::is_none")]
    special: Option<Worded>,
    /// The condition that allows it, in the policy's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
    /// Whether the person has to give it (Art. 13(2)(e)).
    #[serde(skip_serializing_if = "Option::is_none")]
    necessity: Option<Worded>,
    /// Where it comes from (Art. 14(2)(f)).
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Worded>,
    /// A limit besides the purpose's; the shorter wins.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_most: Option<LimitBody>,
}

/// A limit of its own.
#[derive(Serialize, ToSchema)]
#[schema(as = StatedLimit)]
pub(crate) struct LimitBody {
    /// ISO 8601.
    period: String,
    /// In the language of the statement.
    text: String,
}

/// One recipient (Art. 13(1)(e) and (f)).
#[derive(Serialize, ToSchema)]
#[schema(as = StatedRecipient)]
pub(crate) struct RecipientBody {
    /// Its name.
    name: String,
    /// Its country, ISO 3166-1.
    country: String,
    /// Whether that is outside the European Economic Area.
    outside_eea: bool,
    /// Why data may go there.
    #[serde(skip_serializing_if = "Option::is_none")]
    safeguard: Option<Worded>,
}

/// How long data are kept (Art. 13(2)(a)).
#[derive(Serialize, ToSchema)]
#[schema(as = StatedRetention)]
pub(crate) struct RetentionBody {
    /// From when the period runs.
    after: &'static str,
    /// ISO 8601.
    period: String,
    /// The day for everybody, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<String>,
    /// In the language of the statement.
    text: String,
}

/// One purpose and all that is said of it.
#[derive(Serialize, ToSchema)]
#[schema(as = StatedPurpose)]
pub(crate) struct PurposeBody {
    /// Name of the purpose.
    name: String,
    /// What people are told.
    title: String,
    /// Why it is lawful.
    lawful_basis: BasisBody,
    /// The legitimate interests that it pursues (Art. 13(1)(d)).
    #[serde(skip_serializing_if = "Option::is_none")]
    interests: Option<String>,
    /// Whether an objection always ends it (Art. 21(3)).
    direct_marketing: bool,
    /// What is used for it.
    data: Vec<DataBody>,
    /// Who receives it.
    recipients: Vec<RecipientBody>,
    /// How long it is kept.
    retention: RetentionBody,
}

/// A stream of logs, and how long it is kept.
#[derive(Serialize, ToSchema)]
#[schema(as = StatedLog)]
pub(crate) struct LogBody {
    /// Name of the stream.
    name: String,
    /// What people are told.
    title: String,
    /// What becomes of personal data in a line: the word of the policy, and in the language of the statement.
    mode: Worded,
    /// How long a line is kept.
    retention: LimitBody,
}

impl From<StatedLog> for LogBody {
    fn from(log: StatedLog) -> Self {
        let StatedLog {
            name,
            title,
            mode,
            words,
            retention_period: period,
            retention_words: text,
        } = log;
        Self {
            name,
            title,
            mode: worded((mode, words)),
            retention: LimitBody { period, text },
        }
    }
}

/// One right and what it comes to.
#[derive(Serialize, ToSchema)]
#[schema(as = StatedRight)]
pub(crate) struct RightBody {
    /// The article of the GDPR.
    article: &'static str,
    /// Its name.
    title: &'static str,
    /// In the language of the statement.
    text: &'static str,
}

/// What people are told about the use of their data, from the policy in force.
#[derive(Serialize, ToSchema)]
#[schema(as = PrivacyStatement)]
pub(crate) struct StatementBody {
    /// The language of the texts, BCP 47.
    language: String,
    /// The languages that it can be had in; the first is the fallback.
    languages: Vec<String>,
    /// Number of the policy.
    policy_version: u32,
    /// Since when it is in force.
    #[schema(format = DateTime)]
    in_force_since: String,
    /// Who is responsible.
    controller: ControllerBody,
    /// What data are used for.
    purposes: Vec<PurposeBody>,
    /// Logs of other programs that are kept.
    logs: Vec<LogBody>,
    /// What the person may do.
    rights: Vec<RightBody>,
    /// How to use a right.
    exercise: String,
    /// Where to complain.
    complaint: Vec<String>,
    /// What is known of automated decisions.
    automated_decisions: String,
}

/// Something that an article asks for and the policy does not say.
#[derive(Serialize, ToSchema)]
#[schema(as = MissingItem)]
pub(crate) struct MissingBody {
    /// The article of the GDPR.
    article: &'static str,
    /// What, in the language of the record.
    what: String,
}

/// The records of processing of the controller (Art. 30(1)), from the policy in force.
#[derive(Serialize, ToSchema)]
#[schema(as = ProcessingRecords)]
pub(crate) struct RecordsBody {
    /// The language of the texts, BCP 47.
    language: String,
    /// Number of the policy.
    policy_version: u32,
    /// Since when it is in force.
    #[schema(format = DateTime)]
    in_force_since: String,
    /// Who is responsible.
    controller: ControllerBody,
    /// One for each purpose.
    activities: Vec<PurposeBody>,
    /// Logs of other programs that are kept.
    logs: Vec<LogBody>,
    /// What the policy does not say; nothing is made up for it.
    missing: Vec<MissingBody>,
}

impl From<Controller> for ControllerBody {
    fn from(controller: Controller) -> Self {
        let Controller {
            name,
            address,
            contact,
            dpo,
            authority,
            country,
            languages: _,
        } = controller;
        Self {
            name,
            address,
            country,
            contact,
            dpo,
            authority,
        }
    }
}

fn worded(pair: (&'static str, &'static str)) -> Worded {
    Worded {
        name: pair.0,
        text: pair.1.to_owned(),
    }
}

impl From<StatedData> for DataBody {
    fn from(data: StatedData) -> Self {
        Self {
            category: data.category,
            text: data.words,
            special: data.special.map(worded),
            condition: data.condition,
            necessity: data.necessity.map(worded),
            source: data.source.map(worded),
            at_most: data
                .at_most
                .map(|(period, text)| LimitBody { period, text }),
        }
    }
}

impl From<StatedRecipient> for RecipientBody {
    fn from(recipient: StatedRecipient) -> Self {
        let safeguard = recipient.safeguard.zip(recipient.safeguard_words);
        Self {
            name: recipient.name,
            country: recipient.country,
            outside_eea: recipient.outside_eea,
            safeguard: safeguard.map(|(name, text)| Worded { name, text }),
        }
    }
}

impl From<StatedPurpose> for PurposeBody {
    fn from(purpose: StatedPurpose) -> Self {
        Self {
            name: purpose.name,
            title: purpose.title,
            lawful_basis: BasisBody {
                name: purpose.basis.name(),
                article: purpose.article,
                text: purpose.basis_words,
            },
            interests: purpose.interests,
            direct_marketing: purpose.direct_marketing,
            data: purpose.data.into_iter().map(DataBody::from).collect(),
            recipients: purpose
                .recipients
                .into_iter()
                .map(RecipientBody::from)
                .collect(),
            retention: RetentionBody {
                after: purpose.retention_after,
                period: purpose.retention_period,
                date: purpose.retention_date,
                text: purpose.retention_words,
            },
        }
    }
}

impl From<StatedRight> for RightBody {
    fn from(right: StatedRight) -> Self {
        let StatedRight {
            article,
            title,
            words: text,
        } = right;
        Self {
            article,
            title,
            text,
        }
    }
}

impl From<Missing> for MissingBody {
    fn from(missing: Missing) -> Self {
        let Missing { article, what } = missing;
        Self { article, what }
    }
}

fn statement_body(statement: Statement, languages: &[&str]) -> StatementBody {
    let complain = statement.phrases.complain.to_owned();
    StatementBody {
        languages: languages.iter().copied().map(str::to_owned).collect(),
        policy_version: statement.policy_version,
        in_force_since: statement.applied_at.to_string(),
        exercise: statement.exercise(),
        complaint: statement
            .complain_to()
            .into_iter()
            .chain([complain])
            .collect(),
        automated_decisions: statement.phrases.none_automated.to_owned(),
        language: statement.language,
        controller: statement.controller.into(),
        purposes: statement
            .purposes
            .into_iter()
            .map(PurposeBody::from)
            .collect(),
        logs: statement.logs.into_iter().map(LogBody::from).collect(),
        rights: statement.rights.into_iter().map(RightBody::from).collect(),
    }
}

fn records_body(record: ProcessingRecord) -> RecordsBody {
    let statement = record.statement;
    RecordsBody {
        language: statement.language,
        policy_version: statement.policy_version,
        in_force_since: statement.applied_at.to_string(),
        controller: statement.controller.into(),
        activities: statement
            .purposes
            .into_iter()
            .map(PurposeBody::from)
            .collect(),
        logs: statement.logs.into_iter().map(LogBody::from).collect(),
        missing: record.missing.into_iter().map(MissingBody::from).collect(),
    }
}

fn indented(body: &impl Serialize) -> String {
    serde_json::to_string_pretty(body).unwrap_or_default()
}

/// The statement's JSON, to be read.
pub(crate) fn statement_text(published: &Published, language: &str) -> String {
    let offered = published.languages();
    indented(&statement_body(published.statement(language), &offered))
}

/// The JSON of the records of processing, to be read.
pub(crate) fn records_text(published: &Published, language: &str) -> String {
    indented(&records_body(published.processing_record(language)))
}

/// The language that the call asks for, by `?lang=` or else by its header.
pub(super) fn language(
    published: &Published,
    asked: Option<&str>,
    header: Option<&str>,
) -> Result<String, Problem> {
    let offered = published.languages();
    let Some(asked) = asked else {
        return Ok(negotiate::language(header, &offered).to_owned());
    };
    let known = offered.iter().find(|tag| tag.eq_ignore_ascii_case(asked));
    known.map(|tag| (*tag).to_owned()).ok_or_else(|| {
        let detail = format!("`lang` is one of: {}", offered.join(", "));
        Problem::invalid_at("", "unknown_word", detail)
    })
}

pub(super) fn negotiated(reply: Reply, language: &str) -> Reply {
    reply
        .header(header::CONTENT_LANGUAGE, language)
        .header(header::VARY, "Accept, Accept-Language")
}

/// The public statement, for people
///
/// In one of the controller's languages: `lang`, else `Accept-Language`. HTML, or Markdown or JSON by
/// `Accept`. Needs no API key.
#[utoipa::path(get, path = urls::PRIVACY, tag = "statement", operation_id = "privacy", security(()),
    params(("lang" = Option<String>, Query, description = "A language of the controller's")),
    responses((status = 200, description = "The statement", content(
        (String = "text/html"), (String = "text/markdown"), (StatementBody = "application/json")))))]
pub(crate) async fn privacy(State(app): State<App>, incoming: Incoming) -> Outcome {
    let form = negotiate::media_type(incoming.accept.as_deref(), &[HTML, MARKDOWN, JSON]);
    // The address is given to people, and what others hang onto it is no reason to refuse them.
    let asked = incoming.query_text("lang");
    let answered = state(&app, form, asked, incoming.accept_language.clone()).await;
    match answered {
        Err(problem) if form == HTML && problem.code().status() == 503 => {
            let all = LANGUAGES.map(|phrases| phrases.tag);
            // There is no first choice among these but English.
            let offered: Vec<_> = std::iter::once("en").chain(all).collect();
            let language = negotiate::language(incoming.accept_language.as_deref(), &offered);
            let page = pages::reply(503, pages::statement::unavailable(language));
            Ok(negotiated(page.header(header::RETRY_AFTER, "10"), language))
        }
        other => other.map(|reply| reply.header(header::CACHE_CONTROL, "no-cache")),
    }
}

/// The public statement as JSON
///
/// The same content as `/privacy`. Needs no API key.
#[utoipa::path(get, path = urls::PRIVACY_STATEMENT, tag = "statement", operation_id = "privacy_statement", security(()),
    params(("lang" = Option<String>, Query, description = "A language of the controller's")),
    responses((status = 200, description = "The statement", body = StatementBody)))]
pub(crate) async fn privacy_statement(State(app): State<App>, incoming: Incoming) -> Outcome {
    let query = incoming.query(&["lang"])?;
    let asked = query.text("lang").map(str::to_owned);
    state(&app, JSON, asked, incoming.accept_language.clone()).await
}

async fn state(
    app: &App,
    form: &'static str,
    asked: Option<String>,
    header: Option<String>,
) -> Outcome {
    let vault = app.vault().ok_or(Problem::new(crate::code::Code::Locked))?;
    app.blocking(Class::Ordinary, move || {
        let published = vault.published()?;
        let language = language(&published, asked.as_deref(), header.as_deref())?;
        let offered = published.languages();
        let statement = published.statement(&language);
        let reply = match form {
            HTML => pages::reply(200, pages::statement::html(&statement, &offered)),
            MARKDOWN => Reply::bytes(
                200,
                "text/markdown; charset=utf-8",
                pages::statement::markdown(&statement).into_bytes(),
            ),
            _ => Reply::json(200, &statement_body(statement, &offered)),
        };
        Ok(negotiated(reply, &language))
    })
    .await
}

/// The records of processing (Art. 30(1))
///
/// Capability `audit.read`. JSON, or CSV or Markdown by `Accept`. What the policy does not say is
/// named under `missing`.
#[utoipa::path(get, path = urls::PROCESSING_RECORDS, tag = "statement", operation_id = "processing_records",
    params(("lang" = Option<String>, Query, description = "A language of the controller's")),
    responses((status = 200, description = "The records", content(
        (RecordsBody = "application/json"), (String = "text/csv"), (String = "text/markdown")))))]
pub(crate) async fn processing_records(State(app): State<App>, incoming: Incoming) -> Outcome {
    let form = negotiate::media_type(incoming.accept.as_deref(), &[JSON, CSV, MARKDOWN]);
    let query = incoming.query(&["lang"]);
    let header = incoming.accept_language.clone();
    app.call(incoming, move |session| {
        let query = session.parsed("audit.read", query)?;
        let published = session.vault.published_for(&session.call())?;
        let language = language(&published, query.text("lang"), header.as_deref())?;
        let record = published.processing_record(&language);
        let reply = match form {
            CSV => Reply::bytes(
                200,
                "text/csv; charset=utf-8",
                pages::record::csv(&record).into_bytes(),
            ),
            MARKDOWN => Reply::bytes(
                200,
                "text/markdown; charset=utf-8",
                pages::record::markdown(&record).into_bytes(),
            ),
            _ => Reply::json(200, &records_body(record)),
        };
        Ok(negotiated(reply, &language))
    })
    .await
}
