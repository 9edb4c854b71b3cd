//! Programs that speak SMTP to localhost instead of calling sendmail (rows A3, B15).

use tests::{agent::Agent, session::Session, sink::Sink, wait::free_address};

/// Rows A3, B15.
#[test]
fn a_program_that_speaks_smtp_to_localhost_is_known_by_its_user_and_its_mail_reaches_the_relayhost()
{
    let (sink, address) = (Sink::start(), free_address());
    let machine = Agent::start(&format!(
        "relayhost = {:?}\ndomain = \"example.org\"\ntls = \"none\"\nlisten = [\"{address}\"]\n",
        sink.nexthop()
    ));
    let mut session = Session::greeted(address);
    let message = b"Subject: spoken\r\n\r\ntext\r\n";
    let reply = session.mail("web@example.org", &["b@example.net"], message);
    assert_eq!(reply.unwrap().code, 250);
    let received = sink.journal().first();
    assert_eq!(received.field("Subject"), "spoken");
    let uid = rustix::process::getuid().as_raw();
    assert!(
        received.field("Received").contains(&format!("uid {uid}")),
        "{}",
        received.text()
    );
    drop(machine);
}

#[test]
fn an_address_that_others_can_reach_is_a_mistake_told_with_its_place() {
    let machine = Agent::prepare("listen = [\"0.0.0.0:2525\"]\n");
    let output = machine.admin(&["agent"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{told}");
    assert!(
        told.contains("config.toml:5") && told.contains("127.0.0.1:25"),
        "{told}"
    );
}
