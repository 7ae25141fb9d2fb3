//! Media types, and what a field accepts of them.
//!
//! Knows nothing of what the bytes are: a media type is what their sender says.

use crate::limits::MEDIA_TYPE_BYTES_MAX;

/// A media type without parameters, in small letters: `image/jpeg`.
///
/// Silent in `Debug`: within `image/*` its sender chose the rest.
#[derive(Clone, PartialEq, Eq)]
pub struct MediaType(String);

/// The media types that a field accepts: one, or all of one kind, `image/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaRange(String);

/// A name of RFC 6838 §4.2, in small letters.
fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    bytes.next().is_some_and(plain) && bytes.all(|byte| plain(byte) || b"!#$&-^_.+".contains(&byte))
}

impl MediaType {
    /// Reads `type/subtype`; letters become small, parameters are dropped. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.split(';').next().unwrap_or_default().trim();
        if text.len() > MEDIA_TYPE_BYTES_MAX {
            return None;
        }
        let text = text.to_ascii_lowercase();
        let (kind, rest) = text.split_once('/')?;
        (is_name(kind) && is_name(rest)).then_some(Self(text))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for MediaType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MediaType")
    }
}

impl MediaRange {
    /// Reads `type/subtype` or `type/*`, in small letters and without parameters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('/')?;
        let fits =
            text.len() <= MEDIA_TYPE_BYTES_MAX && is_name(kind) && (rest == "*" || is_name(rest));
        fits.then(|| Self(text.to_owned()))
    }

    /// Whether it accepts this media type.
    #[must_use]
    pub fn accepts(&self, media_type: &MediaType) -> bool {
        match self.0.strip_suffix('*') {
            Some(kind) => media_type.0.starts_with(kind),
            None => media_type.0 == self.0,
        }
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_loses_parameters_and_capitals_and_nothing_else_is_one() {
        let read = |text| MediaType::parse(text).map(|read| read.as_str().to_owned());
        assert_eq!(read("Image/JPEG; q=1").as_deref(), Some("image/jpeg"));
        assert_eq!(read("audio/ogg;codecs=opus").as_deref(), Some("audio/ogg"));
        assert_eq!(
            read("application/vnd.ms-excel+xml").as_deref(),
            Some("application/vnd.ms-excel+xml")
        );
        for text in [
            "", "image", "image/", "/jpeg", "image/*", "*/*", "a/b/c", "im age/x", "é/x",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read(&format!("a/{}", "x".repeat(254))), None);
    }

    #[test]
    fn a_range_accepts_its_own_and_not_the_nearest_other() {
        let accepts = |range, text| {
            let media_type = MediaType::parse(text).unwrap();
            MediaRange::parse(range).unwrap().accepts(&media_type)
        };
        assert!(accepts("image/jpeg", "image/jpeg"));
        assert!(!accepts("image/jpeg", "image/jpeg2000"));
        assert!(accepts("image/*", "image/png"));
        assert!(!accepts("image/*", "imagery/png"));
        for text in [
            "*/*",
            "*",
            "image",
            "Image/jpeg",
            "image/jp*",
            "image/jpeg; q=1",
        ] {
            assert_eq!(MediaRange::parse(text), None, "{text}");
        }
    }
}
