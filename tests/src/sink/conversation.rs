//! One connection of a sink.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use rustls::{ServerConnection, StreamOwned};

use super::{Fault, Journal, Received, SILENCE, Script};

/// Plays a script to a client until one of them closes.
pub(super) fn converse(stream: TcpStream, script: &Script, journal: &Journal) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_mins(2)))?;
    stream.set_nodelay(true)?;
    let client = stream.peer_addr()?;
    let mut wire = Wire {
        stream: Stream::Plain(stream),
        input: Vec::new(),
        read: 0,
        written: 0,
        fault: script.fault,
    };
    match script.fault {
        Fault::Mute => return wire.drain(),
        Fault::Garbage => return wire.garbage(),
        _ => {}
    }
    wire.say(&script.greeting)?;
    if script.greeting.starts_with("421") {
        return Ok(());
    }
    let mut talk = Talk {
        script,
        journal,
        client,
        helo: String::new(),
        encrypted: false,
        sent: 0,
        sender: None,
        parameters: String::new(),
        recipients: Vec::new(),
        refused: false,
    };
    while let Some(line) = wire.line()? {
        if !talk.command(&line, &mut wire)? {
            break;
        }
    }
    Ok(())
}

struct Talk<'a> {
    script: &'a Script,
    journal: &'a Journal,
    client: SocketAddr,
    helo: String,
    encrypted: bool,
    sent: usize,
    sender: Option<String>,
    parameters: String,
    recipients: Vec<String>,
    /// The last MAIL was not taken.
    refused: bool,
}

impl Talk<'_> {
    /// Answers one command; whether to go on.
    fn command(&mut self, line: &str, wire: &mut Wire) -> io::Result<bool> {
        if let Some(farewell) = self.script.farewell.as_ref().filter(|_| self.sent > 0) {
            wire.say(farewell)?;
            return Ok(false);
        }
        let mut answers = self.script.answers.iter();
        if let Some((_, reply)) = answers.find(|(start, _)| line.starts_with(start)) {
            self.refused |= line.starts_with("MAIL");
            wire.say(reply)?;
            return Ok(true);
        }
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        let mut parameters = self.script.parameters.iter();
        if let Some((_, reply)) = parameters.find(|(text, _)| argument.contains(text.as_str())) {
            self.refused |= verb == "MAIL";
            wire.say(reply)?;
            return Ok(true);
        }
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" | "LHLO" | "HELO" => self.hello(verb, argument, wire)?,
            "STARTTLS" => return self.starttls(wire),
            "MAIL" => {
                let path = argument.split_once(':').map_or("", |(_, path)| path);
                let (path, parameters) = path.split_once('>').unwrap_or((path, ""));
                self.sender = Some(path.trim_start_matches([' ', '<']).to_owned());
                parameters.trim().clone_into(&mut self.parameters);
                self.recipients.clear();
                self.refused = false;
                wire.say("250 2.1.0 Ok")?;
            }
            "RCPT" if self.refused => wire.say("503 5.5.1 MAIL first")?,
            "RCPT" => self.recipient(argument, wire)?,
            "DATA" if self.recipients.is_empty() => wire.say("503 5.5.1 no valid recipients")?,
            "DATA" => {
                wire.say("354 go on")?;
                self.message(wire)?;
            }
            "RSET" | "NOOP" => wire.say("250 2.0.0 Ok")?,
            "QUIT" => {
                wire.say("221 2.0.0 Bye")?;
                return Ok(false);
            }
            // The last word of a login that was objected to (RFC 7628 §3.2.3).
            "" | "AQ==" => wire.say("535 5.7.8 authentication failed")?,
            _ => wire.say("500 5.5.2 unknown command")?,
        }
        Ok(true)
    }

    fn hello(&mut self, verb: &str, name: &str, wire: &mut Wire) -> io::Result<()> {
        if verb.eq_ignore_ascii_case("LHLO") != self.script.lmtp {
            return wire.say("500 5.5.1 wrong protocol");
        }
        name.clone_into(&mut self.helo);
        if verb.eq_ignore_ascii_case("HELO") {
            return wire.say("250 sink.example.test");
        }
        let mut lines = vec!["sink.example.test"];
        if self.script.starttls.is_some() && !self.encrypted {
            lines.push("STARTTLS");
        }
        lines.extend(self.script.extensions.iter().map(String::as_str));
        let last = lines.pop().unwrap_or_default();
        for line in lines {
            wire.say(&format!("250-{line}"))?;
        }
        wire.say(&format!("250 {last}"))
    }

    fn starttls(&mut self, wire: &mut Wire) -> io::Result<bool> {
        let Some(config) = self.script.starttls.clone().filter(|_| !self.encrypted) else {
            wire.say("502 5.5.1 not offered")?;
            return Ok(true);
        };
        wire.say("220 2.0.0 go on")?;
        let Stream::Plain(stream) = &wire.stream else {
            return Ok(false);
        };
        let stream = stream.try_clone()?;
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        wire.stream = Stream::Tls(Box::new(StreamOwned::new(connection, stream)));
        wire.input.clear();
        self.encrypted = true;
        Ok(true)
    }

    fn recipient(&mut self, argument: &str, wire: &mut Wire) -> io::Result<()> {
        let path = argument
            .split_once('<')
            .and_then(|(_, rest)| rest.split_once('>'))
            .map_or("", |(path, _)| path);
        self.journal.asked_for(path);
        let reply = match answer(&self.script.recipients, path) {
            _ if self.recipients.len() >= self.script.most_recipients => {
                "452 4.5.3 too many recipients"
            }
            answer => answer.unwrap_or("250 2.1.5 Ok"),
        };
        if reply.starts_with('2') {
            self.recipients.push(path.to_owned());
        }
        wire.say(reply)
    }

    fn message(&mut self, wire: &mut Wire) -> io::Result<()> {
        let mut content = Vec::new();
        loop {
            let Some(line) = wire.raw_line()? else {
                return Ok(());
            };
            if line == b".\r\n" {
                break;
            }
            content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
        self.sent += 1;
        let recipients = std::mem::take(&mut self.recipients);
        self.journal.add(Received {
            at: Instant::now(),
            client: self.client,
            nth: self.sent,
            helo: self.helo.clone(),
            sender: self.sender.take().unwrap_or_default(),
            parameters: self.parameters.clone(),
            recipients: recipients.clone(),
            encrypted: self.encrypted,
            content,
        });
        let count = if self.script.lmtp { usize::MAX } else { 1 };
        for recipient in recipients.iter().take(count) {
            wire.say(
                answer(&self.script.settled, recipient).unwrap_or(&self.script.after_message),
            )?;
        }
        Ok(())
    }
}

