//! Strangers make a relay ask its next hop for recipients; the next hop takes two connections, and
//! our own mail goes over it, or it says to mail that these are too many. Rows A6, A7, C7.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use tests::{session::Session, smarthost::Smarthost, wait::until_true};

/// Connections that the next hop takes.
const TAKES: usize = 2;

/// A next hop that says nothing of strangers' recipients (`x…`) before it may.
#[derive(Default)]
struct Hop {
    open: AtomicUsize,
    most: AtomicUsize,
    /// Connections that were told that they are too many.
    too_many: AtomicUsize,
    /// Questions for strangers' recipients.
    asked: AtomicUsize,
    messages: AtomicUsize,
    speaks: AtomicBool,
    /// However many come.
    takes_all: AtomicBool,
    /// Says so to mail only, so many times before it takes any.
    late: AtomicUsize,
}

impl Hop {
    fn start() -> (Arc<Self>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let hop = Arc::new(Self::default());
        let taken = Arc::clone(&hop);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let hop = Arc::clone(&taken);
                let open = hop.open.fetch_add(1, Ordering::SeqCst) + 1;
                thread::spawn(move || {
                    // Who sees the end of a connection may open another one.
                    let held = stream.try_clone();
                    let _ = hop.talk(stream, open);
                    hop.open.fetch_sub(1, Ordering::SeqCst);
                    drop(held);
                });
            }
        });
        (hop, address)
    }

    fn talk(&self, mut stream: TcpStream, open: usize) -> std::io::Result<()> {
        let late = self.late.load(Ordering::SeqCst);
        if late == 0 && open > TAKES && !self.takes_all.load(Ordering::SeqCst) {
            self.too_many.fetch_add(1, Ordering::SeqCst);
            return stream.write_all(b"421 4.7.0 Too many connections from you\r\n");
        }
        self.most.fetch_max(open, Ordering::SeqCst);
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        stream.write_all(b"220 two.example ESMTP\r\n")?;
        while let Some(line) = lines.next().transpose()? {
            let reply: &[u8] = if late > 0 && open > TAKES && line.starts_with("RCPT") {
                self.too_many.fetch_add(1, Ordering::SeqCst);
                b"451 4.7.0 Too many connections from you\r\n"
            } else if line.starts_with("RCPT TO:<x") {
                self.asked.fetch_add(1, Ordering::SeqCst);
                if !self.may_speak(&stream)? {
                    return Ok(());
                }
                b"550 5.1.1 no such user\r\n"
            } else if line == "DATA" {
                stream.write_all(b"354 go on\r\n")?;
                while lines.next().transpose()?.is_some_and(|line| line != ".") {}
                until_true("it has said so", || {
                    self.too_many.load(Ordering::SeqCst) >= late
                });
                self.messages.fetch_add(1, Ordering::SeqCst);
                b"250 2.0.0 taken\r\n"
            } else if line == "QUIT" {
                return stream.write_all(b"221 2.0.0 bye\r\n");
            } else {
                b"250 2.0.0 Ok\r\n"
            };
            stream.write_all(reply)?;
        }
        Ok(())
    }

    /// Waits until it may; `false`: whoever asked has closed meanwhile.
    fn may_speak(&self, stream: &TcpStream) -> std::io::Result<bool> {
        stream.set_read_timeout(Some(Duration::from_millis(20)))?;
        let mut buffer = [0];
        let is_there = loop {
            if self.speaks.load(Ordering::SeqCst) {
                break true;
            }
            if let Ok(0) = stream.peek(&mut buffer) {
                break false;
            }
        };
        stream.set_read_timeout(None)?;
        Ok(is_there)
    }

    fn messages(&self) -> usize {
        self.messages.load(Ordering::SeqCst)
    }
}

fn relay(hop: SocketAddr, transport: &str) -> Smarthost {
    Smarthost::start(&format!(
        "networks = [\"127.0.0.1/32\"]\nmaildir = \"none\"\ngreet_wait = \"0s\"\n\
         domains = {{ relay = [\"example.net\"] }}\nretry = {{ minimal = \"1s\", maximal = \"1s\" }}\n\
         routes = {{ \"*\" = \"two:[127.0.0.1]:{port}\", \"example.net\" = \"two:[127.0.0.1]:{port}\" }}\n\
         restrictions = [\"permit_mynetworks\", \"reject_unauth_destination\", \"reject_unverified_recipient\"]\n\
         [transports.two]\ntype = \"smtp\"\n{transport}\n",
        port = hop.port()
    ))
}

/// Ten strangers name a recipient each.
fn strangers(relay: &Smarthost) -> Vec<Session> {
    let stranger = |number| {
        let client = IpAddr::from([127, 0, 2, number]);
        let mut session = Session::connect_from(client, relay.address()).ehlo();
        session.say("MAIL FROM:<a@ham.example>");
        let asks = format!("RCPT TO:<x{number}@example.net>\r\n");
        session.send(asks.as_bytes()).unwrap();
        session
    };
    (1..=10).map(stranger).collect()
}

fn own_mail(relay: &Smarthost, count: usize) {
    let mut session = Session::greeted(relay.address());
    for number in 0..count {
        let to = format!("u{number}@else.example");
        session.delivers("a@example.org", &[&to], b"Subject: own\r\n\r\nx\r\n");
    }
}

