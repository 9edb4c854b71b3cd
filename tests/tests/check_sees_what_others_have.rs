//! `smarthost check` and `status` tell what the daemon cannot have on this machine: a file system
//! that is read-only, files of another user, ports of another program, and a control socket that
//! somebody took away.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "what a test renames has to outlive nothing"
)]

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt as _, chown, symlink},
    process::Output,
};

use tests::{
    binaries::binaries,
    installation::hermetic,
    peers,
    resolver::Resolver,
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
    wait::{free_address, until},
};

const HERMETIC: &str = "aliases = [\"aliases\"]\nadmins = \"a@example.net\"\n";

fn told(output: &Output) -> (Option<i32>, String) {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

fn check(smarthost: &Smarthost) -> (Option<i32>, String) {
    told(&smarthost.admin(&["check"]))
}

fn prepared(more: &str) -> Smarthost {
    let smarthost = Smarthost::prepare(&format!("{HERMETIC}{more}"));
    smarthost.file("aliases", "");
    smarthost
}

#[test]
fn a_spool_or_a_state_directory_that_is_read_only_is_called_so_with_its_remedy() {
    if !peers::mounts() {
        return;
    }
    let smarthost = prepared("");
    for name in ["spool", "state"] {
        let directory = smarthost.directory().join(name);
        fs::create_dir(&directory).unwrap();
        let script = "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\" && \
             exec \"$0\" --config \"$2\" check";
        let mut shell = hermetic("unshare");
        shell.args(["--mount", "sh", "-ec", script]);
        shell.arg(&binaries().smarthost).arg(&directory);
        shell.arg(smarthost.config());
        let (code, said) = told(&shell.output().unwrap());
        assert_eq!(code, Some(1), "{said}");
        let line = format!("FAIL  {name:<13} {} cannot be written", directory.display());
        assert!(said.contains(&line), "{said}");
        assert!(said.contains("mounted read-only?"), "{said}");
    }
}

#[test]
fn files_of_the_queue_that_belong_to_another_user_than_the_daemons_are_named_with_what_mends_it() {
    if !peers::root() || peers::find("setpriv").is_none() {
        return;
    }
    let mut smarthost = prepared("");
    smarthost.run();
    smarthost.daemon().stop();
    let directory = smarthost.directory().to_owned();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    let nobody = Some(65534);
    for name in ["state", "spool"] {
        chown(directory.join(name), nobody, nobody).unwrap();
    }
    let (code, said) = check(&smarthost);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("FAIL  spool"), "{said}");
    assert!(said.contains("FAIL  state"), "{said}");
    assert!(
        said.contains("belongs to user 0, and user 65534 cannot use it"),
        "{said}"
    );
    for line in said
        .lines()
        .filter(|line| line.contains("-> chown -R 65534 "))
    {
        let path = line.rsplit(' ').next().unwrap();
        assert!(path.starts_with(directory.to_str().unwrap()), "{line}");
    }
    for name in ["state", "spool"] {
        let done = hermetic("chown")
            .args(["-R", "65534:65534"])
            .arg(directory.join(name))
            .status();
        assert!(done.unwrap().success());
    }
    let (_, said) = check(&smarthost);
    assert!(said.contains("ok    spool"), "as advised: {said}");
    assert!(said.contains("ok    state"), "as advised: {said}");
}

#[test]
fn a_port_that_another_program_has_is_named_before_the_start_and_told_of_after_it() {
    let (own, page) = (free_address(), free_address());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let held = TcpListener::bind(page).unwrap();
    let mut smarthost = prepared(&format!(
        "listen = [\"{own}\", \"{address}\"]\nweb = \"{page}\"\n"
    ));
    let (code, said) = check(&smarthost);
    assert_eq!(code, Some(1), "{said}");
    for (key, address) in [("listen", address), ("web", page)] {
        let what = format!("{address}: another process has it");
        let line = said.lines().find(|line| line.contains(&what));
        let line = line.unwrap_or_else(|| panic!("{what}: {said}"));
        assert!(line.starts_with(&format!("FAIL  {key:<13}")), "{line}");
        assert!(line.contains("config.toml:"), "its place: {line}");
    }
    assert!(!said.contains(&format!("{own}: another")), "{said}");
    smarthost.run();
    let shown = format!("the status page cannot be shown on {page}: ");
    for what in [&format!("cannot listen on {address}: "), &shown] {
        let (_, said) = check(&smarthost);
        assert!(said.contains("WARN  daemon"), "{said}");
        assert!(said.contains(what.as_str()), "{said}");
        let (_, status) = told(&smarthost.admin(&["status"]));
        assert!(status.contains(what.as_str()), "{status}");
    }
    drop((taken, held));
    smarthost
        .daemon()
        .wait_for_log(&format!("the status page is shown on {page} now"));
    assert!(std::net::TcpStream::connect(page).is_ok());
    smarthost
        .daemon()
        .wait_for_log(&format!("listens on {address} now"));
    let (_, said) = check(&smarthost);
    assert!(!said.contains("cannot"), "{said}");
}

