//! What each problem code means: the list, and a page for each.

use maud::html;
use serde_json::Value;
use vault_core::id::{CallId, ReceiptId};
use vault_core::refusal::Refusal;

use super::{Frame, inline};
use crate::code::Code;
use crate::openapi::{openapi, operations};
use crate::problem::Problem;
use crate::rate::Limit;
use crate::urls;

/// Why a code comes about, and what the developer who meets it does.
const fn explained(code: Code) -> (&'static str, &'static str) {
    match code {
        Code::Ambiguous => (
            "A look-up by a field found more than one person with this value: a family shares a telephone, a mailbox is read by two.",
            "Look up by another field, or by channel and user, which name one person. Do not pick one of several.",
        ),
        Code::AnchorUnavailable => (
            "Erasing replaces a secret in the anchor file, and that file cannot be read or written now: its disk is full, gone or mounted read-only. Nothing was erased.",
            "Repeat after the seconds of `Retry-After`. If it stays, the operator looks at the directory of the anchor; `vault-cli doctor` names it.",
        ),
        Code::BatchFailed => (
            "Operations of a batch about one person happen together or not at all, and another one of them failed.",
            "`detail` says which. Mend that one, and send the operations about this person again.",
        ),
        Code::Conflict => (
            "The call is well formed but does not fit what is there: `POST` on a collection that holds one record a person, consent to a purpose that rests on something else, the last key slot, the same call still under way.",
            "Read `detail`: it says which state is in the way and which call fits instead.",
        ),
        Code::ConsentRequired => (
            "The purpose of the call rests on consent, and this person has not given it, has refused it, or has withdrawn it.",
            "Ask the person, record the answer with `PUT /v1/subjects/{s}/consents/{purpose}`, and repeat. Without a yes, do without the data.",
        ),
        Code::DiskFull => (
            "The disk of the vault has no room. Erasing still works, because room is held back for it; a read is refused too where its entry in the log finds no room, so that nothing leaves unseen.",
            "Tell the operator, who makes room. Keep nothing of the refused data elsewhere.",
        ),
        Code::Erased => (
            "The person behind this id was erased: the keys of their data were destroyed. For some minutes the same channel user is refused too, so that a message still on its way does not make them anew.",
            "Forget the id, and what you still hold under it. `receipt` names the proof where it is known. Should the person come back, `POST /v1/subjects` makes a new one.",
        ),
        Code::Held => (
            "A legal hold stands over the data (Art. 17(3) GDPR), and the call would change or use what is held; or the person was erased but for that.",
            "Do without the data. Whoever manages holds can say until when. A person who asks for erasure gets it at once for everything that is not held, and for the rest when the hold ends.",
        ),
        Code::IdempotencyMismatch => (
            "The `Idempotency-Key` was sent within the last day with another method, path, purpose, `Vault-Restricted-Use`, `If-Match` or body; or, in a conversation, the `message_id` came before with another message.",
            "Make a fresh key for each new call, and a name for each message, and send the same one only with the very same call or message.",
        ),
        Code::Internal => (
            "A defect of the vault, or damage of its files. The call was not answered for this reason alone.",
            "Give the operator the `request_id`: the log has an entry under it. Read back before you repeat a write.",
        ),
        Code::Invalid => (
            "The body or the query can be read but does not fit: an unknown member, a wrong type, a value that its field's type refuses, a limit.",
            "`errors` lists every place at once: a JSON pointer into the body (empty for the query), a code and what is expected. The value itself is never repeated.",
        ),
        Code::Locked => (
            "The server runs, but the vault holds no keys: it was started without a passphrase, or somebody locked it.",
            "An operator opens it with `POST /v1/unlock` or `vault-cli`. Repeat after the seconds of `Retry-After`; nothing was lost.",
        ),
        Code::Malformed => (
            "The request breaks its syntax: JSON that does not parse, a key twice in one object, nesting over 64, a header with a character that does not belong there.",
            "`detail` names the header, or line and column of the body. Mend the sender; repeating will not help.",
        ),
        Code::MethodNotAllowed => (
            "The path exists; the method is not served there.",
            "The `Allow` header lists the methods that are.",
        ),
        Code::NoLawfulBasis => (
            "The purpose of the call has no lawful basis (Art. 6 GDPR) that holds for this person now: it was objected to, or has ended.",
            "Do not use the data for this purpose. Another purpose needs a basis of its own.",
        ),
        Code::NotFound => (
            "There is no such thing, or you may not know whether there is. The vault does not say which.",
            "Check the id and the name of the collection or purpose against the policy. An id that another role gave you may not be yours to use.",
        ),
        Code::NoticeRequired => (
            "The policy lets nothing be stored before the person was shown the privacy notice (Art. 13 GDPR), and no showing is on record.",
            "Show the notice in `notice`, record that with `POST /v1/subjects/{s}/notices`, and repeat the call: the message that was typed is not lost.",
        ),
        Code::NoticeStale => (
            "The person was shown a notice, and the policy has changed since in something that people have to be told: who, what for, on which ground, which data, how long, to whom (Art. 13(3) GDPR).",
            "Show the person the notice in `notice`, record that with `POST /v1/subjects/{s}/notices`, and repeat the call: the message that was typed is not lost.",
        ),
        Code::OutcomeUnknown => (
            "The disk failed in the middle of a commit. The change may have happened or not; the vault is finding out.",
            "Read back before you repeat the call. An erasure counts only when a receipt was given.",
        ),
        Code::Overloaded => (
            "More calls are waiting than the vault can serve, or it takes no writes just now. Nothing was done.",
            "Repeat after the seconds of `Retry-After`, with a pause that grows.",
        ),
        Code::PreconditionFailed => (
            "`If-Match` names a revision that the record no longer has, or demands a record that is not there: somebody was first.",
            "Read the record again, apply your change to what it says now, and repeat with the new `ETag`.",
        ),
        Code::PurposeDenied => (
            "The stated purpose is not in the policy, not one of this role's, or the field was not collected for it.",
            "Check the name against the policy. Data collected for one purpose are not there for another: if they ought to be, the policy has to say so first.",
        ),
        Code::PurposeMissing => (
            "A call that moves values has to say what for, and this one carries no `Vault-Purpose`.",
            "Send `Vault-Purpose: NAME` with the name of a purpose of the policy. With a session's token it is implied.",
        ),
        Code::RateLimited => (
            "The call was made too often: a wrong passphrase a moment ago, or more questions about one person than a day allows.",
            "Repeat after the seconds of `Retry-After`, or tomorrow where none are given.",
        ),
        Code::RangeNotSatisfiable => (
            "The `Range` of a download begins behind the end of the content.",
            "`Content-Range` says how long the content is. Leave `Range` out to get all of it.",
        ),
        Code::Restricted => (
            "The person has asked that their data be kept but not used (Art. 18 GDPR), or has objected to the purpose and that is not decided yet (Art. 21).",
            "Do without the data until the restriction is lifted or the objection decided. The person's own access still works, and so does what Art. 18(2) allows where the policy gives the role that use and the call names it in `Vault-Restricted-Use`.",
        ),
        Code::RoleDenied => (
            "The role of this API key lacks the capability or the field that the call needs, or a session is spent.",
            "`detail` names what is missing. The policy gives roles their rights; a call for fewer fields may pass.",
        ),
        Code::TooLarge => (
            "The body, a value or a list is over a limit.",
            "`detail` names the limit. Send less, or send it in more calls.",
        ),
        Code::Unauthenticated => (
            "There is no bearer, or none that the vault knows: an API key that was revoked or has expired, a session that is over.",
            "Send `Authorization: Bearer vk_…` with a key that is in force. For a session's token, begin a new session.",
        ),
        Code::UnsupportedMediaType => (
            "The body is not of a type that this call reads, or in another character set.",
            "Bodies are `application/json` in UTF-8; on `PATCH` also `application/merge-patch+json`; a policy may be `text/plain`.",
        ),
    }
}

