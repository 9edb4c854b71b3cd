//! One mistake, in a table, a list or an address, and what goes on all the same.

use std::{fs, net::IpAddr};

use rustix::process::Signal;
use tests::{
    binaries::write_program,
    session::Session,
    sink::{Script, Sink},
    smarthost::Smarthost,
    wait::until,
};

const MESSAGE: &[u8] = b"Subject: test\r\n\r\ntext\r\n";

#[test]
fn an_address_that_would_be_an_option_of_the_program_bounces_alone() {
    let mut smarthost = Smarthost::prepare(
        "networks = [\"127.0.0.0/8\"]\ndomains = { local = [\"example.org\"] }\nmaildir = \"$DIR/Maildir\"\n\
         routes = { \"lists.example\" = \"lists\" }\n\
         [transports.lists]\ncommand = [\"$DIR/deliver\", \"${recipient}\"]\nrecipients = 10\n",
    );
    let ran = smarthost.directory().join("ran");
    let text = format!(
        "#!/bin/sh\ncat >/dev/null\necho \"$*\" > {}\n",
        ran.display()
    );
    write_program(&smarthost.directory().join("deliver"), &text);
    smarthost.run();
    let three = ["a@lists.example", "-b@lists.example", "c@lists.example"];
    Session::greeted(smarthost.address()).delivers("me@example.org", &three, MESSAGE);
    smarthost.wait_for_mailq("nothing", |it| it.contains("Mail queue is empty"));
    assert_eq!(
        fs::read_to_string(&ran).unwrap(),
        "a@lists.example c@lists.example\n"
    );
    let bounce = until("the bounce is delivered", || {
        smarthost.maildir("Maildir").pop()
    });
    assert!(
        bounce.contains("Final-Recipient: rfc822; -b@lists.example"),
        "{bounce}"
    );
    assert_eq!(bounce.matches("Final-Recipient").count(), 1, "{bounce}");
}

/// A key that stands alone never means as much as if it did not stand there.
#[test]
fn a_line_of_a_table_without_its_value_refuses_nobody_for_good_and_opens_nothing() {
    let sink = Sink::start();
    let mut smarthost = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.9/32\"]\nrelayhost = \"{0}\"\n\
         domains = {{ relay = [\"r.example\"], virtual = [\"v.example\"] }}\n\
         relay_recipients = [\"$DIR/rr\"]\nvirtual = [\"$DIR/virtual\"]\ntls_policy = [\"$DIR/policy\"]\n\
         restrictions = [\"check_sender_access $DIR/senders\", \"permit_mynetworks\", \"reject_unauth_destination\"]\n\
         [routes]\n\"p.example\" = \"{0}\"\n\"r.example\" = \"{0}\"\n",
        sink.nexthop()
    ));
    smarthost.file("rr", "known@r.example\nother@r.example OK\n");
    smarthost.file("virtual", "alone@v.example\nwhole@v.example a@r.example\n");
    smarthost.file("policy", &format!("{}\n", sink.nexthop()));
    smarthost.file("senders", "alone.example\nworse.example REJECT\n");
    smarthost.run();
    let own: IpAddr = "127.0.0.9".parse().unwrap();
    let stranger: IpAddr = "127.0.0.7".parse().unwrap();
    let said = |from: IpAddr, sender: &str, to: &str| {
        let mut session = Session::connect_from(from, smarthost.address()).ehlo();
        session.say(&format!("MAIL FROM:<{sender}>"));
        session.say(&format!("RCPT TO:<{to}>")).code
    };
    for (sender, to, code) in [
        ("x@y.example", "known@r.example", 250),
        ("x@y.example", "other@r.example", 250),
        ("x@y.example", "nobody@r.example", 550),
        ("x@y.example", "alone@v.example", 451),
        ("x@y.example", "nobody@v.example", 550),
        ("x@alone.example", "other@r.example", 451),
        ("x@worse.example", "other@r.example", 554),
    ] {
        assert_eq!(said(stranger, sender, to), code, "{sender} {to}");
    }
    let mut session = Session::connect_from(own, smarthost.address()).ehlo();
    session.delivers("me@y.example", &["u@p.example"], MESSAGE);
    smarthost.wait_for_mailq("why it waits", |it| it.contains("there is no level"));
    assert!(sink.journal().is_empty(), "nothing goes in clear text");
}

