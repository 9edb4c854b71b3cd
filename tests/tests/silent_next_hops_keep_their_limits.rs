//! Next hops that fall silent at some messages: they see no more connections than they may, silent
//! ones with them, and good mail goes past all the same.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::Ipv4Addr;

use tests::{
    agent::Agent,
    peers,
    resolver::{Record, Resolver},
    session::Session,
    sink::{SILENCE, Script, Sink},
    smarthost::Smarthost,
    wait::until_true,
};

const MESSAGE: &[u8] = b"Subject: hello\r\n\r\nhello\r\n";
/// Why a message waits whose silent connection was wanted for others.
const CUT: &str = "timed out early";

/// Silent in answer to commands that begin so.
fn silent_at(command: &str) -> Script {
    Script {
        answers: vec![(command.to_owned(), SILENCE.to_owned())],
        ..Script::default()
    }
}

fn silent_after_the_dot() -> Script {
    Script {
        after_message: SILENCE.to_owned(),
        ..Script::default()
    }
}

/// A next hop that takes two connections.
struct Way {
    sink: Sink,
    by: By,
}

enum By {
    Smarthost(Smarthost, &'static str),
    Machine(Agent),
}

impl Way {
    fn send(&self, name: &str) {
        match &self.by {
            By::Smarthost(smarthost, domain) => {
                let to = format!("{name}@{domain}");
                Session::greeted(smarthost.address()).delivers("a@example.org", &[&to], MESSAGE);
            }
            By::Machine(machine) => {
                machine.send(&[&format!("{name}@example.net")], "Subject: x\n\nhello\n");
            }
        }
    }

    /// With another behaviour for the connections that come.
    fn plays(&self, script: &Script) {
        let lmtp = matches!(self.by, By::Smarthost(_, "lmtp.example"));
        self.sink.play(Script {
            lmtp,
            ..script.clone()
        });
    }

    fn has_got(&self, name: &str) -> usize {
        let all = self.sink.journal().messages();
        let is_it = |to: &String| to.starts_with(name);
        all.iter()
            .filter(|it| it.recipients.iter().any(is_it))
            .count()
    }

    fn waits(&self, why: &str) -> bool {
        match &self.by {
            By::Smarthost(smarthost, _) => smarthost.mailq().contains(why),
            By::Machine(machine) => machine.mailq().contains(why),
        }
    }
}

/// One relayhost, a transport of LMTP, and a machine's agent; all bring two connections at most.
fn ways() -> [Way; 3] {
    let sinks = [0; 3].map(|_| Sink::start());
    let hops = sinks.each_ref().map(Sink::nexthop);
    let settings = "networks = [\"127.0.0.0/8\"]\n";
    let bys = [
        By::Smarthost(
            Smarthost::start(&format!(
                "{settings}relayhost = \"{}\"\nconcurrency = {{ destination = 2 }}\n",
                hops[0]
            )),
            "example.net",
        ),
        By::Smarthost(
            Smarthost::start(&format!(
                "{settings}routes = {{ \"lmtp.example\" = \"few\" }}\n\
                 [transports.few]\ntype = \"lmtp\"\nnexthop = \"{}\"\nconnections = 2\n",
                hops[1]
            )),
            "lmtp.example",
        ),
        By::Machine(Agent::start(&format!(
            "relayhost = \"{}\"\ntls = \"none\"\nconnections = 2\n",
            hops[2]
        ))),
    ];
    let mut sinks = sinks.into_iter();
    bys.map(|by| Way {
        sink: sinks.next().unwrap(),
        by,
    })
}

#[test]
fn good_mail_passes_messages_at_which_the_next_hop_is_silent_and_no_connection_is_one_too_many() {
    for command in ["MAIL", "RCPT", "DATA"] {
        let ways = ways();
        for way in &ways {
            way.plays(&silent_at(command));
            for _ in 0..2 {
                way.send("silent");
            }
        }
        for way in &ways {
            until_true("both connections are silent", || {
                way.sink.connections() >= 2
            });
            way.plays(&Script::default());
            for _ in 0..3 {
                way.send("good");
            }
        }
        for way in &ways {
            until_true("good mail goes past", || way.has_got("good") == 3);
            until_true("the silent one waits on its own", || way.waits(CUT));
            assert_eq!(way.sink.most_at_once(), 2, "{command}");
        }
    }
}

/// Whoever has a message may have taken it: only the peer ends that.
#[test]
fn a_message_that_is_out_keeps_its_connection_and_leaves_the_other_one_to_good_mail() {
    let ways = ways();
    for way in &ways {
        way.plays(&silent_after_the_dot());
        way.send("silent");
        until_true("it is out", || way.has_got("silent") == 1);
        way.plays(&Script::default());
        for number in 1..=5 {
            way.send("good");
            until_true("good mail goes past", || way.has_got("good") == number);
        }
    }
    for way in &ways {
        assert!(way.sink.most_at_once() <= 2);
        assert_eq!(way.has_got("silent"), 1, "sent once");
        assert!(!way.waits(CUT));
    }
}

/// The host behind ten domains takes two connections, and is silent at the first messages.
#[test]
fn a_host_that_dns_names_sees_two_connections_though_it_is_silent_and_good_mail_goes_past() {
    if !peers::mounts() {
        return;
    }
    let server = Ipv4Addr::new(127, 0, 14, 215);
    let _resolver = Resolver::with(server, |name| match name {
        "mx.prov.example" => Some(vec![Record::A(Ipv4Addr::LOCALHOST)]),
        _ => Some(vec![Record::Mx("mx.prov.example")]),
    });
    let sink = Sink::with(silent_at("RCPT"));
    let port = sink.address().port();
    let routes: Vec<String> = (0..10)
        .map(|n| format!("\"d{n}.example\" = \"few:d{n}.example:{port}\""))
        .collect();
    let mut smarthost = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.0/8\"]\nresolver = \"{server}\"\nroutes = {{ {} }}\n\
         [transports.few]\ntype = \"smtp\"\nconnections = 2\n",
        routes.join(", ")
    ));
    smarthost.file("resolv.conf", &format!("nameserver {server}\n"));
    smarthost.file("hosts", "127.0.0.1 localhost\n");
    smarthost.in_mount_namespace(
        "mount --bind $DIR/hosts /etc/hosts && mount --bind $DIR/resolv.conf /etc/resolv.conf",
    );
    smarthost.run();
    let mut session = Session::greeted(smarthost.address());
    for number in 0..2 {
        let to = format!("silent@d{number}.example");
        session.delivers("a@example.org", &[&to], MESSAGE);
    }
    until_true("both connections are silent", || sink.connections() >= 2);
    sink.play(Script::default());
    for number in 0..10 {
        let to = format!("good@d{number}.example");
        session.delivers("a@example.org", &[&to], MESSAGE);
    }
    sink.journal().wait_for(10);
    smarthost.wait_for_mailq("that it was cut", |text| text.contains(CUT));
    assert_eq!(sink.most_at_once(), 2);
}
