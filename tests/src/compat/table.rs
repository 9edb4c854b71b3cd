//! The results as a table in Markdown.

use std::{collections::BTreeMap, fmt::Write as _};

use super::case::Case;

/// Faults by program, in the order of columns, and then by the case's name.
pub type Results = Vec<(String, BTreeMap<String, Vec<String>>)>;

/// A table for each group of cases, and how many cases each program passes.
pub fn markdown(cases: &[Case], results: &Results) -> String {
    let mut out = String::new();
    let names: Vec<_> = results.iter().map(|(name, _)| name.as_str()).collect();
    let heading = format!(
        "| {} |\n|---|{}\n",
        ["case"]
            .iter()
            .chain(&names)
            .copied()
            .collect::<Vec<_>>()
            .join(" | "),
        "---|".repeat(names.len())
    );
    // Writing to a String cannot fail.
    let _ = write!(out, "{heading}| **passed, of {}** |", cases.len());
    for (_, faults) in results {
        let passed = cases
            .iter()
            .filter(|case| faults.get(&case.name).is_some_and(Vec::is_empty))
            .count();
        let _ = write!(out, " **{passed}** |");
    }
    out.push('\n');
    let mut group = "";
    for case in cases {
        if case.group != group {
            group = &case.group;
            let _ = write!(out, "\n## {group}\n\n{heading}");
        }
        let _ = write!(out, "| {} |", escaped(&case.name));
        for (_, faults) in results {
            let cell = match faults.get(&case.name).map(Vec::as_slice) {
                None => "not run".to_owned(),
                Some([]) => "✓".to_owned(),
                Some(faults) => escaped(&faults.join("; ")),
            };
            let _ = write!(out, " {cell} |");
        }
        out.push('\n');
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}
