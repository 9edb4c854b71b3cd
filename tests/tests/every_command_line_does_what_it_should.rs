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
    sink::nexthop,
    wait::free_address,
};

#[test]
fn ours_does_what_each_case_says() {
    let cases = case::all();
    let next = AtomicUsize::new(0);
    let faults = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // Another user cannot reach this test's directory; tests/compat/run has a machine for him.
                    if case.uid.is_some() {
                        continue;
                    }
                    let relay = free_address();
                    let agent = Agent::start(&format!(
                        "relayhost = {:?}\nhostname = \"client.bench\"\ndomain = \"client.bench\"\ntls = \"none\"\naliases = \"$DIR/aliases\"\n",
                        nexthop(relay)
                    ));
                    let observed = Machine::ours(&agent, relay).run(case);
                    let wrong = judge(case, &observed, true);
                    if !wrong.is_empty() {
                        let text = format!("{}: {wrong:?}\n  {observed:?}", case.name);
                        faults.lock().unwrap().push(text.chars().take(3000).collect::<String>());
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
