//! Where: `s3://BUCKET/PREFIX`.

use std::fmt;

/// What such a place begins with.
const SCHEME: &str = "s3://";
/// Between a place and the service, where messages and the registry name both.
pub(super) const AT: &str = " at ";
/// Source: Amazon S3, "Bucket naming rules"; other services allow capitals and underscores besides.
const BUCKET_BYTES: std::ops::RangeInclusive<usize> = 3..=63;
/// Longest prefix: a key has at most 1,024 bytes, and the registry's name of a place as well.
const PREFIX_BYTES_MAX: usize = 512;

/// A bucket, and the prefix below which everything lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectsPlace {
    bucket: String,
    /// Without a slash at either end; empty for the whole bucket.
    prefix: String,
}

impl ObjectsPlace {
    /// What fits.
    pub const FORM: &'static str =
        "s3://BUCKET or s3://BUCKET/PREFIX, of letters, digits, - _ and .";

    /// Whether a text is meant as such a place, be it well formed or not.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.split_once(':')
            .is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("s3"))
    }

    /// Reads `s3://BUCKET/PREFIX`; slashes at the end, and several in a row, make it no other place.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(SCHEME)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |text: &str| {
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let bucket_fits = plain(bucket)
            && BUCKET_BYTES.contains(&bucket.len())
            && bucket.starts_with(|c: char| c.is_ascii_alphanumeric());
        let parts: Vec<&str> = prefix.split('/').filter(|part| !part.is_empty()).collect();
        let prefix_fits = parts
            .iter()
            .all(|part| plain(part) && !part.starts_with('.'));
        let prefix = parts.join("/");
        (bucket_fits && prefix_fits && prefix.len() <= PREFIX_BYTES_MAX).then(|| Self {
            bucket: bucket.to_owned(),
            prefix,
        })
    }

    /// Whether a place as the registry and servers name it is this one, on whatever service.
    #[must_use]
    pub fn is_named(&self, place: &str) -> bool {
        let own = place.split_once(AT).map_or(place, |(own, _)| own);
        own == self.to_string()
    }

    /// The bucket's name.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key of an object; without a name, what every key begins with.
    pub(super) fn key(&self, name: &str) -> String {
        match self.prefix.as_str() {
            "" => name.to_owned(),
            prefix => format!("{prefix}/{name}"),
        }
    }
}

impl fmt::Display for ObjectsPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.bucket)?;
        match self.prefix.as_str() {
            "" => Ok(()),
            prefix => write!(f, "/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_has_one_name_and_what_is_none_is_refused() {
        for (text, name, key) in [
            ("s3://vault", "s3://vault", "m"),
            ("s3://vault/", "s3://vault", "m"),
            ("s3://vault/a/b/", "s3://vault/a/b", "a/b/m"),
            ("s3://vault//a//b", "s3://vault/a/b", "a/b/m"),
            ("s3://Old_Bucket.1/x", "s3://Old_Bucket.1/x", "x/m"),
        ] {
            let place = ObjectsPlace::parse(text).expect(text);
            assert_eq!((place.to_string().as_str(), &*place.key("m")), (name, key));
            assert!(place.is_named(name) && place.is_named(&format!("{name} at here:9000")));
            assert!(!place.is_named(&format!("{name}2")));
        }
        for text in [
            "s3://",
            "s3:/vault",
            "s3://ab",
            "s3://.vault",
            "s3://va ult",
            "s3://vault/../other",
            "s3://vault/a?b",
            "s3://user:word@vault",
            "s3://vault/prefix at here",
            "S3://vault",
            "https://vault",
            "/vault",
        ] {
            assert_eq!(ObjectsPlace::parse(text), None, "{text}");
        }
        let long = format!("s3://vault/{}", "a".repeat(PREFIX_BYTES_MAX + 1));
        assert_eq!(ObjectsPlace::parse(&long), None);
        for (text, meant) in [
            ("s3:/vault", true),
            ("S3://vault", true),
            ("/s3://vault", false),
            ("s3", false),
        ] {
            assert_eq!(ObjectsPlace::is_meant(text), meant, "{text}");
        }
    }
}
