//! What comes over the administrators' sockets: questions and orders, and what is shown of the
//! answers.
use control::{
    listing::{self, Row},
    order,
};
use serde::{Serialize, de::DeserializeOwned};
use smarthost::admin;

/// Holds the promises for one input.
pub(crate) fn run(input: &[u8]) {
    for line in input.split(|byte| *byte == b'\n') {
        read_back::<admin::Request>(line);
        read_back::<admin::Answer>(line);
        read_back::<order::Request>(line);
        if let Some(order::Answer::Summary(summary)) = read_back(line) {
            on_one_terminal(&control::summary::table(&summary));
        }
    }
    let rows = input.split(|byte| *byte == b'\n');
    let rows: Vec<Row> = rows
        .filter_map(|line| match serde_json::from_slice(line) {
            Ok(order::Answer::Row(row)) => Some(row),
            _ => None,
        })
        .collect();
    on_one_terminal(&listing::mailq(&rows));
    let lines = listing::json_lines(&rows);
    assert_eq!(lines.lines().count(), rows.len(), "a line each");
    on_one_terminal(&listing::header(input));
}

/// What is understood is written so that the other side understands the same.
fn read_back<T: Serialize + DeserializeOwned>(line: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(line).ok()?;
    let written = serde_json::to_string(&value).ok()?;
    let again: T = serde_json::from_str(&written).ok()?;
    let twice = serde_json::to_string(&again).ok();
    assert_eq!(Some(written), twice, "it is read back");
    Some(value)
}

/// No byte of a stranger's steers the administrator's terminal.
fn on_one_terminal(text: &str) {
    let mut controls = text.chars().filter(|it| it.is_control() && *it != '\n');
    assert_eq!(controls.next(), None, "{text:?}");
}
