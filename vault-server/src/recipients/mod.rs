//! Telling recipients what became of the data that they were given (Art. 19): takes what is due out of the
//! vault, sends it signed to where the policy says, and puts back what came of it.
//!
//! The vault is the queue: it survives a restart, and a notice has the same id at each try, so that what was
//! taken twice can be told from two. A notice goes nowhere but to hosts of the configuration, since whoever
//! applies a policy could else have the server call whom they like; and to no other kind of address than
//! `webhook::address` lets it. Knows no values: there are none in a notice.
//!
//! Source: GDPR Art. 19; OpenGDPR/OpenDSR 1.0 for the body; Standard Webhooks 1.0.0 for the signature.

mod message;
mod setup;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use vault_core::clock::Clock;
use vault_core::entropy::Entropy;
use vault_core::refusal::Refusal;
use vault_core::vault::{
    DueNotice, NoticeFigures, NoticeOutcome, NoticeStanding, NoticeState, Vault,
};

use crate::state::App;
use crate::webhook::{Address, Target, wait_after};
use message::{message, outcome};

pub use setup::{Recipients, RecipientsError};

/// How often the vault is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How long a look may take of the time between two, so that many that wait slow nothing else.
const LOOK_SHARE: u32 = 20;
/// Longest time between two looks.
const LOOK_MAX: Duration = Duration::from_secs(60);
/// Notices to one recipient in one look.
const DUE_MAX: usize = 32;
/// Recipients that are told at a time.
const AT_A_TIME: usize = 8;
/// How long one recipient is told in one look, in seconds: the message at hand is ended, and what is left waits for
/// the next look. So one who is slow holds the others up for that long and a try.
const RUN_SECONDS_MAX: i64 = 20;

/// Why a notice waits although its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum HeldBack {
    /// The configuration does not name its host.
    Host,
    /// There is no file with a secret of this name.
    Secret,
    /// The policy's webhook is no URL that anything is sent to.
    Url,
}

impl HeldBack {
    pub(crate) const ALL: [Self; 3] = [Self::Host, Self::Secret, Self::Url];

    /// The word in status and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Host => "not_allowed",
            Self::Secret => "no_secret",
            Self::Url => "bad_url",
        }
    }
}

/// How notices stand, as the last look found them.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecipientFigures {
    pub(crate) notices: NoticeFigures,
    /// Those that wait for an operator, by why.
    pub(crate) held_back: BTreeMap<HeldBack, u64>,
}

/// What is learned while the server runs.
#[derive(Default)]
pub(crate) struct Standing {
    figures: Mutex<RecipientFigures>,
}

impl Standing {
    /// As the last look found it.
    pub(crate) fn figures(&self) -> RecipientFigures {
        self.figures.lock().clone()
    }
}

impl Recipients {
    /// Where a notice goes, or why it does not.
    fn target(&self, recipient: &str, webhook: &str) -> Result<Target, HeldBack> {
        let address = Address::parse(webhook, self.private).map_err(|_| HeldBack::Url)?;
        let (host, port) = (address.host(), address.port());
        let allowed = |one: &&crate::config::Allowed| one.host == host && one.port == port;
        if self.allow.iter().find(allowed).is_none() {
            return Err(HeldBack::Host);
        }
        let secret = self.secrets.get(recipient).ok_or(HeldBack::Secret)?;
        Ok(Target::with(address, secret.clone(), self.tls.clone()))
    }
}

/// One look: what is due is sent, each recipient's one after another and several recipients side by side. How
/// long the look itself took.
pub(crate) async fn pass(app: &App) -> Duration {
    let Some(vault) = app.vault() else {
        return Duration::ZERO;
    };
    let recipients = app.settings().recipients.clone();
    let (looked, asked) = (vault.clone(), recipients.clone());
    let begun = Instant::now();
    let look = tokio::task::spawn_blocking(move || look(&looked, &asked)).await;
    let took = begun.elapsed();
    let (standing, held_back) = match look {
        Ok(Ok(found)) => found,
        Ok(Err(Refusal::Locked)) => return took,
        Ok(Err(error)) => {
            tracing::error!(target: "vault_server::recipients", %error, "what recipients are to be told could not be read");
            return took;
        }
        Err(_) => {
            tracing::error!(target: "vault_server::recipients", "looking for what recipients are to be told met a defect");
            return took;
        }
    };
    *app.telling().figures.lock() = RecipientFigures {
        notices: standing.figures,
        held_back,
    };
    let mut of: BTreeMap<String, Vec<DueNotice>> = BTreeMap::new();
    for due in standing.due {
        of.entry(due.notice.recipient.clone())
            .or_default()
            .push(due);
    }
    let clock = app.settings().clock.clone();
    let mut waiting = of.into_values();
    let mut running = JoinSet::new();
    loop {
        while running.len() < AT_A_TIME {
            let Some(notices) = waiting.next() else { break };
            running.spawn(tell(
                vault.clone(),
                recipients.clone(),
                clock.clone(),
                notices,
            ));
        }
        if running.join_next().await.is_none() {
            return took;
        }
    }
}

