//! Plays a history: each operation to the vault and to the model, and their answers side by side.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::panic::{AssertUnwindSafe, catch_unwind};

use vault_core::id::CallId;
use vault_core::refusal::Refusal;
use vault_core::vault::Principal;

use super::ops::Op;
use super::plain::{Answered, Key, Person};
use super::policy::Version;
use super::world::{MINUTE, World};

/// What the control does wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// What was appended is deleted behind the model's back.
    LosesAWrite,
    /// An erasure is acknowledged and does not happen.
    KeepsTheErased,
    /// An entry stands under another call.
    LeavesNoEntry,
}

/// Where a history went wrong.
pub(crate) struct Failure {
    pub(crate) step: usize,
    pub(crate) what: String,
}

/// What happened in a history that went well.
#[derive(Default)]
pub(crate) struct Played {
    pub(crate) granted: u64,
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) people: usize,
    pub(crate) erased: usize,
    pub(crate) openings: u32,
    pub(crate) entries: u64,
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} calls granted, {} refused {:?}; {} people, {} erased, {} openings, {} entries",
            self.granted,
            self.refused.values().sum::<u64>(),
            self.refused,
            self.people,
            self.erased,
            self.openings,
            self.entries,
        )
    }
}

pub(crate) struct Player {
    pub(crate) world: World,
    pub(crate) people: Vec<Person>,
    pub(crate) version: Version,
    pub(crate) keys: Vec<Key>,
    pub(crate) dpo: Principal,
    /// Users whom the guard refuses, and until when.
    pub(crate) guarded: BTreeMap<u8, i64>,
    /// Entries that there must be: call, action, outcome.
    pub(crate) expected: Vec<(String, &'static str, String)>,
    pub(crate) checkpoints: Vec<String>,
    pub(crate) removed_slots: Vec<String>,
    pub(crate) fault: Option<Fault>,
    pub(crate) played: Played,
}

/// Plays `ops` from an empty vault; at the end everything is looked at.
pub(crate) fn play(ops: &[Op], fault: Option<Fault>) -> Result<Played, Failure> {
    let mut player = Player::new(fault);
    for (step, op) in ops.iter().enumerate() {
        let done = catch_unwind(AssertUnwindSafe(|| player.step(op)));
        let done = done.unwrap_or_else(|_| Err("a panic".into()));
        done.map_err(|what| Failure {
            step,
            what: format!("{op:?}: {what}"),
        })?;
    }
    let ended = player.compare().and_then(|()| player.verify());
    ended.map_err(|what| Failure {
        step: ops.len(),
        what,
    })?;
    Ok(player.played)
}

/// Says what is not the same.
pub(crate) fn same<T: PartialEq + Debug>(what: &str, got: T, wanted: T) -> Result<(), String> {
    match got == wanted {
        true => Ok(()),
        false => Err(format!(
            "{what}: the vault says {got:?}, the model {wanted:?}"
        )),
    }
}

impl Player {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        let world = World::new();
        let dpo = world.role("dpo").0;
        let mut player = Self {
            world,
            people: Vec::new(),
            version: Version::Full,
            keys: Vec::new(),
            dpo,
            guarded: BTreeMap::new(),
            expected: Vec::new(),
            checkpoints: Vec::new(),
            removed_slots: Vec::new(),
            fault,
            played: Played::default(),
        };
        player.make_key(None).expect("the keyholder makes keys");
        player
    }

    /// The present bot: the newest key that works.
    pub(crate) fn bot(&mut self) -> Result<(usize, Principal), String> {
        let now = self.world.now();
        if !self.keys.iter().any(|key| key.valid(now)) {
            self.make_key(None)?;
        }
        let index = self
            .keys
            .iter()
            .rposition(|key| key.valid(now))
            .expect("just made");
        let principal = self.world.vault.authenticate(&self.keys[index].secret);
        Ok((
            index,
            principal.map_err(|refusal| format!("the bot's key: {refusal}"))?,
        ))
    }

