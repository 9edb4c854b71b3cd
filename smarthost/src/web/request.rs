//! What is asked, read and bounded, and whether it may be asked by this site at all.
//!
//! Contract: the Host is an address, `localhost` or the relay's own name, so that no page elsewhere
//! reaches this one under a name of its own (DNS rebinding). What changes something comes from a
//! page of ours, by Origin and Sec-Fetch-Site.
//! RFC 9110 §7.2; Fetch Metadata.

use std::net::IpAddr;

use hyper::{
    HeaderMap, Method, Version,
    body::{Body as _, Incoming},
    header::{HeaderName, ORIGIN},
    http::request::Parts,
};

/// Longest body, bytes.
const BODY: usize = 64 * 1024;
/// Fields of a form.
const NAMED: usize = 32;
/// Longest path with its query.
const TARGET: usize = 2048;

/// A request, as hyper has read it.
#[derive(Debug)]
pub struct Asked {
    pub method: Method,
    pub version: Version,
    pub path: String,
    pub query: String,
    pub fields: HeaderMap,
    pub body: Vec<u8>,
}

/// What a form or a query says.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// `application/x-www-form-urlencoded`; what is no UTF-8 is replaced, and at most [`NAMED`]
    /// count.
    pub(super) fn read(text: &[u8]) -> Self {
        let pairs = text.split(|byte| *byte == b'&').take(NAMED);
        let pair = |pair: &[u8]| {
            let mut parts = pair.splitn(2, |byte| *byte == b'=');
            let mut next = || decoded(parts.next().unwrap_or_default());
            (next(), next())
        };
        Self(pairs.map(pair).collect())
    }

    /// The value of a field, which stands there once.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut named = self.0.iter().filter(|(key, _)| key == name);
        let (_, value) = named.next()?;
        named.next().is_none().then_some(value)
    }
}

/// Percent signs and plus signs resolved.
fn decoded(text: &[u8]) -> String {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        let pair = (digit(behind.first()), digit(behind.get(1)));
        match (first, pair) {
            (b'%', (Some(high), Some(low))) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
                rest = behind.get(2..).unwrap_or_default();
            }
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Why it is not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// No Host, or several, or a target that is none.
    Malformed,
    /// The Host is nobody's here.
    Host,
    TooLong,
    Method,
    /// Another site's page asked for it.
    Origin,
    Ending,
}

impl Asked {
    pub(super) async fn read(head: Parts, body: Incoming) -> Result<Self, Refused> {
        let target = head.uri.path_and_query();
        if head.uri.authority().is_some() || target.is_none() {
            return Err(Refused::Malformed);
        }
        if target.is_some_and(|target| target.as_str().len() > TARGET) {
            return Err(Refused::TooLong);
        }
        let body = match head.method {
            Method::GET | Method::HEAD => Vec::new(),
            Method::POST => content(body).await?,
            _ => return Err(Refused::Method),
        };
        Ok(Self {
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            method: head.method,
            version: head.version,
            fields: head.headers,
            body,
        })
    }

    /// A field that stands there once.
    pub(super) fn field(&self, name: impl Into<HeaderName>) -> Option<&str> {
        let mut all = self.fields.get_all(name.into()).iter();
        let one = all.next()?.to_str().ok()?;
        all.next().is_none().then_some(one)
    }

    /// Whether it came to this site under a name that is ours. HTTP/1.0 has none (RFC 1945), and no
    /// browser speaks it.
    pub(super) fn is_for_us(&self, hostname: &str) -> Result<(), Refused> {
        if self.version == Version::HTTP_10 && !self.fields.contains_key(hyper::header::HOST) {
            return Ok(());
        }
        let host = self.field(hyper::header::HOST).ok_or(Refused::Malformed)?;
        let name = without_port(host);
        let bare = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        let is_address = bare.unwrap_or(name).parse::<IpAddr>().is_ok();
        let ours = ["localhost", hostname];
        if is_address || ours.iter().any(|our| name.eq_ignore_ascii_case(our)) {
            Ok(())
        } else {
            Err(Refused::Host)
        }
    }

