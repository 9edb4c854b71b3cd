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

/// Whether a text of DNS publishes this key, and receivers believe it; otherwise why not.
pub fn is_published(text: &str, key: &Key) -> Result<(), String> {
    let tags: Vec<(&str, &str)> = text
        .split(';')
        .filter_map(|tag| tag.split_once('='))
        .map(|(name, value)| (name.trim(), value.trim()))
        .collect();
    let tag = |name: &str| {
        let found = tags.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    };
    let lists = |name: &str, wanted: &[&str]| {
        tag(name).is_none_or(|list| list.split(':').any(|it| wanted.contains(&it.trim())))
    };
    if tag("v").is_some_and(|version| version != "DKIM1") {
        return Err("v= is not DKIM1".to_owned());
    }
    let algorithm = tag("k").unwrap_or("rsa");
    let Some(published) = tag("p") else {
        return Err("it has no p=, so it is no key".to_owned());
    };
    if published.is_empty() {
        return Err("p= is empty: the key is revoked".to_owned());
    }
    if algorithm != key.algorithm().name() {
        return Err(format!(
            "it is a key for {algorithm}, ours is for {}",
            key.algorithm()
        ));
    }
    let published: String = published.split_whitespace().collect();
    match BASE64_STANDARD.decode(published) {
        Ok(found) if found == key.public() || found == key.bare() => {}
        Ok(_) => return Err("it is another key than ours".to_owned()),
        Err(_) => return Err("its p= is damaged: no base64".to_owned()),
    }
    if !lists("h", &["sha256"]) {
        return Err("h= does not allow sha256".to_owned());
    }
    if !lists("s", &["*", "email"]) {
        return Err("s= does not allow mail".to_owned());
    }
    if tag("t").is_some_and(|flags| flags.split(':').any(|flag| flag.trim() == "y")) {
        return Err("t=y: receivers treat signed mail as if it were not; take it out".to_owned());
    }
    Ok(())
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
        assert_eq!(is_published(text, &key), Ok(()));
        let public = BASE64_STANDARD.encode(key.public());
        let (one, two) = public.split_at(9);
        let spaced = format!(" p = {one} {two} ;k=ed25519; n=hello; h=sha1:sha256 ; s=email;");
        assert_eq!(is_published(&spaced, &key), Ok(()));
        let other = Key::read(&Key::make_ed25519().unwrap()).unwrap();
        for (text, why) in [
            ("", "no key"),
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
        ] {
            let said = is_published(text, &key).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
