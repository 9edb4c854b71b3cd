//! An SMTP or LMTP server that answers as a test tells it to, and remembers what it got.
//!
//! Contract: a message is in the journal before its sender reads the reply to the final dot,
//! whatever that reply is; the script can be changed while the sink runs and holds from the next
//! connection on.

mod conversation;
mod journal;

use std::{
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use rustls::ServerConfig;

pub use journal::{Journal, Received};

use crate::wait::{free_address, until};

/// A reply that is never said: from then on the sink only reads.
pub const SILENCE: &str = "";

/// What the sink says and does.
#[derive(Clone, Debug)]
pub struct Script {
    /// Speaks LMTP: LHLO, and one reply for each recipient after the message.
    pub lmtp: bool,
    /// The first line.
    pub greeting: String,
    /// Replies to RCPT by address; anyone else is `250 2.1.5 Ok`.
    pub recipients: Vec<(String, String)>,
    /// Replies to commands that begin so, such as `MAIL`, instead of what is usual.
    pub answers: Vec<(String, String)>,
    /// Replies to MAIL and RCPT that ask for something, by a text of their parameters: ` SIZE=`.
    pub parameters: Vec<(String, String)>,
    /// Said in answer to the first command after a message; then the connection is closed.
    pub farewell: Option<String>,
    /// A connection over this number is told that there are too many, and closed.
    pub most_connections: usize,
    /// RCPT over this number in a transaction is answered 452.
    pub most_recipients: usize,
    /// The reply after the final dot; with LMTP by address, as `recipients`.
    pub after_message: String,
    /// Replies after the message by address, instead of `after_message`; without LMTP by that of
    /// the first recipient.
    pub settled: Vec<(String, String)>,
    /// What EHLO announces besides STARTTLS.
    pub extensions: Vec<String>,
    /// Offers STARTTLS with this key.
    pub starttls: Option<Arc<ServerConfig>>,
    /// Misbehaves.
    pub fault: Fault,
}

/// How a sink misbehaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    None,
    /// Accepts the connection and never says anything.
    Mute,
    /// Says bytes that are not SMTP, and goes on so.
    Garbage,
    /// Closes when it has read so many bytes of the session.
    CloseAfterReading(usize),
    /// Closes when it has written so many bytes of the session.
    CloseAfterWriting(usize),
}

impl Script {
    /// One that takes everything, and offers STARTTLS with this key.
    pub fn with_tls(server: Arc<ServerConfig>) -> Self {
        Self {
            starttls: Some(server),
            ..Self::default()
        }
    }
}

impl Default for Script {
    fn default() -> Self {
        Self {
            lmtp: false,
            greeting: "220 sink.example.test ESMTP".to_owned(),
            recipients: Vec::new(),
            answers: Vec::new(),
            parameters: Vec::new(),
            farewell: None,
            most_connections: usize::MAX,
            most_recipients: usize::MAX,
            after_message: "250 2.0.0 Ok: taken".to_owned(),
            settled: Vec::new(),
            extensions: [
                "PIPELINING",
                "SIZE 104857600",
                "ENHANCEDSTATUSCODES",
                "DSN",
                "SMTPUTF8",
                "8BITMIME",
            ]
            .map(str::to_owned)
            .to_vec(),
            starttls: None,
            fault: Fault::None,
        }
    }
}

/// A running sink.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    script: Mutex<Script>,
    journal: Journal,
    open: Mutex<Vec<TcpStream>>,
    connections: AtomicUsize,
    now_open: AtomicUsize,
    most_open: AtomicUsize,
    stopping: AtomicBool,
}

impl Sink {
    /// A sink that takes everything, on a free port of loopback.
    pub fn start() -> Self {
        Self::with(Script::default())
    }

    /// A sink with a script.
    pub fn with(script: Script) -> Self {
        Self::on(free_address(), script)
    }

    /// A sink on an address where one was before.
    pub fn on(address: SocketAddr, script: Script) -> Self {
        // A process that is just being started holds all sockets of this one for a moment, closed
        // ones too.
        let listener = until(&format!("{address} is free"), || {
            TcpListener::bind(address).ok()
        });
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            journal: Journal::default(),
            open: Mutex::default(),
            connections: AtomicUsize::new(0),
            now_open: AtomicUsize::new(0),
            most_open: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        });
        let for_acceptor = Arc::clone(&shared);
        let acceptor = Some(thread::spawn(move || accept(&listener, &for_acceptor)));
        Self {
            address,
            shared,
            acceptor,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// As a next hop: `[127.0.0.1]:2525`.
    pub fn nexthop(&self) -> String {
        nexthop(self.address)
    }

    /// Another behaviour, from the next connection on.
    pub fn play(&self, script: Script) {
        *self.shared.script.lock().unwrap() = script;
    }

    /// Closes all connections; new ones are taken.
    pub fn hang_up(&self) {
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// What it got.
    pub fn journal(&self) -> &Journal {
        &self.shared.journal
    }

    /// The text of the first message with this in its subject, as soon as it comes.
    pub fn told(&self, subject: &str) -> String {
        until(&format!("the administrators are told: {subject}"), || {
            let messages = self.journal().messages();
            let mut told = messages
                .iter()
                .filter(|it| it.field("Subject").contains(subject));
            told.next()
                .map(Received::text)
                .map(|text| text.replace("=\r\n", ""))
        })
    }

    /// All recipients that it was given, so many at least, in the order of the alphabet.
    pub fn recipients(&self, at_least: usize) -> Vec<String> {
        let mut received = until("all recipients", || {
            let journal = self.journal().wait_for(1).into_iter();
            let all: Vec<_> = journal.flat_map(|message| message.recipients).collect();
            (all.len() >= at_least).then_some(all)
        });
        received.sort();
        received
    }

    /// How many were open at the same time at most, those that were closed again counted until it
    /// was seen.
    pub fn most_at_once(&self) -> usize {
        self.shared.most_open.load(Ordering::SeqCst)
    }

    /// How many connections it has taken.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

/// `[127.0.0.1]:2525`
pub fn nexthop(address: SocketAddr) -> String {
    format!("[{}]:{}", address.ip(), address.port())
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let open = shared.now_open.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_open.fetch_max(open, Ordering::SeqCst);
        let (Ok(first), Ok(second)) = (stream.try_clone(), stream.try_clone()) else {
            continue;
        };
        shared.open.lock().unwrap().push(first);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let mut script = shared.script.lock().unwrap().clone();
            if open > script.most_connections {
                "421 4.7.0 Too many connections".clone_into(&mut script.greeting);
            }
            // A peer that goes away in the middle is what many tests are about.
            let _ = conversation::converse(stream, &script, &shared.journal);
            shared.now_open.fetch_sub(1, Ordering::SeqCst);
            let _ = second.shutdown(Shutdown::Both);
        });
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        self.hang_up();
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}
