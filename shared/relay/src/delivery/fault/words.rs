//! Words of a reply, compared as words.
//!
//! Contract: "ip is" is not found in "membership is", nor a name such as `relay.example.org` or an
//! address taken for words about relaying. A phrase is words in a row; `*` at the end of one stands
//! for any ending, `_` for any one word. Of the text a reader has at most
//! [`mail::outcome::MAX_TEXT`].

/// What an address becomes: no word that anybody looks for.
const ADDRESS: &str = "@";

/// The words of a reply in lower case, without what stands around them.
pub(in crate::delivery) struct Words(Vec<String>);

impl Words {
    pub(in crate::delivery) fn of(text: &str) -> Self {
        let text = text.to_lowercase();
        let parts = text.split(|c: char| c.is_whitespace() || ",;:()<>[]\"/!?".contains(c));
        let words = parts.map(|part| part.trim_matches(['.', '\'', '*', '#', '-', '`']));
        let words = words.filter(|word| !word.is_empty());
        let words = words.map(|word| if word.contains('@') { ADDRESS } else { word });
        Self(words.map(str::to_owned).collect())
    }

    /// Whether one of these phrases is there.
    pub(in crate::delivery) fn say(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.has(phrase))
    }

    fn has(&self, phrase: &str) -> bool {
        let wanted: Vec<&str> = phrase.split(' ').collect();
        let is = |(word, wanted): (&String, &&str)| match wanted.strip_suffix('*') {
            Some(stem) => word.starts_with(stem),
            None => *wanted == "_" || word == wanted,
        };
        let mut rows = self.0.windows(wanted.len());
        rows.any(|row| row.iter().zip(&wanted).all(is))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whole_and_names_and_addresses_are_none() {
        let words = Words::of(
            "550-5.1.1 <ip.is@relay.example>: Membership is CLOSED, (relay.example.org) #isn't.",
        );
        for there in [
            "membership is closed",
            "member* _ closed",
            "isn't",
            "550-5.1.1",
        ] {
            assert!(words.say(&[there]), "{there}");
        }
        for none in [
            "ip is",
            "relay",
            "ship*",
            "closed isn't",
            "is closed _ _ _",
            "ip*",
        ] {
            assert!(!words.say(&[none]), "{none}");
        }
        assert!(!Words::of("").say(&["_"]) && Words::of("x").say(&["_"]));
    }
}
