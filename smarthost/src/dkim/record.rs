//! What DNS publishes of a key: written for an administrator, and compared.
//!
//! RFC 6376 §3.6.1 (tags), §3.6.2.2 (a TXT record's strings are put together).

use base64::{Engine as _, prelude::BASE64_STANDARD};
use mail::address::Domain;

use super::key::{Key, lines};

/// Longest string of a TXT record (RFC 1035 §3.3).
const STRING: usize = 255;

/// The record of a key for a zone file, in strings that DNS takes.
pub fn written(domain: &Domain, selector: &str, key: &Key) -> String {
    let public = BASE64_STANDARD.encode(key.public());
    let text = format!("v=DKIM1; k={}; p={public}", key.algorithm());
    let strings: Vec<String> = lines(&text, STRING).map(|it| format!("\"{it}\"")).collect();
    format!(
        "{selector}._domainkey.{domain}. IN TXT ( {} )",
        strings.join("\n    ")
    )
}

/// What is wrong with a record, and what to do; without a remedy of its own: publish ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    pub why: String,
    pub remedy: Option<&'static str>,
}

impl Fault {
    fn new(why: impl Into<String>, remedy: impl Into<Option<&'static str>>) -> Self {
        Self {
            why: why.into(),
            remedy: remedy.into(),
        }
    }
}

/// Whether the texts of DNS under the name of this key publish it, and receivers believe it;
/// otherwise why not.
pub fn is_published(texts: &[String], key: &Key) -> Result<(), Fault> {
    match texts {
        [] => Err(Fault::new(
            "DNS has no such TXT record: nobody can verify the signatures",
            None,
        )),
        [text] => of_text(text, key),
        several => {
            let ours = several.iter().any(|text| of_text(text, key).is_ok());
            let why = if ours {
                "DNS has several TXT records there, ours among them; receivers may use any of them"
            } else {
                "DNS has several TXT records there, and none has our key"
            };
            let remedy = "leave only our record there; other keys need other selectors";
            Err(Fault::new(why, remedy))
        }
    }
}

fn of_text(text: &str, key: &Key) -> Result<(), Fault> {
    let tags = text.split(';').filter_map(|tag| tag.split_once('='));
    let tags = Tags(
        tags.map(|(name, value)| (name.trim(), value.trim()))
            .collect(),
    );
    tags.are_a_record()?;
    tags.publish(key)?;
    if !tags.allows("h", &["sha256"]) {
        let remedy = "remove h=, or write h=sha256: nobody accepts SHA-1 (RFC 8301)";
        return Err(Fault::new("h= does not allow sha256", remedy));
    }
    if !tags.allows("s", &["*", "email"]) {
        return Err(Fault::new(
            "s= does not allow mail",
            "remove s=, or write s=email",
        ));
    }
    if tags.lists("t").any(|flag| flag == "y") {
        let why = "t=y: receivers treat signed mail as if it were not";
        return Err(Fault::new(why, "remove t=y once mail verifies"));
    }
    Ok(())
}

/// Names and values, in order.
struct Tags<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Tags<'a> {
    fn of(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }

    /// The items of a list.
    fn lists(&self, name: &str) -> impl Iterator<Item = &'a str> {
        let list = self.of(name).into_iter();
        list.flat_map(|list| list.split(':').map(str::trim))
    }

    /// Whether a list that may be absent has one of these.
    fn allows(&self, name: &str, wanted: &[&str]) -> bool {
        self.of(name).is_none() || self.lists(name).any(|it| wanted.contains(&it))
    }

    fn are_a_record(&self) -> Result<(), Fault> {
        let twice = |(at, (name, _)): (usize, &(&str, &str))| {
            self.0.iter().take(at).any(|(it, _)| it == name)
        };
        if self.0.iter().enumerate().any(twice) {
            return Err(Fault::new(
                "it has a tag twice, so it is ignored (RFC 6376 §3.2)",
                None,
            ));
        }
        if self.of("v").is_some_and(|version| version != "DKIM1") {
            return Err(Fault::new("v= is not DKIM1", None));
        }
        if self.of("v").is_some() && self.0.first().is_none_or(|(name, _)| *name != "v") {
            return Err(Fault::new(
                "v= is not its first tag, so it is ignored (RFC 6376 §3.6.1)",
                None,
            ));
        }
        Ok(())
    }

    /// Whether it is our key.
    fn publish(&self, key: &Key) -> Result<(), Fault> {
        let algorithm = self.of("k").unwrap_or("rsa");
        let Some(published) = self.of("p") else {
            return Err(Fault::new("it has no p=, so it is not a key", None));
        };
        if published.is_empty() {
            let remedy = "a revoked key stays revoked: make another one with smarthost dkim new \
                 DOMAIN, which uses a new selector";
            return Err(Fault::new("p= is empty: the key is revoked", remedy));
        }
        if algorithm != key.algorithm().name() {
            let why = format!(
                "it is a key for {algorithm}, ours is for {}",
                key.algorithm()
            );
            return Err(Fault::new(why, None));
        }
        let published: String = published.split_whitespace().collect();
        match BASE64_STANDARD.decode(published) {
            Ok(found) if found == key.public() || found == key.bare() => Ok(()),
            Ok(_) => Err(Fault::new("it is another key than ours", None)),
            Err(_) => Err(Fault::new("its p= is damaged: no base64", None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_key_is_ours_or_it_is_said_why_not() {
        let key = Key::read(&Key::make_ed25519().unwrap()).unwrap();
        let domain = Domain::name("example.org").unwrap();
        let record = written(&domain, "s1", &key);
        let (name, text) = record.split_once(" IN TXT ( ").unwrap();
        assert_eq!(name, "s1._domainkey.example.org.");
        let text = text.trim_end_matches(" )").trim_matches('"');
        let of_one = |text: &str| is_published(&[text.to_owned()], &key);
        assert_eq!(of_one(text), Ok(()));
        let public = BASE64_STANDARD.encode(key.public());
        let (one, two) = public.split_at(9);
        let spaced = format!(" p = {one} {two} ;k=ed25519; n=hello; h=sha1:sha256 ; s=email;");
        assert_eq!(of_one(&spaced), Ok(()));
        let other = Key::read(&Key::make_ed25519().unwrap()).unwrap();
        for (text, why) in [
            ("", "not a key"),
            ("v=spf1 -all", "v= is not DKIM1"),
            ("v=DKIM1; p=", "revoked"),
            (&format!("p={public}"), "a key for rsa"),
            ("k=ed25519; p=%", "damaged"),
            (
                &format!("k=ed25519; p={}", BASE64_STANDARD.encode(other.public())),
                "another key",
            ),
            (&format!("k=ed25519; p={public}; h=sha1"), "sha256"),
            (&format!("k=ed25519; p={public}; s=tlsrpt"), "mail"),
            (&format!("k=ed25519; p={public}; t=s:y"), "t=y"),
            (&format!("k=ed25519; p={public}; p="), "twice"),
            (&format!("k=ed25519; v=DKIM1; p={public}"), "first tag"),
        ] {
            let said = of_one(text).unwrap_err().why;
            assert!(said.contains(why), "{text}: {said}");
        }
        let both = [text.to_owned(), "v=DKIM1; p=".to_owned()];
        let said = is_published(&both, &key).unwrap_err();
        assert!(
            said.why.contains("ours among them") && said.remedy.is_some(),
            "{said:?}"
        );
        let said = is_published(&[], &key).unwrap_err();
        assert!(said.why.contains("no such TXT record"), "{said:?}");
    }
}
