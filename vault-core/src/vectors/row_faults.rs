//! Rows that are none, each by the fault that its form alone can have.

use super::demands;
use super::rows::{
    NOW, blob, entry, event, happened, hold, inner, leaf, policy, session, system, token,
};
use crate::answer::AnswerRow;
use crate::commit::State;
use crate::person::SubjectRow;
use crate::row;

/// The row's bytes with those from `old` on replaced.
fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = bytes.windows(old.len()).position(|part| part == old);
    let at = at.expect("they stand there");
    [&bytes[..at], new, &bytes[at + old.len()..]].concat()
}

/// Faults that a form alone has.
pub(super) fn faults() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let (token, session) = (row::encode(&token()), row::encode(&session()));
    let (entry, subject) = (
        entry().encode(),
        SubjectRow {
            created_at: NOW,
            channel: "web".into(),
            user: "visitor-42".into(),
            active_on: 20_781,
        },
    );
    let subject = row::encode(&subject);
    let last = |bytes: &[u8], byte: u8| [&bytes[..bytes.len() - 1], &[byte]].concat();
    let state = row::encode(&State::default());
    let hold = serde_json::to_vec(&hold()).expect("an event");
    let event = serde_json::to_vec(&event()).expect("a JSON form");
    let policy = replaced(&row::encode(&policy()), b"contract", b"whatever");
    let system = row::encode(&system());
    let demands = demands::faults().into_iter();
    let demands =
        demands.map(|(form, name, bytes, old, new)| (form, name, replaced(&bytes, old, new)));
    let mut faults = vec![
        (
            "AnswerRow",
            "a length beyond the row",
            replaced(
                &row::encode(&AnswerRow {
                    fingerprint: [1; 32],
                    at: NOW,
                    answers: Some(Vec::new()),
                }),
                &[1, 0],
                &[1, 250],
            ),
        ),
        (
            "LedgerEntry",
            "an event of no kind",
            replaced(&row::encode(&happened(4)), &[4, 7, 7], &[8, 7, 7]),
        ),
        ("Blob", "a media type with capitals", blob(1, "Image/JPEG")),
        (
            "Blob",
            "a media type with parameters",
            blob(1, "image/jpeg; q=1"),
        ),
        (
            "Blob",
            "longer than a blob is",
            blob((4 << 30) + 1, "image/jpeg"),
        ),
        (
            "Entry",
            "an actor of no kind",
            replaced(&entry, &[1, 1, 1, 1, 1], &[2, 1, 1, 1, 1]),
        ),
        (
            "Entry",
            "a time beyond the calendar",
            [&[1, 0xfd][..], &[0xff; 8], &entry[10..]].concat(),
        ),
        (
            "SessionRow",
            "a truth value that is none",
            last(&session, 2),
        ),
        (
            "State",
            "an option that is none",
            replaced(
                &state,
                &[0; 24],
                &[[0; 5].as_slice(), &[2], &[0; 18]].concat(),
            ),
        ),
        (
            "SubjectRow",
            "a text that is no UTF-8",
            replaced(&subject, b"-42", b"-4\xff"),
        ),
        (
            "SystemKeys",
            "a kind of slot that is none",
            replaced(&system, b"\x02\x01\x04slot", b"\x02\x02\x04slot"),
        ),
        (
            "TokenRow",
            "an option that is none",
            replaced(&token, &[1, 2, 2, 2, 2], &[2, 2, 2, 2, 2]),
        ),
        ("PolicyRow", "a basis that is none", policy),
        (
            "hold",
            "a ground that is none",
            replaced(&hold, b"legal_claims", b"legal_clamps"),
        ),
        (
            "hold",
            "a day that is none",
            replaced(&hold, b"2027-01-31", b"2027-02-31"),
        ),
        (
            "event",
            "a state that is none",
            replaced(&event, b"given", b"taken"),
        ),
        (
            "event",
            "an id of another kind",
            replaced(&event, b"cns_", b"tok_"),
        ),
        (
            "list of entries",
            "a length of four gigabytes",
            vec![1, 1, 0xfc, 0xff, 0xff, 0xff, 0xff],
        ),
        (
            "node of the people map",
            "a kind that is none",
            [&[3][..], &leaf(48, 1)[1..]].concat(),
        ),
        (
            "node of the people map",
            "more entries than a leaf has",
            leaf(48, 65),
        ),
        (
            "node of the people map",
            "an entry cut off",
            [&[2, 9][..], &leaf(48, 8)[2..]].concat(),
        ),
        (
            "node of the people map",
            "fifteen children",
            inner()[..inner().len() - 32].to_vec(),
        ),
        (
            "node of the index map",
            "an entry cut off",
            leaf(64, 9)[..2 + 80 * 8].to_vec(),
        ),
        ("node of the index map", "nothing", Vec::new()),
        (
            "node of the people map",
            "more padding than a leaf of its size has",
            [leaf(48, 1), vec![0; 64]].concat(),
        ),
        (
            "node of the people map",
            "padding that is none",
            last(&leaf(48, 1), 1),
        ),
    ];
    faults.extend(demands);
    faults
}
