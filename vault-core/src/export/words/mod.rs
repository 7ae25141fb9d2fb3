//! What a package says besides the statement's phrases, one set a language.
//!
//! A set is a constant of a struct without defaults: words that are missing in one language do not
//! compile. In a template, `{…}` stands for what its comment names.

mod de;
mod en;
mod es;
mod fr;
mod it;
mod nl;
mod pl;
mod pt;

/// The words of one language.
pub(crate) struct Words {
    /// Heading of a package of everything.
    pub(crate) title_access: &'static str,
    /// Heading of a package to take along.
    pub(crate) title_portable: &'static str,
    /// What the one is.
    pub(crate) lead_access: &'static str,
    /// What the other is.
    pub(crate) lead_portable: &'static str,
    /// When it was made; `{date}`.
    pub(crate) made: &'static str,
    /// Heading: the person.
    pub(crate) about: &'static str,
    /// Label of an identity; `{channel}`.
    pub(crate) known_as: &'static str,
    /// Label: on record since.
    pub(crate) since: &'static str,
    /// Heading: the data.
    pub(crate) data: &'static str,
    /// Label: when a record was stored.
    pub(crate) stored: &'static str,
    /// Label: when it happened.
    pub(crate) happened: &'static str,
    /// Label: when it ends at the latest.
    pub(crate) until: &'static str,
    /// Label: where it came from.
    pub(crate) source: &'static str,
    /// Label: whom it was given to.
    pub(crate) shared: &'static str,
    /// Label: purposes that the record is narrowed to.
    pub(crate) only_for: &'static str,
    /// Label: its category.
    pub(crate) category: &'static str,
    /// Label of a file in the package; `{name}`.
    pub(crate) file: &'static str,
    /// A file that is not in this form.
    pub(crate) file_elsewhere: &'static str,
    /// Marks a value that is not shown whole.
    pub(crate) masked: &'static str,
    /// Heading: what is not shown.
    pub(crate) incomplete: &'static str,
    /// Why, and what to do; `{contact}`.
    pub(crate) incomplete_text: &'static str,
    /// Heading: what does not belong into the package.
    pub(crate) left_out: &'static str,
    /// Why.
    pub(crate) left_out_text: &'static str,
    /// Heading: consents.
    pub(crate) consents: &'static str,
    /// What was said: yes.
    pub(crate) given: &'static str,
    /// What was said: no.
    pub(crate) refused: &'static str,
    /// What was said: no longer.
    pub(crate) withdrawn: &'static str,
    /// What happened: somebody asked.
    pub(crate) requested: &'static str,
    /// What was said: later.
    pub(crate) deferred: &'static str,
    /// What was said: yes, again.
    pub(crate) renewed: &'static str,
    /// What happened: the time of a yes is over.
    pub(crate) expired: &'static str,
    /// What happened: a yes was found not to count.
    pub(crate) invalidated: &'static str,
    /// Label: the notice that was shown.
    pub(crate) notice: &'static str,
    /// Label: why somebody said it.
    pub(crate) reason: &'static str,
    /// Heading: recipients and what they were given.
    pub(crate) disclosures: &'static str,
    /// Heading: objections.
    pub(crate) objections: &'static str,
    /// Where an objection stands: it is being decided.
    pub(crate) pending: &'static str,
    /// Where an objection stands: it holds.
    pub(crate) upheld: &'static str,
    /// Where an objection stands: it was outweighed.
    pub(crate) overridden: &'static str,
    /// Where an objection stands: it was taken back.
    pub(crate) ended: &'static str,
    /// Heading: restriction of the use of data.
    pub(crate) restriction: &'static str,
    /// What happened: the use was restricted.
    pub(crate) restricted: &'static str,
    /// What it is about: everything.
    pub(crate) all_data: &'static str,
    /// What happened: it was restricted no more.
    pub(crate) lifted: &'static str,
    /// A ground of Art. 18(1): (a).
    pub(crate) ground_accuracy: &'static str,
    /// A ground of Art. 18(1): (b).
    pub(crate) ground_unlawful: &'static str,
    /// A ground of Art. 18(1): (c).
    pub(crate) ground_claims: &'static str,
    /// A ground of Art. 18(1): (d).
    pub(crate) ground_objection: &'static str,
    /// Heading: legal holds.
    pub(crate) holds: &'static str,
    /// Why something is held: legal claims.
    pub(crate) hold_claims: &'static str,
    /// Why something is held: a legal obligation.
    pub(crate) hold_duty: &'static str,
    /// What happened: it is held no more.
    pub(crate) hold_released: &'static str,
    /// Label: until when somebody looks again.
    pub(crate) hold_review: &'static str,
    /// Heading: ends of contracts.
    pub(crate) contracts: &'static str,
    /// What happened: a contract ended.
    pub(crate) contract_ended: &'static str,
    /// What happened: it runs after all.
    pub(crate) contract_runs: &'static str,
    /// Heading: age.
    pub(crate) age: &'static str,
    /// From when on a person consents.
    pub(crate) age_from: &'static str,
    /// Marks that a guardian has authorised it.
    pub(crate) age_guardian: &'static str,
    /// Heading: pseudonyms.
    pub(crate) pseudonyms: &'static str,
    /// What these are.
    pub(crate) pseudonyms_text: &'static str,
    /// Who calls the person so: the controller itself.
    pub(crate) own_use: &'static str,
    /// Heading: notices that were shown.
    pub(crate) requests: &'static str,
    /// Open, done, refused, taken back.
    pub(crate) request_states: [&'static str; 4],
    pub(crate) notices: &'static str,
    /// What a notice told: how data are used.
    pub(crate) told_processing: &'static str,
    /// What a notice told: that a restriction is going to be lifted.
    pub(crate) told_lift: &'static str,
    /// Label: the policy's version that a notice was made from.
    pub(crate) version: &'static str,
    /// Marks a notice that the person said to have read.
    pub(crate) acknowledged: &'static str,
    /// Heading: conversations with access.
    pub(crate) sessions: &'static str,
    /// What these are.
    pub(crate) sessions_text: &'static str,
    /// Heading: emergencies.
    pub(crate) emergencies: &'static str,
    /// What these are.
    pub(crate) emergencies_text: &'static str,
    /// Label: until when a session lasts.
    pub(crate) ends: &'static str,
    /// Heading: lines of logs about the person.
    pub(crate) logs: &'static str,
    /// Heading: who looked.
    pub(crate) accesses: &'static str,
    /// What the list is.
    pub(crate) accesses_text: &'static str,
    /// Marks a call that was refused.
    pub(crate) refused_call: &'static str,
    /// Marks a call about many people.
    pub(crate) of_many: &'static str,
    /// A kind of call.
    pub(crate) did_read: &'static str,
    /// A kind of call.
    pub(crate) did_find: &'static str,
    /// A kind of call.
    pub(crate) did_write: &'static str,
    /// A kind of call.
    pub(crate) did_ask: &'static str,
    /// A kind of call.
    pub(crate) did_export: &'static str,
    /// A kind of call.
    pub(crate) did_other: &'static str,
    /// Where there is nothing.
    pub(crate) nothing: &'static str,
    /// A value.
    pub(crate) yes: &'static str,
    /// A value.
    pub(crate) no: &'static str,
}

impl Words {
    /// The words for a language tag of the statement's phrases.
    pub(crate) fn of(tag: &str) -> Option<&'static Self> {
        match tag {
            "de" => Some(&de::WORDS),
            "en" => Some(&en::WORDS),
            "es" => Some(&es::WORDS),
            "fr" => Some(&fr::WORDS),
            "it" => Some(&it::WORDS),
            "nl" => Some(&nl::WORDS),
            "pl" => Some(&pl::WORDS),
            "pt" => Some(&pt::WORDS),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::LANGUAGES;

    #[test]
    fn there_are_words_in_every_language_of_the_statement() {
        for phrases in LANGUAGES {
            assert!(Words::of(phrases.tag).is_some(), "{}", phrases.tag);
        }
        assert!(Words::of("xx").is_none());
    }
}
