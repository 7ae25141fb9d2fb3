//! What may happen in a history. Every operation says all that it needs and chooses by number, so that
//! any part of a history is a history: that is what makes it shrink.

use vault_core::entropy::{Entropy, SeededEntropy};

use super::policy::Version;

/// A place among fields and values: field by number within the collection, value by number.
pub(crate) type Change = (u8, Option<u8>);

/// Which `If-Match` goes along.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Match {
    None,
    Right,
    Any,
    Wrong,
}

/// `_meta` of a write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MetaPick {
    pub(crate) purposes: u8,
    pub(crate) hours: Option<u8>,
    pub(crate) source: Option<u8>,
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Create {
        user: u8,
    },
    FindUser {
        user: u8,
    },
    FindField {
        field: u8,
        value: u8,
    },
    Patch {
        who: u8,
        purpose: u8,
        changes: Vec<Change>,
        matching: Match,
        meta: Option<MetaPick>,
    },
    Append {
        who: u8,
        purpose: u8,
        notes: bool,
        bodies: Vec<Vec<Change>>,
        meta: Option<MetaPick>,
    },
    PatchNote {
        who: u8,
        which: u8,
        purpose: u8,
        changes: Vec<Change>,
        matching: Match,
        meta: Option<MetaPick>,
    },
    Delete {
        who: u8,
        collection: u8,
        which: u8,
        matching: Match,
    },
    Read {
        who: u8,
        purpose: u8,
        named: Option<u8>,
    },
    ReadOne {
        who: u8,
        which: u8,
        purpose: u8,
    },
    List {
        who: u8,
        notes: bool,
        newest: bool,
        limit: u8,
    },
    View {
        who: u8,
    },
    Ask {
        who: u8,
    },
    Consent {
        who: u8,
        given: bool,
    },
    Withdraw {
        who: u8,
    },
    Begin {
        who: u8,
        reads: u8,
        writes: u8,
        minutes: u8,
    },
    UseSession {
        who: u8,
        which: u8,
        value: Option<u8>,
    },
    EndSession {
        who: u8,
        which: u8,
    },
    Together {
        who: u8,
        value: u8,
        fails: bool,
    },
    Once {
        who: u8,
        name: u8,
        content: u8,
    },
    Query {
        source: u8,
        purpose: u8,
    },
    Update {
        source: u8,
        category: u8,
    },
    Purge {
        source: u8,
    },
    PutBlob {
        who: u8,
        size: u8,
        matching: Match,
    },
    GetBlob {
        who: u8,
        from: u32,
        length: u32,
    },
    DeleteBlob {
        who: u8,
    },
    Apply(Version),
    MakeKey {
        hours: Option<u8>,
    },
    RevokeKey {
        which: u8,
    },
    RotateKey {
        which: u8,
        overlap: bool,
    },
    TryKeys,
    Wait {
        minutes: u16,
    },
    Sweep {
        all: bool,
    },
    Rebuild,
    Erase {
        who: u8,
    },
    Reopen,
    Crash,
    AddSlot,
    RemoveSlot {
        which: u8,
    },
    Compare,
}

