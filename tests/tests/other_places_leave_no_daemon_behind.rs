//! A configuration that names another `control` or `state` neither hides the daemon that runs, nor
//! makes another server of the next start; and no two daemons share what they know.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Output, Stdio};

use tests::{
    agent::Agent,
    daemon::Daemon,
    session::Session,
    sink::nexthop,
    smarthost::Smarthost,
    wait::{free_address, until, until_true},
};

fn said(output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(said).unwrap()
}

const OWN: &str = "networks = [\"127.0.0.0/8\"]\naliases = [\"$DIR/machine.aliases\"]\n";

#[test]
fn orders_reach_the_daemon_at_the_control_socket_that_it_has_whatever_the_file_names_by_now() {
    let mut smarthost = Smarthost::start(OWN);
    smarthost.configure(&format!("{OWN}control = \"$DIR/other.sock\"\n"));
    let told = smarthost.admin(&["reload"]);
    assert!(told.status.success(), "{told:?}");
    assert!(
        said(&told).contains("at the next restart only: control"),
        "{told:?}"
    );
    assert!(smarthost.mailq().contains("empty"));
    let told = said(&smarthost.admin(&["check"]));
    let has = "the daemon has older ones: control is ";
    assert!(
        told.contains("runs, process") && told.contains(has),
        "{told}"
    );
    smarthost.daemon().stop();
    assert!(!smarthost.directory().join("control.sock").exists());
    smarthost.run();
    assert!(smarthost.directory().join("other.sock").exists());
    assert!(smarthost.mailq().contains("empty"));
}

/// Clients have pinned its key.
#[test]
fn another_state_replaces_no_key_and_forgets_no_limit_until_what_is_known_was_moved() {
    let limits = "limits = { per_client = [\"2/day\"] }\n";
    let mut smarthost = Smarthost::start(&format!("{OWN}{limits}"));
    let (pin, state) = (smarthost.pin(), smarthost.directory().join("state"));
    let send = |smarthost: &Smarthost| {
        let mut session = Session::greeted(smarthost.address());
        let message = b"Subject: s\r\n\r\nt\r\n";
        let reply = session.mail("a@example.net", &["b@example.net"], message);
        reply.unwrap().code
    };
    assert_eq!([send(&smarthost), send(&smarthost)], [250, 250]);
    smarthost.configure(&format!("{OWN}{limits}state = \"$DIR/moved\"\n"));
    let left = format!("are in {}", state.display());
    for command in ["check", "reload"] {
        let told = smarthost.admin(&[command]);
        assert!(
            !told.status.success() && said(&told).contains(&left),
            "{command}: {told:?}"
        );
    }
    smarthost.daemon().stop();
    smarthost.run();
    smarthost.daemon().wait_for_log(&left);
    assert_eq!((smarthost.pin(), send(&smarthost)), (pin.clone(), 450));
    smarthost.daemon().stop();
    rustix::fs::rename(state.as_path(), smarthost.directory().join("moved")).unwrap();
    smarthost.run();
    assert_eq!((smarthost.pin(), send(&smarthost)), (pin, 450));
    let told = said(&smarthost.admin(&["check"]));
    assert!(!told.contains(&left), "{told}");
}

/// The note of where it was lies in the spool.
#[test]
fn another_state_is_told_by_a_reload_though_the_spool_has_another_name_too() {
    let mut smarthost = Smarthost::start(OWN);
    let pin = smarthost.pin();
    let moved = |state: &str| format!("{OWN}spool = \"$DIR/queue\"\nstate = \"$DIR/{state}\"\n");
    smarthost.configure(&moved("moved"));
    let told = smarthost.admin(&["reload"]);
    let state = smarthost.directory().join("state");
    let left = format!("are in {}", state.display());
    assert!(
        !told.status.success() && said(&told).contains(&left),
        "{told:?}"
    );
    smarthost.configure(&moved("state"));
    let told = said(&smarthost.admin(&["reload"]));
    assert!(told.contains("at the next restart only: spool"), "{told}");
    smarthost.daemon().stop();
    smarthost.run();
    assert_eq!(smarthost.pin(), pin);
}

