//! Lines of `smarthost enroll`, as people paste them: among comments, in quotes, with the command
//! in front, broken by a terminal or a mail program.

use relay::enroll::Line;

/// What a line begins with.
const BEGIN: &str = "enroll1,";
/// Around a line it means nothing.
const QUOTES: &[char] = &[
    '"', '\'', '`', '\u{feff}', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}',
];
/// The command, pasted with its line.
const COMMAND: [&str; 6] = ["$", "sudo", "sendmail-shim", "enroll", "-", "--"];

/// The lines of a text that can be used together.
pub(super) fn lines(text: &str) -> Result<Vec<Line>, String> {
    let lines: Vec<Line> = found(text)
        .iter()
        .map(|line| Line::parse(line))
        .collect::<Result<_, _>>()?;
    let Some((first, rest)) = lines.split_first() else {
        return Err("there is no line of `smarthost enroll`".to_owned());
    };
    if rest.iter().any(|it| it.wrapped != first.wrapped) {
        return Err("TLS begins otherwise at these relays; make lines for ports of one kind: smarthost enroll NAME --relay HOST:PORT".to_owned());
    }
    if let Some(other) = rest.iter().find(|it| it.name != first.name) {
        let (first, other) = (&first.name, &other.name);
        return Err(format!(
            "these lines are for two machines, {first} and {other}; a machine has one name at all its relays, under which they count it: smarthost enroll {first} at each of them"
        ));
    }
    Ok(lines)
}

/// Whether there is anything but comments.
pub(super) fn is_any(text: &str) -> bool {
    !found(text).is_empty()
}

/// What is to be read as lines: one that is broken goes on with the next word.
fn found(text: &str) -> Vec<String> {
    let rows = text.lines().map(|row| row.trim().trim_matches(QUOTES));
    let rows = rows.filter(|row| !row.starts_with('#'));
    let words = rows.flat_map(str::split_whitespace);
    let mut lines: Vec<String> = Vec::new();
    for word in words.map(|word| word.trim_matches(QUOTES)) {
        match lines.last_mut() {
            Some(line) if !word.starts_with(BEGIN) => line.push_str(word),
            None if word.is_empty() || COMMAND.contains(&word) => {}
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, port: u16, tls: &str) -> String {
        let (pin, secret) = ("9f".repeat(32), "abcdefghijkmnpqrstuvwxyz23");
        format!("enroll1,{name},mail.example.org,{port},{tls},sha256:{pin},{secret}")
    }

    #[test]
    fn lines_of_a_file_are_read_among_comments_and_must_go_together() {
        let (first, second) = (line("vm7", 465, "wrapped"), line("vm7", 4650, "wrapped"));
        let text = format!("# vm7\n\n  {first}\r\n{second}\n");
        assert_eq!(lines(&text).unwrap().len(), 2);
        assert_eq!(lines(&format!("{first} {second}")).unwrap().len(), 2);
        let text = format!("{first}\n{}\n", line("vm7", 587, "starttls"));
        assert!(lines(&text).unwrap_err().contains("--relay"));
        let text = format!("{first}\n{}\n", line("vm8", 465, "wrapped"));
        let told = lines(&text).unwrap_err();
        assert!(
            told.contains("two machines") && told.contains("smarthost enroll vm7"),
            "{told}"
        );
        for none in ["# nothing\n", "", "\u{feff}\n", "sendmail-shim enroll"] {
            assert!(
                lines(none).unwrap_err().contains("no line") && !is_any(none),
                "{none}"
            );
        }
        assert!(lines(&format!("{first}\nx\n")).is_err());
        assert!(lines(&format!("x\n{first}\n")).is_err());
    }

    #[test]
    fn a_line_is_understood_as_people_paste_it() {
        let line = line("vm7", 465, "wrapped");
        let expected = Line::parse(&line).unwrap();
        let (begin, end) = line.split_at(80);
        for pasted in [
            format!("\"{line}\""),
            format!("\u{201c}{line}\u{201d}\n"),
            format!("\u{feff}{line}\r\n"),
            format!("'{line}'"),
            format!("sendmail-shim enroll {line}"),
            format!("$ sudo sendmail-shim enroll '{line}'\n"),
            format!("{begin}\n{end}\n"),
            format!("\"{begin}\r\n   {end}\""),
            format!("{begin} {end}"),
        ] {
            let read = lines(&pasted);
            assert_eq!(
                read.as_deref(),
                Ok([expected.clone()].as_slice()),
                "{pasted}"
            );
        }
    }
}
