//! The forensic reader over what came back, and over the data parts.

use std::path::Path;

use vault_core::id::SubjectId;

use super::{MESSAGES, PASSPHRASE, message, profile};
use crate::forensic::files::Image;
use crate::forensic::hunt::QUIETLY;
use crate::forensic::list::Item;
use crate::forensic::search::{Evidence, search};
use crate::forensic::unlock::Secret;

/// The forensic reader on all of it; and the control, that it finds who is still there.
pub(super) fn look(root: &Path, data: &[Vec<u8>], made: &[SubjectId], gone: &[usize]) -> String {
    let (dir, anchor) = (root.join("restored"), root.join("restored-anchor"));
    let image = Image::read(&dir, &anchor).expect("the restored vault's files");
    let items = |number: usize| {
        let profile = profile(number);
        let text = |name: &str| profile[name].as_str().expect("a text").to_owned();
        let mut items = vec![
            Item::Value(text("name")),
            Item::Value(text("email")),
            Item::Channel {
                channel: "web".into(),
                user: format!("invented-{number:07}"),
            },
        ];
        items.extend((0..MESSAGES).map(|which| {
            let message = message(number, which, 0);
            Item::Value(message["text"].as_str().expect("a text").to_owned())
        }));
        items
    };
    let mut evidence = Evidence::of(&[&image]);
    evidence.files.extend(data.iter().map(Vec::as_slice));
    let secrets = [Secret::Passphrase(PASSPHRASE.into())];
    let erased: Vec<Item> = gone.iter().flat_map(|number| items(*number)).collect();
    let report = search(&evidence, &secrets, &erased, QUIETLY).expect("the passphrase");
    assert!(
        !report.found_any(),
        "something of the erased is found: {report}"
    );
    // The control: the same reader, somebody who was not erased.
    let there = items(1);
    let control = search(&evidence, &secrets, &there, QUIETLY).expect("the passphrase");
    assert_eq!(control.values(), there.len(), "{control}");
    // And the raw ids, which a keyset alone would hold.
    for number in gone {
        let id = made[*number].as_bytes();
        let files = data
            .iter()
            .chain([&image.database, &image.journal, &image.ledger]);
        for file in files {
            assert!(!file.windows(16).any(|window| window == id));
        }
    }
    report.to_string()
}
