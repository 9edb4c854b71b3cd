//! The agent's sockets are open to every user of the machine: who asks is known, and a hostile user harms only himself.

use tests::{agent::Agent, peers, sink::Sink};

/// A container that has the socket mounted submits too: its processes have no pid in the agent's eyes, but a user id.
#[test]
fn a_program_in_another_pid_namespace_submits_and_lists_its_mail() {
    if !peers::root() {
        return;
    }
    let sink = Sink::start();
    let mut agent = Agent::prepare(&format!(
        "relayhost = \"{}\"\ndomain = \"example.test\"\ntls = \"none\"\n",
        sink.nexthop()
    ));
    agent.in_pid_namespace();
    agent.run();
    agent.send(
        &["admin@example.test"],
        "Subject: out of a container\n\nx\n",
    );
    sink.journal().wait_for(1);
    let listing = agent.mailq();
    assert!(listing.contains("Mail queue is empty"), "{listing}");
}
