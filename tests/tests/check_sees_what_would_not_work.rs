//! `smarthost check` calls nothing right that the daemon could not use, names the place, and costs
//! nothing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, net::Ipv4Addr, os::unix::fs::PermissionsExt as _};

use tests::{
    resolver::{Record, Resolver},
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
    wait::{free_address, free_port, until},
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
fn of_files_that_cannot_be_used_none_hides_another() {
    let mut smarthost = Smarthost::prepare(HERMETIC);
    smarthost.file("aliases", "");
    smarthost.run();
    smarthost.file("there", "");
    smarthost.configure(
        "aliases = [\"aliases\", \"more\"]\n\
         virtual = [\"there\", \"texthash:gone\"]\n\
         relay_recipients = [\"lost\", \"away\"]\n\
         dkim = [{ domain = \"a.example\", selector = \"s\", key = \"a.pem\" }, \
         { domain = \"b.example\", selector = \"s\", key = \"b.pem\" }]\n",
    );
    let places = [
        "config.toml:7:23: ",
        "config.toml:8:21: ",
        "config.toml:9:21: ",
        "config.toml:9:29: ",
        "config.toml:10:9: ",
        "config.toml:10:66: ",
    ];
    let (_, said) = check(&smarthost, &[]);
    let reload = smarthost.admin(&["reload"]);
    let reload = String::from_utf8(reload.stderr).unwrap();
    for place in places {
        assert!(said.contains(place), "{place}: {said}");
        assert!(reload.contains(place), "{place}: {reload}");
    }
    smarthost.daemon().wait_for_log(" (and 5 more)");
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
    let (one, other) = (free_port().to_string(), free_port().to_string());
    let checked = |listen: &str| {
        let listen = listen.replace("2525", &one).replace("2526", &other);
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
        assert!(said.contains("config.toml:6:"), "{listen}: {said}");
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

/// Rows A6, D5: what nobody has is taken and returned to strangers.
#[test]
fn names_that_nobody_has_are_told_of_unless_a_table_or_the_next_hop_knows_them() {
    let verified =
        "restrictions = [\"reject_unauth_destination\", \"reject_unverified_recipient\"]\n";
    for (more, told) in [
        ("", "every recipient is accepted in example.net"),
        ("relay_recipients = \"recipients\"\n", ""),
        (verified, ""),
        (
            "lmtp = \"unix:/nowhere/lmtp\"\nrelay_recipients = \"recipients\"\n",
            "every recipient is accepted in local domains",
        ),
    ] {
        let smarthost = Smarthost::prepare(&format!(
            "{HERMETIC}domains = {{ relay = [\"example.net\"] }}\n{more}"
        ));
        smarthost.file("aliases", "root: admin@example.org\n");
        smarthost.file("recipients", "somebody@example.net x\n");
        let (_, said) = check(&smarthost, &[]);
        let is_told = said.contains("every recipient is accepted");
        assert_eq!(is_told, !told.is_empty(), "{more}: {said}");
        assert!(said.contains(told), "{more}: {said}");
    }
}

#[test]
fn keys_of_tables_that_never_match_or_stop_bounces_are_told_of() {
    let smarthost = Smarthost::prepare(&format!(
        "{HERMETIC}restrictions = [\"check_sender_access senders\", \"reject_unauth_destination\"]\n"
    ));
    smarthost.file("aliases", "root: admin@example.org\n");
    let table = "bar.example REJECT\n.baz.example REJECT\n<> REJECT no bounces here\n";
    smarthost.file("senders", table);
    let (_, said) = check(&smarthost, &[]);
    for told in [
        "senders:2: `.baz.example` never matches",
        "senders:3: refusing `<>` refuses bounces",
    ] {
        assert!(said.contains(told), "{said}");
    }
    assert!(!said.contains("senders:1:"), "{said}");
}

/// The daemon is no next hop of its own, however that is spelt: check says so, and mail waits
/// instead of going round and using up the limit. Another program on this machine is one.
#[test]
fn a_next_hop_that_is_the_daemon_itself_is_told_of_and_never_dialled() {
    let names = |name: &str| {
        let ours = ["own.example", "mail.example.test"].contains(&name);
        ours.then(|| vec![Record::A(Ipv4Addr::LOCALHOST)])
    };
    let resolver = Resolver::anywhere(names).address();
    let sink = Sink::start();
    let mut smarthost = Smarthost::prepare("");
    let port = smarthost.address().port();
    let itself = [
        ("a.example", format!("[0.0.0.0]:{port}")),
        ("b.example", format!("[::ffff:127.0.0.1]:{port}")),
        ("c.example", format!("[own.example]:{port}")),
        ("d.example", format!("lmtp:[127.0.0.1]:{port}")),
        ("e.example", format!("[mail.example.test]:{port}")),
    ];
    let routes = itself
        .iter()
        .map(|(domain, to)| format!("\"{domain}\" = \"{to}\""));
    let routes = routes.collect::<Vec<_>>().join(", ");
    let rest = format!("networks = [\"127.0.0.0/8\"]\nresolver = \"{resolver}\"\n");
    smarthost.configure(&format!(
        "{rest}routes = {{ {routes}, \"f.example\" = \"{}\" }}\nmaildir = \"none\"\n",
        sink.nexthop()
    ));
    smarthost.run();
    let all: Vec<_> = itself
        .iter()
        .map(|(domain, _)| format!("u@{domain}"))
        .collect();
    let mut all: Vec<&str> = all.iter().map(String::as_str).collect();
    all.push("u@f.example");
    let mut session = Session::greeted(smarthost.address());
    session.delivers("a@example.org", &all, b"Subject: x\r\n\r\nx\r\n");
    drop(session);
    assert_eq!(sink.journal().first().recipients, ["u@f.example"]);
    smarthost.wait_for_mailq("all that wait", |text| {
        text.matches("loops back to myself").count() == itself.len()
    });
    let log = smarthost.daemon().log();
    assert_eq!(log.matches(": connect from").count(), 1, "{log}");
    assert!(!log.contains("status=bounced"), "{log}");
    let (status, said) = check(&smarthost, &[]);
    assert_eq!(status, Some(1), "{said}");
    for (domain, _) in &itself {
        let told = said.lines().any(|line| {
            line.contains(&format!("{domain}: ")) && line.contains("is this machine itself")
        });
        assert!(told, "{domain}: {said}");
    }
    assert!(!said.contains("f.example:"), "{said}");
    let explained = smarthost.admin(&["explain", "u@c.example"]).stdout;
    let explained = String::from_utf8(explained).unwrap();
    assert!(
        explained.contains("this daemon itself, is not tried"),
        "{explained}"
    );

    smarthost.configure(&format!("{rest}relayhost = \"[own.example]:{port}\"\n"));
    let (status, said) = check(&smarthost, &[]);
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains(&format!("127.0.0.1:{port} is this machine itself")),
        "{said}"
    );
}

/// A relayhost that only the name server of the settings knows is found by check as by the daemon.
#[test]
fn check_asks_the_name_server_that_the_daemon_asks() {
    let sink = Sink::start();
    let port = sink.address().port();
    let resolver = Resolver::anywhere(|name| match name {
        "relay.example" => Some(vec![Record::A(Ipv4Addr::LOCALHOST)]),
        "domain.example" => Some(vec![Record::Mx("relay.example")]),
        _ => None,
    });
    let smarthost = Smarthost::prepare("");
    for relayhost in ["[relay.example]", "domain.example"] {
        smarthost.configure(&format!(
            "resolver = \"{}\"\nrelayhost = \"{relayhost}:{port}\"\nrelay_tls = {{ level = \"none\" }}\n",
            resolver.address()
        ));
        let (_, said) = check(&smarthost, &[]);
        let found = format!("relay.example[127.0.0.1]:{port} answers");
        assert!(said.contains(&found), "{said}");
    }
}

/// The daemon goes on with what it has read until it reads it again, and check says so.
#[test]
fn what_the_daemon_has_not_read_yet_is_told() {
    let (old, new) = (Sink::start(), Sink::start());
    let mut smarthost = Smarthost::prepare("");
    let config = |relay: &Sink, more: &str| {
        format!(
            "relayhost = \"{}\"\nrelay_tls = {{ level = \"none\" }}\n{more}",
            relay.nexthop()
        )
    };
    smarthost.configure(&config(&old, ""));
    smarthost.run();
    let older = "the daemon has older ones";
    let (status, said) = check(&smarthost, &[]);
    assert!(status == Some(0) && !said.contains(older), "{said}");
    let more = "greet_wait = \"1s\"\nretry = { lifetime = \"2d\" }\n";
    smarthost.configure(&config(&new, more));
    let (_, said) = check(&smarthost, &[]);
    assert!(said.contains(older), "{said}");
    for (has, says) in [
        (old.nexthop(), new.nexthop()),
        ("retry.lifetime is ".to_owned(), "2d".to_owned()),
    ] {
        assert!(said.contains(&has) && said.contains(&says), "{said}");
    }
    assert!(smarthost.admin(&["reload"]).status.success());
    let (_, said) = check(&smarthost, &[]);
    assert!(
        said.contains(older) && said.contains("retry.lifetime"),
        "{said}"
    );
    assert!(!said.contains(&old.nexthop()), "{said}");
    smarthost.kill();
    smarthost.run();
    let (_, said) = check(&smarthost, &[]);
    assert!(!said.contains(older), "{said}");
}
