//! How many people there are of which kind.

use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use vault_core::vault::{CountBy, CountInput, CountLabel, Counted};

use crate::call::Outcome;
use crate::incoming::Incoming;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::routes::bulk::Conditions;
use crate::shape::Shape;
use crate::state::App;
use crate::urls;

/// Which people are to be counted.
#[derive(ToSchema)]
#[schema(as = CountRequest)]
#[expect(
    dead_code,
    reason = "describes the wire; what is read is the core's `CountInput`"
)]
pub(crate) struct CountRequest {
    /// Name of a collection of the policy.
    collection: String,
    /// Conditions, all of which hold; none for everybody. Times are whole days in UTC, and nobody is named.
    r#where: Option<Conditions>,
    /// What people are told apart by, at most three.
    by: Option<Vec<CountByBody>>,
}

/// A field of type bool or text, `_meta.source` or `_meta.category` by its name; one of type number or date
/// with how wide a group is.
#[derive(ToSchema)]
#[schema(as = CountBy)]
#[expect(dead_code, reason = "describes the wire; what is read is `CountBy`")]
#[serde(untagged)]
pub(crate) enum CountByBody {
    /// By its name.
    Name(String),
    /// In groups of numbers, or of years.
    Ranges {
        /// The field.
        field: String,
        /// How wide a group is.
        width: u64,
    },
}

fn by(one: &Value) -> Option<CountBy> {
    if let Some(name) = one.as_str() {
        return Some(CountBy {
            name: name.to_owned(),
            width: None,
        });
    }
    let members = one.as_object()?;
    let known = members.len() == 2 && members.contains_key("width");
    Some(CountBy {
        name: members.get("field").filter(|_| known)?.as_str()?.to_owned(),
        width: Some(members.get("width")?.as_u64()?),
    })
}

pub(crate) fn read(body: Value) -> Result<CountInput, Problem> {
    let mut shape = Shape::of(body, &["collection", "where", "by"])?;
    let collection = shape.text("collection");
    let conditions = match shape.has("where") {
        true => shape.value("where"),
        false => json!({}),
    };
    let listed = match shape.has("by") {
        true => shape.value("by"),
        false => json!([]),
    };
    let read = listed
        .as_array()
        .and_then(|list| list.iter().map(by).collect());
    if read.is_none() && shape.finds_no_fault() {
        let detail =
            "a list of names of fields, or of {\"field\": …, \"width\": …} for numbers and dates";
        shape.refuse("by", "bad_group", detail);
    }
    shape.finish(CountInput {
        collection,
        conditions,
        by: read.unwrap_or_default(),
    })
}

/// How many people there are.
#[derive(Serialize, ToSchema)]
#[schema(as = Counted)]
pub(crate) struct CountedBody {
    /// The collection.
    collection: String,
    /// Fewer people than these are no group that is told.
    k: u64,
    /// Whether each number is the multiple of `k` below it.
    rounded: bool,
    /// How many people; null where a group is withheld, or they are too few.
    total: Option<u64>,
    /// The groups that are told.
    groups: Vec<GroupBody>,
    /// Whether anybody is in a group that is not told.
    withheld: bool,
}

/// One group.
#[derive(Serialize, ToSchema)]
#[schema(as = CountGroup)]
pub(crate) struct GroupBody {
    /// In the order of `by`: true or false, a text, `{"from": 20, "below": 30}`, or null where there is no value.
    by: Vec<Value>,
    /// How many people.
    people: u64,
}

fn label(label: CountLabel) -> Value {
    match label {
        CountLabel::Missing => Value::Null,
        CountLabel::Flag(flag) => json!(flag),
        CountLabel::Range(from, below) => json!({"from": from, "below": below}),
        CountLabel::Text(text) => json!(text),
    }
}

impl From<Counted> for CountedBody {
    fn from(counted: Counted) -> Self {
        let groups = counted.groups.into_iter().map(|group| GroupBody {
            by: group.labels.into_iter().map(label).collect(),
            people: group.people,
        });
        Self {
            collection: counted.collection,
            k: counted.k,
            rounded: counted.rounded,
            total: counted.total,
            groups: groups.collect(),
            withheld: counted.withheld,
        }
    }
}

/// Count people
///
/// People, not records, and only those who may be used for the purpose now. Groups of fewer than `k` people
/// (`[counts]` in the policy) are withheld, and enough of the others that nobody finds them as the rest of a
/// sum; numbers are rounded down to multiples of `k` unless the policy wants them exact. Values are looked at
/// and none is given out. Capability `records.bulk`; a field is one that the role sees in full or, unless it is
/// a text, may ask about, and never one by which people are found. As many a day and role as the policy says.
#[utoipa::path(post, path = urls::RECORDS_COUNT, tag = "bulk", operation_id = "count_records",
    request_body = CountRequest,
    responses((status = 200, description = "How many", body = CountedBody)))]
pub(crate) async fn count(State(app): State<App>, incoming: Incoming) -> Outcome {
    incoming.demand_purpose()?;
    let body = incoming.json()?;
    app.call(incoming, move |session| {
        let input = session.parsed("records.bulk", read(body))?;
        let counted = session.vault.count_records(&session.call(), &input)?;
        Ok(Reply::json(200, &CountedBody::from(counted)))
    })
    .await
}
