//! What a relayhost says at the end of a message may be about this machine in words that nobody
//! knows; then it refuses the bounce, too, and that stays on hold: nothing of the message is lost.

use tests::{
    agent::Agent,
    sink::{Script, Sink},
    wait::until_true,
};

#[test]
fn a_bounce_has_all_of_a_large_message_that_the_relayhost_refuses_when_it_has_seen_it() {
    let sink = Sink::with(Script {
        after_message: "554 5.7.1 not from there".to_owned(),
        ..Script::default()
    });
    let machine = Agent::start(&format!(
        "relayhost = \"{}\"\ntls = \"none\"\n",
        sink.nexthop()
    ));
    let line = format!("{}\n", "x".repeat(70)).repeat(4000);
    let message = format!("Subject: raid\n\n{line}the last line\n");
    machine.send(&["b@example.net"], &message);
    let held = |listing: &str| -> Vec<String> {
        let words = listing.lines().filter_map(|line| line.split(' ').next());
        let ids = words.filter_map(|word| word.strip_suffix('!'));
        ids.map(str::to_owned).collect()
    };
    let listing = machine.wait_for_mailq("the bounce on hold", |text| !held(text).is_empty());
    let refused = sink.journal().len();
    sink.play(Script::default());
    for id in held(&listing) {
        assert!(machine.admin(&["queue", "release", &id]).status.success());
    }
    until_true("the bounce comes with all of it", || {
        let all = sink.journal().messages();
        let mut taken = all.iter().skip(refused).map(tests::sink::Received::text);
        taken.any(|it| it.contains("multipart/report") && it.contains("the last line"))
    });
}
