//! What a command could not ask or read is said, and not guessed.

use std::{fmt::Write as _, fs, os::unix::fs::PermissionsExt as _, process::Output};

use tests::{
    agent::{Agent, as_user, pipe},
    identity, peers,
    session::Session,
    smarthost::Smarthost,
};

const USER: &str = "64005";

fn told(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn trace_says_of_no_message_that_it_is_not_queued_where_the_queue_could_not_be_asked() {
    let mut relay = Smarthost::start("");
    relay.file("log", "");
    let log = relay.directory().join("log");
    let traced = |relay: &Smarthost| {
        told(&relay.admin(&["trace", "9KGVFT4DHFGH4", "--log", log.to_str().unwrap()]))
    };
    assert!(traced(&relay).contains("not in the queue"));
    relay.kill();
    let text = traced(&relay);
    assert!(text.contains("the queue could not be asked"), "{text}");
    assert!(
        text.contains("whether it is in the queue is not known"),
        "{text}"
    );
    assert!(!text.contains("not in the queue"), "{text}");
}

/// As `logrotate` leaves one behind on a disk that was full.
#[test]
fn a_packed_log_that_is_cut_off_is_read_as_far_as_it_goes() {
    let Some(gzip) = peers::find("gzip") else {
        return;
    };
    let mut relay =
        Smarthost::start("networks = [\"127.0.0.0/8\"]\nrelayhost = \"[127.0.0.1]:9\"\n");
    let mut session = Session::greeted(relay.address());
    session.delivers(
        "a@b.example",
        &["early@far.example"],
        b"Subject: x\r\n\r\nx\r\n",
    );
    relay.daemon().wait_for_log("early@far.example");
    let text = relay.daemon().log();
    // What comes behind is nothing that packs well.
    let mut noise = 1u32;
    let mut more = String::new();
    for _ in 0..20_000 {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        writeln!(more, "{noise:08x}").unwrap();
    }
    relay.file("whole", &format!("{text}{more}"));
    let whole = fs::File::open(relay.directory().join("whole")).unwrap();
    let packed = std::process::Command::new(gzip)
        .arg("-c")
        .stdin(whole)
        .output()
        .unwrap();
    let cut = &packed.stdout[..packed.stdout.len() / 2];
    let log = relay.directory().join("log.gz");
    identity::write(&log, cut);
    let traced = relay.admin(&["trace", "early@far.example", "--log", log.to_str().unwrap()]);
    let text = told(&traced);
    assert!(
        traced.status.success() && text.contains("early@far.example"),
        "{text}"
    );
}

#[test]
fn whoever_may_not_ask_the_daemon_hears_so_from_each_command_with_the_same_exit_status() {
    if !peers::root() || peers::find("setpriv").is_none() {
        return;
    }
    let mut machine = Agent::prepare("relayhost = \"[127.0.0.1]:9\"\ntls = \"none\"\n");
    machine.open_to_all();
    machine.run();
    let socket = machine.directory().join("control.sock");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).unwrap();
    for (program, words) in [
        ("sendmail-shim", &["status"][..]),
        ("sendmail-shim", &["queue", "list"]),
        ("sendmail-shim", &["queue", "flush"]),
        ("mailq", &[]),
    ] {
        let mut command = machine.public(program);
        command.args(words);
        let output = pipe(&mut as_user(USER, &command), b"");
        let text = told(&output);
        assert_eq!(output.status.code(), Some(77), "{words:?}: {text}");
        assert!(text.contains("only administrators may ask"), "{text}");
    }
}

#[test]
fn check_does_not_say_that_a_key_will_be_made_where_it_cannot_see_whether_there_is_one() {
    if !peers::root() || peers::find("setpriv").is_none() {
        return;
    }
    let relay = Smarthost::start("");
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &std::path::Path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    open(folder.path());
    let program = folder.path().join("smarthost");
    fs::copy(&tests::binaries::binaries().smarthost, &program).unwrap();
    open(&program);
    let state = folder.path().join("state");
    let config = folder.path().join("config.toml");
    let text = format!(
        "hostname = \"mail.example.test\"\nlisten = [\"{}\"]\nstate = \"{}\"\nspool = \"{}\"\naliases = []\nmaildir = \"none\"\n",
        tests::wait::free_address(),
        state.display(),
        folder.path().join("spool").display()
    );
    identity::write(&config, text);
    let run = |user: Option<&str>, word: &str| {
        let mut command = relay.command();
        command = {
            let mut other = std::process::Command::new(&program);
            other.envs(
                command
                    .get_envs()
                    .filter_map(|(key, value)| Some((key, value?))),
            );
            other
        };
        command.arg("--config").arg(&config).arg(word);
        match user {
            Some(user) => pipe(&mut as_user(user, &command), b""),
            None => pipe(&mut command, b""),
        }
    };
    assert!(run(None, "pin").status.success());
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    for word in ["pin", "check"] {
        let output = run(Some(USER), word);
        let text = told(&output);
        assert!(!output.status.success(), "{word}: {text}");
        assert!(
            text.contains("it is not known whether it exists"),
            "{word}: {text}"
        );
        assert!(!text.contains("will be made"), "{word}: {text}");
    }
}
