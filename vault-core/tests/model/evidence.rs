//! What a history has left in the log.

use std::collections::BTreeMap;

use vault_core::vault::{AuditQuery, Call};

use super::play::{Player, same};

impl Player {
    /// A checkpoint as somebody else would keep it.
    pub(crate) fn keep_checkpoint(&mut self) -> Result<(), String> {
        let dpo = self.dpo.clone();
        let note = self.world.vault.log_checkpoint(&Call::new(&dpo));
        self.checkpoints
            .push(note.map_err(|refusal| refusal.to_string())?);
        Ok(())
    }

    /// The log is whole, goes on from every checkpoint that was kept, and has an entry of every call.
    pub(crate) fn verify(&mut self) -> Result<(), String> {
        // Closing takes what the journal holds into the log.
        self.world.reopen()?;
        let (vault, dpo) = (self.world.vault.clone(), self.dpo.clone());
        let report = vault.verify_log(&Call::new(&dpo), &self.checkpoints, &mut |_, _| {});
        let report = report.map_err(|refusal| refusal.to_string())?;
        if !report.sound() {
            return Err(format!("the log: {:?}", report.faults));
        }
        let mut left: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        let mut query = AuditQuery {
            last: 1_000,
            ..AuditQuery::default()
        };
        loop {
            let page = vault
                .audit(&Call::new(&dpo), &query)
                .map_err(|r| r.to_string())?;
            for entry in page.entries {
                let part = |name: &str| entry.entry[name].as_str().unwrap_or_default().to_owned();
                left.entry(part("request"))
                    .or_default()
                    .push((part("action"), part("outcome")));
            }
            match page.next {
                Some(next) => query.before = Some(next),
                None => break,
            }
        }
        for (call, action, outcome) in &self.expected {
            let there = left.get(call).into_iter().flatten();
            if !there.clone().any(|(a, o)| a == action && o == outcome) {
                return Err(format!(
                    "no entry `{action}` {outcome} of {call}: {:?}",
                    left.get(call)
                ));
            }
        }
        for key in &self.removed_slots {
            same(
                "whether a removed slot opens",
                self.world.opens(key),
                Ok(false),
            )?;
        }
        for receipt in self
            .people
            .iter()
            .filter_map(|person| person.erased.as_ref())
        {
            let id = receipt.parse().map_err(|_| "a receipt's id")?;
            vault
                .receipt(&Call::new(&dpo), id)
                .map_err(|r| format!("a receipt: {r}"))?;
        }
        self.played.people = self.people.len();
        self.played.erased = self.people.iter().filter(|p| p.erased.is_some()).count();
        self.played.openings = self.world.opened;
        self.played.entries = report.entries;
        Ok(())
    }
}