fn answer<'a>(replies: &'a [(String, String)], address: &str) -> Option<&'a str> {
    replies
        .iter()
        .find(|(of, _)| of.eq_ignore_ascii_case(address))
        .map(|(_, reply)| reply.as_str())
}

struct Wire {
    stream: Stream,
    input: Vec<u8>,
    read: usize,
    written: usize,
    fault: Fault,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Wire {
    /// A line with its CRLF; `None` at the end.
    fn raw_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.input.iter().position(|&b| b == b'\n') {
                return Ok(Some(self.input.drain(..=end).collect()));
            }
            let mut buffer = [0; 4096];
            // Byte for byte where the place of the cut matters.
            let most = if let Fault::CloseAfterReading(limit) = self.fault {
                buffer.len().min(limit.saturating_sub(self.read))
            } else {
                buffer.len()
            };
            let count = match &mut self.stream {
                _ if most == 0 => 0,
                Stream::Plain(stream) => stream.read(&mut buffer[..most])?,
                Stream::Tls(stream) => stream.read(&mut buffer[..most])?,
            };
            if count == 0 {
                return Ok(None);
            }
            self.read += count;
            self.input.extend_from_slice(&buffer[..count]);
        }
    }

    /// A command without its CRLF.
    fn line(&mut self) -> io::Result<Option<String>> {
        let line = self.raw_line()?;
        Ok(line.map(|line| {
            String::from_utf8_lossy(&line)
                .trim_end_matches(['\r', '\n'])
                .to_owned()
        }))
    }

    fn say(&mut self, reply: &str) -> io::Result<()> {
        if reply == SILENCE {
            self.drain()?;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let mut bytes = format!("{reply}\r\n").into_bytes();
        let mut cut = false;
        if let Fault::CloseAfterWriting(limit) = self.fault {
            let left = limit.saturating_sub(self.written);
            cut = bytes.len() >= left;
            bytes.truncate(left);
        }
        self.written += bytes.len();
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(&bytes)?,
            Stream::Tls(stream) => {
                stream.write_all(&bytes)?;
                stream.flush()?;
            }
        }
        if cut {
            Err(io::ErrorKind::ConnectionAborted.into())
        } else {
            Ok(())
        }
    }

    /// Reads and says nothing.
    fn drain(&mut self) -> io::Result<()> {
        while self.raw_line()?.is_some() {}
        Ok(())
    }

    /// Noise of all byte values, without a reply code anywhere, in answer to everything.
    fn garbage(&mut self) -> io::Result<()> {
        let noise: Vec<u8> = (0..=255u8)
            .rev()
            .chain(*b"\r\n")
            .cycle()
            .take(4096)
            .collect();
        loop {
            let Stream::Plain(stream) = &mut self.stream else {
                return Ok(());
            };
            stream.write_all(&noise)?;
            if self.raw_line()?.is_none() {
                return Ok(());
            }
        }
    }
}