/// A document as a client gets it.
fn example(code: Code) -> Value {
    let problem = match code {
        Code::Invalid => Problem::invalid_at(
            "",
            "unknown_member",
            "member 1 is not known here; did you mean `channel`?",
        ),
        Code::Erased => Problem::from(Refusal::Erased {
            receipt: Some(ReceiptId::from_bytes([7; 16])),
        }),
        Code::RateLimited => Problem::rate_limited(Limit::Calls, 2),
        other => Problem::new(other),
    };
    let document = problem.document(CallId::from_bytes([9; 16]));
    serde_json::from_slice(&document).expect("a problem is JSON")
}

/// The list of every code.
pub(crate) fn list() -> String {
    let content = html! {
        h1 { "Problems" }
        p { "Every refusal is " code { "application/problem+json" } " (RFC 9457). Match on "
            code { "code" } "; the codes are never renamed. " code { "retryable" }
            " says whether the same call may succeed later." }
        dl .pairs {
            @for code in Code::ALL {
                dt { a href=(urls::at(urls::PROBLEM, &[&code.name()])) { code { (code.name()) } }
                    " " span .dim.small { (code.status()) } }
                dd { (code.title()) }
            }
        }
        p { a href=(urls::DOCS) { "The API" } }
    };
    let frame = Frame {
        language: "en",
        title: "Problems",
        aside: None,
    };
    super::page(&frame, &content)
}