fn status(relay: &Smarthost) -> String {
    let output = relay.admin(&["status"]);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn strangers_who_ask_for_recipients_leave_our_mail_a_connection_and_open_none_too_many() {
    let (hop, address) = Hop::start();
    let mut relay = relay(address, "connections = 2");
    let mut strangers = strangers(&relay);
    until_true("the next hop is asked", || {
        hop.asked.load(Ordering::SeqCst) > 0
    });
    own_mail(&relay, 8);
    until_true("own mail goes on", || hop.messages() == 8);
    // Who has no answer of the next hop comes again.
    hop.speaks.store(true, Ordering::SeqCst);
    for session in &mut strangers {
        let reply = session.reply();
        let text = reply.text();
        let is_no = reply.code == 550 && text.contains("undeliverable address");
        let is_unknown = reply.code == 450 && text.contains("unverified address");
        assert!(is_no || is_unknown, "{reply:?}");
    }
    assert!(hop.most.load(Ordering::SeqCst) <= TAKES);
    assert_eq!(hop.too_many.load(Ordering::SeqCst), 0, "one too many");
    let status = status(&relay);
    assert!(!status.contains("does not answer since"), "{status}");
    assert!(!relay.daemon().log().contains("status=deferred"));
}

/// However many ask for recipients at hosts that say nothing.
#[test]
fn silent_next_hops_keep_no_answer_from_those_who_ask_at_another() {
    let hops: Vec<_> = (0..3).map(|_| Hop::start()).collect();
    let [(silent, one), (_, two), (answers, three)] = &hops[..] else {
        panic!("three");
    };
    answers.speaks.store(true, Ordering::SeqCst);
    answers.takes_all.store(true, Ordering::SeqCst);
    let way =
        |domain: &str, at: &SocketAddr| format!("\"{domain}\" = \"[127.0.0.1]:{}\"", at.port());
    let relay = Smarthost::start(&format!(
        "maildir = \"none\"\ngreet_wait = \"0s\"\n\
         domains = {{ relay = [\"one.example\", \"two.example\", \"three.example\"] }}\n\
         routes = {{ {}, {}, {} }}\n\
         restrictions = [\"reject_unauth_destination\", \"reject_unverified_recipient\"]\n",
        way("one.example", one),
        way("two.example", two),
        way("three.example", three),
    ));
    let asks = |client: u8, domain: &str| {
        let client = IpAddr::from([127, 0, 4, client]);
        let mut session = Session::connect_from(client, relay.address()).ehlo();
        session.say("MAIL FROM:<a@ham.example>");
        let asks = format!("RCPT TO:<x{client}@{domain}>\r\n");
        session.send(asks.as_bytes()).unwrap();
        session
    };
    let _waiting: Vec<_> = (1..=80)
        .map(|client| {
            asks(
                client,
                if client % 2 == 0 {
                    "one.example"
                } else {
                    "two.example"
                },
            )
        })
        .collect();
    until_true("they are asked", || {
        silent.asked.load(Ordering::SeqCst) == 2
    });
    let all: Vec<_> = (101..=108)
        .map(|client| asks(client, "three.example"))
        .collect();
    for mut session in all {
        let reply = session.reply();
        assert_eq!(reply.code, 550, "{reply:?}");
    }
}

/// Nobody has said how many connections the next hop takes: it says so itself.
#[test]
fn what_a_next_hop_says_of_too_many_connections_holds_for_questions_and_is_no_outage() {
    let (hop, address) = Hop::start();
    let mut relay = relay(address, "initial_connections = 6\nconnections = 10");
    // Of a next hop that has answered nothing yet not enough is asked at once to be too much.
    hop.speaks.store(true, Ordering::SeqCst);
    let mut first = Session::connect_from(IpAddr::from([127, 0, 3, 1]), relay.address()).ehlo();
    first.say("MAIL FROM:<a@ham.example>");
    assert_eq!(first.say("RCPT TO:<x@example.net>").code, 550);
    hop.speaks.store(false, Ordering::SeqCst);
    let strangers = strangers(&relay);
    relay
        .daemon()
        .wait_for_log("too many connections, 2 at once");
    own_mail(&relay, 5);
    until_true("own mail goes on", || hop.messages() == 5);
    drop(strangers);
    let status = status(&relay);
    assert!(!status.contains("does not answer since"), "{status}");
    let log = relay.daemon().log();
    assert!(!log.contains("does not answer:"), "{log}");
    assert!(!log.contains("status=deferred"), "{log}");
}

/// It may mean one sender or one mailbox, but not several that have neither in common.
#[test]
fn what_is_said_to_mail_of_too_many_connections_is_believed_once_it_met_different_mail() {
    let (hop, address) = Hop::start();
    hop.late.store(8, Ordering::SeqCst);
    let mut relay = relay(address, "initial_connections = 6\nconnections = 10");
    let mut session = Session::greeted(relay.address());
    for number in 0..12 {
        let (from, to) = (
            format!("s{number}@example.org"),
            format!("u{number}@else.example"),
        );
        session.delivers(&from, &[&to], b"Subject: own\r\n\r\nx\r\n");
    }
    relay.daemon().wait_for_log("at once from now on");
    until_true("all of it goes", || hop.messages() == 12);
}
