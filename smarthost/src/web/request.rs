//! What is asked, read and bounded, and whether it may be asked by this site at all.
//!
//! Contract: the Host is an address, `localhost` or the relay's own name, so that no page elsewhere reaches this one under a
//! name of its own (DNS rebinding).
//! RFC 9110 §7.2.

use std::net::IpAddr;

use hyper::{
    HeaderMap, Method,
    body::{Body as _, Incoming},
    header::HeaderName,
    http::request::Parts,
};

/// Longest body, bytes.
const BODY: usize = 64 * 1024;
/// Longest path with its query.
const TARGET: usize = 2048;

/// A request.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) fields: HeaderMap,
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
        match head.method {
            Method::GET | Method::HEAD => {}
            Method::POST => drop(content(body).await?),
            _ => return Err(Refused::Method),
        }
        Ok(Self {
            path: head.uri.path().to_owned(),
            method: head.method,
            fields: head.headers,
        })
    }

    /// A field that stands there once.
    pub(super) fn field(&self, name: impl Into<HeaderName>) -> Option<&str> {
        let mut all = self.fields.get_all(name.into()).iter();
        let one = all.next()?.to_str().ok()?;
        all.next().is_none().then_some(one)
    }

    /// Whether it came to this site under a name that is ours.
    pub(super) fn is_for_us(&self, hostname: &str) -> Result<(), Refused> {
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
            path: "/".to_owned(),
            fields: map,
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
    }
}
