//! An SMTP client with a source address of its own, to be somebody else on one machine.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{IpAddr, SocketAddr, TcpStream},
};

use anyhow::{Context as _, bail};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use super::program::PATIENCE;

/// A session.
pub(super) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects from `source` and says EHLO.
    pub(super) fn connect(source: IpAddr, server: SocketAddr) -> anyhow::Result<Self> {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        bind(&socket, &SocketAddr::new(source, 0))
            .with_context(|| format!("cannot use the address {source}"))?;
        connect(&socket, &server).with_context(|| format!("cannot connect to {server}"))?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut client = Self {
            stream: BufReader::new(stream),
        };
        client.expect("220")?;
        client.say("EHLO client.demo.example")?;
        client.expect("250")?;
        Ok(client)
    }

    /// Sends one message; the reply to it, or the reply that refused it.
    pub(super) fn send(
        &mut self,
        sender: &str,
        recipient: &str,
        text: &str,
    ) -> anyhow::Result<String> {
        self.say(&format!("MAIL FROM:<{sender}>"))?;
        let reply = self.reply()?;
        if !reply.starts_with('2') {
            return Ok(reply);
        }
        self.say(&format!("RCPT TO:<{recipient}>"))?;
        self.expect("250")?;
        self.say("DATA")?;
        self.expect("354")?;
        self.say(&format!(
            "From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: {text}\r\n\r\n{text}\r\n."
        ))?;
        self.reply()
    }

    fn say(&mut self, line: &str) -> anyhow::Result<()> {
        Ok(self
            .stream
            .get_mut()
            .write_all(format!("{line}\r\n").as_bytes())?)
    }

    /// The last line of the next reply.
    fn reply(&mut self) -> anyhow::Result<String> {
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                bail!("the smarthost closed the connection");
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line.trim_end().to_owned());
            }
        }
    }

    fn expect(&mut self, code: &str) -> anyhow::Result<()> {
        let reply = self.reply()?;
        if !reply.starts_with(code) {
            bail!("expected {code}, the smarthost said: {reply}");
        }
        Ok(())
    }
}
