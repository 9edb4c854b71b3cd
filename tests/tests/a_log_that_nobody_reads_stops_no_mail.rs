//! Whoever reads the log stops (a pipe that nobody empties): mail goes on, orders are answered, and
//! the program ends when it is told to.

use tests::{
    agent::{self, Agent},
    daemon::Unread,
    session::Session,
    sink::Sink,
    smarthost::Smarthost,
    wait::until,
};

/// Their lines are more than a pipe holds.
const MESSAGES: usize = 300;

/// Ends what has been told to, and reads the log again.
fn ends(daemon: &mut tests::daemon::Daemon, unread: Unread) -> String {
    daemon.signal(rustix::process::Signal::TERM);
    until("it ends", || daemon.ended());
    drop(unread);
    daemon.kill();
    daemon.log()
}

#[test]
fn a_smarthost_takes_and_delivers_mail_though_nobody_reads_its_log() {
    let sink = Sink::start();
    let mut smarthost = Smarthost::start(&format!(
        "networks = [\"127.0.0.1/32\"]\nrelayhost = \"{}\"\nrelay_tls = {{ level = \"none\" }}\n\
         limits = {{ exempt = [\"127.0.0.1\"] }}\n",
        sink.nexthop(),
    ));
    let unread = smarthost.daemon().unread();
    let mut client = Session::greeted(smarthost.address());
    for _ in 0..MESSAGES {
        client.delivers(
            "a@example.org",
            &["b@example.net"],
            b"Subject: x\r\n\r\nx\r\n",
        );
    }
    sink.journal().wait_for(MESSAGES);
    let status = smarthost.admin(&["status"]);
    assert!(status.status.success(), "{status:?}");
    let log = ends(smarthost.daemon(), unread);
    assert!(log.contains("status=sent"), "{log}");
}

#[test]
fn an_agent_takes_and_delivers_mail_though_nobody_reads_its_log() {
    let sink = Sink::start();
    let mut agent = Agent::start(&agent::config(&sink.nexthop(), "budget = \"10000/day\"\n"));
    let unread = agent.daemon().unread();
    let message = "MAIL FROM:<a@example.org>\nRCPT TO:<b@example.net>\nDATA\nSubject: x\n\nx\n.\n";
    let dialog = format!("EHLO x\n{}QUIT\n", message.repeat(MESSAGES));
    let said = agent.sendmail(&["-bs"], dialog);
    assert!(said.status.success(), "{said:?}");
    sink.journal().wait_for(MESSAGES);
    let log = ends(agent.daemon(), unread);
    assert!(log.contains("status=sent"), "{log}");
}
