//! Orders of administrators that are answered with "done" are done, and what cannot be done is
//! refused before anything has changed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use tests::{
    enrolment::{bare, line, listed, relay, relay_config, use_line, words},
    identity::write,
    session::Session,
    sink::{Script, Sink, nexthop},
    smarthost::Smarthost,
    wait::{free_address, until_true},
};

/// Rows that are neither used nor revoked.
fn is_open(relay: &Smarthost) -> bool {
    listed(relay).iter().all(|row| row["state"] == "open")
}

fn id_of_the_only_one(smarthost: &Smarthost) -> String {
    let ids = words(&smarthost.admin(&["queue", "list", "--json"]));
    let id = ids.split("\"queue_id\":\"").nth(1).unwrap();
    id.split('"').next().unwrap().to_owned()
}

/// A next hop that has a message, says so, and takes it when it may.
fn slow_hop() -> (SocketAddr, Receiver<()>, Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (has, arrived) = mpsc::channel();
    let (may, allowed) = mpsc::channel();
    let allowed = Arc::new(Mutex::new(allowed));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (has, allowed) = (has.clone(), Arc::clone(&allowed));
            thread::spawn(move || converse(stream, &has, &allowed));
        }
    });
    (address, arrived, may)
}

fn converse(mut stream: TcpStream, has: &Sender<()>, allowed: &Mutex<Receiver<()>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut reply = "220 slow.example.test ESMTP";
    let mut in_message = false;
    // Who has gone hears nothing.
    while write!(stream, "{reply}\r\n").is_ok() {
        reply = loop {
            let Some(Ok(line)) = lines.next() else {
                return;
            };
            match (in_message, &*line) {
                (true, ".") => {
                    in_message = false;
                    has.send(()).unwrap();
                    if allowed.lock().unwrap().recv().is_err() {
                        return;
                    }
                    break "250 2.0.0 Ok: taken";
                }
                (true, _) => {}
                (false, "DATA") => {
                    in_message = true;
                    break "354 go on";
                }
                (false, _) => break "250 2.0.0 Ok",
            }
        };
    }
}

#[test]
fn an_order_about_mail_that_is_being_delivered_says_so_and_the_log_says_what_became_of_it() {
    let (address, arrived, may) = slow_hop();
    let config = format!("relayhost = \"{}\"\n", nexthop(address));
    let mut smarthost = Smarthost::start(&config);
    for order in ["hold", "delete", "bounce"] {
        let mut session = Session::greeted(smarthost.address());
        let mail = b"Subject: x\r\n\r\nx\r\n";
        session.delivers("a@example.net", &["b@example.net"], mail);
        arrived.recv().unwrap();
        let id = id_of_the_only_one(&smarthost);
        let told = words(&smarthost.admin(&["queue", order, &id]));
        assert!(
            told.contains("unless the attempt that is under way delivers it")
                && told.contains("0 messages"),
            "{told}"
        );
        may.send(()).unwrap();
        let late = format!("{id}: the order to hold, delete or return it came too late");
        smarthost.daemon().wait_for_log(&late);
        smarthost.wait_for_mailq("an empty queue", |listing| listing.contains("is empty"));
    }
}

#[test]
fn mail_on_hold_has_no_next_attempt_until_it_is_released() {
    let sink = Sink::with(Script {
        recipients: vec![("b@example.net".to_owned(), "450 4.2.0 later".to_owned())],
        ..Script::default()
    });
    let smarthost = &mut Smarthost::start(&format!("relayhost = \"{}\"\n", sink.nexthop()));
    let mut session = Session::greeted(smarthost.address());
    let mail = b"Subject: x\r\n\r\nx\r\n";
    session.delivers("a@example.net", &["b@example.net"], mail);
    smarthost.wait_for_mailq("it waits", |listing| listing.contains("4.2.0 later"));
    let id = id_of_the_only_one(smarthost);
    let log = smarthost.directory().join("log");
    let told = |smarthost: &mut Smarthost| {
        write(&log, smarthost.daemon().log());
        let log = log.to_str().unwrap();
        let lines = [&["queue", "show", &id][..], &["trace", &id, "--log", log]];
        lines.map(|line| words(&smarthost.admin(line)).to_lowercase())
    };
    for text in told(smarthost) {
        assert!(text.contains("next attempt"), "{text}");
    }
    assert!(smarthost.admin(&["queue", "hold", &id]).status.success());
    for text in told(smarthost) {
        assert!(!text.contains("next attempt"), "{text}");
    }
}

