//! A file, a socket or a program that the configuration names, or the configuration itself, lies on
//! a file system that keeps each request to itself: mail is taken all the same, and each command of
//! an administrator ends and says which file does not answer, though no process that has asked for
//! it can.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};

use tests::{
    agent::Agent, binaries::binaries, daemon::Daemon, disk::Away, installation::hermetic,
    login::MESSAGE, peers, session::Session, sink::Sink, smarthost::Smarthost, wait::until,
};

const PIN: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// What a command says, whose end is waited for.
fn said(away: &Away, command: &Command, arguments: &[&str]) -> (Option<i32>, String) {
    let inside = away.inside();
    let (first, rest) = inside.split_first().unwrap();
    let mut within = hermetic(first);
    within.args(rest).arg(command.get_program());
    within.args(command.get_args()).args(arguments);
    for (name, value) in command.get_envs() {
        within.env(name, value.unwrap_or_default());
    }
    within.stdin(Stdio::null());
    within.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = within.spawn().unwrap();
    until(&format!("{arguments:?} ends"), || {
        process.try_wait().unwrap()
    });
    // Neither it nor what it has started keeps its output open.
    let Output {
        status,
        stdout,
        stderr,
    } = process.wait_with_output().unwrap();
    let all = [stdout, stderr].concat();
    (status.code(), String::from_utf8_lossy(&all).into_owned())
}

fn silent(file: &Path) -> String {
    format!("{}: it does not answer since", file.display())
}

