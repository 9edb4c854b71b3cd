//! Two servers, what stands between them, and what they tell.

use std::{
    cell::Cell,
    collections::BTreeSet,
    io::{Read as _, Write as _},
    iter,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{Command, Output, Stdio},
    sync::mpsc::{self, Receiver, Sender},
    thread,
};

use serde_json::Value;
use tests::{
    resolver::Resolver,
    session::Session,
    sink::{Script, Sink, nexthop},
    smarthost::Smarthost,
    wait::{PATIENCE, until_true},
};

/// Takes nothing now.
pub(super) fn later() -> Script {
    Script {
        answers: vec![("MAIL".to_owned(), "451 4.3.0 later".to_owned())],
        ..Script::default()
    }
}

/// Two servers that give their mail to the same next hop; the second may have that of the first.
pub(super) struct Pair {
    pub(super) sink: Sink,
    pub(super) old: Smarthost,
    pub(super) new: Smarthost,
    /// What both have.
    pub(super) config: String,
}

impl Pair {
    pub(super) fn start(script: Script, more: &str) -> Self {
        let sink = Sink::with(script);
        let config = format!(
            "networks = [\"127.0.0.0/8\"]\nlimits = {{ exempt = [\"127.0.0.0/8\"] }}\n\
             resolver = \"{}\"\nrelayhost = \"{}\"\n",
            Resolver::of_localhost(),
            sink.nexthop()
        );
        let old = Smarthost::start(&config);
        let new = Smarthost::start(&format!("{config}drain_from = [\"127.0.0.1\"]\n{more}"));
        Self {
            sink,
            old,
            new,
            config,
        }
    }

    pub(super) fn arguments(&self) -> [String; 6] {
        let to = nexthop(self.new.address());
        ["drain", "--json", "--to", &to, "--pin", &self.new.pin()].map(str::to_owned)
    }

    /// The same over something that stands between.
    pub(super) fn drain_over(&self, address: SocketAddr) -> Command {
        let mut command = self.old.command();
        command.args(["drain", "--json", "--to", &nexthop(address)]);
        command.args(["--pin", &self.new.pin()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(Stdio::null());
        command
    }

    pub(super) fn drain(&self) -> Output {
        let arguments = self.arguments();
        self.old.admin(&arguments.each_ref().map(String::as_str))
    }
}

/// A balance, as `--json` tells it.
pub(super) fn balance(output: &Output) -> Value {
    let found = serde_json::from_slice(&output.stdout);
    assert!(found.is_ok(), "{output:?}");
    found.unwrap()
}

pub(super) fn count(balance: &Value, what: &str) -> u64 {
    balance[what].as_u64().unwrap()
}

/// The queue, a message a line, as programs read it.
pub(super) fn listed(smarthost: &Smarthost) -> BTreeSet<String> {
    let output = smarthost.admin(&["queue", "list", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

pub(super) fn send(smarthost: &Smarthost, count: usize) {
    let mut session = Session::greeted(smarthost.address());
    for number in 0..count {
        let message = format!(
            "Subject: {number}\r\nX-Odd:  kept   as it is\r\n\r\n.dot\r\n{}\r\n",
            "x".repeat(number * 37 % 3000)
        );
        session.delivers("a@example.org", &["b@example.net"], message.as_bytes());
    }
}

/// Hands connections on to a server, each for so many bytes of one of the two directions.
pub(super) fn cutting(server: SocketAddr, replies: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        // Whoever looks first whether mail may move there is not cut off.
        let whole = iter::once(u64::MAX).chain((1500..).step_by(173));
        for (client, most) in listener.incoming().zip(whole) {
            let (client, server) = (client.unwrap(), TcpStream::connect(server).unwrap());
            let (towards, from) = if replies {
                (u64::MAX, most)
            } else {
                (most, u64::MAX)
            };
            pass(&client, &server, towards);
            pass(&server, &client, from);
        }
    });
    address
}

/// Hands so many bytes on; how many it was is told at the end.
fn pass(from: &TcpStream, to: &TcpStream, most: u64) -> Receiver<u64> {
    let (tell, told) = mpsc::channel();
    let (from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        let (mut said, mut passed, mut buffer) = ((&from).take(most), 0, [0; 4096]);
        // An end with an error is one: what came before it was said.
        while let Ok(count @ 1..) = said.read(&mut buffer) {
            passed += count as u64;
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = tell.send(passed);
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    });
    told
}

/// Hands connections on to a server, one after the other, each when it is let in, for so many bytes
/// of what the server says. One that is not let in meets silence.
pub(super) struct Gate {
    pub(super) address: SocketAddr,
    came: Receiver<()>,
    is_there: Cell<bool>,
    open: Sender<u64>,
    said: Receiver<Receiver<u64>>,
}

impl Gate {
    pub(super) fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, came) = mpsc::channel();
        let (open, opened) = mpsc::channel();
        let (end, said) = mpsc::channel();
        thread::spawn(move || {
            for client in listener.incoming() {
                let _ = tell.send(());
                let Ok(most) = opened.recv() else {
                    return;
                };
                let (client, server) = (client.unwrap(), TcpStream::connect(server).unwrap());
                pass(&client, &server, u64::MAX);
                let _ = end.send(pass(&server, &client, most));
            }
        });
        Self {
            address,
            came,
            is_there: Cell::new(false),
            open,
            said,
        }
    }

    /// Whether the next connection is there, which waits from there on.
    pub(super) fn has_come(&self) -> bool {
        let mut is_there = self.is_there.get();
        is_there |= self.came.try_recv().is_ok();
        self.is_there.set(is_there);
        is_there
    }

    /// Lets it in.
    pub(super) fn open(&self, most: u64) {
        self.is_there.set(false);
        self.open.send(most).unwrap();
    }

    /// Lets the next one in; how much the server said in all.
    pub(super) fn pass(&self, most: u64) -> u64 {
        until_true("a connection", || self.has_come());
        self.open(most);
        let said = self.said.recv_timeout(PATIENCE).unwrap();
        said.recv_timeout(PATIENCE).unwrap()
    }
}

/// The first server delivers what it has.
pub(super) fn delivered_here(pair: &Pair) {
    until_true("it is delivered", || {
        // What is in delivery just now may still meet the next hop as it was.
        assert!(pair.old.admin(&["queue", "flush"]).status.success());
        !pair.sink.journal().messages().is_empty()
    });
}
