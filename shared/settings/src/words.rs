//! What the parser says, in the words of an administrator, and what an unknown name was meant as.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

/// Letters of a name from which on it is clear what was meant.
const BEGUN: usize = 5;

/// The library's words in those of an administrator, with a remedy where one is known.
pub(super) fn explain(message: &str) -> String {
    if message == "duplicate key" {
        return "duplicate key: it stands above already; keep one of the two".to_owned();
    }
    if message.starts_with("string values must be quoted") {
        return "this is no value; a text stands in double quotes".to_owned();
    }
    if message.starts_with("invalid basic string, expected `\"`") {
        return "the text has no end; close it with a double quote".to_owned();
    }
    if message.ends_with("expected a boolean") {
        return format!("{message}; write true or false, without quotes");
    }
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (Some(&given), known) = (quoted.first(), quoted.get(1..).unwrap_or_default()) else {
        return first_line(message);
    };
    if message.starts_with("unknown field") {
        return format!("unknown setting `{given}`; {}", suggestion(given, known));
    }
    if message.starts_with("unknown variant") {
        return format!("unknown value \"{given}\"; {}", suggestion(given, known));
    }
    if message.starts_with("missing field") {
        return format!("the setting `{given}` is missing; add it here");
    }
    if message.starts_with("invalid type") && message.ends_with("expected a string") {
        return format!("`{given}` is no text; put it in double quotes: \"{given}\"");
    }
    first_line(message)
}

/// The parser's messages may go over several lines; one is enough beside the marked place.
fn first_line(message: &str) -> String {
    message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

/// What the known names offer in place of an unknown one.
pub fn suggestion(given: &str, known: &[&str]) -> String {
    match closest(given, known) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => "there is no setting to be made here".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// The known name that an unknown one was most likely meant as.
pub(super) fn closest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let flat = |name: &str| name.to_lowercase().replace('-', "_");
    let distance = |name: &str| strsim::damerau_levenshtein(&flat(given), &flat(name));
    let close = (given.chars().count() / 3).max(1);
    let nearest = known.iter().map(|name| (distance(name), *name)).min();
    let near = nearest.filter(|(distance, _)| *distance <= close);
    // Or it was not written to its end.
    let begun = known
        .iter()
        .filter(|name| given.len() >= BEGUN && flat(name).starts_with(&flat(given)));
    let shortest = begun.min_by_key(|name| name.len());
    near.map(|(_, name)| name).or(shortest.copied())
}
