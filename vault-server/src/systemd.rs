//! What the service manager is told: ready, reloading, stopping, alive.
//!
//! Without `NOTIFY_SOCKET` in the environment all of it does nothing. Source: sd_notify(3).

use std::time::Duration;

use sd_notify::NotifyState;

use crate::state::App;

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(target: "vault_server::systemd", error = %error.kind(), "the service manager could not be told");
    }
}

const fn status(open: bool) -> NotifyState<'static> {
    NotifyState::Status(if open {
        "serving; the vault is open"
    } else {
        "serving; the vault is locked and waits for POST /v1/unlock"
    })
}

/// The listeners take connections.
pub(crate) fn ready(open: bool) {
    tell(&[NotifyState::Ready, status(open)]);
}

/// The vault was opened or locked.
pub(crate) fn state(open: bool) {
    tell(&[status(open)]);
}

/// The files are read again; [`ready`] ends it.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        // Without its time the message would count as a failure of the service.
        Err(error) => {
            tracing::warn!(target: "vault_server::systemd", error = %error.kind(), "the time of the reload is not known");
        }
    }
}

/// No new calls are taken.
pub(crate) fn stopping() {
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status("stopping; calls under way end"),
    ]);
}

/// Says that the process is alive, as often as the manager wants it, while a probe through the
/// vault's writer comes back.
pub(crate) async fn watchdog(app: App) {
    let Some(within) = sd_notify::watchdog_enabled() else {
        return;
    };
    let every = (within / 2).max(Duration::from_millis(10));
    beat(
        every,
        || alive(app.clone()),
        || tell(&[NotifyState::Watchdog]),
    )
    .await;
}

/// Says so after each probe that succeeds. One that hangs keeps the next from being sent, and the
/// manager restarts the service.
async fn beat<P: Future<Output = bool>>(every: Duration, probe: impl Fn() -> P, say: impl Fn()) {
    let mut interval = tokio::time::interval(every);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if probe().await {
            say();
        } else {
            tracing::error!(target: "vault_server::systemd", "the vault's writer does not answer: no sign of life is sent");
        }
    }
}

async fn alive(app: App) -> bool {
    // A locked vault has no writer; that this task runs is all there is to know.
    let Some(vault) = app.vault() else {
        return true;
    };
    let probed = tokio::task::spawn_blocking(move || {
        let answer = vault.probe();
        // One that was locked meanwhile has not failed.
        answer.is_ok() || !vault.is_open()
    });
    probed.await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::mpsc;

    #[tokio::test]
    async fn a_probe_that_fails_sends_no_sign_of_life_and_one_that_hangs_sends_none_ever_after() {
        let (probes, signs) = (AtomicU32::new(0), AtomicU32::new(0));
        let (hung, mut hangs) = mpsc::unbounded_channel();
        let probe = || {
            let (number, hung) = (probes.fetch_add(1, Ordering::Relaxed), hung.clone());
            async move {
                if number > 2 {
                    hung.send(()).expect("the test listens");
                    std::future::pending::<()>().await;
                }
                number != 1
            }
        };
        let say = || {
            signs.fetch_add(1, Ordering::Relaxed);
        };
        tokio::select! {
            () = beat(Duration::from_millis(1), probe, say) => unreachable!("it beats for ever"),
            _ = hangs.recv() => {}
        }
        assert_eq!(signs.load(Ordering::Relaxed), 2);
    }
}
