//! Whatever is sent to the status page, mail goes on, and the page answers the next one who asks.

use std::{io::Write as _, net::SocketAddr};

use tests::{
    http::{get, raw, request, rest, send},
    session::Session,
    smarthost::Smarthost,
    wait::free_address,
};

fn start() -> (Smarthost, SocketAddr) {
    let page = free_address();
    let relay = Smarthost::start(&format!("web = \"{page}\"\n"));
    (relay, page)
}

/// Mail is taken, and the page is there.
fn goes_on(relay: &Smarthost, page: SocketAddr) {
    let mut session = Session::greeted(relay.address());
    let mail = b"Subject: x\r\n\r\nx\r\n";
    session.delivers("a@one.example", &["root@mail.example.test"], mail);
    assert_eq!(get(page, "/health").code, 200);
}

fn code(said: &str) -> Option<u16> {
    let versions = ["HTTP/1.1 ", "HTTP/1.0 "].into_iter();
    let mut said = versions.filter_map(|version| said.strip_prefix(version));
    said.next()?.get(..3)?.parse().ok()
}

#[test]
fn requests_that_are_none_are_refused_and_harm_nobody() {
    let (relay, page) = start();
    let long = "a".repeat(100_000);
    let many = "X: y\r\n".repeat(1000);
    let host = format!("Host: {page}\r\n");
    for (request, expected) in [
        (
            format!("GET /metrics HTTP/1.1\r\n{host}X: {long}\r\n\r\n"),
            431,
        ),
        (format!("GET /metrics HTTP/1.1\r\n{host}{many}\r\n"), 431),
        (
            format!("GET /metrics?{} HTTP/1.1\r\n{host}\r\n", &long[..5000]),
            413,
        ),
        (
            "GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(),
            421,
        ),
        (
            format!("GET /metrics HTTP/1.1\r\n{host}Host: evil.example\r\n\r\n"),
            400,
        ),
        ("GET /metrics HTTP/1.1\r\n\r\n".to_owned(), 400),
        (
            "GET /metrics HTTP/1.0\r\nHost: evil.example\r\n\r\n".to_owned(),
            421,
        ),
        (
            format!("GET http://evil.example/metrics HTTP/1.1\r\n{host}\r\n"),
            400,
        ),
        (
            format!("CONNECT evil.example:25 HTTP/1.1\r\n{host}\r\n"),
            400,
        ),
        (format!("DELETE /metrics HTTP/1.1\r\n{host}\r\n"), 405),
        (
            format!("POST /metrics HTTP/1.1\r\n{host}Content-Length: 1\r\n\r\nx"),
            405,
        ),
        (
            format!("POST /health HTTP/1.1\r\n{host}Content-Length: 99999999\r\n\r\n{long}"),
            413,
        ),
        (format!("TRACE / HTTP/1.1\r\n{host}\r\n"), 405),
        (format!("GET /\0metrics HTTP/1.1\r\n{host}\r\n"), 400),
        (
            format!("GET /metrics HTTP/1.1\r\n{host}Content-Length: -1\r\n\r\n"),
            400,
        ),
        (format!("GET /metrics HTTP/9.9\r\n{host}\r\n"), 400),
        (
            "EHLO client.example\r\nMAIL FROM:<a@b.example>\r\n".to_owned(),
            400,
        ),
        (
            "\x16\x03\x01\x02\0\x01\0\x01\u{7f}\x03\x03 TLS\r\n\r\n".to_owned(),
            400,
        ),
    ] {
        let said = raw(page, request.as_bytes());
        let shown = request.get(..80).unwrap_or(&request);
        // Who sends more than is read may only see that the connection is gone.
        let gone = said.is_empty() && request.len() > 50_000;
        assert!(gone || code(&said) == Some(expected), "{shown:?}: {said:?}");
    }
    goes_on(&relay, page);
}

#[test]
fn no_path_leads_to_a_file_and_none_has_two_names() {
    let (relay, page) = start();
    for path in [
        "/../../../../etc/passwd",
        "/metrics/../../etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/%2e%2e/state/web.token",
        "/web.token",
        "//metrics",
        "/metrics/",
        "/METRICS",
        "/metrics%00",
        "/metrics;x",
        "/./metrics",
        "/health/ready/",
        "/health/dead",
    ] {
        let answer = get(page, path);
        let code = answer.code;
        assert!(code == 404 || code == 401, "{path}: {answer:?}");
        assert!(!answer.body.contains("root:x"), "{path}: {answer:?}");
    }
    goes_on(&relay, page);
}

#[test]
fn one_connection_is_one_request_whatever_is_sent_behind_it() {
    let (_relay, page) = start();
    let one = format!("GET /health/live HTTP/1.1\r\nHost: {page}\r\n\r\n");
    let said = raw(page, one.repeat(50).as_bytes());
    assert_eq!(said.matches("HTTP/1.1").count(), 1, "{said}");
    assert!(said.to_lowercase().contains("connection: close"), "{said}");
    let hidden = format!(
        "POST /health HTTP/1.1\r\nHost: {page}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{one}"
    );
    let said = raw(page, hidden.as_bytes());
    assert_eq!(said.matches("HTTP/1.1").count(), 1, "{said}");
    let no_body = request(page, "HEAD", "/metrics", "", "");
    assert_eq!((no_body.code, no_body.body.as_str()), (200, ""));
}

#[test]
fn a_hundred_who_say_nothing_or_little_keep_nobody_out() {
    let (relay, page) = start();
    let part = format!("GET /metrics HTTP/1.1\r\nHost: {page}\r\nX: ");
    let mut held: Vec<_> = (0..100)
        .map(|number| {
            send(
                page,
                if number % 2 == 0 {
                    b""
                } else {
                    part.as_bytes()
                },
            )
        })
        .collect();
    goes_on(&relay, page);
    // Drop after drop makes no request, and the oldest have gone for others.
    for stream in &mut held {
        let _ = stream.write_all(b"y");
    }
    goes_on(&relay, page);
    let mut oldest = held.swap_remove(0);
    assert_eq!(rest(&mut oldest), "");
}

#[test]
fn two_hundred_who_ask_at_once_are_all_answered() {
    let (relay, page) = start();
    // Who connects and says nothing for a moment has to go for others: all say it at once.
    let ask = |number: usize| {
        let path = ["/health/live", "/metrics"][number % 2];
        let text = format!("GET {path} HTTP/1.1\r\nHost: {page}\r\n\r\n");
        send(page, text.as_bytes())
    };
    let asking: Vec<_> = (0..200).map(ask).collect();
    for mut one in asking {
        let said = rest(&mut one);
        assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    }
    // As probes ask that know no name of us (RFC 1945).
    let said = raw(page, b"GET /metrics HTTP/1.0\r\n\r\n");
    assert!(said.contains(" 200 OK"), "{said}");
    goes_on(&relay, page);
}

#[test]
fn every_answer_forbids_what_a_browser_could_do_with_it() {
    let (_relay, page) = start();
    for path in ["/metrics", "/health", "/health/live", "/", "/nothing"] {
        let answer = get(page, path);
        for (field, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.field(field), Some(value), "{path}: {answer:?}");
        }
        let policy = answer.field("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(
            !policy.contains("unsafe") && !policy.contains("http"),
            "{policy}"
        );
    }
}
