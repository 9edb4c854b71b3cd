//! Configurations and tables as they are shipped and shown, and who speaks to a server of a recipe.

use std::fs;

use tests::{
    binaries::repository,
    resolver::{Record, Resolver},
    session::Session,
    sink::{Received, Sink, nexthop},
    smarthost::Smarthost,
};
use toml::{Table, Value};

/// A configuration that is shipped.
pub(super) fn shipped(name: &str) -> Table {
    let path = repository().join(format!("packaging/examples/{name}.toml"));
    fs::read_to_string(path).unwrap().parse().unwrap()
}

/// A shipped configuration with other values for some keys.
pub(super) fn recipe(name: &str, others: &[(&str, Value)]) -> String {
    with(shipped(name), others)
}

pub(super) fn with(mut table: Table, others: &[(&str, Value)]) -> String {
    for (key, value) in others {
        table.insert((*key).to_owned(), value.clone());
    }
    let lines: Vec<_> = table
        .iter()
        .map(|(key, value)| format!("{key} = {}", written(value)))
        .collect();
    lines.join("\n") + "\n"
}

fn written(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Array(all) => {
            let all: Vec<_> = all.iter().map(written).collect();
            format!("[{}]", all.join(", "))
        }
        Value::Table(table) => {
            let pairs = table.iter();
            let pairs: Vec<_> = pairs
                .map(|(key, value)| format!("{key:?} = {}", written(value)))
                .collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Integer(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        other => panic!("no recipe has such a value: {other:?}"),
    }
}

/// The table that the guide shows and that has this line.
pub(super) fn table_of_the_guide(line: &str) -> String {
    let guide = fs::read_to_string(repository().join("docs/ADMINISTRATION.md")).unwrap();
    let blocks = guide.split("```").skip(1).step_by(2);
    let mut tables = blocks.map(|block| block.split_once('\n').unwrap().1.to_owned());
    tables
        .find(|table| table.lines().any(|it| it == line))
        .unwrap()
}

/// All that a test has is loopback, which is never a stranger: whoever comes from here says whose
/// session it is.
pub(super) const FRONT: &str = "127.0.0.66";

pub(super) fn front() -> (&'static str, Value) {
    ("xclient", Value::from(vec![FRONT]))
}

/// A host of ill repute.
pub(super) const LISTED: &str = "198.18.0.10";

/// A session of somebody out there.
pub(super) fn stranger(server: &Smarthost) -> Session {
    session_of("198.18.0.9", server)
}

pub(super) fn session_of(client: &str, server: &Smarthost) -> Session {
    let mut session = Session::connect_from(FRONT.parse().unwrap(), server.address()).ehlo();
    assert_eq!(session.say(&format!("XCLIENT ADDR={client}")).code, 220);
    assert_eq!(session.say("EHLO elsewhere.example").code, 250);
    session
}

/// What such a one hears.
pub(super) fn hears(server: &Smarthost, from: &str, to: &str) -> String {
    let mut session = stranger(server);
    session.say(&format!("MAIL FROM:<{from}>"));
    let reply = session.say(&format!("RCPT TO:<{to}>"));
    format!("{} {}", reply.code, reply.text())
}

/// A name server for which these domains have mail servers, and no other name exists but those of
/// the table.
pub(super) fn names(
    table: &'static [(&'static str, Record)],
    domains: &'static [&'static str],
) -> Value {
    let resolver = Resolver::anywhere(move |name| {
        let of_table = table.iter().filter(|(it, _)| *it == name);
        let all: Vec<_> = of_table.map(|(_, record)| record.clone()).collect();
        let known = domains.contains(&name);
        let mx = known.then(|| vec![Record::Mx("mx.elsewhere.example")]);
        (!all.is_empty()).then_some(all).or(mx)
    });
    Value::from(resolver.address().to_string())
}

pub(super) fn of_relay(relay: &Smarthost) -> Value {
    Value::from(nexthop(relay.address()))
}

pub(super) fn of_sink(sink: &Sink) -> Value {
    Value::from(sink.nexthop())
}

/// What `smarthost pin` prints, as it is pasted.
pub(super) fn pin(relay: &Smarthost) -> Value {
    Value::from(relay.pin())
}

/// The message that comes as such a one.
pub(super) fn arrived(sink: &Sink, number: usize) -> Received {
    sink.journal().wait_for(number).remove(number - 1)
}
