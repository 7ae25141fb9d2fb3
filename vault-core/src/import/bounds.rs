//! What keeps a hostile file from filling memory: nesting and texts are measured before the parser sees
//! them, and a value is charged for while it is made.
//!
//! Knows the lexical form of JSON; knows nothing of what a package says.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::limits::{IMPORT_DEPTH_MAX, IMPORT_MEMORY_BYTES_MAX, IMPORT_TEXT_BYTES_MAX};

/// More of something than a file may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: at most {limit} are read")]
pub struct TooLarge {
    /// What there is too much of, with its unit.
    pub what: &'static str,
    /// How much there may be.
    pub limit: u64,
}

impl TooLarge {
    pub(super) const MEMORY: Self = Self {
        what: "one entry takes too many bytes of memory",
        limit: IMPORT_MEMORY_BYTES_MAX as u64,
    };

    /// As an error of a reader.
    fn io(self) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, self)
    }

    /// What a reader failed of, if it was this.
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref::<Self>().copied()
    }
}

/// What a scalar takes beside its text: its place in a list that has grown by doubling.
const NODE_BYTES: usize = 2 * size_of::<Value>();
/// What a member of an object takes beside name and value.
const MEMBER_BYTES: usize = 64;
/// What an object takes, empty or not.
const OBJECT_BYTES: usize = 256;

/// Memory that values may still come to.
pub(super) struct Budget {
    left: usize,
    spent: bool,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            left: IMPORT_MEMORY_BYTES_MAX,
            spent: false,
        }
    }

    /// Whether something did not fit.
    pub(super) fn spent(&self) -> bool {
        self.spent
    }

    fn charge<E: serde::de::Error>(&mut self, bytes: usize) -> Result<(), E> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.spent = true;
                Err(E::custom("too large"))
            }
        }
    }
}