fn look(
    vault: &Vault,
    recipients: &Recipients,
) -> Result<(NoticeStanding, BTreeMap<HeldBack, u64>), Refusal> {
    let held_back = Mutex::new(BTreeMap::new());
    let ready = |recipient: &str, webhook: &str| match recipients.target(recipient, webhook) {
        Ok(_) => true,
        Err(why) => {
            *held_back.lock().entry(why).or_insert(0) += 1;
            false
        }
    };
    let standing = vault.recipient_notices_due(DUE_MAX, &ready)?;
    Ok((standing, held_back.into_inner()))
}

/// Tells one recipient what is due, in its order; the first that is not taken ends it, since the others would
/// not be either, and so does the end of its time.
async fn tell(
    vault: Arc<Vault>,
    recipients: Recipients,
    clock: Arc<dyn Clock>,
    notices: Vec<DueNotice>,
) {
    let begun = clock.now();
    for due in notices {
        if clock.now().duration_since(begun).as_secs() >= RUN_SECONDS_MAX {
            return;
        }
        let Ok(target) = recipients.target(&due.notice.recipient, &due.webhook) else {
            return;
        };
        let answer = target.ask(&message(&due.notice), clock.now()).await;
        let wait = |tries: u32| {
            let mut entropy = recipients.entropy.lock();
            wait_after(tries.saturating_add(1), &mut **entropy)
        };
        let (id, kind, tries) = (due.notice.id, due.notice.kind.name(), due.notice.tries + 1);
        let recipient = due.notice.recipient.clone();
        let next = clock
            .now()
            .saturating_add(wait(due.notice.tries))
            .unwrap_or(Timestamp::MAX);
        let came = outcome(answer, next);
        let noted = vault.clone();
        let noted =
            tokio::task::spawn_blocking(move || noted.note_recipient_notice(&due, came)).await;
        let stands = match noted {
            Ok(Ok(stands)) => stands,
            // It will be sent again, under the same id.
            Ok(Err(error)) => {
                tracing::error!(target: "vault_server::recipients", notice = %id, %error, "what came of a notice could not be noted");
                return;
            }
            Err(_) => return,
        };
        let NoticeOutcome::Failed(_, why) = came else {
            continue;
        };
        match stands {
            Some(NoticeState::Failed) => {
                tracing::warn!(target: "vault_server::recipients", notice = %id, kind, %recipient, tries, why, "a recipient did not take a notice; it is tried again");
            }
            Some(NoticeState::Dead) => {
                tracing::error!(target: "vault_server::recipients", notice = %id, kind, %recipient, tries, why, "a recipient did not take a notice, which is tried no more: somebody has to tell them, or ask for another try");
            }
            // Somebody has settled it meanwhile, or it is forgotten.
            _ => {}
        }
        return;
    }
}

/// Tells recipients, for as long as the server runs.
pub(crate) async fn run(app: App) {
    loop {
        let looked = pass(&app).await;
        tokio::time::sleep(wait(looked)).await;
    }
}

/// Until the next look, by how long one takes. Not by how long sending takes: a recipient who is slow to answer
/// costs the vault nothing, and makes the others wait for its time in this look alone ([`RUN_SECONDS_MAX`]).
fn wait(looked: Duration) -> Duration {
    LOOK.max(looked * LOOK_SHARE).min(LOOK_MAX)
}

/// The ports that are connected to.
pub(crate) fn ports(config: &crate::config::RecipientConfig) -> Vec<u16> {
    let mut ports: Vec<u16> = config.allow.iter().map(|one| one.port).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

impl App {
    /// Sends what recipients are to be told now: what a running server does every few seconds.
    pub async fn tell_recipients(&self) {
        pass(self).await;
    }
}

/// An entropy that several tasks take turns with.
type Shared = Arc<Mutex<Box<dyn Entropy>>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_takes_long_is_made_seldom_and_none_is_put_off_for_ever() {
        let second = Duration::from_secs(1);
        assert_eq!(wait(Duration::ZERO), LOOK);
        assert_eq!(wait(LOOK / LOOK_SHARE), LOOK);
        assert_eq!(wait(second), second * LOOK_SHARE);
        assert_eq!(wait(60 * second), LOOK_MAX);
    }
}
