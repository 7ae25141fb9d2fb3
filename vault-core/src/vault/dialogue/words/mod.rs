//! What the vault says in a conversation, one set a language.
//!
//! A set is a constant of a struct without defaults: a text that is missing in one language does not
//! compile. In a template, `{…}` stands for what its comment names; a test holds the templates of all languages
//! together. Texts speak to a person, shortly and formally. Words for data, purposes and periods are those of
//! the statement. Knows no policy and nobody.

mod de;
mod en;
mod es;
mod fr;
mod it;
mod nl;
mod pl;
mod pt;

use crate::dialogue::{Intent, Language};
use crate::policy::RestrictionGround;
use crate::request::{RequestKind, RequestState};

/// Everything that is said. An array is in the order of the `ALL` of what it names.
pub(super) struct Catalogue {
    // Labels of choices. A chat shows about twenty characters of one.
    /// Each intent as somebody would choose it.
    pub(super) intents: [&'static str; Intent::ALL.len()],
    /// None of the intents that are offered.
    pub(super) none_of_these: &'static str,
    /// Send a code once more.
    pub(super) send_again: &'static str,
    /// Have somebody look instead.
    pub(super) another_way: &'static str,
    pub(super) yes: &'static str,
    pub(super) no: &'static str,
    /// Erase everything now.
    pub(super) delete: &'static str,
    /// Erase nothing.
    pub(super) keep: &'static str,
    /// Get a copy before that.
    pub(super) download_first: &'static str,
    /// Erase some of it alone.
    pub(super) only_some: &'static str,
    /// Nothing more is chosen.
    pub(super) that_is_all: &'static str,
    /// Prove who one is, to be shown values.
    pub(super) verify: &'static str,
    /// Read the privacy statement.
    pub(super) statement: &'static str,
    /// See all settings: consents and objections.
    pub(super) settings: &'static str,
    /// A copy of everything.
    pub(super) download_all: &'static str,
    /// A copy of what can be taken elsewhere (Art. 20).
    pub(super) download_portable: &'static str,
    /// What was shown is all that was wanted.
    pub(super) enough: &'static str,
    /// Go on, having seen the notice.
    pub(super) go_on: &'static str,
    /// Read more than the notice says.
    pub(super) more: &'static str,
    /// Do not go on.
    pub(super) no_thanks: &'static str,
    /// Something that is not among the fields that are offered.
    pub(super) something_else: &'static str,
    /// Nothing to add.
    pub(super) nothing_to_add: &'static str,
    /// Each ground of a restriction.
    pub(super) grounds: [&'static str; RestrictionGround::ALL.len()],
    /// Each kind of request, as a noun.
    pub(super) kinds: [&'static str; RequestKind::ALL.len()],
    /// Each state of a request.
    pub(super) states: [&'static str; RequestState::ALL.len()],

    // At any point.
    /// What can be said.
    pub(super) help: &'static str,
    /// The conversation was left, and nothing had been asked for yet.
    pub(super) left: &'static str,
    /// It was left, and the request is taken back; `{reference}`.
    pub(super) taken_back: &'static str,
    /// It goes on in this language.
    pub(super) language: &'static str,
    /// How to reach a person, where there is no request yet; `{contact}`.
    pub(super) reach: &'static str,
    /// A choice that is no longer there was sent.
    pub(super) stale: &'static str,
    /// What was typed fits nothing that was asked.
    pub(super) not_understood: &'static str,
    /// Which of these is meant?
    pub(super) which: &'static str,
    /// This is not for others to read: go on in private.
    pub(super) privately: &'static str,
    /// The request was registered; `{reference}` and `{due}`.
    pub(super) registered: &'static str,
    /// No more requests can be taken here; `{contact}`.
    pub(super) overfull: &'static str,

    // Who is it?
    /// Where shall the code go?
    pub(super) choose_address: &'static str,
    /// A code was sent; `{address}` (masked) and `{minutes}`.
    pub(super) code_sent: &'static str,
    /// What was typed has no code in it; `{digits}`.
    pub(super) no_code: &'static str,
    /// It is not the code; `{left}` tries.
    pub(super) code_wrong: &'static str,
    /// The code is good no more.
    pub(super) code_over: &'static str,
    /// No more codes for an hour.
    pub(super) codes_spent: &'static str,
    /// It is known who asks.
    pub(super) verified: &'static str,
    /// Somebody will look at who asks; `{reference}`, `{due}` and `{contact}`.
    pub(super) by_hand: &'static str,
    /// Nobody is known on this channel (Art. 11(2)): type an address, or write; `{contact}`.
    pub(super) unknown: &'static str,
    /// The same where no code can be sent; `{contact}`.
    pub(super) unknown_write: &'static str,
    /// Said of every typed address alike; `{minutes}`.
    pub(super) if_known: &'static str,
    /// What was typed is no address.
    pub(super) no_address: &'static str,

    // Marketing.
    /// It ends for this person.
    pub(super) marketing_stopped: &'static str,
    /// There is none.
    pub(super) marketing_none: &'static str,
    /// Which address shall get none?
    pub(super) marketing_address: &'static str,
    /// The typed address gets none.
    pub(super) marketing_suppressed: &'static str,

    // Access.
    /// Heading of the categories that are held.
    pub(super) held: &'static str,
    /// A line of it: `{data}`, `{purpose}`, `{retention}`.
    pub(super) held_line: &'static str,
    /// Records of a list; `{data}` and `{count}`.
    pub(super) count_line: &'static str,
    /// Who received something; `{recipients}`.
    pub(super) shared: &'static str,
    /// Nobody did.
    pub(super) not_shared: &'static str,
    /// Values need a code.
    pub(super) verify_to_see: &'static str,
    /// Nothing is held but how the person is reached here.
    pub(super) nothing_held: &'static str,
    /// Heading of the values.
    pub(super) values: &'static str,
    /// A value; `{name}` and `{value}`.
    pub(super) value_line: &'static str,
    /// A value that cannot be shown here.
    pub(super) value_not_here: &'static str,
    /// Nobody looked values up; `{since}`.
    pub(super) looked_never: &'static str,
    /// Somebody did, for one purpose; `{since}`, `{times}`, `{purpose}`.
    pub(super) looked_all: &'static str,
    /// Heading of several; `{since}`, `{times}`.
    pub(super) looked_each: &'static str,
    /// One of them; `{purpose}`, `{times}`.
    pub(super) looked_line: &'static str,
    /// Calls over many people; `{count}`.
    pub(super) looked_many: &'static str,
    /// How often; `{count}`, but for once.
    pub(super) times: Plural,
    /// The request is answered; `{reference}`.
    pub(super) answered: &'static str,
    /// Heading of why.
    pub(super) why: &'static str,
    /// A purpose; `{purpose}`, `{basis}`, `{retention}`.
    pub(super) why_line: &'static str,
    /// Where the statement is.
    pub(super) statement_at: &'static str,
    /// Heading of the recipients.
    pub(super) recipients: &'static str,
    /// One; `{recipient}`, `{purpose}`, `{date}` of the last time.
    pub(super) recipient_line: &'static str,

    // Consents and objections.
    /// Heading of both.
    pub(super) choices: &'static str,
    /// `{purpose}`: they agreed.
    pub(super) consented: &'static str,
    /// `{purpose}`: they did not, or no more.
    pub(super) not_consented: &'static str,
    /// `{purpose}`: they objected, and it holds.
    pub(super) objected_line: &'static str,
    /// `{purpose}`: they objected, and it is looked at.
    pub(super) objecting_line: &'static str,
    /// There are none.
    pub(super) choices_none: &'static str,
    /// Which consent?
    pub(super) withdraw_which: &'static str,
    /// It is withdrawn; `{purpose}` and `{reference}` of the receipt.
    pub(super) withdrawn: &'static str,
    /// There is no consent that stands.
    pub(super) withdraw_none: &'static str,
    /// Which use?
    pub(super) object_which: &'static str,
    /// The objection holds; `{purpose}`.
    pub(super) objected: &'static str,
    /// It is looked at and not used until then; `{purpose}`, `{due}`, `{reference}`.
    pub(super) objecting: &'static str,
    /// There is nothing that one could object to.
    pub(super) object_none: &'static str,

    // Restriction.
    /// Why?
    pub(super) restrict_why: &'static str,
    /// It is restricted; `{reference}`.
    pub(super) restricted: &'static str,

    // Correction.
    /// Which field?
    pub(super) correct_which: &'static str,
    /// Type the new value; `{name}`.
    pub(super) correct_type: &'static str,
    /// That is no value of this kind; `{name}`.
    pub(super) correct_invalid: &'static str,
    /// Change this? `{name}`, `{old}`, `{new}`.
    pub(super) correct_confirm: &'static str,
    /// The same where there was no value; `{name}` and `{new}`.
    pub(super) correct_add: &'static str,
    /// It is changed; `{name}` and `{reference}`.
    pub(super) corrected: &'static str,
    /// Those who received it are told; `{recipients}`.
    pub(super) told: &'static str,
    /// Say in your own words what is wrong.
    pub(super) correct_say: &'static str,
    /// Somebody checks; `{due}` and `{reference}`.
    pub(super) checked: &'static str,

    // Erasure.
    /// Heading of what would be erased.
    pub(super) erase_held: &'static str,
    /// A law keeps something; `{data}`, `{law}`, `{date}` of the next look.
    pub(super) erase_kept: &'static str,
    /// It cannot be undone.
    pub(super) erase_final: &'static str,
    /// Nothing is erased, and the request is taken back; `{reference}`.
    pub(super) erase_not: &'static str,
    /// All is erased.
    pub(super) erased: &'static str,
    /// All is erased but for this; `{data}` and `{date}`.
    pub(super) erased_but: &'static str,
    /// Which collections?
    pub(super) parts_which: &'static str,
    /// Another one, below those that were chosen?
    pub(super) parts_more: &'static str,
    /// Heading of what stays.
    pub(super) parts_stays: &'static str,
    /// No record stays.
    pub(super) parts_stays_none: &'static str,
    /// Heading of what was erased.
    pub(super) parts_erased: &'static str,
    /// Backups; `{date}`.
    pub(super) backups_until: &'static str,
    /// The receipt; `{reference}`.
    pub(super) receipt: &'static str,

    // Copies.
    /// In which form?
    pub(super) format: &'static str,
    /// How the package reaches the person; `{due}`, `{reference}`, `{contact}`.
    pub(super) package: &'static str,
    /// The link to the package stands with this; `{hours}` and `{address}` (masked).
    pub(super) package_link: &'static str,

    // Decisions.
    /// A person will look; what does the person want to add?
    pub(super) own_view: &'static str,
    /// It is passed on; `{due}` and `{reference}`.
    pub(super) passed_on: &'static str,

    // Requests.
    /// Heading of the open ones.
    pub(super) requests: &'static str,
    /// One; `{kind}`, `{state}`, `{due}`, `{reference}`.
    pub(super) request_line: &'static str,
    /// There is none.
    pub(super) requests_none: &'static str,
    /// Which is to be called off?
    pub(super) cancel_which: &'static str,
    /// A label for one; `{kind}` and `{date}` of its coming.
    pub(super) cancel_one: &'static str,
    /// It is called off; `{reference}`.
    pub(super) cancelled: &'static str,
    /// Where to complain; `{authority}`.
    pub(super) complain: &'static str,
    /// The same where the policy names none.
    pub(super) complain_anywhere: &'static str,
    /// To the controller itself; `{contact}`.
    pub(super) complain_here: &'static str,

    // The notice.
    /// What was written waits.
    pub(super) notice_waits: &'static str,
    /// What was written is left alone, and rights are there all the same.
    pub(super) notice_no: &'static str,
}

impl Catalogue {
    /// What is said in a language.
    pub(super) const fn of(language: Language) -> &'static Self {
        match language {
            Language::De => &de::CATALOGUE,
            Language::En => &en::CATALOGUE,
            Language::Es => &es::CATALOGUE,
            Language::Fr => &fr::CATALOGUE,
            Language::It => &it::CATALOGUE,
            Language::Nl => &nl::CATALOGUE,
            Language::Pl => &pl::CATALOGUE,
            Language::Pt => &pt::CATALOGUE,
        }
    }
}

/// A text that depends on how many there are, in the forms that languages have (CLDR): French and Portuguese have
/// one for none as well, and Polish another for two to four, 22 to 24 and so on.
pub(super) struct Plural {
    pub(super) one: &'static str,
    pub(super) few: &'static str,
    pub(super) many: &'static str,
}

impl Plural {
    /// The text for this number, with it in its place.
    pub(super) fn of(&self, language: Language, count: u64) -> String {
        let (ones, tens) = (count % 10, count % 100);
        let template = match language {
            Language::Pl if (2..=4).contains(&ones) && !(12..=14).contains(&tens) => self.few,
            Language::Fr | Language::Pt if count == 0 => self.one,
            _ if count == 1 => self.one,
            _ => self.many,
        };
        fill(template, &[("count", &count.to_string())])
    }
}

/// Puts texts in the places of `{name}`, each of them once and all at one time: what was put in is not read
/// again, so that a value with braces in it stays what it is.
pub(super) fn fill(template: &str, texts: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        filled.push_str(before);
        let named = behind.split_once('}');
        let found = named.and_then(|(name, behind)| {
            let (_, text) = texts.iter().find(|(known, _)| *known == name)?;
            Some((*text, behind))
        });
        match found {
            Some((text, behind)) => {
                filled.push_str(text);
                rest = behind;
            }
            None => {
                filled.push('{');
                rest = behind;
            }
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every text of a set by its name; those of an array under its name and place.
    fn texts(catalogue: &Catalogue) -> Vec<(String, &'static str)> {
        macro_rules! named {
            ($($name:ident)+) => {
                vec![$((stringify!($name).to_owned(), catalogue.$name)),+]
            };
        }
        let mut all = named!(
            none_of_these send_again another_way yes no delete keep download_first only_some that_is_all
            verify statement settings download_all download_portable enough something_else
            nothing_to_add go_on more no_thanks help left taken_back language reach stale not_understood which privately
            registered overfull choose_address code_sent no_code code_wrong code_over
            codes_spent verified by_hand unknown unknown_write if_known no_address marketing_stopped
            marketing_none marketing_address marketing_suppressed held held_line count_line shared
            not_shared verify_to_see nothing_held values value_line value_not_here
            looked_never looked_all looked_each looked_line looked_many answered why
            why_line statement_at recipients recipient_line choices consented not_consented
            objected_line objecting_line choices_none withdraw_which withdrawn withdraw_none
            object_which objected objecting object_none restrict_why restricted correct_which
            correct_type correct_invalid correct_confirm correct_add corrected told correct_say
            checked erase_held erase_kept erase_final erase_not erased erased_but parts_which
            parts_more parts_stays parts_stays_none parts_erased backups_until
            receipt format package package_link own_view passed_on requests request_line requests_none
            cancel_which cancel_one cancelled complain complain_anywhere complain_here
            notice_waits notice_no
        );
        let Plural { one, few, many } = catalogue.times;
        let times = [one, few, many];
        let lists: [(&str, &[&'static str]); 5] = [
            ("times", &times),
            ("intents", &catalogue.intents),
            ("grounds", &catalogue.grounds),
            ("kinds", &catalogue.kinds),
            ("states", &catalogue.states),
        ];
        for (name, list) in lists {
            let list = list.iter().enumerate();
            all.extend(list.map(|(at, text)| (format!("{name} {at}"), *text)));
        }
        all
    }

    fn placeholders(text: &str) -> Vec<&str> {
        let behind = text.split('{').skip(1);
        let mut found: Vec<&str> = behind
            .filter_map(|one| Some(one.split_once('}')?.0))
            .collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn every_language_says_everything_with_the_same_placeholders() {
        let english = texts(&en::CATALOGUE);
        for language in Language::ALL {
            let own = texts(Catalogue::of(*language));
            for ((name, text), (_, first)) in own.iter().zip(&english) {
                let what = format!("{language:?} {name}");
                assert!(!text.trim().is_empty(), "{what}");
                assert_eq!(placeholders(text), placeholders(first), "{what}");
                assert_eq!(
                    text.matches('{').count(),
                    text.matches('}').count(),
                    "{what}"
                );
                let copied = text == first && text.contains(' ') && *language != Language::En;
                let bare = fill_with_nothing(text);
                assert!(
                    !copied || !bare.chars().any(char::is_alphabetic),
                    "{what}: not translated"
                );
            }
        }
    }

    fn fill_with_nothing(text: &str) -> String {
        let names = placeholders(text);
        let nothing: Vec<(&str, &str)> = names.into_iter().map(|name| (name, "")).collect();
        fill(text, &nothing)
    }

    #[test]
    fn a_label_fits_a_button_and_no_two_of_one_list_are_the_same() {
        for language in Language::ALL {
            let catalogue = Catalogue::of(*language);
            for list in [&catalogue.intents[..], &catalogue.grounds] {
                for (at, label) in list.iter().enumerate() {
                    assert!(label.chars().count() <= 26, "{language:?} {label}");
                    assert!(!list[..at].contains(label), "{language:?} {label}");
                }
            }
        }
    }

    #[test]
    fn a_number_has_the_form_that_its_language_has_for_it() {
        let said = |language, count| Catalogue::of(language).times.of(language, count);
        for (language, one) in [
            (Language::De, "einmal"),
            (Language::En, "once"),
            (Language::Es, "una vez"),
            (Language::Fr, "une fois"),
            (Language::It, "una volta"),
            (Language::Nl, "één keer"),
            (Language::Pl, "jeden wgląd w dane"),
            (Language::Pt, "uma vez"),
        ] {
            assert_eq!(said(language, 1), one);
            for count in [2, 3, 11, 21, 101] {
                let text = said(language, count);
                assert!(text.starts_with(&count.to_string()), "{language:?} {text}");
            }
        }
        for (count, text) in [
            (2, "2 wglądy w dane"),
            (4, "4 wglądy w dane"),
            (5, "5 wglądów w dane"),
            (12, "12 wglądów w dane"),
            (21, "21 wglądów w dane"),
            (22, "22 wglądy w dane"),
            (112, "112 wglądów w dane"),
        ] {
            assert_eq!(said(Language::Pl, count), text);
        }
    }

    #[test]
    fn what_is_filled_in_is_not_read_again() {
        let filled = fill(
            "{name}: {value} {other}",
            &[("name", "{value}"), ("value", "{name}")],
        );
        assert_eq!(filled, "{value}: {name} {other}");
        assert_eq!(fill("a { b", &[]), "a { b");
    }
}