/// Reads any value, as long as there is memory left for it.
pub(super) struct Bounded<'b>(pub(super) &'b mut Budget);

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        self.0.charge(NODE_BYTES).map(|()| Value::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        self.0.charge(NODE_BYTES).map(|()| Value::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.0.charge(NODE_BYTES).map(|()| value.into())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.0.charge(NODE_BYTES).map(|()| value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        self.0.charge(NODE_BYTES)?;
        let number = Number::from_f64(value);
        number
            .map(Value::Number)
            .ok_or_else(|| E::custom("no number of JSON"))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.0.charge(NODE_BYTES + text.len())?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        self.0.charge(NODE_BYTES)?;
        while let Some(item) = list.next_element_seed(Bounded(self.0))? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        self.0.charge(OBJECT_BYTES)?;
        while let Some(name) = map.next_key::<String>()? {
            self.0.charge(MEMBER_BYTES + name.len())?;
            let value = map.next_value_seed(Bounded(self.0))?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

/// Bytes of JSON on their way to a parser, which are cut off where they nest too deep, or where a text or
/// number has no end.
pub(super) struct Guarded<R> {
    from: R,
    depth: u32,
    /// Bytes of the text or number that stands open.
    run: u64,
    text: bool,
    escaped: bool,
    failed: Option<TooLarge>,
}

impl<R> Guarded<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            from,
            depth: 0,
            run: 0,
            text: false,
            escaped: false,
            failed: None,
        }
    }

    /// Looks at bytes; whether they are in order.
    fn look(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        for byte in bytes {
            match (self.text, byte) {
                (true, _) if self.escaped => self.escaped = false,
                (true, b'\\') => self.escaped = true,
                (true, b'"') => (self.text, self.run) = (false, 0),
                (false, b'"') => (self.text, self.run) = (true, 0),
                (false, b'[' | b'{') => (self.depth, self.run) = (self.depth + 1, 0),
                (false, b']' | b'}') => {
                    (self.depth, self.run) = (self.depth.saturating_sub(1), 0);
                }
                (false, b',' | b':' | b' ' | b'\t' | b'\r' | b'\n') => self.run = 0,
                _ => {}
            }
            self.run += 1;
            if self.depth > IMPORT_DEPTH_MAX {
                return Err(TooLarge {
                    what: "lists and objects within each other",
                    limit: IMPORT_DEPTH_MAX.into(),
                });
            }
            if self.run > IMPORT_TEXT_BYTES_MAX {
                return Err(TooLarge {
                    what: "bytes of one text",
                    limit: IMPORT_TEXT_BYTES_MAX,
                });
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if let Some(failed) = self.failed {
            return Err(failed.io());
        }
        let read = self.from.read(bytes)?;
        self.look(&bytes[..read]).map_err(|failed| {
            self.failed = Some(failed);
            failed.io()
        })?;
        Ok(read)
    }
}

/// A reader that gives so many bytes until its allowance is set anew.
#[derive(Clone)]
pub(super) struct Allowed<R> {
    from: R,
    left: Allowance,
}

/// How much an [`Allowed`] still gives, and what is said when that is nothing.
#[derive(Clone)]
pub(super) struct Allowance(Rc<Cell<u64>>, TooLarge);

impl Allowance {
    /// As much as it says.
    pub(super) fn new(limit: TooLarge) -> Self {
        Self(Rc::new(Cell::new(limit.limit)), limit)
    }

    /// As much again.
    pub(super) fn renew(&self) {
        self.0.set(self.1.limit);
    }

    /// What ended it, if there is no more. A parser between may have swallowed the error.
    pub(super) fn spent(&self) -> Option<TooLarge> {
        (self.0.get() == 0).then_some(self.1)
    }

    /// Everything from here on.
    pub(super) fn lift(&self) {
        self.0.set(u64::MAX);
    }
}

impl<R> Allowed<R> {
    pub(super) fn new(from: R, left: &Allowance) -> Self {
        let left = left.clone();
        Self { from, left }
    }
}

impl<R: Read> Read for Allowed<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let Allowance(left, limit) = &self.left;
        let room = usize::try_from(left.get()).unwrap_or(usize::MAX);
        let room = room.min(bytes.len());
        if room == 0 && !bytes.is_empty() {
            return Err(limit.io());
        }
        let read = self.from.read(&mut bytes[..room])?;
        left.set(left.get() - read as u64);
        Ok(read)
    }
}

impl<R: Seek> Seek for Allowed<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.from.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guarded(text: &str) -> Option<TooLarge> {
        let mut all = Vec::new();
        let read = Guarded::new(text.as_bytes()).read_to_end(&mut all);
        read.err().map(|error| TooLarge::of(&error).expect("ours"))
    }

    #[test]
    fn brackets_count_outside_of_texts_alone() {
        let deep = |depth: u32| "[".repeat(depth as usize);
        assert_eq!(guarded(&deep(IMPORT_DEPTH_MAX)), None);
        let limit = |found: Option<TooLarge>| found.map(|found| found.limit);
        let over = IMPORT_DEPTH_MAX + 1;
        assert_eq!(limit(guarded(&deep(over))), Some(IMPORT_DEPTH_MAX.into()));
        assert_eq!(guarded(&format!("\"\\\"{}\"", deep(over))), None);
        assert_eq!(guarded(&"[],".repeat(1_000)), None);
        let open = format!("\"\\\\\"{}", deep(over));
        assert_eq!(limit(guarded(&open)), Some(IMPORT_DEPTH_MAX.into()));
    }

    #[test]
    fn a_text_or_a_number_without_an_end_is_cut_off_and_many_short_ones_are_not() {
        let most = usize::try_from(IMPORT_TEXT_BYTES_MAX).unwrap();
        let limit = |text: &str| guarded(text).map(|found| found.limit);
        assert_eq!(limit(&"1".repeat(most + 1)), Some(IMPORT_TEXT_BYTES_MAX));
        let text = format!("\"{}", "x".repeat(most + 1));
        assert_eq!(limit(&text), Some(IMPORT_TEXT_BYTES_MAX));
        assert_eq!(limit(&"\"x\" 1,".repeat(most / 4)), None);
    }

    #[test]
    fn a_value_is_charged_for_by_what_it_takes_and_not_by_its_text() {
        let read = |text: &str| {
            let mut budget = Budget::new();
            let mut reader = serde_json::Deserializer::from_str(text);
            let value = Bounded(&mut budget).deserialize(&mut reader);
            (value.ok(), budget.spent())
        };
        let text = r#"{"a": [null, true, -1, 2, 1.5, "x"], "b": {"c": {}}}"#;
        let plain: Value = serde_json::from_str(text).unwrap();
        assert_eq!(read(text), (Some(plain), false));
        // Three bytes each, and many times that in memory.
        let many = |count: usize| format!("[{}[]]", "[],".repeat(count));
        assert!(read(&many(300_000)).0.is_some());
        assert_eq!(read(&many(1_000_000)), (None, true));
    }
}
