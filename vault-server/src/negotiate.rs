//! Which of several forms an answer takes: RFC 9110 §12.5, RFC 4647.
//!
//! Knows nothing of what the forms are. A header that asks for nothing that is offered, or that
//! cannot be read, is answered with the first: whoever asks for a statement is to get one.

/// Most entries of a header that are looked at.
const ENTRIES_MAX: usize = 32;

/// The entries of a header that lists choices, each with its weight in thousandths.
fn weighted(header: &str) -> Vec<(&str, u16)> {
    header
        .split(',')
        .take(ENTRIES_MAX)
        .filter_map(|entry| {
            let mut parts = entry.split(';').map(str::trim);
            let choice = parts.next().filter(|choice| !choice.is_empty())?;
            let weight = parts
                .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
                .map_or(Some(1000), thousandths)?;
            Some((choice, weight))
        })
        .collect()
}

fn thousandths(text: &str) -> Option<u16> {
    let weight: f32 = text.parse().ok()?;
    // Within bounds the product is a whole number of at most 1000.
    (0.0..=1.0)
        .contains(&weight)
        .then(|| (weight * 1000.0).round() as u16)
}

/// The offered media type that an `Accept` header prefers.
pub(crate) fn media_type<'a>(accept: Option<&str>, offered: &[&'a str]) -> &'a str {
    let ranges = weighted(accept.unwrap_or("*/*"));
    let weight = |media_type: &str| {
        let whole = media_type.split_once('/').map_or("", |(whole, _)| whole);
        // The most specific range that fits says how much it is wanted.
        let fits = |wanted: &dyn Fn(&str) -> bool| {
            let found = ranges.iter().find(|(range, _)| wanted(range));
            found.map(|(_, weight)| *weight)
        };
        fits(&|range| range.eq_ignore_ascii_case(media_type))
            .or_else(|| {
                fits(&|range| {
                    range
                        .strip_suffix("/*")
                        .is_some_and(|range| range.eq_ignore_ascii_case(whole))
                })
            })
            .or_else(|| fits(&|range| range == "*/*"))
            .unwrap_or(0)
    };
    best(offered, weight)
}

/// The offered language that an `Accept-Language` header prefers: by look-up (RFC 4647 §3.4), `de-CH`
/// finding `de`, and by prefix (§3.3.1), `de` finding `de-AT`.
pub(crate) fn language<'a>(accept: Option<&str>, offered: &[&'a str]) -> &'a str {
    let mut ranges = weighted(accept.unwrap_or("*"));
    ranges.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
    let refused = |tag: &str| {
        ranges
            .iter()
            .any(|(range, weight)| *weight == 0 && range.eq_ignore_ascii_case(tag))
    };
    for (range, weight) in &ranges {
        if *weight == 0 {
            break;
        }
        if *range == "*"
            && let Some(tag) = offered.iter().find(|tag| !refused(tag))
        {
            return tag;
        }
        let mut wanted = *range;
        loop {
            let fits = offered.iter().find(|tag| {
                let start = tag.get(..wanted.len());
                start.is_some_and(|start| start.eq_ignore_ascii_case(wanted))
                    && matches!(tag.as_bytes().get(wanted.len()), None | Some(b'-'))
                    && !refused(tag)
            });
            if let Some(tag) = fits {
                return tag;
            }
            match wanted.rsplit_once('-') {
                Some((shorter, _)) => wanted = shorter,
                None => break,
            }
        }
    }
    offered[0]
}

fn best<'a>(offered: &[&'a str], weight: impl Fn(&str) -> u16) -> &'a str {
    let mut chosen = (offered[0], weight(offered[0]));
    for one in &offered[1..] {
        let wanted = weight(one);
        if wanted > chosen.1 {
            chosen = (one, wanted);
        }
    }
    chosen.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_that_is_wanted_most_is_chosen_and_the_first_where_none_is() {
        let offered = ["text/html", "text/markdown", "application/json"];
        for (accept, chosen) in [
            (None, "text/html"),
            (Some("*/*"), "text/html"),
            (Some("application/json"), "application/json"),
            (
                Some("text/html,application/xhtml+xml,*/*;q=0.8"),
                "text/html",
            ),
            (
                Some("text/*;q=0.3, text/markdown;q=0.7, */*;q=0.5"),
                "text/markdown",
            ),
            (Some("text/html;q=0, */*"), "text/markdown"),
            (Some("TEXT/MARKDOWN"), "text/markdown"),
            (Some("image/png"), "text/html"),
            (
                Some("application/json;q=2, text/markdown;q=0.1"),
                "text/markdown",
            ),
            (Some(";;,,=q"), "text/html"),
            (Some(""), "text/html"),
        ] {
            assert_eq!(media_type(accept, &offered), chosen, "{accept:?}");
        }
    }

    #[test]
    fn the_language_is_found_by_weight_by_a_longer_range_and_by_a_shorter_one() {
        let offered = ["en", "de-AT", "fr"];
        for (accept, chosen) in [
            (None, "en"),
            (Some("fr"), "fr"),
            (Some("de"), "de-AT"),
            (Some("DE-at"), "de-AT"),
            (Some("fr-CA, en;q=0.9"), "fr"),
            (Some("en;q=0.2, fr;q=0.9"), "fr"),
            (Some("es, *;q=0.1"), "en"),
            (Some("es, *;q=0.1, en;q=0"), "de-AT"),
            (Some("es"), "en"),
            (Some("d"), "en"),
            (Some("*, fr;q=nonsense"), "en"),
            (Some("é"), "en"),
        ] {
            assert_eq!(language(accept, &offered), chosen, "{accept:?}");
        }
    }
}
