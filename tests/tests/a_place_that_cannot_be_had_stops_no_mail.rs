//! A configuration that can be read, but not put into force: a queue in a file, a socket nowhere,
//! an address that is another's. The last good one is used where that can be, and what mail does
//! not need stops none.
#![expect(
    clippy::disallowed_methods,
    reason = "what a test renames has to outlive nothing"
)]

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Output,
};

use tests::{
    agent::{Agent, config},
    identity::write,
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
    wait::{free_address, until},
};

const LAST_GOOD: &str = "the last good configuration stays in force";

fn said(output: &Output) -> String {
    let all = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&all).into_owned()
}

fn deliver(address: SocketAddr) {
    let mut session = Session::greeted(address);
    session.delivers(
        "a@example.net",
        &["b@example.net"],
        b"Subject: x\r\n\r\ntext\r\n",
    );
}

/// Settings that nobody can put into force, and a word of what is told.
fn impossible(directory: &Path) -> Vec<(&'static str, String)> {
    let file = directory.join("file");
    write(&file, "not a directory");
    let file = file.display();
    let long = "y".repeat(120);
    let below = |name: &str| format!("{:?}", format!("{file}/{name}"));
    vec![
        ("control", below("control")),
        ("control", format!("\"/tmp/{long}\"")),
        ("spool", format!("\"{file}\"")),
        ("spool", below("spool")),
        ("spool", "\"/proc/spool\"".to_owned()),
    ]
}

#[test]
fn a_smarthost_goes_on_with_its_last_good_configuration_where_the_new_one_cannot_be_put_into_force()
{
    let sink = Sink::start();
    let good = format!(
        "relayhost = \"{}\"\nadmins = \"admins@example.test\"",
        sink.nexthop()
    );
    let mut smarthost = Smarthost::start(&good);
    let mut wrong = impossible(smarthost.directory());
    let file = smarthost.directory().join("file");
    wrong.push(("state", format!("\"{}\"", file.display())));
    let anothers = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = anothers.local_addr().unwrap();
    for address in [taken.to_string(), "192.0.2.77:2525".to_owned()] {
        wrong.push(("listen", format!("\"{address}\"")));
    }
    for (arrived, (key, value)) in (1..).zip(wrong) {
        smarthost.configure(&format!("{good}\n{key} = {value}"));
        let reload = smarthost.admin(&["reload"]);
        // Its control socket stands where the file no longer says.
        if key != "control" {
            assert_eq!(reload.status.code(), Some(1), "{key} = {value}");
            assert!(said(&reload).contains(key), "{}", said(&reload));
        }
        if key != "listen" {
            let check = smarthost.admin(&["check"]);
            assert!(!check.status.success(), "{key} = {value}: {}", said(&check));
            assert!(said(&check).contains(&format!("`{key}`")) || said(&check).contains(key));
        }
        smarthost.daemon().stop();
        smarthost.run();
        deliver(smarthost.address());
        let log = smarthost.daemon().wait_for_log(LAST_GOOD);
        assert!(log.contains(key), "{key} = {value}: {log}");
        // Notices that come soon after each other are one.
        until("the mail and a notice of the fault arrive", || {
            let journal = sink.journal();
            let messages = journal.messages();
            let of = |part: &str| {
                let all = messages.iter().map(|it| it.field("Subject"));
                all.filter(|subject| subject.contains(part)).count()
            };
            let told = of("configuration of smarthost is wrong");
            (of("x") >= arrived && told >= 1).then_some(())
        });
        smarthost.configure(&good);
        smarthost.daemon().wait_for_log("reloaded ");
    }
}

#[test]
fn a_smarthost_one_of_whose_addresses_is_anothers_listens_on_the_others_and_there_when_it_is_free()
{
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let sink = Sink::start();
    let own = free_address();
    let mut smarthost = Smarthost::prepare(&format!(
        "relayhost = \"{}\"\nadmins = \"admins@example.test\"\nlisten = [\"{own}\", \"{address}\"]",
        sink.nexthop()
    ));
    smarthost.run();
    let told = format!("cannot listen on {address}");
    assert!(smarthost.daemon().log().contains(&told));
    deliver(own);
    let status = said(&smarthost.admin(&["status"]));
    assert!(status.contains(&told), "{status}");
    until("the administrators are told", || {
        let journal = sink.journal();
        let subjects = journal.messages().into_iter().map(|it| it.field("Subject"));
        let mut told = subjects.filter(|subject| subject.contains("cannot listen on all"));
        told.next().map(drop)
    });
    drop(taken);
    smarthost
        .daemon()
        .wait_for_log(&format!("listens on {address} now"));
    deliver(address);
    let status = said(&smarthost.admin(&["status"]));
    assert!(!status.contains(&told), "{status}");
}

#[test]
fn a_smarthost_whose_control_socket_another_process_has_takes_mail() {
    let sink = Sink::start();
    let mut smarthost = Smarthost::prepare(&format!("relayhost = \"{}\"", sink.nexthop()));
    let path = smarthost.directory().join("control.sock");
    let _held = std::os::unix::net::UnixListener::bind(&path).unwrap();
    smarthost.run();
    assert!(smarthost.daemon().log().contains("no control socket"));
    deliver(smarthost.address());
    sink.journal().wait_for(1);
}

