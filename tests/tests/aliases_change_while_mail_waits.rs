//! Aliases of a machine that change while mail to them waits in its queue: whoever they name when
//! it is sent gets it, and nobody gets it twice; and those that refuse one of several recipients.
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

#[test]
fn a_member_that_a_list_gains_while_mail_waits_gets_it_and_the_log_says_who_was_replaced() {
    let address = free_address();
    let mut machine = machine(&nexthop(address), "team: ann@d.example\n");
    machine.send(&["team"], "Subject: s\n\nx\n");
    machine.wait_for_mailq("that nobody listens", |text| text.contains("refused"));
    let id = listed(&machine, "queue_id")[0].replace('"', "");
    changed(
        &machine,
        "team: ann@d.example, new@d.example\n",
        "team",
        "new@",
    );
    flushed(&machine);
    machine.wait_for_mailq("both", |text| text.contains("new@d.example"));
    let log = machine.daemon().wait_for_log("status=replaced");
    let mut lines = log.lines();
    let replaced = lines.find(|line| line.contains("status=replaced")).unwrap();
    assert!(replaced.contains("to=<ann@d.example>"), "{replaced}");
    assert!(replaced.contains(&id), "{replaced}");
    let next = listed(&machine, "queue_id")[0].replace('"', "");
    assert!(
        replaced.contains(&format!("forwarded as {next}")),
        "{replaced}"
    );
    let sink = Sink::on(address, Script::default());
    flushed(&machine);
    is_empty(&machine);
    assert_eq!(sink.recipients(2), ["ann@d.example", "new@d.example"]);
}

#[test]
fn mail_for_a_name_that_refuses_it_by_the_time_it_is_sent_comes_back_to_its_sender() {
    let address = free_address();
    let machine = machine(&nexthop(address), "team: ann@d.example\n");
    machine.send(&["-f", "bob@d.example", "team"], "Subject: s\n\nx\n");
    machine.wait_for_mailq("that nobody listens", |text| text.contains("refused"));
    changed(
        &machine,
        "team: :fail: it is closed\n",
        "team",
        "it is closed",
    );
    let sink = Sink::on(address, Script::default());
    flushed(&machine);
    is_empty(&machine);
    assert_eq!(sink.recipients(1), ["bob@d.example"]);
    let text = sink.journal().first().text();
    assert!(text.contains("it is closed"), "{text}");
}

/// With and without an agent.
#[test]
fn a_name_that_refuses_mail_takes_it_from_nobody_else_and_its_sender_is_told() {
    let aliases = "gone: :fail: it is closed\nmix: gone, m@d.example\n";
    for runs in [true, false] {
        let sink = Sink::start();
        let mut machine = machine(&sink.nexthop(), aliases);
        if !runs {
            machine.daemon().stop();
        }
        let mut served = Vec::new();
        for (to, gets) in [
            (vec!["gone", "good@d.example"], vec!["good@d.example"]),
            (vec!["mix"], vec!["m@d.example"]),
            (vec!["gone"], vec![]),
        ] {
            let arguments = [vec!["-f", "bob@d.example"], to].concat();
            let output = machine.sendmail(&arguments, "Subject: s\n\nx\n");
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(67), "{arguments:?}: {told}");
            assert!(told.contains("it is closed"), "{told}");
            if runs && !gets.is_empty() {
                served.push("bob@d.example");
            }
            served.extend(gets);
        }
        served.sort_unstable();
        until_true("they get it", || {
            sink.journal().messages().len() == served.len()
        });
        assert_eq!(sink.recipients(served.len()), served);
    }
}