#[test]
fn a_flush_while_the_configuration_is_wrong_is_refused_and_does_its_work_once_it_is_mended() {
    let sink = Sink::start();
    let good = format!("relayhost = \"{}\"\n", sink.nexthop());
    let mut smarthost = Smarthost::prepare(&good.replace("relayhost", "relayhots"));
    smarthost.run();
    let mut session = Session::greeted(smarthost.address());
    let mail = b"Subject: x\r\n\r\nx\r\n";
    session.delivers("a@example.net", &["b@example.net"], mail);
    let id = &id_of_the_only_one(&smarthost);
    for order in [
        &["queue", "flush"][..],
        &["queue", "flush", id],
        &["queue", "flush", "--recipient", "b@"],
    ] {
        let told = smarthost.admin(order);
        let text = words(&told);
        assert_eq!(told.status.code(), Some(1), "{text}");
        assert!(
            text.contains("until the configuration is mended") && text.contains("relayhots"),
            "{text}"
        );
    }
    smarthost.configure(&good);
    smarthost.daemon().wait_for_log("starting anew");
    until_true("the daemon that started anew takes the order", || {
        let told = smarthost.admin(&["queue", "flush"]);
        told.status.success()
    });
    let journal = sink.journal();
    until_true("it goes", || journal.times_asked_for("b@example.net") > 0);
}

/// Files that others than their user may read or write; a certificate is for everybody.
fn open_files(directory: &Path) -> Vec<PathBuf> {
    let mut open = Vec::new();
    for found in fs::read_dir(directory).unwrap() {
        let path = found.unwrap().path();
        // The daemon is at work there.
        let Ok(found) = path.symlink_metadata() else {
            continue;
        };
        if found.is_dir() {
            open.extend(open_files(&path));
        } else if found.is_file()
            && found.permissions().mode() & 0o077 != 0
            && !path.ends_with("cert.pem")
        {
            open.push(path);
        }
    }
    open
}

#[test]
fn what_is_kept_in_directories_that_everybody_may_enter_is_read_by_nobody_else() {
    let smarthost = &mut Smarthost::prepare("maildir = \"none\"\nrelayhost = \"[127.0.0.1]:9\"\n");
    let places = ["spool", "state"].map(|name| smarthost.directory().join(name));
    for place in &places {
        fs::create_dir(place).unwrap();
        fs::set_permissions(place, fs::Permissions::from_mode(0o755)).unwrap();
    }
    // As an earlier version made it.
    let lock = places[0].join("lock");
    write(&lock, "");
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o644)).unwrap();
    for _ in 0..2 {
        smarthost.run();
        let mut session = Session::greeted(smarthost.address());
        let mail = b"Subject: x\r\n\r\nx\r\n";
        session.delivers("a@example.net", &["b@example.net"], mail);
        for place in &places {
            assert_eq!(open_files(place), Vec::<PathBuf>::new());
        }
        let told = words(&smarthost.admin(&["check"]));
        for place in &places {
            let remedy = format!("chmod 0700 {}", place.display());
            assert!(told.contains(&remedy), "{told}");
        }
        smarthost.daemon().stop();
        for name in ["state.sqlite", "state.sqlite-wal"] {
            let kept = places[1].join(name);
            if kept.exists() {
                fs::set_permissions(&kept, fs::Permissions::from_mode(0o644)).unwrap();
            }
        }
    }
}

