//! TLS sessions are resumed in both directions, over restarts and reloads, and never where somebody
//! else would be believed than when they were made.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use relay::tls::{ClientTls, Trust, pins_of_file};
use rustls::{ClientConfig, HandshakeKind, ServerConfig, server::ProducesTickets};
use tests::{
    agent::{Agent, CRON, CRON_ARGUMENTS},
    identity::{Identity, write},
    peers,
    postfix::Postfix,
    session::Session,
    sink::{Script, Sink},
    smarthost::Smarthost,
    wait::{free_address, until, until_true},
};

const MESSAGE: &[u8] = b"Subject: test\r\n\r\ntext\r\n";

/// Three kinds of listener, all with STARTTLS but the second one.
fn listeners(smarthost: &Smarthost) -> ([SocketAddr; 3], String) {
    let all = [smarthost.address(), free_address(), free_address()];
    let setting = format!(
        "networks = [\"127.0.0.0/8\"]\nlisten = [\"{}\", {{ address = \"{}\", tls = \"wrapped\" }}, \
         {{ address = \"{}\", submission = false }}]\n",
        all[0], all[1], all[2]
    );
    (all, setting)
}

/// One session of `openssl s_client`; whether it was resumed.
fn openssl(to: SocketAddr, wrapped: bool, arguments: &[&str]) -> bool {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &to.to_string()]);
    if !wrapped {
        command.args(["-starttls", "smtp"]);
    }
    let mut client = command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = client.stdin.take().unwrap();
    input.write_all(b"NOOP\r\n").unwrap();
    let mut output = BufReader::new(client.stdout.take().unwrap());
    let mut said = String::new();
    // Behind the tickets.
    while !said.ends_with("250 2.0.0 Ok\r\n") {
        let count = output.read_line(&mut said).unwrap();
        assert!(count > 0, "openssl ended: {said}");
    }
    input.write_all(b"Q\n").unwrap();
    client.wait().unwrap();
    assert!(said.contains("\nNew, ") != said.contains("\nReused, "));
    said.contains("\nReused, ")
}