/// Draws numbers; one seed, one history.
pub(crate) struct Random(SeededEntropy);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.0.fill(&mut byte);
        byte[0]
    }

    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_be_bytes(bytes) % bound
    }

    fn one_in(&mut self, chances: u32) -> bool {
        self.below(chances) == 0
    }

    fn some<T>(&mut self, chances: u32, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.one_in(chances).then(|| make(self))
    }

    /// Mostly the first purpose, which carries most.
    fn purpose(&mut self) -> u8 {
        match self.below(10) {
            0 => 1,
            1 => 2,
            _ => 0,
        }
    }

    fn changes(&mut self, fields: u32, nulls: bool) -> Vec<Change> {
        let mut changes: Vec<Change> = Vec::new();
        for _ in 0..self.below(4) {
            let field = self.below(fields) as u8;
            if changes.iter().all(|(other, _)| *other != field) {
                let value = (!nulls || !self.one_in(4)).then(|| self.byte());
                changes.push((field, value));
            }
        }
        changes
    }

    fn matching(&mut self) -> Match {
        match self.below(8) {
            0 => Match::Wrong,
            1 => Match::Any,
            2 | 3 => Match::Right,
            _ => Match::None,
        }
    }

    fn meta(&mut self) -> Option<MetaPick> {
        self.some(3, |r| MetaPick {
            purposes: r.byte(),
            hours: r.some(3, |r| 1 + r.below(40) as u8),
            source: r.some(2, Self::byte),
        })
    }

    pub(crate) fn op(&mut self) -> Op {
        let who = self.byte();
        match self.below(100) {
            0..5 => Op::Create {
                user: self.below(24) as u8,
            },
            5..7 => Op::FindUser {
                user: self.below(24) as u8,
            },
            7..12 => Op::FindField {
                field: self.byte(),
                value: self.byte(),
            },
            12..22 => Op::Patch {
                who,
                purpose: self.purpose(),
                changes: self.changes(5, true),
                matching: self.matching(),
                meta: self.meta(),
            },
            22..31 => {
                let notes = !self.one_in(3);
                let bodies = 1 + self.below(3);
                Op::Append {
                    who,
                    purpose: self.purpose(),
                    notes,
                    bodies: (0..bodies).map(|_| self.changes(2, false)).collect(),
                    meta: self.meta(),
                }
            }
            31..36 => Op::PatchNote {
                who,
                which: self.byte(),
                purpose: self.purpose(),
                changes: self.changes(2, true),
                matching: self.matching(),
                meta: self.meta(),
            },
            36..40 => Op::Delete {
                who,
                collection: self.byte(),
                which: self.byte(),
                matching: self.matching(),
            },
            40..45 => {
                let named = self.some(3, Self::byte);
                Op::Read {
                    who,
                    purpose: self.purpose(),
                    named,
                }
            }
            45..47 => Op::ReadOne {
                who,
                which: self.byte(),
                purpose: self.purpose(),
            },
            47..50 => Op::List {
                who,
                notes: self.one_in(2),
                newest: self.one_in(2),
                limit: 1 + self.below(4) as u8,
            },
            50 => Op::View { who },
            51..53 => Op::Ask { who },
            53..57 => Op::Consent {
                who,
                given: !self.one_in(3),
            },
            57..59 => Op::Withdraw { who },
            59..61 => Op::Begin {
                who,
                reads: self.below(3) as u8,
                writes: self.below(3) as u8,
                minutes: 1 + self.below(90) as u8,
            },
            61..65 => {
                let value = self.some(2, Self::byte);
                Op::UseSession {
                    who,
                    which: self.byte(),
                    value,
                }
            }
            65 => Op::EndSession {
                who,
                which: self.byte(),
            },
            66..69 => Op::Together {
                who,
                value: self.byte(),
                fails: self.one_in(3),
            },
            69..72 => Op::Once {
                who,
                name: self.below(3) as u8,
                content: self.below(2) as u8,
            },
            72..74 => Op::Query {
                source: self.byte(),
                purpose: self.purpose(),
            },
            74 => Op::Update {
                source: self.byte(),
                category: self.byte(),
            },
            75 => Op::Purge {
                source: self.byte(),
            },
            76..78 => Op::PutBlob {
                who,
                size: self.byte(),
                matching: self.matching(),
            },
            78..80 => Op::GetBlob {
                who,
                from: self.below(700_000),
                length: self.below(700_000),
            },
            80 => Op::DeleteBlob { who },
            81 => Op::Apply(Version::ALL[self.below(3) as usize]),
            82 => Op::MakeKey {
                hours: self.some(2, |r| 1 + r.below(6) as u8),
            },
            83 => match self.below(3) {
                0 => Op::RevokeKey { which: self.byte() },
                1 => Op::RotateKey {
                    which: self.byte(),
                    overlap: self.one_in(2),
                },
                _ => Op::TryKeys,
            },
            84..89 => Op::Wait {
                minutes: match self.below(3) {
                    0 => self.below(30) as u16,
                    1 => self.below(600) as u16,
                    _ => self.below(3_000) as u16,
                },
            },
            89..91 => Op::Sweep {
                all: self.one_in(2),
            },
            91 if self.one_in(3) => Op::Rebuild,
            91..94 => Op::Erase { who },
            94 => Op::Reopen,
            95 => Op::Crash,
            96 if self.one_in(3) => Op::AddSlot,
            96 if self.one_in(2) => Op::RemoveSlot { which: self.byte() },
            _ => Op::Compare,
        }
    }
}
