//! A keyset as a row, part by part: a restore reads and writes one for each person, and a visit for each byte of a
//! key took it longer than sealing them.
//!
//! The form is that of `bincode` for a struct of these parts, as every row has (docs/format.md).

use zeroize::Zeroizing;

use super::{Compartment, Dek, Keyset, Lookup};
use crate::crypto::Secret;
use crate::id::SubjectId;
use crate::row::{PartReader, PartWriter, RowError};

/// The fewest bytes of a key, and of an index entry: three short numbers, and what is no number.
const LEAST_BYTES: usize = 3 + 32;

impl Keyset {
    /// The text of the row.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        // Destructured, so that a new part breaks these lines until it is written too.
        let Self {
            subject,
            audit,
            keys,
            lookups,
            next_number,
        } = self;
        let longest = (LEAST_BYTES + 3 * 4) * (keys.len() + lookups.len());
        let mut row = PartWriter::new(64 + longest);
        row.bytes(subject.as_bytes());
        row.bytes(audit.expose());
        row.number(keys.len());
        for Dek {
            number,
            compartment,
            key,
        } in keys
        {
            row.number(*number);
            row.number(compartment.number);
            row.number(compartment.period);
            row.bytes(key.expose());
        }
        row.number(lookups.len());
        for Lookup { field, set, mark } in lookups {
            row.number(field.0);
            row.number(field.1);
            row.number(*set);
            row.bytes(mark);
        }
        row.number(*next_number);
        row.finish()
    }

    /// The keyset of a row's text.
    ///
    /// # Errors
    ///
    /// [`RowError`] as for any row.
    pub fn decode(text: &[u8]) -> Result<Self, RowError> {
        let mut row = PartReader::new(text)?;
        let subject = SubjectId::from_bytes(*row.bytes()?);
        let audit = secret(row.bytes()?);
        let count = row.count(LEAST_BYTES)?;
        let mut keys = Vec::with_capacity(count);
        for _ in 0..count {
            keys.push(Dek {
                number: row.number()?,
                compartment: Compartment {
                    number: row.number()?,
                    period: row.number()?,
                },
                key: secret(row.bytes()?),
            });
        }
        let count = row.count(LEAST_BYTES)?;
        let mut lookups = Vec::with_capacity(count);
        for _ in 0..count {
            lookups.push(Lookup {
                field: (row.number()?, row.number()?),
                set: row.number()?,
                mark: *row.bytes()?,
            });
        }
        let next_number = row.number()?;
        row.end()?;
        Ok(Self {
            subject,
            audit,
            keys,
            lookups,
            next_number,
        })
    }
}

fn secret(bytes: &[u8; 32]) -> Secret<32> {
    Secret::from_slice(bytes).expect("thirty-two bytes")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::entropy::SeededEntropy;
    use crate::row;

    /// The same parts, as `bincode` takes a struct of them.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Same {
        subject: [u8; 16],
        audit: [u8; 32],
        keys: Vec<(u32, (u16, u32), [u8; 32])>,
        lookups: Vec<((u16, u16), u32, [u8; 32])>,
        next_number: u32,
    }

    impl Same {
        fn of(keyset: &Keyset) -> Self {
            let key = |dek: &Dek| {
                let Compartment { number, period } = dek.compartment;
                (dek.number, (number, period), *dek.key.expose())
            };
            Self {
                subject: *keyset.subject.as_bytes(),
                audit: *keyset.audit.expose(),
                keys: keyset.keys.iter().map(key).collect(),
                lookups: keyset
                    .lookups
                    .iter()
                    .map(|l| (l.field, l.set, l.mark))
                    .collect(),
                next_number: keyset.next_number,
            }
        }
    }

    /// Numbers of every length that `bincode` gives them.
    fn numbers() -> impl Strategy<Value = u32> {
        prop_oneof![0..4_u32, 249..254_u32, 65_533..65_540_u32, any::<u32>()]
    }

    fn keysets() -> impl Strategy<Value = Keyset> {
        let key = (numbers(), numbers(), numbers());
        let lookup = (numbers(), numbers(), numbers(), any::<[u8; 32]>());
        let lists = (
            prop::collection::vec(key, 0..300),
            prop::collection::vec(lookup, 0..300),
        );
        (any::<u64>(), lists, numbers()).prop_map(|(seed, (keys, lookups), next_number)| {
            let entropy = &mut SeededEntropy::new(seed);
            Keyset {
                keys: keys
                    .into_iter()
                    .map(|(number, compartment, period)| Dek {
                        number,
                        compartment: Compartment {
                            number: compartment as u16,
                            period,
                        },
                        key: Secret::generate(entropy),
                    })
                    .collect(),
                lookups: lookups
                    .into_iter()
                    .map(|(collection, field, set, mark)| Lookup {
                        field: (collection as u16, field as u16),
                        set,
                        mark,
                    })
                    .collect(),
                next_number,
                ..Keyset::generate(SubjectId::generate(entropy), entropy)
            }
        })
    }

    proptest! {
        #[test]
        fn a_keyset_has_the_form_of_every_row(keyset in keysets()) {
            let (text, same) = (keyset.encode(), Same::of(&keyset));
            prop_assert_eq!(&*text, &*row::encode(&same));
            prop_assert_eq!(Same::of(&Keyset::decode(&text).unwrap()), same);
        }

        #[test]
        fn what_is_no_keyset_is_none_by_either_way(
            keyset in keysets(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index
        ) {
            let mut text = keyset.encode().to_vec();
            let at = at.index(text.len());
            text[at] = byte;
            text.truncate(cut.index(2 * text.len()).max(1));
            let same = row::decode::<Same>(&text);
            prop_assert_eq!(Keyset::decode(&text).map(|keyset| Same::of(&keyset)), same);
        }
    }
}
