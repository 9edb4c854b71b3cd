//! `smarthost check` calls nothing right that the daemon could not use, names the place, and costs
//! nothing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, os::unix::fs::PermissionsExt as _};

use tests::{
    resolver::Resolver,
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
    wait::{free_address, until},
};

/// Exit status, and all that was said.
fn check(smarthost: &Smarthost, arguments: &[&str]) -> (Option<i32>, String) {
    let output = smarthost.admin(&[&["check"], arguments].concat());
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

fn mode(smarthost: &Smarthost, name: &str, mode: u32) {
    let path = smarthost.directory().join(name);
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

const HERMETIC: &str = "aliases = [\"aliases\"]\n";

#[test]
fn what_the_daemon_could_not_use_is_not_called_right_and_has_its_place() {
    let sink = Sink::start();
    let relay = format!("relayhost = \"{}\"\n", sink.nexthop());
    let auth = "relay_tls = { level = \"starttls\" }\nrelay_auth = { user = \"u\", password_file = \"password\" }\n";
    for (more, file, content, told) in [
        (auth, "aliases", "", "config.toml:10:28: "),
        (auth, "password", "secret\n", "others may read it"),
        ("maildir = \"file/box\"\n", "file", "", "cannot be made"),
        ("maildir = \"/proc/box\"\n", "aliases", "", "cannot be made"),
        ("maildir = \"box\"\n", "box", "", "box/tmp: Not a directory"),
        (
            "routes = { \"list@example.net\" = \"maildir:/proc/list\" }\n",
            "aliases",
            "",
            "config.toml:9:1: ",
        ),
        (
            "tls = { certificate = \"c.pem\", key = \"k.pem\" }\n",
            "aliases",
            "",
            "config.toml:9:1: ",
        ),
        ("", "aliases", "a: b\nb: a\n", "/aliases:1: "),
        (
            "",
            "aliases",
            "ok: x@example.net\nc: |/nowhere/cat\n",
            "/aliases:2: ",
        ),
        ("", "aliases", "d: a@@b\n", "/aliases:1: "),
        ("", "aliases", "this is no alias\n", "/aliases:1: "),
    ] {
        let smarthost = Smarthost::prepare(&format!("{HERMETIC}{relay}{more}"));
        smarthost.file("aliases", "");
        smarthost.file(file, content);
        let (code, said) = check(&smarthost, &[]);
        assert_ne!(code, Some(0), "{more}{content}: {said}");
        assert!(said.contains(told), "{more}{content}: {said}");
        assert!(!said.contains("is right"), "{more}{content}: {said}");
    }
}

#[test]
fn check_connects_to_the_relayhost_sends_nothing_and_is_read_by_programs() {
    let sink = Sink::start();
    let smarthost = Smarthost::prepare(&format!(
        "{HERMETIC}relayhost = \"{}\"\nadmins = \"a@example.net\"\n",
        sink.nexthop()
    ));
    smarthost.file("aliases", "root: a@example.net\n");
    let (code, said) = check(&smarthost, &[]);
    assert!(code == Some(0) && said.contains("is right"), "{said}");
    let (code, said) = check(&smarthost, &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(code, Some(0), "{said}");
    let findings = json["findings"].as_array().unwrap();
    let relay = findings.iter().find(|it| it["subject"] == "relayhost");
    assert_eq!(relay.unwrap()["level"], "ok", "{said}");
    assert!(sink.journal().is_empty());
    assert!(
        !smarthost.directory().join("state/cert.pem").exists(),
        "check makes nothing"
    );
    sink.hang_up();
    drop(sink);
    let (code, said) = check(&smarthost, &["--json"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("relayhost"), "{said}");
}

/// Root can read what the daemon cannot.
#[test]
fn root_checks_with_the_eyes_of_the_daemons_user() {
    if !tests::peers::root() || tests::peers::find("setpriv").is_none() {
        return;
    }
    let smarthost = Smarthost::prepare(&format!(
        "{HERMETIC}tls = {{ certificate = \"our.pem\", key = \"our.key\" }}\nadmins = \"a@example.net\"\n\
         resolver = \"{}\"\n",
        Resolver::of_localhost()
    ));
    smarthost.file("aliases", "");
    let made = tests::identity::Identity::new("mail.example.test");
    made.write(smarthost.directory(), "our");
    fs::create_dir(smarthost.directory().join("state")).unwrap();
    mode(&smarthost, ".", 0o755);
    mode(&smarthost, "our.pem", 0o644);
    mode(&smarthost, "our.key", 0o600);
    let (code, said) = check(&smarthost, &[]);
    assert_eq!(code, Some(0), "the daemon runs as root: {said}");
    std::os::unix::fs::chown(
        smarthost.directory().join("state"),
        Some(65534),
        Some(65534),
    )
    .unwrap();
    let (code, said) = check(&smarthost, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("our.key") && said.contains("config.toml:7:1"),
        "{said}"
    );
}

#[test]
fn the_relays_own_programs_may_relay_whatever_networks_are_named() {
    let sink = Sink::start();
    let smarthost = Smarthost::start(&format!(
        "networks = [\"192.0.2.0/24\"]\nrelayhost = \"{}\"\n",
        sink.nexthop()
    ));
    let mut session = Session::greeted(smarthost.address());
    session.delivers(
        "cron@example.net",
        &["a@example.org"],
        b"Subject: cron\r\n\r\nx\r\n",
    );
    until("the relay's own mail leaves", || {
        (!sink.journal().is_empty()).then_some(())
    });
}

#[test]
fn who_is_named_for_limits_is_told_without_any_administrator() {
    let sink = Sink::start();
    let smarthost = Smarthost::start(&format!(
        "limits = {{ per_client = [\"2/day\"], notify = [\"guard@example.net\"] }}\nrelayhost = \"{}\"\n",
        sink.nexthop()
    ));
    let mut session = Session::greeted(smarthost.address());
    for _ in 0..2 {
        session.delivers(
            "w@example.net",
            &["a@example.org"],
            b"Subject: x\r\n\r\nx\r\n",
        );
    }
    until("the notice arrives", || {
        let messages = sink.journal().messages();
        let mut recipients = messages.iter().map(|it| it.field("To"));
        recipients
            .any(|to| to.contains("guard@example.net"))
            .then_some(())
    });
}

/// What one socket takes another cannot; the start would fail.
#[test]
fn addresses_of_which_one_takes_the_mail_of_the_other_are_not_called_right() {
    let smarthost = Smarthost::prepare("");
    smarthost.file("aliases", "");
    let resolver = Resolver::of_localhost();
    let checked = |listen: &str| {
        smarthost.configure(&format!(
            "{HERMETIC}listen = [{listen}]\nresolver = \"{resolver}\"\n"
        ));
        check(&smarthost, &[])
    };
    for listen in [
        "\"0.0.0.0:2525\", \"127.0.0.1:2525\"",
        "\"127.0.0.1:2525\", \"0.0.0.0:2525\"",
        "\"127.0.0.1:2525\", \"127.0.0.1:2525\"",
        "\"[::]:2525\", \"0.0.0.0:2525\"",
        "\"[::]:2525\", \"192.0.2.1:2525\"",
        "\"[::1]:2525\", \"127.0.0.1:2526\", \"[::]:2525\"",
        "\"[::ffff:127.0.0.1]:2525\", \"127.0.0.1:2525\"",
        "\"[::ffff:0.0.0.0]:2525\", \"127.0.0.1:2525\"",
        "\"0.0.0.0:2525\", { address = \"127.0.0.1:2525\", tls = \"wrapped\" }",
    ] {
        let (code, said) = checked(listen);
        assert_eq!(code, Some(78), "{listen}: {said}");
        assert!(said.contains("keep one of"), "{listen}: {said}");
        assert!(said.contains("config.toml:6:1"), "{listen}: {said}");
    }
    for listen in [
        "\"0.0.0.0:2525\", \"127.0.0.1:2526\"",
        "\"0.0.0.0:2525\", \"[::1]:2525\"",
        "\"127.0.0.1:2525\", \"127.0.0.2:2525\", \"[::1]:2525\"",
    ] {
        let (code, said) = checked(listen);
        assert_eq!(code, Some(0), "{listen}: {said}");
    }
}

#[test]
fn administrators_whom_no_mail_reaches_are_told_of_by_check() {
    for (admin, aliases, reached) in [
        ("nobody@home.example", "", false),
        ("ops@home.example", "ops: ops2\nops2: nobody\n", false),
        ("ops@home.example", "ops: joe@far.example\n", true),
        ("joe@far.example", "", true),
    ] {
        let smarthost = Smarthost::prepare(&format!(
            "{HERMETIC}admins = [\"{admin}\"]\ndomains = {{ local = [\"home.example\"] }}\nmaildir = \"none\"\n"
        ));
        smarthost.file("aliases", aliases);
        let (_, said) = check(&smarthost, &[]);
        let told = said.contains(&format!("{admin} gets no mail"));
        let of_alias = said.contains("ops2: nobody has the address nobody@mail.example.test");
        assert_eq!(told || of_alias, !reached, "{admin} {aliases}: {said}");
    }
}

#[test]
fn a_relay_by_mx_whose_name_server_does_not_answer_is_not_called_right_and_its_status_counts_it() {
    let dead = free_address();
    let mut smarthost = Smarthost::prepare(&format!("{HERMETIC}resolver = \"{dead}\"\n"));
    smarthost.file("aliases", "");
    let (code, said) = check(&smarthost, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("asked for the MX of mail.example.test"),
        "{said}"
    );
    smarthost.run();
    let mut session = Session::greeted(smarthost.address());
    session.delivers(
        "a@example.org",
        &["b@example.net"],
        b"Subject: x\r\n\r\nx\r\n",
    );
    until("its status counts what was not answered", || {
        let status = String::from_utf8(smarthost.admin(&["status"]).stdout).unwrap();
        let counted = status.contains("questions without an answer");
        (counted && !status.contains(" 0 of ")).then_some(())
    });
    for more in [
        format!("resolver = \"{}\"\n", Resolver::of_localhost()),
        // Nothing goes by MX.
        format!("resolver = \"{dead}\"\nroutes = {{ \"*\" = \"[127.0.0.1]:25\" }}\n"),
    ] {
        smarthost.configure(&format!("{HERMETIC}{more}"));
        let (_, said) = check(&smarthost, &[]);
        assert!(!said.contains("asked for the MX"), "{more}: {said}");
    }
}
