//! Our own package: its document, wherever it lies, and what is asked before anything of it is written.

use serde_json::{Value, json};
use vault_core::import::{Archive, Piece, ReadError, Taker, read_document};
use vault_core::vault::ImportWhat;

use super::input::Input;
use super::send::line_body;
use super::{changed, damaged, unread};
use crate::caller::Caller;
use crate::failure::{Exit, Failure};

/// Demands that are asked about in one call: each may have a long reason.
const DEMANDS_MAX: usize = 32;

/// Reads the document: the file itself, or the member of its ZIP.
pub(super) fn read(
    archive: Option<Archive<Input>>,
    input: Input,
    take: &mut Taker<'_>,
) -> Result<Result<(), ReadError>, Failure> {
    let Some(mut archive) = archive else {
        return Ok(read_document(input, take));
    };
    let document = archive.member("data.json");
    let mut document = document.map_err(|error| damaged(&error))?;
    let read = read_document(&mut document, take);
    match document.damaged() {
        true => Err(changed()),
        false => Ok(read),
    }
}

/// Refuses a package whose objections, restriction and age the role may not record: its data would be there, and
/// free for what the person does not want. Reads the document to its end, so that one that was cut short is
/// refused as well while nothing is written.
pub(super) fn check(
    caller: &dyn Caller,
    archive: Option<Archive<Input>>,
    input: Input,
    import: &str,
) -> Result<(), Failure> {
    let (mut person, mut demands) = (None, Vec::new());
    let read = read(archive, input, &mut |piece| {
        if let Piece::Line(line, _) = piece {
            match &line.what {
                ImportWhat::Person => person = Some(line_body(&line)),
                ImportWhat::Objection { .. }
                | ImportWhat::Restriction(_)
                | ImportWhat::Age { .. } => {
                    demands.push(line_body(&line));
                }
                // Whoever may import may say that a contract ended.
                ImportWhat::Consent { .. }
                | ImportWhat::ContractEnd { .. }
                | ImportWhat::Record { .. } => {}
            }
        }
        true
    })?;
    read.map_err(|error| unread(&error))?;
    for part in demands.chunks(DEMANDS_MAX) {
        let lines: Vec<&Value> = person.iter().chain(part).collect();
        let body = json!({"import": import, "lines": lines, "dry_run": true, "last": true});
        let answer = caller.import(&body)?;
        let errors = answer["errors"].as_array();
        let denied = |error: &Value| error["code"] == "role_denied";
        if errors.is_some_and(|errors| errors.iter().any(denied)) {
            return Err(Failure::new(
                Exit::Refused,
                "demands_refused",
                "the person has objected to a use of these data, restricted it or is below the age of consent, and the token's role may not record that: nothing was written",
                "give the role `objections.record`, `requests.decide`, `restrictions.set` and `consents.record`",
            ));
        }
    }
    Ok(())
}
