//! Aliases of a machine that change while mail to them waits in its queue: whoever they name when
//! it is sent gets it, and nobody gets it twice.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use tests::{
    agent::{Agent, config},
    sink::{Script, Sink, nexthop},
    wait::{free_address, until_true},
};

/// A machine on which only orders bring about another attempt.
fn machine(nexthop: &str, aliases: &str) -> Agent {
    let more = "aliases = \"$DIR/aliases\"\nretry = { minimal = \"1h\", maximal = \"1h\" }\n";
    let mut machine = Agent::prepare(&config(nexthop, more));
    machine.file("aliases", aliases);
    machine.run();
    machine
}

/// The alias file says this now, and the agent has read it: `name` leads to `to`.
fn changed(machine: &Agent, aliases: &str, name: &str, to: &str) {
    machine.file("aliases", aliases);
    until_true("the agent reads the aliases", || {
        let said = machine.sendmail(&["-bv", name], "").stdout;
        String::from_utf8(said).unwrap().contains(to)
    });
}

/// What `queue list --json` has under this name, of each message.
fn listed(machine: &Agent, name: &str) -> Vec<String> {
    let output = machine.admin(&["queue", "list", "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let key = format!("\"{name}\":");
    let values = text.split(key.as_str()).skip(1);
    let values = values.map(|rest| rest.split(',').next().unwrap().to_owned());
    values.collect()
}

fn flushed(machine: &Agent) {
    assert!(machine.sendmail(&["-q"], "").status.success());
}

fn is_empty(machine: &Agent) {
    machine.wait_for_mailq("nothing", |text| text.contains("Mail queue is empty"));
}

/// Its members are given to the relayhost in several transactions.
#[test]
fn a_list_whose_members_change_while_the_relay_is_down_goes_to_each_member_once() {
    let address = free_address();
    let list = |renamed: &[usize]| -> Vec<String> {
        let name = |n| if renamed.contains(&n) { "new" } else { "u" };
        (0..250)
            .map(|n| format!("{}{n}@d.example", name(n)))
            .collect()
    };
    let aliases = |list: &[String]| format!("team: {}\n", list.join(", "));
    let machine = machine(&nexthop(address), &aliases(&list(&[])));
    machine.send(&["team"], "Subject: s\n\nx\n");
    machine.wait_for_mailq("that nobody listens", |text| text.contains("refused"));
    let renamed = list(&[5, 105, 205]);
    changed(&machine, &aliases(&renamed), "team", "new205@");
    let sink = Sink::on(address, Script::default());
    flushed(&machine);
    is_empty(&machine);
    let expected: BTreeSet<_> = renamed.into_iter().collect();
    assert_eq!(sink.recipients(250), Vec::from_iter(expected));
}

/// It expires when it would have expired without the change.
#[test]
fn mail_that_waits_for_somebody_else_by_now_is_as_old_as_it_was() {
    let machine = machine(&nexthop(free_address()), "team: ann@d.example\n");
    machine.send(&["team"], "Subject: s\n\nx\n");
    machine.wait_for_mailq("that nobody listens", |text| text.contains("refused"));
    let [arrival, id] = ["arrival_time", "queue_id"].map(|name| listed(&machine, name));
    changed(&machine, "team: bob@d.example\n", "team", "bob@");
    flushed(&machine);
    machine.wait_for_mailq("Bob", |text| text.contains("bob@d.example"));
    assert_ne!(listed(&machine, "queue_id"), id);
    assert_eq!(listed(&machine, "arrival_time"), arrival);
}

#[test]
fn whoever_had_the_mail_does_not_get_it_again_when_somebody_else_of_his_list_is_replaced() {
    let later = |name: &str| Script {
        recipients: vec![(format!("{name}@d.example"), "450 4.2.0 later".to_owned())],
        ..Script::default()
    };
    let sink = Sink::with(later("bob"));
    let machine = machine(
        &sink.nexthop(),
        "team: ann@d.example, bob@d.example\nops: bob@d.example\n",
    );
    machine.send(&["team"], "Subject: s\n\nx\n");
    machine.send(&["dora@d.example", "ops"], "Subject: s\n\nx\n");
    assert_eq!(sink.recipients(2), ["ann@d.example", "dora@d.example"]);
    until_true("Bob waits twice", || {
        machine.mailq().matches("bob@d.example").count() == 2
    });
    // Dora has it by her own address.
    let aliases = "team: ann@d.example, carl@d.example\nops: dora@d.example\n";
    changed(&machine, aliases, "team", "carl@");
    flushed(&machine);
    is_empty(&machine);
    let got = ["ann@d.example", "carl@d.example", "dora@d.example"];
    assert_eq!(sink.recipients(3), got);
}
