//! Text as man(7) wants it.

/// Plain text: no character of it is a command.
pub(crate) fn text(plain: &str) -> String {
    plain
        .lines()
        .map(|line| {
            let line = line.replace('\\', "\\e").replace('-', "\\-");
            if line.starts_with(['.', '\'']) {
                format!("\\&{line}")
            } else {
                line
            }
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Plain text in bold.
pub(crate) fn bold(plain: &str) -> String {
    format!("\\fB{}\\fR", text(plain))
}

/// A heading; the text below it begins anew.
pub(crate) fn section(title: &str) -> String {
    format!(".SH {}\n", title.to_uppercase())
}

/// A marked-up term, and plain text about it.
pub(crate) fn item(term: &str, about: &str) -> String {
    format!(".TP\n{term}\n{}\n", text(about))
}

/// Lines that stay as they are.
pub(crate) fn example(lines: &str) -> String {
    format!(".PP\n.nf\n{}\n.fi\n", text(lines))
}