/// One code.
pub(crate) fn one(code: Code) -> String {
    let (why, remedy) = explained(code);
    let document = openapi();
    let quoted = format!("`{}`: ", code.name());
    let answering = operations(&document).filter(|(_, _, operation)| {
        let responses = operation["responses"].as_object().into_iter().flatten();
        responses
            .filter_map(|(_, response)| response["$ref"].as_str())
            .any(|reference| {
                document
                    .pointer(reference.trim_start_matches('#'))
                    .and_then(|response| response["description"].as_str())
                    .is_some_and(|text| text.contains(&quoted))
            })
    });
    let answering: Vec<_> = answering.collect();
    let pretty = serde_json::to_string_pretty(&example(code)).expect("JSON serialises");
    let content = html! {
        p .small { a href=(urls::PROBLEMS) { "Problems" } " · " a href=(urls::DOCS) { "The API" } }
        h1 { (code.title()) }
        p { code { (code.name()) } ", status " (code.status()) ". "
            @if code.retryable() { "The same call may succeed later." }
            @else { "The same call, unchanged, will not succeed." } }
        h2 { "Why it happens" }
        p { (inline(why)) }
        h2 { "What to do" }
        p { (inline(remedy)) }
        h2 { "An example" }
        pre tabindex="0" { code { (pretty) } }
        @if !answering.is_empty() {
            h2 { "Calls that answer it" }
            ul {
                @for (path, method, operation) in &answering {
                    @let id = operation["operationId"].as_str().unwrap_or_default();
                    li { a href={ (urls::DOCS) "#" (id) } { code { (method.to_uppercase()) " " (path) } } }
                }
            }
        }
    };
    let frame = Frame {
        language: "en",
        title: code.title(),
        aside: None,
    };
    super::page(&frame, &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_says_what_why_and_what_to_do_and_shows_its_document() {
        for code in Code::ALL {
            let page = one(*code);
            let (why, remedy) = explained(*code);
            assert!(why.len() > 40 && remedy.len() > 40, "{}", code.name());
            for part in ["Why it happens", "What to do", "An example", code.name()] {
                assert!(page.contains(part), "{}: {part}", code.name());
            }
            assert_eq!(example(*code)["code"], code.name());
            assert!(list().contains(&format!("/problems/{}\"", code.name())));
        }
    }
}