#[test]
fn a_second_daemon_with_the_state_of_a_first_one_does_not_run_and_takes_nothing_from_it() {
    let mut first = Smarthost::start(OWN);
    let state = first.directory().join("state");
    let second = Smarthost::prepare(&format!("{OWN}state = \"{}\"\n", state.display()));
    let mut command = second.command();
    let output = command.arg("run").stdin(Stdio::null()).output().unwrap();
    let told = format!("state {}: in use by another smarthost", state.display());
    assert!(
        !output.status.success() && said(&output).contains(&told),
        "{output:?}"
    );
    let checked = said(&second.admin(&["check"]));
    assert!(checked.contains(&told), "{checked}");
    assert!(first.mailq().contains("empty"));
    assert!(first.daemon().ended().is_none());
    first.daemon().stop();
    let mut second = second;
    second.run();
}

/// A status that names the place that only a restart takes tells of an empty disk.
#[test]
fn what_a_daemon_keeps_is_found_where_it_is_whatever_the_file_names_by_now() {
    let kept = format!("{OWN}web = \"unix:$DIR/web.sock\"\n");
    let mut smarthost = Smarthost::start(&kept);
    let mut session = Session::greeted(smarthost.address());
    let message = b"Subject: s\r\n\r\nt\r\n";
    let reply = session.mail("a@example.net", &["b@example.net"], message);
    assert_eq!(reply.unwrap().code, 250);
    let asked = |smarthost: &Smarthost, line: &[&str]| {
        let output = smarthost.admin(line);
        (output.status.code(), said(&output))
    };
    until_true("the client is kept", || {
        asked(&smarthost, &["clients"]).1.contains("127.0.0.1")
    });
    let token = asked(&smarthost, &["web", "token"]);
    assert_eq!(token.0, Some(0), "{token:?}");
    let state = "state = \"$DIR/moved\"\n";
    let spool = "spool = \"$DIR/elsewhere\"\n";
    for other in [state, spool, &format!("{state}{spool}")] {
        smarthost.configure(&format!("{kept}{other}"));
        let (code, told) = asked(&smarthost, &["reload"]);
        let refused = told.contains("the key that clients pin");
        assert_eq!(refused, other.contains("state"), "{code:?} {told}");
        let (code, told) = asked(&smarthost, &["clients"]);
        assert!(
            code == Some(0) && told.contains("127.0.0.1"),
            "{other}: {told}"
        );
        assert_eq!(asked(&smarthost, &["web", "token"]), token, "{other}");
        let status = asked(&smarthost, &["status", "--json"]).1;
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        let own = smarthost.directory().join("spool");
        assert_eq!(status["spool"]["path"], own.to_str().unwrap(), "{other}");
    }
    smarthost.daemon().stop();
    for other in [&format!("{state}{spool}"), state] {
        smarthost.configure(&format!("{kept}{other}"));
        let (code, told) = asked(&smarthost, &["clients"]);
        assert!(code == Some(0) && told.contains("127.0.0.1"), "{told}");
    }
    let never_ran = Smarthost::prepare(OWN);
    for line in [&["clients"][..], &["report", "rejected"]] {
        let (code, told) = asked(&never_ran, line);
        assert!(
            code == Some(1) && told.contains("no smarthost has kept anything in"),
            "{told}"
        );
    }
}

/// An agent's, that a smarthost has as its own by mistake.
#[test]
fn a_smarthost_that_ends_leaves_the_control_socket_of_another_daemon_alone() {
    let agent = Agent::start(&tests::agent::config(&nexthop(free_address()), ""));
    let socket = agent.directory().join("control.sock");
    let mut smarthost = Smarthost::prepare(&format!("{OWN}control = \"{}\"\n", socket.display()));
    let mut command = smarthost.command();
    let mut daemon = Daemon::start("smarthost", command.arg("run"));
    daemon.wait_for_log("no control socket, so no orders are taken");
    daemon.wait_for_log(" listens on ");
    until("it ends", || daemon.stop().success().then_some(()));
    assert!(agent.mailq().contains("empty"), "it answers still");
    // One of its own goes with it.
    smarthost.configure(OWN);
    smarthost.run();
    let own = smarthost.directory().join("control.sock");
    until_true("it is there", || own.exists());
    smarthost.daemon().stop();
    assert!(!own.exists());
}
