//! An SMTP client that a test types into: raw bytes in, replies out, nothing repaired.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    sync::Arc,
};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned, pki_types::ServerName};

use crate::wait::{PATIENCE, until};

/// An SMTP reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    pub code: u16,
    /// Text of each line, after the code and the separator.
    pub lines: Vec<String>,
}

impl Reply {
    /// The lines as one text.
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }
}

/// A connection to a server.
#[derive(Debug)]
pub struct Session {
    stream: Stream,
    input: Vec<u8>,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Session {
    /// Connects, as soon as it listens; the greeting is the first reply to be read.
    pub fn connect(server: SocketAddr) -> Self {
        let stream = until(&format!("{server} listens"), || {
            match TcpStream::connect(server) {
                Ok(stream) => Some(stream),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => None,
                Err(error) => panic!("connect to {server}: {error}"),
            }
        });
        Self::over(stream)
    }

    /// Connects from an address of ours, as another client would.
    pub fn connect_from(client: IpAddr, server: SocketAddr) -> Self {
        let family = if server.is_ipv4() {
            AddressFamily::INET
        } else {
            AddressFamily::INET6
        };
        let socket = socket(family, SocketType::STREAM, None).unwrap();
        bind(&socket, &SocketAddr::new(client, 0))
            .unwrap_or_else(|e| panic!("bind to {client}: {e}"));
        connect(&socket, &server)
            .unwrap_or_else(|e| panic!("connect from {client} to {server}: {e}"));
        Self::over(TcpStream::from(socket))
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream: Stream::Plain(stream),
            input: Vec::new(),
        }
    }

    /// Connects, reads the greeting and says EHLO.
    pub fn greeted(server: SocketAddr) -> Self {
        Self::connect(server).ehlo()
    }

    /// The same where the server may go away meanwhile.
    pub fn try_greeted(server: SocketAddr) -> io::Result<Self> {
        let mut session = Self::over(TcpStream::connect(server)?);
        session.try_reply()?;
        session.send(b"EHLO client.example.test\r\n")?;
        session.try_reply()?;
        Ok(session)
    }

