//! A machine may send so much automatic mail a day (`budget`): what is beyond it waits in the
//! queue, and is counted in the log, there and to root.

use tests::{
    agent::{Agent, CRON, CRON_ARGUMENTS, config},
    sink::Sink,
    wait::until_true,
};

fn machine(sink: &Sink, more: &str) -> Agent {
    Agent::start(&config(&sink.nexthop(), more))
}

/// Cron's mail of a job, unlike that of any other.
fn cron(machine: &Agent, job: &str) {
    machine.send(
        &CRON_ARGUMENTS,
        CRON.replace("/usr/sbin/backup", job) + job + "\n",
    );
}

/// Ids of the messages that are held.
fn held(listing: &str) -> Vec<String> {
    let words = listing.lines().filter_map(|line| line.split(' ').next());
    words
        .filter_map(|word| Some(word.strip_suffix('!')?.to_owned()))
        .collect()
}

/// Whether mail with that in its subject has come; after a kill, some may come twice.
fn has_come(sink: &Sink, what: &str) -> bool {
    let messages = sink.journal().messages();
    messages.iter().any(|m| m.field("Subject").contains(what))
}

fn wait_for(sink: &Sink, what: &str) {
    until_true(what, || has_come(sink, what));
}

#[test]
fn what_is_over_the_budget_waits_through_kill_9_and_goes_only_by_the_administrators_hand() {
    let sink = Sink::start();
    let mut machine = machine(&sink, "budget = \"3/day\"\n");
    let none_of = |jobs: &[&str]| !jobs.iter().any(|job| has_come(&sink, job));
    for job in ["one", "two", "three", "four", "five"] {
        cron(&machine, job);
    }
    machine.send(&["root"], "Subject: by hand\n\nx\n");
    for subject in ["one", "two", "three", "by hand"] {
        wait_for(&sink, subject);
    }
    let listing = machine.mailq();
    assert!(
        held(&listing).len() == 2 && none_of(&["four", "five"]),
        "{listing}"
    );
    assert!(
        listing.contains("(over the budget of 3/day; next at "),
        "{listing}"
    );
    let log = machine
        .daemon()
        .wait_for_log("over the budget of 3/day, 2 wait now");
    assert!(log.contains("(queue hold)"), "{log}");

    machine.kill();
    machine.run();
    cron(&machine, "six");
    // Every user may say this; it changes nothing.
    assert!(machine.admin(&["queue", "flush"]).status.success());
    machine.send(&["root"], "Subject: after kill -9\n\nx\n");
    wait_for(&sink, "after kill -9");
    let waiting = held(&machine.mailq());
    assert!(
        waiting.len() == 3 && none_of(&["four", "five", "six"]),
        "{waiting:?}"
    );

    let admin = |what: &str, id: &str| {
        let output = machine.admin(&["queue", what, id]);
        assert!(output.status.success(), "{output:?}");
    };
    admin("delete", &waiting[0]);
    admin("release", &waiting[1]);
    wait_for(&sink, "five");
    machine.wait_for_mailq("one that waits", |listing| held(listing) == waiting[2..]);
    assert!(none_of(&["four", "six"]));

    // Without a budget, nothing waits for it.
    machine.configure(&format!(
        "relayhost = {:?}\ndomain = \"example.org\"\ntls = \"none\"\n",
        sink.nexthop()
    ));
    machine.kill();
    machine.run();
    wait_for(&sink, "six");
}

#[test]
fn what_waits_goes_by_itself_when_its_time_has_come_and_root_is_told_once_how_much_waits() {
    let sink = Sink::start();
    let machine = machine(&sink, "budget = \"2/8s\"\n");
    for job in ["one", "two", "three", "four"] {
        cron(&machine, job);
    }
    let sent = sink.journal().wait_for(5);
    let (told, jobs): (Vec<_>, Vec<_>) = sent
        .iter()
        .partition(|message| message.field("Subject").contains("over the budget of 2/8s"));
    let ([notice], 4) = (&told[..], jobs.len()) else {
        panic!("{sent:?}")
    };
    assert!(notice.text().contains("(budget), and has done so."));
    assert!(
        notice.text().contains(": Cron <root@vm1> test -x t"),
        "{}",
        notice.text()
    );
    machine.wait_for_mailq("an empty queue", |listing| listing.contains("is empty"));
}

#[test]
fn what_a_digest_counts_costs_nothing_and_what_was_kept_for_one_in_vain_costs_as_any_other() {
    let sink = Sink::start();
    let machine = machine(
        &sink,
        "budget = \"1/day\"\ncollapse = { window = \"5s\" }\n",
    );
    for number in 0..10 {
        machine.send(&CRON_ARGUMENTS, format!("{CRON}run {number}\n"));
    }
    for number in 0..2 {
        machine.send(&CRON_ARGUMENTS, format!("{CRON}walk {number}\n"));
    }
    // The first of all, and the digest: it says nothing new, but it says it of many.
    let sent = sink.journal().wait_for(2);
    assert!(
        sent[1].field("Subject").starts_with("[9 more] "),
        "{sent:?}"
    );
    let listing = machine.wait_for_mailq("two that wait", |listing| held(listing).len() == 2);
    assert!(listing.contains("over the budget of 1/day"), "{listing}");
    let output = machine.admin(&["queue", "release", "ALL"]);
    assert!(output.status.success(), "{output:?}");
    let sent = sink.journal().wait_for(4);
    assert!(sent[2].text().contains("walk ") && sent[3].text().contains("walk "));
}
