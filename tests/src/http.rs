//! Asks a web server, byte by byte.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use crate::wait::{PATIENCE, until};

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub code: u16,
    /// Status line and fields.
    pub head: String,
    pub body: String,
}

impl Answer {
    fn read(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let code = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self {
            code,
            head: head.to_owned(),
            body: body.to_owned(),
        })
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut named = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value)
    }
}

/// Connects, and sends these bytes.
pub fn send(server: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = until("the page can be reached", || {
        TcpStream::connect(server).ok()
    });
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // Who refuses it may have closed by now.
    let _ = stream.write_all(bytes);
    stream
}

/// All that comes until the other side closes.
pub fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection that is reset has said what it had to say.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What is said to these bytes until the other side closes.
pub fn raw(server: SocketAddr, bytes: &[u8]) -> String {
    rest(&mut send(server, bytes))
}

/// One request with these further fields and a body.
pub fn request(server: SocketAddr, method: &str, path: &str, fields: &str, body: &str) -> Answer {
    let length = match method {
        "POST" => format!("Content-Length: {}\r\n", body.len()),
        _ => String::new(),
    };
    let text = format!("{method} {path} HTTP/1.1\r\nHost: {server}\r\n{fields}{length}\r\n{body}");
    let said = raw(server, text.as_bytes());
    Answer::read(&said).unwrap_or_else(|| panic!("{method} {path}: {said:?}"))
}

/// The same where nobody may be there yet.
pub fn try_get(server: SocketAddr, path: &str) -> Option<Answer> {
    let text = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\n\r\n");
    Answer::read(&raw(server, text.as_bytes()))
}

/// What a browser gets that looks at a page.
pub fn get(server: SocketAddr, path: &str) -> Answer {
    request(server, "GET", path, "", "")
}
