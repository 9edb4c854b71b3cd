//! Clients that no network covers: a web container, a printer, a notebook. They log in, or show a
//! key (rows A3, A4).

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command, sync::Arc};

use relay::tls::{ClientTls, Trust};
use rustls::ClientConfig;
use tests::{
    identity::Identity,
    login::{MESSAGE, anybody, from, password, plain, server, to_elsewhere},
    peers,
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
    wait::{free_address, until_true},
};

/// Row A3.
#[test]
fn a_printer_logs_in_under_tls_and_sends_to_anywhere_until_its_login_is_taken_away() {
    let sink = Sink::start();
    let mut smarthost = server(&sink, "auth = { users = \"users\" }\n");
    let secret = password(&smarthost, "printer");
    smarthost.run();

    let mut clear = Session::greeted(smarthost.address());
    let offered = clear.say("EHLO printer.example");
    assert!(!offered.text().contains("AUTH"), "{offered:?}");
    assert_eq!(plain(&mut clear, "printer", &secret).code, 538);

    let mut session = from(&smarthost, "127.0.0.1");
    let offered = session.say("EHLO printer.example").text();
    assert!(offered.contains("AUTH SCRAM-SHA-256 PLAIN"), "{offered}");
    assert_eq!(to_elsewhere(&mut session).code, 554);
    assert_eq!(plain(&mut session, "printer", "wrong").code, 535);
    assert_eq!(plain(&mut session, "nobody", &secret).code, 535);
    assert_eq!(plain(&mut session, "printer", &secret).code, 235);
    assert_eq!(to_elsewhere(&mut session).code, 250);
    let mail = sink.journal().wait_for(1);
    let text = mail[0].text();
    assert!(text.contains("with ESMTPSA id"), "{text}");
    assert!(
        !text.contains("printer\r\n") && !text.contains("(printer"),
        "the login stays here: {text}"
    );
    smarthost
        .daemon()
        .wait_for_log("client=unknown[127.0.0.1], sasl_method=PLAIN, sasl_username=printer");
    let log = smarthost.daemon().wait_for_log(
        "unknown[127.0.0.1]: SASL PLAIN authentication failed: wrong login or password, sasl_username=nobody",
    );
    assert!(!log.contains(&secret), "no password in the log");

    assert!(
        smarthost
            .admin(&["passwd", "printer", "--delete"])
            .status
            .success()
    );
    until_true("the login is gone", || {
        plain(&mut from(&smarthost, "127.0.0.2"), "printer", &secret).code == 535
    });
    let gone = session.say("MAIL FROM:<scan@example.org>");
    assert_eq!(gone.code, 421, "nor in the session that is open: {gone:?}");
    smarthost
        .daemon()
        .wait_for_log("session of unknown[127.0.0.1] ended: this login has changed");
}

#[test]
fn logins_whose_file_is_emptied_or_gone_stay_in_force_and_check_says_so() {
    let sink = Sink::start();
    let mut smarthost = server(&sink, "auth = { users = \"users\" }\n");
    let secret = password(&smarthost, "printer");
    let long = "p".repeat(1025);
    let mut command = smarthost.command();
    let too_long = command.args(["passwd", "other"]);
    let told = tests::agent::pipe(too_long, format!("{long}\n").as_bytes());
    assert!(!told.status.success(), "no client could log in with it");
    smarthost.run();
    let users = smarthost.directory().join("users");
    for gone in [false, true] {
        if gone {
            fs::remove_file(&users).unwrap();
        } else {
            tests::identity::write(&users, "");
        }
        let told = smarthost.admin(&["check"]);
        let told = String::from_utf8(told.stdout).unwrap();
        assert!(
            told.contains("read before (1) stay in force") && !told.contains("nobody can log in"),
            "{told}"
        );
        let reply = plain(&mut from(&smarthost, "127.0.0.1"), "printer", &secret);
        assert_eq!(reply.code, 235);
    }
}