    /// Reads the greeting and says EHLO.
    #[must_use]
    pub fn ehlo(mut self) -> Self {
        assert_eq!(self.reply().code, 220);
        assert_eq!(self.say("EHLO client.example.test").code, 250);
        self
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(bytes),
            Stream::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    /// Sends a line with CRLF and reads the reply.
    pub fn say(&mut self, line: &str) -> Reply {
        self.send(format!("{line}\r\n").as_bytes())
            .unwrap_or_else(|e| panic!("{line}: {e}"));
        self.reply()
    }

    /// Reads a reply; fails the test where there is none.
    pub fn reply(&mut self) -> Reply {
        self.try_reply().unwrap_or_else(|e| panic!("no reply: {e}"))
    }

    /// Reads a reply.
    pub fn try_reply(&mut self) -> io::Result<Reply> {
        let mut lines = Vec::new();
        loop {
            let line = self.line()?;
            let (code, rest) = line
                .split_at_checked(3)
                .ok_or_else(|| io::Error::other(format!("not a reply: {line:?}")))?;
            let code = code
                .parse()
                .map_err(|_| io::Error::other(format!("not a reply: {line:?}")))?;
            lines.push(rest.get(1..).unwrap_or("").to_owned());
            if !rest.starts_with('-') {
                return Ok(Reply { code, lines });
            }
        }
    }

    /// Reads a line, without its CRLF.
    pub fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.input.drain(..end + 2).collect::<Vec<u8>>();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            let mut buffer = [0; 4096];
            let count = match &mut self.stream {
                Stream::Plain(stream) => stream.read(&mut buffer)?,
                Stream::Tls(stream) => stream.read(&mut buffer)?,
            };
            if count == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            self.input.extend_from_slice(&buffer[..count]);
        }
    }

    /// How many lines have come and were not read yet; waits for none.
    pub fn arrived(&mut self) -> usize {
        if let Stream::Plain(stream) = &mut self.stream {
            stream.set_nonblocking(true).unwrap();
            let ended = stream.read_to_end(&mut self.input);
            stream.set_nonblocking(false).unwrap();
            let why = ended.err().map(|error| error.kind());
            assert!(matches!(why, None | Some(ErrorKind::WouldBlock)), "{why:?}");
        }
        self.input.windows(2).filter(|pair| pair == b"\r\n").count()
    }

    /// A whole transaction, which must be accepted.
    pub fn delivers(&mut self, sender: &str, recipients: &[&str], content: &[u8]) {
        let reply = self.mail(sender, recipients, content).unwrap();
        assert_eq!(reply.code, 250, "{reply:?}");
    }

    /// A whole transaction; gives the reply to the final dot, or the first refusal before it.
    pub fn mail(&mut self, sender: &str, recipients: &[&str], content: &[u8]) -> io::Result<Reply> {
        let mut commands = vec![format!("MAIL FROM:<{sender}>")];
        commands.extend(
            recipients
                .iter()
                .map(|recipient| format!("RCPT TO:<{recipient}>")),
        );
        commands.push("DATA".to_owned());
        for command in commands {
            self.send(format!("{command}\r\n").as_bytes())?;
            let reply = self.try_reply()?;
            if reply.code >= 400 {
                self.send(b"RSET\r\n")?;
                self.try_reply()?;
                return Ok(reply);
            }
        }
        for line in content.split_inclusive(|&b| b == b'\n') {
            if line.starts_with(b".") {
                self.send(b".")?;
            }
            self.send(line)?;
        }
        self.send(b".\r\n")?;
        self.try_reply()
    }

    /// STARTTLS, the handshake, and EHLO again.
    #[must_use]
    pub fn starttls(mut self, config: Arc<ClientConfig>) -> Self {
        let reply = self.say("STARTTLS");
        assert_eq!(reply.code, 220, "{reply:?}");
        let mut session = self.wrapped(config);
        assert_eq!(session.say("EHLO client.example.test").code, 250);
        session
    }

    /// The handshake at once, as on a port with wrapped TLS.
    #[must_use]
    pub fn wrapped(self, config: Arc<ClientConfig>) -> Self {
        let Stream::Plain(stream) = self.stream else {
            panic!("already encrypted")
        };
        let name = ServerName::try_from("mail.example.test").unwrap();
        let connection = ClientConnection::new(config, name).unwrap();
        Self {
            stream: Stream::Tls(Box::new(StreamOwned::new(connection, stream))),
            input: Vec::new(),
        }
    }

    /// The certificate that the server has shown, in DER; when the session was made, if it was
    /// resumed.
    pub fn certificate(&self) -> Option<Vec<u8>> {
        match &self.stream {
            Stream::Plain(_) => None,
            Stream::Tls(stream) => Some(stream.conn.peer_certificates()?.first()?.to_vec()),
        }
    }

    /// How the handshake went: in full, or with a session from before.
    pub fn handshake(&self) -> Option<HandshakeKind> {
        match &self.stream {
            Stream::Plain(_) => None,
            Stream::Tls(stream) => stream.conn.handshake_kind(),
        }
    }
}

/// What a server says to RCPT of a client at this address, or to what comes before, with its code.
pub fn heard(server: SocketAddr, client: &str, helo: &str, from: &str, to: &str) -> String {
    let mut session = Session::connect_from(client.parse().unwrap(), server);
    session.reply();
    let mut last = String::new();
    for command in [
        format!("EHLO {helo}"),
        format!("MAIL FROM:<{from}>"),
        format!("RCPT TO:<{to}>"),
    ] {
        let reply = session.say(&command);
        last = format!("{} {}", reply.code, reply.text());
        if reply.code >= 400 {
            break;
        }
    }
    last
}
