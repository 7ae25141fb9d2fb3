//! Calls with keys that are none: so many at once that they are over a limit by the minute on a machine, too, that takes
//! seconds for a call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Attacker, head};
use crate::dialer::Dialer;
use crate::soak::report::Tally;
use crate::soak::rng::Rng;

/// Connections at once.
const CONNECTIONS: usize = 16;
/// Calls on each, none of which waits for an answer.
pub(super) const CALLS: u64 = 8;
/// Rest between two bursts: a thousand handshakes in a minute are enough.
const REST: Duration = Duration::from_secs(2);

/// One attempt over each connection, and a rest.
pub(super) async fn burst(
    attacker: &Attacker,
    dialer: &Arc<Dialer>,
    rng: &mut Rng,
    end: Instant,
    tally: &mut Tally,
) {
    let mut guessing = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (attacker, dialer, mut rng) = (attacker.clone(), Arc::clone(dialer), rng.fork());
        guessing.spawn(async move {
            let mut tally = Tally::default();
            let ended = attacker.once(&dialer, &mut rng, end, &mut tally).await;
            tally.attempt(attacker.kind.name(), ended);
            tally
        });
    }
    for each in guessing.join_all().await {
        tally.merge(each);
    }
    sleep(REST).await;
}

/// The calls of one connection; the last says that it is.
pub(super) fn calls(rng: &mut Rng) -> String {
    let person = "GET /v1/subjects/sub_00000000000000000000000000/records/profile";
    let mut all = String::new();
    for at in 1..=CALLS {
        let token = match rng.below(3) {
            0 => format!("Authorization: Bearer vk_{:032}\r\n", rng.below(1 << 40)),
            1 => "Authorization: Bearer vs_nothing\r\n".to_owned(),
            _ => String::new(),
        };
        let more = format!("{token}Vault-Purpose: support\r\n\r\n");
        all += &match at == CALLS {
            true => head(person, &more),
            false => format!("{person} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}"),
        };
    }
    all
}