    /// The answer as the model says it, and what evidence it must have left.
    pub(crate) fn note<T>(
        &mut self,
        call: CallId,
        action: &'static str,
        got: Result<T, Refusal>,
    ) -> Answered<T> {
        let outcome = got.as_ref().err().map_or("ok", Refusal::code).to_owned();
        match &got {
            Ok(_) => self.played.granted += 1,
            Err(_) => *self.played.refused.entry(outcome.clone()).or_default() += 1,
        }
        let call = match self.fault {
            Some(Fault::LeavesNoEntry) if action == "consents.put" => "call_of_nobody".into(),
            _ => call.to_string(),
        };
        self.expected.push((call, action, outcome.clone()));
        got.map_err(|_| outcome)
    }

    /// A person by number: mostly one of those who are there.
    pub(crate) fn who(&self, number: u8) -> Option<usize> {
        let pick = |erased: bool| {
            let of = |index: &usize| self.people[*index].erased.is_some() == erased;
            let found: Vec<usize> = (0..self.people.len()).filter(of).collect();
            (!found.is_empty()).then(|| found[usize::from(number) % found.len()])
        };
        match number {
            0..225 => pick(false).or_else(|| pick(true)),
            _ => pick(true).or_else(|| pick(false)),
        }
    }

    pub(crate) fn step(&mut self, op: &Op) -> Result<(), String> {
        match op {
            Op::Create { user } => self.create(*user),
            Op::FindUser { user } => self.find_user(*user),
            Op::FindField { field, value } => self.find_field(*field, *value),
            Op::View { who } => self.with(*who, Self::view),
            Op::Ask { who } => self.with(*who, Self::ask),
            Op::Consent { who, given } => self.with(*who, |p, who| p.consent(who, *given)),
            Op::Withdraw { who } => self.with(*who, Self::withdraw),
            Op::Begin {
                who,
                reads,
                writes,
                minutes,
            } => self.with(*who, |p, who| p.begin(who, *reads, *writes, *minutes)),
            Op::UseSession { who, which, value } => {
                self.with(*who, |p, who| p.use_session(who, *which, *value))
            }
            Op::EndSession { who, which } => self.with(*who, |p, who| p.end_session(who, *which)),
            Op::Apply(version) => self.apply(*version),
            Op::MakeKey { hours } => self.make_key(*hours),
            Op::RevokeKey { which } => self.revoke_key(*which),
            Op::RotateKey { which, overlap } => self.rotate_key(*which, *overlap),
            Op::TryKeys => self.try_keys(),
            Op::Wait { minutes } => {
                self.world.wait(i64::from(*minutes) * MINUTE);
                let now = self.world.now();
                self.people.iter_mut().for_each(|person| person.age(now));
                Ok(())
            }
            Op::Sweep { all } => self.sweep(*all),
            Op::Rebuild => self
                .world
                .vault
                .rebuild_index()
                .map_err(|error| error.to_string()),
            Op::Erase { who } => self.with(*who, Self::erase),
            Op::Reopen | Op::Crash => {
                self.keep_checkpoint()?;
                match op {
                    Op::Crash => self.world.crash()?,
                    _ => self.world.reopen()?,
                }
                // What is in memory alone.
                self.guarded.clear();
                self.people
                    .iter_mut()
                    .for_each(|person| person.asks = (0, 0));
                self.compare()
            }
            Op::AddSlot => self.add_slot(),
            Op::RemoveSlot { which } => self.remove_slot(*which),
            Op::Compare => self.compare(),
            _ => self.step_records(op),
        }
    }

    pub(crate) fn with(
        &mut self,
        number: u8,
        f: impl FnOnce(&mut Self, usize) -> Result<(), String>,
    ) -> Result<(), String> {
        match self.who(number) {
            Some(who) => f(self, who),
            None => Ok(()),
        }
    }

    pub(crate) fn living(&self, user: u8) -> Option<usize> {
        let is = |person: &Person| person.user == user && person.erased.is_none();
        self.people.iter().position(is)
    }
}
