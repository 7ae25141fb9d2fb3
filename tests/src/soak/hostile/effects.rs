//! What an attempt must have been counted as.
//!
//! Exact where its client saw the end: then nothing else can have happened. Where it gave up, or the
//! connection broke before an answer came, it may have been counted or not.

use super::tls::Wrong;
use super::{Kind, Sent};
use crate::soak::balance::{
    ABANDONED, BODIES_BROKEN, BODY_TIMEOUTS, Balance, CALLS, HANDSHAKE_TIMEOUTS, HANDSHAKES,
    HEADER_TIMEOUTS, HEADS_TOO_LARGE, PROTOCOL_ERRORS, REFUSED_PEER, WRITE_TIMEOUTS, refusals,
};

/// Problem codes that a call without a valid key, or with a bad body, may get.
const CODES: [&str; 6] = [
    "malformed",
    "method_not_allowed",
    "overloaded",
    "rate_limited",
    "too_large",
    "unauthenticated",
];

/// How an attempt ended.
pub(super) enum End {
    /// The connection was closed, after these answers, perhaps none.
    Answered(Vec<(u16, String)>),
    /// The connection broke.
    Broken,
    /// We had enough.
    GaveUp,
    /// A handshake that could not succeed.
    NotTls(Wrong),
}

/// Enters one attempt.
pub(super) fn effects(kind: Kind, tls: bool, sent: &Sent, end: &End, balance: &mut Balance) {
    if let End::NotTls(wrong) = end {
        balance.must(HANDSHAKES, 1);
        if *wrong == Wrong::Half {
            balance.must(HANDSHAKE_TIMEOUTS, 1);
        }
        return;
    }
    if kind == Kind::WrongTls && tls {
        // Its connection ended, whoever ended it.
        balance.must(HANDSHAKES, 1);
        return balance.may(HANDSHAKE_TIMEOUTS, 1);
    }
    if !sent.connected && kind != Kind::WrongTls {
        balance.may(HANDSHAKES, 1);
        balance.may(HANDSHAKE_TIMEOUTS, 1);
        return balance.may(REFUSED_PEER, 1);
    }
    let none = Vec::new();
    let statuses = match end {
        End::Answered(statuses) => statuses,
        _ => &none,
    };
    for (status, code) in statuses {
        match (status, &**code) {
            (431, "none") => balance.must(HEADS_TOO_LARGE, 1),
            (400, "none") => balance.must(PROTOCOL_ERRORS, 1),
            (_, "none") => {}
            (_, code) => balance.refused(code),
        }
    }
    calls(kind, sent, end, statuses, balance);
    let gave_up = matches!(end, End::GaveUp);
    let mut caused = |counter: &str| match gave_up {
        true => balance.may(counter, 1),
        false => balance.must(counter, 1),
    };
    let answered = !statuses.is_empty();
    match kind {
        Kind::Hang | Kind::SlowHeaders => caused(HEADER_TIMEOUTS),
        Kind::HugeHeaders if !answered => caused(HEADS_TOO_LARGE),
        Kind::Garbage | Kind::Http2Preface | Kind::WrongTls if !answered => {
            caused(PROTOCOL_ERRORS);
        }
        Kind::SlowBody => caused(BODY_TIMEOUTS),
        Kind::SlowReader if sent.all => caused(WRITE_TIMEOUTS),
        Kind::SlowReader => balance.may(WRITE_TIMEOUTS, 1),
        _ => {}
    }
}

/// Calls that were answered or left, and what they may have been refused with unseen.
fn calls(kind: Kind, sent: &Sent, end: &End, statuses: &[(u16, String)], balance: &mut Balance) {
    // Answers that no call was counted for: the protocol's own.
    let own = statuses
        .iter()
        .filter(|(status, code)| code == "none" && *status >= 400);
    let seen = (statuses.len() - own.count()) as u64;
    balance.must(CALLS, seen);
    let unseen = sent.calls.saturating_sub(seen);
    let ended = !matches!(end, End::GaveUp) && unseen > 0;
    match kind {
        // It went away as soon as all was sent, and the server has to count it as one or the other.
        Kind::DroppedBody if ended && sent.all => {
            balance.must(CALLS, unseen);
            balance.must(BODIES_BROKEN, unseen);
            balance.may(ABANDONED, unseen);
            balance.may(&refusals("malformed"), unseen);
        }
        // The server closed before it had read all, so it had an answer; we were still writing.
        Kind::HugeBody if ended => {
            balance.must(CALLS, unseen);
            balance.refused("too_large");
        }
        _ => {
            balance.may(CALLS, unseen);
            balance.may(ABANDONED, unseen);
            balance.may(BODIES_BROKEN, unseen);
            if !matches!(kind, Kind::HalfClosed | Kind::Pipelining | Kind::SlowReader) {
                balance.may_be_refused(&CODES, unseen);
            }
        }
    }
    // What was seen of this code is a body that broke off, or stood still.
    let malformed = statuses.iter().filter(|(_, code)| code == "malformed");
    balance.must(BODIES_BROKEN, malformed.count() as u64);
}
