//! What the parser says, in the words of an administrator, and what an unknown name was meant as.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

/// Letters of a name from which on it is clear what was meant.
const BEGUN: usize = 5;

/// What is written for a number.
pub(super) const WHOLE: &str = "a whole number";

/// What is said of a number in the place of a text.
pub(super) const NOT_TEXT: &str = " is not text;";

/// The library's words in those of an administrator, with a remedy where one is known.
pub(super) fn explain(message: &str) -> String {
    if message == "duplicate key" {
        return "duplicate key: it is already set above; keep one of the two".to_owned();
    }
    if message.starts_with("string values must be quoted") {
        return "this is not a value; put text in double quotes".to_owned();
    }
    if message.starts_with("invalid basic string, expected `\"`") {
        return "the text is not closed; close it with a double quote".to_owned();
    }
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (Some(&given), known) = (quoted.first(), quoted.get(1..).unwrap_or_default()) else {
        return unfit(message).unwrap_or_else(|| first_line(message));
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
        return format!("`{given}`{NOT_TEXT} put it in double quotes: \"{given}\"");
    }
    unfit(message).unwrap_or_else(|| first_line(message))
}

/// `invalid value: integer `-1`, expected u32`: what is there, and what is to be written.
fn unfit(message: &str) -> Option<String> {
    let told = ["invalid type: ", "invalid value: ", "invalid length "];
    let rest = told.iter().find_map(|begin| message.strip_prefix(begin))?;
    let (given, wanted) = rest.rsplit_once(", expected ")?;
    let given = match given.split_once(' ') {
        Some(("integer" | "boolean" | "string" | "character", value)) => value.to_owned(),
        Some(("floating", value)) => value.replacen("point ", "", 1),
        _ if given == "sequence" => "a list in brackets".to_owned(),
        _ if given == "map" => "a table in braces".to_owned(),
        _ => given.to_owned(),
    };
    let largest: u64 = match wanted {
        "u8" => u8::MAX.into(),
        "u16" => u16::MAX.into(),
        "u32" => u32::MAX.into(),
        _ => 0,
    };
    let wanted = match wanted {
        _ if largest > 0 => format!("{WHOLE} from 0 to {largest}"),
        // Which of them is said by the setting.
        "u64" | "usize" | "i64" | "isize" => WHOLE.to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "true or false, without quotes".to_owned(),
        "a sequence" => "a list in brackets".to_owned(),
        "a map" => "a table in braces: { name = value }".to_owned(),
        "path string" => "a path in double quotes".to_owned(),
        other if other.starts_with("struct ") => {
            "a table in braces, which names each of its values: { name = value }".to_owned()
        }
        other => other.to_owned(),
    };
    Some(format!("{given} does not fit here; write {wanted}"))
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
        None if known.is_empty() => "no setting is possible here".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// The known name that an unknown one was most likely meant as.
pub(super) fn closest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let flat = |name: &str| name.to_lowercase().replace('-', "_");
    let distance = |name: &str| strsim::damerau_levenshtein(&flat(given), &flat(name));
    let close = (given.chars().count() / 6).saturating_add(1);
    let nearest = known.iter().map(|name| (distance(name), *name)).min();
    // Of a short name as many letters are others as the same.
    let nearest = nearest.filter(|(distance, _)| given.chars().count() / 2 >= *distance);
    let near = nearest.filter(|(distance, _)| *distance <= close);
    // Or it was not written to its end.
    let begun = known
        .iter()
        .filter(|name| given.len() >= BEGUN && flat(name).starts_with(&flat(given)));
    let shortest = begun.min_by_key(|name| name.len());
    near.map(|(_, name)| name).or(shortest.copied())
}