#[test]
fn an_included_list_that_is_gone_stays_in_force_over_a_reload_and_a_restart() {
    let sink = Sink::start();
    let mut smarthost = Smarthost::prepare(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\nmaildir = \"none\"\n\
         domains = {{ local = [\"example.org\"] }}\naliases = [\"$DIR/aliases\"]\n",
        sink.nexthop()
    ));
    let list = smarthost.directory().join("members");
    smarthost.file("members", "ann@example.net\n");
    smarthost.file("aliases", &format!("team: :include:{}\n", list.display()));
    smarthost.run();
    let team = |smarthost: &Smarthost| {
        let mut session = Session::greeted(smarthost.address());
        let reply = session.mail("me@example.org", &["team@example.org"], MESSAGE);
        reply.unwrap().code
    };
    assert_eq!(team(&smarthost), 250);
    fs::remove_file(&list).unwrap();
    let log = "what was read before stays in force";
    until("the loss is told", || {
        // Tables are looked at when somebody comes.
        assert_eq!(team(&smarthost), 250);
        smarthost.daemon().log().contains(log).then_some(())
    });
    smarthost.daemon().signal(Signal::HUP);
    smarthost.daemon().wait_for_log("reloaded");
    assert_eq!(team(&smarthost), 250, "after a reload");
    assert!(smarthost.daemon().stop().success());
    smarthost.run();
    assert_eq!(team(&smarthost), 250, "after a restart");
    smarthost.daemon().wait_for_log(log);
    smarthost.wait_for_mailq("nothing", |it| it.contains("Mail queue is empty"));
    let all = sink.journal().messages();
    assert!(all.iter().all(|it| it.recipients == ["ann@example.net"]));
}

#[test]
fn an_order_to_return_mail_says_where_nobody_hears_of_it_and_keeps_why_it_has_waited() {
    let sink = Sink::with(Script {
        answers: vec![("MAIL".to_owned(), "451 4.3.0 come later".to_owned())],
        ..Script::default()
    });
    let smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.0/8\"]\nrelayhost = \"{}\"\nmaildir = \"$DIR/Maildir\"\n\
         domains = {{ local = [\"example.org\"] }}\n",
        sink.nexthop()
    ));
    let queued = |sender: &str, more: &str| {
        let mut session = Session::greeted(smarthost.address());
        session.say(&format!("MAIL FROM:<{sender}>"));
        session.say(&format!("RCPT TO:<u@example.net>{more}"));
        session.say("DATA");
        let reply = session.say("Subject: x\r\n\r\ntext\r\n.").text();
        reply.rsplit(' ').next().unwrap_or_default().to_owned()
    };
    let (whole, null, silent) = (
        queued("me@example.org", ""),
        queued("", ""),
        queued("me@example.org", " NOTIFY=NEVER"),
    );
    smarthost.wait_for_mailq("why all wait", |it| it.matches("come later").count() == 3);
    let returned = |id: &str| {
        let output = smarthost.admin(&["queue", "bounce", id]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(
        returned(&whole),
        format!("{whole}: to be returned\n1 message to be returned\n")
    );
    let told = returned(&null);
    assert!(
        told.starts_with(&format!("{null}: held as dead mail")),
        "{told}"
    );
    let told = returned(&silent);
    assert!(
        told.starts_with(&format!("{silent}: given up, and nobody is told")),
        "{told}"
    );
    let bounce = until("the bounce is delivered", || {
        smarthost.maildir("Maildir").pop()
    });
    assert!(bounce.contains("come later"), "{bounce}");
    let left = smarthost.wait_for_mailq("the dead mail alone", |it| it.contains("1 Request"));
    assert!(
        left.contains(&null) && left.contains("come later"),
        "{left}"
    );
}