#[test]
fn a_smarthost_whose_password_is_away_takes_mail_and_each_command_ends() {
    let Some(away) = Away::mounted().filter(|_| peers::find("nsenter").is_some()) else {
        return;
    };
    let (sink, password) = (Sink::start(), away.file("secret"));
    let mut smarthost = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.1/32\"]\nrelayhost = \"{}\"\nrelay_tls = {{ pins = [\"{PIN}\"] }}\n\
         relay_auth = {{ user = \"u\", password_file = {password:?} }}\n",
        sink.nexthop(),
    ));
    smarthost.run_within(away.inside());
    smarthost.run();
    Session::greeted(smarthost.address()).delivers("a@example.org", &["b@example.net"], MESSAGE);
    let command = smarthost.command();
    until("the status tells it", || {
        let (code, told) = said(&away, &command, &["status"]);
        assert_eq!(code, Some(0), "{told}");
        told.contains(&silent(&password)).then_some(())
    });
    let (code, told) = said(&away, &command, &["check"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("FAIL  password") && told.contains(&silent(&password)),
        "{told}"
    );
    for arguments in [&["config"][..], &["queue", "list"]] {
        let (code, told) = said(&away, &command, arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {told}");
    }
    Session::greeted(smarthost.address()).delivers("a@example.org", &["c@example.net"], MESSAGE);
    assert_eq!(smarthost.mailq().matches("a@example.org").count(), 2);
    // What waits for it can end from here on.
    drop(away);
    assert!(smarthost.daemon().stop().success());
}

#[test]
fn a_machine_whose_aliases_and_password_are_away_takes_mail_and_each_command_ends() {
    let Some(away) = Away::mounted().filter(|_| peers::find("nsenter").is_some()) else {
        return;
    };
    let (sink, password) = (Sink::start(), away.file("secret"));
    let mut machine = Agent::prepare(&format!(
        "relayhost = \"{}\"\npins = [\"{PIN}\"]\nadmin = \"admins@example.org\"\n\
         auth = {{ user = \"u\", password_file = {password:?} }}\naliases = {:?}\n",
        sink.nexthop(),
        away.file("aliases"),
    ));
    machine.run_within(away.inside());
    machine.run();
    for _ in 0..2 {
        machine.send(&["b@example.net"], MESSAGE);
    }
    let (code, told) = said(&away, &machine.admin_command(), &["check"]);
    assert_eq!(code, Some(2), "{told}");
    for file in [&password, &away.file("aliases")] {
        let file = file.display().to_string();
        assert!(
            told.lines()
                .any(|line| line.contains(&file) && line.contains("does not answer since")),
            "{file}: {told}"
        );
    }
    for arguments in [&["status"][..], &["config"], &["queue", "list"]] {
        let (code, told) = said(&away, &machine.admin_command(), arguments);
        assert!(matches!(code, Some(0..=2)), "{arguments:?}: {told}");
    }
    assert!(machine.mailq().contains("b@example.net"));
    drop(away);
    assert!(machine.daemon().stop().success());
}

#[test]
fn a_smarthost_whose_state_is_away_says_at_its_start_what_it_waits_for() {
    let Some(away) = Away::mounted().filter(|_| peers::find("nsenter").is_some()) else {
        return;
    };
    let state = away.file("state");
    let smarthost = Smarthost::prepare(&format!(
        "relayhost = \"[127.0.0.1]:9\"\nstate = {state:?}\n"
    ));
    let (inside, plain) = (away.inside(), smarthost.command());
    let (first, rest) = inside.split_first().unwrap();
    let mut command = hermetic(first);
    command.args(rest).arg(plain.get_program());
    command.args(plain.get_args()).arg("run");
    let mut daemon = Daemon::start("smarthost", &mut command);
    let log = daemon.wait_for_log("the start waits for it");
    assert!(log.contains(&silent(&state)), "{log}");
    // It cannot end before.
    drop(away);
    daemon.kill();
}

#[test]
fn a_command_whose_configuration_is_away_ends_and_names_it() {
    let Some(away) = Away::mounted().filter(|_| peers::find("nsenter").is_some()) else {
        return;
    };
    let (file, all) = (away.file("config.toml"), binaries());
    let named = file.display().to_string();
    let of_smarthost = ["check", "config", "status", "reload"].map(|it| (&all.smarthost, it));
    let of_shim = ["check", "config", "status"].map(|it| (&all.sendmail_shim, it));
    thread::scope(|scope| {
        for (program, word) in of_smarthost.into_iter().chain(of_shim) {
            let (away, file, named) = (&away, &file, &named);
            scope.spawn(move || {
                let mut command = hermetic(program);
                command.arg("--config").arg(file);
                let (code, told) = said(away, &command, &[word]);
                assert_ne!(code, Some(0), "{word}: {told}");
                let tells = told.contains("does not answer since") && told.contains(named);
                assert!(tells, "{word}: {told}");
            });
        }
    });
}

#[test]
fn the_sockets_of_filters_and_policy_servers_that_are_away_hold_up_nobody_else() {
    let Some(away) = Away::mounted().filter(|_| peers::find("nsenter").is_some()) else {
        return;
    };
    let (sink, milter, policy) = (Sink::start(), away.file("milter"), away.file("policy"));
    let mut smarthost = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.1/32\"]\nrelayhost = \"{}\"\n\
         milters = [{{ address = \"unix:{}\", on_failure = \"accept\", timeout = \"1s\" }}]\n\
         restrictions = [\"reject_unauth_destination\", \"check_policy_service unix:{}\"]\n",
        sink.nexthop(),
        milter.display(),
        policy.display(),
    ));
    smarthost.run_within(away.inside());
    smarthost.run();
    let (server, command) = (smarthost.address(), smarthost.command());
    // More than the daemon has threads that must not wait.
    let mut sessions: Vec<_> = (0..4).map(|_| Session::connect(server)).collect();
    for session in &mut sessions {
        session.reply();
        session.send(b"EHLO client.example\r\n").unwrap();
    }
    let (code, told) = said(&away, &command, &["status"]);
    assert_eq!(code, Some(0), "{told}");
    for session in &mut sessions {
        // The filter is done without; without the policy server nothing can be decided.
        assert_eq!(session.reply().code, 250);
        assert_eq!(session.say("MAIL FROM:<a@example.org>").code, 250);
        assert_eq!(session.say("RCPT TO:<b@example.net>").code, 451);
    }
    until("the status names both", || {
        let (_, told) = said(&away, &command, &["status"]);
        let all = [&milter, &policy].map(|it| it.display().to_string());
        all.iter().all(|it| told.contains(it)).then_some(())
    });
    drop(away);
    assert!(smarthost.daemon().stop().success());
}

#[test]
fn check_names_each_socket_program_and_directory_that_is_away() {
    let Some(away) = Away::mounted().filter(|_| peers::find("nsenter").is_some()) else {
        return;
    };
    let names = ["milter", "policy", "token", "directory"];
    let files = names.map(|name| away.file(name));
    let [milter, policy, token, directory] = files.each_ref().map(|it| it.display());
    let smarthost = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.1/32\"]\nrelayhost = \"[127.0.0.1]:9\"\n\
         relay_tls = {{ pins = [\"{PIN}\"] }}\n\
         relay_auth = {{ user = \"u\", token = {{ command = [\"{token}\"] }} }}\n\
         transports.list = {{ type = \"pipe\", command = [\"/bin/cat\"], directory = \"{directory}\" }}\n\
         milters = [\"unix:{milter}\"]\n\
         restrictions = [\"reject_unauth_destination\", \"check_policy_service unix:{policy}\"]\n",
    ));
    let (code, told) = said(&away, &smarthost.command(), &["check"]);
    assert_eq!(code, Some(1), "{told}");
    for file in files {
        let file = file.display().to_string();
        let is_named = |line: &str| {
            line.starts_with("FAIL")
                && line.contains(&file)
                && line.contains("does not answer since")
        };
        assert!(told.lines().any(is_named), "{file}: {told}");
    }
}
