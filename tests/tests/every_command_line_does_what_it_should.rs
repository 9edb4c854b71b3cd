//! The cases of tests/compat on our `sendmail`; `tests/compat/run` runs the same on other people's.

use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use tests::{
    agent::Agent,
    compat::{case, judge::judge, machine::Machine},
    sink::Sink,
};

/// A machine with its relay.
struct Place {
    machine: Machine,
    /// Runs as long as this lives.
    _agent: Agent,
}

impl Place {
    fn new() -> Self {
        let relay = Sink::start();
        let agent = Agent::start(&format!(
            "relayhost = {:?}\nhostname = \"client.bench\"\ndomain = \"client.bench\"\ntls = \"none\"\naliases = \"$DIR/aliases\"\n",
            relay.nexthop()
        ));
        Self {
            machine: Machine::ours(&agent, relay),
            _agent: agent,
        }
    }
}

#[test]
fn ours_does_what_each_case_says() {
    let cases = case::all();
    let next = AtomicUsize::new(0);
    let faults = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let shared = Place::new();
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // Another user cannot reach this test's directory; tests/compat/run has a
                    // machine for him.
                    if case.uid.is_some() {
                        continue;
                    }
                    // A relay that fails makes the agent wait; no other case shall.
                    let own = case.relay.is_some().then(Place::new);
                    let place = own.as_ref().unwrap_or(&shared);
                    let observed = place.machine.run(case);
                    let wrong = judge(case, &observed, true);
                    if !wrong.is_empty() {
                        let text = format!("{}: {wrong:?}\n  {observed:?}", case.name);
                        faults
                            .lock()
                            .unwrap()
                            .push(text.chars().take(3000).collect::<String>());
                    }
                }
            });
        }
    });
    let faults = faults.into_inner().unwrap();
    assert!(
        faults.is_empty(),
        "{} of {} cases:\n{}",
        faults.len(),
        cases.len(),
        faults.join("\n")
    );
}

#[test]
fn no_two_cases_have_one_name() {
    let mut names = HashSet::new();
    for case in case::all() {
        assert!(names.insert(case.name.clone()), "{}", case.name);
    }
    assert!(names.len() > 100);
}
