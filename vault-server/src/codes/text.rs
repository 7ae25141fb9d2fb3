//! What stands in a message with a code, in every language.
//!
//! Plain text without a link: whoever gets used to links in such messages follows a forged one, too. The
//! code is not in the subject, which telephones show while they are locked.

use vault_core::dialogue::Language;
use vault_core::limits::CODE_MINUTES;
use vault_core::verification::{AddressKind, CodeToSend};
use zeroize::Zeroizing;

/// Where a number of minutes stands.
const MINUTES: &str = "{minutes}";

/// The sentences of one language. A sentence that is missing in one does not compile.
struct Sentences {
    subject: &'static str,
    /// Before the code, with what stands between them.
    your_code: &'static str,
    /// With [`MINUTES`].
    good_for: &'static str,
    only_there: &'static str,
    not_asked: &'static str,
}

const fn sentences(language: Language) -> &'static Sentences {
    match language {
        Language::De => &Sentences {
            subject: "Ihr Bestätigungscode",
            your_code: "Ihr Code: ",
            good_for: "Er gilt {minutes} Minuten.",
            only_there: "Geben Sie ihn nur dort ein, wo Sie ihn angefordert haben.",
            not_asked: "Wenn Sie ihn nicht angefordert haben, beachten Sie diese Nachricht nicht.",
        },
        Language::En => &Sentences {
            subject: "Your verification code",
            your_code: "Your code: ",
            good_for: "It is good for {minutes} minutes.",
            only_there: "Enter it only where you asked for it.",
            not_asked: "If you did not ask for it, ignore this message.",
        },
        Language::Es => &Sentences {
            subject: "Su código de verificación",
            your_code: "Su código: ",
            good_for: "Es válido durante {minutes} minutos.",
            only_there: "Introdúzcalo solo donde lo haya solicitado.",
            not_asked: "Si no lo ha solicitado, no haga caso de este mensaje.",
        },
        Language::Fr => &Sentences {
            subject: "Votre code de vérification",
            your_code: "Votre code : ",
            good_for: "Il est valable {minutes} minutes.",
            only_there: "Ne le saisissez que là où vous l’avez demandé.",
            not_asked: "Si vous ne l’avez pas demandé, ne tenez pas compte de ce message.",
        },
        Language::It => &Sentences {
            subject: "Il suo codice di verifica",
            your_code: "Il suo codice: ",
            good_for: "È valido per {minutes} minuti.",
            only_there: "Lo inserisca solo dove lo ha richiesto.",
            not_asked: "Se non lo ha richiesto, ignori questo messaggio.",
        },
        Language::Nl => &Sentences {
            subject: "Uw verificatiecode",
            your_code: "Uw code: ",
            good_for: "De code is {minutes} minuten geldig.",
            only_there: "Voer de code alleen in waar u erom hebt gevraagd.",
            not_asked: "Hebt u er niet om gevraagd, negeer dit bericht dan.",
        },
        Language::Pl => &Sentences {
            subject: "Kod weryfikacyjny",
            your_code: "Kod: ",
            good_for: "Jest ważny przez {minutes} minut.",
            only_there: "Proszę go wpisać tylko tam, skąd pochodzi prośba o kod.",
            not_asked: "Jeśli nikt u Państwa o niego nie prosił, proszę zignorować tę wiadomość.",
        },
        Language::Pt => &Sentences {
            subject: "O seu código de verificação",
            your_code: "O seu código: ",
            good_for: "É válido durante {minutes} minutos.",
            only_there: "Introduza-o apenas onde o pediu.",
            not_asked: "Se não o pediu, ignore esta mensagem.",
        },
    }
}

/// The subject of a mail.
pub(super) fn subject(language: Language) -> &'static str {
    sentences(language).subject
}

/// The whole text: in paragraphs for a mail, in one line for a telephone.
pub(super) fn of(code: &CodeToSend) -> Zeroizing<String> {
    let Sentences {
        subject: _,
        your_code,
        good_for,
        only_there,
        not_asked,
    } = sentences(code.language);
    let good_for = good_for.replace(MINUTES, &CODE_MINUTES.to_string());
    let digits = code.code.as_str();
    // With room, so that no copy is left behind where it grew.
    let mut text = Zeroizing::new(String::with_capacity(1_024));
    let parts: [&str; 9] = match code.kind {
        AddressKind::Email => [
            your_code, digits, "\n\n", &good_for, " ", only_there, "\n\n", not_asked, "\n",
        ],
        AddressKind::Phone => [
            your_code, digits, ". ", &good_for, " ", not_asked, "", "", "",
        ],
    };
    parts.iter().for_each(|part| text.push_str(part));
    text
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn code(kind: AddressKind, language: Language) -> CodeToSend {
        CodeToSend {
            sending: [1; 16],
            kind,
            address: "j@example.test".to_owned().into(),
            code: "402913".to_owned().into(),
            language,
            expires_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn every_language_says_the_code_its_time_and_what_to_do_for_want_of_having_asked() {
        for language in Language::ALL {
            let said = sentences(*language);
            assert_eq!(said.good_for.matches(MINUTES).count(), 1);
            for kind in AddressKind::ALL {
                let text = of(&code(*kind, *language));
                assert_eq!(text.matches("402913").count(), 1, "{}", *text);
                assert!(text.contains("10 "), "{}", *text);
                assert!(text.contains(said.not_asked) && !text.contains('{'));
                // No link, and nothing that a program could take for markup.
                assert!(!text.contains("://") && !text.contains(['<', '>']));
                assert!(text.len() < 1_024, "it did not grow");
            }
            assert!(!subject(*language).contains(|c: char| c.is_ascii_digit()));
        }
    }

    #[test]
    fn no_two_languages_say_the_same_and_a_telephone_gets_one_line() {
        let mut seen = std::collections::BTreeSet::new();
        for language in Language::ALL {
            let said = sentences(*language);
            for sentence in [said.subject, said.good_for, said.only_there, said.not_asked] {
                assert!(seen.insert(sentence), "{sentence}");
            }
            let text = of(&code(AddressKind::Phone, *language));
            // Three parts of an SMS at most, with letters that need two bytes each.
            assert!(
                !text.contains('\n') && text.chars().count() <= 201,
                "{}",
                *text
            );
        }
    }

    #[test]
    fn a_mail_reads_as_it_was_meant() {
        assert_eq!(
            of(&code(AddressKind::Email, Language::En)).as_str(),
            "Your code: 402913\n\nIt is good for 10 minutes. Enter it only where you asked for it.\n\nIf you did not ask for it, ignore this message.\n"
        );
    }
}