#[test]
fn an_agent_goes_on_with_its_last_good_configuration_where_the_new_one_cannot_be_put_into_force() {
    let sink = Sink::start();
    let good = config(&sink.nexthop(), "");
    let mut machine = Agent::start(&good);
    let mut wrong = impossible(machine.directory());
    let below = machine.directory().join("file/submit.sock");
    wrong.push(("socket", format!("\"{}\"", below.display())));
    let socket = machine.directory().join("submit.sock");
    for (arrived, (key, value)) in (1..).zip(wrong) {
        machine.configure(&format!("{good}\n{key} = {value}"));
        let check = machine.admin(&["check"]);
        assert_ne!(check.status.code(), Some(0), "{key} = {value}");
        assert!(said(&check).contains(key), "{key}: {}", said(&check));
        machine.daemon().stop();
        machine.run();
        // Where it is the socket, `sendmail` goes past the agent.
        assert!(std::os::unix::net::UnixStream::connect(&socket).is_ok());
        machine.send(&["b@example.net"], "Subject: x\n\ntext\n");
        let log = machine.daemon().wait_for_log(LAST_GOOD);
        assert!(log.contains(key), "{key} = {value}: {log}");
        until("the mail arrives", || {
            let journal = sink.journal();
            let subjects = journal.messages().into_iter().map(|it| it.field("Subject"));
            (subjects.filter(|subject| subject == "x").count() == arrived).then_some(())
        });
        machine.configure(&good);
        until("the agent has started anew", || {
            let log = machine.daemon().log();
            (log.matches("listening on ").count() == 2).then_some(())
        });
    }
}

#[test]
fn an_agent_whose_configuration_elsewhere_cannot_be_read_finds_the_copy_of_the_last_good_one() {
    let sink = Sink::start();
    let good = config(&sink.nexthop(), "");
    let spoil: [fn(&Path); 4] = [
        |_| {},
        |path| fs::create_dir(path).unwrap(),
        |path| write(path, b"\xff\xfe"),
        |path| fs::File::create(path).unwrap().set_len(17 << 20).unwrap(),
    ];
    let mut machine = Agent::start(&good);
    for (told, spoil) in (1..).zip(spoil) {
        machine.daemon().stop();
        let path = machine.config();
        fs::remove_file(&path).unwrap();
        spoil(&path);
        machine.run();
        machine.daemon().wait_for_log(LAST_GOOD);
        // By the relayhost that no file names any more.
        until("the administrators are told", || {
            let journal = sink.journal();
            let messages = journal.messages().into_iter();
            let subjects = messages.map(|it| it.field("Subject"));
            let of_it = subjects.filter(|it| it.contains("configuration of the mail agent"));
            (of_it.count() == told).then_some(())
        });
        if path.is_dir() {
            fs::remove_dir(&path).unwrap();
        }
        machine.configure(&good);
        until("the agent has started anew", || {
            let log = machine.daemon().log();
            (log.matches("listening on ").count() == 2).then_some(())
        });
    }
}

#[test]
fn a_queue_that_was_removed_or_renamed_under_the_running_program_is_an_error_of_check() {
    let sink = Sink::start();
    let smarthost = Smarthost::start(&format!("relayhost = \"{}\"", sink.nexthop()));
    let machine = Agent::start(&config(&sink.nexthop(), ""));
    for directory in [smarthost.directory(), machine.directory()] {
        fs::rename(directory.join("spool"), directory.join("elsewhere")).unwrap();
    }
    for check in [smarthost.admin(&["check"]), machine.admin(&["check"])] {
        let told = said(&check);
        assert!(matches!(check.status.code(), Some(1 | 2)), "{told}");
        assert!(
            told.contains("removed, renamed or replaced while the program runs"),
            "{told}"
        );
    }
    let mut session = Session::greeted(smarthost.address());
    assert_eq!(session.say("MAIL FROM:<a@example.net>").code, 451);
    fs::rename(
        smarthost.directory().join("elsewhere"),
        smarthost.directory().join("spool"),
    )
    .unwrap();
    deliver(smarthost.address());
    sink.journal().wait_for(1);
}

#[test]
fn an_agent_one_of_whose_addresses_is_anothers_says_so_and_listens_there_when_it_is_free() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let own = free_address();
    let sink = Sink::start();
    let listen = format!("listen = [\"{own}\", \"{address}\"]\n");
    let mut machine = Agent::prepare(&config(&sink.nexthop(), &listen));
    let check = said(&machine.admin(&["check"]));
    let told = format!("cannot listen on {address}: ");
    assert!(
        check.contains(&format!("FAIL  listen        {told}")),
        "{check}"
    );
    assert!(
        !check.contains(&format!("cannot listen on {own}")),
        "{check}"
    );
    machine.run();
    let log = machine.daemon().wait_for_log(&told);
    assert!(log.contains("another process has it"), "{log}");
    let listens = |machine: &Agent| {
        let status = said(&machine.admin(&["status", "--json"]));
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        status["listen"].to_string()
    };
    assert!(listens(&machine).contains(&own.to_string()));
    assert!(!listens(&machine).contains(&address.to_string()));
    for command in ["status", "check"] {
        let said = said(&machine.admin(&[command]));
        assert!(said.contains(&told), "{command}: {said}");
    }
    drop(taken);
    machine
        .daemon()
        .wait_for_log(&format!("listens on {address} now"));
    assert!(listens(&machine).contains(&address.to_string()));
    deliver(address);
    until("its mail arrives", || {
        let messages = sink.journal().messages();
        let mut subjects = messages.iter().map(|it| it.field("Subject"));
        subjects.any(|subject| subject == "x").then_some(())
    });
    let check = said(&machine.admin(&["check"]));
    assert!(!check.contains("cannot listen"), "{check}");
}