/// Row B7.
#[test]
fn a_client_resumes_its_session_after_kill_9_and_only_at_the_kind_of_listener_that_made_it() {
    if peers::find("openssl").is_none() {
        return;
    }
    let mut smarthost = Smarthost::prepare("");
    let (all, setting) = listeners(&smarthost);
    smarthost.configure(&setting);
    smarthost.run();
    let directory = smarthost.directory().to_owned();
    let file = |at: usize, version: &str| {
        let file = directory.join(format!("session{at}{version}"));
        peers::text(&file).to_owned()
    };
    let versions = ["-tls1_2", "-tls1_3"];
    for version in versions {
        for (at, address) in all.into_iter().enumerate() {
            let made = [version, "-sess_out", &file(at, version)];
            assert!(!openssl(address, at == 1, &made));
        }
    }
    smarthost.kill();
    smarthost.run();
    for version in versions {
        for at in 0..3 {
            for (to, address) in all.into_iter().enumerate() {
                let kept = [version, "-sess_in", &file(at, version)];
                let resumed = openssl(address, to == 1, &kept);
                assert_eq!(resumed, at == to, "{version}: from {at} to {to}");
            }
        }
    }
    let log = smarthost.daemon().log();
    assert_eq!(log.matches(" resumed\n").count(), 6, "{log}");
    let keys = directory.join("state/tls-ticket-keys");
    let mode = fs::metadata(keys).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

/// Row B7.
#[test]
fn what_a_session_was_made_under_is_what_it_is_good_for() {
    let identity = Identity::new("mail.example.test");
    let mut smarthost = Smarthost::prepare("");
    let (all, listeners) = listeners(&smarthost);
    let directory = smarthost.directory().to_owned();
    let [known, other] = ["known", "other"].map(|name| {
        Identity::new(name).write(&directory, name);
        let file = |end: &str| directory.join(format!("{name}.{end}"));
        let pair = (file("pem"), file("key"));
        let shown = Some((pair.0.as_path(), pair.1.as_path()));
        let tls = ClientTls::with_identity(&Trust::Opportunistic, shown).unwrap();
        (tls.config, pins_of_file(&pair.0).unwrap().pin().to_string())
    });
    let configure = |smarthost: &Smarthost, pins: &str| {
        smarthost.configure(&format!(
            "{}client_pins = {{ {pins} }}\ngreet_wait = \"0s\"\ntls = {{ certificate = \"$DIR/own.pem\", key = \"$DIR/own.key\" }}\n",
            listeners.replace("127.0.0.0/8", "127.0.0.77/32")
        ));
    };
    let both = format!("\"{}\" = \"one\", \"{}\" = \"two\"", known.1, other.1);
    let reload = |smarthost: &Smarthost| {
        let output = smarthost.admin(&["reload"]);
        assert!(output.status.success(), "{output:?}");
    };
    // How the handshake went, and whether mail to anywhere is taken.
    let says = |to: SocketAddr, config: &Arc<ClientConfig>| {
        let mut session = Session::greeted(to).starttls(Arc::clone(config));
        session.say("MAIL FROM:<a@example.org>");
        let code = session.say("RCPT TO:<b@example.net>").code;
        (session.handshake().unwrap(), code)
    };
    let (new, again) = (HandshakeKind::Full, HandshakeKind::Resumed);
    identity.write(&directory, "own");
    configure(&smarthost, "");
    smarthost.run();

    // Nobody is asked for a key yet.
    assert_eq!(says(all[0], &known.0), (new, 554));
    assert_eq!(says(all[0], &known.0), (again, 554));
    configure(&smarthost, &both);
    reload(&smarthost);
    assert_eq!(says(all[0], &known.0), (new, 250));
    assert_eq!(says(all[0], &known.0), (again, 250));
    assert_eq!(says(all[0], &other.0), (new, 250));
    // Port 25 asks for none, and its sessions are none of the other's.
    assert_eq!(says(all[2], &known.0), (new, 554));
    assert_eq!(says(all[0], &known.0).1, 250);
    // A reload without a change, and a restart.
    reload(&smarthost);
    assert_eq!(says(all[0], &other.0), (again, 250));
    smarthost.kill();
    smarthost.run();
    assert_eq!(says(all[0], &other.0), (again, 250));
    // The key is believed no more.
    configure(&smarthost, &format!("\"{}\" = \"one\"", known.1));
    reload(&smarthost);
    assert_eq!(says(all[0], &other.0), (new, 554));
    assert_eq!(says(all[0], &known.0), (new, 250));
    assert_eq!(says(all[0], &known.0), (again, 250));
    // The certificate is renewed: whoever comes sees the new one.
    identity
        .renewed("mail.example.test")
        .write(&directory, "own");
    reload(&smarthost);
    assert_eq!(says(all[0], &known.0), (new, 250));
    assert_eq!(says(all[0], &known.0), (again, 250));
}

#[test]
fn a_file_of_ticket_keys_that_cannot_be_used_stops_no_start_and_is_made_anew() {
    type Damage = fn(&Path);
    let damages: &[(&str, Damage)] = &[
        ("there is no key in it", |file| write(file, "")),
        ("line 1 is no key", |file| write(file, "what is this?\n")),
        ("not UTF-8", |file| write(file, [0xff; 300])),
        ("longer than", |file| write(file, "#".repeat(20_000))),
        ("line 4 is no key", |file| {
            let text = fs::read_to_string(file).unwrap();
            write(file, text + "17");
        }),
        ("others may read it", |file| {
            fs::set_permissions(file, fs::Permissions::from_mode(0o640)).unwrap();
        }),
        ("not a regular file", |file| {
            fs::remove_file(file).unwrap();
            let made = Command::new("mkfifo").arg(file).status().unwrap();
            assert!(made.success());
        }),
        ("not a regular file", |file| {
            fs::remove_file(file).unwrap();
            symlink("/dev/zero", file).unwrap();
        }),
        ("not a regular file", |file| {
            fs::remove_file(file).unwrap();
            fs::create_dir(file).unwrap();
        }),
    ];
    let mut smarthost = Smarthost::start("networks = [\"127.0.0.0/8\"]\n");
    let file = smarthost.directory().join("state/tls-ticket-keys");
    let config = ClientTls::new(&Trust::Opportunistic).unwrap().config;
    let handshake = |smarthost: &Smarthost| {
        let session = Session::greeted(smarthost.address()).starttls(Arc::clone(&config));
        session.handshake().unwrap()
    };
    assert_eq!(handshake(&smarthost), HandshakeKind::Full);
    for (told, damage) in damages {
        smarthost.kill();
        damage(&file);
        smarthost.run();
        let log = smarthost.daemon().log();
        let line = log.lines().find(|line| line.contains("tls-ticket-keys"));
        assert!(
            line.is_some_and(|line| line.contains(told)),
            "{told}: {log}"
        );
        assert_eq!(handshake(&smarthost), HandshakeKind::Full, "{told}");
        assert_eq!(handshake(&smarthost), HandshakeKind::Resumed, "{told}");
        if !file.is_dir() {
            let mode = file.symlink_metadata().unwrap().permissions().mode();
            assert_eq!(mode, 0o100_600, "{told}");
        }
    }
    // Where none can be written the keys are good until the end.
    smarthost
        .daemon()
        .wait_for_log("cannot resume TLS sessions after a restart");
}

/// How often a log says that a connection was made in full, and how often that one was resumed.
fn handshakes(log: &str) -> (usize, usize) {
    let lines = log
        .lines()
        .filter(|it| it.contains("TLS connection established to"));
    let (resumed, full): (Vec<&str>, Vec<&str>) = lines.partition(|it| it.contains(" resumed"));
    (full.len(), resumed.len())
}

/// Row B7.
#[test]
fn sessions_with_postfix_are_resumed_over_reloads_until_the_pins_change() {
    // With TLS 1.3 Postfix gives a ticket in a full handshake only, and each is good for one.
    for (version, least) in [("TLSv1.2", 3), ("TLSv1.3", 2)] {
        let Some(postfix) = Postfix::start(&format!(
            "virtual_mailbox_domains = example.net\nvirtual_mailbox_base = $DIR/mail\n\
             virtual_mailbox_maps = static:box/\nvirtual_uid_maps = static:65534\n\
             virtual_gid_maps = static:65534\nvirtual_minimum_uid = 100\n\
             smtpd_tls_protocols = {version}\n"
        )) else {
            return;
        };
        let pin = pins_of_file(&postfix.directory().join("postfix.pem"))
            .unwrap()
            .pin();
        let setting = |pins: &str| {
            format!(
                "networks = [\"127.0.0.0/8\"]\nrelayhost = \"[127.0.0.1]:{}\"\nrelay_tls = {{ pins = [{pins}] }}\n",
                postfix.port()
            )
        };
        let mut smarthost = Smarthost::start(&setting(&format!("\"{pin}\"")));
        let mut count = 0;
        let mut send = |smarthost: &mut Smarthost| {
            let mut session = Session::greeted(smarthost.address());
            session.delivers("a@example.org", &["box@example.net"], MESSAGE);
            count += 1;
            until_true("Postfix has delivered", || postfix.mailbox().len() >= count);
            handshakes(&smarthost.daemon().log())
        };
        // What is kept of a connection ends with each reload.
        let reload = |smarthost: &Smarthost| {
            assert!(smarthost.admin(&["reload"]).status.success());
        };
        let mut seen = send(&mut smarthost);
        assert_eq!(seen, (1, 0), "{version}");
        for _ in 0..3 {
            reload(&smarthost);
            seen = send(&mut smarthost);
        }
        assert!(
            seen.0 + seen.1 == 4 && seen.1 >= least,
            "{version}: {seen:?}"
        );
        // One more pin is another trust.
        smarthost.configure(&setting(&format!(
            "\"{pin}\", \"sha256:{}\"",
            "0".repeat(64)
        )));
        reload(&smarthost);
        let (full, resumed) = send(&mut smarthost);
        assert_eq!((full, resumed), (seen.0 + 1, seen.1), "{version}");
    }
}

/// Row B7.
#[test]
fn the_agent_resumes_its_sessions_and_survives_a_relayhost_that_has_forgotten_them() {
    let identity = Identity::new("relay.example.test");
    let sink = Sink::with(Script::with_tls(identity.server()));
    let mut agent = Agent::prepare("");
    identity.write(agent.directory(), "relay");
    let pin = pins_of_file(&agent.directory().join("relay.pem"))
        .unwrap()
        .pin();
    agent.configure(&format!(
        "relayhost = \"{}\"\npins = [\"{pin}\"]\n",
        sink.nexthop()
    ));
    agent.run();
    let mut count = 0;
    let mut send = |agent: &mut Agent, connections: usize| {
        agent.send(&CRON_ARGUMENTS, CRON);
        count += 1;
        until("the mail is sent over so many connections", || {
            let log = agent.daemon().log();
            let (full, resumed) = handshakes(&log);
            let is_sent = log.matches("status=sent").count() == count;
            (is_sent && full + resumed == connections).then_some((full, resumed))
        })
    };
    assert_eq!(send(&mut agent, 1), (1, 0));
    sink.hang_up();
    assert_eq!(send(&mut agent, 2), (1, 1));
    sink.hang_up();
    assert_eq!(send(&mut agent, 3), (1, 2));
    // A restart of the relayhost, which remembers nothing.
    sink.play(Script::with_tls(identity.server()));
    sink.hang_up();
    assert_eq!(send(&mut agent, 4), (2, 2));
    assert!(!agent.daemon().log().contains("status=deferred"));
}

/// Takes each ticket for another one, so that the handshake ends with an alert.
#[derive(Debug, Default)]
struct Confused(Mutex<Vec<Vec<u8>>>);
impl ProducesTickets for Confused {
    fn enabled(&self) -> bool {
        true
    }
    fn lifetime(&self) -> u32 {
        3600
    }
    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        let mut given = self.0.lock().unwrap();
        given.push(session.to_vec());
        Some(vec![u8::try_from(given.len() - 1).unwrap()])
    }
    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let given = self.0.lock().unwrap();
        given.get(usize::from(ticket.first()? ^ 1)).cloned()
    }
}

#[test]
fn a_next_hop_that_breaks_over_a_session_gets_its_mail_at_once_and_encrypted() {
    let identity = Identity::new("relay.example.test");
    let mut server = ServerConfig::clone(&identity.server_of(&[&rustls::version::TLS13]));
    server.ticketer = Arc::new(Confused::default());
    let sink = Sink::with(Script::with_tls(Arc::new(server)));
    let mut smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\n",
        sink.nexthop()
    ));
    for (sent, connections) in [(1, 1), (2, 3), (3, 4)] {
        Session::greeted(smarthost.address()).delivers(
            "a@example.org",
            &["b@example.net"],
            MESSAGE,
        );
        until_true("the mail is sent", || {
            smarthost.daemon().log().matches("status=sent").count() == sent
        });
        let log = smarthost.daemon().log();
        assert_eq!(handshakes(&log), (sent, 0), "{log}");
        assert!(!log.contains("status=deferred"), "{log}");
        assert_eq!(sink.connections(), connections, "{log}");
        sink.hang_up();
    }
}