#[test]
fn a_session_ends_at_its_next_mail_when_its_password_or_the_right_to_hand_on_was_taken_away() {
    let sink = Sink::start();
    let with = |more: &str| {
        format!(
            "relayhost = \"{}\"\nnetworks = [\"10.0.0.0/8\"]\nauth = {{ users = \"users\" }}\n{more}",
            sink.nexthop()
        )
    };
    let mut smarthost = server(&sink, "auth = { users = \"users\" }\n");
    smarthost.configure(&with("xclient = [\"127.0.0.9\"]\n"));
    let secret = password(&smarthost, "printer");
    smarthost.run();
    let mut logged_in = from(&smarthost, "127.0.0.1");
    assert_eq!(plain(&mut logged_in, "printer", &secret).code, 235);
    assert_eq!(to_elsewhere(&mut logged_in).code, 250);
    let mut handed_on = from(&smarthost, "127.0.0.9");
    assert_eq!(handed_on.say("XCLIENT ADDR=10.0.0.7").code, 220);
    assert_eq!(handed_on.say("EHLO front.example").code, 250);
    assert_eq!(to_elsewhere(&mut handed_on).code, 250);

    password(&smarthost, "printer");
    until_true("the new password is known", || {
        let reply = logged_in.say("MAIL FROM:<scan@example.org>");
        if reply.code == 250 {
            logged_in.say("RSET");
        }
        reply.code == 421
    });
    assert_eq!(
        to_elsewhere(&mut handed_on).code,
        250,
        "nothing of its own has changed"
    );

    smarthost.configure(&with(""));
    assert!(smarthost.admin(&["reload"]).status.success());
    assert_eq!(handed_on.say("MAIL FROM:<scan@example.org>").code, 421);
}

