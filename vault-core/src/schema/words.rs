//! Closed lists of words: an enum, its names in files and on the wire, and the way back.
//!
//! Knows nothing of what the words mean.

/// A closed list of words that a file may use.
pub(crate) trait Word: Sized + Copy {
    /// Every word, in the order of the declaration.
    const NAMES: &'static [&'static str];

    /// The value that `text` names, byte for byte.
    fn from_name(text: &str) -> Option<Self>;
}

/// Declares an enum whose variants have one fixed name each, with `ALL`, `name` and `parse`.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($(#[$about:meta])* $variant:ident = $text:literal),+ $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$about])* $variant),+
        }

        impl $name {
            /// Every one, in the order of the declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it in files and on the wire. Never changes once published.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }

            /// What `text` names, byte for byte, or `None`.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl $crate::schema::words::Word for $name {
            const NAMES: &'static [&'static str] = &[$($text),+];

            fn from_name(text: &str) -> Option<Self> {
                Self::parse(text)
            }
        }
    };
}

pub(crate) use words;
