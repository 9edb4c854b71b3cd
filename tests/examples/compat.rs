//! The cases of tests/compat on one program in a namespace, and the table of all results; called by
//! tests/compat/run.
//!
//!     compat run FILE FLUSH ENTER... # results as JSON lines into FILE; ENTER... goes before a
//!     program's path compat table NAME=FILE... # Markdown on standard output

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a tool of the tests, run by hand: it ends where it cannot go on, and is told by the environment"
)]

use std::{
    collections::BTreeMap,
    env, fs,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tests::{
    compat::{case, judge::judge, machine::Machine, table},
    sink::{Script, Sink},
};

/// The sink in the namespace beside the program's (tests/bench/lib.sh).
const RELAY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 99, 0, 2)), 25);

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.split_first() {
        Some((verb, rest)) if verb == "run" && rest.len() > 2 => run(rest),
        Some((verb, rest)) if verb == "table" => print_table(rest),
        _ => panic!("usage: compat run FILE FLUSH ENTER... | compat table NAME=FILE..."),
    }
}

fn run(words: &[String]) {
    let ours = words[0].ends_with("/ours.json");
    let enter = || words[2..].iter().map(Into::into);
    let machine = Machine {
        enter: enter().collect(),
        places: ["/usr/sbin/sendmail", "mailq", "newaliases"].map(Into::into),
        env: vec![("PATH".to_owned(), "/usr/sbin:/usr/bin:/sbin:/bin".into())],
        relay: Sink::on(RELAY, Script::default()),
        flush: enter().chain(words[1].split(' ').map(Into::into)).collect(),
        flush_every: Duration::from_secs(if ours { 1 } else { 4 }),
        patience: Duration::from_secs(if ours { 20 } else { 4 }),
        grace: Duration::from_millis(400),
    };
    let mut out = fs::File::create(&words[0]).unwrap();
    let only = env::var("CASES").unwrap_or_default();
    for case in case::all().iter().filter(|case| case.name.contains(&only)) {
        let observed = machine.run(case);
        let faults = judge(case, &observed, ours);
        let line = serde_json::to_string(&(&case.name, &faults)).unwrap();
        writeln!(out, "{line}").unwrap();
        if !only.is_empty() {
            println!("{line}\n{observed:?}");
        }
    }
}

fn print_table(words: &[String]) {
    let results = words.iter().map(|word| {
        let (name, file) = word.split_once('=').expect("NAME=FILE");
        let lines = fs::read_to_string(file).unwrap_or_default();
        let faults: BTreeMap<String, Vec<String>> = lines
            .lines()
            .map(|line| serde_json::from_str::<(String, Vec<String>)>(line).unwrap())
            .collect();
        (name.to_owned(), faults)
    });
    print!("{}", table::markdown(&case::all(), &results.collect()));
}
