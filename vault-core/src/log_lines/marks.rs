//! What is found in a text: what shows by its shape, and what is known as somebody's, however the text reads.
//!
//! Knows nothing of lines, or of how known values are looked up.

use super::reading::readings;
use crate::detect::{self, Certainty, Kind};
use crate::refusal::Refusal;

/// Why a line is not stored as it came.
pub(crate) enum Trouble {
    /// It could not be looked through within its limits.
    Failed,
    /// The vault could not look anything up.
    Refused(Refusal),
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Silent: what failed may be somebody's.
impl std::fmt::Debug for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Failed => "Failed",
            Self::Refused(_) => "Refused",
        })
    }
}

/// A place in a text where something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The word that stands for it.
    pub(crate) label: &'static str,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// What looks for known values in a text: their places. How it fails must not depend on what is known.
pub(crate) type Known<'a> = &'a mut dyn FnMut(&str) -> Result<Vec<Mark>, Trouble>;

/// What is found in a text behind the name of a member, however it reads: by its shape, and as known.
pub(super) fn found(
    name: &str,
    text: &str,
    kinds: &[Kind],
    known: &mut dyn FnMut(&str) -> Result<Vec<Mark>, Trouble>,
) -> Result<(Vec<Mark>, Vec<Mark>), Trouble> {
    let (mut shaped, mut theirs) = (shapes(name, text, kinds), known(text)?);
    for reading in readings(text) {
        let back = |mark: Mark| Mark {
            start: reading.place(mark.start),
            end: reading.place(mark.end),
            ..mark
        };
        shaped.extend(shapes(name, reading.text(), kinds).into_iter().map(back));
        theirs.extend(known(reading.text())?.into_iter().map(back));
    }
    Ok((shaped, theirs))
}

/// What has one of these shapes in a text behind the name of a member.
fn shapes(name: &str, text: &str, kinds: &[Kind]) -> Vec<Mark> {
    // `customer_bsn` says BSN as well as `BSN:` does.
    let said: String = name
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { ' ' })
        .collect();
    let probe = format!("{said}: {text}");
    let offset = probe.len() - text.len();
    let finds = detect::find(probe.as_bytes()).into_iter();
    let wanted = finds.filter(|find| {
        find.end > offset && find.certainty == Certainty::Likely && kinds.contains(&find.kind)
    });
    let marks = wanted.map(|find| Mark {
        label: find.kind.name(),
        start: find.start.max(offset) - offset,
        end: find.end - offset,
    });
    marks.collect()
}

/// Finds in their order, those that overlap as one; `None` where one begins or ends within a character.
pub(super) fn apart(text: &str, mut marks: Vec<Mark>) -> Option<Vec<Mark>> {
    marks.sort_by_key(|mark| (mark.start, std::cmp::Reverse(mark.end)));
    let mut kept: Vec<Mark> = Vec::with_capacity(marks.len());
    for mark in marks {
        if !text.is_char_boundary(mark.start) || !text.is_char_boundary(mark.end) {
            return None;
        }
        match kept.last_mut() {
            Some(last) if mark.start < last.end => last.end = last.end.max(mark.end),
            _ => kept.push(mark),
        }
    }
    Some(kept)
}