#[test]
fn a_control_socket_that_was_removed_is_made_again() {
    let mut smarthost = prepared("");
    smarthost.run();
    fs::remove_file(smarthost.directory().join("control.sock")).unwrap();
    until("the daemon answers again", || {
        smarthost.admin(&["status"]).status.success().then_some(())
    });
    let log = smarthost.daemon().log();
    assert!(log.contains("made the control socket again"), "{log}");
    assert!(smarthost.daemon().stop().success());
    assert!(!smarthost.directory().join("control.sock").exists());
}

#[test]
fn a_daemon_whose_state_was_moved_away_is_not_said_to_be_down() {
    let mut smarthost = prepared("");
    let config = fs::read_to_string(smarthost.config()).unwrap();
    let moved = config.replace("control.sock", "state/control.sock");
    assert_ne!(config, moved);
    smarthost.file("config.toml", &moved);
    smarthost.run();
    let pid = smarthost.daemon().pid();
    let state = smarthost.directory().join("state");
    fs::rename(&state, smarthost.directory().join("away")).unwrap();
    // It leads nowhere, so that what counts cannot make the directory anew.
    symlink("nowhere/at/all", &state).unwrap();
    let truth = format!("process {pid} runs, but its control socket ");
    let (code, said) = told(&smarthost.admin(&["status"]));
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains(&truth), "{said}");
    assert!(said.contains("restart"), "{said}");
    let (code, said) = check(&smarthost);
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains(&truth), "{said}");
    fs::remove_file(&state).unwrap();
    until("it is put back", || {
        let _ = fs::remove_dir_all(&state);
        fs::rename(smarthost.directory().join("away"), &state).ok()
    });
    until("it is as before", || {
        smarthost.admin(&["status"]).status.success().then_some(())
    });
}

#[test]
fn a_key_that_everybody_may_read_is_warned_of() {
    let sink = Sink::start();
    let mut smarthost = prepared(&format!("relayhost = \"{}\"\n", sink.nexthop()));
    smarthost.run();
    drop(Session::greeted(smarthost.address()));
    let key = smarthost.directory().join("state/key.pem");
    let (_, said) = check(&smarthost);
    assert!(!said.contains("may read this key"), "{said}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, said) = check(&smarthost);
    assert_eq!(code, Some(0), "{said}");
    let line = format!(
        "WARN  key           {}: everybody on this machine may read this key (mode 0644)",
        key.display()
    );
    assert!(said.contains(&line), "{said}");
    assert!(
        said.contains(&format!("-> chmod 600 {}", key.display())),
        "{said}"
    );
}

#[test]
fn next_hops_that_do_not_exist_or_where_nobody_listens_are_named_with_their_place() {
    let sink = Sink::start();
    let (closed, other) = (free_address(), free_address());
    let smarthost = prepared(&format!(
        "resolver = \"{}\"\nlmtp = \"{}\"\n\
         [routes]\n\"a.test\" = \"[nowhere.example.test]\"\n\"b.test\" = \"lmtp:{closed}\"\n\
         \"c.test\" = \"{}\"\n\"d.test\" = \"[{}]:{}\"\n",
        Resolver::of_localhost(),
        sink.address(),
        sink.nexthop(),
        other.ip(),
        other.port(),
    ));
    let (code, said) = check(&smarthost);
    assert_eq!(code, Some(1), "{said}");
    let line = |what: &str| {
        let found = said.lines().find(|line| line.contains(what));
        found.unwrap_or_else(|| panic!("{what}: {said}")).to_owned()
    };
    for (what, level) in [
        (": a.test: [nowhere.example.test]", "FAIL  routes"),
        (": b.test: ", "FAIL  routes"),
        (": d.test: ", "WARN  routes"),
    ] {
        let line = line(what);
        assert!(line.starts_with(level), "{line}");
        assert!(line.contains("config.toml:"), "{line}");
    }
    assert!(line(": b.test: ").contains("nothing listens there"));
    assert!(!said.contains("c.test:"), "{said}");
    assert!(!said.contains("lmtp: "), "{said}");
}
