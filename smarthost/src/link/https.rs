//! One small text over HTTPS: a GET without redirects, cookies or anything else.
//!
//! Contract: no more than [`MOST`] bytes are read; the caller bounds the time. Only 200 counts, and
//! only plain text. An end that is neither announced by a length nor by TLS is a cut, and no text.
//! RFC 9112, RFC 8461 §3.3.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use mail::outcome::escape;
use rustls::{ClientConfig, client::Resumption, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time,
};
use tokio_rustls::TlsConnector;

/// Largest text, bytes.
const MOST: usize = 64 * 1024;
/// What may come before it.
const HEADER: usize = 16 * 1024;
/// How long one address may take to answer at all.
const CONNECT: Duration = Duration::from_secs(10);

/// The text at a path of a host.
pub(super) async fn text(
    host: &str,
    addresses: &[SocketAddr],
    path: &str,
    tls: &ClientConfig,
) -> Result<String, String> {
    let told = |error: io::Error| relay::tls::explain(&error);
    let stream = connect(addresses)
        .await
        .map_err(|error| error.to_string())?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let mut tls = tls.clone();
    // So rare that no session is worth being kept.
    tls.resumption = Resumption::disabled();
    let mut stream = TlsConnector::from(Arc::new(tls))
        .connect(name, stream)
        .await
        .map_err(told)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: smarthost\r\nAccept: text/plain\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(told)?;
    stream.flush().await.map_err(told)?;
    let mut wire = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.map_err(told)?;
        wire.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if let Some(text) = response(&wire, count == 0)? {
            return Ok(text);
        }
    }
}

async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::other("it has no address");
    for address in addresses {
        let connected = time::timeout(CONNECT, TcpStream::connect(address)).await;
        match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// What an answer says as far as it has come; `None`: not yet all. `ended`: nothing more will come.
fn response(wire: &[u8], ended: bool) -> Result<Option<String>, String> {
    let cut = || Err("the answer was cut".to_owned());
    let Some(end) = wire.windows(4).position(|four| four == b"\r\n\r\n") else {
        if ended || wire.len() > HEADER {
            return cut();
        }
        return Ok(None);
    };
    let (head, body) = wire.split_at_checked(end).unwrap_or_default();
    let body = body.get(4..).unwrap_or_default();
    if head.len() > HEADER {
        return cut();
    }
    let body = match head_of(head)? {
        Length::Of(length) if length > MOST => return Err(too_long()),
        Length::Of(length) => body.get(..length).map(<[u8]>::to_vec),
        Length::Chunked => dechunked(body)?,
        Length::ToTheEnd if body.len() > MOST => return Err(too_long()),
        Length::ToTheEnd => ended.then(|| body.to_vec()),
    };
    match body {
        Some(body) => String::from_utf8(body)
            .map(Some)
            .map_err(|_| "the answer is no text".to_owned()),
        None if ended => cut(),
        None => Ok(None),
    }
}

/// Where the text ends.
enum Length {
    Of(usize),
    Chunked,
    ToTheEnd,
}

/// Reads status and fields; an answer that is no text is an error.
fn head_of(head: &[u8]) -> Result<Length, String> {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    let code = status
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1));
    if code != Some("200") {
        return Err(format!("the answer is {}", escape(status.as_bytes(), 80)));
    }
    let fields = lines.filter_map(|line| line.split_once(':'));
    let field = |wanted: &str| {
        let mut of_name = fields
            .clone()
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        of_name
            .next()
            .map(|(_, value)| value.trim().to_ascii_lowercase())
    };
    if let Some(kind) = field("content-type")
        && kind.split(';').next().map(str::trim) != Some("text/plain")
    {
        return Err(format!(
            "the answer is no plain text but {}",
            escape(kind.as_bytes(), 80)
        ));
    }
    match (field("transfer-encoding"), field("content-length")) {
        (Some(coding), None) if coding == "chunked" => Ok(Length::Chunked),
        (Some(_), _) => Err("the answer comes in a way that is not known".to_owned()),
        (None, Some(length)) => length
            .parse()
            .map(Length::Of)
            .map_err(|_| "the answer's length is no number".to_owned()),
        (None, None) => Ok(Length::ToTheEnd),
    }
}

/// A text in pieces; `None`: not yet all. RFC 9112 §7.1.
fn dechunked(mut wire: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let mut text = Vec::new();
    loop {
        let Some(end) = wire.windows(2).position(|two| two == b"\r\n") else {
            if wire.len() > HEADER {
                return Err(too_long());
            }
            return Ok(None);
        };
        let (line, rest) = wire.split_at_checked(end).unwrap_or_default();
        let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
        let digits = std::str::from_utf8(digits).unwrap_or_default().trim();
        let length = usize::from_str_radix(digits, 16)
            .map_err(|_| "the answer's pieces have no length".to_owned())?;
        if text.len().saturating_add(length) > MOST {
            return Err(too_long());
        }
        let rest = rest.get(2..).unwrap_or_default();
        if length == 0 {
            return Ok(Some(text));
        }
        let (Some(piece), Some(behind)) = (rest.get(..length), rest.get(length..)) else {
            return Ok(None);
        };
        text.extend_from_slice(piece);
        wire = match behind.strip_prefix(b"\r\n") {
            Some(behind) => behind,
            None if behind.len() < 2 => return Ok(None),
            None => return Err("the answer's pieces do not end where they should".to_owned()),
        };
    }
}

fn too_long() -> String {
    "the answer is longer than 64 KiB".to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whatever pieces it comes in.
    fn read(wire: &str) -> Result<String, String> {
        for length in 0..wire.len() {
            if let Some(text) = response(&wire.as_bytes()[..length], false)? {
                return Ok(text);
            }
        }
        Ok(response(wire.as_bytes(), true)?.unwrap())
    }

    #[test]
    fn a_plain_text_is_read_however_its_end_is_told() {
        for head in [
            "Content-Length: 5\r\n",
            "content-type: Text/Plain; charset=utf-8\r\n",
            "",
        ] {
            let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\nhello");
            assert_eq!(read(&answer).as_deref(), Ok("hello"), "{head}");
        }
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n";
        assert_eq!(read(chunked).as_deref(), Ok("hello"));
    }

    #[test]
    fn what_is_no_plain_text_or_not_all_of_it_is_an_error() {
        let long = "x".repeat(MOST + 1);
        let long_head = format!("HTTP/1.1 200 OK\r\nX: {long}");
        let long_body = format!("HTTP/1.1 200 OK\r\n\r\n{long}");
        let long_pieces = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}",
            "1\r\nx\r\n".repeat(MOST + 1)
        );
        for wrong in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 301 Moved\r\nLocation: https://other.example/\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/2 200\r\n\r\nhello",
            "SSH-2.0-x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        for wrong in [&long_head, &long_body, &long_pieces] {
            assert!(response(wrong.as_bytes(), false).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(head in "(HTTP/1.1 200 OK\r\n)?(Content-Length: [0-9]{1,30}\r\n)?(Transfer-Encoding: chunked\r\n)?\r\n", body: Vec<u8>, ended: bool) {
            let wire = [head.as_bytes(), &body].concat();
            let _ = response(&wire, ended);
            let _ = response(&body, ended);
        }
    }
}