#[test]
fn a_line_for_a_port_of_another_kind_of_tls_is_refused_before_the_relay_hears_of_it() {
    let sink = Sink::start();
    let (plain, wrapped) = (free_address(), free_address());
    let listen =
        format!("listen = [\"{plain}\", {{ address = \"{wrapped}\", tls = \"wrapped\" }}]\n");
    let first = relay(&sink, "");
    let second = &mut Smarthost::prepare(&relay_config(&sink, &listen));
    second.run();
    let machine = bare();
    let output = use_line(&machine, &line(&first, "vm7"));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let at = wrapped.to_string();
    let other = second.admin(&["enroll", "vm7", "--relay", &at]);
    let other = String::from_utf8(other.stdout).unwrap().trim().to_owned();
    assert!(other.contains(",wrapped,"), "{other}");
    for words_of in [&["enroll", &other][..], &["enroll", "--new-key", &other]] {
        let output = machine.admin(words_of);
        let told = words(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("for a port of the same kind"), "{told}");
        assert!(is_open(second), "{:?}", listed(second));
        assert!(listed(&first).iter().all(|row| row["next_key"].is_null()));
    }
    // With a line for the right port it goes on as if nothing had been.
    let at = plain.to_string();
    let right = second.admin(&["enroll", "vm7", "--relay", &at]);
    let right = String::from_utf8(right.stdout).unwrap().trim().to_owned();
    let output = use_line(&machine, &right);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn what_pin_prints_leads_clients_to_the_port_that_there_is() {
    let wrapped = free_address();
    let listen = format!("listen = {{ address = \"{wrapped}\", tls = \"wrapped\" }}\n");
    let smarthost = &mut Smarthost::prepare(&listen);
    smarthost.run();
    let port = wrapped.port();
    let told = words(&smarthost.admin(&["pin"]));
    for wanted in [
        format!("relayhost = \"mail.example.test:{port}\"\ntls = \"wrapped\"\npins = [\"sha256:"),
        format!("relayhost = [mail.example.test]:{port}\nsmtp_tls_wrappermode = yes\n"),
    ] {
        assert!(told.contains(&wanted), "{told}");
    }
    let smarthost = Smarthost::start("");
    let port = smarthost.address().port();
    let told = words(&smarthost.admin(&["pin"]));
    let wanted = format!("relayhost = \"mail.example.test:{port}\"\npins = [\"sha256:");
    assert!(told.contains(&wanted), "{told}");
}

#[test]
fn settings_are_not_provided_where_nothing_reads_them() {
    let smarthost = Smarthost::prepare("");
    let machine = bare();
    let answers = ["provision", "--answers", "relayhost=[127.0.0.1]:9"];
    for (told, directory) in [
        (smarthost.admin(&answers), smarthost.directory()),
        (machine.admin(&answers), machine.directory()),
    ] {
        assert_eq!(told.status.code(), Some(2), "{told:?}");
        assert!(words(&told).contains("nothing reads"), "{told:?}");
        assert!(!directory.join("debconf.toml").exists());
    }
}

#[test]
fn only_what_was_held_is_counted_as_released() {
    let smarthost = Smarthost::start("relayhost = \"[127.0.0.1]:9\"\n");
    let mut session = Session::greeted(smarthost.address());
    for to in ["b@example.net", "c@example.net", "d@example.net"] {
        session.delivers("a@example.net", &[to], b"Subject: x\r\n\r\nx\r\n");
    }
    let order = |order: &[&str]| words(&smarthost.admin(&[&["queue"][..], order].concat()));
    until_true("all wait", || {
        order(&["list", "--json"])
            .matches("\"queue_name\":\"deferred\"")
            .count()
            == 3
    });
    let held = order(&["hold", "--recipient", "b@"]);
    assert_eq!(held, "1 message held\n");
    assert_eq!(order(&["release", "--all"]), "1 message released\n");
    assert_eq!(order(&["release", "--all"]), "0 messages released\n");
}