/// Row A3: what people have. swaks knows PLAIN; SCRAM is what our own programs speak.
#[test]
fn swaks_and_another_smarthost_log_in() {
    let sink = Sink::start();
    let mut smarthost = server(&sink, "auth = { users = \"users\" }\n");
    let secret = password(&smarthost, "vm7@example.org");
    smarthost.run();
    let mut sender = Smarthost::prepare(&format!(
        "relayhost = \"{}\"\nrelay_tls = {{ pins = [\"{}\"] }}\n\
         relay_auth = {{ user = \"vm7@example.org\", password_file = \"secret\" }}\n",
        smarthost.nexthop(),
        smarthost.pin()
    ));
    sender.file("secret", &secret);
    let file = sender.directory().join("secret");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    sender.run();
    Session::connect(sender.address()).ehlo().delivers(
        "a@example.org",
        &["someone@elsewhere.example"],
        MESSAGE,
    );
    sink.journal().wait_for(1);
    smarthost
        .daemon()
        .wait_for_log("sasl_method=SCRAM-SHA-256, sasl_username=vm7@example.org");

    let Some(swaks) = peers::find("swaks") else {
        return;
    };
    let address = smarthost.address();
    let output = Command::new(swaks)
        .args([
            "--server",
            &address.ip().to_string(),
            "--port",
            &address.port().to_string(),
        ])
        .args([
            "--tls",
            "--auth",
            "PLAIN",
            "--auth-user",
            "vm7@example.org",
            "--auth-password",
            &secret,
        ])
        .args([
            "--from",
            "a@example.org",
            "--to",
            "someone@elsewhere.example",
            "--helo",
            "vm7.example",
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    sink.journal().wait_for(2);
}

/// Row A4.
#[test]
fn a_login_has_one_budget_wherever_it_comes_from_and_over_a_restart() {
    let sink = Sink::start();
    let mut smarthost = server(
        &sink,
        "auth = { users = \"users\" }\nlimits = { per_client = [\"3/day\"], exempt = [\"127.0.0.9\"] }\n",
    );
    let secret = password(&smarthost, "vm7");
    smarthost.run();
    let send = |smarthost: &Smarthost, client| {
        let mut session = from(smarthost, client);
        assert_eq!(plain(&mut session, "vm7", &secret).code, 235);
        to_elsewhere(&mut session)
    };
    assert_eq!(send(&smarthost, "127.0.0.2").code, 250);
    assert_eq!(send(&smarthost, "127.0.0.3").code, 250);
    smarthost.kill();
    smarthost.run();
    assert_eq!(send(&smarthost, "127.0.0.4").code, 250);
    let over = send(&smarthost, "127.0.0.5");
    assert!(
        over.text()
            .contains("too much mail from vm7 (4 of 3 in a day"),
        "{over:?}"
    );
    assert_eq!(send(&smarthost, "127.0.0.9").code, 250, "exempt by address");
    let listed = smarthost.admin(&["limits", "list"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(
        listed.contains("vm7") && !listed.contains("127.0.0."),
        "{listed}"
    );
    assert!(
        smarthost
            .admin(&["limits", "raise", "vm7", "10"])
            .status
            .success()
    );
    assert_eq!(send(&smarthost, "127.0.0.5").code, 250);
    assert!(
        smarthost
            .admin(&["limits", "reset", "vm7"])
            .status
            .success()
    );
}

/// The daemon holds what stands in the file, not what once stood there.
#[test]
fn a_login_that_is_taken_away_is_gone_though_it_was_the_last_or_another_line_is_faulty() {
    let sink = Sink::start();
    let mut smarthost = server(&sink, "auth = { users = \"users\" }\n");
    let users = smarthost.directory().join("users");
    let vm7 = password(&smarthost, "vm7");
    smarthost.run();
    let mut client = 1_u8;
    let mut answer = |smarthost: &Smarthost, login: &str, password: &str| {
        client = client % 250 + 1;
        let client = format!("127.0.1.{client}");
        plain(&mut from(smarthost, &client), login, password).code
    };
    assert_eq!(answer(&smarthost, "vm7", &vm7), 235);
    assert!(
        smarthost
            .admin(&["passwd", "vm7", "--delete"])
            .status
            .success()
    );
    until_true("the last login is gone", || {
        answer(&smarthost, "vm7", &vm7) == 535
    });

    let [vm7, vm8] = ["vm7", "vm8"].map(|login| password(&smarthost, login));
    until_true("both are there", || {
        answer(&smarthost, "vm7", &vm7) == 235 && answer(&smarthost, "vm8", &vm8) == 235
    });
    let text = fs::read_to_string(&users).unwrap();
    smarthost.file("users", &format!("carol:garbage\n{text}nobody\n"));
    let deleted = smarthost.admin(&["passwd", "vm7", "--delete"]);
    assert!(deleted.status.success(), "{deleted:?}");
    let told = String::from_utf8(deleted.stderr).unwrap();
    assert!(told.contains("users:1: a password is written as"), "{told}");
    assert!(told.contains("users:3: no colon"), "{told}");
    let vm9 = password(&smarthost, "vm9");
    until_true("a faulty line costs itself alone", || {
        answer(&smarthost, "vm7", &vm7) == 535 && answer(&smarthost, "vm9", &vm9) == 235
    });
    assert_eq!(answer(&smarthost, "vm8", &vm8), 235);
    smarthost
        .daemon()
        .wait_for_log("users:1: a password is written as");
    let checked = smarthost.admin(&["check"]);
    let told = String::from_utf8(checked.stdout).unwrap();
    assert_eq!(checked.status.code(), Some(1), "{told}");
    assert!(told.contains("users:1: a password is written as"), "{told}");

    smarthost.file("users", "# empty\n");
    until_true("a file that says so lets nobody log in", || {
        answer(&smarthost, "vm8", &vm8) == 535
    });
    password(&smarthost, "vm8");
    let text = fs::read_to_string(&users).unwrap();
    assert!(!text.contains("vm9") && !text.contains("# empty"), "{text}");
}

/// Whoever restarts the machine does not say by it that an emptied file is meant, and a password
/// that nobody can look up is not wrong.
#[test]
fn a_file_of_logins_that_is_emptied_or_gone_shuts_nobody_out_and_counts_as_no_guess() {
    for how in ["emptied", "gone"] {
        let sink = Sink::start();
        let mut smarthost = server(
            &sink,
            "auth = { users = \"users\" }\nadmins = [\"admins@far.example\"]\n",
        );
        let users = smarthost.directory().join("users");
        let vm7 = password(&smarthost, "vm7");
        let good = fs::read_to_string(&users).unwrap();
        smarthost.run();
        let answer = |smarthost: &Smarthost| plain(&mut from(smarthost, "127.0.0.2"), "vm7", &vm7);
        assert_eq!(answer(&smarthost).code, 235);
        if how == "emptied" {
            smarthost.file("users", "");
        } else {
            fs::remove_file(&users).unwrap();
        }
        let status =
            |smarthost: &Smarthost| String::from_utf8(smarthost.admin(&["status"]).stdout).unwrap();
        for round in 0..2 {
            until_true("it is told", || {
                status(&smarthost).contains(users.to_str().unwrap())
            });
            assert_eq!(answer(&smarthost).code, 235, "{how} {round}");
            smarthost.daemon().stop();
            smarthost.run();
        }
        let told = sink.journal().messages();
        let told = told.iter().filter(|it| it.text().contains("is wrong"));
        assert_eq!(told.count(), 1, "{how}");

        // Without a copy nobody knows who may log in: none is refused for good, none counts.
        smarthost.daemon().stop();
        fs::remove_dir_all(smarthost.directory().join("state/files.last-good")).unwrap();
        smarthost.file("users", "");
        smarthost.run();
        for _ in 0..12 {
            let told = answer(&smarthost);
            assert_eq!(told.code, 454, "{how}: {told:?}");
            assert!(!told.text().contains("too many"), "{told:?}");
        }
        assert!(status(&smarthost).contains("it is not known who may"));
        smarthost.file("users", &good);
        until_true("the file is believed at once", || {
            answer(&smarthost).code == 235
        });
        assert!(!status(&smarthost).contains("it is not known who may"));
    }
}

#[test]
fn logins_that_are_written_at_the_same_time_are_all_there_and_a_link_to_the_file_stays_one() {
    let sink = Sink::start();
    let smarthost = server(&sink, "auth = { users = \"users\" }\n");
    let (users, real) = (
        smarthost.directory().join("users"),
        smarthost.directory().join("logins"),
    );
    std::os::unix::fs::symlink("logins", &users).unwrap();
    let logins: Vec<String> = (0..20).map(|number| format!("vm{number:02}")).collect();
    let at_once = |more: &[&str]| {
        let mut running: Vec<_> = logins
            .iter()
            .map(|login| {
                smarthost
                    .command()
                    .arg("passwd")
                    .arg(login)
                    .args(more)
                    .spawn()
                    .unwrap()
            })
            .collect();
        for child in &mut running {
            assert!(child.wait().unwrap().success());
        }
    };
    at_once(&["--generate"]);
    let listed = String::from_utf8(smarthost.admin(&["passwd"]).stdout).unwrap();
    assert_eq!(listed.lines().collect::<Vec<_>>(), logins);
    at_once(&["--delete"]);
    assert_eq!(fs::read_to_string(&real).unwrap(), "# empty\n");
    assert!(users.is_symlink());
    for bad in ["#vm7", "\u{feff}vm7"] {
        let refused = smarthost.admin(&["passwd", bad, "--generate"]);
        assert!(!refused.status.success(), "{refused:?}");
    }
    assert_eq!(fs::read_to_string(&real).unwrap(), "# empty\n");
}

#[test]
fn a_key_names_a_client_where_clients_are_asked_for_one_and_nowhere_else() {
    let sink = Sink::start();
    let (known, stranger) = (Identity::new("vm7.example"), Identity::new("x.example"));
    let mx = free_address();
    let mut smarthost = server(&sink, "");
    for (identity, name) in [(&known, "known"), (&stranger, "stranger")] {
        identity.write(smarthost.directory(), name);
    }
    let shown = |name: &str| {
        let file = |end: &str| smarthost.directory().join(format!("{name}.{end}"));
        let pair = (file("pem"), file("key"));
        let pair = Some((pair.0.as_path(), pair.1.as_path()));
        ClientTls::with_identity(&Trust::Opportunistic, pair)
            .unwrap()
            .config
    };
    let [known, stranger] = ["known", "stranger"].map(shown);
    let pin = relay::tls::pins_of_file(&smarthost.directory().join("known.pem"))
        .unwrap()
        .pin();
    smarthost.configure(&format!(
        "networks = [\"127.0.0.77/32\"]\nrelayhost = \"{}\"\nlimits = {{ per_client = [\"3/day\"] }}\n\
         client_pins = {{ \"{pin}\" = \"vm7\" }}\n\
         listen = [\"{}\", {{ address = \"{mx}\", submission = false }}]\n",
        sink.nexthop(),
        smarthost.address(),
    ));
    smarthost.run();
    let at = |address, key: &Arc<ClientConfig>| {
        Session::connect(address).ehlo().starttls(Arc::clone(key))
    };
    let submission = smarthost.address();
    assert_eq!(to_elsewhere(&mut at(submission, &anybody())).code, 554);
    assert_eq!(to_elsewhere(&mut at(submission, &stranger)).code, 554);
    assert_eq!(to_elsewhere(&mut at(submission, &known)).code, 250);
    // The session is resumed, and the key with it; where nobody is asked for a key a resumed
    // session proves nothing.
    assert_eq!(to_elsewhere(&mut at(submission, &known)).code, 250);
    assert_eq!(to_elsewhere(&mut at(mx, &known)).code, 554);
    assert_eq!(to_elsewhere(&mut at(submission, &known)).code, 250);
    let over = to_elsewhere(&mut at(submission, &known));
    assert!(
        over.text().contains("too much mail from vm7 (4 of 3"),
        "{over:?}"
    );
    smarthost.daemon().wait_for_log("key of vm7");
}