    /// Whether a page of ours asked for it. `SameSite` alone would let pages on other ports of this
    /// machine.
    pub(super) fn is_from_us(&self) -> Result<(), Refused> {
        let fetched = self.field(HeaderName::from_static("sec-fetch-site"));
        let origin = self.field(ORIGIN);
        let host = self.field(hyper::header::HOST).unwrap_or_default();
        let own = origin.map(|origin| {
            let name = origin.split_once("://").map_or("", |(_, name)| name);
            name.eq_ignore_ascii_case(host)
        });
        match (fetched, own) {
            (None | Some("same-origin"), Some(true)) | (Some("same-origin"), None) => Ok(()),
            _ => Err(Refused::Origin),
        }
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') =>
        {
            name
        }
        _ => host,
    }
}

async fn content(body: Incoming) -> Result<Vec<u8>, Refused> {
    let mut body = std::pin::pin!(body);
    let mut bytes = Vec::new();
    while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await
    {
        let frame = frame.map_err(|_| Refused::Malformed)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > BODY {
            return Err(Refused::TooLong);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(fields: &[(&'static str, &str)]) -> Asked {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        Asked {
            method: Method::GET,
            version: Version::HTTP_11,
            path: "/".to_owned(),
            query: String::new(),
            fields: map,
            body: Vec::new(),
        }
    }

    #[test]
    fn only_addresses_and_our_own_names_reach_the_site() {
        for host in [
            "127.0.0.1:8025",
            "127.0.0.1",
            "[::1]:8025",
            "[::1]",
            "localhost:1",
            "LOCALHOST",
            "Mail.Example.org",
            "192.0.2.7:8025",
        ] {
            let asked = asked(&[("host", host)]);
            assert_eq!(asked.is_for_us("mail.example.org"), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:8025",
            "mail.example.org.",
            "mail.example.org@evil.example",
            "127.0.0.1:80:80",
            "localhost:x",
            "0x7f000001",
            "",
        ] {
            let asked = asked(&[("host", host)]);
            assert_eq!(
                asked.is_for_us("mail.example.org"),
                Err(Refused::Host),
                "{host}"
            );
        }
        let twice = asked(&[("host", "localhost"), ("host", "evil.example")]);
        assert_eq!(twice.is_for_us("x"), Err(Refused::Malformed));
        assert_eq!(asked(&[]).is_for_us("x"), Err(Refused::Malformed));
        let old = |fields| Asked {
            version: Version::HTTP_10,
            ..asked(fields)
        };
        assert_eq!(old(&[]).is_for_us("x"), Ok(()));
        let evil = old(&[("host", "evil.example")]);
        assert_eq!(evil.is_for_us("x"), Err(Refused::Host));
    }

    #[test]
    fn forms_are_read_with_what_is_written_twice_or_badly() {
        let fields = Fields::read(b"q=a%40b+c%zz%4&x=1&x=2&e=&%71x=%ff&=y&n");
        assert_eq!(fields.get("q"), Some("a@b c%zz%4"));
        assert_eq!((fields.get("x"), fields.get("none")), (None, None));
        assert_eq!((fields.get("e"), fields.get("n")), (Some(""), Some("")));
        assert_eq!(fields.get("qx"), Some("\u{fffd}"));
        assert_eq!(Fields::read(&b"a=1&".repeat(10_000)).0.len(), NAMED);
    }

    #[test]
    fn what_changes_something_comes_from_a_page_of_ours() {
        let host = ("host", "127.0.0.1:8025");
        let own = ("origin", "http://127.0.0.1:8025");
        let same = ("sec-fetch-site", "same-origin");
        for fields in [&[host, own][..], &[host, own, same], &[host, same]] {
            assert_eq!(asked(fields).is_from_us(), Ok(()), "{fields:?}");
        }
        for fields in [
            &[host][..],
            &[host, ("origin", "null")],
            &[host, ("origin", "http://127.0.0.1:9999")],
            &[host, ("origin", "http://127.0.0.1:8025.evil.example")],
            &[host, own, ("sec-fetch-site", "same-site")],
            &[host, own, ("sec-fetch-site", "cross-site")],
            &[host, own, ("origin", "http://evil.example")],
            &[host, ("sec-fetch-site", "none")],
        ] {
            assert_eq!(
                asked(fields).is_from_us(),
                Err(Refused::Origin),
                "{fields:?}"
            );
        }
    }
}
