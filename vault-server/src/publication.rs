//! What a policy says to the public and to an authority, as text: the same that the server answers at
//! `/privacy` and `/v1/processing-records`, for whoever has the policy at hand.

use vault_core::statement::Published;

use crate::pages;
use crate::routes::statement;

/// In which form a text is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextForm {
    /// CommonMark.
    Markdown,
    /// A page.
    Html,
    /// The JSON of the HTTP API.
    Json,
    /// RFC 4180, of records of processing alone.
    Csv,
}

/// The public statement in one of its languages (Art. 13, 14).
#[must_use]
pub fn privacy_statement(published: &Published, language: &str, form: TextForm) -> String {
    let said = published.statement(language);
    match form {
        TextForm::Html => pages::statement::html(&said, &published.languages()),
        TextForm::Json => statement::statement_text(published, language),
        TextForm::Markdown | TextForm::Csv => pages::statement::markdown(&said),
    }
}

/// The records of processing in one of their languages (Art. 30(1)).
#[must_use]
pub fn processing_records(published: &Published, language: &str, form: TextForm) -> String {
    let record = published.processing_record(language);
    match form {
        TextForm::Csv => pages::record::csv(&record),
        TextForm::Json => statement::records_text(published, language),
        TextForm::Markdown | TextForm::Html => pages::record::markdown(&record),
    }
}
