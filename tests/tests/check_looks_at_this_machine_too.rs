//! `smarthost check` knows what this machine has and what it lacks, and what files and next hops
//! the settings name.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::fs::{PermissionsExt as _, chown, symlink},
    path::Path,
};

use tests::{identity::Identity, peers, smarthost::Smarthost};

const HERMETIC: &str = "aliases = [\"aliases\"]\n";

/// Exit status, and all that was said.
fn check(smarthost: &Smarthost, arguments: &[&str]) -> (Option<i32>, String) {
    let output = smarthost.admin(&[&["check"], arguments].concat());
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

/// What the daemon opens when it starts or reloads is a file, or an error at once.
#[test]
fn a_fifo_or_a_device_in_the_place_of_a_file_is_named_with_its_setting_and_nobody_waits_for_it() {
    let tls = "tls = { certificate = \"our.pem\", key = ";
    let relay = "relayhost = \"[127.0.0.1]:9\"\nrelay_tls = { level = \"starttls\" }\n";
    let auth = format!("{relay}relay_auth = {{ user = \"u\", password_file = ");
    for (setting, more, end) in [
        ("tls.key", tls, " }"),
        (
            "tls.certificate",
            "tls = { key = \"our.key\", certificate = ",
            " }",
        ),
        ("relay_auth.password_file", &auth, " }"),
        (
            "tls_out.ca_file",
            "tls_out = { level = \"verify\", ca_file = ",
            " }",
        ),
        (
            "dkim",
            "dkim = [{ domain = \"a.example\", selector = \"s\", key = ",
            " }]",
        ),
        (
            "relay_tls.certificate",
            "relayhost = \"[127.0.0.1]:9\"\nrelay_tls = { level = \"starttls\", key = \"our.key\", certificate = ",
            " }",
        ),
        (
            "srs.secrets",
            "srs = { domain = \"a.example\", secrets = ",
            " }",
        ),
        ("auth", "auth = { users = ", " }"),
        ("aliases", "aliases = [", "]"),
        ("virtual", "virtual = [", "]"),
    ] {
        for (what, told) in [
            ("./fifo", "FIFO"),
            ("/dev/zero", "device"),
            ("./", "directory"),
        ] {
            let hermetic = if setting == "aliases" { "" } else { HERMETIC };
            let smarthost = Smarthost::prepare(&format!("{hermetic}{more}\"{what}\"{end}\n"));
            smarthost.file("aliases", "");
            let made = Identity::new("mail.example.test");
            made.write(smarthost.directory(), "our");
            let fifo = smarthost.directory().join("fifo");
            rustix::fs::mknodat(
                rustix::fs::CWD,
                &fifo,
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::from_raw_mode(0o600),
                0,
            )
            .unwrap();
            let (code, said) = check(&smarthost, &[]);
            assert_ne!(code, Some(0), "{setting} {what}: {said}");
            let lower = said.to_lowercase();
            assert!(
                lower.contains(&told.to_lowercase()) || lower.contains("regular file"),
                "{setting} {what}: {said}"
            );
            // The line of the setting, or of what it belongs to.
            assert!(
                said.contains("config.toml:") || said.contains(what),
                "{setting} {what}: {said}"
            );
        }
    }
}

#[test]
fn what_this_machine_lacks_or_what_leads_nowhere_is_not_called_right() {
    for (settings, told) in [
        (
            "listen = \"192.0.2.77:25\"\n",
            "192.0.2.77: this machine has no such address",
        ),
        (
            "listen = [\"127.0.0.1:25\", \"[2001:db8::77]:587\"]\n",
            "2001:db8::77: this machine has no",
        ),
        (
            "hostname = \"localhost\"\n",
            "localhost is what each machine calls itself",
        ),
        (
            "hostname = \"vm7.localdomain\"\n",
            "vm7.localdomain is what each machine",
        ),
        (
            "hostname = \"vm7.localhost\"\n",
            "vm7.localhost is what each machine",
        ),
        ("routes = { \"far.example\" = \"slw\" }\n", "slw is no host"),
        ("routes = { \"*\" = \"lmpt:24\" }\n", "lmpt"),
        (
            "default_routes = { \"far.example\" = \"mailmn:\" }\n",
            "mailmn",
        ),
        ("routes = { \"far.example\" = \"[slw]:26\" }\n", "slw"),
        ("lmtp = \"unix:/nonexist\"\n", "/nonexist: "),
        (
            "routes = { \"box.example\" = \"lmtp:unix:/nonexist\" }\n",
            "box.example: /nonexist: ",
        ),
        (
            "default_routes = { \"b.example\" = \"lmtp:unix:/dev/null\" }\n",
            "b.example: ",
        ),
        (
            "routes = { \"R.EXAMPLE\" = \"[127.0.0.1]:9\", \"r.example\" = \"[127.0.0.1]:19\" }\n",
            "\"R.EXAMPLE\" and \"r.example\" are one: mail goes to [127.0.0.1]:9, and never to",
        ),
        (
            "routes = { \"b\u{fc}cher.example\" = \"error:no\", \"xn--bcher-kva.example\" = \"retry:no\" }\n",
            "are one",
        ),
        (
            "relay_auth = { user = \"u\", password_file = \"./p\" }\n",
            "this login is for the relayhost, but none is set",
        ),
        (
            "relay_tls = { certificate = \"c\", key = \"k\" }\n",
            "this certificate is for the relayhost, but none is set",
        ),
    ] {
        let smarthost = Smarthost::prepare(&format!("{HERMETIC}{settings}"));
        smarthost.file("aliases", "");
        let (code, said) = check(&smarthost, &[]);
        assert!(!matches!(code, Some(0) | None), "{settings}: {said}");
        assert!(said.contains(told), "{settings}: {said}");
        assert!(!said.contains("is right"), "{settings}: {said}");
    }
}

/// Unless it is the daemon itself that has it.
#[test]
fn a_port_that_another_program_holds_is_told_as_long_as_the_daemon_does_not_run() {
    let mut smarthost = Smarthost::prepare(HERMETIC);
    smarthost.file("aliases", "root: a@example.org\n");
    let another = TcpListener::bind(smarthost.address()).unwrap();
    let port = smarthost.address().port();
    let (code, said) = check(&smarthost, &[]);
    assert_eq!(code, Some(1), "{said}");
    for told in [
        "another process has it".to_owned(),
        "config.toml:".to_owned(),
        format!("ss -ltnp 'sport = :{port}'"),
    ] {
        assert!(said.contains(&told), "{told}: {said}");
    }
    drop(another);
    let (_, said) = check(&smarthost, &[]);
    assert!(!said.contains("another process"), "{said}");
    smarthost.run();
    let (_, said) = check(&smarthost, &[]);
    assert!(!said.contains("another process"), "{said}");
}

#[test]
fn a_key_that_the_daemon_may_not_read_is_told_with_what_lets_it() {
    if !peers::root() {
        return;
    }
    let tls = "tls = { certificate = \"our.pem\", key = \"our.key\" }\n";
    let smarthost = Smarthost::prepare(&format!("{HERMETIC}{tls}"));
    smarthost.file("aliases", "root: a@example.org\n");
    let directory = smarthost.directory();
    Identity::new("mail.example.test").write(directory, "our");
    let state = directory.join("state");
    fs::create_dir(&state).unwrap();
    // Nobody is the daemon's user.
    chown(&state, Some(65534), Some(65534)).unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    mode(directory, 0o755);
    let key = directory.join("our.key");
    for (group, bits, told) in [
        (0, 0o600, "may not read "),
        (
            0,
            0o640,
            "let a deploy hook of the program that renews them",
        ),
        (1, 0o640, "group daemon may: usermod -aG daemon "),
    ] {
        chown(&key, Some(0), Some(group)).unwrap();
        mode(&key, bits);
        let (code, said) = check(&smarthost, &[]);
        assert!(!matches!(code, Some(0) | None), "{said}");
        assert!(
            said.contains("our.key") && said.contains(told),
            "{told}: {said}"
        );
    }
    // As the tools of the web's authorities have them.
    let live = directory.join("live");
    fs::create_dir(&live).unwrap();
    Identity::new("mail.example.test").write(&live, "our");
    fs::remove_file(&key).unwrap();
    symlink("live/our.key", &key).unwrap();
    mode(&live, 0o700);
    let (_, said) = check(&smarthost, &[]);
    let told = format!("may not enter {}: let a deploy hook", live.display());
    assert!(said.contains(&told), "{said}");
}

#[test]
fn what_is_untidy_and_no_harm_is_a_warning() {
    for (settings, told) in [
        (
            "domains = { relay = [\"R.EXAMPLE\", \"r.example\"] }\n",
            "r.example is listed twice in domains.relay",
        ),
        (
            "domains = { local = [\"b\u{fc}cher.example\", \"xn--bcher-kva.example\"] }\n",
            "is listed twice in domains.local",
        ),
        (
            "routes = { \"R.EXAMPLE\" = \"error:no\", \"r.example\" = \"error:no\" }\n",
            "are one",
        ),
        ("hostname = \"mail\"\n", "mail has no domain"),
    ] {
        let smarthost = Smarthost::prepare(&format!("{HERMETIC}{settings}"));
        smarthost.file("aliases", "");
        let (_, said) = check(&smarthost, &["--json"]);
        let json: serde_json::Value = serde_json::from_str(&said).unwrap();
        let found = json["findings"].as_array().unwrap();
        let found = found
            .iter()
            .find(|it| it["text"].as_str().unwrap().contains(told));
        assert_eq!(
            found.unwrap_or(&json)["level"],
            "warning",
            "{settings}: {said}"
        );
    }
}
