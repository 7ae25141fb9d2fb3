//! A search: these files, this secret, this list; what of the list is found, and how.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::cipher::Id;
use super::files::Image;
use super::hunt::{Tell, hunt};
use super::list::{Item, Outliving};
use super::loot::{Hints, Loot, Node};
use super::needles::Needles;
use super::raw::{Raw, TEXT_MAX};
use super::unlock::{Root, Secret, epochs, roots_of};

/// How an item was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// It stands in a file as it is.
    Plain,
    /// An envelope that opened holds it.
    Value,
    /// A key makes it of the bytes at some offset, whatever the tag says.
    Unauthenticated,
    /// An entry of the index stands at its place, or has its mark.
    Position,
    /// What can be computed of it, with the keys that outlive people, stands in a file or in a text that
    /// opened.
    Trace,
    /// The people map names the subject id, or a keyset does.
    Person,
}

/// What a searcher has.
#[derive(Clone, Default)]
pub struct Evidence<'a> {
    /// Files whose every byte is read: databases of any moment first.
    pub files: Vec<&'a [u8]>,
    /// Read journals and erasure ledgers.
    pub journals: Vec<&'a [u8]>,
    /// Anchors of any moment.
    pub anchors: Vec<&'a [u8]>,
    /// Key slots of any moment.
    pub slots: Vec<&'a [u8]>,
    /// Longest value that is looked for, padded; [`TEXT_MAX`] if less.
    pub longest: usize,
    /// Row handles that the searcher knows from elsewhere.
    pub handles: Vec<Id>,
    /// Nodes of the maps whose keys the searcher has from elsewhere.
    pub nodes: Vec<Node>,
}

impl<'a> Evidence<'a> {
    /// Every byte of `copies`, the last of which is the newest, and the keys of that one.
    #[must_use]
    pub fn of(copies: &[&'a Image]) -> Self {
        let mut evidence = Self::default();
        for image in copies {
            evidence.add(&image.database);
        }
        for image in copies {
            evidence.add(&image.journal);
            evidence.add(&image.slots);
            evidence.journals.push(&image.journal);
            if !image.ledger.is_empty() {
                evidence.add(&image.ledger);
                evidence.journals.push(&image.ledger);
            }
            image.others.iter().for_each(|(_, file)| evidence.add(file));
        }
        if let Some(newest) = copies.last() {
            evidence = evidence.with_keys(newest);
        }
        evidence
    }

    /// A file, unless one like it is there.
    fn add(&mut self, file: &'a [u8]) {
        if !self.files.contains(&file) {
            self.files.push(file);
        }
    }

    /// The same with the anchor and the key slots of another moment besides.
    #[must_use]
    pub fn with_keys(mut self, image: &'a Image) -> Self {
        self.anchors.push(&image.anchor);
        self.add(&image.anchor);
        self.slots.push(&image.slots);
        self
    }
}

/// What a search found.
pub struct Report {
    /// Bytes of all files.
    pub bytes: usize,
    /// How many files there were.
    pub files: usize,
    /// Where an envelope may begin.
    pub offsets: usize,
    /// Keys that were derived or found, and tried.
    pub keys: usize,
    /// How often one was tried at an offset.
    pub tries: usize,
    /// Envelopes that opened.
    pub texts: usize,
    /// People whose keyset opened.
    pub people: usize,
    /// How many items there were, and how many of them have a place in the index.
    pub items: usize,
    /// By the item's number in the list, how it was found.
    pub found: BTreeMap<usize, BTreeSet<How>>,
    /// Items that are subject ids with a tombstone, which whoever has the id may learn of.
    pub tombstones: BTreeSet<usize>,
    /// Everything that was recovered.
    pub loot: Loot,
}

impl Report {
    fn count(&self, of: &[How]) -> usize {
        let found = self.found.values();
        found
            .filter(|how| of.iter().any(|of| how.contains(of)))
            .count()
    }

    /// How many items were recovered as values.
    #[must_use]
    pub fn values(&self) -> usize {
        self.count(&[How::Plain, How::Value, How::Unauthenticated])
    }

    /// Of how many it can be told that they had been there.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.count(&[How::Position, How::Trace, How::Person])
    }

    /// Whether anything of the list was found.
    #[must_use]
    pub fn found_any(&self) -> bool {
        !self.found.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bytes,
            files,
            offsets,
            keys,
            tries,
            texts,
            people,
            items,
            ..
        } = self;
        write!(
            f,
            "{bytes} bytes of {files} files, {offsets} offsets, {keys} keys tried {tries} times, \
             {texts} envelopes of {people} people and of the vault opened; of {items} things looked for: \
             values recovered: {}, positions found: {}",
            self.values(),
            self.positions()
        )
    }
}

/// No secret opens a slot of any of the slots files.
#[derive(Debug, thiserror::Error)]
#[error("no key slot opens with this secret")]
pub struct NoSlotOpens;

