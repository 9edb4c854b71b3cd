//! Names and passwords as they are compared: composed or not, wide or not, they are the same.
//!
//! Contract: pure and idempotent; ASCII without control characters stays as it is. Characters that
//! Unicode got after its version 3.2 may be there (emoji in a password): RFC 4013 forbids them in
//! what is stored only because old software does not know them.
//! RFC 4013 (`SASLprep`), as RFC 4616 §2 and RFC 5802 §5.1 want it; RFC 8265 replaces it with the
//! same for what people type.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::{CodePointMapData, props::BidiClass};
use stringprep::tables;

/// The prepared text; `None`: it has characters that may not be there, or mixes directions of
/// writing (RFC 4013 §2.3, §2.4).
pub fn prepared(text: &str) -> Option<Cow<'_, str>> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Some(Cow::Borrowed(text));
    }
    let mapped = text
        .chars()
        .filter(|&c| !tables::commonly_mapped_to_nothing(c))
        .map(|c| {
            if tables::non_ascii_space_character(c) {
                ' '
            } else {
                c
            }
        });
    let nfkc = ComposingNormalizerBorrowed::new_nfkc();
    let prepared: String = nfkc.normalize_iter(mapped).collect();
    (!prepared.contains(is_prohibited) && is_one_direction(&prepared))
        .then_some(Cow::Owned(prepared))
}

fn is_prohibited(c: char) -> bool {
    tables::non_ascii_space_character(c)
        || tables::ascii_control_character(c)
        || tables::non_ascii_control_character(c)
        || tables::private_use(c)
        || tables::non_character_code_point(c)
        || tables::inappropriate_for_plain_text(c)
        || tables::inappropriate_for_canonical_representation(c)
        || tables::change_display_properties_or_deprecated(c)
        || tables::tagging_character(c)
}

/// RFC 3454 §6.
fn is_one_direction(text: &str) -> bool {
    let class = |c: char| CodePointMapData::<BidiClass>::new().get(c);
    let leftwards = |c: char| [BidiClass::RightToLeft, BidiClass::ArabicLetter].contains(&class(c));
    if !text.contains(leftwards) {
        return true;
    }
    let ends = |c: Option<char>| c.is_some_and(leftwards);
    let rightwards = |c: char| class(c) == BidiClass::LeftToRight;
    !text.contains(rightwards) && ends(text.chars().next()) && ends(text.chars().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4013 §3, and what else people type.
    #[test]
    fn what_looks_the_same_is_the_same_and_what_nobody_can_type_is_refused() {
        for (typed, same) in [
            ("I\u{ad}X", Some("IX")),
            ("user", Some("user")),
            ("USER", Some("USER")),
            ("\u{aa}", Some("a")),
            ("\u{2168}", Some("IX")),
            ("\u{7}", None),
            ("\u{627}\u{31}", None),
            ("pa\u{308}ss", Some("p\u{e4}ss")),
            ("p\u{e4}ss", Some("p\u{e4}ss")),
            ("a\u{a0}b", Some("a b")),
            ("\u{ff41}\u{ff1a}", Some("a:")),
            ("\u{212b}", Some("\u{e5}".to_uppercase().as_str())),
            ("\u{1112}\u{1161}\u{11ab}", Some("\u{d55c}")),
            ("e\u{301}\u{1f600}", Some("\u{e9}\u{1f600}")),
            ("\u{5d0}\u{5d1}", Some("\u{5d0}\u{5d1}")),
            ("\u{5d0}a\u{5d1}", None),
            ("a\u{200e}", None),
            ("\u{feff}a\u{200b}", Some("a")),
            ("a\u{e000}", None),
            ("a\u{fffd}", None),
            ("a\r\n", None),
            ("\u{85}", None),
            ("", Some("")),
        ] {
            let found = prepared(typed);
            assert_eq!(found.as_deref(), same, "{typed:?}");
            if let Some(found) = found {
                assert_eq!(prepared(&found).as_deref(), same, "twice: {typed:?}");
            }
        }
    }
}
