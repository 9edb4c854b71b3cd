//! What goes wrong in a life, and how little of what happens in it is enough for that.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{live, scenario::Scenario, world::Life};

/// Lives that are tried for a shorter story.
const TRIES: usize = 400;

/// A life in which all is well, or what was wrong.
pub(crate) fn attempt(scenario: &Scenario) -> Result<Life, Vec<String>> {
    match catch_unwind(AssertUnwindSafe(|| live(scenario, false))) {
        Ok(life) if life.wrong.is_empty() => Ok(life),
        Ok(life) => Err(life.wrong),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(vec![format!("panic: {}", text.unwrap_or_default())])
        }
    }
}

/// With one thing less, each in its turn.
fn smaller(scenario: &Scenario) -> Vec<Scenario> {
    let mut all = Vec::new();
    for at in 0..scenario.faults.len() {
        let mut less = scenario.clone();
        less.faults.remove(at);
        all.push(less);
    }
    for at in 0..scenario.submissions.len() {
        let mut less = scenario.clone();
        less.submissions.remove(at);
        all.push(less);
    }
    for conn in scenario.weather.keys() {
        let mut less = scenario.clone();
        less.weather.remove(conn);
        all.push(less);
    }
    for at in 0..scenario.submissions.len() {
        for recipient in 0..scenario.submissions[at].recipients.len() {
            let mut less = scenario.clone();
            less.submissions[at].recipients.remove(recipient);
            if !less.submissions[at].recipients.is_empty() {
                all.push(less);
            }
        }
    }
    all
}

/// The shortest that is found in which something is wrong, too.
pub(crate) fn shrink(scenario: &Scenario) -> Scenario {
    let mut shortest = scenario.clone();
    let mut tries = 0;
    'again: loop {
        for less in smaller(&shortest) {
            tries += 1;
            if tries > TRIES {
                return shortest;
            }
            if attempt(&less).is_err() {
                shortest = less;
                continue 'again;
            }
        }
        return shortest;
    }
}

/// Tells the shortest story, and fails.
pub(crate) fn tell(scenario: &Scenario, wrong: &[String]) {
    let short = shrink(scenario);
    let told = catch_unwind(AssertUnwindSafe(|| live(&short, true)));
    let (wrong, story) = match told {
        Ok(life) => (life.wrong, life.story),
        Err(_) => (wrong.to_vec(), vec!["it ends in a panic".to_owned()]),
    };
    println!("seed {}, made shorter:", scenario.seed);
    for submission in &short.submissions {
        println!(
            "  message {} to {:?}: {:?}",
            submission.token, submission.to, submission.recipients
        );
    }
    for (at, fault) in &short.faults {
        println!("  at {} s: {fault:?}", at / 1_000_000);
    }
    for (conn, weather) in &short.weather {
        println!("  connection {conn}: {weather:?}");
    }
    for line in &story {
        println!("{line}");
    }
    panic!("seed {}: {wrong:#?}", scenario.seed);
}