/// Looks for the items in whatever the evidence gives to whoever has the secrets.
///
/// # Errors
///
/// [`NoSlotOpens`].
///
/// # Panics
///
/// If something opens and is not of the form that docs/format.md describes.
pub fn search(
    evidence: &Evidence<'_>,
    secrets: &[Secret],
    list: &[Item],
    tell: Tell<'_>,
) -> Result<Report, NoSlotOpens> {
    let mut roots: Vec<Root> = Vec::new();
    for slots in &evidence.slots {
        for root in secrets.iter().flat_map(|secret| roots_of(slots, secret)) {
            if !roots.contains(&root) {
                roots.push(root);
            }
        }
    }
    if roots.is_empty() {
        return Err(NoSlotOpens);
    }
    let raw = Raw::reaching(&evidence.files, evidence.longest.max(TEXT_MAX));
    let numbered = |(number, item): (usize, &Item)| {
        let strings = item.strings().into_iter();
        strings.map(|string| (number, string)).collect::<Vec<_>>()
    };
    let (owners, strings): (Vec<usize>, Vec<Vec<u8>>) =
        list.iter().enumerate().flat_map(numbered).unzip();
    let hints = Hints {
        handles: evidence.handles.iter().copied().collect(),
        subjects: list.iter().filter_map(subject).collect(),
        nodes: evidence.nodes.clone(),
        needles: Needles::new(strings),
    };
    let loot = hunt(
        &raw,
        &evidence.journals,
        &evidence.anchors,
        &roots,
        &hints,
        tell,
    );
    let mut found: BTreeMap<usize, BTreeSet<How>> = BTreeMap::new();
    let mut add = |item: usize, how: How| {
        found.entry(item).or_default().insert(how);
    };
    hints
        .needles
        .find(raw.bytes(), |word, _| add(owners[word], How::Plain));
    let mut spoken = BTreeSet::new();
    for text in loot.texts.iter().chain(&loot.ledger) {
        hints.needles.find(text, |word, _| {
            spoken.insert(owners[word]);
        });
    }
    spoken.into_iter().for_each(|item| add(item, How::Value));
    for word in &loot.words {
        add(owners[*word], How::Unauthenticated);
    }
    for (number, item) in list.iter().enumerate() {
        let forms = item.normal_forms();
        if forms
            .iter()
            .any(|form| !loot.system.is_empty() && loot.holds_position(form))
        {
            add(number, How::Position);
        }
        if let Some(id) = subject(item) {
            let people = loot.people.iter().any(|person| person.tag == id);
            let keysets = loot.keysets.iter().any(|(_, keyset)| keyset.subject == id);
            if people || keysets || loot.index.iter().any(|entry| entry.subject == id) {
                add(number, How::Person);
            }
        }
    }
    tell("traces", 0, list.len());
    let tombstones = traces(&raw, &loot, &roots, evidence, list, &mut add);
    Ok(Report {
        bytes: evidence.files.iter().map(|file| file.len()).sum(),
        files: evidence.files.len(),
        offsets: raw.places(),
        keys: loot.keys_tried,
        tries: loot.tries,
        texts: loot.texts.len(),
        people: loot
            .keysets
            .iter()
            .map(|(handle, _)| handle)
            .collect::<BTreeSet<_>>()
            .len(),
        items: list.len(),
        found,
        tombstones,
        loot,
    })
}

fn subject(item: &Item) -> Option<Id> {
    match item {
        Item::Subject(id) => Some(*id),
        _ => None,
    }
}

fn outliving(loot: &Loot, roots: &[Root], anchors: &[&[u8]]) -> Outliving {
    let mut keys = Outliving::default();
    keys.all.extend(roots.iter().map(|root| root.key));
    for epoch in anchors.iter().flat_map(|anchor| epochs(roots, anchor)) {
        keys.all.extend([epoch.people(), epoch.system()]);
    }
    for system in &loot.system {
        keys.all.extend(system.others());
        keys.index.extend(system.index_keys().map(|(_, key)| *key));
        keys.placements
            .extend(system.placements.iter().map(|(.., key)| *key));
    }
    keys.all.extend(keys.index.iter().chain(&keys.placements));
    keys
}

fn traces(
    raw: &Raw,
    loot: &Loot,
    roots: &[Root],
    evidence: &Evidence<'_>,
    list: &[Item],
    add: &mut dyn FnMut(usize, How),
) -> BTreeSet<usize> {
    let keys = outliving(loot, roots, &evidence.anchors);
    let (mut owners, mut strings, mut stones) = (Vec::new(), Vec::new(), Vec::new());
    for (number, item) in list.iter().enumerate() {
        for trace in item.traces(&keys) {
            stones.push(
                item.tombstone()
                    .is_some_and(|stone| stone.starts_with(&trace)),
            );
            owners.push(number);
            strings.push(trace.to_vec());
        }
    }
    let needles = Needles::new(strings);
    let mut tombstones = BTreeSet::new();
    needles.find(raw.bytes(), |word, _| match stones[word] {
        true => drop(tombstones.insert(owners[word])),
        false => add(owners[word], How::Trace),
    });
    for text in &loot.texts {
        needles.find(text, |word, _| add(owners[word], How::Trace));
    }
    // The ledger says of erased ids what their tombstones say, and nothing else.
    for text in &loot.ledger {
        needles.find(text, |word, _| match stones[word] {
            true => drop(tombstones.insert(owners[word])),
            false => add(owners[word], How::Trace),
        });
    }
    tombstones
}
